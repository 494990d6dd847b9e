/* SPDX-License-Identifier: MIT */
/*
 * The loop: descriptors, timers, signals, tasks, late frees; above all what may be stopped, started
 * and freed from inside which callback. No test depends on how long anything takes.
 */
#include "base/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *loop;

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	loop = NULL;
	return 0;
}

static void make_pair(int fds[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
			 0);
}

static void put_byte(int fd)
{
	assert_int_equal(write(fd, "x", 1), 1);
}

static void close_pair(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

/* What a callback was told, and whom it stops. */
struct seen {
	unsigned calls;
	unsigned events;
	struct loop_io *stops;
	struct loop_io *stops_too;
	struct loop_timer *stops_timer;
};

static void on_io(void *ctx, unsigned events)
{
	struct seen *seen = ctx;
	++seen->calls;
	seen->events = events;
	if (seen->stops) {
		loop_io_stop(seen->stops);
	}
	if (seen->stops_too) {
		loop_io_stop(seen->stops_too);
	}
	if (seen->stops_timer) {
		loop_timer_stop(seen->stops_timer);
	}
}

static void io_reports_what_is_ready(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct seen seen = {0};
	struct loop_io io = {0};
	loop_io_start(&io, loop, fds[0], LOOP_READ, on_io, &seen);
	assert_int_equal(seen.calls, 0);
	loop_run_once(loop, false);
	assert_int_equal(seen.calls, 0);

	put_byte(fds[1]);
	loop_run_once(loop, true);
	assert_int_equal(seen.calls, 1);
	assert_int_equal(seen.events, LOOP_READ);
	/* Level triggered: not read, so told again. */
	loop_run_once(loop, true);
	assert_int_equal(seen.calls, 2);

	loop_io_set(&io, LOOP_READ | LOOP_WRITE);
	loop_run_once(loop, true);
	assert_int_equal(seen.events, LOOP_READ | LOOP_WRITE);
	loop_io_set(&io, LOOP_WRITE);
	loop_run_once(loop, true);
	assert_int_equal(seen.events, LOOP_WRITE);
	assert_int_equal(seen.calls, 4);

	loop_io_stop(&io);
	loop_io_stop(&io);
	loop_run_once(loop, false);
	assert_int_equal(seen.calls, 4);
	close_pair(fds);
}

static void io_without_interest_is_not_woken_by_hangup(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct seen seen = {0};
	struct loop_io io = {0};
	loop_io_start(&io, loop, fds[0], 0, on_io, &seen);
	close(fds[1]);
	loop_run_once(loop, false);
	loop_run_once(loop, false);
	assert_int_equal(seen.calls, 0);
	/* ... and finds out as soon as it wants to. */
	loop_io_set(&io, LOOP_READ);
	loop_run_once(loop, true);
	assert_int_equal(seen.calls, 1);
	loop_io_set(&io, 0);
	loop_run_once(loop, false);
	loop_run_once(loop, false);
	assert_int_equal(seen.calls, 1);
	/* Nor is it a reason to go on: this would never return. */
	loop_run(loop);
	loop_io_stop(&io);
	close(fds[0]);
}

static void io_interest_survives_off_and_on_in_one_round(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct seen seen = {0};
	struct loop_io io = {0};
	loop_io_start(&io, loop, fds[0], LOOP_READ, on_io, &seen);
	loop_run_once(loop, false);
	loop_io_set(&io, 0);
	loop_io_set(&io, LOOP_READ);
	put_byte(fds[1]);
	loop_run_once(loop, true);
	assert_int_equal(seen.calls, 1);
	loop_io_stop(&io);
	close_pair(fds);
}

static void io_can_stop_itself_and_others(void **state)
{
	(void)state;
	int a[2];
	int b[2];
	make_pair(a);
	make_pair(b);
	struct loop_io io_a = {0};
	struct loop_io io_b = {0};
	struct seen seen_a = {.stops = &io_a, .stops_too = &io_b};
	struct seen seen_b = {.stops = &io_b, .stops_too = &io_a};
	loop_io_start(&io_a, loop, a[0], LOOP_READ, on_io, &seen_a);
	loop_io_start(&io_b, loop, b[0], LOOP_READ, on_io, &seen_b);
	put_byte(a[1]);
	put_byte(b[1]);
	/* Both are ready in one round; whichever comes first silences the other. */
	loop_run_once(loop, true);
	assert_int_equal(seen_a.calls + seen_b.calls, 1);
	loop_run_once(loop, false);
	assert_int_equal(seen_a.calls + seen_b.calls, 1);
	close_pair(a);
	close_pair(b);
}

struct reuse {
	struct loop_io *io;
	struct loop_io *other;
	int old_fd;
	int new_fds[2];
	struct seen fresh;
	unsigned calls;
};

/* Stops the other one, closes its descriptor, and puts a silent one with the same number in. */
static void on_io_reuse(void *ctx, unsigned events)
{
	struct reuse *reuse = ctx;
	(void)events;
	++reuse->calls;
	loop_io_stop(reuse->io);
	loop_io_stop(reuse->other);
	int fds[2];
	make_pair(fds);
	assert_int_equal(dup3(fds[0], reuse->old_fd, O_CLOEXEC), reuse->old_fd);
	close(fds[0]);
	reuse->new_fds[0] = reuse->old_fd;
	reuse->new_fds[1] = fds[1];
	loop_io_start(reuse->other, loop, reuse->old_fd, LOOP_READ, on_io, &reuse->fresh);
}

static void no_stale_event_reaches_a_reused_descriptor(void **state)
{
	(void)state;
	int a[2];
	int b[2];
	make_pair(a);
	make_pair(b);
	struct loop_io io_a = {0};
	struct loop_io io_b = {0};
	struct reuse reuse_a = {.io = &io_a, .other = &io_b, .old_fd = b[0]};
	struct reuse reuse_b = {.io = &io_b, .other = &io_a, .old_fd = a[0]};
	loop_io_start(&io_a, loop, a[0], LOOP_READ, on_io_reuse, &reuse_a);
	loop_io_start(&io_b, loop, b[0], LOOP_READ, on_io_reuse, &reuse_b);
	put_byte(a[1]);
	put_byte(b[1]);
	loop_run_once(loop, true);
	assert_int_equal(reuse_a.calls + reuse_b.calls, 1);
	struct reuse *ran = reuse_a.calls ? &reuse_a : &reuse_b;
	assert_int_equal(ran->fresh.calls, 0);
	loop_run_once(loop, false);
	assert_int_equal(ran->fresh.calls, 0);
	/* The new descriptor itself is watched. */
	put_byte(ran->new_fds[1]);
	loop_run_once(loop, true);
	assert_int_equal(ran->fresh.calls, 1);
	loop_io_stop(ran->other);
	close_pair(a);
	close_pair(b);
	close(ran->new_fds[1]);
}

static void io_on_a_regular_file_is_always_ready(void **state)
{
	(void)state;
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	struct seen seen = {0};
	struct loop_io io = {0};
	loop_io_start(&io, loop, fd, LOOP_READ, on_io, &seen);
	loop_run_once(loop, true);
	loop_run_once(loop, true);
	assert_int_equal(seen.calls, 2);
	loop_io_stop(&io);
	close(fd);
}

/* ---- timers ---- */

static char order[64];

static void note(char letter)
{
	size_t length = strlen(order);
	assert_true(length + 1 < sizeof(order));
	order[length] = letter;
	order[length + 1] = '\0';
}

/* A context for note_ctx(). */
static void *letter(char which)
{
	static char letters[128];
	char *place = &letters[which & 0x7f];
	*place = which;
	return place;
}

static void note_ctx(void *ctx)
{
	note(*(const char *)ctx);
}

static void stop_ctx(void *ctx)
{
	note('s');
	loop_stop(ctx);
}

/* Lets at least `ms` pass on the clock of the loop. */
static void burn_ms(uint64_t ms)
{
	uint64_t until = loop_clock_us(loop) + ms * 1000;
	while (loop_clock_us(loop) < until) {
	}
}

static void timers_fire_in_order_of_their_time(void **state)
{
	(void)state;
	struct loop_timer a = {0};
	struct loop_timer b = {0};
	struct loop_timer c = {0};
	order[0] = '\0';
	loop_timer_start(&c, loop, 9, note_ctx, letter('c'));
	loop_timer_start(&a, loop, 1, note_ctx, letter('a'));
	loop_timer_start(&b, loop, 5, note_ctx, letter('b'));
	/* All are due in one round: the order holds there as well. */
	burn_ms(15);
	loop_run(loop);
	assert_string_equal(order, "abc");
	assert_false(loop_timer_active(&a));
	loop_timer_stop(&a);
}

static void timer_zero_fires_in_a_round_not_in_the_call(void **state)
{
	(void)state;
	struct loop_timer timer = {0};
	order[0] = '\0';
	loop_timer_start(&timer, loop, 0, note_ctx, letter('z'));
	assert_string_equal(order, "");
	assert_true(loop_timer_active(&timer));
	loop_run(loop);
	assert_string_equal(order, "z");
}

static void timer_restart_replaces(void **state)
{
	(void)state;
	struct loop_timer timer = {0};
	order[0] = '\0';
	loop_timer_start(&timer, loop, 1, note_ctx, letter('1'));
	loop_timer_start(&timer, loop, 2, note_ctx, letter('2'));
	burn_ms(5);
	loop_run(loop);
	assert_string_equal(order, "2");
	/* The same handle again, after it fired. */
	loop_timer_start(&timer, loop, 1, note_ctx, letter('3'));
	loop_timer_stop(&timer);
	assert_false(loop_timer_active(&timer));
	loop_run(loop);
	assert_string_equal(order, "2");
}

struct late {
	struct loop_timer timer;
	uint64_t started_us;
	uint64_t fired_us;
};

static void on_late(void *ctx)
{
	struct late *late = ctx;
	late->fired_us = loop_clock_us(loop);
}

static void start_after_work(void *ctx)
{
	struct late *late = ctx;
	burn_ms(30);
	late->started_us = loop_clock_us(loop);
	loop_timer_start(&late->timer, loop, 20, on_late, late);
}

static void timer_counts_from_the_call_not_from_the_round(void **state)
{
	(void)state;
	struct late late = {0};
	struct loop_timer first = {0};
	loop_timer_start(&first, loop, 0, start_after_work, &late);
	loop_run(loop);
	assert_true(late.fired_us >= late.started_us + 20000);
}

static void now_is_one_value_a_round(void *ctx)
{
	uint64_t *ret_seen = ctx;
	uint64_t before = loop_now_ms(loop);
	burn_ms(3);
	assert_true(loop_now_ms(loop) == before);
	*ret_seen = before;
}

static void now_moves_between_rounds(void **state)
{
	(void)state;
	struct loop_timer timer = {0};
	uint64_t first = 0;
	uint64_t second = 0;
	loop_timer_start(&timer, loop, 0, now_is_one_value_a_round, &first);
	loop_run(loop);
	loop_timer_start(&timer, loop, 0, now_is_one_value_a_round, &second);
	loop_run(loop);
	assert_true(first > 0);
	assert_true(second >= first + 3);
	assert_true(loop_clock_us(loop) / 1000 >= second);
}

static void a_deadline_has_passed_when_its_timer_fires(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; ++i) {
		struct late late = {0};
		loop_run_once(loop, false);
		uint64_t deadline = loop_now_ms(loop) + 2;
		loop_timer_start(&late.timer, loop, deadline - loop_now_ms(loop), on_late, &late);
		loop_run(loop);
		assert_true(loop_now_ms(loop) >= deadline);
	}
}

