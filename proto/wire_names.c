/* SPDX-License-Identifier: MIT */
/*
 * Names of the enums of wire.h, and the proof that their numbers are the schema's.
 */
#include "proto/wire.h"

#include "fetchd.pb-c.h"

static const char unspecified[] = "UNSPECIFIED";

/* clang-format off */
#define PRIORITY_TABLE(X) \
	X(LOW) X(NORMAL) X(HIGH) X(URGENT)
#define JOB_STATE_TABLE(X) \
	X(QUEUED) X(SENT) X(RECEIVING) X(DELIVERING) X(BACKOFF)
#define WARNING_CODE_TABLE(X) \
	X(EXPECTED_SIZE) X(RECEIVED_SIZE)
#define GOODBYE_CODE_TABLE(X) \
	X(HELLO_EXPECTED) X(UNSUPPORTED_VERSION) X(BAD_FRAME) X(BAD_MESSAGE) X(BAD_ID) \
	X(SLOW_CONSUMER) X(TOO_MANY_CLIENTS) X(SHUTDOWN) X(FRAME_TIMEOUT) X(NO_MEMORY)
/* clang-format on */

#define SAME(ours, theirs) \
	_Static_assert((int)(ours) == (int)(theirs), #ours " is not the schema's number");

#define X(name, number) SAME(WIRE_CLOSE_##name, FETCHD__V1__CLOSE_REASON__##name)
CLOSE_REASON_TABLE(X)
#undef X
#define X(name, number) SAME(WIRE_FAIL_##name, FETCHD__V1__FAILURE_CODE__##name)
FAILURE_CODE_TABLE(X)
#undef X
#define X(name, number) SAME(WIRE_WAIT_##name, FETCHD__V1__WAIT__REASON__##name)
WAIT_REASON_TABLE(X)
#undef X
#define X(name, number) SAME(WIRE_CONNECTION_##name, FETCHD__V1__POOL_CONNECTION__STATE__##name)
CONNECTION_STATE_TABLE(X)
#undef X
#define X(name) SAME(WIRE_PRIORITY_##name, FETCHD__V1__PRIORITY__##name)
PRIORITY_TABLE(X)
#undef X
#define X(name) SAME(WIRE_JOB_##name, FETCHD__V1__JOB_STATE__##name)
JOB_STATE_TABLE(X)
#undef X
#define X(name) SAME(WIRE_WARNING_##name, FETCHD__V1__WARNING__CODE__##name)
WARNING_CODE_TABLE(X)
#undef X
#define X(name) SAME(WIRE_GOODBYE_##name, FETCHD__V1__GOODBYE__CODE__##name)
GOODBYE_CODE_TABLE(X)
#undef X

const char *wire_close_reason_name(enum wire_close_reason reason)
{
	switch (reason) {
	case WIRE_CLOSE_UNSPECIFIED:
		break;
#define X(name, number)         \
	case WIRE_CLOSE_##name: \
		return #name;
		CLOSE_REASON_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_failure_code_name(enum wire_failure_code code)
{
	switch (code) {
	case WIRE_FAIL_UNSPECIFIED:
		break;
#define X(name, number)        \
	case WIRE_FAIL_##name: \
		return #name;
		FAILURE_CODE_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_wait_reason_name(enum wire_wait_reason reason)
{
	switch (reason) {
	case WIRE_WAIT_UNSPECIFIED:
		break;
#define X(name, number)        \
	case WIRE_WAIT_##name: \
		return #name;
		WAIT_REASON_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_connection_state_name(enum wire_connection_state state)
{
	switch (state) {
	case WIRE_CONNECTION_UNSPECIFIED:
		break;
#define X(name, number)              \
	case WIRE_CONNECTION_##name: \
		return #name;
		CONNECTION_STATE_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_priority_name(enum wire_priority priority)
{
	switch (priority) {
	case WIRE_PRIORITY_UNSPECIFIED:
		break;
#define X(name)                    \
	case WIRE_PRIORITY_##name: \
		return #name;
		PRIORITY_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_job_state_name(enum wire_job_state state)
{
	switch (state) {
	case WIRE_JOB_UNSPECIFIED:
		break;
#define X(name)               \
	case WIRE_JOB_##name: \
		return #name;
		JOB_STATE_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_warning_code_name(enum wire_warning_code code)
{
	switch (code) {
	case WIRE_WARNING_UNSPECIFIED:
		break;
#define X(name)                   \
	case WIRE_WARNING_##name: \
		return #name;
		WARNING_CODE_TABLE(X)
#undef X
	}
	return unspecified;
}

const char *wire_goodbye_code_name(enum wire_goodbye_code code)
{
	switch (code) {
	case WIRE_GOODBYE_UNSPECIFIED:
		break;
#define X(name)                   \
	case WIRE_GOODBYE_##name: \
		return #name;
		GOODBYE_CODE_TABLE(X)
#undef X
	}
	return unspecified;
}
