/* SPDX-License-Identifier: MIT */
/*
 * A job's deadlines: each fires where it counts, and nowhere else. Nothing here says how long
 * anything took.
 */
#include "unit/job/job_world.h"

#define SHORT_MS 30u

static void assert_timeout(struct client *client, enum failure_code code, const char *text)
{
	UNTIL(world.loop, client->closed);
	assert_int_equal(client->reason,
			 code == FAIL_TIMEOUT_CONNECT ? CLOSE_CONNECT_FAILED : CLOSE_TIMEOUT);
	assert_code(&client->failure, 0, code);
	assert_text(&client->failure, text);
}

static void queueing(void **state)
{
	struct client first = {.credit = PLENTY};
	struct client second = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	world.http.env->settings.max_streams_per_connection = 1;
	world.http.env->settings.max_connections_per_origin = 1;
	submit_get(&first);
	(void)h2_first(world.origin, 0);
	spec.queue_timeout_ms = option(SHORT_MS);
	submit(&second, &spec);
	assert_timeout(&second, FAIL_TIMEOUT_QUEUE, "30 ms");
	assert_int_equal(second.attempt_count, 0);
	assert_int_equal(first.closed, 0);
	job_cancel(first.job, FAIL_CANCELLED_BY_CLIENT);
}

static void connecting(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	h2_origin_hang(world.origin);
	spec.connect_timeout_ms = option(SHORT_MS);
	submit(&client, &spec);
	assert_timeout(&client, FAIL_TIMEOUT_CONNECT, "connect deadline of 30 ms");
	/* And it says how far it came. */
	assert_true(client.failure.count >= 2);
	assert_text(&client.failure, h2_authority(world.origin));
}

/* Also in a later try. */
static void connect_after_backoff(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	world.http.env->settings.connect_timeout_ms = 600000;
	world.config->job.backoff_ms = 20;
	h2_origin_close(world.origin);
	spec.connect_timeout_ms = option(100);
	spec.retry_allowed = true;
	submit(&client, &spec);
	UNTIL(world.loop, state_of(&client) == JOB_BACKOFF);
	h2_origin_hang(world.origin);
	assert_timeout(&client, FAIL_TIMEOUT_CONNECT, "connect deadline");
}

/* A connection that is there ends the waiting for one: the queue's deadline is what counts. */
static void connect_does_not_count_for_a_slot(void **state)
{
	struct client first = {.credit = PLENTY};
	struct client second = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	world.http.env->settings.max_streams_per_connection = 1;
	world.http.env->settings.max_connections_per_origin = 1;
	submit_get(&first);
	(void)h2_first(world.origin, 0);
	spec.connect_timeout_ms = option(20);
	spec.queue_timeout_ms = option(60);
	submit(&second, &spec);
	assert_timeout(&second, FAIL_TIMEOUT_QUEUE, "60 ms");
	job_cancel(first.job, FAIL_CANCELLED_BY_CLIENT);
}

static void first_byte(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	spec.first_byte_timeout_ms = option(SHORT_MS);
	submit(&client, &spec);
	h2_interim(h2_first(world.origin, 0), 103); /* is no head */
	assert_timeout(&client, FAIL_TIMEOUT_FIRST_BYTE, "30 ms");
	UNTIL(world.loop, h2_first(world.origin, 0)->reset);
	assert_attempt(&client, 0, CLOSE_TIMEOUT, FAIL_TIMEOUT_FIRST_BYTE, false);
}

static void stall(void **state)
{
	struct client stalled = {.credit = PLENTY};
	struct client busy = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	spec.stall_timeout_ms = option(SHORT_MS);
	submit(&stalled, &spec);
	submit_get(&busy);
	stream = h2_first(world.origin, 1);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 10, false);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, busy.heads && stalled.taken == 10);
	/* What its neighbour gets is no progress of its own. */
	while (!stalled.closed) {
		h2_body(stream, 100, false);
		loop_run_once(world.loop, true);
	}
	assert_timeout(&stalled, FAIL_TIMEOUT_STALL, "no byte on the stream for 30 ms");
	assert_int_equal(stalled.taken, 10);
	h2_body(stream, 0, true);
	UNTIL(world.loop, busy.closed);
	assert_int_equal(busy.reason, CLOSE_ENDED);
}

