/* SPDX-License-Identifier: MIT */
/*
 * Which allocations of a test are made to fail, run by run.
 */
#pragma once

#include <stdbool.h>

/* Counted from the beginning of the test, or of its setup, from 0. */
struct plan {
	unsigned long first;
	unsigned long every; /* and so many-th after it; 0: none */
	bool in_setup;
};

/* Plan `*number` or the next one behind it for a test with `count` allocations, and *number moves
 * on behind it: first every n-th allocation, then each single one, then every n-th again from other
 * beginnings. False when there are no more. Does not touch `in_setup`. */
bool plan_next(unsigned long count, unsigned long *number, struct plan *ret_plan);
