/* SPDX-License-Identifier: MIT */
/*
 * Dialing: Happy Eyeballs (RFC 8305) over the addresses that the lookup brings, then TLS. No
 * retries and no memory of earlier dials.
 */
#include "net/dial.h"
#include "net/errno_text.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ATTEMPTS_MAX 16u
#define RESOLUTION_DELAY_MS 50u
#define ATTEMPT_DELAY_MS 250u

enum family_index {
	FAMILY_V6,
	FAMILY_V4,
	FAMILIES
};

struct queue {
	struct address addresses[ATTEMPTS_MAX];
	unsigned count;
	unsigned next;
};

/* One address that was tried. */
struct attempt {
	struct dial *dial;
	struct address address;
	struct loop_io io;
	int fd;    /* -1: over */
	int error; /* errno, once over */
};

struct dial {
	struct loop *loop;
	struct dns *dns;
	const struct dial_callbacks *callbacks;
	void *ctx;
	char *host;
	bool host_is_address;
	uint16_t port;
	bool tls;
	struct tls_context *context;
	struct tls_tickets *tickets;
	uint64_t timeout_ms;
	unsigned write_timeout_ms;

	enum dial_stage stage;
	uint64_t stage_since_ms;
	struct dial_times times;
	struct loop_timer deadline;
	struct loop_timer delay; /* before the race: for AAAA; in it: until the next address */
	struct loop_task begin;
	struct dns_lookup *lookup; /* NULL: over, or not needed */
	struct queue queues[FAMILIES];
	enum family_index turn; /* whose address is next, if it has one */
	struct attempt attempts[ATTEMPTS_MAX];
	unsigned attempt_count;
	struct address remote; /* what TLS is spoken with */
	struct tls_handshake *handshake;
};

static void try_next(struct dial *dial);

static void set_stage(struct dial *dial, enum dial_stage stage)
{
	if (dial->stage != stage) {
		dial->stage = stage;
		dial->stage_since_ms = loop_now_ms(dial->loop);
	}
}

/* ---- the end ---- */

static void attempt_close(struct attempt *attempt)
{
	loop_io_stop(&attempt->io);
	if (attempt->fd >= 0) {
		(void)close(attempt->fd);
		attempt->fd = -1;
	}
}

static void stop_race(struct dial *dial)
{
	loop_timer_stop(&dial->delay);
	dns_lookup_cancel(dial->lookup);
	dial->lookup = NULL;
	for (unsigned i = 0; i < dial->attempt_count; i++) {
		attempt_close(&dial->attempts[i]);
	}
}

void dial_cancel(struct dial *dial)
{
	if (!dial) {
		return;
	}
	stop_race(dial);
	loop_timer_stop(&dial->deadline);
	loop_task_cancel(&dial->begin);
	tls_handshake_cancel(dial->handshake);
	dial->handshake = NULL;
	tls_context_unref(dial->context);
	free(dial->host);
	loop_free_later(dial->loop, dial);
}

static void succeed(struct dial *dial, struct channel *channel)
{
	const struct dial_callbacks *callbacks = dial->callbacks;
	struct dial_times times = dial->times;
	void *ctx = dial->ctx;

	dial_cancel(dial);
	callbacks->on_done(ctx, channel, &times);
}

static void fail(struct dial *dial, const struct failure *failure)
{
	const struct dial_callbacks *callbacks = dial->callbacks;
	struct dial_times times = dial->times;
	void *ctx = dial->ctx;

	dial_cancel(dial);
	callbacks->on_failed(ctx, failure, &times);
}

static void fail_memory(struct dial *dial)
{
	struct failure failure = {.count = 0};

	failure_set(&failure, FAIL_NO_MEMORY, "out of memory while connecting to %.200s",
		    dial->host);
	fail(dial, &failure);
}

/* ---- failures in words ---- */

static enum failure_code connect_code(int error)
{
	switch (error) {
	case ECONNREFUSED:
		return FAIL_CONNECT_REFUSED;
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ENETUNREACH:
	case ENETDOWN:
	case EADDRNOTAVAIL:
	case EAFNOSUPPORT: /* the kernel has no IPv6 */
		return FAIL_CONNECT_UNREACHABLE;
	default:
		return FAIL_CONNECT_ERROR;
	}
}

