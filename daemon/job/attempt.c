/* SPDX-License-Identifier: MIT */
/*
 * One try of a job: waiting for a stream, the stream's events, and what its outcome means: the
 * job's end, or another try.
 */
#include "job/job_internal.h"
#include "job/redirect.h"
#include "job/replay.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const struct stream_callbacks stream_callbacks;
static const struct pool_waiter_callbacks waiter_callbacks;

int attempt_start(struct job *job)
{
	return pool_wait(job->jobs->pool, &job->waiter, &job->request.url, job->owner.uid,
			 job->priority, job->number, &waiter_callbacks, job);
}

void attempt_drop(struct job *job)
{
	pool_waiter_cancel(&job->waiter);
	if (job->stream) {
		const struct stream_counts *counts = stream_counts(job->stream);
		struct stream *stream = job->stream;

		job->past_payload += counts->payload;
		job->past_wire_received += counts->wire_received;
		job->past_wire_sent += counts->wire_sent;
		job->stream = NULL;
		stream_free(stream);
	}
}

/* ---- the ledger ---- */

/* A new last entry, of which only the URL is set; NULL when out of memory. */
static struct job_attempt *add_attempt(struct job *job)
{
	char *url = NULL;

	if (job->hop_url) {
		url = strndup(job->hop_url, JOB_ATTEMPT_URL_MAX);
		if (!url) {
			return NULL;
		}
	}
	if (job->attempt_count == job->attempt_room) {
		unsigned room = job->attempt_room ? job->attempt_room * 2 : 1;
		struct job_attempt *attempts = NULL;

		assert(room <= JOB_ATTEMPTS_MAX);
		attempts = realloc(job->attempts, room * sizeof(*attempts));
		if (!attempts) {
			free(url);
			return NULL;
		}
		job->attempts = attempts;
		job->attempt_room = room;
	}
	job->attempts[job->attempt_count] = (struct job_attempt){.why = "", .url = url};
	return &job->attempts[job->attempt_count++];
}

/* As if it had not been tried. */
static void remove_attempt(struct job *job)
{
	free(job->attempts[--job->attempt_count].url);
}

static struct job_attempt *current_attempt(struct job *job)
{
	return &job->attempts[job->attempt_count - 1];
}

/* Those that count for job.max_attempts. A followed redirection is no failed try. */
static unsigned tries(const struct job *job)
{
	return job->attempt_count - job->turned_away - job->redirects;
}

static bool attempts_left(const struct job *job)
{
	return tries(job) < job->limits.max_attempts && job->attempt_count < JOB_ATTEMPTS_MAX;
}

/* Was the request among those that a closing connection would not take any more? A server that
 * closes its connections after so many requests does that to each job now and then, and may do it
 * to one several times in a row. It costs next to nothing, and is no fault of the job: such tries
 * do not count, but for the room in the ledger. */
static bool was_turned_away(const struct stream_end *end)
{
	for (unsigned i = 0; end->unprocessed && i < end->failure->count; i++) {
		if (end->failure->links[i].code == FAIL_H2_GOAWAY) {
			return true;
		}
	}
	return false;
}

static void no_memory(struct job *job)
{
	struct failure failure;

	failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for the request");
	job_end(job, CLOSE_INACTIVE, &failure);
}

/* ---- another try ---- */

void attempt_again(struct job *job)
{
	int rc = attempt_start(job);
	struct failure failure;

	if (rc == 0) {
		job_set_state(job, JOB_QUEUED);
	} else if (rc == FAIL_CONNECTION_LIMIT) {
		failure_set(&failure, FAIL_CONNECTION_LIMIT,
			    "the pool knows as many origins as it may, all in use "
			    "(pool.max_origins)");
		job_end(job, CLOSE_INACTIVE, &failure);
	} else {
		no_memory(job);
	}
}

static void replay(struct job *job)
{
	job->jobs->env->metrics->replays++;
	attempt_drop(job);
	attempt_again(job);
}

/* Tries again after a while. `at_least_ms`: what the origin asked for. */
static void back_off(struct job *job, uint64_t at_least_ms)
{
	uint64_t random = 0;
	uint64_t delay = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0) {
		random = loop_clock_us(job->jobs->loop); /* jitter needs no secrecy */
	}
	delay = retry_backoff_ms(tries(job), job->limits.backoff_ms, job->limits.max_backoff_ms,
				 random);
	job->jobs->env->metrics->retries++;
	attempt_drop(job);
	job->retry_at_ms =
		loop_now_ms(job->jobs->loop) + (delay > at_least_ms ? delay : at_least_ms);
	job_set_state(job, JOB_BACKOFF);
}

