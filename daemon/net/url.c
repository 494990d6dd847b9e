/* SPDX-License-Identifier: MIT */
/*
 * URLs: scheme and authority are taken apart here, because they may hold what RFC 3986 does not
 * know (names in UTF-8) and because their mistakes deserve better words than "syntax error";
 * uriparser judges the whole, with the prepared host in it, and removes the dot segments. Nothing
 * else of path and query is rewritten: some servers sign them as they are spelled.
 */
#include "net/url.h"
#include "net/url_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uriparser/Uri.h>

#define PORT_HTTP 80u
#define PORT_HTTPS 443u
#define SCHEME_SHOWN_MAX 32

struct span {
	const char *at;
	size_t length;
};

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int check_characters(const char *text, size_t length, struct failure *ret_failure)
{
	if (length == 0) {
		failure_set(ret_failure, FAIL_URL_INVALID, "the URL is empty");
		return FAIL_URL_INVALID;
	}
	if (length > URL_MAX) {
		failure_set(ret_failure, FAIL_URL_INVALID, "the URL has %zu bytes, the limit is %u",
			    length, URL_MAX);
		return FAIL_URL_INVALID;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == ' ') {
			failure_set(ret_failure, FAIL_URL_INVALID,
				    "a blank at offset %zu: write it as %%20", i);
			return FAIL_URL_INVALID;
		}
		if (c < 0x20 || c == 0x7f) {
			failure_set(ret_failure, FAIL_URL_INVALID,
				    "a control character (0x%02x) at offset %zu", c, i);
			return FAIL_URL_INVALID;
		}
	}
	return 0;
}

/* The scheme's length; what follows is "://". */
static int parse_scheme(const char *text, size_t length, bool *ret_tls, size_t *ret_length,
			struct failure *ret_failure)
{
	const char *colon = memchr(text, ':', length);
	size_t scheme = colon ? (size_t)(colon - text) : 0;
	bool slashes = colon && length - scheme >= 3 && memcmp(colon, "://", 3) == 0;
	bool valid = scheme > 0 && is_alpha(text[0]);

	for (size_t i = 1; valid && i < scheme; i++) {
		valid = is_alpha(text[i]) || (text[i] >= '0' && text[i] <= '9') || text[i] == '+' ||
			text[i] == '-' || text[i] == '.';
	}
	if (valid && scheme == 5 && strncasecmp(text, "https", scheme) == 0) {
		*ret_tls = true;
	} else if (valid && scheme == 4 && strncasecmp(text, "http", scheme) == 0) {
		*ret_tls = false;
	} else if (valid && (slashes || !memchr(text, '.', scheme)) &&
		   strncasecmp(text, "localhost", scheme) != 0) {
		failure_set(ret_failure, FAIL_URL_SCHEME,
			    "the scheme \"%.*s\" is not supported: https and http are",
			    scheme > SCHEME_SHOWN_MAX ? SCHEME_SHOWN_MAX : (int)scheme, text);
		return FAIL_URL_SCHEME;
	} else {
		failure_set(ret_failure, FAIL_URL_INVALID,
			    "no scheme: a URL begins with https:// or http://");
		return FAIL_URL_INVALID;
	}
	if (!slashes) {
		failure_set(ret_failure, FAIL_URL_INVALID, "\"//\" is missing after \"%.*s:\"",
			    (int)scheme, text);
		return FAIL_URL_INVALID;
	}
	*ret_length = scheme;
	return 0;
}

static int parse_port(struct span text, uint16_t *ret_port, struct failure *ret_failure)
{
	unsigned value = 0;

	for (size_t i = 0; i < text.length; i++) {
		char c = text.at[i];

		if (c < '0' || c > '9') {
			failure_set(ret_failure, FAIL_URL_INVALID,
				    "the port is no number (1 to 65535)");
			return FAIL_URL_INVALID;
		}
		if (value <= UINT16_MAX) {
			value = value * 10 + (unsigned)(c - '0');
		}
	}
	if (value == 0 || value > UINT16_MAX) {
		failure_set(ret_failure, FAIL_URL_INVALID, "the port is not in 1 to 65535");
		return FAIL_URL_INVALID;
	}
	*ret_port = (uint16_t)value;
	return 0;
}

/* Cuts "host:port"; *ret_port stays when there is none, or an empty one (RFC 3986, 3.2.3). */
static int parse_authority(struct span authority, struct span *ret_host, uint16_t *ret_port,
			   struct failure *ret_failure)
{
	struct span host = authority;
	struct span port = {NULL, 0};
	const char *colon = NULL;

