/* SPDX-License-Identifier: MIT */
/* fetchctl stats --pool: each connection of the daemon's pool, and why it is where it is. */
#include "cli.h"

#include <inttypes.h>
#include <string.h>

#define REMOTE_WIDTH_MAX 47u /* the longest IPv6 address with its port */

/* "3/100" */
static const char *format_streams(const struct fetchd_pool_connection *connection, char *buffer,
				  size_t size)
{
	(void)snprintf(buffer, size, "%" PRIu32 "/%" PRIu32, connection->streams,
		       connection->stream_limit);
	return buffer;
}

/* How long ago the last PING went out, and what became of it: "2.1s 0.31ms", "0.4s open". */
static const char *format_ping(const struct fetchd_pool_connection *connection, char *buffer,
			       size_t size)
{
	char ago[24];

	if (connection->ping_ago_ms < 0) {
		return "-";
	}
	(void)cli_format_maybe(connection->ping_ago_ms, ago, sizeof(ago));
	if (connection->ping_rtt_us < 0) {
		(void)snprintf(buffer, size, "%s open", ago);
	} else {
		(void)snprintf(buffer, size, "%s %.2fms", ago,
			       (double)connection->ping_rtt_us / 1000.0);
	}
	return buffer;
}

static size_t remote_width(const struct fetchd_stats *stats)
{
	size_t width = strlen("REMOTE");

	for (size_t i = 0; i < stats->connection_list_count; i++) {
		size_t length = strlen(stats->connection_list[i].remote);

		if (length > width) {
			width = length < REMOTE_WIDTH_MAX ? length : REMOTE_WIDTH_MAX;
		}
	}
	return width;
}

static void print_connection(const struct fetchd_pool_connection *connection, size_t width)
{
	char state_for[24], age[24], streams[32], sent[16], received[16], silent[24], ping[64];
	char left[24], remote[128], why[512];
	bool connected = connection->remote[0] != '\0';

	(void)printf("%8" PRIu64 " %-10s %7s %7s %7s %9s %7" PRIu64 " %6s %6s %7s %-15s %-*s  %s\n",
		     connection->connection, fetchd_connection_state_name(connection->state),
		     cli_format_duration(connection->state_for_ms, state_for, sizeof(state_for)),
		     cli_format_maybe(connection->left_ms, left, sizeof(left)),
		     cli_format_duration(connection->age_ms, age, sizeof(age)),
		     connected ? format_streams(connection, streams, sizeof(streams)) : "-",
		     connection->carried,
		     connected ? cli_format_bytes(connection->send_window_bytes, sent, sizeof(sent))
			       : "-",
		     connected ? cli_format_bytes(connection->receive_window_bytes, received,
						  sizeof(received))
			       : "-",
		     connected ? cli_format_duration(connection->silent_ms, silent, sizeof(silent))
			       : "-",
		     format_ping(connection, ping, sizeof(ping)), (int)width,
		     connected ? cli_printable(connection->remote, remote, sizeof(remote)) : "-",
		     cli_printable(connection->why, why, sizeof(why)));
}

static const struct fetchd_origin_info *find_origin(const struct fetchd_stats *stats,
						    const char *name)
{
	for (size_t i = 0; i < stats->origin_list_count; i++) {
		if (strcmp(stats->origin_list[i].origin, name) == 0) {
			return &stats->origin_list[i];
		}
	}
	return NULL;
}

static void print_origin(const struct fetchd_stats *stats, const char *name)
{
	const struct fetchd_origin_info *origin = find_origin(stats, name);
	char clean[512], left[24];

	(void)printf("%s", cli_printable(name, clean, sizeof(clean)));
	if (origin != NULL && origin->waiting > 0) {
		(void)printf(", %" PRIu32 " waiting", origin->waiting);
	}
	if (origin != NULL && origin->backoff_ms >= 0) {
		(void)printf(", a pause of %s before the next connection",
			     cli_format_maybe(origin->backoff_ms, left, sizeof(left)));
	}
	(void)putchar('\n');
}

void pool_print(const struct fetchd_stats *stats)
{
	size_t width = remote_width(stats), count = stats->connection_list_count;
	const char *origin = NULL;

	if (count == 0) {
		(void)printf("no connections\n");
		return;
	}
	(void)printf("%8s %-10s %7s %7s %7s %9s %7s %6s %6s %7s %-15s %-*s  %s\n", "CONN", "STATE",
		     "FOR", "LEFT", "AGE", "STREAMS", "CARRIED", "SEND", "RECV", "SILENT", "PING",
		     (int)width, "REMOTE", "WHY");
	for (size_t i = 0; i < count; i++) {
		const struct fetchd_pool_connection *connection = &stats->connection_list[i];

		if (origin == NULL || strcmp(origin, connection->origin) != 0) {
			origin = connection->origin;
			print_origin(stats, origin);
		}
		print_connection(connection, width);
	}
	if (count < (size_t)stats->connections + stats->connecting) {
		(void)printf("and %zu more\n",
			     (size_t)stats->connections + stats->connecting - count);
	}
}
