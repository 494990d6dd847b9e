/* SPDX-License-Identifier: MIT */
/*
 * List and Stats.
 */
#include "unit/ipc/ipc_world.h"

static const struct wire_list_reply *list(struct talker *talker, uint64_t id, uint64_t after,
					  uint32_t limit)
{
	talker_send(talker,
		    &(struct wire_client_frame){.id = id,
						.kind = WIRE_CLIENT_LIST,
						.list = {.after_job = after, .limit = limit}});
	return &talker_wait(talker, WIRE_SERVER_LIST, id)->list;
}

static const struct wire_stats_reply *stats(struct talker *talker, uint64_t id, uint32_t origins)
{
	talker_send(talker, &(struct wire_client_frame){.id = id,
							.kind = WIRE_CLIENT_STATS,
							.stats = {.origins = origins}});
	return &talker_wait(talker, WIRE_SERVER_STATS, id)->stats;
}

static const struct wire_stats_reply *stats_of_connections(struct talker *talker, uint64_t id,
							   uint32_t connections)
{
	talker_send(talker, &(struct wire_client_frame){
				    .id = id,
				    .kind = WIRE_CLIENT_STATS,
				    .stats = {.origins = 4, .connections = connections}});
	return &talker_wait(talker, WIRE_SERVER_STATS, id)->stats;
}

static void pages(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_list_reply *reply = list(talker, 1, 0, 0);

	(void)state;
	assert_int_equal(reply->job_count, 0);
	assert_false(reply->more);
	for (uint64_t id = 2; id <= 6; id++) {
		talker_submit(talker, id, 0);
	}
	reply = list(talker, 7, 0, 0);
	assert_int_equal(reply->job_count, 5);
	assert_false(reply->more);
	reply = list(talker, 8, 0, 2);
	assert_int_equal(reply->job_count, 2);
	assert_true(reply->more);
	assert_int_equal(reply->jobs[1].job, 2);
	reply = list(talker, 9, 2, 3);
	assert_int_equal(reply->job_count, 3);
	assert_false(reply->more);
	assert_int_equal(reply->jobs[0].job, 3);
	reply = list(talker, 10, 5, UINT32_MAX);
	assert_int_equal(reply->job_count, 0);
	reply = list(talker, 11, UINT64_MAX, 1);
	assert_int_equal(reply->job_count, 0);
	talker_free(talker);
}

static void entries(void **state)
{
	struct talker *talker = talker_open();
	struct wire_client_frame frame = {.id = 1, .kind = WIRE_CLIENT_SUBMIT};
	const struct wire_job_info *job = NULL;

	(void)state;
	frame.submit.url = h2_url(world.origin, "/p?q#f");
	frame.submit.method = "POST";
	frame.submit.priority = WIRE_PRIORITY_URGENT;
	frame.submit.initial_credit = (struct wire_optional){true, 100};
	talker->granted[1] = 100;
	talker_send(talker, &frame);
	h2_head(h2_first(world.origin, 0), false, 200, "content-length", "5000", NULL);
	h2_body(h2_first(world.origin, 0), 1000, false);
	UNTIL(world.loop, talker->body[1] == 100);
	job = &list(talker, 2, 0, 1)->jobs[0];
	assert_int_equal(job->job, 1);
	assert_int_equal(job->state, WIRE_JOB_RECEIVING);
	assert_string_equal(job->method, "POST");
	assert_non_null(strstr(job->url, "/p?q#f"));
	assert_int_equal(job->uid, geteuid());
	assert_int_equal(job->pid, getpid());
	assert_string_equal(job->client_name, "talker");
	assert_int_equal(job->priority, WIRE_PRIORITY_URGENT);
	assert_int_equal(job->received, 1000);
	assert_int_equal(job->delivered, 100);
	assert_int_equal(job->content_length.value, 5000);
	assert_non_null(strstr(job->waiting_for, "the client to grant credit"));
	assert_int_equal(job->attempts, 1);
	talker_free(talker);
}

