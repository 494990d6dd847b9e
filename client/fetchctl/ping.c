/* SPDX-License-Identifier: MIT */
/* fetchctl ping: is the daemon there, and how fast does it answer? */
#include "cli.h"
#include "exit_codes.h"
#include "json.h"

#include <inttypes.h>

static const char usage[] = "Usage: fetchctl ping [OPTION...]\n"
			    "Measures the way to the daemon and back, in microseconds.\n";

int verb_ping(int argc, char **argv)
{
	struct fetchd_connection *connection = NULL;
	struct cli_common common;
	struct cli_pong pong;
	int r, exit_code = 0, first = cli_parse_simple(argc, argv, usage, &common, &exit_code);

	if (first < 0) {
		return exit_code;
	}
	if (first < argc) {
		cli_error("ping takes no argument: %s", argv[first]);
		return EXIT_CODE_USAGE;
	}
	exit_code = cli_reach(common.socket, &connection);
	if (exit_code != 0) {
		return exit_code;
	}
	/* The first one carries the handshake and may start the daemon; the second one counts. */
	exit_code = cli_ping(connection, &pong);
	if (exit_code == 0) {
		exit_code = cli_ping(connection, &pong);
	}
	fetchd_close(connection);
	if (exit_code != 0) {
		return exit_code;
	}
	if (common.json) {
		json_t *object = json_object();

		json_put(&object, "round_trip_us", json_count(pong.round_trip_us));
		json_put(&object, "version", json_text(pong.version));
		json_put(&object, "instance_id", json_text(pong.instance_id));
		json_put(&object, "pid", json_count(pong.pid));
		if (json_print(object) < 0) {
			exit_code = EXIT_CODE_INTERNAL;
		}
	} else {
		(void)printf("fetchd %s, pid %" PRIu32 ", answered in %" PRIu64 " us\n",
			     pong.version, pong.pid, pong.round_trip_us);
	}
	r = cli_finish_stdout();
	return exit_code != 0 ? exit_code : r;
}
