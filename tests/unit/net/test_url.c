/* SPDX-License-Identifier: MIT */
/*
 * URLs: one table of those that are taken, with what they become; one of those that are not, with
 * the code and a word that the explanation must contain.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct good {
	const char *text;
	bool tls;
	bool is_address;
	uint16_t port;
	const char *host;
	const char *authority;
	const char *path;
	bool path_empty;
};

#define LABEL_63 "a23456789a123456789a123456789a123456789a123456789a123456789a123"
#define HOST_253                           \
	LABEL_63 "." LABEL_63 "." LABEL_63 \
		 ".b23456789b123456789b123456789b123456789b123456789b1234567890b"

/* clang-format off */
static const struct good good[] = {
	{"https://example.org", true, false, 443, "example.org", "example.org", "/", true},
	{"https://example.org/", true, false, 443, "example.org", "example.org", "/", false},
	{"http://example.org/", false, false, 80, "example.org", "example.org", "/", false},
	{"HTTPS://EXAMPLE.ORG/A", true, false, 443, "example.org", "example.org", "/A", false},
	{"hTTp://eXample.Org", false, false, 80, "example.org", "example.org", "/", true},
	{"https://example.org:443/", true, false, 443, "example.org", "example.org", "/", false},
	{"https://example.org:80/", true, false, 80, "example.org", "example.org:80", "/", false},
	{"http://example.org:80/", false, false, 80, "example.org", "example.org", "/", false},
	{"http://example.org:443/", false, false, 443, "example.org", "example.org:443", "/", false},
	{"https://example.org:8443/x", true, false, 8443, "example.org", "example.org:8443", "/x", false},
	{"https://example.org:/", true, false, 443, "example.org", "example.org", "/", false},
	{"https://example.org:", true, false, 443, "example.org", "example.org", "/", true},
	{"https://example.org:1/", true, false, 1, "example.org", "example.org:1", "/", false},
	{"https://example.org:65535/", true, false, 65535, "example.org", "example.org:65535", "/", false},
	{"https://example.org:00443/", true, false, 443, "example.org", "example.org", "/", false},
	{"https://example.org./", true, false, 443, "example.org", "example.org", "/", false},
	{"https://localhost/", true, false, 443, "localhost", "localhost", "/", false},
	{"https://a/", true, false, 443, "a", "a", "/", false},
	{"https://a_b.example.org/", true, false, 443, "a_b.example.org", "a_b.example.org", "/", false},
	{"https://_dmarc.example.org/", true, false, 443, "_dmarc.example.org", "_dmarc.example.org", "/", false},
	{"https://r3---sn-abc.example.org/", true, false, 443, "r3---sn-abc.example.org", "r3---sn-abc.example.org", "/", false},
	{"https://1e100.net/", true, false, 443, "1e100.net", "1e100.net", "/", false},
	{"https://1.2.3.example/", true, false, 443, "1.2.3.example", "1.2.3.example", "/", false},
	{"https://0x7f.example/", true, false, 443, "0x7f.example", "0x7f.example", "/", false},
	{"https://" LABEL_63 ".example/", true, false, 443, LABEL_63 ".example", LABEL_63 ".example", "/", false},
	{"https://" HOST_253 "/", true, false, 443, HOST_253, HOST_253, "/", false},
	{"https://" HOST_253 "./", true, false, 443, HOST_253, HOST_253, "/", false},
	/* addresses */
	{"https://192.0.2.1/", true, true, 443, "192.0.2.1", "192.0.2.1", "/", false},
	{"https://192.0.2.1:8443/", true, true, 8443, "192.0.2.1", "192.0.2.1:8443", "/", false},
	{"https://0.0.0.0/", true, true, 443, "0.0.0.0", "0.0.0.0", "/", false},
	{"https://255.255.255.255/", true, true, 443, "255.255.255.255", "255.255.255.255", "/", false},
	{"https://192.0.2.1./", true, true, 443, "192.0.2.1", "192.0.2.1", "/", false},
	{"https://[2001:db8::1]/", true, true, 443, "2001:db8::1", "[2001:db8::1]", "/", false},
	{"https://[2001:DB8:0:0:0:0:0:1]:8443/", true, true, 8443, "2001:db8::1", "[2001:db8::1]:8443", "/", false},
	{"http://[::1]", false, true, 80, "::1", "[::1]", "/", true},
	{"http://[::]/", false, true, 80, "::", "[::]", "/", false},
	{"http://[::ffff:1.2.3.4]/", false, true, 80, "::ffff:1.2.3.4", "[::ffff:1.2.3.4]", "/", false},
	{"http://[::1]:/", false, true, 80, "::1", "[::1]", "/", false},
	{"http://[::1]:443/", false, true, 443, "::1", "[::1]:443", "/", false},
	/* names beyond ASCII */
	{"https://b\xc3\xbc" "cher.example/", true, false, 443, "xn--bcher-kva.example", "xn--bcher-kva.example", "/", false},
	{"https://B\xc3\x9c" "CHER.example/", true, false, 443, "xn--bcher-kva.example", "xn--bcher-kva.example", "/", false},
	{"https://bu\xcc\x88" "cher.example/", true, false, 443, "xn--bcher-kva.example", "xn--bcher-kva.example", "/", false},
	{"https://fa\xc3\x9f.example/", true, false, 443, "xn--fa-hia.example", "xn--fa-hia.example", "/", false},
	{"https://\xe4\xbe\x8b\xe3\x81\x88.jp/", true, false, 443, "xn--r8jz45g.jp", "xn--r8jz45g.jp", "/", false},
	{"https://\xe4\xbe\x8b\xe3\x81\x88\xe3\x80\x82jp/", true, false, 443, "xn--r8jz45g.jp", "xn--r8jz45g.jp", "/", false},
	{"https://xn--bcher-kva.example/", true, false, 443, "xn--bcher-kva.example", "xn--bcher-kva.example", "/", false},
	{"https://XN--BCHER-KVA.example/", true, false, 443, "xn--bcher-kva.example", "xn--bcher-kva.example", "/", false},
	{"https://b\xc3\xbc" "cher.example:8443/a?b", true, false, 8443, "xn--bcher-kva.example", "xn--bcher-kva.example:8443", "/a?b", false},
	{"https://a_b.b\xc3\xbc" "cher.example/", true, false, 443, "a_b.xn--bcher-kva.example", "a_b.xn--bcher-kva.example", "/", false},
	/* full-width digits are digits */
	{"https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/", true, true, 443, "127.0.0.1", "127.0.0.1", "/", false},
	/* paths */
	{"https://h/a/b/c", true, false, 443, "h", "h", "/a/b/c", false},
	{"https://h/a/./b", true, false, 443, "h", "h", "/a/b", false},
	{"https://h/a/../b", true, false, 443, "h", "h", "/b", false},
	{"https://h/../../b", true, false, 443, "h", "h", "/b", false},
	{"https://h/a/b/..", true, false, 443, "h", "h", "/a/", false},
	{"https://h/a/b/.", true, false, 443, "h", "h", "/a/b/", false},
	{"https://h/..", true, false, 443, "h", "h", "/", false},
	{"https://h/.", true, false, 443, "h", "h", "/", false},
	{"https://h/a/", true, false, 443, "h", "h", "/a/", false},
	{"https://h//", true, false, 443, "h", "h", "//", false},
	{"https://h//a//b", true, false, 443, "h", "h", "//a//b", false},
	{"https://h/a/..//b", true, false, 443, "h", "h", "//b", false},
	{"https://h/...", true, false, 443, "h", "h", "/...", false},
	{"https://h/a%2fb%20c", true, false, 443, "h", "h", "/a%2fb%20c", false},
	{"https://h/%7Euser/~user", true, false, 443, "h", "h", "/%7Euser/~user", false},
	{"https://h/a;b=c,d!e$f&g'h(i)j*k+l:m@n", true, false, 443, "h", "h", "/a;b=c,d!e$f&g'h(i)j*k+l:m@n", false},
	{"https://h/user@example", true, false, 443, "h", "h", "/user@example", false},
	/* queries and fragments */
	{"https://h?q", true, false, 443, "h", "h", "/?q", false},
	{"https://h/?q", true, false, 443, "h", "h", "/?q", false},
	{"https://h/a?b=c&d=e", true, false, 443, "h", "h", "/a?b=c&d=e", false},
	{"https://h/?", true, false, 443, "h", "h", "/?", false},
	{"https://h?", true, false, 443, "h", "h", "/?", false},
	{"https://h/a?../b/./c", true, false, 443, "h", "h", "/a?../b/./c", false},
	{"https://h/a?b?c/d", true, false, 443, "h", "h", "/a?b?c/d", false},
	{"https://h/a?x@y:z", true, false, 443, "h", "h", "/a?x@y:z", false},
	{"https://h?x@y", true, false, 443, "h", "h", "/?x@y", false},
	{"https://h#f", true, false, 443, "h", "h", "/", true},
	{"https://h/#f", true, false, 443, "h", "h", "/", false},
	{"https://h/a#b?c", true, false, 443, "h", "h", "/a", false},
	{"https://h/a?b#c@d", true, false, 443, "h", "h", "/a?b", false},
	{"https://h#@x", true, false, 443, "h", "h", "/", true},
};
/* clang-format on */

