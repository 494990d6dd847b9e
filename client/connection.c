/* SPDX-License-Identifier: MIT */
/*
 * The connection to the daemon: connecting, the event loop's shape, reading frames and handing them
 * to whom they are for. What happens to jobs is in job.c, to other requests in request.c.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- beginning and end ---- */

static int queue_hello(struct fetchd_connection *connection, const char *client_name)
{
	char name[WIRE_CLIENT_NAME_MAX + 1];
	size_t length = 0;

	if (client_name == NULL) {
		client_name = program_invocation_short_name;
	}
	for (; length < WIRE_CLIENT_NAME_MAX && client_name[length] != '\0'; length++) {
		char c = client_name[length];

		name[length] = c >= 0x20 && c < 0x7f ? c : '?';
	}
	name[length] = '\0';

	return connection_queue(
		connection,
		&(struct wire_client_frame){
			.kind = WIRE_CLIENT_HELLO,
			.hello = {.major = WIRE_MAJOR, .minor = WIRE_MINOR, .client_name = name},
		});
}

static void connection_free(struct fetchd_connection *connection)
{
	jobs_free(connection);
	requests_free(connection);
	outbox_fini(&connection->outbox);
	frame_reader_fini(&connection->reader);
	free(connection->input);
	free(connection->fields);
	if (connection->hello != NULL) {
		wire_server_frame_free(connection->hello);
	}
	if (connection->fd >= 0) {
		close(connection->fd);
	}
	free(connection);
}

int fetchd_connect_fd(int take_fd, const char *client_name,
		      struct fetchd_connection **ret_connection)
{
	struct fetchd_connection *connection;
	int type = 0, flags, r;
	socklen_t type_size = sizeof(type);

	if (getsockopt(take_fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0) {
		r = -errno;
		goto fail;
	}
	if (type != SOCK_STREAM) {
		r = -EPROTOTYPE;
		goto fail;
	}
	flags = fcntl(take_fd, F_GETFD);
	if (flags < 0 || fcntl(take_fd, F_SETFD, flags | FD_CLOEXEC) != 0) {
		r = -errno;
		goto fail;
	}

	connection = calloc(1, sizeof(*connection));
	if (connection == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	connection->fd = take_fd;
	connection->next_id = 1;
	frame_reader_init(&connection->reader, WIRE_SERVER_FRAME_MAX);
	connection->input = malloc(INPUT_BYTES);
	r = connection->input != NULL ? queue_hello(connection, client_name) : -ENOMEM;
	if (r < 0) {
		connection_free(connection);
		return r;
	}
	*ret_connection = connection;
	return 0;

fail:
	if (take_fd >= 0) {
		close(take_fd);
	}
	return r;
}

/* A full backlog gives a non-blocking connect() EAGAIN and nothing to poll for, but a blocking one
 * waits, and SO_SNDTIMEO bounds that. */
static int connect_bounded(int fd, const struct sockaddr_un *address, int timeout_ms)
{
	int64_t deadline_ms = now_ms() + timeout_ms;

	for (;;) {
		struct timeval limit = {0};

		if (timeout_ms >= 0) {
			int64_t left_ms = deadline_ms - now_ms();

			/* 0 would mean for ever. */
			left_ms = left_ms > 0 ? left_ms : 1;
			limit.tv_sec = (time_t)(left_ms / 1000);
			limit.tv_usec = (suseconds_t)(left_ms % 1000 * 1000);
			if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) != 0) {
				return -errno;
			}
		}
		if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0) {
			return 0;
		}
		if (errno == EAGAIN) {
			return -ETIMEDOUT;
		}
		/* An interrupted connect() on a Unix socket has not begun anything. */
		if (errno != EINTR) {
			return -errno;
		}
		if (timeout_ms >= 0 && now_ms() >= deadline_ms) {
			return -ETIMEDOUT;
		}
	}
}

