/* SPDX-License-Identifier: MIT */
/*
 * A bounded queue of bytes: appended at one end, taken at the other, never more than its ceiling.
 * Memory follows content: chunks of at most 16 KiB, freed as they empty; an empty queue holds none.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct bytes_chunk;

/* Fields are private; bytes_length() is the way to ask. */
struct bytes {
	struct bytes_chunk *head;
	struct bytes_chunk *tail;
	size_t length;
	size_t ceiling;
};

/* An empty queue that will hold at most `ceiling` bytes. Allocates nothing. */
void bytes_init(struct bytes *bytes, size_t ceiling);
/* Frees the content; the queue is empty afterwards and usable again. Idempotent. */
void bytes_clear(struct bytes *bytes);

size_t bytes_length(const struct bytes *bytes);
/* How much may still be appended. */
size_t bytes_room(const struct bytes *bytes);

/* Copies `length` bytes to the end. 0; -ENOBUFS if they do not fit under the ceiling, -ENOMEM: then
 * nothing was added. */
int bytes_append(struct bytes *bytes, const void *data, size_t length);

/* Points up to `max` iovecs at the first bytes, in order; returns how many were set. Valid until
 * the queue changes. */
unsigned bytes_peek(const struct bytes *bytes, struct iovec *iov, unsigned max);
/* Copies up to `length` bytes out, from `offset` on (at most bytes_length(): asserted), which stay;
 * returns how many. */
size_t bytes_copy(const struct bytes *bytes, size_t offset, void *data, size_t length);
/* Drops the first `length` bytes (at most bytes_length(): asserted). */
void bytes_skip(struct bytes *bytes, size_t length);
/* Copies up to `length` of the first bytes out and drops them; returns how many. */
size_t bytes_take(struct bytes *bytes, void *data, size_t length);
