/* SPDX-License-Identifier: MIT */
/*
 * Request bodies in UploadData frames: the daemon's credit, and what a client may not do.
 */
#include "unit/ipc/ipc_world.h"

#define BUFFER 65536u

static void submit_put(struct talker *talker, uint64_t id)
{
	talker_send(talker, &(struct wire_client_frame){.id = id,
							.kind = WIRE_CLIENT_SUBMIT,
							.submit = {.url = h2_url(world.origin, "/"),
								   .method = "PUT",
								   .has_upload = true}});
}

/* Bytes of the body from `offset` on. */
static void send_piece(struct talker *talker, uint64_t id, uint64_t offset, size_t length, bool end)
{
	static uint8_t data[60000];

	assert_true(length <= sizeof(data));
	for (size_t i = 0; i < length; i++) {
		data[i] = h2_byte(offset + i);
	}
	talker_send(talker, &(struct wire_client_frame){
				    .id = id,
				    .kind = WIRE_CLIENT_UPLOAD_DATA,
				    .upload_data = {.data = {data, length}, .end = end}});
}

static uint64_t granted(const struct talker *talker, uint64_t id)
{
	const struct wire_server_frame *frame = NULL;
	uint64_t sum = 0;

	for (unsigned i = 0; (frame = talker_find(talker, WIRE_SERVER_UPLOAD_CREDIT, id, i)); i++) {
		assert_true(talker->accepted[id]);
		sum += frame->upload_credit.bytes;
	}
	return sum;
}

static void line_27_under_credit(void **state)
{
	struct talker *talker = NULL;
	struct h2_stream *stream = NULL;
	uint64_t sent = 0;

	(void)state;
	world.config->ipc.upload_buffer = BUFFER;
	talker = talker_open();
	submit_put(talker, 1);
	UNTIL(world.loop, granted(talker, 1) == BUFFER);
	stream = h2_first(world.origin, 0);
	while (sent < 5 * BUFFER) {
		uint64_t room = granted(talker, 1) - sent;
		size_t piece = room < 50000 ? (size_t)room : 50000;

		assert_true(room <= BUFFER);
		if (piece == 0) {
			loop_run_once(world.loop, true);
			continue;
		}
		send_piece(talker, 1, sent, piece, false);
		sent += piece;
	}
	send_piece(talker, 1, sent, 0, true);
	UNTIL(world.loop, stream->ended);
	assert_int_equal(stream->body_length, sent);
	for (size_t i = 0; i < sent; i++) {
		assert_int_equal(stream->body[i], h2_byte(i));
	}
	h2_head(stream, true, 200, NULL);
	assert_closed(talker, 1, WIRE_CLOSE_ENDED);
	/* What comes late is for nobody. */
	send_piece(talker, 1, sent, 10, true);
	talker_sync(talker, 2);
	talker_free(talker);
}

static void more_than_was_granted(void **state)
{
	(void)state;
	world.config->ipc.upload_buffer = BUFFER;
	for (unsigned i = 0; i < 4; i++) {
		struct talker *talker = talker_open();

		submit_put(talker, 1);
		UNTIL(world.loop, granted(talker, 1));
		if (i == 0) {
			send_piece(talker, 1, 0, 40000, false);
			send_piece(talker, 1, 40000, BUFFER - 40000 + 1, false);
		} else if (i == 1) {
			send_piece(talker, 1, 0, 10, true);
			send_piece(talker, 1, 10, 0, true);
		} else if (i == 2) {
			talker_submit(talker, 2, 0);
			send_piece(talker, 2, 0, 1, false);
		} else {
			/* Before the grant. */
			submit_put(talker, 2);
			send_piece(talker, 2, 0, 1, false);
		}
		assert_goodbye(talker, WIRE_GOODBYE_BAD_MESSAGE);
		UNTIL(world.loop, world.http.env->upload_bytes == 0);
		assert_int_equal(world.http.env->buffered_bytes, 0);
		talker_free(talker);
	}
}

static void a_body_and_an_upload(void **state)
{
	struct talker *talker = talker_open();
	const struct wire_server_frame *closed = NULL;

	(void)state;
	talker_send(talker, &(struct wire_client_frame){.id = 1,
							.kind = WIRE_CLIENT_SUBMIT,
							.submit = {.url = h2_url(world.origin, "/"),
								   .method = "PUT",
								   .has_body = true,
								   .has_upload = true}});
	closed = talker_wait(talker, WIRE_SERVER_CLOSED, 1);
	assert_int_equal(closed->closed.reason, WIRE_CLOSE_DENIED);
	assert_int_equal(closed->closed.failures[0].code, WIRE_FAIL_BODY_INVALID);
	talker_free(talker);
}

/* The client goes in the middle of it: everything is free at once. */
static void line_05_the_client_goes(void **state)
{
	struct talker *talker = talker_open();
	struct h2_stream *stream = NULL;

	(void)state;
	submit_put(talker, 1);
	UNTIL(world.loop, granted(talker, 1));
	stream = h2_first(world.origin, 0);
	send_piece(talker, 1, 0, 1000, false);
	UNTIL(world.loop, stream->body_length == 1000);
	assert_int_equal(world.http.env->buffered_bytes, 1000);
	talker_close(talker);
	UNTIL(world.loop, stream->reset);
	assert_int_equal(stream->reset_code, NGHTTP2_CANCEL);
	assert_int_equal(world.http.env->buffered_bytes, 0);
	assert_int_equal(world.http.env->upload_bytes, 0);
	assert_int_equal(jobs_open(world.jobs), 0);
	talker_free(talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(line_27_under_credit),
		IPC_TEST(more_than_was_granted),
		IPC_TEST(a_body_and_an_upload),
		IPC_TEST(line_05_the_client_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
