/* SPDX-License-Identifier: MIT */
/*
 * Channels over bare TCP, on loopback; the peer is a blocking socket in the test itself.
 */
#include "unit/net/tls_server.h"

#include "net/channel.h"

struct fixture {
	struct test_loop loop;
	struct channel *channel;
	int peer;
	bool inside;
	unsigned readable;
	unsigned writable;
	bool event;
	bool close_on_readable;
	char received[64];
	size_t received_length;
	size_t read_size;
	enum io last;
	struct failure failure;
};

static struct fixture f;
static unsigned fds_before;

static void on_readable(void *ctx)
{
	size_t count = 0;

	assert_ptr_equal(ctx, &f);
	assert_false(f.inside);
	f.readable++;
	f.event = true;
	if (f.close_on_readable) {
		channel_close(f.channel);
		f.channel = NULL;
		return;
	}
	if (f.read_size == 0) {
		return;
	}
	f.last = channel_read(f.channel, f.received + f.received_length, f.read_size, &count,
			      &f.failure);
	if (f.last == IO_OK) {
		assert_true(count > 0 && count <= f.read_size);
		f.received_length += count;
	}
}

static void on_writable(void *ctx)
{
	assert_ptr_equal(ctx, &f);
	assert_false(f.inside);
	f.writable++;
	f.event = true;
}

static const struct channel_callbacks callbacks = {
	.on_readable = on_readable,
	.on_writable = on_writable,
};

static int set_up(void **state)
{
	struct address address;
	int listener, fd;

	(void)state;
	memset(&f, 0, sizeof(f));
	fds_before = test_open_fds();
	test_loop_init(&f.loop);
	listener = test_listen(&address);
	fd = test_connect(&address);
	f.peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f.peer >= 0);
	test_patience(f.peer);
	assert_int_equal(close(listener), 0);
	f.channel = tcp_channel_new(f.loop.loop, fd, &address);
	assert_non_null(f.channel);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	channel_close(f.channel);
	channel_close(NULL);
	if (f.peer >= 0) {
		(void)close(f.peer);
	}
	test_loop_fini(&f.loop);
	assert_int_equal(test_open_fds(), fds_before);
	return 0;
}

