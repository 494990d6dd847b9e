/* SPDX-License-Identifier: MIT */
/*
 * What goes over the wire, and what the peer's frames mean for a stream.
 */
#include "unit/http/connection_world.h"

#include <stdio.h>

static bool setting(const struct h2_connection *server, int32_t id, uint32_t *ret_value)
{
	for (unsigned i = 0; i < server->settings_count; i++) {
		if (server->settings[i].settings_id == id) {
			*ret_value = server->settings[i].value;
			return true;
		}
	}
	return false;
}

/* ---- the request ---- */

static void settings_are_sent(void **state)
{
	struct h2_connection *server = NULL;
	uint32_t value = 99;

	(void)state;
	open_connection();
	server = h2_connection(world.origin, 0);
	UNTIL(world.loop, server->settings_seen && server->settings_acked && server->credit);
	assert_true(setting(server, NGHTTP2_SETTINGS_ENABLE_PUSH, &value) && value == 0);
	assert_true(setting(server, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, &value));
	assert_int_equal(value, world.env->settings.stream_window);
	assert_true(setting(server, NGHTTP2_SETTINGS_MAX_FRAME_SIZE, &value) && value == 16384);
	assert_true(setting(server, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, &value));
	assert_int_equal(value, world.env->settings.max_header_list);
	assert_true(setting(server, NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, &value) && value == 1);
	assert_int_equal(server->credit, world.env->settings.connection_window - 65535);
	assert_int_equal(connection_number(connection), 1);
	assert_string_equal(connection_info(connection)->tls_version, "");
	assert_true(connection_dial_times(connection)->connect_us > 0);
}

/* Is a frame of this type in what the client sent? */
static bool came(const struct h2_connection *server, uint8_t type)
{
	size_t at = 24;

	while (server->in_length >= at + 9) {
		const uint8_t *frame = server->in + at;

		if (frame[3] == type) {
			return true;
		}
		at += 9 + ((size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2]);
	}
	return false;
}

