/* SPDX-License-Identifier: MIT */
/* client/connection.c: hello, the event loop's shape, loss, goodbye, closing. */
#include "unit/client/fake_daemon.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/un.h>

static int closed_calls;
static enum fetchd_close_reason closed_reason;
static char closed_text[128];

static void note_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	(void)job;
	(void)user;
	closed_calls++;
	closed_reason = closed->reason;
	closed_text[0] = '\0';
	if (closed->failure_count > 0) {
		(void)snprintf(closed_text, sizeof(closed_text), "%s", closed->failures[0].text);
	}
}

static const struct fetchd_job_callbacks note = {.size = sizeof(note), .on_closed = note_closed};

static struct fetchd_job *submit(struct fetchd_connection *connection)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_job *job = NULL;

	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(connection, &request, &note, NULL, &job), 0);
	assert_non_null(job);
	return job;
}

static int setup(void **state)
{
	(void)state;
	closed_calls = 0;
	closed_reason = FETCHD_CLOSE_UNSPECIFIED;
	return 0;
}

static void test_hello_and_submit_in_one_write(void **state)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;

	(void)state;
	assert_int_equal(fetchd_get_events(connection), POLLIN | POLLOUT);
	assert_int_equal(fetchd_get_timeout(connection), -1);
	assert_null(fetchd_get_server(connection));
	assert_false(fetchd_has_feature(connection, "first"));
	submit(connection);
	fake_expect_nothing(&fake);

	assert_int_equal(fetchd_flush(connection), 0);
	assert_int_equal(fetchd_get_events(connection), POLLIN);
	frame = fake_next(&fake);
	assert_int_equal(frame->kind, WIRE_CLIENT_HELLO);
	assert_int_equal(frame->id, 0);
	assert_int_equal(frame->hello.major, 1);
	assert_string_equal(frame->hello.client_name, "unit test");
	wire_client_frame_free(frame);
	assert_int_equal(fake_expect(&fake, WIRE_CLIENT_SUBMIT), 1);

	fake_hello(&fake);
	assert_int_equal(fetchd_process(connection), 0);
	assert_string_equal(fetchd_get_server(connection)->version, "9.8.7");
	assert_int_equal(fetchd_get_server(connection)->max_jobs, 64);
	assert_true(fetchd_has_feature(connection, "second"));
	assert_false(fetchd_has_feature(connection, "third"));
	assert_int_equal(fetchd_open_jobs(connection), 1);

	fetchd_close(connection);
	assert_int_equal(closed_calls, 0);
	fake_stop(&fake);
}

