/* SPDX-License-Identifier: MIT */
/*
 * Makes frames that our own encoder would not make: protobuf-c's packing without any check, and
 * bytes put together by hand.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/wire.h"

#include <protobuf-c/protobuf-c.h>

#define HOSTILE_MAX 262144u

/* A frame under construction, or part of one. */
struct hostile {
	size_t length;
	uint8_t bytes[HOSTILE_MAX];
};

static inline void hostile_pack(struct hostile *hostile, const ProtobufCMessage *message)
{
	assert_true(protobuf_c_message_get_packed_size(message) <= HOSTILE_MAX);
	hostile->length = protobuf_c_message_pack(message, hostile->bytes);
}

static inline void hostile_add(struct hostile *hostile, const void *bytes, size_t length)
{
	assert_true(length <= HOSTILE_MAX - hostile->length);
	if (length > 0) {
		memcpy(hostile->bytes + hostile->length, bytes, length);
	}
	hostile->length += length;
}

static inline void hostile_varint(struct hostile *hostile, uint64_t value)
{
	do {
		uint8_t byte = (uint8_t)((value & 0x7f) | (value > 0x7f ? 0x80 : 0));

		hostile_add(hostile, &byte, 1);
		value >>= 7;
	} while (value > 0);
}

/* A length-delimited field. */
static inline void hostile_field(struct hostile *hostile, unsigned number, const void *bytes,
				 size_t length)
{
	hostile_varint(hostile, (uint64_t)number << 3 | 2);
	hostile_varint(hostile, length);
	hostile_add(hostile, bytes, length);
}

/* Puts what there is inside one field. */
static inline void hostile_wrap(struct hostile *hostile, unsigned number)
{
	uint8_t *inner = malloc(hostile->length > 0 ? hostile->length : 1);
	size_t length = hostile->length;

	assert_non_null(inner);
	memcpy(inner, hostile->bytes, length);
	hostile->length = 0;
	hostile_field(hostile, number, inner, length);
	free(inner);
}

/* Decodes from memory of its own, so that the sanitizer sees any read beyond it. */
static inline int hostile_client(const struct hostile *hostile,
				 struct wire_client_frame **ret_frame, const char **ret_why)
{
	uint8_t *copy = malloc(hostile->length > 0 ? hostile->length : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, hostile->bytes, hostile->length);
	result = wire_client_frame_decode(copy, hostile->length, ret_frame, ret_why);
	free(copy);
	return result;
}

static inline int hostile_server(const struct hostile *hostile,
				 struct wire_server_frame **ret_frame, const char **ret_why)
{
	uint8_t *copy = malloc(hostile->length > 0 ? hostile->length : 1);
	int result;

	assert_non_null(copy);
	memcpy(copy, hostile->bytes, hostile->length);
	result = wire_server_frame_decode(copy, hostile->length, ret_frame, ret_why);
	free(copy);
	return result;
}

/* Both out-parameters stay as they are unless promised otherwise. */
static inline void refuse_client(const struct hostile *hostile, const char *expected)
{
	struct wire_client_frame *frame = NULL;
	const char *why = NULL;

	assert_int_equal(hostile_client(hostile, &frame, &why), -EBADMSG);
	assert_null(frame);
	assert_non_null(why);
	assert_string_equal(why, expected);
}

static inline void refuse_server(const struct hostile *hostile, const char *expected)
{
	struct wire_server_frame *frame = NULL;
	const char *why = NULL;

	assert_int_equal(hostile_server(hostile, &frame, &why), -EBADMSG);
	assert_null(frame);
	assert_non_null(why);
	assert_string_equal(why, expected);
}

static inline struct wire_client_frame *take_client(const struct hostile *hostile)
{
	struct wire_client_frame *frame = NULL;
	const char *why = NULL;
	int result = hostile_client(hostile, &frame, &why);

	if (result != 0) {
		fail_msg("refused: %s", why != NULL ? why : strerror(-result));
	}
	assert_non_null(frame);
	return frame;
}

static inline struct wire_server_frame *take_server(const struct hostile *hostile)
{
	struct wire_server_frame *frame = NULL;
	const char *why = NULL;
	int result = hostile_server(hostile, &frame, &why);

	if (result != 0) {
		fail_msg("refused: %s", why != NULL ? why : strerror(-result));
	}
	assert_non_null(frame);
	return frame;
}

/* `length` times `character`, as a string; free() it. */
static inline char *long_text(char character, size_t length)
{
	char *text = malloc(length + 1);

	assert_non_null(text);
	memset(text, character, length);
	text[length] = '\0';
	return text;
}
