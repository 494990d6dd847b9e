/* SPDX-License-Identifier: MIT */
/*
 * Dialing: Happy Eyeballs (RFC 8305) by the clock, and what becomes of jobs whose dial fails.
 */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct sim_server *six;
static struct sim_server *four;

/* One name, two addresses. */
static void two_families(void)
{
	six = serve("a.test", "2001:db8::1");
	four = serve("a.test", "192.0.2.1");
	six->automatic = four->automatic = true;
}

static void test_eyeballs_prefer_ipv6(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	job = fetch("https://a.test/");
	expect_ended(job, 41, 0);
	assert_int_equal(six->attempts, 1);
	assert_int_equal(four->attempts, 0);
	assert_string_equal(job->attempts[0].remote, "[2001:db8::1]:443");
}

static void test_eyeballs_next_address_after_250_ms(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->connect = SIM_NO_ANSWER;
	job = fetch("https://a.test/");
	at(250);
	assert_int_equal(four->attempts, 0);
	at(251);
	assert_int_equal(four->attempts, 1);
	expect_ended(job, 251 + 40, 0);
	/* The other one is given up. */
	assert_int_equal(sim_files(), 1);
}

static void test_eyeballs_next_address_at_once_after_a_refusal(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->connect = SIM_REFUSE;
	job = fetch("https://a.test/");
	at(11);
	assert_int_equal(four->attempts, 1);
	expect_ended(job, 51, 0);
}

static void test_eyeballs_next_address_at_once_without_a_route(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->connect = SIM_REFUSE_AT_ONCE;
	six->connect_error = ENETUNREACH;
	job = fetch("https://a.test/");
	expect_ended(job, 41, 0);
	assert_string_equal(job->attempts[0].remote, "192.0.2.1:443");
}

/* The A record is there first: AAAA has 50 ms. */
static void test_eyeballs_resolution_delay(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	sim_name("a.test")->v6.after_us = 1000 * 1000;
	job = fetch("https://a.test/");
	at(50);
	assert_int_equal(four->attempts, 0);
	at(51);
	assert_int_equal(four->attempts, 1);
	expect_ended(job, 51 + 40, 0);
	assert_int_equal(six->attempts, 0);
	assert_int_equal(sim_dns_lookups(world.env->dns), 0);
}

static void test_eyeballs_ipv6_within_the_resolution_delay(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	sim_name("a.test")->v6.after_us = 40 * 1000;
	job = fetch("https://a.test/");
	at(40);
	assert_int_equal(six->attempts, 1);
	expect_ended(job, 80, 0);
	assert_int_equal(four->attempts, 0);
}

/* No AAAA record at all: nothing is waited for. */
static void test_eyeballs_no_delay_when_ipv6_has_answered(void **state)
{
	struct client *job = NULL;

	(void)state;
	four = serve("a.test", "192.0.2.1");
	four->automatic = true;
	job = fetch("https://a.test/");
	expect_ended(job, 41, 0);
}

/* AAAA comes while the race goes on: it is next in turn. */
static void test_eyeballs_a_late_address_joins_the_race(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	sim_name("a.test")->v6.after_us = 100 * 1000;
	four->connect = SIM_NO_ANSWER;
	job = fetch("https://a.test/");
	at(300);
	assert_int_equal(four->attempts, 1); /* at 51 */
	assert_int_equal(six->attempts, 0);
	at(301);
	assert_int_equal(six->attempts, 1);
	expect_ended(job, 301 + 40, 0);
}

static void test_eyeballs_the_first_to_connect_wins(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->connect_us = 300 * 1000; /* would be there at 301 */
	job = fetch("https://a.test/");
	expect_ended(job, 251 + 40, 0);
	at(1000);
	assert_int_equal(six->count, 0);
	assert_int_equal(four->count, 1);
}

static void test_eyeballs_families_take_turns(void **state)
{
	struct sim_server *others[2];
	struct client *job = NULL;

	(void)state;
	two_families();
	others[0] = serve("a.test", "2001:db8::2");
	others[1] = serve("a.test", "192.0.2.2");
	six->connect = four->connect = others[0]->connect = SIM_NO_ANSWER;
	others[1]->automatic = true;
	job = fetch("https://a.test/");
	at(250);
	assert_int_equal(six->attempts, 1);
	assert_int_equal(four->attempts, 0);
	at(251);
	assert_int_equal(four->attempts, 1);
	at(501);
	assert_int_equal(others[0]->attempts, 1);
	assert_int_equal(others[1]->attempts, 0);
	at(751);
	assert_int_equal(others[1]->attempts, 1);
	expect_ended(job, 751 + 40, 0);
}

static void test_eyeballs_all_fail(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->connect = SIM_REFUSE_AT_ONCE;
	six->connect_error = EHOSTUNREACH;
	four->connect = SIM_REFUSE;
	job = fetch("https://a.test/");
	expect_closed(job, 11, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED);
	assert_int_equal(job->failure.count, 3);
	assert_int_equal(job->failure.links[1].code, FAIL_ADDRESS_ATTEMPT);
	assert_true(has_text(job, "[2001:db8::1]:443: "));
	assert_true(has_text(job, "192.0.2.1:443: "));
	assert_int_equal(job->failure.links[2].sys_errno, ECONNREFUSED);
}