static void test_client_name_is_cut_and_cleaned(void **state)
{
	struct fetchd_connection *connection = NULL;
	struct fake_daemon fake = {.fd = -1};
	struct wire_client_frame *frame;
	char name[100];
	int fds[2];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[0] = '\n';
	name[1] = '\xff';
	name[99] = '\0';
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fake.fd = fds[1];
	frame_reader_init(&fake.reader, WIRE_CLIENT_FRAME_MAX);
	assert_int_equal(fetchd_connect_fd(fds[0], name, &connection), 0);
	assert_int_equal(fcntl(fds[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fcntl(fds[0], F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(fetchd_flush(connection), 0);
	frame = fake_next(&fake);
	assert_int_equal(strlen(frame->hello.client_name), 64);
	assert_memory_equal(frame->hello.client_name, "??xx", 4);
	wire_client_frame_free(frame);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_daemon_lost(void **state)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	submit(connection);
	submit(connection);
	assert_int_equal(fetchd_flush(connection), 0);
	fake_accept(&fake, 1, 77);
	fake_stop(&fake);

	/* What it had sent is read first. */
	assert_int_equal(fetchd_process(connection), 0);
	assert_int_equal(closed_calls, 0);
	assert_int_equal(fetchd_process(connection), -ECONNRESET);
	assert_int_equal(closed_calls, 2);
	assert_int_equal(closed_reason, FETCHD_CLOSE_DAEMON_LOST);
	assert_non_null(strstr(closed_text, "closed"));
	assert_int_equal(fetchd_open_jobs(connection), 0);
	assert_int_equal(fetchd_error(connection), -ECONNRESET);
	assert_true(fetchd_error_text(connection)[0] != '\0');

	/* Final, and told once. */
	assert_int_equal(fetchd_get_timeout(connection), 0);
	assert_int_equal(fetchd_process(connection), -ECONNRESET);
	assert_int_equal(fetchd_wait(connection, 0), -ECONNRESET);
	assert_int_equal(fetchd_flush(connection), -ECONNRESET);
	assert_int_equal(closed_calls, 2);
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(connection, &request, &note, NULL, NULL), -ECONNRESET);
	fetchd_close(connection);
}

static void test_send_error_reads_the_rest_first(void **state)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	const char *text = NULL;

	(void)state;
	fake_greet(&fake, connection);
	submit(connection);
	fake_send(&fake, &(struct wire_server_frame){
				 .kind = WIRE_SERVER_GOODBYE,
				 .goodbye = {.code = WIRE_GOODBYE_SHUTDOWN, .text = "bye now"}});
	fake_stop(&fake);

	assert_int_equal(fetchd_flush(connection), -EPIPE);
	assert_int_equal(closed_calls, 0);
	assert_int_equal(fetchd_get_timeout(connection), 0);
	assert_int_equal(fetchd_process(connection), -ECONNRESET);
	assert_int_equal(fetchd_goodbye(connection, &text), FETCHD_GOODBYE_SHUTDOWN);
	assert_string_equal(text, "bye now");
	assert_non_null(strstr(fetchd_error_text(connection), "SHUTDOWN: bye now"));
	assert_int_equal(closed_calls, 1);
	fetchd_close(connection);
}

static void expect_protocol_error(const struct wire_server_frame *frame, bool greeted, int error)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	if (greeted) {
		fake_greet(&fake, connection);
	}
	submit(connection);
	fake_send(&fake, frame);
	closed_calls = 0;
	assert_int_equal(fetchd_process(connection), error);
	assert_int_equal(closed_calls, 1);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_protocol_errors(void **state)
{
	(void)state;
	expect_protocol_error(&(struct wire_server_frame){.id = 1, .kind = WIRE_SERVER_ACCEPTED},
			      false, -EPROTO);
	expect_protocol_error(
		&(struct wire_server_frame){
			.kind = WIRE_SERVER_HELLO,
			.hello = {.major = 2, .server_version = "", .instance_id = ""}},
		false, -EPROTONOSUPPORT);
	expect_protocol_error(
		&(struct wire_server_frame){
			.kind = WIRE_SERVER_HELLO,
			.hello = {.major = 1, .server_version = "", .instance_id = ""}},
		true, -EPROTO);
	expect_protocol_error(&(struct wire_server_frame){.id = 9, .kind = WIRE_SERVER_ACCEPTED},
			      true, -EPROTO);
	expect_protocol_error(&(struct wire_server_frame){.id = 9, .kind = WIRE_SERVER_CLOSED},
			      true, -EPROTO);
}

static void test_garbage(void **state)
{
	static const uint8_t too_long[] = {0xff, 0xff, 0xff, 0x7f};
	static const uint8_t padded[] = {0x80, 0x00};
	static const uint8_t nonsense[] = {3, 0xff, 0xff, 0xff};
	static const struct {
		const uint8_t *data;
		size_t length;
	} inputs[] = {{too_long, sizeof(too_long)},
		      {padded, sizeof(padded)},
		      {nonsense, sizeof(nonsense)}};

	(void)state;
	for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
		struct fake_daemon fake;
		struct fetchd_connection *connection = fake_start(&fake);

		fake_greet(&fake, connection);
		fake_write(&fake, inputs[i].data, inputs[i].length);
		assert_int_equal(fetchd_process(connection), -EPROTO);
		fetchd_close(connection);
		fake_stop(&fake);
	}
}

static void test_unknown_message_is_ignored(void **state)
{
	/* Field 31, length-delimited, empty: a message of the future. */
	static const uint8_t future[] = {3, 0xfa, 0x01, 0x00};
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	fake_write(&fake, future, sizeof(future));
	assert_int_equal(fetchd_process(connection), 0);
	assert_int_equal(fetchd_error(connection), 0);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_frame_in_single_bytes(void **state)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	uint8_t *data = NULL;
	size_t length = 0;

	(void)state;
	fake_greet(&fake, connection);
	submit(connection);
	assert_int_equal(
		wire_server_frame_encode(
			&(struct wire_server_frame){.id = 1,
						    .kind = WIRE_SERVER_CLOSED,
						    .closed = {.reason = WIRE_CLOSE_ENDED}},
			&data, &length),
		0);
	for (size_t i = 0; i < length; i++) {
		assert_int_equal(closed_calls, 0);
		fake_write(&fake, data + i, 1);
		assert_int_equal(fetchd_process(connection), i + 1 == length ? 1 : 0);
	}
	free(data);
	assert_int_equal(closed_calls, 1);
	assert_int_equal(closed_reason, FETCHD_CLOSE_ENDED);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void close_in_callback(struct fetchd_job *job, uint64_t daemon_id, void *user)
{
	struct fetchd_connection *connection = fetchd_job_connection(job);
	struct fetchd_request request = FETCHD_REQUEST_INIT;

	(void)user;
	assert_int_equal(daemon_id, 5);
	assert_int_equal(fetchd_process(connection), -EBUSY);
	assert_int_equal(fetchd_wait(connection, 0), -EBUSY);
	fetchd_close(connection);
	fetchd_close(connection);
	/* Still there until this returns, but of no use. */
	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), -ECANCELED);
	fetchd_job_cancel(job);
}

