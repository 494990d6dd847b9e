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

/* A connection of the pool, or the place of one that failed. The states are in pool.h. */
struct pool_connection {
	struct connection *connection; /* NULL when FAILED */
	struct origin *origin;
	struct pool_connection *prev, *next;           /* in origin::connections */
	struct pool_connection *idle_prev, *idle_next; /* in pool::idle, while `idle` */
	enum connection_state state;                   /* set_state() alone changes it */
	uint64_t since_ms;                             /* in that state */
	uint64_t number, began_ms;                     /* of the connection, also when it is gone */
	uint64_t paused_ms, resume_ms; /* no dial of the origin from, to; 0: no pause */
	uint64_t idle_since_ms;
	struct loop_timer timer; /* until resume_ms; else, while idle, the idle timeout */
	bool beside;             /* the pause is only for a connection beside open ones */
	bool idle;
	bool evicted; /* drained to make room: counted in pool::evicting */
	bool served;  /* a response has begun on it */
	bool used_up; /* has carried what its server takes on one */
	bool judged;  /* what follows for the origin from its end is decided */
	char why[FAILURE_TEXT_MAX];
};

struct pool_queue;
struct pool_user;

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
	struct pool_queue *unserved, *served; /* who waits, by user: has its turn in this round yet
						 to come, or had it */
	uint64_t round;                       /* from 1 */
	uint32_t waiting;
	uint32_t generation; /* grows when a dial fails: those who waited for it are of an older one
			      */
	struct pool_connection *connections;
	struct loop_task dispatch;
	/* How many streams the peer's last GOAWAY in order let through, and for how long we believe
	 * that it will go on so, because the one before said the same. */
	uint64_t let_through, let_through_until_ms;
	unsigned barren; /* connections in a row that ended without a response, while jobs waited */
	uint64_t open_until_ms; /* when a connection last left OPEN */
	uint64_t full_since_ms; /* no open connection has had a stream for its waiters; 0: it has */
	struct origin *prev, *next; /* in pool::origins, least recently used first */
	struct origin *starved_prev, *starved_next; /* in pool::starved[starvation] */
	enum starvation starvation;
	enum starvation starved_last; /* what it was starved of, since when: over its turns */
	uint64_t starved_since_ms;
	enum starvation turn; /* it was fed: what is free of that is for it */
	uint64_t ticket;      /* its place among those that wait for the pool; 0: it does not */
	bool busy;            /* its callbacks are on the stack */
	UT_hash_handle hh;
};

struct pool {
	struct http_env *env;
	struct origin *by_name; /* hash */
	struct origin *origins;
	struct origin *starved[STARVATIONS]; /* in the order of their turns */
	struct pool_connection *idle;        /* least recently used first */
	uint32_t connection_count;           /* all states but FAILED */
	bool turn_out[STARVATIONS];          /* somebody has a turn and has not taken it yet */
	struct pool_user *users;             /* hash: who waits, and who has a ticket to remember */
	uint32_t remembered;                 /* of these, those who have no queue */
	uint64_t ticket;   /* of the origin that had its turn last, of all kinds of turns */
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
/* Everybody who waits now fails; those whom the callbacks bring back wait for a fresh dial. */
void origin_fail_waiters(struct origin *origin, const struct failure *failure);
/* Connections by state. */
struct origin_counts {
	uint32_t connecting, open, draining; /* draining: closing ones, too */
	uint32_t checking; /* open ones whose peer is being asked whether it is there */
	uint32_t streams;  /* on open ones */
	uint32_t limit;    /* of open ones together */
	uint32_t slots;    /* what they take now */
};
void origin_count(const struct origin *origin, struct origin_counts *ret_counts);
/* Has it so many connections, with those that take no more streams and have some left, that it gets
 * no further one before one of these is gone? Their number may be so many times
 * pool.max_connections_per_origin. */
#define ORIGIN_SPENT_FACTOR 4u
bool origin_is_spent(const struct origin *origin, const struct origin_counts *counts);
/* The entry whose pause keeps the origin from dialing, or NULL. */
const struct pool_connection *origin_pause(const struct origin *origin,
					   const struct origin_counts *counts);

/* Is what came free in the pool for this one? */
static inline bool origin_has_turn(const struct origin *origin)
{
	return origin->turn != NOT_STARVED;
}

/* ---- pool_connection.c's side ---- */

/* Has an open one carried as many streams as the peer lets through? What is put on it beyond is
 * turned away. */
bool pool_connection_is_used_up(const struct pool_connection *entry);
/* Begins to dial. 0, -ENOMEM. */
int pool_connection_new(struct origin *origin);
/* Ends the connection and forgets the entry, without a word to its origin's waiters. */
void pool_connection_drop(struct pool_connection *entry);
/* Nobody needs an open one now: its time runs, and others may have its place. Or somebody does. */
void pool_connection_set_idle(struct pool_connection *entry, bool idle);

/* ---- pool.c's side ---- */

/* Is there budget for another stream? */
bool pool_has_budget(const struct pool *pool);
/* The same, and is it this origin's to take? */
bool pool_take_budget(const struct pool *pool, const struct origin *origin);
/* The origin has used its turn; what is left is for the next in line. */
void pool_pass_turn(struct pool *pool, struct origin *origin);
/* The same, and its dispatch is over. */
void pool_end_turn(struct pool *pool, struct origin *origin);
/* May the origin open a connection now? If the pool is full, closes the longest idle one; its place
 * is free when it is gone. Origins that have waited longer go first. */
bool pool_take_room(struct pool *pool, const struct origin *origin);
/* The origin waits for the pool, for the sake of this user; it is dispatched when that comes free,
 * in turn. */
void pool_starve(struct pool *pool, struct origin *origin, enum starvation starvation,
		 struct pool_user *user);
/* Does any origin? */
bool pool_has_starved(const struct pool *pool);
/* Not any more: nobody waits there, or it got what it waited for. */
void pool_unstarve(struct pool *pool, struct origin *origin);
/* Something came free: the origin that has waited longest for it has its turn, if nobody else has.
 */
void pool_feed(struct pool *pool, enum starvation starvation);
