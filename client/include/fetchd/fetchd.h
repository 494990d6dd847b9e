/* SPDX-License-Identifier: MIT */
/*
 * libfetchd: fetch over HTTP/2 through the local daemon fetchd.
 *
 * THE SHAPE. One `struct fetchd_connection` is one Unix socket to the daemon. It never starts a
 * thread, keeps no global state, never reconnects by itself and raises no SIGPIPE. It fits into any
 * event loop: wait until fetchd_get_fd() is ready for fetchd_get_events() or until
 * fetchd_get_timeout() has passed, then call fetchd_process(). Who has no event loop calls
 * fetchd_wait() again and again, or only fetchd_fetch_to_fd().
 *
 * CALLBACKS run only inside fetchd_process() and fetchd_wait(), never inside the call that set
 * them. Everything they are given is borrowed and valid until they return. From a callback every
 * function of this header may be called, except that fetchd_process() and fetchd_wait() on the same
 * connection return -EBUSY; fetchd_close() takes effect when the callback returns.
 *
 * JOBS. fetchd_submit() makes one and lends its handle, which is valid until its on_closed callback
 * returns (or until fetchd_close()). on_closed is called exactly once for each job that
 * fetchd_submit() accepted, always as its last callback, and also when the daemon is lost; it is
 * left out only when the caller itself closes the connection.
 *
 * ERRORS. Functions return 0 or a documented positive number, or a negative errno value. An error
 * of the connection is final: it is kept, fetchd_process() returns it from then on, and
 * fetchd_error_text() says it in words. What goes wrong with one job is in that job's
 * `struct fetchd_closed` and harms nothing else.
 *
 * THREADS. A connection and its jobs belong to one thread at a time. Different connections are
 * independent of each other.
 *
 * GROWTH. Structs that the caller fills begin with their size: start from the *_INIT macros.
 * Structs that the library fills grow only at their end, or into their reserved fields.
 */
#ifndef FETCHD_FETCHD_H
#define FETCHD_FETCHD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FETCHD_API __attribute__((visibility("default")))

/* ---- words ---- */

/* Why a job ended. The daemon's reasons have the numbers of the protocol. */
enum fetchd_close_reason {
	FETCHD_CLOSE_UNSPECIFIED = 0, /* a reason that this library does not know */
	/* The response ended and everything was delivered. The only full success. */
	FETCHD_CLOSE_ENDED = 1,
	/* The origin reset the stream (RST_STREAM; RFC 9113, section 6.4). Partial body. */
	FETCHD_CLOSE_RESET = 2,
	/* The connection to the origin died after the request was sent. Partial body. */
	FETCHD_CLOSE_CONNECTION_LOST = 3,
	/* Content-Length announced more than max_size_bytes. No body. */
	FETCHD_CLOSE_MAXSIZE_EXCEEDED = 4,
	/* Cancelled: fetchd_job_cancel(), or fetchd_cancel_job() by somebody who may. */
	FETCHD_CLOSE_CANCELLED = 5,
	/* The connection died before the request was sent. Nothing reached the origin. */
	FETCHD_CLOSE_INACTIVE = 6,
	/* The origin does not serve this authority here (421; RFC 9110, section 15.5.20). */
	FETCHD_CLOSE_INVALID_HOSTNAME = 7,
	/* More than max_size_bytes arrived unannounced; exactly that many were delivered. */
	FETCHD_CLOSE_MAXSIZE_EXCEEDED_ACTUAL = 8,
	/* fetchd_job_stop(): a success with a partial body. */
	FETCHD_CLOSE_STOP_DOWNLOAD = 9,
	/* A deadline passed; the failure says which. Partial body. */
	FETCHD_CLOSE_TIMEOUT = 10,
	/* DNS, TCP, TLS or ALPN failed; the failure says which. */
	FETCHD_CLOSE_CONNECT_FAILED = 11,
	/* The response ended but is not as long as Content-Length said. Partial body. */
	FETCHD_CLOSE_LENGTH_MISMATCH = 12,
	/* The origin broke HTTP/2. Partial body. */
	FETCHD_CLOSE_PROTOCOL_ERROR = 13,
	/* Refused by the daemon: a bad request, policy, or a quota. Nothing was sent; or, after
	 * redirections, nothing to where the last one points. */
	FETCHD_CLOSE_DENIED = 14,
	/* The descriptor given as output_fd could not be written; the failure has the errno.
	 * Partial body. */
	FETCHD_CLOSE_OUTPUT_FAILED = 15,
	/* The daemon stopped. */
	FETCHD_CLOSE_SHUTDOWN = 18,
	/* The library's own, never on the wire: the connection to the daemon is gone, so nothing
	 * more will be known about this job. What the daemon does then: it cancels the job. */
	FETCHD_CLOSE_DAEMON_LOST = 1000
};

/* What went wrong, for programs. A code keeps its number and meaning; a newer daemon may send
 * numbers that are not listed here, which arrive as FETCHD_FAIL_UNSPECIFIED. */
