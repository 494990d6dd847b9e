/* SPDX-License-Identifier: MIT */
/*
 * Submitting a job: from the caller's request to a checked frame in the outbox.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Copies a struct that begins with its size from a caller who may know a smaller or larger one;
 * what the caller does not know stays as it is in `known`. What we do not know must be zero. */
static int copy_sized(void *known, size_t known_size, const void *given, size_t minimum_size)
{
	size_t given_size;

	memcpy(&given_size, given, sizeof(given_size));
	if (given_size < minimum_size) {
		return -EINVAL;
	}
	for (size_t i = known_size; i < given_size; i++) {
		if (((const uint8_t *)given)[i] != 0) {
			return -E2BIG;
		}
	}
	memcpy(known, given, given_size < known_size ? given_size : known_size);
	return 0;
}

static struct wire_optional optional(uint64_t value)
{
	return (struct wire_optional){.set = value != FETCHD_DEFAULT,
				      .value = value != FETCHD_DEFAULT ? value : 0};
}

static struct wire_bytes field_part(const char *data, size_t length)
{
	if (length == FETCHD_NUL_TERMINATED) {
		length = data != NULL ? strlen(data) : 0;
	}
	return (struct wire_bytes){.data = (const uint8_t *)data, .length = length};
}

/* Would the daemon take this frame (length prefix and message)? */
static int frame_check(const uint8_t *data, size_t length, const char **ret_why)
{
	struct wire_client_frame *decoded = NULL;
	struct frame_reader reader;
	const uint8_t *frame = NULL;
	size_t used = 0, frame_length = 0;
	int r;

	frame_reader_init(&reader, WIRE_CLIENT_FRAME_MAX);
	r = frame_reader_next(&reader, data, length, &used, &frame, &frame_length);
	if (r > 0) {
		r = wire_client_frame_decode(frame, frame_length, &decoded, ret_why);
	}
	frame_reader_fini(&reader);
	if (r < 0) {
		return r == -EBADMSG ? -EINVAL : r;
	}
	wire_client_frame_free(decoded);
	return 0;
}

/* The job's frame. What the daemon would call a bad message, and end the conversation for, is
 * found here: by decoding it the way the daemon does. */
