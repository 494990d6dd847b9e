/* SPDX-License-Identifier: MIT */
/*
 * What a job waits for: one thing in each state, with its times; nothing while it moves.
 */
#include "unit/job/job_world.h"

static struct wait wait_of(const struct client *client)
{
	struct job_info info;

	assert_non_null(client->job);
	job_info(client->job, &info);
	assert_string_equal(info.waiting_for, info.wait.text);
	assert_non_null(info.wait.limit);
	if (info.wait.reason == WAIT_NOTHING) {
		assert_string_equal(info.wait.text, "");
		assert_int_equal(info.wait.since_ms + info.wait.until_ms, 0);
	} else {
		assert_true(info.wait.text[0]);
		assert_true(info.wait.since_ms > 0);
		assert_true(info.wait.since_ms <= loop_now_ms(world.loop));
	}
	return info.wait;
}

static void assert_wait(const struct client *client, enum wait_reason reason)
{
	struct wait wait = wait_of(client);

	if (wait.reason != reason) {
		fail_msg("waits for %d: %s", wait.reason, wait.text);
	}
}

static void end(struct client *client)
{
	job_cancel(client->job, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(client->closed, 1);
}

static void a_connection(void **state)
{
	struct client client = {.credit = PLENTY};

	(void)state;
	h2_origin_hang(world.origin);
	submit_get(&client);
	rounds(world.loop, 3);
	assert_wait(&client, WAIT_CONNECTING);
	assert_true(wait_of(&client).until_ms > wait_of(&client).since_ms);
	end(&client);
}

static void a_stream(void **state)
{
	struct client first = {.credit = PLENTY};
	struct client second = {.credit = PLENTY};

	(void)state;
	world.http.env->settings.max_streams_per_connection = 1;
	world.http.env->settings.max_connections_per_origin = 1;
	submit_get(&first);
	(void)h2_first(world.origin, 0);
	submit_get(&second);
	rounds(world.loop, 3);
	assert_wait(&second, WAIT_STREAM_LIMIT);
	end(&first);
	end(&second);
}

static void the_response(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");
	struct wait wait;

	(void)state;
	spec.first_byte_timeout_ms = option(600000);
	submit(&client, &spec);
	(void)h2_first(world.origin, 0);
	wait = wait_of(&client);
	assert_int_equal(wait.reason, WAIT_RESPONSE);
	assert_true(wait.since_ms >= client.job->progress_ms);
	assert_int_equal(wait.until_ms, wait.since_ms + 600000);
	/* An interim response is none. */
	h2_interim(h2_first(world.origin, 0), 103);
	UNTIL(world.loop, client.interims);
	assert_wait(&client, WAIT_RESPONSE);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	UNTIL(world.loop, client.heads);
	assert_wait(&client, WAIT_NOTHING);
	end(&client);
}

static void response_without_a_deadline(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");

	(void)state;
	spec.first_byte_timeout_ms = option(0);
	submit(&client, &spec);
	(void)h2_first(world.origin, 0);
	assert_wait(&client, WAIT_RESPONSE);
	assert_int_equal(wait_of(&client).until_ms, 0);
	end(&client);
}

static void the_peers_window(void **state)
{
	static const uint8_t body[1000];
	const nghttp2_settings_entry open = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 100000};
	struct client first = {.credit = PLENTY};
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("POST", "/");
	struct wait wait;

	(void)state;
	world.origin->window = 0;
	submit_get(&first);
	h2_head(h2_first(world.origin, 0), true, 204, NULL);
	UNTIL(world.loop, first.closed);
	h2_sync(h2_connection(world.origin, 0));
	spec.request.body = body;
	spec.request.body_length = sizeof(body);
	spec.request.has_body = true;
	spec.stall_timeout_ms = option(600000);
	submit(&client, &spec);
	(void)h2_first(world.origin, 1);
	wait = wait_of(&client);
	assert_int_equal(wait.reason, WAIT_PEER_WINDOW);
	assert_int_equal(wait.until_ms, wait.since_ms + 600000);
	h2_settings(h2_connection(world.origin, 0), &open, 1);
	UNTIL(world.loop, h2_first(world.origin, 1)->ended);
	assert_wait(&client, WAIT_RESPONSE);
	end(&client);
}

