/* SPDX-License-Identifier: Apache-2.0 */

/*
 * bulkhead up: both daemons in the foreground. First the data plane, as root; then the controller,
 * as an ordinary user, with a thread here that opens what it may not read itself (manifests, or a
 * kubeconfig). Whoever of them ends is started again; when we end, they do, and enforcement stays.
 */

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "controller/cluster/fetch.h"
#include "proto/cleanup.h"
#include "proto/listen.h"
#include "proto/pidfile.h"
#include "tools/bulkhead/broker.h"
#include "tools/bulkhead/cli.h"
#include "tools/bulkhead/up.h"

/* Loading the BPF programs takes the verifier some seconds on a slow machine. */
#define DATAPLANE_START_MS 60000
#define READY_MS 30000
#define TICK_MS 50
#define END_MS 10000
#define RESTART_MIN_MS 200
#define RESTART_MAX_MS 10000
/* Who has lived so long did not die of starting: the delay begins anew. */
#define STABLE_MS 30000
#define ARGUMENTS_MAX 128

enum stage {
	STAGE_DATAPLANE, /* its socket is awaited */
	STAGE_CONTROLLER,
	STAGE_RUNNING,
};

struct daemon {
	const char *name;
	char path[PATH_MAX];
	struct bh_process_rights rights;
	pid_t pid; /* 0: does not run */
	uint64_t started;
	uint64_t restart_at; /* 0: not to be started */
	unsigned int delay;
};

struct up {
	struct bh_up_options options;
	char run_dir[PATH_MAX];
	char state_dir[PATH_MAX];
	char manifests[PATH_MAX];      /* "": the API server */
	char http_cert[PATH_MAX];      /* "": no TLS */
	char webhook_secret[PATH_MAX]; /* "": none */
	char webhook_ca[PATH_MAX];
	char http_key[PATH_MAX];
	char http_tokens[PATH_MAX];
	char cluster_token[PATH_MAX]; /* "": not given, as the next two */
	char cluster_login[PATH_MAX];
	char cluster_ca[PATH_MAX];
	char kubeconfig[PATH_MAX]; /* "": the service account of the pod we are in */
	char user[16];             /* the uid as a number */
	struct daemon dataplane;
	struct daemon controller;
	enum stage stage;
	uint64_t stage_end;
	int signal_fd;
	int pid_fd;
	int failed; /* exit code */
	bool ending;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void __attribute__((format(printf, 1, 2))) say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("bulkhead: ");
	vprintf(format, args);
	putchar('\n');
	fflush(stdout);
	va_end(args);
}

/* ---- The broker's thread --------------------------------------------------------------------- */

struct broker {
	int fd;
	enum bh_broker_subject subject;
	char path[PATH_MAX];
};

/* A thread, since the loop itself asks the controller, which may just be waiting for a file. */
static void *serve(void *data)
{
	struct broker *broker = data;
	struct pollfd p = {.fd = broker->fd, .events = POLLIN};

	do {
		poll(&p, 1, -1);
	} while (bh_broker_serve(broker->fd, broker->subject, broker->path) == 0);
	close(broker->fd);
	free(broker);
	return NULL;
}

/* Returns the controller's end of the socket, or -errno. */
static int start_broker(const struct up *up)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	pthread_t thread;
	int pair[2];

	if (!broker)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(broker);
		return -errno;
	}
	broker->fd = pair[0];
	broker->subject = *up->manifests ? BH_BROKER_FOLDER : BH_BROKER_ONE_KUBECONFIG;
	strcpy(broker->path, *up->manifests ? up->manifests : up->kubeconfig);
	if (pthread_create(&thread, NULL, serve, broker) != 0) {
		close(pair[0]);
		close(pair[1]);
		free(broker);
		return -EAGAIN;
	}
	pthread_detach(thread);
	return pair[1];
}

/* ---- Starting -------------------------------------------------------------------------------- */

/* Adds "--name value" unless there is no value. */
static void add_option(const char **argv, int *n, const char *name, const char *value)
{
	if (!value)
		return;
	argv[(*n)++] = name;
	argv[(*n)++] = value;
}