enum fetchd_failure_code {
	FETCHD_FAIL_UNSPECIFIED = 0,
	/* the request itself */
	FETCHD_FAIL_URL_INVALID = 1,
	FETCHD_FAIL_URL_SCHEME = 2,
	FETCHD_FAIL_URL_USERINFO = 3,
	FETCHD_FAIL_URL_HOST = 4,
	FETCHD_FAIL_CLEARTEXT_NOT_ALLOWED = 5,
	FETCHD_FAIL_METHOD_INVALID = 6,
	FETCHD_FAIL_HEADER_INVALID = 7,
	FETCHD_FAIL_BODY_INVALID = 8,
	FETCHD_FAIL_LIMIT_INVALID = 9,
	FETCHD_FAIL_TOO_MANY_JOBS = 10,
	FETCHD_FAIL_DRAINING = 11,
	FETCHD_FAIL_NO_MEMORY = 12,
	FETCHD_FAIL_TOO_MANY_REDIRECTS = 13,
	FETCHD_FAIL_REDIRECT_INVALID = 14,
	FETCHD_FAIL_REDIRECT_CLEARTEXT = 15,
	FETCHD_FAIL_OUTPUT_INVALID = 16,
	FETCHD_FAIL_TOO_MANY_FDS = 17,
	/* finding and reaching the origin */
	FETCHD_FAIL_DNS_NOT_FOUND = 20,
	FETCHD_FAIL_DNS_FAILED = 21,
	FETCHD_FAIL_DNS_TIMEOUT = 22,
	FETCHD_FAIL_CONNECT_REFUSED = 23,
	FETCHD_FAIL_CONNECT_UNREACHABLE = 24,
	FETCHD_FAIL_CONNECT_ERROR = 25,
	FETCHD_FAIL_TIMEOUT_CONNECT = 26,
	FETCHD_FAIL_TLS_HANDSHAKE = 27,
	FETCHD_FAIL_TLS_CERT_UNTRUSTED = 28,
	FETCHD_FAIL_TLS_CERT_EXPIRED = 29,
	FETCHD_FAIL_TLS_CERT_NAME = 30,
	FETCHD_FAIL_TLS_CERT_INVALID = 31,
	FETCHD_FAIL_ALPN_MISMATCH = 32,
	FETCHD_FAIL_NOT_HTTP2 = 33,
	FETCHD_FAIL_CONNECTION_LIMIT = 34,
	FETCHD_FAIL_CONNECTION_CLOSED = 35,
	FETCHD_FAIL_CONNECTION_ERROR = 36,
	FETCHD_FAIL_ADDRESS_ATTEMPT = 37,
	/* on the connection and the stream */
	FETCHD_FAIL_H2_GOAWAY = 40,
	FETCHD_FAIL_H2_RESET = 41,
	FETCHD_FAIL_H2_REFUSED = 42,
	FETCHD_FAIL_H2_CONNECTION_ERROR = 43,
	FETCHD_FAIL_H2_STREAM_ERROR = 44,
	FETCHD_FAIL_NEVER_SENT = 45,
	FETCHD_FAIL_MISDIRECTED = 46,
	FETCHD_FAIL_HEADERS_TOO_LARGE = 47,
	FETCHD_FAIL_TOO_MANY_INFORMATIONAL = 48,
	FETCHD_FAIL_STREAM_IDS_USED_UP = 49,
	FETCHD_FAIL_FLOOD_SETTINGS = 50,
	FETCHD_FAIL_FLOOD_PING = 51,
	FETCHD_FAIL_FLOOD_RESET = 52,
	FETCHD_FAIL_FLOOD_EMPTY = 53,
	FETCHD_FAIL_FLOOD_CONTINUATION = 54,
	FETCHD_FAIL_FLOOD_ANSWERS = 55,
	/* limits and deadlines of the job */
	FETCHD_FAIL_TIMEOUT_QUEUE = 60,
	FETCHD_FAIL_TIMEOUT_FIRST_BYTE = 61,
	FETCHD_FAIL_TIMEOUT_STALL = 62,
	FETCHD_FAIL_TIMEOUT_TOTAL = 63,
	FETCHD_FAIL_TIMEOUT_CLIENT = 64,
	FETCHD_FAIL_SIZE_ANNOUNCED = 65,
	FETCHD_FAIL_SIZE_RECEIVED = 66,
	FETCHD_FAIL_LENGTH_SHORT = 67,
	FETCHD_FAIL_LENGTH_LONG = 68,
	FETCHD_FAIL_TIMEOUT_UPLOAD = 69,
	FETCHD_FAIL_TOO_SLOW = 70,
	FETCHD_FAIL_UPLOAD_LENGTH = 71,
	/* the client and the daemon */
	FETCHD_FAIL_CANCELLED_BY_CLIENT = 80,
	FETCHD_FAIL_CLIENT_GONE = 81,
	FETCHD_FAIL_STOPPED = 82,
	FETCHD_FAIL_INTERNAL = 83,
	FETCHD_FAIL_OUTPUT_ERROR = 84
};

/* Which waiting job goes first at an origin; within one level first in, first out. */
enum fetchd_priority {
	FETCHD_PRIORITY_DEFAULT = 0, /* as NORMAL */
	FETCHD_PRIORITY_LOW = 1,
	FETCHD_PRIORITY_NORMAL = 2,
	FETCHD_PRIORITY_HIGH = 3,
	FETCHD_PRIORITY_URGENT = 4
};

/* Where a job is between its acceptance and its end. */
enum fetchd_job_state {
	FETCHD_JOB_UNSPECIFIED = 0,
	FETCHD_JOB_QUEUED = 1,     /* waiting for a connection, a stream slot, or memory */
	FETCHD_JOB_SENT = 2,       /* handed to a connection, no final response yet */
	FETCHD_JOB_RECEIVING = 3,  /* the head came, the body is on its way */
	FETCHD_JOB_DELIVERING = 4, /* all came from the origin; waiting for the client */
	FETCHD_JOB_BACKOFF = 5     /* waiting to try again */
};

