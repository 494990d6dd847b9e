/* SPDX-License-Identifier: MIT */
/*
 * Jobs that are under way: credit, cancel and stop, and their events up to the one close.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* ---- credit, stop, cancel ---- */

static int queue_credit(struct fetchd_job *job, uint64_t bytes)
{
	return connection_queue(job->connection,
				&(struct wire_client_frame){.id = job->id,
							    .kind = WIRE_CLIENT_CREDIT,
							    .credit = {.bytes = bytes}});
}

static int queue_plain(struct fetchd_job *job, enum wire_client_kind kind)
{
	return connection_queue(job->connection,
				&(struct wire_client_frame){.id = job->id, .kind = kind});
}

/* Queues what the job owes; true if nothing is left. Credit does not count against the limit a
 * caller is told of, so it has the same one here: what does not fit waits as a sum. */
static bool job_settle(struct fetchd_job *job)
{
	struct fetchd_connection *connection = job->connection;

	if (job->closed || connection->error != 0) {
		return true;
	}
	if (outbox_length(&connection->outbox) > OUTBOX_LIMIT_BYTES) {
		return false;
	}
	if (job->owed_cancel) {
		if (queue_plain(job, WIRE_CLIENT_CANCEL) < 0) {
			return false;
		}
		job->owed_cancel = false;
		job->owed_stop = false;
		job->owed_credit = 0;
	}
	if (job->owed_stop) {
		if (queue_plain(job, WIRE_CLIENT_STOP) < 0) {
			return false;
		}
		job->owed_stop = false;
	}
	if (job->owed_credit > 0) {
		if (queue_credit(job, job->owed_credit) < 0) {
			return false;
		}
		job->owed_credit = 0;
	}
	return true;
}

static void job_owes(struct fetchd_job *job)
{
	if (!job_settle(job)) {
		job->connection->owing = true;
	}
}

void jobs_settle(struct fetchd_connection *connection)
{
	struct fetchd_job *job, *next;
	bool owing = false;

	HASH_ITER(hh, connection->jobs, job, next)
	{
		if (!job_settle(job)) {
			owing = true;
		}
	}
	connection->owing = owing;
}

void fetchd_job_cancel(struct fetchd_job *job)
{
	if (job->cancelled || job->closed) {
		return;
	}
	job->cancelled = true;
	job->owed_cancel = true;
	job_owes(job);
}

void fetchd_job_stop(struct fetchd_job *job)
{
	if (job->stopped || job->cancelled || job->closed) {
		return;
	}
	job->stopped = true;
	job->owed_stop = true;
	job_owes(job);
}

static void job_grant(struct fetchd_job *job, uint64_t bytes)
{
	job->outstanding = add_saturated(job->outstanding, bytes);
	job->owed_credit = add_saturated(job->owed_credit, bytes);
	job_owes(job);
}

void fetchd_job_credit(struct fetchd_job *job, uint64_t bytes)
{
	if (bytes == 0 || job->cancelled || job->closed) {
		return;
	}
	job->window = add_saturated(job->window, bytes);
	job_grant(job, bytes);
}

/* Credit goes back when half of the window is consumed: one frame for many bodies, and the origin
 * never waits for it. The daemon holds no more than max_credit for us, whatever we granted. */
static void job_return_credit(struct fetchd_job *job)
{
	uint64_t window = minimum(job->window, job->connection->server.max_credit_bytes);

	if (job->manual_credit || job->cancelled || job->stopped || job->closed ||
	    job->consumed < (window > 1 ? window / 2 : 1)) {
		return;
	}
	job_grant(job, job->consumed);
	job->consumed = 0;
}

/* Once the daemon's hello has been read: what a job began with that left that to the daemon. */
static void job_begin_default(struct fetchd_job *job)
{
	const struct fetchd_server *server = &job->connection->server;

	if (!job->default_credit) {
		return;
	}
	job->default_credit = false;
	job->window = add_saturated(job->window, server->default_credit_bytes);
	job->outstanding = add_saturated(job->outstanding, server->default_credit_bytes);
	if (job->window == 0 && !job->manual_credit) {
		/* A daemon that gives nothing by itself leaves it to us. */
		fetchd_job_credit(job, minimum(FIRST_CREDIT_BYTES, server->max_credit_bytes));
	}
}

/* ---- events ---- */

static struct fetchd_job *job_find(struct fetchd_connection *connection, uint64_t id)
{
	struct fetchd_job *job = NULL;

	HASH_FIND(hh, connection->jobs, &id, sizeof(id), job);
	return job;
}

static int no_such_job(struct fetchd_connection *connection, uint64_t id)
{
	return connection_lose(connection, -EPROTO,
			       "the daemon sent an event of job %llu, which is not open",
			       (unsigned long long)id);
}

