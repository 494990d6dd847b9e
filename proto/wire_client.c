/* SPDX-License-Identifier: MIT */
/*
 * Frames from client to daemon, both ways. Decoding is the daemon's side and sees hostile input.
 */
#include "proto/wire_internal.h"

#include <errno.h>
#include <string.h>

#include "fetchd.pb-c.h"

/* The optional numbers of a Submit: X(name, NAME as in the generated code) */
/* clang-format off */
#define SUBMIT_OPTIONALS(X) \
	X(max_size, MAX_SIZE) \
	X(warn_size, WARN_SIZE) \
	X(queue_timeout_ms, QUEUE_TIMEOUT_MS) \
	X(connect_timeout_ms, CONNECT_TIMEOUT_MS) \
	X(first_byte_timeout_ms, FIRST_BYTE_TIMEOUT_MS) \
	X(stall_timeout_ms, STALL_TIMEOUT_MS) \
	X(total_timeout_ms, TOTAL_TIMEOUT_MS) \
	X(initial_credit, INITIAL_CREDIT)
/* clang-format on */

/* A decoded frame lives in its own arena. */
struct holder {
	struct wire_client_frame frame; /* first: the caller's pointer is this one */
	struct wire_arena arena;
};

/* Encoding a frame without many header fields needs no more than this. */
#define SCRATCH_UNITS 256u

static int bad(const char **ret_why, const char *why)
{
	*ret_why = why;
	return -EBADMSG;
}

/* ---- decoding ---- */

static int hello_from(const Fetchd__V1__ClientHello *from, struct wire_client_hello *to,
		      const char **ret_why)
{
	if (from->n_features > WIRE_FEATURES_MAX) {
		return bad(ret_why, "ClientHello.features: more than 32");
	}
	for (size_t i = 0; i < from->n_features; i++) {
		if (strlen(from->features[i]) > WIRE_FEATURE_BYTES_MAX) {
			return bad(ret_why, "ClientHello.features: one is longer than 64 bytes");
		}
	}
	if (strlen(from->client_name) > WIRE_CLIENT_NAME_MAX) {
		return bad(ret_why, "ClientHello.client_name: longer than 64 bytes");
	}
	*to = (struct wire_client_hello){
		.major = from->major,
		.minor = from->minor,
		.features = (const char *const *)from->features,
		.feature_count = from->n_features,
		.client_name = from->client_name,
	};
	return 0;
}

static int submit_from(const Fetchd__V1__Submit *from, struct wire_arena *arena,
		       struct wire_submit *to, const char **ret_why)
{
	if (strlen(from->url) > WIRE_URL_MAX) {
		return bad(ret_why, "Submit.url: longer than 8192 bytes");
	}
	if (strlen(from->method) > WIRE_METHOD_MAX) {
		return bad(ret_why, "Submit.method: longer than 32 bytes");
	}
	if (from->n_headers > WIRE_HEADERS_MAX) {
		return bad(ret_why, "Submit.headers: more than 128");
	}
	for (size_t i = 0; i < from->n_headers; i++) {
		const Fetchd__V1__Field *field = from->headers[i];

		if (field->name.len < 1 || field->name.len > WIRE_FIELD_NAME_MAX) {
			return bad(ret_why, "Submit.headers: a name is not of 1 to 256 bytes");
		}
		if (field->value.len > WIRE_FIELD_VALUE_MAX) {
			return bad(ret_why, "Submit.headers: a value is longer than 16384 bytes");
		}
	}
	*to = (struct wire_submit){
		.url = from->url,
		.method = from->method,
		.headers = wire_fields_from(arena, from->headers, from->n_headers),
		.header_count = from->n_headers,
		.priority = (enum wire_priority)wire_enum(&fetchd__v1__priority__descriptor,
							  (int)from->priority),
		.retry_allowed = from->retry_allowed,
		.progress_interval_ms = from->progress_interval_ms,
		.max_redirects = from->max_redirects,
		.redirect_to_cleartext = from->redirect_to_cleartext,
	};
	if (to->headers == NULL) {
		return wire_arena_failure(arena, ret_why);
	}
	if (from->opt_body_case == FETCHD__V1__SUBMIT__OPT_BODY_BODY) {
		to->has_body = true;
		to->body = wire_bytes_from(&from->body);
	}
	if (from->opt_upload_case == FETCHD__V1__SUBMIT__OPT_UPLOAD_UPLOAD) {
		to->has_upload = true;
		if (from->upload->opt_length_case == FETCHD__V1__UPLOAD__OPT_LENGTH_LENGTH) {
			to->upload_length.set = true;
			to->upload_length.value = from->upload->length;
		}
	}
	if (from->opt_output_case == FETCHD__V1__SUBMIT__OPT_OUTPUT_OUTPUT) {
		to->has_output = true;
		if (from->output->opt_offset_case == FETCHD__V1__OUTPUT__OPT_OFFSET_OFFSET) {
			to->output_offset.set = true;
			to->output_offset.value = from->output->offset;
		}
	}
	if (from->opt_replay_allowed_case ==
	    FETCHD__V1__SUBMIT__OPT_REPLAY_ALLOWED_REPLAY_ALLOWED) {
		to->replay_forbidden = !from->replay_allowed;
	}
#define X(name, NAME)                                                                \
	if (from->opt_##name##_case == FETCHD__V1__SUBMIT__OPT_##NAME##_##NAME) {    \
		to->name = (struct wire_optional){.set = true, .value = from->name}; \
	}
	SUBMIT_OPTIONALS(X)
#undef X
	return 0;
}

