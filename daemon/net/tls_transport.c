/* SPDX-License-Identifier: MIT */
/*
 * The socket below GnuTLS: its push and pull functions. Nothing here waits.
 */
#include "net/tls_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

void tls_transport_clear(struct tls_channel *tls)
{
	free(tls->pull);
	tls->pull = NULL;
	tls->pull_start = 0;
	tls->pull_length = 0;
}

static ssize_t fail(struct tls_channel *tls, int error)
{
	if (error != EAGAIN && error != EWOULDBLOCK && error != EINTR) {
		tls->error = error;
	}
	gnutls_transport_set_errno(tls->session, error);
	return -1;
}

static ssize_t receive(struct tls_channel *tls, void *buffer, size_t size)
{
	ssize_t count;

	do {
		count = recv(tls->fd, buffer, size, 0);
	} while (count < 0 && errno == EINTR);
	return count;
}

static void remember_first(struct tls_channel *tls, const unsigned char *data, size_t length)
{
	size_t room = sizeof(tls->first_bytes) - tls->first_count;

	if (length > room) {
		length = room;
	}
	memcpy(tls->first_bytes + tls->first_count, data, length);
	tls->first_count += length;
}

static ssize_t pull(gnutls_transport_ptr_t ctx, void *buffer, size_t size)
{
	struct tls_channel *tls = ctx;
	size_t available;

	if (!tls->pull) {
		ssize_t count;
		int error;

		if (tls->overhead > TLS_OVERHEAD_MAX) {
			return fail(tls, EMSGSIZE);
		}
		tls->pull = malloc(TLS_PULL_SIZE);
		if (!tls->pull) {
			return fail(tls, ENOMEM);
		}
		count = receive(tls, tls->pull, TLS_PULL_SIZE);
		error = errno;
		if (count <= 0) {
			tls_transport_clear(tls);
			tls->peer_closed = count == 0;
			return count < 0 ? fail(tls, error) : 0;
		}
		remember_first(tls, tls->pull, (size_t)count);
		tls->overhead += (size_t)count;
		tls->pull_start = 0;
		tls->pull_length = (size_t)count;
	}
	available = tls->pull_length - tls->pull_start;
	if (size > available) {
		size = available;
	}
	memcpy(buffer, tls->pull + tls->pull_start, size);
	tls->pull_start += size;
	if (tls->pull_start == tls->pull_length) {
		tls_transport_clear(tls);
	}
	return (ssize_t)size;
}

static ssize_t push(gnutls_transport_ptr_t ctx, const giovec_t *vectors, int count)
{
	struct tls_channel *tls = ctx;
	struct msghdr message = {
		/* giovec_t is struct iovec; sendmsg() does not write to it. */
		.msg_iov = (struct iovec *)(uintptr_t)vectors,
		.msg_iovlen = (size_t)count,
	};
	ssize_t sent;

	do {
		sent = sendmsg(tls->fd, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? fail(tls, errno) : sent;
}

/* GnuTLS asks before some reads; whatever patience it brings, the loop must not wait. */
static int pull_timeout(gnutls_transport_ptr_t ctx, unsigned wait_ms)
{
	struct tls_channel *tls = ctx;
	struct pollfd poll_fd = {.fd = tls->fd, .events = POLLIN};

	(void)wait_ms;
	return tls->pull ? 1 : poll(&poll_fd, 1, 0);
}

void tls_transport_attach(struct tls_channel *tls)
{
	gnutls_transport_set_ptr(tls->session, tls);
	gnutls_transport_set_pull_function(tls->session, pull);
	gnutls_transport_set_pull_timeout_function(tls->session, pull_timeout);
	gnutls_transport_set_vec_push_function(tls->session, push);
}