/* Long URLs are cut; a reply of the longest entries still fits into a frame. */
static void long_urls(void **state)
{
	struct talker *talker = talker_open();
	static char url[4000];
	const struct wire_list_reply *reply = NULL;
	uint64_t seen = 0;
	uint64_t after = 0;
	uint64_t id = 41;

	(void)state;
	snprintf(url, sizeof(url), "%s", h2_url(world.origin, "/"));
	memset(url + strlen(url), 'x', sizeof(url) - 1 - strlen(url));
	for (uint64_t i = 1; i <= 40; i++) {
		talker_submit_url(talker, i, url, 0);
	}
	do {
		reply = list(talker, id++, after, 0);
		for (size_t i = 0; i < reply->job_count; i++) {
			assert_int_equal(strlen(reply->jobs[i].url), WIRE_LIST_URL_MAX);
			assert_memory_equal(reply->jobs[i].url, url, WIRE_LIST_URL_MAX);
			after = reply->jobs[i].job;
			seen++;
		}
	} while (reply->more);
	assert_int_equal(seen, 40);
	talker_free(talker);
}

static void statistics(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_stats_reply *reply = NULL;
	struct h2_stream *stream = NULL;

	(void)state;
	talker_submit_url(talker, 1, "nonsense", 0);
	talker_submit(talker, 2, 1 << 20);
	talker_submit(talker, 3, 0);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, true);
	assert_closed(talker, 2, WIRE_CLOSE_ENDED);
	h2_head(h2_first(world.origin, 1), false, 200, NULL);
	h2_body(h2_first(world.origin, 1), 500, false);
	UNTIL(world.loop, world.http.env->buffered_bytes == 500);
	reply = stats(talker, 4, 10);
	assert_int_equal(reply->clients, 1);
	assert_int_equal(reply->jobs.submitted, 3);
	assert_int_equal(reply->jobs.receiving, 1);
	assert_int_equal(reply->jobs.queued + reply->jobs.sent + reply->jobs.delivering +
				 reply->jobs.backoff,
			 0);
	assert_int_equal(reply->jobs.closed_count, 2);
	assert_int_equal(reply->jobs.closed[0].reason, WIRE_CLOSE_ENDED);
	assert_int_equal(reply->jobs.closed[0].count, 1);
	assert_int_equal(reply->jobs.closed[1].reason, WIRE_CLOSE_DENIED);
	assert_int_equal(reply->pool.origins, 1);
	assert_int_equal(reply->pool.connections, 1);
	assert_int_equal(reply->pool.streams, 1);
	assert_int_equal(reply->pool.connections_opened, 1);
	assert_int_equal(reply->pool.streams_opened, 2);
	assert_int_equal(reply->pool.streams_reused, 1);
	assert_int_equal(reply->pool.payload_received, 1500);
	assert_int_equal(reply->pool.delivered, 1000);
	assert_true(reply->pool.wire_received > 1500 && reply->pool.wire_sent > 0);
	assert_int_equal(reply->buffered_bytes, 500);
	assert_int_equal(reply->budget_bytes, world.http.env->settings.body_budget);
	assert_true(reply->rss_bytes > 0);
	assert_int_equal(reply->origin_count, 1);
	assert_int_equal(reply->origins[0].connections, 1);
	assert_int_equal(reply->origins[0].streams, 1);
	reply = stats(talker, 5, 0);
	assert_int_equal(reply->origin_count, 0);
	reply = stats(talker, 6, UINT32_MAX);
	assert_int_equal(reply->origin_count, 1);
	talker_free(talker);
}

/* Who does not get on says what for, for how long, at which limit; who does says nothing. */
static void waits(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_job_info *job = NULL;

	(void)state;
	world.http.env->settings.max_streams_per_connection = 1;
	world.http.env->settings.max_connections_per_origin = 1;
	talker_submit(talker, 1, 0);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 1000, false);
	UNTIL(world.loop, world.http.env->buffered_bytes == 1000);
	talker_submit(talker, 2, 0);
	job = &list(talker, 3, 0, 1)->jobs[0];
	assert_int_equal(job->wait.reason, WIRE_WAIT_CLIENT_CREDIT);
	assert_false(job->wait.left_ms.set && job->wait.left_ms.value == 0);
	job = &list(talker, 4, 1, 1)->jobs[0];
	assert_int_equal(job->wait.reason, WIRE_WAIT_STREAM_LIMIT);
	assert_string_equal(job->wait.limit, "pool.max_streams_per_connection");
	assert_int_equal(job->wait.limit_value, 1);
	assert_false(job->wait.left_ms.set);
	assert_true(job->wait.for_ms <= job->age_ms);
	assert_non_null(strstr(job->waiting_for, "a free stream: 1 of 1"));
	talker_free(talker);
}

