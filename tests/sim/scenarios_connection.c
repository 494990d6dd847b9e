/* SPDX-License-Identifier: MIT */
/*
 * Connections: liveness, stream limits, GOAWAY, loss, stream ids. The numbers in the names are the
 * lines of stream-semantics.md.
 */
#include "world.h"

#include "http/connection_internal.h"
#include "http/origin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t upload[60000];

/* ---- liveness ---- */

/* However long the dial took: that is no silence of the peer's. */
static void test_10_a_fresh_connection_is_not_asked(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->connect_us = 16000 * 1000; /* longer than ping_after */
	a->automatic = true;
	job = fetch("https://a.test/");
	expect_ended(job, 16021 + 10, 0);
	assert_int_equal(peer_of(a, 0)->pings, 0);
}

static void test_10_an_idle_connection_says_goodbye(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	const struct peer *peer = NULL;

	(void)state;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	at(240040);
	assert_int_equal(gauges().connections, 1);
	at(240041);
	assert_int_equal(gauges().connections, 0);
	at(240046);
	peer = peer_of(a, 0);
	assert_true(peer->goaway && peer->lost);
	assert_int_equal(peer->goaway_code, NGHTTP2_NO_ERROR);
	assert_int_equal(peer->lost_ms, 240046);
	assert_int_equal(peer->pings, 0);
}

static void test_10_a_job_keeps_the_connection_from_idling(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.config->job.first_byte_timeout_ms = 0;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	a->automatic = false;
	at(200000);
	(void)fetch("https://a.test/"); /* once it has been asked, at 200010 */
	at(500000);
	assert_int_equal(gauges().connections, 1);
	peer_answer(request_of(a, 0, 1), 0);
	at(500005 + 240000 - 1);
	assert_int_equal(gauges().connections, 1);
	at(500005 + 240000);
	assert_int_equal(gauges().connections, 0);
}

/* While streams wait: asked after ping_after of silence, again and again, as long as it answers. */
static void test_10_ping_while_streams_wait(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.config->job.first_byte_timeout_ms = 0;
	job = fetch("https://a.test/");
	/* The last that came is the acknowledgement of our SETTINGS, at 41. */
	at(15045);
	assert_int_equal(peer_of(a, 0)->pings, 0);
	at(15046);
	assert_int_equal(peer_of(a, 0)->pings, 1);
	/* The answer came at 15051. */
	at(30055);
	assert_int_equal(peer_of(a, 0)->pings, 1);
	at(30056);
	assert_int_equal(peer_of(a, 0)->pings, 2);
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(job, 30061, 0);
}

