/* SPDX-License-Identifier: MIT */
/*
 * A job and its client: events in their order, credit, turns, and clients that stop reading or go.
 * That no job gets more than its credit is checked on every frame; see ipc_world.h.
 */
#include "unit/ipc/ipc_world.h"

/* Starts a body of `length` on the stream of that index. */
static struct h2_stream *serve(unsigned index, uint64_t length, bool end)
{
	struct h2_stream *stream = h2_first(world.origin, index);

	h2_head(stream, false, 200, NULL);
	h2_body(stream, length, end);
	return stream;
}

static void events_in_their_order(void **state)
{
	static const enum wire_server_kind order[] = {
		WIRE_SERVER_HELLO,  WIRE_SERVER_ACCEPTED, WIRE_SERVER_INFORMATIONAL,
		WIRE_SERVER_HEAD,   WIRE_SERVER_WARNING,  WIRE_SERVER_TRAILERS,
		WIRE_SERVER_CLOSED,
	};
	struct talker *talker = talker_open();
	struct wire_client_frame frame = {.id = 9,
					  .kind = WIRE_CLIENT_SUBMIT,
					  .submit = {.url = h2_url(world.origin, "/"),
						     .method = "PUT",
						     .has_body = true,
						     .body = {(const uint8_t *)"body", 4},
						     .warn_size = {true, 1000},
						     .initial_credit = {true, 1 << 20}}};
	const struct wire_field fields[] = {
		{{(const uint8_t *)"X-Octets", 8}, {(const uint8_t *)"\xff\x80", 2}}};
	struct h2_stream *stream = NULL;
	const struct wire_server_frame *got = NULL;

	(void)state;
	frame.submit.headers = fields;
	frame.submit.header_count = 1;
	talker->granted[9] = 1 << 20;
	talker_send(talker, &frame);
	stream = h2_first(world.origin, 0);
	UNTIL(world.loop, stream->ended);
	assert_string_equal(h2_field(stream, ":method")->value, "PUT");
	assert_string_equal(h2_field(stream, "x-octets")->value, "\xff\x80");
	assert_int_equal(stream->body_length, 4);
	h2_interim(stream, 103);
	h2_head(stream, false, 201, "content-length", "200000", "x-b", "\xfe", NULL);
	h2_body(stream, 200000, false);
	h2_trailers(stream);
	assert_closed(talker, 9, WIRE_CLOSE_ENDED);
	assert_int_equal(talker->body[9], 200000);
	assert_int_equal(talker->count, sizeof(order) / sizeof(order[0]));
	for (unsigned i = 0; i < talker->count; i++) {
		assert_int_equal(talker->frames[i]->kind, order[i]);
	}
	assert_int_equal(talker_find(talker, WIRE_SERVER_INFORMATIONAL, 9, 0)->head.status, 103);
	got = talker_find(talker, WIRE_SERVER_HEAD, 9, 0);
	assert_int_equal(got->head.status, 201);
	assert_int_equal(got->head.header_count, 2);
	assert_memory_equal(got->head.headers[1].value.data, "\xfe", 1);
	assert_true(got->head.content_length.set);
	assert_int_equal(got->head.content_length.value, 200000);
	assert_int_equal(got->head.connection.connection, 1);
	assert_string_equal(got->head.connection.remote, h2_authority(world.origin));
	assert_false(got->head.connection.reused);
	assert_int_equal(talker_find(talker, WIRE_SERVER_WARNING, 9, 0)->warning.code,
			 WIRE_WARNING_EXPECTED_SIZE);
	got = talker_find(talker, WIRE_SERVER_TRAILERS, 9, 0);
	assert_int_equal(got->head.header_count, 1);
	got = talker_find(talker, WIRE_SERVER_CLOSED, 9, 0);
	assert_int_equal(got->closed.failure_count, 0);
	assert_int_equal(got->closed.attempt_count, 1);
	assert_int_equal(got->closed.attempts[0].status, 201);
	assert_int_equal(got->closed.attempts[0].outcome, WIRE_CLOSE_ENDED);
	assert_int_equal(got->closed.bytes.payload, 200000);
	assert_int_equal(got->closed.bytes.delivered, 200000);
	assert_true(got->closed.timings.end_us.set && got->closed.timings.connect_us.set);
	assert_false(got->closed.timings.tls_us.set);
	talker_free(talker);
}

