/* SPDX-License-Identifier: MIT */
/*
 * A daemon for the unit tests of the client library, driven step by step by the test in the same
 * thread: it reads the frames that the library wrote and writes what it is told to.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/framing.h"
#include "proto/wire.h"
#include <fetchd/fetchd.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FAKE_DEFAULT_CREDIT 1000u
#define FAKE_MAX_CREDIT 100000u

/* Above 0 while the daemon's side uses the same code: its allocations are not made to fail. See
 * unit/support/allocations.h. */
unsigned test_side;

struct fake_daemon {
	int fd;
	struct frame_reader reader;
	uint8_t input[65536];
	size_t begin, end;
};

/* A connection over a socket pair; the daemon's end in *fake. */
static inline struct fetchd_connection *fake_start(struct fake_daemon *fake)
{
	struct fetchd_connection *connection = NULL;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	memset(fake, 0, sizeof(*fake));
	fake->fd = fds[1];
	frame_reader_init(&fake->reader, WIRE_CLIENT_FRAME_MAX);
	assert_int_equal(fetchd_connect_fd(fds[0], "unit test", &connection), 0);
	return connection;
}

static inline void fake_stop(struct fake_daemon *fake)
{
	frame_reader_fini(&fake->reader);
	if (fake->fd >= 0) {
		close(fake->fd);
	}
	fake->fd = -1;
}

/* The next frame from the library, NULL if there is none. To be freed by the caller. */
static inline struct wire_client_frame *fake_next(struct fake_daemon *fake)
{
	struct wire_client_frame *frame = NULL;

	for (;;) {
		const uint8_t *data = NULL;
		const char *why = NULL;
		size_t used = 0, length = 0;
		ssize_t received;
		int r;

		test_side++;
		r = frame_reader_next(&fake->reader, fake->input + fake->begin,
				      fake->end - fake->begin, &used, &data, &length);
		fake->begin += used;
		assert_true(r >= 0);
		if (r > 0) {
			assert_int_equal(wire_client_frame_decode(data, length, &frame, &why), 0);
		}
		test_side--;
		if (r > 0) {
			return frame;
		}
		received = recv(fake->fd, fake->input, sizeof(fake->input), MSG_DONTWAIT);
		if (received <= 0) {
			return NULL;
		}
		fake->begin = 0;
		fake->end = (size_t)received;
	}
}

/* Expects a frame of that kind and returns its id. */
static inline uint64_t fake_expect(struct fake_daemon *fake, enum wire_client_kind kind)
{
	struct wire_client_frame *frame = fake_next(fake);
	uint64_t id;

	assert_non_null(frame);
	assert_int_equal(frame->kind, kind);
	id = frame->id;
	wire_client_frame_free(frame);
	return id;
}

static inline void fake_expect_nothing(struct fake_daemon *fake)
{
	assert_null(fake_next(fake));
}

static inline void fake_write(struct fake_daemon *fake, const void *data, size_t length)
{
	const uint8_t *at = data;

	while (length > 0) {
		ssize_t sent = send(fake->fd, at, length, MSG_NOSIGNAL);

		assert_true(sent > 0);
		at += sent;
		length -= (size_t)sent;
	}
}

static inline void fake_send(struct fake_daemon *fake, const struct wire_server_frame *frame)
{
	uint8_t *data = NULL;
	size_t length = 0;

	test_side++;
	assert_int_equal(wire_server_frame_encode(frame, &data, &length), 0);
	test_side--;
	fake_write(fake, data, length);
	free(data);
}

static inline void fake_hello_with(struct fake_daemon *fake, uint64_t default_credit,
				   uint64_t max_credit)
{
	static const char *const features[] = {"first", "second"};

	fake_send(fake, &(struct wire_server_frame){
				.kind = WIRE_SERVER_HELLO,
				.hello = {.major = WIRE_MAJOR,
					  .minor = 7,
					  .features = features,
					  .feature_count = 2,
					  .server_version = "9.8.7",
					  .instance_id = "0123456789abcdef0123456789abcdef",
					  .max_client_frame_bytes = WIRE_CLIENT_FRAME_MAX,
					  .max_server_frame_bytes = WIRE_SERVER_FRAME_MAX,
					  .max_jobs = 64,
					  .default_credit_bytes = default_credit,
					  .max_credit_bytes = max_credit}});
}

static inline void fake_hello(struct fake_daemon *fake)
{
	fake_hello_with(fake, FAKE_DEFAULT_CREDIT, FAKE_MAX_CREDIT);
}

static inline void fake_accept(struct fake_daemon *fake, uint64_t id, uint64_t daemon_id)
{
	fake_send(fake, &(struct wire_server_frame){.id = id,
						    .kind = WIRE_SERVER_ACCEPTED,
						    .accepted = {.job = daemon_id}});
}

static inline void fake_body(struct fake_daemon *fake, uint64_t id, uint64_t offset,
			     const void *data, size_t length)
{
	uint8_t prefix[WIRE_BODY_PREFIX_MAX];
	size_t prefix_length = wire_body_prefix(id, offset, length, prefix);

	fake_write(fake, prefix, prefix_length);
	fake_write(fake, data, length);
}

static inline void fake_close_job(struct fake_daemon *fake, uint64_t id,
				  enum wire_close_reason reason)
{
	fake_send(fake, &(struct wire_server_frame){.id = id,
						    .kind = WIRE_SERVER_CLOSED,
						    .closed = {.reason = reason}});
}

/* Greets and swallows the library's hello. */
static inline void fake_greet(struct fake_daemon *fake, struct fetchd_connection *connection)
{
	fake_hello(fake);
	assert_int_equal(fetchd_process(connection), 0);
	(void)fake_expect(fake, WIRE_CLIENT_HELLO);
	assert_non_null(fetchd_get_server(connection));
}
