/* SPDX-License-Identifier: MIT */
/*
 * Where fetches may go at all. Pure.
 */
#pragma once

#include "base/failure.h"
#include "net/url.h"

/* Cleartext goes only where the administrator allows it by name: `h2c_hosts` is pool.h2c_hosts, a
 * list of "host" for any port and "host:port" for one. 0, or CLEARTEXT_NOT_ALLOWED (positive) and
 * *ret_failure. */
int policy_check(const char *h2c_hosts, const struct url *url, struct failure *ret_failure);
