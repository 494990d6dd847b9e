/* SPDX-License-Identifier: MIT */
#include "base/failure.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void names_come_from_the_tables(void **state)
{
	(void)state;
#define X(name, number)                                                             \
	assert_string_equal(close_reason_name((enum close_reason)(number)), #name); \
	assert_int_equal(CLOSE_##name, number);
	CLOSE_REASON_TABLE(X)
#undef X
#define X(name, number)                                                             \
	assert_string_equal(failure_code_name((enum failure_code)(number)), #name); \
	assert_int_equal(FAIL_##name, number);
	FAILURE_CODE_TABLE(X)
#undef X
	assert_string_equal(close_reason_name(CLOSE_NONE), "NONE");
	assert_string_equal(close_reason_name((enum close_reason)16), "NONE");
	assert_string_equal(close_reason_name((enum close_reason)4000), "NONE");
	assert_string_equal(failure_code_name(FAIL_NONE), "NONE");
	assert_string_equal(failure_code_name((enum failure_code) - 1), "NONE");
}

static void set_wrap_append(void **state)
{
	(void)state;
	struct failure failure = {0};
	char text[256];
	assert_int_equal(failure_top(&failure), FAIL_NONE);
	assert_string_equal(failure_print(&failure, text, sizeof(text)), "");
	struct failure_link *link =
		failure_set(&failure, FAIL_CONNECT_REFUSED, "connect to %s", "x");
	link->sys_errno = 111;
	assert_ptr_equal(link, &failure.links[0]);
	failure_wrap(&failure, FAIL_CONNECTION_ERROR, "outer");
	link = failure_append(&failure, FAIL_ADDRESS_ATTEMPT, "last");
	assert_ptr_equal(link, &failure.links[2]);
	assert_int_equal(failure.count, 3);
	assert_int_equal(failure_top(&failure), FAIL_CONNECTION_ERROR);
	assert_int_equal(failure.links[1].sys_errno, 111);
	assert_string_equal(failure_print(&failure, text, sizeof(text)),
			    "outer: connect to x: last");
	/* A link from before leaves nothing behind. */
	link = failure_set(&failure, FAIL_INTERNAL, "new");
	assert_int_equal(link->sys_errno, 0);
	assert_int_equal(failure.count, 1);
	failure_clear(&failure);
	assert_int_equal(failure.count, 0);
}

static void full_chain_keeps_its_cause(void **state)
{
	(void)state;
	struct failure failure = {0};
	failure_set(&failure, FAIL_DNS_FAILED, "cause");
	for (unsigned i = 1; i < FAILURE_LINKS_MAX; ++i) {
		failure_wrap(&failure, FAIL_CONNECTION_ERROR, "%u", i);
	}
	assert_int_equal(failure.count, FAILURE_LINKS_MAX);
	assert_null(failure_append(&failure, FAIL_INTERNAL, "no place"));
	failure_wrap(&failure, FAIL_INTERNAL, "top");
	assert_int_equal(failure.count, FAILURE_LINKS_MAX);
	assert_string_equal(failure.links[0].text, "top");
	assert_string_equal(failure.links[1].text, "6");
	assert_string_equal(failure.links[FAILURE_LINKS_MAX - 1].text, "cause");
}

static void text_is_one_clean_line(void **state)
{
	(void)state;
	struct failure failure = {0};
	failure_set(&failure, FAIL_INTERNAL, "a\nb\tc\x7f d\xc3\xa9");
	assert_string_equal(failure.links[0].text, "a?b?c? d\xc3\xa9");
	/* Its own text as an argument. */
	failure_set(&failure, FAIL_INTERNAL, "again: %s", failure.links[0].text);
	assert_string_equal(failure.links[0].text, "again: a?b?c? d\xc3\xa9");
	failure_wrap(&failure, FAIL_INTERNAL, "<%s>", failure.links[0].text);
	assert_string_equal(failure.links[0].text, "<again: a?b?c? d\xc3\xa9>");
}

static void long_text_is_cut_between_characters(void **state)
{
	(void)state;
	struct failure failure = {0};
	static const char *const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac",
						 "\xf0\x9f\x98\x80"};
	for (unsigned i = 0; i < 4; ++i) {
		size_t width = strlen(characters[i]);
		for (size_t shift = 0; shift < 4; ++shift) {
			char input[600];
			size_t length = 0;
			while (length < shift) {
				input[length++] = '.';
			}
			while (length + width < sizeof(input)) {
				memcpy(input + length, characters[i], width);
				length += width;
			}
			input[length] = '\0';
			failure_set(&failure, FAIL_INTERNAL, "%s", input);
			size_t kept = strlen(failure.links[0].text);
			assert_int_equal((kept - shift) % width, 0);
			assert_in_range(kept, FAILURE_TEXT_MAX - 4, FAILURE_TEXT_MAX - 1);
			assert_memory_equal(failure.links[0].text, input, kept);
		}
	}
}

static void print_fits_any_buffer(void **state)
{
	(void)state;
	struct failure failure = {0};
	failure_set(&failure, FAIL_INTERNAL, "abc");
	failure_append(&failure, FAIL_INTERNAL, "def");
	char text[16];
	for (unsigned size = 1; size <= sizeof(text); ++size) {
		memset(text, '#', sizeof(text));
		failure_print(&failure, text, size);
		size_t expected = size - 1 < 8 ? size - 1 : 8;
		assert_int_equal(strlen(text), expected);
		assert_memory_equal(text, "abc: def", expected);
	}
	text[0] = '#';
	failure_print(&failure, text, 0);
	assert_int_equal(text[0], '#');
}

static void copy_copies(void **state)
{
	(void)state;
	struct failure from = {0};
	struct failure to = {0};
	failure_set(&from, FAIL_H2_RESET, "one");
	failure_append(&from, FAIL_INTERNAL, "two")->tls_code = -5;
	failure_copy(&to, &from);
	assert_int_equal(to.count, 2);
	assert_string_equal(to.links[1].text, "two");
	assert_int_equal(to.links[1].tls_code, -5);
	failure_copy(&to, &to);
	assert_int_equal(to.count, 2);
	failure_copy(&to, NULL);
	assert_int_equal(to.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_from_the_tables),
		cmocka_unit_test(set_wrap_append),
		cmocka_unit_test(full_chain_keeps_its_cause),
		cmocka_unit_test(text_is_one_clean_line),
		cmocka_unit_test(long_text_is_cut_between_characters),
		cmocka_unit_test(print_fits_any_buffer),
		cmocka_unit_test(copy_copies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
