/* SPDX-License-Identifier: MIT */
/*
 * The local protocol's server on a socket of its own, with jobs and an origin behind it, and
 * clients that speak with it: all on one loop.
 */
#pragma once

#include "unit/job/job_world.h"

#include "ipc/ipc_internal.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define TALKER_FRAMES_MAX 16384u
#define TALKER_IDS_MAX 256u

static struct ipc *ipc;
static struct workers *ipc_writers;
static char ipc_folder[64];
static char ipc_path[96];

/* One client. */
struct talker {
	int fd; /* -1: closed */
	struct loop_io io;
	struct frame_reader reader;
	bool deaf; /* does not read */
	bool eof;
	struct wire_server_frame *frames[TALKER_FRAMES_MAX]; /* Bodies are not kept */
	unsigned count;
	uint64_t body[TALKER_IDS_MAX];   /* bytes, by id */
	unsigned bodies[TALKER_IDS_MAX]; /* frames, by id */
	bool accepted[TALKER_IDS_MAX];
	bool closed[TALKER_IDS_MAX];
	uint64_t granted[TALKER_IDS_MAX];
	uint64_t last_body_id;
	unsigned turns; /* how often a Body was of another job than the one before */
	bool goodbye;
};

static inline int ipc_setup(void **state)
{
	struct ipc_world ipc_world;
	int fd = -1;

	(void)job_setup(state);
	snprintf(ipc_folder, sizeof(ipc_folder), "/tmp/fetchd-test-XXXXXX");
	assert_non_null(mkdtemp(ipc_folder));
	snprintf(ipc_path, sizeof(ipc_path), "%s/socket", ipc_folder);
	assert_int_equal(workers_new(world.loop, 2, &ipc_writers), 0);
	ipc_world = (struct ipc_world){
		.loop = world.loop,
		.env = world.http.env,
		.pool = world.pool,
		.jobs = world.jobs,
		.accounts = world.accounts,
		.writers = ipc_writers,
		.config = world.config,
		.version = "1.2.3",
	};
	assert_int_equal(ipc_new(&ipc_world, &ipc), 0);
	assert_int_equal(ipc_bind(ipc_path, 0600, &fd), 0);
	ipc_listen(ipc, fd);
	return 0;
}

static inline int ipc_teardown(void **state)
{
	char lock[128];

	ipc_free(ipc);
	workers_free(ipc_writers);
	rounds(world.loop, 2);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_JOBS), 0);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_PEERS), 0);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_FDS), 0);
	snprintf(lock, sizeof(lock), "%s.lock", ipc_path);
	(void)unlink(lock);
	(void)unlink(ipc_path);
	assert_int_equal(rmdir(ipc_folder), 0);
	return job_teardown(state);
}

/* ---- receiving ---- */

static inline void talker_body(struct talker *talker, const struct wire_server_frame *frame)
{
	uint64_t id = frame->id;
	const struct wire_bytes *data = &frame->body.data;

	assert_true(data->length > 0 && data->length <= WIRE_BODY_MAX);
	assert_int_equal(frame->body.offset, talker->body[id]);
	for (size_t i = 0; i < data->length; i++) {
		if (data->data[i] != h2_byte(frame->body.offset + i)) {
			fail_msg("job %zu: wrong byte at %zu", (size_t)id,
				 (size_t)frame->body.offset + i);
		}
	}
	talker->body[id] += data->length;
	talker->bodies[id]++;
	talker->turns += talker->last_body_id != id;
	talker->last_body_id = id;
	if (talker->body[id] > talker->granted[id]) {
		fail_msg("job %zu: %zu bytes for %zu of credit", (size_t)id,
			 (size_t)talker->body[id], (size_t)talker->granted[id]);
	}
}

