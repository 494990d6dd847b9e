/* SPDX-License-Identifier: MIT */
/*
 * Work that blocks (regular files), on threads of its own: it is handed over, runs somewhere else,
 * and its end is told on the loop. What a piece of work touches while it runs belongs to it alone;
 * nothing of the daemon but this file is called from another thread.
 */
#pragma once

#include "base/loop.h"

struct workers;

/* One piece of work, embedded in its owner; all zero is "not handed over". Fields are private. */
struct work {
	/* On a thread: may block, must not call into the daemon. */
	void (*run)(struct work *work);
	/* On the loop, when run() has returned. The work is the owner's again and may be handed
	 * over anew. */
	void (*done)(struct work *work);
	struct work *next;
	bool busy;
};

/* Starts `threads` threads, with all signals blocked. 0 and *ret_workers, or a negative errno. */
int workers_new(struct loop *loop, unsigned threads, struct workers **ret_workers);
/* Waits until all work has run, tells done() of each, runs what these hand over, and ends the
 * threads. Blocks as long as the work does: for the end of the process. NULL is fine. */
void workers_free(struct workers *workers);

/* Hands over; pieces are begun in the order in which they come. The work must not be busy. Never
 * fails: how much waits is bounded by how many owners there are. */
void work_start(struct workers *workers, struct work *work, void (*run)(struct work *work),
		void (*done)(struct work *work));
/* Handed over, and done() not told yet? Then it cannot be freed. */
bool work_is_busy(const struct work *work);
