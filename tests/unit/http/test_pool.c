/* SPDX-License-Identifier: MIT */
/*
 * The pool and its origins: who goes on which connection, in which order, and what happens at every
 * ceiling.
 */
#include "unit/http/pool_world.h"

/* ---- order ---- */

static void first_in_first_out_within_a_priority(void **state)
{
	static const enum priority priorities[] = {
		PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_URGENT, PRIORITY_NORMAL, PRIORITY_HIGH,
		PRIORITY_URGENT, PRIORITY_LOW, PRIORITY_NORMAL, PRIORITY_HIGH};
	static const unsigned places[] = {5, 8, 1, 6, 3, 2, 9, 7, 4};
	struct guest guests[9] = {{.ready = 0}};

	(void)state;
	for (unsigned i = 0; i < 9; i++) {
		wait_for(&guests[i], world.origin, priorities[i]);
	}
	assert_int_equal(gauges().waiting, 9);
	UNTIL(world.loop, ready_count == 9);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(guests[i].ready, 1);
		assert_int_equal(guests[i].order, places[i]);
	}
	assert_int_equal(world.metrics.connections_opened, 1);
	/* And on the wire in that order. */
	UNTIL(world.loop, guests[6].fetch.sent);
	for (unsigned i = 0; i < 9; i++) {
		assert_int_equal(stream_id(guests[i].fetch.stream), places[i] * 2 - 1);
	}
	assert_int_equal(gauges().waiting, 0);
	assert_int_equal(gauges().streams, 9);
	for (unsigned i = 0; i < 9; i++) {
		guest_fini(&guests[i]);
	}
}

/* Who comes back with an old place goes before those who came later, but not before a higher
 * priority. */
static void old_places_are_kept(void **state)
{
	struct guest guests[6] = {{.place = 20}, {.place = 30}, {.place = 10},
				  {.place = 25}, {.place = 40}, {.place = 5}};
	/* High: 5, 40; then normal: 10, 20, 25, 30. */
	static const unsigned places[] = {4, 6, 3, 5, 2, 1};

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		wait_for(&guests[i], world.origin, i < 4 ? PRIORITY_NORMAL : PRIORITY_HIGH);
	}
	UNTIL(world.loop, ready_count == 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(guests[i].order, places[i]);
	}
	for (unsigned i = 0; i < 6; i++) {
		guest_fini(&guests[i]);
	}
}

