/* SPDX-License-Identifier: MIT */
/*
 * The linker sends the tests' calls of mkstemp(), mkostemp() and mkdtemp() here (--wrap).
 */
#include "faults/files.h"

#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

struct fault_files *fault_files;

int __real_mkstemp(char *path);
int __real_mkostemp(char *path, int flags);
char *__real_mkdtemp(char *path);
int __wrap_mkstemp(char *path);
int __wrap_mkostemp(char *path, int flags);
char *__wrap_mkdtemp(char *path);

static void note(const char *path)
{
	size_t size = strlen(path) + 1;

	if (fault_files && fault_files->count < FAULT_FILES_MAX && size <= FAULT_PATH_MAX) {
		memcpy(fault_files->paths[fault_files->count++], path, size);
	}
}

int __wrap_mkstemp(char *path)
{
	int fd = __real_mkstemp(path);

	if (fd >= 0) {
		note(path);
	}
	return fd;
}

int __wrap_mkostemp(char *path, int flags)
{
	int fd = __real_mkostemp(path, flags);

	if (fd >= 0) {
		note(path);
	}
	return fd;
}

char *__wrap_mkdtemp(char *path)
{
	char *made = __real_mkdtemp(path);

	if (made) {
		note(path);
	}
	return made;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	(void)status;
	(void)kind;
	(void)place;
	(void)remove(path);
	return 0;
}

void fault_files_remove(const struct fault_files *files)
{
	for (unsigned i = 0; i < files->count; i++) {
		(void)nftw(files->paths[i], remove_one, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	}
}
