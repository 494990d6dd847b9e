/* SPDX-License-Identifier: MIT */
/*
 * The peer's certificate: checked for its chain, its dates, its purpose and the host's name, and
 * described: to the user when it does not do, for the record when it does.
 */
#include "net/tls_internal.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NAMES_SHOWN_MAX 96u
#define NAMES_READ_MAX 64u
#define NAME_SHOWN_MAX 80

/* What can be wrong, in the order in which it is reported. */
enum fault {
	FAULT_UNTRUSTED,
	FAULT_EXPIRED,
	FAULT_NAME,
	FAULT_OTHER,
	FAULTS
};

static const enum failure_code fault_codes[FAULTS] = {
	[FAULT_UNTRUSTED] = FAIL_TLS_CERT_UNTRUSTED,
	[FAULT_EXPIRED] = FAIL_TLS_CERT_EXPIRED,
	[FAULT_NAME] = FAIL_TLS_CERT_NAME,
	[FAULT_OTHER] = FAIL_TLS_CERT_INVALID,
};

/* A line put together in pieces; what does not fit is cut. */
struct line {
	char text[FAILURE_TEXT_MAX];
	size_t length;
};

__attribute__((format(printf, 2, 3))) static void line_add(struct line *line, const char *format,
							   ...);

static void line_add(struct line *line, const char *format, ...)
{
	size_t room = sizeof(line->text) - line->length;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(line->text + line->length, room, format, args);
	va_end(args);
	if (length > 0) {
		line->length += (size_t)length < room ? (size_t)length : room - 1;
	}
}

int tls_verify_prepare(struct tls_channel *tls)
{
	struct address *address = &tls->host_address;

	if (!tls->host_is_address) {
		tls->checks[0].type = GNUTLS_DT_DNS_HOSTNAME;
		tls->checks[0].data = (unsigned char *)tls->host;
	} else if (!address_parse(tls->host, 0, address)) {
		return GNUTLS_E_INVALID_REQUEST;
	} else if (address->any.sa_family == AF_INET) {
		tls->checks[0].type = GNUTLS_DT_IP_ADDRESS;
		tls->checks[0].data = (unsigned char *)&address->in.sin_addr;
		tls->checks[0].size = sizeof(address->in.sin_addr);
	} else {
		tls->checks[0].type = GNUTLS_DT_IP_ADDRESS;
		tls->checks[0].data = (unsigned char *)&address->in6.sin6_addr;
		tls->checks[0].size = sizeof(address->in6.sin6_addr);
	}
	tls->checks[1].type = GNUTLS_DT_KEY_PURPOSE_OID;
	tls->checks[1].data = (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_SERVER;
	gnutls_session_set_verify_cert2(tls->session, tls->checks, 2, 0);
	return GNUTLS_E_SUCCESS;
}

/* The peer's own certificate; NULL if there is none that can be read. */
static gnutls_x509_crt_t peer_certificate(gnutls_session_t session)
{
	gnutls_x509_crt_t certificate;
	const gnutls_datum_t *list;
	unsigned count = 0;

	list = gnutls_certificate_get_peers(session, &count);
	if (!list || count == 0 || gnutls_x509_crt_init(&certificate) != GNUTLS_E_SUCCESS) {
		return NULL;
	}
	if (gnutls_x509_crt_import(certificate, &list[0], GNUTLS_X509_FMT_DER) !=
	    GNUTLS_E_SUCCESS) {
		gnutls_x509_crt_deinit(certificate);
		return NULL;
	}
	return certificate;
}

static void print_name(const gnutls_datum_t *name, int error, char text[TLS_TEXT_MAX])
{
	if (error == GNUTLS_E_SUCCESS && name->size > 0) {
		tls_error_printable(name->data, name->size, text, TLS_TEXT_MAX);
	} else {
		text[0] = '\0';
	}
}

static void print_subject(gnutls_x509_crt_t certificate, char text[TLS_TEXT_MAX])
{
	gnutls_datum_t name = {NULL, 0};
	int r = gnutls_x509_crt_get_dn3(certificate, &name, 0);

	print_name(&name, r, text);
	gnutls_free(name.data);
}

static void print_issuer(gnutls_x509_crt_t certificate, char text[TLS_TEXT_MAX])
{
	gnutls_datum_t name = {NULL, 0};
	int r = gnutls_x509_crt_get_issuer_dn3(certificate, &name, 0);

	print_name(&name, r, text);
	gnutls_free(name.data);
}

static void print_time(time_t when, char text[32])
{
	struct tm tm;

	if (when == (time_t)-1 || !gmtime_r(&when, &tm) ||
	    strftime(text, 32, "%Y-%m-%d %H:%M:%S UTC", &tm) == 0) {
		(void)snprintf(text, 32, "an unknown date");
	}
}

/* The names and addresses that the certificate is for: "a.example, b.example, 192.0.2.1". */
static void print_alt_names(gnutls_x509_crt_t certificate, char text[NAMES_SHOWN_MAX])
{
	size_t length = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < NAMES_READ_MAX; i++) {
		char name[256];
		char shown[NAMES_SHOWN_MAX];
		size_t size = sizeof(name);
		int family;
		int type = gnutls_x509_crt_get_subject_alt_name(certificate, i, name, &size, NULL);

		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE) {
			return;
		}
		if (type == GNUTLS_SAN_DNSNAME) {
			/* Some versions count the NUL. */
			tls_error_printable(name, strnlen(name, size), shown, sizeof(shown));
		} else if (type == GNUTLS_SAN_IPADDRESS && (size == 4 || size == 16)) {
			family = size == 4 ? AF_INET : AF_INET6;
			if (!inet_ntop(family, name, shown, sizeof(shown))) {
				continue;
			}
		} else {
			continue;
		}
		if (length + strlen(shown) + sizeof(", ...") > NAMES_SHOWN_MAX) {
			(void)snprintf(text + length, NAMES_SHOWN_MAX - length, "%s...",
				       length > 0 ? ", " : "");
			return;
		}
		length += (size_t)snprintf(text + length, NAMES_SHOWN_MAX - length, "%s%s",
					   length > 0 ? ", " : "", shown);
	}
}

