/* SPDX-License-Identifier: MIT */
/*
 * A connection's life in the pool: its states, what its end means for its origin, when it is idle.
 * What it carries is no matter here. Callbacks from connections only note what changed and queue
 * the origin's dispatch: they may come from inside nghttp2.
 */
#include "http/origin.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

/* After a further connection could not be made, the open ones have to do for a while. */
#define BESIDE_PAUSE_MS 1000u
/* How long a server's habit of closing its connections after so many streams is believed in. */
#define HABIT_MS (10u * 60u * 1000u)

static uint64_t now_ms(const struct pool_connection *entry)
{
	return loop_now_ms(entry->origin->pool->env->loop);
}

/* ---- the state ---- */

/* The only place that changes it. `why` may be the connection's own text. */
static void set_state(struct pool_connection *entry, enum connection_state state, const char *why)
{
#define TO(name) (1u << CONNECTION_##name)
	static const unsigned allowed[] = {
		[CONNECTION_CONNECTING] = TO(OPEN) | TO(FAILED),
		[CONNECTION_OPEN] = TO(DRAINING) | TO(CLOSING) | TO(FAILED),
		[CONNECTION_DRAINING] = TO(CLOSING) | TO(FAILED),
		[CONNECTION_CLOSING] = TO(FAILED),
		[CONNECTION_FAILED] = 0,
	};
#undef TO

	assert(allowed[entry->state] & (1u << state));
	if (entry->state == CONNECTION_OPEN) {
		entry->origin->open_until_ms = now_ms(entry);
	}
	entry->state = state;
	entry->since_ms = now_ms(entry);
	snprintf(entry->why, sizeof(entry->why), "%s", why);
}

/* ---- idle ---- */

static void on_idle_timeout(void *ctx)
{
	struct pool_connection *entry = ctx;

	connection_retire(entry->connection, "idle for pool.idle_timeout");
}

void pool_connection_set_idle(struct pool_connection *entry, bool idle)
{
	struct pool *pool = entry->origin->pool;

	if (idle == entry->idle) {
		return;
	}
	entry->idle = idle;
	if (idle) {
		DL_APPEND2(pool->idle, entry, idle_prev, idle_next);
		entry->idle_since_ms = now_ms(entry);
		loop_timer_start(&entry->timer, pool->env->loop,
				 pool->env->settings.idle_timeout_ms, on_idle_timeout, entry);
	} else {
		DL_DELETE2(pool->idle, entry, idle_prev, idle_next);
		loop_timer_stop(&entry->timer);
	}
}

/* ---- used up ---- */

/* Servers that close their connections after a fixed number of requests turn away what was sent
 * beyond it. With many jobs one of them could meet that on each of its tries. Twice the same number
 * is a habit; then no more than that is put on a connection. */
static void learn_habit(const struct pool_connection *entry)
{
	struct origin *origin = entry->origin;
	uint64_t count = connection_let_through(entry->connection);

	if (count == 0) {
		return;
	}
	origin->let_through_until_ms = count == origin->let_through ? now_ms(entry) + HABIT_MS : 0;
	origin->let_through = count;
}

bool pool_connection_is_used_up(const struct pool_connection *entry)
{
	const struct origin *origin = entry->origin;

	return entry->used_up || (origin->let_through_until_ms > now_ms(entry) &&
				  connection_carried(entry->connection) >= origin->let_through);
}

/* ---- going ---- */

/* Its place in the pool is free. Those who have waited for it come before its last owner. */
static void release_place(struct pool_connection *entry)
{
	struct pool *pool = entry->origin->pool;

	pool_connection_set_idle(entry, false);
	assert(pool->connection_count > 0);
	pool->connection_count--;
	pool->evicting -= entry->evicted;
	entry->evicted = false;
	pool_feed(pool, STARVED_OF_ROOM);
	origin_queue_dispatch(entry->origin);
}

/* For one whose place is released. */
static void forget(struct pool_connection *entry)
{
	loop_timer_stop(&entry->timer);
	DL_DELETE(entry->origin->connections, entry);
	loop_free_later(entry->origin->pool->env->loop, entry);
}

void pool_connection_drop(struct pool_connection *entry)
{
	struct connection *connection = entry->connection;

	if (connection) {
		release_place(entry);
	}
	forget(entry);
	connection_free(connection);
}

/* ---- pauses ---- */

static void on_pause_over(void *ctx)
{
	struct pool_connection *entry = ctx;

	entry->resume_ms = 0;
	origin_queue_dispatch(entry->origin);
	if (entry->state == CONNECTION_FAILED) {
		forget(entry);
	}
}

static void pause_origin(struct pool_connection *entry, uint64_t pause_ms)
{
	struct loop *loop = entry->origin->pool->env->loop;

	pool_connection_set_idle(entry, false); /* the timer is one */
	entry->paused_ms = loop_now_ms(loop);
	entry->resume_ms = entry->paused_ms + pause_ms;
	loop_timer_start(&entry->timer, loop, pause_ms, on_pause_over, entry);
}

