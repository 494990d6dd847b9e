/* SPDX-License-Identifier: MIT */
/* client/fetchctl/body.c: text, files small and large, pipes, and what cannot be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LARGE_BYTES (BODY_READ_AHEAD_BYTES + 20000u)

struct fixture {
	char folder[64];
	char path[128];
	char *octets; /* LARGE_BYTES of them */
	int saved_stdin;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/fetchd-test-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/file", fixture->folder);
	fixture->octets = malloc(LARGE_BYTES);
	for (size_t i = 0; i < LARGE_BYTES; i++) {
		fixture->octets[i] = (char)(i * 11 % 253);
	}
	fixture->saved_stdin = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->saved_stdin >= 0) {
		(void)dup2(fixture->saved_stdin, STDIN_FILENO);
		close(fixture->saved_stdin);
	}
	(void)unlink(fixture->path);
	assert_int_equal(rmdir(fixture->folder), 0);
	free(fixture->octets);
	free(fixture);
	return 0;
}

static void write_file(const struct fixture *fixture, size_t length)
{
	FILE *file = fopen(fixture->path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(fixture->octets, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

/* Standard input is the file, at that offset. */
static void redirect(const struct fixture *fixture, off_t offset)
{
	int fd = open(fixture->path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(lseek(fd, offset, SEEK_SET), offset);
	assert_int_equal(dup2(fd, STDIN_FILENO), STDIN_FILENO);
	close(fd);
}

/* Standard input is a pipe with that many bytes in it; returns the other end. */
static int pipe_in(const struct fixture *fixture, size_t length)
{
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 1 << 18) >= (int)LARGE_BYTES);
	assert_int_equal(write(fds[1], fixture->octets, length), length);
	assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
	close(fds[0]);
	return fds[1];
}

static void expect_whole(struct body *body, const void *expected, size_t length)
{
	uint64_t known = 0;

	assert_true(body->given);
	assert_int_equal(body->fd, -1);
	assert_non_null(body->data);
	assert_int_equal(body->length, length);
	assert_memory_equal(body->data, expected, length);
	assert_true(body_known_length(body, &known));
	assert_int_equal(known, length);
	assert_false(body_is_for_one(body));
	body_fini(body);
}

static void test_text(void **state)
{
	struct body body;

	(void)state;
	body_init(&body);
	assert_false(body.given);
	assert_int_equal(body_add_text(&body, ""), 0);
	expect_whole(&body, "", 0);
	assert_int_equal(body_add_text(&body, "a=b"), 0);
	assert_int_equal(body_add_text(&body, ""), 0);
	assert_int_equal(body_add_text(&body, "c"), 0);
	expect_whole(&body, "a=b&&c", 6);
	body_fini(&body);
}

static void test_small_files(void **state)
{
	struct fixture *fixture = *state;
	struct body body;

	body_init(&body);
	write_file(fixture, 0);
	assert_int_equal(body_add_file(&body, fixture->path), 0);
	expect_whole(&body, "", 0);
	assert_int_equal(body_set_file(&body, fixture->path), 0);
	expect_whole(&body, "", 0);

	/* The most that is read ahead. */
	write_file(fixture, BODY_READ_AHEAD_BYTES);
	assert_int_equal(body_add_file(&body, fixture->path), 0);
	expect_whole(&body, fixture->octets, BODY_READ_AHEAD_BYTES);
	assert_int_equal(body_set_file(&body, fixture->path), 0);
	expect_whole(&body, fixture->octets, BODY_READ_AHEAD_BYTES);

	write_file(fixture, 3);
	assert_int_equal(body_add_text(&body, "x"), 0);
	assert_int_equal(body_add_file(&body, fixture->path), 0);
	assert_int_equal(body.length, 5);
	assert_memory_equal(body.data + 2, fixture->octets, 3);
	body_fini(&body);
}

static void test_large_file(void **state)
{
	struct fixture *fixture = *state;
	struct body body;
	uint64_t length = 0;

	write_file(fixture, BODY_READ_AHEAD_BYTES + 1);
	for (int i = 0; i < 2; i++) {
		body_init(&body);
		assert_int_equal(i == 0 ? body_add_file(&body, fixture->path)
					: body_set_file(&body, fixture->path),
				 0);
		assert_true(body.fd >= 0 && body.own_fd && body.seekable);
		assert_int_equal(body.length, 0);
		assert_int_equal(body.offset, 0);
		assert_true(body_known_length(&body, &length));
		assert_int_equal(length, BODY_READ_AHEAD_BYTES + 1);
		assert_false(body_is_for_one(&body));
		/* Nothing goes behind it. */
		assert_int_equal(body_add_text(&body, "x"), -EFBIG);
		assert_int_equal(body_add_file(&body, fixture->path), -EFBIG);
		body_fini(&body);
	}
	/* And nothing before it. */
	body_init(&body);
	assert_int_equal(body_add_text(&body, "x"), 0);
	assert_int_equal(body_add_file(&body, fixture->path), -EFBIG);
	body_fini(&body);
}

/* From where its reader had come to. */
static void test_file_as_standard_input(void **state)
{
	struct fixture *fixture = *state;
	struct body body;
	uint64_t length = 0;

	body_init(&body);
	write_file(fixture, LARGE_BYTES);
	redirect(fixture, 5);
	assert_int_equal(body_set_file(&body, "-"), 0);
	assert_true(body.fd == STDIN_FILENO && !body.own_fd && body.seekable);
	assert_int_equal(body.offset, 5);
	assert_true(body_known_length(&body, &length));
	assert_int_equal(length, LARGE_BYTES - 5);
	body_fini(&body);

	redirect(fixture, LARGE_BYTES - 7);
	assert_int_equal(body_set_file(&body, "-"), 0);
	expect_whole(&body, fixture->octets + LARGE_BYTES - 7, 7);
	/* Beyond its end there is nothing. */
	redirect(fixture, LARGE_BYTES + 7);
	assert_int_equal(body_add_file(&body, "-"), 0);
	expect_whole(&body, "", 0);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
}

static void test_pipe(void **state)
{
	struct fixture *fixture = *state;
	struct body body;
	uint64_t length = 0;
	char rest[LARGE_BYTES];
	int other;

	/* -d: what ends early enough is known. */
	body_init(&body);
	other = pipe_in(fixture, 1000);
	close(other);
	assert_int_equal(body_add_file(&body, "-"), 0);
	expect_whole(&body, fixture->octets, 1000);

	/* What does not is kept, as far as it was read, and the rest is still there. */
	other = pipe_in(fixture, LARGE_BYTES);
	assert_int_equal(body_add_file(&body, "-"), 0);
	close(other);
	assert_true(body.fd == STDIN_FILENO && !body.seekable);
	assert_true(body_is_for_one(&body));
	assert_false(body_known_length(&body, &length));
	assert_true(body.length > BODY_READ_AHEAD_BYTES && body.length < LARGE_BYTES);
	assert_memory_equal(body.data, fixture->octets, body.length);
	assert_int_equal(read(STDIN_FILENO, rest, sizeof(rest)), LARGE_BYTES - body.length);
	assert_memory_equal(rest, fixture->octets + body.length, LARGE_BYTES - body.length);
	body_fini(&body);

	/* -T: nothing is waited for. */
	other = pipe_in(fixture, 10);
	assert_int_equal(body_set_file(&body, "-"), 0);
	assert_int_equal(body.length, 0);
	assert_true(body_is_for_one(&body));
	assert_false(body_known_length(&body, &length));
	assert_int_equal(read(STDIN_FILENO, rest, sizeof(rest)), 10);
	close(other);
	body_fini(&body);
}

/* It says that it has no bytes, and has. */
static void test_file_of_the_system(void **state)
{
	struct body body;

	(void)state;
	body_init(&body);
	assert_int_equal(body_set_file(&body, "/proc/self/stat"), 0);
	assert_int_equal(body.fd, -1);
	assert_true(body.length > 10);
	body_fini(&body);
}

static void test_errors(void **state)
{
	struct fixture *fixture = *state;
	struct body body;

	body_init(&body);
	assert_int_equal(body_add_file(&body, fixture->path), -ENOENT);
	assert_int_equal(body_add_file(&body, fixture->folder), -EISDIR);
	assert_int_equal(body.fd, -1);
	body_fini(&body);
	assert_int_equal(body_set_file(&body, fixture->path), -ENOENT);
	assert_int_equal(body_set_file(&body, fixture->folder), -EISDIR);
	/* Reading fails behind opening. */
	assert_int_equal(body_set_file(&body, "/proc/self/mem"), -EIO);
	assert_int_equal(body.fd, -1);
	body_fini(&body);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_text),       TEST(test_small_files),
		TEST(test_large_file), TEST(test_file_as_standard_input),
		TEST(test_pipe),       TEST(test_file_of_the_system),
		TEST(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
