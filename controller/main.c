/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The controller: an ordinary user's process that reads what the orchestrator says, compiles it,
 * and keeps the data plane told. One thread, one loop:
 *
 *   folder changed → (settle) → rescan ──┐
 *   API server     → reflectors ─────────┴→ model → compile → link → data plane
 *   data plane     → link → flow log, edges, status → exporters
 *                         └→ history (with a thread of its own: this one never waits for the disk)
 *   command line   → control → api → an answer, at once or when what it waits for has come
 *                                └→ work (threads for what takes long, given copies of all they
 * need)
 *
 * Nothing here holds the kernel's keys, and nothing is lost when it ends: what it needs is in the
 * folder and the state directory, what it forgets are single flows.
 */

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <uv.h>

#include "controller/api/alerts.h"
#include "controller/api/api.h"
#include "controller/api/work.h"
#include "controller/cluster/cluster.h"
#include "controller/history/history.h"
#include "controller/export/tally.h"
#include "controller/model/memory.h"
#include "controller/options.h"
#include "controller/settings.h"
#include "proto/cleanup.h"
#include "proto/log.h"
#include "proto/pidfile.h"

/* A copy of many files is many events: wait until the folder has been quiet for so long… */
#define SETTLE_MS 20
/* … but not longer than this after the first event. */
#define SETTLE_MAX_MS 200
/* A change in the API server is few events, and somebody waits for it. */
#define KUBE_SETTLE_MS 3
#define KUBE_SETTLE_MAX_MS 30
/* Finds what inotify cannot see: a folder that was not there and came. */
#define RESCAN_MS 30000
#define NOTICES_MAX 6

struct controller {
	struct bh_options options;
	char *settings_path;
	char *decisions_path;
	int pid_fd;
	uv_loop_t loop;
	uv_poll_t link_poll;
	uv_poll_t control_poll;
	uv_poll_t manifests_poll;
	uv_poll_t history_poll;
	uv_timer_t timer;
	uv_idle_t at_once; /* instead of the timer, when something is due already */
	uv_signal_t signals[2];
	struct bh_control *control;
	struct bh_serve *serve;
	struct bh_alerting *alerting;
	struct bh_api api;
	struct bh_desired *desired;
	struct bh_api_notice notices[NOTICES_MAX];
	json_t *told;       /* problems that are in the log already: text → true */
	uint64_t settle_at; /* take the source's changes in then; 0: nothing has changed */
	uint64_t settle_end;
	uint64_t rescan_at;
	uint64_t applied;
	size_t attached;      /* pods, when that was last said */
	uint64_t next_record; /* of the flow log, that history has not seen */
	bool kube_current;    /* said in the log */
};

/* ---- Time ------------------------------------------------------------------------------------ */

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void on_timer(uv_timer_t *timer);
static void on_at_once(uv_idle_t *idle);

/*
 * One timer for everything that has a time: the nearest. What is due at once is for the next round
 * of the loop: a timer of no time at all would come in this one, again and again, and while flow
 * records pour in nothing else would be heard of.
 */
static void arm_timer(struct controller *c)
{
	uint64_t now = now_ms();
	uint64_t next = c->rescan_at;
	uint64_t others[6] = {c->settle_at, bh_link_deadline(c->api.link),
		bh_control_deadline(c->control), bh_history_deadline(c->api.history),
		bh_serve_deadline(c->serve), bh_alerting_deadline(c->alerting)};

	for (int i = 0; i < 6; i++) {
		if (others[i] && others[i] < next)
			next = others[i];
	}
	if (next > now) {
		uv_idle_stop(&c->at_once);
		uv_timer_start(&c->timer, on_timer, next - now, 0);
	} else {
		uv_timer_stop(&c->timer);
		uv_idle_start(&c->at_once, on_at_once);
	}
}

/* ---- From the sources to the link ------------------------------------------------------------ */

/* Says each new problem once in the log; those that are gone may be said again. */
static void log_problems(struct controller *c)
{
	json_t *problems = bh_api_problems(&c->api);
	json_t *told = json_object();
	json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		const char *source = json_string_value(json_object_get(problem, "source"));
		_cleanup_free_ char *line = bh_xasprintf("%s: %s",
			json_string_value(json_object_get(problem, "object")),
			json_string_value(json_object_get(problem, "text")));

		/* The data plane's are in its own log, and its coming and going is told as such. */
		if (strcmp(source, "dataplane") == 0 || strcmp(source, "controller") == 0)
			continue;
		if (!json_object_get(c->told, line))
			bh_warning("%s", line);
		json_object_set_new(told, line, json_true());
	}
	json_decref(problems);
	json_decref(c->told);
	c->told = told;
}

