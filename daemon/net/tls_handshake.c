/* SPDX-License-Identifier: MIT */
/*
 * The TLS handshake of a client: one operation, over a connected socket, that ends with a channel
 * that speaks HTTP/2 to the right host, or with a failure that says why not.
 */
#include "net/tls_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Calls of gnutls_handshake() in a row, against a peer that keeps us busy. */
#define STEPS_MAX 64u

struct tls_handshake {
	struct loop *loop;
	struct tls_channel *tls; /* owned */
	struct loop_task step;
	const struct tls_handshake_callbacks *callbacks;
	void *ctx;
};

static const char alpn_h2[] = "h2";

static int on_ticket(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
		     const gnutls_datum_t *message)
{
	struct tls_channel *tls = gnutls_session_get_ptr(session);

	(void)type;
	(void)when;
	(void)message;
	if (incoming) {
		tls->ticket_arrived = true;
	}
	return 0;
}

static void end(struct tls_handshake *handshake)
{
	loop_task_cancel(&handshake->step);
	loop_free_later(handshake->loop, handshake);
}

static void fail(struct tls_handshake *handshake, const struct failure *failure)
{
	tls_channel_discard(handshake->tls);
	end(handshake);
	handshake->callbacks->on_failed(handshake->ctx, failure);
}

static void fail_code(struct tls_handshake *handshake, int code)
{
	struct tls_channel *tls = handshake->tls;
	struct failure failure = {.count = 0};

	if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR) {
		tls_verify_explain(tls, gnutls_session_get_verify_cert_status(tls->session),
				   &failure);
	} else {
		tls_error_handshake(tls, code, &failure);
	}
	/* A courtesy: the server's log says why, if that takes no waiting. */
	(void)gnutls_alert_send_appropriate(tls->session, code);
	fail(handshake, &failure);
}

static bool is_h2(const gnutls_datum_t *protocol)
{
	return protocol->size == strlen(alpn_h2) &&
	       memcmp(protocol->data, alpn_h2, protocol->size) == 0;
}

static int check_alpn(struct tls_channel *tls, struct failure *ret_failure)
{
	gnutls_datum_t chosen = {NULL, 0};
	char remote[ADDRESS_TEXT_MAX];
	char name[TLS_TEXT_MAX];
	int r = gnutls_alpn_get_selected_protocol(tls->session, &chosen);

	if (r == GNUTLS_E_SUCCESS && is_h2(&chosen)) {
		return 0;
	}
	(void)address_print(&tls->channel.info.remote, remote);
	if (r == GNUTLS_E_SUCCESS && chosen.size > 0) {
		tls_error_printable(chosen.data, chosen.size, name, sizeof(name));
		failure_set(ret_failure, FAIL_ALPN_MISMATCH,
			    "%s does not speak HTTP/2: it was offered \"h2\" by ALPN and chose "
			    "\"%s\"",
			    remote, name);
	} else {
		failure_set(ret_failure, FAIL_ALPN_MISMATCH,
			    "%s does not speak HTTP/2: it was offered \"h2\" by ALPN and did not "
			    "choose it (servers that know only HTTP/1.1 do that)",
			    remote);
	}
	return 1;
}

static void succeed(struct tls_handshake *handshake)
{
	struct tls_channel *tls = handshake->tls;
	struct channel_info *info = &tls->channel.info;
	struct failure failure = {.count = 0};
	gnutls_protocol_t version = gnutls_protocol_get_version(tls->session);
	const char *name;

	info->tls_resumed = gnutls_session_is_resumed(tls->session) != 0;
	if ((info->tls_resumed && tls_verify_resumed(tls, &failure) != 0) ||
	    check_alpn(tls, &failure) != 0) {
		(void)gnutls_bye(tls->session, GNUTLS_SHUT_WR);
		fail(handshake, &failure);
		return;
	}
	name = gnutls_protocol_get_name(version);
	info->tls_version = name ? name : "";
	name = gnutls_cipher_get_name(gnutls_cipher_get(tls->session));
	info->tls_cipher = name ? name : "";
	tls_verify_describe(tls);
	if (version < GNUTLS_TLS1_3) {
		tls_tickets_store(tls); /* TLS 1.3's come later, while reading */
	}
	loop_io_stop(&tls->io);
	end(handshake);
	handshake->callbacks->on_done(handshake->ctx, tls_channel_begin(tls));
}

static void wait_for(struct tls_handshake *handshake)
{
	bool writes = gnutls_record_get_direction(handshake->tls->session) != 0;

	loop_io_set(&handshake->tls->io, writes ? LOOP_WRITE : LOOP_READ);
}

static void on_step(void *ctx)
{
	struct tls_handshake *handshake = ctx;
	struct tls_channel *tls = handshake->tls;

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		int r = gnutls_handshake(tls->session);

		if (r == GNUTLS_E_SUCCESS) {
			succeed(handshake);
			return;
		}
		if (gnutls_error_is_fatal(r)) {
			fail_code(handshake, r);
			return;
		}
		if (r == GNUTLS_E_AGAIN && !tls->pull) {
			wait_for(handshake);
			return;
		}
		if (r != GNUTLS_E_AGAIN && r != GNUTLS_E_INTERRUPTED &&
		    tls->oddities++ >= TLS_ODDITIES_MAX) {
			fail_code(handshake, r);
			return;
		}
	}
	loop_task_queue(&handshake->step, handshake->loop);
}