static void arrived_data_comes_before_a_late_timer(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct loop_io io = {0};
	struct loop_timer timer = {0};
	struct seen seen = {.stops = &io, .stops_timer = &timer};
	order[0] = '\0';
	loop_io_start(&io, loop, fds[0], LOOP_READ, on_io, &seen);
	loop_timer_start(&timer, loop, 1, note_ctx, letter('t'));
	put_byte(fds[1]);
	burn_ms(5);
	loop_run(loop);
	assert_int_equal(seen.calls, 1);
	assert_string_equal(order, "");
	close_pair(fds);
}

struct killer {
	struct loop_timer timer;
	struct loop_timer *victim;
	unsigned calls;
};

static void on_killer(void *ctx)
{
	struct killer *killer = ctx;
	++killer->calls;
	assert_true(loop_timer_active(killer->victim));
	loop_timer_stop(killer->victim);
}

static void timer_can_stop_another_that_is_due(void **state)
{
	(void)state;
	struct killer a = {0};
	struct killer b = {0};
	a.victim = &b.timer;
	b.victim = &a.timer;
	loop_timer_start(&a.timer, loop, 1, on_killer, &a);
	loop_timer_start(&b.timer, loop, 2, on_killer, &b);
	burn_ms(5);
	loop_run(loop);
	assert_int_equal(a.calls, 1);
	assert_int_equal(b.calls, 0);
}

