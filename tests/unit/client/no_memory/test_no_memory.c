/* SPDX-License-Identifier: MIT */
/*
 * The whole of a conversation again and again, and each time another allocation of the library
 * fails: nothing crashes, leaks or hangs, and every job that was taken is closed exactly once.
 */
#include "unit/client/fake_daemon.h"

#include <stdio.h>

/* The 1-based allocation that fails while `armed`; 0: none. */
static size_t fail_at, counted;
static bool armed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);

static bool fails(void)
{
	return armed && ++counted == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
	return fails() ? NULL : __real_reallocarray(old, count, size);
}

struct tally {
	int taken;
	int closed;
	int asked;
	int answered;
};

static void on_body(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
		    void *user)
{
	(void)offset;
	(void)data;
	(void)length;
	(void)user;
	fetchd_job_stop(job);
}

static void on_upload(struct fetchd_job *job, uint64_t room_bytes, void *user)
{
	ssize_t r = fetchd_job_upload(job, "some", 4, true);

	(void)user;
	assert_true(room_bytes >= 4);
	assert_true(r == 4 || r == -ENOMEM);
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct tally *tally = user;

	(void)job;
	(void)closed;
	tally->closed++;
}

static void on_head(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	(void)job;
	(void)user;
	assert_int_equal(head->header_count, 1);
}

static void on_list(struct fetchd_connection *connection, int error, const struct fetchd_list *list,
		    void *user)
{
	struct tally *tally = user;

	(void)connection;
	assert_true((error == 0) == (list != NULL));
	tally->answered++;
}

static void on_stats(struct fetchd_connection *connection, int error,
		     const struct fetchd_stats *stats, void *user)
{
	struct tally *tally = user;

	(void)connection;
	assert_true((error == 0) == (stats != NULL));
	tally->answered++;
}

static const struct fetchd_job_callbacks callbacks = {
	.size = sizeof(callbacks),
	.on_head = on_head,
	.on_body = on_body,
	.on_upload = on_upload,
	.on_closed = on_closed,
};

/* What the daemon answers; sent to whatever is left of the connection. */
static void answer(struct fake_daemon *fake, const struct tally *tally)
{
	static const struct wire_field field = {{(const uint8_t *)"a", 1},
						{(const uint8_t *)"b", 1}};
	static const struct wire_job_info job = {
		.method = "", .url = "", .client_name = "", .waiting_for = ""};
	static const struct wire_origin_info origin = {.origin = "o"};
	static const struct wire_pool_connection connection = {.origin = "o"};
	static char body[700];
	uint64_t id = 1;

	fake_hello(fake);
	for (int i = 0; i < tally->taken; i++, id++) {
		fake_accept(fake, id, id);
		fake_send(fake, &(struct wire_server_frame){.id = id,
							    .kind = WIRE_SERVER_UPLOAD_CREDIT,
							    .upload_credit = {.bytes = 100}});
		fake_send(fake, &(struct wire_server_frame){
					.id = id,
					.kind = WIRE_SERVER_HEAD,
					.head = {.status = 200,
						 .headers = &field,
						 .header_count = 1,
						 .connection = {.remote = "",
								.tls_version = "",
								.tls_cipher = "",
								.certificate_subject = ""}}});
		fake_body(fake, id, 0, body, sizeof(body));
		fake_close_job(fake, id, WIRE_CLOSE_STOP_DOWNLOAD);
	}
	if (tally->asked > 0) {
		fake_send(fake,
			  &(struct wire_server_frame){.id = id++,
						      .kind = WIRE_SERVER_LIST,
						      .list = {.jobs = &job, .job_count = 1}});
	}
	if (tally->asked > 1) {
		fake_send(fake, &(struct wire_server_frame){.id = id,
							    .kind = WIRE_SERVER_STATS,
							    .stats = {.origins = &origin,
								      .origin_count = 1,
								      .connections = &connection,
								      .connection_count = 1}});
	}
}

/* True if an allocation failed, false if there were fewer than that many. */
static bool converse(size_t number)
{
	static const struct fetchd_field header = {"accept", 6, "*/*", 3};
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_connection *connection = NULL;
	static struct fake_daemon fake;
	struct tally tally = {0};
	int fds[2], r;

	request.url = "https://example.org/";
	request.headers = &header;
	request.header_count = 1;
	request.upload = true;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	memset(&fake, 0, sizeof(fake));
	fake.fd = fds[1];
	frame_reader_init(&fake.reader, WIRE_CLIENT_FRAME_MAX);

	fail_at = number;
	counted = 0;
	armed = true;
	r = fetchd_connect_fd(fds[0], "unit test", &connection);
	if (r == 0) {
		for (int i = 0; i < 3; i++) {
			r = fetchd_submit(connection, &request, &callbacks, &tally, NULL);
			assert_true(r == 0 || r == -ENOMEM);
			tally.taken += r == 0;
		}
		/* One kind after the other, so that the daemon knows which ids there are. */
		tally.asked += fetchd_list(connection, 0, 0, on_list, &tally) == 0;
		if (tally.asked == 1) {
			tally.asked += fetchd_stats(connection, 1, 1, on_stats, &tally) == 0;
		}
		armed = false;
		answer(&fake, &tally);
		armed = true;
		r = fetchd_process(connection);
		assert_true(r >= 0 || r == -ENOMEM);
		/* What could not be queued for want of memory is still owed, and goes out later. */
		if (r >= 0 && fetchd_get_timeout(connection) > 0) {
			assert_true(fetchd_process(connection) >= 0);
		}
		armed = false;
		assert_int_equal(tally.closed, tally.taken);
		assert_int_equal(tally.answered, tally.asked);
		assert_int_equal(fetchd_open_jobs(connection), 0);
		fetchd_close(connection);
	} else {
		assert_int_equal(r, -ENOMEM);
	}
	armed = false;
	fake_stop(&fake);
	return counted >= number;
}

static void test_each_allocation_once(void **state)
{
	size_t number = 1;

	(void)state;
	while (converse(number)) {
		number++;
	}
	/* Enough of them to believe that something was tried. */
	assert_true(number > 20);
	print_message("%zu allocations failed\n", number - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_once)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
