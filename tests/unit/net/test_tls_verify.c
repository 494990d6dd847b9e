/* SPDX-License-Identifier: MIT */
/*
 * Certificates that do not do, and what is said about them.
 */
#include "unit/net/tls_client.h"

struct bad {
	struct test_identity_params params;
	const struct test_identity *issuer;
	const char *host;
	bool host_is_address;
	enum failure_code code;
	const char *says[3];
};

static void check_bad(const struct bad *bad)
{
	struct test_identity identity;
	struct test_server server = {.identity = &identity, .serve = say_goodbye};
	struct client client;
	const char *text;

	test_identity_init(&identity, &bad->params, bad->issuer);
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, bad->host, bad->host_is_address);
	assert_null(client.channel);
	text = client.failure.links[0].text;
	if (failure_top(&client.failure) != bad->code) {
		fail_msg("%s instead of %s: %s", failure_code_name(failure_top(&client.failure)),
			 failure_code_name(bad->code), text);
	}
	for (unsigned i = 0; i < 3 && bad->says[i]; i++) {
		if (!strstr(text, bad->says[i])) {
			fail_msg("no \"%s\" in \"%s\"", bad->says[i], text);
		}
	}
	assert_int_not_equal(client.failure.links[0].tls_code, 0);
	assert_null(client.tickets.data);
	client_fini(&client);
	test_server_join(&server);
	test_identity_fini(&identity);
}

static void test_bad_certificates(void **state)
{
	const struct bad table[] = {
		{{.name = "s", .dns = HOST},
		 &other_ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_UNTRUSTED,
		 {"no trusted CA", "CN=Other CA"}},
		{{.name = "s", .dns = HOST},
		 NULL,
		 HOST,
		 false,
		 FAIL_TLS_CERT_UNTRUSTED,
		 {"self-signed"}},
		{{.name = "s", .dns = HOST, .from = -3 * DAY_S, .to = -DAY_S},
		 &ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_EXPIRED,
		 {"expired on 2", " UTC"}},
		{{.name = "s", .dns = HOST, .from = DAY_S},
		 &ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_EXPIRED,
		 {"not valid before 2"}},
		{{.name = "s", .dns = "a.example", .dns2 = "b.example", .ip = "192.0.2.1"},
		 &ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_NAME,
		 {"\"" HOST "\"", "a.example, b.example, 192.0.2.1"}},
		{{.name = "s", .dns = HOST},
		 &ca,
		 "127.0.0.1",
		 true,
		 FAIL_TLS_CERT_NAME,
		 {"\"127.0.0.1\"", HOST}},
		/* An address in a DNS name is no address. */
		{{.name = "127.0.0.1", .dns = "127.0.0.1"},
		 &ca,
		 "127.0.0.1",
		 true,
		 FAIL_TLS_CERT_NAME,
		 {"\"127.0.0.1\""}},
		{{.name = "s", .ip = "2001:db8::1"},
		 &ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_NAME,
		 {"2001:db8::1"}},
		{{.name = "s", .dns = HOST, .purpose = GNUTLS_KP_TLS_WWW_CLIENT},
		 &ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_INVALID,
		 {"purpose"}},
		/* all at once */
		{{.name = "s", .dns = "a.example", .from = -3 * DAY_S, .to = -DAY_S},
		 &other_ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_UNTRUSTED,
		 {"no trusted CA", "expired on", "a.example"}},
		{{.name = "s", .dns = "a.example", .from = -3 * DAY_S, .to = -DAY_S},
		 &ca,
		 HOST,
		 false,
		 FAIL_TLS_CERT_EXPIRED,
		 {"expired on", "a.example"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		check_bad(&table[i]);
	}
}

/* More names, and longer ones, than a line holds. */
static void test_long_names(void **state)
{
	char name[200];
	const struct bad bad = {
		{.name = "s", .dns = "a.example", .dns2 = name},
		&ca,
		HOST,
		false,
		FAIL_TLS_CERT_NAME,
		{"a.example, ..."},
	};

	(void)state;
	memset(name, 'a', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	check_bad(&bad);
}

/* A CA in between: `from` and `to` as in test_identity_params. */
static void check_chain(time_t from, time_t to, bool send, enum failure_code code, const char *says)
{
	const struct test_identity_params params = {
		.name = "Middle CA", .ca = true, .from = from, .to = to};
	struct test_identity middle, leaf;
	struct test_server server = {.identity = &leaf, .serve = say_goodbye};
	struct client client;

	test_identity_init(&middle, &params, &ca);
	test_identity_init(&leaf, &(struct test_identity_params){.name = "s", .dns = HOST},
			   &middle);
	server.intermediate = send ? &middle : NULL;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	if (failure_top(&client.failure) != code ||
	    (code != FAIL_NONE && !strstr(client.failure.links[0].text, says))) {
		fail_msg("%s", client.failure.links[0].text);
	}
	assert_int_equal(client.channel != NULL, code == FAIL_NONE);
	client_fini(&client);
	test_server_join(&server);
	test_identity_fini(&leaf);
	test_identity_fini(&middle);
}

static void test_chain(void **state)
{
	(void)state;
	check_chain(0, 0, true, FAIL_NONE, NULL);
	check_chain(0, 0, false, FAIL_TLS_CERT_UNTRUSTED, "CN=Middle CA");
	check_chain(-3 * DAY_S, -DAY_S, true, FAIL_TLS_CERT_EXPIRED, "in its chain");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad_certificates),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_chain),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