static void test_close_in_callback(void **state)
{
	struct fetchd_job_callbacks callbacks = note;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	callbacks.on_accepted = close_in_callback;
	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(connection, &request, &callbacks, NULL, NULL), 0);
	submit(connection);
	fake_accept(&fake, 1, 5);
	fake_close_job(&fake, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(fetchd_process(connection), -ECANCELED);
	assert_int_equal(closed_calls, 0);
	fake_stop(&fake);
}

static void close_when_lost(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	note_closed(job, closed, user);
	fetchd_close(fetchd_job_connection(job));
}

static void test_close_while_losing(void **state)
{
	struct fetchd_job_callbacks callbacks = FETCHD_JOB_CALLBACKS_INIT;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	callbacks.on_closed = close_when_lost;
	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(connection, &request, &callbacks, NULL, NULL), 0);
	submit(connection);
	assert_int_equal(fetchd_flush(connection), 0);
	fake_stop(&fake);
	assert_int_equal(fetchd_process(connection), -ECANCELED);
	assert_int_equal(closed_calls, 1);
}

static void test_output_is_bounded(void **state)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;
	uint64_t submitted = 0, seen = 0;
	static uint8_t body[60000];
	int r;

	(void)state;
	fake_greet(&fake, connection);
	request.url = "https://example.org/";
	request.body = body;
	request.body_length = sizeof(body);
	while ((r = fetchd_submit(connection, &request, &note, NULL, NULL)) == 0) {
		submitted++;
		assert_true(submitted < 1000);
	}
	assert_int_equal(r, -EAGAIN);
	assert_int_equal(fetchd_ping(connection, NULL, NULL), -EINVAL);
	assert_int_equal(fetchd_flush(connection), 1);
	assert_true(fetchd_get_events(connection) & POLLOUT);

	/* Reading makes room, and nothing was lost or torn. */
	do {
		while ((frame = fake_next(&fake)) != NULL) {
			seen++;
			assert_int_equal(frame->id, seen);
			assert_int_equal(frame->submit.body.length, sizeof(body));
			wire_client_frame_free(frame);
		}
	} while (fetchd_flush(connection) == 1 || seen < submitted);
	assert_int_equal(seen, submitted);
	assert_int_equal(fetchd_submit(connection, &request, &note, NULL, NULL), 0);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_connect(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct fetchd_connection *connection = NULL, *others[8];
	char folder[] = "/tmp/fetchd-unit-XXXXXX", path[64], long_path[200];
	size_t count = 0;
	int listener, file, r = 0;

	(void)state;
	assert_non_null(mkdtemp(folder));
	(void)snprintf(path, sizeof(path), "%s/s", folder);
	memset(long_path, 'x', sizeof(long_path) - 1);
	long_path[sizeof(long_path) - 1] = '\0';

	assert_int_equal(fetchd_connect(path, NULL, 0, &connection), -ENOENT);
	assert_int_equal(fetchd_connect("", NULL, 0, &connection), -ENOENT);
	assert_int_equal(fetchd_connect(long_path, NULL, 0, &connection), -ENAMETOOLONG);

	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fetchd_connect(path, NULL, 0, &connection), -ECONNREFUSED);
	assert_int_equal(listen(listener, 0), 0);

	/* The backlog takes a few and then is full; nobody accepts. */
	while (count < 8 && (r = fetchd_connect(path, NULL, 1, &others[count])) == 0) {
		count++;
	}
	assert_true(count >= 1 && count < 8);
	assert_int_equal(r, -ETIMEDOUT);
	close(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	assert_int_equal(fetchd_connect(path, NULL, 60000, &connection), 0);
	fetchd_close(connection);
	while (count > 0) {
		fetchd_close(others[--count]);
	}
	fetchd_close(NULL);
	close(listener);

	file = open(path, O_PATH | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(fetchd_connect_fd(file, NULL, &connection), -EBADF);
	file = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fetchd_connect_fd(file, NULL, &connection), -ENOTSOCK);
	/* Consumed also on failure. */
	assert_int_equal(fcntl(file, F_GETFD), -1);
	assert_int_equal(fetchd_connect_fd(-1, NULL, &connection), -EBADF);
	assert_int_equal(fetchd_connect_fd(socket(AF_UNIX, SOCK_DGRAM, 0), NULL, &connection),
			 -EPROTOTYPE);
	unlink(path);
	rmdir(folder);
}