static int frame_from(const Fetchd__V1__ClientFrame *from, struct wire_arena *arena,
		      struct wire_client_frame *to, const char **ret_why)
{
	to->id = from->id;
	to->fd_count = from->fd_count;
	switch (from->msg_case) {
	case FETCHD__V1__CLIENT_FRAME__MSG_HELLO:
		to->kind = WIRE_CLIENT_HELLO;
		return hello_from(from->hello, &to->hello, ret_why);
	case FETCHD__V1__CLIENT_FRAME__MSG_SUBMIT:
		to->kind = WIRE_CLIENT_SUBMIT;
		return submit_from(from->submit, arena, &to->submit, ret_why);
	case FETCHD__V1__CLIENT_FRAME__MSG_CREDIT:
		to->kind = WIRE_CLIENT_CREDIT;
		to->credit.bytes = from->credit->bytes;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_CANCEL:
		to->kind = WIRE_CLIENT_CANCEL;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_STOP:
		to->kind = WIRE_CLIENT_STOP;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_LIST:
		to->kind = WIRE_CLIENT_LIST;
		to->list.after_job = from->list->after_job;
		to->list.limit = from->list->limit;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_STATS:
		to->kind = WIRE_CLIENT_STATS;
		to->stats.origins = from->stats->origins;
		to->stats.connections = from->stats->connections;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_PING:
		to->kind = WIRE_CLIENT_PING;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_CANCEL_JOB:
		to->kind = WIRE_CLIENT_CANCEL_JOB;
		to->cancel_job.job = from->cancel_job->job;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG_UPLOAD_DATA:
		to->kind = WIRE_CLIENT_UPLOAD_DATA;
		to->upload_data.data = wire_bytes_from(&from->upload_data->data);
		to->upload_data.end = from->upload_data->end;
		return 0;
	case FETCHD__V1__CLIENT_FRAME__MSG__NOT_SET:
	case _FETCHD__V1__CLIENT_FRAME__MSG__CASE_IS_INT_SIZE:
		break;
	}
	to->kind = WIRE_CLIENT_UNKNOWN;
	if (from->base.n_unknown_fields > 0) {
		to->unknown.field = from->base.unknown_fields[0].tag;
	}
	return 0;
}

int wire_client_frame_decode(const uint8_t *data, size_t length,
			     struct wire_client_frame **ret_frame, const char **ret_why)
{
	struct wire_arena arena;
	ProtobufCMessage *message;
	struct holder *holder = NULL;
	int result;

