/* SPDX-License-Identifier: MIT */
/*
 * What the process itself measures. The counters are counted where things happen.
 */
#include "base/metrics.h"

#include "base/failure.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define X(name, number) \
	static_assert((number) < METRICS_REASONS, "jobs_closed has no place for " #name);
CLOSE_REASON_TABLE(X)
#undef X

uint64_t metrics_rss_bytes(void)
{
	char text[128];
	uint64_t total_pages;
	uint64_t resident_pages;
	int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		return 0;
	}
	ssize_t length = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	long page = sysconf(_SC_PAGESIZE);
	if (length <= 0 || page <= 0) {
		return 0;
	}
	text[length] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64, &total_pages, &resident_pages) != 2) {
		return 0;
	}
	return resident_pages * (uint64_t)page;
}
