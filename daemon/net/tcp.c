/* SPDX-License-Identifier: MIT */
/*
 * A channel over bare TCP.
 */
#include "net/channel.h"
#include "net/errno_text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct tcp_channel {
	struct channel channel;
	struct loop_io io;
	int fd; /* -1 once closed */
	bool reading;
	bool write_blocked; /* a write said IO_AGAIN, on_writable is owed */
};

static struct tcp_channel *tcp_of(struct channel *channel)
{
	return (struct tcp_channel *)channel; /* the first member */
}

static void update_events(struct tcp_channel *tcp)
{
	loop_io_set(&tcp->io, (tcp->reading ? (unsigned)LOOP_READ : 0u) |
				      (tcp->write_blocked ? (unsigned)LOOP_WRITE : 0u));
}

static void on_io(void *ctx, unsigned events)
{
	struct tcp_channel *tcp = ctx;
	struct channel *channel = &tcp->channel;

	if ((events & LOOP_READ) && tcp->reading) {
		channel->callbacks->on_readable(channel->ctx);
	}
	/* The callback may have closed the channel; its memory lasts until the round ends. */
	if ((events & LOOP_WRITE) && tcp->fd >= 0 && tcp->write_blocked) {
		tcp->write_blocked = false;
		update_events(tcp);
		if (channel->callbacks) {
			channel->callbacks->on_writable(channel->ctx);
		}
	}
}

static enum io tcp_fail(const struct tcp_channel *tcp, const char *what, int error,
			struct failure *ret_failure)
{
	char remote[ADDRESS_TEXT_MAX];

	failure_set(ret_failure, FAIL_CONNECTION_ERROR, "%s %s: %s", what,
		    address_print(&tcp->channel.info.remote, remote), errno_text(error))
		->sys_errno = error;
	return IO_ERROR;
}

static enum io tcp_read(struct channel *channel, void *buffer, size_t size, size_t *ret_count,
			struct failure *ret_failure)
{
	struct tcp_channel *tcp = tcp_of(channel);
	ssize_t count;

	do {
		count = recv(tcp->fd, buffer, size, 0);
	} while (count < 0 && errno == EINTR);
	if (count > 0) {
		*ret_count = (size_t)count;
		return IO_OK;
	}
	if (count == 0) {
		channel->eof_clean = true;
		return IO_EOF;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		return IO_AGAIN;
	}
	return tcp_fail(tcp, "reading from", errno, ret_failure);
}

static enum io tcp_write(struct channel *channel, const void *data, size_t length,
			 size_t *ret_count, struct failure *ret_failure)
{
	struct tcp_channel *tcp = tcp_of(channel);
	ssize_t count;

	do {
		count = send(tcp->fd, data, length, MSG_NOSIGNAL);
	} while (count < 0 && errno == EINTR);
	if (count >= 0) {
		*ret_count = (size_t)count;
		return IO_OK;
	}
	if (errno == EAGAIN || errno == EWOULDBLOCK) {
		tcp->write_blocked = true;
		update_events(tcp);
		return IO_AGAIN;
	}
	return tcp_fail(tcp, "writing to", errno, ret_failure);
}

static void tcp_want_read(struct channel *channel, bool want)
{
	struct tcp_channel *tcp = tcp_of(channel);

	tcp->reading = want;
	update_events(tcp);
}

static void tcp_close(struct channel *channel)
{
	struct tcp_channel *tcp = tcp_of(channel);

	tcp->reading = false;
	tcp->write_blocked = false;
	loop_io_stop(&tcp->io);
	(void)close(tcp->fd);
	tcp->fd = -1;
	loop_free_later(channel->loop, tcp);
}

static uint64_t rtt_us(const struct channel *channel)
{
	return tcp_rtt_us(((const struct tcp_channel *)channel)->fd);
}

static const struct channel_ops tcp_ops = {
	.read = tcp_read,
	.write = tcp_write,
	.want_read = tcp_want_read,
	.close = tcp_close,
	.rtt_us = rtt_us,
};

struct channel *tcp_channel_new(struct loop *loop, int take_fd, const struct address *remote)
{
	struct tcp_channel *tcp = calloc(1, sizeof(*tcp));

	if (!tcp) {
		(void)close(take_fd);
		return NULL;
	}
	tcp->channel.ops = &tcp_ops;
	tcp->channel.loop = loop;
	tcp->channel.info = (struct channel_info){
		.remote = *remote,
		.tls_version = "",
		.tls_cipher = "",
		.certificate_subject = "",
	};
	tcp->fd = take_fd;
	loop_io_start(&tcp->io, loop, take_fd, 0, on_io, tcp);
	return &tcp->channel;
}
