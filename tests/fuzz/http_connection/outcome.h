/* SPDX-License-Identifier: MIT */
/*
 * What came of a stream, and whether that is the same when the same bytes came in other pieces.
 */
#pragma once

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a stream's owner has seen, as far as it does not depend on how bytes were cut. */
struct outcome {
	uint64_t heads;   /* digest of interim heads, head and trailers */
	uint64_t content; /* digest of the body */
	uint64_t taken;
	unsigned informational;
	unsigned status;
	unsigned ends;
	enum close_reason reason;
	enum failure_code code;
	bool unprocessed;
	bool sent, trailers;
};

/* A digest of the bytes, and of all that went into `value` before. */
uint64_t outcome_digest(uint64_t value, const void *data, size_t length);

/* Asserts that these are the outcomes of two runs of one script, which differ only in how the
 * server's bytes were cut into reads. */
void outcome_check_same(const struct outcome *a, const struct outcome *b, size_t count);
