/* SPDX-License-Identifier: MIT */
#include "tls.h"

#include "sim.h"
#include "sockets.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_MAX 16384u

struct tls_context {
	unsigned references;
};

struct tls_channel {
	struct channel channel; /* the first member */
	struct loop_io io;
	int fd; /* -1: closed */
	bool reading, write_blocked, ended;
	/* The record that could not be sent: encrypted already, so the next write has to begin with
	 * it. */
	uint8_t *held;
	size_t held_length;
};

struct tls_handshake {
	struct loop *loop;
	struct tls_context *context;
	struct tls_tickets *tickets;
	const struct tls_handshake_callbacks *callbacks; /* NULL: over */
	void *ctx;
	struct loop_io io;
	struct sim_server *server;
	int fd;
	uint64_t until_us;
	struct tls_channel *tls;
};

/* ---- contexts and tickets ---- */

static unsigned contexts;

struct tls_context *sim_tls_context_new(void)
{
	struct tls_context *context = sim_alloc(sizeof(*context));

	contexts++;
	context->references = 1;
	return context;
}

unsigned sim_tls_contexts(void)
{
	return contexts;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
	SIM_CHECK(context && context->references > 0);
	context->references++;
	return context;
}

void tls_context_unref(struct tls_context *context)
{
	if (!context) {
		return;
	}
	SIM_CHECK(context->references > 0);
	if (--context->references == 0) {
		contexts--;
		free(context);
	}
}

void tls_tickets_fini(struct tls_tickets *tickets)
{
	free(tickets->data);
	*tickets = (struct tls_tickets){0};
}

/* ---- a channel ---- */

static struct tls_channel *tls_of(struct channel *channel)
{
	return (struct tls_channel *)channel;
}

static void update_events(struct tls_channel *tls)
{
	loop_io_set(&tls->io, (tls->reading ? (unsigned)LOOP_READ : 0u) |
				      (tls->write_blocked ? (unsigned)LOOP_WRITE : 0u));
}

static void on_io(void *ctx, unsigned events)
{
	struct tls_channel *tls = ctx;

	if ((events & LOOP_READ) && tls->reading) {
		tls->channel.callbacks->on_readable(tls->channel.ctx);
	}
	if ((events & LOOP_WRITE) && tls->fd >= 0 && tls->write_blocked) {
		tls->write_blocked = false;
		update_events(tls);
		if (tls->channel.callbacks) {
			tls->channel.callbacks->on_writable(tls->channel.ctx);
		}
	}
}

static enum io fail_io(const struct tls_channel *tls, const char *what, struct failure *ret_failure)
{
	char remote[ADDRESS_TEXT_MAX];

	failure_set(ret_failure, FAIL_CONNECTION_ERROR, "%s %s: reset", what,
		    address_print(&tls->channel.info.remote, remote))
		->sys_errno = ECONNRESET;
	return IO_ERROR;
}

static enum io read_record(struct channel *channel, void *buffer, size_t size, size_t *ret_count,
			   struct failure *ret_failure)
{
	struct tls_channel *tls = tls_of(channel);

	SIM_CHECK(tls->fd >= 0 && size > 0);
	if (tls->ended) {
		return IO_EOF;
	}
	switch (sim_fd_receive(tls->fd, buffer, size < RECORD_MAX ? size : RECORD_MAX, ret_count)) {
	case SIM_DATA:
		return IO_OK;
	case SIM_NOTHING:
		return IO_AGAIN;
	case SIM_NOTIFIED:
		channel->eof_clean = true;
		break;
	case SIM_CUT:
		break;
	case SIM_RESET:
		return fail_io(tls, "reading from", ret_failure);
	}
	tls->ended = true;
	return IO_EOF;
}

static enum io write_record(struct channel *channel, const void *data, size_t length,
			    size_t *ret_count, struct failure *ret_failure)
{
	struct tls_channel *tls = tls_of(channel);
	const uint8_t *bytes = data;
	size_t done = 0;

	SIM_CHECK(tls->fd >= 0 && length > 0);
	/* The rule of channel.h. */
	SIM_CHECK(length >= tls->held_length);
	SIM_CHECK(tls->held_length == 0 || memcmp(data, tls->held, tls->held_length) == 0);
	while (done < length) {
		size_t chunk = length - done < RECORD_MAX ? length - done : RECORD_MAX;
		enum sim_received sent = SIM_NOTHING;

		if (tls->held_length) {
			chunk = tls->held_length;
		}
		sent = sim_fd_send(tls->fd, bytes + done, chunk);
		if (sent == SIM_RESET && done == 0) {
			return fail_io(tls, "writing to", ret_failure);
		}
		if (sent == SIM_NOTHING && !tls->held_length) {
			tls->held = sim_alloc(chunk);
			tls->held_length = chunk;
			memcpy(tls->held, bytes + done, chunk);
		}
		if (sent != SIM_DATA) {
			break;
		}
		free(tls->held);
		tls->held = NULL;
		tls->held_length = 0;
		done += chunk;
	}
	if (done > 0) {
		*ret_count = done;
		return IO_OK;
	}
	tls->write_blocked = true;
	update_events(tls);
	return IO_AGAIN;
}

