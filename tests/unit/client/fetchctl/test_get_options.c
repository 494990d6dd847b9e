/* SPDX-License-Identifier: MIT */
/* client/fetchctl/get_options.c: whole command lines, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exit_codes.h"
#include "get_options.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 24

/* Parses "get" and the arguments up to NULL. */
static int parse(struct get_options *options, int *ret_exit, const char *const *arguments)
{
	static char copies[ARGUMENTS_MAX][200000 / ARGUMENTS_MAX];
	char *argv[ARGUMENTS_MAX + 2] = {copies[0]};
	int argc = 1;

	(void)snprintf(copies[0], sizeof(copies[0]), "get");
	for (; arguments[argc - 1] != NULL; argc++) {
		assert_true(argc < ARGUMENTS_MAX);
		(void)snprintf(copies[argc], sizeof(copies[0]), "%s", arguments[argc - 1]);
		argv[argc] = copies[argc];
	}
	optind = 0; /* getopt starts anew */
	return get_options_parse(options, argc, argv, ret_exit);
}

#define PARSE(...) parse(&options, &code, (const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
	struct get_options options;
	int code = -1;

	(void)state;
	assert_int_equal(PARSE("https://a/b"), 0);
	assert_int_equal(options.url_count, 1);
	assert_string_equal(options.urls[0], "https://a/b");
	assert_string_equal(options.shown_urls[0], "https://a/b");
	assert_int_equal(options.targets[0].kind, OUTPUT_STDOUT);
	assert_int_equal(options.parallel, 8);
	assert_null(options.request.method);
	assert_null(options.request.body);
	assert_true(options.request.max_size_bytes == FETCHD_DEFAULT);
	assert_true(options.request.warn_size_bytes == FETCHD_DEFAULT);
	assert_int_equal(options.request.header_count, 0);
	get_options_fini(&options);
}

static void test_everything(void **state)
{
	struct get_options options;
	int code = -1;

	(void)state;
	assert_int_equal(PARSE("-if", "--max-size=1K", "--timeout", "1.5", "--priority", "URGENT",
			       "--retry", "--no-replay", "-HX-A:  b \t", "-H", "c:", "-X", "PUT",
			       "--parallel", "3", "https://a/"),
			 0);
	assert_true(options.include_head && options.fail);
	assert_int_equal(options.request.max_size_bytes, 1024);
	assert_int_equal(options.request.total_timeout_ms, 1500);
	assert_int_equal(options.request.priority, FETCHD_PRIORITY_URGENT);
	assert_true(options.request.retry_allowed && options.request.replay_forbidden);
	assert_int_equal(options.request.header_count, 2);
	assert_int_equal(options.request.headers[0].name_length, 3);
	assert_int_equal(options.request.headers[0].value_length, 1);
	assert_memory_equal(options.request.headers[0].value, "b", 1);
	assert_int_equal(options.request.headers[1].value_length, 0);
	assert_string_equal(options.request.method, "PUT");
	assert_int_equal(options.parallel, 3);
	get_options_fini(&options);
}

static void test_redirects(void **state)
{
	struct get_options options;
	int code = -1;

	(void)state;
	assert_int_equal(PARSE("https://a/"), 0);
	assert_int_equal(options.request.max_redirects, 0);
	get_options_fini(&options);
	assert_int_equal(PARSE("-L", "https://a/"), 0);
	assert_int_equal(options.request.max_redirects, 10);
	assert_false(options.request.redirect_to_cleartext);
	get_options_fini(&options);
	assert_int_equal(
		PARSE("--max-redirs", "3", "--redirect-to-cleartext", "--location", "https://a/"),
		0);
	assert_int_equal(options.request.max_redirects, 3);
	assert_true(options.request.redirect_to_cleartext);
	get_options_fini(&options);
	assert_int_equal(PARSE("-L", "--max-redirs", "0", "https://a/"), 0);
	assert_int_equal(options.request.max_redirects, 0);
	get_options_fini(&options);
	assert_int_equal(PARSE("-L", "--max-redirs", "4294967295", "https://a/"), 0);
	assert_true(options.request.max_redirects == UINT32_MAX);
	get_options_fini(&options);
}