/* ---- signals ---- */

struct signals {
	struct loop_signal signal;
	unsigned calls;
	int number;
	bool stop;
};

static void on_signal(void *ctx, int number)
{
	struct signals *signals = ctx;
	++signals->calls;
	signals->number = number;
	if (signals->stop) {
		loop_signal_stop(&signals->signal);
	}
}

static void signal_is_delivered_from_the_loop(void **state)
{
	(void)state;
	struct signals signals = {0};
	loop_signal_start(&signals.signal, loop, SIGUSR1, on_signal, &signals);
	assert_int_equal(raise(SIGUSR1), 0);
	assert_int_equal(signals.calls, 0);
	loop_run_once(loop, false);
	assert_int_equal(signals.calls, 1);
	assert_int_equal(signals.number, SIGUSR1);
	signals.stop = true;
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run_once(loop, false);
	assert_int_equal(signals.calls, 2);
	loop_signal_stop(&signals.signal);
	/* And once more on the same number. */
	signals.stop = false;
	loop_signal_start(&signals.signal, loop, SIGUSR1, on_signal, &signals);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run_once(loop, false);
	assert_int_equal(signals.calls, 3);
	loop_signal_stop(&signals.signal);
}

static void signal_does_not_keep_the_loop_running(void **state)
{
	(void)state;
	struct signals signals = {0};
	loop_signal_start(&signals.signal, loop, SIGUSR2, on_signal, &signals);
	loop_run(loop);
	loop_signal_stop(&signals.signal);
	loop_run(loop);
}

