/* SPDX-License-Identifier: MIT */
/*
 * One connection to the test server, its owner, and requests on it: for the tests of connection.c,
 * connection_session.c and stream.c.
 */
#pragma once

#include "unit/support/http_world.h"

#include "http/connection_internal.h"

#include <errno.h>

static struct http_world world;
static struct connection *connection;
static struct {
	unsigned opened, slots, draining, failed, closed;
	struct failure failure;
	bool free_on_draining;
	bool free_on_open;
	bool free_on_slots;
} owner;

static inline void on_open(void *ctx, struct connection *c)
{
	(void)ctx;
	assert_ptr_equal(c, connection);
	owner.opened++;
	if (owner.free_on_open) {
		connection_free(c);
		connection = NULL;
	}
}

static inline void on_slots(void *ctx, struct connection *c)
{
	(void)ctx;
	owner.slots++;
	if (owner.free_on_slots) {
		connection_free(c);
		connection = NULL;
	}
}

static inline void on_draining(void *ctx, struct connection *c)
{
	(void)ctx;
	assert_int_equal(connection_state(c), CONNECTION_DRAINING);
	owner.draining++;
	if (owner.free_on_draining) {
		connection_free(c);
		connection = NULL;
	}
}

static inline void on_failed(void *ctx, struct connection *c, const struct failure *failure)
{
	(void)ctx;
	(void)c;
	owner.failed++;
	failure_copy(&owner.failure, failure);
	connection = NULL;
}

static inline void on_closed(void *ctx, struct connection *c)
{
	(void)ctx;
	(void)c;
	owner.closed++;
	connection = NULL;
}

static const struct connection_callbacks owner_callbacks = {
	.on_open = on_open,
	.on_slots = on_slots,
	.on_draining = on_draining,
	.on_failed = on_failed,
	.on_closed = on_closed,
};

static inline int setup(void **state)
{
	(void)state;
	memset(&owner, 0, sizeof(owner));
	connection = NULL;
	http_world_init(&world);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	connection_free(connection);
	connection = NULL;
	http_world_fini(&world);
	return 0;
}

static inline void dial(void)
{
	struct dial_target target = {.host = "127.0.0.1",
				     .host_is_address = true,
				     .port = world.origin->port,
				     .timeout_ms = 20000};

	assert_int_equal(connection_new(world.env, &target, &owner_callbacks, &owner, &connection),
			 0);
	assert_int_equal(connection_state(connection), CONNECTION_CONNECTING);
	assert_int_equal(connection_slots(connection), 0);
	assert_null(connection_info(connection));
}

static inline void open_connection(void)
{
	dial();
	UNTIL(world.loop, owner.opened);
}

/* Submits; the request must have been made. */
static inline void submit(struct fetch *fetch)
{
	assert_int_equal(connection_submit(connection, &fetch->request, &fetch_callbacks, fetch,
					   &fetch->stream),
			 0);
	assert_int_equal(fetch->sent, 0);
}

static inline void get(struct fetch *fetch)
{
	make_request(&fetch->request, "GET", h2_url(world.origin, "/x?y"));
	submit(fetch);
}

/* A GET on a new connection, up to the server's side of it. */
static inline struct h2_stream *open_get(struct fetch *fetch)
{
	open_connection();
	get(fetch);
	return h2_first(world.origin, 0);
}
