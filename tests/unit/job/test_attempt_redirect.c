/* SPDX-License-Identifier: MIT */
/*
 * Jobs that follow redirections: what goes out, what is told of it, what does not count.
 */
#include "unit/job/job_world.h"

static int redirect_setup(void **state)
{
	(void)job_setup(state);
	world.second = h2_origin_new(world.loop);
	assert_non_null(world.second);
	return 0;
}

static struct h2_stream *nth(unsigned connection, unsigned stream)
{
	return h2_stream(h2_connection(world.origin, connection), stream);
}

static struct job_spec following(const char *method, const char *path, uint32_t most)
{
	struct job_spec spec = spec_of(method, path);

	spec.max_redirects = most;
	return spec;
}

static void give_body(struct job_spec *spec, const char *body)
{
	spec->request.body = (const uint8_t *)body;
	spec->request.body_length = strlen(body);
	spec->request.has_body = true;
}

static void assert_field(const struct h2_stream *stream, const char *name, const char *value)
{
	const struct h2_field *field = h2_field(stream, name);

	if (!value) {
		assert_null(field);
		return;
	}
	assert_non_null(field);
	assert_string_equal(field->value, value);
}

static void finish(struct client *client, struct h2_stream *stream)
{
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 100, true);
	UNTIL(world.loop, client->closed);
	assert_int_equal(client->reason, CLOSE_ENDED);
	assert_int_equal(client->heads, 1);
	assert_int_equal(client->status, 200);
	assert_int_equal(client->taken, 100);
}

static void is_followed(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/a/b?c", 5);
	struct job_info info;

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), false, 302, "location", "d?e#f", NULL);
	/* Its body is nobody's. */
	h2_body(nth(0, 0), 5000, false);
	assert_field(nth(0, 1), ":path", "/a/d?e");
	job_info(client.job, &info);
	assert_string_equal(info.url, h2_url(world.origin, "/a/b?c"));
	finish(&client, nth(0, 1));
	assert_string_equal(client.url, h2_url(world.origin, "/a/d?e"));
	assert_int_equal(client.attempt_count, 2);
	assert_attempt(&client, 0, CLOSE_ENDED, FAIL_NONE, false);
	assert_int_equal(client.attempts[0].status, 302);
	assert_string_equal(client.attempts[0].why, "redirected");
	assert_string_equal(client.urls[0], "");
	assert_int_equal(client.attempts[1].status, 200);
	assert_string_equal(client.urls[1], h2_url(world.origin, "/a/d?e"));
	assert_int_equal(client.bytes.delivered, 100);
	assert_int_equal(world.http.metrics.replays + world.http.metrics.retries, 0);
	/* What it was in the middle of saying is not wanted any more. */
	UNTIL(world.loop, nth(0, 0)->reset);
	assert_int_equal(nth(0, 0)->reset_code, NGHTTP2_CANCEL);
}

/* One that has ended is not reset. */
static void whole_response_is_left_alone(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 301, "location", "/b", NULL);
	finish(&client, nth(0, 1));
	h2_sync(h2_connection(world.origin, 0));
	assert_false(nth(0, 0)->reset);
}

static void not_unless_asked_for(void **state)
{
	static const uint64_t most[] = {0, 5};

	(void)state;
	/* Neither if the client does not ask, nor if the administrator does not want it. */
	for (unsigned i = 0; i < 2; i++) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = following("GET", "/", (uint32_t)most[i]);

		world.config->job.max_redirects = most[1 - i];
		submit(&client, &spec);
		h2_head(nth(0, i), false, 302, "location", "/b", NULL);
		h2_body(nth(0, i), 10, true);
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_ENDED);
		assert_int_equal(client.status, 302);
		assert_int_equal(client.taken, 10);
		assert_string_equal(client.url, "");
		assert_int_equal(client.attempt_count, 1);
	}
}

static void what_is_none_is_delivered(void **state)
{
	static const unsigned statuses[] = {200, 201, 300, 304, 305, 306, 399};

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = following("GET", "/", 5);

		submit(&client, &spec);
		if (i < 7) {
			h2_head(nth(0, i), true, statuses[i], "location", "/b", NULL);
		} else {
			h2_head(nth(0, i), true, 302, NULL); /* without a Location */
		}
		UNTIL(world.loop, client.closed);
		assert_int_equal(client.reason, CLOSE_ENDED);
		assert_int_equal(client.status, i < 7 ? statuses[i] : 302);
		assert_string_equal(client.url, "");
	}
}

