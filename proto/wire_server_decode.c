/* SPDX-License-Identifier: MIT */
/*
 * Frames from daemon to client: decoding, the client library's side.
 */
#include "proto/wire_internal.h"
#include "proto/wire_server.h"

#include <errno.h>
#include <string.h>

#include "fetchd.pb-c.h"

/* A decoded frame lives in its own arena. */
struct holder {
	struct wire_server_frame frame; /* first: the caller's pointer is this one */
	struct wire_arena arena;
};

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

static enum wire_close_reason close_reason_from(Fetchd__V1__CloseReason reason)
{
	return (enum wire_close_reason)wire_enum(&fetchd__v1__close_reason__descriptor,
						 (int)reason);
}

static enum wire_failure_code failure_code_from(Fetchd__V1__FailureCode code)
{
	return (enum wire_failure_code)wire_enum(&fetchd__v1__failure_code__descriptor, (int)code);
}

static enum wire_job_state job_state_from(Fetchd__V1__JobState state)
{
	return (enum wire_job_state)wire_enum(&fetchd__v1__job_state__descriptor, (int)state);
}

static void hello_from(const Fetchd__V1__ServerHello *from, struct wire_server_hello *to)
{
	SERVER_HELLO_NUMBERS(COPY_NUMBER)
	to->features = (const char *const *)from->features;
	to->feature_count = from->n_features;
	to->server_version = from->server_version;
	to->instance_id = from->instance_id;
}

/* A sub-message that is absent reads as one with nothing in it. */
static void connection_from(const Fetchd__V1__ConnectionInfo *from, struct wire_connection_info *to)
{
	static const Fetchd__V1__ConnectionInfo absent = FETCHD__V1__CONNECTION_INFO__INIT;

	if (from == NULL) {
		from = &absent;
	}
	CONNECTION_NUMBERS(COPY_NUMBER)
	to->remote = from->remote;
	to->tls_version = from->tls_version;
	to->tls_cipher = from->tls_cipher;
	to->certificate_subject = from->certificate_subject;
}

/* Head, Informational and Trailers have only these in common. */
static int fields_from(Fetchd__V1__Field *const *fields, size_t count, struct wire_arena *arena,
		       struct wire_head *to, const char **ret_why)
{
	for (size_t i = 0; i < count; i++) {
		if (fields[i]->name.len == 0) {
			return bad(ret_why, "headers: a name is empty");
		}
	}
	to->headers = wire_fields_from(arena, fields, count);
	to->header_count = count;
	connection_from(NULL, &to->connection);
	to->url = "";
	return to->headers != NULL ? 0 : wire_arena_failure(arena, ret_why);
}

static int head_from(const Fetchd__V1__Head *from, struct wire_arena *arena, struct wire_head *to,
		     const char **ret_why)
{
	int result = fields_from(from->headers, from->n_headers, arena, to, ret_why);

	to->status = from->status;
	connection_from(from->connection, &to->connection);
	if (from->opt_content_length_case == FETCHD__V1__HEAD__OPT_CONTENT_LENGTH_CONTENT_LENGTH) {
		to->content_length.set = true;
		to->content_length.value = from->content_length;
	}
	to->url = from->url;
	return result;
}

static void failure_from(const Fetchd__V1__Failure *from, struct wire_failure *to)
{
	to->code = failure_code_from(from->code);
	to->text = from->text;
	to->sys_errno = from->sys_errno;
	if (from->opt_h2_code_case == FETCHD__V1__FAILURE__OPT_H2_CODE_H2_CODE) {
		to->h2_code.set = true;
		to->h2_code.value = from->h2_code;
	}
	to->tls_code = from->tls_code;
}

static void attempt_from(const Fetchd__V1__Attempt *from, struct wire_attempt *to)
{
	to->connection = from->connection;
	to->remote = from->remote;
	to->stream = from->stream;
	to->outcome = close_reason_from(from->outcome);
	to->code = failure_code_from(from->code);
	to->replay_safe = from->replay_safe;
	to->why = from->why;
	to->status = from->status;
	to->url = from->url;
}

static void byte_counts_from(const Fetchd__V1__ByteCounts *from, struct wire_byte_counts *to)
{
	if (from != NULL) {
		BYTE_COUNT_NUMBERS(COPY_NUMBER)
	}
}

static void timings_from(const Fetchd__V1__Timings *from, struct wire_timings *to)
{
	if (from == NULL) {
		return;
	}
#define X(name, NAME)                                                                \
	if (from->opt_##name##_case == FETCHD__V1__TIMINGS__OPT_##NAME##_##NAME) {   \
		to->name = (struct wire_optional){.set = true, .value = from->name}; \
	}
	TIMING_OPTIONALS(X)
#undef X
}

