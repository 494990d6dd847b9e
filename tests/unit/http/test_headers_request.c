/* SPDX-License-Identifier: MIT */
/*
 * The rules for a request's header fields.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "http/headers.h"

#define AUTHORITY "www.example.org:8443"

static struct header_list list;

static int setup(void **state)
{
	(void)state;
	header_list_init(&list, 4096, 8);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	header_list_clear(&list);
	return 0;
}

static struct header_field field_of(const char *name, const char *value)
{
	return (struct header_field){name, strlen(name), value, strlen(value)};
}

static void assert_field(uint32_t index, const char *name, const char *value)
{
	struct header_field field = header_list_get(&list, index);

	if (field.name_length != strlen(name) || memcmp(field.name, name, field.name_length) != 0 ||
	    field.value_length != strlen(value) ||
	    memcmp(field.value, value, field.value_length) != 0) {
		fail_msg("field %u is %.*s: %.*s", index, (int)field.name_length, field.name,
			 (int)field.value_length, field.value);
	}
}

/* Makes a list of one field, without a user agent. */
static int make(struct header_field field, int64_t body_length, struct failure *failure)
{
	header_list_clear(&list);
	failure_clear(failure);
	return header_list_make_request(&list, &field, 1, AUTHORITY, body_length, "", failure);
}

static void assert_refused(struct header_field field, int64_t body_length, const char *why)
{
	struct failure failure;

	if (make(field, body_length, &failure) != FAIL_HEADER_INVALID) {
		fail_msg("not refused: %.*s: %.*s", (int)field.name_length, field.name,
			 (int)field.value_length, field.value);
	}
	assert_int_equal(failure_top(&failure), FAIL_HEADER_INVALID);
	if (!strstr(failure.links[0].text, why)) {
		fail_msg("\"%s\" is not in \"%s\"", why, failure.links[0].text);
	}
	assert_int_equal(header_list_count(&list), 0);
}

static void names_are_lowered_and_order_kept(void **state)
{
	struct failure failure;
	struct header_field fields[] = {field_of("X-One", "A"), field_of("ACCEPT", "*/*"),
					field_of("x-one", "b"),
					field_of("!#$%&'*+-.^_`|~09aZ", "odd")};

	(void)state;
	assert_int_equal(header_list_make_request(&list, fields, 4, AUTHORITY, -1, "", &failure),
			 0);
	assert_int_equal(header_list_count(&list), 4);
	assert_field(0, "x-one", "A");
	assert_field(1, "accept", "*/*");
	assert_field(2, "x-one", "b");
	assert_field(3, "!#$%&'*+-.^_`|~09az", "odd");
}

static void pseudo_headers_are_refused(void **state)
{
	(void)state;
	assert_refused(field_of(":path", "/"), -1, "header field 1 (\":path\"): a pseudo-header");
	assert_refused(field_of(":", "x"), -1, "pseudo-header");
}

static void bad_names_are_refused(void **state)
{
	char name[257];

	(void)state;
	memset(name, 'n', sizeof(name));
	assert_refused(field_of("", "x"), -1, "not a token");
	assert_refused((struct header_field){NULL, 0, NULL, 0}, -1, "not a token");
	assert_refused(field_of("a b", "x"), -1, "not a token");
	assert_refused(field_of("a:", "x"), -1, "not a token");
	assert_refused(field_of(" a", "x"), -1, "not a token");
	assert_refused(field_of("\xc3\xa4", "x"), -1, "not a token");
	assert_refused((struct header_field){"a\0b", 3, "x", 1}, -1, "not a token");
	assert_refused(field_of("a\r\nb", "x"), -1, "not a token");
	assert_refused((struct header_field){name, 257, "x", 1}, -1, "not a token");
	assert_true(make((struct header_field){name, 256, "x", 1}, -1, &(struct failure){0}) == 0);
}

static void connection_specific_fields_are_refused(void **state)
{
	static const char *const names[] = {"connection",        "Keep-Alive", "Proxy-Connection",
					    "Transfer-Encoding", "UPGRADE",    "HTTP2-Settings"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_refused(field_of(names[i], "close"), -1, "one connection");
	}
}

