/* SPDX-License-Identifier: MIT */
/*
 * A connection's life: dialing, opening, draining, ending. Its I/O is in connection_io.c, what the
 * frames mean in connection_session.c.
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

/* Streams ids are used up before 2^31: the connection is replaced while there is room (RFC 9113,
 * section 5.1.1). */
#define STREAM_ID_LAST (UINT32_C(0x7fffffff) - 2048u)

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

void connection_destroy(struct connection *connection)
{
	static const struct failure unknown; /* there was no memory for it */
	const struct connection_callbacks *callbacks = NULL;
	struct http_env *env = connection->env;
	bool opened = connection->state != CONNECTION_CONNECTING;

	if (connection->dead) {
		return;
	}
	connection->dead = true;
	loop_task_cancel(&connection->flush);
	loop_timer_stop(&connection->write_timer);
	loop_timer_stop(&connection->liveness);
	dial_cancel(connection->dial);
	connection->dial = NULL;
	set_state(connection, CONNECTION_CLOSING);
	if (connection->streams) {
		/* Unless something else was to blame. */
		connection_blame(connection, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_CLOSED, NULL,
				 "the daemon closed the connection");
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
	if (callbacks && opened && connection->reason != CLOSE_CONNECT_FAILED) {
		callbacks->on_closed(connection->ctx, connection);
	} else if (callbacks) {
		callbacks->on_failed(connection->ctx, connection,
				     connection->failure ? connection->failure : &unknown);
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
		connection_destroy(connection);
	}
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
		connection_flush(connection);
	}
	connection_destroy(connection);
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
	/* The handshake was a sign of life; how long the dial took is no silence. */
	connection->last_read_ms = loop_now_ms(connection->env->loop);
	connection_listen(connection);
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
	connection_destroy(connection);
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
	connection->state = CONNECTION_CONNECTING;
	connection->settings = env->settings;
	connection->began_ms = loop_now_ms(env->loop);
	connection->dial_timeout_ms = target->timeout_ms;
	connection->peer_limit = ASSUMED_STREAM_LIMIT;
	loop_task_init(&connection->flush, connection_flush, connection);
	rc = dial_start(env->loop, env->dns, target, &dial_callbacks, connection,
			&connection->dial);
	if (rc < 0) {
		free(connection);
		return rc;
	}
	connection->number = ++env->connection_count;
	env->metrics->dns_lookups += !target->host_is_address;
	*ret_connection = connection;
	return 0;
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
	connection_retire(connection, "retired");
}

void connection_retire(struct connection *connection, const char *why)
{
	if (connection->state == CONNECTION_OPEN) {
		connection->retired_why = why;
		connection_require(connection,
				   nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, 0,
							 NGHTTP2_NO_ERROR, NULL, 0));
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
	rc = connection_request_submit(connection, stream);
	if (rc < 0) {
		stream_free(stream);
		return rc;
	}
	connection->stream_count++;
	connection->env->metrics->streams_opened++;
	connection->env->metrics->streams_reused += connection->carried > 0;
	connection->carried++;
	connection_liveness_watch(connection);
	connection_queue_flush(connection);
	if (stream->id >= STREAM_ID_LAST) {
		connection_retire(connection, "its stream ids are used up");
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

bool connection_limit_is_peers(const struct connection *connection)
{
	return connection->peer_limit < connection->env->settings.max_streams_per_connection;
}

uint32_t connection_slots(const struct connection *connection)
{
	uint32_t limit = connection_limit(connection);

	if (connection->state != CONNECTION_OPEN || connection->doomed || connection->checking ||
	    limit <= connection->stream_count) {
		return 0;
	}
	return limit - connection->stream_count;
}

uint32_t connection_streams(const struct connection *connection)
{
	return connection->stream_count;
}

const char *connection_why(const struct connection *connection)
{
	if (connection->failure && connection->failure->count) {
		return connection->failure->links[0].text;
	}
	return connection->retired_why ? connection->retired_why : "";
}

uint64_t connection_carried(const struct connection *connection)
{
	return connection->carried;
}

uint64_t connection_let_through(const struct connection *connection)
{
	uint64_t count = ((uint64_t)connection->goaway_last_stream + 1) / 2;

	return connection->goaway && !connection->goaway_error && count < connection->carried
		       ? count
		       : 0;
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
	/* Equal, when the last byte that came was this stream's own. */
	if (connection->last_read_ms <= since_ms) {
		connection_retire(connection, "a stream timed out, and nothing came meanwhile");
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

enum dial_stage connection_dial_stage(const struct connection *connection, uint64_t *ret_since_ms,
				      uint64_t *ret_until_ms)
{
	*ret_until_ms = connection->dial_timeout_ms
				? connection->began_ms + connection->dial_timeout_ms
				: 0;
	return dial_stage(connection->dial, ret_since_ms);
}

static uint64_t window(int32_t size)
{
	return size > 0 ? (uint64_t)size : 0; /* a peer's SETTINGS may leave less than none */
}

static void look_at_dial(const struct connection *connection, struct connection_view *view)
{
	struct failure failure = {.count = 0};
	uint64_t since = 0;

	(void)connection_dial_stage(connection, &since, &view->until_ms);
	dial_describe(connection->dial, &failure);
	if (failure.count) {
		memcpy(view->why, failure.links[0].text, sizeof(view->why));
	}
}

void connection_look(const struct connection *connection, struct connection_view *ret_view)
{
	struct connection_view view = {
		.number = connection->number,
		.began_ms = connection->began_ms,
		.streams = connection->stream_count,
		.carried = connection->carried,
		.ping_ms = connection->ping_ms,
		.ping_answered = connection->ping_answered,
		.ping_rtt_us = connection->ping_rtt_us,
	};

	if (connection->channel) {
		(void)address_print(&channel_info(connection->channel)->remote, view.remote);
	}
	if (connection->session) {
		view.limit = connection_limit(connection);
		view.last_byte_ms = connection->last_read_ms;
		view.send_window =
			window(nghttp2_session_get_remote_window_size(connection->session));
		view.receive_window =
			window(nghttp2_session_get_local_window_size(connection->session));
	}
	if (connection->dial) {
		look_at_dial(connection, &view);
	}
	*ret_view = view;
}