static void post_becomes_get(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("POST", "/", 5);
	const struct header_field fields[] = {FIELD("content-type", "text/plain"),
					      FIELD("x-a", "b")};

	(void)state;
	spec.request.headers = fields;
	spec.request.header_count = 2;
	give_body(&spec, "body");
	submit(&client, &spec);
	UNTIL(world.loop, nth(0, 0)->ended);
	h2_head(nth(0, 0), true, 303, "location", "/done", NULL);
	UNTIL(world.loop, nth(0, 1)->ended);
	assert_field(nth(0, 1), ":method", "GET");
	assert_field(nth(0, 1), "content-type", NULL);
	assert_field(nth(0, 1), "content-length", NULL);
	assert_field(nth(0, 1), "x-a", "b");
	assert_int_equal(nth(0, 1)->body_length, 0);
	finish(&client, nth(0, 1));
}

static void body_goes_along(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("POST", "/", 5);

	(void)state;
	give_body(&spec, "body");
	submit(&client, &spec);
	/* Also before it was wholly taken. */
	h2_head(nth(0, 0), true, 307, "location", "/b", NULL);
	UNTIL(world.loop, nth(0, 1)->ended);
	assert_field(nth(0, 1), ":method", "POST");
	assert_field(nth(0, 1), "content-length", "4");
	assert_int_equal(nth(0, 1)->body_length, 4);
	assert_memory_equal(nth(0, 1)->body, "body", 4);
	h2_head(nth(0, 1), true, 308, "location", "/c", NULL);
	UNTIL(world.loop, nth(0, 2)->ended);
	assert_memory_equal(nth(0, 2)->body, "body", 4);
	finish(&client, nth(0, 2));
}

static void secrets_are_left_behind(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);
	const struct header_field fields[] = {FIELD("authorization", "Basic abc"),
					      FIELD("cookie", "a=b"), FIELD("x-a", "b")};
	struct h2_stream *there = NULL;

	(void)state;
	spec.request.headers = fields;
	spec.request.header_count = 3;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 302, "location", "/same", NULL);
	assert_field(nth(0, 1), "authorization", "Basic abc");
	assert_field(nth(0, 1), "cookie", "a=b");
	h2_head(nth(0, 1), true, 302, "location", h2_url(world.second, "/there"), NULL);
	there = h2_first(world.second, 0);
	assert_field(there, ":path", "/there");
	assert_field(there, ":authority", h2_authority(world.second));
	assert_field(there, "authorization", NULL);
	assert_field(there, "cookie", NULL);
	assert_field(there, "x-a", "b");
	h2_head(there, true, 302, "location", h2_url(world.origin, "/back"), NULL);
	assert_field(nth(0, 2), "authorization", NULL);
	assert_field(nth(0, 2), "cookie", NULL);
	finish(&client, nth(0, 2));
	assert_string_equal(client.url, h2_url(world.origin, "/back"));
	assert_int_equal(client.attempt_count, 4);
	assert_string_equal(client.urls[2], h2_url(world.second, "/there"));
	assert_string_equal(client.attempts[2].remote, h2_authority(world.second));
}

/* ---- bounds ---- */

static void assert_denied(struct client *client, enum failure_code code)
{
	UNTIL(world.loop, client->closed);
	assert_int_equal(client->reason, CLOSE_DENIED);
	assert_code(&client->failure, 0, code);
	assert_int_equal(client->heads, 0);
	assert_int_equal(client->taken, 0);
	assert_attempt(client, client->attempt_count - 1, CLOSE_DENIED, code, false);
	assert_string_equal(client->attempts[client->attempt_count - 1].why,
			    "the redirection is not followed");
}

static void limit(void **state)
{
	unsigned at = 0;

	(void)state;
	world.config->job.max_redirects = 3;
	for (uint32_t most = 1; most <= 5; most += 2) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = following("GET", "/", most);
		unsigned followed = most < 3 ? most : 3;

		world.config->job.max_attempts = 1; /* has nothing to do with it */
		submit(&client, &spec);
		for (unsigned i = 0; i <= followed; i++) {
			h2_head(nth(0, at++), true, 302, "location", "/again", NULL);
		}
		assert_denied(&client, FAIL_TOO_MANY_REDIRECTS);
		assert_int_equal(client.attempt_count, followed + 1);
		assert_int_equal(client.attempts[followed].status, 302);
	}
}

