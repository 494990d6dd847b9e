/* SPDX-License-Identifier: MIT */
/*
 * The shortest use of libfetchd: one URL to standard output, in one blocking call.
 *
 *     fetch_blocking URL
 */
#include <fetchd/fetchd.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_result result = FETCHD_RESULT_INIT;
	int r;

	if (argc != 2) {
		fprintf(stderr, "Usage: %s URL\n", argv[0]);
		return 2;
	}
	request.url = argv[1];

	r = fetchd_fetch_to_fd(NULL, &request, STDOUT_FILENO, &result);
	if (r < 0) {
		fprintf(stderr, "%s: %s (%s)\n", argv[1], result.text, strerror(-r));
		return 1;
	}
	fprintf(stderr, "%s: %s, status %u, %llu bytes%s%s\n", argv[1],
		fetchd_close_reason_name(result.reason), (unsigned)result.status,
		(unsigned long long)result.written_bytes, result.text[0] != '\0' ? ": " : "",
		result.text);
	return r == 0 ? 0 : 1;
}
