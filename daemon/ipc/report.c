/* SPDX-License-Identifier: MIT */
/*
 * Answers to those who look: List and Stats.
 */
#include "ipc/ipc_internal.h"

#include <stdlib.h>
#include <string.h>

/* A reply ends here, well below the frame's limit; that of a List says so. */
#define REPLY_BYTES (96u * 1024)
/* Of an entry without its strings, at most. */
#define ENTRY_OVERHEAD 256u

enum wire_job_state report_job_state(enum job_state state)
{
	switch (state) {
	case JOB_QUEUED:
		return WIRE_JOB_QUEUED;
	case JOB_SENT:
		return WIRE_JOB_SENT;
	case JOB_RECEIVING:
		return WIRE_JOB_RECEIVING;
	case JOB_DELIVERING:
		return WIRE_JOB_DELIVERING;
	case JOB_BACKOFF:
		return WIRE_JOB_BACKOFF;
	case JOB_CLOSED:
	case JOB_STATES:
		break;
	}
	return WIRE_JOB_UNSPECIFIED;
}

static enum wire_priority wire_priority_of(enum priority priority)
{
	switch (priority) {
	case PRIORITY_URGENT:
		return WIRE_PRIORITY_URGENT;
	case PRIORITY_HIGH:
		return WIRE_PRIORITY_HIGH;
	case PRIORITY_NORMAL:
		return WIRE_PRIORITY_NORMAL;
	case PRIORITY_LOW:
		return WIRE_PRIORITY_LOW;
	case PRIORITIES:
		break;
	}
	return WIRE_PRIORITY_UNSPECIFIED;
}

/* What is left until `at_ms`; absent if that is 0. */
static struct wire_optional left(uint64_t at_ms, uint64_t now_ms)
{
	return (struct wire_optional){at_ms != 0, at_ms > now_ms ? at_ms - now_ms : 0};
}

static uint64_t passed(uint64_t since_ms, uint64_t now_ms)
{
	return since_ms < now_ms ? now_ms - since_ms : 0;
}

static struct wire_wait wire_wait_of(const struct wait *wait, uint64_t now_ms)
{
	if (wait->reason == WAIT_NOTHING) {
		return (struct wire_wait){.limit = ""};
	}
	return (struct wire_wait){
		.reason = (enum wire_wait_reason)wait->reason,
		.for_ms = passed(wait->since_ms, now_ms),
		.left_ms = left(wait->until_ms, now_ms),
		.limit = wait->limit,
		.limit_value = wait->limit_value,
	};
}

struct list_entry {
	struct job_info info;
	char url[WIRE_LIST_URL_MAX + 1];
};

static size_t fill_entry(struct list_entry *entry, const struct job *job, uint64_t now_ms,
			 struct wire_job_info *ret_wire)
{
	struct job_info *info = &entry->info;
	size_t length = 0;

	job_info(job, info);
	length = strlen(info->url);
	if (length > WIRE_LIST_URL_MAX) {
		length = WIRE_LIST_URL_MAX;
		/* Never half a character of UTF-8: receivers check strings. */
		while (length > 0 && ((unsigned char)info->url[length] & 0xc0) == 0x80) {
			length--;
		}
	}
	memcpy(entry->url, info->url, length);
	entry->url[length] = '\0';
	*ret_wire = (struct wire_job_info){
		.job = info->number,
		.state = report_job_state(info->state),
		.method = info->method,
		.url = entry->url,
		.uid = (uint32_t)info->owner->uid,
		.pid = (uint32_t)info->owner->pid,
		.client_name = info->owner->name,
		.priority = wire_priority_of(info->priority),
		.received = info->received,
		.delivered = info->delivered,
		.content_length = {info->has_content_length, info->content_length},
		.age_ms = info->age_ms,
		.waiting_for = info->waiting_for,
		.attempts = info->attempts,
		.wait = wire_wait_of(&info->wait, now_ms),
	};
	return length + strlen(info->owner->name) + strlen(info->waiting_for) +
	       strlen(info->method) + ENTRY_OVERHEAD;
}

