/* SPDX-License-Identifier: MIT */
/*
 * The table of origins and what they share: the ceiling on connections, the memory budget, the
 * order in which origins that wait for either get their turn.
 */
#include "http/pool.h"

#include "http/origin.h"
#include "http/pool_queue.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define NAME_MAX_BYTES 300u /* scheme, 253 bytes of host, port */

static void on_stream_freed(void *ctx, uint32_t user)
{
	pool_queue_feed(ctx, user);
	pool_feed(ctx, STARVED_OF_BUDGET);
}

struct pool *pool_new(struct http_env *env)
{
	struct pool *pool = calloc(1, sizeof(*pool));

	if (pool) {
		pool->env = env;
		pool->ticket = 1;
		env->on_stream_freed = on_stream_freed;
		env->on_stream_freed_ctx = pool;
	}
	return pool;
}

static void forget(struct pool *pool, struct origin *origin)
{
	pool_unstarve(pool, origin);
	pool_end_turn(pool, origin);
	DL_DELETE(pool->origins, origin);
	HASH_DEL(pool->by_name, origin);
	origin_free(origin);
}

void pool_free(struct pool *pool)
{
	if (!pool) {
		return;
	}
	while (pool->origins) {
		forget(pool, pool->origins);
	}
	assert(pool->connection_count == 0);
	pool_queue_forget_users(pool);
	assert(!pool->users);
	pool->env->on_stream_freed = NULL;
	free(pool);
}

void pool_reconfigure(struct pool *pool)
{
	struct origin *origin = NULL;

	DL_FOREACH (pool->origins, origin) {
		if (origin->waiting) {
			origin_queue_dispatch(origin);
		}
	}
	pool_queue_feed_all(pool);
}

static struct origin *find_origin(struct pool *pool, const char *name)
{
	struct origin *origin = NULL;

	HASH_FIND_STR(pool->by_name, name, origin);
	if (origin) {
		DL_DELETE(pool->origins, origin);
		DL_APPEND(pool->origins, origin);
	}
	return origin;
}

/* Under the ceiling, or after forgetting the longest unused origin. */
static bool make_room_for_origin(struct pool *pool)
{
	struct origin *origin = NULL;

	if (HASH_COUNT(pool->by_name) < pool->env->settings.max_origins) {
		return true;
	}
	DL_FOREACH (pool->origins, origin) {
		if (!origin_is_used(origin)) {
			forget(pool, origin);
			return true;
		}
	}
	return false;
}

static void make_name(const struct url *url, char name[NAME_MAX_BYTES])
{
	bool brackets = url->is_address && strchr(url->host, ':');

	snprintf(name, NAME_MAX_BYTES, "%s://%s%s%s:%" PRIu16, url->tls ? "https" : "http",
		 brackets ? "[" : "", url->host, brackets ? "]" : "", url->port);
}

static int get_origin(struct pool *pool, const struct url *url, struct origin **ret_origin)
{
	char name[NAME_MAX_BYTES];
	struct origin *origin = NULL;

	make_name(url, name);
	origin = find_origin(pool, name);
	if (!origin) {
		if (!make_room_for_origin(pool)) {
			return FAIL_CONNECTION_LIMIT;
		}
		origin = origin_new(pool, name, url);
		if (!origin) {
			return -ENOMEM;
		}
		HASH_ADD_KEYPTR(hh, pool->by_name, origin->name, strlen(origin->name), origin);
		if (!origin->hh.tbl) {
			origin_free(origin);
			return -ENOMEM;
		}
		DL_APPEND(pool->origins, origin);
	}
	*ret_origin = origin;
	return 0;
}

int pool_wait(struct pool *pool, struct pool_waiter *waiter, const struct url *url, uint32_t user,
	      enum priority priority, uint64_t order, const struct pool_waiter_callbacks *callbacks,
	      void *ctx)
{
	struct origin *origin = NULL;
	int rc = get_origin(pool, url, &origin);

	assert(!waiter->origin);
	if (rc != 0) {
		return rc;
	}
	waiter->priority = priority;
	waiter->generation = origin->generation;
	waiter->callbacks = callbacks;
	waiter->ctx = ctx;
	waiter->order = order;
	waiter->since_ms = loop_now_ms(pool->env->loop);
	rc = pool_queue_add(origin, waiter, user);
	if (rc == 0) {
		origin_queue_dispatch(origin);
	}
	return rc;
}

void pool_waiter_cancel(struct pool_waiter *waiter)
{
	struct origin *origin = waiter->origin;

	if (!origin) {
		return;
	}
	pool_queue_remove(waiter);
	if (origin->waiting == 0) {
		pool_unstarve(origin->pool, origin);
		origin_give_up_dials(origin);
	}
	if (!pool_queue_is_ready(origin)) {
		origin_queue_dispatch(origin); /* its connections may be idle now */
	}
}

void pool_drain_origin(struct pool *pool, const struct url *url, const char *why)
{
	struct pool_connection *entry = NULL;
	struct pool_connection *next = NULL;
	struct origin *origin = NULL;
	char name[NAME_MAX_BYTES];

	make_name(url, name);
	origin = find_origin(pool, name);
	if (!origin) {
		return;
	}
	DL_FOREACH_SAFE (origin->connections, entry, next) {
		if (entry->state == CONNECTION_OPEN) {
			connection_retire(entry->connection, why);
		}
	}
}

