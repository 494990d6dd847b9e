/* SPDX-License-Identifier: MIT */
/*
 * Tests of what the client library takes from a daemon, and of what the daemon's encoder does to
 * texts that come from elsewhere.
 */
#include "unit/proto/hostile.h"

#include "proto/framing.h"

#include "fetchd.pb-c.h"

static struct hostile hostile;

/* `count` empty messages in field `number`. */
static void repeat(unsigned number, size_t count)
{
	hostile.length = 0;
	for (size_t i = 0; i < count; i++) {
		hostile_field(&hostile, number, NULL, 0);
	}
}

static void counts_are_limited(void **state)
{
	struct wire_server_frame *frame;

	(void)state;
	repeat(2, WIRE_FAILURES_MAX);
	hostile_wrap(&hostile, 7);
	frame = take_server(&hostile);
	assert_int_equal(frame->closed.failure_count, WIRE_FAILURES_MAX);
	wire_server_frame_free(frame);
	repeat(2, WIRE_FAILURES_MAX + 1);
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, "Closed.failures: more than 8");

	repeat(3, WIRE_ATTEMPTS_MAX);
	hostile_wrap(&hostile, 7);
	frame = take_server(&hostile);
	assert_int_equal(frame->closed.attempt_count, WIRE_ATTEMPTS_MAX);
	wire_server_frame_free(frame);
	repeat(3, WIRE_ATTEMPTS_MAX + 1);
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, "Closed.attempts: more than 16");

	repeat(1, WIRE_LIST_MAX + 1);
	hostile_wrap(&hostile, 13);
	refuse_server(&hostile, "ListReply.jobs: more than 256");

	repeat(7, WIRE_REASONS_MAX);
	hostile_wrap(&hostile, 3);
	hostile_wrap(&hostile, 14);
	frame = take_server(&hostile);
	assert_int_equal(frame->stats.jobs.closed_count, WIRE_REASONS_MAX);
	wire_server_frame_free(frame);
	repeat(7, WIRE_REASONS_MAX + 1);
	hostile_wrap(&hostile, 3);
	hostile_wrap(&hostile, 14);
	refuse_server(&hostile, "JobStats.closed: more than 64");

	repeat(5, WIRE_ORIGINS_MAX + 1);
	hostile_wrap(&hostile, 14);
	refuse_server(&hostile, "StatsReply.origins: more than 256");

	repeat(9, WIRE_CONNECTIONS_MAX + 1);
	hostile_wrap(&hostile, 14);
	refuse_server(&hostile, "StatsReply.connections: more than 256");

	repeat(2, 1);
	hostile_wrap(&hostile, 5);
	refuse_server(&hostile, "headers: a name is empty");
	repeat(1, 1);
	hostile_wrap(&hostile, 9);
	refuse_server(&hostile, "headers: a name is empty");
}

static void texts_are_limited(void **state)
{
	char *text = long_text('t', WIRE_LIST_URL_MAX + 1);
	struct wire_server_frame *frame;

	(void)state;
	hostile.length = 0;
	hostile_field(&hostile, 2, text, WIRE_TEXT_MAX);
	hostile_wrap(&hostile, 2);
	hostile_wrap(&hostile, 7);
	wire_server_frame_free(take_server(&hostile));
	hostile.length = 0;
	hostile_field(&hostile, 2, text, WIRE_TEXT_MAX + 1);
	hostile_wrap(&hostile, 2);
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, "Failure.text: longer than 256 bytes");

	hostile.length = 0;
	hostile_field(&hostile, 2, text, WIRE_TEXT_MAX + 1);
	hostile_wrap(&hostile, 10);
	refuse_server(&hostile, "Warning.text: longer than 256 bytes");
	hostile.length = 0;
	hostile_field(&hostile, 2, text, WIRE_TEXT_MAX + 1);
	hostile_wrap(&hostile, 12);
	refuse_server(&hostile, "Goodbye.text: longer than 256 bytes");

	hostile.length = 0;
	hostile_field(&hostile, 4, text, WIRE_LIST_URL_MAX + 1);
	hostile_wrap(&hostile, 1);
	hostile_wrap(&hostile, 13);
	refuse_server(&hostile, "JobInfo.url: longer than 512 bytes");

	hostile.length = 0;
	hostile_field(&hostile, 9, text, WIRE_LIST_URL_MAX);
	hostile_wrap(&hostile, 3);
	hostile_wrap(&hostile, 7);
	frame = take_server(&hostile);
	assert_int_equal(strlen(frame->closed.attempts[0].url), WIRE_LIST_URL_MAX);
	wire_server_frame_free(frame);
	hostile.length = 0;
	hostile_field(&hostile, 9, text, WIRE_LIST_URL_MAX + 1);
	hostile_wrap(&hostile, 3);
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, "Attempt.url: longer than 512 bytes");

	hostile.length = 0;
	hostile_field(&hostile, 16, text, WIRE_TEXT_MAX);
	hostile_wrap(&hostile, 9);
	hostile_wrap(&hostile, 14);
	frame = take_server(&hostile);
	assert_int_equal(strlen(frame->stats.connections[0].why), WIRE_TEXT_MAX);
	wire_server_frame_free(frame);
	hostile.length = 0;
	hostile_field(&hostile, 16, text, WIRE_TEXT_MAX + 1);
	hostile_wrap(&hostile, 9);
	hostile_wrap(&hostile, 14);
	refuse_server(&hostile, "PoolConnection.why: longer than 256 bytes");
	free(text);
}

