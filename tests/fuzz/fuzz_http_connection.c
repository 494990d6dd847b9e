/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a whole HTTP/2 connection and up to eight streams on it, fed with a server's bytes,
 * while its owner cancels, reads, submits, drains and lets time pass. All of connection*.c,
 * stream.c and nghttp2 is real; the loop and the network below are in memory, and the clock stands
 * still unless the input moves it. http_connection/script.h says what the input means.
 *
 * What has to hold: callbacks come in the documented order, and none after the end; an end comes
 * exactly once; a good end means that everything has arrived; buffers stay below their windows;
 * what is written is HTTP/2; how the bytes are cut into reads makes no difference; and nothing is
 * left afterwards: no stream, no timer, no buffered byte, no window counted.
 */
#include "http/connection.h"
#include "http_connection/network.h"
#include "http_connection/outcome.h"
#include "http_connection/script.h"
#include "http_connection/virtual_loop.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define READERS_MAX 8u
#define REQUESTS 6u
#define TRAPS_MAX 4u
#define ROUNDS_MAX 100000u
#define STREAM_WINDOW 65536u
#define MAX_STREAM_WINDOW (8u * STREAM_WINDOW)
#define CONNECTION_WINDOW (1u << 20)
#define MAX_CONNECTION_WINDOW (4u * CONNECTION_WINDOW)
#define INITIAL_WINDOW 65535u
#define MAX_HEADERS 16u
#define MAX_INFORMATIONAL 4u
#define LARGE_BODY 70000u
#define EXPECTING_BODY 3000u /* one that waits for a 100 (Continue) */

/* What a callback does besides, if a trap waits for it. */
enum trap_kind {
	TRAP_SENT,
	TRAP_INFORMATIONAL,
	TRAP_HEAD,
	TRAP_BODY,
	TRAP_TRAILERS,
	TRAP_CLOSED,
	TRAP_SLOTS,
	TRAP_DRAINING
};

enum trap_action {
	ACTION_FREE_OWN,
	ACTION_FREE_OTHER,
	ACTION_RESET_OWN,
	ACTION_TAKE_OWN,
	ACTION_HANG_UP,
	ACTION_DRAIN,
	ACTION_SUSPECT,
	ACTION_CHECK,
	ACTIONS
};

struct reader {
	const struct request *request;
	struct stream *stream; /* NULL once let go */
	struct outcome outcome;
	bool has_length;
	uint64_t length;
	bool deaf; /* no callback may come any more */
};

static struct world {
	struct loop *loop;
	struct metrics metrics;
	struct http_env env;
	struct request requests[REQUESTS];
	/* Of the run that is going on: */
	struct connection *connection; /* NULL once it is over or let go */
	struct reader readers[READERS_MAX];
	unsigned count; /* of readers */
	uint8_t options;
	uint8_t traps[TRAPS_MAX];
	unsigned trap_count;
	bool open;
	bool served;
	bool over;      /* it told us that it is */
	bool abandoned; /* we let go of it: it must not tell us anything */
	uint64_t data_bytes;
} world;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- what was seen ---- */

/* Keeps to the ceilings, and counts into the outcome. */
static void see_fields(struct reader *reader, const struct header_list *list)
{
	uint64_t size = 0;

	assert(header_list_count(list) <= MAX_HEADERS);
	for (uint32_t i = 0; i < header_list_count(list); i++) {
		struct header_field field = header_list_get(list, i);

		assert(field.name_length > 0 && field.name[0] != ':');
		size += field.name_length + field.value_length + 32;
		reader->outcome.heads =
			outcome_digest(reader->outcome.heads, field.name, field.name_length);
		reader->outcome.heads =
			outcome_digest(reader->outcome.heads, field.value, field.value_length);
	}
	assert(size <= world.env.settings.max_header_list);
}