/* The one thing that keeps a job from moving. */
enum fetchd_wait_reason {
	/* It moves, or waits for something that this library does not know. */
	FETCHD_WAIT_UNSPECIFIED = 0,
	FETCHD_WAIT_DNS = 1,              /* the lookup of the origin's name */
	FETCHD_WAIT_CONNECTING = 2,       /* TCP or TLS to the origin */
	FETCHD_WAIT_STREAM_LIMIT = 3,     /* all connections there have all the streams they may */
	FETCHD_WAIT_CONNECTION_LIMIT = 4, /* the pool has all the connections it may have */
	FETCHD_WAIT_ORIGIN_BACKOFF = 5,   /* a pause, after connections that served nothing */
	FETCHD_WAIT_USER_QUOTA = 6,       /* the user has all the streams that one may have */
	FETCHD_WAIT_MEMORY_BUDGET = 7,    /* the streams in flight may fill the memory budget */
	FETCHD_WAIT_CLIENT_CREDIT = 8,    /* the client has granted no credit for what is there */
	FETCHD_WAIT_CLIENT_SOCKET = 9,    /* the client does not read its socket */
	FETCHD_WAIT_PEER_WINDOW = 10,     /* the origin's window is shut for the request's body */
	FETCHD_WAIT_RETRY_TIMER = 11,     /* the pause before the next try */
	FETCHD_WAIT_LIVENESS = 12,        /* the answer to a PING on a silent connection */
	FETCHD_WAIT_CONTINUE = 13,        /* the origin's 100 (Continue) */
	FETCHD_WAIT_PEER_SOCKET = 14,     /* the origin takes no bytes of the request */
	FETCHD_WAIT_RESPONSE = 15,        /* the response's head */
	FETCHD_WAIT_BODY = 16,            /* more of the response's body */
	FETCHD_WAIT_CLIENT_UPLOAD = 17,   /* more of the request's body, from the client */
	FETCHD_WAIT_OUTPUT = 18           /* output_fd has not taken what is there yet */
};

/* Where a connection of the daemon's pool is. */
enum fetchd_connection_state {
	FETCHD_CONNECTION_UNSPECIFIED = 0,
	FETCHD_CONNECTION_CONNECTING = 1, /* name lookup, TCP, TLS */
	FETCHD_CONNECTION_OPEN = 2,       /* takes streams */
	FETCHD_CONNECTION_DRAINING = 3,   /* takes no more, and ends with its last one */
	FETCHD_CONNECTION_CLOSING = 4,    /* no streams any more; the socket's end is on its way */
	FETCHD_CONNECTION_FAILED = 5      /* failed, or served nothing; a pause before the next */
};

enum fetchd_warning_code {
	FETCHD_WARNING_UNSPECIFIED = 0,
	FETCHD_WARNING_EXPECTED_SIZE = 1, /* Content-Length announces more than warn_size_bytes */
	FETCHD_WARNING_RECEIVED_SIZE = 2  /* more than warn_size_bytes arrived */
};

/* Why the daemon ended the conversation. */
enum fetchd_goodbye_code {
	FETCHD_GOODBYE_NONE = 0, /* it did not, or for a reason that this library does not know */
	FETCHD_GOODBYE_HELLO_EXPECTED = 1,
	FETCHD_GOODBYE_UNSUPPORTED_VERSION = 2,
	FETCHD_GOODBYE_BAD_FRAME = 3,
	FETCHD_GOODBYE_BAD_MESSAGE = 4,
	FETCHD_GOODBYE_BAD_ID = 5,
	FETCHD_GOODBYE_SLOW_CONSUMER = 6,
	FETCHD_GOODBYE_TOO_MANY_CLIENTS = 7,
	FETCHD_GOODBYE_SHUTDOWN = 8,
	FETCHD_GOODBYE_FRAME_TIMEOUT = 9,
	FETCHD_GOODBYE_NO_MEMORY = 10
};

/* Names without prefix: "ENDED", "DNS_NOT_FOUND", "NORMAL", "QUEUED", "STREAM_LIMIT", "OPEN",
 * "RECEIVED_SIZE", "SHUTDOWN"; "UNSPECIFIED" for a number that is none. Static strings, never NULL.
 */
FETCHD_API const char *fetchd_close_reason_name(enum fetchd_close_reason reason);
FETCHD_API const char *fetchd_failure_code_name(enum fetchd_failure_code code);
FETCHD_API const char *fetchd_priority_name(enum fetchd_priority priority);
FETCHD_API const char *fetchd_job_state_name(enum fetchd_job_state state);
FETCHD_API const char *fetchd_wait_reason_name(enum fetchd_wait_reason reason);
FETCHD_API const char *fetchd_connection_state_name(enum fetchd_connection_state state);
FETCHD_API const char *fetchd_warning_code_name(enum fetchd_warning_code code);
FETCHD_API const char *fetchd_goodbye_code_name(enum fetchd_goodbye_code code);

/* One sentence for people about a close reason, and one line of advice for a failure code: what the
 * user can do about it. NULL where there is no good advice. Static strings. */
FETCHD_API const char *fetchd_close_reason_text(enum fetchd_close_reason reason);
FETCHD_API const char *fetchd_failure_advice(enum fetchd_failure_code code);

/* The library's own release: "0.1.0". */
FETCHD_API const char *fetchd_version(void);

/* ---- connection ---- */

struct fetchd_connection;

/* Where a daemon listens if the caller names no path: $FETCHD_SOCKET (not in a set-user-id
 * program); else $XDG_RUNTIME_DIR/fetchd/fetchd.sock if there is such a file; else the system's
 * socket, /run/fetchd/fetchd.sock unless configured otherwise at build time. Written to `buffer`,
 * NUL-terminated. 0; -ENAMETOOLONG if `size` is too small (108 is always enough for a path that can
 * be connected to). */
