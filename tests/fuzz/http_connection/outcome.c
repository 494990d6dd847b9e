/* SPDX-License-Identifier: MIT */
/*
 * Comparing outcomes: where cuts make no difference, and the few places where they do.
 */
#include "outcome.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

uint64_t outcome_digest(uint64_t value, const void *data, size_t length)
{
	const uint8_t *bytes = data;

	for (size_t i = 0; i < length; i++) {
		value = (value ^ bytes[i]) * UINT64_C(0x100000001b3);
	}
	return (value ^ length) * UINT64_C(0x100000001b3);
}

/* Did the connection end for what the server sent? */
static bool is_broken(const struct outcome *outcomes, size_t count)
{
	bool broken = false;

	for (size_t i = 0; i < count; i++) {
		broken |= outcomes[i].code == FAIL_H2_CONNECTION_ERROR ||
			  outcomes[i].code == FAIL_NOT_HTTP2 ||
			  outcomes[i].code == FAIL_FLOOD_ANSWERS;
	}
	return broken;
}

/* Did we reset the stream for what the server sent? */
static bool is_reset_by_us(const struct outcome *outcome)
{
	return outcome->reason == CLOSE_PROTOCOL_ERROR || outcome->reason == CLOSE_LENGTH_MISMATCH;
}

static bool is_same(const struct outcome *a, const struct outcome *b)
{
	return a->sent == b->sent && a->informational == b->informational &&
	       a->status == b->status && a->heads == b->heads && a->taken == b->taken &&
	       a->content == b->content && a->trailers == b->trailers && a->ends == b->ends &&
	       a->reason == b->reason && a->code == b->code && a->unprocessed == b->unprocessed;
}

/* The way to a bad end does depend on the cuts. What is behind a stream's error in one read (a
 * GOAWAY, a frame which nghttp2 takes for an error of the connection until the reset is out) may
 * end it in another way; of a chunk with a byte too many, none is delivered; and nghttp2 counts a
 * CONTINUATION whose header comes in pieces more than once. So one of the two may have seen less,
 * but nothing else. */
static bool is_alike(const struct outcome *a, const struct outcome *b)
{
	return (a->status == b->status || a->status == 0 || b->status == 0) &&
	       (a->taken != b->taken || a->content == b->content);
}

static void print_outcome(const struct outcome *outcome)
{
	(void)fprintf(stderr,
		      "sent %d, %u interim, status %u, fields %" PRIx64 ", %" PRIu64
		      " bytes %" PRIx64 ", trailers %d, %u ends: %s, %s%s\n",
		      outcome->sent, outcome->informational, outcome->status, outcome->heads,
		      outcome->taken, outcome->content, outcome->trailers, outcome->ends,
		      close_reason_name(outcome->reason), failure_code_name(outcome->code),
		      outcome->unprocessed ? ", unprocessed" : "");
}

void outcome_check_same(const struct outcome *a, const struct outcome *b, size_t count)
{
	bool broken = is_broken(a, count) || is_broken(b, count);

	for (size_t i = 0; i < count; i++) {
		bool good = a[i].reason == CLOSE_ENDED || b[i].reason == CLOSE_ENDED;
		bool reset = is_reset_by_us(&a[i]) || is_reset_by_us(&b[i]);
		bool same = false;

		if (broken) {
			same = is_alike(&a[i], &b[i]);
		} else if (reset) {
			same = is_alike(&a[i], &b[i]) && !good;
		} else {
			same = is_same(&a[i], &b[i]);
		}
		if (!same) {
			print_outcome(&a[i]);
			print_outcome(&b[i]);
			assert(false);
		}
	}
}