static void take(struct reader *reader, size_t most)
{
	size_t buffered = stream_buffered(reader->stream);
	size_t wanted = buffered < most ? buffered : most;
	size_t left = wanted;

	while (left > 0) {
		struct iovec iov[3];
		unsigned count = stream_peek(reader->stream, iov, 3);
		size_t piece = 0;

		assert(count > 0 && count <= 3);
		for (unsigned i = 0; i < count && left > 0; i++) {
			size_t here = iov[i].iov_len < left ? iov[i].iov_len : left;
			const uint8_t *bytes = iov[i].iov_base;

			assert(here > 0);
			for (size_t k = 0; k < here; k++) {
				reader->outcome.content = (reader->outcome.content ^ bytes[k]) *
							  UINT64_C(0x100000001b3);
			}
			piece += here;
			left -= here;
		}
		reader->outcome.taken += piece;
		stream_consume(reader->stream, piece);
	}
	assert(stream_buffered(reader->stream) == buffered - wanted);
}

static void let_go(struct reader *reader)
{
	struct stream *stream = reader->stream;

	if (!stream) {
		return;
	}
	take(reader, SIZE_MAX); /* what is left was seen, too */
	reader->stream = NULL;
	reader->deaf = true;
	stream_free(stream);
}

/* ---- what we do ---- */

static void hang_up(void)
{
	struct connection *connection = world.connection;

	if (connection) {
		world.connection = NULL;
		world.abandoned = true;
		connection_free(connection);
	}
}

static void act(enum trap_action action, struct reader *own, unsigned other)
{
	struct reader *reader = &world.readers[other % READERS_MAX];

	switch (action) {
	case ACTION_FREE_OWN:
		if (own) {
			let_go(own);
		}
		break;
	case ACTION_FREE_OTHER:
		let_go(reader);
		break;
	case ACTION_RESET_OWN:
		if (own && own->stream) {
			own->deaf = true;
			stream_reset(own->stream);
		}
		break;
	case ACTION_TAKE_OWN:
		if (own && own->stream) {
			take(own, SIZE_MAX);
		}
		break;
	case ACTION_HANG_UP:
		hang_up();
		break;
	case ACTION_DRAIN:
		if (world.connection) {
			connection_drain(world.connection);
		}
		break;
	case ACTION_SUSPECT:
		if (world.connection) {
			connection_suspect(world.connection, loop_now_ms(world.loop));
		}
		break;
	case ACTION_CHECK:
		if (world.connection) {
			(void)connection_check(world.connection);
		}
		break;
	case ACTIONS:
		break;
	}
}

static void spring(enum trap_kind kind, struct reader *own)
{
	for (unsigned i = 0; i < world.trap_count; i++) {
		uint8_t trap = world.traps[i];

		if (trap % 8 == (uint8_t)kind) {
			world.traps[i] = world.traps[--world.trap_count];
			act((enum trap_action)(trap / 8 % ACTIONS), own, trap / 64u);
			return;
		}
	}
}

static void set_trap(uint8_t trap)
{
	if (world.trap_count < TRAPS_MAX) {
		world.traps[world.trap_count++] = trap;
	}
}

/* ---- what a stream tells ---- */

static void on_sent(void *ctx)
{
	struct reader *reader = ctx;

	assert(!reader->deaf && !reader->outcome.sent && !reader->outcome.status);
	reader->outcome.sent = true;
	spring(TRAP_SENT, reader);
}

static void on_informational(void *ctx, unsigned status, const struct header_list *headers)
{
	struct reader *reader = ctx;

	assert(!reader->deaf && reader->outcome.sent && !reader->outcome.status);
	assert(status >= 100 && status < 200);
	reader->outcome.informational++;
	assert(reader->outcome.informational <= MAX_INFORMATIONAL);
	reader->outcome.heads = outcome_digest(reader->outcome.heads, &status, sizeof(status));
	see_fields(reader, headers);
	spring(TRAP_INFORMATIONAL, reader);
}

static void on_head(void *ctx, const struct stream_head *head)
{
	struct reader *reader = ctx;

	assert(!reader->deaf && reader->outcome.sent && !reader->outcome.status);
	assert(head->status >= 200 && head->status < 1000);
	assert(stream_buffered(reader->stream) == 0);
	reader->outcome.status = head->status;
	reader->has_length = head->has_content_length;
	reader->length = head->content_length;
	see_fields(reader, head->headers);
	if (world.options & SCRIPT_FICKLE) {
		let_go(reader);
	} else {
		spring(TRAP_HEAD, reader);
	}
}