/* A dial has a time when it is given up. */
static void waits_with_an_end(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_job_info *job = NULL;
	const struct wire_pool_connection *connection = NULL;

	(void)state;
	h2_origin_hang(world.origin);
	talker_submit(talker, 1, 0);
	job = &list(talker, 2, 0, 1)->jobs[0];
	assert_int_equal(job->wait.reason, WIRE_WAIT_CONNECTING);
	job = &list(talker, 3, 0, 1)->jobs[0];
	assert_int_equal(job->wait.reason, WIRE_WAIT_CONNECTING);
	assert_true(job->wait.left_ms.set);
	assert_true(job->wait.left_ms.value + job->wait.for_ms <= 20000);
	assert_string_equal(job->wait.limit, "");
	connection = &stats_of_connections(talker, 4, 1)->connections[0];
	assert_int_equal(connection->state, WIRE_CONNECTION_CONNECTING);
	assert_string_equal(connection->remote, "");
	assert_true(connection->left_ms.set);
	assert_non_null(strstr(connection->why, "connecting to 127.0.0.1:"));
	talker_free(talker);
}

static void connections(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_stats_reply *reply = NULL;
	const struct wire_pool_connection *connection = NULL;
	struct h2_stream *stream = NULL;

	(void)state;
	talker_submit(talker, 1, 0);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, world.http.env->buffered_bytes == 1000);
	assert_int_equal(stats(talker, 2, 4)->connection_count, 0);
	reply = stats_of_connections(talker, 3, UINT32_MAX);
	assert_int_equal(reply->connection_count, 1);
	assert_int_equal(reply->origin_count, 1);
	assert_false(reply->origins[0].backoff_ms.set);
	connection = &reply->connections[0];
	assert_string_equal(connection->origin, reply->origins[0].origin);
	assert_int_equal(connection->connection, 1);
	assert_int_equal(connection->state, WIRE_CONNECTION_OPEN);
	assert_string_equal(connection->remote, h2_authority(world.origin));
	assert_int_equal(connection->streams, 1);
	assert_int_equal(connection->stream_limit, 100);
	assert_int_equal(connection->carried, 1);
	assert_true(connection->send_window > 0 && connection->receive_window > 0);
	assert_false(connection->ping_ago_ms.set);
	assert_false(connection->ping_rtt_us.set);
	assert_false(connection->left_ms.set);
	assert_true(connection->state_for_ms <= connection->age_ms);
	h2_goaway(stream->connection, 1, NGHTTP2_NO_ERROR, "bye");
	h2_sync(stream->connection);
	connection = &stats_of_connections(talker, 4, 1)->connections[0];
	assert_int_equal(connection->state, WIRE_CONNECTION_DRAINING);
	assert_non_null(strstr(connection->why, "bye"));
	talker_free(talker);
}

/* What keeps an origin from being dialed is seen in both tables and in the job. */
static void pauses(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_stats_reply *reply = NULL;
	const struct wire_job_info *job = NULL;

	(void)state;
	world.http.env->settings.backoff_ms = 60000;
	world.http.env->settings.max_backoff_ms = 60000;
	talker_submit(talker, 1, 0);
	for (unsigned i = 0; i < 2; i++) {
		struct h2_connection *server = h2_connection(world.origin, i);

		(void)h2_stream(server, 0);
		h2_goaway(server, 0, NGHTTP2_NO_ERROR, "");
		UNTIL(world.loop, server->eof);
	}
	reply = stats_of_connections(talker, 2, 4);
	assert_int_equal(reply->connection_count, 1);
	assert_int_equal(reply->connections[0].state, WIRE_CONNECTION_FAILED);
	assert_int_equal(reply->connections[0].connection, 2);
	assert_true(reply->connections[0].left_ms.set);
	assert_true(reply->connections[0].left_ms.value <= 60000);
	assert_true(reply->origins[0].backoff_ms.set);
	assert_int_equal(reply->pool.connections + reply->pool.connecting, 0);
	job = &list(talker, 3, 0, 1)->jobs[0];
	assert_int_equal(job->wait.reason, WIRE_WAIT_ORIGIN_BACKOFF);
	assert_true(job->wait.left_ms.set);
	talker_free(talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(pages),       IPC_TEST(entries), IPC_TEST(long_urls),
		IPC_TEST(statistics),  IPC_TEST(waits),   IPC_TEST(waits_with_an_end),
		IPC_TEST(connections), IPC_TEST(pauses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
