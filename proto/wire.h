/* SPDX-License-Identifier: MIT */
/*
 * fetchd.v1 as plain C: the frames of both directions as structs, and their encoding. Linked into
 * the daemon and into libfetchd. The generated protobuf-c types stay inside wire*.c. What each
 * message and field means is said in fetchd.proto; names here are the same.
 *
 * Decoding is safe on hostile input: memory is a fixed multiple of the frame's length, and every
 * limit documented in the schema is checked before the caller sees anything.
 */
#pragma once

#include "proto/codes.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_MAJOR 1u
#define WIRE_MINOR 0u

#define WIRE_CLIENT_FRAME_MAX 65536u  /* client to daemon, without the length prefix */
#define WIRE_SERVER_FRAME_MAX 131072u /* daemon to client, likewise */
#define WIRE_BODY_MAX 65536u          /* body bytes in one Body */

/* Limits of fields, as fetchd.proto documents them. */
#define WIRE_FEATURES_MAX 32u
#define WIRE_FEATURE_BYTES_MAX 64u
#define WIRE_CLIENT_NAME_MAX 64u
#define WIRE_URL_MAX 8192u
#define WIRE_METHOD_MAX 32u
#define WIRE_HEADERS_MAX 128u /* of a Submit; responses have the daemon's own limits */
#define WIRE_FIELD_NAME_MAX 256u
#define WIRE_FIELD_VALUE_MAX 16384u
#define WIRE_TEXT_MAX 256u
#define WIRE_FAILURES_MAX 8u
#define WIRE_ATTEMPTS_MAX 16u
#define WIRE_LIST_MAX 256u
#define WIRE_LIST_URL_MAX 512u
#define WIRE_REASONS_MAX 64u
#define WIRE_ORIGINS_MAX 256u
#define WIRE_CONNECTIONS_MAX 256u

/* Borrowed bytes; not NUL-terminated. Strings that the schema calls `string` are given as
 * NUL-terminated `const char *`, never NULL after decoding ("" if absent). */
struct wire_bytes {
	const uint8_t *data;
	size_t length;
};

struct wire_field {
	struct wire_bytes name;
	struct wire_bytes value;
};

struct wire_optional {
	bool set;
	uint64_t value;
};

enum wire_close_reason {
	WIRE_CLOSE_UNSPECIFIED = 0,
#define X(name, number) WIRE_CLOSE_##name = (number),
	CLOSE_REASON_TABLE(X)
#undef X
};

enum wire_failure_code {
	WIRE_FAIL_UNSPECIFIED = 0,
#define X(name, number) WIRE_FAIL_##name = (number),
	FAILURE_CODE_TABLE(X)
#undef X
};

enum wire_wait_reason {
	WIRE_WAIT_UNSPECIFIED = 0,
#define X(name, number) WIRE_WAIT_##name = (number),
	WAIT_REASON_TABLE(X)
#undef X
};

enum wire_connection_state {
	WIRE_CONNECTION_UNSPECIFIED = 0,
#define X(name, number) WIRE_CONNECTION_##name = (number),
	CONNECTION_STATE_TABLE(X)
#undef X
};

enum wire_priority {
	WIRE_PRIORITY_UNSPECIFIED,
	WIRE_PRIORITY_LOW,
	WIRE_PRIORITY_NORMAL,
	WIRE_PRIORITY_HIGH,
	WIRE_PRIORITY_URGENT,
};

enum wire_job_state {
	WIRE_JOB_UNSPECIFIED,
	WIRE_JOB_QUEUED,
	WIRE_JOB_SENT,
	WIRE_JOB_RECEIVING,
	WIRE_JOB_DELIVERING,
	WIRE_JOB_BACKOFF,
};

enum wire_warning_code {
	WIRE_WARNING_UNSPECIFIED,
	WIRE_WARNING_EXPECTED_SIZE,
	WIRE_WARNING_RECEIVED_SIZE,
};

