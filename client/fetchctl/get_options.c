/* SPDX-License-Identifier: MIT */
/* From the arguments of `fetchctl get` to a request, URLs and where their bodies go. */
#include "get_options.h"

#include "exit_codes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PARALLEL_DEFAULT 8u
#define PARALLEL_MAX 10000u
#define REDIRECTS_DEFAULT 10u

enum get_key {
	KEY_MAX_SIZE = CLI_FIRST_OWN,
	KEY_WARN_SIZE,
	KEY_TIMEOUT,
	KEY_CONNECT_TIMEOUT,
	KEY_STALL_TIMEOUT,
	KEY_QUEUE_TIMEOUT,
	KEY_FIRST_BYTE_TIMEOUT,
	KEY_PRIORITY,
	KEY_RETRY,
	KEY_NO_REPLAY,
	KEY_MAX_REDIRS,
	KEY_TO_CLEARTEXT,
	KEY_PARALLEL,
	KEY_NO_PROGRESS,
	KEY_VERSION,
};

static const struct cli_option table[] = {
	{'o', "output", "FILE", "Write to FILE when complete; the nth -o is for the nth URL"},
	{'O', "remote-name", NULL, "Write to a file named as the URL's last path segment"},
	{'X', "request", "METHOD", "Request method; GET, or POST with -d, or PUT with -T"},
	{'H', "header", "'N: V'", "Add a request header field; may be repeated"},
	{'d', "data", "DATA", "Request body: DATA, @FILE, or @- for standard input"},
	{'T', "upload-file", "FILE",
	 "Request body: the contents of FILE, or of standard input (-)"},
	{'i', "include", NULL, "Write the response's head before the body"},
	{'f', "fail", NULL, "A status of 400 or more is an error, and its body is not written"},
	{'L', "location", NULL, "Follow redirections, at most 10 of them"},
	{KEY_MAX_REDIRS, "max-redirs", "N", "With -L: follow at most N"},
	{KEY_TO_CLEARTEXT, "redirect-to-cleartext", NULL,
	 "With -L: also from https:// to http:// where that is allowed"},
	{KEY_MAX_SIZE, "max-size", "SIZE", "Most bytes the body may have; 0: any number"},
	{KEY_WARN_SIZE, "warn-size", "SIZE", "Warn when the body is longer; 0: never"},
	{KEY_TIMEOUT, "timeout", "SECONDS", "Longest time for all of it; 0: no limit"},
	{KEY_CONNECT_TIMEOUT, "connect-timeout", "SECONDS", "Longest time until connected"},
	{KEY_STALL_TIMEOUT, "stall-timeout", "SECONDS", "Longest time without a byte"},
	{KEY_QUEUE_TIMEOUT, "queue-timeout", "SECONDS", "Longest time in the daemon's queue"},
	{KEY_FIRST_BYTE_TIMEOUT, "first-byte-timeout", "SECONDS",
	 "Longest time from request to response"},
	{KEY_PRIORITY, "priority", "LEVEL", "low, normal, high or urgent"},
	{KEY_RETRY, "retry", NULL, "Let the daemon try again after a temporary failure"},
	{KEY_NO_REPLAY, "no-replay", NULL, "Never send the request a second time"},
	{KEY_PARALLEL, "parallel", "N", "At most so many fetches at once; 8"},
	{'v', "verbose", NULL, "Say on standard error how each fetch ended, and how it went"},
	{'q', "quiet", NULL, "No progress, no warnings; errors are still printed"},
	{KEY_NO_PROGRESS, "no-progress", NULL, "No progress"},
	CLI_COMMON_OPTIONS,
	{KEY_VERSION, "version", NULL, "Show the version"},
};

#define OPTION_COUNT (sizeof(table) / sizeof(table[0]))

const struct cli_option *get_options_table(size_t *ret_count)
{
	*ret_count = OPTION_COUNT;
	return table;
}

/* What is known only when all arguments have been seen. */
struct collected {
	const char **outputs;
	size_t output_count;
	size_t header_count;
	bool remote_name;
	bool has_data; /* -d */
	bool upload;   /* -T */
	bool location;
	bool has_max_redirects;
	uint32_t max_redirects;
};

static int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

static int usage_error(const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	cli_error("%s", text);
	return EXIT_CODE_USAGE;
}

static int out_of_memory(void)
{
	cli_error("out of memory");
	return EXIT_CODE_INTERNAL;
}

static void print_help(void)
{
	(void)printf("Usage: fetchctl get URL... [OPTION...]\n"
		     "Fetches URLs, and writes their bodies to standard output in order, or to "
		     "files.\nSIZE is in bytes, or with K, M or G in powers of 1024.\n");
	cli_print_options(stdout, table, OPTION_COUNT);
	exit_codes_print(stdout);
	(void)printf("With several URLs: the code of the first one, in the order given, that did "
		     "not end well.\n");
}

