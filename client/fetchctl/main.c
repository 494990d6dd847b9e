/* SPDX-License-Identifier: MIT */
/*
 * fetchctl: the command line of fetchd. Picks the verb; each has its own file.
 */
#include "cli.h"
#include "exit_codes.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct verb {
	const char *name;
	const char *summary;
	int (*run)(int argc, char **argv);
} verbs[] = {
	{"get", "fetch URLs", verb_get},
	{"list", "show open jobs", verb_list},
	{"cancel", "cancel jobs by their number", verb_cancel},
	{"stats", "show the daemon's counters", verb_stats},
	{"ping", "measure the way to the daemon and back", verb_ping},
	{"version", "show the versions of fetchctl and of the daemon", verb_version},
};

static void print_help(FILE *out)
{
	(void)fputs("Usage: fetchctl [--socket PATH] [--json] VERB [OPTION...] [ARGUMENT...]\n"
		    "Fetches over HTTP/2 through the local daemon fetchd.\n\n"
		    "Verbs:\n",
		    out);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		(void)fprintf(out, "  %-8s %s\n", verbs[i].name, verbs[i].summary);
	}
	(void)fputs("\n`fetchctl VERB --help` shows a verb's options, `fetchctl --version` the "
		    "version of fetchctl.\n"
		    "The daemon's socket is $FETCHD_SOCKET, else the user's own, else the "
		    "system's.\n",
		    out);
}

/* Where the verb is: after the options that every verb has, which may stand before it, too. */
static int find_verb(int argc, char **argv)
{
	int at = 1;

	while (at < argc) {
		if (strcmp(argv[at], "--socket") == 0) {
			at += 2;
		} else if (strcmp(argv[at], "--json") == 0 ||
			   strncmp(argv[at], "--socket=", 9) == 0) {
			at++;
		} else {
			break;
		}
	}
	return at;
}

int main(int argc, char **argv)
{
	static char program[] = "fetchctl";
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	const int at = find_verb(argc, argv);
	const char *name = at < argc ? argv[at] : NULL;
	char *shown;

	/* A closed pipe is an error with an exit code of its own. */
	(void)sigaction(SIGPIPE, &ignore, NULL);

	if (at > argc) {
		cli_error("--socket needs a PATH");
		return EXIT_CODE_USAGE;
	}
	if (name == NULL) {
		print_help(stderr);
		return EXIT_CODE_USAGE;
	}
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
		print_help(stdout);
		return cli_finish_stdout();
	}
	if (strcmp(name, "--version") == 0) {
		(void)printf("fetchctl %s\n", fetchd_version());
		return cli_finish_stdout();
	}
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(name, verbs[i].name) == 0) {
			/* The verb's own parser gets what stood before it, too, and begins its
			 * messages with the program's name. */
			memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
			argv[1] = program;
			return verbs[i].run(argc - 1, argv + 1);
		}
	}
	if (name[0] == '-') {
		cli_error("%s cannot stand before the verb; see fetchctl --help", name);
		return EXIT_CODE_USAGE;
	}
	/* Who forgot `get` has given a URL. */
	shown = cli_shown_url(name);
	cli_error("no such verb: %s; see fetchctl --help", shown != NULL ? shown : "");
	free(shown);
	return EXIT_CODE_USAGE;
}
