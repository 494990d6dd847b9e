/* SPDX-License-Identifier: MIT */
/*
 * What a descriptor is good for that a client passed for a body.
 */
#pragma once

#include "base/failure.h"
#include "job/job.h"

#include <stdbool.h>
#include <stdint.h>

enum output_kind {
	OUTPUT_FILE,
	OUTPUT_PIPE,
	OUTPUT_SOCKET
};

struct output_target {
	enum output_kind kind;
	bool append;     /* OUTPUT_FILE: the kernel knows where */
	bool has_offset; /* OUTPUT_FILE: it is the client's; else the file's position */
	uint64_t offset;
};

/* 0 and *ret_target; OUTPUT_INVALID (positive) and *ret_failure. Does not wait. */
int output_check(int fd, struct job_option offset, struct output_target *ret_target,
		 struct failure *ret_failure);
/* May a regular file there be written by somebody else than its opener, and is it memory? May wait.
 * 0 and *ret_memory; or a positive errno, for which *ret_why is set (static) where it says more. */
int output_check_file_system(int fd, bool *ret_memory, const char **ret_why);