static void absent_parts_read_as_empty(void **state)
{
	struct wire_server_frame *frame;

	(void)state;
	repeat(5, 1);
	frame = take_server(&hostile);
	assert_int_equal(frame->kind, WIRE_SERVER_HEAD);
	assert_string_equal(frame->head.connection.remote, "");
	assert_string_equal(frame->head.connection.tls_version, "");
	assert_string_equal(frame->head.connection.tls_cipher, "");
	assert_string_equal(frame->head.connection.certificate_subject, "");
	assert_false(frame->head.content_length.set);
	assert_string_equal(frame->head.url, "");
	wire_server_frame_free(frame);

	repeat(3, 1); /* Closed.attempts */
	hostile_wrap(&hostile, 7);
	frame = take_server(&hostile);
	assert_string_equal(frame->closed.attempts[0].url, "");
	wire_server_frame_free(frame);

	repeat(1, 1); /* ListReply.jobs */
	hostile_wrap(&hostile, 13);
	frame = take_server(&hostile);
	assert_int_equal(frame->list.jobs[0].wait.reason, WIRE_WAIT_UNSPECIFIED);
	assert_string_equal(frame->list.jobs[0].wait.limit, "");
	assert_false(frame->list.jobs[0].wait.left_ms.set);
	wire_server_frame_free(frame);

	repeat(9, 1); /* StatsReply.connections */
	hostile_field(&hostile, 5, NULL, 0);
	hostile_wrap(&hostile, 14);
	frame = take_server(&hostile);
	assert_int_equal(frame->stats.connection_count, 1);
	assert_int_equal(frame->stats.connections[0].state, WIRE_CONNECTION_UNSPECIFIED);
	assert_string_equal(frame->stats.connections[0].origin, "");
	assert_string_equal(frame->stats.connections[0].remote, "");
	assert_string_equal(frame->stats.connections[0].why, "");
	assert_false(frame->stats.connections[0].ping_ago_ms.set);
	assert_false(frame->stats.connections[0].left_ms.set);
	assert_false(frame->stats.origins[0].backoff_ms.set);
	wire_server_frame_free(frame);

	repeat(9, 1);
	frame = take_server(&hostile);
	assert_int_equal(frame->kind, WIRE_SERVER_TRAILERS);
	assert_non_null(frame->head.headers);
	assert_int_equal(frame->head.header_count, 0);
	assert_string_equal(frame->head.connection.remote, "");
	wire_server_frame_free(frame);

	repeat(7, 1);
	frame = take_server(&hostile);
	assert_int_equal(frame->closed.reason, WIRE_CLOSE_UNSPECIFIED);
	assert_int_equal(frame->closed.bytes.payload, 0);
	assert_false(frame->closed.timings.end_us.set);
	wire_server_frame_free(frame);

	repeat(14, 1);
	frame = take_server(&hostile);
	assert_int_equal(frame->stats.jobs.closed_count, 0);
	assert_int_equal(frame->stats.pool.origins, 0);
	wire_server_frame_free(frame);

	repeat(6, 1);
	refuse_server(&hostile, "Body.data: not 1 to 65536 bytes");

	hostile.length = 0;
	hostile_field(&hostile, 30, "new", 3);
	frame = take_server(&hostile);
	assert_int_equal(frame->kind, WIRE_SERVER_UNKNOWN);
	wire_server_frame_free(frame);
	wire_server_frame_free(NULL);
}