static void want_read(struct channel *channel, bool want)
{
	struct tls_channel *tls = tls_of(channel);

	tls->reading = want;
	update_events(tls);
}

static void tls_close(struct channel *channel)
{
	struct tls_channel *tls = tls_of(channel);

	SIM_CHECK(tls->fd >= 0);
	tls->reading = false;
	tls->write_blocked = false;
	loop_io_stop(&tls->io);
	(void)close(tls->fd);
	tls->fd = -1;
	free(tls->held);
	tls->held = NULL;
	loop_free_later(channel->loop, tls);
}

static const struct channel_ops ops = {
	.read = read_record, .write = write_record, .want_read = want_read, .close = tls_close};

/* ---- a handshake ---- */

/* The channel, if there is still one, goes with it. */
static void handshake_end(struct tls_handshake *handshake)
{
	SIM_CHECK(handshake->callbacks);
	handshake->callbacks = NULL;
	loop_io_stop(&handshake->io);
	if (handshake->tls) {
		(void)close(handshake->fd);
		free(handshake->tls);
	}
	tls_context_unref(handshake->context);
	loop_free_later(handshake->loop, handshake);
}

void tls_handshake_cancel(struct tls_handshake *handshake)
{
	if (handshake) {
		handshake_end(handshake);
	}
}

static void handshake_fail(struct tls_handshake *handshake, enum failure_code code,
			   const char *text)
{
	const struct tls_handshake_callbacks *callbacks = handshake->callbacks;
	struct failure failure = {.count = 0};
	char remote[ADDRESS_TEXT_MAX];

	failure_set(&failure, code, "TLS handshake with %s: %s",
		    address_print(&handshake->tls->channel.info.remote, remote), text);
	handshake_end(handshake);
	callbacks->on_failed(handshake->ctx, &failure);
}

static void handshake_succeed(struct tls_handshake *handshake)
{
	const struct tls_handshake_callbacks *callbacks = handshake->callbacks;
	struct tls_channel *tls = handshake->tls;
	struct tls_tickets *tickets = handshake->tickets;

	tls->channel.info.tls_resumed = tickets->data != NULL;
	if (!tickets->data) {
		tickets->data = sim_alloc(16);
		tickets->size = 16;
	}
	handshake->tls = NULL;
	handshake_end(handshake);
	loop_io_start(&tls->io, tls->channel.loop, tls->fd, 0, on_io, tls);
	sim_fd_handshake_done(tls->fd);
	callbacks->on_done(handshake->ctx, &tls->channel);
}

static void on_handshake_io(void *ctx, unsigned events)
{
	struct tls_handshake *handshake = ctx;

	(void)events;
	if (sim_now_us() < handshake->until_us) {
		handshake_fail(handshake, FAIL_TLS_HANDSHAKE, "the server hung up");
	} else if (handshake->server->tls == SIM_TLS_FAILS) {
		handshake_fail(handshake, handshake->server->tls_code, "as the script wants");
	} else {
		handshake_succeed(handshake);
	}
}

int tls_handshake_start(struct loop *loop, struct tls_context *context, struct tls_tickets *tickets,
			const char *host, bool host_is_address, int take_fd,
			const struct address *remote,
			const struct tls_handshake_callbacks *callbacks, void *ctx,
			struct tls_handshake **ret_handshake)
{
	struct tls_handshake *handshake = calloc(1, sizeof(*handshake));
	struct tls_channel *tls = calloc(1, sizeof(*tls));

	(void)host;
	(void)host_is_address;
	if (!handshake || !tls) {
		free(handshake);
		free(tls);
		(void)close(take_fd);
		return -ENOMEM;
	}
	tls->channel.ops = &ops;
	tls->channel.loop = loop;
	tls->channel.info = (struct channel_info){.remote = *remote,
						  .tls_version = "TLS1.3",
						  .tls_cipher = "AES-128-GCM",
						  .certificate_subject = "CN=sim",
						  .certificate_expires = (uint64_t)SIM_EPOCH * 2};
	tls->fd = take_fd;
	handshake->tls = tls;
	handshake->loop = loop;
	handshake->context = tls_context_ref(context);
	handshake->tickets = tickets;
	handshake->callbacks = callbacks;
	handshake->ctx = ctx;
	handshake->fd = take_fd;
	handshake->server = sim_fd_server(take_fd);
	handshake->until_us = handshake->server->tls == SIM_TLS_NO_ANSWER
				      ? UINT64_MAX
				      : sim_now_us() + handshake->server->tls_us;
	loop_io_start(&handshake->io, loop, take_fd, LOOP_READ, on_handshake_io, handshake);
	sim_fd_handshake(take_fd, handshake->until_us);
	*ret_handshake = handshake;
	return 0;
}

const char *tls_handshake_stage(const struct tls_handshake *handshake)
{
	(void)handshake;
	return "waiting for the server's first TLS message";
}