/* ---- running ---- */

static void run_returns_when_nothing_is_left(void **state)
{
	(void)state;
	loop_run(loop);
	loop_run_once(loop, true);
}

static void stop_ends_run_after_the_round(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct seen seen = {0};
	struct loop_io io = {0};
	struct loop_timer timer = {0};
	struct loop_task task;
	order[0] = '\0';
	loop_io_start(&io, loop, fds[0], LOOP_READ, on_io, &seen);
	loop_timer_start(&timer, loop, 0, stop_ctx, loop);
	loop_run(loop);
	assert_string_equal(order, "s");
	/* From a task, and before the run. */
	loop_task_init(&task, stop_ctx, loop);
	loop_task_queue(&task, loop);
	loop_run(loop);
	assert_string_equal(order, "ss");
	loop_stop(loop);
	loop_run(loop);
	loop_io_stop(&io);
	close_pair(fds);
}

/* ---- tasks ---- */

struct chain {
	struct loop_task task;
	unsigned calls;
	unsigned limit; /* queues itself again until it ran so often; 0: for ever */
};

static void on_chain(void *ctx)
{
	struct chain *chain = ctx;
	++chain->calls;
	if (chain->limit == 0 || chain->calls < chain->limit) {
		loop_task_queue(&chain->task, loop);
	}
}

static void task_runs_once_however_often_queued(void **state)
{
	(void)state;
	struct loop_task a;
	struct loop_task b;
	order[0] = '\0';
	loop_task_init(&a, note_ctx, letter('a'));
	loop_task_init(&b, note_ctx, letter('b'));
	loop_task_cancel(&a);
	loop_task_queue(&a, loop);
	loop_task_queue(&b, loop);
	loop_task_queue(&a, loop);
	assert_string_equal(order, "");
	loop_run(loop);
	assert_string_equal(order, "ab");
	loop_task_queue(&a, loop);
	loop_task_cancel(&a);
	loop_task_cancel(&a);
	loop_run(loop);
	assert_string_equal(order, "ab");
}