static void on_body(void *ctx)
{
	struct reader *reader = ctx;
	const struct stream_counts *counts = stream_counts(reader->stream);

	assert(!reader->deaf && reader->outcome.status && !reader->outcome.trailers);
	assert(stream_buffered(reader->stream) > 0 &&
	       stream_buffered(reader->stream) <= MAX_STREAM_WINDOW);
	assert(counts->payload == reader->outcome.taken + stream_buffered(reader->stream));
	assert(counts->payload < counts->wire_received);
	if (world.options & SCRIPT_EAGER) {
		take(reader, SIZE_MAX);
	}
	spring(TRAP_BODY, reader);
}

static void on_trailers(void *ctx, const struct header_list *trailers)
{
	struct reader *reader = ctx;

	assert(!reader->deaf && reader->outcome.status && !reader->outcome.trailers);
	reader->outcome.trailers = true;
	see_fields(reader, trailers);
	spring(TRAP_TRAILERS, reader);
}

/* Nothing is missing of a response that ended well. */
static void check_good_end(const struct reader *reader)
{
	const struct outcome *outcome = &reader->outcome;
	uint64_t payload = stream_counts(reader->stream)->payload;

	assert(outcome->sent && outcome->status);
	if (!request_expects_body(reader->request) || outcome->status == 204 ||
	    outcome->status == 304) {
		assert(payload == 0);
	} else {
		assert(!reader->has_length || payload == reader->length);
	}
	assert(payload == outcome->taken + stream_buffered(reader->stream));
}

static void on_stream_closed(void *ctx, const struct stream_end *end)
{
	struct reader *reader = ctx;

	assert(!reader->deaf && reader->outcome.ends == 0);
	assert(end->reason != CLOSE_NONE);
	assert((end->reason == CLOSE_ENDED) == (end->failure->count == 0));
	for (unsigned i = 0; i < end->failure->count; i++) {
		assert(end->failure->links[i].code != FAIL_NONE);
		assert(end->failure->links[i].text[0] != '\0');
	}
	assert(!stream_connection(reader->stream));
	reader->outcome.ends++;
	reader->outcome.reason = end->reason;
	reader->outcome.code = failure_top(end->failure);
	reader->outcome.unprocessed = end->unprocessed;
	if (end->reason == CLOSE_ENDED) {
		check_good_end(reader);
	}
	if (!reader->outcome.sent) {
		assert(end->unprocessed);
	}
	reader->deaf = true;
	spring(TRAP_CLOSED, reader);
}

static const struct stream_callbacks stream_callbacks = {
	.on_sent = on_sent,
	.on_informational = on_informational,
	.on_head = on_head,
	.on_body = on_body,
	.on_trailers = on_trailers,
	.on_closed = on_stream_closed,
};

/* ---- what the connection tells ---- */

static void on_open(void *ctx, struct connection *connection)
{
	(void)ctx;
	assert(connection == world.connection && !world.open);
	assert(connection_state(connection) == CONNECTION_OPEN);
	assert(connection_info(connection));
	world.open = true;
}

static void on_slots(void *ctx, struct connection *connection)
{
	(void)ctx;
	assert(connection == world.connection && world.open);
	assert(connection_slots(connection) <= connection_limit(connection));
	spring(TRAP_SLOTS, NULL);
}

static void on_draining(void *ctx, struct connection *connection)
{
	(void)ctx;
	assert(connection == world.connection && world.open);
	assert(connection_state(connection) == CONNECTION_DRAINING);
	assert(connection_slots(connection) == 0);
	spring(TRAP_DRAINING, NULL);
}

static void on_served(void *ctx, struct connection *connection)
{
	(void)ctx;
	assert(connection == world.connection && world.open && !world.served);
	world.served = true;
}

static void end_connection(struct connection *connection)
{
	assert(connection == world.connection && !world.over);
	assert(connection_state(connection) == CONNECTION_CLOSING);
	world.connection = NULL;
	world.over = true;
	for (unsigned i = 0; i < world.count; i++) {
		assert(world.readers[i].deaf);
	}
}

