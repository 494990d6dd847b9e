/* SPDX-License-Identifier: MIT */
/*
 * The arena of wire_arena.h: a list of blocks, each twice the one before up to a limit.
 */
#include "proto/wire_arena.h"

#include <stdlib.h>
#include <string.h>

/* A small frame fits the first block; a large one needs a handful. */
#define FIRST_BLOCK_BYTES 1024u
#define LAST_BLOCK_BYTES 65536u

union unit {
	void *pointer;
	uint64_t number;
	size_t size;
};

struct wire_arena_block {
	struct wire_arena_block *next;
	union unit memory[];
};

void wire_arena_init(struct wire_arena *arena, size_t cap_bytes)
{
	*arena = (struct wire_arena){
		.cap_bytes = cap_bytes,
		.next_block_bytes = FIRST_BLOCK_BYTES,
	};
}

void wire_arena_init_with(struct wire_arena *arena, size_t cap_bytes, void *buffer,
			  size_t buffer_bytes)
{
	wire_arena_init(arena, cap_bytes);
	arena->at = buffer;
	arena->left = buffer_bytes;
}

void wire_arena_fini(struct wire_arena *arena)
{
	struct wire_arena_block *block = arena->blocks;

	while (block != NULL) {
		struct wire_arena_block *next = block->next;

		free(block);
		block = next;
	}
	wire_arena_init(arena, arena->cap_bytes);
}

static bool add_block(struct wire_arena *arena, size_t size)
{
	size_t available = arena->cap_bytes - arena->taken_bytes;
	size_t block_bytes = arena->next_block_bytes;
	struct wire_arena_block *block;

	if (available < sizeof(*block) || size > available - sizeof(*block)) {
		arena->failed = true;
		arena->over_cap = true;
		return false;
	}
	if (block_bytes < size + sizeof(*block)) {
		block_bytes = size + sizeof(*block);
	}
	if (block_bytes > available) {
		block_bytes = available;
	}
	block = malloc(block_bytes);
	if (block == NULL) {
		arena->failed = true;
		return false;
	}
	block->next = arena->blocks;
	arena->blocks = block;
	arena->at = (uint8_t *)block->memory;
	arena->left = block_bytes - sizeof(*block);
	arena->taken_bytes += block_bytes;
	if (arena->next_block_bytes < LAST_BLOCK_BYTES) {
		arena->next_block_bytes *= 2;
	}
	return true;
}

void *wire_arena_alloc(struct wire_arena *arena, size_t size)
{
	const size_t mask = sizeof(union unit) - 1;
	void *memory;

	if (size > SIZE_MAX - mask) {
		arena->failed = true;
		arena->over_cap = true;
		return NULL;
	}
	size = (size + mask) & ~mask;
	/* No memory has an address of its own too: NULL means failure to whoever asked. */
	if ((size > arena->left || arena->at == NULL) && !add_block(arena, size)) {
		return NULL;
	}
	memory = arena->at;
	arena->at += size;
	arena->left -= size;
	return memory;
}

void *wire_arena_array(struct wire_arena *arena, size_t count, size_t size)
{
	void *memory;

	if (size > 0 && count > SIZE_MAX / size) {
		arena->failed = true;
		arena->over_cap = true;
		return NULL;
	}
	memory = wire_arena_alloc(arena, count * size);
	if (memory != NULL) {
		memset(memory, 0, count * size);
	}
	return memory;
}
