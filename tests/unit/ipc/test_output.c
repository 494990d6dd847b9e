/* SPDX-License-Identifier: MIT */
/*
 * Bodies on their way into descriptors, where it matters when a thread does what: their turns, ends
 * of all kinds while one writes, and that nothing is written once the end is told. What descriptors
 * are good for what is tested with the real daemon.
 */
#include "unit/ipc/ipc_world.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define THREADS 2u /* of ipc_world.h */

/* Keeps a thread from doing anything else. */
struct plug {
	struct work work;
	int gate[2];
	bool done;
};

static void plug_run(struct work *work)
{
	char byte = 0;

	while (read(((struct plug *)(void *)work)->gate[0], &byte, 1) < 0) {
	}
}

static void plug_done(struct work *work)
{
	((struct plug *)(void *)work)->done = true;
}

static void plug_all(struct plug plugs[THREADS])
{
	for (unsigned i = 0; i < THREADS; i++) {
		plugs[i] = (struct plug){.done = false};
		assert_int_equal(pipe2(plugs[i].gate, O_CLOEXEC), 0);
		work_start(ipc_writers, &plugs[i].work, plug_run, plug_done);
	}
}

static void unplug_all(struct plug plugs[THREADS])
{
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(write(plugs[i].gate[1], "x", 1), 1);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		UNTIL(world.loop, plugs[i].done);
		close(plugs[i].gate[0]);
		close(plugs[i].gate[1]);
	}
}

static int memory_file(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static uint64_t size_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_size;
}

static void check_content(int fd, uint64_t length)
{
	assert_int_equal(size_of(fd), length);
	for (uint64_t at = 0; at < length;) {
		uint8_t buffer[4096];
		ssize_t count = pread(fd, buffer, sizeof(buffer), (off_t)at);

		assert_true(count > 0);
		for (ssize_t i = 0; i < count; i++) {
			assert_int_equal(buffer[i], h2_byte(at + (uint64_t)i));
		}
		at += (uint64_t)count;
	}
}

static struct client_job *job_of(uint64_t id)
{
	struct client_job *client_job = NULL;

	HASH_FIND(hh, ipc->peers->jobs, &id, sizeof(id), client_job);
	return client_job;
}

static bool is_busy(uint64_t id)
{
	struct client_job *client_job = job_of(id);

	return client_job && client_job->output && output_is_busy(client_job->output);
}

static const struct wire_closed *closed_of(struct talker *talker, uint64_t id)
{
	return &talker_wait(talker, WIRE_SERVER_CLOSED, id)->closed;
}

static void into_a_file(void **state)
{
	struct talker *talker = talker_open();
	int fd = memory_file();

	(void)state;
	talker_submit_to(talker, 1, fd);
	h2_head(h2_first(world.origin, 0), false, 200, "content-length", "300000", NULL);
	h2_body(h2_first(world.origin, 0), 300000, true);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(closed_of(talker, 1)->bytes.delivered, 300000);
	assert_int_equal(talker->bodies[1], 0);
	check_content(fd, 300000);
	close(fd);
	talker_free(talker);
}

/* It is told of when the thread is done, and the file is as it was told. */
static void line_1_an_end_while_a_thread_writes(void **state)
{
	struct plug plugs[THREADS];
	struct talker *talker = talker_open();
	int fd = memory_file();

	(void)state;
	plug_all(plugs);
	talker_submit_to(talker, 1, fd);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 10000, false);
	UNTIL(world.loop, is_busy(1));
	talker_ask(talker, WIRE_CLIENT_CANCEL, 1);
	UNTIL(world.loop, jobs_open(world.jobs) == 0);
	talker_sync(talker, 2);
	assert_null(talker_find(talker, WIRE_SERVER_CLOSED, 1, 0));
	/* It is no fault to say more of it. */
	talker_ask(talker, WIRE_CLIENT_CANCEL, 1);
	talker_ask(talker, WIRE_CLIENT_STOP, 1);
	talker_credit(talker, 1, 10);
	talker_sync(talker, 3);
	assert_int_equal(size_of(fd), 0);
	unplug_all(plugs);
	assert_closed(talker, 1, WIRE_CLOSE_CANCELLED);
	assert_int_equal(closed_of(talker, 1)->bytes.delivered, 0);
	assert_null(job_of(1));
	assert_int_equal(ipc->peers->lingering, 0);
	close(fd);
	talker_free(talker);
}

