/* SPDX-License-Identifier: MIT */
/*
 * A stream's own side: what it holds, how it is let go, and what its end is called.
 */
#include "http/connection_internal.h"
#include "http/share.h"
#include "http/upload.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

struct stream *stream_new(struct connection *connection, const struct request *request,
			  const struct stream_callbacks *callbacks, void *ctx)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		return NULL;
	}
	stream->env = connection->env;
	stream->user = request->user;
	if (share_charge(stream->env, stream->user, ACCOUNT_STREAMS, 1, &stream->stream_charge) <
		    0 ||
	    share_charge(stream->env, stream->user, ACCOUNT_BUFFER, 0, &stream->window_charge) <
		    0) {
		account_discharge(&stream->stream_charge);
		free(stream);
		return NULL;
	}
	stream->connection = connection;
	stream->request = request;
	stream->callbacks = callbacks;
	stream->ctx = ctx;
	bytes_init(&stream->buffer, SIZE_MAX); /* stream_receive() holds it to the charge */
	header_list_init(&stream->fields, connection->settings.max_header_list,
			 connection->settings.max_headers);
	stream->sent_ms = loop_now_ms(connection->env->loop);
	DL_APPEND(connection->streams, stream);
	stream->env->streams++;
	stream->upload_seen = request->upload ? request->upload->received : 0;
	stream_window_begin(stream);
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
	connection_request_gone(stream);
	if (!connection) {
		return;
	}
	stream->connection = NULL;
	DL_DELETE(connection->streams, stream);
	stream_window_end(stream);
	if (connection->session && stream->id) {
		/* nghttp2 goes on to count the stream until the reset is sent; it must not find us
		 * any more. */
		(void)nghttp2_session_set_stream_user_data(connection->session, (int32_t)stream->id,
							   NULL);
		if (stream->all_seen && stream->request_done) {
			return; /* over on both sides; nghttp2 is about to see that */
		}
		connection_require(connection,
				   nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE,
							     (int32_t)stream->id, NGHTTP2_CANCEL));
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
	env->window_bytes -= stream->charge;
	account_discharge(&stream->window_charge);
	account_discharge(&stream->stream_charge);
	/* nghttp2's callback that led here still looks at the stream. */
	loop_free_later(env->loop, stream);
	if (env->on_stream_freed) {
		env->on_stream_freed(env->on_stream_freed_ctx, stream->user);
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
	stream_window_taken(stream, length);
}

int stream_receive(struct stream *stream, const void *data, size_t length)
{
	int rc = -ENOBUFS;

	/* The charge is all that the peer was ever allowed to have here. */
	if (length <= stream->charge - bytes_length(&stream->buffer)) {
		rc = bytes_append(&stream->buffer, data, length);
	}
	if (rc == 0) {
		stream->env->buffered_bytes += length;
		stream_window_arrived(stream);
	}
	return rc;
}

void stream_upload_more(struct stream *stream)
{
	if (stream->connection) {
		connection_request_more(stream);
	}
}

uint64_t stream_upload_offset(const struct stream *stream)
{
	return stream->request_body_sent;
}

