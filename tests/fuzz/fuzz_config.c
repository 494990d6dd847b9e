/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a configuration file. Any bytes either become a configuration in which every value
 * keeps to its key's rules, or are refused with one printable line that says where. A
 * configuration that was read is written again, key by key, and read again: both are the same.
 *
 * The file is one in memory, which config_load() finds by its descriptor's path; there are no
 * drop-ins beside it.
 */
#include "base/config.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PATH_SIZE 64u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file = -1;
static char path[PATH_SIZE];

static void write_file(const void *data, size_t size)
{
	if (file < 0) {
		file = memfd_create("fetchd.conf", MFD_CLOEXEC);
		assert(file >= 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	assert(ftruncate(file, 0) == 0);
	assert(size == 0 || pwrite(file, data, size, 0) == (ssize_t)size);
}

static const void *field_of(const struct config *config, const struct config_key *key)
{
	return (const char *)config + key->offset;
}

static uint64_t number_of(const struct config *config, const struct config_key *key)
{
	uint64_t value = 0;

	memcpy(&value, field_of(config, key), sizeof(value));
	return value;
}

static const char *text_of(const struct config *config, const struct config_key *key)
{
	const char *text = NULL;

	memcpy(&text, field_of(config, key), sizeof(text));
	return text;
}

static enum log_level level_of(const struct config *config, const struct config_key *key)
{
	enum log_level level = LOG_LEVEL_ERROR;

	memcpy(&level, field_of(config, key), sizeof(level));
	return level;
}

static bool is_number(const struct config_key *key)
{
	return key->type == CONFIG_SIZE || key->type == CONFIG_COUNT ||
	       key->type == CONFIG_DURATION;
}

static bool is_text(const struct config_key *key)
{
	return key->type == CONFIG_STRING || key->type == CONFIG_LIST;
}

/* ---- what a configuration must keep to ---- */

static void check_list(const struct config_key *key, const char *list)
{
	const char *at = list;
	const char *item = NULL;
	size_t length = 0;
	unsigned count = 0;

	while (config_list_next(&at, &item, &length)) {
		char *copy = strndup(item, length);

		assert(copy && length > 0);
		assert(!key->check || !key->check(copy));
		assert(config_list_contains(list, copy));
		free(copy);
		count++;
	}
	assert(key->max_items == 0 || count <= key->max_items);
}

static void check_value(const struct config *config, const struct config_key *key)
{
	if (is_number(key)) {
		uint64_t value = number_of(config, key);

		assert((value >= key->min && value <= key->max) ||
		       (value == 0 && key->zero_is_off));
	} else if (is_text(key)) {
		const char *text = text_of(config, key);

		assert(text && strlen(text) >= key->min && strlen(text) <= key->max);
		for (const char *c = text; *c; c++) {
			assert(((unsigned char)*c >= 0x20 && *c != 0x7f) ||
			       (*c == '\t' && key->type == CONFIG_LIST));
		}
		if (key->type == CONFIG_LIST) {
			check_list(key, text);
		} else {
			assert(!key->check || !key->check(text));
		}
	} else {
		assert(level_of(config, key) >= LOG_LEVEL_ERROR &&
		       level_of(config, key) <= LOG_LEVEL_DEBUG);
	}
}

static void check_orders(const struct config *config)
{
	assert(config->pool.max_connections_per_origin <= config->pool.max_connections);
	assert(config->http.stream_window <= config->http.connection_window);
	assert(config->http.stream_window <= config->memory.body_budget);
	assert(config->job.backoff_ms <= config->job.max_backoff_ms);
	assert(config->ipc.max_clients_per_uid <= config->ipc.max_clients);
	assert(config->ipc.max_jobs_per_uid <= config->ipc.max_jobs);
	assert(config->ipc.default_credit <= config->ipc.max_credit);
}

static bool same_items(const char *a, const char *b)
{
	const char *item[2] = {NULL, NULL};
	size_t length[2] = {0, 0};
	bool more = true;

	while (more) {
		more = config_list_next(&a, &item[0], &length[0]);
		if (more != config_list_next(&b, &item[1], &length[1]) ||
		    (more &&
		     (length[0] != length[1] || memcmp(item[0], item[1], length[0]) != 0))) {
			return false;
		}
	}
	return true;
}

static void check_same(const struct config *a, const struct config *b)
{
	size_t count = 0;
	const struct config_key *keys = config_keys(&count);

	for (size_t i = 0; i < count; i++) {
		const struct config_key *key = &keys[i];

		if (is_number(key)) {
			assert(number_of(a, key) == number_of(b, key));
		} else if (key->type == CONFIG_LIST) {
			assert(same_items(text_of(a, key), text_of(b, key)));
		} else if (key->type == CONFIG_STRING) {
			assert(strcmp(text_of(a, key), text_of(b, key)) == 0);
		} else {
			assert(level_of(a, key) == level_of(b, key));
		}
	}
}

/* ---- writing it again ---- */

static void print_list(FILE *out, const char *list)
{
	const char *item = NULL;
	size_t length = 0;

	/* A line has a longest length, a list has not: each item in a line of its own. */
	while (config_list_next(&list, &item, &length)) {
		(void)fprintf(out, "\n\t%.*s", (int)length, item);
	}
}

static void print_config(FILE *out, const struct config *config)
{
	static const char *const levels[] = {"error", "warning", "info", "debug"};
	const char *section = "";
	size_t count = 0;
	const struct config_key *keys = config_keys(&count);

	for (size_t i = 0; i < count; i++) {
		const struct config_key *key = &keys[i];
		char buffer[32];

		if (strcmp(section, key->section) != 0) {
			section = key->section;
			(void)fprintf(out, "[%s]\n", section);
		}
		/* No blank behind the sign: a value may begin with a semicolon. */
		(void)fprintf(out, "%s=", key->name);
		if (is_number(key)) {
			(void)fputs(config_print_value(key->type, number_of(config, key), buffer),
				    out);
		} else if (key->type == CONFIG_LIST) {
			print_list(out, text_of(config, key));
		} else if (key->type == CONFIG_STRING) {
			(void)fputs(text_of(config, key), out);
		} else {
			enum log_level level = LOG_LEVEL_ERROR;

			assert(log_level_parse(levels[level_of(config, key) - LOG_LEVEL_ERROR],
					       &level) == 0);
			assert(level == level_of(config, key));
			(void)fputs(levels[level_of(config, key) - LOG_LEVEL_ERROR], out);
		}
		(void)fputc('\n', out);
	}
}

static void check_round_trip(const struct config *config)
{
	struct config *again = NULL;
	struct config_error error;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	int rc = 0;

	assert(out);
	print_config(out, config);
	rc = fclose(out);
	assert(rc == 0);
	write_file(text, size);
	rc = config_load(path, true, &again, &error);
	if (rc != 0) {
		(void)fprintf(stderr, "%s\n%s", error.text, text);
	}
	assert(rc == 0);
	free(text);
	check_same(config, again);
	config_free(again);
}

/* ---- a run ---- */

/* Says where it is: PATH, or PATH:LINE. */
static void check_error(const struct config_error *error, int rc)
{
	const char *at = error->text;

	assert(rc == -EINVAL || rc == -ERANGE || rc == -EMSGSIZE || rc == -EFBIG);
	assert(strnlen(error->text, sizeof(error->text)) < sizeof(error->text));
	assert(strncmp(error->text, path, strlen(path)) == 0);
	at += strlen(path);
	assert(*at == ':');
	for (; *at; at++) {
		assert((unsigned char)*at >= 0x20 && *at != 0x7f);
	}
}

/* A comment at the end changes nothing. */
static void check_with_comment(const uint8_t *data, size_t size, int rc,
			       const struct config *config)
{
	static const char comment[] = "\n# the end\n";
	struct config *again = NULL;
	struct config_error error;
	uint8_t *text = malloc(size + sizeof(comment));

	assert(text);
	if (size > 0) {
		memcpy(text, data, size);
	}
	memcpy(text + size, comment, sizeof(comment) - 1);
	write_file(text, size + sizeof(comment) - 1);
	free(text);
	assert(config_load(path, true, &again, &error) == rc);
	if (rc == 0) {
		check_same(config, again);
		config_free(again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config *config = NULL;
	struct config_error error = {""};
	size_t count = 0;
	const struct config_key *keys = config_keys(&count);
	int rc = 0;

	write_file(data, size);
	rc = config_load(path, true, &config, &error);
	if (rc != 0) {
		assert(!config);
		check_error(&error, rc);
		check_with_comment(data, size, rc, NULL);
		return 0;
	}
	for (size_t i = 0; i < count; i++) {
		check_value(config, &keys[i]);
	}
	check_orders(config);
	check_with_comment(data, size, 0, config);
	check_round_trip(config);
	config_free(config);
	return 0;
}