/* ---- credit ---- */

static void not_a_byte_without_credit(void **state)
{
	struct talker *talker = talker_open();
	struct h2_stream *stream = NULL;

	(void)state;
	talker_submit(talker, 1, 0);
	stream = serve(0, 10000, true);
	(void)talker_wait(talker, WIRE_SERVER_HEAD, 1);
	h2_sync(stream->connection);
	talker_sync(talker, 2);
	assert_int_equal(talker->body[1], 0);
	talker_credit(talker, 1, 1);
	UNTIL(world.loop, talker->body[1] == 1);
	talker_credit(talker, 1, 9998);
	UNTIL(world.loop, talker->body[1] == 9999);
	talker_sync(talker, 3);
	assert_false(talker->closed[1]);
	talker_credit(talker, 1, 1);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(talker->body[1], 10000);
	talker_free(talker);
}

/* The origin is held back by what the client does not take: at most one window waits. */
static void stream_window_follows_the_credit(void **state)
{
	struct talker *talker = talker_open();
	struct h2_stream *stream = NULL;

	(void)state;
	talker_submit(talker, 1, 1000);
	stream = serve(0, 10000000, true);
	UNTIL(world.loop, talker->body[1] == 1000);
	UNTIL(world.loop,
	      world.http.env->buffered_bytes >= world.http.env->settings.stream_window - 1000);
	h2_sync(stream->connection);
	assert_true(stream->sent <= world.http.env->settings.stream_window + 1000);
	talker_credit(talker, 1, 10000000);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(talker->body[1], 10000000);
	talker_free(talker);
}

static void default_credit_counts_when_none_is_named(void **state)
{
	struct talker *talker = NULL;
	struct wire_client_frame frame = {.id = 1, .kind = WIRE_CLIENT_SUBMIT};

	(void)state;
	world.config->ipc.default_credit = 777;
	talker = talker_open();
	/* What the hello said holds for its client. */
	world.config->ipc.default_credit = 4000;
	frame.submit.url = h2_url(world.origin, "/");
	talker->granted[1] = 777;
	talker_send(talker, &frame);
	h2_sync(serve(0, 5000, true)->connection);
	UNTIL(world.loop, talker->body[1] == 777);
	talker_sync(talker, 2);
	assert_int_equal(talker->body[1], 777);
	talker_free(talker);
}

static void credit_is_capped(void **state)
{
	struct talker *talker = NULL;

	(void)state;
	world.config->ipc.max_credit = 5000;
	talker = talker_open();
	talker_submit(talker, 1, UINT64_MAX);
	talker_credit(talker, 1, UINT64_MAX);
	talker->granted[1] = 5000;
	h2_sync(serve(0, 20000, true)->connection);
	UNTIL(world.loop, talker->body[1] == 5000);
	talker_sync(talker, 2);
	assert_int_equal(talker->body[1], 5000);
	talker_send(talker, &(struct wire_client_frame){.id = 1,
							.kind = WIRE_CLIENT_CREDIT,
							.credit = {.bytes = UINT64_MAX}});
	talker->granted[1] = 10000;
	UNTIL(world.loop, talker->body[1] == 10000);
	talker_free(talker);
}

/* A lower ceiling after a reload takes nothing back, and does not wrap. */
static void credit_after_a_reload(void **state)
{
	struct talker *talker = talker_open();
	struct config *config = config_new();

	(void)state;
	assert_non_null(config);
	talker_submit(talker, 1, 100000);
	(void)talker_wait(talker, WIRE_SERVER_ACCEPTED, 1);
	config->ipc.max_credit = 1000;
	ipc_reconfigure(ipc, config);
	for (unsigned i = 0; i < 3; i++) {
		talker_send(talker, &(struct wire_client_frame){.id = 1,
								.kind = WIRE_CLIENT_CREDIT,
								.credit = {.bytes = UINT64_MAX}});
	}
	talker_sync(talker, 2);
	h2_sync(serve(0, 200000, true)->connection);
	/* Its hello said more, and that holds. */
	talker->granted[1] = world.config->ipc.max_credit;
	UNTIL(world.loop, talker->body[1] == 200000);
	talker_sync(talker, 3);
	talker_close(talker);
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
	ipc_reconfigure(ipc, world.config);
	config_free(config);
	talker_free(talker);
}

