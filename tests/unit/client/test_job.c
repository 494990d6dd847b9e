/* SPDX-License-Identifier: MIT */
/* client/job.c: events in order, credit, cancel, stop, the one close. */
#include "unit/client/fake_daemon.h"

#include <stdio.h>

/* What happened, as one letter an event. */
struct record {
	char events[64];
	size_t length;
	char body[4096];
	size_t body_length;
	struct fetchd_closed closed;
	char failure[64];
	char header[64];
	char remote[64];
	char url[64];
	char attempt_url[64];
	int64_t content_length;
	uint64_t received;
	bool cancel_on_body;
	bool stop_on_body;
};

static void note(struct record *record, char event)
{
	assert_true(record->length + 1 < sizeof(record->events));
	record->events[record->length++] = event;
}

static void on_accepted(struct fetchd_job *job, uint64_t daemon_id, void *user)
{
	assert_int_equal(fetchd_job_daemon_id(job), daemon_id);
	assert_ptr_equal(fetchd_job_user(job), user);
	note(user, 'A');
}

static void on_informational(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	(void)job;
	assert_int_equal(head->status, 103);
	assert_null(head->connection);
	assert_string_equal(head->url, "");
	assert_int_equal(head->content_length, -1);
	note(user, 'I');
}

static void on_head(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	struct record *record = user;

	(void)job;
	assert_int_equal(head->status, 200);
	assert_int_equal(head->header_count, 2);
	(void)snprintf(record->header, sizeof(record->header), "%.*s=%.*s",
		       (int)head->headers[0].name_length, head->headers[0].name,
		       (int)head->headers[0].value_length, head->headers[0].value);
	assert_int_equal(head->headers[1].value_length, 0);
	(void)snprintf(record->remote, sizeof(record->remote), "%s", head->connection->remote);
	(void)snprintf(record->url, sizeof(record->url), "%s", head->url);
	record->content_length = head->content_length;
	note(record, 'H');
}

static void on_body(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
		    void *user)
{
	struct record *record = user;

	assert_int_equal(offset, record->body_length);
	assert_true(record->body_length + length <= sizeof(record->body));
	memcpy(record->body + record->body_length, data, length);
	record->body_length += length;
	note(record, 'B');
	if (record->cancel_on_body) {
		fetchd_job_cancel(job);
	}
	if (record->stop_on_body) {
		fetchd_job_stop(job);
	}
}

static void on_trailers(struct fetchd_job *job, const struct fetchd_field *fields,
			size_t field_count, void *user)
{
	(void)job;
	(void)fields;
	assert_int_equal(field_count, 1);
	note(user, 'T');
}

static void on_warning(struct fetchd_job *job, enum fetchd_warning_code code, const char *text,
		       void *user)
{
	(void)job;
	assert_int_equal(code, FETCHD_WARNING_RECEIVED_SIZE);
	assert_string_equal(text, "much");
	note(user, 'W');
}

static void on_progress(struct fetchd_job *job, const struct fetchd_progress *progress, void *user)
{
	struct record *record = user;

	(void)job;
	assert_int_equal(progress->state, FETCHD_JOB_QUEUED);
	assert_int_equal(progress->content_length, -1);
	assert_string_equal(progress->waiting_for, "a slot");
	record->received = progress->received_bytes;
	note(record, 'P');
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct record *record = user;

	record->closed = *closed;
	if (closed->failure_count > 0) {
		(void)snprintf(record->failure, sizeof(record->failure), "%s:%d:%d:%lld",
			       closed->failures[0].text, (int)closed->failures[0].sys_errno,
			       (int)closed->failures[0].tls_code,
			       (long long)closed->failures[0].h2_code);
	}
	if (closed->attempt_count > 0) {
		(void)snprintf(record->attempt_url, sizeof(record->attempt_url), "%s",
			       closed->attempts[0].url);
	}
	/* Legal and without effect. */
	fetchd_job_cancel(job);
	fetchd_job_stop(job);
	fetchd_job_credit(job, 5);
	note(record, 'C');
}

static const struct fetchd_job_callbacks callbacks = {
	.size = sizeof(callbacks),
	.on_accepted = on_accepted,
	.on_informational = on_informational,
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_warning = on_warning,
	.on_progress = on_progress,
	.on_closed = on_closed,
};

