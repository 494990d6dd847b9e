/* SPDX-License-Identifier: MIT */
#include "dns.h"

#include "net/dns.h"
#include "sim.h"
#include "sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct dns {
	struct loop *loop;
	unsigned lookups;
};

enum progress {
	WAITING,
	ARRIVED,
	TOLD
};

struct family {
	struct dns_lookup *lookup;
	const struct sim_answer *answer;
	int family;
	enum progress progress;
	struct sim_event event;
};

struct dns_lookup {
	struct sim_file file; /* the first member */
	struct dns *dns;
	char host[256];
	uint16_t port;
	const struct dns_callbacks *callbacks;
	void *ctx;
	struct loop_io io;
	struct family v6, v4;
	bool found;
};

static struct sim_name *names;

struct sim_name *sim_name(const char *host)
{
	struct sim_name *name = names;

	while (name && strcmp(name->host, host) != 0) {
		name = name->next;
	}
	if (!name) {
		name = sim_alloc(sizeof(*name));
		name->host = sim_alloc(strlen(host) + 1);
		memcpy(name->host, host, strlen(host));
		name->v6.after_us = name->v4.after_us = 1000;
		LL_PREPEND(names, name);
	}
	return name;
}

void sim_name_add(struct sim_name *name, const char *literal)
{
	struct sim_answer *answer = strchr(literal, ':') ? &name->v6 : &name->v4;

	SIM_CHECK(answer->count < SIM_ADDRESSES_MAX);
	SIM_CHECK(address_parse(literal, 0, &answer->addresses[answer->count++]));
}

void sim_names_free(void)
{
	while (names) {
		struct sim_name *name = names;

		names = name->next;
		free(name->host);
		free(name);
	}
}

/* ---- net/dns.h ---- */

struct dns *sim_dns_new(struct loop *loop)
{
	struct dns *dns = sim_alloc(sizeof(*dns));

	dns->loop = loop;
	return dns;
}

unsigned sim_dns_lookups(const struct dns *dns)
{
	return dns->lookups;
}

void dns_free(struct dns *dns)
{
	if (dns) {
		SIM_EQUAL(dns->lookups, 0);
		free(dns);
	}
}

static unsigned poll_lookup(const struct sim_file *file)
{
	const struct dns_lookup *lookup = (const struct dns_lookup *)file;

	return lookup->v6.progress == ARRIVED || lookup->v4.progress == ARRIVED ? LOOP_READ : 0;
}

static void on_arrival(void *ctx)
{
	struct family *family = ctx;

	family->progress = ARRIVED;
}

void dns_lookup_cancel(struct dns_lookup *lookup)
{
	if (!lookup) {
		return;
	}
	SIM_CHECK(lookup->callbacks);
	lookup->callbacks = NULL;
	sim_event_cancel(&lookup->v6.event);
	sim_event_cancel(&lookup->v4.event);
	loop_io_stop(&lookup->io);
	sim_file_close(&lookup->file);
	lookup->dns->lookups--;
	loop_free_later(lookup->dns->loop, lookup);
}

static void tell(struct dns_lookup *lookup, struct family *family)
{
	struct address addresses[SIM_ADDRESSES_MAX];

	if (!lookup->callbacks || family->progress != ARRIVED) {
		return;
	}
	family->progress = TOLD;
	for (unsigned i = 0; i < family->answer->count; i++) {
		addresses[i] = family->answer->addresses[i];
		if (family->family == AF_INET6) {
			addresses[i].in6.sin6_port = htons(lookup->port);
		} else {
			addresses[i].in.sin_port = htons(lookup->port);
		}
	}
	if (family->answer->count) {
		lookup->found = true;
		lookup->callbacks->on_addresses(lookup->ctx, family->family, addresses,
						family->answer->count);
	}
}

static void on_readable(void *ctx, unsigned events)
{
	struct dns_lookup *lookup = ctx;
	const struct dns_callbacks *callbacks = lookup->callbacks;
	struct failure failure = {.count = 0};
	enum failure_code code = FAIL_DNS_NOT_FOUND;

	(void)events;
	tell(lookup, &lookup->v6);
	tell(lookup, &lookup->v4);
	if (!lookup->callbacks || lookup->v6.progress != TOLD || lookup->v4.progress != TOLD) {
		return;
	}
	if (!lookup->found) {
		code = lookup->v6.answer->code ? lookup->v6.answer->code : lookup->v4.answer->code;
		failure_set(&failure, code ? code : FAIL_DNS_NOT_FOUND, "cannot look up %s",
			    lookup->host);
	}
	dns_lookup_cancel(lookup);
	callbacks->on_done(lookup->ctx, lookup->found, &failure);
}

static void ask(struct family *family, struct dns_lookup *lookup, int number,
		const struct sim_answer *answer)
{
	family->lookup = lookup;
	family->family = number;
	family->answer = answer;
	if (!answer->never) {
		sim_event_set(&family->event, answer->after_us, on_arrival, family);
	}
}

int dns_lookup_start(struct dns *dns, const char *host, uint16_t port,
		     const struct dns_callbacks *callbacks, void *ctx,
		     struct dns_lookup **ret_lookup)
{
	struct sim_name *name = sim_name(host);
	struct dns_lookup *lookup = calloc(1, sizeof(*lookup));

	if (!lookup) {
		return -ENOMEM;
	}
	SIM_CHECK(strlen(host) < sizeof(lookup->host));
	memcpy(lookup->host, host, strlen(host) + 1);
	lookup->dns = dns;
	lookup->port = port;
	lookup->callbacks = callbacks;
	lookup->ctx = ctx;
	sim_file_open(&lookup->file, poll_lookup);
	loop_io_start(&lookup->io, dns->loop, lookup->file.fd, LOOP_READ, on_readable, lookup);
	ask(&lookup->v6, lookup, AF_INET6, &name->v6);
	ask(&lookup->v4, lookup, AF_INET, &name->v4);
	name->asked++;
	dns->lookups++;
	*ret_lookup = lookup;
	return 0;
}
