/* SPDX-License-Identifier: MIT */
/*
 * A stream: one HTTP/2 exchange on one connection (RFC 9113, section 5). It sends a request,
 * collects the response's head, keeps body bytes until its reader takes them, and ends exactly
 * once.
 *
 * Flow control: the connection's window is given back as bytes arrive, the stream's only as they
 * are taken. So a reader that stops costs at most one stream window, and its neighbours do not
 * notice.
 *
 *     on_sent  on_informational*  on_head  on_body*  on_trailers?  on_closed
 *
 * With on_upload anywhere behind on_sent, if the request has an upload.
 *
 * A stream outlives its HTTP/2 end, until stream_free(), so that what it holds can still be taken.
 * Its callbacks come from the connection's reading or writing; from inside them everything in this
 * header is legal, stream_free() included.
 */
#pragma once

#include "base/bytes.h"
#include "base/failure.h"
#include "base/wait.h"
#include "http/headers.h"
#include "http/request.h"

#include <stdbool.h>
#include <stdint.h>

struct connection;
struct stream;

struct stream_end {
	enum close_reason reason;
	/* The peer did not process the request, for certain: it may be sent again whatever its
	 * method (RFC 9113, sections 6.8 and 8.7). */
	bool unprocessed;
	/* Why; empty for ENDED. Valid during the callback. */
	const struct failure *failure;
};

struct stream_head {
	unsigned status;
	const struct header_list *headers;
	bool has_content_length;
	uint64_t content_length;
};

struct stream_callbacks {
	/* The request's HEADERS frame is on its way out. */
	void (*on_sent)(void *ctx);
	/* A part of the request's upload, or its end, is on its way out: stream_upload_offset() has
	 * grown. May be NULL if there are no uploads. */
	void (*on_upload)(void *ctx);
	/* An interim response. */
	void (*on_informational)(void *ctx, unsigned status, const struct header_list *headers);
	/* The final response's head, once. */
	void (*on_head)(void *ctx, const struct stream_head *head);
	/* stream_peek() has more than before. */
	void (*on_body)(void *ctx);
	/* Trailer fields, once, after the last on_body. */
	void (*on_trailers)(void *ctx, const struct header_list *trailers);
	/* The exchange is over; nothing follows. Not called after stream_free(). */
	void (*on_closed)(void *ctx, const struct stream_end *end);
};

/* What a stream counted. */
struct stream_counts {
	uint64_t payload;       /* DATA bytes without padding */
	uint64_t wire_received; /* whole frames of this stream */
	uint64_t wire_sent;
};

/* Resets the stream if it still runs (CANCEL; nothing is ever sent for one whose HEADERS have not
 * left), throws away what it holds and frees it. No callback follows. NULL is fine. */
void stream_free(struct stream *stream);

/* Body bytes that wait, in order: points up to `max` iovecs at them; valid until the next call on
 * the stream or the connection's next read. Returns how many were set. */
unsigned stream_peek(const struct stream *stream, struct iovec *iov, unsigned max);
size_t stream_buffered(const struct stream *stream);
/* The first `length` of them were taken: frees them and opens the stream's window by as much. */
void stream_consume(struct stream *stream, size_t length);
/* Stops taking part in the exchange but keeps what has arrived: resets the stream if it still runs;
 * on_closed will not come. */
void stream_reset(struct stream *stream);

/* The request's upload has more than before, bytes or its end: sends it. Not from inside this
 * stream's callbacks. */
void stream_upload_more(struct stream *stream);
/* How much of the request's body went into the connection's output. */
uint64_t stream_upload_offset(const struct stream *stream);
/* Will any more of the request's body be sent? Not if all of it was, or the answer came instead of
 * a 100, or the exchange is over. */
bool stream_wants_upload(const struct stream *stream);

uint32_t stream_id(const struct stream *stream);
const struct stream_counts *stream_counts(const struct stream *stream);
/* NULL when the connection is gone. */
struct connection *stream_connection(const struct stream *stream);

/* What keeps the request from being written: PEER_SOCKET (the peer takes no bytes), CONTINUE (its
 * 100 is awaited), CLIENT_UPLOAD (more of its upload has to come first), PEER_WINDOW (the peer's
 * flow-control window is shut); since when. False once the request is wholly written, or the rest
 * of it given up. */
bool stream_wait(const struct stream *stream, struct wait *ret_wait);
/* When a byte of the request last went into the connection's output (loop_now_ms()), or more of its
 * upload came that was waited for; until then, when the stream was made. */
uint64_t stream_sent_progress_ms(const struct stream *stream);
