/* SPDX-License-Identifier: MIT */
/*
 * A request on its way out: Expect: 100-continue, and what is said of a request that does not get
 * on.
 */
#include "unit/http/connection_world.h"

static uint8_t body[300000];

static void post(struct fetch *fetch, size_t length, bool expect)
{
	const struct header_field fields[] = {FIELD("expect", "100-Continue")};

	fetch->eager = true;
	make_request_with(&fetch->request, "POST", h2_url(world.origin, "/"), fields,
			  expect ? 1 : 0, body, length);
	assert_int_equal(fetch->request.expects_continue, expect);
	submit(fetch);
}

static struct h2_stream *open_post(struct fetch *fetch, size_t length, bool expect)
{
	open_connection();
	post(fetch, length, expect);
	return h2_first(world.origin, 0);
}

static void expect_wait(const struct fetch *fetch, enum wait_reason reason)
{
	struct wait wait;

	assert_true(stream_wait(fetch->stream, &wait));
	assert_int_equal(wait.reason, reason);
	assert_true(wait.text[0] != '\0');
	assert_string_equal(wait.limit, "");
	assert_true(wait.since_ms <= loop_now_ms(world.loop));
}

static void line_30_the_body_waits_for_a_100(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = open_post(&fetch, 1000, true);
	struct wait wait;

	(void)state;
	h2_sync(stream->connection);
	assert_non_null(h2_field(stream, "expect"));
	assert_int_equal(stream->body_length, 0);
	assert_false(stream->ended);
	expect_wait(&fetch, WAIT_CONTINUE);
	assert_true(stream_wait(fetch.stream, &wait));
	assert_int_equal(wait.until_ms - wait.since_ms, 20000);
	/* Another interim response is none. */
	h2_interim(stream, 103);
	h2_sync(stream->connection);
	assert_int_equal(fetch.interim_status, 103);
	assert_int_equal(stream->body_length, 0);
	h2_interim(stream, 100);
	UNTIL(world.loop, stream->ended);
	assert_int_equal(stream->body_length, 1000);
	assert_int_equal(fetch.interims, 2); /* the client sees it, too */
	assert_false(stream_wait(fetch.stream, &wait));
	h2_interim(stream, 100); /* once more is harmless */
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

static void line_30_nobody_answers(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.continue_timeout_ms = 20;
	stream = open_post(&fetch, 1000, true);
	UNTIL(world.loop, stream->ended);
	assert_int_equal(stream->body_length, 1000);
	assert_int_equal(fetch.interims, 0);
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

/* 0: nobody is waited for. */
static void line_30_no_patience(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.continue_timeout_ms = 0;
	stream = open_post(&fetch, 10, true);
	UNTIL(world.loop, stream->ended);
	fetch_fini(&fetch);
}

/* The answer came instead: the body stays here, and the stream is let go of when the response is
 * whole. */
static void line_30_a_final_response_instead(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	struct wait wait;

	(void)state;
	world.env->settings.continue_timeout_ms = 30;
	stream = open_post(&fetch, 1000, true);
	h2_head(stream, false, 417, NULL);
	UNTIL(world.loop, fetch.heads);
	assert_int_equal(fetch.status, 417);
	assert_false(stream_wait(fetch.stream, &wait));
	{
		/* The patience would be over. */
		struct fetch other = {.eager = true};
		struct h2_stream *later = NULL;

		post(&other, 1000, true);
		later = h2_first(world.origin, 1);
		UNTIL(world.loop, later->ended);
		fetch_fini(&other);
	}
	assert_int_equal(stream->body_length, 0);
	h2_interim(stream, 100); /* too late, and wrong after a final response */
	h2_body(stream, 500, true);
	UNTIL(world.loop, fetch.closed);
	UNTIL(world.loop, stream->closed);
	assert_int_equal(stream->body_length, 0);
	if (fetch.reason == CLOSE_ENDED) {
		assert_true(stream->reset);
		assert_int_equal(stream->reset_code, NGHTTP2_NO_ERROR);
		assert_int_equal(fetch.taken, 500);
	}
	assert_int_equal(connection_state(connection), CONNECTION_OPEN);
	fetch_fini(&fetch);
}

static void line_30_refused_at_once(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = open_post(&fetch, 1000, true);

	(void)state;
	h2_head(stream, true, 401, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(fetch.status, 401);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_NO_ERROR);
	assert_int_equal(stream->body_length, 0);
	assert_int_equal(connection_state(connection), CONNECTION_OPEN);
	fetch_fini(&fetch);
}

/* Let go of, lost, reset by the peer: while it waits. The timer must not outlive it. */
static void gone_while_it_waits(void **state)
{
	struct fetch fetches[3] = {{0}, {0}, {0}};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.continue_timeout_ms = 40;
	stream = open_post(&fetches[0], 10, true);
	post(&fetches[1], 10, true);
	post(&fetches[2], 10, true);
	h2_sync(stream->connection);
	fetch_free(&fetches[0]);
	h2_reset(h2_first(world.origin, 1), NGHTTP2_INTERNAL_ERROR);
	UNTIL(world.loop, fetches[1].closed);
	assert_int_equal(fetches[1].reason, CLOSE_RESET);
	stream_reset(fetches[2].stream);
	UNTIL(world.loop, h2_first(world.origin, 2)->reset);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(h2_first(world.origin, i)->body_length, 0);
		fetch_fini(&fetches[i]);
	}
	/* And with the connection. */
	fetches[0] = (struct fetch){0};
	post(&fetches[0], 10, true);
	(void)h2_first(world.origin, 3);
	h2_close(stream->connection);
	UNTIL(world.loop, fetches[0].closed);
	assert_int_equal(fetches[0].reason, CLOSE_CONNECTION_LOST);
	fetch_fini(&fetches[0]);
}

/* The windows of the stream and of the connection, told apart. */
static void line_23_a_window_that_stays_shut(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct fetch fetch = {0};
		struct h2_stream *stream = NULL;
		struct wait wait;
		uint64_t progress = 0;

		teardown(state);
		setup(state);
		world.origin->window = i == 0 ? 1000 : 1000000;
		open_connection();
		UNTIL(world.loop, owner.slots); /* its SETTINGS are here */
		post(&fetch, sizeof(body), false);
		progress = stream_sent_progress_ms(fetch.stream);
		assert_int_equal(progress, loop_now_ms(world.loop));
		expect_wait(&fetch, WAIT_PEER_SOCKET); /* until the end of this round */
		stream = h2_first(world.origin, 0);
		/* No WINDOW_UPDATE is the server's to send: it takes what it gets, and says
		 * nothing. */
		UNTIL(world.loop, stream->body_length == (i == 0 ? 1000u : 65535u));
		assert_true(stream_wait(fetch.stream, &wait));
		assert_int_equal(wait.reason, WAIT_PEER_WINDOW);
		assert_non_null(strstr(wait.text, i == 0 ? "of the stream" : "of the connection"));
		assert_int_equal(wait.since_ms, stream_sent_progress_ms(fetch.stream));
		assert_true(wait.since_ms >= progress);
		fetch_fini(&fetch);
	}
}