/* False while the model does not hold all there is, as far as the source can tell. */
static bool source_is_read(const struct controller *c)
{
	return c->api.kube ? bh_kube_synced(c->api.kube) : bh_manifests_complete(c->api.manifests);
}

/* Compiles if the model has changed, and hands the result on. */
static void compile(struct controller *c)
{
	struct bh_desired *desired;

	/* Some pages of a list are nothing yet; until then everybody may ask for an empty world. */
	if (c->desired && c->api.kube && !source_is_read(c))
		return;
	if (c->desired && c->desired->revision == bh_model_revision(c->api.model))
		return;
	desired = bh_compile(c->api.compiler, c->api.model);
	bh_names_learn(c->api.names, desired, c->desired);
	bh_history_record_names(c->api.history, desired, c->desired);
	bh_judged_learn(c->api.judged, desired, c->desired, real_ns());
	bh_desired_unref(c->desired);
	c->desired = desired;
	c->api.desired = desired;
	c->api.mode_by_command =
		bh_model_mode(c->api.model, BH_SCOPE_NODE, NULL, NULL) != BH_MODE_UNSET;
	bh_debug("compiled revision %llu: %zu pods of this node, %zu addresses, %zu programs",
		(unsigned long long)desired->revision, desired->n_endpoints, desired->addresses.n,
		desired->n_programs);
	bh_link_want(c->api.link, desired, now_ms());
}

/* Once all there is was read, what an earlier start has put in force may change. */
static void release_link(struct controller *c)
{
	if (source_is_read(c))
		bh_link_release(c->api.link, now_ms());
}

/* What could not be kept on disk when it was ordered may be by now. */
static void keep_settings(struct controller *c)
{
	if (c->api.settings_error < 0)
		c->api.settings_error = bh_settings_save(c->settings_path, c->api.model);
}

/* Takes in what the source says now. */
static void take_in(struct controller *c)
{
	keep_settings(c);
	c->settle_at = 0;
	c->rescan_at = now_ms() + RESCAN_MS;
	if (c->api.manifests) {
		bh_manifests_drain(c->api.manifests);
		bh_manifests_rescan(c->api.manifests);
	}
	compile(c);
	release_link(c);
	log_problems(c);
}

static uint64_t refresh(void *data)
{
	struct controller *c = data;
	uint64_t ticket = c->api.kube ? bh_kube_refresh(c->api.kube) : 0;

	take_in(c);
	return ticket;
}

static void model_changed(void *data)
{
	struct controller *c = data;

	compile(c);
	release_link(c);
	log_problems(c);
}

static int settings_changed(void *data, bool anyway)
{
	struct controller *c = data;
	int r = bh_settings_save(c->settings_path, c->api.model);

	if (r < 0 && !anyway)
		return r;
	c->api.settings_error = r;
	compile(c);
	log_problems(c);
	bh_info("settings changed by command; the node's mode is %s",
		bh_mode_name(bh_model_node_mode(c->api.model)));
	return r;
}

static void exports_changed(void *data)
{
	log_problems(data);
}

static int baselines_changed(void *data)
{
	struct controller *c = data;

	return bh_alerting_keep_baselines(c->alerting);
}

static void alert_raised(void *data, const struct bh_alert *alert)
{
	struct controller *c = data;
	json_t *object = bh_json_alert(NULL, alert);

	bh_warning("alert %s, %s: %s", alert->id, bh_alert_kind_word(alert->kind),
		json_string_value(json_object_get(object, "text")));
	bh_exports_alert(c->api.exports, object);
	json_decref(object);
}

/* ---- From the link --------------------------------------------------------------------------- */

static void link_connected(void *data, const char *program)
{
	bh_info("connected to %s", program);
}

static void link_disconnected(void *data)
{
	struct controller *c = data;

	c->applied = 0;
	bh_warning("the data plane has gone; the kernel goes on enforcing what it was told");
}

