/* SPDX-License-Identifier: MIT */
/*
 * The request body that the command line of `fetchctl get` gives: bytes in memory, and behind them
 * what there is in a file or comes through a pipe. Errors are returned, not printed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What is read from a file before its request is sent. A request with a body that fits the one
 * frame of the request has it there: then it can be sent a second time where that is safe. */
#define BODY_READ_AHEAD_BYTES 65536u

/* Zero-initialised is no body, except that `fd` is -1 then. Fields are read only outside. */
struct body {
	bool given; /* also when it is empty */
	uint8_t *data;
	size_t length;
	size_t capacity;

	/* What follows `data`; -1: nothing. */
	int fd;
	bool own_fd; /* not standard input */
	/* A regular file: its bytes from `offset` on, `rest_bytes` of them, read as often as there
	 * are URLs. Otherwise it is read once, until it ends. */
	bool seekable;
	uint64_t offset;
	uint64_t rest_bytes;
};

void body_init(struct body *body);
void body_fini(struct body *body);

/* -d: behind what there is, with "&" between. 0; -EFBIG behind a file that is not read ahead whole;
 * -ENOMEM. */
int body_add_text(struct body *body, const char *text);
/* -d @PATH ("-": standard input): likewise, reading ahead. 0; -EFBIG, also when there was something
 * before a file that is not read ahead whole; -EISDIR; -ENOMEM; errors of the system. */
int body_add_file(struct body *body, const char *path);
/* -T: the whole body. Nothing of a pipe is read ahead. 0, -EISDIR, -ENOMEM, errors of the system.
 */
int body_set_file(struct body *body, const char *path);

/* Its length, if that is known before it is sent. */
bool body_known_length(const struct body *body, uint64_t *ret_length);
/* Can it be sent to one URL only? */
bool body_is_for_one(const struct body *body);
