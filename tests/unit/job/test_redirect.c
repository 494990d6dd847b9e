/* SPDX-License-Identifier: MIT */
/*
 * The rules of redirection: which responses are one, and what the next request looks like.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job/redirect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD_OF(key, content)                             \
	((struct header_field){.name = (key),              \
			       .name_length = strlen(key), \
			       .value = (content),         \
			       .value_length = strlen(content)})

static struct request made(const char *method, const char *url, const struct header_field *fields,
			   size_t count, const char *body)
{
	struct request_spec spec = {
		.url = url,
		.method = method,
		.headers = fields,
		.header_count = count,
		.body = (const uint8_t *)body,
		.body_length = body ? strlen(body) : 0,
		.has_body = body != NULL,
	};
	struct failure failure = {.count = 0};
	struct request request;
	int rc = request_make(&spec, "tester", &request, &failure);

	if (rc != 0) {
		fail_msg("%s: %s", url, failure.links[0].text);
	}
	return request;
}

static struct header_list answer(const char *location)
{
	struct header_list headers;

	header_list_init(&headers, 65536, 10);
	assert_int_equal(header_list_add(&headers, &FIELD_OF("server", "x")), 0);
	if (location) {
		assert_int_equal(header_list_add(&headers, &FIELD_OF("location", location)), 0);
	}
	return headers;
}

static int redirect(const struct request *from, unsigned status, const char *location,
		    const struct redirect_policy *policy, struct request *ret_request,
		    struct failure *ret_failure)
{
	struct header_list headers = answer(location);
	int rc = redirect_make(from, status, &headers, policy, ret_request, ret_failure);

	header_list_clear(&headers);
	return rc;
}

static bool has(const struct request *request, const char *name)
{
	return header_list_find(&request->headers, name, 0) < header_list_count(&request->headers);
}

static void which_responses_lead_somewhere(void **state)
{
	struct header_list with = answer("/");
	struct header_list without = answer(NULL);

	(void)state;
	for (unsigned status = 100; status < 1000; status++) {
		assert_int_equal(redirect_is(status, &with),
				 status == 301 || status == 302 || status == 303 || status == 307 ||
					 status == 308);
		assert_false(redirect_is(status, &without));
	}
	header_list_clear(&with);
	header_list_clear(&without);
}

/* RFC 9110, sections 15.4.2 to 15.4.9. */
static void methods(void **state)
{
	static const struct {
		unsigned status;
		const char *method, *next;
		bool body;
	} table[] = {
		{301, "GET", "GET", true},       {302, "GET", "GET", true},
		{303, "GET", "GET", false},      {307, "GET", "GET", true},
		{308, "GET", "GET", true},       {301, "HEAD", "HEAD", true},
		{302, "HEAD", "HEAD", true},     {303, "HEAD", "HEAD", false},
		{307, "HEAD", "HEAD", true},     {308, "HEAD", "HEAD", true},
		{301, "POST", "GET", false},     {302, "POST", "GET", false},
		{303, "POST", "GET", false},     {307, "POST", "POST", true},
		{308, "POST", "POST", true},     {301, "PUT", "PUT", true},
		{302, "PUT", "PUT", true},       {303, "PUT", "GET", false},
		{307, "PUT", "PUT", true},       {308, "PUT", "PUT", true},
		{301, "DELETE", "DELETE", true}, {302, "DELETE", "DELETE", true},
		{303, "DELETE", "GET", false},   {301, "post", "post", true},
		{303, "OPTIONS", "GET", false},  {302, "PROPFIND", "PROPFIND", true},
	};
	struct header_field fields[] = {
		FIELD_OF("content-type", "text/plain"),
		FIELD_OF("x-a", "1"),
		FIELD_OF("content-encoding", "gzip"),
		FIELD_OF("content-language", "en"),
		FIELD_OF("content-location", "/there"),
		FIELD_OF("content-digest", "sha-256=:x=:"),
		FIELD_OF("expect", "100-continue"),
		FIELD_OF("digest", "x"),
		FIELD_OF("repr-digest", "x"),
		FIELD_OF("trailer", "x-t"),
		FIELD_OF("last-modified", "yesterday"),
		FIELD_OF("accept", "*/*"),
		FIELD_OF("authorization", "Bearer abc"),
		FIELD_OF("Cookie", "a=b"),
		FIELD_OF("range", "bytes=1-"),
		FIELD_OF("x-a", "2"),
	};
	static const char *const described[] = {
		"content-type",   "content-encoding", "content-language", "content-location",
		"content-digest", "expect",           "digest",           "repr-digest",
		"trailer",        "last-modified",    "content-length",
	};
	struct redirect_policy policy = {.h2c_hosts = ""};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct request from = made(table[i].method, "https://a/b?c", fields,
					   sizeof(fields) / sizeof(fields[0]), "the body");
		struct failure failure = {.count = 0};
		struct request to;

		assert_int_equal(redirect(&from, table[i].status, "d#e", &policy, &to, &failure),
				 0);
		if (strcmp(to.method, table[i].next) != 0 || to.has_body != table[i].body) {
			fail_msg("%u %s: %s", table[i].status, table[i].method, to.method);
		}
		assert_string_equal(to.url.path, "/d");
		for (size_t k = 0; k < sizeof(described) / sizeof(described[0]); k++) {
			assert_int_equal(has(&to, described[k]), table[i].body);
		}
		/* Everything else is as it was, in its order, secrets included: it is the same
		 * origin. */
		assert_int_equal(header_list_count(&to.headers),
				 header_list_count(&from.headers) - (table[i].body ? 0 : 11));
		assert_true(has(&to, "authorization") && has(&to, "cookie") && has(&to, "range") &&
			    has(&to, "user-agent"));
		assert_memory_equal(
			header_list_get(&to.headers, header_list_find(&to.headers, "x-a", 0)).value,
			"1", 1);
		assert_int_equal(to.expects_continue, table[i].body);
		if (table[i].body) {
			assert_int_equal(to.body_length, 8);
			assert_memory_equal(to.body, "the body", 8);
			assert_ptr_not_equal(to.body, from.body);
		} else {
			assert_null(to.body);
			assert_int_equal(to.body_length, 0);
		}
		request_fini(&from);
		request_fini(&to);
	}
}

