/* SPDX-License-Identifier: MIT */
/*
 * Configuration files: the file, its drop-ins, and whether the values agree with each other. The
 * syntax is inih's, which reads line by line what we hand it; that is how lines are counted, and
 * how a line that it would cut in two is refused instead.
 */
#include "base/config_internal.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (1u << 20)
#define KEYS_MAX 128u
#define LINE_MAX_BYTES 8192

/* inih's buffer is 200 bytes long by default. Debian's library lets its users choose; one that does
 * not have this variable keeps its own size, and longer lines are refused. */
extern int ini_max_line __attribute__((weak));

struct reading {
	struct config *config;
	struct config_error *error;
	int result; /* the first error, 0 so far */
	const char *path;
	char *text; /* the whole file */
	size_t length;
	size_t at;                     /* where the next line begins */
	unsigned line;                 /* number of the line that inih has now */
	bool indented;                 /* it begins with a blank */
	const struct config_key *last; /* what an indented line continues */
	bool has_last;
	bool seen[KEYS_MAX];
};

static bool is_blank(char character)
{
	return character != '\0' && strchr(" \t\r\n\v\f", character) != NULL;
}

/* Keeps the first error: what comes after it may be its consequence. */
__attribute__((format(printf, 3, 4))) static void fail(struct reading *reading, int error,
						       const char *format, ...)
{
	char text[400];
	va_list args;
	if (reading->result) {
		return;
	}
	va_start(args, format);
	if (vsnprintf(text, sizeof(text), format, args) < 0) {
		text[0] = '\0';
	}
	va_end(args);
	reading->result = error;
	config_error_set(reading->error, "%.200s:%u: %s", reading->path, reading->line, text);
}

/* inih does not call back for a section without keys, nor does it look behind the bracket. What it
 * takes for a section is checked here; what it does not, it complains about itself. */
static void check_section(struct reading *reading, const char *line, size_t length)
{
	const char *name = line + 1;
	const char *end = memchr(name, ']', length - 1);
	char section[32] = "";
	reading->has_last = false;
	if (!end) {
		return;
	}
	if ((size_t)(end - name) < sizeof(section)) {
		memcpy(section, name, (size_t)(end - name));
	}
	if (section[0] == '\0' || !config_find(section, NULL)) {
		fail(reading, -EINVAL, "there is no section [%.*s]",
		     (int)(end - name < 64 ? end - name : 64), name);
		return;
	}
	const char *rest = end + 1;
	while (rest < line + length && is_blank(*rest)) {
		++rest;
	}
	if (rest < line + length && *rest != ';' && *rest != '#') {
		fail(reading, -EINVAL, "[%s] is followed by something else", section);
	}
}

/* inih's fgets(). */
static char *read_line(char *buffer, int size, void *stream)
{
	static const char byte_order_mark[] = "\xef\xbb\xbf";
	struct reading *reading = stream;
	const char *line = reading->text + reading->at;
	size_t left = reading->length - reading->at;
	if (left == 0 || reading->result) {
		return NULL;
	}
	++reading->line;
	const char *newline = memchr(line, '\n', left);
	size_t length = newline ? (size_t)(newline - line) + 1 : left;
	/* Content, CR, LF and NUL must fit. */
	size_t content = length - (newline != NULL);
	if (size < 4 || content > (size_t)size - 3) {
		fail(reading, -EMSGSIZE,
		     "the line is %zu bytes long, at most %d are possible; a list may go on in "
		     "further lines that begin with a blank",
		     content, size < 4 ? 0 : size - 3);
		return NULL;
	}
	if (memchr(line, '\0', length)) {
		fail(reading, -EINVAL, "there is a NUL byte in the line");
		return NULL;
	}
	reading->at += length;
	memcpy(buffer, line, length);
	buffer[length] = '\0';
	if (reading->line == 1 && strncmp(line, byte_order_mark, 3) == 0) {
		line += 3;
		length -= 3;
	}
	reading->indented = length > 0 && is_blank(line[0]);
	while (length > 0 && is_blank(line[0])) {
		++line;
		--length;
	}
	if (length > 0 && line[0] == '[' && !(reading->indented && reading->has_last)) {
		check_section(reading, line, length);
	}
	return buffer;
}

