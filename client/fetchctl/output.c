/* SPDX-License-Identifier: MIT */
/* Files under temporary names until they are complete, and names out of URLs. */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_MAX_BYTES 255u
#define SUFFIX ".XXXXXX"

/* PATH/.NAME.XXXXXX in the same folder, or rename() could not be atomic. */
static char *temporary_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;
	size_t folder_length = (size_t)(name - path);
	size_t name_length = strlen(name), size;
	char *temporary;

	/* A long name is cut, so that the temporary's is not too long for the file system. */
	if (name_length > NAME_MAX_BYTES - 1 - strlen(SUFFIX)) {
		name_length = NAME_MAX_BYTES - 1 - strlen(SUFFIX);
	}
	size = folder_length + 1 + name_length + sizeof(SUFFIX);
	temporary = malloc(size);
	if (temporary != NULL) {
		(void)snprintf(temporary, size, "%.*s.%.*s%s", (int)folder_length, path,
			       (int)name_length, name, SUFFIX);
	}
	return temporary;
}

static mode_t mode_by_umask(void)
{
	mode_t mask = umask(0);

	(void)umask(mask);
	return 0666 & ~mask;
}

static void output_reset(struct output *output)
{
	free(output->path);
	free(output->temporary);
	*output = (struct output){.kind = OUTPUT_NONE, .fd = -1};
}

int output_open_file(struct output *output, const char *path)
{
	struct stat status;
	mode_t mode = mode_by_umask();
	int r;

	*output = (struct output){.kind = OUTPUT_FILE, .fd = -1};
	if (path[0] == '\0' || path[strlen(path) - 1] == '/') {
		r = path[0] == '\0' ? -ENOENT : -EISDIR;
		goto fail;
	}
	if (stat(path, &status) == 0) {
		if (S_ISDIR(status.st_mode)) {
			r = -EISDIR;
			goto fail;
		}
		if (!S_ISREG(status.st_mode)) {
			/* Renaming over /dev/null would be a surprise to everyone. */
			output->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
			if (output->fd < 0) {
				r = -errno;
				goto fail;
			}
			return 0;
		}
		mode = status.st_mode & 0777;
		output->path = realpath(path, NULL);
	} else if (errno == ENOENT) {
		output->path = strdup(path);
	} else {
		/* Better now than when the body is complete. */
		r = -errno;
		goto fail;
	}
	if (output->path == NULL) {
		r = -errno;
		goto fail;
	}
	output->temporary = temporary_name(output->path);
	if (output->temporary == NULL) {
		r = -ENOMEM;
		goto fail;
	}
	output->fd = mkostemp(output->temporary, O_CLOEXEC);
	if (output->fd < 0) {
		r = -errno;
		goto fail;
	}
	if (fchmod(output->fd, mode) != 0) {
		r = -errno;
		output_discard(output);
		return r;
	}
	return 0;

fail:
	output_reset(output);
	return r;
}

void output_open_stdout(struct output *output)
{
	*output = (struct output){.kind = OUTPUT_STDOUT, .fd = STDOUT_FILENO};
}

int output_file_fd(const struct output *output)
{
	return output->kind == OUTPUT_FILE && output->temporary != NULL ? output->fd : -1;
}

int output_write(struct output *output, const void *data, size_t length,
		 const volatile int *interrupted)
{
	const uint8_t *at = data;

	if (output->kind == OUTPUT_NONE) {
		return 0;
	}
	while (length > 0) {
		ssize_t written = write(output->fd, at, length);

		if (written >= 0) {
			at += written;
			length -= (size_t)written;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			/* Somebody else's non-blocking terminal or pipe. */
			struct pollfd poll_fd = {.fd = output->fd, .events = POLLOUT};

			(void)poll(&poll_fd, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
		if (length > 0 && *interrupted) {
			return -EINTR;
		}
	}
	return 0;
}

int output_commit(struct output *output)
{
	int r = 0;

	if (output->kind != OUTPUT_FILE) {
		return 0;
	}
	/* Some file systems tell of a full disk only here. */
	if (close(output->fd) != 0) {
		r = -errno;
	}
	output->fd = -1;
	if (r == 0 && output->temporary != NULL && rename(output->temporary, output->path) != 0) {
		r = -errno;
	}
	if (r == 0) {
		output_reset(output);
	} else {
		output_discard(output);
	}
	return r;
}

void output_discard(struct output *output)
{
	if (output->kind != OUTPUT_FILE) {
		return;
	}
	if (output->fd >= 0) {
		close(output->fd);
	}
	if (output->temporary != NULL) {
		(void)unlink(output->temporary);
	}
	output_reset(output);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	if (c >= 'a' && c <= 'f') {
		return c - 'a' + 10;
	}
	if (c >= 'A' && c <= 'F') {
		return c - 'A' + 10;
	}
	return -1;
}

int output_name_from_url(const char *url, char **ret_name)
{
	const char *authority = strstr(url, "://");
	const char *start, *end, *slash = NULL;
	size_t length = 0;
	char *name;

	if (authority == NULL) {
		return -EINVAL;
	}
	start = authority + 3;
	end = start + strcspn(start, "?#");
	for (const char *at = start; at < end; at++) {
		if (*at == '/') {
			slash = at;
		}
	}
	if (slash == NULL) {
		return -EINVAL;
	}
	name = malloc((size_t)(end - slash));
	if (name == NULL) {
		return -ENOMEM;
	}
	for (const char *at = slash + 1; at < end; at++) {
		char c = *at;

		if (c == '%' && end - at > 2 && hex_digit(at[1]) >= 0 && hex_digit(at[2]) >= 0) {
			c = (char)(hex_digit(at[1]) << 4 | hex_digit(at[2]));
			at += 2;
		}
		/* Decoding must not make what the segment could not be. */
		if (c == '/' || (unsigned char)c < 0x20 || c == 0x7f) {
			free(name);
			return -EINVAL;
		}
		name[length++] = c;
	}
	name[length] = '\0';
	if (length == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		free(name);
		return -EINVAL;
	}
	if (length > NAME_MAX_BYTES) {
		free(name);
		return -ENAMETOOLONG;
	}
	*ret_name = name;
	return 0;
}
