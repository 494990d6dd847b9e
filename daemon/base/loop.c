/* SPDX-License-Identifier: MIT */
/*
 * The loop on libev. A round is: wait, signals and descriptors, timers, tasks, frees. The rounds
 * are counted here and libev is asked for one at a time, because tasks must also run after the last
 * one.
 *
 * libev aborts the process when it cannot grow its own tables (by descriptor number and by number
 * of timers); there is no hook that would let it fail. Everything else here allocates only in
 * loop_new().
 */
#include "base/loop.h"

#include <assert.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

/* How often tasks that queue tasks are run before the descriptors get their turn again. */
#define TASK_PASSES 16u

static_assert(sizeof(struct ev_io) <= sizeof(((struct loop_io *)0)->watcher), "ev_io");
static_assert(sizeof(struct ev_timer) <= sizeof(((struct loop_timer *)0)->watcher), "ev_timer");
static_assert(sizeof(struct ev_signal) <= sizeof(((struct loop_signal *)0)->watcher), "ev_signal");
static_assert((int)LOOP_READ == (int)EV_READ && (int)LOOP_WRITE == (int)EV_WRITE, "events");

struct loop {
	struct ev_loop *ev;
	struct loop_task *tasks;
	void *garbage;   /* a chain of loop_free_later() memory */
	size_t handles;  /* started and not stopped: io, timers, signals */
	uint64_t now_ms; /* when this round's callbacks began */
	bool in_round;   /* rounds do not nest: the inner one would free what the outer one uses */
	bool stop;
};

