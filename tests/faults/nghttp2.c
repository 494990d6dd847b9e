/* SPDX-License-Identifier: MIT */
/*
 * The sessions of the code under test allocate as it does. nghttp2's other objects are made and
 * freed at once, and take no allocator: their constructors fail.
 */
#include "faults/nghttp2.h"

#include "faults/allocations.h"

#include <stdlib.h>

static void *session_malloc(size_t size, void *ctx)
{
	(void)ctx;
	return faulty_malloc(size);
}

static void session_free(void *memory, void *ctx)
{
	(void)ctx;
	free(memory);
}

static void *session_calloc(size_t count, size_t size, void *ctx)
{
	(void)ctx;
	return faulty_calloc(count, size);
}

/* Does not fail. A queue that cannot grow makes nghttp2 1.52 free a frame with a request's body
 * twice: once at once, and once in nghttp2_session_del(). */
static void *session_realloc(void *memory, size_t size, void *ctx)
{
	(void)ctx;
	return realloc(memory, size);
}

int faulty_nghttp2_session_callbacks_new(nghttp2_session_callbacks **ret_callbacks)
{
	return allocation_fails() ? NGHTTP2_ERR_NOMEM
				  : nghttp2_session_callbacks_new(ret_callbacks);
}

int faulty_nghttp2_option_new(nghttp2_option **ret_option)
{
	return allocation_fails() ? NGHTTP2_ERR_NOMEM : nghttp2_option_new(ret_option);
}

int faulty_nghttp2_session_client_new2(nghttp2_session **ret_session,
				       const nghttp2_session_callbacks *callbacks, void *user_data,
				       const nghttp2_option *option)
{
	nghttp2_mem memory = {.malloc = session_malloc,
			      .free = session_free,
			      .calloc = session_calloc,
			      .realloc = session_realloc};

	return nghttp2_session_client_new3(ret_session, callbacks, user_data, option, &memory);
}
