/* SPDX-License-Identifier: MIT */
/*
 * A job and its client: the sink that turns a job's events into frames, and hands out body bytes
 * under credit.
 *
 * Bound late: body bytes stay in the HTTP/2 stream until the client's output queue is short and the
 * job has credit. Ready jobs have their turns one frame at a time. Or the body goes to a descriptor
 * that the client passed (output.h): then credit and turns have no meaning, and the news of the
 * job's end waits until no thread writes any more.
 */
#include "ipc/ipc_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define IOV_MAX_USED 16u

_Static_assert((int)WIRE_CLOSE_SHUTDOWN == (int)CLOSE_SHUTDOWN, "one table makes both enums");
_Static_assert((int)WIRE_FAIL_INTERNAL == (int)FAIL_INTERNAL, "one table makes both enums");

/* ---- credit and turns ---- */

static void set_ready(struct client_job *client_job, bool ready)
{
	if (ready == client_job->is_ready) {
		return;
	}
	client_job->is_ready = ready;
	if (ready) {
		DL_APPEND(client_job->peer->ready, client_job);
	} else {
		DL_DELETE(client_job->peer->ready, client_job);
	}
}

/* After anything that changes what may go: is it ready, and if not, who holds it? */
static void update(struct client_job *client_job)
{
	bool waiting = job_available(client_job->job) > 0;
	enum job_hold hold = JOB_NOT_HELD;

	if (client_job->output) {
		output_pull(client_job->output); /* which says itself when it holds the job */
		return;
	}
	if (waiting && client_job->credit == 0) {
		hold = JOB_WITHOUT_CREDIT;
	} else if (waiting && client_job->peer->blocked) {
		hold = JOB_WITHOUT_ROOM;
	}
	set_ready(client_job, waiting && client_job->credit > 0);
	job_hold(client_job->job, hold);
	if (client_job->is_ready) {
		peer_queue_flush(client_job->peer);
	}
}

void client_job_credit(struct client_job *client_job, uint64_t bytes)
{
	uint64_t most = client_job->peer->max_credit;

	if (bytes > most - client_job->credit) {
		client_job->credit = most;
	} else {
		client_job->credit += bytes;
	}
	update(client_job);
}

void client_job_hold_all(struct peer *peer, bool held)
{
	struct client_job *client_job = NULL;

	DL_FOREACH (peer->ready, client_job) {
		job_hold(client_job->job, held ? JOB_WITHOUT_ROOM : JOB_NOT_HELD);
	}
}

/* Queues one Body frame. Returns false when the job is gone by it, or nothing could be queued. */
static bool pull_one(struct client_job *client_job)
{
	struct peer *peer = client_job->peer;
	struct iovec iov[IOV_MAX_USED];
	uint8_t prefix[WIRE_BODY_PREFIX_MAX];
	size_t limit =
		client_job->credit < WIRE_BODY_MAX ? (size_t)client_job->credit : WIRE_BODY_MAX;
	unsigned count = job_peek(client_job->job, iov, IOV_MAX_USED, limit);
	size_t length = 0;
	size_t prefix_length = 0;
	int rc = 0;

	for (unsigned i = 0; i < count; i++) {
		length += iov[i].iov_len;
	}
	if (length == 0) {
		return false;
	}
	prefix_length = wire_body_prefix(client_job->id, client_job->offset, length, prefix);
	rc = bytes_append(&peer->out, prefix, prefix_length);
	for (unsigned i = 0; rc == 0 && i < count; i++) {
		rc = bytes_append(&peer->out, iov[i].iov_base, iov[i].iov_len);
	}
	if (rc < 0) {
		/* Half a frame may be queued: there is no way on for this conversation. */
		peer_abort(peer);
		return false;
	}
	client_job->credit -= length;
	client_job->offset += length;
	return job_consume(client_job->job, length);
}

void client_job_pull(struct peer *peer)
{
	while (peer->ready && bytes_length(&peer->out) < peer->low_water) {
		struct client_job *client_job = peer->ready;

		/* To the end of the queue first: it may be gone afterwards. */
		set_ready(client_job, false);
		if (pull_one(client_job)) {
			update(client_job);
		} else if (peer->state == PEER_DEAD) {
			return;
		}
	}
}

/* ---- the sink ---- */

static const struct wire_field *make_fields(const struct header_list *headers,
					    struct wire_field **ret_allocated)
{
	uint32_t count = header_list_count(headers);
	struct wire_field *fields = calloc(count ? count : 1, sizeof(*fields));

	*ret_allocated = fields;
	for (uint32_t i = 0; fields && i < count; i++) {
		struct header_field field = header_list_get(headers, i);

		fields[i] = (struct wire_field){
			.name = {(const uint8_t *)field.name, field.name_length},
			.value = {(const uint8_t *)field.value, field.value_length},
		};
	}
	return fields;
}

