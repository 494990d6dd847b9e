/* SPDX-License-Identifier: MIT */
/*
 * What has to hold at every moment: counts against recounts, one end for every job, every byte of a
 * window given back once, nobody waiting for what is free. Looks into the structs of http/ and
 * job/; nothing else in the simulation does, but for one scenario.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>

/* Between rounds of the loop. `settled`: and nothing is left to do at this moment, so that what
 * tasks put right is right. */
void check_invariants(bool settled);
/* A line for each open job. */
void tell_jobs(FILE *out);