static int closed_from(const Fetchd__V1__Closed *from, struct wire_arena *arena,
		       struct wire_closed *to, const char **ret_why)
{
	struct wire_failure *failures;
	struct wire_attempt *attempts;

	if (from->n_failures > WIRE_FAILURES_MAX) {
		return bad(ret_why, "Closed.failures: more than 8");
	}
	if (from->n_attempts > WIRE_ATTEMPTS_MAX) {
		return bad(ret_why, "Closed.attempts: more than 16");
	}
	failures = wire_arena_array(arena, from->n_failures, sizeof(*failures));
	attempts = wire_arena_array(arena, from->n_attempts, sizeof(*attempts));
	if (failures == NULL || attempts == NULL) {
		return wire_arena_failure(arena, ret_why);
	}
	for (size_t i = 0; i < from->n_failures; i++) {
		if (strlen(from->failures[i]->text) > WIRE_TEXT_MAX) {
			return bad(ret_why, "Failure.text: longer than 256 bytes");
		}
		failure_from(from->failures[i], &failures[i]);
	}
	for (size_t i = 0; i < from->n_attempts; i++) {
		if (strlen(from->attempts[i]->url) > WIRE_LIST_URL_MAX) {
			return bad(ret_why, "Attempt.url: longer than 512 bytes");
		}
		attempt_from(from->attempts[i], &attempts[i]);
	}
	to->reason = close_reason_from(from->reason);
	to->failures = failures;
	to->failure_count = from->n_failures;
	to->attempts = attempts;
	to->attempt_count = from->n_attempts;
	byte_counts_from(from->bytes, &to->bytes);
	timings_from(from->timings, &to->timings);
	return 0;
}

static void progress_from(const Fetchd__V1__Progress *from, struct wire_progress *to)
{
	to->state = job_state_from(from->state);
	to->received = from->received;
	to->delivered = from->delivered;
	if (from->opt_content_length_case ==
	    FETCHD__V1__PROGRESS__OPT_CONTENT_LENGTH_CONTENT_LENGTH) {
		to->content_length.set = true;
		to->content_length.value = from->content_length;
	}
	to->waiting_for = from->waiting_for;
}

static void wait_from(const Fetchd__V1__Wait *wait, struct wire_wait *to)
{
	static const Fetchd__V1__Wait absent = FETCHD__V1__WAIT__INIT;
	const Fetchd__V1__Wait *from = wait != NULL ? wait : &absent;

	to->reason = (enum wire_wait_reason)wire_enum(&fetchd__v1__wait__reason__descriptor,
						      (int)from->reason);
	to->for_ms = from->for_ms;
	if (from->opt_left_ms_case == FETCHD__V1__WAIT__OPT_LEFT_MS_LEFT_MS) {
		to->left_ms.set = true;
		to->left_ms.value = from->left_ms;
	}
	to->limit = from->limit;
	to->limit_value = from->limit_value;
}

static void job_info_from(const Fetchd__V1__JobInfo *from, struct wire_job_info *to)
{
	JOB_INFO_NUMBERS(COPY_NUMBER)
	to->state = job_state_from(from->state);
	to->method = from->method;
	to->url = from->url;
	to->client_name = from->client_name;
	to->priority = (enum wire_priority)wire_enum(&fetchd__v1__priority__descriptor,
						     (int)from->priority);
	if (from->opt_content_length_case ==
	    FETCHD__V1__JOB_INFO__OPT_CONTENT_LENGTH_CONTENT_LENGTH) {
		to->content_length.set = true;
		to->content_length.value = from->content_length;
	}
	to->waiting_for = from->waiting_for;
	wait_from(from->wait, &to->wait);
}

static int list_from(const Fetchd__V1__ListReply *from, struct wire_arena *arena,
		     struct wire_list_reply *to, const char **ret_why)
{
	struct wire_job_info *jobs;

	if (from->n_jobs > WIRE_LIST_MAX) {
		return bad(ret_why, "ListReply.jobs: more than 256");
	}
	jobs = wire_arena_array(arena, from->n_jobs, sizeof(*jobs));
	if (jobs == NULL) {
		return wire_arena_failure(arena, ret_why);
	}
	for (size_t i = 0; i < from->n_jobs; i++) {
		if (strlen(from->jobs[i]->url) > WIRE_LIST_URL_MAX) {
			return bad(ret_why, "JobInfo.url: longer than 512 bytes");
		}
		job_info_from(from->jobs[i], &jobs[i]);
	}
	to->jobs = jobs;
	to->job_count = from->n_jobs;
	to->more = from->more;
	return 0;
}

