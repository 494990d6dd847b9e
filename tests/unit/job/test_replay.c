/* SPDX-License-Identifier: MIT */
/*
 * The rules of replay, all of them: the verdict for every combination of facts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "job/replay.h"

static const enum close_reason outcomes[] = {
	CLOSE_RESET,          CLOSE_CONNECTION_LOST, CLOSE_INACTIVE,
	CLOSE_CONNECT_FAILED, CLOSE_PROTOCOL_ERROR,  CLOSE_LENGTH_MISMATCH,
};

/* Said once more, in another way than the code does. */
static bool expected_safe(const struct replay_facts *facts)
{
	bool may_have_run =
		facts->outcome == CLOSE_RESET || facts->outcome == CLOSE_CONNECTION_LOST;

	if (facts->outcome == CLOSE_CONNECT_FAILED || facts->response_delivered) {
		return false;
	}
	return facts->unprocessed || (may_have_run && facts->idempotent);
}

static void every_combination(void **state)
{
	(void)state;
	for (unsigned bits = 0; bits < 32; bits++) {
		for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
			struct replay_facts facts = {
				.outcome = outcomes[i],
				.unprocessed = bits & 1,
				.idempotent = bits & 2,
				.response_delivered = bits & 4,
				.forbidden = bits & 8,
				.attempts_left = bits & 16,
			};
			struct replay_verdict verdict = replay_decide(&facts);
			bool safe = expected_safe(&facts);

			if (verdict.safe != safe ||
			    verdict.go != (safe && !facts.forbidden && facts.attempts_left)) {
				fail_msg("%s, bits %u: safe %d, go %d: %s",
					 close_reason_name(facts.outcome), bits, verdict.safe,
					 verdict.go, verdict.why);
			}
			assert_true(verdict.why && verdict.why[0]);
		}
	}
}

static void the_ledger_says_why(void **state)
{
	static const struct {
		struct replay_facts facts;
		const char *why;
	} table[] = {
		{{.outcome = CLOSE_INACTIVE, .unprocessed = true, .attempts_left = true},
		 "did not process"},
		{{.outcome = CLOSE_RESET,
		  .unprocessed = true,
		  .forbidden = true,
		  .attempts_left = true},
		 "does not allow"},
		{{.outcome = CLOSE_RESET, .unprocessed = true}, "max_attempts"},
		{{.outcome = CLOSE_CONNECTION_LOST, .attempts_left = true}, "not idempotent"},
		{{.outcome = CLOSE_CONNECTION_LOST,
		  .idempotent = true,
		  .response_delivered = true,
		  .attempts_left = true},
		 "was delivered"},
		{{.outcome = CLOSE_CONNECTION_LOST, .idempotent = true, .attempts_left = true},
		 "idempotent and nothing"},
		{{.outcome = CLOSE_PROTOCOL_ERROR, .idempotent = true, .attempts_left = true},
		 "final"},
		{{.outcome = CLOSE_CONNECT_FAILED,
		  .unprocessed = true,
		  .idempotent = true,
		  .attempts_left = true},
		 "final"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct replay_verdict verdict = replay_decide(&table[i].facts);

		if (!strstr(verdict.why, table[i].why)) {
			fail_msg("\"%s\" is not in \"%s\"", table[i].why, verdict.why);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination),
		cmocka_unit_test(the_ledger_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
