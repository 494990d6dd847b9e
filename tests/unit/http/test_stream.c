/* SPDX-License-Identifier: MIT */
/*
 * Streams: flow control, what they hold, and being freed from inside any callback.
 */
#include "unit/http/connection_world.h"

static size_t stream_window(const struct h2_stream *stream)
{
	return (size_t)nghttp2_session_get_stream_remote_window_size(stream->connection->session,
								     stream->id);
}

static size_t connection_window(const struct h2_connection *server)
{
	return (size_t)nghttp2_session_get_remote_window_size(server->session);
}

/* What a reader leaves stays within one window, and the window opens by what it takes. */
static void window_opens_as_bytes_are_taken(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	size_t window = world.env->settings.stream_window;

	(void)state;
	stream = open_get(&fetch);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 300000, true);
	UNTIL(world.loop, fetch.stream && stream_buffered(fetch.stream) == window);
	h2_sync(stream->connection);
	assert_int_equal(stream_window(stream), 0);
	assert_int_equal(stream->credit, 0);
	assert_int_equal(stream->sent, window);
	assert_int_equal(stream_buffered(fetch.stream), window);
	assert_int_equal(world.env->buffered_bytes, window);
	/* Below half a window the library waits, so that updates are few. */
	fetch_take(&fetch, 40000);
	UNTIL(world.loop, stream_buffered(fetch.stream) == window);
	h2_sync(stream->connection);
	assert_int_equal(stream->credit, 40000);
	assert_int_equal(stream->sent, window + 40000);
	fetch.eager = true;
	fetch_take(&fetch, SIZE_MAX);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.taken, 300000);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(world.env->buffered_bytes, 0);
	fetch_fini(&fetch);
}

/* The measured case: one reader stops, and its neighbour gets everything, although the connection's
 * window is a small multiple of a stream's. */
static void paused_stream_does_not_stop_its_neighbour(void **state)
{
	struct fetch paused = {0};
	struct fetch busy = {.eager = true};
	struct h2_stream *first = NULL;
	struct h2_stream *second = NULL;

	(void)state;
	world.env->settings.connection_window = 65536;
	first = open_get(&paused);
	get(&busy);
	second = h2_first(world.origin, 1);
	h2_head(first, false, 200, NULL);
	h2_body(first, 10000000, true);
	UNTIL(world.loop, stream_buffered(paused.stream) == world.env->settings.stream_window);
	h2_head(second, false, 200, NULL);
	h2_body(second, 3000000, true);
	UNTIL(world.loop, busy.closed);
	assert_int_equal(busy.reason, CLOSE_ENDED);
	assert_int_equal(busy.taken, 3000000);
	assert_int_equal(first->sent, world.env->settings.stream_window);
	h2_sync(first->connection);
	/* And the paused one goes on when it is read again. */
	paused.eager = true;
	fetch_take(&paused, SIZE_MAX);
	UNTIL(world.loop, paused.closed);
	assert_int_equal(paused.taken, 10000000);
	fetch_fini(&paused);
	fetch_fini(&busy);
}

/* Every DATA byte goes back to the connection's window, whoever it was for: otherwise the window,
 * 64 KiB here, is gone long before the end. */
static void connection_window_never_leaks(void **state)
{
	static const uint8_t data[16000];
	struct h2_connection *server = NULL;
	size_t full = 0;

	(void)state;
	world.env->settings.connection_window = 65536;
	open_connection();
	server = h2_connection(world.origin, 0);
	h2_sync(server);
	full = connection_window(server);
	assert_int_equal(full, 65536);
	for (unsigned i = 0; i < 12; i++) {
		struct fetch fetch = {0};
		struct h2_stream *stream = NULL;

		get(&fetch);
		stream = h2_stream(server, i);
		h2_head(stream, false, 200, "content-length", "16000", NULL);
		UNTIL(world.loop, fetch.heads);
		switch (i % 6) {
		case 0: /* never read, then freed */
			h2_body(stream, 16000, false);
			UNTIL(world.loop, stream_buffered(fetch.stream) == 16000);
			fetch_free(&fetch);
			break;
		case 1: /* freed while the bytes are on their way */
			h2_body(stream, 16000, false);
			fetch_free(&fetch);
			break;
		case 2: /* more than announced */
			h2_body(stream, 20000, true);
			UNTIL(world.loop, fetch.closed);
			break;
		case 3: /* padded */
			server->pad = 200;
			h2_body(stream, 16000, true);
			UNTIL(world.loop, fetch.closed);
			server->pad = 0;
			break;
		case 4: /* reset by the peer behind the bytes */
			h2_body(stream, 15000, false);
			h2_reset(stream, NGHTTP2_CANCEL);
			UNTIL(world.loop, fetch.closed);
			break;
		case 5: /* kept, no more wanted */
			h2_body(stream, 100, false);
			UNTIL(world.loop, stream_buffered(fetch.stream) == 100);
			stream_reset(fetch.stream);
			h2_body(stream, 15900, true);
			h2_sync(server);
			assert_int_equal(stream_buffered(fetch.stream), 100);
			assert_int_equal(fetch.closed, 0);
			break;
		}
		fetch_fini(&fetch);
		h2_sync(server);
	}
	/* Late DATA for streams that are long gone: outside of the server's own account. */
	{
		uint64_t before = 0;

		h2_sync(server);
		before = server->credit;
		for (unsigned i = 0; i < 8; i++) {
			h2_raw_frame(server, NGHTTP2_DATA, 0, 1, data, sizeof(data));
			h2_sync(server);
		}
		assert_true(server->credit - before > 8 * sizeof(data) - 32768);
	}
	/* And a last stream has the whole window. */
	{
		struct fetch fetch = {.eager = true};
		struct h2_stream *stream = NULL;

		get(&fetch);
		stream = h2_stream(server, 12);
		h2_head(stream, false, 200, NULL);
		h2_body(stream, 500000, true);
		UNTIL(world.loop, fetch.closed);
		assert_int_equal(fetch.taken, 500000);
		fetch_fini(&fetch);
	}
	assert_int_equal(connection_streams(connection), 0);
	assert_int_equal(owner.closed, 0);
}

