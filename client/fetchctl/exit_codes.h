/* SPDX-License-Identifier: MIT */
/*
 * fetchctl's exit codes: one table for the program, its --help and its man page.
 */
#pragma once

#include <fetchd/fetchd.h>

#include <stddef.h>
#include <stdio.h>

enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_INTERNAL = 1,
	EXIT_CODE_USAGE = 2,
	EXIT_CODE_UNREACHABLE = 3,
	EXIT_CODE_DAEMON_LOST = 4,
	EXIT_CODE_OUTPUT = 5,
	EXIT_CODE_STDOUT_CLOSED = 6,
	EXIT_CODE_NO_SUCH_JOB = 7,
	EXIT_CODE_HTTP_STATUS = 22, /* as curl has it */
	EXIT_CODE_REASON = 30,      /* plus the close reason's number */
	EXIT_CODE_INTERRUPTED = 130,
	EXIT_CODE_TERMINATED = 143,
};

struct exit_code_entry {
	int code;
	const char *name;
	const char *text;
};

/* Ascending by code. */
size_t exit_code_count(void);
struct exit_code_entry exit_code_entry(size_t index);

/* The exit code of a job that ended so: 0 for ENDED alone. */
int exit_code_of(enum fetchd_close_reason reason);

void exit_codes_print(FILE *out);
