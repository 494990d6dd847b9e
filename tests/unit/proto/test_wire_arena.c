/* SPDX-License-Identifier: MIT */
/*
 * Tests of the arena: alignment, the cap, and memory of the caller's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "proto/wire_arena.h"

static void memory_is_aligned_and_apart(void **state)
{
	struct wire_arena arena;
	uint8_t *pieces[300];

	(void)state;
	wire_arena_init(&arena, 1 << 20);
	for (size_t i = 0; i < 300; i++) {
		pieces[i] = wire_arena_alloc(&arena, i);
		assert_non_null(pieces[i]);
		assert_int_equal((uintptr_t)pieces[i] % sizeof(uint64_t), 0);
		memset(pieces[i], (int)(i & 0xff), i);
	}
	for (size_t i = 0; i < 300; i++) {
		for (size_t j = 0; j < i; j++) {
			assert_int_equal(pieces[i][j], i & 0xff);
		}
	}
	assert_false(arena.failed);
	wire_arena_fini(&arena);
}

static void cap_holds(void **state)
{
	static const size_t caps[] = {0, 1, 8, 64, 1000, 1024, 4096, 100000};

	(void)state;
	for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
		struct wire_arena arena;
		size_t given = 0;

		wire_arena_init(&arena, caps[i]);
		while (wire_arena_alloc(&arena, 24) != NULL) {
			given += 24;
			assert_true(given <= caps[i]);
			assert_true(arena.taken_bytes <= caps[i]);
		}
		assert_true(arena.failed);
		assert_true(arena.over_cap);
		/* What fits is given: little is lost to headers and ends of blocks. */
		assert_true(given + 24 + caps[i] / 8 + 24 >= caps[i]);
		wire_arena_fini(&arena);
	}
}

static void one_large_piece(void **state)
{
	struct wire_arena arena;

	(void)state;
	wire_arena_init(&arena, 1 << 20);
	assert_non_null(wire_arena_alloc(&arena, 500000));
	assert_non_null(wire_arena_alloc(&arena, 500000));
	assert_null(wire_arena_alloc(&arena, 500000));
	assert_true(arena.over_cap);
	/* A failure is no end: what is small enough still fits. */
	assert_non_null(wire_arena_alloc(&arena, 100));
	wire_arena_fini(&arena);
}

static void absurd_sizes(void **state)
{
	struct wire_arena arena;

	(void)state;
	wire_arena_init(&arena, SIZE_MAX);
	assert_null(wire_arena_alloc(&arena, SIZE_MAX));
	assert_null(wire_arena_alloc(&arena, SIZE_MAX - 8));
	assert_null(wire_arena_array(&arena, SIZE_MAX / 4, 8));
	assert_true(arena.failed);
	wire_arena_fini(&arena);
}

static void arrays_are_zeroed(void **state)
{
	struct wire_arena arena;
	uint8_t *memory;

	(void)state;
	wire_arena_init(&arena, 4096);
	memory = wire_arena_array(&arena, 10, 10);
	assert_non_null(memory);
	for (size_t i = 0; i < 100; i++) {
		assert_int_equal(memory[i], 0);
	}
	assert_non_null(wire_arena_array(&arena, 0, 10));
	wire_arena_fini(&arena);
}

static void buffer_of_the_caller_is_first(void **state)
{
	uint64_t buffer[8];
	struct wire_arena arena;
	uint8_t *memory;

	(void)state;
	wire_arena_init_with(&arena, 4096, buffer, sizeof(buffer));
	assert_ptr_equal(wire_arena_alloc(&arena, 8), buffer);
	assert_ptr_equal(wire_arena_alloc(&arena, 56), buffer + 1);
	assert_int_equal(arena.taken_bytes, 0);
	memory = wire_arena_alloc(&arena, 8);
	assert_non_null(memory);
	assert_true(arena.taken_bytes > 0);
	wire_arena_fini(&arena);
	wire_arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_aligned_and_apart),
		cmocka_unit_test(cap_holds),
		cmocka_unit_test(one_large_piece),
		cmocka_unit_test(absurd_sizes),
		cmocka_unit_test(arrays_are_zeroed),
		cmocka_unit_test(buffer_of_the_caller_is_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
