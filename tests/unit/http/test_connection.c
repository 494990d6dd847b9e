/* SPDX-License-Identifier: MIT */
/*
 * A connection's life: dialing, slots, draining, every way to end, and being freed from inside any
 * callback.
 */
#include "unit/http/connection_world.h"

#include <sys/socket.h>

/* ---- dialing ---- */

static void connect_refused(void **state)
{
	(void)state;
	h2_origin_close(world.origin);
	dial();
	UNTIL(world.loop, owner.failed);
	assert_code(&owner.failure, 0, FAIL_CONNECT_REFUSED);
	assert_int_equal(owner.opened + owner.closed, 0);
	assert_int_equal(world.metrics.connect_failures, 1);
}

static void free_while_dialing(void **state)
{
	(void)state;
	dial();
	connection_free(connection);
	connection = NULL;
	rounds(world.loop, 3);
	assert_int_equal(owner.opened + owner.failed + owner.closed, 0);
	connection_free(NULL);
}

static void free_when_it_opens(void **state)
{
	(void)state;
	owner.free_on_open = true;
	dial();
	UNTIL(world.loop, owner.opened);
	UNTIL(world.loop, world.origin->count == 1 && world.origin->connections[0]->eof);
	assert_int_equal(owner.closed, 0);
}

/* ---- not HTTP/2 ---- */

static void not_http2_is_quoted(void **state)
{
	static const struct {
		const char *pieces[4];
		const char *quoted;
	} table[] = {
		{{"HTTP/1.1 405 Method Not Allowed\r\nServer: x\r\n\r\n"},
		 "\"HTTP/1.1 405 Method Not Allowed\""},
		{{"SSH-2.0-\x01OpenSSH\xff\n"}, "\"SSH-2.0-?OpenSSH?\""},
		{{"H", "T", "TP/1.0 400\n"}, "\"HTTP/1.0 400\""},
		{{"0123456789012345678901234567890123456789012345678901234567890123456789"},
		 "\"0123456789012345678901234567890123456789012345678901234567890123\""},
	};

	(void)state;
	world.origin->raw = true;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fetch fetch = {.eager = true};
		struct h2_connection *server = NULL;

		memset(&owner, 0, sizeof(owner));
		open_connection();
		get(&fetch);
		server = h2_connection(world.origin, i);
		UNTIL(world.loop, server->in_length > 24);
		for (unsigned k = 0; table[i].pieces[k]; k++) {
			h2_raw(server, table[i].pieces[k], strlen(table[i].pieces[k]));
			rounds(world.loop, 5);
		}
		UNTIL(world.loop, fetch.closed && owner.failed);
		assert_int_equal(owner.closed, 0);
		assert_code(&owner.failure, 0, FAIL_NOT_HTTP2);
		assert_int_equal(fetch.reason, CLOSE_CONNECT_FAILED);
		assert_code(&fetch.failure, 0, FAIL_NOT_HTTP2);
		assert_text(&fetch.failure, i == 2 ? "HTTP/1.0 400" : table[i].quoted);
		fetch_fini(&fetch);
	}
}

/* A frame, but not SETTINGS: HTTP/2's own error. */
static void first_frame_must_be_settings(void **state)
{
	struct fetch fetch = {0};
	struct h2_connection *server = NULL;

	(void)state;
	world.origin->raw = true;
	open_connection();
	get(&fetch);
	server = h2_connection(world.origin, 0);
	h2_raw(server, "\0\0\x08\x06\0\0\0\0\0pingpong", 17);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	assert_code(&fetch.failure, 0, FAIL_H2_CONNECTION_ERROR);
	UNTIL(world.loop, owner.closed);
	fetch_fini(&fetch);
}

static void closed_without_a_byte(void **state)
{
	struct fetch fetch = {0};

	(void)state;
	world.origin->raw = true;
	open_connection();
	get(&fetch);
	UNTIL(world.loop, fetch.sent);
	rounds(world.loop, 2);
	h2_close(h2_connection(world.origin, 0));
	UNTIL(world.loop, fetch.closed && owner.closed);
	assert_int_equal(fetch.reason, CLOSE_CONNECTION_LOST);
	assert_false(fetch.unprocessed);
	fetch_fini(&fetch);
}

/* ---- slots ---- */

