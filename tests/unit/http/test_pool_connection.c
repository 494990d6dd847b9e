/* SPDX-License-Identifier: MIT */
/*
 * A connection's states in the pool, and the pauses that follow from its end.
 */
#include "unit/http/pool_world.h"

/* The only entry there is. */
static struct connection_view only(void)
{
	struct connection_view views[16];

	assert_int_equal(look(views), 1);
	return views[0];
}

static enum connection_state state_now(void)
{
	struct connection_view views[16];

	return look(views) == 1 ? views[0].state : 0;
}

/* Comes back when it is turned away. */
static void come_back(struct fetch *fetch, enum fetch_event event)
{
	struct guest *guest = fetch->ctx;

	if (event == FETCH_CLOSED && fetch->unprocessed) {
		fetch_free(fetch);
		fetch->closed = fetch->sent = 0;
		wait_for(guest, NULL, PRIORITY_NORMAL);
	}
}

static void wait_stubbornly(struct guest *guest)
{
	guest->fetch.hook = come_back;
	guest->fetch.ctx = guest;
	wait_for(guest, world.origin, PRIORITY_NORMAL);
}

/* The server turns everything away on its connection `index`. */
static void turn_away(unsigned index)
{
	struct h2_connection *server = h2_connection(world.origin, index);

	(void)h2_stream(server, 0);
	h2_goaway(server, 0, NGHTTP2_NO_ERROR, "go away");
}

static void a_dial_says_how_far_it_is(void **state)
{
	struct guest guest = {.ready = 0};
	struct connection_view view;

	(void)state;
	h2_origin_hang(world.origin);
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	view = only();
	assert_int_equal(view.state, CONNECTION_CONNECTING);
	assert_string_equal(view.remote, "");
	assert_non_null(strstr(view.why, "connecting to 127.0.0.1:"));
	assert_int_equal(view.until_ms - view.began_ms, 20000);
	assert_int_equal(view.streams + view.limit + view.carried, 0);
	guest_fini(&guest);
}

static void states_follow_the_connection(void **state)
{
	struct guest guest = {.ready = 0};
	struct connection_view view;
	struct h2_stream *stream = NULL;

	(void)state;
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	stream = h2_first(world.origin, 0);
	view = only();
	assert_int_equal(view.state, CONNECTION_OPEN);
	assert_string_equal(view.remote, h2_authority(world.origin));
	assert_int_equal(view.streams, 1);
	assert_int_equal(view.carried, 1);
	assert_int_equal(view.limit, 100);
	assert_int_equal(view.number, connection_number(guest.connection));
	assert_string_equal(view.why, "carries streams");
	assert_int_equal(view.until_ms, 0);
	h2_goaway(stream->connection, 1, NGHTTP2_NO_ERROR, "bye");
	UNTIL(world.loop, state_now() == CONNECTION_DRAINING);
	view = only();
	assert_non_null(strstr(view.why, "GOAWAY"));
	assert_non_null(strstr(view.why, "bye"));
	assert_true(view.since_ms >= view.began_ms);
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, gauges().connections == 0);
	assert_int_equal(look((struct connection_view[16]){{0}}), 0);
	assert_int_equal(guest.fetch.reason, CLOSE_ENDED);
	guest_fini(&guest);
}

static void an_idle_one_says_until_when(void **state)
{
	struct guest guest = {.ready = 0};
	struct connection_view view;

	(void)state;
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	answer(world.origin, 0, 0);
	UNTIL(world.loop, guest.fetch.closed);
	rounds(world.loop, 2);
	view = only();
	assert_int_equal(view.state, CONNECTION_OPEN);
	assert_string_equal(view.why, "idle");
	assert_true(view.until_ms > loop_now_ms(world.loop));
	assert_true(view.until_ms <= loop_now_ms(world.loop) + 240000);
	guest_fini(&guest);
}

/* A server that lets us in and turns everything away: the first time may be an accident, then there
 * are pauses, each twice the one before, up to a ceiling. */
