/* SPDX-License-Identifier: MIT */
/*
 * Runs the tests of a unit test program again and again while allocations of the code under test
 * fail, and looks for what must not happen even then: a crash, a sanitizer's report, a broken
 * assertion of that code, a leak, an endless loop. That a test fails is no fault: it was not
 * written for this. So each run is a process of its own and ends at the first assertion of the test
 * that does not hold, before a test that has come off its way can do harm; one that waits for what
 * will not come is ended; and a null pointer in the test's own code, or handed in by it, is no
 * finding.
 *
 * It takes the place of cmocka's runner in the test programs' objects, which are not compiled
 * again.
 *
 * Environment:
 *     FETCHD_FAULTS_SECONDS=N                  how long to go on (default: 2; 0: until all is done)
 *     FETCHD_FAULTS=TEST:FIRST:EVERY[:setup]   one run, in this process: for a debugger
 *     FETCHD_FAULTS_STALLS=1                   shows where runs waited that were ended for that
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "faults/files.h"
#include "faults/plan.h"
#include "faults/report.h"
#include "unit/support/allocations.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define RUNS_AT_ONCE 8u
#define SECONDS_DEFAULT 2u
/* A process that has neither run nor wanted to for so long waits for what does not come. */
#define STALL_MS 250u
/* One that has run for so much longer than it does without failures does not end. If it has hardly
 * slept, that is a fault. */
#define LIMIT_FACTOR 5u
#define LIMIT_MS 3000u
#define SLEEPS_MIN 50
/* How long after the time is over a run may still go on. */
#define GRACE_MS 4000u
#define TICK_MS 50
#define FINDINGS_MAX 3u
#define OUTPUT_MAX 20000u

#define EXIT_TEST_FAILED 90

/* What a run tells the process that watches it; memory of both. */
struct page {
	unsigned long setup_count; /* allocations in the setup, */
	unsigned long count;       /* and after it */
	struct fault_files files;
};

/* A test, or its setup, and how far it has been tried. */
struct subject {
	const struct CMUnitTest *test;
	bool in_setup;
	unsigned long count; /* of allocations when none fails */
	uint64_t limit_ms;   /* of how long a run may run */
	unsigned long next;  /* number of the plan that is next */
};

struct run {
	pid_t pid; /* 0: none */
	int pidfd;
	int output;
	bool stalled;    /* was ended because it waited, */
	bool endless;    /* or because it did not end */
	uint64_t ran_ms; /* once it has ended */
	const struct CMUnitTest *test;
	struct plan plan;
	uint64_t limit_ms;     /* of how long it may run */
	uint64_t moved_ms;     /* when it was last seen to have run, */
	uint64_t moved_cpu_ns; /* and for how long it had by then, waiting for a processor included
				*/
	struct page *page;
};

int __real__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown);

static void *group_state;
static struct run runs[RUNS_AT_ONCE];
static uint64_t over_ms = UINT64_MAX; /* when no more runs begin */
static struct {
	unsigned long runs, failed, stalled, findings;
} tally;

/* ---- inside a run ---- */

static struct {
	const struct CMUnitTest *test;
	struct plan plan;
	struct page *page;
} inside;

/* What the sanitizers do unless the environment says otherwise. cmocka catches signals and goes on
 * as if a test had failed; here it must not get them. */
__attribute__((visibility("default"))) const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "handle_segv=2:handle_sigbus=2:handle_sigfpe=2:handle_sigill=2:handle_abort=2:"
	       "detect_stack_use_after_return=1";
}

__attribute__((visibility("default"))) const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1";
}

/* cmocka's assertions end here, also those inside its library. */
__attribute__((visibility("default"))) void _fail(const char *const file, const int line)
{
	fprintf(stderr, "%s:%d: an assertion of the test does not hold\n", file, line);
	fflush(NULL);
	_exit(EXIT_TEST_FAILED);
}

