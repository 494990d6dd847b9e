/* SPDX-License-Identifier: MIT */
/* client/fetchctl/options.c and message.c: numbers in and out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli.h"

#include <errno.h>
#include <stdlib.h>

static void test_sizes(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t bytes;
	} cases[] = {
		{"0", 0, 0},
		{"17", 0, 17},
		{"1K", 0, 1024},
		{"2m", 0, 2097152},
		{"3G", 0, 3221225472},
		{"18446744073709551614", 0, UINT64_MAX - 1},
		{"18446744073709551615", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"17179869184G", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"K", -EINVAL, 0},
		{"1KB", -EINVAL, 0},
		{"1T", -EINVAL, 0},
		{"1.5K", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t bytes = 4711;

		assert_int_equal(cli_parse_size(cases[i].text, &bytes), cases[i].error);
		assert_int_equal(bytes, cases[i].error == 0 ? cases[i].bytes : 4711);
	}
}

static void test_seconds(void **state)
{
	static const struct {
		const char *text;
		int error;
		uint64_t ms;
	} cases[] = {
		{"0", 0, 0},
		{"7", 0, 7000},
		{"2.5", 0, 2500},
		{"0.001", 0, 1},
		{"1.25", 0, 1250},
		{"4294967295", 0, 4294967295000},
		{"4294967296", -ERANGE, 0},
		{"", -EINVAL, 0},
		{".5", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1.0001", -EINVAL, 0},
		{"1s", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t ms = 4711;

		assert_int_equal(cli_parse_seconds(cases[i].text, &ms), cases[i].error);
		assert_int_equal(ms, cases[i].error == 0 ? cases[i].ms : 4711);
	}
}

static void test_numbers(void **state)
{
	uint64_t number = 0;

	(void)state;
	assert_int_equal(cli_parse_number("5", 1, 5, &number), 0);
	assert_int_equal(number, 5);
	assert_int_equal(cli_parse_number("6", 1, 5, &number), -ERANGE);
	assert_int_equal(cli_parse_number("0", 1, 5, &number), -ERANGE);
	assert_int_equal(cli_parse_number("5x", 1, 5, &number), -EINVAL);
	assert_int_equal(number, 5);
}

static void test_texts(void **state)
{
	char text[32];

	(void)state;
	assert_string_equal(cli_format_bytes(0, text, sizeof(text)), "0");
	assert_string_equal(cli_format_bytes(1023, text, sizeof(text)), "1023");
	assert_string_equal(cli_format_bytes(1024, text, sizeof(text)), "1.0K");
	assert_string_equal(cli_format_bytes(1536, text, sizeof(text)), "1.5K");
	assert_string_equal(cli_format_bytes(102400, text, sizeof(text)), "100K");
	assert_string_equal(cli_format_bytes(UINT64_MAX, text, sizeof(text)), "15.9E");
	assert_string_equal(cli_format_duration(5130, text, sizeof(text)), "5.1s");
	assert_string_equal(cli_format_duration(200000, text, sizeof(text)), "3m20s");
	assert_string_equal(cli_format_duration(7500000, text, sizeof(text)), "2h05m");
	assert_string_equal(cli_format_duration(349200000, text, sizeof(text)), "4d01h");
	assert_string_equal(cli_printable("a\033[2Jb\n", text, sizeof(text)), "a?[2Jb?");
	assert_string_equal(cli_printable("abc", text, 3), "ab");
	/* U+009B begins a sequence as ESC [ does; U+00E4 and U+00A0 are text. */
	assert_string_equal(cli_printable("\xc2\x9b"
					  "2J\xc3\xa4\xc2\xa0\xc2",
					  text, sizeof(text)),
			    "?2J\xc3\xa4\xc2\xa0\xc2");
}

static void test_shown_urls(void **state)
{
	static const char *const cases[][2] = {
		{"https://user:secret@host/a", "https://...@host/a"},
		{"https://user:secret@host", "https://...@host"},
		{"https://user@host:1/a@b", "https://...@host:1/a@b"},
		{"https://a@b:secret@[::1]:1?c@d#e@f", "https://...@[::1]:1?c@d#e@f"},
		{"https://@host/", "https://...@host/"},
		/* What is no URL, but may hold a password all the same. */
		{"user:secret@host/a", "...@host/a"},
		{"https:user:secret@host/a", "...@host/a"},
		{"https:/user:secret@host/a", "https:/...@host/a"},
		{"//user:secret@host/a", "//...@host/a"},
		{"https://user:se/cret@host/a", "https://...@host/a"},
		{"https://user:1/secret?@host", "https://user:1/secret?@host"},
		{"https://user:se#c@ret@host/", "https://...@host/"},
		/* Nothing to hide. */
		{"https://host/@user", "https://host/@user"},
		{"https://host:443/@user", "https://host:443/@user"},
		{"https://host:/@user", "https://host:/@user"},
		{"https://[::1]/@user", "https://[::1]/@user"},
		{"https://[::1]:443/@user", "https://[::1]:443/@user"},
		{"https://host?a@b", "https://host?a@b"},
		{"https://host#a:b@c", "https://host#a:b@c"},
		{"nonsense", "nonsense"},
		{"https://", "https://"},
		{":", ":"},
		{"", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *shown = cli_shown_url(cases[i][0]);

		assert_non_null(shown);
		assert_string_equal(shown, cases[i][1]);
		free(shown);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),      cmocka_unit_test(test_seconds),
		cmocka_unit_test(test_numbers),    cmocka_unit_test(test_texts),
		cmocka_unit_test(test_shown_urls),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