void report_list(struct peer *peer, uint64_t id, uint64_t after_job, uint32_t limit)
{
	struct jobs *jobs = peer->ipc->world.jobs;
	uint64_t now_ms = loop_now_ms(peer->ipc->world.loop);
	uint32_t most = limit && limit < WIRE_LIST_MAX ? limit : WIRE_LIST_MAX;
	struct wire_job_info *wire = calloc(most, sizeof(*wire));
	struct list_entry *entries = calloc(most, sizeof(*entries));
	struct wire_server_frame frame = {
		.id = id, .kind = WIRE_SERVER_LIST, .list = {.jobs = wire}};
	size_t size = 0;

	if (!wire || !entries) {
		peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "no memory for a list");
		goto out;
	}
	for (struct job *job = jobs_next(jobs, after_job); job; job = job_following(job)) {
		if (!peer_may_see(peer, job)) {
			continue;
		}
		if (frame.list.job_count == most || size > REPLY_BYTES) {
			frame.list.more = true;
			break;
		}
		size += fill_entry(&entries[frame.list.job_count], job, now_ms,
				   &wire[frame.list.job_count]);
		frame.list.job_count++;
	}
	peer_send(peer, &frame);
out:
	free(wire);
	free(entries);
}

static void fill_jobs(const struct ipc *ipc, struct wire_stats_reply *stats,
		      struct wire_reason_count *closed)
{
	const struct jobs *jobs = ipc->world.jobs;
	const struct metrics *metrics = ipc->world.env->metrics;

	stats->jobs.queued = jobs_in_state(jobs, JOB_QUEUED);
	stats->jobs.sent = jobs_in_state(jobs, JOB_SENT);
	stats->jobs.receiving = jobs_in_state(jobs, JOB_RECEIVING);
	stats->jobs.delivering = jobs_in_state(jobs, JOB_DELIVERING);
	stats->jobs.backoff = jobs_in_state(jobs, JOB_BACKOFF);
	stats->jobs.submitted = metrics->jobs_submitted;
	stats->jobs.replays = metrics->replays;
	stats->jobs.retries = metrics->retries;
	stats->jobs.closed = closed;
	for (unsigned reason = 0; reason < METRICS_REASONS; reason++) {
		if (metrics->jobs_closed[reason]) {
			closed[stats->jobs.closed_count++] = (struct wire_reason_count){
				(enum wire_close_reason)reason, metrics->jobs_closed[reason]};
		}
	}
}

static void fill_pool(const struct ipc *ipc, struct wire_stats_reply *stats)
{
	const struct metrics *metrics = ipc->world.env->metrics;
	struct pool_gauges gauges;

	pool_gauges(ipc->world.pool, &gauges);
	stats->pool.origins = gauges.origins;
	stats->pool.connections = gauges.connections;
	stats->pool.connecting = gauges.connecting;
	stats->pool.streams = gauges.streams;
	stats->pool.waiting = gauges.waiting;
	stats->pool.connections_opened = metrics->connections_opened;
	stats->pool.connect_failures = metrics->connect_failures;
	stats->pool.tls_handshakes = metrics->tls_handshakes;
	stats->pool.tls_resumed = metrics->tls_resumed;
	stats->pool.streams_opened = metrics->streams_opened;
	stats->pool.streams_reused = metrics->streams_reused;
	stats->pool.dns_lookups = metrics->dns_lookups;
	stats->pool.wire_received = metrics->wire_received;
	stats->pool.wire_sent = metrics->wire_sent;
	stats->pool.payload_received = metrics->payload_received;
	stats->pool.delivered = metrics->delivered;
	stats->budget_bytes = gauges.budget_bytes;
}

/* The origins that there are, up to `most`. Returns about how many bytes they take. */
static size_t fill_origins(const struct ipc *ipc, struct wire_stats_reply *stats,
			   struct origin_gauges *gauges, struct wire_origin_info *origins,
			   uint32_t most)
{
	uint64_t now_ms = loop_now_ms(ipc->world.loop);
	size_t count = pool_origins(ipc->world.pool, gauges, most);
	size_t size = 0;

	for (size_t i = 0; i < count && size < REPLY_BYTES; i++) {
		origins[stats->origin_count++] = (struct wire_origin_info){
			.origin = gauges[i].name,
			.connections = gauges[i].connections,
			.connecting = gauges[i].connecting,
			.streams = gauges[i].streams,
			.waiting = gauges[i].waiting,
			.backoff_ms = left(gauges[i].pause_until_ms, now_ms),
		};
		size += strlen(gauges[i].name) + ENTRY_OVERHEAD;
	}
	stats->origins = origins;
	return size;
}