struct bad {
	const char *text;
	enum failure_code code;
	const char *says;
};

/* clang-format off */
static const struct bad bad[] = {
	{"", FAIL_URL_INVALID, "empty"},
	{"example.org", FAIL_URL_INVALID, "no scheme"},
	{"example.org/a", FAIL_URL_INVALID, "no scheme"},
	{"//example.org/a", FAIL_URL_INVALID, "no scheme"},
	{"/a/b", FAIL_URL_INVALID, "no scheme"},
	{"example.org:443/a", FAIL_URL_INVALID, "no scheme"},
	{"localhost:8443/a", FAIL_URL_INVALID, "no scheme"},
	{"://example.org/", FAIL_URL_INVALID, "no scheme"},
	{"1https://example.org/", FAIL_URL_INVALID, "no scheme"},
	{"ht tp://example.org/", FAIL_URL_INVALID, "blank at offset 2"},
	{"ftp://example.org/", FAIL_URL_SCHEME, "\"ftp\""},
	{"file:///etc/passwd", FAIL_URL_SCHEME, "\"file\""},
	{"mailto:a@example.org", FAIL_URL_SCHEME, "\"mailto\""},
	{"ws://example.org/", FAIL_URL_SCHEME, "\"ws\""},
	{"https2://example.org/", FAIL_URL_SCHEME, "\"https2\""},
	{"https:example.org", FAIL_URL_INVALID, "\"//\" is missing"},
	{"https:/example.org", FAIL_URL_INVALID, "\"//\" is missing"},
	{"https://", FAIL_URL_HOST, "no host"},
	{"https:///path", FAIL_URL_HOST, "no host"},
	{"https://:443/", FAIL_URL_HOST, "no host"},
	{"https://?q", FAIL_URL_HOST, "no host"},
	{"https://#f", FAIL_URL_HOST, "no host"},
	{"https://./", FAIL_URL_HOST, "dot"},
	{"https://../", FAIL_URL_HOST, "dot"},
	{"https://a..b/", FAIL_URL_HOST, "two dots"},
	{"https://.a/", FAIL_URL_HOST, "two dots"},
	{"https://a../", FAIL_URL_HOST, "two dots"},
	/* user information */
	{"https://user@example.org/", FAIL_URL_USERINFO, "Authorization"},
	{"https://user:secret@example.org/", FAIL_URL_USERINFO, "Authorization"},
	{"https://:secret@example.org/", FAIL_URL_USERINFO, "Authorization"},
	{"https://@example.org/", FAIL_URL_USERINFO, "Authorization"},
	{"https://us\xc3\xa9r:secret@example.org/", FAIL_URL_USERINFO, "Authorization"},
	{"https://user:secret@[::1]:443/", FAIL_URL_USERINFO, "Authorization"},
	{"https://example.org:secret@evil.example/", FAIL_URL_USERINFO, "Authorization"},
	/* ports */
	{"https://h:0/", FAIL_URL_INVALID, "1 to 65535"},
	{"https://h:65536/", FAIL_URL_INVALID, "1 to 65535"},
	{"https://h:99999999999999999999/", FAIL_URL_INVALID, "1 to 65535"},
	{"https://h:x/", FAIL_URL_INVALID, "no number"},
	{"https://h:-1/", FAIL_URL_INVALID, "no number"},
	{"https://h:+1/", FAIL_URL_INVALID, "no number"},
	{"https://h:44\xc3\xa9/", FAIL_URL_INVALID, "no number"},
	{"https://h:443:443/", FAIL_URL_HOST, "brackets"},
	{"https://[::1]:x/", FAIL_URL_INVALID, "no number"},
	/* addresses */
	{"https://2001:db8::1/", FAIL_URL_HOST, "brackets"},
	{"https://[::1/", FAIL_URL_HOST, "\"]\" is missing"},
	{"https://[::1]x/", FAIL_URL_HOST, "can follow"},
	{"https://[]/", FAIL_URL_HOST, "no IPv6 address"},
	{"https://[192.0.2.1]/", FAIL_URL_HOST, "no IPv6 address"},
	{"https://[:::1]/", FAIL_URL_HOST, "no IPv6 address"},
	{"https://[v1.x]/", FAIL_URL_HOST, "no IPv6 address"},
	{"https://[fe80::1%eth0]/", FAIL_URL_HOST, "zone"},
	{"https://[fe80::1%25eth0]/", FAIL_URL_HOST, "zone"},
	{"https://[1:2:3:4:5:6:7:8:9]/", FAIL_URL_HOST, "no IPv6 address"},
	{"https://127.1/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://0x7f.1/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://2130706433/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://0x7f000001/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://0X7F000001/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://017700000001/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://127.0.0.0x1/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://127.0.0.0x/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://127.0.0.01/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://1.2.3.4.5/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://256.1.1.1/", FAIL_URL_HOST, "four decimal numbers"},
	{"https://example.1/", FAIL_URL_HOST, "four decimal numbers"},
	/* names */
	{"https://ex%61mple.org/", FAIL_URL_HOST, "percent-encoded"},
	{"https://b%C3%BCcher.example/", FAIL_URL_HOST, "percent-encoded"},
	{"https://exam!ple.org/", FAIL_URL_HOST, "'!'"},
	{"https://exam<ple.org/", FAIL_URL_HOST, "'<'"},
	{"https://a,b/", FAIL_URL_HOST, "','"},
	{"https://a*/", FAIL_URL_HOST, "'*'"},
	{"https://-a.example/", FAIL_URL_HOST, "hyphen"},
	{"https://a-.example/", FAIL_URL_HOST, "hyphen"},
	{"https://" LABEL_63 "x.example/", FAIL_URL_HOST, "63"},
	{"https://" HOST_253 "x/", FAIL_URL_HOST, "253"},
	{"https://xn--a/", FAIL_URL_HOST, "internationalised"},
	{"https://xn--/", FAIL_URL_HOST, "internationalised"},
	{"https://xn--99999999/", FAIL_URL_HOST, "internationalised"},
	{"https://b\xfc" "cher.example/", FAIL_URL_HOST, "internationalised"},
	{"https://\xe2\x98\x83\xef\xbc\x8f.example/", FAIL_URL_HOST, ""},
	{"https://a\xef\xbc\xa0" "b.example/", FAIL_URL_HOST, ""},
	{"https://\xf0\x9f\x92\xa9.example/", FAIL_URL_HOST, ""},
	{"https://example.org\\@evil.example/", FAIL_URL_USERINFO, "Authorization"},
	{"https://example.org\\evil/", FAIL_URL_INVALID, "backslash"},
	/* what has to be percent-encoded */
	{"https://h/a b", FAIL_URL_INVALID, "%20"},
	{"https://h/a\tb", FAIL_URL_INVALID, "0x09"},
	{"https://h/a\nb", FAIL_URL_INVALID, "0x0a"},
	{"https://h/\x7f", FAIL_URL_INVALID, "0x7f"},
	{"https://h/\xc3\xa9", FAIL_URL_INVALID, "0xc3 at offset 10"},
	{"https://h/?\xc3\xa9", FAIL_URL_INVALID, "0xc3 at offset 11"},
	{"https://b\xc3\xbc" "cher.example/\xc3\xa9", FAIL_URL_INVALID, "0xc3 at offset 24"},
	{"https://h/{a}", FAIL_URL_INVALID, "'{' at offset 10"},
	{"https://h/a|b", FAIL_URL_INVALID, "%7C"},
	{"https://h/a\\b", FAIL_URL_INVALID, "%5C"},
	{"https://h/a\"b", FAIL_URL_INVALID, "%22"},
	{"https://h/?a[]=1", FAIL_URL_INVALID, "'[' at offset 12"},
	{"https://h/100%", FAIL_URL_INVALID, "%25"},
	{"https://h/%zz", FAIL_URL_INVALID, "offset 10 is not followed"},
	{"https://h/%2", FAIL_URL_INVALID, "offset 10 is not followed"},
	{"https://h/%2x", FAIL_URL_INVALID, "offset 10 is not followed"},
	{"https://h/%%20", FAIL_URL_INVALID, "offset 10 is not followed"},
	{"https://h/a?b=%", FAIL_URL_INVALID, "offset 14 is not followed"},
	{"https://h/%41{", FAIL_URL_INVALID, "'{' at offset 13"},
	{"https://h/a#b#c", FAIL_URL_INVALID, "'#' at offset 13"},
};
/* clang-format on */

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		const struct good *want = &good[i];
		struct failure failure = {.count = 0};
		struct url url = {.host = NULL};
		int r = url_parse(want->text, strlen(want->text), &url, &failure);

		if (r != 0) {
			fail_msg("%s: %d %s", want->text, r, failure.links[0].text);
		}
		if (url.tls != want->tls || url.is_address != want->is_address ||
		    url.port != want->port || strcmp(url.host, want->host) != 0 ||
		    strcmp(url.authority, want->authority) != 0 ||
		    strcmp(url.path, want->path) != 0 || url.path_empty != want->path_empty) {
			fail_msg("%s: tls %d address %d port %u host %s authority %s path %s empty "
				 "%d",
				 want->text, url.tls, url.is_address, (unsigned)url.port, url.host,
				 url.authority, url.path, url.path_empty);
		}
		url_fini(&url);
	}
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct bad *want = &bad[i];
		struct failure failure = {.count = 0};
		struct url url;
		int r;

		memset(&url, 0x5a, sizeof(url));
		r = url_parse(want->text, strlen(want->text), &url, &failure);
		if (r != (int)want->code || failure_top(&failure) != want->code ||
		    !strstr(failure.links[0].text, want->says)) {
			fail_msg("%s: got %d %s \"%s\"", want->text, r,
				 failure_code_name(failure_top(&failure)), failure.links[0].text);
		}
		assert_null(strstr(failure.links[0].text, "secret"));
		/* Untouched on failure. */
		for (size_t k = 0; k < sizeof(url); k++) {
			assert_int_equal(((unsigned char *)&url)[k], 0x5a);
		}
	}
}

