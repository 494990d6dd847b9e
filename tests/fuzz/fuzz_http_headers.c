/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: header lists, and what becomes of the header fields that a client gives for its
 * request. The rules are said a second time here, as plainly as can be, and both have to agree on
 * every field: what is let through, what is dropped, what is refused. What came out goes in once
 * more and comes out alike.
 *
 * Input: one byte for the user agent and the body, one for the ceilings of the list; then fields:
 * name, fd, value, fe. The byte fc takes the byte behind it as it is.
 */
#include "http/headers.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 64u
#define OVERHEAD 32u
#define NAME_MAX_LENGTH 256u
#define AUTHORITY "www.example.org:8443"

#define END_OF_NAME 0xfdu
#define END_OF_FIELD 0xfeu
#define ESCAPE 0xfcu

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fields {
	char *memory[2 * FIELDS_MAX]; /* each name and value in memory of its own */
	struct header_field field[FIELDS_MAX];
	size_t count;
};

/* ---- the input's fields ---- */

/* Up to a separator or the end; returns how much of the input it took. */
static size_t read_part(const uint8_t *data, size_t size, uint8_t end, char **ret_part,
			size_t *ret_length)
{
	char *part = malloc(size + 1);
	size_t length = 0;
	size_t at = 0;

	assert(part);
	for (; at < size && data[at] != end; at++) {
		if (data[at] == ESCAPE && at + 1 < size) {
			at++;
		}
		part[length++] = (char)data[at];
	}
	*ret_length = length;
	/* So that a look behind it is seen. */
	*ret_part = realloc(part, length ? length : 1);
	assert(*ret_part);
	return at < size ? at + 1 : at;
}

static void read_fields(const uint8_t *data, size_t size, struct fields *fields)
{
	fields->count = 0;
	while (size > 0 && fields->count < FIELDS_MAX) {
		size_t i = fields->count++;
		struct header_field *field = &fields->field[i];
		size_t used = read_part(data, size, END_OF_NAME, &fields->memory[2 * i],
					&field->name_length);

		data += used;
		size -= used;
		used = read_part(data, size, END_OF_FIELD, &fields->memory[2 * i + 1],
				 &field->value_length);
		data += used;
		size -= used;
		field->name = fields->memory[2 * i];
		field->value = fields->memory[2 * i + 1];
	}
}

static void free_fields(struct fields *fields)
{
	for (size_t i = 0; i < 2 * fields->count; i++) {
		free(fields->memory[i]);
	}
}

/* ---- the rules, once more ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is(const char *text, size_t length, const char *what)
{
	if (length != strlen(what)) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (lower(text[i]) != lower(what[i])) {
			return false;
		}
	}
	return true;
}

/* RFC 9110, section 5.6.2, as a table of what is none: delimiters, blanks, controls, not ASCII. */
static bool is_token(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c >= 0x7f || memchr("\"(),/:;<=>?@[\\]{}", c, 17)) {
			return false;
		}
	}
	return length > 0;
}

static struct header_field trimmed(struct header_field field)
{
	while (field.value_length > 0 && (*field.value == ' ' || *field.value == '\t')) {
		field.value++;
		field.value_length--;
	}
	while (field.value_length > 0 && (field.value[field.value_length - 1] == ' ' ||
					  field.value[field.value_length - 1] == '\t')) {
		field.value_length--;
	}
	return field;
}

/* Is the value that number, with any zeros in front? */
static bool is_number(const struct header_field *field, int64_t number)
{
	char text[24];
	size_t skip = 0;

	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	while (skip + 1 < field->value_length && field->value[skip] == '0') {
		skip++;
	}
	return is(field->value + skip, field->value_length - skip, text);
}

enum verdict {
	PASSES,
	DROPPED,
	REFUSED
};

static enum verdict judge(const struct header_field *field, int64_t body_length)
{
	static const char *const never[] = {"connection", "keep-alive",     "proxy-connection",
					    "upgrade",    "http2-settings", "transfer-encoding"};

