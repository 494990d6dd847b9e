/* SPDX-License-Identifier: MIT */
/*
 * Many fetches at once inside a poll() loop that the program has anyway: here it also serves a
 * timer that ticks every 100 milliseconds. Fetches URL COUNT times (100 by default), prints how
 * each one ended, and exits with 0 if all ended well.
 *
 *     fetch_many URL [COUNT]
 */
#include <fetchd/fetchd.h>

#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

struct fetch {
	int number;
	uint64_t bytes;
	int *still_open;
	int *failed;
};

static void on_body(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
		    void *user)
{
	struct fetch *fetch = user;

	(void)job;
	(void)offset;
	(void)data;
	fetch->bytes += length;
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct fetch *fetch = user;

	(void)job;
	printf("%d: %s, %llu bytes\n", fetch->number, fetchd_close_reason_name(closed->reason),
	       (unsigned long long)fetch->bytes);
	for (size_t i = 0; i < closed->failure_count; i++) {
		printf("%d:   %s\n", fetch->number, closed->failures[i].text);
	}
	if (closed->reason != FETCHD_CLOSE_ENDED) {
		(*fetch->failed)++;
	}
	(*fetch->still_open)--;
}

static int timer_start(void)
{
	const struct itimerspec every = {{0, 100000000}, {0, 100000000}};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

	if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The program's own loop; libfetchd is one descriptor in it. */
static int loop(struct fetchd_connection *connection, int timer_fd, const int *still_open)
{
	uint64_t ticks, all_ticks = 0;

	while (*still_open > 0) {
		struct pollfd fds[2] = {
			{fetchd_get_fd(connection), fetchd_get_events(connection), 0},
			{timer_fd, POLLIN, 0},
		};
		int r;

		if (poll(fds, 2, fetchd_get_timeout(connection)) < 0 && errno != EINTR) {
			return -errno;
		}
		if (read(timer_fd, &ticks, sizeof(ticks)) == (ssize_t)sizeof(ticks)) {
			all_ticks += ticks;
		}
		/* Always: it may have something to do without the descriptor being ready. */
		r = fetchd_process(connection);
		if (r < 0) {
			fprintf(stderr, "%s\n", fetchd_error_text(connection));
			return r;
		}
	}
	printf("%llu ticks meanwhile\n", (unsigned long long)all_ticks);
	return 0;
}

int main(int argc, char **argv)
{
	struct fetchd_job_callbacks callbacks = FETCHD_JOB_CALLBACKS_INIT;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	struct fetchd_connection *connection = NULL;
	int still_open = 0, failed = 0, timer_fd, r;
	unsigned long long count = argc > 2 ? strtoull(argv[2], NULL, 10) : 100;
	struct fetch *fetches;

	if (argc < 2 || count < 1 || count > 10000) {
		fprintf(stderr, "Usage: %s URL [COUNT]\n", argv[0]);
		return 2;
	}
	r = fetchd_connect(NULL, "fetch_many", 5000, &connection);
	if (r < 0) {
		fprintf(stderr, "cannot reach fetchd: %s\n", strerror(-r));
		return 1;
	}
	fetches = calloc((size_t)count, sizeof(*fetches));
	timer_fd = timer_start();
	if (fetches == NULL || timer_fd < 0) {
		perror("setup");
		fetchd_close(connection);
		free(fetches);
		return 1;
	}

	callbacks.on_body = on_body;
	callbacks.on_closed = on_closed;
	request.url = argv[1];
	for (int i = 0; i < (int)count; i++) {
		fetches[i] = (struct fetch){i, 0, &still_open, &failed};
		r = fetchd_submit(connection, &request, &callbacks, &fetches[i], NULL);
		if (r < 0) {
			fprintf(stderr, "%d: cannot submit: %s\n", i, strerror(-r));
			failed++;
		} else {
			still_open++;
		}
	}

	r = loop(connection, timer_fd, &still_open);
	fetchd_close(connection);
	close(timer_fd);
	free(fetches);
	return r == 0 && failed == 0 ? 0 : 1;
}
