/* SPDX-License-Identifier: MIT */
/*
 * The size of a receive window, decided without a network: when it grows, when it shrinks, what it
 * gives and what it is charged with.
 */
#include "http/window.h"

#include <setjmp.h> /* cmocka.h needs these */
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define KIB 1024u
#define FIRST (256u * KIB)
#define MOST (4096u * KIB)
#define RTT_US 20000u

/* A path of a given rate and a reader of another one, in steps of a millisecond. */
struct path {
	struct window window;
	struct window_facts facts; /* held, promised, room, pressed and the clock are the truth */
	uint64_t per_ms;           /* what the path can carry, */
	uint64_t taken_per_ms;     /* and the reader take */
	uint64_t on_way[64]; /* promised at each millisecond, to be known a round trip later */
	uint64_t credit;     /* what the peer knows of it */
	uint64_t most_charged;
	uint64_t taken;
};

static void path_init(struct path *path, uint64_t per_ms, uint64_t taken_per_ms)
{
	*path = (struct path){.per_ms = per_ms, .taken_per_ms = taken_per_ms};
	window_init(&path->window, FIRST, MOST);
	path->facts = (struct window_facts){
		.now_us = 1000000, .rtt_us = RTT_US, .room = UINT32_MAX, .promised = FIRST};
	path->credit = FIRST;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void path_step(struct path *path)
{
	struct window_facts *facts = &path->facts;
	uint64_t now_ms = facts->now_us / 1000;
	uint64_t *slot = &path->on_way[now_ms % (RTT_US / 1000)];
	uint64_t arrives = 0;
	uint64_t left = 0;
	uint64_t charge = window_charge(&path->window, facts->held, facts->promised);

	path->credit += *slot;
	*slot = 0;
	arrives = least(path->credit, path->per_ms);
	path->credit -= arrives;
	facts->promised -= arrives;
	facts->held += arrives;
	assert_true(facts->held <= charge);
	window_arrived(&path->window, facts->held, facts->now_us);
	left = least(facts->held, path->taken_per_ms);
	while (left > 0) {
		uint64_t part = least(left, 64 * KIB);
		uint32_t grant = 0;

		left -= part;
		facts->held -= part;
		path->taken += part;
		window_taken(&path->window, part, facts);
		assert_in_range(path->window.size, FIRST, MOST);
		grant = window_grant(&path->window, facts->held, facts->promised);
		facts->promised += grant;
		*slot += grant;
		assert_true(facts->held + facts->promised <=
			    window_charge(&path->window, facts->held, facts->promised));
	}
	charge = window_charge(&path->window, facts->held, facts->promised);
	path->most_charged = charge > path->most_charged ? charge : path->most_charged;
	facts->now_us += 1000;
}

static void path_run(struct path *path, unsigned ms)
{
	for (unsigned i = 0; i < ms; i++) {
		path_step(path);
	}
}

/* ---- growing ---- */

static void grows_until_the_path_is_full(void **state)
{
	struct path path;
	uint64_t before = 0;

	(void)state;
	/* 1,280 KiB on the way at once, five times the first window. */
	path_init(&path, 64 * KIB, UINT32_MAX);
	path_run(&path, 400);
	assert_in_range(path.window.size, 1280 * KIB, MOST);
	before = path.taken;
	path_run(&path, 1000);
	assert_int_equal(path.taken - before, 1000 * 64 * KIB);
}

static void grows_no_further_than_that(void **state)
{
	struct path path;

	(void)state;
	path_init(&path, 8 * KIB, UINT32_MAX); /* 160 KiB */
	path_run(&path, 10000);
	assert_int_equal(path.window.size, FIRST * 2);
	path_init(&path, 2 * KIB, UINT32_MAX); /* 40 KiB */
	path_run(&path, 10000);
	assert_int_equal(path.window.size, FIRST);
	path_init(&path, KIB * KIB, UINT32_MAX); /* 20 MiB */
	path_run(&path, 10000);
	assert_int_equal(path.window.size, MOST);
}

static void needs_a_round_trip(void **state)
{
	struct path path;

	(void)state;
	path_init(&path, 64 * KIB, UINT32_MAX);
	path.facts.rtt_us = 0;
	path_run(&path, 2000);
	assert_int_equal(path.window.size, FIRST);
}

static void a_fixed_one_stays(void **state)
{
	struct path path;

	(void)state;
	path_init(&path, 64 * KIB, UINT32_MAX);
	window_init(&path.window, FIRST, 0);
	path_run(&path, 2000);
	assert_int_equal(path.window.size, FIRST);
	assert_int_equal(path.most_charged, FIRST);
}

static void grows_into_the_room_there_is(void **state)
{
	struct path path;

	(void)state;
	path_init(&path, 64 * KIB, UINT32_MAX);
	path.facts.room = FIRST / 4 - 1; /* not worth it */
	path_run(&path, 1000);
	assert_int_equal(path.window.size, FIRST);
	path.facts.room = FIRST / 2;
	path_run(&path, 1000);
	assert_in_range(path.window.size, FIRST + FIRST / 2, FIRST * 4);
	assert_int_equal(path.window.size % (FIRST / 2), 0);
}

/* The last bit up to the most is taken, however little it is. */
static void grows_to_the_most(void **state)
{
	struct path path;

	(void)state;
	path_init(&path, 1024 * KIB, UINT32_MAX);
	window_init(&path.window, FIRST, FIRST + 1000);
	path_run(&path, 200);
	assert_int_equal(path.window.size, FIRST + 1000);
}

/* After a long silence the first round is not timed from before it. */
static void times_each_round_anew(void **state)
{
	struct window window;
	struct window_facts facts = {
		.now_us = 5000000, .rtt_us = RTT_US, .room = UINT32_MAX, .promised = FIRST};

	(void)state;
	window_init(&window, FIRST, MOST);
	window_taken(&window, FIRST - 1, &facts);
	window_taken(&window, FIRST - 1, &facts);
	facts.now_us += 10000000;
	window_taken(&window, FIRST - 1, &facts); /* begins a round */
	assert_int_equal(window.size, FIRST);
	window_taken(&window, FIRST - 1, &facts);
	assert_int_equal(window.size, FIRST);
	facts.now_us += 2 * RTT_US;
	window_taken(&window, 1, &facts);
	assert_int_equal(window.size, 2 * FIRST);
	/* A microsecond too late. */
	window_taken(&window, 1, &facts);
	facts.now_us += 2 * RTT_US + 1;
	window_taken(&window, 2 * FIRST, &facts);
	assert_int_equal(window.size, 2 * FIRST);
}

/* ---- shrinking ---- */

/* A reader that is slower than the path. */
static void shrinks_when_the_reader_lags(void **state)
{
	struct path path;
	uint64_t before = 0;

	(void)state;
	path_init(&path, 64 * KIB, UINT32_MAX);
	path_run(&path, 1000);
	assert_in_range(path.window.size, 1280 * KIB, MOST);
	path.taken_per_ms = 10 * KIB;
	path_run(&path, 5000);
	assert_in_range(path.window.size, FIRST, 2 * FIRST);
	assert_in_range(path.facts.held + path.facts.promised, 0, 2 * FIRST);
	/* It still gets what it can take. */
	before = path.taken;
	path_run(&path, 1000);
	assert_in_range(path.taken - before, 990 * 10 * KIB, 1000 * 10 * KIB);
	/* And the window is wide again when it has caught up. */
	path.taken_per_ms = UINT32_MAX;
	path_run(&path, 1000);
	assert_in_range(path.window.size, 1280 * KIB, MOST);
}

/* One that stops altogether costs what had been promised, and gets less when it comes back. */
static void shrinks_after_a_stop(void **state)
{
	struct path path;
	uint64_t held = 0;

	(void)state;
	path_init(&path, 64 * KIB, UINT32_MAX);
	path_run(&path, 1000);
	path.taken_per_ms = 0;
	path_run(&path, 10000);
	held = path.facts.held;
	assert_in_range(held, 1280 * KIB, path.window.size);
	assert_int_equal(path.facts.promised, 0);
	path.taken_per_ms = 1;
	path_run(&path, 1);
	assert_int_equal(path.window.size, FIRST);
	assert_int_equal(window_charge(&path.window, path.facts.held, path.facts.promised),
			 held - 1);
	path.taken_per_ms = 64 * KIB;
	while (path.facts.held >= 64 * KIB && path.facts.held > FIRST) {
		path_run(&path, 1);
		assert_true(path.facts.promised == 0 || path.facts.held < FIRST);
	}
	assert_in_range(window_charge(&path.window, path.facts.held, path.facts.promised), FIRST,
			FIRST + 64 * KIB);
}

/* Bursts that are taken soon are no lag. */
static void a_short_lag_is_none(void **state)
{
	struct window window;
	struct window_facts facts = {.now_us = 1, .rtt_us = 100, .room = UINT32_MAX};

	(void)state;
	window_init(&window, FIRST, MOST);
	window.size = 4 * FIRST;
	for (unsigned i = 0; i < 100; i++) {
		window_arrived(&window, 4 * FIRST, facts.now_us);
		facts.now_us += 150000;
		facts.held = 3 * FIRST;
		window_taken(&window, FIRST, &facts);
		facts.held = 0;
		window_taken(&window, 3 * FIRST, &facts);
		assert_int_equal(window.size, 4 * FIRST);
	}
	window_arrived(&window, 4 * FIRST, facts.now_us);
	facts.now_us += 200000;
	facts.held = 3 * FIRST;
	window_taken(&window, FIRST, &facts);
	assert_int_equal(window.size, 2 * FIRST);
	facts.now_us += 199999;
	window_taken(&window, 0, &facts);
	assert_int_equal(window.size, 2 * FIRST);
	facts.now_us += 1;
	window_taken(&window, 0, &facts);
	assert_int_equal(window.size, FIRST);
}

/* Others wait: nothing is given back until they do not, or the first window is all that is left. */
static void shrinks_by_what_is_taken_under_pressure(void **state)
{
	struct window window;
	struct window_facts facts = {.now_us = 1,
				     .rtt_us = RTT_US,
				     .room = UINT32_MAX,
				     .promised = 3 * FIRST,
				     .held = FIRST,
				     .pressed = true};

	(void)state;
	window_init(&window, FIRST, MOST);
	window.size = 4 * FIRST;
	facts.held -= 1000;
	window_taken(&window, 1000, &facts);
	assert_int_equal(window.size, 4 * FIRST - 1000);
	assert_int_equal(window_grant(&window, facts.held, facts.promised), 0);
	assert_int_equal(window_charge(&window, facts.held, facts.promised), 4 * FIRST - 1000);
	/* The pressure is gone, in time. */
	facts.pressed = false;
	facts.held = 0;
	window_taken(&window, FIRST - 1000, &facts);
	assert_int_equal(window.size, 4 * FIRST - 1000);
	assert_int_equal(window_grant(&window, facts.held, facts.promised), FIRST - 1000);
	facts.promised = FIRST;
	assert_int_equal(window_grant(&window, facts.held, facts.promised), 3 * FIRST - 1000);
	/* Or it is not. */
	facts.pressed = true;
	facts.promised = 100;
	window_taken(&window, 2 * FIRST, &facts);
	assert_int_equal(window.size, FIRST);
	assert_int_equal(window_grant(&window, 0, 100), FIRST - 100);
}

/* ---- arithmetic ---- */

static void gives_in_worthwhile_pieces(void **state)
{
	struct window window;

	(void)state;
	window_init(&window, FIRST, MOST);
	assert_int_equal(window_grant(&window, 0, FIRST), 0);
	assert_int_equal(window_grant(&window, 0, FIRST / 2 + 1), 0);
	assert_int_equal(window_grant(&window, 0, FIRST / 2), FIRST / 2);
	assert_int_equal(window_grant(&window, FIRST / 2, 0), FIRST / 2);
	assert_int_equal(window_grant(&window, FIRST / 2, 1), 0);
	assert_int_equal(window_grant(&window, 0, 0), FIRST);
	assert_int_equal(window_grant(&window, FIRST, FIRST), 0);
	assert_int_equal(window_grant(&window, UINT64_MAX / 2, 0), 0);
	window.size = MOST;
	assert_int_equal(window_grant(&window, 0, MOST - MOST / 8 + 1), 0);
	assert_int_equal(window_grant(&window, 0, MOST - MOST / 8), MOST / 8);
	window.size = 2 * FIRST;
	assert_int_equal(window_grant(&window, FIRST, FIRST / 2 + 1), 0);
	assert_int_equal(window_grant(&window, FIRST, FIRST / 2), FIRST / 2);
	/* The smallest one there can be. */
	window_init(&window, 1, 0);
	assert_int_equal(window_grant(&window, 0, 1), 0);
	assert_int_equal(window_grant(&window, 0, 0), 1);
}

static void charges_the_most_there_can_be(void **state)
{
	struct window window;

	(void)state;
	window_init(&window, FIRST, MOST);
	assert_int_equal(window_charge(&window, 0, 0), FIRST);
	assert_int_equal(window_charge(&window, 1, FIRST), FIRST + 1);
	assert_int_equal(window_charge(&window, MOST, 0), MOST);
}

static void leaves_room_for_another(void **state)
{
	(void)state;
	assert_int_equal(window_room(0, 100 * FIRST, FIRST), 50 * FIRST);
	assert_int_equal(window_room(97 * FIRST, 100 * FIRST, FIRST), FIRST + FIRST / 2);
	assert_int_equal(window_room(100 * FIRST - FIRST - 1, 100 * FIRST, FIRST), 1);
	assert_int_equal(window_room(99 * FIRST, 100 * FIRST, FIRST), 0);
	assert_int_equal(window_room(100 * FIRST, 100 * FIRST, FIRST), 0);
	assert_int_equal(window_room(200 * FIRST, 100 * FIRST, FIRST), 0);
	assert_int_equal(window_room(0, 0, FIRST), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_until_the_path_is_full),
		cmocka_unit_test(grows_no_further_than_that),
		cmocka_unit_test(needs_a_round_trip),
		cmocka_unit_test(a_fixed_one_stays),
		cmocka_unit_test(grows_into_the_room_there_is),
		cmocka_unit_test(grows_to_the_most),
		cmocka_unit_test(times_each_round_anew),
		cmocka_unit_test(shrinks_when_the_reader_lags),
		cmocka_unit_test(shrinks_after_a_stop),
		cmocka_unit_test(a_short_lag_is_none),
		cmocka_unit_test(shrinks_by_what_is_taken_under_pressure),
		cmocka_unit_test(gives_in_worthwhile_pieces),
		cmocka_unit_test(charges_the_most_there_can_be),
		cmocka_unit_test(leaves_room_for_another),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