/* ---- turns ---- */

/* Ready jobs have their turns one frame at a time: none waits for another to end. */
static void jobs_take_turns(void **state)
{
	enum {
		JOBS = 4,
		BYTES = 500000
	};
	struct talker *talker = NULL;

	(void)state;
	world.config->ipc.output_buffer = 65536;
	talker = talker_open();
	for (uint64_t id = 1; id <= JOBS; id++) {
		talker_submit(talker, id, 0);
	}
	for (unsigned i = 0; i < JOBS; i++) {
		(void)serve(i, BYTES, true);
	}
	UNTIL(world.loop, world.http.env->buffered_bytes ==
				  JOBS * (uint64_t)world.http.env->settings.stream_window);
	for (uint64_t id = 1; id <= JOBS; id++) {
		talker_credit(talker, id, BYTES);
	}
	for (uint64_t id = 1; id <= JOBS; id++) {
		assert_closed(talker, id, WIRE_CLOSE_ENDED);
		assert_int_equal(talker->body[id], BYTES);
	}
	/* One after the other would be JOBS of them. */
	assert_true(talker->turns >= JOBS * 4);
	talker_free(talker);
}

/* ---- who does not read ---- */

static void paused_client_does_not_stop_others(void **state)
{
	struct talker *paused = talker_open();
	struct talker *busy = talker_open();
	uint64_t window = world.http.env->settings.stream_window;

	(void)state;
	talker_submit(paused, 1, 1 << 26);
	talker_listen(paused, false);
	(void)serve(0, 20000000, true);
	talker_submit(busy, 1, 1 << 26);
	(void)serve(1, 5000000, true);
	assert_closed(busy, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(busy->body[1], 5000000);
	/* Same connection, and what waits is bounded: a window, the output buffer, the socket. */
	assert_int_equal(world.origin->count, 1);
	assert_true(world.http.env->buffered_bytes <= window);
	assert_true(bytes_length(&ipc->peers->out) <=
		    world.config->ipc.output_buffer + WIRE_BODY_MAX + WIRE_BODY_PREFIX_MAX);
	talker_listen(paused, true);
	assert_closed(paused, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(paused->body[1], 20000000);
	talker_free(paused);
	talker_free(busy);
}

/* Not the origin's fault. */
static void paused_client_has_its_own_deadline(void **state)
{
	struct talker *talker = talker_open();
	struct wire_client_frame frame = {.id = 1, .kind = WIRE_CLIENT_SUBMIT};

	(void)state;
	world.config->job.client_timeout_ms = 80;
	frame.submit.url = h2_url(world.origin, "/");
	frame.submit.stall_timeout_ms = (struct wire_optional){true, 20};
	frame.submit.initial_credit = (struct wire_optional){true, 100};
	talker->granted[1] = 100;
	talker_send(talker, &frame);
	(void)serve(0, 1000, false);
	assert_closed(talker, 1, WIRE_CLOSE_TIMEOUT);
	assert_int_equal(talker_find(talker, WIRE_SERVER_CLOSED, 1, 0)->closed.failures[0].code,
			 WIRE_FAIL_TIMEOUT_CLIENT);
	talker_free(talker);
}

/* A larger output buffer after a reload: clients that were there keep theirs, and nothing stalls.
 */
static void larger_output_buffer_after_a_reload(void **state)
{
	struct talker *talker = NULL;
	struct config *config = config_new();

	(void)state;
	assert_non_null(config);
	world.config->ipc.output_buffer = 65536;
	world.config->ipc.control_budget = 65536;
	talker = talker_open();
	config->ipc.output_buffer = 16 << 20;
	ipc_reconfigure(ipc, config);
	talker_submit(talker, 1, 1 << 26);
	talker_listen(talker, false);
	(void)serve(0, 8000000, true);
	UNTIL(world.loop, ipc->peers->blocked && world.http.env->buffered_bytes ==
							 world.http.env->settings.stream_window);
	talker_listen(talker, true);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(talker->body[1], 8000000);
	talker_close(talker);
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
	ipc_reconfigure(ipc, world.config);
	config_free(config);
	talker_free(talker);
}

static struct wait wait_of(uint64_t number)
{
	struct job *job = jobs_find(world.jobs, number);
	struct job_info info;

	assert_non_null(job);
	job_info(job, &info);
	return info.wait;
}

/* Which of the two it is that a client does not do. */
static void client_that_holds_is_told_apart(void **state)
{
	struct talker *poor = talker_open();
	struct talker *deaf = talker_open();

	(void)state;
	talker_submit(poor, 1, 100);
	(void)serve(0, 1000, false);
	UNTIL(world.loop, poor->body[1] == 100);
	talker_submit(deaf, 1, 1 << 26);
	talker_listen(deaf, false);
	(void)serve(1, 20000000, true);
	UNTIL(world.loop, wait_of(2).reason == WAIT_CLIENT_SOCKET);
	assert_int_equal(wait_of(1).reason, WAIT_CLIENT_CREDIT);
	assert_non_null(strstr(wait_of(1).text, "900 bytes"));
	talker_credit(poor, 1, 900);
	UNTIL(world.loop, poor->body[1] == 1000);
	assert_int_equal(wait_of(1).reason, WAIT_NOTHING);
	talker_listen(deaf, true);
	assert_closed(deaf, 1, WIRE_CLOSE_ENDED);
	talker_free(poor);
	talker_free(deaf);
}

/* ---- redirections ---- */

static void submit_following(struct talker *talker, uint64_t id, uint32_t max_redirects)
{
	struct wire_client_frame frame = {.id = id,
					  .kind = WIRE_CLIENT_SUBMIT,
					  .submit = {.url = h2_url(world.origin, "/a"),
						     .max_redirects = max_redirects,
						     .redirect_to_cleartext = true,
						     .initial_credit = {true, 1 << 20}}};

	talker->granted[id] = 1 << 20;
	talker_send(talker, &frame);
}

static void redirections_are_told(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_server_frame *got = NULL;

	(void)state;
	submit_following(talker, 1, 3);
	h2_head(h2_first(world.origin, 0), true, 302, "location", "/b#c", NULL);
	(void)serve(1, 1000, true);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	got = talker_find(talker, WIRE_SERVER_HEAD, 1, 0);
	assert_int_equal(got->head.status, 200);
	assert_string_equal(got->head.url, h2_url(world.origin, "/b"));
	assert_null(talker_find(talker, WIRE_SERVER_HEAD, 1, 1));
	got = talker_find(talker, WIRE_SERVER_CLOSED, 1, 0);
	assert_int_equal(got->closed.attempt_count, 2);
	assert_int_equal(got->closed.attempts[0].status, 302);
	assert_string_equal(got->closed.attempts[0].url, "");
	assert_string_equal(got->closed.attempts[0].why, "redirected");
	assert_string_equal(got->closed.attempts[1].url, h2_url(world.origin, "/b"));
	/* Who goes nowhere is told nothing of it. */
	talker_submit(talker, 2, 1 << 20);
	(void)serve(2, 1000, true);
	assert_closed(talker, 2, WIRE_CLOSE_ENDED);
	assert_string_equal(talker_find(talker, WIRE_SERVER_HEAD, 2, 0)->head.url, "");
	talker_free(talker);
}

/* The one DENIED that follows an Accepted. */
static void barred_redirection(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_server_frame *got = NULL;

	(void)state;
	submit_following(talker, 1, 3);
	h2_head(h2_first(world.origin, 0), true, 302, "location", "http://localhost/", NULL);
	assert_closed(talker, 1, WIRE_CLOSE_DENIED);
	assert_true(talker->accepted[1]);
	assert_null(talker_find(talker, WIRE_SERVER_HEAD, 1, 0));
	got = talker_find(talker, WIRE_SERVER_CLOSED, 1, 0);
	assert_int_equal(got->closed.failures[0].code, WIRE_FAIL_REDIRECT_CLEARTEXT);
	assert_int_equal(got->closed.failures[1].code, WIRE_FAIL_CLEARTEXT_NOT_ALLOWED);
	assert_int_equal(got->closed.attempts[0].outcome, WIRE_CLOSE_DENIED);
	talker_free(talker);
}

/* ---- who goes ---- */

static void vanishing_client_takes_its_jobs_along(void **state)
{
	struct talker *talker = talker_open();
	struct talker *other = talker_open();

	(void)state;
	for (uint64_t id = 1; id <= 5; id++) {
		talker_submit(talker, id, 1 << 20);
	}
	(void)serve(0, 1000, false);    /* in the middle */
	(void)serve(1, 10000000, true); /* at full speed */
	talker_submit(other, 1, 1 << 26);
	(void)h2_first(world.origin, 5);
	UNTIL(world.loop, talker->body[1] == 1000 && talker->body[2] > 0);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_JOBS), 6);
	talker_close(talker);
	UNTIL(world.loop, ipc_client_count(ipc) == 1);
	assert_int_equal(jobs_open(world.jobs), 1);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_JOBS), 1);
	assert_int_equal(world.http.metrics.jobs_closed[CLOSE_CANCELLED], 5);
	for (unsigned i = 0; i < 5; i++) {
		UNTIL(world.loop, h2_first(world.origin, i)->reset);
		assert_int_equal(h2_first(world.origin, i)->reset_code, NGHTTP2_CANCEL);
	}
	assert_int_equal(world.http.env->buffered_bytes, 0);
	/* The other one, on the same connection, does not notice. */
	(void)serve(5, 3000000, true);
	assert_closed(other, 1, WIRE_CLOSE_ENDED);
	talker_free(talker);
	talker_free(other);
}

