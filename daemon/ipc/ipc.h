/* SPDX-License-Identifier: MIT */
/*
 * The local protocol's server: accepts clients on the Unix socket and speaks fetchd.v1 with them
 * (fetchd.proto).
 */
#pragma once

#include "base/account.h"
#include "base/config.h"
#include "base/loop.h"
#include "base/worker.h"
#include "http/env.h"
#include "http/pool.h"
#include "job/job.h"

#include <stdint.h>

struct ipc;

/* What it works with; all borrowed, outliving it. */
struct ipc_world {
	struct loop *loop;
	struct http_env *env;
	struct pool *pool;
	struct jobs *jobs;
	struct accounts *accounts;
	struct workers *writers;     /* for what blocks on passed descriptors */
	const struct config *config; /* until ipc_reconfigure() */
	const char *version;         /* of the daemon, "0.1.0" */
};

/* 0 and *ret_ipc, -ENOMEM, or another negative errno when the system has no random numbers. */
int ipc_new(const struct ipc_world *world, struct ipc **ret_ipc);
/* Closes the listener and every client; their jobs are cancelled. NULL is fine. */
void ipc_free(struct ipc *ipc);
/* Accepts on a listening, non-blocking Unix stream socket; consumes it. */
void ipc_listen(struct ipc *ipc, int take_fd);
/* Accepts nobody any more. Clients that are there stay. Idempotent. */
void ipc_stop_listening(struct ipc *ipc);
/* Says Goodbye(SHUTDOWN) to everybody, after what is queued for them. `on_gone` is called, later,
 * when all are gone, which takes a bounded time. */
void ipc_say_goodbye(struct ipc *ipc, void (*on_gone)(void *ctx), void *ctx);
void ipc_reconfigure(struct ipc *ipc, const struct config *config);
uint32_t ipc_client_count(const struct ipc *ipc);

/* Makes a listening socket at `path` with that mode. A socket that nobody listens on any more is
 * replaced. 0 and *ret_fd; -EADDRINUSE when somebody does, -ENAMETOOLONG, or another negative
 * errno. */
int ipc_bind(const char *path, unsigned mode, int *ret_fd);
