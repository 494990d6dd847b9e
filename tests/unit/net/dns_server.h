/* SPDX-License-Identifier: MIT */
/*
 * For the tests of this folder: a DNS server on the loop of the test, on a UDP port of its own. The
 * first label of the name asked for says what it answers:
 *
 *   both      A 127.0.0.1 and AAAA ::1        v4, v6    only that family
 *   many      40 addresses of each, by TCP    empty     no addresses
 *   nx        no such name                    fail      SERVFAIL
 *   silent    nothing                         garbage   something that is no answer
 *   hold      as both, but not before dns_server_release()
 *   hold6     as both, but AAAA is held
 *   hold4     as both, but A is held
 *   two       A 127.0.0.1 and 127.0.0.2       dead6     A 127.0.0.1, AAAA ff02::1
 *
 * Everything else does not exist.
 */
#pragma once

#include "unit/net/tls_server.h"

#define DNS_HELD_MAX 8u
#define DNS_PACKET_MAX 4096u
#define DNS_MANY 40u

struct dns_packet {
	unsigned char data[DNS_PACKET_MAX];
	size_t length;
	struct sockaddr_in from;
	bool tcp;
};

struct dns_server {
	struct loop *loop;
	struct loop_io io;
	struct loop_io listener_io;
	struct loop_io stream_io;
	int fd;
	int listener;
	int stream; /* one TCP connection at a time; -1: none */
	unsigned char stream_data[512];
	size_t stream_length;
	unsigned streams; /* accepted */
	uint16_t port;
	unsigned queries;
	struct dns_packet held[DNS_HELD_MAX];
	unsigned held_count;
	bool holds;    /* held_count is not 0 */
	char text[64]; /* for dns_config::servers */
};

#define DNS_TYPE_A 1
#define DNS_TYPE_AAAA 28
#define DNS_RCODE_SERVFAIL 2
#define DNS_RCODE_NXDOMAIN 3

static inline void dns_server_answer(struct dns_packet *packet, unsigned type, unsigned count,
				     const char *literal)
{
	struct in6_addr address;
	bool v6 = type == DNS_TYPE_AAAA;
	size_t size = v6 ? 16 : 4;

	assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, literal, &address), 1);
	for (unsigned i = 0; i < count; i++) {
		unsigned char *at = packet->data + packet->length;
		const unsigned char head[] = {0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0,
					      0,    60, 0, (unsigned char)size};

		assert_true(packet->length + sizeof(head) + size <= DNS_PACKET_MAX);
		memcpy(at, head, sizeof(head));
		memcpy(at + sizeof(head), &address, size);
		at[sizeof(head) + size - 1] =
			(unsigned char)(at[sizeof(head) + size - 1] + i); /* all different */
		packet->length += sizeof(head) + size;
	}
	packet->data[7] = (unsigned char)count;
}

static inline void dns_server_send(struct dns_server *server, const struct dns_packet *packet)
{
	if (packet->tcp) {
		const unsigned char length[2] = {(unsigned char)(packet->length >> 8),
						 (unsigned char)packet->length};

		assert_int_equal(send(server->stream, length, 2, MSG_NOSIGNAL), 2);
		assert_int_equal(send(server->stream, packet->data, packet->length, MSG_NOSIGNAL),
				 packet->length);
		return;
	}
	(void)sendto(server->fd, packet->data, packet->length, 0,
		     (const struct sockaddr *)&packet->from, sizeof(packet->from));
}

static inline bool dns_server_is(const struct dns_packet *packet, const char *label)
{
	size_t length = strlen(label);

	return packet->data[12] == length &&
	       strncasecmp((const char *)packet->data + 13, label, length) == 0;
}

static inline void dns_server_handle(struct dns_server *server, struct dns_packet *query)
{
	struct dns_packet packet = *query;
	unsigned type;
	size_t end = 12;
	bool v6, hold;

	server->queries++;
	while (packet.data[end] != 0) {
		end += packet.data[end] + 1u;
	}
	type = packet.data[end + 2];
	v6 = type == DNS_TYPE_AAAA;
	packet.length = end + 5;
	packet.data[2] = 0x84; /* an answer, authoritative */
	packet.data[3] = 0x80;
	memset(packet.data + 6, 0, 6);

	if (dns_server_is(&packet, "silent")) {
		return;
	}
	hold = dns_server_is(&packet, "hold") || dns_server_is(&packet, v6 ? "hold6" : "hold4");
	if (dns_server_is(&packet, "both") || dns_server_is(&packet, "hold") ||
	    dns_server_is(&packet, "hold6") || dns_server_is(&packet, "hold4") ||
	    dns_server_is(&packet, v6 ? "v6" : "v4")) {
		dns_server_answer(&packet, type, 1, v6 ? "::1" : "127.0.0.1");
	} else if (dns_server_is(&packet, "two") && !v6) {
		dns_server_answer(&packet, type, 2, "127.0.0.1");
	} else if (dns_server_is(&packet, "dead6")) {
		/* A multicast address: no TCP connection to it, on any machine. */
		dns_server_answer(&packet, type, 1, v6 ? "ff02::1" : "127.0.0.1");
	} else if (dns_server_is(&packet, "many") && !packet.tcp) {
		packet.data[2] |= 0x02; /* cut: ask again by TCP */
	} else if (dns_server_is(&packet, "many")) {
		dns_server_answer(&packet, type, DNS_MANY, v6 ? "2001:db8::1" : "192.0.2.1");
	} else if (dns_server_is(&packet, "fail")) {
		packet.data[3] |= DNS_RCODE_SERVFAIL;
	} else if (dns_server_is(&packet, "garbage")) {
		memset(packet.data + 12, 0xff, packet.length - 12);
		packet.data[7] = 255;
	} else if (!dns_server_is(&packet, "empty") && !dns_server_is(&packet, "v4") &&
		   !dns_server_is(&packet, "v6") && !dns_server_is(&packet, "two")) {
		packet.data[3] |= DNS_RCODE_NXDOMAIN;
	}
	if (hold) {
		assert_true(server->held_count < DNS_HELD_MAX);
		server->held[server->held_count++] = packet;
		server->holds = true;
		return;
	}
	dns_server_send(server, &packet);
}

