/* SPDX-License-Identifier: MIT */
/*
 * A pool and guests that wait for streams from it: for the tests of pool.c, origin.c,
 * pool_connection.c and pool_view.c.
 */
#pragma once

#include "unit/support/http_world.h"

#include "http/origin.h"

#include <stdio.h>

static struct http_world world;
static struct pool *pool;

/* One who waits and then fetches. */
struct guest {
	struct pool_waiter waiter;
	struct fetch fetch;
	struct url url;
	unsigned ready, failed;
	unsigned order; /* the how manyth to be ready, from 1 */
	struct connection *connection;
	struct failure failure;
	uint32_t user;
	uint64_t place;        /* 0: behind all who came before */
	bool pass;             /* does not submit */
	struct guest *again;   /* waits again from on_failed, with this one's waiter */
	struct guest *cancels; /* cancels that one from on_failed */
};

static unsigned ready_count;

static inline int setup(void **state)
{
	(void)state;
	ready_count = 0;
	http_world_init(&world);
	pool = pool_new(world.env);
	assert_non_null(pool);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	pool_free(pool);
	rounds(world.loop, 2);
	http_world_fini(&world);
	return 0;
}

static inline void wait_for(struct guest *guest, struct h2_origin *origin, enum priority priority);

static inline void on_ready(void *ctx, struct connection *connection)
{
	struct guest *guest = ctx;

	assert_false(pool_waiter_active(&guest->waiter));
	guest->ready++;
	guest->order = ++ready_count;
	guest->connection = connection;
	if (!guest->pass) {
		assert_int_equal(connection_submit(connection, &guest->fetch.request,
						   &fetch_callbacks, &guest->fetch,
						   &guest->fetch.stream),
				 0);
	}
}

static inline void on_failed(void *ctx, const struct failure *failure)
{
	struct guest *guest = ctx;

	assert_false(pool_waiter_active(&guest->waiter));
	guest->failed++;
	failure_copy(&guest->failure, failure);
	if (guest->again) {
		wait_for(guest->again, NULL, PRIORITY_NORMAL);
	}
	if (guest->cancels) {
		pool_waiter_cancel(&guest->cancels->waiter);
	}
}

static const struct pool_waiter_callbacks callbacks = {.on_ready = on_ready,
						       .on_failed = on_failed};

static uint64_t arrival;

/* `origin` NULL: the same as before. */
static inline int try_wait(struct guest *guest, const struct h2_origin *origin,
			   enum priority priority)
{
	if (origin) {
		request_fini(&guest->fetch.request);
		make_request(&guest->fetch.request, "GET", h2_url(origin, "/"));
	}
	guest->fetch.eager = true;
	guest->fetch.request.user = guest->user;
	return pool_wait(pool, &guest->waiter, &guest->fetch.request.url, guest->user, priority,
			 guest->place ? guest->place : ++arrival, &callbacks, guest);
}

static inline void wait_for(struct guest *guest, struct h2_origin *origin, enum priority priority)
{
	assert_int_equal(try_wait(guest, origin, priority), 0);
	assert_true(pool_waiter_active(&guest->waiter));
}

static inline void guest_fini(struct guest *guest)
{
	pool_waiter_cancel(&guest->waiter);
	fetch_fini(&guest->fetch);
}

static inline struct pool_gauges gauges(void)
{
	struct pool_gauges now;

	pool_gauges(pool, &now);
	return now;
}

/* The server's stream for a guest that is on connection `index` of its origin. */
static inline void answer(struct h2_origin *origin, unsigned index, unsigned stream)
{
	h2_head(h2_stream(h2_connection(origin, index), stream), true, 200, NULL);
}

/* What it waits for now. */
static inline struct wait wait_of(const struct guest *guest)
{
	struct wait wait;

	pool_waiter_wait(&guest->waiter, &wait);
	return wait;
}

static inline void assert_wait(const struct guest *guest, enum wait_reason reason, const char *text)
{
	struct wait wait = wait_of(guest);

	if (wait.reason != reason || !strstr(wait.text, text)) {
		fail_msg("reason %d (%s), not %d (%s)", wait.reason, wait.text, reason, text);
	}
	assert_non_null(wait.limit);
	if (reason != WAIT_NOTHING) {
		assert_true(wait.since_ms >= guest->waiter.since_ms);
		assert_true(wait.since_ms <= loop_now_ms(world.loop));
	}
}

/* All connections of the pool; returns how many. */
static inline uint32_t look(struct connection_view views[16])
{
	return pool_connections(pool, views, 16);
}