static void te_is_trailers_or_nothing(void **state)
{
	struct failure failure;

	(void)state;
	assert_int_equal(make(field_of("TE", " trailers "), -1, &failure), 0);
	assert_field(0, "te", "trailers");
	assert_refused(field_of("te", "gzip"), -1, "trailers");
	assert_refused(field_of("te", "trailers, gzip"), -1, "trailers");
	assert_refused(field_of("te", ""), -1, "trailers");
}

static void host_equals_the_authority_or_is_refused(void **state)
{
	struct failure failure;

	(void)state;
	assert_int_equal(make(field_of("Host", AUTHORITY), -1, &failure), 0);
	assert_int_equal(header_list_count(&list), 0);
	assert_int_equal(make(field_of("host", " WWW.Example.org:8443\t"), -1, &failure), 0);
	assert_int_equal(header_list_count(&list), 0);
	assert_refused(field_of("host", "www.example.org"), -1, "authority");
	assert_refused(field_of("host", ""), -1, "authority");
}

static void content_length_is_computed(void **state)
{
	struct failure failure;

	(void)state;
	assert_int_equal(make(field_of("Content-Length", "10"), 10, &failure), 0);
	assert_int_equal(header_list_count(&list), 1);
	assert_field(0, "content-length", "10");
	assert_int_equal(make(field_of("content-length", "0"), 0, &failure), 0);
	assert_int_equal(header_list_count(&list), 1);
	assert_field(0, "content-length", "0");
	assert_refused(field_of("content-length", "11"), 10, "computed");
	assert_refused(field_of("content-length", "10, 10"), 10, "computed");
	assert_refused(field_of("content-length", "ten"), 10, "computed");
	assert_refused(field_of("content-length", ""), 0, "computed");
	/* Without a body there is no length. */
	assert_refused(field_of("content-length", "0"), -1, "computed");
	assert_int_equal(header_list_make_request(&list, NULL, 0, AUTHORITY, -1, "", &failure), 0);
	assert_int_equal(header_list_count(&list), 0);
	assert_int_equal(
		header_list_make_request(&list, NULL, 0, AUTHORITY, 123456789012, "", &failure), 0);
	assert_int_equal(header_list_count(&list), 1);
	assert_field(0, "content-length", "123456789012");
}

static void user_agent_is_added_once(void **state)
{
	struct failure failure;
	struct header_field own = field_of("User-Agent", "mine/2");
	struct header_field empty = field_of("user-agent", "");

	(void)state;
	assert_int_equal(
		header_list_make_request(&list, NULL, 0, AUTHORITY, 5, "fetchd/1", &failure), 0);
	assert_int_equal(header_list_count(&list), 2);
	assert_field(0, "user-agent", "fetchd/1");
	assert_field(1, "content-length", "5");
	header_list_clear(&list);
	assert_int_equal(
		header_list_make_request(&list, &own, 1, AUTHORITY, -1, "fetchd/1", &failure), 0);
	assert_int_equal(header_list_count(&list), 1);
	assert_field(0, "user-agent", "mine/2");
	header_list_clear(&list);
	assert_int_equal(
		header_list_make_request(&list, &empty, 1, AUTHORITY, -1, "fetchd/1", &failure), 0);
	assert_int_equal(header_list_count(&list), 1);
	assert_field(0, "user-agent", "");
}

