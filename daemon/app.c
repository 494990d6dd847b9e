/* SPDX-License-Identifier: MIT */
/*
 * Start: loop, counters, accounts, DNS, TLS, pool, jobs, clients; then READY. SIGHUP reads the
 * configuration again and swaps it in, or keeps the old one and says why. SIGTERM drains: no new
 * clients, no new jobs, the running ones end; a deadline or a second SIGTERM ends them with
 * SHUTDOWN. Last, every client gets its Goodbye.
 */
#include "app.h"

#include "base/account.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/worker.h"
#include "http/pool.h"
#include "ipc/ipc.h"
#include "job/job.h"
#include "net/dns.h"
#include "net/tls.h"
#include "service.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct app {
	const struct options *options;
	struct config *config;
	struct loop *loop;
	struct metrics metrics;
	struct accounts *accounts;
	struct http_env env;
	struct pool *pool;
	struct jobs *jobs;
	struct workers *writers;
	struct ipc *ipc;
	struct loop_signal hangup, terminate, interrupt;
	struct loop_timer drain_deadline;
	struct service_watchdog watchdog;
	struct stat socket_stat; /* of the socket we made; st_ino 0: we made none */
	bool draining;
	bool stopping;
};

/* ---- settings ---- */

static struct http_settings http_settings_of(const struct config *config)
{
	return (struct http_settings){
		.stream_window = (uint32_t)config->http.stream_window,
		.max_stream_window = (uint32_t)config->http.max_stream_window,
		.connection_window = (uint32_t)config->http.connection_window,
		.max_connection_window = (uint32_t)config->http.max_connection_window,
		.max_frame_size = (uint32_t)config->http.max_frame_size,
		.max_header_list = (uint32_t)config->http.max_header_list,
		.max_headers = (uint32_t)config->http.max_headers,
		.max_informational = (uint32_t)config->http.max_informational,
		.max_streams_per_connection = (uint32_t)config->pool.max_streams_per_connection,
		.max_connections_per_origin = (uint32_t)config->pool.max_connections_per_origin,
		.max_connections = (uint32_t)config->pool.max_connections,
		.max_origins = (uint32_t)config->pool.max_origins,
		.body_budget = config->memory.body_budget,
		.body_budget_per_user = config->memory.body_budget_per_uid,
		.max_streams_per_user = (uint32_t)config->pool.max_streams_per_uid,
		.aging_ms = config->pool.aging_ms,
		.connect_timeout_ms = config->pool.connect_timeout_ms,
		.idle_timeout_ms = config->pool.idle_timeout_ms,
		.backoff_ms = config->pool.backoff_ms,
		.max_backoff_ms = config->pool.max_backoff_ms,
		.continue_timeout_ms = config->http.continue_timeout_ms,
		.flood = {.settings_rate = (uint32_t)config->http.max_settings_rate,
			  .ping_rate = (uint32_t)config->http.max_ping_rate,
			  .reset_rate = (uint32_t)config->http.max_reset_rate,
			  .empty_rate = (uint32_t)config->http.max_empty_rate,
			  .max_continuations = (uint32_t)config->http.max_continuations},
		.max_queued_frames = (uint32_t)config->http.max_queued_frames,
		.write_timeout_ms = config->http.write_timeout_ms,
		.ping_after_ms = config->http.ping_after_ms,
		.ping_timeout_ms = config->http.ping_timeout_ms,
	};
}

static struct dns_config dns_config_of(const struct config *config)
{
	return (struct dns_config){
		.servers = config->dns.servers,
		.timeout_ms = config->dns.timeout_ms,
		.tries = config->dns.tries,
	};
}

static void account_limits_of(const struct config *config, uint64_t limits[ACCOUNT_SLOTS])
{
	limits[ACCOUNT_PEERS] = config->ipc.max_clients_per_uid;
	limits[ACCOUNT_JOBS] = config->ipc.max_jobs_per_uid;
	limits[ACCOUNT_FDS] = config->ipc.max_fds_per_uid;
}

