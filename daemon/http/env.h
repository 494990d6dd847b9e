/* SPDX-License-Identifier: MIT */
/*
 * What every part of the HTTP layer needs and none of them owns: the loop, name resolution, TLS,
 * counters, settings. Made by the application, which also replaces `settings` and `tls` on reload;
 * they count for connections made afterwards.
 */
#pragma once

#include "base/loop.h"
#include "base/metrics.h"
#include "http/flood.h"
#include "net/dns.h"
#include "net/tls.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_READ_SIZE (64u * 1024)

struct http_settings {
	uint32_t stream_window; /* bytes of body a stream may hold before its reader takes them */
	uint32_t connection_window; /* of a whole connection */
	uint32_t max_frame_size;
	uint32_t max_header_list; /* bytes, of one response's header section */
	uint32_t max_headers;     /* fields of one response's header section */
	uint32_t max_informational;
	uint32_t max_streams_per_connection;
	uint32_t max_connections_per_origin;
	uint32_t max_connections;
	uint32_t max_origins;
	uint64_t body_budget; /* bytes: streams in flight times stream_window, and uploads */
	uint64_t connect_timeout_ms;
	uint64_t
		backoff_ms; /* pause after a second connection that served nothing; doubles up to */
	uint64_t max_backoff_ms;
	uint64_t idle_timeout_ms;
	uint64_t ping_after_ms;   /* silence after which the peer is asked whether it is there */
	uint64_t ping_timeout_ms; /* longest wait for its answer */
	uint64_t continue_timeout_ms; /* longest wait for a 100 (Continue); 0: none at all */
	struct flood_limits flood;    /* what a peer may do; 0: no bound */
	uint32_t max_queued_frames;   /* that wait to be sent to it; 0: no bound */
	uint64_t write_timeout_ms;    /* longest time a peer may take no bytes */
};

struct http_env {
	struct loop *loop;
	struct dns *dns;
	struct tls_context *tls;
	struct metrics *metrics;
	struct http_settings settings;
	uint64_t connection_count;          /* connections so far: the newest one's number */
	uint32_t streams;                   /* made and not yet freed: each may hold a window */
	void (*on_stream_freed)(void *ctx); /* the pool's: a share of the budget is free */
	void *on_stream_freed_ctx;
	uint64_t window_bytes;               /* of the windows of these streams together */
	uint64_t upload_bytes;               /* that uploads may hold, together */
	uint64_t buffered_bytes;             /* in the buffers of all streams and uploads */
	uint8_t read_buffer[HTTP_READ_SIZE]; /* shared: its content never outlives one read */
};
