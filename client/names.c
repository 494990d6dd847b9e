/* SPDX-License-Identifier: MIT */
/* Names of codes, and what people are told about them. */
#include "internal.h"

const char *fetchd_version(void)
{
	return FETCHD_VERSION;
}

const char *fetchd_close_reason_name(enum fetchd_close_reason reason)
{
	if (reason == FETCHD_CLOSE_DAEMON_LOST) {
		return "DAEMON_LOST";
	}
	return wire_close_reason_name((enum wire_close_reason)reason);
}

const char *fetchd_failure_code_name(enum fetchd_failure_code code)
{
	return wire_failure_code_name((enum wire_failure_code)code);
}

const char *fetchd_priority_name(enum fetchd_priority priority)
{
	return wire_priority_name((enum wire_priority)priority);
}

const char *fetchd_job_state_name(enum fetchd_job_state state)
{
	return wire_job_state_name((enum wire_job_state)state);
}

const char *fetchd_wait_reason_name(enum fetchd_wait_reason reason)
{
	return wire_wait_reason_name((enum wire_wait_reason)reason);
}

const char *fetchd_connection_state_name(enum fetchd_connection_state state)
{
	return wire_connection_state_name((enum wire_connection_state)state);
}

const char *fetchd_warning_code_name(enum fetchd_warning_code code)
{
	return wire_warning_code_name((enum wire_warning_code)code);
}

const char *fetchd_goodbye_code_name(enum fetchd_goodbye_code code)
{
	return wire_goodbye_code_name((enum wire_goodbye_code)code);
}

const char *fetchd_close_reason_text(enum fetchd_close_reason reason)
{
	switch (reason) {
	case FETCHD_CLOSE_UNSPECIFIED:
		break;
	case FETCHD_CLOSE_ENDED:
		return "the response is complete";
	case FETCHD_CLOSE_RESET:
		return "the server reset the stream";
	case FETCHD_CLOSE_CONNECTION_LOST:
		return "the connection to the server was lost";
	case FETCHD_CLOSE_MAXSIZE_EXCEEDED:
		return "the response is announced to be larger than allowed";
	case FETCHD_CLOSE_CANCELLED:
		return "cancelled";
	case FETCHD_CLOSE_INACTIVE:
		return "the connection was lost before the request was sent";
	case FETCHD_CLOSE_INVALID_HOSTNAME:
		return "the server does not serve this host name";
	case FETCHD_CLOSE_MAXSIZE_EXCEEDED_ACTUAL:
		return "the response turned out to be larger than allowed";
	case FETCHD_CLOSE_STOP_DOWNLOAD:
		return "stopped as asked, with a partial body";
	case FETCHD_CLOSE_TIMEOUT:
		return "a deadline passed";
	case FETCHD_CLOSE_CONNECT_FAILED:
		return "no connection to the server";
	case FETCHD_CLOSE_LENGTH_MISMATCH:
		return "the body is not as long as announced";
	case FETCHD_CLOSE_PROTOCOL_ERROR:
		return "the server broke the HTTP/2 protocol";
	case FETCHD_CLOSE_DENIED:
		return "the daemon refused the request";
	case FETCHD_CLOSE_OUTPUT_FAILED:
		return "the output could not be written";
	case FETCHD_CLOSE_SHUTDOWN:
		return "the daemon stopped";
	case FETCHD_CLOSE_DAEMON_LOST:
		return "the connection to the daemon was lost";
	}
	return "ended for a reason that this version does not know";
}