static uint64_t clock_ns(void)
{
	struct timespec time;
	/* Cannot fail for this clock. */
	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* libev's own cached time is wall-clock time: not for deadlines. */
static void refresh_now(struct loop *loop)
{
	loop->now_ms = clock_ns() / 1000000u;
}

/* libev calls this when callbacks are due. */
static void on_pending(struct ev_loop *ev)
{
	struct loop *loop = ev_userdata(ev);
	refresh_now(loop);
	ev_invoke_pending(ev);
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (!loop) {
		return NULL;
	}
	/* NOENV: the environment does not choose how a daemon waits. */
	loop->ev = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (!loop->ev) {
		free(loop);
		return NULL;
	}
	ev_set_userdata(loop->ev, loop);
	ev_set_invoke_pending_cb(loop->ev, on_pending);
	refresh_now(loop);
	return loop;
}

static void free_garbage(struct loop *loop)
{
	while (loop->garbage) {
		void *memory = loop->garbage;
		memcpy(&loop->garbage, memory, sizeof(loop->garbage));
		free(memory);
	}
}

void loop_free(struct loop *loop)
{
	if (!loop) {
		return;
	}
	assert(!loop->in_round && !loop->tasks && loop->handles == 0);
	free_garbage(loop);
	ev_loop_destroy(loop->ev);
	free(loop);
}

/* Runs queued tasks, pass by pass. Returns whether any ran; the queue is empty afterwards unless
 * the bound was met. */
static bool run_tasks(struct loop *loop)
{
	bool any = false;
	for (unsigned pass = 0; loop->tasks && pass < TASK_PASSES; ++pass) {
		/* What is queued behind the marker belongs to the next pass. No one else knows the
		 * marker, so that any other task may be cancelled meanwhile. */
		struct loop_task marker = {0};
		DL_APPEND(loop->tasks, &marker);
		for (;;) {
			struct loop_task *task = loop->tasks;
			DL_DELETE(loop->tasks, task);
			if (task == &marker) {
				break;
			}
			task->loop = NULL;
			task->prev = task->next = NULL;
			task->callback(task->ctx);
			any = true;
		}
	}
	return any;
}

/* Returns whether there is a reason for another round. */
static bool run_round(struct loop *loop, bool wait)
{
	assert(!loop->in_round);
	loop->in_round = true;
	refresh_now(loop);
	/* Queued from outside of any round, or left over by the bound. */
	bool ran = run_tasks(loop);
	wait = wait && !ran && !loop->tasks && !loop->stop;
	int active = ev_run(loop->ev, wait ? EVRUN_ONCE : EVRUN_NOWAIT);
	ran = run_tasks(loop) || ran;
	free_garbage(loop);
	loop->in_round = false;
	return active || ran || loop->tasks;
}

void loop_run(struct loop *loop)
{
	while (run_round(loop, true) && !loop->stop) {
	}
	loop->stop = false;
}

void loop_run_once(struct loop *loop, bool wait)
{
	(void)run_round(loop, wait);
	loop->stop = false;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}

uint64_t loop_now_ms(struct loop *loop)
{
	return loop->now_ms;
}

uint64_t loop_clock_us(struct loop *loop)
{
	(void)loop;
	return clock_ns() / 1000u;
}

void loop_free_later(struct loop *loop, void *memory)
{
	if (!memory) {
		return;
	}
	memcpy(memory, &loop->garbage, sizeof(loop->garbage));
	loop->garbage = memory;
}

/* ---- descriptors ---- */

static struct ev_io *io_watcher(struct loop_io *io)
{
	return (struct ev_io *)(void *)io->watcher;
}

static void on_io(struct ev_loop *ev, struct ev_io *watcher, int revents)
{
	struct loop_io *io = watcher->data;
	(void)ev;
	unsigned events = (unsigned)revents & (LOOP_READ | LOOP_WRITE);
	if ((unsigned)revents & (unsigned)EV_ERROR) {
		/* The kernel would not watch the descriptor (out of memory or of epoll entries),
		 * and libev has stopped the watcher. The owner tries, and has its deadlines if that
		 * leads nowhere. A descriptor that is not open is our bug: libev asserts. */
		events = (unsigned)watcher->events & (LOOP_READ | LOOP_WRITE);
		/* Nothing is watched now; the owner's next loop_io_set() watches again. */
		watcher->events = (int)((unsigned)watcher->events & EV__IOFDSET);
	}
	io->callback(io->ctx, events);
}

void loop_io_start(struct loop_io *io, struct loop *loop, int fd, unsigned events,
		   void (*callback)(void *ctx, unsigned events), void *ctx)
{
	assert(!io->loop);
	assert(fd >= 0 && !(events & ~(unsigned)(LOOP_READ | LOOP_WRITE)));
	struct ev_io *watcher = io_watcher(io);
	io->loop = loop;
	io->callback = callback;
	io->ctx = ctx;
	memset(io->watcher, 0, sizeof(io->watcher));
	ev_io_init(watcher, on_io, fd, (int)events);
	watcher->data = io;
	++loop->handles;
	/* A watcher for nothing is kept from libev: it would still be woken for hang-ups. */
	if (events) {
		ev_io_start(loop->ev, watcher);
	}
}

void loop_io_set(struct loop_io *io, unsigned events)
{
	assert(io->loop && !(events & ~(unsigned)(LOOP_READ | LOOP_WRITE)));
	struct ev_io *watcher = io_watcher(io);
	if (((unsigned)watcher->events & (LOOP_READ | LOOP_WRITE)) == events) {
		return;
	}
	ev_io_stop(io->loop->ev, watcher);
	/* Not ev_io_set(): that would say that the descriptor may be a new one, which costs a
	 * system call even when the interest is back to what it was by the end of the round. The
	 * flag for that, EV__IOFDSET, stays as it is. */
	watcher->events = (int)(((unsigned)watcher->events & EV__IOFDSET) | events);
	if (events) {
		ev_io_start(io->loop->ev, watcher);
	}
}

void loop_io_stop(struct loop_io *io)
{
	if (!io->loop) {
		return;
	}
	ev_io_stop(io->loop->ev, io_watcher(io));
	--io->loop->handles;
	io->loop = NULL;
}

/* ---- timers ---- */

static struct ev_timer *timer_watcher(struct loop_timer *timer)
{
	return (struct ev_timer *)(void *)timer->watcher;
}

static void on_timer(struct ev_loop *ev, struct ev_timer *watcher, int revents)
{
	struct loop_timer *timer = watcher->data;
	(void)ev;
	(void)revents;
	--timer->loop->handles;
	timer->loop = NULL;
	timer->callback(timer->ctx);
}

void loop_timer_start(struct loop_timer *timer, struct loop *loop, uint64_t after_ms,
		      void (*callback)(void *ctx), void *ctx)
{
	loop_timer_stop(timer);
	struct ev_timer *watcher = timer_watcher(timer);
	timer->loop = loop;
	timer->callback = callback;
	timer->ctx = ctx;
	memset(timer->watcher, 0, sizeof(timer->watcher));
	ev_timer_init(watcher, on_timer, (double)after_ms / 1000., 0.);
	watcher->data = timer;
	/* What has arrived is looked at before what is late: after a pause of the whole process,
	 * both are found in the same round, and nothing may time out with its data at hand. */
	ev_set_priority(watcher, -1);
	/* libev counts from its own cached time, which may be long ago. */
	ev_now_update(loop->ev);
	ev_timer_start(loop->ev, watcher);
	++loop->handles;
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (!timer->loop) {
		return;
	}
	ev_timer_stop(timer->loop->ev, timer_watcher(timer));
	--timer->loop->handles;
	timer->loop = NULL;
}

bool loop_timer_active(const struct loop_timer *timer)
{
	return timer->loop != NULL;
}

/* ---- signals ---- */

static struct ev_signal *signal_watcher(struct loop_signal *signal)
{
	return (struct ev_signal *)(void *)signal->watcher;
}

static void on_signal(struct ev_loop *ev, struct ev_signal *watcher, int revents)
{
	struct loop_signal *signal = watcher->data;
	(void)ev;
	(void)revents;
	signal->callback(signal->ctx, watcher->signum);
}

void loop_signal_start(struct loop_signal *signal, struct loop *loop, int number,
		       void (*callback)(void *ctx, int signal), void *ctx)
{
	assert(!signal->loop);
	struct ev_signal *watcher = signal_watcher(signal);
	signal->loop = loop;
	signal->callback = callback;
	signal->ctx = ctx;
	memset(signal->watcher, 0, sizeof(signal->watcher));
	ev_signal_init(watcher, on_signal, number);
	watcher->data = signal;
	ev_signal_start(loop->ev, watcher);
	/* Waiting for a signal alone is no reason to run on. */
	ev_unref(loop->ev);
	++loop->handles;
}

void loop_signal_stop(struct loop_signal *signal)
{
	if (!signal->loop) {
		return;
	}
	ev_ref(signal->loop->ev);
	ev_signal_stop(signal->loop->ev, signal_watcher(signal));
	--signal->loop->handles;
	signal->loop = NULL;
}

/* ---- tasks ---- */

void loop_task_init(struct loop_task *task, void (*callback)(void *ctx), void *ctx)
{
	memset(task, 0, sizeof(*task));
	task->callback = callback;
	task->ctx = ctx;
}

void loop_task_queue(struct loop_task *task, struct loop *loop)
{
	if (task->loop) {
		assert(task->loop == loop);
		return;
	}
	task->loop = loop;
	DL_APPEND(loop->tasks, task);
}

void loop_task_cancel(struct loop_task *task)
{
	if (!task->loop) {
		return;
	}
	DL_DELETE(task->loop->tasks, task);
	task->loop = NULL;
	task->prev = task->next = NULL;
}
