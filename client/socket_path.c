/* SPDX-License-Identifier: MIT */
/* Which socket is meant when nobody names one. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int path_set(char *buffer, size_t size, const char *directory, const char *rest)
{
	int length = snprintf(NULL, 0, "%s%s", directory, rest);

	if (length < 0 || (size_t)length >= size) {
		return -ENAMETOOLONG;
	}
	(void)snprintf(buffer, size, "%s%s", directory, rest);
	return 0;
}

int fetchd_socket_path(char *buffer, size_t size)
{
	/* A set-user-id program must not be led to a socket of its caller's choice. */
	const char *value = secure_getenv("FETCHD_SOCKET");

	if (value != NULL && value[0] != '\0') {
		return path_set(buffer, size, value, "");
	}
	value = secure_getenv("XDG_RUNTIME_DIR");
	if (value != NULL && value[0] == '/') {
		char path[4096];

		if (path_set(path, sizeof(path), value, "/fetchd/fetchd.sock") == 0 &&
		    access(path, F_OK) == 0) {
			return path_set(buffer, size, path, "");
		}
	}
	return path_set(buffer, size, FETCHD_SYSTEM_SOCKET, "");
}
