/* SPDX-License-Identifier: MIT */
/*
 * A job's request body that comes in pieces: its credit, whose time it is, what becomes of it when
 * the request has to be sent again, and its early ends.
 */
#include "unit/job/job_world.h"

#include "http/upload.h"

#include <errno.h>

#define BUFFER 65536u
#define SHORT_MS 30u

static int setup(void **state)
{
	(void)job_setup(state);
	world.config->ipc.upload_buffer = BUFFER;
	return 0;
}

static int teardown(void **state)
{
	(void)job_teardown(state);
	return 0;
}

static struct job_spec put_spec(void)
{
	struct job_spec spec = spec_of("PUT", "/");

	spec.request.streamed = true;
	return spec;
}

static struct job_spec put_spec_of(uint64_t length)
{
	struct job_spec spec = put_spec();

	spec.request.has_length = true;
	spec.request.length = length;
	return spec;
}

static int try_give(struct client *client, size_t length, bool end, const char **ret_why)
{
	static uint8_t data[BUFFER * 2];
	int rc = 0;

	assert_true(length <= sizeof(data));
	for (size_t i = 0; i < length; i++) {
		data[i] = h2_byte(client->uploaded + i);
	}
	/* As soon as it is in there, more may be granted. */
	client->uploaded += length;
	rc = job_upload(client->job, data, length, end, ret_why);
	if (rc != 0) {
		client->uploaded -= length;
	}
	return rc;
}

static void give(struct client *client, size_t length, bool end)
{
	const char *why = "";

	if (try_give(client, length, end, &why) != 0) {
		fail_msg("refused: %s", why);
	}
}

/* All of `total` bytes, as they are granted. */
static void give_all(struct client *client, uint64_t total)
{
	while (client->uploaded < total) {
		uint64_t most = client->granted - client->uploaded;

		if (most == 0) {
			loop_run_once(world.loop, true);
			continue;
		}
		if (most > total - client->uploaded) {
			most = total - client->uploaded;
		}
		give(client, (size_t)most, client->uploaded + most == total);
	}
}

/* What the server has of it. */
static void assert_body(const struct h2_stream *stream, size_t length)
{
	assert_int_equal(stream->body_length, length);
	for (size_t i = 0; i < length; i++) {
		if (stream->body[i] != h2_byte(i)) {
			fail_msg("wrong byte at %zu", i);
		}
	}
}

static struct h2_stream *submit_put(struct client *client, const struct job_spec *spec)
{
	submit(client, spec);
	(void)h2_first(world.origin, 0);
	UNTIL(world.loop, client->granted > 0);
	return h2_first(world.origin, 0);
}

static void answer(struct h2_stream *stream, struct client *client)
{
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, client->closed);
	assert_int_equal(client->reason, CLOSE_ENDED);
	assert_int_equal(world.http.env->buffered_bytes, 0);
	assert_int_equal(world.http.env->upload_bytes, 0);
}

/* A connection whose peer has said that request bodies have to wait. */
static struct h2_connection *shut_the_window(void)
{
	struct client first = {.credit = PLENTY};

	world.origin->window = 0;
	submit_get(&first);
	h2_head(h2_first(world.origin, 0), true, 204, NULL);
	UNTIL(world.loop, first.closed);
	h2_sync(h2_connection(world.origin, 0));
	return h2_connection(world.origin, 0);
}

static enum wait_reason reason_of(const struct client *client, uint64_t *ret_until_ms)
{
	struct job_info info;

	job_info(client->job, &info);
	*ret_until_ms = info.wait.until_ms;
	return info.wait.reason;
}

/* ---- the way there ---- */

static void line_27_small(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = submit_put(&client, &spec);

	(void)state;
	assert_int_equal(client.granted, BUFFER);
	assert_int_equal(world.http.env->upload_bytes, BUFFER);
	assert_null(h2_field(stream, "content-length"));
	give(&client, 10, false);
	UNTIL(world.loop, stream->body_length == 10);
	give(&client, 1000, true);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, 1010);
	/* It is kept until there is an answer. */
	assert_int_equal(world.http.env->buffered_bytes, 1010);
	answer(stream, &client);
	assert_int_equal(client.granted, BUFFER);
	assert_true(client.bytes.wire_sent >= 1010);
}