/* ---- what is refused ---- */

static void denied_jobs_are_only_closed(void **state)
{
	static const struct {
		const char *url, *method;
		enum wire_failure_code code;
	} table[] = {
		{"", "GET", WIRE_FAIL_URL_INVALID},
		{"https://user@h/", "GET", WIRE_FAIL_URL_USERINFO},
		{"http://192.0.2.1/", "GET", WIRE_FAIL_CLEARTEXT_NOT_ALLOWED},
		{"https://h/", "CONNECT", WIRE_FAIL_METHOD_INVALID},
	};
	struct talker *talker = talker_open();

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct wire_client_frame frame = {.id = i + 1, .kind = WIRE_CLIENT_SUBMIT};
		const struct wire_server_frame *got = NULL;

		frame.submit.url = table[i].url;
		frame.submit.method = table[i].method;
		talker_send(talker, &frame);
		assert_closed(talker, i + 1, WIRE_CLOSE_DENIED);
		assert_false(talker->accepted[i + 1]);
		got = talker_find(talker, WIRE_SERVER_CLOSED, i + 1, 0);
		assert_int_equal(got->closed.failure_count, 1);
		assert_int_equal(got->closed.failures[0].code, table[i].code);
		assert_true(got->closed.failures[0].text[0]);
		assert_int_equal(got->closed.attempt_count, 0);
	}
	talker_sync(talker, 5);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_JOBS), 0);
	talker_free(talker);
}