static int started(struct daemon *daemon, pid_t pid)
{
	if (pid < 0)
		return bh_cli_fail("starting %s: %s", daemon->path, strerror(-pid));
	daemon->pid = pid;
	daemon->started = now_ms();
	daemon->restart_at = 0;
	return 0;
}

/* With an API server every new interface is some pod's; in a folder pods may just be missing. */
static bool is_holding(const struct up *up)
{
	const char *hold = up->options.hold ? up->options.hold : *up->manifests ? "no" : "yes";

	return strcmp(hold, "yes") == 0;
}

static int start_dataplane(struct up *up)
{
	const char *argv[ARGUMENTS_MAX] = {up->dataplane.name};
	_cleanup_free_ char *sizes = up->options.map_size ? strdup(up->options.map_size) : NULL;
	char *rest = NULL;
	int n = 1;

	add_option(argv, &n, "--run-dir", up->run_dir);
	add_option(argv, &n, "--user", up->user);
	add_option(argv, &n, "--attach", up->options.attach);
	add_option(argv, &n, "--uplink", up->options.uplink);
	add_option(argv, &n, "--log-level", up->options.log_level);
	if (up->options.xdp_generic && strcmp(up->options.xdp_generic, "yes") == 0)
		argv[n++] = "--xdp-generic";
	if (is_holding(up))
		argv[n++] = "--hold";
	add_option(argv, &n, "--hold-exclude", up->options.hold_exclude);
	add_option(argv, &n, "--hold-timeout", up->options.hold_timeout);
	add_option(argv, &n, "--flow-active", up->options.flow_active);
	for (char *size = sizes ? strtok_r(sizes, ",", &rest) : NULL; size;
		size = strtok_r(NULL, ",", &rest)) {
		if (n + 2 >= ARGUMENTS_MAX)
			return bh_cli_fail("--map-size names more maps than there are");
		add_option(argv, &n, "--map-size", size);
	}
	return started(&up->dataplane, bh_process_start(up->dataplane.path, (char *const *)argv,
					       &up->dataplane.rights, -1));
}

static void add_exports(const char **argv, int *n, const struct bh_up_options *options)
{
	add_option(argv, n, "--export-json", options->export_json);
	add_option(argv, n, "--export-json-size", options->export_json_size);
	add_option(argv, n, "--export-json-files", options->export_json_files);
	add_option(argv, n, "--export-json-age", options->export_json_age);
	add_option(argv, n, "--export-json-sync", options->export_json_sync);
	add_option(argv, n, "--export-ipfix", options->export_ipfix);
	add_option(argv, n, "--export-ipfix-enterprise", options->export_ipfix_enterprise);
	add_option(argv, n, "--export-ipfix-templates", options->export_ipfix_templates);
	add_option(argv, n, "--export-queue", options->export_queue);
	add_option(argv, n, "--metrics-series", options->metrics_series);
}

static void add_alerts(const char **argv, int *n, const struct up *up)
{
	const struct bh_up_options *options = &up->options;

	add_option(argv, n, "--alert-ports", options->alert_ports);
	add_option(argv, n, "--alert-hosts", options->alert_hosts);
	add_option(argv, n, "--alert-window", options->alert_window);
	add_option(argv, n, "--alert-learn", options->alert_learn);
	add_option(argv, n, "--alert-days", options->alert_days);
	add_option(argv, n, "--alert-webhook", options->alert_webhook);
	add_option(
		argv, n, "--alert-webhook-secret", *up->webhook_secret ? up->webhook_secret : NULL);
	add_option(argv, n, "--alert-webhook-ca", *up->webhook_ca ? up->webhook_ca : NULL);
}

static void add_cluster(const char **argv, int *n, const struct up *up)
{
	add_option(argv, n, "--cluster", up->options.cluster);
	add_option(argv, n, "--cluster-token", *up->cluster_token ? up->cluster_token : NULL);
	add_option(argv, n, "--cluster-login", *up->cluster_login ? up->cluster_login : NULL);
	add_option(argv, n, "--cluster-ca", *up->cluster_ca ? up->cluster_ca : NULL);
	add_option(argv, n, "--cluster-tenant", up->options.cluster_tenant);
	add_option(argv, n, "--cluster-match", up->options.cluster_match);
}

