/* SPDX-License-Identifier: MIT */
/*
 * Redirections (RFC 9110, section 15.4): from a request and the answer to it, the next request, or
 * why there is none. Pure: counts nothing, sends nothing.
 */
#pragma once

#include "base/failure.h"
#include "http/headers.h"
#include "http/request.h"

#include <stdbool.h>

struct redirect_policy {
	bool to_cleartext;     /* the client allows a way from https to http */
	const char *h2c_hosts; /* pool.h2c_hosts: where http may go */
	bool body_gone;        /* the request's body cannot be sent a second time */
};

/* Does a response lead somewhere else: 301, 302, 303, 307 or 308 with a Location? */
bool redirect_is(unsigned status, const struct header_list *headers);

/* Makes the request that such a response leads to. 0 and *ret_request, which shares nothing with
 * `from` but its upload (free with request_fini()); a positive failure code (REDIRECT_INVALID,
 * REDIRECT_CLEARTEXT) and *ret_failure, a chain that says why not; -ENOMEM.
 *
 * 301 and 302 make POST a GET, 303 makes everything but HEAD a GET; 307 and 308 change nothing.
 * With the method goes the body, and what describes it: so also after a 303 to HEAD. To another
 * origin, what is secret does not go along; what is left out stays out, as the next request is made
 * from this one. */
int redirect_make(const struct request *from, unsigned status, const struct header_list *headers,
		  const struct redirect_policy *policy, struct request *ret_request,
		  struct failure *ret_failure);
