/* SPDX-License-Identifier: MIT */
/*
 * Deadlines, to the millisecond: a job's five, its client's two, the dial's. The numbers in the
 * names are the lines of stream-semantics.md.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* ---- queue ---- */

static void test_41_queue_deadline_while_streams_are_taken(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *first = NULL;
	struct client *second = NULL;

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 1;
	first = fetch("https://a.test/1");
	at(50);
	second = fetch("https://a.test/2", .queue_ms = 500);
	at(549);
	assert_int_equal(client_state(second), JOB_QUEUED);
	expect_closed(second, 550, CLOSE_TIMEOUT, FAIL_TIMEOUT_QUEUE);
	assert_int_equal(second->attempt_count, 0);
	peer_answer(request_of(a, 0, 0), 10);
	expect_ended(first, 555, 10);
	assert_int_equal(peer_of(a, 0)->requests, 1);
}

static void test_41_queue_deadline_while_connecting(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .queue_ms = 30);

	(void)state;
	expect_closed(job, 30, CLOSE_TIMEOUT, FAIL_TIMEOUT_QUEUE);
	/* Nobody waits any more: the dial is given up, in the middle of TLS. */
	at(1000);
	assert_int_equal(peer_of(a, 0)->requests, 0);
	assert_true(peer_of(a, 0)->lost);
	assert_int_equal(gauges().connections + gauges().connecting, 0);
}

/* It counts until the job is handed to a connection, and not a moment longer. */
static void test_41_queue_deadline_ends_with_the_hand_over(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .queue_ms = 32);

	(void)state;
	at(1000);
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(job, 1005, 0);
}

/* ---- connect ---- */

static void test_41_connect_deadline(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->connect = SIM_NO_ANSWER;
	job = fetch("https://a.test/", .connect_ms = 300);
	expect_closed(job, 300, CLOSE_CONNECT_FAILED, FAIL_TIMEOUT_CONNECT);
	assert_true(has_text(job, "connecting to 192.0.2.1:443"));
}

static void test_41_connect_deadline_says_how_far_it_came(void **state)
{
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *asking = NULL;
	struct client *shaking = NULL;

	(void)state;
	sim_name("a.test")->v4.never = sim_name("a.test")->v6.never = true;
	b->tls = SIM_TLS_NO_ANSWER;
	asking = fetch("https://a.test/", .connect_ms = 100);
	shaking = fetch("https://b.test/", .connect_ms = 100);
	expect_closed(asking, 100, CLOSE_CONNECT_FAILED, FAIL_TIMEOUT_CONNECT);
	assert_true(has_code(asking, FAIL_DNS_TIMEOUT));
	assert_true(has_text(asking, "looking up a.test"));
	expect_closed(shaking, 100, CLOSE_CONNECT_FAILED, FAIL_TIMEOUT_CONNECT);
	assert_true(has_code(shaking, FAIL_TLS_HANDSHAKE));
}

/* pool.connect_timeout bounds a dial that no job bounds. */
static void test_41_deadline_of_the_dial(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->tls = SIM_TLS_NO_ANSWER;
	job = fetch("https://a.test/");
	expect_closed(job, 20000, CLOSE_CONNECT_FAILED, FAIL_TIMEOUT_CONNECT);
	expect_attempt(job, 0, CLOSE_CONNECT_FAILED, FAIL_TIMEOUT_CONNECT);
}

/* ---- first byte ---- */

static void test_41_first_byte_deadline(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .first_byte_ms = 100);

	(void)state;
	/* From when the request went out, at 31. */
	expect_closed(job, 131, CLOSE_TIMEOUT, FAIL_TIMEOUT_FIRST_BYTE);
	at(136);
	assert_true(request_of(a, 0, 0)->reset);
	assert_int_equal(request_of(a, 0, 0)->reset_code, NGHTTP2_CANCEL);
}

