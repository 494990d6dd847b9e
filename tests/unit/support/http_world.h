/* SPDX-License-Identifier: MIT */
/*
 * What the HTTP layer needs to live, a request made from a line, and a stream's reader that
 * remembers what it was told. For the tests of http and of what lies above it.
 */
#pragma once

#include "unit/support/h2_origin.h"

#include "http/connection.h"
#include "http/pool.h"

#include <stdlib.h>
#include <string.h>

struct http_world {
	struct loop *loop;
	struct metrics metrics;
	struct http_env *env; /* big */
	struct h2_origin *origin;
	unsigned fds;
};

static inline void http_world_init(struct http_world *world)
{
	struct dns_config dns = {.servers = "127.0.0.1", .timeout_ms = 1000, .tries = 1};

	memset(world, 0, sizeof(*world));
	world->fds = open_fds();
	world->loop = loop_new();
	world->env = calloc(1, sizeof(*world->env));
	assert_true(world->loop && world->env);
	world->env->loop = world->loop;
	world->env->metrics = &world->metrics;
	assert_int_equal(dns_new(world->loop, &dns, &world->env->dns), 0);
	world->env->settings = (struct http_settings){
		.stream_window = 65536,
		.connection_window = 1024 * 1024,
		.max_frame_size = 16384,
		.max_header_list = 16384,
		.max_headers = 32,
		.max_informational = 3,
		.max_streams_per_connection = 100,
		.max_connections_per_origin = 4,
		.max_connections = 16,
		.max_origins = 16,
		.body_budget = 64 * 1024 * 1024,
		.connect_timeout_ms = 20000,
		.idle_timeout_ms = 240000,
		.continue_timeout_ms = 20000,
		.max_queued_frames = 20000,
		.write_timeout_ms = 20000,
		.ping_after_ms = 10000,
		.ping_timeout_ms = 10000,
	};
	world->origin = h2_origin_new(world->loop);
}

/* Nothing may be left: streams, buffered bytes, descriptors. */
static inline void http_world_fini(struct http_world *world)
{
	h2_origin_free(world->origin);
	assert_int_equal(world->env->streams, 0);
	assert_int_equal(world->env->buffered_bytes, 0);
	dns_free(world->env->dns);
	loop_free(world->loop);
	free(world->env);
	assert_int_equal(open_fds(), world->fds);
}

static inline void make_request_with(struct request *request, const char *method, const char *url,
				     const struct header_field *headers, size_t count,
				     const void *body, size_t body_length)
{
	struct request_spec spec = {.url = url,
				    .method = method,
				    .headers = headers,
				    .header_count = count,
				    .body = body,
				    .body_length = body_length,
				    .has_body = body != NULL};
	struct failure failure;

	if (request_make(&spec, "test/1", request, &failure) != 0) {
		fail_msg("%s", failure.links[0].text);
	}
}

static inline void make_request(struct request *request, const char *method, const char *url)
{
	make_request_with(request, method, url, NULL, 0, NULL, 0);
}

#define FIELD(n, v)                                                      \
	(struct header_field)                                            \
	{                                                                \
		.name = (n), .name_length = sizeof(n) - 1, .value = (v), \
		.value_length = sizeof(v) - 1                            \
	}

/* ---- a stream's reader ---- */

enum fetch_event {
	FETCH_NOTHING,
	FETCH_SENT,
	FETCH_INTERIM,
	FETCH_HEAD,
	FETCH_BODY,
	FETCH_TRAILERS,
	FETCH_CLOSED
};

struct fetch {
	struct stream *stream; /* NULL once freed */
	struct request request;
	bool eager; /* takes every byte at once */
	/* Called at the end of every event. */
	void (*hook)(struct fetch *fetch, enum fetch_event event);
	void *ctx;
	unsigned sent, interims, heads, bodies, trailers, closed;
	unsigned status, interim_status;
	bool has_length;
	uint64_t length;
	char type[64]; /* the head's content-type */
	char trailer[64];
	uint64_t taken;
	enum close_reason reason;
	bool unprocessed;
	struct failure failure;
};

static inline void fetch_text(const struct header_list *list, const char *name, char text[64])
{
	uint32_t index = header_list_find(list, name, 0);

	text[0] = '\0';
	if (index < header_list_count(list)) {
		struct header_field field = header_list_get(list, index);

		assert_true(field.value_length < 64);
		memcpy(text, field.value, field.value_length);
		text[field.value_length] = '\0';
	}
}

