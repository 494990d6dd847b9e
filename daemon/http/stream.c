/* SPDX-License-Identifier: MIT */
/*
 * A stream's own side: what it holds, how it is let go, and what its end is called.
 */
#include "http/connection_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

struct stream *stream_new(struct connection *connection, const struct request *request,
			  const struct stream_callbacks *callbacks, void *ctx)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		return NULL;
	}
	stream->connection = connection;
	stream->env = connection->env;
	stream->request = request;
	stream->callbacks = callbacks;
	stream->ctx = ctx;
	/* nghttp2 holds the peer to the window, so the buffer cannot overflow; the ceiling is the
	 * proof. */
	bytes_init(&stream->buffer, connection->settings.stream_window);
	header_list_init(&stream->fields, connection->settings.max_header_list,
			 connection->settings.max_headers);
	DL_APPEND(connection->streams, stream);
	stream->env->streams++;
	stream->window = connection->settings.stream_window;
	stream->env->window_bytes += stream->window;
	return stream;
}

static void drop_buffer(struct stream *stream)
{
	stream->env->buffered_bytes -= bytes_length(&stream->buffer);
	bytes_clear(&stream->buffer);
}

void stream_reset(struct stream *stream)
{
	struct connection *connection = stream->connection;

	stream->callbacks = NULL;
	if (!connection) {
		return;
	}
	stream->connection = NULL;
	DL_DELETE(connection->streams, stream);
	if (connection->session && stream->id) {
		/* nghttp2 goes on to count the stream until the reset is sent; it must not find us
		 * any more. */
		(void)nghttp2_session_set_stream_user_data(connection->session, (int32_t)stream->id,
							   NULL);
		(void)nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE,
						(int32_t)stream->id, NGHTTP2_CANCEL);
		connection_queue_flush(connection);
	}
}

void stream_free(struct stream *stream)
{
	struct http_env *env = NULL;

	if (!stream) {
		return;
	}
	env = stream->env;
	stream_reset(stream);
	drop_buffer(stream);
	header_list_clear(&stream->fields);
	assert(env->streams > 0);
	env->streams--;
	env->window_bytes -= stream->window;
	/* nghttp2's callback that led here still looks at the stream. */
	loop_free_later(env->loop, stream);
	if (env->on_stream_freed) {
		env->on_stream_freed(env->on_stream_freed_ctx);
	}
}

unsigned stream_peek(const struct stream *stream, struct iovec *iov, unsigned max)
{
	return bytes_peek(&stream->buffer, iov, max);
}

size_t stream_buffered(const struct stream *stream)
{
	return bytes_length(&stream->buffer);
}

void stream_consume(struct stream *stream, size_t length)
{
	bytes_skip(&stream->buffer, length);
	stream->env->buffered_bytes -= length;
	/* After END_STREAM nothing more can come and a WINDOW_UPDATE would be wasted. */
	if (stream->connection && !stream->end_begun) {
		(void)nghttp2_session_consume_stream(stream->connection->session,
						     (int32_t)stream->id, length);
		connection_queue_flush(stream->connection);
	}
}

uint32_t stream_id(const struct stream *stream)
{
	return stream->id;
}

const struct stream_counts *stream_counts(const struct stream *stream)
{
	return &stream->counts;
}

struct connection *stream_connection(const struct stream *stream)
{
	return stream->connection;
}

void stream_finish(struct stream *stream, const struct stream_end *end)
{
	const struct stream_callbacks *callbacks = stream->callbacks;

	DL_DELETE(stream->connection->streams, stream);
	stream->connection = NULL;
	stream->callbacks = NULL;
	if (callbacks) {
		callbacks->on_closed(stream->ctx, end);
	}
}

static bool announced_length(const struct stream *stream, uint64_t *ret_length)
{
	uint32_t index = 0;
	struct header_field field;

	if (stream->has_content_length) {
		*ret_length = stream->content_length;
		return true;
	}
	/* A bad length on a response without a body: nghttp2 refuses the head, so it is still in
	 * the list. */
	index = header_list_find(&stream->fields, "content-length", 0);
	if (stream->head_done || index == header_list_count(&stream->fields)) {
		return false;
	}
	field = header_list_get(&stream->fields, index);
	return header_parse_length(field.value, field.value_length, ret_length);
}

/* The library reset the stream: what for? */
static void describe_local_reset(const struct stream *stream, uint32_t error_code,
				 struct stream_end *end, struct failure *failure)
{
	uint64_t length = 0;

