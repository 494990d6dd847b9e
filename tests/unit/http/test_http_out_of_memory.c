/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of requests, connections, streams and the pool fails once, those of the HTTP/2
 * sessions included: who waits is told once, who was served has everything, nothing is left behind,
 * and the next request is fine.
 */
#include "unit/http/pool_world.h"
#include "unit/support/allocations.h"

#include <errno.h>

#define BODY_BYTES 100000u

/* ---- requests ---- */

static void make_a_request(void *ctx)
{
	static const struct request none;
	static struct header_field fields[60];
	struct request_spec spec = {.url = "https://b\xc3\xbc"
					   "cher.example:8443/x?y",
				    .method = "POST",
				    .headers = fields,
				    .header_count = 60,
				    .body = (const uint8_t *)"body",
				    .body_length = 4,
				    .has_body = true,
				    .urgency = 2};
	struct request request = none;
	struct failure failure = {.count = 0};
	int result = 0;

	(void)ctx;
	for (unsigned i = 0; i < 60; i++) {
		fields[i] = FIELD("X-Some-Field", "with a value");
	}
	result = request_make(&spec, "test/1", &request, &failure);
	if (result != 0) {
		assert_true(allocations_failed());
		assert_int_equal(result, -ENOMEM);
		assert_memory_equal(&request, &none, sizeof(request));
	} else {
		assert_false(allocations_failed());
		assert_true(header_list_count(&request.headers) > 60);
	}
	request_fini(&request);
}

static void requests(void **state)
{
	(void)state;
	assert_true(allocations_walk(make_a_request, NULL) > 10);
}

/* ---- fetches ---- */

static void begin(void)
{
	allocations_pause();
	(void)setup(NULL);
	allocations_resume();
}

static void answer_all(struct h2_origin *origin)
{
	origin->automatic = true;
	origin->automatic_bytes = BODY_BYTES;
	origin->automatic_trailers = true;
}

/* Was it told how it ended: once, and rightly? */
static bool is_over(const struct guest *guest)
{
	return guest->failed > 0 || guest->fetch.closed > 0;
}

static void assert_told(const struct guest *guest)
{
	assert_int_equal(guest->failed + guest->fetch.closed, 1);
	assert_true(guest->failed > 0 || guest->ready > 0);
	if (guest->fetch.closed && guest->fetch.reason == CLOSE_ENDED) {
		assert_int_equal(guest->fetch.taken, BODY_BYTES);
		assert_int_equal(guest->fetch.trailers, 1);
	} else {
		/* What went out before the server had said how much it takes, it refuses. */
		assert_true(allocations_failed() || guest->fetch.unprocessed);
	}
}

/* Without a failure now, whatever was before. */
static void assert_next_is_fine(struct h2_origin *origin)
{
	struct guest guest = {.ready = 0};

	allocations_pause();
	answer_all(origin);
	wait_for(&guest, origin, PRIORITY_NORMAL);
	UNTIL(world.loop, is_over(&guest));
	assert_int_equal(guest.fetch.closed, 1);
	assert_int_equal(guest.fetch.reason, CLOSE_ENDED);
	assert_int_equal(guest.fetch.taken, BODY_BYTES);
	guest_fini(&guest);
	allocations_resume();
}

/* What is left is nothing: the world's end asserts it. */
static void end(void)
{
	pool_free(pool);
	rounds(world.loop, 2);
	http_world_fini(&world);
}

/* The guest's on_ready, which takes no for an answer. */
static void on_ready_or_not(void *ctx, struct connection *connection)
{
	struct guest *guest = ctx;
	int result = connection_submit(connection, &guest->fetch.request, &fetch_callbacks,
				       &guest->fetch, &guest->fetch.stream);

	guest->ready++;
	if (result != 0) {
		assert_int_equal(result, -ENOMEM);
		assert_null(guest->fetch.stream);
		guest->failed++;
	}
}

static const struct pool_waiter_callbacks patient = {.on_ready = on_ready_or_not,
						     .on_failed = on_failed};

/* False if it cannot even wait. */
static bool fetch_from(struct guest *guest, const struct h2_origin *origin, const char *method)
{
	bool has_body = strcmp(method, "POST") == 0;
	int result = 0;

	allocations_pause();
	make_request_with(&guest->fetch.request, method, h2_url(origin, "/"), NULL, 0,
			  has_body ? "body" : NULL, has_body ? 4 : 0);
	allocations_resume();
	guest->fetch.eager = true;
	result = pool_wait(pool, &guest->waiter, &guest->fetch.request.url, 0, PRIORITY_NORMAL,
			   ++arrival, &patient, guest);
	if (result != 0) {
		assert_int_equal(result, -ENOMEM);
		assert_true(allocations_failed());
		assert_false(pool_waiter_active(&guest->waiter));
		guest->failed++;
	}
	return result == 0;
}

/* Five on one connection, one of them with a body of its own. */
static void fetch_some(void *ctx)
{
	struct guest guests[5] = {{.ready = 0}};

	(void)ctx;
	begin();
	answer_all(world.origin);
	for (unsigned i = 0; i < 5; i++) {
		(void)fetch_from(&guests[i], world.origin, i == 2 ? "POST" : "GET");
	}
	for (unsigned i = 0; i < 5; i++) {
		UNTIL(world.loop, is_over(&guests[i]));
		assert_told(&guests[i]);
	}
	assert_int_equal(gauges().waiting, 0);
	for (unsigned i = 0; i < 5; i++) {
		guest_fini(&guests[i]);
	}
	assert_next_is_fine(world.origin);
	end();
}

