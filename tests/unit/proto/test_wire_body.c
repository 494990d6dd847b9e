/* SPDX-License-Identifier: MIT */
/*
 * Tests of the hand-made Body frame: byte for byte what protobuf-c packs, and a parser that takes
 * exactly that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/framing.h"
#include "proto/wire.h"

#include "fetchd.pb-c.h"

static const size_t data_lengths[] = {1, 2, 127, 128, 129, 16383, 16384, 16385, 65535, 65536};
static const uint64_t offsets[] = {
	0,
	1,
	127,
	128,
	16384,
	UINT64_C(1) << 32,
	(UINT64_C(1) << 56) - 1,
	UINT64_C(1) << 63,
	UINT64_MAX,
};
static const uint64_t ids[] = {
	0,          1, 127, 128, 300, UINT64_C(1) << 35, (UINT64_C(1) << 63) - 1, UINT64_C(1) << 63,
	UINT64_MAX,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint8_t data[WIRE_BODY_MAX];

static int fill_data(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(i * 13 + (i >> 8));
	}
	return 0;
}

/* Packs with protobuf-c alone; returns the size. */
static size_t reference(uint64_t id, uint64_t offset, size_t data_length, uint8_t *frame)
{
	Fetchd__V1__ServerFrame envelope = FETCHD__V1__SERVER_FRAME__INIT;
	Fetchd__V1__Body body = FETCHD__V1__BODY__INIT;

	body.offset = offset;
	body.data = (ProtobufCBinaryData){.len = data_length, .data = data};
	envelope.id = id;
	envelope.msg_case = FETCHD__V1__SERVER_FRAME__MSG_BODY;
	envelope.body = &body;
	return fetchd__v1__server_frame__pack(&envelope, frame);
}

static void check_one(uint64_t id, uint64_t offset, size_t data_length)
{
	static uint8_t expected[WIRE_BODY_MAX + 64], made[WIRE_BODY_MAX + 64];
	struct wire_server_frame frame = {.id = id, .kind = WIRE_SERVER_BODY};
	size_t expected_length, prefix_length, encoded_length, length_prefix_length;
	uint64_t parsed_id, parsed_offset;
	struct wire_bytes parsed;
	uint8_t *encoded;
	bool recognized;

	length_prefix_length = framing_prefix(reference(id, offset, data_length, expected), made);
	memcpy(expected, made, length_prefix_length);
	expected_length = length_prefix_length +
			  reference(id, offset, data_length, expected + length_prefix_length);

	prefix_length = wire_body_prefix(id, offset, data_length, made);
	assert_true(prefix_length <= WIRE_BODY_PREFIX_MAX);
	memcpy(made + prefix_length, data, data_length);
	assert_int_equal(prefix_length + data_length, expected_length);
	assert_memory_equal(made, expected, expected_length);

	frame.body.offset = offset;
	frame.body.data = (struct wire_bytes){.data = data, .length = data_length};
	assert_int_equal(wire_server_frame_encode(&frame, &encoded, &encoded_length), 0);
	assert_int_equal(encoded_length, expected_length);
	assert_memory_equal(encoded, expected, expected_length);
	free(encoded);

	recognized =
		wire_body_parse(made + length_prefix_length, expected_length - length_prefix_length,
				&parsed_id, &parsed_offset, &parsed);
	/* An id of zero is no job's. */
	assert_int_equal(recognized, id != 0);
	if (recognized) {
		assert_true(parsed_id == id);
		assert_true(parsed_offset == offset);
		assert_int_equal(parsed.length, data_length);
		assert_ptr_equal(parsed.data, made + prefix_length);
	}
}

static void same_as_protobuf(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		for (size_t j = 0; j < COUNT(offsets); j++) {
			for (size_t k = 0; k < COUNT(data_lengths); k++) {
				check_one(ids[i], offsets[j], data_lengths[k]);
			}
		}
	}
}

/* The bytes in memory of their own, so that the sanitizer sees any read beyond them. */
static bool parse(const uint8_t *bytes, size_t length)
{
	uint64_t id = 1234, offset = 5678;
	struct wire_bytes parsed = {.data = NULL, .length = 0};
	uint8_t *copy = malloc(length > 0 ? length : 1);
	bool result;

	assert_non_null(copy);
	if (length > 0) {
		memcpy(copy, bytes, length);
	}
	result = wire_body_parse(copy, length, &id, &offset, &parsed);
	if (!result) {
		assert_true(id == 1234 && offset == 5678 && parsed.data == NULL);
	}
	free(copy);
	return result;
}