static void request_does_not_wait_for_settings(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_connection *server = NULL;

	(void)state;
	world.origin->hold_settings = true;
	open_connection();
	get(&fetch);
	server = h2_connection(world.origin, 0);
	UNTIL(world.loop, came(server, NGHTTP2_HEADERS));
	h2_settings(server, NULL, 0);
	h2_head(h2_first(world.origin, 0), true, 200, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

static void request_on_the_wire(void **state)
{
	const struct header_field fields[] = {
		FIELD("Authorization", "Bearer x"),
		FIELD("X-Octets", "\xff\x80"),
		FIELD("Cookie", "a=b"),
		FIELD("proxy-authorization", "Basic y"),
		FIELD("x-octets", "again"),
	};
	static const char *const names[] = {
		":method",       ":scheme",    ":authority",    ":path",
		"authorization", "x-octets",   "cookie",        "proxy-authorization",
		"x-octets",      "user-agent", "content-length"};
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	open_connection();
	make_request_with(&fetch.request, "POST", h2_url(world.origin, "/x?y#z"), fields, 5, "body",
			  4);
	submit(&fetch);
	assert_int_equal(stream_id(fetch.stream), 1);
	assert_ptr_equal(stream_connection(fetch.stream), connection);
	stream = h2_first(world.origin, 0);
	UNTIL(world.loop, stream->ended);
	assert_int_equal(stream->field_count, 11);
	for (unsigned i = 0; i < 11; i++) {
		bool harmless = i < 4 || i == 9; /* pseudo-header fields and user-agent */

		assert_string_equal(stream->fields[i].name, names[i]);
		assert_int_equal(stream->fields[i].never_indexed, !harmless);
	}
	assert_string_equal(stream->fields[0].value, "POST");
	assert_string_equal(stream->fields[1].value, "http");
	assert_string_equal(stream->fields[2].value, h2_authority(world.origin));
	assert_string_equal(stream->fields[3].value, "/x?y");
	assert_string_equal(stream->fields[5].value, "\xff\x80");
	assert_string_equal(stream->fields[10].value, "4");
	assert_int_equal(stream->body_length, 4);
	assert_memory_equal(stream->body, "body", 4);
	fetch_fini(&fetch);
}

static void empty_body_and_no_body(void **state)
{
	struct fetch with = {0};
	struct fetch without = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	open_connection();
	make_request_with(&with.request, "PUT", h2_url(world.origin, "/"), NULL, 0, "", 0);
	make_request(&without.request, "OPTIONS", h2_url(world.origin, ""));
	submit(&with);
	submit(&without);
	stream = h2_first(world.origin, 0);
	UNTIL(world.loop, stream->ended);
	assert_string_equal(h2_field(stream, "content-length")->value, "0");
	stream = h2_first(world.origin, 1);
	UNTIL(world.loop, stream->ended);
	assert_null(h2_field(stream, "content-length"));
	assert_string_equal(h2_field(stream, ":path")->value, "*");
	fetch_fini(&with);
	fetch_fini(&without);
}

static void upload_follows_the_window(void **state)
{
	static uint8_t body[200000];
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(body); i++) {
		body[i] = h2_byte(i);
	}
	world.origin->window = 1000;
	open_connection();
	h2_sync(h2_connection(world.origin, 0));
	make_request_with(&fetch.request, "POST", h2_url(world.origin, "/"), NULL, 0, body,
			  sizeof(body));
	submit(&fetch);
	stream = h2_first(world.origin, 0);
	UNTIL(world.loop, stream->ended); /* the server's library opens its windows by itself */
	assert_int_equal(stream->body_length, sizeof(body));
	assert_memory_equal(stream->body, body, sizeof(body));
	h2_head(stream, true, 201, NULL);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_true(stream_counts(fetch.stream)->wire_sent > sizeof(body));
	fetch_fini(&fetch);
}

/* An answer before the upload is through: it is whole, and the rest of the upload is dropped
 * without harm to the connection. */
static void early_response_while_the_upload_is_blocked(void **state)
{
	static uint8_t body[50000];
	struct fetch fetch = {.eager = true};
	struct fetch after = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.origin->window = 0;
	open_connection();
	h2_sync(h2_connection(world.origin, 0));
	make_request_with(&fetch.request, "POST", h2_url(world.origin, "/"), NULL, 0, body,
			  sizeof(body));
	submit(&fetch);
	stream = h2_first(world.origin, 0);
	h2_sync(stream->connection);
	assert_int_equal(stream->body_length, 0);
	h2_head(stream, false, 413, "content-length", "9", NULL);
	h2_body(stream, 9, true);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(fetch.taken, 9);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_NO_ERROR);
	/* A late window update. */
	h2_raw_frame(stream->connection, NGHTTP2_WINDOW_UPDATE, 0, stream->id, "\0\0\x10\0", 4);
	get(&after);
	h2_head(h2_first(world.origin, 1), true, 204, NULL);
	UNTIL(world.loop, after.closed);
	assert_int_equal(after.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
	fetch_fini(&after);
}

/* ---- the response ---- */

static void response_in_all_its_parts(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_interim(stream, 103);
	UNTIL(world.loop, fetch.interims);
	assert_int_equal(fetch.interim_status, 103);
	h2_head(stream, false, 200, "content-type", "text/x", "content-length", "100000", NULL);
	UNTIL(world.loop, fetch.heads);
	assert_int_equal(fetch.status, 200);
	assert_true(fetch.has_length);
	assert_int_equal(fetch.length, 100000);
	assert_string_equal(fetch.type, "text/x");
	h2_body(stream, 100000, false);
	UNTIL(world.loop, fetch.taken == 100000);
	assert_int_equal(fetch.closed, 0);
	h2_trailers(stream);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.trailers, 1);
	assert_string_equal(fetch.trailer, "done");
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(fetch.failure.count, 0);
	assert_int_equal(stream_counts(fetch.stream)->payload, 100000);
	assert_true(stream_counts(fetch.stream)->wire_received >= 100000 + 4 * 9);
	assert_null(stream_connection(fetch.stream));
	assert_int_equal(world.metrics.payload_received, 100000);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetch);
}

static void no_body_at_all(void **state)
{
	static const struct {
		const char *method;
		unsigned status;
	} table[] = {{"HEAD", 200}, {"GET", 304}, {"GET", 204}, {"GET", 200}};

	(void)state;
	open_connection();
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fetch fetch = {.eager = true};
		bool length = i < 2;

		make_request(&fetch.request, table[i].method, h2_url(world.origin, "/"));
		submit(&fetch);
		/* A length that is not followed by a body is right for HEAD and 304. */
		h2_head(h2_first(world.origin, i), true, table[i].status,
			length ? "content-length" : "x", length ? "1000" : "y", NULL);
		UNTIL(world.loop, fetch.closed);
		assert_int_equal(fetch.reason, CLOSE_ENDED);
		assert_int_equal(fetch.status, table[i].status);
		assert_int_equal(fetch.has_length, length);
		fetch_fini(&fetch);
	}
}