static int start_controller(struct up *up)
{
	const char *argv[ARGUMENTS_MAX] = {up->controller.name};
	bool brokered = *up->manifests || *up->kubeconfig;
	_cleanup_close_ int broker = brokered ? start_broker(up) : -1;
	char number[16];
	int n = 1;

	if (brokered && broker < 0)
		return bh_cli_fail("starting the broker: %s", strerror(-broker));
	snprintf(number, sizeof(number), "%d", broker);
	add_option(argv, &n, "--run-dir", up->run_dir);
	add_option(argv, &n, "--state-dir", up->state_dir);
	add_option(argv, &n, "--node", up->options.node);
	add_option(argv, &n, "--mode", up->options.mode);
	if (*up->manifests)
		add_option(argv, &n, "--manifests", up->manifests);
	else
		argv[n++] = "--kube";
	if (*up->kubeconfig)
		add_option(argv, &n, "--kubeconfig", up->kubeconfig);
	add_option(argv, &n, "--context", up->options.context);
	if (brokered)
		add_option(argv, &n, "--broker", number);
	add_option(argv, &n, "--history-days", up->options.history_days);
	add_option(argv, &n, "--history-size", up->options.history_size);
	add_option(argv, &n, "--http", up->options.http);
	add_option(argv, &n, "--http-cert", *up->http_cert ? up->http_cert : NULL);
	add_option(argv, &n, "--http-key", *up->http_key ? up->http_key : NULL);
	add_option(argv, &n, "--http-host", up->options.http_host);
	add_option(argv, &n, "--http-tokens", *up->http_tokens ? up->http_tokens : NULL);
	add_option(argv, &n, "--log-level", up->options.log_level);
	add_exports(argv, &n, &up->options);
	add_alerts(argv, &n, up);
	add_cluster(argv, &n, up);
	return started(&up->controller, bh_process_start(up->controller.path, (char *const *)argv,
						&up->controller.rights, broker));
}

/* ---- Stages ---------------------------------------------------------------------------------- */

static void fail_now(struct up *up)
{
	up->failed = BH_CLI_FAILED;
	up->ending = true;
}

static bool dataplane_listens(const struct up *up)
{
	char path[PATH_MAX];
	struct stat status;

	return bh_rundir_path(up->run_dir, "dataplane.sock", path, sizeof(path)) == 0 &&
	       lstat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

/* Where the page is, and what lets one in. */
static void say_http(const json_t *status)
{
	const json_t *http = json_object_get(status, "http");

	if (json_is_object(http))
		say("page and API on %s, the operator's token in %s", bh_json_get_text(http, "url"),
			bh_json_get_text(http, "tokenFile"));
}

static void say_ready(const json_t *status)
{
	const json_t *states = json_object_get(status, "endpointStates");
	int64_t n = bh_json_get_number(status, "endpoints");
	size_t problems = json_array_size(json_object_get(status, "problems"));

	say("ready: mode %s, %lld pods here (%lld attached), %lld policies, %zu problem%s%s",
		bh_json_get_text(status, "mode"), (long long)n,
		(long long)bh_json_get_number(states, "attached"),
		(long long)bh_json_get_number(status, "policies"), problems,
		problems == 1 ? "" : "s", problems ? " (see 'bulkhead status')" : "");
	say_http(status);
}

/* True once everything the sources said is in force, or it is no use waiting. */
static bool controller_is_ready(struct up *up, bool last_time)
{
	json_t *status = bh_ask_reachable() == 0 ? bh_ask("status", NULL, 2000) : NULL;
	const json_t *revision = json_object_get(status, "revision");
	int64_t wanted = bh_json_get_number(revision, "wanted");
	bool ready = wanted > 0 && bh_json_get_number(revision, "applied") == wanted;

	if (ready)
		say_ready(status);
	else if (last_time)
		say("started, but not ready: %s",
			status ? bh_json_get_text(status, "missing") : "the controller is silent");
	json_decref(status);
	return ready || last_time;
}

static void say_controller(const struct up *up)
{
	if (*up->manifests)
		say("starting the controller (uid %s), manifests in %s", up->user, up->manifests);
	else
		say("starting the controller (uid %s), the API server as in %s", up->user,
			*up->kubeconfig ? up->kubeconfig : "this pod's service account");
}

static void advance(struct up *up)
{
	uint64_t now = now_ms();

	if (up->stage == STAGE_DATAPLANE && dataplane_listens(up)) {
		say_controller(up);
		up->stage = STAGE_CONTROLLER;
		up->stage_end = now + READY_MS;
		if (start_controller(up) != 0)
			fail_now(up);
	} else if (up->stage == STAGE_DATAPLANE && now >= up->stage_end) {
		bh_cli_fail("bulkhead-dataplane does not listen after %d s, giving up",
			DATAPLANE_START_MS / 1000);
		fail_now(up);
	} else if (up->stage == STAGE_CONTROLLER && controller_is_ready(up, now >= up->stage_end)) {
		up->stage = STAGE_RUNNING;
	}
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static const char *how_it_ended(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was ended by signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status) == 127)
		snprintf(text, size, "could not be executed");
	else
		snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
	return text;
}

