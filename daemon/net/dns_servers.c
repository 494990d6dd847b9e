/* SPDX-License-Identifier: MIT */
/*
 * The list of DNS servers in the configuration, taken apart strictly: a server that is mistyped is
 * an error, not one server less.
 */
#include "net/dns_servers.h"

#include <errno.h>
#include <string.h>

#define SERVER_TEXT_MAX 64u

static int parse_port(const char *text, uint16_t *ret_port)
{
	unsigned value = 0;

	if (*text == '\0' || strlen(text) > 5) {
		return -EINVAL;
	}
	for (; *text; text++) {
		if (*text < '0' || *text > '9') {
			return -EINVAL;
		}
		value = value * 10 + (unsigned)(*text - '0');
	}
	if (value == 0 || value > UINT16_MAX) {
		return -EINVAL;
	}
	*ret_port = (uint16_t)value;
	return 0;
}

static int parse_server(char *text, uint16_t port, struct address *ret_server)
{
	char *literal = text;
	char *port_text = NULL;

	if (text[0] == '[') {
		char *end = strchr(text, ']');

		literal++;
		if (!end || (end[1] != '\0' && end[1] != ':')) {
			return -EINVAL;
		}
		port_text = end[1] == ':' ? end + 2 : NULL;
		*end = '\0';
		if (!strchr(literal, ':')) {
			return -EINVAL;
		}
	} else {
		char *colon = strchr(text, ':');

		if (colon && !strchr(colon + 1, ':')) {
			*colon = '\0';
			port_text = colon + 1;
		}
	}
	if (port_text && parse_port(port_text, &port) < 0) {
		return -EINVAL;
	}
	return address_parse(literal, port, ret_server) ? 0 : -EINVAL;
}

int dns_servers_parse(const char *list, uint16_t port, struct address servers[DNS_SERVERS_MAX],
		      unsigned *ret_count)
{
	static const char separators[] = " \t,";
	unsigned count = 0;

	for (list += strspn(list, separators); *list; list += strspn(list, separators)) {
		char text[SERVER_TEXT_MAX];
		size_t length = strcspn(list, separators);

		if (length >= sizeof(text) || count == DNS_SERVERS_MAX) {
			return -EINVAL;
		}
		memcpy(text, list, length);
		text[length] = '\0';
		if (parse_server(text, port, &servers[count]) < 0) {
			return -EINVAL;
		}
		count++;
		list += length;
	}
	*ret_count = count;
	return 0;
}
