/* SPDX-License-Identifier: MIT */
/*
 * The pool: who goes first, how many connections there are, and what waiting for them means. The
 * numbers in the names are the lines of stream-semantics.md.
 */
#include "job/job_internal.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* Origins that wait for memory do not take each other's connections away meanwhile. */
static void test_08_waiting_for_budget_keeps_the_connection(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct sim_server *c = serve("c.test", "192.0.2.3");
	struct client *first = NULL;
	struct client *second = NULL;
	struct client *third = NULL;

	(void)state;
	world.env->settings.body_budget = world.env->settings.stream_window; /* one stream */
	world.env->settings.max_connections = 2;
	first = fetch("https://a.test/");
	at(36);
	second = fetch("https://b.test/");
	third = fetch("https://c.test/");
	at(10000);
	assert_int_equal(b->count, 1);
	assert_int_equal(c->count, 0);
	b->automatic = c->automatic = true;
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(first, 10005, 0);
	expect_ended(second, 10015, 0);
	/* It took the place of a's connection at 10005. */
	expect_ended(third, 10005 + 41, 0);
}

/* A job that holds its stream until it is answered. */
static struct client *hold(const char *url)
{
	return fetch(url, .first_byte_ms = 1000000);
}

static void test_05_first_in_first_out_within_priority(void **state)
{
	static const char *const order[] = {"/urgent",   "/high",     "/normal/1",
					    "/normal/2", "/normal/3", "/low"};
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 1;
	(void)hold("https://a.test/");
	at(50);
	(void)fetch("https://a.test/low", PRIORITY(LOW));
	(void)fetch("https://a.test/normal/1");
	(void)fetch("https://a.test/high", PRIORITY(HIGH));
	(void)fetch("https://a.test/normal/2");
	(void)fetch("https://a.test/urgent", PRIORITY(URGENT));
	(void)fetch("https://a.test/normal/3");
	at(60);
	for (unsigned i = 0; i < 6; i++) {
		peer_answer(request_of(a, 0, i), 0);
		at(70 + 10 * i);
		assert_string_equal(request_of(a, 0, i + 1)->path, order[i]);
	}
}

/* Another connection only when the stream limit is what jobs wait for, one at a time, up to the
 * ceiling; new streams to the one with the fewest. */
static void test_08_further_connections(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.max_connections_per_origin = 3;
	a->has_max_streams = true;
	a->max_streams = 2;
	(void)hold("https://a.test/1");
	at(50);
	(void)hold("https://a.test/2");
	at(100);
	assert_int_equal(a->attempts, 1); /* there was room */
	for (unsigned i = 3; i <= 8; i++) {
		(void)hold("https://a.test/more");
	}
	at(111);
	assert_int_equal(a->attempts, 2);
	assert_int_equal(gauges().connecting, 1);
	at(130);
	assert_int_equal(gauges().connecting, 1); /* one at a time */
	at(1000);
	assert_int_equal(a->count, 3);
	assert_int_equal(gauges().connections, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(peer_of(a, i)->requests, 2);
	}
	assert_int_equal(gauges().waiting, 2);
	/* The one with the fewest streams. */
	peer_answer(request_of(a, 1, 0), 0);
	peer_answer(request_of(a, 1, 1), 0);
	peer_answer(request_of(a, 2, 0), 0);
	at(1010);
	assert_int_equal(gauges().waiting, 0);
	(void)hold("https://a.test/next");
	at(1020);
	assert_int_equal(peer_of(a, 1)->requests + peer_of(a, 2)->requests, 7);
}

/* A further connection that cannot be made harms nobody: the open one has to do for a while. */
static void test_08_a_further_connection_that_fails(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *first = NULL;
	struct client *second = NULL;

	(void)state;
	a->has_max_streams = true;
	a->max_streams = 1;
	first = hold("https://a.test/1");
	at(50);
	a->connect = SIM_REFUSE;
	second = hold("https://a.test/2");
	at(1060);
	assert_int_equal(client_state(second), JOB_QUEUED);
	assert_int_equal(a->attempts, 2); /* refused at 61 */
	at(1062);
	assert_int_equal(a->attempts, 3); /* a second later, and after a lookup */
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(first, 1067, 0);
	at(1072);
	peer_answer(request_of(a, 0, 1), 0);
	expect_ended(second, 1077, 0);
	assert_int_equal(second->attempt_count, 1);
}

