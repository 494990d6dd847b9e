/* SPDX-License-Identifier: MIT */
/* fetchctl stats: the daemon's counters. */
#include "cli.h"
#include "exit_codes.h"
#include "json.h"

#include <inttypes.h>
#include <string.h>

static const char usage[] = "Usage: fetchctl stats [OPTION...]\n"
			    "Shows the daemon's counters: jobs, pool, origins, memory.\n";

#define ORIGINS_SHOWN 16u
/* As many as the protocol lets one ask for. */
#define ALL_OF_THEM 256u

enum {
	KEY_POOL = CLI_FIRST_OWN
};

static const struct cli_option table[] = {
	{KEY_POOL, "pool", NULL, "Show the pool's connections, and why each is where it is"},
	CLI_COMMON_OPTIONS,
};

#define OPTION_COUNT (sizeof(table) / sizeof(table[0]))

struct showing {
	bool json;
	bool pool;
	bool done;
	int exit_code;
};

static const char *size_text(uint64_t bytes, char *buffer, size_t size)
{
	return cli_format_bytes(bytes, buffer, size);
}

static void print_stats(const struct fetchd_stats *stats)
{
	char a[24], b[24], c[24], d[24];

	(void)printf("up %s, %" PRIu32 " clients\n\n",
		     cli_format_duration(stats->uptime_ms, a, sizeof(a)), stats->clients);
	(void)printf("jobs      %" PRIu32 " queued, %" PRIu32 " sent, %" PRIu32
		     " receiving, %" PRIu32 " delivering, %" PRIu32 " backoff\n",
		     stats->jobs_queued, stats->jobs_sent, stats->jobs_receiving,
		     stats->jobs_delivering, stats->jobs_backoff);
	(void)printf("          %" PRIu64 " submitted, %" PRIu64 " replays, %" PRIu64
		     " retries since the start\n",
		     stats->jobs_submitted, stats->replays, stats->retries);
	for (size_t i = 0; i < stats->closed_count; i++) {
		(void)printf("          %" PRIu64 " %s\n", stats->closed[i].count,
			     fetchd_close_reason_name(stats->closed[i].reason));
	}
	(void)printf("pool      %" PRIu32 " origins, %" PRIu32 " connections, %" PRIu32
		     " connecting, %" PRIu32 " streams, %" PRIu32 " waiting\n",
		     stats->origins, stats->connections, stats->connecting, stats->streams,
		     stats->waiting);
	(void)printf("          %" PRIu64 " connections opened, %" PRIu64 " failed, %" PRIu64
		     " TLS handshakes (%" PRIu64 " resumed), %" PRIu64 " DNS lookups\n",
		     stats->connections_opened, stats->connect_failures, stats->tls_handshakes,
		     stats->tls_resumed, stats->dns_lookups);
	(void)printf("          %" PRIu64 " streams, %" PRIu64 " on a used connection",
		     stats->streams_opened, stats->streams_reused);
	if (stats->streams_opened > 0) {
		(void)printf(" (reuse ratio %.3f)",
			     (double)stats->streams_reused / (double)stats->streams_opened);
	}
	(void)printf("\nbytes     %s received, %s sent, %s payload, %s delivered\n",
		     size_text(stats->wire_received_bytes, a, sizeof(a)),
		     size_text(stats->wire_sent_bytes, b, sizeof(b)),
		     size_text(stats->payload_received_bytes, c, sizeof(c)),
		     size_text(stats->delivered_bytes, d, sizeof(d)));
	(void)printf("memory    %s resident, %s of %s buffered\n",
		     size_text(stats->rss_bytes, a, sizeof(a)),
		     size_text(stats->buffered_bytes, b, sizeof(b)),
		     size_text(stats->budget_bytes, c, sizeof(c)));
	for (size_t i = 0; i < stats->origin_list_count; i++) {
		const struct fetchd_origin_info *origin = &stats->origin_list[i];
		char name[512];

		(void)printf("%s%s: %" PRIu32 " connections, %" PRIu32 " connecting, %" PRIu32
			     " streams, %" PRIu32 " waiting",
			     i == 0 ? "origins   " : "          ",
			     cli_printable(origin->origin, name, sizeof(name)), origin->connections,
			     origin->connecting, origin->streams, origin->waiting);
		if (origin->backoff_ms >= 0) {
			(void)printf(", a pause of %s",
				     cli_format_maybe(origin->backoff_ms, a, sizeof(a)));
		}
		(void)putchar('\n');
	}
}

static void on_stats(struct fetchd_connection *connection, int error,
		     const struct fetchd_stats *stats, void *user)
{
	struct showing *showing = user;

	showing->done = true;
	if (error < 0) {
		if (fetchd_error(connection) == 0) {
			cli_error("cannot get the counters: %s", cli_request_error(error));
			showing->exit_code = EXIT_CODE_INTERNAL;
		}
		return;
	}
	if (showing->json) {
		json_t *object = json_stats(stats);

		if (showing->pool) {
			json_put(&object, "connections", json_connections(stats));
		}
		if (json_print(object) < 0) {
			cli_error("out of memory");
			showing->exit_code = EXIT_CODE_INTERNAL;
		}
	} else if (showing->pool) {
		pool_print(stats);
	} else {
		print_stats(stats);
	}
}

/* The first argument's index, or negative and *ret_exit when the verb is over already. */
static int parse(int argc, char **argv, struct cli_common *common, bool *ret_pool, int *ret_exit)
{
	struct cli_parser parser;
	int key;

	cli_parser_init(&parser, table, OPTION_COUNT);
	while ((key = cli_parser_next(&parser, argc, argv, common)) != -1) {
		if (key == '?') {
			*ret_exit = EXIT_CODE_USAGE;
			return -1;
		}
		if (key == KEY_POOL) {
			*ret_pool = true;
		}
	}
	if (common->help) {
		(void)printf("%s", usage);
		cli_print_options(stdout, table, OPTION_COUNT);
		*ret_exit = cli_finish_stdout();
		return -1;
	}
	return optind;
}

int verb_stats(int argc, char **argv)
{
	struct fetchd_connection *connection = NULL;
	struct showing showing = {0};
	struct cli_common common = {0};
	int r, exit_code = 0, first = parse(argc, argv, &common, &showing.pool, &exit_code);

	if (first < 0) {
		return exit_code;
	}
	if (first < argc) {
		cli_error("stats takes no argument: %s", argv[first]);
		return EXIT_CODE_USAGE;
	}
	exit_code = cli_reach(common.socket, &connection);
	if (exit_code != 0) {
		return exit_code;
	}
	showing.json = common.json;
	r = fetchd_stats(connection, common.json || showing.pool ? ALL_OF_THEM : ORIGINS_SHOWN,
			 showing.pool ? ALL_OF_THEM : 0, on_stats, &showing);
	if (r < 0) {
		cli_error("cannot ask the daemon: %s", strerror(-r));
		exit_code = EXIT_CODE_INTERNAL;
	} else {
		exit_code = cli_run(connection, &showing.done);
	}
	fetchd_close(connection);
	r = cli_finish_stdout();
	if (exit_code == 0) {
		exit_code = showing.exit_code;
	}
	return exit_code != 0 ? exit_code : r;
}