static inline void dns_server_on_datagram(void *ctx, unsigned events)
{
	struct dns_server *server = ctx;
	struct dns_packet packet;
	socklen_t size = sizeof(packet.from);
	ssize_t count;

	(void)events;
	memset(&packet, 0, sizeof(packet));
	count = recvfrom(server->fd, packet.data, sizeof(packet.data), 0,
			 (struct sockaddr *)&packet.from, &size);
	if (count >= 12) {
		dns_server_handle(server, &packet);
	}
}

static inline void dns_server_drop_stream(struct dns_server *server)
{
	loop_io_stop(&server->stream_io);
	if (server->stream >= 0) {
		(void)close(server->stream);
		server->stream = -1;
	}
	server->stream_length = 0;
}

static inline void dns_server_on_stream(void *ctx, unsigned events)
{
	struct dns_server *server = ctx;
	unsigned char *data = server->stream_data;
	ssize_t count = recv(server->stream, data + server->stream_length,
			     sizeof(server->stream_data) - server->stream_length, 0);

	(void)events;
	if (count <= 0) {
		dns_server_drop_stream(server);
		return;
	}
	server->stream_length += (size_t)count;
	while (server->stream_length >= 2) {
		size_t length = ((size_t)data[0] << 8) | data[1];
		struct dns_packet packet;

		if (server->stream_length < 2 + length) {
			return;
		}
		memset(&packet, 0, sizeof(packet));
		packet.tcp = true;
		memcpy(packet.data, data + 2, length);
		server->stream_length -= 2 + length;
		memmove(data, data + 2 + length, server->stream_length);
		dns_server_handle(server, &packet);
	}
}

static inline void dns_server_on_connect(void *ctx, unsigned events)
{
	struct dns_server *server = ctx;

	(void)events;
	dns_server_drop_stream(server);
	server->stream = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(server->stream >= 0);
	server->streams++;
	loop_io_start(&server->stream_io, server->loop, server->stream, LOOP_READ,
		      dns_server_on_stream, server);
}

static inline void dns_server_release(struct dns_server *server)
{
	for (unsigned i = 0; i < server->held_count; i++) {
		dns_server_send(server, &server->held[i]);
	}
	server->held_count = 0;
	server->holds = false;
}

/* `literal` "127.0.0.1" and `port` 0 unless two servers share a port. */
static inline void dns_server_start_at(struct dns_server *server, struct loop *loop,
				       const char *literal, uint16_t port)
{
	struct address address;

	memset(server, 0, sizeof(*server));
	server->loop = loop;
	server->stream = -1;
	/* A UDP port whose TCP port is free too. */
	for (unsigned i = 0;; i++) {
		assert_true(i < 20);
		server->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		assert_true(server->fd >= 0 && server->listener >= 0);
		assert_true(address_parse(literal, port, &address));
		assert_int_equal(bind(server->fd, &address.any, address.length), 0);
		assert_int_equal(getsockname(server->fd, &address.any, &address.length), 0);
		if (bind(server->listener, &address.any, address.length) == 0) {
			break;
		}
		(void)close(server->fd);
		(void)close(server->listener);
	}
	assert_int_equal(listen(server->listener, 4), 0);
	server->port = test_port(&address);
	(void)address_print(&address, server->text);
	loop_io_start(&server->io, loop, server->fd, LOOP_READ, dns_server_on_datagram, server);
	loop_io_start(&server->listener_io, loop, server->listener, LOOP_READ,
		      dns_server_on_connect, server);
}

static inline void dns_server_start(struct dns_server *server, struct loop *loop)
{
	dns_server_start_at(server, loop, "127.0.0.1", 0);
}

static inline void dns_server_stop(struct dns_server *server)
{
	dns_server_drop_stream(server);
	loop_io_stop(&server->io);
	loop_io_stop(&server->listener_io);
	(void)close(server->fd);
	(void)close(server->listener);
}
