/* SPDX-License-Identifier: MIT */
/*
 * client/fetch.c: the blocking call, against a daemon in a child process that answers one job from
 * a script.
 */
#include "unit/client/fake_daemon.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define BODY_BYTES 50000u

enum script {
	SCRIPT_ENDED,
	SCRIPT_RESET,
	SCRIPT_VANISH,
};

struct fixture {
	char folder[32];
	char path[64];
	int listener;
	pid_t child;
};

/* Waits for the job. Was it left to us what credit it begins with? */
static bool block_until_default_credit(struct fake_daemon *fake)
{
	for (;;) {
		struct pollfd poll_fd = {.fd = fake->fd, .events = POLLIN};
		struct wire_client_frame *frame = fake_next(fake);
		bool found, is_default;

		if (frame == NULL) {
			(void)poll(&poll_fd, 1, -1);
			/* The client may hang up instead. */
			if (recv(fake->fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
				_exit(3);
			}
			continue;
		}
		found = frame->kind == WIRE_CLIENT_SUBMIT;
		is_default = found && !frame->submit.initial_credit.set;
		wire_client_frame_free(frame);
		if (found) {
			return is_default;
		}
	}
}

/* Sends the body within the default credit, waiting for more as a daemon does. */
static void serve(struct fake_daemon *fake, enum script script)
{
	static uint8_t data[FAKE_DEFAULT_CREDIT];
	size_t credit = FAKE_DEFAULT_CREDIT, offset = 0;

	if (!block_until_default_credit(fake)) {
		_exit(4);
	}
	fake_hello(fake);
	fake_accept(fake, 1, 1);
	fake_send(fake, &(struct wire_server_frame){
				.id = 1,
				.kind = WIRE_SERVER_HEAD,
				.head = {.status = 404,
					 .content_length = {.set = true, .value = BODY_BYTES},
					 .connection = {.remote = "",
							.tls_version = "",
							.tls_cipher = "",
							.certificate_subject = ""}}});
	while (offset < BODY_BYTES) {
		size_t length = credit < BODY_BYTES - offset ? credit : BODY_BYTES - offset;

		if (length > 0) {
			for (size_t i = 0; i < length; i++) {
				data[i] = (uint8_t)((offset + i) % 251);
			}
			fake_body(fake, 1, offset, data, length);
			offset += length;
			credit -= length;
		}
		if (script != SCRIPT_ENDED && offset > BODY_BYTES / 2) {
			break;
		}
		if (offset < BODY_BYTES) {
			struct pollfd poll_fd = {.fd = fake->fd, .events = POLLIN};
			struct wire_client_frame *frame = fake_next(fake);

			if (frame == NULL) {
				(void)poll(&poll_fd, 1, -1);
				continue;
			}
			if (frame->kind == WIRE_CLIENT_CANCEL) {
				wire_client_frame_free(frame);
				fake_close_job(fake, 1, WIRE_CLOSE_CANCELLED);
				return;
			}
			assert_int_equal(frame->kind, WIRE_CLIENT_CREDIT);
			credit += frame->credit.bytes;
			assert_true(credit <= FAKE_DEFAULT_CREDIT);
			wire_client_frame_free(frame);
		}
	}
	if (script == SCRIPT_VANISH) {
		return;
	}
	fake_send(fake,
		  &(struct wire_server_frame){
			  .id = 1,
			  .kind = WIRE_SERVER_CLOSED,
			  .closed = {.reason = script == SCRIPT_ENDED ? WIRE_CLOSE_ENDED
								      : WIRE_CLOSE_RESET,
				     .failures = &(struct wire_failure){.code = WIRE_FAIL_H2_RESET,
									.text = "was reset"},
				     .failure_count = script == SCRIPT_ENDED ? 0 : 1}});
}

static void start(struct fixture *fixture, enum script script)
{
	fixture->child = fork();
	assert_true(fixture->child >= 0);
	if (fixture->child == 0) {
		static struct fake_daemon fake;

		fake.fd = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
		frame_reader_init(&fake.reader, WIRE_CLIENT_FRAME_MAX);
		serve(&fake, script);
		close(fake.fd);
		_exit(0);
	}
}

static void finish(struct fixture *fixture)
{
	int status = 0;

	assert_int_equal(waitpid(fixture->child, &status, 0), fixture->child);
	assert_int_equal(status, 0);
}

static int setup(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	(void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/fetchd-unit-XXXXXX");
	assert_non_null(mkdtemp(fixture->folder));
	(void)snprintf(fixture->path, sizeof(fixture->path), "%s/s", fixture->folder);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", fixture->path);
	fixture->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fixture->listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fixture->listener, 4), 0);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->listener);
	unlink(fixture->path);
	rmdir(fixture->folder);
	free(fixture);
	return 0;
}

static int fetch(struct fixture *fixture, int fd, struct fetchd_result *result)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;

	request.url = "https://example.org/";
	/* Would stall if it were believed. */
	request.manual_credit = true;
	return fetchd_fetch_to_fd(fixture->path, &request, fd, result);
}

/* A caller who was built with a later header, and one who asks for a start without credit. */
static void test_credit_of_any_caller(void **state)
{
	struct {
		struct fetchd_request known;
		uint64_t unknown;
	} later = {.known = FETCHD_REQUEST_INIT};
	struct fetchd_result result = FETCHD_RESULT_INIT;
	struct fixture *fixture = *state;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	later.known.size = sizeof(later);
	later.known.url = "https://example.org/";
	later.known.manual_credit = true;
	later.known.initial_credit_bytes = 0;
	start(fixture, SCRIPT_ENDED);
	assert_int_equal(fetchd_fetch_to_fd(fixture->path, &later.known, fd, &result), 0);
	finish(fixture);
	assert_int_equal(result.written_bytes, BODY_BYTES);
	/* The caller's own is not touched. */
	assert_true(later.known.manual_credit);

	later.unknown = 1;
	assert_int_equal(fetchd_fetch_to_fd(fixture->path, &later.known, fd, &result), -E2BIG);
	assert_non_null(strstr(result.text, "cannot submit"));
	later.known.size = 1;
	assert_int_equal(fetchd_fetch_to_fd(fixture->path, &later.known, fd, &result), -EINVAL);
	close(fd);
}

