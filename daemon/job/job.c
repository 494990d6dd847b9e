/* SPDX-License-Identifier: MIT */
/*
 * One job: its states, the hand-over of its body to the sink, and its one end.
 */
#include "base/log.h"
#include "http/upload.h"
#include "job/job_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const state_names[JOB_STATES] = {"queued",     "sent",    "receiving",
						    "delivering", "backoff", "closed"};

uint64_t job_number(const struct job *job)
{
	return job->number;
}

uid_t job_uid(const struct job *job)
{
	return job->owner.uid;
}

uint64_t job_received(const struct job *job)
{
	return job->past_payload + (job->stream ? stream_counts(job->stream)->payload : 0);
}

uint64_t job_elapsed_us(const struct job *job)
{
	uint64_t elapsed = loop_clock_us(job->jobs->loop) - job->accepted_us;

	return elapsed ? elapsed : 1;
}

/* ---- progress ---- */

static void tell_progress(struct job *job)
{
	job->progress_told = job_received(job) + job->delivered;
	job->sink->progress(job->sink_ctx);
}

static void on_progress_timer(void *ctx)
{
	struct job *job = ctx;

	if (job_received(job) + job->delivered != job->progress_told || job->state == JOB_QUEUED) {
		tell_progress(job);
	}
	loop_timer_start(&job->progress, job->jobs->loop, job->progress_interval_ms,
			 on_progress_timer, job);
}

void job_start_progress(struct job *job)
{
	if (job->progress_interval_ms) {
		loop_timer_start(&job->progress, job->jobs->loop, job->progress_interval_ms,
				 on_progress_timer, job);
	}
}

/* The only place that changes the state. */
void job_set_state(struct job *job, enum job_state state)
{
	if (state == job->state) {
		return;
	}
	assert(job->state != JOB_CLOSED);
	log_debug("job %" PRIu64 ": %s -> %s", job->number, state_names[job->state],
		  state_names[state]);
	job->jobs->in_state[job->state]--;
	job->jobs->in_state[state]++;
	job->state = state;
	job->state_ms = loop_now_ms(job->jobs->loop);
	if (state == JOB_CLOSED) {
		return;
	}
	deadline_arm(job);
	if (job->progress_interval_ms) {
		tell_progress(job);
	}
}

/* ---- the body's hand-over ---- */

size_t job_available(const struct job *job)
{
	size_t buffered = job->stream ? stream_buffered(job->stream) : 0;
	uint64_t most = job->limits.max_size;

	if (most && buffered > most - job->delivered) {
		return (size_t)(most - job->delivered);
	}
	return buffered;
}

unsigned job_peek(const struct job *job, struct iovec *iov, unsigned max, size_t limit)
{
	unsigned count = job->stream ? stream_peek(job->stream, iov, max) : 0;
	size_t available = job_available(job);
	unsigned used = 0;

	if (limit > available) {
		limit = available;
	}
	for (; used < count && limit > 0; used++) {
		if (iov[used].iov_len > limit) {
			iov[used].iov_len = limit;
		}
		limit -= iov[used].iov_len;
	}
	return used;
}

bool job_consume(struct job *job, size_t length)
{
	assert(length <= job_available(job));
	job->delivered += length;
	job->jobs->env->metrics->delivered += length;
	stream_consume(job->stream, length);
	return job_settle(job);
}

void job_hold(struct job *job, enum job_hold hold)
{
	if (hold == job->held) {
		return;
	}
	job->held_kind_ms = loop_now_ms(job->jobs->loop);
	if (!job->held) {
		job->held_ms = job->held_kind_ms;
	} else if (!hold) {
		deadline_resume(job);
	}
	job->held = hold;
	deadline_arm(job);
}

/* Does what has arrived belong to the client, although the end is no full success? */
static bool keeps_body(enum close_reason reason)
{
	return reason != CLOSE_CANCELLED && reason != CLOSE_ENDED &&
	       reason != CLOSE_MAXSIZE_EXCEEDED && reason != CLOSE_SHUTDOWN &&
	       reason != CLOSE_OUTPUT_FAILED;
}

static void finish(struct job *job, enum close_reason reason, const struct failure *failure);

static void finish_pending(struct job *job)
{
	struct job_verdict *verdict = job->pending;

	job->pending = NULL;
	finish(job, verdict->reason, &verdict->failure);
	free(verdict);
}

bool job_settle(struct job *job)
{
	if (job->pending) {
		if (job_available(job) > 0) {
			return true;
		}
		finish_pending(job);
		return false;
	}
	if (!job->ended) {
		return true;
	}
	if (stream_buffered(job->stream) > 0) {
		job_set_state(job, JOB_DELIVERING);
		return true;
	}
	if (job->has_trailers) {
		job->sink->trailers(job->sink_ctx, &job->trailers);
	}
	finish(job, CLOSE_ENDED, NULL);
	return false;
}

/* ---- the end ---- */

