/* SPDX-License-Identifier: MIT */
/*
 * The size of a receive window: see window.h.
 */
#include "http/window.h"

/* A reader that lags for so long is slower than the path, and not just busy. */
#define LAG_US UINT64_C(200000)
static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

void window_init(struct window *window, uint32_t first, uint32_t most)
{
	*window = (struct window){
		.size = first,
		.first = first,
		.most = (uint32_t)larger(first, most),
	};
}

static bool is_behind(const struct window *window, uint64_t held)
{
	return held > window->size / 2;
}

void window_arrived(struct window *window, uint64_t held, uint64_t now_us)
{
	if (!window->lags && is_behind(window, held)) {
		window->lags = true;
		window->lag_us = now_us;
	}
}

static void resize(struct window *window, uint64_t size)
{
	window->size = (uint32_t)larger(size, window->first);
	window->in_round = false;
}

/* Half for each LAG_US that has passed. */
static void cut_for_lag(struct window *window, uint64_t now_us)
{
	while (window->size > window->first && now_us - window->lag_us >= LAG_US) {
		resize(window, window->size / 2);
		window->lag_us += LAG_US;
	}
}

/* Counts what is taken, and grows when a whole window's worth was in two round trips. */
static void time_round(struct window *window, uint64_t taken, const struct window_facts *facts)
{
	uint64_t growth = 0;

	if (facts->rtt_us == 0) {
		return;
	}
	if (!window->in_round || facts->now_us - window->round_us > 2 * facts->rtt_us) {
		window->in_round = true;
		window->round_us = facts->now_us;
		window->round_bytes = 0;
		return;
	}
	window->round_bytes += taken;
	if (window->round_bytes < window->size || facts->held > window->size / 4) {
		return;
	}
	growth = smaller(smaller(window->size, window->most - window->size), facts->room);
	window->in_round = false;
	/* A little is not worth it. */
	if (growth >= window->size / 4 || growth == window->most - window->size) {
		resize(window, window->size + growth);
	}
}

void window_taken(struct window *window, uint64_t taken, const struct window_facts *facts)
{
	if (window->lags && !is_behind(window, facts->held)) {
		window->lags = false;
	}
	if (facts->pressed) {
		/* What was taken is not given back, neither less nor more. */
		resize(window, smaller(window->size, facts->held + facts->promised));
	} else if (window->lags) {
		cut_for_lag(window, facts->now_us);
	} else {
		time_round(window, taken, facts);
	}
}

uint32_t window_grant(const struct window *window, uint64_t held, uint64_t promised)
{
	uint64_t spoken_for = held + promised;
	uint64_t missing = spoken_for < window->size ? window->size - spoken_for : 0;
	uint64_t step = 0;

	/* Half of a small window, so that frames are few. A large one is opened bit by bit, or much
	 * of it would lie idle while the frame that opens it travels. */
	step = smaller(window->size / 2, larger(window->first / 2, window->size / 8));
	return missing > 0 && missing >= step ? (uint32_t)missing : 0;
}

uint64_t window_charge(const struct window *window, uint64_t held, uint64_t promised)
{
	return larger(window->size, held + promised);
}

uint64_t window_room(uint64_t used, uint64_t budget, uint32_t first)
{
	uint64_t free = used < budget ? budget - used : 0;

	return free > first ? smaller(free / 2, free - first) : 0;
}
