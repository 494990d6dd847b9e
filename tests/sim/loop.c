/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h on the virtual clock: the same rounds (what is left over, then descriptors, timers,
 * tasks, frees), the same rules on stopping handles from callbacks, the same assertions. Where the
 * real loop sleeps, this one moves the clock to the next moment at which anything happens.
 *
 * Only simulated descriptors can be watched. Signals never come.
 */
#include "base/loop.h"

#include "sim.h"
#include "sockets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define TASK_PASSES 16u
/* Rounds at one moment: more, and something goes round in circles. */
#define ROUNDS_MAX 20000u

/* In loop_io::watcher. */
struct io_watch {
	struct io_watch *prev, *next; /* in loop::ios */
	struct io_watch *due_prev, *due_next;
	struct loop_io *io;
	int fd;
	unsigned events;
	unsigned due; /* what to report in this round; 0: not in loop::due_ios */
};

/* In loop_timer::watcher. */
struct timer_watch {
	struct sim_node node;
	struct timer_watch *due_prev, *due_next;
	struct loop_timer *timer;
	bool due; /* in loop::due_timers */
};

static_assert(sizeof(struct io_watch) <= sizeof(((struct loop_io *)0)->watcher), "io_watch");
static_assert(sizeof(struct timer_watch) <= sizeof(((struct loop_timer *)0)->watcher),
	      "timer_watch");

struct loop {
	struct io_watch *ios;
	struct io_watch *due_ios;
	struct sim_heap timers;
	struct timer_watch *due_timers;
	struct loop_task *tasks;
	void *garbage;
	size_t handles;
	uint64_t now_ms;
	uint64_t rounds_at_us;
	unsigned rounds;
	bool in_round;
	bool stop;
	bool shuffle;
};

static struct io_watch *watch_of(struct loop_io *io)
{
	return (struct io_watch *)(void *)io->watcher;
}

static struct timer_watch *timer_of(struct loop_timer *timer)
{
	return (struct timer_watch *)(void *)timer->watcher;
}

static void refresh_now(struct loop *loop)
{
	loop->now_ms = sim_now_us() / 1000;
}

struct loop *loop_new(void)
{
	struct loop *loop = sim_alloc(sizeof(*loop));

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
	SIM_CHECK(!loop->in_round && !loop->tasks);
	SIM_EQUAL(loop->handles, 0);
	free_garbage(loop);
	sim_heap_fini(&loop->timers);
	free(loop);
}

