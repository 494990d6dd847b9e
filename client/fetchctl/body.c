/* SPDX-License-Identifier: MIT */
#include "body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void body_init(struct body *body)
{
	*body = (struct body){.fd = -1};
}

static void close_file(struct body *body)
{
	if (body->own_fd) {
		close(body->fd);
	}
	body->fd = -1;
	body->own_fd = false;
}

void body_fini(struct body *body)
{
	close_file(body);
	free(body->data);
	body_init(body);
}

static int make_room(struct body *body, size_t length)
{
	size_t capacity = body->capacity > 0 ? body->capacity : 4096;
	uint8_t *bigger;

	while (capacity - body->length < length) {
		if (capacity > SIZE_MAX / 2) {
			return -ENOMEM;
		}
		capacity *= 2;
	}
	if (capacity == body->capacity) {
		return 0;
	}
	bigger = realloc(body->data, capacity);
	if (bigger == NULL) {
		return -ENOMEM;
	}
	body->data = bigger;
	body->capacity = capacity;
	return 0;
}

static int append(struct body *body, const void *data, size_t length)
{
	int r = make_room(body, length);

	if (r == 0 && length > 0) {
		memcpy(body->data + body->length, data, length);
		body->length += length;
	}
	return r;
}

/* Before another -d: several are one form. */
static int begin_part(struct body *body)
{
	int r = 0;

	if (body->fd >= 0) {
		return -EFBIG;
	}
	if (body->given) {
		r = append(body, "&", 1);
	} else {
		r = make_room(body, 1);
	}
	body->given = true;
	return r;
}

int body_add_text(struct body *body, const char *text)
{
	int r = begin_part(body);

	return r < 0 ? r : append(body, text, strlen(text));
}

static int open_file(struct body *body, const char *path)
{
	struct stat status;
	off_t at;
	int r = 0;

	body->own_fd = strcmp(path, "-") != 0;
	body->fd = body->own_fd ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (body->fd < 0) {
		body->own_fd = false;
		return -errno;
	}
	if (fstat(body->fd, &status) != 0) {
		r = -errno;
	} else if (S_ISDIR(status.st_mode)) {
		r = -EISDIR;
	} else if (S_ISREG(status.st_mode)) {
		/* Standard input may have been read from before. */
		at = lseek(body->fd, 0, SEEK_CUR);
		at = at > 0 ? at : 0;
		body->seekable = true;
		body->offset = (uint64_t)at;
		body->rest_bytes = status.st_size > at ? (uint64_t)(status.st_size - at) : 0;
	}
	if (r < 0) {
		close_file(body);
	}
	return r;
}

/* Reads until the file ends, or more than BODY_READ_AHEAD_BYTES of it are here. */
static int read_ahead(struct body *body)
{
	size_t begin = body->length;
	char buffer[16384];
	ssize_t got;

	while (body->length - begin <= BODY_READ_AHEAD_BYTES) {
		got = read(body->fd, buffer, sizeof(buffer));
		if (got < 0 && errno != EINTR) {
			return -errno;
		}
		if (got == 0) {
			close_file(body);
			break;
		}
		if (got > 0 && append(body, buffer, (size_t)got) < 0) {
			return -ENOMEM;
		}
	}
	/* Some files of the system say that they are empty, and are not: read to their end. */
	body->seekable = false;
	return 0;
}

int body_add_file(struct body *body, const char *path)
{
	bool first = !body->given;
	int r = begin_part(body);

	if (r == 0) {
		r = open_file(body, path);
	}
	if (r < 0) {
		return r;
	}
	if (!body->seekable || body->rest_bytes <= BODY_READ_AHEAD_BYTES) {
		r = read_ahead(body);
	}
	if (r < 0) {
		close_file(body);
		return r;
	}
	return body->fd >= 0 && !first ? -EFBIG : 0;
}

int body_set_file(struct body *body, const char *path)
{
	int r = open_file(body, path);

	if (r == 0) {
		body->given = true;
		r = make_room(body, 1);
	}
	if (r == 0 && body->seekable && body->rest_bytes <= BODY_READ_AHEAD_BYTES) {
		r = read_ahead(body);
	}
	if (r < 0) {
		close_file(body);
	}
	return r;
}

bool body_known_length(const struct body *body, uint64_t *ret_length)
{
	if (body->fd >= 0 && !body->seekable) {
		return false;
	}
	*ret_length = body->length + (body->fd >= 0 ? body->rest_bytes : 0);
	return true;
}

bool body_is_for_one(const struct body *body)
{
	return body->fd >= 0 && !body->seekable;
}
