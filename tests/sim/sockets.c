/* SPDX-License-Identifier: MIT */
#include "sockets.h"

#include "base/loop.h"
#include "peer.h"
#include "sim.h"
#include "wrap.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Far from the real ones. */
#define FD_BASE (1 << 20)
#define FILES_MAX 4096

/* ---- descriptors ---- */

static struct sim_file *files[FILES_MAX];
static int files_end; /* above all open ones */
static unsigned files_open;

void sim_file_open(struct sim_file *file, unsigned (*poll)(const struct sim_file *file))
{
	int index = 0;

	while (files[index]) {
		index++;
		SIM_CHECK(index < FILES_MAX);
	}
	file->fd = FD_BASE + index;
	file->watchers = 0;
	file->poll = poll;
	files[index] = file;
	files_open++;
	if (index >= files_end) {
		files_end = index + 1;
	}
}

static struct sim_file *file_of(int fd)
{
	SIM_CHECK(fd >= FD_BASE && fd < FD_BASE + FILES_MAX);
	SIM_CHECK(files[fd - FD_BASE]); /* else: closed already */
	return files[fd - FD_BASE];
}

void sim_file_close(struct sim_file *file)
{
	SIM_CHECK(file_of(file->fd) == file);
	SIM_EQUAL(file->watchers, 0);
	files[file->fd - FD_BASE] = NULL;
	file->fd = -1;
	files_open--;
}

unsigned sim_files(void)
{
	return files_open;
}

unsigned sim_poll(int fd)
{
	const struct sim_file *file = file_of(fd);

	return file->poll(file);
}

void sim_watch(int fd, int by)
{
	struct sim_file *file = file_of(fd);

	SIM_CHECK(by > 0 || file->watchers > 0);
	file->watchers += (unsigned)by;
	SIM_CHECK(file->watchers <= 1);
}

/* ---- sockets ---- */

enum kind {
	KIND_DATA,
	KIND_NOTIFY, /* TLS's close_notify; nothing in cleartext */
	KIND_END,
	KIND_RESET
};

struct segment {
	struct segment *next;
	uint64_t at_us; /* when it arrives */
	enum kind kind;
	size_t length, begin;
	uint8_t data[];
};

struct pipe {
	struct segment *first, *last;
	size_t bytes;
	struct sim_event arrival; /* of the first that has not arrived */
};

enum state {
	SOCKET_NEW,
	SOCKET_CONNECTING,
	SOCKET_CONNECTED,
	SOCKET_FAILED
};

struct sim_socket {
	struct sim_file file; /* the first member; its fd is -1 once the daemon has closed it */
	enum state state;
	int error;
	int family;
	bool has_nodelay;
	struct sim_server *server; /* NULL before connect() */
	struct peer *peer;         /* NULL: none yet, or it has ended */
	struct sim_event connect;
	struct pipe up, down;
	bool deaf, silent;
	bool handshake;
	uint64_t handshake_until_us;
	struct sim_event handshake_event;
};

static void deliver_up(void *ctx);
static void arrive_down(void *ctx);

static bool has_arrived(const struct sim_socket *socket, const struct segment *segment)
{
	return segment && !socket->silent && segment->at_us <= sim_now_us();
}

static unsigned poll_socket(const struct sim_file *file)
{
	const struct sim_socket *socket = (const struct sim_socket *)file;
	const struct segment *first = socket->down.first;
	unsigned events = 0;

	switch (socket->state) {
	case SOCKET_NEW:
	case SOCKET_CONNECTING:
		return 0;
	case SOCKET_FAILED:
		return LOOP_READ | LOOP_WRITE;
	case SOCKET_CONNECTED:
		break;
	}
	if (has_arrived(socket, first) && first->kind == KIND_RESET) {
		return LOOP_READ | LOOP_WRITE;
	}
	if (socket->handshake) {
		return sim_now_us() >= socket->handshake_until_us ||
				       (has_arrived(socket, first) && first->kind != KIND_DATA)
			       ? LOOP_READ
			       : 0;
	}
	events |= has_arrived(socket, first) ? (unsigned)LOOP_READ : 0;
	events |= socket->up.bytes < socket->server->up_bytes ? (unsigned)LOOP_WRITE : 0;
	return events;
}

static struct segment *append(struct pipe *pipe, enum kind kind, const void *data, size_t length,
			      uint64_t at_us)
{
	struct segment *segment = sim_alloc(sizeof(*segment) + length);

	segment->kind = kind;
	segment->length = length;
	segment->at_us = at_us;
	if (length) {
		memcpy(segment->data, data, length);
	}
	/* What was sent before arrives before. */
	if (pipe->last && pipe->last->at_us > at_us) {
		segment->at_us = pipe->last->at_us;
	}
	if (pipe->last) {
		pipe->last->next = segment;
	} else {
		pipe->first = segment;
	}
	pipe->last = segment;
	pipe->bytes += length;
	return segment;
}