static int submit_encode(uint64_t id, const struct fetchd_request *request, uint8_t **ret_data,
			 size_t *ret_length, const char **ret_why)
{
	struct wire_field *headers = NULL;
	struct wire_client_frame frame = {
		.id = id,
		.kind = WIRE_CLIENT_SUBMIT,
		.fd_count = request->output_fd >= 0 ? 1 : 0,
		.submit = {
			.url = request->url,
			.method = request->method != NULL ? request->method : "",
			.header_count = request->header_count,
			.has_body = request->body != NULL,
			.body = {.data = request->body, .length = request->body_length},
			.max_size = optional(request->max_size_bytes),
			.warn_size = optional(request->warn_size_bytes),
			.queue_timeout_ms = optional(request->queue_timeout_ms),
			.connect_timeout_ms = optional(request->connect_timeout_ms),
			.first_byte_timeout_ms = optional(request->first_byte_timeout_ms),
			.stall_timeout_ms = optional(request->stall_timeout_ms),
			.total_timeout_ms = optional(request->total_timeout_ms),
			.priority = (enum wire_priority)request->priority,
			.initial_credit = optional(request->initial_credit_bytes),
			.replay_forbidden = request->replay_forbidden,
			.retry_allowed = request->retry_allowed,
			.progress_interval_ms = request->progress_interval_ms,
			.max_redirects = request->max_redirects,
			.redirect_to_cleartext = request->redirect_to_cleartext,
			.has_upload = request->upload,
			.upload_length = optional(request->upload_length),
			.has_output = request->output_fd >= 0,
			.output_offset = optional(request->output_offset),
		}};
	uint8_t *data = NULL;
	size_t length = 0;
	int r = -EMSGSIZE;

	*ret_why = "the request does not fit one frame of 65536 bytes";
	if (request->body_length > WIRE_CLIENT_FRAME_MAX) {
		return r;
	}
	if (request->url == NULL || (request->headers == NULL && request->header_count > 0)) {
		*ret_why = "a pointer is missing";
		return -EINVAL;
	}
	if (request->upload && request->body != NULL) {
		*ret_why = "there are both a body and an upload";
		return -EINVAL;
	}
	if (!request->upload && request->upload_length != FETCHD_DEFAULT) {
		*ret_why = "there is the length of an upload, and no upload";
		return -EINVAL;
	}
	if (request->output_fd < 0 && request->output_offset != FETCHD_DEFAULT) {
		*ret_why = "there is an offset for an output, and no output_fd";
		return -EINVAL;
	}
	if (request->header_count > WIRE_HEADERS_MAX) {
		*ret_why = "there are more than 128 header fields";
		return -EINVAL;
	}
	if (request->header_count > 0) {
		headers = calloc(request->header_count, sizeof(*headers));
		if (headers == NULL) {
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < request->header_count; i++) {
		const struct fetchd_field *field = &request->headers[i];

		headers[i].name = field_part(field->name, field->name_length);
		headers[i].value = field_part(field->value, field->value_length);
		if (headers[i].name.length > WIRE_CLIENT_FRAME_MAX ||
		    headers[i].value.length > WIRE_CLIENT_FRAME_MAX) {
			goto out;
		}
	}
	frame.submit.headers = headers;

	r = wire_client_frame_encode(&frame, &data, &length);
	if (r == -EINVAL) {
		*ret_why = "URL and method must be UTF-8";
	} else if (r == 0) {
		r = frame_check(data, length, ret_why);
	}
	if (r < 0) {
		free(data);
		goto out;
	}
	*ret_data = data;
	*ret_length = length;
out:
	free(headers);
	return r;
}

int submit_known_request(const struct fetchd_request *request, struct fetchd_request *ret_known)
{
	struct fetchd_request known = FETCHD_REQUEST_INIT;
	int r = copy_sized(&known, sizeof(known), request,
			   offsetof(struct fetchd_request, url) + sizeof(request->url));

	for (size_t i = 0; r == 0 && i < sizeof(known.reserved); i++) {
		if (known.reserved[i] != 0) {
			r = -E2BIG;
		}
	}
	if (r == 0) {
		known.size = sizeof(known);
		*ret_known = known;
	}
	return r;
}

int fetchd_request_check(const struct fetchd_request *request, const char **ret_why)
{
	struct fetchd_request known;
	const char *why = "the struct has another size than this library knows";
	uint8_t *data = NULL;
	size_t length;
	int r = submit_known_request(request, &known);

	if (r == 0) {
		r = submit_encode(1, &known, &data, &length, &why);
		free(data);
	}
	if (r < 0 && ret_why != NULL) {
		*ret_why = r == -ENOMEM ? "out of memory" : why;
	}
	return r;
}

int fetchd_submit(struct fetchd_connection *connection, const struct fetchd_request *request,
		  const struct fetchd_job_callbacks *callbacks, void *user,
		  struct fetchd_job **ret_job)
{
	struct fetchd_request known_request;
	struct fetchd_job_callbacks known_callbacks = FETCHD_JOB_CALLBACKS_INIT;
	struct fetchd_job *job;
	const char *why;
	uint8_t *data = NULL;
	size_t length = 0;
	int r = connection_accepts(connection);

	if (r < 0) {
		return r;
	}
	r = submit_known_request(request, &known_request);
	if (r == 0 && callbacks != NULL) {
		r = copy_sized(&known_callbacks, sizeof(known_callbacks), callbacks,
			       sizeof(callbacks->size));
	}
	if (r < 0) {
		return r;
	}
	if (known_request.output_fd >= 0 && !connection->greeted) {
		return -EAGAIN; /* nobody knows yet whether the daemon would take it */
	}
	if (known_request.output_fd >= 0 && !fetchd_has_feature(connection, "fd-output")) {
		return -EOPNOTSUPP;
	}
	r = submit_encode(connection->next_id, &known_request, &data, &length, &why);
	if (r < 0) {
		return r;
	}

	job = calloc(1, sizeof(*job));
	if (job == NULL) {
		free(data);
		return -ENOMEM;
	}
	job->connection = connection;
	job->id = connection->next_id;
	job->callbacks = known_callbacks;
	job->user = user;
	job->manual_credit = known_request.manual_credit;
	job->upload = known_request.upload;
	job->default_credit = known_request.initial_credit_bytes == FETCHD_DEFAULT;
	if (!job->default_credit) {
		job->window = known_request.initial_credit_bytes;
		job->outstanding = known_request.initial_credit_bytes;
	}

	HASH_ADD(hh, connection->jobs, id, sizeof(job->id), job);
	if (job->hh.tbl == NULL) {
		free(data);
		free(job);
		return -ENOMEM;
	}
	r = known_request.output_fd >= 0
		    ? outbox_add_with_fd(&connection->outbox, data, length, known_request.output_fd)
		    : outbox_add(&connection->outbox, data, length);
	free(data);
	if (r < 0) {
		HASH_DELETE(hh, connection->jobs, job);
		free(job);
		return r;
	}
	connection->next_id++;
	if (ret_job != NULL) {
		*ret_job = job;
	}
	return 0;
}
