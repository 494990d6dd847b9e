/* SPDX-License-Identifier: MIT */
/*
 * Request bodies that come in pieces: the buffer and its credit by themselves, then on their way to
 * a server, with its windows and beside each other.
 */
#include "unit/http/connection_world.h"

#include "http/upload.h"

#include <stdio.h>

#define SIZE 16384u

static uint8_t content[2000000];

static void fill_content(void)
{
	for (size_t i = 0; i < sizeof(content); i++) {
		content[i] = h2_byte(i);
	}
}

/* ---- the buffer ---- */

static struct upload *make_upload(size_t size)
{
	struct upload *upload = upload_new(world.env, 0, size, false, 0);

	assert_non_null(upload);
	return upload;
}

static struct upload *make_upload_of(size_t size, uint64_t length)
{
	struct upload *upload = upload_new(world.env, 0, size, true, length);

	assert_non_null(upload);
	return upload;
}

/* The next `length` bytes of the content come. */
static void come(struct upload *upload, size_t length, bool end)
{
	assert_true(upload->received + length <= sizeof(content));
	assert_int_equal(upload_append(upload, content + upload->received, length, end),
			 UPLOAD_TAKEN);
}

static void expect_bytes(const struct upload *upload, uint64_t offset, size_t most, size_t length,
			 bool end)
{
	uint8_t buffer[40000];
	bool ended = !end;

	assert_true(most <= sizeof(buffer));
	assert_int_equal(upload_read(upload, offset, buffer, most, &ended), length);
	assert_memory_equal(buffer, content + offset, length);
	assert_int_equal(ended, end);
}

static void nothing_may_come_before_it_is_opened(void **state)
{
	struct upload *upload = make_upload(SIZE);

	(void)state;
	assert_int_equal(world.env->upload_bytes, 0);
	assert_int_equal(upload_append(upload, content, 1, false), UPLOAD_NOT_GRANTED);
	assert_int_equal(upload->received, 0);
	upload_open(upload);
	upload_open(upload);
	assert_int_equal(world.env->upload_bytes, SIZE);
	assert_int_equal(upload_grant(upload), SIZE);
	assert_int_equal(upload_grant(upload), 0);
	come(upload, 10, false);
	assert_int_equal(world.env->buffered_bytes, 10);
	upload_free(upload);
	assert_int_equal(world.env->buffered_bytes, 0);
	assert_int_equal(world.env->upload_bytes, 0);
}

/* An end without a byte needs no credit. */
static void an_end_may_always_come(void **state)
{
	struct upload *upload = make_upload(SIZE);

	(void)state;
	assert_false(upload_has(upload, 0));
	come(upload, 0, true);
	assert_true(upload_has(upload, 0) && upload_is_whole(upload));
	upload_open(upload);
	assert_int_equal(upload_grant(upload), 0);
	expect_bytes(upload, 0, 10, 0, true);
	assert_int_equal(upload_append(upload, content, 0, true), UPLOAD_AFTER_END);
	upload_free(upload);
}

/* What fits can be read as often as one likes. */
static void what_fits_is_kept(void **state)
{
	struct upload *upload = make_upload(SIZE);

	(void)state;
	upload_open(upload);
	(void)upload_grant(upload);
	come(upload, 5000, false);
	for (unsigned i = 0; i < 2; i++) {
		expect_bytes(upload, 0, 3000, 3000, false);
		upload_sent(upload, 3000);
		expect_bytes(upload, 3000, 3000, 2000, false);
		upload_sent(upload, 5000);
		expect_bytes(upload, 5000, 3000, 0, false);
		assert_int_equal(upload_grant(upload), 0);
	}
	come(upload, SIZE - 5000, true); /* to the last byte of its credit */
	for (unsigned i = 0; i < 2; i++) {
		expect_bytes(upload, 0, SIZE, SIZE, true);
		upload_sent(upload, SIZE);
		assert_true(upload_is_kept(upload));
	}
	assert_int_equal(world.env->buffered_bytes, SIZE);
	/* Until nobody sends it again. */
	upload_let_go(upload);
	upload_sent(upload, SIZE);
	assert_false(upload_is_kept(upload));
	assert_int_equal(world.env->buffered_bytes, 0);
	assert_int_equal(world.env->upload_bytes, 0);
	expect_bytes(upload, SIZE, 10, 0, true);
	upload_free(upload);
}

