/* SPDX-License-Identifier: MIT */
/*
 * What both directions of wire.h share: a whole message from bytes and to bytes, and the parts that
 * messages of both directions have.
 */
#include "proto/wire_internal.h"

#include "proto/framing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fetchd.pb-c.h"

static void *arena_allocate(void *arena, size_t size)
{
	return wire_arena_alloc(arena, size);
}

static void arena_free(void *arena, void *pointer)
{
	/* Everything goes at once, with the arena. */
	(void)arena;
	(void)pointer;
}

int wire_arena_failure(const struct wire_arena *arena, const char **ret_why)
{
	if (!arena->over_cap) {
		return -ENOMEM;
	}
	*ret_why = "the message has too many parts for its length";
	return -EBADMSG;
}

int wire_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
		size_t max_length, size_t extra_bytes, struct wire_arena *arena,
		ProtobufCMessage **ret_message, const char **ret_why)
{
	ProtobufCAllocator allocator = {
		.alloc = arena_allocate,
		.free = arena_free,
		.allocator_data = arena,
	};
	ProtobufCMessage *message;
	const char *fault;

	if (length > max_length) {
		wire_arena_init(arena, 0);
		*ret_why = "the frame is too long";
		return -EBADMSG;
	}
	wire_arena_init(arena, length * WIRE_DECODE_FACTOR + extra_bytes);
	fault = wire_scan(descriptor, data, length);
	if (fault != NULL) {
		*ret_why = fault;
		return -EBADMSG;
	}
	message = protobuf_c_message_unpack(descriptor, &allocator, length, data);
	if (message == NULL) {
		/* protobuf-c gives no reason: it is the arena's, or the bytes'. */
		if (arena->failed) {
			return wire_arena_failure(arena, ret_why);
		}
		*ret_why = "a field has the wrong type";
		return -EBADMSG;
	}
	*ret_message = message;
	return 0;
}

int wire_pack(const ProtobufCMessage *message, size_t max_length, uint8_t **ret_data,
	      size_t *ret_length)
{
	size_t length = protobuf_c_message_get_packed_size(message);
	uint8_t prefix[FRAMING_PREFIX_MAX];
	size_t prefix_length;
	uint8_t *data;

	if (length > max_length) {
		return -EMSGSIZE;
	}
	prefix_length = framing_prefix(length, prefix);
	data = malloc(prefix_length + length);
	if (data == NULL) {
		return -ENOMEM;
	}
	memcpy(data, prefix, prefix_length);
	protobuf_c_message_pack(message, data + prefix_length);
	*ret_data = data;
	*ret_length = prefix_length + length;
	return 0;
}

int wire_enum(const ProtobufCEnumDescriptor *descriptor, int number)
{
	return protobuf_c_enum_descriptor_get_value(descriptor, number) != NULL ? number : 0;
}

struct wire_bytes wire_bytes_from(const ProtobufCBinaryData *data)
{
	static const uint8_t nothing[1];

	return (struct wire_bytes){
		.data = data->data != NULL ? data->data : nothing,
		.length = data->len,
	};
}

ProtobufCBinaryData wire_bytes_to(const struct wire_bytes *bytes)
{
	static const uint8_t nothing[1];

	/* protobuf-c has no const; packing does not write. */
	return (ProtobufCBinaryData){
		.len = bytes->length,
		.data = (uint8_t *)(bytes->data != NULL ? bytes->data : nothing),
	};
}

const struct wire_field *wire_fields_from(struct wire_arena *arena,
					  Fetchd__V1__Field *const *fields, size_t count)
{
	struct wire_field *result = wire_arena_array(arena, count, sizeof(*result));

	if (result == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		result[i].name = wire_bytes_from(&fields[i]->name);
		result[i].value = wire_bytes_from(&fields[i]->value);
	}
	return result;
}

Fetchd__V1__Field **wire_fields_to(struct wire_arena *arena, const struct wire_field *fields,
				   size_t count)
{
	Fetchd__V1__Field **result = wire_arena_array(arena, count, sizeof(Fetchd__V1__Field *));
	Fetchd__V1__Field *messages = wire_arena_array(arena, count, sizeof(*messages));

	if (result == NULL || messages == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		fetchd__v1__field__init(&messages[i]);
		messages[i].name = wire_bytes_to(&fields[i].name);
		messages[i].value = wire_bytes_to(&fields[i].value);
		result[i] = &messages[i];
	}
	return result;
}
