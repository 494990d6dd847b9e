/* SPDX-License-Identifier: MIT */
/*
 * The windows of a connection and of its streams: what window.c decides becomes WINDOW_UPDATE
 * frames, and a charge against the budget before.
 *
 * A stream's window is given by nghttp2_submit_window_update() alone. nghttp2's own bookkeeping of
 * what is consumed would not do: after a window was made smaller while it was full, it gives back
 * bytes that are still held. So nghttp2 counts what the peer may send, and what it may is decided
 * here. Only padding, which nobody holds, is given back by nghttp2 itself, at times.
 */
#include "http/connection_internal.h"
#include "http/share.h"

/* How long the kernel's estimate of the round trip is good for. */
#define RTT_AGE_MS 1000u

/* ---- the round trip ---- */

void connection_window_acked(struct connection *connection)
{
	if (connection->settings_rtt_us == 0) {
		connection->settings_rtt_us =
			loop_clock_us(connection->env->loop) - connection->settings_us;
	}
}

static uint64_t shorter(uint64_t known, uint64_t other)
{
	return known == 0 || (other > 0 && other < known) ? other : known;
}

/* To the peer itself: TCP's may end at something in between that only hands bytes on. What TLS, our
 * SETTINGS and the last PING took is that, but says more than the path when the peer was busy: so
 * it is the shortest of these. */
static uint64_t rtt_us(struct connection *connection)
{
	uint64_t now = loop_now_ms(connection->env->loop);
	uint64_t peer = connection->settings_rtt_us;

	if (!connection->rtt_known || now >= connection->rtt_ms + RTT_AGE_MS) {
		connection->rtt_known = true;
		connection->rtt_ms = now;
		connection->rtt_us = channel_rtt_us(connection->channel);
	}
	peer = shorter(peer, connection->times.tls_us);
	peer = shorter(peer, connection->ping_rtt_us);
	return peer > connection->rtt_us ? peer : connection->rtt_us;
}

/* ---- the connection's ---- */

void connection_window_begin(struct connection *connection)
{
	window_init(&connection->window, connection->settings.connection_window,
		    connection->settings.max_connection_window);
	connection->settings_us = loop_clock_us(connection->env->loop);
}

int connection_window_arrived(struct connection *connection, size_t length)
{
	/* It holds nothing, so it may grow as it likes. */
	const struct window_facts facts = {
		.now_us = loop_clock_us(connection->env->loop),
		.rtt_us = rtt_us(connection),
		.room = UINT32_MAX,
	};
	uint32_t size = connection->window.size;
	int rc = nghttp2_session_consume_connection(connection->session, length);

	if (rc == 0) {
		window_taken(&connection->window, length, &facts);
	}
	if (rc == 0 && connection->window.size > size) {
		rc = nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE,
							   0, (int32_t)connection->window.size);
	}
	return rc;
}

/* ---- a stream's ---- */

/* What keeps the user from another stream. */
struct pressure {
	bool on_budget;
	bool on_share;
};

static struct pressure pressure(const struct http_env *env, uint32_t user)
{
	return (struct pressure){
		.on_budget = env->window_bytes + env->upload_bytes + env->settings.stream_window >
			     env->settings.body_budget,
		.on_share = share_left(env, user) < env->settings.stream_window,
	};
}

static void set_charge(struct stream *stream, uint64_t charge)
{
	struct http_env *env = stream->env;
	struct pressure before = {0};
	struct pressure after = {0};

	/* Most of the time it grows, or stays. */
	if (charge < stream->charge) {
		before = pressure(env, stream->user);
	}
	env->window_bytes -= stream->charge;
	env->window_bytes += charge;
	stream->charge = charge;
	account_recharge(&stream->window_charge, charge);
	if (before.on_budget || before.on_share) {
		after = pressure(env, stream->user);
	}
	if ((before.on_budget && !after.on_budget) || (before.on_share && !after.on_share)) {
		if (env->on_stream_freed) {
			env->on_stream_freed(env->on_stream_freed_ctx, stream->user);
		}
	}
}

/* What the peer may still send, as nghttp2 would let it. False: the stream is not there, yet or any
 * more. */
static bool get_promised(const struct stream *stream, uint64_t *ret_promised)
{
	const struct connection *connection = stream->connection;
	int64_t promised = nghttp2_session_get_stream_local_window_size(connection->session,
									(int32_t)stream->id);

	if (promised < 0) {
		return false;
	}
	/* What our SETTINGS promise counts for nghttp2 when the peer has acknowledged them. */
	promised += (int64_t)connection->settings.stream_window -
		    (int64_t)nghttp2_session_get_local_settings(
			    connection->session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
	*ret_promised = promised > 0 ? (uint64_t)promised : 0;
	return true;
}

static void charge_and_grant(struct stream *stream, uint64_t promised)
{
	uint64_t held = stream_buffered(stream);
	uint32_t grant = window_grant(&stream->window, held, promised);

	set_charge(stream, window_charge(&stream->window, held, promised));
	if (grant > 0) {
		connection_require(
			stream->connection,
			nghttp2_submit_window_update(stream->connection->session, NGHTTP2_FLAG_NONE,
						     (int32_t)stream->id, (int32_t)grant));
	}
}

void stream_window_begin(struct stream *stream)
{
	const struct http_settings *settings = &stream->connection->settings;

	window_init(&stream->window, settings->stream_window, settings->max_stream_window);
	set_charge(stream, stream->window.size);
}

void stream_window_arrived(struct stream *stream)
{
	window_arrived(&stream->window, stream_buffered(stream), loop_clock_us(stream->env->loop));
}

void stream_window_padded(struct stream *stream)
{
	uint64_t promised = 0;

	if (stream->connection && !stream->end_begun && get_promised(stream, &promised)) {
		charge_and_grant(stream, promised);
	}
}

/* Is more to come than what may come already? */
static bool wants_more(const struct stream *stream, uint64_t promised)
{
	return !stream->has_content_length || stream->content_length < stream->counts.payload ||
	       stream->content_length - stream->counts.payload > promised;
}

/* By how much one of the user's windows may grow. */
static uint64_t room(const struct http_env *env, uint32_t user)
{
	uint64_t all = window_room(env->window_bytes + env->upload_bytes, env->settings.body_budget,
				   env->settings.stream_window);
	uint64_t own = window_room(0, share_left(env, user), env->settings.stream_window);

	return own < all ? own : all;
}

void stream_window_taken(struct stream *stream, size_t length)
{
	const struct http_env *env = stream->env;
	struct window_facts facts = {.held = stream_buffered(stream)};
	struct pressure pressed = {0};

	if (!stream->connection) {
		set_charge(stream, facts.held);
		return;
	}
	/* After END_STREAM nothing more can come and a WINDOW_UPDATE would be wasted. */
	if (stream->end_begun || !get_promised(stream, &facts.promised)) {
		return;
	}
	facts.now_us = loop_clock_us(env->loop);
	facts.rtt_us = rtt_us(stream->connection);
	pressed = pressure(env, stream->user);
	facts.pressed = pressed.on_budget || pressed.on_share;
	if (wants_more(stream, facts.promised)) {
		facts.room = room(env, stream->user);
	}
	window_taken(&stream->window, length, &facts);
	charge_and_grant(stream, facts.promised);
}

void stream_window_end(struct stream *stream)
{
	set_charge(stream, stream_buffered(stream));
}
