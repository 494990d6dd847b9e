/* SPDX-License-Identifier: MIT */
/*
 * The one thing that keeps a job from moving: what for, since when, until when, at which limit.
 * Filled by the layer that knows; times are those of loop_now_ms().
 */
#pragma once

#include "proto/codes.h"

#include <stdint.h>

enum wait_reason {
	WAIT_NOTHING = 0,
#define X(name, number) WAIT_##name = (number),
	WAIT_REASON_TABLE(X)
#undef X
};

#define WAIT_TEXT_MAX 192u

struct wait {
	enum wait_reason reason;
	uint64_t since_ms;
	uint64_t until_ms; /* when it ends by itself; 0: it has no time */
	const char
		*limit; /* a configuration key, or the peer's setting; "" if it is none. Static */
	uint64_t limit_value;
	char text[WAIT_TEXT_MAX]; /* for people, one line */
};
