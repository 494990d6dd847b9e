/* SPDX-License-Identifier: MIT */
/*
 * Where a body goes: a file that appears under its name only when it is complete, standard output,
 * or nowhere. Errors are returned, not printed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum output_kind {
	OUTPUT_NONE,
	OUTPUT_STDOUT,
	OUTPUT_FILE,
};

/* Zero-initialised is OUTPUT_NONE. Fields are private but for `kind`. */
struct output {
	enum output_kind kind;
	int fd;
	char *path;      /* the final name, symbolic links resolved */
	char *temporary; /* NULL: written straight to what is there (a device, a pipe) */
};

/* Begins a file at `path`: a temporary beside it, with the mode that the umask gives (or the mode
 * of the regular file that it will replace). What is there and no regular file is written to
 * directly. -EISDIR for a directory; errors of the system. */
int output_open_file(struct output *output, const char *path);
void output_open_stdout(struct output *output);

/* The descriptor of a new regular file, for somebody else to write all of it: borrowed, valid until
 * the output ends. -1 for any other output. */
int output_file_fd(const struct output *output);

/* Writes everything, waiting where it must. 0 or the error of write(); -EINTR when `interrupted`
 * was set meanwhile. */
int output_write(struct output *output, const void *data, size_t length,
		 const volatile int *interrupted);

/* The body is complete: the file gets its name. Ends the output either way. */
int output_commit(struct output *output);
/* The body is not complete: nothing of it stays. Also for one that was never opened, or ended. */
void output_discard(struct output *output);

/* The name that -O gives: the URL's last path segment, percent-decoded, without query and fragment.
 * 0 and *ret_name (free() it). -EINVAL when there is none, or when it is ".", "..", has a slash or
 * a control character; -ENAMETOOLONG above 255 bytes; -ENOMEM. */
int output_name_from_url(const char *url, char **ret_name);
