/* SPDX-License-Identifier: MIT */
/*
 * What the files of this layer share.
 *
 *     bind.c        making the socket
 *     listener.c    accepting, the set of clients
 *     peer.c        one client's socket: frames in, frames out, its end
 *     requests.c    what a client's frames ask for
 *     client_job.c  the sink that hands a job to its client, under credit
 *     passed.c      descriptors that a client passed
 *     output.c      a job's body into one of these; output_check.c says which are good for it
 *     report.c      List and Stats
 */
#pragma once

#include "base/hash.h"
#include "ipc/ipc.h"
#include "ipc/output.h"
#include "ipc/passed.h"
#include "proto/framing.h"
#include "proto/wire.h"

#define IPC_READ_SIZE (64u * 1024)

struct ipc {
	struct ipc_world world;
	char instance_id[33];
	uint64_t started_ms;
	int fd; /* -1: not listening */
	struct loop_io io;
	struct loop_timer accept_pause;
	struct peer *peers;
	uint32_t peer_count;
	struct outputs *outputs;
	void (*on_gone)(void *ctx);
	void *on_gone_ctx;
	struct loop_task gone;
	uint8_t read_buffer[IPC_READ_SIZE];
};

/*
 * HELLO: nothing but ClientHello is understood. OPEN. CLOSING: a Goodbye is queued, nothing is read
 * any more, the socket closes when all is written or after a while. DEAD: to be taken down at the
 * end of the round.
 */
enum peer_state {
	PEER_HELLO,
	PEER_OPEN,
	PEER_CLOSING,
	PEER_DEAD
};

struct peer {
	struct ipc *ipc;
	enum peer_state state;
	int fd;
	struct loop_io io;
	struct account_charge charge;
	struct job_owner owner;
	struct frame_reader reader;
	struct passed_queue passed;
	size_t low_water; /* body enters `out` below this; fixed with out's ceiling */
	struct bytes out;
	bool blocked;             /* the socket takes no more for now */
	struct client_job *jobs;  /* hash by id */
	struct client_job *ready; /* those with body bytes and credit, in turn */
	uint64_t default_credit,
		max_credit; /* as its hello was answered, whatever is reloaded later */
	uint64_t last_id;
	unsigned lingering; /* of its jobs, those that have ended, and a thread still writes */
	bool leaving;       /* Goodbye(SHUTDOWN), as soon as there are none of these */
	bool reading;       /* LOOP_READ is watched */
	uint8_t *unread;    /* input that was received and has to wait for the next round */
	size_t unread_length;
	unsigned work;            /* of requests in this round */
	struct loop_timer resume; /* while there is `unread` */
	struct loop_task flush;
	struct loop_task end;
	struct loop_timer timer;  /* hello, half a frame, or the last goodbye */
	struct peer *prev, *next; /* in ipc::peers */
};

/* A job and the client it belongs to. */
struct client_job {
	struct peer *peer;
	struct job *job;       /* NULL: it has ended, but `closed` cannot be sent yet */
	struct output *output; /* where the body goes; NULL: to the client */
	uint8_t *closed;       /* the frame, for when no thread writes any more */
	size_t closed_length;
	uint64_t id; /* the client's */
	uint64_t credit;
	uint64_t offset; /* body bytes queued for the client so far */
	bool is_ready;
	struct client_job *prev, *next; /* in peer::ready, while is_ready */
	UT_hash_handle hh;
};

/* ---- listener.c ---- */
void ipc_peer_gone(struct ipc *ipc, struct peer *peer);

/* ---- peer.c ---- */
/* Consumes `take_fd`, also on failure. 0, -ENOMEM, -EDQUOT (the user has too many clients), or
 * another negative errno. */
int peer_new(struct ipc *ipc, int take_fd, struct peer **ret_peer);
/* Refused before there is a peer: the Goodbye fits into the socket's empty buffer, or is lost.
 * Consumes `take_fd`. */
void peer_turn_away(int take_fd, const char *text);
/* Now: cancels its jobs, closes, frees. Not from inside a job's or a stream's callback. */
void peer_free(struct peer *peer);
/* Queues a control frame. What cannot be queued ends the peer; callers need not care. */
void peer_send(struct peer *peer, const struct wire_server_frame *frame);
/* The same for one that is encoded already. */
void peer_send_encoded(struct peer *peer, const uint8_t *data, size_t length);
/* Goodbye(SHUTDOWN), behind the ends of jobs that a thread still writes for. */
void peer_leave(struct peer *peer);
/* Queues Goodbye and ends the conversation. */
__attribute__((format(printf, 3, 4))) void
peer_goodbye(struct peer *peer, enum wire_goodbye_code code, const char *format, ...);
/* Ends the conversation without a word: the output is beyond repair. */
void peer_abort(struct peer *peer);
/* Something may be written at the end of the round. */
void peer_queue_flush(struct peer *peer);
/* May see and cancel this job: its own user's, or anybody's for root and the daemon's user. */
bool peer_may_see(const struct peer *peer, const struct job *job);

/* ---- requests.c ---- */
void request_handle(struct peer *peer, const struct wire_client_frame *frame);

/* ---- client_job.c ---- */
void client_job_submit(struct peer *peer, uint64_t id, const struct wire_submit *submit);
void client_job_credit(struct client_job *client_job, uint64_t bytes);
/* The client is gone: ends it, and nothing is sent. */
void client_job_abandon(struct client_job *client_job);
/* Moves body bytes of ready jobs, in turn, into the peer's output while that is below its low
 * water. */
void client_job_pull(struct peer *peer);
/* The peer's socket got blocked or free: whose fault is it that bytes wait? */
void client_job_hold_all(struct peer *peer, bool held);

/* ---- report.c ---- */
void report_list(struct peer *peer, uint64_t id, uint64_t after_job, uint32_t limit);
void report_stats(struct peer *peer, uint64_t id, uint32_t origin_limit, uint32_t connection_limit);
enum wire_job_state report_job_state(enum job_state state);
