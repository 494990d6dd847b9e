/* SPDX-License-Identifier: MIT */
#include "peer.h"

#include "sim.h"
#include "wrap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

bool sim_forget;

static void pump(struct peer *peer);

/* ---- bodies ---- */

#define PATTERN 65536u

/* Twice, so that any piece of up to PATTERN bytes lies in one. */
static uint8_t pattern[2 * PATTERN];

static const uint8_t *pattern_at(uint32_t salt, uint64_t offset)
{
	if (!pattern[0]) {
		uint32_t state = 12345;

		for (size_t i = 0; i < PATTERN; i++) {
			state = state * 1664525u + 1013904223u;
			pattern[i] = pattern[PATTERN + i] = (uint8_t)(state >> 24);
		}
		pattern[0] = pattern[PATTERN] = 1;
	}
	return pattern + ((salt * 40503u + offset) & (PATTERN - 1));
}

uint8_t sim_body_byte(uint32_t salt, uint64_t offset)
{
	return *pattern_at(salt, offset);
}

bool sim_body_is(uint32_t salt, uint64_t offset, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	while (length > 0) {
		size_t part = length < PATTERN ? length : PATTERN;

		if (memcmp(bytes, pattern_at(salt, offset), part) != 0) {
			return false;
		}
		bytes += part;
		offset += part;
		length -= part;
	}
	return true;
}

/* ---- what the daemon says ---- */

static struct exchange *exchange_of(nghttp2_session *session, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct peer *peer = user_data;
	struct exchange *exchange = NULL;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return 0;
	}
	exchange = sim_alloc(sizeof(*exchange));
	exchange->peer = peer;
	exchange->id = frame->hd.stream_id;
	exchange->at_ms = sim_now_ms();
	exchange->salt = peer->number * 1009 + (uint32_t)exchange->id;
	DL_APPEND(peer->exchanges, exchange);
	peer->requests++;
	return nghttp2_session_set_stream_user_data(session, exchange->id, exchange);
}

static void copy(char *to, size_t size, const uint8_t *value, size_t length)
{
	SIM_CHECK(length < size);
	memcpy(to, value, length);
	to[length] = '\0';
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
		     void *user_data)
{
	struct exchange *exchange = exchange_of(session, frame->hd.stream_id);
	size_t used = 0;

	(void)flags;
	(void)user_data;
	SIM_CHECK(exchange);
	if (name_length == 5 && memcmp(name, ":path", 5) == 0) {
		copy(exchange->path, sizeof(exchange->path), value, value_length);
	} else if (name_length == 7 && memcmp(name, ":method", 7) == 0) {
		copy(exchange->method, sizeof(exchange->method), value, value_length);
	}
	used = strlen(exchange->fields);
	if (used + name_length + value_length + 4 < sizeof(exchange->fields)) {
		snprintf(exchange->fields + used, sizeof(exchange->fields) - used, "%.*s: %.*s\n",
			 (int)name_length, (const char *)name, (int)value_length,
			 (const char *)value);
	}
	return 0;
}

