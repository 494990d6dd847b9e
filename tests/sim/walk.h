/* SPDX-License-Identifier: MIT */
/*
 * The random walk: what its two files share.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* What was done, for the trace of a walk that fails. `what` is static text. */
void walk_note(const char *what, uint64_t a, uint64_t b);

/* Names, servers and limits, chosen by the seed. */
void walk_set_up(void);
/* One thing happens, by chance. */
void walk_act(void);
/* Servers and names are what they should be, and all that is silent speaks again. */
void walk_heal(void);
/* Servers answer everything that they were asked. */
void walk_answer_all(void);
