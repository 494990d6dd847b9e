/* SPDX-License-Identifier: MIT */
/*
 * The one rule there is: http:// by list.
 */
#include "job/policy.h"

#include "base/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int policy_check(const char *h2c_hosts, const struct url *url, struct failure *ret_failure)
{
	char host_port[300];
	bool brackets = strchr(url->host, ':') != NULL;

	if (url->tls) {
		return 0;
	}
	snprintf(host_port, sizeof(host_port), "%s%s%s:%" PRIu16, brackets ? "[" : "", url->host,
		 brackets ? "]" : "", url->port);
	if (config_list_contains(h2c_hosts, url->host) ||
	    config_list_contains(h2c_hosts, host_port)) {
		return 0;
	}
	failure_set(ret_failure, FAIL_CLEARTEXT_NOT_ALLOWED,
		    "http:// to %s is not allowed; use https://, or have the administrator add it "
		    "to pool.h2c_hosts if the server speaks HTTP/2 without TLS",
		    host_port);
	return FAIL_CLEARTEXT_NOT_ALLOWED;
}
