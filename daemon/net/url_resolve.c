/* SPDX-License-Identifier: MIT */
/*
 * References, resolved against a URL. What names a scheme or a host is a URL of its own and goes
 * through url_parse(), because only that knows names in UTF-8; the rest is uriparser's.
 */
#include "net/url_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uriparser/Uri.h>

bool url_same_origin(const struct url *a, const struct url *b)
{
	return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* A colon before any "/", "?" or "#" ends a scheme (RFC 3986, section 4.2). What is before it may
 * be none: that is url_parse()'s to say. */
static bool has_scheme(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == ':') {
			return true;
		}
		if (text[i] == '/' || text[i] == '?' || text[i] == '#') {
			return false;
		}
	}
	return false;
}

/* "//host/path" */
static int resolve_network_path(const struct url *base, const char *reference, size_t length,
				struct url *ret_url, struct failure *ret_failure)
{
	const char *scheme = base->tls ? "https:" : "http:";
	size_t size = strlen(scheme) + length;
	char *text = malloc(size);
	int rc = 0;

	if (!text) {
		return -ENOMEM;
	}
	memcpy(text, scheme, strlen(scheme));
	memcpy(text + strlen(scheme), reference, length);
	rc = url_parse(text, size, ret_url, ret_failure);
	free(text);
	return rc;
}

static int from_status(int status)
{
	return status == URI_ERROR_MALLOC ? -ENOMEM : -EINVAL;
}

/* The same host, another path or query. */
static int resolve_path(const struct url *base, const UriUriA *reference, struct url *url,
			struct failure *ret_failure)
{
	char *text = url_print(base);
	UriUriA from;
	UriUriA absolute;
	int status = 0;
	int rc = 0;

	if (!text) {
		return -ENOMEM;
	}
	status = uriParseSingleUriExA(&from, text, text + strlen(text), NULL);
	if (status != URI_SUCCESS) {
		free(text);
		return from_status(status);
	}
	status = uriAddBaseUriExA(&absolute, reference, &from, URI_RESOLVE_STRICTLY);
	if (status == URI_SUCCESS) {
		url->path_empty = !absolute.pathHead && !absolute.query.first;
		rc = url_print_path(&absolute, url);
		uriFreeUriMembersA(&absolute);
	} else {
		rc = from_status(status);
	}
	uriFreeUriMembersA(&from);
	free(text);
	if (rc == 0 && strlen(base->tls ? "https://" : "http://") + strlen(base->authority) +
				       strlen(url->path) >
			       URL_MAX) {
		failure_set(ret_failure, FAIL_URL_INVALID, "the URL has more than %u bytes",
			    URL_MAX);
		return FAIL_URL_INVALID;
	}
	return rc;
}

static int resolve(const struct url *base, const char *reference, size_t length, struct url *url,
		   struct failure *ret_failure)
{
	const char *error_at = NULL;
	UriUriA uri;
	int status = uriParseSingleUriExA(&uri, reference, reference + length, &error_at);
	int rc = 0;

	if (status != URI_SUCCESS) {
		if (status == URI_ERROR_MALLOC) {
			return -ENOMEM;
		}
		url_explain_syntax(reference, error_at ? (size_t)(error_at - reference) : 0, length,
				   ret_failure);
		return FAIL_URL_INVALID;
	}
	rc = resolve_path(base, &uri, url, ret_failure);
	uriFreeUriMembersA(&uri);
	if (rc != 0) {
		return rc;
	}
	url->tls = base->tls;
	url->is_address = base->is_address;
	url->port = base->port;
	url->host = strdup(base->host);
	url->authority = strdup(base->authority);
	return url->host && url->authority ? 0 : -ENOMEM;
}

int url_resolve(const struct url *base, const char *reference, size_t length, struct url *ret_url,
		struct failure *ret_failure)
{
	struct url url = {.host = NULL};
	int rc = 0;

	if (has_scheme(reference, length)) {
		return url_parse(reference, length, ret_url, ret_failure);
	}
	if (length > URL_MAX) {
		failure_set(ret_failure, FAIL_URL_INVALID, "%zu bytes, the limit is %u", length,
			    URL_MAX);
		return FAIL_URL_INVALID;
	}
	if (length >= 2 && memcmp(reference, "//", 2) == 0) {
		return resolve_network_path(base, reference, length, ret_url, ret_failure);
	}
	rc = resolve(base, length > 0 ? reference : "", length, &url, ret_failure);
	if (rc != 0) {
		url_fini(&url);
		return rc;
	}
	*ret_url = url;
	return 0;
}
