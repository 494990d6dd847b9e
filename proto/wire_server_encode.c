/* SPDX-License-Identifier: MIT */
/*
 * Frames from daemon to client: encoding, the daemon's side. Texts may hold what an origin or
 * another client wrote, so they are made fit for the schema here, once and for all: a receiver
 * would refuse the whole conversation for one byte that is not UTF-8.
 */
#include "proto/wire_internal.h"
#include "proto/wire_server.h"

#include <errno.h>
#include <string.h>

#include "fetchd.pb-c.h"

/* Encoding a frame without many parts needs no more than this. */
#define SCRATCH_UNITS 512u

/* What is being encoded: the arena, and whether it was used up on the way. */
struct encoder {
	struct wire_arena *arena;
	bool no_memory;
};

static void *make(struct encoder *encoder, size_t count, size_t size)
{
	void *memory = wire_arena_array(encoder->arena, count, size);

	if (memory == NULL) {
		encoder->no_memory = true;
	}
	return memory;
}

/* The text, cut to `max` bytes at a character, with '?' for each byte that is not UTF-8. Borrowed
 * if it needs nothing; the generated structs have no const, but packing does not write. */
static char *text_to(struct encoder *encoder, const char *text, size_t max)
{
	const uint8_t *from = (const uint8_t *)text;
	size_t length, good = 0;
	char *copy;

	if (text == NULL) {
		return (char *)protobuf_c_empty_string;
	}
	length = strlen(text);
	while (good < length) {
		size_t step = wire_utf8_step(from + good, length - good);

		if (step == 0 || good + step > max) {
			break;
		}
		good += step;
	}
	if (good == length) {
		return (char *)text;
	}

	copy = make(encoder, (length < max ? length : max) + 1, 1);
	if (copy == NULL) {
		return (char *)protobuf_c_empty_string;
	}
	memcpy(copy, text, good);
	while (good < length) {
		size_t step = wire_utf8_step(from + good, length - good);
		bool valid = step > 0;

		if (!valid) {
			step = 1;
		}
		if (good + step > max) {
			break;
		}
		memcpy(copy + good, valid ? text + good : "?", step);
		good += step;
	}
	copy[good] = '\0';
	return copy;
}

/* A text that the schema sets no limit for. */
static char *any_text_to(struct encoder *encoder, const char *text)
{
	return text_to(encoder, text, WIRE_SERVER_FRAME_MAX);
}

static Fetchd__V1__Field **fields_to(struct encoder *encoder, const struct wire_head *head)
{
	Fetchd__V1__Field **fields =
		wire_fields_to(encoder->arena, head->headers, head->header_count);

	if (fields == NULL) {
		encoder->no_memory = true;
	}
	return fields;
}

static void hello_to(struct encoder *encoder, const struct wire_server_hello *from,
		     Fetchd__V1__ServerHello *to)
{
	fetchd__v1__server_hello__init(to);
	SERVER_HELLO_NUMBERS(COPY_NUMBER)
	to->features = make(encoder, from->feature_count, sizeof(*to->features));
	if (to->features == NULL) {
		return;
	}
	to->n_features = from->feature_count;
	for (size_t i = 0; i < from->feature_count; i++) {
		to->features[i] = any_text_to(encoder, from->features[i]);
	}
	to->server_version = any_text_to(encoder, from->server_version);
	to->instance_id = any_text_to(encoder, from->instance_id);
}

static void connection_to(struct encoder *encoder, const struct wire_connection_info *from,
			  Fetchd__V1__ConnectionInfo *to)
{
	fetchd__v1__connection_info__init(to);
	CONNECTION_NUMBERS(COPY_NUMBER)
	to->remote = any_text_to(encoder, from->remote);
	to->tls_version = any_text_to(encoder, from->tls_version);
	to->tls_cipher = any_text_to(encoder, from->tls_cipher);
	to->certificate_subject = any_text_to(encoder, from->certificate_subject);
}

