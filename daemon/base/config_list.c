/* SPDX-License-Identifier: MIT */
/*
 * Lists, and what strings and the items of lists must look like.
 */
#include "base/config_internal.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static const char separators[] = " \t,";

bool config_list_next(const char **cursor, const char **ret_item, size_t *ret_length)
{
	if (!*cursor) {
		return false;
	}
	const char *item = *cursor + strspn(*cursor, separators);
	size_t length = strcspn(item, separators);
	*cursor = item + length;
	if (length == 0) {
		return false;
	}
	*ret_item = item;
	*ret_length = length;
	return true;
}

bool config_list_contains(const char *list, const char *item)
{
	size_t wanted = strlen(item);
	const char *at;
	size_t length;
	while (config_list_next(&list, &at, &length)) {
		/* strncasecmp() of the C locale, which is the only one that the daemon sets. */
		if (length == wanted && strncasecmp(at, item, length) == 0) {
			return true;
		}
	}
	return false;
}

const char *config_check_path(const char *text)
{
	return text[0] == '\0' || text[0] == '/' ? NULL : "a path must begin with \"/\"";
}

const char *config_check_field_value(const char *text)
{
	for (; *text != '\0'; ++text) {
		if (*text < 0x20 || *text > 0x7e) {
			return "only printable ASCII characters are allowed";
		}
	}
	return NULL;
}

/* 1 to 65535, without leading zeros, so that one port has one spelling. */
static bool is_port(const char *text)
{
	unsigned value = 0;
	if (text[0] == '0' || text[0] == '\0') {
		return false;
	}
	for (; *text != '\0'; ++text) {
		if (*text < '0' || *text > '9') {
			return false;
		}
		value = value * 10 + (unsigned)(*text - '0');
		if (value > 65535) {
			return false;
		}
	}
	return true;
}

/* What stands before the port. */
struct endpoint {
	char host[256];
	bool brackets;
	bool has_port;
};

static const char *split(const char *text, struct endpoint *ret_endpoint)
{
	const char *host = text;
	const char *end = NULL;
	const char *port = NULL;
	memset(ret_endpoint, 0, sizeof(*ret_endpoint));
	if (text[0] == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (!end || (end[1] != '\0' && end[1] != ':')) {
			return "the brackets are not closed, or something else than a port follows";
		}
		ret_endpoint->brackets = true;
		port = end[1] == ':' ? end + 2 : NULL;
	} else {
		const char *colon = strchr(text, ':');
		/* More than one colon: an IPv6 address without a port. */
		if (colon && !strchr(colon + 1, ':')) {
			end = colon;
			port = colon + 1;
		} else {
			end = text + strlen(text);
		}
	}
	size_t length = (size_t)(end - host);
	if (length == 0 || length >= sizeof(ret_endpoint->host)) {
		return "the host is missing or too long";
	}
	memcpy(ret_endpoint->host, host, length);
	ret_endpoint->has_port = port != NULL;
	if (port && !is_port(port)) {
		return "the port is not a number from 1 to 65535";
	}
	return NULL;
}

const char *config_check_address(const char *text)
{
	struct endpoint endpoint;
	unsigned char address[16];
	const char *wrong = split(text, &endpoint);
	if (wrong) {
		return wrong;
	}
	if (inet_pton(AF_INET6, endpoint.host, address) == 1 ||
	    (!endpoint.brackets && inet_pton(AF_INET, endpoint.host, address) == 1)) {
		return NULL;
	}
	return "this is not an IP address";
}

const char *config_check_host(const char *text)
{
	static const char name_characters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
	struct endpoint endpoint;
	unsigned char address[16];
	const char *wrong = split(text, &endpoint);
	if (wrong) {
		return wrong;
	}
	if (strchr(endpoint.host, ':') || endpoint.brackets) {
		char canonical[INET6_ADDRSTRLEN];
		if (inet_pton(AF_INET6, endpoint.host, address) != 1) {
			return "this is not an IPv6 address";
		}
		if (endpoint.brackets && !endpoint.has_port) {
			return "brackets are for an address with a port";
		}
		/* Hosts are compared as text, so there must be one spelling. */
		if (!inet_ntop(AF_INET6, address, canonical, sizeof(canonical)) ||
		    strcasecmp(canonical, endpoint.host) != 0) {
			return "this is not the shortest form of the address";
		}
		return NULL;
	}
	if (endpoint.host[strspn(endpoint.host, name_characters)] != '\0') {
		return "this is not a host name in its ASCII form";
	}
	return NULL;
}

const char *config_check_error_status(const char *text)
{
	bool digits = strlen(text) == 3 && strspn(text, "0123456789") == 3;
	return digits && (text[0] == '4' || text[0] == '5')
		       ? NULL
		       : "this is not a status from 400 to 599";
}