static void on_failed(void *ctx, struct connection *connection, const struct failure *failure)
{
	(void)ctx;
	assert(failure->count > 0);
	end_connection(connection);
}

static void on_closed(void *ctx, struct connection *connection)
{
	(void)ctx;
	assert(world.open);
	end_connection(connection);
}

static const struct connection_callbacks connection_callbacks = {
	.on_open = on_open,
	.on_slots = on_slots,
	.on_draining = on_draining,
	.on_served = on_served,
	.on_failed = on_failed,
	.on_closed = on_closed,
};

/* ---- a run ---- */

static void make_request(struct request *request, const char *method, size_t body_length)
{
	static uint8_t body[LARGE_BODY];
	static const struct header_field fields[] = {
		{"accept", 6, "*/*", 3},
		{"authorization", 13, "Basic eDp5", 10},
		{"expect", 6, "100-continue", 12},
	};
	struct request_spec spec = {.url = "https://www.example.org/a/file?of=some&length=1",
				    .method = method,
				    .headers = fields,
				    .header_count = body_length == EXPECTING_BODY ? 3 : 2,
				    .body = body,
				    .body_length = body_length,
				    .has_body = body_length > 0};
	struct failure failure;
	int rc = request_make(&spec, "fuzzer", request, &failure);

	assert(rc == 0);
}

static void make_world(void)
{
	world.loop = loop_new();
	assert(world.loop);
	world.env.loop = world.loop;
	world.env.metrics = &world.metrics;
	world.env.settings = (struct http_settings){
		.stream_window = STREAM_WINDOW,
		.max_stream_window = MAX_STREAM_WINDOW,
		.connection_window = CONNECTION_WINDOW,
		.max_connection_window = MAX_CONNECTION_WINDOW,
		.body_budget = 4 * MAX_STREAM_WINDOW,
		.max_frame_size = 16384,
		.max_header_list = 4096,
		.max_headers = MAX_HEADERS,
		.max_informational = MAX_INFORMATIONAL,
		.max_streams_per_connection = 100,
		.max_queued_frames = 12,
		.flood = {.settings_rate = 1,
			  .ping_rate = 1,
			  .reset_rate = 1,
			  .empty_rate = 1,
			  .max_continuations = 6},
		.ping_after_ms = 10000,
		.ping_timeout_ms = 5000,
		.continue_timeout_ms = 2000,
		.write_timeout_ms = 8000,
		.connect_timeout_ms = 10000,
	};
	make_request(&world.requests[0], "GET", 0);
	make_request(&world.requests[1], "POST", 2000);
	make_request(&world.requests[2], "HEAD", 0);
	make_request(&world.requests[3], "PUT", LARGE_BODY);
	make_request(&world.requests[4], "OPTIONS", 0);
	make_request(&world.requests[5], "PUT", EXPECTING_BODY);
}

static void submit(unsigned kind)
{
	struct reader *reader = &world.readers[world.count];
	uint32_t slots = 0;
	int rc = 0;

	if (!world.connection || world.count == READERS_MAX) {
		return;
	}
	slots = connection_slots(world.connection);
	reader->request = &world.requests[kind % REQUESTS];
	rc = connection_submit(world.connection, reader->request, &stream_callbacks, reader,
			       &reader->stream);
	assert(rc == 0 ? slots > 0 : slots == 0);
	if (rc == 0) {
		assert(stream_id(reader->stream) % 2 == 1);
		assert(stream_connection(reader->stream) == world.connection);
		world.count++;
	} else {
		assert(!reader->stream);
	}
}

/* Until what was sent is read and nothing is to be done at once. */
static void settle(void)
{
	unsigned rounds = 0;

	do {
		assert(rounds < ROUNDS_MAX);
		rounds++;
		loop_run_once(world.loop, false);
	} while (!virtual_loop_is_idle(world.loop) || !network_is_quiet());
}