FETCHD_API int fetchd_socket_path(char *buffer, size_t size);

/* Connects to the daemon at `path` (NULL: fetchd_socket_path()). Blocks only while the daemon's
 * queue of new connections is full, at most `timeout_ms` (negative: for ever). `client_name` is
 * what the daemon shows in lists and logs, at most 64 bytes of printable ASCII are kept; NULL: the
 * program's name. The daemon's greeting is not awaited: jobs may be submitted at once and travel
 * with it. 0 and *ret_connection, to be closed with fetchd_close(). -ENOENT, -ECONNREFUSED: no
 * daemon there; -ETIMEDOUT; -ENAMETOOLONG; -ENOMEM; other errors of socket() and connect(). */
FETCHD_API int fetchd_connect(const char *path, const char *client_name, int timeout_ms,
			      struct fetchd_connection **ret_connection);

/* The same over a connected stream socket that the caller has. `take_fd` is consumed, also on
 * failure; its file status flags are not changed. -EBADF, -ENOTSOCK; -EPROTOTYPE if it is no stream
 * socket; -ENOMEM. */
FETCHD_API int fetchd_connect_fd(int take_fd, const char *client_name,
				 struct fetchd_connection **ret_connection);

/* Ends the connection and frees it with all its jobs and requests; no callback is called. The
 * daemon cancels what was still open. NULL is allowed. Inside a callback it takes effect when the
 * callback returns: the running fetchd_process() or fetchd_wait() then returns -ECANCELED, and the
 * connection must not be touched any more. */
FETCHD_API void fetchd_close(struct fetchd_connection *connection);

/* The socket to poll; borrowed, the same for the connection's whole life. */
FETCHD_API int fetchd_get_fd(const struct fetchd_connection *connection);

/* What to poll it for, now: POLLIN, and POLLOUT while something is unsent. May change with every
 * call that is made on the connection, so ask before every poll. */
FETCHD_API short fetchd_get_events(const struct fetchd_connection *connection);

/* How long to poll at most, in milliseconds: 0 when fetchd_process() has something to do at once
 * (something known but not yet delivered), -1 when only the socket matters. */
FETCHD_API int fetchd_get_timeout(const struct fetchd_connection *connection);

/* Does what can be done without blocking: sends, reads once, calls callbacks, sends what these
 * caused. Returns how many events were delivered, 0 if there was nothing. Negative: the connection
 * is lost (see fetchd_error()); every open job's on_closed and every open request's callback has
 * been called by then. -EBUSY from inside a callback; -ECANCELED when a callback closed the
 * connection. */
FETCHD_API int fetchd_process(struct fetchd_connection *connection);

/* Sends what is unsent, without blocking and without callbacks. 0: all is sent; 1: the socket takes
 * no more now, poll for POLLOUT; negative: the connection can send no more (what the daemon had
 * sent before is still delivered by fetchd_process()). */
FETCHD_API int fetchd_flush(struct fetchd_connection *connection);

/* Polls once, at most `timeout_ms` (negative: for ever), and processes. As fetchd_process(); 0 also
 * when the time is over or a signal came. For callers without an event loop. */
FETCHD_API int fetchd_wait(struct fetchd_connection *connection, int timeout_ms);

/* The error that ended the connection, negative, or 0. -ECONNRESET: the daemon closed it, with or
 * without a Goodbye; -EPROTO: it sent something that is not the protocol; -EPROTONOSUPPORT: it
 * speaks another version; -ENOMEM; or an error of the socket. */
FETCHD_API int fetchd_error(const struct fetchd_connection *connection);
/* The same as one line; "" while there is none. Valid as long as the connection. */
FETCHD_API const char *fetchd_error_text(const struct fetchd_connection *connection);
/* Why the daemon said Goodbye, and its text ("" if it did not). Valid as long as the connection. */
FETCHD_API enum fetchd_goodbye_code fetchd_goodbye(const struct fetchd_connection *connection,
						   const char **ret_text);

/* What the daemon said about itself. */
struct fetchd_server {
	const char *version;     /* its release, "0.1.0" */
	const char *instance_id; /* 32 hexadecimal digits, new at every start of the daemon */
	uint32_t protocol_major;
	uint32_t protocol_minor;
	uint32_t max_client_frame_bytes; /* a request with its body must fit */
	uint32_t max_jobs;               /* most jobs open at once on this connection */
	uint64_t default_credit_bytes;   /* what a job starts with unless it says otherwise */
	uint64_t max_credit_bytes;       /* most that a job may hold */
};

/* Valid as long as the connection; NULL while the daemon's greeting has not arrived. */
FETCHD_API const struct fetchd_server *
fetchd_get_server(const struct fetchd_connection *connection);
/* Does the daemon serve the feature of that name? False while its greeting has not arrived. */
FETCHD_API bool fetchd_has_feature(const struct fetchd_connection *connection, const char *name);

/* ---- jobs: what is asked for ---- */

/* In a numeric field of a request: what the daemon's configuration says. */
#define FETCHD_DEFAULT UINT64_MAX
/* As a length of a header field's name or value in a request: it ends at its NUL. */
#define FETCHD_NUL_TERMINATED SIZE_MAX

/* One header field (RFC 9110, section 5). Octets, not text: in a response neither part is
 * NUL-terminated, and nothing says that it is UTF-8. Names in responses are lower case. */
struct fetchd_field {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
};

/* One fetch. All pointers are borrowed for the time of the call. Initialise with
 * FETCHD_REQUEST_INIT and set `url`; every other field then says "default". */