static void append_attempts(const struct dial *dial, struct failure *failure)
{
	char remote[ADDRESS_TEXT_MAX];

	for (unsigned i = 0; i < dial->attempt_count; i++) {
		const struct attempt *attempt = &dial->attempts[i];
		struct failure_link *link;

		(void)address_print(&attempt->address, remote);
		if (attempt->fd >= 0) {
			link = failure_append(failure, FAIL_ADDRESS_ATTEMPT, "%s: no answer yet",
					      remote);
		} else {
			link = failure_append(failure, FAIL_ADDRESS_ATTEMPT, "%s: %s", remote,
					      errno_text(attempt->error));
		}
		if (!link) {
			return;
		}
		link->sys_errno = attempt->error;
	}
}

/* All addresses failed. The code is that of the attempt that says most: that somebody was there
 * and refused says more than that a network cannot be reached, which a host without IPv6 says of
 * every second address. */
static void fail_attempts(struct dial *dial)
{
	struct failure failure = {.count = 0};
	const struct attempt *first = &dial->attempts[0];
	const struct attempt *telling = first;
	char remote[ADDRESS_TEXT_MAX];

	if (dial->attempt_count == 1) {
		failure_set(&failure, connect_code(first->error), "cannot connect to %s: %s",
			    address_print(&first->address, remote), errno_text(first->error))
			->sys_errno = first->error;
		fail(dial, &failure);
		return;
	}
	for (unsigned i = 1; i < dial->attempt_count; i++) {
		const struct attempt *attempt = &dial->attempts[i];
		enum failure_code code = connect_code(attempt->error);

		if ((code == FAIL_CONNECT_REFUSED &&
		     connect_code(telling->error) != FAIL_CONNECT_REFUSED) ||
		    (code == FAIL_CONNECT_ERROR &&
		     connect_code(telling->error) == FAIL_CONNECT_UNREACHABLE)) {
			telling = attempt;
		}
	}
	failure_set(&failure, connect_code(telling->error),
		    "cannot connect to %.150s port %u: none of %u addresses works (%s)", dial->host,
		    (unsigned)dial->port, dial->attempt_count, errno_text(telling->error))
		->sys_errno = telling->error;
	append_attempts(dial, &failure);
	fail(dial, &failure);
}

void dial_describe(const struct dial *dial, struct failure *failure)
{
	const struct attempt *last = NULL;
	char remote[ADDRESS_TEXT_MAX];
	unsigned others = 0;

	switch (dial->stage) {
	case DIAL_LOOKUP:
		if (dial->host_is_address) {
			break; /* the race begins within this round */
		}
		(void)failure_append(failure, FAIL_DNS_TIMEOUT, "looking up %.200s", dial->host);
		return;
	case DIAL_CONNECT:
		for (unsigned i = 0; i < dial->attempt_count; i++) {
			if (dial->attempts[i].fd >= 0) {
				others += last ? 1 : 0;
				last = &dial->attempts[i];
			}
		}
		break;
	case DIAL_TLS:
		(void)failure_append(failure, FAIL_TLS_HANDSHAKE, "TLS handshake with %s: %s",
				     address_print(&dial->remote, remote),
				     tls_handshake_stage(dial->handshake));
		return;
	}
	if (!last) {
		(void)failure_append(failure, FAIL_CONNECT_ERROR,
				     "connecting to %.200s: waiting for more addresses",
				     dial->host);
	} else if (others == 0) {
		(void)failure_append(failure, FAIL_CONNECT_ERROR, "connecting to %s",
				     address_print(&last->address, remote));
	} else {
		(void)failure_append(failure, FAIL_CONNECT_ERROR, "connecting to %s and %u more",
				     address_print(&last->address, remote), others);
	}
}

enum dial_stage dial_stage(const struct dial *dial, uint64_t *ret_since_ms)
{
	*ret_since_ms = dial->stage_since_ms;
	if (dial->stage == DIAL_LOOKUP && dial->host_is_address) {
		return DIAL_CONNECT; /* the race begins within this round */
	}
	return dial->stage;
}

static void on_deadline(void *ctx)
{
	struct dial *dial = ctx;
	struct failure failure = {.count = 0};

	failure_set(&failure, FAIL_TIMEOUT_CONNECT,
		    "no connection to %.150s port %u within %llu ms", dial->host,
		    (unsigned)dial->port, (unsigned long long)dial->timeout_ms);
	dial_describe(dial, &failure);
	if (dial->stage == DIAL_CONNECT && dial->attempt_count > 1) {
		append_attempts(dial, &failure);
	}
	fail(dial, &failure);
}