struct batch {
	struct loop_io io;
	struct loop_task *task;
};

static void on_io_queue(void *ctx, unsigned events)
{
	struct batch *batch = ctx;
	(void)events;
	loop_io_stop(&batch->io);
	note('i');
	loop_task_queue(batch->task, loop);
}

static void a_rounds_callbacks_share_one_task(void **state)
{
	(void)state;
	int fds[3][2];
	struct batch batches[3] = {0};
	struct loop_task task;
	order[0] = '\0';
	loop_task_init(&task, note_ctx, letter('t'));
	for (unsigned i = 0; i < 3; ++i) {
		make_pair(fds[i]);
		put_byte(fds[i][1]);
		batches[i].task = &task;
		loop_io_start(&batches[i].io, loop, fds[i][0], LOOP_READ, on_io_queue, &batches[i]);
	}
	loop_run_once(loop, true);
	assert_string_equal(order, "iiit");
	for (unsigned i = 0; i < 3; ++i) {
		close_pair(fds[i]);
	}
}

static void task_queued_by_a_task_runs_in_the_same_round(void **state)
{
	(void)state;
	struct chain chain = {.limit = 3};
	loop_task_init(&chain.task, on_chain, &chain);
	loop_task_queue(&chain.task, loop);
	loop_run_once(loop, false);
	assert_int_equal(chain.calls, 3);
}

static void endless_tasks_do_not_starve_descriptors(void **state)
{
	(void)state;
	int fds[2];
	make_pair(fds);
	struct loop_io io = {0};
	struct seen seen = {.stops = &io};
	struct chain chain = {.limit = 0};
	loop_task_init(&chain.task, on_chain, &chain);
	loop_task_queue(&chain.task, loop);
	loop_io_start(&io, loop, fds[0], LOOP_READ, on_io, &seen);
	/* Waiting is asked for, but the queue is never empty: it must not sleep. */
	loop_run_once(loop, true);
	unsigned round = chain.calls;
	assert_in_range(round, 1, 64);
	put_byte(fds[1]);
	loop_run_once(loop, true);
	assert_int_equal(seen.calls, 1);
	assert_in_range(chain.calls - round, 1, 64);
	loop_task_cancel(&chain.task);
	close_pair(fds);
}

struct canceller {
	struct loop_task task;
	struct loop_task *victim;
	unsigned calls;
};

static void on_canceller(void *ctx)
{
	struct canceller *canceller = ctx;
	++canceller->calls;
	loop_task_cancel(canceller->victim);
}

static void task_can_cancel_its_neighbours(void **state)
{
	(void)state;
	struct canceller tasks[3] = {0};
	for (unsigned i = 0; i < 3; ++i) {
		loop_task_init(&tasks[i].task, on_canceller, &tasks[i]);
		tasks[i].victim = &tasks[(i + 1) % 3].task;
		loop_task_queue(&tasks[i].task, loop);
	}
	loop_run_once(loop, false);
	assert_int_equal(tasks[0].calls, 1);
	assert_int_equal(tasks[1].calls, 0);
	/* The last of the queue, cancelled or not, ends the pass; its victim had run already. */
	assert_int_equal(tasks[2].calls, 1);
}

static void task_after_the_last_callback_keeps_run_going(void **state)
{
	(void)state;
	/* The io handle is gone when the task runs, and the task starts a timer. */
	int fds[2];
	make_pair(fds);
	struct late late = {0};
	struct loop_task task;
	struct batch batch = {.task = &task};
	loop_task_init(&task, start_after_work, &late);
	put_byte(fds[1]);
	loop_io_start(&batch.io, loop, fds[0], LOOP_READ, on_io_queue, &batch);
	order[0] = '\0';
	loop_run(loop);
	assert_string_equal(order, "i");
	assert_true(late.fired_us > 0);
	close_pair(fds);
}

