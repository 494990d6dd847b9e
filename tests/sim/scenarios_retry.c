/* SPDX-License-Identifier: MIT */
/*
 * Another try: when, how often, and what the ledger says. The numbers in the names are the lines of
 * stream-semantics.md.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t upload[10];

/* ---- replay ---- */

static void test_42_refused_streams_are_replayed_whatever_the_method(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	job = fetch("https://a.test/", .method = "POST", .body = upload,
		    .body_length = sizeof(upload));
	at(36);
	peer_reset_stream(request_of(a, 0, 0), NGHTTP2_REFUSED_STREAM);
	at(46);
	/* On the same connection, at once. */
	assert_int_equal(peer_of(a, 0)->requests, 2);
	peer_answer(request_of(a, 0, 1), 5);
	expect_ended(job, 51, 5);
	expect_attempt(job, 0, CLOSE_RESET, FAIL_H2_REFUSED);
	assert_int_equal(world.metrics.replays, 1);
}

static void test_42_max_attempts_bounds_replays(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.config->job.max_attempts = 3;
	job = fetch("https://a.test/");
	for (unsigned i = 0; i < 3; i++) {
		at(36 + 10 * i);
		peer_reset_stream(request_of(a, 0, i), NGHTTP2_REFUSED_STREAM);
	}
	expect_closed(job, 61, CLOSE_RESET, FAIL_H2_REFUSED);
	assert_int_equal(job->attempt_count, 3);
	assert_true(job->attempts[2].replay_safe);
}

static void test_42_replay_forbidden(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .replay_forbidden = true);

	(void)state;
	at(36);
	peer_reset_stream(request_of(a, 0, 0), NGHTTP2_REFUSED_STREAM);
	expect_closed(job, 41, CLOSE_RESET, FAIL_H2_REFUSED);
	assert_int_equal(job->attempt_count, 1);
}

/* Turned away by GOAWAY does not count, but there is an end to it. */
static void test_42_goaway_does_not_count_up_to_16(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;
	uint64_t ms = 36;

	(void)state;
	world.config->job.max_attempts = 1;
	world.env->settings.backoff_ms = 1;
	world.env->settings.max_backoff_ms = 1;
	job = fetch("https://a.test/");
	for (unsigned i = 0; i < JOB_ATTEMPTS_MAX; i++) {
		while (!peer_at(a, i) || peer_of(a, i)->requests == 0) {
			at(++ms);
		}
		peer_goaway(peer_of(a, i), 0, NGHTTP2_NO_ERROR, "");
	}
	expect_closed(job, ms + 5, CLOSE_RESET, FAIL_H2_REFUSED);
	assert_int_equal(job->attempt_count, JOB_ATTEMPTS_MAX);
}

static void test_42_misdirected_goes_to_a_fresh_connection_once(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	job = fetch("https://a.test/", .method = "POST", .body = upload,
		    .body_length = sizeof(upload));
	at(36);
	peer_head(request_of(a, 0, 0), true, 421, NULL);
	at(41 + 36);
	assert_int_equal(peer_of(a, 1)->requests, 1);
	peer_head(request_of(a, 1, 0), true, 421, NULL);
	expect_closed(job, 41 + 41, CLOSE_INVALID_HOSTNAME, FAIL_MISDIRECTED);
	assert_int_equal(job->heads, 0);
	assert_int_equal(job->attempt_count, 2);
}

static void test_43_reset_after_the_request(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *get = fetch("https://a.test/1");
	struct client *post = NULL;

	(void)state;
	post = fetch("https://a.test/2", .method = "POST", .body = upload,
		     .body_length = sizeof(upload));
	at(36);
	peer_reset_stream(request_of(a, 0, 0), NGHTTP2_INTERNAL_ERROR);
	peer_reset_stream(request_of(a, 0, 1), NGHTTP2_INTERNAL_ERROR);
	expect_closed(post, 41, CLOSE_RESET, FAIL_H2_RESET);
	assert_false(post->attempts[0].replay_safe);
	at(46);
	peer_answer(request_of(a, 0, 2), 5);
	expect_ended(get, 51, 5);
}

