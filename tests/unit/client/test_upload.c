/* SPDX-License-Identifier: MIT */
/* client/upload.c: request bodies in pieces, under the daemon's credit and the outbox's limit. */
#include "unit/client/fake_daemon.h"

#define MANY (8u * 1024u * 1024u)

struct fixture {
	struct fake_daemon fake;
	struct fetchd_connection *connection;
	struct fetchd_job *job;
	int calls;
	uint64_t room;
	int closed;
	/* What on_upload sends, and how it went. */
	const char *source;
	size_t length;
	size_t at;
	bool end;
	bool close_connection;
	ssize_t after_close;
};

static void on_upload(struct fetchd_job *job, uint64_t room_bytes, void *user)
{
	struct fixture *fixture = user;

	fixture->calls++;
	fixture->room = room_bytes;
	assert_int_equal(fetchd_job_upload_room(job), room_bytes);
	if (fixture->source != NULL) {
		ssize_t taken = fetchd_job_upload(job, fixture->source + fixture->at,
						  fixture->length - fixture->at, fixture->end);

		assert_true(taken > 0);
		fixture->at += (size_t)taken;
	}
	if (fixture->close_connection) {
		fetchd_close(fixture->connection);
	}
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct fixture *fixture = user;

	(void)closed;
	fixture->closed++;
	fixture->after_close = fetchd_job_upload(job, "x", 1, true);
	assert_int_equal(fetchd_job_upload_room(job), 0);
	fixture->job = NULL;
}

static const struct fetchd_job_callbacks callbacks = {
	.size = sizeof(callbacks),
	.on_upload = on_upload,
	.on_closed = on_closed,
};

static uint64_t submit(struct fixture *fixture, uint64_t length)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct wire_client_frame *frame;
	uint64_t id;

	request.url = "https://example.org/";
	request.method = "PUT";
	request.upload = true;
	request.upload_length = length;
	assert_int_equal(
		fetchd_submit(fixture->connection, &request, &callbacks, fixture, &fixture->job),
		0);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	frame = fake_next(&fixture->fake);
	assert_non_null(frame);
	id = frame->id;
	assert_true(frame->submit.has_upload);
	assert_int_equal(frame->submit.upload_length.set, length != FETCHD_DEFAULT);
	if (length != FETCHD_DEFAULT) {
		assert_true(frame->submit.upload_length.value == length);
	}
	assert_false(frame->submit.has_body);
	wire_client_frame_free(frame);
	fake_accept(&fixture->fake, id, 7);
	return id;
}

static void grant(struct fixture *fixture, uint64_t id, uint64_t bytes)
{
	fake_send(&fixture->fake, &(struct wire_server_frame){.id = id,
							      .kind = WIRE_SERVER_UPLOAD_CREDIT,
							      .upload_credit = {.bytes = bytes}});
}

/* The next frame is a piece; its length, and whether it was the last. */
static size_t expect_piece(struct fixture *fixture, const char *expected, bool last)
{
	struct wire_client_frame *frame = fake_next(&fixture->fake);
	size_t length;

	assert_non_null(frame);
	assert_int_equal(frame->kind, WIRE_CLIENT_UPLOAD_DATA);
	length = frame->upload_data.data.length;
	assert_memory_equal(frame->upload_data.data.data, expected, length);
	assert_int_equal(frame->upload_data.end, last);
	wire_client_frame_free(frame);
	return length;
}

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

