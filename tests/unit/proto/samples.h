/* SPDX-License-Identifier: MIT */
/*
 * One frame of every kind with every field set, and one with none: the C side of the golden frames
 * in tests/golden/. A sample's name is its golden file's.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proto/wire.h"

struct client_sample {
	const char *name;
	struct wire_client_frame frame;
};

struct server_sample {
	const char *name;
	struct wire_server_frame frame;
};

#define BYTES(text)                                                         \
	{                                                                   \
		.data = (const uint8_t *)(text), .length = sizeof(text) - 1 \
	}
#define SET(number)                            \
	{                                      \
		.set = true, .value = (number) \
	}

static const char *const sample_features[] = {"fd-output", "", "durable"};

static const struct wire_field sample_fields[] = {
	{.name = BYTES("accept"), .value = BYTES("*/*")},
	{.name = BYTES("x-octets"), .value = BYTES("\xff\x00\x80 z")},
	{.name = BYTES("x-empty"), .value = BYTES("")},
	{.name = BYTES("accept"), .value = BYTES("text/html")},
};

static const struct wire_failure sample_failures[] = {
	{.code = WIRE_FAIL_TIMEOUT_CONNECT, .text = "no connection within 30 s"},
	{
		.code = WIRE_FAIL_H2_RESET,
		.text = "die Gegenstelle sagt n\xc3\xb6",
		.sys_errno = 104,
		.h2_code = SET(8),
		.tls_code = -110,
	},
	{.code = WIRE_FAIL_UNSPECIFIED, .h2_code = SET(0)},
};

static const struct wire_attempt sample_attempts[] = {
	{.outcome = WIRE_CLOSE_CONNECT_FAILED, .code = WIRE_FAIL_DNS_NOT_FOUND},
	{
		.connection = 7,
		.remote = "[2001:db8::1]:443",
		.stream = 2147483647,
		.outcome = WIRE_CLOSE_RESET,
		.code = WIRE_FAIL_H2_REFUSED,
		.replay_safe = true,
		.why = "refused before it was processed",
		.status = 503,
	},
};

static const struct wire_job_info sample_jobs[] = {
	{
		.job = 4294967297,
		.state = WIRE_JOB_RECEIVING,
		.method = "POST",
		.url = "https://www.example.org/a?b",
		.uid = 1000,
		.pid = 4321,
		.client_name = "fetchctl",
		.priority = WIRE_PRIORITY_URGENT,
		.received = 300,
		.delivered = 200,
		.content_length = SET(0),
		.age_ms = 86400000,
		.waiting_for = "a stream",
		.attempts = 2,
	},
	{.job = 0},
};

static const struct wire_reason_count sample_reasons[] = {
	{.reason = WIRE_CLOSE_ENDED, .count = 1000000},
	{.reason = WIRE_CLOSE_SHUTDOWN, .count = 1},
};

static const struct wire_origin_info sample_origins[] = {
	{
		.origin = "https://www.example.org:443",
		.connections = 1,
		.connecting = 2,
		.streams = 3,
		.waiting = 4,
	},
	{.origin = "http://[::1]:8080"},
};