const char *fetchd_failure_advice(enum fetchd_failure_code code)
{
	switch (code) {
	case FETCHD_FAIL_URL_INVALID:
		return "give an absolute URL such as https://www.example.org/file";
	case FETCHD_FAIL_URL_SCHEME:
		return "only https:// is fetched, and http:// where the configuration allows it";
	case FETCHD_FAIL_URL_USERINFO:
		return "leave the user name and password out of the URL and send an authorization "
		       "header field instead";
	case FETCHD_FAIL_CLEARTEXT_NOT_ALLOWED:
		return "use https://, or list the host in pool.h2c_hosts of fetchd.conf(5)";
	case FETCHD_FAIL_HEADER_INVALID:
		return "fields of the connection (connection, keep-alive, te, transfer-encoding, "
		       "upgrade) are the daemon's own; host and content-length come from the "
		       "request";
	case FETCHD_FAIL_TOO_MANY_JOBS:
		return "wait until jobs have ended, or raise the limit in fetchd.conf(5)";
	case FETCHD_FAIL_TOO_MANY_FDS:
		return "wait until jobs have ended, or raise ipc.max_fds_per_uid in "
		       "fetchd.conf(5)";
	case FETCHD_FAIL_DRAINING:
		return "the daemon is stopping: try again when it has restarted";
	case FETCHD_FAIL_DNS_NOT_FOUND:
		return "check the spelling of the host name";
	case FETCHD_FAIL_DNS_FAILED:
	case FETCHD_FAIL_DNS_TIMEOUT:
		return "check the name servers in /etc/resolv.conf";
	case FETCHD_FAIL_CONNECT_REFUSED:
		return "check the port: nothing listens there";
	case FETCHD_FAIL_CONNECT_UNREACHABLE:
		return "check the network";
	case FETCHD_FAIL_TLS_CERT_UNTRUSTED:
		return "if the server is yours, give its authority in tls.ca_file of "
		       "fetchd.conf(5)";
	case FETCHD_FAIL_TLS_CERT_EXPIRED:
		return "check the clock of this machine, and the server's certificate";
	case FETCHD_FAIL_TLS_CERT_NAME:
		return "use the host name that the certificate is for";
	case FETCHD_FAIL_ALPN_MISMATCH:
	case FETCHD_FAIL_NOT_HTTP2:
		return "the server does not speak HTTP/2 there; fetchd speaks nothing else";
	case FETCHD_FAIL_TOO_MANY_REDIRECTS:
		return "allow more redirections, or see where they lead with fetchctl get -v";
	case FETCHD_FAIL_REDIRECT_CLEARTEXT:
		return "fetch the http:// URL itself if that is what you want, or allow "
		       "redirections to it";
	case FETCHD_FAIL_TOO_SLOW:
		return "lower job.min_rate in fetchd.conf(5) if so slow a server is worth it";
	case FETCHD_FAIL_TIMEOUT_CLIENT:
		return "the receiver took nothing for too long; see job.client_timeout in "
		       "fetchd.conf(5)";
	case FETCHD_FAIL_SIZE_ANNOUNCED:
	case FETCHD_FAIL_SIZE_RECEIVED:
		return "raise the maximum size of the request, or job.max_size in fetchd.conf(5)";
	case FETCHD_FAIL_HEADERS_TOO_LARGE:
		return "raise http.max_header_list or http.max_headers in fetchd.conf(5)";
	case FETCHD_FAIL_UNSPECIFIED:
	case FETCHD_FAIL_URL_HOST:
	case FETCHD_FAIL_METHOD_INVALID:
	case FETCHD_FAIL_BODY_INVALID:
	case FETCHD_FAIL_LIMIT_INVALID:
	case FETCHD_FAIL_NO_MEMORY:
	case FETCHD_FAIL_REDIRECT_INVALID:
	case FETCHD_FAIL_CONNECT_ERROR:
	case FETCHD_FAIL_TIMEOUT_CONNECT:
	case FETCHD_FAIL_TLS_HANDSHAKE:
	case FETCHD_FAIL_TLS_CERT_INVALID:
	case FETCHD_FAIL_CONNECTION_LIMIT:
	case FETCHD_FAIL_CONNECTION_CLOSED:
	case FETCHD_FAIL_CONNECTION_ERROR:
	case FETCHD_FAIL_ADDRESS_ATTEMPT:
	case FETCHD_FAIL_H2_GOAWAY:
	case FETCHD_FAIL_H2_RESET:
	case FETCHD_FAIL_H2_REFUSED:
	case FETCHD_FAIL_H2_CONNECTION_ERROR:
	case FETCHD_FAIL_H2_STREAM_ERROR:
	case FETCHD_FAIL_NEVER_SENT:
	case FETCHD_FAIL_MISDIRECTED:
	case FETCHD_FAIL_TOO_MANY_INFORMATIONAL:
	case FETCHD_FAIL_STREAM_IDS_USED_UP:
	case FETCHD_FAIL_FLOOD_SETTINGS:
	case FETCHD_FAIL_FLOOD_PING:
	case FETCHD_FAIL_FLOOD_RESET:
	case FETCHD_FAIL_FLOOD_EMPTY:
	case FETCHD_FAIL_FLOOD_CONTINUATION:
	case FETCHD_FAIL_FLOOD_ANSWERS:
	case FETCHD_FAIL_TIMEOUT_QUEUE:
	case FETCHD_FAIL_TIMEOUT_FIRST_BYTE:
	case FETCHD_FAIL_TIMEOUT_STALL:
	case FETCHD_FAIL_TIMEOUT_TOTAL:
	case FETCHD_FAIL_LENGTH_SHORT:
	case FETCHD_FAIL_LENGTH_LONG:
	case FETCHD_FAIL_TIMEOUT_UPLOAD:
	case FETCHD_FAIL_UPLOAD_LENGTH:
	case FETCHD_FAIL_CANCELLED_BY_CLIENT:
	case FETCHD_FAIL_CLIENT_GONE:
	case FETCHD_FAIL_STOPPED:
	case FETCHD_FAIL_INTERNAL:
	case FETCHD_FAIL_OUTPUT_INVALID:
	case FETCHD_FAIL_OUTPUT_ERROR:
		break;
	}
	return NULL;
}