static void length_mismatch(void **state)
{
	static const struct {
		unsigned announced, sent;
		enum failure_code code;
	} table[] = {
		{10, 9, FAIL_LENGTH_SHORT},         {10, 11, FAIL_LENGTH_LONG},
		{10, 0, FAIL_LENGTH_SHORT},         {100000, 99999, FAIL_LENGTH_SHORT},
		{100000, 100001, FAIL_LENGTH_LONG}, {0, 1, FAIL_LENGTH_LONG},
	};
	char number[16];
	unsigned count = sizeof(table) / sizeof(table[0]);

	(void)state;
	open_connection();
	for (unsigned i = 0; i < count; i++) {
		struct fetch fetch = {.eager = true};
		struct h2_stream *stream = NULL;

		get(&fetch);
		snprintf(number, sizeof(number), "%u", table[i].announced);
		stream = h2_first(world.origin, i);
		h2_head(stream, false, 200, "content-length", number, NULL);
		h2_body(stream, table[i].sent, true);
		UNTIL(world.loop, fetch.closed);
		assert_int_equal(fetch.reason, CLOSE_LENGTH_MISMATCH);
		assert_code(&fetch.failure, 0, table[i].code);
		assert_text(&fetch.failure, number);
		assert_true(fetch.taken <= table[i].announced);
		assert_false(fetch.unprocessed);
		fetch_fini(&fetch);
	}
	/* Announced a body and ended with the head. */
	{
		struct fetch fetch = {.eager = true};

		get(&fetch);
		h2_head(h2_first(world.origin, count), true, 200, "content-length", "5", NULL);
		UNTIL(world.loop, fetch.closed);
		assert_int_equal(fetch.reason, CLOSE_LENGTH_MISMATCH);
		assert_code(&fetch.failure, 0, FAIL_LENGTH_SHORT);
		fetch_fini(&fetch);
	}
	/* That stream only. */
	assert_int_equal(owner.closed, 0);
	assert_int_equal(connection_state(connection), CONNECTION_OPEN);
}

/* Padding is no payload: not for Content-Length, not for the counts. */
static void padding_does_not_count(void **state)
{
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	stream->connection->pad = 100;
	h2_head(stream, false, 200, "content-length", "10", NULL);
	h2_body(stream, 10, true);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(stream_counts(fetch.stream)->payload, 10);
	assert_true(stream_counts(fetch.stream)->wire_received > 110);
	fetch_fini(&fetch);
}

static void too_large_header_sections(void **state)
{
	struct fetch fetches[3] = {{0}};
	struct fetch after = {.eager = true};
	static char value[9000];
	unsigned i = 0;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	open_connection();
	for (i = 0; i < 3; i++) {
		get(&fetches[i]);
	}
	/* By size, by count, and in the trailers. */
	h2_head(h2_first(world.origin, 0), false, 200, "a", value, "b", value, NULL);
	h2_head(h2_first(world.origin, 1), false, 200, "a", "", "a", "", "a", "", "a", "", "a", "",
		"a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "",
		"a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "",
		"a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "", "a", "",
		"a", "", NULL);
	h2_head(h2_first(world.origin, 2), false, 200, "a", value, NULL);
	for (i = 0; i < 2; i++) {
		UNTIL(world.loop, fetches[i].closed);
		assert_int_equal(fetches[i].heads, 0);
		assert_int_equal(fetches[i].reason, CLOSE_PROTOCOL_ERROR);
		assert_code(&fetches[i].failure, 0, FAIL_HEADERS_TOO_LARGE);
	}
	UNTIL(world.loop, fetches[2].heads);
	assert_int_equal(connection_state(connection), CONNECTION_OPEN);
	get(&after);
	h2_head(h2_first(world.origin, 3), true, 204, NULL);
	UNTIL(world.loop, after.closed);
	assert_int_equal(after.reason, CLOSE_ENDED);
	for (i = 0; i < 3; i++) {
		fetch_fini(&fetches[i]);
	}
	fetch_fini(&after);
}

