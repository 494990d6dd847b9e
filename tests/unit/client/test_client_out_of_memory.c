/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of the library fails once, while everything that it can do is done: every job
 * that was taken is closed exactly once, every question that was taken is answered exactly once,
 * nothing leaks, and a call that says -ENOMEM has done nothing.
 */
#include "unit/client/fake_daemon.h"
#include "unit/support/allocations.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define BODY_BYTES 700u
#define ROUNDS_MAX 100u

/* ---- a daemon that answers ---- */

static const struct wire_field field = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"b", 1}};

static void answer_job(struct fake_daemon *fake, uint64_t id)
{
	static const uint8_t body[BODY_BYTES];
	const struct wire_failure failure = {.text = ""};
	const struct wire_attempt attempt = {.remote = "", .why = "", .url = ""};

	fake_send(fake, &(struct wire_server_frame){
				.id = id,
				.kind = WIRE_SERVER_INFORMATIONAL,
				.head = {.status = 103, .headers = &field, .header_count = 1}});
	fake_send(fake, &(struct wire_server_frame){
				.id = id,
				.kind = WIRE_SERVER_HEAD,
				.head = {.status = 200, .headers = &field, .header_count = 1}});
	fake_body(fake, id, 0, body, sizeof(body));
	fake_send(fake, &(struct wire_server_frame){
				.id = id,
				.kind = WIRE_SERVER_WARNING,
				.warning = {.code = WIRE_WARNING_RECEIVED_SIZE, .text = "long"}});
	fake_send(fake, &(struct wire_server_frame){.id = id,
						    .kind = WIRE_SERVER_PROGRESS,
						    .progress = {.waiting_for = "you"}});
	fake_send(fake,
		  &(struct wire_server_frame){.id = id,
					      .kind = WIRE_SERVER_TRAILERS,
					      .head = {.headers = &field, .header_count = 1}});
	fake_send(fake, &(struct wire_server_frame){.id = id,
						    .kind = WIRE_SERVER_CLOSED,
						    .closed = {.reason = WIRE_CLOSE_ENDED,
							       .failures = &failure,
							       .failure_count = 1,
							       .attempts = &attempt,
							       .attempt_count = 1}});
}

/* Answers what has come; jobs that ask for something else than this are the test's. */
static void serve(struct fake_daemon *fake)
{
	static const struct wire_job_info jobs[3];
	static const struct wire_origin_info origins[2];
	static const struct wire_pool_connection connections[2];
	static const struct wire_reason_count reasons[2];
	struct wire_client_frame *frame = NULL;

	while ((frame = fake_next(fake)) != NULL) {
		struct wire_server_frame reply = {.id = frame->id};

		switch (frame->kind) {
		case WIRE_CLIENT_HELLO:
			fake_hello(fake);
			break;
		case WIRE_CLIENT_SUBMIT:
			fake_accept(fake, frame->id, 100 + frame->id);
			if (frame->submit.has_upload) {
				reply.kind = WIRE_SERVER_UPLOAD_CREDIT;
				reply.upload_credit.bytes = 100;
			} else if (frame->submit.initial_credit.set) {
				break; /* waits for its cancel */
			} else {
				answer_job(fake, frame->id);
			}
			break;
		case WIRE_CLIENT_UPLOAD_DATA:
			if (frame->upload_data.end) {
				answer_job(fake, frame->id);
			}
			break;
		case WIRE_CLIENT_CANCEL:
			fake_close_job(fake, frame->id, WIRE_CLOSE_CANCELLED);
			break;
		case WIRE_CLIENT_STOP:
			fake_close_job(fake, frame->id, WIRE_CLOSE_STOP_DOWNLOAD);
			break;
		case WIRE_CLIENT_LIST:
			reply.kind = WIRE_SERVER_LIST;
			reply.list.jobs = jobs;
			reply.list.job_count = 3;
			break;
		case WIRE_CLIENT_STATS:
			reply.kind = WIRE_SERVER_STATS;
			reply.stats.origins = origins;
			reply.stats.origin_count = 2;
			reply.stats.connections = connections;
			reply.stats.connection_count = 2;
			reply.stats.jobs.closed = reasons;
			reply.stats.jobs.closed_count = 2;
			break;
		case WIRE_CLIENT_PING:
			reply.kind = WIRE_SERVER_PONG;
			break;
		case WIRE_CLIENT_CANCEL_JOB:
			reply.kind = WIRE_SERVER_CANCEL_JOB;
			break;
		case WIRE_CLIENT_UNKNOWN:
		case WIRE_CLIENT_CREDIT:
			break;
		}
		if (reply.kind != WIRE_SERVER_UNKNOWN) {
			fake_send(fake, &reply);
		}
		wire_client_frame_free(frame);
	}
}

