/* SPDX-License-Identifier: MIT */
/*
 * One line, one write(2), and never a wait for the reader of standard error. The descriptor is
 * shared with whoever started us, so that its O_NONBLOCK is not ours to set: it is asked for room
 * instead. A pipe that polls writable takes a page, a socket takes more; our lines are shorter.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048u /* with its newline */

static enum log_level threshold = LOG_LEVEL_INFO;
static uint64_t dropped;

static const struct {
	const char *name;
	unsigned syslog;
} levels[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARNING] = {"warning", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

int log_level_parse(const char *name, enum log_level *ret_level)
{
	for (unsigned i = 0; i < sizeof(levels) / sizeof(levels[0]); ++i) {
		if (strcmp(name, levels[i].name) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_level_name(enum log_level level)
{
	unsigned i = (unsigned)level;
	return i < sizeof(levels) / sizeof(levels[0]) ? levels[i].name : "unknown";
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level log_get_level(void)
{
	return threshold;
}

uint64_t log_dropped(void)
{
	return dropped;
}

/* Is this file the stream that the journal gave us? It may have been redirected since, so the
 * variable alone does not say. */
static bool is_journal(const struct stat *status)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	if (!stream) {
		return false;
	}
	(void)snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)status->st_dev,
		       (uintmax_t)status->st_ino);
	return strcmp(stream, own) == 0;
}

static size_t print_prefix(char *line, size_t size, enum log_level level, bool journal)
{
	int length;
	if (journal) {
		length = snprintf(line, size, "<%u>", levels[level].syslog);
	} else {
		struct timespec now;
		struct tm utc;
		(void)clock_gettime(CLOCK_REALTIME, &now);
		if (!gmtime_r(&now.tv_sec, &utc)) {
			memset(&utc, 0, sizeof(utc));
		}
		length = snprintf(line, size,
				  "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s: ", utc.tm_year + 1900,
				  utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
				  now.tv_nsec / 1000000, levels[level].name);
	}
	return length < 0 ? 0 : (size_t)length;
}

/* C0, DEL, and C1 in its UTF-8 form, which some terminals obey. */
static void sanitize(char *text, size_t length)
{
	for (size_t i = 0; i < length; ++i) {
		unsigned char byte = (unsigned char)text[i];
		if (byte < 0x20 || byte == 0x7f) {
			text[i] = '?';
		} else if (byte == 0xc2 && i + 1 < length &&
			   ((unsigned char)text[i + 1] & 0xe0u) == 0x80) {
			text[i] = '?';
			text[i + 1] = '?';
		}
	}
}

/* Where to cut so that no UTF-8 sequence is halved. */
static size_t cut_point(const char *text, size_t at)
{
	size_t cut = at;
	while (cut > 0 && at - cut < 3 && ((unsigned char)text[cut] & 0xc0u) == 0x80) {
		--cut;
	}
	return ((unsigned char)text[cut] & 0xc0u) == 0x80 ? at : cut;
}

static bool write_line(const char *line, size_t length, const struct stat *status)
{
	bool is_socket = S_ISSOCK(status->st_mode);
	if (!S_ISREG(status->st_mode)) {
		struct pollfd poller = {.fd = STDERR_FILENO, .events = POLLOUT};
		if (poll(&poller, 1, 0) != 1 || poller.revents != POLLOUT) {
			return false;
		}
	}
	ssize_t written;
	do {
		written = is_socket ? send(STDERR_FILENO, line, length, MSG_DONTWAIT | MSG_NOSIGNAL)
				    : write(STDERR_FILENO, line, length);
	} while (written < 0 && errno == EINTR);
	return written == (ssize_t)length;
}

void log_write(enum log_level level, const char *format, ...)
{
	int saved_errno = errno;
	char line[LINE_MAX_BYTES + 1];
	struct stat status;
	if (fstat(STDERR_FILENO, &status) < 0) {
		++dropped;
		errno = saved_errno;
		return;
	}
	size_t prefix = print_prefix(line, sizeof(line), level, is_journal(&status));

	va_list args;
	va_start(args, format);
	errno = saved_errno; /* for %m */
	int wanted = vsnprintf(line + prefix, LINE_MAX_BYTES - prefix, format, args);
	va_end(args);

	size_t length = prefix;
	if (wanted >= 0) {
		size_t room = LINE_MAX_BYTES - prefix - 1; /* the newline's place */
		if ((size_t)wanted <= room) {
			length += (size_t)wanted;
		} else {
			static const char mark[] = "...";
			length = cut_point(line, LINE_MAX_BYTES - sizeof(mark));
			memcpy(line + length, mark, sizeof(mark) - 1);
			length += sizeof(mark) - 1;
		}
	}
	sanitize(line + prefix, length - prefix);
	line[length++] = '\n';
	if (!write_line(line, length, &status)) {
		++dropped;
	}
	errno = saved_errno;
}