static void send_headers(struct client_job *client_job, struct wire_server_frame *frame,
			 const struct header_list *headers)
{
	struct wire_field *allocated = NULL;

	frame->id = client_job->id;
	frame->head.headers = make_fields(headers, &allocated);
	frame->head.header_count = header_list_count(headers);
	if (allocated) {
		peer_send(client_job->peer, frame);
	} else {
		peer_goodbye(client_job->peer, WIRE_GOODBYE_NO_MEMORY, "no memory for an event");
	}
	free(allocated);
}

static void on_informational(void *ctx, unsigned status, const struct header_list *headers)
{
	struct wire_server_frame frame = {.kind = WIRE_SERVER_INFORMATIONAL,
					  .head = {.status = status}};

	send_headers(ctx, &frame, headers);
}

/* A response to HEAD, or 304, has a length and no body: it is for what comes that room is reserved.
 */
static void expect_body(const struct client_job *client_job, const struct job_head *head)
{
	if (client_job->output && head->response->has_content_length) {
		output_expect(client_job->output, head->response->content_length);
	}
}

static void on_head(void *ctx, const struct job_head *head)
{
	char remote[ADDRESS_TEXT_MAX];
	struct wire_server_frame frame = {
		.kind = WIRE_SERVER_HEAD,
		.head =
			{
				.status = head->response->status,
				.connection =
					{
						.connection = head->connection,
						.remote =
							address_print(&head->info->remote, remote),
						.tls_version = head->info->tls_version,
						.tls_cipher = head->info->tls_cipher,
						.certificate_subject =
							head->info->certificate_subject,
						.certificate_expires =
							head->info->certificate_expires,
						.reused = head->reused,
						.tls_resumed = head->info->tls_resumed,
					},
				.content_length = {head->response->has_content_length,
						   head->response->content_length},
				.url = head->url,
			},
	};

	expect_body(ctx, head);
	send_headers(ctx, &frame, head->response->headers);
}

static void on_trailers(void *ctx, const struct header_list *trailers)
{
	struct wire_server_frame frame = {.kind = WIRE_SERVER_TRAILERS};

	send_headers(ctx, &frame, trailers);
}

static void on_readable(void *ctx)
{
	update(ctx);
}

static void on_warning(void *ctx, bool received, const char *text)
{
	struct client_job *client_job = ctx;
	struct wire_server_frame frame = {
		.id = client_job->id,
		.kind = WIRE_SERVER_WARNING,
		.warning = {.code = received ? WIRE_WARNING_RECEIVED_SIZE
					     : WIRE_WARNING_EXPECTED_SIZE,
			    .text = text},
	};

	peer_send(client_job->peer, &frame);
}

static void on_progress(void *ctx)
{
	struct client_job *client_job = ctx;
	struct job_info info;
	struct wire_server_frame frame = {.id = client_job->id, .kind = WIRE_SERVER_PROGRESS};

	job_info(client_job->job, &info);
	frame.progress = (struct wire_progress){
		.state = report_job_state(info.state),
		.received = info.received,
		.delivered = info.delivered,
		.content_length = {info.has_content_length, info.content_length},
		.waiting_for = info.waiting_for,
	};
	peer_send(client_job->peer, &frame);
}

static void on_upload_credit(void *ctx, uint64_t bytes)
{
	struct client_job *client_job = ctx;
	struct wire_server_frame frame = {.id = client_job->id,
					  .kind = WIRE_SERVER_UPLOAD_CREDIT,
					  .upload_credit = {.bytes = bytes}};

	peer_send(client_job->peer, &frame);
}

static struct wire_optional timing(uint64_t us)
{
	return (struct wire_optional){us != 0, us};
}

static void free_client_job(struct client_job *client_job)
{
	if (!client_job->job) {
		client_job->peer->lingering--;
	}
	HASH_DEL(client_job->peer->jobs, client_job);
	output_free(client_job->output);
	free(client_job->closed);
	free(client_job);
}

/* Its end is told when its output is idle. Without memory for that it cannot be told at all. */
static void linger(struct client_job *client_job, const struct wire_server_frame *closed)
{
	struct peer *peer = client_job->peer;

	client_job->job = NULL;
	peer->lingering++;
	if (wire_server_frame_encode(closed, &client_job->closed, &client_job->closed_length) < 0) {
		peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "an event could not be queued");
	}
}