static void test_data(void **state)
{
	struct get_options options;
	int code = -1;

	(void)state;
	assert_int_equal(PARSE("-d", "a=b", "-d", "c", "https://a/"), 0);
	assert_string_equal(options.request.method, "POST");
	assert_int_equal(options.request.body_length, 5);
	assert_memory_equal(options.request.body, "a=b&c", 5);
	assert_int_equal(options.request.header_count, 1);
	assert_string_equal(options.request.headers[0].name, "content-type");
	get_options_fini(&options);

	assert_int_equal(PARSE("-d", "", "-X", "PATCH", "-H", "Content-Type: x/y", "https://a/"),
			 0);
	assert_string_equal(options.request.method, "PATCH");
	assert_non_null(options.request.body);
	assert_int_equal(options.request.body_length, 0);
	assert_int_equal(options.request.header_count, 1);
	get_options_fini(&options);

	assert_int_equal(PARSE("-d", "@/nonexistent/file", "https://a/"), 1);
	assert_int_equal(code, EXIT_CODE_OUTPUT);
}

static void test_uploads(void **state)
{
	/* One argument has at most this many bytes here; eight of them do not fit a frame. */
	static char text[8001];
	struct get_options options;
	int code = -1;

	(void)state;
	/* Known to be too large for its request: sent behind it. */
	memset(text, 'x', sizeof(text) - 1);
	assert_int_equal(PARSE("-d", text, "-d", text, "-d", text, "-d", text, "-d", text, "-d",
			       text, "-d", text, "-d", text, "-d", text, "https://a/",
			       "https://b/"),
			 0);
	assert_null(options.request.body);
	assert_true(options.request.upload);
	assert_int_equal(options.request.upload_length, 9 * 8000 + 8);
	assert_int_equal(options.body.length, 9 * 8000 + 8);
	assert_string_equal(options.request.method, "POST");
	get_options_fini(&options);

	/* Without an end: not known. */
	assert_int_equal(PARSE("-d", "@/dev/zero", "https://a/"), 0);
	assert_null(options.request.body);
	assert_true(options.request.upload);
	assert_true(options.request.upload_length == FETCHD_DEFAULT);
	assert_true(options.body.length > BODY_READ_AHEAD_BYTES);
	get_options_fini(&options);
	assert_int_equal(PARSE("-T", "/dev/zero", "https://a/"), 0);
	assert_true(options.request.upload);
	assert_string_equal(options.request.method, "PUT");
	assert_int_equal(options.request.header_count, 0);
	assert_int_equal(options.body.length, 0);
	get_options_fini(&options);

	/* Small: with the request, so that it can be sent again. */
	assert_int_equal(PARSE("-T", "/proc/self/stat", "-X", "POST", "https://a/", "https://b/"),
			 0);
	assert_false(options.request.upload);
	assert_non_null(options.request.body);
	assert_true(options.request.body_length > 0);
	assert_string_equal(options.request.method, "POST");
	get_options_fini(&options);

	assert_int_equal(PARSE("-T", "/nonexistent/file", "https://a/"), 1);
	assert_int_equal(code, EXIT_CODE_OUTPUT);
}

static void test_targets(void **state)
{
	struct get_options options;
	int code = -1;

	(void)state;
	assert_int_equal(
		PARSE("https://a/1", "-o", "x", "-O", "https://a/2/two%20words?q#f", "https://a/3"),
		0);
	assert_string_equal(options.targets[0].path, "x");
	assert_string_equal(options.targets[1].path, "two words");
	assert_string_equal(options.targets[2].path, "3");
	get_options_fini(&options);

	assert_int_equal(PARSE("https://a/1", "-"), 0);
	assert_int_equal(options.targets[0].kind, OUTPUT_STDOUT);
	get_options_fini(&options);

	assert_int_equal(PARSE("--json", "https://a/1"), 0);
	assert_int_equal(options.targets[0].kind, OUTPUT_NONE);
	get_options_fini(&options);

	assert_int_equal(PARSE("-o", "/dev/null", "-o", "/dev/null", "https://a/1", "https://a/2"),
			 0);
	get_options_fini(&options);

	/* The password goes to the daemon, which refuses it, and to nobody else. */
	assert_int_equal(PARSE("-o", "x", "https://u:p@a/1", "https://a/2"), 0);
	assert_string_equal(options.urls[0], "https://u:p@a/1");
	assert_string_equal(options.shown_urls[0], "https://...@a/1");
	assert_int_equal(options.targets[1].kind, OUTPUT_STDOUT);
	get_options_fini(&options);
}

