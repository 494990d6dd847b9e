/* SPDX-License-Identifier: MIT */
#include "invariants.h"

#include "http/connection_internal.h"
#include "http/origin.h"
#include "http/pool_queue.h"
#include "http/upload.h"
#include "job/job_internal.h"
#include "world.h"
#include "wrap.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* What is counted by walking over everything. */
struct recount {
	uint32_t streams;
	uint64_t window_bytes;
	uint64_t buffered_bytes;
	uint32_t in_state[JOB_STATES];
	uint32_t jobs;
	uint32_t clients_open;
	uint32_t waiting;
	uint32_t connections;
	uint32_t connection_streams;
	uint32_t idle;
	uint32_t evicting;
};

/* ---- jobs ---- */

/* What it holds and what was promised are charged, and its size is within the bounds. */
static void check_window(const struct stream *stream, size_t buffered)
{
	const struct connection *connection = stream->connection;
	const struct window *window = &stream->window;
	int64_t promised = 0;

	SIM_CHECK(window->size >= window->first && window->size <= window->most);
	if (!connection) {
		SIM_EQUAL(stream->charge, buffered);
		return;
	}
	SIM_CHECK(stream->charge >= window->size);
	promised = nghttp2_session_get_stream_local_window_size(connection->session,
								(int32_t)stream->id);
	promised += (int64_t)connection->settings.stream_window -
		    (int64_t)nghttp2_session_get_local_settings(
			    connection->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
	SIM_CHECK((int64_t)buffered + (promised > 0 ? promised : 0) <= (int64_t)stream->charge);
}

static void count_stream(const struct stream *stream, struct recount *recount)
{
	size_t buffered = stream_buffered(stream);

	recount->streams++;
	recount->window_bytes += stream->charge;
	recount->buffered_bytes += buffered;
	check_window(stream, buffered);
	recount->connection_streams += stream->connection != NULL;
}

/* It waits for something, and can say for what. */
static void check_wait(const struct job *job)
{
	struct wait wait;
	uint64_t now = loop_now_ms(world.loop);

	pool_waiter_wait(&job->waiter, &wait);
	SIM_CHECK(wait.reason != WAIT_NOTHING && wait.text[0]);
	SIM_CHECK(wait.since_ms <= now && (wait.until_ms == 0 || wait.until_ms >= now));
}

static void check_job(const struct job *job, struct recount *recount, bool settled)
{
	recount->jobs++;
	SIM_CHECK(job->state < JOB_CLOSED);
	recount->in_state[job->state]++;
	SIM_CHECK(job->charge.account);
	SIM_CHECK(!job->ending);
	if (job->stream) {
		SIM_CHECK(!pool_waiter_active(&job->waiter));
		SIM_CHECK(job->attempt_count > 0);
		count_stream(job->stream, recount);
	}
	switch (job->state) {
	case JOB_QUEUED:
		SIM_CHECK(pool_waiter_active(&job->waiter) && !job->stream);
		if (settled) {
			check_wait(job);
		}
		break;
	case JOB_SENT:
		SIM_CHECK(job->stream && !job->head_delivered);
		break;
	case JOB_RECEIVING:
		SIM_CHECK(job->stream && job->head_delivered && !job->pending);
		break;
	case JOB_DELIVERING:
		SIM_CHECK(job->stream && (job->ended || job->pending));
		SIM_CHECK(!settled || job_available(job) > 0);
		break;
	case JOB_BACKOFF:
		SIM_CHECK(!job->stream && !pool_waiter_active(&job->waiter));
		SIM_CHECK(loop_timer_active(&job->deadline));
		break;
	case JOB_CLOSED:
	case JOB_STATES:
		break;
	}
	/* Nobody waits for the client without a clock running. */
	SIM_CHECK(!job->held || loop_timer_active(&job->deadline) ||
		  !job->limits.client_timeout_ms);
}

static void check_jobs(struct recount *recount, bool settled)
{
	const struct metrics *metrics = &world.metrics;
	uint64_t closed = 0;

	for (const struct job *job = world.jobs->open; job; job = job->next) {
		check_job(job, recount, settled);
	}
	SIM_EQUAL(recount->jobs, jobs_open(world.jobs));
	for (unsigned i = 0; i < JOB_STATES; i++) {
		SIM_EQUAL(recount->in_state[i], jobs_in_state(world.jobs, (enum job_state)i));
	}
	for (unsigned i = 0; i < METRICS_REASONS; i++) {
		closed += metrics->jobs_closed[i];
	}
	SIM_EQUAL(metrics->jobs_submitted, closed + recount->jobs);
	SIM_EQUAL(world.env->streams, recount->streams);
	SIM_EQUAL(world.env->window_bytes, recount->window_bytes);
	SIM_EQUAL(world.env->buffered_bytes, recount->buffered_bytes);
}

/* What the client's job holds of its user's shares. */
static void count_share(const struct client *client, uint32_t streams[4], uint64_t bytes[4])
{
	const struct job *job = client->job;
	unsigned i = client->uid < 4 ? client->uid : 0;

	streams[i] += job->stream != NULL;
	bytes[i] += job->stream ? job->stream->charge : 0;
	bytes[i] += job->upload ? job->upload->reserved : 0;
}

static void check_clients(const struct recount *recount)
{
	uint32_t open = 0;
	uint32_t of_uid[4] = {0};
	uint32_t streams_of_uid[4] = {0};
	uint64_t bytes_of_uid[4] = {0};

	for (const struct client *client = world.clients; client; client = client->next) {
		if (client->job) {
			open++;
			count_share(client, streams_of_uid, bytes_of_uid);
			of_uid[client->uid < 4 ? client->uid : 0]++;
			SIM_CHECK(!client->closed && !client->denied);
			SIM_EQUAL(client->taken, client->job->delivered);
		} else {
			SIM_CHECK(client->denied ? !client->closed : client->closed == 1);
		}
	}
	SIM_EQUAL(open, recount->jobs);
	for (unsigned i = 0; i < 4; i++) {
		uid_t uid = i > 0 ? i : OWNER_UID;

		SIM_EQUAL(account_held(world.accounts, uid, ACCOUNT_JOBS), of_uid[i]);
		SIM_EQUAL(account_held(world.accounts, uid, ACCOUNT_STREAMS), streams_of_uid[i]);
		SIM_EQUAL(account_held(world.accounts, uid, ACCOUNT_BUFFER), bytes_of_uid[i]);
	}
}

/* ---- the pool ---- */

static void check_connection(const struct pool_connection *entry, struct recount *recount,
			     bool settled)
{
	const struct connection *connection = entry->connection;
	const struct stream *stream = NULL;
	uint32_t streams = 0;

	if (entry->state == CONNECTION_FAILED) {
		/* A pause, and nothing else. */
		SIM_CHECK(!connection && !entry->idle && !entry->evicted);
		SIM_CHECK(entry->resume_ms && loop_timer_active(&entry->timer));
		return;
	}
	/* The connection itself learns of CLOSING when it is taken down. */
	SIM_CHECK(connection->state == entry->state ||
		  (connection->state == CONNECTION_DRAINING && entry->state == CONNECTION_CLOSING &&
		   connection->stream_count == 0));
	recount->connections++;
	recount->idle += entry->idle;
	recount->evicting += entry->evicted;
	SIM_CHECK((entry->idle || entry->resume_ms) == loop_timer_active(&entry->timer));
	SIM_CHECK(!connection->in_session && !connection->dead);
	if (connection->state == CONNECTION_CONNECTING) {
		SIM_CHECK(connection->dial && !connection->channel && !connection->streams);
		SIM_CHECK(connection->stream_count == 0 && !entry->idle);
		return;
	}
	SIM_CHECK(!connection->dial && connection->channel && connection->session);
	DL_FOREACH (connection->streams, stream) {
		streams++;
		SIM_CHECK(stream->connection == connection && stream->id > 0);
	}
	recount->connection_streams -= streams;
	SIM_CHECK(streams <= connection->stream_count);
	SIM_CHECK(connection->write_blocked == loop_timer_active(&connection->write_timer));
	if (!settled) {
		return;
	}
	SIM_CHECK(!connection->doomed);
	/* A leak in the connection's window adds up until no update is sent any more. */
	SIM_CHECK(nghttp2_session_get_effective_recv_data_length(connection->session) * 2 <=
			  nghttp2_session_get_effective_local_window_size(connection->session) ||
		  connection->write_blocked || sim_allocations_failed() > 0);
	if (!connection->write_blocked && sim_allocations_failed() == 0 &&
	    connection->stream_count <= connection->peer_limit) {
		/* What was let go has been reset, and that has been written. Not so beyond a limit
		 * that the peer has lowered: nghttp2 keeps what has never been sent until there is
		 * room for it, even if it is to be thrown away. */
		SIM_EQUAL(streams, connection->stream_count);
	}
	if (connection->state == CONNECTION_OPEN && pool_connection_is_used_up(entry)) {
		SIM_CHECK(!entry->idle && connection->stream_count > 0);
	} else if (connection->state == CONNECTION_OPEN) {
		bool awaited =
			pool_queue_is_ready(entry->origin) && connection_slots(connection) > 0;

		SIM_EQUAL(entry->idle,
			  connection->stream_count == 0 && !connection->checking && !awaited);
	} else {
		SIM_CHECK(!entry->idle);
		/* One that drains ends with its last stream. */
		SIM_CHECK(streams > 0 || connection->write_blocked || sim_allocations_failed() > 0);
	}
	SIM_CHECK(streams == 0 || loop_timer_active(&connection->liveness));
}

static bool has_budget(void)
{
	const struct http_env *env = world.env;

	return env->streams == 0 ||
	       env->window_bytes + env->settings.stream_window <= env->settings.body_budget;
}

/* Does anybody wait for what is there? */
static void check_waiters(const struct origin *origin)
{
	const struct pool *pool = origin->pool;
	const struct http_settings *settings = &pool->env->settings;
	const struct pool_connection *entry = NULL;
	struct origin_counts counts;
	bool under_way = false;

	if (!pool_queue_is_ready(origin)) {
		return;
	}
	origin_count(origin, &counts);
	under_way = counts.connecting > 0 || counts.checking > 0 || origin_pause(origin, &counts) ||
		    origin_is_spent(origin, &counts);
	DL_FOREACH (origin->connections, entry) {
		const struct connection *connection = entry->connection;

		if (connection && connection_slots(connection) > 0 &&
		    !pool_connection_is_used_up(entry) && has_budget()) {
			SIM_FAIL("%s: %u wait although connection %u has a free stream",
				 origin->name, origin->waiting,
				 (unsigned)connection_number(connection));
		}
	}
	if (counts.open == 0 && !under_way && pool->connection_count < settings->max_connections) {
		SIM_FAIL("%s: %u wait, and no connection is being made", origin->name,
			 origin->waiting);
	}
}

/* Users at their shares are in line for them, whoever is fed has somebody to feed. */
static void check_users(bool settled)
{
	const struct pool_user *user = NULL;
	uint32_t remembered = 0;

	for (user = world.pool->users; user; user = user->hh.next) {
		const struct pool_queue *queue = NULL;

		remembered += user->queues == 0;
		SIM_CHECK(!settled || !user->fed);
		DL_FOREACH2(user->held, queue, held_next)
		{
			SIM_CHECK(queue->held && queue->user == user && queue->waiting > 0);
		}
		if (settled && user->held) {
			SIM_CHECK(share_bound(world.env, user->id,
					      world.env->settings.stream_window) != SHARE_FREE);
		}
	}
	SIM_EQUAL(world.pool->remembered, remembered);
	SIM_CHECK(!settled || remembered == 0 || pool_has_starved(world.pool));
}

static uint32_t check_queues(const struct origin *origin, const struct pool_queue *queues,
			     bool served)
{
	const struct pool_queue *queue = NULL;
	uint32_t waiting = 0;

	DL_FOREACH (queues, queue) {
		uint32_t own = 0;

		SIM_EQUAL(queue->served == origin->round, served);
		SIM_CHECK(queue->origin == origin);
		for (unsigned i = 0; i < PRIORITIES; i++) {
			const struct pool_waiter *waiter = NULL;

			DL_FOREACH (queue->waiters[i], waiter) {
				own++;
				SIM_CHECK(waiter->origin == origin && waiter->queue == queue &&
					  waiter->priority == (enum priority)i);
				SIM_CHECK(!waiter->next ||
					  (waiter->next->order > waiter->order &&
					   waiter->next->aged_ms >= waiter->aged_ms));
			}
		}
		SIM_EQUAL(queue->waiting, own);
		waiting += own;
	}
	return waiting;
}

static void check_pool(struct recount *recount, bool settled)
{
	const struct pool *pool = world.pool;
	const struct origin *origin = NULL;
	const struct pool_connection *idle = NULL;
	struct pool_gauges gauges;
	uint32_t origins = 0;

	DL_FOREACH (pool->origins, origin) {
		const struct pool_connection *entry = NULL;
		uint32_t waiting = 0;

		origins++;
		SIM_CHECK(!origin->busy);
		DL_FOREACH (origin->connections, entry) {
			check_connection(entry, recount, settled);
		}
		waiting = check_queues(origin, origin->unserved, false) +
			  check_queues(origin, origin->served, true);
		SIM_EQUAL(origin->waiting, waiting);
		recount->waiting += waiting;
		if (settled) {
			check_waiters(origin);
		}
	}
	check_users(settled);
	SIM_EQUAL(pool->connection_count, recount->connections);
	SIM_EQUAL(pool->evicting, recount->evicting);
	SIM_EQUAL(recount->connection_streams, 0); /* each is one of a job's */
	SIM_EQUAL(recount->waiting, recount->in_state[JOB_QUEUED]);
	DL_FOREACH2(pool->idle, idle, idle_next)
	{
		recount->idle--;
	}
	SIM_EQUAL(recount->idle, 0);
	pool_gauges(pool, &gauges);
	SIM_EQUAL(gauges.origins, origins);
	SIM_EQUAL(gauges.waiting, recount->waiting);
	SIM_EQUAL(gauges.connections + gauges.connecting, recount->connections);
	SIM_EQUAL(gauges.streams, recount->streams);
	if (settled) {
		SIM_CHECK(!pool->turn_out[STARVED_OF_ROOM] && !pool->turn_out[STARVED_OF_BUDGET]);
	}
}

/* ---- windows ---- */

/* The peers' view of their connections' windows against the daemon's, when nothing is on its way.
 */
static void check_windows(void)
{
	int64_t daemon = 0;
	int64_t peers = 0;
	uint32_t count = 0;
	const struct origin *origin = NULL;
	const struct pool_connection *entry = NULL;

	for (const struct sim_server *server = sim_servers(); server; server = server->next) {
		for (const struct peer *peer = server->peers; peer; peer = peer->next) {
			if (!peer->socket || !sim_socket_is_open(peer->socket) || !peer->started) {
				continue;
			}
			if (!peer->session || peer->broken || peer->held ||
			    sim_socket_up(peer->socket) || sim_socket_down(peer->socket) ||
			    nghttp2_session_want_write(peer->session) ||
			    !nghttp2_session_want_read(peer->session)) {
				return;
			}
			peers += peer_window(peer);
			count++;
		}
	}
	DL_FOREACH (world.pool->origins, origin) {
		DL_FOREACH (origin->connections, entry) {
			nghttp2_session *session = NULL;

			if (!entry->connection || entry->state == CONNECTION_CONNECTING) {
				continue;
			}
			session = entry->connection->session;
			if (nghttp2_session_want_write(session) || entry->connection->out) {
				return;
			}
			daemon += nghttp2_session_get_effective_local_window_size(session) -
				  nghttp2_session_get_effective_recv_data_length(session);
			count--;
		}
	}
	/* Unless a peer has gone and the daemon has not heard of it yet. */
	if (count == 0 && peers != daemon) {
		SIM_FAIL("windows of connections: %lld for the peers, %lld for the daemon",
			 (long long)peers, (long long)daemon);
	}
}

void check_invariants(bool settled)
{
	struct recount recount = {0};

	check_jobs(&recount, settled);
	check_clients(&recount);
	check_pool(&recount, settled);
	SIM_EQUAL(wrap_consumed() - world.consumed_before, world.metrics.payload_received);
	if (settled) {
		check_windows();
	}
}

void tell_jobs(FILE *out)
{
	for (const struct job *job = world.jobs->open; job; job = job->next) {
		struct job_info info;

		job_info(job, &info);
		fprintf(out,
			"  job %u, %s, state %d, age %u ms, held %d, ended %d, pending %d, %zu "
			"available, stream %d, deadline %d at %u ms, waits for %s\n",
			(unsigned)job->number, job->request.method, (int)job->state,
			(unsigned)info.age_ms, (int)job->held, (int)job->ended,
			job->pending ? (int)job->pending->reason : 0, job_available(job),
			job->stream ? 1 + (job->stream->connection != NULL) : 0,
			(int)loop_timer_active(&job->deadline),
			(unsigned)(job->deadline_at_ms - SIM_START_US / 1000), info.waiting_for);
	}
}
