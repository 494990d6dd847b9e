/* SPDX-License-Identifier: MIT */
/*
 * From a host and a port to a channel: lookup, Happy Eyeballs (RFC 8305: both families, the
 * preferred one first, the next address every 250 ms, 50 ms of patience for AAAA), TLS. One
 * operation with one deadline and one outcome.
 *
 * The race is run to the end of TCP only: the first socket that connects gets the TLS handshake,
 * the others are closed. If that handshake fails, the dial fails: a certificate that does not fit
 * is no reason to try the next address.
 */
#pragma once

#include "net/channel.h"
#include "net/dns.h"
#include "net/tls.h"

#include <stdbool.h>
#include <stdint.h>

struct dial;

struct dial_target {
	const char *host; /* as in struct url; copied */
	bool host_is_address;
	uint16_t port;
	bool tls;
	struct tls_context *context; /* for tls; referenced */
	struct tls_tickets *tickets; /* for tls; must outlive the dial */
	uint64_t write_timeout_ms; /* TCP_USER_TIMEOUT of the connection; 0: the kernel's default */
	uint64_t timeout_ms;       /* for all of it; 0: none */
};

/* loop_clock_us() at each step's end; 0: not reached or not needed. */
struct dial_times {
	uint64_t dns_us;
	uint64_t connect_us;
	uint64_t tls_us;
};

/* What a dial is at. */
enum dial_stage {
	DIAL_LOOKUP,  /* no address yet, or not worth beginning */
	DIAL_CONNECT, /* racing */
	DIAL_TLS
};

struct dial_callbacks {
	/* `channel` is the caller's. The dial is gone when it is called. */
	void (*on_done)(void *ctx, struct channel *channel, const struct dial_times *times);
	/* The chain starts with what failed (DNS_..., CONNECT_..., TLS_..., ALPN_MISMATCH,
	 * TIMEOUT_CONNECT); if several addresses were tried, the first link sums up and one
	 * ADDRESS_ATTEMPT link per address follows, as many as fit. The dial is gone when it is
	 * called. */
	void (*on_failed)(void *ctx, const struct failure *failure, const struct dial_times *times);
};

/* 0 and *ret_dial, -ENOMEM, or -EINVAL when host_is_address is not true. No callback from inside
 * the call. */
int dial_start(struct loop *loop, struct dns *dns, const struct dial_target *target,
	       const struct dial_callbacks *callbacks, void *ctx, struct dial **ret_dial);
/* No callback comes after it; sockets are closed. NULL is fine. */
void dial_cancel(struct dial *dial);
/* Appends to `failure` what the dial is doing now: "looking up www.example.org", "connecting to
 * 192.0.2.1:443", "TLS handshake with 192.0.2.1:443: waiting for ...", with the code that fits. For
 * a waiting job's deadline. */
void dial_describe(const struct dial *dial, struct failure *failure);
/* What it is at, and since when (loop_now_ms()). The dial of an address has no lookup. */
enum dial_stage dial_stage(const struct dial *dial, uint64_t *ret_since_ms);