/* A NUL is a control character, not the end. */
static void test_length_counts(void **state)
{
	static const char text[] = "https://h/a\0b";
	struct failure failure = {.count = 0};
	struct url url = {.host = NULL};

	(void)state;
	assert_int_equal(url_parse(text, sizeof(text) - 1, &url, &failure), FAIL_URL_INVALID);
	assert_int_equal(url_parse(text, 11, &url, &failure), 0);
	assert_string_equal(url.path, "/a");
	url_fini(&url);
	assert_int_equal(url_parse(text, 10, &url, &failure), 0);
	assert_string_equal(url.path, "/");
	url_fini(&url);
}

static void test_limit(void **state)
{
	char *text = malloc(URL_MAX + 2);
	struct failure failure = {.count = 0};
	struct url url = {.host = NULL};

	(void)state;
	assert_non_null(text);
	memset(text, 'a', URL_MAX + 2);
	memcpy(text, "https://h/", 10);
	assert_int_equal(url_parse(text, URL_MAX, &url, &failure), 0);
	assert_int_equal(strlen(url.path), URL_MAX - 9);
	url_fini(&url);
	assert_int_equal(url_parse(text, URL_MAX + 1, &url, &failure), FAIL_URL_INVALID);
	/* As many segments as there can be, all of them to be removed. */
	for (size_t i = 10; i + 2 < URL_MAX; i += 3) {
		memcpy(text + i, "../", 3);
	}
	assert_int_equal(url_parse(text, 10 + (URL_MAX - 10) / 3 * 3, &url, &failure), 0);
	assert_string_equal(url.path, "/");
	url_fini(&url);
	/* A host without an end. */
	memset(text, 'a', URL_MAX + 2);
	memcpy(text, "https://", 8);
	assert_int_equal(url_parse(text, URL_MAX, &url, &failure), FAIL_URL_HOST);
	free(text);
}

