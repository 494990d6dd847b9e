/* SPDX-License-Identifier: MIT */
/*
 * What the kernel knows of a TCP connection's round trip. By itself, because the kernel's header,
 * which has the newer fields, does not go together with the C library's.
 */
#include "net/channel.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

uint64_t tcp_rtt_us(int fd)
{
	struct tcp_info info = {0};
	socklen_t length = sizeof(info);

	/* An older kernel fills in less; ~0 is how it says that it has no sample. */
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0 || info.tcpi_min_rtt == ~0u) {
		return 0;
	}
	return info.tcpi_min_rtt;
}
