/* SPDX-License-Identifier: MIT */
/*
 * The TLS channel, against a real GnuTLS server in a thread.
 */
#include "unit/net/tls_client.h"

static void echo(struct test_server *server, gnutls_session_t session, int fd)
{
	unsigned char buffer[4096];
	ssize_t count;

	(void)server;
	(void)fd;
	while ((count = gnutls_record_recv(session, buffer, sizeof(buffer))) > 0) {
		send_all(session, buffer, (size_t)count);
	}
	(void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

static unsigned char *pattern(size_t length)
{
	unsigned char *data = malloc(length);
	uint32_t x = 1;

	assert_non_null(data);
	for (size_t i = 0; i < length; i++) {
		x = x * 1664525u + 1013904223u;
		data[i] = (unsigned char)(x >> 24);
	}
	return data;
}

static void check_echo(const char *priority, size_t write_size, size_t read_size)
{
	struct test_server server = {
		.identity = &server_identity, .priority = priority, .serve = echo};
	struct client client;
	size_t length = (size_t)1 << 20;
	unsigned char *data = pattern(length);

	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client.to_send = data;
	client.to_send_length = length;
	client.write_size = write_size;
	client.read_size = read_size;
	client.enough = length;
	client_listen(&client);
	client_write(&client);
	test_loop_until(&client.loop, &client.done);
	assert_int_equal(client.received_length, length);
	assert_memory_equal(client.received, data, length);
	assert_true(client.writable_calls <= client.write_stalls);
	client_fini(&client);
	test_server_join(&server);
	free(data);
}

static void test_echo(void **state)
{
	(void)state;
	check_echo(NULL, 0, 0);
	check_echo(NULL, 3000, 0);
	check_echo(NULL, 0, 1000);
	check_echo("NORMAL:-VERS-ALL:+VERS-TLS1.2", 5000, 700);
}

struct gate {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	bool open;
	const unsigned char *expected;
	size_t length;
	bool equal;
};

static void gate_open(struct gate *gate)
{
	pthread_mutex_lock(&gate->mutex);
	gate->open = true;
	pthread_cond_signal(&gate->changed);
	pthread_mutex_unlock(&gate->mutex);
}

static void read_behind_gate(struct test_server *server, gnutls_session_t session, int fd)
{
	struct gate *gate = server->ctx;
	unsigned char buffer[16384];
	size_t total = 0;
	ssize_t count = 0;

	(void)fd;
	pthread_mutex_lock(&gate->mutex);
	while (!gate->open) {
		pthread_cond_wait(&gate->changed, &gate->mutex);
	}
	pthread_mutex_unlock(&gate->mutex);
	while (total < gate->length) {
		count = gnutls_record_recv(session, buffer, sizeof(buffer));
		if (count <= 0 || memcmp(buffer, gate->expected + total, (size_t)count) != 0) {
			return;
		}
		total += (size_t)count;
	}
	gate->equal = true;
	(void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

/* A server that does not read: the write says IO_AGAIN, on_writable comes once, when there is room
 * again, and every byte arrives once. */
static void test_stalled_write(void **state)
{
	struct gate gate = {.open = false};
	struct test_server server = {
		.identity = &server_identity, .serve = read_behind_gate, .ctx = &gate};
	struct client client;
	size_t length = (size_t)16 << 20;
	unsigned char *data = pattern(length);

	(void)state;
	assert_int_equal(pthread_mutex_init(&gate.mutex, NULL), 0);
	assert_int_equal(pthread_cond_init(&gate.changed, NULL), 0);
	gate.expected = data;
	gate.length = length;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client.to_send = data;
	client.to_send_length = length;
	client_listen(&client);
	client_write(&client);
	assert_int_equal(client.write_stalls, 1);
	assert_true(client.sent < length);
	assert_int_equal(client.writable_calls, 0);
	gate_open(&gate);
	test_loop_until(&client.loop, &client.done);
	assert_int_equal(client.sent, length);
	assert_true(client.writable_calls > 0);
	assert_int_equal(client.writable_calls, client.write_stalls);
	assert_true(client.eof && client.eof_clean);
	client_fini(&client);
	test_server_join(&server);
	assert_true(gate.equal);
	pthread_cond_destroy(&gate.changed);
	pthread_mutex_destroy(&gate.mutex);
	free(data);
}

/* Closing while GnuTLS holds half a record must not wait, crash or leak. */
static void test_close_with_pending_write(void **state)
{
	struct gate gate = {.open = false};
	struct test_server server = {
		.identity = &server_identity, .serve = read_behind_gate, .ctx = &gate};
	struct client client;
	size_t length = (size_t)16 << 20;
	unsigned char *data = pattern(length);

	(void)state;
	assert_int_equal(pthread_mutex_init(&gate.mutex, NULL), 0);
	assert_int_equal(pthread_cond_init(&gate.changed, NULL), 0);
	gate.expected = data;
	gate.length = length;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client.to_send = data;
	client.to_send_length = length;
	client_listen(&client);
	client_write(&client);
	assert_int_equal(client.write_stalls, 1);
	client_fini(&client);
	gate_open(&gate);
	test_server_join(&server);
	assert_false(gate.equal);
	pthread_cond_destroy(&gate.changed);
	pthread_mutex_destroy(&gate.mutex);
	free(data);
}

static void send_and_signal(struct test_server *server, gnutls_session_t session, int fd)
{
	unsigned char *data = pattern(20000);
	char c;

	(void)fd;
	send_all(session, data, 100);
	send_all(session, data + 100, 19900);
	test_server_signal(server);
	(void)gnutls_record_recv(session, &c, 1); /* the client's goodbye */
	free(data);
}

/* The session ticket, and data right behind it, in one read. If the reader stopped at what GnuTLS
 * says after the ticket, the data would wait for ever. */
static void test_data_behind_ticket(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = send_and_signal};
	struct client client;
	unsigned char *data = pattern(20000);

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	test_server_wait(&server);
	client.enough = 20000;
	client_listen(&client);
	test_loop_until(&client.loop, &client.done);
	assert_memory_equal(client.received, data, 20000);
	assert_non_null(client.tickets.data);
	client_fini(&client);
	test_server_join(&server);
	free(data);
}

/* Small reads, one a call: what GnuTLS and the pull buffer hold is announced again and again, but
 * not while reading is not wanted. */
static void test_pending_bytes(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = send_and_signal};
	struct client client;
	unsigned char *data = pattern(20000);
	unsigned calls;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	test_server_wait(&server);
	client.read_size = 100;
	client.enough = 5000;
	client_listen(&client);
	assert_int_equal(client.readable_calls, 0);
	test_loop_until(&client.loop, &client.done);
	channel_want_read(client.channel, false);
	calls = client.readable_calls;
	for (unsigned i = 0; i < 10; i++) {
		loop_run_once(client.loop.loop, false);
	}
	assert_int_equal(client.readable_calls, calls);
	client.done = false;
	client.enough = 20000;
	channel_want_read(client.channel, true);
	assert_int_equal(client.readable_calls, calls);
	if (client.received_length < client.enough) {
		test_loop_until(&client.loop, &client.done);
	}
	assert_memory_equal(client.received, data, 20000);
	client_fini(&client);
	test_server_join(&server);
	free(data);
}

static void close_on_readable(void *ctx)
{
	struct client *client = ctx;
	unsigned char buffer[100];
	size_t count;
	enum io r;

	client->readable_calls++;
	r = channel_read(client->channel, buffer, sizeof(buffer), &count, &client->failure);
	assert_true(r == IO_OK || r == IO_AGAIN);
	if (r == IO_OK) {
		channel_close(client->channel);
		client->channel = NULL;
		client->done = true;
	}
}

/* With bytes still pending: no callback afterwards. */
static void test_close_in_callback(void **state)
{
	static const struct channel_callbacks callbacks = {
		.on_readable = close_on_readable,
		.on_writable = client_on_writable,
	};
	struct test_server server = {.identity = &server_identity, .serve = send_and_signal};
	struct client client;
	unsigned calls;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	test_server_wait(&server);
	client.done = false;
	channel_listen(client.channel, &callbacks, &client);
	test_loop_until(&client.loop, &client.done);
	calls = client.readable_calls;
	for (unsigned i = 0; i < 10; i++) {
		loop_run_once(client.loop.loop, false);
	}
	assert_int_equal(client.readable_calls, calls);
	client_fini(&client);
	test_server_join(&server);
}

static void cut(struct test_server *server, gnutls_session_t session, int fd)
{
	char c;

	(void)server;
	send_all(session, (const unsigned char *)"half", 4);
	(void)shutdown(fd, SHUT_WR);
	(void)recv(fd, &c, 1, 0); /* until the client has closed */
}

static void test_truncation(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = cut};
	struct client client;
	size_t count;
	char c;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client_listen(&client);
	test_loop_until(&client.loop, &client.done);
	assert_int_equal(client.received_length, 4);
	assert_true(client.eof);
	assert_false(client.eof_clean);
	/* And it stays so. */
	assert_int_equal(channel_read(client.channel, &c, 1, &count, &client.failure), IO_EOF);
	assert_false(channel_eof_clean(client.channel));
	client_fini(&client);
	test_server_join(&server);
}

static void cut_record(struct test_server *server, gnutls_session_t session, int fd)
{
	static const unsigned char half[] = {0x17, 0x03, 0x03, 0x40};

	(void)!write(fd, half, sizeof(half));
	cut(server, session, fd);
}

static void test_truncated_record(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = cut_record};
	struct client client;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client_listen(&client);
	test_loop_until(&client.loop, &client.done);
	assert_int_equal(client.received_length, 0);
	assert_true(client.eof);
	assert_false(client.eof_clean);
	client_fini(&client);
	test_server_join(&server);
}

