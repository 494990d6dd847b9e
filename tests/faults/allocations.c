/* SPDX-License-Identifier: MIT */
/*
 * The allocator that fails. It knows nothing of threads: the code under test has one.
 */
#include "faults/allocations.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* Above 0 while the test server is running, which uses the tested code's loop and buffers
 * (h2_origin.c), or a daemon in the test of a client (fake_daemon.h). Programs without have no
 * such side. */
extern unsigned test_side __attribute__((weak));

/* AddressSanitizer's, where there is one. */
void __sanitizer_print_stack_trace(void) __attribute__((weak));

static struct {
	bool armed;
	bool failed;
	unsigned paused;
	unsigned long count;
	unsigned long first;
	unsigned long every;
} state;

void allocations_arm_every(unsigned long first, unsigned long every)
{
	state.first = first;
	state.every = every;
	state.count = 0;
	state.failed = false;
	state.armed = true;
}

void allocations_arm(unsigned long nth)
{
	allocations_arm_every(nth, 0);
}

bool allocations_disarm(void)
{
	state.armed = false;
	return state.failed;
}

bool allocations_failed(void)
{
	return state.failed;
}

unsigned long allocations_count(void)
{
	return state.count;
}

void allocations_pause(void)
{
	state.paused++;
}

void allocations_resume(void)
{
	state.paused--;
}

unsigned long allocations_walk(void (*operation)(void *ctx), void *ctx)
{
	for (unsigned long nth = 0;; nth++) {
		allocations_arm(nth);
		operation(ctx);
		if (!allocations_disarm()) {
			return nth;
		}
	}
}

bool allocation_fails(void)
{
	unsigned long number = state.count;

	if (!state.armed || state.paused > 0 || (&test_side && test_side > 0)) {
		return false;
	}
	state.count++;
	if (number < state.first) {
		return false;
	}
	number -= state.first;
	if (state.every == 0 ? number > 0 : number % state.every > 0) {
		return false;
	}
	state.failed = true;
	if (__sanitizer_print_stack_trace && getenv("FETCHD_FAULTS_TRACE")) {
		fprintf(stderr, "allocation %lu fails:\n", state.count - 1);
		__sanitizer_print_stack_trace();
	}
	errno = ENOMEM;
	return true;
}

void *faulty_malloc(size_t size)
{
	return allocation_fails() ? NULL : malloc(size);
}

void *faulty_calloc(size_t count, size_t size)
{
	return allocation_fails() ? NULL : calloc(count, size);
}

void *faulty_realloc(void *memory, size_t size)
{
	return allocation_fails() ? NULL : realloc(memory, size);
}

void *faulty_reallocarray(void *memory, size_t count, size_t size)
{
	return allocation_fails() ? NULL : reallocarray(memory, count, size);
}

char *faulty_strdup(const char *text)
{
	return allocation_fails() ? NULL : strdup(text);
}

char *faulty_strndup(const char *text, size_t size)
{
	return allocation_fails() ? NULL : strndup(text, size);
}

__attribute__((format(printf, 2, 0))) static int
faulty_vasprintf(char **ret_text, const char *format, va_list arguments)
{
	/* The manual leaves the pointer undefined after a failure. */
	static char undefined[1];

	if (allocation_fails()) {
		*ret_text = undefined;
		return -1;
	}
	return vasprintf(ret_text, format, arguments);
}

int faulty_asprintf(char **ret_text, const char *format, ...)
{
	va_list arguments;
	int result;

	va_start(arguments, format);
	result = faulty_vasprintf(ret_text, format, arguments);
	va_end(arguments);
	return result;
}

int faulty_asprintf_chk(char **ret_text, int flag, const char *format, ...)
{
	va_list arguments;
	int result;

	(void)flag;
	va_start(arguments, format);
	result = faulty_vasprintf(ret_text, format, arguments);
	va_end(arguments);
	return result;
}

int faulty_scandir(const char *path, struct dirent ***ret_entries,
		   int (*filter)(const struct dirent *entry),
		   int (*compare)(const struct dirent **a, const struct dirent **b))
{
	return allocation_fails() ? -1 : scandir(path, ret_entries, filter, compare);
}

FILE *faulty_open_memstream(char **ret_text, size_t *ret_size)
{
	return allocation_fails() ? NULL : open_memstream(ret_text, ret_size);
}
