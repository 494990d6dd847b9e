/* SPDX-License-Identifier: MIT */
/*
 * One request, ready to be sent on any stream as often as replay needs it: method, the URL's parts,
 * header fields, body. The body is here, or it comes later, through an upload.
 */
#pragma once

#include "http/headers.h"
#include "net/url.h"

#define METHOD_MAX 32u

struct upload;

struct request {
	char method[METHOD_MAX + 1];
	struct url url;
	struct header_list headers;
	uint8_t *body; /* owned; NULL when there is none or it is empty */
	size_t body_length;
	bool has_body;
	bool expects_continue; /* the body waits for a 100 (RFC 9110, section 10.1.1) */
	bool streamed;         /* the body comes later: there is no `body` then, and */
	bool has_length;       /* it has this length, or nobody knows */
	uint64_t length;
	uint32_t user;         /* on whose account its streams count */
	struct upload *upload; /* what it comes through: borrowed, set by who sends the request */
};

/* What a client gives; all of it borrowed. */
struct request_spec {
	const char *url;
	const char *method; /* "": GET */
	const struct header_field *headers;
	size_t header_count;
	const uint8_t *body;
	size_t body_length;
	bool has_body;
	bool streamed; /* has a body that comes later, and no other */
	bool has_length;
	uint64_t length;
	uint32_t user;
	unsigned urgency; /* for the priority field (RFC 9218, section 4.1), 1 to 7; 0: nothing is
			     said */
};

/* Checks and copies. 0 and *ret_request filled (free with request_fini()); a positive failure code
 * and *ret_failure, which says what is wrong with what and what to do; -ENOMEM. */
int request_make(const struct request_spec *spec, const char *user_agent,
		 struct request *ret_request, struct failure *ret_failure);
/* Idempotent. */
void request_fini(struct request *request);

/* :path: the URL's, or "*" for OPTIONS without one (RFC 9113, section 8.3.1). */
const char *request_path(const struct request *request);
/* May it be sent twice without harm by its method alone (RFC 9110, section 9.2.2)? */
bool request_is_idempotent(const struct request *request);
/* Is there a byte of body to be sent, or may one come? */
bool request_has_content(const struct request *request);
/* May its response have a body (RFC 9110, section 6.4.1)? */
bool request_expects_body(const struct request *request);
