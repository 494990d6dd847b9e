/* SPDX-License-Identifier: MIT */
/*
 * Frames that cost their sender nothing and us something: looks at the header of every frame that
 * comes, and says when there are too many of a kind. Whatever the HTTP/2 library does with them,
 * also those that it ignores. Pure: no I/O, no clock of its own.
 *
 * A rate is a number of frames per second, and ten seconds' worth of them may come at once.
 */
#pragma once

#include "base/failure.h"

#include <stddef.h>
#include <stdint.h>

/* 0: no bound. */
struct flood_limits {
	uint32_t settings_rate; /* SETTINGS, acknowledgements apart */
	uint32_t ping_rate;     /* PING, answers too */
	uint32_t reset_rate;    /* RST_STREAM */
	uint32_t empty_rate;    /* DATA without a byte of body (padding is none) nor END_STREAM */
	uint32_t max_continuations; /* CONTINUATION frames of one header section */
};

enum flood_kind {
	FLOOD_KIND_SETTINGS,
	FLOOD_KIND_PING,
	FLOOD_KIND_RESET,
	FLOOD_KIND_EMPTY,
	FLOOD_KINDS
};

#define FLOOD_HEAD_MAX 10u /* a frame's header, and the first byte behind it */

/* All zero is a peer that has sent nothing. Private. */
struct flood {
	uint64_t spent[FLOOD_KINDS]; /* of the ten seconds' worth, in thousandths of a frame */
	uint64_t since_ms[FLOOD_KINDS];
	uint32_t continuations;
	uint64_t skip; /* bytes of the current frame that are still to come */
	uint8_t head[FLOOD_HEAD_MAX];
	unsigned head_length;
};

/* Looks at the next `length` bytes of what the peer sends. FAIL_NONE; or FLOOD_SETTINGS, ..._PING,
 * ..._RESET, ..._EMPTY or ..._CONTINUATION, and *ret_good: how many of the bytes come before the
 * frame that is too many. Not to be called again then. */
enum failure_code flood_scan(struct flood *flood, const struct flood_limits *limits,
			     const uint8_t *data, size_t length, uint64_t now_ms, size_t *ret_good);
