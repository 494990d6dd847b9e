/* SPDX-License-Identifier: MIT */
/*
 * Looking at a descriptor on the loop, so only with calls that do not wait, and at its file system,
 * on a thread.
 */
#include "ipc/output_check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/* Those of linux/magic.h that are no memory and no disk, but the kernel's own interfaces: what is
 * written there is judged by who writes, and that would be the daemon. */
static const long kernel_interfaces[] = {
	PROC_SUPER_MAGIC,     SYSFS_MAGIC,   CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC,
	DEBUGFS_MAGIC,        TRACEFS_MAGIC, SECURITYFS_MAGIC,   SELINUX_MAGIC,
	BINFMTFS_MAGIC,       BPF_FS_MAGIC,  EFIVARFS_MAGIC,     PSTOREFS_MAGIC,
	RDTGROUP_SUPER_MAGIC, SMACK_MAGIC,   AAFS_MAGIC,         0x62656570 /* configfs */,
};

static int refuse(struct failure *ret_failure, const char *why)
{
	failure_set(ret_failure, FAIL_OUTPUT_INVALID, "the output's descriptor %s", why);
	return FAIL_OUTPUT_INVALID;
}

static int check_file(int fd, int flags, struct job_option offset, struct output_target *target,
		      struct failure *ret_failure)
{
	int seals = fcntl(fd, F_GET_SEALS); /* fails for what can have none */

	target->kind = OUTPUT_FILE;
	target->append = flags & O_APPEND;
	if (flags & O_DIRECT) {
		return refuse(ret_failure, "is open with O_DIRECT");
	}
	if (seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))) {
		return refuse(ret_failure, "is sealed against writing");
	}
	if (!offset.set) {
		return 0;
	}
	if (target->append) {
		return refuse(ret_failure, "is open for appending, and an offset was given");
	}
	if (offset.value > INT64_MAX) {
		return refuse(ret_failure, "cannot be written at so large an offset");
	}
	target->has_offset = true;
	target->offset = offset.value;
	return 0;
}

static int check_socket(int fd, struct output_target *target, struct failure *ret_failure)
{
	int type = 0;
	socklen_t size = sizeof(type);

	target->kind = OUTPUT_SOCKET;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM) {
		return refuse(ret_failure, "is a socket, but no stream socket");
	}
	return 0;
}

int output_check(int fd, struct job_option offset, struct output_target *ret_target,
		 struct failure *ret_failure)
{
	struct output_target target = {.kind = OUTPUT_PIPE};
	struct statx st;
	int flags = fcntl(fd, F_GETFL);
	int rc = 0;

	if (flags < 0 || (flags & O_PATH) ||
	    ((flags & O_ACCMODE) != O_WRONLY && (flags & O_ACCMODE) != O_RDWR)) {
		return refuse(ret_failure, "is not open for writing");
	}
	/* Not fstat(): that may ask a server, and the answer may take for ever. */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0) {
		return refuse(ret_failure, "cannot be looked at");
	}
	if (S_ISREG(st.stx_mode)) {
		rc = check_file(fd, flags, offset, &target, ret_failure);
	} else if (offset.set) {
		rc = refuse(ret_failure, "is no regular file, and an offset was given");
	} else if (S_ISSOCK(st.stx_mode)) {
		rc = check_socket(fd, &target, ret_failure);
	} else if (!S_ISFIFO(st.stx_mode)) {
		rc = refuse(ret_failure, "is neither a regular file nor a pipe nor a socket");
	} else if (!(flags & O_NONBLOCK)) {
		rc = refuse(ret_failure, "is a pipe that blocks: set O_NONBLOCK on it first");
	}
	if (rc == 0) {
		*ret_target = target;
	}
	return rc;
}

int output_check_file_system(int fd, bool *ret_memory, const char **ret_why)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0) {
		return errno;
	}
	for (size_t i = 0; i < sizeof(kernel_interfaces) / sizeof(kernel_interfaces[0]); i++) {
		if ((unsigned long)fs.f_type == (unsigned long)kernel_interfaces[i]) {
			*ret_why = "it is an interface of the kernel, no file for a body";
			return EPERM;
		}
	}
	*ret_memory = fs.f_type == TMPFS_MAGIC;
	return 0;
}
