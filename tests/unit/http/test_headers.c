/* SPDX-License-Identifier: MIT */
/*
 * Header lists. The source is included, so that its allocations can be made to fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned allocations_left = ~0u;

static void *failing_realloc(void *memory, size_t size)
{
	if (allocations_left == 0) {
		return NULL;
	}
	allocations_left--;
	return realloc(memory, size);
}

#define realloc failing_realloc
#include "http/headers.c"
#undef realloc

static int add(struct header_list *list, const char *name, const char *value)
{
	return header_list_add(list,
			       &(struct header_field){name, strlen(name), value, strlen(value)});
}

static void assert_field(const struct header_list *list, uint32_t index, const char *name,
			 const char *value)
{
	struct header_field field = header_list_get(list, index);

	assert_int_equal(field.name_length, strlen(name));
	assert_memory_equal(field.name, name, strlen(name));
	assert_int_equal(field.value_length, strlen(value));
	assert_memory_equal(field.value, value, strlen(value));
}

static void order_and_repeats_are_kept(void **state)
{
	struct header_list list;

	(void)state;
	header_list_init(&list, 1000, 10);
	assert_int_equal(header_list_count(&list), 0);
	assert_int_equal(add(&list, "b", "1"), 0);
	assert_int_equal(add(&list, "a", ""), 0);
	assert_int_equal(add(&list, "b", "2"), 0);
	assert_int_equal(header_list_count(&list), 3);
	assert_field(&list, 0, "b", "1");
	assert_field(&list, 1, "a", "");
	assert_field(&list, 2, "b", "2");
	header_list_clear(&list);
	header_list_clear(&list);
	assert_int_equal(header_list_count(&list), 0);
	assert_int_equal(add(&list, "c", "3"), 0);
	assert_field(&list, 0, "c", "3");
	header_list_clear(&list);
}

/* A field without a byte, in a list that has none yet: it points somewhere all the same. */
static void empty_field(void **state)
{
	struct header_list list;

	(void)state;
	header_list_init(&list, 1000, 10);
	assert_int_equal(add(&list, "", ""), 0);
	assert_non_null(header_list_get(&list, 0).name);
	assert_non_null(header_list_get(&list, 0).value);
	assert_field(&list, 0, "", "");
	assert_int_equal(header_list_find(&list, "", 0), 0);
	header_list_clear(&list);
}

static void octets_are_octets(void **state)
{
	struct header_list list;
	struct header_field field = {.name = "x", .name_length = 1, .value = "\0\xff\r", 3};

	(void)state;
	header_list_init(&list, 1000, 10);
	assert_int_equal(header_list_add(&list, &field), 0);
	field = header_list_get(&list, 0);
	assert_int_equal(field.value_length, 3);
	assert_memory_equal(field.value, "\0\xff\r", 3);
	header_list_clear(&list);
	/* Nothing at all is a field, too, for a list. */
	field = (struct header_field){0};
	assert_int_equal(header_list_add(&list, &field), 0);
	assert_int_equal(header_list_get(&list, 0).name_length, 0);
	header_list_clear(&list);
}

static void count_ceiling(void **state)
{
	struct header_list list;

	(void)state;
	header_list_init(&list, 1000, 2);
	assert_int_equal(add(&list, "a", "1"), 0);
	assert_int_equal(add(&list, "a", "1"), 0);
	assert_int_equal(add(&list, "a", "1"), -ENOBUFS);
	assert_int_equal(header_list_count(&list), 2);
	header_list_clear(&list);
	assert_int_equal(add(&list, "a", "1"), 0);
	header_list_clear(&list);
	header_list_init(&list, 1000, 0);
	assert_int_equal(add(&list, "a", "1"), -ENOBUFS);
	assert_null(list.text);
}

/* Name, value and 32 bytes for each field, exactly. */
static void size_ceiling(void **state)
{
	struct header_list list;

	(void)state;
	header_list_init(&list, 2 * 32 + 10, 10);
	assert_int_equal(add(&list, "name", "v"), 0);
	assert_int_equal(add(&list, "name", "vv"), -ENOBUFS);
	assert_int_equal(add(&list, "name", "v"), 0);
	assert_int_equal(add(&list, "", ""), -ENOBUFS);
	assert_int_equal(header_list_count(&list), 2);
	header_list_clear(&list);
	/* Less room than the overhead alone must not wrap. */
	header_list_init(&list, 31, 10);
	assert_int_equal(add(&list, "", ""), -ENOBUFS);
	header_list_init(&list, UINT32_MAX, 10);
	assert_int_equal(header_list_add(&list, &(struct header_field){"a", UINT32_MAX, "b", 1}),
			 -ENOBUFS);
	assert_int_equal(header_list_add(&list, &(struct header_field){"a", 1, "b", SIZE_MAX / 2}),
			 -ENOBUFS);
	assert_null(list.text);
}