/* To the peer; or, where `later` is given, when that one's output is idle. */
static void send_closed(struct peer *peer, uint64_t id, const struct job_result *result,
			struct client_job *later)
{
	struct wire_failure failures[FAILURE_LINKS_MAX];
	struct wire_attempt attempts[JOB_ATTEMPTS_MAX];
	struct wire_server_frame frame = {
		.id = id,
		.kind = WIRE_SERVER_CLOSED,
		.closed =
			{
				.reason = (enum wire_close_reason)result->reason,
				.failures = failures,
				.failure_count = result->failure->count,
				.attempts = attempts,
				.attempt_count = result->attempt_count,
				.bytes = {result->bytes.payload, result->bytes.delivered,
					  result->bytes.wire_received, result->bytes.wire_sent},
				.timings = {timing(result->timings.dns_us),
					    timing(result->timings.connect_us),
					    timing(result->timings.tls_us),
					    timing(result->timings.queued_us),
					    timing(result->timings.sent_us),
					    timing(result->timings.first_byte_us),
					    timing(result->timings.end_us)},
			},
	};

	for (unsigned i = 0; i < result->failure->count; i++) {
		const struct failure_link *link = &result->failure->links[i];

		failures[i] = (struct wire_failure){
			.code = (enum wire_failure_code)link->code,
			.text = link->text,
			.sys_errno = (uint32_t)link->sys_errno,
			.h2_code = {link->has_h2_code, link->h2_code},
			.tls_code = link->tls_code,
		};
	}
	for (unsigned i = 0; i < result->attempt_count; i++) {
		const struct job_attempt *attempt = &result->attempts[i];

		attempts[i] = (struct wire_attempt){
			.connection = attempt->connection,
			.remote = attempt->remote,
			.stream = attempt->stream,
			.outcome = (enum wire_close_reason)attempt->outcome,
			.code = (enum wire_failure_code)attempt->code,
			.replay_safe = attempt->replay_safe,
			.why = attempt->why,
			.status = attempt->status,
			.url = attempt->url,
		};
	}
	if (later) {
		linger(later, &frame);
	} else {
		peer_send(peer, &frame);
	}
}

static void on_closed(void *ctx, const struct job_result *result)
{
	struct client_job *client_job = ctx;

	struct peer *peer = client_job->peer;
	bool lingers = false;

	set_ready(client_job, false);
	if (client_job->output) {
		output_detach(client_job->output);
		lingers = peer->state == PEER_OPEN && output_is_busy(client_job->output);
	}
	send_closed(peer, client_job->id, result, lingers ? client_job : NULL);
	if (!lingers) {
		free_client_job(client_job);
	}
}

void client_job_abandon(struct client_job *client_job)
{
	if (client_job->job) {
		job_cancel(client_job->job, FAIL_CLIENT_GONE);
	} else {
		free_client_job(client_job);
	}
}

/* ---- the output ---- */

static void on_output_failed(void *ctx, const struct failure *failure)
{
	struct client_job *client_job = ctx;

	job_fail(client_job->job, CLOSE_OUTPUT_FAILED, failure);
}

static void on_output_idle(void *ctx)
{
	struct client_job *client_job = ctx;
	struct peer *peer = client_job->peer;

	if (client_job->closed) {
		peer_send_encoded(peer, client_job->closed, client_job->closed_length);
	}
	free_client_job(client_job);
	if (peer->leaving) {
		peer_leave(peer);
	}
}

static const struct output_callbacks output_callbacks = {
	.on_failed = on_output_failed,
	.on_idle = on_output_idle,
};

/* Where the body is to go. 0, or a failure code and *failure. */
static int take_output(struct client_job *client_job, const struct wire_submit *submit,
		       struct failure *failure)
{
	struct peer *peer = client_job->peer;
	const struct job_option offset = {submit->output_offset.set, submit->output_offset.value};
	struct passed_fd passed;

	if (!submit->has_output) {
		return 0;
	}
	if (passed_claimed(&peer->passed) != 1) {
		failure_set(failure, FAIL_OUTPUT_INVALID,
			    "the output is one descriptor, not %u (fd_count)",
			    passed_claimed(&peer->passed));
		return FAIL_OUTPUT_INVALID;
	}
	passed = passed_take(&peer->passed);
	return output_new(peer->ipc->outputs, &passed, offset, &output_callbacks, client_job,
			  &client_job->output, failure);
}

static const struct job_sink_ops sink_ops = {
	.informational = on_informational,
	.head = on_head,
	.readable = on_readable,
	.trailers = on_trailers,
	.warning = on_warning,
	.progress = on_progress,
	.upload_credit = on_upload_credit,
	.closed = on_closed,
};

/* ---- submitting ---- */

static enum priority priority_of(enum wire_priority priority)
{
	switch (priority) {
	case WIRE_PRIORITY_LOW:
		return PRIORITY_LOW;
	case WIRE_PRIORITY_HIGH:
		return PRIORITY_HIGH;
	case WIRE_PRIORITY_URGENT:
		return PRIORITY_URGENT;
	case WIRE_PRIORITY_UNSPECIFIED:
	case WIRE_PRIORITY_NORMAL:
		break;
	}
	return PRIORITY_NORMAL;
}

