/* SPDX-License-Identifier: MIT */
/*
 * The pool: all origins, the connections to them, and the requests that wait for a stream on one.
 *
 * A waiter gets a stream slot first in, first out within its priority, on the least-loaded
 * connection of its origin. The pool opens a connection when an origin has none, and further ones,
 * up to a ceiling, when the peer's stream limit is what its waiters wait for. When a connection
 * cannot be made, everybody who waits for it is told at once, and the next request dials afresh.
 */
#pragma once

#include "base/failure.h"
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
	enum priority priority;
	uint32_t generation;
	uint64_t order;
	const struct pool_waiter_callbacks *callbacks;
	void *ctx;
	struct pool_waiter *prev, *next; /* in origin::waiters[priority] */
};

/* NULL when out of memory. `env` must outlive the pool. */
struct pool *pool_new(struct http_env *env);
/* Closes every connection. Nobody may wait (asserted). NULL is fine. */
void pool_free(struct pool *pool);
/* After env->settings changed: counts for waiters and connections there are, too. */
void pool_reconfigure(struct pool *pool);

/* Waits for a stream to the URL's origin, behind those of the same priority with a lower `order`:
 * one who comes back to try again has its old place. 0; -ENOMEM; FAIL_CONNECTION_LIMIT (positive)
 * when the table of origins is full of ones in use. Callbacks come later, never from inside the
 * call. */
int pool_wait(struct pool *pool, struct pool_waiter *waiter, const struct url *url,
	      enum priority priority, uint64_t order, const struct pool_waiter_callbacks *callbacks,
	      void *ctx);
/* Stops waiting; no callback follows. A dial that nobody waits for is given up. Idempotent. */
void pool_waiter_cancel(struct pool_waiter *waiter);
bool pool_waiter_active(const struct pool_waiter *waiter);

/* Is the waiter's origin without any open connection, so that it waits for one to be made? */
bool pool_waiter_is_connecting(const struct pool_waiter *waiter);
/* What the waiter waits for: appends links to `failure` that say how far the dial has come. For its
 * own deadline. */
void pool_waiter_describe(const struct pool_waiter *waiter, struct failure *failure);
/* The same in one line: "connecting: looking up www.example.org", "a free stream: 100 of 100 in use
 * on 1 connection", "memory.body_budget: 512 streams hold it all". Returns buffer. */
const char *pool_waiter_why(const struct pool_waiter *waiter, char *buffer, unsigned size);

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
};
/* Fills up to `max` entries, most connections first; returns how many. Names are
 * valid until the loop goes on. */
uint32_t pool_origins(const struct pool *pool, struct origin_gauges *origins, uint32_t max);
