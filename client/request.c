/* SPDX-License-Identifier: MIT */
/*
 * Looking at the daemon: requests that have one reply each.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

/* Queues `frame` under a new id and remembers `request` (copied) for its reply. */
static int request_queue(struct fetchd_connection *connection, const struct request *request,
			 struct wire_client_frame *frame)
{
	struct request *kept;
	int r = connection_accepts(connection);

	if (r < 0) {
		return r;
	}
	kept = malloc(sizeof(*kept));
	if (kept == NULL) {
		return -ENOMEM;
	}
	*kept = *request;
	kept->id = connection->next_id;
	frame->id = kept->id;

	HASH_ADD(hh, connection->requests, id, sizeof(kept->id), kept);
	if (kept->hh.tbl == NULL) {
		free(kept);
		return -ENOMEM;
	}
	r = connection_queue(connection, frame);
	if (r < 0) {
		HASH_DELETE(hh, connection->requests, kept);
		free(kept);
		return r;
	}
	connection->next_id++;
	return 0;
}

int fetchd_list(struct fetchd_connection *connection, uint64_t after, uint32_t limit,
		void (*callback)(struct fetchd_connection *connection, int error,
				 const struct fetchd_list *list, void *user),
		void *user)
{
	struct wire_client_frame frame = {.kind = WIRE_CLIENT_LIST,
					  .list = {.after_job = after, .limit = limit}};

	if (callback == NULL) {
		return -EINVAL;
	}
	return request_queue(
		connection,
		&(struct request){.kind = REQUEST_LIST, .callback.list = callback, .user = user},
		&frame);
}

int fetchd_stats(struct fetchd_connection *connection, uint32_t origins, uint32_t connections,
		 void (*callback)(struct fetchd_connection *connection, int error,
				  const struct fetchd_stats *stats, void *user),
		 void *user)
{
	struct wire_client_frame frame = {
		.kind = WIRE_CLIENT_STATS,
		.stats = {.origins = origins, .connections = connections}};

	if (callback == NULL) {
		return -EINVAL;
	}
	return request_queue(
		connection,
		&(struct request){.kind = REQUEST_STATS, .callback.stats = callback, .user = user},
		&frame);
}

int fetchd_ping(struct fetchd_connection *connection,
		void (*callback)(struct fetchd_connection *connection, int error,
				 const struct fetchd_pong *pong, void *user),
		void *user)
{
	struct wire_client_frame frame = {.kind = WIRE_CLIENT_PING};

	if (callback == NULL) {
		return -EINVAL;
	}
	return request_queue(
		connection,
		&(struct request){.kind = REQUEST_PING, .callback.ping = callback, .user = user},
		&frame);
}

int fetchd_cancel_job(struct fetchd_connection *connection, uint64_t daemon_id,
		      void (*callback)(struct fetchd_connection *connection, int error, bool found,
				       void *user),
		      void *user)
{
	struct wire_client_frame frame = {.kind = WIRE_CLIENT_CANCEL_JOB,
					  .cancel_job = {.job = daemon_id}};

	if (callback == NULL) {
		return -EINVAL;
	}
	return request_queue(connection,
			     &(struct request){.kind = REQUEST_CANCEL_JOB,
					       .callback.cancel_job = callback,
					       .user = user},
			     &frame);
}

/* ---- replies ---- */

static void request_fail(struct fetchd_connection *connection, const struct request *request,
			 int error)
{
	switch (request->kind) {
	case REQUEST_LIST:
		request->callback.list(connection, error, NULL, request->user);
		break;
	case REQUEST_STATS:
		request->callback.stats(connection, error, NULL, request->user);
		break;
	case REQUEST_PING:
		request->callback.ping(connection, error, NULL, request->user);
		break;
	case REQUEST_CANCEL_JOB:
		request->callback.cancel_job(connection, error, false, request->user);
		break;
	}
}

