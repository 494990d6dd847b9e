/* SPDX-License-Identifier: MIT */
/*
 * Accounts by uid. An account exists as long as something is charged to it, so that their number is
 * bounded by what the charges pay for.
 */
#include "base/account.h"

#include "base/hash.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct account {
	struct accounts *accounts;
	uid_t uid;
	size_t charges;
	uint64_t held[ACCOUNT_SLOTS];
	UT_hash_handle hh; /* in accounts::by_uid */
};

struct accounts {
	uint64_t limits[ACCOUNT_SLOTS];
	struct account *by_uid;
};

struct accounts *accounts_new(const uint64_t limits[ACCOUNT_SLOTS])
{
	struct accounts *accounts = calloc(1, sizeof(*accounts));
	if (accounts) {
		accounts_set_limits(accounts, limits);
	}
	return accounts;
}

void accounts_free(struct accounts *accounts)
{
	if (!accounts) {
		return;
	}
	assert(!accounts->by_uid);
	free(accounts);
}

void accounts_set_limits(struct accounts *accounts, const uint64_t limits[ACCOUNT_SLOTS])
{
	memcpy(accounts->limits, limits, sizeof(accounts->limits));
}

static struct account *find(const struct accounts *accounts, uid_t uid)
{
	struct account *account;
	HASH_FIND(hh, accounts->by_uid, &uid, sizeof(uid), account);
	return account;
}

static struct account *add(struct accounts *accounts, uid_t uid)
{
	struct account *account = calloc(1, sizeof(*account));
	if (!account) {
		return NULL;
	}
	account->accounts = accounts;
	account->uid = uid;
	HASH_ADD(hh, accounts->by_uid, uid, sizeof(uid), account);
	if (!account->hh.tbl) {
		free(account);
		return NULL;
	}
	return account;
}

int account_charge(struct accounts *accounts, uid_t uid, enum account_slot slot, uint64_t amount,
		   struct account_charge *ret_charge)
{
	uint64_t held = account_held(accounts, uid, slot);
	uint64_t limit = accounts->limits[slot];
	if (held > limit || amount > limit - held) {
		return -EDQUOT;
	}
	return account_charge_over(accounts, uid, slot, amount, ret_charge);
}

int account_charge_over(struct accounts *accounts, uid_t uid, enum account_slot slot,
			uint64_t amount, struct account_charge *ret_charge)
{
	struct account *account = find(accounts, uid);
	if (!account) {
		account = add(accounts, uid);
		if (!account) {
			return -ENOMEM;
		}
	}
	account->held[slot] += amount;
	++account->charges;
	ret_charge->account = account;
	ret_charge->slot = slot;
	ret_charge->amount = amount;
	return 0;
}

void account_recharge(struct account_charge *charge, uint64_t amount)
{
	struct account *account = charge->account;
	if (!account) {
		return;
	}
	assert(account->held[charge->slot] >= charge->amount);
	account->held[charge->slot] += amount - charge->amount;
	charge->amount = amount;
}

void account_discharge(struct account_charge *charge)
{
	struct account *account = charge->account;
	if (!account) {
		return;
	}
	assert(account->charges > 0 && account->held[charge->slot] >= charge->amount);
	account->held[charge->slot] -= charge->amount;
	memset(charge, 0, sizeof(*charge));
	if (--account->charges == 0) {
		HASH_DELETE(hh, account->accounts->by_uid, account);
		free(account);
	}
}

uint64_t account_held(const struct accounts *accounts, uid_t uid, enum account_slot slot)
{
	const struct account *account = find(accounts, uid);
	return account ? account->held[slot] : 0;
}