static size_t count_attached(const struct controller *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->desired->n_endpoints; i++) {
		const Bulkhead__Wire__EndpointStatus *status =
			bh_link_endpoint(c->api.link, c->desired->endpoints[i].uid);

		n += status && status->state == BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED;
	}
	return n;
}

/*
 * Pods are attached one by one, most of them after what they shall do is there: that is said once
 * more when the last one is.
 */
static void tell_in_force(struct controller *c, uint64_t revision)
{
	c->attached = count_attached(c);
	bh_info("revision %llu is in force on %zu of %zu pods", (unsigned long long)revision,
		c->attached, c->desired->n_endpoints);
}

static void link_changed(void *data)
{
	struct controller *c = data;
	struct bh_link_state state;
	uint64_t applied = bh_link_applied(c->api.link);

	bh_link_state(c->api.link, &state);
	if (state.refused)
		bh_error("revision %llu was refused and changes nothing: %s",
			(unsigned long long)state.refused_revision, state.refused);
	else if (applied != c->applied)
		tell_in_force(c, applied);
	c->applied = applied;
}

static void record_losses(struct controller *c, const Bulkhead__Wire__Status *status)
{
	static const char lost[] = "events-lost-";
	uint64_t total = 0;

	for (size_t i = 0; i < status->n_losses; i++) {
		if (strncmp(status->losses[i]->name, lost, strlen(lost)) == 0)
			total += status->losses[i]->value;
	}
	bh_history_record_losses(c->api.history, total);
}

static void link_status(void *data, const Bulkhead__Wire__Status *status)
{
	struct controller *c = data;
	_cleanup_free_ struct bh_ip *ips = bh_xcalloc(status->n_host_addresses, sizeof(*ips));
	size_t n = 0;

	for (size_t i = 0; i < status->n_host_addresses; i++) {
		const ProtobufCBinaryData *address = &status->host_addresses[i];

		if (address->len != 4 && address->len != 16)
			continue;
		ips[n].family = address->len == 4 ? 4 : 6;
		memcpy(ips[n++].ip, address->data, address->len);
	}
	record_losses(c, status);
	if (c->applied == c->desired->revision && c->attached < c->desired->n_endpoints &&
		count_attached(c) == c->desired->n_endpoints)
		tell_in_force(c, c->applied);
	if (bh_model_set_host_addresses(c->api.model, n, ips))
		compile(c);
}

static void link_flows(void *data, const Bulkhead__Wire__FlowBatch *batch)
{
	struct controller *c = data;

	bh_flow_log_add(c->api.flows, c->api.names, batch);
	bh_history_record_flows(c->api.history, c->api.flows, &c->next_record);
	bh_exports_take(c->api.exports, c->api.flows);
	bh_alerting_take_flows(c->alerting, c->api.flows);
}

static void link_edges(void *data, const Bulkhead__Wire__EdgeBatch *batch)
{
	struct controller *c = data;

	/* What was counted stays counted when the kernel's counters begin anew. */
	if (batch->generation != bh_edges_generation(c->api.edges))
		bh_tally_take(c->api.tally, c->api.edges);
	bh_edges_add(c->api.edges, batch);
	bh_history_record_edges(c->api.history, batch);
	bh_alerting_take_edges(c->alerting, batch);
}

static void link_notice(void *data, const char *text)
{
	bh_warning("%s", text);
}

static const struct bh_link_events link_events = {
	.connected = link_connected,
	.disconnected = link_disconnected,
	.changed = link_changed,
	.status = link_status,
	.flows = link_flows,
	.edges = link_edges,
	.notice = link_notice,
};

/* ---- The loop -------------------------------------------------------------------------------- */

/* Whatever woke us: take what the data plane has said, then see who waits for it. */
static void turn(struct controller *c)
{
	bh_link_dispatch(c->api.link, now_ms());
	bh_history_dispatch(c->api.history, now_ms());
	bh_alerting_dispatch(c->alerting, now_ms());
	c->api.alerts_problem = bh_alerting_problem(c->alerting);
	bh_control_dispatch(c->control, now_ms());
	bh_serve_dispatch(c->serve, now_ms());
	arm_timer(c);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	turn(poll->data);
}

static void on_turn(void *data)
{
	turn(data);
}

