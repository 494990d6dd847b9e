/* SPDX-License-Identifier: MIT */
/*
 * The log. Standard error is replaced by a pipe, a socket, a file for the time of one line, and put
 * back before anything is asserted: cmocka needs it.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int saved_stderr = -1;

static void redirect(int fd)
{
	saved_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	assert_true(saved_stderr >= 0);
	assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
}

static void restore(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
}

/* What is in the pipe or socket now, as a string; it does not wait. */
static const char *drain(int fd)
{
	static char text[8192];
	fcntl(fd, F_SETFL, O_NONBLOCK);
	ssize_t length = read(fd, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void announce_journal(int fd)
{
	char value[64];
	struct stat status;
	assert_int_equal(fstat(fd, &status), 0);
	snprintf(value, sizeof(value), "%ju:%ju", (uintmax_t)status.st_dev,
		 (uintmax_t)status.st_ino);
	assert_int_equal(setenv("JOURNAL_STREAM", value, 1), 0);
}

static int reset(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static void level_names(void **state)
{
	(void)state;
	enum log_level level = LOG_LEVEL_ERROR;
	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_string_equal(log_level_name(level), "debug");
	assert_int_equal(log_level_parse("Info", &level), -EINVAL);
	assert_int_equal(log_level_parse("", &level), -EINVAL);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_DEBUG; ++i) {
		assert_int_equal(log_level_parse(log_level_name((enum log_level)i), &level), 0);
		assert_int_equal(level, i);
	}
	assert_string_equal(log_level_name((enum log_level)77), "unknown");
}

static void journal_lines_have_a_priority(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	announce_journal(fds[1]);
	redirect(fds[1]);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("e %d", 1);
	log_warning("w");
	log_info("i");
	log_debug("d");
	restore();
	assert_string_equal(drain(fds[0]), "<3>e 1\n<4>w\n<6>i\n<7>d\n");
	close(fds[0]);
	close(fds[1]);
}

static void other_streams_get_a_timestamp(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	/* Of another file: not ours any more. */
	announce_journal(STDIN_FILENO);
	redirect(fds[1]);
	log_warning("hello");
	log_debug("not at this level");
	restore();
	const char *line = drain(fds[0]);
	unsigned year, month, day, hour, minute, second, milli;
	int end = 0;
	assert_int_equal(sscanf(line, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day, &hour,
				&minute, &second, &milli, &end),
			 7);
	assert_int_equal(end, 25);
	assert_string_equal(line + end, "warning: hello\n");
	assert_true(year >= 2020 && month >= 1 && month <= 12 && day >= 1 && day <= 31);
	close(fds[0]);
	close(fds[1]);
}

static void line_is_one_clean_line(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	announce_journal(fds[1]);
	redirect(fds[1]);
	log_info("a\nb\r\t\x1b[1m\x7f \xc3\xa9 \xe2\x82\xac \xc2\x9b \xc2\xa0.");
	restore();
	assert_string_equal(drain(fds[0]), "<6>a?b???[1m? \xc3\xa9 \xe2\x82\xac ?? \xc2\xa0.\n");
	close(fds[0]);
	close(fds[1]);
}

static void long_line_is_cut(void **state)
{
	(void)state;
	int fds[2];
	char text[5000];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	announce_journal(fds[1]);
	for (unsigned shift = 0; shift < 3; ++shift) {
		size_t length = 0;
		while (length < shift) {
			text[length++] = '.';
		}
		while (length + 3 < sizeof(text)) {
			memcpy(text + length, "\xe2\x82\xac", 3);
			length += 3;
		}
		text[length] = '\0';
		redirect(fds[1]);
		log_info("%s", text);
		restore();
		const char *line = drain(fds[0]);
		size_t got = strlen(line);
		assert_in_range(got, 2045, 2048);
		assert_string_equal(line + got - 4, "...\n");
		/* Between the prefix and the dots: whole characters. */
		assert_int_equal((got - 3 - shift - 4) % 3, 0);
		assert_memory_equal(line + 3, text, got - 7);
	}
	/* The longest that fits is not cut. */
	memset(text, 'x', 2044);
	text[2044] = '\0';
	redirect(fds[1]);
	log_info("%s", text);
	restore();
	const char *line = drain(fds[0]);
	assert_int_equal(strlen(line), 2048);
	assert_string_equal(line + 2044, "xxx\n");
	close(fds[0]);
	close(fds[1]);
}

static void errno_is_kept_and_printable(void **state)
{
	(void)state;
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	announce_journal(fds[1]);
	redirect(fds[1]);
	errno = ENOSPC;
	log_info("%m");
	int after = errno;
	restore();
	assert_int_equal(after, ENOSPC);
	assert_string_equal(drain(fds[0]), "<6>No space left on device\n");
	close(fds[0]);
	close(fds[1]);
}

/* Writes until nothing goes in any more. */
static void fill(int fd)
{
	static const char block[512];
	int flags = fcntl(fd, F_GETFL);
	fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	while (write(fd, block, sizeof(block)) > 0) {
	}
	fcntl(fd, F_SETFL, flags);
}

static void full_stream_drops_and_counts(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind < 2; ++kind) {
		int fds[2];
		if (kind == 0) {
			assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
		} else {
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds),
					 0);
		}
		fill(fds[1]);
		uint64_t before = log_dropped();
		/* The descriptor blocks; if the log did too, the test would hang here. */
		redirect(fds[1]);
		errno = 0;
		log_info("lost");
		int after = errno;
		restore();
		assert_int_equal(log_dropped(), before + 1);
		assert_int_equal(after, 0);
		assert_false(fcntl(fds[1], F_GETFL) & O_NONBLOCK);
		close(fds[0]);
		close(fds[1]);
	}
}

