/* SPDX-License-Identifier: MIT */
/*
 * When to try again after a temporary failure: exponential backoff with full jitter, and
 * Retry-After. Pure.
 */
#pragma once

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* A set of statuses, 400 to 599. */
struct retry_statuses {
	uint64_t bits[4];
};

/* From a list as job.retry_statuses has it; what is none of these statuses is left out. */
struct retry_statuses retry_statuses_parse(const char *list);
/* Is it an answer that asks for a later try? 429 and 503 say that nothing was done; of any other
 * nobody knows, so only an idempotent request goes again. */
bool retry_status(const struct retry_statuses *statuses, unsigned status, bool idempotent);
/* Is it a failure to connect that may pass? A name that does not exist or a bad certificate does
 * not. */
bool retry_connect_failure(enum failure_code code);

/* How long to wait before try number `attempt` + 1 (the first try is 1): a random time up to base *
 * 2^(attempt-1), capped. `random` is any random number. */
uint64_t retry_backoff_ms(unsigned attempt, uint64_t base_ms, uint64_t cap_ms, uint64_t random);

/* Retry-After in both forms (RFC 9110, section 10.2.3), as seconds from `now`; a date in the past
 * is 0. False if the value is neither. */
bool retry_after_parse(const char *value, size_t length, time_t now, uint64_t *ret_seconds);
