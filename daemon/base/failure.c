/* SPDX-License-Identifier: MIT */
/*
 * Chains of failures: names, building, printing.
 */
#include "base/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *close_reason_name(enum close_reason reason)
{
	switch (reason) {
	case CLOSE_NONE:
		break;
#define X(name, number)    \
	case CLOSE_##name: \
		return #name;
		CLOSE_REASON_TABLE(X)
#undef X
	}
	return "NONE";
}

const char *failure_code_name(enum failure_code code)
{
	switch (code) {
	case FAIL_NONE:
		break;
#define X(name, number)   \
	case FAIL_##name: \
		return #name;
		FAILURE_CODE_TABLE(X)
#undef X
	}
	return "NONE";
}

void failure_clear(struct failure *failure)
{
	failure->count = 0;
}

enum failure_code failure_top(const struct failure *failure)
{
	return failure->count > 0 ? failure->links[0].code : FAIL_NONE;
}

/* Cuts in front of a UTF-8 sequence that did not fit as a whole. */
static void drop_partial_character(char *text, size_t length)
{
	size_t lead = length;
	while (lead > 0 && length - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0u) == 0x80) {
		--lead;
	}
	if (lead == 0) {
		return;
	}
	unsigned char byte = (unsigned char)text[lead - 1];
	size_t wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
	if (wanted > length - lead + 1) {
		text[lead - 1] = '\0';
	}
}

__attribute__((format(printf, 3, 0))) static void
fill_link(struct failure_link *link, enum failure_code code, const char *format, va_list args)
{
	/* Formatted aside: the arguments may be texts of the chain that is being changed. */
	char text[FAILURE_TEXT_MAX];
	int length = vsnprintf(text, sizeof(text), format, args);
	if (length < 0) {
		text[0] = '\0';
	} else if ((size_t)length >= sizeof(text)) {
		drop_partial_character(text, sizeof(text) - 1);
	}
	for (char *at = text; *at != '\0'; ++at) {
		unsigned char byte = (unsigned char)*at;
		if (byte < 0x20 || byte == 0x7f) {
			*at = '?';
		}
	}
	memset(link, 0, sizeof(*link));
	link->code = code;
	memcpy(link->text, text, strlen(text) + 1);
}

struct failure_link *failure_set(struct failure *failure, enum failure_code code,
				 const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fill_link(&failure->links[0], code, format, args);
	va_end(args);
	failure->count = 1;
	return &failure->links[0];
}

struct failure_link *failure_wrap(struct failure *failure, enum failure_code code,
				  const char *format, ...)
{
	struct failure_link link;
	va_list args;
	va_start(args, format);
	fill_link(&link, code, format, args);
	va_end(args);
	if (failure->count < FAILURE_LINKS_MAX) {
		memmove(&failure->links[1], &failure->links[0],
			failure->count * sizeof(failure->links[0]));
		++failure->count;
	}
	failure->links[0] = link;
	return &failure->links[0];
}

struct failure_link *failure_append(struct failure *failure, enum failure_code code,
				    const char *format, ...)
{
	if (failure->count >= FAILURE_LINKS_MAX) {
		return NULL;
	}
	struct failure_link *link = &failure->links[failure->count];
	va_list args;
	va_start(args, format);
	fill_link(link, code, format, args);
	va_end(args);
	++failure->count;
	return link;
}

void failure_copy(struct failure *to, const struct failure *from)
{
	if (!from) {
		failure_clear(to);
		return;
	}
	to->count = from->count;
	/* memmove: a chain may be copied onto itself. */
	memmove(to->links, from->links, from->count * sizeof(from->links[0]));
}

const char *failure_print(const struct failure *failure, char *buffer, unsigned size)
{
	size_t length = 0;
	if (size == 0) {
		return buffer;
	}
	buffer[0] = '\0';
	for (unsigned i = 0; i < failure->count && length + 1 < size; ++i) {
		int added = snprintf(buffer + length, size - length, "%s%s", i > 0 ? ": " : "",
				     failure->links[i].text);
		if (added < 0) {
			break;
		}
		length += (size_t)added;
	}
	if (length >= size) {
		drop_partial_character(buffer, size - 1);
	}
	return buffer;
}