static void on_death(struct up *up, struct daemon *daemon, int status)
{
	char how[64];

	daemon->pid = 0;
	if (up->ending)
		return;
	how_it_ended(status, how, sizeof(how));
	if (up->stage != STAGE_RUNNING) {
		bh_cli_fail("%s %s before it was ready", daemon->name, how);
		fail_now(up);
		return;
	}
	if (now_ms() - daemon->started >= STABLE_MS)
		daemon->delay = 0;
	daemon->delay = daemon->delay ? daemon->delay * 2 : RESTART_MIN_MS;
	if (daemon->delay > RESTART_MAX_MS)
		daemon->delay = RESTART_MAX_MS;
	daemon->restart_at = now_ms() + daemon->delay;
	say("%s %s; what is enforced stays; starting it again in %u.%u s", daemon->name, how,
		daemon->delay / 1000, daemon->delay % 1000 / 100);
}

static void reap(struct up *up)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == up->dataplane.pid)
			on_death(up, &up->dataplane, status);
		else if (pid == up->controller.pid)
			on_death(up, &up->controller, status);
	}
}

static void restart_due(struct up *up)
{
	uint64_t now = now_ms();

	if (up->dataplane.restart_at && up->dataplane.restart_at <= now && start_dataplane(up) != 0)
		up->dataplane.restart_at = now + RESTART_MAX_MS;
	if (up->controller.restart_at && up->controller.restart_at <= now &&
		start_controller(up) != 0)
		up->controller.restart_at = now + RESTART_MAX_MS;
}

static void take_signals(struct up *up)
{
	struct signalfd_siginfo info;

	while (read(up->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGCHLD)
			reap(up);
		else
			up->ending = true;
	}
}

static int next_timeout(const struct up *up)
{
	uint64_t now = now_ms();
	uint64_t next = up->stage == STAGE_RUNNING ? 0 : now + TICK_MS;
	uint64_t restarts[2] = {up->dataplane.restart_at, up->controller.restart_at};

	for (int i = 0; i < 2; i++) {
		if (restarts[i] && (next == 0 || restarts[i] < next))
			next = restarts[i];
	}
	if (next == 0)
		return -1;
	return next > now ? (int)(next - now) : 0;
}

static void run(struct up *up)
{
	struct pollfd p = {.fd = up->signal_fd, .events = POLLIN};

	while (!up->ending) {
		poll(&p, 1, next_timeout(up));
		take_signals(up);
		if (up->ending)
			break;
		advance(up);
		restart_due(up);
	}
}

static void end_daemon(struct up *up, struct daemon *daemon)
{
	uint64_t end = now_ms() + END_MS;
	struct pollfd p = {.fd = up->signal_fd, .events = POLLIN};

	if (daemon->pid)
		kill(daemon->pid, SIGTERM);
	while (daemon->pid && now_ms() < end) {
		poll(&p, 1, TICK_MS);
		take_signals(up);
	}
	if (daemon->pid) {
		say("%s does not end, killing it", daemon->name);
		kill(daemon->pid, SIGKILL);
		waitpid(daemon->pid, NULL, 0);
		daemon->pid = 0;
	}
}

