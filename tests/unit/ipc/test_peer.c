/* SPDX-License-Identifier: MIT */
/*
 * A client's socket: hello, frames good and bad, clocks, clients that do not read, and the end of
 * it.
 */
#include "unit/ipc/ipc_world.h"

/* ---- hello ---- */

static void hello_says_who_and_how_much(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_server_hello *hello =
		&talker_find(talker, WIRE_SERVER_HELLO, 0, 0)->hello;

	(void)state;
	assert_int_equal(hello->major, WIRE_MAJOR);
	assert_int_equal(hello->minor, WIRE_MINOR);
	assert_string_equal(hello->server_version, "1.2.3");
	assert_int_equal(hello->feature_count, 3);
	assert_string_equal(hello->features[0], "redirects");
	assert_string_equal(hello->features[1], "uploads");
	assert_string_equal(hello->features[2], "fd-output");
	assert_int_equal(strlen(hello->instance_id), 32);
	assert_int_equal(strspn(hello->instance_id, "0123456789abcdef"), 32);
	assert_int_equal(hello->max_client_frame_bytes, WIRE_CLIENT_FRAME_MAX);
	assert_int_equal(hello->max_server_frame_bytes, WIRE_SERVER_FRAME_MAX);
	assert_int_equal(hello->max_jobs, world.config->ipc.max_jobs_per_client);
	assert_int_equal(hello->default_credit_bytes, world.config->ipc.default_credit);
	assert_int_equal(hello->max_credit_bytes, world.config->ipc.max_credit);
	assert_int_equal(ipc_client_count(ipc), 1);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_PEERS), 1);
	assert_int_equal(ipc->peers->owner.pid, getpid());
	assert_string_equal(ipc->peers->owner.name, "talker");
	talker_close(talker);
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
	assert_int_equal(account_held(world.accounts, geteuid(), ACCOUNT_PEERS), 0);
	talker_free(talker);
}

static void hello_comes_first(void **state)
{
	static const enum wire_client_kind kinds[] = {WIRE_CLIENT_PING, WIRE_CLIENT_SUBMIT,
						      WIRE_CLIENT_CANCEL, WIRE_CLIENT_LIST};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct talker *talker = talker_new();

		talker_ask(talker, kinds[i], 1);
		assert_goodbye(talker, WIRE_GOODBYE_HELLO_EXPECTED);
		talker_free(talker);
	}
	/* Also what nobody knows. */
	{
		struct talker *talker = talker_new();

		talker_raw(talker, "\x00", 1);
		assert_goodbye(talker, WIRE_GOODBYE_HELLO_EXPECTED);
		talker_free(talker);
	}
}

static void hello_of_another_version(void **state)
{
	static const uint32_t majors[] = {0, 2, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct talker *talker = talker_new();

		talker_send(talker, &(struct wire_client_frame){.kind = WIRE_CLIENT_HELLO,
								.hello = {.major = majors[i]}});
		assert_goodbye(talker, WIRE_GOODBYE_UNSUPPORTED_VERSION);
		assert_null(talker_find(talker, WIRE_SERVER_HELLO, 0, 0));
		talker_free(talker);
	}
}

static void hello_comes_once(void **state)
{
	struct talker *talker = talker_open();

	(void)state;
	talker_send(talker, &(struct wire_client_frame){.kind = WIRE_CLIENT_HELLO,
							.hello = {.major = WIRE_MAJOR}});
	assert_goodbye(talker, WIRE_GOODBYE_BAD_MESSAGE);
	talker_free(talker);
}

static void hello_comes_in_time(void **state)
{
	struct talker *silent = NULL;
	struct talker *slow = NULL;

	(void)state;
	world.config->ipc.hello_timeout_ms = 30;
	world.config->ipc.frame_timeout_ms = 60000;
	silent = talker_new();
	slow = talker_new();
	talker_raw(slow, "\x05\x1a", 2); /* half a hello does not stop the clock */
	assert_goodbye(silent, WIRE_GOODBYE_HELLO_EXPECTED);
	assert_goodbye(slow, WIRE_GOODBYE_HELLO_EXPECTED);
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
	talker_free(silent);
	talker_free(slow);
}

static void client_names_are_made_printable(void **state)
{
	struct talker *talker = talker_new();

	(void)state;
	talker_send(talker,
		    &(struct wire_client_frame){
			    .kind = WIRE_CLIENT_HELLO,
			    .hello = {.major = WIRE_MAJOR, .client_name = "a\nb\x7f\x1b[0m"}});
	(void)talker_wait(talker, WIRE_SERVER_HELLO, 0);
	assert_string_equal(ipc->peers->owner.name, "a?b??[0m");
	talker_free(talker);
}

