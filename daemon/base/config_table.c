/* SPDX-License-Identifier: MIT */
/*
 * The one table of configuration keys. Everything that is said about a key anywhere is said here.
 */
#include "base/config_internal.h"

#include <string.h>

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)
#define GIB (UINT64_C(1024) * MIB)
#define PIB (UINT64_C(1024) * UINT64_C(1024) * GIB)
#define SECOND UINT64_C(1000)
#define MINUTE (UINT64_C(60) * SECOND)
#define HOUR (UINT64_C(60) * MINUTE)
#define DAY (UINT64_C(24) * HOUR)

#define KEY(in, key, field) \
	.section = #in, .name = #key, .offset = offsetof(struct config, in.field)
#define COUNT(in, key) KEY(in, key, key), .type = CONFIG_COUNT
#define SIZE(in, key) KEY(in, key, key), .type = CONFIG_SIZE
#define DURATION(in, key) KEY(in, key, key##_ms), .type = CONFIG_DURATION
#define STRING(in, key) KEY(in, key, key), .type = CONFIG_STRING
#define LIST(in, key) KEY(in, key, key), .type = CONFIG_LIST

static const struct config_key table[] = {
	/* ---- daemon ---- */
	{KEY(daemon, log_level, log_level), .type = CONFIG_LOG_LEVEL, .fallback = "info",
	 .doc = "What is logged: error, warning, info or debug, each with all before it. The "
		"option --log-level takes precedence."},
	{DURATION(daemon, drain_timeout), .fallback = "30s", .min = 0, .max = HOUR,
	 .doc = "How long jobs may go on after SIGTERM, which lets no new ones in. Those still "
		"open then are closed with SHUTDOWN. A second SIGTERM ends the wait."},
	{COUNT(daemon, writer_threads), .fallback = "2", .min = 1, .max = 16,
	 .doc = "Threads that write bodies to the files that clients pass, because a disk may be "
		"slow. A reload does not change it."},
	/* ---- dns ---- */
	{LIST(dns, servers), .fallback = "", .max = 1024, .max_items = 16,
	 .check = config_check_address,
	 .doc = "Name servers to ask instead of those of the system: addresses, each with an "
		"optional port, as in 192.0.2.1, 192.0.2.1:5353, 2001:db8::1 or "
		"[2001:db8::1]:5353. At most 16. Empty: what /etc/resolv.conf says."},
	{DURATION(dns, timeout), .fallback = "2s", .min = 100, .max = MINUTE,
	 .doc = "How long one try waits for a name server's answer. Later rounds of tries wait "
		"longer."},
	{COUNT(dns, tries), .fallback = "3", .min = 1, .max = 10,
	 .doc = "How often each name server is asked before the lookup fails."},
	/* ---- tls ---- */
	{STRING(tls, ca_file), .fallback = "", .max = 4096, .check = config_check_path,
	 .doc = "A file of CA certificates in PEM, by its absolute path. Only these are trusted "
		"then. Empty: the system's trust store."},
	{STRING(tls, priority),
	 .fallback = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-GCM:"
		     "+AES-256-GCM:+CHACHA20-POLY1305",
	 .min = 1, .max = 1024,
	 .doc = "Protocol versions and ciphers, as a GnuTLS priority string. HTTP/2 needs TLS 1.2 "
		"or later with an AEAD cipher."},
	/* ---- pool ---- */
	{COUNT(pool, max_connections), .fallback = "256", .min = 1, .max = 65536,
	 .doc = "Connections at most, over all origins. At this number an idle one is closed to "
		"make place; when none is idle, jobs wait."},
	{COUNT(pool, max_connections_per_origin), .fallback = "4", .min = 1, .max = 64,
	 .doc = "Connections to one origin at most. Another one is opened only when those that "
		"exist have no stream left. Connections that take no more streams, but have some "
		"left, do "
		"not count; with them, an origin has at most four times as many."},
	{COUNT(pool, max_streams_per_connection), .fallback = "100", .min = 1, .max = 10000,
	 .doc = "Streams at once on one connection at most. The server's own limit holds when it "
		"is lower."},
	{COUNT(pool, max_streams_per_uid), .fallback = "256", .min = 1, .max = 1000000,
	 .zero_is_off = true,
	 .doc = "Streams in flight of one user at most, at all origins together. At this number "
		"the user's jobs wait, and those of others go past them. 0: no bound."},
	{COUNT(pool, max_origins), .fallback = "4096", .min = 1, .max = 1000000,
	 .doc = "Origins that are remembered at most, those with connections or waiting jobs "
		"included. A job for one more is refused."},
	{DURATION(pool, connect_timeout), .fallback = "20s", .min = 100, .max = 10 * MINUTE,
	 .doc = "How long a new connection may take: name lookup, TCP and TLS together."},
	{DURATION(pool, idle_timeout), .fallback = "240s", .min = SECOND, .max = DAY,
	 .doc = "How long a connection without streams is kept for later jobs."},
	{DURATION(pool, backoff), .fallback = "100ms", .min = 1, .max = HOUR,
	 .doc = "Pause before the next connection to an origin where two in a row ended without a "
		"single response having begun, while jobs wait. It doubles with each further one, "
		"until a response begins. After a failure to connect there is no pause: the jobs "
		"that wait fail, and the next one tries again."},
	{DURATION(pool, max_backoff), .fallback = "10s", .min = 1, .max = HOUR,
	 .doc = "Where the doubling of pool.backoff ends."},
	{DURATION(pool, aging), .fallback = "10s", .min = 100, .max = DAY, .zero_is_off = true,
	 .doc = "A job that has waited for a stream so long goes before those of the same user "
		"that come from then on with a priority one higher, after twice the time two "
		"higher, and so on. 0: never."},
	{LIST(pool, h2c_hosts), .fallback = "", .max = 16384, .check = config_check_host,
	 .doc = "Hosts for which http:// URLs are allowed. They are spoken to in HTTP/2 without "
		"TLS, with prior knowledge. Each is a host, for all of its ports, or host:port; an "
		"IPv6 address has brackets when a port follows. Names must match exactly, and "
		"international ones are written in their ASCII form. Empty: no http:// at all."},
	/* ---- http ---- */
	{SIZE(http, stream_window), .fallback = "256K", .min = 64 * KIB, .max = 64 * MIB,
	 .doc = "HTTP/2 flow-control window of a stream when it begins: the most body bytes that "
		"are buffered for a job whose client takes nothing of them. A reload applies to "
		"new connections, as with the next three."},
	{SIZE(http, max_stream_window), .fallback = "64M", .min = 64 * KIB, .max = GIB,
	 .doc = "How large the window of a stream may become. It doubles when as much as it holds "
		"was taken by the client within two round trips, and while memory.body_budget has "
		"room; it shrinks when the client is slower than the path or other jobs wait for "
		"the budget. On a path with a long round trip it bounds the rate of one job. The "
		"same as http.stream_window: it never changes."},
	{SIZE(http, connection_window), .fallback = "16M", .min = MIB, .max = GIB,
	 .doc = "HTTP/2 flow-control window of a connection when it begins, for all its streams "
		"together. It costs no memory: what arrives is given back at once."},
	{SIZE(http, max_connection_window), .fallback = "128M", .min = MIB, .max = GIB,
	 .doc = "How large the window of a connection may become. It doubles when as much as it "
		"holds arrived within two round trips."},
	{SIZE(http, max_frame_size), .fallback = "16K", .min = 16 * KIB, .max = MIB,
	 .doc = "Largest HTTP/2 frame that servers may send. A reload applies to new connections."},
	{SIZE(http, max_header_list), .fallback = "64K", .min = 4 * KIB, .max = 96 * KIB,
	 .doc = "Largest header section of a response, counted as in RFC 9113, section 6.5.2: "
		"names, values, and 32 bytes for each field. A larger one ends the job with "
		"HEADERS_TOO_LARGE."},
	{COUNT(http, max_headers), .fallback = "256", .min = 16, .max = 4096,
	 .doc = "Header fields in a response at most. More end the job with HEADERS_TOO_LARGE."},
	{COUNT(http, max_informational), .fallback = "32", .min = 0, .max = 1000,
	 .doc = "Informational responses (1xx) to one request at most. More end the job with "
		"TOO_MANY_INFORMATIONAL."},
	{DURATION(http, continue_timeout), .fallback = "1s", .min = 0, .max = MINUTE,
	 .doc = "How long the body of a request with \"expect: 100-continue\" waits for the "
		"server's "
		"100 (Continue). It is sent then all the same: many servers do not answer."},
	{COUNT(http, max_settings_rate), .fallback = "10", .min = 1, .max = 1000000,
	 .doc = "SETTINGS frames per second that a server may send, on one connection. As for the "
		"next three, ten seconds' worth may come at once; more end the connection with "
		"FLOOD_SETTINGS. Servers send one, and seldom another."},
	{COUNT(http, max_ping_rate), .fallback = "200", .min = 1, .max = 1000000,
	 .doc = "PING frames per second, answers to ours included; more are FLOOD_PING. Some "
		"servers "
		"measure the path with a PING for each burst of data."},
	{COUNT(http, max_reset_rate), .fallback = "1000", .min = 1, .max = 1000000,
	 .doc = "RST_STREAM frames per second; more are FLOOD_RESET. An honest server resets a "
		"stream "
		"once, so it sends no more than there are jobs; one in overload may refuse all of "
		"them."},
	{COUNT(http, max_empty_rate), .fallback = "200", .min = 1, .max = 1000000,
	 .doc = "DATA frames per second that hold no byte of a body (padding is none) and do not "
		"end "
		"it; more are FLOOD_EMPTY. A few come from servers that flush, or hide lengths."},
	{COUNT(http, max_continuations), .fallback = "32", .min = 1, .max = 100000,
	 .doc = "CONTINUATION frames of one header section; more end the connection with "
		"FLOOD_CONTINUATION. Frames of 16K, the usual size, hold http.max_header_list in a "
		"few."},
	{COUNT(http, max_queued_frames), .fallback = "20000", .min = 1000, .max = 10000000,
	 .doc = "Frames that may wait to be sent to a server that takes no bytes. A server that "
		"makes "
		"more necessary by what it sends, and does not read, ends with FLOOD_ANSWERS."},
	{DURATION(http, write_timeout), .fallback = "30s", .min = 100, .max = 10 * MINUTE,
	 .doc = "How long a server may take no bytes of what is sent to it before the connection "
		"is given up. The kernel uses it too, for what it has sent and nobody "
		"acknowledges (TCP_USER_TIMEOUT)."},
	{DURATION(http, ping_after), .fallback = "15s", .min = 50, .max = HOUR,
	 .doc = "How long nothing may come from a server, while streams wait for it or before an "
		"idle connection is used again, until a PING asks whether it is still there."},
	{DURATION(http, ping_timeout), .fallback = "10s", .min = 50, .max = 10 * MINUTE,
	 .doc = "How long the answer may take. Any byte counts; without one the connection is "
		"given "
		"up, and what can be sent again goes to another one."},
	{STRING(http, user_agent), .fallback = "fetchd/" FETCHD_VERSION, .max = 128,
	 .check = config_check_field_value,
	 .doc = "The user-agent field of requests that bring none of their own. Empty: none is "
		"sent."},
	/* ---- job ---- */
	{SIZE(job, max_size), .fallback = "1G", .min = 1, .max = PIB, .zero_is_off = true,
	 .doc = "Largest response body of a job that names no limit of its own."},
	{SIZE(job, warn_size), .fallback = "32M", .min = 1, .max = PIB, .zero_is_off = true,
	 .doc = "A job whose body is larger than this gets a warning, if it names no limit of its "
		"own."},
	{DURATION(job, queue_timeout), .fallback = "0", .min = 1, .max = 365 * DAY,
	 .zero_is_off = true,
	 .doc = "How long a job may wait until its request is handed to a connection, whatever it "
		"waits for. A job can name its own."},
	{DURATION(job, connect_timeout), .fallback = "0", .min = 1, .max = 365 * DAY,
	 .zero_is_off = true,
	 .doc = "How long a job may wait for a connection when its origin has none. A job can name "
		"its own. pool.connect_timeout bounds each new connection in any case."},
	{DURATION(job, first_byte_timeout), .fallback = "60s", .min = 1, .max = 365 * DAY,
	 .zero_is_off = true,
	 .doc = "How long the response's head may take from the request on. A job can name its "
		"own."},
	{DURATION(job, stall_timeout), .fallback = "60s", .min = 1, .max = 365 * DAY,
	 .zero_is_off = true,
	 .doc = "How long a response may bring no byte, once it has begun. Time in which the "
		"client "
		"itself holds it back does not count. A job can name its own."},
	{DURATION(job, total_timeout), .fallback = "0", .min = 1, .max = 365 * DAY,
	 .zero_is_off = true, .doc = "How long a job may take altogether. A job can name its own."},
	{DURATION(job, client_timeout), .fallback = "10min", .min = 1, .max = 365 * DAY,
	 .zero_is_off = true,
	 .doc = "How long a client may leave a job without credit while body bytes wait for it, or "
		"without the next piece of a request body that it sends in pieces."},
	{DURATION(job, delivery_timeout), .fallback = "5s", .min = 10, .max = 10 * MINUTE,
	 .doc = "How long a job that ended without full success waits for its client to take what "
		"has arrived of the body: so long without credit, or without reading. The rest is "
		"thrown away then."},
	{SIZE(job, min_rate), .fallback = "1", .min = 1, .max = GIB, .zero_is_off = true,
	 .doc = "How many bytes a second a response body has to bring, on average over each "
		"job.min_rate_time. A slower one ends the job with TOO_SLOW. Time in which the "
		"client "
		"itself holds it back does not count."},
	{DURATION(job, min_rate_time), .fallback = "5min", .min = 10, .max = DAY,
	 .doc = "Over how long job.min_rate is looked at. A response that is shorter than this is "
		"never too slow."},
	{COUNT(job, max_attempts), .fallback = "4", .min = 1, .max = 16,
	 .doc = "How often one job is tried at most: the first attempt, replays and retries "
		"together. Tries that a closing connection turned away unprocessed do not count, "
		"nor do those that a redirection follows; 16 in all is the end in any case."},
	{COUNT(job, max_redirects), .fallback = "10", .min = 0, .max = 14,
	 .doc = "How many redirections one job may follow at most, if it asks for that. 0: none is "
		"ever followed."},
	{LIST(job, retry_statuses), .fallback = "429 503", .max = 1024,
	 .check = config_check_error_status,
	 .doc = "Statuses, from 400 to 599, that are taken as a temporary failure and tried again, "
		"if the job allows retries. Others than 429 and 503 only for idempotent methods: "
		"the "
		"request may have been carried out. 421 has rules of its own."},
	{DURATION(job, backoff), .fallback = "500ms", .min = 10, .max = HOUR,
	 .doc = "Longest wait before the first retry; it doubles with each further one. The wait "
		"itself is random below that."},
	{DURATION(job, max_backoff), .fallback = "60s", .min = 10, .max = DAY,
	 .doc = "Where the doubling of job.backoff ends. A server that asks for a longer wait than "
		"this is not tried again."},
	/* ---- ipc ---- */
	{COUNT(ipc, max_clients), .fallback = "1024", .min = 1, .max = 100000,
	 .doc = "Client connections at most."},
	{COUNT(ipc, max_clients_per_uid), .fallback = "512", .min = 1, .max = 100000,
	 .doc = "Client connections of one user at most."},
	{COUNT(ipc, max_jobs), .fallback = "100000", .min = 1, .max = 10000000,
	 .doc = "Jobs at most, waiting ones included."},
	{COUNT(ipc, max_jobs_per_client), .fallback = "10000", .min = 1, .max = 10000000,
	 .doc = "Jobs of one client connection at most."},
	{COUNT(ipc, max_jobs_per_uid), .fallback = "20000", .min = 1, .max = 10000000,
	 .doc = "Jobs of one user at most, over all connections."},
	{COUNT(ipc, max_fds_per_uid), .fallback = "1024", .min = 1, .max = 1000000,
	 .doc = "File descriptors that clients of one user may have passed to the daemon at once: "
		"one for each open job whose body goes to one. A job beyond that ends with "
		"TOO_MANY_FDS. Every one counts against the daemon's own limit (LimitNOFILE)."},
	{DURATION(ipc, hello_timeout), .fallback = "5s", .min = 100, .max = MINUTE,
	 .doc = "How long a new client may take to say hello."},
	{DURATION(ipc, frame_timeout), .fallback = "30s", .min = 100, .max = HOUR,
	 .doc = "How long a client may take to finish a frame that it has begun."},
	{SIZE(ipc, output_buffer), .fallback = "256K", .min = 64 * KIB, .max = 16 * MIB,
	 .doc = "Body bytes go into a client's output queue only while it holds less than this. "
		"Until then they wait in their streams."},
	{SIZE(ipc, control_budget), .fallback = "8M", .min = 256 * KIB, .max = GIB,
	 .doc = "How many bytes of events other than bodies a client may leave unread. One that "
		"goes beyond is hung up on with SLOW_CONSUMER."},
	{SIZE(ipc, default_credit), .fallback = "256K", .min = 4 * KIB, .max = GIB,
	 .doc = "Credit of a job that names none: how many body bytes it is sent before its client "
		"grants more. Counts for clients that connect afterwards."},
	{SIZE(ipc, max_credit), .fallback = "64M", .min = 64 * KIB, .max = GIB,
	 .doc = "Most credit that a job can have outstanding. What is granted beyond is ignored."},
	{SIZE(ipc, upload_buffer), .fallback = "256K", .min = 16 * KIB, .max = 16 * MIB,
	 .doc = "Most bytes of a request body that are held for one job whose client sends it in "
		"pieces. A body that fits is kept until the response begins, so that it can be "
		"sent again; of a larger one what was sent is forgotten. Counts in "
		"memory.body_budget."},
	/* ---- memory ---- */
	{SIZE(memory, body_budget), .fallback = "256M", .min = MIB, .max = 64 * GIB,
	 .doc = "Body bytes that may be buffered altogether. Each stream in flight counts with "
		"its window, http.stream_window at first, and each job whose request body comes in "
		"pieces with "
		"ipc.upload_buffer beside it; at the budget, jobs wait."},
	{SIZE(memory, body_budget_per_uid), .fallback = "128M", .min = MIB, .max = 64 * GIB,
	 .zero_is_off = true,
	 .doc = "What one user's jobs may take of memory.body_budget. At this share the user's "
		"jobs wait, and those of others go past them; a user without a stream always gets "
		"one, if there is budget. The default is half of the default budget, so that no "
		"user alone uses it up. 0: no bound."},
};

#define TABLE_LENGTH (sizeof(table) / sizeof(table[0]))

const struct config_key *config_keys(size_t *ret_count)
{
	*ret_count = TABLE_LENGTH;
	return table;
}

const struct config_key *config_find(const char *section, const char *name)
{
	for (size_t i = 0; i < TABLE_LENGTH; ++i) {
		if (strcmp(table[i].section, section) == 0 &&
		    (!name || strcmp(table[i].name, name) == 0)) {
			return &table[i];
		}
	}
	return NULL;
}
