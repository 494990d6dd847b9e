/* SPDX-License-Identifier: MIT */
/*
 * A request on its way out: its HEADERS, then its body as the peer's windows allow, or when the
 * peer has said that it wants it, or as it comes.
 *
 * nghttp2 would send one body to its end before the next: under SETTINGS_NO_RFC7540_PRIORITIES a
 * client's streams go in the order in which they were made. So bodies take turns here: one that has
 * sent TURN_BYTES has nothing to give until all others that can go on have had their turn.
 */
#include "http/connection_internal.h"
#include "http/upload.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define FRAME_HEAD 9u
#define TURN_BYTES 16384u /* a DATA frame, as nghttp2 makes them */

/* ---- the body ---- */

static void await_turn(struct stream *stream)
{
	if (!stream->awaits_turn) {
		stream->awaits_turn = true;
		DL_APPEND2(stream->connection->had_turn, stream, turn_prev, turn_next);
	}
}

static size_t read_inline(const struct request *request, uint64_t offset, uint8_t *buffer,
			  size_t size, bool *ret_end)
{
	size_t left = request->body_length - (size_t)offset;

	if (size > left) {
		size = left;
	}
	if (size > 0) {
		memcpy(buffer, request->body + offset, size);
	}
	*ret_end = size == left;
	return size;
}

static ssize_t read_request_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
				 uint32_t *data_flags, nghttp2_data_source *source, void *user_data)
{
	struct stream *stream = nghttp2_session_get_stream_user_data(session, id);
	const struct request *request = NULL;
	bool end = false;

	(void)source;
	(void)user_data;
	if (!stream) {
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* freed: its reset is on the way */
	}
	if (stream->expectation != EXPECT_NOTHING) {
		return NGHTTP2_ERR_DEFERRED; /* until connection_request_continue() */
	}
	request = stream->request;
	if (request->upload && !upload_has(request->upload, stream->request_body_sent)) {
		return NGHTTP2_ERR_DEFERRED; /* until connection_request_more() */
	}
	if (stream->turn != stream->connection->turn) {
		stream->turn = stream->connection->turn;
		stream->turn_used = 0;
	}
	if (stream->turn_used == TURN_BYTES) {
		await_turn(stream);
		return NGHTTP2_ERR_DEFERRED; /* until connection_request_next_turn() */
	}
	if (size > TURN_BYTES - stream->turn_used) {
		size = TURN_BYTES - stream->turn_used;
	}
	if (request->upload) {
		size = upload_read(request->upload, stream->request_body_sent, buffer, size, &end);
	} else {
		size = read_inline(request, stream->request_body_sent, buffer, size, &end);
	}
	stream->request_body_sent += size;
	stream->turn_used += (uint32_t)size;
	if (end) {
		*data_flags |= NGHTTP2_DATA_FLAG_EOF;
	}
	return (ssize_t)size;
}

/* The read callback has bytes again: they go with the next flush. */
static void wake(struct stream *stream)
{
	struct connection *connection = stream->connection;
	int rc = nghttp2_session_resume_data(connection->session, (int32_t)stream->id);

	/* INVALID_ARGUMENT: it was not asked yet, so nothing has to be resumed. */
	if (rc == NGHTTP2_ERR_NOMEM) {
		stream->fault = FAIL_NO_MEMORY;
		connection_require(connection,
				   nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE,
							     (int32_t)stream->id,
							     NGHTTP2_INTERNAL_ERROR));
	}
}

static void resume(struct stream *stream)
{
	wake(stream);
	connection_queue_flush(stream->connection);
}

bool connection_request_next_turn(struct connection *connection)
{
	if (!connection->had_turn ||
	    nghttp2_session_get_remote_window_size(connection->session) <= 0) {
		return false; /* those that had no turn yet come first, when the window opens */
	}
	connection->turn++;
	while (connection->had_turn) {
		struct stream *stream = connection->had_turn;

		DL_DELETE2(connection->had_turn, stream, turn_prev, turn_next);
		stream->awaits_turn = false;
		wake(stream);
	}
	return true;
}