static void head_to(struct encoder *encoder, const struct wire_head *from, Fetchd__V1__Head *to)
{
	fetchd__v1__head__init(to);
	to->status = from->status;
	to->headers = fields_to(encoder, from);
	to->n_headers = from->header_count;
	to->connection = make(encoder, 1, sizeof(*to->connection));
	if (to->connection != NULL) {
		connection_to(encoder, &from->connection, to->connection);
	}
	if (from->content_length.set) {
		to->opt_content_length_case = FETCHD__V1__HEAD__OPT_CONTENT_LENGTH_CONTENT_LENGTH;
		to->content_length = from->content_length.value;
	}
	to->url = any_text_to(encoder, from->url);
}

static void failure_to(struct encoder *encoder, const struct wire_failure *from,
		       Fetchd__V1__Failure *to)
{
	fetchd__v1__failure__init(to);
	to->code = (Fetchd__V1__FailureCode)from->code;
	to->text = text_to(encoder, from->text, WIRE_TEXT_MAX);
	to->sys_errno = from->sys_errno;
	if (from->h2_code.set) {
		to->opt_h2_code_case = FETCHD__V1__FAILURE__OPT_H2_CODE_H2_CODE;
		to->h2_code = (uint32_t)from->h2_code.value; /* the code is of 32 bits */
	}
	to->tls_code = from->tls_code;
}

static void attempt_to(struct encoder *encoder, const struct wire_attempt *from,
		       Fetchd__V1__Attempt *to)
{
	fetchd__v1__attempt__init(to);
	to->connection = from->connection;
	to->remote = any_text_to(encoder, from->remote);
	to->stream = from->stream;
	to->outcome = (Fetchd__V1__CloseReason)from->outcome;
	to->code = (Fetchd__V1__FailureCode)from->code;
	to->replay_safe = from->replay_safe;
	to->why = any_text_to(encoder, from->why);
	to->status = from->status;
	to->url = text_to(encoder, from->url, WIRE_LIST_URL_MAX);
}

static void timings_to(const struct wire_timings *from, Fetchd__V1__Timings *to)
{
	fetchd__v1__timings__init(to);
#define X(name, NAME)                                                             \
	if (from->name.set) {                                                     \
		to->opt_##name##_case = FETCHD__V1__TIMINGS__OPT_##NAME##_##NAME; \
		to->name = from->name.value;                                      \
	}
	TIMING_OPTIONALS(X)
#undef X
}

static void byte_counts_to(const struct wire_byte_counts *from, Fetchd__V1__ByteCounts *to)
{
	fetchd__v1__byte_counts__init(to);
	BYTE_COUNT_NUMBERS(COPY_NUMBER)
}

static void closed_to(struct encoder *encoder, const struct wire_closed *from,
		      Fetchd__V1__Closed *to)
{
	Fetchd__V1__Failure *failures = make(encoder, from->failure_count, sizeof(*failures));
	Fetchd__V1__Attempt *attempts = make(encoder, from->attempt_count, sizeof(*attempts));

	fetchd__v1__closed__init(to);
	to->failures = make(encoder, from->failure_count, sizeof(*to->failures));
	to->attempts = make(encoder, from->attempt_count, sizeof(*to->attempts));
	to->bytes = make(encoder, 1, sizeof(*to->bytes));
	to->timings = make(encoder, 1, sizeof(*to->timings));
	if (encoder->no_memory) {
		return;
	}
	to->reason = (Fetchd__V1__CloseReason)from->reason;
	for (size_t i = 0; i < from->failure_count; i++) {
		failure_to(encoder, &from->failures[i], &failures[i]);
		to->failures[i] = &failures[i];
	}
	to->n_failures = from->failure_count;
	for (size_t i = 0; i < from->attempt_count; i++) {
		attempt_to(encoder, &from->attempts[i], &attempts[i]);
		to->attempts[i] = &attempts[i];
	}
	to->n_attempts = from->attempt_count;
	byte_counts_to(&from->bytes, to->bytes);
	timings_to(&from->timings, to->timings);
}

static void progress_to(struct encoder *encoder, const struct wire_progress *from,
			Fetchd__V1__Progress *to)
{
	fetchd__v1__progress__init(to);
	to->state = (Fetchd__V1__JobState)from->state;
	to->received = from->received;
	to->delivered = from->delivered;
	if (from->content_length.set) {
		to->opt_content_length_case =
			FETCHD__V1__PROGRESS__OPT_CONTENT_LENGTH_CONTENT_LENGTH;
		to->content_length = from->content_length.value;
	}
	to->waiting_for = any_text_to(encoder, from->waiting_for);
}