/* A socket that takes nothing. */
static void line_23_a_peer_that_takes_nothing(void **state)
{
	struct fetch fetches[90] = {{0}};
	struct wait wait;
	struct h2_connection *server = NULL;
	unsigned count = 0;

	(void)state;
	world.origin->window = 1000000;
	open_connection();
	UNTIL(world.loop, owner.slots);
	server = h2_connection(world.origin, 0);
	h2_sync(server);
	h2_raw_frame(server, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x3f\xff\x00\x00", 4);
	server->deaf = true;
	rounds(world.loop, 5);
	while (count < 90 && !connection->write_blocked) {
		fetches[count] = (struct fetch){0};
		post(&fetches[count++], 60000, false);
		rounds(world.loop, 2);
	}
	assert_true(connection->write_blocked && count > 0);
	assert_true(stream_wait(fetches[count - 1].stream, &wait));
	assert_int_equal(wait.reason, WAIT_PEER_SOCKET);
	assert_true(wait.since_ms >= connection->blocked_ms ||
		    wait.since_ms >= stream_sent_progress_ms(fetches[count - 1].stream));
	connection_free(connection);
	connection = NULL;
	while (count > 0) {
		struct fetch *fetch = &fetches[--count];

		assert_false(stream_wait(fetch->stream, &wait)); /* it is over */
		fetch_fini(fetch);
	}
}

/* More than nghttp2's own bound on a header section that is sent. */
static void large_request_header(void **state)
{
	static char value[40000];
	struct header_field fields[3] = {FIELD("a", ""), FIELD("b", ""), FIELD("c", "")};
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	memset(value, '~', sizeof(value)); /* which Huffman's code makes longer, not shorter */
	for (unsigned i = 0; i < 3; i++) {
		fields[i].value = value;
		fields[i].value_length = sizeof(value);
	}
	open_connection();
	make_request_with(&fetch.request, "GET", h2_url(world.origin, "/"), fields, 3, NULL, 0);
	submit(&fetch);
	stream = h2_first(world.origin, 0);
	assert_int_equal(h2_field(stream, "c")->value_length, sizeof(value));
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

/* How long an answer to a PING took; one that comes without having been asked for is none. */
static void round_trips_are_measured(void **state)
{
	struct connection_view view;
	struct h2_connection *server = NULL;

	(void)state;
	open_connection();
	server = h2_connection(world.origin, 0);
	h2_sync(server);
	connection_look(connection, &view);
	assert_int_equal(view.ping_ms, 0);
	assert_false(view.ping_answered);
	h2_raw_frame(server, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, "\0\0\0\0\0\0\0\0", 8);
	h2_sync(server);
	connection_look(connection, &view);
	assert_false(view.ping_answered);
	connection->last_read_ms = 0;
	assert_true(connection_check(connection));
	connection_look(connection, &view);
	assert_true(view.ping_ms > 0);
	assert_false(view.ping_answered);
	UNTIL(world.loop, connection->ping_answered);
	connection_look(connection, &view);
	assert_true(view.ping_rtt_us < 60000000);
	assert_int_equal(connection_slots(connection), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(line_30_the_body_waits_for_a_100),
		TEST(line_30_nobody_answers),
		TEST(line_30_no_patience),
		TEST(line_30_a_final_response_instead),
		TEST(line_30_refused_at_once),
		TEST(gone_while_it_waits),
		TEST(line_23_a_window_that_stays_shut),
		TEST(line_23_a_peer_that_takes_nothing),
		TEST(large_request_header),
		TEST(round_trips_are_measured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