static void passing_it_up_lets_the_next_go(void **state)
{
	struct guest guests[2] = {{.pass = true}, {.pass = false}};

	(void)state;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(guests[0].ready, 1);
	assert_int_equal(gauges().streams, 1);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void cancelled_while_queued(void **state)
{
	struct guest guests[3] = {{.ready = 0}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	pool_waiter_cancel(&guests[1].waiter);
	pool_waiter_cancel(&guests[1].waiter);
	assert_int_equal(gauges().waiting, 2);
	UNTIL(world.loop, guests[2].fetch.sent);
	assert_int_equal(guests[1].ready + guests[1].failed, 0);
	assert_int_equal(guests[2].order, 2);
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
}

/* ---- how many connections ---- */

static void further_connections_only_at_the_stream_limit(void **state)
{
	struct guest guests[9] = {{.ready = 0}};
	struct h2_origin *origin = world.origin;

	(void)state;
	world.env->settings.max_connections_per_origin = 2;
	origin->max_streams = 3;
	wait_for(&guests[0], origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_sync(h2_connection(origin, 0)); /* its limit is known */
	wait_for(&guests[1], origin, PRIORITY_NORMAL);
	wait_for(&guests[2], origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[2].fetch.sent);
	assert_int_equal(gauges().connections, 1);
	wait_for(&guests[3], origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[3].fetch.sent);
	assert_int_equal(gauges().connections, 2);
	h2_sync(h2_connection(origin, 1));
	for (unsigned i = 4; i < 9; i++) {
		wait_for(&guests[i], origin, PRIORITY_NORMAL);
	}
	UNTIL(world.loop, guests[5].fetch.sent);
	assert_int_equal(gauges().connections, 2);
	assert_int_equal(gauges().waiting, 3);
	assert_wait(&guests[6], WAIT_STREAM_LIMIT,
		    "a free stream: 6 of 6 in use on 2 connections; "
		    "pool.max_connections_per_origin allows no more");
	assert_int_equal(pool_waiter_connecting_since_ms(&guests[6].waiter), 0);
	/* A slot that comes free is taken at once, by the oldest. */
	answer(origin, 1, 0);
	UNTIL(world.loop, guests[6].fetch.sent);
	assert_ptr_equal(guests[6].connection, guests[3].connection);
	assert_int_equal(guests[7].ready, 0);
	assert_int_equal(world.metrics.connections_opened, 2);
	for (unsigned i = 0; i < 9; i++) {
		guest_fini(&guests[i]);
	}
}

static void least_loaded_connection_is_chosen(void **state)
{
	struct guest guests[6] = {{.ready = 0}};
	struct h2_origin *origin = world.origin;

	(void)state;
	origin->max_streams = 2;
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&guests[i], origin, PRIORITY_NORMAL);
		UNTIL(world.loop, guests[i].fetch.sent);
		h2_sync(origin->connections[origin->count - 1]);
	}
	assert_int_equal(gauges().connections, 2);
	/* The second one gets empty, the first one half. */
	answer(origin, 1, 0);
	answer(origin, 1, 1);
	answer(origin, 0, 0);
	UNTIL(world.loop,
	      guests[0].fetch.closed && guests[2].fetch.closed && guests[3].fetch.closed);
	UNTIL(world.loop, connection_streams(guests[0].connection) == 1 &&
				  connection_streams(guests[2].connection) == 0);
	wait_for(&guests[4], origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[4].ready);
	assert_ptr_equal(guests[4].connection, guests[2].connection);
	for (unsigned i = 0; i < 6; i++) {
		guest_fini(&guests[i]);
	}
}

/* At the ceiling over all, the idle connection unused longest makes room. */
static void longest_idle_connection_makes_room(void **state)
{
	struct h2_origin *origins[4] = {world.origin};
	struct guest guests[4] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_connections = 3;
	for (unsigned i = 1; i < 4; i++) {
		origins[i] = h2_origin_new(world.loop);
	}
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], origins[i], PRIORITY_NORMAL);
		answer(origins[i], 0, 0);
		UNTIL(world.loop, guests[i].fetch.closed);
		fetch_free(&guests[i].fetch);
		UNTIL(world.loop, gauges().streams == 0);
		guests[i].fetch.closed = guests[i].fetch.heads = 0;
		guests[i].fetch.sent = 0;
	}
	/* The first one is used again: the second one is the oldest now. */
	wait_for(&guests[0], origins[0], PRIORITY_NORMAL);
	answer(origins[0], 0, 1);
	UNTIL(world.loop, guests[0].fetch.closed);
	wait_for(&guests[3], origins[3], PRIORITY_NORMAL);
	UNTIL(world.loop, guests[3].fetch.sent);
	UNTIL(world.loop, origins[1]->connections[0]->eof);
	assert_true(origins[1]->connections[0]->goaway);
	assert_int_equal(origins[1]->connections[0]->goaway_code, NGHTTP2_NO_ERROR);
	assert_false(origins[0]->connections[0]->eof || origins[2]->connections[0]->eof);
	assert_int_equal(gauges().connections, 3);
	for (unsigned i = 0; i < 4; i++) {
		guest_fini(&guests[i]);
		if (i > 0) {
			/* Before the pool goes: it closes its end first. */
			h2_origin_close(origins[i]);
		}
	}
	pool_free(pool);
	pool = NULL;
	for (unsigned i = 1; i < 4; i++) {
		h2_origin_free(origins[i]);
	}
}

