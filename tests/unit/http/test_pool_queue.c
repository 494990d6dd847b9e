/* SPDX-License-Identifier: MIT */
/*
 * Turns of users, and of one user's requests; users at their shares.
 */
#include "unit/http/pool_world.h"

#include "http/pool_queue.h"

static struct accounts *accounts;

static int shares_setup(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {0};

	(void)setup(state);
	accounts = accounts_new(limits);
	assert_non_null(accounts);
	world.env->accounts = accounts;
	return 0;
}

/* Nobody is remembered and nothing is charged when nobody waits. */
static int shares_teardown(void **state)
{
	rounds(world.loop, 3);
	assert_null(pool->users);
	assert_int_equal(pool->remembered, 0);
	(void)teardown(state);
	accounts_free(accounts);
	return 0;
}

/* One stream at a time, at each origin. */
static void narrow(void)
{
	world.env->settings.max_streams_per_connection = 1;
	world.env->settings.max_connections_per_origin = 1;
}

/* It has its stream, and lets go of it. */
static void finish(struct guest *guest)
{
	UNTIL(world.loop, guest->fetch.sent);
	fetch_free(&guest->fetch);
}

/* They go in this order, one after the other, from the how manyth on. */
static void expect_order(struct guest *guests, const unsigned *order, unsigned count)
{
	unsigned before = ready_count;

	for (unsigned i = 0; i < count; i++) {
		UNTIL(world.loop, ready_count == before + i + 1);
		assert_int_equal(guests[order[i]].order, before + i + 1);
		finish(&guests[order[i]]);
	}
}

static void fini(struct guest *guests, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		guest_fini(&guests[i]);
	}
}

static void rank(void **state)
{
	(void)state;
	assert_int_equal(pool_rank_ms(PRIORITY_URGENT, 500, 1000), 500);
	assert_int_equal(pool_rank_ms(PRIORITY_LOW, 500, 1000), 3500);
	/* One level for each 1000 ms. */
	assert_true(pool_rank_ms(PRIORITY_NORMAL, 0, 1000) <
		    pool_rank_ms(PRIORITY_HIGH, 1001, 1000));
	assert_true(pool_rank_ms(PRIORITY_NORMAL, 0, 1000) >
		    pool_rank_ms(PRIORITY_HIGH, 999, 1000));
	assert_true(pool_rank_ms(PRIORITY_LOW, 0, 1000) <
		    pool_rank_ms(PRIORITY_URGENT, 3001, 1000));
	assert_true(pool_rank_ms(PRIORITY_LOW, 0, 1000) >
		    pool_rank_ms(PRIORITY_URGENT, 2999, 1000));
	/* And beyond the highest. */
	assert_true(pool_rank_ms(PRIORITY_HIGH, 0, 1000) <
		    pool_rank_ms(PRIORITY_URGENT, 9000, 1000));
	/* The longest that may be configured. */
	assert_int_equal(pool_rank_ms(PRIORITY_LOW, 1, UINT64_C(86400000)), UINT64_C(259200001));
}

static void users_take_turns(void **state)
{
	static const uint32_t users[] = {1, 1, 1, 1, 2, 2, 3};
	/* The first has had its turn when 2 and 3 come. */
	static const unsigned order[] = {4, 6, 1, 5, 2, 3};
	struct guest guests[7] = {{.ready = 0}};

	(void)state;
	narrow();
	for (unsigned i = 0; i < 7; i++) {
		guests[i].user = users[i];
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
		if (i == 0) {
			UNTIL(world.loop, guests[0].fetch.sent);
		}
	}
	rounds(world.loop, 3);
	finish(&guests[0]);
	expect_order(guests, order, 6);
	fini(guests, 7);
}

