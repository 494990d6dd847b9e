/* SPDX-License-Identifier: MIT */
/*
 * fetchd's command line.
 */
#pragma once

#include "base/log.h"

#include <stdbool.h>

enum options_action {
	OPTIONS_RUN,
	OPTIONS_CHECK_CONFIG,
	OPTIONS_PRINT_DEFAULT_CONFIG,
	OPTIONS_PRINT_CONFIG_MAN,
	OPTIONS_HELP,
	OPTIONS_VERSION,
	OPTIONS_BAD, /* what was wrong is on standard error */
};

struct options {
	enum options_action action;
	char config[4096];
	bool config_given; /* then it must exist */
	char socket[4096];
	char state_dir[4096]; /* "": none */
	bool has_log_level;
	enum log_level log_level;
};

/* Reads the command line and, for what it leaves open, the environment. */
void options_parse(struct options *options, int argc, char **argv);
/* Writes the help text to standard output. */
void options_help(void);
