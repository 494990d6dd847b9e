/* SPDX-License-Identifier: MIT */
/*
 * The table of open jobs: taking them, finding them, letting them drain.
 */
#include "base/log.h"
#include "http/upload.h"
#include "job/job_internal.h"
#include "job/policy.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define TIMEOUT_MAX_MS (UINT64_C(30) * 24 * 3600 * 1000)
#define PROGRESS_INTERVAL_MIN_MS 50u

static void report_empty(void *ctx)
{
	struct jobs *jobs = ctx;

	if (jobs->on_empty && !jobs->open) {
		jobs->on_empty(jobs->on_empty_ctx);
	}
}

struct jobs *jobs_new(struct loop *loop, struct http_env *env, struct pool *pool,
		      struct accounts *accounts, const struct config *config)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (jobs) {
		jobs->loop = loop;
		jobs->env = env;
		jobs->pool = pool;
		jobs->accounts = accounts;
		jobs->config = config;
		loop_task_init(&jobs->empty, report_empty, jobs);
	}
	return jobs;
}

void jobs_free(struct jobs *jobs)
{
	if (!jobs) {
		return;
	}
	assert(!jobs->open);
	loop_task_cancel(&jobs->empty);
	free(jobs);
}

void jobs_reconfigure(struct jobs *jobs, const struct config *config)
{
	jobs->config = config;
}

void jobs_drain(struct jobs *jobs, void (*on_empty)(void *ctx), void *ctx)
{
	jobs->draining = true;
	jobs->on_empty = on_empty;
	jobs->on_empty_ctx = ctx;
	if (!jobs->open) {
		loop_task_queue(&jobs->empty, jobs->loop);
	}
}

void jobs_stop(struct jobs *jobs)
{
	jobs->draining = true;
	while (jobs->open) {
		struct failure failure;

		failure_set(&failure, FAIL_STOPPED, "the daemon stopped before the job's end");
		job_end(jobs->open, CLOSE_SHUTDOWN, &failure);
	}
}

uint32_t jobs_open(const struct jobs *jobs)
{
	return HASH_COUNT(jobs->by_number);
}

uint32_t jobs_in_state(const struct jobs *jobs, enum job_state state)
{
	return jobs->in_state[state];
}

struct job *jobs_find(const struct jobs *jobs, uint64_t number)
{
	struct job *job = NULL;

	HASH_FIND(hh, jobs->by_number, &number, sizeof(number), job);
	return job;
}

struct job *jobs_next(const struct jobs *jobs, uint64_t after)
{
	/* The usual callers go through the list in order: the last one they saw is most often still
	 * there. */
	struct job *job = after ? jobs_find(jobs, after) : NULL;

	if (job) {
		return job->next;
	}
	DL_FOREACH (jobs->open, job) {
		if (job->number > after) {
			return job;
		}
	}
	return NULL;
}

struct job *job_following(const struct job *job)
{
	return job->next;
}

void jobs_remove(struct job *job)
{
	struct jobs *jobs = job->jobs;

	HASH_DEL(jobs->by_number, job);
	DL_DELETE(jobs->open, job);
	assert(jobs->in_state[job->state] > 0);
	jobs->in_state[job->state]--;
	account_discharge(&job->charge);
	if (jobs->draining && !jobs->open) {
		loop_task_queue(&jobs->empty, jobs->loop);
	}
}

/* ---- submitting ---- */

static uint64_t choose(const struct job_option *option, uint64_t fallback)
{
	return option->set ? option->value : fallback;
}

static int check_timeout(const struct job_option *option, const char *name, struct failure *failure)
{
	if (option->set && option->value > TIMEOUT_MAX_MS) {
		failure_set(failure, FAIL_LIMIT_INVALID,
			    "%s of %" PRIu64 " ms is more than 30 days", name, option->value);
		return FAIL_LIMIT_INVALID;
	}
	return 0;
}

