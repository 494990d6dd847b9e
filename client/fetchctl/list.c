/* SPDX-License-Identifier: MIT */
/* fetchctl list: the open jobs, page by page. */
#include "cli.h"
#include "exit_codes.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

static const char usage[] =
	"Usage: fetchctl list [OPTION...]\n"
	"Shows the open jobs: the caller's own, or everybody's for root and the daemon's user.\n"
	"WAITING is what keeps a job from moving, for how long already, and the limit that it is "
	"at.\n";

struct listing {
	bool json;
	bool done;
	bool more;
	bool header_printed;
	size_t waiting_width; /* of that column; the first page's */
	uint64_t last;
	int exit_code;
};

#define WAITING_WIDTH_MAX 60u

/* "STREAM_LIMIT 3.2s (SETTINGS_MAX_CONCURRENT_STREAMS 100)", "RETRY_TIMER 1.0s, 4.0s left"; "-"
 * for a job that moves. */
static const char *format_wait(const struct fetchd_job_info *job, char *buffer, size_t size)
{
	const struct fetchd_wait *wait = &job->wait;
	char waited[24], left[24], until[40] = "", limit[160], at[192] = "";

	if (wait->reason == FETCHD_WAIT_UNSPECIFIED) {
		/* A newer daemon has reasons that this program does not know. */
		return job->waiting_for[0] != '\0' ? cli_printable(job->waiting_for, buffer, size)
						   : "-";
	}
	if (wait->left_ms >= 0) {
		(void)snprintf(until, sizeof(until), ", %s left",
			       cli_format_duration((uint64_t)wait->left_ms, left, sizeof(left)));
	}
	if (wait->limit[0] != '\0') {
		(void)snprintf(at, sizeof(at), " (%s %" PRIu64 ")",
			       cli_printable(wait->limit, limit, sizeof(limit)), wait->limit_value);
	}
	(void)snprintf(buffer, size, "%s %s%s%s", fetchd_wait_reason_name(wait->reason),
		       cli_format_duration(wait->for_ms, waited, sizeof(waited)), until, at);
	return buffer;
}

static void print_job(struct listing *listing, const struct fetchd_job_info *job)
{
	char received[16], age[24], url[2048], waiting[512];

	if (listing->json) {
		if (json_print(json_job(job)) < 0) {
			listing->exit_code = EXIT_CODE_INTERNAL;
		}
		return;
	}
	if (!listing->header_printed) {
		listing->header_printed = true;
		(void)printf("%8s %-10s %6s %8s %-7s %-*s %s\n", "JOB", "STATE", "BYTES", "AGE",
			     "METHOD", (int)listing->waiting_width, "WAITING", "URL");
	}
	(void)printf("%8" PRIu64 " %-10s %6s %8s %-7s %-*s %s\n", job->daemon_id,
		     fetchd_job_state_name(job->state),
		     cli_format_bytes(job->received_bytes, received, sizeof(received)),
		     cli_format_duration(job->age_ms, age, sizeof(age)), job->method,
		     (int)listing->waiting_width, format_wait(job, waiting, sizeof(waiting)),
		     cli_printable(job->url, url, sizeof(url)));
}

static void set_width(struct listing *listing, const struct fetchd_list *list)
{
	char waiting[512];

	listing->waiting_width = strlen("WAITING");
	for (size_t i = 0; i < list->job_count; i++) {
		size_t length = strlen(format_wait(&list->jobs[i], waiting, sizeof(waiting)));

		if (length > listing->waiting_width) {
			listing->waiting_width =
				length < WAITING_WIDTH_MAX ? length : WAITING_WIDTH_MAX;
		}
	}
}

static void on_list(struct fetchd_connection *connection, int error, const struct fetchd_list *list,
		    void *user)
{
	struct listing *listing = user;

	(void)connection;
	listing->done = true;
	listing->more = false;
	if (error < 0) {
		/* A lost connection is told of elsewhere. */
		if (fetchd_error(connection) == 0) {
			cli_error("cannot list: %s", cli_request_error(error));
			listing->exit_code = EXIT_CODE_INTERNAL;
		}
		return;
	}
	if (!listing->header_printed) {
		set_width(listing, list);
	}
	for (size_t i = 0; i < list->job_count; i++) {
		print_job(listing, &list->jobs[i]);
	}
	if (list->more && list->job_count > 0) {
		uint64_t last = list->jobs[list->job_count - 1].daemon_id;

		if (last <= listing->last) {
			cli_error("cannot list: the daemon sends the same jobs again");
			listing->exit_code = EXIT_CODE_INTERNAL;
			return;
		}
		listing->more = true;
		listing->last = last;
	}
}

int verb_list(int argc, char **argv)
{
	struct fetchd_connection *connection = NULL;
	struct listing listing = {.more = true};
	struct cli_common common;
	int r, exit_code = 0, first = cli_parse_simple(argc, argv, usage, &common, &exit_code);

	if (first < 0) {
		return exit_code;
	}
	if (first < argc) {
		cli_error("list takes no argument: %s", argv[first]);
		return EXIT_CODE_USAGE;
	}
	exit_code = cli_reach(common.socket, &connection);
	if (exit_code != 0) {
		return exit_code;
	}
	listing.json = common.json;
	while (listing.more && exit_code == 0) {
		listing.done = false;
		r = fetchd_list(connection, listing.last, 0, on_list, &listing);
		if (r < 0) {
			cli_error("cannot ask the daemon: %s", strerror(-r));
			exit_code = EXIT_CODE_INTERNAL;
			break;
		}
		exit_code = cli_run(connection, &listing.done);
		if (exit_code == 0) {
			exit_code = listing.exit_code;
		}
	}
	fetchd_close(connection);
	r = cli_finish_stdout();
	return exit_code != 0 ? exit_code : r;
}
