/* SPDX-License-Identifier: MIT */
/*
 * Memory that is short in the wrong moment: what must not be lost by it. That nothing crashes or
 * leaks, whatever fails, is for the random walk to see.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A reset that cannot be queued must not cost the connection a stream for ever. */
static void test_39_no_memory_for_the_reset(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *first = NULL;

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 1;
	first = fetch("https://a.test/1");
	at(50);
	sim_allocations_fail_every(1);
	client_cancel(first);
	sim_allocations_fail_every(0);
	assert_true(sim_allocations_failed() > 0);
	a->automatic = true;
	expect_ended(fetch("https://a.test/2"), 50 + 41, 0);
}

/* Nor may a GOAWAY that cannot be queued keep a connection's place in the pool. */
static void test_10_no_memory_for_the_goaway(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.idle_timeout_ms = 1000;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	at(1040);
	sim_allocations_fail_every(1);
	at(1041);
	sim_allocations_fail_every(0);
	assert_true(sim_allocations_failed() > 0);
	at(1042);
	assert_int_equal(gauges().connections, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_39_no_memory_for_the_reset),
		SCENARIO(test_10_no_memory_for_the_goaway),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