static void end(struct up *up)
{
	char path[PATH_MAX];

	end_daemon(up, &up->controller);
	end_daemon(up, &up->dataplane);
	bh_rundir_clean(up->run_dir);
	if (bh_rundir_path(up->run_dir, "up.pid", path, sizeof(path)) == 0)
		unlink(path);
	if (up->failed == 0)
		say("ended; what was in force stays enforced; '%s%s%s down' takes it away",
			"bulkhead", bh_cli.run_dir_given ? " --run-dir " : "",
			bh_cli.run_dir_given ? up->run_dir : "");
}

/* ---- Preparing ------------------------------------------------------------------------------- */

static int resolve_user(struct up *up)
{
	const char *name = up->options.user;
	struct passwd *user;
	unsigned long number;
	char *end_of_number;

	if (!name)
		name = getpwnam("bulkhead") ? "bulkhead" : "nobody";
	user = getpwnam(name);
	number = strtoul(name, &end_of_number, 10);
	if (user) {
		up->controller.rights.uid = user->pw_uid;
		up->controller.rights.gid = user->pw_gid;
	} else if (*name && !*end_of_number && number < (uid_t)-1) {
		user = getpwuid((uid_t)number);
		up->controller.rights.uid = (uid_t)number;
		up->controller.rights.gid = user ? user->pw_gid : (gid_t)number;
	} else {
		return bh_cli_fail("there is no user '%s'", name);
	}
	up->controller.rights.drop = up->controller.rights.uid != 0;
	if (!up->controller.rights.drop)
		bh_cli_fail("warning: the controller runs as root; --user names an ordinary user");
	snprintf(up->user, sizeof(up->user), "%u", (unsigned int)up->controller.rights.uid);
	return 0;
}

static int resolve_folders(struct up *up)
{
	const char *run_dir = up->options.run_dir ? up->options.run_dir : bh_cli.run_dir;
	int r = bh_rundir_absolute(run_dir, up->run_dir);

	if (r < 0)
		return bh_cli_fail("%s: %s", run_dir, strerror(-r));
	/* Everything below, and the commands asked from here, mean the same instance. */
	bh_cli.run_dir_given = strcmp(up->run_dir, BH_DEFAULT_RUN_DIR) != 0;
	bh_cli.run_dir = up->run_dir;
	if (up->options.state_dir)
		r = bh_rundir_absolute(up->options.state_dir, up->state_dir);
	else if (bh_cli.run_dir_given)
		r = bh_rundir_path(up->run_dir, "state", up->state_dir, sizeof(up->state_dir));
	else
		strcpy(up->state_dir, BH_DEFAULT_STATE_DIR);
	if (r < 0)
		return bh_cli_fail("state directory: %s", strerror(-r));
	return 0;
}

/* The path as it is, and not where it leads now: a link may lead elsewhere tomorrow. */
static int resolve_path(const char *option, const char *path, bool folder, char ret_path[PATH_MAX])
{
	char here[PATH_MAX] = "";
	struct stat status;

	if (stat(path, &status) < 0)
		return bh_cli_fail("--%s %s: %s", option, path, strerror(errno));
	if (folder ? !S_ISDIR(status.st_mode) : !S_ISREG(status.st_mode))
		return bh_cli_fail(
			"--%s %s: is not a %s", option, path, folder ? "folder" : "file");
	if (*path == '/')
		return bh_rundir_path("", path + 1, ret_path, PATH_MAX);
	if (!getcwd(here, sizeof(here)) || bh_rundir_path(here, path, ret_path, PATH_MAX) < 0)
		return bh_cli_fail("--%s %s: %s", option, path, strerror(errno));
	return 0;
}

static int wrong_option(const char *text)
{
	bh_cli_fail("%s", text);
	return BH_CLI_USAGE;
}

