/* SPDX-License-Identifier: MIT */
/* client/fetchctl/json.c: octets as JSON, and the shape of an end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void expect_octets(const char *data, size_t length, const char *expected,
			  size_t expected_length)
{
	json_t *string = json_octets(data, length);

	assert_non_null(string);
	assert_int_equal(json_string_length(string), expected_length);
	assert_memory_equal(json_string_value(string), expected, expected_length);
	json_decref(string);
}

static void test_octets(void **state)
{
	(void)state;
	expect_octets("abc", 3, "abc", 3);
	expect_octets("", 0, "", 0);
	expect_octets("a\0b", 3, "a\0b", 3);
	expect_octets("\xc3\xa4", 2, "\xc3\xa4", 2); /* UTF-8 as it is */
	expect_octets("\xe4", 1, "\xc3\xa4", 2);     /* Latin-1 */
	expect_octets("\xc3\xa4\xff", 3, "\xc3\x83\xc2\xa4\xc3\xbf", 6);
	expect_octets("\xed\xa0\x80", 3, "\xc3\xad\xc2\xa0\xc2\x80", 6); /* a surrogate */
}

static void test_counts(void **state)
{
	json_t *number = json_count(UINT64_MAX);

	(void)state;
	assert_true(json_integer_value(number) == INT64_MAX);
	json_decref(number);
}

static void test_closed(void **state)
{
	const struct fetchd_failure failure = {
		.code = FETCHD_FAIL_H2_RESET, .text = "reset \"x\"", .h2_code = 8};
	const struct fetchd_attempt attempt = {
		.remote = "", .why = "never sent", .url = "", .outcome = FETCHD_CLOSE_RESET};
	const struct fetchd_closed closed = {
		.reason = FETCHD_CLOSE_RESET,
		.failures = &failure,
		.failure_count = 1,
		.attempts = &attempt,
		.attempt_count = 1,
		.dns_us = -1,
		.end_us = 17,
	};
	json_t *object = json_closed(&closed);

	(void)state;
	assert_non_null(object);
	assert_string_equal(json_string_value(json_object_get(object, "reason")), "RESET");
	const json_t *first = json_array_get(json_object_get(object, "failures"), 0);
	assert_string_equal(json_string_value(json_object_get(first, "code")), "H2_RESET");
	assert_string_equal(json_string_value(json_object_get(first, "text")), "reset \"x\"");
	assert_int_equal(json_integer_value(json_object_get(first, "h2_code")), 8);
	const json_t *timings = json_object_get(object, "timings");
	assert_true(json_is_null(json_object_get(timings, "dns_us")));
	assert_int_equal(json_integer_value(json_object_get(timings, "end_us")), 17);
	assert_int_equal(json_array_size(json_object_get(object, "attempts")), 1);
	json_decref(object);
}

static const json_t *first_attempt(const json_t *closed)
{
	return json_array_get(json_object_get(closed, "attempts"), 0);
}

/* Where redirections led: the URL of each attempt, null where it is the submitted one. */
static void test_urls(void **state)
{
	struct fetchd_attempt attempt = {.remote = "", .why = "", .url = ""};
	const struct fetchd_closed closed = {.attempts = &attempt, .attempt_count = 1};
	json_t *object = json_closed(&closed);

	(void)state;
	assert_true(json_is_null(json_object_get(first_attempt(object), "url")));
	json_decref(object);
	attempt.url = "https://b/moved";
	object = json_closed(&closed);
	assert_string_equal(json_string_value(json_object_get(first_attempt(object), "url")),
			    "https://b/moved");
	json_decref(object);
}

