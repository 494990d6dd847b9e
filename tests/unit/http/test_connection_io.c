/* SPDX-License-Identifier: MIT */
/*
 * A peer that does too much of what costs it nothing: each kind ends the connection under its own
 * name, with a GOAWAY if that can be said.
 */
#include "unit/http/connection_world.h"

static void expect_flood(struct fetch *fetch, struct h2_connection *server, enum failure_code code,
			 const char *key)
{
	UNTIL(world.loop, fetch->closed && owner.closed);
	assert_int_equal(fetch->reason, CLOSE_PROTOCOL_ERROR);
	assert_code(&fetch->failure, 0, code);
	assert_text(&fetch->failure, key);
	assert_true(fetch->failure.links[0].has_h2_code);
	assert_int_equal(fetch->failure.links[0].h2_code, NGHTTP2_ENHANCE_YOUR_CALM);
	if (server) {
		UNTIL(world.loop, server->eof);
		assert_true(server->goaway);
		assert_int_equal(server->goaway_code, NGHTTP2_ENHANCE_YOUR_CALM);
	}
	fetch_fini(fetch);
}

static void line_23_flood_of_settings(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.flood.settings_rate = 1;
	stream = open_get(&fetch);
	/* One came at the beginning. */
	for (unsigned i = 0; i < 9; i++) {
		h2_settings(stream->connection, NULL, 0);
	}
	h2_sync(stream->connection);
	assert_int_equal(fetch.closed, 0);
	h2_settings(stream->connection, NULL, 0);
	expect_flood(&fetch, stream->connection, FAIL_FLOOD_SETTINGS, "http.max_settings_rate");
}

static void line_23_flood_of_pings(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.flood.ping_rate = 1;
	stream = open_get(&fetch);
	for (unsigned i = 0; i < 11; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_PING, 0, 0, "12345678", 8);
	}
	expect_flood(&fetch, stream->connection, FAIL_FLOOD_PING, "http.max_ping_rate");
}

static void line_23_flood_of_resets(void **state)
{
	struct fetch fetch = {.eager = true};
	struct fetch gone = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.flood.reset_rate = 1;
	stream = open_get(&fetch);
	get(&gone);
	(void)h2_first(world.origin, 1);
	/* On a stream that is over with the first one. */
	for (unsigned i = 0; i < 11; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_RST_STREAM, 0, 3, "\0\0\0\x07", 4);
	}
	expect_flood(&fetch, stream->connection, FAIL_FLOOD_RESET, "http.max_reset_rate");
	/* What came before the frame that was too many still counts. */
	assert_int_equal(gone.reason, CLOSE_RESET);
	assert_true(gone.unprocessed);
	fetch_fini(&gone);
}

static void line_23_flood_of_empty_data(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.flood.empty_rate = 1;
	stream = open_get(&fetch);
	h2_head(stream, false, 200, NULL);
	h2_sync(stream->connection);
	for (unsigned i = 0; i < 6; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_DATA, 0, 1, NULL, 0);
		h2_raw_frame(stream->connection, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, "\3\0\0\0",
			     4);
	}
	expect_flood(&fetch, stream->connection, FAIL_FLOOD_EMPTY, "http.max_empty_rate");
}

/* Also when nghttp2 does not care any more, because the stream is closed. */
static void line_23_flood_of_empty_data_on_a_dead_stream(void **state)
{
	struct fetch fetch = {.eager = true};
	struct fetch gone = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.flood.empty_rate = 1;
	stream = open_get(&fetch);
	get(&gone);
	h2_head(h2_first(world.origin, 1), true, 200, NULL);
	UNTIL(world.loop, gone.closed);
	assert_int_equal(gone.reason, CLOSE_ENDED);
	for (unsigned i = 0; i < 11; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_DATA, 0, 3, NULL, 0);
	}
	expect_flood(&fetch, stream->connection, FAIL_FLOOD_EMPTY, "http.max_empty_rate");
	fetch_fini(&gone);
}

