/* SPDX-License-Identifier: MIT */
/*
 * TLS errors in words that say what to look at.
 */
#include "net/tls_internal.h"

#include "net/errno_text.h"

#include <errno.h>
#include <string.h>

#define RECORD_ALERT 0x15
#define RECORD_HANDSHAKE 0x16
#define RECORD_VERSION_MAJOR 0x03

void tls_error_printable(const void *data, size_t length, char *text, size_t size)
{
	const unsigned char *bytes = data;
	bool cut = length >= size;

	if (cut) {
		length = size - 1;
	}
	for (size_t i = 0; i < length; i++) {
		text[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '?';
	}
	text[length] = '\0';
	if (cut && size > 4) {
		memcpy(text + size - 4, "...", 4);
	}
}

static bool answer_is_tls(const struct tls_channel *tls)
{
	const unsigned char *bytes = tls->first_bytes;

	return (tls->first_count < 1 || bytes[0] == RECORD_HANDSHAKE || bytes[0] == RECORD_ALERT) &&
	       (tls->first_count < 2 || bytes[1] == RECORD_VERSION_MAJOR);
}

static void explain_system(struct tls_channel *tls, const char *remote, struct failure *ret_failure)
{
	struct failure_link *link;
	struct failure_link *cause = NULL;

	if (tls->error == ECONNRESET || tls->error == EPIPE) {
		link = failure_set(ret_failure, FAIL_TLS_HANDSHAKE,
				   "%s reset the connection during the TLS handshake", remote);
	} else if (tls->error == EMSGSIZE) {
		link = failure_set(ret_failure, FAIL_TLS_HANDSHAKE,
				   "%s sent more than %u bytes for the TLS handshake", remote,
				   TLS_OVERHEAD_MAX);
	} else {
		link = failure_set(ret_failure, FAIL_TLS_HANDSHAKE, "TLS handshake with %s: %s",
				   remote, errno_text(tls->error));
	}
	link->sys_errno = tls->error;
	if (tls->error != EMSGSIZE) {
		/* The path's fault, not that of what was said: another try may fare better. */
		cause = failure_append(ret_failure, FAIL_CONNECTION_ERROR, "%s",
				       errno_text(tls->error));
	}
	if (cause) {
		cause->sys_errno = tls->error;
	}
}

void tls_error_handshake(struct tls_channel *tls, int code, struct failure *ret_failure)
{
	char remote[ADDRESS_TEXT_MAX];
	char first[TLS_FIRST_BYTES + 1];
	const char *name;
	int alert;

	(void)address_print(&tls->channel.info.remote, remote);
	if (code == GNUTLS_E_MEMORY_ERROR || tls->error == ENOMEM) {
		failure_set(ret_failure, FAIL_NO_MEMORY,
			    "out of memory in the TLS handshake with %s", remote);
	} else if (!answer_is_tls(tls)) {
		size_t length = 0;

		/* The first line is enough. */
		while (length < tls->first_count && tls->first_bytes[length] != '\r' &&
		       tls->first_bytes[length] != '\n') {
			length++;
		}
		tls_error_printable(tls->first_bytes, length, first, sizeof(first));
		failure_set(ret_failure, FAIL_TLS_HANDSHAKE,
			    "the answer of %s is not TLS; it begins with \"%s\"", remote, first);
	} else if (tls->error != 0) {
		explain_system(tls, remote, ret_failure);
	} else if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		alert = (int)gnutls_alert_get(tls->session);
		name = gnutls_alert_get_name((gnutls_alert_description_t)alert);
		if (alert == GNUTLS_A_NO_APPLICATION_PROTOCOL) {
			failure_set(ret_failure, FAIL_ALPN_MISMATCH,
				    "%s does not speak HTTP/2: it was offered \"h2\" by ALPN and "
				    "answered with the alert no_application_protocol",
				    remote);
		} else {
			failure_set(ret_failure, FAIL_TLS_HANDSHAKE,
				    "%s ended the TLS handshake with alert %d: %s", remote, alert,
				    name ? name : "unknown");
		}
	} else if (tls->peer_closed) { /* within a record, GnuTLS says something else */
		failure_set(ret_failure, FAIL_TLS_HANDSHAKE,
			    "%s closed the connection during the TLS handshake, while %s", remote,
			    tls->first_count == 0 ? "its first message was awaited"
						  : "more of its messages were awaited");
		(void)failure_append(ret_failure, FAIL_CONNECTION_CLOSED,
				     "the peer closed the connection");
	} else {
		failure_set(ret_failure, FAIL_TLS_HANDSHAKE, "TLS handshake with %s: %s", remote,
			    gnutls_strerror(code));
	}
	if (ret_failure->count > 0) {
		ret_failure->links[0].tls_code = code;
	}
}

void tls_error_io(struct tls_channel *tls, const char *what, int code, struct failure *ret_failure)
{
	char remote[ADDRESS_TEXT_MAX];
	struct failure_link *link;
	const char *name;

	(void)address_print(&tls->channel.info.remote, remote);
	if (code == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		name = gnutls_alert_get_name(gnutls_alert_get(tls->session));
		link = failure_set(ret_failure, FAIL_CONNECTION_ERROR, "%s %s: TLS alert %d: %s",
				   what, remote, (int)gnutls_alert_get(tls->session),
				   name ? name : "unknown");
	} else if (tls->error != 0) {
		link = failure_set(ret_failure, FAIL_CONNECTION_ERROR, "%s %s: %s", what, remote,
				   tls->error == EMSGSIZE ? "too much of TLS, and no data in it"
							  : errno_text(tls->error));
		link->sys_errno = tls->error;
	} else {
		link = failure_set(ret_failure, FAIL_CONNECTION_ERROR, "%s %s: %s", what, remote,
				   gnutls_strerror(code));
	}
	link->tls_code = code;
}