static void pauses_grow_until_something_is_served(void **state)
{
	static const uint64_t pauses[] = {0, 40, 80, 100, 100};
	struct guest guest = {.ready = 0};
	struct h2_stream *stream = NULL;
	unsigned i = 0;

	(void)state;
	world.env->settings.backoff_ms = 40;
	world.env->settings.max_backoff_ms = 100;
	wait_stubbornly(&guest);
	for (; i < 5; i++) {
		struct connection_view view;
		struct wait wait;

		turn_away(i);
		UNTIL(world.loop, guest.fetch.unprocessed);
		guest.fetch.unprocessed = false;
		if (pauses[i] == 0) {
			continue;
		}
		UNTIL(world.loop, state_now() == CONNECTION_FAILED);
		view = only();
		assert_non_null(strstr(view.why, "go away"));
		assert_string_equal(view.remote, "");
		assert_true(view.number > 0);
		assert_int_equal(gauges().connections + gauges().connecting, 0);
		assert_wait(&guest, WAIT_ORIGIN_BACKOFF, "without serving anything");
		assert_wait(&guest, WAIT_ORIGIN_BACKOFF, "go away");
		wait = wait_of(&guest);
		assert_int_equal(wait.until_ms - wait.since_ms, pauses[i]);
		assert_int_equal(wait.until_ms, view.until_ms);
		assert_true(pool_waiter_connecting_since_ms(&guest.waiter) > 0);
	}
	/* A response sets it back, also a bad one. */
	stream = h2_stream(h2_connection(world.origin, i), 0);
	h2_head(stream, true, 503, NULL);
	UNTIL(world.loop, guest.fetch.closed);
	h2_goaway(stream->connection, 1, NGHTTP2_NO_ERROR, "");
	UNTIL(world.loop, gauges().connections == 0);
	fetch_free(&guest.fetch);
	guest.fetch = (struct fetch){.request = guest.fetch.request};
	wait_stubbornly(&guest);
	turn_away(i + 1);
	UNTIL(world.loop, guest.fetch.sent == 0);
	(void)h2_stream(h2_connection(world.origin, i + 2), 0);
	assert_int_equal(world.metrics.connections_opened, i + 3);
	guest_fini(&guest);
}

/* The pause is the origin's: one who comes later waits, too, and does not dial. When the pause is
 * over, there is one dial for all. */
static void a_pause_is_for_everybody(void **state)
{
	struct guest guest = {.ready = 0};
	struct guest late = {.ready = 0};

	(void)state;
	world.env->settings.backoff_ms = 50;
	world.env->settings.max_backoff_ms = 50;
	wait_stubbornly(&guest);
	turn_away(0);
	turn_away(1);
	UNTIL(world.loop, state_now() == CONNECTION_FAILED);
	wait_for(&late, world.origin, PRIORITY_URGENT);
	rounds(world.loop, 3);
	assert_wait(&late, WAIT_ORIGIN_BACKOFF, "a pause");
	assert_int_equal(gauges().connecting, 0);
	assert_int_equal(world.metrics.connections_opened, 2);
	answer(world.origin, 2, 0);
	answer(world.origin, 2, 1);
	UNTIL(world.loop, guest.fetch.closed && late.fetch.closed);
	assert_int_equal(world.metrics.connections_opened, 3);
	guest_fini(&guest);
	guest_fini(&late);
}

