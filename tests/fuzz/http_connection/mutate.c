/* SPDX-License-Identifier: MIT */
/*
 * Mutations for fuzz_http_connection that keep a script a script: libFuzzer's own know nothing of
 * frames and would almost always break the length of one, behind which nothing makes sense to
 * HTTP/2. Here whole records are put in, taken away, doubled and moved, and what is changed within
 * a frame keeps its header true. A quarter of the time the bytes are libFuzzer's, as ever.
 *
 * Only the searching builds call any of this.
 */
#include "script.h"

#include <stdbool.h>
#include <string.h>

#define RECORDS_MAX 256u
#define RECORD_MAX 2200u
#define STREAM_IDS 8u

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
				 size_t second_size, uint8_t *out, size_t max_out, unsigned seed);
/* libFuzzer's; there is none in the builds that only replay. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size) __attribute__((weak));

enum frame_type {
	DATA = 0,
	HEADERS = 1,
	PRIORITY = 2,
	RST_STREAM = 3,
	SETTINGS = 4,
	PUSH_PROMISE = 5,
	PING = 6,
	GOAWAY = 7,
	WINDOW_UPDATE = 8,
	CONTINUATION = 9,
	ALTSVC = 10,
	ORIGIN = 12,
	PRIORITY_UPDATE = 16
};

enum frame_flag {
	END_STREAM = 1,
	ACK = 1,
	END_HEADERS = 4,
	PADDED = 8,
	PRIORITIZED = 32
};

/* ---- chance ---- */

static uint64_t state;

static uint64_t chance(uint64_t below)
{
	uint64_t value = 0;

	state += UINT64_C(0x9e3779b97f4a7c15);
	value = state;
	value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (value ^ (value >> 31)) % below;
}

static uint32_t any_number(void)
{
	static const uint32_t numbers[] = {0,      1,          2,          3,
					   100,    0x3fff,     0x4000,     0x4001,
					   0xffff, 0x7fffffff, 0x80000000, 0xffffffff};

	return chance(3) ? numbers[chance(sizeof(numbers) / sizeof(numbers[0]))]
			 : (uint32_t)chance(UINT64_C(0x100000000));
}

/* ---- records ---- */

struct record {
	uint8_t bytes[RECORD_MAX];
	size_t length;
};

static void put(struct record *record, const void *bytes, size_t length)
{
	if (length <= sizeof(record->bytes) - record->length) {
		memcpy(record->bytes + record->length, bytes, length);
		record->length += length;
	}
}

static void put_byte(struct record *record, unsigned byte)
{
	put(record, &(uint8_t){(uint8_t)byte}, 1);
}

static void put_number(struct record *record, uint32_t number, unsigned bytes)
{
	while (bytes-- > 0) {
		put_byte(record, (number >> (8 * bytes)) & 0xff);
	}
}

/* The header says what the payload is. */
static void set_length(uint8_t *record, size_t length)
{
	size_t payload = length - SCRIPT_FRAME_HEADER;

	record[0] = (uint8_t)(payload >> 16);
	record[1] = (uint8_t)(payload >> 8);
	record[2] = (uint8_t)payload;
}

static uint32_t any_stream(void)
{
	return chance(16) ? 2 * (uint32_t)chance(STREAM_IDS / 2) + 1 : (uint32_t)chance(32);
}

static void begin_frame(struct record *record, enum frame_type type, unsigned flags, uint32_t id)
{
	record->length = 0;
	put_number(record, 0, 3);
	put_byte(record, (unsigned)type);
	put_byte(record, flags);
	put_number(record, id, 4);
}

static void end_frame(struct record *record)
{
	set_length(record->bytes, record->length);
	if (chance(32) == 0) {
		record->bytes[2] ^= (uint8_t)(1 + chance(8)); /* a lie now and then */
	}
}