/* The handshake was one; what is no TCP has none, and a kind of channel need not know. */
static void test_rtt(void **state)
{
	const struct channel_ops ops = {.rtt_us = NULL};
	const struct channel other = {.ops = &ops};
	int pair[2];

	(void)state;
	assert_in_range(channel_rtt_us(f.channel), 1, 60000000);
	assert_int_equal(channel_rtt_us(&other), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(tcp_rtt_us(pair[0]), 0);
	assert_int_equal(tcp_rtt_us(-1), 0);
	assert_int_equal(close(pair[0]), 0);
	assert_int_equal(close(pair[1]), 0);
	pair[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(pair[0] >= 0);
	assert_int_equal(tcp_rtt_us(pair[0]), 0);
	assert_int_equal(close(pair[0]), 0);
}

static void listen_to(void)
{
	f.inside = true;
	channel_listen(f.channel, &callbacks, &f);
	f.inside = false;
}

static void wait_event(void)
{
	f.event = false;
	test_loop_until(&f.loop, &f.event);
}

static void idle(void)
{
	for (unsigned i = 0; i < 5; i++) {
		loop_run_once(f.loop.loop, false);
	}
}

static void test_info(void **state)
{
	const struct channel_info *info = channel_info(f.channel);

	(void)state;
	assert_string_equal(info->tls_version, "");
	assert_string_equal(info->tls_cipher, "");
	assert_string_equal(info->certificate_subject, "");
	assert_int_equal(info->certificate_expires, 0);
	assert_false(info->tls_resumed);
	assert_int_equal(info->remote.any.sa_family, AF_INET);
}

static void test_level_triggered(void **state)
{
	(void)state;
	assert_int_equal(write(f.peer, "hello", 5), 5);
	/* Nobody listens: nothing happens. */
	idle();
	listen_to();
	assert_int_equal(f.readable, 0);
	/* Not read: told again. */
	wait_event();
	wait_event();
	assert_int_equal(f.readable, 2);
	f.read_size = 2;
	wait_event();
	assert_int_equal(f.received_length, 2);
	wait_event();
	wait_event();
	assert_memory_equal(f.received, "hello", 5);
	assert_int_equal(f.last, IO_OK);
	idle();
	assert_int_equal(f.readable, 5);
	assert_int_equal(f.writable, 0);
}

static void test_want_read(void **state)
{
	(void)state;
	assert_int_equal(write(f.peer, "hello", 5), 5);
	channel_want_read(f.channel, false); /* before anybody listens: still off after */
	listen_to();
	idle();
	assert_int_equal(f.readable, 0);
	f.inside = true;
	channel_want_read(f.channel, true);
	f.inside = false;
	wait_event();
	assert_int_equal(f.readable, 1);
	channel_want_read(f.channel, false);
	idle();
	assert_int_equal(f.readable, 1);
	channel_want_read(f.channel, true);
	channel_listen(f.channel, NULL, NULL);
	idle();
	assert_int_equal(f.readable, 1);
}

static void test_again_and_eof(void **state)
{
	size_t count = 4711;
	char c;

	(void)state;
	assert_int_equal(channel_read(f.channel, &c, 1, &count, &f.failure), IO_AGAIN);
	assert_int_equal(count, 4711);
	f.read_size = sizeof(f.received);
	listen_to();
	assert_int_equal(shutdown(f.peer, SHUT_WR), 0);
	wait_event();
	assert_int_equal(f.last, IO_EOF);
	assert_true(channel_eof_clean(f.channel));
	assert_int_equal(channel_read(f.channel, &c, 1, &count, &f.failure), IO_EOF);
}

static void test_reset(void **state)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};
	size_t count;
	char c;

	(void)state;
	f.read_size = sizeof(f.received);
	listen_to();
	assert_int_equal(setsockopt(f.peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	assert_int_equal(close(f.peer), 0);
	f.peer = -1;
	wait_event();
	assert_int_equal(f.last, IO_ERROR);
	assert_int_equal(failure_top(&f.failure), FAIL_CONNECTION_ERROR);
	assert_int_equal(f.failure.links[0].sys_errno, ECONNRESET);
	assert_non_null(strstr(f.failure.links[0].text, "reading from 127.0.0.1:"));
	/* No SIGPIPE. */
	assert_int_equal(channel_write(f.channel, &c, 1, &count, &f.failure), IO_ERROR);
	assert_int_equal(f.failure.links[0].sys_errno, EPIPE);
	assert_non_null(strstr(f.failure.links[0].text, "writing to 127.0.0.1:"));
}

static size_t drain_peer(void)
{
	static char buffer[1 << 16];
	size_t total = 0;
	ssize_t count;

	while ((count = recv(f.peer, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
		total += (size_t)count;
	}
	return total;
}

static void test_writable(void **state)
{
	static const char data[1 << 16];
	size_t sent = 0, received = 0, count;
	enum io r;

	(void)state;
	listen_to();
	while ((r = channel_write(f.channel, data, sizeof(data), &count, &f.failure)) == IO_OK) {
		assert_true(count > 0 && count <= sizeof(data));
		sent += count;
	}
	assert_int_equal(r, IO_AGAIN);
	idle();
	assert_int_equal(f.writable, 0);
	f.event = false;
	while (!f.event) {
		received += drain_peer();
		loop_run_once(f.loop.loop, false);
	}
	assert_int_equal(f.writable, 1);
	/* Once per IO_AGAIN, though there is room now. */
	idle();
	assert_int_equal(f.writable, 1);
	channel_close(f.channel);
	f.channel = NULL;
	for (;;) {
		char buffer[4096];
		ssize_t n = read(f.peer, buffer, sizeof(buffer));

		if (n <= 0) {
			assert_int_equal(n, 0);
			break;
		}
		received += (size_t)n;
	}
	assert_int_equal(received, sent);
}

static void test_close_in_callback(void **state)
{
	(void)state;
	assert_int_equal(write(f.peer, "hello", 5), 5);
	f.close_on_readable = true;
	listen_to();
	wait_event();
	idle();
	assert_int_equal(f.readable, 1);
	assert_null(f.channel);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_info, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rtt, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_level_triggered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_want_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_again_and_eof, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_writable, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_close_in_callback, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