/* A header section in small pieces: fine up to the bound, whatever nghttp2 thinks of it. */
static void line_23_flood_of_continuations(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.flood.max_continuations = 50;
	stream = open_get(&fetch);
	h2_sync(stream->connection);
	h2_raw_frame(stream->connection, NGHTTP2_HEADERS, 0, 1, "\x88", 1);
	for (unsigned i = 0; i < 49; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
	}
	h2_raw_frame(stream->connection, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS, 1, NULL,
		     0);
	UNTIL(world.loop, fetch.heads);
	assert_int_equal(fetch.status, 200);
	/* Trailers, with one too many. */
	h2_raw_frame(stream->connection, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, NULL, 0);
	for (unsigned i = 0; i < 51; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_CONTINUATION, 0, 1, NULL, 0);
	}
	expect_flood(&fetch, stream->connection, FAIL_FLOOD_CONTINUATION, "http.max_continuations");
}

/* nghttp2 would give up at 1,000 answers that wait; the bound is ours, and says so. Nothing can be
 * said to a peer that does not read. */
static void line_23_answers_that_nobody_reads(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.max_queued_frames = 3000;
	stream = open_get(&fetch);
	h2_sync(stream->connection);
	stream->connection->deaf = true;
	h2_listen_again(stream->connection);
	stream->connection->deaf = true;
	while (!fetch.closed) {
		for (unsigned i = 0; i < 500; i++) {
			h2_raw_frame(stream->connection, NGHTTP2_PING, 0, 0, "12345678", 8);
		}
		rounds(world.loop, 3);
	}
	expect_flood(&fetch, NULL, FAIL_FLOOD_ANSWERS, "http.max_queued_frames");
}

/* What the socket takes is no flood of answers, however much comes at once. */
static void answers_that_are_read(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.max_queued_frames = 10;
	stream = open_get(&fetch);
	for (unsigned i = 0; i < 2000; i++) {
		h2_raw_frame(stream->connection, NGHTTP2_PING, 0, 0, "12345678", 8);
	}
	UNTIL(world.loop, stream->connection->pongs >= 2000);
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

/* More settings in one frame than nghttp2 takes by itself: harmless. */
static void many_settings_in_one_frame(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;
	uint8_t entries[200 * 6];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		const uint8_t entry[6] = {0xab, (uint8_t)i, 0, 0, 0, 1};

		memcpy(entries + 6 * i, entry, 6);
	}
	stream = open_get(&fetch);
	h2_raw_frame(stream->connection, NGHTTP2_SETTINGS, 0, 0, entries, sizeof(entries));
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

/* A window beyond 2^31-1 (RFC 9113, section 6.9.1): of the stream, of the connection. */
static void line_23_windows_that_overflow(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct fetch fetch = {.eager = true};
		struct h2_stream *stream = NULL;

		teardown(state);
		setup(state);
		stream = open_get(&fetch);
		h2_sync(stream->connection);
		h2_raw_frame(stream->connection, NGHTTP2_WINDOW_UPDATE, 0, i == 0 ? 1 : 0,
			     "\x7f\xff\xff\xff", 4);
		UNTIL(world.loop, fetch.closed);
		assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
		assert_code(&fetch.failure, 0,
			    i == 0 ? FAIL_H2_STREAM_ERROR : FAIL_H2_CONNECTION_ERROR);
		assert_true(fetch.failure.links[0].has_h2_code);
		assert_int_equal(fetch.failure.links[0].h2_code, NGHTTP2_FLOW_CONTROL_ERROR);
		fetch_fini(&fetch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(line_23_flood_of_settings),
		TEST(line_23_flood_of_pings),
		TEST(line_23_flood_of_resets),
		TEST(line_23_flood_of_empty_data),
		TEST(line_23_flood_of_empty_data_on_a_dead_stream),
		TEST(line_23_flood_of_continuations),
		TEST(line_23_answers_that_nobody_reads),
		TEST(answers_that_are_read),
		TEST(many_settings_in_one_frame),
		TEST(line_23_windows_that_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
