/* SPDX-License-Identifier: MIT */
/*
 * The network in memory. The symbols of net/dial.h stand in for those of net/dial.c, which is not
 * linked; channels are made through the table of functions that every kind of channel has.
 */
#include "network.h"

#include "net/channel.h"
#include "net/dial.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OFFER_MAX (64u * 1024)
#define FRAME_MAX 16384u
#define FRAME_HEADER 9u
#define PIECES_MAX 4096u

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum frame_type {
	FRAME_DATA = 0,
	FRAME_HEADERS = 1,
	FRAME_RST_STREAM = 3,
	FRAME_SETTINGS = 4,
	FRAME_PING = 6,
	FRAME_GOAWAY = 7,
	FRAME_WINDOW_UPDATE = 8,
	FRAME_CONTINUATION = 9
};

struct dial {
	struct loop_task task;
	const struct dial_callbacks *callbacks;
	void *ctx;
};

/* What was written, as far as it is looked at. */
struct output {
	uint64_t total;
	uint8_t frame[FRAME_HEADER + 4]; /* header, and the beginning of the payload */
	size_t frame_at;                 /* bytes of the frame that have come */
	bool first_frame_done;
	uint64_t connection_updates;
	uint64_t stream_updates;
};

static struct network {
	struct loop *loop;
	bool dial_fails;
	struct dial *dial;
	struct channel *channel;
	bool reading;
	uint8_t *data; /* sent and not read: from `begin` to `length` */
	size_t begin, length, capacity;
	size_t piece;
	enum network_end end;
	bool end_seen;
	void *last_read; /* what the last read filled, of `last_count` bytes */
	size_t last_count;
	size_t room;
	bool write_blocked;
	uint8_t offer[OFFER_MAX]; /* what the last write could not take */
	size_t offered;
	struct output output;
} network;

bool network_is_used(void)
{
	return network.dial || network.channel;
}

static void poll(void *ctx)
{
	(void)ctx;
	if (network.channel && network.reading && !network_is_quiet()) {
		network.channel->callbacks->on_readable(network.channel->ctx);
	}
	if (network.channel && network.write_blocked &&
	    (network.room > 0 || network.end == NETWORK_BROKEN)) {
		network.write_blocked = false;
		network.channel->callbacks->on_writable(network.channel->ctx);
	}
}

void network_begin(struct loop *loop, bool dial_fails)
{
	uint8_t *data = network.data;
	size_t capacity = network.capacity;

	assert(!network_is_used());
	network.loop = loop;
	network.dial_fails = dial_fails;
	network.reading = false;
	network.begin = network.length = 0;
	network.data = data;
	network.capacity = capacity;
	network.piece = 0;
	network.end = NETWORK_GOES_ON;
	network.end_seen = false;
	network.last_read = NULL;
	network.room = NETWORK_UNBOUNDED;
	network.write_blocked = false;
	network.offered = 0;
	memset(&network.output, 0, sizeof(network.output));
	virtual_loop_set_poll(loop, poll, NULL);
}

void network_send(const uint8_t *data, size_t length)
{
	if (network.end != NETWORK_GOES_ON) {
		return;
	}
	if (length > network.capacity - network.length) {
		size_t capacity = (network.length + length) * 2;
		uint8_t *grown = realloc(network.data, capacity);

		assert(grown);
		network.data = grown;
		network.capacity = capacity;
	}
	if (length > 0) {
		memcpy(network.data + network.length, data, length);
		network.length += length;
	}
}

void network_set_piece(size_t piece)
{
	network.piece = piece;
}

void network_finish(enum network_end end)
{
	if (network.end == NETWORK_GOES_ON) {
		network.end = end;
	}
}

void network_set_room(size_t room)
{
	network.room = room;
}

bool network_is_quiet(void)
{
	return !network.channel || !network.reading ||
	       (network.begin == network.length &&
		(network.end == NETWORK_GOES_ON || network.end_seen));
}

