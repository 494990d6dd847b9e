/* SPDX-License-Identifier: MIT */
/*
 * Name resolution: c-ares on the loop. No cache: an origin keeps its connections, so names are
 * asked for seldom.
 *
 * A `resolver` is one c-ares channel with its sockets and its timer. There is a current one; when
 * the configuration or resolv.conf changes it is retired and lives on until its queries are over.
 *
 * c-ares calls back from inside its own functions, and cannot drop a single query. So its callbacks
 * only write results down; a task at the end of the round tells the owner; and a cancelled lookup
 * stays in memory, ownerless, until c-ares has let go of it.
 */
#include "net/dns.h"
#include "net/dns_servers.h"

#include <ares.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <utlist.h>

#define DNS_SOCKETS_MAX (2u * DNS_SERVERS_MAX + 16u)
#define DNS_PORT 53u
#define DNS_LIST_MAX 1024u

static const char default_resolv_conf[] = "/etc/resolv.conf";

struct resolver;

struct dns_socket {
	struct resolver *resolver;
	struct loop_io io;
	ares_socket_t fd;
	bool used;
};

struct resolver {
	struct dns *dns;
	ares_channel ares;
	struct loop_timer timer;
	struct loop_task reap;
	unsigned queries; /* that c-ares has */
	bool retired;
	struct dns_socket sockets[DNS_SOCKETS_MAX];
	struct resolver *prev; /* in dns::retired */
	struct resolver *next; /* in dns::retired */
};

