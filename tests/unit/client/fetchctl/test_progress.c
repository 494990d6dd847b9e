/* SPDX-License-Identifier: MIT */
/* client/fetchctl/progress.c: what a line says, and that it never breaks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "progress.h"

#include <string.h>

static const char *line(const struct progress_row *row, size_t width)
{
	static char text[512];

	return progress_format(row, width, text, sizeof(text));
}

static void test_lines(void **state)
{
	struct progress_row row = {
		.name = "file.iso",
		.waiting_for = "",
		.received_bytes = 1572864,
		.total_bytes = 6291456,
		.rate_bytes_per_s = 1048576,
	};

	(void)state;
	assert_string_equal(line(&row, 60),
			    "file.iso               25%  1.5M/6.0M    1.0M/s  ETA 5s");
	row.rate_bytes_per_s = 0;
	assert_null(strstr(line(&row, 80), "ETA"));
	row.total_bytes = -1;
	assert_null(strchr(line(&row, 80), '%'));
	assert_non_null(strstr(line(&row, 80), "1.5M"));
	row.waiting_for = "a stream slot";
	assert_non_null(strstr(line(&row, 80), "a stream slot"));
	row.waiting_for = "evil\033[2J";
	assert_null(strchr(line(&row, 80), '\033'));
}

static void test_extremes(void **state)
{
	struct progress_row row = {
		.name = "",
		.waiting_for = "",
		.received_bytes = UINT64_MAX,
		.total_bytes = INT64_MAX,
		.rate_bytes_per_s = 1,
	};

	(void)state;
	assert_non_null(strstr(line(&row, 80), "100%"));
	row.received_bytes = (uint64_t)INT64_MAX / 2;
	assert_non_null(strstr(line(&row, 80), " 50%"));
	row.received_bytes = 0;
	assert_non_null(strstr(line(&row, 80), "  0%"));
	row.total_bytes = 0;
	(void)line(&row, 80);
}

static void test_done(void **state)
{
	struct progress_row row = {
		.name = "file.iso",
		.waiting_for = "",
		.received_bytes = 6291456,
		.total_bytes = 6291456,
		.rate_bytes_per_s = 1048576,
		.done = true,
		.elapsed_ms = 6012,
	};

	(void)state;
	assert_string_equal(line(&row, 60),
			    "file.iso              100%       6.0M    1.0M/s  in 6.0s");
	/* Also of what had no length, or no body. */
	row.total_bytes = -1;
	assert_non_null(strstr(line(&row, 80), "100%       6.0M"));
	row.received_bytes = 0;
	row.elapsed_ms = 999;
	assert_non_null(strstr(line(&row, 80), "100%       0  "));
	assert_non_null(strstr(line(&row, 80), "  in 999ms"));
	row.elapsed_ms = UINT64_MAX;
	(void)line(&row, 80);
}

static void test_never_wider(void **state)
{
	struct progress_row row = {
		/* Three columns of two bytes each, again and again. */
		.name = "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc",
		.waiting_for = "",
		.received_bytes = 1,
		.total_bytes = 2,
	};

	(void)state;
	for (size_t width = 0; width < 100; width++) {
		const char *text = line(&row, width);
		size_t columns = 0;

		for (const char *at = text; *at != '\0'; at++) {
			columns += ((unsigned char)*at & 0xc0) != 0x80;
		}
		assert_true(columns <= width);
		/* A character is there in whole or not at all. */
		if (text[0] != '\0' && (unsigned char)text[strlen(text) - 1] >= 0x80) {
			assert_true(((unsigned char)text[strlen(text) - 1] & 0xc0) == 0x80);
		}
	}
}

