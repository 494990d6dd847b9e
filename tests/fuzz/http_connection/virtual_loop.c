/* SPDX-License-Identifier: MIT */
/*
 * base/loop.h without a kernel: same order within a round (descriptors, timers, tasks, frees), same
 * rules, and a clock that stands still until it is moved. The symbols stand in for those of
 * base/loop.c, which is not linked.
 */
#include "virtual_loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <utlist.h>

#define TASK_PASSES 16u
#define START_MS 1000000u

struct loop {
	struct loop_task *tasks;
	struct loop_timer *timers; /* in no order */
	void *garbage;
	uint64_t now_ms;
	void (*poll)(void *ctx);
	void *ctx;
	bool in_round;
};

/* Lies in loop_timer::watcher. */
struct entry {
	struct loop_timer *next;
	uint64_t due_ms;
};

static_assert(sizeof(struct entry) <= sizeof(((struct loop_timer *)0)->watcher), "entry");

static struct entry *entry_of(const struct loop_timer *timer)
{
	return (struct entry *)(uintptr_t)timer->watcher;
}

struct loop *loop_new(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (loop) {
		loop->now_ms = START_MS;
	}
	return loop;
}

void virtual_loop_set_poll(struct loop *loop, void (*poll)(void *ctx), void *ctx)
{
	loop->poll = poll;
	loop->ctx = ctx;
}

static void free_garbage(struct loop *loop)
{
	while (loop->garbage) {
		void *memory = loop->garbage;

		memcpy(&loop->garbage, memory, sizeof(loop->garbage));
		free(memory);
	}
}

static void run_tasks(struct loop *loop)
{
	for (unsigned pass = 0; loop->tasks && pass < TASK_PASSES; pass++) {
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
		}
	}
}

/* The one that is due first, NULL if there is none. */
static struct loop_timer *first_timer(const struct loop *loop)
{
	struct loop_timer *first = loop->timers;

	for (struct loop_timer *timer = first; timer; timer = entry_of(timer)->next) {
		if (entry_of(timer)->due_ms < entry_of(first)->due_ms) {
			first = timer;
		}
	}
	return first;
}

static void run_timers(struct loop *loop)
{
	for (;;) {
		struct loop_timer *timer = first_timer(loop);

		if (!timer || entry_of(timer)->due_ms > loop->now_ms) {
			return;
		}
		loop_timer_stop(timer);
		timer->callback(timer->ctx);
	}
}

void loop_run_once(struct loop *loop, bool wait)
{
	(void)wait;
	assert(!loop->in_round);
	loop->in_round = true;
	run_tasks(loop);
	if (loop->poll) {
		loop->poll(loop->ctx);
	}
	run_timers(loop);
	run_tasks(loop);
	free_garbage(loop);
	loop->in_round = false;
}

void virtual_loop_pass(struct loop *loop, uint64_t ms)
{
	uint64_t end = loop->now_ms + ms;

	for (;;) {
		struct loop_timer *timer = first_timer(loop);

		if (!timer || entry_of(timer)->due_ms > end) {
			break;
		}
		if (entry_of(timer)->due_ms > loop->now_ms) {
			loop->now_ms = entry_of(timer)->due_ms;
		}
		loop_run_once(loop, false);
	}
	loop->now_ms = end;
	loop_run_once(loop, false);
}

bool virtual_loop_is_idle(const struct loop *loop)
{
	return !loop->tasks;
}

bool virtual_loop_is_empty(const struct loop *loop)
{
	return !loop->tasks && !loop->timers;
}

uint64_t loop_now_ms(struct loop *loop)
{
	return loop->now_ms;
}

uint64_t loop_clock_us(struct loop *loop)
{
	return loop->now_ms * 1000;
}

void loop_free_later(struct loop *loop, void *memory)
{
	if (memory) {
		memcpy(memory, &loop->garbage, sizeof(loop->garbage));
		loop->garbage = memory;
	}
}

void loop_timer_start(struct loop_timer *timer, struct loop *loop, uint64_t after_ms,
		      void (*callback)(void *ctx), void *ctx)
{
	struct entry *entry = entry_of(timer);

	loop_timer_stop(timer);
	timer->loop = loop;
	timer->callback = callback;
	timer->ctx = ctx;
	entry->due_ms = loop->now_ms + after_ms;
	entry->next = loop->timers;
	loop->timers = timer;
}

void loop_timer_stop(struct loop_timer *timer)
{
	struct loop_timer **link = NULL;

	if (!timer->loop) {
		return;
	}
	link = &timer->loop->timers;
	while (*link != timer) {
		link = &entry_of(*link)->next;
	}
	*link = entry_of(timer)->next;
	timer->loop = NULL;
}

bool loop_timer_active(const struct loop_timer *timer)
{
	return timer->loop != NULL;
}

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
