/* SPDX-License-Identifier: MIT */
/*
 * nghttp2's side of a connection: the session, its callbacks, and what the peer's frames mean for
 * the streams. How requests go out is in connection_request.c.
 *
 * Rules of the library that shape this file: mem_recv and mem_send are never called from a
 * callback; every DATA byte is given back to the connection's window exactly once, here, at once,
 * whoever wants it; ERR_PAUSE is never returned, because it would stop every stream.
 */
#include "http/connection_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_ENTRY_SIZE 6u
/* As nghttp2 reckons it, before compression and generously. */
#define REQUEST_HEADER_BLOCK_MAX (1024u * 1024)

static struct stream *find_stream(nghttp2_session *session, int32_t id)
{
	return nghttp2_session_get_stream_user_data(session, id);
}

/* ---- receiving ---- */

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user_data)
{
	struct stream *stream = hd->stream_id ? find_stream(session, hd->stream_id) : NULL;

	if (hd->type == NGHTTP2_PUSH_PROMISE) {
		const uint32_t code = NGHTTP2_PROTOCOL_ERROR;

		/* Our SETTINGS forbid it and precede every request, so there is nothing to wait for
		 * (RFC 9113, section 6.6). nghttp2 would answer each one with a reset until the
		 * SETTINGS are acknowledged. */
		connection_doom(user_data, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR, &code,
				"the peer broke HTTP/2 on the connection: PUSH_PROMISE, although "
				"push is disabled");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (!stream) {
		return 0;
	}
	stream->counts.wire_received += hd->length + 9;
	if (hd->type == NGHTTP2_DATA) {
		stream->data_begun = stream->counts.payload + hd->length;
	}
	if ((hd->type == NGHTTP2_DATA || hd->type == NGHTTP2_HEADERS) &&
	    (hd->flags & NGHTTP2_FLAG_END_STREAM)) {
		stream->end_begun = true;
	}
	return 0;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct stream *stream = find_stream(session, frame->hd.stream_id);

	(void)user_data;
	if (stream) {
		header_list_clear(&stream->fields);
		stream->status = stream->head_done ? stream->status : 0;
	}
	return 0;
}

static unsigned parse_status(const uint8_t *value, size_t length)
{
	/* nghttp2 lets only three digits through. */
	if (length != 3) {
		return 0;
	}
	return (unsigned)(value[0] - '0') * 100 + (unsigned)(value[1] - '0') * 10 +
	       (unsigned)(value[2] - '0');
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
		     void *user_data)
{
	struct stream *stream = find_stream(session, frame->hd.stream_id);
	struct header_field field = {.name = (const char *)name,
				     .name_length = name_length,
				     .value = (const char *)value,
				     .value_length = value_length};
	int rc = 0;

	(void)flags;
	(void)user_data;
	if (!stream) {
		return 0;
	}
	if (name_length == 7 && memcmp(name, ":status", 7) == 0) {
		stream->status = parse_status(value, value_length);
		return 0;
	}
	rc = header_list_add(&stream->fields, &field);
	if (rc < 0) {
		stream->fault = rc == -ENOBUFS ? FAIL_HEADERS_TOO_LARGE : FAIL_NO_MEMORY;
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets this stream, and only this
								 one */
	}
	return 0;
}

static void note_served(struct connection *connection)
{
	if (!connection->served) {
		connection->served = true;
		if (connection->callbacks && connection->callbacks->on_served) {
			connection->callbacks->on_served(connection->ctx, connection);
		}
	}
}

static void deliver_head(struct stream *stream)
{
	struct stream_head head = {.status = stream->status, .headers = &stream->fields};
	struct header_list fields;
	uint32_t index = header_list_find(&stream->fields, "content-length", 0);

	if (index < header_list_count(&stream->fields)) {
		struct header_field field = header_list_get(&stream->fields, index);

		stream->has_content_length = header_parse_length(field.value, field.value_length,
								 &stream->content_length);
	}
	head.has_content_length = stream->has_content_length;
	head.content_length = stream->content_length;
	stream->head_done = true;
	connection_request_answered(stream);
	note_served(stream->connection);
	/* The callback may free the stream: what it looks at must not go with it. */
	fields = stream->fields;
	header_list_init(&stream->fields, fields.max_size, fields.max_count);
	head.headers = &fields;
	if (stream->callbacks) {
		stream->callbacks->on_head(stream->ctx, &head);
	}
	header_list_clear(&fields);
}

static void deliver_interim(struct connection *connection, struct stream *stream)
{
	if (++stream->informational > connection->settings.max_informational) {
		stream->fault = FAIL_TOO_MANY_INFORMATIONAL;
		connection_require(connection,
				   nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE,
							     (int32_t)stream->id,
							     NGHTTP2_ENHANCE_YOUR_CALM));
		return;
	}
	if (stream->status == 100) {
		connection_request_continue(stream);
	}
	if (stream->callbacks) {
		stream->callbacks->on_informational(stream->ctx, stream->status, &stream->fields);
	}
}

