/* SPDX-License-Identifier: MIT */
/*
 * Accounts. The source is included, so that its allocations can be made to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned allocations_left = ~0u;

static bool may_allocate(void)
{
	if (allocations_left == 0) {
		return false;
	}
	--allocations_left;
	return true;
}

static void *failing_malloc(size_t size)
{
	return may_allocate() ? malloc(size) : NULL;
}

static void *failing_calloc(size_t count, size_t size)
{
	return may_allocate() ? calloc(count, size) : NULL;
}

#define malloc failing_malloc
#define calloc failing_calloc
#include "base/account.c"
#undef malloc
#undef calloc

static const uint64_t limits[ACCOUNT_SLOTS] = {[ACCOUNT_PEERS] = 2, [ACCOUNT_JOBS] = 100};

static void charges_come_and_go(void **state)
{
	(void)state;
	struct accounts *accounts = accounts_new(limits);
	struct account_charge a = {0};
	struct account_charge b = {0};
	assert_non_null(accounts);
	assert_int_equal(account_held(accounts, 1000, ACCOUNT_JOBS), 0);
	assert_int_equal(account_charge(accounts, 1000, ACCOUNT_JOBS, 60, &a), 0);
	assert_int_equal(account_charge(accounts, 1000, ACCOUNT_JOBS, 40, &b), 0);
	assert_int_equal(account_held(accounts, 1000, ACCOUNT_JOBS), 100);
	assert_int_equal(account_held(accounts, 1000, ACCOUNT_PEERS), 0);
	assert_int_equal(account_held(accounts, 0, ACCOUNT_JOBS), 0);
	account_discharge(&a);
	account_discharge(&a);
	assert_int_equal(account_held(accounts, 1000, ACCOUNT_JOBS), 40);
	account_discharge(&b);
	assert_int_equal(account_held(accounts, 1000, ACCOUNT_JOBS), 0);
	assert_null(accounts->by_uid);
	accounts_free(accounts);
	accounts_free(NULL);
}

static void limit_is_exact_and_per_uid(void **state)
{
	(void)state;
	struct accounts *accounts = accounts_new(limits);
	struct account_charge a = {0};
	struct account_charge b = {0};
	struct account_charge other = {0};
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 101, &a), -EDQUOT);
	assert_null(a.account);
	/* A refusal leaves no account behind. */
	assert_null(accounts->by_uid);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 99, &a), 0);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 2, &b), -EDQUOT);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, UINT64_MAX, &b), -EDQUOT);
	assert_int_equal(account_charge(accounts, 2, ACCOUNT_JOBS, 100, &other), 0);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 1, &b), 0);
	account_discharge(&a);
	account_discharge(&b);
	account_discharge(&other);
	accounts_free(accounts);
}

static void lowered_limit_keeps_what_is_charged(void **state)
{
	(void)state;
	static const uint64_t lower[ACCOUNT_SLOTS] = {1, 10};
	struct accounts *accounts = accounts_new(limits);
	struct account_charge a = {0};
	struct account_charge b = {0};
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 50, &a), 0);
	accounts_set_limits(accounts, lower);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_JOBS), 50);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 1, &b), -EDQUOT);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 0, &b), -EDQUOT);
	account_discharge(&a);
	assert_int_equal(account_charge(accounts, 1, ACCOUNT_JOBS, 10, &b), 0);
	account_discharge(&b);
	accounts_free(accounts);
}

/* For what is held to a share elsewhere: there is no limit, and a charge may change. */
static void charges_beyond_the_limit(void **state)
{
	(void)state;
	struct accounts *accounts = accounts_new(limits);
	struct account_charge a = {0};
	struct account_charge b = {0};
	assert_int_equal(account_charge_over(accounts, 1, ACCOUNT_BUFFER, 5000, &a), 0);
	assert_int_equal(account_charge_over(accounts, 1, ACCOUNT_BUFFER, 0, &b), 0);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER), 5000);
	account_recharge(&b, 700);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER), 5700);
	account_recharge(&a, 30);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER), 730);
	account_discharge(&a);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER), 700);
	account_recharge(&a, 9); /* nothing is charged any more */
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER), 700);
	account_discharge(&b);
	assert_null(accounts->by_uid);
	accounts_free(accounts);
}

static void out_of_memory_charges_nothing(void **state)
{
	(void)state;
	allocations_left = 0;
	assert_null(accounts_new(limits));
	allocations_left = ~0u;
	struct accounts *accounts = accounts_new(limits);
	/* The account itself, then the tables of its hash. */
	for (unsigned i = 0; i < 3; ++i) {
		struct account_charge charge = {0};
		allocations_left = i;
		assert_int_equal(account_charge(accounts, 7, ACCOUNT_JOBS, 1, &charge), -ENOMEM);
		assert_null(charge.account);
		assert_null(accounts->by_uid);
	}
	allocations_left = ~0u;
	accounts_free(accounts);
}

static void many_uids(void **state)
{
	(void)state;
	enum {
		COUNT = 3000
	};
	static struct account_charge charges[COUNT];
	struct accounts *accounts = accounts_new(limits);
	for (unsigned i = 0; i < COUNT; ++i) {
		assert_int_equal(
			account_charge(accounts, i * 65537u, ACCOUNT_PEERS, 1, &charges[i]), 0);
	}
	for (unsigned i = 0; i < COUNT; ++i) {
		assert_int_equal(account_held(accounts, i * 65537u, ACCOUNT_PEERS), 1);
		account_discharge(&charges[i]);
	}
	accounts_free(accounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(charges_come_and_go),
		cmocka_unit_test(limit_is_exact_and_per_uid),
		cmocka_unit_test(lowered_limit_keeps_what_is_charged),
		cmocka_unit_test(charges_beyond_the_limit),
		cmocka_unit_test(out_of_memory_charges_nothing),
		cmocka_unit_test(many_uids),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