static int resolve_source(struct up *up)
{
	const struct bh_up_options *options = &up->options;
	bool kube = options->kube && strcmp(options->kube, "yes") == 0;

	if (!kube && (options->kubeconfig || options->context))
		return wrong_option("--kubeconfig and --context need --kube");
	if (kube && options->manifests)
		return wrong_option("--manifests and --kube exclude each other");
	if (!kube && !options->manifests)
		return wrong_option("--manifests is missing: name a folder of Kubernetes "
				    "manifests, or say --kube");
	if (options->context && !options->kubeconfig)
		return wrong_option("--context needs --kubeconfig");
	if (!kube)
		return resolve_path("manifests", options->manifests, true, up->manifests);
	return options->kubeconfig
		       ? resolve_path("kubeconfig", options->kubeconfig, false, up->kubeconfig)
		       : 0;
}

static int resolve_http(struct up *up)
{
	const struct bh_up_options *options = &up->options;
	char address[BH_LISTEN_ADDRESS_MAX];
	unsigned int port;
	int r;

	if (!options->http)
		return options->http_cert || options->http_key || options->http_host ||
				       options->http_tokens
			       ? wrong_option("--http-cert, --http-key, --http-host and "
					      "--http-tokens need --http")
			       : 0;
	if (!options->http_cert != !options->http_key)
		return wrong_option("--http-cert and --http-key go together");
	if (!options->http_cert && bh_listen_parse(options->http, address, &port) == 0 &&
		!bh_address_is_loopback(address))
		return wrong_option("--http beyond loopback needs --http-cert and --http-key: "
				    "others could read tokens on the way");
	r = options->http_tokens
		    ? resolve_path("http-tokens", options->http_tokens, false, up->http_tokens)
		    : 0;
	if (r || !options->http_cert)
		return r;
	r = resolve_path("http-cert", options->http_cert, false, up->http_cert);
	return r ? r : resolve_path("http-key", options->http_key, false, up->http_key);
}

static int resolve_webhook(struct up *up)
{
	const struct bh_up_options *options = &up->options;
	int r = 0;

	if (!options->alert_webhook && (options->alert_webhook_secret || options->alert_webhook_ca))
		return wrong_option("--alert-webhook-secret and --alert-webhook-ca need "
				    "--alert-webhook");
	if (options->alert_webhook_secret)
		r = resolve_path("alert-webhook-secret", options->alert_webhook_secret, false,
			up->webhook_secret);
	if (r == 0 && options->alert_webhook_ca)
		r = resolve_path(
			"alert-webhook-ca", options->alert_webhook_ca, false, up->webhook_ca);
	return r;
}

static int resolve_cluster(struct up *up)
{
	const struct bh_up_options *options = &up->options;
	const struct bh_cluster_source source = {
		.url = options->cluster ? bh_cluster_url(options->cluster) : NULL,
		.token = options->cluster_token,
		.login = options->cluster_login,
		.tenant = options->cluster_tenant,
		.match = options->cluster_match,
	};
	_cleanup_free_ char *wrong = NULL;
	int r = 0;

	if (!source.url)
		return options->cluster_token || options->cluster_login || options->cluster_ca ||
				       options->cluster_tenant || options->cluster_match
			       ? wrong_option("--cluster-… needs --cluster")
			       : 0;
	wrong = bh_cluster_source_check(&source);
	if (wrong) {
		bh_cli_fail("--cluster: %s", wrong);
		return BH_CLI_USAGE;
	}
	if (options->cluster_token)
		r = resolve_path("cluster-token", options->cluster_token, false, up->cluster_token);
	if (!r && options->cluster_login)
		r = resolve_path("cluster-login", options->cluster_login, false, up->cluster_login);
	if (!r && options->cluster_ca)
		r = resolve_path("cluster-ca", options->cluster_ca, false, up->cluster_ca);
	return r;
}

static int resolve_node(struct up *up)
{
	char name[256] = "";

	if (up->options.node)
		return 0;
	if (gethostname(name, sizeof(name) - 1) < 0 || !*name)
		return bh_cli_fail("this host has no name: say --node");
	up->options.node = strdup(name);
	return up->options.node ? 0 : bh_cli_fail("out of memory");
}

static int fail_running(const struct up *up, pid_t holder)
{
	return bh_cli_fail("an instance already runs on %s (process %d); 'bulkhead --run-dir %s "
			   "down' ends it",
		up->run_dir, (int)holder, up->run_dir);
}

