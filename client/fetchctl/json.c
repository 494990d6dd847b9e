/* SPDX-License-Identifier: MIT */
/* What the library tells, as JSON objects. */
#include "json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *json_octets(const char *data, size_t length)
{
	json_t *string = json_stringn(data, length);
	unsigned char *wide;
	size_t at = 0;

	if (string != NULL) {
		return string;
	}
	/* Not UTF-8 (or no memory, which shows again below): every octet from 0x80 up takes two
	 * bytes as U+0080 to U+00FF. */
	if (length > SIZE_MAX / 2) {
		return NULL;
	}
	wide = malloc(2 * length + 1);
	if (wide == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)data[i];

		if (c < 0x80) {
			wide[at++] = c;
		} else {
			wide[at++] = (unsigned char)(0xc0 | c >> 6);
			wide[at++] = (unsigned char)(0x80 | (c & 0x3f));
		}
	}
	string = json_stringn((const char *)wide, at);
	free(wide);
	return string;
}

json_t *json_text(const char *text)
{
	return json_octets(text, strlen(text));
}

json_t *json_count(uint64_t number)
{
	return json_integer(number > (uint64_t)INT64_MAX ? (json_int_t)INT64_MAX
							 : (json_int_t)number);
}

/* Times and sizes that may be unknown. */
static json_t *json_maybe(int64_t number)
{
	return number < 0 ? json_null() : json_integer((json_int_t)number);
}

void json_put(json_t **object, const char *key, json_t *value)
{
	if (*object == NULL) {
		json_decref(value);
		return;
	}
	/* Takes the value over, also on failure; fails for NULL. */
	if (json_object_set_new(*object, key, value) != 0) {
		json_decref(*object);
		*object = NULL;
	}
}

static void json_add(json_t **array, json_t *value)
{
	if (*array == NULL) {
		json_decref(value);
		return;
	}
	if (json_array_append_new(*array, value) != 0) {
		json_decref(*array);
		*array = NULL;
	}
}

json_t *json_fields(const struct fetchd_field *fields, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *pair = json_array();

		json_add(&pair, json_octets(fields[i].name, fields[i].name_length));
		json_add(&pair, json_octets(fields[i].value, fields[i].value_length));
		json_add(&array, pair);
	}
	return array;
}

json_t *json_head(const struct fetchd_head *head)
{
	json_t *object = json_object();

	json_put(&object, "status", json_count(head->status));
	json_put(&object, "headers", json_fields(head->headers, head->header_count));
	if (head->connection != NULL) {
		const struct fetchd_connection_info *info = head->connection;
		json_t *connection = json_object();

		json_put(&object, "content_length", json_maybe(head->content_length));
		json_put(&object, "final_url",
			 head->url[0] != '\0' ? json_text(head->url) : json_null());
		json_put(&connection, "id", json_count(info->connection));
		json_put(&connection, "remote", json_text(info->remote));
		json_put(&connection, "tls_version", json_text(info->tls_version));
		json_put(&connection, "tls_cipher", json_text(info->tls_cipher));
		json_put(&connection, "certificate_subject", json_text(info->certificate_subject));
		json_put(&connection, "certificate_expires", json_count(info->certificate_expires));
		json_put(&connection, "reused", json_boolean(info->reused));
		json_put(&connection, "tls_resumed", json_boolean(info->tls_resumed));
		json_put(&object, "connection", connection);
	}
	return object;
}

json_t *json_progress(const struct fetchd_progress *progress)
{
	json_t *object = json_object();

	json_put(&object, "state", json_text(fetchd_job_state_name(progress->state)));
	json_put(&object, "received_bytes", json_count(progress->received_bytes));
	json_put(&object, "delivered_bytes", json_count(progress->delivered_bytes));
	json_put(&object, "content_length", json_maybe(progress->content_length));
	json_put(&object, "waiting_for", json_text(progress->waiting_for));
	return object;
}