static void expect_usage_error(const char *const *arguments)
{
	struct get_options options;
	int code = -1;

	assert_int_equal(parse(&options, &code, arguments), 1);
	assert_int_equal(code, EXIT_CODE_USAGE);
}

static void test_errors(void **state)
{
#define BAD(...) expect_usage_error((const char *const[]){__VA_ARGS__, NULL})
	(void)state;
	expect_usage_error((const char *const[]){NULL});
	BAD("--no-such-option", "https://a/");
	BAD("--max-size", "x", "https://a/");
	BAD("--timeout", "x", "https://a/");
	BAD("--priority", "highest", "https://a/");
	BAD("--parallel", "0", "https://a/");
	BAD("--parallel", "10001", "https://a/");
	BAD("-L", "--max-redirs", "4294967296", "https://a/");
	BAD("-L", "--max-redirs", "-1", "https://a/");
	BAD("--max-redirs", "5", "https://a/");
	BAD("-T", "/dev/null", "-T", "/dev/null", "https://a/");
	BAD("-T", "/dev/null", "-d", "x", "https://a/");
	BAD("-d", "x", "-T", "/dev/null", "https://a/");
	BAD("-T", "/dev/zero", "https://a/", "https://b/");
	BAD("-d", "@/dev/zero", "https://a/", "https://b/");
	BAD("-d", "@/dev/zero", "-d", "more", "https://a/");
	BAD("-d", "before", "-d", "@/dev/zero", "https://a/");
	BAD("--redirect-to-cleartext", "https://a/");
	BAD("-H", "no colon", "https://a/");
	BAD("-H", ": no name", "https://a/");
	BAD("-O", "https://a/");
	BAD("-O", "https://a/..");
	BAD("-O", "https://a/x%2fy");
	BAD("-o", "a", "-o", "b", "https://a/");
	BAD("-o", "a", "-", "https://a/");
	BAD("-o", "", "https://a/");
	BAD("-o", "same", "-o", "other", "-o", "same", "https://a/1", "https://a/2", "https://a/3");
	BAD("-o", "same", "-o", "same", "https://a/1", "https://a/2");
	BAD("-O", "https://a/same", "https://b/same");
	BAD("--json", "-o", "-", "https://a/");
	BAD("https://a/\xff");
}

/* Every option has its paragraph in the man page, with the same argument or none; and the page has
 * no other ones. */
static void test_man_page(void **state)
{
	FILE *page = fopen("../docs/man/fetchctl.1.scd", "re");
	size_t count, paragraphs = 0;
	const struct cli_option *table = get_options_table(&count);
	char line[1024];

	(void)state;
	assert_non_null(page);
	while (fgets(line, sizeof(line), page) != NULL) {
		const char *option = strstr(line, "*--");
		size_t found = 0;

		/* Paragraphs of options begin with one, and other lines do not. */
		if (line[0] != '*' || option == NULL || strncmp(line, "*fetchctl", 9) == 0) {
			continue;
		}
		paragraphs++;
		for (size_t i = 0; i < count; i++) {
			char start[64];

			if (table[i].key < 256) {
				(void)snprintf(start, sizeof(start), "*-%c*, *--%s*%s",
					       table[i].key, table[i].name,
					       table[i].argument != NULL ? " " : "\n");
			} else {
				(void)snprintf(start, sizeof(start), "*--%s*%s", table[i].name,
					       table[i].argument != NULL ? " " : "\n");
			}
			found += strncmp(line, start, strlen(start)) == 0;
		}
		if (found != 1) {
			print_error("not in the table: %s", line);
		}
		assert_int_equal(found, 1);
	}
	assert_int_equal(paragraphs, count);
	(void)fclose(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),  cmocka_unit_test(test_everything),
		cmocka_unit_test(test_redirects), cmocka_unit_test(test_data),
		cmocka_unit_test(test_uploads),   cmocka_unit_test(test_targets),
		cmocka_unit_test(test_errors),    cmocka_unit_test(test_man_page),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