/* One job after the other is no way round the turns: who has had one waits for the next round. */
static void coming_back_is_no_advantage(void **state)
{
	struct guest many[4] = {{.ready = 0}};
	struct guest single[4] = {{.ready = 0}};

	(void)state;
	narrow();
	for (unsigned i = 0; i < 4; i++) {
		many[i].user = 1;
		single[i].user = 2;
		wait_for(&many[i], world.origin, PRIORITY_NORMAL);
	}
	wait_for(&single[0], world.origin, PRIORITY_NORMAL);
	for (unsigned i = 0; i < 4; i++) {
		UNTIL(world.loop, many[i].fetch.sent);
		assert_int_equal(many[i].order, 2 * i + 1);
		fetch_free(&many[i].fetch);
		UNTIL(world.loop, single[i].fetch.sent);
		assert_int_equal(single[i].order, 2 * i + 2);
		if (i < 3) {
			wait_for(&single[i + 1], world.origin, PRIORITY_URGENT);
		}
		fetch_free(&single[i].fetch);
	}
	fini(many, 4);
	fini(single, 4);
}

/* What a client calls urgent is urgent among its user's. */
static void priority_counts_within_a_user(void **state)
{
	static const unsigned order[] = {4, 2, 3, 1};
	struct guest guests[5] = {{.user = 1}, {.user = 1}, {.user = 1}, {.user = 1}, {.user = 2}};
	static const enum priority priorities[] = {PRIORITY_NORMAL, PRIORITY_LOW, PRIORITY_URGENT,
						   PRIORITY_URGENT, PRIORITY_LOW};

	(void)state;
	narrow();
	for (unsigned i = 0; i < 5; i++) {
		wait_for(&guests[i], world.origin, priorities[i]);
		if (i == 0) {
			UNTIL(world.loop, guests[0].fetch.sent);
		}
	}
	finish(&guests[0]);
	expect_order(guests, order, 4);
	fini(guests, 5);
}

static void on_timer(void *ctx)
{
	*(bool *)ctx = true;
}

/* The clock shows a time that is later by so much. */
static void let_pass(uint64_t ms)
{
	struct loop_timer timer = {0};
	bool over = false;

	loop_timer_start(&timer, world.loop, ms, on_timer, &over);
	UNTIL(world.loop, over);
}

/* The low one has waited for more than three levels when the urgent ones come, and who comes back
 * to an old place is as old as those behind. */
static void age_makes_urgent(void **state)
{
	struct guest guests[6] = {{.ready = 0},  {.place = 20}, {.place = 30},
				  {.place = 40}, {.place = 50}, {.place = 10}};
	static const enum priority priorities[] = {PRIORITY_NORMAL, PRIORITY_LOW,    PRIORITY_LOW,
						   PRIORITY_URGENT, PRIORITY_URGENT, PRIORITY_LOW};
	static const unsigned old[] = {5, 1, 2, 3, 4};
	static const unsigned strict[] = {3, 4, 5, 1, 2};

	for (unsigned run = 0; run < 2; run++) {
		world.env->settings.aging_ms = run == 0 ? 1 : 0;
		narrow();
		for (unsigned i = 0; i < 6; i++) {
			wait_for(&guests[i], world.origin, priorities[i]);
			if (i == 0) {
				finish(&guests[0]);
				wait_for(&guests[0], world.origin, PRIORITY_URGENT);
				guests[0].fetch.sent = 0;
				UNTIL(world.loop, guests[0].fetch.sent);
			}
			if (i == 2) {
				let_pass(5);
			}
		}
		finish(&guests[0]);
		expect_order(guests, run == 0 ? old : strict, 5);
		fini(guests, 6);
		for (unsigned i = 0; i < 6; i++) {
			guests[i].fetch.sent = 0;
		}
	}
	(void)state;
}