/* ---- frames ---- */

static void bad_frames(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		enum wire_goodbye_code code;
	} table[] = {
		{"\x80\x80\x80\x80\x01", 5, WIRE_GOODBYE_BAD_FRAME}, /* five bytes of length */
		{"\x85\x00", 2, WIRE_GOODBYE_BAD_FRAME},             /* not its shortest form */
		{"\x81\x80\x04", 3, WIRE_GOODBYE_BAD_FRAME},         /* 65,537 */
		{"\xff\xff\xff\x7f", 4, WIRE_GOODBYE_BAD_FRAME},
		{"\x02\xff\xff", 3, WIRE_GOODBYE_BAD_MESSAGE},
		{"\x03\x22\x05x", 4, WIRE_GOODBYE_BAD_MESSAGE}, /* a Submit cut short */
		{"\x08\x08\x05\x22\x04\x0a\x02\xc3\x28", 9,
		 WIRE_GOODBYE_BAD_MESSAGE}, /* no UTF-8 */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct talker *talker = talker_open();

		talker_raw(talker, table[i].bytes, table[i].length);
		assert_goodbye(talker, table[i].code);
		UNTIL(world.loop, ipc_client_count(ipc) == 0);
		talker_free(talker);
	}
}

static void garbage_before_the_hello(void **state)
{
	static uint8_t garbage[65536];
	struct talker *talker = talker_new();
	struct talker *good = talker_open();

	(void)state;
	for (size_t i = 0; i < sizeof(garbage); i++) {
		garbage[i] = (uint8_t)(i * 131 + 7);
	}
	(void)!send(talker->fd, garbage, sizeof(garbage), MSG_NOSIGNAL | MSG_DONTWAIT);
	UNTIL(world.loop, talker->eof && talker->goodbye);
	talker_sync(good, 1);
	assert_int_equal(ipc_client_count(ipc), 1);
	talker_free(talker);
	talker_free(good);
}

static void frames_in_any_pieces(void **state)
{
	struct talker *talker = talker_open();
	struct wire_client_frame ping = {.id = 1, .kind = WIRE_CLIENT_PING};
	uint8_t *data = NULL;
	size_t length = 0;

	(void)state;
	assert_int_equal(wire_client_frame_encode(&ping, &data, &length), 0);
	for (size_t i = 0; i < length; i++) {
		talker_raw(talker, data + i, 1);
		rounds(world.loop, 2);
		assert_true(i + 1 == length || !talker_find(talker, WIRE_SERVER_PONG, 1, 0));
	}
	(void)talker_wait(talker, WIRE_SERVER_PONG, 1);
	assert_string_equal(talker_find(talker, WIRE_SERVER_PONG, 1, 0)->pong.server_version,
			    "1.2.3");
	assert_int_equal(talker_find(talker, WIRE_SERVER_PONG, 1, 0)->pong.pid, getpid());
	free(data);
	talker_free(talker);
}

/* More in one write than is handled in one round: all of it is answered, in order. */
static void many_frames_at_once(void **state)
{
	enum {
		COUNT = 5000
	};
	struct talker *talker = talker_open();
	uint8_t *all = malloc(COUNT * 16);
	size_t length = 0;
	unsigned answers = 0;

	(void)state;
	assert_non_null(all);
	for (unsigned i = 0; i < COUNT; i++) {
		/* Unknown requests: their ids may repeat. */
		memcpy(all + length, "\x06\x08\x01\xfa\x01\x01x", 7);
		length += 7;
	}
	talker_raw(talker, all, length);
	free(all);
	talker_ask(talker, WIRE_CLIENT_PING, 2);
	(void)talker_wait(talker, WIRE_SERVER_PONG, 2);
	for (unsigned i = 0; i < talker->count; i++) {
		answers += talker->frames[i]->kind == WIRE_SERVER_UNSUPPORTED;
	}
	assert_int_equal(answers, COUNT);
	assert_int_equal(talker->frames[talker->count - 1]->kind, WIRE_SERVER_PONG);
	talker_free(talker);
}

/* Gone with half of it handled. */
static void many_frames_and_gone(void **state)
{
	struct talker *talker = talker_open();
	static uint8_t all[3000 * 7];

	(void)state;
	for (unsigned i = 0; i < 3000; i++) {
		memcpy(all + i * 7, "\x06\x08\x01\xfa\x01\x01x", 7);
	}
	talker_raw(talker, all, sizeof(all));
	talker_close(talker);
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
	talker_free(talker);
}