static void on_headers(struct connection *connection, struct stream *stream)
{
	if (stream->fault != FAIL_NONE) {
		return;
	}
	if (stream->head_done) {
		if (stream->callbacks) {
			stream->callbacks->on_trailers(stream->ctx, &stream->fields);
		}
	} else if (stream->status < 100) {
		/* Three digits, so nghttp2 lets it through, but none of the classes of RFC 9110,
		 * section 15. */
		stream->fault = FAIL_H2_STREAM_ERROR;
		connection_require(connection,
				   nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE,
							     (int32_t)stream->id,
							     NGHTTP2_PROTOCOL_ERROR));
	} else if (stream->status / 100 == 1) {
		deliver_interim(connection, stream);
	} else {
		deliver_head(stream);
	}
}

/* The response is whole. If the request is not (an early answer, RFC 9113, section 8.1), the rest
 * of it is pointless. */
static void on_end_stream(struct connection *connection, struct stream *stream)
{
	if (stream->fault != FAIL_NONE) {
		return;
	}
	stream->end_stream = true;
	if (!stream->request_done) {
		const struct failure none = {.count = 0};
		const struct stream_end end = {.reason = CLOSE_ENDED, .failure = &none};

		connection_require(connection, nghttp2_submit_rst_stream(
						       connection->session, NGHTTP2_FLAG_NONE,
						       (int32_t)stream->id, NGHTTP2_NO_ERROR));
		/* The peer may never take the reset; the response does not wait for that. */
		(void)nghttp2_session_set_stream_user_data(connection->session, (int32_t)stream->id,
							   NULL);
		stream_finish(stream, &end);
	}
}

