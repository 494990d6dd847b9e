/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of a fetch fails once: the job is refused or ends, exactly once, nothing is left
 * behind, and the next one is fine.
 */
#include "unit/job/job_world.h"
#include "unit/support/allocations.h"

static void serve(void)
{
	world.origin->automatic = true;
	world.origin->automatic_bytes = 100000;
	world.origin->automatic_trailers = true;
}

static void assert_next_is_fine(void)
{
	struct client client = {.credit = PLENTY};

	submit_get(&client);
	UNTIL(world.loop, client.closed);
	assert_int_equal(client.reason, CLOSE_ENDED);
	assert_int_equal(client.taken, 100000);
}

static void every_allocation_of_a_fetch(void **state)
{
	bool failed = true;
	unsigned count = 0;
	unsigned ended = 0;

	for (; failed; count++) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = spec_of("POST", "/");
		struct header_field field = FIELD("x-a", "b");
		struct failure failure;
		int rc = 0;

		assert_true(count < 1000);
		serve();
		spec.request.headers = &field;
		spec.request.header_count = 1;
		spec.request.body = (const uint8_t *)"body";
		spec.request.body_length = 4;
		spec.request.has_body = true;
		spec.progress_interval_ms = 50;
		allocations_arm(count);
		rc = try_submit(&client, &spec, &failure);
		if (rc == 0) {
			UNTIL(world.loop, client.closed);
		}
		failed = allocations_disarm();
		if (rc != 0) {
			assert_int_equal(rc, FAIL_NO_MEMORY);
			assert_null(client.job);
		} else if (client.reason == CLOSE_ENDED) {
			assert_int_equal(client.taken, 100000);
			ended++;
		} else {
			assert_true(client.failure.count > 0);
		}
		if (!failed) {
			assert_int_equal(client.reason, CLOSE_ENDED);
		}
		assert_next_is_fine();
		(void)job_teardown(state);
		(void)job_setup(state);
	}
	assert_true(count > 20);
	assert_true(ended < count);
}

/* The same for what comes after a first try. */
static void every_allocation_of_a_replay(void **state)
{
	bool failed = true;

	for (unsigned count = 0; failed; count++) {
		struct client client = {.credit = PLENTY};

		assert_true(count < 1000);
		submit_get(&client);
		(void)h2_first(world.origin, 0);
		serve();
		allocations_arm(count);
		test_side++;
		h2_reset(h2_first(world.origin, 0), NGHTTP2_REFUSED_STREAM);
		test_side--;
		UNTIL(world.loop, client.closed);
		failed = allocations_disarm();
		if (!failed) {
			assert_int_equal(client.reason, CLOSE_ENDED);
			assert_int_equal(client.attempt_count, 2);
		}
		assert_next_is_fine();
		(void)job_teardown(state);
		(void)job_setup(state);
	}
}

/* And of a redirection, which makes another request. */
static void every_allocation_of_a_redirection(void **state)
{
	bool failed = true;
	unsigned count = 0;

	for (; failed; count++) {
		struct client client = {.credit = PLENTY};
		struct job_spec spec = spec_of("POST", "/");
		struct header_field field = FIELD("x-a", "b");

		assert_true(count < 1000);
		spec.request.headers = &field;
		spec.request.header_count = 1;
		spec.request.body = (const uint8_t *)"body";
		spec.request.body_length = 4;
		spec.request.has_body = true;
		spec.max_redirects = 2;
		submit(&client, &spec);
		(void)h2_first(world.origin, 0);
		serve();
		allocations_arm(count);
		test_side++;
		h2_head(h2_first(world.origin, 0), false, 307, "location", "/b?c", NULL);
		test_side--;
		UNTIL(world.loop, client.closed);
		failed = allocations_disarm();
		if (!failed) {
			assert_int_equal(client.reason, CLOSE_ENDED);
			assert_int_equal(client.attempt_count, 2);
			assert_string_equal(client.url, h2_url(world.origin, "/b?c"));
		} else if (client.reason != CLOSE_ENDED) {
			assert_true(client.failure.count > 0);
		}
		assert_next_is_fine();
		(void)job_teardown(state);
		(void)job_setup(state);
	}
	assert_true(count > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		JOB_TEST(every_allocation_of_a_fetch),
		JOB_TEST(every_allocation_of_a_replay),
		JOB_TEST(every_allocation_of_a_redirection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