static struct segment *take_first(struct pipe *pipe)
{
	struct segment *segment = pipe->first;

	pipe->first = segment->next;
	if (!pipe->first) {
		pipe->last = NULL;
	}
	pipe->bytes -= segment->length - segment->begin;
	return segment;
}

static void clear(struct pipe *pipe)
{
	while (pipe->first) {
		free(take_first(pipe));
	}
	sim_event_cancel(&pipe->arrival);
}

/* Sets the event for the first segment that is still on its way. */
static void watch_arrival(struct sim_socket *socket, struct pipe *pipe, void (*fire)(void *ctx))
{
	const struct segment *segment = pipe->first;

	if (pipe->arrival.node.place || socket->silent) {
		return;
	}
	while (segment && segment->at_us <= sim_now_us()) {
		segment = segment->next;
	}
	if (segment) {
		sim_event_set(&pipe->arrival, segment->at_us - sim_now_us(), fire, socket);
	}
}

static void arrive_down(void *ctx)
{
	struct sim_socket *socket = ctx;

	watch_arrival(socket, &socket->down, arrive_down);
}

static void socket_free(struct sim_socket *socket)
{
	SIM_CHECK(socket->file.fd < 0 && !socket->peer);
	clear(&socket->up);
	clear(&socket->down);
	sim_event_cancel(&socket->connect);
	sim_event_cancel(&socket->handshake_event);
	free(socket);
}

/* The daemon has closed it, and all it had said has been heard. */
static void end_up(struct sim_socket *socket)
{
	struct peer *peer = socket->peer;

	socket->peer = NULL;
	if (peer) {
		peer_lost(peer);
	}
	socket_free(socket);
}

/* To the server: what has arrived, unless it does not listen. */
static void deliver_up(void *ctx)
{
	struct sim_socket *socket = ctx;

	if (!socket->peer && socket->file.fd < 0) {
		socket_free(socket); /* nobody at either end */
		return;
	}
	while (has_arrived(socket, socket->up.first)) {
		struct segment *segment = NULL;

		if (socket->up.first->kind != KIND_DATA) {
			end_up(socket);
			return;
		}
		if (socket->deaf) {
			break;
		}
		segment = take_first(&socket->up);
		if (socket->peer) {
			peer_hears(socket->peer, segment->data, segment->length);
		}
		free(segment);
	}
	watch_arrival(socket, &socket->up, deliver_up);
}

size_t sim_socket_room(const struct sim_socket *socket)
{
	size_t most = socket->server->down_bytes;

	return socket->down.bytes < most ? most - socket->down.bytes : 0;
}

void sim_socket_send(struct sim_socket *socket, const void *data, size_t length)
{
	(void)append(&socket->down, KIND_DATA, data, length,
		     sim_now_us() + socket->server->down_us);
	watch_arrival(socket, &socket->down, arrive_down);
}

void sim_socket_end(struct sim_socket *socket, bool clean, int error)
{
	uint64_t at_us = sim_now_us() + socket->server->down_us;

	socket->peer = NULL;
	if (error) {
		(void)append(&socket->down, KIND_RESET, NULL, 0, at_us);
		socket->down.last->length = 0;
		socket->error = error;
	} else {
		if (clean) {
			(void)append(&socket->down, KIND_NOTIFY, NULL, 0, at_us);
		}
		(void)append(&socket->down, KIND_END, NULL, 0, at_us);
	}
	watch_arrival(socket, &socket->down, arrive_down);
	/* What is said to it now is lost. */
	socket->deaf = false;
	sim_event_set(&socket->up.arrival, 0, deliver_up, socket);
}

void sim_socket_drop(struct sim_socket *socket)
{
	socket->peer = NULL;
	if (socket->file.fd < 0) {
		socket_free(socket);
	}
}

void sim_socket_deafen(struct sim_socket *socket, bool deaf)
{
	socket->deaf = deaf;
	sim_event_set(&socket->up.arrival, 0, deliver_up, socket);
}

void sim_socket_silence(struct sim_socket *socket, bool silent)
{
	socket->silent = silent;
	if (silent) {
		sim_event_cancel(&socket->up.arrival);
		sim_event_cancel(&socket->down.arrival);
	} else {
		watch_arrival(socket, &socket->down, arrive_down);
		sim_event_set(&socket->up.arrival, 0, deliver_up, socket);
	}
}

size_t sim_socket_up(const struct sim_socket *socket)
{
	return socket->up.bytes;
}

size_t sim_socket_down(const struct sim_socket *socket)
{
	return socket->down.bytes;
}

bool sim_socket_is_open(const struct sim_socket *socket)
{
	return socket->file.fd >= 0;
}

