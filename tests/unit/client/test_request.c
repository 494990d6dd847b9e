/* SPDX-License-Identifier: MIT */
/* client/request.c: list, stats, ping, cancel by number; answers, none, and wrong ones. */
#include "unit/client/fake_daemon.h"

#include <stdio.h>

struct answer {
	int calls;
	int error;
	bool found;
	uint64_t number;
	char text[64];
};

static void on_list(struct fetchd_connection *connection, int error, const struct fetchd_list *list,
		    void *user)
{
	struct answer *answer = user;

	(void)connection;
	answer->calls++;
	answer->error = error;
	if (error < 0) {
		assert_null(list);
		return;
	}
	assert_int_equal(list->job_count, 2);
	assert_true(list->more);
	assert_int_equal(list->jobs[1].daemon_id, 12);
	assert_int_equal(list->jobs[1].content_length, -1);
	assert_int_equal(list->jobs[0].content_length, 77);
	assert_int_equal(list->jobs[0].state, FETCHD_JOB_BACKOFF);
	assert_int_equal(list->jobs[0].wait.reason, FETCHD_WAIT_RETRY_TIMER);
	assert_int_equal(list->jobs[0].wait.for_ms, 3);
	assert_int_equal(list->jobs[0].wait.left_ms, 0);
	assert_string_equal(list->jobs[0].wait.limit, "job.retry_max");
	assert_int_equal(list->jobs[0].wait.limit_value, 4);
	assert_int_equal(list->jobs[1].wait.reason, FETCHD_WAIT_UNSPECIFIED);
	assert_int_equal(list->jobs[1].wait.left_ms, -1);
	assert_string_equal(list->jobs[1].wait.limit, "");
	(void)snprintf(answer->text, sizeof(answer->text), "%s %s", list->jobs[0].method,
		       list->jobs[0].url);
}

static void check_connection(const struct fetchd_pool_connection *connection)
{
	assert_string_equal(connection->origin, "https://a:443");
	assert_int_equal(connection->connection, 21);
	assert_int_equal(connection->state, FETCHD_CONNECTION_DRAINING);
	assert_int_equal(connection->streams, 22);
	assert_int_equal(connection->stream_limit, 23);
	assert_int_equal(connection->carried, 24);
	assert_int_equal(connection->state_for_ms, 25);
	assert_int_equal(connection->age_ms, 26);
	assert_string_equal(connection->remote, "192.0.2.1:443");
	assert_int_equal(connection->send_window_bytes, 27);
	assert_int_equal(connection->receive_window_bytes, 28);
	assert_int_equal(connection->silent_ms, 29);
	assert_int_equal(connection->ping_ago_ms, 30);
	assert_int_equal(connection->ping_rtt_us, 31);
	assert_int_equal(connection->left_ms, 32);
	assert_string_equal(connection->why, "the server sent GOAWAY");
}

static void on_stats(struct fetchd_connection *connection, int error,
		     const struct fetchd_stats *stats, void *user)
{
	struct answer *answer = user;

	(void)connection;
	answer->calls++;
	answer->error = error;
	if (error < 0) {
		assert_null(stats);
		return;
	}
	answer->number = stats->tls_handshakes;
	assert_int_equal(stats->jobs_backoff, 5);
	assert_int_equal(stats->closed_count, 1);
	assert_int_equal(stats->closed[0].reason, FETCHD_CLOSE_TIMEOUT);
	assert_int_equal(stats->closed[0].count, 9);
	assert_int_equal(stats->origin_list_count, 1);
	assert_int_equal(stats->origin_list[0].backoff_ms, 7);
	(void)snprintf(answer->text, sizeof(answer->text), "%s", stats->origin_list[0].origin);
	assert_int_equal(stats->connection_list_count, 2);
	check_connection(&stats->connection_list[0]);
	assert_int_equal(stats->connection_list[1].ping_ago_ms, -1);
	assert_int_equal(stats->connection_list[1].ping_rtt_us, -1);
	assert_int_equal(stats->connection_list[1].left_ms, -1);
	assert_string_equal(stats->connection_list[1].remote, "");
}

