/* SPDX-License-Identifier: MIT */
/* How a fetch of `fetchctl get` ended, in words for people. */
#include "get.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>

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

/* What this program can do about it, by its options. NULL: nothing, but the library may know. */
static const char *option_advice(enum fetchd_failure_code code)
{
	static const struct {
		enum fetchd_failure_code code;
		const char *text;
	} table[] = {
		{FETCHD_FAIL_TOO_MANY_REDIRECTS,
		 "follow more with --max-redirs (and job.max_redirects in fetchd.conf(5)), or see "
		 "with -v where they lead"},
		{FETCHD_FAIL_REDIRECT_CLEARTEXT,
		 "if that is what you want, allow it with --redirect-to-cleartext"},
		{FETCHD_FAIL_SIZE_ANNOUNCED, "allow more with --max-size"},
		{FETCHD_FAIL_SIZE_RECEIVED, "allow more with --max-size"},
		{FETCHD_FAIL_TIMEOUT_QUEUE,
		 "allow longer with --queue-timeout; fetchctl list shows what jobs wait for"},
		{FETCHD_FAIL_TIMEOUT_CONNECT, "allow longer with --connect-timeout"},
		{FETCHD_FAIL_TIMEOUT_FIRST_BYTE, "allow longer with --first-byte-timeout"},
		{FETCHD_FAIL_TIMEOUT_STALL, "allow longer with --stall-timeout"},
		{FETCHD_FAIL_TIMEOUT_TOTAL, "allow longer with --timeout"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].code == code) {
			return table[i].text;
		}
	}
	return NULL;
}

static bool is_deadline(enum fetchd_failure_code code)
{
	return code == FETCHD_FAIL_TIMEOUT_CONNECT ||
	       (code >= FETCHD_FAIL_TIMEOUT_QUEUE && code <= FETCHD_FAIL_TIMEOUT_TOTAL);
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
	bool weak = false;

	for (size_t i = 0; i < closed->failure_count; i++) {
		enum fetchd_failure_code code = closed->failures[i].code;

		add(&report, ": %s", closed->failures[i].text);
		/* That there was not enough time says less than why. */
		if ((advice == NULL || weak) && !advised_already(code)) {
			const char *found = option_advice(code);

			found = found != NULL ? found : fetchd_failure_advice(code);
			if (found != NULL) {
				advice = found;
				weak = is_deadline(code);
			}
		}
	}
	if (closed->reason == FETCHD_CLOSE_DAEMON_LOST && !transfer->get->lost_told) {
		/* Once for all of them. */
		transfer->get->lost_told = true;
		advice = cli_lost_advice(transfer->get->connection);
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

/* "attempt 1 of 2: https://..., status 301, stream 1 on connection 1 to 192.0.2.1:443". */
static void report_attempt(struct transfer *transfer, const struct fetchd_closed *closed,
			   size_t index)
{
	const struct fetchd_attempt *attempt = &closed->attempts[index];
	struct report report = {.length = 0};

	if (attempt->url[0] != '\0') {
		char *shown = cli_shown_url(attempt->url);

		add(&report, " %s,", shown != NULL ? shown : "");
		free(shown);
	}
	if (attempt->status != 0) {
		add(&report, " status %" PRIu32, attempt->status);
	} else {
		add(&report, " %s", fetchd_close_reason_name(attempt->outcome));
	}
	if (attempt->code != FETCHD_FAIL_UNSPECIFIED) {
		add(&report, " (%s)", fetchd_failure_code_name(attempt->code));
	}
	if (attempt->stream != 0) {
		add(&report, ", stream %" PRIu32, attempt->stream);
	} else {
		add(&report, ", not sent");
	}
	if (attempt->connection != 0) {
		add(&report, " on connection %" PRIu64 " to %s", attempt->connection,
		    attempt->remote);
	}
	if (attempt->why[0] != '\0') {
		add(&report, "; %s", attempt->why);
	}
	get_message(transfer->get, "%s: attempt %zu of %zu:%s", transfer->shown_url, index + 1,
		    closed->attempt_count, report.text);
}

void report_end(struct transfer *transfer, const struct fetchd_closed *closed)
{
	const struct fetchd_attempt *last =
		closed->attempt_count ? &closed->attempts[closed->attempt_count - 1] : NULL;
	struct report report = {.length = 0};

	for (size_t i = 0; closed->attempt_count > 1 && i < closed->attempt_count; i++) {
		report_attempt(transfer, closed, i);
	}
	if (transfer->final_url != NULL) {
		add(&report, ", from %s", transfer->final_url);
	}
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
