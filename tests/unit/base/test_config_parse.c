/* SPDX-License-Identifier: MIT */
/*
 * Single values and the table itself.
 */
#include "base/config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct config *config;
static struct config_error error;

static int setup(void **state)
{
	(void)state;
	config = config_new();
	error.text[0] = '\0';
	return config ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	config_free(config);
	return 0;
}

static const struct config_key *find(const char *section, const char *name)
{
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; ++i) {
		if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0) {
			return &keys[i];
		}
	}
	fail_msg("no key %s.%s", section, name);
	return NULL;
}

static int set(const char *section, const char *name, const char *value)
{
	return config_set(config, find(section, name), value, &error);
}

static void table_is_in_order(void **state)
{
	(void)state;
	size_t count;
	const struct config_key *keys = config_keys(&count);
	assert_true(count > 40);
	for (size_t i = 0; i < count; ++i) {
		const struct config_key *key = &keys[i];
		assert_true(key->section[0] != '\0' && key->name[0] != '\0');
		assert_true(strlen(key->doc) > 10);
		assert_int_equal(key->doc[strlen(key->doc) - 1], '.');
		assert_non_null(key->fallback);
		assert_true(key->min <= key->max);
		for (size_t k = i + 1; k < count; ++k) {
			assert_int_not_equal(key->offset, keys[k].offset);
			assert_false(strcmp(key->name, keys[k].name) == 0 &&
				     strcmp(key->section, keys[k].section) == 0);
			/* Grouped: a section that ended does not come again. */
			if (strcmp(keys[k - 1].section, key->section) != 0) {
				assert_string_not_equal(keys[k].section, key->section);
			}
		}
	}
	/* Each field of the struct has its key: all are 8 bytes but the level, which is padded. */
	assert_int_equal(count * 8, sizeof(struct config));
}

static void bounds_of_every_number(void **state)
{
	(void)state;
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; ++i) {
		const struct config_key *key = &keys[i];
		char text[40];
		char number[32];
		if (key->type != CONFIG_SIZE && key->type != CONFIG_COUNT &&
		    key->type != CONFIG_DURATION) {
			continue;
		}
		uint64_t *field = (uint64_t *)(void *)((char *)config + key->offset);
		const char *suffix = key->type == CONFIG_DURATION ? "ms" : "";
		const uint64_t values[] = {key->min, key->max, key->max + 1, key->min - 1, 0};
		for (unsigned k = 0; k < 5; ++k) {
			bool good = (values[k] >= key->min && values[k] <= key->max) ||
				    (values[k] == 0 && key->zero_is_off);
			snprintf(text, sizeof(text), "%llu%s", (unsigned long long)values[k],
				 suffix);
			*field = 12345;
			assert_int_equal(config_set(config, key, text, &error), good ? 0 : -ERANGE);
			assert_true(*field == (good ? values[k] : 12345));
			/* What is printed reads the same. */
			if (good) {
				config_print_value(key->type, values[k], number);
				assert_int_equal(config_set(config, key, number, &error), 0);
				assert_true(*field == values[k]);
			}
		}
	}
}

static void sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{"0", 0},       {"1", 1},        {"4096", 4096},
		{"64K", 65536}, {"3M", 3145728}, {"2G", 2147483648u},
		{"007", 7},
	};
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
		assert_int_equal(set("job", "max_size", good[i].text), 0);
		assert_true(config->job.max_size == good[i].value);
	}
	static const char *const bad[] = {"",   "K",    "1k", "1 K", "1KB", "1.5M", "-1",
					  "+1", "0x10", " 1", "1 ",  "1e3", "K1",   "1KK"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
		assert_int_equal(set("job", "max_size", bad[i]), -EINVAL);
	}
	assert_string_equal(
		error.text,
		"\"1KK\" is not a number of bytes, with K, M or G behind it if you like");
	static const char *const huge[] = {"18446744073709551616", "99999999999999999999999999",
					   "18014398509481984K", "17179869184G",
					   "18446744073709551615"};
	for (unsigned i = 0; i < sizeof(huge) / sizeof(huge[0]); ++i) {
		assert_int_equal(set("job", "max_size", huge[i]), -ERANGE);
	}
	assert_true(config->job.max_size == 7);
}

static void durations(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint64_t value;
	} good[] = {
		{"30", 30000},   {"30s", 30000},   {"500ms", 500}, {"5min", 300000},
		{"2h", 7200000}, {"1d", 86400000}, {"0", 0},       {"0ms", 0},
	};
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
		assert_int_equal(set("job", "stall_timeout", good[i].text), 0);
		assert_true(config->job.stall_timeout_ms == good[i].value);
	}
	static const char *const bad[] = {"", "s", "1m", "1 s", "1.5s", "-1s", "1S", "1sec", "5K"};
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
		assert_int_equal(set("job", "stall_timeout", bad[i]), -EINVAL);
	}
	assert_int_equal(set("job", "stall_timeout", "213503982335d"), -ERANGE);
	assert_int_equal(set("job", "stall_timeout", "18446744073709551615"), -ERANGE);
	assert_int_equal(set("pool", "connect_timeout", "50ms"), -ERANGE);
	assert_string_equal(error.text, "50ms is not between 100ms and 10min");
	assert_int_equal(set("job", "stall_timeout", "366d"), -ERANGE);
	assert_string_equal(error.text, "366d is not between 1ms and 365d, nor 0 for off");
}

