/* SPDX-License-Identifier: MIT */
/* client/names.c: the public enums are those of the protocol, and every value has its words. */
#include "unit/client/fake_daemon.h"

static void test_close_reasons(void **state)
{
	(void)state;
#define X(name, number)                                                            \
	assert_int_equal(FETCHD_CLOSE_##name, number);                             \
	assert_string_equal(fetchd_close_reason_name(FETCHD_CLOSE_##name), #name); \
	assert_string_not_equal(fetchd_close_reason_text(FETCHD_CLOSE_##name),     \
				fetchd_close_reason_text(FETCHD_CLOSE_UNSPECIFIED));
	CLOSE_REASON_TABLE(X)
#undef X
	assert_string_equal(fetchd_close_reason_name(FETCHD_CLOSE_DAEMON_LOST), "DAEMON_LOST");
	assert_string_equal(fetchd_close_reason_name((enum fetchd_close_reason)999), "UNSPECIFIED");
	assert_non_null(fetchd_close_reason_text((enum fetchd_close_reason)999));
}

static void test_failure_codes(void **state)
{
	(void)state;
#define X(name, number)                                                               \
	assert_int_equal(FETCHD_FAIL_##name, number);                                 \
	assert_string_equal(fetchd_failure_code_name(FETCHD_FAIL_##name), #name);     \
	if (fetchd_failure_advice(FETCHD_FAIL_##name) != NULL) {                      \
		assert_null(strchr(fetchd_failure_advice(FETCHD_FAIL_##name), '\n')); \
	}
	FAILURE_CODE_TABLE(X)
#undef X
	assert_string_equal(fetchd_failure_code_name((enum fetchd_failure_code)12345),
			    "UNSPECIFIED");
	assert_null(fetchd_failure_advice((enum fetchd_failure_code)12345));
	assert_non_null(fetchd_failure_advice(FETCHD_FAIL_URL_USERINFO));
}

static void test_other_enums(void **state)
{
	(void)state;
	assert_int_equal(FETCHD_PRIORITY_URGENT, WIRE_PRIORITY_URGENT);
	assert_string_equal(fetchd_priority_name(FETCHD_PRIORITY_LOW), "LOW");
	assert_int_equal(FETCHD_JOB_BACKOFF, WIRE_JOB_BACKOFF);
	assert_string_equal(fetchd_job_state_name(FETCHD_JOB_DELIVERING), "DELIVERING");
#define X(name, number)                               \
	assert_int_equal(FETCHD_WAIT_##name, number); \
	assert_string_equal(fetchd_wait_reason_name(FETCHD_WAIT_##name), #name);
	WAIT_REASON_TABLE(X)
#undef X
#define X(name, number)                                     \
	assert_int_equal(FETCHD_CONNECTION_##name, number); \
	assert_string_equal(fetchd_connection_state_name(FETCHD_CONNECTION_##name), #name);
	CONNECTION_STATE_TABLE(X)
#undef X
	assert_string_equal(fetchd_wait_reason_name((enum fetchd_wait_reason)99), "UNSPECIFIED");
	assert_string_equal(fetchd_connection_state_name((enum fetchd_connection_state)6),
			    "UNSPECIFIED");
	assert_int_equal(FETCHD_WARNING_RECEIVED_SIZE, WIRE_WARNING_RECEIVED_SIZE);
	assert_string_equal(fetchd_warning_code_name(FETCHD_WARNING_EXPECTED_SIZE),
			    "EXPECTED_SIZE");
	assert_int_equal(FETCHD_GOODBYE_NO_MEMORY, WIRE_GOODBYE_NO_MEMORY);
	assert_string_equal(fetchd_goodbye_code_name(FETCHD_GOODBYE_BAD_ID), "BAD_ID");
	assert_true(strlen(fetchd_version()) >= 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close_reasons),
		cmocka_unit_test(test_failure_codes),
		cmocka_unit_test(test_other_enums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
