/* SPDX-License-Identifier: MIT */
/*
 * What the files of libfetchd share: the connection, its jobs and its requests. Not installed.
 *
 * A connection owns its jobs and requests, in two tables by id. Callbacks run only while
 * `dispatching`; fetchd_close() then only sets `closing`, and everything checks that after each
 * callback. A send error does not end the connection at once: what the daemon sent before it went
 * away (its Goodbye above all) is read first.
 */
#pragma once

#include "include/fetchd/fetchd.h"
#include "outbox.h"
#include "proto/framing.h"
#include "proto/wire.h"

/* Out of memory is our error return, not uthash's exit(). After HASH_ADD, hh.tbl says if it went.
 */
#define HASH_NONFATAL_OOM 1
/* The default function falls through its cases in a way that clang warns of; ids are our own, so a
 * plain one does. */
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FNV(keyptr, keylen, hashv)
#include <uthash.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Above this many unsent bytes nothing new is taken. */
#define OUTBOX_LIMIT_BYTES (1024u * 1024u)
/* One read takes at most this many bytes: two of the largest bodies. */
#define INPUT_BYTES (128u * 1024u)
/* What the library grants a job that would begin with nothing, because the daemon's default is 0.
 */
#define FIRST_CREDIT_BYTES (256u * 1024u)
/* How soon to try again what there was no memory for. */
#define OWED_RETRY_MS 20
/* The most that one frame takes of an upload: the frame's limit, less than which its other fields
 * and their tags are. */
#define UPLOAD_PIECE_BYTES (WIRE_CLIENT_FRAME_MAX - 64u)

struct fetchd_job {
	struct fetchd_connection *connection;
	uint64_t id;
	uint64_t daemon_id;
	struct fetchd_job_callbacks callbacks;
	void *user;

	bool manual_credit;
	bool default_credit;  /* began with the daemon's default, which its hello says */
	uint64_t window;      /* what the library keeps granted; automatic mode only */
	uint64_t outstanding; /* granted by us, not yet arrived */
	uint64_t consumed;    /* arrived, not yet granted back */
	uint64_t next_offset;

	/* Not yet in the outbox, because that was full or there was no memory. */
	uint64_t owed_credit;
	bool owed_stop;
	bool owed_cancel;

	bool upload;         /* its request's body comes by fetchd_job_upload() */
	bool upload_ended;   /* all of it has come */
	bool upload_starved; /* the caller has more; the daemon's credit was not what was missing */
	uint64_t upload_credit; /* granted by the daemon, not used yet */

	bool stopped;
	bool cancelled;
	bool closed;
	UT_hash_handle hh;
};

enum request_kind {
	REQUEST_LIST,
	REQUEST_STATS,
	REQUEST_PING,
	REQUEST_CANCEL_JOB,
};

struct request {
	uint64_t id;
	enum request_kind kind;
	union {
		void (*list)(struct fetchd_connection *connection, int error,
			     const struct fetchd_list *list, void *user);
		void (*stats)(struct fetchd_connection *connection, int error,
			      const struct fetchd_stats *stats, void *user);
		void (*ping)(struct fetchd_connection *connection, int error,
			     const struct fetchd_pong *pong, void *user);
		void (*cancel_job)(struct fetchd_connection *connection, int error, bool found,
				   void *user);
	} callback;
	void *user;
	UT_hash_handle hh;
};

struct fetchd_connection {
	int fd;
	uint64_t next_id;
	struct fetchd_job *jobs;
	struct request *requests;

	struct outbox outbox;
	int send_error; /* sending is over; 0 or negative */
	bool owing;     /* some job has something owed */
	bool starving;  /* some job's upload has found no room here */

	struct frame_reader reader;
	uint8_t *input;
	struct fetchd_field *fields; /* scratch for header fields */
	size_t field_capacity;

	bool greeted;
	struct fetchd_server server;
	struct wire_server_frame *hello; /* owns the strings of `server` and the feature names */

	bool dispatching;
	bool closing;

	int error;
	bool loss_delivered;
	char error_text[512];
	enum fetchd_goodbye_code goodbye;
	char goodbye_text[WIRE_TEXT_MAX + 1];
};

/* connection.c */

/* May something new be asked for? 0, the error of a lost connection, or -EAGAIN. */
int connection_accepts(struct fetchd_connection *connection);
/* Encodes and queues. 0, -EMSGSIZE, -ENOMEM. */
int connection_queue(struct fetchd_connection *connection, const struct wire_client_frame *frame);
/* The connection is lost; the first reason counts. Delivered at the end of the running or by the
 * next fetchd_process(). Returns `error`. */
int connection_lose(struct fetchd_connection *connection, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* job.c: each returns 1 when the caller was told something, 0 when not, negative when the
 * connection is lost (connection_lose() was called). */
int job_event(struct fetchd_connection *connection, const struct wire_server_frame *frame);
int job_body(struct fetchd_connection *connection, uint64_t id, uint64_t offset, const void *data,
	     size_t length);
/* Queues what jobs owe, as far as the outbox takes it. */
void jobs_settle(struct fetchd_connection *connection);
/* upload.c: credit for an upload has come; as in job.c. */
int upload_credit(struct fetchd_job *job, uint64_t bytes);
/* Tells those whose uploads found no room that there is some. Returns how many were told. */
int uploads_feed(struct fetchd_connection *connection);
/* Is there a job that uploads_feed() would tell? */
bool uploads_hungry(const struct fetchd_connection *connection);

/* job.c again: on_closed(DAEMON_LOST) for every job, as far as nobody closes the connection. */
void jobs_lose(struct fetchd_connection *connection);
void jobs_free(struct fetchd_connection *connection);

/* request.c: as in job.c. */
int request_reply(struct fetchd_connection *connection, const struct wire_server_frame *frame);
void requests_lose(struct fetchd_connection *connection);
void requests_free(struct fetchd_connection *connection);

/* submit.c: the caller's request in full, whatever the size of his struct. 0, -EINVAL, -E2BIG. */
int submit_known_request(const struct fetchd_request *request, struct fetchd_request *ret_known);

/* convert.c: wire structs to public ones. */
int64_t convert_optional(struct wire_optional optional);
/* The fields in the connection's scratch, valid until the next call; NULL without memory. */
const struct fetchd_field *convert_fields(struct fetchd_connection *connection,
					  const struct wire_field *fields, size_t count);
