/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a URL, a name lookup, a dial and a TLS channel fails once: an error that is
 * told exactly once, or none at all; no memory, no descriptor and no lookup is left behind.
 */
#include "unit/net/dns_server.h"
#include "unit/net/tls_client.h"

#include "net/dial.h"
#include "net/url.h"
#include "unit/support/allocations.h"

/* ---- URLs ---- */

static const char *const texts[] = {
	"http://example.org",
	"https://xn--bcher-kva.example:8443/a/../b?c=d#e",
	("https://b\xc3\xbc"
	 "cher.example/"),
	"https://[2001:db8::1]/x",
	"http://192.0.2.1:81/?",
};

static void parse_url(void *ctx)
{
	const char *text = ctx;
	static const struct url none;
	struct url url = none, copy = none;
	struct failure failure = {.count = 0};
	char *printed = NULL;
	int result = url_parse(text, strlen(text), &url, &failure);

	if (result != 0) {
		assert_true(allocations_failed());
		assert_int_equal(result, -ENOMEM);
		assert_memory_equal(&url, &none, sizeof(url));
		return;
	}
	printed = url_print(&url);
	result = url_resolve(&url, "../y?z", 6, &copy, &failure);
	if (result != 0) {
		assert_int_equal(result, -ENOMEM);
		assert_memory_equal(&copy, &none, sizeof(copy));
	}
	/* One of the two has noticed. */
	assert_int_equal(allocations_failed(), !printed || result != 0);
	free(printed);
	url_fini(&copy);
	url_fini(&url);
}

static void urls(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_true(allocations_walk(parse_url, (void *)(uintptr_t)texts[i]) >= 5);
	}
}

/* ---- lookups ---- */

struct lookup {
	struct test_loop loop;
	struct dns_server server;
	struct dns *dns;
	unsigned fds_before;
	unsigned addresses;
	bool found;
	bool done;
};

/* c-ares finds out by waiting that it has lost an answer for want of memory. */
static const struct dns_config quick = {.timeout_ms = 60, .tries = 3};

static bool lookup_begin(struct lookup *lookup)
{
	struct dns_config config = quick;
	int result = 0;

	memset(lookup, 0, sizeof(*lookup));
	allocations_pause();
	lookup->fds_before = test_open_fds();
	test_loop_init(&lookup->loop);
	dns_server_start(&lookup->server, lookup->loop.loop);
	allocations_resume();
	config.servers = lookup->server.text;
	result = dns_new(lookup->loop.loop, &config, &lookup->dns);
	if (result != 0) {
		assert_true(allocations_failed());
		assert_true(result == -ENOMEM || result == -EIO);
		assert_null(lookup->dns);
	}
	return result == 0;
}

static void lookup_end(struct lookup *lookup)
{
	dns_free(lookup->dns);
	dns_server_stop(&lookup->server);
	test_loop_fini(&lookup->loop);
	assert_int_equal(test_open_fds(), lookup->fds_before);
}

static void on_addresses(void *ctx, int family, const struct address *addresses, unsigned count)
{
	struct lookup *lookup = ctx;

	(void)family;
	assert_non_null(addresses);
	assert_false(lookup->done);
	lookup->addresses += count;
}

static void on_looked_up(void *ctx, bool found, const struct failure *failure)
{
	struct lookup *lookup = ctx;

	assert_false(lookup->done);
	assert_int_equal(found, lookup->addresses > 0);
	assert_true(found || failure->count > 0);
	lookup->found = found;
	lookup->done = true;
}

static void look_up(void *ctx)
{
	static const struct dns_callbacks callbacks = {.on_addresses = on_addresses,
						       .on_done = on_looked_up};
	struct lookup lookup;
	struct dns_lookup *started = NULL;
	struct dns_config config = quick;

	(void)ctx;
	if (lookup_begin(&lookup)) {
		int result = dns_lookup_start(lookup.dns, "both.test", 80, &callbacks, &lookup,
					      &started);

		if (result == 0) {
			test_loop_until(&lookup.loop, &lookup.done);
			assert_true(allocations_failed() || lookup.addresses == 2);
		} else {
			assert_int_equal(result, -ENOMEM);
			assert_null(started);
		}
		/* Other servers: taken, or left as they are. */
		config.servers = "127.0.0.1:1";
		result = dns_configure(lookup.dns, &config);
		assert_true(result == 0 || allocations_failed());
		/* The next one is fine if they are left. */
		allocations_pause();
		config.servers = lookup.server.text;
		assert_int_equal(dns_configure(lookup.dns, &config), 0);
		lookup.done = false;
		lookup.addresses = 0;
		assert_int_equal(dns_lookup_start(lookup.dns, "both.test", 80, &callbacks, &lookup,
						  &started),
				 0);
		test_loop_until(&lookup.loop, &lookup.done);
		assert_int_equal(lookup.addresses, 2);
		allocations_resume();
	}
	lookup_end(&lookup);
}