static int check_limits(const struct job_spec *spec, struct failure *failure)
{
	const struct {
		const struct job_option *option;
		const char *name;
	} timeouts[] = {
		{&spec->queue_timeout_ms, "queue_timeout_ms"},
		{&spec->connect_timeout_ms, "connect_timeout_ms"},
		{&spec->first_byte_timeout_ms, "first_byte_timeout_ms"},
		{&spec->stall_timeout_ms, "stall_timeout_ms"},
		{&spec->total_timeout_ms, "total_timeout_ms"},
	};

	for (size_t i = 0; i < sizeof(timeouts) / sizeof(timeouts[0]); i++) {
		int rc = check_timeout(timeouts[i].option, timeouts[i].name, failure);

		if (rc != 0) {
			return rc;
		}
	}
	if (spec->progress_interval_ms && spec->progress_interval_ms < PROGRESS_INTERVAL_MIN_MS) {
		failure_set(failure, FAIL_LIMIT_INVALID,
			    "progress_interval_ms of %" PRIu32 " is less than %u",
			    spec->progress_interval_ms, PROGRESS_INTERVAL_MIN_MS);
		return FAIL_LIMIT_INVALID;
	}
	return 0;
}

static void set_limits(struct job *job, const struct job_spec *spec, const struct config *config)
{
	job->limits = (struct job_limits){
		.max_size = choose(&spec->max_size, config->job.max_size),
		.warn_size = choose(&spec->warn_size, config->job.warn_size),
		.queue_timeout_ms = choose(&spec->queue_timeout_ms, config->job.queue_timeout_ms),
		.connect_timeout_ms =
			choose(&spec->connect_timeout_ms, config->job.connect_timeout_ms),
		.first_byte_timeout_ms =
			choose(&spec->first_byte_timeout_ms, config->job.first_byte_timeout_ms),
		.stall_timeout_ms = choose(&spec->stall_timeout_ms, config->job.stall_timeout_ms),
		.total_timeout_ms = choose(&spec->total_timeout_ms, config->job.total_timeout_ms),
		.client_timeout_ms = config->job.client_timeout_ms,
		.delivery_timeout_ms = config->job.delivery_timeout_ms,
		.backoff_ms = config->job.backoff_ms,
		.max_backoff_ms = config->job.max_backoff_ms,
		.min_rate = config->job.min_rate,
		.min_rate_time_ms = config->job.min_rate_time_ms,
		.retry_statuses = retry_statuses_parse(config->job.retry_statuses),
		.max_attempts = (unsigned)config->job.max_attempts,
		.max_redirects = (unsigned)config->job.max_redirects,
	};
	if (spec->max_redirects < job->limits.max_redirects) {
		job->limits.max_redirects = spec->max_redirects;
	}
}

static int charge(struct jobs *jobs, struct job *job, struct failure *failure)
{
	uint64_t most = jobs->config->ipc.max_jobs;

	if (jobs_open(jobs) >= most) {
		failure_set(failure, FAIL_TOO_MANY_JOBS,
			    "the daemon has %" PRIu64 " jobs open (ipc.max_jobs)", most);
		return FAIL_TOO_MANY_JOBS;
	}
	switch (account_charge(jobs->accounts, job->owner.uid, ACCOUNT_JOBS, 1, &job->charge)) {
	case 0:
		return 0;
	case -EDQUOT:
		failure_set(failure, FAIL_TOO_MANY_JOBS,
			    "the user has %" PRIu64 " jobs open (ipc.max_jobs_per_uid)",
			    account_held(jobs->accounts, job->owner.uid, ACCOUNT_JOBS));
		return FAIL_TOO_MANY_JOBS;
	default:
		return -ENOMEM;
	}
}

static int fill(struct jobs *jobs, struct job *job, const struct job_spec *spec,
		struct failure *failure)
{
	struct request_spec request = spec->request;
	int rc = check_limits(spec, failure);

