/* SPDX-License-Identifier: MIT */
/*
 * The job's clock: its deadlines, one for its client, and the least rate of a body, on one timer.
 * The timer is set for the earliest that counts in the job's state and looked at again when it
 * fires, so that progress on the stream costs nothing but a number.
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

/* The connect deadline runs while the origin has no open connection. Nobody tells when the last one
 * is gone, so it is looked at once per period while there is one: the deadline is later than that.
 */
static void consider_connecting(const struct job *job, struct deadline *best)
{
	uint64_t since_ms = pool_waiter_connecting_since_ms(&job->waiter);
	uint64_t limit = job->limits.connect_timeout_ms;

	if (since_ms) {
		consider(best, since_ms, limit, FAIL_TIMEOUT_CONNECT);
	} else {
		consider(best, loop_now_ms(job->jobs->loop), limit, FAIL_NONE);
	}
}

/* Is it the client who keeps the request from going on? Then nobody else is to blame. */
static bool consider_client(const struct job *job, const struct wait *wait, struct deadline *best)
{
	if (wait->reason != WAIT_CLIENT_UPLOAD) {
		if (job->request.upload) { /* nobody tells when it becomes so: look again */
			consider(best, loop_now_ms(job->jobs->loop), job->limits.client_timeout_ms,
				 FAIL_NONE);
		}
		return false;
	}
	consider(best, wait->since_ms, job->limits.client_timeout_ms, FAIL_TIMEOUT_CLIENT);
	return true;
}

void deadline_count_sending(struct job *job)
{
	job->sent_rate_ms = loop_now_ms(job->jobs->loop);
	job->sent_rate_bytes = stream_upload_offset(job->stream);
}

/* A peer that opens its window byte by byte makes progress, too. */
static void consider_sending_rate(struct job *job, struct deadline *best)
{
	const struct job_limits *limits = &job->limits;
	uint64_t went = stream_upload_offset(job->stream) - job->sent_rate_bytes;

	if (!limits->min_rate) {
		return;
	}
	if (loop_now_ms(job->jobs->loop) >= job->sent_rate_ms + limits->min_rate_time_ms &&
	    went * 1000 >= limits->min_rate * limits->min_rate_time_ms) {
		deadline_count_sending(job);
	}
	consider(best, job->sent_rate_ms, limits->min_rate_time_ms, FAIL_TOO_SLOW);
}

/* Time counts from when the peer last took a byte of the request, or was to take the first. The
 * response's head may be asked for in any case; a body that it does not take, only while that is
 * so.
 */
static void consider_request(struct job *job, struct deadline *best)
{
	uint64_t since_ms = stream_sent_progress_ms(job->stream);
	struct wait wait;

	if (request_has_content(&job->request) && stream_wait(job->stream, &wait)) {
		if (consider_client(job, &wait, best)) {
			return;
		}
		consider(best, since_ms, job->limits.stall_timeout_ms, FAIL_TIMEOUT_UPLOAD);
		consider_sending_rate(job, best);
	}
	consider(best, since_ms, job->limits.first_byte_timeout_ms, FAIL_TIMEOUT_FIRST_BYTE);
}

/* One period after the other; that a period was good enough is found out at its end. */
static void consider_rate(struct job *job, struct deadline *best)
{
	const struct job_limits *limits = &job->limits;
	uint64_t now = loop_now_ms(job->jobs->loop);
	uint64_t sent =
		stream_wants_upload(job->stream) ? now : stream_sent_progress_ms(job->stream);
	uint64_t came = job_received(job) - job->rate_received;

	if (!limits->min_rate) {
		return;
	}
	if (job->rate_ms < sent) {
		job->rate_ms = sent; /* before that the response may wait for the request */
	}
	if (now >= job->rate_ms + limits->min_rate_time_ms &&
	    came * 1000 >= limits->min_rate * limits->min_rate_time_ms) {
		job->rate_ms = now;
		job->rate_received += came;
	}
	consider(best, job->rate_ms, limits->min_rate_time_ms, FAIL_TOO_SLOW);
}

