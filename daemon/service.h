/* SPDX-License-Identifier: MIT */
/*
 * The service manager's side: sockets it hands over, readiness, status, the watchdog. Everything is
 * a no-op when there is none.
 */
#pragma once

#include "base/loop.h"

#include <stdint.h>

/* The listening Unix socket that was handed over, non-blocking, ours to close. -ENOENT: none was.
 * Another negative errno: something was, but no listening Unix stream socket, or more than one. */
int service_take_socket(void);

__attribute__((format(printf, 1, 2))) void service_ready(const char *format, ...);
__attribute__((format(printf, 1, 2))) void service_status(const char *format, ...);
void service_reloading(void);
__attribute__((format(printf, 1, 2))) void service_stopping(const char *format, ...);

/* Feeds the watchdog from the loop, if the manager wants one: a loop that hangs is noticed.
 * `on_beat` is called with every beat. All zero before the start. */
struct service_watchdog {
	struct loop *loop;
	struct loop_timer timer;
	uint64_t interval_ms;
	void (*on_beat)(void *ctx);
	void *ctx;
};
void service_watchdog_start(struct service_watchdog *watchdog, struct loop *loop,
			    void (*on_beat)(void *ctx), void *ctx);
void service_watchdog_stop(struct service_watchdog *watchdog);