/* ---- waiting for a stream ---- */

static uint64_t since_accepted(const struct job *job, uint64_t at_us)
{
	return at_us > job->accepted_us ? at_us - job->accepted_us : 0;
}

static void note_connection(struct job *job, struct connection *connection,
			    struct job_attempt *attempt)
{
	const struct channel_info *info = connection_info(connection);
	const struct dial_times *times = connection_dial_times(connection);

	attempt->connection = connection_number(connection);
	(void)address_print(&info->remote, attempt->remote);
	job->reused = since_accepted(job, times->connect_us) == 0;
	job->timings.dns_us = since_accepted(job, times->dns_us);
	job->timings.connect_us = since_accepted(job, times->connect_us);
	job->timings.tls_us = since_accepted(job, times->tls_us);
	job->timings.queued_us = job_elapsed_us(job);
}

static void on_ready(void *ctx, struct connection *connection)
{
	struct job *job = ctx;
	struct job_attempt *attempt = add_attempt(job);
	int rc = -ENOMEM;

	if (attempt) {
		rc = connection_submit(connection, &job->request, &stream_callbacks, job,
				       &job->stream);
	}
	if (rc == -EBUSY) {
		/* It has no stream ids left. */
		remove_attempt(job);
		connection_drain(connection);
		rc = attempt_start(job);
		if (rc == 0) {
			return;
		}
	}
	if (rc != 0) {
		if (attempt) {
			attempt->outcome = CLOSE_INACTIVE;
			attempt->code = FAIL_NO_MEMORY;
		}
		no_memory(job);
		return;
	}
	note_connection(job, connection, attempt);
	attempt->stream = stream_id(job->stream);
	job->handed = true;
	job->progress_ms = loop_now_ms(job->jobs->loop);
	deadline_count_sending(job);
	job_set_state(job, JOB_SENT);
	job_upload_begin(job);
}

/* A server that goes away in the middle of the TLS handshake may be back soon; one that refuses it
 * will not think otherwise. */
static bool may_pass(const struct failure *failure)
{
	bool lost = failure_top(failure) == FAIL_TLS_HANDSHAKE && failure->count > 1;

	return retry_connect_failure(failure->links[lost ? 1 : 0].code);
}

static void on_failed(void *ctx, const struct failure *failure)
{
	struct job *job = ctx;
	struct job_attempt *attempt = add_attempt(job);
	enum failure_code code = failure_top(failure);

	if (!attempt) {
		no_memory(job);
		return;
	}
	attempt->outcome = CLOSE_CONNECT_FAILED;
	attempt->code = code;
	attempt->replay_safe = true;
	attempt->why = "nothing was sent";
	if (job->retry_allowed && may_pass(failure) && attempts_left(job)) {
		back_off(job, 0);
	} else {
		job_end(job, CLOSE_CONNECT_FAILED, failure);
	}
}

static const struct pool_waiter_callbacks waiter_callbacks = {.on_ready = on_ready,
							      .on_failed = on_failed};

/* ---- the stream's events ---- */

static void on_sent(void *ctx)
{
	struct job *job = ctx;

	job->progress_ms = loop_now_ms(job->jobs->loop);
	job->timings.sent_us = job_elapsed_us(job);
	deadline_arm(job);
}

static void on_upload(void *ctx)
{
	job_upload_sent(ctx);
}

static void on_informational(void *ctx, unsigned status, const struct header_list *headers)
{
	struct job *job = ctx;

	job->progress_ms = loop_now_ms(job->jobs->loop);
	job->sink->informational(job->sink_ctx, status, headers);
}

/* 421: this connection is not for this authority (RFC 9110, section 15.5.20). Once, a fresh one may
 * be. */
static void misdirected(struct job *job)
{
	struct job_attempt *attempt = current_attempt(job);
	struct failure failure;

	attempt->outcome = CLOSE_INVALID_HOSTNAME;
	attempt->code = FAIL_MISDIRECTED;
	attempt->replay_safe = true;
	attempt->why = "421: the origin did not process the request";
	if (!job->misdirected && !job->replay_forbidden && attempts_left(job) &&
	    !job_upload_is_gone(job)) {
		job->misdirected = true;
		pool_drain_origin(job->jobs->pool, &job->request.url,
				  "a request was answered with 421");
		replay(job);
		return;
	}
	failure_set(&failure, FAIL_MISDIRECTED,
		    "the server says that it does not serve %s on this connection (421)",
		    job->request.url.authority);
	job_end(job, CLOSE_INVALID_HOSTNAME, &failure);
}