	if (memchr(authority.at, '@', authority.length)) {
		failure_set(ret_failure, FAIL_URL_USERINFO,
			    "user names and passwords in a URL are not taken: send them as a "
			    "header field, -H 'Authorization: ...'");
		return FAIL_URL_USERINFO;
	}
	if (memchr(authority.at, '\\', authority.length)) {
		failure_set(ret_failure, FAIL_URL_INVALID,
			    "a backslash before the path: URLs are written with \"/\"");
		return FAIL_URL_INVALID;
	}
	if (authority.length > 0 && authority.at[0] == '[') {
		const char *end = memchr(authority.at, ']', authority.length);
		size_t used;

		if (!end) {
			failure_set(ret_failure, FAIL_URL_HOST, "\"]\" is missing after the host");
			return FAIL_URL_HOST;
		}
		used = (size_t)(end - authority.at) + 1;
		host.length = used;
		if (used < authority.length) {
			colon = authority.at + used;
			if (*colon != ':') {
				failure_set(ret_failure, FAIL_URL_HOST,
					    "only \":\" and a port can follow \"]\"");
				return FAIL_URL_HOST;
			}
		}
	} else {
		colon = memchr(authority.at, ':', authority.length);
		if (colon) {
			host.length = (size_t)(colon - authority.at);
		}
	}
	if (colon) {
		port.at = colon + 1;
		port.length = (size_t)(authority.at + authority.length - port.at);
		if (authority.at[0] != '[' && memchr(port.at, ':', port.length)) {
			failure_set(ret_failure, FAIL_URL_HOST,
				    "more than one \":\" in the host: an IPv6 address needs "
				    "brackets, like https://[2001:db8::1]/");
			return FAIL_URL_HOST;
		}
	}
	if (port.length > 0) {
		int r = parse_port(port, ret_port, ret_failure);

		if (r != 0) {
			return r;
		}
	}
	*ret_host = host;
	return 0;
}

static int make_authority(struct url *url)
{
	bool brackets = strchr(url->host, ':') != NULL;
	size_t size = strlen(url->host) + sizeof("[]:65535");
	bool plain = url->port == (url->tls ? PORT_HTTPS : PORT_HTTP);
	char port[sizeof(":65535")] = "";

	if (!plain) {
		(void)snprintf(port, sizeof(port), ":%u", (unsigned)url->port);
	}
	url->authority = malloc(size);
	if (!url->authority) {
		return -ENOMEM;
	}
	(void)snprintf(url->authority, size, "%s%s%s%s", brackets ? "[" : "", url->host,
		       brackets ? "]" : "", port);
	return 0;
}

static size_t range_length(const UriTextRangeA *range)
{
	return range->first ? (size_t)(range->afterLast - range->first) : 0;
}

static char *append(char *to, const UriTextRangeA *range)
{
	size_t length = range_length(range);

	if (length > 0) {
		memcpy(to, range->first, length);
	}
	return to + length;
}

/* "/a/b?c" */
int url_print_path(const struct UriUriStructA *uri, struct url *url)
{
	size_t size = sizeof("/?") + range_length(&uri->query);
	const UriPathSegmentA *segment;
	char *at;

	for (segment = uri->pathHead; segment; segment = segment->next) {
		size += 1 + range_length(&segment->text);
	}
	url->path = malloc(size);
	if (!url->path) {
		return -ENOMEM;
	}
	at = url->path;
	for (segment = uri->pathHead; segment; segment = segment->next) {
		*at++ = '/';
		at = append(at, &segment->text);
	}
	if (!uri->pathHead) {
		*at++ = '/';
	}
	if (uri->query.first) {
		*at++ = '?';
		at = append(at, &uri->query);
	}
	*at = '\0';
	return 0;
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* `offset`: where uriparser stopped. For half an escape sequence that is up to two bytes too far.
 */
void url_explain_syntax(const char *text, size_t offset, size_t length, struct failure *ret_failure)
{
	unsigned char c;

	for (size_t i = offset > 2 ? offset - 2 : 0; i <= offset && i < length; i++) {
		if (text[i] == '%' &&
		    (length - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2]))) {
			failure_set(ret_failure, FAIL_URL_INVALID,
				    "\"%%\" at offset %zu is not followed by two hexadecimal "
				    "digits: a percent sign is written as %%25",
				    i);
			return;
		}
	}
	c = offset < length ? (unsigned char)text[offset] : 0;
	if (offset >= length) {
		failure_set(ret_failure, FAIL_URL_INVALID, "the URL ends too early");
	} else if (c > 0x20 && c < 0x7f) {
		failure_set(ret_failure, FAIL_URL_INVALID,
			    "'%c' at offset %zu has to be percent-encoded: %%%02X", c, offset, c);
	} else {
		failure_set(ret_failure, FAIL_URL_INVALID,
			    "the byte 0x%02x at offset %zu has to be percent-encoded: %%%02X", c,
			    offset, c);
	}
}

