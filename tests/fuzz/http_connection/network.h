/* SPDX-License-Identifier: MIT */
/*
 * A network of one connection, in memory: net/dial.h and net/channel.h for the fuzzer. The other
 * end is the fuzzer itself. It also holds what is written to the rules: HTTP/2 frames behind the
 * preface, and what a blocked write offered is offered again.
 */
#pragma once

#include "virtual_loop.h"

#include <stddef.h>
#include <stdint.h>

enum network_end {
	NETWORK_GOES_ON,
	NETWORK_CLOSED, /* announced */
	NETWORK_CUT,    /* not announced */
	NETWORK_BROKEN  /* reads and writes fail */
};

#define NETWORK_UNBOUNDED SIZE_MAX

/* For the next connection. `dial_fails`: it does not come about. Nothing of the last one may be
 * left (asserted). */
void network_begin(struct loop *loop, bool dial_fails);
/* Is a dial or a channel there? */
bool network_is_used(void);

/* Bytes that the other end sends: one read gives up to `piece` bytes of them (0: any number). */
void network_send(const uint8_t *data, size_t length);
void network_set_piece(size_t piece);
/* How the stream ends behind what was sent. The first end counts. */
void network_finish(enum network_end end);
/* How many bytes may be written until a write has to wait; NETWORK_UNBOUNDED at first. */
void network_set_room(size_t room);
/* Has everything that was sent been read, the end too, or does nobody read? */
bool network_is_quiet(void);

/* What was given back to the flow control windows, altogether: of the connection, of streams. */
uint64_t network_connection_updates(void);
uint64_t network_stream_updates(void);
