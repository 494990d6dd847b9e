/* SPDX-License-Identifier: MIT */
/*
 * The daemon's log: one line an event to standard error, with the <N> prefix that journald
 * understands when standard error is its stream, and with a timestamp when it is not. Lossy on
 * purpose: standard error is made to be written without blocking the loop for long lines, and a
 * line that cannot be written is counted and dropped.
 *
 * `job`, `ipc` and `app` log; the layers below use only log_debug().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* "error", "warning", "info", "debug". Returns 0 and sets *ret_level, or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);
const char *log_level_name(enum log_level level);

void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Lines dropped because standard error would not take them. */
uint64_t log_dropped(void);

/* Writes one line. Control characters become '?'. Keeps errno. Use the macros. */
__attribute__((format(printf, 2, 3))) void log_write(enum log_level level, const char *format, ...);

#define log_at(level, ...)                               \
	do {                                             \
		if ((level) <= log_get_level()) {        \
			log_write((level), __VA_ARGS__); \
		}                                        \
	} while (0)
#define log_error(...) log_at(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_at(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_at(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_LEVEL_DEBUG, __VA_ARGS__)