static void a_client_that_goes_while_a_thread_writes(void **state)
{
	struct plug plugs[THREADS];
	struct talker *talker = talker_open();
	int fd = memory_file();

	(void)state;
	plug_all(plugs);
	talker_submit_to(talker, 1, fd);
	talker_submit_to(talker, 2, fd);
	for (unsigned i = 0; i < 2; i++) {
		h2_head(h2_first(world.origin, i), false, 200, NULL);
		h2_body(h2_first(world.origin, i), 10000, false);
		UNTIL(world.loop, is_busy(i + 1));
	}
	/* One has ended already, the other not. */
	talker_ask(talker, WIRE_CLIENT_CANCEL, 1);
	UNTIL(world.loop, jobs_open(world.jobs) == 1);
	talker_close(talker);
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
	assert_int_equal(jobs_open(world.jobs), 0);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_FDS), 2);
	unplug_all(plugs);
	UNTIL(world.loop, account_held(world.accounts, geteuid(), ACCOUNT_FDS) == 0);
	close(fd);
	talker_free(talker);
}

/* Everything goes while a thread writes, and it is the threads' end that is waited for. */
static void the_daemon_goes_while_a_thread_writes(void **state)
{
	struct plug plugs[THREADS];
	struct talker *talker = talker_open();
	struct ipc_world again = ipc->world;
	int fd = memory_file();

	(void)state;
	plug_all(plugs);
	talker_submit_to(talker, 1, fd);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 10000, false);
	UNTIL(world.loop, is_busy(1));
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(write(plugs[i].gate[1], "x", 1), 1);
	}
	ipc_free(ipc);
	workers_free(ipc_writers);
	check_content(fd, 10000);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_true(plugs[i].done);
		close(plugs[i].gate[0]);
		close(plugs[i].gate[1]);
	}
	close(fd);
	talker_free(talker);
	/* For the teardown. */
	assert_int_equal(workers_new(world.loop, THREADS, &ipc_writers), 0);
	again.writers = ipc_writers;
	assert_int_equal(ipc_new(&again, &ipc), 0);
}

static void on_gone(void *ctx)
{
	*(bool *)ctx = true;
}

/* Goodbye is the last word, so the ends of jobs come before it. */
static void a_goodbye_waits_for_ends(void **state)
{
	struct plug plugs[THREADS];
	struct talker *talker = talker_open();
	int fd = memory_file();
	bool gone = false;

	(void)state;
	plug_all(plugs);
	talker_submit_to(talker, 1, fd);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 10000, false);
	UNTIL(world.loop, is_busy(1));
	jobs_stop(world.jobs);
	ipc_say_goodbye(ipc, on_gone, &gone);
	talker_sync(talker, 2);
	assert_false(talker->goodbye);
	unplug_all(plugs);
	assert_closed(talker, 1, WIRE_CLOSE_SHUTDOWN);
	assert_goodbye(talker, WIRE_GOODBYE_SHUTDOWN);
	UNTIL(world.loop, gone);
	check_content(fd, 10000);
	close(fd);
	talker_free(talker);
}

/* More files than buffers: each has its turn, and what waits says for what. */
static void turns(void **state)
{
	enum {
		COUNT = 12,
		LENGTH = 200000
	};
	struct plug plugs[THREADS];
	struct talker *talker = talker_open();
	int fds[COUNT];

	(void)state;
	plug_all(plugs);
	for (unsigned i = 0; i < COUNT; i++) {
		fds[i] = memory_file();
		talker_submit_to(talker, 1 + i, fds[i]);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		h2_head(h2_first(world.origin, i), false, 200, NULL);
		h2_body(h2_first(world.origin, i), LENGTH, true);
	}
	for (unsigned i = 0; i < COUNT; i++) {
		struct job_info info;

		UNTIL(world.loop,
		      (job_info(job_of(1 + i)->job, &info), info.wait.reason == WAIT_OUTPUT));
		assert_non_null(strstr(info.waiting_for, "descriptor"));
		assert_int_equal(info.delivered, 0);
	}
	/* Of those that wait for a buffer, some will not need it any more. */
	talker_ask(talker, WIRE_CLIENT_CANCEL, COUNT);
	talker_ask(talker, WIRE_CLIENT_CANCEL, COUNT - 3);
	assert_closed(talker, COUNT, WIRE_CLOSE_CANCELLED);
	assert_closed(talker, COUNT - 3, WIRE_CLOSE_CANCELLED);
	unplug_all(plugs);
	for (unsigned i = 0; i < COUNT; i++) {
		if (1 + i != COUNT && 1 + i != COUNT - 3) {
			assert_closed(talker, 1 + i, WIRE_CLOSE_ENDED);
			check_content(fds[i], LENGTH);
		} else {
			assert_int_equal(size_of(fds[i]), 0);
		}
		close(fds[i]);
	}
	talker_free(talker);
}

