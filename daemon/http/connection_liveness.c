/* SPDX-License-Identifier: MIT */
/*
 * Is the peer still there? A path can die without a word (a NAT that forgets, a cable): writing
 * goes on as if nothing were. When nothing has been read for a while, a PING asks (RFC 9113,
 * section 6.7): before the connection is used again after it was idle, and while streams wait for
 * something. Any byte that comes is an answer; none in time ends the connection, and what can be
 * replayed goes to another one.
 */
#include "http/connection_internal.h"

#include <inttypes.h>
#include <string.h>

static void on_timer(void *ctx);

static void arm(struct connection *connection, uint64_t after_ms)
{
	loop_timer_start(&connection->liveness, connection->env->loop, after_ms, on_timer,
			 connection);
}

static uint64_t silence_ms(const struct connection *connection)
{
	return loop_now_ms(connection->env->loop) - connection->last_read_ms;
}

static void ask(struct connection *connection)
{
	uint8_t opaque[8];

	connection->checking = true;
	connection->ping_ms = loop_now_ms(connection->env->loop);
	connection->ping_us = loop_clock_us(connection->env->loop);
	connection->ping_answered = false;
	connection->pings++;
	memcpy(opaque, &connection->pings, sizeof(opaque));
	connection_require(connection,
			   nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, opaque));
	arm(connection, connection->settings.ping_timeout_ms);
}

static void on_timer(void *ctx)
{
	struct connection *connection = ctx;
	uint64_t after = connection->settings.ping_after_ms;
	uint64_t silence = silence_ms(connection);

	if (connection->checking) {
		connection_doom(connection, CLOSE_CONNECTION_LOST, FAIL_CONNECTION_ERROR, NULL,
				"the peer did not answer a PING within %" PRIu64
				" ms (http.ping_timeout)",
				connection->settings.ping_timeout_ms);
	} else if (connection->stream_count == 0) {
		return; /* idle: it is asked when somebody wants to use it */
	} else if (silence >= after) {
		ask(connection);
	} else {
		arm(connection, after - silence);
	}
}

void connection_liveness_watch(struct connection *connection)
{
	if (!loop_timer_active(&connection->liveness)) {
		arm(connection, connection->settings.ping_after_ms);
	}
}

void connection_liveness_heard(struct connection *connection)
{
	if (connection->checking) {
		connection->checking = false;
		loop_timer_stop(&connection->liveness);
		connection_liveness_watch(connection);
		connection_notify_slots(connection);
	}
}

void connection_liveness_answered(struct connection *connection, const uint8_t opaque[8])
{
	if (connection->pings > 0 && !connection->ping_answered &&
	    memcmp(opaque, &connection->pings, sizeof(connection->pings)) == 0) {
		connection->ping_answered = true;
		connection->ping_rtt_us =
			loop_clock_us(connection->env->loop) - connection->ping_us;
	}
}

bool connection_check(struct connection *connection)
{
	if (connection->state != CONNECTION_OPEN) {
		return false;
	}
	if (!connection->checking && connection->stream_count == 0 &&
	    silence_ms(connection) >= connection->settings.ping_after_ms) {
		ask(connection);
	}
	return connection->checking;
}

bool connection_is_checked(const struct connection *connection)
{
	return connection->checking;
}

void connection_check_times(const struct connection *connection, uint64_t *ret_since_ms,
			    uint64_t *ret_until_ms)
{
	*ret_since_ms = connection->ping_ms;
	*ret_until_ms = connection->ping_ms + connection->settings.ping_timeout_ms;
}
