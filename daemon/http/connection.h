/* SPDX-License-Identifier: MIT */
/*
 * A connection: one nghttp2 session on one channel to one origin, and the streams on it.
 *
 *     CONNECTING --> OPEN --> DRAINING --> CLOSING
 *          \___________\_______________________^
 *
 * CONNECTING: being dialed. OPEN: takes streams, from the moment the channel is up: requests do not
 * wait for the peer's SETTINGS. DRAINING: takes no more streams (GOAWAY either way, or its stream
 * ids run out), closes with its last one. CLOSING: being taken down. Its owner knows a state more;
 * see pool.h.
 *
 * Output is collected during a round of the loop and written once at its end.
 */
#pragma once

#include "base/failure.h"
#include "http/env.h"
#include "http/request.h"
#include "http/stream.h"
#include "net/dial.h"

#include <stdbool.h>
#include <stdint.h>

enum connection_state {
#define X(name, number) CONNECTION_##name = (number),
	CONNECTION_STATE_TABLE(X)
#undef X
};

struct connection_callbacks {
	/* Takes streams now. */
	void (*on_open)(void *ctx, struct connection *connection);
	/* connection_slots() may have grown, or the last stream is gone. */
	void (*on_slots)(void *ctx, struct connection *connection);
	/* Takes no more streams. */
	void (*on_draining)(void *ctx, struct connection *connection);
	/* The first response on it has begun. May be NULL. */
	void (*on_served)(void *ctx, struct connection *connection);
	/* Never opened, or did not speak HTTP/2: why. Streams that it had have had their on_closed.
	 * The connection is gone after the call. */
	void (*on_failed)(void *ctx, struct connection *connection, const struct failure *failure);
	/* Was open and is over; its streams have had their on_closed. The connection is gone after
	 * the call. */
	void (*on_closed)(void *ctx, struct connection *connection);
};

/* Begins to dial. 0 and *ret_connection, or -ENOMEM. No callback from inside the call. */
int connection_new(struct http_env *env, const struct dial_target *target,
		   const struct connection_callbacks *callbacks, void *ctx,
		   struct connection **ret_connection);
/* Ends it now: streams get their on_closed, the socket is closed. No callback to the owner follows.
 * Legal from any callback. NULL is fine. */
void connection_free(struct connection *connection);
/* GOAWAY(NO_ERROR), no more streams, closed when the last one ends. on_draining comes from inside
 * the call. */
void connection_drain(struct connection *connection);
/* The same, for a reason that connection_why() tells: one line, static. */
void connection_retire(struct connection *connection, const char *why);
/* A stream on it made no progress since `since_ms`. If nothing at all has come from the peer since
 * then, the path may be dead: drains it, so that the next request does not meet the same silence.
 */
void connection_suspect(struct connection *connection, uint64_t since_ms);

/* Sends `request`, which must live as long as the stream. 0 and *ret_stream; -EBUSY when there is
 * no slot; -ENOMEM. No callback from inside the call. */
int connection_submit(struct connection *connection, const struct request *request,
		      const struct stream_callbacks *callbacks, void *ctx,
		      struct stream **ret_stream);

/* Before it is used again: has it been idle so long that the peer has to be asked whether it is
 * there? True while the answer is awaited: it has no slots then, and on_slots or on_closed comes.
 */
bool connection_check(struct connection *connection);
/* Is an answer awaited? */
bool connection_is_checked(const struct connection *connection);

/* Since when the answer is awaited, and when the peer is given up. For a checked one. */
void connection_check_times(const struct connection *connection, uint64_t *ret_since_ms,
			    uint64_t *ret_until_ms);

enum connection_state connection_state(const struct connection *connection);
/* Why it drains or ends, one line: what went wrong, or what it was retired for; "" if it does not.
 * Valid until the loop goes on. */
const char *connection_why(const struct connection *connection);
/* How many more streams it takes now; 0 unless it is open. */
uint32_t connection_slots(const struct connection *connection);
/* Streams on it, and the most it may have at once: the lower of ours and the peer's. */
uint32_t connection_streams(const struct connection *connection);
uint32_t connection_limit(const struct connection *connection);
/* Is that the peer's SETTINGS_MAX_CONCURRENT_STREAMS, being lower than ours? */
bool connection_limit_is_peers(const struct connection *connection);
/* Streams that it has carried so far. */
uint64_t connection_carried(const struct connection *connection);
/* How many of them the peer's GOAWAY has let through, when it is in order and leaves others out; 0:
 * it has sent no such GOAWAY. */
uint64_t connection_let_through(const struct connection *connection);
/* The daemon's number for it, from 1. */
uint64_t connection_number(const struct connection *connection);
/* NULL while it is being dialed and after it is closed. */
const struct channel_info *connection_info(const struct connection *connection);
/* When its dial finished each step. */
const struct dial_times *connection_dial_times(const struct connection *connection);
/* Appends what the dial is doing to `failure`; nothing if it is not being dialed. */
void connection_describe_dial(const struct connection *connection, struct failure *failure);
/* What its dial is at, since when, and when it is given up (0: never). For one that is CONNECTING.
 */
enum dial_stage connection_dial_stage(const struct connection *connection, uint64_t *ret_since_ms,
				      uint64_t *ret_until_ms);

/* A connection for who looks at the pool. Times are those of loop_now_ms(). */
struct connection_view {
	const char *origin; /* "https://www.example.org:443", valid until the loop goes on */
	uint64_t number;
	enum connection_state state;
	uint64_t since_ms;             /* in that state */
	uint64_t began_ms;             /* when its dial began */
	char remote[ADDRESS_TEXT_MAX]; /* "": not connected */
	uint32_t streams;
	uint32_t limit; /* of streams at once */
	uint64_t carried;
	uint64_t send_window; /* what we may still send, and the peer */
	uint64_t receive_window;
	uint64_t last_byte_ms; /* when a byte came last, or when it opened */
	uint64_t ping_ms;      /* when the last PING was sent; 0: never */
	bool ping_answered;
	uint64_t ping_rtt_us; /* if it is answered */
	uint64_t until_ms;    /* when the state ends by itself; 0: it has no time */
	char why[FAILURE_TEXT_MAX];
};
/* Fills what the connection knows: all but origin, state, since_ms, and until_ms and why of one
 * that has been dialed. */
void connection_look(const struct connection *connection, struct connection_view *ret_view);
