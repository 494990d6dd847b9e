/* SPDX-License-Identifier: MIT */
/*
 * Cuts a byte stream into frames: varint length, then that many bytes. Holds at most one unfinished
 * frame; a length above the limit is refused before any of the frame is kept. An idle reader holds
 * no memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAMING_PREFIX_MAX 4u

/* Fields are private. */
struct frame_reader {
	size_t max_frame;
	uint8_t prefix[FRAMING_PREFIX_MAX];
	uint8_t prefix_length;
	bool in_frame;
	uint8_t *frame; /* the unfinished frame, `length` bytes allocated */
	size_t length;
	size_t filled;
};

void frame_reader_init(struct frame_reader *reader, size_t max_frame);
void frame_reader_fini(struct frame_reader *reader);

/* Is a frame begun and not finished? */
bool frame_reader_partial(const struct frame_reader *reader);

/* Takes from the `length` bytes at `data` what makes one frame whole; *ret_used says how many were
 * taken, always. Returns 1 when a frame is whole: *ret_frame and *ret_frame_length (0 is possible)
 * point to it, inside `data` where it was there in one piece, else inside the reader; valid until
 * the next call, which frees a frame of the reader's own: call until 0 comes, also with nothing
 * left. 0 when everything was taken and no frame is whole. -EBADMSG for a padded or overlong
 * varint, -EMSGSIZE for a length above the limit, -ENOMEM: the stream is lost, only fini is left.
 */
int frame_reader_next(struct frame_reader *reader, const uint8_t *data, size_t length,
		      size_t *ret_used, const uint8_t **ret_frame, size_t *ret_frame_length);

/* Writes a length prefix; returns its size. `length` is below 2^28 (asserted). */
size_t framing_prefix(size_t length, uint8_t prefix[FRAMING_PREFIX_MAX]);