static int armed_setup(void **state)
{
	int result = 0;

	if (inside.plan.in_setup) {
		allocations_arm_every(inside.plan.first, inside.plan.every);
	} else {
		allocations_arm(ULONG_MAX);
	}
	result = inside.test->setup_func ? inside.test->setup_func(state) : 0;
	(void)allocations_disarm();
	inside.page->setup_count = allocations_count();
	return result;
}

/* Stays armed in the teardown, which must not need memory. */
static void armed_test(void **state)
{
	if (!inside.plan.in_setup) {
		allocations_arm_every(inside.plan.first, inside.plan.every);
	}
	inside.test->test_func(state);
	inside.page->count = allocations_count();
}

static int run_inside(const struct CMUnitTest *test, const struct plan *plan, struct page *page)
{
	struct CMUnitTest one = *test;

	inside.test = test;
	inside.plan = *plan;
	inside.page = page;
	one.test_func = armed_test;
	one.setup_func = armed_setup;
	if (!one.initial_state) {
		one.initial_state = group_state;
	}
	return __real__cmocka_run_group_tests("again", &one, 1, NULL, NULL);
}

/* ---- runs ---- */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void begin(struct run *run, const struct CMUnitTest *test, const struct plan *plan,
		  uint64_t limit_ms)
{
	pid_t watcher = getpid();

	run->test = test;
	run->plan = *plan;
	run->limit_ms = limit_ms;
	run->stalled = false;
	run->endless = false;
	memset(run->page, 0, sizeof(*run->page));
	run->output = memfd_create("output", MFD_CLOEXEC);
	if (run->output < 0) {
		die("memfd_create");
	}
	fflush(NULL);
	run->pid = fork();
	if (run->pid < 0) {
		die("fork");
	}
	if (run->pid == 0) {
		(void)setpgid(0, 0);
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != watcher) {
			_exit(1);
		}
		(void)dup2(run->output, STDOUT_FILENO);
		(void)dup2(run->output, STDERR_FILENO);
		fault_files = &run->page->files;
		/* Leaks are looked for at the end of a test that went well; one that did not has
		 * lost its way. */
		if (run_inside(test, plan, run->page) != 0) {
			fflush(NULL);
			_exit(EXIT_TEST_FAILED);
		}
		exit(0);
	}
	(void)setpgid(run->pid, run->pid);
	run->pidfd = pidfd_open(run->pid, 0);
	if (run->pidfd < 0) {
		die("pidfd_open");
	}
	run->moved_ms = now_ms();
	run->moved_cpu_ns = 0;
}

/* How long it has run, and waited for a processor. */
static void get_times(pid_t pid, uint64_t *ret_ran_ns, uint64_t *ret_waited_ns)
{
	uint64_t ran = 0, waited = 0;
	char path[40];
	FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	file = fopen(path, "re");
	if (file) {
		if (fscanf(file, "%" SCNu64 " %" SCNu64, &ran, &waited) != 2) {
			ran = waited = 0;
		}
		(void)fclose(file);
	}
	*ret_ran_ns = ran;
	*ret_waited_ns = waited;
}

/* Ends the run if it does not move, or does not end. `stall_ms` 0: it may wait. */
static void watch(struct run *run, unsigned stall_ms)
{
	uint64_t now = now_ms();
	uint64_t ran = 0, waited = 0;

	get_times(run->pid, &ran, &waited);
	if (ran + waited > run->moved_cpu_ns + 1000000) {
		run->moved_cpu_ns = ran + waited;
		run->moved_ms = now;
	}
	if (stall_ms > 0 && now - run->moved_ms > stall_ms) {
		run->stalled = true;
	} else if (ran / 1000000 > run->limit_ms) {
		run->endless = true;
	} else if (now > over_ms && now - over_ms > GRACE_MS) {
		run->stalled = true;
	} else {
		return;
	}
	/* AddressSanitizer makes a trace of an abort. */
	(void)kill(-run->pid, getenv("FETCHD_FAULTS_STALLS") ? SIGABRT : SIGKILL);
}

