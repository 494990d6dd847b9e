/* SPDX-License-Identifier: MIT */
/*
 * Counting frames: what is a flood and what is not, however the bytes are cut.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/flood.h"

#include <string.h>

enum {
	DATA = 0,
	HEADERS = 1,
	RST_STREAM = 3,
	SETTINGS = 4,
	PUSH_PROMISE = 5,
	PING = 6,
	GOAWAY = 7,
	CONTINUATION = 9,
	ACK = 1,
	END_STREAM = 1,
	PADDED = 8
};

#define T0 UINT64_C(5000000)

static struct flood flood;
static struct flood_limits limits;

static int setup(void **state)
{
	(void)state;
	memset(&flood, 0, sizeof(flood));
	limits = (struct flood_limits){.settings_rate = 1,
				       .ping_rate = 2,
				       .reset_rate = 3,
				       .empty_rate = 4,
				       .max_continuations = 5};
	return 0;
}

/* A frame into `out`, its payload all zero but for the first byte. Returns its length. */
static size_t put(uint8_t *out, uint8_t type, uint8_t flags, uint32_t length, uint8_t first)
{
	memset(out, 0, 9 + length);
	out[0] = (uint8_t)(length >> 16);
	out[1] = (uint8_t)(length >> 8);
	out[2] = (uint8_t)length;
	out[3] = type;
	out[4] = flags;
	out[8] = 1;
	if (length) {
		out[9] = first;
	}
	return 9 + length;
}

static enum failure_code frame(uint8_t type, uint8_t flags, uint32_t length, uint8_t first,
			       uint64_t now_ms)
{
	uint8_t data[1024];
	size_t good = 12345;
	size_t size = put(data, type, flags, length, first);
	enum failure_code code = flood_scan(&flood, &limits, data, size, now_ms, &good);

	assert_int_equal(good, code == FAIL_NONE ? 12345 : 0);
	return code;
}

/* How many at once are allowed. */
static unsigned burst(uint8_t type, uint8_t flags, uint32_t length, uint8_t first,
		      enum failure_code code)
{
	unsigned count = 0;
	enum failure_code got = FAIL_NONE;

	setup(NULL); /* nothing follows a flood */
	while ((got = frame(type, flags, length, first, T0)) == FAIL_NONE) {
		count++;
		assert_true(count < 1000);
	}
	assert_int_equal(got, code);
	return count;
}

static void line_23_each_kind_has_its_bound(void **state)
{
	(void)state;
	assert_int_equal(burst(SETTINGS, 0, 6, 0, FAIL_FLOOD_SETTINGS), 10);
	assert_int_equal(burst(PING, 0, 8, 0, FAIL_FLOOD_PING), 20);
	assert_int_equal(burst(PING, ACK, 8, 0, FAIL_FLOOD_PING), 20);
	assert_int_equal(burst(RST_STREAM, 0, 4, 0, FAIL_FLOOD_RESET), 30);
	assert_int_equal(burst(DATA, 0, 0, 0, FAIL_FLOOD_EMPTY), 40);
}

/* Time gives them back, one by one, up to ten seconds' worth. */
static void time_empties_the_bucket(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(frame(PING, 0, 8, 0, T0), FAIL_NONE);
	}
	/* Two a second. */
	assert_int_equal(frame(PING, 0, 8, 0, T0 + 500), FAIL_NONE);
	for (unsigned i = 2; i < 200; i++) {
		assert_int_equal(frame(PING, 0, 8, 0, T0 + 500 * i), FAIL_NONE);
	}
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(frame(PING, 0, 8, 0, T0 + 3600 * 1000), FAIL_NONE);
	}
	assert_int_equal(frame(PING, 0, 8, 0, T0 + 3600 * 1000 + 499), FAIL_FLOOD_PING);
}

static void acknowledgements_of_settings_are_ours(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(frame(SETTINGS, ACK, 0, 0, T0), FAIL_NONE);
	}
}

static void what_empty_data_is(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(frame(DATA, END_STREAM, 0, 0, T0), FAIL_NONE);
		assert_int_equal(frame(DATA, END_STREAM | PADDED, 5, 4, T0), FAIL_NONE);
		assert_int_equal(frame(DATA, 0, 1, 0, T0), FAIL_NONE);
		assert_int_equal(frame(DATA, PADDED, 6, 4, T0), FAIL_NONE); /* one byte of body */
		assert_int_equal(frame(HEADERS, 0, 0, 0, T0), FAIL_NONE);
		assert_int_equal(frame(GOAWAY, 0, 8, 0, T0), FAIL_NONE);
		assert_int_equal(frame(0xee, 0xff, 0, 0, T0), FAIL_NONE);
	}
	assert_int_equal(burst(DATA, PADDED, 5, 4, FAIL_FLOOD_EMPTY), 40);
	assert_int_equal(burst(DATA, PADDED, 1, 0, FAIL_FLOOD_EMPTY), 40);
	/* Flagged as padded, and too short for it: no body either. */
	assert_int_equal(burst(DATA, PADDED, 0, 0, FAIL_FLOOD_EMPTY), 40);
	assert_int_equal(burst(DATA, PADDED, 3, 200, FAIL_FLOOD_EMPTY), 40);
}

