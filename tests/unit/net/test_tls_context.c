/* SPDX-License-Identifier: MIT */
/*
 * Contexts: what can be wrong with the CA file and the priority string.
 */
#include "unit/net/tls_client.h"

static void test_context_errors(void **state)
{
	char empty[] = "/tmp/fetchd-test-ca-XXXXXX";
	struct tls_context *context = (struct tls_context *)(uintptr_t)1;
	struct failure failure = {.count = 0};
	int fd = mkstemp(empty);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(tls_context_new("/nonexistent/ca.pem", NULL, &context, &failure), 1);
	assert_non_null(strstr(failure.links[0].text, "/nonexistent/ca.pem"));
	assert_int_equal(failure.links[0].sys_errno, ENOENT);

	assert_int_equal(tls_context_new(empty, NULL, &context, &failure), 1);
	assert_non_null(strstr(failure.links[0].text, "no certificates"));
	assert_int_equal(write(fd, "garbage\n", 8), 8);
	assert_int_equal(tls_context_new(empty, NULL, &context, &failure), 1);
	assert_non_null(strstr(failure.links[0].text, "no certificates"));
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(empty), 0);

	assert_int_equal(tls_context_new("/", NULL, &context, &failure), 1);
	assert_int_equal(tls_context_new(ca_path, "NORMAL:+NONSENSE", &context, &failure), 1);
	assert_non_null(strstr(failure.links[0].text, "NONSENSE"));
	assert_ptr_equal(context, (struct tls_context *)(uintptr_t)1);
}

/* The test cannot know whether this system trusts anybody. */
static void test_system_trust(void **state)
{
	struct tls_context *context = NULL;
	struct failure failure = {.count = 0};
	int r = tls_context_new("", "", &context, &failure);

	(void)state;
	if (r == 0) {
		assert_non_null(context);
		tls_context_unref(context);
	} else {
		assert_int_equal(r, 1);
		assert_non_null(strstr(failure.links[0].text, "install ca-certificates"));
	}
}

static void test_context_references(void **state)
{
	struct tls_context *context;
	struct failure failure;

	(void)state;
	assert_int_equal(tls_context_new(ca_path, "NORMAL", &context, &failure), 0);
	assert_ptr_equal(tls_context_ref(context), context);
	tls_context_unref(context);
	tls_context_unref(context);
	tls_context_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_context_errors),
		cmocka_unit_test(test_system_trust),
		cmocka_unit_test(test_context_references),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