static void unknown_enums_read_as_unspecified(void **state)
{
	static const uint8_t enums[] = {0x20, 0x63, 0x28, 0x63}; /* Attempt: 99, 99 */
	struct wire_server_frame *frame;

	(void)state;
	hostile.length = 0;
	hostile_add(&hostile, "\x08\x10", 2); /* reason: 16, which is reserved */
	hostile_field(&hostile, 2, "\x08\x63", 2);
	hostile_field(&hostile, 3, enums, sizeof(enums));
	hostile_wrap(&hostile, 7);
	frame = take_server(&hostile);
	assert_int_equal(frame->closed.reason, WIRE_CLOSE_UNSPECIFIED);
	assert_int_equal(frame->closed.failures[0].code, WIRE_FAIL_UNSPECIFIED);
	assert_int_equal(frame->closed.attempts[0].outcome, WIRE_CLOSE_UNSPECIFIED);
	assert_int_equal(frame->closed.attempts[0].code, WIRE_FAIL_UNSPECIFIED);
	wire_server_frame_free(frame);

	hostile.length = 0;
	hostile_field(&hostile, 10, "\x08\x63", 2);
	frame = take_server(&hostile);
	assert_int_equal(frame->warning.code, WIRE_WARNING_UNSPECIFIED);
	wire_server_frame_free(frame);
	hostile.length = 0;
	hostile_field(&hostile, 12, "\x08\x63", 2);
	frame = take_server(&hostile);
	assert_int_equal(frame->goodbye.code, WIRE_GOODBYE_UNSPECIFIED);
	wire_server_frame_free(frame);
	hostile.length = 0;
	hostile_field(&hostile, 11, "\x08\x63", 2);
	frame = take_server(&hostile);
	assert_int_equal(frame->progress.state, WIRE_JOB_UNSPECIFIED);
	wire_server_frame_free(frame);
	hostile.length = 0;
	hostile_field(&hostile, 1, "\x10\x63\x40\x63", 4);
	hostile_wrap(&hostile, 13);
	frame = take_server(&hostile);
	assert_int_equal(frame->list.jobs[0].state, WIRE_JOB_UNSPECIFIED);
	assert_int_equal(frame->list.jobs[0].priority, WIRE_PRIORITY_UNSPECIFIED);
	wire_server_frame_free(frame);

	/* A newer daemon's reason for waiting. */
	hostile.length = 0;
	hostile_field(&hostile, 15, "\x08\x63\x10\x07", 4);
	hostile_wrap(&hostile, 1);
	hostile_wrap(&hostile, 13);
	frame = take_server(&hostile);
	assert_int_equal(frame->list.jobs[0].wait.reason, WIRE_WAIT_UNSPECIFIED);
	assert_int_equal(frame->list.jobs[0].wait.for_ms, 7);
	wire_server_frame_free(frame);
	hostile.length = 0;
	hostile_field(&hostile, 9, "\x18\x63", 2);
	hostile_wrap(&hostile, 14);
	frame = take_server(&hostile);
	assert_int_equal(frame->stats.connections[0].state, WIRE_CONNECTION_UNSPECIFIED);
	wire_server_frame_free(frame);
}

/* Encodes and puts the frame, without its length prefix, where decoding takes it from. */
static void encode(const struct wire_server_frame *frame)
{
	struct frame_reader reader;
	const uint8_t *whole;
	uint8_t *data;
	size_t length, used, whole_length;

	assert_int_equal(wire_server_frame_encode(frame, &data, &length), 0);
	frame_reader_init(&reader, WIRE_SERVER_FRAME_MAX);
	assert_int_equal(frame_reader_next(&reader, data, length, &used, &whole, &whole_length), 1);
	assert_int_equal(used, length);
	hostile.length = 0;
	hostile_add(&hostile, whole, whole_length);
	frame_reader_fini(&reader);
	free(data);
}

static void check_text(const char *text, const char *expected)
{
	struct wire_server_frame frame = {
		.kind = WIRE_SERVER_GOODBYE,
		.goodbye = {.code = WIRE_GOODBYE_BAD_FRAME, .text = text},
	};
	struct wire_server_frame *decoded;

	encode(&frame);
	decoded = take_server(&hostile);
	assert_string_equal(decoded->goodbye.text, expected);
	wire_server_frame_free(decoded);
}

static void texts_are_made_fit(void **state)
{
	char *text = long_text('t', 400);
	char *expected = long_text('t', WIRE_TEXT_MAX);

	(void)state;
	check_text(NULL, "");
	check_text("", "");
	check_text("plain", "plain");
	check_text("gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f");
	check_text("gr\xfc\xdf", "gr??");
	check_text("\xff", "?");
	check_text("cut \xe2\x82", "cut ??");
	check_text("\x80 \xc3\xbc \x80", "? \xc3\xbc ?");

	check_text(text, expected);
	text[WIRE_TEXT_MAX] = '\0';
	check_text(text, expected);
	/* Cut between characters: the limit falls into one of three bytes. */
	memcpy(text + WIRE_TEXT_MAX - 2, "\xe2\x82\xac", 4);
	expected[WIRE_TEXT_MAX - 2] = '\0';
	check_text(text, expected);
	/* The same, after something to replace; a character that ends at the limit stays. */
	text[0] = (char)0xff;
	expected[0] = '?';
	check_text(text, expected);
	memcpy(text + WIRE_TEXT_MAX - 3, "\xe2\x82\xacz", 5);
	memcpy(expected + WIRE_TEXT_MAX - 3, "\xe2\x82\xac", 4);
	check_text(text, expected);
	free(text);
	free(expected);
}