static void counts_have_no_units(void **state)
{
	(void)state;
	assert_int_equal(set("dns", "tries", "5"), 0);
	assert_int_equal(config->dns.tries, 5);
	assert_int_equal(set("dns", "tries", "1K"), -EINVAL);
	assert_int_equal(set("dns", "tries", "1s"), -EINVAL);
	assert_string_equal(error.text, "\"1s\" is not a number");
}

static void printed_values(void **state)
{
	(void)state;
	char text[32];
	assert_string_equal(config_print_value(CONFIG_SIZE, 0, text), "0");
	assert_string_equal(config_print_value(CONFIG_SIZE, 1536, text), "1536");
	assert_string_equal(config_print_value(CONFIG_SIZE, 524288, text), "512K");
	assert_string_equal(config_print_value(CONFIG_SIZE, UINT64_MAX, text),
			    "18446744073709551615");
	assert_string_equal(config_print_value(CONFIG_DURATION, 0, text), "0");
	assert_string_equal(config_print_value(CONFIG_DURATION, 90000, text), "90s");
	assert_string_equal(config_print_value(CONFIG_DURATION, 86400000, text), "1d");
	assert_string_equal(config_print_value(CONFIG_DURATION, 1, text), "1ms");
	assert_string_equal(config_print_value(CONFIG_COUNT, 86400000, text), "86400000");
}

static void strings(void **state)
{
	(void)state;
	char text[300];
	assert_int_equal(set("http", "user_agent", "x/1 (y)"), 0);
	assert_string_equal(config->http.user_agent, "x/1 (y)");
	assert_int_equal(set("http", "user_agent", "a\nb"), -EINVAL);
	assert_int_equal(set("http", "user_agent", "caf\xc3\xa9"), -EINVAL);
	memset(text, 'x', sizeof(text));
	text[129] = '\0';
	assert_int_equal(set("http", "user_agent", text), -ERANGE);
	assert_string_equal(error.text, "it is 129 bytes long, at most 128 are allowed");
	assert_string_equal(config->http.user_agent, "x/1 (y)");
	assert_int_equal(set("http", "user_agent", ""), 0);
	assert_string_equal(config->http.user_agent, "");
	assert_int_equal(set("tls", "priority", ""), -ERANGE);
	assert_string_equal(error.text, "it must not be empty");
	assert_int_equal(set("tls", "ca_file", "/a/caf\xc3\xa9"), 0);
	assert_int_equal(set("tls", "ca_file", "a"), -EINVAL);
}

static void h2c_hosts(void **state)
{
	(void)state;
	static const char *const good[] = {
		"",
		"localhost",
		"a.example:80 , b.example:65535",
		"192.0.2.1:8",
		"::1",
		"[2001:db8::1]:8080",
		"a_b-c",
		"[::ffff:192.0.2.1]:1",
		"2001:DB8::1",
	};
	static const char *const bad[] = {
		"a:",       "a:0",      "a:65536",     "a:080",        "a:8o",
		":80",      "http://a", "a/b",         "*.example",    "[::1]",
		"[::1",     "[]:80",    "[a]:80",      "[::1]80",      "[::1]:",
		"0:0:0::1", "::g",      "caf\xc3\xa9", "[1.2.3.4]:80", "a:99999999999999999999",
	};
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
		assert_int_equal(set("pool", "h2c_hosts", good[i]), 0);
		assert_string_equal(config->pool.h2c_hosts, good[i]);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
		assert_int_equal(set("pool", "h2c_hosts", bad[i]), -EINVAL);
		/* A bad one among good ones is found, too. */
		char list[128];
		snprintf(list, sizeof(list), "good.example,%s other.example", bad[i]);
		assert_int_equal(set("pool", "h2c_hosts", list), -EINVAL);
	}
	char longest[400];
	memset(longest, 'a', sizeof(longest));
	longest[399] = '\0';
	assert_int_equal(set("pool", "h2c_hosts", longest), -EINVAL);
	longest[270] = '\0';
	assert_int_equal(set("pool", "h2c_hosts", longest), -EINVAL);
}