/* A connection that dies before it served anything is no better than one that says so. */
static void dying_early_counts(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.backoff_ms = 30;
	world.env->settings.max_backoff_ms = 30;
	world.env->settings.max_streams_per_connection = 1;
	world.env->settings.max_connections_per_origin = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	for (unsigned i = 0; i < 2; i++) {
		struct guest *guest = &guests[i];

		h2_close(h2_stream(h2_connection(world.origin, i), 0)->connection);
		UNTIL(world.loop, guest->fetch.closed);
		assert_int_equal(guest->fetch.reason, CLOSE_CONNECTION_LOST);
		fetch_free(&guest->fetch);
		guest->fetch = (struct fetch){.request = guest->fetch.request};
		if (i == 0) {
			wait_for(guest, NULL, PRIORITY_NORMAL);
		}
	}
	UNTIL(world.loop, state_now() == CONNECTION_FAILED);
	assert_wait(&guests[0], WAIT_ORIGIN_BACKOFF, "2 in a row");
	UNTIL(world.loop, guests[0].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

/* Nobody waits: there is nobody whom a pause would help. */
static void nobody_waits_no_pause(void **state)
{
	struct guest guest = {.ready = 0};

	(void)state;
	world.env->settings.backoff_ms = 60000;
	world.env->settings.max_backoff_ms = 60000;
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&guest, world.origin, PRIORITY_NORMAL);
		h2_close(h2_stream(h2_connection(world.origin, i), 0)->connection);
		UNTIL(world.loop, guest.fetch.closed);
		fetch_free(&guest.fetch);
		guest.fetch = (struct fetch){.request = guest.fetch.request};
		UNTIL(world.loop, gauges().connections == 0);
		assert_int_equal(look((struct connection_view[16]){{0}}), 0);
	}
	guest_fini(&guest);
}

/* A failure to connect tells all who wait, also in an origin that had pauses, and makes none. */
static void line_06_a_failed_dial_makes_no_pause(void **state)
{
	struct guest guest = {.ready = 0};

	(void)state;
	world.env->settings.backoff_ms = 20;
	world.env->settings.max_backoff_ms = 20;
	wait_stubbornly(&guest);
	turn_away(0);
	turn_away(1);
	h2_origin_close(world.origin);
	UNTIL(world.loop, guest.failed);
	assert_code(&guest.failure, 0, FAIL_CONNECT_REFUSED);
	assert_int_equal(look((struct connection_view[16]){{0}}), 0);
	h2_origin_open(world.origin);
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 1);
	assert_true(gauges().connecting + gauges().connections == 1);
	answer(world.origin, 2, 0);
	UNTIL(world.loop, guest.fetch.closed);
	guest_fini(&guest);
}

/* What does not speak HTTP/2 is a failure to connect: also for those who wait behind. */
static void line_22_not_http2_fails_all_who_wait(void **state)
{
	struct guest guests[3] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_streams_per_connection = 1;
	world.env->settings.max_connections_per_origin = 1;
	world.origin->raw = true;
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_raw(h2_connection(world.origin, 0), "HTTP/1.1 400 Bad\r\n\r\n", 20);
	UNTIL(world.loop, guests[2].failed);
	assert_int_equal(guests[0].fetch.reason, CLOSE_CONNECT_FAILED);
	assert_int_equal(guests[1].failed, 1);
	assert_code(&guests[1].failure, 0, FAIL_NOT_HTTP2);
	assert_int_equal(world.metrics.connections_opened, 1);
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
}

/* Beside an open connection, one that cannot be made has a pause of its own; if the open one goes,
 * it does not count. */