/* Resolving a reference that has a scheme gives it back with its dot segments removed (RFC 3986,
 * 5.2.2): the way to have that, and only that, done. */
static int remove_dots(const UriUriA *uri, struct url *url)
{
	UriUriA absolute;
	int status = uriAddBaseUriExA(&absolute, uri, uri, URI_RESOLVE_STRICTLY);
	int r;

	if (status != URI_SUCCESS) {
		return status == URI_ERROR_MALLOC ? -ENOMEM : -EINVAL;
	}
	r = url_print_path(&absolute, url);
	uriFreeUriMembersA(&absolute);
	return r;
}

/* `rest`: path, query and fragment, whose offset in the URL is `offset`. */
static int parse_rest(struct span rest, size_t offset, struct url *url, struct failure *ret_failure)
{
	const char *scheme = url->tls ? "https://" : "http://";
	size_t prefix = strlen(scheme) + strlen(url->authority);
	size_t size = prefix + rest.length + 1;
	char *whole = malloc(size);
	const char *error_at = NULL;
	UriUriA uri;
	int status;
	int r;

	if (!whole) {
		return -ENOMEM;
	}
	(void)snprintf(whole, size, "%s%s%.*s", scheme, url->authority, (int)rest.length, rest.at);
	status = uriParseSingleUriExA(&uri, whole, whole + size - 1, &error_at);
	if (status == URI_SUCCESS) {
		url->path_empty = !uri.pathHead && !uri.query.first;
		r = remove_dots(&uri, url);
		uriFreeUriMembersA(&uri);
	} else if (status == URI_ERROR_MALLOC) {
		r = -ENOMEM;
	} else {
		size_t at = error_at ? (size_t)(error_at - whole) : prefix;

		/* The prefix is ours and right; uriparser points at or after the culprit's start.
		 */
		at = at < prefix ? 0 : at - prefix;
		url_explain_syntax(rest.at - offset, offset + at, offset + rest.length,
				   ret_failure);
		r = FAIL_URL_INVALID;
	}
	free(whole);
	return r;
}

static int parse(const char *text, size_t length, struct url *url, struct failure *ret_failure)
{
	struct span authority, host, rest;
	size_t scheme = 0;
	int r = check_characters(text, length, ret_failure);

	if (r == 0) {
		r = parse_scheme(text, length, &url->tls, &scheme, ret_failure);
	}
	if (r != 0) {
		return r;
	}
	authority.at = text + scheme + strlen("://");
	authority.length = length - (size_t)(authority.at - text);
	for (size_t i = 0; i < authority.length; i++) {
		if (authority.at[i] == '/' || authority.at[i] == '?' || authority.at[i] == '#') {
			authority.length = i;
		}
	}
	rest.at = authority.at + authority.length;
	rest.length = length - (size_t)(rest.at - text);

	url->port = url->tls ? PORT_HTTPS : PORT_HTTP;
	r = parse_authority(authority, &host, &url->port, ret_failure);
	if (r != 0) {
		return r;
	}
	r = url_host_prepare(host.at, host.length, &url->host, &url->is_address, ret_failure);
	if (r != 0) {
		return r;
	}
	r = make_authority(url);
	if (r != 0) {
		return r;
	}
	return parse_rest(rest, (size_t)(rest.at - text), url, ret_failure);
}

int url_parse(const char *text, size_t length, struct url *ret_url, struct failure *ret_failure)
{
	struct url url = {.host = NULL};
	int r = parse(text, length, &url, ret_failure);

	if (r != 0) {
		url_fini(&url);
		return r;
	}
	*ret_url = url;
	return 0;
}

char *url_print(const struct url *url)
{
	const char *scheme = url->tls ? "https://" : "http://";
	const char *path = url->path_empty ? "" : url->path;
	size_t size = strlen(scheme) + strlen(url->authority) + strlen(path) + 1;
	char *text = malloc(size);

	if (text) {
		(void)snprintf(text, size, "%s%s%s", scheme, url->authority, path);
	}
	return text;
}

void url_fini(struct url *url)
{
	free(url->host);
	free(url->authority);
	free(url->path);
	*url = (struct url){.host = NULL};
}