static void slots_follow_both_limits(void **state)
{
	struct fetch fetches[3] = {{0}};
	struct fetch more = {0};
	struct h2_connection *server = NULL;

	(void)state;
	world.origin->hold_settings = true;
	open_connection();
	server = h2_connection(world.origin, 0);
	/* Assumed, until the server says. */
	assert_int_equal(connection_slots(connection), 100);
	world.env->settings.max_streams_per_connection = 200;
	assert_int_equal(connection_limit(connection), 100);
	world.env->settings.max_streams_per_connection = 50;
	assert_int_equal(connection_limit(connection), 50);
	h2_settings(server, &(nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2},
		    1);
	UNTIL(world.loop, connection_limit(connection) == 2);
	assert_int_equal(owner.slots, 1);
	get(&fetches[0]);
	get(&fetches[1]);
	assert_int_equal(connection_slots(connection), 0);
	assert_int_equal(connection_streams(connection), 2);
	make_request(&more.request, "GET", h2_url(world.origin, "/"));
	assert_int_equal(
		connection_submit(connection, &more.request, &fetch_callbacks, &more, &more.stream),
		-EBUSY);
	assert_null(more.stream);
	(void)h2_first(world.origin, 1);
	/* A rise is told at once; a fall only drains. */
	h2_settings(server, &(nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 3},
		    1);
	UNTIL(world.loop, connection_slots(connection) == 1);
	submit(&more);
	(void)h2_first(world.origin, 2);
	h2_settings(server, &(nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1},
		    1);
	h2_sync(server);
	assert_int_equal(connection_slots(connection), 0);
	assert_int_equal(connection_streams(connection), 3);
	assert_int_equal(fetches[0].closed + fetches[1].closed + more.closed, 0);
	for (unsigned i = 0; i < 3; i++) {
		h2_head(h2_first(world.origin, i), true, 204, NULL);
	}
	UNTIL(world.loop, connection_slots(connection) == 1);
	assert_int_equal(connection->carried, 3);
	assert_int_equal(world.metrics.streams_opened, 3);
	assert_int_equal(world.metrics.streams_reused, 2);
	fetch_fini(&fetches[0]);
	fetch_fini(&fetches[1]);
	fetch_fini(&more);
}

/* Freed before it left: nothing is ever sent for it, and its slot comes back. */
static void freed_before_it_was_sent(void **state)
{
	struct fetch first = {0};
	struct fetch second = {.eager = true};

	(void)state;
	open_connection();
	get(&first);
	get(&second);
	fetch_free(&first);
	h2_head(h2_first(world.origin, 0), true, 200, NULL);
	UNTIL(world.loop, second.closed);
	h2_sync(world.origin->connections[0]);
	assert_int_equal(world.origin->connections[0]->stream_count, 1);
	assert_int_equal(first.sent + first.closed, 0);
	assert_int_equal(connection_streams(connection), 0);
	fetch_fini(&first);
	fetch_fini(&second);
}

/* ---- draining ---- */

static void drain_lets_streams_finish(void **state)
{
	struct fetch fetch = {.eager = true};
	struct fetch more = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	connection_drain(connection);
	connection_drain(connection);
	assert_int_equal(owner.draining, 1);
	assert_int_equal(connection_slots(connection), 0);
	make_request(&more.request, "GET", h2_url(world.origin, "/"));
	assert_int_equal(
		connection_submit(connection, &more.request, &fetch_callbacks, &more, &more.stream),
		-EBUSY);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 300000, true);
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(fetch.taken, 300000);
	UNTIL(world.loop, stream->connection->eof);
	assert_true(stream->connection->goaway);
	assert_int_equal(stream->connection->goaway_code, NGHTTP2_NO_ERROR);
	fetch_fini(&fetch);
	fetch_fini(&more);
}

static void drain_of_an_idle_one_closes_it(void **state)
{
	struct h2_connection *server = NULL;

	(void)state;
	open_connection();
	server = h2_connection(world.origin, 0);
	connection_drain(connection);
	UNTIL(world.loop, owner.closed && server->eof);
	assert_true(server->goaway);
	assert_int_equal(server->goaway_code, NGHTTP2_NO_ERROR);
}

/* Ids near their end: no more streams, and it goes when the last is over. */
static void line_21_stream_ids_run_out(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	open_connection();
	assert_int_equal(
		nghttp2_session_set_next_stream_id(connection->session, 0x7fffffff - 2048 + 2), 0);
	get(&fetch);
	assert_int_equal(owner.draining, 1);
	assert_int_equal(connection_slots(connection), 0);
	stream = h2_first(world.origin, 0);
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	UNTIL(world.loop, owner.closed);
	fetch_fini(&fetch);
}