/* The credit is used up, and there is no end: what was sent makes room. In halves. */
static void what_does_not_fit_is_let_go(void **state)
{
	struct upload *upload = make_upload(SIZE);

	(void)state;
	upload_open(upload);
	(void)upload_grant(upload);
	come(upload, SIZE, false);
	upload_sent(upload, 0); /* nothing yet */
	assert_true(upload_is_kept(upload));
	assert_int_equal(upload_grant(upload), 0);
	upload_sent(upload, 1);
	assert_false(upload_is_kept(upload));
	assert_int_equal(world.env->buffered_bytes, SIZE - 1);
	assert_int_equal(upload_grant(upload), 0);
	upload_sent(upload, SIZE / 2 - 1);
	assert_int_equal(upload_grant(upload), 0);
	upload_sent(upload, SIZE / 2);
	assert_int_equal(upload_grant(upload), SIZE / 2);
	assert_int_equal(upload_append(upload, content, SIZE / 2 + 1, false), UPLOAD_NOT_GRANTED);
	come(upload, 100, false);
	expect_bytes(upload, SIZE / 2, SIZE, SIZE / 2 + 100, false);
	/* Also what is not used up goes back when there is room for half of all. */
	upload_sent(upload, SIZE + 100);
	assert_int_equal(upload_grant(upload), SIZE / 2 + 100);
	come(upload, 200, true);
	expect_bytes(upload, SIZE + 100, SIZE, 200, true);
	assert_int_equal(upload_grant(upload), 0);
	upload_sent(upload, SIZE + 300);
	assert_int_equal(world.env->upload_bytes, 0);
	upload_free(upload);
}

/* What it may hold is its user's, from its beginning to its end. */
static void counts_on_its_users_account(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {0};
	static const uint64_t lengths[] = {0, 100, 1000 * SIZE};
	static const uint64_t held[] = {0, 100, SIZE};

	(void)state;
	world.env->accounts = accounts_new(limits);
	assert_non_null(world.env->accounts);
	for (unsigned i = 0; i < 3; i++) {
		struct upload *upload = upload_new(world.env, 7, SIZE, true, lengths[i]);

		assert_non_null(upload);
		assert_int_equal(account_held(world.env->accounts, 7, ACCOUNT_BUFFER), 0);
		upload_open(upload);
		upload_open(upload);
		assert_int_equal(account_held(world.env->accounts, 7, ACCOUNT_BUFFER), held[i]);
		upload_drop(upload);
		upload_drop(upload);
		assert_int_equal(account_held(world.env->accounts, 7, ACCOUNT_BUFFER), 0);
		upload_free(upload);
	}
	accounts_free(world.env->accounts); /* asserts that no charge is left, of nothing either */
	world.env->accounts = NULL;
}

static void the_length_is_held_to(void **state)
{
	struct upload *upload = make_upload_of(SIZE, 100);

	(void)state;
	upload_open(upload);
	assert_int_equal(world.env->upload_bytes, 100); /* more than that it never holds */
	assert_int_equal(upload_grant(upload), SIZE);
	assert_int_equal(upload_append(upload, content, 101, false), UPLOAD_TOO_LONG);
	assert_int_equal(upload_append(upload, content, 99, true), UPLOAD_TOO_SHORT);
	assert_int_equal(upload_append(upload, content, 0, true), UPLOAD_TOO_SHORT);
	assert_int_equal(upload->received, 0);
	come(upload, 60, false);
	assert_false(upload_is_whole(upload));
	assert_int_equal(upload_append(upload, content, 41, true), UPLOAD_TOO_LONG);
	/* Whole with its last byte, whether or not that is said. */
	come(upload, 40, false);
	assert_true(upload_is_whole(upload));
	expect_bytes(upload, 0, SIZE, 100, true);
	assert_int_equal(upload_append(upload, content, 1, false), UPLOAD_TOO_LONG);
	upload_let_go(upload);
	upload_sent(upload, 100);
	assert_int_equal(upload_append(upload, content, 1, true), UPLOAD_TOO_LONG);
	come(upload, 0, true);
	assert_int_equal(upload_append(upload, content, 0, true), UPLOAD_AFTER_END);
	upload_free(upload);
}

/* A body that is exactly as long as the buffer is large is kept, too. */
static void a_length_that_just_fits(void **state)
{
	struct upload *upload = make_upload_of(SIZE, SIZE);

	(void)state;
	upload_open(upload);
	(void)upload_grant(upload);
	come(upload, SIZE, false);
	upload_sent(upload, SIZE);
	assert_true(upload_is_kept(upload));
	upload_free(upload);
	upload = make_upload_of(SIZE, 0);
	upload_open(upload);
	assert_true(upload_is_whole(upload) && upload_is_kept(upload));
	upload_free(upload);
}