static const struct client_sample client_samples[] = {
	{"client_hello_full",
	 {.kind = WIRE_CLIENT_HELLO,
	  .hello = {.major = 1,
		    .minor = 300,
		    .features = sample_features,
		    .feature_count = 3,
		    .client_name = "fetchctl"}}},
	{"client_hello_none", {.kind = WIRE_CLIENT_HELLO}},
	{"client_submit_full",
	 {.id = UINT64_MAX,
	  .kind = WIRE_CLIENT_SUBMIT,
	  .submit = {.url = "https://b\xc3\xbc"
			    "cher.example/",
		     .method = "PUT",
		     .headers = sample_fields,
		     .header_count = 4,
		     .has_body = true,
		     .body = BYTES("\x00\x01\xff"),
		     .max_size = SET(1),
		     .warn_size = SET(128),
		     .queue_timeout_ms = SET(16384),
		     .connect_timeout_ms = SET(30000),
		     .first_byte_timeout_ms = SET(60000),
		     .stall_timeout_ms = SET(4294967296),
		     .total_timeout_ms = SET(UINT64_MAX),
		     .priority = WIRE_PRIORITY_HIGH,
		     .initial_credit = SET(65536),
		     .replay_forbidden = true,
		     .retry_allowed = true,
		     .progress_interval_ms = 50}}},
	{"client_submit_zeros",
	 {.id = 2,
	  .kind = WIRE_CLIENT_SUBMIT,
	  .submit = {.url = "http://localhost/",
		     .has_body = true,
		     .max_size = SET(0),
		     .warn_size = SET(0),
		     .queue_timeout_ms = SET(0),
		     .connect_timeout_ms = SET(0),
		     .first_byte_timeout_ms = SET(0),
		     .stall_timeout_ms = SET(0),
		     .total_timeout_ms = SET(0),
		     .initial_credit = SET(0)}}},
	{"client_submit_none", {.id = 1, .kind = WIRE_CLIENT_SUBMIT}},
	{"client_credit_full", {.id = 5, .kind = WIRE_CLIENT_CREDIT, .credit = {.bytes = 131072}}},
	{"client_credit_none", {.kind = WIRE_CLIENT_CREDIT}},
	{"client_cancel", {.id = 6, .kind = WIRE_CLIENT_CANCEL}},
	{"client_stop", {.id = 7, .kind = WIRE_CLIENT_STOP}},
	{"client_list_full",
	 {.id = 8, .kind = WIRE_CLIENT_LIST, .list = {.after_job = 99, .limit = 256}}},
	{"client_list_none", {.id = 8, .kind = WIRE_CLIENT_LIST}},
	{"client_stats_full", {.id = 9, .kind = WIRE_CLIENT_STATS, .stats = {.origins = 256}}},
	{"client_stats_none", {.id = 9, .kind = WIRE_CLIENT_STATS}},
	{"client_ping", {.id = 10, .kind = WIRE_CLIENT_PING}},
	{"client_cancel_job_full",
	 {.id = 11, .kind = WIRE_CLIENT_CANCEL_JOB, .cancel_job = {.job = 12345678901}}},
	{"client_cancel_job_none", {.id = 11, .kind = WIRE_CLIENT_CANCEL_JOB}},
};