struct fixture {
	struct fake_daemon fake;
	struct fetchd_connection *connection;
	struct record record;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	fixture->connection = fake_start(&fixture->fake);
	fake_greet(&fixture->fake, fixture->connection);
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	fetchd_close(fixture->connection);
	fake_stop(&fixture->fake);
	free(fixture);
	return 0;
}

static struct fetchd_job *submit(struct fixture *fixture, uint64_t credit, bool manual)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_job *job = NULL;

	request.url = "https://example.org/";
	request.initial_credit_bytes = credit;
	request.manual_credit = manual;
	assert_int_equal(
		fetchd_submit(fixture->connection, &request, &callbacks, &fixture->record, &job),
		0);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(fake_expect(&fixture->fake, WIRE_CLIENT_SUBMIT), fetchd_job_id(job));
	return job;
}

static uint64_t expect_credit(struct fixture *fixture, uint64_t id)
{
	struct wire_client_frame *frame = fake_next(&fixture->fake);
	uint64_t bytes;

	assert_non_null(frame);
	assert_int_equal(frame->kind, WIRE_CLIENT_CREDIT);
	assert_int_equal(frame->id, id);
	bytes = frame->credit.bytes;
	wire_client_frame_free(frame);
	return bytes;
}

static struct wire_bytes bytes_of(const char *text)
{
	return (struct wire_bytes){.data = (const uint8_t *)text, .length = strlen(text)};
}

static void test_every_event(void **state)
{
	struct fixture *fixture = *state;
	struct record *record = &fixture->record;
	const struct wire_field fields[] = {{bytes_of("server"), bytes_of("x\xff")},
					    {bytes_of("empty"), bytes_of("")}};
	const struct wire_failure failure = {
		.code = WIRE_FAIL_LENGTH_SHORT,
		.text = "short",
		.sys_errno = 3,
		.h2_code = {.set = true, .value = 8},
		.tls_code = -5,
	};
	const struct wire_attempt attempt = {
		.connection = 1, .remote = "r", .why = "", .status = 200, .url = "https://b/moved"};
	uint64_t id;

	id = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));
	fake_accept(&fixture->fake, id, 42);
	fake_send(&fixture->fake,
		  &(struct wire_server_frame){.id = id,
					      .kind = WIRE_SERVER_PROGRESS,
					      .progress = {.state = WIRE_JOB_QUEUED,
							   .received = 17,
							   .waiting_for = "a slot"}});
	fake_send(&fixture->fake, &(struct wire_server_frame){.id = id,
							      .kind = WIRE_SERVER_INFORMATIONAL,
							      .head = {.status = 103}});
	fake_send(&fixture->fake,
		  &(struct wire_server_frame){.id = id,
					      .kind = WIRE_SERVER_HEAD,
					      .head = {.status = 200,
						       .headers = fields,
						       .header_count = 2,
						       .content_length = {.set = true, .value = 5},
						       .url = "https://b/moved",
						       .connection = {.remote = "192.0.2.1:443",
								      .tls_version = "",
								      .tls_cipher = "",
								      .certificate_subject = ""}}});
	fake_body(&fixture->fake, id, 0, "hel", 3);
	fake_send(&fixture->fake,
		  &(struct wire_server_frame){
			  .id = id,
			  .kind = WIRE_SERVER_WARNING,
			  .warning = {.code = WIRE_WARNING_RECEIVED_SIZE, .text = "much"}});
	fake_body(&fixture->fake, id, 3, "lo", 2);
	fake_send(&fixture->fake,
		  &(struct wire_server_frame){.id = id,
					      .kind = WIRE_SERVER_TRAILERS,
					      .head = {.headers = fields, .header_count = 1}});
	fake_send(&fixture->fake,
		  &(struct wire_server_frame){
			  .id = id,
			  .kind = WIRE_SERVER_CLOSED,
			  .closed = {.reason = WIRE_CLOSE_LENGTH_MISMATCH,
				     .failures = &failure,
				     .failure_count = 1,
				     .attempts = &attempt,
				     .attempt_count = 1,
				     .bytes = {.payload = 5, .delivered = 5, .wire_received = 99},
				     .timings = {.end_us = {.set = true, .value = 1234}}}});
	assert_int_equal(fetchd_process(fixture->connection), 9);

	assert_string_equal(record->events, "APIHBWBTC");
	assert_string_equal(record->header, "server=x\xff");
	assert_string_equal(record->remote, "192.0.2.1:443");
	assert_string_equal(record->url, "https://b/moved");
	assert_string_equal(record->attempt_url, "https://b/moved");
	assert_int_equal(record->content_length, 5);
	assert_int_equal(record->received, 17);
	assert_memory_equal(record->body, "hello", 5);
	assert_int_equal(record->closed.reason, FETCHD_CLOSE_LENGTH_MISMATCH);
	assert_string_equal(record->failure, "short:3:-5:8");
	assert_int_equal(record->closed.attempt_count, 1);
	assert_int_equal(record->closed.wire_received_bytes, 99);
	assert_int_equal(record->closed.end_us, 1234);
	assert_int_equal(record->closed.dns_us, -1);
	assert_int_equal(fetchd_open_jobs(fixture->connection), 0);
	fake_expect_nothing(&fixture->fake);
}

