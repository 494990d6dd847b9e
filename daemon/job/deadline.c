/* SPDX-License-Identifier: MIT */
/*
 * The job's clock: five deadlines of its own and one for its client, on one timer. The timer is set
 * for the earliest that counts in the job's state and looked at again when it fires, so that
 * progress on the stream costs nothing but a number.
 */
#include "job/job_internal.h"

#include <inttypes.h>
#include <stdlib.h>

struct deadline {
	uint64_t at_ms; /* UINT64_MAX: none */
	enum failure_code code;
	uint64_t limit_ms;
};

static void on_deadline(void *ctx);

static void consider(struct deadline *best, uint64_t since_ms, uint64_t limit_ms,
		     enum failure_code code)
{
	if (limit_ms && since_ms + limit_ms < best->at_ms) {
		*best = (struct deadline){since_ms + limit_ms, code, limit_ms};
	}
}

/* The connect deadline runs while the origin has no open connection. Nobody tells when that
 * changes, so it is looked at once per period: it may be late by as much. */
static void consider_connecting(struct job *job, struct deadline *best)
{
	uint64_t limit = job->limits.connect_timeout_ms;

	if (!limit) {
		return;
	}
	if (pool_waiter_is_connecting(&job->waiter)) {
		if (!job->connecting_ms) {
			job->connecting_ms = loop_now_ms(job->jobs->loop);
		}
		consider(best, job->connecting_ms, limit, FAIL_TIMEOUT_CONNECT);
	} else {
		job->connecting_ms = 0;
		consider(best, loop_now_ms(job->jobs->loop), limit, FAIL_NONE);
	}
}

static struct deadline next_deadline(struct job *job)
{
	const struct job_limits *limits = &job->limits;
	struct deadline best = {.at_ms = UINT64_MAX};

	if (job->pending) {
		/* It has ended; only the client may still hold up the delivery. One that said
		 * "enough" is not waited for to ask for more. */
		bool enough = job->pending->reason == CLOSE_STOP_DOWNLOAD &&
			      job->held == JOB_WITHOUT_CREDIT;

		if (job->held) {
			consider(&best, job->held_ms, enough ? 1 : limits->delivery_timeout_ms,
				 FAIL_TIMEOUT_CLIENT);
		}
		return best;
	}
	consider(&best, job->accepted_ms, limits->total_timeout_ms, FAIL_TIMEOUT_TOTAL);
	switch (job->state) {
	case JOB_QUEUED:
		if (!job->timings.queued_us) {
			consider(&best, job->accepted_ms, limits->queue_timeout_ms,
				 FAIL_TIMEOUT_QUEUE);
		}
		consider_connecting(job, &best);
		break;
	case JOB_SENT:
		/* Handed over is sent as far as the client can tell; a blocked connection is no
		 * excuse. */
		consider(&best, job->sent_ms ? job->sent_ms : job->handed_ms,
			 limits->first_byte_timeout_ms, FAIL_TIMEOUT_FIRST_BYTE);
		break;
	case JOB_RECEIVING:
	case JOB_DELIVERING:
		if (job->held) {
			consider(&best, job->held_ms, limits->client_timeout_ms,
				 FAIL_TIMEOUT_CLIENT);
		} else if (!job->ended) {
			consider(&best, job->progress_ms, limits->stall_timeout_ms,
				 FAIL_TIMEOUT_STALL);
		}
		break;
	case JOB_BACKOFF:
		if (job->retry_at_ms < best.at_ms) {
			best = (struct deadline){.at_ms = job->retry_at_ms};
		}
		break;
	case JOB_CLOSED:
	case JOB_STATES:
		break;
	}
	return best;
}

void deadline_arm(struct job *job)
{
	struct deadline next = next_deadline(job);
	uint64_t now = loop_now_ms(job->jobs->loop);

	if (loop_timer_active(&job->deadline) && job->deadline_at_ms <= next.at_ms) {
		return; /* it fires early enough, and looks again then */
	}
	if (next.at_ms == UINT64_MAX) {
		return;
	}
	job->deadline_at_ms = next.at_ms;
	loop_timer_start(&job->deadline, job->jobs->loop, next.at_ms > now ? next.at_ms - now : 0,
			 on_deadline, job);
}

static void end_by(struct job *job, const struct deadline *deadline)
{
	struct failure failure;
	uint64_t limit = deadline->limit_ms;

	if (deadline->code == FAIL_TIMEOUT_CONNECT) {
		/* Like a dial that failed: nothing was sent, and what is wrong is the way to the
		 * origin. */
		failure_set(&failure, deadline->code,
			    "no connection to %s within the connect deadline of %" PRIu64 " ms",
			    job->request.url.authority, limit);
		pool_waiter_describe(&job->waiter, &failure);
		job_end(job, CLOSE_CONNECT_FAILED, &failure);
		return;
	}
	if (deadline->code == FAIL_TIMEOUT_QUEUE) {
		failure_set(&failure, deadline->code,
			    "not sent within the queue deadline of %" PRIu64 " ms", limit);
	} else if (deadline->code == FAIL_TIMEOUT_FIRST_BYTE) {
		failure_set(&failure, deadline->code,
			    "no response head within %" PRIu64 " ms after the request was sent",
			    limit);
	} else if (deadline->code == FAIL_TIMEOUT_STALL) {
		failure_set(&failure, deadline->code, "no byte on the stream for %" PRIu64 " ms",
			    limit);
	} else if (deadline->code == FAIL_TIMEOUT_CLIENT) {
		failure_set(&failure, deadline->code,
			    "the client took nothing for %" PRIu64 " ms (job.client_timeout)",
			    limit);
	} else {
		failure_set(&failure, FAIL_TIMEOUT_TOTAL,
			    "not done within the total deadline of %" PRIu64 " ms", limit);
	}
	if (job->stream && stream_connection(job->stream) && !job->held) {
		connection_suspect(stream_connection(job->stream),
				   job->progress_ms ? job->progress_ms : job->handed_ms);
	}
	job_end(job, CLOSE_TIMEOUT, &failure);
}

static void end_backoff(struct job *job)
{
	struct failure failure;

	if (attempt_start(job) != 0) {
		failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for another try");
		job_end(job, CLOSE_INACTIVE, &failure);
		return;
	}
	job_set_state(job, JOB_QUEUED);
}

static void on_deadline(void *ctx)
{
	struct job *job = ctx;
	struct deadline due = next_deadline(job);

	if (due.at_ms > loop_now_ms(job->jobs->loop)) {
		deadline_arm(job);
	} else if (due.code == FAIL_NONE) {
		end_backoff(job);
	} else {
		end_by(job, &due);
	}
}
