/* SPDX-License-Identifier: MIT */
/*
 * Backoff and Retry-After.
 */
#include "job/retry.h"

#include "base/config.h"

#include <string.h>

#define RETRY_AFTER_DIGITS_MAX 9u /* more seconds than 30 years are nobody's intention */

#define STATUS_FIRST 400u
#define STATUS_LAST 599u

struct retry_statuses retry_statuses_parse(const char *list)
{
	struct retry_statuses statuses = {{0}};
	const char *item = NULL;
	size_t length = 0;

	while (config_list_next(&list, &item, &length)) {
		unsigned status = 0;

		for (size_t i = 0; i < length && length == 3; i++) {
			if (item[i] < '0' || item[i] > '9') {
				status = 0;
				break;
			}
			status = status * 10 + (unsigned)(item[i] - '0');
		}
		if (status >= STATUS_FIRST && status <= STATUS_LAST) {
			statuses.bits[(status - STATUS_FIRST) / 64] |=
				UINT64_C(1) << ((status - STATUS_FIRST) % 64);
		}
	}
	return statuses;
}

bool retry_status(const struct retry_statuses *statuses, unsigned status, bool idempotent)
{
	if (status < STATUS_FIRST || status > STATUS_LAST ||
	    !(statuses->bits[(status - STATUS_FIRST) / 64] >> ((status - STATUS_FIRST) % 64) & 1)) {
		return false;
	}
	return idempotent || status == 429 || status == 503;
}

bool retry_connect_failure(enum failure_code code)
{
	return code == FAIL_DNS_FAILED || code == FAIL_DNS_TIMEOUT ||
	       code == FAIL_CONNECT_REFUSED || code == FAIL_CONNECT_UNREACHABLE ||
	       code == FAIL_CONNECT_ERROR || code == FAIL_TIMEOUT_CONNECT ||
	       code == FAIL_CONNECTION_CLOSED || code == FAIL_CONNECTION_ERROR;
}

uint64_t retry_backoff_ms(unsigned attempt, uint64_t base_ms, uint64_t cap_ms, uint64_t random)
{
	uint64_t limit = base_ms;

	for (unsigned i = 1; i < attempt && limit < cap_ms; i++) {
		limit *= 2;
	}
	if (limit > cap_ms) {
		limit = cap_ms;
	}
	return random % (limit + 1);
}

static bool parse_seconds(const char *value, size_t length, uint64_t *ret_seconds)
{
	uint64_t seconds = 0;

	if (length == 0 || length > RETRY_AFTER_DIGITS_MAX) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		if (value[i] < '0' || value[i] > '9') {
			return false;
		}
		seconds = seconds * 10 + (uint64_t)(value[i] - '0');
	}
	*ret_seconds = seconds;
	return true;
}

/* The three date forms of RFC 9110, section 5.6.7; all are GMT. */
static bool parse_date(const char *text, time_t *ret_time)
{
	static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT",
					      "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y"};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = {0};
		const char *end = strptime(text, formats[i], &tm);

		if (end && *end == '\0') {
			*ret_time = timegm(&tm);
			return true;
		}
	}
	return false;
}

bool retry_after_parse(const char *value, size_t length, time_t now, uint64_t *ret_seconds)
{
	char text[64];
	time_t when = 0;

	if (parse_seconds(value, length, ret_seconds)) {
		return true;
	}
	if (length >= sizeof(text) || memchr(value, '\0', length)) {
		return false;
	}
	memcpy(text, value, length);
	text[length] = '\0';
	if (!parse_date(text, &when)) {
		return false;
	}
	*ret_seconds = when > now ? (uint64_t)(when - now) : 0;
	return true;
}
