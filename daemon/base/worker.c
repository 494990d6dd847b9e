/* SPDX-License-Identifier: MIT */
/*
 * Threads that take from one queue and put what is finished into another, which an eventfd has the
 * loop empty.
 */
#include "base/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define THREADS_MAX 16u

struct queue {
	struct work *first;
	struct work **end;
};

struct workers {
	struct loop *loop;
	int wake; /* eventfd: something is finished */
	struct loop_io io;
	pthread_t threads[THREADS_MAX];
	unsigned count;
	pthread_mutex_t lock; /* of all below */
	pthread_cond_t wanted;
	struct queue waiting, finished;
	bool stop;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->end = &queue->first;
}

static void push(struct queue *queue, struct work *work)
{
	work->next = NULL;
	*queue->end = work;
	queue->end = &work->next;
}

static struct work *pop(struct queue *queue)
{
	struct work *work = queue->first;

	if (work) {
		queue->first = work->next;
		if (!queue->first) {
			queue->end = &queue->first;
		}
	}
	return work;
}

/* ---- on the threads ---- */

static void *run(void *argument)
{
	struct workers *workers = argument;
	const uint64_t one = 1;

	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct work *work = pop(&workers->waiting);
		bool was_empty;

		if (!work) {
			if (workers->stop) {
				break;
			}
			pthread_cond_wait(&workers->wanted, &workers->lock);
			continue;
		}
		pthread_mutex_unlock(&workers->lock);
		work->run(work);
		pthread_mutex_lock(&workers->lock);
		was_empty = workers->finished.first == NULL;
		push(&workers->finished, work);
		if (was_empty) {
			/* Without the lock, which is the first thing that the loop wants then.
			 * Cannot block: the counter is far from its end. */
			pthread_mutex_unlock(&workers->lock);
			(void)!write(workers->wake, &one, sizeof(one));
			pthread_mutex_lock(&workers->lock);
		}
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* ---- on the loop ---- */

static void tell_finished(struct workers *workers)
{
	struct queue finished;
	struct work *work = NULL;

	pthread_mutex_lock(&workers->lock);
	finished.first = workers->finished.first;
	queue_init(&workers->finished);
	pthread_mutex_unlock(&workers->lock);
	while ((work = finished.first)) {
		finished.first = work->next;
		work->busy = false;
		work->done(work);
	}
}

static void on_wake(void *ctx, unsigned events)
{
	struct workers *workers = ctx;
	uint64_t count = 0;

	(void)events;
	(void)!read(workers->wake, &count, sizeof(count));
	tell_finished(workers);
}

void work_start(struct workers *workers, struct work *work, void (*run_it)(struct work *work),
		void (*done)(struct work *work))
{
	assert(!work->busy);
	work->run = run_it;
	work->done = done;
	work->busy = true;
	pthread_mutex_lock(&workers->lock);
	push(&workers->waiting, work);
	pthread_mutex_unlock(&workers->lock);
	pthread_cond_signal(&workers->wanted);
}

bool work_is_busy(const struct work *work)
{
	return work->busy;
}

/* ---- coming and going ---- */

/* Signals are the loop's. */
static int start_threads(struct workers *workers, unsigned threads)
{
	sigset_t all;
	sigset_t before;
	int rc = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (workers->count < threads && rc == 0) {
		rc = -pthread_create(&workers->threads[workers->count], NULL, run, workers);
		workers->count += rc == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc;
}

int workers_new(struct loop *loop, unsigned threads, struct workers **ret_workers)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	int rc = 0;

	assert(threads > 0 && threads <= THREADS_MAX);
	if (!workers) {
		return -ENOMEM;
	}
	workers->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (workers->wake < 0) {
		rc = -errno;
		free(workers);
		return rc;
	}
	workers->loop = loop;
	queue_init(&workers->waiting);
	queue_init(&workers->finished);
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->wanted, NULL);
	loop_io_start(&workers->io, loop, workers->wake, LOOP_READ, on_wake, workers);
	rc = start_threads(workers, threads);
	if (rc < 0) {
		workers_free(workers);
		return rc;
	}
	*ret_workers = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	struct work *work = NULL;

	if (!workers) {
		return;
	}
	pthread_mutex_lock(&workers->lock);
	workers->stop = true;
	pthread_cond_broadcast(&workers->wanted);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->count; i++) {
		pthread_join(workers->threads[i], NULL);
	}
	tell_finished(workers);
	while ((work = pop(&workers->waiting))) {
		work->run(work);
		work->busy = false;
		work->done(work);
	}
	loop_io_stop(&workers->io);
	close(workers->wake);
	pthread_cond_destroy(&workers->wanted);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
}
