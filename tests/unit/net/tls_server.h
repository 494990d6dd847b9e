/* SPDX-License-Identifier: MIT */
/*
 * For the tests of this folder: certificates made on the spot, and a TLS server in a thread of its
 * own that does one scripted thing with every connection. Blocking, with a limit of some seconds on
 * every wait so that a broken test ends.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/failure.h"
#include "base/loop.h"
#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SERVER_PATIENCE_S 20
#define DAY_S ((time_t)86400)

/* ---- the loop, with an end ---- */

struct test_loop {
	struct loop *loop;
	struct loop_timer watchdog;
};

static inline void test_loop_hangs(void *ctx)
{
	(void)ctx;
	fail_msg("nothing happens any more");
}

static inline void test_loop_init(struct test_loop *test)
{
	memset(test, 0, sizeof(*test));
	test->loop = loop_new();
	assert_non_null(test->loop);
}

static inline void test_loop_fini(struct test_loop *test)
{
	loop_free(test->loop);
}

static inline void test_loop_until(struct test_loop *test, const bool *done)
{
	loop_timer_start(&test->watchdog, test->loop, SERVER_PATIENCE_S * 1000, test_loop_hangs,
			 NULL);
	while (!*done) {
		loop_run_once(test->loop, true);
	}
	loop_timer_stop(&test->watchdog);
}

/* ---- certificates ---- */

struct test_identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t certificate;
};

struct test_identity_params {
	const char *name;    /* CN */
	const char *dns;     /* SAN */
	const char *dns2;    /* SAN */
	const char *ip;      /* SAN */
	time_t from;         /* relative to now; 0: a day ago */
	time_t to;           /* relative to now; 0: in 30 days */
	const char *purpose; /* NULL: server */
	bool ca;
};

static inline void check_tls(int r)
{
	if (r < 0) {
		fail_msg("GnuTLS: %s", gnutls_strerror(r));
	}
}

/* `issuer` NULL: signed by itself. */
static inline void test_identity_init(struct test_identity *identity,
				      const struct test_identity_params *params,
				      const struct test_identity *issuer)
{
	static uint32_t serial = 1;
	uint32_t number = htonl(serial++);
	time_t now = time(NULL);
	gnutls_x509_crt_t crt;
	gnutls_datum_t der;

	check_tls(gnutls_x509_privkey_init(&identity->key));
	check_tls(gnutls_x509_privkey_generate(identity->key, GNUTLS_PK_ECDSA,
					       GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
					       0));
	check_tls(gnutls_x509_crt_init(&crt));
	check_tls(gnutls_x509_crt_set_version(crt, 3));
	check_tls(gnutls_x509_crt_set_serial(crt, &number, sizeof(number)));
	check_tls(gnutls_x509_crt_set_activation_time(
		crt, now + (params->from ? params->from : -DAY_S)));
	check_tls(gnutls_x509_crt_set_expiration_time(
		crt, now + (params->to ? params->to : 30 * DAY_S)));
	check_tls(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0, params->name,
						(unsigned)strlen(params->name)));
	check_tls(gnutls_x509_crt_set_key(crt, identity->key));
	if (params->dns) {
		check_tls(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, params->dns,
							       (unsigned)strlen(params->dns),
							       GNUTLS_FSAN_APPEND));
	}
	if (params->dns2) {
		check_tls(gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_DNSNAME, params->dns2, (unsigned)strlen(params->dns2),
			GNUTLS_FSAN_APPEND));
	}
	if (params->ip) {
		struct in6_addr ip;
		bool v6 = strchr(params->ip, ':') != NULL;

		assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, params->ip, &ip), 1);
		check_tls(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS, &ip,
							       v6 ? 16 : 4, GNUTLS_FSAN_APPEND));
	}
	check_tls(gnutls_x509_crt_set_basic_constraints(crt, params->ca, -1));
	check_tls(gnutls_x509_crt_set_key_usage(crt, params->ca ? GNUTLS_KEY_KEY_CERT_SIGN
								: GNUTLS_KEY_DIGITAL_SIGNATURE));
	if (!params->ca) {
		check_tls(gnutls_x509_crt_set_key_purpose_oid(
			crt, params->purpose ? params->purpose : GNUTLS_KP_TLS_WWW_SERVER, 0));
	}
	check_tls(gnutls_x509_crt_sign2(crt, issuer ? issuer->certificate : crt,
					issuer ? issuer->key : identity->key, GNUTLS_DIG_SHA256,
					0));
	/* GnuTLS knows a certificate's place in a chain only if it has parsed it. */
	check_tls(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der));
	gnutls_x509_crt_deinit(crt);
	check_tls(gnutls_x509_crt_init(&identity->certificate));
	check_tls(gnutls_x509_crt_import(identity->certificate, &der, GNUTLS_X509_FMT_DER));
	gnutls_free(der.data);
}

static inline void test_identity_fini(struct test_identity *identity)
{
	gnutls_x509_crt_deinit(identity->certificate);
	gnutls_x509_privkey_deinit(identity->key);
}

/* Writes the certificate into a new file, as a CA to trust. `path` is a mkstemp() template. */
static inline void test_identity_write(const struct test_identity *identity, char *path)
{
	gnutls_datum_t pem;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	check_tls(gnutls_x509_crt_export2(identity->certificate, GNUTLS_X509_FMT_PEM, &pem));
	assert_int_equal(write(fd, pem.data, pem.size), pem.size);
	assert_int_equal(close(fd), 0);
	gnutls_free(pem.data);
}

