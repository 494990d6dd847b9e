/* SPDX-License-Identifier: MIT */
/*
 * What connection.c (life), connection_io.c, connection_session.c (nghttp2's side) and stream.c
 * share: the two structs, and the calls between the four files. Nobody else includes it.
 */
#pragma once

#include "http/connection.h"

#include <nghttp2/nghttp2.h>

#define CONNECTION_OUT_SIZE (64u * 1024)
/* What the peer may have at once until its SETTINGS say otherwise (RFC 9113, section 6.5.2
 * recommends at least this). */
#define ASSUMED_STREAM_LIMIT 100u

struct stream {
	struct connection *connection; /* NULL once the exchange is over */
	struct http_env *env;
	const struct request *request;
	const struct stream_callbacks *callbacks; /* NULL once nothing is to be told */
	void *ctx;
	struct stream *prev, *next; /* in connection::streams, while connection is set */
	uint32_t id;
	uint32_t window; /* what it may hold at most: its share of the memory budget */
	struct bytes buffer;
	size_t request_body_sent;
	struct header_list fields; /* of the header section that is being received */
	struct stream_counts counts;
	uint64_t content_length;
	uint64_t headers_at; /* position of HEADERS in all the connection's output */
	uint64_t data_begun; /* payload plus the DATA frame that has begun */
	unsigned status;
	unsigned informational;
	uint32_t peer_code;      /* of the peer's RST_STREAM */
	enum failure_code fault; /* why we reset it, if we did */
	bool serialized;         /* HEADERS went into the output */
	bool request_done;       /* END_STREAM sent */
	bool head_done;
	bool has_content_length;
	bool end_begun;  /* a frame with END_STREAM has begun */
	bool end_stream; /* and was good */
	bool reset_by_peer;
};

struct connection {
	struct http_env *env;
	const struct connection_callbacks *callbacks; /* NULL once the owner is not to be told */
	void *ctx;
	enum connection_state state;
	uint64_t number;
	struct http_settings settings; /* as they were when it was made */
	struct dial *dial;
	struct dial_times times;
	struct channel *channel;
	nghttp2_session *session;
	struct stream *streams;
	uint32_t stream_count; /* in nghttp2's count, so also those nobody listens to any more */
	uint64_t carried;
	uint32_t peer_limit;
	struct loop_task flush;
	struct loop_timer write_timer; /* while write_blocked */
	struct loop_timer liveness;
	uint64_t last_read_ms;
	bool checking; /* a PING is out, and nothing has come since */
	uint8_t *out;  /* CONNECTION_OUT_SIZE, only while something waits in it */
	size_t out_begin, out_end;
	uint64_t out_total;     /* all output so far, `out` included */
	uint64_t written_total; /* what the channel has taken of it */
	uint8_t first[64];      /* the peer's first bytes, until they are known to be HTTP/2 */
	size_t first_length;
	struct failure *failure;  /* why it ends; NULL: for no fault */
	enum close_reason reason; /* for the streams it ends */
	uint32_t goaway_last_stream;
	bool goaway;
	bool write_blocked;
	bool in_session; /* inside a call into nghttp2 */
	bool doomed;     /* ends as soon as that call returns */
	bool dead;
};

/* ---- connection.c ---- */

/* Says why the connection is about to end, and how its streams end by it. The first cause counts.
 */
__attribute__((format(printf, 5, 6))) void
connection_blame(struct connection *connection, enum close_reason reason, enum failure_code code,
		 const uint32_t *h2_code, const char *format, ...);
/* The same, and ends it once nghttp2 is not on the stack: now, or when the call into it returns. */
__attribute__((format(printf, 5, 6))) void
connection_doom(struct connection *connection, enum close_reason reason, enum failure_code code,
		const uint32_t *h2_code, const char *format, ...);
/* Takes everything down, not from inside nghttp2. The owner hears of it if it is still there. */
void connection_destroy(struct connection *connection);
/* OPEN to DRAINING. */
void connection_set_draining(struct connection *connection);
/* Tells the owner about on_slots. */
void connection_notify_slots(struct connection *connection);

/* ---- connection_io.c ---- */

/* Hears the channel from now on. */
void connection_listen(struct connection *connection);
/* The flush task: writes everything that nghttp2 has to say, in as few writes as possible. */
void connection_flush(void *ctx);
/* Output is wanted at the end of the round. */
void connection_queue_flush(struct connection *connection);

/* ---- connection_liveness.c ---- */

/* There are streams now: silence counts. */
void connection_liveness_watch(struct connection *connection);
/* Something was read. */
void connection_liveness_heard(struct connection *connection);

/* ---- connection_session.c ---- */

/* Makes the session and queues its SETTINGS. 0, -ENOMEM. */
int connection_session_new(struct connection *connection);
/* Queues the request; sets stream->id. 0, -ENOMEM, or -EBUSY when the connection has no stream ids
 * left. */
int connection_session_submit(struct connection *connection, struct stream *stream);

/* ---- stream.c ---- */

struct stream *stream_new(struct connection *connection, const struct request *request,
			  const struct stream_callbacks *callbacks, void *ctx);
/* Unlinks it from the connection, tells on_closed. */
void stream_finish(struct stream *stream, const struct stream_end *end);
/* Because the connection ends: CONNECTION_LOST or INACTIVE or what the connection says. */
void stream_finish_lost(struct stream *stream);
/* Because nghttp2 closed it with this error code. */
void stream_finish_closed(struct stream *stream, uint32_t error_code);
