/* SPDX-License-Identifier: MIT */
/*
 * A client of one job: a sink that checks the order of events and every byte of the body, and takes
 * what it has credit for, at the end of the round, as the daemon's own does.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/* Takes what it may. False: the job is gone by it. */
static bool take(struct client *client)
{
	while (!client->stuck && client->credit > 0) {
		struct iovec iov[4];
		size_t limit = client->credit < 60000 ? (size_t)client->credit : 60000;
		unsigned count = job_peek(client->job, iov, 4, limit);
		size_t length = 0;

		for (unsigned i = 0; i < count; i++) {
			SIM_CHECK(sim_body_is(client->salt, client->taken + length, iov[i].iov_base,
					      iov[i].iov_len));
			length += iov[i].iov_len;
		}
		if (length == 0) {
			break;
		}
		SIM_CHECK(length <= limit && length <= job_available(client->job));
		client->taken += length;
		client->credit -= length;
		if (!job_consume(client->job, length)) {
			SIM_EQUAL(client->closed, 1);
			return false;
		}
	}
	return true;
}

/* After anything that changes what may go: who holds it? */
static void update(struct client *client)
{
	bool waiting = client->job && job_available(client->job) > 0;

	if (!client->job) {
		return;
	}
	if (waiting && client->credit == 0) {
		job_hold(client->job, JOB_WITHOUT_CREDIT);
	} else if (waiting && client->stuck) {
		job_hold(client->job, JOB_WITHOUT_ROOM);
	} else {
		job_hold(client->job, JOB_NOT_HELD);
	}
	if (waiting) {
		loop_task_queue(&client->task, world.loop);
	}
}

static void on_task(void *ctx)
{
	struct client *client = ctx;
	uint64_t taken = client->taken;

	if (client->job && take(client) && client->taken > taken) {
		update(client);
	}
}

/* ---- the sink ---- */

static void on_informational(void *ctx, unsigned status, const struct header_list *headers)
{
	struct client *client = ctx;

	(void)headers;
	SIM_CHECK(client->job && !client->heads && !client->closed);
	SIM_CHECK(status >= 100 && status < 200);
	client->interims++;
}

static void on_head(void *ctx, const struct job_head *head)
{
	struct client *client = ctx;
	const struct header_list *headers = head->response->headers;
	uint32_t index = header_list_find(headers, "x-salt", 0);

	SIM_CHECK(client->job && !client->heads && !client->closed && !client->trailers);
	SIM_CHECK(head->info && head->connection > 0);
	client->heads++;
	client->status = head->response->status;
	client->connection = head->connection;
	client->reused = head->reused;
	client->head_ms = sim_now_ms();
	if (index < header_list_count(headers)) {
		struct header_field field = header_list_get(headers, index);

		for (size_t i = 0; i < field.value_length; i++) {
			client->salt = client->salt * 10 + (uint32_t)(field.value[i] - '0');
		}
	}
}

static void on_readable(void *ctx)
{
	struct client *client = ctx;

	SIM_CHECK(client->job && client->heads && !client->closed && !client->trailers);
	SIM_CHECK(job_available(client->job) > 0);
	client->readables++;
	update(client);
}

static void on_trailers(void *ctx, const struct header_list *trailers)
{
	struct client *client = ctx;

	SIM_CHECK(client->heads && !client->trailers && !client->closed);
	SIM_CHECK(header_list_find(trailers, "x-trailer", 0) < header_list_count(trailers) ||
		  sim_allocations_failed() > 0);
	client->trailers++;
}

static void on_warning(void *ctx, bool received, const char *text)
{
	struct client *client = ctx;

	SIM_CHECK(client->heads && !client->warnings && !client->closed && text[0]);
	client->warned_received = received;
	client->warnings++;
}

static void on_progress(void *ctx)
{
	struct client *client = ctx;
	struct job_info info;

	SIM_CHECK(!client->closed);
	job_info(client->job, &info);
	SIM_EQUAL(info.delivered, client->taken);
	client->progresses++;
}