/* A literal field (RFC 7541, section 6.2), into the table or not. */
static void put_field(struct record *record, const char *name, const char *value)
{
	put_byte(record, chance(4) ? 0x00 : 0x40);
	put_byte(record, (unsigned)strlen(name));
	put(record, name, strlen(name));
	put_byte(record, (unsigned)strlen(value));
	put(record, value, strlen(value));
}

static void put_fields(struct record *record)
{
	static const char *const names[] = {
		"content-length", "content-length", "a",       "date",
		"x-long-name",    "connection",     "te",      "Upper",
		":status",        ":path",          "etag",    "content-range",
		"retry-after",    "set-cookie",     "trailer", ""};
	static const char *const values[] = {"0",        "1",
					     "5",        "10",
					     "100",      "1000",
					     "-1",       "9223372036854775808",
					     "5, 5",     "",
					     "text",     " blank ",
					     "trailers", "bytes 0-4/10",
					     "\x7f",     "a\nb"};

	for (uint64_t count = chance(4); count > 0; count--) {
		if (chance(6) == 0) {
			/* From the tables, or what looks like it. */
			put_byte(record, 0x80 | (unsigned)chance(0x80));
		} else {
			put_field(record, names[chance(16)], values[chance(16)]);
		}
	}
	if (chance(24) == 0) {
		for (unsigned i = 0; i < 20; i++) {
			put_field(record, "many", "fields");
		}
	}
}

static void put_status(struct record *record)
{
	static const char *const statuses[] = {"100", "101", "103", "199", "200", "204",
					       "206", "301", "304", "421", "503", "999",
					       "051", "000", "20",  "2000"};
	const char *status = statuses[chance(16)];

	if (chance(2)) {
		put_byte(record, 0x88); /* 200, from the static table */
		return;
	}
	put_byte(record, 0x08);
	put_byte(record, (unsigned)strlen(status));
	put(record, status, strlen(status));
}

static void make_headers(struct record *record)
{
	unsigned flags = (chance(8) ? END_HEADERS : 0u) | (chance(3) ? 0u : END_STREAM) |
			 (chance(8) ? 0u : PADDED) | (chance(16) ? 0u : PRIORITIZED);
	unsigned padding = flags & PADDED ? (unsigned)chance(12) : 0;

	begin_frame(record, chance(12) ? HEADERS : CONTINUATION, flags, any_stream());
	if (flags & PADDED) {
		put_byte(record, padding);
	}
	if (flags & PRIORITIZED) {
		put_number(record, any_number(), 4);
		put_byte(record, 15);
	}
	if (chance(8) == 0) {
		put_byte(record, 0x20 | (unsigned)chance(0x20)); /* size of the dynamic table */
	}
	if (chance(4)) {
		put_status(record);
	}
	put_fields(record);
	for (; padding > 0; padding--) {
		put_byte(record, 0);
	}
}

static void make_data(struct record *record)
{
	static const uint8_t text[1000] = "body";
	unsigned flags = (chance(3) ? 0u : END_STREAM) | (chance(4) ? 0u : PADDED);
	unsigned padding = flags & PADDED ? (unsigned)chance(40) : 0;
	uint64_t length = chance(4) ? chance(12) : chance(sizeof(text));

	begin_frame(record, DATA, flags, any_stream());
	if (flags & PADDED) {
		put_byte(record, padding);
	}
	put(record, text, (size_t)length);
	for (; padding > 0; padding--) {
		put_byte(record, 0);
	}
}

static void make_settings(struct record *record)
{
	begin_frame(record, SETTINGS, chance(4) ? 0 : ACK, chance(16) ? 0 : 1);
	for (uint64_t count = record->bytes[4] == ACK ? 0 : chance(4); count > 0; count--) {
		put_number(record, (uint32_t)chance(11), 2);
		put_number(record, any_number(), 4);
	}
}

