/* SPDX-License-Identifier: MIT */
/* fetchctl version: ours and the daemon's. */
#include "cli.h"
#include "exit_codes.h"
#include "json.h"

static const char usage[] = "Usage: fetchctl version [OPTION...]\n"
			    "Shows the versions of fetchctl and of the daemon.\n";

int verb_version(int argc, char **argv)
{
	struct fetchd_connection *connection = NULL;
	struct cli_pong pong = {0};
	struct cli_common common;
	int r, exit_code = 0, first = cli_parse_simple(argc, argv, usage, &common, &exit_code);

	if (first < 0) {
		return exit_code;
	}
	if (first < argc) {
		cli_error("version takes no argument: %s", argv[first]);
		return EXIT_CODE_USAGE;
	}
	/* Our own version is said also when the daemon's cannot be known. */
	if (!common.json) {
		(void)printf("fetchctl %s\n", fetchd_version());
		(void)fflush(stdout);
	}
	exit_code = cli_reach(common.socket, &connection);
	if (exit_code == 0) {
		exit_code = cli_ping(connection, &pong);
		fetchd_close(connection);
	}
	if (common.json) {
		json_t *object = json_object();

		json_put(&object, "fetchctl", json_text(fetchd_version()));
		json_put(&object, "fetchd", exit_code == 0 ? json_text(pong.version) : json_null());
		if (json_print(object) < 0) {
			exit_code = EXIT_CODE_INTERNAL;
		}
	} else if (exit_code == 0) {
		(void)printf("fetchd %s\n", pong.version);
	}
	r = cli_finish_stdout();
	return exit_code != 0 ? exit_code : r;
}