static void every_truncation_is_refused(void **state)
{
	uint8_t frame[200];
	size_t length = reference(UINT64_C(1) << 40, UINT64_C(1) << 33, 130, frame);

	(void)state;
	assert_true(parse(frame, length));
	for (size_t i = 0; i < length; i++) {
		assert_false(parse(frame, i));
	}
	frame[length] = 0;
	assert_false(parse(frame, length + 1));
}

static void other_forms_are_refused(void **state)
{
#define FRAME(...)                                      \
	{                                               \
		sizeof((const uint8_t[]){__VA_ARGS__}), \
		{                                       \
			__VA_ARGS__                     \
		}                                       \
	}
	static const struct {
		size_t length;
		uint8_t bytes[24];
	} cases[] = {
		/* no id; an id of zero; a padded id */
		FRAME(0x32, 0x03, 0x7a, 0x01, 'x'),
		FRAME(0x08, 0x00, 0x32, 0x03, 0x7a, 0x01, 'x'),
		FRAME(0x08, 0x81, 0x00, 0x32, 0x03, 0x7a, 0x01, 'x'),
		/* an id of 65 bits, of eleven bytes */
		FRAME(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x32, 0x03,
		      0x7a, 0x01, 'x'),
		FRAME(0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x32,
		      0x03, 0x7a, 0x01, 'x'),
		/* another message, the id last */
		FRAME(0x08, 0x01, 0x2a, 0x03, 0x7a, 0x01, 'x'),
		FRAME(0x32, 0x03, 0x7a, 0x01, 'x', 0x08, 0x01),
		/* a Body shorter and longer than what is there */
		FRAME(0x08, 0x01, 0x32, 0x02, 0x7a, 0x01, 'x'),
		FRAME(0x08, 0x01, 0x32, 0x04, 0x7a, 0x01, 'x'),
		FRAME(0x08, 0x01, 0x32, 0x83, 0x00, 0x7a, 0x01, 'x'),
		/* an offset of zero, a padded one, one after the data, two of them */
		FRAME(0x08, 0x01, 0x32, 0x05, 0x08, 0x00, 0x7a, 0x01, 'x'),
		FRAME(0x08, 0x01, 0x32, 0x06, 0x08, 0x81, 0x00, 0x7a, 0x01, 'x'),
		FRAME(0x08, 0x01, 0x32, 0x05, 0x7a, 0x01, 'x', 0x08, 0x01),
		FRAME(0x08, 0x01, 0x32, 0x07, 0x08, 0x01, 0x08, 0x01, 0x7a, 0x01, 'x'),
		/* no data, empty data, data shorter and longer than what is there */
		FRAME(0x08, 0x01, 0x32, 0x00),
		FRAME(0x08, 0x01, 0x32, 0x02, 0x08, 0x05),
		FRAME(0x08, 0x01, 0x32, 0x02, 0x7a, 0x00),
		FRAME(0x08, 0x01, 0x32, 0x03, 0x7a, 0x00, 'x'),
		FRAME(0x08, 0x01, 0x32, 0x03, 0x7a, 0x02, 'x'),
	};
#undef FRAME

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (parse(cases[i].bytes, cases[i].length)) {
			fail_msg("case %zu was taken", i);
		}
	}
}

static void data_over_the_limit_is_refused(void **state)
{
	static uint8_t large[WIRE_BODY_MAX + 1];
	Fetchd__V1__ServerFrame envelope = FETCHD__V1__SERVER_FRAME__INIT;
	Fetchd__V1__Body body = FETCHD__V1__BODY__INIT;
	struct wire_server_frame *decoded = NULL;
	const char *why = NULL;
	uint8_t *frame;
	size_t length;

	(void)state;
	body.data = (ProtobufCBinaryData){.len = sizeof(large), .data = large};
	envelope.id = 1;
	envelope.msg_case = FETCHD__V1__SERVER_FRAME__MSG_BODY;
	envelope.body = &body;
	length = fetchd__v1__server_frame__get_packed_size(&envelope);
	frame = malloc(length);
	assert_non_null(frame);
	assert_int_equal(fetchd__v1__server_frame__pack(&envelope, frame), length);
	assert_false(parse(frame, length));
	assert_true(wire_server_frame_decode(frame, length, &decoded, &why) < 0);
	assert_string_equal(why, "Body.data: not 1 to 65536 bytes");
	free(frame);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_protobuf),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(data_over_the_limit_is_refused),
	};

	return cmocka_run_group_tests(tests, fill_data, NULL);
}