static void test_pieces_as_granted(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, 11);

	/* Nothing is taken before the daemon wants it. */
	assert_int_equal(fetchd_job_upload_room(fixture->job), 0);
	assert_int_equal(fetchd_job_upload(fixture->job, "hello world", 11, true), 0);
	grant(fixture, id, 4);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(fixture->calls, 1);
	assert_int_equal(fixture->room, 4);
	assert_int_equal(fetchd_job_upload(fixture->job, "hello world", 11, true), 4);
	assert_int_equal(fetchd_job_upload_room(fixture->job), 0);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(expect_piece(fixture, "hell", false), 4);
	fake_expect_nothing(&fixture->fake);

	/* Credit adds up, and is told of each time. */
	grant(fixture, id, 2);
	grant(fixture, id, 6);
	assert_int_equal(fetchd_process(fixture->connection), 2);
	assert_int_equal(fixture->calls, 3);
	assert_int_equal(fixture->room, 8);
	assert_int_equal(fetchd_job_upload(fixture->job, "o ", 2, false), 2);
	assert_int_equal(fetchd_job_upload(fixture->job, NULL, 0, false), 0);
	assert_int_equal(fetchd_job_upload(fixture->job, "world", 5, true), 5);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(expect_piece(fixture, "o ", false), 2);
	assert_int_equal(expect_piece(fixture, "world", true), 5);
	fake_expect_nothing(&fixture->fake);

	/* That was all: nothing is taken, and credit that was on its way is of no interest. */
	assert_int_equal(fetchd_job_upload(fixture->job, "x", 1, false), -EINVAL);
	grant(fixture, id, 100);
	assert_int_equal(fetchd_process(fixture->connection), 0);
	assert_int_equal(fetchd_job_upload_room(fixture->job), 0);
	fake_close_job(&fixture->fake, id, WIRE_CLOSE_ENDED);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(fixture->closed, 1);
	assert_int_equal(fixture->after_close, -EINVAL);
}

/* An empty last piece needs no credit: the end of what turned out to be nothing, or to be over. */
static void test_empty_end(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, FETCHD_DEFAULT);

	assert_int_equal(fetchd_job_upload(fixture->job, NULL, 0, false), 0);
	assert_int_equal(fetchd_job_upload(fixture->job, NULL, 0, true), 0);
	assert_int_equal(fetchd_flush(fixture->connection), 0);
	assert_int_equal(expect_piece(fixture, "", true), 0);
	fake_expect_nothing(&fixture->fake);
	assert_int_equal(fetchd_job_upload(fixture->job, NULL, 0, true), -EINVAL);
	fake_close_job(&fixture->fake, id, WIRE_CLOSE_ENDED);
	assert_int_equal(fetchd_process(fixture->connection), 1);
}

/* More than one frame holds is cut; only the last piece is the end. */
static void test_large_piece_is_cut(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, FETCHD_DEFAULT);
	char *data = malloc(150000);
	size_t at = 0;

	for (size_t i = 0; i < 150000; i++) {
		data[i] = (char)(i * 7 % 251);
	}
	grant(fixture, id, 150000);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(fetchd_job_upload(fixture->job, data, 150000, true), 150000);
	(void)fetchd_flush(fixture->connection);
	while (at < 150000) {
		struct wire_client_frame *frame = fake_next(&fixture->fake);

		if (frame == NULL) {
			assert_true(fetchd_flush(fixture->connection) >= 0);
			continue;
		}
		assert_int_equal(frame->kind, WIRE_CLIENT_UPLOAD_DATA);
		assert_memory_equal(frame->upload_data.data.data, data + at,
				    frame->upload_data.data.length);
		at += frame->upload_data.data.length;
		assert_int_equal(frame->upload_data.end, at == 150000);
		wire_client_frame_free(frame);
	}
	free(data);
}

/* The daemon may grant what it likes: a megabyte is the most that waits here. The rest is asked for
 * when that has gone, and every byte arrives once. */
