/* SPDX-License-Identifier: MIT */
/*
 * A connection's I/O: what the channel gives goes into nghttp2, what nghttp2 has to say is
 * collected during a round and written at its end. What the frames mean is in connection_session.c.
 */
#include "http/connection_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define READS_PER_ROUND 4u
/* Of a connection that cannot be written to any more: what its socket may still hold. */
#define LAST_READS_MAX 64u
/* mem_send gives at most one frame of default size at a time. */
#define OUT_ROOM_MIN (NGHTTP2_INITIAL_MAX_FRAME_SIZE_BYTES + 64u)
#define NGHTTP2_INITIAL_MAX_FRAME_SIZE_BYTES 16384u

static bool collect(struct connection *connection);

static void doom_io(struct connection *connection, const struct failure *failure)
{
	if (connection->reason == CLOSE_NONE && !connection->failure) {
		connection->failure = calloc(1, sizeof(*connection->failure));
		if (connection->failure) {
			failure_copy(connection->failure, failure);
		}
	}
	connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR, NULL,
			"the connection broke");
}

/* ---- reading ---- */

/* The server's first frame must be SETTINGS (RFC 9113, section 3.4). Anything else, an HTTP/1.1
 * error page for instance, is worth quoting, which nghttp2's "frame size error" would not do.
 * Returns false if the connection is doomed. */
static bool check_preface(struct connection *connection, const uint8_t *data, size_t length)
{
	size_t room = sizeof(connection->first) - connection->first_length;
	char line[sizeof(connection->first) + 1];
	size_t i = 0;

	memcpy(connection->first + connection->first_length, data, length < room ? length : room);
	connection->first_length += length < room ? length : room;
	if (connection->first_length < 4) {
		return true; /* too little to tell; nghttp2 gets it all the same */
	}
	if (connection->first[3] <= NGHTTP2_ALTSVC) {
		/* A frame; if it is the wrong one, nghttp2 says so. */
		connection->first_length = sizeof(connection->first);
		return true;
	}
	for (; i < connection->first_length && connection->first[i] != '\n' &&
	       connection->first[i] != '\r';
	     i++) {
		uint8_t c = connection->first[i];

		line[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	line[i] = '\0';
	connection_doom(connection, CLOSE_CONNECT_FAILED, FAIL_NOT_HTTP2, NULL,
			"the server does not speak HTTP/2; it begins with \"%s\"", line);
	return false;
}

/* nghttp2 gives up for good: whose fault is it? */
static void doom_nghttp2(struct connection *connection, int error)
{
	if (error == NGHTTP2_ERR_NOMEM || error == NGHTTP2_ERR_CALLBACK_FAILURE) {
		connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_NO_MEMORY, NULL,
				"the daemon has no memory for the connection");
	} else {
		connection_doom(connection, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR, NULL,
				"the peer broke HTTP/2 on the connection: %s",
				nghttp2_strerror(error));
	}
}

/* The connection ends for what the peer did: with a GOAWAY, if the socket takes it at once. */
static void expel(struct connection *connection)
{
	(void)nghttp2_session_terminate_session(connection->session, NGHTTP2_ENHANCE_YOUR_CALM);
	if (connection->write_blocked) {
		connection_destroy(connection);
	} else {
		connection_flush(connection); /* which ends it, there being a reason */
	}
}

static void expel_flooder(struct connection *connection, enum failure_code code)
{
	const struct flood_limits *limits = &connection->settings.flood;
	const uint32_t h2_code = NGHTTP2_ENHANCE_YOUR_CALM;
	const char *what = "";
	const char *key = "";
	uint32_t limit = 0;

	if (code == FAIL_FLOOD_SETTINGS) {
		what = "SETTINGS frames per second";
		key = "settings_rate";
		limit = limits->settings_rate;
	} else if (code == FAIL_FLOOD_PING) {
		what = "PING frames per second";
		key = "ping_rate";
		limit = limits->ping_rate;
	} else if (code == FAIL_FLOOD_RESET) {
		what = "RST_STREAM frames per second";
		key = "reset_rate";
		limit = limits->reset_rate;
	} else if (code == FAIL_FLOOD_EMPTY) {
		what = "DATA frames per second without a byte of body";
		key = "empty_rate";
		limit = limits->empty_rate;
	} else {
		what = "CONTINUATION frames in one header section";
		key = "continuations";
		limit = limits->max_continuations;
	}
	connection_blame(connection, CLOSE_PROTOCOL_ERROR, code, &h2_code,
			 "the peer sent more than %" PRIu32 " %s (http.max_%s)", limit, what, key);
	expel(connection);
}

/* False: the connection is gone. */
static bool feed_session(struct connection *connection, const uint8_t *data, size_t length)
{
	ssize_t used = 0;

	connection->in_session = true;
	used = nghttp2_session_mem_recv(connection->session, data, length);
	connection->in_session = false;
	if (used < 0) {
		doom_nghttp2(connection, (int)used);
		return false;
	}
	if (connection->doomed) {
		connection_destroy(connection);
		return false;
	}
	return true;
}

static bool has_too_many_queued(const struct connection *connection)
{
	uint32_t limit = connection->settings.max_queued_frames;

	return limit > 0 && nghttp2_session_get_outbound_queue_size(connection->session) > limit;
}

/* A peer that makes us answer, and does not read, would grow nghttp2's queue without end. What the
 * socket takes is no such case. False: the connection is gone. */
static bool check_queue(struct connection *connection)
{
	const uint32_t code = NGHTTP2_ENHANCE_YOUR_CALM;

	if (has_too_many_queued(connection) && !connection->write_blocked) {
		connection_flush(connection);
	}
	if (connection->dead) {
		return false;
	}
	if (has_too_many_queued(connection)) {
		connection_blame(connection, CLOSE_PROTOCOL_ERROR, FAIL_FLOOD_ANSWERS, &code,
				 "the peer asks for answers and does not read them: more than "
				 "%" PRIu32 " frames wait (http.max_queued_frames)",
				 connection->settings.max_queued_frames);
		expel(connection);
		return false;
	}
	return true;
}

/* False: the connection is gone or doomed. */
static bool feed(struct connection *connection, const uint8_t *data, size_t length)
{
	enum failure_code flood = FAIL_NONE;

	connection->env->metrics->wire_received += length;
	connection->last_read_ms = loop_now_ms(connection->env->loop);
	connection_liveness_heard(connection);
	if (connection->dead) {
		return false; /* its owner, who was told of the answer, let go of it */
	}
	if (connection->first_length < sizeof(connection->first) &&
	    !check_preface(connection, data, length)) {
		return false;
	}
	flood = flood_scan(&connection->flood, &connection->settings.flood, data, length,
			   connection->last_read_ms, &length);
	if (length > 0 && !feed_session(connection, data, length)) {
		return false;
	}
	if (flood != FAIL_NONE) {
		expel_flooder(connection, flood);
		return false;
	}
	if (!check_queue(connection)) {
		return false;
	}
	if (connection->write_blocked && !nghttp2_session_want_read(connection->session)) {
		/* nghttp2 is done with the peer, and what it has to say about that cannot be said.
		 */
		connection_doom(connection, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR, NULL,
				"the peer broke HTTP/2 on the connection, and takes no bytes");
		return false;
	}
	return true;
}

/* What nghttp2 made of the peer's last bytes is why streams or the connection end, and not what the
 * socket says now: it says so by what it would send, so that is collected before the end. False:
 * the connection is gone. */
static bool hear_nghttp2(struct connection *connection)
{
	if (!collect(connection)) {
		return false;
	}
	if (connection->reason != CLOSE_NONE) {
		connection_destroy(connection);
		return false;
	}
	return true;
}

static void on_eof(struct connection *connection)
{
	bool clean = channel_eof_clean(connection->channel);

	if (!connection->streams) {
		connection_destroy(connection);
		return;
	}
	if (!hear_nghttp2(connection)) {
		return;
	}
	connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_CLOSED, NULL, "%s",
			clean ? "the peer closed the connection"
			      : "the peer cut the connection without TLS's close_notify");
}

