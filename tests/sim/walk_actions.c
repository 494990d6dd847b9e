/* SPDX-License-Identifier: MIT */
/*
 * What may happen in a random walk.
 */
#include "walk.h"
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#define JOBS_MAX 30u
#define SERVERS 4u

static bool one_in(uint32_t n)
{
	return sim_below(n) == 0;
}

static uint32_t between(uint32_t from, uint32_t to)
{
	return from + sim_below(to - from + 1);
}

/* ---- the beginning ---- */

static const char *const urls[] = {"https://a.test/",    "https://b.test/",
				   "https://c.test/",    "https://192.0.2.2:444/",
				   "http://plain.test/", "https://nowhere.test/"};

static void choose_settings(void)
{
	static const uint32_t windows[] = {1024, 4096, 16384, 65535, 100000};
	struct http_settings *settings = &world.env->settings;
	struct config *config = world.config;

	settings->stream_window = windows[sim_below(5)];
	settings->max_stream_window = one_in(3) ? 0 : settings->stream_window * between(1, 64);
	settings->connection_window = one_in(3) ? 200000 : 65535;
	settings->max_connection_window = one_in(2) ? 0 : 2000000;
	settings->max_header_list = between(200, 2000);
	settings->max_headers = between(3, 16);
	settings->max_informational = between(0, 3);
	settings->max_streams_per_connection = one_in(4) ? 100 : between(1, 6);
	settings->max_connections_per_origin = between(1, 3);
	settings->max_connections = between(1, 6);
	settings->max_origins = between(2, 8);
	settings->body_budget =
		one_in(3) ? 64u * 1024 * 1024 : (uint64_t)settings->stream_window * between(1, 12);
	settings->body_budget_per_user =
		one_in(2) ? 0 : (uint64_t)settings->stream_window * between(0, 6) + between(1, 99);
	settings->max_streams_per_user = one_in(2) ? 0 : between(1, 8);
	settings->aging_ms = one_in(3) ? 0 : between(1, 3000);
	settings->connect_timeout_ms = between(100, 3000);
	settings->idle_timeout_ms = between(50, 5000);
	settings->backoff_ms = between(10, 500);
	settings->max_backoff_ms = between(10, 5000);
	settings->continue_timeout_ms = one_in(3) ? 0 : between(10, 1000);
	settings->max_queued_frames = one_in(3) ? between(16, 200) : 20000;
	settings->write_timeout_ms = between(100, 3000);
	settings->ping_after_ms = between(50, 3000);
	settings->ping_timeout_ms = between(20, 2000);
	config->job.max_size = one_in(3) ? between(1, 50000) : 0;
	config->job.warn_size = one_in(3) ? between(1, 50000) : 0;
	config->job.queue_timeout_ms = one_in(3) ? between(1, 5000) : 0;
	config->job.connect_timeout_ms = one_in(3) ? between(1, 2000) : 0;
	config->job.first_byte_timeout_ms = between(20, 5000);
	config->job.stall_timeout_ms = between(20, 5000);
	config->job.min_rate = one_in(4) ? between(1, 5000) : 0;
	config->job.min_rate_time_ms = between(10, 2000);
	config->job.max_redirects = sim_below(4);
	config->job.total_timeout_ms = one_in(3) ? between(10, 20000) : 0;
	config->job.client_timeout_ms = between(20, 5000);
	config->job.delivery_timeout_ms = between(10, 2000);
	config->job.max_attempts = between(1, 6);
	config->job.backoff_ms = between(10, 500);
	config->job.max_backoff_ms = between(10, 5000);
	config->ipc.max_jobs = one_in(5) ? between(1, JOBS_MAX) : 100000;
}

void walk_set_up(void)
{
	(void)serve("a.test", "2001:db8::1");
	(void)serve("a.test", "192.0.2.1");
	(void)serve("b.test", "192.0.2.2");
	(void)serve("plain.test", "192.0.2.3");
	sim_name_add(sim_name("c.test"), "192.0.2.2");
	sim_name_add(sim_name("c.test"), "2001:db8::1");
	sim_name_add(sim_name("c.test"), "2001:db8::dead"); /* no way there */
	choose_settings();
	sim_loop_shuffle(world.loop, true);
	sim_forget = true;
}

/* ---- choosing ---- */

static struct client *any_open(void)
{
	struct client *client = NULL;
	struct client *chosen = NULL;
	uint32_t count = 0;