/* At pool.max_connections the longest idle one is closed. */
static void test_08_the_longest_idle_one_makes_room(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct sim_server *c = serve("c.test", "192.0.2.3");

	(void)state;
	world.env->settings.max_connections = 2;
	a->automatic = b->automatic = c->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	expect_ended(fetch("https://b.test/"), 82, 0);
	at(100);
	expect_ended(fetch("https://a.test/"), 110, 0); /* so b is idle for longer */
	at(200);
	expect_ended(fetch("https://c.test/"), 241, 0);
	at(300);
	assert_true(peer_of(b, 0)->goaway && peer_of(b, 0)->lost);
	assert_false(peer_of(a, 0)->lost);
	assert_int_equal(gauges().connections, 2);
}

/* When none is idle, jobs wait, and origins take turns. */
static void test_08_waiting_for_a_place(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct sim_server *c = serve("c.test", "192.0.2.3");
	struct client *jobs[3];

	(void)state;
	world.env->settings.max_connections = 1;
	jobs[0] = hold("https://a.test/");
	at(50);
	b->automatic = c->automatic = true;
	jobs[1] = fetch("https://b.test/");
	jobs[2] = fetch("https://c.test/");
	at(1000);
	assert_int_equal(b->attempts + c->attempts, 0);
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(jobs[0], 1005, 0);
	expect_ended(jobs[1], 1005 + 41, 0);
	expect_ended(jobs[2], 1005 + 41 + 41, 0);
	/* A reload makes room at once. */
	jobs[0] = hold("https://a.test/");
	at(sim_now_ms() + 100);
	jobs[1] = hold("https://b.test/");
	at(sim_now_ms() + 100);
	assert_int_equal(b->attempts, 1);
	world.env->settings.max_connections = 2;
	pool_reconfigure(world.pool);
	at(sim_now_ms() + 1);
	assert_int_equal(b->attempts, 2);
}

/* A place that comes free is for who has waited for it, not for its last owner. */
static void test_08_a_lost_place_goes_to_who_has_waited(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *owner = NULL;
	struct client *waiter = NULL;

	(void)state;
	world.env->settings.max_connections = 1;
	owner = hold("https://a.test/");
	at(50);
	a->automatic = b->automatic = true;
	waiter = fetch("https://b.test/");
	at(100);
	peer_reset(peer_of(a, 0)); /* its job will be replayed */
	expect_ended(waiter, 105 + 41, 0);
	expect_ended(owner, 105 + 41 + 41, 0);
}

/* A dial that nobody waits for any more is given up, and its place is free. */
static void test_38_cancelled_while_connecting(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *job = NULL;

	(void)state;
	world.env->settings.max_connections = 1;
	b->automatic = true;
	a->connect = SIM_NO_ANSWER;
	job = fetch("https://a.test/");
	at(100);
	client_cancel(job);
	expect_closed(job, 100, CLOSE_CANCELLED, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(sim_files(), 0);
	expect_ended(fetch("https://b.test/"), 141, 0);
	assert_int_equal(a->count, 0);
}

/* A server that closes each connection after two requests, until that is known. The third
 * connection is open then and has carried one. */
static struct sim_server *serve_two_at_a_time(void)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)fetch("https://a.test/");
	for (unsigned i = 0; i < 2; i++) {
		at(sim_now_ms() + 36);
		(void)fetch("https://a.test/");
		(void)fetch("https://a.test/");
		at(sim_now_ms() + 5);
		assert_int_equal(peer_of(a, i)->requests, 3);
		/* The third one is turned away and goes to the next connection. */
		peer_goaway(peer_of(a, i), 3, NGHTTP2_NO_ERROR, "enough");
		peer_answer(request_of(a, i, 0), 0);
		peer_answer(request_of(a, i, 1), 0);
		at(sim_now_ms() + 5);
	}
	at(sim_now_ms() + 36);
	assert_int_equal(peer_of(a, 2)->requests, 1);
	peer_answer(request_of(a, 2, 0), 0);
	at(sim_now_ms() + 100);
	assert_int_equal(world.metrics.jobs_closed[CLOSE_ENDED], 5);
	return a;
}