static void test_ended(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_result result = FETCHD_RESULT_INIT;
	static uint8_t data[BODY_BYTES + 1];
	int fd = open(fixture->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	start(fixture, SCRIPT_ENDED);
	assert_int_equal(fetch(fixture, fd, &result), 0);
	finish(fixture);
	assert_int_equal(result.reason, FETCHD_CLOSE_ENDED);
	assert_int_equal(result.status, 404);
	assert_int_equal(result.content_length, BODY_BYTES);
	assert_int_equal(result.written_bytes, BODY_BYTES);
	assert_string_equal(result.text, "");
	assert_int_equal(pread(fd, data, sizeof(data), 0), BODY_BYTES);
	for (size_t i = 0; i < BODY_BYTES; i++) {
		assert_int_equal(data[i], i % 251);
	}
	close(fd);
}

static void test_ended_badly(void **state)
{
	struct fetchd_result result = FETCHD_RESULT_INIT;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	start(*state, SCRIPT_RESET);
	assert_int_equal(fetch(*state, fd, &result), 1);
	finish(*state);
	assert_int_equal(result.reason, FETCHD_CLOSE_RESET);
	assert_int_equal(result.code, FETCHD_FAIL_H2_RESET);
	assert_string_equal(result.text, "was reset");
	assert_true(result.written_bytes > 0 && result.written_bytes < BODY_BYTES);
	close(fd);
}

static void test_daemon_vanishes(void **state)
{
	struct fetchd_result result = FETCHD_RESULT_INIT;
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	start(*state, SCRIPT_VANISH);
	assert_int_equal(fetch(*state, fd, &result), -ECONNRESET);
	finish(*state);
	assert_int_equal(result.reason, FETCHD_CLOSE_DAEMON_LOST);
	assert_true(result.text[0] != '\0');
	close(fd);
}

/* A pipe whose reader is gone: an error here, and no signal. */
static void test_broken_pipe(void **state)
{
	struct fetchd_result result = FETCHD_RESULT_INIT;
	sigset_t pending;
	int fds[2];

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	start(*state, SCRIPT_ENDED);
	assert_int_equal(fetch(*state, fds[1], &result), -EPIPE);
	finish(*state);
	assert_int_equal(result.reason, FETCHD_CLOSE_CANCELLED);
	assert_int_equal(result.written_bytes, 0);
	assert_non_null(strstr(result.text, "write"));
	assert_int_equal(sigpending(&pending), 0);
	assert_int_equal(sigismember(&pending, SIGPIPE), 0);
	close(fds[1]);
}

/* A non-blocking pipe that is full: waits, loses nothing. */
static void test_full_pipe(void **state)
{
	struct fetchd_result result = FETCHD_RESULT_INIT;
	static uint8_t data[BODY_BYTES];
	size_t total = 0;
	int fds[2], status = 0;
	pid_t reader;

	assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
	assert_true(fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 0);
	reader = fork();
	assert_true(reader >= 0);
	if (reader == 0) {
		close(fds[1]);
		for (;;) {
			struct pollfd poll_fd = {.fd = fds[0], .events = POLLIN};
			ssize_t got;

			(void)poll(&poll_fd, 1, -1);
			got = read(fds[0], data, 1000);
			if (got == 0) {
				_exit(total == BODY_BYTES ? 0 : 1);
			}
			for (ssize_t i = 0; i < got; i++, total++) {
				if (data[i] != total % 251) {
					_exit(2);
				}
			}
		}
	}
	close(fds[0]);
	start(*state, SCRIPT_ENDED);
	assert_int_equal(fetch(*state, fds[1], &result), 0);
	close(fds[1]);
	finish(*state);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
}

static void test_nobody_there(void **state)
{
	struct fetchd_result result = FETCHD_RESULT_INIT;
	struct fetchd_request request = FETCHD_REQUEST_INIT;

	(void)state;
	request.url = "https://example.org/";
	assert_int_equal(fetchd_fetch_to_fd("/nonexistent/s", &request, 1, &result), -ENOENT);
	assert_int_equal(result.reason, FETCHD_CLOSE_UNSPECIFIED);
	assert_non_null(strstr(result.text, "cannot reach"));
	assert_int_equal(fetchd_fetch_to_fd("/nonexistent/s", &request, 1, NULL), -ENOENT);
	result.size = 0;
	assert_int_equal(fetchd_fetch_to_fd("/nonexistent/s", &request, 1, &result), -EINVAL);
	/* Of an older version: nothing is written behind it. */
	result = (struct fetchd_result)FETCHD_RESULT_INIT;
	result.size = offsetof(struct fetchd_result, status);
	result.status = 77;
	assert_int_equal(fetchd_fetch_to_fd("/nonexistent/s", &request, 1, &result), -ENOENT);
	assert_int_equal(result.status, 77);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_ended),
		TEST(test_ended_badly),
		TEST(test_daemon_vanishes),
		TEST(test_broken_pipe),
		TEST(test_full_pipe),
		TEST(test_nobody_there),
		TEST(test_credit_of_any_caller),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
