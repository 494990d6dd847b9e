/* SPDX-License-Identifier: MIT */
/*
 * The test server on nghttp2's server side.
 */
#include "unit/support/h2_origin.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PATIENCE_MS 20000u

static void push(struct h2_connection *connection);

unsigned test_side;

/* ---- waiting ---- */

static void hangs(void *ctx)
{
	const struct until *until = ctx;

	fail_msg("still not so: %s", until->what);
}

void until_begin(struct until *until, struct loop *loop, const char *what)
{
	until->what = what;
	loop_timer_start(&until->timer, loop, PATIENCE_MS, hangs, until);
}

void until_end(struct until *until)
{
	loop_timer_stop(&until->timer);
}

void rounds(struct loop *loop, unsigned count)
{
	while (count-- > 0) {
		loop_run_once(loop, false);
	}
}

unsigned open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
	}
	return count;
}

uint8_t h2_byte(uint64_t offset)
{
	return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 16));
}

static void *must(void *memory)
{
	assert_non_null(memory);
	return memory;
}

/* ---- what the client sends ---- */

static struct h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
	return id ? nghttp2_session_get_stream_user_data(session, id) : NULL;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct h2_connection *connection = user_data;
	struct h2_stream *stream = NULL;

	if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) {
		return 0;
	}
	stream = must(calloc(1, sizeof(*stream)));
	stream->connection = connection;
	stream->id = frame->hd.stream_id;
	if (connection->last) {
		connection->last->next = stream;
	} else {
		connection->streams = stream;
	}
	connection->last = stream;
	connection->stream_count++;
	return nghttp2_session_set_stream_user_data(session, stream->id, stream);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags,
		     void *user_data)
{
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);
	struct h2_field *field = NULL;

	(void)user_data;
	assert_true(stream && stream->field_count < H2_FIELDS_MAX);
	field = &stream->fields[stream->field_count++];
	field->name = must(strndup((const char *)name, name_length));
	field->value = must(calloc(1, value_length + 1));
	memcpy(field->value, value, value_length);
	field->value_length = value_length;
	field->never_indexed = (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0;
	return 0;
}

static void note_settings(struct h2_connection *connection, const nghttp2_settings *settings)
{
	if (settings->hd.flags & NGHTTP2_FLAG_ACK) {
		connection->settings_acked = true;
		return;
	}
	assert_true(settings->niv <= H2_SETTINGS_SEEN);
	memcpy(connection->settings, settings->iv, settings->niv * sizeof(settings->iv[0]));
	connection->settings_count = (unsigned)settings->niv;
	connection->settings_seen = true;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user_data)
{
	struct h2_connection *connection = user_data;
	struct h2_stream *stream = stream_of(session, frame->hd.stream_id);

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		note_settings(connection, &frame->settings);
		break;
	case NGHTTP2_PING:
		connection->pongs += (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
		break;
	case NGHTTP2_GOAWAY:
		connection->goaway = true;
		connection->goaway_code = frame->goaway.error_code;
		break;
	case NGHTTP2_WINDOW_UPDATE:
		if (stream) {
			stream->credit += (uint64_t)frame->window_update.window_size_increment;
		} else if (frame->hd.stream_id == 0) {
			connection->credit += (uint64_t)frame->window_update.window_size_increment;
		}
		break;
	case NGHTTP2_RST_STREAM:
		if (stream) {
			stream->reset = true;
			stream->reset_code = frame->rst_stream.error_code;
		}
		break;
	default:
		break;
	}
	if (!stream) {
		return 0;
	}
	if (frame->hd.type == NGHTTP2_HEADERS) {
		stream->headers_done = true;
		if (connection->origin->automatic) {
			h2_head(stream, false, 200, NULL);
			stream->trailers_after = connection->origin->automatic_trailers;
			h2_body(stream, connection->origin->automatic_bytes, true);
		}
	}
	if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
	    (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		stream->ended = true;
	}
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
		   size_t length, void *user_data)
{
	struct h2_stream *stream = stream_of(session, id);

	(void)flags;
	(void)user_data;
	if (stream) {
		stream->body = must(realloc(stream->body, stream->body_length + length));
		memcpy(stream->body + stream->body_length, data, length);
		stream->body_length += length;
	}
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *user_data)
{
	struct h2_stream *stream = stream_of(session, id);

	(void)code;
	(void)user_data;
	if (stream) {
		stream->closed = true;
	}
	return 0;
}

static ssize_t select_padding(nghttp2_session *session, const nghttp2_frame *frame, size_t most,
			      void *user_data)
{
	const struct h2_connection *connection = user_data;
	size_t length = frame->hd.length;

	(void)session;
	if (frame->hd.type == NGHTTP2_DATA) {
		length += connection->pad;
	}
	return (ssize_t)(length < most ? length : most);
}