static void test_10_no_answer_to_a_ping(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *post = NULL;
	struct client *get = NULL;

	(void)state;
	post = fetch("https://a.test/", .method = "POST", .body = upload, .body_length = 10);
	get = fetch("https://a.test/");
	at(100);
	peer_silence(peer_of(a, 0), true);
	a->automatic = true;
	expect_closed(post, 25041, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	/* What can be replayed goes to another one. */
	expect_ended(get, 25041 + 41, 0);
	expect_attempt(get, 0, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	assert_true(get->attempts[1].connection > get->attempts[0].connection);
}

/* Any byte is an answer. */
static void test_10_any_byte_answers_a_ping(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = fetch("https://a.test/");

	(void)state;
	at(100);
	peer_of(a, 0)->mute = true;
	at(25000);
	peer_interim(request_of(a, 0, 0), 103);
	at(30000);
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(job, 30005, 0);
	assert_int_equal(a->count, 1);
}

static void test_10_asked_before_it_is_used_again(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	at(15040);
	/* Not long enough ago. */
	expect_ended(fetch("https://a.test/"), 15050, 0);
	assert_int_equal(peer_of(a, 0)->pings, 0);
	at(30050);
	job = fetch("https://a.test/");
	at(30055);
	assert_int_equal(peer_of(a, 0)->pings, 1);
	assert_int_equal(client_state(job), JOB_QUEUED);
	expect_ended(job, 30050 + 20, 0);
	assert_int_equal(a->count, 1);
}

static void test_10_a_dead_idle_connection_is_replaced(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	peer_silence(peer_of(a, 0), true);
	at(30000);
	job = fetch("https://a.test/", .method = "POST", .body = upload, .body_length = 10);
	at(39999);
	assert_int_equal(a->count, 1);
	/* Nothing was sent on it: not even a POST comes to harm. */
	expect_ended(job, 40000 + 41, 0);
	assert_int_equal(job->attempt_count, 1);
}

/* A peer that takes no bytes is given up after http.write_timeout. */
static void test_10_write_timeout(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.env->settings.write_timeout_ms = 5000;
	a->deaf = true;
	a->up_bytes = 1000;
	job = fetch("https://a.test/", .method = "POST", .body = upload,
		    .body_length = sizeof(upload));
	expect_closed(job, 5031, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	assert_true(has_text(job, "http.write_timeout"));
}

static void test_10_slow_writing_is_no_write_timeout(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	world.env->settings.write_timeout_ms = 5000;
	a->deaf = true;
	a->up_bytes = 1000;
	job = fetch("https://a.test/", .method = "POST", .body = upload,
		    .body_length = sizeof(upload));
	at(5030);
	peer_deafen(peer_of(a, 0), false);
	at(5100);
	assert_true(request_of(a, 0, 0)->request_done);
	assert_int_equal(request_of(a, 0, 0)->body_length, sizeof(upload));
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(job, 5105, 0);
}

/* ---- limits ---- */

/* Until its SETTINGS come, the peer is taken to allow 100 streams. */
static void test_13_requests_do_not_wait_for_settings(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *last = NULL;

	(void)state;
	world.env->settings.max_streams_per_connection = 200;
	world.env->settings.max_connections_per_origin = 1;
	a->hold_settings = true;
	for (unsigned i = 0; i < 101; i++) {
		last = fetch("https://a.test/");
	}
	at(100);
	assert_int_equal(gauges().streams, 100);
	assert_int_equal(gauges().waiting, 1);
	/* A rise lets the last one go at once. */
	peer_set(peer_of(a, 0), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 101);
	at(105);
	assert_int_equal(client_state(last), JOB_SENT);
	at(110);
	assert_int_equal(peer_of(a, 0)->requests, 101);
}

static void test_13_our_settings(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	const struct peer *peer = NULL;

	(void)state;
	(void)fetch("https://a.test/");
	at(36);
	peer = peer_of(a, 0);
	assert_int_equal(peer_setting(peer, NGHTTP2_SETTINGS_ENABLE_PUSH), 0);
	assert_int_equal(peer_setting(peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE), 65536);
	assert_int_equal(peer_setting(peer, NGHTTP2_SETTINGS_MAX_FRAME_SIZE), 16384);
	assert_int_equal(peer_setting(peer, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE), 16384);
	assert_int_equal(peer_setting(peer, NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES), 1);
	assert_int_equal(peer_window(peer), 1024 * 1024);
}

static void test_14_the_lower_limit_counts(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	world.env->settings.max_streams_per_connection = 2;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 50;
	for (unsigned i = 0; i < 5; i++) {
		(void)fetch("https://a.test/");
	}
	at(100);
	assert_int_equal(peer_of(a, 0)->requests, 2);
	/* A reload with a higher limit counts for connections there are, at once. */
	world.env->settings.max_streams_per_connection = 4;
	pool_reconfigure(world.pool);
	at(105);
	assert_int_equal(peer_of(a, 0)->requests, 4);
}

static void test_14_a_fall_waits_for_streams_to_end(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *jobs[4];

	(void)state;
	world.env->settings.max_connections_per_origin = 1;
	a->has_max_streams = true;
	a->max_streams = 100;
	for (unsigned i = 0; i < 3; i++) {
		jobs[i] = fetch("https://a.test/");
	}
	at(50);
	peer_set(peer_of(a, 0), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 2);
	at(60);
	jobs[3] = fetch("https://a.test/");
	at(100);
	peer_answer(request_of(a, 0, 0), 0);
	expect_ended(jobs[0], 105, 0);
	at(200);
	assert_int_equal(client_state(jobs[3]), JOB_QUEUED);
	peer_answer(request_of(a, 0, 1), 0);
	expect_ended(jobs[1], 205, 0);
	at(210);
	assert_int_equal(peer_of(a, 0)->requests, 4);
	peer_answer(request_of(a, 0, 3), 0);
	expect_ended(jobs[3], 215, 0);
}

/* ---- GOAWAY ---- */

static void test_15_goaway_in_the_middle(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *below = NULL;
	struct client *above = NULL;
	struct client *post = NULL;

	(void)state;
	below = fetch("https://a.test/1");
	above = fetch("https://a.test/2");
	post = fetch("https://a.test/3", .method = "POST", .body = upload, .body_length = 10);
	at(50);
	peer_goaway(peer_of(a, 0), 1, NGHTTP2_NO_ERROR, "restarting");
	/* Those above its last stream are replayed, whatever their method, on a new connection. */
	at(55 + 36);
	assert_int_equal(peer_of(a, 1)->requests, 2);
	peer_answer(request_of(a, 1, 0), 5);
	peer_answer(request_of(a, 1, 1), 5);
	expect_ended(above, 55 + 41, 5);
	expect_ended(post, 55 + 41, 5);
	expect_attempt(post, 0, CLOSE_RESET, FAIL_H2_REFUSED);
	assert_true(post->attempts[0].replay_safe);
	/* Those up to it finish. */
	at(500);
	peer_answer(request_of(a, 0, 0), 5);
	expect_ended(below, 505, 5);
	assert_int_equal(below->attempt_count, 1);
	at(510);
	assert_true(peer_of(a, 0)->lost); /* with its last stream */
}

static void test_16_a_graceful_pair_loses_nothing(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *jobs[3];

	(void)state;
	jobs[0] = fetch("https://a.test/1");
	jobs[1] = fetch("https://a.test/2", .method = "POST", .body = upload, .body_length = 10);
	at(50);
	peer_goaway(peer_of(a, 0), INT32_MAX, NGHTTP2_NO_ERROR, "");
	at(60);
	jobs[2] = fetch("https://a.test/3");
	at(70);
	peer_goaway(peer_of(a, 0), 3, NGHTTP2_NO_ERROR, "");
	at(60 + 36);
	assert_int_equal(peer_of(a, 1)->requests, 1);
	peer_answer(request_of(a, 1, 0), 0);
	expect_ended(jobs[2], 60 + 41, 0);
	at(200);
	peer_answer(request_of(a, 0, 0), 0);
	peer_answer(request_of(a, 0, 1), 0);
	expect_ended(jobs[0], 205, 0);
	expect_ended(jobs[1], 205, 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(jobs[i]->attempt_count, 1);
	}
}

static void test_07_a_draining_connection_gets_no_stream(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	(void)fetch("https://a.test/");
	at(50);
	peer_goaway(peer_of(a, 0), INT32_MAX, NGHTTP2_NO_ERROR, "");
	/* One that was submitted in the round in which the GOAWAY is read. */
	at(55);
	job = fetch("https://a.test/");
	at(55 + 36);
	assert_int_equal(peer_of(a, 0)->requests, 1);
	peer_answer(request_of(a, 1, 0), 0);
	expect_ended(job, 55 + 41, 0);
	assert_int_equal(job->attempt_count, 1);
}

/* Also when the peer hangs up in the same breath: the cause comes before its consequence. */
static void breaks_and_hangs_up(void (*hang_up)(struct peer *peer))
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *one =
		fetch("https://a.test/1", .method = "POST", .body = upload, .body_length = 1);
	struct client *two =
		fetch("https://a.test/2", .method = "POST", .body = upload, .body_length = 1);

	at(50);
	/* DATA on stream 0. */
	peer_frame(peer_of(a, 0), NGHTTP2_DATA, 0, 0, "x", 1);
	if (hang_up) {
		hang_up(peer_of(a, 0));
	}
	expect_closed(one, 55, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR);
	expect_closed(two, 55, CLOSE_PROTOCOL_ERROR, FAIL_H2_CONNECTION_ERROR);
}

static void test_17_a_connection_error_ends_all_streams(void **state)
{
	(void)state;
	breaks_and_hangs_up(NULL);
}

static void test_17_a_connection_error_and_a_close(void **state)
{
	(void)state;
	breaks_and_hangs_up(peer_close);
}

static void test_17_a_connection_error_and_a_reset(void **state)
{
	(void)state;
	breaks_and_hangs_up(peer_reset);
}

static void test_17_a_stream_error_ends_that_stream_only(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *bad = fetch("https://a.test/1");
	struct client *good = fetch("https://a.test/2");

	(void)state;
	at(50);
	peer_of(a, 0)->broken = true;
	peer_head(request_of(a, 0, 0), true, 200, "connection", "close", NULL);
	expect_closed(bad, 55, CLOSE_PROTOCOL_ERROR, FAIL_H2_STREAM_ERROR);
	peer_answer(request_of(a, 0, 1), 5);
	expect_ended(good, 60, 5);
}

/* ---- loss ---- */

static void test_19_loss_after_the_request(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *post = NULL;
	struct client *get = NULL;

	(void)state;
	post = fetch("https://a.test/1", .method = "POST", .body = upload, .body_length = 1);
	get = fetch("https://a.test/2");
	at(50);
	peer_reset(peer_of(a, 0));
	a->automatic = true;
	expect_closed(post, 55, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	assert_false(post->attempts[0].replay_safe);
	expect_ended(get, 55 + 41, 0);
	expect_attempt(get, 0, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	assert_true(get->attempts[0].replay_safe);
}

/* What never left may go again, whatever its method. */
static void test_19_loss_before_the_request(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *sent = NULL;
	struct client *unsent = NULL;
	struct client *forbidden = NULL;

	(void)state;
	a->up_bytes = 500;
	a->deaf = true;
	sent = fetch("https://a.test/1", .method = "POST", .body = upload,
		     .body_length = sizeof(upload));
	at(50);
	unsent = fetch("https://a.test/2", .method = "POST", .body = upload, .body_length = 1);
	forbidden = fetch("https://a.test/3", .replay_forbidden = true);
	at(100);
	assert_int_equal(client_state(unsent), JOB_SENT); /* as far as the client can tell */
	a->deaf = false;
	a->automatic = true;
	peer_reset(peer_of(a, 0));
	expect_closed(sent, 105, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR);
	expect_closed(forbidden, 105, CLOSE_INACTIVE, FAIL_NEVER_SENT);
	assert_int_equal(forbidden->attempts[0].stream, 0);
	expect_ended(unsent, 105 + 41, 0);
	expect_attempt(unsent, 0, CLOSE_INACTIVE, FAIL_NEVER_SENT);
}

static void test_20_a_cut_fails_open_streams_only(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *whole = fetch("https://a.test/1", .no_credit = true);
	struct client *half = fetch("https://a.test/2");

	(void)state;
	at(50);
	peer_answer(request_of(a, 0, 0), 10);
	peer_head(request_of(a, 0, 1), false, 200, NULL);
	peer_body(request_of(a, 0, 1), 10);
	peer_cut(peer_of(a, 0));
	expect_closed(half, 55, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_CLOSED);
	assert_true(has_text(half, "close_notify"));
	assert_int_equal(half->taken, 10); /* what had arrived was delivered first */
	at(1000);
	client_grant(whole, 10);
	expect_ended(whole, 1000, 10);
}

static void test_20_an_idle_connection_that_is_cut(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");

	(void)state;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	peer_cut(peer_of(a, 0));
	at(46);
	assert_int_equal(gauges().connections, 0);
	expect_ended(fetch("https://a.test/"), 46 + 41, 0);
}

/* ---- the rest ---- */

static struct connection *only_connection(void)
{
	assert_non_null(world.pool->origins);
	assert_non_null(world.pool->origins->connections);
	return world.pool->origins->connections->connection;
}

static void test_21_stream_ids_run_out(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *last = NULL;
	struct client *next = NULL;

	(void)state;
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	a->automatic = false;
	/* The last one there is, and some to spare. */
	assert_int_equal(
		nghttp2_session_set_next_stream_id(only_connection()->session, INT32_MAX - 2048),
		0);
	last = fetch("https://a.test/last");
	at(46);
	assert_int_equal(request_of(a, 0, 1)->id, INT32_MAX - 2048);
	next = fetch("https://a.test/next");
	at(46 + 36);
	assert_int_equal(peer_of(a, 1)->requests, 1);
	assert_true(peer_of(a, 0)->goaway);
	peer_answer(request_of(a, 1, 0), 5);
	expect_ended(next, 46 + 41, 5);
	assert_int_equal(next->attempt_count, 1);
	peer_answer(request_of(a, 0, 1), 5);
	expect_ended(last, 46 + 41 + 5, 5);
	at(100);
	assert_true(peer_of(a, 0)->lost);
}

static void test_22_bytes_that_are_not_http2(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->raw = true;
	job = fetch("https://a.test/");
	at(36);
	peer_raw(peer_of(a, 0), "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	expect_closed(job, 41, CLOSE_CONNECT_FAILED, FAIL_NOT_HTTP2);
	assert_true(has_text(job, "HTTP/1.1 400 Bad Request"));
}

static void test_28_an_early_answer(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *job = NULL;

	(void)state;
	a->has_window = true;
	a->window = 0; /* takes no byte of an upload, once that is known */
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 41, 0);
	a->automatic = false;
	job = fetch("https://a.test/", .method = "POST", .body = upload,
		    .body_length = sizeof(upload));
	at(100);
	assert_int_equal(request_of(a, 0, 1)->body_length, 0);
	peer_answer(request_of(a, 0, 1), 5);
	expect_ended(job, 105, 5);
	at(110);
	assert_true(request_of(a, 0, 1)->reset);
	assert_int_equal(request_of(a, 0, 1)->reset_code, NGHTTP2_NO_ERROR);
	a->automatic = true;
	expect_ended(fetch("https://a.test/"), 120, 0);
	assert_int_equal(a->count, 1);
}

/* Every DATA byte goes back to the connection's window once: of padding, of streams that were
 * cancelled, of streams that nobody reads from. `at()` compares both ends. */
static void test_37_windows_are_given_back(void **state)
{
	struct sim_server *a = serve("a.test", "192.0.2.1");
	struct client *cancelled = NULL;
	struct client *unread = NULL;
	struct peer *peer = NULL;

	(void)state;
	world.env->settings.connection_window = 100000;
	cancelled = fetch("https://a.test/1");
	unread = fetch("https://a.test/2", .no_credit = true);
	at(36);
	peer = peer_of(a, 0);
	peer->pad = 200;
	peer_head(request_of(a, 0, 0), false, 200, NULL);
	peer_body(request_of(a, 0, 0), 1000000);
	peer_head(request_of(a, 0, 1), false, 200, NULL);
	peer_body(request_of(a, 0, 1), 1000000);
	at(61);
	client_cancel(cancelled);
	at(1000);
	/* The one that is not read from holds its own window, and nothing of the connection's. */
	assert_int_equal(unread->job ? client_state(unread) : JOB_CLOSED, JOB_RECEIVING);
	assert_int_equal(world.env->buffered_bytes, 65536);
	assert_true(peer_window(peer) > 50000);
	a->automatic = true;
	a->automatic_bytes = 500000;
	(void)fetch("https://a.test/3");
	at(2000);
	assert_int_equal(world.metrics.jobs_closed[CLOSE_ENDED], 1);
	assert_true(peer_window(peer) > 50000);
	client_grant(unread, PLENTY);
	at(3000);
	assert_int_equal(unread->taken, 1000000);
	assert_true(peer_window(peer) > 50000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENARIO(test_10_a_fresh_connection_is_not_asked),
		SCENARIO(test_10_an_idle_connection_says_goodbye),
		SCENARIO(test_10_a_job_keeps_the_connection_from_idling),
		SCENARIO(test_10_ping_while_streams_wait),
		SCENARIO(test_10_no_answer_to_a_ping),
		SCENARIO(test_10_any_byte_answers_a_ping),
		SCENARIO(test_10_asked_before_it_is_used_again),
		SCENARIO(test_10_a_dead_idle_connection_is_replaced),
		SCENARIO(test_10_write_timeout),
		SCENARIO(test_10_slow_writing_is_no_write_timeout),
		SCENARIO(test_13_requests_do_not_wait_for_settings),
		SCENARIO(test_13_our_settings),
		SCENARIO(test_14_the_lower_limit_counts),
		SCENARIO(test_14_a_fall_waits_for_streams_to_end),
		SCENARIO(test_15_goaway_in_the_middle),
		SCENARIO(test_16_a_graceful_pair_loses_nothing),
		SCENARIO(test_07_a_draining_connection_gets_no_stream),
		SCENARIO(test_17_a_connection_error_ends_all_streams),
		SCENARIO(test_17_a_connection_error_and_a_close),
		SCENARIO(test_17_a_connection_error_and_a_reset),
		SCENARIO(test_17_a_stream_error_ends_that_stream_only),
		SCENARIO(test_19_loss_after_the_request),
		SCENARIO(test_19_loss_before_the_request),
		SCENARIO(test_20_a_cut_fails_open_streams_only),
		SCENARIO(test_20_an_idle_connection_that_is_cut),
		SCENARIO(test_21_stream_ids_run_out),
		SCENARIO(test_22_bytes_that_are_not_http2),
		SCENARIO(test_28_an_early_answer),
		SCENARIO(test_37_windows_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
