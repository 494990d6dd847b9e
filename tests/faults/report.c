/* SPDX-License-Identifier: MIT */
/*
 * Reads the sanitizers' reports.
 */
#include "faults/report.h"

#include <string.h>

/* The next frame of our own code at or behind *cursor in a stack trace: the path of its file, below
 * the source folder; NULL if there is none. */
static const char *next_frame(const char **cursor)
{
	static const char root[] = " " FETCHD_SOURCE_DIR "/";
	const char *frame = strstr(*cursor, root);

	if (frame) {
		frame += strlen(root);
		*cursor = frame;
	}
	return frame;
}

static bool is_of_tests(const char *path)
{
	return path && strncmp(path, "tests/", 6) == 0;
}

/* Is that frame's function one of those of struct `type`, by its name: type_...()? */
static bool is_method(const char *path, const char *type, size_t type_length)
{
	const char *name = path - strlen(" " FETCHD_SOURCE_DIR "/");

	while (name[-1] != ' ') {
		name--;
	}
	return strncmp(name, type, type_length) == 0 && name[type_length] == '_';
}

bool report_is_of_test(const char *output)
{
	const char *report = strstr(output, "runtime error: ");
	const char *null = strstr(output, "null pointer of type '");
	const char *type = null ? strstr(null, "struct ") : NULL;
	const char *trace = NULL;
	const char *path = NULL;
	size_t length = 0;

	if (!report) {
		report = strstr(output, "SEGV on unknown address 0x00000000");
	}
	trace = report ? strstr(report, "    #0 ") : NULL;
	if (!trace) {
		return false;
	}
	path = next_frame(&trace);
	if (type) {
		type += strlen("struct ");
		length = strcspn(type, "'");
		while (path && !is_of_tests(path) && is_method(path, type, length)) {
			path = next_frame(&trace);
		}
	}
	return is_of_tests(path);
}