/* An interim response is no head. */
static void test_41_first_byte_deadline_is_for_the_final_head(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .first_byte_ms = 100);

	(void)state;
	at(100);
	peer_interim(request_of(a, 0, 0), 103);
	expect_closed(job, 131, CLOSE_TIMEOUT, FAIL_TIMEOUT_FIRST_BYTE);
	assert_int_equal(job->interims, 1);
}

static void test_41_first_byte_in_the_last_moment(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .first_byte_ms = 100);

	(void)state;
	at(126);
	/* Arrives at 131, when the deadline is due: what has arrived comes first. */
	peer_answer(request_of(a, 0, 0), 10);
	expect_ended(job, 131, 10);
}

/* ---- stall ---- */

static void test_41_stall_deadline(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .stall_ms = 200);
	struct exchange *exchange = NULL;

	(void)state;
	at(36);
	exchange = request_of(a, 0, 0);
	peer_head(exchange, false, 200, NULL);
	at(150);
	peer_body(exchange, 1);
	/* The byte came at 155. */
	expect_closed(job, 355, CLOSE_TIMEOUT, FAIL_TIMEOUT_STALL);
	assert_int_equal(job->taken, 1);
}

static void test_41_stall_counts_from_the_head(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .stall_ms = 200);

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	expect_closed(job, 241, CLOSE_TIMEOUT, FAIL_TIMEOUT_STALL);
	assert_int_equal(job->heads, 1);
}

/* Time in which the client holds the stream back is no stall, and has its own limit. */
static void test_41_client_timeout(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 5000;
	job = fetch("https://a.test/", .stall_ms = 200, .no_credit = true);
	at(36);
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	peer_body(request_of(a, 0, 0), 10);
	at(5040);
	assert_int_equal(client_state(job), JOB_RECEIVING);
	expect_closed(job, 5041, CLOSE_TIMEOUT, FAIL_TIMEOUT_CLIENT);
	assert_int_equal(job->taken, 0);
}

static void test_41_after_the_hold_the_stall_counts_anew(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .stall_ms = 200, .no_credit = true);

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	peer_body(request_of(a, 0, 0), 10);
	at(3000);
	client_grant(job, 10);
	expect_closed(job, 3200, CLOSE_TIMEOUT, FAIL_TIMEOUT_STALL);
	assert_int_equal(job->taken, 10);
}

/* A client that takes a little now and then is no dead one. */
static void test_41_each_grant_restarts_the_client_timeout(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 5000;
	job = fetch("https://a.test/", .no_credit = true);
	at(36);
	peer_answer(request_of(a, 0, 0), 1000);
	at(4000);
	client_grant(job, 1);
	at(8000);
	client_grant(job, 1);
	expect_closed(job, 13000, CLOSE_TIMEOUT, FAIL_TIMEOUT_CLIENT);
	assert_int_equal(job->taken, 2);
}

/* Whole, but not taken: the client's limit holds in DELIVERING, too. */
static void test_41_client_timeout_while_delivering(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 5000;
	job = fetch("https://a.test/", .no_credit = true, .stall_ms = 200);
	at(36);
	peer_answer(request_of(a, 0, 0), 10);
	at(41);
	assert_int_equal(client_state(job), JOB_DELIVERING);
	expect_closed(job, 5041, CLOSE_TIMEOUT, FAIL_TIMEOUT_CLIENT);
}

/* ---- total ---- */