/* Much more than the buffer holds: never more of it here, and credit comes in halves. */
static void line_27_large(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec_of(20 * BUFFER + 5);
	struct h2_stream *stream = submit_put(&client, &spec);

	(void)state;
	assert_string_equal(h2_field(stream, "content-length")->value, "1310725");
	give_all(&client, 20 * BUFFER + 5);
	assert_true(world.http.env->buffered_bytes <= BUFFER);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, 20 * BUFFER + 5);
	assert_in_range(client.grants, 20, 41);
	answer(stream, &client);
}

/* Without a stream there is nothing to hold bytes for. */
static void credit_comes_with_the_stream(void **state)
{
	struct client first = {.credit = PLENTY};
	struct client second = {.credit = PLENTY};
	struct job_spec spec = put_spec();

	(void)state;
	world.http.env->settings.max_streams_per_connection = 1;
	world.http.env->settings.max_connections_per_origin = 1;
	(void)submit_put(&first, &spec);
	submit(&second, &spec);
	h2_sync(h2_connection(world.origin, 0));
	assert_int_equal(second.granted, 0);
	assert_int_equal(world.http.env->upload_bytes, BUFFER);
	give(&first, 0, true);
	h2_head(h2_first(world.origin, 0), true, 200, NULL);
	UNTIL(world.loop, first.closed && second.granted == BUFFER);
	job_cancel(second.job, FAIL_CANCELLED_BY_CLIENT);
}

/* What uploads may hold is part of the budget. */
static void uploads_count_in_the_budget(void **state)
{
	struct client clients[3] = {{.credit = PLENTY}, {.credit = PLENTY}, {.credit = PLENTY}};
	struct job_spec spec = put_spec();
	uint64_t until_ms = 0;

	(void)state;
	/* Two windows and two buffers, but for a byte. */
	world.http.env->settings.body_budget = 2 * (65536 + BUFFER) - 1 + 65536;
	for (unsigned i = 0; i < 3; i++) {
		submit(&clients[i], &spec);
	}
	UNTIL(world.loop, clients[0].granted && clients[1].granted &&
				  reason_of(&clients[2], &until_ms) == WAIT_MEMORY_BUDGET);
	assert_int_equal(world.http.env->upload_bytes, 2 * BUFFER);
	assert_int_equal(clients[2].granted, 0);
	give(&clients[0], 0, true);
	h2_head(h2_first(world.origin, 0), true, 200, NULL);
	UNTIL(world.loop, clients[2].granted);
	job_cancel(clients[1].job, FAIL_CANCELLED_BY_CLIENT);
	job_cancel(clients[2].job, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(clients[0].closed, 1);
	assert_int_equal(world.http.env->upload_bytes, 0);
}

/* ---- faults of the client ---- */

static void what_may_not_come(void **state)
{
	struct client client = {.credit = PLENTY};
	struct client other = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	const char *why = NULL;

	(void)state;
	submit(&client, &spec);
	assert_int_equal(try_give(&client, 1, false, &why), -EPROTO); /* no credit yet */
	assert_non_null(strstr(why, "UploadCredit"));
	UNTIL(world.loop, client.granted);
	assert_int_equal(try_give(&client, BUFFER + 1, false, &why), -EPROTO);
	give(&client, BUFFER, false);
	assert_int_equal(try_give(&client, 1, false, &why), -EPROTO);
	UNTIL(world.loop, client.granted > BUFFER);
	give(&client, 1, true);
	assert_int_equal(try_give(&client, 0, true, &why), -EPROTO);
	assert_non_null(strstr(why, "after the last"));
	submit_get(&other);
	assert_int_equal(try_give(&other, 0, true, &why), -EPROTO);
	assert_non_null(strstr(why, "no upload"));
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
	job_cancel(other.job, FAIL_CANCELLED_BY_CLIENT);
}

static void another_length_than_announced(void **state)
{
	static const struct {
		size_t length;
		bool end;
		const char *text;
	} cases[] = {
		{101, false, "announced 100 bytes of request body, but sent at least 101"},
		{101, true, "at least 101"},
		{99, true, "sent only 99"},
		{0, true, "sent only 0"},
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = put_spec_of(100);

		submit(&client, &spec);
		(void)h2_first(world.origin, i);
		UNTIL(world.loop, client.granted);
		give(&client, cases[i].length, cases[i].end);
		assert_int_equal(client.closed, 1); /* from inside */
		assert_int_equal(client.reason, CLOSE_CANCELLED);
		assert_code(&client.failure, 0, FAIL_UPLOAD_LENGTH);
		assert_text(&client.failure, cases[i].text);
		UNTIL(world.loop, h2_first(world.origin, i)->reset);
		assert_int_equal(h2_first(world.origin, i)->reset_code, NGHTTP2_CANCEL);
		assert_int_equal(h2_first(world.origin, i)->body_length, 0);
	}
}

/* It is known before there is a stream. */
static void too_short_while_queued(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec_of(100);

	(void)state;
	submit(&client, &spec);
	give(&client, 0, true);
	assert_int_equal(client.closed, 1);
	assert_code(&client.failure, 0, FAIL_UPLOAD_LENGTH);
	assert_int_equal(client.attempt_count, 0);
}

/* The request is whole and its answer is on the way: one byte more is one too many all the same. */
static void too_long_behind_the_last_byte(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = put_spec_of(100);
	struct h2_stream *stream = submit_put(&client, &spec);

	(void)state;
	give(&client, 100, false);
	UNTIL(world.loop, stream->ended);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, client.heads);
	assert_int_equal(world.http.env->upload_bytes, 0);
	give(&client, 1, true);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.reason, CLOSE_CANCELLED);
	assert_code(&client.failure, 0, FAIL_UPLOAD_LENGTH);
}