static void ceilings_on_jobs(void **state)
{
	struct talker *talker = talker_open();
	struct talker *other = talker_open();

	(void)state;
	world.config->ipc.max_jobs_per_client = 2;
	for (uint64_t id = 1; id <= 3; id++) {
		talker_submit(talker, id, 0);
	}
	assert_closed(talker, 3, WIRE_CLOSE_DENIED);
	assert_int_equal(talker_find(talker, WIRE_SERVER_CLOSED, 3, 0)->closed.failures[0].code,
			 WIRE_FAIL_TOO_MANY_JOBS);
	talker_submit(other, 1, 0); /* has its own */
	(void)talker_wait(other, WIRE_SERVER_ACCEPTED, 1);
	talker_ask(talker, WIRE_CLIENT_CANCEL, 1);
	talker_submit(talker, 4, 0);
	(void)talker_wait(talker, WIRE_SERVER_ACCEPTED, 4);
	talker_free(talker);
	talker_free(other);
}

/* ---- bad ends ---- */

static void bad_end_with_all_that_has_credit(void **state)
{
	struct talker *talker = talker_open();
	struct h2_stream *stream = NULL;
	const struct wire_server_frame *got = NULL;

	(void)state;
	talker_submit(talker, 1, 1000);
	stream = serve(0, 50000, false);
	UNTIL(world.loop, world.http.env->buffered_bytes == 49000);
	talker_credit(talker, 1, 30000);
	h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
	assert_closed(talker, 1, WIRE_CLOSE_RESET);
	got = talker_find(talker, WIRE_SERVER_CLOSED, 1, 0);
	assert_int_equal(got->closed.failures[0].code, WIRE_FAIL_H2_RESET);
	assert_true(got->closed.failures[0].h2_code.set);
	assert_int_equal(got->closed.failures[0].h2_code.value, NGHTTP2_INTERNAL_ERROR);
	assert_int_equal(got->closed.bytes.payload, 50000);
	assert_int_equal(got->closed.bytes.delivered, 31000);
	assert_int_equal(talker->body[1], 31000);
	assert_int_equal(world.http.env->buffered_bytes, 0);
	talker_free(talker);
}