/* ---- the daemon's end ---- */

static struct sim_socket *socket_of(int fd)
{
	struct sim_file *file = file_of(fd);

	SIM_CHECK(file->poll == poll_socket);
	return (struct sim_socket *)file;
}

int __wrap_socket(int family, int type, int protocol)
{
	struct sim_socket *socket = NULL;

	SIM_CHECK(type == (SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC) && protocol == 0);
	if (sim_allocation_fails()) {
		errno = ENOBUFS;
		return -1;
	}
	socket = sim_alloc(sizeof(*socket));
	socket->family = family;
	sim_file_open(&socket->file, poll_socket);
	return socket->file.fd;
}

static void establish(struct sim_socket *socket)
{
	socket->state = SOCKET_CONNECTED;
	socket->deaf = socket->server->deaf;
	socket->peer = peer_new(socket->server, socket);
}

static void on_connect(void *ctx)
{
	struct sim_socket *socket = ctx;

	if (socket->server->connect == SIM_REFUSE) {
		socket->state = SOCKET_FAILED;
		socket->error = socket->server->connect_error;
	} else if (socket->server->connect != SIM_NO_ANSWER) {
		establish(socket);
	}
}

static struct sim_server *find_server(const struct sockaddr *address);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	struct sim_socket *socket = socket_of(fd);
	struct sim_server *server = find_server(address);

	SIM_CHECK(socket->state == SOCKET_NEW && address->sa_family == socket->family);
	SIM_CHECK(length == (address->sa_family == AF_INET ? sizeof(struct sockaddr_in)
							   : sizeof(struct sockaddr_in6)));
	if (!server) {
		errno = ENETUNREACH;
		return -1;
	}
	server->attempts++;
	socket->server = server;
	switch (server->connect) {
	case SIM_ACCEPT_AT_ONCE:
		establish(socket);
		return 0;
	case SIM_REFUSE_AT_ONCE:
		socket->state = SOCKET_FAILED;
		errno = server->connect_error;
		return -1;
	case SIM_ACCEPT:
	case SIM_REFUSE:
		sim_event_set(&socket->connect, server->connect_us, on_connect, socket);
		break;
	case SIM_NO_ANSWER:
		break;
	}
	socket->state = SOCKET_CONNECTING;
	errno = EINPROGRESS;
	return -1;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	struct sim_socket *socket = socket_of(fd);
	int error = socket->state == SOCKET_FAILED ? socket->error : 0;

	if (level == IPPROTO_TCP && name == TCP_INFO) {
		/* A very long way, so that windows grow wherever they may. */
		memset(value, 1, *length);
		return 0;
	}
	SIM_CHECK(level == SOL_SOCKET && name == SO_ERROR && *length == sizeof(error));
	memcpy(value, &error, sizeof(error));
	*length = sizeof(error);
	return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	struct sim_socket *socket = socket_of(fd);

	(void)level;
	SIM_CHECK(value && length == sizeof(int));
	socket->has_nodelay = socket->has_nodelay || name == TCP_NODELAY;
	return 0;
}

int __wrap_close(int fd)
{
	struct sim_socket *socket = NULL;

	if (fd < FD_BASE) {
		return __real_close(fd);
	}
	socket = socket_of(fd);
	sim_file_close(&socket->file);
	sim_event_cancel(&socket->connect);
	sim_event_cancel(&socket->handshake_event);
	clear(&socket->down);
	if (!socket->peer || socket->silent || socket->deaf) {
		/* Nobody there, or nobody who would hear the rest. */
		end_up(socket);
		return 0;
	}
	(void)append(&socket->up, KIND_END, NULL, 0, sim_now_us() + socket->server->up_us);
	watch_arrival(socket, &socket->up, deliver_up);
	return 0;
}

enum sim_received sim_fd_receive(int fd, void *buffer, size_t size, size_t *ret_count)
{
	struct sim_socket *socket = socket_of(fd);
	struct pipe *pipe = &socket->down;
	struct peer *peer = socket->peer;
	size_t done = 0;

	SIM_CHECK(socket->state == SOCKET_CONNECTED && size > 0);
	while (done < size && has_arrived(socket, pipe->first) && pipe->first->kind == KIND_DATA) {
		struct segment *segment = pipe->first;
		size_t left = segment->length - segment->begin;
		size_t count = left < size - done ? left : size - done;

		memcpy((uint8_t *)buffer + done, segment->data + segment->begin, count);
		done += count;
		segment->begin += count;
		pipe->bytes -= count;
		if (count == left) {
			free(take_first(pipe));
		}
	}
	if (done > 0) {
		if (peer) {
			peer_has_room(peer);
		}
		*ret_count = done;
		return SIM_DATA;
	}
	if (!has_arrived(socket, pipe->first)) {
		return SIM_NOTHING;
	}
	switch (pipe->first->kind) {
	case KIND_DATA:
		break;
	case KIND_NOTIFY:
		return SIM_NOTIFIED;
	case KIND_END:
		return SIM_CUT;
	case KIND_RESET:
		return SIM_RESET;
	}
	return SIM_NOTHING;
}