int fetchd_connect(const char *path, const char *client_name, int timeout_ms,
		   struct fetchd_connection **ret_connection)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, r;

	if (path == NULL) {
		r = fetchd_socket_path(address.sun_path, sizeof(address.sun_path));
		if (r < 0) {
			return r;
		}
	} else {
		size_t length = strlen(path);

		if (length == 0) {
			return -ENOENT;
		}
		if (length >= sizeof(address.sun_path)) {
			return -ENAMETOOLONG;
		}
		memcpy(address.sun_path, path, length + 1);
	}

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		return -errno;
	}
	r = connect_bounded(fd, &address, timeout_ms);
	if (r < 0) {
		close(fd);
		return r;
	}
	return fetchd_connect_fd(fd, client_name, ret_connection);
}

void fetchd_close(struct fetchd_connection *connection)
{
	if (connection == NULL) {
		return;
	}
	if (connection->dispatching) {
		connection->closing = true;
		return;
	}
	connection_free(connection);
}

/* ---- errors ---- */

int connection_lose(struct fetchd_connection *connection, int error, const char *format, ...)
{
	va_list arguments;

	if (connection->error == 0) {
		connection->error = error;
		va_start(arguments, format);
		(void)vsnprintf(connection->error_text, sizeof(connection->error_text), format,
				arguments);
		va_end(arguments);
	}
	return connection->error;
}

int fetchd_error(const struct fetchd_connection *connection)
{
	return connection->error;
}

const char *fetchd_error_text(const struct fetchd_connection *connection)
{
	return connection->error_text;
}

enum fetchd_goodbye_code fetchd_goodbye(const struct fetchd_connection *connection,
					const char **ret_text)
{
	if (ret_text != NULL) {
		*ret_text = connection->goodbye_text;
	}
	return connection->goodbye;
}

/* ---- sending ---- */

int connection_queue(struct fetchd_connection *connection, const struct wire_client_frame *frame)
{
	uint8_t *data = NULL;
	size_t length = 0;
	int r = wire_client_frame_encode(frame, &data, &length);

	if (r < 0) {
		return r;
	}
	/* Once sending is over nothing is kept: it could only grow. */
	if (connection->send_error == 0) {
		r = outbox_add(&connection->outbox, data, length);
	}
	free(data);
	return r;
}

static int connection_send(struct fetchd_connection *connection)
{
	int r;

	if (connection->send_error != 0) {
		return connection->send_error;
	}
	r = outbox_send(&connection->outbox, connection->fd);
	if (r == 0 && connection->owing) {
		jobs_settle(connection);
		r = outbox_send(&connection->outbox, connection->fd);
	}
	if (r < 0) {
		connection->send_error = r;
		outbox_fini(&connection->outbox);
	}
	return r;
}

int connection_accepts(struct fetchd_connection *connection)
{
	if (connection->closing) {
		return -ECANCELED;
	}
	if (connection->error != 0) {
		return connection->error;
	}
	if (outbox_length(&connection->outbox) > OUTBOX_LIMIT_BYTES) {
		(void)connection_send(connection);
	}
	if (connection->send_error != 0) {
		return connection->send_error;
	}
	return outbox_length(&connection->outbox) > OUTBOX_LIMIT_BYTES ? -EAGAIN : 0;
}

int fetchd_flush(struct fetchd_connection *connection)
{
	return connection->error != 0 ? connection->error : connection_send(connection);
}

/* ---- receiving ---- */

static int take_hello(struct fetchd_connection *connection, struct wire_server_frame *frame)
{
	const struct wire_server_hello *hello = &frame->hello;

	if (hello->major != WIRE_MAJOR) {
		return connection_lose(connection, -EPROTONOSUPPORT,
				       "the daemon speaks version %u of the protocol, not %u",
				       hello->major, WIRE_MAJOR);
	}
	connection->hello = frame;
	connection->server = (struct fetchd_server){
		.version = hello->server_version,
		.instance_id = hello->instance_id,
		.protocol_major = hello->major,
		.protocol_minor = hello->minor,
		.max_client_frame_bytes = hello->max_client_frame_bytes,
		.max_jobs = hello->max_jobs,
		.default_credit_bytes = hello->default_credit_bytes,
		.max_credit_bytes = hello->max_credit_bytes,
	};
	connection->greeted = true;
	return 0;
}

