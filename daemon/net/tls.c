/* SPDX-License-Identifier: MIT */
/*
 * A channel over TLS: records in, records out, once the handshake is done.
 *
 * Bytes wait in three places: the kernel, the buffer of tls_transport.c, and a record that GnuTLS
 * has decrypted but handed out in part. The loop sees the first only, so the other two are watched
 * here: while they hold something and reading is wanted, a task goes on calling on_readable.
 */
#include "net/tls_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define RECORD_MAX 16384u
/* Records without data that one read goes through; then others have their turn, and a task goes on
 * (update_again()). */
#define EMPTY_RECORDS_MAX 32u

static struct tls_channel *tls_of(struct channel *channel)
{
	return (struct tls_channel *)channel; /* the first member */
}

static void update_events(struct tls_channel *tls)
{
	loop_io_set(&tls->io, (tls->reading ? (unsigned)LOOP_READ : 0u) |
				      (tls->write_blocked ? (unsigned)LOOP_WRITE : 0u));
}

/* Are there bytes that the kernel does not show any more? */
static void update_again(struct tls_channel *tls)
{
	if (tls->reading && (tls->pull || gnutls_record_check_pending(tls->session) > 0)) {
		loop_task_queue(&tls->again, tls->channel.loop);
	} else {
		loop_task_cancel(&tls->again);
	}
}

static void tell_readable(struct tls_channel *tls)
{
	tls->channel.callbacks->on_readable(tls->channel.ctx);
	/* The callback may have closed the channel; its memory lasts until the round ends. */
	if (tls->fd >= 0) {
		update_again(tls);
	}
}

static void on_again(void *ctx)
{
	struct tls_channel *tls = ctx;

	if (tls->reading) {
		tell_readable(tls);
	}
}

static void on_io(void *ctx, unsigned events)
{
	struct tls_channel *tls = ctx;

	if ((events & LOOP_READ) && tls->reading) {
		tell_readable(tls);
	}
	if ((events & LOOP_WRITE) && tls->fd >= 0 && tls->write_blocked) {
		tls->write_blocked = false;
		update_events(tls);
		if (tls->channel.callbacks) {
			tls->channel.callbacks->on_writable(tls->channel.ctx);
		}
	}
}

/* A TLS 1.2 server asks for a new handshake. It may be refused (RFC 5246, 7.4.1.1), and HTTP/2 says
 * so (RFC 9113, 9.2.1). While GnuTLS holds a record of ours an alert would be taken for its rest,
 * so then the answer is silence, which is allowed too. */
static void refuse_renegotiation(struct tls_channel *tls)
{
	if (tls->write_pending) {
		return;
	}
	if (gnutls_alert_send(tls->session, GNUTLS_AL_WARNING, GNUTLS_A_NO_RENEGOTIATION) ==
	    GNUTLS_E_AGAIN) {
		tls->write_pending = true;
		tls->alert_pending = true;
	}
}

/* One gnutls_record_recv() that gives data, an end, an error, or "nothing now" and means it: GnuTLS
 * also says GNUTLS_E_AGAIN after a record that held no data, a session ticket for one. */
static ssize_t receive(struct tls_channel *tls, void *buffer, size_t size)
{
	unsigned empty = 0;

	for (;;) {
		ssize_t r = gnutls_record_recv(tls->session, buffer, size);

		if (tls->ticket_arrived) {
			tls->ticket_arrived = false;
			tls_tickets_store(tls);
		}
		if (r >= 0 || gnutls_error_is_fatal((int)r) ||
		    (r == GNUTLS_E_AGAIN && (!tls->pull || ++empty >= EMPTY_RECORDS_MAX))) {
			return r;
		}
		if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED) {
			continue;
		}
		if (r == GNUTLS_E_REHANDSHAKE) {
			refuse_renegotiation(tls);
		}
		if (tls->oddities++ >= TLS_ODDITIES_MAX) {
			return GNUTLS_E_UNEXPECTED_PACKET;
		}
	}
}

static enum io tls_read(struct channel *channel, void *buffer, size_t size, size_t *ret_count,
			struct failure *ret_failure)
{
	struct tls_channel *tls = tls_of(channel);
	ssize_t r;

