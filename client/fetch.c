/* SPDX-License-Identifier: MIT */
/*
 * fetchd_fetch_to_fd(): one fetch in one blocking call, by the means that every caller has.
 */
#include "internal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000

struct fetch {
	int fd;
	int write_error; /* 0 or negative */
	bool closed;
	struct fetchd_result result;
};

/* ---- a broken pipe is an error here, not the end of the caller ---- */

struct sigpipe_guard {
	sigset_t old_mask;
	bool was_pending;
	bool blocked;
};

static void sigpipe_block(struct sigpipe_guard *guard)
{
	sigset_t pending, mask;

	sigemptyset(&pending);
	(void)sigpending(&pending);
	guard->was_pending = sigismember(&pending, SIGPIPE) == 1;
	sigemptyset(&mask);
	sigaddset(&mask, SIGPIPE);
	guard->blocked = pthread_sigmask(SIG_BLOCK, &mask, &guard->old_mask) == 0;
}

static void sigpipe_restore(const struct sigpipe_guard *guard, bool raised)
{
	const struct timespec at_once = {0};
	sigset_t mask;

	if (!guard->blocked) {
		return;
	}
	if (raised && !guard->was_pending) {
		sigemptyset(&mask);
		sigaddset(&mask, SIGPIPE);
		while (sigtimedwait(&mask, NULL, &at_once) < 0 && errno == EINTR) {
		}
	}
	(void)pthread_sigmask(SIG_SETMASK, &guard->old_mask, NULL);
}

/* ---- the fetch ---- */

static int write_all(int fd, const uint8_t *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(fd, data, length);

		if (written >= 0) {
			data += written;
			length -= (size_t)written;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};

			if (poll(&poll_fd, 1, -1) < 0 && errno != EINTR) {
				return -errno;
			}
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static void on_head(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	struct fetch *fetch = user;

	(void)job;
	fetch->result.status = head->status;
	fetch->result.content_length = head->content_length;
}

static void on_body(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
		    void *user)
{
	struct fetch *fetch = user;

	fetch->write_error = write_all(fetch->fd, data, length);
	if (fetch->write_error < 0) {
		fetchd_job_cancel(job);
		return;
	}
	fetch->result.written_bytes = offset + length;
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct fetch *fetch = user;
	struct fetchd_result *result = &fetch->result;

	(void)job;
	fetch->closed = true;
	result->reason = closed->reason;
	if (closed->failure_count > 0) {
		result->code = closed->failures[0].code;
		(void)snprintf(result->text, sizeof(result->text), "%s", closed->failures[0].text);
	} else if (closed->reason != FETCHD_CLOSE_ENDED) {
		(void)snprintf(result->text, sizeof(result->text), "%s",
			       fetchd_close_reason_text(closed->reason));
	}
}

static int cannot_submit(struct fetch *fetch, int error)
{
	(void)snprintf(fetch->result.text, sizeof(fetch->result.text),
		       "cannot submit the request: %s", strerror(-error));
	return error;
}

static int fetch_run(const char *socket_path, const struct fetchd_request *given_request,
		     struct fetch *fetch)
{
	struct fetchd_job_callbacks callbacks = FETCHD_JOB_CALLBACKS_INIT;
	struct fetchd_connection *connection = NULL;
	struct fetchd_request request = FETCHD_REQUEST_INIT;
	int r = submit_known_request(given_request, &request);

	if (r == 0 && (request.upload || request.output_fd >= 0)) {
		r = -EINVAL;
	}
	if (r < 0) {
		return cannot_submit(fetch, r);
	}
	/* Every byte is written before its credit goes back, so credit by hand, or a start without
	 * any, has no meaning here and would stall. */
	request.manual_credit = false;
	if (request.initial_credit_bytes == 0) {
		request.initial_credit_bytes = FETCHD_DEFAULT;
	}

	r = fetchd_connect(socket_path, NULL, CONNECT_TIMEOUT_MS, &connection);
	if (r < 0) {
		(void)snprintf(fetch->result.text, sizeof(fetch->result.text),
			       "cannot reach fetchd: %s", strerror(-r));
		return r;
	}
	callbacks.on_head = on_head;
	callbacks.on_body = on_body;
	callbacks.on_closed = on_closed;
	r = fetchd_submit(connection, &request, &callbacks, fetch, NULL);
	if (r < 0) {
		r = cannot_submit(fetch, r);
	}
	while (r >= 0 && !fetch->closed) {
		r = fetchd_wait(connection, -1);
	}
	fetchd_close(connection);

	if (fetch->write_error < 0) {
		(void)snprintf(fetch->result.text, sizeof(fetch->result.text), "cannot write: %s",
			       strerror(-fetch->write_error));
		return fetch->write_error;
	}
	/* A connection that ends after the job's end does not matter. */
	if (fetch->closed && fetch->result.reason != FETCHD_CLOSE_DAEMON_LOST) {
		return fetch->result.reason == FETCHD_CLOSE_ENDED ? 0 : 1;
	}
	return r < 0 ? r : -ECONNRESET;
}

int fetchd_fetch_to_fd(const char *socket_path, const struct fetchd_request *request, int fd,
		       struct fetchd_result *ret_result)
{
	struct fetch fetch = {.fd = fd, .result = FETCHD_RESULT_INIT};
	struct sigpipe_guard guard;
	int r;

	if (ret_result != NULL && ret_result->size < sizeof(ret_result->size)) {
		return -EINVAL;
	}

	sigpipe_block(&guard);
	r = fetch_run(socket_path, request, &fetch);
	sigpipe_restore(&guard, fetch.write_error == -EPIPE);

	if (ret_result != NULL) {
		size_t size = ret_result->size < sizeof(fetch.result) ? ret_result->size
								      : sizeof(fetch.result);

		memcpy((char *)ret_result + sizeof(size_t),
		       (const char *)&fetch.result + sizeof(size_t), size - sizeof(size_t));
	}
	return r;
}
