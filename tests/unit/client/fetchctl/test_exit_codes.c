/* SPDX-License-Identifier: MIT */
/* client/fetchctl/exit_codes.c: the table is right, and --help and the man page say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exit_codes.h"

#include <stdlib.h>
#include <string.h>

#define MAN_PAGE "../docs/man/fetchctl.1.scd"

static void test_every_reason_has_its_own(void **state)
{
	(void)state;
	assert_int_equal(exit_code_of(FETCHD_CLOSE_ENDED), 0);
	assert_int_equal(exit_code_of(FETCHD_CLOSE_DAEMON_LOST), EXIT_CODE_DAEMON_LOST);
	assert_int_equal(exit_code_of((enum fetchd_close_reason)500), EXIT_CODE_REASON);
	for (int reason = 2; reason <= FETCHD_CLOSE_SHUTDOWN; reason++) {
		const char *name = fetchd_close_reason_name((enum fetchd_close_reason)reason);
		int code = exit_code_of((enum fetchd_close_reason)reason);

		/* A reason that the protocol has and the table forgot would show here. */
		assert_int_equal(code, strcmp(name, "UNSPECIFIED") == 0
					       ? EXIT_CODE_REASON
					       : EXIT_CODE_REASON + reason);
	}
}

static void test_table_is_in_order(void **state)
{
	(void)state;
	for (size_t i = 0; i < exit_code_count(); i++) {
		struct exit_code_entry entry = exit_code_entry(i);

		assert_non_null(entry.text);
		assert_true(entry.text[0] != '\0');
		/* 126 and above belong to the shell, but for signals. */
		assert_true(entry.code < 126 || entry.code == 130 || entry.code == 143);
		assert_true(i == 0 || entry.code > exit_code_entry(i - 1).code);
	}
}

/* Whole text of a stream, backslashes removed: the man page escapes underscores. */
static char *read_all(FILE *in)
{
	char *text = calloc(1, 1 << 20);
	size_t length = 0;
	int c;

	assert_non_null(text);
	while ((c = fgetc(in)) != EOF && length + 1 < 1 << 20) {
		if (c != '\\') {
			text[length++] = (char)c;
		}
	}
	return text;
}

static size_t count_of(const char *text, const char *part)
{
	size_t count = 0;

	for (; (text = strstr(text, part)) != NULL; text++) {
		count++;
	}
	return count;
}

static void test_man_page_and_help(void **state)
{
	FILE *page = fopen(MAN_PAGE, "re"), *help = tmpfile();
	char *page_text, *help_text;

	(void)state;
	assert_non_null(page);
	assert_non_null(help);
	page_text = read_all(page);
	exit_codes_print(help);
	rewind(help);
	help_text = read_all(help);
	for (size_t i = 0; i < exit_code_count(); i++) {
		struct exit_code_entry entry = exit_code_entry(i);
		char line[256];

		(void)snprintf(line, sizeof(line), "\n*%d* %s: %s\n", entry.code, entry.name,
			       entry.text);
		assert_int_equal(count_of(page_text, line), 1);
		(void)snprintf(line, sizeof(line), "\n  %3d %s: %s\n", entry.code, entry.name,
			       entry.text);
		assert_int_equal(count_of(help_text, line), 1);
	}
	/* And no more than these: one blank line before each entry, and such a line nowhere else.
	 */
	size_t entries = 0;
	for (int digit = '0'; digit <= '9'; digit++) {
		char start[] = {'\n', '*', (char)digit, '\0'};

		entries += count_of(page_text, start);
	}
	assert_int_equal(entries, exit_code_count());
	free(page_text);
	free(help_text);
	(void)fclose(page);
	(void)fclose(help);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_reason_has_its_own),
		cmocka_unit_test(test_table_is_in_order),
		cmocka_unit_test(test_man_page_and_help),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