json_t *json_closed(const struct fetchd_closed *closed)
{
	json_t *object = json_object(), *failures = json_array(), *attempts = json_array();
	json_t *timings = json_object();

	for (size_t i = 0; i < closed->failure_count; i++) {
		const struct fetchd_failure *from = &closed->failures[i];
		json_t *failure = json_object();

		json_put(&failure, "code", json_text(fetchd_failure_code_name(from->code)));
		json_put(&failure, "text", json_text(from->text));
		json_put(&failure, "errno", json_count(from->sys_errno));
		json_put(&failure, "h2_code", json_maybe(from->h2_code));
		json_put(&failure, "tls_code", json_integer(from->tls_code));
		json_add(&failures, failure);
	}
	for (size_t i = 0; i < closed->attempt_count; i++) {
		const struct fetchd_attempt *from = &closed->attempts[i];
		json_t *attempt = json_object();

		json_put(&attempt, "connection", json_count(from->connection));
		json_put(&attempt, "remote", json_text(from->remote));
		json_put(&attempt, "stream", json_count(from->stream));
		json_put(&attempt, "status", json_count(from->status));
		json_put(&attempt, "outcome", json_text(fetchd_close_reason_name(from->outcome)));
		json_put(&attempt, "code",
			 from->code != FETCHD_FAIL_UNSPECIFIED
				 ? json_text(fetchd_failure_code_name(from->code))
				 : json_null());
		json_put(&attempt, "replay_safe", json_boolean(from->replay_safe));
		json_put(&attempt, "why", json_text(from->why));
		json_put(&attempt, "url",
			 from->url[0] != '\0' ? json_text(from->url) : json_null());
		json_add(&attempts, attempt);
	}
	json_put(&timings, "dns_us", json_maybe(closed->dns_us));
	json_put(&timings, "connect_us", json_maybe(closed->connect_us));
	json_put(&timings, "tls_us", json_maybe(closed->tls_us));
	json_put(&timings, "queued_us", json_maybe(closed->queued_us));
	json_put(&timings, "sent_us", json_maybe(closed->sent_us));
	json_put(&timings, "first_byte_us", json_maybe(closed->first_byte_us));
	json_put(&timings, "end_us", json_maybe(closed->end_us));

	json_put(&object, "reason", json_text(fetchd_close_reason_name(closed->reason)));
	json_put(&object, "failures", failures);
	json_put(&object, "attempts", attempts);
	json_put(&object, "payload_bytes", json_count(closed->payload_bytes));
	json_put(&object, "delivered_bytes", json_count(closed->delivered_bytes));
	json_put(&object, "wire_received_bytes", json_count(closed->wire_received_bytes));
	json_put(&object, "wire_sent_bytes", json_count(closed->wire_sent_bytes));
	json_put(&object, "timings", timings);
	return object;
}

static json_t *json_wait(const struct fetchd_wait *wait)
{
	json_t *object = json_object();

	json_put(&object, "reason", json_text(fetchd_wait_reason_name(wait->reason)));
	json_put(&object, "for_ms", json_count(wait->for_ms));
	json_put(&object, "left_ms", json_maybe(wait->left_ms));
	json_put(&object, "limit", wait->limit[0] != '\0' ? json_text(wait->limit) : json_null());
	json_put(&object, "limit_value",
		 wait->limit[0] != '\0' ? json_count(wait->limit_value) : json_null());
	return object;
}

json_t *json_job(const struct fetchd_job_info *info)
{
	json_t *object = json_object();

	json_put(&object, "job", json_count(info->daemon_id));
	json_put(&object, "state", json_text(fetchd_job_state_name(info->state)));
	json_put(&object, "priority", json_text(fetchd_priority_name(info->priority)));
	json_put(&object, "method", json_text(info->method));
	json_put(&object, "url", json_text(info->url));
	json_put(&object, "uid", json_count(info->uid));
	json_put(&object, "pid", json_count(info->pid));
	json_put(&object, "client_name", json_text(info->client_name));
	json_put(&object, "received_bytes", json_count(info->received_bytes));
	json_put(&object, "delivered_bytes", json_count(info->delivered_bytes));
	json_put(&object, "content_length", json_maybe(info->content_length));
	json_put(&object, "age_ms", json_count(info->age_ms));
	json_put(&object, "waiting_for", json_text(info->waiting_for));
	json_put(&object, "wait",
		 info->wait.reason != FETCHD_WAIT_UNSPECIFIED ? json_wait(&info->wait)
							      : json_null());
	json_put(&object, "attempts", json_count(info->attempts));
	return object;
}

static json_t *json_stats_jobs(const struct fetchd_stats *stats)
{
	json_t *jobs = json_object(), *closed = json_object();

	for (size_t i = 0; i < stats->closed_count; i++) {
		json_put(&closed, fetchd_close_reason_name(stats->closed[i].reason),
			 json_count(stats->closed[i].count));
	}
	json_put(&jobs, "queued", json_count(stats->jobs_queued));
	json_put(&jobs, "sent", json_count(stats->jobs_sent));
	json_put(&jobs, "receiving", json_count(stats->jobs_receiving));
	json_put(&jobs, "delivering", json_count(stats->jobs_delivering));
	json_put(&jobs, "backoff", json_count(stats->jobs_backoff));
	json_put(&jobs, "submitted", json_count(stats->jobs_submitted));
	json_put(&jobs, "replays", json_count(stats->replays));
	json_put(&jobs, "retries", json_count(stats->retries));
	json_put(&jobs, "closed", closed);
	return jobs;
}

