/* SPDX-License-Identifier: MIT */
/*
 * One origin's connections and queue. Callbacks from connections only note what changed and queue a
 * dispatch; streams are handed out from the dispatch task alone, so never from inside nghttp2.
 */
#include "http/origin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* After a further connection could not be made, the open ones have to do for a while. */
#define EXTRA_PAUSE_MS 1000u

static const struct connection_callbacks connection_callbacks;
static void dispatch(void *ctx);

struct origin *origin_new(struct pool *pool, const char *name, const struct url *url)
{
	struct origin *origin = calloc(1, sizeof(*origin));

	if (!origin) {
		return NULL;
	}
	origin->pool = pool;
	origin->name = strdup(name);
	origin->host = strdup(url->host);
	if (!origin->name || !origin->host) {
		free(origin->name);
		free(origin->host);
		free(origin);
		return NULL;
	}
	origin->host_is_address = url->is_address;
	origin->tls = url->tls;
	origin->port = url->port;
	loop_task_init(&origin->dispatch, dispatch, origin);
	return origin;
}

bool origin_is_used(const struct origin *origin)
{
	return origin->waiting > 0 || origin->connections || origin->busy;
}

void origin_queue_dispatch(struct origin *origin)
{
	loop_task_queue(&origin->dispatch, origin->pool->env->loop);
}

/* ---- connections ---- */

static void on_idle_timeout(void *ctx)
{
	struct pool_connection *entry = ctx;

	connection_drain(entry->connection);
}

static void set_idle(struct pool_connection *entry, bool idle)
{
	struct pool *pool = entry->origin->pool;

	if (idle == entry->idle) {
		return;
	}
	entry->idle = idle;
	if (idle) {
		DL_APPEND2(pool->idle, entry, idle_prev, idle_next);
		loop_timer_start(&entry->idle_timer, pool->env->loop,
				 pool->env->settings.idle_timeout_ms, on_idle_timeout, entry);
	} else {
		DL_DELETE2(pool->idle, entry, idle_prev, idle_next);
		loop_timer_stop(&entry->idle_timer);
	}
}

static void remove_connection(struct pool_connection *entry)
{
	struct origin *origin = entry->origin;
	struct pool *pool = origin->pool;

	set_idle(entry, false);
	DL_DELETE(origin->connections, entry);
	assert(pool->connection_count > 0);
	pool->connection_count--;
	pool->evicting -= entry->evicted;
	free(entry);
	/* Those who have waited for the place come before its last owner. */
	pool_feed(pool, STARVED_OF_ROOM);
	origin_queue_dispatch(origin);
}

static void on_open(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;

	(void)connection;
	/* Not idle, although it has no streams yet: the dispatch gives it those who wait for it. */
	origin_queue_dispatch(entry->origin);
}

static void on_slots(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;

	if (connection_streams(connection) > 0) {
		set_idle(entry, false);
	}
	if (entry->origin->waiting || connection_streams(connection) == 0) {
		origin_queue_dispatch(entry->origin);
	}
}

static void on_draining(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;

	(void)connection;
	set_idle(entry, false);
	origin_queue_dispatch(entry->origin);
}

/* The first waiter of the highest priority; NULL if there is none. With `before`: only one of an
 * older generation. */
static struct pool_waiter *first_waiter(const struct origin *origin, const uint32_t *before)
{
	for (unsigned i = 0; i < PRIORITIES; i++) {
		struct pool_waiter *waiter = NULL;

		DL_FOREACH (origin->waiters[i], waiter) {
			if (!before || waiter->generation != *before) {
				return waiter;
			}
		}
	}
	return NULL;
}

static void remove_waiter(struct pool_waiter *waiter)
{
	struct origin *origin = waiter->origin;

	DL_DELETE(origin->waiters[waiter->priority], waiter);
	assert(origin->waiting > 0);
	origin->waiting--;
	waiter->origin = NULL;
}

/* Everybody who waits now fails; those whom the callbacks bring back wait for a fresh dial. */
static void fail_waiters(struct origin *origin, const struct failure *failure)
{
	uint32_t generation = ++origin->generation;
	struct pool_waiter *waiter = NULL;
	bool was_busy = origin->busy;

	origin->busy = true;
	while ((waiter = first_waiter(origin, &generation))) {
		remove_waiter(waiter);
		waiter->callbacks->on_failed(waiter->ctx, failure);
	}
	origin->busy = was_busy;
}

static void on_failed(void *ctx, struct connection *connection, const struct failure *failure)
{
	struct pool_connection *entry = ctx;
	struct origin *origin = entry->origin;
	struct origin_counts counts;

	(void)connection;
	remove_connection(entry);
	origin_count(origin, &counts);
	if (counts.open > 0) {
		origin->extra_after_ms = loop_now_ms(origin->pool->env->loop) + EXTRA_PAUSE_MS;
		return;
	}
	fail_waiters(origin, failure);
}

static void on_closed(void *ctx, struct connection *connection)
{
	(void)connection;
	remove_connection(ctx);
}

static const struct connection_callbacks connection_callbacks = {
	.on_open = on_open,
	.on_slots = on_slots,
	.on_draining = on_draining,
	.on_failed = on_failed,
	.on_closed = on_closed,
};

