/* SPDX-License-Identifier: MIT */
/*
 * What the code under test calls in place of c-ares' function; renamed.txt says so.
 */
#pragma once

int faulty_ares_library_init(int flags);
