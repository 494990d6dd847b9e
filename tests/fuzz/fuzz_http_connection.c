/* SPDX-License-Identifier: MIT */
/*
 * A whole HTTP/2 connection fed with a server's bytes: any input, over a real loopback socket, into
 * nghttp2 with the real callbacks. Afterwards nothing may be left: no stream, no buffered byte, no
 * window counted.
 *
 * The first byte of the input says how it goes: bit 0: a good SETTINGS frame comes first; bit 1:
 * the reader takes what arrives at once; bit 2: it lets go of its stream at the head; bit 3: the
 * second request has a body.
 */
#include "http/connection.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define STREAMS 3u
#define ROUNDS_MAX 400u

static struct world {
	struct loop *loop;
	struct metrics metrics;
	struct http_env env;
	int listener;
	uint16_t port;
} world;

struct reader {
	struct request request;
	struct stream *stream;
	bool eager, fickle;
};

static bool open_for_use, over;

static void on_sent(void *ctx)
{
	(void)ctx;
}

static void on_informational(void *ctx, unsigned status, const struct header_list *headers)
{
	(void)ctx;
	assert(status / 100 == 1);
	(void)header_list_count(headers);
}

static void let_go(struct reader *reader)
{
	struct stream *stream = reader->stream;

	reader->stream = NULL;
	stream_free(stream);
}

static void on_head(void *ctx, const struct stream_head *head)
{
	struct reader *reader = ctx;

	assert(head->status >= 200 && head->status < 1000);
	if (reader->fickle) {
		let_go(reader);
	}
}

static void on_body(void *ctx)
{
	struct reader *reader = ctx;

	if (reader->eager) {
		stream_consume(reader->stream, stream_buffered(reader->stream));
	}
}

static void on_trailers(void *ctx, const struct header_list *trailers)
{
	(void)ctx;
	(void)header_list_count(trailers);
}

static void on_stream_closed(void *ctx, const struct stream_end *end)
{
	assert(end->reason != CLOSE_NONE &&
	       (end->reason == CLOSE_ENDED) == (end->failure->count == 0));
	let_go(ctx);
}

static const struct stream_callbacks stream_callbacks = {
	.on_sent = on_sent,
	.on_informational = on_informational,
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_closed = on_stream_closed,
};

static void on_open(void *ctx, struct connection *connection)
{
	(void)ctx;
	(void)connection;
	open_for_use = true;
}

static void on_change(void *ctx, struct connection *connection)
{
	(void)ctx;
	(void)connection;
}

static void on_failed(void *ctx, struct connection *connection, const struct failure *failure)
{
	(void)ctx;
	(void)connection;
	(void)failure;
	over = true;
}

static void on_closed(void *ctx, struct connection *connection)
{
	(void)ctx;
	(void)connection;
	over = true;
}

static const struct connection_callbacks connection_callbacks = {
	.on_open = on_open,
	.on_slots = on_change,
	.on_draining = on_change,
	.on_failed = on_failed,
	.on_closed = on_closed,
};

static void make_world(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct dns_config dns = {.servers = "127.0.0.1", .timeout_ms = 100, .tries = 1};
	socklen_t size = sizeof(address);
	int rc = 0;

	world.loop = loop_new();
	world.env.loop = world.loop;
	world.env.metrics = &world.metrics;
	world.env.settings = (struct http_settings){
		.stream_window = 65536,
		.connection_window = 1 << 20,
		.max_frame_size = 16384,
		.max_header_list = 16384,
		.max_headers = 64,
		.max_informational = 4,
		.max_streams_per_connection = 100,
		.ping_after_ms = 10000,
		.ping_timeout_ms = 10000,
		.write_timeout_ms = 10000,
		.connect_timeout_ms = 10000,
	};
	rc = dns_new(world.loop, &dns, &world.env.dns);
	assert(rc == 0);
	world.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	rc = bind(world.listener, (struct sockaddr *)&address, sizeof(address));
	assert(rc == 0);
	rc = listen(world.listener, 16);
	assert(rc == 0);
	rc = getsockname(world.listener, (struct sockaddr *)&address, &size);
	assert(rc == 0);
	world.port = ntohs(address.sin_port);
}

static void submit(struct connection *connection, struct reader *reader, unsigned index,
		   uint8_t how)
{
	static const uint8_t body[2000];
	struct request_spec spec = {.url = "https://localhost/",
				    .method = index == 2 ? "HEAD" : "GET"};
	struct failure failure;
	int rc = 0;

	if (index == 1 && (how & 8)) {
		spec.method = "POST";
		spec.has_body = true;
		spec.body = body;
		spec.body_length = sizeof(body);
	}
	reader->eager = how & 2;
	reader->fickle = how & 4;
	rc = request_make(&spec, "", &reader->request, &failure);
	assert(rc == 0);
	rc = connection_submit(connection, &reader->request, &stream_callbacks, reader,
			       &reader->stream);
	assert(rc == 0);
}

/* The server's side: everything is written at once, then no more. */
static int serve(const uint8_t *data, size_t size, uint8_t how)
{
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	const struct linger reset = {.l_onoff = 1};
	int fd = accept4(world.listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	assert(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (how & 1) {
		(void)!write(fd, settings, sizeof(settings));
	}
	if (size) {
		(void)!write(fd, data, size);
	}
	(void)shutdown(fd, SHUT_WR);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dial_target target = {.host = "127.0.0.1", .host_is_address = true};
	struct reader readers[STREAMS] = {0};
	struct connection *connection = NULL;
	int fd = -1;
	int rc = 0;

	if (size < 1) {
		return 0;
	}
	if (!world.loop) {
		make_world();
	}
	open_for_use = over = false;
	target.port = world.port;
	rc = connection_new(&world.env, &target, &connection_callbacks, NULL, &connection);
	assert(rc == 0);
	while (!open_for_use && !over) {
		loop_run_once(world.loop, true);
	}
	assert(open_for_use);
	for (unsigned i = 0; i < STREAMS; i++) {
		submit(connection, &readers[i], i, data[0]);
	}
	fd = serve(data + 1, size - 1, data[0]);
	for (unsigned i = 0; i < ROUNDS_MAX && !over; i++) {
		loop_run_once(world.loop, false);
	}
	if (!over) {
		connection_free(connection);
	}
	for (unsigned i = 0; i < STREAMS; i++) {
		stream_free(readers[i].stream);
		request_fini(&readers[i].request);
	}
	loop_run_once(world.loop, false);
	close(fd);
	assert(world.env.streams == 0 && world.env.buffered_bytes == 0 &&
	       world.env.window_bytes == 0);
	return 0;
}