enum wire_goodbye_code {
	WIRE_GOODBYE_UNSPECIFIED,
	WIRE_GOODBYE_HELLO_EXPECTED,
	WIRE_GOODBYE_UNSUPPORTED_VERSION,
	WIRE_GOODBYE_BAD_FRAME,
	WIRE_GOODBYE_BAD_MESSAGE,
	WIRE_GOODBYE_BAD_ID,
	WIRE_GOODBYE_SLOW_CONSUMER,
	WIRE_GOODBYE_TOO_MANY_CLIENTS,
	WIRE_GOODBYE_SHUTDOWN,
	WIRE_GOODBYE_FRAME_TIMEOUT,
	WIRE_GOODBYE_NO_MEMORY,
};

/* ---- client to daemon ---- */

enum wire_client_kind {
	WIRE_CLIENT_UNKNOWN, /* no member of the oneof, or one this code does not know */
	WIRE_CLIENT_HELLO,
	WIRE_CLIENT_SUBMIT,
	WIRE_CLIENT_CREDIT,
	WIRE_CLIENT_CANCEL,
	WIRE_CLIENT_STOP,
	WIRE_CLIENT_LIST,
	WIRE_CLIENT_STATS,
	WIRE_CLIENT_PING,
	WIRE_CLIENT_CANCEL_JOB,
	WIRE_CLIENT_UPLOAD_DATA,
};

struct wire_client_hello {
	uint32_t major;
	uint32_t minor;
	const char *const *features;
	size_t feature_count;
	const char *client_name;
};

struct wire_submit {
	const char *url;
	const char *method;
	const struct wire_field *headers;
	size_t header_count;
	bool has_body;
	struct wire_bytes body;
	struct wire_optional max_size;
	struct wire_optional warn_size;
	struct wire_optional queue_timeout_ms;
	struct wire_optional connect_timeout_ms;
	struct wire_optional first_byte_timeout_ms;
	struct wire_optional stall_timeout_ms;
	struct wire_optional total_timeout_ms;
	enum wire_priority priority;
	struct wire_optional initial_credit;
	bool replay_forbidden; /* replay_allowed was sent and false */
	bool retry_allowed;
	uint32_t progress_interval_ms;
	uint32_t max_redirects;
	bool redirect_to_cleartext;
	bool has_upload;
	struct wire_optional upload_length;
	bool has_output;
	struct wire_optional output_offset;
};

struct wire_client_frame {
	uint64_t id;
	uint32_t fd_count;
	enum wire_client_kind kind;
	union {
		struct wire_client_hello hello;
		struct wire_submit submit;
		struct {
			uint64_t bytes;
		} credit;
		struct {
			uint64_t after_job;
			uint32_t limit;
		} list;
		struct {
			uint32_t origins;
			uint32_t connections;
		} stats;
		struct {
			uint64_t job;
		} cancel_job;
		struct {
			struct wire_bytes data;
			bool end;
		} upload_data;
		struct {
			uint32_t field; /* the first unknown field's number, 0 if there was none */
		} unknown;
	};
};

/* ---- daemon to client ---- */

enum wire_server_kind {
	WIRE_SERVER_UNKNOWN,
	WIRE_SERVER_HELLO,
	WIRE_SERVER_ACCEPTED,
	WIRE_SERVER_HEAD,
	WIRE_SERVER_BODY,
	WIRE_SERVER_CLOSED,
	WIRE_SERVER_INFORMATIONAL,
	WIRE_SERVER_TRAILERS,
	WIRE_SERVER_WARNING,
	WIRE_SERVER_PROGRESS,
	WIRE_SERVER_GOODBYE,
	WIRE_SERVER_LIST,
	WIRE_SERVER_STATS,
	WIRE_SERVER_PONG,
	WIRE_SERVER_CANCEL_JOB,
	WIRE_SERVER_UNSUPPORTED,
	WIRE_SERVER_UPLOAD_CREDIT,
};

struct wire_server_hello {
	uint32_t major;
	uint32_t minor;
	const char *const *features;
	size_t feature_count;
	const char *server_version;
	const char *instance_id;
	uint32_t max_client_frame_bytes;
	uint32_t max_server_frame_bytes;
	uint32_t max_jobs;
	uint64_t default_credit_bytes;
	uint64_t max_credit_bytes;
};

struct wire_connection_info {
	uint64_t connection;
	const char *remote;
	const char *tls_version;
	const char *tls_cipher;
	const char *certificate_subject;
	uint64_t certificate_expires;
	bool reused;
	bool tls_resumed;
};