/* Credit and socket are two reasons, each with its own time; together they have one deadline. */
static void the_client(void **state)
{
	struct client client = {.credit = 0};
	struct h2_stream *stream = NULL;
	uint64_t since_ms = 0;

	(void)state;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, client.job->held);
	assert_wait(&client, WAIT_CLIENT_CREDIT);
	assert_non_null(strstr(wait_of(&client).text, "1000 bytes"));
	since_ms = wait_of(&client).since_ms;
	assert_int_equal(wait_of(&client).until_ms, since_ms + world.config->job.client_timeout_ms);
	let_pass(2);
	job_hold(client.job, JOB_WITHOUT_ROOM);
	assert_wait(&client, WAIT_CLIENT_SOCKET);
	assert_true(wait_of(&client).since_ms > since_ms);
	assert_int_equal(wait_of(&client).until_ms, since_ms + world.config->job.client_timeout_ms);
	client_grant(&client, 1000);
	assert_wait(&client, WAIT_NOTHING);
	/* Also when everything has come. */
	h2_body(stream, 10, true);
	UNTIL(world.loop, client.job->held);
	UNTIL(world.loop, state_of(&client) == JOB_DELIVERING);
	assert_wait(&client, WAIT_CLIENT_CREDIT);
	client_grant(&client, 10);
	assert_int_equal(client.closed, 1);
}

/* After a bad end the client is waited for, but not as long. */
static void the_client_at_the_end(void **state)
{
	struct client client = {.credit = 0};
	struct h2_stream *stream = NULL;

	(void)state;
	world.config->job.delivery_timeout_ms = 400;
	submit_get(&client);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 1000, false);
	UNTIL(world.loop, client.job->held);
	h2_reset(stream, NGHTTP2_INTERNAL_ERROR);
	UNTIL(world.loop, state_of(&client) == JOB_DELIVERING);
	assert_wait(&client, WAIT_CLIENT_CREDIT);
	assert_int_equal(wait_of(&client).until_ms, client.job->held_ms + 400);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_RESET);
}

static void the_body(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");
	struct h2_stream *stream = NULL;

	(void)state;
	spec.stall_timeout_ms = option(600000);
	submit(&client, &spec);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 10, false);
	UNTIL(world.loop, client.taken == 10);
	assert_wait(&client, WAIT_NOTHING);
	/* As if a second had passed, and a bit. */
	client.job->progress_ms -= 1000;
	let_pass(2);
	assert_wait(&client, WAIT_BODY);
	assert_int_equal(wait_of(&client).since_ms, client.job->progress_ms);
	assert_int_equal(wait_of(&client).until_ms, client.job->progress_ms + 600000);
	h2_body(stream, 10, false);
	UNTIL(world.loop, client.taken == 20);
	assert_wait(&client, WAIT_NOTHING);
	end(&client);
}

static void the_next_try(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = spec_of("GET", "/");
	struct wait wait;

	(void)state;
	spec.retry_allowed = true;
	submit(&client, &spec);
	h2_head(h2_first(world.origin, 0), true, 503, "retry-after", "50", NULL);
	UNTIL(world.loop, state_of(&client) == JOB_BACKOFF);
	wait = wait_of(&client);
	assert_int_equal(wait.reason, WAIT_RETRY_TIMER);
	assert_int_equal(wait.until_ms, client.job->retry_at_ms);
	assert_true(wait.until_ms >= wait.since_ms + 50000);
	assert_non_null(strstr(wait.text, "the next try, in "));
	end(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(a_connection),          JOB_TEST(a_stream),
		JOB_TEST(the_response),          JOB_TEST(response_without_a_deadline),
		JOB_TEST(the_peers_window),      JOB_TEST(the_client),
		JOB_TEST(the_client_at_the_end), JOB_TEST(the_body),
		JOB_TEST(the_next_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