/* ---- single options ---- */

static int parse_size(const char *name, uint64_t *ret_bytes)
{
	if (cli_parse_size(optarg, ret_bytes) < 0) {
		cli_error("--%s: not a size: %s", name, optarg);
		return EXIT_CODE_USAGE;
	}
	return 0;
}

static int parse_seconds(const char *name, uint64_t *ret_ms)
{
	if (cli_parse_seconds(optarg, ret_ms) < 0) {
		cli_error("--%s: not a number of seconds: %s", name, optarg);
		return EXIT_CODE_USAGE;
	}
	return 0;
}

static int parse_priority(struct get_options *options)
{
	for (enum fetchd_priority priority = FETCHD_PRIORITY_LOW;
	     priority <= FETCHD_PRIORITY_URGENT; priority++) {
		if (strcasecmp(optarg, fetchd_priority_name(priority)) == 0) {
			options->request.priority = priority;
			return 0;
		}
	}
	return usage_error("--priority: not low, normal, high or urgent: %s", optarg);
}

static int add_header(struct get_options *options, struct collected *collected)
{
	const char *colon = strchr(optarg, ':'), *value;
	size_t value_length;

	if (colon == NULL || colon == optarg) {
		return usage_error("-H: not of the form 'Name: value': %s", optarg);
	}
	value = colon + 1 + strspn(colon + 1, " \t");
	value_length = strlen(value);
	while (value_length > 0 &&
	       (value[value_length - 1] == ' ' || value[value_length - 1] == '\t')) {
		value_length--;
	}
	options->headers[collected->header_count++] = (struct fetchd_field){
		.name = optarg,
		.name_length = (size_t)(colon - optarg),
		.value = value,
		.value_length = value_length,
	};
	return 0;
}

static int body_error(int error, const char *option)
{
	bool is_stdin;

	if (error == -ENOMEM) {
		return out_of_memory();
	}
	if (error == -EFBIG) {
		return usage_error("-d: a file of more than %u bytes must be the only -d",
				   BODY_READ_AHEAD_BYTES);
	}
	is_stdin = strcmp(optarg, "-") == 0 || strcmp(optarg, "@-") == 0;
	cli_error("%s: cannot read %s: %s", option,
		  is_stdin ? "standard input" : optarg + (optarg[0] == '@' && option[1] == 'd'),
		  strerror(-error));
	return EXIT_CODE_OUTPUT;
}

static int add_data(struct get_options *options, struct collected *collected)
{
	int r = optarg[0] == '@' ? body_add_file(&options->body, optarg + 1)
				 : body_add_text(&options->body, optarg);

	collected->has_data = true;
	return r < 0 ? body_error(r, "-d") : 0;
}

static int set_upload(struct get_options *options, struct collected *collected)
{
	int r;

	if (collected->upload) {
		return usage_error("-T can be given once: a request has one body");
	}
	collected->upload = true;
	if (collected->has_data) {
		return 0; /* refused when all is known */
	}
	r = body_set_file(&options->body, optarg);
	return r < 0 ? body_error(r, "-T") : 0;
}

static int take_option(struct get_options *options, struct collected *collected, int key)
{
	struct fetchd_request *request = &options->request;
	uint64_t number;

	switch (key) {
	case 'o':
		collected->outputs[collected->output_count++] = optarg;
		return 0;
	case 'O':
		collected->remote_name = true;
		return 0;
	case 'X':
		request->method = optarg;
		return 0;
	case 'H':
		return add_header(options, collected);
	case 'd':
		return add_data(options, collected);
	case 'T':
		return set_upload(options, collected);
	case 'i':
		options->include_head = true;
		return 0;
	case 'f':
		options->fail = true;
		return 0;
	case 'L':
		collected->location = true;
		return 0;
	case KEY_MAX_REDIRS:
		if (cli_parse_number(optarg, 0, UINT32_MAX, &number) < 0) {
			return usage_error("--max-redirs: not a number from 0 to %" PRIu32 ": %s",
					   UINT32_MAX, optarg);
		}
		collected->has_max_redirects = true;
		collected->max_redirects = (uint32_t)number;
		return 0;
	case KEY_TO_CLEARTEXT:
		request->redirect_to_cleartext = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case 'q':
		options->quiet = true;
		return 0;
	case KEY_NO_PROGRESS:
		options->no_progress = true;
		return 0;
	case KEY_MAX_SIZE:
		return parse_size("max-size", &request->max_size_bytes);
	case KEY_WARN_SIZE:
		return parse_size("warn-size", &request->warn_size_bytes);
	case KEY_TIMEOUT:
		return parse_seconds("timeout", &request->total_timeout_ms);
	case KEY_CONNECT_TIMEOUT:
		return parse_seconds("connect-timeout", &request->connect_timeout_ms);
	case KEY_STALL_TIMEOUT:
		return parse_seconds("stall-timeout", &request->stall_timeout_ms);
	case KEY_QUEUE_TIMEOUT:
		return parse_seconds("queue-timeout", &request->queue_timeout_ms);
	case KEY_FIRST_BYTE_TIMEOUT:
		return parse_seconds("first-byte-timeout", &request->first_byte_timeout_ms);
	case KEY_PRIORITY:
		return parse_priority(options);
	case KEY_RETRY:
		request->retry_allowed = true;
		return 0;
	case KEY_NO_REPLAY:
		request->replay_forbidden = true;
		return 0;
	case KEY_PARALLEL:
		if (cli_parse_number(optarg, 1, PARALLEL_MAX, &number) < 0) {
			return usage_error("--parallel: not a number from 1 to 10000: %s", optarg);
		}
		options->parallel = (size_t)number;
		return 0;
	case CLI_SOCKET:
	case CLI_JSON:
	case CLI_HELP:
		return 0;
	default: /* '?': getopt has said what is wrong */
		return EXIT_CODE_USAGE;
	}
}

