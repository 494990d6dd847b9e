/* SPDX-License-Identifier: MIT */
/*
 * The buffer of a request body that comes in pieces, and its credit.
 */
#include "http/upload.h"

#include "http/share.h"

#include <assert.h>
#include <stdlib.h>

struct upload *upload_new(struct http_env *env, uint32_t user, size_t size, bool has_length,
			  uint64_t length)
{
	struct upload *upload = calloc(1, sizeof(*upload));

	if (upload) {
		upload->env = env;
		upload->user = user;
		upload->has_length = has_length;
		upload->length = length;
		bytes_init(&upload->held, size);
	}
	return upload;
}

void upload_free(struct upload *upload)
{
	if (upload) {
		upload_drop(upload);
		free(upload);
	}
}

void upload_open(struct upload *upload)
{
	size_t size = upload->held.ceiling;

	if (upload->reserved > 0 || upload->dropped) {
		return;
	}
	/* It cannot hold more than there is. */
	upload->reserved =
		upload->has_length && upload->length < size ? (size_t)upload->length : size;
	upload->env->upload_bytes += upload->reserved;
	/* Without memory for the account, which it has with its stream's charge, the user's share
	 * counts without it. */
	if (upload->reserved > 0) {
		(void)share_charge(upload->env, upload->user, ACCOUNT_BUFFER, upload->reserved,
				   &upload->charge);
	}
}

/* Granted, and not yet forgotten: what has come of it and what has not. */
static uint64_t outstanding(const struct upload *upload)
{
	return upload->granted - upload->begin;
}

uint64_t upload_grant(struct upload *upload)
{
	size_t size = upload->held.ceiling;
	uint64_t room = size - outstanding(upload);

	if (upload->dropped || upload_is_whole(upload) || room == 0 || room < size / 2) {
		return 0;
	}
	upload->granted += room;
	return room;
}

int upload_append(struct upload *upload, const uint8_t *data, size_t length, bool end)
{
	int rc = 0;

	if (upload->ended) {
		return UPLOAD_AFTER_END;
	}
	if (length > upload->granted - upload->received) {
		return UPLOAD_NOT_GRANTED;
	}
	if (!upload->given_up && upload->has_length) {
		uint64_t left = upload->length - upload->received;

		if (length > left) {
			return UPLOAD_TOO_LONG;
		}
		if (end && length < left) {
			return UPLOAD_TOO_SHORT;
		}
	}
	if (!upload->dropped) {
		rc = bytes_append(&upload->held, data, length);
		if (rc < 0) {
			return rc;
		}
		upload->env->buffered_bytes += length;
	}
	upload->received += length;
	upload->ended = end;
	return UPLOAD_TAKEN;
}

bool upload_is_whole(const struct upload *upload)
{
	/* With the last byte that was announced it is whole, whether or not its piece says so: an
	 * empty DATA frame for the end would need a window that the peer may have no reason to
	 * open. */
	return upload->ended || (upload->has_length && upload->received == upload->length);
}

bool upload_has(const struct upload *upload, uint64_t offset)
{
	return upload->received > offset || upload_is_whole(upload);
}

size_t upload_read(const struct upload *upload, uint64_t offset, uint8_t *buffer, size_t size,
		   bool *ret_end)
{
	size_t count = 0;

	if (offset == upload->received) {
		*ret_end = upload_is_whole(upload);
		return 0;
	}
	assert(offset >= upload->begin && offset < upload->received && !upload->dropped);
	count = bytes_copy(&upload->held, (size_t)(offset - upload->begin), buffer, size);
	*ret_end = upload_is_whole(upload) && offset + count == upload->received;
	return count;
}

void upload_sent(struct upload *upload, uint64_t offset)
{
	bool full = upload->received == upload->granted && !upload_is_whole(upload);
	size_t count = 0;

	if (upload->dropped || (!upload->let_go && !full)) {
		return;
	}
	assert(offset >= upload->begin && offset <= upload->received);
	count = (size_t)(offset - upload->begin);
	if (count > 0) {
		upload->let_go = true;
	}
	bytes_skip(&upload->held, count);
	upload->env->buffered_bytes -= count;
	upload->begin = offset;
	if (upload_is_whole(upload) && offset == upload->received) {
		upload_drop(upload);
	}
}

bool upload_is_kept(const struct upload *upload)
{
	return upload->begin == 0 && !upload->dropped;
}

void upload_let_go(struct upload *upload)
{
	upload->let_go = true;
}

void upload_drop(struct upload *upload)
{
	struct http_env *env = upload->env;

	if (upload->dropped) {
		return;
	}
	upload->dropped = true;
	upload->given_up = !upload_is_whole(upload);
	env->buffered_bytes -= bytes_length(&upload->held);
	bytes_clear(&upload->held);
	account_discharge(&upload->charge); /* of an empty one too */
	if (upload->reserved > 0) {
		env->upload_bytes -= upload->reserved;
		upload->reserved = 0;
		if (env->on_stream_freed) {
			env->on_stream_freed(env->on_stream_freed_ctx, upload->user);
		}
	}
}
