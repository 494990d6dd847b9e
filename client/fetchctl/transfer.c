/* SPDX-License-Identifier: MIT */
/* One URL of `fetchctl get`: its job's events, its output, its end. */
#include "exit_codes.h"
#include "get.h"
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define BAR_INTERVAL_MS 100u
#define JSON_INTERVAL_MS 250u
/* What one that was held back begins with where the daemon's own default is 0. */
#define FIRST_CREDIT_BYTES (256u * 1024u)

static bool json_on(const struct transfer *transfer)
{
	return transfer->get->options->common.json;
}

/* One line of --json: which event of which URL, and then its facts (consumed; NULL: none). */
static void print_event(struct transfer *transfer, const char *event, json_t *facts)
{
	json_t *object = json_object();

	json_put(&object, "event", json_text(event));
	json_put(&object, "index", json_count(transfer->index));
	json_put(&object, "url", json_text(transfer->shown_url));
	if (object == NULL || facts == NULL || json_object_update(object, facts) != 0 ||
	    json_print(json_incref(object)) < 0) {
		transfer->get->stop_code = EXIT_CODE_INTERNAL;
	}
	json_decref(facts);
	json_decref(object);
}

static void print_number(struct transfer *transfer, const char *event, const char *key,
			 uint64_t number)
{
	json_t *facts = json_object();

	json_put(&facts, key, json_count(number));
	print_event(transfer, event, facts);
}

/* ---- output ---- */

static void report_write_error(struct transfer *transfer, int error)
{
	get_message(transfer->get, "%s: cannot write to %s: %s", transfer->shown_url,
		    transfer->output.kind == OUTPUT_STDOUT
			    ? "standard output"
			    : transfer->get->options->targets[transfer->index].path,
		    strerror(error));
}

static void write_output(struct transfer *transfer, const void *data, size_t length)
{
	struct get *get = transfer->get;
	int r = output_write(&transfer->output, data, length, get->interrupted);

	if (r == 0) {
		return;
	}
	transfer->local_error = r;
	if (transfer->output.kind == OUTPUT_STDOUT && r == -EPIPE) {
		get->stop_code = EXIT_CODE_STDOUT_CLOSED;
	} else if (r != -EINTR) {
		report_write_error(transfer, -r);
	}
	if (transfer->job != NULL) {
		fetchd_job_cancel(transfer->job);
	}
}

/* The head as -i shows it, with CRLF as on the wire of HTTP/1.1. NULL without memory. */
static char *head_text(const struct fetchd_head *head)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL) {
		return NULL;
	}
	(void)fprintf(out, "HTTP/2 %" PRIu32 "\r\n", head->status);
	for (size_t i = 0; i < head->header_count; i++) {
		(void)fwrite(head->headers[i].name, 1, head->headers[i].name_length, out);
		(void)fputs(": ", out);
		(void)fwrite(head->headers[i].value, 1, head->headers[i].value_length, out);
		(void)fputs("\r\n", out);
	}
	(void)fputs("\r\n", out);
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static void show_head(struct transfer *transfer, const struct fetchd_head *head)
{
	char *text = head_text(head);

	if (text == NULL) {
		get_message(transfer->get, "out of memory");
		transfer->local_error = -ENOMEM;
		fetchd_job_cancel(transfer->job);
		return;
	}
	if (transfer->held) {
		transfer->pending_head = text;
		return;
	}
	write_output(transfer, text, strlen(text));
	free(text);
}

void transfer_take_turn(struct transfer *transfer)
{
	const struct fetchd_server *server = fetchd_get_server(transfer->get->connection);

	if (!transfer->held) {
		return;
	}
	transfer->held = false;
	if (transfer->pending_head != NULL) {
		write_output(transfer, transfer->pending_head, strlen(transfer->pending_head));
		free(transfer->pending_head);
		transfer->pending_head = NULL;
		/* Ended well before its head could be shown. */
		if (transfer->state == TRANSFER_DONE && transfer->local_error < 0 &&
		    transfer->exit_code == 0) {
			transfer->exit_code = EXIT_CODE_OUTPUT;
		}
	}
	if (transfer->state == TRANSFER_RUNNING && transfer->local_error == 0) {
		fetchd_job_credit(transfer->job, server != NULL && server->default_credit_bytes > 0
							 ? server->default_credit_bytes
							 : FIRST_CREDIT_BYTES);
	}
}

