/* SPDX-License-Identifier: MIT */
#include "ipc/output.h"

#include "ipc/output_check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utlist.h>

#define IOV_MAX_USED 64u
/* What one job may write in a round; others have their turn then. */
#define WRITE_PER_ROUND (1024u * 1024)
/* What a thread is given at once. Larger ones were no faster, and leave the processor's caches. */
#define BUFFER_SIZE (256u * 1024)

struct buffer {
	struct buffer *next;
	uint8_t data[BUFFER_SIZE];
};

struct outputs {
	struct loop *loop;
	struct workers *workers;
	unsigned max;           /* of buffers */
	unsigned made;          /* of these */
	struct buffer *idle;    /* made, and not in use */
	struct output *waiting; /* files that have something to write, and no buffer */
	unsigned users;         /* outputs */
	unsigned owned;         /* of these, not freed by their owners */
	bool gone;              /* goes with the last output */
};

struct output {
	struct outputs *outputs;
	const struct output_callbacks *callbacks; /* NULL once freed by its owner */
	void *ctx;
	struct job *job; /* NULL: not attached, or over */
	struct passed_fd passed;
	struct output_target target; /* its offset moves on */
	bool blocked;                /* OUTPUT_PIPE, OUTPUT_SOCKET: it takes no more for now */
	bool waits;                  /* in outputs::waiting */
	bool failed;
	struct loop_io io; /* OUTPUT_PIPE, OUTPUT_SOCKET: started when it first blocked */
	bool io_started;
	struct loop_task pull;
	struct output *prev, *next; /* in outputs::waiting */
	/* OUTPUT_FILE; all of it the thread's while work is busy. */
	struct work work;
	bool begun;       /* on a thread: the first write has been prepared */
	uint64_t reserve; /* bytes to ask the file system for first */
	struct buffer *buffer;
	size_t length, written;
	int error;
	const char *why; /* instead of the error's own text; NULL: none */
};

static void pull(void *ctx);

/* ---- what they share ---- */

struct outputs *outputs_new(struct loop *loop, struct workers *workers, unsigned buffers)
{
	struct outputs *outputs = calloc(1, sizeof(*outputs));

	assert(buffers > 0);
	if (outputs) {
		outputs->loop = loop;
		outputs->workers = workers;
		outputs->max = buffers;
	}
	return outputs;
}

/* A daemon without outputs holds no buffers. */
static void release_outputs(struct outputs *outputs)
{
	if (outputs->users > 0) {
		return;
	}
	while (outputs->idle) {
		struct buffer *next = outputs->idle->next;

		free(outputs->idle);
		outputs->idle = next;
		outputs->made--;
	}
	if (outputs->gone) {
		assert(outputs->made == 0);
		free(outputs);
	}
}

void outputs_free(struct outputs *outputs)
{
	if (!outputs) {
		return;
	}
	assert(outputs->owned == 0);
	outputs->gone = true;
	release_outputs(outputs);
}

/* NULL: none to be had now. */
static struct buffer *take_buffer(struct outputs *outputs)
{
	struct buffer *buffer = outputs->idle;

	if (buffer) {
		outputs->idle = buffer->next;
	} else if (outputs->made < outputs->max) {
		buffer = malloc(sizeof(*buffer));
		outputs->made += buffer != NULL;
	}
	return buffer;
}

static void give_back_buffer(struct output *output)
{
	struct outputs *outputs = output->outputs;

	output->buffer->next = outputs->idle;
	outputs->idle = output->buffer;
	output->buffer = NULL;
}

static void set_waits(struct output *output, bool waits)
{
	struct outputs *outputs = output->outputs;

	if (waits == output->waits) {
		return;
	}
	output->waits = waits;
	if (waits) {
		DL_APPEND(outputs->waiting, output);
	} else {
		DL_DELETE(outputs->waiting, output);
	}
}

/* The first one that waits keeps its place until it has its buffer. */
static void serve_waiting(struct outputs *outputs)
{
	if (outputs->waiting && (outputs->idle || outputs->made < outputs->max)) {
		loop_task_queue(&outputs->waiting->pull, outputs->loop);
	}
}

static void dispose(struct output *output)
{
	struct outputs *outputs = output->outputs;

	assert(!output->buffer);
	if (output->io_started) {
		loop_io_stop(&output->io);
	}
	loop_task_cancel(&output->pull);
	set_waits(output, false);
	serve_waiting(outputs);
	passed_close(&output->passed, outputs->workers);
	loop_free_later(outputs->loop, output);
	outputs->users--;
	release_outputs(outputs);
}

/* ---- ends ---- */

static void fail(struct output *output, int error)
{
	struct failure failure;

	if (output->failed || !output->job) {
		return;
	}
	output->failed = true;
	failure_set(&failure, FAIL_OUTPUT_ERROR, "cannot write the body to the output: %s",
		    output->why ? output->why : strerror(error))
		->sys_errno = error;
	output->callbacks->on_failed(output->ctx, &failure);
}