/* Somebody asks for everything that can be asked for. */
static void look(void)
{
	struct connection_view view;
	struct wait wait;
	uint64_t since = 0;
	uint64_t until = 0;

	if (!world.connection) {
		return;
	}
	connection_look(world.connection, &view);
	assert(view.streams == connection_streams(world.connection));
	assert(view.receive_window <= CONNECTION_WINDOW);
	assert(connection_number(world.connection) == view.number);
	assert(connection_why(world.connection));
	assert(connection_dial_times(world.connection)->connect_us <= loop_clock_us(world.loop));
	if (connection_is_checked(world.connection)) {
		connection_check_times(world.connection, &since, &until);
		assert(since <= loop_now_ms(world.loop) && until >= loop_now_ms(world.loop));
		assert(connection_slots(world.connection) == 0);
	}
	assert(connection_limit_is_peers(world.connection) ==
	       (connection_limit(world.connection) <
		world.env.settings.max_streams_per_connection));
	assert(connection_state(world.connection) == CONNECTION_OPEN ||
	       connection_slots(world.connection) == 0);
	for (unsigned i = 0; i < world.count; i++) {
		struct stream *stream = world.readers[i].stream;

		if (stream && stream_wait(stream, &wait)) {
			assert(wait.reason != WAIT_NOTHING && wait.text[0] && wait.limit);
			assert(wait.since_ms <= loop_now_ms(world.loop));
			assert(stream_sent_progress_ms(stream) <= loop_now_ms(world.loop));
		}
	}
}

/* More than fits into an input, to reach the ends of windows. */
static void send_bulk(uint8_t argument)
{
	static uint8_t frame[SCRIPT_FRAME_HEADER + 63 * 256];
	size_t length = argument / 4 * (size_t)256;

	frame[0] = 0;
	frame[1] = (uint8_t)(length >> 8);
	frame[2] = (uint8_t)length;
	frame[8] = (uint8_t)(argument % 4 * 2 + 1);
	network_send(frame, SCRIPT_FRAME_HEADER + length);
	world.data_bytes += length;
}

static void operate(enum script_operation operation, uint8_t argument)
{
	struct reader *reader = &world.readers[argument % READERS_MAX];

	switch (operation) {
	case SCRIPT_READ:
		if (argument == 0) {
			settle();
		}
		for (unsigned i = 0; i < argument % 16u; i++) {
			loop_run_once(world.loop, false);
		}
		break;
	case SCRIPT_PIECE:
		network_set_piece(argument);
		break;
	case SCRIPT_PASS:
		virtual_loop_pass(world.loop, argument * 100u);
		break;
	case SCRIPT_FREE:
		let_go(reader);
		break;
	case SCRIPT_RESET:
		act(ACTION_RESET_OWN, reader, 0);
		break;
	case SCRIPT_TAKE:
		if (reader->stream) {
			take(reader, argument / 8 ? (size_t)argument / 8 : SIZE_MAX);
		}
		break;
	case SCRIPT_SUBMIT:
		submit(argument);
		break;
	case SCRIPT_ROOM:
		network_set_room(argument == 255 ? NETWORK_UNBOUNDED : argument * 8u);
		break;
	case SCRIPT_END:
		network_finish((enum network_end)(argument % 4));
		break;
	case SCRIPT_DRAIN:
		act(ACTION_DRAIN, NULL, 0);
		break;
	case SCRIPT_SUSPECT:
		act(ACTION_SUSPECT, NULL, 0);
		break;
	case SCRIPT_CHECK:
		act(ACTION_CHECK, NULL, 0);
		break;
	case SCRIPT_HANG_UP:
		hang_up();
		break;
	case SCRIPT_TRAP:
		set_trap(argument);
		break;
	case SCRIPT_LOOK:
		look();
		break;
	case SCRIPT_BULK:
		send_bulk(argument);
		break;
	case SCRIPT_OPERATIONS:
		break;
	}
}

/* A whole script, or one without what must make no difference. */
static void play(const uint8_t *data, size_t size, bool in_one_piece)
{
	while (size > 0) {
		size_t length = script_record(data, size);

		if (data[0] != SCRIPT_MARK) {
			if (length > SCRIPT_FRAME_HEADER && data[3] == 0) {
				world.data_bytes += length - SCRIPT_FRAME_HEADER;
			}
			network_send(data, length);
		} else if (length == SCRIPT_OPERATION_SIZE) {
			enum script_operation operation =
				(enum script_operation)(data[1] % SCRIPT_OPERATIONS);

			if (!in_one_piece ||
			    (operation != SCRIPT_READ && operation != SCRIPT_PIECE)) {
				operate(operation, data[2]);
			}
		}
		data += length;
		size -= length;
	}
}