static void half_a_frame_has_a_deadline(void **state)
{
	struct talker *talker = NULL;

	(void)state;
	world.config->ipc.frame_timeout_ms = 30;
	talker = talker_open();
	talker_sync(talker, 1); /* whole ones do not start it */
	talker_raw(talker, "\x20\x08", 2);
	assert_goodbye(talker, WIRE_GOODBYE_FRAME_TIMEOUT);
	talker_free(talker);
}

/* ---- those who do not read ---- */

/* Nothing is read from who does not read: what it asks for waits with it, and costs it nothing. */
static void questions_of_the_deaf_wait(void **state)
{
	enum {
		COUNT = 15000
	};
	struct talker *talker = NULL;
	uint64_t asked = 0;
	unsigned idle = 0;
	unsigned answers = 0;

	(void)state;
	world.config->ipc.output_buffer = 65536;
	world.config->ipc.control_budget = 262144;
	talker = talker_open();
	talker_listen(talker, false);
	while (asked < COUNT && idle < 50) {
		ssize_t sent = send(talker->fd, "\x06\x08\x01\xfa\x01\x01x", 7,
				    MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(sent == 7 || (sent < 0 && errno == EAGAIN));
		if (sent == 7) {
			asked++;
			idle = 0;
			continue;
		}
		idle++;
		loop_run_once(world.loop, false);
	}
	assert_true(asked > 100);
	assert_false(talker->goodbye);
	talker_listen(talker, true);
	talker_sync(talker, 2);
	for (unsigned i = 0; i < talker->count; i++) {
		answers += talker->frames[i]->kind == WIRE_SERVER_UNSUPPORTED;
	}
	assert_int_equal(answers, asked);
	talker_free(talker);
}

/* But events that nobody asked for have a budget. */
static void slow_consumer(void **state)
{
	enum {
		JOBS = 45
	};
	static char value[4000];
	struct talker *talker = NULL;
	struct talker *good = NULL;
	unsigned streams = 0;

	(void)state;
	world.config->ipc.output_buffer = 65536;
	world.config->ipc.control_budget = 65536;
	memset(value, 'v', sizeof(value) - 1);
	talker = talker_open();
	for (uint64_t id = 1; id <= JOBS; id++) {
		talker_submit(talker, id, 0);
	}
	good = talker_open();
	talker_submit(good, 1, 1 << 20);
	UNTIL(world.loop,
	      world.origin->count > 0 && world.origin->connections[0]->stream_count == JOBS + 1);
	talker_listen(talker, false);
	while (jobs_open(world.jobs) > 1 && streams < JOBS) {
		struct h2_stream *stream = h2_first(world.origin, streams++);

		/* Their own account first, so that the socket's buffer is full. */
		for (unsigned i = 0; i < 3; i++) {
			h2_interim(stream, 103);
		}
		h2_head(stream, false, 200, "a", value, "b", value, "c", value, "d", value, NULL);
		rounds(world.loop, 3);
	}
	assert_int_equal(jobs_open(world.jobs), JOBS + 1);
	{
		struct h2_stream *stream = h2_first(world.origin, JOBS);

		h2_head(stream, false, 200, NULL);
		h2_body(stream, 100000, true);
	}
	UNTIL(world.loop, ipc->peer_count < 2 || ipc->peers->state == PEER_CLOSING ||
				  ipc->peers->next->state == PEER_CLOSING);
	talker_listen(talker, true);
	assert_goodbye(talker, WIRE_GOODBYE_SLOW_CONSUMER);
	assert_closed(good, 1, WIRE_CLOSE_ENDED);
	UNTIL(world.loop, jobs_open(world.jobs) == 0);
	assert_int_equal(world.http.metrics.jobs_closed[CLOSE_CANCELLED], JOBS);
	talker_free(talker);
	talker_free(good);
}

/* ---- ceilings ---- */

static void too_many_clients(void **state)
{
	struct talker *talkers[3];

	(void)state;
	world.config->ipc.max_clients = 2;
	talkers[0] = talker_open();
	talkers[1] = talker_open();
	talkers[2] = talker_new();
	assert_goodbye(talkers[2], WIRE_GOODBYE_TOO_MANY_CLIENTS);
	assert_non_null(strstr(talker_find(talkers[2], WIRE_SERVER_GOODBYE, 0, 0)->goodbye.text,
			       "ipc.max_clients)"));
	talker_close(talkers[0]);
	UNTIL(world.loop, ipc_client_count(ipc) == 1);
	talker_free(talkers[2]);
	talkers[2] = talker_open();
	for (unsigned i = 0; i < 3; i++) {
		talker_free(talkers[i]);
	}
}

static void too_many_clients_of_a_user(void **state)
{
	struct talker *talkers[11];

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		talkers[i] = talker_open();
	}
	talkers[10] = talker_new();
	assert_goodbye(talkers[10], WIRE_GOODBYE_TOO_MANY_CLIENTS);
	assert_non_null(strstr(talker_find(talkers[10], WIRE_SERVER_GOODBYE, 0, 0)->goodbye.text,
			       "max_clients_per_uid"));
	for (unsigned i = 0; i < 11; i++) {
		talker_free(talkers[i]);
	}
	UNTIL(world.loop, ipc_client_count(ipc) == 0);
}