static void test_slow_path_body(void **state)
{
	/* id 1, body {data "hi", offset 0 written out behind it}: legal, in an unusual order. */
	static const uint8_t frame[] = {10, 0x08, 0x01, 0x32, 0x06, 0x7a, 2, 'h', 'i', 0x08, 0x00};
	struct fixture *fixture = *state;

	(void)submit(fixture, FETCHD_DEFAULT, false);
	fake_write(&fixture->fake, frame, sizeof(frame));
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_memory_equal(fixture->record.body, "hi", 2);
}

static void test_credit_returns_in_halves(void **state)
{
	struct fixture *fixture = *state;
	char data[1000] = {0};
	uint64_t id = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));

	fake_body(&fixture->fake, id, 0, data, 499);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	fake_expect_nothing(&fixture->fake);
	fake_body(&fixture->fake, id, 499, data, 1);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(expect_credit(fixture, id), 500);
	fake_body(&fixture->fake, id, 500, data, 1000);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(expect_credit(fixture, id), 1000);
	fake_expect_nothing(&fixture->fake);
}

static void test_window_above_the_daemons_maximum(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	static const char data[FAKE_MAX_CREDIT / 4];

	request.url = "https://example.org/";
	request.initial_credit_bytes = UINT64_MAX - 1;
	assert_int_equal(fetchd_submit(fixture->connection, &request, NULL, NULL, NULL), 0);
	fake_body(&fixture->fake, 1, 0, data, sizeof(data));
	assert_int_equal(fetchd_process(fixture->connection), 0);
	(void)fake_expect(&fixture->fake, WIRE_CLIENT_SUBMIT);
	fake_expect_nothing(&fixture->fake);

	/* Half of what the daemon really holds, not half of what was granted. */
	fake_body(&fixture->fake, 1, sizeof(data), data, sizeof(data));
	assert_int_equal(fetchd_process(fixture->connection), 0);
	assert_int_equal(expect_credit(fixture, 1), 2 * sizeof(data));
}

static void test_zero_credit_started_later(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_job *job = submit(fixture, 0, false);
	uint64_t id = fetchd_job_id(job);
	char data[100] = {0};

	fetchd_job_credit(job, 0);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	fake_expect_nothing(&fixture->fake);
	fetchd_job_credit(job, 100);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(expect_credit(fixture, id), 100);
	fake_body(&fixture->fake, id, 0, data, 60);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(expect_credit(fixture, id), 60);
}