static const struct server_sample server_samples[] = {
	{"server_hello_full",
	 {.kind = WIRE_SERVER_HELLO,
	  .hello = {.major = 1,
		    .minor = 2,
		    .features = sample_features,
		    .feature_count = 3,
		    .server_version = "0.1.0",
		    .instance_id = "0123456789abcdef0123456789abcdef",
		    .max_client_frame_bytes = 65536,
		    .max_server_frame_bytes = 131072,
		    .max_jobs = 256,
		    .default_credit_bytes = 262144,
		    .max_credit_bytes = 1073741824}}},
	{"server_hello_none", {.kind = WIRE_SERVER_HELLO}},
	{"server_accepted_full",
	 {.id = 1, .kind = WIRE_SERVER_ACCEPTED, .accepted = {.job = UINT64_MAX}}},
	{"server_accepted_none", {.id = 1, .kind = WIRE_SERVER_ACCEPTED}},
	{"server_head_full",
	 {.id = 2,
	  .kind = WIRE_SERVER_HEAD,
	  .head = {.status = 200,
		   .headers = sample_fields,
		   .header_count = 4,
		   .connection = {.connection = 3,
				  .remote = "192.0.2.1:443",
				  .tls_version = "TLS1.3",
				  .tls_cipher = "AES-128-GCM",
				  .certificate_subject = "CN=www.example.org",
				  .certificate_expires = 4102444800,
				  .reused = true,
				  .tls_resumed = true},
		   .content_length = SET(1048576)}}},
	{"server_head_none", {.id = 2, .kind = WIRE_SERVER_HEAD}},
	{"server_body_full",
	 {.id = 3,
	  .kind = WIRE_SERVER_BODY,
	  .body = {.offset = 4294967296, .data = BYTES("\x00\xff")}}},
	{"server_body_none", {.id = 3, .kind = WIRE_SERVER_BODY, .body = {.data = BYTES("x")}}},
	{"server_closed_full",
	 {.id = 4,
	  .kind = WIRE_SERVER_CLOSED,
	  .closed = {.reason = WIRE_CLOSE_LENGTH_MISMATCH,
		     .failures = sample_failures,
		     .failure_count = 3,
		     .attempts = sample_attempts,
		     .attempt_count = 2,
		     .bytes = {.payload = 1,
			       .delivered = 2,
			       .wire_received = 3,
			       .wire_sent = 4294967296},
		     .timings = {.dns_us = SET(0),
				 .connect_us = SET(1),
				 .tls_us = SET(128),
				 .queued_us = SET(16384),
				 .sent_us = SET(2097152),
				 .first_byte_us = SET(268435456),
				 .end_us = SET(UINT64_MAX)}}}},
	{"server_closed_none", {.id = 4, .kind = WIRE_SERVER_CLOSED}},
	{"server_informational_full",
	 {.id = 5,
	  .kind = WIRE_SERVER_INFORMATIONAL,
	  .head = {.status = 103, .headers = sample_fields, .header_count = 4}}},
	{"server_informational_none", {.id = 5, .kind = WIRE_SERVER_INFORMATIONAL}},
	{"server_trailers_full",
	 {.id = 6,
	  .kind = WIRE_SERVER_TRAILERS,
	  .head = {.headers = sample_fields, .header_count = 4}}},
	{"server_trailers_none", {.id = 6, .kind = WIRE_SERVER_TRAILERS}},
	{"server_warning_full",
	 {.id = 7,
	  .kind = WIRE_SERVER_WARNING,
	  .warning = {.code = WIRE_WARNING_RECEIVED_SIZE, .text = "more than 1000 bytes"}}},
	{"server_warning_none", {.id = 7, .kind = WIRE_SERVER_WARNING}},
	{"server_progress_full",
	 {.id = 8,
	  .kind = WIRE_SERVER_PROGRESS,
	  .progress = {.state = WIRE_JOB_BACKOFF,
		       .received = 20,
		       .delivered = 10,
		       .content_length = SET(30),
		       .waiting_for = "Retry-After"}}},
	{"server_progress_none", {.id = 8, .kind = WIRE_SERVER_PROGRESS}},
	{"server_goodbye_full",
	 {.kind = WIRE_SERVER_GOODBYE,
	  .goodbye = {.code = WIRE_GOODBYE_NO_MEMORY, .text = "no memory"}}},
	{"server_goodbye_none", {.kind = WIRE_SERVER_GOODBYE}},
	{"server_list_full",
	 {.id = 9,
	  .kind = WIRE_SERVER_LIST,
	  .list = {.jobs = sample_jobs, .job_count = 2, .more = true}}},
	{"server_list_none", {.id = 9, .kind = WIRE_SERVER_LIST}},
	{"server_stats_full",
	 {.id = 10,
	  .kind = WIRE_SERVER_STATS,
	  .stats = {.uptime_ms = 1000,
		    .clients = 2,
		    .jobs = {.queued = 11,
			     .sent = 12,
			     .receiving = 13,
			     .delivering = 14,
			     .backoff = 15,
			     .submitted = 16,
			     .closed = sample_reasons,
			     .closed_count = 2,
			     .replays = 17,
			     .retries = 18},
		    .pool = {.origins = 21,
			     .connections = 22,
			     .connecting = 23,
			     .streams = 24,
			     .waiting = 25,
			     .connections_opened = 26,
			     .connect_failures = 27,
			     .tls_handshakes = 28,
			     .tls_resumed = 29,
			     .streams_opened = 30,
			     .streams_reused = 31,
			     .dns_lookups = 32,
			     .wire_received = 33,
			     .wire_sent = 34,
			     .payload_received = 35,
			     .delivered = 36},
		    .origins = sample_origins,
		    .origin_count = 2,
		    .rss_bytes = 41,
		    .buffered_bytes = 42,
		    .budget_bytes = 43}}},
	{"server_stats_none", {.id = 10, .kind = WIRE_SERVER_STATS}},
	{"server_pong_full",
	 {.id = 11,
	  .kind = WIRE_SERVER_PONG,
	  .pong = {.server_version = "0.1.0",
		   .instance_id = "fedcba9876543210fedcba9876543210",
		   .pid = 4194304}}},
	{"server_pong_none", {.id = 11, .kind = WIRE_SERVER_PONG}},
	{"server_cancel_job_full",
	 {.id = 12, .kind = WIRE_SERVER_CANCEL_JOB, .cancel_job = {.found = true}}},
	{"server_cancel_job_none", {.id = 12, .kind = WIRE_SERVER_CANCEL_JOB}},
	{"server_unsupported_full",
	 {.id = 13, .kind = WIRE_SERVER_UNSUPPORTED, .unsupported = {.field = 24}}},
	{"server_unsupported_none", {.id = 13, .kind = WIRE_SERVER_UNSUPPORTED}},
};

#define CLIENT_SAMPLE_COUNT (sizeof(client_samples) / sizeof(client_samples[0]))
#define SERVER_SAMPLE_COUNT (sizeof(server_samples) / sizeof(server_samples[0]))
