/* SPDX-License-Identifier: MIT */
/*
 * The daemon as a whole: builds the layers on each other, reloads them, lets them drain, takes them
 * down.
 */
#pragma once

#include "base/config.h"
#include "options.h"

enum {
	APP_EXIT_OK = 0,
	APP_EXIT_START = 1,
	APP_EXIT_USAGE = 2,
	APP_EXIT_CONFIG = 3
};

/* Tries what a good configuration can still get wrong: the trust store, the name servers. Says on
 * standard error what is. Returns the process's exit status. */
int app_check(const struct config *config);

/* Runs until the daemon is told to stop. `config` is consumed. Returns the process's exit status.
 */
int app_run(const struct options *options, struct config *config);
