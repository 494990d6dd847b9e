/* SPDX-License-Identifier: MIT */
/*
 * The event loop: one thread, descriptors, timers, signals, and tasks that run at the end of a
 * dispatch round. The only place that knows libev.
 *
 * In a round, signals and descriptors come before timers, so that nothing times out while its data
 * has already arrived; then come the tasks.
 *
 * Re-entrancy: every handle may be stopped or freed from inside any callback, its own included;
 * after that no callback of it comes. No callback is ever called from inside the call that
 * registers it. Objects that free themselves from inside a callback hand their memory to
 * loop_free_later().
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* NULL when out of memory. */
struct loop *loop_new(void);
/* All handles must be stopped and no task queued (asserted). Runs pending loop_free_later() frees.
 * NULL is fine. */
void loop_free(struct loop *loop);
/* Runs until loop_stop(), or until nothing is left to wait for. */
void loop_run(struct loop *loop);
/* One round; `wait` says whether to block until something happens. For tests and for shutdown. Like
 * loop_run(), not from inside a callback. */
void loop_run_once(struct loop *loop, bool wait);
/* Makes loop_run() return after this round; called before it, after its first one. */
void loop_stop(struct loop *loop);

/* Monotonic clock, read once per round: for deadlines. */
uint64_t loop_now_ms(struct loop *loop);
/* Monotonic clock, read now: for measured times. */
uint64_t loop_clock_us(struct loop *loop);

/* free()s `memory` after the current round's callbacks and tasks. Never fails: it stores its link
 * in the memory itself, which must be at least LOOP_FREE_MIN bytes and is not touched by its owner
 * any more. */
#define LOOP_FREE_MIN sizeof(void *)
void loop_free_later(struct loop *loop, void *memory);

/* ---- descriptors ---- */

enum loop_events {
	LOOP_READ = 1,
	LOOP_WRITE = 2
};

/* Embedded in its owner; all zero is "not started". Fields are private. */
struct loop_io {
	struct loop *loop;
	void (*callback)(void *ctx, unsigned events);
	void *ctx;
	void *watcher[8]; /* storage for libev's watcher: loop.c asserts that it fits */
};

/* Begins to watch `fd` (borrowed; stop before closing it: libev may assert otherwise) for `events`,
 * a set of LOOP_READ and LOOP_WRITE. Level triggered. `events` 0 is allowed: registered, nothing
 * watched, hang-ups neither, and no reason for loop_run() to go on. */
void loop_io_start(struct loop_io *io, struct loop *loop, int fd, unsigned events,
		   void (*callback)(void *ctx, unsigned events), void *ctx);
/* Changes what is watched; cheap when nothing changes. */
void loop_io_set(struct loop_io *io, unsigned events);
/* Idempotent. */
void loop_io_stop(struct loop_io *io);

/* ---- timers ---- */

struct loop_timer {
	struct loop *loop;
	void (*callback)(void *ctx);
	void *ctx;
	void *watcher[8];
};

/* Fires once, `after_ms` from now (from the time of the call, not of the round). Restarts if it
 * runs. */
void loop_timer_start(struct loop_timer *timer, struct loop *loop, uint64_t after_ms,
		      void (*callback)(void *ctx), void *ctx);
void loop_timer_stop(struct loop_timer *timer);
bool loop_timer_active(const struct loop_timer *timer);

/* ---- signals ---- */

struct loop_signal {
	struct loop *loop;
	void (*callback)(void *ctx, int signal);
	void *ctx;
	void *watcher[8];
};

/* Does not keep loop_run() alive by itself. A signal belongs to one loop at a time; once stopped,
 * it has its default action. */
void loop_signal_start(struct loop_signal *signal, struct loop *loop, int number,
		       void (*callback)(void *ctx, int signal), void *ctx);
void loop_signal_stop(struct loop_signal *signal);

/* ---- tasks ---- */

/* Work put off to the end of the round, before the loop sleeps: how a connection's output of a
 * whole round goes out in one write. A task runs once per loop_task_queue(), however often that is
 * called before it runs. Tasks queued by tasks run in the same round, up to a bound; then the loop
 * polls without sleeping and goes on. */
struct loop_task {
	void (*callback)(void *ctx);
	void *ctx;
	struct loop *loop;      /* set while queued */
	struct loop_task *prev; /* in loop::tasks */
	struct loop_task *next; /* in loop::tasks */
};

void loop_task_init(struct loop_task *task, void (*callback)(void *ctx), void *ctx);
void loop_task_queue(struct loop_task *task, struct loop *loop);
/* Idempotent. */
void loop_task_cancel(struct loop_task *task);
