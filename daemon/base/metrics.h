/* SPDX-License-Identifier: MIT */
/*
 * The daemon's counters: everything that only grows, from its start on. Gauges (what is open now)
 * are counted by their owners when asked.
 */
#pragma once

#include <stdint.h>

#define METRICS_REASONS 32u /* close reasons are below this */

struct metrics {
	uint64_t jobs_submitted;
	uint64_t jobs_closed[METRICS_REASONS]; /* by enum close_reason */
	uint64_t replays;
	uint64_t retries;
	uint64_t connections_opened;
	uint64_t connect_failures;
	uint64_t tls_handshakes;
	uint64_t tls_resumed;
	uint64_t streams_opened;
	uint64_t streams_reused;
	uint64_t dns_lookups;
	uint64_t wire_received;
	uint64_t wire_sent;
	uint64_t payload_received;
	uint64_t delivered;
};

/* Resident memory of this process in bytes, 0 if the system does not say. */
uint64_t metrics_rss_bytes(void);
