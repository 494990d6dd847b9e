/* SPDX-License-Identifier: MIT */
/*
 * What a client may ask for, and the rules of its ids.
 */
#include "unit/ipc/ipc_world.h"

static void ids_only_grow(void **state)
{
	static const enum wire_client_kind kinds[] = {WIRE_CLIENT_PING, WIRE_CLIENT_LIST,
						      WIRE_CLIENT_STATS, WIRE_CLIENT_CANCEL_JOB,
						      WIRE_CLIENT_SUBMIT};

	(void)state;
	for (unsigned i = 0; i < 5; i++) {
		for (uint64_t id = 0; id <= 7; id += 7) {
			struct talker *talker = talker_open();

			talker_sync(talker, 7);
			talker_ask(talker, kinds[i], id);
			assert_goodbye(talker, WIRE_GOODBYE_BAD_ID);
			talker_free(talker);
		}
	}
	assert_int_equal(world.http.metrics.jobs_submitted, 0);
}

static void naming_a_job(void **state)
{
	static const enum wire_client_kind kinds[] = {WIRE_CLIENT_CREDIT, WIRE_CLIENT_CANCEL,
						      WIRE_CLIENT_STOP, WIRE_CLIENT_UPLOAD_DATA};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct talker *talker = talker_open();

		/* One that has ended is fine: events cross. So is one that was denied. */
		talker_submit(talker, 3, 0);
		talker_ask(talker, WIRE_CLIENT_CANCEL, 3);
		assert_closed(talker, 3, WIRE_CLOSE_CANCELLED);
		talker_submit_url(talker, 4, "nonsense", 0);
		assert_closed(talker, 4, WIRE_CLOSE_DENIED);
		talker_ask(talker, kinds[i], 3);
		talker_ask(talker, kinds[i], 4);
		talker_ask(talker, kinds[i], 1); /* below the last: it may have been one */
		talker_sync(talker, 5);
		/* One that never was is not, nor is none. */
		talker_ask(talker, kinds[i], i == 0 ? 0 : 6);
		assert_goodbye(talker, WIRE_GOODBYE_BAD_ID);
		talker_free(talker);
	}
}

static void unknown_requests_are_answered(void **state)
{
	struct talker *talker = talker_open();

	(void)state;
	/* Field 31 of the envelope, id 5; then no member at all, id 6. */
	talker_raw(talker, "\x06\x08\x05\xfa\x01\x01x", 7);
	talker_raw(talker, "\x02\x08\x06", 3);
	assert_int_equal(talker_wait(talker, WIRE_SERVER_UNSUPPORTED, 5)->unsupported.field, 31);
	assert_int_equal(talker_wait(talker, WIRE_SERVER_UNSUPPORTED, 6)->unsupported.field, 0);
	/* They use up their ids, and are no reason to hang up. */
	talker_sync(talker, 7);
	talker_free(talker);
}

static void cancel_and_stop(void **state)
{
	struct talker *talker = talker_open();
	struct h2_stream *stream = NULL;

	(void)state;
	talker_submit(talker, 1, 1000);
	talker_submit(talker, 2, 1000);
	for (unsigned i = 0; i < 2; i++) {
		stream = h2_first(world.origin, i);
		h2_head(stream, false, 200, NULL);
		h2_body(stream, 5000, false);
	}
	UNTIL(world.loop, talker->body[1] == 1000 && talker->body[2] == 1000);
	talker_ask(talker, WIRE_CLIENT_CANCEL, 1);
	talker_ask(talker, WIRE_CLIENT_CANCEL, 1);
	talker_ask(talker, WIRE_CLIENT_STOP, 2);
	talker_ask(talker, WIRE_CLIENT_STOP, 2);
	assert_closed(talker, 1, WIRE_CLOSE_CANCELLED);
	assert_int_equal(talker_find(talker, WIRE_SERVER_CLOSED, 1, 0)->closed.failures[0].code,
			 WIRE_FAIL_CANCELLED_BY_CLIENT);
	assert_closed(talker, 2, WIRE_CLOSE_STOP_DOWNLOAD);
	assert_int_equal(talker_find(talker, WIRE_SERVER_CLOSED, 2, 0)->closed.bytes.delivered,
			 1000);
	UNTIL(world.loop, h2_first(world.origin, 0)->reset && h2_first(world.origin, 1)->reset);
	talker_free(talker);
}

