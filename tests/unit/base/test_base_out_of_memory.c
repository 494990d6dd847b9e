/* SPDX-License-Identifier: MIT */
/*
 * Every allocation of what is in base/ fails once: an error, nothing half-done, nothing left
 * behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/account.h"
#include "base/bytes.h"
#include "base/config.h"
#include "base/failure.h"
#include "base/log.h"
#include "base/loop.h"
#include "unit/support/allocations.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char untouched[1];

/* ---- bytes ---- */

/* Three chunks and more, so that failures come before, between and behind them. */
static void fill_bytes(void *ctx)
{
	static uint8_t data[40000];
	static uint8_t out[sizeof(data)];
	struct bytes bytes;
	size_t length = 0;
	unsigned failures = 0;

	(void)ctx;
	bytes_init(&bytes, 200000);
	for (size_t i = 0; i < sizeof(data); i++) {
		data[i] = (uint8_t)(i * 7 + (i >> 8));
	}
	for (unsigned i = 0; i < 3; i++) {
		size_t before = bytes_length(&bytes);
		int result = bytes_append(&bytes, data, sizeof(data));

		if (result < 0) {
			/* As if nothing had been asked. */
			assert_int_equal(result, -ENOMEM);
			assert_int_equal(bytes_length(&bytes), before);
			failures++;
			result = bytes_append(&bytes, data, sizeof(data));
		}
		assert_int_equal(result, 0);
		assert_int_equal(bytes_length(&bytes), before + sizeof(data));
	}
	assert_int_equal(failures, allocations_failed());
	while ((length = bytes_take(&bytes, out, sizeof(out))) > 0) {
		assert_int_equal(length, sizeof(out));
		assert_memory_equal(out, data, sizeof(out));
	}
	assert_int_equal(bytes_append(&bytes, data, 1) == 0 || allocations_failed(), true);
	bytes_clear(&bytes);
}

static void bytes(void **state)
{
	(void)state;
	assert_true(allocations_walk(fill_bytes, NULL) >= 8);
}

/* ---- accounts ---- */

static void charge_some(void *ctx)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {[ACCOUNT_PEERS] = 100, [ACCOUNT_JOBS] = 100};
	struct accounts *accounts = accounts_new(limits);
	struct account_charge charges[20];
	unsigned failures = 0;

	(void)ctx;
	if (!accounts) {
		assert_true(allocations_failed());
		return;
	}
	for (unsigned i = 0; i < 20; i++) {
		const struct account_charge none = {.account = NULL};
		int result = 0;

		charges[i] = none;
		result = account_charge(accounts, 1000 + i, ACCOUNT_JOBS, 1 + i, &charges[i]);
		if (result < 0) {
			assert_int_equal(result, -ENOMEM);
			assert_null(charges[i].account);
			failures++;
		}
		assert_int_equal(account_held(accounts, 1000 + i, ACCOUNT_JOBS),
				 result < 0 ? 0 : 1 + i);
	}
	assert_int_equal(failures, allocations_failed());
	for (unsigned i = 0; i < 20; i++) {
		account_discharge(&charges[i]);
	}
	accounts_free(accounts); /* which finds nothing held */
}

static void accounts(void **state)
{
	(void)state;
	/* The accounts, and each uid's. */
	assert_true(allocations_walk(charge_some, NULL) >= 21);
}

/* ---- configuration ---- */

static char folder[] = "/tmp/fetchd-test-config-XXXXXX";
static char file[64];
static char drop_ins[80];
static char drop_in[2][100];

static void put(const char *path, const char *text)
{
	FILE *out = fopen(path, "we");

	assert_non_null(out);
	assert_true(fputs(text, out) >= 0);
	assert_int_equal(fclose(out), 0);
}

static int make_files(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/fetchd.conf", folder);
	snprintf(drop_ins, sizeof(drop_ins), "%s.d", file);
	assert_int_equal(mkdir(drop_ins, 0700), 0);
	put(file, "[pool]\nmax_connections = 7\nh2c_hosts = 127.0.0.1,\n  ::1\n  localhost\n"
		  "[http]\nuser_agent = somebody/1\n[dns]\nservers = 192.0.2.1\n");
	for (unsigned i = 0; i < 2; i++) {
		snprintf(drop_in[i], sizeof(drop_in[i]), "%s/%u.conf", drop_ins, i);
	}
	put(drop_in[0], "[http]\nuser_agent = somebody/2\n[pool]\nmax_connections = 8\n");
	put(drop_in[1], "[dns]\nservers = 192.0.2.2\n  192.0.2.3\n");
	return 0;
}

static int remove_files(void **state)
{
	(void)state;
	(void)unlink(drop_in[0]);
	(void)unlink(drop_in[1]);
	(void)unlink(file);
	(void)rmdir(drop_ins);
	return rmdir(folder);
}