	result = wire_unpack(&fetchd__v1__client_frame__descriptor, data, length,
			     WIRE_CLIENT_FRAME_MAX, WIRE_CLIENT_DECODE_EXTRA, &arena, &message,
			     ret_why);
	if (result == 0) {
		holder = wire_arena_array(&arena, 1, sizeof(*holder));
		result = holder != NULL ? frame_from((const Fetchd__V1__ClientFrame *)message,
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

void wire_client_frame_free(struct wire_client_frame *frame)
{
	struct wire_arena arena;

	if (frame == NULL) {
		return;
	}
	/* The holder is in the memory that goes. */
	arena = ((struct holder *)(void *)frame)->arena;
	wire_arena_fini(&arena);
}

/* ---- encoding ---- */

/* The generated structs have no const; packing does not write. Sets *fault for what no receiver
 * would take. */
static char *text_to(const char *text, bool *fault)
{
	if (text == NULL) {
		return (char *)protobuf_c_empty_string;
	}
	if (!wire_utf8_valid(text)) {
		*fault = true;
	}
	return (char *)text;
}

static int hello_to(const struct wire_client_hello *from, Fetchd__V1__ClientHello *to)
{
	bool fault = false;

	fetchd__v1__client_hello__init(to);
	to->major = from->major;
	to->minor = from->minor;
	to->features = (char **)from->features;
	to->n_features = from->feature_count;
	to->client_name = text_to(from->client_name, &fault);
	for (size_t i = 0; i < from->feature_count; i++) {
		text_to(from->features[i], &fault);
	}
	return fault ? -EINVAL : 0;
}

static int submit_to(const struct wire_submit *from, struct wire_arena *arena,
		     Fetchd__V1__Submit *to)
{
	bool fault = false;

	fetchd__v1__submit__init(to);
	to->url = text_to(from->url, &fault);
	to->method = text_to(from->method, &fault);
	if (fault) {
		return -EINVAL;
	}
	to->headers = wire_fields_to(arena, from->headers, from->header_count);
	to->n_headers = from->header_count;
	if (to->headers == NULL) {
		return -ENOMEM;
	}
	if (from->has_body) {
		to->opt_body_case = FETCHD__V1__SUBMIT__OPT_BODY_BODY;
		to->body = wire_bytes_to(&from->body);
	}
#define X(name, NAME)                                                            \
	if (from->name.set) {                                                    \
		to->opt_##name##_case = FETCHD__V1__SUBMIT__OPT_##NAME##_##NAME; \
		to->name = from->name.value;                                     \
	}
	SUBMIT_OPTIONALS(X)
#undef X
	to->priority = (Fetchd__V1__Priority)from->priority;
	if (from->replay_forbidden) {
		to->opt_replay_allowed_case = FETCHD__V1__SUBMIT__OPT_REPLAY_ALLOWED_REPLAY_ALLOWED;
		to->replay_allowed = false;
	}
	to->retry_allowed = from->retry_allowed;
	to->progress_interval_ms = from->progress_interval_ms;
	to->max_redirects = from->max_redirects;
	to->redirect_to_cleartext = from->redirect_to_cleartext;
	if (from->has_upload) {
		to->opt_upload_case = FETCHD__V1__SUBMIT__OPT_UPLOAD_UPLOAD;
		to->upload = wire_arena_array(arena, 1, sizeof(*to->upload));
		if (to->upload == NULL) {
			return -ENOMEM;
		}
		fetchd__v1__upload__init(to->upload);
		if (from->upload_length.set) {
			to->upload->opt_length_case = FETCHD__V1__UPLOAD__OPT_LENGTH_LENGTH;
			to->upload->length = from->upload_length.value;
		}
	}
	if (from->has_output) {
		to->opt_output_case = FETCHD__V1__SUBMIT__OPT_OUTPUT_OUTPUT;
		to->output = wire_arena_array(arena, 1, sizeof(*to->output));
		if (to->output == NULL) {
			return -ENOMEM;
		}
		fetchd__v1__output__init(to->output);
		if (from->output_offset.set) {
			to->output->opt_offset_case = FETCHD__V1__OUTPUT__OPT_OFFSET_OFFSET;
			to->output->offset = from->output_offset.value;
		}
	}
	return 0;
}

/* Room for the one message of an envelope. */
union message {
	Fetchd__V1__ClientHello hello;
	Fetchd__V1__Submit submit;
	Fetchd__V1__Credit credit;
	Fetchd__V1__Cancel cancel;
	Fetchd__V1__Stop stop;
	Fetchd__V1__ListRequest list;
	Fetchd__V1__StatsRequest stats;
	Fetchd__V1__Ping ping;
	Fetchd__V1__CancelJob cancel_job;
	Fetchd__V1__UploadData upload_data;
};

static int frame_to(const struct wire_client_frame *from, struct wire_arena *arena,
		    Fetchd__V1__ClientFrame *to, union message *message)
{
	fetchd__v1__client_frame__init(to);
	to->id = from->id;
	to->fd_count = from->fd_count;
	switch (from->kind) {
	case WIRE_CLIENT_UNKNOWN:
		break;
	case WIRE_CLIENT_HELLO:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_HELLO;
		to->hello = &message->hello;
		return hello_to(&from->hello, &message->hello);
	case WIRE_CLIENT_SUBMIT:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_SUBMIT;
		to->submit = &message->submit;
		return submit_to(&from->submit, arena, &message->submit);
	case WIRE_CLIENT_CREDIT:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_CREDIT;
		to->credit = &message->credit;
		fetchd__v1__credit__init(to->credit);
		to->credit->bytes = from->credit.bytes;
		return 0;
	case WIRE_CLIENT_CANCEL:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_CANCEL;
		to->cancel = &message->cancel;
		fetchd__v1__cancel__init(to->cancel);
		return 0;
	case WIRE_CLIENT_STOP:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_STOP;
		to->stop = &message->stop;
		fetchd__v1__stop__init(to->stop);
		return 0;
	case WIRE_CLIENT_LIST:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_LIST;
		to->list = &message->list;
		fetchd__v1__list_request__init(to->list);
		to->list->after_job = from->list.after_job;
		to->list->limit = from->list.limit;
		return 0;
	case WIRE_CLIENT_STATS:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_STATS;
		to->stats = &message->stats;
		fetchd__v1__stats_request__init(to->stats);
		to->stats->origins = from->stats.origins;
		to->stats->connections = from->stats.connections;
		return 0;
	case WIRE_CLIENT_PING:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_PING;
		to->ping = &message->ping;
		fetchd__v1__ping__init(to->ping);
		return 0;
	case WIRE_CLIENT_CANCEL_JOB:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_CANCEL_JOB;
		to->cancel_job = &message->cancel_job;
		fetchd__v1__cancel_job__init(to->cancel_job);
		to->cancel_job->job = from->cancel_job.job;
		return 0;
	case WIRE_CLIENT_UPLOAD_DATA:
		to->msg_case = FETCHD__V1__CLIENT_FRAME__MSG_UPLOAD_DATA;
		to->upload_data = &message->upload_data;
		fetchd__v1__upload_data__init(to->upload_data);
		to->upload_data->data = wire_bytes_to(&from->upload_data.data);
		to->upload_data->end = from->upload_data.end;
		return 0;
	}
	return -EINVAL;
}

int wire_client_frame_encode(const struct wire_client_frame *frame, uint8_t **ret_data,
			     size_t *ret_length)
{
	uint64_t scratch[SCRATCH_UNITS];
	Fetchd__V1__ClientFrame envelope;
	union message message;
	struct wire_arena arena;
	int result;

	wire_arena_init_with(&arena, SIZE_MAX, scratch, sizeof(scratch));
	result = frame_to(frame, &arena, &envelope, &message);
	if (result == 0) {
		result = wire_pack(&envelope.base, WIRE_CLIENT_FRAME_MAX, ret_data, ret_length);
	}
	wire_arena_fini(&arena);
	return result;
}