	end->reason = CLOSE_PROTOCOL_ERROR;
	if (stream->fault == FAIL_HEADERS_TOO_LARGE) {
		failure_set(failure, stream->fault,
			    "the response's header fields exceed http.max_header_list (%" PRIu32
			    " bytes) or http.max_headers (%" PRIu32 ")",
			    stream->fields.max_size, stream->fields.max_count);
	} else if (stream->fault == FAIL_TOO_MANY_INFORMATIONAL) {
		failure_set(failure, stream->fault,
			    "more than %u interim responses (http.max_informational)",
			    stream->informational - 1);
	} else if (stream->fault == FAIL_H2_STREAM_ERROR) {
		failure_set(failure, stream->fault,
			    "the peer broke HTTP/2 on this stream: %03u is no status",
			    stream->status);
		failure->links[0].has_h2_code = true;
		failure->links[0].h2_code = NGHTTP2_PROTOCOL_ERROR;
	} else if (stream->fault == FAIL_NO_MEMORY) {
		end->reason = CLOSE_RESET;
		failure_set(failure, stream->fault, "the daemon has no memory for the response");
	} else if (error_code == NGHTTP2_PROTOCOL_ERROR && stream->head_done &&
		   stream->data_begun > 0 &&
		   (!request_expects_body(stream->request) || stream->status == 204 ||
		    stream->status == 304)) {
		failure_set(failure, FAIL_H2_STREAM_ERROR,
			    "the peer sent a body in answer to %s with status %u, which has none",
			    stream->request->method, stream->status);
		failure->links[0].has_h2_code = true;
		failure->links[0].h2_code = error_code;
	} else if (error_code == NGHTTP2_PROTOCOL_ERROR && announced_length(stream, &length) &&
		   stream->data_begun > length) {
		end->reason = CLOSE_LENGTH_MISMATCH;
		failure_set(failure, FAIL_LENGTH_LONG,
			    "Content-Length is %" PRIu64 " bytes, but at least %" PRIu64 " came",
			    length, stream->data_begun);
	} else if (error_code == NGHTTP2_PROTOCOL_ERROR && announced_length(stream, &length) &&
		   stream->end_begun) {
		end->reason = CLOSE_LENGTH_MISMATCH;
		failure_set(failure, FAIL_LENGTH_SHORT,
			    "Content-Length is %" PRIu64 " bytes, but only %" PRIu64 " came",
			    length, stream->counts.payload);
	} else {
		failure_set(failure, FAIL_H2_STREAM_ERROR,
			    "the peer broke HTTP/2 on this stream: %s",
			    nghttp2_http2_strerror(error_code));
		failure->links[0].has_h2_code = true;
		failure->links[0].h2_code = error_code;
	}
}

void stream_finish_lost(struct stream *stream)
{
	struct connection *connection = stream->connection;
	/* Sent is what the channel took, not what waits in our own buffer. */
	bool sent = stream->serialized && stream->headers_at < connection->written_total;
	struct failure failure;
	struct stream_end end = {.failure = &failure};

	failure_copy(&failure, connection->failure);
	if (stream->end_stream) {
		/* The response was whole before the connection went. */
		failure_clear(&failure);
		end.reason = CLOSE_ENDED;
	} else if (stream->fault != FAIL_NONE) {
		describe_local_reset(stream, 0, &end, &failure);
	} else if (connection->reason == CLOSE_CONNECT_FAILED) {
		end.reason = CLOSE_CONNECT_FAILED;
		end.unprocessed = true;
	} else if (!sent) {
		failure_wrap(&failure, FAIL_NEVER_SENT, "never sent: the connection ended first");
		end.reason = CLOSE_INACTIVE;
		end.unprocessed = true;
	} else {
		end.reason = connection->reason ? connection->reason : CLOSE_CONNECTION_LOST;
	}
	stream_finish(stream, &end);
}

void stream_finish_closed(struct stream *stream, uint32_t error_code)
{
	struct connection *connection = stream->connection;
	struct failure failure;
	struct failure_link *link = NULL;
	struct stream_end end = {.failure = &failure};

	failure_clear(&failure);
	if ((connection->reason || !stream->serialized) && !stream->end_stream) {
		/* Not this stream's own end. nghttp2 closes every stream when it gives the
		 * connection up: the cause is the connection's. */
		stream_finish_lost(stream);
		return;
	}
	if (stream->end_stream && stream->fault == FAIL_NONE) {
		end.reason = CLOSE_ENDED;
	} else if (stream->fault != FAIL_NONE) {
		/* Before the peer's own reset, which may cross ours. */
		describe_local_reset(stream, error_code, &end, &failure);
	} else if (stream->reset_by_peer) {
		end.reason = CLOSE_RESET;
		end.unprocessed = stream->peer_code == NGHTTP2_REFUSED_STREAM;
		link = failure_set(&failure, end.unprocessed ? FAIL_H2_REFUSED : FAIL_H2_RESET,
				   "the peer reset the stream: %s",
				   nghttp2_http2_strerror(stream->peer_code));
		link->has_h2_code = true;
		link->h2_code = stream->peer_code;
	} else if (connection->goaway && stream->id > connection->goaway_last_stream &&
		   error_code == NGHTTP2_REFUSED_STREAM) {
		end.reason = CLOSE_RESET;
		end.unprocessed = true;
		failure_copy(&failure, connection->failure);
		link = failure_wrap(
			&failure, FAIL_H2_REFUSED,
			"not processed: the peer is closing the connection (last stream %" PRIu32
			", this one %" PRIu32 ")",
			connection->goaway_last_stream, stream->id);
		link->has_h2_code = true;
		link->h2_code = NGHTTP2_REFUSED_STREAM;
	} else {
		describe_local_reset(stream, error_code, &end, &failure);
	}
	stream_finish(stream, &end);
}