/* ---- the end ---- */

static void peer_closes_an_idle_one(void **state)
{
	(void)state;
	open_connection();
	h2_close(h2_connection(world.origin, 0));
	UNTIL(world.loop, owner.closed);
	assert_int_equal(owner.failed, 0);
}

static void lost_after_the_request_was_sent(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_sync(stream->connection);
	h2_close(stream->connection);
	UNTIL(world.loop, fetch.closed && owner.closed);
	assert_int_equal(fetch.reason, CLOSE_CONNECTION_LOST);
	assert_false(fetch.unprocessed);
	assert_int_equal(failure_top(&fetch.failure), FAIL_CONNECTION_CLOSED);
	fetch_fini(&fetch);
}

/* The socket takes nothing more: requests that wait in our buffers were never sent. */
static void lost_before_the_request_was_sent(void **state)
{
	struct fetch first = {0};
	struct fetch second = {0};
	struct h2_connection *server = NULL;
	static uint8_t body[60000];
	const struct linger linger = {.l_onoff = 1};

	(void)state;
	world.origin->window = 1 << 30;
	open_connection();
	server = h2_connection(world.origin, 0);
	h2_sync(server);
	server->deaf = true;
	rounds(world.loop, 2);
	world.env->settings.max_streams_per_connection = 100;
	/* Uploads fill the socket. */
	struct fetch uploads[90] = {{0}};
	for (unsigned i = 0; i < 90; i++) {
		make_request_with(&uploads[i].request, "POST", h2_url(world.origin, "/"), NULL, 0,
				  body, sizeof(body));
	}
	h2_settings(server,
		    &(nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 30}, 1);
	h2_raw_frame(server, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x3f\xff\x00\x00", 4);
	rounds(world.loop, 10);
	for (unsigned i = 0; i < 90; i++) {
		submit(&uploads[i]);
		rounds(world.loop, 2);
		if (connection->write_blocked) {
			break;
		}
	}
	if (!connection->write_blocked) {
		skip(); /* buffers of many megabytes */
	}
	get(&first);
	get(&second);
	rounds(world.loop, 3);
	assert_int_equal(setsockopt(server->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	h2_close(server); /* a reset */
	UNTIL(world.loop, owner.closed);
	assert_int_equal(uploads[0].reason, CLOSE_CONNECTION_LOST);
	assert_false(uploads[0].unprocessed);
	assert_int_equal(first.closed, 1);
	assert_int_equal(first.reason, CLOSE_INACTIVE);
	assert_true(first.unprocessed);
	assert_code(&first.failure, 0, FAIL_NEVER_SENT);
	assert_true(first.failure.count >= 2);
	assert_int_equal(second.reason, CLOSE_INACTIVE);
	fetch_fini(&first);
	fetch_fini(&second);
	for (unsigned i = 0; i < 90; i++) {
		fetch_fini(&uploads[i]);
	}
}

/* A peer that takes no bytes is given up, with what waits for it. */
static void peer_that_takes_nothing(void **state)
{
	static uint8_t body[60000];
	struct fetch uploads[90] = {{0}};
	struct h2_connection *server = NULL;

	(void)state;
	world.env->settings.write_timeout_ms = 50;
	world.origin->window = 1 << 30;
	open_connection();
	server = h2_connection(world.origin, 0);
	h2_sync(server);
	h2_raw_frame(server, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x3f\xff\x00\x00", 4);
	server->deaf = true;
	rounds(world.loop, 5);
	for (unsigned i = 0; i < 90 && connection && !connection->write_blocked; i++) {
		make_request_with(&uploads[i].request, "POST", h2_url(world.origin, "/"), NULL, 0,
				  body, sizeof(body));
		submit(&uploads[i]);
		rounds(world.loop, 2);
	}
	if (connection && !connection->write_blocked) {
		skip(); /* buffers of many megabytes */
	}
	UNTIL(world.loop, owner.closed);
	assert_int_equal(uploads[0].reason, CLOSE_CONNECTION_LOST);
	assert_text(&uploads[0].failure, "http.write_timeout");
	for (unsigned i = 0; i < 90; i++) {
		fetch_fini(&uploads[i]);
	}
}

/* A silence that is the stream's own is no reason to leave the connection. */
static void suspicion_drains_only_a_silent_connection(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_sync(stream->connection);
	connection_suspect(connection, connection->last_read_ms - 1);
	assert_int_equal(connection_state(connection), CONNECTION_OPEN);
	/* The last byte of all was the stream's own. */
	connection_suspect(connection, connection->last_read_ms);
	assert_int_equal(connection_state(connection), CONNECTION_DRAINING);
	/* It was wrong: what runs goes on. */
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	UNTIL(world.loop, owner.closed);
	fetch_fini(&fetch);
}

static void lost_before_the_first_round(void **state)
{
	struct fetch fetch = {0};

	(void)state;
	open_connection();
	get(&fetch);
	connection_free(connection); /* before the request could go out */
	connection = NULL;
	assert_int_equal(fetch.closed, 1);
	assert_int_equal(fetch.reason, CLOSE_INACTIVE);
	assert_true(fetch.unprocessed);
	assert_code(&fetch.failure, 0, FAIL_NEVER_SENT);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetch);
}

static void broken_protocol_ends_every_stream_with_the_cause(void **state)
{
	struct fetch fetches[2] = {{0}};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetches[0]);
	get(&fetches[1]);
	(void)h2_first(world.origin, 1);
	/* DATA on a stream that nobody opened. */
	h2_raw_frame(stream->connection, NGHTTP2_DATA, 0, 99, "x", 1);
	UNTIL(world.loop, owner.closed);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(fetches[i].closed, 1);
		assert_int_equal(fetches[i].reason, CLOSE_PROTOCOL_ERROR);
		assert_code(&fetches[i].failure, 0, FAIL_H2_CONNECTION_ERROR);
		assert_true(fetches[i].failure.links[0].has_h2_code);
		assert_int_equal(fetches[i].failure.links[0].h2_code, NGHTTP2_PROTOCOL_ERROR);
		fetch_fini(&fetches[i]);
	}
	UNTIL(world.loop, stream->connection->eof);
	assert_true(stream->connection->goaway);
	assert_int_equal(stream->connection->goaway_code, NGHTTP2_PROTOCOL_ERROR);
}

/* The cause is the broken frame, also when the peer hangs up behind it at once. */
static void broken_protocol_then_eof(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_raw_frame(stream->connection, NGHTTP2_DATA, 0, 99, "x", 1);
	h2_close(stream->connection);
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	assert_code(&fetch.failure, 0, FAIL_H2_CONNECTION_ERROR);
	fetch_fini(&fetch);
}

static void compression_error_kills_the_connection(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	/* An index far beyond both tables. */
	h2_raw_frame(stream->connection, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream->id,
		     "\xff\xff\x7f", 3);
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	assert_int_equal(fetch.failure.links[0].h2_code, NGHTTP2_COMPRESSION_ERROR);
	fetch_fini(&fetch);
}

static void too_large_frame_kills_the_connection(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	static const uint8_t big[16385];

	(void)state;
	stream = open_get(&fetch);
	h2_raw_frame(stream->connection, NGHTTP2_DATA, 0, stream->id, big, sizeof(big));
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	assert_int_equal(fetch.failure.links[0].h2_code, NGHTTP2_FRAME_SIZE_ERROR);
	fetch_fini(&fetch);
}

static void push_is_an_error(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_sync(stream->connection); /* it knows by now that we disabled it */
	h2_raw_frame(stream->connection, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, stream->id,
		     "\0\0\0\x02\x82", 5);
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	fetch_fini(&fetch);
}

static void unknown_frames_and_settings_are_ignored(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_raw_frame(stream->connection, 0xfa, 0xff, stream->id, "what", 4);
	h2_raw_frame(stream->connection, NGHTTP2_SETTINGS, 0, 0, "\x7f\x7f\0\0\0\x01", 6);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 10, true);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetch);
}

