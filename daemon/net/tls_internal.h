/* SPDX-License-Identifier: MIT */
/*
 * What the files tls*.c share, and nobody else sees.
 *
 * A `tls_channel` is born when the handshake starts and owned by it until it is done: GnuTLS keeps
 * pointers into it. Its socket is read through a buffer, because GnuTLS otherwise asks the kernel
 * twice for every record, and written directly.
 */
#pragma once

#include "net/channel.h"
#include "net/tls.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

/* Two full records and then some; there only while it holds something, so that an idle connection
 * costs nothing. */
#define TLS_PULL_SIZE 40960u
#define TLS_FIRST_BYTES 24u
#define TLS_TEXT_MAX 128u
#define TLS_ODDITIES_MAX 16u
#define TLS_HANDSHAKE_MESSAGE_MAX 65536u
/* What a peer may send without a byte of application data in it. GnuTLS's limit above is for
 * messages that are complete; it would collect an unfinished one up to 16 MiB. */
#define TLS_OVERHEAD_MAX 262144u

struct tls_context {
	unsigned references;
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
};

struct tls_channel {
	struct channel channel; /* first: a struct channel * is a struct tls_channel * */
	struct tls_context *context;
	gnutls_session_t session;
	struct loop_io io;
	struct loop_task again; /* more on_readable, for bytes that the kernel does not show */
	int fd;                 /* -1 once closed */
	bool reading;           /* on_readable is wanted */
	bool write_blocked;     /* on_writable is owed */
	bool write_pending;     /* GnuTLS holds a record of ours, encrypted */
	bool alert_pending;     /* and it is an alert, not data */
	bool peer_closed;       /* the socket said so */
	bool ended;             /* and the end was handed on */
	bool ticket_arrived;    /* not yet put into `tickets` */
	unsigned oddities;      /* renegotiations asked for, warning alerts: few are fine */

	int error; /* errno of the last failed system call, 0: none */
	unsigned char first_bytes[TLS_FIRST_BYTES]; /* of what the peer sent */
	size_t first_count;
	size_t overhead;     /* bytes received since the start, or the last application data */
	unsigned char *pull; /* NULL: nothing buffered */
	size_t pull_start;
	size_t pull_length;

	char subject[TLS_TEXT_MAX];

	struct tls_tickets *tickets; /* NULL: forgotten */
	struct tls_channel *prev;    /* in tls_tickets::users */
	struct tls_channel *next;    /* in tls_tickets::users */

	/* What the certificate is checked for; GnuTLS keeps pointers. */
	gnutls_typed_vdata_st checks[2];
	struct address host_address;
	bool host_is_address;
	char host[]; /* the name or address to be in the certificate */
};

/* ---- tls_transport.c: the socket below GnuTLS ---- */

/* Makes GnuTLS use the channel's socket. */
void tls_transport_attach(struct tls_channel *tls);
/* Forgets what was read and not used. */
void tls_transport_clear(struct tls_channel *tls);

/* ---- tls_verify.c: the peer's certificate ---- */

/* Has the handshake check it. 0 or a GnuTLS error. */
int tls_verify_prepare(struct tls_channel *tls);
/* Checks it again, for a resumed session, in which no certificate is sent: the one remembered may
 * have expired, or its CA may be trusted no more. 0; or 1 with *ret_failure. */
int tls_verify_resumed(struct tls_channel *tls, struct failure *ret_failure);
/* Says why the handshake's check failed. */
void tls_verify_explain(struct tls_channel *tls, unsigned status, struct failure *ret_failure);
/* Fills in the certificate's part of channel_info. */
void tls_verify_describe(struct tls_channel *tls);

/* ---- tls_error.c: words ---- */

/* Why the handshake ended with GnuTLS's error `code`. */
void tls_error_handshake(struct tls_channel *tls, int code, struct failure *ret_failure);
/* Why reading or writing did; `what` is "reading from" or "writing to". */
void tls_error_io(struct tls_channel *tls, const char *what, int code, struct failure *ret_failure);
/* Copies bytes of the peer's to a NUL-terminated `text` of `size` bytes: what is not printable
 * ASCII becomes '?'. Cut with "..." if too long. */
void tls_error_printable(const void *data, size_t length, char *text, size_t size);

/* ---- tls.c: the channel ---- */

/* After the handshake: makes it a channel that can be listened to. */
struct channel *tls_channel_begin(struct tls_channel *tls);
/* Frees all of it; the socket is closed without a word. */
void tls_channel_discard(struct tls_channel *tls);

/* ---- tls_tickets.c: what is remembered from one connection for the next ---- */

/* Offers the remembered session to the server and forgets it: a ticket is used once (RFC 8446,
 * C.4). */
void tls_tickets_use(struct tls_channel *tls);
/* Remembers the session, if GnuTLS has what it takes. */
void tls_tickets_store(struct tls_channel *tls);
void tls_tickets_join(struct tls_channel *tls);
void tls_tickets_leave(struct tls_channel *tls);