/* A daemon whose default is 0: the library opens the window, for it promised to. */
static void test_default_credit_of_zero(void **state)
{
	static const char data[500];
	struct fixture *fixture = *state;
	struct fetchd_job *cancelled, *opened;
	uint64_t ids[5];

	fetchd_close(fixture->connection);
	fake_stop(&fixture->fake);
	fixture->connection = fake_start(&fixture->fake);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	(void)fake_expect(&fixture->fake, WIRE_CLIENT_HELLO);
	ids[0] = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));
	/* Credit is nobody's business but the caller's in these. */
	ids[1] = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, true));
	ids[2] = fetchd_job_id(submit(fixture, 0, false));
	opened = submit(fixture, FETCHD_DEFAULT, false);
	ids[3] = fetchd_job_id(opened);
	fetchd_job_credit(opened, 7);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(expect_credit(fixture, ids[3]), 7);
	cancelled = submit(fixture, FETCHD_DEFAULT, false);
	ids[4] = fetchd_job_id(cancelled);
	fetchd_job_cancel(cancelled);

	fake_hello_with(&fixture->fake, 0, 2 * sizeof(data));
	for (size_t i = 0; i < 5; i++) {
		fake_accept(&fixture->fake, ids[i], 1000 + i);
	}
	assert_true(fetchd_process(fixture->connection) > 0);
	assert_int_equal(fake_expect(&fixture->fake, WIRE_CLIENT_CANCEL), ids[4]);
	assert_int_equal(expect_credit(fixture, ids[0]), 2 * sizeof(data));
	fake_expect_nothing(&fixture->fake);

	/* From here on as ever: halves of that window. */
	fake_body(&fixture->fake, ids[0], 0, data, sizeof(data));
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(expect_credit(fixture, ids[0]), sizeof(data));
	fake_expect_nothing(&fixture->fake);
}

static void test_manual_credit(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_job *job = submit(fixture, 10, true);
	uint64_t id = fetchd_job_id(job);

	fake_body(&fixture->fake, id, 0, "0123456789", 10);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	fake_expect_nothing(&fixture->fake);
	fetchd_job_credit(job, 3);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(expect_credit(fixture, id), 3);
	fake_body(&fixture->fake, id, 10, "abc", 3);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	fake_expect_nothing(&fixture->fake);
}

static void test_more_than_credit_is_a_fault(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = fetchd_job_id(submit(fixture, 4, true));

	fake_body(&fixture->fake, id, 0, "12345", 5);
	assert_int_equal(fetchd_process(fixture->connection), -EPROTO);
	assert_string_equal(fixture->record.events, "C");
	assert_int_equal(fixture->record.closed.reason, FETCHD_CLOSE_DAEMON_LOST);
}

static void test_gap_is_a_fault(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));

	fake_body(&fixture->fake, id, 1, "x", 1);
	assert_int_equal(fetchd_process(fixture->connection), -EPROTO);
	assert_int_equal(fixture->record.closed.reason, FETCHD_CLOSE_DAEMON_LOST);
}

static void test_cancel(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));

	fixture->record.cancel_on_body = true;
	fake_accept(&fixture->fake, id, 1);
	fake_body(&fixture->fake, id, 0, "abc", 3);
	fake_body(&fixture->fake, id, 3, "def", 3); /* on its way already */
	assert_int_equal(fetchd_process(fixture->connection), 2);
	assert_int_equal(fake_expect(&fixture->fake, WIRE_CLIENT_CANCEL), id);
	fake_expect_nothing(&fixture->fake);
	fake_close_job(&fixture->fake, id, WIRE_CLOSE_CANCELLED);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_string_equal(fixture->record.events, "ABC");
	assert_int_equal(fixture->record.closed.reason, FETCHD_CLOSE_CANCELLED);
}

static void test_stop_keeps_what_comes(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));

	fixture->record.stop_on_body = true;
	fake_body(&fixture->fake, id, 0, "abc", 3);
	fake_body(&fixture->fake, id, 3, "def", 3);
	fake_close_job(&fixture->fake, id, WIRE_CLOSE_STOP_DOWNLOAD);
	assert_int_equal(fetchd_process(fixture->connection), 3);
	assert_int_equal(fake_expect(&fixture->fake, WIRE_CLIENT_STOP), id);
	fake_expect_nothing(&fixture->fake);
	assert_memory_equal(fixture->record.body, "abcdef", 6);
}

static void test_events_of_many_jobs_find_their_own(void **state)
{
	struct fixture *fixture = *state;
	static struct record records[300];
	struct fetchd_request request = FETCHD_REQUEST_INIT;

	memset(records, 0, sizeof(records));
	request.url = "https://example.org/";
	for (size_t i = 0; i < 300; i++) {
		assert_int_equal(
			fetchd_submit(fixture->connection, &request, &callbacks, &records[i], NULL),
			0);
	}
	assert_int_equal(fetchd_open_jobs(fixture->connection), 300);
	for (uint64_t id = 300; id >= 1; id--) {
		char text[16];
		int length = snprintf(text, sizeof(text), "%llu", (unsigned long long)id);

		fake_body(&fixture->fake, id, 0, text, (size_t)length);
		fake_close_job(&fixture->fake, id, WIRE_CLOSE_ENDED);
		assert_true(fetchd_process(fixture->connection) == 2);
	}
	for (size_t i = 0; i < 300; i++) {
		char text[16];

		(void)snprintf(text, sizeof(text), "%zu", i + 1);
		assert_string_equal(records[i].body, text);
		assert_string_equal(records[i].events, "BC");
	}
}