static void dns_servers(void **state)
{
	(void)state;
	static const char *const good[] = {"", "192.0.2.1", "192.0.2.1:5353 [::1]:53,::1 [::1]"};
	static const char *const bad[] = {"localhost",      "192.0.2",      "192.0.2.1:x",
					  "[192.0.2.1]:53", "192.0.2.1#53", "[::1"};
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
		assert_int_equal(set("dns", "servers", good[i]), 0);
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
		assert_int_equal(set("dns", "servers", bad[i]), -EINVAL);
	}
	assert_int_equal(set("dns", "servers",
			     "::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 "
			     "::1 ::1 ::1 ::1"),
			 0);
	assert_int_equal(set("dns", "servers",
			     "::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 ::1 "
			     "::1 ::1 ::1 ::1 ::1"),
			 -EINVAL);
	assert_string_equal(error.text, "there are more than 16 items");
}

static void lists(void **state)
{
	(void)state;
	const char *cursor = " ,a,, bc\td ,";
	const char *item;
	size_t length;
	assert_true(config_list_next(&cursor, &item, &length));
	assert_int_equal(length, 1);
	assert_true(config_list_next(&cursor, &item, &length));
	assert_int_equal(length, 2);
	assert_memory_equal(item, "bc", 2);
	assert_true(config_list_next(&cursor, &item, &length));
	assert_memory_equal(item, "d", 1);
	assert_false(config_list_next(&cursor, &item, &length));
	assert_false(config_list_next(&cursor, &item, &length));
	cursor = NULL;
	assert_false(config_list_next(&cursor, &item, &length));

	assert_true(config_list_contains("a b,Host.example:80", "hOST.Example:80"));
	assert_true(config_list_contains("a", "a"));
	assert_false(config_list_contains("ab", "a"));
	assert_false(config_list_contains("a", "ab"));
	assert_false(config_list_contains("a b", "a b"));
	assert_false(config_list_contains("a b", ""));
	assert_false(config_list_contains("", "a"));
	assert_false(config_list_contains(NULL, "a"));
}

static char printed[65536];

static void collect(void *ctx, const char *text)
{
	size_t *length = ctx;
	size_t added = strlen(text);
	assert_true(*length + added < sizeof(printed));
	memcpy(printed + *length, text, added + 1);
	*length += added;
}

static void man_page_has_every_key(void **state)
{
	(void)state;
	size_t length = 0;
	size_t count;
	const struct config_key *keys = config_keys(&count);
	config_print_man(collect, &length);
	const char *at = printed;
	for (size_t i = 0; i < count; ++i) {
		/* In the table's order, with scdoc's specials escaped. */
		char entry[128] = "\n*";
		size_t end = 2;
		for (const char *c = keys[i].name; *c != '\0'; ++c) {
			if (*c == '_') {
				entry[end++] = '\\';
			}
			entry[end++] = *c;
		}
		memcpy(entry + end, "* = _", 6);
		at = strstr(at, entry);
		assert_non_null(at);
		++at;
	}
	assert_non_null(strstr(printed, "## [pool]\n\n"));
	assert_non_null(strstr(printed, "\tDefault: *256*. From 1 to 65536\\."));
}

static void default_file_is_narrow(void **state)
{
	(void)state;
	size_t length = 0;
	config_print_default(collect, &length);
	size_t column = 0;
	bool comment = false;
	for (size_t i = 0; i < length; ++i) {
		if (printed[i] == '\n') {
			column = 0;
			continue;
		}
		comment = column == 0 ? strncmp(printed + i, "# ", 2) == 0 : comment;
		++column;
		assert_true(!comment || column <= 78);
	}
	assert_non_null(strstr(printed, "\n[pool]\n"));
	assert_non_null(strstr(printed, "\n#idle_timeout = 240s\n"));
	assert_non_null(strstr(printed, "\n#servers =\n"));
}

static void retry_statuses(void **state)
{
	static const char *const good[] = {"", "400", "599", "429 503", "408, 500,502\t504"};
	static const char *const bad[] = {"399", "600", "42", "4290", "5xx", "-29", "503 200"};
	(void)state;
	assert_string_equal(config->job.retry_statuses, "429 503");
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); ++i) {
		assert_int_equal(set("job", "retry_statuses", good[i]), 0);
		assert_string_equal(config->job.retry_statuses, good[i]);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); ++i) {
		assert_int_equal(set("job", "retry_statuses", bad[i]), -EINVAL);
		assert_non_null(strstr(error.text, "400 to 599"));
	}
}

int main(void)
{
#define PARSE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		PARSE_TEST(table_is_in_order),
		PARSE_TEST(bounds_of_every_number),
		PARSE_TEST(sizes),
		PARSE_TEST(durations),
		PARSE_TEST(counts_have_no_units),
		PARSE_TEST(printed_values),
		PARSE_TEST(strings),
		PARSE_TEST(h2c_hosts),
		PARSE_TEST(retry_statuses),
		PARSE_TEST(dns_servers),
		PARSE_TEST(lists),
		PARSE_TEST(man_page_has_every_key),
		PARSE_TEST(default_file_is_narrow),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