static void set_log_level(const struct app *app, const struct config *config)
{
	log_set_level(app->options->has_log_level ? app->options->log_level
						  : config->daemon.log_level);
}

/* ---- reload ---- */

/* Everything that can fail comes first, so that a bad configuration changes nothing. */
static int apply(struct app *app, struct config *config)
{
	struct dns_config dns_config = dns_config_of(config);
	struct tls_context *tls = NULL;
	struct failure failure;
	uint64_t limits[ACCOUNT_SLOTS];
	int rc = tls_context_new(config->tls.ca_file, config->tls.priority, &tls, &failure);

	if (rc != 0) {
		log_error("the old configuration stays: %s",
			  rc > 0 ? failure.links[0].text : strerror(-rc));
		return -EINVAL;
	}
	rc = dns_configure(app->env.dns, &dns_config);
	if (rc < 0) {
		log_error("the old configuration stays: dns.servers \"%s\": %s",
			  config->dns.servers, strerror(-rc));
		tls_context_unref(tls);
		return rc;
	}
	tls_context_unref(app->env.tls);
	app->env.tls = tls;
	app->env.settings = http_settings_of(config);
	account_limits_of(config, limits);
	accounts_set_limits(app->accounts, limits);
	set_log_level(app, config);
	jobs_reconfigure(app->jobs, config);
	ipc_reconfigure(app->ipc, config);
	pool_reconfigure(app->pool);
	return 0;
}

static void say_ready(const struct app *app)
{
	service_ready("Serving %" PRIu32 " clients, %" PRIu32 " jobs", ipc_client_count(app->ipc),
		      jobs_open(app->jobs));
}

static void on_hangup(void *ctx, int signal)
{
	struct app *app = ctx;
	struct config *config = NULL;
	struct config_error error;

	(void)signal;
	if (app->draining) {
		return;
	}
	service_reloading();
	if (config_load(app->options->config, app->options->config_given, &config, &error) < 0) {
		log_error("the old configuration stays: %s", error.text);
	} else if (apply(app, config) < 0) {
		config_free(config);
	} else {
		config_free(app->config);
		app->config = config;
		log_info("configuration read again");
	}
	say_ready(app);
}

/* ---- stopping ---- */

static void remove_socket(struct app *app)
{
	struct stat st;

	if (app->socket_stat.st_ino == 0) {
		return;
	}
	/* Only if it is still ours: another daemon may have taken the name. */
	if (lstat(app->options->socket, &st) == 0 && st.st_ino == app->socket_stat.st_ino &&
	    st.st_dev == app->socket_stat.st_dev) {
		unlink(app->options->socket);
	}
	app->socket_stat.st_ino = 0;
}

static void on_clients_gone(void *ctx)
{
	struct app *app = ctx;

	loop_stop(app->loop);
}

static void on_jobs_done(void *ctx)
{
	struct app *app = ctx;

	if (!app->stopping) {
		app->stopping = true;
		loop_timer_stop(&app->drain_deadline);
		ipc_say_goodbye(app->ipc, on_clients_gone, app);
	}
}

static void stop_now(void *ctx)
{
	struct app *app = ctx;

	if (jobs_open(app->jobs)) {
		log_warning("ending %" PRIu32 " open jobs", jobs_open(app->jobs));
	}
	jobs_stop(app->jobs);
}

static void on_terminate(void *ctx, int signal)
{
	struct app *app = ctx;

	(void)signal;
	if (app->draining) {
		stop_now(app);
		return;
	}
	app->draining = true;
	log_info("stopping: %" PRIu32 " jobs open, up to %" PRIu64 " ms for them",
		 jobs_open(app->jobs), app->config->daemon.drain_timeout_ms);
	service_stopping("Draining %" PRIu32 " jobs", jobs_open(app->jobs));
	ipc_stop_listening(app->ipc);
	remove_socket(app);
	loop_timer_start(&app->drain_deadline, app->loop, app->config->daemon.drain_timeout_ms,
			 stop_now, app);
	jobs_drain(app->jobs, on_jobs_done, app);
}