/* ---- events ---- */

static void on_accepted(struct fetchd_job *job, uint64_t daemon_id, void *user)
{
	(void)job;
	if (json_on(user)) {
		print_number(user, "accepted", "job", daemon_id);
	}
}

static void on_informational(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	(void)job;
	if (json_on(user)) {
		print_event(user, "informational", json_head(head));
	}
}

static void on_head(struct fetchd_job *job, const struct fetchd_head *head, void *user)
{
	struct transfer *transfer = user;
	const struct get_options *options = transfer->get->options;

	transfer->status = head->status;
	transfer->content_length = head->content_length;
	transfer->waiting_for[0] = '\0';
	if (head->url[0] != '\0') {
		/* Only for a message: without memory it goes without. */
		transfer->final_url = cli_shown_url(head->url);
	}
	if (options->common.json) {
		print_event(transfer, "head", json_head(head));
	}
	if (options->fail && head->status >= 400) {
		transfer->bad_status = true;
		fetchd_job_cancel(job);
	} else if (options->include_head) {
		show_head(transfer, head);
	}
}

static void on_body(struct fetchd_job *job, uint64_t offset, const void *data, size_t length,
		    void *user)
{
	struct transfer *transfer = user;

	(void)job;
	if (json_on(transfer)) {
		json_t *facts = json_object();

		json_put(&facts, "offset", json_count(offset));
		json_put(&facts, "length", json_count(length));
		print_event(transfer, "body", facts);
	}
	transfer->received_bytes = offset + length;
	write_output(transfer, data, length);
}

static void on_trailers(struct fetchd_job *job, const struct fetchd_field *fields,
			size_t field_count, void *user)
{
	(void)job;
	if (json_on(user)) {
		json_t *facts = json_object();

		json_put(&facts, "headers", json_fields(fields, field_count));
		print_event(user, "trailers", facts);
	}
}

static void on_warning(struct fetchd_job *job, enum fetchd_warning_code code, const char *text,
		       void *user)
{
	struct transfer *transfer = user;
	const struct get_options *options = transfer->get->options;

	(void)job;
	if (json_on(transfer)) {
		json_t *facts = json_object();

		json_put(&facts, "code", json_text(fetchd_warning_code_name(code)));
		json_put(&facts, "text", json_text(text));
		print_event(transfer, "warning", facts);
	}
	/* The daemon has a limit of its own, of which only those are told who want to know. */
	if (!options->quiet &&
	    (options->verbose || options->request.warn_size_bytes != FETCHD_DEFAULT)) {
		get_message(transfer->get, "%s: warning: %s", transfer->shown_url, text);
	}
}

static void on_progress(struct fetchd_job *job, const struct fetchd_progress *progress, void *user)
{
	struct transfer *transfer = user;

	(void)job;
	if (json_on(transfer)) {
		print_event(transfer, "progress", json_progress(progress));
	}
	if (transfer->passed) {
		transfer->received_bytes = progress->delivered_bytes;
	}
	/* While the body comes, what the daemon waits for from time to time is us. */
	if (progress->state == FETCHD_JOB_RECEIVING || progress->state == FETCHD_JOB_DELIVERING) {
		transfer->waiting_for[0] = '\0';
		return;
	}
	(void)snprintf(transfer->waiting_for, sizeof(transfer->waiting_for), "%s",
		       progress->waiting_for);
}

static void on_upload(struct fetchd_job *job, uint64_t room_bytes, void *user)
{
	(void)job;
	(void)room_bytes;
	upload_feed(user);
}

/* ---- the end ---- */

static const char *row_name(const struct transfer *transfer)
{
	const struct get_target *target = &transfer->get->options->targets[transfer->index];
	const char *name = target->kind == OUTPUT_FILE ? target->path : transfer->shown_url;
	const char *slash = strrchr(name, '/');

	return slash != NULL && slash[1] != '\0' ? slash + 1 : name;
}

