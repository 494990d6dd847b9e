/* SPDX-License-Identifier: MIT */
/*
 * Windows that change their size, with nghttp2 on both sides: what the server may send is what was
 * decided and charged, also after a window was made smaller while it was full.
 *
 * The round trip is set, so that nothing depends on how fast the machine is.
 */
#include "http/connection_internal.h"
#include "unit/http/connection_world.h"

#define FIRST 65536u
#define MOST (1024u * 1024)
#define HOUR_US UINT64_C(3600000000)

static int setup_adaptive(void **state)
{
	int rc = setup(state);

	world.env->settings.stream_window = FIRST;
	world.env->settings.max_stream_window = MOST;
	return rc;
}

/* Whatever is taken is taken within two round trips. */
static struct h2_stream *open_far(struct fetch *fetch)
{
	struct h2_stream *stream = open_get(fetch);

	h2_sync(stream->connection);
	assert_true(connection->settings_rtt_us > 0);
	connection->settings_rtt_us = HOUR_US;
	h2_head(stream, false, 200, NULL);
	return stream;
}

/* What the server may still send. */
static size_t allowed(const struct h2_stream *stream)
{
	return (size_t)nghttp2_session_get_stream_remote_window_size(stream->connection->session,
								     stream->id);
}

static void send_and_take(struct fetch *fetch, struct h2_stream *stream, uint64_t length)
{
	uint64_t end = fetch->taken + length;

	fetch->eager = true;
	h2_body(stream, length, false);
	UNTIL(world.loop, fetch->taken == end);
	h2_sync(stream->connection);
	fetch->eager = false;
}

/* All that it may send. */
static void fill(struct fetch *fetch, struct h2_stream *stream)
{
	size_t length = stream_buffered(fetch->stream) + allowed(stream);

	h2_body(stream, allowed(stream), false);
	UNTIL(world.loop, stream_buffered(fetch->stream) == length);
	h2_sync(stream->connection);
	assert_int_equal(allowed(stream), 0);
}

static void assert_charged(uint64_t length)
{
	assert_int_equal(world.env->window_bytes, length);
}

static void grows_while_its_reader_keeps_up(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_far(&fetch);
	assert_charged(FIRST);
	send_and_take(&fetch, stream, 300000);
	assert_in_range(fetch.stream->window.size, 2 * FIRST, MOST / 2);
	assert_charged(fetch.stream->window.size);
	assert_in_range(allowed(stream), fetch.stream->window.size / 2, fetch.stream->window.size);
	send_and_take(&fetch, stream, 4000000);
	assert_int_equal(fetch.stream->window.size, MOST);
	assert_charged(MOST);
	/* That is what a reader that stops costs. */
	fill(&fetch, stream);
	assert_in_range(stream_buffered(fetch.stream), MOST - MOST / 8, MOST);
	assert_charged(MOST);
	fetch.eager = true;
	fetch_take(&fetch, SIZE_MAX);
	h2_body(stream, 1, true);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_charged(0);
	fetch_fini(&fetch);
}

/* No network is as fast as that. */
static void grows_for_no_short_way(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_far(&fetch);
	connection->settings_rtt_us = 0;
	connection->rtt_known = true;
	connection->rtt_us = 1;
	connection->rtt_ms = UINT64_MAX / 2; /* not asked again for long */
	send_and_take(&fetch, stream, 1000000);
	assert_int_equal(fetch.stream->window.size, FIRST);
	fetch_fini(&fetch);
}

