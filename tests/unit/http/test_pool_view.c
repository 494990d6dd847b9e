/* SPDX-License-Identifier: MIT */
/*
 * What a waiter is said to wait for: exactly one thing, since when, at which limit. Pauses are in
 * test_pool_connection.c.
 */
#include "unit/http/pool_world.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

/* A name server that never answers. */
static int silent_name_server(char address[32])
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(in);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
	snprintf(address, 32, "127.0.0.1:%u", (unsigned)ntohs(in.sin_port));
	return fd;
}

static void on_tick(void *ctx)
{
	*(bool *)ctx = true;
}

/* The clock shows another time than before. */
static void tick(void)
{
	struct loop_timer timer = {0};
	bool ticked = false;

	loop_timer_start(&timer, world.loop, 3, on_tick, &ticked);
	UNTIL(world.loop, ticked);
}

static void looking_up(void **state)
{
	struct guest guest = {.ready = 0};
	char address[32];
	int server = silent_name_server(address);
	struct dns_config config = {.servers = address, .timeout_ms = 60000, .tries = 1};
	struct wait wait;

	(void)state;
	dns_free(world.env->dns);
	assert_int_equal(dns_new(world.loop, &config, &world.env->dns), 0);
	make_request(&guest.fetch.request, "GET", "http://www.example.org/");
	wait_for(&guest, NULL, PRIORITY_NORMAL);
	assert_wait(&guest, WAIT_DNS, "www.example.org"); /* the dial begins within the round */
	rounds(world.loop, 3);
	assert_wait(&guest, WAIT_DNS, "looking up www.example.org");
	wait = wait_of(&guest);
	assert_true(wait.until_ms >= wait.since_ms + 19000);
	assert_string_equal(wait.limit, "");
	guest_fini(&guest);
	(void)close(server);
}

static void connecting(void **state)
{
	struct guest guest = {.ready = 0};
	struct guest late = {.ready = 0};
	struct wait wait;

	(void)state;
	h2_origin_hang(world.origin);
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	assert_wait(&guest, WAIT_CONNECTING, "connecting");
	rounds(world.loop, 3);
	assert_wait(&guest, WAIT_CONNECTING, "connecting to 127.0.0.1:");
	wait = wait_of(&guest);
	assert_int_equal(wait.until_ms - wait.since_ms, 20000);
	/* For one who comes later, it began later. */
	tick();
	wait_for(&late, world.origin, PRIORITY_NORMAL);
	assert_int_equal(wait_of(&late).since_ms, loop_now_ms(world.loop));
	assert_int_equal(wait_of(&late).until_ms, wait.until_ms);
	assert_int_equal(wait_of(&guest).since_ms, wait.since_ms);
	guest_fini(&guest);
	guest_fini(&late);
}

/* The peer's limit, and ours; who waits longest has waited for it longest. */
static void a_stream(void **state)
{
	struct guest guests[4] = {{.ready = 0}};
	struct wait wait;
	uint64_t full = 0;

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	world.origin->max_streams = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	h2_sync(h2_connection(world.origin, 0));
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 2);
	wait = wait_of(&guests[1]);
	assert_int_equal(wait.reason, WAIT_STREAM_LIMIT);
	assert_string_equal(wait.limit, "SETTINGS_MAX_CONCURRENT_STREAMS");
	assert_int_equal(wait.limit_value, 1);
	assert_int_equal(wait.until_ms, 0);
	full = wait.since_ms;
	/* One comes free and is taken: for who is left, nothing has changed. */
	wait_for(&guests[2], world.origin, PRIORITY_NORMAL);
	wait_for(&guests[3], world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 2);
	wait = wait_of(&guests[2]);
	tick();
	answer(world.origin, 0, 0);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(wait_of(&guests[2]).since_ms, wait.since_ms);
	assert_true(wait.since_ms >= full);
	/* Ours is lower. */
	world.env->settings.max_streams_per_connection = 1;
	wait = wait_of(&guests[2]);
	assert_string_equal(wait.limit, "pool.max_streams_per_connection");
	assert_int_equal(wait.limit_value, 1);
	for (unsigned i = 0; i < 4; i++) {
		guest_fini(&guests[i]);
	}
}

/* A server may take no stream at all. */
static void no_stream_at_all(void **state)
{
	const nghttp2_settings_entry none = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0};
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	h2_settings(h2_first(world.origin, 0)->connection, &none, 1);
	h2_sync(h2_connection(world.origin, 0));
	answer(world.origin, 0, 0);
	UNTIL(world.loop, guests[0].fetch.closed);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	assert_wait(&guests[1], WAIT_STREAM_LIMIT, "a free stream: 0 of 0 in use");
	assert_int_equal(wait_of(&guests[1]).limit_value, 0);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void why_there_is_no_further_connection(void **state)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)state;
	world.env->settings.max_streams_per_connection = 1;
	world.env->settings.max_connections = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	rounds(world.loop, 2);
	assert_wait(&guests[1], WAIT_STREAM_LIMIT, "; pool.max_connections allows no more");
	world.env->settings.max_connections = 2;
	h2_origin_hang(world.origin);
	pool_reconfigure(pool);
	rounds(world.loop, 2);
	assert_wait(&guests[1], WAIT_STREAM_LIMIT, "; another connection is being made");
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

