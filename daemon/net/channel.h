/* SPDX-License-Identifier: MIT */
/*
 * A connected byte channel: TCP, bare or under TLS. What HTTP/2 reads from and writes to, without
 * knowing which it is.
 */
#pragma once

#include "base/failure.h"
#include "base/loop.h"
#include "net/address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum io {
	IO_OK,
	IO_AGAIN,
	IO_EOF,
	IO_ERROR
};

struct channel;

struct channel_callbacks {
	/* channel_read() may give something. Level triggered: comes again while bytes wait, TLS's
	 * own buffers included. */
	void (*on_readable)(void *ctx);
	/* channel_write() may take something again, after it said IO_AGAIN. Once per IO_AGAIN. */
	void (*on_writable)(void *ctx);
};

/* What is known about a channel once it is up. Pointers live as long as the channel. */
struct channel_info {
	struct address remote;
	const char *tls_version; /* "TLS1.3"; "" for cleartext */
	const char *tls_cipher;  /* "AES-128-GCM"; "" for cleartext */
	const char *certificate_subject;
	uint64_t certificate_expires; /* seconds since 1970 */
	bool tls_resumed;
};

/* Both return IO_OK with *ret_count > 0, IO_AGAIN, IO_EOF (read only: the peer closed; see
 * channel_eof_clean()) or IO_ERROR with *ret_failure (CONNECTION_ERROR). `size` and `length` are
 * not 0. A write may take less than asked. The bytes it did not take, or more that begin with
 * them, have to be what the next write offers (GnuTLS's rule: it may have encrypted them). */
enum io channel_read(struct channel *channel, void *buffer, size_t size, size_t *ret_count,
		     struct failure *ret_failure);
enum io channel_write(struct channel *channel, const void *data, size_t length, size_t *ret_count,
		      struct failure *ret_failure);
/* After IO_EOF: was the end announced (close_notify, or plain TCP)? */
bool channel_eof_clean(const struct channel *channel);

/* Sets who is told. Callbacks come later, never from inside a call. */
void channel_listen(struct channel *channel, const struct channel_callbacks *callbacks, void *ctx);
/* Whether on_readable is wanted; true at first. */
void channel_want_read(struct channel *channel, bool want);
const struct channel_info *channel_info(const struct channel *channel);
/* The least round trip that the kernel has lately measured, to the other end of the TCP connection;
 * 0: unknown. */
uint64_t channel_rtt_us(const struct channel *channel);
/* Sends close_notify if that needs no waiting, closes the socket, frees. No callback afterwards.
 * NULL is fine. */
void channel_close(struct channel *channel);

/* ---- for those who make channels ---- */

/* The vtable; see the functions above. tcp.c and tls.c implement it. */
struct channel_ops {
	enum io (*read)(struct channel *, void *, size_t, size_t *, struct failure *);
	enum io (*write)(struct channel *, const void *, size_t, size_t *, struct failure *);
	/* On or off; called again with the same value at times. Off until first called. */
	void (*want_read)(struct channel *, bool);
	void (*close)(struct channel *);
	/* NULL: never known. */
	uint64_t (*rtt_us)(const struct channel *);
};

struct channel {
	const struct channel_ops *ops;
	struct loop *loop;
	const struct channel_callbacks *callbacks;
	void *ctx;
	struct channel_info info;
	bool eof_clean;
	bool paused; /* channel_want_read(false) */
};

/* A channel over a connected, non-blocking TCP socket. Consumes `take_fd` also on failure. NULL
 * when out of memory. */
struct channel *tcp_channel_new(struct loop *loop, int take_fd, const struct address *remote);
/* channel_rtt_us() for a connected TCP socket. */
uint64_t tcp_rtt_us(int fd);
