/* SPDX-License-Identifier: MIT */
/*
 * What a job waits for: exactly one thing in each state, or nothing while it moves. Where it is the
 * pool or the stream that knows, they are asked.
 */
#include "job/job_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* A body that has brought nothing for this long does not move. */
#define QUIET_MS 1000u

static uint64_t after(uint64_t since_ms, uint64_t limit_ms)
{
	return limit_ms ? since_ms + limit_ms : 0;
}

/* Until when the request may wait as it does. */
static void limit_request(const struct job *job, struct wait *wait)
{
	if (wait->reason == WAIT_CLIENT_UPLOAD) {
		wait->until_ms = after(wait->since_ms, job->limits.client_timeout_ms);
	} else if (!wait->until_ms && request_has_content(&job->request)) {
		wait->until_ms =
			after(stream_sent_progress_ms(job->stream), job->limits.stall_timeout_ms);
	}
}

static void wait_for_head(const struct job *job, struct wait *wait)
{
	uint64_t since_ms = stream_sent_progress_ms(job->stream);

	if (stream_wait(job->stream, wait)) {
		limit_request(job, wait);
		return;
	}
	*wait = (struct wait){
		.reason = WAIT_RESPONSE,
		.since_ms = since_ms,
		.until_ms = after(since_ms, job->limits.first_byte_timeout_ms),
		.limit = "",
		.text = "the origin's answer",
	};
}

static void wait_for_client(const struct job *job, struct wait *wait)
{
	static const struct {
		enum wait_reason reason;
		const char *text;
	} of_hold[] = {
		[JOB_WITHOUT_CREDIT] = {WAIT_CLIENT_CREDIT, "the client to grant credit"},
		[JOB_WITHOUT_ROOM] = {WAIT_CLIENT_SOCKET, "the client to read its socket"},
		[JOB_WITHOUT_OUTPUT] = {WAIT_OUTPUT, "the client's descriptor to take the body"},
	};

	*wait = (struct wait){
		.reason = of_hold[job->held].reason,
		.since_ms = job->held_kind_ms,
		.until_ms = after(job->held_ms, job->pending ? job->limits.delivery_timeout_ms
							     : job->limits.client_timeout_ms),
		.limit = "",
	};
	snprintf(wait->text, sizeof(wait->text), "%s, %zu bytes wait", of_hold[job->held].text,
		 job_available(job));
}

static void wait_for_body(const struct job *job, struct wait *wait)
{
	if (job->ended || job->pending ||
	    loop_now_ms(job->jobs->loop) <= job->progress_ms + QUIET_MS) {
		return;
	}
	if (stream_wait(job->stream, wait)) {
		limit_request(job, wait);
		return;
	}
	*wait = (struct wait){
		.reason = WAIT_BODY,
		.since_ms = job->progress_ms,
		.until_ms = after(job->progress_ms, job->limits.stall_timeout_ms),
		.limit = "",
		.text = "more of the body from the origin",
	};
}

static void wait_for_retry(const struct job *job, struct wait *wait)
{
	uint64_t now = loop_now_ms(job->jobs->loop);

	*wait = (struct wait){
		.reason = WAIT_RETRY_TIMER,
		.since_ms = job->state_ms,
		.until_ms = job->retry_at_ms,
		.limit = "",
	};
	snprintf(wait->text, sizeof(wait->text), "the next try, in %" PRIu64 " ms",
		 job->retry_at_ms > now ? job->retry_at_ms - now : 0);
}

void job_wait(const struct job *job, struct wait *ret_wait)
{
	*ret_wait = (struct wait){.limit = ""};
	switch (job->state) {
	case JOB_QUEUED:
		pool_waiter_wait(&job->waiter, ret_wait);
		break;
	case JOB_SENT:
		wait_for_head(job, ret_wait);
		break;
	case JOB_RECEIVING:
	case JOB_DELIVERING:
		if (job->held) {
			wait_for_client(job, ret_wait);
		} else {
			wait_for_body(job, ret_wait);
		}
		break;
	case JOB_BACKOFF:
		wait_for_retry(job, ret_wait);
		break;
	case JOB_CLOSED:
	case JOB_STATES:
		break;
	}
}