static void a_failed_further_connection_pauses_only_further_ones(void **state)
{
	struct guest guests[2] = {{.ready = 0}};
	struct connection_view views[16];
	unsigned failed = 0;

	(void)state;
	world.env->settings.max_streams_per_connection = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_origin_close(world.origin);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, world.metrics.connect_failures == 1);
	rounds(world.loop, 2);
	assert_int_equal(guests[1].failed, 0);
	assert_int_equal(look(views), 2);
	failed = views[0].state == CONNECTION_FAILED ? 0 : 1;
	assert_int_equal(views[failed].state, CONNECTION_FAILED);
	assert_non_null(strstr(views[failed].why, "refused"));
	assert_true(views[failed].until_ms > loop_now_ms(world.loop));
	assert_wait(&guests[1], WAIT_STREAM_LIMIT, "tried again in a while");
	assert_int_equal(pool_waiter_connecting_since_ms(&guests[1].waiter), 0);
	h2_origin_open(world.origin);
	h2_close(h2_first(world.origin, 0)->connection);
	UNTIL(world.loop, guests[1].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void a_place_that_failed_takes_no_room(void **state)
{
	struct h2_origin *other = h2_origin_new(world.loop);
	struct guest guest = {.ready = 0};
	struct guest stranger = {.ready = 0};

	(void)state;
	world.env->settings.backoff_ms = 60000;
	world.env->settings.max_backoff_ms = 60000;
	world.env->settings.max_connections = 1;
	wait_stubbornly(&guest);
	turn_away(0);
	turn_away(1);
	UNTIL(world.loop, state_now() == CONNECTION_FAILED);
	wait_for(&stranger, other, PRIORITY_NORMAL);
	answer(other, 0, 0);
	UNTIL(world.loop, stranger.fetch.closed);
	assert_wait(&guest, WAIT_ORIGIN_BACKOFF, "a pause");
	{
		struct failure failure = {.count = 0};
		struct origin_gauges table[4];

		pool_waiter_describe(&guest.waiter, &failure);
		assert_code(&failure, 0, FAIL_CONNECTION_CLOSED);
		assert_text(&failure, "a pause before the next connection");
		assert_int_equal(pool_origins(pool, table, 4), 2);
		assert_true(table[0].pause_until_ms == 0);
		assert_true(table[1].pause_until_ms > loop_now_ms(world.loop));
	}
	guest_fini(&guest);
	guest_fini(&stranger);
	pool_free(pool); /* in a pause */
	pool = NULL;
	h2_origin_free(other);
}

/* Who gives up in a pause leaves nothing but the pause; an origin that has only that may be
 * forgotten. */
static void cancelled_in_a_pause(void **state)
{
	struct h2_origin *other = h2_origin_new(world.loop);
	struct guest guest = {.ready = 0};
	struct guest stranger = {.ready = 0};

	(void)state;
	world.env->settings.backoff_ms = 60000;
	world.env->settings.max_backoff_ms = 60000;
	world.env->settings.max_origins = 1;
	wait_stubbornly(&guest);
	turn_away(0);
	turn_away(1);
	UNTIL(world.loop, state_now() == CONNECTION_FAILED);
	pool_waiter_cancel(&guest.waiter);
	rounds(world.loop, 2);
	assert_int_equal(state_now(), CONNECTION_FAILED);
	wait_for(&stranger, other, PRIORITY_NORMAL);
	assert_int_equal(gauges().origins, 1);
	UNTIL(world.loop, stranger.fetch.sent);
	guest_fini(&guest);
	guest_fini(&stranger);
	pool_free(pool);
	pool = NULL;
	h2_origin_free(other);
}

/* After a 421: all that are open go, what is on them goes on, and who comes next gets a new one. */
static void line_42_a_drained_origin_dials_anew(void **state)
{
	struct guest guests[3] = {{.ready = 0}};
	struct connection_view views[16];

	(void)state;
	world.env->settings.max_streams_per_connection = 1;
	for (unsigned i = 0; i < 2; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
		UNTIL(world.loop, guests[i].fetch.sent);
	}
	pool_drain_origin(pool, &guests[0].fetch.request.url, "not for this authority");
	assert_int_equal(look(views), 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(views[i].state, CONNECTION_DRAINING);
		assert_string_equal(views[i].why, "not for this authority");
	}
	wait_for(&guests[2], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[2].fetch.sent);
	assert_ptr_not_equal(guests[2].connection, guests[0].connection);
	assert_ptr_not_equal(guests[2].connection, guests[1].connection);
	answer(world.origin, 0, 0);
	answer(world.origin, 1, 0);
	UNTIL(world.loop, gauges().connections == 1);
	assert_int_equal(guests[0].fetch.reason, CLOSE_ENDED);
	assert_int_equal(guests[1].fetch.reason, CLOSE_ENDED);
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(a_dial_says_how_far_it_is),
		TEST(states_follow_the_connection),
		TEST(an_idle_one_says_until_when),
		TEST(pauses_grow_until_something_is_served),
		TEST(a_pause_is_for_everybody),
		TEST(dying_early_counts),
		TEST(nobody_waits_no_pause),
		TEST(line_06_a_failed_dial_makes_no_pause),
		TEST(line_22_not_http2_fails_all_who_wait),
		TEST(a_failed_further_connection_pauses_only_further_ones),
		TEST(a_place_that_failed_takes_no_room),
		TEST(cancelled_in_a_pause),
		TEST(line_42_a_drained_origin_dials_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
