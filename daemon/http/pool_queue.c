/* SPDX-License-Identifier: MIT */
/*
 * Users and their queues. A queue that had its turn in this round stays in its list, also when it
 * is empty, so that its user is remembered; it is forgotten when its next turn comes, or when
 * nobody waits at the origin and there is a stream for who comes. The queues of an origin are as
 * many as users wait there, which are few: they are looked for one by one.
 */
#include "http/pool_queue.h"

#include "http/origin.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

/* ---- users ---- */

static struct pool_user *find_user(const struct pool *pool, uint32_t id)
{
	struct pool_user *user = NULL;

	HASH_FIND(hh, pool->users, &id, sizeof(id), user);
	return user;
}

/* With one queue more. */
static struct pool_user *get_user(struct pool *pool, uint32_t id)
{
	struct pool_user *user = find_user(pool, id);

	if (user) {
		pool->remembered -= user->queues == 0;
		user->queues++;
		return user;
	}
	user = calloc(1, sizeof(*user));
	if (!user) {
		return NULL;
	}
	user->pool = pool;
	user->id = id;
	user->queues = 1;
	HASH_ADD(hh, pool->users, id, sizeof(user->id), user);
	if (!user->hh.tbl) {
		free(user);
		return NULL;
	}
	return user;
}

static void free_user(struct pool_user *user)
{
	HASH_DELETE(hh, user->pool->users, user);
	free(user);
}

/* With one queue less. While origins wait for the pool in turn, its ticket counts if it is ahead of
 * them. */
static void put_user(struct pool_user *user)
{
	struct pool *pool = user->pool;

	assert(user->queues > 0);
	if (--user->queues > 0) {
		return;
	}
	if (pool_has_starved(pool) && user->ticket >= pool->ticket) {
		pool->remembered++;
	} else {
		free_user(user);
	}
}

void pool_queue_forget_users(struct pool *pool)
{
	struct pool_user *user = NULL;
	struct pool_user *next = NULL;

	if (pool->remembered == 0 || pool_has_starved(pool)) {
		return;
	}
	HASH_ITER(hh, pool->users, user, next)
	{
		if (user->queues == 0) {
			free_user(user);
		}
	}
	pool->remembered = 0;
}

/* ---- a user's share ---- */

static void feed(struct pool_user *user)
{
	const struct http_env *env = user->pool->env;
	struct pool_queue *queue = user->held;

	if (user->fed || share_bound(env, user->id, env->settings.stream_window) != SHARE_FREE) {
		return;
	}
	if (!queue) {
		user->full_since_ms = 0;
		return;
	}
	DL_DELETE2(user->held, queue, held_prev, held_next);
	queue->held = false;
	queue->fed_ms = loop_now_ms(env->loop);
	user->fed = queue;
	origin_queue_dispatch(queue->origin);
}

static void hold(struct pool_queue *queue)
{
	struct pool_user *user = queue->user;

	if (queue->held) {
		return;
	}
	queue->held = true;
	if (user->fed == queue) {
		DL_PREPEND2(user->held, queue, held_prev, held_next); /* it keeps its turn */
	} else {
		DL_APPEND2(user->held, queue, held_prev, held_next);
	}
}

/* It waits no more for the share. */
static void release(struct pool_queue *queue)
{
	struct pool_user *user = queue->user;

	if (queue->held) {
		DL_DELETE2(user->held, queue, held_prev, held_next);
		queue->held = false;
	}
	if (user->fed == queue) {
		user->fed = NULL;
	}
	feed(user);
}

/* May a stream be given to it? Its user's other queues may have waited longer for the share; but
 * who has its turn at what the pool is short of goes on, or turns of the one kind and of the other
 * would chase each other for ever. */
static bool may_take(struct pool_queue *queue)
{
	struct pool_user *user = queue->user;
	const struct http_env *env = user->pool->env;
	enum share_bound bound = SHARE_FREE;

	if (user->fed != queue && (user->fed || user->held) && !origin_has_turn(queue->origin)) {
		hold(queue);
		return false;
	}
	bound = share_bound(env, user->id, env->settings.stream_window);
	if (bound == SHARE_FREE) {
		return true;
	}
	user->bound = bound;
	if (user->full_since_ms == 0) {
		user->full_since_ms = loop_now_ms(env->loop);
	}
	hold(queue);
	return false;
}