static void what_a_submit_may_not_say(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct failure failure;

	(void)state;
	spec.request.has_body = true;
	assert_int_equal(try_submit(&client, &spec, &failure), FAIL_BODY_INVALID);
	spec = put_spec();
	spec.request.method = "TRACE";
	assert_int_equal(try_submit(&client, &spec, &failure), FAIL_BODY_INVALID);
	spec = put_spec_of(UINT64_MAX);
	assert_int_equal(try_submit(&client, &spec, &failure), FAIL_BODY_INVALID);
	assert_int_equal(world.http.env->upload_bytes, 0);
}

/* ---- whose time it is ---- */

static void waits_for_the_client(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	uint64_t until_ms = 0;

	(void)state;
	world.config->job.client_timeout_ms = 300;
	spec.first_byte_timeout_ms = option(SHORT_MS);
	spec.stall_timeout_ms = option(SHORT_MS);
	(void)submit_put(&client, &spec);
	UNTIL(world.loop, reason_of(&client, &until_ms) == WAIT_CLIENT_UPLOAD);
	assert_int_equal(until_ms, stream_sent_progress_ms(client.job->stream) + 300);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_TIMEOUT);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_CLIENT);
	assert_text(&client.failure,
		    "sent nothing of the request's body for 300 ms (job.client_timeout)");
	/* It is not the connection that is suspected. */
	assert_int_equal(client.attempt_count, 1);
	UNTIL(world.loop, h2_first(world.origin, 0)->reset);
}

/* Also with no other limit at all, and in the middle of it. */
static void waits_for_the_rest(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.client_timeout_ms = SHORT_MS;
	spec.first_byte_timeout_ms = option(0);
	spec.stall_timeout_ms = option(0);
	stream = submit_put(&client, &spec);
	give(&client, 100, false);
	UNTIL(world.loop, stream->body_length == 100);
	UNTIL(world.loop, client.closed);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_CLIENT);
}

/* The client's time does not count for the answer: that has its own from the last byte on. */
static void first_byte_counts_from_the_end(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	spec.first_byte_timeout_ms = option(100);
	spec.stall_timeout_ms = option(100);
	stream = submit_put(&client, &spec);
	for (unsigned i = 0; i < 3; i++) {
		let_pass(120);
		assert_int_equal(client.closed, 0);
		give(&client, 10, i == 2);
	}
	UNTIL(world.loop, stream->ended);
	UNTIL(world.loop, client.closed);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_FIRST_BYTE);
	assert_text(&client.failure, "100 ms");
}

