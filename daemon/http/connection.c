/* SPDX-License-Identifier: MIT */
/*
 * A connection's life and its I/O: dialing, reading into nghttp2, writing what nghttp2 has to say
 * once a round, ending. What the frames mean is in connection_session.c.
 */
#include "http/connection_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define READS_PER_ROUND 4u
/* Frames that wait in nghttp2 to be sent. Its own flood limit counts acknowledgements only; a peer
 * that makes us answer in other ways, and does not read, would grow the queue without end. */
#define OUTBOUND_FRAMES_MAX 50000u
/* mem_send gives at most one frame of default size at a time. */
#define OUT_ROOM_MIN (NGHTTP2_INITIAL_MAX_FRAME_SIZE_BYTES + 64u)
#define NGHTTP2_INITIAL_MAX_FRAME_SIZE_BYTES 16384u
/* Streams ids are used up before 2^31: the connection is replaced while there is room (RFC 9113,
 * section 5.1.1). */
#define STREAM_ID_LAST (UINT32_C(0x7fffffff) - 2048u)

static const struct channel_callbacks channel_callbacks;
static bool collect(struct connection *connection);
static void flush(void *ctx);

const char *connection_state_name(enum connection_state state)
{
	switch (state) {
	case CONNECTION_CONNECTING:
		return "connecting";
	case CONNECTION_OPEN:
		return "open";
	case CONNECTION_DRAINING:
		return "draining";
	case CONNECTION_CLOSED:
		return "closed";
	}
	return "?";
}

/* The only place that changes the state. */
static void set_state(struct connection *connection, enum connection_state state)
{
	assert(state > connection->state);
	connection->state = state;
}

static void add_cause(struct connection *connection, enum failure_code code,
		      const uint32_t *h2_code, const char *text)
{
	struct failure_link *link = NULL;

	if (!connection->failure) {
		connection->failure = calloc(1, sizeof(*connection->failure));
	}
	if (!connection->failure) {
		return; /* out of memory: the reason alone has to do */
	}
	link = failure_wrap(connection->failure, code, "%s", text);
	if (h2_code) {
		link->has_h2_code = true;
		link->h2_code = *h2_code;
	}
}

/* Takes everything down. The owner hears of it if it is still there. */
static void destroy(struct connection *connection)
{
	const struct connection_callbacks *callbacks = NULL;
	struct http_env *env = connection->env;
	bool opened = connection->state != CONNECTION_CONNECTING;

	if (connection->dead) {
		return;
	}
	connection->dead = true;
	loop_task_cancel(&connection->flush);
	loop_timer_stop(&connection->write_timer);
	dial_cancel(connection->dial);
	connection->dial = NULL;
	if (connection->state != CONNECTION_CLOSED) {
		set_state(connection, CONNECTION_CLOSED);
	}
	while (connection->streams) {
		stream_finish_lost(connection->streams);
	}
	nghttp2_session_del(connection->session);
	connection->session = NULL;
	channel_close(connection->channel);
	connection->channel = NULL;
	free(connection->out);
	connection->out = NULL;
	/* Only now: a stream's end may have made the owner let go of it. */
	callbacks = connection->callbacks;
	connection->callbacks = NULL;
	if (callbacks && opened) {
		callbacks->on_closed(connection->ctx, connection);
	} else if (callbacks) {
		callbacks->on_failed(connection->ctx, connection, connection->failure);
	}
	free(connection->failure);
	connection->failure = NULL;
	loop_free_later(env->loop, connection);
}

/* The first cause counts. */
__attribute__((format(printf, 5, 0))) static void
blame(struct connection *connection, enum close_reason reason, enum failure_code code,
      const uint32_t *h2_code, const char *format, va_list arguments)
{
	char text[FAILURE_TEXT_MAX];

	if (connection->reason == CLOSE_NONE) {
		vsnprintf(text, sizeof(text), format, arguments);
		add_cause(connection, code, h2_code, text);
		connection->reason = reason;
	}
}

void connection_blame(struct connection *connection, enum close_reason reason,
		      enum failure_code code, const uint32_t *h2_code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	blame(connection, reason, code, h2_code, format, arguments);
	va_end(arguments);
}