static bool name_fits(const struct tls_channel *tls, gnutls_x509_crt_t certificate)
{
	const gnutls_typed_vdata_st *check = &tls->checks[0];

	if (tls->host_is_address) {
		return gnutls_x509_crt_check_ip(certificate, check->data, check->size, 0) != 0;
	}
	return gnutls_x509_crt_check_hostname(certificate, tls->host) != 0;
}

static void add_untrusted(struct line *line, gnutls_x509_crt_t certificate)
{
	char issuer[TLS_TEXT_MAX] = "";

	if (certificate && gnutls_x509_crt_check_issuer(certificate, certificate)) {
		line_add(line, "; it is self-signed and not trusted");
		return;
	}
	if (certificate) {
		print_issuer(certificate, issuer);
	}
	line_add(line, "; no trusted CA vouches for it (issuer \"%.*s\")", NAME_SHOWN_MAX, issuer);
}

static void add_expired(struct line *line, gnutls_x509_crt_t certificate)
{
	time_t now = time(NULL);
	char text[32];

	if (certificate && gnutls_x509_crt_get_activation_time(certificate) > now) {
		print_time(gnutls_x509_crt_get_activation_time(certificate), text);
		line_add(line, "; it is not valid before %s", text);
	} else if (certificate && gnutls_x509_crt_get_expiration_time(certificate) < now) {
		print_time(gnutls_x509_crt_get_expiration_time(certificate), text);
		line_add(line, "; it expired on %s", text);
	} else {
		line_add(line, "; a CA's certificate in its chain has expired or is not yet valid");
	}
}

static void add_name(struct line *line, const struct tls_channel *tls,
		     gnutls_x509_crt_t certificate)
{
	char names[NAMES_SHOWN_MAX] = "";

	if (certificate) {
		print_alt_names(certificate, names);
	}
	line_add(line, "; it is not for \"%.*s\", but for %s", NAME_SHOWN_MAX, tls->host,
		 names[0] ? names : "no name at all");
}

