/* SPDX-License-Identifier: MIT */
/*
 * A job's body on its way into a descriptor that the client passed: a pipe or a stream socket is
 * written on the loop as it takes bytes, a regular file by a thread, because writing to one may
 * block for as long as a disk likes.
 *
 * A byte counts as delivered when write() has taken it. Until then it stays in the job's stream, so
 * that a slow disk or reader shuts the stream's window and costs nothing else. What a thread writes
 * is a copy, in one of a few buffers that all files have their turns with.
 */
#pragma once

#include "base/failure.h"
#include "base/loop.h"
#include "base/worker.h"
#include "ipc/passed.h"
#include "job/job.h"

#include <stdbool.h>
#include <stdint.h>

struct output;
struct outputs; /* what outputs share: the threads and the buffers */

/* `buffers`: how many files may be written at once. NULL when out of memory. Loop and threads are
 * borrowed; they outlive it and the last of its outputs. */
struct outputs *outputs_new(struct loop *loop, struct workers *workers, unsigned buffers);
/* No output may be used by its owner any more (asserted). NULL is fine. */
void outputs_free(struct outputs *outputs);

struct output_callbacks {
	/* Writing failed (OUTPUT_ERROR): nothing more is written. The job is still the owner's to
	 * end. Not from inside a call of this file. */
	void (*on_failed)(void *ctx, const struct failure *failure);
	/* output_is_busy() is over, after output_detach(). Not from inside a call of this file. */
	void (*on_idle)(void *ctx);
};

/* Takes a descriptor for writing. It must be a regular file, a pipe or a stream socket, opened for
 * writing; a pipe with O_NONBLOCK, because that flag is shared with whoever else has the pipe, so
 * it is not ours to set. A regular file is written from `offset` on if it is set, else from where
 * its position is; with O_APPEND at its end, and an offset is refused. *passed is consumed, also on
 * failure. 0; OUTPUT_INVALID, TOO_MANY_FDS or NO_MEMORY (positive) and *ret_failure. */
int output_new(struct outputs *outputs, struct passed_fd *passed, struct job_option offset,
	       const struct output_callbacks *callbacks, void *ctx, struct output **ret_output,
	       struct failure *ret_failure);
/* Whose body it writes, from now on. */
void output_attach(struct output *output, struct job *job);
/* The body will be this long: a regular file has the room reserved when the first of it comes, so
 * that a full disk is known before all is fetched. */
void output_expect(struct output *output, uint64_t length);
/* The job has more to take. */
void output_pull(struct output *output);
/* The job is over. What a thread is writing goes on; nothing else is begun. Idempotent. */
void output_detach(struct output *output);
/* Is a thread writing? */
bool output_is_busy(const struct output *output);
/* Closes the descriptor, once no thread writes to it any more. No callback follows. NULL is fine.
 */
void output_free(struct output *output);
