/* SPDX-License-Identifier: MIT */
/*
 * Body frames by hand: the one message that is sent and received all the time and whose data is not
 * worth copying. What protobuf-c packs for them is
 *
 *     08 <id>  32 <length of the Body>  [08 <offset>]  7a <length of the data> <data>
 *
 * with shortest varints, and an id or offset of zero left out; a test compares.
 */
#include "proto/wire_internal.h"

#include "proto/framing.h"

#include <assert.h>
#include <string.h>

#define TAG_ID 0x08u     /* ServerFrame.id = 1, varint */
#define TAG_BODY 0x32u   /* ServerFrame.body = 6, length-delimited */
#define TAG_OFFSET 0x08u /* Body.offset = 1, varint */
#define TAG_DATA 0x7au   /* Body.data = 15, length-delimited */

#define VARINT_BYTES_MAX 10u

static size_t varint_size(uint64_t value)
{
	size_t size = 1;

	while (value > 0x7f) {
		value >>= 7;
		size++;
	}
	return size;
}

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
	while (value > 0x7f) {
		*at++ = (uint8_t)(0x80 | (value & 0x7f));
		value >>= 7;
	}
	*at++ = (uint8_t)value;
	return at;
}

size_t wire_body_prefix(uint64_t id, uint64_t offset, size_t data_length,
			uint8_t prefix[WIRE_BODY_PREFIX_MAX])
{
	size_t body_length, frame_length;
	uint8_t *at = prefix;

	_Static_assert(FRAMING_PREFIX_MAX + 2 * (1 + VARINT_BYTES_MAX) + 2 * (1 + 3) <=
			       WIRE_BODY_PREFIX_MAX,
		       "length prefix, id, offset, and two lengths below 2^21");
	assert(data_length >= 1 && data_length <= WIRE_BODY_MAX);

	body_length = 1 + varint_size(data_length) + data_length;
	if (offset != 0) {
		body_length += 1 + varint_size(offset);
	}
	frame_length = 1 + varint_size(body_length) + body_length;
	if (id != 0) {
		frame_length += 1 + varint_size(id);
	}

	at += framing_prefix(frame_length, at);
	if (id != 0) {
		*at++ = TAG_ID;
		at = put_varint(at, id);
	}
	*at++ = TAG_BODY;
	at = put_varint(at, body_length);
	if (offset != 0) {
		*at++ = TAG_OFFSET;
		at = put_varint(at, offset);
	}
	*at++ = TAG_DATA;
	at = put_varint(at, data_length);
	return (size_t)(at - prefix);
}

/* What is left to parse. */
struct span {
	const uint8_t *at;
	size_t left;
};

/* Takes `tag` and a varint in its shortest form. */
static bool take_field(struct span *span, uint8_t tag, uint64_t *ret_value)
{
	uint64_t value;
	size_t used;

	if (span->left < 2 || span->at[0] != tag) {
		return false;
	}
	used = wire_varint_read(span->at + 1, span->left - 1, &value);
	if (used == 0 || used != varint_size(value)) {
		return false;
	}
	span->at += 1 + used;
	span->left -= 1 + used;
	*ret_value = value;
	return true;
}

bool wire_body_parse(const uint8_t *data, size_t length, uint64_t *ret_id, uint64_t *ret_offset,
		     struct wire_bytes *ret_data)
{
	struct span span = {.at = data, .left = length};
	uint64_t id, body_length, data_length;
	uint64_t offset = 0;

	if (!take_field(&span, TAG_ID, &id) || id == 0) {
		return false;
	}
	if (!take_field(&span, TAG_BODY, &body_length) || body_length != span.left) {
		return false;
	}
	if (span.left > 0 && span.at[0] == TAG_OFFSET) {
		if (!take_field(&span, TAG_OFFSET, &offset) || offset == 0) {
			return false;
		}
	}
	if (!take_field(&span, TAG_DATA, &data_length) || data_length != span.left ||
	    data_length == 0 || data_length > WIRE_BODY_MAX) {
		return false;
	}
	*ret_id = id;
	*ret_offset = offset;
	*ret_data = (struct wire_bytes){.data = span.at, .length = span.left};
	return true;
}
