/* SPDX-License-Identifier: MIT */
/*
 * Jobs on the test server, and a sink that remembers what it was told and takes as much as it is
 * told to.
 */
#pragma once

#include "unit/support/http_world.h"

#include "base/log.h"
#include "job/job_internal.h"

#include <stdio.h>

#define OWNER_UID 1234u

static struct {
	struct http_world http;
	struct loop *loop;
	struct h2_origin *origin;
	struct h2_origin *second; /* NULL until a test makes one */
	struct pool *pool;
	struct accounts *accounts;
	struct config *config;
	struct jobs *jobs;
} world;

/* A client of one job. All zero but what a test sets. */
struct client {
	struct job *job; /* NULL: not open */
	uint64_t credit; /* what it takes at most */
	bool stuck;      /* takes nothing all the same */
	struct loop_task task;
	unsigned interims, heads, readables, trailers, warnings, progresses, closed;
	bool warned_received;
	char warning[FAILURE_TEXT_MAX];
	unsigned status;
	uint64_t connection;
	bool reused;
	char url[JOB_ATTEMPT_URL_MAX + 1]; /* of the head */
	char trailer[64];
	uint64_t taken, taken_at_head, taken_at_trailers;
	uint64_t granted;          /* of its upload */
	unsigned grants;           /* in how many pieces */
	uint64_t uploaded;         /* given to the job */
	enum job_state states[64]; /* as Progress told */
	unsigned state_count;
	enum close_reason reason;
	struct failure failure;
	struct job_attempt attempts[JOB_ATTEMPTS_MAX]; /* their URLs are gone */
	char urls[JOB_ATTEMPTS_MAX][JOB_ATTEMPT_URL_MAX + 1];
	unsigned attempt_count;
	struct job_bytes bytes;
	struct job_timings timings;
};

#define PLENTY (UINT64_C(1) << 40)

static inline int job_setup(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {
		[ACCOUNT_PEERS] = 10, [ACCOUNT_JOBS] = 50, [ACCOUNT_FDS] = 20};

	(void)state;
	http_world_init(&world.http);
	log_set_level(LOG_LEVEL_ERROR);
	world.loop = world.http.loop;
	world.origin = world.http.origin;
	world.config = config_new();
	assert_non_null(world.config);
	world.config->job.delivery_timeout_ms =
		50; /* a client without credit is not waited for long */
	free(world.config->pool.h2c_hosts);
	world.config->pool.h2c_hosts = strdup("127.0.0.1");
	world.config->job.backoff_ms = 10;
	world.accounts = accounts_new(limits);
	world.http.env->accounts = world.accounts;
	world.pool = pool_new(world.http.env);
	world.jobs = jobs_new(world.loop, world.http.env, world.pool, world.accounts, world.config);
	assert_true(world.accounts && world.pool && world.jobs);
	return 0;
}

/* No job may be left, and no charge: accounts_free() asserts it. */
static inline int job_teardown(void **state)
{
	(void)state;
	assert_int_equal(jobs_open(world.jobs), 0);
	assert_int_equal(account_held(world.accounts, OWNER_UID, ACCOUNT_JOBS), 0);
	jobs_free(world.jobs);
	pool_free(world.pool);
	rounds(world.loop, 2);
	accounts_free(world.accounts);
	config_free(world.config);
	if (world.second) {
		h2_origin_free(world.second);
		world.second = NULL;
	}
	http_world_fini(&world.http);
	return 0;
}

/* ---- the sink ---- */

static inline uint64_t client_take(struct client *client, uint64_t most, bool *ret_gone)
{
	uint64_t before = client->taken;

	*ret_gone = false;
	while (most > 0) {
		struct iovec iov[3];
		size_t limit = most < 50000 ? (size_t)most : 50000;
		unsigned count = job_peek(client->job, iov, 3, limit);
		size_t length = 0;

		for (unsigned i = 0; i < count; i++) {
			const uint8_t *data = iov[i].iov_base;

			for (size_t k = 0; k < iov[i].iov_len; k++) {
				if (data[k] != h2_byte(client->taken + length + k)) {
					fail_msg("wrong byte at %zu",
						 (size_t)client->taken + length + k);
				}
			}
			length += iov[i].iov_len;
		}
		if (length == 0) {
			break;
		}
		assert_true(length <= limit && length <= job_available(client->job));
		client->taken += length;
		client->credit -= length;
		most -= length;
		if (!job_consume(client->job, length)) {
			assert_int_equal(client->closed, 1);
			*ret_gone = true;
			break;
		}
	}
	return client->taken - before;
}

/* Takes what it may; holds the job when it may take nothing more. */
static inline void client_pull(void *ctx)
{
	struct client *client = ctx;
	bool gone = false;

	if (client->job && !client->stuck) {
		(void)client_take(client, client->credit, &gone);
		if (!gone) {
			job_hold(client->job, client->credit == 0 && job_available(client->job) > 0
						      ? JOB_WITHOUT_CREDIT
						      : JOB_NOT_HELD);
		}
	}
}

static inline void client_grant(struct client *client, uint64_t bytes)
{
	client->credit += bytes;
	client_pull(client);
}

static inline void sink_informational(void *ctx, unsigned status, const struct header_list *headers)
{
	struct client *client = ctx;

	(void)status;
	(void)headers;
	assert_true(!client->heads && !client->closed);
	client->interims++;
}

