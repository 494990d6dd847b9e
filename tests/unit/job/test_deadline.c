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
	static const enum job_state targets[] = {JOB_QUEUED, JOB_SENT, JOB_RECEIVING, JOB_BACKOFF};

	for (unsigned i = 0; i < 4; i++) {
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
		} else if (targets[i] == JOB_RECEIVING) {
			h2_head(stream, false, 200, NULL);
			h2_body(stream, 10, false);
		}
		assert_timeout(&client, FAIL_TIMEOUT_TOTAL, "total deadline of 100 ms");
		if (blocker.job) {
			job_cancel(blocker.job, FAIL_CANCELLED_BY_CLIENT);
		}
		(void)job_teardown(state);
		(void)job_setup(state);
	}
}

/* What is wholly there came in time: from then on only the client can be late. */
static void total_ends_with_the_last_byte(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 400;
	spec.total_timeout_ms = option(200);
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, true);
	assert_timeout(&client, FAIL_TIMEOUT_CLIENT, "400 ms");
	assert_attempt(&client, 0, CLOSE_ENDED, FAIL_NONE, false);
}

/* ---- uploads ---- */

/* A connection whose peer has said that request bodies have to wait. */
static void shut_the_window(void)
{
	struct client first = {.credit = PLENTY};

	world.origin->window = 0;
	submit_get(&first);
	h2_head(h2_first(world.origin, 0), true, 204, NULL);
	UNTIL(world.loop, first.closed);
	h2_sync(h2_connection(world.origin, 0));
}

static struct job_spec upload(void)
{
	static uint8_t body[30000];
	struct job_spec spec = spec_of("POST", "/");

	spec.request.body = body;
	spec.request.body_length = sizeof(body);
	spec.request.has_body = true;
	return spec;
}

static void upload_that_is_not_taken(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = upload();

	(void)state;
	shut_the_window();
	spec.stall_timeout_ms = option(SHORT_MS);
	spec.first_byte_timeout_ms = option(600000);
	submit(&client, &spec);
	assert_timeout(&client, FAIL_TIMEOUT_UPLOAD, "30 ms");
	assert_text(&client.failure, "window of the stream");
	assert_attempt(&client, 0, CLOSE_TIMEOUT, FAIL_TIMEOUT_UPLOAD, false);
	UNTIL(world.loop, h2_first(world.origin, 1)->reset);
}

/* The same length of time for both: it is the upload that is late. */
static void upload_goes_before_first_byte(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = upload();

	(void)state;
	shut_the_window();
	spec.stall_timeout_ms = option(SHORT_MS);
	spec.first_byte_timeout_ms = option(SHORT_MS);
	submit(&client, &spec);
	assert_timeout(&client, FAIL_TIMEOUT_UPLOAD, "30 ms");
}

/* The response's head has its own time, also while the upload stands still. */
static void first_byte_counts_during_an_upload(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = upload();

	(void)state;
	shut_the_window();
	spec.stall_timeout_ms = option(600000);
	spec.first_byte_timeout_ms = option(SHORT_MS);
	submit(&client, &spec);
	assert_timeout(&client, FAIL_TIMEOUT_FIRST_BYTE, "30 ms");
}

/* And it begins when the last byte of the request is out. */
static void first_byte_counts_from_the_last_of_the_upload(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = upload();
	const nghttp2_settings_entry open = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100000};
	uint64_t handed_ms = 0;

	(void)state;
	shut_the_window();
	spec.stall_timeout_ms = option(600000);
	spec.first_byte_timeout_ms = option(300);
	submit(&client, &spec);
	(void)h2_first(world.origin, 1);
	handed_ms = client.job->progress_ms;
	let_pass(30);
	h2_settings(h2_connection(world.origin, 0), &open, 1);
	UNTIL(world.loop, h2_first(world.origin, 1)->ended);
	assert_true(stream_sent_progress_ms(client.job->stream) > handed_ms + 20);
	UNTIL(world.loop,
	      client.job->deadline_at_ms == stream_sent_progress_ms(client.job->stream) + 300);
	assert_timeout(&client, FAIL_TIMEOUT_FIRST_BYTE, "300 ms");
}