static void test_daemon_that_does_not_read(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, MANY);
	char *data = malloc(MANY);
	size_t at = 0, unsent;

	for (size_t i = 0; i < MANY; i++) {
		data[i] = (char)(i * 13 % 241);
	}
	fixture->source = data;
	fixture->length = MANY;
	fixture->end = true;
	grant(fixture, id, UINT64_MAX);
	grant(fixture, id, UINT64_MAX);
	assert_true(fetchd_process(fixture->connection) >= 1);
	/* Round after round nothing is read: no more is taken than fits. */
	for (int i = 0; i < 20; i++) {
		assert_true(fetchd_process(fixture->connection) >= 0);
	}
	unsent = fixture->at;
	assert_true(unsent > 1000000 && unsent < MANY / 2);
	assert_true(fetchd_process(fixture->connection) == 0);
	assert_int_equal(fetchd_get_timeout(fixture->connection), -1);
	assert_true((fetchd_get_events(fixture->connection) & POLLOUT) != 0);

	while (at < MANY) {
		struct wire_client_frame *frame = fake_next(&fixture->fake);

		if (frame == NULL) {
			assert_true(fetchd_process(fixture->connection) >= 0);
			continue;
		}
		assert_int_equal(frame->kind, WIRE_CLIENT_UPLOAD_DATA);
		assert_memory_equal(frame->upload_data.data.data, data + at,
				    frame->upload_data.data.length);
		at += frame->upload_data.data.length;
		assert_int_equal(frame->upload_data.end, at == MANY);
		wire_client_frame_free(frame);
	}
	assert_int_equal(fixture->at, MANY);
	free(data);
}

static void test_cancelled_and_stopped(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, FETCHD_DEFAULT);

	grant(fixture, id, 10);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	fetchd_job_stop(fixture->job);
	assert_int_equal(fetchd_job_upload_room(fixture->job), 0);
	assert_int_equal(fetchd_job_upload(fixture->job, "x", 1, false), -ECANCELED);
	fetchd_job_cancel(fixture->job);
	assert_int_equal(fetchd_job_upload(fixture->job, "x", 1, false), -ECANCELED);
	grant(fixture, id, 10);
	assert_int_equal(fetchd_process(fixture->connection), 0);
	assert_int_equal(fixture->calls, 1);
	fake_close_job(&fixture->fake, id, WIRE_CLOSE_CANCELLED);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	assert_int_equal(fixture->after_close, -ECANCELED);
}

static void test_lost(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, FETCHD_DEFAULT);

	grant(fixture, id, 10);
	assert_int_equal(fetchd_process(fixture->connection), 1);
	fake_stop(&fixture->fake);
	assert_int_equal(fetchd_process(fixture->connection), -ECONNRESET);
	assert_int_equal(fixture->closed, 1);
	assert_int_equal(fixture->after_close, -ECONNRESET);
	frame_reader_init(&fixture->fake.reader, WIRE_CLIENT_FRAME_MAX);
}

static void test_close_from_the_callback(void **state)
{
	struct fixture *fixture = *state;
	uint64_t id = submit(fixture, FETCHD_DEFAULT);

	fixture->close_connection = true;
	grant(fixture, id, 10);
	grant(fixture, id, 10);
	assert_int_equal(fetchd_process(fixture->connection), -ECANCELED);
	assert_int_equal(fixture->calls, 1);
	fixture->connection = NULL;
}

/* Without an upload there is nothing to grant credit for. */
static void test_credit_without_upload(void **state)
{
	struct fixture *fixture = *state;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_job *job = NULL;

	request.url = "https://example.org/";
	assert_int_equal(fetchd_submit(fixture->connection, &request, &callbacks, fixture, &job),
			 0);
	assert_int_equal(fetchd_job_upload(job, "x", 1, true), -EINVAL);
	assert_int_equal(fetchd_job_upload(job, NULL, 0, true), -EINVAL);
	assert_int_equal(fetchd_job_upload_room(job), 0);
	grant(fixture, fetchd_job_id(job), 10);
	assert_int_equal(fetchd_process(fixture->connection), -EPROTO);
	assert_non_null(strstr(fetchd_error_text(fixture->connection), "upload"));
	assert_int_equal(fixture->closed, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pieces_as_granted),       TEST(test_empty_end),
		TEST(test_large_piece_is_cut),      TEST(test_daemon_that_does_not_read),
		TEST(test_cancelled_and_stopped),   TEST(test_lost),
		TEST(test_close_from_the_callback), TEST(test_credit_without_upload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
