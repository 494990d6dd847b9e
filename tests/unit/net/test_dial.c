/* SPDX-License-Identifier: MIT */
/*
 * Dials against a scripted DNS server and real sockets: who wins the race, and what is said when
 * nobody does.
 */
#include "unit/net/dns_server.h"

#include "net/dial.h"

#include <sys/resource.h>

struct fixture {
	struct test_loop loop;
	struct dns_server server;
	struct dns *dns;
	unsigned fds_before;
	struct dial *dial;
	struct channel *channel;
	struct dial_times times;
	struct failure failure;
	bool inside;
	bool done;
	unsigned calls;
};

static struct fixture f;
static struct test_identity ca;
static struct test_identity identity;
static char ca_path[] = "/tmp/fetchd-test-ca-XXXXXX";

static int set_up_all(void **state)
{
	(void)state;
	test_identity_init(&ca, &(struct test_identity_params){.name = "Test CA", .ca = true},
			   NULL);
	test_identity_init(
		&identity,
		&(struct test_identity_params){.name = "s", .dns = "v4.test", .ip = "127.0.0.1"},
		&ca);
	test_identity_write(&ca, ca_path);
	return 0;
}

static int tear_down_all(void **state)
{
	(void)state;
	(void)unlink(ca_path);
	test_identity_fini(&identity);
	test_identity_fini(&ca);
	return 0;
}

