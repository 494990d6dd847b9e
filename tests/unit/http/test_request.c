/* SPDX-License-Identifier: MIT */
/*
 * Requests: what is taken, what is refused, what methods mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/request.h"

static int make(const char *method, const char *url, struct request *request,
		struct failure *failure)
{
	struct request_spec spec = {.url = url, .method = method};

	memset(request, 0x5a, sizeof(*request));
	failure_clear(failure);
	return request_make(&spec, "", request, failure);
}

static void get_is_the_default(void **state)
{
	struct request request;
	struct failure failure;

	(void)state;
	assert_int_equal(make("", "https://example.org/a?b#c", &request, &failure), 0);
	assert_string_equal(request.method, "GET");
	assert_string_equal(request_path(&request), "/a?b");
	assert_string_equal(request.url.authority, "example.org");
	assert_false(request.has_body);
	assert_null(request.body);
	assert_int_equal(header_list_count(&request.headers), 0);
	request_fini(&request);
	request_fini(&request);
}

static void methods(void **state)
{
	static const struct {
		const char *method;
		bool idempotent, body;
	} good[] = {
		{"GET", true, true},
		{"HEAD", true, false},
		{"OPTIONS", true, true},
		{"TRACE", true, true},
		{"PUT", true, true},
		{"DELETE", true, true},
		{"POST", false, true},
		{"PATCH", false, true},
		{"PROPFIND", false, true},
		/* Methods are case-sensitive: this is another one. */
		{"get", false, true},
		{"connect", false, true},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456", false, true},
	};
	static const char *const bad[] = {"CONNECT", "GE T",
					  "GET\r\n", "G\xc3\x96T",
					  "(GET)",   "ABCDEFGHIJKLMNOPQRSTUVWXYZ1234567"};
	struct request request;
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(make(good[i].method, "https://h/", &request, &failure), 0);
		assert_string_equal(request.method, good[i].method);
		assert_int_equal(request_is_idempotent(&request), good[i].idempotent);
		assert_int_equal(request_expects_body(&request), good[i].body);
		request_fini(&request);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(make(bad[i], "https://h/", &request, &failure),
				 FAIL_METHOD_INVALID);
		assert_int_equal(failure_top(&failure), FAIL_METHOD_INVALID);
	}
}

static void options_of_the_whole_server(void **state)
{
	static const struct {
		const char *method, *url, *path;
	} table[] = {
		{"OPTIONS", "https://h", "*"},     {"OPTIONS", "https://h/", "/"},
		{"OPTIONS", "https://h?q", "/?q"}, {"OPTIONS", "https://h#f", "*"},
		{"GET", "https://h", "/"},         {"HEAD", "https://h?q", "/?q"},
	};
	struct request request;
	struct failure failure;

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(make(table[i].method, table[i].url, &request, &failure), 0);
		assert_string_equal(request_path(&request), table[i].path);
		request_fini(&request);
	}
}

static void bodies(void **state)
{
	uint8_t bytes[] = "octets";
	struct request_spec spec = {.url = "https://h/",
				    .method = "POST",
				    .body = bytes,
				    .body_length = 6,
				    .has_body = true};
	struct request request;
	struct failure failure;
	struct header_field field;

	(void)state;
	assert_int_equal(request_make(&spec, "ua", &request, &failure), 0);
	bytes[0] = 'X'; /* it has its own copy */
	assert_int_equal(request.body_length, 6);
	assert_memory_equal(request.body, "octets", 6);
	field = header_list_get(&request.headers,
				header_list_find(&request.headers, "content-length", 0));
	assert_int_equal(field.value_length, 1);
	assert_int_equal(field.value[0], '6');
	assert_int_equal(header_list_count(&request.headers), 2);
	request_fini(&request);
	/* An empty body is a body: its length is said. */
	spec.body = NULL;
	spec.body_length = 0;
	assert_int_equal(request_make(&spec, "", &request, &failure), 0);
	assert_true(request.has_body);
	assert_null(request.body);
	assert_int_equal(header_list_find(&request.headers, "content-length", 0), 0);
	assert_int_equal(header_list_count(&request.headers), 1);
	request_fini(&request);
	spec.method = "TRACE";
	assert_int_equal(request_make(&spec, "", &request, &failure), FAIL_BODY_INVALID);
	assert_int_equal(failure_top(&failure), FAIL_BODY_INVALID);
}

static void refusals_free_what_was_made(void **state)
{
	struct header_field connection = {"connection", 10, "close", 5};
	struct request_spec spec = {.url = "https://h/",
				    .method = "POST",
				    .headers = &connection,
				    .header_count = 1,
				    .body = (const uint8_t *)"x",
				    .body_length = 1,
				    .has_body = true};
	struct request request;
	struct failure failure;

	(void)state;
	assert_int_equal(request_make(&spec, "", &request, &failure), FAIL_HEADER_INVALID);
	assert_int_equal(make("GET", "ftp://h/", &request, &failure), FAIL_URL_SCHEME);
	assert_int_equal(make("GET", "https://u:p@h/", &request, &failure), FAIL_URL_USERINFO);
	assert_int_equal(make("GET", "", &request, &failure), FAIL_URL_INVALID);
}

static void host_field_against_the_url(void **state)
{
	struct header_field host = {"Host", 4, "[::1]:8443", 10};
	struct request_spec spec = {
		.url = "https://[::1]:8443/", .method = "GET", .headers = &host, .header_count = 1};
	struct request request;
	struct failure failure;

	(void)state;
	assert_int_equal(request_make(&spec, "", &request, &failure), 0);
	assert_int_equal(header_list_count(&request.headers), 0);
	request_fini(&request);
	spec.url = "https://[::1]/";
	assert_int_equal(request_make(&spec, "", &request, &failure), FAIL_HEADER_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(get_is_the_default),
		cmocka_unit_test(methods),
		cmocka_unit_test(options_of_the_whole_server),
		cmocka_unit_test(bodies),
		cmocka_unit_test(refusals_free_what_was_made),
		cmocka_unit_test(host_field_against_the_url),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
