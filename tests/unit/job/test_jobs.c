/* SPDX-License-Identifier: MIT */
/*
 * The table of jobs: what is refused, numbers, counts, draining.
 */
#include "unit/job/job_world.h"

static void assert_refused(const struct job_spec *spec, enum failure_code code, const char *text)
{
	struct client client = {.credit = 0};
	struct failure failure;
	uint64_t denied = world.http.metrics.jobs_closed[CLOSE_DENIED];
	uint64_t held = account_held(world.accounts, OWNER_UID, ACCOUNT_JOBS);
	uint32_t open = jobs_open(world.jobs);

	assert_int_equal(try_submit(&client, spec, &failure), (int)code);
	assert_null(client.job);
	assert_int_equal(failure_top(&failure), code);
	assert_text(&failure, text);
	assert_int_equal(world.http.metrics.jobs_closed[CLOSE_DENIED], denied + 1);
	assert_int_equal(account_held(world.accounts, OWNER_UID, ACCOUNT_JOBS), held);
	assert_int_equal(jobs_open(world.jobs), open);
	rounds(world.loop, 2);
	assert_int_equal(client.closed, 0);
}

static void bad_requests(void **state)
{
	struct job_spec spec = spec_of("GET", "/");
	struct header_field field = FIELD("connection", "close");

	(void)state;
	spec.request.url = "not a url";
	assert_refused(&spec, FAIL_URL_INVALID, "");
	spec = spec_of("CONNECT", "/");
	assert_refused(&spec, FAIL_METHOD_INVALID, "CONNECT");
	spec = spec_of("GET", "/");
	spec.request.headers = &field;
	spec.request.header_count = 1;
	assert_refused(&spec, FAIL_HEADER_INVALID, "connection");
	spec = spec_of("TRACE", "/");
	spec.request.has_body = true;
	assert_refused(&spec, FAIL_BODY_INVALID, "TRACE");
}

static void bad_limits(void **state)
{
	static const size_t offsets[] = {
		offsetof(struct job_spec, queue_timeout_ms),
		offsetof(struct job_spec, connect_timeout_ms),
		offsetof(struct job_spec, first_byte_timeout_ms),
		offsetof(struct job_spec, stall_timeout_ms),
		offsetof(struct job_spec, total_timeout_ms),
	};
	static const char *const names[] = {"queue_timeout_ms", "connect_timeout_ms",
					    "first_byte_timeout_ms", "stall_timeout_ms",
					    "total_timeout_ms"};
	uint64_t most = UINT64_C(30) * 24 * 3600 * 1000;

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		struct job_spec spec = spec_of("GET", "/");
		struct client client = {.credit = 0};
		struct job_option *which =
			(struct job_option *)(void *)((uint8_t *)&spec + offsets[i]);

		*which = option(most + 1);
		assert_refused(&spec, FAIL_LIMIT_INVALID, names[i]);
		*which = option(UINT64_MAX);
		assert_refused(&spec, FAIL_LIMIT_INVALID, names[i]);
		*which = option(most);
		submit(&client, &spec);
		job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
	}
	{
		struct job_spec spec = spec_of("GET", "/");

		spec.progress_interval_ms = 49;
		assert_refused(&spec, FAIL_LIMIT_INVALID, "49");
	}
}

static void cleartext_only_where_allowed(void **state)
{
	static const struct {
		const char *hosts, *url;
		bool good;
	} table[] = {
		{"", "http://127.0.0.1:7/", false},
		{"127.0.0.1", "http://127.0.0.1:7/", true},
		{"127.0.0.1:7", "http://127.0.0.1:7/", true},
		{"127.0.0.1:8", "http://127.0.0.1:7/", false},
		{"127.0.0.1:80", "http://127.0.0.1/", true},
		{"127.0.0.10 127.0.0", "http://127.0.0.1:7/", false},
		{"a, LocalHost", "http://localhost:7/", true},
		{"[::1]:7", "http://[::1]:7/", true},
		{"::1", "http://[::1]:7/", true},
		{"::1", "http://[::2]:7/", false},
		{"", "https://127.0.0.1:7/", true},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct job_spec spec = spec_of("GET", "/");
		struct client client = {.credit = 0};

		free(world.config->pool.h2c_hosts);
		world.config->pool.h2c_hosts = strdup(table[i].hosts);
		spec.request.url = table[i].url;
		if (table[i].good) {
			submit(&client, &spec);
			job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
		} else {
			assert_refused(&spec, FAIL_CLEARTEXT_NOT_ALLOWED, "pool.h2c_hosts");
		}
	}
}

static void ceilings_on_open_jobs(void **state)
{
	struct client clients[50] = {{.credit = 0}};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	world.config->ipc.max_jobs = 2;
	submit_get(&clients[0]);
	submit_get(&clients[1]);
	assert_refused(&spec, FAIL_TOO_MANY_JOBS, "ipc.max_jobs)");
	world.config->ipc.max_jobs = 1000;
	for (unsigned i = 2; i < 50; i++) {
		submit_get(&clients[i]);
	}
	assert_int_equal(account_held(world.accounts, OWNER_UID, ACCOUNT_JOBS), 50);
	assert_refused(&spec, FAIL_TOO_MANY_JOBS, "ipc.max_jobs_per_uid");
	/* One that ends makes room for one. */
	job_cancel(clients[7].job, FAIL_CLIENT_GONE);
	assert_code(&clients[7].failure, 0, FAIL_CLIENT_GONE);
	clients[7] = (struct client){.credit = 0};
	submit_get(&clients[7]);
	assert_refused(&spec, FAIL_TOO_MANY_JOBS, "ipc.max_jobs_per_uid");
	jobs_stop(world.jobs);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(clients[i].closed, 1);
	}
}