/* The most that may be configured, and the ledger's end. */
static void ledger_is_bounded(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 1000);
	unsigned at = 0;

	(void)state;
	world.config->job.max_redirects = 14;
	world.config->job.max_attempts = 16;
	submit(&client, &spec);
	for (; at < 3; at++) {
		h2_reset(nth(0, at), NGHTTP2_REFUSED_STREAM);
	}
	for (; at < JOB_ATTEMPTS_MAX; at++) {
		h2_head(nth(0, at), true, 302, "location", "/again", NULL);
	}
	assert_denied(&client, FAIL_TOO_MANY_REDIRECTS);
	assert_int_equal(client.attempt_count, JOB_ATTEMPTS_MAX);
}

static void bad_location(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), false, 302, "location", "ftp://b/", NULL);
	assert_denied(&client, FAIL_REDIRECT_INVALID);
	assert_code(&client.failure, 1, FAIL_URL_SCHEME);
	assert_text(&client.failure, "ftp://b/");
	/* It is not left to go on. */
	UNTIL(world.loop, nth(0, 0)->reset);
}

static void cleartext_by_list(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	spec.redirect_to_cleartext = true;
	submit(&client, &spec);
	h2_head(nth(0, 0), false, 302, "location", "http://localhost:9/", NULL);
	assert_denied(&client, FAIL_REDIRECT_CLEARTEXT);
	assert_code(&client.failure, 1, FAIL_CLEARTEXT_NOT_ALLOWED);
}

/* A URL of any length fits into the ledger, a part of it. */
static void long_url_is_cut(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);
	char path[2000];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	submit(&client, &spec);
	h2_head(nth(0, 0), false, 302, "location", path, NULL);
	assert_field(nth(0, 1), ":path", path);
	finish(&client, nth(0, 1));
	assert_int_equal(strlen(client.urls[1]), JOB_ATTEMPT_URL_MAX);
	assert_memory_equal(client.urls[1], h2_url(world.origin, "/"),
			    strlen(h2_url(world.origin, "/")));
}

/* ---- what else a job does, hop by hop ---- */

static void tries_within_a_hop(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	world.config->job.max_attempts = 4;
	spec.retry_allowed = true;
	submit(&client, &spec);
	h2_reset(nth(0, 0), NGHTTP2_REFUSED_STREAM);
	h2_head(nth(0, 1), true, 302, "location", "/b", NULL);
	h2_head(nth(0, 2), true, 503, "retry-after", "0", NULL);
	assert_field(nth(0, 3), ":path", "/b");
	h2_reset(nth(0, 3), NGHTTP2_REFUSED_STREAM);
	assert_field(nth(0, 4), ":path", "/b");
	h2_head(nth(0, 4), true, 302, "location", "/c", NULL);
	finish(&client, nth(0, 5));
	assert_int_equal(client.attempt_count, 6);
	for (unsigned i = 0; i < 6; i++) {
		static const char *const paths[] = {"", "", "/b", "/b", "/b", "/c"};

		assert_string_equal(client.urls[i],
				    paths[i][0] ? h2_url(world.origin, paths[i]) : "");
	}
}

static void misdirected_once_a_hop(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 421, NULL);
	h2_head(nth(1, 0), true, 302, "location", "/b", NULL);
	h2_head(nth(1, 1), true, 421, NULL);
	finish(&client, nth(2, 0));
	assert_int_equal(client.attempt_count, 4);
}

/* Limits are for the response that is delivered. */
static void sizes_count_at_the_end_only(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	spec.max_size = option(100);
	spec.warn_size = option(99);
	submit(&client, &spec);
	h2_head(nth(0, 0), false, 302, "location", "/b", "content-length", "5000", NULL);
	h2_body(nth(0, 0), 5000, true);
	finish(&client, nth(0, 1));
	assert_int_equal(client.warnings, 1);
	assert_true(client.warned_received);
}

static void interim_responses_are_told(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("HEAD", "/", 5);

	(void)state;
	submit(&client, &spec);
	h2_interim(nth(0, 0), 103);
	h2_head(nth(0, 0), true, 303, "location", "/b", NULL);
	assert_field(nth(0, 1), ":method", "HEAD");
	h2_interim(nth(0, 1), 103);
	h2_head(nth(0, 1), true, 200, NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.interims, 2);
	assert_int_equal(client.heads, 1);
}