static int set_up(void **state)
{
	struct dns_config config = {.timeout_ms = 10000, .tries = 1};

	(void)state;
	memset(&f, 0, sizeof(f));
	f.fds_before = test_open_fds();
	test_loop_init(&f.loop);
	dns_server_start(&f.server, f.loop.loop);
	config.servers = f.server.text;
	assert_int_equal(dns_new(f.loop.loop, &config, &f.dns), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	channel_close(f.channel);
	dns_free(f.dns);
	dns_server_stop(&f.server);
	test_loop_fini(&f.loop);
	assert_int_equal(test_open_fds(), f.fds_before);
	return 0;
}

static void on_done(void *ctx, struct channel *channel, const struct dial_times *times)
{
	assert_ptr_equal(ctx, &f);
	assert_false(f.inside);
	assert_non_null(channel);
	f.dial = NULL;
	f.channel = channel;
	f.times = *times;
	f.done = true;
	f.calls++;
}

static void on_failed(void *ctx, const struct failure *failure, const struct dial_times *times)
{
	assert_ptr_equal(ctx, &f);
	assert_false(f.inside);
	assert_true(failure->count > 0);
	f.dial = NULL;
	failure_copy(&f.failure, failure);
	f.times = *times;
	f.done = true;
	f.calls++;
}

static const struct dial_callbacks callbacks = {
	.on_done = on_done,
	.on_failed = on_failed,
};

static void start_target(const struct dial_target *target)
{
	f.done = false;
	f.inside = true;
	assert_int_equal(dial_start(f.loop.loop, f.dns, target, &callbacks, &f, &f.dial), 0);
	f.inside = false;
}

static void start(const char *host, uint16_t port, uint64_t timeout_ms)
{
	struct address address;
	struct dial_target target = {
		.host = host,
		.host_is_address = address_parse(host, port, &address),
		.port = port,
		.timeout_ms = timeout_ms,
	};

	start_target(&target);
}

static void dial(const char *host, uint16_t port)
{
	start(host, port, 0);
	test_loop_until(&f.loop, &f.done);
}

static const char *text(unsigned link)
{
	assert_true(link < f.failure.count);
	return f.failure.links[link].text;
}

static void check_text(unsigned link, enum failure_code code, const char *says)
{
	if (f.failure.links[link].code != code || !strstr(text(link), says)) {
		fail_msg("%s: %s", failure_code_name(f.failure.links[link].code), text(link));
	}
}

/* A port on which nobody listens. */
static uint16_t closed_port(void)
{
	struct address address;
	int fd = test_listen(&address);

	assert_int_equal(close(fd), 0);
	return test_port(&address);
}

/* One port on both loopback addresses; `listener6` -1 where there is no IPv6. */
static uint16_t listen_both(int *listener4, int *listener6)
{
	struct address address, address6;
	const int on = 1;

	for (unsigned i = 0; i < 20; i++) {
		*listener4 = test_listen(&address);
		*listener6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (*listener6 < 0) {
			return test_port(&address);
		}
		assert_true(address_parse("::1", test_port(&address), &address6));
		(void)setsockopt(*listener6, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
		if (bind(*listener6, &address6.any, address6.length) == 0) {
			assert_int_equal(listen(*listener6, 16), 0);
			return test_port(&address);
		}
		(void)close(*listener6);
		*listener6 = -1;
		if (errno == EADDRNOTAVAIL) {
			return test_port(&address);
		}
		(void)close(*listener4);
	}
	fail_msg("no port is free on both");
	return 0;
}

static void close_both(int listener4, int listener6)
{
	(void)close(listener4);
	if (listener6 >= 0) {
		(void)close(listener6);
	}
}

static int family(void)
{
	return channel_info(f.channel)->remote.any.sa_family;
}

static void test_address(void **state)
{
	struct address address;
	int listener = test_listen(&address);

	(void)state;
	dial("127.0.0.1", test_port(&address));
	assert_non_null(f.channel);
	assert_int_equal(f.server.queries, 0);
	assert_int_equal(f.times.dns_us, 0);
	assert_true(f.times.connect_us > 0);
	assert_int_equal(f.times.tls_us, 0);
	assert_int_equal(close(listener), 0);
}

static void test_name(void **state)
{
	struct address address;
	int listener = test_listen(&address);

	(void)state;
	dial("v4.test", test_port(&address));
	assert_non_null(f.channel);
	assert_int_equal(family(), AF_INET);
	assert_true(f.times.dns_us > 0);
	assert_true(f.times.connect_us >= f.times.dns_us);
	assert_int_equal(close(listener), 0);
}

static void test_prefers_ipv6(void **state)
{
	int listener4, listener6;
	uint16_t port = listen_both(&listener4, &listener6);

	(void)state;
	if (listener6 < 0) {
		close_both(listener4, listener6);
		skip();
	}
	dial("both.test", port);
	assert_non_null(f.channel);
	assert_int_equal(family(), AF_INET6);
	channel_close(f.channel);
	f.channel = NULL;
	/* A is late: IPv6 does not wait for it. */
	dial("hold4.test", port);
	assert_non_null(f.channel);
	assert_int_equal(family(), AF_INET6);
	channel_close(f.channel);
	f.channel = NULL;
	/* AAAA is late, and A's patience ends. */
	dial("hold6.test", port);
	assert_non_null(f.channel);
	assert_int_equal(family(), AF_INET);
	close_both(listener4, listener6);
}

/* Its IPv6 address refuses or cannot be reached: IPv4 wins, and at once. */
static void test_falls_back(void **state)
{
	struct address address;
	int listener = test_listen(&address);

	(void)state;
	dial("both.test", test_port(&address));
	assert_non_null(f.channel);
	assert_int_equal(family(), AF_INET);
	channel_close(f.channel);
	f.channel = NULL;
	dial("dead6.test", test_port(&address));
	assert_non_null(f.channel);
	assert_int_equal(family(), AF_INET);
	assert_int_equal(close(listener), 0);
}

/* 127.0.0.1's backlog is full: it does not answer, and the other address gets its turn. */
static void test_next_address_while_one_is_silent(void **state)
{
	struct address first, second, third;
	int listener = test_listen(&first);
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int clients[64];
	unsigned count = 0;
	char buffer[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(listen(listener, 0), 0);
	assert_true(address_parse("127.0.0.2", test_port(&first), &second));
	assert_int_equal(bind(other, &second.any, second.length), 0);
	assert_int_equal(listen(other, 4), 0);
	/* Until one hangs. */
	for (;;) {
		struct timeval wait = {.tv_usec = 50000};
		fd_set set;

		assert_true(count < 64);
		clients[count] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(clients[count] >= 0);
		(void)connect(clients[count], &first.any, first.length);
		FD_ZERO(&set);
		FD_SET(clients[count], &set);
		count++;
		if (select(clients[count - 1] + 1, NULL, &set, NULL, &wait) == 0) {
			break;
		}
	}
	dial("two.test", test_port(&first));
	assert_non_null(f.channel);
	third = channel_info(f.channel)->remote;
	if (strncmp(address_print(&third, buffer), "127.0.0.2:", 10) != 0) {
		fail_msg("%s", buffer);
	}
	/* And the silent one alone: the deadline says where it was. */
	start("127.0.0.1", test_port(&first), 30);
	test_loop_until(&f.loop, &f.done);
	check_text(0, FAIL_TIMEOUT_CONNECT, "within 30 ms");
	check_text(1, FAIL_CONNECT_ERROR, "connecting to 127.0.0.1:");
	while (count > 0) {
		(void)close(clients[--count]);
	}
	assert_int_equal(close(listener), 0);
	assert_int_equal(close(other), 0);
}

static void test_refused(void **state)
{
	uint16_t port = closed_port();

	(void)state;
	dial("127.0.0.1", port);
	assert_null(f.channel);
	assert_int_equal(f.failure.count, 1);
	check_text(0, FAIL_CONNECT_REFUSED, "cannot connect to 127.0.0.1:");
	assert_int_equal(f.failure.links[0].sys_errno, ECONNREFUSED);

	dial("two.test", port);
	assert_int_equal(f.failure.count, 3);
	check_text(0, FAIL_CONNECT_REFUSED, "none of 2 addresses");
	assert_non_null(strstr(text(0), "two.test port "));
	check_text(1, FAIL_ADDRESS_ATTEMPT, "127.0.0.");
	check_text(2, FAIL_ADDRESS_ATTEMPT, "Connection refused");
	assert_int_equal(f.failure.links[1].sys_errno, ECONNREFUSED);
	assert_true(f.times.dns_us > 0);
	assert_int_equal(f.times.connect_us, 0);

	/* Refused says more than unreachable, whatever came first. */
	dial("dead6.test", port);
	assert_int_equal(failure_top(&f.failure), FAIL_CONNECT_REFUSED);
	assert_int_equal(f.failure.links[0].sys_errno, ECONNREFUSED);
}

static void test_unreachable(void **state)
{
	(void)state;
	dial("ff02::1", 443);
	assert_int_equal(f.failure.count, 1);
	check_text(0, failure_top(&f.failure), "cannot connect to [ff02::1]:443");
	assert_true(failure_top(&f.failure) == FAIL_CONNECT_UNREACHABLE ||
		    failure_top(&f.failure) == FAIL_CONNECT_ERROR);
	assert_int_not_equal(f.failure.links[0].sys_errno, 0);
	/* Broadcast: refused by the kernel before anything is sent. */
	dial("255.255.255.255", 443);
	assert_null(f.channel);
	assert_true(failure_top(&f.failure) == FAIL_CONNECT_UNREACHABLE ||
		    failure_top(&f.failure) == FAIL_CONNECT_ERROR);
}

static void test_no_descriptors(void **state)
{
	struct rlimit before, none;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 0;
	start("127.0.0.1", 443, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	loop_run_once(f.loop.loop, false);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(f.done);
	check_text(0, FAIL_CONNECT_ERROR, "cannot connect to 127.0.0.1:443");
	assert_int_equal(f.failure.links[0].sys_errno, EMFILE);
}

static void test_dns_failures(void **state)
{
	(void)state;
	dial("nx.test", 443);
	check_text(0, FAIL_DNS_NOT_FOUND, "nx.test");
	assert_true(f.times.dns_us > 0);
	dial("fail.test", 443);
	check_text(0, FAIL_DNS_FAILED, "fail.test");
	start("silent.test", 443, 30);
	test_loop_until(&f.loop, &f.done);
	check_text(0, FAIL_TIMEOUT_CONNECT, "silent.test port 443 within 30 ms");
	check_text(1, FAIL_DNS_TIMEOUT, "looking up silent.test");
}

/* More addresses than are tried, all of them bad: one line for each that fits. */
static void test_many(void **state)
{
	(void)state;
	start("many.test", 443, 50);
	test_loop_until(&f.loop, &f.done);
	assert_null(f.channel);
	assert_true(f.failure.count >= 2 && f.failure.count <= FAILURE_LINKS_MAX);
	assert_true(failure_top(&f.failure) == FAIL_TIMEOUT_CONNECT ||
		    failure_top(&f.failure) == FAIL_CONNECT_UNREACHABLE);
}

static void test_not_an_address(void **state)
{
	struct dial_target target = {.host = "example.org", .host_is_address = true, .port = 443};
	struct dial *handle = NULL;

	(void)state;
	assert_int_equal(dial_start(f.loop.loop, f.dns, &target, &callbacks, &f, &handle), -EINVAL);
	assert_null(handle);
	loop_run_once(f.loop.loop, false);
	assert_int_equal(f.calls, 0);
}

static void on_timer(void *ctx)
{
	*(bool *)ctx = true;
}

static void test_cancel(void **state)
{
	struct address address;
	int listener = test_listen(&address);
	struct loop_timer timer = {.loop = NULL};
	bool over = false;

	(void)state;
	start("127.0.0.1", test_port(&address), 1000);
	dial_cancel(f.dial);
	start("both.test", test_port(&address), 1000);
	dial_cancel(f.dial);
	start("silent.test", test_port(&address), 1000);
	loop_run_once(f.loop.loop, true);
	dial_cancel(f.dial);
	start("127.0.0.1", test_port(&address), 1000);
	loop_run_once(f.loop.loop, false); /* connecting, or connected already */
	if (!f.done) {
		dial_cancel(f.dial);
	}
	dial_cancel(NULL);
	loop_timer_start(&timer, f.loop.loop, 20, on_timer, &over);
	test_loop_until(&f.loop, &over);
	assert_true(f.calls <= 1);
	assert_int_equal(close(listener), 0);
}

/* ---- TLS ---- */

static void say_goodbye(struct test_server *server, gnutls_session_t session, int fd)
{
	(void)server;
	(void)fd;
	(void)gnutls_bye(session, GNUTLS_SHUT_RDWR);
}

static void raw_silence(struct test_server *server, int fd)
{
	char buffer[2048];

	(void)server;
	while (read(fd, buffer, sizeof(buffer)) > 0) {
	}
}

static void test_tls(void **state)
{
	struct test_server server = {.identity = &identity, .connections = 3, .serve = say_goodbye};
	struct tls_tickets tickets = {.data = NULL};
	struct tls_context *context;
	struct failure failure;
	struct dial_target target = {
		.host = "v4.test",
		.tls = true,
		.tickets = &tickets,
		.timeout_ms = 20000,
	};

	(void)state;
	assert_int_equal(tls_context_new(ca_path, NULL, &context, &failure), 0);
	test_server_start(&server);
	target.port = test_port(&server.address);
	target.context = context;
	start_target(&target);
	test_loop_until(&f.loop, &f.done);
	if (!f.channel) {
		fail_msg("%s", text(0));
	}
	assert_string_equal(channel_info(f.channel)->tls_version, "TLS1.3");
	assert_true(f.times.dns_us > 0 && f.times.connect_us >= f.times.dns_us &&
		    f.times.tls_us >= f.times.connect_us);
	channel_close(f.channel);
	f.channel = NULL;

	target.host = "127.0.0.1";
	target.host_is_address = true;
	start_target(&target);
	test_loop_until(&f.loop, &f.done);
	assert_non_null(f.channel);
	channel_close(f.channel);
	f.channel = NULL;

	/* The other address is not tried after a certificate that does not fit. */
	target.host = "two.test";
	target.host_is_address = false;
	start_target(&target);
	/* The target is copied, the context referenced. */
	target.host = NULL;
	tls_context_unref(context);
	test_loop_until(&f.loop, &f.done);
	assert_null(f.channel);
	check_text(0, FAIL_TLS_CERT_NAME, "two.test");
	assert_true(f.times.connect_us > 0);
	assert_int_equal(f.times.tls_us, 0);
	test_server_join(&server);
	tls_tickets_fini(&tickets);
}

static void test_tls_silence(void **state)
{
	struct test_server server = {.raw = raw_silence, .connections = 2};
	struct tls_tickets tickets = {.data = NULL};
	struct tls_context *context;
	struct failure failure;
	struct loop_timer timer = {.loop = NULL};
	bool over = false;
	struct dial_target target = {
		.host = "127.0.0.1",
		.host_is_address = true,
		.tls = true,
		.tickets = &tickets,
		.timeout_ms = 100,
	};

	(void)state;
	assert_int_equal(tls_context_new(ca_path, NULL, &context, &failure), 0);
	test_server_start(&server);
	target.port = test_port(&server.address);
	target.context = context;
	start_target(&target);
	test_loop_until(&f.loop, &f.done);
	check_text(0, FAIL_TIMEOUT_CONNECT, "within 100 ms");
	check_text(1, FAIL_TLS_HANDSHAKE, "waiting for the server's first TLS message");
	assert_non_null(strstr(text(1), "127.0.0.1:"));

	/* No deadline: described from outside, then cancelled. */
	target.timeout_ms = 0;
	f.calls = 0;
	start_target(&target);
	loop_timer_start(&timer, f.loop.loop, 50, on_timer, &over);
	test_loop_until(&f.loop, &over);
	failure_set(&f.failure, FAIL_TIMEOUT_QUEUE, "a job's deadline");
	dial_describe(f.dial, &f.failure);
	assert_int_equal(f.failure.count, 2);
	check_text(1, FAIL_TLS_HANDSHAKE, "TLS handshake with 127.0.0.1:");
	dial_cancel(f.dial);
	assert_int_equal(f.calls, 0);
	test_server_join(&server);
	tls_context_unref(context);
}

static void test_describe_lookup(void **state)
{
	(void)state;
	start("silent.test", 443, 0);
	failure_set(&f.failure, FAIL_TIMEOUT_QUEUE, "a job's deadline");
	dial_describe(f.dial, &f.failure);
	check_text(1, FAIL_DNS_TIMEOUT, "looking up silent.test");
	dial_cancel(f.dial);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_address),
		TEST(test_name),
		TEST(test_prefers_ipv6),
		TEST(test_falls_back),
		TEST(test_next_address_while_one_is_silent),
		TEST(test_refused),
		TEST(test_unreachable),
		TEST(test_no_descriptors),
		TEST(test_dns_failures),
		TEST(test_many),
		TEST(test_not_an_address),
		TEST(test_cancel),
		TEST(test_tls),
		TEST(test_tls_silence),
		TEST(test_describe_lookup),
	};

	return cmocka_run_group_tests(tests, set_up_all, tear_down_all);
}