enum sim_received sim_fd_send(int fd, const void *data, size_t length)
{
	struct sim_socket *socket = socket_of(fd);

	SIM_CHECK(socket->state == SOCKET_CONNECTED && length > 0 && socket->has_nodelay);
	for (const struct segment *segment = socket->down.first; segment; segment = segment->next) {
		if (segment->kind == KIND_RESET && has_arrived(socket, segment)) {
			return SIM_RESET;
		}
	}
	if (socket->up.bytes >= socket->server->up_bytes) {
		return SIM_NOTHING;
	}
	(void)append(&socket->up, KIND_DATA, data, length, sim_now_us() + socket->server->up_us);
	watch_arrival(socket, &socket->up, deliver_up);
	return SIM_DATA;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
	size_t count = 0;

	SIM_CHECK(flags == 0);
	switch (sim_fd_receive(fd, buffer, size, &count)) {
	case SIM_DATA:
		return (ssize_t)count;
	case SIM_NOTIFIED:
	case SIM_CUT:
		return 0;
	case SIM_RESET:
		errno = socket_of(fd)->error;
		return -1;
	case SIM_NOTHING:
		break;
	}
	errno = EAGAIN;
	return -1;
}

ssize_t __wrap_send(int fd, const void *data, size_t length, int flags)
{
	const struct sim_socket *socket = socket_of(fd);
	size_t room = socket->server->up_bytes - socket->up.bytes;
	size_t count = socket->up.bytes < socket->server->up_bytes && room < length ? room : length;

	SIM_CHECK(flags == MSG_NOSIGNAL);
	switch (sim_fd_send(fd, data, count)) {
	case SIM_DATA:
		return (ssize_t)count;
	case SIM_RESET:
		errno = EPIPE;
		return -1;
	case SIM_NOTHING:
	case SIM_NOTIFIED:
	case SIM_CUT:
		break;
	}
	errno = EAGAIN;
	return -1;
}

struct sim_server *sim_fd_server(int fd)
{
	return socket_of(fd)->server;
}

static void on_handshake(void *ctx)
{
	(void)ctx; /* that the clock comes here is all */
}

void sim_fd_handshake(int fd, uint64_t until_us)
{
	struct sim_socket *socket = socket_of(fd);

	socket->handshake = true;
	socket->handshake_until_us = until_us;
	if (until_us != UINT64_MAX) {
		sim_event_set(&socket->handshake_event, until_us - sim_now_us(), on_handshake,
			      socket);
	}
}

void sim_fd_handshake_done(int fd)
{
	struct sim_socket *socket = socket_of(fd);

	socket->handshake = false;
	sim_event_cancel(&socket->handshake_event);
	if (socket->peer) {
		peer_start(socket->peer);
	}
}

/* ---- servers ---- */

static struct sim_server *servers;

static bool same_host(const struct sockaddr *a, const struct sockaddr *b)
{
	if (a->sa_family != b->sa_family) {
		return false;
	}
	if (a->sa_family == AF_INET) {
		return memcmp(&((const struct sockaddr_in *)(const void *)a)->sin_addr,
			      &((const struct sockaddr_in *)(const void *)b)->sin_addr,
			      sizeof(struct in_addr)) == 0;
	}
	return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
		      &((const struct sockaddr_in6 *)(const void *)b)->sin6_addr,
		      sizeof(struct in6_addr)) == 0;
}

static struct sim_server *find_server(const struct sockaddr *address)
{
	struct sim_server *server = servers;

	while (server && !same_host(&server->address.any, address)) {
		server = server->next;
	}
	return server;
}

struct sim_server *sim_server(const char *literal)
{
	struct sim_server *server = sim_alloc(sizeof(*server));

	SIM_CHECK(address_parse(literal, 0, &server->address));
	SIM_CHECK(!find_server(&server->address.any));
	server->connect_error = ECONNREFUSED;
	server->connect_us = 10000;
	server->tls_us = 20000;
	server->tls_code = FAIL_TLS_HANDSHAKE;
	server->up_us = server->down_us = 5000;
	server->up_bytes = server->down_bytes = 256u * 1024;
	LL_APPEND(servers, server);
	return server;
}

struct sim_server *sim_servers(void)
{
	return servers;
}

void sim_servers_free(void)
{
	SIM_EQUAL(files_open, 0);
	while (servers) {
		struct sim_server *server = servers;

		while (server->peers) {
			peer_free(server->peers);
		}
		servers = server->next;
		free(server);
	}
}
