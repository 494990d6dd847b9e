/* SPDX-License-Identifier: MIT */
/*
 * Why something ended: close reasons, failure codes, and the chain of failures that a user gets to
 * see.
 *
 * A failure is a value. It is built where the fault is seen, wrapped by each layer that can add
 * something, and logged or sent once, by whoever handles it. It never allocates.
 */
#pragma once

#include "proto/codes.h"

#include <stdbool.h>
#include <stdint.h>

enum close_reason {
	CLOSE_NONE = 0,
#define X(name, number) CLOSE_##name = (number),
	CLOSE_REASON_TABLE(X)
#undef X
};

enum failure_code {
	FAIL_NONE = 0,
#define X(name, number) FAIL_##name = (number),
	FAILURE_CODE_TABLE(X)
#undef X
};

/* "ENDED", "CONNECT_FAILED", ...; "NONE" for 0 and for what is no reason. */
const char *close_reason_name(enum close_reason reason);
/* "DNS_NOT_FOUND", ...; likewise. */
const char *failure_code_name(enum failure_code code);

#define FAILURE_TEXT_MAX 256u
#define FAILURE_LINKS_MAX 8u

struct failure_link {
	enum failure_code code;
	int sys_errno; /* 0: none */
	int tls_code;  /* GnuTLS's, negative; 0: none */
	bool has_h2_code;
	uint32_t h2_code;
	char text[FAILURE_TEXT_MAX]; /* one line, NUL-terminated, printable ASCII or UTF-8 */
};

/* A chain, outermost first. All zero is "no failure". About 2 KiB: pass by pointer, keep few. */
struct failure {
	unsigned count;
	struct failure_link links[FAILURE_LINKS_MAX];
};

/* Empties the chain. */
void failure_clear(struct failure *failure);

/* The outermost code, FAIL_NONE if the chain is empty. */
enum failure_code failure_top(const struct failure *failure);

/* Sets the chain to one link; `format` as for printf. Control characters in the result become '?',
 * an overlong text is cut. Returns the link, for the caller to add errno, h2_code or tls_code. */
__attribute__((format(printf, 3, 4))) struct failure_link *
failure_set(struct failure *failure, enum failure_code code, const char *format, ...);

/* Puts a link in front of the chain. If it is full, the link second to the new one is dropped, so
 * that the cause at the far end stays. */
__attribute__((format(printf, 3, 4))) struct failure_link *
failure_wrap(struct failure *failure, enum failure_code code, const char *format, ...);

/* Puts a link at the end. If the chain is full, nothing is added and NULL returned. */
__attribute__((format(printf, 3, 4))) struct failure_link *
failure_append(struct failure *failure, enum failure_code code, const char *format, ...);

/* Copies a chain; `from` NULL clears. */
void failure_copy(struct failure *to, const struct failure *from);

/* "text: text: text" into `buffer`, cut to `size`; returns buffer. For logs. */
const char *failure_print(const struct failure *failure, char *buffer, unsigned size);
