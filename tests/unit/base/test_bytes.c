/* SPDX-License-Identifier: MIT */
/*
 * The byte queue. Its source is included, so that its allocations can be counted and made to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static unsigned allocations_left = ~0u;
static size_t chunks_held;
static size_t largest_chunk;

static void *counting_malloc(size_t size)
{
	if (allocations_left == 0) {
		return NULL;
	}
	--allocations_left;
	++chunks_held;
	largest_chunk = size > largest_chunk ? size : largest_chunk;
	return malloc(size);
}

static void counting_free(void *memory)
{
	chunks_held -= memory != NULL;
	free(memory);
}

#define malloc counting_malloc
#define free counting_free
#include "base/bytes.c"
#undef malloc
#undef free

/* The stream of bytes that goes in and must come out. */
static uint8_t pattern(size_t at)
{
	return (uint8_t)(at * 131u + (at >> 8));
}

static size_t put_at;
static size_t take_at;

static int reset(void **state)
{
	(void)state;
	allocations_left = ~0u;
	put_at = take_at = 0;
	largest_chunk = 0;
	return 0;
}

static int check_no_chunks(void **state)
{
	(void)state;
	return chunks_held == 0 ? 0 : -1;
}

static int put(struct bytes *bytes, size_t length)
{
	uint8_t *data = malloc(length + 1);
	assert_non_null(data);
	for (size_t i = 0; i < length; ++i) {
		data[i] = pattern(put_at + i);
	}
	int error = bytes_append(bytes, data, length);
	if (!error) {
		put_at += length;
	}
	free(data);
	return error;
}

static void take_and_compare(struct bytes *bytes, size_t length)
{
	uint8_t *data = malloc(length + 1);
	assert_non_null(data);
	assert_int_equal(bytes_take(bytes, data, length), length);
	for (size_t i = 0; i < length; ++i) {
		assert_int_equal(data[i], pattern(take_at + i));
	}
	take_at += length;
	free(data);
}

static void empty_queue_holds_nothing(void **state)
{
	(void)state;
	struct bytes bytes;
	struct iovec iov[2];
	uint8_t byte;
	bytes_init(&bytes, 10);
	assert_int_equal(bytes_length(&bytes), 0);
	assert_int_equal(bytes_room(&bytes), 10);
	assert_int_equal(bytes_peek(&bytes, iov, 2), 0);
	assert_int_equal(bytes_take(&bytes, &byte, 1), 0);
	bytes_skip(&bytes, 0);
	assert_int_equal(bytes_append(&bytes, NULL, 0), 0);
	assert_int_equal(chunks_held, 0);
	bytes_clear(&bytes);
	bytes_clear(&bytes);
}

static void ceiling_is_exact(void **state)
{
	(void)state;
	struct bytes bytes;
	bytes_init(&bytes, 5000);
	assert_int_equal(put(&bytes, 4999), 0);
	assert_int_equal(put(&bytes, 2), -ENOBUFS);
	assert_int_equal(bytes_length(&bytes), 4999);
	assert_int_equal(put(&bytes, 1), 0);
	assert_int_equal(put(&bytes, 1), -ENOBUFS);
	assert_int_equal(bytes_room(&bytes), 0);
	take_and_compare(&bytes, 5000);
	assert_int_equal(chunks_held, 0);
	/* A ceiling near the end of size_t does not overflow. */
	bytes_init(&bytes, SIZE_MAX);
	assert_int_equal(put(&bytes, 1), 0);
	assert_int_equal(bytes_append(&bytes, "", SIZE_MAX), -ENOBUFS);
	bytes_clear(&bytes);
}