static void on_io(void *ctx, unsigned events)
{
	(void)events;
	on_step(ctx);
}

static int set_up_session(struct tls_channel *tls)
{
	gnutls_datum_t protocol = {(unsigned char *)(uintptr_t)alpn_h2, (unsigned)strlen(alpn_h2)};
	int r = gnutls_init(&tls->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);

	if (r != GNUTLS_E_SUCCESS) {
		tls->session = NULL;
		return r;
	}
	gnutls_session_set_ptr(tls->session, tls);
	tls_transport_attach(tls);
	r = gnutls_priority_set(tls->session, tls->context->priority);
	if (r == GNUTLS_E_SUCCESS) {
		r = gnutls_credentials_set(tls->session, GNUTLS_CRD_CERTIFICATE,
					   tls->context->credentials);
	}
	if (r == GNUTLS_E_SUCCESS) {
		r = gnutls_alpn_set_protocols(tls->session, &protocol, 1, 0);
	}
	if (r == GNUTLS_E_SUCCESS && !tls->host_is_address) {
		r = gnutls_server_name_set(tls->session, GNUTLS_NAME_DNS, tls->host,
					   strlen(tls->host));
	}
	if (r == GNUTLS_E_SUCCESS) {
		r = tls_verify_prepare(tls);
	}
	if (r == GNUTLS_E_SUCCESS) {
		gnutls_handshake_set_max_packet_length(tls->session, TLS_HANDSHAKE_MESSAGE_MAX);
		gnutls_handshake_set_hook_function(tls->session,
						   GNUTLS_HANDSHAKE_NEW_SESSION_TICKET,
						   GNUTLS_HOOK_POST, on_ticket);
	}
	return r;
}

static struct tls_channel *new_channel(struct loop *loop, struct tls_context *context,
				       struct tls_tickets *tickets, const char *host,
				       bool host_is_address, int take_fd,
				       const struct address *remote)
{
	size_t host_size = strlen(host) + 1;
	struct tls_channel *tls = calloc(1, sizeof(*tls) + host_size);

	if (!tls) {
		(void)close(take_fd);
		return NULL;
	}
	tls->fd = take_fd;
	tls->channel.loop = loop;
	tls->channel.info.remote = *remote;
	tls->context = tls_context_ref(context);
	tls->host_is_address = host_is_address;
	memcpy(tls->host, host, host_size);
	tls->tickets = tickets;
	tls_tickets_join(tls);
	return tls;
}

int tls_handshake_start(struct loop *loop, struct tls_context *context, struct tls_tickets *tickets,
			const char *host, bool host_is_address, int take_fd,
			const struct address *remote,
			const struct tls_handshake_callbacks *callbacks, void *ctx,
			struct tls_handshake **ret_handshake)
{
	struct tls_channel *tls =
		new_channel(loop, context, tickets, host, host_is_address, take_fd, remote);
	struct tls_handshake *handshake;

	if (!tls) {
		return -ENOMEM;
	}
	handshake = calloc(1, sizeof(*handshake));
	/* Everything that can fail here is memory: what is set has been checked before. */
	if (!handshake || set_up_session(tls) != GNUTLS_E_SUCCESS) {
		free(handshake);
		tls_channel_discard(tls);
		return -ENOMEM;
	}
	tls_tickets_use(tls);
	handshake->loop = loop;
	handshake->tls = tls;
	handshake->callbacks = callbacks;
	handshake->ctx = ctx;
	loop_task_init(&handshake->step, on_step, handshake);
	loop_io_start(&tls->io, loop, tls->fd, 0, on_io, handshake);
	loop_task_queue(&handshake->step, loop);
	*ret_handshake = handshake;
	return 0;
}

void tls_handshake_cancel(struct tls_handshake *handshake)
{
	if (handshake) {
		tls_channel_discard(handshake->tls);
		end(handshake);
	}
}

const char *tls_handshake_stage(const struct tls_handshake *handshake)
{
	const struct tls_channel *tls = handshake->tls;

	if (gnutls_record_get_direction(tls->session) != 0 && tls->first_count == 0) {
		return "sending the first TLS message";
	}
	if (tls->first_count == 0) {
		return "waiting for the server's first TLS message";
	}
	switch (gnutls_handshake_get_last_in(tls->session)) {
	case GNUTLS_HANDSHAKE_SERVER_HELLO:
	case GNUTLS_HANDSHAKE_ENCRYPTED_EXTENSIONS:
		return "waiting for the server's certificate";
	case GNUTLS_HANDSHAKE_CERTIFICATE_PKT:
		return "waiting for the proof that the server owns its certificate";
	case GNUTLS_HANDSHAKE_FINISHED:
		return "finishing";
	default:
		return "waiting for the server's next TLS message";
	}
}
