/* SPDX-License-Identifier: MIT */
/*
 * Files that tests make under new names, so that those of a test that was ended can be removed.
 */
#pragma once

#define FAULT_FILES_MAX 8u
#define FAULT_PATH_MAX 64u

struct fault_files {
	unsigned count;
	char paths[FAULT_FILES_MAX][FAULT_PATH_MAX];
};

/* Where mkstemp(), mkostemp() and mkdtemp() note what they have made; NULL: nowhere. */
extern struct fault_files *fault_files;

/* Removes what is still there, folders with all that is in them. */
void fault_files_remove(const struct fault_files *files);
