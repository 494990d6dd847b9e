/* SPDX-License-Identifier: MIT */
/*
 * A TCP relay with a long way in it: each byte comes out a fixed time after it went in, whichever
 * way it goes, as many as may be on the way at once. For measuring on one machine what a round trip
 * does to a transfer.
 *
 *     delay_relay PORT TARGET-PORT ONE-WAY-MICROSECONDS
 *
 * Both ports are of 127.0.0.1. It ends with its standard input. What it cannot imitate: TCP's own
 * round trip, which ends at the relay.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#define PIECE_SIZE (64u * 1024)
/* On the way at once, in one direction. */
#define PIECES_MAX 2048u
#define PAIRS_MAX 64u
#define MOVES_PER_ROUND 16u

struct piece {
	struct piece *prev, *next;
	uint64_t due_us;
	size_t begin, end; /* begin == end: the end of the stream */
	char data[PIECE_SIZE];
};

struct way {
	int from, to;
	struct piece *pieces;
	unsigned count;
	bool ended;  /* nothing more is read */
	bool broken; /* nor written */
	bool done;   /* the end was handed on */
};

struct pair {
	int fds[2]; /* -1: a free place */
	struct way ways[2];
};

static struct pair pairs[PAIRS_MAX];
static struct piece *spare;
static uint64_t delay_us;
static uint16_t target_port;

static uint64_t now_us(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct piece *take_piece(void)
{
	struct piece *piece = spare;

	if (piece) {
		DL_DELETE(spare, piece);
		return piece;
	}
	return malloc(sizeof(*piece));
}

static void break_way(struct way *way)
{
	struct piece *piece = NULL;
	struct piece *next = NULL;

	DL_FOREACH_SAFE (way->pieces, piece, next) {
		DL_DELETE(way->pieces, piece);
		DL_APPEND(spare, piece);
	}
	way->count = 0;
	way->ended = way->broken = way->done = true;
}

static void read_way(struct way *way)
{
	for (unsigned i = 0; i < MOVES_PER_ROUND && !way->ended && way->count < PIECES_MAX; i++) {
		struct piece *piece = take_piece();
		ssize_t count = 0;

		if (!piece) {
			break_way(way);
			return;
		}
		count = recv(way->from, piece->data, sizeof(piece->data), 0);
		if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
			DL_APPEND(spare, piece);
			return;
		}
		way->ended = count <= 0;
		piece->begin = 0;
		piece->end = count > 0 ? (size_t)count : 0;
		piece->due_us = now_us() + delay_us;
		DL_APPEND(way->pieces, piece);
		way->count++;
	}
}

static bool is_due(const struct way *way, uint64_t now)
{
	return way->pieces && way->pieces->due_us <= now;
}

static void write_way(struct way *way)
{
	uint64_t now = now_us();

	while (is_due(way, now)) {
		struct piece *piece = way->pieces;
		ssize_t count = 0;

		if (piece->begin == piece->end) {
			(void)shutdown(way->to, SHUT_WR);
			way->done = true;
		} else {
			count = send(way->to, piece->data + piece->begin, piece->end - piece->begin,
				     MSG_NOSIGNAL);
			if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
				return;
			}
			if (count < 0) {
				break_way(way);
				return;
			}
			piece->begin += (size_t)count;
			if (piece->begin < piece->end) {
				return;
			}
		}
		DL_DELETE(way->pieces, piece);
		DL_APPEND(spare, piece);
		way->count--;
	}
}

