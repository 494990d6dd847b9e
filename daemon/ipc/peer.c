/* SPDX-License-Identifier: MIT */
/*
 * One client's socket. Frames come in and are handed to requests.c; frames go out through one
 * queue, written once per round.
 *
 * The queue is bounded twice. Body bytes enter it only while it is short (ipc.output_buffer), so
 * that control events never wait behind much; control events may make it longer by
 * ipc.control_budget, and a client that leaves even those unread is let go. While the queue is
 * long, nothing is read either: what the client asks for waits with it.
 */
#include "base/log.h"
#include "ipc/ipc_internal.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define READS_PER_ROUND 4u
#define WRITE_PER_ROUND (1024u * 1024)
#define IOV_MAX_USED 64u
/* Frames count one each, questions that walk over the daemon's tables more; see request_handle().
 */
#define WORK_PER_ROUND 1024u
#define GOODBYE_ROOM 1024u /* always left for one Goodbye */
#define GOODBYE_LINGER_MS 2000u

static void on_event(void *ctx, unsigned events);
static void flush(void *ctx);

static void end(void *ctx)
{
	peer_free(ctx);
}

/* At the end of the round: we may be deep inside a job's callback. */
static void doom(struct peer *peer)
{
	if (peer->state != PEER_DEAD) {
		peer->state = PEER_DEAD;
		loop_task_queue(&peer->end, peer->ipc->world.loop);
	}
}

void peer_abort(struct peer *peer)
{
	doom(peer);
}

/* ---- writing ---- */

static void update_interest(struct peer *peer)
{
	size_t patience = peer->low_water + (size_t)peer->ipc->world.config->ipc.control_budget / 2;
	unsigned events = 0;

	peer->reading = !peer->unread &&
			(peer->state == PEER_HELLO ||
			 (peer->state == PEER_OPEN && bytes_length(&peer->out) < patience));
	if (peer->reading) {
		events |= LOOP_READ;
	}
	if (peer->blocked) {
		events |= LOOP_WRITE;
	}
	loop_io_set(&peer->io, events);
}

void peer_queue_flush(struct peer *peer)
{
	if (peer->state != PEER_DEAD && !peer->blocked) {
		loop_task_queue(&peer->flush, peer->ipc->world.loop);
	}
}

/* `reserve`: room that only a Goodbye may use. */
static int append(struct peer *peer, const uint8_t *data, size_t length, size_t reserve)
{
	return length + reserve > bytes_room(&peer->out) ? -ENOBUFS
							 : bytes_append(&peer->out, data, length);
}

static int enqueue(struct peer *peer, const struct wire_server_frame *frame, size_t reserve)
{
	uint8_t *data = NULL;
	size_t length = 0;
	int rc = wire_server_frame_encode(frame, &data, &length);

	if (rc < 0) {
		return rc;
	}
	rc = append(peer, data, length, reserve);
	free(data);
	return rc;
}

static void queued(struct peer *peer, int rc)
{
	if (rc == -ENOBUFS) {
		peer_goodbye(peer, WIRE_GOODBYE_SLOW_CONSUMER,
			     "%zu bytes of events wait unread (ipc.control_budget)",
			     bytes_length(&peer->out));
		return;
	}
	if (rc < 0) {
		peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "an event could not be queued: %s",
			     strerror(-rc));
		return;
	}
	peer_queue_flush(peer);
}

void peer_send(struct peer *peer, const struct wire_server_frame *frame)
{
	if (peer->state != PEER_DEAD && peer->state != PEER_CLOSING) {
		queued(peer, enqueue(peer, frame, GOODBYE_ROOM));
	}
}

void peer_send_encoded(struct peer *peer, const uint8_t *data, size_t length)
{
	if (peer->state != PEER_DEAD && peer->state != PEER_CLOSING) {
		queued(peer, append(peer, data, length, GOODBYE_ROOM));
	}
}

void peer_leave(struct peer *peer)
{
	peer->leaving = true;
	if (peer->lingering == 0) {
		peer_goodbye(peer, WIRE_GOODBYE_SHUTDOWN, "the daemon stops");
	}
}

static void on_linger_over(void *ctx)
{
	doom(ctx);
}