struct fetchd_request {
	size_t size; /* of this struct as the caller knows it */
	/* Absolute https URL; http only where the daemon allows cleartext. At most 8,192 bytes, no
	 * user information; a fragment is not sent. */
	const char *url;
	/* NULL: GET. CONNECT is refused. */
	const char *method;
	/* In the order they go out; at most 128. Connection-specific ones (RFC 9113, section 8.2.2)
	 * are refused. */
	const struct fetchd_field *headers;
	size_t header_count;
	/* NULL: no body, unless `upload` says otherwise. Not NULL and length 0: an empty one. The
	 * request must fit one frame of 65,536 bytes with everything in it; what does not is for
	 * `upload`. */
	const void *body;
	size_t body_length;
	/* With `upload`: how many bytes it will be, sent as Content-Length and held to;
	 * FETCHD_DEFAULT: not known, and no Content-Length is sent. */
	uint64_t upload_length;
	/* Most body bytes the response may have; 0: any number. */
	uint64_t max_size_bytes;
	/* Warn once when the response is longer than this; 0: never. */
	uint64_t warn_size_bytes;
	/* The deadlines; 0: none. Until the request is handed to a connection; until there is a
	 * connection; from sending the request until the response's head; longest time without a
	 * byte on the stream; all in all. */
	uint64_t queue_timeout_ms;
	uint64_t connect_timeout_ms;
	uint64_t first_byte_timeout_ms;
	uint64_t stall_timeout_ms;
	uint64_t total_timeout_ms;
	/* Body bytes that may come before the first credit is returned; 0: none until
	 * fetchd_job_credit(). See there. Where the daemon's own default is 0, FETCHD_DEFAULT
	 * means 256 KiB, unless manual_credit is set. */
	uint64_t initial_credit_bytes;
	enum fetchd_priority priority;
	/* on_progress at most this often, and at each change of state; 0: never; at least 50. */
	uint32_t progress_interval_ms;
	/* Follow at most this many redirections (301, 302, 303, 307, 308 with a Location; RFC 9110,
	 * section 15.4), and never more than the daemon's job.max_redirects; 0: none, the response
	 * is delivered like any other. on_head then tells of the last response alone, with its URL;
	 * those before are in the attempts of on_closed. A redirection that cannot be followed ends
	 * the job with DENIED. */
	uint32_t max_redirects;
	/* Let a redirection lead from https to http, where the daemon allows http at all. */
	bool redirect_to_cleartext;
	/* Do not send the request again on another connection, even where that is safe
	 * (RFC 9110, section 9.2.2). */
	bool replay_forbidden;
	/* Wait and try again after a temporary failure (no connection, status 429 or 503). */
	bool retry_allowed;
	/* Credit is returned by fetchd_job_credit() alone. */
	bool manual_credit;
	/* The request's body comes in pieces, by fetchd_job_upload(); `body` is NULL then. Such a
	 * request is sent a second time (replay, retry, a redirection with its body) only as long
	 * as all of it that was given fits the daemon's buffer. */
	bool upload;
	unsigned char reserved[7]; /* 0 */
	/* Where the daemon itself writes the body: a descriptor open for writing, of a regular
	 * file, of a pipe with O_NONBLOCK set, or of a stream socket. -1: nowhere, the body comes
	 * through on_body. It is borrowed for the time of fetchd_submit(): the library duplicates
	 * it, and hands it to the daemon and forgets it when the request is sent; the caller may
	 * close his own at once. There is no on_body then, and credit has no meaning; ask for
	 * on_progress to see it grow. Nothing is written any more once on_closed is called. Only
	 * with the daemon's feature "fd-output". */
	int output_fd;
	/* Where in a regular file that is not open for appending to begin; FETCHD_DEFAULT: at its
	 * file position. The position is not moved in either case. */
	uint64_t output_offset;
};

/* clang-format off */
#define FETCHD_REQUEST_INIT { \
	sizeof(struct fetchd_request), NULL, NULL, NULL, 0, NULL, 0, FETCHD_DEFAULT, \
	FETCHD_DEFAULT, FETCHD_DEFAULT, FETCHD_DEFAULT, FETCHD_DEFAULT, FETCHD_DEFAULT, \
	FETCHD_DEFAULT, FETCHD_DEFAULT, FETCHD_DEFAULT, FETCHD_PRIORITY_DEFAULT, 0, 0, false, \
	false, false, false, false, {0}, -1, FETCHD_DEFAULT}
/* clang-format on */

/* ---- jobs: what happens ---- */

struct fetchd_job;

/* The connection to the origin that carries a response. Strings are never NULL. */
struct fetchd_connection_info {
	uint64_t connection;             /* the daemon's number for it */
	const char *remote;              /* "192.0.2.1:443", "[2001:db8::1]:443" */
	const char *tls_version;         /* "TLS1.3"; "" for cleartext */
	const char *tls_cipher;          /* "" for cleartext */
	const char *certificate_subject; /* "" for cleartext */
	uint64_t certificate_expires;    /* seconds since 1970; 0 for cleartext */
	bool reused;                     /* it was there before this job needed it */
	bool tls_resumed;                /* the TLS session was resumed */
};

/* The final response's head; or an interim one's, then without `connection` and content length. */
struct fetchd_head {
	uint32_t status;
	const struct fetchd_field *headers;
	size_t header_count;
	int64_t content_length;                          /* as announced; -1: not announced */
	const struct fetchd_connection_info *connection; /* NULL for an interim response */
	/* The URL that redirections led to; "" if none was followed, and for an interim response.
	 */
	const char *url;
};

