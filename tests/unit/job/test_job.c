/* SPDX-License-Identifier: MIT */
/*
 * One job: its states, the hand-over of its body, its size limits, and its one end in every way.
 */
#include "unit/job/job_world.h"

static void a_fetch(void **state)
{
	struct client client = {.credit = PLENTY};
	struct h2_stream *stream = NULL;
	struct job_info info;

	(void)state;
	submit_get(&client);
	assert_int_equal(state_of(&client), JOB_QUEUED);
	assert_int_equal(jobs_in_state(world.jobs, JOB_QUEUED), 1);
	stream = h2_first(world.origin, 0);
	assert_int_equal(state_of(&client), JOB_SENT);
	h2_interim(stream, 103);
	h2_head(stream, false, 200, "content-length", "300000", NULL);
	UNTIL(world.loop, client.heads);
	assert_int_equal(client.interims, 1);
	assert_int_equal(client.status, 200);
	assert_int_equal(client.connection, 1);
	assert_false(client.reused);
	assert_int_equal(state_of(&client), JOB_RECEIVING);
	h2_body(stream, 100000, false);
	UNTIL(world.loop, client.taken == 100000);
	job_info(client.job, &info);
	assert_int_equal(info.received, 100000);
	assert_int_equal(info.delivered, 100000);
	assert_true(info.has_content_length);
	assert_int_equal(info.content_length, 300000);
	assert_int_equal(info.attempts, 1);
	assert_string_equal(info.method, "GET");
	assert_string_equal(info.wait.text, "");
	assert_int_equal(info.owner->uid, OWNER_UID);
	h2_body(stream, 200000, true);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.failure.count, 0);
	assert_int_equal(client.taken, 300000);
	assert_int_equal(client.bytes.payload, 300000);
	assert_true(client.bytes.wire_received > 300000);
	assert_true(client.bytes.wire_sent > 9);
	assert_int_equal(client.attempt_count, 1);
	assert_attempt(&client, 0, CLOSE_ENDED, FAIL_NONE, false);
	assert_int_equal(client.attempts[0].status, 200);
	assert_int_equal(client.attempts[0].stream, 1);
	assert_int_equal(client.attempts[0].connection, 1);
	assert_string_equal(client.attempts[0].remote, h2_authority(world.origin));
	assert_int_equal(client.warnings + client.trailers, 0);
	assert_true(client.timings.connect_us > 0 && client.timings.tls_us == 0);
	assert_true(client.timings.queued_us >= client.timings.connect_us);
	assert_true(client.timings.sent_us >= client.timings.queued_us);
	assert_true(client.timings.first_byte_us >= client.timings.sent_us);
	assert_true(client.timings.end_us >= client.timings.first_byte_us);
	assert_int_equal(world.http.metrics.jobs_closed[CLOSE_ENDED], 1);
	assert_int_equal(world.http.metrics.delivered, 300000);
	/* The next one finds the connection there. */
	{
		struct client second = {.credit = PLENTY};

		submit_get(&second);
		h2_head(h2_first(world.origin, 1), true, 204, NULL);
		UNTIL(world.loop, second.closed);
		assert_true(second.reused);
		assert_int_equal(second.timings.connect_us, 0);
		assert_int_equal(second.connection, 1);
	}
}

/* ---- delivery ---- */

/* Everything came, but the client has no credit: the job stays, off the wire. */
static void delivering_waits_for_the_client(void **state)
{
	struct client client = {.credit = 1000};
	struct h2_stream *stream = NULL;
	struct job_info info;

	(void)state;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 50000, false);
	h2_trailers(stream);
	UNTIL(world.loop, client.job && state_of(&client) == JOB_DELIVERING);
	assert_int_equal(client.taken, 1000);
	assert_int_equal(client.trailers, 0);
	job_info(client.job, &info);
	assert_string_equal(info.wait.text, "the client to grant credit, 49000 bytes wait");
	/* Not even the connection is needed any more. */
	h2_close(stream->connection);
	rounds(world.loop, 5);
	assert_int_equal(client.closed, 0);
	client_grant(&client, 48999);
	assert_int_equal(client.closed, 0);
	assert_int_equal(job_available(client.job), 1);
	client_grant(&client, 1);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.taken, 50000);
	assert_int_equal(client.trailers, 1);
	assert_int_equal(client.taken_at_trailers, 50000);
	assert_string_equal(client.trailer, "done");
}

