/* SPDX-License-Identifier: MIT */
/*
 * Making the listening socket, when no service manager hands one over.
 */
#include "ipc/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 511

/* 0: nobody listens there, and what was left of an earlier daemon is gone. */
static int clear_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd = -1;
	int rc = 0;

	if (lstat(address->sun_path, &st) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(st.st_mode)) {
		return -EEXIST;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	rc = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	close(fd);
	if (rc != -ECONNREFUSED) {
		return rc == 0 || rc == -EAGAIN ? -EADDRINUSE : rc;
	}
	return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

/* Of two daemons that start at once and both find a dead socket, the later would remove the
 * earlier's live one. The lock file stays: to remove it would be a race again. Returns the
 * descriptor that holds the lock, -EADDRINUSE when another one does, or another negative errno. */
static int lock_path(const char *path)
{
	char name[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 8];
	int fd = -1;

	snprintf(name, sizeof(name), "%s.lock", path);
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		return -errno;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		int rc = errno == EWOULDBLOCK ? -EADDRINUSE : -errno;

		close(fd);
		return rc;
	}
	return fd;
}

static int bind_locked(const struct sockaddr_un *address, unsigned mode, int *ret_fd)
{
	mode_t mask = 0;
	int fd = -1;
	int rc = clear_stale(address);

	if (rc < 0) {
		return rc;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		return -errno;
	}
	/* The mode from birth, so that there is no moment in which more people may connect. */
	mask = umask(~(mode_t)mode & 0777);
	rc = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;
	umask(mask);
	if (rc == 0 && listen(fd, BACKLOG) < 0) {
		rc = -errno;
	}
	if (rc < 0) {
		close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

int ipc_bind(const char *path, unsigned mode, int *ret_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t length = strlen(path);
	int lock = -1;
	int rc = 0;

	if (length >= sizeof(address.sun_path)) {
		return -ENAMETOOLONG;
	}
	memcpy(address.sun_path, path, length + 1);
	lock = lock_path(path);
	if (lock < 0) {
		return lock;
	}
	rc = bind_locked(&address, mode, ret_fd);
	close(lock);
	return rc;
}