/* Bytes are there, and the peer does not take them: then it is the peer's. */
static void waits_for_the_window(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	uint64_t until_ms = 0;

	(void)state;
	(void)shut_the_window();
	spec.stall_timeout_ms = option(100);
	spec.first_byte_timeout_ms = option(0);
	submit(&client, &spec);
	UNTIL(world.loop, client.granted);
	UNTIL(world.loop, reason_of(&client, &until_ms) == WAIT_CLIENT_UPLOAD);
	let_pass(120);
	give(&client, 10, false);
	assert_int_equal(reason_of(&client, &until_ms), WAIT_PEER_WINDOW);
	assert_int_equal(until_ms, loop_now_ms(world.loop) + 100);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_TIMEOUT);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_UPLOAD);
	assert_text(&client.failure, "window of the stream");
}

/* The answer has begun, and waits for the rest of the question. */
static void line_41_both_ways_at_once(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;
	uint64_t until_ms = 0;

	(void)state;
	world.config->job.min_rate = 1000000;
	world.config->job.min_rate_time_ms = 50;
	spec.stall_timeout_ms = option(100);
	stream = submit_put(&client, &spec);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, client.heads);
	/* The client's time. */
	let_pass(150);
	assert_int_equal(client.closed, 0);
	let_pass(1000);
	assert_int_equal(reason_of(&client, &until_ms), WAIT_CLIENT_UPLOAD);
	assert_true(until_ms > loop_now_ms(world.loop) + 1000);
	/* As long as the question goes on, the answer is not late. */
	for (unsigned i = 0; i < 5; i++) {
		give(&client, 10, false);
		let_pass(60);
	}
	assert_int_equal(client.closed, 0);
	give(&client, 10, true);
	UNTIL(world.loop, stream->ended);
	UNTIL(world.loop, client.closed);
	assert_true(failure_top(&client.failure) == FAIL_TOO_SLOW ||
		    failure_top(&client.failure) == FAIL_TIMEOUT_STALL);
}

static void line_41_client_timeout_while_receiving(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 60;
	spec.stall_timeout_ms = option(SHORT_MS);
	stream = submit_put(&client, &spec);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 10, false);
	UNTIL(world.loop, client.taken == 10);
	UNTIL(world.loop, client.closed);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_CLIENT);
}

/* ---- once more ---- */

/* As often as it takes, from the first byte on, as long as all of it is here. */
static void line_42_replayed(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	spec.request.method = "POST"; /* was not processed: any method will do */
	stream = submit_put(&client, &spec);
	give(&client, 30000, false);
	UNTIL(world.loop, stream->body_length == 30000);
	h2_reset(stream, NGHTTP2_REFUSED_STREAM);
	stream = h2_first(world.origin, 1);
	UNTIL(world.loop, stream->body_length == 30000);
	h2_goaway(stream->connection, 1, NGHTTP2_NO_ERROR, "");
	stream = h2_stream(h2_connection(world.origin, 1), 0);
	UNTIL(world.loop, stream->body_length == 30000);
	assert_int_equal(client.granted, BUFFER);
	give(&client, BUFFER - 30000, true);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, BUFFER);
	answer(stream, &client);
	assert_int_equal(client.attempt_count, 3);
	assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_REFUSED, true);
	assert_attempt(&client, 1, CLOSE_RESET, FAIL_H2_REFUSED, true);
}

/* It comes while there is no stream. */
static void line_43_replayed_after_a_loss(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = submit_put(&client, &spec);

	(void)state;
	give(&client, 100, false);
	UNTIL(world.loop, stream->body_length == 100);
	h2_close(h2_connection(world.origin, 0));
	UNTIL(world.loop, state_of(&client) == JOB_QUEUED);
	give(&client, 100, true);
	stream = h2_stream(h2_connection(world.origin, 1), 0);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, 200);
	answer(stream, &client);
	assert_attempt(&client, 0, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_CLOSED, true);
}

/* Uses up the credit; what was sent is forgotten then. */
static struct h2_stream *commit(struct client *client, const struct job_spec *spec)
{
	struct h2_stream *stream = submit_put(client, spec);

