/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a conversation fails once: the client is told, or hung up on, and nothing is
 * left behind.
 */
#include "unit/ipc/ipc_world.h"
#include "unit/support/allocations.h"

#include <sys/mman.h>

static void converse(struct talker *talker, int output)
{
	struct wire_client_frame hello = {.kind = WIRE_CLIENT_HELLO,
					  .hello = {.major = WIRE_MAJOR, .client_name = "talker"}};
	struct wire_client_frame submit = {.id = 1, .kind = WIRE_CLIENT_SUBMIT};
	const struct wire_field field = {{(const uint8_t *)"x-a", 3}, {(const uint8_t *)"b", 1}};

	submit.submit.url = h2_url(world.origin, "/");
	submit.submit.headers = &field;
	submit.submit.header_count = 1;
	submit.submit.initial_credit = (struct wire_optional){true, 1 << 20};
	talker->granted[1] = 1 << 20;
	/* All at once: what is left of it when the daemon hangs up is lost, as it is for clients.
	 */
	talker_send(talker, &hello);
	talker_send(talker, &submit);
	talker_ask(talker, WIRE_CLIENT_LIST, 2);
	talker_ask(talker, WIRE_CLIENT_STATS, 3);
	talker_submit_to(talker, 4, output);
}

static void every_allocation_of_a_conversation(void **state)
{
	bool failed = true;
	unsigned count = 0;

	for (; failed; count++) {
		struct talker *talker = NULL;
		struct talker *next = NULL;
		const struct wire_server_frame *written = NULL;
		int output = memfd_create("output", MFD_CLOEXEC);
		struct stat st;

		assert_true(count < 2000);
		world.origin->automatic = true;
		world.origin->automatic_bytes = 100000;
		world.origin->automatic_trailers = true;
		talker = talker_new();
		test_side++;
		converse(talker, output);
		test_side--;
		allocations_arm(count);
		UNTIL(world.loop, talker->eof || (talker->closed[1] && talker->closed[4] &&
						  talker_find(talker, WIRE_SERVER_LIST, 2, 0) &&
						  talker_find(talker, WIRE_SERVER_STATS, 3, 0)));
		failed = allocations_disarm();
		assert_true(failed || !talker->eof);
		assert_int_equal(fstat(output, &st), 0);
		written = talker_find(talker, WIRE_SERVER_CLOSED, 4, 0);
		if (written) {
			assert_int_equal(st.st_size, written->closed.bytes.delivered);
			assert_true(failed || written->closed.reason == WIRE_CLOSE_ENDED);
			assert_true(written->closed.reason != WIRE_CLOSE_ENDED ||
				    st.st_size == 100000);
		}
		/* The daemon lives. */
		next = talker_open();
		talker_submit(next, 1, 1 << 20);
		assert_closed(next, 1, WIRE_CLOSE_ENDED);
		assert_int_equal(next->body[1], 100000);
		talker_free(talker);
		talker_free(next);
		UNTIL(world.loop, ipc_client_count(ipc) == 0);
		assert_int_equal(jobs_open(world.jobs), 0);
		close(output);
		(void)ipc_teardown(state);
		(void)ipc_setup(state);
	}
	assert_true(count > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(every_allocation_of_a_conversation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
