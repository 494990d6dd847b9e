/* SPDX-License-Identifier: MIT */
/*
 * A random walk through everything that can happen to jobs, with the invariants looked at after
 * every step.
 *
 *     sim_walk [--seed N | --seeds A-B] [--steps N] [--fail-every N] [--twice]
 *
 * The same seed makes the same walk (--twice says whether that is so). A walk that fails says which
 * one it was, at which step, and what was done before.
 */
#include "walk.h"

#include "invariants.h"
#include "world.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#define TRACE 40u

static struct {
	uint64_t seed;
	uint64_t steps;
	unsigned fail_every;
	uint64_t step;
	bool running;
	struct note {
		uint64_t step, ms;
		const char *what;
		uint64_t a, b;
	} notes[TRACE];
	uint64_t note_count;
	uint64_t digest;
	uint64_t taken, closed[METRICS_REASONS], bytes;
} walk;

/* ---- the trace ---- */

static void digest(uint64_t value)
{
	for (unsigned i = 0; i < 8; i++) {
		walk.digest = (walk.digest ^ (uint8_t)(value >> (8 * i))) * UINT64_C(1099511628211);
	}
}

void walk_note(const char *what, uint64_t a, uint64_t b)
{
	walk.notes[walk.note_count++ % TRACE] =
		(struct note){.step = walk.step, .ms = sim_now_ms(), .what = what, .a = a, .b = b};
	digest(sim_now_us());
	digest(a);
	digest(b);
}

static void tell(void)
{
	uint64_t first = walk.note_count > TRACE ? walk.note_count - TRACE : 0;

	if (!walk.running) {
		return;
	}
	walk.running = false;
	for (uint64_t i = first; i < walk.note_count; i++) {
		const struct note *note = &walk.notes[i % TRACE];

		fprintf(stderr, "  step %" PRIu64 ", %" PRIu64 " ms: %s %" PRIu64 " %" PRIu64 "\n",
			note->step, note->ms, note->what, note->a, note->b);
	}
	fprintf(stderr,
		"failed at step %" PRIu64 "; again with: sim_walk --seed %" PRIu64
		" --steps %" PRIu64,
		walk.step, walk.seed, walk.steps);
	if (walk.fail_every) {
		fprintf(stderr, " --fail-every %u", walk.fail_every);
	}
	fprintf(stderr, "\n");
}

static void on_failure(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	tell();
	_exit(1);
}

/* Of AddressSanitizer's and its like, where there is one. */
void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

/* ---- a walk ---- */

static void reap(void)
{
	struct client *client = NULL;
	struct client *next = NULL;

	DL_FOREACH_SAFE (world.clients, client, next) {
		if (!client->job) {
			if (!client->denied) {
				walk.taken++;
				walk.closed[client->reason]++;
				walk.bytes += client->taken;
				digest(client->closed_ms);
				digest(client->reason);
				digest(client->taken);
			}
			client_free(client);
		}
	}
}

static void step(void)
{
	walk_act();
	check_invariants(false);
	switch (sim_below(4)) {
	case 0:
		break;
	case 1:
		loop_run_once(world.loop, false);
		check_invariants(false);
		break;
	default:
		settle();
		check_invariants(true);
		break;
	}
	reap();
}

static void on_empty(void *ctx)
{
	(void)ctx;
	SIM_CHECK(!world.emptied && jobs_open(world.jobs) == 0);
	world.emptied = true;
}

/* Nothing else happens than that time passes. */
static void wait_for_all(uint64_t most_ms)
{
	uint64_t until_us = sim_now_us() + most_ms * 1000;

	while (jobs_open(world.jobs) > 0) {
		uint64_t next_us = sim_loop_next_us(world.loop);

		if (next_us > until_us && !sim_loop_ready(world.loop)) {
			tell_jobs(stderr);
			SIM_FAIL("%u jobs go on for ever", jobs_open(world.jobs));
		}
		sim_run_until(world.loop, next_us);
		check_invariants(true);
		reap();
	}
}

