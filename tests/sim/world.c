/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "base/log.h"
#include "invariants.h"
#include "tls.h"
#include "wrap.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>
#include <utlist.h>

struct world world;

/* ---- the world ---- */

void world_init(uint64_t seed)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {[ACCOUNT_PEERS] = 10, [ACCOUNT_JOBS] = 1000};

	memset(&world, 0, sizeof(world));
	sim_reset(seed);
	log_set_level(LOG_LEVEL_ERROR);
	world.loop = loop_new();
	world.env = sim_alloc(sizeof(*world.env));
	world.env->loop = world.loop;
	world.env->metrics = &world.metrics;
	world.env->dns = sim_dns_new(world.loop);
	world.env->tls = sim_tls_context_new();
	world.env->settings = (struct http_settings){
		.stream_window = 65536,
		.connection_window = 1024 * 1024,
		.max_frame_size = 16384,
		.max_header_list = 16384,
		.max_headers = 32,
		.max_informational = 3,
		.max_streams_per_connection = 100,
		.max_connections_per_origin = 4,
		.max_connections = 16,
		.max_origins = 16,
		.body_budget = 64 * 1024 * 1024,
		.connect_timeout_ms = 20000,
		.idle_timeout_ms = 240000,
		.backoff_ms = 500,
		.max_backoff_ms = 60000,
		.continue_timeout_ms = 1000,
		.flood = {.settings_rate = 10,
			  .ping_rate = 10,
			  .reset_rate = 100,
			  .empty_rate = 100,
			  .max_continuations = 8},
		.max_queued_frames = 20000,
		.write_timeout_ms = 30000,
		.ping_after_ms = 15000,
		.ping_timeout_ms = 10000,
	};
	world.config = config_new();
	SIM_CHECK(world.config);
	free(world.config->pool.h2c_hosts);
	world.config->pool.h2c_hosts = __real_strdup("plain.test");
	world.accounts = accounts_new(limits);
	world.env->accounts = world.accounts;
	world.pool = pool_new(world.env);
	world.jobs = jobs_new(world.loop, world.env, world.pool, world.accounts, world.config);
	SIM_CHECK(world.config->pool.h2c_hosts && world.accounts && world.pool && world.jobs);
	world.consumed_before = wrap_consumed();
}

void world_fini(void)
{
	sim_allocations_fail_every(0);
	SIM_EQUAL(jobs_open(world.jobs), 0);
	settle();
	check_invariants(true);
	jobs_free(world.jobs);
	pool_free(world.pool);
	/* The last goodbyes arrive. */
	sim_run_until(world.loop, sim_now_us() + 10000000);
	SIM_EQUAL(world.env->streams, 0);
	SIM_EQUAL(world.env->window_bytes, 0);
	SIM_EQUAL(world.env->buffered_bytes, 0);
	SIM_EQUAL(sim_dns_lookups(world.env->dns), 0);
	SIM_EQUAL(sim_files(), 0);
	dns_free(world.env->dns);
	tls_context_unref(world.env->tls);
	SIM_EQUAL(sim_tls_contexts(), 0);
	accounts_free(world.accounts); /* asserts that nothing is charged any more */
	config_free(world.config);
	sim_servers_free();
	sim_names_free();
	SIM_EQUAL(sim_next_us(), UINT64_MAX);
	loop_free(world.loop); /* asserts that no handle and no task is left */
	free(world.env);
	while (world.clients) {
		client_free(world.clients);
	}
	sim_fini();
}

struct sim_server *serve(const char *host, const char *literal)
{
	sim_name_add(sim_name(host), literal);
	return sim_server(literal);
}

/* ---- telling ---- */

void at(uint64_t ms)
{
	sim_run_until(world.loop, SIM_START_US + ms * 1000);
	if (sim_now_ms() != ms) {
		SIM_FAIL("it is %llu ms already, not %llu", (unsigned long long)sim_now_ms(),
			 (unsigned long long)ms);
	}
	check_invariants(true);
}

void settle(void)
{
	sim_settle(world.loop);
}

static const char *print(const struct client *client)
{
	static char buffer[1200];
	char text[1000];

	snprintf(buffer, sizeof(buffer), "%s at %llu ms: %s (%s)",
		 close_reason_name(client->reason), (unsigned long long)client->closed_ms,
		 failure_code_name(failure_top(&client->failure)),
		 failure_print(&client->failure, text, sizeof(text)));
	return buffer;
}

void expect_closed_at(const char *file, int line, const struct client *client, uint64_t ms,
		      enum close_reason reason, enum failure_code code)
{
	if (sim_now_ms() <= ms) {
		at(ms);
	}
	if (!client->closed) {
		sim_fail(file, line, "still open at %llu ms, in state %d",
			 (unsigned long long)sim_now_ms(), (int)client_state(client));
	}
	if (client->closed_ms != ms || client->reason != reason ||
	    failure_top(&client->failure) != code) {
		sim_fail(file, line, "%s", print(client));
	}
}

void expect_ended_at(const char *file, int line, const struct client *client, uint64_t ms,
		     uint64_t bytes)
{
	expect_closed_at(file, line, client, ms, CLOSE_ENDED, FAIL_NONE);
	sim_equal(file, line, "bytes taken", client->taken, bytes);
}

void expect_attempt_at(const char *file, int line, const struct client *client, unsigned index,
		       enum close_reason outcome, enum failure_code code)
{
	const struct job_attempt *attempt = &client->attempts[index];

	if (index >= client->attempt_count) {
		sim_fail(file, line, "%u attempts only", client->attempt_count);
	}
	if (attempt->outcome != outcome || attempt->code != code) {
		sim_fail(file, line, "attempt %u: %s, %s: %s", index,
			 close_reason_name(attempt->outcome), failure_code_name(attempt->code),
			 attempt->why);
	}
}

bool has_code(const struct client *client, enum failure_code code)
{
	for (unsigned i = 0; i < client->failure.count; i++) {
		if (client->failure.links[i].code == code) {
			return true;
		}
	}
	return false;
}

bool has_text(const struct client *client, const char *text)
{
	for (unsigned i = 0; i < client->failure.count; i++) {
		if (strstr(client->failure.links[i].text, text)) {
			return true;
		}
	}
	return false;
}

struct peer *peer_of(const struct sim_server *server, unsigned connection)
{
	struct peer *peer = peer_at(server, connection);

	SIM_CHECK(peer);
	return peer;
}

struct exchange *request_of(const struct sim_server *server, unsigned connection, unsigned index)
{
	struct exchange *exchange = exchange_at(peer_of(server, connection), index);

	SIM_CHECK(exchange);
	return exchange;
}

struct pool_gauges gauges(void)
{
	struct pool_gauges now;

	pool_gauges(world.pool, &now);
	return now;
}

/* ---- cmocka ---- */

static void fail_test(const char *file, int line, const char *text)
{
	print_error("at %llu ms\n", (unsigned long long)sim_now_ms());
	print_error("%s\n", text);
	_fail(file, line);
}

int world_setup(void **state)
{
	(void)state;
	sim_on_failure = fail_test;
	world_init(1);
	return 0;
}

int world_teardown(void **state)
{
	(void)state;
	jobs_stop(world.jobs);
	world_fini();
	return 0;
}
