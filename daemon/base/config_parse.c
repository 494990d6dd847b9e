/* SPDX-License-Identifier: MIT */
/*
 * Single values: from text into struct config, and numbers back into text. Knows nothing of files.
 */
#include "base/config_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
	const char *suffix;
	uint64_t factor;
};

/* Largest first, for printing. "" is what a bare number means. */
static const struct unit size_units[] = {
	{"G", UINT64_C(1) << 30}, {"M", UINT64_C(1) << 20}, {"K", UINT64_C(1) << 10}, {"", 1}};
static const struct unit duration_units[] = {{"d", 86400000}, {"h", 3600000}, {"min", 60000},
					     {"s", 1000},     {"ms", 1},      {"", 1000}};
static const struct unit count_units[] = {{"", 1}};

static const struct unit *units_of(enum config_type type, size_t *ret_count)
{
	switch (type) {
	case CONFIG_SIZE:
		*ret_count = sizeof(size_units) / sizeof(size_units[0]);
		return size_units;
	case CONFIG_DURATION:
		*ret_count = sizeof(duration_units) / sizeof(duration_units[0]);
		return duration_units;
	case CONFIG_COUNT:
	case CONFIG_STRING:
	case CONFIG_LIST:
	case CONFIG_LOG_LEVEL:
		break;
	}
	*ret_count = sizeof(count_units) / sizeof(count_units[0]);
	return count_units;
}

void config_error_set(struct config_error *error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	if (vsnprintf(error->text, sizeof(error->text), format, args) < 0) {
		error->text[0] = '\0';
	}
	va_end(args);
	for (char *at = error->text; *at != '\0'; ++at) {
		unsigned char byte = (unsigned char)*at;
		if (byte < 0x20 || byte == 0x7f) {
			*at = '?';
		}
	}
}

void *config_field(struct config *config, const struct config_key *key)
{
	return (char *)config + key->offset;
}

const char *config_print_value(enum config_type type, uint64_t value, char buffer[32])
{
	size_t count;
	const struct unit *units = units_of(type, &count);
	for (size_t i = 0; i < count; ++i) {
		if (value % units[i].factor == 0 && (value > 0 || i + 1 == count)) {
			(void)snprintf(buffer, 32, "%" PRIu64 "%s", value / units[i].factor,
				       units[i].suffix);
			break;
		}
	}
	return buffer;
}

static const char *number_hint(enum config_type type)
{
	switch (type) {
	case CONFIG_SIZE:
		return "a number of bytes, with K, M or G behind it if you like";
	case CONFIG_DURATION:
		return "a time such as 500ms, 30s, 5min, 2h or 1d";
	case CONFIG_COUNT:
	case CONFIG_STRING:
	case CONFIG_LIST:
	case CONFIG_LOG_LEVEL:
		break;
	}
	return "a number";
}

/* -EINVAL: no number of this kind; -ERANGE: one that does not fit. */
static int parse_number(enum config_type type, const char *text, uint64_t *ret_value)
{
	uint64_t value = 0;
	bool overflow = false;
	const char *at = text;
	for (; *at >= '0' && *at <= '9'; ++at) {
		overflow |= __builtin_mul_overflow(value, UINT64_C(10), &value);
		overflow |= __builtin_add_overflow(value, (uint64_t)(*at - '0'), &value);
	}
	if (at == text) {
		return -EINVAL;
	}
	size_t count;
	const struct unit *units = units_of(type, &count);
	for (size_t i = 0; i < count; ++i) {
		if (strcmp(at, units[i].suffix) == 0) {
			overflow |= __builtin_mul_overflow(value, units[i].factor, &value);
			if (overflow) {
				return -ERANGE;
			}
			*ret_value = value;
			return 0;
		}
	}
	return -EINVAL;
}