void connection_doom(struct connection *connection, enum close_reason reason,
		     enum failure_code code, const uint32_t *h2_code, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	blame(connection, reason, code, h2_code, format, arguments);
	va_end(arguments);
	connection->doomed = true;
	if (!connection->in_session) {
		destroy(connection);
	}
}

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

void connection_free(struct connection *connection)
{
	if (!connection) {
		return;
	}
	connection->callbacks = NULL;
	if (connection->in_session) {
		connection->doomed = true;
		return;
	}
	if (connection->state == CONNECTION_OPEN && !connection->streams) {
		/* A GOAWAY as far as the socket takes it at once. Not with streams: requests that
		 * have not left must not leave now. */
		connection_drain(connection);
		flush(connection);
	}
	destroy(connection);
}

/* ---- dialing ---- */

static void on_dialed(void *ctx, struct channel *channel, const struct dial_times *times)
{
	struct connection *connection = ctx;
	struct metrics *metrics = connection->env->metrics;
	const struct channel_info *info = channel_info(channel);

	connection->dial = NULL;
	connection->channel = channel;
	connection->times = *times;
	if (info->tls_version[0]) {
		metrics->tls_handshakes++;
		metrics->tls_resumed += info->tls_resumed;
	}
	if (connection_session_new(connection) < 0) {
		connection_doom(connection, CLOSE_CONNECT_FAILED, FAIL_NO_MEMORY, NULL,
				"the daemon has no memory for the connection");
		return;
	}
	metrics->connections_opened++;
	set_state(connection, CONNECTION_OPEN);
	channel_listen(channel, &channel_callbacks, connection);
	connection_queue_flush(connection);
	if (connection->callbacks) {
		connection->callbacks->on_open(connection->ctx, connection);
	}
}

static void on_dial_failed(void *ctx, const struct failure *failure, const struct dial_times *times)
{
	struct connection *connection = ctx;

	connection->dial = NULL;
	connection->times = *times;
	connection->env->metrics->connect_failures++;
	connection->failure = calloc(1, sizeof(*connection->failure));
	if (connection->failure) {
		failure_copy(connection->failure, failure);
	}
	connection->reason = CLOSE_CONNECT_FAILED;
	destroy(connection);
}

static const struct dial_callbacks dial_callbacks = {.on_done = on_dialed,
						     .on_failed = on_dial_failed};

int connection_new(struct http_env *env, const struct dial_target *target,
		   const struct connection_callbacks *callbacks, void *ctx,
		   struct connection **ret_connection)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int rc = 0;

	if (!connection) {
		return -ENOMEM;
	}
	connection->env = env;
	connection->callbacks = callbacks;
	connection->ctx = ctx;
	connection->settings = env->settings;
	connection->peer_limit = ASSUMED_STREAM_LIMIT;
	loop_task_init(&connection->flush, flush, connection);
	rc = dial_start(env->loop, env->dns, target, &dial_callbacks, connection,
			&connection->dial);
	if (rc < 0) {
		free(connection);
		return rc;
	}
	connection->number = ++env->connection_count;
	connection->last_read_ms = loop_now_ms(env->loop);
	*ret_connection = connection;
	return 0;
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

/* False: the connection is gone or doomed. */
static bool feed(struct connection *connection, const uint8_t *data, size_t length)
{
	ssize_t used = 0;

	connection->env->metrics->wire_received += length;
	connection->last_read_ms = loop_now_ms(connection->env->loop);
	if (connection->first_length < sizeof(connection->first) &&
	    !check_preface(connection, data, length)) {
		return false;
	}
	connection->in_session = true;
	used = nghttp2_session_mem_recv(connection->session, data, length);
	connection->in_session = false;
	if (used < 0) {
		doom_nghttp2(connection, (int)used);
		return false;
	}
	if (connection->doomed) {
		destroy(connection);
		return false;
	}
	if (nghttp2_session_get_outbound_queue_size(connection->session) > OUTBOUND_FRAMES_MAX) {
		connection_doom(connection, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR, NULL,
				"the peer asks for answers and does not read them (%u frames wait)",
				OUTBOUND_FRAMES_MAX);
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
		destroy(connection);
		return false;
	}
	return true;
}