static inline void fetch_hook(struct fetch *fetch, enum fetch_event event)
{
	if (fetch->hook) {
		fetch->hook(fetch, event);
	}
}

/* Takes up to `most` bytes, checking them; opens the window by as much. */
static inline void fetch_take(struct fetch *fetch, size_t most)
{
	while (most > 0) {
		struct iovec iov[4];
		unsigned count = stream_peek(fetch->stream, iov, 4);
		size_t length = 0;

		for (unsigned i = 0; i < count && length < most; i++) {
			const uint8_t *data = iov[i].iov_base;
			size_t part =
				iov[i].iov_len < most - length ? iov[i].iov_len : most - length;

			for (size_t k = 0; k < part; k++) {
				if (data[k] != h2_byte(fetch->taken + length + k)) {
					fail_msg("wrong byte at %zu",
						 (size_t)fetch->taken + length + k);
				}
			}
			length += part;
		}
		if (length == 0) {
			return;
		}
		fetch->taken += length;
		most -= length;
		stream_consume(fetch->stream, length);
	}
}

static inline void fetch_on_sent(void *ctx)
{
	struct fetch *fetch = ctx;

	assert_true(!fetch->heads && !fetch->closed);
	fetch->sent++;
	fetch_hook(fetch, FETCH_SENT);
}

static inline void fetch_on_informational(void *ctx, unsigned status,
					  const struct header_list *headers)
{
	struct fetch *fetch = ctx;

	(void)headers;
	assert_true(fetch->sent && !fetch->heads && !fetch->closed);
	fetch->interims++;
	fetch->interim_status = status;
	fetch_hook(fetch, FETCH_INTERIM);
}

static inline void fetch_on_head(void *ctx, const struct stream_head *head)
{
	struct fetch *fetch = ctx;

	assert_true(fetch->sent && !fetch->heads && !fetch->closed);
	fetch->heads++;
	fetch->status = head->status;
	fetch->has_length = head->has_content_length;
	fetch->length = head->content_length;
	fetch_hook(fetch, FETCH_HEAD);
	/* Also after the hook, which may have freed the stream. */
	fetch_text(head->headers, "content-type", fetch->type);
}

static inline void fetch_on_body(void *ctx)
{
	struct fetch *fetch = ctx;

	assert_true(fetch->heads && !fetch->trailers && !fetch->closed);
	fetch->bodies++;
	if (fetch->eager) {
		fetch_take(fetch, SIZE_MAX);
	}
	fetch_hook(fetch, FETCH_BODY);
}

static inline void fetch_on_trailers(void *ctx, const struct header_list *trailers)
{
	struct fetch *fetch = ctx;

	assert_true(fetch->heads && !fetch->trailers && !fetch->closed);
	fetch->trailers++;
	fetch_text(trailers, "x-trailer", fetch->trailer);
	fetch_hook(fetch, FETCH_TRAILERS);
}

static inline void fetch_on_closed(void *ctx, const struct stream_end *end)
{
	struct fetch *fetch = ctx;

	assert_true(!fetch->closed);
	fetch->closed++;
	fetch->reason = end->reason;
	fetch->unprocessed = end->unprocessed;
	failure_copy(&fetch->failure, end->failure);
	fetch_hook(fetch, FETCH_CLOSED);
}

static const struct stream_callbacks fetch_callbacks = {
	.on_sent = fetch_on_sent,
	.on_informational = fetch_on_informational,
	.on_head = fetch_on_head,
	.on_body = fetch_on_body,
	.on_trailers = fetch_on_trailers,
	.on_closed = fetch_on_closed,
};

static inline void fetch_free(struct fetch *fetch)
{
	stream_free(fetch->stream);
	fetch->stream = NULL;
}

static inline void fetch_fini(struct fetch *fetch)
{
	fetch_free(fetch);
	request_fini(&fetch->request);
}

static inline void assert_code(const struct failure *failure, unsigned link, enum failure_code code)
{
	if (failure->count <= link || failure->links[link].code != code) {
		char text[600];

		fail_msg("link %u is not %s: %s (%s)", link, failure_code_name(code),
			 failure_print(failure, text, sizeof(text)),
			 failure->count > link ? failure_code_name(failure->links[link].code)
					       : "none");
	}
}

static inline void assert_text(const struct failure *failure, const char *part)
{
	char text[1024];

	if (!strstr(failure_print(failure, text, sizeof(text)), part)) {
		fail_msg("\"%s\" is not in \"%s\"", part, text);
	}
}