static void reset(struct test_server *server, gnutls_session_t session, int fd)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	(void)server;
	(void)session;
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

static void test_reset(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = reset};
	struct client client;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	if (client.channel) {
		client_listen(&client);
		test_loop_until(&client.loop, &client.done);
		assert_true(client.failed);
		assert_int_equal(failure_top(&client.failure), FAIL_CONNECTION_ERROR);
	} else {
		/* The reset overtook the end of the handshake. */
		assert_int_equal(failure_top(&client.failure), FAIL_TLS_HANDSHAKE);
	}
	assert_int_equal(client.failure.links[0].sys_errno, ECONNRESET);
	client_fini(&client);
	test_server_join(&server);
}

static void alert(struct test_server *server, gnutls_session_t session, int fd)
{
	char c;

	(void)server;
	(void)fd;
	(void)gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_INTERNAL_ERROR);
	(void)gnutls_record_recv(session, &c, 1);
}

static void test_alert(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = alert};
	struct client client;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client_listen(&client);
	test_loop_until(&client.loop, &client.done);
	assert_true(client.failed);
	assert_int_equal(failure_top(&client.failure), FAIL_CONNECTION_ERROR);
	assert_non_null(strstr(client.failure.links[0].text, "alert 80"));
	client_fini(&client);
	test_server_join(&server);
}

