/* SPDX-License-Identifier: MIT */
/*
 * Looking at the pool: what a waiter waits for, how many there are of everything, each connection.
 * Changes nothing.
 */
#include "http/origin.h"
#include "http/pool_queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* ---- what a waiter waits for ---- */

static const struct pool_connection *first_in(const struct origin *origin,
					      enum connection_state state)
{
	const struct pool_connection *entry = NULL;

	DL_FOREACH (origin->connections, entry) {
		if (entry->state == state) {
			return entry;
		}
	}
	return NULL;
}

/* The end of its user's share that holds it back; SHARE_FREE: none. */
static enum share_bound bound_of(const struct pool_waiter *waiter)
{
	const struct pool_user *user = waiter->queue->user;
	const struct http_env *env = user->pool->env;
	enum share_bound bound = share_bound(env, user->id, env->settings.stream_window);

	if (bound == SHARE_FREE && waiter->queue->held) {
		bound = user->bound; /* what is free is for one who has waited longer */
	}
	return bound;
}

uint64_t pool_waiter_connecting_since_ms(const struct pool_waiter *waiter)
{
	const struct origin *origin = waiter->origin;
	struct origin_counts counts;

	if (!origin || bound_of(waiter) != SHARE_FREE) {
		return 0;
	}
	origin_count(origin, &counts); /* without those that are used up */
	if (counts.open > 0) {
		return 0;
	}
	return later(later(waiter->since_ms, waiter->queue->fed_ms), origin->open_until_ms);
}

static void describe_pause(const struct pool_connection *pause, char *text, size_t size)
{
	const struct origin *origin = pause->origin;

	snprintf(text, size,
		 "a pause before the next connection: %u in a row ended without serving anything "
		 "(%.90s)",
		 origin->barren, pause->why);
}

void pool_waiter_describe(const struct pool_waiter *waiter, struct failure *failure)
{
	const struct pool_connection *entry = NULL;
	struct origin_counts counts;
	char text[WAIT_TEXT_MAX];

	if (!waiter->origin) {
		return;
	}
	entry = first_in(waiter->origin, CONNECTION_CONNECTING);
	if (entry) {
		connection_describe_dial(entry->connection, failure);
		return;
	}
	origin_count(waiter->origin, &counts);
	entry = origin_pause(waiter->origin, &counts);
	if (entry && counts.open == 0) {
		describe_pause(entry, text, sizeof(text));
		(void)failure_append(failure, FAIL_CONNECTION_CLOSED, "%s", text);
	}
}

static void wait_for_share(const struct pool_user *user, enum share_bound bound, struct wait *wait)
{
	const struct http_settings *settings = &user->pool->env->settings;

	wait->reason = WAIT_USER_QUOTA;
	wait->since_ms = later(wait->since_ms, user->full_since_ms);
	if (bound == SHARE_OF_STREAMS) {
		wait->limit = "pool.max_streams_per_uid";
		wait->limit_value = settings->max_streams_per_user;
		snprintf(wait->text, sizeof(wait->text),
			 "pool.max_streams_per_uid: the user has %" PRIu32
			 " streams in flight, at all origins together",
			 settings->max_streams_per_user);
	} else {
		wait->limit = "memory.body_budget_per_uid";
		wait->limit_value = settings->body_budget_per_user;
		snprintf(wait->text, sizeof(wait->text),
			 "memory.body_budget_per_uid: the user's streams in flight may hold all "
			 "of it");
	}
}

/* Somewhere there is a slot. */
static void wait_for_budget(const struct origin *origin, struct wait *wait)
{
	const struct pool *pool = origin->pool;

	if (origin->starvation != STARVED_OF_BUDGET) {
		return; /* it gets it at the end of this round */
	}
	wait->reason = WAIT_MEMORY_BUDGET;
	wait->since_ms = later(wait->since_ms, origin->starved_since_ms);
	wait->limit = "memory.body_budget";
	wait->limit_value = pool->env->settings.body_budget;
	snprintf(wait->text, sizeof(wait->text),
		 "memory.body_budget: the %" PRIu32 " streams in flight may hold all of it",
		 pool->env->streams);
}

static void wait_for_answer(const struct origin *origin, struct wait *wait)
{
	const struct pool_connection *entry = NULL;
	uint64_t since = 0;

	wait->reason = WAIT_LIVENESS;
	snprintf(wait->text, sizeof(wait->text), "the answer to a PING on an idle connection");
	DL_FOREACH (origin->connections, entry) {
		if (entry->state == CONNECTION_OPEN && connection_is_checked(entry->connection)) {
			connection_check_times(entry->connection, &since, &wait->until_ms);
			wait->since_ms = later(wait->since_ms, since);
			return;
		}
	}
}

