/* SPDX-License-Identifier: MIT */
/*
 * Bytes waiting to be sent to the daemon, in one growing buffer, and descriptors that ride on some
 * of them. Sets no limit: its user looks at outbox_length() before adding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* A descriptor and the byte that it goes with. */
struct outbox_fd {
	uint64_t position; /* counted from the first byte that was ever added */
	int fd;
};

/* Fields are private. Zero-initialised is empty. */
struct outbox {
	uint8_t *data;
	size_t capacity;
	size_t begin;
	size_t end;
	uint64_t sent;         /* bytes ever */
	struct outbox_fd *fds; /* in order */
	size_t fd_count;
	size_t fd_capacity;
};

void outbox_fini(struct outbox *outbox);
size_t outbox_length(const struct outbox *outbox);
/* Appends a copy. 0, -ENOMEM. */
int outbox_add(struct outbox *outbox, const uint8_t *data, size_t length);
/* The same, with a descriptor that goes along with the first byte (there is one), once. It is
 * borrowed: the outbox keeps a duplicate until it is sent. 0, -ENOMEM, or the error of duplicating
 * it: -EBADF, -EMFILE; then nothing was added. */
int outbox_add_with_fd(struct outbox *outbox, const uint8_t *data, size_t length, int fd);
/* Sends to the socket without blocking. 0: empty now; 1: the socket takes no more now; negative:
 * the error of sendmsg(). */
int outbox_send(struct outbox *outbox, int fd);