void pool_queue_feed(struct pool *pool, uint32_t id)
{
	struct pool_user *user = find_user(pool, id);

	if (user) {
		feed(user);
	}
}

void pool_queue_feed_all(struct pool *pool)
{
	struct pool_user *user = NULL;
	struct pool_user *next = NULL;

	HASH_ITER(hh, pool->users, user, next)
	{
		feed(user);
	}
}

static void end_turn(struct pool_queue *queue)
{
	if (queue->user->fed == queue) {
		queue->user->fed = NULL;
	}
	feed(queue->user);
}

void pool_queue_end_turns(struct origin *origin)
{
	struct pool_queue *queue = NULL;

	DL_FOREACH (origin->unserved, queue) {
		end_turn(queue);
	}
	DL_FOREACH (origin->served, queue) {
		end_turn(queue);
	}
}

/* ---- queues ---- */

static bool is_served(const struct pool_queue *queue)
{
	return queue->served == queue->origin->round;
}

static struct pool_queue *find_queue(const struct origin *origin, uint32_t user)
{
	struct pool_queue *queue = NULL;

	DL_FOREACH (origin->unserved, queue) {
		if (queue->user->id == user) {
			return queue;
		}
	}
	DL_FOREACH (origin->served, queue) {
		if (queue->user->id == user) {
			return queue;
		}
	}
	return NULL;
}

static struct pool_queue *get_queue(struct origin *origin, uint32_t id)
{
	struct pool_queue *queue = find_queue(origin, id);
	struct pool_user *user = NULL;

	if (queue) {
		return queue;
	}
	user = get_user(origin->pool, id);
	if (!user) {
		return NULL;
	}
	queue = calloc(1, sizeof(*queue));
	if (!queue) {
		put_user(user);
		return NULL;
	}
	queue->origin = origin;
	queue->user = user;
	DL_APPEND(origin->unserved, queue);
	return queue;
}

static void free_queue(struct pool_queue *queue)
{
	struct pool_user *user = queue->user;

	assert(queue->waiting == 0 && !queue->held && user->fed != queue);
	if (is_served(queue)) {
		DL_DELETE(queue->origin->served, queue);
	} else {
		DL_DELETE(queue->origin->unserved, queue);
	}
	free(queue);
	put_user(user);
}

/* Empty ones whose turn has come. */
static void free_empty(struct origin *origin)
{
	struct pool_queue *queue = NULL;
	struct pool_queue *next = NULL;

	DL_FOREACH_SAFE (origin->unserved, queue, next) {
		if (queue->waiting == 0) {
			free_queue(queue);
		}
	}
}

void pool_queue_forget(struct origin *origin)
{
	assert(origin->waiting == 0);
	while (origin->unserved) {
		free_queue(origin->unserved);
	}
	while (origin->served) {
		free_queue(origin->served);
	}
}

uint64_t pool_rank_ms(enum priority priority, uint64_t since_ms, uint64_t aging_ms)
{
	return since_ms + (uint64_t)priority * aging_ms;
}

/* New ones go to the end at once; only who comes back looks for its place, from the front, where it
 * most often is. It is as old as the one that it comes before. */
static void enqueue(struct pool_queue *queue, struct pool_waiter *waiter)
{
	struct pool_waiter *first = queue->waiters[waiter->priority];
	struct pool_waiter *other = NULL;

	waiter->aged_ms = waiter->since_ms;
	if (!first || first->prev->order <= waiter->order) {
		DL_APPEND(queue->waiters[waiter->priority], waiter);
		return;
	}
	DL_FOREACH (first, other) {
		if (other->order > waiter->order) {
			waiter->aged_ms = other->aged_ms;
			DL_PREPEND_ELEM(queue->waiters[waiter->priority], other, waiter);
			return;
		}
	}
}