/* ---- all together ---- */

static bool has_header(const struct get_options *options, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (options->headers[i].name_length == strlen(name) &&
		    strncasecmp(options->headers[i].name, name, strlen(name)) == 0) {
			return true;
		}
	}
	return false;
}

static int compare_paths(const void *left, const void *right)
{
	const char *const *a = left, *const *b = right;

	return strcmp(*a, *b);
}

/* No two URLs may go to one file; a device takes more. */
static int check_twins(const struct get_options *options)
{
	const char **paths = calloc(options->url_count, sizeof(*paths));
	size_t count = 0;
	int r = 0;

	if (paths == NULL) {
		return out_of_memory();
	}
	for (size_t i = 0; i < options->url_count; i++) {
		const struct get_target *target = &options->targets[i];

		if (target->kind == OUTPUT_FILE && strncmp(target->path, "/dev/", 5) != 0) {
			paths[count++] = target->path;
		}
	}
	qsort(paths, count, sizeof(*paths), compare_paths);
	for (size_t i = 1; r == 0 && i < count; i++) {
		if (strcmp(paths[i - 1], paths[i]) == 0) {
			r = usage_error("two URLs would be written to %s", paths[i]);
		}
	}
	free(paths);
	return r;
}

static int set_targets(struct get_options *options, const struct collected *collected)
{
	if (collected->output_count > options->url_count) {
		return usage_error("%zu times -o (or a lone -) for %zu URL%s: the nth -o is for "
				   "the nth URL",
				   collected->output_count, options->url_count,
				   options->url_count == 1 ? "" : "s");
	}
	for (size_t i = 0; i < options->url_count; i++) {
		struct get_target *target = &options->targets[i];
		int r;

		if (i < collected->output_count) {
			target->path = collected->outputs[i];
			target->kind = strcmp(target->path, "-") == 0 ? OUTPUT_STDOUT : OUTPUT_FILE;
			if (target->path[0] == '\0') {
				return usage_error("-o: the name of the file is empty");
			}
		} else if (collected->remote_name) {
			r = output_name_from_url(options->urls[i], &target->own_path);
			if (r == -ENOMEM) {
				return out_of_memory();
			}
			if (r < 0) {
				return usage_error("-O: no usable file name in %s; use -o FILE",
						   options->shown_urls[i]);
			}
			target->path = target->own_path;
			target->kind = OUTPUT_FILE;
		} else {
			/* With --json standard output is taken, and the body is left out. */
			target->kind = options->common.json ? OUTPUT_NONE : OUTPUT_STDOUT;
		}
		if (target->kind == OUTPUT_STDOUT && options->common.json) {
			cli_error("--json and -o - both want standard output");
			return EXIT_CODE_USAGE;
		}
	}
	return check_twins(options);
}

static int set_redirects(struct get_options *options, const struct collected *collected)
{
	struct fetchd_request *request = &options->request;

	/* Given without -L they would be without effect, and nobody would notice. */
	if (!collected->location) {
		if (collected->has_max_redirects) {
			return usage_error("--max-redirs says how far, and -L that redirections "
					   "are followed at all: add -L");
		}
		if (request->redirect_to_cleartext) {
			return usage_error("--redirect-to-cleartext is for redirections that are "
					   "followed: add -L");
		}
		return 0;
	}
	request->max_redirects =
		collected->has_max_redirects ? collected->max_redirects : REDIRECTS_DEFAULT;
	return 0;
}