static void many_tasks_at_once(void **state)
{
	(void)state;
	enum {
		COUNT = 20000
	};
	struct chain *chains = calloc(COUNT, sizeof(*chains));
	assert_non_null(chains);
	for (unsigned i = 0; i < COUNT; ++i) {
		chains[i].limit = 2;
		loop_task_init(&chains[i].task, on_chain, &chains[i]);
		loop_task_queue(&chains[i].task, loop);
	}
	loop_run_once(loop, false);
	for (unsigned i = 0; i < COUNT; ++i) {
		assert_int_equal(chains[i].calls, 2);
	}
	free(chains);
}

/* ---- late frees ---- */

struct suicide {
	struct loop_io io;
	struct loop_timer timer;
	struct loop_task task;
	int fds[2];
};

static void on_suicide(void *ctx, unsigned events)
{
	struct suicide *self = ctx;
	(void)events;
	loop_io_stop(&self->io);
	loop_timer_stop(&self->timer);
	loop_task_cancel(&self->task);
	close_pair(self->fds);
	loop_free_later(loop, self);
	/* Still readable until the round ends, but for the link: the stack above may look. */
	assert_null(self->task.loop);
}

static void object_can_free_itself_in_its_callback(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; ++i) {
		struct suicide *self = calloc(1, sizeof(*self));
		assert_non_null(self);
		make_pair(self->fds);
		loop_task_init(&self->task, note_ctx, letter('x'));
		loop_io_start(&self->io, loop, self->fds[0], LOOP_WRITE, on_suicide, self);
		loop_timer_start(&self->timer, loop, 0, note_ctx, letter('x'));
		loop_task_queue(&self->task, loop);
		loop_task_cancel(&self->task);
	}
	order[0] = '\0';
	loop_run(loop);
	assert_string_equal(order, "");
}

static void frees_outside_of_rounds_are_not_lost(void **state)
{
	(void)state;
	loop_free_later(loop, NULL);
	loop_free_later(loop, malloc(LOOP_FREE_MIN));
	loop_run_once(loop, false);
	/* These are left to loop_free(); the leak checker looks. */
	loop_free_later(loop, malloc(LOOP_FREE_MIN));
	loop_free_later(loop, malloc(100));
}

static void free_null_is_fine(void **state)
{
	(void)state;
	loop_free(NULL);
}

int main(void)
{
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOOP_TEST(io_reports_what_is_ready),
		LOOP_TEST(io_without_interest_is_not_woken_by_hangup),
		LOOP_TEST(io_interest_survives_off_and_on_in_one_round),
		LOOP_TEST(io_can_stop_itself_and_others),
		LOOP_TEST(no_stale_event_reaches_a_reused_descriptor),
		LOOP_TEST(io_on_a_regular_file_is_always_ready),
		LOOP_TEST(timers_fire_in_order_of_their_time),
		LOOP_TEST(timer_zero_fires_in_a_round_not_in_the_call),
		LOOP_TEST(timer_restart_replaces),
		LOOP_TEST(timer_counts_from_the_call_not_from_the_round),
		LOOP_TEST(now_moves_between_rounds),
		LOOP_TEST(a_deadline_has_passed_when_its_timer_fires),
		LOOP_TEST(arrived_data_comes_before_a_late_timer),
		LOOP_TEST(timer_can_stop_another_that_is_due),
		LOOP_TEST(signal_is_delivered_from_the_loop),
		LOOP_TEST(signal_does_not_keep_the_loop_running),
		LOOP_TEST(run_returns_when_nothing_is_left),
		LOOP_TEST(stop_ends_run_after_the_round),
		LOOP_TEST(task_runs_once_however_often_queued),
		LOOP_TEST(a_rounds_callbacks_share_one_task),
		LOOP_TEST(task_queued_by_a_task_runs_in_the_same_round),
		LOOP_TEST(endless_tasks_do_not_starve_descriptors),
		LOOP_TEST(task_can_cancel_its_neighbours),
		LOOP_TEST(task_after_the_last_callback_keeps_run_going),
		LOOP_TEST(many_tasks_at_once),
		LOOP_TEST(object_can_free_itself_in_its_callback),
		LOOP_TEST(frees_outside_of_rounds_are_not_lost),
		cmocka_unit_test(free_null_is_fine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