/* Why there is not one connection more: continues the text. */
static const char *no_further(const struct origin *origin, const struct origin_counts *counts)
{
	if (counts->connecting > 0) {
		return "; another connection is being made";
	}
	if (counts->open >= origin->pool->env->settings.max_connections_per_origin) {
		return "; pool.max_connections_per_origin allows no more";
	}
	if (origin_pause(origin, counts)) {
		return "; another connection could not be had, and is tried again in a while";
	}
	if (origin->starvation == STARVED_OF_ROOM) {
		return "; pool.max_connections allows no more";
	}
	return "";
}

static void wait_for_stream(const struct origin *origin, const struct origin_counts *counts,
			    struct wait *wait)
{
	const struct connection *connection = first_in(origin, CONNECTION_OPEN)->connection;

	wait->reason = WAIT_STREAM_LIMIT;
	wait->since_ms = later(wait->since_ms, origin->full_since_ms);
	wait->limit = connection_limit_is_peers(connection) ? "SETTINGS_MAX_CONCURRENT_STREAMS"
							    : "pool.max_streams_per_connection";
	wait->limit_value = connection_limit(connection);
	snprintf(wait->text, sizeof(wait->text),
		 "a free stream: %" PRIu32 " of %" PRIu32 " in use on %" PRIu32 " connection%s%s",
		 counts->streams, counts->limit, counts->open, counts->open == 1 ? "" : "s",
		 no_further(origin, counts));
}

/* Those it has take no more streams, and are as many as it may have until one of them ends. */
static void wait_for_ends(const struct origin *origin, const struct origin_counts *counts,
			  struct wait *wait)
{
	wait->reason = WAIT_STREAM_LIMIT;
	wait->limit = "pool.max_connections_per_origin";
	wait->limit_value = origin->pool->env->settings.max_connections_per_origin;
	snprintf(wait->text, sizeof(wait->text),
		 "the end of one of %" PRIu32 " connections that take no more streams",
		 counts->draining);
}

static void wait_for_dial(const struct origin *origin, struct wait *wait)
{
	const struct pool_connection *entry = first_in(origin, CONNECTION_CONNECTING);
	struct failure failure = {.count = 0};
	enum dial_stage stage = origin->host_is_address ? DIAL_CONNECT : DIAL_LOOKUP;
	uint64_t since = 0;

	if (entry) {
		stage = connection_dial_stage(entry->connection, &since, &wait->until_ms);
		connection_describe_dial(entry->connection, &failure);
	}
	wait->reason = stage == DIAL_LOOKUP ? WAIT_DNS : WAIT_CONNECTING;
	wait->since_ms = later(wait->since_ms, since);
	snprintf(wait->text, sizeof(wait->text), "connecting: %.170s",
		 failure.count ? failure.links[0].text : origin->name);
}

static void wait_for_pause(const struct pool_connection *pause, struct wait *wait)
{
	wait->reason = WAIT_ORIGIN_BACKOFF;
	wait->since_ms = later(wait->since_ms, pause->paused_ms);
	wait->until_ms = pause->resume_ms;
	describe_pause(pause, wait->text, sizeof(wait->text));
}

static void wait_for_room(const struct origin *origin, struct wait *wait)
{
	const struct pool *pool = origin->pool;

	wait->reason = WAIT_CONNECTION_LIMIT;
	wait->since_ms = later(wait->since_ms, origin->starved_since_ms);
	wait->limit = "pool.max_connections";
	wait->limit_value = pool->env->settings.max_connections;
	snprintf(wait->text, sizeof(wait->text),
		 "pool.max_connections: %" PRIu32 " connections, none of them idle",
		 pool->connection_count);
}

