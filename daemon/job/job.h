/* SPDX-License-Identifier: MIT */
/*
 * A job: one fetch that a client asked for, from Accepted to exactly one end. It tries on streams
 * until one of them gives an outcome that may not be tried again, watches the deadlines and size
 * limits, and hands the response to its sink.
 *
 *              +------------- replay, retry, redirect ------------+
 *              v                                                  |
 *     QUEUED -----> SENT -----> RECEIVING -----> DELIVERING       |
 *       ^  |          |             |                |            |
 *       |  +----------+-------------+----------------+--> CLOSED  |
 *       +--- BACKOFF <--------------------------------------------+
 *
 * Body bytes stay in the stream until the sink takes them with job_peek() and job_consume(); what
 * it does not take holds the stream's window shut.
 *
 * A request body that does not come with the job comes in pieces, with job_upload(), as far as the
 * sink was told upload_credit.
 */
#pragma once

#include "base/account.h"
#include "base/config.h"
#include "base/failure.h"
#include "base/metrics.h"
#include "base/wait.h"
#include "http/pool.h"
#include "http/request.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

struct job;
struct jobs;

enum job_state {
	JOB_QUEUED,
	JOB_SENT,
	JOB_RECEIVING,
	JOB_DELIVERING,
	JOB_BACKOFF,
	JOB_CLOSED,
	JOB_STATES
};

/* Why body bytes wait for the client. */
enum job_hold {
	JOB_NOT_HELD,
	JOB_WITHOUT_CREDIT,
	JOB_WITHOUT_ROOM,
	JOB_WITHOUT_OUTPUT /* what the client named to be written to is not ready */
};

/* A number that may be absent: the configured default counts then. */
struct job_option {
	bool set;
	uint64_t value;
};

/* What is asked for; all of it borrowed for the call. Times in ms, sizes in bytes, 0: none. */
struct job_spec {
	struct request_spec request;
	struct job_option max_size;
	struct job_option warn_size;
	struct job_option queue_timeout_ms;
	struct job_option connect_timeout_ms;
	struct job_option first_byte_timeout_ms;
	struct job_option stall_timeout_ms;
	struct job_option total_timeout_ms;
	enum priority priority;
	bool replay_forbidden;
	bool retry_allowed;
	uint32_t max_redirects; /* 0: none is followed */
	bool redirect_to_cleartext;
	uint32_t progress_interval_ms;
};

/* Who asks. Copied. */
struct job_owner {
	uid_t uid;
	pid_t pid;
	char name[65];
};

#define JOB_REMOTE_MAX ADDRESS_TEXT_MAX
#define JOB_ATTEMPTS_MAX 16u
#define JOB_ATTEMPT_URL_MAX 512u

/* One entry of the ledger. */
struct job_attempt {
	uint64_t connection; /* 0: there was none */
	char remote[JOB_REMOTE_MAX];
	uint32_t stream; /* 0: never sent */
	unsigned status;
	enum close_reason outcome;
	enum failure_code code;
	bool replay_safe;
	const char *why; /* static text */
	/* Where a redirection had led, cut at JOB_ATTEMPT_URL_MAX bytes, ASCII; NULL: the submitted
	 * URL. The job's. */
	char *url;
};

/* Microseconds after Accepted; 0: did not happen (a step at 0 is told as 1). */
struct job_timings {
	uint64_t dns_us, connect_us, tls_us, queued_us, sent_us, first_byte_us, end_us;
};

struct job_bytes {
	uint64_t payload, delivered, wire_received, wire_sent;
};

struct job_head {
	const struct stream_head *response;
	uint64_t connection;
	const struct channel_info *info;
	bool reused;
	const char *url; /* where redirections led; "": nowhere */
};

struct job_result {
	enum close_reason reason;
	const struct failure *failure; /* empty after a success */
	const struct job_attempt *attempts;
	unsigned attempt_count;
	struct job_bytes bytes;
	struct job_timings timings;
};

/* Who gets the response. Callbacks come in the order of the protocol (fetchd.proto, ORDER) and must
 * not call back into the job, but for job_peek(), job_available(), job_consume() and job_hold()
 * where it says so. What the pointers point to is valid during the call. */
struct job_sink_ops {
	void (*informational)(void *ctx, unsigned status, const struct header_list *headers);
	void (*head)(void *ctx, const struct job_head *head);
	/* job_available() has grown. Take it whenever it suits, not from inside this call. */
	void (*readable)(void *ctx);
	void (*trailers)(void *ctx, const struct header_list *trailers);
	void (*warning)(void *ctx, bool received, const char *text);
	/* Only with progress_interval_ms: ask job_info(). */
	void (*progress)(void *ctx);
	/* That many more bytes may be given to job_upload(). Only for a job with an upload: when it
	 * has its stream, and whenever there is room again. May come from inside job_upload(). */
	void (*upload_credit)(void *ctx, uint64_t bytes);
	/* The end; the job is gone when the call returns. May come from inside job_consume(),
	 * job_cancel(), job_stop(), job_upload(). */
	void (*closed)(void *ctx, const struct job_result *result);
};