/* An end that is nobody else's fault has a cause, too. */
static void freed_with_streams(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_head(stream, false, 200, NULL);
	UNTIL(world.loop, fetch.heads);
	connection_free(connection);
	connection = NULL;
	assert_int_equal(fetch.closed, 1);
	assert_int_equal(fetch.reason, CLOSE_CONNECTION_LOST);
	assert_code(&fetch.failure, 0, FAIL_CONNECTION_CLOSED);
	fetch_fini(&fetch);
}

/* ---- freeing from inside callbacks ---- */

static enum fetch_event when;

static void free_connection_hook(struct fetch *fetch, enum fetch_event event)
{
	(void)fetch;
	if (event == when) {
		connection_free(connection);
		connection = NULL;
	}
}

static void free_inside_every_stream_callback(void **state)
{
	(void)state;
	for (when = FETCH_SENT; when <= FETCH_CLOSED; when++) {
		struct fetch fetch = {.eager = true, .hook = free_connection_hook};
		struct fetch other = {.eager = true};
		struct h2_connection *server = NULL;

		memset(&owner, 0, sizeof(owner));
		open_connection();
		get(&fetch);
		get(&other);
		server = h2_connection(world.origin, (unsigned)when - FETCH_SENT);
		if (when != FETCH_SENT) {
			struct h2_stream *stream = h2_stream(server, 0);

			(void)h2_stream(server, 1);
			h2_interim(stream, 103);
			h2_head(stream, false, 200, NULL);
			h2_body(stream, 10, false);
			h2_trailers(stream);
		}
		UNTIL(world.loop, fetch.closed && other.closed);
		assert_null(connection);
		assert_int_equal(owner.closed + owner.failed, 0);
		assert_int_equal(other.reason,
				 when == FETCH_SENT ? CLOSE_INACTIVE : CLOSE_CONNECTION_LOST);
		/* What had been read with it is still told, so it may even have ended well. */
		assert_true(fetch.reason == other.reason ||
			    (fetch.reason == CLOSE_ENDED && when > FETCH_SENT));
		UNTIL(world.loop, server->eof);
		fetch_fini(&fetch);
		fetch_fini(&other);
	}
}

