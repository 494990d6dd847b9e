/* SPDX-License-Identifier: MIT */
/*
 * Tests of the frame cutter: however the bytes arrive, the same frames come out, and what is no
 * length prefix is refused before anything is kept for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "proto/framing.h"

#define MAX_FRAME 65536u
#define STREAM_BYTES 200000u

static uint8_t stream[STREAM_BYTES];
static size_t stream_length;

/* Lengths on both sides of where the prefix grows. */
static const size_t lengths[] = {0, 1, 127, 128, 0, 300, 16383, 16384, 65535, 65536, 0, 5};
#define LENGTH_COUNT (sizeof(lengths) / sizeof(lengths[0]))

static uint8_t content(size_t frame, size_t position)
{
	return (uint8_t)(frame * 31 + position * 7 + (position >> 8));
}

static int fill_stream(void **state)
{
	(void)state;
	stream_length = 0;
	for (size_t i = 0; i < LENGTH_COUNT; i++) {
		stream_length += framing_prefix(lengths[i], stream + stream_length);
		for (size_t j = 0; j < lengths[i]; j++) {
			stream[stream_length++] = content(i, j);
		}
	}
	return 0;
}

static void check_frame(size_t index, const uint8_t *frame, size_t length)
{
	assert_true(index < LENGTH_COUNT);
	assert_int_equal(length, lengths[index]);
	for (size_t j = 0; j < length; j++) {
		if (frame[j] != content(index, j)) {
			fail_msg("frame %zu differs at %zu", index, j);
		}
	}
}

/* Hands a piece to the reader, checks the frames that come, returns how many there are by now. */
static size_t feed(struct frame_reader *reader, const uint8_t *data, size_t length, size_t index)
{
	for (;;) {
		const uint8_t *frame;
		size_t frame_length, used;
		int result = frame_reader_next(reader, data, length, &used, &frame, &frame_length);

		assert_true(result == 0 || result == 1);
		assert_true(used <= length);
		data += used;
		length -= used;
		if (result == 0) {
			assert_int_equal(length, 0);
			return index;
		}
		check_frame(index++, frame, frame_length);
	}
}

static void many_frames_in_one_buffer(void **state)
{
	struct frame_reader reader;

	(void)state;
	frame_reader_init(&reader, MAX_FRAME);
	assert_int_equal(feed(&reader, stream, stream_length, 0), LENGTH_COUNT);
	assert_false(frame_reader_partial(&reader));
	frame_reader_fini(&reader);
}

static void pieces_of_every_small_size(void **state)
{
	(void)state;
	for (size_t piece = 1; piece <= 17; piece++) {
		struct frame_reader reader;
		size_t index = 0;

		frame_reader_init(&reader, MAX_FRAME);
		for (size_t at = 0; at < stream_length; at += piece) {
			size_t left = stream_length - at;

			index = feed(&reader, stream + at, left < piece ? left : piece, index);
		}
		assert_int_equal(index, LENGTH_COUNT);
		assert_false(frame_reader_partial(&reader));
		frame_reader_fini(&reader);
	}
}

static void split_at_every_position(void **state)
{
	/* The frames up to 300 bytes; the long ones only repeat it. */
	size_t length = 0;

	(void)state;
	for (size_t i = 0; i < 6; i++) {
		uint8_t prefix[FRAMING_PREFIX_MAX];

		length += framing_prefix(lengths[i], prefix) + lengths[i];
	}
	for (size_t first = 0; first <= length; first++) {
		for (size_t second = first; second <= length; second += 13) {
			struct frame_reader reader;
			size_t index;

			frame_reader_init(&reader, MAX_FRAME);
			index = feed(&reader, stream, first, 0);
			index = feed(&reader, stream + first, second - first, index);
			index = feed(&reader, stream + second, length - second, index);
			assert_int_equal(index, 6);
			assert_false(frame_reader_partial(&reader));
			frame_reader_fini(&reader);
		}
	}
}

static void whole_frame_is_not_copied(void **state)
{
	static const uint8_t data[] = {3, 'a', 'b', 'c', 2, 'd', 'e'};
	struct frame_reader reader;
	const uint8_t *frame;
	size_t length, used;

	(void)state;
	frame_reader_init(&reader, 10);
	assert_int_equal(frame_reader_next(&reader, data, sizeof(data), &used, &frame, &length), 1);
	assert_int_equal(used, 4);
	assert_ptr_equal(frame, data + 1);
	assert_int_equal(length, 3);
	assert_null(reader.frame);

	/* Not whole: a copy, and the input may go. */
	assert_int_equal(frame_reader_next(&reader, data + 4, 2, &used, &frame, &length), 0);
	assert_int_equal(used, 2);
	assert_true(frame_reader_partial(&reader));
	assert_int_equal(frame_reader_next(&reader, data + 6, 1, &used, &frame, &length), 1);
	assert_int_equal(length, 2);
	assert_memory_equal(frame, "de", 2);
	assert_false(frame_reader_partial(&reader));

	/* Asking for more, even of nothing, gives the memory back. */
	assert_int_equal(frame_reader_next(&reader, data, 0, &used, &frame, &length), 0);
	assert_null(reader.frame);
	assert_int_equal(frame_reader_next(&reader, NULL, 0, &used, &frame, &length), 0);
	frame_reader_fini(&reader);
}

