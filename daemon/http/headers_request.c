/* SPDX-License-Identifier: MIT */
/*
 * The rules for a request's header fields: what a client may say, and what fetchd says itself.
 */
#include "http/headers.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_MAX_BYTES 256u

/* Connection-specific fields: meaningless in HTTP/2, a malformed request with them (RFC 9113,
 * section 8.2.2). */
static const char *const connection_specific[] = {
	"connection",        "keep-alive", "proxy-connection",
	"transfer-encoding", "upgrade",    "http2-settings",
};

static bool is_token_char(unsigned char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

bool header_is_token(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!is_token_char((unsigned char)text[i])) {
			return false;
		}
	}
	return length > 0;
}

static bool value_is_valid(const char *value, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (value[i] == '\0' || value[i] == '\r' || value[i] == '\n') {
			return false;
		}
	}
	return true;
}

static bool equals(const char *a, size_t a_length, const char *b)
{
	return a_length == strlen(b) && strncasecmp(a, b, a_length) == 0;
}

/* RFC 9110, section 5.5: blanks round a value are no part of it. */
static void trim(struct header_field *field)
{
	while (field->value_length && (field->value[0] == ' ' || field->value[0] == '\t')) {
		field->value++;
		field->value_length--;
	}
	while (field->value_length && (field->value[field->value_length - 1] == ' ' ||
				       field->value[field->value_length - 1] == '\t')) {
		field->value_length--;
	}
}

static int refuse(struct failure *failure, size_t index, const struct header_field *field,
		  const char *why)
{
	failure_set(failure, FAIL_HEADER_INVALID, "header field %zu (\"%.*s\"): %s", index + 1,
		    (int)(field->name_length < 64 ? field->name_length : 64),
		    field->name_length ? field->name : "", why);
	return FAIL_HEADER_INVALID;
}

/* 0: goes out; 1: is dropped; FAIL_HEADER_INVALID: refused. */
static int check(const struct header_field *field, size_t index, const char *authority,
		 int64_t body_length, struct failure *failure)
{
	uint64_t length = 0;

	if (field->name_length > 0 && field->name[0] == ':') {
		return refuse(failure, index, field,
			      "a pseudo-header field; the URL and the method say that");
	}
	if (!header_is_token(field->name, field->name_length) ||
	    field->name_length > NAME_MAX_BYTES) {
		return refuse(failure, index, field,
			      "the name is not a token of 1 to 256 characters");
	}
	if (!value_is_valid(field->value, field->value_length)) {
		return refuse(failure, index, field, "the value holds a line break or a NUL");
	}
	for (size_t i = 0; i < sizeof(connection_specific) / sizeof(connection_specific[0]); i++) {
		if (equals(field->name, field->name_length, connection_specific[i])) {
			return refuse(failure, index, field,
				      "belongs to one connection and does not exist in HTTP/2; "
				      "leave it out");
		}
	}
	if (equals(field->name, field->name_length, "te") &&
	    !equals(field->value, field->value_length, "trailers")) {
		return refuse(failure, index, field, "HTTP/2 allows only the value \"trailers\"");
	}
	if (equals(field->name, field->name_length, "host")) {
		if (equals(field->value, field->value_length, authority)) {
			return 1;
		}
		return refuse(failure, index, field,
			      "differs from the URL's authority; change the URL instead");
	}
	if (equals(field->name, field->name_length, "expect")) {
		if (!equals(field->value, field->value_length, "100-continue")) {
			return refuse(failure, index, field,
				      "HTTP knows only the value \"100-continue\"");
		}
		if (body_length == 0 || body_length == HEADER_NO_BODY) {
			return refuse(failure, index, field,
				      "there is no body whose sending could wait; leave it out");
		}
	}
	if (equals(field->name, field->name_length, "content-length")) {
		if (body_length >= 0 &&
		    header_parse_length(field->value, field->value_length, &length) &&
		    length == (uint64_t)body_length) {
			return 1;
		}
		return refuse(
			failure, index, field,
			body_length == HEADER_LENGTH_UNKNOWN
				? "the upload has no length; say it there, and leave this out"
				: "differs from the body's length, which is computed; leave it "
				  "out");
	}
	return 0;
}

static int add_text(struct header_list *list, const char *name, const char *value)
{
	return header_list_add(list, &(struct header_field){.name = name,
							    .name_length = strlen(name),
							    .value = value,
							    .value_length = strlen(value)});
}

static int add_all(struct header_list *list, const struct header_field *fields, size_t count,
		   const char *authority, int64_t body_length, const char *user_agent,
		   struct failure *failure)
{
	bool has_user_agent = false;
	char number[24];
	int rc = 0;

	for (size_t i = 0; i < count; i++) {
		struct header_field field = fields[i];
		char name[NAME_MAX_BYTES];

		trim(&field);
		rc = check(&field, i, authority, body_length, failure);
		if (rc == 1) {
			rc = 0; /* also when it was the last field */
			continue;
		}
		if (rc != 0) {
			return rc;
		}
		for (size_t k = 0; k < field.name_length; k++) {
			name[k] = (char)tolower((unsigned char)field.name[k]);
		}
		field.name = name;
		has_user_agent |= equals(name, field.name_length, "user-agent");
		rc = header_list_add(list, &field);
		if (rc == -ENOBUFS) {
			return refuse(failure, i, &field,
				      "the header fields together are too large");
		}
		if (rc < 0) {
			return rc;
		}
	}
	if (!has_user_agent && user_agent[0]) {
		rc = add_text(list, "user-agent", user_agent);
	}
	if (rc == 0 && body_length >= 0) {
		snprintf(number, sizeof(number), "%" PRId64, body_length);
		rc = add_text(list, "content-length", number);
	}
	if (rc == -ENOBUFS) {
		failure_set(failure, FAIL_HEADER_INVALID,
			    "the header fields together are too large");
		return FAIL_HEADER_INVALID;
	}
	return rc;
}

int header_list_make_request(struct header_list *list, const struct header_field *fields,
			     size_t count, const char *authority, int64_t body_length,
			     const char *user_agent, struct failure *ret_failure)
{
	int rc = add_all(list, fields, count, authority, body_length, user_agent, ret_failure);

	if (rc != 0) {
		header_list_clear(list);
	}
	return rc;
}