void job_end(struct job *job, enum close_reason reason, const struct failure *failure)
{
	bool unwanted = failure && failure_top(failure) == FAIL_TIMEOUT_CLIENT;

	if (job->pending) {
		finish_pending(job); /* nothing changes how it ended, but nobody waits any more */
		return;
	}
	if (keeps_body(reason) && !unwanted && job_available(job) > 0) {
		job->pending = calloc(1, sizeof(*job->pending));
	}
	if (!job->pending) {
		finish(job, reason, failure);
		return;
	}
	job->pending->reason = reason;
	failure_copy(&job->pending->failure, failure);
	stream_reset(job->stream);
	job_upload_give_up(job);
	job->held_ms = loop_now_ms(job->jobs->loop); /* from now on it has job.delivery_timeout */
	job_set_state(job, JOB_DELIVERING);
	deadline_arm(job);
	job->sink->readable(job->sink_ctx);
}

static void log_end(const struct job *job, const struct job_result *result)
{
	char text[512];
	bool good = result->reason == CLOSE_ENDED || result->reason == CLOSE_STOP_DOWNLOAD ||
		    result->reason == CLOSE_CANCELLED;

	/* Neither path nor query: they may hold what is nobody's business. The texts about a
	 * redirection quote its Location, which has both. */
	if (result->reason == CLOSE_DENIED) {
		snprintf(text, sizeof(text), "%s", failure_code_name(failure_top(result->failure)));
	} else {
		(void)failure_print(result->failure, text, sizeof(text));
	}
	log_at(good ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO,
	       "job %" PRIu64 " (uid %u, %s): %s %s://%s: %s, %" PRIu64 " bytes in %" PRIu64
	       " ms%s%s",
	       job->number, (unsigned)job->owner.uid,
	       job->owner.name[0] ? job->owner.name : "unnamed", job->request.method,
	       job->request.url.tls ? "https" : "http", job->request.url.authority,
	       close_reason_name(result->reason), result->bytes.payload,
	       result->timings.end_us / 1000, result->failure->count ? ": " : "", text);
}

static void free_job(struct job *job)
{
	header_list_clear(&job->trailers);
	request_fini(&job->request);
	upload_free(job->upload);
	free(job->url);
	free(job->hop_url);
	for (unsigned i = 0; i < job->attempt_count; i++) {
		free(job->attempts[i].url);
	}
	free(job->attempts);
	loop_free_later(job->jobs->loop, job);
}

static void finish(struct job *job, enum close_reason reason, const struct failure *failure)
{
	static const struct failure none;
	struct job_result result = {.reason = reason, .failure = failure ? failure : &none};

	assert(!job->ending);
	job->ending = true;
	if (job->stream && job->attempt_count > 0 &&
	    job->attempts[job->attempt_count - 1].outcome == CLOSE_NONE) {
		struct job_attempt *attempt = &job->attempts[job->attempt_count - 1];

		attempt->outcome = reason;
		attempt->code = failure_top(result.failure);
		attempt->why = reason == CLOSE_ENDED ? "" : "the job was over";
	}
	attempt_drop(job);
	loop_timer_stop(&job->deadline);
	loop_timer_stop(&job->progress);
	job->timings.end_us = job_elapsed_us(job);
	result.attempts = job->attempts;
	result.attempt_count = job->attempt_count;
	result.bytes = (struct job_bytes){
		.payload = job->past_payload,
		.delivered = job->delivered,
		.wire_received = job->past_wire_received,
		.wire_sent = job->past_wire_sent,
	};
	result.timings = job->timings;
	job->jobs->env->metrics->jobs_closed[reason]++;
	job_set_state(job, JOB_CLOSED);
	log_end(job, &result);
	jobs_remove(job);
	job->sink->closed(job->sink_ctx, &result);
	free_job(job);
}

void job_cancel(struct job *job, enum failure_code code)
{
	struct failure failure;

	failure_set(&failure, code, "%s",
		    code == FAIL_CLIENT_GONE ? "the client's socket closed"
					     : "the client cancelled the job");
	job_end(job, CLOSE_CANCELLED, &failure);
}

void job_stop(struct job *job)
{
	job_end(job, CLOSE_STOP_DOWNLOAD, NULL);
}

void job_fail(struct job *job, enum close_reason reason, const struct failure *failure)
{
	job_end(job, reason, failure);
}

/* ---- looking at it ---- */

void job_info(const struct job *job, struct job_info *ret_info)
{
	*ret_info = (struct job_info){
		.number = job->number,
		.state = job->state,
		.method = job->request.method,
		.url = job->url,
		.owner = &job->owner,
		.priority = job->priority,
		.received = job_received(job),
		.delivered = job->delivered,
		.has_content_length = job->has_content_length,
		.content_length = job->content_length,
		.age_ms = loop_now_ms(job->jobs->loop) - job->accepted_ms,
		.attempts = job->attempt_count,
	};
	job_wait(job, &ret_info->wait);
	ret_info->waiting_for = ret_info->wait.text;
}