	if (!is_token(field->name, field->name_length) || field->name_length > NAME_MAX_LENGTH) {
		return REFUSED;
	}
	for (size_t i = 0; i < field->value_length; i++) {
		if (memchr("\0\r\n", field->value[i], 3)) {
			return REFUSED;
		}
	}
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (is(field->name, field->name_length, never[i])) {
			return REFUSED;
		}
	}
	if (is(field->name, field->name_length, "te")) {
		return is(field->value, field->value_length, "trailers") ? PASSES : REFUSED;
	}
	if (is(field->name, field->name_length, "expect")) {
		return is(field->value, field->value_length, "100-continue") && body_length > 0
			       ? PASSES
			       : REFUSED;
	}
	if (is(field->name, field->name_length, "host")) {
		return is(field->value, field->value_length, AUTHORITY) ? DROPPED : REFUSED;
	}
	if (is(field->name, field->name_length, "content-length")) {
		return body_length >= 0 && is_number(field, body_length) ? DROPPED : REFUSED;
	}
	return PASSES;
}

/* ---- lists ---- */

static uint64_t size_of(const struct header_field *field)
{
	return (uint64_t)field->name_length + field->value_length + OVERHEAD;
}

static bool same_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
	return a_length == b_length && (a_length == 0 || memcmp(a, b, a_length) == 0);
}

static bool same_field(const struct header_field *a, const struct header_field *b)
{
	return same_bytes(a->name, a->name_length, b->name, b->name_length) &&
	       same_bytes(a->value, a->value_length, b->value, b->value_length);
}

/* Fields go in while the ceilings allow it, and come out as they were. */
static void check_list(const struct fields *fields, uint32_t max_size, uint32_t max_count)
{
	struct header_list list;
	size_t kept[FIELDS_MAX];
	uint32_t count = 0;
	uint64_t size = 0;

	header_list_init(&list, max_size, max_count);
	for (size_t i = 0; i < fields->count; i++) {
		bool fits = count < max_count && size + size_of(&fields->field[i]) <= max_size;
		int rc = header_list_add(&list, &fields->field[i]);

		assert(rc == (fits ? 0 : -ENOBUFS));
		if (fits) {
			kept[count++] = i;
			size += size_of(&fields->field[i]);
		}
		assert(header_list_count(&list) == count);
	}
	for (uint32_t i = 0; i < count; i++) {
		struct header_field field = header_list_get(&list, i);
		char name[NAME_MAX_LENGTH + 1];
		uint32_t first = 0;

		assert(same_field(&field, &fields->field[kept[i]]));
		if (field.name_length > NAME_MAX_LENGTH ||
		    memchr(field.name, '\0', field.name_length)) {
			continue;
		}
		memcpy(name, field.name, field.name_length);
		name[field.name_length] = '\0';
		assert(header_list_find(&list, name, i) == i);
		first = header_list_find(&list, name, 0);
		assert(first <= i && header_list_find(&list, name, count) == count);
		for (uint32_t k = 0; k < first; k++) {
			struct header_field other = header_list_get(&list, k);

			assert(!same_bytes(other.name, other.name_length, name, strlen(name)));
		}
	}
	header_list_clear(&list);
	assert(header_list_count(&list) == 0);
	header_list_clear(&list);
}

/* ---- requests ---- */

/* What `list` has at `index` is that field, in lower case. */
static bool came_out(const struct header_list *list, uint32_t index,
		     const struct header_field *field)
{
	struct header_field out;

	if (index >= header_list_count(list)) {
		return false;
	}
	out = header_list_get(list, index);
	if (out.name_length != field->name_length) {
		return false;
	}
	for (size_t i = 0; i < out.name_length; i++) {
		if (out.name[i] != lower(field->name[i])) {
			return false;
		}
	}
	return same_bytes(out.value, out.value_length, field->value, field->value_length);
}

static bool text_came_out(const struct header_list *list, uint32_t index, const char *name,
			  const char *value)
{
	struct header_field field = {name, strlen(name), value, strlen(value)};

	return came_out(list, index, &field);
}

/* What came out is let through, as it is. */
static void check_again(const struct header_list *list, int64_t body_length, const char *user_agent)
{
	struct header_field fields[FIELDS_MAX + 2];
	struct header_list again;
	struct failure failure = {0};
	uint32_t count = header_list_count(list);

	for (uint32_t i = 0; i < count; i++) {
		fields[i] = header_list_get(list, i);
	}
	header_list_init(&again, list->max_size, list->max_count);
	assert(header_list_make_request(&again, fields, count, AUTHORITY, body_length, user_agent,
					&failure) == 0);
	assert(header_list_count(&again) == count);
	for (uint32_t i = 0; i < count; i++) {
		assert(came_out(&again, i, &fields[i]));
	}
	header_list_clear(&again);
}

