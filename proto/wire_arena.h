/* SPDX-License-Identifier: MIT */
/*
 * Memory for one frame: handed out in order, never given back singly, freed in one go, and never
 * more than a cap. Private to wire*.c.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire_arena_block;

/* Fields are private, except that `failed` and `over_cap` may be read. */
struct wire_arena {
	struct wire_arena_block *blocks; /* newest first */
	uint8_t *at;                     /* free part of the newest block */
	size_t left;
	size_t taken_bytes; /* size of all blocks, headers included: never above the cap */
	size_t cap_bytes;
	size_t next_block_bytes;
	bool failed;   /* an allocation failed */
	bool over_cap; /* ... because of the cap, not for want of memory */
};

/* Takes no memory yet. */
void wire_arena_init(struct wire_arena *arena, size_t cap_bytes);

/* The same, with a buffer of the caller's that is used up first and outlives the arena. `buffer` is
 * aligned as malloc() would; it does not count towards the cap. */
void wire_arena_init_with(struct wire_arena *arena, size_t cap_bytes, void *buffer,
			  size_t buffer_bytes);

void wire_arena_fini(struct wire_arena *arena);

/* `size` bytes (0 is possible), aligned for any pointer or 64-bit number, contents undefined. NULL
 * when the cap is reached or there is no memory. */
void *wire_arena_alloc(struct wire_arena *arena, size_t size);

/* `count` zeroed elements of `size` bytes; NULL also when the product overflows. */
void *wire_arena_array(struct wire_arena *arena, size_t count, size_t size);
