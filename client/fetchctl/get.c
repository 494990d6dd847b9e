/* SPDX-License-Identifier: MIT */
/*
 * fetchctl get: the loop over transfers, the daemon and signals. What happens to one URL is in
 * transfer.c.
 */
#include "get.h"

#include "exit_codes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How long the daemon may take to say that what was cancelled has ended. */
#define STOP_PATIENCE_MS 1000

/* Written by the signal handler, which can reach nothing else. */
static volatile int interrupted;
static int signal_pipe[2] = {-1, -1};

/* Interrupts a write that began just after a signal was looked for, and would block for as long as
 * its reader pleases. Again and again, for there may be another one. */
static void on_alarm(int number)
{
	(void)number;
	(void)alarm(1);
}

static void on_signal(int number)
{
	int saved_errno = errno;
	char byte = 0;

	interrupted = number;
	(void)alarm(1);
	/* Wakes the poll; when the pipe is full it is awake. */
	if (write(signal_pipe[1], &byte, 1) < 0) {
		errno = saved_errno;
		return;
	}
	errno = saved_errno;
}

static int catch_signals(void)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
	/* Without SA_RESTART, so that a blocked write returns; a second one kills at once. */
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
	struct sigaction again = {.sa_handler = on_alarm};
	struct sigaction inherited;

	if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) {
		return -errno;
	}
	sigemptyset(&action.sa_mask);
	sigemptyset(&again.sa_mask);
	if (sigaction(SIGALRM, &again, NULL) != 0) {
		return -errno;
	}
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		if (sigaction(numbers[i], NULL, &inherited) != 0) {
			return -errno;
		}
		/* Whoever had us ignore it (nohup, a shell's background job) meant that. */
		if (inherited.sa_handler != SIG_IGN && sigaction(numbers[i], &action, NULL) != 0) {
			return -errno;
		}
	}
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void get_message(struct get *get, const char *format, ...)
{
	char text[10240];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	progress_clear(&get->progress);
	cli_error("%s", text);
}

/* ---- standard output, one after the other ---- */

static size_t next_for_stdout(const struct get *get, size_t from)
{
	while (from < get->count && get->options->targets[from].kind != OUTPUT_STDOUT) {
		from++;
	}
	return from;
}

void get_next_turn(struct get *get)
{
	do {
		get->turn = next_for_stdout(get, get->turn + 1);
		if (get->turn < get->count) {
			/* Done already, without a body: its head may still have to be shown. */
			transfer_take_turn(&get->transfers[get->turn]);
		}
	} while (get->turn < get->count && get->transfers[get->turn].state == TRANSFER_DONE);
}

/* ---- the loop ---- */

static void start_more(struct get *get)
{
	while (get->stop_code == 0 && get->started < get->count &&
	       get->running < get->options->parallel) {
		if (transfer_start(&get->transfers[get->started]) == -EAGAIN) {
			return;
		}
		get->started++;
	}
}

static void cancel_all(struct get *get)
{
	for (size_t i = 0; i < get->started; i++) {
		if (get->transfers[i].state == TRANSFER_RUNNING) {
			fetchd_job_cancel(get->transfers[i].job);
		}
	}
}

static void draw(struct get *get, int64_t now)
{
	struct progress_row *rows;
	size_t count = 0;

	if (!get->progress_on || !progress_due(&get->progress, now)) {
		return;
	}
	rows = calloc(get->running + 1, sizeof(*rows));
	if (rows == NULL) {
		return;
	}
	for (size_t i = 0; i < get->started && count < get->running; i++) {
		if (get->transfers[i].state == TRANSFER_RUNNING) {
			rows[count++] = transfer_row(&get->transfers[i], now);
		}
	}
	progress_draw(&get->progress, rows, count, now);
	free(rows);
}

static int sooner(int a_ms, int b_ms)
{
	if (a_ms < 0 || b_ms < 0) {
		return a_ms < 0 ? b_ms : a_ms;
	}
	return a_ms < b_ms ? a_ms : b_ms;
}

/* Whoever can send more of what comes through a pipe. There is one URL only then. */
static struct transfer *wanting_transfer(struct get *get)
{
	struct transfer *transfer = &get->transfers[0];

	return get->stop_code == 0 && transfer->state == TRANSFER_RUNNING && transfer->upload_wanted
		       ? transfer
		       : NULL;
}