static void peek_obeys_its_limits(void **state)
{
	struct client client = {.credit = 0};
	struct iovec iov[8];
	unsigned count = 0;

	(void)state;
	submit_get(&client);
	assert_int_equal(job_available(client.job), 0);
	assert_int_equal(job_peek(client.job, iov, 8, 100), 0);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 60000, false);
	UNTIL(world.loop, job_available(client.job) == 60000);
	assert_int_equal(job_peek(client.job, iov, 8, 0), 0);
	count = job_peek(client.job, iov, 8, 1);
	assert_int_equal(count, 1);
	assert_int_equal(iov[0].iov_len, 1);
	assert_int_equal(job_peek(client.job, iov, 1, 60000), 1);
	count = job_peek(client.job, iov, 8, SIZE_MAX);
	assert_true(count > 1);
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
}

/* ---- size limits ---- */

static void submit_limited(struct client *client, uint64_t max_size, uint64_t warn_size)
{
	struct job_spec spec = spec_of("GET", "/");

	spec.max_size = option(max_size);
	spec.warn_size = option(warn_size);
	submit(client, &spec);
}

static void max_size_announced(void **state)
{
	struct client client = {.credit = PLENTY};
	struct h2_stream *stream = NULL;

	(void)state;
	submit_limited(&client, 1000, 10);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, "content-length", "1001", NULL);
	h2_body(stream, 1001, true);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.heads, 1);
	assert_int_equal(client.reason, CLOSE_MAXSIZE_EXCEEDED);
	assert_code(&client.failure, 0, FAIL_SIZE_ANNOUNCED);
	assert_text(&client.failure, "1001");
	assert_text(&client.failure, "1000");
	assert_int_equal(client.taken + client.warnings, 0);
	assert_attempt(&client, 0, CLOSE_MAXSIZE_EXCEEDED, FAIL_SIZE_ANNOUNCED, false);
}

/* Strictly more; and an announced length that is no body is none. */
static void max_size_is_not_exceeded(void **state)
{
	static const struct {
		const char *method;
		unsigned status;
		bool end;
	} table[] = {{"GET", 200, false}, {"HEAD", 200, true}, {"GET", 304, true}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = spec_of(table[i].method, "/");
		struct h2_stream *stream = NULL;

		spec.max_size = option(1000);
		submit(&client, &spec);
		stream = h2_first(world.origin, i);
		h2_head(stream, table[i].end, table[i].status, "content-length",
			i == 0 ? "1000" : "5000", NULL);
		if (!table[i].end) {
			h2_body(stream, 1000, true);
		}
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_ENDED);
	}
}

/* Unannounced: exactly max_size bytes are delivered, not one more, whatever the credit allows. */
static void max_size_received(void **state)
{
	static const uint64_t credits[] = {PLENTY, 1000, 999, 0};
	unsigned count = sizeof(credits) / sizeof(credits[0]);

	(void)state;
	for (unsigned i = 0; i < count; i++) {
		struct client client = {.credit = credits[i]};
		struct h2_stream *stream = NULL;

		submit_limited(&client, 1000, 0);
		stream = h2_first(world.origin, i);
		h2_head(stream, false, 200, NULL);
		h2_body(stream, 1000, false);
		UNTIL(world.loop, client.readables);
		rounds(world.loop, 3);
		assert_int_equal(client.closed, 0);
		h2_body(stream, 1, false);
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_MAXSIZE_EXCEEDED_ACTUAL);
		assert_code(&client.failure, 0, FAIL_SIZE_RECEIVED);
		assert_int_equal(client.taken, credits[i] < 1000 ? credits[i] : 1000);
		assert_int_equal(client.bytes.payload, 1001);
		assert_int_equal(client.warnings, 0);
		UNTIL(world.loop, stream->reset);
	}
	/* All in one piece. */
	{
		struct client client = {.credit = PLENTY};
		struct h2_stream *stream = NULL;

		submit_limited(&client, 1000, 0);
		stream = h2_first(world.origin, count);
		h2_head(stream, false, 200, NULL);
		h2_body(stream, 16000, true);
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_MAXSIZE_EXCEEDED_ACTUAL);
		assert_int_equal(client.taken, 1000);
	}
}

