/* SPDX-License-Identifier: MIT */
/*
 * Progress lines on a terminal: one for each running transfer, redrawn in place. Knows nothing of
 * jobs: it is given rows.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Not more often than this. */
#define PROGRESS_INTERVAL_MS 100

struct progress_row {
	const char *name;
	const char *waiting_for; /* "" while it moves */
	uint64_t received_bytes;
	int64_t total_bytes;       /* -1: unknown */
	uint64_t rate_bytes_per_s; /* 0: unknown; of the whole time when `done` */
	bool done;
	uint64_t elapsed_ms; /* when `done` */
};

/* The rate of one transfer, smoothed. Zero-initialised is new. */
struct progress_rate {
	bool begun;
	int64_t last_ms;
	uint64_t last_bytes;
	uint64_t bytes_per_s;
};
void progress_rate_update(struct progress_rate *rate, int64_t now_ms, uint64_t received_bytes);

/* One line without its newline, never wider than `width` columns. Returns `buffer`. */
const char *progress_format(const struct progress_row *row, size_t width, char *buffer,
			    size_t size);

struct progress {
	FILE *out; /* NULL: off */
	size_t drawn_lines;
	int64_t drawn_ms;
	bool stale; /* lines were taken away, and should be there again soon */
};
/* On if `out` is a terminal. */
void progress_init(struct progress *progress, FILE *out);
bool progress_due(const struct progress *progress, int64_t now_ms);
void progress_draw(struct progress *progress, const struct progress_row *rows, size_t count,
		   int64_t now_ms);
/* Puts a row above the others, where it stays. */
void progress_keep(struct progress *progress, const struct progress_row *row);
/* Takes the lines away, so that something else can be printed. */
void progress_clear(struct progress *progress);