static void continuations_count_for_one_section(void **state)
{
	(void)state;
	for (unsigned section = 0; section < 10; section++) {
		assert_int_equal(frame(section % 2 ? HEADERS : PUSH_PROMISE, 0, 10, 0, T0),
				 FAIL_NONE);
		for (unsigned i = 0; i < 5; i++) {
			assert_int_equal(frame(CONTINUATION, 0, i, 0, T0), FAIL_NONE);
		}
	}
	assert_int_equal(frame(CONTINUATION, 4, 1, 0, T0), FAIL_FLOOD_CONTINUATION);
}

static void zero_is_no_bound(void **state)
{
	(void)state;
	limits = (struct flood_limits){0};
	for (unsigned i = 0; i < 5000; i++) {
		assert_int_equal(frame(SETTINGS, 0, 0, 0, T0), FAIL_NONE);
		assert_int_equal(frame(PING, 0, 8, 0, T0), FAIL_NONE);
		assert_int_equal(frame(RST_STREAM, 0, 4, 0, T0), FAIL_NONE);
		assert_int_equal(frame(DATA, 0, 0, 0, T0), FAIL_NONE);
		assert_int_equal(frame(CONTINUATION, 0, 0, 0, T0), FAIL_NONE);
	}
}

/* The same verdict at the same frame, wherever the bytes are cut; and what comes before that frame
 * can be told from it. */
static void bytes_come_in_any_pieces(void **state)
{
	uint8_t data[2048];
	size_t length = 0;
	size_t bad = 0;

	(void)state;
	length += put(data + length, SETTINGS, 0, 12, 3);
	length += put(data + length, DATA, PADDED, 300, 20);
	for (unsigned i = 0; i < 5; i++) {
		length += put(data + length, DATA, PADDED, 4, 3);
	}
	for (unsigned i = 0; i < 30; i++) {
		length += put(data + length, RST_STREAM, 0, 4, 0);
	}
	bad = length;
	length += put(data + length, RST_STREAM, 0, 4, 0);
	length += put(data + length, RST_STREAM, 0, 4, 0);
	for (size_t piece = 1; piece <= length; piece++) {
		enum failure_code code = FAIL_NONE;
		size_t at = 0;

		setup(NULL);
		for (;; at += piece) {
			size_t part = piece < length - at ? piece : length - at;
			size_t good = SIZE_MAX;

			code = flood_scan(&flood, &limits, data + at, part, T0, &good);
			if (code != FAIL_NONE) {
				assert_true(good <= part);
				/* Never past the bad frame's beginning, and all of what is before
				 * it in this piece. */
				assert_int_equal(at + good, at > bad ? at : bad);
				break;
			}
			assert_int_equal(good, SIZE_MAX);
			assert_true(at + part < length);
		}
		assert_int_equal(code, FAIL_FLOOD_RESET);
	}
}

/* Whatever the bytes are: nothing is read out of bounds, nothing runs for ever. */
static void garbage_is_survived(void **state)
{
	uint32_t random = 1;

	(void)state;
	for (unsigned run = 0; run < 200; run++) {
		uint8_t data[700];
		size_t good = 0;

		setup(NULL);
		for (size_t i = 0; i < sizeof(data); i++) {
			random = random * 1664525 + 1013904223;
			data[i] = (i % 9) < 2 ? 0 : (uint8_t)(random >> 24) % 12;
		}
		for (size_t at = 0; at < sizeof(data); at += 70) {
			if (flood_scan(&flood, &limits, data + at, 70, T0, &good) != FAIL_NONE) {
				assert_true(good <= 70);
				break;
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup(name, setup)
		TEST(line_23_each_kind_has_its_bound),
		TEST(time_empties_the_bucket),
		TEST(acknowledgements_of_settings_are_ours),
		TEST(what_empty_data_is),
		TEST(continuations_count_for_one_section),
		TEST(zero_is_no_bound),
		TEST(bytes_come_in_any_pieces),
		TEST(garbage_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