/* Before anything of the running instance is touched. */
static int refuse_second(const struct up *up)
{
	char path[PATH_MAX];
	pid_t holder;

	if (bh_rundir_path(up->run_dir, "up.pid", path, sizeof(path)) < 0 ||
		bh_pidfile_holder(path, &holder) < 0)
		return 0;
	return fail_running(up, holder);
}

static int lock(struct up *up)
{
	char path[PATH_MAX];
	pid_t holder = 0;
	int r = bh_rundir_path(up->run_dir, "up.pid", path, sizeof(path));

	if (r == 0)
		r = bh_pidfile_take(path, &up->pid_fd, &holder);
	if (r == -EALREADY)
		return fail_running(up, holder);
	if (r < 0)
		return bh_cli_fail("%s: %s", path, strerror(-r));
	/* Daemons of an `up` that was killed are ending just now. */
	if (!bh_rundir_wait_free(up->run_dir, "controller.pid", END_MS) ||
		!bh_rundir_wait_free(up->run_dir, "dataplane.pid", END_MS))
		return bh_cli_fail("a daemon of another start still runs on %s; 'bulkhead "
				   "--run-dir %s down' ends it",
			up->run_dir, up->run_dir);
	bh_rundir_clean(up->run_dir);
	return 0;
}

static int take_over_signals(struct up *up)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	up->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return up->signal_fd < 0 ? bh_cli_fail("signals: %s", strerror(errno)) : 0;
}

static int prepare(struct up *up)
{
	int r;

	if (geteuid() != 0)
		return bh_cli_fail("up needs root (the data plane loads BPF programs; the "
				   "controller drops to an ordinary user)");
	umask(022);
	if ((r = resolve_folders(up)) || (r = resolve_source(up)) || (r = resolve_http(up)) ||
		(r = resolve_webhook(up)) || (r = resolve_cluster(up)) || (r = resolve_node(up)) ||
		(r = resolve_user(up)))
		return r;
	if (bh_process_find("bulkhead-dataplane", up->dataplane.path) < 0)
		return bh_cli_fail("bulkhead-dataplane is not beside this program");
	if (bh_process_find("bulkhead-controller", up->controller.path) < 0)
		return bh_cli_fail("bulkhead-controller is not beside this program");
	r = refuse_second(up);
	if (r != 0)
		return r;
	r = bh_rundir_prepare(
		up->run_dir, up->state_dir, up->controller.rights.uid, up->controller.rights.gid);
	if (r == 0 && up->options.export_json && *up->options.export_json == '/')
		r = bh_rundir_prepare_folder_of(up->options.export_json, up->controller.rights.uid,
			up->controller.rights.gid);
	if (r != 0)
		return r;
	r = lock(up);
	return r != 0 ? r : take_over_signals(up);
}

/* ---- The command ----------------------------------------------------------------------------- */

static int up_and_run(struct up *up)
{
	int r;

	if (bh_cli.run_dir_given && !(up->options.run_dir = strdup(bh_cli.run_dir)))
		return bh_cli_fail("out of memory");
	if (up->options.config) {
		r = bh_up_read_config(up->options.config, &up->options);
		if (r != 0)
			return r;
	}
	r = prepare(up);
	if (r != 0)
		return r;
	say("starting the data plane on %s", up->run_dir);
	up->stage_end = now_ms() + DATAPLANE_START_MS;
	if (start_dataplane(up) != 0)
		fail_now(up);
	run(up);
	end(up);
	return up->failed;
}

int bh_cli_up(int argc, char **argv)
{
	struct up up = {
		.dataplane = {.name = "bulkhead-dataplane"},
		.controller = {.name = "bulkhead-controller"},
		.pid_fd = -1,
		.signal_fd = -1,
	};
	int r;

	argp_parse(&bh_up_argp, argc, argv, 0, NULL, &up.options);
	if (!bh_cli_output_is("up", BH_ALLOW(BH_OUTPUT_TABLE)))
		return BH_CLI_USAGE;
	r = up_and_run(&up);
	bh_up_options_free(&up.options);
	if (up.signal_fd >= 0)
		close(up.signal_fd);
	if (up.pid_fd >= 0)
		close(up.pid_fd);
	return r;
}