static void wait_to(struct encoder *encoder, const struct wire_wait *from, Fetchd__V1__Wait *to)
{
	fetchd__v1__wait__init(to);
	to->reason = (Fetchd__V1__Wait__Reason)from->reason;
	to->for_ms = from->for_ms;
	if (from->left_ms.set) {
		to->opt_left_ms_case = FETCHD__V1__WAIT__OPT_LEFT_MS_LEFT_MS;
		to->left_ms = from->left_ms.value;
	}
	to->limit = any_text_to(encoder, from->limit);
	to->limit_value = from->limit_value;
}

static void job_info_to(struct encoder *encoder, const struct wire_job_info *from,
			Fetchd__V1__JobInfo *to)
{
	fetchd__v1__job_info__init(to);
	JOB_INFO_NUMBERS(COPY_NUMBER)
	to->state = (Fetchd__V1__JobState)from->state;
	to->method = any_text_to(encoder, from->method);
	to->url = text_to(encoder, from->url, WIRE_LIST_URL_MAX);
	to->client_name = any_text_to(encoder, from->client_name);
	to->priority = (Fetchd__V1__Priority)from->priority;
	if (from->content_length.set) {
		to->opt_content_length_case =
			FETCHD__V1__JOB_INFO__OPT_CONTENT_LENGTH_CONTENT_LENGTH;
		to->content_length = from->content_length.value;
	}
	to->waiting_for = any_text_to(encoder, from->waiting_for);
	if (from->wait.reason != WIRE_WAIT_UNSPECIFIED) {
		to->wait = make(encoder, 1, sizeof(*to->wait));
		if (to->wait != NULL) {
			wait_to(encoder, &from->wait, to->wait);
		}
	}
}

static void list_to(struct encoder *encoder, const struct wire_list_reply *from,
		    Fetchd__V1__ListReply *to)
{
	Fetchd__V1__JobInfo *jobs = make(encoder, from->job_count, sizeof(*jobs));

	fetchd__v1__list_reply__init(to);
	to->jobs = make(encoder, from->job_count, sizeof(*to->jobs));
	if (encoder->no_memory) {
		return;
	}
	for (size_t i = 0; i < from->job_count; i++) {
		job_info_to(encoder, &from->jobs[i], &jobs[i]);
		to->jobs[i] = &jobs[i];
	}
	to->n_jobs = from->job_count;
	to->more = from->more;
}

static void job_stats_to(struct encoder *encoder, const struct wire_stats_reply *reply,
			 Fetchd__V1__JobStats *to)
{
	size_t count = reply->jobs.closed_count;
	Fetchd__V1__ReasonCount *closed = make(encoder, count, sizeof(*closed));

	fetchd__v1__job_stats__init(to);
	to->closed = make(encoder, count, sizeof(*to->closed));
	if (encoder->no_memory) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		fetchd__v1__reason_count__init(&closed[i]);
		closed[i].reason = (Fetchd__V1__CloseReason)reply->jobs.closed[i].reason;
		closed[i].count = reply->jobs.closed[i].count;
		to->closed[i] = &closed[i];
	}
	to->n_closed = count;
#define X(name) to->name = reply->jobs.name;
	JOB_STATS_NUMBERS(X)
#undef X
}

static void origins_to(struct encoder *encoder, const struct wire_stats_reply *from,
		       Fetchd__V1__StatsReply *to)
{
	Fetchd__V1__OriginInfo *origins = make(encoder, from->origin_count, sizeof(*origins));

	to->origins = make(encoder, from->origin_count, sizeof(*to->origins));
	if (encoder->no_memory) {
		return;
	}
	for (size_t i = 0; i < from->origin_count; i++) {
		fetchd__v1__origin_info__init(&origins[i]);
		origins[i].origin = any_text_to(encoder, from->origins[i].origin);
#define X(name) origins[i].name = from->origins[i].name;
		ORIGIN_NUMBERS(X)
#undef X
		if (from->origins[i].backoff_ms.set) {
			origins[i].opt_backoff_ms_case =
				FETCHD__V1__ORIGIN_INFO__OPT_BACKOFF_MS_BACKOFF_MS;
			origins[i].backoff_ms = from->origins[i].backoff_ms.value;
		}
		to->origins[i] = &origins[i];
	}
	to->n_origins = from->origin_count;
}