/* ---- starting ---- */

static void on_beat(void *ctx)
{
	struct app *app = ctx;

	if (!app->draining) {
		service_status("Serving %" PRIu32 " clients, %" PRIu32 " jobs",
			       ipc_client_count(app->ipc), jobs_open(app->jobs));
	}
}

/* Every client and every connection is a descriptor. */
static void raise_descriptor_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static int check_state_dir(const struct app *app)
{
	struct stat st;

	if (!app->options->state_dir[0]) {
		return 0;
	}
	if (mkdir(app->options->state_dir, 0700) < 0 && errno != EEXIST) {
		log_error("--state-dir %s: cannot make it: %s", app->options->state_dir,
			  strerror(errno));
		return -1;
	}
	if (stat(app->options->state_dir, &st) < 0) {
		log_error("--state-dir %s: %s", app->options->state_dir, strerror(errno));
		return -1;
	}
	if (!S_ISDIR(st.st_mode)) {
		log_error("--state-dir %s: not a folder", app->options->state_dir);
		return -1;
	}
	return 0;
}

/* The folder of the default socket need not be there yet: /run is empty after a boot. */
static void make_socket_dir(const char *path)
{
	char dir[4096];
	char *slash = NULL;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash && slash != dir) {
		*slash = '\0';
		(void)mkdir(dir, geteuid() == 0 ? 0755 : 0700);
	}
}

static int open_socket(struct app *app)
{
	const char *path = app->options->socket;
	int fd = service_take_socket();
	int rc = 0;

	if (fd >= 0) {
		return fd;
	}
	if (fd != -ENOENT) {
		log_error("the socket handed over by the service manager: %s", strerror(-fd));
		return fd;
	}
	make_socket_dir(path);
	rc = ipc_bind(path, geteuid() == 0 ? 0660 : 0600, &fd);
	if (rc < 0) {
		log_error("cannot listen on %s: %s%s", path, strerror(-rc),
			  rc == -EADDRINUSE ? " (another fetchd answers there)" : "");
		return rc;
	}
	if (lstat(path, &app->socket_stat) < 0) {
		app->socket_stat.st_ino = 0;
	}
	return fd;
}

static int no_memory(void)
{
	log_error("out of memory");
	return -ENOMEM;
}

static int build_http(struct app *app)
{
	struct dns_config dns_config = dns_config_of(app->config);
	struct failure failure;
	int rc = tls_context_new(app->config->tls.ca_file, app->config->tls.priority, &app->env.tls,
				 &failure);

	if (rc != 0) {
		log_error("TLS: %s", rc > 0 ? failure.links[0].text : strerror(-rc));
		return rc > 0 ? -EINVAL : rc;
	}
	rc = dns_new(app->loop, &dns_config, &app->env.dns);
	if (rc < 0) {
		log_error("name resolution (dns.servers \"%s\"): %s", app->config->dns.servers,
			  strerror(-rc));
		return rc;
	}
	app->env.loop = app->loop;
	app->env.metrics = &app->metrics;
	app->env.accounts = app->accounts;
	app->env.settings = http_settings_of(app->config);
	app->pool = pool_new(&app->env);
	return app->pool ? 0 : no_memory();
}

