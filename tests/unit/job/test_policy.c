/* SPDX-License-Identifier: MIT */
/*
 * Where http:// may go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job/policy.h"

#include <string.h>

static void cleartext_goes_by_list(void **state)
{
	static const struct {
		const char *list, *url;
		bool allowed;
	} table[] = {
		{"", "https://a.example/", true},
		{"", "http://a.example/", false},
		{"a.example", "http://a.example/", true},
		{"a.example", "http://A.example:8080/", true},
		{"A.EXAMPLE", "http://a.example/", true},
		{"a.example:80", "http://a.example/", true},
		{"a.example:80", "http://a.example:8080/", false},
		{"a.example:8080", "http://a.example:8080/", true},
		{"a.example", "http://b.a.example/", false},
		{"b.a.example", "http://a.example/", false},
		{"b.example, c.example a.example", "http://a.example/", true},
		{"::1", "http://[::1]/", true},
		{"::1", "http://[::1]:8080/", true},
		{"[::1]:8080", "http://[::1]:8080/", true},
		{"[::1]:8080", "http://[::1]/", false},
		{"127.0.0.1", "http://127.0.0.1:1/", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct failure failure = {.count = 0};
		struct url url;
		int rc = 0;

		assert_int_equal(url_parse(table[i].url, strlen(table[i].url), &url, &failure), 0);
		rc = policy_check(table[i].list, &url, &failure);
		if (rc != (table[i].allowed ? 0 : FAIL_CLEARTEXT_NOT_ALLOWED)) {
			fail_msg("%s with \"%s\": %d", table[i].url, table[i].list, rc);
		}
		assert_int_equal(failure_top(&failure), rc);
		if (rc != 0) {
			assert_non_null(strstr(failure.links[0].text, url.host));
			assert_non_null(strstr(failure.links[0].text, "pool.h2c_hosts"));
		}
		url_fini(&url);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cleartext_goes_by_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
