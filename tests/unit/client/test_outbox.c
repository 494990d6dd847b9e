/* SPDX-License-Identifier: MIT */
/* client/outbox.c: bytes in, the same bytes out, whatever the socket takes at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
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

/* Receives until nothing is there; where a descriptor comes, the bytes so far must be those in
 * front of the frame that it belongs to. */
static size_t receive_frames(int socket, size_t frame_length, size_t received, unsigned *files)
{
	for (;;) {
		union {
			struct cmsghdr align;
			unsigned char bytes[CMSG_SPACE(8 * sizeof(int))];
		} control;
		uint8_t got[1000];
		struct iovec iov = {.iov_base = got, .iov_len = sizeof(got)};
		struct msghdr message = {.msg_iov = &iov,
					 .msg_iovlen = 1,
					 .msg_control = control.bytes,
					 .msg_controllen = sizeof(control.bytes)};
		ssize_t length = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		struct cmsghdr *header = NULL;

		if (length < 0) {
			return received;
		}
		header = CMSG_FIRSTHDR(&message);
		if (header != NULL) {
			struct stat st;
			int fd;

			assert_int_equal(header->cmsg_len, CMSG_LEN(sizeof(int)));
			memcpy(&fd, CMSG_DATA(header), sizeof(fd));
			assert_int_equal(fstat(fd, &st), 0);
			close(fd);
			/* The size says which frame it is for. Nothing behind it came along, but
			 * what was sent before may have. */
			assert_int_equal(st.st_size, ++*files);
			assert_in_range(*files * 2 * frame_length, received,
					received + (size_t)length - 1);
		}
		for (ssize_t i = 0; i < length; i++, received++) {
			assert_int_equal(got[i], received / frame_length % 251);
		}
	}
}

/* Every second frame has a file; the socket takes a little at a time. */
static void test_descriptors_ride_on_their_first_byte_once(void **state)
{
	enum {
		FRAME = 700,
		FRAMES = 400
	};
	struct outbox outbox = {0};
	uint8_t frame[FRAME];
	int fds[2], size = 4096, r;
	size_t received = 0, queued = 0;
	unsigned files = 0, given = 0;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
	do {
		for (int i = 0; i < 7 && queued < FRAMES; i++, queued++) {
			memset(frame, (int)(queued % 251), sizeof(frame));
			if (queued % 2 == 0 && queued > 0) {
				int file = memfd_create("passed", MFD_CLOEXEC);

				assert_true(file >= 0);
				assert_int_equal(ftruncate(file, ++given), 0);
				assert_int_equal(
					outbox_add_with_fd(&outbox, frame, sizeof(frame), file), 0);
				close(file);
			} else {
				assert_int_equal(outbox_add(&outbox, frame, sizeof(frame)), 0);
			}
		}
		r = outbox_send(&outbox, fds[0]);
		assert_true(r == 0 || r == 1);
		received = receive_frames(fds[1], FRAME, received, &files);
	} while (received < (size_t)FRAME * FRAMES);
	assert_int_equal(files, given);
	assert_int_equal(outbox.fd_count, 0);

	/* One that cannot be had, and one that is not sent. */
	assert_int_equal(outbox_add_with_fd(&outbox, frame, sizeof(frame), -1), -EBADF);
	assert_int_equal(outbox_length(&outbox), 0);
	assert_int_equal(outbox_add_with_fd(&outbox, frame, sizeof(frame), fds[0]), 0);
	r = outbox.fds[0].fd;
	assert_int_equal(fcntl(r, F_GETFD), FD_CLOEXEC);
	outbox_fini(&outbox);
	assert_int_equal(fcntl(r, F_GETFD), -1);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_through_a_small_socket),
		cmocka_unit_test(test_descriptors_ride_on_their_first_byte_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
