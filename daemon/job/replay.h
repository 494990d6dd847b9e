/* SPDX-License-Identifier: MIT */
/*
 * May a request be sent again after a try failed? Pure.
 */
#pragma once

#include "base/failure.h"

#include <stdbool.h>

struct replay_facts {
	enum close_reason outcome;
	bool unprocessed;        /* the peer did not process it, for certain */
	bool idempotent;         /* RFC 9110, section 9.2.2 */
	bool response_delivered; /* the client has seen a head or body bytes */
	bool body_gone;          /* the request's body cannot be sent a second time */
	bool forbidden;          /* the client said so */
	bool attempts_left;
};

struct replay_verdict {
	bool safe;       /* would another try be safe? */
	bool go;         /* safe, allowed, and tries are left */
	const char *why; /* one line for the ledger, static */
};

struct replay_verdict replay_decide(const struct replay_facts *facts);
