/* SPDX-License-Identifier: MIT */
/*
 * c-ares allocates as the code under test does. It asks for functions once and for all, when it is
 * initialized first; that is here.
 */
#include "faults/cares.h"

#include "faults/allocations.h"

#include <ares.h>
#include <stdlib.h>

int faulty_ares_library_init(int flags)
{
	return allocation_fails()
		       ? ARES_ENOMEM
		       : ares_library_init_mem(flags, faulty_malloc, free, faulty_realloc);
}
