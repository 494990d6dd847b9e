/* SPDX-License-Identifier: MIT */
/*
 * A job's request body that comes in pieces: from the client into the upload, from there to the
 * stream, and the credit back to the client. What a piece may be, and what is kept, is in
 * http/upload.c.
 */
#include "http/upload.h"
#include "job/job_internal.h"

#include <errno.h>
#include <inttypes.h>

static void grant(struct job *job)
{
	uint64_t bytes = upload_grant(job->upload);

	if (bytes > 0) {
		job->sink->upload_credit(job->sink_ctx, bytes);
	}
}

void job_upload_begin(struct job *job)
{
	if (job->upload) {
		upload_open(job->upload);
		grant(job);
	}
}

void job_upload_sent(struct job *job)
{
	uint64_t offset = stream_upload_offset(job->stream);

	upload_sent(job->upload, offset);
	grant(job);
	if (!upload_has(job->upload, offset)) {
		deadline_arm(job); /* from now on it is the client's time */
	}
}

void job_upload_answered(struct job *job)
{
	if (!job->request.upload) {
		return;
	}
	/* There is no second try now. */
	if (stream_wants_upload(job->stream)) {
		upload_let_go(job->upload);
		job_upload_sent(job);
	} else {
		upload_drop(job->upload);
	}
}

void job_upload_give_up(struct job *job)
{
	if (job->upload) {
		upload_drop(job->upload);
	}
}

bool job_upload_is_gone(const struct job *job)
{
	return job->request.upload && !upload_is_kept(job->request.upload);
}

/* The client does not keep to the length that it announced. */
static void break_off(struct job *job, bool too_long, uint64_t length)
{
	const struct upload *upload = job->upload;
	struct failure failure;

	failure_set(&failure, FAIL_UPLOAD_LENGTH,
		    "the client announced %" PRIu64 " bytes of request body, but sent %s%" PRIu64,
		    upload->length, too_long ? "at least " : "only ", upload->received + length);
	job_end(job, CLOSE_CANCELLED, &failure);
}

static void no_memory(struct job *job)
{
	struct failure failure;

	failure_set(&failure, FAIL_NO_MEMORY, "the daemon has no memory for the request's body");
	job_end(job, job->stream ? CLOSE_RESET : CLOSE_INACTIVE, &failure);
}

int job_upload(struct job *job, const uint8_t *data, size_t length, bool end, const char **ret_why)
{
	bool client_was_awaited = false;
	struct wait wait;
	int rc = 0;

	if (!job->upload) {
		*ret_why = "the job has no upload";
		return -EPROTO;
	}
	client_was_awaited = job->request.upload && job->stream &&
			     stream_wait(job->stream, &wait) && wait.reason == WAIT_CLIENT_UPLOAD;
	rc = upload_append(job->upload, data, length, end);
	if (rc < 0) {
		no_memory(job);
		return 0;
	}
	switch ((enum upload_outcome)rc) {
	case UPLOAD_TAKEN:
		if (job->request.upload && job->stream && stream_wants_upload(job->stream)) {
			stream_upload_more(job->stream);
			if (client_was_awaited && length > 0) {
				deadline_count_sending(job);
			}
			deadline_arm(job);
		}
		break;
	case UPLOAD_NOT_GRANTED:
		*ret_why = "more bytes than UploadCredit has granted";
		return -EPROTO;
	case UPLOAD_AFTER_END:
		*ret_why = "a piece after the last one";
		return -EPROTO;
	case UPLOAD_TOO_LONG:
	case UPLOAD_TOO_SHORT:
		break_off(job, rc == UPLOAD_TOO_LONG, length);
		break;
	}
	return 0;
}