static void test_job(void **state)
{
	struct fetchd_job_info info = {
		.method = "GET",
		.url = "https://a/",
		.client_name = "",
		.waiting_for = "",
		.content_length = -1,
		.wait = {.left_ms = -1, .limit = ""},
	};
	json_t *object = json_job(&info), *wait;

	(void)state;
	assert_true(json_is_null(json_object_get(object, "wait")));
	json_decref(object);

	info.wait = (struct fetchd_wait){FETCHD_WAIT_STREAM_LIMIT, 3200, -1,
					 "SETTINGS_MAX_CONCURRENT_STREAMS", 100};
	object = json_job(&info);
	wait = json_object_get(object, "wait");
	assert_string_equal(json_string_value(json_object_get(wait, "reason")), "STREAM_LIMIT");
	assert_int_equal(json_integer_value(json_object_get(wait, "for_ms")), 3200);
	assert_true(json_is_null(json_object_get(wait, "left_ms")));
	assert_string_equal(json_string_value(json_object_get(wait, "limit")),
			    "SETTINGS_MAX_CONCURRENT_STREAMS");
	assert_int_equal(json_integer_value(json_object_get(wait, "limit_value")), 100);
	json_decref(object);

	/* No limit, but a time: and 0 is one. */
	info.wait = (struct fetchd_wait){FETCHD_WAIT_RETRY_TIMER, 1, 0, "", 0};
	object = json_job(&info);
	wait = json_object_get(object, "wait");
	assert_int_equal(json_integer_value(json_object_get(wait, "left_ms")), 0);
	assert_true(json_is_integer(json_object_get(wait, "left_ms")));
	assert_true(json_is_null(json_object_get(wait, "limit")));
	assert_true(json_is_null(json_object_get(wait, "limit_value")));
	json_decref(object);
}

static void test_connections(void **state)
{
	const struct fetchd_pool_connection connections[] = {
		{.origin = "https://a:443",
		 .connection = 7,
		 .state = FETCHD_CONNECTION_OPEN,
		 .streams = 3,
		 .stream_limit = 100,
		 .remote = "192.0.2.1:443",
		 .send_window_bytes = 65535,
		 .ping_ago_ms = 5,
		 .ping_rtt_us = 310,
		 .left_ms = -1,
		 .why = "in use"},
		{.origin = "https://a:443",
		 .state = FETCHD_CONNECTION_FAILED,
		 .remote = "",
		 .ping_ago_ms = -1,
		 .ping_rtt_us = -1,
		 .left_ms = 900,
		 .why = "refused"},
	};
	const struct fetchd_stats stats = {.connection_list = connections,
					   .connection_list_count = 2};
	json_t *array = json_connections(&stats);
	const json_t *first = json_array_get(array, 0), *second = json_array_get(array, 1);

	(void)state;
	assert_int_equal(json_array_size(array), 2);
	assert_string_equal(json_string_value(json_object_get(first, "state")), "OPEN");
	assert_int_equal(json_integer_value(json_object_get(first, "id")), 7);
	assert_int_equal(json_integer_value(json_object_get(first, "stream_limit")), 100);
	assert_int_equal(json_integer_value(json_object_get(first, "send_window_bytes")), 65535);
	assert_int_equal(json_integer_value(json_object_get(first, "ping_rtt_us")), 310);
	assert_true(json_is_null(json_object_get(first, "left_ms")));
	assert_string_equal(json_string_value(json_object_get(second, "state")), "FAILED");
	assert_true(json_is_null(json_object_get(second, "remote")));
	assert_true(json_is_null(json_object_get(second, "ping_ago_ms")));
	assert_int_equal(json_integer_value(json_object_get(second, "left_ms")), 900);
	json_decref(array);
}

static void test_without_memory_nothing_is_printed(void **state)
{
	json_t *object = json_object();

	(void)state;
	/* As after a failed allocation anywhere below. */
	json_put(&object, "good", json_true());
	json_put(&object, "bad", NULL);
	assert_null(object);
	json_put(&object, "late", json_string("x"));
	assert_null(object);
	assert_int_equal(json_print(object), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_octets),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_closed),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_job),
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_without_memory_nothing_is_printed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
