/* SPDX-License-Identifier: MIT */
/*
 * What connection*.c and stream.c share: the two structs, and the calls between the files. Nobody
 * else includes it.
 */
#pragma once

#include "http/connection.h"
#include "http/window.h"

#include <nghttp2/nghttp2.h>

#define CONNECTION_OUT_SIZE (64u * 1024)
/* What the peer may have at once until its SETTINGS say otherwise (RFC 9113, section 6.5.2
 * recommends at least this). */
#define ASSUMED_STREAM_LIMIT 100u

/* A request that asks whether its body is wanted (RFC 9110, section 10.1.1). */
enum expectation {
	EXPECT_NOTHING, /* or not any more: the body flows */
	EXPECT_WAITING, /* for a 100 */
	EXPECT_REFUSED  /* the answer came instead: the body stays here */
};

struct stream {
	struct connection *connection; /* NULL once the exchange is over */
	struct http_env *env;
	const struct request *request;
	const struct stream_callbacks *callbacks; /* NULL once nothing is to be told */
	void *ctx;
	struct stream *prev, *next;           /* in connection::streams, while connection is set */
	struct stream *turn_prev, *turn_next; /* in connection::had_turn, while awaits_turn */
	uint64_t turn;                        /* the last in which it sent of its body */
	uint32_t turn_used;                   /* how many bytes */
	uint32_t id;
	struct window window;
	uint64_t charge; /* what it may hold at most: and counts with in the memory budget */
	uint32_t user;
	struct account_charge stream_charge, window_charge; /* on its user's account */
	struct bytes buffer;
	uint64_t request_body_sent;
	uint64_t upload_seen;      /* of the request's upload: what had come when last told of */
	struct header_list fields; /* of the header section that is being received */
	struct stream_counts counts;
	uint64_t content_length;
	uint64_t headers_at; /* position of HEADERS in all the connection's output */
	uint64_t data_begun; /* payload plus the DATA frame that has begun */
	uint64_t sent_ms;    /* when a frame of the request last went into the output */
	uint64_t sent_end;   /* where that frame ends in the connection's output */
	struct loop_timer continue_timer; /* from the HEADERS on, while EXPECT_WAITING */
	enum expectation expectation;
	unsigned status;
	unsigned informational;
	uint32_t peer_code;      /* of the peer's RST_STREAM */
	enum failure_code fault; /* why we reset it, if we did */
	bool serialized;         /* HEADERS went into the output */
	bool request_done;       /* END_STREAM sent */
	bool head_done;
	bool has_content_length;
	bool all_seen;  /* the peer's HEADERS that end the stream are here: nothing more can come */
	bool end_begun; /* a frame with END_STREAM has begun */
	bool end_stream; /* and was good */
	bool reset_by_peer;
	bool awaits_turn;
};

