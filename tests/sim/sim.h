/* SPDX-License-Identifier: MIT */
/*
 * A simulated machine: one virtual clock, the things that happen at a moment of it, random numbers
 * that repeat, and memory that can be made to fail. On it lie the loop (loop.c), sockets
 * (sockets.[ch]), names (dns.c), TLS (tls.c) and the servers at the other end (peer.[ch]). The
 * layers above, and the dialing, are the daemon's own.
 *
 * Nothing here waits for real time, and nothing depends on it: the same calls give the same course
 * of events.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

/* ---- failing ---- */

/* A broken expectation: says so and does not return. */
_Noreturn void sim_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Who is told; does not return. NULL: standard error, then abort(). */
extern void (*sim_on_failure)(const char *file, int line, const char *text);

#define SIM_FAIL(...) sim_fail(__FILE__, __LINE__, __VA_ARGS__)
#define SIM_CHECK(condition) ((condition) ? (void)0 : SIM_FAIL("not so: %s", #condition))
/* Two unsigned numbers that have to be equal. */
#define SIM_EQUAL(a, b) sim_equal(__FILE__, __LINE__, #a " == " #b, (uint64_t)(a), (uint64_t)(b))
void sim_equal(const char *file, int line, const char *what, uint64_t a, uint64_t b);

/* ---- memory ---- */

/* The simulation's own: never fails, all zero. free() frees it. */
void *sim_alloc(size_t size);

/* Every `nth` allocation of the daemon's code and of its HTTP/2 sessions fails from now on; 0: none
 * does. */
void sim_allocations_fail_every(unsigned nth);
/* How many have failed since the beginning. */
uint64_t sim_allocations_failed(void);
/* Shall this allocation fail? For the allocators alone. */
bool sim_allocation_fails(void);

/* ---- random numbers ---- */

void sim_seed(uint64_t seed);
uint64_t sim_random(void);
/* Below `bound`, which is not 0. */
uint32_t sim_below(uint32_t bound);
/* What getrandom() gives the daemon from now on; sim_jitter_free() makes it random again. */
void sim_jitter(uint64_t value);
void sim_jitter_free(void);

/* ---- the clock ---- */

#define SIM_START_US UINT64_C(1000000000)

/* The virtual time, in microseconds. */
uint64_t sim_now_us(void);
/* The same in ms since the beginning. */
uint64_t sim_now_ms(void);
/* Seconds since 1970 at the beginning: what time() says. */
#define SIM_EPOCH INT64_C(1700000000)

/* Something that happens outside of the daemon at a moment. Embedded in its owner; all zero is "not
 * set". Two at the same moment happen in the order in which they were set. */
struct sim_node {
	uint64_t at_us, order;
	size_t place; /* in its heap, from 1; 0: in none */
};
struct sim_event {
	struct sim_node node;
	void (*fire)(void *ctx);
	void *ctx;
};
/* `after_us` from now; moves it if it is set. */
void sim_event_set(struct sim_event *event, uint64_t after_us, void (*fire)(void *ctx), void *ctx);
void sim_event_cancel(struct sim_event *event);

/* Heaps by time, then order. */
struct sim_heap {
	struct sim_node **nodes; /* from 1 */
	size_t count, room;
};
void sim_heap_add(struct sim_heap *heap, struct sim_node *node);
void sim_heap_remove(struct sim_heap *heap, struct sim_node *node);
/* The first; NULL if it is empty. */
struct sim_node *sim_heap_first(const struct sim_heap *heap);
void sim_heap_fini(struct sim_heap *heap);

/* Back to the beginning. Nothing may be left from before. */
void sim_reset(uint64_t seed);
/* Frees what sim_reset() made. */
void sim_fini(void);

/* ---- for loop.c ---- */

/* Lets everything happen that is due. */
void sim_happen(void);
/* When the next thing happens; UINT64_MAX: never. */
uint64_t sim_next_us(void);
void sim_set_now(uint64_t now_us);

/* ---- the loop, seen from outside ---- */

/* Runs the loop until nothing is left to do at this moment. */
void sim_settle(struct loop *loop);
/* Runs the loop, and the clock, up to a moment, and all that is to be done at it. */
void sim_run_until(struct loop *loop, uint64_t at_us);
/* When the next timer fires or something happens; UINT64_MAX: never. */
uint64_t sim_loop_next_us(const struct loop *loop);
/* Is there anything to do at this moment? */
bool sim_loop_ready(const struct loop *loop);
/* Started and not stopped. */
size_t sim_loop_handles(const struct loop *loop);
/* Descriptors that are ready in the same round come in a random order. */
void sim_loop_shuffle(struct loop *loop, bool shuffle);