/* None is idle: who needs one waits, is told why, and goes on when one gets idle. */
static void waits_for_room(void **state)
{
	struct h2_origin *other = h2_origin_new(world.loop);
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_connections = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	wait_for(&guests[1], other, PRIORITY_NORMAL);
	rounds(world.loop, 5);
	assert_int_equal(guests[1].ready, 0);
	assert_int_equal(gauges().connections + gauges().connecting, 1);
	assert_wait(&guests[1], WAIT_CONNECTION_LIMIT,
		    "pool.max_connections: 1 connections, none of them idle");
	answer(world.origin, 0, 0);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(guests[0].fetch.reason, CLOSE_ENDED);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
	pool_free(pool);
	pool = NULL;
	h2_origin_free(other);
}

/* ---- the memory budget ---- */

static void budget_bounds_the_streams(void **state)
{
	struct guest guests[5] = {{.ready = 0}};
	struct h2_stream *stream = NULL;

	(void)state;
	world.env->settings.body_budget = 2 * world.env->settings.stream_window;
	for (unsigned i = 0; i < 5; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	UNTIL(world.loop, guests[1].fetch.sent);
	rounds(world.loop, 5);
	assert_int_equal(ready_count, 2);
	assert_int_equal(world.env->streams, 2);
	assert_wait(&guests[2], WAIT_MEMORY_BUDGET, "memory.body_budget");
	/* An end is not enough: what the stream holds counts until it is taken or freed. */
	guests[0].fetch.eager = false;
	stream = h2_stream(h2_connection(world.origin, 0), 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, true);
	UNTIL(world.loop, guests[0].fetch.closed);
	rounds(world.loop, 5);
	assert_int_equal(ready_count, 2);
	assert_int_equal(world.env->window_bytes, world.env->settings.stream_window + 1000);
	fetch_take(&guests[0].fetch, 999);
	rounds(world.loop, 5);
	assert_int_equal(ready_count, 2);
	fetch_take(&guests[0].fetch, 1);
	UNTIL(world.loop, guests[2].fetch.sent);
	assert_int_equal(ready_count, 3);
	/* It is for one that holds nothing. */
	answer(world.origin, 0, 1);
	UNTIL(world.loop, guests[3].fetch.sent);
	assert_int_equal(ready_count, 4);
	fetch_free(&guests[2].fetch);
	UNTIL(world.loop, guests[4].fetch.sent);
	for (unsigned i = 0; i < 5; i++) {
		guest_fini(&guests[i]);
	}
}

/* A budget smaller than one window lets one stream go all the same. */
static void budget_is_never_less_than_a_stream(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.body_budget = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	rounds(world.loop, 5);
	assert_int_equal(guests[1].ready, 0);
	fetch_free(&guests[0].fetch);
	UNTIL(world.loop, guests[1].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

/* What comes free is offered to one who can use it: an origin that waits for a connection does not
 * swallow the share of the budget that another one waits for. */
static void budget_does_not_go_to_who_needs_a_connection(void **state)
{
	struct h2_origin *second = h2_origin_new(world.loop);
	struct h2_origin *third = h2_origin_new(world.loop);
	struct guest a1 = {.ready = 0}, a2 = {.ready = 0}, b1 = {.ready = 0}, b2 = {.ready = 0},
		     c = {.ready = 0};

	(void)state;
	world.env->settings.max_connections = 2;
	world.env->settings.body_budget = 3 * world.env->settings.stream_window;
	wait_for(&a1, world.origin, PRIORITY_NORMAL);
	wait_for(&a2, world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, a2.fetch.sent);
	wait_for(&b1, second, PRIORITY_NORMAL);
	UNTIL(world.loop, b1.fetch.sent);
	/* No connection for the third origin, then no memory for the second one. */
	wait_for(&c, third, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	wait_for(&b2, second, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	assert_int_equal(c.ready + b2.ready, 0);
	fetch_free(&a1.fetch); /* the first origin's connection stays in use */
	UNTIL(world.loop, b2.fetch.sent);
	assert_int_equal(c.ready, 0);
	guest_fini(&a1);
	guest_fini(&a2);
	guest_fini(&b1);
	guest_fini(&b2);
	guest_fini(&c);
	pool_free(pool);
	pool = NULL;
	h2_origin_free(second);
	h2_origin_free(third);
}

/* Nor does one whose waiter has gone meanwhile. */
static void budget_does_not_go_to_nobody(void **state)
{
	struct h2_origin *second = h2_origin_new(world.loop);
	struct guest a1 = {.ready = 0}, a2 = {.ready = 0}, b1 = {.ready = 0}, b2 = {.ready = 0};

	(void)state;
	wait_for(&a1, world.origin, PRIORITY_NORMAL);
	wait_for(&b1, second, PRIORITY_NORMAL);
	UNTIL(world.loop, a1.fetch.sent && b1.fetch.sent);
	world.env->settings.body_budget = 2 * world.env->settings.stream_window;
	wait_for(&a2, world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	wait_for(&b2, second, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	pool_waiter_cancel(&a2.waiter);
	fetch_free(&a1.fetch);
	UNTIL(world.loop, b2.fetch.sent);
	guest_fini(&a1);
	guest_fini(&a2);
	guest_fini(&b1);
	guest_fini(&b2);
	pool_free(pool);
	pool = NULL;
	h2_origin_free(second);
}

/* ---- failures ---- */

static void failed_dial_fails_all_who_wait(void **state)
{
	struct guest guests[3] = {{.ready = 0}};
	struct guest next = {.ready = 0};

	(void)state;
	h2_origin_close(world.origin);
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], world.origin, i == 1 ? PRIORITY_LOW : PRIORITY_URGENT);
	}
	UNTIL(world.loop, guests[0].failed && guests[1].failed && guests[2].failed);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(guests[i].failed, 1);
		assert_int_equal(guests[i].ready, 0);
		assert_code(&guests[i].failure, 0, FAIL_CONNECT_REFUSED);
	}
	assert_int_equal(world.metrics.connect_failures, 1);
	assert_int_equal(gauges().connecting + gauges().connections + gauges().waiting, 0);
	/* The origin is not poisoned. */
	h2_origin_open(world.origin);
	wait_for(&next, world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, next.fetch.sent);
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
	guest_fini(&next);
}

static void waiting_again_from_the_failure_is_a_fresh_dial(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	h2_origin_close(world.origin);
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], world.origin, PRIORITY_LOW);
	guests[0].again = &guests[0];
	UNTIL(world.loop, guests[0].failed);
	/* Once each, by one dial: the one who came back is not failed by the same. */
	assert_int_equal(guests[0].failed, 1);
	assert_int_equal(guests[1].failed, 1);
	assert_true(pool_waiter_active(&guests[0].waiter));
	UNTIL(world.loop, guests[0].failed >= 2);
	assert_int_equal(world.metrics.connect_failures, 2);
	guests[0].again = NULL;
	h2_origin_open(world.origin);
	UNTIL(world.loop, guests[0].failed == 3 || guests[0].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

/* Also when it comes back to the head of the queue: those behind it still fail. */
static void waiting_again_in_the_old_place(void **state)
{
	struct guest guests[3] = {{.place = 1}, {.place = 2}, {.place = 3}};

	(void)state;
	h2_origin_close(world.origin);
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	guests[0].again = &guests[0];
	UNTIL(world.loop, guests[0].failed);
	assert_int_equal(guests[0].failed, 1);
	assert_int_equal(guests[1].failed, 1);
	assert_int_equal(guests[2].failed, 1);
	assert_true(pool_waiter_active(&guests[0].waiter));
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
}

static void cancelling_another_one_from_the_failure(void **state)
{
	struct guest guests[3] = {{.ready = 0}};

	(void)state;
	h2_origin_close(world.origin);
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	guests[0].cancels = &guests[2];
	UNTIL(world.loop, guests[1].failed);
	rounds(world.loop, 2);
	assert_int_equal(guests[2].failed + guests[2].ready, 0);
	assert_false(pool_waiter_active(&guests[2].waiter));
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
}

/* A further connection that cannot be made is no failure of those who wait for a stream. */
static void failed_extra_dial_fails_nobody(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.origin->max_streams = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_sync(h2_connection(world.origin, 0));
	h2_origin_close(world.origin);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, world.metrics.connect_failures == 1);
	rounds(world.loop, 5);
	assert_int_equal(guests[1].failed, 0);
	/* And there is a pause before the next try. */
	assert_int_equal(gauges().connecting, 0);
	answer(world.origin, 0, 0);
	UNTIL(world.loop, guests[1].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void dial_that_nobody_waits_for_is_given_up(void **state)
{
	struct guest guests[2] = {{.ready = 0}};
	struct failure failure = {.count = 0};

	(void)state;
	h2_origin_hang(world.origin);
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 5);
	assert_int_equal(gauges().connecting, 1);
	assert_true(pool_waiter_connecting_since_ms(&guests[0].waiter) > 0);
	pool_waiter_describe(&guests[0].waiter, &failure);
	assert_true(failure.count > 0);
	assert_wait(&guests[0], WAIT_CONNECTING, "connecting: ");
	pool_waiter_cancel(&guests[0].waiter);
	assert_int_equal(gauges().connecting, 1);
	pool_waiter_cancel(&guests[1].waiter);
	assert_int_equal(gauges().connecting, 0);
	rounds(world.loop, 5);
	assert_int_equal(world.metrics.connections_opened, 0);
	assert_wait(&guests[0], WAIT_NOTHING, "");
	assert_int_equal(pool_waiter_connecting_since_ms(&guests[0].waiter), 0);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

/* ---- connections that go ---- */

static void lost_connection_is_out_of_the_pool(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_close(h2_first(world.origin, 0)->connection);
	UNTIL(world.loop, guests[0].fetch.closed);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(world.metrics.connections_opened, 2);
	assert_int_equal(gauges().connections, 1);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void draining_connection_gets_no_stream(void **state)
{
	struct guest guests[2] = {{.ready = 0}};
	struct h2_stream *stream = NULL;

	(void)state;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	stream = h2_first(world.origin, 0);
	h2_goaway(stream->connection, 1, NGHTTP2_NO_ERROR, "");
	UNTIL(world.loop, guests[0].fetch.closed ||
				  connection_state(guests[0].connection) == CONNECTION_DRAINING);
	assert_false(guests[0].fetch.closed);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_ptr_not_equal(guests[1].connection, guests[0].connection);
	assert_int_equal(gauges().connections, 2);
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, gauges().connections == 1);
	assert_int_equal(guests[0].fetch.reason, CLOSE_ENDED);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void idle_connection_is_closed_after_a_while(void **state)
{
	struct guest guest = {.ready = 0};
	struct h2_connection *server = NULL;

	(void)state;
	world.env->settings.idle_timeout_ms = 30;
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	server = h2_connection(world.origin, 0);
	answer(world.origin, 0, 0);
	UNTIL(world.loop, server->eof);
	assert_true(server->goaway);
	assert_int_equal(server->goaway_code, NGHTTP2_NO_ERROR);
	assert_int_equal(guest.fetch.reason, CLOSE_ENDED);
	UNTIL(world.loop, gauges().connections == 0);
	guest_fini(&guest);
}

/* ---- the table ---- */

static void origins_have_a_ceiling(void **state)
{
	struct guest guests[3] = {{.ready = 0}};
	struct guest other = {.ready = 0};
	struct h2_origin *origins[2];
	struct origin_gauges table[4];

	(void)state;
	world.env->settings.max_origins = 2;
	origins[0] = h2_origin_new(world.loop);
	origins[1] = h2_origin_new(world.loop);
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], origins[0], PRIORITY_NORMAL);
	assert_int_equal(try_wait(&guests[2], origins[1], PRIORITY_NORMAL), FAIL_CONNECTION_LIMIT);
	assert_false(pool_waiter_active(&guests[2].waiter));
	/* One more on a known origin is fine. */
	wait_for(&other, world.origin, PRIORITY_NORMAL);
	pool_waiter_cancel(&guests[1].waiter);
	rounds(world.loop, 2);
	/* An unused one is forgotten for the new one. */
	wait_for(&guests[2], origins[1], PRIORITY_NORMAL);
	assert_int_equal(gauges().origins, 2);
	UNTIL(world.loop, guests[2].fetch.sent && other.fetch.sent);
	assert_int_equal(pool_origins(pool, table, 0), 0);
	assert_int_equal(pool_origins(pool, table, 1), 1);
	assert_int_equal(pool_origins(pool, table, 4), 2);
	assert_int_equal(table[0].connections + table[1].connections, 2);
	assert_int_equal(table[0].streams + table[1].streams, 3);
	assert_non_null(strstr(table[0].name, "http://127.0.0.1:"));
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
	guest_fini(&other);
	pool_free(pool);
	pool = NULL;
	h2_origin_free(origins[0]);
	h2_origin_free(origins[1]);
}

static void used_origins_are_listed_first(void **state)
{
	struct guest guests[2] = {{.ready = 0}};
	struct h2_origin *other = h2_origin_new(world.loop);
	struct origin_gauges table[2];

	(void)state;
	wait_for(&guests[0], other, PRIORITY_NORMAL);
	pool_waiter_cancel(&guests[0].waiter);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(pool_origins(pool, table, 2), 2);
	assert_int_equal(table[0].streams, 1);
	assert_int_equal(table[1].connections + table[1].waiting, 0);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
	h2_origin_free(other);
}

/* The last reload counts for who waits already. */
static void reload_wakes_waiters(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_streams_per_connection = 1;
	world.env->settings.max_connections_per_origin = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	rounds(world.loop, 3);
	assert_int_equal(guests[1].ready, 0);
	world.env->settings.max_streams_per_connection = 2;
	pool_reconfigure(pool);
	UNTIL(world.loop, guests[1].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void raised_peer_limit_wakes_waiters(void **state)
{
	struct guest guests[2] = {{.ready = 0}};
	nghttp2_settings_entry more = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2};

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	world.origin->max_streams = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_sync(h2_connection(world.origin, 0));
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	assert_int_equal(guests[1].ready, 0);
	h2_settings(h2_connection(world.origin, 0), &more, 1);
	UNTIL(world.loop, guests[1].fetch.sent);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

/* Reset streams count until the reset is out, then their slots come back: none is lost. */
static void slots_survive_cancelling(void **state)
{
	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	world.origin->max_streams = 2;
	for (unsigned round = 0; round < 30; round++) {
		struct guest guests[4] = {{.ready = 0}};

		for (unsigned i = 0; i < 4; i++) {
			wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
		}
		UNTIL(world.loop, guests[1].fetch.sent);
		guest_fini(&guests[3]);
		guest_fini(&guests[0]);
		guest_fini(&guests[1]);
		UNTIL(world.loop, guests[2].fetch.sent);
		guest_fini(&guests[2]);
	}
	assert_int_equal(world.metrics.connections_opened, 1);
	rounds(world.loop, 3);
	assert_int_equal(gauges().streams, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(first_in_first_out_within_a_priority),
		TEST(old_places_are_kept),
		TEST(passing_it_up_lets_the_next_go),
		TEST(cancelled_while_queued),
		TEST(further_connections_only_at_the_stream_limit),
		TEST(least_loaded_connection_is_chosen),
		TEST(longest_idle_connection_makes_room),
		TEST(waits_for_room),
		TEST(budget_bounds_the_streams),
		TEST(budget_is_never_less_than_a_stream),
		TEST(budget_does_not_go_to_who_needs_a_connection),
		TEST(budget_does_not_go_to_nobody),
		TEST(failed_dial_fails_all_who_wait),
		TEST(waiting_again_from_the_failure_is_a_fresh_dial),
		TEST(waiting_again_in_the_old_place),
		TEST(cancelling_another_one_from_the_failure),
		TEST(failed_extra_dial_fails_nobody),
		TEST(dial_that_nobody_waits_for_is_given_up),
		TEST(lost_connection_is_out_of_the_pool),
		TEST(draining_connection_gets_no_stream),
		TEST(idle_connection_is_closed_after_a_while),
		TEST(origins_have_a_ceiling),
		TEST(used_origins_are_listed_first),
		TEST(reload_wakes_waiters),
		TEST(raised_peer_limit_wakes_waiters),
		TEST(slots_survive_cancelling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