/* The last request that such a connection takes makes it busy all the same. */
static void test_08_the_last_stream_of_a_habit_is_not_idle(void **state)
{
	struct sim_server *a = NULL;
	struct client *last = NULL;

	(void)state;
	world.env->settings.idle_timeout_ms = 1000;
	a = serve_two_at_a_time();
	last = hold("https://a.test/");
	at(sim_now_ms() + 5000);
	/* It has been idle once, but is not any more. */
	assert_false(peer_of(a, 2)->goaway);
	assert_int_equal(peer_of(a, 2)->requests, 2);
	peer_answer(request_of(a, 2, 1), 0);
	at(sim_now_ms() + 100);
	assert_int_equal(last->reason, CLOSE_ENDED);
	assert_true(peer_of(a, 2)->goaway);
}

/* Connections that take no more are none to wait for: who waits for a dial is told that it failed.
 */
static void test_06_a_dial_that_fails_beside_used_up_connections(void **state)
{
	struct sim_server *a = serve_two_at_a_time();
	struct client *job = NULL;
	uint64_t ms = 0;
	unsigned attempts = 0;

	(void)state;
	(void)hold("https://a.test/");
	ms = sim_now_ms() + 100;
	at(ms);
	a->connect = SIM_REFUSE;
	attempts = a->attempts;
	job = fetch("https://a.test/");
	at(ms + 11);
	assert_int_equal(a->attempts, attempts + 1);
	expect_closed(job, ms + 11, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED);
}

/* That it is known for so long only must not make somebody wait who could go. */
static void test_08_the_end_of_a_habit_leaves_nobody_waiting(void **state)
{
	struct sim_server *a = NULL;
	struct client *job = NULL;

	(void)state;
	world.env->settings.max_connections = 1;
	a = serve_two_at_a_time();
	(void)hold("https://a.test/");
	at(sim_now_ms() + 100);
	job = fetch("https://a.test/");
	/* It is believed for ten minutes. at() looks whether anybody waits for what is there. */
	for (uint64_t ms = 600000; ms < 602000; ms += 100) {
		at(ms);
		assert_int_equal(client_state(job), JOB_QUEUED);
	}
	peer_answer(request_of(a, 2, 1), 0);
	at(sim_now_ms() + 5 + 36);
	assert_int_equal(peer_of(a, 3)->requests, 1);
}

/* memory.body_budget: streams in flight times their window; one always goes. */
static void test_05_the_memory_budget_in_turns(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *last = NULL;

	(void)state;
	world.env->settings.body_budget = (uint64_t)2 * world.env->settings.stream_window;
	(void)hold("https://a.test/1");
	(void)hold("https://a.test/2");
	at(50);
	last = hold("https://b.test/1");
	(void)hold("https://a.test/3");
	at(1000);
	assert_int_equal(gauges().streams, 2);
	assert_int_equal(gauges().waiting, 2);
	/* What comes free is for a's third, which has waited longer: b had to connect first. */
	peer_answer(request_of(a, 0, 0), 0);
	at(1010);
	assert_int_equal(peer_of(a, 0)->requests, 3);
	assert_int_equal(client_state(last), JOB_QUEUED);
	peer_answer(request_of(a, 0, 1), 0);
	at(1020);
	assert_int_equal(peer_of(b, 0)->requests, 1);
}

/* Users take turns: the single job of one is the next to go, however many another one has. */
static void test_09_users_take_turns(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 2;
	for (unsigned i = 0; i < 500; i++) {
		(void)fetch("https://a.test/many", .uid = 1, PRIORITY(URGENT),
			    .first_byte_ms = 1000000);
	}
	at(100);
	assert_int_equal(peer_of(a, 0)->requests, 2);
	(void)fetch("https://a.test/single", .uid = 2, PRIORITY(LOW), .first_byte_ms = 1000000);
	(void)fetch("https://a.test/other", .uid = 3, .first_byte_ms = 1000000);
	at(200);
	assert_int_equal(peer_of(a, 0)->requests, 2);
	peer_answer(request_of(a, 0, 0), 0);
	at(300);
	assert_string_equal(request_of(a, 0, 2)->path, "/single");
	/* Its second comes behind the others' turns. */
	(void)fetch("https://a.test/second", .uid = 2, .first_byte_ms = 1000000);
	for (unsigned i = 1; i < 5; i++) {
		peer_answer(request_of(a, 0, i), 0);
		at(300 + 100 * i);
	}
	assert_string_equal(request_of(a, 0, 3)->path, "/other");
	assert_string_equal(request_of(a, 0, 4)->path, "/many");
	assert_string_equal(request_of(a, 0, 5)->path, "/second");
	assert_string_equal(request_of(a, 0, 6)->path, "/many");
}