static void make_other(struct record *record)
{
	static const enum frame_type types[] = {PRIORITY, PUSH_PROMISE, ALTSVC, ORIGIN,
						PRIORITY_UPDATE};

	begin_frame(record, types[chance(sizeof(types) / sizeof(types[0]))],
		    chance(2) ? END_HEADERS : 0, chance(2) ? any_stream() : 0);
	put_number(record, any_number(), 4);
	put(record, "\x01u=1", chance(5));
}

static void make_frame(struct record *record)
{
	uint32_t stream = any_stream();

	switch (chance(12)) {
	case 0:
	case 1:
	case 2:
		make_headers(record);
		break;
	case 3:
	case 4:
	case 5:
		make_data(record);
		break;
	case 6:
		make_settings(record);
		break;
	case 7:
		begin_frame(record, RST_STREAM, 0, stream);
		put_number(record, chance(2) ? (uint32_t)chance(16) : any_number(), 4);
		break;
	case 8:
		begin_frame(record, WINDOW_UPDATE, 0, chance(2) ? 0 : stream);
		put_number(record, any_number(), 4);
		break;
	case 9:
		begin_frame(record, GOAWAY, 0, 0);
		put_number(record, chance(2) ? stream : any_number(), 4);
		put_number(record, (uint32_t)chance(16), 4);
		put(record, "enough", chance(7));
		break;
	case 10:
		begin_frame(record, PING, chance(2) ? ACK : 0, 0);
		put(record, "\0\0\0\0\0\0\0\0", 8);
		break;
	default:
		make_other(record);
		break;
	}
	end_frame(record);
}

static void make_record(struct record *record)
{
	record->length = 0;
	if (chance(3)) {
		make_frame(record);
		return;
	}
	put_byte(record, SCRIPT_MARK);
	put_byte(record, chance(3) ? (unsigned)chance(SCRIPT_OPERATIONS) : SCRIPT_READ);
	put_byte(record, chance(2) ? (unsigned)chance(8) : (unsigned)chance(256));
}

/* ---- mutations ---- */

/* Where the records of data[1..size) begin, and the end; returns how many there are. */
static size_t find_records(const uint8_t *data, size_t size, size_t starts[RECORDS_MAX + 1])
{
	size_t count = 0;
	size_t at = 1;

	while (at < size && count < RECORDS_MAX) {
		starts[count++] = at;
		at += script_record(data + at, size - at);
	}
	starts[count] = at;
	return count;
}

/* Puts bytes in at `at`. Returns the new size, the old one if there is no room. */
static size_t insert(uint8_t *data, size_t size, size_t max_size, size_t at, const uint8_t *bytes,
		     size_t length)
{
	if (length > max_size - size) {
		return size;
	}
	memmove(data + at + length, data + at, size - at);
	memcpy(data + at, bytes, length);
	return size + length;
}

/* Changes one frame, of `length` bytes at `at`; the rest of the script moves. */
static size_t change_frame(uint8_t *data, size_t size, size_t max_size, size_t at, size_t length)
{
	uint8_t *frame = data + at;
	uint8_t payload[RECORD_MAX];
	size_t old = length - SCRIPT_FRAME_HEADER;
	size_t now = 0;

	switch (chance(6)) {
	case 0:
		frame[4] ^= (uint8_t)(1u << chance(6));
		return size;
	case 1:
		frame[8] = (uint8_t)any_stream();
		return size;
	case 2:
		frame[3] = (uint8_t)chance(18);
		return size;
	default:
		break;
	}
	if (old > sizeof(payload) / 2) {
		return size;
	}
	memcpy(payload, frame + SCRIPT_FRAME_HEADER, old);
	now = LLVMFuzzerMutate(payload, old, sizeof(payload));
	if (now > old && now - old > max_size - size) {
		now = old;
	}
	memmove(frame + SCRIPT_FRAME_HEADER + now, frame + length, size - at - length);
	memcpy(frame + SCRIPT_FRAME_HEADER, payload, now);
	set_length(frame, SCRIPT_FRAME_HEADER + now);
	return size - old + now;
}

