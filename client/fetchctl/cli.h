/* SPDX-License-Identifier: MIT */
/*
 * What the verbs of fetchctl share: option tables, reaching the daemon, messages.
 */
#pragma once

#include <fetchd/fetchd.h>

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- options (options.c) ---- */

/* One option: its getopt entry and its line of help in one. */
struct cli_option {
	int key;              /* a letter, or a number from 256 up for a long-only option */
	const char *name;     /* without the dashes */
	const char *argument; /* NULL: takes none */
	const char *text;     /* for --help */
};

#define CLI_OPTIONS_MAX 40u

/* Options that every verb has. */
enum cli_common_key {
	CLI_SOCKET = 256,
	CLI_JSON,
	CLI_HELP,
	CLI_FIRST_OWN,
};

#define CLI_COMMON_OPTIONS                                                 \
	{CLI_SOCKET, "socket", "PATH", "The daemon's socket"},             \
		{CLI_JSON, "json", NULL, "Print JSON, one object a line"}, \
	{                                                                  \
		CLI_HELP, "help", NULL, "Show this text"                   \
	}

struct cli_common {
	const char *socket; /* NULL: the default */
	bool json;
	bool help;
};

/* getopt_long()'s form of a table, made once for each command line. */
struct cli_parser {
	struct option longs[CLI_OPTIONS_MAX + 1];
	char shorts[2 * CLI_OPTIONS_MAX + 2];
};
void cli_parser_init(struct cli_parser *parser, const struct cli_option *options, size_t count);
/* The next option's key, -1 at the end, '?' after an error that was printed. Common options go into
 * *common and are returned too. */
int cli_parser_next(struct cli_parser *parser, int argc, char **argv, struct cli_common *common);
void cli_print_options(FILE *out, const struct cli_option *options, size_t count);

/* For verbs with nothing but common options: parses, and returns the first argument's index, or
 * negative and *ret_exit when the verb is over already (help, error). */
int cli_parse_simple(int argc, char **argv, const char *usage, struct cli_common *common,
		     int *ret_exit);

/* A number of bytes with an optional K, M, G (powers of 1024). 0, -EINVAL, -ERANGE. */
int cli_parse_size(const char *text, uint64_t *ret_bytes);
/* Seconds with up to three decimals. 0, -EINVAL, -ERANGE. */
int cli_parse_seconds(const char *text, uint64_t *ret_ms);
/* A plain decimal number from `minimum` to `maximum`. 0, -EINVAL, -ERANGE. */
int cli_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_number);

/* ---- messages (message.c) ---- */

/* "fetchctl: ..." and a newline to stderr, control characters replaced. */
void cli_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Copies text for a terminal: control characters become '?'. Returns `buffer`. */
const char *cli_printable(const char *text, char *buffer, size_t size);
/* A URL as it may be shown: user information, which the daemon refuses, becomes "...@". free() it;
 * NULL without memory. */
char *cli_shown_url(const char *url);
/* "17", "1.5K", "23M": at most five characters. Returns `buffer`. */
const char *cli_format_bytes(uint64_t bytes, char *buffer, size_t size);
/* "5.1s", "3m20s", "2h05m", "4d01h". Returns `buffer`. */
const char *cli_format_duration(uint64_t ms, char *buffer, size_t size);
/* The same; "-" for a negative number, which means that there is none. */
const char *cli_format_maybe(int64_t ms, char *buffer, size_t size);

/* ---- the daemon (reach.c) ---- */

/* Connects, or prints why not and how to start the daemon. 0 or an exit code. */
int cli_reach(const char *socket, struct fetchd_connection **ret_connection);
/* The error of a request's callback, in words. */
const char *cli_request_error(int error);
/* What to do about a lost connection. NULL if the daemon itself has said why it ended it. */
const char *cli_lost_advice(const struct fetchd_connection *connection);
/* Runs the connection until *done. 0, or prints why not and returns an exit code. */
int cli_run(struct fetchd_connection *connection, const bool *done);
struct cli_pong {
	uint32_t pid;
	char version[128];
	char instance_id[64];
	uint64_t round_trip_us;
};
/* Asks the daemon who it is. 0, or prints why not and returns an exit code. */
int cli_ping(struct fetchd_connection *connection, struct cli_pong *ret_pong);
/* Flushes stdout. 0, or prints why not and returns an exit code. */
int cli_finish_stdout(void);

/* ---- the pool as a table (pool.c) ---- */

void pool_print(const struct fetchd_stats *stats);

/* ---- verbs: each returns the exit code ---- */

int verb_get(int argc, char **argv);
int verb_list(int argc, char **argv);
int verb_cancel(int argc, char **argv);
int verb_stats(int argc, char **argv);
int verb_ping(int argc, char **argv);
int verb_version(int argc, char **argv);