struct fetchd_progress {
	enum fetchd_job_state state;
	uint64_t received_bytes;  /* body bytes that came from the origin */
	uint64_t delivered_bytes; /* of these, handed to the client */
	int64_t content_length;   /* as announced; -1: not announced */
	const char *waiting_for;  /* what a waiting job waits for, one line; "" while it moves */
};

/* One link of the chain that explains an end. */
struct fetchd_failure {
	enum fetchd_failure_code code;
	const char *text;   /* one line for people */
	uint32_t sys_errno; /* the daemon's errno, 0: none */
	int32_t tls_code;   /* GnuTLS's error code, negative; 0: none */
	int64_t h2_code;    /* HTTP/2 error code (RFC 9113, section 7); -1: none */
	uint64_t reserved[2];
};

/* One try of a job on one stream. */
struct fetchd_attempt {
	uint64_t connection; /* 0: there was none */
	const char *remote;  /* "" if there was none */
	uint32_t stream;     /* HTTP/2 stream id; 0: the request was never sent */
	uint32_t status;     /* 0: no final response */
	enum fetchd_close_reason outcome;
	enum fetchd_failure_code code;
	const char *why;  /* why another try was safe, or not; "" after a success */
	const char *url;  /* what was asked for, cut at 512 bytes; "": the submitted URL */
	bool replay_safe; /* was another try safe? */
	uint64_t reserved[2];
};

/* How a job ended. */
struct fetchd_closed {
	enum fetchd_close_reason reason;
	/* Outermost first; none for ENDED and STOP_DOWNLOAD. */
	const struct fetchd_failure *failures;
	size_t failure_count;
	/* In order of time. */
	const struct fetchd_attempt *attempts;
	size_t attempt_count;
	/* Over all attempts: body bytes received, and delivered here; HTTP/2 frames of this job. */
	uint64_t payload_bytes;
	uint64_t delivered_bytes;
	uint64_t wire_received_bytes;
	uint64_t wire_sent_bytes;
	/* Microseconds after the daemon took the job; -1: it did not happen, or not for this job.
	 */
	int64_t dns_us;
	int64_t connect_us;
	int64_t tls_us;
	int64_t queued_us; /* left the queue */
	int64_t sent_us;
	int64_t first_byte_us;
	int64_t end_us;
};

/* Each may be NULL. Initialise with FETCHD_JOB_CALLBACKS_INIT; the struct is copied. Order:
 * accepted, progress and informational, head, then body, warning and progress, trailers, closed;
 * all but closed may be missing. upload may come anywhere between accepted and closed. */
struct fetchd_job_callbacks {
	size_t size; /* of this struct as the caller knows it */
	/* The daemon took the job; `daemon_id` is what lists show and fetchd_cancel_job() takes. */
	void (*on_accepted)(struct fetchd_job *job, uint64_t daemon_id, void *user);
	/* An interim response, 1xx (RFC 9110, section 15.2). */
	void (*on_informational)(struct fetchd_job *job, const struct fetchd_head *head,
				 void *user);
	/* The final response; at most once. */
	void (*on_head)(struct fetchd_job *job, const struct fetchd_head *head, void *user);
	/* Body bytes, 1 to 65,536 of them, in order; `offset` is that of the first one. */
	void (*on_body)(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
			void *user);
	/* Trailer fields (RFC 9110, section 6.5). */
	void (*on_trailers)(struct fetchd_job *job, const struct fetchd_field *fields,
			    size_t field_count, void *user);
	/* Something to know that did not end the job. */
	void (*on_warning)(struct fetchd_job *job, enum fetchd_warning_code code, const char *text,
			   void *user);
	/* Only if the request asked for it. */
	void (*on_progress)(struct fetchd_job *job, const struct fetchd_progress *progress,
			    void *user);
	/* The end: exactly once, always last. The handle dies when this returns. */
	void (*on_closed)(struct fetchd_job *job, const struct fetchd_closed *closed, void *user);
	/* Only for a request with `upload`: fetchd_job_upload() takes `room_bytes` now, at least 1.
	 * Comes each time the daemon has granted more, and when a short count of
	 * fetchd_job_upload() was for want of room in the library. */
	void (*on_upload)(struct fetchd_job *job, uint64_t room_bytes, void *user);
};

/* clang-format off */
#define FETCHD_JOB_CALLBACKS_INIT { \
	sizeof(struct fetchd_job_callbacks), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL}
/* clang-format on */

/* Queues a job for the daemon; it is sent by the next fetchd_process(), fetchd_flush() or
 * fetchd_wait(), so that many jobs go out in one write. 0 and, if `ret_job` is not NULL, the job's
 * handle. -EINVAL and -EMSGSIZE as fetchd_request_check() gives them; -E2BIG: a struct with fields
 * set that this library does not know; -EAGAIN: more than 1 MiB is unsent, poll for POLLOUT and try
 * again; for a request with output_fd also: the daemon's greeting has not arrived, so try again
 * when fetchd_get_server() gives one. -EOPNOTSUPP: the daemon does not take an output_fd. -ENOMEM;
 * -EBADF, -EMFILE: output_fd cannot be duplicated; or the error of a lost connection. What the
 * daemon thinks of URL, method and header fields is said by on_closed, with DENIED. */
FETCHD_API int fetchd_submit(struct fetchd_connection *connection,
			     const struct fetchd_request *request,
			     const struct fetchd_job_callbacks *callbacks, void *user,
			     struct fetchd_job **ret_job);

