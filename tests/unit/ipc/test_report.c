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
	assert_string_equal(job->waiting_for, "the client to take the body");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(pages),
		IPC_TEST(entries),
		IPC_TEST(long_urls),
		IPC_TEST(statistics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
