/* SPDX-License-Identifier: MIT */
/*
 * The rules of replay, in their order: what was never processed may always go again; what may have
 * been processed only if that does no harm and nobody has seen an answer.
 */
#include "job/replay.h"

static struct replay_verdict judge(const struct replay_facts *facts)
{
	if (facts->outcome == CLOSE_CONNECT_FAILED) {
		/* Not HTTP/2, say: nothing was processed, but the next try would end alike. */
		return (struct replay_verdict){.why = "this outcome is final"};
	}
	if (facts->response_delivered) {
		/* Before all else: whatever the peer says of the request, two answers cannot be
		 * made one. */
		return (struct replay_verdict){.why = "part of the response was delivered"};
	}
	if (facts->unprocessed) {
		return (struct replay_verdict){.safe = true,
					       .why = "the origin did not process the request"};
	}
	if (facts->outcome != CLOSE_CONNECTION_LOST && facts->outcome != CLOSE_RESET) {
		return (struct replay_verdict){.why = "this outcome is final"};
	}
	if (!facts->idempotent) {
		return (struct replay_verdict){
			.why = "the method is not idempotent and may have been processed"};
	}
	return (struct replay_verdict){.safe = true,
				       .why = "the method is idempotent and nothing was delivered"};
}

struct replay_verdict replay_decide(const struct replay_facts *facts)
{
	struct replay_verdict verdict = judge(facts);

	if (!verdict.safe) {
		return verdict;
	}
	if (facts->body_gone) {
		verdict.why = "safe, but the request's body is no longer held";
	} else if (facts->forbidden) {
		verdict.why = "safe, but the client does not allow replay";
	} else if (!facts->attempts_left) {
		verdict.why = "safe, but job.max_attempts is used up";
	} else {
		verdict.go = true;
	}
	return verdict;
}