static void interim_responses_are_bounded(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	for (unsigned i = 0; i < 4; i++) {
		h2_interim(stream, 103);
	}
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.interims, 3);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	assert_code(&fetch.failure, 0, FAIL_TOO_MANY_INFORMATIONAL);
	assert_text(&fetch.failure, "more than 3 ");
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_ENHANCE_YOUR_CALM);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetch);
}

static void bad_header_kills_the_stream_only(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	/* Upper case in a name, literal without indexing. */
	h2_raw_frame(stream->connection, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, stream->id,
		     "\x88\x00\x01X\x01y", 6);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_PROTOCOL_ERROR);
	assert_code(&fetch.failure, 0, FAIL_H2_STREAM_ERROR);
	assert_int_equal(fetch.failure.links[0].h2_code, NGHTTP2_PROTOCOL_ERROR);
	h2_sync(stream->connection);
	assert_int_equal(owner.closed, 0);
	fetch_fini(&fetch);
}

static void resets_carry_their_code(void **state)
{
	static const struct {
		uint32_t code;
		enum failure_code failure;
		bool unprocessed;
	} table[] = {
		{NGHTTP2_REFUSED_STREAM, FAIL_H2_REFUSED, true},
		{NGHTTP2_CANCEL, FAIL_H2_RESET, false},
		{NGHTTP2_INTERNAL_ERROR, FAIL_H2_RESET, false},
		{NGHTTP2_NO_ERROR, FAIL_H2_RESET, false},
		{0xdeadbeef, FAIL_H2_RESET, false},
	};

	(void)state;
	open_connection();
	for (unsigned i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct fetch fetch = {0};

		get(&fetch);
		h2_reset(h2_first(world.origin, i), table[i].code);
		UNTIL(world.loop, fetch.closed);
		assert_int_equal(fetch.reason, CLOSE_RESET);
		assert_int_equal(fetch.unprocessed, table[i].unprocessed);
		assert_code(&fetch.failure, 0, table[i].failure);
		assert_true(fetch.failure.links[0].has_h2_code);
		assert_int_equal(fetch.failure.links[0].h2_code, table[i].code);
		fetch_fini(&fetch);
	}
	assert_int_equal(connection_streams(connection), 0);
	assert_int_equal(owner.closed, 0);
}

static void reset_after_the_whole_response_is_no_fault(void **state)
{
	static uint8_t body[50000];
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.origin->window = 0;
	open_connection();
	h2_sync(h2_connection(world.origin, 0));
	make_request_with(&fetch.request, "POST", h2_url(world.origin, "/"), NULL, 0, body,
			  sizeof(body));
	submit(&fetch);
	stream = h2_first(world.origin, 0);
	/* Both in one write: RFC 9113, section 8.1's early answer. */
	h2_raw_frame(stream->connection, NGHTTP2_HEADERS,
		     NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, stream->id, "\x88", 1);
	h2_raw_frame(stream->connection, NGHTTP2_RST_STREAM, 0, stream->id, "\0\0\0\0", 4);
	UNTIL(world.loop, fetch.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	fetch_fini(&fetch);
}

static void goaway_tells_what_was_processed(void **state)
{
	struct fetch fetches[3] = {{.eager = true}, {.eager = true}, {.eager = true}};
	struct h2_stream *first = NULL;

	(void)state;
	first = open_get(&fetches[0]);
	get(&fetches[1]);
	get(&fetches[2]);
	(void)h2_first(world.origin, 2);
	h2_goaway(first->connection, first->id, NGHTTP2_ENHANCE_YOUR_CALM, "slow\ndown");
	UNTIL(world.loop, fetches[1].closed && fetches[2].closed);
	assert_int_equal(owner.draining, 1);
	for (unsigned i = 1; i < 3; i++) {
		assert_int_equal(fetches[i].reason, CLOSE_RESET);
		assert_true(fetches[i].unprocessed);
		assert_code(&fetches[i].failure, 0, FAIL_H2_REFUSED);
		assert_code(&fetches[i].failure, 1, FAIL_H2_GOAWAY);
		assert_int_equal(fetches[i].failure.links[1].h2_code, NGHTTP2_ENHANCE_YOUR_CALM);
		assert_text(&fetches[i].failure, "slow?down");
	}
	assert_int_equal(fetches[0].closed, 0);
	h2_head(first, false, 200, NULL);
	h2_body(first, 200000, true);
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetches[0].reason, CLOSE_ENDED);
	assert_int_equal(fetches[0].taken, 200000);
	for (unsigned i = 0; i < 3; i++) {
		fetch_fini(&fetches[i]);
	}
}