static bool run_tasks(struct loop *loop)
{
	bool any = false;

	for (unsigned pass = 0; loop->tasks && pass < TASK_PASSES; ++pass) {
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

/* ---- a round ---- */

static unsigned due_events(const struct io_watch *watch)
{
	return watch->events ? sim_poll(watch->fd) & watch->events : 0;
}

static void collect_ios(struct loop *loop)
{
	struct io_watch *watch = NULL;

	for (watch = loop->ios; watch; watch = watch->next) {
		watch->due = due_events(watch);
		if (!watch->due) {
			continue;
		}
		if (loop->shuffle && loop->due_ios && sim_below(2)) {
			DL_PREPEND2(loop->due_ios, watch, due_prev, due_next);
		} else {
			DL_APPEND2(loop->due_ios, watch, due_prev, due_next);
		}
	}
}

static void collect_timers(struct loop *loop)
{
	struct sim_node *node = NULL;

	while ((node = sim_heap_first(&loop->timers)) && node->at_us <= sim_now_us()) {
		struct timer_watch *watch = (struct timer_watch *)node; /* its first member */

		sim_heap_remove(&loop->timers, node);
		watch->due = true;
		DL_APPEND2(loop->due_timers, watch, due_prev, due_next);
	}
}

static void undue_io(struct loop *loop, struct io_watch *watch)
{
	if (watch->due) {
		DL_DELETE2(loop->due_ios, watch, due_prev, due_next);
		watch->due = 0;
	}
}

static void run_callbacks(struct loop *loop)
{
	while (loop->due_ios) {
		struct io_watch *watch = loop->due_ios;
		struct loop_io *io = watch->io;
		unsigned events = watch->due;

		undue_io(loop, watch);
		io->callback(io->ctx, events);
	}
	while (loop->due_timers) {
		struct timer_watch *watch = loop->due_timers;
		struct loop_timer *timer = watch->timer;

		loop_timer_stop(timer);
		timer->callback(timer->ctx);
	}
}

bool sim_loop_ready(const struct loop *loop)
{
	const struct io_watch *watch = NULL;
	const struct sim_node *timer = sim_heap_first(&loop->timers);

	if (loop->tasks || (timer && timer->at_us <= sim_now_us()) ||
	    sim_next_us() <= sim_now_us()) {
		return true;
	}
	for (watch = loop->ios; watch; watch = watch->next) {
		if (due_events(watch)) {
			return true;
		}
	}
	return false;
}

uint64_t sim_loop_next_us(const struct loop *loop)
{
	const struct sim_node *timer = sim_heap_first(&loop->timers);
	uint64_t event_us = sim_next_us();

	return timer && timer->at_us < event_us ? timer->at_us : event_us;
}

size_t sim_loop_handles(const struct loop *loop)
{
	return loop->handles;
}

void sim_loop_shuffle(struct loop *loop, bool shuffle)
{
	loop->shuffle = shuffle;
}

static void count_rounds(struct loop *loop)
{
	if (loop->rounds_at_us != sim_now_us()) {
		loop->rounds_at_us = sim_now_us();
		loop->rounds = 0;
	}
	if (++loop->rounds > ROUNDS_MAX) {
		SIM_FAIL("the loop goes round in circles");
	}
}

/* At this moment, without waiting. Returns whether there is a reason for another one. */
static bool run_round(struct loop *loop)
{
	bool ran = false;

	assert(!loop->in_round);
	count_rounds(loop);
	loop->in_round = true;
	refresh_now(loop);
	ran = run_tasks(loop);
	sim_happen();
	refresh_now(loop);
	collect_ios(loop);
	collect_timers(loop);
	run_callbacks(loop);
	ran = run_tasks(loop) || ran;
	free_garbage(loop);
	loop->in_round = false;
	return ran || loop->tasks || sim_loop_next_us(loop) != UINT64_MAX;
}

/* Moves the clock to where something is to be done, but not beyond `limit_us`. */
static void wait_for_something(struct loop *loop, uint64_t limit_us)
{
	while (!loop->stop && !sim_loop_ready(loop)) {
		uint64_t next_us = sim_loop_next_us(loop);

		if (next_us > limit_us) {
			break;
		}
		sim_set_now(next_us);
		sim_happen();
	}
}

void loop_run_once(struct loop *loop, bool wait)
{
	if (wait) {
		wait_for_something(loop, UINT64_MAX - 1);
	}
	(void)run_round(loop);
	loop->stop = false;
}

void loop_run(struct loop *loop)
{
	do {
		wait_for_something(loop, UINT64_MAX - 1);
	} while (run_round(loop) && !loop->stop);
	loop->stop = false;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}

void sim_settle(struct loop *loop)
{
	while (sim_loop_ready(loop)) {
		(void)run_round(loop);
	}
}

void sim_run_until(struct loop *loop, uint64_t at_us)
{
	for (;;) {
		sim_settle(loop);
		wait_for_something(loop, at_us);
		if (!sim_loop_ready(loop)) {
			break;
		}
	}
	if (at_us > sim_now_us()) {
		sim_set_now(at_us);
		/* What is asked between rounds is asked at this moment. */
		refresh_now(loop);
	}
}

uint64_t loop_now_ms(struct loop *loop)
{
	return loop->now_ms;
}

uint64_t loop_clock_us(struct loop *loop)
{
	(void)loop;
	return sim_now_us();
}

void loop_free_later(struct loop *loop, void *memory)
{
	if (memory) {
		memcpy(memory, &loop->garbage, sizeof(loop->garbage));
		loop->garbage = memory;
	}
}

/* ---- descriptors ---- */

void loop_io_start(struct loop_io *io, struct loop *loop, int fd, unsigned events,
		   void (*callback)(void *ctx, unsigned events), void *ctx)
{
	struct io_watch *watch = watch_of(io);

	assert(!io->loop);
	assert(!(events & ~(unsigned)(LOOP_READ | LOOP_WRITE)));
	memset(io->watcher, 0, sizeof(io->watcher));
	io->loop = loop;
	io->callback = callback;
	io->ctx = ctx;
	watch->io = io;
	watch->fd = fd;
	watch->events = events;
	sim_watch(fd, 1);
	DL_APPEND(loop->ios, watch);
	loop->handles++;
}

void loop_io_set(struct loop_io *io, unsigned events)
{
	struct io_watch *watch = watch_of(io);

	assert(io->loop && !(events & ~(unsigned)(LOOP_READ | LOOP_WRITE)));
	if (watch->events != events) {
		undue_io(io->loop, watch);
		watch->events = events;
	}
}

void loop_io_stop(struct loop_io *io)
{
	struct io_watch *watch = watch_of(io);

	if (!io->loop) {
		return;
	}
	undue_io(io->loop, watch);
	DL_DELETE(io->loop->ios, watch);
	sim_watch(watch->fd, -1);
	io->loop->handles--;
	io->loop = NULL;
}

/* ---- timers ---- */

void loop_timer_start(struct loop_timer *timer, struct loop *loop, uint64_t after_ms,
		      void (*callback)(void *ctx), void *ctx)
{
	struct timer_watch *watch = timer_of(timer);

	loop_timer_stop(timer);
	memset(timer->watcher, 0, sizeof(timer->watcher));
	timer->loop = loop;
	timer->callback = callback;
	timer->ctx = ctx;
	watch->timer = timer;
	watch->node.at_us = sim_now_us() + after_ms * 1000;
	sim_heap_add(&loop->timers, &watch->node);
	loop->handles++;
}

void loop_timer_stop(struct loop_timer *timer)
{
	struct timer_watch *watch = timer_of(timer);

	if (!timer->loop) {
		return;
	}
	if (watch->due) {
		DL_DELETE2(timer->loop->due_timers, watch, due_prev, due_next);
		watch->due = false;
	} else {
		sim_heap_remove(&timer->loop->timers, &watch->node);
	}
	timer->loop->handles--;
	timer->loop = NULL;
}

bool loop_timer_active(const struct loop_timer *timer)
{
	return timer->loop != NULL;
}

/* ---- signals ---- */

void loop_signal_start(struct loop_signal *signal, struct loop *loop, int number,
		       void (*callback)(void *ctx, int signal), void *ctx)
{
	(void)number;
	assert(!signal->loop);
	signal->loop = loop;
	signal->callback = callback;
	signal->ctx = ctx;
	loop->handles++;
}

void loop_signal_stop(struct loop_signal *signal)
{
	if (signal->loop) {
		signal->loop->handles--;
		signal->loop = NULL;
	}
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
	if (task->loop) {
		DL_DELETE(task->loop->tasks, task);
		task->loop = NULL;
		task->prev = task->next = NULL;
	}
}
