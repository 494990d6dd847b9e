/* SPDX-License-Identifier: MIT */
/*
 * What the code under test calls in place of the functions of libc that allocate; renamed.txt says
 * which. When they fail: unit/support/allocations.h. With FETCHD_FAULTS_TRACE set and
 * AddressSanitizer linked, each that fails says where it is.
 */
#pragma once

#include "unit/support/allocations.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>

/* Shall this allocation fail? Counts it. */
bool allocation_fails(void);

void *faulty_malloc(size_t size);
void *faulty_calloc(size_t count, size_t size);
void *faulty_realloc(void *memory, size_t size);
void *faulty_reallocarray(void *memory, size_t count, size_t size);
char *faulty_strdup(const char *text);
char *faulty_strndup(const char *text, size_t size);
__attribute__((format(printf, 2, 3))) int faulty_asprintf(char **ret_text, const char *format, ...);
/* What asprintf() is with _FORTIFY_SOURCE. */
__attribute__((format(printf, 3, 4))) int faulty_asprintf_chk(char **ret_text, int flag,
							      const char *format, ...);
int faulty_scandir(const char *path, struct dirent ***ret_entries,
		   int (*filter)(const struct dirent *entry),
		   int (*compare)(const struct dirent **a, const struct dirent **b));
FILE *faulty_open_memstream(char **ret_text, size_t *ret_size);
