/* SPDX-License-Identifier: MIT */
/*
 * Making and freeing requests, and what their methods mean.
 */
#include "http/request.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A request's own ceilings; the local protocol's frame limit keeps real ones below. */
#define REQUEST_HEADERS_MAX (128u + 3u) /* user-agent, content-length, priority */
#define REQUEST_HEADER_LIST_MAX (128u * 1024)

static int set_method(struct request *request, const char *method, struct failure *failure)
{
	size_t length = strlen(method);

	if (length == 0) {
		method = "GET";
		length = 3;
	}
	if (length > METHOD_MAX || !header_is_token(method, length)) {
		failure_set(failure, FAIL_METHOD_INVALID,
			    "the method \"%.32s\" is not a token of at most %u characters", method,
			    METHOD_MAX);
		return FAIL_METHOD_INVALID;
	}
	if (strcmp(method, "CONNECT") == 0) {
		failure_set(failure, FAIL_METHOD_INVALID,
			    "CONNECT opens tunnels; fetchd only fetches");
		return FAIL_METHOD_INVALID;
	}
	memcpy(request->method, method, length + 1);
	return 0;
}

static int set_body(struct request *request, const struct request_spec *spec,
		    struct failure *failure)
{
	if (!spec->has_body && !spec->streamed) {
		return 0;
	}
	if (spec->has_body && spec->streamed) {
		failure_set(failure, FAIL_BODY_INVALID,
			    "the request has a body and an upload; it can have only one of them");
		return FAIL_BODY_INVALID;
	}
	if (strcmp(request->method, "TRACE") == 0) {
		failure_set(failure, FAIL_BODY_INVALID,
			    "a TRACE request has no body (RFC 9110, section 9.3.8)");
		return FAIL_BODY_INVALID;
	}
	if (spec->streamed && spec->has_length && spec->length > INT64_MAX) {
		failure_set(failure, FAIL_BODY_INVALID,
			    "an upload of %" PRIu64 " bytes is too long: at most 2^63 - 1",
			    spec->length);
		return FAIL_BODY_INVALID;
	}
	request->has_body = true;
	request->streamed = spec->streamed;
	request->has_length = spec->streamed && spec->has_length;
	request->length = request->has_length ? spec->length : 0;
	if (spec->body_length == 0) {
		return 0;
	}
	request->body = malloc(spec->body_length);
	if (!request->body) {
		return -ENOMEM;
	}
	memcpy(request->body, spec->body, spec->body_length);
	request->body_length = spec->body_length;
	return 0;
}

/* For header_list_make_request(). */
static int64_t announced_length(const struct request *request)
{
	if (!request->has_body) {
		return HEADER_NO_BODY;
	}
	if (!request->streamed) {
		return (int64_t)request->body_length;
	}
	return request->has_length ? (int64_t)request->length : HEADER_LENGTH_UNKNOWN;
}

/* RFC 9218, section 4: said only where it is not the default, and not if the client says it itself.
 */
static int add_priority(struct request *request, unsigned urgency)
{
	char value[16];
	struct header_field field = {.name = "priority", .name_length = 8, .value = value};

	if (urgency == 0 || header_list_find(&request->headers, "priority", 0) <
				    header_list_count(&request->headers)) {
		return 0;
	}
	snprintf(value, sizeof(value), "u=%u", urgency);
	field.value_length = strlen(value);
	return header_list_add(&request->headers, &field);
}

int request_make(const struct request_spec *spec, const char *user_agent,
		 struct request *ret_request, struct failure *ret_failure)
{
	struct request request = {0};
	int rc = 0;

	request.user = spec->user;
	header_list_init(&request.headers, REQUEST_HEADER_LIST_MAX, REQUEST_HEADERS_MAX);
	rc = set_method(&request, spec->method, ret_failure);
	if (rc == 0) {
		rc = url_parse(spec->url, strlen(spec->url), &request.url, ret_failure);
	}
	if (rc == 0) {
		rc = set_body(&request, spec, ret_failure);
	}
	if (rc == 0) {
		rc = header_list_make_request(&request.headers, spec->headers, spec->header_count,
					      request.url.authority, announced_length(&request),
					      user_agent, ret_failure);
	}
	if (rc == 0) {
		rc = add_priority(&request, spec->urgency);
	}
	request.expects_continue = header_list_find(&request.headers, "expect", 0) <
				   header_list_count(&request.headers);
	if (rc != 0) {
		request_fini(&request);
		return rc;
	}
	*ret_request = request;
	return 0;
}

void request_fini(struct request *request)
{
	url_fini(&request->url);
	header_list_clear(&request->headers);
	free(request->body);
	*request = (struct request){0};
}

const char *request_path(const struct request *request)
{
	if (request->url.path_empty && strcmp(request->method, "OPTIONS") == 0) {
		return "*";
	}
	return request->url.path;
}

bool request_is_idempotent(const struct request *request)
{
	static const char *const idempotent[] = {"GET",   "HEAD", "OPTIONS",
						 "TRACE", "PUT",  "DELETE"};

	for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++) {
		if (strcmp(request->method, idempotent[i]) == 0) {
			return true;
		}
	}
	return false;
}

bool request_has_content(const struct request *request)
{
	return request->body_length > 0 ||
	       (request->streamed && !(request->has_length && request->length == 0));
}

bool request_expects_body(const struct request *request)
{
	return strcmp(request->method, "HEAD") != 0;
}