uint64_t network_connection_updates(void)
{
	return network.output.connection_updates;
}

uint64_t network_stream_updates(void)
{
	return network.output.stream_updates;
}

/* ---- what is written ---- */

static uint32_t number(const uint8_t *bytes, size_t count)
{
	uint32_t value = 0;

	for (size_t i = 0; i < count; i++) {
		value = value << 8 | bytes[i];
	}
	return value;
}

/* A frame is whole. */
static void check_frame(struct output *output)
{
	uint32_t length = number(output->frame, 3);
	uint32_t stream = number(output->frame + 5, 4);
	bool of_connection = false;

	switch (output->frame[3]) {
	case FRAME_SETTINGS:
	case FRAME_PING:
	case FRAME_GOAWAY:
		of_connection = true;
		break;
	case FRAME_WINDOW_UPDATE:
		assert(length == 4 && number(output->frame + FRAME_HEADER, 4) > 0);
		of_connection = stream == 0;
		if (of_connection) {
			output->connection_updates += number(output->frame + FRAME_HEADER, 4);
		} else {
			output->stream_updates += number(output->frame + FRAME_HEADER, 4);
		}
		break;
	case FRAME_DATA:
	case FRAME_HEADERS:
	case FRAME_RST_STREAM:
	case FRAME_CONTINUATION:
		break;
	default: /* a client of ours sends no others */
		assert(false);
	}
	/* Streams of a client have odd numbers. */
	assert(of_connection ? stream == 0 : stream % 2 == 1);
	assert(output->first_frame_done || output->frame[3] == FRAME_SETTINGS);
	output->first_frame_done = true;
}

static void check_output(const uint8_t *data, size_t length)
{
	struct output *output = &network.output;

	while (length > 0) {
		size_t taken = 1;

		if (output->total < sizeof(preface) - 1) {
			assert(*data == (uint8_t)preface[output->total]);
		} else if (output->frame_at < FRAME_HEADER + 4 &&
			   (output->frame_at < FRAME_HEADER ||
			    output->frame_at < FRAME_HEADER + number(output->frame, 3))) {
			output->frame[output->frame_at++] = *data;
		} else {
			size_t left = FRAME_HEADER + number(output->frame, 3) - output->frame_at;

			taken = left < length ? left : length;
			output->frame_at += taken;
		}
		if (output->frame_at >= FRAME_HEADER) {
			assert(number(output->frame, 3) <= FRAME_MAX);
			if (output->frame_at == FRAME_HEADER + number(output->frame, 3)) {
				check_frame(output);
				output->frame_at = 0;
			}
		}
		output->total += taken;
		data += taken;
		length -= taken;
	}
}

/* ---- the channel ---- */

static enum io fail(const char *what, struct failure *ret_failure)
{
	failure_set(ret_failure, FAIL_CONNECTION_ERROR, "%s: Connection reset by peer", what)
		->sys_errno = ECONNRESET;
	return IO_ERROR;
}

static enum io memory_read(struct channel *channel, void *buffer, size_t size, size_t *ret_count,
			   struct failure *ret_failure)
{
	size_t count = network.length - network.begin;
	/* Small pieces of a lot would take for ever. */
	size_t piece = network.piece + count / PIECES_MAX;

	assert(channel == network.channel && size > 0);
	if (network.last_read) {
		/* Nobody may still look at what was read before. */
		memset(network.last_read, 0xa5, network.last_count);
		network.last_read = NULL;
	}
	if (count > 0) {
		count = count < size ? count : size;
		if (network.piece > 0 && count > piece) {
			count = piece;
		}
		memcpy(buffer, network.data + network.begin, count);
		network.begin += count;
		network.last_read = buffer;
		network.last_count = count;
		*ret_count = count;
		return IO_OK;
	}
	switch (network.end) {
	case NETWORK_GOES_ON:
		return IO_AGAIN;
	case NETWORK_CLOSED:
	case NETWORK_CUT:
		network.end_seen = true;
		channel->eof_clean = network.end == NETWORK_CLOSED;
		return IO_EOF;
	case NETWORK_BROKEN:
		break;
	}
	network.end_seen = true;
	return fail("reading", ret_failure);
}