static void padding_is_no_size(void **state)
{
	struct client client = {.credit = PLENTY};
	struct h2_stream *stream = NULL;

	(void)state;
	submit_limited(&client, 100, 100);
	stream = h2_first(world.origin, 0);
	stream->connection->pad = 200;
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 100, true);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.warnings, 0);
}

static void one_warning(void **state)
{
	static const struct {
		const char *length; /* NULL: not announced */
		uint64_t warn_size;
		unsigned warnings;
		bool received;
	} table[] = {
		{"50000", 49999, 1, false}, {"50000", 50000, 0, false}, {NULL, 49999, 1, true},
		{NULL, 50000, 0, false},    {"50000", 0, 0, false},     {NULL, 0, 0, false},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct client client = {.credit = PLENTY};
		struct h2_stream *stream = NULL;

		submit_limited(&client, 0, table[i].warn_size);
		stream = h2_first(world.origin, i);
		h2_head(stream, false, 200, table[i].length ? "content-length" : "x",
			table[i].length ? table[i].length : "y", NULL);
		for (unsigned k = 0; k < 5; k++) {
			h2_body(stream, 10000, k == 4);
			rounds(world.loop, 3);
		}
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_ENDED);
		assert_int_equal(client.warnings, table[i].warnings);
		if (client.warnings) {
			assert_int_equal(client.warned_received, table[i].received);
			assert_non_null(strstr(client.warning, "50000"));
			assert_non_null(strstr(client.warning, "49999"));
		}
	}
}

static void defaults_come_from_the_configuration(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	world.config->job.max_size = 10;
	submit_get(&client);
	h2_head(h2_first(world.origin, 0), false, 200, "content-length", "11", NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_MAXSIZE_EXCEEDED);
}

/* ---- ending it from this side ---- */

/* Brings a job into a state. Returns its stream at the server, if it has one. */
static struct h2_stream *bring(struct client *client, enum job_state target, unsigned *index)
{
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	spec.retry_allowed = target == JOB_BACKOFF;
	submit(client, &spec);
	if (target == JOB_QUEUED) {
		return NULL;
	}
	stream = h2_first(world.origin, (*index)++);
	if (target == JOB_SENT) {
		return stream;
	}
	if (target == JOB_BACKOFF) {
		h2_head(stream, true, 503, "retry-after", "30", NULL);
		UNTIL(world.loop, state_of(client) == JOB_BACKOFF);
		return stream;
	}
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 5000, target == JOB_DELIVERING);
	UNTIL(world.loop, state_of(client) == target && job_available(client->job) == 5000);
	return stream;
}

