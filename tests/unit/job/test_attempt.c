/* SPDX-License-Identifier: MIT */
/*
 * Replay and retry: when a job is tried again, on what, and what its ledger says.
 */
#include "unit/job/job_world.h"

static struct h2_stream *nth(unsigned connection, unsigned stream)
{
	return h2_stream(h2_connection(world.origin, connection), stream);
}

static void finish(struct client *client, struct h2_stream *stream)
{
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 100, true);
	UNTIL(world.loop, client->closed);
	assert_int_equal(client->reason, CLOSE_ENDED);
	assert_int_equal(client->taken, 100);
}

/* ---- always safe ---- */

static void refused_stream_is_sent_again_whatever_its_method(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("POST", "/");

	(void)state;
	spec.request.body = (const uint8_t *)"body";
	spec.request.body_length = 4;
	spec.request.has_body = true;
	submit(&client, &spec);
	h2_reset(nth(0, 0), NGHTTP2_REFUSED_STREAM);
	UNTIL(world.loop, nth(0, 1)->ended);
	assert_memory_equal(nth(0, 1)->body, "body", 4);
	finish(&client, nth(0, 1));
	assert_int_equal(client.attempt_count, 2);
	assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_REFUSED, true);
	assert_attempt(&client, 1, CLOSE_ENDED, FAIL_NONE, false);
	assert_int_equal(client.attempts[0].stream, 1);
	assert_int_equal(client.attempts[1].stream, 3);
	assert_int_equal(world.http.metrics.replays, 1);
	assert_int_equal(client.heads, 1);
}

static void above_goaway_is_sent_again_elsewhere(void **state)
{
	struct client clients[2] = {{.credit = PLENTY}, {.credit = PLENTY}};
	struct job_spec spec = spec_of("POST", "/");

	(void)state;
	submit(&clients[0], &spec);
	submit(&clients[1], &spec);
	(void)nth(0, 1);
	h2_goaway(world.origin->connections[0], 1, NGHTTP2_NO_ERROR, "");
	finish(&clients[1], nth(1, 0));
	assert_attempt(&clients[1], 0, CLOSE_RESET, FAIL_H2_REFUSED, true);
	assert_int_equal(clients[1].attempts[1].connection, 2);
	finish(&clients[0], nth(0, 0));
	assert_int_equal(clients[0].attempt_count, 1);
}

static void inactive_is_sent_again(void **state)
{
	struct client clients[2] = {{.credit = PLENTY}, {.credit = PLENTY}};
	struct job_spec spec = spec_of("POST", "/");

	(void)state;
	submit(&clients[0], &spec);
	(void)nth(0, 0);
	/* GOAWAY is read in the round in which the second one is handed over: it never leaves. */
	h2_goaway(world.origin->connections[0], 1, NGHTTP2_NO_ERROR, "");
	submit(&clients[1], &spec);
	finish(&clients[1], nth(1, 0));
	if (clients[1].attempt_count == 2) {
		assert_true(clients[1].attempts[0].replay_safe);
	}
	finish(&clients[0], nth(0, 0));
}

/* ---- safe for idempotent methods while nothing was delivered ---- */

static void lost_connection(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		bool idempotent = i == 0;
		struct client client = {.credit = PLENTY};
		struct job_spec spec = spec_of(idempotent ? "GET" : "POST", "/");
		struct h2_stream *stream = NULL;

		submit(&client, &spec);
		stream = nth(i * 2, 0);
		h2_sync(stream->connection);
		h2_close(stream->connection);
		if (idempotent) {
			finish(&client, nth(1, 0));
			assert_attempt(&client, 0, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_CLOSED,
				       true);
			h2_close(world.origin->connections[1]);
			rounds(world.loop, 3);
		} else {
			UNTIL(world.loop, client.closed);
			assert_int_equal(client.reason, CLOSE_CONNECTION_LOST);
			assert_int_equal(client.attempt_count, 1);
			assert_attempt(&client, 0, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_CLOSED,
				       false);
			assert_non_null(strstr(client.attempts[0].why, "not idempotent"));
		}
	}
}

static void reset_stream(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	submit_get(&client);
	h2_reset(nth(0, 0), NGHTTP2_INTERNAL_ERROR);
	finish(&client, nth(0, 1));
	assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_RESET, true);
}

static void nothing_is_replayed_after_the_head(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	submit_get(&client);
	h2_head(nth(0, 0), false, 200, NULL);
	UNTIL(world.loop, client.heads);
	/* Even if the peer says what cannot be. */
	h2_reset(nth(0, 0), NGHTTP2_REFUSED_STREAM);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_RESET);
	assert_int_equal(client.attempt_count, 1);
	assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_REFUSED, false);
}

static void broken_protocol_is_final(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	submit_get(&client);
	h2_raw_frame(nth(0, 0)->connection, NGHTTP2_DATA, 0, 99, "x", 1);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_PROTOCOL_ERROR);
	assert_int_equal(client.attempt_count, 1);
}

