/* SPDX-License-Identifier: MIT */
/*
 * Simulated TCP: the sockets that the daemon's dialing makes, and the way to the simulated servers
 * and back. Each direction takes time and holds so many bytes; beyond that, writing has to wait.
 *
 * A server is an address. What it does with those who connect is said here; what it says to them
 * then is in peer.h.
 */
#pragma once

#include "base/failure.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- descriptors ---- */

/* Something behind a simulated descriptor. */
struct sim_file {
	int fd; /* -1: none */
	unsigned watchers;
	unsigned (*poll)(const struct sim_file *file); /* LOOP_READ, LOOP_WRITE: ready for it */
};
/* Gives it the lowest free number. */
void sim_file_open(struct sim_file *file, unsigned (*poll)(const struct sim_file *file));
/* Nobody may watch it any more. */
void sim_file_close(struct sim_file *file);
/* Open ones. */
unsigned sim_files(void);
/* For loop.c. */
unsigned sim_poll(int fd);
void sim_watch(int fd, int by);

/* ---- servers ---- */

struct peer;

/* How a TCP connection to it comes about. */
enum sim_connect {
	SIM_ACCEPT,
	SIM_ACCEPT_AT_ONCE, /* connect() itself succeeds */
	SIM_REFUSE,         /* with connect_error */
	SIM_REFUSE_AT_ONCE, /* connect() itself fails */
	SIM_NO_ANSWER
};

enum sim_tls {
	SIM_TLS_GOOD,
	SIM_TLS_FAILS, /* with tls_code */
	SIM_TLS_NO_ANSWER
};

struct sim_server {
	struct sim_server *next;
	struct address address; /* its port does not count */
	enum sim_connect connect;
	int connect_error;
	uint64_t connect_us;
	enum sim_tls tls;
	enum failure_code tls_code;
	uint64_t tls_us;
	uint64_t up_us, down_us;     /* one way, to it and from it */
	size_t up_bytes, down_bytes; /* on their way or unread, at most */
	/* What becomes of its connections: peer.h. */
	unsigned attempts; /* connect() calls */
	unsigned count;    /* connections accepted */
	struct peer *peers;
	bool raw;           /* says nothing by itself, hears bytes */
	bool hold_settings; /* until peer_settings() */
	bool deaf;          /* reads nothing */
	bool has_max_streams, has_window;
	uint32_t max_streams;
	uint32_t window; /* SETTINGS_INITIAL_WINDOW_SIZE */
	bool automatic;  /* answers every request: 200 and so many bytes */
	uint64_t automatic_bytes;
};

/* A server at a literal address, with ways of 5 ms, connected to in 10, with TLS in 20. */
struct sim_server *sim_server(const char *literal);
struct sim_server *sim_servers(void);
/* Forgets all of them and what they had; the daemon's sockets must be closed. */
void sim_servers_free(void);

/* ---- the server's end of a socket ---- */

struct sim_socket;

/* Bytes to the daemon that may be sent now. */
size_t sim_socket_room(const struct sim_socket *socket);
void sim_socket_send(struct sim_socket *socket, const void *data, size_t length);
/* Ends it: closed with or without TLS's close_notify, or reset (`error`: ECONNRESET). What was sent
 * before arrives before. The socket is gone for the server. */
void sim_socket_end(struct sim_socket *socket, bool clean, int error);
/* The server is gone. */
void sim_socket_drop(struct sim_socket *socket);
/* Does not read any more, or again. */
void sim_socket_deafen(struct sim_socket *socket, bool deaf);
/* The path is broken both ways: nothing arrives, nobody hears of it. Or it is whole again. */
void sim_socket_silence(struct sim_socket *socket, bool silent);
/* Bytes on their way, read by nobody yet. */
size_t sim_socket_up(const struct sim_socket *socket);
size_t sim_socket_down(const struct sim_socket *socket);
/* Has the daemon not closed it? */
bool sim_socket_is_open(const struct sim_socket *socket);

/* ---- for tls.c, about the daemon's end ---- */

struct sim_server *sim_fd_server(int fd);
/* While there is a handshake, the descriptor is ready to be read when `until_us` has come or the
 * server has ended it. */
void sim_fd_handshake(int fd, uint64_t until_us);
void sim_fd_handshake_done(int fd);

enum sim_received {
	SIM_DATA,
	SIM_NOTHING,
	SIM_NOTIFIED, /* close_notify, and the end */
	SIM_CUT,      /* the end alone */
	SIM_RESET
};
enum sim_received sim_fd_receive(int fd, void *buffer, size_t size, size_t *ret_count);
/* Takes all of it if there is room for one byte at least. */
enum sim_received sim_fd_send(int fd, const void *data, size_t length);