static void list_reply(struct fetchd_connection *connection, const struct request *request,
		       const struct wire_list_reply *wire)
{
	/* One more than needed: calloc(0) may be NULL. */
	struct fetchd_job_info *jobs = calloc(wire->job_count + 1, sizeof(*jobs));

	if (jobs == NULL) {
		request_fail(connection, request, -ENOMEM);
		return;
	}
	for (size_t i = 0; i < wire->job_count; i++) {
		const struct wire_job_info *from = &wire->jobs[i];

		jobs[i] = (struct fetchd_job_info){
			.daemon_id = from->job,
			.state = (enum fetchd_job_state)from->state,
			.priority = (enum fetchd_priority)from->priority,
			.method = from->method,
			.url = from->url,
			.uid = from->uid,
			.pid = from->pid,
			.client_name = from->client_name,
			.received_bytes = from->received,
			.delivered_bytes = from->delivered,
			.content_length = convert_optional(from->content_length),
			.age_ms = from->age_ms,
			.waiting_for = from->waiting_for,
			.wait =
				{
					.reason = (enum fetchd_wait_reason)from->wait.reason,
					.for_ms = from->wait.for_ms,
					.left_ms = convert_optional(from->wait.left_ms),
					.limit = from->wait.limit,
					.limit_value = from->wait.limit_value,
				},
			.attempts = from->attempts,
		};
	}
	request->callback.list(connection, 0,
			       &(struct fetchd_list){.jobs = jobs,
						     .job_count = wire->job_count,
						     .more = wire->more},
			       request->user);
	free(jobs);
}

static void convert_connection(const struct wire_pool_connection *from,
			       struct fetchd_pool_connection *to)
{
	*to = (struct fetchd_pool_connection){
		.origin = from->origin,
		.connection = from->connection,
		.state = (enum fetchd_connection_state)from->state,
		.streams = from->streams,
		.stream_limit = from->stream_limit,
		.carried = from->carried,
		.state_for_ms = from->state_for_ms,
		.age_ms = from->age_ms,
		.remote = from->remote,
		.send_window_bytes = from->send_window,
		.receive_window_bytes = from->receive_window,
		.silent_ms = from->silent_ms,
		.ping_ago_ms = convert_optional(from->ping_ago_ms),
		.ping_rtt_us = convert_optional(from->ping_rtt_us),
		.left_ms = convert_optional(from->left_ms),
		.why = from->why,
	};
}

static void stats_reply(struct fetchd_connection *connection, const struct request *request,
			const struct wire_stats_reply *wire)
{
	struct fetchd_reason_count *closed = calloc(wire->jobs.closed_count + 1, sizeof(*closed));
	struct fetchd_origin_info *origins = calloc(wire->origin_count + 1, sizeof(*origins));
	struct fetchd_pool_connection *connections =
		calloc(wire->connection_count + 1, sizeof(*connections));

	if (closed == NULL || origins == NULL || connections == NULL) {
		free(closed);
		free(origins);
		free(connections);
		request_fail(connection, request, -ENOMEM);
		return;
	}
	for (size_t i = 0; i < wire->jobs.closed_count; i++) {
		closed[i] = (struct fetchd_reason_count){
			.reason = (enum fetchd_close_reason)wire->jobs.closed[i].reason,
			.count = wire->jobs.closed[i].count,
		};
	}
	for (size_t i = 0; i < wire->origin_count; i++) {
		const struct wire_origin_info *from = &wire->origins[i];

		origins[i] = (struct fetchd_origin_info){
			.origin = from->origin,
			.connections = from->connections,
			.connecting = from->connecting,
			.streams = from->streams,
			.waiting = from->waiting,
			.backoff_ms = convert_optional(from->backoff_ms),
		};
	}
	for (size_t i = 0; i < wire->connection_count; i++) {
		convert_connection(&wire->connections[i], &connections[i]);
	}
	request->callback.stats(connection, 0,
				&(struct fetchd_stats){
					.uptime_ms = wire->uptime_ms,
					.clients = wire->clients,
					.jobs_queued = wire->jobs.queued,
					.jobs_sent = wire->jobs.sent,
					.jobs_receiving = wire->jobs.receiving,
					.jobs_delivering = wire->jobs.delivering,
					.jobs_backoff = wire->jobs.backoff,
					.origins = wire->pool.origins,
					.connections = wire->pool.connections,
					.connecting = wire->pool.connecting,
					.streams = wire->pool.streams,
					.waiting = wire->pool.waiting,
					.jobs_submitted = wire->jobs.submitted,
					.replays = wire->jobs.replays,
					.retries = wire->jobs.retries,
					.closed = closed,
					.closed_count = wire->jobs.closed_count,
					.connections_opened = wire->pool.connections_opened,
					.connect_failures = wire->pool.connect_failures,
					.tls_handshakes = wire->pool.tls_handshakes,
					.tls_resumed = wire->pool.tls_resumed,
					.streams_opened = wire->pool.streams_opened,
					.streams_reused = wire->pool.streams_reused,
					.dns_lookups = wire->pool.dns_lookups,
					.wire_received_bytes = wire->pool.wire_received,
					.wire_sent_bytes = wire->pool.wire_sent,
					.payload_received_bytes = wire->pool.payload_received,
					.delivered_bytes = wire->pool.delivered,
					.rss_bytes = wire->rss_bytes,
					.buffered_bytes = wire->buffered_bytes,
					.budget_bytes = wire->budget_bytes,
					.origin_list = origins,
					.origin_list_count = wire->origin_count,
					.connection_list = connections,
					.connection_list_count = wire->connection_count,
				},
				request->user);
	free(closed);
	free(origins);
	free(connections);
}