/* ---- pipes and sockets: on the loop ---- */

static void set_blocked(struct output *output, bool blocked);

static void on_writable(void *ctx, unsigned events)
{
	struct output *output = ctx;

	(void)events;
	set_blocked(output, false);
	pull(output);
}

static void set_blocked(struct output *output, bool blocked)
{
	output->blocked = blocked;
	if (!output->io_started) {
		/* Only now: for one that never blocks there is nothing to watch. */
		loop_io_start(&output->io, output->outputs->loop, output->passed.fd, 0, on_writable,
			      output);
		output->io_started = true;
	}
	loop_io_set(&output->io, blocked ? LOOP_WRITE : 0);
	if (output->job) {
		job_hold(output->job, blocked ? JOB_WITHOUT_OUTPUT : JOB_NOT_HELD);
	}
}

/* O_NONBLOCK is its owner's to clear at any time, so that is not relied on. Not every kernel has
 * RWF_NOWAIT for pipes; then the flag is at least looked at. */
static ssize_t write_pipe(const struct output *output, const struct iovec *iov, unsigned count)
{
	ssize_t written = pwritev2(output->passed.fd, iov, (int)count, -1, RWF_NOWAIT);
	int flags = 0;

	if (written >= 0 || errno != EOPNOTSUPP) {
		return written;
	}
	flags = fcntl(output->passed.fd, F_GETFL);
	if (flags < 0 || !(flags & O_NONBLOCK)) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return writev(output->passed.fd, iov, (int)count);
}

static ssize_t write_now(const struct output *output, struct iovec *iov, unsigned count)
{
	struct msghdr message = {.msg_iov = iov, .msg_iovlen = count};
	ssize_t written = 0;

	do {
		written =
			output->target.kind == OUTPUT_SOCKET
				? sendmsg(output->passed.fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT)
				: write_pipe(output, iov, count);
	} while (written < 0 && errno == EINTR);
	return written;
}

static void pull_stream(struct output *output)
{
	size_t done = 0;

	while (output->job && done < WRITE_PER_ROUND) {
		struct iovec iov[IOV_MAX_USED];
		unsigned count = job_peek(output->job, iov, IOV_MAX_USED, WRITE_PER_ROUND - done);
		ssize_t written = 0;

		if (count == 0) {
			return;
		}
		written = write_now(output, iov, count);
		if (written < 0 && errno == EAGAIN) {
			set_blocked(output, true);
			return;
		}
		if (written < 0) {
			fail(output, errno);
			return;
		}
		done += (size_t)written;
		if (!job_consume(output->job, (size_t)written)) {
			return; /* it is over; the owner has detached it */
		}
	}
	if (output->job) {
		loop_task_queue(&output->pull, output->outputs->loop);
	}
}

/* ---- files: on a thread ---- */

static struct output *output_of(struct work *work)
{
	return (struct output *)(void *)((char *)work - offsetof(struct output, work));
}

/* Here and not when it was taken, because that may block as well: on a file system that is served
 * by somebody, or on whoever else writes to the file at its position, and is not done. */
static int begin(struct output *output)
{
	bool memory = false;
	int error = 0;

	if (output->begun) {
		return 0;
	}
	error = output_check_file_system(output->passed.fd, &memory, &output->why);
	if (error) {
		return error;
	}
	if (!output->target.has_offset && !output->target.append) {
		off_t position = lseek(output->passed.fd, 0, SEEK_CUR);

		if (position < 0) {
			return errno;
		}
		output->target.offset = (uint64_t)position;
	}
	if (memory) {
		output->reserve = 0; /* it is memory: taken early it is only colder, not less */
	}
	output->begun = true;
	return 0;
}

/* Where the file system cannot reserve there is no harm in going on without. KEEP_SIZE: what was
 * not fetched does not show as zeroes. */
static int reserve(struct output *output)
{
	uint64_t length = output->reserve;
	int rc = 0;

	output->reserve = 0;
	if (length == 0 || output->target.append ||
	    length > (uint64_t)INT64_MAX - output->target.offset) {
		return 0;
	}
	do {
		rc = fallocate(output->passed.fd, FALLOC_FL_KEEP_SIZE, (off_t)output->target.offset,
			       (off_t)length);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) ? errno : 0;
}

static int write_buffer(struct output *output)
{
	while (output->written < output->length) {
		const uint8_t *data = output->buffer->data + output->written;
		size_t length = output->length - output->written;
		off_t at = (off_t)(output->target.offset + output->written);
		ssize_t written = output->target.append
					  ? write(output->passed.fd, data, length)
					  : pwrite(output->passed.fd, data, length, at);

		if (written > 0) {
			output->written += (size_t)written;
		} else if (written == 0) {
			return ENOSPC;
		} else if (errno != EINTR) {
			return errno;
		}
	}
	return 0;
}

