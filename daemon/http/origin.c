/* SPDX-License-Identifier: MIT */
/*
 * One origin's queue: who gets a stream on which connection, and when another one is dialed.
 * Streams are handed out from the dispatch task alone, so never from inside nghttp2. What becomes
 * of the connections is in pool_connection.c.
 */
#include "http/origin.h"

#include "http/pool_queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static void dispatch(void *ctx);

struct origin *origin_new(struct pool *pool, const char *name, const struct url *url)
{
	struct origin *origin = calloc(1, sizeof(*origin));

	if (!origin) {
		return NULL;
	}
	origin->pool = pool;
	origin->round = 1;
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
	const struct pool_connection *entry = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (entry->state != CONNECTION_FAILED) {
			return true;
		}
	}
	return origin->waiting > 0 || origin->busy;
}

void origin_queue_dispatch(struct origin *origin)
{
	loop_task_queue(&origin->dispatch, origin->pool->env->loop);
}

/* ---- waiters ---- */

void origin_fail_waiters(struct origin *origin, const struct failure *failure)
{
	uint32_t generation = ++origin->generation;
	struct pool_waiter *waiter = NULL;
	bool was_busy = origin->busy;

	origin->busy = true;
	while ((waiter = pool_queue_older(origin, generation))) {
		pool_queue_remove(waiter);
		waiter->callbacks->on_failed(waiter->ctx, failure);
	}
	origin->busy = was_busy;
}

/* ---- connections ---- */

void origin_count(const struct origin *origin, struct origin_counts *ret_counts)
{
	const struct pool_connection *entry = NULL;
	struct origin_counts counts = {0};

	DL_FOREACH (origin->connections, entry) {
		switch (entry->state) {
		case CONNECTION_CONNECTING:
			counts.connecting++;
			break;
		case CONNECTION_OPEN:
			if (pool_connection_is_used_up(entry)) {
				counts.draining++;
				break;
			}
			counts.open++;
			counts.streams += connection_streams(entry->connection);
			counts.limit += connection_limit(entry->connection);
			counts.slots += connection_slots(entry->connection);
			counts.checking += connection_is_checked(entry->connection);
			break;
		case CONNECTION_DRAINING:
		case CONNECTION_CLOSING:
			counts.draining++;
			break;
		case CONNECTION_FAILED:
			break;
		}
	}
	*ret_counts = counts;
}

/* A server that says good-bye to connections and keeps their streams open could otherwise have the
 * whole pool. */
bool origin_is_spent(const struct origin *origin, const struct origin_counts *counts)
{
	uint64_t most = origin->pool->env->settings.max_connections_per_origin;

	return (uint64_t)counts->open + counts->draining >= most * ORIGIN_SPENT_FACTOR;
}

const struct pool_connection *origin_pause(const struct origin *origin,
					   const struct origin_counts *counts)
{
	const struct pool_connection *entry = NULL;
	const struct pool_connection *longest = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (entry->resume_ms && (!entry->beside || counts->open > 0) &&
		    (!longest || entry->resume_ms > longest->resume_ms)) {
			longest = entry;
		}
	}
	return longest;
}

void origin_give_up_dials(struct origin *origin)
{
	struct pool_connection *entry = NULL;
	struct pool_connection *next = NULL;

	DL_FOREACH_SAFE (origin->connections, entry, next) {
		if (entry->state == CONNECTION_CONNECTING) {
			pool_connection_drop(entry);
		}
	}
}