static void shrinks_while_it_is_full(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	size_t held = 0;
	uint64_t credit = 0;

	(void)state;
	stream = open_far(&fetch);
	send_and_take(&fetch, stream, 4000000);
	fill(&fetch, stream);
	held = stream_buffered(fetch.stream);
	/* Now others wait for the budget. */
	world.env->settings.body_budget = FIRST;
	credit = stream->credit;
	fetch_take(&fetch, 100000);
	assert_int_equal(fetch.stream->window.size, held - 100000);
	assert_charged(held - 100000);
	fetch_take(&fetch, held - 100000 - FIRST);
	h2_sync(stream->connection);
	assert_int_equal(stream->credit, credit);
	assert_int_equal(stream_buffered(fetch.stream), FIRST);
	assert_charged(FIRST);
	/* From here on it is a window of that size, and no more than that is ever there. */
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(stream_buffered(fetch.stream), FIRST);
		fetch_take(&fetch, FIRST / 2 - 1);
		h2_sync(stream->connection);
		assert_int_equal(stream->credit, credit);
		fetch_take(&fetch, 1);
		h2_sync(stream->connection);
		credit += FIRST / 2;
		assert_int_equal(stream->credit, credit);
		assert_charged(FIRST);
		fill(&fetch, stream);
	}
	fetch_fini(&fetch);
}

/* And may grow again, to the same bounds. */
static void grows_after_it_shrank(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	uint64_t budget = world.env->settings.body_budget;

	(void)state;
	stream = open_far(&fetch);
	for (unsigned i = 0; i < 5; i++) {
		send_and_take(&fetch, stream, 4000000);
		assert_int_equal(fetch.stream->window.size, MOST);
		fill(&fetch, stream);
		world.env->settings.body_budget = FIRST;
		/* Partly, then wholly. */
		fetch_take(&fetch, i * 150000);
		assert_in_range(world.env->window_bytes, FIRST, MOST);
		if (i % 2) {
			fetch_take(&fetch, SIZE_MAX);
			assert_charged(FIRST);
		}
		world.env->settings.body_budget = budget;
		fetch_take(&fetch, SIZE_MAX);
		assert_int_equal(stream_buffered(fetch.stream), 0);
	}
	fetch_fini(&fetch);
	assert_charged(0);
}

/* At most half of what is free, and one that begins finds its window. */
static void leaves_room_in_the_budget(void **state)
{
	struct fetch fetches[3] = {{0}};
	struct h2_stream *streams[3];

	(void)state;
	world.env->settings.body_budget = 12 * FIRST;
	streams[0] = open_far(&fetches[0]);
	send_and_take(&fetches[0], streams[0], 4000000);
	assert_in_range(world.env->window_bytes, 6 * FIRST, 11 * FIRST);
	for (unsigned i = 1; i < 3; i++) {
		assert_true(world.env->window_bytes + FIRST <= world.env->settings.body_budget);
		get(&fetches[i]);
		streams[i] = h2_stream(streams[0]->connection, i);
		h2_head(streams[i], false, 200, NULL);
		send_and_take(&fetches[i], streams[i], 4000000);
		/* What the first one holds too much of is given back as it goes on. */
		send_and_take(&fetches[0], streams[0], 4000000);
	}
	assert_true(world.env->window_bytes <= world.env->settings.body_budget);
	for (unsigned i = 0; i < 3; i++) {
		fetch_fini(&fetches[i]);
	}
	assert_charged(0);
}

static unsigned told;

static void count_told(void *ctx, uint32_t user)
{
	(void)ctx;
	(void)user;
	told++;
}

/* Whoever waits for the budget hears when there is room for one, of a window that shrank or of the
 * end of a stream. */
static void tells_who_waits(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	size_t held = 0;

	(void)state;
	told = 0;
	world.env->on_stream_freed = count_told;
	stream = open_far(&fetch);
	send_and_take(&fetch, stream, 4000000);
	fill(&fetch, stream);
	assert_int_equal(told, 0);
	held = stream_buffered(fetch.stream);
	world.env->settings.body_budget = held + FIRST - 1000;
	fetch_take(&fetch, 999);
	assert_int_equal(told, 0);
	fetch_take(&fetch, 1);
	assert_int_equal(told, 1);
	fetch_take(&fetch, 1);
	assert_int_equal(told, 1);
	/* After its end it counts with what it holds. */
	fetch_take(&fetch, SIZE_MAX);
	world.env->settings.body_budget = FIRST + 10;
	h2_body(stream, 12, true);
	UNTIL(world.loop, fetch.closed);
	assert_charged(12);
	assert_int_equal(told, 1);
	fetch_take(&fetch, 2);
	assert_charged(10);
	assert_int_equal(told, 2);
	fetch_fini(&fetch);
	assert_int_equal(told, 3);
}

