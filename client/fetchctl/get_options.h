/* SPDX-License-Identifier: MIT */
/*
 * The command line of `fetchctl get`, checked and in order.
 */
#pragma once

#include "body.h"
#include "cli.h"
#include "output.h"

struct get_target {
	enum output_kind kind;
	const char *path; /* OUTPUT_FILE */
	char *own_path;   /* -O: the same, to be freed */
};

struct get_options {
	struct cli_common common;
	const char **urls;
	char **shown_urls;          /* the same for messages, without passwords */
	struct get_target *targets; /* as many as URLs */
	size_t url_count;
	struct fetchd_request request; /* everything but the URL */
	struct fetchd_field *headers;
	struct body body; /* what does not go with the request is sent behind it */
	size_t parallel;
	bool include_head;
	bool fail;
	bool verbose;
	bool quiet;
	bool no_progress;
};

/* The options, in the order of --help. */
const struct cli_option *get_options_table(size_t *ret_count);

/* 0 and *options (fini it); 1 and *ret_exit when the program is done: after --help or an error,
 * which was printed. */
int get_options_parse(struct get_options *options, int argc, char **argv, int *ret_exit);
void get_options_fini(struct get_options *options);
