/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/worker.h"

struct task {
	struct work work; /* first: found by its address */
	unsigned number;
	pthread_t thread;
	bool signals_blocked;
	unsigned ran, told;
	unsigned again; /* so often it is handed over once more */
	struct workers *workers;
	int gate; /* reads a byte from there before it returns; -1: not */
};

static struct loop *loop;
static unsigned order[64], ordered;
static unsigned told;

static void run(struct work *work)
{
	struct task *task = (struct task *)(void *)work;
	sigset_t set;
	char byte = 0;

	task->thread = pthread_self();
	pthread_sigmask(SIG_SETMASK, NULL, &set);
	task->signals_blocked = sigismember(&set, SIGTERM) == 1;
	if (task->gate >= 0) {
		assert_int_equal(read(task->gate, &byte, 1), 1);
	}
	task->ran++;
}

static void done(struct work *work)
{
	struct task *task = (struct task *)(void *)work;

	assert_false(work_is_busy(work));
	task->told++;
	told++;
	if (ordered < 64) {
		order[ordered++] = task->number;
	}
	if (task->again > 0) {
		task->again--;
		work_start(task->workers, work, run, done);
	}
}

static struct workers *start(unsigned threads)
{
	struct workers *workers = NULL;

	assert_int_equal(workers_new(loop, threads, &workers), 0);
	return workers;
}

static int setup(void **state)
{
	(void)state;
	loop = loop_new();
	ordered = told = 0;
	return loop ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	loop_free(loop);
	return 0;
}

static void test_runs_elsewhere_and_ends_here(void **state)
{
	struct workers *workers = start(1);
	struct task task = {.gate = -1};

	(void)state;
	work_start(workers, &task.work, run, done);
	assert_true(work_is_busy(&task.work));
	assert_int_equal(task.told, 0);
	while (!told) {
		loop_run_once(loop, true);
	}
	assert_int_equal(task.ran, 1);
	assert_int_equal(task.told, 1);
	assert_false(pthread_equal(task.thread, pthread_self()));
	assert_true(task.signals_blocked);
	workers_free(workers);
}

static void test_one_thread_keeps_the_order(void **state)
{
	struct workers *workers = start(1);
	struct task tasks[40] = {0};

	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		tasks[i].number = i;
		tasks[i].gate = -1;
		work_start(workers, &tasks[i].work, run, done);
	}
	while (told < 40) {
		loop_run_once(loop, true);
	}
	for (unsigned i = 0; i < 40; i++) {
		assert_int_equal(order[i], i);
	}
	workers_free(workers);
}

static void test_handed_over_anew_from_done(void **state)
{
	struct workers *workers = start(2);
	struct task task = {.again = 100, .workers = workers, .gate = -1};

	(void)state;
	work_start(workers, &task.work, run, done);
	while (task.told < 101) {
		loop_run_once(loop, true);
	}
	assert_int_equal(task.ran, 101);
	workers_free(workers);
}

/* One that blocks does not keep the others from running, as long as there is a thread. */
static void test_threads_run_at_once(void **state)
{
	struct workers *workers = start(2);
	struct task slow = {0}, quick = {.gate = -1};
	int gate[2];

	(void)state;
	assert_int_equal(pipe(gate), 0);
	slow.gate = gate[0];
	work_start(workers, &slow.work, run, done);
	work_start(workers, &quick.work, run, done);
	while (!quick.told) {
		loop_run_once(loop, true);
	}
	assert_int_equal(slow.told, 0);
	assert_int_equal(write(gate[1], "x", 1), 1);
	while (!slow.told) {
		loop_run_once(loop, true);
	}
	workers_free(workers);
	close(gate[0]);
	close(gate[1]);
}

static void test_freeing_waits_for_what_was_handed_over(void **state)
{
	struct workers *workers = start(1);
	struct task tasks[30] = {0};

	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		tasks[i].gate = -1;
		work_start(workers, &tasks[i].work, run, done);
	}
	workers_free(workers);
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(tasks[i].ran, 1);
		assert_int_equal(tasks[i].told, 1);
	}
}

static void test_freeing_idle_ones_and_none(void **state)
{
	(void)state;
	workers_free(start(4));
	workers_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_runs_elsewhere_and_ends_here),
		TEST(test_one_thread_keeps_the_order),
		TEST(test_handed_over_anew_from_done),
		TEST(test_threads_run_at_once),
		TEST(test_freeing_waits_for_what_was_handed_over),
		TEST(test_freeing_idle_ones_and_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
