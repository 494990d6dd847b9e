/* SPDX-License-Identifier: MIT */
/*
 * One run of `fetchctl get`: its transfers, and what get.c (the loop), transfer.c (one transfer),
 * upload.c (what it sends) and report.c (how it ended, for people) say to each other.
 */
#pragma once

#include "get_options.h"
#include "output.h"
#include "progress.h"

enum transfer_state {
	TRANSFER_WAITING,
	TRANSFER_RUNNING,
	TRANSFER_DONE,
};

struct transfer {
	struct get *get;
	size_t index;
	const char *url;
	const char *shown_url; /* for messages and events */
	enum transfer_state state;
	struct fetchd_job *job; /* while running */
	struct output output;
	bool passed;        /* the daemon writes the output file */
	bool held;          /* for standard output, and it is not its turn yet: no credit */
	char *pending_head; /* -i: written when its turn comes */
	char *final_url;    /* where redirections led, for messages; NULL: none was followed */
	int local_error;    /* writing failed; 0 or negative */
	uint32_t status;
	bool bad_status; /* --fail, and the status says so */
	int exit_code;   /* once done */

	uint64_t sent_bytes; /* of a request body that is sent in pieces */
	bool upload_ended;
	bool upload_wanted; /* there is room for what comes through a pipe */
	uint64_t received_bytes;
	int64_t content_length;
	char waiting_for[128];
	char sending[64];
	struct progress_rate rate;
};

struct get {
	const struct get_options *options;
	struct fetchd_connection *connection;
	struct transfer *transfers;
	size_t count;
	size_t started;
	size_t running;
	size_t done;
	/* Whose turn it is on standard output; `count` if nobody's. */
	size_t turn;
	/* Set from outside (a signal) or by ourselves (standard output is gone): the exit code to
	 * end with, 0 while all is well. */
	int stop_code;
	const volatile int *interrupted;
	struct progress progress;
	bool progress_on;
	bool lost_told;
};

/* transfer.c */

/* Opens the output and submits. 0: running, or done already because it failed; -EAGAIN: try again
 * later, nothing was changed. */
int transfer_start(struct transfer *transfer);
/* Its turn on standard output has come. */
void transfer_take_turn(struct transfer *transfer);
/* What was never started, because of `exit_code`. */
void transfer_give_up(struct transfer *transfer, int exit_code);
void transfer_fini(struct transfer *transfer);
struct progress_row transfer_row(struct transfer *transfer, int64_t now_ms);

/* upload.c */

/* The daemon has room for some of the request's body. */
void upload_feed(struct transfer *transfer);
/* One that is `upload_wanted`, and its source has something, or its end. */
void upload_read(struct transfer *transfer);

/* report.c */

/* "URL: REASON: text: text", and what can be done about it. */
void report_failure(struct transfer *transfer, const struct fetchd_closed *closed);
/* -v: "URL: closed: REASON, ...", and before it a line for each attempt if there were several;
 * --json says all of it. */
void report_end(struct transfer *transfer, const struct fetchd_closed *closed);

/* get.c */

/* Prints an error or a warning without tearing the progress lines. */
void get_message(struct get *get, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Passes the turn on standard output from one that is done to the next. */
void get_next_turn(struct get *get);