/* That it came back; that it went is told as a problem. */
static void tell_kube_state(struct controller *c)
{
	struct bh_kube_status status;

	bh_kube_status(c->api.kube, &status);
	bool current = strcmp(status.state, "current") == 0;

	if (current && !c->kube_current)
		bh_info("the API server %s is read and watched: %zu objects", status.server,
			status.n_objects);
	c->kube_current = current;
}

static void settle(struct controller *c, uint64_t quiet_ms, uint64_t longest_ms)
{
	uint64_t now = now_ms();

	if (c->settle_at == 0)
		c->settle_end = now + longest_ms;
	c->settle_at = now + quiet_ms < c->settle_end ? now + quiet_ms : c->settle_end;
	arm_timer(c);
}

static void on_manifests(uv_poll_t *poll, int status, int events)
{
	struct controller *c = poll->data;

	if (bh_manifests_drain(c->api.manifests))
		settle(c, SETTLE_MS, SETTLE_MAX_MS);
}

static void on_kube(void *data)
{
	struct controller *c = data;

	tell_kube_state(c);
	settle(c, KUBE_SETTLE_MS, KUBE_SETTLE_MAX_MS);
}

static void on_time(struct controller *c)
{
	uint64_t now = now_ms();

	if ((c->settle_at && c->settle_at <= now) || c->rescan_at <= now)
		take_in(c);
	turn(c);
}

static void on_timer(uv_timer_t *timer)
{
	on_time(timer->data);
}

static void on_at_once(uv_idle_t *idle)
{
	on_time(idle->data);
}

static void on_signal(uv_signal_t *signal, int number)
{
	bh_info("ending on %s; enforcement stays as it is", strsignal(number));
	uv_stop(signal->loop);
}

static void watch(struct controller *c, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	uv_poll_init(&c->loop, poll, fd);
	poll->data = c;
	uv_poll_start(poll, UV_READABLE, callback);
}

static void run_loop(struct controller *c)
{
	static const int numbers[2] = {SIGTERM, SIGINT};

	watch(c, &c->link_poll, bh_link_fd(c->api.link), on_poll);
	watch(c, &c->control_poll, bh_control_fd(c->control), on_poll);
	watch(c, &c->history_poll, bh_history_fd(c->api.history), on_poll);
	if (c->api.manifests)
		watch(c, &c->manifests_poll, bh_manifests_fd(c->api.manifests), on_manifests);
	for (int i = 0; i < 2; i++) {
		uv_signal_init(&c->loop, &c->signals[i]);
		c->signals[i].data = c;
		uv_signal_start(&c->signals[i], on_signal, numbers[i]);
	}
	turn(c);
	uv_run(&c->loop, UV_RUN_DEFAULT);
}

static void close_handle(uv_handle_t *handle, void *data)
{
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

/* ---- Start and end --------------------------------------------------------------------------- */

static void add_notice(struct controller *c, const char *code, const char *object, char *text)
{
	bh_warning("%s", text);
	if (c->api.n_notices == NOTICES_MAX) {
		free(text);
		return;
	}
	c->notices[c->api.n_notices++] = (struct bh_api_notice){code, object, text};
	c->api.notices = c->notices;
}

/* What parses the network's YAML should not be able to do much; `bulkhead up` sees to that. */
static void warn_of_privileges(struct controller *c)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/self/status", "re");
	unsigned long long capabilities = 0;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "CapEff: %llx", &capabilities) == 1)
			break;
	}
	if (geteuid() == 0 || capabilities)
		add_notice(c, "controller-privileged", "bulkhead-controller",
			bh_xstrdup("the controller runs with more rights than it needs; "
				   "start it as an ordinary user, as 'bulkhead up' does"));
}

static int take_pidfile(struct controller *c)
{
	_cleanup_free_ char *path = bh_xasprintf("%s/controller.pid", c->options.run_dir);
	pid_t holder = 0;
	int r = bh_pidfile_take(path, &c->pid_fd, &holder);

	if (r == -EALREADY)
		bh_error("a controller already runs on %s (process %d)", c->options.run_dir,
			(int)holder);
	else if (r < 0)
		bh_error("%s: %s", path, strerror(-r));
	return r;
}