static void test_eyeballs_dial_deadline_names_every_address(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->connect = four->connect = SIM_NO_ANSWER;
	world.env->settings.connect_timeout_ms = 3000;
	job = fetch("https://a.test/");
	expect_closed(job, 3000, CLOSE_CONNECT_FAILED, FAIL_TIMEOUT_CONNECT);
	assert_true(has_text(job, "[2001:db8::1]:443: no answer yet"));
	assert_true(has_text(job, "192.0.2.1:443: no answer yet"));
	assert_int_equal(sim_files(), 0);
}

/* The race ends with TCP: a certificate that does not fit is no reason to ask the next one. */
static void test_12_a_failed_handshake_ends_the_dial(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->tls = SIM_TLS_FAILS;
	six->tls_code = FAIL_TLS_CERT_EXPIRED;
	job = fetch("https://a.test/");
	expect_closed(job, 31, CLOSE_CONNECT_FAILED, FAIL_TLS_CERT_EXPIRED);
	assert_int_equal(four->attempts, 0);
}

static void test_11_alpn_mismatch_is_final(void **state)
{
	struct client *job = NULL;

	(void)state;
	two_families();
	six->tls = SIM_TLS_FAILS;
	six->tls_code = FAIL_ALPN_MISMATCH;
	job = fetch("https://a.test/", .retry_allowed = true);
	expect_closed(job, 31, CLOSE_CONNECT_FAILED, FAIL_ALPN_MISMATCH);
	assert_int_equal(job->attempt_count, 1);
}

static void test_06_a_failed_dial_tells_everybody_at_once(void **state)
{
	struct client *jobs[5];
	struct client *next = NULL;

	(void)state;
	four = serve("a.test", "192.0.2.1");
	four->connect = SIM_REFUSE;
	for (unsigned i = 0; i < 5; i++) {
		jobs[i] = fetch("https://a.test/");
	}
	for (unsigned i = 0; i < 5; i++) {
		expect_closed(jobs[i], 11, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED);
	}
	assert_int_equal(four->attempts, 1);
	/* The next one dials afresh. */
	four->connect = SIM_ACCEPT;
	four->automatic = true;
	next = fetch("https://a.test/");
	expect_ended(next, 11 + 41, 0);
	assert_int_equal(four->attempts, 2);
}

/* One who comes back from inside the failure waits for a fresh dial, not for that failure. */
static void test_06_who_retries_waits_for_another_dial(void **state)
{
	struct client *once = NULL;
	struct client *again = NULL;

	(void)state;
	four = serve("a.test", "192.0.2.1");
	four->connect = SIM_REFUSE;
	four->automatic = true;
	sim_jitter(0); /* at once */
	again = fetch("https://a.test/1", .retry_allowed = true);
	once = fetch("https://a.test/2");
	expect_closed(once, 11, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED);
	four->connect = SIM_ACCEPT;
	expect_ended(again, 11 + 41, 0);
	expect_attempt(again, 0, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED);
	expect_attempt(again, 1, CLOSE_ENDED, FAIL_NONE);
}

static void test_06_names_that_do_not_exist_and_names_that_fail(void **state)
{
	struct client *absent = fetch("https://absent.test/");
	struct client *failing = NULL;

	(void)state;
	sim_name("failing.test")->v4.code = FAIL_DNS_FAILED;
	failing = fetch("https://failing.test/");
	expect_closed(absent, 1, CLOSE_CONNECT_FAILED, FAIL_DNS_NOT_FOUND);
	expect_closed(failing, 1, CLOSE_CONNECT_FAILED, FAIL_DNS_FAILED);
}

/* Connected within connect() itself, and cleartext: no TLS, no waiting. */
static void test_04_cleartext_to_a_neighbour(void **state)
{
	struct client *job = NULL;

	(void)state;
	four = serve("plain.test", "192.0.2.1");
	four->connect = SIM_ACCEPT_AT_ONCE;
	four->automatic = true;
	job = fetch("http://plain.test/");
	expect_ended(job, 1 + 10, 0);
	assert_string_equal(job->attempts[0].remote, "192.0.2.1:80");
}

static void test_04_an_address_is_not_looked_up(void **state)
{
	struct client *job = NULL;

	(void)state;
	four = sim_server("192.0.2.1");
	four->automatic = true;
	job = fetch("https://192.0.2.1:8443/");
	expect_ended(job, 40, 0);
	assert_int_equal(world.metrics.dns_lookups, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_eyeballs_prefer_ipv6),
		SCENARIO(test_eyeballs_next_address_after_250_ms),
		SCENARIO(test_eyeballs_next_address_at_once_after_a_refusal),
		SCENARIO(test_eyeballs_next_address_at_once_without_a_route),
		SCENARIO(test_eyeballs_resolution_delay),
		SCENARIO(test_eyeballs_ipv6_within_the_resolution_delay),
		SCENARIO(test_eyeballs_no_delay_when_ipv6_has_answered),
		SCENARIO(test_eyeballs_a_late_address_joins_the_race),
		SCENARIO(test_eyeballs_the_first_to_connect_wins),
		SCENARIO(test_eyeballs_families_take_turns),
		SCENARIO(test_eyeballs_all_fail),
		SCENARIO(test_eyeballs_dial_deadline_names_every_address),
		SCENARIO(test_12_a_failed_handshake_ends_the_dial),
		SCENARIO(test_11_alpn_mismatch_is_final),
		SCENARIO(test_06_a_failed_dial_tells_everybody_at_once),
		SCENARIO(test_06_who_retries_waits_for_another_dial),
		SCENARIO(test_06_names_that_do_not_exist_and_names_that_fail),
		SCENARIO(test_04_cleartext_to_a_neighbour),
		SCENARIO(test_04_an_address_is_not_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
