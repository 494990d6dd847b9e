/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what a client may send, as the daemon reads it. What is taken is encoded, taken
 * again, and encoded again: both encodings are the same.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"
#include "proto/wire.h"

#define CHECK(condition)            \
	do {                        \
		if (!(condition)) { \
			abort();    \
		}                   \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frame behind its length prefix. */
static const uint8_t *unwrap(const uint8_t *data, size_t length, size_t *ret_length)
{
	struct frame_reader reader;
	const uint8_t *frame;
	size_t used;

	frame_reader_init(&reader, WIRE_CLIENT_FRAME_MAX);
	CHECK(frame_reader_next(&reader, data, length, &used, &frame, ret_length) == 1);
	CHECK(used == length);
	frame_reader_fini(&reader);
	return frame;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_client_frame *frame, *again;
	uint8_t *first, *second;
	size_t first_length, second_length, inner_length;
	const uint8_t *inner;
	const char *why = NULL;
	int result;

	result = wire_client_frame_decode(data, size, &frame, &why);
	if (result < 0) {
		CHECK(result == -EBADMSG && why != NULL);
		return 0;
	}
	result = wire_client_frame_encode(frame, &first, &first_length);
	if (frame->kind == WIRE_CLIENT_UNKNOWN) {
		CHECK(result == -EINVAL);
		wire_client_frame_free(frame);
		return 0;
	}
	/* The shortest form is not longer than the form that came. */
	CHECK(result == 0);
	inner = unwrap(first, first_length, &inner_length);
	CHECK(inner_length <= size);

	CHECK(wire_client_frame_decode(inner, inner_length, &again, &why) == 0);
	CHECK(again->kind == frame->kind && again->id == frame->id);
	CHECK(wire_client_frame_encode(again, &second, &second_length) == 0);
	CHECK(second_length == first_length && memcmp(first, second, first_length) == 0);

	free(first);
	free(second);
	wire_client_frame_free(frame);
	wire_client_frame_free(again);
	return 0;
}