void pool_waiter_wait(const struct pool_waiter *waiter, struct wait *ret_wait)
{
	const struct origin *origin = waiter->origin;
	const struct pool_connection *pause = NULL;
	struct origin_counts counts;
	struct wait wait = {.limit = ""};
	enum share_bound bound = SHARE_FREE;

	if (origin) {
		bound = bound_of(waiter);
		wait.since_ms = waiter->since_ms;
		origin_count(origin, &counts);
		pause = origin_pause(origin, &counts);
		/* In the order in which the dispatch meets them. */
		if (bound != SHARE_FREE) {
			wait_for_share(waiter->queue->user, bound, &wait);
		} else if (counts.slots > 0) {
			wait_for_budget(origin, &wait);
		} else if (counts.checking > 0) {
			wait_for_answer(origin, &wait);
		} else if (counts.open > 0) {
			wait_for_stream(origin, &counts, &wait);
		} else if (counts.connecting > 0) {
			wait_for_dial(origin, &wait);
		} else if (pause) {
			wait_for_pause(pause, &wait);
		} else if (origin_is_spent(origin, &counts)) {
			wait_for_ends(origin, &counts, &wait);
		} else if (origin->starvation == STARVED_OF_ROOM) {
			wait_for_room(origin, &wait);
		} else {
			wait_for_dial(origin, &wait); /* it begins at the end of this round */
		}
	}
	*ret_wait = wait;
}

/* ---- how many ---- */

void pool_gauges(const struct pool *pool, struct pool_gauges *ret_gauges)
{
	struct pool_gauges gauges = {.origins = HASH_COUNT(pool->by_name),
				     .streams = pool->env->streams,
				     .budget_bytes = pool->env->settings.body_budget};
	const struct origin *origin = NULL;

	DL_FOREACH (pool->origins, origin) {
		struct origin_counts counts;

		origin_count(origin, &counts);
		gauges.connections += counts.open + counts.draining;
		gauges.connecting += counts.connecting;
		gauges.waiting += origin->waiting;
	}
	*ret_gauges = gauges;
}

static int by_connections(const void *a, const void *b)
{
	const struct origin_gauges *left = a;
	const struct origin_gauges *right = b;

	if (left->connections != right->connections) {
		return left->connections < right->connections ? 1 : -1;
	}
	return (left->waiting < right->waiting) - (left->waiting > right->waiting);
}

uint32_t pool_origins(const struct pool *pool, struct origin_gauges *origins, uint32_t max)
{
	const struct origin *origin = NULL;
	uint32_t count = 0;
	struct origin_gauges *all = calloc(HASH_COUNT(pool->by_name) + 1, sizeof(*all));

	if (!all) {
		return 0;
	}
	DL_FOREACH (pool->origins, origin) {
		const struct pool_connection *pause = NULL;
		struct origin_counts counts;

		origin_count(origin, &counts);
		pause = origin_pause(origin, &counts);
		all[count++] = (struct origin_gauges){
			.name = origin->name,
			.connections = counts.open + counts.draining,
			.connecting = counts.connecting,
			.streams = counts.streams,
			.waiting = origin->waiting,
			.pause_until_ms = pause ? pause->resume_ms : 0,
		};
	}
	qsort(all, count, sizeof(*all), by_connections);
	if (count > max) {
		count = max;
	}
	memcpy(origins, all, count * sizeof(*all));
	free(all);
	return count;
}

/* ---- each connection ---- */

static const char *why_open(const struct pool_connection *entry)
{
	if (connection_is_checked(entry->connection)) {
		return "asked by PING whether the peer is there";
	}
	if (entry->idle) {
		return "idle";
	}
	return connection_slots(entry->connection) > 0 ? "carries streams"
						       : "has all the streams it may have";
}

static void look(const struct pool_connection *entry, struct connection_view *ret_view)
{
	struct connection_view view = {.number = entry->number, .began_ms = entry->began_ms};
	uint64_t since = 0;

	if (entry->connection) {
		connection_look(entry->connection, &view);
	}
	view.origin = entry->origin->name;
	view.state = entry->state;
	view.since_ms = entry->since_ms;
	if (entry->state == CONNECTION_OPEN) {
		snprintf(view.why, sizeof(view.why), "%s", why_open(entry));
		if (connection_is_checked(entry->connection)) {
			connection_check_times(entry->connection, &since, &view.until_ms);
		} else if (entry->idle) {
			view.until_ms = entry->idle_since_ms +
					entry->origin->pool->env->settings.idle_timeout_ms;
		}
	} else if (entry->state != CONNECTION_CONNECTING) {
		snprintf(view.why, sizeof(view.why), "%s", entry->why);
		view.until_ms = entry->state == CONNECTION_FAILED ? entry->resume_ms : 0;
	}
	*ret_view = view;
}

uint32_t pool_connections(const struct pool *pool, struct connection_view *views, uint32_t max)
{
	const struct origin *origin = NULL;
	const struct pool_connection *entry = NULL;
	uint32_t count = 0;

	DL_FOREACH (pool->origins, origin) {
		DL_FOREACH (origin->connections, entry) {
			if (count == max) {
				return count;
			}
			look(entry, &views[count++]);
		}
	}
	return count;
}