/* ---- all jobs ---- */

/* NULL when out of memory. Everything is borrowed and must outlive it; `config` until
 * jobs_reconfigure(). */
struct jobs *jobs_new(struct loop *loop, struct http_env *env, struct pool *pool,
		      struct accounts *accounts, const struct config *config);
/* No job may be open (asserted). NULL is fine. */
void jobs_free(struct jobs *jobs);
/* Jobs submitted from now on follow `config`. */
void jobs_reconfigure(struct jobs *jobs, const struct config *config);
/* Refuses new jobs with DRAINING. `on_empty` is called, later, when none is open any more. */
void jobs_drain(struct jobs *jobs, void (*on_empty)(void *ctx), void *ctx);
/* Ends every job with SHUTDOWN, now. */
void jobs_stop(struct jobs *jobs);
/* Open jobs, and how many of them are in each state. */
uint32_t jobs_open(const struct jobs *jobs);
uint32_t jobs_in_state(const struct jobs *jobs, enum job_state state);

/* Takes a job. 0 and *ret_job: exactly one `closed` follows, never from inside this call. A
 * positive failure code and *ret_failure: refused, with DENIED; there is no job and no callback
 * (counted in the metrics all the same). */
int job_submit(struct jobs *jobs, const struct job_spec *spec, const struct job_owner *owner,
	       const struct job_sink_ops *ops, void *ctx, struct job **ret_job,
	       struct failure *ret_failure);
/* NULL if there is none of that number open. */
struct job *jobs_find(const struct jobs *jobs, uint64_t number);
/* The open job with the lowest number above `after`; NULL if there is none. */
struct job *jobs_next(const struct jobs *jobs, uint64_t after);

/* The one after it by number; NULL at the end. */
struct job *job_following(const struct job *job);

/* ---- one job ---- */

/* Ends it with CANCELLED and that code (CANCELLED_BY_CLIENT, CLIENT_GONE); body bytes not taken are
 * thrown away. */
void job_cancel(struct job *job, enum failure_code code);
/* Ends it with STOP_DOWNLOAD, when what has arrived is taken. */
void job_stop(struct job *job);

/* Ends it with that reason at once, because the sink cannot go on: body bytes not taken are thrown
 * away. If it had ended otherwise and only waited for them to be taken, that stays its end. */
void job_fail(struct job *job, enum close_reason reason, const struct failure *failure);

/* Body bytes that may be taken now: what has arrived, not beyond max_size. */
size_t job_available(const struct job *job);
/* Points iovecs at the first `limit` of them; valid until job_consume() or the loop goes on.
 * Returns how many were set. */
unsigned job_peek(const struct job *job, struct iovec *iov, unsigned max, size_t limit);
/* `length` bytes were taken: opens the stream's window by as much. Returns false if that ended the
 * job: it is gone. */
bool job_consume(struct job *job, size_t length);
/* The client holds the job back, and by what, or does so no more: while it does, time does not
 * count as a stall of the origin but towards job.client_timeout. Cheap, idempotent. */
void job_hold(struct job *job, enum job_hold hold);

/* A piece of the request's body, copied; `end`: the last one, which may be empty. 0: taken, or
 * thrown away, nobody wanting it any more; also when it ended the job (not the announced length: it
 * is gone, with CANCELLED and UPLOAD_LENGTH; or no memory). -EPROTO: it may not come, and *ret_why
 * (static) says why not: no upload, no credit for it, after the end. Nothing has changed then. */
int job_upload(struct job *job, const uint8_t *data, size_t length, bool end, const char **ret_why);

uint64_t job_number(const struct job *job);
uid_t job_uid(const struct job *job);

/* What List and Progress tell. Pointers are valid until the loop goes on. */
struct job_info {
	uint64_t number;
	enum job_state state;
	const char *method;
	const char *url; /* as it was submitted */
	const struct job_owner *owner;
	enum priority priority;
	uint64_t received, delivered;
	bool has_content_length;
	uint64_t content_length;
	uint64_t age_ms;
	unsigned attempts;
	struct wait wait;        /* WAIT_NOTHING while it moves */
	const char *waiting_for; /* its text */
};
void job_info(const struct job *job, struct job_info *ret_info);
