/* SPDX-License-Identifier: MIT */
/*
 * What a client's frames ask for. A fault here is a fault of the conversation and ends it; what is
 * wrong with one job is that job's Closed event, in client_job.c.
 */
#include "ipc/ipc_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is served beyond version 1.0 of the protocol. */
static const char *const features[] = {"redirects", "uploads", "fd-output"};

/* Of what a peer may ask for in one round: a walk over all jobs or origins is worth many frames. */
#define WORK_OF_QUESTION 1024u

static void handle_hello(struct peer *peer, const struct wire_client_hello *hello)
{
	const struct ipc *ipc = peer->ipc;
	const struct config *config = ipc->world.config;
	struct wire_server_frame frame = {
		.kind = WIRE_SERVER_HELLO,
		.hello =
			{
				.major = WIRE_MAJOR,
				.minor = WIRE_MINOR,
				.features = features,
				.feature_count = sizeof(features) / sizeof(features[0]),
				.server_version = ipc->world.version,
				.instance_id = ipc->instance_id,
				.max_client_frame_bytes = WIRE_CLIENT_FRAME_MAX,
				.max_server_frame_bytes = WIRE_SERVER_FRAME_MAX,
				.max_jobs = (uint32_t)config->ipc.max_jobs_per_client,
				.default_credit_bytes = config->ipc.default_credit,
				.max_credit_bytes = config->ipc.max_credit,
			},
	};

	if (hello->major != WIRE_MAJOR) {
		peer_goodbye(peer, WIRE_GOODBYE_UNSUPPORTED_VERSION,
			     "the client speaks version %" PRIu32
			     " of the protocol, this daemon version %u",
			     hello->major, WIRE_MAJOR);
		return;
	}
	snprintf(peer->owner.name, sizeof(peer->owner.name), "%s", hello->client_name);
	for (char *c = peer->owner.name; *c; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			*c = '?';
		}
	}
	peer->default_credit = config->ipc.default_credit;
	peer->max_credit = config->ipc.max_credit;
	loop_timer_stop(&peer->timer);
	peer->state = PEER_OPEN;
	peer_send(peer, &frame);
}

/* Ids of submits and requests only grow. */
static bool take_id(struct peer *peer, uint64_t id)
{
	if (id <= peer->last_id) {
		peer_goodbye(peer, WIRE_GOODBYE_BAD_ID,
			     "id %" PRIu64 " is not above the last one, %" PRIu64, id,
			     peer->last_id);
		return false;
	}
	peer->last_id = id;
	return true;
}

/* The open job of that id. NULL if it has ended, which is fine: events cross; an id never used is
 * not. */
static struct client_job *find_job(struct peer *peer, uint64_t id)
{
	struct client_job *client_job = NULL;

	HASH_FIND(hh, peer->jobs, &id, sizeof(id), client_job);
	if (!client_job && (id == 0 || id > peer->last_id)) {
		peer_goodbye(peer, WIRE_GOODBYE_BAD_ID, "id %" PRIu64 " was never submitted", id);
	}
	if (client_job && !client_job->job) {
		return NULL; /* all but the news of it */
	}
	return client_job;
}

static void handle_credit(struct peer *peer, uint64_t id, uint64_t bytes)
{
	struct client_job *client_job = find_job(peer, id);

	if (client_job) {
		client_job_credit(client_job, bytes);
	}
}

static void handle_upload(struct peer *peer, uint64_t id, const struct wire_bytes *data, bool end)
{
	struct client_job *client_job = find_job(peer, id);
	const char *why = "";

	if (client_job && job_upload(client_job->job, data->data, data->length, end, &why) < 0) {
		peer_goodbye(peer, WIRE_GOODBYE_BAD_MESSAGE, "upload of job %" PRIu64 ": %s", id,
			     why);
	}
}