static void room_in_the_pool(void **state)
{
	struct h2_origin *other = h2_origin_new(world.loop);
	struct guest guests[2] = {{.ready = 0}};
	struct wait wait;

	(void)state;
	world.env->settings.max_connections = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	UNTIL(world.loop, guests[0].fetch.sent);
	wait_for(&guests[1], other, PRIORITY_NORMAL);
	rounds(world.loop, 3);
	wait = wait_of(&guests[1]);
	assert_int_equal(wait.reason, WAIT_CONNECTION_LIMIT);
	assert_string_equal(wait.limit, "pool.max_connections");
	assert_int_equal(wait.limit_value, 1);
	/* A look at what there is changes nothing. */
	tick();
	pool_reconfigure(pool);
	rounds(world.loop, 2);
	assert_int_equal(wait_of(&guests[1]).since_ms, wait.since_ms);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
	pool_free(pool);
	pool = NULL;
	h2_origin_free(other);
}

static void memory(void **state)
{
	struct guest guests[3] = {{.ready = 0}};
	struct wait wait;

	(void)state;
	world.env->settings.body_budget = 1;
	for (unsigned i = 0; i < 3; i++) {
		wait_for(&guests[i], world.origin, PRIORITY_NORMAL);
	}
	UNTIL(world.loop, guests[0].fetch.sent);
	wait = wait_of(&guests[2]);
	assert_int_equal(wait.reason, WAIT_MEMORY_BUDGET);
	assert_string_equal(wait.limit, "memory.body_budget");
	assert_int_equal(wait.limit_value, 1);
	/* A share comes free, and another one takes it: nothing has changed for the third. */
	tick();
	fetch_free(&guests[0].fetch);
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(wait_of(&guests[2]).reason, WAIT_MEMORY_BUDGET);
	assert_int_equal(wait_of(&guests[2]).since_ms, wait.since_ms);
	for (unsigned i = 0; i < 3; i++) {
		guest_fini(&guests[i]);
	}
}

static void the_answer_to_a_ping(void **state)
{
	struct guest guests[2] = {{.ready = 0}};
	struct connection_view views[16];
	struct wait wait;

	(void)state;
	world.env->settings.ping_after_ms = 1;
	wait_for(&guests[0], world.origin, PRIORITY_NORMAL);
	answer(world.origin, 0, 0);
	UNTIL(world.loop, guests[0].fetch.closed);
	tick();
	wait_for(&guests[1], world.origin, PRIORITY_NORMAL);
	/* There is a stream for it, as far as anybody knows. */
	assert_wait(&guests[1], WAIT_NOTHING, "");
	UNTIL(world.loop, wait_of(&guests[1]).reason != WAIT_NOTHING);
	wait = wait_of(&guests[1]);
	assert_int_equal(wait.reason, WAIT_LIVENESS);
	assert_int_equal(wait.until_ms - wait.since_ms, 10000);
	assert_int_equal(look(views), 1);
	assert_int_equal(views[0].state, CONNECTION_OPEN);
	assert_true(views[0].ping_ms > 0);
	assert_non_null(strstr(views[0].why, "PING"));
	UNTIL(world.loop, guests[1].fetch.sent);
	assert_int_equal(look(views), 1);
	assert_true(views[0].ping_answered);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
}

/* What the view says of windows: what a body in either direction leaves of them. */
static void windows_are_seen(void **state)
{
	struct guest guest = {.ready = 0};
	struct connection_view views[16];
	uint64_t send = 0;

	(void)state;
	wait_for(&guest, world.origin, PRIORITY_NORMAL);
	(void)h2_first(world.origin, 0);
	assert_int_equal(look(views), 1);
	send = views[0].send_window;
	assert_int_equal(send, 65535);
	assert_int_equal(views[0].receive_window, 1024 * 1024);
	assert_int_equal(look((struct connection_view[16]){{0}}), 1);
	assert_int_equal(pool_connections(pool, views, 0), 0);
	guest_fini(&guest);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(looking_up),
		TEST(connecting),
		TEST(a_stream),
		TEST(no_stream_at_all),
		TEST(why_there_is_no_further_connection),
		TEST(room_in_the_pool),
		TEST(memory),
		TEST(the_answer_to_a_ping),
		TEST(windows_are_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