/* TLS 1.2: the server asks for a new handshake, is refused, and the connection goes on. */
static void renegotiate(struct test_server *server, gnutls_session_t session, int fd)
{
	char buffer[16];
	ssize_t r;

	(void)fd;
	if (gnutls_rehandshake(session) < 0) {
		return;
	}
	do {
		r = gnutls_record_recv(session, buffer, sizeof(buffer));
	} while (r == GNUTLS_E_AGAIN);
	if (r == GNUTLS_E_WARNING_ALERT_RECEIVED &&
	    gnutls_alert_get(session) == GNUTLS_A_NO_RENEGOTIATION) {
		server->ctx = server;
		send_all(session, (const unsigned char *)"on", 2);
	}
	(void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void test_renegotiation(void **state)
{
	struct test_server server = {.identity = &server_identity,
				     .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2",
				     .serve = renegotiate};
	struct client client;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client_listen(&client);
	test_loop_until(&client.loop, &client.done);
	assert_int_equal(client.received_length, 2);
	assert_true(client.eof_clean);
	client_fini(&client);
	test_server_join(&server);
	assert_non_null(server.ctx);
}

/* TLS 1.3: the server changes its keys and asks for the same. */
static void update_keys(struct test_server *server, gnutls_session_t session, int fd)
{
	check_tls(gnutls_session_key_update(session, GNUTLS_KU_PEER));
	echo(server, session, fd);
}

static void test_key_update(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = update_keys};
	struct client client;
	unsigned char *data = pattern(100000);

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client.to_send = data;
	client.to_send_length = 100000;
	client.enough = 100000;
	client_listen(&client);
	client_write(&client);
	test_loop_until(&client.loop, &client.done);
	assert_int_equal(client.received_length, 100000);
	assert_memory_equal(client.received, data, 100000);
	client_fini(&client);
	test_server_join(&server);
	free(data);
}

/* Tickets without end, and no data: the connection is given up. */
static void send_tickets(struct test_server *server, gnutls_session_t session, int fd)
{
	(void)server;
	(void)fd;
	for (unsigned i = 0; i < 10000; i++) {
		if (gnutls_session_ticket_send(session, 1, 0) < 0) {
			return;
		}
	}
}

static void test_tickets_without_end(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = send_tickets};
	struct client client;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client_listen(&client);
	test_loop_until(&client.loop, &client.done);
	assert_true(client.failed);
	assert_int_equal(failure_top(&client.failure), FAIL_CONNECTION_ERROR);
	assert_int_equal(client.failure.links[0].sys_errno, EMSGSIZE);
	client_fini(&client);
	test_server_join(&server);
}

static void test_no_fd_left(void **state)
{
	unsigned before = test_open_fds();

	test_echo(state);
	test_truncation(state);
	test_reset(state);
	assert_int_equal(test_open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_stalled_write),
		cmocka_unit_test(test_close_with_pending_write),
		cmocka_unit_test(test_data_behind_ticket),
		cmocka_unit_test(test_pending_bytes),
		cmocka_unit_test(test_close_in_callback),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_truncated_record),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_alert),
		cmocka_unit_test(test_renegotiation),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_tickets_without_end),
		cmocka_unit_test(test_no_fd_left),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