static int set_number(struct config *config, const struct config_key *key, const char *text,
		      struct config_error *ret_error)
{
	uint64_t value = 0;
	char low[32];
	char high[32];
	int error = parse_number(key->type, text, &value);
	if (error == -EINVAL) {
		config_error_set(ret_error, "\"%.64s\" is not %s", text, number_hint(key->type));
		return error;
	}
	bool off = !error && value == 0 && key->zero_is_off;
	if (error || (!off && (value < key->min || value > key->max))) {
		config_error_set(ret_error, "%.64s is not between %s and %s%s", text,
				 config_print_value(key->type, key->min, low),
				 config_print_value(key->type, key->max, high),
				 key->zero_is_off ? ", nor 0 for off" : "");
		return -ERANGE;
	}
	memcpy(config_field(config, key), &value, sizeof(value));
	return 0;
}

static int check_items(const struct config_key *key, const char *list,
		       struct config_error *ret_error)
{
	const char *item;
	size_t length;
	unsigned count = 0;
	while (config_list_next(&list, &item, &length)) {
		if (++count > key->max_items && key->max_items > 0) {
			config_error_set(ret_error, "there are more than %u items", key->max_items);
			return -EINVAL;
		}
		char text[300];
		const char *wrong = "it is too long";
		if (length < sizeof(text)) {
			memcpy(text, item, length);
			text[length] = '\0';
			wrong = key->check(text);
		}
		if (wrong) {
			config_error_set(ret_error, "\"%.*s\": %s",
					 (int)(length < 64 ? length : 64), item, wrong);
			return -EINVAL;
		}
	}
	return 0;
}

static int set_string(struct config *config, const struct config_key *key, const char *text,
		      struct config_error *ret_error)
{
	size_t length = strlen(text);
	if (length < key->min || length > key->max) {
		if (length == 0) {
			config_error_set(ret_error, "it must not be empty");
		} else {
			config_error_set(ret_error,
					 "it is %zu bytes long, at most %" PRIu64 " are allowed",
					 length, key->max);
		}
		return -ERANGE;
	}
	for (size_t i = 0; i < length; ++i) {
		unsigned char byte = (unsigned char)text[i];
		bool blank = byte == '\t' && key->type == CONFIG_LIST;
		if ((byte < 0x20 && !blank) || byte == 0x7f) {
			config_error_set(ret_error, "it contains a control character");
			return -EINVAL;
		}
	}
	if (key->check && key->type == CONFIG_LIST) {
		int error = check_items(key, text, ret_error);
		if (error) {
			return error;
		}
	} else if (key->check) {
		const char *wrong = key->check(text);
		if (wrong) {
			config_error_set(ret_error, "\"%.64s\": %s", text, wrong);
			return -EINVAL;
		}
	}
	char *copy = strdup(text);
	if (!copy) {
		config_error_set(ret_error, "out of memory");
		return -ENOMEM;
	}
	char *before;
	memcpy(&before, config_field(config, key), sizeof(before));
	free(before);
	memcpy(config_field(config, key), &copy, sizeof(copy));
	return 0;
}

int config_set(struct config *config, const struct config_key *key, const char *value,
	       struct config_error *ret_error)
{
	switch (key->type) {
	case CONFIG_SIZE:
	case CONFIG_COUNT:
	case CONFIG_DURATION:
		return set_number(config, key, value, ret_error);
	case CONFIG_STRING:
	case CONFIG_LIST:
		return set_string(config, key, value, ret_error);
	case CONFIG_LOG_LEVEL:
		break;
	}
	enum log_level level;
	int error = log_level_parse(value, &level);
	if (error) {
		config_error_set(ret_error, "\"%.64s\" is not error, warning, info or debug",
				 value);
		return error;
	}
	memcpy(config_field(config, key), &level, sizeof(level));
	return 0;
}

struct config *config_new(void)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	struct config *config = calloc(1, sizeof(*config));
	if (!config) {
		return NULL;
	}
	for (size_t i = 0; i < count; ++i) {
		struct config_error unused;
		if (config_set(config, &keys[i], keys[i].fallback, &unused)) {
			config_free(config);
			return NULL;
		}
	}
	return config;
}

void config_free(struct config *config)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	if (!config) {
		return;
	}
	for (size_t i = 0; i < count; ++i) {
		if (keys[i].type == CONFIG_STRING || keys[i].type == CONFIG_LIST) {
			char *text;
			memcpy(&text, config_field(config, &keys[i]), sizeof(text));
			free(text);
		}
	}
	free(config);
}