static void empty_body_stays_one(void **state)
{
	struct redirect_policy policy = {.h2c_hosts = ""};
	struct request from = made("POST", "https://a/", NULL, 0, "");
	struct failure failure = {.count = 0};
	struct request to;

	(void)state;
	assert_int_equal(redirect(&from, 307, "/b", &policy, &to, &failure), 0);
	assert_true(to.has_body);
	assert_int_equal(to.body_length, 0);
	assert_true(has(&to, "content-length"));
	request_fini(&to);
	request_fini(&from);
}

/* Another scheme, host or port: what is for one origin does not go to the other, nor back. */
static void secrets_stay_at_their_origin(void **state)
{
	static const struct {
		const char *location;
		bool same;
	} table[] = {
		{"/b", true},
		{"https://A.example:443/b", true},
		{"//a.example/b", true},
		{"https://b.example/", false},
		{"https://sub.a.example/", false},
		{"https://a.example:8443/", false},
		{"http://a.example/", false},
		{"http://a.example:443/", false},
	};
	struct header_field fields[] = {
		FIELD_OF("authorization", "Bearer abc"),
		FIELD_OF("proxy-authorization", "Basic x"),
		FIELD_OF("cookie", "a=b"),
		FIELD_OF("cookie", "c=d"),
		FIELD_OF("cookie2", "$Version=1"),
		FIELD_OF("x-a", "1"),
		FIELD_OF("referer", "https://a.example/from"),
	};
	struct redirect_policy policy = {.to_cleartext = true, .h2c_hosts = "a.example"};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct request from = made("GET", "https://a.example/x", fields, 7, NULL);
		struct failure failure = {.count = 0};
		struct request to;
		struct request back;

		assert_int_equal(redirect(&from, 302, table[i].location, &policy, &to, &failure),
				 0);
		for (unsigned k = 0; k < 5; k++) {
			if (has(&to, fields[k].name) != table[i].same) {
				fail_msg("%s to %s", fields[k].name, table[i].location);
			}
		}
		assert_true(has(&to, "x-a"));
		assert_int_equal(has(&to, "referer"), to.url.tls);
		assert_int_equal(
			redirect(&to, 302, "https://a.example/x", &policy, &back, &failure), 0);
		assert_int_equal(has(&back, "cookie"), table[i].same);
		assert_int_equal(has(&back, "authorization"), table[i].same);
		request_fini(&from);
		request_fini(&to);
		request_fini(&back);
	}
}