static int job_stats_from(const Fetchd__V1__JobStats *stats, struct wire_arena *arena,
			  struct wire_stats_reply *reply, const char **ret_why)
{
	static const Fetchd__V1__JobStats absent = FETCHD__V1__JOB_STATS__INIT;
	const Fetchd__V1__JobStats *from = stats != NULL ? stats : &absent;
	struct wire_reason_count *closed;

	if (from->n_closed > WIRE_REASONS_MAX) {
		return bad(ret_why, "JobStats.closed: more than 64");
	}
	closed = wire_arena_array(arena, from->n_closed, sizeof(*closed));
	if (closed == NULL) {
		return wire_arena_failure(arena, ret_why);
	}
	for (size_t i = 0; i < from->n_closed; i++) {
		closed[i].reason = close_reason_from(from->closed[i]->reason);
		closed[i].count = from->closed[i]->count;
	}
	reply->jobs.closed = closed;
	reply->jobs.closed_count = from->n_closed;
#define X(name) reply->jobs.name = from->name;
	JOB_STATS_NUMBERS(X)
#undef X
	return 0;
}

static void pool_connection_from(const Fetchd__V1__PoolConnection *from,
				 struct wire_pool_connection *to)
{
	POOL_CONNECTION_NUMBERS(COPY_NUMBER)
	to->origin = from->origin;
	to->state = (enum wire_connection_state)wire_enum(
		&fetchd__v1__pool_connection__state__descriptor, (int)from->state);
	to->remote = from->remote;
	to->why = from->why;
#define X(name, NAME)                                                                      \
	if (from->opt_##name##_case == FETCHD__V1__POOL_CONNECTION__OPT_##NAME##_##NAME) { \
		to->name = (struct wire_optional){.set = true, .value = from->name};       \
	}
	POOL_CONNECTION_OPTIONALS(X)
#undef X
}

static int pool_connections_from(const Fetchd__V1__StatsReply *from, struct wire_arena *arena,
				 struct wire_stats_reply *to, const char **ret_why)
{
	struct wire_pool_connection *connections;

	if (from->n_connections > WIRE_CONNECTIONS_MAX) {
		return bad(ret_why, "StatsReply.connections: more than 256");
	}
	connections = wire_arena_array(arena, from->n_connections, sizeof(*connections));
	if (connections == NULL) {
		return wire_arena_failure(arena, ret_why);
	}
	for (size_t i = 0; i < from->n_connections; i++) {
		if (strlen(from->connections[i]->why) > WIRE_TEXT_MAX) {
			return bad(ret_why, "PoolConnection.why: longer than 256 bytes");
		}
		pool_connection_from(from->connections[i], &connections[i]);
	}
	to->connections = connections;
	to->connection_count = from->n_connections;
	return 0;
}

static int stats_from(const Fetchd__V1__StatsReply *from, struct wire_arena *arena,
		      struct wire_stats_reply *to, const char **ret_why)
{
	struct wire_origin_info *origins;
	int result;

	if (from->n_origins > WIRE_ORIGINS_MAX) {
		return bad(ret_why, "StatsReply.origins: more than 256");
	}
	origins = wire_arena_array(arena, from->n_origins, sizeof(*origins));
	if (origins == NULL) {
		return wire_arena_failure(arena, ret_why);
	}
	for (size_t i = 0; i < from->n_origins; i++) {
		origins[i].origin = from->origins[i]->origin;
#define X(name) origins[i].name = from->origins[i]->name;
		ORIGIN_NUMBERS(X)
#undef X
		if (from->origins[i]->opt_backoff_ms_case ==
		    FETCHD__V1__ORIGIN_INFO__OPT_BACKOFF_MS_BACKOFF_MS) {
			origins[i].backoff_ms.set = true;
			origins[i].backoff_ms.value = from->origins[i]->backoff_ms;
		}
	}
	to->origins = origins;
	to->origin_count = from->n_origins;
	STATS_NUMBERS(COPY_NUMBER)
	if (from->pool != NULL) {
#define X(name) to->pool.name = from->pool->name;
		POOL_STATS_NUMBERS(X)
#undef X
	}
	result = pool_connections_from(from, arena, to, ret_why);
	return result == 0 ? job_stats_from(from->jobs, arena, to, ret_why) : result;
}

static int body_from(const Fetchd__V1__Body *from, struct wire_server_frame *to,
		     const char **ret_why)
{
	if (from->data.len < 1 || from->data.len > WIRE_BODY_MAX) {
		return bad(ret_why, "Body.data: not 1 to 65536 bytes");
	}
	to->body.offset = from->offset;
	to->body.data = wire_bytes_from(&from->data);
	return 0;
}

