/* SPDX-License-Identifier: MIT */
/*
 * Memory that fails when it is told to: that of the daemon's own code, and that of the HTTP/2
 * sessions it makes, which get an allocator for it. The simulated servers' sessions and cmocka are
 * left alone.
 */
#include "sim.h"
#include "wrap.h"

#include <stdlib.h>

void *__wrap_malloc(size_t size)
{
	return sim_allocation_fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return sim_allocation_fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
	return sim_allocation_fails() ? NULL : __real_realloc(memory, size);
}

char *__wrap_strdup(const char *text)
{
	return sim_allocation_fails() ? NULL : __real_strdup(text);
}

/* ---- nghttp2 ---- */

static void *session_malloc(size_t size, void *ctx)
{
	(void)ctx;
	return malloc(size);
}

static void session_free(void *memory, void *ctx)
{
	(void)ctx;
	free(memory);
}

static void *session_calloc(size_t count, size_t size, void *ctx)
{
	(void)ctx;
	return calloc(count, size);
}

static void *session_realloc(void *memory, size_t size, void *ctx)
{
	(void)ctx;
	/* Never fails: libnghttp2 1.52 frees a DATA item twice when the queue of streams that have
	 * some cannot grow. */
	return __real_realloc(memory, size);
}

int __wrap_nghttp2_session_callbacks_new(nghttp2_session_callbacks **ret_callbacks)
{
	return sim_allocation_fails() ? NGHTTP2_ERR_NOMEM
				      : __real_nghttp2_session_callbacks_new(ret_callbacks);
}

int __wrap_nghttp2_option_new(nghttp2_option **ret_option)
{
	return sim_allocation_fails() ? NGHTTP2_ERR_NOMEM : __real_nghttp2_option_new(ret_option);
}

int __wrap_nghttp2_session_client_new2(nghttp2_session **ret_session,
				       const nghttp2_session_callbacks *callbacks, void *user_data,
				       const nghttp2_option *option)
{
	nghttp2_mem memory = {.malloc = session_malloc,
			      .free = session_free,
			      .calloc = session_calloc,
			      .realloc = session_realloc};

	return nghttp2_session_client_new3(ret_session, callbacks, user_data, option, &memory);
}

static uint64_t consumed;

uint64_t wrap_consumed(void)
{
	return consumed;
}

int __wrap_nghttp2_session_consume_connection(nghttp2_session *session, size_t size)
{
	int rc = __real_nghttp2_session_consume_connection(session, size);

	consumed += rc == 0 ? size : 0;
	return rc;
}
