/* SPDX-License-Identifier: MIT */
/*
 * Configuration: the table of every key (default, minimum, maximum, what it is for), the file and
 * its drop-ins, and the struct that the rest of the daemon reads. `fetchd --help`, fetchd.conf(5)
 * and the commented default file all come from this table; a test compares them.
 *
 * The syntax of the file is inih's: sections, KEY = VALUE, comments behind '#' or ';' at the start
 * of a line and behind " ;" anywhere. A line that begins with a blank continues the list above it,
 * and nothing else can be continued.
 *
 * A configuration is immutable once loaded; a reload loads another one and swaps the pointer.
 */
#pragma once

#include "base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Values in the unit that the name says. A list is the text as given, items separated by blanks or
 * commas. */
struct config {
	struct {
		enum log_level log_level;
		uint64_t drain_timeout_ms;
		uint64_t writer_threads;
	} daemon;
	struct {
		char *servers;
		uint64_t timeout_ms;
		uint64_t tries;
	} dns;
	struct {
		char *ca_file;
		char *priority;
	} tls;
	struct {
		uint64_t max_connections;
		uint64_t max_connections_per_origin;
		uint64_t max_streams_per_connection;
		uint64_t max_streams_per_uid;
		uint64_t max_origins;
		uint64_t connect_timeout_ms;
		uint64_t idle_timeout_ms;
		uint64_t backoff_ms;
		uint64_t max_backoff_ms;
		uint64_t aging_ms;
		char *h2c_hosts;
	} pool;
	struct {
		uint64_t stream_window;
		uint64_t max_stream_window;
		uint64_t connection_window;
		uint64_t max_connection_window;
		uint64_t max_frame_size;
		uint64_t max_header_list;
		uint64_t max_headers;
		uint64_t max_informational;
		uint64_t continue_timeout_ms;
		uint64_t max_settings_rate;
		uint64_t max_ping_rate;
		uint64_t max_reset_rate;
		uint64_t max_empty_rate;
		uint64_t max_continuations;
		uint64_t max_queued_frames;
		uint64_t write_timeout_ms;
		uint64_t ping_after_ms;
		uint64_t ping_timeout_ms;
		char *user_agent;
	} http;
	struct {
		uint64_t max_size;
		uint64_t warn_size;
		uint64_t queue_timeout_ms;
		uint64_t connect_timeout_ms;
		uint64_t first_byte_timeout_ms;
		uint64_t stall_timeout_ms;
		uint64_t total_timeout_ms;
		uint64_t client_timeout_ms;
		uint64_t delivery_timeout_ms;
		uint64_t min_rate;
		uint64_t min_rate_time_ms;
		uint64_t max_attempts;
		uint64_t max_redirects;
		char *retry_statuses;
		uint64_t backoff_ms;
		uint64_t max_backoff_ms;
	} job;
	struct {
		uint64_t max_clients;
		uint64_t max_clients_per_uid;
		uint64_t max_jobs;
		uint64_t max_jobs_per_client;
		uint64_t max_jobs_per_uid;
		uint64_t max_fds_per_uid;
		uint64_t hello_timeout_ms;
		uint64_t frame_timeout_ms;
		uint64_t output_buffer;
		uint64_t control_budget;
		uint64_t default_credit;
		uint64_t max_credit;
		uint64_t upload_buffer;
	} ipc;
	struct {
		uint64_t body_budget;
		uint64_t body_budget_per_uid;
	} memory;
};

enum config_type {
	CONFIG_SIZE,     /* bytes; suffixes K, M, G (1024) */
	CONFIG_COUNT,    /* a plain number */
	CONFIG_DURATION, /* stored in ms; suffixes ms, s, min, h, d; a bare number is seconds */
	CONFIG_STRING,
	CONFIG_LIST,
	CONFIG_LOG_LEVEL,
};

struct config_key {
	const char *section;
	const char *name;
	enum config_type type;
	const char *fallback; /* the default, as one would write it */
	uint64_t min,
		max; /* of numbers, in the stored unit; for strings and lists: of the length */
	unsigned max_items; /* of a list; 0: any number */
	bool zero_is_off;   /* 0 is allowed below min and means "no limit" */
	const char *doc;    /* one or more sentences */
	size_t offset;      /* of the field in struct config */
	/* What strings and list items must look like: NULL if `text` is good, else what is wrong
	 * with it. NULL: anything without control characters. */
	const char *(*check)(const char *text);
};

/* The table, `*ret_count` entries, grouped by section. */
const struct config_key *config_keys(size_t *ret_count);

/* What was wrong, and where: "/etc/fetchd/fetchd.conf:12: pool.idle_timeout: ..." */
struct config_error {
	char text[512];
};

/* The defaults alone. NULL when out of memory. */
struct config *config_new(void);
void config_free(struct config *config);

/* Reads `path`, then the files "*.conf" in the folder `path` + ".d" in the order of their names,
 * later ones winning. `path` NULL: the defaults. `required`: a missing `path` is an error,
 * otherwise it is as if empty (drop-ins still count). Unknown sections and keys, bad values, values
 * out of range, a key given twice in one file, lines that are no INI, values that contradict each
 * other: all errors. Returns 0 and sets *ret_config, or a negative errno and sets *ret_error. */
int config_load(const char *path, bool required, struct config **ret_config,
		struct config_error *ret_error);

/* Parses one value as the table says and stores it. 0, -EINVAL, -ERANGE, -ENOMEM; the reason in
 * *ret_error (without file and line). */
int config_set(struct config *config, const struct config_key *key, const char *value,
	       struct config_error *ret_error);

/* Writes the table as a commented default configuration file. */
void config_print_default(void (*write)(void *ctx, const char *text), void *ctx);
/* Writes the table as the part of fetchd.conf(5) that describes the keys, in scdoc's syntax. */
void config_print_man(void (*write)(void *ctx, const char *text), void *ctx);

/* Prints a number of `type` as one would write it: "256K", "4min", "30". Returns buffer. */
const char *config_print_value(enum config_type type, uint64_t value, char buffer[32]);

/* The next item at or behind *cursor (blanks or commas between items): true, and *ret_item and
 * *ret_length (not NUL-terminated), and *cursor moves on; false at the end. `cursor` starts as the
 * list; NULL is an empty list. */
bool config_list_next(const char **cursor, const char **ret_item, size_t *ret_length);
/* Is `item` in `list`? ASCII case is ignored. */
bool config_list_contains(const char *list, const char *item);
