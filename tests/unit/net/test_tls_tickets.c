/* SPDX-License-Identifier: MIT */
/*
 * Sessions resumed, and the ones that must not be.
 */
#include "unit/net/tls_client.h"

/* Is the second connection resumed, and is its certificate known again? */
static void check_resumption(const char *priority)
{
	struct test_server server = {.identity = &server_identity,
				     .priority = priority,
				     .connections = 3,
				     .serve = say_goodbye};
	struct client client;

	client_init(&client);
	test_server_start(&server);
	for (unsigned i = 0; i < 3; i++) {
		const struct channel_info *info;

		client_shake(&client, &server, HOST, false);
		assert_non_null(client.channel);
		/* The ticket is used up; the next comes before the server's goodbye. */
		assert_true(client.tickets.data == NULL || priority);
		info = channel_info(client.channel);
		assert_int_equal(info->tls_resumed, i > 0);
		assert_string_equal(info->certificate_subject, "CN=Test Server");
		client_listen(&client);
		client.to_send = (const unsigned char *)"x";
		client.to_send_length = 1;
		client.sent = 0;
		client_write(&client);
		test_loop_until(&client.loop, &client.done);
		assert_true(client.eof && client.eof_clean);
		assert_non_null(client.tickets.data);
		channel_close(client.channel);
		client.channel = NULL;
		assert_null(client.tickets.users);
	}
	test_server_join(&server);
	assert_true(server.resumed);
	client_fini(&client);
}

static void test_resumption(void **state)
{
	(void)state;
	check_resumption(NULL);
	check_resumption("NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

/* A session that was good under one set of CAs is not under another. */
static void check_distrusted_resumption(const char *priority)
{
	struct test_server server = {.identity = &server_identity,
				     .priority = priority,
				     .connections = 3,
				     .serve = say_goodbye};
	struct client client;
	struct failure failure;

	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	client_listen(&client);
	client.to_send = (const unsigned char *)"x";
	client.to_send_length = 1;
	client_write(&client);
	test_loop_until(&client.loop, &client.done);
	channel_close(client.channel);
	client.channel = NULL;
	assert_non_null(client.tickets.data);

	tls_context_unref(client.context);
	assert_int_equal(tls_context_new(other_ca_path, NULL, &client.context, &failure), 0);
	client_shake(&client, &server, HOST, false);
	assert_null(client.channel);
	assert_int_equal(failure_top(&client.failure), FAIL_TLS_CERT_UNTRUSTED);
	assert_null(client.tickets.data);
	/* And now without a ticket. */
	client_shake(&client, &server, HOST, false);
	assert_null(client.channel);
	assert_int_equal(failure_top(&client.failure), FAIL_TLS_CERT_UNTRUSTED);
	test_server_join(&server);
	client_fini(&client);
}

static void test_distrusted_resumption(void **state)
{
	(void)state;
	check_distrusted_resumption(NULL);
	check_distrusted_resumption("NORMAL:-VERS-ALL:+VERS-TLS1.2");
}

static void test_tickets_forgotten_in_use(void **state)
{
	struct test_server server = {.identity = &server_identity, .serve = say_goodbye};
	struct client client;

	(void)state;
	client_init(&client);
	test_server_start(&server);
	client_shake(&client, &server, HOST, false);
	assert_non_null(client.channel);
	assert_non_null(client.tickets.users);
	tls_tickets_fini(&client.tickets);
	assert_null(client.tickets.users);
	client_listen(&client);
	client.to_send = (const unsigned char *)"x";
	client.to_send_length = 1;
	client_write(&client);
	test_loop_until(&client.loop, &client.done);
	assert_true(client.eof_clean);
	assert_null(client.tickets.data);
	test_server_join(&server);
	client_fini(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resumption),
		cmocka_unit_test(test_distrusted_resumption),
		cmocka_unit_test(test_tickets_forgotten_in_use),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