static void pool_connection_to(struct encoder *encoder, const struct wire_pool_connection *from,
			       Fetchd__V1__PoolConnection *to)
{
	fetchd__v1__pool_connection__init(to);
	POOL_CONNECTION_NUMBERS(COPY_NUMBER)
	to->origin = any_text_to(encoder, from->origin);
	to->state = (Fetchd__V1__PoolConnection__State)from->state;
	to->remote = any_text_to(encoder, from->remote);
	to->why = text_to(encoder, from->why, WIRE_TEXT_MAX);
#define X(name, NAME)                                                                     \
	if (from->name.set) {                                                             \
		to->opt_##name##_case = FETCHD__V1__POOL_CONNECTION__OPT_##NAME##_##NAME; \
		to->name = from->name.value;                                              \
	}
	POOL_CONNECTION_OPTIONALS(X)
#undef X
}

static void pool_connections_to(struct encoder *encoder, const struct wire_stats_reply *from,
				Fetchd__V1__StatsReply *to)
{
	size_t count = from->connection_count;
	Fetchd__V1__PoolConnection *connections = make(encoder, count, sizeof(*connections));

	to->connections = make(encoder, count, sizeof(*to->connections));
	if (encoder->no_memory) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		pool_connection_to(encoder, &from->connections[i], &connections[i]);
		to->connections[i] = &connections[i];
	}
	to->n_connections = count;
}

static void stats_to(struct encoder *encoder, const struct wire_stats_reply *from,
		     Fetchd__V1__StatsReply *to)
{
	fetchd__v1__stats_reply__init(to);
	to->jobs = make(encoder, 1, sizeof(*to->jobs));
	to->pool = make(encoder, 1, sizeof(*to->pool));
	if (encoder->no_memory) {
		return;
	}
	STATS_NUMBERS(COPY_NUMBER)
	job_stats_to(encoder, from, to->jobs);
	fetchd__v1__pool_stats__init(to->pool);
#define X(name) to->pool->name = from->pool.name;
	POOL_STATS_NUMBERS(X)
#undef X
	origins_to(encoder, from, to);
	pool_connections_to(encoder, from, to);
}

/* Room for the one message of an envelope. */
union message {
	Fetchd__V1__ServerHello hello;
	Fetchd__V1__Accepted accepted;
	Fetchd__V1__Head head;
	Fetchd__V1__Body body;
	Fetchd__V1__Closed closed;
	Fetchd__V1__Informational informational;
	Fetchd__V1__Trailers trailers;
	Fetchd__V1__Warning warning;
	Fetchd__V1__Progress progress;
	Fetchd__V1__Goodbye goodbye;
	Fetchd__V1__ListReply list;
	Fetchd__V1__StatsReply stats;
	Fetchd__V1__Pong pong;
	Fetchd__V1__CancelJobReply cancel_job;
	Fetchd__V1__Unsupported unsupported;
	Fetchd__V1__UploadCredit upload_credit;
};

