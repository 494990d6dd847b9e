/* SPDX-License-Identifier: MIT */
/*
 * Whose turn it is. Those who wait at an origin are in queues, one for each user. Users take turns,
 * one stream each; within a queue it goes by priority and age, and first in, first out.
 *
 * A round of an origin: each user that waits has one turn in it. Who comes back with something new
 * after its turn waits for the next round, and who comes for the first time has its turn in this
 * one; so a single job comes before all but one of another user's thousands.
 *
 * A user that holds its share (share.h) is passed over, and keeps its turn. Its queues at all
 * origins then wait in line for what comes free of the share. Private to pool*.c and origin.c.
 */
#pragma once

#include "base/hash.h"
#include "http/pool.h"
#include "http/share.h"

struct pool_user {
	struct pool *pool;
	uint32_t id;
	uint32_t queues;         /* at all origins */
	uint64_t ticket;         /* the last that was drawn for it; see pool_starve() */
	struct pool_queue *held; /* wait for its share, in the order of their turns */
	struct pool_queue *fed;  /* has its turn: what is free of the share is for this one */
	uint64_t full_since_ms;  /* it has held its share, and wanted more; 0: it has not */
	enum share_bound bound;  /* at which end of it, then */
	UT_hash_handle hh;       /* in pool::users */
};

struct pool_queue {
	struct origin *origin;
	struct pool_user *user;
	struct pool_waiter *waiters[PRIORITIES];
	uint32_t waiting;
	uint64_t served;                /* the round in which it had its last turn */
	bool held;                      /* in user::held */
	uint64_t fed_ms;                /* when it last had its turn at the share; 0: never */
	struct pool_queue *prev, *next; /* in origin::unserved or origin::served */
	struct pool_queue *held_prev, *held_next; /* in user::held */
};

/* What a waiter's place is reckoned by: the lowest goes first, at equal ones the higher priority.
 * Each `aging_ms` waited is worth a priority. Pure. */
uint64_t pool_rank_ms(enum priority priority, uint64_t since_ms, uint64_t aging_ms);

/* Puts the waiter, with its fields set, into its user's queue. 0, -ENOMEM. */
int pool_queue_add(struct origin *origin, struct pool_waiter *waiter, uint32_t user);
/* It does not wait any more. */
void pool_queue_remove(struct pool_waiter *waiter);
/* The same, because it goes now: its user's turn in this round is over. */
void pool_queue_serve(struct pool_waiter *waiter);

/* The waiter whose turn it is, of those whose users are below their shares; NULL: there is none.
 * Lets the other users' queues wait for what comes free of them. */
struct pool_waiter *pool_queue_first(struct origin *origin);
/* Is there a waiter whose user does not wait for its share? */
bool pool_queue_is_ready(const struct origin *origin);
/* Any waiter of an older generation, in the order of their turns; NULL: there is none. */
struct pool_waiter *pool_queue_older(const struct origin *origin, uint32_t generation);

/* Nobody waits, and there is a stream for who comes next: forgets who had turns. */
void pool_queue_forget(struct origin *origin);

/* Something may have come free of the share of the user `id`: the queue next in line has its turn.
 */
void pool_queue_feed(struct pool *pool, uint32_t id);
/* The same for all users: the shares are others now. */
void pool_queue_feed_all(struct pool *pool);
/* The origin has had its dispatch, and with it turns of users' shares that were for it. */
void pool_queue_end_turns(struct origin *origin);
/* If no origin waits for the pool, forgets users of whom only their tickets were kept. */
void pool_queue_forget_users(struct pool *pool);