static int build(struct app *app)
{
	uint64_t limits[ACCOUNT_SLOTS];
	struct ipc_world world;
	int rc = check_state_dir(app);

	if (rc < 0) {
		return rc;
	}
	account_limits_of(app->config, limits);
	app->loop = loop_new();
	app->accounts = accounts_new(limits);
	if (!app->loop || !app->accounts) {
		return no_memory();
	}
	rc = build_http(app);
	if (rc < 0) {
		return rc;
	}
	app->jobs = jobs_new(app->loop, &app->env, app->pool, app->accounts, app->config);
	if (!app->jobs) {
		return no_memory();
	}
	rc = workers_new(app->loop, (unsigned)app->config->daemon.writer_threads, &app->writers);
	if (rc < 0) {
		log_error("cannot start %" PRIu64 " threads (daemon.writer_threads): %s",
			  app->config->daemon.writer_threads, strerror(-rc));
		return rc;
	}
	world = (struct ipc_world){
		.loop = app->loop,
		.env = &app->env,
		.pool = app->pool,
		.jobs = app->jobs,
		.accounts = app->accounts,
		.writers = app->writers,
		.config = app->config,
		.version = FETCHD_VERSION,
	};
	rc = ipc_new(&world, &app->ipc);
	if (rc < 0) {
		log_error("cannot serve clients: %s", strerror(-rc));
		return rc;
	}
	rc = open_socket(app);
	if (rc < 0) {
		return rc;
	}
	ipc_listen(app->ipc, rc);
	return 0;
}

static void take_down(struct app *app)
{
	service_watchdog_stop(&app->watchdog);
	loop_timer_stop(&app->drain_deadline);
	loop_signal_stop(&app->hangup);
	loop_signal_stop(&app->terminate);
	loop_signal_stop(&app->interrupt);
	ipc_free(app->ipc);
	workers_free(app->writers);
	remove_socket(app);
	jobs_free(app->jobs);
	pool_free(app->pool);
	dns_free(app->env.dns);
	tls_context_unref(app->env.tls);
	accounts_free(app->accounts);
	loop_free(app->loop);
	config_free(app->config);
}

int app_check(const struct config *config)
{
	struct dns_config dns_config = dns_config_of(config);
	struct loop *loop = loop_new();
	struct tls_context *tls = NULL;
	struct dns *dns = NULL;
	struct failure failure;
	int status = APP_EXIT_CONFIG;
	int rc = loop ? tls_context_new(config->tls.ca_file, config->tls.priority, &tls, &failure)
		      : -ENOMEM;

	if (rc != 0) {
		fprintf(stderr, "fetchd: TLS: %s\n",
			rc > 0 ? failure.links[0].text : strerror(-rc));
	} else {
		rc = dns_new(loop, &dns_config, &dns);
		if (rc < 0) {
			fprintf(stderr, "fetchd: dns.servers \"%s\": %s\n", config->dns.servers,
				strerror(-rc));
		} else {
			status = APP_EXIT_OK;
		}
	}
	dns_free(dns);
	tls_context_unref(tls);
	loop_free(loop);
	return status;
}

int app_run(const struct options *options, struct config *config)
{
	struct app *app = calloc(1, sizeof(*app));
	int status = APP_EXIT_START;
	int rc = 0;

	if (!app) {
		config_free(config);
		(void)no_memory();
		return APP_EXIT_START;
	}
	app->options = options;
	app->config = config;
	set_log_level(app, config);
	raise_descriptor_limit();
	/* Errors of write() for who writes: a reader that is gone, a file larger than allowed. */
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN);
	rc = build(app);
	if (rc == -EINVAL) {
		status = APP_EXIT_CONFIG; /* nothing that another try would change */
	}
	if (rc == 0) {
		loop_signal_start(&app->hangup, app->loop, SIGHUP, on_hangup, app);
		loop_signal_start(&app->terminate, app->loop, SIGTERM, on_terminate, app);
		loop_signal_start(&app->interrupt, app->loop, SIGINT, on_terminate, app);
		service_watchdog_start(&app->watchdog, app->loop, on_beat, app);
		log_info("fetchd " FETCHD_VERSION " listens on %s",
			 app->socket_stat.st_ino ? options->socket : "the socket it was given");
		say_ready(app);
		loop_run(app->loop);
		log_info("stopped");
		status = APP_EXIT_OK;
	}
	take_down(app);
	free(app);
	return status;
}
