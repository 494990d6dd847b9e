/* SPDX-License-Identifier: MIT */
/*
 * What the code under test calls in place of nghttp2's functions; renamed.txt says which.
 */
#pragma once

#include <nghttp2/nghttp2.h>

int faulty_nghttp2_session_callbacks_new(nghttp2_session_callbacks **ret_callbacks);
int faulty_nghttp2_option_new(nghttp2_option **ret_option);
int faulty_nghttp2_session_client_new2(nghttp2_session **ret_session,
				       const nghttp2_session_callbacks *callbacks, void *user_data,
				       const nghttp2_option *option);
