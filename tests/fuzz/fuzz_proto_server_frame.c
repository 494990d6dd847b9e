/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: what a daemon may send, as the client library reads it. What is taken is encoded,
 * taken again, and encoded again: both encodings are the same. Whatever the short way for Body
 * frames recognizes, full decoding reads alike.
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

/* Sub-messages that our encoder writes always and another one may leave out: at most two, empty. */
#define GROWTH_MAX 4u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The frame behind its length prefix. */
static const uint8_t *unwrap(const uint8_t *data, size_t length, size_t *ret_length)
{
	struct frame_reader reader;
	const uint8_t *frame;
	size_t used;

	frame_reader_init(&reader, WIRE_SERVER_FRAME_MAX);
	CHECK(frame_reader_next(&reader, data, length, &used, &frame, ret_length) == 1);
	CHECK(used == length);
	frame_reader_fini(&reader);
	return frame;
}

static void check_short_way(const uint8_t *data, size_t size, const struct wire_server_frame *frame)
{
	struct wire_bytes bytes;
	uint64_t id, offset;

	if (!wire_body_parse(data, size, &id, &offset, &bytes)) {
		return;
	}
	CHECK(frame != NULL && frame->kind == WIRE_SERVER_BODY);
	CHECK(frame->id == id && frame->body.offset == offset);
	CHECK(frame->body.data.length == bytes.length);
	CHECK(memcmp(frame->body.data.data, bytes.data, bytes.length) == 0);
}

/* `encoded` is what the encoder made of a Body. */
static void check_body(const struct wire_server_frame *frame, const uint8_t *encoded, size_t length)
{
	uint8_t prefix[WIRE_BODY_PREFIX_MAX];
	size_t prefix_length =
		wire_body_prefix(frame->id, frame->body.offset, frame->body.data.length, prefix);

	CHECK(length == prefix_length + frame->body.data.length);
	CHECK(memcmp(encoded, prefix, prefix_length) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_server_frame *frame, *again;
	uint8_t *first, *second;
	size_t first_length, second_length, inner_length;
	const uint8_t *inner;
	const char *why = NULL;
	int result;

	result = wire_server_frame_decode(data, size, &frame, &why);
	if (result < 0) {
		CHECK(result == -EBADMSG && why != NULL);
		check_short_way(data, size, NULL);
		return 0;
	}
	check_short_way(data, size, frame);
	result = wire_server_frame_encode(frame, &first, &first_length);
	if (result < 0) {
		CHECK((result == -EINVAL && frame->kind == WIRE_SERVER_UNKNOWN) ||
		      (result == -EMSGSIZE && size > WIRE_SERVER_FRAME_MAX - GROWTH_MAX));
		wire_server_frame_free(frame);
		return 0;
	}
	inner = unwrap(first, first_length, &inner_length);
	if (frame->kind == WIRE_SERVER_BODY) {
		check_body(frame, first, first_length);
		if (frame->id != 0) {
			struct wire_bytes bytes;
			uint64_t id, offset;

			CHECK(wire_body_parse(inner, inner_length, &id, &offset, &bytes));
		}
	}

	CHECK(wire_server_frame_decode(inner, inner_length, &again, &why) == 0);
	CHECK(again->kind == frame->kind && again->id == frame->id);
	CHECK(wire_server_frame_encode(again, &second, &second_length) == 0);
	CHECK(second_length == first_length && memcmp(first, second, first_length) == 0);

	free(first);
	free(second);
	wire_server_frame_free(frame);
	wire_server_frame_free(again);
	return 0;
}