int job_body(struct fetchd_connection *connection, uint64_t id, uint64_t offset, const void *data,
	     size_t length)
{
	struct fetchd_job *job = job_find(connection, id);
	bool told = false;

	if (job == NULL) {
		return no_such_job(connection, id);
	}
	job_begin_default(job);
	if (length > job->outstanding) {
		return connection_lose(connection, -EPROTO,
				       "the daemon sent more of job %llu than it had credit for",
				       (unsigned long long)id);
	}
	if (offset != job->next_offset) {
		return connection_lose(connection, -EPROTO,
				       "the daemon left a gap in the body of job %llu",
				       (unsigned long long)id);
	}
	job->outstanding -= length;
	job->next_offset += length;
	if (job->callbacks.on_body != NULL && !job->cancelled) {
		job->callbacks.on_body(job, offset, data, length, job->user);
		told = true;
	}
	job->consumed = add_saturated(job->consumed, length);
	if (!connection->closing) {
		job_return_credit(job);
	}
	return told ? 1 : 0;
}

static void job_end(struct fetchd_job *job, const struct fetchd_closed *closed)
{
	struct fetchd_connection *connection = job->connection;

	HASH_DELETE(hh, connection->jobs, job);
	job->closed = true;
	if (job->callbacks.on_closed != NULL) {
		job->callbacks.on_closed(job, closed, job->user);
	}
	free(job);
}

static int job_closed(struct fetchd_job *job, const struct wire_closed *wire)
{
	struct fetchd_failure failures[WIRE_FAILURES_MAX];
	struct fetchd_attempt attempts[WIRE_ATTEMPTS_MAX];
	size_t failure_count = minimum(wire->failure_count, WIRE_FAILURES_MAX);
	size_t attempt_count = minimum(wire->attempt_count, WIRE_ATTEMPTS_MAX);

	for (size_t i = 0; i < failure_count; i++) {
		const struct wire_failure *from = &wire->failures[i];

		failures[i] = (struct fetchd_failure){
			.code = (enum fetchd_failure_code)from->code,
			.text = from->text,
			.sys_errno = from->sys_errno,
			.tls_code = from->tls_code,
			.h2_code = convert_optional(from->h2_code),
		};
	}
	for (size_t i = 0; i < attempt_count; i++) {
		const struct wire_attempt *from = &wire->attempts[i];

		attempts[i] = (struct fetchd_attempt){
			.connection = from->connection,
			.remote = from->remote,
			.stream = from->stream,
			.status = from->status,
			.outcome = (enum fetchd_close_reason)from->outcome,
			.code = (enum fetchd_failure_code)from->code,
			.why = from->why,
			.url = from->url,
			.replay_safe = from->replay_safe,
		};
	}
	job_end(job, &(struct fetchd_closed){
			     .reason = (enum fetchd_close_reason)wire->reason,
			     .failures = failures,
			     .failure_count = failure_count,
			     .attempts = attempts,
			     .attempt_count = attempt_count,
			     .payload_bytes = wire->bytes.payload,
			     .delivered_bytes = wire->bytes.delivered,
			     .wire_received_bytes = wire->bytes.wire_received,
			     .wire_sent_bytes = wire->bytes.wire_sent,
			     .dns_us = convert_optional(wire->timings.dns_us),
			     .connect_us = convert_optional(wire->timings.connect_us),
			     .tls_us = convert_optional(wire->timings.tls_us),
			     .queued_us = convert_optional(wire->timings.queued_us),
			     .sent_us = convert_optional(wire->timings.sent_us),
			     .first_byte_us = convert_optional(wire->timings.first_byte_us),
			     .end_us = convert_optional(wire->timings.end_us),
		     });
	return 1;
}

/* Head, Informational and Trailers. */
static int job_head(struct fetchd_job *job, const struct wire_server_frame *frame)
{
	const struct fetchd_job_callbacks *callbacks = &job->callbacks;
	const struct wire_head *wire = &frame->head;
	const struct fetchd_field *fields =
		convert_fields(job->connection, wire->headers, wire->header_count);
	const struct fetchd_connection_info info = {
		.connection = wire->connection.connection,
		.remote = wire->connection.remote,
		.tls_version = wire->connection.tls_version,
		.tls_cipher = wire->connection.tls_cipher,
		.certificate_subject = wire->connection.certificate_subject,
		.certificate_expires = wire->connection.certificate_expires,
		.reused = wire->connection.reused,
		.tls_resumed = wire->connection.tls_resumed,
	};
	struct fetchd_head head = {
		.status = wire->status,
		.headers = fields,
		.header_count = wire->header_count,
		.content_length = -1,
		.url = "",
	};

	if (fields == NULL) {
		return connection_lose(job->connection, -ENOMEM, "out of memory");
	}
	if (frame->kind == WIRE_SERVER_HEAD && callbacks->on_head != NULL) {
		head.content_length = convert_optional(wire->content_length);
		head.connection = &info;
		head.url = wire->url;
		callbacks->on_head(job, &head, job->user);
		return 1;
	}
	if (frame->kind == WIRE_SERVER_INFORMATIONAL && callbacks->on_informational != NULL) {
		callbacks->on_informational(job, &head, job->user);
		return 1;
	}
	if (frame->kind == WIRE_SERVER_TRAILERS && callbacks->on_trailers != NULL) {
		callbacks->on_trailers(job, fields, wire->header_count, job->user);
		return 1;
	}
	return 0;
}

