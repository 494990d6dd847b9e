/* SPDX-License-Identifier: MIT */
/*
 * Request bodies in pieces: from the caller, under the daemon's credit, into the outbox. Nothing is
 * kept here: what there is no room for stays with the caller.
 */
#include "internal.h"

#include <errno.h>

static uint64_t minimum(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* What the outbox takes before it is full. */
static uint64_t outbox_room(const struct fetchd_connection *connection)
{
	size_t length = outbox_length(&connection->outbox);

	return length < OUTBOX_LIMIT_BYTES ? OUTBOX_LIMIT_BYTES - length : 0;
}

static bool upload_open(const struct fetchd_job *job)
{
	return job->upload && !job->upload_ended && !job->cancelled && !job->stopped &&
	       !job->closed && job->connection->error == 0 && job->connection->send_error == 0;
}

uint64_t fetchd_job_upload_room(const struct fetchd_job *job)
{
	return upload_open(job) ? minimum(job->upload_credit, outbox_room(job->connection)) : 0;
}

static int queue_piece(struct fetchd_job *job, const uint8_t *data, size_t length, bool end)
{
	return connection_queue(
		job->connection,
		&(struct wire_client_frame){
			.id = job->id,
			.kind = WIRE_CLIENT_UPLOAD_DATA,
			.upload_data = {.data = {.data = data, .length = length}, .end = end}});
}

ssize_t fetchd_job_upload(struct fetchd_job *job, const void *data, size_t length, bool end)
{
	struct fetchd_connection *connection = job->connection;
	size_t taken = 0, whole;

	if (!job->upload || job->upload_ended || (data == NULL && length > 0)) {
		return -EINVAL;
	}
	if (connection->error != 0 || connection->send_error != 0) {
		return connection->error != 0 ? connection->error : connection->send_error;
	}
	if (!upload_open(job)) {
		return -ECANCELED;
	}
	job->upload_starved = false;
	whole = (size_t)minimum(length, fetchd_job_upload_room(job));
	while (taken < whole || (end && length == 0)) {
		size_t piece = (size_t)minimum(whole - taken, UPLOAD_PIECE_BYTES);
		bool last = end && taken + piece == length;
		int r = queue_piece(job, length > 0 ? (const uint8_t *)data + taken : NULL, piece,
				    last);

		if (r < 0 && taken == 0) {
			return r;
		}
		if (r < 0) {
			break;
		}
		taken += piece;
		job->upload_credit -= piece;
		if (last) {
			job->upload_ended = true;
			break;
		}
	}
	/* With credit left it is for us to say when there is room again. */
	if (taken < length && job->upload_credit > 0) {
		job->upload_starved = true;
		connection->starving = true;
	}
	return (ssize_t)taken;
}

/* 1 if the caller was told, 0 if not. */
static int tell_room(struct fetchd_job *job)
{
	uint64_t room = fetchd_job_upload_room(job);

	if (room == 0 || job->callbacks.on_upload == NULL) {
		return 0;
	}
	job->callbacks.on_upload(job, room, job->user);
	return 1;
}

int upload_credit(struct fetchd_job *job, uint64_t bytes)
{
	struct fetchd_connection *connection = job->connection;

	if (!job->upload) {
		return connection_lose(connection, -EPROTO,
				       "the daemon gave credit for an upload that job %llu has not",
				       (unsigned long long)job->id);
	}
	job->upload_credit =
		bytes > UINT64_MAX - job->upload_credit ? UINT64_MAX : job->upload_credit + bytes;
	if (upload_open(job) && job->upload_credit > 0 && outbox_room(connection) == 0) {
		/* It is told of when the outbox is shorter. */
		job->upload_starved = true;
		connection->starving = true;
		return 0;
	}
	return tell_room(job);
}

bool uploads_hungry(const struct fetchd_connection *connection)
{
	/* Not for one byte: half of the outbox is worth a round. */
	return connection->starving && outbox_room(connection) >= OUTBOX_LIMIT_BYTES / 2;
}

int uploads_feed(struct fetchd_connection *connection)
{
	struct fetchd_job *job, *next;
	int told = 0;

	if (!uploads_hungry(connection)) {
		return 0;
	}
	/* Whoever finds no room again sets it again. */
	connection->starving = false;
	HASH_ITER(hh, connection->jobs, job, next)
	{
		if (!job->upload_starved) {
			continue;
		}
		if (outbox_room(connection) == 0) {
			connection->starving = true;
			break;
		}
		job->upload_starved = false;
		told += tell_room(job);
		if (connection->closing) {
			break;
		}
	}
	return told;
}