static inline void sink_head(void *ctx, const struct job_head *head)
{
	struct client *client = ctx;

	assert_true(!client->heads && !client->closed && !client->trailers);
	client->heads++;
	client->status = head->response->status;
	client->connection = head->connection;
	client->reused = head->reused;
	snprintf(client->url, sizeof(client->url), "%s", head->url);
	assert_non_null(head->info);
}

static inline void sink_readable(void *ctx)
{
	struct client *client = ctx;

	assert_true(client->heads && !client->closed && !client->trailers);
	assert_true(job_available(client->job) > 0);
	client->readables++;
	loop_task_queue(&client->task, world.loop);
}

static inline void sink_trailers(void *ctx, const struct header_list *trailers)
{
	struct client *client = ctx;

	assert_true(client->heads && !client->trailers && !client->closed);
	client->trailers++;
	client->taken_at_trailers = client->taken;
	fetch_text(trailers, "x-trailer", client->trailer);
}

static inline void sink_warning(void *ctx, bool received, const char *text)
{
	struct client *client = ctx;

	assert_true(client->heads && !client->closed);
	client->warnings++;
	client->warned_received = received;
	snprintf(client->warning, sizeof(client->warning), "%s", text);
}

static inline void sink_progress(void *ctx)
{
	struct client *client = ctx;
	struct job_info info;

	assert_false(client->closed);
	client->progresses++;
	job_info(client->job, &info);
	if (client->state_count < 64) {
		client->states[client->state_count++] = info.state;
	}
}

static inline void sink_upload_credit(void *ctx, uint64_t bytes)
{
	struct client *client = ctx;

	assert_true(client->job && !client->closed && bytes > 0);
	client->granted += bytes;
	client->grants++;
	assert_true(client->granted - client->uploaded <= world.config->ipc.upload_buffer);
}

static inline void sink_closed(void *ctx, const struct job_result *result)
{
	struct client *client = ctx;

	assert_int_equal(client->closed, 0);
	client->closed++;
	client->job = NULL;
	loop_task_cancel(&client->task);
	client->reason = result->reason;
	failure_copy(&client->failure, result->failure);
	assert_true(result->attempt_count <= JOB_ATTEMPTS_MAX);
	client->attempt_count = result->attempt_count;
	if (result->attempt_count) {
		memcpy(client->attempts, result->attempts,
		       result->attempt_count * sizeof(client->attempts[0]));
	}
	client->bytes = result->bytes;
	client->timings = result->timings;
	assert_true(result->timings.end_us > 0);
	assert_int_equal(result->bytes.delivered, client->taken);
	assert_true(result->bytes.delivered <= result->bytes.payload);
	for (unsigned i = 0; i < client->attempt_count; i++) {
		const char *url = client->attempts[i].url;

		assert_true(client->attempts[i].outcome != CLOSE_NONE);
		assert_true(!url || strlen(url) <= JOB_ATTEMPT_URL_MAX);
		snprintf(client->urls[i], sizeof(client->urls[i]), "%s", url ? url : "");
		client->attempts[i].url = NULL;
	}
}

static const struct job_sink_ops sink_ops = {
	.informational = sink_informational,
	.head = sink_head,
	.readable = sink_readable,
	.trailers = sink_trailers,
	.warning = sink_warning,
	.progress = sink_progress,
	.upload_credit = sink_upload_credit,
	.closed = sink_closed,
};

/* The loop's clock goes on by so much, and what happens happens. */
static inline void let_pass(uint64_t ms)
{
	uint64_t end = loop_now_ms(world.loop) + ms;

	while (loop_now_ms(world.loop) < end) {
		loop_run_once(world.loop, false);
	}
}

/* ---- submitting ---- */

static inline struct job_option option(uint64_t value)
{
	return (struct job_option){true, value};
}

static inline struct job_spec spec_of(const char *method, const char *path)
{
	return (struct job_spec){.request = {.url = h2_url(world.origin, path), .method = method},
				 .priority = PRIORITY_NORMAL};
}

static inline int try_submit(struct client *client, const struct job_spec *spec,
			     struct failure *failure)
{
	struct job_owner owner = {.uid = OWNER_UID, .pid = 99, .name = "tester"};
	int rc = 0;

	loop_task_init(&client->task, client_pull, client);
	failure_clear(failure);
	rc = job_submit(world.jobs, spec, &owner, &sink_ops, client, &client->job, failure);
	assert_int_equal(client->closed + client->heads + client->progresses, 0);
	return rc;
}

static inline void submit(struct client *client, const struct job_spec *spec)
{
	struct failure failure;

	if (try_submit(client, spec, &failure) != 0) {
		fail_msg("refused: %s", failure.links[0].text);
	}
	assert_non_null(client->job);
}

static inline void submit_get(struct client *client)
{
	struct job_spec spec = spec_of("GET", "/");

	submit(client, &spec);
}

static inline enum job_state state_of(const struct client *client)
{
	struct job_info info;

	assert_non_null(client->job);
	job_info(client->job, &info);
	return info.state;
}

static inline void assert_attempt(const struct client *client, unsigned index,
				  enum close_reason outcome, enum failure_code code, bool safe)
{
	const struct job_attempt *attempt = &client->attempts[index];

	assert_true(index < client->attempt_count);
	if (attempt->outcome != outcome || attempt->code != code || attempt->replay_safe != safe) {
		fail_msg("attempt %u: %s, %s, %s: %s", index, close_reason_name(attempt->outcome),
			 failure_code_name(attempt->code), attempt->replay_safe ? "safe" : "unsafe",
			 attempt->why);
	}
}

#define JOB_TEST(name) cmocka_unit_test_setup_teardown(name, job_setup, job_teardown)