/* Credit for much more than the output buffer takes at once, a client that reads late: what has
 * credit is delivered all the same. */
static void bad_end_of_a_late_reader(void **state)
{
	struct talker *talker = NULL;
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->ipc.output_buffer = 65536;
	talker = talker_open();
	talker_submit(talker, 1, 1 << 26);
	talker_listen(talker, false);
	stream = serve(0, 3000000, false);
	UNTIL(world.loop, ipc->peers->blocked && world.http.env->buffered_bytes ==
							 world.http.env->settings.stream_window);
	h2_reset(stream, NGHTTP2_CANCEL);
	h2_sync(stream->connection);
	talker_listen(talker, true);
	assert_closed(talker, 1, WIRE_CLOSE_RESET);
	assert_int_equal(talker_find(talker, WIRE_SERVER_CLOSED, 1, 0)->closed.bytes.payload,
			 talker->body[1]);
	talker_free(talker);
}

static void progress_events(void **state)
{
	struct talker *talker = talker_open();
	struct wire_client_frame frame = {.id = 1, .kind = WIRE_CLIENT_SUBMIT};
	const struct wire_server_frame *got = NULL;

	(void)state;
	frame.submit.url = h2_url(world.origin, "/");
	frame.submit.progress_interval_ms = 50;
	frame.submit.initial_credit = (struct wire_optional){true, 400};
	talker->granted[1] = 400;
	talker_send(talker, &frame);
	h2_head(h2_first(world.origin, 0), false, 200, "content-length", "1000", NULL);
	h2_body(h2_first(world.origin, 0), 1000, true);
	UNTIL(world.loop, (got = talker_find(talker, WIRE_SERVER_PROGRESS, 1, 2)) != NULL);
	assert_int_equal(talker_find(talker, WIRE_SERVER_PROGRESS, 1, 0)->progress.state,
			 WIRE_JOB_SENT);
	assert_int_equal(talker_find(talker, WIRE_SERVER_PROGRESS, 1, 1)->progress.state,
			 WIRE_JOB_RECEIVING);
	assert_int_equal(got->progress.state, WIRE_JOB_DELIVERING);
	assert_int_equal(got->progress.received, 1000);
	assert_int_equal(got->progress.content_length.value, 1000);
	talker_credit(talker, 1, 600);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	talker_free(talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(events_in_their_order),
		IPC_TEST(not_a_byte_without_credit),
		IPC_TEST(stream_window_follows_the_credit),
		IPC_TEST(default_credit_counts_when_none_is_named),
		IPC_TEST(credit_is_capped),
		IPC_TEST(credit_after_a_reload),
		IPC_TEST(jobs_take_turns),
		IPC_TEST(paused_client_does_not_stop_others),
		IPC_TEST(paused_client_has_its_own_deadline),
		IPC_TEST(larger_output_buffer_after_a_reload),
		IPC_TEST(client_that_holds_is_told_apart),
		IPC_TEST(redirections_are_told),
		IPC_TEST(barred_redirection),
		IPC_TEST(vanishing_client_takes_its_jobs_along),
		IPC_TEST(denied_jobs_are_only_closed),
		IPC_TEST(ceilings_on_jobs),
		IPC_TEST(bad_end_with_all_that_has_credit),
		IPC_TEST(bad_end_of_a_late_reader),
		IPC_TEST(progress_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