static void grows_and_keeps_its_content(void **state)
{
	struct header_list list;
	char name[32];
	char value[700];

	(void)state;
	memset(value, 'v', sizeof(value));
	header_list_init(&list, 1024 * 1024, 1000);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "x-%u", i);
		value[i * 2] = '\0';
		assert_int_equal(add(&list, name, value), 0);
		value[i * 2] = 'v';
	}
	for (unsigned i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "x-%u", i);
		value[i * 2] = '\0';
		assert_field(&list, i, name, value);
		value[i * 2] = 'v';
	}
	header_list_clear(&list);
}

static void find(void **state)
{
	struct header_list list;

	(void)state;
	header_list_init(&list, 1000, 10);
	assert_int_equal(header_list_find(&list, "a", 0), 0);
	(void)add(&list, "a", "1");
	(void)add(&list, "ab", "2");
	(void)add(&list, "a", "3");
	assert_int_equal(header_list_find(&list, "a", 0), 0);
	assert_int_equal(header_list_find(&list, "a", 1), 2);
	assert_int_equal(header_list_find(&list, "a", 3), 3);
	assert_int_equal(header_list_find(&list, "a", 99), 3);
	assert_int_equal(header_list_find(&list, "ab", 0), 1);
	assert_int_equal(header_list_find(&list, "A", 0), 3);
	assert_int_equal(header_list_find(&list, "b", 0), 3);
	header_list_clear(&list);
}

static void out_of_memory_changes_nothing(void **state)
{
	struct header_list list;
	char value[600];

	(void)state;
	memset(value, 'v', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	header_list_init(&list, 100000, 100);
	for (unsigned i = 0; i < 2; i++) {
		allocations_left = i;
		assert_int_equal(add(&list, "a", "1"), -ENOMEM);
		assert_int_equal(header_list_count(&list), 0);
		assert_int_equal(list.size, 0);
	}
	allocations_left = ~0u;
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(add(&list, "a", "1"), 0);
	}
	for (unsigned i = 0; i < 2; i++) {
		allocations_left = i;
		assert_int_equal(add(&list, "b", value), -ENOMEM);
		assert_int_equal(header_list_count(&list), 8);
		assert_field(&list, 7, "a", "1");
	}
	allocations_left = ~0u;
	assert_int_equal(add(&list, "b", value), 0);
	assert_field(&list, 8, "b", value);
	header_list_clear(&list);
}

static void lengths(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t value;
	} table[] = {
		{"0", true, 0},
		{"7", true, 7},
		{"00012", true, 12},
		{"9223372036854775799", true, UINT64_C(9223372036854775799)},
		{"9223372036854775807", true, INT64_MAX},
		{"9223372036854775808", false, 0},
		{"9223372036854775810", false, 0},
		{"18446744073709551616", false, 0},
		{"99999999999999999999999999", false, 0},
		{"", false, 0},
		{"-1", false, 0},
		{"+1", false, 0},
		{" 1", false, 0},
		{"1 ", false, 0},
		{"1,1", false, 0},
		{"0x10", false, 0},
		{"1e3", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint64_t value = 4711;
		bool good = header_parse_length(table[i].text, strlen(table[i].text), &value);

		if (good != table[i].good || value != (good ? table[i].value : 4711)) {
			fail_msg("\"%s\"", table[i].text);
		}
	}
}

/* Clients of different users share a compression table: nothing of theirs but the harmless. */
static void what_may_be_indexed(void **state)
{
	static const char *const never[] = {"authorization",  "cookie",  "proxy-authorization",
					    "x-api-key",      "accept-", "accep",
					    "content-length", "referer", ""};
	static const char *const may[] = {":method", ":authority", "user-agent", "accept",
					  "content-type"};

	(void)state;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		assert_false(header_may_be_indexed(never[i], strlen(never[i])));
	}
	for (size_t i = 0; i < sizeof(may) / sizeof(may[0]); i++) {
		assert_true(header_may_be_indexed(may[i], strlen(may[i])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_and_repeats_are_kept),
		cmocka_unit_test(empty_field),
		cmocka_unit_test(octets_are_octets),
		cmocka_unit_test(count_ceiling),
		cmocka_unit_test(size_ceiling),
		cmocka_unit_test(grows_and_keeps_its_content),
		cmocka_unit_test(find),
		cmocka_unit_test(out_of_memory_changes_nothing),
		cmocka_unit_test(lengths),
		cmocka_unit_test(what_may_be_indexed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