static void test_rate(void **state)
{
	struct progress_rate rate = {0};

	(void)state;
	progress_rate_update(&rate, 1000, 0);
	assert_int_equal(rate.bytes_per_s, 0);
	progress_rate_update(&rate, 1100, 500); /* too soon to say */
	assert_int_equal(rate.bytes_per_s, 0);
	progress_rate_update(&rate, 2000, 4000);
	assert_int_equal(rate.bytes_per_s, 4000);
	progress_rate_update(&rate, 3000, 4000); /* stands still */
	assert_int_equal(rate.bytes_per_s, 3000);
	/* Begun anew, after a retry. */
	progress_rate_update(&rate, 4000, 10);
	assert_int_equal(rate.bytes_per_s, 0);
}

static void test_off_without_a_terminal(void **state)
{
	struct progress_row row = {.name = "x", .waiting_for = "", .total_bytes = -1};
	struct progress progress;
	FILE *out = tmpfile();

	(void)state;
	assert_non_null(out);
	progress_init(&progress, out);
	assert_false(progress_due(&progress, 1000000));
	progress_draw(&progress, &row, 1, 1000000);
	progress_keep(&progress, &row);
	progress_clear(&progress);
	assert_false(progress_due(&progress, 2000000));
	assert_int_equal(ftell(out), 0);
	(void)fclose(out);
}

static void test_drawing(void **state)
{
	struct progress_row rows[2] = {
		{.name = "one", .waiting_for = "", .total_bytes = -1},
		{.name = "two", .waiting_for = "", .total_bytes = -1},
	};
	struct progress progress = {.out = tmpfile()};
	char text[2048] = {0};

	(void)state;
	assert_non_null(progress.out);
	progress_draw(&progress, rows, 2, 5000);
	assert_false(progress_due(&progress, 5099));
	assert_true(progress_due(&progress, 5100));
	progress_draw(&progress, rows, 1, 5100);
	progress_clear(&progress);
	progress_clear(&progress);
	rewind(progress.out);
	assert_true(fread(text, 1, sizeof(text) - 1, progress.out) > 0);
	/* Two lines down, two up; one down, one up and away; and that once. */
	assert_non_null(strstr(text, "\033[2A"));
	assert_non_null(strstr(text, "\r\033[1A\033[J"));
	assert_string_equal(strstr(text, "\r\033[1A\033[J"), "\r\033[1A\033[J");
	(void)fclose(progress.out);
}

static void test_keeping(void **state)
{
	struct progress_row rows[2] = {
		{.name = "one", .waiting_for = "", .total_bytes = -1},
		{.name = "two", .waiting_for = "", .total_bytes = -1},
	};
	struct progress_row done = {.name = "one", .waiting_for = "", .done = true};
	struct progress progress = {.out = tmpfile()};
	char text[2048] = {0};
	const char *kept;

	(void)state;
	assert_non_null(progress.out);
	progress_draw(&progress, rows, 2, 5000);
	progress_keep(&progress, &done);
	/* The others should be there again at once. */
	assert_true(progress_due(&progress, 5000));
	progress_draw(&progress, &rows[1], 1, 5000);
	assert_false(progress_due(&progress, 5001));
	progress_clear(&progress);
	rewind(progress.out);
	assert_true(fread(text, 1, sizeof(text) - 1, progress.out) > 0);
	/* In the place of the two, with nothing below; and what comes later leaves it alone. */
	kept = strstr(text, "\r\033[2Aone ");
	assert_non_null(kept);
	assert_non_null(strstr(kept, "100%"));
	kept = strstr(kept, "\033[K\n\033[Jtwo ");
	assert_non_null(kept);
	assert_non_null(strstr(kept, "\r\033[1A\033[J"));
	assert_null(strstr(kept, "\033[2A"));
	(void)fclose(progress.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),    cmocka_unit_test(test_done),
		cmocka_unit_test(test_extremes), cmocka_unit_test(test_never_wider),
		cmocka_unit_test(test_rate),     cmocka_unit_test(test_off_without_a_terminal),
		cmocka_unit_test(test_drawing),  cmocka_unit_test(test_keeping),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
