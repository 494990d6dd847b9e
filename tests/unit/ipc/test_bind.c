/* SPDX-License-Identifier: MIT */
/*
 * Making the listening socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[64];
static char path[96];

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/fetchd-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	return 0;
}

static int teardown(void **state)
{
	char lock[128];

	(void)state;
	snprintf(lock, sizeof(lock), "%s.lock", path);
	(void)unlink(lock);
	(void)unlink(path);
	return rmdir(folder);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	memcpy(address.sun_path, path, strlen(path) + 1);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static void listens_with_its_mode(void **state)
{
	static const unsigned modes[] = {0600, 0660, 0666};
	mode_t mask = umask(0027);
	struct stat st;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		int fd = -1;
		int client = -1;

		assert_int_equal(ipc_bind(path, modes[i], &fd), 0);
		assert_int_equal(lstat(path, &st), 0);
		assert_true(S_ISSOCK(st.st_mode));
		assert_int_equal(st.st_mode & 07777, modes[i]);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		client = dial();
		assert_true(client >= 0);
		close(client);
		close(fd);
	}
	/* The process's mask is as it was. */
	assert_int_equal(umask(mask), 0027);
}

static void live_socket_is_left_alone(void **state)
{
	int first = -1;
	int second = -7;
	int client = -1;

	(void)state;
	assert_int_equal(ipc_bind(path, 0600, &first), 0);
	assert_int_equal(ipc_bind(path, 0600, &second), -EADDRINUSE);
	assert_int_equal(second, -7);
	client = dial();
	assert_true(client >= 0);
	close(client);
	close(first);
	/* Dead now: it is replaced. */
	assert_int_equal(dial(), -ECONNREFUSED);
	assert_int_equal(ipc_bind(path, 0600, &second), 0);
	client = dial();
	assert_true(client >= 0);
	close(client);
	close(second);
}

static void what_is_no_socket_is_left_alone(void **state)
{
	struct stat st;
	int fd = -7;
	int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

	(void)state;
	assert_true(file >= 0);
	close(file);
	assert_int_equal(ipc_bind(path, 0600, &fd), -EEXIST);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	/* Nor is a link followed. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/nowhere", path), 0);
	assert_int_equal(ipc_bind(path, 0600, &fd), -EEXIST);
	assert_int_equal(fd, -7);
}

static void bad_paths(void **state)
{
	char name[300];
	int fd = -7;

	(void)state;
	memset(name, 'a', sizeof(name));
	name[0] = '/';
	name[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = '\0';
	assert_int_equal(ipc_bind(name, 0600, &fd), -ENAMETOOLONG);
	snprintf(name, sizeof(name), "%s/none/socket", folder);
	assert_int_equal(ipc_bind(name, 0600, &fd), -ENOENT);
	assert_int_equal(fd, -7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(listens_with_its_mode),
		TEST(live_socket_is_left_alone),
		TEST(what_is_no_socket_is_left_alone),
		TEST(bad_paths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
