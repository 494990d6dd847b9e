/* SPDX-License-Identifier: MIT */
/*
 * The functions of libc and libnghttp2 that the linker turns over to the simulation (--wrap, see
 * CMakeLists.txt). What has a __real_ name here is what the simulation itself uses.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

#include <nghttp2/nghttp2.h>

/* ---- memory: alloc.c ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
char *__wrap_strdup(const char *text);

/* ---- HTTP/2 sessions of the daemon: alloc.c ---- */

int __real_nghttp2_session_callbacks_new(nghttp2_session_callbacks **ret_callbacks);
int __wrap_nghttp2_session_callbacks_new(nghttp2_session_callbacks **ret_callbacks);
int __real_nghttp2_option_new(nghttp2_option **ret_option);
int __wrap_nghttp2_option_new(nghttp2_option **ret_option);
int __wrap_nghttp2_session_client_new2(nghttp2_session **ret_session,
				       const nghttp2_session_callbacks *callbacks, void *user_data,
				       const nghttp2_option *option);
int __real_nghttp2_session_consume_connection(nghttp2_session *session, size_t size);
int __wrap_nghttp2_session_consume_connection(nghttp2_session *session, size_t size);

/* Bytes given back to connections' windows so far. */
uint64_t wrap_consumed(void);

/* ---- assertions of the daemon's: sim.c ---- */

_Noreturn void __wrap___assert_fail(const char *assertion, const char *file, unsigned line,
				    const char *function);

/* ---- time and chance: sim.c ---- */

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags);
time_t __wrap_time(time_t *ret_time);

/* ---- sockets: sockets.c ---- */

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_socket(int family, int type, int protocol);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *length);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t length);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t length, int flags);