/* Cuts a frame in two of the same kind; a header section goes on in CONTINUATION. */
static size_t split_frame(uint8_t *data, size_t size, size_t max_size, size_t at, size_t length)
{
	uint8_t header[SCRIPT_FRAME_HEADER];
	size_t first = SCRIPT_FRAME_HEADER + (size_t)chance(length - SCRIPT_FRAME_HEADER + 1);

	if (max_size - size < SCRIPT_FRAME_HEADER) {
		return size;
	}
	memcpy(header, data + at, sizeof(header));
	if (header[3] == HEADERS) {
		header[3] = CONTINUATION;
		header[4] &= END_HEADERS;
		data[at + 4] &= (uint8_t) ~(unsigned)END_HEADERS;
	}
	set_length(header, length - first + SCRIPT_FRAME_HEADER);
	set_length(data + at, first);
	return insert(data, size, max_size, at + first, header, sizeof(header));
}

static size_t mutate_records(uint8_t *data, size_t size, size_t max_size)
{
	static struct record record;
	size_t starts[RECORDS_MAX + 1];
	size_t count = find_records(data, size, starts);
	size_t which = count ? (size_t)chance(count) : 0;
	size_t at = starts[which];
	size_t length = count ? starts[which + 1] - at : 0;
	bool is_frame = length >= SCRIPT_FRAME_HEADER && data[at] != SCRIPT_MARK;

	switch (count ? chance(10) : 0) {
	case 0:
	case 1:
	case 2:
		make_record(&record);
		at = starts[chance(count + 1)];
		return insert(data, size, max_size, at, record.bytes, record.length);
	case 3:
		memmove(data + at, data + at + length, size - at - length);
		return size - length;
	case 4:
	case 5: /* doubles it, here or elsewhere */
		if (length > sizeof(record.bytes)) {
			return size;
		}
		memcpy(record.bytes, data + at, length);
		at = starts[chance(2) ? which : chance(count + 1)];
		return insert(data, size, max_size, at, record.bytes, length);
	case 6: /* moves it to the end */
		if (length > sizeof(record.bytes)) {
			return size;
		}
		memcpy(record.bytes, data + at, length);
		memmove(data + at, data + at + length, size - at - length);
		memcpy(data + size - length, record.bytes, length);
		return size;
	case 7:
		return is_frame ? split_frame(data, size, max_size, at, length) : size;
	default:
		if (is_frame) {
			return change_frame(data, size, max_size, at, length);
		}
		if (length == SCRIPT_OPERATION_SIZE) {
			data[at + 2] = (uint8_t)chance(256);
		}
		return size;
	}
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	state = seed;
	if (size == 0 || max_size < size || chance(4) == 0) {
		return LLVMFuzzerMutate(data, size, max_size);
	}
	if (chance(10) == 0) {
		data[0] ^= (uint8_t)(1u << chance(8));
	}
	for (uint64_t times = 1 + chance(3); times > 0; times--) {
		size = mutate_records(data, size, max_size);
	}
	return size;
}

/* The beginning of one, and the end of the other. */
size_t LLVMFuzzerCustomCrossOver(const uint8_t *first, size_t first_size, const uint8_t *second,
				 size_t second_size, uint8_t *out, size_t max_out, unsigned seed)
{
	size_t starts[RECORDS_MAX + 1];
	size_t length = 0;
	size_t from = 0;

	if (first_size == 0 || second_size == 0) {
		return 0;
	}
	state = seed;
	length = starts[chance(find_records(first, first_size, starts) + 1)];
	from = starts[chance(find_records(second, second_size, starts) + 1)];
	if (length > max_out) {
		return 0;
	}
	memcpy(out, first, length);
	if (second_size - from > max_out - length) {
		return length;
	}
	memcpy(out + length, second + from, second_size - from);
	return length + second_size - from;
}