static void double_goaway_loses_nothing(void **state)
{
	struct fetch fetches[2] = {{.eager = true}, {.eager = true}};
	struct h2_connection *server = NULL;

	(void)state;
	server = open_get(&fetches[0])->connection;
	get(&fetches[1]);
	(void)h2_first(world.origin, 1);
	h2_goaway(server, 0x7fffffff, NGHTTP2_NO_ERROR, "");
	UNTIL(world.loop, owner.draining);
	assert_int_equal(fetches[0].closed + fetches[1].closed, 0);
	h2_goaway(server, 3, NGHTTP2_NO_ERROR, "");
	h2_head(h2_first(world.origin, 0), true, 200, NULL);
	h2_head(h2_first(world.origin, 1), true, 200, NULL);
	UNTIL(world.loop, owner.closed);
	assert_int_equal(fetches[0].reason, CLOSE_ENDED);
	assert_int_equal(fetches[1].reason, CLOSE_ENDED);
	assert_int_equal(owner.draining, 1);
	fetch_fini(&fetches[0]);
	fetch_fini(&fetches[1]);
}

/* Submitted in the very round in which GOAWAY is read: it never left. */
static void goaway_crosses_a_request(void **state)
{
	struct fetch first = {.eager = true};
	struct fetch late = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&first);
	h2_goaway(stream->connection, 1, NGHTTP2_NO_ERROR, "");
	get(&late);
	UNTIL(world.loop, late.closed);
	assert_true(late.unprocessed);
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, first.closed && owner.closed);
	assert_int_equal(first.reason, CLOSE_ENDED);
	fetch_fini(&first);
	fetch_fini(&late);
}

static void lost_after_goaway_says_so(void **state)
{
	struct fetch fetch = {0};
	struct h2_stream *stream = NULL;

	(void)state;
	stream = open_get(&fetch);
	h2_goaway(stream->connection, stream->id, NGHTTP2_INTERNAL_ERROR, "oops");
	UNTIL(world.loop, owner.draining);
	h2_close(stream->connection);
	UNTIL(world.loop, fetch.closed && owner.closed);
	assert_int_equal(fetch.reason, CLOSE_CONNECTION_LOST);
	assert_code(&fetch.failure, 0, FAIL_CONNECTION_CLOSED);
	assert_code(&fetch.failure, 1, FAIL_H2_GOAWAY);
	fetch_fini(&fetch);
}

/* The end of the stream was read, the connection went before it was closed on our side. */
static void whole_response_survives_the_connection(void **state)
{
	static uint8_t body[50000];
	struct fetch fetch = {.eager = true};
	struct h2_stream *stream = NULL;

	(void)state;
	world.origin->window = 0;
	open_connection();
	h2_sync(h2_connection(world.origin, 0));
	make_request_with(&fetch.request, "POST", h2_url(world.origin, "/"), NULL, 0, body,
			  sizeof(body));
	submit(&fetch);
	stream = h2_first(world.origin, 0);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 5, true);
	h2_close(stream->connection);
	UNTIL(world.loop, fetch.closed && owner.closed);
	assert_int_equal(fetch.reason, CLOSE_ENDED);
	assert_int_equal(fetch.failure.count, 0);
	assert_int_equal(fetch.taken, 5);
	fetch_fini(&fetch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(settings_are_sent),
		TEST(request_does_not_wait_for_settings),
		TEST(request_on_the_wire),
		TEST(empty_body_and_no_body),
		TEST(upload_follows_the_window),
		TEST(early_response_while_the_upload_is_blocked),
		TEST(response_in_all_its_parts),
		TEST(no_body_at_all),
		TEST(length_mismatch),
		TEST(padding_does_not_count),
		TEST(too_large_header_sections),
		TEST(interim_responses_are_bounded),
		TEST(bad_header_kills_the_stream_only),
		TEST(resets_carry_their_code),
		TEST(reset_after_the_whole_response_is_no_fault),
		TEST(goaway_tells_what_was_processed),
		TEST(double_goaway_loses_nothing),
		TEST(goaway_crosses_a_request),
		TEST(lost_after_goaway_says_so),
		TEST(whole_response_survives_the_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
