/* SPDX-License-Identifier: MIT */
/*
 * What is likely to find most comes first: there may not be time for everything.
 */
#include "faults/plan.h"

#include <stddef.h>

static const unsigned long periods[] = {1, 2, 3, 5, 7, 11, 17, 29, 53};
#define PERIODS (sizeof(periods) / sizeof(periods[0]))

/* Number `index` of `count`, so that all come once and neighbours late. */
static unsigned long scatter(unsigned long index, unsigned long count)
{
	unsigned long step = count * 5 / 8 + 1;

	for (;; step++) {
		unsigned long a = count, b = step;

		while (b != 0) {
			unsigned long rest = a % b;

			a = b;
			b = rest;
		}
		if (a == 1) {
			return index % count * step % count;
		}
	}
}

bool plan_next(unsigned long count, unsigned long *number, struct plan *ret_plan)
{
	while (count > 0) {
		unsigned long index = (*number)++;
		unsigned long first = 0, every = 0;

		if (index < PERIODS) {
			every = periods[index];
			first = every - 1;
		} else if (index - PERIODS < count) {
			first = scatter(index - PERIODS, count);
		} else {
			size_t i = 0;

			index -= PERIODS + count;
			while (i < PERIODS && index >= periods[i] - 1) {
				index -= periods[i] - 1;
				i++;
			}
			if (i == PERIODS) {
				return false;
			}
			every = periods[i];
			first = index;
		}
		/* With one failure only it is one of the single ones. */
		if (every == 0 || first + every < count) {
			ret_plan->first = first;
			ret_plan->every = every;
			return true;
		}
	}
	return false;
}