/* ---- stopping ---- */

static unsigned gone;

static void on_gone(void *ctx)
{
	(void)ctx;
	gone++;
}

static void goodbye_to_everybody(void **state)
{
	struct talker *open = talker_open();
	struct talker *fresh = talker_new();

	(void)state;
	gone = 0;
	UNTIL(world.loop, ipc_client_count(ipc) == 2);
	talker_submit(open, 1, 100);
	(void)talker_wait(open, WIRE_SERVER_ACCEPTED, 1);
	ipc_stop_listening(ipc);
	ipc_stop_listening(ipc);
	jobs_stop(world.jobs);
	ipc_say_goodbye(ipc, on_gone, NULL);
	assert_int_equal(gone, 0);
	UNTIL(world.loop, gone);
	assert_closed(open, 1, WIRE_CLOSE_SHUTDOWN);
	assert_goodbye(open, WIRE_GOODBYE_SHUTDOWN);
	assert_goodbye(fresh, WIRE_GOODBYE_SHUTDOWN);
	assert_int_equal(gone, 1);
	talker_free(open);
	talker_free(fresh);
}

static void goodbye_to_nobody(void **state)
{
	(void)state;
	gone = 0;
	ipc_say_goodbye(ipc, on_gone, NULL);
	assert_int_equal(gone, 0);
	UNTIL(world.loop, gone);
}

/* One who does not read is waited for, but not for ever. */
static void goodbye_to_the_deaf(void **state)
{
	struct talker *talker = talker_open();

	(void)state;
	gone = 0;
	talker_submit(talker, 1, 1 << 30);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	talker_listen(talker, false);
	h2_body(h2_first(world.origin, 0), 10000000, false);
	UNTIL(world.loop, ipc->peers->blocked);
	jobs_stop(world.jobs);
	ipc_say_goodbye(ipc, on_gone, NULL);
	UNTIL(world.loop, gone);
	assert_int_equal(ipc_client_count(ipc), 0);
	talker_free(talker);
}

static void freed_with_everything_open(void **state)
{
	struct talker *talker = talker_open();

	(void)state;
	talker_submit(talker, 1, 100);
	talker_submit(talker, 2, 100);
	h2_head(h2_first(world.origin, 0), false, 200, NULL);
	h2_body(h2_first(world.origin, 0), 1000, false);
	UNTIL(world.loop, talker->body[1] == 100);
	talker_raw(talker, "\x20", 1);
	rounds(world.loop, 2);
	/* ipc_teardown() does it. */
	talker_free(talker);
	ipc_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(hello_says_who_and_how_much),
		IPC_TEST(hello_comes_first),
		IPC_TEST(hello_of_another_version),
		IPC_TEST(hello_comes_once),
		IPC_TEST(hello_comes_in_time),
		IPC_TEST(client_names_are_made_printable),
		IPC_TEST(bad_frames),
		IPC_TEST(garbage_before_the_hello),
		IPC_TEST(frames_in_any_pieces),
		IPC_TEST(many_frames_at_once),
		IPC_TEST(many_frames_and_gone),
		IPC_TEST(half_a_frame_has_a_deadline),
		IPC_TEST(questions_of_the_deaf_wait),
		IPC_TEST(slow_consumer),
		IPC_TEST(too_many_clients),
		IPC_TEST(too_many_clients_of_a_user),
		IPC_TEST(goodbye_to_everybody),
		IPC_TEST(goodbye_to_nobody),
		IPC_TEST(goodbye_to_the_deaf),
		IPC_TEST(freed_with_everything_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
