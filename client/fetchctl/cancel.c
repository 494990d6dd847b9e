/* SPDX-License-Identifier: MIT */
/* fetchctl cancel: ends jobs by the daemon's number, as `list` shows it. */
#include "cli.h"
#include "exit_codes.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

static const char usage[] = "Usage: fetchctl cancel [OPTION...] JOB...\n"
			    "Cancels jobs by the numbers that `fetchctl list` shows.\n";

struct cancelling {
	uint64_t job;
	bool json;
	bool done;
	int exit_code; /* the first failure's */
};

static void fail(struct cancelling *cancelling, int exit_code)
{
	if (cancelling->exit_code == 0) {
		cancelling->exit_code = exit_code;
	}
}

static void on_cancel(struct fetchd_connection *connection, int error, bool found, void *user)
{
	struct cancelling *cancelling = user;

	cancelling->done = true;
	if (error < 0) {
		if (fetchd_error(connection) == 0) {
			cli_error("cannot cancel: %s", cli_request_error(error));
			fail(cancelling, EXIT_CODE_INTERNAL);
		}
		return;
	}
	if (cancelling->json) {
		json_t *object = json_object();

		json_put(&object, "job", json_count(cancelling->job));
		json_put(&object, "found", json_boolean(found));
		if (json_print(object) < 0) {
			fail(cancelling, EXIT_CODE_INTERNAL);
		}
	}
	if (!found) {
		cli_error("no job %" PRIu64 ", or it is somebody else's", cancelling->job);
		fail(cancelling, EXIT_CODE_NO_SUCH_JOB);
	}
}

int verb_cancel(int argc, char **argv)
{
	struct fetchd_connection *connection = NULL;
	struct cancelling cancelling = {0};
	struct cli_common common;
	int r, exit_code = 0, first = cli_parse_simple(argc, argv, usage, &common, &exit_code);

	if (first < 0) {
		return exit_code;
	}
	if (first == argc) {
		cli_error("cancel needs the number of a job; `fetchctl list` shows them");
		return EXIT_CODE_USAGE;
	}
	for (int i = first; i < argc; i++) {
		if (cli_parse_number(argv[i], 1, UINT64_MAX, &cancelling.job) < 0) {
			cli_error("not the number of a job: %s", argv[i]);
			return EXIT_CODE_USAGE;
		}
	}
	exit_code = cli_reach(common.socket, &connection);
	if (exit_code != 0) {
		return exit_code;
	}
	cancelling.json = common.json;
	for (int i = first; i < argc && exit_code == 0; i++) {
		(void)cli_parse_number(argv[i], 1, UINT64_MAX, &cancelling.job);
		cancelling.done = false;
		r = fetchd_cancel_job(connection, cancelling.job, on_cancel, &cancelling);
		if (r < 0) {
			cli_error("cannot ask the daemon: %s", strerror(-r));
			exit_code = EXIT_CODE_INTERNAL;
			break;
		}
		exit_code = cli_run(connection, &cancelling.done);
	}
	fetchd_close(connection);
	r = cli_finish_stdout();
	if (exit_code == 0) {
		exit_code = cancelling.exit_code;
	}
	return exit_code != 0 ? exit_code : r;
}
