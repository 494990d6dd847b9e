/* SPDX-License-Identifier: MIT */
/*
 * Who uses how much: every job and every buffered byte that a client can cause is charged to its
 * uid before it exists. A charge is part of the object that it pays for, and goes with it; an
 * account that goes away must be at zero, which is asserted and makes every leak of a charge a
 * crash in the tests.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum account_slot {
	ACCOUNT_PEERS,
	ACCOUNT_JOBS,
	ACCOUNT_FDS, /* passed descriptors */
	/* Held to a share by the pool, which lets what is beyond it wait; so no limit here. */
	ACCOUNT_STREAMS,
	ACCOUNT_BUFFER, /* bytes of body that its streams and uploads may hold */
	ACCOUNT_SLOTS
};

struct accounts;
struct account; /* of one uid, reference-counted through its charges */

/* `limits`: the most that one uid may hold of each slot. NULL when out of memory. */
struct accounts *accounts_new(const uint64_t limits[ACCOUNT_SLOTS]);
/* All charges must be gone (asserted). NULL is fine. */
void accounts_free(struct accounts *accounts);
/* After a reload. What is already charged stays, even above the new limit. */
void accounts_set_limits(struct accounts *accounts, const uint64_t limits[ACCOUNT_SLOTS]);

/* All zero: nothing charged. Embedded in the object it pays for. */
struct account_charge {
	struct account *account;
	enum account_slot slot;
	uint64_t amount;
};

/* Charges `amount`. 0; -EDQUOT when the uid would pass its limit, -ENOMEM: then nothing is charged.
 */
int account_charge(struct accounts *accounts, uid_t uid, enum account_slot slot, uint64_t amount,
		   struct account_charge *ret_charge);
/* The same beyond any limit, for what is held to one elsewhere. 0, -ENOMEM. */
int account_charge_over(struct accounts *accounts, uid_t uid, enum account_slot slot,
			uint64_t amount, struct account_charge *ret_charge);
/* From now on it is for so much, beyond any limit. Nothing, if nothing is charged. */
void account_recharge(struct account_charge *charge, uint64_t amount);
/* Gives it back. Idempotent. */
void account_discharge(struct account_charge *charge);
/* What the uid holds now; 0 for an unknown one. */
uint64_t account_held(const struct accounts *accounts, uid_t uid, enum account_slot slot);