static int load_settings(struct controller *c)
{
	char *problem = NULL;

	if (mkdir(c->options.state_dir, 0700) < 0 && errno != EEXIST) {
		bh_error("%s: %s", c->options.state_dir, strerror(errno));
		return -errno;
	}
	c->settings_path = bh_xasprintf("%s/settings.json", c->options.state_dir);
	if (bh_settings_load(c->settings_path, c->api.model, &problem) < 0)
		add_notice(c, "settings-unusable", "settings.json", problem);
	if (bh_model_mode(c->api.model, BH_SCOPE_NODE, NULL, NULL) != BH_MODE_UNSET &&
		bh_model_node_mode(c->api.model) != c->options.mode)
		bh_info("the node's mode is %s, as set by command; --mode %s does not undo that "
			"('bulkhead mode clear' does)",
			bh_mode_name(bh_model_node_mode(c->api.model)),
			bh_mode_name(c->options.mode));
	return 0;
}

/* Without them each suggestion lists what was rejected before, which is no harm. */
static void load_decisions(struct controller *c)
{
	char text[256] = "it is no object";
	int r;

	c->decisions_path = bh_xasprintf("%s/suggestions.json", c->options.state_dir);
	c->api.decisions_path = c->decisions_path;
	r = bh_settings_read_json(c->decisions_path, &c->api.decisions, text, sizeof(text));
	if (r == 0 && !json_is_object(c->api.decisions))
		r = -EBADMSG;
	if (r == 0)
		return;
	json_decref(c->api.decisions);
	c->api.decisions = json_object();
	if (r != -ENOENT)
		add_notice(c, "suggestions-unusable", "suggestions.json",
			bh_xasprintf("%s cannot be used: %s; what was approved and rejected is not "
				     "known",
				c->decisions_path, r == -EBADMSG ? text : strerror(-r)));
}

static void open_history(struct controller *c)
{
	_cleanup_free_ char *path = bh_xasprintf("%s/history.db", c->options.state_dir);
	const struct bh_history_config config = {
		.path = path,
		.max_bytes = c->options.history_mib * 1024ull * 1024,
		.keep_days = c->options.history_days,
		.names = c->api.names,
	};

	c->next_record = bh_flow_log_next(c->api.flows);
	c->api.history = bh_history_open(&config);
}

static void open_alerting(struct controller *c)
{
	struct bh_alerting_problems problems;

	c->alerting = bh_alerting_new(&c->loop, &c->options.alerting, c->options.state_dir,
		c->api.names, alert_raised, c, &problems);
	c->api.alerts = bh_alerting_alerts(c->alerting);
	if (problems.alerts)
		add_notice(c, "alerts-unusable", "alerts.json", problems.alerts);
	if (problems.baselines)
		add_notice(c, "baselines-unusable", "baselines.json", problems.baselines);
}

static int open_sockets(struct controller *c)
{
	_cleanup_free_ char *wire = bh_xasprintf("%s/dataplane.sock", c->options.run_dir);
	_cleanup_free_ char *control = bh_xasprintf("%s/control.sock", c->options.run_dir);
	int r = bh_link_new(wire, c->options.node, &link_events, c, &c->api.link);

	if (r < 0) {
		bh_error("%s: %s", wire, strerror(-r));
		return r;
	}
	/* Of an API server's lists nothing is told before the end; a folder may have a broken file
	 * in it for good, and a data plane that enforces nothing yet takes the others. */
	bh_link_hold(c->api.link, c->options.kube ? BH_LINK_HOLD_ALL : BH_LINK_HOLD_ENFORCING);
	r = bh_control_new(control, bh_api_handle, &c->api, &c->control);
	if (r < 0)
		bh_error("%s: %s", control, strerror(-r));
	return r;
}

static int open_source(struct controller *c)
{
	const struct bh_kube_config kube = {
		.kubeconfig = c->options.kubeconfig,
		.context = c->options.context,
		.broker = c->options.broker,
		.page = c->options.kube_page,
		.watch_s = c->options.kube_watch_s,
		.silence_s = c->options.kube_silence_s,
	};
	_cleanup_free_ char *problem = NULL;
	int r;

	if (c->options.kube) {
		r = bh_kube_open(&kube, &c->loop, c->api.model, on_kube, c, &c->api.kube, &problem);
		if (r < 0)
			bh_error("%s", problem);
	} else {
		r = bh_manifests_open(
			c->options.manifests, c->options.broker, c->api.model, &c->api.manifests);
		if (r < 0)
			bh_error("%s: %s", c->options.manifests, strerror(-r));
	}
	return r;
}