	DL_FOREACH (world.clients, client) {
		if (client->job && one_in(++count)) {
			chosen = client;
		}
	}
	return chosen;
}

static struct sim_server *any_server(void)
{
	struct sim_server *server = sim_servers();

	for (uint32_t i = sim_below(SERVERS); i > 0; i--) {
		server = server->next;
	}
	return server;
}

static struct peer *any_peer(void)
{
	struct peer *chosen = NULL;
	uint32_t count = 0;

	for (struct sim_server *server = sim_servers(); server; server = server->next) {
		for (struct peer *peer = server->peers; peer; peer = peer->next) {
			if (peer->socket && peer->session && one_in(++count)) {
				chosen = peer;
			}
		}
	}
	return chosen;
}

/* With a head or without one. */
static struct exchange *any_exchange(bool with_head)
{
	struct exchange *chosen = NULL;
	uint32_t count = 0;

	for (struct sim_server *server = sim_servers(); server; server = server->next) {
		for (struct peer *peer = server->peers; peer; peer = peer->next) {
			struct exchange *exchange = peer->socket ? peer->exchanges : NULL;

			for (; exchange; exchange = exchange->next) {
				if (!exchange->closed && exchange->head_sent == with_head &&
				    !exchange->end_after && one_in(++count)) {
					chosen = exchange;
				}
			}
		}
	}
	return chosen;
}

/* ---- clients ---- */

static void act_submit(void)
{
	static const char *const methods[] = {"GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE"};
	static const uint8_t body[30000];
	static const struct header_field expect = {"expect", 6, "100-continue", 12};
	char url[64];
	struct ask ask = {.method = methods[sim_below(7)]};
	const struct client *client = NULL;

	if (jobs_open(world.jobs) >= JOBS_MAX) {
		return;
	}
	snprintf(url, sizeof(url), "%s%u", urls[one_in(20) ? 5 : sim_below(5)], sim_below(1000));
	if (ask.method[0] == 'P') {
		ask.body = body;
		ask.body_length = one_in(3) ? sizeof(body) : sim_below(200);
	}
	ask.priority = (int)sim_below(5);
	ask.retry_allowed = one_in(2);
	ask.replay_forbidden = one_in(5);
	ask.no_credit = one_in(4);
	ask.credit = one_in(3) ? between(1, 30000) : 0;
	ask.max_redirects = one_in(2) ? sim_below(5) : 0;
	ask.redirect_to_cleartext = one_in(2);
	if (ask.body && one_in(2)) {
		ask.headers = &expect;
		ask.header_count = 1;
	}
	ask.progress_ms = one_in(5) ? between(50, 500) : 0;
	ask.max_size = one_in(6) ? between(1, 20000) : 0;
	ask.warn_size = one_in(6) ? between(1, 20000) : 0;
	ask.queue_ms = one_in(6) ? between(1, 2000) : 0;
	ask.connect_ms = one_in(6) ? between(1, 2000) : 0;
	ask.first_byte_ms = one_in(6) ? between(1, 2000) : 0;
	ask.stall_ms = one_in(6) ? between(1, 2000) : 0;
	ask.total_ms = one_in(6) ? between(1, 4000) : 0;
	ask.uid = between(1, 3);
	client = client_submit(url, &ask);
	walk_note("submit", client->number, client->denied);
}

static void act_cancel(void)
{
	struct client *client = any_open();

	if (client) {
		walk_note("cancel", client->number, 0);
		client_cancel(client);
		client_cancel(client);
	}
}

static void act_stop(void)
{
	struct client *client = any_open();

	if (client) {
		walk_note("stop", client->number, 0);
		client_stop(client);
	}
}

static void act_grant(void)
{
	struct client *client = any_open();
	uint64_t bytes = one_in(3) ? between(1, 100) : between(100, 60000);

	if (client) {
		walk_note("grant", client->number, bytes);
		client_grant(client, bytes);
	}
}

static void act_stick(void)
{
	struct client *client = any_open();

	if (client) {
		walk_note("stick", client->number, !client->stuck);
		client_stick(client, !client->stuck);
	}
}

/* ---- answers ---- */

static uint32_t some_length(void)
{
	switch (sim_below(4)) {
	case 0:
		return sim_below(20);
	case 1:
		return sim_below(1000);
	case 2:
		return sim_below(20000);
	default:
		return 0;
	}
}