/* What tells one version of a file from another. */
struct file_stamp {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct dns {
	struct loop *loop;
	char *servers; /* "": the system's */
	char *resolv_conf;
	uint64_t timeout_ms;
	uint64_t tries;
	uint16_t port;
	struct file_stamp stamp;
	struct resolver *current;
	struct resolver *retired;
	unsigned lookups; /* with an owner */
};

enum family_index {
	FAMILY_V6,
	FAMILY_V4,
	FAMILIES
};

struct family_result {
	struct dns_lookup *lookup;
	struct resolver *resolver; /* whose query runs; NULL: none */
	bool over;
	bool told;
	int status; /* ARES_... */
	unsigned count;
	struct address addresses[DNS_ADDRESSES_MAX];
};

struct dns_lookup {
	struct dns *dns;
	const struct dns_callbacks *callbacks; /* NULL: cancelled */
	void *ctx;
	struct loop_task task;
	uint16_t port;
	struct family_result families[FAMILIES];
	char host[];
};

static const int family_numbers[FAMILIES] = {[FAMILY_V6] = AF_INET6, [FAMILY_V4] = AF_INET};

/* ---- the resolver: c-ares's sockets and timer on the loop ---- */

static void update_timer(struct resolver *resolver);

static void process(struct resolver *resolver, ares_socket_t read_fd, ares_socket_t write_fd)
{
	ares_process_fd(resolver->ares, read_fd, write_fd);
	update_timer(resolver);
}

static void on_timer(void *ctx)
{
	process(ctx, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

static void update_timer(struct resolver *resolver)
{
	struct timeval wait;
	uint64_t wait_ms;

	if (!ares_timeout(resolver->ares, NULL, &wait)) {
		loop_timer_stop(&resolver->timer);
		return;
	}
	/* Rounded up: a timer that fires too early finds nothing to do and spins. */
	wait_ms = (uint64_t)wait.tv_sec * 1000 + (uint64_t)wait.tv_usec / 1000 + 1;
	loop_timer_start(&resolver->timer, resolver->dns->loop, wait_ms, on_timer, resolver);
}

static void on_socket(void *ctx, unsigned events)
{
	struct dns_socket *entry = ctx;

	process(entry->resolver, (events & LOOP_READ) ? entry->fd : ARES_SOCKET_BAD,
		(events & LOOP_WRITE) ? entry->fd : ARES_SOCKET_BAD);
}

static struct dns_socket *find_socket(struct resolver *resolver, bool used, ares_socket_t fd)
{
	for (unsigned i = 0; i < DNS_SOCKETS_MAX; i++) {
		struct dns_socket *entry = &resolver->sockets[i];

		if (entry->used == used && (!used || entry->fd == fd)) {
			return entry;
		}
	}
	return NULL;
}

/* c-ares opened a socket, wants other events of it, or (neither) is about to close it. */
static void on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct resolver *resolver = ctx;
	struct dns_socket *entry = find_socket(resolver, true, fd);
	unsigned events =
		(readable ? (unsigned)LOOP_READ : 0u) | (writable ? (unsigned)LOOP_WRITE : 0u);

	if (events == 0) {
		if (entry) {
			loop_io_stop(&entry->io);
			entry->used = false;
		}
		return;
	}
	if (entry) {
		loop_io_set(&entry->io, events);
		return;
	}
	entry = find_socket(resolver, false, fd);
	if (!entry) {
		return; /* a full table: this server will be seen as silent */
	}
	entry->resolver = resolver;
	entry->fd = fd;
	entry->used = true;
	loop_io_start(&entry->io, resolver->dns->loop, fd, events, on_socket, entry);
}

static void resolver_free(struct resolver *resolver)
{
	if (resolver->ares) {
		ares_destroy(resolver->ares);
	}
	loop_timer_stop(&resolver->timer);
	loop_task_cancel(&resolver->reap);
	for (unsigned i = 0; i < DNS_SOCKETS_MAX; i++) {
		loop_io_stop(&resolver->sockets[i].io);
	}
	loop_free_later(resolver->dns->loop, resolver);
}

static void on_reap(void *ctx)
{
	struct resolver *resolver = ctx;

	if (resolver->retired && resolver->queries == 0) {
		DL_DELETE(resolver->dns->retired, resolver);
		resolver_free(resolver);
	}
}

static void resolver_retire(struct resolver *resolver)
{
	if (resolver) {
		resolver->retired = true;
		DL_APPEND(resolver->dns->retired, resolver);
		loop_task_queue(&resolver->reap, resolver->dns->loop);
	}
}

/* ---- configuration ---- */

/* As c-ares wants them: a list of nodes, here in an array. */
static void list_servers(const struct address *servers, unsigned count,
			 struct ares_addr_port_node nodes[DNS_SERVERS_MAX])
{
	for (unsigned i = 0; i < count; i++) {
		const struct address *server = &servers[i];
		struct ares_addr_port_node *node = &nodes[i];

		memset(node, 0, sizeof(*node));
		node->next = i + 1 < count ? &nodes[i + 1] : NULL;
		node->family = server->any.sa_family;
		if (node->family == AF_INET) {
			node->addr.addr4 = server->in.sin_addr;
			node->udp_port = ntohs(server->in.sin_port);
		} else {
			memcpy(&node->addr.addr6, &server->in6.sin6_addr, sizeof(node->addr.addr6));
			node->udp_port = ntohs(server->in6.sin6_port);
		}
		node->tcp_port = node->udp_port;
	}
}

static int to_errno(int status)
{
	return status == ARES_ENOMEM ? -ENOMEM : -EIO;
}

static int clamp_int(uint64_t value, int max)
{
	if (value == 0) {
		return 1;
	}
	return value > (uint64_t)max ? max : (int)value;
}

static int resolver_new(struct dns *dns, struct resolver **ret_resolver)
{
	struct ares_addr_port_node nodes[DNS_SERVERS_MAX];
	struct address servers[DNS_SERVERS_MAX];
	struct ares_options options = {
		/* HOSTALIASES would let the environment rename what a client asked for. */
		.flags = ARES_FLAG_NOALIASES,
		.timeout = clamp_int(dns->timeout_ms, 3600 * 1000),
		.tries = clamp_int(dns->tries, 100),
		.sock_state_cb = on_socket_state,
		.udp_port = dns->port,
		.tcp_port = dns->port,
		.resolvconf_path = dns->resolv_conf,
	};
	struct resolver *resolver;
	unsigned count;
	int status;

	if (dns_servers_parse(dns->servers, dns->port, servers, &count) < 0) {
		return -EINVAL;
	}
	resolver = calloc(1, sizeof(*resolver));
	if (!resolver) {
		return -ENOMEM;
	}
	resolver->dns = dns;
	options.sock_state_cb_data = resolver;
	loop_task_init(&resolver->reap, on_reap, resolver);
	status = ares_init_options(&resolver->ares, &options,
				   ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
					   ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF |
					   ARES_OPT_UDP_PORT | ARES_OPT_TCP_PORT);
	if (status != ARES_SUCCESS) {
		free(resolver);
		return to_errno(status);
	}
	if (count > 0) {
		list_servers(servers, count, nodes);
		status = ares_set_servers_ports(resolver->ares, nodes);
		if (status != ARES_SUCCESS) {
			ares_destroy(resolver->ares);
			free(resolver);
			return to_errno(status);
		}
	}
	*ret_resolver = resolver;
	return 0;
}

static struct file_stamp stamp_file(const char *path)
{
	struct file_stamp stamp;
	struct stat st;

	memset(&stamp, 0, sizeof(stamp));
	if (stat(path, &st) == 0) {
		stamp.device = st.st_dev;
		stamp.inode = st.st_ino;
		stamp.size = st.st_size;
		stamp.changed = st.st_mtim;
	}
	return stamp;
}

static bool stamps_equal(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Makes a resolver for what `dns` says now; the one before is retired. On failure it stays. */
static int renew_resolver(struct dns *dns)
{
	struct file_stamp stamp = stamp_file(dns->resolv_conf);
	struct resolver *resolver;
	int r = resolver_new(dns, &resolver);

	if (r < 0) {
		return r;
	}
	resolver_retire(dns->current);
	dns->current = resolver;
	dns->stamp = stamp;
	return 0;
}

int dns_configure(struct dns *dns, const struct dns_config *config)
{
	struct dns before = *dns;
	int r;

	dns->servers = strdup(config->servers ? config->servers : "");
	dns->resolv_conf = strdup(config->resolv_conf ? config->resolv_conf : default_resolv_conf);
	dns->timeout_ms = config->timeout_ms;
	dns->tries = config->tries;
	dns->port = config->port > 0 ? config->port : DNS_PORT;
	if (!dns->servers || !dns->resolv_conf) {
		r = -ENOMEM;
	} else if (strlen(dns->servers) > DNS_LIST_MAX) {
		r = -EINVAL;
	} else {
		r = renew_resolver(dns);
	}
	if (r < 0) {
		free(dns->servers);
		free(dns->resolv_conf);
		dns->servers = before.servers;
		dns->resolv_conf = before.resolv_conf;
		dns->timeout_ms = before.timeout_ms;
		dns->tries = before.tries;
		dns->port = before.port;
		return r;
	}
	free(before.servers);
	free(before.resolv_conf);
	return 0;
}

int dns_new(struct loop *loop, const struct dns_config *config, struct dns **ret_dns)
{
	struct dns *dns;
	int r;

	if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) {
		return -EIO;
	}
	dns = calloc(1, sizeof(*dns));
	if (!dns) {
		ares_library_cleanup();
		return -ENOMEM;
	}
	dns->loop = loop;
	r = dns_configure(dns, config);
	if (r < 0) {
		free(dns);
		ares_library_cleanup();
		return r;
	}
	*ret_dns = dns;
	return 0;
}

void dns_free(struct dns *dns)
{
	struct resolver *resolver, *next;

	if (!dns) {
		return;
	}
	assert(dns->lookups == 0);
	/* This ends the queries of cancelled lookups, and they free themselves. */
	resolver_free(dns->current);
	DL_FOREACH_SAFE (dns->retired, resolver, next) {
		resolver_free(resolver);
	}
	free(dns->servers);
	free(dns->resolv_conf);
	loop_free_later(dns->loop, dns);
	ares_library_cleanup();
}

/* ---- lookups ---- */

static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t length = strlen(host);
	size_t name_length = sizeof(name) - 1;

	return length >= name_length && strcasecmp(host + length - name_length, name) == 0 &&
	       (length == name_length || host[length - name_length - 1] == '.');
}

static void free_if_unused(struct dns_lookup *lookup)
{
	if (!lookup->callbacks && !lookup->families[FAMILY_V6].resolver &&
	    !lookup->families[FAMILY_V4].resolver) {
		loop_task_cancel(&lookup->task);
		loop_free_later(lookup->dns->loop, lookup);
	}
}

/* Neither an answer nor silence. */
static bool is_fault(int status)
{
	return status != ARES_ENOTFOUND && status != ARES_ENODATA && status != ARES_ETIMEOUT;
}

/* One failure out of two. That a name does not exist is true for both families, whichever answer
 * says so; that it has no address of one kind says little while the other answer is missing. A
 * fault tells more than silence: of two queries to a port that is closed, only one may hear of it.
 */
static void explain(const struct dns_lookup *lookup, struct failure *failure)
{
	int v6 = lookup->families[FAMILY_V6].status;
	int v4 = lookup->families[FAMILY_V4].status;

	if (v6 == ARES_ENOTFOUND || v4 == ARES_ENOTFOUND) {
		failure_set(failure, FAIL_DNS_NOT_FOUND, "no such host: %s", lookup->host);
	} else if (v6 == ARES_ENODATA && v4 == ARES_ENODATA) {
		failure_set(failure, FAIL_DNS_NOT_FOUND, "%s exists but has no address",
			    lookup->host);
	} else if (is_fault(v6) || is_fault(v4)) {
		failure_set(failure, FAIL_DNS_FAILED, "looking up %s: %s", lookup->host,
			    ares_strerror(is_fault(v4) ? v4 : v6));
	} else {
		failure_set(failure, FAIL_DNS_TIMEOUT, "no DNS server answered in time for %s",
			    lookup->host);
	}
}

/* The end of the round: tells the owner what has come in. Any of its callbacks may cancel. */
static void on_task(void *ctx)
{
	struct dns_lookup *lookup = ctx;
	const struct dns_callbacks *callbacks = lookup->callbacks;
	struct failure failure = {.count = 0};
	bool found = false;

	for (unsigned i = 0; i < FAMILIES; i++) {
		struct family_result *result = &lookup->families[i];

		if (result->over && !result->told) {
			result->told = true;
			if (result->count > 0) {
				callbacks->on_addresses(lookup->ctx, family_numbers[i],
							result->addresses, result->count);
			}
			if (!lookup->callbacks) {
				return; /* cancelled; the memory lasts until the round ends */
			}
		}
		found = found || result->count > 0;
	}
	if (!lookup->families[FAMILY_V6].over || !lookup->families[FAMILY_V4].over) {
		return;
	}
	if (!found) {
		explain(lookup, &failure);
	}
	lookup->callbacks = NULL;
	lookup->dns->lookups--;
	free_if_unused(lookup);
	callbacks->on_done(lookup->ctx, found, &failure);
}

static void on_answer(void *ctx, int status, int timeouts, struct ares_addrinfo *info)
{
	struct family_result *result = ctx;
	struct dns_lookup *lookup = result->lookup;
	struct resolver *resolver = result->resolver;

	(void)timeouts;
	if (info) {
		for (const struct ares_addrinfo_node *node = info->nodes; node;
		     node = node->ai_next) {
			struct address *address = &result->addresses[result->count];

			if (result->count == DNS_ADDRESSES_MAX) {
				break;
			}
			if ((size_t)node->ai_addrlen > sizeof(address->in6) ||
			    node->ai_family != family_numbers[result - lookup->families]) {
				continue;
			}
			memset(address, 0, sizeof(*address));
			memcpy(&address->in6, node->ai_addr, (size_t)node->ai_addrlen);
			address->length = (socklen_t)node->ai_addrlen;
			if (node->ai_family == AF_INET) {
				address->in.sin_port = htons(lookup->port);
			} else {
				address->in6.sin6_port = htons(lookup->port);
			}
			result->count++;
		}
		ares_freeaddrinfo(info);
	}
	result->status = status == ARES_SUCCESS && result->count == 0 ? ARES_ENODATA : status;
	result->over = true;
	result->resolver = NULL;
	resolver->queries--;
	if (resolver->retired) {
		loop_task_queue(&resolver->reap, resolver->dns->loop);
	}
	if (lookup->callbacks) {
		loop_task_queue(&lookup->task, lookup->dns->loop);
	} else {
		free_if_unused(lookup);
	}
}

static void ask(struct dns_lookup *lookup, enum family_index index)
{
	struct resolver *resolver = lookup->dns->current;
	struct family_result *result = &lookup->families[index];
	struct ares_addrinfo_hints hints = {
		.ai_flags = 0,
		.ai_family = family_numbers[index],
		.ai_socktype = SOCK_STREAM,
	};

	result->resolver = resolver;
	resolver->queries++;
	ares_getaddrinfo(resolver->ares, lookup->host, NULL, &hints, on_answer, result);
}

static void answer_loopback(struct dns_lookup *lookup)
{
	static const char *const literals[FAMILIES] = {
		[FAMILY_V6] = "::1", [FAMILY_V4] = "127.0.0.1"};

	for (unsigned i = 0; i < FAMILIES; i++) {
		struct family_result *result = &lookup->families[i];

		result->over = true;
		if (address_parse(literals[i], lookup->port, &result->addresses[0])) {
			result->count = 1;
		}
	}
	loop_task_queue(&lookup->task, lookup->dns->loop);
}

int dns_lookup_start(struct dns *dns, const char *host, uint16_t port,
		     const struct dns_callbacks *callbacks, void *ctx,
		     struct dns_lookup **ret_lookup)
{
	size_t size = strlen(host) + 1;
	struct dns_lookup *lookup = calloc(1, sizeof(*lookup) + size);

