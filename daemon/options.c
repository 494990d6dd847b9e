/* SPDX-License-Identifier: MIT */
/*
 * The command line and the defaults that depend on who runs the daemon: the system's, or one user's
 * own.
 */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	OPTION_CONFIG = 256,
	OPTION_SOCKET,
	OPTION_STATE_DIR,
	OPTION_LOG_LEVEL,
	OPTION_CHECK,
	OPTION_PRINT,
	OPTION_PRINT_MAN,
	OPTION_VERSION,
	OPTION_HELP
};

static const struct option long_options[] = {
	{"config", required_argument, NULL, OPTION_CONFIG},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"state-dir", required_argument, NULL, OPTION_STATE_DIR},
	{"log-level", required_argument, NULL, OPTION_LOG_LEVEL},
	{"check-config", no_argument, NULL, OPTION_CHECK},
	{"print-default-config", no_argument, NULL, OPTION_PRINT},
	{"print-config-man", no_argument, NULL, OPTION_PRINT_MAN},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

void options_help(void)
{
	fputs("Usage: fetchd [OPTION]...\n"
	      "Fetches for local clients over pooled HTTP/2 connections.\n"
	      "\n"
	      "  --config FILE           configuration; drop-ins are FILE.d/*.conf\n"
	      "                          (default: " FETCHD_SYSTEM_CONFIG ",\n"
	      "                          or ~/.config/fetchd/fetchd.conf for a user)\n"
	      "  --socket PATH           socket to listen on, if none is handed over\n"
	      "                          (default: " FETCHD_SYSTEM_SOCKET ",\n"
	      "                          or $XDG_RUNTIME_DIR/fetchd/fetchd.sock for a user)\n"
	      "  --state-dir DIR         folder for what outlives the daemon\n"
	      "                          (default: $STATE_DIRECTORY)\n"
	      "  --log-level LEVEL       error, warning, info or debug;\n"
	      "                          wins over daemon.log_level\n"
	      "  --check-config          read the configuration, say what is wrong, exit\n"
	      "  --print-default-config  write a commented default configuration, exit\n"
	      "  --print-config-man      write the keys' reference in scdoc, exit\n"
	      "  --version               write the version, exit\n"
	      "  --help                  write this, exit\n"
	      "\n"
	      "Exit status: 0 stopped as asked, 1 cannot start, 2 bad command line,\n"
	      "3 bad configuration. See fetchd(8) and fetchd.conf(5).\n",
	      stdout);
}

static void set_path(struct options *options, char *target, size_t size, const char *value,
		     const char *name)
{
	if (strlen(value) >= size || value[0] == '\0') {
		fprintf(stderr, "fetchd: %s: the path is empty or too long\n", name);
		options->action = OPTIONS_BAD;
		return;
	}
	memcpy(target, value, strlen(value) + 1);
}

/* One user's own daemon, as opposed to the system's: it has a runtime folder of its own. */
static const char *user_runtime_dir(void)
{
	const char *dir = secure_getenv("XDG_RUNTIME_DIR");

	return geteuid() != 0 && dir && dir[0] == '/' ? dir : NULL;
}

static void set_defaults(struct options *options)
{
	const char *runtime = user_runtime_dir();
	const char *home = secure_getenv("HOME");
	const char *config_home = secure_getenv("XDG_CONFIG_HOME");
	const char *state = secure_getenv("STATE_DIRECTORY");

	if (!options->config[0]) {
		if (runtime && config_home && config_home[0] == '/') {
			snprintf(options->config, sizeof(options->config), "%s/fetchd/fetchd.conf",
				 config_home);
		} else if (runtime && home && home[0] == '/') {
			snprintf(options->config, sizeof(options->config),
				 "%s/.config/fetchd/fetchd.conf", home);
		} else {
			snprintf(options->config, sizeof(options->config), "%s",
				 FETCHD_SYSTEM_CONFIG);
		}
	}
	if (!options->socket[0] && runtime) {
		snprintf(options->socket, sizeof(options->socket), "%s/fetchd/fetchd.sock",
			 runtime);
	} else if (!options->socket[0]) {
		snprintf(options->socket, sizeof(options->socket), "%s", FETCHD_SYSTEM_SOCKET);
	}
	if (!options->state_dir[0] && state) {
		snprintf(options->state_dir, sizeof(options->state_dir), "%s", state);
	}
}

static void take_option(struct options *options, int option)
{
	switch (option) {
	case OPTION_CONFIG:
		set_path(options, options->config, sizeof(options->config), optarg, "--config");
		options->config_given = true;
		break;
	case OPTION_SOCKET:
		set_path(options, options->socket, sizeof(options->socket), optarg, "--socket");
		break;
	case OPTION_STATE_DIR:
		set_path(options, options->state_dir, sizeof(options->state_dir), optarg,
			 "--state-dir");
		break;
	case OPTION_LOG_LEVEL:
		if (log_level_parse(optarg, &options->log_level) < 0) {
			fprintf(stderr,
				"fetchd: --log-level: \"%s\" is none of error, warning, info, "
				"debug\n",
				optarg);
			options->action = OPTIONS_BAD;
		}
		options->has_log_level = true;
		break;
	case OPTION_CHECK:
		options->action = OPTIONS_CHECK_CONFIG;
		break;
	case OPTION_PRINT:
		options->action = OPTIONS_PRINT_DEFAULT_CONFIG;
		break;
	case OPTION_PRINT_MAN:
		options->action = OPTIONS_PRINT_CONFIG_MAN;
		break;
	case OPTION_VERSION:
		options->action = OPTIONS_VERSION;
		break;
	case OPTION_HELP:
		options->action = OPTIONS_HELP;
		break;
	default: /* getopt has said what is wrong */
		options->action = OPTIONS_BAD;
		break;
	}
}

void options_parse(struct options *options, int argc, char **argv)
{
	int option = 0;

	*options = (struct options){.action = OPTIONS_RUN};
	while (options->action != OPTIONS_BAD &&
	       (option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		take_option(options, option);
	}
	if (options->action != OPTIONS_BAD && optind < argc) {
		fprintf(stderr, "fetchd: unexpected argument \"%s\"\n", argv[optind]);
		options->action = OPTIONS_BAD;
	}
	if (options->action == OPTIONS_BAD) {
		fputs("Try \"fetchd --help\".\n", stderr);
		return;
	}
	set_defaults(options);
}
