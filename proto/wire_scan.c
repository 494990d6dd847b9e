/* SPDX-License-Identifier: MIT */
/*
 * A look at the bytes of a frame before protobuf-c sees them. protobuf-c gives strings as C
 * strings, so a NUL inside one would be invisible afterwards; it does not check UTF-8, which every
 * other runtime does (and a bad string in one client's hello would reach the others in a list); and
 * it keeps a copy of every unknown field. What is not looked at here, unpacking checks.
 */
#include "proto/wire_internal.h"

#include <string.h>

#define VARINT_BYTES_MAX 10u
#define CONTINUES 0x80u
#define PAYLOAD_BITS 7u
#define PAYLOAD_MASK 0x7fu
#define WIRE_TYPE_BITS 3u
#define WIRE_TYPE_MASK 7u
/* Envelope, message, and two levels of parts. */
#define DEPTH_MAX 8u

size_t wire_varint_read(const uint8_t *data, size_t length, uint64_t *ret_value)
{
	uint64_t value = 0;

	for (size_t i = 0; i < length && i < VARINT_BYTES_MAX; i++) {
		uint64_t bits = data[i] & PAYLOAD_MASK;

		/* The tenth byte has room for one bit. */
		if (i == VARINT_BYTES_MAX - 1 && bits > 1) {
			return 0;
		}
		value |= bits << (PAYLOAD_BITS * i);
		if (!(data[i] & CONTINUES)) {
			*ret_value = value;
			return i + 1;
		}
	}
	return 0;
}

size_t wire_utf8_step(const uint8_t *data, size_t length)
{
	uint8_t low = 0x80, high = 0xbf; /* range of the second byte */
	size_t size;

	if (length == 0 || data[0] == 0) {
		return 0;
	}
	if (data[0] < 0x80) {
		return 1;
	}
	if (data[0] >= 0xc2 && data[0] <= 0xdf) {
		size = 2;
	} else if (data[0] >= 0xe0 && data[0] <= 0xef) {
		size = 3;
		if (data[0] == 0xe0) {
			low = 0xa0; /* below: could be shorter */
		} else if (data[0] == 0xed) {
			high = 0x9f; /* above: surrogates */
		}
	} else if (data[0] >= 0xf0 && data[0] <= 0xf4) {
		size = 4;
		if (data[0] == 0xf0) {
			low = 0x90; /* below: could be shorter */
		} else if (data[0] == 0xf4) {
			high = 0x8f; /* above: beyond U+10FFFF */
		}
	} else {
		return 0;
	}
	if (length < size || data[1] < low || data[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < size; i++) {
		if ((data[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return size;
}

static const char *scan_string(const uint8_t *data, size_t length)
{
	while (length > 0) {
		size_t step = wire_utf8_step(data, length);

		if (step == 0) {
			return *data == 0 ? "a string contains NUL" : "a string is not UTF-8";
		}
		data += step;
		length -= step;
	}
	return NULL;
}

bool wire_utf8_valid(const char *text)
{
	return scan_string((const uint8_t *)text, strlen(text)) == NULL;
}

static const char *scan_message(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
				size_t length, unsigned depth)
{
	unsigned unknown_count = 0;

	if (depth > DEPTH_MAX) {
		return "messages nested too deeply";
	}
	while (length > 0) {
		const ProtobufCFieldDescriptor *field;
		const char *fault = NULL;
		uint64_t tag, value;
		size_t used = wire_varint_read(data, length, &tag);

		if (used == 0 || tag > UINT32_MAX || tag >> WIRE_TYPE_BITS == 0) {
			return "bad field tag";
		}
		data += used;
		length -= used;

		field = protobuf_c_message_descriptor_get_field(descriptor,
								(unsigned)(tag >> WIRE_TYPE_BITS));
		if (field == NULL && ++unknown_count > WIRE_UNKNOWN_FIELDS_MAX) {
			return "too many unknown fields";
		}

		switch (tag & WIRE_TYPE_MASK) {
		case PROTOBUF_C_WIRE_TYPE_VARINT:
			used = wire_varint_read(data, length, &value);
			if (used == 0) {
				return "bad varint";
			}
			break;
		case PROTOBUF_C_WIRE_TYPE_64BIT:
			used = 8;
			break;
		case PROTOBUF_C_WIRE_TYPE_32BIT:
			used = 4;
			break;
		case PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED:
			used = wire_varint_read(data, length, &value);
			if (used == 0 || value > length - used) {
				return "a field is longer than its message";
			}
			data += used;
			length -= used;
			used = (size_t)value;
			if (field != NULL && field->type == PROTOBUF_C_TYPE_STRING) {
				fault = scan_string(data, used);
			} else if (field != NULL && field->type == PROTOBUF_C_TYPE_MESSAGE) {
				fault = scan_message(field->descriptor, data, used, depth + 1);
			}
			break;
		default:
			return "unknown wire type";
		}
		if (fault != NULL) {
			return fault;
		}
		if (used > length) {
			return "a field is longer than its message";
		}
		data += used;
		length -= used;
	}
	return NULL;
}

const char *wire_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
		      size_t length)
{
	return scan_message(descriptor, data, length, 0);
}