static void on_settings(struct connection *connection)
{
	connection->peer_limit = nghttp2_session_get_remote_settings(
		connection->session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	connection_notify_slots(connection);
}

static void on_goaway(struct connection *connection, const nghttp2_goaway *goaway)
{
	char debug[128];
	size_t length = goaway->opaque_data_len < sizeof(debug) - 1 ? goaway->opaque_data_len
								    : sizeof(debug) - 1;

	for (size_t i = 0; i < length; i++) {
		uint8_t c = goaway->opaque_data[i];

		debug[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	debug[length] = '\0';
	connection->goaway = true;
	connection->goaway_error |= goaway->error_code != NGHTTP2_NO_ERROR;
	connection->goaway_last_stream = (uint32_t)goaway->last_stream_id;
	if (!connection->failure) {
		connection->failure = calloc(1, sizeof(*connection->failure));
	}
	if (connection->failure) {
		struct failure_link *link = failure_set(
			connection->failure, FAIL_H2_GOAWAY, "the peer sent GOAWAY: %s%s%s%s",
			nghttp2_http2_strerror(goaway->error_code), length ? " (\"" : "", debug,
			length ? "\")" : "");

		link->has_h2_code = true;
		link->h2_code = goaway->error_code;
	}
	connection_set_draining(connection);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct connection *connection = user_data;
	struct stream *stream =
		frame->hd.stream_id ? find_stream(session, frame->hd.stream_id) : NULL;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
			connection_window_acked(connection);
		} else {
			on_settings(connection);
		}
		return 0;
	case NGHTTP2_PING:
		if (frame->hd.flags & NGHTTP2_FLAG_ACK) {
			connection_liveness_answered(connection, frame->ping.opaque_data);
		}
		return 0;
	case NGHTTP2_GOAWAY:
		on_goaway(connection, &frame->goaway);
		return 0;
	case NGHTTP2_HEADERS:
		if (stream) {
			stream->all_seen = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
			on_headers(connection, stream);
			stream = find_stream(session, frame->hd.stream_id);
		}
		break;
	case NGHTTP2_DATA:
		if (stream && frame->data.padlen > 0) {
			stream_window_padded(stream);
		}
		break;
	case NGHTTP2_RST_STREAM:
		if (stream) {
			stream->reset_by_peer = true;
			stream->peer_code = frame->rst_stream.error_code;
		}
		return 0;
	default: /* frames that say nothing about a response */
		break;
	}
	if (stream && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		on_end_stream(connection, stream);
	}
	return 0;
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
			 size_t length, void *user_data)
{
	struct connection *connection = user_data;
	struct stream *stream = find_stream(session, id);
	int rc = 0;

	(void)flags;
	if (connection_window_arrived(connection, length) != 0) {
		return NGHTTP2_ERR_CALLBACK_FAILURE; /* out of memory: the connection goes */
	}
	connection->env->metrics->payload_received += length;
	if (!stream || stream->fault != FAIL_NONE) {
		return 0;
	}
	stream->counts.payload += length;
	rc = stream_receive(stream, data, length);
	if (rc < 0) {
		/* More than a window is the peer's fault, which nghttp2 has noticed too. */
		bool overdrawn = rc == -ENOBUFS;

		stream->fault = overdrawn ? FAIL_H2_STREAM_ERROR : FAIL_NO_MEMORY;
		connection_require(connection,
				   nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id,
							     overdrawn ? NGHTTP2_FLOW_CONTROL_ERROR
								       : NGHTTP2_INTERNAL_ERROR));
		return 0;
	}
	if (stream->callbacks) {
		stream->callbacks->on_body(stream->ctx);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code,
			   void *user_data)
{
	struct connection *connection = user_data;
	struct stream *stream = find_stream(session, id);

	assert(connection->stream_count > 0);
	connection->stream_count--;
	if (stream) {
		stream_finish_closed(stream, error_code);
	}
	connection_notify_slots(connection);
	return 0;
}

/* ---- sending ---- */

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct connection *connection = user_data;
	struct stream *stream =
		frame->hd.stream_id ? find_stream(session, frame->hd.stream_id) : NULL;

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR) {
		uint32_t code = frame->goaway.error_code;

		/* nghttp2 gives the connection up because of what the peer did; the flush that is
		 * going on ends it. */
		connection_blame(connection, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR, &code,
				 "the peer broke HTTP/2 on the connection: %s",
				 nghttp2_http2_strerror(code));
		return 0;
	}
	if (!stream) {
		return 0;
	}
	stream->counts.wire_sent += frame->hd.length + 9;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		stream->serialized = true;
		stream->headers_at = connection->out_total;
		if (stream->callbacks) {
			stream->callbacks->on_sent(stream->ctx);
			stream = find_stream(session, frame->hd.stream_id);
		}
	}
	if (stream && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA)) {
		connection_request_sent(stream, &frame->hd);
		if (frame->hd.type == NGHTTP2_DATA && stream->request->upload &&
		    stream->callbacks) {
			stream->callbacks->on_upload(stream->ctx);
		}
	}
	return 0;
}

/* ---- making ---- */

static int set_callbacks(nghttp2_session_callbacks **ret_callbacks)
{
	nghttp2_session_callbacks *callbacks = NULL;

	if (nghttp2_session_callbacks_new(&callbacks) != 0) {
		return -ENOMEM;
	}
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	*ret_callbacks = callbacks;
	return 0;
}

static int submit_settings(struct connection *connection)
{
	const struct http_settings *settings = &connection->settings;
	nghttp2_settings_entry entries[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings->stream_window},
		{NGHTTP2_SETTINGS_MAX_FRAME_SIZE, settings->max_frame_size},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings->max_header_list},
		{NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
	};
	int rc = nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, entries,
					 sizeof(entries) / sizeof(entries[0]));

	if (rc == 0) {
		rc = nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE,
							   0, (int32_t)settings->connection_window);
		connection_window_begin(connection);
	}
	return rc == 0 ? 0 : -ENOMEM;
}

/* The library's own bounds must not be met before ours, which have names: flood.h,
 * max_queued_frames, and the local protocol's on requests. */
static void set_limits(nghttp2_option *option, const struct http_settings *settings)
{
	nghttp2_option_set_max_outbound_ack(option, SIZE_MAX);
	nghttp2_option_set_max_continuations(option, SIZE_MAX);
	nghttp2_option_set_max_settings(option, settings->max_frame_size / SETTINGS_ENTRY_SIZE);
	nghttp2_option_set_max_send_header_block_length(option, REQUEST_HEADER_BLOCK_MAX);
}

int connection_session_new(struct connection *connection)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;
	int rc = set_callbacks(&callbacks);

	if (rc < 0) {
		return rc;
	}
	rc = -ENOMEM;
	if (nghttp2_option_new(&option) == 0) {
		nghttp2_option_set_no_auto_window_update(option, 1);
		set_limits(option, &connection->settings);
		if (nghttp2_session_client_new2(&connection->session, callbacks, connection,
						option) == 0) {
			rc = submit_settings(connection);
		}
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
	return rc;
}
