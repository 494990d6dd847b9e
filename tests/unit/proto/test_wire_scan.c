/* SPDX-License-Identifier: MIT */
/*
 * Tests of the look before unpacking, and of unpacking under the memory cap.
 */
#include "unit/proto/hostile.h"

#include "proto/wire_internal.h"

#include "fetchd.pb-c.h"

/* The largest value of http.max_headers. */
#define RESPONSE_HEADERS_MAX 4096u

static struct hostile hostile;

static void varints(void **state)
{
	static const struct {
		size_t length, used;
		uint64_t value;
		uint8_t bytes[12];
	} cases[] = {
		{1, 1, 0, {0x00}},
		{1, 1, 127, {0x7f}},
		{2, 2, 128, {0x80, 0x01}},
		{3, 2, 300, {0xac, 0x02, 0xff}},
		{2, 2, 0, {0x80, 0x00}}, /* padding is protobuf's affair */
		{10, 10, UINT64_MAX, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
		{0, 0, 0, {0x00}},
		{1, 0, 0, {0x80}},
		{9, 0, 0, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{10, 0, 0, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02}},
		{11, 0, 0, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0x00}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 0;

		assert_int_equal(wire_varint_read(cases[i].bytes, cases[i].length, &value),
				 cases[i].used);
		assert_true(value == cases[i].value);
	}
}

static size_t step(const char *text)
{
	return wire_utf8_step((const uint8_t *)text, strlen(text));
}

static void utf8(void **state)
{
	(void)state;
	assert_int_equal(step("a"), 1);
	assert_int_equal(step("\x7f"), 1);
	assert_int_equal(step("\xc2\x80"), 2);
	assert_int_equal(step("\xdf\xbf"), 2);
	assert_int_equal(step("\xe0\xa0\x80"), 3);
	assert_int_equal(step("\xed\x9f\xbf"), 3);
	assert_int_equal(step("\xee\x80\x80"), 3);
	assert_int_equal(step("\xef\xbf\xbf"), 3);
	assert_int_equal(step("\xf0\x90\x80\x80"), 4);
	assert_int_equal(step("\xf4\x8f\xbf\xbf"), 4);

	assert_int_equal(step(""), 0);
	assert_int_equal(wire_utf8_step((const uint8_t *)"\0", 1), 0);
	assert_int_equal(step("\x80"), 0);             /* a continuation first */
	assert_int_equal(step("\xc0\x80"), 0);         /* NUL in two bytes */
	assert_int_equal(step("\xc1\xbf"), 0);         /* DEL in two bytes */
	assert_int_equal(step("\xe0\x9f\xbf"), 0);     /* U+07FF in three */
	assert_int_equal(step("\xed\xa0\x80"), 0);     /* a surrogate */
	assert_int_equal(step("\xf0\x8f\xbf\xbf"), 0); /* U+FFFF in four */
	assert_int_equal(step("\xf4\x90\x80\x80"), 0); /* U+110000 */
	assert_int_equal(step("\xf5\x80\x80\x80"), 0);
	assert_int_equal(step("\xff"), 0);
	assert_int_equal(step("\xc2"), 0); /* cut short */
	assert_int_equal(step("\xe2\x82"), 0);
	assert_int_equal(step("\xf0\x9f\x98"), 0);
	assert_int_equal(step("\xe2\x82z"), 0);
	assert_int_equal(step("\xf0\x9f\x98z"), 0);

	assert_true(wire_utf8_valid(""));
	assert_true(wire_utf8_valid("gr\xc3\xbc\xc3\x9f"));
	assert_false(wire_utf8_valid("gr\xfc\xdf"));
}

static void strings_are_checked_everywhere(void **state)
{
	(void)state;
	/* Submit.url */
	hostile.length = 0;
	hostile_field(&hostile, 1, "http://a/\0b", 11);
	hostile_wrap(&hostile, 4);
	refuse_client(&hostile, "a string contains NUL");
	hostile.length = 0;
	hostile_field(&hostile, 1, "http://a/\xff", 10);
	hostile_wrap(&hostile, 4);
	refuse_client(&hostile, "a string is not UTF-8");
	/* ClientHello.features */
	hostile.length = 0;
	hostile_field(&hostile, 3, "good", 4);
	hostile_field(&hostile, 3, "\0", 1);
	hostile_wrap(&hostile, 3);
	refuse_client(&hostile, "a string contains NUL");
	/* Closed.failures.text, three deep */
	hostile.length = 0;
	hostile_field(&hostile, 2, "cut \xe2\x82", 6);
	hostile_wrap(&hostile, 2);
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, "a string is not UTF-8");
	/* Header fields are bytes: anything goes. */
	hostile.length = 0;
	hostile_field(&hostile, 1, "\0\xff", 2);
	hostile_wrap(&hostile, 3);
	hostile_wrap(&hostile, 4);
	wire_client_frame_free(take_client(&hostile));
}

