/* SPDX-License-Identifier: MIT */
/*
 * Jobs: cancelled, stopped, limited, drained, reloaded. The numbers in the names are the lines of
 * stream-semantics.md.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t upload[60000];

/* ---- cancel ---- */

static void test_38_cancelled_while_queued(void **state)
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
	second = fetch("https://a.test/2");
	at(60);
	client_cancel(second);
	expect_closed(second, 60, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(second->attempt_count, 0);
	assert_int_equal(second->bytes.wire_sent, 0);
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(first, 65, 0);
	at(100);
	assert_int_equal(peer_of(a, 0)->requests, 1);
}

/* In the round in which it was handed to a connection: nothing is sent either. */
static void test_38_cancelled_before_its_headers_left(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->up_bytes = 500;
	a->deaf = true;
	(void)fetch("https://a.test/1", .method = "POST", .body = upload,
		    .body_length = sizeof(upload));
	at(50);
	job = fetch("https://a.test/2");
	at(60);
	assert_int_equal(client_state(job), JOB_SENT);
	client_cancel(job);
	peer_deafen(peer_of(a, 0), false);
	at(200);
	assert_int_equal(peer_of(a, 0)->requests, 1);
	assert_int_equal(gauges().streams, 1);
}

static void test_39_cancelled_while_it_runs(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .no_credit = true);

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	peer_body(request_of(a, 0, 0), 1000);
	at(50);
	assert_int_equal(world.env->buffered_bytes, 1000);
	client_cancel(job);
	assert_int_equal(world.env->buffered_bytes, 0); /* at once */
	assert_int_equal(world.env->streams, 0);
	client_cancel(job); /* harmless twice */
	expect_closed(job, 50, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(job->taken, 0);
	at(55);
	assert_true(request_of(a, 0, 0)->reset);
	assert_int_equal(request_of(a, 0, 0)->reset_code, NGHTTP2_CANCEL);
	/* The connection lives. */
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 65, 0);
	assert_int_equal(a->count, 1);
}

static void test_39_cancelled_after_goaway(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/");

	(void)state;
	at(50);
	peer_goaway(peer_of(a, 0), INT32_MAX, NGHTTP2_NO_ERROR, "");
	at(60);
	client_cancel(job);
	expect_closed(job, 60, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT);
	/* It was the last one on a connection that drains. */
	assert_int_equal(gauges().connections, 0);
	at(65);
	assert_int_equal(request_of(a, 0, 0)->reset_code, NGHTTP2_CANCEL);
	assert_true(peer_of(a, 0)->lost);
}

static void test_39_cancelled_in_every_state(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *backing_off = NULL;
	struct client *delivering = NULL;
	struct client *failed = NULL;

	(void)state;
	sim_jitter(500);
	backing_off = fetch("https://a.test/1", .retry_allowed = true);
	delivering = fetch("https://a.test/2", .no_credit = true);
	failed = fetch("https://a.test/3", .no_credit = true);
	at(36);
	peer_head(request_of(a, 0, 0), true, 503, NULL);
	peer_answer(request_of(a, 0, 1), 10);
	peer_head(request_of(a, 0, 2), false, 200, NULL);
	peer_body(request_of(a, 0, 2), 10);
	at(50);
	peer_reset_stream(request_of(a, 0, 2), NGHTTP2_INTERNAL_ERROR);
	at(60);
	assert_int_equal(client_state(backing_off), JOB_BACKOFF);
	assert_int_equal(client_state(delivering), JOB_DELIVERING);
	assert_int_equal(client_state(failed), JOB_DELIVERING);
	client_cancel(backing_off);
	client_cancel(delivering);
	client_cancel(failed);
	expect_closed(backing_off, 60, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT);
	expect_closed(delivering, 60, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT);
	/* The first outcome counts. */
	expect_closed(failed, 60, CLOSE_RESET, FAIL_H2_RESET);
	at(10000);
	assert_int_equal(peer_of(a, 0)->requests, 3);
}

/* ---- stop ---- */

static void test_40_stop_keeps_what_has_arrived(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .no_credit = true);

	(void)state;
	at(36);
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	peer_body(request_of(a, 0, 0), 1000);
	at(50);
	/* Credit for a part: that much is delivered, and nobody waits for more. */
	job->credit = 600;
	client_stop(job);
	expect_closed(job, 51, CLOSE_STOP_DOWNLOAD, FAIL_NONE);
	assert_int_equal(job->taken, 600);
	at(55);
	assert_int_equal(request_of(a, 0, 0)->reset_code, NGHTTP2_CANCEL);
}