/* What comes for nobody is thrown away; but nobody sends more than he may. */
static void what_nobody_wants(void **state)
{
	struct upload *upload = make_upload_of(SIZE, 100);

	(void)state;
	upload_open(upload);
	(void)upload_grant(upload);
	come(upload, 50, false);
	upload_drop(upload);
	upload_drop(upload);
	assert_int_equal(world.env->buffered_bytes, 0);
	assert_int_equal(world.env->upload_bytes, 0);
	assert_false(upload_is_kept(upload));
	come(upload, 1000, false); /* its length matters to nobody */
	assert_int_equal(world.env->buffered_bytes, 0);
	assert_int_equal(upload_grant(upload), 0);
	assert_int_equal(upload_append(upload, content, SIZE - 1050 + 1, false),
			 UPLOAD_NOT_GRANTED);
	come(upload, SIZE - 1050, true);
	upload_free(upload);
}

/* ---- on the wire ---- */

struct put {
	struct fetch fetch;
	struct upload *upload;
};

static void count_granted(void *ctx)
{
	struct put *put = ctx;

	upload_sent(put->upload, stream_upload_offset(put->fetch.stream));
}

static void put_on_upload(void *ctx)
{
	struct fetch *fetch = ctx; /* the first member of its struct put */

	count_granted(ctx);
	fetch_hook(fetch, FETCH_NOTHING);
}

static struct stream_callbacks put_callbacks;

/* Submits a PUT of unknown length, or of `length` bytes (not UINT64_MAX). */
static void put_begin(struct put *put, size_t size, uint64_t length, const char *expect)
{
	const struct header_field field = FIELD("expect", "100-continue");
	struct request_spec spec = {.url = h2_url(world.origin, "/"),
				    .method = "PUT",
				    .streamed = true,
				    .has_length = length != UINT64_MAX,
				    .length = length,
				    .headers = &field,
				    .header_count = expect ? 1 : 0};
	struct failure failure;

	put->fetch.eager = true;
	put->upload = spec.has_length ? make_upload_of(size, length) : make_upload(size);
	assert_int_equal(request_make(&spec, "", &put->fetch.request, &failure), 0);
	put->fetch.request.upload = put->upload;
	upload_open(put->upload);
	(void)upload_grant(put->upload);
	put_callbacks = fetch_callbacks;
	put_callbacks.on_upload = put_on_upload;
	assert_int_equal(connection_submit(connection, &put->fetch.request, &put_callbacks, put,
					   &put->fetch.stream),
			 0);
}

static void put_more(struct put *put, size_t length, bool end)
{
	(void)upload_grant(put->upload);
	come(put->upload, length, end);
	stream_upload_more(put->fetch.stream);
}

static void put_end(struct put *put)
{
	fetch_fini(&put->fetch);
	upload_free(put->upload);
}

static void expect_wait(const struct put *put, enum wait_reason reason, const char *text)
{
	struct wait wait;

	assert_true(stream_wait(put->fetch.stream, &wait));
	assert_int_equal(wait.reason, reason);
	assert_non_null(strstr(wait.text, text));
}

static void line_27_goes_as_it_comes(void **state)
{
	struct put put = {.fetch = {.stream = NULL}};
	struct h2_stream *stream = NULL;
	struct wait wait;

	(void)state;
	open_connection();
	put_begin(&put, 2 * SIZE, UINT64_MAX, NULL);
	stream = h2_first(world.origin, 0);
	h2_sync(stream->connection);
	assert_null(h2_field(stream, "content-length"));
	assert_false(stream->ended);
	expect_wait(&put, WAIT_CLIENT_UPLOAD, "0 bytes");
	for (unsigned i = 1; i <= 5; i++) {
		put_more(&put, 8192, false);
		UNTIL(world.loop, stream->body_length == i * 8192u);
	}
	expect_wait(&put, WAIT_CLIENT_UPLOAD, "40960 bytes");
	put_more(&put, 0, true);
	UNTIL(world.loop, stream->ended);
	assert_memory_equal(stream->body, content, 40960);
	assert_int_equal(stream->body_length, 40960);
	assert_false(stream_wait(put.fetch.stream, &wait));
	assert_false(stream_wants_upload(put.fetch.stream));
	h2_head(stream, true, 200, NULL);
	UNTIL(world.loop, put.fetch.closed);
	assert_int_equal(put.fetch.reason, CLOSE_ENDED);
	put_end(&put);
}