static void add_other(struct line *line, unsigned status)
{
	gnutls_datum_t text = {NULL, 0};
	char printable[TLS_TEXT_MAX];

	if (gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) ==
	    GNUTLS_E_SUCCESS) {
		tls_error_printable(text.data, strnlen((const char *)text.data, text.size),
				    printable, sizeof(printable));
		line_add(line, "; %s", printable);
	} else {
		line_add(line, "; status 0x%x", status);
	}
	gnutls_free(text.data);
}

void tls_verify_explain(struct tls_channel *tls, unsigned status, struct failure *ret_failure)
{
	static const unsigned untrusted_bits = GNUTLS_CERT_SIGNER_NOT_FOUND |
					       GNUTLS_CERT_SIGNER_NOT_CA |
					       GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE;
	static const unsigned date_bits = GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED;
	gnutls_x509_crt_t certificate = peer_certificate(tls->session);
	enum failure_code code = FAIL_NONE;
	struct line line = {.length = 0};
	char remote[ADDRESS_TEXT_MAX];
	bool faults[FAULTS] = {false};
	time_t now = time(NULL);

	faults[FAULT_UNTRUSTED] = (status & untrusted_bits) != 0;
	/* GnuTLS does not look at the dates of a chain that leads nowhere; the user wants to know
	 * all at once. */
	faults[FAULT_EXPIRED] =
		(status & date_bits) != 0 ||
		(certificate && (gnutls_x509_crt_get_activation_time(certificate) > now ||
				 gnutls_x509_crt_get_expiration_time(certificate) < now));
	faults[FAULT_NAME] = (status & GNUTLS_CERT_UNEXPECTED_OWNER) != 0 ||
			     (certificate && !name_fits(tls, certificate));
	status &= ~(untrusted_bits | date_bits |
		    (unsigned)(GNUTLS_CERT_INVALID | GNUTLS_CERT_UNEXPECTED_OWNER));
	faults[FAULT_OTHER] = status != 0 || (!faults[FAULT_UNTRUSTED] && !faults[FAULT_EXPIRED] &&
					      !faults[FAULT_NAME]);

	line_add(&line, "the certificate of %s is refused",
		 address_print(&tls->channel.info.remote, remote));
	for (unsigned i = 0; i < FAULTS; i++) {
		if (!faults[i]) {
			continue;
		}
		if (code == FAIL_NONE) {
			code = fault_codes[i];
		}
		switch ((enum fault)i) {
		case FAULT_UNTRUSTED:
			add_untrusted(&line, certificate);
			break;
		case FAULT_EXPIRED:
			add_expired(&line, certificate);
			break;
		case FAULT_NAME:
			add_name(&line, tls, certificate);
			break;
		case FAULT_OTHER:
			add_other(&line, status | GNUTLS_CERT_INVALID);
			break;
		case FAULTS:
			break;
		}
	}
	failure_set(ret_failure, code, "%s", line.text)->tls_code =
		GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
	if (certificate) {
		gnutls_x509_crt_deinit(certificate);
	}
}

int tls_verify_resumed(struct tls_channel *tls, struct failure *ret_failure)
{
	unsigned status = 0;
	int r = gnutls_certificate_verify_peers(tls->session, tls->checks, 2, &status);

	if (r != GNUTLS_E_SUCCESS) {
		failure_set(ret_failure, FAIL_TLS_CERT_INVALID,
			    "cannot check the certificate of the resumed session: %s",
			    gnutls_strerror(r))
			->tls_code = r;
		return 1;
	}
	if (status != 0) {
		tls_verify_explain(tls, status, ret_failure);
		return 1;
	}
	return 0;
}

void tls_verify_describe(struct tls_channel *tls)
{
	gnutls_x509_crt_t certificate = peer_certificate(tls->session);
	time_t expires;

	tls->subject[0] = '\0';
	if (certificate) {
		print_subject(certificate, tls->subject);
		expires = gnutls_x509_crt_get_expiration_time(certificate);
		tls->channel.info.certificate_expires = expires > 0 ? (uint64_t)expires : 0;
		gnutls_x509_crt_deinit(certificate);
	}
	tls->channel.info.certificate_subject = tls->subject;
}
