/* SPDX-License-Identifier: MIT */
/*
 * The form of an input of fuzz_http_connection: shared by the fuzzer, which plays it, and by the
 * mutator, which must not take it apart in the wrong places.
 *
 *     one byte of options, then records:
 *       ff OPERATION ARGUMENT   something happens on our side, or to the network
 *       anything else           a frame as the server sends it: header, and payload as long as the
 *                               header says or as there is input
 *
 * ff would begin a frame of 16 MiB, so nothing is lost by that. What comes in frames waits until
 * SCRIPT_READ, or the input's end.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SCRIPT_MARK 0xffu
#define SCRIPT_OPERATION_SIZE 3u
#define SCRIPT_FRAME_HEADER 9u

enum script_option {
	SCRIPT_SETTINGS_FIRST = 1, /* a good SETTINGS frame comes before all others */
	SCRIPT_EAGER = 2,          /* the readers take what arrives at once */
	SCRIPT_FICKLE = 4,         /* they let go of their streams at the head */
	SCRIPT_UPLOAD = 8,         /* the second request has a body */
	SCRIPT_ONE = 16,           /* one stream to begin with, not three */
	SCRIPT_SILENT = 32,        /* the server does not hang up at the input's end: time passes */
	SCRIPT_TWICE = 64,         /* played once more in one piece: the outcome must be the same */
	SCRIPT_UNREACHABLE = 128   /* the dial fails */
};

enum script_operation {
	SCRIPT_READ,      /* so many rounds of the loop (low 4 bits); 0: until all is read */
	SCRIPT_PIECE,     /* reads give at most so many bytes; 0: as many as there are */
	SCRIPT_PASS,      /* so many tenths of seconds pass */
	SCRIPT_FREE,      /* lets go of a stream */
	SCRIPT_RESET,     /* resets a stream, and keeps what has arrived */
	SCRIPT_TAKE,      /* a stream (low 3 bits) is read: all of it, or so many bytes (high 5) */
	SCRIPT_SUBMIT,    /* one more request, of that kind */
	SCRIPT_ROOM,      /* so many times 8 bytes can be written; 255: any number */
	SCRIPT_END,       /* the stream ends; see enum network_end */
	SCRIPT_DRAIN,     /* the connection is to end with its last stream */
	SCRIPT_SUSPECT,   /* somebody thinks that the path is dead */
	SCRIPT_CHECK,     /* somebody wants to use the connection after a while */
	SCRIPT_HANG_UP,   /* we end the connection */
	SCRIPT_TRAP,      /* the next callback of a kind (low 3 bits) does something (high 5) */
	SCRIPT_LOOK,      /* somebody looks at it all */
	SCRIPT_BULK,      /* the server sends a DATA frame on one of the first four streams (low 2
			     bits), of so many times 256 bytes (high 6) */
	SCRIPT_OPERATIONS /* how many there are */
};

/* Length of the record at `data`, of which `size` > 0 bytes are there: 1 to `size`. */
static inline size_t script_record(const uint8_t *data, size_t size)
{
	size_t length = SCRIPT_OPERATION_SIZE;

	if (data[0] != SCRIPT_MARK) {
		length = SCRIPT_FRAME_HEADER;
		if (size >= 3) {
			length += (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2];
		}
	}
	return length < size ? length : size;
}