/* inih takes inline comments off values, but not off the lines that continue them. */
static size_t without_comment(const char *text)
{
	size_t length = strlen(text);
	for (size_t i = 0; i < length; ++i) {
		if (text[i] == ';' && (i == 0 || is_blank(text[i - 1]))) {
			length = i;
		}
	}
	while (length > 0 && is_blank(text[length - 1])) {
		--length;
	}
	return length;
}

static void store(struct reading *reading, const struct config_key *key, const char *value)
{
	struct config_error why;
	int error = config_set(reading->config, key, value, &why);
	if (error) {
		fail(reading, error, "%s.%s: %s", key->section, key->name, why.text);
	}
}

static void continue_list(struct reading *reading, const char *more)
{
	const struct config_key *key = reading->last;
	if (!key) {
		return;
	}
	if (key->type != CONFIG_LIST) {
		fail(reading, -EINVAL,
		     "the line begins with a blank, so it continues %s.%s, which is not a list",
		     key->section, key->name);
		return;
	}
	char *before;
	char *joined = NULL;
	memcpy(&before, config_field(reading->config, key), sizeof(before));
	if (asprintf(&joined, "%s%s%.*s", before, before[0] != '\0' ? " " : "",
		     (int)without_comment(more), more) < 0) {
		fail(reading, -ENOMEM, "out of memory");
		return;
	}
	store(reading, key, joined);
	free(joined);
}

/* inih calls this for each key, and for each line that continues one. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct reading *reading = user;
	size_t count;
	const struct config_key *keys = config_keys(&count);
	assert(count <= KEYS_MAX);
	if (reading->indented && reading->has_last) {
		continue_list(reading, value ? value : "");
		return reading->result == 0;
	}
	const struct config_key *key = config_find(section, name);
	reading->last = key;
	reading->has_last = name[0] != '\0';
	if (section[0] == '\0') {
		fail(reading, -EINVAL, "%.64s stands before the first section", name);
	} else if (!config_find(section, NULL)) {
		fail(reading, -EINVAL, "there is no section [%.64s]", section);
	} else if (!key) {
		fail(reading, -EINVAL, "there is no key %.64s in [%s]", name, section);
	} else if (reading->seen[key - keys]) {
		fail(reading, -EINVAL, "%s.%s is set a second time in this file", section, name);
	} else {
		reading->seen[key - keys] = true;
		store(reading, key, value ? value : "");
	}
	return reading->result == 0;
}

/* The whole file, bounded. 0 or -errno. */
static int read_fd(int fd, char **ret_text, size_t *ret_length)
{
	struct stat status;
	if (fstat(fd, &status) < 0) {
		return -errno;
	}
	if (S_ISDIR(status.st_mode)) {
		return -EISDIR;
	}
	/* /dev/null is a fine configuration; a pipe could keep us waiting. */
	if (!S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode)) {
		return -ENOTSUP;
	}
	if (status.st_size > FILE_MAX_BYTES) {
		return -EFBIG;
	}
	char *text = malloc(FILE_MAX_BYTES + 1);
	if (!text) {
		return -ENOMEM;
	}
	size_t length = 0;
	while (length <= FILE_MAX_BYTES) {
		ssize_t added = read(fd, text + length, FILE_MAX_BYTES + 1 - length);
		if (added < 0 && errno == EINTR) {
			continue;
		}
		if (added <= 0) {
			int error = added < 0 ? -errno : 0;
			if (error) {
				free(text);
				return error;
			}
			*ret_text = text;
			*ret_length = length;
			return 0;
		}
		length += (size_t)added;
	}
	free(text);
	return -EFBIG;
}