static void end_pair(struct pair *pair)
{
	for (unsigned i = 0; i < 2; i++) {
		break_way(&pair->ways[i]);
		(void)close(pair->fds[i]);
		pair->fds[i] = -1;
	}
}

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
				    .sin_port = htons(port),
				    .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void accept_pair(int listener)
{
	struct sockaddr_in address = loopback(target_port);
	const int on = 1;
	struct pair *pair = NULL;
	int target = -1;
	int peer = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	for (unsigned i = 0; i < PAIRS_MAX && !pair; i++) {
		pair = pairs[i].fds[0] < 0 ? &pairs[i] : NULL;
	}
	if (peer < 0 || !pair) {
		(void)close(peer);
		return;
	}
	/* It waits here, but the target is next door. */
	target = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (target < 0 || connect(target, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    fcntl(target, F_SETFL, O_NONBLOCK) < 0) {
		(void)close(peer);
		(void)close(target);
		return;
	}
	(void)setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(target, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*pair = (struct pair){
		.fds = {peer, target},
		.ways = {{.from = peer, .to = target}, {.from = target, .to = peer}},
	};
}

/* How long nothing is due. */
static struct timespec time_left(void)
{
	uint64_t now = now_us();
	uint64_t left = 1000000;

	for (unsigned i = 0; i < PAIRS_MAX; i++) {
		for (unsigned j = 0; j < 2 && pairs[i].fds[0] >= 0; j++) {
			const struct piece *piece = pairs[i].ways[j].pieces;

			/* One that is overdue waits for the socket. */
			if (piece && piece->due_us > now && piece->due_us - now < left) {
				left = piece->due_us - now;
			}
		}
	}
	return (struct timespec){.tv_sec = (time_t)(left / 1000000),
				 .tv_nsec = (long)(left % 1000000) * 1000};
}

static void run(int listener)
{
	struct pollfd polls[2 + 2 * PAIRS_MAX];

	for (;;) {
		uint64_t now = now_us();
		struct timespec left;

		polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
		polls[1] = (struct pollfd){.fd = listener, .events = POLLIN};
		for (unsigned i = 0; i < PAIRS_MAX; i++) {
			const struct way *ways = pairs[i].ways;

			for (unsigned j = 0; j < 2; j++) {
				bool reads = !ways[j].ended && ways[j].count < PIECES_MAX;
				bool writes = is_due(&ways[1 - j], now);
				short events =
					(short)((reads ? POLLIN : 0) | (writes ? POLLOUT : 0));

				/* An error is found by using it. */
				polls[2 + 2 * i + j] = (struct pollfd){
					.fd = events ? pairs[i].fds[j] : -1, .events = events};
			}
		}
		left = time_left();
		if (ppoll(polls, sizeof(polls) / sizeof(polls[0]), &left, NULL) < 0 &&
		    errno != EINTR) {
			return;
		}
		if (polls[0].revents) {
			return;
		}
		for (unsigned i = 0; i < PAIRS_MAX; i++) {
			struct pair *pair = &pairs[i];

			if (pair->fds[0] < 0) {
				continue;
			}
			for (unsigned j = 0; j < 2; j++) {
				if (polls[2 + 2 * i + j].revents & ~POLLOUT) {
					read_way(&pair->ways[j]);
				}
				write_way(&pair->ways[j]);
			}
			if (pair->ways[0].done && pair->ways[1].done) {
				end_pair(pair);
			}
		}
		if (polls[1].revents) {
			accept_pair(listener);
		}
	}
}

static bool parse(const char *text, uint64_t most, uint64_t *ret_value)
{
	char *end = NULL;
	uint64_t value = 0;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *text < '0' || *text > '9' || *end || value > most) {
		return false;
	}
	*ret_value = value;
	return true;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	const int on = 1;
	uint64_t port = 0;
	uint64_t target = 0;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (argc != 4 || !parse(argv[1], UINT16_MAX, &port) ||
	    !parse(argv[2], UINT16_MAX, &target) || !parse(argv[3], 10000000, &delay_us)) {
		fprintf(stderr, "usage: delay_relay PORT TARGET-PORT ONE-WAY-MICROSECONDS\n");
		return 2;
	}
	address = loopback((uint16_t)port);
	target_port = (uint16_t)target;
	for (unsigned i = 0; i < PAIRS_MAX; i++) {
		pairs[i].fds[0] = -1;
	}
	(void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(listener, 64) < 0) {
		perror("delay_relay");
		return 1;
	}
	run(listener);
	return 0;
}
