/* SPDX-License-Identifier: MIT */
/*
 * Receiving, keeping and closing passed descriptors.
 *
 * What the kernel does with them on a stream socket: bytes that were sent before may come in one
 * piece in front of those that descriptors ride on, but nothing comes behind these in the same
 * call; so descriptors arrive in the order of the frames that they are for, each no later than its
 * frame's first byte. A recv() would drop them without a word. When they do not fit the buffer for
 * control messages, or the process has no numbers left, the kernel drops what is left over and says
 * MSG_CTRUNC.
 */
#include "ipc/passed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- one ---- */

struct closing {
	struct work work; /* first: found by its address */
	int fd;
	struct account_charge charge;
};

static void close_it(struct work *work)
{
	close(((struct closing *)(void *)work)->fd);
}

static void on_closed(struct work *work)
{
	struct closing *closing = (struct closing *)(void *)work;

	account_discharge(&closing->charge);
	free(closing);
}

void passed_close(struct passed_fd *passed, struct workers *workers)
{
	struct closing *closing = NULL;

	if (passed->fd < 0) {
		return;
	}
	closing = calloc(1, sizeof(*closing));
	if (closing) {
		closing->fd = passed->fd;
		closing->charge = passed->charge;
		work_start(workers, &closing->work, close_it, on_closed);
	} else {
		/* Better a loop that waits once than a descriptor that is never closed. */
		close(passed->fd);
		account_discharge(&passed->charge);
	}
	*passed = (struct passed_fd){.fd = -1};
}

/* ---- a client's ---- */

void passed_init(struct passed_queue *queue, struct accounts *accounts, struct workers *workers,
		 uid_t uid)
{
	*queue = (struct passed_queue){.accounts = accounts, .workers = workers, .uid = uid};
}

static struct passed_fd pop(struct passed_queue *queue)
{
	struct passed_fd first = queue->fds[0];

	queue->count--;
	memmove(queue->fds, queue->fds + 1, queue->count * sizeof(*queue->fds));
	if (queue->count == 0) {
		free(queue->fds);
		queue->fds = NULL;
	}
	return first;
}

void passed_clear(struct passed_queue *queue)
{
	queue->claimed = 0;
	while (queue->count > 0) {
		struct passed_fd passed = pop(queue);

		passed_close(&passed, queue->workers);
	}
}

void passed_fini(struct passed_queue *queue)
{
	passed_clear(queue);
}

/* Takes one that was received. False: there is no room for it; it is closed. */
static bool push(struct passed_queue *queue, int take_fd)
{
	struct passed_fd passed = {.fd = take_fd};

	if (!queue->fds && queue->count < PASSED_MAX) {
		queue->fds = calloc(PASSED_MAX, sizeof(*queue->fds));
	}
	if (!queue->fds || queue->count == PASSED_MAX) {
		passed_close(&passed, queue->workers);
		return false;
	}
	/* One that may not be kept has its place all the same: it is its frame that is refused. */
	passed.error = account_charge(queue->accounts, queue->uid, ACCOUNT_FDS, 1, &passed.charge);
	if (passed.error < 0) {
		int error = passed.error;

		passed_close(&passed, queue->workers);
		passed.error = error;
	}
	queue->fds[queue->count++] = passed;
	return true;
}

/* False if not all could be kept. */
static bool take_all(struct passed_queue *queue, struct msghdr *message)
{
	bool good = true;

	for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control;
	     control = CMSG_NXTHDR(message, control)) {
		size_t length = control->cmsg_len - CMSG_LEN(0);

		if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		for (size_t i = 0; i + sizeof(int) <= length; i += sizeof(int)) {
			int fd = -1;

			memcpy(&fd, CMSG_DATA(control) + i, sizeof(fd));
			good = push(queue, fd) && good;
		}
	}
	return good;
}

ssize_t passed_receive(struct passed_queue *queue, int socket, void *buffer, size_t size,
		       const char **ret_why)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(PASSED_MAX * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = buffer, .iov_len = size};
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t count = 0;
	bool good = true;

	do {
		count = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	} while (count < 0 && errno == EINTR);
	if (count < 0) {
		return -errno;
	}
	if (message.msg_controllen > 0) {
		good = take_all(queue, &message);
	}
	if (message.msg_flags & MSG_CTRUNC) {
		*ret_why = "more descriptors than 16 at once, or than the daemon has room for";
		passed_clear(queue);
		return -EBADMSG;
	}
	if (!good) {
		*ret_why = "more than 16 descriptors that no frame has claimed";
		passed_clear(queue);
		return -EBADMSG;
	}
	return count;
}

bool passed_claim(struct passed_queue *queue, unsigned count)
{
	assert(queue->claimed == 0);
	if (count > queue->count) {
		return false;
	}
	queue->claimed = count;
	return true;
}

unsigned passed_claimed(const struct passed_queue *queue)
{
	return queue->claimed;
}

struct passed_fd passed_take(struct passed_queue *queue)
{
	assert(queue->claimed > 0);
	queue->claimed--;
	return pop(queue);
}

void passed_end_frame(struct passed_queue *queue)
{
	while (queue->claimed > 0) {
		struct passed_fd passed = passed_take(queue);

		passed_close(&passed, queue->workers);
	}
}