void peer_goodbye(struct peer *peer, enum wire_goodbye_code code, const char *format, ...)
{
	char text[WIRE_TEXT_MAX];
	struct wire_server_frame frame = {.kind = WIRE_SERVER_GOODBYE,
					  .goodbye = {.code = code, .text = text}};
	va_list arguments;

	if (peer->state == PEER_CLOSING || peer->state == PEER_DEAD) {
		return;
	}
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (code != WIRE_GOODBYE_SHUTDOWN) {
		log_info("client %s (uid %u, pid %d): goodbye %s: %s",
			 peer->owner.name[0] ? peer->owner.name : "unnamed",
			 (unsigned)peer->owner.uid, (int)peer->owner.pid,
			 wire_goodbye_code_name(code), text);
	}
	if (enqueue(peer, &frame, 0) < 0) {
		doom(peer);
		return;
	}
	peer->state = PEER_CLOSING;
	loop_timer_start(&peer->timer, peer->ipc->world.loop, GOODBYE_LINGER_MS, on_linger_over,
			 peer);
	peer_queue_flush(peer);
	update_interest(peer);
}

static void set_blocked(struct peer *peer, bool blocked)
{
	if (blocked != peer->blocked) {
		peer->blocked = blocked;
		client_job_hold_all(peer, blocked);
	}
}

/* Writes what is queued. Returns how much went, or -1 when the socket is blocked or broken. */
static ssize_t write_some(struct peer *peer)
{
	struct iovec iov[IOV_MAX_USED];
	struct msghdr message = {.msg_iov = iov};
	ssize_t written = 0;

	message.msg_iovlen = bytes_peek(&peer->out, iov, IOV_MAX_USED);
	do {
		written = sendmsg(peer->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (written < 0 && errno == EINTR);
	if (written >= 0) {
		bytes_skip(&peer->out, (size_t)written);
		return written;
	}
	if (errno == EAGAIN) {
		set_blocked(peer, true);
	} else {
		doom(peer); /* the client is gone */
	}
	return -1;
}

/* The flush task. */
static void flush(void *ctx)
{
	struct peer *peer = ctx;
	size_t done = 0;

	while (done < WRITE_PER_ROUND) {
		ssize_t written = 0;

		if (peer->state == PEER_OPEN) {
			client_job_pull(peer);
		}
		if (bytes_length(&peer->out) == 0 || peer->state == PEER_DEAD) {
			break;
		}
		written = write_some(peer);
		if (written < 0) {
			break;
		}
		done += (size_t)written;
	}
	if (peer->state == PEER_DEAD) {
		return;
	}
	if (peer->state == PEER_CLOSING && bytes_length(&peer->out) == 0) {
		doom(peer);
		return;
	}
	if (done >= WRITE_PER_ROUND) {
		peer_queue_flush(peer); /* others have their turn first */
	}
	update_interest(peer);
}

/* ---- reading ---- */

static void on_frame_timeout(void *ctx)
{
	struct peer *peer = ctx;

	if (!peer->reading && peer->state == PEER_OPEN) {
		/* It is we who do not read: the rest may have come long ago. */
		loop_timer_start(&peer->timer, peer->ipc->world.loop,
				 peer->ipc->world.config->ipc.frame_timeout_ms, on_frame_timeout,
				 peer);
		return;
	}
	if (peer->state == PEER_HELLO) {
		peer_goodbye(peer, WIRE_GOODBYE_HELLO_EXPECTED, "no hello came in time");
	} else {
		peer_goodbye(peer, WIRE_GOODBYE_FRAME_TIMEOUT,
			     "the rest of a frame did not come in time");
	}
}

/* The clock of an unfinished frame runs from its first byte; the hello's from the connection. */
static void watch_frame(struct peer *peer)
{
	if (peer->state != PEER_OPEN) {
		return;
	}
	if (!frame_reader_partial(&peer->reader)) {
		loop_timer_stop(&peer->timer);
	} else if (!loop_timer_active(&peer->timer)) {
		loop_timer_start(&peer->timer, peer->ipc->world.loop,
				 peer->ipc->world.config->ipc.frame_timeout_ms, on_frame_timeout,
				 peer);
	}
}

static void take_frame(struct peer *peer, const uint8_t *data, size_t length)
{
	struct wire_client_frame *frame = NULL;
	const char *why = "";
	int rc = wire_client_frame_decode(data, length, &frame, &why);

	if (peer->state == PEER_OPEN) {
		loop_timer_stop(&peer->timer);
	}
	if (rc == -EBADMSG) {
		peer_goodbye(peer, WIRE_GOODBYE_BAD_MESSAGE, "%s", why);
		return;
	}
	if (rc < 0) {
		peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "a frame could not be decoded: %s",
			     strerror(-rc));
		return;
	}
	if (passed_claim(&peer->passed, frame->fd_count)) {
		request_handle(peer, frame);
		passed_end_frame(&peer->passed);
	} else {
		peer_goodbye(peer, WIRE_GOODBYE_BAD_MESSAGE,
			     "a frame says that %" PRIu32
			     " descriptors ride on it, and they do not",
			     frame->fd_count);
	}
	wire_client_frame_free(frame);
}

static void resume(void *ctx);

/* The rest waits for the next round: whoever asks a lot at once does not keep the others waiting.
 */
static void put_off(struct peer *peer, const uint8_t *data, size_t length)
{
	uint8_t *unread = malloc(length);

	if (!unread) {
		peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "no memory for what was received");
		return;
	}
	memcpy(unread, data, length);
	peer->unread = unread;
	peer->unread_length = length;
	loop_timer_start(&peer->resume, peer->ipc->world.loop, 0, resume, peer);
}