static void test_40_stop_with_credit_for_all(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/");
	struct client *slow = fetch("https://a.test/");

	(void)state;
	client_stick(slow, true);
	at(36);
	for (unsigned i = 0; i < 2; i++) {
		peer_head(request_of(a, 0, i), false, 200, NULL);
		peer_body(request_of(a, 0, i), 1000);
	}
	at(50);
	client_stop(job);
	client_stop(slow);
	expect_closed(job, 50, CLOSE_STOP_DOWNLOAD, FAIL_NONE);
	assert_int_equal(job->taken, 1000);
	/* It has credit, it only does not read: that is waited for. */
	at(3000);
	assert_int_equal(client_state(slow), JOB_DELIVERING);
	client_stick(slow, false);
	expect_closed(slow, 3000, CLOSE_STOP_DOWNLOAD, FAIL_NONE);
	assert_int_equal(slow->taken, 1000);
}

static void test_40_stop_while_queued(void **state)
{
	struct client *job = NULL;

	(void)state;
	(void)serve("a.test", "192.0.2.1");
	job = fetch("https://a.test/");
	at(5);
	client_stop(job);
	expect_closed(job, 5, CLOSE_STOP_DOWNLOAD, FAIL_NONE);
}

/* ---- sizes ---- */

static void test_33_max_size_cuts_exactly(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *announced = fetch("https://a.test/1", .max_size = 999);
	struct client *actual = fetch("https://a.test/2", .max_size = 999);
	struct client *enough = fetch("https://a.test/3", .max_size = 1000);

	(void)state;
	at(36);
	request_of(a, 0, 0)->to_send = 1000;
	peer_head(request_of(a, 0, 0), false, 200, "content-length", "1000", NULL);
	peer_answer(request_of(a, 0, 1), 1000);
	peer_answer(request_of(a, 0, 2), 1000);
	expect_closed(announced, 41, CLOSE_MAXSIZE_EXCEEDED, FAIL_SIZE_ANNOUNCED);
	assert_int_equal(announced->heads, 1);
	assert_int_equal(announced->taken, 0);
	expect_closed(actual, 41, CLOSE_MAXSIZE_EXCEEDED_ACTUAL, FAIL_SIZE_RECEIVED);
	assert_int_equal(actual->taken, 999);
	expect_ended(enough, 41, 1000);
}

static void test_34_one_warning(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *expected = fetch("https://a.test/1", .warn_size = 10);
	struct client *received = fetch("https://a.test/2", .warn_size = 10);

	(void)state;
	at(36);
	request_of(a, 0, 0)->to_send = 1000;
	peer_head(request_of(a, 0, 0), false, 200, "content-length", "1000", NULL);
	peer_end(request_of(a, 0, 0));
	peer_answer(request_of(a, 0, 1), 1000);
	expect_ended(expected, 41, 1000);
	expect_ended(received, 41, 1000);
	assert_int_equal(expected->warnings, 1);
	assert_false(expected->warned_received);
	assert_int_equal(received->warnings, 1);
	assert_true(received->warned_received);
}

static void test_36_a_body_of_another_length(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *shorter = fetch("https://a.test/1");
	struct client *longer = fetch("https://a.test/2");
	struct client *good = fetch("https://a.test/3");

	(void)state;
	at(36);
	peer_of(a, 0)->broken = true;
	peer_head(request_of(a, 0, 0), false, 200, "content-length", "10", NULL);
	peer_body(request_of(a, 0, 0), 9);
	peer_end(request_of(a, 0, 0));
	peer_head(request_of(a, 0, 1), false, 200, "content-length", "10", NULL);
	peer_body(request_of(a, 0, 1), 11);
	peer_answer(request_of(a, 0, 2), 10);
	expect_closed(shorter, 41, CLOSE_LENGTH_MISMATCH, FAIL_LENGTH_SHORT);
	assert_int_equal(shorter->taken, 9);
	expect_closed(longer, 41, CLOSE_LENGTH_MISMATCH, FAIL_LENGTH_LONG);
	expect_ended(good, 41, 10);
}

static void test_31_everything_in_order(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/", .credit = 3);

	(void)state;
	at(36);
	peer_interim(request_of(a, 0, 0), 103);
	peer_interim(request_of(a, 0, 0), 103);
	at(50);
	peer_head(request_of(a, 0, 0), false, 206, NULL);
	peer_body(request_of(a, 0, 0), 10);
	peer_trailers(request_of(a, 0, 0));
	at(60);
	assert_int_equal(job->interims, 2);
	assert_int_equal(job->status, 206);
	assert_int_equal(job->taken, 3);
	assert_int_equal(job->trailers, 0); /* after the body */
	client_grant(job, 7);
	expect_ended(job, 60, 10);
	assert_int_equal(job->trailers, 1);
}

/* ---- quota ---- */

static void test_14_quota_of_a_user(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {[ACCOUNT_PEERS] = 10, [ACCOUNT_JOBS] = 2};
	const struct ask plain = {.nothing = 0};
	const struct ask other = {.uid = 1};
	struct client *first = NULL;

	(void)state;
	(void)serve("a.test", "192.0.2.1");
	accounts_set_limits(world.accounts, limits);
	first = fetch("https://a.test/");
	(void)fetch("https://a.test/");
	assert_int_equal(client_submit("https://a.test/", &plain)->denied, FAIL_TOO_MANY_JOBS);
	assert_non_null(client_submit("https://a.test/", &other)->job);
	client_cancel(first);
	(void)fetch("https://a.test/");
	assert_int_equal(account_held(world.accounts, OWNER_UID, ACCOUNT_JOBS), 2);
	at(1);
}