/* Can the request be sent at all? fetchd_submit() checks the same. 0; -EINVAL when it breaks a
 * documented limit or a text in it is not UTF-8; -EMSGSIZE when it does not fit one frame of 65,536
 * bytes; -E2BIG, -ENOMEM. Then *ret_why (may be NULL) says why in words, a static string. */
FETCHD_API int fetchd_request_check(const struct fetchd_request *request, const char **ret_why);

/* Ends the job with CANCELLED and throws away what was not delivered: only on_closed is called
 * after this, with CANCELLED or with the end that was already on its way. Idempotent; cannot fail.
 */
FETCHD_API void fetchd_job_cancel(struct fetchd_job *job);

/* "Enough": ends the job with STOP_DOWNLOAD, a success with a partial body. Body that is on its way
 * is still delivered. Idempotent; cannot fail. */
FETCHD_API void fetchd_job_stop(struct fetchd_job *job);

/* Lets the daemon send `bytes` more of this job's body. With manual_credit this is the only source
 * of credit after the initial one: the caller returns what it has consumed, when it has. Without it
 * the library returns credit itself, in halves of the window, as on_body returns; this call then
 * makes the window larger, for instance to start a job that was submitted with initial_credit_bytes
 * = 0. The daemon caps what a job holds at max_credit_bytes. 0 bytes do nothing. Cannot fail. */
FETCHD_API void fetchd_job_credit(struct fetchd_job *job, uint64_t bytes);

/* The next piece of the request's body, for a request with `upload`; `end`: the last one, which may
 * be empty. What is taken is copied and sent by the next fetchd_process(), fetchd_flush() or
 * fetchd_wait(). No more is taken than the daemon has granted, nor more than makes 1 MiB unsent on
 * the connection: so little is ever held here. Returns the bytes taken, 0 to `length`; `end` counts
 * only when that is all of them. After a short count on_upload says when there is room again; an
 * empty piece with `end` needs none. -EINVAL: the request had no `upload`, or the end was given
 * already; -ECANCELED: nothing more is wanted, because the job was cancelled, stopped, or is
 * closed; -ENOMEM: none was taken, try again; or the error of a lost connection. What is wrong with
 * the body, such as another length than was announced, is said by on_closed. */
FETCHD_API ssize_t fetchd_job_upload(struct fetchd_job *job, const void *data, size_t length,
				     bool end);

/* How many bytes fetchd_job_upload() would take now. */
FETCHD_API uint64_t fetchd_job_upload_room(const struct fetchd_job *job);

/* The job's number on this connection; the daemon's number, 0 before on_accepted; the connection;
 * and what was given as `user`. */
FETCHD_API uint64_t fetchd_job_id(const struct fetchd_job *job);
FETCHD_API uint64_t fetchd_job_daemon_id(const struct fetchd_job *job);
FETCHD_API struct fetchd_connection *fetchd_job_connection(const struct fetchd_job *job);
FETCHD_API void *fetchd_job_user(const struct fetchd_job *job);

/* Jobs of this connection that are not closed yet. */
FETCHD_API size_t fetchd_open_jobs(const struct fetchd_connection *connection);

/* ---- looking at the daemon ----
 *
 * Each of these queues a request; its callback is called exactly once (unless the caller closes the
 * connection), with `error` 0 and the reply, or with a negative errno value and NULL or zero:
 * -EOPNOTSUPP if the daemon does not know the request, or the error of the lost connection. They
 * return 0, -EINVAL without callback, -EAGAIN and -ENOMEM as fetchd_submit() does, or the error of
 * a lost connection. */

/* What keeps a job from moving. */
struct fetchd_wait {
	enum fetchd_wait_reason reason;
	uint64_t for_ms; /* it has waited for just this */
	int64_t left_ms; /* until the wait ends by itself; -1: it has no time */
	/* At which limit: a key of fetchd.conf(5), or the origin's setting by its name in RFC 9113,
	 * section 6.5.2, as "SETTINGS_MAX_CONCURRENT_STREAMS"; and its value. "": at none. */
	const char *limit;
	uint64_t limit_value;
};

struct fetchd_job_info {
	uint64_t daemon_id;
	enum fetchd_job_state state;
	enum fetchd_priority priority;
	const char *method;
	const char *url; /* cut at 512 bytes */
	uint32_t uid;
	uint32_t pid;
	const char *client_name;
	uint64_t received_bytes;
	uint64_t delivered_bytes;
	int64_t content_length; /* -1: not announced */
	uint64_t age_ms;
	const char *waiting_for; /* for people, one line; "" while it moves */
	struct fetchd_wait wait; /* the same for programs; UNSPECIFIED while it moves */
	uint32_t attempts;
	uint32_t reserved0;
	uint64_t reserved[2];
};

struct fetchd_list {
	const struct fetchd_job_info *jobs; /* ascending by daemon_id */
	size_t job_count;
	bool more; /* ask again, after the last one's daemon_id */
};

/* The open jobs with a number above `after`, at most `limit` (0: as many as one reply holds, 256):
 * those of the caller's user, or everybody's for root and the daemon's own user. */
FETCHD_API int fetchd_list(struct fetchd_connection *connection, uint64_t after, uint32_t limit,
			   void (*callback)(struct fetchd_connection *connection, int error,
					    const struct fetchd_list *list, void *user),
			   void *user);

struct fetchd_reason_count {
	enum fetchd_close_reason reason;
	uint64_t count;
};

struct fetchd_origin_info {
	const char *origin; /* "https://www.example.org:443" */
	uint32_t connections;
	uint32_t connecting;
	uint32_t streams;
	uint32_t waiting;
	int64_t backoff_ms; /* what is left of the pause before its next connection; -1: none */
	uint64_t reserved[2];
};

