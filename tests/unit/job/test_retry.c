/* SPDX-License-Identifier: MIT */
/*
 * Backoff and Retry-After.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "job/retry.h"

/* 1994-11-06 08:49:37 GMT, the example of RFC 9110. */
#define EXAMPLE ((time_t)784111777)

static void statuses(void **state)
{
	struct retry_statuses usual = retry_statuses_parse("429 503");
	struct retry_statuses many = retry_statuses_parse("400,408 500\t502, 599");
	struct retry_statuses none = retry_statuses_parse("");

	(void)state;
	for (unsigned status = 0; status < 1000; status++) {
		bool listed = status == 400 || status == 408 || status == 500 || status == 502 ||
			      status == 599;

		assert_int_equal(retry_status(&usual, status, true),
				 status == 429 || status == 503);
		assert_int_equal(retry_status(&many, status, true), listed);
		/* What may have been done is not done twice. */
		assert_int_equal(retry_status(&usual, status, false),
				 status == 429 || status == 503);
		assert_false(retry_status(&many, status, false));
		assert_false(retry_status(&none, status, true));
	}
}

/* The configuration lets none of these through. */
static void no_statuses(void **state)
{
	static const char *const lists[] = {"399", "600", "42", "4290", "4x9",
					    "x",   "-29", "",   "000",  "99999999999999999999"};
	struct retry_statuses none = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct retry_statuses statuses = retry_statuses_parse(lists[i]);

		assert_memory_equal(&statuses, &none, sizeof(none));
	}
}

static void connect_failures_that_may_pass(void **state)
{
	static const enum failure_code passing[] = {
		FAIL_DNS_FAILED,          FAIL_DNS_TIMEOUT,     FAIL_CONNECT_REFUSED,
		FAIL_CONNECT_UNREACHABLE, FAIL_CONNECT_ERROR,   FAIL_TIMEOUT_CONNECT,
		FAIL_CONNECTION_CLOSED,   FAIL_CONNECTION_ERROR};
	static const enum failure_code lasting[] = {FAIL_NONE,
						    FAIL_DNS_NOT_FOUND,
						    FAIL_TLS_CERT_UNTRUSTED,
						    FAIL_TLS_CERT_EXPIRED,
						    FAIL_TLS_CERT_NAME,
						    FAIL_ALPN_MISMATCH,
						    FAIL_NOT_HTTP2,
						    FAIL_TLS_HANDSHAKE};

	(void)state;
	for (size_t i = 0; i < sizeof(passing) / sizeof(passing[0]); i++) {
		assert_true(retry_connect_failure(passing[i]));
	}
	for (size_t i = 0; i < sizeof(lasting) / sizeof(lasting[0]); i++) {
		assert_false(retry_connect_failure(lasting[i]));
	}
}

static void backoff_doubles_up_to_the_cap(void **state)
{
	static const struct {
		unsigned attempt;
		uint64_t base, cap, longest;
	} table[] = {
		{1, 500, 60000, 500},
		{2, 500, 60000, 1000},
		{3, 500, 60000, 2000},
		{7, 500, 60000, 32000},
		{8, 500, 60000, 60000},
		{16, 500, 60000, 60000},
		{1, 100, 50, 50},
		{4000000000u, 1, 60000, 60000},
		{3, UINT64_C(3600000), UINT64_C(86400000), UINT64_C(14400000)},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t longest = table[i].longest;

		/* Full jitter: anything from 0 to the limit, both ends included. */
		assert_int_equal(retry_backoff_ms(table[i].attempt, table[i].base, table[i].cap, 0),
				 0);
		assert_int_equal(
			retry_backoff_ms(table[i].attempt, table[i].base, table[i].cap, longest),
			longest);
		assert_int_equal(retry_backoff_ms(table[i].attempt, table[i].base, table[i].cap,
						  longest + 1),
				 0);
		assert_true(retry_backoff_ms(table[i].attempt, table[i].base, table[i].cap,
					     UINT64_MAX) <= longest);
	}
}

static void retry_after(void **state)
{
	static const struct {
		const char *value;
		time_t now;
		bool good;
		uint64_t seconds;
	} table[] = {
		{"0", 0, true, 0},
		{"120", 0, true, 120},
		{"007", 0, true, 7},
		{"999999999", 0, true, 999999999},
		{"1000000000", 0, false, 0},
		{"99999999999999999999999", 0, false, 0},
		{"-1", 0, false, 0},
		{"+1", 0, false, 0},
		{"1.5", 0, false, 0},
		{"1 ", 0, false, 0},
		{"", 0, false, 0},
		{"soon", 0, false, 0},
		{"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE - 60, true, 60},
		{"Sunday, 06-Nov-94 08:49:37 GMT", EXAMPLE - 60, true, 60},
		{"Sun Nov  6 08:49:37 1994", EXAMPLE - 60, true, 60},
		{"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE, true, 0},
		{"Sun, 06 Nov 1994 08:49:37 GMT", EXAMPLE + 1000, true, 0},
		{"Sun, 06 Nov 1994 08:49:37 GMT and more", EXAMPLE, false, 0},
		{"Sun, 06 Nov 1994 08:49:37", EXAMPLE, false, 0},
		{"Sun, 06 Nov 1994", EXAMPLE, false, 0},
		{"Sun, 36 Nov 1994 08:49:37 GMT", EXAMPLE, false, 0},
		{"Sun, 06 Nov 1994 08:49:37 GMT                                                  ",
		 EXAMPLE, false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t seconds = 4711;
		bool good = retry_after_parse(table[i].value, strlen(table[i].value), table[i].now,
					      &seconds);

		if (good != table[i].good || seconds != (good ? table[i].seconds : 4711)) {
			fail_msg("\"%s\": %d, %zu", table[i].value, good, (size_t)seconds);
		}
	}
	/* Bytes, not strings. */
	assert_false(retry_after_parse("1\0", 2, 0, &(uint64_t){0}));
	assert_false(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT\0", 30, 0, &(uint64_t){0}));
	{
		uint64_t seconds = 0;

		assert_true(retry_after_parse("1234", 2, 0, &seconds));
		assert_int_equal(seconds, 12);
	}
}

/* Dates are GMT wherever the daemon runs. */
static void retry_after_knows_no_time_zone(void **state)
{
	uint64_t seconds = 0;

	(void)state;
	assert_int_equal(setenv("TZ", "AAA-5", 1), 0);
	tzset();
	assert_true(retry_after_parse("Sun, 06 Nov 1994 08:49:37 GMT", 29, EXAMPLE - 5, &seconds));
	assert_int_equal(seconds, 5);
	assert_int_equal(unsetenv("TZ"), 0);
	tzset();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(statuses),
		cmocka_unit_test(no_statuses),
		cmocka_unit_test(connect_failures_that_may_pass),
		cmocka_unit_test(backoff_doubles_up_to_the_cap),
		cmocka_unit_test(retry_after),
		cmocka_unit_test(retry_after_knows_no_time_zone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