static json_t *json_stats_pool(const struct fetchd_stats *stats)
{
	json_t *pool = json_object();

	json_put(&pool, "origins", json_count(stats->origins));
	json_put(&pool, "connections", json_count(stats->connections));
	json_put(&pool, "connecting", json_count(stats->connecting));
	json_put(&pool, "streams", json_count(stats->streams));
	json_put(&pool, "waiting", json_count(stats->waiting));
	json_put(&pool, "connections_opened", json_count(stats->connections_opened));
	json_put(&pool, "connect_failures", json_count(stats->connect_failures));
	json_put(&pool, "tls_handshakes", json_count(stats->tls_handshakes));
	json_put(&pool, "tls_resumed", json_count(stats->tls_resumed));
	json_put(&pool, "streams_opened", json_count(stats->streams_opened));
	json_put(&pool, "streams_reused", json_count(stats->streams_reused));
	json_put(&pool, "reuse_ratio",
		 stats->streams_opened > 0
			 ? json_real((double)stats->streams_reused / (double)stats->streams_opened)
			 : json_null());
	json_put(&pool, "dns_lookups", json_count(stats->dns_lookups));
	json_put(&pool, "wire_received_bytes", json_count(stats->wire_received_bytes));
	json_put(&pool, "wire_sent_bytes", json_count(stats->wire_sent_bytes));
	json_put(&pool, "payload_received_bytes", json_count(stats->payload_received_bytes));
	json_put(&pool, "delivered_bytes", json_count(stats->delivered_bytes));
	return pool;
}

json_t *json_connections(const struct fetchd_stats *stats)
{
	json_t *array = json_array();

	for (size_t i = 0; i < stats->connection_list_count; i++) {
		const struct fetchd_pool_connection *from = &stats->connection_list[i];
		json_t *object = json_object();

		json_put(&object, "id", json_count(from->connection));
		json_put(&object, "origin", json_text(from->origin));
		json_put(&object, "remote",
			 from->remote[0] != '\0' ? json_text(from->remote) : json_null());
		json_put(&object, "state", json_text(fetchd_connection_state_name(from->state)));
		json_put(&object, "state_for_ms", json_count(from->state_for_ms));
		json_put(&object, "age_ms", json_count(from->age_ms));
		json_put(&object, "left_ms", json_maybe(from->left_ms));
		json_put(&object, "streams", json_count(from->streams));
		json_put(&object, "stream_limit", json_count(from->stream_limit));
		json_put(&object, "carried", json_count(from->carried));
		json_put(&object, "send_window_bytes", json_count(from->send_window_bytes));
		json_put(&object, "receive_window_bytes", json_count(from->receive_window_bytes));
		json_put(&object, "silent_ms", json_count(from->silent_ms));
		json_put(&object, "ping_ago_ms", json_maybe(from->ping_ago_ms));
		json_put(&object, "ping_rtt_us", json_maybe(from->ping_rtt_us));
		json_put(&object, "why", json_text(from->why));
		json_add(&array, object);
	}
	return array;
}

json_t *json_stats(const struct fetchd_stats *stats)
{
	json_t *object = json_object(), *origins = json_array();

	for (size_t i = 0; i < stats->origin_list_count; i++) {
		const struct fetchd_origin_info *from = &stats->origin_list[i];
		json_t *origin = json_object();

		json_put(&origin, "origin", json_text(from->origin));
		json_put(&origin, "connections", json_count(from->connections));
		json_put(&origin, "connecting", json_count(from->connecting));
		json_put(&origin, "streams", json_count(from->streams));
		json_put(&origin, "waiting", json_count(from->waiting));
		json_put(&origin, "backoff_ms", json_maybe(from->backoff_ms));
		json_add(&origins, origin);
	}
	json_put(&object, "uptime_ms", json_count(stats->uptime_ms));
	json_put(&object, "clients", json_count(stats->clients));
	json_put(&object, "jobs", json_stats_jobs(stats));
	json_put(&object, "pool", json_stats_pool(stats));
	json_put(&object, "origins", origins);
	json_put(&object, "rss_bytes", json_count(stats->rss_bytes));
	json_put(&object, "buffered_bytes", json_count(stats->buffered_bytes));
	json_put(&object, "budget_bytes", json_count(stats->budget_bytes));
	return object;
}

int json_print(json_t *object)
{
	char *text;

	if (object == NULL) {
		return -ENOMEM;
	}
	text = json_dumps(object, JSON_COMPACT);
	json_decref(object);
	if (text == NULL) {
		return -ENOMEM;
	}
	/* Errors of stdout stay in it until it is flushed. */
	(void)fputs(text, stdout);
	(void)fputc('\n', stdout);
	free(text);
	return 0;
}