static int set_body(struct get_options *options, struct collected *collected)
{
	struct fetchd_request *request = &options->request;
	const struct body *body = &options->body;
	uint64_t length;

	if (collected->has_data && collected->upload) {
		return usage_error("-d and -T both give the request's body: choose one");
	}
	if (!body->given) {
		return 0;
	}
	if (request->method == NULL) {
		request->method = collected->upload ? "PUT" : "POST";
	}
	if (body_is_for_one(body) && options->url_count > 1) {
		return usage_error("what is sent can be read only once, and there are %zu URLs",
				   options->url_count);
	}
	if (body->fd < 0) {
		request->body = body->data;
		request->body_length = body->length;
	} else {
		request->upload = true;
		request->upload_length = body_known_length(body, &length) ? length : FETCHD_DEFAULT;
	}
	if (collected->has_data && !has_header(options, collected->header_count, "content-type")) {
		options->headers[collected->header_count++] = (struct fetchd_field){
			.name = "content-type",
			.name_length = FETCHD_NUL_TERMINATED,
			.value = "application/x-www-form-urlencoded",
			.value_length = FETCHD_NUL_TERMINATED,
		};
	}
	return 0;
}

static int set_request(struct get_options *options, struct collected *collected)
{
	struct fetchd_request *request = &options->request;
	int r = set_redirects(options, collected);

	if (r != 0) {
		return r;
	}
	r = set_body(options, collected);
	if (r != 0) {
		return r;
	}
	request->headers = options->headers;
	request->header_count = collected->header_count;
	for (size_t i = 0; i < options->url_count; i++) {
		const char *why = "";

		request->url = options->urls[i];
		r = fetchd_request_check(request, &why);
		if (r == -EMSGSIZE && request->body != NULL) {
			/* What does not fit its request is sent behind it; then for all URLs. */
			request->body = NULL;
			request->body_length = 0;
			request->upload = true;
			request->upload_length = options->body.length;
			r = fetchd_request_check(request, &why);
		}
		if (r < 0) {
			cli_error("%.512s: %s", options->shown_urls[i], why);
			return EXIT_CODE_USAGE;
		}
	}
	return 0;
}

static int collect(struct get_options *options, struct collected *collected, int argc, char **argv)
{
	struct cli_parser parser;
	int key, r;

	cli_parser_init(&parser, table, OPTION_COUNT);
	while ((key = cli_parser_next(&parser, argc, argv, &options->common)) != -1) {
		if (options->common.help) {
			print_help();
			return cli_finish_stdout();
		}
		if (key == KEY_VERSION) {
			(void)printf("fetchctl %s\n", fetchd_version());
			options->common.help = true;
			return cli_finish_stdout();
		}
		r = take_option(options, collected, key);
		if (r != 0) {
			return r;
		}
	}
	for (int i = optind; i < argc; i++) {
		/* A lone dash is standard output, as if it were `-o -`. */
		if (strcmp(argv[i], "-") == 0) {
			collected->outputs[collected->output_count++] = "-";
		} else {
			options->shown_urls[options->url_count] = cli_shown_url(argv[i]);
			if (options->shown_urls[options->url_count] == NULL) {
				return out_of_memory();
			}
			options->urls[options->url_count++] = argv[i];
		}
	}
	if (options->url_count == 0) {
		cli_error("get needs a URL; see fetchctl get --help");
		return EXIT_CODE_USAGE;
	}
	r = set_targets(options, collected);
	return r != 0 ? r : set_request(options, collected);
}

int get_options_parse(struct get_options *options, int argc, char **argv, int *ret_exit)
{
	struct collected collected = {0};
	size_t most = (size_t)argc + 1;

	*options =
		(struct get_options){.parallel = PARALLEL_DEFAULT, .request = FETCHD_REQUEST_INIT};
	body_init(&options->body);
	/* No list can be longer than the command line. */
	options->urls = calloc(most, sizeof(*options->urls));
	options->shown_urls = calloc(most, sizeof(*options->shown_urls));
	options->targets = calloc(most, sizeof(*options->targets));
	options->headers = calloc(most, sizeof(*options->headers));
	collected.outputs = calloc(most, sizeof(*collected.outputs));
	if (options->urls == NULL || options->shown_urls == NULL || options->targets == NULL ||
	    options->headers == NULL || collected.outputs == NULL) {
		*ret_exit = out_of_memory();
	} else {
		*ret_exit = collect(options, &collected, argc, argv);
	}
	free(collected.outputs);
	if (*ret_exit != 0 || options->common.help) {
		get_options_fini(options);
		return 1;
	}
	return 0;
}

void get_options_fini(struct get_options *options)
{
	for (size_t i = 0; options->targets != NULL && i < options->url_count; i++) {
		free(options->targets[i].own_path);
	}
	for (size_t i = 0; options->shown_urls != NULL && i < options->url_count; i++) {
		free(options->shown_urls[i]);
	}
	free(options->urls);
	free(options->shown_urls);
	free(options->targets);
	free(options->headers);
	body_fini(&options->body);
	*options = (struct get_options){0};
	body_init(&options->body);
}