static int frame_from(const Fetchd__V1__ServerFrame *from, struct wire_arena *arena,
		      struct wire_server_frame *to, const char **ret_why)
{
	to->id = from->id;
	switch (from->msg_case) {
	case FETCHD__V1__SERVER_FRAME__MSG_HELLO:
		to->kind = WIRE_SERVER_HELLO;
		hello_from(from->hello, &to->hello);
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_ACCEPTED:
		to->kind = WIRE_SERVER_ACCEPTED;
		to->accepted.job = from->accepted->job;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_HEAD:
		to->kind = WIRE_SERVER_HEAD;
		return head_from(from->head, arena, &to->head, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_BODY:
		to->kind = WIRE_SERVER_BODY;
		return body_from(from->body, to, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_CLOSED:
		to->kind = WIRE_SERVER_CLOSED;
		return closed_from(from->closed, arena, &to->closed, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_INFORMATIONAL:
		to->kind = WIRE_SERVER_INFORMATIONAL;
		to->head.status = from->informational->status;
		return fields_from(from->informational->headers, from->informational->n_headers,
				   arena, &to->head, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_TRAILERS:
		to->kind = WIRE_SERVER_TRAILERS;
		return fields_from(from->trailers->headers, from->trailers->n_headers, arena,
				   &to->head, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_WARNING:
		to->kind = WIRE_SERVER_WARNING;
		if (strlen(from->warning->text) > WIRE_TEXT_MAX) {
			return bad(ret_why, "Warning.text: longer than 256 bytes");
		}
		to->warning.code = (enum wire_warning_code)wire_enum(
			&fetchd__v1__warning__code__descriptor, (int)from->warning->code);
		to->warning.text = from->warning->text;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_PROGRESS:
		to->kind = WIRE_SERVER_PROGRESS;
		progress_from(from->progress, &to->progress);
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_GOODBYE:
		to->kind = WIRE_SERVER_GOODBYE;
		if (strlen(from->goodbye->text) > WIRE_TEXT_MAX) {
			return bad(ret_why, "Goodbye.text: longer than 256 bytes");
		}
		to->goodbye.code = (enum wire_goodbye_code)wire_enum(
			&fetchd__v1__goodbye__code__descriptor, (int)from->goodbye->code);
		to->goodbye.text = from->goodbye->text;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_LIST:
		to->kind = WIRE_SERVER_LIST;
		return list_from(from->list, arena, &to->list, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_STATS:
		to->kind = WIRE_SERVER_STATS;
		return stats_from(from->stats, arena, &to->stats, ret_why);
	case FETCHD__V1__SERVER_FRAME__MSG_PONG:
		to->kind = WIRE_SERVER_PONG;
		to->pong.server_version = from->pong->server_version;
		to->pong.instance_id = from->pong->instance_id;
		to->pong.pid = from->pong->pid;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_CANCEL_JOB:
		to->kind = WIRE_SERVER_CANCEL_JOB;
		to->cancel_job.found = from->cancel_job->found;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_UNSUPPORTED:
		to->kind = WIRE_SERVER_UNSUPPORTED;
		to->unsupported.field = from->unsupported->field;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG_UPLOAD_CREDIT:
		to->kind = WIRE_SERVER_UPLOAD_CREDIT;
		to->upload_credit.bytes = from->upload_credit->bytes;
		return 0;
	case FETCHD__V1__SERVER_FRAME__MSG__NOT_SET:
	case _FETCHD__V1__SERVER_FRAME__MSG__CASE_IS_INT_SIZE:
		break;
	}
	to->kind = WIRE_SERVER_UNKNOWN;
	return 0;
}

int wire_server_frame_decode(const uint8_t *data, size_t length,
			     struct wire_server_frame **ret_frame, const char **ret_why)
{
	struct wire_arena arena;
	ProtobufCMessage *message;
	struct holder *holder = NULL;
	int result;

	result = wire_unpack(&fetchd__v1__server_frame__descriptor, data, length,
			     WIRE_SERVER_FRAME_MAX, WIRE_SERVER_DECODE_EXTRA, &arena, &message,
			     ret_why);
	if (result == 0) {
		holder = wire_arena_array(&arena, 1, sizeof(*holder));
		result = holder != NULL ? frame_from((const Fetchd__V1__ServerFrame *)message,
						     &arena, &holder->frame, ret_why)
					: wire_arena_failure(&arena, ret_why);
	}
	if (result < 0) {
		wire_arena_fini(&arena);
		return result;
	}
	holder->arena = arena;
	*ret_frame = &holder->frame;
	return 0;
}

void wire_server_frame_free(struct wire_server_frame *frame)
{
	struct wire_arena arena;

	if (frame == NULL) {
		return;
	}
	/* The holder is in the memory that goes. */
	arena = ((struct holder *)(void *)frame)->arena;
	wire_arena_fini(&arena);
}
