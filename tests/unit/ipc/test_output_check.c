/* SPDX-License-Identifier: MIT */
/*
 * Which descriptors are good for a body, and that looking at them changes nothing about them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/output_check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct job_option anywhere;

static struct output_target good(int fd, struct job_option offset)
{
	struct output_target target = {.offset = 12345};
	struct failure failure;
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(output_check(fd, offset, &target, &failure), 0);
	assert_int_equal(fcntl(fd, F_GETFL), flags);
	return target;
}

static void bad(int fd, struct job_option offset, const char *why)
{
	struct output_target target = {.offset = 12345};
	struct failure failure = {0};
	int flags = fcntl(fd, F_GETFL);

	assert_int_equal(output_check(fd, offset, &target, &failure), FAIL_OUTPUT_INVALID);
	assert_int_equal(failure_top(&failure), FAIL_OUTPUT_INVALID);
	if (!strstr(failure.links[0].text, why)) {
		fail_msg("\"%s\" does not say \"%s\"", failure.links[0].text, why);
	}
	assert_int_equal(target.offset, 12345);
	assert_int_equal(fcntl(fd, F_GETFL), flags);
}

static void files(void **state)
{
	const struct job_option zero = {true, 0}, last = {true, INT64_MAX},
				beyond = {true, (uint64_t)INT64_MAX + 1};
	char path[] = "/tmp/fetchd-test-XXXXXX";
	struct output_target target;
	int fd = mkostemp(path, O_CLOEXEC);
	int other = -1;

	(void)state;
	assert_true(fd >= 0);
	target = good(fd, anywhere);
	assert_int_equal(target.kind, OUTPUT_FILE);
	assert_false(target.append || target.has_offset);
	target = good(fd, zero);
	assert_true(target.has_offset && target.offset == 0);
	target = good(fd, last);
	assert_true(target.offset == INT64_MAX);
	bad(fd, beyond, "offset");
	close(fd);

	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	target = good(fd, anywhere);
	assert_true(target.append && !target.has_offset);
	bad(fd, zero, "appending");
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	bad(fd, anywhere, "not open for writing");
	close(fd);
	fd = open(path, O_PATH | O_CLOEXEC);
	bad(fd, anywhere, "not open for writing");
	close(fd);
	/* Not every file system lets itself be opened so. */
	other = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC);
	if (other >= 0) {
		bad(other, anywhere, "O_DIRECT");
		close(other);
	}
	bad(-1, anywhere, "not open for writing");
	assert_int_equal(unlink(path), 0);
}

static void seals(void **state)
{
	static const int against[] = {F_SEAL_WRITE, F_SEAL_FUTURE_WRITE};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);

		assert_true(fd >= 0);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
		assert_int_equal(good(fd, anywhere).kind, OUTPUT_FILE);
		assert_int_equal(fcntl(fd, F_ADD_SEALS, against[i]), 0);
		bad(fd, anywhere, "sealed");
		close(fd);
	}
}

static void pipes_and_sockets(void **state)
{
	const struct job_option zero = {true, 0};
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	bad(ends[1], anywhere, "O_NONBLOCK");
	bad(ends[0], anywhere, "not open for writing");
	assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(good(ends[1], anywhere).kind, OUTPUT_PIPE);
	bad(ends[1], zero, "no regular file");
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(good(ends[0], anywhere).kind, OUTPUT_SOCKET);
	bad(ends[0], zero, "no regular file");
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	bad(ends[0], anywhere, "no stream socket");
	close(ends[0]);
	close(ends[1]);
}

static void everything_else(void **state)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	bad(fd, anywhere, "neither a regular file");
	close(fd);
	fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bad(fd, anywhere, "not open for writing");
	close(fd);
}

static void file_systems(void **state)
{
	const char *why = NULL;
	bool memory = false;
	int fd = memfd_create("memory", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(output_check_file_system(fd, &memory, &why), 0);
	assert_true(memory);
	assert_null(why);
	close(fd);
	memory = false;
	fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(good(fd, anywhere).kind, OUTPUT_FILE); /* by its looks */
	assert_int_equal(output_check_file_system(fd, &memory, &why), EPERM);
	assert_non_null(strstr(why, "kernel"));
	assert_false(memory);
	close(fd);
	assert_int_equal(output_check_file_system(-1, &memory, &why), EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files),
		cmocka_unit_test(seals),
		cmocka_unit_test(pipes_and_sockets),
		cmocka_unit_test(everything_else),
		cmocka_unit_test(file_systems),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
