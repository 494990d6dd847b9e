/* SPDX-License-Identifier: MIT */
/*
 * The table as text: the commented default file, and the keys' part of the man page.
 */
#include "base/config_internal.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 78u

struct printer {
	void (*write)(void *ctx, const char *text);
	void *ctx;
};

static void put(const struct printer *printer, const char *text)
{
	printer->write(printer->ctx, text);
}

/* Breaks `text` into lines, each with `prefix` in front. */
static void put_wrapped(const struct printer *printer, const char *prefix, const char *text)
{
	size_t width = COLUMNS - strlen(prefix);
	while (*text != '\0') {
		char line[COLUMNS + 1];
		size_t length = strlen(text);
		if (length > width) {
			/* The last blank that fits; a longer word is cut, there is none in the
			 * table. */
			length = width;
			while (length > 0 && text[length] != ' ') {
				--length;
			}
			length = length > 0 ? length : width;
		}
		memcpy(line, text, length);
		line[length] = '\0';
		put(printer, prefix);
		put(printer, line);
		put(printer, "\n");
		text += length;
		text += strspn(text, " ");
	}
}

/* scdoc takes some characters for formatting. */
static void put_escaped(const struct printer *printer, const char *text)
{
	char character[3] = "";
	for (; *text != '\0'; ++text) {
		bool special = strchr("\\*_+#|[]-.", *text) != NULL;
		(void)snprintf(character, sizeof(character), "%s%c", special ? "\\" : "", *text);
		put(printer, character);
	}
}

static const char *type_name(enum config_type type)
{
	switch (type) {
	case CONFIG_SIZE:
		return "SIZE";
	case CONFIG_COUNT:
		return "NUMBER";
	case CONFIG_DURATION:
		return "TIME";
	case CONFIG_STRING:
		return "TEXT";
	case CONFIG_LIST:
		return "LIST";
	case CONFIG_LOG_LEVEL:
		return "LEVEL";
	}
	return "";
}

/* "From 1 to 64. A reload does not change it." Empty when there is nothing to say. */
static void describe_limits(const struct config_key *key, char *buffer, size_t size)
{
	char low[32];
	char high[32];
	char range[128] = "";
	switch (key->type) {
	case CONFIG_SIZE:
	case CONFIG_COUNT:
	case CONFIG_DURATION:
		(void)snprintf(range, sizeof(range), "From %s to %s",
			       config_print_value(key->type, key->min, low),
			       config_print_value(key->type, key->max, high));
		break;
	case CONFIG_STRING:
	case CONFIG_LIST:
	case CONFIG_LOG_LEVEL:
		break;
	}
	(void)snprintf(buffer, size, "%s%s%s", range,
		       range[0] != '\0' && key->zero_is_off ? ", or 0 for off" : "",
		       range[0] != '\0' ? "." : "");
}

void config_print_default(void (*write)(void *ctx, const char *text), void *ctx)
{
	const struct printer printer = {.write = write, .ctx = ctx};
	const char *section = "";
	size_t count;
	const struct config_key *keys = config_keys(&count);
	put_wrapped(
		&printer, "# ",
		"Configuration of fetchd; see fetchd.conf(5). Every key is shown with its "
		"default. To change one, take away the \"#\" in front of it, or better, put "
		"the key into a file of your own in fetchd.conf.d, whose name ends in \".conf\".");
	for (size_t i = 0; i < count; ++i) {
		const struct config_key *key = &keys[i];
		char limits[256];
		if (strcmp(section, key->section) != 0) {
			section = key->section;
			put(&printer, "\n[");
			put(&printer, section);
			put(&printer, "]\n");
		}
		put(&printer, "\n");
		put_wrapped(&printer, "# ", key->doc);
		describe_limits(key, limits, sizeof(limits));
		put_wrapped(&printer, "# ", limits);
		put(&printer, "#");
		put(&printer, key->name);
		put(&printer, key->fallback[0] != '\0' ? " = " : " =");
		put(&printer, key->fallback);
		put(&printer, "\n");
	}
}

void config_print_man(void (*write)(void *ctx, const char *text), void *ctx)
{
	const struct printer printer = {.write = write, .ctx = ctx};
	const char *section = "";
	size_t count;
	const struct config_key *keys = config_keys(&count);
	put(&printer, "# KEYS\n\n");
	for (size_t i = 0; i < count; ++i) {
		const struct config_key *key = &keys[i];
		char limits[256];
		if (strcmp(section, key->section) != 0) {
			section = key->section;
			put(&printer, "## [");
			put(&printer, section);
			put(&printer, "]\n\n");
		}
		put(&printer, "*");
		put_escaped(&printer, key->name);
		put(&printer, "* = _");
		put(&printer, type_name(key->type));
		put(&printer, "_\n\t");
		put_escaped(&printer, key->doc);
		put(&printer, "\n\n\tDefault: ");
		if (key->fallback[0] != '\0') {
			put(&printer, "*");
			put_escaped(&printer, key->fallback);
			put(&printer, "*. ");
		} else {
			put(&printer, "empty. ");
		}
		describe_limits(key, limits, sizeof(limits));
		put_escaped(&printer, limits);
		put(&printer, "\n\n");
	}
}