static void test_fini_is_idempotent(void **state)
{
	struct failure failure = {.count = 0};
	struct url url = {.host = NULL};

	(void)state;
	url_fini(&url);
	assert_int_equal(url_parse("https://h/", 10, &url, &failure), 0);
	url_fini(&url);
	url_fini(&url);
	assert_null(url.host);
}

/* ---- references ---- */

static struct url parsed(const char *text)
{
	struct failure failure = {.count = 0};
	struct url url = {.host = NULL};

	assert_int_equal(url_parse(text, strlen(text), &url, &failure), 0);
	return url;
}

/* RFC 3986, section 5.4, but for what no fetch follows; and what redirections are made of. */
static void test_resolve(void **state)
{
	/* clang-format off */
	static const struct {
		const char *base, *reference, *want;
	} table[] = {
		{"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
		{"http://a/b/c/d;p?q", "/g", "http://a/g"},
		{"http://a/b/c/d;p?q", "//g", "http://g"},
		{"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
		{"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
		{"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
		{"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
		{"http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y"},
		{"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
		{"http://a/b/c/d;p?q", "g;x", "http://a/b/c/g;x"},
		{"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
		{"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
		{"http://a/b/c/d;p?q", "./", "http://a/b/c/"},
		{"http://a/b/c/d;p?q", "..", "http://a/b/"},
		{"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
		{"http://a/b/c/d;p?q", "../..", "http://a/"},
		{"http://a/b/c/d;p?q", "../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "../../../../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "/./g", "http://a/g"},
		{"http://a/b/c/d;p?q", "/../g", "http://a/g"},
		{"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
		{"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
		{"http://a/b/c/d;p?q", "./../g", "http://a/b/g"},
		{"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
		{"http://a/b/c/d;p?q", "g?y/./x", "http://a/b/c/g?y/./x"},
		{"http://a/b/c/d;p?q", "g#s/../x", "http://a/b/c/g"},
		/* hosts and ports */
		{"https://a:8443/x", "/g", "https://a:8443/g"},
		{"https://a:8443/x", "//b/g", "https://b/g"},
		{"https://a:8443/x", "//b:9/g?q#f", "https://b:9/g?q"},
		{"http://a/x", "//b:443/", "http://b:443/"},
		{"https://[2001:db8::1]:8443/x", "y", "https://[2001:db8::1]:8443/y"},
		{"https://a/x", "//[2001:DB8::2]/", "https://[2001:db8::2]/"},
		{"https://a/x", "HTTP://B.Example:80/y", "http://b.example/y"},
		{"https://a/x", "https://b\xc3\xbc" "cher.example/", "https://xn--bcher-kva.example/"},
		{"https://a/x", "//b\xc3\xbc" "cher.example", "https://xn--bcher-kva.example"},
		{"https://a/x", "https://a/p/../q#f", "https://a/q"},
		/* empty paths */
		{"https://a", "", "https://a"},
		{"https://a", "g", "https://a/g"},
		{"https://a", "?q", "https://a/?q"},
		{"https://a", "#f", "https://a"},
		{"https://a", "/", "https://a/"},
		/* nothing of it turns into a host */
		{"https://a/b/c", "/..//evil.example/", "https://a//evil.example/"},
		{"https://a/b/c", ".//evil.example/", "https://a/b//evil.example/"},
		{"https://a/b/c", "/x@evil.example:80/", "https://a/x@evil.example:80/"},
		{"https://a/b/c", "?u=https://b/", "https://a/b/c?u=https://b/"},
	};
	/* clang-format on */

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct failure failure = {.count = 0};
		struct url base = parsed(table[i].base);
		struct url url = {.host = NULL};
		struct url again;
		char *text = NULL;
		int r = url_resolve(&base, table[i].reference, strlen(table[i].reference), &url,
				    &failure);

		if (r != 0) {
			fail_msg("%s: %d %s", table[i].reference, r, failure.links[0].text);
		}
		text = url_print(&url);
		assert_non_null(text);
		if (strcmp(text, table[i].want) != 0) {
			fail_msg("%s on %s: %s", table[i].reference, table[i].base, text);
		}
		again = parsed(text);
		assert_int_equal(again.path_empty, url.path_empty);
		assert_int_equal(again.is_address, url.is_address);
		assert_true(url_same_origin(&url, &again));
		assert_string_equal(again.path, url.path);
		url_fini(&again);
		free(text);
		url_fini(&url);
		url_fini(&base);
	}
}

static void test_resolve_refuses(void **state)
{
	static const struct {
		const char *reference;
		enum failure_code code;
		const char *says;
	} table[] = {
		{"ftp://b/", FAIL_URL_SCHEME, "ftp"},
		{"javascript:alert(1)", FAIL_URL_SCHEME, "javascript"},
		{"mailto:me@b", FAIL_URL_SCHEME, "mailto"},
		{"http:g", FAIL_URL_INVALID, "//"},
		{"https:/g", FAIL_URL_INVALID, "//"},
		{":g", FAIL_URL_INVALID, "scheme"},
		{"https://", FAIL_URL_HOST, ""},
		{"//", FAIL_URL_HOST, ""},
		{"///g", FAIL_URL_HOST, ""},
		{"//me:secret@b/", FAIL_URL_USERINFO, ""},
		{"https://me:secret@b/", FAIL_URL_USERINFO, ""},
		{"//b:0/", FAIL_URL_INVALID, "port"},
		{"//b:99999/", FAIL_URL_INVALID, "port"},
		{"/a b", FAIL_URL_INVALID, "%20"},
		{"a\tb", FAIL_URL_INVALID, "0x09"},
		{"/\xc3\xbc", FAIL_URL_INVALID, "%C3"},
		{"/%4", FAIL_URL_INVALID, "%25"},
		{"/a?b^c", FAIL_URL_INVALID, "%5E"},
		{"\\\\evil.example", FAIL_URL_INVALID, "%5C"},
		{"/\\evil.example", FAIL_URL_INVALID, "%5C"},
	};
	struct url base = parsed("https://a/b");

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct failure failure = {.count = 0};
		struct url url;
		int r;

		memset(&url, 0x5a, sizeof(url));
		r = url_resolve(&base, table[i].reference, strlen(table[i].reference), &url,
				&failure);
		if (r != (int)table[i].code || failure_top(&failure) != table[i].code ||
		    !strstr(failure.links[0].text, table[i].says)) {
			fail_msg("%s: got %d %s \"%s\"", table[i].reference, r,
				 failure_code_name(failure_top(&failure)), failure.links[0].text);
		}
		assert_null(strstr(failure.links[0].text, "secret"));
		for (size_t k = 0; k < sizeof(url); k++) {
			assert_int_equal(((unsigned char *)&url)[k], 0x5a);
		}
	}
	/* A NUL is a control character, not the end. */
	{
		struct failure failure = {.count = 0};
		struct url url;

		assert_int_equal(url_resolve(&base, "/a\0b", 4, &url, &failure), FAIL_URL_INVALID);
		assert_int_equal(url_resolve(&base, NULL, 0, &url, &failure), 0);
		url_fini(&url);
	}
	url_fini(&base);
}

/* What comes out is within the limit that url_parse() has. */
static void test_resolve_limit(void **state)
{
	struct failure failure = {.count = 0};
	struct url base = {.host = NULL};
	struct url url = {.host = NULL};
	char *text = malloc(URL_MAX + 2);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', URL_MAX + 2);
	memcpy(text, "https://h/", 10);
	assert_int_equal(url_parse(text, URL_MAX, &base, &failure), 0);
	assert_int_equal(url_resolve(&base, "#", 1, &url, &failure), 0);
	assert_string_equal(base.path, url.path);
	url_fini(&url);
	assert_int_equal(url_resolve(&base, "?", 1, &url, &failure), FAIL_URL_INVALID);
	text[0] = '/';
	assert_int_equal(url_resolve(&base, text, URL_MAX + 1, &url, &failure), FAIL_URL_INVALID);
	text[4] = 'x';
	assert_int_equal(url_resolve(&base, text, URL_MAX, &url, &failure), FAIL_URL_INVALID);
	url_fini(&base);
	free(text);
}

static void test_same_origin(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} table[] = {
		{"https://a/", "https://a:443/x?y", true},   {"https://a/", "https://A./", true},
		{"https://a/", "http://a/", false},          {"https://a/", "http://a:443/", false},
		{"https://a/", "https://a:8443/", false},    {"https://a/", "https://b.a/", false},
		{"https://[::1]/", "https://[0::1]/", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct url a = parsed(table[i].a);
		struct url b = parsed(table[i].b);

		assert_int_equal(url_same_origin(&a, &b), table[i].same);
		assert_int_equal(url_same_origin(&b, &a), table[i].same);
		url_fini(&a);
		url_fini(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_length_counts),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_fini_is_idempotent),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_resolve_refuses),
		cmocka_unit_test(test_resolve_limit),
		cmocka_unit_test(test_same_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
