/* SPDX-License-Identifier: MIT */
/*
 * The Content-Range field of a response (RFC 9110, section 14.4): which bytes of the whole a 206
 * brings, or, with a 416, how long the whole is. Pure. Knows nothing of requests: whether the
 * answer is what was asked for is the caller's question.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A value has one of three forms, here with an asterisk written as "any":
 *
 *     bytes 0-99/200      has_range and has_complete
 *     bytes 0-99/any      has_range: how long the whole is, the server does not say
 *     bytes any/200       has_complete: the range that was asked for is not in the whole
 *
 * Positions and length are at most INT64_MAX, so that sums of two of them do not overflow. */
struct content_range {
	bool has_range;
	uint64_t first; /* positions in the whole, both included: first <= last */
	uint64_t last;
	bool has_complete;
	uint64_t complete; /* length of the whole: above `last` if there is a range */
};

/* Takes the value apart. True and *ret_range (what has no has_... is 0). False if it is none of the
 * three forms, contradicts itself (last before first, or not below the complete length), has a
 * number above INT64_MAX, or another unit than bytes (in any case; no other one is known here);
 * *ret_range is untouched then. Strict: one space behind the unit, digits only, no other blanks, as
 * the field's grammar has it. `value` is not NUL-terminated. */
bool content_range_parse(const char *value, size_t length, struct content_range *ret_range);
