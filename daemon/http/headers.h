/* SPDX-License-Identifier: MIT */
/*
 * Header fields (RFC 9110, section 5): a bounded list that owns its bytes, and the rules for the
 * fields of a request. Values are octets; nothing here assumes a character set.
 */
#pragma once

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed bytes, not NUL-terminated. */
struct header_field {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
};

/* Fields in order, repeats kept. Two ceilings: the number of fields, and their size as RFC 9113,
 * section 6.5.2 counts it (name + value + 32 each). Fields are private. */
struct header_list {
	char *text;                /* names and values, end to end */
	struct header_slot *slots; /* where each field is in text */
	uint32_t count;
	uint32_t slot_room;
	uint32_t text_length;
	uint32_t text_room;
	uint32_t size; /* as counted for the ceiling */
	uint32_t max_size;
	uint32_t max_count;
};

/* Empty; allocates nothing. */
void header_list_init(struct header_list *list, uint32_t max_size, uint32_t max_count);
/* Frees the content; the list is empty and usable again. Idempotent. */
void header_list_clear(struct header_list *list);

/* Copies one field to the end. 0; -ENOBUFS at a ceiling, -ENOMEM: then the list is as before. */
int header_list_add(struct header_list *list, const struct header_field *field);
uint32_t header_list_count(const struct header_list *list);
/* Field `index`, which must exist (asserted). Valid until the list changes. */
struct header_field header_list_get(const struct header_list *list, uint32_t index);
/* First field of that lower-case name at or after `from`; returns its index, or the count if there
 * is none. */
uint32_t header_list_find(const struct header_list *list, const char *name, uint32_t from);

/* Is it a token (RFC 9110, section 5.6.2)? False for an empty one. */
bool header_is_token(const char *text, size_t length);

#define HEADER_NO_BODY (-1)
#define HEADER_LENGTH_UNKNOWN (-2)

/* Makes a request's header fields from what the client gave: names lower-cased, every one checked.
 * `authority` is the URL's: a Host field that equals it is dropped. `body_length` is one of the two
 * above, or the length: a Content-Length field that equals it is dropped (the length is always
 * computed), another is refused. Adds `user-agent` if there is none and `user_agent` is not empty,
 * and `content-length` when there is a body of known length. 0 and *list filled; HEADER_INVALID
 * (positive) and *ret_failure, which names the field; -ENOMEM. */
int header_list_make_request(struct header_list *list, const struct header_field *fields,
			     size_t count, const char *authority, int64_t body_length,
			     const char *user_agent, struct failure *ret_failure);

/* The value as a Content-Length (RFC 9110, section 8.6): decimal digits only. False if it is none
 * or above INT64_MAX. */
bool header_parse_length(const char *value, size_t length, uint64_t *ret_length);
/* May the field go into the connection's compression table? Clients of different users share
 * connections, and a shared table lets one guess another's values by the size of its own requests
 * (RFC 7541, section 7.1): so only fields that are no secret by their nature, and the pseudo-header
 * fields but :path, which nghttp2 keeps out by itself. */
bool header_may_be_indexed(const char *name, size_t length);