/* ---- a connection ---- */

static void make_session(struct h2_connection *connection)
{
	nghttp2_session_callbacks *callbacks = NULL;
	nghttp2_option *option = NULL;

	assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
	assert_int_equal(nghttp2_option_new(&option), 0);
	nghttp2_option_set_no_auto_window_update(option, connection->origin->stingy);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
	nghttp2_session_callbacks_set_select_padding_callback(callbacks, select_padding);
	assert_int_equal(
		nghttp2_session_server_new2(&connection->session, callbacks, connection, option),
		0);
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(callbacks);
}

static void send_first_settings(struct h2_connection *connection)
{
	const struct h2_origin *origin = connection->origin;
	nghttp2_settings_entry entries[2];
	size_t count = 0;

	if (origin->max_streams) {
		entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
							    origin->max_streams};
	}
	if (origin->window >= 0) {
		entries[count++] = (nghttp2_settings_entry){NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
							    (uint32_t)origin->window};
	}
	h2_settings(connection, entries, count);
}

static void update_events(struct h2_connection *connection)
{
	if (connection->fd >= 0) {
		loop_io_set(&connection->io,
			    (connection->deaf || connection->eof ? 0u : (unsigned)LOOP_READ) |
				    (connection->out_length ? (unsigned)LOOP_WRITE : 0u));
	}
}

static void queue_out(struct h2_connection *connection, const void *data, size_t length)
{
	connection->out = must(realloc(connection->out, connection->out_length + length));
	memcpy(connection->out + connection->out_length, data, length);
	connection->out_length += length;
}

/* What the session has to say, then to the socket as much as it takes. */
/* What the session has to say, up to a bound. True: there may be more. */
static bool collect(struct h2_connection *connection)
{
	while (connection->session && !connection->held && connection->out_length < 256 * 1024) {
		const uint8_t *data = NULL;
		ssize_t length = nghttp2_session_mem_send(connection->session, &data);

		assert_true(length >= 0);
		if (length == 0) {
			return false;
		}
		queue_out(connection, data, (size_t)length);
	}
	return connection->session && !connection->held;
}

static void write_out(struct h2_connection *connection)
{
	while (connection->out_length > 0) {
		ssize_t sent =
			send(connection->fd, connection->out, connection->out_length, MSG_NOSIGNAL);

		if (sent < 0) {
			if (errno != EAGAIN) {
				connection->out_length = 0; /* the client is gone */
				connection->eof = true;
			}
			break;
		}
		connection->out_length -= (size_t)sent;
		memmove(connection->out, connection->out + sent, connection->out_length);
	}
}

static void push(struct h2_connection *connection)
{
	bool more = true;

	if (connection->fd < 0) {
		return;
	}
	while (more) {
		more = collect(connection);
		write_out(connection);
		/* The rest when the socket takes it. */
		more = more && connection->out_length == 0 && !connection->eof;
	}
	update_events(connection);
}

static void feed(struct h2_connection *connection, const uint8_t *data, size_t length)
{
	assert_int_equal(nghttp2_session_mem_recv(connection->session, data, length), length);
}

static void on_event(void *ctx, unsigned events)
{
	struct h2_connection *connection = ctx;
	uint8_t buffer[65536];

	test_side++;
	while (events & LOOP_READ) {
		ssize_t count = recv(connection->fd, buffer, sizeof(buffer), 0);

		if (count < 0 && errno == EAGAIN) {
			break;
		}
		if (count <= 0) {
			connection->eof = true;
			break;
		}
		connection->in =
			must(realloc(connection->in, connection->in_length + (size_t)count));
		memcpy(connection->in + connection->in_length, buffer, (size_t)count);
		connection->in_length += (size_t)count;
		if (connection->session && !connection->held) {
			feed(connection, buffer, (size_t)count);
		}
	}
	push(connection);
	test_side--;
}

static void on_accept(void *ctx, unsigned events)
{
	struct h2_origin *origin = ctx;
	struct h2_connection *connection = NULL;
	int one = 1;

	(void)events;
	assert_true(origin->count < H2_CONNECTIONS_MAX);
	test_side++;
	connection = must(calloc(1, sizeof(*connection)));
	test_side--;
	connection->origin = origin;
	connection->deaf = origin->deaf;
	connection->fd = accept4(origin->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection->fd < 0) {
		free(connection); /* gave up meanwhile */
		return;
	}
	(void)setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	origin->connections[origin->count++] = connection;
	loop_io_start(&connection->io, origin->loop, connection->fd,
		      origin->deaf ? 0u : (unsigned)LOOP_READ, on_event, connection);
	if (!origin->raw) {
		make_session(connection);
		connection->held = origin->hold_settings;
		if (!connection->held) {
			test_side++;
			send_first_settings(connection);
			test_side--;
		}
	}
}