static void bad_structure(void **state)
{
	static const struct {
		const char *why;
		size_t length;
		uint8_t bytes[16];
	} cases[] = {
		{"bad field tag", 1, {0x80}},
		{"bad field tag", 2, {0x00, 0x00}}, /* field 0 */
		/* a tag of 33 bits that would be `submit` if the top bit were dropped */
		{"bad field tag", 6, {0xa2, 0x80, 0x80, 0x80, 0x10, 0x00}},
		{"bad varint", 2, {0x08, 0x80}},
		{"bad varint",
		 12,
		 {0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
		{"a field is longer than its message", 2, {0x22, 0x01}},
		{"a field is longer than its message", 1, {0x22}},
		{"a field is longer than its message", 4, {0x22, 0x02, 0x0a, 0x01}},
		{"a field is longer than its message",
		 7,
		 {0x22, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}},
		{"a field is longer than its message", 5, {0xa1, 0x06, 0, 0, 0}},
		{"a field is longer than its message", 4, {0xa5, 0x06, 0, 0}},
		{"unknown wire type", 2, {0x23, 0x24}}, /* a group */
		{"unknown wire type", 1, {0x0e}},
		{"unknown wire type", 1, {0x0f}},
		/* known fields, other types: id as bytes, submit as number, url as number */
		{"a field has the wrong type", 3, {0x0a, 0x01, 0x01}},
		{"a field has the wrong type", 2, {0x20, 0x01}},
		{"a field has the wrong type", 4, {0x22, 0x02, 0x08, 0x01}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		hostile.length = 0;
		hostile_add(&hostile, cases[i].bytes, cases[i].length);
		refuse_client(&hostile, cases[i].why);
	}
}

static void unknown_fields_are_limited(void **state)
{
	struct wire_client_frame *frame;

	(void)state;
	/* In the envelope, of every wire type. */
	hostile.length = 0;
	hostile_add(&hostile, "\xa0\x06\x01", 3);               /* 100: 1 */
	hostile_add(&hostile, "\xa1\x06\1\2\3\4\5\6\7\10", 10); /* 100, 64 bits */
	hostile_add(&hostile, "\xa5\x06\1\2\3\4", 6);           /* 100, 32 bits */
	for (unsigned i = 3; i < WIRE_UNKNOWN_FIELDS_MAX; i++) {
		hostile_field(&hostile, 100 + i, "x", 1);
	}
	frame = take_client(&hostile);
	assert_int_equal(frame->unknown.field, 100);
	wire_client_frame_free(frame);
	hostile_field(&hostile, 100, NULL, 0);
	refuse_client(&hostile, "too many unknown fields");

	/* In a message inside. */
	hostile.length = 0;
	for (unsigned i = 0; i < WIRE_UNKNOWN_FIELDS_MAX; i++) {
		hostile_field(&hostile, 64 + i, "x", 1);
	}
	hostile_wrap(&hostile, 4);
	wire_client_frame_free(take_client(&hostile));
	hostile.length = 0;
	for (unsigned i = 0; i <= WIRE_UNKNOWN_FIELDS_MAX; i++) {
		hostile_field(&hostile, 64 + i, "x", 1);
	}
	hostile_wrap(&hostile, 4);
	refuse_client(&hostile, "too many unknown fields");
}

/* A newer daemon: one new field in each entry of the longest list. */
static void one_unknown_field_in_each_of_many_messages(void **state)
{
	struct wire_server_frame *frame;

	(void)state;
	hostile.length = 0;
	for (unsigned i = 0; i < WIRE_LIST_MAX; i++) {
		hostile_add(&hostile, "\x0a\x03\xf8\x07\x01", 5); /* jobs { 127: 1 } */
	}
	hostile_wrap(&hostile, 13);
	frame = take_server(&hostile);
	assert_int_equal(frame->list.job_count, WIRE_LIST_MAX);
	wire_server_frame_free(frame);
}

/* ---- memory ---- */

static void fill(uint8_t tag, size_t total)
{
	const uint8_t empty[] = {tag, 0x00};

	hostile.length = 0;
	while (hostile.length + sizeof(empty) <= total) {
		hostile_add(&hostile, empty, sizeof(empty));
	}
}

static void empty_messages_hit_the_cap(void **state)
{
	static const char too_many[] = "the message has too many parts for its length";

	(void)state;
	fill(0x1a, 65528); /* Submit.headers */
	hostile_wrap(&hostile, 4);
	assert_true(hostile.length <= WIRE_CLIENT_FRAME_MAX);
	refuse_client(&hostile, too_many);

	fill(0x1a, 65528); /* ClientHello.features */
	hostile_wrap(&hostile, 3);
	refuse_client(&hostile, too_many);

	fill(0x22, 65536); /* one Submit after another: only the last counts */
	refuse_client(&hostile, too_many);

	fill(0x12, 131064); /* Closed.failures */
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, too_many);

	fill(0x22, 131064); /* Closed.bytes, merged again and again */
	hostile_wrap(&hostile, 7);
	refuse_server(&hostile, too_many);
}

static void unknown_fields_take_no_memory(void **state)
{
	(void)state;
	hostile.length = 0;
	while (hostile.length + 3 <= WIRE_CLIENT_FRAME_MAX) {
		hostile_add(&hostile, "\xa2\x06\x00", 3);
	}
	refuse_client(&hostile, "too many unknown fields");
}

static void cap_holds_in_unpacking(void **state)
{
	static const size_t totals[] = {0, 2, 100, 1000, 10000, 65520};

	(void)state;
	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		struct wire_arena arena;
		ProtobufCMessage *message = NULL;
		const char *why = NULL;
		int result;

		fill(0x1a, totals[i]);
		hostile_wrap(&hostile, 4);
		result = wire_unpack(&fetchd__v1__client_frame__descriptor, hostile.bytes,
				     hostile.length, WIRE_CLIENT_FRAME_MAX,
				     WIRE_CLIENT_DECODE_EXTRA, &arena, &message, &why);
		assert_true(result == 0 || result == -EBADMSG);
		assert_true(arena.taken_bytes <=
			    hostile.length * WIRE_DECODE_FACTOR + WIRE_CLIENT_DECODE_EXTRA);
		if (result < 0) {
			assert_true(arena.over_cap);
		}
		wire_arena_fini(&arena);
	}

	/* Nothing at all is taken for what is too long, or fails the scan. */
	for (int i = 0; i < 2; i++) {
		struct wire_arena arena;
		ProtobufCMessage *message = NULL;
		const char *why = NULL;

		hostile.length = 0;
		hostile_add(&hostile, "\xff", 1);
		assert_int_equal(wire_unpack(&fetchd__v1__client_frame__descriptor, hostile.bytes,
					     hostile.length, (size_t)i, WIRE_CLIENT_DECODE_EXTRA,
					     &arena, &message, &why),
				 -EBADMSG);
		assert_int_equal(arena.taken_bytes, 0);
		wire_arena_fini(&arena);
	}
}

/* The densest frames that are allowed fit the cap. */
static void dense_frames_fit(void **state)
{
	struct wire_client_frame *client;
	struct wire_server_frame *server;

	(void)state;
	hostile.length = 0;
	for (unsigned i = 0; i < WIRE_HEADERS_MAX; i++) {
		hostile_add(&hostile, "\x1a\x03\x0a\x01n", 5); /* headers { name: "n" } */
	}
	hostile_wrap(&hostile, 4);
	client = take_client(&hostile);
	assert_int_equal(client->submit.header_count, WIRE_HEADERS_MAX);
	wire_client_frame_free(client);

	/* As many as the daemon can be told to let through, in a response, the shortest first. */
	for (size_t value = 0; value < 3; value++) {
		hostile.length = 0;
		for (unsigned i = 0; i < RESPONSE_HEADERS_MAX; i++) {
			static const char *const fields[] = {
				"\x12\x03\x0a\x01n",
				"\x12\x06\x0a\x01n\x12\x01v",
				"\x12\x0e\x0a\x05names\x12\x05value",
			};

			hostile_add(&hostile, fields[value], strlen(fields[value]));
		}
		hostile_wrap(&hostile, 5);
		server = take_server(&hostile);
		assert_int_equal(server->head.header_count, RESPONSE_HEADERS_MAX);
		wire_server_frame_free(server);
	}

	fill(0x0a, 2 * WIRE_LIST_MAX); /* ListReply.jobs */
	hostile_wrap(&hostile, 13);
	server = take_server(&hostile);
	assert_int_equal(server->list.job_count, WIRE_LIST_MAX);
	assert_string_equal(server->list.jobs[WIRE_LIST_MAX - 1].url, "");
	wire_server_frame_free(server);

	hostile.length = 0;
	for (unsigned i = 0; i < WIRE_LIST_MAX; i++) {
		hostile_add(&hostile, "\x0a\x02\x7a\x00", 4); /* jobs { wait {} } */
	}
	hostile_wrap(&hostile, 13);
	server = take_server(&hostile);
	assert_int_equal(server->list.job_count, WIRE_LIST_MAX);
	assert_int_equal(server->list.jobs[0].wait.reason, WIRE_WAIT_UNSPECIFIED);
	assert_string_equal(server->list.jobs[WIRE_LIST_MAX - 1].wait.limit, "");
	wire_server_frame_free(server);

	/* All of a StatsReply's lists at once. */
	hostile.length = 0;
	for (unsigned i = 0; i < WIRE_REASONS_MAX; i++) {
		hostile_add(&hostile, "\x3a\x00", 2); /* closed {} */
	}
	hostile_wrap(&hostile, 3);
	for (unsigned i = 0; i < WIRE_ORIGINS_MAX; i++) {
		hostile_add(&hostile, "\x2a\x00", 2); /* origins {} */
	}
	for (unsigned i = 0; i < WIRE_CONNECTIONS_MAX; i++) {
		hostile_add(&hostile, "\x4a\x00", 2); /* connections {} */
	}
	hostile_wrap(&hostile, 14);
	server = take_server(&hostile);
	assert_int_equal(server->stats.jobs.closed_count, WIRE_REASONS_MAX);
	assert_int_equal(server->stats.origin_count, WIRE_ORIGINS_MAX);
	assert_int_equal(server->stats.connection_count, WIRE_CONNECTIONS_MAX);
	assert_string_equal(server->stats.connections[WIRE_CONNECTIONS_MAX - 1].why, "");
	wire_server_frame_free(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(varints),
		cmocka_unit_test(utf8),
		cmocka_unit_test(strings_are_checked_everywhere),
		cmocka_unit_test(bad_structure),
		cmocka_unit_test(unknown_fields_are_limited),
		cmocka_unit_test(one_unknown_field_in_each_of_many_messages),
		cmocka_unit_test(empty_messages_hit_the_cap),
		cmocka_unit_test(unknown_fields_take_no_memory),
		cmocka_unit_test(cap_holds_in_unpacking),
		cmocka_unit_test(dense_frames_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