static void load_all(void *ctx)
{
	struct config *config = (void *)untouched;
	struct config_error error = {.text = ""};
	int result = config_load(file, true, &config, &error);

	(void)ctx;
	if (result < 0) {
		assert_int_equal(result, -ENOMEM);
		assert_true(allocations_failed());
		assert_ptr_equal(config, untouched);
		/* It says so, not something that a user would look for in the file. */
		assert_non_null(strstr(error.text, "memory"));
		return;
	}
	/* A configuration is whole or is not. */
	assert_false(allocations_failed());
	assert_int_equal(config->pool.max_connections, 8);
	assert_string_equal(config->http.user_agent, "somebody/2");
	assert_string_equal(config->dns.servers, "192.0.2.2 192.0.2.3");
	config_free(config);
}

static void configuration_files(void **state)
{
	(void)state;
	assert_true(allocations_walk(load_all, NULL) > 20);
}

static void load_defaults(void *ctx)
{
	struct config *config = config_new();

	(void)ctx;
	assert_int_equal(config == NULL, allocations_failed());
	config_free(config);
}

static void default_configuration(void **state)
{
	(void)state;
	assert_true(allocations_walk(load_defaults, NULL) > 5);
}

static void set_every_key(void *ctx)
{
	const struct config_key *key = ctx;
	struct config_error error = {.text = ""};
	struct config *config = NULL;
	int result = 0;

	allocations_pause();
	config = config_new();
	assert_non_null(config);
	allocations_resume();
	result = config_set(config, key, key->fallback, &error);
	assert_int_equal(result, allocations_failed() ? -ENOMEM : 0);
	/* What it had before, or what it was set to: config_free() sees no difference. */
	config_free(config);
}

static void single_keys(void **state)
{
	unsigned long failures = 0;
	size_t count = 0;
	const struct config_key *keys = config_keys(&count);

	(void)state;
	for (size_t i = 0; i < count; i++) {
		failures += allocations_walk(set_every_key, (void *)(uintptr_t)&keys[i]);
	}
	assert_true(failures > 0);
}

static void discard(void *ctx, const char *text)
{
	size_t *length = ctx;

	*length += strlen(text);
}

static void print_all(void *ctx)
{
	size_t length = 0;

	(void)ctx;
	config_print_default(discard, &length);
	config_print_man(discard, &length);
	assert_true(length > 1000);
}

/* ---- what needs no memory ---- */

static void fail_much(void *ctx)
{
	static struct failure failure, copy;
	char text[100];

	(void)ctx;
	(void)failure_set(&failure, FAIL_NO_MEMORY, "%s", "no memory");
	for (unsigned i = 0; i < 2 * FAILURE_LINKS_MAX; i++) {
		(void)failure_wrap(&failure, FAIL_INTERNAL, "number %u", i);
		(void)failure_append(&failure, FAIL_INTERNAL, "number %u", i);
	}
	failure_copy(&copy, &failure);
	assert_int_equal(copy.count, FAILURE_LINKS_MAX);
	assert_non_null(strstr(failure_print(&copy, text, sizeof(text)), "number"));
	failure_clear(&failure);
}

static void log_much(void *ctx)
{
	int sink = open("/dev/null", O_WRONLY | O_CLOEXEC);
	int saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);

	(void)ctx;
	assert_true(sink >= 0 && saved >= 0);
	assert_int_equal(dup2(sink, STDERR_FILENO), STDERR_FILENO);
	log_error("%04000d lines of it", 1);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	(void)close(sink);
	(void)close(saved);
}

/* A failure to be told, and the line that tells it, must not need what has just run out. */
static void needs_none(void **state)
{
	(void)state;
	assert_int_equal(allocations_walk(fail_much, NULL), 0);
	assert_int_equal(allocations_walk(log_much, NULL), 0);
	assert_int_equal(allocations_walk(print_all, NULL), 0);
}

/* ---- the loop ---- */

static void set(void *ctx)
{
	bool *called = ctx;

	*called = true;
}

static void run_loop(void *ctx)
{
	struct loop *loop = loop_new();
	struct loop_timer timer = {.loop = NULL};
	struct loop_task task;
	bool fired = false, ran = false;

	(void)ctx;
	if (!loop) {
		assert_true(allocations_failed());
		return;
	}
	loop_task_init(&task, set, &ran);
	loop_task_queue(&task, loop);
	loop_timer_start(&timer, loop, 0, set, &fired);
	while (!fired || !ran) {
		loop_run_once(loop, true);
	}
	loop_timer_stop(&timer);
	loop_free(loop);
}

/* Its handles are embedded in what uses them: nothing can fail once there is a loop. */
static void loop(void **state)
{
	(void)state;
	assert_int_equal(allocations_walk(run_loop, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes),
		cmocka_unit_test(accounts),
		cmocka_unit_test(configuration_files),
		cmocka_unit_test(default_configuration),
		cmocka_unit_test(single_keys),
		cmocka_unit_test(needs_none),
		cmocka_unit_test(loop),
	};

	return cmocka_run_group_tests(tests, make_files, remove_files);
}
