/* SPDX-License-Identifier: MIT */
/*
 * What url.c, url_host.c and url_resolve.c share.
 */
#pragma once

#include "base/failure.h"

#include "net/url.h"

#include <stdbool.h>
#include <stddef.h>

struct UriUriStructA; /* uriparser's */

/* Makes the host of an authority (brackets included, port not) fit for DNS and certificates. 0 and
 * *ret_host (malloc()ed, without brackets, for struct url) and *ret_is_address; FAIL_URL_HOST with
 * *ret_failure; -ENOMEM. */
int url_host_prepare(const char *text, size_t length, char **ret_host, bool *ret_is_address,
		     struct failure *ret_failure);
/* Sets url->path to the path and query of `uri`. 0 or -ENOMEM. */
int url_print_path(const struct UriUriStructA *uri, struct url *url);
/* Why uriparser does not take `text`, which it read up to `offset`. */
void url_explain_syntax(const char *text, size_t offset, size_t length,
			struct failure *ret_failure);