static void test_without_callbacks(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_request request = FETCHD_REQUEST_INIT;

	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(fixture->connection, &request, NULL, NULL, NULL), 0);
	fake_accept(&fixture->fake, 1, 1);
	fake_send(&fixture->fake, &(struct wire_server_frame){.id = 1,
							      .kind = WIRE_SERVER_HEAD,
							      .head = {.status = 200}});
	fake_body(&fixture->fake, 1, 0, "x", 1);
	fake_close_job(&fixture->fake, 1, WIRE_CLOSE_ENDED);
	assert_true(fetchd_process(fixture->connection) >= 0);
	assert_int_equal(fetchd_error(fixture->connection), 0);
	assert_int_equal(fetchd_open_jobs(fixture->connection), 0);
}

static void test_event_after_close_is_a_fault(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = fetchd_job_id(submit(fixture, FETCHD_DEFAULT, false));

	fake_close_job(&fixture->fake, id, WIRE_CLOSE_ENDED);
	fake_close_job(&fixture->fake, id, WIRE_CLOSE_ENDED);
	assert_int_equal(fetchd_process(fixture->connection), -EPROTO);
	assert_string_equal(fixture->record.events, "C");
}

/* With the outbox full, cancel and credit wait as a note on the job and go out later. */
static void test_owed_while_the_outbox_is_full(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_job *first = submit(fixture, 0, true), *second = submit(fixture, 0, true);
	uint64_t first_id = fetchd_job_id(first), second_id = fetchd_job_id(second);
	uint64_t credited = 0, cancelled = 0, stopped = 0;
	static uint8_t body[60000];
	struct wire_client_frame *frame;

	request.url = "https://example.org/";
	request.body = body;
	request.body_length = sizeof(body);
	while (fetchd_submit(fixture->connection, &request, NULL, NULL, NULL) == 0) {
	}
	for (int i = 0; i < 1000; i++) {
		fetchd_job_credit(second, 7);
	}
	fetchd_job_stop(second);
	fetchd_job_cancel(first);
	do {
		while ((frame = fake_next(&fixture->fake)) != NULL) {
			if (frame->kind == WIRE_CLIENT_CREDIT) {
				assert_int_equal(frame->id, second_id);
				assert_int_equal(frame->credit.bytes, 7000);
				credited++;
			}
			stopped += frame->kind == WIRE_CLIENT_STOP && frame->id == second_id;
			cancelled += frame->kind == WIRE_CLIENT_CANCEL && frame->id == first_id;
			wire_client_frame_free(frame);
		}
	} while (fetchd_flush(fixture->connection) == 1);
	while ((frame = fake_next(&fixture->fake)) != NULL) {
		credited += frame->kind == WIRE_CLIENT_CREDIT;
		stopped += frame->kind == WIRE_CLIENT_STOP;
		cancelled += frame->kind == WIRE_CLIENT_CANCEL;
		wire_client_frame_free(frame);
	}
	assert_int_equal(credited, 1);
	assert_int_equal(stopped, 1);
	assert_int_equal(cancelled, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_every_event),
		TEST(test_slow_path_body),
		TEST(test_credit_returns_in_halves),
		TEST(test_window_above_the_daemons_maximum),
		TEST(test_zero_credit_started_later),
		TEST(test_default_credit_of_zero),
		TEST(test_manual_credit),
		TEST(test_more_than_credit_is_a_fault),
		TEST(test_gap_is_a_fault),
		TEST(test_cancel),
		TEST(test_stop_keeps_what_comes),
		TEST(test_events_of_many_jobs_find_their_own),
		TEST(test_without_callbacks),
		TEST(test_event_after_close_is_a_fault),
		TEST(test_owed_while_the_outbox_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