static void on_readable(void *ctx)
{
	struct connection *connection = ctx;
	uint8_t *buffer = connection->env->read_buffer;

	for (unsigned i = 0; i < READS_PER_ROUND; i++) {
		struct failure failure;
		size_t count = 0;

		switch (channel_read(connection->channel, buffer, HTTP_READ_SIZE, &count,
				     &failure)) {
		case IO_OK:
			if (!feed(connection, buffer, count)) {
				return;
			}
			break;
		case IO_AGAIN:
			connection_queue_flush(connection);
			return;
		case IO_EOF:
			on_eof(connection);
			return;
		case IO_ERROR:
			if (hear_nghttp2(connection)) {
				doom_io(connection, &failure);
			}
			return;
		}
	}
	connection_queue_flush(connection);
}

/* ---- writing ---- */

static void on_writable(void *ctx)
{
	struct connection *connection = ctx;

	connection->write_blocked = false;
	loop_timer_stop(&connection->write_timer);
	connection_queue_flush(connection);
}

static const struct channel_callbacks channel_callbacks = {.on_readable = on_readable,
							   .on_writable = on_writable};

void connection_queue_flush(struct connection *connection)
{
	if (!connection->dead && connection->session && !connection->write_blocked) {
		loop_task_queue(&connection->flush, connection->env->loop);
	}
}