/* What the end means for this program; prints why if it is bad. */
static int settle(struct transfer *transfer, const struct fetchd_closed *closed)
{
	struct get *get = transfer->get;
	int r;

	if (transfer->local_error < 0) {
		return transfer->local_error == -EPIPE && transfer->output.kind == OUTPUT_STDOUT
			       ? EXIT_CODE_STDOUT_CLOSED
			       : EXIT_CODE_OUTPUT;
	}
	if (transfer->bad_status) {
		get_message(get, "%s: status %" PRIu32, transfer->shown_url, transfer->status);
		return EXIT_CODE_HTTP_STATUS;
	}
	if (transfer->passed && closed->reason == FETCHD_CLOSE_OUTPUT_FAILED &&
	    closed->failure_count > 0) {
		/* As if we had written it ourselves. */
		report_write_error(transfer, (int)closed->failures[0].sys_errno);
		return EXIT_CODE_OUTPUT;
	}
	if (closed->reason != FETCHD_CLOSE_ENDED) {
		/* Nobody needs to be told what they have just asked for. */
		if (get->stop_code == 0 || closed->reason != FETCHD_CLOSE_CANCELLED) {
			report_failure(transfer, closed);
		}
		return exit_code_of(closed->reason);
	}
	r = output_commit(&transfer->output);
	if (r < 0) {
		get_message(get, "%s: cannot finish the output file: %s", transfer->shown_url,
			    strerror(-r));
		return EXIT_CODE_OUTPUT;
	}
	return 0;
}

static void finish(struct transfer *transfer, int exit_code)
{
	struct get *get = transfer->get;

	output_discard(&transfer->output);
	if (transfer->state == TRANSFER_RUNNING) {
		get->running--;
	}
	transfer->job = NULL;
	transfer->upload_wanted = false;
	transfer->state = TRANSFER_DONE;
	transfer->exit_code = exit_code;
	get->done++;
	if (get->turn == transfer->index && get->stop_code == 0) {
		get_next_turn(get);
	}
}

/* Its line of progress, for good. */
static void keep_line(struct transfer *transfer, const struct fetchd_closed *closed)
{
	uint64_t us = closed->end_us > 0 ? (uint64_t)closed->end_us : 1;
	struct progress_row row = {
		.name = row_name(transfer),
		.waiting_for = "",
		.received_bytes = transfer->received_bytes,
		.total_bytes = (int64_t)transfer->received_bytes,
		.done = true,
		.elapsed_ms = us / 1000,
	};

	/* Dividing first where the product would not fit. */
	row.rate_bytes_per_s = row.received_bytes > UINT64_MAX / 1000000
				       ? row.received_bytes / us * 1000000
				       : row.received_bytes * 1000000 / us;
	progress_keep(&transfer->get->progress, &row);
}

static void on_closed(struct fetchd_job *job, const struct fetchd_closed *closed, void *user)
{
	struct transfer *transfer = user;
	int exit_code;

	(void)job;
	if (transfer->passed) {
		transfer->received_bytes = closed->delivered_bytes;
	}
	exit_code = settle(transfer, closed);
	if (exit_code == 0) {
		keep_line(transfer, closed);
	}
	if (transfer->get->options->verbose) {
		report_end(transfer, closed);
	}
	if (json_on(transfer)) {
		json_t *facts = json_closed(closed);

		json_put(&facts, "exit_code", json_count((uint64_t)exit_code));
		print_event(transfer, "closed", facts);
	}
	finish(transfer, exit_code);
}

/* ---- the beginning ---- */

static const char *open_error_text(int error)
{
	if (error == -EISDIR) {
		return "it is a directory; name a file in it";
	}
	return error == -ENOENT ? "its folder does not exist" : strerror(-error);
}

static int open_output(struct transfer *transfer)
{
	const struct get_target *target = &transfer->get->options->targets[transfer->index];
	int r;

	switch (target->kind) {
	case OUTPUT_NONE:
		break;
	case OUTPUT_STDOUT:
		output_open_stdout(&transfer->output);
		break;
	case OUTPUT_FILE:
		r = output_open_file(&transfer->output, target->path);
		/* One that ends gives its file back. */
		if (r == -EMFILE && transfer->get->running > 0) {
			return -EAGAIN;
		}
		if (r < 0) {
			get_message(transfer->get, "%s: cannot write to %s: %s",
				    transfer->shown_url, target->path, open_error_text(r));
			return r;
		}
		break;
	}
	return 0;
}

/* Is the body all that goes to the file, and nobody wants to hear of each piece of it? Then the
 * daemon may write it, which saves its way through us. */