void connection_request_gone(struct stream *stream)
{
	loop_timer_stop(&stream->continue_timer);
	if (stream->awaits_turn) {
		stream->awaits_turn = false;
		DL_DELETE2(stream->connection->had_turn, stream, turn_prev, turn_next);
	}
}

void connection_request_more(struct stream *stream)
{
	const struct upload *upload = stream->request->upload;
	bool starved = stream->upload_seen <= stream->request_body_sent;
	bool came = upload->received > stream->upload_seen || upload_is_whole(upload);

	stream->upload_seen = upload->received;
	if (starved && came && stream->serialized && stream->expectation == EXPECT_NOTHING) {
		stream->sent_ms = loop_now_ms(stream->env->loop); /* the wait was no stall */
	}
	resume(stream);
}

/* ---- Expect: 100-continue ---- */

void connection_request_continue(struct stream *stream)
{
	if (stream->expectation == EXPECT_WAITING) {
		loop_timer_stop(&stream->continue_timer);
		stream->expectation = EXPECT_NOTHING;
		stream->sent_ms = loop_now_ms(stream->env->loop); /* the wait was no stall */
		resume(stream);
	}
}

static void on_continue_timeout(void *ctx)
{
	connection_request_continue(ctx);
}

void connection_request_answered(struct stream *stream)
{
	if (stream->expectation == EXPECT_WAITING) {
		loop_timer_stop(&stream->continue_timer);
		stream->expectation = EXPECT_REFUSED;
	}
}

void connection_request_sent(struct stream *stream, const nghttp2_frame_hd *hd)
{
	struct connection *connection = stream->connection;

	stream->sent_ms = loop_now_ms(connection->env->loop);
	stream->sent_end = connection->out_total + FRAME_HEAD + hd->length;
	stream->request_done = hd->flags & NGHTTP2_FLAG_END_STREAM;
	if (hd->type == NGHTTP2_HEADERS && stream->expectation == EXPECT_WAITING) {
		loop_timer_start(&stream->continue_timer, connection->env->loop,
				 connection->settings.continue_timeout_ms, on_continue_timeout,
				 stream);
	}
}

/* ---- the head ---- */

static nghttp2_nv make_nv(const char *name, size_t name_length, const char *value,
			  size_t value_length)
{
	uint8_t flags = header_may_be_indexed(name, name_length) ? NGHTTP2_NV_FLAG_NONE
								 : NGHTTP2_NV_FLAG_NO_INDEX;

	/* nghttp2 copies both and does not write through the pointers. */
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, name_length,
			    value_length, flags};
}

int connection_request_submit(struct connection *connection, struct stream *stream)
{
	const struct request *request = stream->request;
	const char *pseudo[][2] = {
		{":method", request->method},
		{":scheme", request->url.tls ? "https" : "http"},
		{":authority", request->url.authority},
		{":path", request_path(request)},
	};
	uint32_t count = header_list_count(&request->headers);
	nghttp2_nv *nv = malloc((4 + (size_t)count) * sizeof(*nv));
	nghttp2_data_provider provider = {.read_callback = read_request_body};
	int32_t id = 0;

	assert(!request->streamed || request->upload);
	if (!nv) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < 4; i++) {
		nv[i] = make_nv(pseudo[i][0], strlen(pseudo[i][0]), pseudo[i][1],
				strlen(pseudo[i][1]));
	}
	for (uint32_t i = 0; i < count; i++) {
		struct header_field field = header_list_get(&request->headers, i);

		nv[4 + i] = make_nv(field.name, field.name_length, field.value, field.value_length);
	}
	id = nghttp2_submit_request(connection->session, NULL, nv, 4 + (size_t)count,
				    request_has_content(request) ? &provider : NULL, stream);
	free(nv);
	if (id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE) {
		return -EBUSY;
	}
	if (id < 0) {
		return -ENOMEM;
	}
	stream->id = (uint32_t)id;
	if (request->expects_continue && connection->settings.continue_timeout_ms > 0) {
		stream->expectation = EXPECT_WAITING;
	}
	return 0;
}