static void a_file_that_may_not_grow(void **state)
{
	struct talker *talker = talker_open();
	struct rlimit old;
	struct rlimit limit;
	char path[] = "/tmp/fetchd-test-XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	const struct wire_closed *closed = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = old;
	limit.rlim_cur = 5000;
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	talker_submit_to(talker, 1, fd);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 20000, true);
	closed = closed_of(talker, 1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(closed->reason, WIRE_CLOSE_OUTPUT_FAILED);
	assert_int_equal(closed->failures[0].code, WIRE_FAIL_OUTPUT_ERROR);
	assert_int_equal(closed->failures[0].sys_errno, EFBIG);
	/* What was written before the error counts. */
	assert_int_equal(closed->bytes.delivered, 5000);
	check_content(fd, 5000);
	close(fd);
	talker_free(talker);
}

/* The stream is over, and all that is left is to write what came. */
static void an_error_at_the_very_end(void **state)
{
	struct talker *talker = talker_open();
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
	talker_submit_to(talker, 1, ends[1]);
	close(ends[1]);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 50000, true);
	UNTIL(world.loop, jobs_in_state(world.jobs, JOB_DELIVERING) == 1);
	(void)signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	assert_closed(talker, 1, WIRE_CLOSE_OUTPUT_FAILED);
	assert_int_equal(closed_of(talker, 1)->failures[0].sys_errno, EPIPE);
	talker_free(talker);
}

/* A partial body belongs to the client; what cannot be written of it does not change the end. */
static void a_reset_behind_a_pipe_that_is_full(void **state)
{
	struct talker *talker = talker_open();
	struct h2_stream *stream = NULL;
	int ends[2];
	char buffer[4096];
	uint64_t count = 0;
	ssize_t got = 0;

	(void)state;
	world.config->job.delivery_timeout_ms = 60000;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(fcntl(ends[1], F_SETPIPE_SZ, 4096) >= 4096);
	talker_submit_to(talker, 1, ends[1]);
	close(ends[1]);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 20000, false);
	UNTIL(world.loop, job_of(1) && job_available(job_of(1)->job) == 20000 - 4096);
	h2_reset(stream, 2);
	UNTIL(world.loop, jobs_in_state(world.jobs, JOB_DELIVERING) == 1);
	while (!talker_find(talker, WIRE_SERVER_CLOSED, 1, 0)) {
		got = read(ends[0], buffer, sizeof(buffer));
		count += got > 0 ? (uint64_t)got : 0;
		loop_run_once(world.loop, false);
	}
	while ((got = read(ends[0], buffer, sizeof(buffer))) > 0) {
		count += (uint64_t)got;
	}
	assert_closed(talker, 1, WIRE_CLOSE_RESET);
	assert_int_equal(count, 20000);
	assert_int_equal(closed_of(talker, 1)->bytes.delivered, 20000);
	close(ends[0]);
	talker_free(talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(into_a_file),
		IPC_TEST(line_1_an_end_while_a_thread_writes),
		IPC_TEST(a_client_that_goes_while_a_thread_writes),
		IPC_TEST(the_daemon_goes_while_a_thread_writes),
		IPC_TEST(a_goodbye_waits_for_ends),
		IPC_TEST(turns),
		IPC_TEST(a_file_that_may_not_grow),
		IPC_TEST(an_error_at_the_very_end),
		IPC_TEST(a_reset_behind_a_pipe_that_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
