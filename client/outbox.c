/* SPDX-License-Identifier: MIT */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define FIRST_CAPACITY 1024u
/* A buffer that grew beyond this goes back when it runs empty. */
#define KEEP_CAPACITY (64u * 1024u)

void outbox_fini(struct outbox *outbox)
{
	free(outbox->data);
	*outbox = (struct outbox){0};
}

size_t outbox_length(const struct outbox *outbox)
{
	return outbox->end - outbox->begin;
}

int outbox_add(struct outbox *outbox, const uint8_t *data, size_t length)
{
	if (length == 0) {
		return 0;
	}
	size_t used = outbox_length(outbox);

	if (length > outbox->capacity - outbox->end && outbox->begin > 0) {
		memmove(outbox->data, outbox->data + outbox->begin, used);
		outbox->begin = 0;
		outbox->end = used;
	}
	if (length > outbox->capacity - outbox->end) {
		size_t capacity = outbox->capacity > 0 ? outbox->capacity : FIRST_CAPACITY;
		uint8_t *bigger;

		while (capacity - used < length) {
			if (capacity > SIZE_MAX / 2) {
				return -ENOMEM;
			}
			capacity *= 2;
		}
		bigger = realloc(outbox->data, capacity);
		if (bigger == NULL) {
			return -ENOMEM;
		}
		outbox->data = bigger;
		outbox->capacity = capacity;
	}
	memcpy(outbox->data + outbox->end, data, length);
	outbox->end += length;
	return 0;
}

int outbox_send(struct outbox *outbox, int fd)
{
	while (outbox->begin < outbox->end) {
		ssize_t sent = send(fd, outbox->data + outbox->begin, outbox_length(outbox),
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent >= 0) {
			outbox->begin += (size_t)sent;
			continue;
		}
		if (errno == EINTR) {
			continue;
		}
		return errno == EAGAIN || errno == EWOULDBLOCK ? 1 : -errno;
	}
	outbox->begin = 0;
	outbox->end = 0;
	if (outbox->capacity > KEEP_CAPACITY) {
		outbox_fini(outbox);
	}
	return 0;
}