void origin_count(const struct origin *origin, struct origin_counts *ret_counts)
{
	const struct pool_connection *entry = NULL;
	struct origin_counts counts = {0};

	DL_FOREACH (origin->connections, entry) {
		switch (connection_state(entry->connection)) {
		case CONNECTION_CONNECTING:
			counts.connecting++;
			break;
		case CONNECTION_OPEN:
			counts.open++;
			counts.streams += connection_streams(entry->connection);
			counts.limit += connection_limit(entry->connection);
			counts.checking += connection_is_checked(entry->connection);
			break;
		case CONNECTION_DRAINING:
		case CONNECTION_CLOSED:
			counts.draining++;
			break;
		}
	}
	*ret_counts = counts;
}

struct connection *origin_dialing(const struct origin *origin)
{
	const struct pool_connection *entry = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (connection_state(entry->connection) == CONNECTION_CONNECTING) {
			return entry->connection;
		}
	}
	return NULL;
}

static void drop_connection(struct pool_connection *entry)
{
	struct connection *connection = entry->connection;

	remove_connection(entry);
	connection_free(connection);
}

void origin_give_up_dials(struct origin *origin)
{
	struct pool_connection *entry = NULL;
	struct pool_connection *next = NULL;

	DL_FOREACH_SAFE (origin->connections, entry, next) {
		if (connection_state(entry->connection) == CONNECTION_CONNECTING) {
			drop_connection(entry);
		}
	}
}

void origin_free(struct origin *origin)
{
	assert(origin->waiting == 0);
	while (origin->connections) {
		drop_connection(origin->connections);
	}
	loop_task_cancel(&origin->dispatch);
	tls_tickets_fini(&origin->tickets);
	free(origin->name);
	free(origin->host);
	free(origin);
}

/* ---- handing out streams ---- */

static void open_connection(struct origin *origin)
{
	struct http_env *env = origin->pool->env;
	struct pool_connection *entry = NULL;
	struct failure failure;
	struct dial_target target = {
		.host = origin->host,
		.host_is_address = origin->host_is_address,
		.port = origin->port,
		.tls = origin->tls,
		.context = env->tls,
		.tickets = &origin->tickets,
		.write_timeout_ms = env->settings.write_timeout_ms,
		.timeout_ms = env->settings.connect_timeout_ms,
	};

	entry = calloc(1, sizeof(*entry));
	if (entry) {
		entry->origin = origin;
		if (connection_new(env, &target, &connection_callbacks, entry,
				   &entry->connection) == 0) {
			DL_APPEND(origin->connections, entry);
			origin->pool->connection_count++;
			return;
		}
	}
	free(entry);
	failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for a connection");
	fail_waiters(origin, &failure);
}

/* Somebody waits and no open connection has a slot: is another connection the answer? */
static void consider_opening(struct origin *origin)
{
	struct http_env *env = origin->pool->env;
	struct origin_counts counts;

	origin_count(origin, &counts);
	if (counts.checking > 0) {
		return; /* a PING's answer takes less than a handshake, if there is one */
	}
	if (counts.connecting > 0 || counts.open >= env->settings.max_connections_per_origin) {
		return;
	}
	if (counts.open > 0 && loop_now_ms(env->loop) < origin->extra_after_ms) {
		return;
	}
	if (!pool_take_room(origin->pool, origin)) {
		pool_starve(origin->pool, origin, STARVED_OF_ROOM);
		return;
	}
	open_connection(origin);
}

static struct pool_connection *least_loaded(const struct origin *origin)
{
	struct pool_connection *entry = NULL;
	struct pool_connection *best = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (connection_slots(entry->connection) > 0 &&
		    (!best || connection_streams(entry->connection) <
				      connection_streams(best->connection))) {
			best = entry;
		}
	}
	return best;
}

/* Connections that nobody needs now are idle: their time runs, and others may have their place. */
static void note_idle(struct origin *origin)
{
	struct pool_connection *entry = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (connection_state(entry->connection) == CONNECTION_OPEN) {
			/* One whose peer is being asked is needed: somebody waits for the answer.
			 */
			set_idle(entry, connection_streams(entry->connection) == 0 &&
						!connection_is_checked(entry->connection));
		}
	}
}

static void dispatch(void *ctx)
{
	struct origin *origin = ctx;
	struct pool_waiter *waiter = NULL;

	origin->busy = true;
	while ((waiter = first_waiter(origin, NULL))) {
		struct pool_connection *entry = least_loaded(origin);

		if (entry && connection_check(entry->connection)) {
			continue; /* it may be dead: it has no slots until that is known */
		}
		if (!entry) {
			consider_opening(origin);
			break;
		}
		if (!pool_take_budget(origin->pool, origin)) {
			pool_starve(origin->pool, origin, STARVED_OF_BUDGET);
			break;
		}
		remove_waiter(waiter);
		waiter->callbacks->on_ready(waiter->ctx, entry->connection);
	}
	note_idle(origin);
	pool_end_turn(origin->pool, origin);
	origin->busy = false;
}