void h2_close(struct h2_connection *connection)
{
	if (connection->fd >= 0) {
		loop_io_stop(&connection->io);
		close(connection->fd);
		connection->fd = -1;
	}
}

void h2_listen_again(struct h2_connection *connection)
{
	connection->deaf = false;
	update_events(connection);
}

static void connection_delete(struct h2_connection *connection)
{
	h2_close(connection);
	nghttp2_session_del(connection->session);
	while (connection->streams) {
		struct h2_stream *stream = connection->streams;

		connection->streams = stream->next;
		for (unsigned i = 0; i < stream->field_count; i++) {
			free(stream->fields[i].name);
			free(stream->fields[i].value);
		}
		free(stream->body);
		free(stream);
	}
	free(connection->out);
	free(connection->in);
	free(connection);
}

/* ---- the listener ---- */

static void open_listener(struct h2_origin *origin, int backlog)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(origin->port),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	int one = 1;

	origin->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(origin->listener >= 0);
	(void)setsockopt(origin->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	assert_int_equal(bind(origin->listener, (struct sockaddr *)&address, length), 0);
	assert_int_equal(listen(origin->listener, backlog), 0);
	assert_int_equal(getsockname(origin->listener, (struct sockaddr *)&address, &length), 0);
	origin->port = ntohs(address.sin_port);
}

void h2_origin_open(struct h2_origin *origin)
{
	open_listener(origin, 64);
	loop_io_start(&origin->io, origin->loop, origin->listener, LOOP_READ, on_accept, origin);
}

void h2_origin_hang(struct h2_origin *origin)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	h2_origin_close(origin);
	open_listener(origin, 0);
	address.sin_port = htons(origin->port);
	for (unsigned i = 0; i < 2; i++) {
		origin->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(origin->fillers[i] >= 0);
		(void)connect(origin->fillers[i], (struct sockaddr *)&address, sizeof(address));
	}
}

void h2_origin_close(struct h2_origin *origin)
{
	if (origin->listener >= 0) {
		loop_io_stop(&origin->io);
		close(origin->listener);
		origin->listener = -1;
	}
	for (unsigned i = 0; i < 2; i++) {
		if (origin->fillers[i] >= 0) {
			close(origin->fillers[i]);
			origin->fillers[i] = -1;
		}
	}
}

struct h2_origin *h2_origin_new(struct loop *loop)
{
	struct h2_origin *origin = must(calloc(1, sizeof(*origin)));

	origin->loop = loop;
	origin->window = -1;
	origin->fillers[0] = origin->fillers[1] = -1;
	h2_origin_open(origin);
	return origin;
}

void h2_origin_free(struct h2_origin *origin)
{
	h2_origin_close(origin);
	for (unsigned i = 0; i < origin->count; i++) {
		connection_delete(origin->connections[i]);
	}
	free(origin);
}

const char *h2_authority(const struct h2_origin *origin)
{
	static char text[32];

	snprintf(text, sizeof(text), "127.0.0.1:%u", origin->port);
	return text;
}

const char *h2_url(const struct h2_origin *origin, const char *path)
{
	static char texts[4][256];
	static unsigned turn;
	char *text = texts[turn++ % 4];

	snprintf(text, sizeof(texts[0]), "http://127.0.0.1:%u%s", origin->port, path);
	return text;
}

/* ---- looking ---- */

struct h2_connection *h2_connection(struct h2_origin *origin, unsigned index)
{
	UNTIL(origin->loop, origin->count > index);
	return origin->connections[index];
}

struct h2_stream *h2_stream(struct h2_connection *connection, unsigned index)
{
	struct h2_stream *stream = NULL;

	UNTIL(connection->origin->loop, connection->stream_count > index);
	stream = connection->streams;
	while (index-- > 0) {
		stream = stream->next;
	}
	UNTIL(connection->origin->loop, stream->headers_done);
	return stream;
}

struct h2_stream *h2_first(struct h2_origin *origin, unsigned index)
{
	return h2_stream(h2_connection(origin, 0), index);
}

const struct h2_field *h2_field(const struct h2_stream *stream, const char *name)
{
	for (unsigned i = 0; i < stream->field_count; i++) {
		if (strcmp(stream->fields[i].name, name) == 0) {
			return &stream->fields[i];
		}
	}
	return NULL;
}

/* ---- doing ---- */