/* ---- TLS ---- */

static void on_tls_done(void *ctx, struct channel *channel)
{
	struct dial *dial = ctx;

	dial->handshake = NULL;
	dial->times.tls_us = loop_clock_us(dial->loop);
	succeed(dial, channel);
}

static void on_tls_failed(void *ctx, const struct failure *failure)
{
	struct dial *dial = ctx;

	dial->handshake = NULL;
	fail(dial, failure);
}

static const struct tls_handshake_callbacks tls_callbacks = {
	.on_done = on_tls_done,
	.on_failed = on_tls_failed,
};

/* ---- the race ---- */

static void connected(struct dial *dial, struct attempt *attempt)
{
	int fd = attempt->fd;
	struct channel *channel;

	loop_io_stop(&attempt->io);
	/* Not before: it would cut the connection attempt short, too. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &dial->write_timeout_ms,
			 sizeof(dial->write_timeout_ms));
	attempt->fd = -1; /* it goes to the channel */
	dial->remote = attempt->address;
	dial->times.connect_us = loop_clock_us(dial->loop);
	stop_race(dial);
	if (!dial->tls) {
		channel = tcp_channel_new(dial->loop, fd, &dial->remote);
		if (channel) {
			succeed(dial, channel);
		} else {
			fail_memory(dial);
		}
		return;
	}
	if (tls_handshake_start(dial->loop, dial->context, dial->tickets, dial->host,
				dial->host_is_address, fd, &dial->remote, &tls_callbacks, dial,
				&dial->handshake) < 0) {
		dial->handshake = NULL;
		fail_memory(dial);
		return;
	}
	set_stage(dial, DIAL_TLS);
}

static void on_attempt_io(void *ctx, unsigned events)
{
	struct attempt *attempt = ctx;
	struct dial *dial = attempt->dial;
	int error = 0;
	socklen_t size = sizeof(error);

	(void)events;
	if (getsockopt(attempt->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
		error = errno;
	}
	if (error == 0) {
		connected(dial, attempt);
		return;
	}
	attempt_close(attempt);
	attempt->error = error;
	/* The next one's turn at once; the delay is for those that do not answer. */
	try_next(dial);
}

static void on_attempt_delay(void *ctx)
{
	try_next(ctx);
}

/* 0: connected at once. */
static int attempt_start(struct attempt *attempt)
{
	const int on = 1;
	int fd = socket(attempt->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd < 0) {
		return -errno;
	}
	/* Without TCP_NODELAY a WINDOW_UPDATE waits for the peer's delayed ACK. */
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)) < 0 ||
	    connect(fd, &attempt->address.any, attempt->address.length) < 0) {
		int error = errno;

		if (error != EINPROGRESS && error != EINTR) {
			(void)close(fd);
			return -error;
		}
		attempt->fd = fd;
		return -EINPROGRESS;
	}
	attempt->fd = fd;
	return 0;
}

/* Families take turns, as long as both have addresses (RFC 8305, 4). */
static const struct address *take_address(struct dial *dial)
{
	struct queue *queue = &dial->queues[dial->turn];

	if (queue->next == queue->count) {
		queue = &dial->queues[dial->turn == FAMILY_V6 ? FAMILY_V4 : FAMILY_V6];
		if (queue->next == queue->count) {
			return NULL;
		}
	}
	dial->turn = queue == &dial->queues[FAMILY_V6] ? FAMILY_V4 : FAMILY_V6;
	return &queue->addresses[queue->next++];
}

static bool attempts_running(const struct dial *dial)
{
	for (unsigned i = 0; i < dial->attempt_count; i++) {
		if (dial->attempts[i].fd >= 0) {
			return true;
		}
	}
	return false;
}

/* Begins the next attempt; if there is nothing left to begin or to wait for, the dial has failed.
 */
