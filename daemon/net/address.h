/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses: literals in, text out.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	};
	socklen_t length;
};

#define ADDRESS_TEXT_MAX 64u

/* Parses an IPv4 or IPv6 literal (no brackets, no zone). False if it is none. */
bool address_parse(const char *literal, uint16_t port, struct address *ret_address);
/* "192.0.2.1:443", "[2001:db8::1]:443"; returns buffer. */
const char *address_print(const struct address *address, char buffer[ADDRESS_TEXT_MAX]);
