/* SPDX-License-Identifier: MIT */
/*
 * Address literals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/address.h"

#include <string.h>

static void check(const char *literal, uint16_t port, int family, const char *printed)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	assert_true(address_parse(literal, port, &address));
	assert_int_equal(address.any.sa_family, family);
	assert_int_equal(address.length, family == AF_INET ? sizeof(struct sockaddr_in)
							   : sizeof(struct sockaddr_in6));
	assert_ptr_equal(address_print(&address, text), text);
	assert_string_equal(text, printed);
}

static void test_literals(void **state)
{
	(void)state;
	check("192.0.2.1", 443, AF_INET, "192.0.2.1:443");
	check("0.0.0.0", 0, AF_INET, "0.0.0.0:0");
	check("2001:DB8:0::1", 65535, AF_INET6, "[2001:db8::1]:65535");
	check("::ffff:192.0.2.1", 1, AF_INET6, "[::ffff:192.0.2.1]:1");
	check("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535, AF_INET6,
	      "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void test_refused(void **state)
{
	static const char *const literals[] = {
		"",         "example.org", "1.2.3",       "1.2.3.4.5",
		"01.2.3.4", "0x1.2.3.4",   "1.2.3.4:443", "[::1]",
		"::1%lo",   ":::",         " ::1",        "1.2.3.256",
	};
	struct address address;

	(void)state;
	memset(&address, 0x5a, sizeof(address));
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
		if (address_parse(literals[i], 1, &address)) {
			fail_msg("taken: %s", literals[i]);
		}
		assert_int_equal(address.length, 0x5a5a5a5a);
	}
}

static void test_unknown_family(void **state)
{
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	(void)state;
	memset(&address, 0, sizeof(address));
	assert_string_equal(address_print(&address, text), "(no address)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_unknown_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