static int take_goodbye(struct fetchd_connection *connection, const struct wire_server_frame *frame)
{
	connection->goodbye = (enum fetchd_goodbye_code)frame->goodbye.code;
	(void)snprintf(connection->goodbye_text, sizeof(connection->goodbye_text), "%s",
		       frame->goodbye.text);
	return connection_lose(connection, -ECONNRESET, "the daemon said goodbye: %s%s%s",
			       wire_goodbye_code_name(frame->goodbye.code),
			       connection->goodbye_text[0] != '\0' ? ": " : "",
			       connection->goodbye_text);
}

/* 1: the caller was told something; 0: not; negative: lost. */
static int take_frame(struct fetchd_connection *connection, const uint8_t *data, size_t length)
{
	struct wire_server_frame *frame = NULL;
	struct wire_bytes body;
	const char *why = "";
	uint64_t id, offset;
	int r;

	if (connection->greeted && wire_body_parse(data, length, &id, &offset, &body)) {
		return job_body(connection, id, offset, body.data, body.length);
	}

	r = wire_server_frame_decode(data, length, &frame, &why);
	if (r == -ENOMEM) {
		return connection_lose(connection, r, "out of memory");
	}
	if (r < 0) {
		return connection_lose(connection, -EPROTO, "the daemon sent a bad message: %s",
				       why);
	}
	if (!connection->greeted && frame->kind != WIRE_SERVER_HELLO &&
	    frame->kind != WIRE_SERVER_GOODBYE) {
		r = connection_lose(connection, -EPROTO, "the daemon's first message is no hello");
		wire_server_frame_free(frame);
		return r;
	}

	switch (frame->kind) {
	case WIRE_SERVER_HELLO:
		if (connection->greeted) {
			r = connection_lose(connection, -EPROTO, "the daemon said hello twice");
			break;
		}
		r = take_hello(connection, frame);
		if (r == 0) {
			return 0; /* the connection owns the frame now */
		}
		break;
	case WIRE_SERVER_GOODBYE:
		r = take_goodbye(connection, frame);
		break;
	case WIRE_SERVER_ACCEPTED:
	case WIRE_SERVER_HEAD:
	case WIRE_SERVER_BODY:
	case WIRE_SERVER_CLOSED:
	case WIRE_SERVER_INFORMATIONAL:
	case WIRE_SERVER_TRAILERS:
	case WIRE_SERVER_WARNING:
	case WIRE_SERVER_PROGRESS:
	case WIRE_SERVER_UPLOAD_CREDIT:
		r = job_event(connection, frame);
		break;
	case WIRE_SERVER_LIST:
	case WIRE_SERVER_STATS:
	case WIRE_SERVER_PONG:
	case WIRE_SERVER_CANCEL_JOB:
	case WIRE_SERVER_UNSUPPORTED:
		r = request_reply(connection, frame);
		break;
	case WIRE_SERVER_UNKNOWN:
		/* A newer daemon may say more than we know. */
		r = 0;
		break;
	}
	wire_server_frame_free(frame);
	return r;
}

/* One read and everything in it. Returns the number of events; the error is in the connection. */
static int receive_once(struct fetchd_connection *connection)
{
	size_t used_up = 0, length;
	int events = 0;
	ssize_t received;

	do {
		received = recv(connection->fd, connection->input, INPUT_BYTES, MSG_DONTWAIT);
	} while (received < 0 && errno == EINTR);

	if (received < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		/* Sending fails only when the daemon is gone, and then nothing more can come. */
		if (connection->send_error != 0) {
			(void)connection_lose(connection, connection->send_error,
					      "sending to the daemon: %s",
					      strerror(-connection->send_error));
		}
		return 0;
	}
	/* ECONNRESET is how a Unix socket says that the daemon left something of ours unread. */
	if (received == 0 || (received < 0 && errno == ECONNRESET)) {
		(void)connection_lose(connection, -ECONNRESET, "the daemon closed the connection");
		return 0;
	}
	if (received < 0) {
		int error = errno;

		(void)connection_lose(connection, -error, "receiving from the daemon: %s",
				      strerror(error));
		return 0;
	}

	length = (size_t)received;
	while (used_up < length && connection->error == 0 && !connection->closing) {
		const uint8_t *frame = NULL;
		size_t used = 0, frame_length = 0;
		int r = frame_reader_next(&connection->reader, connection->input + used_up,
					  length - used_up, &used, &frame, &frame_length);

		used_up += used;
		if (r == 0) {
			break;
		}
		if (r < 0) {
			(void)connection_lose(connection, r == -ENOMEM ? r : -EPROTO, "%s",
					      r == -ENOMEM ? "out of memory"
							   : "the daemon sent a bad frame length");
			break;
		}
		r = take_frame(connection, frame, frame_length);
		if (r > 0) {
			events++;
		}
	}
	return events;
}

