/* SPDX-License-Identifier: MIT */
/*
 * URLs as a fetch needs them: split by RFC 3986 (uriparser), the host made fit for DNS and for
 * certificates by IDNA2008 (libidn2), and the pieces that HTTP/2's pseudo-header fields want (RFC
 * 9113, section 8.3.1).
 */
#pragma once

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URL_MAX 8192u

/* Owned by url_parse()'s caller; free with url_fini(). */
struct url {
	bool tls;        /* https */
	bool is_address; /* the host is an IPv4 or IPv6 literal */
	uint16_t port;   /* explicit or the scheme's default */
	char *host; /* lower case, A-labels; an IPv6 literal without brackets and in canonical form;
		       no trailing dot */
	char *authority; /* host[:port] for :authority; brackets round IPv6; the port only if it is
			    not the default */
	char *path; /* path and query for :path; never empty: "/" at least; fragment left out; dot
		       segments removed */
	bool path_empty; /* the URL had neither path nor query: OPTIONS asks for "*" then */
};

/* Parses `length` bytes at `text`. 0 and *ret_url set; a positive failure code (URL_INVALID,
 * URL_SCHEME, URL_USERINFO, URL_HOST) with *ret_failure set: its text says what is wrong, where,
 * and what to do instead, but never repeats a password; -ENOMEM. Refused: no scheme, no host, user
 * information, control characters, blanks and bytes above 0x7f outside the host (they have to be
 * percent-encoded), a port outside 1..65535, zone ids, hosts IDNA2008 does not allow. */
int url_parse(const char *text, size_t length, struct url *ret_url, struct failure *ret_failure);
/* Resolves a reference against a URL (RFC 3986, section 5.2, strictly): a whole URL, "//host/path",
 * "/path", "path", "?query", "#fragment" or nothing. Taken and refused is what url_parse() takes
 * and refuses, with the same returns; a fragment is dropped. `ret_url` may not be `base`. */
int url_resolve(const struct url *base, const char *reference, size_t length, struct url *ret_url,
		struct failure *ret_failure);
/* The URL as text, in ASCII: malloc()ed; NULL when out of memory. */
char *url_print(const struct url *url);
/* Have they the same origin: scheme, host and port (RFC 9110, section 4.3.1)? */
bool url_same_origin(const struct url *a, const struct url *b);
/* Idempotent on an all-zero or parsed url. */
void url_fini(struct url *url);
