/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes url_parse(): whatever a client calls a URL either becomes parts that are fit for the wire
 * or is refused with a printable reason. The parts of a URL, put together again, parse to the same
 * parts.
 */
#include "net/url.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		assert((unsigned char)*text > 0x20 && (unsigned char)*text < 0x7f);
	}
}

static void check_round_trip(const struct url *url)
{
	struct failure failure = {0};
	struct url again = {0};
	size_t room = strlen(url->authority) + strlen(url->path) + sizeof("https://");
	char *text = malloc(room);
	int length;
	int r;

	assert(text);
	length = snprintf(text, room, "%s://%s%s", url->tls ? "https" : "http", url->authority,
			  url->path);
	assert(length > 0 && (size_t)length < room);
	r = url_parse(text, (size_t)length, &again, &failure);
	/* What was just short enough may be too long with its path or its A-labels spelt out. */
	if (r == 0) {
		assert(again.tls == url->tls && again.port == url->port);
		assert(strcmp(again.host, url->host) == 0);
		assert(strcmp(again.authority, url->authority) == 0);
		assert(strcmp(again.path, url->path) == 0);
		url_fini(&again);
	} else {
		assert((size_t)length > URL_MAX);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct failure failure = {0};
	struct url url = {0};
	int r = url_parse((const char *)data, size, &url, &failure);

	if (r == 0) {
		assert(url.port != 0);
		assert(url.path[0] == '/');
		check_printable(url.host);
		check_printable(url.authority);
		check_printable(url.path);
		check_round_trip(&url);
	} else {
		assert(r > 0 && failure.count > 0 && failure.links[0].text[0] != '\0');
	}
	url_fini(&url);
	return 0;
}