static void end(void)
{
	switch (sim_below(4)) {
	case 0: /* The servers do their best, the clients take everything. */
		walk_note("end: answered", jobs_open(world.jobs), 0);
		walk_heal();
		for (struct client *client = world.clients; client; client = client->next) {
			client_stick(client, false);
			client_grant(client, PLENTY);
		}
		for (unsigned i = 0; i < 200 && jobs_open(world.jobs) > 0; i++) {
			walk_answer_all();
			sim_run_until(world.loop, sim_now_us() + 50000);
			check_invariants(true);
			reap();
		}
		wait_for_all(3600 * 1000);
		break;
	case 1: /* Nobody does anything: the deadlines do. */
		walk_note("end: left alone", jobs_open(world.jobs), 0);
		wait_for_all(3600 * 1000);
		break;
	case 2: /* SIGTERM, then the end of patience. */
		walk_note("end: drained", jobs_open(world.jobs), 0);
		jobs_drain(world.jobs, on_empty, NULL);
		walk_answer_all();
		sim_run_until(world.loop, sim_now_us() + 500000);
		check_invariants(true);
		jobs_stop(world.jobs);
		settle();
		SIM_CHECK(world.emptied);
		break;
	default:
		walk_note("end: stopped", jobs_open(world.jobs), 0);
		jobs_stop(world.jobs);
		break;
	}
	check_invariants(false);
	reap();
}

/* Returns the digest. */
static uint64_t run(uint64_t seed)
{
	walk.seed = seed;
	walk.note_count = 0;
	walk.digest = UINT64_C(14695981039346656037);
	walk.running = true;
	walk.step = 0;
	world_init(seed);
	walk_set_up();
	sim_allocations_fail_every(walk.fail_every);
	for (walk.step = 1; walk.step <= walk.steps; walk.step++) {
		step();
	}
	end();
	world_fini();
	walk.running = false;
	return walk.digest;
}

/* ---- the command ---- */

static _Noreturn void usage(void)
{
	fprintf(stderr, "sim_walk [--seed N | --seeds A-B] [--steps N] [--fail-every N] "
			"[--twice]\n");
	exit(2);
}

static uint64_t number(const char *text, char **ret_end)
{
	uint64_t value = 0;

	if (!text || *text < '0' || *text > '9') {
		usage();
	}
	errno = 0;
	value = strtoull(text, ret_end, 10);
	if (errno || (**ret_end && **ret_end != '-')) {
		usage();
	}
	return value;
}

int main(int argc, char **argv)
{
	uint64_t first = 1;
	uint64_t last = 1;
	bool twice = false;
	char *rest = NULL;

	walk.steps = 1000;
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--seed") == 0) {
			first = last = number(argv[++i], &rest);
		} else if (strcmp(argv[i], "--seeds") == 0) {
			first = last = number(argv[++i], &rest);
			if (*rest == '-') {
				last = number(rest + 1, &rest);
			}
		} else if (strcmp(argv[i], "--steps") == 0) {
			walk.steps = number(argv[++i], &rest);
		} else if (strcmp(argv[i], "--fail-every") == 0) {
			walk.fail_every = (unsigned)number(argv[++i], &rest);
		} else if (strcmp(argv[i], "--twice") == 0) {
			twice = true;
		} else {
			usage();
		}
	}
	sim_on_failure = on_failure;
	if (__sanitizer_set_death_callback) {
		__sanitizer_set_death_callback(tell);
	}
	for (uint64_t seed = first; seed <= last; seed++) {
		uint64_t course = run(seed);

		if (twice && run(seed) != course) {
			fprintf(stderr, "seed %" PRIu64 " is not the same walk twice\n", seed);
			return 1;
		}
	}
	printf("%" PRIu64 " walks of %" PRIu64 " steps: %" PRIu64 " jobs, %" PRIu64
	       " bytes delivered\n",
	       last - first + 1, walk.steps, walk.taken, walk.bytes);
	for (unsigned i = 0; i < METRICS_REASONS; i++) {
		if (walk.closed[i]) {
			printf("  %" PRIu64 " %s\n", walk.closed[i],
			       close_reason_name((enum close_reason)i));
		}
	}
	return 0;
}
