/* SPDX-License-Identifier: MIT */
/*
 * Handshakes against a real GnuTLS server in a thread, and against peers that are none.
 */
#include "unit/net/tls_client.h"

static void check_good(const char *host, bool host_is_address, const char *priority,
		       const char *version)
{
	struct test_server server = {
		.identity = &server_identity, .priority = priority, .serve = say_goodbye};
	struct client client;
	const struct channel_info *info;

	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, host, host_is_address);
	if (!client.channel) {
		fail_msg("%s: %s", host, client.failure.links[0].text);
	}
	info = channel_info(client.channel);
	assert_string_equal(info->tls_version, version);
	assert_non_null(strstr(info->tls_cipher, "AES"));
	assert_string_equal(info->certificate_subject, "CN=Test Server");
	assert_true(info->certificate_expires > (uint64_t)time(NULL));
	assert_false(info->tls_resumed);
	assert_int_equal(info->remote.in.sin_port, server.address.in.sin_port);
	channel_close(client.channel);
	client.channel = NULL;
	test_server_join(&server);
	assert_int_equal(server.handshake_result, 0);
	client_fini(&client);
}

static void test_good(void **state)
{
	(void)state;
	check_good(HOST, false, NULL, "TLS1.3");
	check_good("127.0.0.1", true, NULL, "TLS1.3");
	check_good(HOST, false, "NORMAL:-VERS-ALL:+VERS-TLS1.2", "TLS1.2");
}

static void check_alpn(const char *alpn, unsigned flags, const char *priority, const char *says)
{
	struct test_server server = {.identity = &server_identity,
				     .alpn = alpn,
				     .alpn_flags = flags,
				     .priority = priority,
				     .serve = say_goodbye};
	struct client client;

	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_null(client.channel);
	assert_int_equal(failure_top(&client.failure), FAIL_ALPN_MISMATCH);
	assert_non_null(strstr(client.failure.links[0].text, "\"h2\""));
	if (!strstr(client.failure.links[0].text, says)) {
		fail_msg("%s", client.failure.links[0].text);
	}
	client_fini(&client);
	test_server_join(&server);
}

static void test_alpn(void **state)
{
	static const char tls12[] = "NORMAL:-VERS-ALL:+VERS-TLS1.2";

	(void)state;
	check_alpn("", 0, NULL, "did not choose");
	check_alpn("", 0, tls12, "did not choose");
	check_alpn("http/1.1", 0, NULL, "did not choose");
	check_alpn("http/1.1", GNUTLS_ALPN_MANDATORY, NULL, "no_application_protocol");
	check_alpn("http/1.1", GNUTLS_ALPN_MANDATORY, tls12, "no_application_protocol");
}

static void raw_http(struct test_server *server, int fd)
{
	static const char answer[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
	char buffer[2048];

	(void)server;
	(void)!read(fd, buffer, sizeof(buffer));
	(void)!write(fd, answer, sizeof(answer) - 1);
	/* Until the client has closed, or the answer may be lost to a reset. */
	while (read(fd, buffer, sizeof(buffer)) > 0) {
	}
}

static void raw_close(struct test_server *server, int fd)
{
	char buffer[2048];

	(void)server;
	(void)!read(fd, buffer, sizeof(buffer));
}

static void raw_reset(struct test_server *server, int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	char buffer[2048];

	(void)server;
	(void)!read(fd, buffer, sizeof(buffer));
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void raw_half(struct test_server *server, int fd)
{
	static const unsigned char half[] = {0x16, 0x03, 0x03, 0x00, 0x7a, 0x02};
	char buffer[2048];

	(void)server;
	(void)!read(fd, buffer, sizeof(buffer));
	(void)!write(fd, half, sizeof(half));
}

static void raw_alert(struct test_server *server, int fd)
{
	static const unsigned char alert[] = {0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 112};
	char buffer[2048];

	(void)server;
	(void)!read(fd, buffer, sizeof(buffer));
	(void)!write(fd, alert, sizeof(alert));
	while (read(fd, buffer, sizeof(buffer)) > 0) {
	}
}

/* A handshake message that claims 16 MiB, and goes on and on. */
static void raw_huge(struct test_server *server, int fd)
{
	static unsigned char record[5 + 16384] = {0x16, 0x03, 0x03, 0x40, 0x00,
						  0x02, 0xff, 0xff, 0xff};
	char buffer[2048];

	(void)server;
	(void)!read(fd, buffer, sizeof(buffer));
	for (unsigned i = 0; i < 64; i++) {
		if (send(fd, record, sizeof(record), MSG_NOSIGNAL) < 0) {
			return;
		}
	}
}

static void raw_silence(struct test_server *server, int fd)
{
	char buffer[2048];

	(void)server;
	while (read(fd, buffer, sizeof(buffer)) > 0) {
	}
}

static void check_raw(void (*raw)(struct test_server *, int), const char *says, int sys_errno)
{
	struct test_server server = {.raw = raw};
	struct client client;

	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_null(client.channel);
	assert_int_equal(failure_top(&client.failure), FAIL_TLS_HANDSHAKE);
	if (!strstr(client.failure.links[0].text, says)) {
		fail_msg("no \"%s\" in \"%s\"", says, client.failure.links[0].text);
	}
	assert_int_equal(client.failure.links[0].sys_errno, sys_errno);
	client_fini(&client);
	test_server_join(&server);
}

static void test_no_tls(void **state)
{
	(void)state;
	check_raw(raw_http, "is not TLS; it begins with \"HTTP/1.1 400 Bad", 0);
	check_raw(raw_close, "closed the connection", 0);
	check_raw(raw_half, "closed the connection", 0);
	check_raw(raw_reset, "reset the connection", ECONNRESET);
	check_raw(raw_alert, "alert 112", 0);
	check_raw(raw_huge, "sent more than 262144 bytes", EMSGSIZE);
}

static void on_timer(void *ctx)
{
	*(bool *)ctx = true;
}

static void test_silence_and_cancel(void **state)
{
	struct test_server server = {.raw = raw_silence};
	struct loop_timer timer = {.loop = NULL};
	struct client client;
	bool over = false;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_start(&client, &server.address, HOST, false);
	loop_timer_start(&timer, client.loop.loop, 20, on_timer, &over);
	test_loop_until(&client.loop, &over);
	assert_string_equal(tls_handshake_stage(client.handshake),
			    "waiting for the server's first TLS message");
	tls_handshake_cancel(client.handshake);
	tls_handshake_cancel(NULL);
	loop_run_once(client.loop.loop, false);
	assert_false(client.done);
	assert_null(client.tickets.users);
	/* At once, before anything was sent. */
	client_start(&client, &server.address, HOST, false);
	tls_handshake_cancel(client.handshake);
	loop_run_once(client.loop.loop, false);
	assert_false(client.done);
	client_fini(&client);
	test_server_join(&server);
}

static void test_no_fd_left(void **state)
{
	unsigned before = test_open_fds();

	check_good(HOST, false, NULL, "TLS1.3");
	test_no_tls(state);
	test_silence_and_cancel(state);
	assert_int_equal(test_open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),       cmocka_unit_test(test_alpn),
		cmocka_unit_test(test_no_tls),     cmocka_unit_test(test_silence_and_cancel),
		cmocka_unit_test(test_no_fd_left),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