static void not_http2_is_final(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	spec.retry_allowed = true;
	world.origin->raw = true;
	submit(&client, &spec);
	h2_raw(h2_connection(world.origin, 0), "HTTP/1.1 400 Bad\r\n\r\n", 20);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_CONNECT_FAILED);
	assert_code(&client.failure, 0, FAIL_NOT_HTTP2);
	assert_int_equal(world.origin->count, 1);
}

/* ---- bounds ---- */

static void replay_forbidden(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	spec.replay_forbidden = true;
	submit(&client, &spec);
	h2_reset(nth(0, 0), NGHTTP2_REFUSED_STREAM);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_RESET);
	assert_code(&client.failure, 0, FAIL_H2_REFUSED);
	assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_REFUSED, true);
	assert_non_null(strstr(client.attempts[0].why, "does not allow"));
}

static void attempts_are_bounded(void **state)
{
	(void)state;
	for (unsigned most = 1; most <= 16; most += 5) {
		struct client client = {.credit = PLENTY};
		unsigned first =
			world.origin->count ? world.origin->connections[0]->stream_count : 0;

		world.config->job.max_attempts = most;
		submit_get(&client);
		for (unsigned i = 0; i < most; i++) {
			h2_reset(nth(0, first + i), NGHTTP2_REFUSED_STREAM);
		}
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_RESET);
		assert_int_equal(client.attempt_count, most);
		assert_non_null(strstr(client.attempts[most - 1].why, "max_attempts"));
		assert_true(client.attempts[most - 1].replay_safe);
	}
}

static void counts_add_up_over_attempts(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	submit_get(&client);
	h2_interim(nth(0, 0), 103);
	h2_reset(nth(0, 0), NGHTTP2_REFUSED_STREAM);
	finish(&client, nth(0, 1));
	assert_int_equal(client.bytes.payload, 100);
	/* Two requests. The first one filled the compression table for the second. */
	assert_true(client.bytes.wire_sent > 2 * 9);
	assert_true(client.bytes.wire_received > 100 + 9 + 9 + 13);
	assert_int_equal(client.interims, 1);
}

/* ---- 421 ---- */

static void misdirected_goes_to_a_fresh_connection_once(void **state)
{
	struct client clients[2] = {{.credit = PLENTY}, {.credit = PLENTY}};
	struct job_spec spec = spec_of("POST", "/");

	(void)state;
	submit(&clients[0], &spec);
	h2_head(nth(0, 0), true, 421, NULL);
	finish(&clients[0], nth(1, 0));
	assert_attempt(&clients[0], 0, CLOSE_INVALID_HOSTNAME, FAIL_MISDIRECTED, true);
	assert_int_equal(clients[0].attempts[0].status, 421);
	assert_int_equal(clients[0].heads, 1);
	/* Twice is the answer. */
	submit(&clients[1], &spec);
	h2_head(nth(1, 1), true, 421, NULL);
	h2_head(nth(2, 0), true, 421, NULL);
	UNTIL(world.loop, clients[1].closed);
	assert_int_equal(clients[1].reason, CLOSE_INVALID_HOSTNAME);
	assert_code(&clients[1].failure, 0, FAIL_MISDIRECTED);
	assert_int_equal(clients[1].attempt_count, 2);
	assert_int_equal(clients[1].heads, 0);
}

/* ---- retry ---- */

static struct job_spec retrying(void)
{
	struct job_spec spec = spec_of("GET", "/");

	spec.retry_allowed = true;
	return spec;
}

static void temporary_statuses_are_tried_again(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = retrying();

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), false, 503, NULL);
	h2_head(nth(0, 1), true, 429, "retry-after", "0", NULL);
	finish(&client, nth(0, 2));
	assert_int_equal(client.attempt_count, 3);
	assert_int_equal(client.attempts[0].status, 503);
	assert_int_equal(client.attempts[1].status, 429);
	assert_true(client.attempts[0].replay_safe);
	assert_int_equal(client.heads, 1);
	assert_int_equal(client.status, 200);
	assert_int_equal(world.http.metrics.retries, 2);
	assert_int_equal(world.http.metrics.replays, 0);
}

/* Others by configuration; of them only what may be done twice. */
static void configured_statuses_are_tried_again(void **state)
{
	struct client clients[3] = {{.credit = PLENTY}, {.credit = PLENTY}, {.credit = PLENTY}};
	struct job_spec spec = retrying();
	struct job_spec post = spec_of("POST", "/");

	(void)state;
	free(world.config->job.retry_statuses);
	world.config->job.retry_statuses = strdup("429 502");
	submit(&clients[0], &spec);
	h2_head(nth(0, 0), true, 502, "retry-after", "0", NULL);
	finish(&clients[0], nth(0, 1));
	assert_int_equal(clients[0].attempts[0].status, 502);
	/* Not in the list any more. */
	submit(&clients[1], &spec);
	h2_head(nth(0, 2), true, 503, "retry-after", "0", NULL);
	UNTIL(world.loop, clients[1].closed);
	assert_int_equal(clients[1].status, 503);
	post.retry_allowed = true;
	submit(&clients[2], &post);
	h2_head(nth(0, 3), true, 429, "retry-after", "0", NULL);
	h2_head(nth(0, 4), true, 502, "retry-after", "0", NULL);
	UNTIL(world.loop, clients[2].closed);
	assert_int_equal(clients[2].status, 502);
	assert_int_equal(clients[2].attempt_count, 2);
}