static void foreign_texts_do_not_end_the_conversation(void **state)
{
	char *url = long_text('u', WIRE_URL_MAX);
	const struct wire_attempt attempt = {.remote = "\xff", .why = "\xff", .url = url};
	const struct wire_pool_connection connection = {
		.origin = "\xff", .remote = "\xff", .why = url};
	const struct wire_job_info job = {
		.method = "\xff", .url = url, .client_name = "\xff", .waiting_for = "\xff"};
	struct wire_server_frame frame = {
		.kind = WIRE_SERVER_HEAD,
		.head = {.connection = {.certificate_subject = "O=Caf\xe9"}, .url = "\xff"},
	};
	struct wire_server_frame *decoded;

	(void)state;
	encode(&frame);
	decoded = take_server(&hostile);
	assert_string_equal(decoded->head.connection.certificate_subject, "O=Caf?");
	assert_string_equal(decoded->head.url, "?");
	wire_server_frame_free(decoded);

	frame = (struct wire_server_frame){
		.kind = WIRE_SERVER_CLOSED,
		.closed = {.attempts = &attempt, .attempt_count = 1},
	};
	encode(&frame);
	decoded = take_server(&hostile);
	assert_string_equal(decoded->closed.attempts[0].why, "?");
	assert_int_equal(strlen(decoded->closed.attempts[0].url), WIRE_LIST_URL_MAX);
	wire_server_frame_free(decoded);

	frame = (struct wire_server_frame){
		.kind = WIRE_SERVER_LIST,
		.list = {.jobs = &job, .job_count = 1},
	};
	encode(&frame);
	decoded = take_server(&hostile);
	assert_string_equal(decoded->list.jobs[0].client_name, "?");
	assert_int_equal(strlen(decoded->list.jobs[0].url), WIRE_LIST_URL_MAX);
	wire_server_frame_free(decoded);

	frame = (struct wire_server_frame){
		.kind = WIRE_SERVER_STATS,
		.stats = {.connections = &connection, .connection_count = 1},
	};
	encode(&frame);
	decoded = take_server(&hostile);
	assert_string_equal(decoded->stats.connections[0].origin, "?");
	assert_int_equal(strlen(decoded->stats.connections[0].why), WIRE_TEXT_MAX);
	wire_server_frame_free(decoded);
	free(url);
}

static void long_lists_are_the_callers_to_split(void **state)
{
	static struct wire_job_info jobs[WIRE_LIST_MAX];
	char *url = long_text('u', WIRE_LIST_URL_MAX);
	struct wire_server_frame frame = {
		.id = 1,
		.kind = WIRE_SERVER_LIST,
		.list = {.jobs = jobs, .job_count = WIRE_LIST_MAX},
	};
	struct wire_server_frame *decoded;
	uint8_t *data = NULL;
	size_t length = 77;

	(void)state;
	for (size_t i = 0; i < WIRE_LIST_MAX; i++) {
		jobs[i] = (struct wire_job_info){.job = i + 1, .url = url};
	}
	assert_int_equal(wire_server_frame_encode(&frame, &data, &length), -EMSGSIZE);
	assert_null(data);
	assert_int_equal(length, 77);

	frame.list.job_count = 200;
	encode(&frame);
	decoded = take_server(&hostile);
	assert_int_equal(decoded->list.job_count, 200);
	assert_int_equal(decoded->list.jobs[199].job, 200);
	assert_string_equal(decoded->list.jobs[199].url, url);
	wire_server_frame_free(decoded);
	free(url);
}

static void encoding_refuses(void **state)
{
	static const uint8_t zeros[WIRE_SERVER_FRAME_MAX];
	struct wire_server_frame frame = {.kind = WIRE_SERVER_UNKNOWN};
	uint8_t *data = NULL;
	size_t length = 77;

	(void)state;
	assert_int_equal(wire_server_frame_encode(&frame, &data, &length), -EINVAL);
	assert_null(data);
	assert_int_equal(length, 77);

	hostile.length = 0;
	hostile_field(&hostile, 30, zeros, WIRE_SERVER_FRAME_MAX);
	refuse_server(&hostile, "the frame is too long");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_are_limited),
		cmocka_unit_test(texts_are_limited),
		cmocka_unit_test(absent_parts_read_as_empty),
		cmocka_unit_test(unknown_enums_read_as_unspecified),
		cmocka_unit_test(texts_are_made_fit),
		cmocka_unit_test(foreign_texts_do_not_end_the_conversation),
		cmocka_unit_test(long_lists_are_the_callers_to_split),
		cmocka_unit_test(encoding_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
