/* SPDX-License-Identifier: MIT */
/* client/outbox.c: bytes in, the same bytes out, whatever the socket takes at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/outbox.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

static void test_order_through_a_small_socket(void **state)
{
	static uint8_t data[3000], got[4096];
	struct outbox outbox = {0};
	size_t added = 0, received = 0;
	int fds[2], r;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(outbox_send(&outbox, fds[0]), 0);
	assert_int_equal(outbox_add(&outbox, NULL, 0), 0);
	do {
		/* Adding between partial sends: what is left moves to the front. */
		for (int i = 0; i < 100 && added < 2000000; i++) {
			for (size_t j = 0; j < sizeof(data); j++) {
				data[j] = (uint8_t)((added + j) % 253);
			}
			assert_int_equal(outbox_add(&outbox, data, sizeof(data)), 0);
			added += sizeof(data);
		}
		assert_int_equal(outbox_length(&outbox) > 0, added > received || added == 0);
		r = outbox_send(&outbox, fds[0]);
		assert_true(r == 0 || r == 1);
		for (;;) {
			ssize_t length = recv(fds[1], got, sizeof(got), MSG_DONTWAIT);

			if (length < 0) {
				break;
			}
			for (ssize_t j = 0; j < length; j++, received++) {
				assert_int_equal(got[j], received % 253);
			}
		}
	} while (r == 1 || added < 2000000);
	assert_int_equal(received, added);
	assert_int_equal(outbox_length(&outbox), 0);

	assert_int_equal(outbox_add(&outbox, data, 1), 0);
	close(fds[1]);
	assert_int_equal(outbox_send(&outbox, fds[0]), -EPIPE);
	outbox_fini(&outbox);
	assert_int_equal(outbox_length(&outbox), 0);
	close(fds[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_order_through_a_small_socket)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
