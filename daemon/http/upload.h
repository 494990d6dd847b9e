/* SPDX-License-Identifier: MIT */
/*
 * A request body that comes in pieces: how much of it may come, what has come, and what of that is
 * still here. A stream reads from it; it knows nothing of streams.
 *
 *     kept        all that has come is here, also what was sent: it can be sent again from its
 *                 beginning. This lasts as long as the body fits the buffer, or until nothing is
 *                 sent again.
 *     let go      what was sent is forgotten, and its room granted anew
 *     dropped     nobody reads any more: nothing is here, and what still comes is thrown away
 *
 * Nothing may come before it is opened. From then on it counts in http_env::upload_bytes with all
 * that it may hold, and with what it holds in http_env::buffered_bytes.
 */
#pragma once

#include "base/bytes.h"
#include "http/env.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fields are for reading. */
struct upload {
	struct http_env *env;
	struct bytes held;
	uint64_t begin;    /* where in the body `held` begins; 0 while it is kept */
	uint64_t received; /* that has come of it */
	uint64_t granted;  /* that may come, all in all */
	uint64_t length;   /* as it was announced, with has_length */
	size_t reserved;   /* in http_env::upload_bytes, and on the user's account */
	uint32_t user;
	struct account_charge charge;
	bool has_length;
	bool ended; /* by its last piece */
	bool let_go;
	bool dropped;
	bool given_up; /* dropped before it was whole */
};

/* What is wrong with a piece. */
enum upload_outcome {
	UPLOAD_TAKEN,
	UPLOAD_NOT_GRANTED, /* more bytes than were granted */
	UPLOAD_AFTER_END,   /* there was an end already */
	UPLOAD_TOO_LONG,    /* for the announced length */
	UPLOAD_TOO_SHORT    /* it ended before the announced length */
};

/* An upload of the user's that holds at most `size` bytes at a time. NULL when out of memory. */
struct upload *upload_new(struct http_env *env, uint32_t user, size_t size, bool has_length,
			  uint64_t length);
/* NULL is fine. */
void upload_free(struct upload *upload);

/* From now on bytes may come. Idempotent. */
void upload_open(struct upload *upload);
/* How many bytes more may come than were granted so far, which grants them: in halves of the
 * buffer. 0: none now. */
uint64_t upload_grant(struct upload *upload);

/* Copies a piece to the end. One of the outcomes, of which only UPLOAD_TAKEN has changed anything;
 * -ENOMEM. */
int upload_append(struct upload *upload, const uint8_t *data, size_t length, bool end);

/* Is all of it here, or was? */
bool upload_is_whole(const struct upload *upload);
/* Is there anything from `offset` on: bytes, or the end? */
bool upload_has(const struct upload *upload, uint64_t offset);
/* Copies up to `size` bytes of the body from `offset` on, which must not be forgotten (asserted);
 * returns how many. *ret_end: these were the last. */
size_t upload_read(const struct upload *upload, uint64_t offset, uint8_t *buffer, size_t size,
		   bool *ret_end);
/* All before `offset` was sent: forgets it, if it is let go, or if the body is larger than the
 * buffer and nothing more could come otherwise. */
void upload_sent(struct upload *upload, uint64_t offset);

/* Can it be sent from its beginning? */
bool upload_is_kept(const struct upload *upload);
/* It will not be sent again: what was sent need not be kept. Follow with upload_sent(). */
void upload_let_go(struct upload *upload);
/* It will not be read any more: frees everything. Idempotent. */
void upload_drop(struct upload *upload);
