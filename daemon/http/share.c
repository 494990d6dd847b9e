/* SPDX-License-Identifier: MIT */
/*
 * Users' shares.
 */
#include "http/share.h"

int share_charge(const struct http_env *env, uint32_t user, enum account_slot slot, uint64_t amount,
		 struct account_charge *ret_charge)
{
	if (!env->accounts) {
		return 0;
	}
	return account_charge_over(env->accounts, user, slot, amount, ret_charge);
}

uint64_t share_left(const struct http_env *env, uint32_t user)
{
	uint64_t limit = env->settings.body_budget_per_user;
	uint64_t held = 0;

	if (limit == 0 || !env->accounts) {
		return UINT64_MAX;
	}
	held = account_held(env->accounts, user, ACCOUNT_BUFFER);
	return held < limit ? limit - held : 0;
}

enum share_bound share_bound(const struct http_env *env, uint32_t user, uint64_t bytes)
{
	uint64_t limit = env->settings.max_streams_per_user;
	uint64_t streams = 0;

	if (!env->accounts) {
		return SHARE_FREE;
	}
	streams = account_held(env->accounts, user, ACCOUNT_STREAMS);
	if (streams == 0) {
		return SHARE_FREE;
	}
	if (limit > 0 && streams >= limit) {
		return SHARE_OF_STREAMS;
	}
	return share_left(env, user) < bytes ? SHARE_OF_BUDGET : SHARE_FREE;
}