	give(client, BUFFER, false);
	UNTIL(world.loop, client->granted > BUFFER);
	return stream;
}

static void line_42_not_without_its_body(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = commit(&client, &spec);

	(void)state;
	h2_reset(stream, NGHTTP2_REFUSED_STREAM);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_RESET);
	assert_code(&client.failure, 0, FAIL_H2_REFUSED);
	assert_int_equal(client.attempt_count, 1);
	assert_string_equal(client.attempts[0].why,
			    "safe, but the request's body is no longer held");
	assert_int_equal(world.http.env->upload_bytes, 0);
	assert_int_equal(world.http.env->buffered_bytes, 0);
}

/* The credit is used up, but of that nothing has left: all of it is here. */
static void a_full_buffer_is_no_loss(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_connection *connection = shut_the_window();
	struct h2_stream *stream = NULL;

	(void)state;
	submit(&client, &spec);
	UNTIL(world.loop, client.granted);
	give(&client, BUFFER, false);
	h2_sync(connection);
	world.origin->window = -1;
	h2_reset(h2_stream(connection, 1), NGHTTP2_REFUSED_STREAM);
	stream = h2_stream(connection, 2);
	h2_settings(connection,
		    &(nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000000}, 1);
	UNTIL(world.loop, client.granted > BUFFER);
	give(&client, 1, true);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, BUFFER + 1);
	answer(stream, &client);
}

static void redirect_within_the_buffer(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	spec.max_redirects = 3;
	stream = submit_put(&client, &spec);
	give(&client, 5000, false);
	UNTIL(world.loop, stream->body_length == 5000);
	h2_head(stream, true, 307, "location", "/elsewhere", NULL);
	stream = h2_first(world.origin, 1);
	UNTIL(world.loop, stream->body_length == 5000);
	assert_string_equal(h2_field(stream, ":path")->value, "/elsewhere");
	assert_string_equal(h2_field(stream, ":method")->value, "PUT");
	give(&client, 5000, true);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, 10000);
	answer(stream, &client);
	assert_int_equal(client.granted, BUFFER);
}

static void redirect_beyond_the_buffer(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	spec.max_redirects = 3;
	stream = commit(&client, &spec);
	h2_head(stream, true, 308, "location", "/elsewhere", NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_DENIED);
	assert_code(&client.failure, 0, FAIL_REDIRECT_INVALID);
	assert_text(&client.failure, "no longer held");
}

/* A redirection that leaves the body out: what still comes of it is for nobody. */
static void redirect_without_the_body(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec_of(3 * BUFFER);
	struct h2_stream *stream = NULL;

	(void)state;
	spec.max_redirects = 3;
	stream = commit(&client, &spec);
	h2_head(stream, true, 303, "location", "/elsewhere", NULL);
	stream = h2_first(world.origin, 1);
	assert_string_equal(h2_field(stream, ":method")->value, "GET");
	assert_null(h2_field(stream, "content-length"));
	UNTIL(world.loop, stream->ended);
	assert_int_equal(world.http.env->upload_bytes, 0);
	give(&client, 10, true); /* nor does its length matter */
	answer(stream, &client);
}

static void line_07_misdirected(void **state)
{
	struct client client = {.credit = PLENTY};
	struct client large = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = submit_put(&client, &spec);

	(void)state;
	give(&client, 5000, true);
	UNTIL(world.loop, stream->ended);
	h2_head(stream, true, 421, NULL);
	stream = h2_stream(h2_connection(world.origin, 1), 0);
	UNTIL(world.loop, stream->ended);
	assert_body(stream, 5000);
	answer(stream, &client);
	submit(&large, &spec);
	stream = h2_stream(h2_connection(world.origin, 1), 1);
	UNTIL(world.loop, large.granted);
	give(&large, BUFFER, false);
	UNTIL(world.loop, large.granted > BUFFER);
	h2_head(stream, true, 421, NULL);
	UNTIL(world.loop, large.closed);
	assert_int_equal(large.reason, CLOSE_INVALID_HOSTNAME);
	assert_int_equal(large.attempt_count, 1);
}