static int start(struct controller *c)
{
	int r = take_pidfile(c);

	if (r < 0)
		return r;
	c->api.started_ns = real_ns();
	c->api.model = bh_model_new(c->options.node, c->options.mode);
	c->api.compiler = bh_compiler_new();
	c->api.names = bh_names_new(c->api.model);
	c->api.judged = bh_judged_new();
	c->api.flows = bh_flow_log_new(BH_FLOW_LOG_RECORDS, BH_FLOW_LOG_BYTES);
	c->api.edges = bh_edges_new();
	c->api.tally = bh_tally_new(c->options.exports.metrics_series);
	c->api.refresh = refresh;
	c->api.model_changed = model_changed;
	c->api.settings_changed = settings_changed;
	c->api.baselines_changed = baselines_changed;
	c->api.data = c;
	c->told = json_object();
	warn_of_privileges(c);
	r = load_settings(c);
	if (r < 0)
		return r;
	load_decisions(c);
	open_history(c);
	c->api.work = bh_work_new(&c->loop, on_turn, c);
	c->api.exports = bh_exports_new(&c->loop, &c->options.exports, c->options.state_dir,
		c->api.model, c->api.names, exports_changed, c);
	open_alerting(c);
	c->api.cluster = bh_cluster_new(&c->loop, &c->options.cluster, on_turn, c);
	uv_timer_init(&c->loop, &c->timer);
	uv_idle_init(&c->loop, &c->at_once);
	c->at_once.data = c;
	c->timer.data = c;
	r = open_source(c);
	if (r == 0)
		r = open_sockets(c);
	if (r == 0)
		c->serve = bh_serve_new(
			&c->options.serve, c->options.state_dir, &c->loop, &c->api, on_turn, c);
	if (r == 0)
		take_in(c);
	return r;
}

static void end(struct controller *c)
{
	bh_serve_free(c->serve);
	bh_cluster_free(c->api.cluster);
	c->api.cluster = NULL;
	bh_kube_free(c->api.kube);
	bh_exports_close(c->api.exports);
	bh_work_close(c->api.work);
	uv_walk(&c->loop, close_handle, NULL);
	uv_run(&c->loop, UV_RUN_DEFAULT);
	uv_loop_close(&c->loop);
	bh_alerting_free(c->alerting);
	bh_exports_free(c->api.exports);
	bh_control_free(c->control);
	bh_link_free(c->api.link);
	bh_manifests_free(c->api.manifests);
	if (c->desired)
		bh_desired_unref(c->desired);
	bh_work_free(c->api.work);
	bh_history_close(c->api.history);
	bh_tally_free(c->api.tally);
	bh_edges_free(c->api.edges);
	bh_flow_log_free(c->api.flows);
	bh_judged_free(c->api.judged);
	bh_names_free(c->api.names);
	bh_compiler_free(c->api.compiler);
	bh_model_free(c->api.model);
	for (size_t i = 0; i < c->api.n_notices; i++)
		free((char *)c->notices[i].text);
	json_decref(c->told);
	free(c->settings_path);
	free(c->decisions_path);
	json_decref(c->api.decisions);
	if (c->pid_fd >= 0)
		close(c->pid_fd);
}

/*
 * A heap for each of a dozen threads, most of which wait for a socket, would each keep what it once
 * needed: 120 MB instead of 80 with 10,000 edges. One is the loop's, one that of all others.
 */
#define HEAPS 2

int main(int argc, char **argv)
{
	struct controller c = {.pid_fd = -1};
	int r;

	mallopt(M_ARENA_MAX, HEAPS);

	bh_options_parse(&c.options, argc, argv);
	bh_log_open("bulkhead-controller", c.options.log_level);
	umask(022);
	/* Started through a descriptor, the kernel would name it by that one's number. */
	prctl(PR_SET_NAME, "bulkhead-controller");
	signal(SIGPIPE, SIG_IGN);
	uv_loop_init(&c.loop);
	r = start(&c);
	if (r == 0)
		run_loop(&c);
	end(&c);
	return r < 0 ? 1 : 0;
}
