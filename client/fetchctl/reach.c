/* SPDX-License-Identifier: MIT */
/* Reaching the daemon, waiting for one answer, and the plainest of them: a ping. */
#include "cli.h"
#include "exit_codes.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000

int cli_reach(const char *socket, struct fetchd_connection **ret_connection)
{
	char path[4096];
	int r;

	if (socket == NULL) {
		r = fetchd_socket_path(path, sizeof(path));
		if (r < 0) {
			cli_error("the path of the daemon's socket is too long");
			return EXIT_CODE_UNREACHABLE;
		}
		socket = path;
	}
	r = fetchd_connect(socket, "fetchctl", CONNECT_TIMEOUT_MS, ret_connection);
	if (r == -EACCES || r == -EPERM) {
		cli_error("cannot reach fetchd at %s: %s. Only members of its group may: "
			  "usermod -a -G fetchd USER, and log in again",
			  socket, strerror(-r));
		return EXIT_CODE_UNREACHABLE;
	}
	if (r < 0) {
		cli_error("cannot reach fetchd at %s: %s. Start it with: systemctl start "
			  "fetchd.socket (or: systemctl --user start fetchd.socket)",
			  socket, strerror(-r));
		return EXIT_CODE_UNREACHABLE;
	}
	return 0;
}

const char *cli_request_error(int error)
{
	return error == -EOPNOTSUPP ? "the daemon is older than this fetchctl: restart it"
				    : strerror(-error);
}

const char *cli_lost_advice(const struct fetchd_connection *connection)
{
	return fetchd_goodbye(connection, NULL) != FETCHD_GOODBYE_NONE
		       ? NULL
		       : "its log may say why: journalctl -u fetchd (or: journalctl --user -u "
			 "fetchd)";
}

int cli_run(struct fetchd_connection *connection, const bool *done)
{
	while (!*done) {
		int r = fetchd_wait(connection, -1);

		/* The reply may have come with the end of the connection. */
		if (r < 0 && fetchd_error(connection) != 0) {
			const char *advice = cli_lost_advice(connection);

			cli_error("lost the daemon: %s%s%s", fetchd_error_text(connection),
				  advice != NULL ? "; " : "", advice != NULL ? advice : "");
			return EXIT_CODE_DAEMON_LOST;
		}
		if (r < 0) {
			cli_error("waiting for the daemon: %s", strerror(-r));
			return EXIT_CODE_INTERNAL;
		}
	}
	return 0;
}

struct pinging {
	bool done;
	int error;
	struct timespec end;
	struct cli_pong pong;
};

static void on_pong(struct fetchd_connection *connection, int error, const struct fetchd_pong *pong,
		    void *user)
{
	struct pinging *pinging = user;

	(void)connection;
	pinging->done = true;
	pinging->error = error;
	(void)clock_gettime(CLOCK_MONOTONIC, &pinging->end);
	if (pong != NULL) {
		pinging->pong.pid = pong->pid;
		(void)cli_printable(pong->version, pinging->pong.version,
				    sizeof(pinging->pong.version));
		(void)cli_printable(pong->instance_id, pinging->pong.instance_id,
				    sizeof(pinging->pong.instance_id));
	}
}

int cli_ping(struct fetchd_connection *connection, struct cli_pong *ret_pong)
{
	struct pinging pinging = {0};
	struct timespec begin;
	int64_t us;
	int r;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	r = fetchd_ping(connection, on_pong, &pinging);
	if (r < 0) {
		cli_error("cannot ask the daemon: %s", strerror(-r));
		return EXIT_CODE_INTERNAL;
	}
	r = cli_run(connection, &pinging.done);
	if (r != 0) {
		return r;
	}
	if (pinging.error < 0) {
		cli_error("cannot ping: %s", cli_request_error(pinging.error));
		return EXIT_CODE_INTERNAL;
	}
	us = (int64_t)(pinging.end.tv_sec - begin.tv_sec) * 1000000 +
	     (pinging.end.tv_nsec - begin.tv_nsec) / 1000;
	pinging.pong.round_trip_us = us > 0 ? (uint64_t)us : 0;
	*ret_pong = pinging.pong;
	return 0;
}

int cli_finish_stdout(void)
{
	struct pollfd poll_fd = {.fd = STDOUT_FILENO, .events = POLLOUT};

	if (fflush(stdout) == 0 && !ferror(stdout)) {
		return 0;
	}
	/* The write that failed may be long ago, and its errno gone; a pipe without reader shows.
	 */
	if (errno == EPIPE || (poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLERR) != 0)) {
		return EXIT_CODE_STDOUT_CLOSED;
	}
	cli_error("cannot write to standard output: %s", strerror(errno));
	return EXIT_CODE_OUTPUT;
}