/* Once the response has begun, it is the response that counts. */
static void upload_is_over_with_the_response(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = upload();

	(void)state;
	shut_the_window();
	spec.stall_timeout_ms = option(200);
	spec.first_byte_timeout_ms = option(600000);
	submit(&client, &spec);
	h2_head(h2_first(world.origin, 1), false, 200, NULL);
	UNTIL(world.loop, client.heads);
	assert_timeout(&client, FAIL_TIMEOUT_STALL, "200 ms");
}

/* ---- the least rate ---- */

static void too_slow(void **state)
{
	struct client client = {.credit = PLENTY};
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.min_rate = 1000;
	world.config->job.min_rate_time_ms = 100;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 99, false);
	assert_timeout(&client, FAIL_TOO_SLOW, "job.min_rate");
	assert_text(&client.failure, "99 bytes of body came in 100 ms");
	assert_int_equal(client.taken, 99);
	assert_attempt(&client, 0, CLOSE_TIMEOUT, FAIL_TOO_SLOW, false);
}

/* What came in one period does not count for the next. */
static void too_slow_later(void **state)
{
	struct client client = {.credit = PLENTY};
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.min_rate = 1000;
	world.config->job.min_rate_time_ms = 100;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 100000, false);
	UNTIL(world.loop, client.taken == 100000);
	assert_timeout(&client, FAIL_TOO_SLOW, "0 bytes of body came");
}

static void fast_enough(void **state)
{
	struct client client = {.credit = PLENTY};
	struct h2_stream *stream = NULL;
	uint64_t begin = 0;

	(void)state;
	world.config->job.min_rate = 2;
	world.config->job.min_rate_time_ms = 500;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, client.heads);
	begin = loop_clock_us(world.loop);
	while (loop_clock_us(world.loop) - begin < 1200000) {
		uint64_t before = client.taken;

		h2_body(stream, 1, false);
		UNTIL(world.loop, client.closed || client.taken > before);
		assert_int_equal(client.closed, 0);
	}
	h2_body(stream, 0, true);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
}

static void holding_is_not_slow(void **state)
{
	struct client client = {.credit = 0};
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.min_rate = 1000000;
	world.config->job.min_rate_time_ms = 50;
	world.config->job.client_timeout_ms = 200;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, client.job->held);
	assert_timeout(&client, FAIL_TIMEOUT_CLIENT, "200 ms");
}

static void slow_after_holding(void **state)
{
	struct client client = {.credit = 0};
	struct h2_stream *stream = NULL;
	uint64_t since_ms = 0;

	(void)state;
	world.config->job.min_rate = 1000000;
	world.config->job.min_rate_time_ms = 50;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, client.job->held);
	since_ms = client.job->rate_ms;
	let_pass(70);
	client_grant(&client, 1000);
	assert_true(client.job->rate_ms >= since_ms + 70);
	assert_timeout(&client, FAIL_TOO_SLOW, "1000 bytes of body came in 50 ms");
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
	world.config->job.min_rate = 0;
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
		JOB_TEST(total_ends_with_the_last_byte),
		JOB_TEST(upload_that_is_not_taken),
		JOB_TEST(upload_goes_before_first_byte),
		JOB_TEST(first_byte_counts_during_an_upload),
		JOB_TEST(first_byte_counts_from_the_last_of_the_upload),
		JOB_TEST(upload_is_over_with_the_response),
		JOB_TEST(too_slow),
		JOB_TEST(too_slow_later),
		JOB_TEST(fast_enough),
		JOB_TEST(holding_is_not_slow),
		JOB_TEST(slow_after_holding),
		JOB_TEST(earliest_deadline_wins),
		JOB_TEST(zero_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
