/* SPDX-License-Identifier: MIT */
/*
 * What the fuzzer of a connection needs of its loop beyond base/loop.h: a clock that is moved by
 * hand, and one descriptor's stand-in.
 */
#pragma once

#include "base/loop.h"

/* `poll` is called where a real loop calls back for its descriptors: before timers and tasks. */
void virtual_loop_set_poll(struct loop *loop, void (*poll)(void *ctx), void *ctx);
/* Lets time pass: a round at each moment at which a timer is due, and one at the end. */
void virtual_loop_pass(struct loop *loop, uint64_t ms);
/* Is anything left to do without time or bytes? */
bool virtual_loop_is_idle(const struct loop *loop);
/* No timer runs and no task is queued. */
bool virtual_loop_is_empty(const struct loop *loop);