static void line_27_a_known_length(void **state)
{
	const uint64_t lengths[] = {0, 1, 30000};

	(void)state;
	open_connection();
	for (unsigned i = 0; i < 3; i++) {
		struct put put = {.fetch = {.stream = NULL}};
		struct h2_stream *stream = NULL;
		char text[32];

		put_begin(&put, 65536, lengths[i], NULL);
		stream = h2_first(world.origin, i);
		snprintf(text, sizeof(text), "%u", (unsigned)lengths[i]);
		assert_string_equal(h2_field(stream, "content-length")->value, text);
		/* Without a word of its end. */
		put_more(&put, (size_t)lengths[i], false);
		UNTIL(world.loop, stream->ended);
		assert_int_equal(stream->body_length, lengths[i]);
		put_more(&put, 0, true);
		h2_head(stream, true, 200, NULL);
		UNTIL(world.loop, put.fetch.closed);
		assert_int_equal(put.fetch.reason, CLOSE_ENDED);
		put_end(&put);
	}
}

/* The server's windows hold it: of the stream, then of the connection. Each by itself opens it. */
static void line_27_the_windows_hold_it(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		struct put put = {.fetch = {.stream = NULL}};
		struct h2_stream *stream = NULL;

		teardown(state);
		setup(state);
		world.origin->stingy = true;
		world.origin->window = i == 0 ? 1000 : 1000000;
		open_connection();
		UNTIL(world.loop, owner.slots);
		put_begin(&put, 200000, UINT64_MAX, NULL);
		stream = h2_first(world.origin, 0);
		put_more(&put, 100000, true);
		UNTIL(world.loop, stream->body_length == (i == 0 ? 1000u : 65535u));
		h2_sync(stream->connection);
		assert_int_equal(stream->body_length, i == 0 ? 1000 : 65535);
		expect_wait(&put, WAIT_PEER_WINDOW, i == 0 ? "of the stream" : "of the connection");
		expect_wait(&put, WAIT_PEER_WINDOW, "an unknown number of bytes");
		h2_open_window(stream->connection, i == 0 ? stream : NULL, 30000);
		UNTIL(world.loop, stream->body_length == (i == 0 ? 31000u : 95535u));
		h2_open_window(stream->connection, i == 0 ? stream : NULL, 200000);
		h2_open_window(stream->connection, i == 0 ? NULL : stream, 200000);
		UNTIL(world.loop, stream->ended);
		assert_int_equal(stream->body_length, 100000);
		assert_memory_equal(stream->body, content, 100000);
		put_end(&put);
	}
}

/* What is to be sent decides who is waited for: with nothing here it is the client, whatever the
 * window. And the client's time is not the server's. */
static void a_shut_window_and_no_bytes(void **state)
{
	struct put put = {.fetch = {.stream = NULL}};
	struct h2_stream *stream = NULL;
	uint64_t sent_ms = 0;

	(void)state;
	world.origin->stingy = true;
	world.origin->window = 1000;
	open_connection();
	UNTIL(world.loop, owner.slots);
	put_begin(&put, 200000, UINT64_MAX, NULL);
	stream = h2_first(world.origin, 0);
	put_more(&put, 1000, false);
	UNTIL(world.loop, stream->body_length == 1000);
	expect_wait(&put, WAIT_CLIENT_UPLOAD, "1000 bytes");
	sent_ms = stream_sent_progress_ms(put.fetch.stream);
	while (loop_now_ms(world.loop) <= sent_ms + 5) {
		loop_run_once(world.loop, false);
	}
	put_more(&put, 1, false);
	assert_true(stream_sent_progress_ms(put.fetch.stream) > sent_ms + 5);
	rounds(world.loop, 3);
	expect_wait(&put, WAIT_PEER_WINDOW, "of the stream");
	/* More does not begin the server's time anew. */
	sent_ms = stream_sent_progress_ms(put.fetch.stream);
	while (loop_now_ms(world.loop) <= sent_ms + 5) {
		loop_run_once(world.loop, false);
	}
	put_more(&put, 1, false);
	assert_int_equal(stream_sent_progress_ms(put.fetch.stream), sent_ms);
	put_end(&put);
}

