/* SPDX-License-Identifier: MIT */
/*
 * What one user may hold of what all share: streams in flight, and bytes of the memory budget.
 * Counts alone; who waits, and when, is the pool's matter.
 */
#pragma once

#include "http/env.h"

#include <stdint.h>

/* What keeps a user from another stream. */
enum share_bound {
	SHARE_FREE,
	SHARE_OF_STREAMS, /* pool.max_streams_per_uid */
	SHARE_OF_BUDGET   /* memory.body_budget_per_uid */
};

/* Charges to the user's account, if accounts are kept. 0, -ENOMEM. */
int share_charge(const struct http_env *env, uint32_t user, enum account_slot slot, uint64_t amount,
		 struct account_charge *ret_charge);
/* May the user have another stream with a window of `bytes`? One that has no stream always may. */
enum share_bound share_bound(const struct http_env *env, uint32_t user, uint64_t bytes);
/* What is left of the user's share of the memory budget, for windows that want to grow. */
uint64_t share_left(const struct http_env *env, uint32_t user);
