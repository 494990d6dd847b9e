/* SPDX-License-Identifier: MIT */
/*
 * Accepting clients, and the set of them.
 */
#include "base/log.h"
#include "ipc/ipc_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define ACCEPTS_PER_ROUND 64u
/* Out of descriptors or memory: the backlog waits, the loop does not spin. */
#define ACCEPT_PAUSE_MS 200u
/* One is written, another one is ready: a thread never waits for the loop. */
#define FILES_PER_WRITER 2u

static void on_acceptable(void *ctx, unsigned events);

static void report_gone(void *ctx)
{
	struct ipc *ipc = ctx;

	if (ipc->on_gone && !ipc->peers) {
		ipc->on_gone(ipc->on_gone_ctx);
	}
}

int ipc_new(const struct ipc_world *world, struct ipc **ret_ipc)
{
	struct ipc *ipc = calloc(1, sizeof(*ipc));
	uint8_t random[16];

	if (!ipc) {
		return -ENOMEM;
	}
	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		free(ipc);
		return -EIO;
	}
	for (size_t i = 0; i < sizeof(random); i++) {
		snprintf(ipc->instance_id + 2 * i, 3, "%02x", random[i]);
	}
	ipc->world = *world;
	ipc->started_ms = loop_now_ms(world->loop);
	ipc->fd = -1;
	loop_task_init(&ipc->gone, report_gone, ipc);
	ipc->outputs =
		outputs_new(world->loop, world->writers,
			    FILES_PER_WRITER * (unsigned)world->config->daemon.writer_threads);
	if (!ipc->outputs) {
		free(ipc);
		return -ENOMEM;
	}
	*ret_ipc = ipc;
	return 0;
}

void ipc_free(struct ipc *ipc)
{
	if (!ipc) {
		return;
	}
	ipc_stop_listening(ipc);
	while (ipc->peers) {
		peer_free(ipc->peers);
	}
	loop_task_cancel(&ipc->gone);
	outputs_free(ipc->outputs);
	free(ipc);
}

static void resume_accepting(void *ctx)
{
	struct ipc *ipc = ctx;

	loop_io_set(&ipc->io, LOOP_READ);
}

static void pause_accepting(struct ipc *ipc)
{
	loop_io_set(&ipc->io, 0);
	loop_timer_start(&ipc->accept_pause, ipc->world.loop, ACCEPT_PAUSE_MS, resume_accepting,
			 ipc);
}

static void welcome(struct ipc *ipc, int take_fd)
{
	struct peer *peer = NULL;

	if (ipc->peer_count >= ipc->world.config->ipc.max_clients) {
		peer_turn_away(take_fd,
			       "the daemon serves as many clients as it may (ipc.max_clients)");
	} else if (peer_new(ipc, take_fd, &peer) == 0) {
		DL_APPEND(ipc->peers, peer);
		ipc->peer_count++;
	}
}

static void on_acceptable(void *ctx, unsigned events)
{
	struct ipc *ipc = ctx;

	(void)events;
	for (unsigned i = 0; i < ACCEPTS_PER_ROUND; i++) {
		int fd = accept4(ipc->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			welcome(ipc, fd);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED) {
			continue;
		}
		if (errno != EAGAIN) {
			log_warning("cannot accept a client for now: %s", strerror(errno));
			pause_accepting(ipc);
		}
		return;
	}
}

void ipc_listen(struct ipc *ipc, int take_fd)
{
	ipc_stop_listening(ipc);
	ipc->fd = take_fd;
	loop_io_start(&ipc->io, ipc->world.loop, take_fd, LOOP_READ, on_acceptable, ipc);
}

void ipc_stop_listening(struct ipc *ipc)
{
	if (ipc->fd < 0) {
		return;
	}
	loop_timer_stop(&ipc->accept_pause);
	loop_io_stop(&ipc->io);
	close(ipc->fd);
	ipc->fd = -1;
}

void ipc_peer_gone(struct ipc *ipc, struct peer *peer)
{
	DL_DELETE(ipc->peers, peer);
	ipc->peer_count--;
	if (ipc->on_gone && !ipc->peers) {
		loop_task_queue(&ipc->gone, ipc->world.loop);
	}
}

void ipc_say_goodbye(struct ipc *ipc, void (*on_gone)(void *ctx), void *ctx)
{
	struct peer *peer = NULL;

	ipc->on_gone = on_gone;
	ipc->on_gone_ctx = ctx;
	DL_FOREACH (ipc->peers, peer) {
		peer_leave(peer);
	}
	if (!ipc->peers) {
		loop_task_queue(&ipc->gone, ipc->world.loop);
	}
}

void ipc_reconfigure(struct ipc *ipc, const struct config *config)
{
	ipc->world.config = config;
}

uint32_t ipc_client_count(const struct ipc *ipc)
{
	return ipc->peer_count;
}