static void not_unless_allowed(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	submit_get(&client);
	h2_head(nth(0, 0), true, 503, "retry-after", "0", NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.status, 503);
}

static void retry_after_is_waited_for(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = retrying();
	struct job_info info;

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 503, "retry-after", "50", NULL);
	UNTIL(world.loop, state_of(&client) == JOB_BACKOFF);
	job_info(client.job, &info);
	assert_non_null(strstr(info.wait.text, "the next try, in "));
	/* 50 s from now, give or take the time that this took. */
	assert_true(client.job->retry_at_ms > loop_now_ms(world.loop) + 20000);
	assert_true(client.job->retry_at_ms <= loop_now_ms(world.loop) + 50000);
	assert_int_equal(jobs_in_state(world.jobs, JOB_BACKOFF), 1);
	assert_int_equal(world.http.env->streams, 0);
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
}

static void too_late_a_retry_is_the_answer(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = retrying();

	(void)state;
	world.config->job.max_backoff_ms = 60000;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 503, "retry-after", "61", NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.status, 503);
	assert_int_equal(client.attempt_count, 1);
}

static void last_try_is_the_answer(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = retrying();

	(void)state;
	world.config->job.max_attempts = 2;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 503, NULL);
	h2_head(nth(0, 1), true, 503, NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.status, 503);
	assert_int_equal(client.heads, 1);
	assert_int_equal(client.attempt_count, 2);
}

static void failed_connect_is_tried_again(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = retrying();

	(void)state;
	world.config->job.backoff_ms = 30;
	h2_origin_close(world.origin);
	submit(&client, &spec);
	UNTIL(world.loop, world.http.metrics.connect_failures == 1);
	h2_origin_open(world.origin);
	finish(&client, nth(0, 0));
	assert_true(client.attempt_count >= 2);
	assert_attempt(&client, 0, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED, true);
	assert_int_equal(client.attempts[0].connection, 0);
	assert_int_equal(client.attempts[0].stream, 0);
}

static void failed_connect_ends_it(void **state)
{
	struct client clients[3] = {{.credit = PLENTY}};
	struct job_spec spec = retrying();

	(void)state;
	h2_origin_close(world.origin);
	submit_get(&clients[0]);
	submit_get(&clients[1]);
	UNTIL(world.loop, clients[0].closed && clients[1].closed);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(clients[i].reason, CLOSE_CONNECT_FAILED);
		assert_code(&clients[i].failure, 0, FAIL_CONNECT_REFUSED);
		assert_int_equal(clients[i].attempt_count, 1);
	}
	assert_int_equal(world.http.metrics.connect_failures, 1);
	/* With retries it takes as many as there may be. */
	world.config->job.max_attempts = 3;
	submit(&clients[2], &spec);
	UNTIL(world.loop, clients[2].closed);
	assert_int_equal(clients[2].reason, CLOSE_CONNECT_FAILED);
	assert_int_equal(clients[2].attempt_count, 3);
	assert_int_equal(world.http.metrics.connect_failures, 4);
	assert_int_equal(world.http.metrics.retries, 2);
}

static void unanswered_uploads_do_not_run_again(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("PATCH", "/");

	(void)state;
	submit(&client, &spec);
	h2_reset(nth(0, 0), NGHTTP2_CANCEL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_RESET);
	assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_RESET, false);
	assert_non_null(strstr(client.attempts[0].why, "not idempotent"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(refused_stream_is_sent_again_whatever_its_method),
		JOB_TEST(above_goaway_is_sent_again_elsewhere),
		JOB_TEST(inactive_is_sent_again),
		JOB_TEST(lost_connection),
		JOB_TEST(reset_stream),
		JOB_TEST(nothing_is_replayed_after_the_head),
		JOB_TEST(broken_protocol_is_final),
		JOB_TEST(not_http2_is_final),
		JOB_TEST(replay_forbidden),
		JOB_TEST(attempts_are_bounded),
		JOB_TEST(counts_add_up_over_attempts),
		JOB_TEST(misdirected_goes_to_a_fresh_connection_once),
		JOB_TEST(temporary_statuses_are_tried_again),
		JOB_TEST(configured_statuses_are_tried_again),
		JOB_TEST(not_unless_allowed),
		JOB_TEST(retry_after_is_waited_for),
		JOB_TEST(too_late_a_retry_is_the_answer),
		JOB_TEST(last_try_is_the_answer),
		JOB_TEST(failed_connect_is_tried_again),
		JOB_TEST(failed_connect_ends_it),
		JOB_TEST(unanswered_uploads_do_not_run_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
