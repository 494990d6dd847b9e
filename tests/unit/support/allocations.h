/* SPDX-License-Identifier: MIT */
/*
 * Allocations that fail on purpose: those of the code under test, in programs that are linked with
 * tests/faults' copies of the layers' libraries, which call faulty_malloc() and its like. What
 * nghttp2 and c-ares allocate on the layers' behalf counts too; GnuTLS and the others have no say.
 * Tests' own allocations never fail.
 */
#pragma once

#include <stdbool.h>

/* From now on, allocation `first` fails, from 0, and every `every`-th after it; 0: that one only.
 */
void allocations_arm_every(unsigned long first, unsigned long every);
/* From now on, allocation `nth` fails, from 0. */
void allocations_arm(unsigned long nth);
/* No more. Did one fail? */
bool allocations_disarm(void);
/* Has one failed since it was armed? */
bool allocations_failed(void);
/* How many there were since it was armed last. */
unsigned long allocations_count(void);

/* The test itself uses the code under test until allocations_resume(): nothing fails or counts.
 * They nest. */
void allocations_pause(void);
void allocations_resume(void);

/* Runs `operation` again and again, with allocation 0 failing, then allocation 1, and so on, until
 * it comes to its end without a failure. The operation tests what has come of it: everything if
 * allocations_failed() is false, an error without a trace or everything if it is true. Returns how
 * many failed. */
unsigned long allocations_walk(void (*operation)(void *ctx), void *ctx);
