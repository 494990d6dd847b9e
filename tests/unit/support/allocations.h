/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail on purpose: for tests named test_*_out_of_memory.c, which are linked with
 * --wrap, so that every malloc(), calloc(), realloc() and strdup() of the daemon's own code comes
 * here. Libraries have theirs.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "unit/support/h2_origin.h"

static bool allocations_armed;
static unsigned allocations_left; /* until the one that fails */
static bool allocations_failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

static inline bool allocation_fails(void)
{
	if (!allocations_armed || test_side > 0) {
		return false;
	}
	if (allocations_left-- > 0) {
		return false;
	}
	allocations_armed = false; /* one of them */
	allocations_failed = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return allocation_fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
	return allocation_fails() ? NULL : __real_strdup(text);
}

/* From now on, allocation `nth` fails, from 0. */
static inline void allocations_arm(unsigned nth)
{
	allocations_left = nth;
	allocations_failed = false;
	allocations_armed = true;
}

/* Did it come to that? */
static inline bool allocations_disarm(void)
{
	allocations_armed = false;
	return allocations_failed;
}