static bool can_pass(const struct transfer *transfer)
{
	const struct get_options *options = transfer->get->options;

	return options->targets[transfer->index].kind == OUTPUT_FILE && !options->common.json &&
	       !options->include_head;
}

int transfer_start(struct transfer *transfer)
{
	static const struct fetchd_job_callbacks callbacks = {
		.size = sizeof(callbacks),
		.on_accepted = on_accepted,
		.on_informational = on_informational,
		.on_head = on_head,
		.on_body = on_body,
		.on_trailers = on_trailers,
		.on_warning = on_warning,
		.on_progress = on_progress,
		.on_closed = on_closed,
		.on_upload = on_upload,
	};
	struct get *get = transfer->get;
	struct fetchd_request request = get->options->request;
	bool may_pass = can_pass(transfer);
	int r;

	if (may_pass && fetchd_get_server(get->connection) == NULL) {
		return -EAGAIN; /* its greeting, which says whether it can, is on its way */
	}
	r = open_output(transfer);
	if (r == -EAGAIN) {
		return r;
	}
	if (r < 0) {
		finish(transfer, EXIT_CODE_OUTPUT);
		return 0;
	}
	request.url = transfer->url;
	if (may_pass && fetchd_has_feature(get->connection, "fd-output")) {
		request.output_fd = output_file_fd(&transfer->output);
		transfer->passed = request.output_fd >= 0;
	}
	transfer->held = transfer->output.kind == OUTPUT_STDOUT && transfer->index != get->turn;
	if (transfer->held) {
		request.initial_credit_bytes = 0;
	}
	if (get->progress_on) {
		request.progress_interval_ms = BAR_INTERVAL_MS;
	} else if (get->options->common.json) {
		request.progress_interval_ms = JSON_INTERVAL_MS;
	}
	r = fetchd_submit(get->connection, &request, &callbacks, transfer, &transfer->job);
	if (r == 0) {
		transfer->state = TRANSFER_RUNNING;
		get->running++;
		return 0;
	}
	output_discard(&transfer->output);
	/* One that ends, or is sent, gives its files back. */
	if (r == -EAGAIN || (r == -EMFILE && get->running > 0)) {
		return -EAGAIN;
	}
	/* A lost connection is told of once, by who is running. */
	if (fetchd_error(get->connection) != 0 || r == -EPIPE || r == -ECONNRESET) {
		finish(transfer, EXIT_CODE_DAEMON_LOST);
		return 0;
	}
	get_message(get, "%s: cannot submit: %s", transfer->shown_url, strerror(-r));
	finish(transfer, EXIT_CODE_INTERNAL);
	return 0;
}

void transfer_give_up(struct transfer *transfer, int exit_code)
{
	if (transfer->state != TRANSFER_DONE) {
		finish(transfer, exit_code);
	}
}

void transfer_fini(struct transfer *transfer)
{
	output_discard(&transfer->output);
	free(transfer->pending_head);
	transfer->pending_head = NULL;
	free(transfer->final_url);
	transfer->final_url = NULL;
}

/* Until the response begins, what is sent says more than what the daemon waits for. */
static const char *sending_text(struct transfer *transfer)
{
	uint64_t length = transfer->get->options->request.upload_length;
	char sent[16], whole[16];

	(void)cli_format_bytes(transfer->sent_bytes, sent, sizeof(sent));
	if (length == FETCHD_DEFAULT) {
		(void)snprintf(transfer->sending, sizeof(transfer->sending), "sent %s", sent);
	} else {
		(void)snprintf(transfer->sending, sizeof(transfer->sending), "sent %s of %s", sent,
			       cli_format_bytes(length, whole, sizeof(whole)));
	}
	return transfer->sending;
}

struct progress_row transfer_row(struct transfer *transfer, int64_t now_ms)
{
	const char *waiting_for = transfer->waiting_for;

	if (transfer->held) {
		waiting_for = "its turn on standard output";
	} else if (transfer->sent_bytes > 0 && transfer->status == 0) {
		waiting_for = sending_text(transfer);
	}
	progress_rate_update(&transfer->rate, now_ms, transfer->received_bytes);
	return (struct progress_row){
		.name = row_name(transfer),
		.waiting_for = waiting_for,
		.received_bytes = transfer->received_bytes,
		.total_bytes = transfer->content_length,
		.rate_bytes_per_s = transfer->rate.bytes_per_s,
	};
}