static void line_30_waits_for_the_100(void **state)
{
	struct put put = {.fetch = {.stream = NULL}};
	struct h2_stream *stream = NULL;

	(void)state;
	open_connection();
	put_begin(&put, SIZE, UINT64_MAX, "100-continue");
	stream = h2_first(world.origin, 0);
	assert_non_null(h2_field(stream, "expect"));
	put_more(&put, 100, false);
	h2_sync(stream->connection);
	assert_int_equal(stream->body_length, 0);
	expect_wait(&put, WAIT_CONTINUE, "100");
	h2_interim(stream, 100);
	UNTIL(world.loop, stream->body_length == 100);
	expect_wait(&put, WAIT_CLIENT_UPLOAD, "100 bytes");
	put_more(&put, 100, true);
	UNTIL(world.loop, stream->ended);
	assert_int_equal(stream->body_length, 200);
	put_end(&put);
}

static void line_28_an_early_answer(void **state)
{
	struct put put = {.fetch = {.stream = NULL}};
	struct h2_stream *stream = NULL;

	(void)state;
	open_connection();
	put_begin(&put, SIZE, UINT64_MAX, NULL);
	stream = h2_first(world.origin, 0);
	put_more(&put, 100, false);
	UNTIL(world.loop, stream->body_length == 100);
	h2_head(stream, false, 200, NULL);
	h2_body(stream, 10, false);
	UNTIL(world.loop, put.fetch.taken == 10);
	assert_true(stream_wants_upload(put.fetch.stream)); /* both ways at once */
	put_more(&put, 100, false);
	UNTIL(world.loop, stream->body_length == 200);
	h2_body(stream, 10, true);
	UNTIL(world.loop, put.fetch.closed && stream->reset);
	assert_int_equal(put.fetch.reason, CLOSE_ENDED);
	assert_int_equal(stream->reset_code, NGHTTP2_NO_ERROR);
	assert_false(stream_wants_upload(put.fetch.stream));
	put_more(&put, 100, true); /* no harm */
	put_end(&put);
}

/* The stream goes in the middle of it: from inside its own callback, and while it awaits its turn.
 */
static void free_when_sent(struct fetch *fetch, enum fetch_event event)
{
	if (event == FETCH_NOTHING && fetch->stream) {
		fetch_free(fetch);
	}
}

static void freed_while_it_sends(void **state)
{
	struct put puts[3] = {{.upload = NULL}, {.upload = NULL}, {.upload = NULL}};

	(void)state;
	world.origin->stingy = true;
	open_connection();
	for (unsigned i = 0; i < 3; i++) {
		put_begin(&puts[i], 200000, UINT64_MAX, NULL);
		put_more(&puts[i], 60000, true);
	}
	puts[1].fetch.hook = free_when_sent;
	UNTIL(world.loop, !puts[1].fetch.stream && h2_first(world.origin, 1)->reset);
	assert_int_equal(h2_first(world.origin, 1)->reset_code, NGHTTP2_CANCEL);
	/* The connection's window is used up in the middle of the last one's turn. */
	h2_open_window(h2_connection(world.origin, 0), NULL, 8001);
	UNTIL(world.loop, h2_first(world.origin, 2)->body_length == 16384 + 8000);
	assert_ptr_equal(connection->had_turn, puts[0].fetch.stream);
	fetch_free(&puts[0].fetch);
	UNTIL(world.loop, h2_first(world.origin, 0)->reset);
	h2_open_window(h2_connection(world.origin, 0), NULL, 100000);
	UNTIL(world.loop, h2_first(world.origin, 2)->ended);
	assert_int_equal(h2_first(world.origin, 2)->body_length, 60000);
	for (unsigned i = 0; i < 3; i++) {
		put_end(&puts[i]);
	}
}

/* ---- beside each other ---- */

#define MANY 10u

/* The most and the least that one of the streams has got. */
static void look(size_t *ret_least, size_t *ret_most)
{
	*ret_least = SIZE_MAX;
	*ret_most = 0;
	for (unsigned i = 0; i < MANY; i++) {
		size_t length = h2_first(world.origin, i)->body_length;

		*ret_least = length < *ret_least ? length : *ret_least;
		*ret_most = length > *ret_most ? length : *ret_most;
	}
}

static size_t sum(void)
{
	size_t total = 0;

	for (unsigned i = 0; i < MANY; i++) {
		total += h2_first(world.origin, i)->body_length;
	}
	return total;
}