void h2_settings(struct h2_connection *connection, const nghttp2_settings_entry *entries,
		 size_t count)
{
	assert_int_equal(
		nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, entries, count), 0);
	if (connection->held) {
		/* What came meanwhile, behind our own SETTINGS. */
		connection->held = false;
		push(connection);
		if (connection->in_length) {
			feed(connection, connection->in, connection->in_length);
		}
	}
	push(connection);
}

static nghttp2_nv nv_of(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			    strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
			 uint32_t *flags, nghttp2_data_source *source, void *user_data)
{
	struct h2_stream *stream = source->ptr;
	uint64_t left = stream->to_send - stream->sent;
	size_t count = left < size ? (size_t)left : size;

	(void)user_data;
	if (count == 0 && !stream->end_after) {
		return NGHTTP2_ERR_DEFERRED;
	}
	for (size_t i = 0; i < count; i++) {
		buffer[i] = h2_byte(stream->sent + i);
	}
	stream->sent += count;
	if (stream->end_after && stream->sent == stream->to_send) {
		*flags |= NGHTTP2_DATA_FLAG_EOF;
		if (stream->trailers_after) {
			nghttp2_nv trailer = nv_of("x-trailer", "done");

			*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
			assert_int_equal(nghttp2_submit_trailer(session, id, &trailer, 1), 0);
		}
	}
	return (ssize_t)count;
}

void h2_head(struct h2_stream *stream, bool end, unsigned status, ...)
{
	nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_body};
	nghttp2_nv nv[600];
	size_t count = 0;
	char number[8];
	va_list arguments;

	snprintf(number, sizeof(number), "%u", status);
	nv[count++] = nv_of(":status", number);
	va_start(arguments, status);
	for (;;) {
		const char *name = va_arg(arguments, const char *);

		if (!name) {
			break;
		}
		assert_true(count < sizeof(nv) / sizeof(nv[0]));
		nv[count++] = nv_of(name, va_arg(arguments, const char *));
	}
	va_end(arguments);
	assert_int_equal(nghttp2_submit_response(stream->connection->session, stream->id, nv, count,
						 end ? NULL : &provider),
			 0);
	push(stream->connection);
}

void h2_interim(struct h2_stream *stream, unsigned status)
{
	char number[8];
	nghttp2_nv nv;

	snprintf(number, sizeof(number), "%u", status);
	nv = nv_of(":status", number);
	assert_int_equal(nghttp2_submit_headers(stream->connection->session, NGHTTP2_FLAG_NONE,
						stream->id, NULL, &nv, 1, NULL),
			 0);
	push(stream->connection);
}

void h2_body(struct h2_stream *stream, uint64_t length, bool end)
{
	stream->to_send += length;
	stream->end_after = end;
	(void)nghttp2_session_resume_data(stream->connection->session, stream->id);
	push(stream->connection);
}

void h2_trailers(struct h2_stream *stream)
{
	stream->trailers_after = true;
	h2_body(stream, 0, true);
}

void h2_open_window(struct h2_connection *connection, struct h2_stream *stream, uint32_t bytes)
{
	assert_int_equal(nghttp2_submit_window_update(connection->session, NGHTTP2_FLAG_NONE,
						      stream ? stream->id : 0, (int32_t)bytes),
			 0);
	push(connection);
}

void h2_reset(struct h2_stream *stream, uint32_t code)
{
	assert_int_equal(nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE,
						   stream->id, code),
			 0);
	push(stream->connection);
}

void h2_goaway(struct h2_connection *connection, int32_t last, uint32_t code, const char *debug)
{
	assert_int_equal(nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE, last, code,
					       (const uint8_t *)debug, strlen(debug)),
			 0);
	push(connection);
}

void h2_raw(struct h2_connection *connection, const void *data, size_t length)
{
	push(connection);
	queue_out(connection, data, length);
	push(connection);
}

void h2_raw_frame(struct h2_connection *connection, uint8_t type, uint8_t flags, int32_t stream,
		  const void *payload, size_t length)
{
	uint8_t head[9] = {(uint8_t)(length >> 16),
			   (uint8_t)(length >> 8),
			   (uint8_t)length,
			   type,
			   flags,
			   (uint8_t)((uint32_t)stream >> 24),
			   (uint8_t)((uint32_t)stream >> 16),
			   (uint8_t)((uint32_t)stream >> 8),
			   (uint8_t)stream};

	push(connection);
	queue_out(connection, head, sizeof(head));
	if (length) {
		queue_out(connection, payload, length);
	}
	push(connection);
}

void h2_sync(struct h2_connection *connection)
{
	connection->pings++;
	assert_int_equal(nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL), 0);
	push(connection);
	UNTIL(connection->origin->loop, connection->pongs >= connection->pings);
}