static void on_closed(void *ctx, const struct job_result *result)
{
	struct client *client = ctx;

	SIM_CHECK(!client->closed && client->job);
	client->closed++;
	client->closed_ms = sim_now_ms();
	client->job = NULL;
	loop_task_cancel(&client->task);
	client->reason = result->reason;
	failure_copy(&client->failure, result->failure);
	SIM_CHECK(result->attempt_count <= JOB_ATTEMPTS_MAX);
	client->attempt_count = result->attempt_count;
	if (result->attempt_count) {
		memcpy(client->attempts, result->attempts,
		       result->attempt_count * sizeof(client->attempts[0]));
	}
	client->bytes = result->bytes;
	client->timings = result->timings;
	SIM_CHECK(result->reason != CLOSE_NONE);
	SIM_EQUAL(result->bytes.delivered, client->taken);
	SIM_CHECK(result->bytes.delivered <= result->bytes.payload);
	SIM_CHECK(result->reason != CLOSE_ENDED || client->heads == 1);
	SIM_CHECK(result->reason == CLOSE_ENDED || result->reason == CLOSE_STOP_DOWNLOAD ||
		  result->failure->count > 0 || sim_allocations_failed() > 0);
	for (unsigned i = 0; i < client->attempt_count; i++) {
		SIM_CHECK(client->attempts[i].outcome != CLOSE_NONE);
		SIM_CHECK(client->attempts[i].why);
	}
	if (client->on_closed) {
		client->on_closed(client);
	}
}

static const struct job_sink_ops sink_ops = {
	.informational = on_informational,
	.head = on_head,
	.readable = on_readable,
	.trailers = on_trailers,
	.warning = on_warning,
	.progress = on_progress,
	.closed = on_closed,
};

/* ---- submitting ---- */

static struct job_option option(uint64_t value)
{
	return (struct job_option){value != 0, value};
}

struct client *client_submit(const char *url, const struct ask *ask)
{
	struct client *client = sim_alloc(sizeof(*client));
	struct job_owner owner = {.uid = ask->uid ? ask->uid : OWNER_UID, .pid = 99, .name = "sim"};
	struct job_spec spec = {
		.request =
			{
				.url = url,
				.method = ask->method ? ask->method : "GET",
				.headers = ask->headers,
				.header_count = ask->header_count,
				.body = ask->body,
				.body_length = ask->body_length,
				.has_body = ask->body != NULL,
			},
		.max_size = option(ask->max_size),
		.warn_size = option(ask->warn_size),
		.queue_timeout_ms = option(ask->queue_ms),
		.connect_timeout_ms = option(ask->connect_ms),
		.first_byte_timeout_ms = option(ask->first_byte_ms),
		.stall_timeout_ms = option(ask->stall_ms),
		.total_timeout_ms = option(ask->total_ms),
		.priority = ask->priority ? (enum priority)(ask->priority - 1) : PRIORITY_NORMAL,
		.replay_forbidden = ask->replay_forbidden,
		.retry_allowed = ask->retry_allowed,
		.max_redirects = ask->max_redirects,
		.redirect_to_cleartext = ask->redirect_to_cleartext,
		.progress_interval_ms = ask->progress_ms,
	};
	struct failure failure = {.count = 0};
	int rc = 0;

	client->number = ++world.client_count;
	client->uid = owner.uid;
	client->credit = ask->no_credit ? 0 : ask->credit ? ask->credit : PLENTY;
	client->submitted_ms = sim_now_ms();
	loop_task_init(&client->task, on_task, client);
	DL_APPEND(world.clients, client);
	rc = job_submit(world.jobs, &spec, &owner, &sink_ops, client, &client->job, &failure);
	SIM_CHECK(client->closed + client->heads + client->progresses == 0);
	SIM_CHECK(rc >= 0 && (rc == 0) == (client->job != NULL));
	if (rc > 0) {
		client->denied = (enum failure_code)rc;
		client->failure = failure;
		SIM_EQUAL(failure_top(&failure), rc);
	}
	return client;
}

struct client *must_be_taken(struct client *client)
{
	if (!client->job) {
		SIM_FAIL("refused: %s", client->failure.links[0].text);
	}
	return client;
}

void client_grant(struct client *client, uint64_t bytes)
{
	client->credit += bytes;
	update(client);
}

void client_stick(struct client *client, bool stuck)
{
	client->stuck = stuck;
	update(client);
}

void client_cancel(struct client *client)
{
	if (client->job) {
		job_cancel(client->job, FAIL_CANCELLED_BY_CLIENT);
		SIM_EQUAL(client->closed, 1);
	}
}

void client_stop(struct client *client)
{
	if (client->job) {
		job_stop(client->job);
	}
}

enum job_state client_state(const struct client *client)
{
	struct job_info info;

	SIM_CHECK(client->job);
	job_info(client->job, &info);
	return info.state;
}

void client_free(struct client *client)
{
	SIM_CHECK(!client->job);
	loop_task_cancel(&client->task);
	DL_DELETE(world.clients, client);
	free(client);
}
