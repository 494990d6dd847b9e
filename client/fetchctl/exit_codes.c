/* SPDX-License-Identifier: MIT */
/* The table of exit codes, and where close reasons are in it. */
#include "exit_codes.h"

#define REASON(name)                                                \
	{                                                           \
		EXIT_CODE_REASON + FETCHD_CLOSE_##name, #name, NULL \
	}

/* The text of a close reason is the library's. */
static const struct exit_code_entry table[] = {
	{EXIT_CODE_OK, "ENDED", "the response is complete, and so is the output"},
	{EXIT_CODE_INTERNAL, "INTERNAL", "out of memory, or another fault of this machine"},
	{EXIT_CODE_USAGE, "USAGE", "the command line is wrong; nothing was done"},
	{EXIT_CODE_UNREACHABLE, "UNREACHABLE", "the daemon cannot be reached"},
	{EXIT_CODE_DAEMON_LOST, "DAEMON_LOST", "the connection to the daemon was lost"},
	{EXIT_CODE_OUTPUT, "OUTPUT", "an output or input file of this side failed"},
	{EXIT_CODE_STDOUT_CLOSED, "STDOUT_CLOSED", "the reader of standard output went away"},
	{EXIT_CODE_NO_SUCH_JOB, "NO_SUCH_JOB", "there is no such job, or it is somebody else's"},
	{EXIT_CODE_HTTP_STATUS, "HTTP_STATUS", "--fail was given and the status is 400 or more"},
	{EXIT_CODE_REASON, "UNSPECIFIED", "ended for a reason that this version does not know"},
	REASON(RESET),
	REASON(CONNECTION_LOST),
	REASON(MAXSIZE_EXCEEDED),
	REASON(CANCELLED),
	REASON(INACTIVE),
	REASON(INVALID_HOSTNAME),
	REASON(MAXSIZE_EXCEEDED_ACTUAL),
	REASON(STOP_DOWNLOAD),
	REASON(TIMEOUT),
	REASON(CONNECT_FAILED),
	REASON(LENGTH_MISMATCH),
	REASON(PROTOCOL_ERROR),
	REASON(DENIED),
	REASON(OUTPUT_FAILED),
	REASON(SHUTDOWN),
	{EXIT_CODE_INTERRUPTED, "INTERRUPTED", "SIGINT (Ctrl-C); jobs were cancelled"},
	{EXIT_CODE_TERMINATED, "TERMINATED", "SIGTERM or SIGHUP; jobs were cancelled"},
};

size_t exit_code_count(void)
{
	return sizeof(table) / sizeof(table[0]);
}

struct exit_code_entry exit_code_entry(size_t index)
{
	struct exit_code_entry entry = table[index];

	if (entry.text == NULL) {
		entry.text = fetchd_close_reason_text(
			(enum fetchd_close_reason)(entry.code - EXIT_CODE_REASON));
	}
	return entry;
}

int exit_code_of(enum fetchd_close_reason reason)
{
	if (reason == FETCHD_CLOSE_ENDED) {
		return EXIT_CODE_OK;
	}
	if (reason == FETCHD_CLOSE_DAEMON_LOST) {
		return EXIT_CODE_DAEMON_LOST;
	}
	for (size_t i = 0; i < exit_code_count(); i++) {
		if (table[i].code == EXIT_CODE_REASON + (int)reason && table[i].text == NULL) {
			return table[i].code;
		}
	}
	return EXIT_CODE_REASON;
}

void exit_codes_print(FILE *out)
{
	(void)fputs("\nExit status:\n", out);
	for (size_t i = 0; i < exit_code_count(); i++) {
		struct exit_code_entry entry = exit_code_entry(i);

		(void)fprintf(out, "  %3d %s: %s\n", entry.code, entry.name, entry.text);
	}
}
