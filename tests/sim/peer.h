/* SPDX-License-Identifier: MIT */
/*
 * The simulated servers' side of connections: an HTTP/2 session that does what a script tells it
 * to, and remembers what it heard. It is a strict one: whatever the daemon does that HTTP/2 forbids
 * is a failure, unless the script has broken the rules first.
 */
#pragma once

#include "sockets.h"

#include <nghttp2/nghttp2.h>

#define EXCHANGE_FIELDS 2048u

/* A request that a server has got. */
struct exchange {
	struct peer *peer;
	struct exchange *prev, *next; /* in peer::exchanges, in order of arrival */
	int32_t id;
	char method[16];
	char path[128];
	char fields[EXCHANGE_FIELDS]; /* "name: value\n", as many as fit */
	uint64_t at_ms;               /* when it came */
	uint64_t body_length;         /* of the request, so far */
	bool request_done;
	bool reset; /* by the daemon */
	uint32_t reset_code;
	bool reset_asked; /* by the script */
	bool closed;      /* the stream is over */
	bool head_sent, end_after, trailers_after, ended;
	uint32_t salt; /* its body: sim_body_byte(salt, offset) */
	uint64_t to_send, sent;
};

struct peer {
	struct sim_server *server;
	struct peer *prev, *next;  /* in sim_server::peers, in order of arrival */
	struct sim_socket *socket; /* NULL: over */
	unsigned number;           /* of this server's, from 0 */
	nghttp2_session *session;  /* NULL before it starts, and of raw ones */
	struct exchange *exchanges;
	unsigned requests; /* so far */
	uint8_t *heard;    /* by raw ones */
	size_t heard_length;
	uint8_t *raw; /* to be said after what the session has to say */
	size_t raw_length;
	nghttp2_settings_entry settings[16]; /* the daemon's first ones */
	size_t setting_count;
	unsigned pings; /* heard */
	bool goaway;    /* heard */
	uint32_t goaway_code;
	uint32_t window_updates; /* for the connection, heard */
	uint64_t data_sent;      /* DATA frames' length, padding included */
	uint64_t lost_ms;        /* when the daemon's end was heard */
	bool started;
	bool held; /* hears and says nothing before peer_settings() */
	bool mute; /* does not answer PINGs */
	bool deaf, silent;
	bool lost;   /* the daemon has closed it */
	bool broken; /* has left HTTP/2: its own complaints do not count */
	unsigned goaways_asked;
	bool goaway_said;
	int32_t goaway_last;
	size_t pad; /* of DATA frames */
	bool closing;
	bool pumping;
};

/* A pattern without short periods, the same in every run. */
uint8_t sim_body_byte(uint32_t salt, uint64_t offset);
/* Are these its bytes from `offset` on? */
bool sim_body_is(uint32_t salt, uint64_t offset, const void *data, size_t length);

/* Exchanges and peers that are over are freed at once; kept for tests to look at otherwise. */
extern bool sim_forget;

/* ---- looking ---- */

/* Connection `index` of the server, in order of arrival; NULL if there has been none. */
struct peer *peer_at(const struct sim_server *server, unsigned index);
/* Request `index` on it; NULL if it has not come. */
struct exchange *exchange_at(const struct peer *peer, unsigned index);
/* The value of the first field of that name, up to `size` - 1 bytes; NULL if there is none. */
const char *exchange_field(const struct exchange *exchange, const char *name, char *buffer,
			   size_t size);
/* One of the daemon's first settings; -1 if it was not among them. */
int64_t peer_setting(const struct peer *peer, int32_t id);

/* ---- saying ---- */

void peer_settings(struct peer *peer, const nghttp2_settings_entry *entries, size_t count);
/* One setting. */
void peer_set(struct peer *peer, int32_t id, uint32_t value);
/* A head, with "x-salt". Pairs of name and value follow, then NULL. `end`: there is no body. */
void peer_head(struct exchange *exchange, bool end, unsigned status, ...);
void peer_interim(struct exchange *exchange, unsigned status);
/* More of the body, as far as the daemon's windows allow. */
void peer_body(struct exchange *exchange, uint64_t length);
/* The end of the body, once all of it is sent, with trailers ("x-trailer: done"). */
void peer_end(struct exchange *exchange);
void peer_trailers(struct exchange *exchange);
/* 200, all of the body, and the end. */
void peer_answer(struct exchange *exchange, uint64_t length);
void peer_reset_stream(struct exchange *exchange, uint32_t code);
void peer_goaway(struct peer *peer, int32_t last, uint32_t code, const char *debug);
/* Bytes as they are. From now on the peer does not complain. */
void peer_raw(struct peer *peer, const void *data, size_t length);
void peer_frame(struct peer *peer, uint8_t type, uint8_t flags, int32_t stream, const void *payload,
		size_t length);
/* Hangs up: with close_notify, without it, with a TCP reset. */
void peer_close(struct peer *peer);
void peer_cut(struct peer *peer);
void peer_reset(struct peer *peer);
void peer_deafen(struct peer *peer, bool deaf);
void peer_silence(struct peer *peer, bool silent);
/* How much of the connection's window is left, as the peer sees it. */
int32_t peer_window(const struct peer *peer);

/* ---- for sockets.c and tls.c ---- */

struct peer *peer_new(struct sim_server *server, struct sim_socket *socket);
/* The channel is up: HTTP/2 begins. In cleartext, with the daemon's first bytes. */
void peer_start(struct peer *peer);
void peer_hears(struct peer *peer, const uint8_t *data, size_t length);
void peer_has_room(struct peer *peer);
/* The daemon has closed the connection. */
void peer_lost(struct peer *peer);
void peer_free(struct peer *peer);