/* Others go past who has all that one may have; what comes free of it is for its own. */
static void streams_of_a_user(void **state)
{
	struct guest guests[6] = {{.user = 1}, {.user = 1}, {.user = 1},
				  {.user = 1}, {.user = 2}, {.user = 1}};
	struct wait wait;

	(void)state;
	world.env->settings.max_streams_per_user = 2;
	for (unsigned i = 0; i < 6; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	UNTIL(world.loop, guests[4].fetch.sent);
	rounds(world.loop, 5);
	assert_int_equal(ready_count, 3);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_STREAMS), 2);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER),
			 2 * world.env->settings.stream_window);
	assert_int_equal(account_held(accounts, 2, ACCOUNT_STREAMS), 1);
	assert_wait(&guests[2], WAIT_USER_QUOTA, "the user has 2 streams in flight");
	wait = wait_of(&guests[5]);
	assert_string_equal(wait.limit, "pool.max_streams_per_uid");
	assert_int_equal(wait.limit_value, 2);
	finish(&guests[4]); /* another user's changes nothing */
	rounds(world.loop, 5);
	assert_int_equal(ready_count, 3);
	finish(&guests[0]);
	UNTIL(world.loop, guests[2].fetch.sent);
	assert_int_equal(wait_of(&guests[5]).since_ms, wait.since_ms);
	/* Who gives up before its turn. */
	pool_waiter_cancel(&guests[3].waiter);
	finish(&guests[1]);
	UNTIL(world.loop, guests[5].fetch.sent);
	fini(guests, 6);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_STREAMS), 0);
	assert_int_equal(account_held(accounts, 1, ACCOUNT_BUFFER), 0);
}

static void bytes_of_a_user(void **state)
{
	struct guest guests[4] = {{.user = 1}, {.user = 1}, {.user = 1}, {.user = 2}};

	(void)state;
	/* A share smaller than a window lets one stream go all the same. */
	world.env->settings.body_budget_per_user = 1;
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	UNTIL(world.loop, guests[0].fetch.sent && guests[3].fetch.sent);
	rounds(world.loop, 5);
	assert_int_equal(ready_count, 2);
	assert_wait(&guests[1], WAIT_USER_QUOTA, "memory.body_budget_per_uid: ");
	assert_string_equal(wait_of(&guests[1]).limit, "memory.body_budget_per_uid");
	assert_int_equal(wait_of(&guests[1]).limit_value, 1);
	/* A reload makes room at once. */
	world.env->settings.body_budget_per_user = 2 * world.env->settings.stream_window;
	pool_reconfigure(pool);
	UNTIL(world.loop, guests[1].fetch.sent);
	rounds(world.loop, 5);
	assert_int_equal(guests[2].ready, 0);
	world.env->settings.body_budget_per_user = 0;
	pool_reconfigure(pool);
	UNTIL(world.loop, guests[2].fetch.sent);
	fini(guests, 4);
}

/* At all origins together: they take turns with what comes free, so that a crowd at one of them
 * does not keep the user's job at another waiting. */
