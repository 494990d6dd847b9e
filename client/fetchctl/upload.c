/* SPDX-License-Identifier: MIT */
/*
 * The request body of one URL of `fetchctl get` on its way to the daemon, when it is sent in
 * pieces: read as the daemon has room for it, never ahead of that.
 */
#include "get.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES 65536u

static void fail(struct transfer *transfer, int error, const char *what)
{
	get_message(transfer->get, "%s: %s", transfer->shown_url, what);
	transfer->local_error = error;
	transfer->upload_wanted = false;
	fetchd_job_cancel(transfer->job);
}

/* Hands over what there is room for. True if all of it was taken. */
static bool give(struct transfer *transfer, const void *data, size_t length, bool end)
{
	ssize_t taken = fetchd_job_upload(transfer->job, data, length, end);

	/* Cancelled, stopped, or lost: its end will be told. */
	if (taken < 0 && taken != -ENOMEM) {
		return false;
	}
	if (taken != (ssize_t)length) {
		fail(transfer, -ENOMEM, "out of memory");
		return false;
	}
	transfer->sent_bytes += length;
	transfer->upload_ended = end;
	return true;
}

static size_t smaller(uint64_t a, uint64_t b)
{
	return (size_t)(a < b ? a : b);
}

/* What is in memory. False when there is no more room. */
static bool give_memory(struct transfer *transfer, const struct body *body)
{
	size_t left = body->length - (size_t)transfer->sent_bytes;
	size_t piece = smaller(left, fetchd_job_upload_room(transfer->job));

	return piece > 0 && give(transfer, body->data + transfer->sent_bytes, piece,
				 piece == left && body->fd < 0);
}

static bool give_from_file(struct transfer *transfer, const struct body *body)
{
	uint64_t at = transfer->sent_bytes - body->length, left = body->rest_bytes - at;
	uint8_t buffer[PIECE_BYTES];
	size_t piece =
		smaller(smaller(left, sizeof(buffer)), fetchd_job_upload_room(transfer->job));
	ssize_t got;

	if (piece == 0) {
		return false;
	}
	got = pread(body->fd, buffer, piece, (off_t)(body->offset + at));
	if (got < 0 && errno == EINTR) {
		return true;
	}
	if (got < 0) {
		char what[256];

		(void)snprintf(what, sizeof(what), "cannot read what is to be sent: %s",
			       strerror(errno));
		fail(transfer, -errno, what);
		return false;
	}
	if (got == 0) {
		fail(transfer, -EIO, "the file became shorter while it was sent");
		return false;
	}
	return give(transfer, buffer, (size_t)got, (uint64_t)got == left);
}

void upload_feed(struct transfer *transfer)
{
	const struct body *body = &transfer->get->options->body;
	bool more = true;

	while (more && !transfer->upload_ended) {
		if (transfer->sent_bytes < body->length) {
			more = give_memory(transfer, body);
		} else if (body->seekable) {
			more = give_from_file(transfer, body);
		} else {
			/* When there is something to read, upload_read() is called. */
			transfer->upload_wanted = fetchd_job_upload_room(transfer->job) > 0;
			more = false;
		}
	}
}

void upload_read(struct transfer *transfer)
{
	const struct body *body = &transfer->get->options->body;
	uint8_t buffer[PIECE_BYTES];
	size_t piece = smaller(sizeof(buffer), fetchd_job_upload_room(transfer->job));
	ssize_t got;

	transfer->upload_wanted = false;
	if (piece == 0) {
		return;
	}
	got = read(body->fd, buffer, piece);
	if (got < 0 && errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
		char what[256];

		(void)snprintf(what, sizeof(what), "cannot read what is to be sent: %s",
			       strerror(errno));
		fail(transfer, -errno, what);
		return;
	}
	if (got >= 0 && !give(transfer, buffer, (size_t)got, got == 0)) {
		return;
	}
	upload_feed(transfer);
}