/* An answer that asks for a later try. False: for one later than job.max_backoff, so it is
 * delivered as it is. */
static bool retry_later(struct job *job, const struct stream_head *head)
{
	struct job_attempt *attempt = current_attempt(job);
	uint32_t index = header_list_find(head->headers, "retry-after", 0);
	uint64_t seconds = 0;

	if (index < header_list_count(head->headers)) {
		struct header_field field = header_list_get(head->headers, index);

		(void)retry_after_parse(field.value, field.value_length, time(NULL), &seconds);
	}
	if (seconds * 1000 > job->limits.max_backoff_ms) {
		return false;
	}
	attempt->outcome = CLOSE_ENDED;
	attempt->replay_safe = true;
	attempt->why = "the status asks for a later try, and the client allows one";
	back_off(job, seconds * 1000);
	return true;
}

/* ---- redirections ---- */

/* The response leads somewhere else, but the way is barred. */
static void refuse_redirect(struct job *job, const struct failure *failure)
{
	struct job_attempt *attempt = current_attempt(job);

	attempt->outcome = CLOSE_DENIED;
	attempt->code = failure_top(failure);
	attempt->why = "the redirection is not followed";
	job_end(job, CLOSE_DENIED, failure);
}

static bool too_many_redirects(const struct job *job, struct failure *failure)
{
	if (job->redirects >= job->limits.max_redirects) {
		failure_set(failure, FAIL_TOO_MANY_REDIRECTS,
			    "redirected once more after %u redirections, the limit (max_redirects, "
			    "and at most job.max_redirects)",
			    job->redirects);
		return true;
	}
	if (job->attempt_count >= JOB_ATTEMPTS_MAX) {
		failure_set(failure, FAIL_TOO_MANY_REDIRECTS,
			    "redirected after %u attempts, which is the most that one job may have",
			    job->attempt_count);
		return true;
	}
	return false;
}

/* The job goes on with another request. What its next response looks like is all that counts from
 * here on. */
static void follow(struct job *job, const struct stream_head *head)
{
	struct job_attempt *attempt = current_attempt(job);
	struct redirect_policy policy = {
		.to_cleartext = job->redirect_to_cleartext,
		.h2c_hosts = job->jobs->config->pool.h2c_hosts,
		.body_gone = job_upload_is_gone(job),
	};
	struct request next;
	struct failure failure;
	char *url = NULL;
	int rc = 0;

	if (too_many_redirects(job, &failure)) {
		refuse_redirect(job, &failure);
		return;
	}
	rc = redirect_make(&job->request, head->status, head->headers, &policy, &next, &failure);
	if (rc > 0) {
		refuse_redirect(job, &failure);
		return;
	}
	url = rc == 0 ? url_print(&next.url) : NULL;
	if (!url) {
		if (rc == 0) {
			request_fini(&next);
		}
		no_memory(job);
		return;
	}
	attempt->outcome = CLOSE_ENDED;
	attempt->why = "redirected";
	attempt_drop(job); /* the stream looks at the request */
	request_fini(&job->request);
	job->request = next;
	if (!next.upload) {
		job_upload_give_up(job);
	}
	free(job->hop_url);
	job->hop_url = url;
	job->redirects++;
	job->misdirected = false;
	job->handed = false;
	job->hop_ms = loop_now_ms(job->jobs->loop);
	attempt_again(job);
}

static void warn(struct job *job, bool received, uint64_t size)
{
	char text[FAILURE_TEXT_MAX];

	job->warned = true;
	snprintf(text, sizeof(text),
		 "%s size (%" PRIu64 " bytes) is larger than warn_size (%" PRIu64 " bytes)",
		 received ? "received" : "expected", size, job->limits.warn_size);
	job->sink->warning(job->sink_ctx, received, text);
}