static void note_settings(struct peer *peer, const nghttp2_settings *settings)
{
	if (!(settings->hd.flags & NGHTTP2_FLAG_ACK) && peer->setting_count == 0) {
		SIM_CHECK(settings->niv <= sizeof(peer->settings) / sizeof(peer->settings[0]));
		peer->setting_count = settings->niv;
		memcpy(peer->settings, settings->iv, settings->niv * sizeof(settings->iv[0]));
	}
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct peer *peer = user_data;
	struct exchange *exchange = exchange_of(session, frame->hd.stream_id);

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		note_settings(peer, &frame->settings);
		break;
	case NGHTTP2_PING:
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
			peer->pings++;
			if (!peer->mute) {
				SIM_CHECK(nghttp2_submit_ping(session, NGHTTP2_FLAG_ACK,
							      frame->ping.opaque_data) == 0);
			}
		}
		break;
	case NGHTTP2_GOAWAY:
		peer->goaway = true;
		peer->goaway_code = frame->goaway.error_code;
		break;
	case NGHTTP2_WINDOW_UPDATE:
		peer->window_updates += frame->hd.stream_id == 0;
		break;
	case NGHTTP2_RST_STREAM:
		if (exchange) {
			exchange->reset = true;
			exchange->reset_code = frame->rst_stream.error_code;
		}
		break;
	default:
		break;
	}
	if (exchange && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		exchange->request_done = true;
	}
	if (exchange && frame->hd.type == NGHTTP2_HEADERS && peer->server->automatic &&
	    !exchange->head_sent) {
		peer_answer(exchange, peer->server->automatic_bytes);
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t length, void *user_data)
{
	struct exchange *exchange = exchange_of(session, id);

	(void)flags;
	(void)data;
	(void)user_data;
	if (exchange) {
		exchange->body_length += length;
	}
	return 0;
}

static void exchange_free(struct exchange *exchange)
{
	DL_DELETE(exchange->peer->exchanges, exchange);
	free(exchange);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
	struct exchange *exchange = exchange_of(session, id);

	(void)code;
	(void)user_data;
	if (exchange) {
		exchange->closed = true;
		if (sim_forget) {
			exchange_free(exchange);
		}
	}
	return 0;
}

static int on_invalid(nghttp2_session *session, const nghttp2_frame *frame, int error,
		      void *user_data)
{
	const struct peer *peer = user_data;

	(void)session;
	/* Lowering the limit crosses with requests. */
	if (!peer->broken && error != NGHTTP2_ERR_REFUSED_STREAM) {
		SIM_FAIL("the daemon broke HTTP/2: frame type %u on stream %d: %s", frame->hd.type,
			 frame->hd.stream_id, nghttp2_strerror(error));
	}
	return 0;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct peer *peer = user_data;
	struct exchange *exchange = exchange_of(session, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_DATA) {
		peer->data_sent += frame->hd.length;
	}
	if (frame->hd.type == NGHTTP2_GOAWAY) {
		if (peer->goaways_asked > 0) {
			peer->goaways_asked--;
		} else if (!peer->broken) {
			SIM_FAIL("the daemon broke HTTP/2: GOAWAY with %s: %.*s",
				 nghttp2_http2_strerror(frame->goaway.error_code),
				 (int)frame->goaway.opaque_data_len, frame->goaway.opaque_data);
		}
	} else if (frame->hd.type == NGHTTP2_RST_STREAM && !peer->broken && exchange &&
		   !exchange->reset_asked &&
		   frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM) {
		SIM_FAIL("the daemon broke HTTP/2 on stream %d: %s", frame->hd.stream_id,
			 nghttp2_http2_strerror(frame->rst_stream.error_code));
	}
	if (exchange && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		exchange->ended = true;
	}
	return 0;
}

static ssize_t select_padding(nghttp2_session *session, const nghttp2_frame *frame, size_t most,
			      void *user_data)
{
	const struct peer *peer = user_data;
	size_t length = frame->hd.length;

	(void)session;
	if (frame->hd.type == NGHTTP2_DATA) {
		length += peer->pad;
	}
	return (ssize_t)(length < most ? length : most);
}

/* ---- a connection ---- */

static void make_session(struct peer *peer)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;

	SIM_CHECK(__real_nghttp2_session_callbacks_new(&callbacks) == 0);
	SIM_CHECK(__real_nghttp2_option_new(&option) == 0);
	nghttp2_option_set_no_auto_ping_ack(option, 1);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
	nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid);
	nghttp2_session_callbacks_set_select_padding_callback(callbacks, select_padding);
	SIM_CHECK(nghttp2_session_server_new2(&peer->session, callbacks, peer, option) == 0);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
}

struct peer *peer_new(struct sim_server *server, struct sim_socket *socket)
{
	struct peer *peer = sim_alloc(sizeof(*peer));

