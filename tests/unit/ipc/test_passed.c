/* SPDX-License-Identifier: MIT */
/*
 * Descriptors that ride on bytes: their order, their bounds, their charges, and that none is left.
 */
#include "unit/support/h2_origin.h"

#include "ipc/passed.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define UID 1000u

static struct loop *loop;
static struct workers *workers;
static struct accounts *accounts;
static struct passed_queue queue;
static int ends[2]; /* a client's, ours */
static unsigned fds;

static int setup(void **state)
{
	static const uint64_t limits[ACCOUNT_SLOTS] = {[ACCOUNT_FDS] = 20};

	(void)state;
	fds = open_fds();
	loop = loop_new();
	accounts = accounts_new(limits);
	assert_true(loop && accounts);
	assert_int_equal(workers_new(loop, 1, &workers), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	passed_init(&queue, accounts, workers, UID);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	passed_fini(&queue);
	workers_free(workers);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(account_held(accounts, UID, ACCOUNT_FDS), 0);
	accounts_free(accounts);
	loop_free(loop);
	assert_int_equal(open_fds(), fds);
	return 0;
}

/* Memory files, each of as many bytes as its number. */
static void send_files(const char *bytes, unsigned first, unsigned count)
{
	union {
		struct cmsghdr align;
		unsigned char bytes[CMSG_SPACE(64 * sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = strlen(bytes)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	struct cmsghdr *header = NULL;
	int files[64];

	assert_true(count > 0 && count <= 64);
	message.msg_control = control.bytes;
	message.msg_controllen = CMSG_SPACE(count * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(count * sizeof(int));
	for (unsigned i = 0; i < count; i++) {
		files[i] = memfd_create("passed", MFD_CLOEXEC);
		assert_true(files[i] >= 0);
		assert_int_equal(ftruncate(files[i], first + i), 0);
	}
	memcpy(CMSG_DATA(header), files, count * sizeof(int));
	assert_int_equal(sendmsg(ends[0], &message, MSG_NOSIGNAL), strlen(bytes));
	for (unsigned i = 0; i < count; i++) {
		close(files[i]);
	}
}

static void receive(const char *expected)
{
	char buffer[64];
	const char *why = NULL;
	ssize_t count = passed_receive(&queue, ends[1], buffer, sizeof(buffer), &why);

	assert_int_equal(count, strlen(expected));
	assert_memory_equal(buffer, expected, strlen(expected));
}

static void take(unsigned number)
{
	struct passed_fd passed = passed_take(&queue);
	struct stat st;

	assert_true(passed.fd >= 0);
	assert_int_equal(fcntl(passed.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(fstat(passed.fd, &st), 0);
	assert_int_equal(st.st_size, number);
	passed_close(&passed, workers);
	assert_int_equal(passed.fd, -1);
	passed_close(&passed, workers);
}

static void settle(void)
{
	UNTIL(loop, account_held(accounts, UID, ACCOUNT_FDS) == queue.count);
}

static void in_order_behind_the_bytes_before_them(void **state)
{
	(void)state;
	assert_int_equal(send(ends[0], "plain ", 6, 0), 6);
	send_files("one", 1, 1);
	send_files("two and three", 2, 2);
	assert_int_equal(send(ends[0], " more", 5, 0), 5);
	/* What was sent before comes along; what is sent behind does not. */
	receive("plain one");
	assert_true(passed_claim(&queue, 1));
	assert_int_equal(passed_claimed(&queue), 1);
	take(1);
	assert_int_equal(passed_claimed(&queue), 0);
	passed_end_frame(&queue);
	receive("two and three");
	assert_false(passed_claim(&queue, 3));
	assert_true(passed_claim(&queue, 0));
	assert_true(passed_claim(&queue, 2));
	take(2);
	/* The frame had no use for the other one. */
	passed_end_frame(&queue);
	settle();
	assert_int_equal(queue.count, 0);
	assert_null(queue.fds);
	receive(" more");
}

static void nothing_and_the_end(void **state)
{
	const char *why = NULL;
	char byte = 0;

	(void)state;
	assert_int_equal(passed_receive(&queue, ends[1], &byte, 1, &why), -EAGAIN);
	assert_int_equal(shutdown(ends[0], SHUT_WR), 0);
	assert_int_equal(passed_receive(&queue, ends[1], &byte, 1, &why), 0);
	assert_int_equal(passed_receive(&queue, -1, &byte, 1, &why), -EBADF);
}

static void too_many_at_once(void **state)
{
	char buffer[8];
	const char *why = NULL;

	(void)state;
	send_files("x", 1, PASSED_MAX);
	receive("x");
	assert_int_equal(queue.count, PASSED_MAX);
	passed_clear(&queue);
	send_files("x", 1, 40);
	assert_int_equal(passed_receive(&queue, ends[1], buffer, sizeof(buffer), &why), -EBADMSG);
	assert_non_null(why);
	assert_int_equal(queue.count, 0);
	settle();
}

static void too_many_that_nobody_claims(void **state)
{
	char buffer[8];
	const char *why = NULL;

	(void)state;
	for (unsigned i = 0; i < PASSED_MAX; i++) {
		send_files("x", i, 1);
		receive("x");
	}
	send_files("x", 1, 1);
	assert_int_equal(passed_receive(&queue, ends[1], buffer, sizeof(buffer), &why), -EBADMSG);
	assert_non_null(why);
	assert_int_equal(queue.count, 0);
	settle();
}

/* It is its own frame that has to do without. */
static void beyond_the_users_ceiling(void **state)
{
	struct account_charge charge;
	struct passed_fd passed;

	(void)state;
	assert_int_equal(account_charge(accounts, UID, ACCOUNT_FDS, 19, &charge), 0);
	send_files("x", 1, 2);
	receive("x");
	assert_true(passed_claim(&queue, 2));
	take(1);
	passed = passed_take(&queue);
	assert_int_equal(passed.fd, -1);
	assert_int_equal(passed.error, -EDQUOT);
	passed_close(&passed, workers);
	UNTIL(loop, account_held(accounts, UID, ACCOUNT_FDS) == 19);
	account_discharge(&charge);
}

static void the_charge_stays_until_it_is_closed(void **state)
{
	(void)state;
	send_files("x", 1, 3);
	receive("x");
	assert_int_equal(account_held(accounts, UID, ACCOUNT_FDS), 3);
	passed_clear(&queue);
	assert_int_equal(account_held(accounts, UID, ACCOUNT_FDS), 3);
	settle();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(in_order_behind_the_bytes_before_them),
		TEST(nothing_and_the_end),
		TEST(too_many_at_once),
		TEST(too_many_that_nobody_claims),
		TEST(beyond_the_users_ceiling),
		TEST(the_charge_stays_until_it_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