/* The order of events that the protocol promises, for every frame of every test. */
static inline void talker_take(struct talker *talker, const uint8_t *data, size_t length)
{
	struct wire_server_frame *frame = NULL;
	const char *why = "";
	int rc = 0;

	test_side++;
	rc = wire_server_frame_decode(data, length, &frame, &why);
	test_side--;
	if (rc != 0) {
		fail_msg("the daemon sent a bad frame: %s", why);
	}
	assert_false(talker->goodbye); /* no frame follows */
	assert_true(frame->id < TALKER_IDS_MAX);
	switch (frame->kind) {
	case WIRE_SERVER_ACCEPTED:
		assert_false(talker->accepted[frame->id]);
		talker->accepted[frame->id] = true;
		break;
	case WIRE_SERVER_CLOSED:
		assert_false(talker->closed[frame->id]);
		talker->closed[frame->id] = true;
		break;
	case WIRE_SERVER_HEAD:
	case WIRE_SERVER_BODY:
	case WIRE_SERVER_INFORMATIONAL:
	case WIRE_SERVER_TRAILERS:
	case WIRE_SERVER_WARNING:
	case WIRE_SERVER_PROGRESS:
		assert_true(talker->accepted[frame->id] && !talker->closed[frame->id]);
		break;
	case WIRE_SERVER_GOODBYE:
		talker->goodbye = true;
		break;
	case WIRE_SERVER_UNKNOWN:
	case WIRE_SERVER_HELLO:
	case WIRE_SERVER_LIST:
	case WIRE_SERVER_STATS:
	case WIRE_SERVER_PONG:
	case WIRE_SERVER_CANCEL_JOB:
	case WIRE_SERVER_UNSUPPORTED:
	case WIRE_SERVER_UPLOAD_CREDIT:
		break;
	}
	if (frame->kind == WIRE_SERVER_BODY) {
		talker_body(talker, frame);
		wire_server_frame_free(frame);
		return;
	}
	assert_true(talker->count < TALKER_FRAMES_MAX);
	talker->frames[talker->count++] = frame;
}

static inline void talker_close(struct talker *talker)
{
	if (talker->fd >= 0) {
		loop_io_stop(&talker->io);
		close(talker->fd);
		talker->fd = -1;
	}
}

