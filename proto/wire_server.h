/* SPDX-License-Identifier: MIT */
/*
 * Fields of the wide daemon-to-client messages that are copied one to one, for both directions of
 * coding. Private to wire_server*.c.
 */
#pragma once

/* clang-format off */
#define SERVER_HELLO_NUMBERS(X) \
	X(major) X(minor) \
	X(max_client_frame_bytes) X(max_server_frame_bytes) \
	X(max_jobs) X(default_credit_bytes) X(max_credit_bytes)

#define CONNECTION_NUMBERS(X) \
	X(connection) X(certificate_expires) X(reused) X(tls_resumed)

#define BYTE_COUNT_NUMBERS(X) \
	X(payload) X(delivered) X(wire_received) X(wire_sent)

/* X(name, NAME as in the generated code) */
#define TIMING_OPTIONALS(X) \
	X(dns_us, DNS_US) \
	X(connect_us, CONNECT_US) \
	X(tls_us, TLS_US) \
	X(queued_us, QUEUED_US) \
	X(sent_us, SENT_US) \
	X(first_byte_us, FIRST_BYTE_US) \
	X(end_us, END_US)

#define JOB_INFO_NUMBERS(X) \
	X(job) X(uid) X(pid) X(received) X(delivered) X(age_ms) X(attempts)

#define JOB_STATS_NUMBERS(X) \
	X(queued) X(sent) X(receiving) X(delivering) X(backoff) \
	X(submitted) X(replays) X(retries)

#define POOL_STATS_NUMBERS(X) \
	X(origins) X(connections) X(connecting) X(streams) X(waiting) \
	X(connections_opened) X(connect_failures) X(tls_handshakes) X(tls_resumed) \
	X(streams_opened) X(streams_reused) X(dns_lookups) \
	X(wire_received) X(wire_sent) X(payload_received) X(delivered)

#define ORIGIN_NUMBERS(X) \
	X(connections) X(connecting) X(streams) X(waiting)

/* X(name, NAME as in the generated code) */
#define POOL_CONNECTION_OPTIONALS(X) \
	X(ping_ago_ms, PING_AGO_MS) \
	X(ping_rtt_us, PING_RTT_US) \
	X(left_ms, LEFT_MS)

#define POOL_CONNECTION_NUMBERS(X) \
	X(connection) X(state_for_ms) X(age_ms) X(streams) X(stream_limit) X(carried) \
	X(send_window) X(receive_window) X(silent_ms)

#define STATS_NUMBERS(X) \
	X(uptime_ms) X(clients) X(rss_bytes) X(buffered_bytes) X(budget_bytes)
/* clang-format on */

/* One number each, from `from` to `to`. */
#define COPY_NUMBER(name) to->name = from->name;
