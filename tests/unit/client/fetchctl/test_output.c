/* SPDX-License-Identifier: MIT */
/* client/fetchctl/output.c: files that appear only when complete, and names from URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "output.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const volatile int never = 0;
static char folder[32];

static int setup(void **state)
{
	(void)state;
	(void)snprintf(folder, sizeof(folder), "/tmp/fetchd-unit-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chdir(folder), 0);
	return 0;
}

/* The folder must hold these files and nothing else: no temporary is left behind. */
static void expect_files(size_t count)
{
	DIR *open_folder = opendir(".");
	struct dirent *entry;
	size_t found = 0;

	assert_non_null(open_folder);
	while ((entry = readdir(open_folder)) != NULL) {
		found += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	}
	closedir(open_folder);
	assert_int_equal(found, count);
}

static void expect_content(const char *path, const char *content)
{
	char text[64] = {0};
	FILE *in = fopen(path, "re");

	assert_non_null(in);
	assert_int_equal(fread(text, 1, sizeof(text) - 1, in), strlen(content));
	(void)fclose(in);
	assert_string_equal(text, content);
}

static void put(const char *path, const char *content, mode_t mode)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), (ssize_t)strlen(content));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void test_appears_when_complete(void **state)
{
	struct output output = {0};
	struct stat status;

	(void)state;
	(void)umask(027);
	assert_int_equal(output_open_file(&output, "new"), 0);
	assert_int_equal(output_write(&output, "hel", 3, &never), 0);
	assert_int_equal(output_write(&output, "lo", 2, &never), 0);
	assert_int_equal(access("new", F_OK), -1);
	assert_int_equal(output_commit(&output), 0);
	expect_content("new", "hello");
	assert_int_equal(stat("new", &status), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	expect_files(1);
	/* Nothing left to do. */
	output_discard(&output);
	assert_int_equal(output_commit(&output), 0);
	expect_files(1);
	assert_int_equal(unlink("new"), 0);
}

static void test_old_file_stays_until_then(void **state)
{
	struct output output = {0};
	struct stat status;

	(void)state;
	put("old", "before", 0604);
	assert_int_equal(output_open_file(&output, "./old"), 0);
	assert_int_equal(output_write(&output, "after", 5, &never), 0);
	expect_content("old", "before");
	output_discard(&output);
	expect_content("old", "before");
	expect_files(1);

	assert_int_equal(output_open_file(&output, "old"), 0);
	assert_int_equal(output_write(&output, "after", 5, &never), 0);
	assert_int_equal(output_commit(&output), 0);
	expect_content("old", "after");
	assert_int_equal(stat("old", &status), 0);
	assert_int_equal(status.st_mode & 0777, 0604);
	assert_int_equal(unlink("old"), 0);
}

static void test_link_stays_a_link(void **state)
{
	struct output output = {0};
	struct stat status;

	(void)state;
	put("target", "before", 0644);
	assert_int_equal(symlink("target", "link"), 0);
	assert_int_equal(output_open_file(&output, "link"), 0);
	assert_int_equal(output_write(&output, "after", 5, &never), 0);
	assert_int_equal(output_commit(&output), 0);
	assert_int_equal(lstat("link", &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	expect_content("target", "after");
	assert_int_equal(unlink("link"), 0);
	assert_int_equal(unlink("target"), 0);
}

static void test_devices_are_written_to(void **state)
{
	struct output output = {0};
	struct stat status;

	(void)state;
	assert_int_equal(output_open_file(&output, "/dev/null"), 0);
	assert_int_equal(output_write(&output, "x", 1, &never), 0);
	assert_int_equal(output_commit(&output), 0);
	assert_int_equal(stat("/dev/null", &status), 0);
	assert_true(S_ISCHR(status.st_mode));
	assert_int_equal(output_open_file(&output, "/dev/full"), 0);
	assert_int_equal(output_write(&output, "x", 1, &never), -ENOSPC);
	output_discard(&output);
	assert_int_equal(access("/dev/full", F_OK), 0);
}

static void test_errors(void **state)
{
	struct output output = {0};
	char long_name[256];

	(void)state;
	assert_int_equal(output_open_file(&output, "."), -EISDIR);
	assert_int_equal(output_open_file(&output, "no/such/folder"), -ENOENT);
	assert_int_equal(output_open_file(&output, ""), -ENOENT);
	assert_int_equal(output_open_file(&output, "new/"), -EISDIR);
	output_discard(&output);

	/* As long as a name may be: the temporary's is cut. */
	memset(long_name, 'n', 255);
	long_name[255] = '\0';
	assert_int_equal(output_open_file(&output, long_name), 0);
	assert_int_equal(output_commit(&output), 0);
	assert_int_equal(access(long_name, F_OK), 0);
	assert_int_equal(unlink(long_name), 0);
	expect_files(0);

	/* Refused before anything was fetched, not when the temporary is to be renamed. */
	char too_long[300];

	memset(too_long, 'n', 256);
	too_long[256] = '\0';
	assert_int_equal(output_open_file(&output, too_long), -ENAMETOOLONG);
	assert_int_equal(symlink("loop", "loop"), 0);
	assert_int_equal(output_open_file(&output, "loop"), -ELOOP);
	assert_int_equal(unlink("loop"), 0);
	assert_int_equal(output_open_file(&output, "/dev/null/file"), -ENOTDIR);
	expect_files(0);
}

static void test_nowhere(void **state)
{
	struct output output = {0};

	(void)state;
	assert_int_equal(output_write(&output, "x", 1, &never), 0);
	assert_int_equal(output_commit(&output), 0);
	output_discard(&output);
}

static void test_interrupted(void **state)
{
	struct output output = {.kind = OUTPUT_STDOUT};
	const volatile int now = 2;
	static char data[200000];
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	output.fd = fds[1];
	/* Does not fit the pipe, which nobody reads: it must not wait for ever. */
	assert_int_equal(output_write(&output, data, sizeof(data), &now), -EINTR);
	close(fds[0]);
	close(fds[1]);
}

static void test_names(void **state)
{
	static const struct {
		const char *url;
		int error;
		const char *name;
	} cases[] = {
		{"https://a/b", 0, "b"},
		{"https://a/b/c.tar.gz", 0, "c.tar.gz"},
		{"https://a/b?c=/d", 0, "b"},
		{"https://a/b#/c", 0, "b"},
		{"https://a/%41%c3%a4", 0, "A\xc3\xa4"},
		{"https://a/b%", 0, "b%"},
		{"https://a/b%2", 0, "b%2"},
		{"https://a/b%zz", 0, "b%zz"},
		{"https://a/...", 0, "..."},
		{"https://a", -EINVAL, NULL},
		{"https://a/", -EINVAL, NULL},
		{"https://a/b/", -EINVAL, NULL},
		{"https://a?b/c", -EINVAL, NULL},
		{"https://a/.", -EINVAL, NULL},
		{"https://a/..", -EINVAL, NULL},
		{"https://a/%2e%2E", -EINVAL, NULL},
		{"https://a/b%2fc", -EINVAL, NULL},
		{"https://a/b%00c", -EINVAL, NULL},
		{"https://a/b%0ac", -EINVAL, NULL},
		{"a/b", -EINVAL, NULL},
		{"", -EINVAL, NULL},
	};
	char url[400], *name = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		name = NULL;
		assert_int_equal(output_name_from_url(cases[i].url, &name), cases[i].error);
		if (cases[i].name == NULL) {
			assert_null(name);
		} else {
			assert_string_equal(name, cases[i].name);
		}
		free(name);
	}
	(void)snprintf(url, sizeof(url), "https://a/%0255d", 0);
	assert_int_equal(output_name_from_url(url, &name), 0);
	free(name);
	(void)snprintf(url, sizeof(url), "https://a/%0256d", 0);
	assert_int_equal(output_name_from_url(url, &name), -ENAMETOOLONG);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(chdir("/"), 0);
	return rmdir(folder);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_appears_when_complete),
		TEST(test_old_file_stays_until_then),
		TEST(test_link_stays_a_link),
		TEST(test_devices_are_written_to),
		TEST(test_errors),
		TEST(test_nowhere),
		TEST(test_interrupted),
		TEST(test_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