static inline void talker_on_event(void *ctx, unsigned events)
{
	struct talker *talker = ctx;
	uint8_t buffer[65536];
	ssize_t count = recv(talker->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
	size_t at = 0;

	(void)events;
	if (count < 0 && errno == EAGAIN) {
		return;
	}
	if (count <= 0) {
		talker->eof = true;
		loop_io_set(&talker->io, 0);
		return;
	}
	for (;;) {
		const uint8_t *frame = NULL;
		size_t length = 0;
		size_t used = 0;
		int rc = 0;

		test_side++;
		rc = frame_reader_next(&talker->reader, buffer + at, (size_t)count - at, &used,
				       &frame, &length);
		test_side--;
		at += used;
		assert_true(rc >= 0);
		if (rc == 0) {
			return;
		}
		talker_take(talker, frame, length);
	}
}

static inline struct talker *talker_new(void)
{
	struct talker *talker = calloc(1, sizeof(*talker));
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	assert_non_null(talker);
	memcpy(address.sun_path, ipc_path, strlen(ipc_path) + 1);
	talker->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(talker->fd >= 0);
	assert_int_equal(connect(talker->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	frame_reader_init(&talker->reader, WIRE_SERVER_FRAME_MAX);
	loop_io_start(&talker->io, world.loop, talker->fd, LOOP_READ, talker_on_event, talker);
	return talker;
}

static inline void talker_listen(struct talker *talker, bool listen)
{
	loop_io_set(&talker->io, listen ? (unsigned)LOOP_READ : 0u);
}

static inline void talker_free(struct talker *talker)
{
	talker_close(talker);
	frame_reader_fini(&talker->reader);
	for (unsigned i = 0; i < talker->count; i++) {
		wire_server_frame_free(talker->frames[i]);
	}
	free(talker);
}

/* ---- sending ---- */

static inline void talker_raw(struct talker *talker, const void *data, size_t length)
{
	const uint8_t *at = data;

	while (length > 0) {
		ssize_t count = send(talker->fd, at, length, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (count < 0) {
			assert_int_equal(errno, EAGAIN);
			loop_run_once(world.loop, false);
			continue;
		}
		at += count;
		length -= (size_t)count;
	}
}

static inline void talker_send(struct talker *talker, const struct wire_client_frame *frame)
{
	uint8_t *data = NULL;
	size_t length = 0;

	test_side++;
	assert_int_equal(wire_client_frame_encode(frame, &data, &length), 0);
	test_side--;
	talker_raw(talker, data, length);
	free(data);
}

/* The `nth` frame of that kind and id, from 0; NULL if it has not come. */
static inline const struct wire_server_frame *
talker_find(const struct talker *talker, enum wire_server_kind kind, uint64_t id, unsigned nth)
{
	for (unsigned i = 0; i < talker->count; i++) {
		if (talker->frames[i]->kind == kind && talker->frames[i]->id == id && nth-- == 0) {
			return talker->frames[i];
		}
	}
	return NULL;
}

static inline const struct wire_server_frame *talker_wait(struct talker *talker,
							  enum wire_server_kind kind, uint64_t id)
{
	UNTIL(world.loop, talker->eof || talker_find(talker, kind, id, 0));
	assert_non_null(talker_find(talker, kind, id, 0));
	return talker_find(talker, kind, id, 0);
}

static inline void talker_hello(struct talker *talker)
{
	struct wire_client_frame frame = {.kind = WIRE_CLIENT_HELLO,
					  .hello = {.major = WIRE_MAJOR, .client_name = "talker"}};

	talker_send(talker, &frame);
	(void)talker_wait(talker, WIRE_SERVER_HELLO, 0);
}

/* Connected, and through with the hellos. */
static inline struct talker *talker_open(void)
{
	struct talker *talker = talker_new();

	talker_hello(talker);
	return talker;
}

static inline void talker_submit_url(struct talker *talker, uint64_t id, const char *url,
				     uint64_t credit)
{
	struct wire_client_frame frame = {.id = id,
					  .kind = WIRE_CLIENT_SUBMIT,
					  .submit = {.url = url, .initial_credit = {true, credit}}};

	talker->granted[id] = credit;
	talker_send(talker, &frame);
}

/* A job whose body goes to `fd`, which rides on the frame. */
static inline void talker_submit_to(struct talker *talker, uint64_t id, int fd)
{
	struct wire_client_frame frame = {
		.id = id,
		.fd_count = 1,
		.kind = WIRE_CLIENT_SUBMIT,
		.submit = {.url = h2_url(world.origin, "/"), .has_output = true}};
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	uint8_t *data = NULL;
	size_t length = 0;
	struct iovec iov;
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *header = NULL;

	test_side++;
	assert_int_equal(wire_client_frame_encode(&frame, &data, &length), 0);
	test_side--;
	iov = (struct iovec){.iov_base = data, .iov_len = length};
	message.msg_control = control.bytes;
	message.msg_controllen = sizeof(control.bytes);
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(int));
	assert_int_equal(sendmsg(talker->fd, &message, MSG_NOSIGNAL), length);
	free(data);
}

static inline void talker_submit(struct talker *talker, uint64_t id, uint64_t credit)
{
	talker_submit_url(talker, id, h2_url(world.origin, "/"), credit);
}

static inline void talker_credit(struct talker *talker, uint64_t id, uint64_t bytes)
{
	talker->granted[id] += bytes;
	talker_send(talker, &(struct wire_client_frame){.id = id,
							.kind = WIRE_CLIENT_CREDIT,
							.credit = {.bytes = bytes}});
}

static inline void talker_ask(struct talker *talker, enum wire_client_kind kind, uint64_t id)
{
	talker_send(talker, &(struct wire_client_frame){.id = id, .kind = kind});
}

/* Everything sent so far was handled, and its answers came. */
static inline void talker_sync(struct talker *talker, uint64_t id)
{
	talker_ask(talker, WIRE_CLIENT_PING, id);
	(void)talker_wait(talker, WIRE_SERVER_PONG, id);
}

static inline void assert_goodbye(struct talker *talker, enum wire_goodbye_code code)
{
	const struct wire_server_frame *frame = talker_wait(talker, WIRE_SERVER_GOODBYE, 0);

	if (frame->goodbye.code != code) {
		fail_msg("goodbye %s: %s", wire_goodbye_code_name(frame->goodbye.code),
			 frame->goodbye.text);
	}
	assert_true(frame->goodbye.text[0]);
	UNTIL(world.loop, talker->eof);
}

static inline void assert_closed(struct talker *talker, uint64_t id, enum wire_close_reason reason)
{
	const struct wire_server_frame *frame = talker_wait(talker, WIRE_SERVER_CLOSED, id);

	if (frame->closed.reason != reason) {
		fail_msg("closed %s: %s", wire_close_reason_name(frame->closed.reason),
			 frame->closed.failure_count ? frame->closed.failures[0].text : "");
	}
}

#define IPC_TEST(name) cmocka_unit_test_setup_teardown(name, ipc_setup, ipc_teardown)
