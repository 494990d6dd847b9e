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
	connection->checking = true;
	(void)nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL);
	connection_queue_flush(connection);
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
