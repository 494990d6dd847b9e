/* SPDX-License-Identifier: MIT */
/*
 * What names there are, and how they are answered: the script behind net/dns.h.
 */
#pragma once

#include "base/failure.h"
#include "base/loop.h"
#include "net/address.h"
#include "net/dns.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_ADDRESSES_MAX 8u

/* The answer for one family. */
struct sim_answer {
	struct address addresses[SIM_ADDRESSES_MAX];
	unsigned count; /* 0: there is none */
	uint64_t after_us;
	bool never;
	enum failure_code code; /* why there is none: FAIL_NONE is FAIL_DNS_NOT_FOUND */
};

struct sim_name {
	struct sim_name *next;
	char *host;
	struct sim_answer v6, v4;
	unsigned asked;
};

/* A name, answered after 1 ms, with no addresses yet; the one there is if there is one. */
struct sim_name *sim_name(const char *host);
/* Adds an address. */
void sim_name_add(struct sim_name *name, const char *literal);
void sim_names_free(void);

struct dns *sim_dns_new(struct loop *loop);
/* Lookups that go on. */
unsigned sim_dns_lookups(const struct dns *dns);