	if (!lookup) {
		return -ENOMEM;
	}
	lookup->dns = dns;
	lookup->callbacks = callbacks;
	lookup->ctx = ctx;
	lookup->port = port;
	memcpy(lookup->host, host, size);
	loop_task_init(&lookup->task, on_task, lookup);
	for (unsigned i = 0; i < FAMILIES; i++) {
		lookup->families[i].lookup = lookup;
	}
	dns->lookups++;
	*ret_lookup = lookup;

	if (is_localhost(host)) {
		answer_loopback(lookup);
		return 0;
	}
	if (dns->servers[0] == '\0') {
		struct file_stamp stamp = stamp_file(dns->resolv_conf);

		if (!stamps_equal(&stamp, &dns->stamp)) {
			/* Out of memory: the old one serves, the next lookup tries again. */
			(void)renew_resolver(dns);
		}
	}
	ask(lookup, FAMILY_V6);
	ask(lookup, FAMILY_V4);
	update_timer(dns->current);
	return 0;
}

void dns_lookup_cancel(struct dns_lookup *lookup)
{
	if (!lookup) {
		return;
	}
	assert(lookup->callbacks);
	lookup->callbacks = NULL;
	lookup->dns->lookups--;
	loop_task_cancel(&lookup->task);
	free_if_unused(lookup);
}
