/* SPDX-License-Identifier: MIT */
/*
 * Lookups against a scripted DNS server.
 */
#include "unit/net/dns_server.h"

#include "net/dns.h"

struct lookup {
	struct dns_lookup *handle;
	unsigned count[2]; /* of IPv6, of IPv4 */
	unsigned calls[2];
	struct address first[2];
	bool any; /* on_addresses was called */
	bool done;
	bool found;
	struct failure failure;
	bool cancel_in_addresses;
	bool again_in_done;
	struct lookup *next;
};

struct fixture {
	struct test_loop loop;
	struct dns_server server;
	struct dns *dns;
	bool inside; /* a call that must not call back */
};

static struct fixture fixture;

static void on_addresses(void *ctx, int family, const struct address *addresses, unsigned count)
{
	struct lookup *lookup = ctx;
	unsigned index = family == AF_INET6 ? 0 : 1;

	assert_false(fixture.inside);
	assert_false(lookup->done);
	assert_true(family == AF_INET6 || family == AF_INET);
	assert_true(count > 0);
	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(addresses[i].any.sa_family, family);
	}
	lookup->calls[index]++;
	lookup->count[index] = count;
	lookup->first[index] = addresses[0];
	lookup->any = true;
	if (lookup->cancel_in_addresses) {
		dns_lookup_cancel(lookup->handle);
		lookup->handle = NULL;
	}
}

static void start(struct lookup *lookup, const char *host);

static void on_done(void *ctx, bool found, const struct failure *failure)
{
	struct lookup *lookup = ctx;

	assert_false(fixture.inside);
	assert_false(lookup->done);
	lookup->done = true;
	lookup->found = found;
	lookup->handle = NULL;
	failure_copy(&lookup->failure, failure);
	assert_int_equal(found, lookup->calls[0] + lookup->calls[1] > 0);
	assert_int_equal(found, failure->count == 0);
	if (lookup->again_in_done) {
		start(lookup->next, "both.test");
	}
}

static const struct dns_callbacks callbacks = {
	.on_addresses = on_addresses,
	.on_done = on_done,
};

static void start(struct lookup *lookup, const char *host)
{
	memset(lookup->calls, 0, sizeof(lookup->calls));
	lookup->done = lookup->any = false;
	fixture.inside = true;
	assert_int_equal(
		dns_lookup_start(fixture.dns, host, 443, &callbacks, lookup, &lookup->handle), 0);
	fixture.inside = false;
}

static void look_up(struct lookup *lookup, const char *host)
{
	memset(lookup, 0, sizeof(*lookup));
	start(lookup, host);
	test_loop_until(&fixture.loop, &lookup->done);
}

