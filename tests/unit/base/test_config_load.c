/* SPDX-License-Identifier: MIT */
/*
 * Configuration files: what is accepted, and that every error names its place.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A folder of its own for each test: fetchd.conf, and fetchd.conf.d when asked for. */
static char folder[64];
static char file[128];
static char drop_ins[128];
static struct config *config;
static struct config_error error;

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/fetchd-test-config-XXXXXX");
	if (!mkdtemp(folder)) {
		return -1;
	}
	snprintf(file, sizeof(file), "%s/fetchd.conf", folder);
	snprintf(drop_ins, sizeof(drop_ins), "%s/fetchd.conf.d", folder);
	config = NULL;
	memset(&error, 0, sizeof(error));
	return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *where)
{
	(void)status;
	(void)kind;
	(void)where;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	config_free(config);
	config = NULL;
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void put_bytes(const char *path, const void *data, size_t length)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, length), (ssize_t)length);
	close(fd);
}

static void put_file(const char *text)
{
	put_bytes(file, text, strlen(text));
}

static void put_drop_in(const char *name, const char *text)
{
	char path[256];
	mkdir(drop_ins, 0700);
	snprintf(path, sizeof(path), "%s/%s", drop_ins, name);
	put_bytes(path, text, strlen(text));
}

static int load(void)
{
	config_free(config);
	config = NULL;
	error.text[0] = '\0';
	return config_load(file, true, &config, &error);
}

/* Loading must fail with this text behind the file's name. */
static void refuse(const char *content, const char *expected)
{
	char text[600];
	put_file(content);
	int result = load();
	snprintf(text, sizeof(text), "%s:%s", file, expected);
	assert_string_equal(error.text, text);
	assert_true(result < 0);
	assert_null(config);
}

static void defaults_without_a_file(void **state)
{
	(void)state;
	assert_int_equal(config_load(NULL, true, &config, &error), 0);
	assert_int_equal(config->pool.idle_timeout_ms, 240000);
	config_free(config);
	config = NULL;
	assert_int_equal(config_load(file, false, &config, &error), 0);
	assert_int_equal(config->job.max_attempts, 4);
	config_free(config);
	config = NULL;
	assert_int_equal(config_load(file, true, &config, &error), -ENOENT);
	char text[256];
	snprintf(text, sizeof(text), "%s: No such file or directory", file);
	assert_string_equal(error.text, text);
	assert_null(config);
}

