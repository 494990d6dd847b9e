/* SPDX-License-Identifier: MIT */
/*
 * Session tickets: what one connection leaves for the next to the same origin, so that it needs no
 * certificate and less time.
 */
#include "net/tls_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* A session holds the peer's certificates; more than this is not worth keeping. */
#define TICKET_MAX 65536u

static void forget(struct tls_tickets *tickets)
{
	if (tickets->data) {
		gnutls_memset(tickets->data, 0, tickets->size); /* it holds a secret */
		free(tickets->data);
	}
	tickets->data = NULL;
	tickets->size = 0;
}

void tls_tickets_fini(struct tls_tickets *tickets)
{
	struct tls_channel *tls, *next;

	DL_FOREACH_SAFE (tickets->users, tls, next) {
		DL_DELETE(tickets->users, tls);
		tls->tickets = NULL;
	}
	forget(tickets);
}

void tls_tickets_join(struct tls_channel *tls)
{
	if (tls->tickets) {
		DL_APPEND(tls->tickets->users, tls);
	}
}

void tls_tickets_leave(struct tls_channel *tls)
{
	if (tls->tickets) {
		DL_DELETE(tls->tickets->users, tls);
		tls->tickets = NULL;
	}
}

void tls_tickets_use(struct tls_channel *tls)
{
	struct tls_tickets *tickets = tls->tickets;

	if (tickets && tickets->data) {
		/* Data that GnuTLS does not take, an expired ticket say, means a full handshake. */
		(void)gnutls_session_set_data(tls->session, tickets->data, tickets->size);
		forget(tickets);
	}
}

void tls_tickets_store(struct tls_channel *tls)
{
	struct tls_tickets *tickets = tls->tickets;
	gnutls_datum_t data = {NULL, 0};
	void *copy;

	/* For TLS 1.3, GnuTLS waits for a ticket if there is none: never ask before one came. */
	if (!tickets ||
	    (gnutls_protocol_get_version(tls->session) >= GNUTLS_TLS1_3 &&
	     !(gnutls_session_get_flags(tls->session) & GNUTLS_SFLAGS_SESSION_TICKET)) ||
	    gnutls_session_get_data2(tls->session, &data) != GNUTLS_E_SUCCESS) {
		return;
	}
	if (data.size > 0 && data.size <= TICKET_MAX) {
		copy = malloc(data.size);
		if (copy) {
			memcpy(copy, data.data, data.size);
			forget(tickets);
			tickets->data = copy;
			tickets->size = data.size;
		}
	}
	if (data.data) {
		gnutls_memset(data.data, 0, data.size);
	}
	gnutls_free(data.data);
}
