/* SPDX-License-Identifier: MIT */
/*
 * The close reasons and failure codes of fetchd.v1, as tables. Every enum and every name of them in
 * the daemon and in the client library comes from here; a unit test compares the tables with the
 * compiled schema. What each one means is said in fetchd.proto.
 *
 * Depends on nothing, so that every layer may include it.
 */
#pragma once

/* X(NAME, number) */
/* clang-format off */
#define CLOSE_REASON_TABLE(X) \
	X(ENDED, 1) \
	X(RESET, 2) \
	X(CONNECTION_LOST, 3) \
	X(MAXSIZE_EXCEEDED, 4) \
	X(CANCELLED, 5) \
	X(INACTIVE, 6) \
	X(INVALID_HOSTNAME, 7) \
	X(MAXSIZE_EXCEEDED_ACTUAL, 8) \
	X(STOP_DOWNLOAD, 9) \
	X(TIMEOUT, 10) \
	X(CONNECT_FAILED, 11) \
	X(LENGTH_MISMATCH, 12) \
	X(PROTOCOL_ERROR, 13) \
	X(DENIED, 14) \
	X(SHUTDOWN, 18)

#define FAILURE_CODE_TABLE(X) \
	X(URL_INVALID, 1) \
	X(URL_SCHEME, 2) \
	X(URL_USERINFO, 3) \
	X(URL_HOST, 4) \
	X(CLEARTEXT_NOT_ALLOWED, 5) \
	X(METHOD_INVALID, 6) \
	X(HEADER_INVALID, 7) \
	X(BODY_INVALID, 8) \
	X(LIMIT_INVALID, 9) \
	X(TOO_MANY_JOBS, 10) \
	X(DRAINING, 11) \
	X(NO_MEMORY, 12) \
	X(DNS_NOT_FOUND, 20) \
	X(DNS_FAILED, 21) \
	X(DNS_TIMEOUT, 22) \
	X(CONNECT_REFUSED, 23) \
	X(CONNECT_UNREACHABLE, 24) \
	X(CONNECT_ERROR, 25) \
	X(TIMEOUT_CONNECT, 26) \
	X(TLS_HANDSHAKE, 27) \
	X(TLS_CERT_UNTRUSTED, 28) \
	X(TLS_CERT_EXPIRED, 29) \
	X(TLS_CERT_NAME, 30) \
	X(TLS_CERT_INVALID, 31) \
	X(ALPN_MISMATCH, 32) \
	X(NOT_HTTP2, 33) \
	X(CONNECTION_LIMIT, 34) \
	X(CONNECTION_CLOSED, 35) \
	X(CONNECTION_ERROR, 36) \
	X(ADDRESS_ATTEMPT, 37) \
	X(H2_GOAWAY, 40) \
	X(H2_RESET, 41) \
	X(H2_REFUSED, 42) \
	X(H2_CONNECTION_ERROR, 43) \
	X(H2_STREAM_ERROR, 44) \
	X(NEVER_SENT, 45) \
	X(MISDIRECTED, 46) \
	X(HEADERS_TOO_LARGE, 47) \
	X(TOO_MANY_INFORMATIONAL, 48) \
	X(STREAM_IDS_USED_UP, 49) \
	X(TIMEOUT_QUEUE, 60) \
	X(TIMEOUT_FIRST_BYTE, 61) \
	X(TIMEOUT_STALL, 62) \
	X(TIMEOUT_TOTAL, 63) \
	X(TIMEOUT_CLIENT, 64) \
	X(SIZE_ANNOUNCED, 65) \
	X(SIZE_RECEIVED, 66) \
	X(LENGTH_SHORT, 67) \
	X(LENGTH_LONG, 68) \
	X(CANCELLED_BY_CLIENT, 80) \
	X(CLIENT_GONE, 81) \
	X(STOPPED, 82) \
	X(INTERNAL, 83)
/* clang-format on */