	peer->server = server;
	peer->socket = socket;
	peer->number = server->count++;
	peer->held = server->hold_settings;
	peer->deaf = server->deaf;
	DL_APPEND(server->peers, peer);
	return peer;
}

void peer_start(struct peer *peer)
{
	const struct sim_server *server = peer->server;
	nghttp2_settings_entry entries[2];
	size_t count = 0;

	if (peer->started) {
		return;
	}
	peer->started = true;
	if (server->raw) {
		pump(peer);
		return;
	}
	make_session(peer);
	if (peer->held) {
		return;
	}
	if (server->has_max_streams) {
		entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
							    server->max_streams};
	}
	if (server->has_window) {
		entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
							    server->window};
	}
	peer_settings(peer, entries, count);
}

/* What there is to say, as far as the way to the daemon has room. */
static void pump(struct peer *peer)
{
	static uint8_t out[65536 + 20000];
	size_t length = 0;

	if (peer->pumping || !peer->started || peer->held) {
		return;
	}
	peer->pumping = true;
	while (peer->socket && peer->session && length < 65536 &&
	       sim_socket_room(peer->socket) > length) {
		const uint8_t *data = NULL;
		ssize_t count = nghttp2_session_mem_send(peer->session, &data);

		SIM_CHECK(count >= 0 && (size_t)count < sizeof(out) - length);
		if (count == 0) {
			break;
		}
		memcpy(out + length, data, (size_t)count);
		length += (size_t)count;
	}
	if (length > 0) {
		sim_socket_send(peer->socket, out, length);
	}
	if (peer->socket && peer->raw_length) {
		sim_socket_send(peer->socket, peer->raw, peer->raw_length);
		peer->raw_length = 0;
	}
	peer->pumping = false;
}

void peer_hears(struct peer *peer, const uint8_t *data, size_t length)
{
	ssize_t used = 0;

	if (!peer->started) {
		peer_start(peer); /* cleartext */
	}
	if (!peer->session || peer->held) {
		peer->heard = __real_realloc(peer->heard, peer->heard_length + length);
		SIM_CHECK(peer->heard);
		memcpy(peer->heard + peer->heard_length, data, length);
		peer->heard_length += length;
		return;
	}
	peer->pumping = true; /* not from inside of its callbacks */
	used = nghttp2_session_mem_recv(peer->session, data, length);
	peer->pumping = false;
	if (used < 0 && !peer->broken) {
		SIM_FAIL("the daemon broke HTTP/2: %s", nghttp2_strerror((int)used));
	}
	pump(peer);
}

void peer_has_room(struct peer *peer)
{
	pump(peer);
}

void peer_free(struct peer *peer)
{
	if (peer->socket) {
		sim_socket_drop(peer->socket);
	}
	while (peer->exchanges) {
		exchange_free(peer->exchanges);
	}
	nghttp2_session_del(peer->session);
	free(peer->heard);
	free(peer->raw);
	DL_DELETE(peer->server->peers, peer);
	free(peer);
}

void peer_lost(struct peer *peer)
{
	peer->socket = NULL;
	peer->lost = true;
	peer->lost_ms = sim_now_ms();
	if (sim_forget) {
		peer_free(peer);
	}
}

/* ---- looking ---- */

struct peer *peer_at(const struct sim_server *server, unsigned index)
{
	struct peer *peer = server->peers;

	while (peer && peer->number != index) {
		peer = peer->next;
	}
	return peer;
}

struct exchange *exchange_at(const struct peer *peer, unsigned index)
{
	struct exchange *exchange = peer ? peer->exchanges : NULL;

	while (exchange && index-- > 0) {
		exchange = exchange->next;
	}
	return exchange;
}