static int read_file(const char *path, char **ret_text, size_t *ret_length)
{
	/* NONBLOCK: opening a FIFO would wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0) {
		return -errno;
	}
	int error = read_fd(fd, ret_text, ret_length);
	(void)close(fd);
	return error;
}

static int load_file(struct config *config, const char *path, bool required,
		     struct config_error *ret_error)
{
	struct reading reading = {.config = config, .error = ret_error, .path = path};
	int error = read_file(path, &reading.text, &reading.length);
	if (error == -ENOENT && !required) {
		return 0;
	}
	if (error) {
		config_error_set(ret_error, "%.200s: %s", path,
				 error == -ENOTSUP ? "Not a regular file" : strerror(-error));
		return error;
	}
	if (&ini_max_line) {
		ini_max_line = LINE_MAX_BYTES + 3;
	}
	int line = ini_parse_stream(read_line, &reading, on_key, &reading);
	free(reading.text);
	if (line < 0) {
		config_error_set(ret_error, "%.200s: out of memory", path);
		return -ENOMEM;
	}
	/* The first line that inih did not understand, unless an error of ours came before it. */
	if (line > 0 && (!reading.result || (unsigned)line < reading.line)) {
		reading.result = 0;
		reading.line = (unsigned)line;
		fail(&reading, -EINVAL, "this is neither [SECTION] nor KEY = VALUE");
	}
	return reading.result;
}

static int is_drop_in(const struct dirent *entry)
{
	static const char suffix[] = ".conf";
	size_t length = strlen(entry->d_name);
	return entry->d_name[0] != '.' && length >= sizeof(suffix) &&
	       strcmp(entry->d_name + length - (sizeof(suffix) - 1), suffix) == 0;
}

/* alphasort() would go by the locale. */
static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int load_folder(struct config *config, const char *folder, struct config_error *ret_error)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_drop_in, compare_names);
	int error = 0;
	if (count < 0) {
		error = -errno;
		if (error == -ENOENT) {
			return 0;
		}
		config_error_set(ret_error, "%.200s: %s", folder, strerror(-error));
		return error;
	}
	for (int i = 0; i < count; ++i) {
		char *path = NULL;
		if (!error && asprintf(&path, "%s/%s", folder, entries[i]->d_name) < 0) {
			config_error_set(ret_error, "out of memory");
			error = -ENOMEM;
		} else if (!error) {
			error = load_file(config, path, true, ret_error);
			free(path);
		}
		free(entries[i]);
	}
	free(entries);
	return error;
}

/* The first must not exceed the second. */
static const struct {
	const char *section, *name;
	const char *limit_section, *limit_name;
} orders[] = {
	{"pool", "max_connections_per_origin", "pool", "max_connections"},
	{"http", "stream_window", "http", "max_stream_window"},
	{"http", "stream_window", "http", "connection_window"},
	{"http", "connection_window", "http", "max_connection_window"},
	{"http", "stream_window", "memory", "body_budget"},
	{"pool", "backoff", "pool", "max_backoff"},
	{"job", "backoff", "job", "max_backoff"},
	{"ipc", "max_clients_per_uid", "ipc", "max_clients"},
	{"ipc", "max_jobs_per_client", "ipc", "max_jobs"},
	{"ipc", "max_jobs_per_uid", "ipc", "max_jobs"},
	{"ipc", "default_credit", "ipc", "max_credit"},
	{"ipc", "upload_buffer", "memory", "body_budget"},
};

static int check_orders(struct config *config, const char *path, struct config_error *ret_error)
{
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); ++i) {
		const struct config_key *key = config_find(orders[i].section, orders[i].name);
		const struct config_key *limit =
			config_find(orders[i].limit_section, orders[i].limit_name);
		uint64_t value;
		uint64_t most;
		char value_text[32];
		char most_text[32];
		memcpy(&value, config_field(config, key), sizeof(value));
		memcpy(&most, config_field(config, limit), sizeof(most));
		if (value > most) {
			config_error_set(ret_error, "%.200s: %s.%s (%s) is more than %s.%s (%s)",
					 path, key->section, key->name,
					 config_print_value(key->type, value, value_text),
					 limit->section, limit->name,
					 config_print_value(limit->type, most, most_text));
			return -EINVAL;
		}
	}
	return 0;
}

int config_load(const char *path, bool required, struct config **ret_config,
		struct config_error *ret_error)
{
	char *folder = NULL;
	struct config *config = config_new();
	if (!config || (path && asprintf(&folder, "%s.d", path) < 0)) {
		config_free(config);
		config_error_set(ret_error, "out of memory");
		return -ENOMEM;
	}
	int error = 0;
	if (path) {
		error = load_file(config, path, required, ret_error);
		error = error ? error : load_folder(config, folder, ret_error);
		error = error ? error : check_orders(config, path, ret_error);
		free(folder);
	}
	if (error) {
		config_free(config);
		return error;
	}
	*ret_config = config;
	return 0;
}
