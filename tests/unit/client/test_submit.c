/* SPDX-License-Identifier: MIT */
/* client/submit.c: requests, complete and of other sizes, and what cannot be sent. */
#include "unit/client/fake_daemon.h"

#include <stdio.h>
#include <sys/mman.h>

static void test_every_field(void **state)
{
	static const struct fetchd_field headers[] = {
		{"accept", FETCHD_NUL_TERMINATED, "text/html", FETCHD_NUL_TERMINATED},
		{"x-bytesZZ", 7, "\xff\0\x01", 3},
	};
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;
	const struct wire_submit *submit;

	(void)state;
	fake_greet(&fake, connection);
	request.url = "https://example.org/a?b";
	request.method = "PUT";
	request.headers = headers;
	request.header_count = 2;
	request.body = "data";
	request.body_length = 4;
	request.max_size_bytes = 0;
	request.warn_size_bytes = 1;
	request.queue_timeout_ms = 2;
	request.connect_timeout_ms = 3;
	request.first_byte_timeout_ms = 4;
	request.stall_timeout_ms = 5;
	request.total_timeout_ms = 6;
	request.initial_credit_bytes = 7;
	request.priority = FETCHD_PRIORITY_URGENT;
	request.progress_interval_ms = 88;
	request.replay_forbidden = true;
	request.retry_allowed = true;
	request.max_redirects = 9;
	request.redirect_to_cleartext = true;
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), 0);
	assert_int_equal(fetchd_flush(connection), 0);

	frame = fake_next(&fake);
	assert_non_null(frame);
	assert_int_equal(frame->kind, WIRE_CLIENT_SUBMIT);
	submit = &frame->submit;
	assert_string_equal(submit->url, "https://example.org/a?b");
	assert_string_equal(submit->method, "PUT");
	assert_int_equal(submit->header_count, 2);
	assert_int_equal(submit->headers[0].value.length, 9);
	assert_int_equal(submit->headers[1].name.length, 7);
	assert_memory_equal(submit->headers[1].value.data, "\xff\0\x01", 3);
	assert_true(submit->has_body);
	assert_memory_equal(submit->body.data, "data", 4);
	assert_true(submit->max_size.set && submit->max_size.value == 0);
	assert_true(submit->warn_size.set && submit->warn_size.value == 1);
	assert_true(submit->queue_timeout_ms.set && submit->queue_timeout_ms.value == 2);
	assert_true(submit->connect_timeout_ms.set && submit->connect_timeout_ms.value == 3);
	assert_true(submit->first_byte_timeout_ms.set && submit->first_byte_timeout_ms.value == 4);
	assert_true(submit->stall_timeout_ms.set && submit->stall_timeout_ms.value == 5);
	assert_true(submit->total_timeout_ms.set && submit->total_timeout_ms.value == 6);
	assert_true(submit->initial_credit.set && submit->initial_credit.value == 7);
	assert_int_equal(submit->priority, WIRE_PRIORITY_URGENT);
	assert_int_equal(submit->progress_interval_ms, 88);
	assert_true(submit->replay_forbidden);
	assert_true(submit->retry_allowed);
	assert_int_equal(submit->max_redirects, 9);
	assert_true(submit->redirect_to_cleartext);
	assert_false(submit->has_upload);
	wire_client_frame_free(frame);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_defaults_are_absent(void **state)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;

	(void)state;
	fake_greet(&fake, connection);
	request.url = "https://example.org/";
	/* Empty, and not none. */
	request.body = "";
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), 0);
	assert_int_equal(fetchd_flush(connection), 0);
	frame = fake_next(&fake);
	assert_non_null(frame);
	assert_true(frame->submit.has_body);
	assert_int_equal(frame->submit.body.length, 0);
	assert_string_equal(frame->submit.method, "");
	assert_false(frame->submit.max_size.set);
	assert_false(frame->submit.total_timeout_ms.set);
	assert_false(frame->submit.initial_credit.set);
	assert_false(frame->submit.replay_forbidden);
	assert_int_equal(frame->submit.max_redirects, 0);
	assert_false(frame->submit.redirect_to_cleartext);
	assert_false(frame->submit.has_upload);
	wire_client_frame_free(frame);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_an_output(void **state)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_result result = FETCHD_RESULT_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;
	const char *features[] = {"uploads", "fd-output"}, *why = NULL;
	int fd = memfd_create("output", MFD_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	request.url = "https://example.org/";
	request.output_offset = 5;
	assert_int_equal(fetchd_request_check(&request, &why), -EINVAL);
	assert_non_null(strstr(why, "output_fd"));
	request.output_fd = fd;
	assert_int_equal(fetchd_request_check(&request, NULL), 0);
	/* It has one of its own. */
	assert_int_equal(fetchd_fetch_to_fd("/nowhere", &request, fd, &result), -EINVAL);
	/* Nobody knows yet whether the daemon can; then it cannot. */
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), -EAGAIN);
	fake_greet(&fake, connection);
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), -EOPNOTSUPP);
	assert_int_equal(fetchd_open_jobs(connection), 0);
	fetchd_close(connection);
	fake_stop(&fake);

	connection = fake_start(&fake);
	assert_int_equal(fetchd_flush(connection), 0);
	(void)fake_expect(&fake, WIRE_CLIENT_HELLO);
	fake_send(&fake, &(struct wire_server_frame){.kind = WIRE_SERVER_HELLO,
						     .hello = {.major = WIRE_MAJOR,
							       .features = features,
							       .feature_count = 2}});
	while (fetchd_get_server(connection) == NULL) {
		assert_true(fetchd_wait(connection, -1) >= 0);
	}
	request.output_fd = 1 << 20;
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), -EBADF);
	assert_int_equal(fetchd_open_jobs(connection), 0);
	request.output_fd = fd;
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), 0);
	close(fd); /* the library has its own */
	assert_int_equal(fetchd_flush(connection), 0);
	frame = fake_next(&fake);
	assert_non_null(frame);
	assert_int_equal(frame->fd_count, 1);
	assert_true(frame->submit.has_output);
	assert_true(frame->submit.output_offset.set && frame->submit.output_offset.value == 5);
	wire_client_frame_free(frame);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_sizes_of_other_versions(void **state)
{
	struct {
		struct fetchd_request request;
		uint64_t future;
	} newer = {.request = FETCHD_REQUEST_INIT};
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_job_callbacks callbacks = FETCHD_JOB_CALLBACKS_INIT;
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;

	(void)state;
	fake_greet(&fake, connection);

	/* Older: what it does not know has its default, whatever lies there. */
	request.url = "https://example.org/";
	request.max_size_bytes = 5;
	request.size = offsetof(struct fetchd_request, max_size_bytes);
	callbacks.size = sizeof(callbacks.size);
	assert_int_equal(fetchd_submit(connection, &request, &callbacks, NULL, NULL), 0);
	assert_int_equal(fetchd_flush(connection), 0);
	frame = fake_next(&fake);
	assert_non_null(frame);
	assert_false(frame->submit.max_size.set);
	wire_client_frame_free(frame);

	/* Newer: as long as nothing new is asked for. */
	newer.request.size = sizeof(newer);
	newer.request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(connection, &newer.request, NULL, NULL, NULL), 0);
	newer.future = 1;
	assert_int_equal(fetchd_submit(connection, &newer.request, NULL, NULL, NULL), -E2BIG);

	/* What lies where this version keeps room is not for it either. */
	request = (struct fetchd_request)FETCHD_REQUEST_INIT;
	request.url = "https://example.org/";
	request.reserved[6] = 1;
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), -E2BIG);
	request.reserved[6] = 0;

	/* None at all: forgotten. */
	request.size = 0;
	assert_int_equal(fetchd_submit(connection, &request, NULL, NULL, NULL), -EINVAL);
	callbacks.size = 0;
	request.size = sizeof(request);
	assert_int_equal(fetchd_submit(connection, &request, &callbacks, NULL, NULL), -EINVAL);
	assert_int_equal(fetchd_open_jobs(connection), 2);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void expect_refused(const struct fetchd_request *request, int error, const char *about)
{
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	const char *why = NULL;

	fake_greet(&fake, connection);
	assert_int_equal(fetchd_request_check(request, &why), error);
	assert_non_null(why);
	assert_non_null(strstr(why, about));
	assert_int_equal(fetchd_submit(connection, request, NULL, NULL, NULL), error);
	assert_int_equal(fetchd_open_jobs(connection), 0);
	/* Nothing of it goes out: the daemon would end the conversation. */
	assert_int_equal(fetchd_flush(connection), 0);
	fake_expect_nothing(&fake);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_what_cannot_be_sent(void **state)
{
	struct fetchd_field field = {"a", 1, "b", 1}, *many;
	struct fetchd_request good = FETCHD_REQUEST_INIT, request;
	static char long_text[70000];

	(void)state;
	memset(long_text, 'x', sizeof(long_text) - 1);
	good.url = "https://example.org/";
	assert_int_equal(fetchd_request_check(&good, NULL), 0);

	request = good;
	request.url = NULL;
	expect_refused(&request, -EINVAL, "pointer");
	request.url = long_text;
	expect_refused(&request, -EMSGSIZE, "65536");
	request.url = long_text + sizeof(long_text) - 1 - 8193;
	expect_refused(&request, -EINVAL, "url");
	request.url = "https://example.org/\xff";
	expect_refused(&request, -EINVAL, "UTF-8");

	request = good;
	request.method = long_text + sizeof(long_text) - 1 - 33;
	expect_refused(&request, -EINVAL, "method");

	request = good;
	request.body = long_text;
	request.body_length = 65536;
	expect_refused(&request, -EMSGSIZE, "65536");
	request.body_length = SIZE_MAX;
	expect_refused(&request, -EMSGSIZE, "65536");

	request = good;
	request.upload = true;
	assert_int_equal(fetchd_request_check(&request, NULL), 0);
	request.body = "";
	expect_refused(&request, -EINVAL, "both");
	request = good;
	request.upload_length = 0;
	expect_refused(&request, -EINVAL, "no upload");

	request = good;
	request.headers = &field;
	request.header_count = 1;
	assert_int_equal(fetchd_request_check(&request, NULL), 0);
	field.name_length = 0;
	expect_refused(&request, -EINVAL, "name");
	field.name_length = 1;
	field.value = long_text;
	field.value_length = 16385;
	expect_refused(&request, -EINVAL, "value");
	field.value_length = SIZE_MAX - 1;
	expect_refused(&request, -EMSGSIZE, "65536");
	request.headers = NULL;
	expect_refused(&request, -EINVAL, "pointer");

	many = calloc(129, sizeof(*many));
	for (size_t i = 0; i < 129; i++) {
		many[i] = (struct fetchd_field){"a", 1, "", 0};
	}
	request.headers = many;
	request.header_count = 128;
	assert_int_equal(fetchd_request_check(&request, NULL), 0);
	request.header_count = 129;
	expect_refused(&request, -EINVAL, "128");
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_field),
		cmocka_unit_test(test_defaults_are_absent),
		cmocka_unit_test(test_an_output),
		cmocka_unit_test(test_sizes_of_other_versions),
		cmocka_unit_test(test_what_cannot_be_sent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