/* ---- the daemon's end ---- */

static void on_empty(void *ctx)
{
	(void)ctx;
	assert_false(world.emptied);
	world.emptied = true;
}

static void test_01_drain(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *sent = fetch("https://a.test/1");
	struct client *queued = NULL;
	const struct ask plain = {.nothing = 0};

	(void)state;
	at(36);
	queued = fetch("https://a.test/2");
	jobs_drain(world.jobs, on_empty, NULL);
	assert_int_equal(client_submit("https://a.test/3", &plain)->denied, FAIL_DRAINING);
	at(100);
	assert_false(world.emptied);
	/* Those that are open go on to their ends. */
	peer_answer(request_of(a, 0, 0), 5);
	expect_ended(sent, 105, 5);
	assert_false(world.emptied);
	peer_answer(request_of(a, 0, 1), 5);
	expect_ended(queued, 110, 5);
	assert_true(world.emptied);
}

static void test_01_drain_without_jobs(void **state)
{
	(void)state;
	jobs_drain(world.jobs, on_empty, NULL);
	assert_false(world.emptied); /* not from inside the call */
	settle();
	assert_true(world.emptied);
}

static void test_01_stop_ends_everything_with_shutdown(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *jobs[4];

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	sim_jitter(500);
	jobs[0] = fetch("https://a.test/1");
	jobs[1] = fetch("https://a.test/2", .no_credit = true);
	jobs[2] = fetch("https://a.test/3", .retry_allowed = true);
	at(36);
	peer_answer(request_of(a, 0, 1), 10);
	peer_head(request_of(a, 0, 2), true, 503, NULL);
	peer_set(peer_of(a, 0), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
	at(50);
	jobs[3] = fetch("https://a.test/4");
	at(60);
	jobs_drain(world.jobs, on_empty, NULL);
	jobs_stop(world.jobs);
	settle();
	for (unsigned i = 0; i < 4; i++) {
		expect_closed(jobs[i], 60, CLOSE_SHUTDOWN, FAIL_STOPPED);
		assert_int_equal(jobs[i]->taken, 0);
	}
	assert_true(world.emptied);
	assert_int_equal(world.metrics.jobs_closed[CLOSE_SHUTDOWN], 4);
}

/* ---- reload ---- */

/* Jobs keep the limits they were taken with; connections keep their settings; ceilings count for
 * all. */
static void test_41_a_reload_counts_for_new_jobs(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *before = NULL;
	struct client *after = NULL;
	struct config *config = config_new();
	struct config *old = world.config;

	(void)state;
	assert_non_null(config);
	world.config->job.first_byte_timeout_ms = 1000;
	before = fetch("https://a.test/1");
	at(100);
	config->job.first_byte_timeout_ms = 200;
	world.config = config;
	jobs_reconfigure(world.jobs, config);
	config_free(old);
	world.env->settings.stream_window = 1000;
	pool_reconfigure(world.pool);
	after = fetch("https://a.test/2");
	expect_closed(after, 300, CLOSE_TIMEOUT, FAIL_TIMEOUT_FIRST_BYTE);
	assert_int_equal(world.env->window_bytes, 65536);
	expect_closed(before, 1031, CLOSE_TIMEOUT, FAIL_TIMEOUT_FIRST_BYTE);
	assert_int_equal(peer_of(a, 0)->requests, 2);
}

static void test_10_a_reload_of_the_idle_timeout(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	world.env->settings.idle_timeout_ms = 1000;
	pool_reconfigure(world.pool);
	at(100);
	/* From the next time on that it becomes idle. */
	expect_ended(fetch("https://a.test/"), 110, 0);
	at(1109);
	assert_int_equal(gauges().connections, 1);
	at(1110);
	assert_int_equal(gauges().connections, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_38_cancelled_while_queued),
		SCENARIO(test_38_cancelled_before_its_headers_left),
		SCENARIO(test_39_cancelled_while_it_runs),
		SCENARIO(test_39_cancelled_after_goaway),
		SCENARIO(test_39_cancelled_in_every_state),
		SCENARIO(test_40_stop_keeps_what_has_arrived),
		SCENARIO(test_40_stop_with_credit_for_all),
		SCENARIO(test_40_stop_while_queued),
		SCENARIO(test_33_max_size_cuts_exactly),
		SCENARIO(test_34_one_warning),
		SCENARIO(test_36_a_body_of_another_length),
		SCENARIO(test_31_everything_in_order),
		SCENARIO(test_14_quota_of_a_user),
		SCENARIO(test_01_drain),
		SCENARIO(test_01_drain_without_jobs),
		SCENARIO(test_01_stop_ends_everything_with_shutdown),
		SCENARIO(test_41_a_reload_counts_for_new_jobs),
		SCENARIO(test_10_a_reload_of_the_idle_timeout),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