/* ---- sockets ---- */

static inline int test_listen(struct address *ret_address)
{
	struct address address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_true(address_parse("127.0.0.1", 0, &address));
	assert_int_equal(bind(fd, &address.any, address.length), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, &address.any, &address.length), 0);
	*ret_address = address;
	return fd;
}

/* A connected, non-blocking socket. */
static inline int test_connect(const struct address *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, &address->any, address->length), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline uint16_t test_port(const struct address *address)
{
	return ntohs(address->in.sin_port);
}

static inline void test_patience(int fd)
{
	struct timeval wait = {.tv_sec = SERVER_PATIENCE_S};

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
}

/* Open descriptors of this process: what a test must not leave behind. */
static inline unsigned test_open_fds(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		count += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
	}
	return count;
}

/* ---- the server ---- */

struct test_server {
	/* Set these, zero the rest. */
	const struct test_identity *identity; /* NULL: no TLS, `raw` gets the socket */
	const struct test_identity *intermediate;
	const char *priority; /* NULL: GnuTLS's */
	const char *alpn;     /* NULL: "h2"; "": no ALPN */
	unsigned alpn_flags;
	unsigned connections; /* how many to accept, one after the other */
	void (*serve)(struct test_server *server, gnutls_session_t session, int fd);
	void (*raw)(struct test_server *server, int fd);
	void *ctx;
	/* The server's. */
	struct address address;
	int listener;
	int signals[2]; /* a pipe: the script tells the test how far it is */
	pthread_t thread;
	gnutls_certificate_credentials_t credentials;
	gnutls_datum_t ticket_key;
	int handshake_result; /* of the last connection */
	gnutls_alert_description_t alert;
	bool resumed;
	unsigned served;
};

static inline void test_server_signal(struct test_server *server)
{
	(void)!write(server->signals[1], "x", 1);
}

/* Blocks the test until the script signals. */
static inline void test_server_wait(struct test_server *server)
{
	char c;

	assert_int_equal(read(server->signals[0], &c, 1), 1);
}

static inline void test_server_tls(struct test_server *server, int fd)
{
	gnutls_session_t session;
	const char *name = server->alpn ? server->alpn : "h2";
	gnutls_datum_t alpn = {(unsigned char *)(uintptr_t)name, (unsigned)strlen(name)};
	int r;

	if (gnutls_init(&session, GNUTLS_SERVER | GNUTLS_NO_SIGNAL) < 0) {
		return;
	}
	if (server->priority) {
		(void)gnutls_priority_set_direct(session, server->priority, NULL);
	} else {
		(void)gnutls_set_default_priority(session);
	}
	(void)gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, server->credentials);
	(void)gnutls_session_ticket_enable_server(session, &server->ticket_key);
	if (alpn.size > 0) {
		(void)gnutls_alpn_set_protocols(session, &alpn, 1, server->alpn_flags);
	}
	gnutls_transport_set_int(session, fd);
	gnutls_handshake_set_timeout(session, SERVER_PATIENCE_S * 1000);
	do {
		r = gnutls_handshake(session);
	} while (r < 0 && !gnutls_error_is_fatal(r));
	server->handshake_result = r;
	if (r == GNUTLS_E_FATAL_ALERT_RECEIVED) {
		server->alert = gnutls_alert_get(session);
	} else if (r < 0) {
		(void)gnutls_alert_send_appropriate(session, r);
	} else {
		server->resumed = gnutls_session_is_resumed(session) != 0;
		if (server->serve) {
			server->serve(server, session, fd);
		}
	}
	gnutls_deinit(session);
}

static inline void *test_server_main(void *ctx)
{
	struct test_server *server = ctx;

	for (unsigned i = 0; i < server->connections; i++) {
		int fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0) {
			break;
		}
		test_patience(fd);
		if (server->identity) {
			test_server_tls(server, fd);
		} else {
			server->raw(server, fd);
		}
		server->served++;
		(void)close(fd);
	}
	return NULL;
}

static inline void test_server_start(struct test_server *server)
{
	if (server->connections == 0) {
		server->connections = 1;
	}
	server->listener = test_listen(&server->address);
	test_patience(server->listener);
	assert_int_equal(pipe2(server->signals, O_CLOEXEC), 0);
	if (server->identity) {
		gnutls_x509_crt_t chain[2] = {server->identity->certificate, NULL};
		int count = 1;

		if (server->intermediate) {
			chain[count++] = server->intermediate->certificate;
		}
		check_tls(gnutls_certificate_allocate_credentials(&server->credentials));
		check_tls(gnutls_certificate_set_x509_key(server->credentials, chain, count,
							  server->identity->key));
		check_tls(gnutls_session_ticket_key_generate(&server->ticket_key));
	}
	assert_int_equal(pthread_create(&server->thread, NULL, test_server_main, server), 0);
}

/* Waits for the script's end. */
static inline void test_server_join(struct test_server *server)
{
	assert_int_equal(pthread_join(server->thread, NULL), 0);
	(void)close(server->listener);
	(void)close(server->signals[0]);
	(void)close(server->signals[1]);
	if (server->identity) {
		gnutls_certificate_free_credentials(server->credentials);
		gnutls_free(server->ticket_key.data);
	}
}