/* ---- a client that does everything ---- */

#define JOBS 4u
#define QUESTIONS 4u

struct job {
	struct fetchd_job *handle;
	bool taken;
	unsigned heads;
	unsigned trailers;
	uint64_t bytes;
	unsigned closed;
	enum fetchd_close_reason reason;
};

struct everything {
	struct fetchd_connection *connection;
	struct job jobs[JOBS];
	bool asked[QUESTIONS];
	unsigned answers[QUESTIONS];
	int errors[QUESTIONS];
};

static void on_head(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	(void)job;
	assert_int_equal(head->header_count, 1);
	((struct job *)user)->heads++;
}

static void on_body(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
		    void *user)
{
	struct job *mine = user;

	(void)job;
	(void)data;
	assert_int_equal(offset, mine->bytes);
	mine->bytes += length;
}

static void on_trailers(struct fetchd_job *job, const struct fetchd_field *fields, size_t count,
			void *user)
{
	(void)job;
	(void)fields;
	assert_int_equal(count, 1);
	((struct job *)user)->trailers++;
}

static void on_upload(struct fetchd_job *job, uint64_t room_bytes, void *user)
{
	ssize_t taken = fetchd_job_upload(job, "some", 4, true);

	(void)user;
	assert_true(room_bytes >= 4);
	if (taken < 0) {
		/* "None was taken, try again." */
		assert_int_equal(taken, -ENOMEM);
		assert_true(allocations_failed());
		assert_int_equal(fetchd_job_upload(job, "some", 4, true), 4);
	} else {
		assert_int_equal(taken, 4);
	}
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct job *mine = user;

	(void)job;
	mine->closed++;
	mine->reason = closed->reason;
	mine->handle = NULL;
}

static const struct fetchd_job_callbacks callbacks = {
	.size = sizeof(callbacks),
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_upload = on_upload,
	.on_closed = on_closed,
};

static void note(struct everything *all, unsigned question, int error, bool has_reply)
{
	assert_true((error == 0) == has_reply);
	all->answers[question]++;
	all->errors[question] = error;
}

static void on_list(struct fetchd_connection *connection, int error, const struct fetchd_list *list,
		    void *user)
{
	(void)connection;
	note(user, 0, error, list != NULL);
	assert_true(!list || list->job_count == 3);
}

static void on_stats(struct fetchd_connection *connection, int error,
		     const struct fetchd_stats *stats, void *user)
{
	(void)connection;
	note(user, 1, error, stats != NULL);
	assert_true(!stats || stats->origin_list_count == 2);
}

static void on_pong(struct fetchd_connection *connection, int error, const struct fetchd_pong *pong,
		    void *user)
{
	(void)connection;
	note(user, 2, error, pong != NULL);
}

static void on_cancelled(struct fetchd_connection *connection, int error, bool found, void *user)
{
	(void)connection;
	(void)found;
	note(user, 3, error, error == 0);
}

static bool took(int result)
{
	if (result != 0) {
		assert_int_equal(result, -ENOMEM);
		assert_true(allocations_failed());
	}
	return result == 0;
}

static void begin_everything(struct everything *all)
{
	static const struct fetchd_field header = {"accept", 6, "*/*", 3};
	struct fetchd_request request = FETCHD_REQUEST_INIT;

	request.url = "https://example.org/";
	request.headers = &header;
	request.header_count = 1;
	for (unsigned i = 0; i < JOBS; i++) {
		struct job *job = &all->jobs[i];

		request.upload = i == 1;
		/* The last two are cancelled, and stopped. */
		request.initial_credit_bytes = i < 2 ? FETCHD_DEFAULT : 1;
		request.manual_credit = i >= 2;
		job->taken = took(
			fetchd_submit(all->connection, &request, &callbacks, job, &job->handle));
		assert_int_equal(job->handle != NULL, job->taken);
	}
	all->asked[0] = took(fetchd_list(all->connection, 0, 0, on_list, all));
	all->asked[1] = took(fetchd_stats(all->connection, 2, 2, on_stats, all));
	all->asked[2] = took(fetchd_ping(all->connection, on_pong, all));
	all->asked[3] = took(fetchd_cancel_job(all->connection, 1, on_cancelled, all));
}