static void gone_reader_is_no_signal(void **state)
{
	(void)state;
	int fds[2];
	uint64_t before = log_dropped();
	assert_ptr_not_equal(signal(SIGPIPE, SIG_DFL), SIG_ERR);
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	close(fds[0]);
	redirect(fds[1]);
	log_info("lost");
	restore();
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	close(fds[0]);
	redirect(fds[1]);
	log_info("lost");
	restore();
	close(fds[1]);
	assert_int_equal(log_dropped(), before + 2);
}

static void closed_stderr_is_counted(void **state)
{
	(void)state;
	uint64_t before = log_dropped();
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	redirect(fd);
	close(STDERR_FILENO);
	log_info("lost");
	restore();
	close(fd);
	assert_int_equal(log_dropped(), before + 1);
}

static void regular_file_takes_lines(void **state)
{
	(void)state;
	char name[] = "/tmp/fetchd-test-log-XXXXXX";
	int fd = mkostemp(name, O_CLOEXEC);
	assert_true(fd >= 0);
	unlink(name);
	announce_journal(fd);
	redirect(fd);
	log_info("one");
	log_info("two");
	restore();
	char text[64] = "";
	assert_int_equal(pread(fd, text, sizeof(text) - 1, 0), 14);
	assert_string_equal(text, "<6>one\n<6>two\n");
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(level_names, reset),
		cmocka_unit_test_setup(journal_lines_have_a_priority, reset),
		cmocka_unit_test_setup(other_streams_get_a_timestamp, reset),
		cmocka_unit_test_setup(line_is_one_clean_line, reset),
		cmocka_unit_test_setup(long_line_is_cut, reset),
		cmocka_unit_test_setup(errno_is_kept_and_printable, reset),
		cmocka_unit_test_setup(full_stream_drops_and_counts, reset),
		cmocka_unit_test_setup(gone_reader_is_no_signal, reset),
		cmocka_unit_test_setup(closed_stderr_is_counted, reset),
		cmocka_unit_test_setup(regular_file_takes_lines, reset),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