static void on_pong(struct fetchd_connection *connection, int error, const struct fetchd_pong *pong,
		    void *user)
{
	struct answer *answer = user;

	(void)connection;
	answer->calls++;
	answer->error = error;
	if (error < 0) {
		assert_null(pong);
		return;
	}
	answer->number = pong->pid;
	(void)snprintf(answer->text, sizeof(answer->text), "%s", pong->version);
}

static void on_cancel(struct fetchd_connection *connection, int error, bool found, void *user)
{
	struct answer *answer = user;

	(void)connection;
	answer->calls++;
	answer->error = error;
	answer->found = found;
}

static void test_answers(void **state)
{
	static const struct wire_job_info jobs[] = {
		{.job = 11,
		 .state = WIRE_JOB_BACKOFF,
		 .method = "GET",
		 .url = "https://a/",
		 .client_name = "",
		 .waiting_for = "",
		 .content_length = {.set = true, .value = 77},
		 .wait = {.reason = WIRE_WAIT_RETRY_TIMER,
			  .for_ms = 3,
			  .left_ms = {.set = true, .value = 0},
			  .limit = "job.retry_max",
			  .limit_value = 4}},
		{.job = 12, .method = "", .url = "", .client_name = "", .waiting_for = ""},
	};
	static const struct wire_reason_count closed = {WIRE_CLOSE_TIMEOUT, 9};
	static const struct wire_origin_info origin = {.origin = "https://a:443",
						       .backoff_ms = {.set = true, .value = 7}};
	static const struct wire_pool_connection connections[] = {
		{.origin = "https://a:443",
		 .connection = 21,
		 .state = WIRE_CONNECTION_DRAINING,
		 .streams = 22,
		 .stream_limit = 23,
		 .carried = 24,
		 .state_for_ms = 25,
		 .age_ms = 26,
		 .remote = "192.0.2.1:443",
		 .send_window = 27,
		 .receive_window = 28,
		 .silent_ms = 29,
		 .ping_ago_ms = {.set = true, .value = 30},
		 .ping_rtt_us = {.set = true, .value = 31},
		 .left_ms = {.set = true, .value = 32},
		 .why = "the server sent GOAWAY"},
		{.origin = "https://b:443", .state = WIRE_CONNECTION_CONNECTING},
	};
	struct answer list = {0}, stats = {0}, ping = {0}, cancel = {0};
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);
	struct wire_client_frame *frame;

	(void)state;
	fake_greet(&fake, connection);
	assert_int_equal(fetchd_list(connection, 10, 2, on_list, &list), 0);
	assert_int_equal(fetchd_stats(connection, 3, 2, on_stats, &stats), 0);
	assert_int_equal(fetchd_ping(connection, on_pong, &ping), 0);
	assert_int_equal(fetchd_cancel_job(connection, 99, on_cancel, &cancel), 0);
	assert_int_equal(fetchd_flush(connection), 0);

	frame = fake_next(&fake);
	assert_int_equal(frame->id, 1);
	assert_int_equal(frame->list.after_job, 10);
	assert_int_equal(frame->list.limit, 2);
	wire_client_frame_free(frame);
	frame = fake_next(&fake);
	assert_int_equal(frame->stats.origins, 3);
	assert_int_equal(frame->stats.connections, 2);
	wire_client_frame_free(frame);
	assert_int_equal(fake_expect(&fake, WIRE_CLIENT_PING), 3);
	frame = fake_next(&fake);
	assert_int_equal(frame->cancel_job.job, 99);
	wire_client_frame_free(frame);

	/* In another order than asked. */
	fake_send(&fake, &(struct wire_server_frame){.id = 4,
						     .kind = WIRE_SERVER_CANCEL_JOB,
						     .cancel_job = {.found = true}});
	fake_send(&fake, &(struct wire_server_frame){
				 .id = 3,
				 .kind = WIRE_SERVER_PONG,
				 .pong = {.server_version = "1.2", .instance_id = "", .pid = 321}});
	fake_send(&fake,
		  &(struct wire_server_frame){
			  .id = 2,
			  .kind = WIRE_SERVER_STATS,
			  .stats = {.jobs = {.backoff = 5, .closed = &closed, .closed_count = 1},
				    .pool = {.tls_handshakes = 44},
				    .origins = &origin,
				    .origin_count = 1,
				    .connections = connections,
				    .connection_count = 2}});
	fake_send(&fake, &(struct wire_server_frame){
				 .id = 1,
				 .kind = WIRE_SERVER_LIST,
				 .list = {.jobs = jobs, .job_count = 2, .more = true}});
	assert_int_equal(fetchd_process(connection), 4);
	assert_true(cancel.found);
	assert_int_equal(ping.number, 321);
	assert_string_equal(ping.text, "1.2");
	assert_int_equal(stats.number, 44);
	assert_string_equal(stats.text, "https://a:443");
	assert_string_equal(list.text, "GET https://a/");
	assert_int_equal(list.calls + stats.calls + ping.calls + cancel.calls, 4);
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_unsupported(void **state)
{
	struct answer answers[4] = {{0}};
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	assert_int_equal(fetchd_list(connection, 0, 0, on_list, &answers[0]), 0);
	assert_int_equal(fetchd_stats(connection, 0, 0, on_stats, &answers[1]), 0);
	assert_int_equal(fetchd_ping(connection, on_pong, &answers[2]), 0);
	assert_int_equal(fetchd_cancel_job(connection, 1, on_cancel, &answers[3]), 0);
	for (uint64_t id = 1; id <= 4; id++) {
		fake_send(&fake, &(struct wire_server_frame){.id = id,
							     .kind = WIRE_SERVER_UNSUPPORTED,
							     .unsupported = {.field = 8}});
	}
	/* Of something that is no request: of no interest. */
	fake_send(&fake, &(struct wire_server_frame){.id = 77, .kind = WIRE_SERVER_UNSUPPORTED});
	assert_int_equal(fetchd_process(connection), 4);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(answers[i].calls, 1);
		assert_int_equal(answers[i].error, -EOPNOTSUPP);
	}
	fetchd_close(connection);
	fake_stop(&fake);
}