/* Also when the user itself may have no more: others may. */
static void tells_other_users(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {0};
	struct accounts *accounts = accounts_new(limits);
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;
	size_t held = 0;

	(void)state;
	assert_non_null(accounts);
	told = 0;
	world.env->accounts = accounts;
	world.env->on_stream_freed = count_told;
	stream = open_far(&fetch);
	assert_int_equal(account_held(accounts, 0, ACCOUNT_BUFFER), FIRST);
	send_and_take(&fetch, stream, 4000000);
	assert_int_equal(account_held(accounts, 0, ACCOUNT_BUFFER), MOST);
	fill(&fetch, stream);
	held = stream_buffered(fetch.stream);
	world.env->settings.body_budget = held + FIRST - 1000;
	world.env->settings.body_budget_per_user = FIRST;
	fetch_take(&fetch, 999);
	assert_int_equal(told, 0);
	fetch_take(&fetch, 1);
	assert_int_equal(told, 1);
	assert_int_equal(account_held(accounts, 0, ACCOUNT_BUFFER), held - 1000);
	fetch_take(&fetch, held - 1000 - FIRST);
	assert_int_equal(account_held(accounts, 0, ACCOUNT_BUFFER), FIRST);
	assert_int_equal(told, 1);
	fetch_fini(&fetch);
	world.env->accounts = NULL;
	accounts_free(accounts);
}

/* Padding is nobody's to take, but fills the window like everything else. */
static void padding_is_given_back(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_far(&fetch);
	send_and_take(&fetch, stream, 4000000);
	world.env->settings.body_budget = FIRST;
	fill(&fetch, stream);
	fetch_take(&fetch, SIZE_MAX);
	assert_charged(FIRST);
	stream->connection->pad = 255;
	for (unsigned i = 0; i < 3000; i++) {
		/* Each a frame of its own, and nearly all of it padding. */
		h2_body(stream, 1, false);
		UNTIL(world.loop, stream->sent == stream->to_send);
		if (i % 100 == 0) {
			h2_sync(stream->connection);
			fetch_take(&fetch, SIZE_MAX);
			assert_charged(FIRST);
			assert_true(allowed(stream) <= FIRST);
		}
	}
	fetch_fini(&fetch);
}

/* What is announced is enough: it does not grow for what will not come. */
static void grows_for_nothing_but_more(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_sync(stream->connection);
	connection->settings_rtt_us = HOUR_US;
	h2_head(stream, false, 200, "content-length", "100000", NULL);
	h2_body(stream, 99999, false);
	UNTIL(world.loop, fetch.taken == 99999);
	assert_int_equal(fetch.stream->window.size, FIRST);
	fetch_fini(&fetch);
}

static void the_connections_window_grows(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.connection_window = FIRST;
	world.env->settings.max_connection_window = 3 * MOST;
	stream = open_far(&fetch);
	assert_int_equal(connection->window.size, FIRST);
	send_and_take(&fetch, stream, 8000000);
	assert_int_equal(connection->window.size, 3 * MOST);
	assert_in_range(nghttp2_session_get_remote_window_size(stream->connection->session),
			3 * MOST / 2, 3 * MOST);
	assert_charged(MOST);
	fetch_fini(&fetch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_adaptive, teardown)
		TEST(grows_while_its_reader_keeps_up),
		TEST(grows_for_no_short_way),
		TEST(shrinks_while_it_is_full),
		TEST(grows_after_it_shrank),
		TEST(leaves_room_in_the_budget),
		TEST(tells_who_waits),
		TEST(tells_other_users),
		TEST(padding_is_given_back),
		TEST(grows_for_nothing_but_more),
		TEST(the_connections_window_grows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