static void on_head(void *ctx, const struct stream_head *head)
{
	struct job *job = ctx;
	struct job_attempt *attempt = current_attempt(job);
	struct connection *connection = stream_connection(job->stream);
	struct job_head told = {
		.response = head,
		.connection = attempt->connection,
		.info = connection_info(connection),
		.reused = job->reused,
		.url = job->hop_url ? job->hop_url : "",
	};
	struct failure failure;

	attempt->status = head->status;
	if (head->status == 421) {
		misdirected(job);
		return;
	}
	if (job->limits.max_redirects > 0 && redirect_is(head->status, head->headers)) {
		follow(job, head);
		return;
	}
	if (job->retry_allowed &&
	    retry_status(&job->limits.retry_statuses, head->status,
			 request_is_idempotent(&job->request)) &&
	    attempts_left(job) && !job_upload_is_gone(job) && retry_later(job, head)) {
		return;
	}
	job->timings.first_byte_us = job_elapsed_us(job);
	job->progress_ms = loop_now_ms(job->jobs->loop);
	job->rate_ms = job->progress_ms;
	job->rate_received = job_received(job);
	job->has_content_length = head->has_content_length;
	job->content_length = head->content_length;
	job->head_delivered = true;
	job->sink->head(job->sink_ctx, &told);
	job_upload_answered(job);
	/* An announced length means bytes to come only where there is a body (RFC 9110,
	 * section 8.6). */
	if (head->has_content_length && request_expects_body(&job->request) &&
	    head->status != 304) {
		if (job->limits.max_size && head->content_length > job->limits.max_size) {
			failure_set(&failure, FAIL_SIZE_ANNOUNCED,
				    "Content-Length announces %" PRIu64
				    " bytes, more than max_size (%" PRIu64 ")",
				    head->content_length, job->limits.max_size);
			job_end(job, CLOSE_MAXSIZE_EXCEEDED, &failure);
			return;
		}
		if (job->limits.warn_size && head->content_length > job->limits.warn_size) {
			warn(job, false, head->content_length);
		}
	}
	job_set_state(job, JOB_RECEIVING);
}

static void on_body(void *ctx)
{
	struct job *job = ctx;
	uint64_t received = job_received(job) - job->past_payload;
	struct failure failure;

	job->progress_ms = loop_now_ms(job->jobs->loop);
	if (job->limits.max_size && received > job->limits.max_size) {
		failure_set(&failure, FAIL_SIZE_RECEIVED,
			    "%" PRIu64 " bytes of body came, more than max_size (%" PRIu64 ")",
			    received, job->limits.max_size);
		job_end(job, CLOSE_MAXSIZE_EXCEEDED_ACTUAL, &failure);
		return;
	}
	if (job->limits.warn_size && received > job->limits.warn_size && !job->warned) {
		warn(job, true, received);
	}
	job->sink->readable(job->sink_ctx);
}

static void on_trailers(void *ctx, const struct header_list *trailers)
{
	struct job *job = ctx;

	/* They follow the body, which may still wait for the client. */
	for (uint32_t i = 0; i < header_list_count(trailers); i++) {
		struct header_field field = header_list_get(trailers, i);

		if (header_list_add(&job->trailers, &field) < 0) {
			break; /* under the same ceilings as the stream's own list: only for want of
				  memory */
		}
	}
	job->has_trailers = true;
}

static void on_closed(void *ctx, const struct stream_end *end)
{
	struct job *job = ctx;
	struct job_attempt *attempt = current_attempt(job);
	struct replay_facts facts = {
		.outcome = end->reason,
		.unprocessed = end->unprocessed,
		.idempotent = request_is_idempotent(&job->request),
		.response_delivered = job->head_delivered,
		.body_gone = job_upload_is_gone(job),
		.forbidden = job->replay_forbidden,
	};
	struct replay_verdict verdict;

	job->turned_away += was_turned_away(end);
	facts.attempts_left = attempts_left(job);
	attempt->outcome = end->reason;
	if (end->reason == CLOSE_ENDED) {
		job->ended = true;
		job_upload_give_up(job);
		(void)job_settle(job);
		return;
	}
	verdict = replay_decide(&facts);
	attempt->code = failure_top(end->failure);
	attempt->replay_safe = verdict.safe;
	attempt->why = verdict.why;
	if (end->reason == CLOSE_INACTIVE) {
		attempt->stream = 0;
	}
	if (verdict.go) {
		replay(job);
	} else {
		job_end(job, end->reason, end->failure);
	}
}

static const struct stream_callbacks stream_callbacks = {
	.on_sent = on_sent,
	.on_upload = on_upload,
	.on_informational = on_informational,
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_closed = on_closed,
};