void connection_require(struct connection *connection, int result)
{
	if (result < 0) {
		connection_blame(connection, CLOSE_CONNECTION_LOST, FAIL_NO_MEMORY, NULL,
				 "the daemon has no memory for a frame");
	}
	connection_queue_flush(connection);
}

/* Collects what nghttp2 has to send. False: the connection is gone. */
static bool collect(struct connection *connection)
{
	while (CONNECTION_OUT_SIZE - connection->out_end >= OUT_ROOM_MIN) {
		const uint8_t *data = NULL;
		ssize_t length = 0;

		if (!connection->out) {
			connection->out = malloc(CONNECTION_OUT_SIZE);
			if (!connection->out) {
				connection_doom(
					connection, CLOSE_CONNECTION_LOST, FAIL_NO_MEMORY, NULL,
					"the daemon has no memory for the connection's output");
				return false;
			}
		}
		connection->in_session = true;
		length = nghttp2_session_mem_send(connection->session, &data);
		connection->in_session = false;
		if (length == NGHTTP2_ERR_NOMEM) {
			doom_nghttp2(connection, (int)length);
			return false;
		}
		if (length < 0) {
			connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_INTERNAL, NULL,
					"nghttp2: %s", nghttp2_strerror((int)length));
			return false;
		}
		if (connection->doomed) {
			connection_destroy(connection);
			return false;
		}
		if (length == 0) {
			if (connection_request_next_turn(connection)) {
				continue;
			}
			break;
		}
		assert((size_t)length <= CONNECTION_OUT_SIZE - connection->out_end);
		memcpy(connection->out + connection->out_end, data, (size_t)length);
		connection->out_end += (size_t)length;
		connection->out_total += (uint64_t)length;
	}
	return true;
}

static void on_write_timeout(void *ctx)
{
	struct connection *connection = ctx;

	connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR, NULL,
			"the peer took no bytes for %" PRIu64 " ms (http.write_timeout)",
			connection->settings.write_timeout_ms);
}

/* A peer that takes nothing would keep its streams, its place in the pool and our resets for ever.
 */
static void watch_writing(struct connection *connection)
{
	connection->write_blocked = true;
	connection->blocked_ms = loop_now_ms(connection->env->loop);
	loop_timer_start(&connection->write_timer, connection->env->loop,
			 connection->settings.write_timeout_ms, on_write_timeout, connection);
}

/* What the peer had said before it went away comes first: an answer may be whole, a GOAWAY may say
 * what was not processed. Only with streams, so never from inside connection_free(), which may be
 * called while another connection's bytes are in the read buffer. */
static void doom_writing(struct connection *connection, const struct failure *failure)
{
	uint8_t *buffer = connection->env->read_buffer;
	struct failure unused;
	size_t count = 0;

	connection->write_blocked = true; /* nothing more is written */
	for (unsigned i = 0; connection->streams && i < LAST_READS_MAX; i++) {
		if (channel_read(connection->channel, buffer, HTTP_READ_SIZE, &count, &unused) !=
		    IO_OK) {
			break;
		}
		if (!feed(connection, buffer, count)) {
			return;
		}
	}
	if (hear_nghttp2(connection)) {
		doom_io(connection, failure);
	}
}

/* Writes what was collected. False: blocked, or the connection is gone. */
static bool write_out(struct connection *connection)
{
	while (connection->out_begin < connection->out_end) {
		struct failure failure = {.count = 0};
		size_t count = 0;

		switch (channel_write(connection->channel, connection->out + connection->out_begin,
				      connection->out_end - connection->out_begin, &count,
				      &failure)) {
		case IO_OK:
			connection->out_begin += count;
			connection->written_total += count;
			connection->env->metrics->wire_sent += count;
			break;
		case IO_AGAIN:
			watch_writing(connection);
			return false;
		case IO_EOF:
		case IO_ERROR:
			doom_writing(connection, &failure);
			return false;
		}
	}
	connection->out_begin = connection->out_end = 0;
	return true;
}

void connection_flush(void *ctx)
{
	struct connection *connection = ctx;

	do {
		if (!collect(connection)) {
			return;
		}
		if (connection->out_begin == connection->out_end) {
			break;
		}
	} while (write_out(connection));
	if (connection->dead) {
		return;
	}
	if (connection->reason != CLOSE_NONE) {
		/* Our GOAWAY with the error was tried once; a peer that broke the protocol gets no
		 * more patience. */
		connection_destroy(connection);
		return;
	}
	if (connection->write_blocked) {
		return;
	}
	free(connection->out);
	connection->out = NULL;
	if (!nghttp2_session_want_read(connection->session) &&
	    !nghttp2_session_want_write(connection->session)) {
		/* Both GOAWAYs are out and no stream is left. */
		connection_destroy(connection);
	}
}

void connection_listen(struct connection *connection)
{
	channel_listen(connection->channel, &channel_callbacks, connection);
}