static void one_connection(void **state)
{
	(void)state;
	assert_true(allocations_walk(fetch_some, NULL) > 40);
}

/* More streams than one connection may have, and more origins than there is room for connections:
 * further dials, and idle connections that make room. */
static void fetch_from_many(void *ctx)
{
	struct h2_origin *origins[3] = {NULL};
	struct guest guests[9] = {{.ready = 0}};

	(void)ctx;
	begin();
	world.env->settings.max_connections = 2;
	for (unsigned i = 0; i < 3; i++) {
		origins[i] = i == 0 ? world.origin : h2_origin_new(world.loop);
		origins[i]->max_streams = 2;
		answer_all(origins[i]);
	}
	for (unsigned i = 0; i < 9; i++) {
		(void)fetch_from(&guests[i], origins[i % 3], "GET");
	}
	for (unsigned i = 0; i < 9; i++) {
		UNTIL(world.loop, is_over(&guests[i]));
		assert_told(&guests[i]);
		guest_fini(&guests[i]);
	}
	assert_int_equal(gauges().waiting, 0);
	assert_next_is_fine(origins[2]);
	h2_origin_free(origins[1]);
	h2_origin_free(origins[2]);
	end();
}

static void several_origins(void **state)
{
	(void)state;
	assert_true(allocations_walk(fetch_from_many, NULL) > 80);
}

/* What takes a frame that has to be said, or else somebody waits: a reader that lets go of its
 * stream, a head that is too long, a body that is too long, a server that goes away. */
static void meet_the_unexpected(void *ctx)
{
	struct guest guests[5] = {{.ready = 0}};
	struct h2_connection *server = NULL;
	unsigned begun = 0;

	(void)ctx;
	begin();
	world.env->settings.max_headers = 4;
	for (unsigned i = 0; i < 5; i++) {
		begun += fetch_from(&guests[i], world.origin, "GET") ? 1 : 0;
	}
	/* A failure until here is the other tests' business. */
	UNTIL(world.loop, allocations_failed() || world.origin->count > 0);
	if (world.origin->count > 0) {
		server = h2_connection(world.origin, 0);
		UNTIL(world.loop, server->eof || server->stream_count == begun ||
					  (allocations_failed() && server->stream_count >= 4));
	}
	if (server && !server->eof && server->stream_count == 5) {
		struct h2_stream *streams[5];

		for (unsigned i = 0; i < 5; i++) {
			streams[i] = h2_stream(server, i);
		}
		test_side++;
		h2_head(streams[0], false, 200, "a", "1", "b", "2", "c", "3", "d", "4", "e", "5",
			NULL);
		h2_head(streams[1], false, 200, "content-length", "10", NULL);
		h2_body(streams[1], 20, true);
		h2_head(streams[2], false, 200, NULL);
		h2_body(streams[2], 3 * 65536, false);
		h2_head(streams[4], false, 200, NULL);
		test_side--;
		UNTIL(world.loop, is_over(&guests[0]) && is_over(&guests[1]));
		UNTIL(world.loop, is_over(&guests[2]) || guests[2].fetch.taken > 65536);
		fetch_free(&guests[2].fetch);
		fetch_free(&guests[3].fetch);
		UNTIL(world.loop, server->eof || (streams[2]->reset && streams[3]->reset));
		test_side++;
		if (!server->eof) {
			h2_goaway(server, streams[4]->id, NGHTTP2_NO_ERROR, "");
			h2_body(streams[4], 10, true);
		}
		test_side--;
		UNTIL(world.loop, is_over(&guests[4]));
		assert_true(allocations_failed() || guests[4].fetch.reason == CLOSE_ENDED);
	}
	for (unsigned i = 0; i < 5; i++) {
		guest_fini(&guests[i]);
	}
	world.env->settings.max_headers = 32;
	assert_next_is_fine(world.origin);
	end();
}

static void the_unexpected(void **state)
{
	(void)state;
	assert_true(allocations_walk(meet_the_unexpected, NULL) > 60);
}

/* A connection that is idle, is asked whether it is there, is retired, and closes. */
static void grow_old(void *ctx)
{
	struct guest guests[2] = {{.ready = 0}};

	(void)ctx;
	begin();
	world.env->settings.ping_after_ms = 1;
	world.env->settings.idle_timeout_ms = 5;
	answer_all(world.origin);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t then = loop_now_ms(world.loop);

		(void)fetch_from(&guests[i], world.origin, "GET");
		UNTIL(world.loop, is_over(&guests[i]));
		assert_told(&guests[i]);
		fetch_free(&guests[i].fetch);
		/* Long enough for a PING, not for the end of the connection. */
		while (loop_now_ms(world.loop) < then + 3) {
			loop_run_once(world.loop, false);
		}
	}
	UNTIL(world.loop, gauges().connections + gauges().connecting == 0);
	guest_fini(&guests[0]);
	guest_fini(&guests[1]);
	assert_next_is_fine(world.origin);
	end();
}

static void idle_connections(void **state)
{
	(void)state;
	assert_true(allocations_walk(grow_old, NULL) > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests),         cmocka_unit_test(one_connection),
		cmocka_unit_test(several_origins),  cmocka_unit_test(the_unexpected),
		cmocka_unit_test(idle_connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
