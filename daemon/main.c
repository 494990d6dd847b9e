/* SPDX-License-Identifier: MIT */
/*
 * fetchd: command line, configuration, then the application.
 */
#include "app.h"
#include "base/config.h"
#include "options.h"

#include <stdio.h>

static void write_text(void *ctx, const char *text)
{
	fputs(text, ctx);
}

static int finish_output(void)
{
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("fetchd: cannot write to standard output\n", stderr);
		return APP_EXIT_START;
	}
	return APP_EXIT_OK;
}

static int with_config(const struct options *options)
{
	struct config *config = NULL;
	struct config_error error;

	if (config_load(options->config, options->config_given, &config, &error) < 0) {
		fprintf(stderr, "fetchd: %s\n", error.text);
		return APP_EXIT_CONFIG;
	}
	if (options->action == OPTIONS_CHECK_CONFIG) {
		int status = app_check(config);

		config_free(config);
		if (status != APP_EXIT_OK) {
			return status;
		}
		printf("%s: good\n", options->config);
		return finish_output();
	}
	return app_run(options, config);
}

int main(int argc, char **argv)
{
	static struct options options;

	options_parse(&options, argc, argv);
	switch (options.action) {
	case OPTIONS_RUN:
	case OPTIONS_CHECK_CONFIG:
		return with_config(&options);
	case OPTIONS_PRINT_DEFAULT_CONFIG:
		config_print_default(write_text, stdout);
		return finish_output();
	case OPTIONS_PRINT_CONFIG_MAN:
		config_print_man(write_text, stdout);
		return finish_output();
	case OPTIONS_HELP:
		options_help();
		return finish_output();
	case OPTIONS_VERSION:
		puts("fetchd " FETCHD_VERSION);
		return finish_output();
	case OPTIONS_BAD:
		break;
	}
	return APP_EXIT_USAGE;
}