/* RFC 9218, section 4.1. */
static unsigned urgency_of(enum wire_priority priority)
{
	switch (priority) {
	case WIRE_PRIORITY_URGENT:
		return 1;
	case WIRE_PRIORITY_HIGH:
		return 2;
	case WIRE_PRIORITY_LOW:
		return 5;
	case WIRE_PRIORITY_UNSPECIFIED:
	case WIRE_PRIORITY_NORMAL:
		break;
	}
	return 0; /* 3, which is what a server takes for granted */
}

static struct job_option option_of(struct wire_optional optional)
{
	return (struct job_option){optional.set, optional.value};
}

/* The job cannot be taken: its Closed is all that comes of it. */
static void deny(struct peer *peer, uint64_t id, const struct failure *failure)
{
	struct job_result result = {
		.reason = CLOSE_DENIED,
		.failure = failure,
	};

	send_closed(peer, id, &result, NULL);
}

static int submit(struct client_job *client_job, const struct wire_submit *submit,
		  struct failure *failure)
{
	struct peer *peer = client_job->peer;
	struct header_field fields[WIRE_HEADERS_MAX];
	struct job_spec spec = {
		.request =
			{
				.url = submit->url,
				.method = submit->method,
				.headers = fields,
				.header_count = submit->header_count,
				.body = submit->body.data,
				.body_length = submit->body.length,
				.has_body = submit->has_body,
				.streamed = submit->has_upload,
				.has_length = submit->upload_length.set,
				.length = submit->upload_length.value,
				.urgency = urgency_of(submit->priority),
			},
		.max_size = option_of(submit->max_size),
		.warn_size = option_of(submit->warn_size),
		.queue_timeout_ms = option_of(submit->queue_timeout_ms),
		.connect_timeout_ms = option_of(submit->connect_timeout_ms),
		.first_byte_timeout_ms = option_of(submit->first_byte_timeout_ms),
		.stall_timeout_ms = option_of(submit->stall_timeout_ms),
		.total_timeout_ms = option_of(submit->total_timeout_ms),
		.priority = priority_of(submit->priority),
		.replay_forbidden = submit->replay_forbidden,
		.retry_allowed = submit->retry_allowed,
		.max_redirects = submit->max_redirects,
		.redirect_to_cleartext = submit->redirect_to_cleartext,
		.progress_interval_ms = submit->progress_interval_ms,
	};

	int rc = 0;

	assert(submit->header_count <= WIRE_HEADERS_MAX);
	for (size_t i = 0; i < submit->header_count; i++) {
		fields[i] = (struct header_field){
			.name = (const char *)submit->headers[i].name.data,
			.name_length = submit->headers[i].name.length,
			.value = (const char *)submit->headers[i].value.data,
			.value_length = submit->headers[i].value.length,
		};
	}
	rc = take_output(client_job, submit, failure);
	if (rc == 0) {
		rc = job_submit(peer->ipc->world.jobs, &spec, &peer->owner, &sink_ops, client_job,
				&client_job->job, failure);
	}
	if (rc == 0 && client_job->output) {
		output_attach(client_job->output, client_job->job);
	}
	return rc;
}

void client_job_submit(struct peer *peer, uint64_t id, const struct wire_submit *wire_submit)
{
	const struct config *config = peer->ipc->world.config;
	struct client_job *client_job = NULL;
	struct failure failure;
	struct wire_server_frame accepted = {.id = id, .kind = WIRE_SERVER_ACCEPTED};

	if (HASH_COUNT(peer->jobs) >= config->ipc.max_jobs_per_client) {
		failure_set(&failure, FAIL_TOO_MANY_JOBS,
			    "the client has %u jobs open (ipc.max_jobs_per_client)",
			    HASH_COUNT(peer->jobs));
		deny(peer, id, &failure);
		return;
	}
	client_job = calloc(1, sizeof(*client_job));
	if (!client_job) {
		failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for the job");
		deny(peer, id, &failure);
		return;
	}
	client_job->peer = peer;
	client_job->id = id;
	client_job->credit = wire_submit->initial_credit.set ? wire_submit->initial_credit.value
							     : peer->default_credit;
	if (client_job->credit > peer->max_credit) {
		client_job->credit = peer->max_credit;
	}
	HASH_ADD(hh, peer->jobs, id, sizeof(client_job->id), client_job);
	if (!client_job->hh.tbl) {
		free(client_job);
		failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for the job");
		deny(peer, id, &failure);
		return;
	}
	if (submit(client_job, wire_submit, &failure) != 0) {
		HASH_DEL(peer->jobs, client_job);
		output_free(client_job->output);
		free(client_job);
		deny(peer, id, &failure);
		return;
	}
	accepted.accepted.job = job_number(client_job->job);
	peer_send(peer, &accepted);
}