/* However the connection's window opens, nobody is ahead by more than a turn. */
static void assert_fair(size_t total, const uint32_t *steps, unsigned step_count)
{
	size_t expected = 65535;
	size_t least = 0;
	size_t most = 0;

	UNTIL(world.loop, sum() == 65535);
	for (unsigned i = 0; expected < total; i++) {
		uint32_t step = steps[i % step_count];

		h2_open_window(h2_connection(world.origin, 0), NULL, step);
		expected = expected + step < total ? expected + step : total;
		UNTIL(world.loop, sum() == expected);
		look(&least, &most);
		if (most - least > 16384) {
			fail_msg("after %zu bytes one has %zu and another %zu", expected, least,
				 most);
		}
	}
}

static void line_27_uploads_share(void **state)
{
	const uint32_t steps[] = {16384, 100000, 7, 40000};
	struct put puts[MANY];

	(void)state;
	memset(puts, 0, sizeof(puts));
	world.origin->stingy = true;
	world.origin->window = 1000000;
	open_connection();
	UNTIL(world.loop, owner.slots);
	for (unsigned i = 0; i < MANY; i++) {
		put_begin(&puts[i], 200000, UINT64_MAX, NULL);
		put_more(&puts[i], 100000, true);
	}
	assert_fair(MANY * 100000, steps, 4);
	for (unsigned i = 0; i < MANY; i++) {
		assert_true(h2_first(world.origin, i)->ended);
		assert_memory_equal(h2_first(world.origin, i)->body, content, 100000);
		put_end(&puts[i]);
	}
}

/* Those whose body was here from the start, too. */
static void line_27_inline_bodies_share(void **state)
{
	const uint32_t steps[] = {16384, 30000};
	struct fetch fetches[MANY];

	(void)state;
	memset(fetches, 0, sizeof(fetches));
	world.origin->stingy = true;
	world.origin->window = 1000000;
	open_connection();
	UNTIL(world.loop, owner.slots);
	for (unsigned i = 0; i < MANY; i++) {
		make_request_with(&fetches[i].request, "POST", h2_url(world.origin, "/"), NULL, 0,
				  content, 60000);
		submit(&fetches[i]);
	}
	assert_fair(MANY * 60000, steps, 2);
	for (unsigned i = 0; i < MANY; i++) {
		fetch_fini(&fetches[i]);
	}
}

/* One that its client or its own window holds up holds up nobody. */
static void line_27_one_that_waits_is_passed_over(void **state)
{
	struct put puts[3] = {{.upload = NULL}, {.upload = NULL}, {.upload = NULL}};

	(void)state;
	world.origin->stingy = true;
	world.origin->window = 50000;
	open_connection();
	UNTIL(world.loop, owner.slots);
	h2_open_window(h2_connection(world.origin, 0), NULL, 1000000);
	for (unsigned i = 0; i < 3; i++) {
		put_begin(&puts[i], 200000, UINT64_MAX, NULL);
		put_more(&puts[i], i == 1 ? 10000 : 100000, i != 1);
	}
	UNTIL(world.loop, h2_first(world.origin, 0)->body_length == 50000 &&
				  h2_first(world.origin, 1)->body_length == 10000 &&
				  h2_first(world.origin, 2)->body_length == 50000);
	h2_open_window(h2_connection(world.origin, 0), h2_first(world.origin, 2), 100000);
	UNTIL(world.loop, h2_first(world.origin, 2)->ended);
	assert_int_equal(h2_first(world.origin, 0)->body_length, 50000);
	put_more(&puts[1], 20000, true);
	UNTIL(world.loop, h2_first(world.origin, 1)->ended);
	assert_int_equal(h2_first(world.origin, 1)->body_length, 30000);
	for (unsigned i = 0; i < 3; i++) {
		put_end(&puts[i]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nothing_may_come_before_it_is_opened),
		TEST(an_end_may_always_come),
		TEST(what_fits_is_kept),
		TEST(what_does_not_fit_is_let_go),
		TEST(the_length_is_held_to),
		TEST(counts_on_its_users_account),
		TEST(a_length_that_just_fits),
		TEST(what_nobody_wants),
		TEST(line_27_goes_as_it_comes),
		TEST(line_27_a_known_length),
		TEST(line_27_the_windows_hold_it),
		TEST(a_shut_window_and_no_bytes),
		TEST(line_30_waits_for_the_100),
		TEST(line_28_an_early_answer),
		TEST(freed_while_it_sends),
		TEST(line_27_uploads_share),
		TEST(line_27_inline_bodies_share),
		TEST(line_27_one_that_waits_is_passed_over),
	};

	fill_content();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