/* Waits for the end of one of them, or at most a tick. */
static void wait_a_while(unsigned stall_ms)
{
	struct pollfd polled[RUNS_AT_ONCE];
	nfds_t count = 0;

	for (unsigned i = 0; i < RUNS_AT_ONCE; i++) {
		if (runs[i].pid > 0) {
			watch(&runs[i], stall_ms);
			polled[count++] = (struct pollfd){.fd = runs[i].pidfd, .events = POLLIN};
		}
	}
	(void)poll(polled, count, TICK_MS);
}

/* True and the status once it has ended; then nothing of it is left but its output and its page. */
static bool ended(struct run *run, int *ret_status)
{
	struct rusage usage;

	if (wait4(run->pid, ret_status, WNOHANG, &usage) != run->pid) {
		return false;
	}
	run->ran_ms = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
		      (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	if (run->endless && usage.ru_nvcsw >= SLEEPS_MIN) {
		run->endless = false;
		run->stalled = true;
	}
	/* What it has forked. */
	(void)kill(-run->pid, SIGKILL);
	(void)close(run->pidfd);
	fault_files_remove(&run->page->files);
	run->pid = 0;
	return true;
}

/* What it has printed; one static buffer. */
static const char *output_of(const struct run *run)
{
	static char text[OUTPUT_MAX];
	ssize_t length = pread(run->output, text, sizeof(text) - 1, 0);

	text[length > 0 ? length : 0] = '\0';
	return text;
}

static void print_run(const struct run *run)
{
	char path[4096];
	ssize_t length = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	printf("FETCHD_FAULTS=%s:%lu:%lu%s %s\n", run->test->name, run->plan.first, run->plan.every,
	       run->plan.in_setup ? ":setup" : "", path);
}

static void judge(struct run *run, int status)
{
	const char *fault = NULL;

	tally.runs++;
	if (run->endless) {
		fault = "does not end";
	} else if (run->stalled) {
		tally.stalled++;
		if (getenv("FETCHD_FAULTS_STALLS")) {
			printf("\n---- %s: waits\n", run->test->name);
			print_run(run);
			fputs(output_of(run), stdout);
		}
	} else if (!WIFEXITED(status)) {
		fault = strsignal(WTERMSIG(status));
	} else if (WEXITSTATUS(status) == EXIT_TEST_FAILED) {
		tally.failed++;
	} else if (WEXITSTATUS(status) != 0 && report_is_of_test(output_of(run))) {
		tally.failed++;
	} else if (WEXITSTATUS(status) != 0) {
		fault = "ends with a report";
	}
	if (fault) {
		tally.findings++;
		printf("\n---- %s: %s\n", run->test->name, fault);
		print_run(run);
		fputs(output_of(run), stdout);
		fflush(stdout);
	}
}

/* ---- all of it ---- */

/* How many allocations there are when none fails, and how long it runs. False: the test does not
 * even pass then, which is for the unit tests to say. */
static bool measure(struct subject *setup, struct subject *test)
{
	struct plan plan = {.first = ULONG_MAX};
	struct run *run = &runs[0];
	int status = 0;

	begin(run, test->test, &plan, UINT64_MAX);
	while (!ended(run, &status)) {
		wait_a_while(0);
	}
	(void)close(run->output);
	setup->count = run->page->setup_count;
	test->count = run->page->count;
	setup->limit_ms = test->limit_ms = LIMIT_MS + LIMIT_FACTOR * run->ran_ms;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static struct subject *find_subjects(const struct CMUnitTest *tests, size_t count,
				     size_t *ret_count)
{
	struct subject *subjects = calloc(2 * count, sizeof(*subjects));
	size_t found = 0;

	if (!subjects) {
		die("calloc");
	}
	for (size_t i = 0; i < count; i++) {
		struct subject setup = {.test = &tests[i], .in_setup = true};
		struct subject test = {.test = &tests[i]};

		if (!measure(&setup, &test)) {
			printf("%s fails by itself: left out\n", tests[i].name);
			continue;
		}
		/* Tests have few different setups. */
		for (size_t k = 0; k < i; k++) {
			if (tests[k].setup_func == tests[i].setup_func) {
				setup.count = 0;
			}
		}
		if (setup.count > 0) {
			subjects[found++] = setup;
		}
		if (test.count > 0) {
			subjects[found++] = test;
		}
	}
	*ret_count = found;
	return subjects;
}

/* The next run of any of them, in turns; false: there are no more. */
static bool next_run(struct subject *subjects, size_t count, size_t *cursor, struct run *run)
{
	for (size_t i = 0; i < count; i++) {
		struct subject *subject = &subjects[*cursor];
		struct plan plan = {.in_setup = subject->in_setup};

		*cursor = (*cursor + 1) % count;
		if (plan_next(subject->count, &subject->next, &plan)) {
			begin(run, subject->test, &plan, subject->limit_ms);
			return true;
		}
	}
	return false;
}

static void try_all(struct subject *subjects, size_t count)
{
	bool more = count > 0;
	unsigned going = 0;
	size_t cursor = 0;
	int status = 0;

	while (more || going > 0) {
		if (now_ms() > over_ms || tally.findings >= FINDINGS_MAX) {
			more = false;
		}
		going = 0;
		for (unsigned i = 0; i < RUNS_AT_ONCE; i++) {
			struct run *run = &runs[i];

			if (run->pid > 0 && ended(run, &status)) {
				judge(run, status);
				(void)close(run->output);
			}
			if (run->pid == 0 && more) {
				more = next_run(subjects, count, &cursor, run);
			}
			going += run->pid > 0;
		}
		if (going > 0) {
			wait_a_while(STALL_MS);
		}
	}
}

/* The one run that the environment asks for. */
static int run_one(const struct CMUnitTest *tests, size_t count, const char *wanted)
{
	const char *colon = strchr(wanted, ':');
	struct plan plan = {0};
	size_t length = colon ? (size_t)(colon - wanted) : 0;
	char *end = NULL;

	if (colon) {
		plan.first = strtoul(colon + 1, &end, 10);
		if (*end == ':') {
			plan.every = strtoul(end + 1, &end, 10);
		}
		plan.in_setup = strcmp(end, ":setup") == 0;
	}
	for (size_t i = 0; i < count && colon; i++) {
		if (strlen(tests[i].name) == length && memcmp(tests[i].name, wanted, length) == 0) {
			return run_inside(&tests[i], &plan, runs[0].page);
		}
	}
	fprintf(stderr, "no such test here: %s\n", wanted);
	return 1;
}

int __wrap__cmocka_run_group_tests(const char *name, const struct CMUnitTest *tests, size_t count,
				   CMFixtureFunction setup, CMFixtureFunction teardown)
{
	const char *wanted = getenv("FETCHD_FAULTS");
	const char *limit = getenv("FETCHD_FAULTS_SECONDS");
	unsigned long seconds = limit ? strtoul(limit, NULL, 10) : SECONDS_DEFAULT;
	struct subject *subjects = NULL;
	size_t found = 0;
	int result = 0;

	(void)name;
	for (unsigned i = 0; i < RUNS_AT_ONCE; i++) {
		runs[i].page = mmap(NULL, sizeof(*runs[i].page), PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (runs[i].page == MAP_FAILED) {
			die("mmap");
		}
	}
	if (setup && setup(&group_state) != 0) {
		fprintf(stderr, "the setup of all tests fails\n");
		return 1;
	}
	if (wanted) {
		result = run_one(tests, count, wanted);
	} else {
		subjects = find_subjects(tests, count, &found);
		if (seconds > 0) {
			over_ms = now_ms() + (uint64_t)seconds * 1000;
		}
		try_all(subjects, found);
		free(subjects);
		printf("%zu tests, %lu runs with failing allocations: in %lu of them the test "
		       "failed, %lu waited in vain, %lu findings\n",
		       count, tally.runs, tally.failed, tally.stalled, tally.findings);
		result = tally.findings > 0;
	}
	if (teardown) {
		(void)teardown(&group_state);
	}
	return result;
}