static void write_file(struct work *work)
{
	struct output *output = output_of(work);
	int error = begin(output);

	if (!error) {
		error = reserve(output);
	}
	output->error = error ? error : write_buffer(output);
}

static void on_written(struct work *work)
{
	struct output *output = output_of(work);
	struct outputs *outputs = output->outputs;

	give_back_buffer(output);
	serve_waiting(outputs);
	if (!output->callbacks) {
		dispose(output);
		return;
	}
	if (!output->job) {
		output->callbacks->on_idle(output->ctx);
		return;
	}
	job_hold(output->job, JOB_NOT_HELD);
	output->target.offset += output->written;
	/* What was written before the error is in the file. */
	if (output->written > 0 && !job_consume(output->job, output->written)) {
		return;
	}
	if (output->error) {
		fail(output, output->error);
	} else {
		output_pull(output); /* behind the one that waits */
	}
}

/* The bytes are copied: the job may end, and its stream go, while the thread writes. */
static void pull_file(struct output *output)
{
	struct outputs *outputs = output->outputs;
	struct iovec iov[IOV_MAX_USED];
	unsigned count = 0;

	if (work_is_busy(&output->work) || job_available(output->job) == 0) {
		return;
	}
	if (!outputs->waiting || outputs->waiting == output) {
		output->buffer = take_buffer(outputs);
	}
	if (!output->buffer && outputs->made == 0) {
		fail(output, ENOMEM); /* nobody would give one back */
		return;
	}
	/* Time that the disk takes is not the origin's. */
	job_hold(output->job, JOB_WITHOUT_OUTPUT);
	if (!output->buffer) {
		set_waits(output, true);
		return;
	}
	set_waits(output, false);
	serve_waiting(outputs);
	output->length = output->written = 0;
	count = job_peek(output->job, iov, IOV_MAX_USED, BUFFER_SIZE);
	for (unsigned i = 0; i < count; i++) {
		memcpy(output->buffer->data + output->length, iov[i].iov_base, iov[i].iov_len);
		output->length += iov[i].iov_len;
	}
	work_start(outputs->workers, &output->work, write_file, on_written);
}

static void pull(void *ctx)
{
	struct output *output = ctx;

	if (!output->job || output->failed) {
		return;
	}
	if (output->target.kind == OUTPUT_FILE) {
		pull_file(output);
	} else if (!output->blocked) {
		pull_stream(output);
	}
}

/* ---- the owner's side ---- */

static int refuse_missing(const struct passed_fd *passed, struct failure *ret_failure)
{
	if (passed->error == -EDQUOT) {
		failure_set(ret_failure, FAIL_TOO_MANY_FDS,
			    "the user has passed as many descriptors as it may "
			    "(ipc.max_fds_per_uid)");
		return FAIL_TOO_MANY_FDS;
	}
	failure_set(ret_failure, FAIL_NO_MEMORY, "the daemon has no memory for the descriptor");
	return FAIL_NO_MEMORY;
}

int output_new(struct outputs *outputs, struct passed_fd *passed, struct job_option offset,
	       const struct output_callbacks *callbacks, void *ctx, struct output **ret_output,
	       struct failure *ret_failure)
{
	struct output *output = NULL;
	int rc = 0;

	if (passed->fd < 0) {
		return refuse_missing(passed, ret_failure);
	}
	output = calloc(1, sizeof(*output));
	if (!output) {
		passed_close(passed, outputs->workers);
		failure_set(ret_failure, FAIL_NO_MEMORY, "the daemon has no memory for the output");
		return FAIL_NO_MEMORY;
	}
	outputs->users++;
	output->outputs = outputs;
	output->callbacks = callbacks;
	output->ctx = ctx;
	output->passed = *passed;
	*passed = (struct passed_fd){.fd = -1};
	loop_task_init(&output->pull, pull, output);
	rc = output_check(output->passed.fd, offset, &output->target, ret_failure);
	if (rc != 0) {
		dispose(output);
		return rc;
	}
	outputs->owned++;
	*ret_output = output;
	return 0;
}

void output_attach(struct output *output, struct job *job)
{
	output->job = job;
}

void output_expect(struct output *output, uint64_t length)
{
	if (output->target.kind == OUTPUT_FILE && !work_is_busy(&output->work)) {
		output->reserve = length;
	}
}

void output_pull(struct output *output)
{
	if (!output->blocked && !output->waits && !work_is_busy(&output->work)) {
		loop_task_queue(&output->pull, output->outputs->loop);
	}
}

void output_detach(struct output *output)
{
	output->job = NULL;
	set_waits(output, false);
	serve_waiting(output->outputs);
	if (output->io_started) {
		loop_io_set(&output->io, 0);
	}
}

bool output_is_busy(const struct output *output)
{
	return work_is_busy(&output->work);
}

void output_free(struct output *output)
{
	if (!output) {
		return;
	}
	output_detach(output);
	output->callbacks = NULL;
	output->outputs->owned--;
	if (!work_is_busy(&output->work)) {
		dispose(output);
	}
}