static void values_are_octets_without_blanks_round_them(void **state)
{
	struct failure failure;

	(void)state;
	assert_int_equal(make(field_of("a", " \t x \ty\t "), -1, &failure), 0);
	assert_field(0, "a", "x \ty");
	assert_int_equal(make(field_of("a", " \t "), -1, &failure), 0);
	assert_field(0, "a", "");
	assert_int_equal(make((struct header_field){"a", 1, NULL, 0}, -1, &failure), 0);
	assert_field(0, "a", "");
	assert_int_equal(make(field_of("a", "\x80\xff\xfe \x01\x7f"), -1, &failure), 0);
	assert_field(0, "a", "\x80\xff\xfe \x01\x7f");
	assert_refused((struct header_field){"a", 1, "x\0y", 3}, -1, "line break or a NUL");
	assert_refused(field_of("a", "x\ry"), -1, "line break or a NUL");
	assert_refused(field_of("a", "x\ny"), -1, "line break or a NUL");
	assert_refused(field_of("a", "x\r\n"), -1, "line break or a NUL");
}

static void refusal_names_the_field(void **state)
{
	struct failure failure;
	struct header_field fields[] = {field_of("good", "1"), field_of("evil\nname", "x")};

	(void)state;
	assert_int_equal(header_list_make_request(&list, fields, 2, AUTHORITY, -1, "", &failure),
			 FAIL_HEADER_INVALID);
	assert_non_null(strstr(failure.links[0].text, "header field 2 (\"evil?name\")"));
	assert_int_equal(header_list_count(&list), 0);
}

static void ceilings_are_refusals(void **state)
{
	struct failure failure;
	struct header_field fields[9];
	char value[4096];

	(void)state;
	for (size_t i = 0; i < 9; i++) {
		fields[i] = field_of("a", "1");
	}
	assert_int_equal(header_list_make_request(&list, fields, 9, AUTHORITY, -1, "", &failure),
			 FAIL_HEADER_INVALID);
	assert_int_equal(header_list_count(&list), 0);
	assert_int_equal(header_list_make_request(&list, fields, 8, AUTHORITY, -1, "", &failure),
			 0);
	header_list_clear(&list);
	/* No room for what is added. */
	assert_int_equal(header_list_make_request(&list, fields, 8, AUTHORITY, -1, "ua", &failure),
			 FAIL_HEADER_INVALID);
	assert_int_equal(header_list_make_request(&list, fields, 8, AUTHORITY, 1, "", &failure),
			 FAIL_HEADER_INVALID);
	memset(value, 'v', sizeof(value));
	fields[0] = (struct header_field){"a", 1, value, 4096 - 33};
	assert_int_equal(header_list_make_request(&list, fields, 1, AUTHORITY, -1, "", &failure),
			 0);
	fields[0].value_length++;
	assert_refused(fields[0], -1, "too large");
}

static void tokens(void **state)
{
	(void)state;
	assert_true(header_is_token("GET", 3));
	assert_true(header_is_token("a|~", 3));
	assert_false(header_is_token("", 0));
	assert_false(header_is_token(NULL, 0));
	assert_false(header_is_token("a\0", 2));
	assert_false(header_is_token("a,", 2));
	assert_false(header_is_token("\x7f", 1));
}

static void line_30_what_may_be_expected(void **state)
{
	struct failure failure;

	(void)state;
	assert_int_equal(make(field_of("Expect", " 100-Continue "), 10, &failure), 0);
	assert_field(0, "expect", "100-Continue");
	assert_refused(field_of("expect", "200-ok"), 10, "100-continue");
	assert_refused(field_of("expect", ""), 10, "100-continue");
	assert_refused(field_of("expect", "100-continue, x"), 10, "100-continue");
	/* Nothing that could wait (RFC 9110, section 10.1.1). */
	assert_refused(field_of("expect", "100-continue"), -1, "no body");
	assert_refused(field_of("expect", "100-continue"), 0, "no body");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(names_are_lowered_and_order_kept),
		TEST(pseudo_headers_are_refused),
		TEST(bad_names_are_refused),
		TEST(connection_specific_fields_are_refused),
		TEST(te_is_trailers_or_nothing),
		TEST(host_equals_the_authority_or_is_refused),
		TEST(line_30_what_may_be_expected),
		TEST(content_length_is_computed),
		TEST(user_agent_is_added_once),
		TEST(values_are_octets_without_blanks_round_them),
		TEST(refusal_names_the_field),
		TEST(ceilings_are_refusals),
		TEST(tokens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