static void values_of_all_kinds(void **state)
{
	(void)state;
	put_file("# comment\n"
		 "; comment\n"
		 "\n"
		 "[daemon]\n"
		 "log_level = debug\n"
		 "drain_timeout=0\n"
		 "[pool]\n"
		 "max_connections = 7  ; not more\n"
		 "max_connections_per_origin: 2\n"
		 "idle_timeout =   5min   \n"
		 "h2c_hosts = localhost, 127.0.0.1:8080 [::1]:80\n"
		 "[tls]\n"
		 "ca_file = /etc/ssl/own ca;1.pem\n"
		 "[http]\n"
		 "stream_window = 1M\n"
		 "user_agent =\n"
		 "[job]\n"
		 "max_size = 0\n"
		 "[pool] # and once more\n"
		 "connect_timeout = 1500ms");
	assert_int_equal(load(), 0);
	assert_int_equal(config->daemon.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(config->daemon.drain_timeout_ms, 0);
	assert_int_equal(config->pool.max_connections, 7);
	assert_int_equal(config->pool.max_connections_per_origin, 2);
	assert_int_equal(config->pool.idle_timeout_ms, 300000);
	assert_int_equal(config->pool.connect_timeout_ms, 1500);
	assert_string_equal(config->pool.h2c_hosts, "localhost, 127.0.0.1:8080 [::1]:80");
	assert_string_equal(config->tls.ca_file, "/etc/ssl/own ca;1.pem");
	assert_int_equal(config->http.stream_window, 1048576);
	assert_string_equal(config->http.user_agent, "");
	assert_int_equal(config->job.max_size, 0);
	/* What is not named keeps its default. */
	assert_int_equal(config->dns.tries, 3);
}

static void empty_files(void **state)
{
	(void)state;
	put_file("");
	assert_int_equal(load(), 0);
	put_file("\n\n   \n# only words\n");
	assert_int_equal(load(), 0);
	put_file("[pool]\n");
	assert_int_equal(load(), 0);
	config_free(config);
	config = NULL;
	assert_int_equal(config_load("/dev/null", true, &config, &error), 0);
}

static void other_line_ends_and_byte_order_mark(void **state)
{
	(void)state;
	put_file("\xef\xbb\xbf[dns]\r\ntries = 5\r\n\r\n[job]\r\nmax_attempts = 2\r\n");
	assert_int_equal(load(), 0);
	assert_int_equal(config->dns.tries, 5);
	assert_int_equal(config->job.max_attempts, 2);
	refuse("\xef\xbb\xbf[nowhere]\n", "1: there is no section [nowhere]");
	refuse("[dns]\n\xef\xbb\xbftries = 5\n", "2: there is no key \xef\xbb\xbftries in [dns]");
}

static void lists_go_on_in_indented_lines(void **state)
{
	(void)state;
	put_file("[pool]\n"
		 "h2c_hosts = a.example ; first\n"
		 "  b.example:8080, c.example\n"
		 "\n"
		 "  # a comment between\n"
		 "\t[::1]:80 ; the last\n"
		 "max_connections = 9\n"
		 "[dns]\n"
		 "servers =\n"
		 " 192.0.2.1\n"
		 " [2001:db8::1]:5353\n");
	assert_int_equal(load(), 0);
	assert_string_equal(config->pool.h2c_hosts, "a.example b.example:8080, c.example [::1]:80");
	assert_string_equal(config->dns.servers, "192.0.2.1 [2001:db8::1]:5353");
	assert_int_equal(config->pool.max_connections, 9);
	/* The first key of a section may be indented; the next one would be a continuation. */
	put_file("[dns]\n  tries = 2\n");
	assert_int_equal(load(), 0);
	assert_int_equal(config->dns.tries, 2);
	refuse("[dns]\n  tries = 2\n  timeout = 1s\n",
	       "3: the line begins with a blank, so it continues dns.tries, which is not a list");
	refuse("[pool]\nh2c_hosts = a\n  idle_timeout = 3s\n",
	       "3: pool.h2c_hosts: \"=\": this is not a host name in its ASCII form");
	refuse("[pool]\nh2c_hosts = a\n [dns]\n",
	       "3: pool.h2c_hosts: \"[dns]\": this is not an IPv6 address");
}

static void unknown_names(void **state)
{
	(void)state;
	refuse("\n[nowhere]\nkey = 1\n", "2: there is no section [nowhere]");
	refuse("[nowhere]\n", "1: there is no section [nowhere]");
	refuse("[]\n", "1: there is no section []");
	refuse("[Pool]\n", "1: there is no section [Pool]");
	refuse("[pool]\nmax_connection = 1\n", "2: there is no key max_connection in [pool]");
	refuse("[pool]\nMAX_CONNECTIONS = 1\n", "2: there is no key MAX_CONNECTIONS in [pool]");
	refuse("[dns]\nmax_connections = 1\n", "2: there is no key max_connections in [dns]");
	refuse("[pool]\n= 1\n", "2: there is no key  in [pool]");
	refuse("max_connections = 1\n", "1: max_connections stands before the first section");
	/* inih keeps 49 characters of a name; none of ours is that long. */
	refuse("[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff]\n",
	       "1: there is no section "
	       "[aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff]");
}

static void lines_that_are_no_ini(void **state)
{
	(void)state;
	refuse("[pool\nmax_connections = 1\n", "1: this is neither [SECTION] nor KEY = VALUE");
	refuse("[pool]\nmax_connections\n", "2: this is neither [SECTION] nor KEY = VALUE");
	refuse("[pool] max_connections = 3\n", "1: [pool] is followed by something else");
	/* The first error is the one that is told, whoever found it. */
	refuse("[pool]\nnonsense\nmax_connections = x\n",
	       "2: this is neither [SECTION] nor KEY = VALUE");
	refuse("[pool]\nmax_connections = x\nnonsense\n",
	       "2: pool.max_connections: \"x\" is not a number");
}

static void bad_values(void **state)
{
	(void)state;
	refuse("[pool]\n\nmax_connections = 0\n",
	       "3: pool.max_connections: 0 is not between 1 and 65536");
	refuse("[pool]\nmax_connections =\n", "2: pool.max_connections: \"\" is not a number");
	refuse("[dns]\ntries = 3 # three\n", "2: dns.tries: \"3 # three\" is not a number");
	refuse("[dns]\ntries = \"3\"\n", "2: dns.tries: \"\"3\"\" is not a number");
	refuse("[daemon]\nlog_level = loud\n",
	       "2: daemon.log_level: \"loud\" is not error, warning, info or debug");
	refuse("[tls]\nca_file = ca.pem\n",
	       "2: tls.ca_file: \"ca.pem\": a path must begin with \"/\"");
	refuse("[http]\nuser_agent = a\x01z\n",
	       "2: http.user_agent: it contains a control character");
	/* What the file holds does not reach a terminal raw. */
	refuse("[pool]\nmax\x1b[1m = 3\n", "2: there is no key max?[1m in [pool]");
}

static void same_key_twice(void **state)
{
	(void)state;
	refuse("[dns]\ntries = 2\n[pool]\n[dns]\ntries = 2\n",
	       "5: dns.tries is set a second time in this file");
	/* Another file may. */
	put_file("[dns]\ntries = 2\n");
	put_drop_in("a.conf", "[dns]\ntries = 4\n");
	assert_int_equal(load(), 0);
	assert_int_equal(config->dns.tries, 4);
}

static void long_lines(void **state)
{
	(void)state;
	/* inih's own buffer would cut at 197 bytes and take the rest for another line. */
	char text[20000] = "[pool]\nh2c_hosts =";
	size_t length = strlen(text);
	while (length < 8100) {
		length += (size_t)snprintf(text + length, 32, " host%zu.example", length);
	}
	text[length] = '\0';
	put_file(text);
	assert_int_equal(load(), 0);
	assert_string_equal(config->pool.h2c_hosts, text + strlen("[pool]\nh2c_hosts = "));
	/* One too long is refused, and counted right. */
	memset(text, '#', 8194);
	memcpy(text + 8194, "\n[dns]\n", 8);
	refuse(text, "1: the line is 8194 bytes long, at most 8192 are possible; a list may go on "
		     "in further lines that begin with a blank");
	memcpy(text + 8192, "\n[dns]\ntries = 2\n", 18);
	put_file(text);
	assert_int_equal(load(), 0);
	assert_int_equal(config->dns.tries, 2);
}

static void nul_bytes(void **state)
{
	(void)state;
	static const char content[] = "[dns]\ntries = 2\0\n";
	char text[256];
	put_bytes(file, content, sizeof(content) - 1);
	assert_int_equal(load(), -EINVAL);
	snprintf(text, sizeof(text), "%s:2: there is a NUL byte in the line", file);
	assert_string_equal(error.text, text);
}

static void files_that_cannot_be_read(void **state)
{
	(void)state;
	char text[256];
	assert_int_equal(mkdir(file, 0700), 0);
	assert_int_equal(load(), -EISDIR);
	snprintf(text, sizeof(text), "%s: Is a directory", file);
	assert_string_equal(error.text, text);
	assert_int_equal(rmdir(file), 0);

	assert_int_equal(mkfifo(file, 0600), 0);
	assert_int_equal(load(), -ENOTSUP);
	snprintf(text, sizeof(text), "%s: Not a regular file", file);
	assert_string_equal(error.text, text);
	assert_int_equal(unlink(file), 0);

	/* A link that leads nowhere is as if there were no file; one in a circle is not. */
	assert_int_equal(symlink("fetchd.conf", file), 0);
	assert_int_equal(config_load(file, false, &config, &error), -ELOOP);
	assert_int_equal(unlink(file), 0);

	put_file("");
	assert_int_equal(truncate(file, (1 << 20) + 1), 0);
	assert_int_equal(load(), -EFBIG);
	assert_int_equal(config_load("/dev/zero", true, &config, &error), -EFBIG);

	put_file("");
	put_bytes(drop_ins, "", 0);
	assert_int_equal(load(), -ENOTDIR);
	snprintf(text, sizeof(text), "%s: Not a directory", drop_ins);
	assert_string_equal(error.text, text);
}

static void unreadable_file(void **state)
{
	(void)state;
	/* Root reads everything, so a test that is root becomes somebody else for a moment. */
	bool root = geteuid() == 0;
	put_file("");
	assert_int_equal(chmod(file, 0), 0);
	assert_int_equal(chmod(folder, 0755), 0);
	if (root) {
		assert_int_equal(seteuid(65534), 0);
	}
	int result = load();
	int optional = config_load(file, false, &config, &error);
	if (root) {
		assert_int_equal(seteuid(0), 0);
	}
	char text[256];
	snprintf(text, sizeof(text), "%s: Permission denied", file);
	assert_string_equal(error.text, text);
	assert_int_equal(result, -EACCES);
	assert_int_equal(optional, -EACCES);
}

static void drop_ins_in_the_order_of_their_names(void **state)
{
	(void)state;
	put_file("[dns]\ntries = 1\ntimeout = 1s\n[pool]\nh2c_hosts = a b\n");
	put_drop_in("20-x.conf", "[dns]\ntries = 3\n");
	put_drop_in("10-x.conf", "[dns]\ntries = 2\n");
	put_drop_in("9-x.conf", "[dns]\ntries = 9\n[pool]\nh2c_hosts = c\n");
	put_drop_in("Z.conf", "[job]\nmax_attempts = 5\n");
	put_drop_in("a.conf", "[job]\nmax_attempts = 6\n");
	put_drop_in(".hidden.conf", "[dns]\ntries = 10\n");
	put_drop_in("x.conf~", "nonsense");
	put_drop_in("x.conf.bak", "nonsense");
	put_drop_in("conf", "nonsense");
	put_drop_in(".conf", "nonsense");
	assert_int_equal(load(), 0);
	/* Byte by byte: "9" comes after "20", capitals before small letters. */
	assert_int_equal(config->dns.tries, 9);
	assert_int_equal(config->dns.timeout_ms, 1000);
	assert_int_equal(config->job.max_attempts, 6);
	/* A list is replaced, not extended. */
	assert_string_equal(config->pool.h2c_hosts, "c");
}

static void drop_ins_count_without_the_file(void **state)
{
	(void)state;
	put_drop_in("a.conf", "[dns]\ntries = 7\n");
	assert_int_equal(config_load(file, false, &config, &error), 0);
	assert_int_equal(config->dns.tries, 7);
}

static void errors_in_drop_ins_name_them(void **state)
{
	(void)state;
	char text[256];
	put_file("[dns]\ntries = 2\n");
	put_drop_in("a.conf", "\n[dns]\ntries = 20\n");
	put_drop_in("b.conf", "nonsense\n");
	assert_int_equal(load(), -ERANGE);
	snprintf(text, sizeof(text), "%s/a.conf:3: dns.tries: 20 is not between 1 and 10",
		 drop_ins);
	assert_string_equal(error.text, text);
	snprintf(text, sizeof(text), "%s/a.conf", drop_ins);
	assert_int_equal(unlink(text), 0);
	assert_int_equal(mkdir(text, 0700), 0);
	assert_int_equal(load(), -EISDIR);
}

static void values_must_agree(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{"[pool]\nmax_connections = 2\n",
		 " pool.max_connections_per_origin (4) is more than pool.max_connections (2)"},
		{"[http]\nstream_window = 2M\nconnection_window = 1M\n",
		 " http.stream_window (2M) is more than http.connection_window (1M)"},
		{"[http]\nstream_window = 2M\nmax_stream_window = 1M\n",
		 " http.stream_window (2M) is more than http.max_stream_window (1M)"},
		{"[http]\nmax_connection_window = 8M\n",
		 " http.connection_window (16M) is more than http.max_connection_window (8M)"},
		{"[http]\nstream_window = 2M\n[memory]\nbody_budget = 1M\n",
		 " http.stream_window (2M) is more than memory.body_budget (1M)"},
		{"[job]\nbackoff = 2min\n",
		 " job.backoff (2min) is more than job.max_backoff (1min)"},
		{"[ipc]\nmax_clients = 10\n",
		 " ipc.max_clients_per_uid (512) is more than ipc.max_clients (10)"},
		{"[ipc]\nmax_jobs = 15000\n",
		 " ipc.max_jobs_per_uid (20000) is more than ipc.max_jobs (15000)"},
		{"[ipc]\nmax_jobs = 10\nmax_jobs_per_uid = 10\n",
		 " ipc.max_jobs_per_client (10000) is more than ipc.max_jobs (10)"},
		{"[ipc]\nmax_credit = 64K\n",
		 " ipc.default_credit (256K) is more than ipc.max_credit (64K)"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); ++i) {
		refuse(cases[i][0], cases[i][1]);
	}
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

static void the_default_file_can_be_loaded(void **state)
{
	(void)state;
	size_t length = 0;
	config_print_default(collect, &length);
	put_bytes(file, printed, length);
	assert_int_equal(load(), 0);
	/* With every key uncommented it means the same. */
	char *from = printed;
	char *to = printed;
	while (*from != '\0') {
		bool line_start = from == printed || from[-1] == '\n';
		if (line_start && from[0] == '#' && from[1] != ' ' && from[1] != '\n') {
			++from;
		}
		*to++ = *from++;
	}
	put_bytes(file, printed, (size_t)(to - printed));
	assert_int_equal(load(), 0);
	struct config *defaults = config_new();
	assert_non_null(defaults);
	size_t count;
	const struct config_key *keys = config_keys(&count);
	for (size_t i = 0; i < count; ++i) {
		const char *a = (const char *)config + keys[i].offset;
		const char *b = (const char *)defaults + keys[i].offset;
		if (keys[i].type == CONFIG_STRING || keys[i].type == CONFIG_LIST) {
			assert_string_equal(*(char *const *)(const void *)a,
					    *(char *const *)(const void *)b);
		} else if (keys[i].type != CONFIG_LOG_LEVEL) {
			assert_memory_equal(a, b, sizeof(uint64_t));
		}
	}
	config_free(defaults);
}

int main(void)
{
#define LOAD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		LOAD_TEST(defaults_without_a_file),
		LOAD_TEST(values_of_all_kinds),
		LOAD_TEST(empty_files),
		LOAD_TEST(other_line_ends_and_byte_order_mark),
		LOAD_TEST(lists_go_on_in_indented_lines),
		LOAD_TEST(unknown_names),
		LOAD_TEST(lines_that_are_no_ini),
		LOAD_TEST(bad_values),
		LOAD_TEST(same_key_twice),
		LOAD_TEST(long_lines),
		LOAD_TEST(nul_bytes),
		LOAD_TEST(files_that_cannot_be_read),
		LOAD_TEST(unreadable_file),
		LOAD_TEST(drop_ins_in_the_order_of_their_names),
		LOAD_TEST(drop_ins_count_without_the_file),
		LOAD_TEST(errors_in_drop_ins_name_them),
		LOAD_TEST(values_must_agree),
		LOAD_TEST(the_default_file_can_be_loaded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