static void partial_is_seen(void **state)
{
	static const uint8_t data[] = {0x80, 0x01, 'x'};
	struct frame_reader reader;
	const uint8_t *frame;
	size_t length, used;

	(void)state;
	frame_reader_init(&reader, 1000);
	assert_false(frame_reader_partial(&reader));
	assert_int_equal(frame_reader_next(&reader, data, 1, &used, &frame, &length), 0);
	assert_true(frame_reader_partial(&reader));
	assert_int_equal(frame_reader_next(&reader, data + 1, 1, &used, &frame, &length), 0);
	assert_true(frame_reader_partial(&reader));
	assert_int_equal(frame_reader_next(&reader, data + 2, 1, &used, &frame, &length), 0);
	assert_true(frame_reader_partial(&reader));
	/* An unfinished frame is freed. */
	frame_reader_fini(&reader);
	assert_false(frame_reader_partial(&reader));
}

/* Hands the bytes over in one piece and one by one: the same error, and no memory taken. */
static void check_refused(const uint8_t *data, size_t length, size_t max_frame, int error)
{
	struct frame_reader reader;
	const uint8_t *frame = NULL;
	size_t frame_length, used;
	int result = 0;

	frame_reader_init(&reader, max_frame);
	assert_int_equal(frame_reader_next(&reader, data, length, &used, &frame, &frame_length),
			 error);
	assert_true(used <= length);
	assert_null(frame);
	assert_null(reader.frame);
	frame_reader_fini(&reader);

	frame_reader_init(&reader, max_frame);
	for (size_t i = 0; i < length && result == 0; i++) {
		result = frame_reader_next(&reader, data + i, 1, &used, &frame, &frame_length);
		assert_int_equal(used, 1);
		assert_null(reader.frame);
	}
	assert_int_equal(result, error);
	frame_reader_fini(&reader);
}

static void bad_prefixes_are_refused(void **state)
{
	static const uint8_t padded_zero[] = {0x80, 0x00};
	static const uint8_t padded_one[] = {0x81, 0x80, 0x00};
	static const uint8_t padded_longest[] = {0x81, 0x80, 0x80, 0x00};
	static const uint8_t five_bytes[] = {0x80, 0x80, 0x80, 0x80, 0x01};
	static const uint8_t endless[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

	(void)state;
	check_refused(padded_zero, sizeof(padded_zero), MAX_FRAME, -EBADMSG);
	check_refused(padded_one, sizeof(padded_one), MAX_FRAME, -EBADMSG);
	check_refused(padded_longest, sizeof(padded_longest), MAX_FRAME, -EBADMSG);
	check_refused(five_bytes, sizeof(five_bytes), MAX_FRAME, -EBADMSG);
	check_refused(endless, sizeof(endless), MAX_FRAME, -EBADMSG);
}

static void long_frames_are_refused_at_once(void **state)
{
	static const uint8_t longest[] = {0xff, 0xff, 0xff, 0x7f};
	uint8_t prefix[FRAMING_PREFIX_MAX];
	struct frame_reader reader;
	const uint8_t *frame;
	size_t length, used;

	(void)state;
	check_refused(prefix, framing_prefix(MAX_FRAME + 1, prefix), MAX_FRAME, -EMSGSIZE);
	check_refused(longest, sizeof(longest), MAX_FRAME, -EMSGSIZE);
	check_refused(prefix, framing_prefix(1, prefix), 0, -EMSGSIZE);

	/* Exactly the limit is good. */
	frame_reader_init(&reader, MAX_FRAME);
	length = framing_prefix(MAX_FRAME, prefix);
	assert_int_equal(frame_reader_next(&reader, prefix, length, &used, &frame, &length), 0);
	assert_true(frame_reader_partial(&reader));
	frame_reader_fini(&reader);
}

static void prefix_is_shortest_form(void **state)
{
	static const struct {
		size_t length;
		size_t size;
		uint8_t bytes[FRAMING_PREFIX_MAX];
	} cases[] = {
		{0, 1, {0x00}},
		{1, 1, {0x01}},
		{127, 1, {0x7f}},
		{128, 2, {0x80, 0x01}},
		{16383, 2, {0xff, 0x7f}},
		{16384, 3, {0x80, 0x80, 0x01}},
		{131072, 3, {0x80, 0x80, 0x08}},
		{2097151, 3, {0xff, 0xff, 0x7f}},
		{2097152, 4, {0x80, 0x80, 0x80, 0x01}},
		{268435455, 4, {0xff, 0xff, 0xff, 0x7f}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t prefix[FRAMING_PREFIX_MAX];

		assert_int_equal(framing_prefix(cases[i].length, prefix), cases[i].size);
		assert_memory_equal(prefix, cases[i].bytes, cases[i].size);
	}
}

static void reader_is_good_for_many_rounds(void **state)
{
	struct frame_reader reader;

	(void)state;
	frame_reader_init(&reader, MAX_FRAME);
	for (int round = 0; round < 3; round++) {
		size_t half = stream_length / 2;
		size_t index = feed(&reader, stream, half, 0);

		assert_int_equal(feed(&reader, stream + half, stream_length - half, index),
				 LENGTH_COUNT);
	}
	frame_reader_fini(&reader);
	/* And for a new life after its end. */
	assert_int_equal(feed(&reader, stream, stream_length, 0), LENGTH_COUNT);
	frame_reader_fini(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_frames_in_one_buffer),
		cmocka_unit_test(pieces_of_every_small_size),
		cmocka_unit_test(split_at_every_position),
		cmocka_unit_test(whole_frame_is_not_copied),
		cmocka_unit_test(partial_is_seen),
		cmocka_unit_test(bad_prefixes_are_refused),
		cmocka_unit_test(long_frames_are_refused_at_once),
		cmocka_unit_test(prefix_is_shortest_form),
		cmocka_unit_test(reader_is_good_for_many_rounds),
	};

	return cmocka_run_group_tests(tests, fill_stream, NULL);
}