/* A response that has begun before the request is whole may wait for the rest of it. */
static void consider_response(struct job *job, struct deadline *best)
{
	uint64_t since_ms = job->progress_ms;
	struct wait wait;

	if (stream_wait(job->stream, &wait)) {
		if (consider_client(job, &wait, best)) {
			return;
		}
		consider_sending_rate(job, best);
	}
	if (since_ms < stream_sent_progress_ms(job->stream)) {
		since_ms = stream_sent_progress_ms(job->stream);
	}
	consider(best, since_ms, job->limits.stall_timeout_ms, FAIL_TIMEOUT_STALL);
	consider_rate(job, best);
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
	if (!job->ended) {
		/* What has wholly arrived came in time. If it still waits, then for its client. */
		consider(&best, job->accepted_ms, limits->total_timeout_ms, FAIL_TIMEOUT_TOTAL);
	}
	switch (job->state) {
	case JOB_QUEUED:
		consider(&best, job->handed ? job->state_ms : job->hop_ms, limits->queue_timeout_ms,
			 FAIL_TIMEOUT_QUEUE);
		consider_connecting(job, &best);
		break;
	case JOB_SENT:
		consider_request(job, &best);
		break;
	case JOB_RECEIVING:
	case JOB_DELIVERING:
		if (job->held) {
			consider(&best, job->held_ms, limits->client_timeout_ms,
				 FAIL_TIMEOUT_CLIENT);
		} else if (!job->ended) {
			consider_response(job, &best);
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

void deadline_resume(struct job *job)
{
	uint64_t now = loop_now_ms(job->jobs->loop);

	job->progress_ms = now;             /* the origin's clock starts anew */
	job->rate_ms += now - job->held_ms; /* and this one goes on */
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

/* The peer may be dead, and the next request should not meet the same silence. */
static void suspect(const struct job *job)
{
	struct connection *connection = job->stream ? stream_connection(job->stream) : NULL;
	uint64_t since_ms = 0;

	if (connection && !job->held) {
		since_ms = stream_sent_progress_ms(job->stream);
		connection_suspect(connection,
				   job->progress_ms > since_ms ? job->progress_ms : since_ms);
	}
}

static bool is_sending(const struct job *job)
{
	struct wait wait;

	return request_has_content(&job->request) && stream_wait(job->stream, &wait);
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
	} else if (deadline->code == FAIL_TIMEOUT_UPLOAD) {
		struct wait wait = {.text = "the peer takes no bytes"};

		(void)stream_wait(job->stream, &wait);
		failure_set(&failure, deadline->code,
			    "no byte of the request's body went out for %" PRIu64 " ms: %s", limit,
			    wait.text);
	} else if (deadline->code == FAIL_TOO_SLOW && is_sending(job)) {
		failure_set(&failure, deadline->code,
			    "%" PRIu64 " bytes of the request's body went out in %" PRIu64
			    " ms, less than %" PRIu64 " bytes a second (job.min_rate)",
			    stream_upload_offset(job->stream) - job->sent_rate_bytes, limit,
			    job->limits.min_rate);
	} else if (deadline->code == FAIL_TOO_SLOW) {
		failure_set(&failure, deadline->code,
			    "%" PRIu64 " bytes of body came in %" PRIu64 " ms, less than %" PRIu64
			    " bytes a second (job.min_rate)",
			    job_received(job) - job->rate_received, limit, job->limits.min_rate);
	} else if (deadline->code == FAIL_TIMEOUT_STALL) {
		failure_set(&failure, deadline->code, "no byte on the stream for %" PRIu64 " ms",
			    limit);
	} else if (deadline->code == FAIL_TIMEOUT_CLIENT) {
		failure_set(&failure, deadline->code,
			    "the client %s for %" PRIu64 " ms (job.client_timeout)",
			    job->held ? "took nothing" : "sent nothing of the request's body",
			    limit);
	} else {
		failure_set(&failure, FAIL_TIMEOUT_TOTAL,
			    "not done within the total deadline of %" PRIu64 " ms", limit);
	}
	if (deadline->code != FAIL_TIMEOUT_CLIENT) {
		suspect(job);
	}
	job_end(job, CLOSE_TIMEOUT, &failure);
}

static void on_deadline(void *ctx)
{
	struct job *job = ctx;
	struct deadline due = next_deadline(job);

	if (due.at_ms > loop_now_ms(job->jobs->loop)) {
		deadline_arm(job);
	} else if (due.code == FAIL_NONE) {
		attempt_again(job);
	} else {
		end_by(job, &due);
	}
}
