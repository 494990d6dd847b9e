/* SPDX-License-Identifier: MIT */
#include "base/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static void rss_follows_touched_memory(void **state)
{
	(void)state;
	const size_t size = 64u << 20;
	uint64_t before = metrics_rss_bytes();
	assert_true(before > 0);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(memory, MAP_FAILED);
	memset(memory, 1, size);
	uint64_t after = metrics_rss_bytes();
	assert_int_equal(munmap(memory, size), 0);
	/* The kernel counts per thread and adds up late: allow a tenth. */
	assert_true(after >= before + size - size / 10);
	assert_true(after <= before + size + size / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rss_follows_touched_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
