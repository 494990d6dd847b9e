/* SPDX-License-Identifier: MIT */
/*
 * An origin: everything that decides whether two requests may share a connection (scheme, host and
 * port), the connections to it and the requests that wait for one. Decides when to open a
 * connection and who goes on which; the pool decides how many there may be in all. Private to
 * pool.c and origin.c.
 */
#pragma once

#include "base/hash.h"
#include "http/pool.h"

struct pool_connection {
	struct connection *connection;
	struct origin *origin;
	struct pool_connection *prev, *next;           /* in origin::connections */
	struct pool_connection *idle_prev, *idle_next; /* in pool::idle, while `idle` */
	struct loop_timer idle_timer;
	bool idle;
	bool evicted; /* drained to make room: counted in pool::evicting */
};

/* What an origin's waiters may have to wait for in the pool. */
enum starvation {
	NOT_STARVED,
	STARVED_OF_BUDGET,
	STARVED_OF_ROOM,
	STARVATIONS
};

struct origin {
	struct pool *pool;
	char *name; /* the key: "https://www.example.org:443" */
	char *host;
	bool host_is_address;
	bool tls;
	uint16_t port;
	struct tls_tickets tickets;
	struct pool_waiter *waiters[PRIORITIES];
	uint32_t waiting;
	uint32_t generation; /* grows when a dial fails: those who waited for it are of an older one
			      */
	struct pool_connection *connections;
	struct loop_task dispatch;
	uint64_t extra_after_ms;    /* no further connection beside open ones before this */
	struct origin *prev, *next; /* in pool::origins, least recently used first */
	struct origin *starved_prev, *starved_next; /* in pool::starved[starvation] */
	enum starvation starvation;
	enum starvation turn; /* it was fed: what is free of that is for it */
	uint64_t ticket;      /* when it began to wait for the pool; 0: it does not */
	bool busy;            /* its callbacks are on the stack */
	UT_hash_handle hh;
};

struct pool {
	struct http_env *env;
	struct origin *by_name; /* hash */
	struct origin *origins;
	struct origin *starved[STARVATIONS]; /* in the order of their turns */
	struct pool_connection *idle;        /* least recently used first */
	uint32_t connection_count;           /* all states */
	bool turn_out[STARVATIONS];          /* somebody has a turn and has not taken it yet */
	uint64_t tickets;
	uint32_t evicting; /* of these, being closed to make room */
};

/* NULL when out of memory. `name` is the key. */
struct origin *origin_new(struct pool *pool, const char *name, const struct url *url);
/* Nobody may wait (asserted); closes its connections. */
void origin_free(struct origin *origin);
/* Is there anything in it that keeps it from being forgotten? */
bool origin_is_used(const struct origin *origin);
/* Looks, at the end of the round, whether somebody who waits can go. */
void origin_queue_dispatch(struct origin *origin);
/* Nobody waits any more: gives up dials. */
void origin_give_up_dials(struct origin *origin);
/* Connections by state. */
struct origin_counts {
	uint32_t connecting, open, draining;
	uint32_t checking; /* open ones whose peer is being asked whether it is there */
	uint32_t streams;  /* on open ones */
	uint32_t limit;    /* of open ones together */
};
void origin_count(const struct origin *origin, struct origin_counts *ret_counts);
/* The connection that is being dialed, or NULL. */
struct connection *origin_dialing(const struct origin *origin);

/* ---- pool.c's side ---- */

/* Is there budget for another stream, and is it this origin's to take? */
bool pool_take_budget(const struct pool *pool, const struct origin *origin);
/* The origin's turn is over; what is left is for the next in line. */
void pool_end_turn(struct pool *pool, struct origin *origin);
/* May the origin open a connection now? If the pool is full, closes the longest idle one; its place
 * is free when it is gone. Origins that have waited longer go first. */
bool pool_take_room(struct pool *pool, const struct origin *origin);
/* The origin waits for the pool; it is dispatched when that comes free, in turn. */
void pool_starve(struct pool *pool, struct origin *origin, enum starvation starvation);
/* Not any more: nobody waits there, or it got what it waited for. */
void pool_unstarve(struct pool *pool, struct origin *origin);
/* Something came free: the origin that has waited longest for it has its turn, if nobody else has.
 */
void pool_feed(struct pool *pool, enum starvation starvation);