static bool everything_is_over(const struct everything *all)
{
	for (unsigned i = 0; i < JOBS; i++) {
		if (all->jobs[i].taken && !all->jobs[i].closed) {
			return false;
		}
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		if (all->asked[i] && !all->answers[i]) {
			return false;
		}
	}
	return true;
}

static void assert_everything(const struct everything *all)
{
	for (unsigned i = 0; i < JOBS; i++) {
		static const enum fetchd_close_reason reasons[] = {
			FETCHD_CLOSE_ENDED, FETCHD_CLOSE_ENDED, FETCHD_CLOSE_CANCELLED,
			FETCHD_CLOSE_STOP_DOWNLOAD};
		const struct job *job = &all->jobs[i];

		assert_int_equal(job->closed, job->taken);
		if (job->taken && job->reason == FETCHD_CLOSE_ENDED) {
			assert_int_equal(job->heads, 1);
			assert_int_equal(job->bytes, BODY_BYTES);
			assert_int_equal(job->trailers, 1);
		}
		assert_true(allocations_failed() || job->reason == reasons[i]);
	}
	for (unsigned i = 0; i < QUESTIONS; i++) {
		assert_int_equal(all->answers[i], all->asked[i]);
		assert_true(allocations_failed() || all->errors[i] == 0);
	}
	assert_int_equal(fetchd_open_jobs(all->connection), 0);
}

static void do_everything(void *ctx)
{
	static struct fake_daemon fake;
	struct everything all = {.connection = NULL};
	int fds[2];
	int result = 0;

	(void)ctx;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	memset(&fake, 0, sizeof(fake));
	fake.fd = fds[1];
	frame_reader_init(&fake.reader, WIRE_CLIENT_FRAME_MAX);
	if (took(fetchd_connect_fd(fds[0], "unit test", &all.connection))) {
		begin_everything(&all);
		for (unsigned i = 0; !everything_is_over(&all); i++) {
			assert_true(i < ROUNDS_MAX);
			if (i == 2 && all.jobs[2].handle) {
				fetchd_job_credit(all.jobs[2].handle, 10);
				fetchd_job_cancel(all.jobs[2].handle);
			}
			if (i == 2 && all.jobs[3].handle) {
				fetchd_job_stop(all.jobs[3].handle);
			}
			result = fetchd_process(all.connection);
			assert_true(result >= 0 || result == -ENOMEM);
			allocations_pause();
			serve(&fake);
			allocations_resume();
		}
		assert_everything(&all);
		fetchd_close(all.connection);
	} else {
		assert_null(all.connection);
	}
	fake_stop(&fake);
}

static void every_call(void **state)
{
	(void)state;
	assert_true(allocations_walk(do_everything, NULL) > 40);
}

/* ---- what connects by itself ---- */

struct place {
	char folder[32];
	char path[64];
	int sink;
};

/* A child that serves the first connection to `listener`. */
static pid_t serve_one(int listener)
{
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		static struct fake_daemon fake;
		struct pollfd polled;

		(void)allocations_disarm();
		fake.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		polled = (struct pollfd){.fd = fake.fd, .events = POLLIN};
		frame_reader_init(&fake.reader, WIRE_CLIENT_FRAME_MAX);
		do {
			serve(&fake);
			(void)poll(&polled, 1, -1);
		} while (recv(fake.fd, &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT) > 0);
		_exit(0);
	}
	return child;
}

static void fetch_one(void *ctx)
{
	const struct place *place = ctx;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_result fetched = FETCHD_RESULT_INIT;
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pid_t child = 0;
	int result = 0;

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", place->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	child = serve_one(listener);
	request.url = "https://example.org/";
	result = fetchd_fetch_to_fd(place->path, &request, place->sink, &fetched);
	if (result == 0) {
		assert_int_equal(fetched.reason, FETCHD_CLOSE_ENDED);
		assert_int_equal(fetched.written_bytes, BODY_BYTES);
	} else {
		assert_true(allocations_failed());
		assert_int_equal(result, -ENOMEM);
	}
	/* It may wait for a connection that was never made. */
	(void)kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	(void)close(listener);
	(void)unlink(place->path);
}

static void blocking_fetch(void **state)
{
	struct place place;

	(void)state;
	(void)snprintf(place.folder, sizeof(place.folder), "/tmp/fetchd-unit-XXXXXX");
	assert_non_null(mkdtemp(place.folder));
	(void)snprintf(place.path, sizeof(place.path), "%s/s", place.folder);
	place.sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(place.sink >= 0);
	assert_true(allocations_walk(fetch_one, &place) > 8);
	(void)close(place.sink);
	(void)rmdir(place.folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call),
		cmocka_unit_test(blocking_fetch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