static void take_bytes(struct peer *peer, const uint8_t *data, size_t length)
{
	/* Also with nothing left, until the reader says that it has no frame: only then does it let
	 * go of its memory. */
	while (peer->state == PEER_HELLO || peer->state == PEER_OPEN) {
		const uint8_t *frame = NULL;
		size_t frame_length = 0;
		size_t used = 0;
		int rc = frame_reader_next(&peer->reader, data, length, &used, &frame,
					   &frame_length);

		data += used;
		length -= used;
		if (rc == 0) {
			break;
		}
		if (rc == 1) {
			take_frame(peer, frame, frame_length);
			if (peer->work >= WORK_PER_ROUND && length > 0) {
				put_off(peer, data, length);
				break;
			}
		} else if (rc == -EMSGSIZE) {
			peer_goodbye(peer, WIRE_GOODBYE_BAD_FRAME, "a frame of more than %u bytes",
				     WIRE_CLIENT_FRAME_MAX);
		} else if (rc == -EBADMSG) {
			peer_goodbye(peer, WIRE_GOODBYE_BAD_FRAME,
				     "a length that is no varint of at most 4 bytes in its "
				     "shortest form");
		} else {
			peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "no memory for a frame");
		}
	}
	watch_frame(peer);
	/* Descriptors come no later than their frame's first byte, so these are nobody's. */
	if (!peer->unread && !frame_reader_partial(&peer->reader)) {
		passed_clear(&peer->passed);
	}
}

static void resume(void *ctx)
{
	struct peer *peer = ctx;
	uint8_t *data = peer->unread;
	size_t length = peer->unread_length;

	peer->unread = NULL;
	peer->work = 0;
	take_bytes(peer, data, length);
	free(data);
	if (peer->state != PEER_DEAD) {
		update_interest(peer);
	}
}

static void on_readable(struct peer *peer)
{
	uint8_t *buffer = peer->ipc->read_buffer;

	peer->work = 0;
	for (unsigned i = 0; i < READS_PER_ROUND; i++) {
		const char *why = "";
		ssize_t count = 0;

		if (peer->unread || (peer->state != PEER_HELLO && peer->state != PEER_OPEN)) {
			break;
		}
		count = passed_receive(&peer->passed, peer->fd, buffer, IPC_READ_SIZE, &why);
		if (count == -EAGAIN) {
			break;
		}
		if (count == -EBADMSG) {
			peer_goodbye(peer, WIRE_GOODBYE_BAD_MESSAGE, "%s", why);
			break;
		}
		if (count <= 0) {
			doom(peer);
			return;
		}
		take_bytes(peer, buffer, (size_t)count);
		if ((size_t)count < IPC_READ_SIZE) {
			break;
		}
	}
	if (peer->state != PEER_DEAD) {
		update_interest(peer);
	}
}