static int job_progress(struct fetchd_job *job, const struct wire_progress *wire)
{
	if (job->callbacks.on_progress == NULL) {
		return 0;
	}
	job->callbacks.on_progress(job,
				   &(struct fetchd_progress){
					   .state = (enum fetchd_job_state)wire->state,
					   .received_bytes = wire->received,
					   .delivered_bytes = wire->delivered,
					   .content_length = convert_optional(wire->content_length),
					   .waiting_for = wire->waiting_for,
				   },
				   job->user);
	return 1;
}

int job_event(struct fetchd_connection *connection, const struct wire_server_frame *frame)
{
	struct fetchd_job *job;

	if (frame->kind == WIRE_SERVER_BODY) {
		return job_body(connection, frame->id, frame->body.offset, frame->body.data.data,
				frame->body.data.length);
	}
	job = job_find(connection, frame->id);
	if (job == NULL) {
		return no_such_job(connection, frame->id);
	}
	if (frame->kind == WIRE_SERVER_CLOSED) {
		return job_closed(job, &frame->closed);
	}
	if (frame->kind == WIRE_SERVER_ACCEPTED) {
		job->daemon_id = frame->accepted.job;
		job_begin_default(job);
	}
	if (frame->kind == WIRE_SERVER_UPLOAD_CREDIT) {
		return upload_credit(job, frame->upload_credit.bytes);
	}
	if (job->cancelled) {
		return 0;
	}
	if (frame->kind == WIRE_SERVER_ACCEPTED && job->callbacks.on_accepted != NULL) {
		job->callbacks.on_accepted(job, job->daemon_id, job->user);
		return 1;
	}
	if (frame->kind == WIRE_SERVER_WARNING && job->callbacks.on_warning != NULL) {
		job->callbacks.on_warning(job, (enum fetchd_warning_code)frame->warning.code,
					  frame->warning.text, job->user);
		return 1;
	}
	if (frame->kind == WIRE_SERVER_PROGRESS) {
		return job_progress(job, &frame->progress);
	}
	if (frame->kind == WIRE_SERVER_HEAD || frame->kind == WIRE_SERVER_INFORMATIONAL ||
	    frame->kind == WIRE_SERVER_TRAILERS) {
		return job_head(job, frame);
	}
	return 0;
}

void jobs_lose(struct fetchd_connection *connection)
{
	struct fetchd_failure failure = {
		.text = connection->error_text,
		.h2_code = -1,
	};

	/* Oldest first; nothing can be added any more. */
	while (connection->jobs != NULL && !connection->closing) {
		struct fetchd_job *job = connection->jobs;

		job_end(job, &(struct fetchd_closed){
				     .reason = FETCHD_CLOSE_DAEMON_LOST,
				     .failures = &failure,
				     .failure_count = 1,
				     .payload_bytes = job->next_offset,
				     .delivered_bytes = job->next_offset,
				     .dns_us = -1,
				     .connect_us = -1,
				     .tls_us = -1,
				     .queued_us = -1,
				     .sent_us = -1,
				     .first_byte_us = -1,
				     .end_us = -1,
			     });
	}
}

void jobs_free(struct fetchd_connection *connection)
{
	struct fetchd_job *job, *next;

	HASH_ITER(hh, connection->jobs, job, next)
	{
		HASH_DELETE(hh, connection->jobs, job);
		free(job);
	}
}

/* ---- questions ---- */

uint64_t fetchd_job_id(const struct fetchd_job *job)
{
	return job->id;
}

uint64_t fetchd_job_daemon_id(const struct fetchd_job *job)
{
	return job->daemon_id;
}

struct fetchd_connection *fetchd_job_connection(const struct fetchd_job *job)
{
	return job->connection;
}

void *fetchd_job_user(const struct fetchd_job *job)
{
	return job->user;
}

size_t fetchd_open_jobs(const struct fetchd_connection *connection)
{
	return HASH_COUNT(connection->jobs);
}
