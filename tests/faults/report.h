/* SPDX-License-Identifier: MIT */
/*
 * Whose fault is what AddressSanitizer and UndefinedBehaviorSanitizer complain about?
 */
#pragma once

#include <stdbool.h>

/* Is it the test itself that uses a null pointer, or a value that is not there, or has handed in a
 * null pointer? Tests ask their handles how things are, and do not expect them to be gone:
 * job_available(client->job). What is between the test and the fault are then functions of just
 * that struct. `output`: all that the program has printed. */
bool report_is_of_test(const char *output);
