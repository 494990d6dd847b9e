/* SPDX-License-Identifier: MIT */
/*
 * What url.c and url_host.c share.
 */
#pragma once

#include "base/failure.h"

#include <stdbool.h>
#include <stddef.h>

/* Makes the host of an authority (brackets included, port not) fit for DNS and certificates. 0 and
 * *ret_host (malloc()ed, without brackets, for struct url) and *ret_is_address; FAIL_URL_HOST with
 * *ret_failure; -ENOMEM. */
int url_host_prepare(const char *text, size_t length, char **ret_host, bool *ret_is_address,
		     struct failure *ret_failure);
