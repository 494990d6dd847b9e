/* SPDX-License-Identifier: MIT */
/*
 * TLS for the client side: one context (trust, priorities) for the daemon, one session memory per
 * origin, one handshake per connection. ALPN offers exactly "h2" and anything else negotiated is a
 * failure (RFC 9113, section 3.2); the certificate is verified against the trust store and the
 * host's name, always.
 *
 * The only place that knows GnuTLS.
 */
#pragma once

#include "net/channel.h"

#include <stdbool.h>
#include <stdint.h>

struct tls_context; /* reference-counted: handshakes and channels hold one */

/* `ca_file` empty or NULL: the system's trust store. Reads files, so: at start and on reload only.
 * 0 and *ret_context; -ENOMEM; or a positive GnuTLS-independent outcome 1 with *ret_failure saying
 * what is wrong with the file or the priority string. */
int tls_context_new(const char *ca_file, const char *priority, struct tls_context **ret_context,
		    struct failure *ret_failure);
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);

/* The session tickets of one origin: the newest, at most one. All zero is empty. Must outlive the
 * channels that were made with it, or be told: tls_tickets_fini() on a set still in use is fine,
 * the channels forget it. */
struct tls_tickets {
	void *data;
	uint32_t size;
	struct tls_channel *users; /* channels that put new tickets here */
};
void tls_tickets_fini(struct tls_tickets *tickets);

struct tls_handshake;

struct tls_handshake_callbacks {
	/* `channel` is the caller's. The handshake is gone when it is called. */
	void (*on_done)(void *ctx, struct channel *channel);
	/* Chain from outermost; the handshake and the socket are gone when it is called. */
	void (*on_failed)(void *ctx, const struct failure *failure);
};

/* Begins a handshake over a connected non-blocking socket; consumes `take_fd` also on failure.
 * `host`: for SNI (not if it is an address) and for the certificate. 0 and *ret_handshake, or
 * -ENOMEM. No callback from inside the call. No deadline of its own: cancel it. */
int tls_handshake_start(struct loop *loop, struct tls_context *context, struct tls_tickets *tickets,
			const char *host, bool host_is_address, int take_fd,
			const struct address *remote,
			const struct tls_handshake_callbacks *callbacks, void *ctx,
			struct tls_handshake **ret_handshake);
/* No callback comes after it. NULL is fine. */
void tls_handshake_cancel(struct tls_handshake *handshake);
/* What it waits for, for the failure of a deadline: "waiting for the server's first TLS message".
 */
const char *tls_handshake_stage(const struct tls_handshake *handshake);