static uint64_t barren_pause_ms(const struct origin *origin)
{
	const struct http_settings *settings = &origin->pool->env->settings;
	uint64_t pause = settings->backoff_ms;

	if (origin->barren < 2) {
		return 0; /* once is an accident */
	}
	for (unsigned i = 2; i < origin->barren && pause < settings->max_backoff_ms; i++) {
		pause *= 2;
	}
	return pause < settings->max_backoff_ms ? pause : settings->max_backoff_ms;
}

/* It has no stream any more. A server that lets us in and turns everything away would be dialed
 * again without end, by everybody who waits. */
static void judge(struct pool_connection *entry)
{
	struct origin *origin = entry->origin;
	uint64_t pause = 0;

	if (entry->judged) {
		return;
	}
	entry->judged = true;
	learn_habit(entry);
	if (entry->served || origin->waiting == 0) {
		return;
	}
	origin->barren++;
	pause = barren_pause_ms(origin);
	if (pause > 0) {
		pause_origin(entry, pause);
	}
}

/* One entry speaks for a pause: the new one, unless the other's pause means more. False: the new
 * one is not needed. */
static bool replace_failed(struct pool_connection *entry)
{
	struct pool_connection *other = NULL;
	struct pool_connection *next = NULL;

	DL_FOREACH_SAFE (entry->origin->connections, other, next) {
		if (other == entry || other->state != CONNECTION_FAILED) {
			continue;
		}
		if (entry->beside && !other->beside) {
			return false;
		}
		if (other->beside == entry->beside && other->resume_ms > entry->resume_ms) {
			return false;
		}
		forget(other);
	}
	return true;
}

/* The connection is gone; its pause, if it has one, stays. */
static void fail_or_forget(struct pool_connection *entry, const char *why)
{
	release_place(entry);
	entry->connection = NULL;
	if (entry->resume_ms == 0 || !replace_failed(entry)) {
		forget(entry);
		return;
	}
	set_state(entry, CONNECTION_FAILED, why);
}

/* ---- the connection's callbacks ---- */

static void on_open(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;

	(void)connection;
	set_state(entry, CONNECTION_OPEN, "");
	/* Not idle, although it has no streams yet: the dispatch gives it those who wait for it. */
	origin_queue_dispatch(entry->origin);
}

static void on_slots(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;
	uint32_t streams = connection_streams(connection);

	if (streams > 0) {
		pool_connection_set_idle(entry, false);
	}
	if (streams == 0 && entry->state == CONNECTION_DRAINING) {
		set_state(entry, CONNECTION_CLOSING, connection_why(connection));
		judge(entry);
	}
	if (entry->origin->waiting || streams == 0) {
		origin_queue_dispatch(entry->origin);
	}
}

static void on_draining(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;
	bool busy = connection_streams(connection) > 0;

	pool_connection_set_idle(entry, false);
	set_state(entry, busy ? CONNECTION_DRAINING : CONNECTION_CLOSING,
		  connection_why(connection));
	if (!busy) {
		judge(entry);
	}
	origin_queue_dispatch(entry->origin);
}

static void on_served(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;

	(void)connection;
	entry->served = true;
	entry->origin->barren = 0;
}

static void on_failed(void *ctx, struct connection *connection, const struct failure *failure)
{
	struct pool_connection *entry = ctx;
	struct origin *origin = entry->origin;
	const struct pool_connection *other = NULL;

	(void)connection;
	DL_FOREACH (origin->connections, other) {
		entry->beside |= other != entry && other->state == CONNECTION_OPEN &&
				 !pool_connection_is_used_up(other);
	}
	if (entry->beside) {
		pause_origin(entry, BESIDE_PAUSE_MS);
		fail_or_forget(entry, failure->links[0].text);
		return;
	}
	fail_or_forget(entry, "");
	origin_fail_waiters(origin, failure);
}

static void on_closed(void *ctx, struct connection *connection)
{
	struct pool_connection *entry = ctx;

	judge(entry);
	fail_or_forget(entry, connection_why(connection));
}

static const struct connection_callbacks connection_callbacks = {
	.on_open = on_open,
	.on_slots = on_slots,
	.on_draining = on_draining,
	.on_served = on_served,
	.on_failed = on_failed,
	.on_closed = on_closed,
};

/* ---- making ---- */

int pool_connection_new(struct origin *origin)
{
	struct http_env *env = origin->pool->env;
	struct pool_connection *entry = calloc(1, sizeof(*entry));
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

	if (!entry) {
		return -ENOMEM;
	}
	entry->origin = origin;
	entry->state = CONNECTION_CONNECTING;
	entry->since_ms = now_ms(entry);
	entry->began_ms = entry->since_ms;
	if (connection_new(env, &target, &connection_callbacks, entry, &entry->connection) < 0) {
		free(entry);
		return -ENOMEM;
	}
	entry->number = connection_number(entry->connection);
	DL_APPEND(origin->connections, entry);
	origin->pool->connection_count++;
	return 0;
}