/* Bytes that come keep it alive, however slow the whole is. */
static void stall_begins_anew_with_every_byte(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;
	uint64_t begin = 0;

	(void)state;
	spec.stall_timeout_ms = option(400);
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, client.heads);
	begin = loop_clock_us(world.loop);
	while (loop_clock_us(world.loop) - begin < 600000) {
		uint64_t before = client.taken;

		h2_body(stream, 1, false);
		UNTIL(world.loop, client.closed || client.taken > before);
		assert_int_equal(client.closed, 0);
	}
	h2_body(stream, 0, true);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
}

/* While the client holds the job back, the origin has all the time of job.client_timeout. */
static void holding_is_no_stall(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 150;
	spec.stall_timeout_ms = option(SHORT_MS);
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	assert_timeout(&client, FAIL_TIMEOUT_CLIENT, "job.client_timeout");
}

static void stall_counts_again_after_holding(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	spec.stall_timeout_ms = option(SHORT_MS);
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, client.job && client.job->held);
	client_grant(&client, 1000);
	assert_int_equal(client.taken, 1000);
	assert_timeout(&client, FAIL_TIMEOUT_STALL, "30 ms");
}

/* Everything is here: nothing can stall but the client. */
static void delivering_has_the_clients_deadline_only(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 100;
	spec.stall_timeout_ms = option(20);
	spec.first_byte_timeout_ms = option(10000);
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, true);
	assert_timeout(&client, FAIL_TIMEOUT_CLIENT, "100 ms");
	/* No failure of the try: the origin did its part. */
	assert_attempt(&client, 0, CLOSE_ENDED, FAIL_NONE, false);
}

static void total(void **state)
{
	static const enum job_state targets[] = {JOB_QUEUED, JOB_SENT, JOB_RECEIVING,
						 JOB_DELIVERING, JOB_BACKOFF};

	for (unsigned i = 0; i < 5; i++) {
		unsigned index = 0;
		struct client blocker = {.credit = PLENTY};
		struct client client = {.credit = 0};
		struct job_spec spec = spec_of("GET", "/");
		struct h2_stream *stream = NULL;

		world.http.env->settings.max_connections_per_origin = 1;
		spec.total_timeout_ms = option(100);
		spec.retry_allowed = targets[i] == JOB_BACKOFF;
		if (targets[i] == JOB_QUEUED) {
			world.http.env->settings.max_streams_per_connection = 1;
			submit_get(&blocker);
			(void)h2_first(world.origin, index++);
		}
		submit(&client, &spec);
		if (targets[i] != JOB_QUEUED) {
			stream = h2_first(world.origin, index++);
		}
		if (targets[i] == JOB_BACKOFF) {
			h2_head(stream, true, 503, "retry-after", "50", NULL);
		} else if (targets[i] == JOB_RECEIVING || targets[i] == JOB_DELIVERING) {
			h2_head(stream, false, 200, NULL);
			h2_body(stream, 10, targets[i] == JOB_DELIVERING);
		}
		assert_timeout(&client, FAIL_TIMEOUT_TOTAL, "total deadline of 100 ms");
		if (blocker.job) {
			job_cancel(blocker.job, FAIL_CANCELLED_BY_CLIENT);
		}
		(void)job_teardown(state);
		(void)job_setup(state);
	}
}

/* The earliest counts. */
static void earliest_deadline_wins(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	spec.total_timeout_ms = option(600000);
	spec.first_byte_timeout_ms = option(SHORT_MS);
	spec.queue_timeout_ms = option(600000);
	submit(&client, &spec);
	assert_timeout(&client, FAIL_TIMEOUT_FIRST_BYTE, "30 ms");
}

static void zero_is_none(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	world.config->job.client_timeout_ms = 0;
	spec.total_timeout_ms = spec.first_byte_timeout_ms = spec.queue_timeout_ms =
		spec.connect_timeout_ms = spec.stall_timeout_ms = option(0);
	submit(&client, &spec);
	(void)h2_first(world.origin, 0);
	assert_false(loop_timer_active(&client.job->deadline));
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	UNTIL(world.loop, client.heads);
	assert_false(loop_timer_active(&client.job->deadline));
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(queueing),
		JOB_TEST(connecting),
		JOB_TEST(connect_after_backoff),
		JOB_TEST(connect_does_not_count_for_a_slot),
		JOB_TEST(first_byte),
		JOB_TEST(stall),
		JOB_TEST(stall_begins_anew_with_every_byte),
		JOB_TEST(holding_is_no_stall),
		JOB_TEST(stall_counts_again_after_holding),
		JOB_TEST(delivering_has_the_clients_deadline_only),
		JOB_TEST(total),
		JOB_TEST(earliest_deadline_wins),
		JOB_TEST(zero_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
