/* SPDX-License-Identifier: MIT */
/* Lines of progress: what they say, and redrawing them with the sequences of ECMA-48. */
#include "progress.h"

#include "cli.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RATE_INTERVAL_MS 250
#define NAME_COLUMNS_MAX 40u
#define LINE_MAX 512u

void progress_rate_update(struct progress_rate *rate, int64_t now_ms, uint64_t received_bytes)
{
	uint64_t current;

	if (!rate->begun || received_bytes < rate->last_bytes) {
		*rate = (struct progress_rate){
			.begun = true, .last_ms = now_ms, .last_bytes = received_bytes};
		return;
	}
	if (now_ms - rate->last_ms < RATE_INTERVAL_MS) {
		return;
	}
	current = (received_bytes - rate->last_bytes) * 1000 / (uint64_t)(now_ms - rate->last_ms);
	/* New values weigh a quarter: steady enough to read, quick enough to be true. */
	rate->bytes_per_s =
		rate->bytes_per_s == 0 ? current : (rate->bytes_per_s * 3 + current) / 4;
	rate->last_ms = now_ms;
	rate->last_bytes = received_bytes;
}

/* Columns that UTF-8 text takes, taking one for each character. */
static size_t columns(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++) {
		count += ((unsigned char)*text & 0xc0) != 0x80;
	}
	return count;
}

/* Cuts after that many columns, never inside a character. */
static void cut(char *text, size_t width)
{
	size_t count = 0;

	for (; *text != '\0'; text++) {
		if (((unsigned char)*text & 0xc0) != 0x80 && count++ == width) {
			*text = '\0';
			return;
		}
	}
}

/* The total stands where it ends in the lines of running ones. */
static void format_done(const struct progress_row *row, char *buffer, size_t size)
{
	char total[16], rate[16], elapsed[24];

	(void)cli_format_bytes(row->received_bytes, total, sizeof(total));
	(void)cli_format_bytes(row->rate_bytes_per_s, rate, sizeof(rate));
	if (row->elapsed_ms < 1000) {
		(void)snprintf(elapsed, sizeof(elapsed), "%ums", (unsigned)row->elapsed_ms);
	} else {
		(void)cli_format_duration(row->elapsed_ms, elapsed, sizeof(elapsed));
	}
	(void)snprintf(buffer, size, "100%%       %-5s  %5s/s  in %s", total, rate, elapsed);
}

/* What a row says behind its name. */
static void format_facts(const struct progress_row *row, char *buffer, size_t size)
{
	char received[16], total[16], rate[16], eta[24];
	uint64_t whole = row->total_bytes > 0 ? (uint64_t)row->total_bytes : 0;

	(void)cli_format_bytes(row->received_bytes, received, sizeof(received));
	(void)cli_format_bytes(row->rate_bytes_per_s, rate, sizeof(rate));
	if (row->done) {
		format_done(row, buffer, size);
	} else if (row->waiting_for[0] != '\0') {
		(void)snprintf(buffer, size, "%s", row->waiting_for);
	} else if (whole == 0) {
		(void)snprintf(buffer, size, "     %5s        %5s/s", received, rate);
	} else {
		uint64_t done = row->received_bytes < whole ? row->received_bytes : whole;
		/* Dividing first where the product would not fit. */
		uint64_t percent =
			whole > UINT64_MAX / 100 ? done / (whole / 100) : done * 100 / whole;

		(void)cli_format_bytes(whole, total, sizeof(total));
		eta[0] = '\0';
		if (row->rate_bytes_per_s > 0 && done < whole) {
			uint64_t left_s = (whole - done - 1) / row->rate_bytes_per_s + 1;

			if (left_s < 60) {
				(void)snprintf(eta, sizeof(eta), "%us", (unsigned)left_s);
			} else {
				left_s = left_s > UINT32_MAX ? UINT32_MAX : left_s;
				(void)cli_format_duration(left_s * 1000, eta, sizeof(eta));
			}
		}
		(void)snprintf(buffer, size, "%3u%% %5s/%-5s  %5s/s%s%s",
			       (unsigned)(percent > 100 ? 100 : percent), received, total, rate,
			       eta[0] != '\0' ? "  ETA " : "", eta);
	}
}

const char *progress_format(const struct progress_row *row, size_t width, char *buffer, size_t size)
{
	char name[LINE_MAX], facts[LINE_MAX], clean[LINE_MAX];
	size_t name_width = width / 3 < NAME_COLUMNS_MAX ? width / 3 : NAME_COLUMNS_MAX;
	size_t padding;

	format_facts(row, facts, sizeof(facts));
	(void)cli_printable(facts, clean, sizeof(clean));
	(void)cli_printable(row->name, name, sizeof(name));
	cut(name, name_width);
	padding = name_width - columns(name);
	(void)snprintf(buffer, size, "%s%*s  %s", name, (int)padding, "", clean);
	cut(buffer, width);
	return buffer;
}

void progress_init(struct progress *progress, FILE *out)
{
	*progress = (struct progress){.out = isatty(fileno(out)) ? out : NULL};
}

bool progress_due(const struct progress *progress, int64_t now_ms)
{
	return progress->out != NULL &&
	       (progress->stale || now_ms - progress->drawn_ms >= PROGRESS_INTERVAL_MS);
}

void progress_clear(struct progress *progress)
{
	if (progress->out == NULL || progress->drawn_lines == 0) {
		return;
	}
	/* Up to the first line, and everything below away. */
	(void)fprintf(progress->out, "\r\033[%zuA\033[J", progress->drawn_lines);
	(void)fflush(progress->out);
	progress->drawn_lines = 0;
	progress->stale = true;
}

/* Asked each time: the window may have changed. */
static void window_size(const struct progress *progress, size_t *ret_width, size_t *ret_lines)
{
	struct winsize size = {0};

	*ret_width = 80;
	*ret_lines = 24;
	if (ioctl(fileno(progress->out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		*ret_width = size.ws_col;
		*ret_lines = size.ws_row > 0 ? size.ws_row : *ret_lines;
	}
}

/* One column is left free: some terminals begin a new line when the last one is used. */
static void print_row(const struct progress *progress, const struct progress_row *row, size_t width)
{
	char line[LINE_MAX];

	(void)fprintf(progress->out, "%s\033[K\n",
		      progress_format(row, width > 1 ? width - 1 : 1, line, sizeof(line)));
}

void progress_keep(struct progress *progress, const struct progress_row *row)
{
	size_t width, lines;

	if (progress->out == NULL) {
		return;
	}
	window_size(progress, &width, &lines);
	if (progress->drawn_lines > 0) {
		(void)fprintf(progress->out, "\r\033[%zuA", progress->drawn_lines);
	}
	print_row(progress, row, width);
	(void)fputs("\033[J", progress->out);
	(void)fflush(progress->out);
	progress->drawn_lines = 0;
	progress->stale = true;
}

void progress_draw(struct progress *progress, const struct progress_row *rows, size_t count,
		   int64_t now_ms)
{
	size_t width, lines;

	if (progress->out == NULL) {
		return;
	}
	window_size(progress, &width, &lines);
	/* What scrolled off the screen could not be redrawn. */
	if (count > lines - 1) {
		count = lines - 1;
	}
	if (progress->drawn_lines > 0) {
		(void)fprintf(progress->out, "\r\033[%zuA", progress->drawn_lines);
	}
	for (size_t i = 0; i < count; i++) {
		print_row(progress, &rows[i], width);
	}
	(void)fputs("\033[J", progress->out);
	(void)fflush(progress->out);
	progress->drawn_lines = count;
	progress->stale = false;
	progress->drawn_ms = now_ms;
}