static void test_41_total_deadline_in_every_state(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *queued = NULL;
	struct client *sent = NULL;
	struct client *receiving = NULL;
	struct client *backing_off = NULL;

	(void)state;
	b->connect = SIM_NO_ANSWER;
	sim_jitter(500);
	queued = fetch("https://b.test/", .total_ms = 300);
	sent = fetch("https://a.test/1", .total_ms = 300);
	receiving = fetch("https://a.test/2", .total_ms = 300);
	backing_off = fetch("https://a.test/3", .total_ms = 300, .retry_allowed = true);
	at(36);
	peer_head(request_of(a, 0, 1), false, 200, NULL);
	peer_head(request_of(a, 0, 2), true, 503, NULL);
	at(100);
	assert_int_equal(client_state(queued), JOB_QUEUED);
	assert_int_equal(client_state(sent), JOB_SENT);
	assert_int_equal(client_state(receiving), JOB_RECEIVING);
	assert_int_equal(client_state(backing_off), JOB_BACKOFF);
	expect_closed(queued, 300, CLOSE_TIMEOUT, FAIL_TIMEOUT_TOTAL);
	expect_closed(sent, 300, CLOSE_TIMEOUT, FAIL_TIMEOUT_TOTAL);
	expect_closed(receiving, 300, CLOSE_TIMEOUT, FAIL_TIMEOUT_TOTAL);
	expect_closed(backing_off, 300, CLOSE_TIMEOUT, FAIL_TIMEOUT_TOTAL);
}

/* A byte now and then is no stall, but the whole is bounded. */
static void test_41_total_deadline_over_a_drip(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .total_ms = 1000, .stall_ms = 100);

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	for (uint64_t ms = 80; ms < 1000; ms += 80) {
		at(ms);
		peer_body(request_of(a, 0, 0), 1);
	}
	expect_closed(job, 1000, CLOSE_TIMEOUT, FAIL_TIMEOUT_TOTAL);
	assert_int_equal(job->taken, 12);
}

/* ---- the end of an end ---- */

/* What has arrived is delivered after a bad end, under the client's credit; a client that takes
 * nothing is not waited for. */
static void test_01_delivery_timeout_after_a_bad_end(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *idle = fetch("https://a.test/1", .no_credit = true);
	struct client *late = fetch("https://a.test/2", .no_credit = true);
	struct client *half = fetch("https://a.test/3", .credit = 4);

	(void)state;
	at(36);
	for (unsigned i = 0; i < 3; i++) {
		peer_head(request_of(a, 0, i), false, 200, NULL);
		peer_body(request_of(a, 0, i), 10);
	}
	at(100);
	for (unsigned i = 0; i < 3; i++) {
		peer_reset_stream(request_of(a, 0, i), NGHTTP2_INTERNAL_ERROR);
	}
	at(200);
	assert_int_equal(client_state(late), JOB_DELIVERING);
	client_grant(late, 100);
	expect_closed(late, 200, CLOSE_RESET, FAIL_H2_RESET);
	assert_int_equal(late->taken, 10);
	expect_closed(idle, 5105, CLOSE_RESET, FAIL_H2_RESET);
	assert_int_equal(idle->taken, 0);
	expect_closed(half, 5105, CLOSE_RESET, FAIL_H2_RESET);
	assert_int_equal(half->taken, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_41_queue_deadline_while_streams_are_taken),
		SCENARIO(test_41_queue_deadline_while_connecting),
		SCENARIO(test_41_queue_deadline_ends_with_the_hand_over),
		SCENARIO(test_41_connect_deadline),
		SCENARIO(test_41_connect_deadline_says_how_far_it_came),
		SCENARIO(test_41_deadline_of_the_dial),
		SCENARIO(test_41_first_byte_deadline),
		SCENARIO(test_41_first_byte_deadline_is_for_the_final_head),
		SCENARIO(test_41_first_byte_in_the_last_moment),
		SCENARIO(test_41_stall_deadline),
		SCENARIO(test_41_stall_counts_from_the_head),
		SCENARIO(test_41_client_timeout),
		SCENARIO(test_41_after_the_hold_the_stall_counts_anew),
		SCENARIO(test_41_each_grant_restarts_the_client_timeout),
		SCENARIO(test_41_client_timeout_while_delivering),
		SCENARIO(test_41_total_deadline_in_every_state),
		SCENARIO(test_41_total_deadline_over_a_drip),
		SCENARIO(test_01_delivery_timeout_after_a_bad_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
