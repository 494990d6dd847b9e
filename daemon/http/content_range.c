/* SPDX-License-Identifier: MIT */
/*
 * Content-Range, piece by piece from the left.
 */
#include "http/content_range.h"

#include "http/headers.h"

#include <string.h>
#include <strings.h>

static const char unit[] = "bytes ";

/* What is not taken apart yet. */
struct rest {
	const char *at;
	size_t length;
};

static bool take_character(struct rest *rest, char character)
{
	if (rest->length == 0 || rest->at[0] != character) {
		return false;
	}
	rest->at++;
	rest->length--;
	return true;
}

/* Digits, as many as there are: the rules for a number are those of Content-Length. */
static bool take_number(struct rest *rest, uint64_t *ret_number)
{
	size_t digits = 0;

	while (digits < rest->length && rest->at[digits] >= '0' && rest->at[digits] <= '9') {
		digits++;
	}
	if (!header_parse_length(rest->at, digits, ret_number)) {
		return false;
	}
	rest->at += digits;
	rest->length -= digits;
	return true;
}

bool content_range_parse(const char *value, size_t length, struct content_range *ret_range)
{
	struct rest rest = {.at = value, .length = length};
	struct content_range range = {.has_range = false};

	if (length < strlen(unit) || strncasecmp(value, unit, strlen(unit)) != 0) {
		return false;
	}
	rest.at += strlen(unit);
	rest.length -= strlen(unit);

	range.has_range = !take_character(&rest, '*');
	if (range.has_range && (!take_number(&rest, &range.first) || !take_character(&rest, '-') ||
				!take_number(&rest, &range.last) || range.last < range.first)) {
		return false;
	}
	if (!take_character(&rest, '/')) {
		return false;
	}
	range.has_complete = !take_character(&rest, '*');
	if (range.has_complete && !take_number(&rest, &range.complete)) {
		return false;
	}
	if (rest.length > 0 || (!range.has_range && !range.has_complete) ||
	    (range.has_range && range.has_complete && range.last >= range.complete)) {
		return false;
	}
	*ret_range = range;
	return true;
}