static void content_keeps_its_order(void **state)
{
	(void)state;
	static const size_t sizes[] = {1,     2,     1023, 1024, 1025,   16383, 16384,
				       16385, 40000, 100,  7,    100000, 3};
	struct bytes bytes;
	bytes_init(&bytes, 1000000);
	for (unsigned round = 0; round < 4; ++round) {
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); ++i) {
			assert_int_equal(put(&bytes, sizes[i]), 0);
			take_and_compare(&bytes, bytes_length(&bytes) / 3);
		}
	}
	take_and_compare(&bytes, bytes_length(&bytes));
	assert_int_equal(chunks_held, 0);
	assert_int_equal(largest_chunk, 16384);
}

static void memory_follows_content(void **state)
{
	(void)state;
	struct bytes bytes;
	bytes_init(&bytes, 1 << 20);
	assert_int_equal(put(&bytes, 1), 0);
	assert_int_equal(largest_chunk, 1024);
	/* Single bytes fill the chunks that are there. */
	for (unsigned i = 0; i < 100000; ++i) {
		assert_int_equal(put(&bytes, 1), 0);
	}
	assert_in_range(chunks_held, 6, 12);
	size_t before = chunks_held;
	take_and_compare(&bytes, 50000);
	assert_true(chunks_held < before);
	bytes_clear(&bytes);
	assert_int_equal(chunks_held, 0);
	assert_int_equal(bytes_length(&bytes), 0);
	/* Usable again. */
	take_at = put_at;
	assert_int_equal(put(&bytes, 10), 0);
	take_and_compare(&bytes, 10);
}

static void peek_shows_the_front(void **state)
{
	(void)state;
	struct bytes bytes;
	struct iovec iov[8];
	bytes_init(&bytes, 1 << 20);
	assert_int_equal(put(&bytes, 60000), 0);
	bytes_skip(&bytes, 10);
	take_at = 10;
	unsigned count = bytes_peek(&bytes, iov, 8);
	assert_in_range(count, 2, 8);
	size_t at = 10;
	for (unsigned i = 0; i < count; ++i) {
		const uint8_t *data = iov[i].iov_base;
		assert_true(iov[i].iov_len > 0);
		for (size_t k = 0; k < iov[i].iov_len; ++k, ++at) {
			assert_int_equal(data[k], pattern(at));
		}
	}
	assert_int_equal(at, 60000);
	assert_int_equal(bytes_peek(&bytes, iov, 1), 1);
	assert_int_equal(bytes_peek(&bytes, iov, 0), 0);
	bytes_skip(&bytes, bytes_length(&bytes));
	assert_int_equal(chunks_held, 0);
}

static void out_of_memory_adds_nothing(void **state)
{
	(void)state;
	struct bytes bytes;
	bytes_init(&bytes, 1 << 20);
	allocations_left = 0;
	assert_int_equal(put(&bytes, 1), -ENOMEM);
	assert_int_equal(bytes_length(&bytes), 0);
	allocations_left = 1;
	assert_int_equal(put(&bytes, 100), 0);
	/* Needs several chunks and gets only some of them. */
	for (unsigned i = 0; i < 3; ++i) {
		allocations_left = i;
		assert_int_equal(put(&bytes, 60000), -ENOMEM);
		assert_int_equal(bytes_length(&bytes), 100);
		assert_int_equal(chunks_held, 1);
	}
	/* What fits into the chunk at hand needs no memory. */
	allocations_left = 0;
	assert_int_equal(put(&bytes, 500), 0);
	allocations_left = ~0u;
	assert_int_equal(put(&bytes, 60000), 0);
	take_and_compare(&bytes, 60600);
}

int main(void)
{
#define BYTES_TEST(name) cmocka_unit_test_setup_teardown(name, reset, check_no_chunks)
	const struct CMUnitTest tests[] = {
		BYTES_TEST(empty_queue_holds_nothing), BYTES_TEST(ceiling_is_exact),
		BYTES_TEST(content_keeps_its_order),   BYTES_TEST(memory_follows_content),
		BYTES_TEST(peek_shows_the_front),      BYTES_TEST(out_of_memory_adds_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
