/* SPDX-License-Identifier: MIT */
/*
 * What a user may have of what all share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/share.h"

#include <stdlib.h>

static struct http_env *env;

static int setup(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {0};

	(void)state;
	env = calloc(1, sizeof(*env));
	assert_non_null(env);
	env->accounts = accounts_new(limits);
	assert_non_null(env->accounts);
	env->settings.max_streams_per_user = 2;
	env->settings.body_budget_per_user = 1000;
	return 0;
}

/* No charge may be left, or accounts_free() asserts. */
static int teardown(void **state)
{
	(void)state;
	accounts_free(env->accounts);
	free(env);
	return 0;
}

struct held {
	struct account_charge stream, buffer;
};

static void take(struct held *held, uint32_t user, uint64_t bytes)
{
	assert_int_equal(share_charge(env, user, ACCOUNT_STREAMS, 1, &held->stream), 0);
	assert_int_equal(share_charge(env, user, ACCOUNT_BUFFER, bytes, &held->buffer), 0);
}

static void give_back(struct held *held)
{
	account_discharge(&held->stream);
	account_discharge(&held->buffer);
}

static void streams(void **state)
{
	struct held held[3] = {{.stream = {.amount = 0}}};

	(void)state;
	assert_int_equal(share_bound(env, 7, 100), SHARE_FREE);
	take(&held[0], 7, 100);
	assert_int_equal(share_bound(env, 7, 100), SHARE_FREE);
	take(&held[1], 7, 100);
	assert_int_equal(share_bound(env, 7, 100), SHARE_OF_STREAMS);
	assert_int_equal(share_bound(env, 8, 100), SHARE_FREE);
	/* A limit that a reload lowered below what is held. */
	env->settings.max_streams_per_user = 1;
	assert_int_equal(share_bound(env, 7, 100), SHARE_OF_STREAMS);
	give_back(&held[0]);
	assert_int_equal(share_bound(env, 7, 100), SHARE_OF_STREAMS);
	give_back(&held[1]);
	assert_int_equal(share_bound(env, 7, 100), SHARE_FREE);
	/* None. */
	env->settings.max_streams_per_user = 0;
	for (unsigned i = 0; i < 3; i++) {
		take(&held[i], 7, 1);
	}
	assert_int_equal(share_bound(env, 7, 100), SHARE_FREE);
	for (unsigned i = 0; i < 3; i++) {
		give_back(&held[i]);
	}
}

static void bytes(void **state)
{
	struct held held = {.stream = {.amount = 0}};

	(void)state;
	assert_int_equal(share_left(env, 7), 1000);
	/* The first stream always goes. */
	assert_int_equal(share_bound(env, 7, 1001), SHARE_FREE);
	take(&held, 7, 400);
	assert_int_equal(share_left(env, 7), 600);
	assert_int_equal(share_left(env, 8), 1000);
	assert_int_equal(share_bound(env, 7, 600), SHARE_FREE);
	assert_int_equal(share_bound(env, 7, 601), SHARE_OF_BUDGET);
	/* A window that grows, beyond all bounds. */
	account_recharge(&held.buffer, 5000);
	assert_int_equal(share_left(env, 7), 0);
	assert_int_equal(share_bound(env, 7, 1), SHARE_OF_BUDGET);
	account_recharge(&held.buffer, 10);
	assert_int_equal(share_left(env, 7), 990);
	env->settings.body_budget_per_user = 0;
	assert_int_equal(share_left(env, 7), UINT64_MAX);
	assert_int_equal(share_bound(env, 7, UINT64_MAX), SHARE_FREE);
	give_back(&held);
}

static void without_accounts(void **state)
{
	struct accounts *accounts = env->accounts;
	struct held held = {.stream = {.amount = 0}};

	(void)state;
	env->accounts = NULL;
	take(&held, 7, 5000);
	take(&held, 7, 5000);
	assert_null(held.stream.account);
	assert_int_equal(share_bound(env, 7, 5000), SHARE_FREE);
	assert_int_equal(share_left(env, 7), UINT64_MAX);
	give_back(&held);
	env->accounts = accounts;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(streams, setup, teardown),
		cmocka_unit_test_setup_teardown(bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(without_accounts, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