static void test_43_nothing_is_replayed_after_the_head(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *reset = fetch("https://a.test/1");
	struct client *refused = fetch("https://a.test/2");
	struct client *lost = fetch("https://a.test/3");

	(void)state;
	at(36);
	for (unsigned i = 0; i < 3; i++) {
		peer_head(request_of(a, 0, i), false, 200, NULL);
	}
	at(50);
	peer_reset_stream(request_of(a, 0, 0), NGHTTP2_INTERNAL_ERROR);
	peer_reset_stream(request_of(a, 0, 1), NGHTTP2_REFUSED_STREAM);
	expect_closed(reset, 55, CLOSE_RESET, FAIL_H2_RESET);
	expect_closed(refused, 55, CLOSE_RESET, FAIL_H2_REFUSED);
	peer_reset(peer_of(a, 0));
	expect_closed(lost, 60, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	assert_int_equal(lost->attempt_count, 1);
}

/* ---- retry ---- */

/* The wait before the second try, in ms, when the random number is `jitter`. */
static uint64_t wait_after_503(struct sim_server *server, uint64_t jitter, const char *retry_after)
{
	unsigned index = peer_at(server, 0) ? peer_of(server, 0)->requests : 0;
	struct client *job = fetch("https://a.test/", .retry_allowed = true);
	uint64_t answered_ms = 0;

	at(sim_now_ms() + 36);
	sim_jitter(jitter);
	if (retry_after) {
		peer_head(request_of(server, 0, index), true, 503, "retry-after", retry_after,
			  NULL);
	} else {
		peer_head(request_of(server, 0, index), true, 503, NULL);
	}
	answered_ms = sim_now_ms() + 5;
	at(answered_ms);
	while (!exchange_at(peer_of(server, 0), index + 1)) {
		assert_false(job->closed);
		at(sim_now_ms() + 1);
	}
	peer_answer(request_of(server, 0, index + 1), 0);
	at(sim_now_ms() + 5);
	assert_int_equal(job->reason, CLOSE_ENDED);
	expect_attempt(job, 0, CLOSE_ENDED, FAIL_NONE);
	assert_int_equal(job->attempts[0].status, 503);
	return request_of(server, 0, index + 1)->at_ms - 5 - answered_ms;
}

/* Full jitter: from nothing up to job.backoff. */
static void test_45_backoff_bounds(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.config->job.backoff_ms = 500;
	assert_int_equal(wait_after_503(a, 500, NULL), 500);
	assert_int_equal(wait_after_503(a, 501, NULL), 0);
	assert_int_equal(wait_after_503(a, 250, NULL), 250);
}

static void test_45_backoff_doubles_up_to_its_cap(void **state)
{
	static const uint64_t most[] = {100, 200, 400, 700, 700};
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;
	uint64_t ms = 36;

	(void)state;
	world.config->job.backoff_ms = 100;
	world.config->job.max_backoff_ms = 700;
	world.config->job.max_attempts = 6;
	job = fetch("https://a.test/", .retry_allowed = true);
	for (unsigned i = 0; i < 5; i++) {
		at(ms);
		sim_jitter(2 * most[i] + 1); /* the longest wait there is, if that is it */
		peer_head(request_of(a, 0, i), true, 429, NULL);
		at(ms + 5 + most[i] - 1);
		assert_int_equal(client_state(job), JOB_BACKOFF);
		ms += 5 + most[i] + 5;
	}
	at(ms);
	/* The last one is delivered as it is. */
	peer_head(request_of(a, 0, 5), true, 429, NULL);
	expect_ended(job, ms + 5, 0);
	assert_int_equal(job->status, 429);
	assert_int_equal(world.metrics.retries, 5);
}

static void test_45_retry_after_in_both_forms(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.ping_after_ms = 100000;
	assert_int_equal(wait_after_503(a, 0, "2"), 2000);
	/* The longer one of both counts. */
	world.config->job.backoff_ms = 5000;
	assert_int_equal(wait_after_503(a, 3000, "1"), 3000);
	/* 1,700,000,000 is 22:13:20; this is 30 seconds later, and some have passed. */
	assert_int_equal(wait_after_503(a, 0, "Tue, 14 Nov 2023 22:13:50 GMT"), 25000);
	assert_int_equal(wait_after_503(a, 0, "Tue, 14 Nov 2023 22:13:20 GMT"), 0);
	assert_int_equal(wait_after_503(a, 7, "soon"), 7);
}

static void test_45_retry_after_beyond_the_cap_is_delivered(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .retry_allowed = true);

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), true, 503, "retry-after", "61", NULL);
	expect_ended(job, 41, 0);
	assert_int_equal(job->status, 503);
}

static void test_45_not_without_leave(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/");

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), true, 503, NULL);
	expect_ended(job, 41, 0);
	assert_int_equal(job->attempt_count, 1);
}

static void test_45_after_a_failure_to_connect(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->connect = SIM_REFUSE;
	sim_jitter(100);
	world.config->job.backoff_ms = 100;
	world.config->job.max_attempts = 3;
	job = fetch("https://a.test/", .retry_allowed = true);
	at(11 + 100);
	assert_int_equal(client_state(job), JOB_QUEUED);
	at(11 + 100 + 11);
	assert_int_equal(client_state(job), JOB_BACKOFF);
	/* 11 + 100, and the same again, and the last try. */
	expect_closed(job, 11 + 100 + 11 + 100 + 11, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED);
	assert_int_equal(job->attempt_count, 3);
	assert_int_equal(a->attempts, 3);
}

/* ---- places ---- */

/* One who comes back has its old place, before those who came later. */
static void test_05_who_comes_back_has_its_old_place(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 1;
	(void)fetch("https://a.test/1");
	at(50);
	(void)fetch("https://a.test/2");
	(void)fetch("https://a.test/3");
	peer_reset_stream(request_of(a, 0, 0), NGHTTP2_REFUSED_STREAM);
	at(60);
	assert_string_equal(request_of(a, 0, 1)->path, "/1");
	peer_answer(request_of(a, 0, 1), 0);
	at(70);
	assert_string_equal(request_of(a, 0, 2)->path, "/2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_42_refused_streams_are_replayed_whatever_the_method),
		SCENARIO(test_42_max_attempts_bounds_replays),
		SCENARIO(test_42_replay_forbidden),
		SCENARIO(test_42_goaway_does_not_count_up_to_16),
		SCENARIO(test_42_misdirected_goes_to_a_fresh_connection_once),
		SCENARIO(test_43_reset_after_the_request),
		SCENARIO(test_43_nothing_is_replayed_after_the_head),
		SCENARIO(test_45_backoff_bounds),
		SCENARIO(test_45_backoff_doubles_up_to_its_cap),
		SCENARIO(test_45_retry_after_in_both_forms),
		SCENARIO(test_45_retry_after_beyond_the_cap_is_delivered),
		SCENARIO(test_45_not_without_leave),
		SCENARIO(test_45_after_a_failure_to_connect),
		SCENARIO(test_05_who_comes_back_has_its_old_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