static void a_share_goes_round_the_origins(void **state)
{
	struct h2_origin *other = h2_origin_new(world.loop);
	struct guest crowd[6] = {{.ready = 0}};
	struct guest single[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_streams_per_user = 1;
	for (unsigned i = 0; i < 6; i++) {
		crowd[i].user = 1;
		wait_for(&crowd[i], world.origin, PRIORITY_URGENT);
	}
	UNTIL(world.loop, crowd[0].fetch.sent);
	single[0].user = single[1].user = 1;
	wait_for(&single[0], other, PRIORITY_LOW);
	rounds(world.loop, 5);
	assert_wait(&single[0], WAIT_USER_QUOTA, "");
	assert_int_equal(pool_waiter_connecting_since_ms(&single[0].waiter), 0);
	assert_int_equal(gauges().connections, 1); /* none is made for who may not go */
	finish(&crowd[0]);
	/* The crowd is first in line; then the other origin, which has to connect: meanwhile the
	 * share does not lie idle. */
	UNTIL(world.loop, crowd[1].fetch.sent);
	finish(&crowd[1]);
	UNTIL(world.loop, ready_count == 3);
	finish(&crowd[2]);
	UNTIL(world.loop, gauges().connections == 2);
	if (!single[0].ready) {
		finish(&crowd[3]);
		UNTIL(world.loop, single[0].ready || crowd[4].ready);
	}
	assert_int_equal(single[0].ready, 1);
	finish(&single[0]);
	fini(crowd, 6);
	fini(single, 2);
	pool_free(pool);
	h2_origin_close(other);
	pool = pool_new(world.env);
	h2_origin_free(other);
}

/* A connection that only such wait for as may not go is idle: others may have its place. */
static void a_held_user_keeps_no_connection(void **state)
{
	struct h2_origin *other = h2_origin_new(world.loop);
	struct guest guests[3] = {{.user = 1}, {.user = 1}, {.user = 2}};
	struct connection_view views[16];

	(void)state;
	world.env->settings.max_streams_per_user = 1;
	world.env->settings.max_connections = 2;
	guests[1].pass = true;
	wait_for(&guests[1], other, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[1].ready);
	rounds(world.loop, 3);
	guests[1].pass = false;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	wait_for(&guests[1], other, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	assert_wait(&guests[1], WAIT_USER_QUOTA, "");
	assert_int_equal(look(views), 2);
	assert_string_equal(views[0].origin[0] ? views[1].why : "", "idle");
	/* And it is taken again when the share is free. */
	finish(&guests[0]);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(world.metrics.connections_opened, 2);
	fini(guests, 3);
	pool_free(pool);
	h2_origin_close(other);
	pool = pool_new(world.env);
	h2_origin_free(other);
}

/* Origins that wait for memory: the first of each user comes before all seconds. */
static void memory_goes_round_the_users(void **state)
{
	struct h2_origin *origins[4] = {world.origin};
	struct guest guests[5] = {{.user = 1}, {.user = 1}, {.user = 1}, {.user = 2}, {.user = 1}};

	(void)state;
	for (unsigned i = 1; i < 4; i++) {
		origins[i] = h2_origin_new(world.loop);
	}
	world.env->settings.body_budget = world.env->settings.stream_window;
	guests[4].pass = true;
	for (unsigned i = 0; i < 4; i++) {
		/* All are connected. */
		guests[4].ready = 0;
		wait_for(&guests[4], origins[i], PRIORITY_NORMAL);
		UNTIL(world.loop, guests[4].ready);
	}
	guests[4].pass = false;
	wait_for(&guests[4], origins[0], PRIORITY_NORMAL);
	UNTIL(world.loop, guests[4].fetch.sent);
	ready_count = 0;
	for (unsigned i = 0; i < 4; i++) {
		wait_for(&guests[i], origins[i], PRIORITY_NORMAL);
		rounds(world.loop, 2);
	}
	assert_wait(&guests[3], WAIT_MEMORY_BUDGET, "");
	finish(&guests[4]);
	expect_order(guests, (const unsigned[]){0, 3, 1, 2}, 4);
	fini(guests, 5);
	for (unsigned i = 1; i < 4; i++) {
		h2_origin_close(origins[i]);
	}
	pool_free(pool);
	pool = pool_new(world.env);
	for (unsigned i = 1; i < 4; i++) {
		h2_origin_free(origins[i]);
	}
}

/* All who wait are told of a dial that failed, whatever their user's turn and share. */
static void failing_tells_every_user(void **state)
{
	struct h2_origin *closed = h2_origin_new(world.loop);
	struct guest guests[6] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_streams_per_user = 1;
	for (unsigned i = 0; i < 6; i++) {
		guests[i].user = i % 3;
		wait_for(&guests[i], closed, PRIORITY_NORMAL);
	}
	h2_origin_free(closed);
	UNTIL(world.loop, guests[5].failed);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(guests[i].failed, 1);
	}
	fini(guests, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, shares_setup, shares_teardown)
		cmocka_unit_test(rank),
		TEST(users_take_turns),
		TEST(coming_back_is_no_advantage),
		TEST(priority_counts_within_a_user),
		TEST(age_makes_urgent),
		TEST(streams_of_a_user),
		TEST(bytes_of_a_user),
		TEST(a_share_goes_round_the_origins),
		TEST(a_held_user_keeps_no_connection),
		TEST(memory_goes_round_the_users),
		TEST(failing_tells_every_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