/* Where somebody came from without TLS may be told without. */
static void harmless_referer_goes_along(void **state)
{
	struct header_field field = FIELD_OF("referer", "http://other.example/");
	struct redirect_policy policy = {.to_cleartext = true, .h2c_hosts = "b"};
	struct request from = made("GET", "https://a/", &field, 1, NULL);
	struct failure failure = {.count = 0};
	struct request to;

	(void)state;
	assert_int_equal(redirect(&from, 302, "http://b/", &policy, &to, &failure), 0);
	assert_true(has(&to, "referer"));
	request_fini(&from);
	request_fini(&to);
}

static void cleartext(void **state)
{
	static const struct {
		const char *from, *location;
		bool to_cleartext;
		const char *h2c_hosts;
		int rc;
		unsigned links;
	} table[] = {
		{"https://a/", "http://b/", false, "", FAIL_REDIRECT_CLEARTEXT, 1},
		{"https://a/", "http://b/", false, "b", FAIL_REDIRECT_CLEARTEXT, 1},
		{"https://a/", "http://b/", true, "", FAIL_REDIRECT_CLEARTEXT, 2},
		{"https://a/", "http://b/", true, "b:81", FAIL_REDIRECT_CLEARTEXT, 2},
		{"https://a/", "http://b/", true, "b", 0, 0},
		{"http://a/", "http://b/", true, "a", FAIL_REDIRECT_CLEARTEXT, 2},
		{"http://a/", "http://b/", false, "a b", 0, 0},
		{"http://a/", "https://b/", false, "a", 0, 0},
		{"http://a/", "/c", false, "a", 0, 0},
		/* Not any more. */
		{"http://a/", "/c", false, "", FAIL_REDIRECT_CLEARTEXT, 2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct redirect_policy policy = {.to_cleartext = table[i].to_cleartext,
						 .h2c_hosts = table[i].h2c_hosts};
		struct request from = made("GET", table[i].from, NULL, 0, NULL);
		struct failure failure = {.count = 0};
		struct request to;
		int rc = redirect(&from, 308, table[i].location, &policy, &to, &failure);

		if (rc != table[i].rc || failure.count != table[i].links) {
			fail_msg("%s to %s: %d, %u links", table[i].from, table[i].location, rc,
				 failure.count);
		}
		if (rc == 0) {
			request_fini(&to);
		} else {
			assert_int_equal(failure_top(&failure), FAIL_REDIRECT_CLEARTEXT);
		}
		if (failure.count == 2) {
			assert_int_equal(failure.links[1].code, FAIL_CLEARTEXT_NOT_ALLOWED);
		}
		request_fini(&from);
	}
}

static void bad_locations(void **state)
{
	static const struct {
		const char *location;
		enum failure_code cause;
		const char *says;
	} table[] = {
		{"ftp://b/", FAIL_URL_SCHEME, "\"ftp://b/\""},
		{"javascript:alert(1)", FAIL_URL_SCHEME, "javascript"},
		{"data:,x", FAIL_URL_SCHEME, "data:,x"},
		{"https://me:secret@b/", FAIL_URL_USERINFO, "status 302"},
		{"//me@b/", FAIL_URL_USERINFO, "status 302"},
		{"https://b:0/", FAIL_URL_INVALID, "https://b:0/"},
		{"https://", FAIL_URL_HOST, "\"https://\""},
		{"/a b", FAIL_URL_INVALID, "/a b"},
		{"/\xc3\xbc\x01", FAIL_URL_INVALID, "\"/???\""},
		{"https://b.\xff/", FAIL_URL_HOST, "https://b.?/"},
	};
	struct redirect_policy policy = {.h2c_hosts = ""};
	struct request from = made("GET", "https://a/", NULL, 0, NULL);
	char *text = calloc(1, 9000);

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct failure failure = {.count = 0};
		struct request to;
		int rc = redirect(&from, 302, table[i].location, &policy, &to, &failure);

		if (rc != FAIL_REDIRECT_INVALID || failure_top(&failure) != FAIL_REDIRECT_INVALID ||
		    failure.count != 2 || failure.links[1].code != table[i].cause ||
		    !strstr(failure.links[0].text, table[i].says)) {
			fail_msg("%s: %d %s", table[i].location, rc, failure.links[0].text);
		}
		assert_null(strstr(failure.links[0].text, "secret"));
		assert_null(strstr(failure.links[1].text, "secret"));
	}
	/* A long one is quoted in part. */
	{
		struct failure failure = {.count = 0};
		struct request to;

		memset(text, 'a', 8999);
		text[0] = '/';
		assert_int_equal(redirect(&from, 302, text, &policy, &to, &failure),
				 FAIL_REDIRECT_INVALID);
		assert_non_null(strstr(failure.links[0].text, "aaa...\""));
		assert_true(strlen(failure.links[0].text) < FAILURE_TEXT_MAX - 1);
	}
	free(text);
	request_fini(&from);
}