static void test_lost(void **state)
{
	struct answer answers[4] = {{0}};
	struct fake_daemon fake;
	struct fetchd_connection *connection = fake_start(&fake);

	(void)state;
	fake_greet(&fake, connection);
	assert_int_equal(fetchd_list(connection, 0, 0, on_list, &answers[0]), 0);
	assert_int_equal(fetchd_stats(connection, 0, 0, on_stats, &answers[1]), 0);
	assert_int_equal(fetchd_ping(connection, on_pong, &answers[2]), 0);
	assert_int_equal(fetchd_cancel_job(connection, 1, on_cancel, &answers[3]), 0);
	assert_int_equal(fetchd_flush(connection), 0);
	fake_stop(&fake);
	assert_int_equal(fetchd_process(connection), -ECONNRESET);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(answers[i].calls, 1);
		assert_int_equal(answers[i].error, -ECONNRESET);
	}
	assert_int_equal(fetchd_ping(connection, on_pong, &answers[2]), -ECONNRESET);
	assert_int_equal(answers[2].calls, 1);
	fetchd_close(connection);
}

static void test_wrong_answers(void **state)
{
	const struct wire_server_frame wrong[] = {
		{.id = 1, .kind = WIRE_SERVER_CANCEL_JOB},
		{.id = 2,
		 .kind = WIRE_SERVER_PONG,
		 .pong = {.server_version = "", .instance_id = ""}},
	};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct answer answer = {0};
		struct fake_daemon fake;
		struct fetchd_connection *connection = fake_start(&fake);

		fake_greet(&fake, connection);
		assert_int_equal(fetchd_ping(connection, on_pong, &answer), 0);
		fake_send(&fake, &wrong[i]);
		assert_int_equal(fetchd_process(connection), -EPROTO);
		assert_int_equal(answer.calls, 1);
		assert_int_equal(answer.error, -EPROTO);
		fetchd_close(connection);
		fake_stop(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_unsupported),
		cmocka_unit_test(test_lost),
		cmocka_unit_test(test_wrong_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