int pool_queue_add(struct origin *origin, struct pool_waiter *waiter, uint32_t user)
{
	struct pool_queue *queue = get_queue(origin, user);

	if (!queue) {
		return -ENOMEM;
	}
	enqueue(queue, waiter);
	waiter->queue = queue;
	waiter->origin = origin;
	queue->waiting++;
	origin->waiting++;
	return 0;
}

static struct pool_queue *take_out(struct pool_waiter *waiter)
{
	struct pool_queue *queue = waiter->queue;
	struct origin *origin = waiter->origin;

	DL_DELETE(queue->waiters[waiter->priority], waiter);
	waiter->queue = NULL;
	waiter->origin = NULL;
	assert(queue->waiting > 0 && origin->waiting > 0);
	queue->waiting--;
	origin->waiting--;
	return queue;
}

void pool_queue_remove(struct pool_waiter *waiter)
{
	struct pool_queue *queue = take_out(waiter);

	if (queue->waiting == 0) {
		release(queue);
		if (!is_served(queue)) {
			free_queue(queue);
		}
	}
}

void pool_queue_serve(struct pool_waiter *waiter)
{
	struct origin *origin = waiter->origin;
	struct pool_queue *queue = waiter->queue;

	if (is_served(queue)) {
		/* Nobody is left who may go in this round: the next one. Who was passed over in
		 * this one comes first. */
		DL_CONCAT(origin->unserved, origin->served);
		origin->served = NULL;
		origin->round++;
	}
	DL_DELETE(origin->unserved, queue);
	DL_APPEND(origin->served, queue);
	queue->served = origin->round;
	if (queue->user->fed == queue) {
		queue->user->fed = NULL; /* in line for the share it goes to the end now, too */
	}
	pool_queue_remove(waiter);
}

static struct pool_waiter *best(const struct pool_queue *queue)
{
	uint64_t aging_ms = queue->origin->pool->env->settings.aging_ms;
	struct pool_waiter *waiter = NULL;

	for (unsigned i = 0; i < PRIORITIES; i++) {
		struct pool_waiter *other = queue->waiters[i];

		if (!waiter) {
			waiter = other;
		} else if (other && aging_ms > 0 &&
			   pool_rank_ms(other->priority, other->aged_ms, aging_ms) <
				   pool_rank_ms(waiter->priority, waiter->aged_ms, aging_ms)) {
			waiter = other;
		}
	}
	return waiter;
}

static struct pool_waiter *first_of(struct pool_queue *queues)
{
	struct pool_queue *queue = NULL;

	DL_FOREACH (queues, queue) {
		if (queue->waiting > 0 && !queue->held && may_take(queue)) {
			return best(queue);
		}
	}
	return NULL;
}

struct pool_waiter *pool_queue_first(struct origin *origin)
{
	struct pool_waiter *waiter = NULL;

	free_empty(origin);
	waiter = first_of(origin->unserved);
	return waiter ? waiter : first_of(origin->served);
}

static bool any_ready(const struct pool_queue *queues)
{
	const struct pool_queue *queue = NULL;

	DL_FOREACH (queues, queue) {
		if (queue->waiting > 0 && !queue->held) {
			return true;
		}
	}
	return false;
}

bool pool_queue_is_ready(const struct origin *origin)
{
	return any_ready(origin->unserved) || any_ready(origin->served);
}

static struct pool_waiter *older_in(const struct pool_queue *queues, uint32_t generation)
{
	const struct pool_queue *queue = NULL;
	struct pool_waiter *waiter = NULL;

	DL_FOREACH (queues, queue) {
		for (unsigned i = 0; i < PRIORITIES; i++) {
			DL_FOREACH (queue->waiters[i], waiter) {
				if (waiter->generation != generation) {
					return waiter;
				}
			}
		}
	}
	return NULL;
}

struct pool_waiter *pool_queue_older(const struct origin *origin, uint32_t generation)
{
	struct pool_waiter *waiter = older_in(origin->unserved, generation);

	return waiter ? waiter : older_in(origin->served, generation);
}
