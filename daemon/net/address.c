/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses: literals in, text out. Names are dns.c's business.
 */
#include "net/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

bool address_parse(const char *literal, uint16_t port, struct address *ret_address)
{
	struct address address;

	memset(&address, 0, sizeof(address));
	if (inet_pton(AF_INET, literal, &address.in.sin_addr) == 1) {
		address.in.sin_family = AF_INET;
		address.in.sin_port = htons(port);
		address.length = sizeof(address.in);
	} else if (inet_pton(AF_INET6, literal, &address.in6.sin6_addr) == 1) {
		address.in6.sin6_family = AF_INET6;
		address.in6.sin6_port = htons(port);
		address.length = sizeof(address.in6);
	} else {
		return false;
	}
	*ret_address = address;
	return true;
}

const char *address_print(const struct address *address, char buffer[ADDRESS_TEXT_MAX])
{
	char text[INET6_ADDRSTRLEN];

	if (address->any.sa_family == AF_INET &&
	    inet_ntop(AF_INET, &address->in.sin_addr, text, sizeof(text))) {
		(void)snprintf(buffer, ADDRESS_TEXT_MAX, "%s:%u", text,
			       (unsigned)ntohs(address->in.sin_port));
	} else if (address->any.sa_family == AF_INET6 &&
		   inet_ntop(AF_INET6, &address->in6.sin6_addr, text, sizeof(text))) {
		(void)snprintf(buffer, ADDRESS_TEXT_MAX, "[%s]:%u", text,
			       (unsigned)ntohs(address->in6.sin6_port));
	} else {
		(void)snprintf(buffer, ADDRESS_TEXT_MAX, "(no address)");
	}
	return buffer;
}