bool stream_wants_upload(const struct stream *stream)
{
	return stream->connection && !stream->request_done && stream->expectation != EXPECT_REFUSED;
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

uint64_t stream_sent_progress_ms(const struct stream *stream)
{
	return stream->sent_ms;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* What was written last still waits in the output, or nothing was written yet. */
static bool wait_for_socket(const struct stream *stream, struct wait *ret_wait)
{
	const struct connection *connection = stream->connection;

	*ret_wait = (struct wait){
		.reason = WAIT_PEER_SOCKET,
		.limit = "",
		.since_ms = connection->write_blocked
				    ? later(connection->blocked_ms, stream->sent_ms)
				    : stream->sent_ms,
	};
	snprintf(ret_wait->text, sizeof(ret_wait->text), "%s",
		 stream->serialized
			 ? "the peer takes no bytes: a part of the request is not written"
			 : "the peer takes no bytes: the request is not written");
	return true;
}

static bool wait_for_continue(const struct stream *stream, struct wait *ret_wait)
{
	if (stream->expectation != EXPECT_WAITING) {
		return false;
	}
	*ret_wait = (struct wait){
		.reason = WAIT_CONTINUE,
		.limit = "",
		.since_ms = stream->sent_ms,
		.until_ms = stream->sent_ms + stream->connection->settings.continue_timeout_ms,
	};
	snprintf(ret_wait->text, sizeof(ret_wait->text),
		 "the peer's 100 (Continue), before the body is sent");
	return true;
}

static bool wait_for_client(const struct stream *stream, struct wait *ret_wait)
{
	const struct upload *upload = stream->request->upload;

	if (!upload || upload_has(upload, stream->request_body_sent)) {
		return false;
	}
	*ret_wait = (struct wait){
		.reason = WAIT_CLIENT_UPLOAD, .limit = "", .since_ms = stream->sent_ms};
	snprintf(ret_wait->text, sizeof(ret_wait->text),
		 "more of the request's body from the client: %" PRIu64 " bytes came so far",
		 upload->received);
	return true;
}

/* How much there is to be sent, for people. */
static const char *body_length_text(const struct request *request, char text[32])
{
	if (request->streamed && !request->has_length) {
		return "an unknown number of";
	}
	snprintf(text, 32, "%" PRIu64,
		 request->streamed ? request->length : (uint64_t)request->body_length);
	return text;
}

static bool wait_for_window(const struct stream *stream, struct wait *ret_wait)
{
	char text[32];
	nghttp2_session *session = stream->connection->session;
	int32_t own = nghttp2_session_get_stream_remote_window_size(session, (int32_t)stream->id);
	int32_t shared = nghttp2_session_get_remote_window_size(session);

	if (own > 0 && shared > 0) {
		return false;
	}
	*ret_wait =
		(struct wait){.reason = WAIT_PEER_WINDOW, .limit = "", .since_ms = stream->sent_ms};
	snprintf(ret_wait->text, sizeof(ret_wait->text),
		 "the peer's flow-control window of the %s is shut: %" PRIu64
		 " of %s bytes are sent",
		 own > 0 ? "connection" : "stream", stream->request_body_sent,
		 body_length_text(stream->request, text));
	return true;
}

bool stream_wait(const struct stream *stream, struct wait *ret_wait)
{
	const struct connection *connection = stream->connection;

	if (!connection || !connection->session) {
		return false;
	}
	if (!stream->serialized || connection->written_total < stream->sent_end) {
		return wait_for_socket(stream, ret_wait);
	}
	if (stream->request_done || stream->expectation == EXPECT_REFUSED) {
		return false;
	}
	return wait_for_continue(stream, ret_wait) || wait_for_client(stream, ret_wait) ||
	       wait_for_window(stream, ret_wait) || wait_for_socket(stream, ret_wait);
}

void stream_finish(struct stream *stream, const struct stream_end *end)
{
	const struct stream_callbacks *callbacks = stream->callbacks;

	connection_request_gone(stream);
	DL_DELETE(stream->connection->streams, stream);
	stream->connection = NULL;
	stream->callbacks = NULL;
	stream_window_end(stream);
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
	bool has_body = request_expects_body(stream->request) && stream->status != 204 &&
			stream->status != 304;
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
	} else if (stream->fault == FAIL_H2_STREAM_ERROR && stream->head_done) {
		failure_set(failure, stream->fault,
			    "the peer broke HTTP/2 on this stream: it sent more than the "
			    "flow-control window (http.stream_window)");
		failure->links[0].has_h2_code = true;
		failure->links[0].h2_code = NGHTTP2_FLOW_CONTROL_ERROR;
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
		   stream->data_begun > 0 && !has_body) {
		failure_set(failure, FAIL_H2_STREAM_ERROR,
			    "the peer sent a body in answer to %s with status %u, which has none",
			    stream->request->method, stream->status);
		failure->links[0].has_h2_code = true;
		failure->links[0].h2_code = error_code;
	} else if (error_code == NGHTTP2_PROTOCOL_ERROR && has_body &&
		   announced_length(stream, &length) && stream->data_begun > length) {
		end->reason = CLOSE_LENGTH_MISMATCH;
		failure_set(failure, FAIL_LENGTH_LONG,
			    "Content-Length is %" PRIu64 " bytes, but at least %" PRIu64 " came",
			    length, stream->data_begun);
	} else if (error_code == NGHTTP2_PROTOCOL_ERROR && has_body &&
		   announced_length(stream, &length) && stream->end_begun &&
		   stream->counts.payload < length) {
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
