/* SPDX-License-Identifier: MIT */
/*
 * Counting frames by kind. A rate is kept as a bucket that leaks: a frame fills it by one, time
 * empties it, and a full one is a flood.
 */
#include "http/flood.h"

#include <stdbool.h>
#include <string.h>

#define FRAME_HEAD 9u
#define BURST_MS 10000u
#define FRAME_COST 1000u /* thousandths */

/* Types and flags of frames (RFC 9113, section 6). */
enum {
	FRAME_DATA = 0x0,
	FRAME_HEADERS = 0x1,
	FRAME_RST_STREAM = 0x3,
	FRAME_SETTINGS = 0x4,
	FRAME_PUSH_PROMISE = 0x5,
	FRAME_PING = 0x6,
	FRAME_CONTINUATION = 0x9,
	FLAG_ACK = 0x1,
	FLAG_END_STREAM = 0x1,
	FLAG_PADDED = 0x8
};

static uint32_t payload_length(const uint8_t *head)
{
	return (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2];
}

/* Adds a frame. False: the bucket runs over. */
static bool take(struct flood *flood, enum flood_kind kind, uint32_t rate, uint64_t now_ms)
{
	uint64_t passed = now_ms - flood->since_ms[kind];
	uint64_t gone = (passed < BURST_MS ? passed : BURST_MS) * rate;

	flood->spent[kind] -= gone < flood->spent[kind] ? gone : flood->spent[kind];
	flood->since_ms[kind] = now_ms;
	flood->spent[kind] += FRAME_COST;
	return rate == 0 || flood->spent[kind] <= (uint64_t)rate * BURST_MS;
}

/* How many bytes have to be seen to judge the frame whose header this is. */
static unsigned head_wanted(const uint8_t *head)
{
	bool padded = head[3] == FRAME_DATA && (head[4] & FLAG_PADDED) && payload_length(head) > 0;

	return padded ? FRAME_HEAD + 1 : FRAME_HEAD;
}

static bool is_empty_data(const uint8_t *head)
{
	uint32_t length = payload_length(head);

	if (head[4] & FLAG_END_STREAM) {
		return false;
	}
	return length == 0 || ((head[4] & FLAG_PADDED) && head[FRAME_HEAD] + 1u >= length);
}

static enum failure_code judge(struct flood *flood, const struct flood_limits *limits,
			       uint64_t now_ms)
{
	const uint8_t *head = flood->head;
	bool good = true;

	switch (head[3]) {
	case FRAME_DATA:
		good = !is_empty_data(head) ||
		       take(flood, FLOOD_KIND_EMPTY, limits->empty_rate, now_ms);
		return good ? FAIL_NONE : FAIL_FLOOD_EMPTY;
	case FRAME_RST_STREAM:
		good = take(flood, FLOOD_KIND_RESET, limits->reset_rate, now_ms);
		return good ? FAIL_NONE : FAIL_FLOOD_RESET;
	case FRAME_SETTINGS:
		good = (head[4] & FLAG_ACK) ||
		       take(flood, FLOOD_KIND_SETTINGS, limits->settings_rate, now_ms);
		return good ? FAIL_NONE : FAIL_FLOOD_SETTINGS;
	case FRAME_PING:
		good = take(flood, FLOOD_KIND_PING, limits->ping_rate, now_ms);
		return good ? FAIL_NONE : FAIL_FLOOD_PING;
	case FRAME_HEADERS:
	case FRAME_PUSH_PROMISE:
		flood->continuations = 0;
		return FAIL_NONE;
	case FRAME_CONTINUATION:
		flood->continuations++;
		good = limits->max_continuations == 0 ||
		       flood->continuations <= limits->max_continuations;
		return good ? FAIL_NONE : FAIL_FLOOD_CONTINUATION;
	default: /* not ours to count */
		return FAIL_NONE;
	}
}

enum failure_code flood_scan(struct flood *flood, const struct flood_limits *limits,
			     const uint8_t *data, size_t length, uint64_t now_ms, size_t *ret_good)
{
	size_t at = 0;

	while (at < length) {
		enum failure_code code = FAIL_NONE;

		if (flood->skip > 0) {
			size_t part = flood->skip < length - at ? (size_t)flood->skip : length - at;

			flood->skip -= part;
			at += part;
			continue;
		}
		flood->head[flood->head_length++] = data[at++];
		if (flood->head_length < FRAME_HEAD ||
		    flood->head_length < head_wanted(flood->head)) {
			continue;
		}
		code = judge(flood, limits, now_ms);
		if (code != FAIL_NONE) {
			*ret_good = at > flood->head_length ? at - flood->head_length : 0;
			return code;
		}
		flood->skip = payload_length(flood->head) + FRAME_HEAD - flood->head_length;
		flood->head_length = 0;
	}
	return FAIL_NONE;
}