/* ---- the event loop's shape ---- */

int fetchd_get_fd(const struct fetchd_connection *connection)
{
	return connection->fd;
}

short fetchd_get_events(const struct fetchd_connection *connection)
{
	short events = POLLIN;

	if (connection->error == 0 && outbox_length(&connection->outbox) > 0) {
		events = (short)(events | POLLOUT);
	}
	return events;
}

int fetchd_get_timeout(const struct fetchd_connection *connection)
{
	if (connection->error != 0 || connection->send_error != 0) {
		return 0;
	}
	if (connection->owing && outbox_length(&connection->outbox) == 0) {
		return OWED_RETRY_MS;
	}
	if (uploads_hungry(connection)) {
		return 0;
	}
	return -1;
}

static int process_step(struct fetchd_connection *connection)
{
	int events = 0;

	if (connection->error == 0) {
		(void)connection_send(connection);
		events = receive_once(connection);
	}
	if (connection->error == 0 && !connection->closing) {
		(void)connection_send(connection);
		events += uploads_feed(connection);
	}
	if (connection->error == 0 && !connection->closing) {
		(void)connection_send(connection);
	}
	if (connection->error != 0 && !connection->loss_delivered && !connection->closing) {
		connection->loss_delivered = true;
		jobs_lose(connection);
		requests_lose(connection);
	}
	return connection->error != 0 ? connection->error : events;
}

int fetchd_process(struct fetchd_connection *connection)
{
	int r;

	if (connection->dispatching) {
		return -EBUSY;
	}
	connection->dispatching = true;
	r = process_step(connection);
	connection->dispatching = false;
	if (connection->closing) {
		connection_free(connection);
		return -ECANCELED;
	}
	return r;
}

int fetchd_wait(struct fetchd_connection *connection, int timeout_ms)
{
	struct pollfd poll_fd;
	int own_ms;

	if (connection->dispatching) {
		return -EBUSY;
	}
	/* What was queued goes out first: the poll below then waits for answers only. */
	(void)fetchd_flush(connection);
	own_ms = fetchd_get_timeout(connection);
	if (own_ms >= 0 && (timeout_ms < 0 || own_ms < timeout_ms)) {
		timeout_ms = own_ms;
	}
	poll_fd = (struct pollfd){.fd = connection->fd, .events = fetchd_get_events(connection)};
	if (poll(&poll_fd, 1, timeout_ms) < 0 && errno != EINTR) {
		/* Who cannot wait would ask again and again. */
		(void)connection_lose(connection, -errno, "cannot wait for the daemon: %s",
				      strerror(errno));
	}
	return fetchd_process(connection);
}

/* ---- the daemon ---- */

const struct fetchd_server *fetchd_get_server(const struct fetchd_connection *connection)
{
	return connection->greeted ? &connection->server : NULL;
}

bool fetchd_has_feature(const struct fetchd_connection *connection, const char *name)
{
	if (!connection->greeted) {
		return false;
	}
	for (size_t i = 0; i < connection->hello->hello.feature_count; i++) {
		if (strcmp(connection->hello->hello.features[i], name) == 0) {
			return true;
		}
	}
	return false;
}