	request.user = job->owner.uid;
	if (rc == 0) {
		rc = request_make(&request, jobs->config->http.user_agent, &job->request, failure);
	}
	if (rc == 0) {
		rc = policy_check(jobs->config->pool.h2c_hosts, &job->request.url, failure);
	}
	if (rc == 0) {
		rc = charge(jobs, job, failure);
	}
	if (rc != 0) {
		return rc;
	}
	if (job->request.streamed) {
		job->upload = upload_new(jobs->env, job->owner.uid,
					 (size_t)jobs->config->ipc.upload_buffer,
					 job->request.has_length, job->request.length);
		if (!job->upload) {
			return -ENOMEM;
		}
		job->request.upload = job->upload;
	}
	job->url = strdup(spec->request.url);
	return job->url ? 0 : -ENOMEM;
}

static int enter(struct jobs *jobs, struct job *job)
{
	HASH_ADD(hh, jobs->by_number, number, sizeof(job->number), job);
	if (!job->hh.tbl) {
		return -ENOMEM;
	}
	jobs->last_number++;
	jobs->in_state[job->state]++;
	DL_APPEND(jobs->open, job);
	return 0;
}

static void job_dispose(struct job *job)
{
	account_discharge(&job->charge);
	request_fini(&job->request);
	upload_free(job->upload);
	free(job->url);
	free(job); /* it has no attempts yet, and was nowhere else */
}

static int submit(struct jobs *jobs, const struct job_spec *spec, const struct job_owner *owner,
		  const struct job_sink_ops *ops, void *ctx, struct job **ret_job,
		  struct failure *failure)
{
	struct job *job = NULL;
	int rc = 0;

	if (jobs->draining) {
		failure_set(failure, FAIL_DRAINING, "the daemon is stopping and takes no new jobs");
		return FAIL_DRAINING;
	}
	job = calloc(1, sizeof(*job));
	if (!job) {
		return -ENOMEM;
	}
	job->jobs = jobs;
	job->number = jobs->last_number + 1;
	job->state = JOB_QUEUED;
	job->sink = ops;
	job->sink_ctx = ctx;
	job->owner = *owner;
	job->priority = spec->priority;
	job->replay_forbidden = spec->replay_forbidden;
	job->retry_allowed = spec->retry_allowed;
	job->redirect_to_cleartext = spec->redirect_to_cleartext;
	job->progress_interval_ms = spec->progress_interval_ms;
	job->accepted_ms = loop_now_ms(jobs->loop);
	job->state_ms = job->accepted_ms;
	job->hop_ms = job->accepted_ms;
	job->accepted_us = loop_clock_us(jobs->loop);
	set_limits(job, spec, jobs->config);
	header_list_init(&job->trailers, (uint32_t)jobs->config->http.max_header_list,
			 (uint32_t)jobs->config->http.max_headers);
	rc = fill(jobs, job, spec, failure);
	if (rc == 0) {
		rc = attempt_start(job);
		if (rc == FAIL_CONNECTION_LIMIT) {
			failure_set(failure, FAIL_CONNECTION_LIMIT,
				    "the pool knows as many origins as it may, all in use "
				    "(pool.max_origins)");
		}
	}
	if (rc == 0) {
		rc = enter(jobs, job);
	}
	if (rc != 0) {
		pool_waiter_cancel(&job->waiter);
		job_dispose(job);
		return rc;
	}
	deadline_arm(job);
	job_start_progress(job);
	*ret_job = job;
	return 0;
}

int job_submit(struct jobs *jobs, const struct job_spec *spec, const struct job_owner *owner,
	       const struct job_sink_ops *ops, void *ctx, struct job **ret_job,
	       struct failure *ret_failure)
{
	int rc = submit(jobs, spec, owner, ops, ctx, ret_job, ret_failure);

	jobs->env->metrics->jobs_submitted++;
	if (rc < 0) {
		failure_set(ret_failure, FAIL_NO_MEMORY, "the daemon has no memory for the job");
		rc = FAIL_NO_MEMORY;
	}
	if (rc != 0) {
		jobs->env->metrics->jobs_closed[CLOSE_DENIED]++;
	}
	return rc;
}
