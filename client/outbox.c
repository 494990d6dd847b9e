/* SPDX-License-Identifier: MIT */
#include "outbox.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_CAPACITY 1024u
#define FIRST_FDS 4u
/* A buffer that grew beyond this goes back when it runs empty. */
#define KEEP_CAPACITY (64u * 1024u)

void outbox_fini(struct outbox *outbox)
{
	for (size_t i = 0; i < outbox->fd_count; i++) {
		close(outbox->fds[i].fd);
	}
	free(outbox->fds);
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

int outbox_add_with_fd(struct outbox *outbox, const uint8_t *data, size_t length, int fd)
{
	uint64_t position = outbox->sent + outbox_length(outbox);
	int own, r;

	assert(length > 0);
	if (outbox->fd_count == outbox->fd_capacity) {
		size_t capacity = outbox->fd_capacity > 0 ? outbox->fd_capacity * 2 : FIRST_FDS;
		struct outbox_fd *bigger = realloc(outbox->fds, capacity * sizeof(*bigger));

		if (bigger == NULL) {
			return -ENOMEM;
		}
		outbox->fds = bigger;
		outbox->fd_capacity = capacity;
	}
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0) {
		return -errno;
	}
	r = outbox_add(outbox, data, length);
	if (r < 0) {
		close(own);
		return r;
	}
	outbox->fds[outbox->fd_count++] = (struct outbox_fd){.position = position, .fd = own};
	return 0;
}

/* Sends what one call may: a descriptor goes with the first byte of the call, so one that belongs
 * to a later byte ends it in front of that. */
static ssize_t send_some(struct outbox *outbox, int socket)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = outbox->data + outbox->begin,
			    .iov_len = outbox_length(outbox)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t next = 0;

	if (outbox->fd_count > 0 && outbox->fds[0].position == outbox->sent) {
		struct cmsghdr *header;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(header), &outbox->fds[0].fd, sizeof(int));
		next = 1;
	}
	if (next < outbox->fd_count) {
		iov.iov_len = (size_t)(outbox->fds[next].position - outbox->sent);
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* Some went, and what rode on its first byte with it. */
static void drop(struct outbox *outbox, size_t length)
{
	if (outbox->fd_count > 0 && outbox->fds[0].position == outbox->sent) {
		close(outbox->fds[0].fd);
		outbox->fd_count--;
		memmove(outbox->fds, outbox->fds + 1, outbox->fd_count * sizeof(*outbox->fds));
	}
	outbox->begin += length;
	outbox->sent += length;
}

int outbox_send(struct outbox *outbox, int fd)
{
	while (outbox->begin < outbox->end) {
		ssize_t sent = send_some(outbox, fd);

		if (sent > 0) {
			drop(outbox, (size_t)sent);
			continue;
		}
		if (sent < 0 && errno == EINTR) {
			continue;
		}
		/* ETOOMANYREFS: more descriptors are on their way than this process may have open;
		 * the daemon is about to take them. */
		return sent == 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == ETOOMANYREFS
			       ? 1
			       : -errno;
	}
	outbox->begin = 0;
	outbox->end = 0;
	if (outbox->capacity > KEEP_CAPACITY) {
		uint64_t so_far = outbox->sent;

		outbox_fini(outbox);
		outbox->sent = so_far;
	}
	return 0;
}