/* A job that is not urgent does not wait behind a stream of those that are for ever. */
static void test_05_age_counts_as_priority(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	unsigned low = 0;

	(void)state;
	world.env->settings.aging_ms = 1000;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 1;
	(void)hold("https://a.test/urgent");
	at(50);
	(void)fetch("https://a.test/low", PRIORITY(LOW), .first_byte_ms = 1000000);
	/* One more urgent one each 200 ms than is answered; low is worth urgent after 3 s. */
	for (unsigned i = 0; i < 20; i++) {
		(void)fetch("https://a.test/urgent", PRIORITY(URGENT), .first_byte_ms = 1000000);
		at(100 + 200 * i);
		(void)fetch("https://a.test/urgent", PRIORITY(URGENT), .first_byte_ms = 1000000);
		peer_answer(request_of(a, 0, i), 0);
		at(200 + 200 * i);
		if (request_of(a, 0, i + 1)->path[1] == 'l') {
			low = i + 1;
		}
	}
	/* At 3050 ms there are 15 or 16 urgent ones in front of it, of which one goes each 200 ms:
	 * it would be 31st, but it is not the last of 40 either. */
	assert_int_equal(low, 0);
	for (unsigned i = 20; i < 40 && !low; i++) {
		(void)fetch("https://a.test/urgent", PRIORITY(URGENT), .first_byte_ms = 1000000);
		peer_answer(request_of(a, 0, i), 0);
		at(200 + 200 * i);
		if (request_of(a, 0, i + 1)->path[1] == 'l') {
			low = i + 1;
		}
	}
	assert_in_range(low, 28, 34);
}

static void expect_quota(const struct client *client, const char *limit, uint64_t value)
{
	struct wait wait;

	job_wait(client->job, &wait);
	assert_int_equal(wait.reason, WAIT_USER_QUOTA);
	assert_string_equal(wait.limit, limit);
	assert_int_equal(wait.limit_value, value);
}

/* Who holds its share of the streams waits, and others go past. */
static void test_09_a_share_of_the_streams(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *waiting[2];
	struct client *other = NULL;

	(void)state;
	b->automatic = true;
	world.env->settings.max_streams_per_user = 3;
	for (unsigned i = 0; i < 3; i++) {
		(void)fetch("https://a.test/mine", .uid = 1, .first_byte_ms = 1000000);
	}
	at(50);
	waiting[0] = fetch("https://a.test/waiting", .uid = 1, .first_byte_ms = 1000000);
	waiting[1] = fetch("https://b.test/waiting", .uid = 1, .first_byte_ms = 1000000);
	other = fetch("https://b.test/other", .uid = 2);
	expect_ended(other, 91, 0);
	assert_int_equal(peer_of(a, 0)->requests, 3);
	expect_quota(waiting[0], "pool.max_streams_per_uid", 3);
	expect_quota(waiting[1], "pool.max_streams_per_uid", 3);
	peer_answer(request_of(a, 0, 0), 0);
	at(110);
	assert_int_equal(peer_of(a, 0)->requests, 4);
	expect_quota(waiting[1], "pool.max_streams_per_uid", 3);
	peer_answer(request_of(a, 0, 1), 0);
	at(200);
	assert_int_equal(waiting[1]->reason, CLOSE_ENDED);
}

/* The time that a job waits for its user's share is no time of connecting. */
static void test_09_a_share_is_no_matter_of_connecting(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct sim_server *b = serve("b.test", "192.0.2.2");
	struct client *job = NULL;

	(void)state;
	world.env->settings.max_streams_per_user = 1;
	(void)fetch("https://a.test/", .uid = 1, .first_byte_ms = 1000000);
	at(50);
	b->connect = SIM_NO_ANSWER;
	job = fetch("https://b.test/", .uid = 1, .connect_ms = 500);
	at(10000);
	assert_int_equal(client_state(job), JOB_QUEUED);
	assert_int_equal(b->attempts, 0);
	peer_answer(request_of(a, 0, 0), 0);
	at(10490);
	assert_int_equal(client_state(job), JOB_QUEUED);
	at(11100); /* it is looked at once in that time */
	assert_int_equal(job->reason, CLOSE_CONNECT_FAILED);
	assert_int_equal(failure_top(&job->failure), FAIL_TIMEOUT_CONNECT);
}