static int set_up(void **state)
{
	struct dns_config config = {.timeout_ms = 10000, .tries = 2};

	(void)state;
	memset(&fixture, 0, sizeof(fixture));
	test_loop_init(&fixture.loop);
	dns_server_start(&fixture.server, fixture.loop.loop);
	config.servers = fixture.server.text;
	assert_int_equal(dns_new(fixture.loop.loop, &config, &fixture.dns), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	dns_free(fixture.dns);
	dns_server_stop(&fixture.server);
	test_loop_fini(&fixture.loop);
	return 0;
}

static void reconfigure(const char *servers, uint64_t timeout_ms, uint64_t tries)
{
	struct dns_config config = {.servers = servers, .timeout_ms = timeout_ms, .tries = tries};

	assert_int_equal(dns_configure(fixture.dns, &config), 0);
}

static void check_address(const struct address *address, const char *text)
{
	char buffer[ADDRESS_TEXT_MAX];

	assert_string_equal(address_print(address, buffer), text);
}

static void test_both(void **state)
{
	struct lookup lookup;

	(void)state;
	look_up(&lookup, "both.test");
	assert_true(lookup.found);
	assert_int_equal(lookup.calls[0], 1);
	assert_int_equal(lookup.calls[1], 1);
	check_address(&lookup.first[0], "[::1]:443");
	check_address(&lookup.first[1], "127.0.0.1:443");
}

static void test_one_family(void **state)
{
	struct lookup lookup;

	(void)state;
	look_up(&lookup, "v4.test");
	assert_true(lookup.found);
	assert_int_equal(lookup.calls[0], 0);
	assert_int_equal(lookup.count[1], 1);
	look_up(&lookup, "v6.test");
	assert_true(lookup.found);
	assert_int_equal(lookup.count[0], 1);
	assert_int_equal(lookup.calls[1], 0);
}

static void test_many(void **state)
{
	struct lookup lookup;

	(void)state;
	look_up(&lookup, "many.test");
	assert_int_equal(lookup.count[0], DNS_ADDRESSES_MAX);
	assert_int_equal(lookup.count[1], DNS_ADDRESSES_MAX);
	assert_true(fixture.server.streams > 0);
}

static void check_failure(const char *host, enum failure_code code, const char *says)
{
	struct lookup lookup;

	look_up(&lookup, host);
	assert_false(lookup.found);
	if (failure_top(&lookup.failure) != code || !strstr(lookup.failure.links[0].text, says) ||
	    !strstr(lookup.failure.links[0].text, host)) {
		fail_msg("%s: %s %s", host, failure_code_name(failure_top(&lookup.failure)),
			 lookup.failure.links[0].text);
	}
}

static void test_failures(void **state)
{
	(void)state;
	check_failure("nx.test", FAIL_DNS_NOT_FOUND, "no such host");
	check_failure("empty.test", FAIL_DNS_NOT_FOUND, "no address");
	check_failure("name.onion", FAIL_DNS_NOT_FOUND, "no such host");
	check_failure("fail.test", FAIL_DNS_FAILED, "looking up");
	reconfigure(fixture.server.text, 20, 1);
	check_failure("silent.test", FAIL_DNS_TIMEOUT, "in time");
}

static void test_garbage(void **state)
{
	struct lookup lookup;

	(void)state;
	/* Taken for no answer at all, or for a bad one. */
	reconfigure(fixture.server.text, 20, 1);
	look_up(&lookup, "garbage.test");
	assert_false(lookup.found);
	assert_true(lookup.failure.count == 1);
}

/* Nobody listens on the port: the kernel says so. */
static void test_no_server(void **state)
{
	struct dns_server gone;

	(void)state;
	dns_server_start(&gone, fixture.loop.loop);
	dns_server_stop(&gone);
	reconfigure(gone.text, 50, 1);
	check_failure("both.test", FAIL_DNS_FAILED, "looking up");
}

static void test_localhost(void **state)
{
	static const char *const names[] = {"localhost", "x.localhost", "a.b.localhost"};
	struct lookup lookup;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		look_up(&lookup, names[i]);
		check_address(&lookup.first[0], "[::1]:443");
		check_address(&lookup.first[1], "127.0.0.1:443");
	}
	assert_int_equal(fixture.server.queries, 0);
	look_up(&lookup, "notlocalhost");
	assert_false(lookup.found);
	assert_int_not_equal(fixture.server.queries, 0);
}

static void test_families_apart(void **state)
{
	struct lookup lookup;

	(void)state;
	memset(&lookup, 0, sizeof(lookup));
	start(&lookup, "hold6.test");
	test_loop_until(&fixture.loop, &lookup.any);
	assert_int_equal(lookup.calls[1], 1);
	assert_int_equal(lookup.calls[0], 0);
	assert_false(lookup.done);
	if (!fixture.server.holds) {
		test_loop_until(&fixture.loop, &fixture.server.holds);
	}
	dns_server_release(&fixture.server);
	test_loop_until(&fixture.loop, &lookup.done);
	assert_int_equal(lookup.calls[1], 1);
	assert_int_equal(lookup.calls[0], 1);
}

static void wait_for_held(unsigned count)
{
	while (fixture.server.held_count < count) {
		fixture.server.holds = false;
		test_loop_until(&fixture.loop, &fixture.server.holds);
	}
}

/* The answer comes after the cancel; then the lookup's memory is c-ares's to let go. */
static void test_cancel(void **state)
{
	struct lookup lookup, other;

	(void)state;
	memset(&lookup, 0, sizeof(lookup));
	start(&lookup, "hold.test");
	wait_for_held(2);
	dns_lookup_cancel(lookup.handle);
	dns_lookup_cancel(NULL);
	dns_server_release(&fixture.server);
	look_up(&other, "both.test");
	assert_true(other.found);
	assert_false(lookup.any || lookup.done);
	/* At once; the queries may or may not have left. */
	start(&lookup, "both.test");
	dns_lookup_cancel(lookup.handle);
	start(&lookup, "localhost");
	dns_lookup_cancel(lookup.handle);
	look_up(&other, "v4.test");
	assert_false(lookup.any || lookup.done);
	/* Never answered: dns_free() ends it. */
	start(&lookup, "silent.test");
	dns_lookup_cancel(lookup.handle);
}

static void test_cancel_in_callback(void **state)
{
	struct lookup lookup, other;

	(void)state;
	memset(&lookup, 0, sizeof(lookup));
	lookup.cancel_in_addresses = true;
	start(&lookup, "both.test");
	test_loop_until(&fixture.loop, &lookup.any);
	look_up(&other, "both.test");
	assert_int_equal(lookup.calls[0] + lookup.calls[1], 1);
	assert_false(lookup.done);
	/* Both families are there at once: the second must not be told. */
	start(&lookup, "localhost");
	test_loop_until(&fixture.loop, &lookup.any);
	loop_run_once(fixture.loop.loop, false);
	assert_int_equal(lookup.calls[0] + lookup.calls[1], 1);
	assert_false(lookup.done);
}

