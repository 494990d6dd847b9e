/* SPDX-License-Identifier: MIT */
/*
 * For the tests of tls*.c: CAs to trust and not to trust, a server's certificate, and a client that
 * shakes hands, reads and writes. One copy for each test.
 */
#pragma once

#include "unit/net/tls_server.h"

#include "net/tls.h"

static struct test_identity ca;
static struct test_identity other_ca;
static struct test_identity server_identity;
static char ca_path[] = "/tmp/fetchd-test-ca-XXXXXX";
static char other_ca_path[] = "/tmp/fetchd-test-ca-XXXXXX";

#define HOST "origin.example"

static inline int set_up(void **state)
{
	(void)state;
	test_identity_init(&ca, &(struct test_identity_params){.name = "Test CA", .ca = true},
			   NULL);
	test_identity_init(&other_ca,
			   &(struct test_identity_params){.name = "Other CA", .ca = true}, NULL);
	test_identity_init(&server_identity,
			   &(struct test_identity_params){
				   .name = "Test Server", .dns = HOST, .ip = "127.0.0.1"},
			   &ca);
	test_identity_write(&ca, ca_path);
	test_identity_write(&other_ca, other_ca_path);
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	(void)unlink(ca_path);
	(void)unlink(other_ca_path);
	test_identity_fini(&server_identity);
	test_identity_fini(&other_ca);
	test_identity_fini(&ca);
	return 0;
}

/* ---- the client of a test ---- */

struct client {
	struct test_loop loop;
	struct tls_context *context;
	struct tls_tickets tickets;
	struct tls_handshake *handshake;
	struct channel *channel;
	struct failure failure;
	bool done;
	bool inside; /* a call that must not call back */
	/* reading */
	unsigned char *received;
	size_t received_length;
	size_t received_room;
	size_t read_size; /* of one channel_read(); 0: all there is, at once */
	size_t enough;    /* done when so much was received; 0: only the end counts */
	bool eof;
	bool eof_clean;
	bool failed;
	unsigned readable_calls;
	unsigned writable_calls;
	void (*on_writable)(struct client *client);
	const unsigned char *to_send;
	size_t to_send_length;
	size_t sent;
	unsigned write_stalls;
	size_t write_size;
};

static inline void client_init(struct client *client)
{
	struct failure failure;

	memset(client, 0, sizeof(*client));
	test_loop_init(&client->loop);
	client->received_room = (size_t)4 << 20;
	client->received = malloc(client->received_room);
	assert_non_null(client->received);
	assert_int_equal(tls_context_new(ca_path, NULL, &client->context, &failure), 0);
}

static inline void client_fini(struct client *client)
{
	channel_close(client->channel);
	tls_tickets_fini(&client->tickets);
	tls_context_unref(client->context);
	test_loop_fini(&client->loop);
	free(client->received);
}

static inline void client_on_done(void *ctx, struct channel *channel)
{
	struct client *client = ctx;

	assert_false(client->inside);
	client->handshake = NULL;
	client->channel = channel;
	client->done = true;
}

static inline void client_on_failed(void *ctx, const struct failure *failure)
{
	struct client *client = ctx;

	assert_false(client->inside);
	client->handshake = NULL;
	failure_copy(&client->failure, failure);
	client->done = true;
}

static const struct tls_handshake_callbacks handshake_callbacks = {
	.on_done = client_on_done,
	.on_failed = client_on_failed,
};

static inline void client_start(struct client *client, const struct address *address,
				const char *host, bool host_is_address)
{
	client->done = false;
	client->inside = true;
	assert_int_equal(tls_handshake_start(client->loop.loop, client->context, &client->tickets,
					     host, host_is_address, test_connect(address), address,
					     &handshake_callbacks, client, &client->handshake),
			 0);
	client->inside = false;
}

static inline void client_shake(struct client *client, struct test_server *server, const char *host,
				bool host_is_address)
{
	client_start(client, &server->address, host, host_is_address);
	test_loop_until(&client->loop, &client->done);
}

static inline void client_on_readable(void *ctx)
{
	struct client *client = ctx;

	client->readable_calls++;
	for (;;) {
		size_t room = client->received_room - client->received_length;
		size_t count = 0;
		enum io r;

		if (client->read_size > 0 && room > client->read_size) {
			room = client->read_size;
		}
		assert_true(room > 0);
		r = channel_read(client->channel, client->received + client->received_length, room,
				 &count, &client->failure);
		switch (r) {
		case IO_OK:
			assert_true(count > 0 && count <= room);
			client->received_length += count;
			break;
		case IO_AGAIN:
			return;
		case IO_EOF:
			client->eof = true;
			client->eof_clean = channel_eof_clean(client->channel);
			channel_want_read(client->channel, false);
			client->done = true;
			return;
		case IO_ERROR:
			client->failed = true;
			channel_want_read(client->channel, false);
			client->done = true;
			return;
		}
		if (client->enough > 0 && client->received_length >= client->enough) {
			client->done = true;
		}
		if (client->read_size > 0) {
			return;
		}
	}
}

static inline void client_write(struct client *client)
{
	while (client->sent < client->to_send_length) {
		size_t length = client->to_send_length - client->sent;
		size_t count = 0;
		enum io r;

		if (client->write_size > 0 && length > client->write_size) {
			/* Sizes that fit nothing, but the same again after a stall. */
			size_t size = 1 + client->sent % client->write_size;

			length = length < size ? length : size;
		}
		r = channel_write(client->channel, client->to_send + client->sent, length, &count,
				  &client->failure);
		if (r == IO_AGAIN) {
			client->write_stalls++;
			return;
		}
		assert_int_equal(r, IO_OK);
		assert_true(count > 0 && count <= length);
		client->sent += count;
	}
}

static inline void client_on_writable(void *ctx)
{
	struct client *client = ctx;

	client->writable_calls++;
	client_write(client);
}

static const struct channel_callbacks channel_callbacks = {
	.on_readable = client_on_readable,
	.on_writable = client_on_writable,
};

static inline void client_listen(struct client *client)
{
	client->done = false;
	channel_listen(client->channel, &channel_callbacks, client);
}

/* ---- server scripts ---- */

static inline void say_goodbye(struct test_server *server, gnutls_session_t session, int fd)
{
	char c;

	(void)server;
	(void)fd;
	(void)gnutls_record_recv(session, &c, 1);
	(void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

static inline void send_all(gnutls_session_t session, const unsigned char *data, size_t length)
{
	while (length > 0) {
		ssize_t count = gnutls_record_send(session, data, length);

		if (count == GNUTLS_E_AGAIN || count == GNUTLS_E_INTERRUPTED) {
			continue;
		}
		if (count <= 0) {
			return;
		}
		data += count;
		length -= (size_t)count;
	}
}