/* The same for memory: what one user's paused jobs hold is bounded, and others' have the rest. */
static void test_09_a_share_of_the_memory(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *paused[5];
	struct client *other = NULL;

	(void)state;
	a->automatic = true;
	a->automatic_bytes = 1000000;
	world.env->settings.body_budget = (uint64_t)5 * 65536;
	world.env->settings.body_budget_per_user = (uint64_t)4 * 65536;
	for (unsigned i = 0; i < 5; i++) {
		paused[i] = fetch("https://a.test/", .uid = 1, .no_credit = true);
	}
	at(1000);
	assert_int_equal(account_held(world.accounts, 1, ACCOUNT_BUFFER), 4 * 65536);
	assert_int_equal(account_held(world.accounts, 1, ACCOUNT_STREAMS), 4);
	expect_quota(paused[4], "memory.body_budget_per_uid", 4 * 65536);
	other = fetch("https://a.test/", .uid = 2);
	at(3000);
	assert_int_equal(other->reason, CLOSE_ENDED);
	assert_int_equal(other->taken, 1000000);
	client_cancel(paused[0]);
	at(3001);
	assert_int_not_equal(client_state(paused[4]), JOB_QUEUED);
}

static void test_04_origins_at_their_ceiling(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *refused = NULL;
	const struct ask plain = {.nothing = 0};

	(void)state;
	(void)serve("b.test", "192.0.2.2");
	world.env->settings.max_origins = 1;
	a->automatic = true;
	(void)fetch("https://a.test/");
	refused = client_submit("https://b.test/", &plain);
	assert_int_equal(refused->denied, FAIL_CONNECTION_LIMIT);
	assert_int_equal(world.metrics.jobs_closed[CLOSE_DENIED], 1);
	/* One that is not used any more makes room. */
	at(300000);
	(void)fetch("https://b.test/");
	assert_int_equal(gauges().origins, 1);
}

/* No client can hold up another one's job on the same origin. */
static void test_09_a_client_that_takes_nothing(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *other = NULL;

	(void)state;
	world.env->settings.connection_window = 65536 * 2;
	a->automatic = true;
	a->automatic_bytes = 1000000;
	for (unsigned i = 0; i < 20; i++) {
		(void)fetch("https://a.test/", .no_credit = true);
	}
	at(1000);
	assert_int_equal(world.env->buffered_bytes, 20 * 65536);
	other = fetch("https://a.test/");
	at(1500);
	assert_int_equal(other->reason, CLOSE_ENDED);
	assert_int_equal(other->taken, 1000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_08_waiting_for_budget_keeps_the_connection),
		SCENARIO(test_05_first_in_first_out_within_priority),
		SCENARIO(test_08_further_connections),
		SCENARIO(test_08_a_further_connection_that_fails),
		SCENARIO(test_08_the_longest_idle_one_makes_room),
		SCENARIO(test_08_waiting_for_a_place),
		SCENARIO(test_08_a_lost_place_goes_to_who_has_waited),
		SCENARIO(test_38_cancelled_while_connecting),
		SCENARIO(test_08_the_last_stream_of_a_habit_is_not_idle),
		SCENARIO(test_06_a_dial_that_fails_beside_used_up_connections),
		SCENARIO(test_08_the_end_of_a_habit_leaves_nobody_waiting),
		SCENARIO(test_05_the_memory_budget_in_turns),
		SCENARIO(test_04_origins_at_their_ceiling),
		SCENARIO(test_09_a_client_that_takes_nothing),
		SCENARIO(test_09_users_take_turns),
		SCENARIO(test_05_age_counts_as_priority),
		SCENARIO(test_09_a_share_of_the_streams),
		SCENARIO(test_09_a_share_is_no_matter_of_connecting),
		SCENARIO(test_09_a_share_of_the_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
