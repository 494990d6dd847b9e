/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: the values of a response's fields that the daemon acts upon: Retry-After and
 * Content-Range. Each is read a second time by a plainer reader, or written again from what was
 * read.
 *
 * Input: one byte for what time it is; then the value, which both have to take.
 */
#include "http/content_range.h"
#include "job/retry.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DATE_MAX 64u
/* 31 December 9999, 23:59:61, as the C library's minutes end: no date can say more. */
#define LAST_DATE INT64_C(253402300801)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- Content-Range ---- */

/* Digits of any number without zeros in front. */
static size_t skip_zeros(const char *text, size_t length)
{
	size_t zeros = 0;

	while (zeros + 1 < length && text[zeros] == '0' && text[zeros + 1] >= '0' &&
	       text[zeros + 1] <= '9') {
		zeros++;
	}
	return zeros;
}

/* The value, in lower case and with its numbers' leading zeros gone: how it would be written. */
static void normalize(const char *value, size_t length, char *ret_text)
{
	bool in_number = false;

	for (size_t i = 0; i < length; i++) {
		bool digit = value[i] >= '0' && value[i] <= '9';

		if (digit && !in_number) {
			i += skip_zeros(value + i, length - i);
		}
		in_number = digit;
		*ret_text++ = value[i] >= 'A' && value[i] <= 'Z' ? (char)(value[i] - 'A' + 'a')
								 : value[i];
	}
	*ret_text = '\0';
}

static void check_content_range(const char *value, size_t length)
{
	const struct content_range before = {true, 5, 6, true, 7};
	struct content_range range = before;
	char complete[24] = "*";
	char written[128];
	char *normal = NULL;

	if (!content_range_parse(value, length, &range)) {
		assert(range.has_range == before.has_range && range.first == before.first &&
		       range.last == before.last && range.has_complete == before.has_complete &&
		       range.complete == before.complete);
		return;
	}
	assert(range.has_range || range.has_complete);
	assert(range.has_range || (range.first == 0 && range.last == 0));
	assert(range.has_complete || range.complete == 0);
	assert(range.first <= range.last && range.last <= INT64_MAX && range.complete <= INT64_MAX);
	assert(!range.has_range || !range.has_complete || range.last < range.complete);

	/* Nothing was overlooked. */
	if (range.has_complete) {
		(void)snprintf(complete, sizeof(complete), "%" PRIu64, range.complete);
	}
	if (range.has_range) {
		(void)snprintf(written, sizeof(written), "bytes %" PRIu64 "-%" PRIu64 "/%s",
			       range.first, range.last, complete);
	} else {
		(void)snprintf(written, sizeof(written), "bytes */%s", complete);
	}
	normal = malloc(length + 1);
	assert(normal);
	normalize(value, length, normal);
	assert(strcmp(normal, written) == 0);
	free(normal);
}

/* ---- Retry-After ---- */

static bool has_only_digits(const char *value, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (value[i] < '0' || value[i] > '9') {
			return false;
		}
	}
	return length > 0;
}

/* The moment, written in the form that HTTP prefers, is read as the same moment. */
static void check_date(time_t when)
{
	char text[DATE_MAX];
	struct tm tm;
	uint64_t seconds = 0;
	size_t length = 0;

	assert(gmtime_r(&when, &tm));
	length = strftime(text, sizeof(text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	assert(length > 0);
	if (tm.tm_year + 1900 > 9999) {
		return; /* a leap second behind all years */
	}
	assert(retry_after_parse(text, length, when - 1, &seconds) && seconds == 1);
	assert(retry_after_parse(text, length, when, &seconds) && seconds == 0);
	assert(retry_after_parse(text, length, when + 1, &seconds) && seconds == 0);
}

static void check_retry_after(const char *value, size_t length, time_t now)
{
	uint64_t seconds = 4711;
	uint64_t later = 4711;
	bool digits = has_only_digits(value, length);

	if (!retry_after_parse(value, length, now, &seconds)) {
		assert(seconds == 4711);
		assert(!digits || length > 9);
		return;
	}
	assert(retry_after_parse(value, length, now + 10, &later));
	if (digits) {
		uint64_t number = 0;

		for (size_t i = 0; i < length; i++) {
			number = number * 10 + (uint64_t)(value[i] - '0');
		}
		assert(length <= 9 && seconds == number && later == number);
		return;
	}
	assert(length < DATE_MAX);
	assert((int64_t)seconds <= LAST_DATE - now);
	assert(seconds > 10 ? later == seconds - 10 : later == 0);
	if (seconds > 0) {
		check_date(now + (time_t)seconds);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const time_t times[] = {0,          1,          784111717, 951827696,
				       1700000000, 4102444800, -1,        -86400};
	char *value = NULL;

	if (size < 1) {
		return 0;
	}
	/* In memory that ends where the value does. */
	value = malloc(size - 1 ? size - 1 : 1);
	assert(value);
	memcpy(value, data + 1, size - 1);
	check_content_range(value, size - 1);
	check_retry_after(value, size - 1, times[data[0] % 8]);
	free(value);
	return 0;
}
