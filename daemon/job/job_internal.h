/* SPDX-License-Identifier: MIT */
/*
 * What the files of the job layer share: the two structs and the calls between the files.
 *
 *     jobs.c      the table: submitting, finding, draining
 *     job.c       one job's states, its sink, its end
 *     attempt.c   one try on one stream, and what its outcome means
 *     upload.c    a request body that comes in pieces
 *     deadline.c  the job's clock
 *     wait.c      what it waits for
 *     policy.c    may it go there at all? (pure)
 *     redirect.c  where an answer leads (pure)
 *     replay.c    may it be sent again? (pure)
 *     retry.c     when to try again (pure)
 */
#pragma once

#include "base/hash.h"
#include "job/job.h"
#include "job/retry.h"

struct job_limits {
	uint64_t max_size, warn_size;
	uint64_t queue_timeout_ms, connect_timeout_ms, first_byte_timeout_ms, stall_timeout_ms,
		total_timeout_ms;
	uint64_t client_timeout_ms, delivery_timeout_ms;
	uint64_t backoff_ms, max_backoff_ms;
	uint64_t min_rate, min_rate_time_ms; /* bytes a second; either 0: off */
	struct retry_statuses retry_statuses;
	unsigned max_attempts;
	unsigned max_redirects;
};

/* An end that was reached before the client had all that it may have. */
struct job_verdict {
	enum close_reason reason;
	struct failure failure;
};

struct job {
	struct jobs *jobs;
	uint64_t number;
	enum job_state state;
	const struct job_sink_ops *sink;
	void *sink_ctx;
	struct job_owner owner;
	struct account_charge charge;
	struct request request; /* of this hop */
	struct upload *upload;  /* the body, if it comes in pieces; NULL: it does not */
	char *url;              /* as it was given, for List */
	char *hop_url;          /* where redirections have led so far; NULL: nowhere */
	struct job_limits limits;
	enum priority priority;
	bool replay_forbidden;
	bool retry_allowed;
	bool redirect_to_cleartext;

	struct pool_waiter waiter;
	struct stream *stream;
	struct job_attempt *attempts; /* the last one is the current one, if there is a stream */
	unsigned attempt_count;
	unsigned attempt_room;
	unsigned turned_away; /* of the attempts, those that do not count */
	unsigned redirects;   /* of the attempts, those that led somewhere else */

	uint64_t past_payload, past_wire_received, past_wire_sent; /* of attempts that are over */
	uint64_t delivered;
	bool head_delivered;
	bool has_content_length;
	uint64_t content_length;
	bool warned;
	bool reused;
	bool misdirected; /* had its 421 already, in this hop */
	bool handed;      /* was handed to a connection already, in this hop */
	bool ended;       /* the stream has ended well; only delivery is left */
	struct job_verdict
		*pending; /* how it ends once what has arrived is delivered; NULL: still open */
	bool ending;      /* job_end() is on the stack */
	enum job_hold held;
	struct header_list trailers;
	bool has_trailers;

	struct loop_timer deadline;
	uint64_t deadline_at_ms; /* what the timer is set for */
	uint64_t accepted_ms, accepted_us;
	uint64_t state_ms;        /* since when in its state */
	uint64_t hop_ms;          /* since when in this hop */
	uint64_t sent_rate_ms;    /* the request's body: since when its rate is counted, */
	uint64_t sent_rate_bytes; /* and what had gone by then */
	uint64_t progress_ms;     /* last byte on the stream */
	uint64_t held_ms;         /* since when held */
	uint64_t held_kind_ms;    /* and by just this */
	uint64_t rate_ms;         /* since when bytes are counted for min_rate */
	uint64_t rate_received;   /* how many had come by then */
	uint64_t retry_at_ms;     /* in BACKOFF */
	struct job_timings timings;

	struct loop_timer progress;
	uint32_t progress_interval_ms;
	uint64_t progress_told; /* received + delivered when last told */

	struct job *prev, *next; /* in jobs::open, by number */
	UT_hash_handle hh;
};

struct jobs {
	struct loop *loop;
	struct http_env *env;
	struct pool *pool;
	struct accounts *accounts;
	const struct config *config;
	struct job *open;
	struct job *by_number; /* hash */
	uint64_t last_number;
	uint32_t in_state[JOB_STATES];
	bool draining;
	void (*on_empty)(void *ctx);
	void *on_empty_ctx;
	struct loop_task empty;
};

/* ---- jobs.c ---- */
void jobs_remove(struct job *job);

/* ---- job.c ---- */
void job_set_state(struct job *job, enum job_state state);
/* The job's outcome is known; the first one counts. Ends it now, or when what has arrived and has
 * credit is delivered. */
void job_end(struct job *job, enum close_reason reason, const struct failure *failure);
/* Ends the job if only delivery was left and that is done. Returns false if it did. */
bool job_settle(struct job *job);
/* Progress events from now on, if they were asked for. */
void job_start_progress(struct job *job);
uint64_t job_received(const struct job *job);
/* Microseconds after Accepted for a timing, never 0. */
uint64_t job_elapsed_us(const struct job *job);

/* ---- attempt.c ---- */
/* Waits for a stream. 0, -ENOMEM, or a positive failure code. */
int attempt_start(struct job *job);
/* The same for a job that has been somewhere already: queues it, or ends it. */
void attempt_again(struct job *job);
/* Lets go of the waiter or the stream, adding what it counted to the job's counts. Idempotent. */
void attempt_drop(struct job *job);

/* ---- upload.c ---- */
/* The job has its stream: the client may send. Nothing, without an upload, like those below. */
void job_upload_begin(struct job *job);
/* A part of it is on its way. Only with an upload. */
void job_upload_sent(struct job *job);
/* The answer is the client's: the request is not sent again. */
void job_upload_answered(struct job *job);
/* Nothing of it is sent any more. */
void job_upload_give_up(struct job *job);
/* Is there an upload that cannot be sent from its beginning any more? */
bool job_upload_is_gone(const struct job *job);

/* ---- wait.c ---- */
/* The one thing that the job waits for. */
void job_wait(const struct job *job, struct wait *ret_wait);

/* ---- deadline.c ---- */
/* The client holds the job back no more: the time it did so does not count. */
void deadline_resume(struct job *job);
/* Sets the timer for what counts in the job's present state. */
void deadline_arm(struct job *job);
/* From now on it is the peer who has to take the request's body. */
void deadline_count_sending(struct job *job);
