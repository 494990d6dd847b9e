/* SPDX-License-Identifier: MIT */
/*
 * The pool: all origins, the connections to them, and the requests that wait for a stream on one.
 *
 * Users that wait at an origin take turns, one stream each. Within a user, a waiter gets its stream
 * first in, first out within its priority, and the longer it waits, the higher that counts. The
 * stream is on the least-loaded connection of the origin. The pool opens a connection when an
 * origin has none, and further ones, up to a ceiling, when the peer's stream limit is what its
 * waiters wait for. When a connection cannot be made, everybody who waits for it is told at once,
 * and the next request dials afresh.
 *
 * Each connection of the pool is in one state, with a time and a reason:
 *
 *     CONNECTING --> OPEN --> DRAINING --> CLOSING
 *         |           |  \______|___________^ |
 *         |           |         |             |
 *         +-----------+----+----+-------------+
 *                          v
 *                        FAILED               and from all of them: gone
 *
 * CONNECTING: name lookup, TCP, TLS. OPEN: takes streams. DRAINING: takes no new ones, some are
 * left. CLOSING: none is left, the end of the socket is on its way. FAILED: there is no connection
 * any more (it counts for no ceiling), only a pause before the next one, which begins when the
 * pause is over and somebody waits.
 *
 * There is a pause in two cases. A connection that ended without a single response having begun on
 * it, while requests wait: after the first such one none, then pool.backoff, doubling up to
 * pool.max_backoff with each further one, until a response begins. And a connection that could not
 * be made beside open ones: these have to do for a while.
 */
#pragma once

#include "base/failure.h"
#include "base/wait.h"
#include "http/connection.h"
#include "http/env.h"
#include "net/url.h"

#include <stdbool.h>
#include <stdint.h>

struct pool;
struct origin;

enum priority {
	PRIORITY_URGENT,
	PRIORITY_HIGH,
	PRIORITY_NORMAL,
	PRIORITY_LOW,
	PRIORITIES
};

struct pool_waiter;

struct pool_waiter_callbacks {
	/* A slot is free: call connection_submit() before returning, or pass it up by not doing so.
	 * The waiter is out of the pool. */
	void (*on_ready)(void *ctx, struct connection *connection);
	/* No connection can be had. The waiter is out of the pool. */
	void (*on_failed)(void *ctx, const struct failure *failure);
};

/* Embedded in who waits; all zero is "not waiting". Private. */
struct pool_waiter {
	struct origin *origin;
	struct pool_queue *queue; /* of its user there */
	enum priority priority;
	uint32_t generation;
	uint64_t order;
	uint64_t since_ms;
	uint64_t aged_ms; /* its age counts from here */
	const struct pool_waiter_callbacks *callbacks;
	void *ctx;
	struct pool_waiter *prev, *next; /* in queue::waiters[priority] */
};

/* NULL when out of memory. `env` must outlive the pool. */
struct pool *pool_new(struct http_env *env);
/* Closes every connection. Nobody may wait (asserted). NULL is fine. */
void pool_free(struct pool *pool);
/* After env->settings changed: counts for waiters and connections there are, too. */
void pool_reconfigure(struct pool *pool);

/* Waits for a stream to the URL's origin, behind the user's others of the same priority with a
 * lower `order`: one who comes back to try again has its old place. `user`: whoever shares are
 * counted by; the stream's request must name the same. 0; -ENOMEM; FAIL_CONNECTION_LIMIT (positive)
 * when the table of origins is full of ones in use. Callbacks come later, never from inside the
 * call. */
int pool_wait(struct pool *pool, struct pool_waiter *waiter, const struct url *url, uint32_t user,
	      enum priority priority, uint64_t order, const struct pool_waiter_callbacks *callbacks,
	      void *ctx);
/* Stops waiting; no callback follows. A dial that nobody waits for is given up. Idempotent. */
void pool_waiter_cancel(struct pool_waiter *waiter);
bool pool_waiter_active(const struct pool_waiter *waiter);

/* The URL's origin may do better on a fresh connection: those that are open now take no more
 * streams. `why`: one line, static. */
void pool_drain_origin(struct pool *pool, const struct url *url, const char *why);

/* Since when the waiter has waited for a connection because its origin has none that is open
 * (loop_now_ms()); 0: it has one, or nobody waits, or what it waits for is its user's share. */
uint64_t pool_waiter_connecting_since_ms(const struct pool_waiter *waiter);
/* What the waiter waits for, if that is a connection: appends links to `failure` that say how far
 * the dial has come, or that there is a pause. For its own deadline. */
void pool_waiter_describe(const struct pool_waiter *waiter, struct failure *failure);
/* The one thing that it waits for: USER_QUOTA, DNS, CONNECTING, STREAM_LIMIT, CONNECTION_LIMIT,
 * MEMORY_BUDGET, LIVENESS or ORIGIN_BACKOFF; since when, for this waiter. NOTHING if it does not
 * wait, or if there is a stream for it, which it gets at the end of this round. */
void pool_waiter_wait(const struct pool_waiter *waiter, struct wait *ret_wait);

struct pool_gauges {
	uint32_t origins;
	uint32_t connections; /* open and draining */
	uint32_t connecting;
	uint32_t streams;
	uint32_t waiting;
	uint64_t budget_bytes;
};
void pool_gauges(const struct pool *pool, struct pool_gauges *ret_gauges);

struct origin_gauges {
	const char *name; /* "https://www.example.org:443" */
	uint32_t connections;
	uint32_t connecting;
	uint32_t streams;
	uint32_t waiting;
	uint64_t pause_until_ms; /* no connection is begun before (loop_now_ms()); 0: no pause */
};
/* Fills up to `max` entries, most connections first; returns how many. Names are
 * valid until the loop goes on. */
uint32_t pool_origins(const struct pool *pool, struct origin_gauges *origins, uint32_t max);

/* Fills up to `max` views, by origin; returns how many. */
uint32_t pool_connections(const struct pool *pool, struct connection_view *views, uint32_t max);