/* One connection of the pool, or the place of one that failed. Strings are never NULL. */
struct fetchd_pool_connection {
	const char *origin;  /* as in struct fetchd_origin_info */
	uint64_t connection; /* the daemon's number for it, as in struct fetchd_connection_info */
	enum fetchd_connection_state state;
	uint32_t streams;              /* on it now */
	uint32_t stream_limit;         /* the most it may have at once */
	uint32_t reserved0;            /* 0 */
	uint64_t carried;              /* streams so far */
	uint64_t state_for_ms;         /* in that state */
	uint64_t age_ms;               /* since its dial began */
	const char *remote;            /* "192.0.2.1:443"; "" while it is not connected */
	uint64_t send_window_bytes;    /* what may still be sent, of all streams together */
	uint64_t receive_window_bytes; /* what the origin may still send, likewise */
	uint64_t silent_ms;            /* since a byte last came */
	int64_t ping_ago_ms;           /* since our last PING; -1: there was none */
	int64_t ping_rtt_us;           /* how long its answer took; -1: it has not come */
	int64_t left_ms;               /* until the state ends by itself; -1: it does not */
	const char *why;               /* why it is where it is, one line */
	uint64_t reserved[2];
};

struct fetchd_stats {
	uint64_t uptime_ms;
	uint32_t clients;
	/* Open jobs by state. */
	uint32_t jobs_queued;
	uint32_t jobs_sent;
	uint32_t jobs_receiving;
	uint32_t jobs_delivering;
	uint32_t jobs_backoff;
	/* The pool, now. */
	uint32_t origins;
	uint32_t connections;
	uint32_t connecting;
	uint32_t streams;
	uint32_t waiting;
	/* Since the daemon started. */
	uint64_t jobs_submitted;
	uint64_t replays;
	uint64_t retries;
	const struct fetchd_reason_count *closed;
	size_t closed_count;
	uint64_t connections_opened;
	uint64_t connect_failures;
	uint64_t tls_handshakes;
	uint64_t tls_resumed;
	uint64_t streams_opened;
	uint64_t streams_reused; /* on a connection that had carried one before */
	uint64_t dns_lookups;
	uint64_t wire_received_bytes; /* HTTP/2, without TLS */
	uint64_t wire_sent_bytes;
	uint64_t payload_received_bytes;
	uint64_t delivered_bytes;
	/* Memory, now: resident; body bytes buffered; most that may be. */
	uint64_t rss_bytes;
	uint64_t buffered_bytes;
	uint64_t budget_bytes;
	/* Origins, most connections first, as many as asked for. */
	const struct fetchd_origin_info *origin_list;
	size_t origin_list_count;
	/* Connections, by origin, as many as asked for and fit. */
	const struct fetchd_pool_connection *connection_list;
	size_t connection_list_count;
};

/* The daemon's counters, at most `origins` (at most 256) origins and at most `connections` (at most
 * 256) connections; 0: none. */
FETCHD_API int fetchd_stats(struct fetchd_connection *connection, uint32_t origins,
			    uint32_t connections,
			    void (*callback)(struct fetchd_connection *connection, int error,
					     const struct fetchd_stats *stats, void *user),
			    void *user);

struct fetchd_pong {
	const char *version;     /* the daemon's release */
	const char *instance_id; /* new at every start of the daemon */
	uint32_t pid;
};

FETCHD_API int fetchd_ping(struct fetchd_connection *connection,
			   void (*callback)(struct fetchd_connection *connection, int error,
					    const struct fetchd_pong *pong, void *user),
			   void *user);

/* Cancels any job that the caller may see in a list, by its daemon_id. `found` is false if there is
 * no such job. */
FETCHD_API int fetchd_cancel_job(struct fetchd_connection *connection, uint64_t daemon_id,
				 void (*callback)(struct fetchd_connection *connection, int error,
						  bool found, void *user),
				 void *user);

/* ---- one blocking call ---- */

struct fetchd_result {
	size_t size;                     /* of this struct as the caller knows it */
	enum fetchd_close_reason reason; /* UNSPECIFIED if there was no job */
	enum fetchd_failure_code code;   /* the outermost failure's */
	uint32_t status;                 /* HTTP status, 0 if no final response came */
	int64_t content_length;          /* as announced; -1: not announced */
	uint64_t written_bytes;          /* body bytes written to the descriptor */
	char text[512];                  /* what went wrong, one line; "" after a success */
};

/* clang-format off */
#define FETCHD_RESULT_INIT { \
	sizeof(struct fetchd_result), FETCHD_CLOSE_UNSPECIFIED, FETCHD_FAIL_UNSPECIFIED, 0, -1, 0, \
	{0}}
/* clang-format on */

/* Fetches and writes the body to `fd` (borrowed; blocking or not), and returns when all is done. It
 * connects to `socket_path` as fetchd_connect() does, for this one job. `ret_result` may be NULL.
 * A status of 400 or more is still a response: look at `status`. manual_credit, and an
 * initial_credit_bytes of 0, are ignored: bytes have credit again once they are written.
 * 0: ENDED, everything is written. 1: the job ended otherwise, see the result. Negative: it could
 * not be done: the daemon cannot be reached or was lost, or the error of writing to `fd`, which
 * cancels the job; -EINVAL for a request with `upload`, which has nobody here to give it, or with
 * an output_fd of its own. What was written by then stays written. */
FETCHD_API int fetchd_fetch_to_fd(const char *socket_path, const struct fetchd_request *request,
				  int fd, struct fetchd_result *ret_result);

#ifdef __cplusplus
}
#endif

#endif