static void begin(uint8_t options)
{
	static const uint8_t settings[] = {0, 0, 0, 4, 0, 0, 0, 0, 0};
	const struct dial_target target = {.host = "192.0.2.1", .host_is_address = true};
	int rc = 0;

	memset(world.readers, 0, sizeof(world.readers));
	world.count = 0;
	world.trap_count = 0;
	world.open = world.served = world.over = world.abandoned = false;
	world.data_bytes = 0;
	world.options = options;
	network_begin(world.loop, options & SCRIPT_UNREACHABLE);
	rc = connection_new(&world.env, &target, &connection_callbacks, NULL, &world.connection);
	assert(rc == 0 && !world.open && !world.over);
	if (!(options & SCRIPT_UNREACHABLE)) {
		settle();
		assert(world.open);
		submit(0);
		if (!(options & SCRIPT_ONE)) {
			submit(options & SCRIPT_UPLOAD ? 1 : 0);
			submit(2);
		}
		settle();
	}
	if (options & SCRIPT_SETTINGS_FIRST) {
		network_send(settings, sizeof(settings));
	}
}

/* All comes to its end, and nothing is left. */
static void end(void)
{
	uint64_t most = world.data_bytes + MAX_CONNECTION_WINDOW - INITIAL_WINDOW;

	settle();
	if (world.options & SCRIPT_SILENT) {
		virtual_loop_pass(world.loop, 60000);
		settle();
	} else {
		network_finish(NETWORK_CLOSED);
		settle();
		assert(world.over || world.abandoned);
	}
	hang_up();
	assert(world.over != world.abandoned);
	for (unsigned i = 0; i < world.count; i++) {
		struct reader *reader = &world.readers[i];

		assert(reader->deaf);
		if (reader->stream) {
			assert(stream_buffered(reader->stream) <= MAX_STREAM_WINDOW);
			let_go(reader);
		}
	}
	loop_run_once(world.loop, false);
	assert(network_connection_updates() <= most);
	assert(network_stream_updates() <=
	       world.data_bytes + world.count * (uint64_t)(MAX_STREAM_WINDOW - STREAM_WINDOW));
	assert(!network_is_used() && virtual_loop_is_empty(world.loop));
	assert(world.env.streams == 0 && world.env.buffered_bytes == 0 &&
	       world.env.window_bytes == 0);
}

/* Does nothing in it hang on when it happens? */
static bool is_timeless(const uint8_t *data, size_t size, uint8_t options)
{
	bool timeless = !(options & SCRIPT_UPLOAD);

	while (size > 0 && timeless) {
		size_t length = script_record(data, size);

		if (data[0] == SCRIPT_MARK && length == SCRIPT_OPERATION_SIZE) {
			unsigned operation = data[1] % SCRIPT_OPERATIONS;

			/* A broken connection fails the next write, before what came is read. */
			timeless = operation == SCRIPT_READ || operation == SCRIPT_PIECE ||
				   operation == SCRIPT_BULK ||
				   (operation == SCRIPT_END && data[2] % 4 != NETWORK_BROKEN);
		}
		data += length;
		size -= length;
	}
	return timeless;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome outcomes[2][READERS_MAX];
	uint8_t options = 0;

	if (size < 1) {
		return 0;
	}
	if (!world.loop) {
		make_world();
	}
	options = data[0];
	data++;
	size--;
	for (unsigned run = 0; run < 2; run++) {
		begin(options);
		play(data, size, run > 0);
		end();
		for (unsigned i = 0; i < READERS_MAX; i++) {
			outcomes[run][i] = world.readers[i].outcome;
		}
		/* More than a window needs the updates that were sent meanwhile. */
		if (!(options & SCRIPT_TWICE) || world.data_bytes > INITIAL_WINDOW ||
		    !is_timeless(data, size, options)) {
			return 0;
		}
	}
	outcome_check_same(outcomes[0], outcomes[1], READERS_MAX);
	return 0;
}