/* What was received can be read after the end, also after the connection's. */
static void bytes_outlive_the_exchange(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 50000, true);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	h2_close(stream->connection);
	UNTIL(world.loop, owner.closed);
	assert_null(stream_connection(fetch.stream));
	assert_int_equal(stream_buffered(fetch.stream), 50000);
	fetch_take(&fetch, 20000);
	assert_int_equal(stream_buffered(fetch.stream), 30000);
	fetch_take(&fetch, SIZE_MAX);
	assert_int_equal(fetch.taken, 50000);
	assert_int_equal(world.env->streams, 1);
	fetch_fini(&fetch);
}

static void reset_keeps_what_came(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, fetch.stream && stream_buffered(fetch.stream) == 1000);
	stream_reset(fetch.stream);
	stream_reset(fetch.stream);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_CANCEL);
	assert_int_equal(fetch.closed, 0);
	fetch_take(&fetch, SIZE_MAX);
	assert_int_equal(fetch.taken, 1000);
	fetch_fini(&fetch);
	stream_free(NULL);
}

/* ---- freeing ---- */

static enum fetch_event when;

static void free_hook(struct fetch *fetch, enum fetch_event event)
{
	if (event == when) {
		fetch_free(fetch);
	}
}

static void free_inside_every_callback(void **state)
{
	unsigned i = 0;

	(void)state;
	open_connection();
	for (when = FETCH_SENT; when <= FETCH_CLOSED; when++, i++) {
		struct fetch fetch = {.eager = true, .hook = free_hook};
		struct fetch after = {.eager = true};
		struct h2_stream *stream = NULL;

		get(&fetch);
		stream = h2_first(world.origin, i * 2);
		if (!stream->reset && !stream->closed) {
			h2_interim(stream, 103);
			h2_head(stream, false, 200, "content-type", "text/x", NULL);
			h2_body(stream, 10, false);
			h2_trailers(stream);
		}
		UNTIL(world.loop, !fetch.stream);
		assert_int_equal(fetch.closed, when == FETCH_CLOSED);
		assert_int_equal(fetch.trailers, when >= FETCH_TRAILERS);
		assert_int_equal(fetch.bodies, when >= FETCH_BODY);
		assert_int_equal(fetch.heads, when >= FETCH_HEAD);
		/* The connection and its count are none the worse. */
		get(&after);
		stream = h2_first(world.origin, i * 2 + 1);
		h2_head(stream, true, 204, NULL);
		UNTIL(world.loop, after.closed && connection_streams(connection) == 0);
		fetch_fini(&fetch);
		fetch_fini(&after);
	}
	assert_int_equal(owner.closed, 0);
	assert_int_equal(world.env->streams, 0);
}

static unsigned told;

static void count_freed(void *ctx, uint32_t user)
{
	(void)ctx;
	(void)user;
	told++;
}

static void every_free_is_told(void **state)
{
	struct fetch fetches[2] = {{0}};

	(void)state;
	told = 0;
	world.env->on_stream_freed = count_freed;
	open_connection();
	get(&fetches[0]);
	get(&fetches[1]);
	assert_int_equal(world.env->streams, 2);
	fetch_free(&fetches[0]);
	assert_int_equal(told, 1);
	assert_int_equal(world.env->streams, 1);
	UNTIL(world.loop, fetches[1].sent);
	h2_close(h2_connection(world.origin, 0));
	UNTIL(world.loop, fetches[1].closed);
	assert_int_equal(told, 1);
	fetch_fini(&fetches[0]);
	fetch_fini(&fetches[1]);
	assert_int_equal(told, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(window_opens_as_bytes_are_taken),
		TEST(paused_stream_does_not_stop_its_neighbour),
		TEST(connection_window_never_leaks),
		TEST(bytes_outlive_the_exchange),
		TEST(reset_keeps_what_came),
		TEST(free_inside_every_callback),
		TEST(every_free_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