static void on_event(void *ctx, unsigned events)
{
	struct peer *peer = ctx;

	if (peer->state == PEER_DEAD) {
		return;
	}
	if (events & LOOP_WRITE) {
		set_blocked(peer, false);
		peer_queue_flush(peer);
	}
	if (events & LOOP_READ) {
		on_readable(peer);
	}
	if (peer->state != PEER_DEAD) {
		update_interest(peer);
	}
}

/* ---- coming and going ---- */

static int identify(struct peer *peer)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0) {
		return -errno;
	}
	peer->owner.uid = credentials.uid;
	peer->owner.pid = credentials.pid;
	return account_charge(peer->ipc->world.accounts, credentials.uid, ACCOUNT_PEERS, 1,
			      &peer->charge);
}

void peer_turn_away(int take_fd, const char *text)
{
	struct wire_server_frame frame = {
		.kind = WIRE_SERVER_GOODBYE,
		.goodbye = {.code = WIRE_GOODBYE_TOO_MANY_CLIENTS, .text = text},
	};
	uint8_t *data = NULL;
	size_t length = 0;

	if (wire_server_frame_encode(&frame, &data, &length) == 0) {
		(void)send(take_fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		free(data);
	}
	close(take_fd);
}

int peer_new(struct ipc *ipc, int take_fd, struct peer **ret_peer)
{
	const struct config *config = ipc->world.config;
	struct peer *peer = calloc(1, sizeof(*peer));
	int rc = -ENOMEM;

	if (peer) {
		peer->ipc = ipc;
		peer->fd = take_fd;
		rc = identify(peer);
	}
	if (rc < 0) {
		free(peer);
		peer_turn_away(
			take_fd,
			rc == -EDQUOT
				? "the user has as many clients as it may (ipc.max_clients_per_uid)"
				: "the daemon has no room for the client");
		return rc;
	}
	peer->state = PEER_HELLO;
	frame_reader_init(&peer->reader, WIRE_CLIENT_FRAME_MAX);
	passed_init(&peer->passed, ipc->world.accounts, ipc->world.writers, peer->owner.uid);
	peer->low_water = (size_t)config->ipc.output_buffer;
	peer->reading = true;
	bytes_init(&peer->out, (size_t)(config->ipc.output_buffer + config->ipc.control_budget) +
				       WIRE_SERVER_FRAME_MAX + GOODBYE_ROOM);
	loop_task_init(&peer->flush, flush, peer);
	loop_task_init(&peer->end, end, peer);
	loop_io_start(&peer->io, ipc->world.loop, take_fd, LOOP_READ, on_event, peer);
	loop_timer_start(&peer->timer, ipc->world.loop, config->ipc.hello_timeout_ms,
			 on_frame_timeout, peer);
	*ret_peer = peer;
	return 0;
}

void peer_free(struct peer *peer)
{
	struct ipc *ipc = peer->ipc;
	struct client_job *client_job = NULL;
	struct client_job *next = NULL;

	peer->state = PEER_DEAD;
	HASH_ITER(hh, peer->jobs, client_job, next)
	{
		client_job_abandon(client_job);
	}
	assert(!peer->jobs && !peer->ready);
	loop_task_cancel(&peer->flush);
	loop_task_cancel(&peer->end);
	loop_timer_stop(&peer->timer);
	loop_timer_stop(&peer->resume);
	free(peer->unread);
	loop_io_stop(&peer->io);
	close(peer->fd);
	passed_fini(&peer->passed);
	frame_reader_fini(&peer->reader);
	bytes_clear(&peer->out);
	account_discharge(&peer->charge);
	ipc_peer_gone(ipc, peer);
	loop_free_later(ipc->world.loop, peer);
}

bool peer_may_see(const struct peer *peer, const struct job *job)
{
	return peer->owner.uid == 0 || peer->owner.uid == geteuid() ||
	       peer->owner.uid == job_uid(job);
}