static void try_next(struct dial *dial)
{
	const struct address *address;

	loop_timer_stop(&dial->delay);
	set_stage(dial, DIAL_CONNECT);
	while (dial->attempt_count < ATTEMPTS_MAX && (address = take_address(dial)) != NULL) {
		struct attempt *attempt = &dial->attempts[dial->attempt_count++];
		int r;

		attempt->dial = dial;
		attempt->address = *address;
		attempt->fd = -1;
		r = attempt_start(attempt);
		if (r == 0) {
			connected(dial, attempt);
			return;
		}
		if (r == -EINPROGRESS) {
			loop_io_start(&attempt->io, dial->loop, attempt->fd, LOOP_WRITE,
				      on_attempt_io, attempt);
			loop_timer_start(&dial->delay, dial->loop, ATTEMPT_DELAY_MS,
					 on_attempt_delay, dial);
			return;
		}
		attempt->error = -r;
	}
	if (!dial->lookup && !attempts_running(dial)) {
		fail_attempts(dial);
	}
}

static void on_begin(void *ctx)
{
	try_next(ctx);
}

static void enqueue(struct queue *queue, const struct address *addresses, unsigned count)
{
	for (unsigned i = 0; i < count && queue->count < ATTEMPTS_MAX; i++) {
		queue->addresses[queue->count++] = addresses[i];
	}
}

/* ---- the lookup ---- */

static void on_addresses(void *ctx, int family, const struct address *addresses, unsigned count)
{
	struct dial *dial = ctx;

	if (dial->times.dns_us == 0) {
		dial->times.dns_us = loop_clock_us(dial->loop);
	}
	enqueue(&dial->queues[family == AF_INET6 ? FAMILY_V6 : FAMILY_V4], addresses, count);
	if (dial->stage == DIAL_LOOKUP && family == AF_INET) {
		/* IPv6 is preferred: its answer gets a little time. on_done ends the wait. */
		loop_timer_start(&dial->delay, dial->loop, RESOLUTION_DELAY_MS, on_attempt_delay,
				 dial);
	} else if (dial->stage == DIAL_LOOKUP || !loop_timer_active(&dial->delay)) {
		try_next(dial);
	}
}

static void on_lookup_done(void *ctx, bool found, const struct failure *failure)
{
	struct dial *dial = ctx;

	dial->lookup = NULL;
	if (!found) {
		dial->times.dns_us = loop_clock_us(dial->loop);
		fail(dial, failure);
		return;
	}
	if (dial->stage == DIAL_LOOKUP || !loop_timer_active(&dial->delay)) {
		try_next(dial);
	}
}

static const struct dns_callbacks dns_callbacks = {
	.on_addresses = on_addresses,
	.on_done = on_lookup_done,
};

/* ---- the beginning ---- */

static int begin(struct dial *dial)
{
	struct address address;

	loop_task_init(&dial->begin, on_begin, dial);
	if (dial->host_is_address) {
		if (!address_parse(dial->host, dial->port, &address)) {
			return -EINVAL;
		}
		enqueue(&dial->queues[address.any.sa_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4],
			&address, 1);
		loop_task_queue(&dial->begin, dial->loop);
		return 0;
	}
	return dns_lookup_start(dial->dns, dial->host, dial->port, &dns_callbacks, dial,
				&dial->lookup);
}

int dial_start(struct loop *loop, struct dns *dns, const struct dial_target *target,
	       const struct dial_callbacks *callbacks, void *ctx, struct dial **ret_dial)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	int r;

	if (!dial) {
		return -ENOMEM;
	}
	dial->loop = loop;
	dial->dns = dns;
	dial->callbacks = callbacks;
	dial->ctx = ctx;
	dial->host = strdup(target->host);
	dial->host_is_address = target->host_is_address;
	dial->port = target->port;
	dial->tls = target->tls;
	dial->context = target->tls ? tls_context_ref(target->context) : NULL;
	dial->tickets = target->tickets;
	dial->timeout_ms = target->timeout_ms;
	dial->write_timeout_ms = (unsigned)target->write_timeout_ms;
	dial->stage = DIAL_LOOKUP;
	dial->stage_since_ms = loop_now_ms(loop);
	dial->turn = FAMILY_V6;
	r = dial->host ? begin(dial) : -ENOMEM;
	if (r < 0) {
		dial->lookup = NULL;
		dial_cancel(dial);
		return r;
	}
	if (dial->timeout_ms > 0) {
		loop_timer_start(&dial->deadline, loop, dial->timeout_ms, on_deadline, dial);
	}
	*ret_dial = dial;
	return 0;
}