static void on_eof(struct connection *connection)
{
	bool clean = channel_eof_clean(connection->channel);

	if (!connection->streams) {
		destroy(connection);
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
		if (length < 0) {
			connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_INTERNAL, NULL,
					"nghttp2: %s", nghttp2_strerror((int)length));
			return false;
		}
		if (connection->doomed) {
			destroy(connection);
			return false;
		}
		if (length == 0) {
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
	loop_timer_start(&connection->write_timer, connection->env->loop,
			 connection->settings.write_timeout_ms, on_write_timeout, connection);
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
			doom_io(connection, &failure);
			return false;
		}
	}
	connection->out_begin = connection->out_end = 0;
	return true;
}

/* The flush task: everything of this round in as few writes as possible. */
static void flush(void *ctx)
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
		destroy(connection);
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
		destroy(connection);
	}
}

/* ---- owner's side ---- */

void connection_set_draining(struct connection *connection)
{
	if (connection->state != CONNECTION_OPEN) {
		return;
	}
	set_state(connection, CONNECTION_DRAINING);
	if (connection->callbacks) {
		connection->callbacks->on_draining(connection->ctx, connection);
	}
}

void connection_notify_slots(struct connection *connection)
{
	if (connection->callbacks) {
		connection->callbacks->on_slots(connection->ctx, connection);
	}
}

void connection_drain(struct connection *connection)
{
	if (connection->state == CONNECTION_OPEN) {
		(void)nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, 0,
					    NGHTTP2_NO_ERROR, NULL, 0);
		connection_queue_flush(connection);
		connection_set_draining(connection);
	}
}

int connection_submit(struct connection *connection, const struct request *request,
		      const struct stream_callbacks *callbacks, void *ctx,
		      struct stream **ret_stream)
{
	struct stream *stream = NULL;
	int rc = 0;

	if (connection_slots(connection) == 0) {
		return -EBUSY;
	}
	stream = stream_new(connection, request, callbacks, ctx);
	if (!stream) {
		return -ENOMEM;
	}
	rc = connection_session_submit(connection, stream);
	if (rc < 0) {
		stream_free(stream);
		return rc;
	}
	connection->stream_count++;
	connection->env->metrics->streams_opened++;
	connection->env->metrics->streams_reused += connection->carried > 0;
	connection->carried++;
	connection_queue_flush(connection);
	if (stream->id >= STREAM_ID_LAST) {
		connection_drain(connection); /* and it closes with its last stream */
	}
	*ret_stream = stream;
	return 0;
}

enum connection_state connection_state(const struct connection *connection)
{
	return connection->state;
}

uint32_t connection_limit(const struct connection *connection)
{
	uint32_t ours = connection->env->settings.max_streams_per_connection;

	return ours < connection->peer_limit ? ours : connection->peer_limit;
}

uint32_t connection_slots(const struct connection *connection)
{
	uint32_t limit = connection_limit(connection);

	if (connection->state != CONNECTION_OPEN || connection->doomed ||
	    limit <= connection->stream_count) {
		return 0;
	}
	return limit - connection->stream_count;
}

uint32_t connection_streams(const struct connection *connection)
{
	return connection->stream_count;
}

uint64_t connection_carried(const struct connection *connection)
{
	return connection->carried;
}

uint64_t connection_number(const struct connection *connection)
{
	return connection->number;
}

const struct channel_info *connection_info(const struct connection *connection)
{
	return connection->channel ? channel_info(connection->channel) : NULL;
}

void connection_suspect(struct connection *connection, uint64_t since_ms)
{
	if (connection->last_read_ms < since_ms) {
		connection_drain(connection);
	}
}

const struct dial_times *connection_dial_times(const struct connection *connection)
{
	return &connection->times;
}

void connection_describe_dial(const struct connection *connection, struct failure *failure)
{
	if (connection->dial) {
		dial_describe(connection->dial, failure);
	}
}
