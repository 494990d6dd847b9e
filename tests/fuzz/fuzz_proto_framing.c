/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the frame cutter against a plain decoder of the whole input. However the stream is
 * cut into pieces, the same frames come out and the same error behind the same frame, and a frame
 * put behind its prefix again is what came.
 *
 * Input: one byte, how many piece sizes follow; one byte for each piece size (0: an empty piece,
 * up to 249: as many bytes, above: 256 and more); one byte for the limit; then the stream, which is
 * handed over in pieces of those sizes, again and again.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"

#define CHECK(condition)            \
	do {                        \
		if (!(condition)) { \
			abort();    \
		}                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where the plain decoder is. */
struct plain {
	const uint8_t *at;
	size_t left;
	size_t max_frame;
};

/* What comes next, with all of the stream at hand: like frame_reader_next(). */
static int plain_next(struct plain *plain, const uint8_t **ret_frame, size_t *ret_length)
{
	size_t value = 0;

	for (size_t i = 0; i < 4; i++) {
		if (i == plain->left) {
			return 0;
		}
		value += (size_t)(plain->at[i] % 128) << (7 * i);
		if (plain->at[i] >= 128) {
			continue;
		}
		if (i > 0 && plain->at[i] == 0) {
			return -EBADMSG;
		}
		if (value > plain->max_frame) {
			return -EMSGSIZE;
		}
		if (value > plain->left - i - 1) {
			return 0;
		}
		*ret_frame = plain->at + i + 1;
		*ret_length = value;
		plain->at += i + 1 + value;
		plain->left -= i + 1 + value;
		return 1;
	}
	return -EBADMSG;
}

/* The prefix that stood before a frame is the only one that it can have. */
static void check_prefix(const uint8_t *frame, size_t length, const uint8_t *begin)
{
	uint8_t prefix[FRAMING_PREFIX_MAX];
	size_t prefix_length = framing_prefix(length, prefix);

	CHECK((size_t)(frame - begin) == prefix_length);
	CHECK(memcmp(begin, prefix, prefix_length) == 0);
}

/* Hands over one piece. False after an error, which the plain decoder has as well. */
static bool hand_over(struct frame_reader *reader, struct plain *plain, const uint8_t *piece,
		      size_t length)
{
	for (;;) {
		const uint8_t *frame = NULL, *expected = NULL, *begin = plain->at;
		size_t frame_length = 0, expected_length = 0, used = SIZE_MAX;
		int result = frame_reader_next(reader, piece, length, &used, &frame, &frame_length);

		CHECK(used <= length);
		piece += used;
		length -= used;
		if (result == 0) {
			CHECK(length == 0);
			return true;
		}
		CHECK(plain_next(plain, &expected, &expected_length) == result);
		if (result < 0) {
			return false;
		}
		CHECK(frame_length == expected_length);
		CHECK(frame_length == 0 || memcmp(frame, expected, frame_length) == 0);
		check_prefix(expected, expected_length, begin);
	}
}

/* Round by round, at least one byte in all sizes together. */
static size_t piece_length(const uint8_t *sizes, size_t count, size_t round)
{
	size_t size = sizes[round % count];

	if (size >= 250) {
		return (size_t)256 << (size - 250);
	}
	/* The last of a row of empty pieces is none. */
	return size == 0 && round % count == count - 1 ? 1 : size;
}

static size_t limit(uint8_t byte)
{
	/* Each length of a prefix has limits of its own: up to 1 MiB. */
	return byte < 192 ? (size_t)byte * 4 : ((size_t)byte - 191) << 14;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *sizes, *expected;
	size_t size_count, expected_length, at = 0;
	struct frame_reader reader;
	struct plain plain;
	bool good = true;

	if (size < 2 || data[0] > size - 2) {
		return 0;
	}
	size_count = data[0];
	sizes = data + 1;
	plain.max_frame = limit(data[1 + size_count]);
	data += 2 + size_count;
	size -= 2 + size_count;
	plain.at = data;
	plain.left = size;

	frame_reader_init(&reader, plain.max_frame);
	for (size_t round = 0; at < size && good; round++) {
		size_t length = size_count > 0 ? piece_length(sizes, size_count, round) : size;
		uint8_t *piece;

		if (length > size - at) {
			length = size - at;
		}
		/* In memory of its own, so that a read beyond it or after it is seen. */
		piece = malloc(length > 0 ? length : 1);
		CHECK(piece != NULL);
		memcpy(piece, data + at, length);
		good = hand_over(&reader, &plain, piece, length);
		free(piece);
		at += length;
	}
	if (good) {
		CHECK(plain_next(&plain, &expected, &expected_length) == 0);
		CHECK(frame_reader_partial(&reader) == (plain.left > 0));
	}
	frame_reader_fini(&reader);
	return 0;
}