static void more_than_one_location(void **state)
{
	struct redirect_policy policy = {.h2c_hosts = ""};
	struct request from = made("GET", "https://a/", NULL, 0, NULL);
	struct header_list headers = answer("/b");
	struct failure failure = {.count = 0};
	struct request to;

	(void)state;
	assert_int_equal(header_list_add(&headers, &FIELD_OF("location", "/b")), 0);
	assert_true(redirect_is(301, &headers));
	assert_int_equal(redirect_make(&from, 301, &headers, &policy, &to, &failure),
			 FAIL_REDIRECT_INVALID);
	assert_int_equal(failure.count, 1);
	assert_non_null(strstr(failure.links[0].text, "more than one"));
	header_list_clear(&headers);
	request_fini(&from);
}

static void blanks_are_no_part_of_it(void **state)
{
	struct redirect_policy policy = {.h2c_hosts = ""};
	struct request from = made("GET", "https://a/b", NULL, 0, NULL);
	struct failure failure = {.count = 0};
	struct request to;

	(void)state;
	assert_int_equal(redirect(&from, 301, " \t/c \t", &policy, &to, &failure), 0);
	assert_string_equal(to.url.path, "/c");
	request_fini(&to);
	/* Nothing is a reference, to the same document. */
	assert_int_equal(redirect(&from, 301, "  ", &policy, &to, &failure), 0);
	assert_string_equal(to.url.path, "/b");
	request_fini(&to);
	request_fini(&from);
}

/* A body that came in pieces is gone: only a redirection that leaves it out can be followed. */
static void body_that_is_gone(void **state)
{
	struct redirect_policy policy = {.h2c_hosts = "", .body_gone = true};
	struct request from = made("POST", "https://a/", NULL, 0, NULL);
	struct failure failure = {.count = 0};
	struct request to;

	(void)state;
	assert_int_equal(redirect(&from, 307, "/b", &policy, &to, &failure), FAIL_REDIRECT_INVALID);
	assert_int_equal(redirect(&from, 308, "/b", &policy, &to, &failure), FAIL_REDIRECT_INVALID);
	assert_int_equal(redirect(&from, 303, "/b", &policy, &to, &failure), 0);
	assert_string_equal(to.method, "GET");
	request_fini(&to);
	assert_int_equal(redirect(&from, 302, "/b", &policy, &to, &failure), 0);
	request_fini(&to);
	request_fini(&from);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_responses_lead_somewhere),
		cmocka_unit_test(methods),
		cmocka_unit_test(empty_body_stays_one),
		cmocka_unit_test(secrets_stay_at_their_origin),
		cmocka_unit_test(harmless_referer_goes_along),
		cmocka_unit_test(cleartext),
		cmocka_unit_test(bad_locations),
		cmocka_unit_test(more_than_one_location),
		cmocka_unit_test(blanks_are_no_part_of_it),
		cmocka_unit_test(body_that_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