static void handle_cancel(struct peer *peer, uint64_t id)
{
	struct client_job *client_job = find_job(peer, id);

	if (client_job) {
		job_cancel(client_job->job, FAIL_CANCELLED_BY_CLIENT);
	}
}

static void handle_stop(struct peer *peer, uint64_t id)
{
	struct client_job *client_job = find_job(peer, id);

	if (client_job) {
		job_stop(client_job->job);
	}
}

static void handle_cancel_job(struct peer *peer, uint64_t id, uint64_t number)
{
	struct job *job = jobs_find(peer->ipc->world.jobs, number);
	struct wire_server_frame frame = {.id = id, .kind = WIRE_SERVER_CANCEL_JOB};

	if (job && peer_may_see(peer, job)) {
		frame.cancel_job.found = true;
		job_cancel(job, FAIL_CANCELLED_BY_CLIENT);
	}
	peer_send(peer, &frame);
}

static void handle_ping(struct peer *peer, uint64_t id)
{
	struct wire_server_frame frame = {
		.id = id,
		.kind = WIRE_SERVER_PONG,
		.pong = {.server_version = peer->ipc->world.version,
			 .instance_id = peer->ipc->instance_id,
			 .pid = (uint32_t)getpid()},
	};

	peer_send(peer, &frame);
}

static void handle_unknown(struct peer *peer, uint64_t id, uint32_t field)
{
	struct wire_server_frame frame = {
		.id = id, .kind = WIRE_SERVER_UNSUPPORTED, .unsupported = {.field = field}};

	if (id > peer->last_id) {
		peer->last_id = id;
	}
	peer_send(peer, &frame);
}

void request_handle(struct peer *peer, const struct wire_client_frame *frame)
{
	peer->work += frame->kind == WIRE_CLIENT_LIST || frame->kind == WIRE_CLIENT_STATS
			      ? WORK_OF_QUESTION
			      : 1;
	if (peer->state == PEER_HELLO && frame->kind != WIRE_CLIENT_HELLO) {
		peer_goodbye(peer, WIRE_GOODBYE_HELLO_EXPECTED, "the first frame is not a hello");
		return;
	}
	switch (frame->kind) {
	case WIRE_CLIENT_UNKNOWN:
		handle_unknown(peer, frame->id, frame->unknown.field);
		break;
	case WIRE_CLIENT_HELLO:
		if (peer->state == PEER_HELLO) {
			handle_hello(peer, &frame->hello);
		} else {
			peer_goodbye(peer, WIRE_GOODBYE_BAD_MESSAGE, "a second hello");
		}
		break;
	case WIRE_CLIENT_SUBMIT:
		if (take_id(peer, frame->id)) {
			client_job_submit(peer, frame->id, &frame->submit);
		}
		break;
	case WIRE_CLIENT_CREDIT:
		handle_credit(peer, frame->id, frame->credit.bytes);
		break;
	case WIRE_CLIENT_CANCEL:
		handle_cancel(peer, frame->id);
		break;
	case WIRE_CLIENT_STOP:
		handle_stop(peer, frame->id);
		break;
	case WIRE_CLIENT_LIST:
		if (take_id(peer, frame->id)) {
			report_list(peer, frame->id, frame->list.after_job, frame->list.limit);
		}
		break;
	case WIRE_CLIENT_STATS:
		if (take_id(peer, frame->id)) {
			report_stats(peer, frame->id, frame->stats.origins,
				     frame->stats.connections);
		}
		break;
	case WIRE_CLIENT_PING:
		if (take_id(peer, frame->id)) {
			handle_ping(peer, frame->id);
		}
		break;
	case WIRE_CLIENT_UPLOAD_DATA:
		handle_upload(peer, frame->id, &frame->upload_data.data, frame->upload_data.end);
		break;
	case WIRE_CLIENT_CANCEL_JOB:
		if (take_id(peer, frame->id)) {
			handle_cancel_job(peer, frame->id, frame->cancel_job.job);
		}
		break;
	}
}