	if (tls->ended) {
		return IO_EOF;
	}
	r = receive(tls, buffer, size);
	update_again(tls);
	if (r > 0) {
		tls->overhead = 0;
		*ret_count = (size_t)r;
		return IO_OK;
	}
	if (r == GNUTLS_E_AGAIN) {
		return IO_AGAIN;
	}
	/* An end within a record is what GnuTLS calls a packet that it cannot decode. */
	if (r == 0 || (tls->peer_closed && r != GNUTLS_E_FATAL_ALERT_RECEIVED)) {
		channel->eof_clean = r == 0;
		tls->ended = true;
		return IO_EOF;
	}
	tls_error_io(tls, "reading from", (int)r, ret_failure);
	return IO_ERROR;
}

static enum io block_write(struct tls_channel *tls)
{
	tls->write_blocked = true;
	update_events(tls);
	return IO_AGAIN;
}

static bool is_blocked(ssize_t r)
{
	return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
}

static enum io tls_write(struct channel *channel, const void *data, size_t length,
			 size_t *ret_count, struct failure *ret_failure)
{
	struct tls_channel *tls = tls_of(channel);
	const unsigned char *bytes = data;
	size_t done = 0;
	ssize_t r = 0;

	if (tls->write_pending) {
		r = gnutls_record_send(tls->session, NULL, 0);
		if (is_blocked(r)) {
			return block_write(tls);
		}
		if (r >= 0) {
			/* Only now GnuTLS says how many bytes were in the record that it held:
			 * the first of those that are offered again. */
			done = tls->alert_pending ? 0 : (size_t)r;
			tls->write_pending = false;
			tls->alert_pending = false;
			assert(done <= length);
		}
	}
	while (r >= 0 && done < length) {
		size_t chunk = length - done < RECORD_MAX ? length - done : RECORD_MAX;

		r = gnutls_record_send(tls->session, bytes + done, chunk);
		if (r > 0) {
			done += (size_t)r;
		} else if (is_blocked(r)) {
			tls->write_pending = true;
		} else if (r == 0) {
			r = GNUTLS_E_INTERNAL_ERROR;
		}
	}
	if (done > 0) {
		*ret_count = done; /* an error will be met again */
		return IO_OK;
	}
	if (is_blocked(r)) {
		return block_write(tls);
	}
	tls_error_io(tls, "writing to", (int)r, ret_failure);
	return IO_ERROR;
}

static void tls_want_read(struct channel *channel, bool want)
{
	struct tls_channel *tls = tls_of(channel);

	tls->reading = want;
	update_events(tls);
	update_again(tls);
}

void tls_channel_discard(struct tls_channel *tls)
{
	tls->reading = false;
	tls->write_blocked = false;
	loop_io_stop(&tls->io);
	loop_task_cancel(&tls->again);
	tls_tickets_leave(tls);
	if (tls->session) {
		gnutls_deinit(tls->session);
		tls->session = NULL;
	}
	tls_transport_clear(tls);
	(void)close(tls->fd);
	tls->fd = -1;
	tls_context_unref(tls->context);
	tls->context = NULL;
	loop_free_later(tls->channel.loop, tls);
}

static void tls_close(struct channel *channel)
{
	struct tls_channel *tls = tls_of(channel);

	/* With half a record pending there is no room for a goodbye. */
	if (!tls->write_pending) {
		(void)gnutls_bye(tls->session, GNUTLS_SHUT_WR);
	}
	tls_channel_discard(tls);
}

static uint64_t tls_rtt_us(const struct channel *channel)
{
	return tcp_rtt_us(((const struct tls_channel *)channel)->fd);
}

static const struct channel_ops tls_ops = {
	.read = tls_read,
	.write = tls_write,
	.want_read = tls_want_read,
	.close = tls_close,
	.rtt_us = tls_rtt_us,
};

struct channel *tls_channel_begin(struct tls_channel *tls)
{
	tls->channel.ops = &tls_ops;
	loop_task_init(&tls->again, on_again, tls);
	loop_io_start(&tls->io, tls->channel.loop, tls->fd, 0, on_io, tls);
	return &tls->channel;
}
