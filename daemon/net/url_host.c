/* SPDX-License-Identifier: MIT */
/*
 * The host of a URL: an address literal or a name, internationalised or not, brought into the one
 * form that DNS, SNI, certificates and :authority share. Stricter than RFC 3986's reg-name: what
 * comes out is letters, digits, hyphens, underscores and dots.
 */
#include "net/url_internal.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <idn2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_MAX 253u
#define LABEL_MAX 63u
/* As typed: UTF-8 can be longer than the A-labels that it stands for. */
#define HOST_TEXT_MAX 1024u
#define SHOWN_MAX 100

__attribute__((format(printf, 2, 3))) static int refuse(struct failure *ret_failure,
							const char *format, ...);

static int refuse(struct failure *ret_failure, const char *format, ...)
{
	char text[FAILURE_TEXT_MAX];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	failure_set(ret_failure, FAIL_URL_HOST, "%s", text);
	return FAIL_URL_HOST;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f');
}

static bool is_ldh(char c)
{
	/* Underscores are no LDH, but they are in real host names. */
	return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '_';
}

static void lower(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'Z') {
			*text = (char)(*text - 'A' + 'a');
		}
	}
}

/* Like "[::1]", with its brackets. */
static int prepare_bracketed(const char *text, size_t length, char **ret_host,
			     struct failure *ret_failure)
{
	char literal[INET6_ADDRSTRLEN];
	char canonical[INET6_ADDRSTRLEN];
	struct in6_addr address;
	int shown = length > SHOWN_MAX ? SHOWN_MAX : (int)length;

	if (memchr(text, '%', length)) {
		return refuse(ret_failure, "%.*s: an IPv6 zone cannot be part of a URL's host",
			      shown, text);
	}
	if (length < 2 || text[length - 1] != ']' || length - 2 >= sizeof(literal)) {
		return refuse(ret_failure, "%.*s is no IPv6 address in brackets", shown, text);
	}
	memcpy(literal, text + 1, length - 2);
	literal[length - 2] = '\0';
	if (inet_pton(AF_INET6, literal, &address) != 1 ||
	    !inet_ntop(AF_INET6, &address, canonical, sizeof(canonical))) {
		return refuse(ret_failure, "%.*s is no IPv6 address in brackets", shown, text);
	}
	*ret_host = strdup(canonical);
	return *ret_host ? 0 : -ENOMEM;
}

static bool has_a_label(const char *host)
{
	const char *label = host;

	while (label) {
		if (strncmp(label, "xn--", 4) == 0) {
			return true;
		}
		label = strchr(label, '.');
		label = label ? label + 1 : NULL;
	}
	return false;
}

/* IDNA2008 with UTS 46's mapping of case and width, non-transitional: "faß.de" keeps its sharp s.
 * Also checks that A-labels given as such are what IDNA would make. Replaces *host. */
static int apply_idna(char **host, struct failure *ret_failure)
{
	char *ascii = NULL;
	char *copy;
	int r = idn2_to_ascii_8z(*host, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);

	if (r == IDN2_MALLOC) {
		return -ENOMEM;
	}
	if (r != IDN2_OK) {
		return refuse(ret_failure, "%.*s is no valid internationalised host name: %s",
			      SHOWN_MAX, *host, idn2_strerror(r));
	}
	copy = strdup(ascii);
	idn2_free(ascii);
	if (!copy) {
		return -ENOMEM;
	}
	free(*host);
	*host = copy;
	return 0;
}

static int check_labels(const char *host, struct failure *ret_failure)
{
	const char *label = host;

	if (*host == '\0') {
		return refuse(ret_failure, "the host is empty");
	}
	if (strlen(host) > HOST_MAX) {
		return refuse(ret_failure, "%.40s...: a host name has at most %u characters", host,
			      HOST_MAX);
	}
	for (;;) {
		size_t length = strcspn(label, ".");

		if (length == 0) {
			return refuse(ret_failure, "%.*s: two dots, or one at the start", SHOWN_MAX,
				      host);
		}
		if (length > LABEL_MAX) {
			return refuse(ret_failure,
				      "%.*s: at most %u characters between the dots of a host name",
				      SHOWN_MAX, host, LABEL_MAX);
		}
		for (size_t i = 0; i < length; i++) {
			if (!is_ldh(label[i])) {
				return refuse(ret_failure,
					      "%.*s: '%c' cannot be part of a host name", SHOWN_MAX,
					      host, label[i]);
			}
		}
		if (label[0] == '-' || label[length - 1] == '-') {
			return refuse(ret_failure,
				      "%.*s: a hyphen cannot begin or end a part of a host name",
				      SHOWN_MAX, host);
		}
		if (label[length] == '\0') {
			return 0;
		}
		label += length + 1;
	}
}

/* Would inet_aton() and its like take it for a number? "127.1", "0x7f.1", "2130706433", "1.2.3.4.5"
 */
static bool ends_in_number(const char *host)
{
	const char *last = strrchr(host, '.');
	const char *label = last ? last + 1 : host;
	size_t length = strlen(label);
	size_t i = 0;

	if (label[0] == '0' && label[1] == 'x') {
		for (i = 2; i < length && is_hex(label[i]); i++) {
		}
	} else {
		for (i = 0; i < length && is_digit(label[i]); i++) {
		}
	}
	return length > 0 && i == length;
}

static int prepare_name(char **host, bool *ret_is_address, struct failure *ret_failure)
{
	struct address address;
	size_t length;
	bool ascii = true;
	int r;

	for (const char *c = *host; *c; c++) {
		ascii = ascii && ((unsigned char)*c & 0x80) == 0;
	}
	lower(*host);
	if (!ascii || has_a_label(*host)) {
		r = apply_idna(host, ret_failure);
		if (r != 0) {
			return r;
		}
		lower(*host);
	}
	length = strlen(*host);
	if (length > 1 && (*host)[length - 1] == '.') {
		(*host)[length - 1] = '\0'; /* "example.org." is the same host */
	}
	r = check_labels(*host, ret_failure);
	if (r != 0) {
		return r;
	}
	*ret_is_address = false;
	if (ends_in_number(*host)) {
		if (!address_parse(*host, 0, &address)) {
			return refuse(ret_failure,
				      "%.*s is no host name and no IPv4 address: write addresses "
				      "as four decimal numbers, like 192.0.2.1",
				      SHOWN_MAX, *host);
		}
		*ret_is_address = true;
	}
	return 0;
}

int url_host_prepare(const char *text, size_t length, char **ret_host, bool *ret_is_address,
		     struct failure *ret_failure)
{
	char *host;
	int r;

	if (length == 0) {
		return refuse(ret_failure, "the URL has no host");
	}
	if (length > HOST_TEXT_MAX) {
		return refuse(ret_failure, "%.40s...: a host name has at most %u characters", text,
			      HOST_MAX);
	}
	if (text[0] == '[') {
		r = prepare_bracketed(text, length, ret_host, ret_failure);
		if (r == 0) {
			*ret_is_address = true;
		}
		return r;
	}
	if (memchr(text, '%', length)) {
		return refuse(ret_failure,
			      "%.*s: a percent-encoded host is not taken; write the name itself, "
			      "in UTF-8 or with xn--",
			      length > SHOWN_MAX ? SHOWN_MAX : (int)length, text);
	}
	host = malloc(length + 1);
	if (!host) {
		return -ENOMEM;
	}
	memcpy(host, text, length);
	host[length] = '\0';
	r = prepare_name(&host, ret_is_address, ret_failure);
	if (r != 0) {
		free(host);
		return r;
	}
	*ret_host = host;
	return 0;
}