static int frame_to(struct encoder *encoder, const struct wire_server_frame *from,
		    Fetchd__V1__ServerFrame *to, union message *message)
{
	fetchd__v1__server_frame__init(to);
	to->id = from->id;
	switch (from->kind) {
	case WIRE_SERVER_UNKNOWN:
		return -EINVAL;
	case WIRE_SERVER_HELLO:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_HELLO;
		to->hello = &message->hello;
		hello_to(encoder, &from->hello, to->hello);
		break;
	case WIRE_SERVER_ACCEPTED:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_ACCEPTED;
		to->accepted = &message->accepted;
		fetchd__v1__accepted__init(to->accepted);
		to->accepted->job = from->accepted.job;
		break;
	case WIRE_SERVER_HEAD:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_HEAD;
		to->head = &message->head;
		head_to(encoder, &from->head, to->head);
		break;
	case WIRE_SERVER_BODY:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_BODY;
		to->body = &message->body;
		fetchd__v1__body__init(to->body);
		to->body->offset = from->body.offset;
		to->body->data = wire_bytes_to(&from->body.data);
		break;
	case WIRE_SERVER_CLOSED:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_CLOSED;
		to->closed = &message->closed;
		closed_to(encoder, &from->closed, to->closed);
		break;
	case WIRE_SERVER_INFORMATIONAL:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_INFORMATIONAL;
		to->informational = &message->informational;
		fetchd__v1__informational__init(to->informational);
		to->informational->status = from->head.status;
		to->informational->headers = fields_to(encoder, &from->head);
		to->informational->n_headers = from->head.header_count;
		break;
	case WIRE_SERVER_TRAILERS:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_TRAILERS;
		to->trailers = &message->trailers;
		fetchd__v1__trailers__init(to->trailers);
		to->trailers->headers = fields_to(encoder, &from->head);
		to->trailers->n_headers = from->head.header_count;
		break;
	case WIRE_SERVER_WARNING:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_WARNING;
		to->warning = &message->warning;
		fetchd__v1__warning__init(to->warning);
		to->warning->code = (Fetchd__V1__Warning__Code)from->warning.code;
		to->warning->text = text_to(encoder, from->warning.text, WIRE_TEXT_MAX);
		break;
	case WIRE_SERVER_PROGRESS:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_PROGRESS;
		to->progress = &message->progress;
		progress_to(encoder, &from->progress, to->progress);
		break;
	case WIRE_SERVER_GOODBYE:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_GOODBYE;
		to->goodbye = &message->goodbye;
		fetchd__v1__goodbye__init(to->goodbye);
		to->goodbye->code = (Fetchd__V1__Goodbye__Code)from->goodbye.code;
		to->goodbye->text = text_to(encoder, from->goodbye.text, WIRE_TEXT_MAX);
		break;
	case WIRE_SERVER_LIST:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_LIST;
		to->list = &message->list;
		list_to(encoder, &from->list, to->list);
		break;
	case WIRE_SERVER_STATS:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_STATS;
		to->stats = &message->stats;
		stats_to(encoder, &from->stats, to->stats);
		break;
	case WIRE_SERVER_PONG:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_PONG;
		to->pong = &message->pong;
		fetchd__v1__pong__init(to->pong);
		to->pong->server_version = any_text_to(encoder, from->pong.server_version);
		to->pong->instance_id = any_text_to(encoder, from->pong.instance_id);
		to->pong->pid = from->pong.pid;
		break;
	case WIRE_SERVER_CANCEL_JOB:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_CANCEL_JOB;
		to->cancel_job = &message->cancel_job;
		fetchd__v1__cancel_job_reply__init(to->cancel_job);
		to->cancel_job->found = from->cancel_job.found;
		break;
	case WIRE_SERVER_UNSUPPORTED:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_UNSUPPORTED;
		to->unsupported = &message->unsupported;
		fetchd__v1__unsupported__init(to->unsupported);
		to->unsupported->field = from->unsupported.field;
		break;
	case WIRE_SERVER_UPLOAD_CREDIT:
		to->msg_case = FETCHD__V1__SERVER_FRAME__MSG_UPLOAD_CREDIT;
		to->upload_credit = &message->upload_credit;
		fetchd__v1__upload_credit__init(to->upload_credit);
		to->upload_credit->bytes = from->upload_credit.bytes;
		break;
	}
	return encoder->no_memory ? -ENOMEM : 0;
}

int wire_server_frame_encode(const struct wire_server_frame *frame, uint8_t **ret_data,
			     size_t *ret_length)
{
	uint64_t scratch[SCRATCH_UNITS];
	struct wire_arena arena;
	struct encoder encoder = {.arena = &arena};
	Fetchd__V1__ServerFrame envelope;
	union message message;
	int result;

	wire_arena_init_with(&arena, SIZE_MAX, scratch, sizeof(scratch));
	result = frame_to(&encoder, frame, &envelope, &message);
	if (result == 0) {
		result = wire_pack(&envelope.base, WIRE_SERVER_FRAME_MAX, ret_data, ret_length);
	}
	wire_arena_fini(&arena);
	return result;
}