const char *exchange_field(const struct exchange *exchange, const char *name, char *buffer,
			   size_t size)
{
	const char *line = exchange->fields;
	size_t length = strlen(name);

	while (*line) {
		const char *end = strchr(line, '\n');

		if (strncmp(line, name, length) == 0 && strncmp(line + length, ": ", 2) == 0) {
			snprintf(buffer, size, "%.*s", (int)(end - line - (ptrdiff_t)length - 2),
				 line + length + 2);
			return buffer;
		}
		line = end + 1;
	}
	return NULL;
}

int64_t peer_setting(const struct peer *peer, int32_t id)
{
	for (size_t i = 0; i < peer->setting_count; i++) {
		if (peer->settings[i].settings_id == id) {
			return peer->settings[i].value;
		}
	}
	return -1;
}

int32_t peer_window(const struct peer *peer)
{
	return nghttp2_session_get_remote_window_size(peer->session);
}

/* ---- saying ---- */

void peer_settings(struct peer *peer, const nghttp2_settings_entry *entries, size_t count)
{
	SIM_CHECK(nghttp2_submit_settings(peer->session, NGHTTP2_FLAG_NONE, entries, count) == 0);
	if (peer->held) {
		/* What came meanwhile, behind our own SETTINGS. */
		uint8_t *heard = peer->heard;
		size_t length = peer->heard_length;

		peer->held = false;
		peer->heard = NULL;
		peer->heard_length = 0;
		pump(peer);
		if (length) {
			peer_hears(peer, heard, length);
		}
		free(heard);
	}
	pump(peer);
}

void peer_set(struct peer *peer, int32_t id, uint32_t value)
{
	nghttp2_settings_entry entry = {id, value};

	peer_settings(peer, &entry, 1);
}

static nghttp2_nv nv_of(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			    strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
			 uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct exchange *exchange = source->ptr;
	uint64_t left = exchange->to_send - exchange->sent;
	size_t count = left < size ? (size_t)left : size;

	(void)user_data;
	if (count == 0 && !exchange->end_after) {
		return NGHTTP2_ERR_DEFERRED;
	}
	SIM_CHECK(count <= PATTERN);
	memcpy(buffer, pattern_at(exchange->salt, exchange->sent), count);
	exchange->sent += count;
	if (exchange->end_after && exchange->sent == exchange->to_send) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (exchange->trailers_after) {
			nghttp2_nv trailer = nv_of("x-trailer", "done");

			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			SIM_CHECK(nghttp2_submit_trailer(session, id, &trailer, 1) == 0);
		}
	}
	return (ssize_t)count;
}

void peer_head(struct exchange *exchange, bool end, unsigned status, ...)
{
	nghttp2_data_provider provider = {.source.ptr = exchange, .read_callback = read_body};
	nghttp2_nv nv[64];
	size_t count = 0;
	char number[8];
	char salt[16];
	va_list arguments;

	snprintf(number, sizeof(number), "%u", status);
	snprintf(salt, sizeof(salt), "%u", exchange->salt);
	nv[count++] = nv_of(":status", number);
	nv[count++] = nv_of("x-salt", salt);
	va_start(arguments, status);
	for (;;) {
		const char *name = va_arg(arguments, const char *);

		if (!name) {
			break;
		}
		SIM_CHECK(count < sizeof(nv) / sizeof(nv[0]));
		nv[count++] = nv_of(name, va_arg(arguments, const char *));
	}
	va_end(arguments);
	exchange->head_sent = true;
	exchange->end_after = end;
	SIM_CHECK(nghttp2_submit_response(exchange->peer->session, exchange->id, nv, count,
					  end ? NULL : &provider) == 0);
	pump(exchange->peer);
}

void peer_interim(struct exchange *exchange, unsigned status)
{
	char number[8];
	nghttp2_nv nv;

	snprintf(number, sizeof(number), "%u", status);
	nv = nv_of(":status", number);
	SIM_CHECK(nghttp2_submit_headers(exchange->peer->session, NGHTTP2_FLAG_NONE, exchange->id,
					 NULL, &nv, 1, NULL) == 0);
	pump(exchange->peer);
}

