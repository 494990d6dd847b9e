/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzzer's entry point over the files named on the command line and over the empty input:
 * how a corpus is replayed in builds whose compiler has no fuzzing engine. Searches for nothing.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int replay(const char *path)
{
	FILE *file = fopen(path, "rbe");
	uint8_t *data = NULL;
	size_t size = 0;
	size_t capacity = 0;

	if (!file) {
		(void)fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return -1;
	}
	do {
		if (size == capacity) {
			size_t wanted = capacity ? capacity * 2 : 4096;
			uint8_t *grown = realloc(data, wanted);

			if (!grown) {
				(void)fprintf(stderr, "%s: no memory\n", path);
				free(data);
				(void)fclose(file);
				return -1;
			}
			data = grown;
			capacity = wanted;
		}
		size += fread(data + size, 1, capacity - size, file);
	} while (!feof(file) && !ferror(file));
	(void)fclose(file);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	int status = EXIT_SUCCESS;

	(void)LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		if (replay(argv[i]) < 0) {
			status = EXIT_FAILURE;
		}
	}
	return status;
}
