/* SPDX-License-Identifier: MIT */
/*
 * What wire*.c share: from bytes to a checked protobuf-c message and back. Private to them.
 */
#pragma once

#include "proto/wire.h"
#include "proto/wire_arena.h"

#include <protobuf-c/protobuf-c.h>

struct Fetchd__V1__Field;

/* Decoding may take this many times the frame's length, and a constant for the densest frames that
 * are allowed: from a client, 128 header fields of one byte each; from the daemon, as many header
 * fields as it can be configured to let through (4096), or 256 jobs with nothing in them. */
#define WIRE_DECODE_FACTOR 8u
#define WIRE_CLIENT_DECODE_EXTRA 65536u
#define WIRE_SERVER_DECODE_EXTRA 655360u

/* Unknown fields that one message may carry. Enough for a peer that is years newer. */
#define WIRE_UNKNOWN_FIELDS_MAX 16u

/* ---- wire_scan.c: looking at bytes before anything is allocated for them ---- */

/* Reads a varint of at most ten bytes; padding is allowed, as in protobuf. Returns its size, 0 if
 * there is no whole one or it does not fit 64 bits. */
size_t wire_varint_read(const uint8_t *data, size_t length, uint64_t *ret_value);

/* Size of the UTF-8 character at `data` (RFC 3629), 0 if there is none. NUL is none: it cannot be
 * told from the end of a C string. */
size_t wire_utf8_step(const uint8_t *data, size_t length);

/* Is that UTF-8 throughout? */
bool wire_utf8_valid(const char *text);

/* Walks a message and its sub-messages along their descriptors. NULL if it is well-formed, its
 * strings are UTF-8 without NUL and no message has too many unknown fields; else the fault. */
const char *wire_scan(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data,
		      size_t length);

/* ---- wire.c ---- */

/* Scans and unpacks one frame of at most `max_length` bytes into the arena, which it sets up with a
 * cap of WIRE_DECODE_FACTOR times the frame's length and `extra_bytes`, and which the caller
 * finishes, also after a failure. 0; -EBADMSG and *ret_why; -ENOMEM. */
int wire_unpack(const ProtobufCMessageDescriptor *descriptor, const uint8_t *data, size_t length,
		size_t max_length, size_t extra_bytes, struct wire_arena *arena,
		ProtobufCMessage **ret_message, const char **ret_why);

/* The failure of an allocation from a decoding arena: -ENOMEM, or -EBADMSG and *ret_why. */
int wire_arena_failure(const struct wire_arena *arena, const char **ret_why);

/* Length prefix and message in one allocation. 0, -EMSGSIZE above `max_length`, -ENOMEM. */
int wire_pack(const ProtobufCMessage *message, size_t max_length, uint8_t **ret_data,
	      size_t *ret_length);

/* An enum's number as it came, or 0 if the schema has no such value. */
int wire_enum(const ProtobufCEnumDescriptor *descriptor, int number);

/* Bytes as they came; never a NULL pointer, so that nobody hands one to memcpy(). */
struct wire_bytes wire_bytes_from(const ProtobufCBinaryData *data);

/* Bytes to send; borrowed. */
ProtobufCBinaryData wire_bytes_to(const struct wire_bytes *bytes);

/* Header fields; the bytes are borrowed, the arrays are the arena's. NULL if it is used up (never
 * for no fields). */
const struct wire_field *wire_fields_from(struct wire_arena *arena,
					  struct Fetchd__V1__Field *const *fields, size_t count);
struct Fetchd__V1__Field **wire_fields_to(struct wire_arena *arena, const struct wire_field *fields,
					  size_t count);