/* Head, Informational (no connection, no length) and Trailers (no status either). */
struct wire_head {
	uint32_t status;
	const struct wire_field *headers;
	size_t header_count;
	struct wire_connection_info connection;
	struct wire_optional content_length;
	const char *url;
};

struct wire_failure {
	enum wire_failure_code code;
	const char *text;
	uint32_t sys_errno;
	struct wire_optional h2_code;
	int32_t tls_code;
};

struct wire_attempt {
	uint64_t connection;
	const char *remote;
	uint32_t stream;
	enum wire_close_reason outcome;
	enum wire_failure_code code;
	bool replay_safe;
	const char *why;
	uint32_t status;
	const char *url;
};

struct wire_byte_counts {
	uint64_t payload;
	uint64_t delivered;
	uint64_t wire_received;
	uint64_t wire_sent;
};

struct wire_timings {
	struct wire_optional dns_us;
	struct wire_optional connect_us;
	struct wire_optional tls_us;
	struct wire_optional queued_us;
	struct wire_optional sent_us;
	struct wire_optional first_byte_us;
	struct wire_optional end_us;
};

struct wire_closed {
	enum wire_close_reason reason;
	const struct wire_failure *failures;
	size_t failure_count;
	const struct wire_attempt *attempts;
	size_t attempt_count;
	struct wire_byte_counts bytes;
	struct wire_timings timings;
};

struct wire_progress {
	enum wire_job_state state;
	uint64_t received;
	uint64_t delivered;
	struct wire_optional content_length;
	const char *waiting_for;
};

/* reason UNSPECIFIED: it does not wait. */
struct wire_wait {
	enum wire_wait_reason reason;
	uint64_t for_ms;
	struct wire_optional left_ms;
	const char *limit;
	uint64_t limit_value;
};

struct wire_job_info {
	uint64_t job;
	enum wire_job_state state;
	const char *method;
	const char *url;
	uint32_t uid;
	uint32_t pid;
	const char *client_name;
	enum wire_priority priority;
	uint64_t received;
	uint64_t delivered;
	struct wire_optional content_length;
	uint64_t age_ms;
	const char *waiting_for;
	uint32_t attempts;
	struct wire_wait wait;
};

struct wire_list_reply {
	const struct wire_job_info *jobs;
	size_t job_count;
	bool more;
};

struct wire_reason_count {
	enum wire_close_reason reason;
	uint64_t count;
};

struct wire_origin_info {
	const char *origin;
	uint32_t connections;
	uint32_t connecting;
	uint32_t streams;
	uint32_t waiting;
	struct wire_optional backoff_ms;
};

struct wire_pool_connection {
	const char *origin;
	uint64_t connection;
	enum wire_connection_state state;
	uint64_t state_for_ms;
	uint64_t age_ms;
	const char *remote;
	uint32_t streams;
	uint32_t stream_limit;
	uint64_t carried;
	uint64_t send_window;
	uint64_t receive_window;
	uint64_t silent_ms;
	struct wire_optional ping_ago_ms;
	struct wire_optional ping_rtt_us;
	struct wire_optional left_ms;
	const char *why;
};

struct wire_stats_reply {
	uint64_t uptime_ms;
	uint32_t clients;
	struct {
		uint32_t queued, sent, receiving, delivering, backoff;
		uint64_t submitted;
		const struct wire_reason_count *closed;
		size_t closed_count;
		uint64_t replays;
		uint64_t retries;
	} jobs;
	struct {
		uint32_t origins, connections, connecting, streams, waiting;
		uint64_t connections_opened;
		uint64_t connect_failures;
		uint64_t tls_handshakes;
		uint64_t tls_resumed;
		uint64_t streams_opened;
		uint64_t streams_reused;
		uint64_t dns_lookups;
		uint64_t wire_received;
		uint64_t wire_sent;
		uint64_t payload_received;
		uint64_t delivered;
	} pool;
	const struct wire_origin_info *origins;
	size_t origin_count;
	const struct wire_pool_connection *connections;
	size_t connection_count;
	uint64_t rss_bytes;
	uint64_t buffered_bytes;
	uint64_t budget_bytes;
};

