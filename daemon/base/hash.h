/* SPDX-License-Identifier: MIT */
/*
 * uthash as this project uses it: out of memory is an error to return, not a reason to exit. After
 * HASH_ADD, look at the element's hh.tbl: NULL says that it could not be added.
 */
#pragma once

#define HASH_NONFATAL_OOM 1
/* uthash's default function falls through its cases in a way that clang warns of. Keys are uids,
 * numbers that the daemon counts, a client's own ids (which harm nobody else) and origins, of which
 * there is a ceiling: a plain function does. */
#define HASH_FUNCTION(keyptr, keylen, hashv) HASH_FNV(keyptr, keylen, hashv)
#include <uthash.h>