void origin_free(struct origin *origin)
{
	assert(origin->waiting == 0);
	pool_queue_forget(origin);
	while (origin->connections) {
		pool_connection_drop(origin->connections);
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
	struct failure failure;

	if (pool_connection_new(origin) < 0) {
		failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for a connection");
		origin_fail_waiters(origin, &failure);
	}
}

/* The waiter's turn has come and no open connection has a slot: is another connection the answer?
 */
static void consider_opening(struct origin *origin, const struct pool_waiter *waiter)
{
	struct http_env *env = origin->pool->env;
	struct origin_counts counts;

	origin_count(origin, &counts);
	if (counts.checking > 0) {
		return; /* a PING's answer takes less than a handshake, if there is one */
	}
	if (counts.connecting > 0 || counts.open >= env->settings.max_connections_per_origin ||
	    origin_is_spent(origin, &counts)) {
		return;
	}
	if (origin_pause(origin, &counts)) {
		return; /* its end dispatches */
	}
	if (!pool_take_room(origin->pool, origin)) {
		pool_starve(origin->pool, origin, STARVED_OF_ROOM, waiter->queue->user);
		return;
	}
	open_connection(origin);
}

static struct pool_connection *least_loaded(const struct origin *origin)
{
	struct pool_connection *entry = NULL;
	struct pool_connection *best = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (entry->state == CONNECTION_OPEN && connection_slots(entry->connection) > 0 &&
		    !pool_connection_is_used_up(entry) &&
		    (!best || connection_streams(entry->connection) <
				      connection_streams(best->connection))) {
			best = entry;
		}
	}
	return best;
}

/* It is there, and waiters have only to be let go on it, when there is memory. To give its place to
 * somebody who would wait for the same, and dial it again, would go round in circles. */
static bool is_awaited(const struct pool_connection *entry)
{
	return pool_queue_is_ready(entry->origin) && connection_slots(entry->connection) > 0;
}

/* Connections that nobody needs now are idle. */
static void note_idle(struct origin *origin)
{
	struct pool_connection *entry = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (entry->state == CONNECTION_OPEN && pool_connection_is_used_up(entry)) {
			entry->used_up = true; /* for good: nobody would tell who waits */
			pool_connection_set_idle(entry, false); /* its last stream may be on it */
			if (connection_streams(entry->connection) == 0) {
				connection_retire(entry->connection,
						  "the server takes no more requests on one");
			}
		} else if (entry->state == CONNECTION_OPEN) {
			/* One whose peer is being asked is needed: somebody waits for the answer.
			 */
			pool_connection_set_idle(
				entry, connection_streams(entry->connection) == 0 &&
					       !connection_is_checked(entry->connection) &&
					       !is_awaited(entry));
		}
	}
}

/* Somebody was left over because all streams are in use: since when has it been so? */
static void note_full(struct origin *origin)
{
	struct origin_counts counts;

	origin_count(origin, &counts);
	if (origin->waiting == 0 && (counts.streams == 0 || counts.slots > 0)) {
		pool_queue_forget(origin);
	}
	if (origin->waiting == 0 || counts.open == 0 || counts.slots > 0) {
		origin->full_since_ms = 0;
	} else if (origin->full_since_ms == 0) {
		origin->full_since_ms = loop_now_ms(origin->pool->env->loop);
	}
}

static void dispatch(void *ctx)
{
	struct origin *origin = ctx;
	struct pool_waiter *waiter = NULL;

	origin->busy = true;
	while ((waiter = pool_queue_first(origin))) {
		struct pool_connection *entry = least_loaded(origin);

		if (entry && connection_check(entry->connection)) {
			continue; /* it may be dead: it has no slots until that is known */
		}
		if (!entry) {
			consider_opening(origin, waiter);
			break;
		}
		if (!pool_take_budget(origin->pool, origin)) {
			pool_starve(origin->pool, origin, STARVED_OF_BUDGET, waiter->queue->user);
			break;
		}
		pool_queue_serve(waiter);
		waiter->callbacks->on_ready(waiter->ctx, entry->connection);
		if (origin->turn == STARVED_OF_BUDGET) {
			pool_pass_turn(origin->pool, origin); /* a turn is one stream */
		}
	}
	pool_queue_end_turns(origin);
	note_idle(origin);
	note_full(origin);
	pool_end_turn(origin->pool, origin);
	origin->busy = false;
}
