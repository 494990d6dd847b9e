/* SPDX-License-Identifier: MIT */
/*
 * The list of DNS servers in the configuration. For dns.c.
 */
#pragma once

#include "net/address.h"
#include "net/dns.h"

/* Parses `list` (blanks or commas between): "192.0.2.1", "192.0.2.1:5353", "2001:db8::1",
 * "[2001:db8::1]", "[2001:db8::1]:5353". `port` is for those that name none. 0 and *ret_count,
 * which is 0 for an empty list; -EINVAL. */
int dns_servers_parse(const char *list, uint16_t port, struct address servers[DNS_SERVERS_MAX],
		      unsigned *ret_count);
