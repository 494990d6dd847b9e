/* SPDX-License-Identifier: MIT */
/*
 * Name resolution that does not block: c-ares on the loop. One lookup asks for A and AAAA at once
 * and reports each family as it answers, which is what Happy Eyeballs needs (RFC 8305, section 3).
 * /etc/hosts and /etc/resolv.conf count; a changed resolv.conf is picked up before the next lookup.
 * localhost and names below it are the loopback addresses, and nobody is asked (RFC 6761, 6.3).
 *
 * The only place that knows c-ares.
 */
#pragma once

#include "base/failure.h"
#include "base/loop.h"
#include "net/address.h"

#include <stdint.h>

struct dns;
struct dns_lookup;

#define DNS_ADDRESSES_MAX 32u /* per family; more are left out */

struct dns_config {
	const char *servers; /* "192.0.2.1 [2001:db8::1]:5353", blanks or commas between; empty or
				NULL: the system's */
	uint64_t timeout_ms; /* of one try to one server */
	uint64_t tries;
	const char *resolv_conf; /* NULL: /etc/resolv.conf */
	uint16_t port;           /* of servers that are given without one; 0: 53 */
};

#define DNS_SERVERS_MAX 16u /* in dns_config::servers */

/* 0 and *ret_dns; -EINVAL for a bad server list; -ENOMEM; -EIO when c-ares fails otherwise.
 * `config` is copied. */
int dns_new(struct loop *loop, const struct dns_config *config, struct dns **ret_dns);
/* Every lookup must be over or cancelled (asserted). */
void dns_free(struct dns *dns);
/* Takes another configuration for the lookups to come. Results as dns_new(); on failure the old one
 * stays. */
int dns_configure(struct dns *dns, const struct dns_config *config);

struct dns_callbacks {
	/* Addresses of one family, in order of preference; called at most once per family, and
	 * never with count 0. */
	void (*on_addresses)(void *ctx, int family, const struct address *addresses,
			     unsigned count);
	/* Both families have answered, or failed. `found`: on_addresses was called. If not, the
	 * failure says why (DNS_NOT_FOUND, DNS_FAILED, DNS_TIMEOUT). Last callback; the lookup is
	 * gone when it is called. */
	void (*on_done)(void *ctx, bool found, const struct failure *failure);
};

/* Begins a lookup of `host` (A-labels, lower case). 0 and *ret_lookup, or -ENOMEM. Callbacks come
 * later, never from inside the call. `port` goes into the addresses. `callbacks` must live as long
 * as the lookup. */
int dns_lookup_start(struct dns *dns, const char *host, uint16_t port,
		     const struct dns_callbacks *callbacks, void *ctx,
		     struct dns_lookup **ret_lookup);
/* No callback comes after it. NULL is fine. */
void dns_lookup_cancel(struct dns_lookup *lookup);
