/* SPDX-License-Identifier: MIT */
/*
 * The words for an errno, without strerror()'s shared buffer.
 */
#pragma once

#include <string.h>

static inline const char *errno_text(int error)
{
	const char *text = strerrordesc_np(error);

	return text ? text : "unknown error";
}
