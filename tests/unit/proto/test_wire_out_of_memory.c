/* SPDX-License-Identifier: MIT */
/*
 * Every allocation that coding and framing do fails once: -ENOMEM, nothing is handed out, nothing
 * is left behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/framing.h"
#include "unit/proto/samples.h"
#include "unit/support/allocations.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t untouched[1];

/* 0 when nothing has failed, else -ENOMEM. */
static void assert_result(int result)
{
	assert_int_equal(result, allocations_failed() ? -ENOMEM : 0);
}

struct encoded {
	uint8_t *data;
	size_t length;
};

static void assert_encoded(int result, const struct encoded *encoded)
{
	assert_result(result);
	if (result < 0) {
		assert_ptr_equal(encoded->data, untouched);
		assert_int_equal(encoded->length, 12345);
	} else {
		free(encoded->data);
	}
}

static void encode_client(void *ctx)
{
	const struct client_sample *sample = ctx;
	struct encoded encoded = {untouched, 12345};
	int result = wire_client_frame_encode(&sample->frame, &encoded.data, &encoded.length);

	assert_encoded(result, &encoded);
}

static void encode_server(void *ctx)
{
	const struct server_sample *sample = ctx;
	struct encoded encoded = {untouched, 12345};
	int result = wire_server_frame_encode(&sample->frame, &encoded.data, &encoded.length);

	assert_encoded(result, &encoded);
}

static void decode_client(void *ctx)
{
	const struct encoded *encoded = ctx;
	struct wire_client_frame *frame = (void *)untouched;
	const char *why = NULL;
	int result = wire_client_frame_decode(encoded->data, encoded->length, &frame, &why);

	assert_result(result);
	if (result < 0) {
		assert_ptr_equal(frame, untouched);
	} else {
		wire_client_frame_free(frame);
	}
}

static void decode_server(void *ctx)
{
	const struct encoded *encoded = ctx;
	struct wire_server_frame *frame = (void *)untouched;
	const char *why = NULL;
	int result = wire_server_frame_decode(encoded->data, encoded->length, &frame, &why);

	assert_result(result);
	if (result < 0) {
		assert_ptr_equal(frame, untouched);
	} else {
		wire_server_frame_free(frame);
	}
}

/* Without its length prefix, in memory of its own. */
static struct encoded frame_of(struct encoded whole)
{
	size_t prefix = 1;
	struct encoded frame;

	while (whole.data[prefix - 1] & 0x80) {
		prefix++;
	}
	frame.length = whole.length - prefix;
	frame.data = malloc(frame.length > 0 ? frame.length : 1);
	assert_non_null(frame.data);
	memcpy(frame.data, whole.data + prefix, frame.length);
	free(whole.data);
	return frame;
}

static void frames_of_clients(void **state)
{
	unsigned long failures = 0;

	(void)state;
	for (size_t i = 0; i < CLIENT_SAMPLE_COUNT; i++) {
		struct encoded whole, frame;

		failures += allocations_walk(encode_client, (void *)(uintptr_t)&client_samples[i]);
		assert_int_equal(wire_client_frame_encode(&client_samples[i].frame, &whole.data,
							  &whole.length),
				 0);
		frame = frame_of(whole);
		failures += allocations_walk(decode_client, &frame);
		free(frame.data);
	}
	/* At least the frame itself, each way. */
	assert_true(failures >= 2 * CLIENT_SAMPLE_COUNT);
}

static void frames_of_daemons(void **state)
{
	unsigned long failures = 0;

	(void)state;
	for (size_t i = 0; i < SERVER_SAMPLE_COUNT; i++) {
		struct encoded whole, frame;

		failures += allocations_walk(encode_server, (void *)(uintptr_t)&server_samples[i]);
		assert_int_equal(wire_server_frame_encode(&server_samples[i].frame, &whole.data,
							  &whole.length),
				 0);
		frame = frame_of(whole);
		failures += allocations_walk(decode_server, &frame);
		free(frame.data);
	}
	assert_true(failures >= 2 * SERVER_SAMPLE_COUNT);
}

/* A long list needs more than one block of the encoder's memory. */
static void long_list(void **state)
{
	static struct wire_job_info jobs[256];
	struct server_sample sample = {
		.frame = {.id = 1,
			  .kind = WIRE_SERVER_LIST,
			  .list = {.jobs = jobs, .job_count = sizeof(jobs) / sizeof(jobs[0])}}};
	struct encoded whole, frame;

	(void)state;
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		/* Among them bytes that are no UTF-8, which are replaced in a copy. */
		jobs[i] = (struct wire_job_info){
			.job = i + 1, .method = "GET", .url = "https://\xff.example/"};
	}
	assert_true(allocations_walk(encode_server, &sample) > 2);
	assert_int_equal(wire_server_frame_encode(&sample.frame, &whole.data, &whole.length), 0);
	frame = frame_of(whole);
	assert_true(allocations_walk(decode_server, &frame) > 2);
	free(frame.data);
}

/* A frame that comes in pieces is put together in memory of the reader. */
static void read_in_pieces(void *ctx)
{
	const struct encoded *whole = ctx;
	struct frame_reader reader;
	const uint8_t *frame = untouched;
	size_t length = 12345;
	int result = 0;

	frame_reader_init(&reader, WIRE_SERVER_FRAME_MAX);
	for (size_t at = 0; at < whole->length && result == 0;) {
		size_t used = 0;

		result = frame_reader_next(&reader, whole->data + at, 1, &used, &frame, &length);
		assert_int_equal(used, 1);
		at += used;
	}
	if (allocations_failed()) {
		assert_int_equal(result, -ENOMEM);
		assert_ptr_equal(frame, untouched);
	} else {
		assert_int_equal(result, 1);
		assert_int_equal(length, whole->length - 1);
		assert_memory_equal(frame, whole->data + 1, length);
	}
	frame_reader_fini(&reader);
}

static void framing(void **state)
{
	uint8_t bytes[101] = {100};
	struct encoded whole = {bytes, sizeof(bytes)};

	(void)state;
	memset(bytes + 1, 'x', 100);
	assert_int_equal(allocations_walk(read_in_pieces, &whole), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames_of_clients),
		cmocka_unit_test(frames_of_daemons),
		cmocka_unit_test(long_list),
		cmocka_unit_test(framing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