static void check_request(const struct fields *fields, uint32_t max_size, uint32_t max_count,
			  int64_t body_length, const char *user_agent)
{
	struct header_list list;
	struct failure failure = {0};
	char number[24];
	uint64_t size = 0;
	uint32_t count = 0;
	bool good = true;
	bool has_user_agent = false;
	int rc = 0;

	(void)snprintf(number, sizeof(number), "%" PRId64, body_length);
	for (size_t i = 0; i < fields->count && good; i++) {
		struct header_field field = trimmed(fields->field[i]);
		enum verdict verdict = judge(&field, body_length);

		good = verdict != REFUSED;
		if (verdict == PASSES) {
			has_user_agent |= is(field.name, field.name_length, "user-agent");
			count++;
			size += size_of(&field);
		}
	}
	if (!has_user_agent && user_agent[0]) {
		count++;
		size += strlen("user-agent") + strlen(user_agent) + OVERHEAD;
	}
	if (body_length >= 0) {
		count++;
		size += strlen("content-length") + strlen(number) + OVERHEAD;
	}
	good = good && count <= max_count && size <= max_size;

	header_list_init(&list, max_size, max_count);
	rc = header_list_make_request(&list, fields->field, fields->count, AUTHORITY, body_length,
				      user_agent, &failure);
	assert(rc == (good ? 0 : FAIL_HEADER_INVALID));
	if (!good) {
		assert(header_list_count(&list) == 0);
		assert(failure.count == 1 && failure.links[0].code == FAIL_HEADER_INVALID);
		for (const char *at = failure.links[0].text; *at; at++) {
			assert((unsigned char)*at >= 0x20 && *at != 0x7f);
		}
		header_list_clear(&list);
		return;
	}
	assert(failure.count == 0 && header_list_count(&list) == count);
	check_again(&list, body_length, user_agent);
	count = 0;
	for (size_t i = 0; i < fields->count; i++) {
		struct header_field field = trimmed(fields->field[i]);

		if (judge(&field, body_length) == PASSES) {
			assert(came_out(&list, count, &field));
			count++;
		}
	}
	if (!has_user_agent && user_agent[0]) {
		assert(text_came_out(&list, count++, "user-agent", user_agent));
	}
	assert(body_length < 0 || text_came_out(&list, count, "content-length", number));
	header_list_clear(&list);
}

/* ---- single fields ---- */

static void check_field(const struct header_field *field)
{
	static const char *const secret[] = {"authorization", "cookie",     "proxy-authorization",
					     ":path",         "set-cookie", "x-api-key"};
	uint64_t length = 4711;

	assert(header_is_token(field->name, field->name_length) ==
	       is_token(field->name, field->name_length));
	if (header_parse_length(field->value, field->value_length, &length)) {
		assert(length <= INT64_MAX && is_number(field, (int64_t)length));
	} else {
		bool digits = field->value_length > 0;

		for (size_t i = 0; i < field->value_length; i++) {
			digits = digits && field->value[i] >= '0' && field->value[i] <= '9';
		}
		/* 19 digits and more may be too many. */
		assert(length == 4711 && (!digits || field->value_length >= 19));
	}
	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
		if (secret[i][0] != ':' && is(field->name, field->name_length, secret[i])) {
			assert(!header_may_be_indexed(field->name, field->name_length));
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t lengths[] = {-1, 0, 5, 100, 65536, INT64_MAX, -1, 1};
	static const uint32_t sizes[] = {128 * 1024, 4096, 512, 128, 33, 32, 0, 100};
	static const uint32_t counts[] = {131, 64, 16, 3, 2, 1, 0, 8};
	struct fields fields;

	if (size < 2) {
		return 0;
	}
	read_fields(data + 2, size - 2, &fields);
	for (size_t i = 0; i < fields.count; i++) {
		check_field(&fields.field[i]);
	}
	check_list(&fields, sizes[data[1] % 8], counts[data[1] / 8 % 8]);
	check_request(&fields, sizes[data[1] % 8], counts[data[1] / 8 % 8], lengths[data[0] % 8],
		      data[0] & 8 ? "" : "fetchd/1");
	free_fields(&fields);
	return 0;
}