/* The total deadline is one for all. */
static void total_deadline_spans_all(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	spec.total_timeout_ms = option(200);
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 302, "location", "/b", NULL);
	(void)nth(0, 1);
	assert_int_equal(client.job->deadline_at_ms, client.job->accepted_ms + 200);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_TIMEOUT);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_TOTAL);
	assert_int_equal(client.attempt_count, 2);
}

/* The queue's is one for each. */
static void queue_deadline_is_each_hops(void **state)
{
	struct client blocker = {.credit = PLENTY};
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);
	struct job_spec block = spec_of("GET", "/");

	(void)state;
	world.http.env->settings.max_streams_per_connection = 1;
	world.http.env->settings.max_connections_per_origin = 1;
	block.request.url = h2_url(world.second, "/");
	submit(&blocker, &block);
	(void)h2_first(world.second, 0);
	spec.queue_timeout_ms = option(60);
	submit(&client, &spec);
	(void)nth(0, 0);
	let_pass(80); /* it was handed over in time */
	assert_int_equal(client.closed, 0);
	h2_head(nth(0, 0), true, 302, "location", h2_url(world.second, "/b"), NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_TIMEOUT);
	assert_code(&client.failure, 0, FAIL_TIMEOUT_QUEUE);
	assert_int_equal(client.attempt_count, 1);
	job_cancel(blocker.job, FAIL_CANCELLED_BY_CLIENT);
}

static void cancelled_on_the_way(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 302, "location", h2_url(world.second, "/b"), NULL);
	UNTIL(world.loop, client.job->redirects == 1);
	job_cancel(client.job, FAIL_CANCELLED_BY_CLIENT);
	assert_int_equal(client.closed, 1);
	assert_int_equal(client.attempt_count, 1);
	rounds(world.loop, 5);
}

static void nowhere_to_go(void **state)
{
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	h2_origin_close(world.second);
	submit(&client, &spec);
	h2_head(nth(0, 0), true, 302, "location", h2_url(world.second, "/b"), NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_CONNECT_FAILED);
	assert_int_equal(client.attempt_count, 2);
	assert_attempt(&client, 1, CLOSE_CONNECT_FAILED, FAIL_CONNECT_REFUSED, true);
	assert_string_equal(client.urls[1], h2_url(world.second, "/b"));
}

static void no_room_for_an_origin(void **state)
{
	struct client blocker = {.credit = PLENTY};
	struct client client = {.credit = PLENTY};
	struct job_spec spec = following("GET", "/", 5);

	(void)state;
	world.http.env->settings.max_origins = 1;
	submit_get(&blocker);
	(void)nth(0, 0);
	submit(&client, &spec);
	h2_head(nth(0, 1), true, 302, "location", h2_url(world.second, "/b"), NULL);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_INACTIVE);
	assert_code(&client.failure, 0, FAIL_CONNECTION_LIMIT);
	assert_text(&client.failure, "pool.max_origins");
	job_cancel(blocker.job, FAIL_CANCELLED_BY_CLIENT);
}

#define REDIRECT_TEST(name) cmocka_unit_test_setup_teardown(name, redirect_setup, job_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		REDIRECT_TEST(is_followed),
		REDIRECT_TEST(whole_response_is_left_alone),
		REDIRECT_TEST(not_unless_asked_for),
		REDIRECT_TEST(what_is_none_is_delivered),
		REDIRECT_TEST(post_becomes_get),
		REDIRECT_TEST(body_goes_along),
		REDIRECT_TEST(secrets_are_left_behind),
		REDIRECT_TEST(limit),
		REDIRECT_TEST(ledger_is_bounded),
		REDIRECT_TEST(bad_location),
		REDIRECT_TEST(cleartext_by_list),
		REDIRECT_TEST(long_url_is_cut),
		REDIRECT_TEST(tries_within_a_hop),
		REDIRECT_TEST(misdirected_once_a_hop),
		REDIRECT_TEST(sizes_count_at_the_end_only),
		REDIRECT_TEST(interim_responses_are_told),
		REDIRECT_TEST(total_deadline_spans_all),
		REDIRECT_TEST(queue_deadline_is_each_hops),
		REDIRECT_TEST(cancelled_on_the_way),
		REDIRECT_TEST(nowhere_to_go),
		REDIRECT_TEST(no_room_for_an_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
