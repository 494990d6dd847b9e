/* SPDX-License-Identifier: MIT */
/*
 * How large a receive window should be: the decision alone, without a network, a clock or a budget
 * of its own. It begins modest. It doubles when a whole window's worth was taken within two round
 * trips, because then the window may be what limits the rate. It shrinks when its reader lags
 * behind, or when others need the memory.
 *
 *     |<------------------ size ------------------->|
 *     |  held: came,     |  promised: the  |  not   |
 *     |  is not taken    |  peer may send  |  given |
 *
 * What was promised cannot be taken back. So one that shrinks gives nothing until what it holds and
 * has promised is below the new size, and is charged with that until then.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Fields are private but for `size`. */
struct window {
	uint32_t size;        /* what is aimed at */
	uint32_t first;       /* it never becomes smaller than this */
	uint32_t most;        /* nor larger than this */
	bool in_round;        /* is a window's worth being timed? */
	bool lags;            /* more than half of it waits */
	uint64_t round_us;    /* since when */
	uint64_t round_bytes; /* what was taken since */
	uint64_t lag_us;      /* since when it lags, or was last cut for it */
};

/* How things stand when something is taken. */
struct window_facts {
	uint64_t now_us;   /* of any clock that does not go back */
	uint64_t rtt_us;   /* the path's round trip; 0: unknown, no growth */
	uint64_t room;     /* by how much it may grow: bytes that the budget has for that */
	uint64_t held;     /* what is left to be taken */
	uint64_t promised; /* what the peer may still send */
	bool pressed;      /* others wait for the budget */
};

/* `most` less than `first`: the window is fixed. */
void window_init(struct window *window, uint32_t first, uint32_t most);
/* Something arrived; `held` with it. */
void window_arrived(struct window *window, uint64_t held, uint64_t now_us);
/* `taken` bytes were: adjusts the size. */
void window_taken(struct window *window, uint64_t taken, const struct window_facts *facts);
/* How much should be promised now beyond what is; 0 also when it is too little to be worth a frame.
 */
uint32_t window_grant(const struct window *window, uint64_t held, uint64_t promised);
/* The most that there can be to hold. */
uint64_t window_charge(const struct window *window, uint64_t held, uint64_t promised);
/* By how much one may grow when `used` of `budget` are: at most half of what is free, and `first`
 * bytes are left, so that another one can begin. */
uint64_t window_room(uint64_t used, uint64_t budget, uint32_t first);
