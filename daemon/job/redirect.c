/* SPDX-License-Identifier: MIT */
/*
 * The rules of redirection.
 */
#include "job/redirect.h"

#include "job/policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define LOCATION_SHOWN_MAX 120

/* Fields that describe the body, beside content-* (RFC 9110, section 15.4; RFC 9530). */
static const char *const of_the_body[] = {"expect", "trailer", "digest", "repr-digest",
					  "last-modified"};

/* Fields that are meant for one origin's eyes. */
static const char *const of_the_origin[] = {"authorization", "proxy-authorization", "cookie",
					    "cookie2"};

bool redirect_is(unsigned status, const struct header_list *headers)
{
	return (status == 301 || status == 302 || status == 303 || status == 307 ||
		status == 308) &&
	       header_list_find(headers, "location", 0) < header_list_count(headers);
}

static bool is_one_of(const struct header_field *field, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (field->name_length == strlen(names[i]) &&
		    memcmp(field->name, names[i], field->name_length) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_prefix(const char *text, size_t length, const char *prefix)
{
	size_t wanted = strlen(prefix);

	return length >= wanted && strncasecmp(text, prefix, wanted) == 0;
}

struct step {
	bool without_body;
	bool to_other_origin;
	bool to_cleartext;
};

static bool goes_along(const struct header_field *field, const struct step *step)
{
	if (step->without_body &&
	    (has_prefix(field->name, field->name_length, "content-") ||
	     is_one_of(field, of_the_body, sizeof(of_the_body) / sizeof(of_the_body[0])))) {
		return false;
	}
	if (step->to_other_origin &&
	    is_one_of(field, of_the_origin, sizeof(of_the_origin) / sizeof(of_the_origin[0]))) {
		return false;
	}
	/* RFC 9110, section 10.1.3: where one came from over TLS is not told without. */
	return !(step->to_cleartext && field->name_length == strlen("referer") &&
		 memcmp(field->name, "referer", field->name_length) == 0 &&
		 has_prefix(field->value, field->value_length, "https:"));
}

static int copy_headers(const struct header_list *from, const struct step *step,
			struct header_list *to)
{
	int rc = 0;

	header_list_init(to, from->max_size, from->max_count);
	for (uint32_t i = 0; rc == 0 && i < header_list_count(from); i++) {
		struct header_field field = header_list_get(from, i);

		if (goes_along(&field, step)) {
			rc = header_list_add(to, &field);
		}
	}
	return rc;
}

static int copy_body(const struct request *from, struct request *to)
{
	to->has_body = from->has_body;
	to->streamed = from->streamed;
	to->has_length = from->has_length;
	to->length = from->length;
	to->upload = from->upload;
	if (from->body_length == 0) {
		return 0;
	}
	to->body = malloc(from->body_length);
	if (!to->body) {
		return -ENOMEM;
	}
	memcpy(to->body, from->body, from->body_length);
	to->body_length = from->body_length;
	return 0;
}

/* True if the request goes on without its body. */
static bool set_method(const struct request *from, unsigned status, struct request *to)
{
	bool is_post = strcmp(from->method, "POST") == 0;
	bool is_head = strcmp(from->method, "HEAD") == 0;
	const char *method = from->method;

	if ((status == 303 && !is_head) || ((status == 301 || status == 302) && is_post)) {
		method = "GET";
	}
	memcpy(to->method, method, strlen(method) + 1);
	return status == 303 || strcmp(method, from->method) != 0;
}

/* Blanks round a value are no part of it (RFC 9110, section 5.5). */
static struct header_field trimmed(struct header_field field)
{
	while (field.value_length > 0 && (field.value[0] == ' ' || field.value[0] == '\t')) {
		field.value++;
		field.value_length--;
	}
	while (field.value_length > 0 && (field.value[field.value_length - 1] == ' ' ||
					  field.value[field.value_length - 1] == '\t')) {
		field.value_length--;
	}
	return field;
}

/* Puts the link about the Location in front of what is wrong with it. A password in it is not
 * repeated. */
static void quote(unsigned status, const struct header_field *location, struct failure *failure)
{
	char shown[LOCATION_SHOWN_MAX + 1];
	size_t length = location->value_length < LOCATION_SHOWN_MAX ? location->value_length
								    : LOCATION_SHOWN_MAX;

	if (failure_top(failure) == FAIL_URL_USERINFO) {
		failure_wrap(failure, FAIL_REDIRECT_INVALID,
			     "the Location of a response with status %u is not followed", status);
		return;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)location->value[i];

		shown[i] = c >= 0x20 && c < 0x7f ? (char)c : '?';
	}
	shown[length] = '\0';
	failure_wrap(failure, FAIL_REDIRECT_INVALID,
		     "the Location of a response with status %u is not followed: \"%s%s\"", status,
		     shown, length < location->value_length ? "..." : "");
}

static int find_target(const struct request *from, unsigned status,
		       const struct header_list *headers, struct url *ret_url,
		       struct failure *failure)
{
	uint32_t index = header_list_find(headers, "location", 0);
	struct header_field location = trimmed(header_list_get(headers, index));
	int rc = 0;

	if (header_list_find(headers, "location", index + 1) < header_list_count(headers)) {
		failure_set(failure, FAIL_REDIRECT_INVALID,
			    "a response with status %u has more than one Location field", status);
		return FAIL_REDIRECT_INVALID;
	}
	rc = url_resolve(&from->url, location.value, location.value_length, ret_url, failure);
	if (rc > 0) {
		quote(status, &location, failure);
		return FAIL_REDIRECT_INVALID;
	}
	return rc;
}

static int check_target(const struct request *from, const struct url *to,
			const struct redirect_policy *policy, struct failure *failure)
{
	if (to->tls) {
		return 0;
	}
	if (from->url.tls && !policy->to_cleartext) {
		failure_set(failure, FAIL_REDIRECT_CLEARTEXT,
			    "a redirection leads from https to http, at %s; the client does not "
			    "allow that",
			    to->authority);
		return FAIL_REDIRECT_CLEARTEXT;
	}
	if (policy_check(policy->h2c_hosts, to, failure) != 0) {
		failure_wrap(failure, FAIL_REDIRECT_CLEARTEXT, "a redirection leads to http, at %s",
			     to->authority);
		return FAIL_REDIRECT_CLEARTEXT;
	}
	return 0;
}

static int make(const struct request *from, unsigned status, const struct header_list *headers,
		const struct redirect_policy *policy, struct request *to, struct failure *failure)
{
	struct step step = {0};
	int rc = find_target(from, status, headers, &to->url, failure);

	if (rc == 0) {
		rc = check_target(from, &to->url, policy, failure);
	}
	if (rc != 0) {
		return rc;
	}
	step.without_body = set_method(from, status, to);
	step.to_other_origin = !url_same_origin(&from->url, &to->url);
	step.to_cleartext = from->url.tls && !to->url.tls;
	if (!step.without_body && policy->body_gone) {
		failure_set(failure, FAIL_REDIRECT_INVALID,
			    "a response with status %u asks for the request's body again, which is "
			    "no longer held",
			    status);
		return FAIL_REDIRECT_INVALID;
	}
	rc = copy_headers(&from->headers, &step, &to->headers);
	if (rc == 0 && !step.without_body) {
		rc = copy_body(from, to);
	}
	to->expects_continue = to->has_body && from->expects_continue;
	return rc;
}

int redirect_make(const struct request *from, unsigned status, const struct header_list *headers,
		  const struct redirect_policy *policy, struct request *ret_request,
		  struct failure *ret_failure)
{
	struct request to = {.user = from->user};
	int rc = make(from, status, headers, policy, &to, ret_failure);

	if (rc != 0) {
		request_fini(&to);
		return rc;
	}
	*ret_request = to;
	return 0;
}
