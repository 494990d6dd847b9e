/* SPDX-License-Identifier: MIT */
/*
 * The daemon's layers from jobs down on the simulated machine, clients that submit jobs, and the
 * words in which scenarios are told.
 *
 * Times are virtual milliseconds since the beginning of the world. A name is answered after 1 ms,
 * TCP takes 10 ms and TLS 20, so the first connection to a server is up at 31; a way takes 5, so
 * its first request is heard at 36 and answered at 41.
 */
#pragma once

#include "base/account.h"
#include "base/config.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "dns.h"
#include "http/pool.h"
#include "job/job.h"
#include "peer.h"
#include "sim.h"
#include "sockets.h"

#include <stdbool.h>
#include <stdint.h>

struct client;

struct world {
	struct loop *loop;
	struct metrics metrics;
	struct http_env *env;
	struct pool *pool;
	struct accounts *accounts;
	struct config *config;
	struct jobs *jobs;
	struct client *clients; /* in the order in which they came */
	uint64_t client_count;
	uint64_t consumed_before;
	bool emptied; /* a drain has come to its end */
};
extern struct world world;

#define OWNER_UID 1000u

/* A world without names and servers. Cleartext is allowed to "plain.test". */
void world_init(uint64_t seed);
/* Ends it; nothing may be left over. Open jobs must be gone. */
void world_fini(void);
/* A server behind a name. */
struct sim_server *serve(const char *host, const char *literal);

/* ---- clients: one job each ---- */

#define PLENTY (UINT64_C(1) << 40)

struct client {
	struct client *prev, *next;
	uint64_t number;
	struct job *job; /* NULL: not open */
	uid_t uid;
	uint64_t credit; /* what it takes at most */
	bool stuck;      /* takes nothing, whatever its credit */
	struct loop_task task;
	unsigned interims, heads, readables, trailers, warnings, progresses, closed;
	unsigned status;
	uint32_t salt; /* of the response that it sees */
	uint64_t connection;
	bool reused;
	bool warned_received;
	uint64_t taken;
	enum failure_code denied; /* of a job that was not taken */
	enum close_reason reason;
	struct failure failure;
	struct job_attempt attempts[JOB_ATTEMPTS_MAX];
	unsigned attempt_count;
	struct job_bytes bytes;
	struct job_timings timings;
	uint64_t submitted_ms, head_ms, closed_ms;
	/* For its owner. */
	void (*on_closed)(struct client *client);
	uint64_t mark;
};

/* What may be said of a job. 0 and NULL: the defaults. */
struct ask {
	int nothing;
	const char *method;
	const uint8_t *body;
	size_t body_length;
	const struct header_field *headers;
	size_t header_count;
	uint64_t max_size, warn_size;
	uint64_t queue_ms, connect_ms, first_byte_ms, stall_ms, total_ms;
	uint32_t progress_ms;
	int priority; /* enum priority + 1: see PRIORITY() */
	bool replay_forbidden, retry_allowed, redirect_to_cleartext;
	uint32_t max_redirects;
	bool no_credit;
	uint64_t credit; /* 0: PLENTY, unless no_credit */
	uid_t uid;       /* 0: OWNER_UID */
};
#define PRIORITY(which) .priority = (int)PRIORITY_##which + 1

/* Submits; the client is the world's. Refused: `denied` is set, `job` is NULL, and there is no end.
 * `fetch(url, .method = "POST", .stall_ms = 300)` for those that have to be taken. */
struct client *client_submit(const char *url, const struct ask *ask);
#define fetch(url_, ...) \
	must_be_taken(client_submit((url_), &(struct ask){.nothing = 0 __VA_OPT__(, ) __VA_ARGS__}))
struct client *must_be_taken(struct client *client);
/* More credit; takes what it may at once. */
void client_grant(struct client *client, uint64_t bytes);
/* Goes on reading, or stops. */
void client_stick(struct client *client, bool stuck);
void client_cancel(struct client *client);
void client_stop(struct client *client);
enum job_state client_state(const struct client *client);
/* Forgets one whose job is over. */
void client_free(struct client *client);

/* ---- telling ---- */

/* Everything up to that moment happens. */
void at(uint64_t ms);
/* What there is to do at this moment is done. */
void settle(void);
/* Runs until that moment: the job ends at it, and not before, with that reason and outermost
 * failure. */
#define expect_closed(client, ms, reason, code) \
	expect_closed_at(__FILE__, __LINE__, (client), (ms), (reason), (code))
void expect_closed_at(const char *file, int line, const struct client *client, uint64_t ms,
		      enum close_reason reason, enum failure_code code);
/* The same for ENDED with so many bytes of body. */
#define expect_ended(client, ms, bytes) expect_ended_at(__FILE__, __LINE__, (client), (ms), (bytes))
void expect_ended_at(const char *file, int line, const struct client *client, uint64_t ms,
		     uint64_t bytes);
/* An entry of the ledger. */
#define expect_attempt(client, index, outcome, code) \
	expect_attempt_at(__FILE__, __LINE__, (client), (index), (outcome), (code))
void expect_attempt_at(const char *file, int line, const struct client *client, unsigned index,
		       enum close_reason outcome, enum failure_code code);
/* A code, or words, somewhere in the chain. */
bool has_code(const struct client *client, enum failure_code code);
bool has_text(const struct client *client, const char *text);
/* Connection `connection` of the server and request `index` on it, which must have come. */
struct peer *peer_of(const struct sim_server *server, unsigned connection);
struct exchange *request_of(const struct sim_server *server, unsigned connection, unsigned index);
struct pool_gauges gauges(void);

/* ---- cmocka ---- */

int world_setup(void **state);
int world_teardown(void **state);
#define SCENARIO(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