/* Is the reply of the kind that was asked for? */
static bool request_matches(const struct request *request, enum wire_server_kind kind)
{
	switch (request->kind) {
	case REQUEST_LIST:
		return kind == WIRE_SERVER_LIST;
	case REQUEST_STATS:
		return kind == WIRE_SERVER_STATS;
	case REQUEST_PING:
		return kind == WIRE_SERVER_PONG;
	case REQUEST_CANCEL_JOB:
		return kind == WIRE_SERVER_CANCEL_JOB;
	}
	return false;
}

int request_reply(struct fetchd_connection *connection, const struct wire_server_frame *frame)
{
	struct request *request = NULL;
	uint64_t id = frame->id;

	HASH_FIND(hh, connection->requests, &id, sizeof(id), request);
	if (request == NULL) {
		/* A credit, cancel or stop that it does not know does no harm to the job. */
		if (frame->kind == WIRE_SERVER_UNSUPPORTED) {
			return 0;
		}
		return connection_lose(connection, -EPROTO,
				       "the daemon answered request %llu, which is not open",
				       (unsigned long long)id);
	}
	if (frame->kind != WIRE_SERVER_UNSUPPORTED && !request_matches(request, frame->kind)) {
		return connection_lose(connection, -EPROTO,
				       "the daemon gave request %llu another one's answer",
				       (unsigned long long)id);
	}

	HASH_DELETE(hh, connection->requests, request);
	if (frame->kind == WIRE_SERVER_UNSUPPORTED) {
		request_fail(connection, request, -EOPNOTSUPP);
	} else if (request->kind == REQUEST_LIST) {
		list_reply(connection, request, &frame->list);
	} else if (request->kind == REQUEST_STATS) {
		stats_reply(connection, request, &frame->stats);
	} else if (request->kind == REQUEST_PING) {
		request->callback.ping(connection, 0,
				       &(struct fetchd_pong){
					       .version = frame->pong.server_version,
					       .instance_id = frame->pong.instance_id,
					       .pid = frame->pong.pid,
				       },
				       request->user);
	} else {
		request->callback.cancel_job(connection, 0, frame->cancel_job.found, request->user);
	}
	free(request);
	return 1;
}

void requests_lose(struct fetchd_connection *connection)
{
	while (connection->requests != NULL && !connection->closing) {
		struct request *request = connection->requests;

		HASH_DELETE(hh, connection->requests, request);
		request_fail(connection, request, connection->error);
		free(request);
	}
}

void requests_free(struct fetchd_connection *connection)
{
	struct request *request, *next;

	HASH_ITER(hh, connection->requests, request, next)
	{
		HASH_DELETE(hh, connection->requests, request);
		free(request);
	}
}