static void cancel_by_number(void **state)
{
	struct talker *mine = talker_open();
	struct talker *other = talker_open();
	struct wire_client_frame frame = {.kind = WIRE_CLIENT_CANCEL_JOB};
	uint64_t number = 0;

	(void)state;
	talker_submit(other, 1, 0);
	number = talker_wait(other, WIRE_SERVER_ACCEPTED, 1)->accepted.job;
	assert_true(number > 0);
	frame.id = 1;
	frame.cancel_job.job = number + 1;
	talker_send(mine, &frame);
	assert_false(talker_wait(mine, WIRE_SERVER_CANCEL_JOB, 1)->cancel_job.found);
	frame.id = 2;
	frame.cancel_job.job = number;
	talker_send(mine, &frame);
	assert_true(talker_wait(mine, WIRE_SERVER_CANCEL_JOB, 2)->cancel_job.found);
	assert_closed(other, 1, WIRE_CLOSE_CANCELLED);
	frame.id = 3;
	talker_send(mine, &frame);
	assert_false(talker_wait(mine, WIRE_SERVER_CANCEL_JOB, 3)->cancel_job.found);
	/* And its own. */
	talker_submit(mine, 4, 0);
	frame.id = 5;
	frame.cancel_job.job = talker_wait(mine, WIRE_SERVER_ACCEPTED, 4)->accepted.job;
	talker_send(mine, &frame);
	assert_true(talker_wait(mine, WIRE_SERVER_CANCEL_JOB, 5)->cancel_job.found);
	assert_closed(mine, 4, WIRE_CLOSE_CANCELLED);
	talker_free(mine);
	talker_free(other);
}

/* What other users have is not there. The server takes a client's user from the kernel; here it is
 * told another one. */
static void others_jobs_are_out_of_sight(void **state)
{
	struct talker *talker = talker_open();
	struct client foreign = {.credit = 0};
	struct client own = {.credit = 0};
	struct wire_client_frame frame = {.id = 1, .kind = WIRE_CLIENT_CANCEL_JOB};
	struct peer *peer = ipc->peers;
	uid_t really = peer->owner.uid;
	struct job_owner owner = {.uid = geteuid() + 4711u};
	struct job_spec spec = spec_of("GET", "/");
	struct failure failure;

	(void)state;
	submit_get(&foreign); /* of OWNER_UID */
	loop_task_init(&own.task, client_pull, &own);
	assert_int_equal(job_submit(world.jobs, &spec, &owner, &sink_ops, &own, &own.job, &failure),
			 0);
	peer->owner.uid = owner.uid;
	assert_false(peer_may_see(peer, foreign.job));
	assert_true(peer_may_see(peer, own.job));
	frame.cancel_job.job = job_number(foreign.job);
	talker_send(talker, &frame);
	assert_false(talker_wait(talker, WIRE_SERVER_CANCEL_JOB, 1)->cancel_job.found);
	assert_int_equal(foreign.closed, 0);
	talker_ask(talker, WIRE_CLIENT_LIST, 2);
	assert_int_equal(talker_wait(talker, WIRE_SERVER_LIST, 2)->list.job_count, 1);
	assert_int_equal(talker_find(talker, WIRE_SERVER_LIST, 2, 0)->list.jobs[0].job,
			 job_number(own.job));
	frame.id = 3;
	frame.cancel_job.job = job_number(own.job);
	talker_send(talker, &frame);
	assert_true(talker_wait(talker, WIRE_SERVER_CANCEL_JOB, 3)->cancel_job.found);
	assert_int_equal(own.closed, 1);
	/* Root and the daemon's own user see all. */
	peer->owner.uid = 0;
	assert_true(peer_may_see(peer, foreign.job));
	peer->owner.uid = geteuid();
	assert_true(peer_may_see(peer, foreign.job));
	peer->owner.uid = really;
	job_cancel(foreign.job, FAIL_CANCELLED_BY_CLIENT);
	talker_free(talker);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IPC_TEST(ids_only_grow),
		IPC_TEST(naming_a_job),
		IPC_TEST(unknown_requests_are_answered),
		IPC_TEST(cancel_and_stop),
		IPC_TEST(cancel_by_number),
		IPC_TEST(others_jobs_are_out_of_sight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
