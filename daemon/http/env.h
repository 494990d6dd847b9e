/* SPDX-License-Identifier: MIT */
/*
 * What every part of the HTTP layer needs and none of them owns: the loop, name resolution, TLS,
 * counters, settings. Made by the application, which also replaces `settings` and `tls` on reload;
 * they count for connections made afterwards.
 */
#pragma once

#include "base/account.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "http/flood.h"
#include "net/dns.h"
#include "net/tls.h"

#include <stddef.h>
#include <stdint.h>

#define HTTP_READ_SIZE (64u * 1024)

struct http_settings {
	/* Bytes of body a stream may hold before its reader takes them: at first, and at most; no
	 * more than at first if the second is less. */
	uint32_t stream_window;
	uint32_t max_stream_window;
	uint32_t connection_window; /* of a whole connection, likewise */
	uint32_t max_connection_window;
	uint32_t max_frame_size;
	uint32_t max_header_list; /* bytes, of one response's header section */
	uint32_t max_headers;     /* fields of one response's header section */
	uint32_t max_informational;
	uint32_t max_streams_per_connection;
	uint32_t max_connections_per_origin;
	uint32_t max_connections;
	uint32_t max_origins;
	uint64_t body_budget; /* bytes: the windows of all streams in flight, and uploads */
	uint64_t body_budget_per_user; /* of these; 0: no bound */
	uint32_t max_streams_per_user; /* in flight; 0: no bound */
	uint64_t aging_ms; /* a request that has waited so long counts as one of the next priority;
			      0: never */
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
	uint64_t connection_count; /* connections so far: the newest one's number */
	uint32_t streams;          /* made and not yet freed: each may hold a window */
	struct accounts *accounts; /* NULL: nobody counts what a user holds */
	/* The pool's: a part of the budget that the user held is free, of a stream or an upload
	 * that is gone or a window that shrank. */
	void (*on_stream_freed)(void *ctx, uint32_t user);
	void *on_stream_freed_ctx;
	uint64_t window_bytes;               /* that these streams may hold, together */
	uint64_t upload_bytes;               /* that uploads may hold, together */
	uint64_t buffered_bytes;             /* in the buffers of all streams and uploads */
	uint8_t read_buffer[HTTP_READ_SIZE]; /* shared: its content never outlives one read */
};