static void cancel_in_every_state(void **state)
{
	unsigned index = 0;

	(void)state;
	for (enum job_state target = JOB_QUEUED; target < JOB_CLOSED; target++) {
		struct client client = {.credit = 0};
		struct h2_stream *stream = bring(&client, target, &index);
		uint64_t number = job_number(client.job);

		client.credit = PLENTY; /* would take it, but must not get it */
		job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
		assert_int_equal(client.closed, 1);
		assert_int_equal(client.reason, CLOSE_CANCELLED);
		assert_code(&client.failure, 0, FAIL_CANCELLED_BY_CLIENT);
		assert_int_equal(client.taken, 0);
		assert_null(jobs_find(world.jobs, number));
		assert_int_equal(world.http.env->buffered_bytes, 0);
		assert_int_equal(world.http.env->streams, 0);
		if (target == JOB_SENT || target == JOB_RECEIVING) {
			assert_attempt(&client, 0, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT,
				       false);
			UNTIL(world.loop, stream->reset);
			assert_int_equal(stream->reset_code, NGHTTP2_CANCEL);
		}
		if (target == JOB_QUEUED) {
			assert_int_equal(client.attempt_count, 0);
		}
		rounds(world.loop, 3);
	}
	assert_int_equal(world.http.metrics.jobs_closed[CLOSE_CANCELLED], 5);
	/* Nothing was sent for the queued one. */
	h2_sync(world.origin->connections[0]);
	assert_int_equal(world.origin->connections[0]->stream_count, index);
}

static void stop_in_every_state(void **state)
{
	unsigned index = 0;

	(void)state;
	for (enum job_state target = JOB_QUEUED; target < JOB_CLOSED; target++) {
		struct client client = {.credit = 0};
		struct h2_stream *stream = bring(&client, target, &index);
		bool body = target == JOB_RECEIVING || target == JOB_DELIVERING;

		client.credit = 3000; /* keeps what it may have */
		job_stop(client.job);
		/* At once, unless there is something to hand over yet. */
		assert_int_equal(client.closed, !body);
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_STOP_DOWNLOAD);
		assert_int_equal(client.failure.count, 0);
		assert_int_equal(client.taken, body ? 3000 : 0);
		if (target == JOB_RECEIVING) {
			UNTIL(world.loop, stream->reset);
		}
		assert_int_equal(world.http.env->buffered_bytes, 0);
		rounds(world.loop, 3);
	}
}

static void jobs_stop_in_every_state(void **state)
{
	struct client clients[5] = {{.credit = 0}};
	unsigned index = 0;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		(void)bring(&clients[i], JOB_SENT, &index);
	}
	h2_head(h2_first(world.origin, 1), false, 200, NULL);
	UNTIL(world.loop, clients[1].heads);
	h2_head(h2_first(world.origin, 2), false, 200, NULL);
	h2_body(h2_first(world.origin, 2), 10, true);
	UNTIL(world.loop, state_of(&clients[2]) == JOB_DELIVERING);
	clients[2].credit = 5;
	jobs_stop(world.jobs);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(clients[i].closed, 1);
		assert_int_equal(clients[i].reason, CLOSE_SHUTDOWN);
		assert_code(&clients[i].failure, 0, FAIL_STOPPED);
		assert_int_equal(clients[i].taken, 0); /* no time for that */
	}
	assert_int_equal(jobs_open(world.jobs), 0);
	jobs_stop(world.jobs);
}

/* ---- ends that come from the other side ---- */

static void bad_ends_deliver_what_came(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct client client = {.credit = 0};
		struct h2_stream *stream = NULL;
		enum close_reason expected = CLOSE_NONE;

		submit_get(&client);
		stream = h2_connection(world.origin, i)->stream_count
				 ? NULL
				 : h2_stream(h2_connection(world.origin, i), 0);
		assert_non_null(stream);
		h2_head(stream, false, 200, "content-length", "9000", NULL);
		h2_body(stream, 5000, false);
		UNTIL(world.loop, job_available(client.job) == 5000);
		h2_sync(stream->connection);
		client.credit = 4000;
		switch (i) {
		case 0:
			h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
			expected = CLOSE_RESET;
			break;
		case 1:
			h2_body(stream, 0, true);
			expected = CLOSE_LENGTH_MISMATCH;
			break;
		case 2:
			h2_raw_frame(stream->connection, NGHTTP2_DATA, 0, 99, "x", 1);
			expected = CLOSE_PROTOCOL_ERROR;
			break;
		case 3:
			expected = CLOSE_CONNECTION_LOST;
			break;
		}
		if (i != 2) {
			rounds(world.loop, 2);
			h2_close(stream->connection); /* a new one for the next */
		}
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, expected);
		assert_int_equal(client.taken, 4000);
		assert_int_equal(client.bytes.payload, 5000);
		assert_attempt(&client, 0, expected, failure_top(&client.failure), false);
		rounds(world.loop, 3);
	}
}

