/* SPDX-License-Identifier: MIT */
/*
 * Talking to systemd.
 */
#include "service.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_NAME "fetchd"

static bool is_listening_socket(int fd)
{
	return sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) > 0;
}

/* By name where there is one, so that other sockets of the unit can come later. */
static int choose_socket(int count, char **names)
{
	int found = -ENOENT;

	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		bool named = names && names[i] && strcmp(names[i], SOCKET_NAME) == 0;

		if (found < 0 && (named || count == 1) && is_listening_socket(fd)) {
			found = fd;
		} else {
			close(fd);
		}
	}
	return count > 0 && found < 0 ? -ENOTSOCK : found;
}

int service_take_socket(void)
{
	char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names);
	int fd = count < 0 ? count : choose_socket(count, names);

	for (int i = 0; names && names[i]; i++) {
		free(names[i]);
	}
	free(names);
	if (fd >= 0) {
		int flags = fcntl(fd, F_GETFL);

		if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0) {
			int rc = -errno;

			close(fd);
			return rc;
		}
	}
	return fd;
}

__attribute__((format(printf, 2, 0))) static void notify(const char *what, const char *format,
							 va_list arguments)
{
	char text[256];

	vsnprintf(text, sizeof(text), format, arguments);
	(void)sd_notifyf(0, "%s%sSTATUS=%s", what, what[0] ? "\n" : "", text);
}

void service_ready(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	notify("READY=1", format, arguments);
	va_end(arguments);
}

void service_status(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	notify("", format, arguments);
	va_end(arguments);
}

void service_stopping(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	notify("STOPPING=1", format, arguments);
	va_end(arguments);
}

void service_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64 "\nSTATUS=Reloading",
			 (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

static void beat(void *ctx)
{
	struct service_watchdog *watchdog = ctx;

	(void)sd_notify(0, "WATCHDOG=1");
	watchdog->on_beat(watchdog->ctx);
	loop_timer_start(&watchdog->timer, watchdog->loop, watchdog->interval_ms, beat, watchdog);
}

void service_watchdog_start(struct service_watchdog *watchdog, struct loop *loop,
			    void (*on_beat)(void *ctx), void *ctx)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0) {
		return;
	}
	watchdog->loop = loop;
	watchdog->interval_ms = usec / 2000 ? usec / 2000 : 1;
	watchdog->on_beat = on_beat;
	watchdog->ctx = ctx;
	loop_timer_start(&watchdog->timer, loop, watchdog->interval_ms, beat, watchdog);
}

void service_watchdog_stop(struct service_watchdog *watchdog)
{
	loop_timer_stop(&watchdog->timer);
}
