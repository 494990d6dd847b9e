/* SPDX-License-Identifier: MIT */
/*
 * Bytes waiting to be sent to the daemon, in one growing buffer. Sets no limit: its user looks at
 * outbox_length() before adding.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Fields are private. Zero-initialised is empty. */
struct outbox {
	uint8_t *data;
	size_t capacity;
	size_t begin;
	size_t end;
};

void outbox_fini(struct outbox *outbox);
size_t outbox_length(const struct outbox *outbox);
/* Appends a copy. 0, -ENOMEM. */
int outbox_add(struct outbox *outbox, const uint8_t *data, size_t length);
/* Sends to the socket without blocking. 0: empty now; 1: the socket takes no more now; negative:
 * the error of send(). */
int outbox_send(struct outbox *outbox, int fd);