static void test_wait_times_out(void **state)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	assert_int_equal(fetchd_wait(connection, 1), 0);
	submit(connection);
	fake_close_job(&fake, 1, WIRE_CLOSE_ENDED);
	assert_int_equal(fetchd_wait(connection, -1), 1);
	assert_int_equal(closed_calls, 1);
	fetchd_close(connection);
	fake_stop(&fake);
}

/* poll() itself fails: the connection is lost like any other, with all that this means. */
static void test_wait_that_cannot(void **state)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct rlimit old, none;

	(void)state;
	fake_greet(&fake, connection);
	submit(connection);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = old;
	none.rlim_cur = 0;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(fetchd_wait(connection, 0), -EINVAL);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(fetchd_error(connection), -EINVAL);
	assert_non_null(strstr(fetchd_error_text(connection), "wait"));
	assert_int_equal(fetchd_open_jobs(connection), 0);
	fetchd_close(connection);
	fake_stop(&fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_hello_and_submit_in_one_write, setup),
		cmocka_unit_test_setup(test_client_name_is_cut_and_cleaned, setup),
		cmocka_unit_test_setup(test_daemon_lost, setup),
		cmocka_unit_test_setup(test_send_error_reads_the_rest_first, setup),
		cmocka_unit_test_setup(test_protocol_errors, setup),
		cmocka_unit_test_setup(test_garbage, setup),
		cmocka_unit_test_setup(test_unknown_message_is_ignored, setup),
		cmocka_unit_test_setup(test_frame_in_single_bytes, setup),
		cmocka_unit_test_setup(test_close_in_callback, setup),
		cmocka_unit_test_setup(test_close_while_losing, setup),
		cmocka_unit_test_setup(test_output_is_bounded, setup),
		cmocka_unit_test_setup(test_connect, setup),
		cmocka_unit_test_setup(test_wait_times_out, setup),
		cmocka_unit_test_setup(test_wait_that_cannot, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