/* A job that is over but for the delivery: off the wire, and its outcome stands. */
static void outcome_stands_while_it_is_delivered(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct client client = {.credit = 0};
		struct h2_stream *stream = NULL;

		submit_get(&client);
		stream = h2_first(world.origin, i);
		h2_head(stream, false, 200, NULL);
		h2_body(stream, 5000, false);
		UNTIL(world.loop, job_available(client.job) == 5000);
		client.stuck = true;
		client.credit = 3000;
		h2_reset(stream, NGHTTP2_CANCEL);
		UNTIL(world.loop, state_of(&client) == JOB_DELIVERING);
		if (i == 0) {
			client.stuck = false;
			client_pull(&client);
			UNTIL(world.loop, client.closed); /* after job.delivery_timeout */
		} else if (i == 1) {
			job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
		} else if (i == 2) {
			job_stop(client.job);
		} else {
			jobs_stop(world.jobs);
		}
		assert_int_equal(client.closed, 1);
		assert_int_equal(client.taken, i == 0 ? 3000 : 0);
		assert_int_equal(client.reason, CLOSE_RESET);
		assert_code(&client.failure, 0, FAIL_H2_RESET);
		assert_attempt(&client, 0, CLOSE_RESET, FAIL_H2_RESET, false);
		assert_int_equal(world.http.env->buffered_bytes, 0);
	}
}

/* The client takes nothing of what it may have: bounded as every delivery is. */
static void delivery_of_a_bad_end_is_bounded(void **state)
{
	struct client client = {.credit = 0};
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.client_timeout_ms = 50;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 5000, false);
	UNTIL(world.loop, client.job->held);
	client.credit = 10; /* credit, but its socket is blocked */
	client.stuck = true;
	h2_reset(stream, NGHTTP2_CANCEL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_RESET);
	assert_int_equal(client.taken, 0);
}

/* ---- progress ---- */

static void progress_tells_changes_of_state(void **state)
{
	static const enum job_state expected[] = {JOB_SENT, JOB_RECEIVING, JOB_DELIVERING};
	struct client client = {.credit = 10};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	spec.progress_interval_ms = 60000;
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, true);
	UNTIL(world.loop, client.job && state_of(&client) == JOB_DELIVERING);
	assert_int_equal(client.state_count, 3);
	assert_memory_equal(client.states, expected, sizeof(expected));
	client_grant(&client, PLENTY);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.progresses, 3);
}

/* And in between, but only while something moves. */
static void progress_tells_bytes(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;
	unsigned before = 0;

	(void)state;
	spec.progress_interval_ms = 50;
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, client.heads);
	rounds(world.loop, 2);
	for (unsigned i = 0; i < 3; i++) {
		before = client.progresses;
		h2_body(stream, 100, false);
		UNTIL(world.loop, client.progresses > before);
	}
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(a_fetch),
		JOB_TEST(delivering_waits_for_the_client),
		JOB_TEST(peek_obeys_its_limits),
		JOB_TEST(max_size_announced),
		JOB_TEST(max_size_is_not_exceeded),
		JOB_TEST(max_size_received),
		JOB_TEST(padding_is_no_size),
		JOB_TEST(one_warning),
		JOB_TEST(defaults_come_from_the_configuration),
		JOB_TEST(cancel_in_every_state),
		JOB_TEST(stop_in_every_state),
		JOB_TEST(jobs_stop_in_every_state),
		JOB_TEST(bad_ends_deliver_what_came),
		JOB_TEST(outcome_stands_while_it_is_delivered),
		JOB_TEST(delivery_of_a_bad_end_is_bounded),
		JOB_TEST(progress_tells_changes_of_state),
		JOB_TEST(progress_tells_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