static void resume(struct exchange *exchange)
{
	struct peer *peer = exchange->peer;

	(void)nghttp2_session_resume_data(peer->session, exchange->id);
	pump(peer);
}

void peer_body(struct exchange *exchange, uint64_t length)
{
	exchange->to_send += length;
	resume(exchange);
}

void peer_end(struct exchange *exchange)
{
	exchange->end_after = true;
	resume(exchange);
}

void peer_trailers(struct exchange *exchange)
{
	exchange->trailers_after = true;
	peer_end(exchange);
}

void peer_answer(struct exchange *exchange, uint64_t length)
{
	exchange->to_send += length;
	peer_head(exchange, false, 200, NULL);
	/* The head may have ended the exchange for a peer that forgets, but not before the end is
	 * asked for. */
	peer_end(exchange);
}

void peer_reset_stream(struct exchange *exchange, uint32_t code)
{
	struct peer *peer = exchange->peer;

	exchange->reset_asked = true;
	SIM_CHECK(nghttp2_submit_rst_stream(peer->session, NGHTTP2_FLAG_NONE, exchange->id, code) ==
		  0);
	pump(peer);
}

void peer_goaway(struct peer *peer, int32_t last, uint32_t code, const char *debug)
{
	/* It never grows (RFC 9113, section 6.8). */
	if (peer->goaway_said && last > peer->goaway_last) {
		last = peer->goaway_last;
	}
	peer->goaway_said = true;
	peer->goaway_last = last;
	peer->goaways_asked++;
	SIM_CHECK(nghttp2_submit_goaway(peer->session, NGHTTP2_FLAG_NONE, last, code,
					(const uint8_t *)debug, strlen(debug)) == 0);
	pump(peer);
}

void peer_raw(struct peer *peer, const void *data, size_t length)
{
	peer->broken = true;
	peer->raw = __real_realloc(peer->raw, peer->raw_length + length);
	SIM_CHECK(peer->raw);
	memcpy(peer->raw + peer->raw_length, data, length);
	peer->raw_length += length;
	pump(peer);
}

void peer_frame(struct peer *peer, uint8_t type, uint8_t flags, int32_t stream, const void *payload,
		size_t length)
{
	uint8_t frame[9 + 65536];
	const uint8_t head[9] = {(uint8_t)(length >> 16),
				 (uint8_t)(length >> 8),
				 (uint8_t)length,
				 type,
				 flags,
				 (uint8_t)((uint32_t)stream >> 24),
				 (uint8_t)((uint32_t)stream >> 16),
				 (uint8_t)((uint32_t)stream >> 8),
				 (uint8_t)stream};

	SIM_CHECK(length <= sizeof(frame) - sizeof(head));
	memcpy(frame, head, sizeof(head));
	if (length) {
		memcpy(frame + sizeof(head), payload, length);
	}
	peer_raw(peer, frame, sizeof(head) + length);
}

static void hang_up(struct peer *peer, bool clean, int error)
{
	struct sim_socket *socket = peer->socket;

	peer->socket = NULL;
	if (socket) {
		sim_socket_end(socket, clean, error);
	}
	if (sim_forget) {
		peer_free(peer);
	}
}

void peer_close(struct peer *peer)
{
	hang_up(peer, true, 0);
}

void peer_cut(struct peer *peer)
{
	hang_up(peer, false, 0);
}

void peer_reset(struct peer *peer)
{
	hang_up(peer, false, ECONNRESET);
}

void peer_deafen(struct peer *peer, bool deaf)
{
	peer->deaf = deaf;
	if (peer->socket) {
		sim_socket_deafen(peer->socket, deaf);
	}
}

void peer_silence(struct peer *peer, bool silent)
{
	peer->silent = silent;
	if (peer->socket) {
		sim_socket_silence(peer->socket, silent);
	}
}