/* From the end of a stream that the connection itself ends: the owner hears nothing more. */
static void free_while_it_ends(void **state)
{
	struct fetch fetches[2] = {{.hook = free_connection_hook}, {.eager = true}};
	struct h2_stream *stream = NULL;

	(void)state;
	when = FETCH_CLOSED;
	stream = open_get(&fetches[0]);
	get(&fetches[1]);
	(void)h2_first(world.origin, 1);
	h2_close(stream->connection);
	UNTIL(world.loop, fetches[0].closed && fetches[1].closed);
	rounds(world.loop, 2);
	assert_null(connection);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetches[0]);
	fetch_fini(&fetches[1]);
}

static void free_when_it_drains(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	owner.free_on_draining = true;
	h2_goaway(stream->connection, stream->id, NGHTTP2_NO_ERROR, "");
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_CONNECTION_LOST);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetch);
}

/* From inside the news that the answer to a PING has come, which goes out before what came is read.
 */
static void free_when_the_peer_has_answered(void **state)
{
	(void)state;
	open_connection();
	UNTIL(world.loop, owner.slots); /* the server's SETTINGS are behind us */
	connection->last_read_ms = 0;
	assert_true(connection_check(connection));
	assert_int_equal(connection_slots(connection), 0);
	owner.free_on_slots = true;
	UNTIL(world.loop, !connection);
	rounds(world.loop, 2);
	assert_int_equal(owner.closed + owner.failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(connect_refused),
		TEST(free_while_dialing),
		TEST(free_when_it_opens),
		TEST(not_http2_is_quoted),
		TEST(first_frame_must_be_settings),
		TEST(closed_without_a_byte),
		TEST(slots_follow_both_limits),
		TEST(freed_before_it_was_sent),
		TEST(drain_lets_streams_finish),
		TEST(drain_of_an_idle_one_closes_it),
		TEST(line_21_stream_ids_run_out),
		TEST(peer_closes_an_idle_one),
		TEST(lost_after_the_request_was_sent),
		TEST(lost_before_the_request_was_sent),
		TEST(peer_that_takes_nothing),
		TEST(suspicion_drains_only_a_silent_connection),
		TEST(lost_before_the_first_round),
		TEST(freed_with_streams),
		TEST(broken_protocol_ends_every_stream_with_the_cause),
		TEST(broken_protocol_then_eof),
		TEST(compression_error_kills_the_connection),
		TEST(too_large_frame_kills_the_connection),
		TEST(push_is_an_error),
		TEST(unknown_frames_and_settings_are_ignored),
		TEST(free_inside_every_stream_callback),
		TEST(free_while_it_ends),
		TEST(free_when_it_drains),
		TEST(free_when_the_peer_has_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
