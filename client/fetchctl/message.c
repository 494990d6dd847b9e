/* SPDX-License-Identifier: MIT */
/* Text for people: errors, and numbers in a readable form. */
#include "cli.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

const char *cli_printable(const char *text, char *buffer, size_t size)
{
	size_t at = 0;

	for (; *text != '\0' && at + 1 < size; text++) {
		unsigned char c = (unsigned char)*text, next = (unsigned char)text[1];

		if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
			/* U+0080 to U+009F: some terminals obey those, too. */
			text++;
			buffer[at++] = '?';
			continue;
		}
		buffer[at++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	buffer[at] = '\0';
	return buffer;
}

void cli_error(const char *format, ...)
{
	char text[10240], clean[10240];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	(void)fprintf(stderr, "fetchctl: %s\n", cli_printable(text, clean, sizeof(clean)));
}

/* The length of user information and its "@" at `text`, where a URL's authority begins. */
static size_t userinfo_length(const char *text)
{
	size_t length = strcspn(text, "/?#");
	const char *at = memrchr(text, '@', length), *bracket, *colon;

	if (at != NULL) {
		return (size_t)(at - text) + 1;
	}
	/* A "port" of something else than digits may be a password with a slash in it. */
	bracket = memrchr(text, ']', length);
	colon = bracket != NULL ? bracket + 1 : memchr(text, ':', length);
	if (colon != NULL && *colon == ':' &&
	    1 + strspn(colon + 1, "0123456789") < length - (size_t)(colon - text)) {
		at = strrchr(colon, '@');
	}
	return at != NULL ? (size_t)(at - text) + 1 : 0;
}

char *cli_shown_url(const char *url)
{
	static const char cut[] = "...@";
	size_t scheme = strcspn(url, ":/?#"), start = 0, hidden, size;
	char *shown;

	if (url[scheme] == ':' && url[scheme + 1] == '/') {
		start = scheme + 1;
	}
	start += strspn(url + start, "/");
	hidden = userinfo_length(url + start);
	size = strlen(url) - hidden + sizeof(cut);
	shown = malloc(size);
	if (shown != NULL) {
		(void)snprintf(shown, size, "%.*s%s%s", (int)start, url, hidden > 0 ? cut : "",
			       url + start + hidden);
	}
	return shown;
}

const char *cli_format_bytes(uint64_t bytes, char *buffer, size_t size)
{
	static const char units[] = "KMGTPE";
	uint64_t whole = bytes, rest = 0;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(buffer, size, "%" PRIu64, bytes);
		return buffer;
	}
	while (whole >= 1024) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	if (whole < 100) {
		(void)snprintf(buffer, size, "%" PRIu64 ".%" PRIu64 "%c", whole, rest * 10 / 1024,
			       units[unit - 1]);
	} else {
		(void)snprintf(buffer, size, "%" PRIu64 "%c", whole, units[unit - 1]);
	}
	return buffer;
}

const char *cli_format_duration(uint64_t ms, char *buffer, size_t size)
{
	uint64_t seconds = ms / 1000;

	if (seconds < 60) {
		(void)snprintf(buffer, size, "%" PRIu64 ".%" PRIu64 "s", seconds, ms % 1000 / 100);
	} else if (seconds < 3600) {
		(void)snprintf(buffer, size, "%" PRIu64 "m%02" PRIu64 "s", seconds / 60,
			       seconds % 60);
	} else if (seconds < 86400) {
		(void)snprintf(buffer, size, "%" PRIu64 "h%02" PRIu64 "m", seconds / 3600,
			       seconds % 3600 / 60);
	} else {
		(void)snprintf(buffer, size, "%" PRIu64 "d%02" PRIu64 "h", seconds / 86400,
			       seconds % 86400 / 3600);
	}
	return buffer;
}

const char *cli_format_maybe(int64_t ms, char *buffer, size_t size)
{
	return ms < 0 ? "-" : cli_format_duration((uint64_t)ms, buffer, size);
}
