/* SPDX-License-Identifier: MIT */
#include "http/content_range.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LARGEST UINT64_C(9223372036854775807)

/* From memory that ends where the value does, so that a look beyond it is seen. */
static bool parse(const char *value, size_t length, struct content_range *ret_range)
{
	char *copy = malloc(length ? length : 1);
	bool good = false;

	assert_non_null(copy);
	memcpy(copy, value, length);
	good = content_range_parse(copy, length, ret_range);
	free(copy);
	return good;
}

static void good(void **state)
{
	static const struct {
		const char *value;
		struct content_range range;
	} table[] = {
		{"bytes 0-99/200", {true, 0, 99, true, 200}},
		{"bytes 42-1233/1234", {true, 42, 1233, true, 1234}},
		{"bytes 42-1233/*", {true, 42, 1233, false, 0}},
		{"bytes */1234", {false, 0, 0, true, 1234}},
		{"bytes */0", {false, 0, 0, true, 0}},
		{"bytes 0-0/1", {true, 0, 0, true, 1}},
		{"bytes 0-0/*", {true, 0, 0, false, 0}},
		{"BYTES 1-2/3", {true, 1, 2, true, 3}},
		{"ByTeS */3", {false, 0, 0, true, 3}},
		{"bytes 007-0008/00009", {true, 7, 8, true, 9}},
		{"bytes 9223372036854775806-9223372036854775806/9223372036854775807",
		 {true, LARGEST - 1, LARGEST - 1, true, LARGEST}},
		{"bytes 0-9223372036854775807/*", {true, 0, LARGEST, false, 0}},
		{"bytes */9223372036854775807", {false, 0, 0, true, LARGEST}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct content_range range = {true, 1, 2, true, 3};
		const struct content_range *expected = &table[i].range;

		if (!parse(table[i].value, strlen(table[i].value), &range)) {
			fail_msg("\"%s\" was refused", table[i].value);
		}
		if (range.has_range != expected->has_range || range.first != expected->first ||
		    range.last != expected->last || range.has_complete != expected->has_complete ||
		    range.complete != expected->complete) {
			fail_msg("\"%s\": %d %zu-%zu %d %zu", table[i].value, range.has_range,
				 (size_t)range.first, (size_t)range.last, range.has_complete,
				 (size_t)range.complete);
		}
	}
}

static void bad(void **state)
{
	static const char *const table[] = {
		/* No form at all. */
		"",
		"b",
		"bytes",
		"bytes ",
		"bytes *",
		"bytes /",
		"bytes */*",
		"bytes */",
		"bytes /5",
		"bytes -",
		"bytes 1",
		"bytes 1-",
		"bytes 1-2",
		"bytes 1-2/",
		"bytes -2/3",
		"bytes 1-/3",
		"bytes -5/*",
		"bytes **/5",
		"bytes 1*/5",
		"bytes 1-*/5",
		"bytes *-2/5",
		"bytes 1-2/3*",
		"bytes 1-2/*3",
		"bytes 1-2/**",
		"bytes 1--2/3",
		"bytes 1-2//3",
		"bytes 1-2/3/4",
		"bytes 1-2/3,4-5/6",
		"bytes 1-2,4-5/6",
		"1-2/3",
		"*/3",
		/* Blanks where there are none, or none where there is one. */
		"bytes1-2/3",
		"bytes  1-2/3",
		"bytes\t1-2/3",
		" bytes 1-2/3",
		"bytes 1-2/3 ",
		"bytes 1 -2/3",
		"bytes 1- 2/3",
		"bytes 1-2 /3",
		"bytes 1-2/ 3",
		"bytes */ 3",
		"bytes 1-2/*\t",
		"bytes= 1-2/3",
		"bytes=1-2/3",
		"bytes: 1-2/3",
		/* Other units. */
		"items 1-2/3",
		"byte 1-2/3",
		"bytess 1-2/3",
		"none */3",
		/* No digits. */
		"bytes +1-2/3",
		"bytes 1-+2/3",
		"bytes 1-2/+3",
		"bytes 0x1-2/3",
		"bytes 1-2/3e5",
		"bytes 1.0-2/3",
		"bytes a-b/c",
		"bytes 1-2/-3",
		"bytes \xd9\xa1-2/3",
		/* Contradictions. */
		"bytes 2-1/5",
		"bytes 1-2/2",
		"bytes 1-2/1",
		"bytes 0-0/0",
		"bytes 2-1/*",
		"bytes 9223372036854775807-9223372036854775807/9223372036854775807",
		/* Above INT64_MAX, up to where 64 and 128 bits wrap. */
		"bytes 9223372036854775808-9223372036854775809/*",
		"bytes 0-9223372036854775808/*",
		"bytes 0-1/9223372036854775808",
		"bytes */9223372036854775808",
		"bytes 18446744073709551616-18446744073709551617/*",
		"bytes 0-18446744073709551616/18446744073709551620",
		"bytes */18446744073709551617",
		"bytes */340282366920938463463374607431768211457",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct content_range before = {true, 11, 22, true, 33};
		struct content_range range = before;

		if (parse(table[i], strlen(table[i]), &range)) {
			fail_msg("\"%s\" was taken", table[i]);
		}
		assert_true(range.has_range && range.has_complete);
		assert_int_equal(range.first, before.first);
		assert_int_equal(range.last, before.last);
		assert_int_equal(range.complete, before.complete);
	}
}

/* The length counts, not what stands behind it. */
static void bytes_not_strings(void **state)
{
	struct content_range range;

	(void)state;
	assert_true(content_range_parse("bytes 1-2/345", 11, &range));
	assert_int_equal(range.complete, 3);
	assert_true(content_range_parse("bytes 1-2/345", 12, &range));
	assert_int_equal(range.complete, 34);
	assert_false(content_range_parse("bytes 1-2/345", 10, &range));
	assert_false(content_range_parse("bytes 1-2/3\0", 12, &range));
	assert_false(content_range_parse("bytes\0001-2/3", 11, &range));
	assert_false(content_range_parse("bytes 1\0-2/3", 12, &range));
	assert_false(content_range_parse(NULL, 0, &range));
}

/* Every beginning of a good value but the whole is refused or is a good value itself. */
static void beginnings(void **state)
{
	static const char value[] = "bytes 10-19/200";

	(void)state;
	for (size_t length = 0; length <= strlen(value); length++) {
		struct content_range range;
		bool good_here = parse(value, length, &range);

		/* "bytes 10-19/20" and the whole: the complete length has to be above 19. */
		assert_int_equal(good_here, length >= strlen(value) - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good),
		cmocka_unit_test(bad),
		cmocka_unit_test(bytes_not_strings),
		cmocka_unit_test(beginnings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