static void line_45_retried(void **state)
{
	struct client client = {.credit = PLENTY};
	struct client large = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	spec.retry_allowed = true;
	stream = submit_put(&client, &spec);
	give(&client, 100, false);
	UNTIL(world.loop, stream->body_length == 100);
	h2_head(stream, true, 503, NULL);
	stream = h2_first(world.origin, 1);
	UNTIL(world.loop, stream->body_length == 100);
	give(&client, 100, true);
	UNTIL(world.loop, stream->ended);
	answer(stream, &client);
	/* Without its body it cannot be tried again: the answer is the answer. */
	submit(&large, &spec);
	stream = h2_first(world.origin, 2);
	UNTIL(world.loop, large.granted);
	give(&large, BUFFER, false);
	UNTIL(world.loop, large.granted > BUFFER);
	h2_head(stream, true, 503, NULL);
	UNTIL(world.loop, large.closed);
	assert_int_equal(large.reason, CLOSE_ENDED);
	assert_int_equal(large.status, 503);
	assert_int_equal(large.attempt_count, 1);
}

/* ---- early ends ---- */

static void line_28_an_early_answer(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = put_spec_of(3 * BUFFER);
	struct h2_stream *stream = commit(&client, &spec);
	uint64_t granted = client.granted;

	(void)state;
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 10, true);
	UNTIL(world.loop, state_of(&client) == JOB_DELIVERING);
	assert_int_equal(world.http.env->upload_bytes, 0);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_NO_ERROR);
	give(&client, (size_t)(client.granted - client.uploaded), false);
	assert_int_equal(client.granted, granted);
	client_grant(&client, 10);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.taken, 10);
}

static void line_30_the_answer_came_instead(void **state)
{
	const struct header_field expect = FIELD("expect", "100-continue");
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	spec.request.headers = &expect;
	spec.request.header_count = 1;
	stream = submit_put(&client, &spec);
	give(&client, 100, false);
	h2_head(stream, false, 417, NULL);
	UNTIL(world.loop, client.heads);
	assert_int_equal(world.http.env->upload_bytes, 0);
	give(&client, 100, false);
	h2_body(stream, 10, true);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->body_length, 0);
}

static void line_39_cancelled_in_the_middle(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = commit(&client, &spec);

	(void)state;
	give(&client, 100, false);
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(client.closed, 1);
	assert_int_equal(world.http.env->upload_bytes, 0);
	assert_int_equal(world.http.env->buffered_bytes, 0);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_CANCEL);
}

/* A bad end waits for its delivery, and the upload does not. */
static void dropped_before_the_delivery(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = put_spec();
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.delivery_timeout_ms = 600000;
	stream = submit_put(&client, &spec);
	give(&client, 100, false);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 10, false);
	UNTIL(world.loop, client.readables);
	UNTIL(world.loop, stream->body_length == 100);
	h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
	UNTIL(world.loop, state_of(&client) == JOB_DELIVERING);
	assert_int_equal(world.http.env->upload_bytes, 0);
	give(&client, 100, true);
	client_grant(&client, 10);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.reason, CLOSE_RESET);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(line_27_small),
		TEST(line_27_large),
		TEST(credit_comes_with_the_stream),
		TEST(uploads_count_in_the_budget),
		TEST(what_may_not_come),
		TEST(another_length_than_announced),
		TEST(too_short_while_queued),
		TEST(too_long_behind_the_last_byte),
		TEST(what_a_submit_may_not_say),
		TEST(waits_for_the_client),
		TEST(waits_for_the_rest),
		TEST(first_byte_counts_from_the_end),
		TEST(waits_for_the_window),
		TEST(line_41_both_ways_at_once),
		TEST(line_41_client_timeout_while_receiving),
		TEST(line_42_replayed),
		TEST(line_43_replayed_after_a_loss),
		TEST(line_42_not_without_its_body),
		TEST(a_full_buffer_is_no_loss),
		TEST(redirect_within_the_buffer),
		TEST(redirect_beyond_the_buffer),
		TEST(redirect_without_the_body),
		TEST(line_07_misdirected),
		TEST(line_45_retried),
		TEST(line_28_an_early_answer),
		TEST(line_30_the_answer_came_instead),
		TEST(line_39_cancelled_in_the_middle),
		TEST(dropped_before_the_delivery),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
