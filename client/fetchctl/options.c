/* SPDX-License-Identifier: MIT */
/* Command line options from tables, and the numbers in them. */
#include "cli.h"
#include "exit_codes.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void cli_parser_init(struct cli_parser *parser, const struct cli_option *options, size_t count)
{
	size_t at = 0;

	assert(count <= CLI_OPTIONS_MAX);
	*parser = (struct cli_parser){0};
	for (size_t i = 0; i < count; i++) {
		const struct cli_option *option = &options[i];

		parser->longs[i] = (struct option){
			.name = option->name,
			.has_arg = option->argument != NULL ? required_argument : no_argument,
			.val = option->key,
		};
		if (option->key < 256) {
			parser->shorts[at++] = (char)option->key;
			if (option->argument != NULL) {
				parser->shorts[at++] = ':';
			}
		}
	}
}

int cli_parser_next(struct cli_parser *parser, int argc, char **argv, struct cli_common *common)
{
	int key = getopt_long(argc, argv, parser->shorts, parser->longs, NULL);

	if (key == CLI_SOCKET) {
		common->socket = optarg;
	} else if (key == CLI_JSON) {
		common->json = true;
	} else if (key == CLI_HELP) {
		common->help = true;
	}
	return key;
}

void cli_print_options(FILE *out, const struct cli_option *options, size_t count)
{
	(void)fputs("\nOptions:\n", out);
	for (size_t i = 0; i < count; i++) {
		const struct cli_option *option = &options[i];
		char left[64];

		(void)snprintf(left, sizeof(left), "%c%c%s--%s%s%s", option->key < 256 ? '-' : ' ',
			       option->key < 256 ? option->key : ' ',
			       option->key < 256 ? ", " : "  ", option->name,
			       option->argument != NULL ? " " : "",
			       option->argument != NULL ? option->argument : "");
		(void)fprintf(out, "  %-30s %s\n", left, option->text);
	}
}

int cli_parse_simple(int argc, char **argv, const char *usage, struct cli_common *common,
		     int *ret_exit)
{
	static const struct cli_option options[] = {CLI_COMMON_OPTIONS};
	const size_t count = sizeof(options) / sizeof(options[0]);
	struct cli_parser parser;
	int key;

	*common = (struct cli_common){0};
	cli_parser_init(&parser, options, count);
	while ((key = cli_parser_next(&parser, argc, argv, common)) != -1) {
		if (key == '?') {
			*ret_exit = EXIT_CODE_USAGE;
			return -1;
		}
	}
	if (common->help) {
		(void)printf("%s", usage);
		cli_print_options(stdout, options, count);
		*ret_exit = cli_finish_stdout();
		return -1;
	}
	return optind;
}

/* Digits at *text; moves it behind them. */
static int parse_digits(const char **text, uint64_t *ret_number)
{
	char *end = NULL;
	unsigned long long number;

	/* strtoull() would take a sign and spaces. */
	if (!isdigit((unsigned char)(*text)[0])) {
		return -EINVAL;
	}
	errno = 0;
	number = strtoull(*text, &end, 10);
	if (errno != 0) {
		return -ERANGE;
	}
	*text = end;
	*ret_number = number;
	return 0;
}

int cli_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret_number)
{
	uint64_t number;
	int r = parse_digits(&text, &number);

	if (r < 0) {
		return r;
	}
	if (*text != '\0') {
		return -EINVAL;
	}
	if (number < minimum || number > maximum) {
		return -ERANGE;
	}
	*ret_number = number;
	return 0;
}

int cli_parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMG";
	const char *unit;
	uint64_t number;
	unsigned shift = 0;
	int r = parse_digits(&text, &number);

	if (r < 0) {
		return r;
	}
	if (*text != '\0') {
		unit = strchr(units, toupper((unsigned char)*text));
		if (unit == NULL || *unit == '\0' || text[1] != '\0') {
			return -EINVAL;
		}
		shift = 10u * (unsigned)(unit - units + 1);
	}
	/* The highest number of all means "default" in a request. */
	if (number > (UINT64_MAX - 1) >> shift) {
		return -ERANGE;
	}
	*ret_bytes = number << shift;
	return 0;
}

int cli_parse_seconds(const char *text, uint64_t *ret_ms)
{
	uint64_t seconds, ms = 0, scale = 100;
	int r = parse_digits(&text, &seconds);

	if (r < 0) {
		return r;
	}
	if (*text == '.') {
		text++;
		if (*text == '\0') {
			return -EINVAL;
		}
		for (; isdigit((unsigned char)*text) && scale > 0; text++, scale /= 10) {
			ms += (uint64_t)(*text - '0') * scale;
		}
	}
	if (*text != '\0') {
		return -EINVAL;
	}
	if (seconds > UINT32_MAX) {
		return -ERANGE;
	}
	*ret_ms = seconds * 1000 + ms;
	return 0;
}
