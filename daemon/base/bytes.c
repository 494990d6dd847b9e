/* SPDX-License-Identifier: MIT */
/*
 * The bounded byte queue: a list of chunks, each filled from its start and emptied from its start.
 */
#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_MIN 1024u
#define CHUNK_MAX 16384u

struct bytes_chunk {
	struct bytes_chunk *next;
	size_t capacity;
	size_t begin; /* content is data[begin .. end) */
	size_t end;
	uint8_t data[];
};

static size_t chunk_size(const struct bytes_chunk *chunk)
{
	return sizeof(*chunk) + chunk->capacity;
}

static size_t tail_room(const struct bytes *bytes)
{
	return bytes->tail ? bytes->tail->capacity - bytes->tail->end : 0;
}

void bytes_init(struct bytes *bytes, size_t ceiling)
{
	memset(bytes, 0, sizeof(*bytes));
	bytes->ceiling = ceiling;
}

static void free_chunks(struct bytes_chunk *chunk)
{
	while (chunk) {
		struct bytes_chunk *next = chunk->next;
		free(chunk);
		chunk = next;
	}
}

void bytes_clear(struct bytes *bytes)
{
	free_chunks(bytes->head);
	bytes->head = bytes->tail = NULL;
	bytes->length = 0;
}

size_t bytes_length(const struct bytes *bytes)
{
	return bytes->length;
}

size_t bytes_room(const struct bytes *bytes)
{
	return bytes->ceiling - bytes->length;
}

/* A chunk for `wanted` bytes or a part of them. `after` is the size of the chunk before it: a queue
 * that grows gets larger chunks, one that holds a few bytes stays small. */
static struct bytes_chunk *new_chunk(size_t wanted, size_t after)
{
	size_t size = CHUNK_MIN;
	while (size < CHUNK_MAX &&
	       (size - sizeof(struct bytes_chunk) < wanted || size < after * 2)) {
		size *= 2;
	}
	struct bytes_chunk *chunk = malloc(size);
	if (chunk) {
		chunk->next = NULL;
		chunk->capacity = size - sizeof(*chunk);
		chunk->begin = chunk->end = 0;
	}
	return chunk;
}

/* Empty chunks for `length` bytes, as a list. NULL when out of memory: then none is left over. */
static struct bytes_chunk *new_chunks(size_t length, size_t after, struct bytes_chunk **ret_last)
{
	struct bytes_chunk *first = NULL;
	struct bytes_chunk *last = NULL;
	do {
		struct bytes_chunk *chunk = new_chunk(length, after);
		if (!chunk) {
			free_chunks(first);
			return NULL;
		}
		if (last) {
			last->next = chunk;
		} else {
			first = chunk;
		}
		last = chunk;
		after = chunk_size(chunk);
		length -= length < chunk->capacity ? length : chunk->capacity;
	} while (length > 0);
	*ret_last = last;
	return first;
}

int bytes_append(struct bytes *bytes, const void *data, size_t length)
{
	if (length > bytes_room(bytes)) {
		return -ENOBUFS;
	}
	if (length == 0) {
		return 0;
	}
	struct bytes_chunk *fill = bytes->tail;
	size_t room = tail_room(bytes);
	if (length > room) {
		struct bytes_chunk *last = NULL;
		struct bytes_chunk *first =
			new_chunks(length - room, fill ? chunk_size(fill) : 0, &last);
		if (!first) {
			return -ENOMEM;
		}
		if (fill) {
			fill->next = first;
		} else {
			bytes->head = fill = first;
		}
		bytes->tail = last;
	}
	bytes->length += length;
	const uint8_t *from = data;
	while (length > 0) {
		size_t part = fill->capacity - fill->end;
		part = part < length ? part : length;
		memcpy(fill->data + fill->end, from, part);
		fill->end += part;
		from += part;
		length -= part;
		fill = fill->next;
	}
	return 0;
}

unsigned bytes_peek(const struct bytes *bytes, struct iovec *iov, unsigned max)
{
	unsigned count = 0;
	for (struct bytes_chunk *chunk = bytes->head; chunk && count < max; chunk = chunk->next) {
		iov[count].iov_base = chunk->data + chunk->begin;
		iov[count].iov_len = chunk->end - chunk->begin;
		++count;
	}
	return count;
}

size_t bytes_copy(const struct bytes *bytes, size_t offset, void *data, size_t length)
{
	const struct bytes_chunk *chunk = bytes->head;
	uint8_t *to = data;
	size_t copied = 0;

	assert(offset <= bytes->length);
	for (; chunk && copied < length; chunk = chunk->next) {
		size_t held = chunk->end - chunk->begin;
		size_t part = length - copied;

		if (offset >= held) {
			offset -= held;
			continue;
		}
		part = part < held - offset ? part : held - offset;
		memcpy(to + copied, chunk->data + chunk->begin + offset, part);
		copied += part;
		offset = 0;
	}
	return copied;
}

/* Unlinks the first chunk; the caller has it now. */
static struct bytes_chunk *pop_chunk(struct bytes *bytes)
{
	struct bytes_chunk *chunk = bytes->head;
	bytes->head = chunk->next;
	if (!bytes->head) {
		bytes->tail = NULL;
	}
	bytes->length -= chunk->end - chunk->begin;
	chunk->next = NULL;
	return chunk;
}

void bytes_skip(struct bytes *bytes, size_t length)
{
	assert(length <= bytes->length);
	while (length > 0) {
		struct bytes_chunk *chunk = bytes->head;
		size_t held = chunk->end - chunk->begin;
		if (length < held) {
			chunk->begin += length;
			bytes->length -= length;
			return;
		}
		length -= held;
		free(pop_chunk(bytes));
	}
}

size_t bytes_take(struct bytes *bytes, void *data, size_t length)
{
	uint8_t *to = data;
	size_t left = length < bytes->length ? length : bytes->length;
	size_t taken = left;
	while (left > 0) {
		const struct bytes_chunk *chunk = bytes->head;
		size_t part = chunk->end - chunk->begin;
		part = part < left ? part : left;
		memcpy(to, chunk->data + chunk->begin, part);
		bytes_skip(bytes, part);
		to += part;
		left -= part;
	}
	return taken;
}