static void act_head(void)
{
	struct exchange *exchange = any_exchange(false);
	uint32_t length = some_length();
	char text[16];

	if (!exchange) {
		return;
	}
	snprintf(text, sizeof(text), "%u", length);
	walk_note("head", exchange->peer->number, (uint32_t)exchange->id);
	switch (sim_below(16)) {
	case 0:
		peer_head(exchange, true, 204, NULL);
		break;
	case 1:
		peer_head(exchange, true, 304, "content-length", text, NULL);
		break;
	case 2:
		peer_head(exchange, true, 421, NULL);
		break;
	case 3:
		peer_head(exchange, one_in(2), 503, "retry-after", one_in(2) ? "1" : "7", NULL);
		break;
	case 4:
		peer_head(exchange, one_in(2), 429, NULL);
		break;
	case 5: /* a body of another length than announced, perhaps */
		peer_head(exchange, false, 200, "content-length", text, NULL);
		break;
	case 6:
		peer_head(exchange, false, 200, "a", "b", "c", "d", "e", "f", "g", "h", NULL);
		break;
	case 7:
		peer_head(exchange, true, 404, NULL);
		break;
	case 8: {
		static const unsigned statuses[] = {301, 302, 303, 307, 308, 300};
		static const char *const places[] = {"/there",
						     "https://b.test/elsewhere",
						     "http://plain.test/",
						     "http://a.test/",
						     "",
						     "no place:"};

		peer_head(exchange, one_in(2), statuses[sim_below(6)], "location",
			  places[sim_below(6)], NULL);
		break;
	}
	case 9:
		exchange->to_send = length;
		peer_head(exchange, false, 200, "content-length", text, NULL);
		break;
	case 10:
	case 11:
		peer_answer(exchange, length);
		break;
	default:
		peer_head(exchange, false, 200, NULL);
		break;
	}
}

static void act_body(void)
{
	struct exchange *exchange = any_exchange(true);
	uint32_t length = some_length();

	if (exchange) {
		walk_note("body", (uint32_t)exchange->id, length);
		peer_body(exchange, length);
	}
}

static void act_end(void)
{
	struct exchange *exchange = any_exchange(true);

	if (exchange) {
		walk_note("end", exchange->peer->number, (uint32_t)exchange->id);
		if (one_in(4)) {
			peer_trailers(exchange);
		} else {
			peer_end(exchange);
		}
	}
}

static void act_interim(void)
{
	struct exchange *exchange = any_exchange(false);

	if (exchange) {
		walk_note("interim", exchange->peer->number, (uint32_t)exchange->id);
		peer_interim(exchange, one_in(2) ? 103 : 100);
	}
}

static void act_rst(void)
{
	struct exchange *exchange = any_exchange(one_in(2));
	uint32_t code = sim_below(14);

	if (exchange) {
		walk_note("rst", (uint32_t)exchange->id, code);
		peer_reset_stream(exchange, code);
	}
}

/* ---- connections ---- */

static void act_goaway(void)
{
	struct peer *peer = any_peer();
	int32_t last = one_in(3) ? INT32_MAX : one_in(4) ? 0 : (int32_t)sim_below(8) * 2 + 1;

	if (peer) {
		walk_note("goaway", peer->number, (uint32_t)last);
		peer_goaway(peer, last, one_in(2) ? 0 : sim_below(14), "bye");
	}
}

static void act_settings(void)
{
	struct peer *peer = any_peer();

	if (!peer || peer->held) {
		return;
	}
	if (one_in(2)) {
		uint32_t limit = one_in(4) ? 0 : sim_below(6);

		walk_note("max_concurrent_streams", peer->number, limit);
		peer_set(peer, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limit);
	} else {
		uint32_t window = one_in(3) ? 0 : sim_below(100000);

		walk_note("initial_window_size", peer->number, window);
		peer_set(peer, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window);
	}
}

static void act_hold(void)
{
	for (struct sim_server *server = sim_servers(); server; server = server->next) {
		for (struct peer *peer = server->peers; peer; peer = peer->next) {
			if (peer->held && peer->session && peer->socket) {
				walk_note("first settings", peer->number, 0);
				peer_settings(peer, NULL, 0);
				return;
			}
		}
	}
}