static enum io memory_write(struct channel *channel, const void *data, size_t length,
			    size_t *ret_count, struct failure *ret_failure)
{
	size_t count = length < network.room ? length : network.room;

	assert(channel == network.channel && length > 0);
	assert(length >= network.offered && memcmp(data, network.offer, network.offered) == 0);
	network.offered = 0;
	if (network.end == NETWORK_BROKEN) {
		return fail("writing", ret_failure);
	}
	if (count < length) {
		network.offered = length - count < OFFER_MAX ? length - count : OFFER_MAX;
		memcpy(network.offer, (const uint8_t *)data + count, network.offered);
	}
	if (count == 0) {
		network.write_blocked = true;
		return IO_AGAIN;
	}
	if (network.room != NETWORK_UNBOUNDED) {
		network.room -= count;
	}
	check_output(data, count);
	*ret_count = count;
	return IO_OK;
}

static void memory_want_read(struct channel *channel, bool want)
{
	assert(channel == network.channel);
	network.reading = want;
}

static void memory_close(struct channel *channel)
{
	assert(channel == network.channel);
	network.channel = NULL;
	loop_free_later(network.loop, channel);
}

static const struct channel_ops memory_ops = {
	.read = memory_read,
	.write = memory_write,
	.want_read = memory_want_read,
	.close = memory_close,
};

/* ---- dialing ---- */

static void dial_finish(void *ctx)
{
	struct dial dial = *(struct dial *)ctx;
	struct dial_times times = {.connect_us = loop_clock_us(network.loop)};

	free(ctx);
	network.dial = NULL;
	if (network.dial_fails) {
		struct failure failure;

		failure_set(&failure, FAIL_CONNECT_REFUSED, "connecting: Connection refused");
		dial.callbacks->on_failed(dial.ctx, &failure, &times);
		return;
	}
	network.channel = calloc(1, sizeof(*network.channel));
	assert(network.channel);
	network.channel->ops = &memory_ops;
	network.channel->loop = network.loop;
	(void)address_parse("192.0.2.1", 443, &network.channel->info.remote);
	network.channel->info.tls_version = "";
	network.channel->info.tls_cipher = "";
	network.channel->info.certificate_subject = "";
	dial.callbacks->on_done(dial.ctx, network.channel, &times);
}

int dial_start(struct loop *loop, struct dns *dns, const struct dial_target *target,
	       const struct dial_callbacks *callbacks, void *ctx, struct dial **ret_dial)
{
	struct dial *dial = calloc(1, sizeof(*dial));

	(void)dns;
	(void)target;
	assert(!network_is_used());
	if (!dial) {
		return -ENOMEM;
	}
	dial->callbacks = callbacks;
	dial->ctx = ctx;
	loop_task_init(&dial->task, dial_finish, dial);
	loop_task_queue(&dial->task, loop);
	network.dial = dial;
	*ret_dial = dial;
	return 0;
}

void dial_cancel(struct dial *dial)
{
	if (dial) {
		assert(dial == network.dial);
		loop_task_cancel(&dial->task);
		free(dial);
		network.dial = NULL;
	}
}

enum dial_stage dial_stage(const struct dial *dial, uint64_t *ret_since_ms)
{
	(void)dial;
	*ret_since_ms = loop_now_ms(network.loop);
	return DIAL_CONNECT;
}

void dial_describe(const struct dial *dial, struct failure *failure)
{
	(void)dial;
	(void)failure_append(failure, FAIL_TIMEOUT_CONNECT, "connecting");
}