static void table_of_origins_is_full(void **state)
{
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	world.http.env->settings.max_origins = 1;
	submit_get(&client);
	spec.request.url = "https://127.0.0.2/";
	assert_refused(&spec, FAIL_CONNECTION_LIMIT, "pool.max_origins");
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
}

static void numbers_and_order(void **state)
{
	struct client clients[4] = {{.credit = 0}};
	struct job *job = NULL;
	unsigned seen = 0;

	(void)state;
	assert_null(jobs_next(world.jobs, 0));
	for (unsigned i = 0; i < 4; i++) {
		submit_get(&clients[i]);
		assert_int_equal(job_number(clients[i].job), i + 1);
		assert_int_equal(job_uid(clients[i].job), OWNER_UID);
		assert_ptr_equal(jobs_find(world.jobs, i + 1), clients[i].job);
	}
	assert_null(jobs_find(world.jobs, 0));
	assert_null(jobs_find(world.jobs, 5));
	job_cancel(clients[1].job, FAIL_CANCELLED_BY_CLIENT);
	for (job = jobs_next(world.jobs, 0); job; job = jobs_next(world.jobs, job_number(job))) {
		seen = seen * 10 + (unsigned)job_number(job);
	}
	assert_int_equal(seen, 134);
	/* After one that is not there any more, or never was. */
	assert_int_equal(job_number(jobs_next(world.jobs, 2)), 3);
	assert_null(jobs_next(world.jobs, 4));
	assert_null(jobs_next(world.jobs, UINT64_MAX));
	assert_int_equal(jobs_open(world.jobs), 3);
	/* A refused one has no number. */
	{
		struct client client = {.credit = 0};
		struct job_spec spec = spec_of("CONNECT", "/");

		assert_refused(&spec, FAIL_METHOD_INVALID, "");
		submit_get(&client);
		assert_int_equal(job_number(client.job), 5);
		jobs_stop(world.jobs);
	}
}

static void states_are_counted(void **state)
{
	struct client clients[3] = {{.credit = 0}};
	uint32_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		submit_get(&clients[i]);
	}
	assert_int_equal(jobs_in_state(world.jobs, JOB_QUEUED), 3);
	(void)h2_first(world.origin, 2);
	assert_int_equal(jobs_in_state(world.jobs, JOB_SENT), 3);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	UNTIL(world.loop, jobs_in_state(world.jobs, JOB_RECEIVING) == 1);
	jobs_stop(world.jobs);
	for (unsigned i = 0; i < JOB_STATES; i++) {
		sum += jobs_in_state(world.jobs, (enum job_state)i);
	}
	assert_int_equal(sum, 0);
}

static unsigned emptied;

static void on_empty(void *ctx)
{
	assert_ptr_equal(ctx, &emptied);
	emptied++;
}

static void draining(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	emptied = 0;
	submit_get(&client);
	jobs_drain(world.jobs, on_empty, &emptied);
	assert_refused(&spec, FAIL_DRAINING, "stopping");
	/* The one that runs ends well, and only then is it empty. */
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	assert_int_equal(emptied, 0);
	h2_body(h2_first(world.origin, 0), 1000, true);
	UNTIL(world.loop, emptied);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(emptied, 1);
}

static void draining_when_there_is_nothing(void **state)
{
	(void)state;
	emptied = 0;
	jobs_drain(world.jobs, on_empty, &emptied);
	assert_int_equal(emptied, 0); /* not from inside the call */
	UNTIL(world.loop, emptied);
}

static void draining_replays_are_no_new_jobs(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	emptied = 0;
	submit_get(&client);
	(void)h2_first(world.origin, 0);
	jobs_drain(world.jobs, on_empty, &emptied);
	h2_reset(h2_first(world.origin, 0), NGHTTP2_REFUSED_STREAM);
	h2_head(h2_first(world.origin, 1), true, 204, NULL);
	UNTIL(world.loop, emptied);
	assert_int_equal(client.reason, CLOSE_ENDED);
}

static void reconfigured(void **state)
{
	struct config *config = config_new();
	struct config *old = world.config;
	struct client client = {.credit = 0};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	assert_non_null(config);
	submit_get(&client);
	jobs_reconfigure(world.jobs, config);
	assert_refused(&spec, FAIL_CLEARTEXT_NOT_ALLOWED, "");
	/* The one that runs has what it needs. */
	h2_head(h2_first(world.origin, 0), true, 204, NULL);
	world.config = config;
	config_free(old);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	jobs_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(bad_requests),
		JOB_TEST(bad_limits),
		JOB_TEST(cleartext_only_where_allowed),
		JOB_TEST(ceilings_on_open_jobs),
		JOB_TEST(table_of_origins_is_full),
		JOB_TEST(numbers_and_order),
		JOB_TEST(states_are_counted),
		JOB_TEST(draining),
		JOB_TEST(draining_when_there_is_nothing),
		JOB_TEST(draining_replays_are_no_new_jobs),
		JOB_TEST(reconfigured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