bool pool_waiter_active(const struct pool_waiter *waiter)
{
	return waiter->origin != NULL;
}

/* ---- for origin.c ---- */

bool pool_has_budget(const struct pool *pool)
{
	const struct http_env *env = pool->env;

	/* One stream always goes, however small the budget. */
	return env->streams == 0 ||
	       env->window_bytes + env->upload_bytes + env->settings.stream_window <=
		       env->settings.body_budget;
}

/* Has nobody waited longer for it? */
static bool may_take(const struct pool *pool, const struct origin *origin,
		     enum starvation starvation)
{
	return origin->turn == starvation ||
	       (!pool->starved[starvation] && !pool->turn_out[starvation]);
}

bool pool_take_budget(const struct pool *pool, const struct origin *origin)
{
	return pool_has_budget(pool) && may_take(pool, origin, STARVED_OF_BUDGET);
}

bool pool_take_room(struct pool *pool, const struct origin *origin)
{
	if (!may_take(pool, origin, STARVED_OF_ROOM)) {
		return false;
	}
	if (pool->connection_count < pool->env->settings.max_connections) {
		return true;
	}
	if (pool->idle && pool->evicting == 0) {
		/* It leaves the table when its GOAWAY is written, later in this round. */
		pool->idle->evicted = true;
		pool->evicting++;
		connection_retire(pool->idle->connection,
				  "its place is needed (pool.max_connections)");
	}
	return false;
}

/* Tickets are drawn by users: the nth of each comes before all (n + 1)th. One that comes for the
 * first time, or has not come for a while, begins at those whose turn it is. */
static uint64_t draw_ticket(struct pool *pool, struct pool_user *user)
{
	if (user->ticket < pool->ticket) {
		user->ticket = pool->ticket - 1;
	}
	return ++user->ticket;
}

void pool_starve(struct pool *pool, struct origin *origin, enum starvation starvation,
		 struct pool_user *user)
{
	struct origin *other = NULL;

	if (origin->starvation == starvation) {
		return;
	}
	if (origin->starvation != NOT_STARVED) {
		DL_DELETE2(pool->starved[origin->starvation], origin, starved_prev, starved_next);
	}
	origin->starvation = starvation;
	if (origin->starved_since_ms == 0 || origin->starved_last != starvation) {
		origin->starved_last = starvation;
		origin->starved_since_ms = loop_now_ms(pool->env->loop);
	}
	if (origin->ticket == 0) {
		origin->ticket = draw_ticket(pool, user);
	}
	/* One that had its turn and could not use it goes back to its place; the others to the end.
	 */
	DL_FOREACH2(pool->starved[starvation], other, starved_next)
	{
		if (other->ticket > origin->ticket) {
			DL_PREPEND_ELEM2(pool->starved[starvation], other, origin, starved_prev,
					 starved_next);
			return;
		}
	}
	DL_APPEND2(pool->starved[starvation], origin, starved_prev, starved_next);
}

void pool_unstarve(struct pool *pool, struct origin *origin)
{
	if (origin->starvation != NOT_STARVED) {
		DL_DELETE2(pool->starved[origin->starvation], origin, starved_prev, starved_next);
		origin->starvation = NOT_STARVED;
	}
	origin->ticket = 0;
	origin->starved_since_ms = 0;
	pool_queue_forget_users(pool);
}

bool pool_has_starved(const struct pool *pool)
{
	return pool->starved[STARVED_OF_BUDGET] || pool->starved[STARVED_OF_ROOM];
}

void pool_feed(struct pool *pool, enum starvation starvation)
{
	struct origin *origin = pool->starved[starvation];

	if (origin && !pool->turn_out[starvation]) {
		DL_DELETE2(pool->starved[starvation], origin, starved_prev, starved_next);
		origin->starvation = NOT_STARVED;
		origin->turn = starvation;
		if (origin->ticket > pool->ticket) {
			pool->ticket = origin->ticket;
		}
		pool->turn_out[starvation] = true;
		origin_queue_dispatch(origin);
	}
}

void pool_pass_turn(struct pool *pool, struct origin *origin)
{
	if (origin->turn != NOT_STARVED) {
		pool->turn_out[origin->turn] = false;
		origin->turn = NOT_STARVED;
	}
	if (origin->starvation == NOT_STARVED) {
		origin->ticket = 0;
	}
	if (pool_has_budget(pool)) {
		pool_feed(pool, STARVED_OF_BUDGET);
	}
	if (pool->connection_count < pool->env->settings.max_connections ||
	    (pool->idle && pool->evicting == 0)) {
		pool_feed(pool, STARVED_OF_ROOM);
	}
}

void pool_end_turn(struct pool *pool, struct origin *origin)
{
	if (origin->starvation == NOT_STARVED) {
		origin->starved_since_ms = 0;
	}
	pool_pass_turn(pool, origin);
	pool_queue_forget_users(pool);
}