static void act_pad(void)
{
	struct peer *peer = any_peer();

	if (peer) {
		peer->pad = one_in(2) ? 0 : sim_below(256);
		walk_note("pad", peer->number, peer->pad);
	}
}

static void act_lose(void)
{
	struct peer *peer = any_peer();

	if (!peer) {
		return;
	}
	walk_note("lose", peer->number, 0);
	switch (sim_below(3)) {
	case 0:
		peer_close(peer);
		break;
	case 1:
		peer_cut(peer);
		break;
	default:
		peer_reset(peer);
		break;
	}
}

static void act_hush(void)
{
	struct peer *peer = any_peer();

	if (!peer) {
		return;
	}
	switch (sim_below(3)) {
	case 0:
		walk_note("mute", peer->number, !peer->mute);
		peer->mute = !peer->mute;
		break;
	case 1:
		walk_note("silent", peer->number, !peer->silent);
		peer_silence(peer, !peer->silent);
		break;
	default:
		walk_note("deaf", peer->number, !peer->deaf);
		peer_deafen(peer, !peer->deaf);
		break;
	}
}

/* The peer breaks the rules. */
static void act_break(void)
{
	struct peer *peer = any_peer();
	struct exchange *exchange = any_exchange(one_in(2));
	uint8_t zeros[16] = {0};
	int32_t id = exchange && exchange->peer == peer ? exchange->id : (int32_t)sim_below(20);

	if (!peer || peer->held) {
		return;
	}
	walk_note("break", peer->number, (uint32_t)id);
	switch (sim_below(8)) {
	case 0:
		peer_raw(peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
		break;
	case 1:
		/* On a stream that does not exist: on one that does, these would be the wrong
		 * bytes. */
		peer_frame(peer, NGHTTP2_DATA, 0, one_in(2) ? 0 : 19999, zeros, sizeof(zeros));
		break;
	case 2:
		peer_frame(peer, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, id, zeros, 3);
		break;
	case 3:
		peer_frame(peer, NGHTTP2_WINDOW_UPDATE, 0, id, zeros, 4);
		break;
	case 4:
		peer_frame(peer, NGHTTP2_WINDOW_UPDATE, 0, one_in(2) ? 0 : id, "\x7f\xff\xff\xff",
			   4);
		break;
	case 5:
		peer_frame(peer, NGHTTP2_PUSH_PROMISE, NGHTTP2_FLAG_END_HEADERS, id,
			   "\0\0\0\x02\x82", 5);
		break;
	case 6:
		peer_frame(peer, (uint8_t)between(10, 255), (uint8_t)sim_below(256), id, zeros, 9);
		break;
	default:
		peer_frame(peer, NGHTTP2_RST_STREAM, 0, id, "\0\0\0\x08", 4);
		break;
	}
}

/* ---- servers and names ---- */

static void heal_server(struct sim_server *server)
{
	server->connect = SIM_ACCEPT;
	server->connect_us = 10000;
	server->tls = SIM_TLS_GOOD;
	server->tls_us = 20000;
	server->hold_settings = false;
	server->deaf = false;
}

static void act_server(void)
{
	static const int errors[] = {ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT, ENETUNREACH};
	static const enum failure_code codes[] = {FAIL_TLS_HANDSHAKE, FAIL_TLS_CERT_EXPIRED,
						  FAIL_ALPN_MISMATCH};
	struct sim_server *server = any_server();

	heal_server(server);
	server->connect_us = one_in(3) ? 0 : sim_below(800000);
	server->tls_us = one_in(3) ? 0 : sim_below(400000);
	server->up_us = one_in(3) ? 0 : sim_below(50000);
	server->down_us = one_in(3) ? 0 : sim_below(50000);
	server->up_bytes = one_in(3) ? 256u * 1024 : between(1, 5000);
	server->down_bytes = one_in(3) ? 256u * 1024 : between(1, 5000);
	server->has_max_streams = one_in(2);
	server->max_streams = sim_below(5);
	server->has_window = one_in(2);
	server->window = sim_below(70000);
	server->automatic = one_in(3);
	server->automatic_bytes = some_length();
	if (one_in(2)) {
		server->connect = (enum sim_connect)sim_below(5);
		server->connect_error = errors[sim_below(4)];
		server->tls = one_in(2) ? (enum sim_tls)sim_below(3) : SIM_TLS_GOOD;
		server->tls_code = codes[sim_below(3)];
		server->hold_settings = one_in(4);
		server->deaf = one_in(8);
	}
	walk_note("server", server->connect, server->tls);
}

static void heal_answer(struct sim_answer *answer)
{
	answer->after_us = 1000;
	answer->never = false;
	answer->code = FAIL_NONE;
}

static void act_name(void)
{
	static const char *const hosts[] = {"a.test", "b.test", "c.test", "plain.test"};
	static const enum failure_code codes[] = {FAIL_DNS_FAILED, FAIL_DNS_TIMEOUT,
						  FAIL_DNS_NOT_FOUND};
	struct sim_name *name = sim_name(hosts[sim_below(4)]);
	struct sim_answer *answer = one_in(2) ? &name->v6 : &name->v4;

	heal_answer(answer);
	answer->after_us = one_in(3) ? 0 : sim_below(200000);
	answer->never = one_in(8);
	answer->code = codes[sim_below(3)];
	walk_note("name", answer->after_us, answer->never);
}

void walk_heal(void)
{
	static const char *const hosts[] = {"a.test", "b.test", "c.test", "plain.test"};

	for (size_t i = 0; i < 4; i++) {
		heal_answer(&sim_name(hosts[i])->v6);
		heal_answer(&sim_name(hosts[i])->v4);
	}
	for (struct sim_server *server = sim_servers(); server; server = server->next) {
		heal_server(server);
		for (struct peer *peer = server->peers; peer; peer = peer->next) {
			peer->mute = false;
			peer_silence(peer, false);
			peer_deafen(peer, false);
		}
	}
}

static void act_heal(void)
{
	walk_note("heal", 0, 0);
	walk_heal();
}

void walk_answer_all(void)
{
	for (struct sim_server *server = sim_servers(); server; server = server->next) {
		struct peer *peer = NULL;
		struct peer *next_peer = NULL;

		server->automatic = true;
		server->automatic_bytes = 10;
		DL_FOREACH_SAFE (server->peers, peer, next_peer) {
			struct exchange *exchange = NULL;
			struct exchange *next = NULL;

			if (!peer->socket || !peer->session || peer->held) {
				continue;
			}
			DL_FOREACH_SAFE (peer->exchanges, exchange, next) {
				if (!exchange->head_sent) {
					peer_answer(exchange, 10);
				} else if (!exchange->end_after) {
					peer_end(exchange);
				}
			}
		}
	}
}

/* ---- time and limits ---- */

static void act_advance(void)
{
	uint32_t ms = 0;

	switch (sim_below(8)) {
	case 0:
		ms = between(100, 1000);
		break;
	case 1:
		ms = one_in(8) ? between(1000, 10000) : 1;
		break;
	default:
		ms = between(1, 60);
		break;
	}
	walk_note("advance", ms, 0);
	sim_run_until(world.loop, sim_now_us() + (uint64_t)ms * 1000);
}

/* To the very moment at which something is due. */
static void act_next(void)
{
	uint64_t next_us = sim_loop_next_us(world.loop);

	if (next_us != UINT64_MAX) {
		walk_note("next", (next_us - sim_now_us()) / 1000, 0);
		sim_run_until(world.loop, next_us);
	}
}

static void act_reload(void)
{
	walk_note("reload", 0, 0);
	choose_settings();
	jobs_reconfigure(world.jobs, world.config);
	pool_reconfigure(world.pool);
}

static const struct {
	uint32_t weight;
	void (*act)(void);
} actions[] = {
	{24, act_submit}, {3, act_cancel},   {1, act_stop},   {10, act_grant},  {5, act_stick},
	{30, act_head},   {24, act_body},    {24, act_end},   {3, act_interim}, {5, act_rst},
	{2, act_goaway},  {4, act_settings}, {3, act_hold},   {2, act_pad},     {3, act_lose},
	{4, act_hush},    {2, act_break},    {3, act_server}, {2, act_name},    {1, act_heal},
	{9, act_advance}, {24, act_next},    {1, act_reload},
};

void walk_act(void)
{
	static uint32_t total;
	uint32_t chance = 0;
	size_t i = 0;

	if (total == 0) {
		for (i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
			total += actions[i].weight;
		}
	}
	chance = sim_below(total);
	for (i = 0; chance >= actions[i].weight; i++) {
		chance -= actions[i].weight;
	}
	actions[i].act();
}