static void test_start_in_callback(void **state)
{
	struct lookup lookup, next;

	(void)state;
	memset(&lookup, 0, sizeof(lookup));
	memset(&next, 0, sizeof(next));
	lookup.again_in_done = true;
	lookup.next = &next;
	start(&lookup, "both.test");
	test_loop_until(&fixture.loop, &next.done);
	assert_true(next.found);
}

static void test_configure_with_lookup_running(void **state)
{
	struct dns_server second;
	struct lookup lookup, other;
	unsigned before;

	(void)state;
	dns_server_start(&second, fixture.loop.loop);
	memset(&lookup, 0, sizeof(lookup));
	start(&lookup, "hold.test");
	wait_for_held(2);
	reconfigure(second.text, 10000, 1);
	before = fixture.server.queries;
	look_up(&other, "both.test");
	assert_true(other.found);
	assert_int_equal(fixture.server.queries, before);
	assert_int_equal(second.queries, 2);
	assert_false(lookup.done);
	/* The old one still gets its answer. */
	dns_server_release(&fixture.server);
	test_loop_until(&fixture.loop, &lookup.done);
	assert_true(lookup.found);
	dns_server_stop(&second);
}

static void write_resolv_conf(const char *path, const char *server)
{
	char text[128];
	char temporary[128];
	int length = snprintf(text, sizeof(text), "nameserver %s\n", server);
	int fd;

	/* As resolvconf and its kind do it: another file under the same name. */
	(void)snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, (size_t)length), length);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rename(temporary, path), 0);
}

static void test_resolv_conf_changes(void **state)
{
	char path[] = "/tmp/fetchd-test-resolv-XXXXXX";
	struct dns_config config = {.timeout_ms = 10000, .tries = 1, .resolv_conf = path};
	struct dns_server second;
	struct lookup lookup, other;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(close(fd), 0);
	dns_server_start_at(&second, fixture.loop.loop, "127.0.0.2", fixture.server.port);
	config.port = fixture.server.port;
	write_resolv_conf(path, "127.0.0.1");
	assert_int_equal(dns_configure(fixture.dns, &config), 0);
	memset(&lookup, 0, sizeof(lookup));
	start(&lookup, "hold.test");
	wait_for_held(2);
	assert_int_equal(second.queries, 0);
	write_resolv_conf(path, "127.0.0.2");
	look_up(&other, "both.test");
	assert_true(other.found);
	assert_int_equal(second.queries, 2);
	dns_server_release(&fixture.server);
	test_loop_until(&fixture.loop, &lookup.done);
	assert_true(lookup.found);
	/* Nothing changed: the same resolver. */
	look_up(&other, "both.test");
	assert_int_equal(second.queries, 4);
	dns_server_stop(&second);
	assert_int_equal(unlink(path), 0);
}

static void test_server_lists(void **state)
{
	static const char *const good[] = {
		"",    " , ",   "127.0.0.1",  "127.0.0.1:5353",
		"::1", "[::1]", "[::1]:5353", "127.0.0.1, ::1 [2001:db8::1]:53,\t192.0.2.1:65535",
	};
	static const char *const bad[] = {
		"localhost",
		"127.0.0.1:",
		"127.0.0.1:0",
		"127.0.0.1:65536",
		"[::1",
		"[::1]x",
		"[127.0.0.1]",
		"[::1]:",
		"::1%lo",
		"1.2.3.4:5:6",
		"127.0.0.1 bad",
		"127.0.0.1:00000000053",
		"::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1,::1",
		"11111111111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct dns_config config = {.timeout_ms = 10000, .tries = 1};
	struct lookup lookup;
	struct dns *dns;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		config.servers = bad[i];
		if (dns_configure(fixture.dns, &config) != -EINVAL) {
			fail_msg("taken: %s", bad[i]);
		}
		assert_int_equal(dns_new(fixture.loop.loop, &config, &dns), -EINVAL);
	}
	/* The old one is still there. */
	look_up(&lookup, "both.test");
	assert_true(lookup.found);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		config.servers = good[i];
		if (dns_configure(fixture.dns, &config) != 0) {
			fail_msg("not taken: %s", good[i]);
		}
	}
}

static void test_no_fd_left(void **state)
{
	unsigned before = test_open_fds();
	struct lookup lookup;

	(void)set_up(state);
	look_up(&lookup, "both.test");
	start(&lookup, "silent.test");
	dns_lookup_cancel(lookup.handle);
	(void)tear_down(state);
	assert_int_equal(test_open_fds(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_family, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_failures, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_garbage, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_no_server, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_localhost, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_families_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cancel_in_callback, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_start_in_callback, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_configure_with_lookup_running, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_resolv_conf_changes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_server_lists, set_up, tear_down),
		cmocka_unit_test(test_no_fd_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