struct wire_server_frame {
	uint64_t id;
	enum wire_server_kind kind;
	union {
		struct wire_server_hello hello;
		struct {
			uint64_t job;
		} accepted;
		struct wire_head head; /* Head, Informational, Trailers */
		struct {
			uint64_t offset;
			struct wire_bytes data;
		} body;
		struct wire_closed closed;
		struct {
			enum wire_warning_code code;
			const char *text;
		} warning;
		struct wire_progress progress;
		struct {
			enum wire_goodbye_code code;
			const char *text;
		} goodbye;
		struct wire_list_reply list;
		struct wire_stats_reply stats;
		struct {
			const char *server_version;
			const char *instance_id;
			uint32_t pid;
		} pong;
		struct {
			bool found;
		} cancel_job;
		struct {
			uint32_t field;
		} unsupported;
		struct {
			uint64_t bytes;
		} upload_credit;
	};
};

/* ---- coding ---- */

/* Decodes one frame (without its length prefix). 0 and *ret_frame, which points into memory of its
 * own (the input may go) and is freed with wire_*_frame_free(). -EBADMSG: no such message, or a
 * documented limit is broken, or a string is not UTF-8 or contains NUL; *ret_why (never a NULL
 * pointer) then says which field and limit, a static string. -ENOMEM. */
int wire_client_frame_decode(const uint8_t *data, size_t length,
			     struct wire_client_frame **ret_frame, const char **ret_why);
void wire_client_frame_free(struct wire_client_frame *frame);
int wire_server_frame_decode(const uint8_t *data, size_t length,
			     struct wire_server_frame **ret_frame, const char **ret_why);
void wire_server_frame_free(struct wire_server_frame *frame);

/* Encodes one frame, length prefix included. 0 and *ret_data (free() it) and *ret_length; -EMSGSIZE
 * when longer than that direction allows (a long list: try with fewer jobs and `more`), -EINVAL for
 * kind UNKNOWN, -ENOMEM. A string that is a NULL pointer is an empty one.
 *
 * The client's encoder checks no other limit, the receiver does; but a string that is not UTF-8 is
 * -EINVAL, because the receiver would end the whole conversation. The daemon's encoder makes texts
 * fit, because they may come from an origin or another client: '?' for each byte that is not UTF-8,
 * and Failure, Warning and Goodbye texts cut to WIRE_TEXT_MAX, JobInfo.url to WIRE_LIST_URL_MAX. */
int wire_client_frame_encode(const struct wire_client_frame *frame, uint8_t **ret_data,
			     size_t *ret_length);
int wire_server_frame_encode(const struct wire_server_frame *frame, uint8_t **ret_data,
			     size_t *ret_length);

/* A Body frame without protobuf: everything before the data, length prefix included; the frame is
 * this and then the `data_length` bytes. Byte for byte what wire_server_frame_encode() gives.
 * `data_length` is 1..WIRE_BODY_MAX. Returns the prefix's length. */
#define WIRE_BODY_PREFIX_MAX 40u
size_t wire_body_prefix(uint64_t id, uint64_t offset, size_t data_length,
			uint8_t prefix[WIRE_BODY_PREFIX_MAX]);
/* Recognizes a Body frame in its usual field order without protobuf and without a copy: true, and
 * *ret_id, *ret_offset and *ret_data (into `data`). False says nothing: decode it. */
bool wire_body_parse(const uint8_t *data, size_t length, uint64_t *ret_id, uint64_t *ret_offset,
		     struct wire_bytes *ret_data);

/* Names as in the schema: "ENDED", "DNS_NOT_FOUND", "NORMAL", "QUEUED", "BAD_FRAME"; "UNSPECIFIED"
 * for what is unknown. */
const char *wire_close_reason_name(enum wire_close_reason reason);
const char *wire_failure_code_name(enum wire_failure_code code);
const char *wire_wait_reason_name(enum wire_wait_reason reason);
const char *wire_connection_state_name(enum wire_connection_state state);
const char *wire_priority_name(enum wire_priority priority);
const char *wire_job_state_name(enum wire_job_state state);
const char *wire_warning_code_name(enum wire_warning_code code);
const char *wire_goodbye_code_name(enum wire_goodbye_code code);