struct connection {
	struct http_env *env;
	const struct connection_callbacks *callbacks; /* NULL once the owner is not to be told */
	void *ctx;
	enum connection_state state;
	uint64_t number;
	struct http_settings settings; /* as they were when it was made */
	struct window window;
	uint64_t settings_us;     /* our SETTINGS: sent when, */
	uint64_t settings_rtt_us; /* and acknowledged how fast; 0: not yet */
	uint64_t rtt_us;          /* as the kernel sees it; 0: unknown */
	uint64_t rtt_ms;          /* when it was asked, */
	bool rtt_known;           /* if it was */
	struct dial *dial;
	struct dial_times times;
	struct channel *channel;
	nghttp2_session *session;
	struct stream *streams;
	struct stream *had_turn; /* streams with more of a body, that wait for the next turn */
	uint64_t turn;
	uint32_t stream_count; /* in nghttp2's count, so also those nobody listens to any more */
	uint64_t carried;
	uint32_t peer_limit;
	struct flood flood;
	struct loop_task flush;
	struct loop_timer write_timer; /* while write_blocked */
	struct loop_timer liveness;
	uint64_t began_ms; /* its dial */
	uint64_t dial_timeout_ms;
	uint64_t last_read_ms;
	bool checking;  /* a PING is out, and nothing has come since */
	uint64_t pings; /* so far: also what the last one holds, in the byte order of the machine */
	uint64_t ping_ms; /* the last one: sent when, */
	uint64_t ping_us;
	uint64_t ping_rtt_us; /* and answered how fast, if it was */
	bool ping_answered;
	const char *retired_why; /* static; NULL: not retired by us */
	bool served;             /* a response has begun on it */
	uint64_t blocked_ms;     /* since when, while write_blocked */
	uint8_t *out;            /* CONNECTION_OUT_SIZE, only while something waits in it */
	size_t out_begin, out_end;
	uint64_t out_total;     /* all output so far, `out` included */
	uint64_t written_total; /* what the channel has taken of it */
	uint8_t first[64];      /* the peer's first bytes, until they are known to be HTTP/2 */
	size_t first_length;
	struct failure *failure;  /* why it ends; NULL: for no fault */
	enum close_reason reason; /* for the streams it ends */
	uint32_t goaway_last_stream;
	bool goaway;
	bool goaway_error; /* with an error code */
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
/* The same; `result` is what nghttp2 said when it was told to queue something for that. If there
 * was no memory for it, the connection ends with the flush: its streams would wait for ever for a
 * window or a reset that is never sent. */
void connection_require(struct connection *connection, int result);

/* ---- connection_liveness.c ---- */

/* There are streams now: silence counts. */
void connection_liveness_watch(struct connection *connection);
/* Something was read. */
void connection_liveness_heard(struct connection *connection);
/* A PING's answer was read, with what the PING held. */
void connection_liveness_answered(struct connection *connection, const uint8_t opaque[8]);

/* ---- connection_session.c ---- */

/* Makes the session and queues its SETTINGS. 0, -ENOMEM. */
int connection_session_new(struct connection *connection);

/* ---- connection_request.c ---- */

/* Queues the request; sets stream->id. 0, -ENOMEM, or -EBUSY when the connection has no stream ids
 * left. */
int connection_request_submit(struct connection *connection, struct stream *stream);
/* A HEADERS or DATA frame of the request went into the output. */
void connection_request_sent(struct stream *stream, const nghttp2_frame_hd *hd);
/* nghttp2 has nothing to send: is that because all bodies had their turn? Then the next one begins.
 */
bool connection_request_next_turn(struct connection *connection);
/* The stream takes no more part in the exchange: nothing more is sent. */
void connection_request_gone(struct stream *stream);
/* More of the request's upload came. */
void connection_request_more(struct stream *stream);
/* A 100 (Continue) came: the body flows. */
void connection_request_continue(struct stream *stream);
/* The final response has begun: a body that waited for a 100 is not sent any more. */
void connection_request_answered(struct stream *stream);

/* ---- connection_window.c ---- */

/* With the SETTINGS: the connection's window is as they say. */
void connection_window_begin(struct connection *connection);
/* They are acknowledged. */
void connection_window_acked(struct connection *connection);
/* Gives back what arrived, and more if the window is to grow. nghttp2's error, 0: none. */
int connection_window_arrived(struct connection *connection, size_t length);
/* A new stream's, and its charge. */
void stream_window_begin(struct stream *stream);
/* Bytes were put into the stream's buffer. */
void stream_window_arrived(struct stream *stream);
/* A frame with padding was received, which counts but is nobody's to take. */
void stream_window_padded(struct stream *stream);
/* Bytes were taken out of it. */
void stream_window_taken(struct stream *stream, size_t length);
/* Nothing more can come: it is charged with what it holds. */
void stream_window_end(struct stream *stream);

/* ---- stream.c ---- */

struct stream *stream_new(struct connection *connection, const struct request *request,
			  const struct stream_callbacks *callbacks, void *ctx);
/* Keeps bytes of the response's body. 0; -ENOBUFS: more than the window let through; -ENOMEM. */
int stream_receive(struct stream *stream, const void *data, size_t length);
/* Unlinks it from the connection, tells on_closed. */
void stream_finish(struct stream *stream, const struct stream_end *end);
/* Because the connection ends: CONNECTION_LOST or INACTIVE or what the connection says. */
void stream_finish_lost(struct stream *stream);
/* Because nghttp2 closed it with this error code. */
void stream_finish_closed(struct stream *stream, uint32_t error_code);
