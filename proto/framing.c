/* SPDX-License-Identifier: MIT */
/*
 * The frame cutter of framing.h. Knows lengths only: what a frame means is the business of wire.h.
 */
#include "proto/framing.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONTINUES 0x80u
#define PAYLOAD_BITS 7u
#define PAYLOAD_MASK 0x7fu

void frame_reader_init(struct frame_reader *reader, size_t max_frame)
{
	*reader = (struct frame_reader){.max_frame = max_frame};
}

void frame_reader_fini(struct frame_reader *reader)
{
	free(reader->frame);
	*reader = (struct frame_reader){.max_frame = reader->max_frame};
}

bool frame_reader_partial(const struct frame_reader *reader)
{
	return reader->in_frame || reader->prefix_length > 0;
}

/* Takes bytes of the length prefix. 1 and *ret_length when it is whole, 0 when it is not yet,
 * -EBADMSG. */
static int take_prefix(struct frame_reader *reader, const uint8_t *data, size_t length,
		       size_t *used, size_t *ret_length)
{
	size_t value = 0;

	for (;;) {
		uint8_t byte;

		if (*used == length) {
			return 0;
		}
		byte = data[(*used)++];
		reader->prefix[reader->prefix_length++] = byte;
		if (!(byte & CONTINUES)) {
			/* A last byte of zero adds nothing: the form is not the shortest. */
			if (byte == 0 && reader->prefix_length > 1) {
				return -EBADMSG;
			}
			break;
		}
		if (reader->prefix_length == FRAMING_PREFIX_MAX) {
			return -EBADMSG;
		}
	}
	for (unsigned i = reader->prefix_length; i > 0; i--) {
		value = value << PAYLOAD_BITS | (reader->prefix[i - 1] & PAYLOAD_MASK);
	}
	reader->prefix_length = 0;
	*ret_length = value;
	return 1;
}

int frame_reader_next(struct frame_reader *reader, const uint8_t *data, size_t length,
		      size_t *ret_used, const uint8_t **ret_frame, size_t *ret_frame_length)
{
	size_t used = 0;
	size_t take;

	*ret_used = 0;
	if (!reader->in_frame) {
		size_t frame_length;
		int result;

		/* The frame that the last call handed out, if it was the reader's own. */
		free(reader->frame);
		reader->frame = NULL;

		result = take_prefix(reader, data, length, &used, &frame_length);
		*ret_used = used;
		if (result <= 0) {
			return result;
		}
		if (frame_length > reader->max_frame) {
			return -EMSGSIZE;
		}
		if (frame_length <= length - used) {
			*ret_frame = data + used;
			*ret_frame_length = frame_length;
			*ret_used = used + frame_length;
			return 1;
		}
		reader->frame = malloc(frame_length);
		if (reader->frame == NULL) {
			return -ENOMEM;
		}
		reader->length = frame_length;
		reader->filled = 0;
		reader->in_frame = true;
	}

	take = reader->length - reader->filled;
	if (take > length - used) {
		take = length - used;
	}
	if (take > 0) {
		memcpy(reader->frame + reader->filled, data + used, take);
	}
	reader->filled += take;
	*ret_used = used + take;
	if (reader->filled < reader->length) {
		return 0;
	}
	reader->in_frame = false;
	*ret_frame = reader->frame;
	*ret_frame_length = reader->length;
	return 1;
}

size_t framing_prefix(size_t length, uint8_t prefix[FRAMING_PREFIX_MAX])
{
	size_t size = 0;

	assert(length < (size_t)1 << (PAYLOAD_BITS * FRAMING_PREFIX_MAX));
	while (length > PAYLOAD_MASK) {
		prefix[size++] = (uint8_t)(CONTINUES | (length & PAYLOAD_MASK));
		length >>= PAYLOAD_BITS;
	}
	prefix[size++] = (uint8_t)length;
	return size;
}