static void lookups(void **state)
{
	(void)state;
	assert_true(allocations_walk(look_up, NULL) > 20);
}

/* ---- dials ---- */

struct dialing {
	struct lookup lookup;
	struct channel *channel;
	bool failed;
	bool done;
};

static void on_dialed(void *ctx, struct channel *channel, const struct dial_times *times)
{
	struct dialing *dialing = ctx;

	(void)times;
	assert_false(dialing->done);
	dialing->channel = channel;
	dialing->done = true;
}

static void on_dial_failed(void *ctx, const struct failure *failure, const struct dial_times *times)
{
	struct dialing *dialing = ctx;

	(void)times;
	assert_false(dialing->done);
	assert_true(failure->count > 0);
	dialing->failed = true;
	dialing->done = true;
}

/* So that there is always room for one more. */
static void take_connections(int listener)
{
	int fd = -1;

	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		(void)close(fd);
	}
	assert_int_equal(errno, EAGAIN);
}

struct listener {
	struct address address;
	int fd;
};

static void dial_by_name(void *ctx)
{
	static const struct dial_callbacks callbacks = {.on_done = on_dialed,
							.on_failed = on_dial_failed};
	const struct listener *listener = ctx;
	struct dial_target target = {.host = "two.test", .port = test_port(&listener->address)};
	struct dialing dialing = {.done = false};
	struct dial *dial = NULL;

	if (lookup_begin(&dialing.lookup)) {
		int result = dial_start(dialing.lookup.loop.loop, dialing.lookup.dns, &target,
					&callbacks, &dialing, &dial);

		if (result == 0) {
			test_loop_until(&dialing.lookup.loop, &dialing.done);
			assert_true(allocations_failed() || dialing.channel);
			assert_int_equal(dialing.failed, dialing.channel == NULL);
			channel_close(dialing.channel);
		} else {
			assert_int_equal(result, -ENOMEM);
			assert_null(dial);
		}
	}
	lookup_end(&dialing.lookup);
	take_connections(listener->fd);
}

static void dials(void **state)
{
	struct listener listener;

	(void)state;
	listener.fd = test_listen(&listener.address);
	assert_int_equal(fcntl(listener.fd, F_SETFL, O_NONBLOCK), 0);
	assert_true(allocations_walk(dial_by_name, &listener) > 25);
	(void)close(listener.fd);
}

/* ---- TLS ---- */

static void make_context(void *ctx)
{
	struct tls_context *context = NULL;
	struct failure failure = {.count = 0};
	int result = tls_context_new(ca_path, NULL, &context, &failure);

	(void)ctx;
	if (result != 0) {
		assert_true(allocations_failed());
		assert_null(context);
	} else {
		assert_false(allocations_failed());
	}
	tls_context_unref(context);
}

static void contexts(void **state)
{
	(void)state;
	assert_true(allocations_walk(make_context, NULL) >= 1);
}

static void serve_some(struct test_server *server, gnutls_session_t session, int fd)
{
	static unsigned char data[40000];

	(void)fd;
	send_all(session, data, sizeof(data));
	say_goodbye(server, session, fd);
}

/* A full handshake and then a resumed one; 40,000 bytes each. */
static void talk_tls(void *ctx)
{
	struct test_server server = {
		.identity = &server_identity, .serve = serve_some, .connections = 2};
	unsigned before = test_open_fds();
	struct client client;

	(void)ctx;
	allocations_pause();
	test_server_start(&server);
	client_init(&client);
	allocations_resume();
	for (unsigned i = 0; i < 2; i++) {
		int fd = test_connect(&server.address);
		int result = 0;

		client.done = false;
		client.received_length = 0;
		client.enough = 40000;
		client.failed = false;
		result = tls_handshake_start(client.loop.loop, client.context, &client.tickets,
					     HOST, false, fd, &server.address, &handshake_callbacks,
					     &client, &client.handshake);
		if (result != 0) {
			assert_int_equal(result, -ENOMEM);
			assert_null(client.handshake);
			continue;
		}
		test_loop_until(&client.loop, &client.done);
		if (client.channel) {
			client_listen(&client);
			test_loop_until(&client.loop, &client.done);
			assert_true(allocations_failed() || client.received_length == 40000);
			channel_close(client.channel);
			client.channel = NULL;
		} else {
			assert_true(allocations_failed() && client.failure.count > 0);
		}
	}
	client_fini(&client);
	test_server_join(&server);
	assert_int_equal(test_open_fds(), before);
}

static void tls(void **state)
{
	(void)state;
	assert_true(allocations_walk(talk_tls, NULL) > 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls),     cmocka_unit_test(lookups), cmocka_unit_test(dials),
		cmocka_unit_test(contexts), cmocka_unit_test(tls),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