/* Waits for the daemon, a signal, the time to draw, or something to send. 0 or negative. */
static int wait_and_process(struct get *get, int64_t stop_at_ms)
{
	struct transfer *wanting = wanting_transfer(get);
	struct pollfd fds[3] = {
		{.fd = fetchd_get_fd(get->connection),
		 .events = fetchd_get_events(get->connection)},
		{.fd = signal_pipe[0], .events = POLLIN},
		{.fd = wanting != NULL ? get->options->body.fd : -1, .events = POLLIN},
	};
	int timeout_ms = fetchd_get_timeout(get->connection), r;
	int64_t left_ms;

	if (get->progress_on) {
		timeout_ms = sooner(timeout_ms, PROGRESS_INTERVAL_MS);
	}
	if (get->stop_code != 0) {
		left_ms = stop_at_ms - now_ms();
		timeout_ms = sooner(timeout_ms, left_ms > 0 ? (int)left_ms : 0);
		/* The signal was seen: its byte would only wake again and again. */
		fds[1].fd = -1;
	}
	r = poll(fds, 3, timeout_ms);
	if (r < 0 && errno != EINTR) {
		return -errno;
	}
	if (r > 0 && fds[2].revents != 0) {
		upload_read(wanting);
	}
	r = fetchd_process(get->connection);
	return r < 0 ? r : 0;
}

static void run(struct get *get)
{
	int64_t stop_at_ms = 0;
	bool cancelled = false;
	int r = 0;

	while (get->done < get->count && r == 0) {
		if (interrupted && get->stop_code == 0) {
			get->stop_code = interrupted == SIGINT ? EXIT_CODE_INTERRUPTED
							       : EXIT_CODE_TERMINATED;
		}
		if (get->stop_code != 0 && !cancelled) {
			cancelled = true;
			stop_at_ms = now_ms() + STOP_PATIENCE_MS;
			cancel_all(get);
		}
		if (get->stop_code != 0 && (get->running == 0 || now_ms() >= stop_at_ms)) {
			break;
		}
		start_more(get);
		if (get->done == get->count) {
			break;
		}
		draw(get, now_ms());
		(void)fetchd_flush(get->connection);
		r = wait_and_process(get, stop_at_ms);
		/* An interrupted write would look like a failed one. */
		if (get->options->common.json && get->stop_code == 0 && !interrupted) {
			get->stop_code = cli_finish_stdout();
		}
	}
	progress_clear(&get->progress);
	/* Whoever is left was not told its end. */
	if (r < 0 && get->done < get->count && get->stop_code == 0) {
		size_t left = get->count - get->done;

		get_message(get, "%zu more URL%s not fetched: %s", left,
			    left == 1 ? " was" : "s were",
			    fetchd_error(get->connection) != 0 ? fetchd_error_text(get->connection)
							       : strerror(-r));
	}
	for (size_t i = 0; i < get->count; i++) {
		transfer_give_up(&get->transfers[i],
				 get->stop_code != 0 ? get->stop_code : EXIT_CODE_DAEMON_LOST);
	}
}

static int exit_code(const struct get *get)
{
	if (get->stop_code != 0) {
		return get->stop_code;
	}
	for (size_t i = 0; i < get->count; i++) {
		if (get->transfers[i].exit_code != 0) {
			return get->transfers[i].exit_code;
		}
	}
	return 0;
}

static int get_run(struct get *get)
{
	const struct get_options *options = get->options;
	int r;

	get->transfers = calloc(get->count, sizeof(*get->transfers));
	if (get->transfers == NULL) {
		cli_error("out of memory");
		return EXIT_CODE_INTERNAL;
	}
	for (size_t i = 0; i < get->count; i++) {
		get->transfers[i] = (struct transfer){
			.get = get,
			.index = i,
			.url = options->urls[i],
			.shown_url = options->shown_urls[i],
			.content_length = -1,
		};
	}
	get->turn = next_for_stdout(get, 0);
	progress_init(&get->progress, stderr);
	/* Not between the lines of a body on the same terminal. */
	get->progress_on =
		get->progress.out != NULL && !options->quiet && !options->no_progress &&
		!((options->common.json || get->turn < get->count) && isatty(STDOUT_FILENO));
	if (!get->progress_on) {
		get->progress.out = NULL;
	}

	r = cli_reach(options->common.socket, &get->connection);
	if (r == 0 && catch_signals() < 0) {
		cli_error("cannot catch signals: %s", strerror(errno));
		r = EXIT_CODE_INTERNAL;
	}
	if (r == 0) {
		run(get);
		r = exit_code(get);
	}
	fetchd_close(get->connection);
	for (size_t i = 0; i < get->count; i++) {
		transfer_fini(&get->transfers[i]);
	}
	free(get->transfers);
	return r;
}

int verb_get(int argc, char **argv)
{
	struct get_options options;
	struct get get = {.interrupted = &interrupted};
	int code = 0;

	if (get_options_parse(&options, argc, argv, &code) != 0) {
		return code;
	}
	get.options = &options;
	get.count = options.url_count;
	code = get_run(&get);
	get_options_fini(&options);
	if (code != 0) {
		(void)fflush(stdout);
		return code;
	}
	return cli_finish_stdout();
}
