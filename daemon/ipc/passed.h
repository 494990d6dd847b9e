/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that a client passed: received with its bytes, in order, and handed to the frames
 * that say they have some. Each is charged to the client's user for as long as the daemon has it.
 *
 * Closing one may block (a network file system writes what it has cached, a socket lingers), so
 * that is the business of a thread too.
 */
#pragma once

#include "base/account.h"
#include "base/worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* In one message, and unclaimed altogether. */
#define PASSED_MAX 16u

struct passed_fd {
	int fd;    /* -1: there is none */
	int error; /* why not: -EDQUOT (the user has as many as it may), -ENOMEM */
	struct account_charge charge;
};

/* Closes it on one of the threads and gives the charge back after that. Nothing happens to one that
 * is none, or closed already. */
void passed_close(struct passed_fd *passed, struct workers *workers);

/* Those of one client. Fields are private. An empty one holds no memory. */
struct passed_queue {
	struct accounts *accounts;
	struct workers *workers;
	uid_t uid;
	struct passed_fd *fds; /* PASSED_MAX of them; NULL: none */
	unsigned count;
	unsigned claimed; /* the first of them belong to the frame at hand */
};

void passed_init(struct passed_queue *queue, struct accounts *accounts, struct workers *workers,
		 uid_t uid);
/* Closes what is there. */
void passed_fini(struct passed_queue *queue);

/* Receives bytes, as recv() with MSG_DONTWAIT, and the descriptors that ride on them. How many
 * bytes, 0 at the end of the stream, or a negative errno. -EBADMSG: descriptors came that may not,
 * or not all of them did; *ret_why (static) says what was wrong. They are closed, and which frame
 * the others are for cannot be told any more. */
ssize_t passed_receive(struct passed_queue *queue, int socket, void *buffer, size_t size,
		       const char **ret_why);

/* The next `count` of them belong to the frame at hand. False if there are not as many. */
bool passed_claim(struct passed_queue *queue, unsigned count);
/* How many of those that the frame at hand brought are not taken yet. */
unsigned passed_claimed(const struct passed_queue *queue);
/* Takes the first of these (there is one: asserted); to be closed by the caller. */
struct passed_fd passed_take(struct passed_queue *queue);
/* The frame is dealt with: what it brought and nobody took is closed. */
void passed_end_frame(struct passed_queue *queue);
/* No frame is begun: what is there belongs to none, and is closed. */
void passed_clear(struct passed_queue *queue);
