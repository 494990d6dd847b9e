/* SPDX-License-Identifier: MIT */
/*
 * An HTTP/2 server for tests, in the same process and on the same loop as what is tested: real TCP
 * over loopback, no TLS, no thread, no time of its own. It does nothing but what a test tells it
 * to, and remembers what the client sent. Also a way to wait for things without sleeping.
 *
 * Not an example of a server: every mistake is a failed assertion, and it can be told to break the
 * protocol.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/loop.h"

#include <nghttp2/nghttp2.h>

/* ---- waiting ---- */

/* Runs the loop until `condition` holds; the test fails when it does not for a very long time. */
#define UNTIL(loop, condition)                            \
	do {                                              \
		struct until until_ = {0};                \
		until_begin(&until_, (loop), #condition); \
		while (!(condition)) {                    \
			loop_run_once((loop), true);      \
		}                                         \
		until_end(&until_);                       \
	} while (0)

struct until {
	struct loop_timer timer;
	const char *what;
};
void until_begin(struct until *until, struct loop *loop, const char *what);
void until_end(struct until *until);

/* Runs rounds without waiting, so that what was queued is done. Says nothing about what is still on
 * its way through the kernel: h2_sync() does. */
void rounds(struct loop *loop, unsigned count);

/* Above 0 while the test's own side of a conversation is running: its allocations are not made to
 * fail. See allocations.h. */
extern unsigned test_side;

/* Open descriptors of this process. */
unsigned open_fds(void);

/* ---- the server ---- */

#define H2_FIELDS_MAX 160u
#define H2_CONNECTIONS_MAX 64u
#define H2_SETTINGS_SEEN 16u

struct h2_origin;
struct h2_connection;

struct h2_field {
	char *name;
	char *value; /* NUL-terminated for convenience */
	size_t value_length;
	bool never_indexed;
};

struct h2_stream {
	struct h2_connection *connection;
	struct h2_stream *next;
	int32_t id;
	struct h2_field fields[H2_FIELDS_MAX];
	unsigned field_count;
	uint8_t *body;
	size_t body_length;
	bool headers_done;
	bool ended; /* the request is whole */
	bool reset; /* by the client */
	uint32_t reset_code;
	bool closed;
	uint64_t credit; /* WINDOW_UPDATEs for it */
	/* The response body: byte i is h2_byte(i). */
	uint64_t to_send;
	uint64_t sent;
	bool end_after;
	bool trailers_after;
};

struct h2_connection {
	struct h2_origin *origin;
	nghttp2_session *session; /* NULL: raw */
	int fd;                   /* -1: closed */
	struct loop_io io;
	uint8_t *out;
	size_t out_length;
	uint8_t *in; /* everything that came */
	size_t in_length;
	struct h2_stream *streams; /* in the order of their requests */
	struct h2_stream *last;
	unsigned stream_count;
	nghttp2_settings_entry settings[H2_SETTINGS_SEEN]; /* the client's first ones */
	unsigned settings_count;
	bool settings_seen;
	bool settings_acked;
	bool goaway;
	uint32_t goaway_code;
	uint64_t credit; /* WINDOW_UPDATEs for the connection */
	unsigned pings;
	unsigned pongs;
	bool eof;   /* the client closed */
	bool deaf;  /* does not read */
	bool held;  /* neither reads nor says anything before h2_settings() */
	size_t pad; /* padding of DATA frames, in bytes */
};

struct h2_origin {
	struct loop *loop;
	int listener;
	uint16_t port;
	struct loop_io io;
	struct h2_connection *connections[H2_CONNECTIONS_MAX];
	unsigned count; /* accepted so far */
	int fillers[2]; /* of a hanging port; -1: none */
	/* How new connections are. */
	bool raw;           /* no HTTP/2: h2_raw() writes, `in` collects */
	bool hold_settings; /* h2_settings() sends them */
	bool deaf;
	uint32_t max_streams; /* 0: not announced */
	int64_t window;       /* INITIAL_WINDOW_SIZE for request bodies; -1: not announced */
	bool stingy;          /* gives no window back but by h2_open_window() */
	/* Answers every request by itself: 200 and this many bytes. */
	bool automatic;
	uint64_t automatic_bytes;
	bool automatic_trailers;
};

struct h2_origin *h2_origin_new(struct loop *loop);
/* Listening on a port that refuses: closes the listener, keeps the number. */
void h2_origin_close(struct h2_origin *origin);
void h2_origin_open(struct h2_origin *origin);
void h2_origin_free(struct h2_origin *origin);
/* "http://127.0.0.1:PORT" and path; one of a few static buffers. */
const char *h2_url(const struct h2_origin *origin, const char *path);
/* "127.0.0.1:PORT" */
const char *h2_authority(const struct h2_origin *origin);

/* Makes the port one that neither accepts nor refuses, so that dials hang: a listener whose queue
 * is full. h2_origin_close() ends that. */
void h2_origin_hang(struct h2_origin *origin);

/* Connection `index`, waiting for it; stream `index` on it (in order of requests), waiting for its
 * headers. */
struct h2_connection *h2_connection(struct h2_origin *origin, unsigned index);
struct h2_stream *h2_stream(struct h2_connection *connection, unsigned index);
/* Stream `index` of connection 0. */
struct h2_stream *h2_first(struct h2_origin *origin, unsigned index);
/* NULL if it was not sent. */
const struct h2_field *h2_field(const struct h2_stream *stream, const char *name);

void h2_settings(struct h2_connection *connection, const nghttp2_settings_entry *entries,
		 size_t count);
/* HEADERS. Pairs of name and value follow, then NULL. */
void h2_head(struct h2_stream *stream, bool end, unsigned status, ...);
/* An interim response without fields. */
void h2_interim(struct h2_stream *stream, unsigned status);
/* `length` more body bytes, sent as the client's windows allow. */
void h2_body(struct h2_stream *stream, uint64_t length, bool end);
/* Trailers after the body so far: "x-trailer: done". */
void h2_trailers(struct h2_stream *stream);
/* WINDOW_UPDATE for the connection, or if there is one, for the stream. */
void h2_open_window(struct h2_connection *connection, struct h2_stream *stream, uint32_t bytes);
void h2_reset(struct h2_stream *stream, uint32_t code);
void h2_goaway(struct h2_connection *connection, int32_t last, uint32_t code, const char *debug);
/* Bytes as they are, after what the session has to say. */
void h2_raw(struct h2_connection *connection, const void *data, size_t length);
void h2_raw_frame(struct h2_connection *connection, uint8_t type, uint8_t flags, int32_t stream,
		  const void *payload, size_t length);
void h2_close(struct h2_connection *connection);
/* Reads again. */
void h2_listen_again(struct h2_connection *connection);
/* Until the client has answered a PING, so has read all before and has said all it has to say. */
void h2_sync(struct h2_connection *connection);
uint8_t h2_byte(uint64_t offset);
