/* SPDX-License-Identifier: MIT */
/* client/socket_path.c: whose socket is meant. */
#include "unit/client/fake_daemon.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static void test_order(void **state)
{
	char folder[] = "/tmp/fetchd-unit-XXXXXX", path[256], own[64], own_folder[64], small[8];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(own_folder, sizeof(own_folder), "%s/fetchd", folder);
	(void)snprintf(own, sizeof(own), "%s/fetchd/fetchd.sock", folder);

	assert_int_equal(setenv("FETCHD_SOCKET", "/named", 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", folder, 1), 0);
	assert_int_equal(fetchd_socket_path(path, sizeof(path)), 0);
	assert_string_equal(path, "/named");
	assert_int_equal(fetchd_socket_path(small, 6), -ENAMETOOLONG);
	assert_int_equal(fetchd_socket_path(small, 7), 0);

	/* Empty is unset; and the user's own counts only if it is there. */
	assert_int_equal(setenv("FETCHD_SOCKET", "", 1), 0);
	assert_int_equal(fetchd_socket_path(path, sizeof(path)), 0);
	assert_string_equal(path, "/run/fetchd/fetchd.sock");

	assert_int_equal(mkdir(own_folder, 0700), 0);
	fd = open(own, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(fetchd_socket_path(path, sizeof(path)), 0);
	assert_string_equal(path, own);

	/* A relative one would depend on where the program stands. */
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "relative", 1), 0);
	assert_int_equal(fetchd_socket_path(path, sizeof(path)), 0);
	assert_string_equal(path, "/run/fetchd/fetchd.sock");
	unlink(own);
	rmdir(own_folder);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
