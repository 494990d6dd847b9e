/* SPDX-License-Identifier: MIT */
/* How a fetch of `fetchctl get` ended, in words for people. */
#include "get.h"

#include <inttypes.h>
#include <stdarg.h>

/* Codes whose failure texts, made by the daemon where it knows the case, say already what to do. */
static bool advised_already(enum fetchd_failure_code code)
{
	static const enum fetchd_failure_code codes[] = {
		FETCHD_FAIL_URL_INVALID,       FETCHD_FAIL_URL_SCHEME,
		FETCHD_FAIL_URL_USERINFO,      FETCHD_FAIL_CLEARTEXT_NOT_ALLOWED,
		FETCHD_FAIL_HEADER_INVALID,    FETCHD_FAIL_ALPN_MISMATCH,
		FETCHD_FAIL_NOT_HTTP2,         FETCHD_FAIL_TIMEOUT_CLIENT,
		FETCHD_FAIL_HEADERS_TOO_LARGE,
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (codes[i] == code) {
			return true;
		}
	}
	return false;
}

/* A text in pieces; what does not fit is cut. */
struct report {
	char text[4096];
	size_t length;
};

static void add(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void add(struct report *report, const char *format, ...)
{
	size_t room = sizeof(report->text) - report->length;
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(report->text + report->length, room, format, arguments);
	va_end(arguments);
	if (length > 0) {
		report->length += (size_t)length < room ? (size_t)length : room - 1;
	}
}

void report_failure(struct transfer *transfer, const struct fetchd_closed *closed)
{
	struct report report = {.length = 0};
	const char *advice = NULL;

	for (size_t i = 0; i < closed->failure_count; i++) {
		enum fetchd_failure_code code = closed->failures[i].code;

		add(&report, ": %s", closed->failures[i].text);
		if (advice == NULL && !advised_already(code)) {
			advice = fetchd_failure_advice(code);
		}
	}
	if (closed->failure_count == 0) {
		add(&report, ": %s", fetchd_close_reason_text(closed->reason));
	}
	get_message(transfer->get, "%s: %s%s", transfer->shown_url,
		    fetchd_close_reason_name(closed->reason), report.text);
	if (advice != NULL) {
		get_message(transfer->get, "%s", advice);
	}
}

/* Milliseconds with what a fetch over a warm connection needs of them. */
static double in_ms(int64_t us)
{
	return (double)us / 1000.0;
}

void report_end(struct transfer *transfer, const struct fetchd_closed *closed)
{
	const struct fetchd_attempt *last =
		closed->attempt_count ? &closed->attempts[closed->attempt_count - 1] : NULL;
	struct report report = {.length = 0};

	if (last != NULL && last->connection != 0) {
		if (last->status != 0) {
			add(&report, ", status %" PRIu32, last->status);
		}
		add(&report, ", %" PRIu64 " bytes", closed->delivered_bytes);
		if (closed->end_us >= 0) {
			add(&report, " in %.1f ms", in_ms(closed->end_us));
		}
		if (closed->first_byte_us >= 0) {
			add(&report, " (head after %.1f ms)", in_ms(closed->first_byte_us));
		}
		add(&report, ", stream %" PRIu32 " on connection %" PRIu64 " to %s, %zu attempt%s",
		    last->stream, last->connection, last->remote, closed->attempt_count,
		    closed->attempt_count == 1 ? "" : "s");
	} else if (closed->end_us >= 0) {
		add(&report, " after %.1f ms, nothing was sent", in_ms(closed->end_us));
	}
	get_message(transfer->get, "%s: closed: %s%s", transfer->shown_url,
		    fetchd_close_reason_name(closed->reason), report.text);
}
