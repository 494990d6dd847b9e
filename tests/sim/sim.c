/* SPDX-License-Identifier: MIT */
#include "sim.h"

#include "wrap.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <nghttp2/nghttp2.h>

static struct {
	uint64_t now_us;
	uint64_t order;
	struct sim_heap events;
	uint64_t random;
	bool jitter_set;
	uint64_t jitter;
	unsigned fail_every;
	unsigned until_failure;
	uint64_t failed;
} machine;

/* ---- failing ---- */

void (*sim_on_failure)(const char *file, int line, const char *text);

void sim_fail(const char *file, int line, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	if (sim_on_failure) {
		sim_on_failure(file, line, text);
	}
	fprintf(stderr, "%s:%d: %s\n", file, line, text);
	abort();
}

void sim_equal(const char *file, int line, const char *what, uint64_t a, uint64_t b)
{
	if (a != b) {
		sim_fail(file, line, "not so: %s: %llu and %llu", what, (unsigned long long)a,
			 (unsigned long long)b);
	}
}

void __wrap___assert_fail(const char *assertion, const char *file, unsigned line,
			  const char *function)
{
	sim_fail(file, (int)line, "%s: assertion: %s", function, assertion);
}

/* ---- memory ---- */

void *sim_alloc(size_t size)
{
	void *memory = __real_calloc(1, size);

	SIM_CHECK(memory);
	return memory;
}

void sim_allocations_fail_every(unsigned nth)
{
	machine.fail_every = nth;
	machine.until_failure = nth;
}

uint64_t sim_allocations_failed(void)
{
	return machine.failed;
}

bool sim_allocation_fails(void)
{
	if (machine.fail_every == 0 || --machine.until_failure > 0) {
		return false;
	}
	machine.until_failure = machine.fail_every;
	machine.failed++;
	return true;
}

/* ---- random numbers ---- */

void sim_seed(uint64_t seed)
{
	machine.random = seed;
}

/* splitmix64: every seed is a good one. */
uint64_t sim_random(void)
{
	uint64_t z = machine.random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t sim_below(uint32_t bound)
{
	return (uint32_t)(((sim_random() >> 32) * bound) >> 32);
}

void sim_jitter(uint64_t value)
{
	machine.jitter_set = true;
	machine.jitter = value;
}

void sim_jitter_free(void)
{
	machine.jitter_set = false;
}

ssize_t __wrap_getrandom(void *buffer, size_t size, unsigned flags)
{
	uint64_t value = machine.jitter_set ? machine.jitter : sim_random();

	(void)flags;
	SIM_CHECK(size == sizeof(value));
	memcpy(buffer, &value, size);
	return (ssize_t)size;
}

/* ---- the clock ---- */

uint64_t sim_now_us(void)
{
	return machine.now_us;
}

uint64_t sim_now_ms(void)
{
	return (machine.now_us - SIM_START_US) / 1000;
}

time_t __wrap_time(time_t *ret_time)
{
	time_t now = (time_t)(SIM_EPOCH + (int64_t)((machine.now_us - SIM_START_US) / 1000000));

	if (ret_time) {
		*ret_time = now;
	}
	return now;
}

static bool is_before(const struct sim_node *a, const struct sim_node *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void put(struct sim_heap *heap, size_t place, struct sim_node *node)
{
	heap->nodes[place] = node;
	node->place = place;
}

static void rise(struct sim_heap *heap, size_t place, struct sim_node *node)
{
	while (place > 1 && is_before(node, heap->nodes[place / 2])) {
		put(heap, place, heap->nodes[place / 2]);
		place /= 2;
	}
	put(heap, place, node);
}

static void sink(struct sim_heap *heap, size_t place, struct sim_node *node)
{
	for (;;) {
		size_t child = place * 2;

		if (child > heap->count) {
			break;
		}
		if (child < heap->count && is_before(heap->nodes[child + 1], heap->nodes[child])) {
			child++;
		}
		if (!is_before(heap->nodes[child], node)) {
			break;
		}
		put(heap, place, heap->nodes[child]);
		place = child;
	}
	put(heap, place, node);
}

void sim_heap_add(struct sim_heap *heap, struct sim_node *node)
{
	SIM_CHECK(node->place == 0);
	if (heap->count + 1 >= heap->room) {
		heap->room = heap->room ? heap->room * 2 : 64;
		heap->nodes = __real_realloc(heap->nodes, heap->room * sizeof(struct sim_node *));
		SIM_CHECK(heap->nodes);
	}
	node->order = ++machine.order;
	rise(heap, ++heap->count, node);
}

void sim_heap_remove(struct sim_heap *heap, struct sim_node *node)
{
	size_t place = node->place;
	struct sim_node *last = heap->nodes[heap->count];

	SIM_CHECK(place > 0 && place <= heap->count && heap->nodes[place] == node);
	heap->count--;
	node->place = 0;
	if (last == node) {
		return;
	}
	if (place > 1 && is_before(last, heap->nodes[place / 2])) {
		rise(heap, place, last);
	} else {
		sink(heap, place, last);
	}
}

struct sim_node *sim_heap_first(const struct sim_heap *heap)
{
	return heap->count ? heap->nodes[1] : NULL;
}

void sim_heap_fini(struct sim_heap *heap)
{
	free(heap->nodes);
	*heap = (struct sim_heap){0};
}

void sim_event_set(struct sim_event *event, uint64_t after_us, void (*fire)(void *ctx), void *ctx)
{
	sim_event_cancel(event);
	event->fire = fire;
	event->ctx = ctx;
	event->node.at_us = machine.now_us + after_us;
	sim_heap_add(&machine.events, &event->node);
}

void sim_event_cancel(struct sim_event *event)
{
	if (event->node.place) {
		sim_heap_remove(&machine.events, &event->node);
	}
}

uint64_t sim_next_us(void)
{
	const struct sim_node *first = sim_heap_first(&machine.events);

	return first ? first->at_us : UINT64_MAX;
}

void sim_happen(void)
{
	struct sim_node *node = NULL;

	while ((node = sim_heap_first(&machine.events)) && node->at_us <= machine.now_us) {
		struct sim_event *event = (struct sim_event *)node; /* its first member */

		sim_event_cancel(event);
		event->fire(event->ctx);
	}
}

void sim_set_now(uint64_t now_us)
{
	SIM_CHECK(now_us >= machine.now_us);
	machine.now_us = now_us;
}

void sim_reset(uint64_t seed)
{
	SIM_CHECK(machine.events.count == 0);
	sim_fini();
	machine.now_us = SIM_START_US;
	machine.random = seed;
}

void sim_fini(void)
{
	sim_heap_fini(&machine.events);
	memset(&machine, 0, sizeof(machine));
}