static struct wire_pool_connection wire_connection_of(const struct connection_view *view,
						      uint64_t now_ms)
{
	return (struct wire_pool_connection){
		.origin = view->origin,
		.connection = view->number,
		.state = (enum wire_connection_state)view->state,
		.state_for_ms = passed(view->since_ms, now_ms),
		.age_ms = passed(view->began_ms, now_ms),
		.remote = view->remote,
		.streams = view->streams,
		.stream_limit = view->limit,
		.carried = view->carried,
		.send_window = view->send_window,
		.receive_window = view->receive_window,
		.silent_ms = view->last_byte_ms ? passed(view->last_byte_ms, now_ms) : 0,
		.ping_ago_ms = {view->ping_ms != 0, passed(view->ping_ms, now_ms)},
		.ping_rtt_us = {view->ping_answered, view->ping_rtt_us},
		.left_ms = left(view->until_ms, now_ms),
		.why = view->why,
	};
}

/* The connections, up to `most`, as far as the reply has room behind its first `size` bytes. */
static void fill_connections(const struct ipc *ipc, struct wire_stats_reply *stats,
			     struct connection_view *views,
			     struct wire_pool_connection *connections, uint32_t most, size_t size)
{
	uint64_t now_ms = loop_now_ms(ipc->world.loop);
	uint32_t count = pool_connections(ipc->world.pool, views, most);

	for (uint32_t i = 0; i < count && size < REPLY_BYTES; i++) {
		connections[stats->connection_count++] = wire_connection_of(&views[i], now_ms);
		size += strlen(views[i].origin) + strlen(views[i].remote) + strlen(views[i].why) +
			ENTRY_OVERHEAD;
	}
	stats->connections = connections;
}

void report_stats(struct peer *peer, uint64_t id, uint32_t origin_limit, uint32_t connection_limit)
{
	const struct ipc *ipc = peer->ipc;
	struct wire_reason_count closed[METRICS_REASONS];
	struct origin_gauges *gauges = NULL;
	struct wire_origin_info *origins = NULL;
	struct connection_view *views = NULL;
	struct wire_pool_connection *connections = NULL;
	struct wire_server_frame frame = {.id = id, .kind = WIRE_SERVER_STATS};
	struct wire_stats_reply *stats = &frame.stats;
	size_t size = 0;

	if (origin_limit > WIRE_ORIGINS_MAX) {
		origin_limit = WIRE_ORIGINS_MAX;
	}
	if (connection_limit > WIRE_CONNECTIONS_MAX) {
		connection_limit = WIRE_CONNECTIONS_MAX;
	}
	gauges = calloc(origin_limit + 1, sizeof(*gauges));
	origins = calloc(origin_limit + 1, sizeof(*origins));
	views = calloc(connection_limit + 1, sizeof(*views));
	connections = calloc(connection_limit + 1, sizeof(*connections));
	if (!gauges || !origins || !views || !connections) {
		peer_goodbye(peer, WIRE_GOODBYE_NO_MEMORY, "no memory for the statistics");
		goto out;
	}
	stats->uptime_ms = loop_now_ms(ipc->world.loop) - ipc->started_ms;
	stats->clients = ipc->peer_count;
	stats->rss_bytes = metrics_rss_bytes();
	stats->buffered_bytes = ipc->world.env->buffered_bytes;
	fill_jobs(ipc, stats, closed);
	fill_pool(ipc, stats);
	size = fill_origins(ipc, stats, gauges, origins, origin_limit);
	fill_connections(ipc, stats, views, connections, connection_limit, size);
	peer_send(peer, &frame);
out:
	free(gauges);
	free(origins);
	free(views);
	free(connections);
}
