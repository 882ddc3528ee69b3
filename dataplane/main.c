/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The dataplane daemon: opens everything in order, drops its privileges, and runs one loop. What
 * it does when:
 *
 *   controller's message   staged, applied, answered                       serve.c
 *   rtnetlink event        at once: hold what is new, and see to the
 *                          devices that leave the node                     hold.c, leaving.c
 *                          20 ms later: where are the pods, are our
 *                          programs there                                  endpoints.c, attach.c
 *   every 50–200 ms        the event ring                                  events.c
 *   every second           the edge counters                               edges.c
 *   every 2 s or 15 s      pods looked for (2 s while one is missing)
 *   every 10 s             hooks checked, flow tables swept, flows that
 *                          last told of                                    attach.c, flows.c,
 * reports.c programs that redirect past pods named         redirects.c
 *
 * SIGTERM and SIGINT end the daemon. What is pinned in the kernel goes on enforcing.
 */

#include <errno.h>
#include <limits.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "dataplane/options.h"
#include "dataplane/ownership.h"
#include "dataplane/pressure.h"
#include "dataplane/privileges.h"
#include "dataplane/redirects.h"
#include "dataplane/serve.h"
#include "proto/cleanup.h"
#include "proto/log.h"
#include "proto/pidfile.h"
#include "proto/wire.h"

#define DEBOUNCE_MS 20
/* Between two looks for new interfaces, each of which takes a fraction of a millisecond. */
#define HOLD_PAUSE_MS 3
#define EVENTS_BUSY_MS 50
#define EVENTS_IDLE_MS 200
#define EDGES_MS 1000
#define FIND_WAITING_MS 2000
#define FIND_MS 15000
#define CHECK_MS 10000

struct daemon {
	struct bh_options options;
	char run_dir[PATH_MAX];
	int pidfile;
	int netlink;
	struct bh_problems problems;
	struct bh_object *object;
	struct bh_tables tables;
	struct bh_attach *attach;
	struct bh_redirects redirects;
	struct bh_discovery *discovery;
	struct bh_endpoints endpoints;
	struct bh_hold hold;
	struct bh_events *events;
	struct bh_flows *flows;
	struct bh_reports *reports;
	struct bh_edges *edges;
	struct bh_wire *wire;
	struct bh_serve serve;
	bool tables_open;
	bool endpoints_open;
	struct bh_leaving leaving;
	bool hold_open;
	bool leaving_open;
	bool serving;

	uv_loop_t loop;
	uv_signal_t sigterm, sigint;
	uv_poll_t wire_poll, netlink_poll;
	uv_timer_t debounce, hold_timer, events_timer, edges_timer, find_timer, check_timer;
	uv_idle_t sweeping; /* active while the flow tables are swept */
	unsigned int seen;  /* BH_EVENT_* since the last look */
	uint64_t debounce_ms;
	uint64_t found_ms; /* when pods were last looked for */
	uint64_t held_ms;  /* when new interfaces were */
};

/* ---- What happens when ---------------------------------------------------------------------- */

static void on_signal(uv_signal_t *handle, int number)
{
	struct daemon *d = handle->data;

	bh_info("ending on signal %d; what is in force stays in force", number);
	uv_stop(&d->loop);
}

static void on_wire(uv_poll_t *handle, int status, int events)
{
	struct daemon *d = handle->data;

	bh_serve_receive(&d->serve);
	bh_hold_follow(&d->hold);
	bh_serve_status(&d->serve);
}

static void look_for_pods(struct daemon *d)
{
	d->found_ms = bh_now_ms();
	bh_endpoints_reconcile(&d->endpoints);
	bh_hold_look(&d->hold);
	bh_leaving_look(&d->leaving);
	bh_serve_status(&d->serve);
}

static void on_debounced(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	uint64_t began = bh_now_ms();
	unsigned int seen = d->seen;

	d->seen = 0;
	if (seen & BH_EVENT_LINKS)
		look_for_pods(d);
	if (seen & BH_EVENT_FILTERS) {
		bh_attach_check(d->attach);
		bh_leaving_check(&d->leaving);
	}
	/* Somebody's filter, and no pod that comes or goes: there are too many of those. */
	if (seen == BH_EVENT_FILTERS)
		bh_redirects_look(&d->redirects);
	bh_serve_status(&d->serve);
	/* However many events there are, looking takes a fifth of the time at most. */
	d->debounce_ms = 4 * (bh_now_ms() - began);
	if (d->debounce_ms < DEBOUNCE_MS)
		d->debounce_ms = DEBOUNCE_MS;
}

/* What is new is held; what leaves the node gets its programs. */
static void on_new_links(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	if (d->options.hold.on)
		bh_hold_look(&d->hold);
	bh_leaving_look(&d->leaving);
	d->held_ms = bh_now_ms();
}

static void on_netlink(uv_poll_t *handle, int status, int events)
{
	struct daemon *d = handle->data;

	d->seen |= bh_discovery_drain(d->netlink);
	/* A new interface is held at once, and before its pod is looked for. */
	if (d->seen & BH_EVENT_LINKS && (d->options.hold.on || d->leaving.wanted) &&
		!uv_is_active((uv_handle_t *)&d->hold_timer)) {
		if (bh_now_ms() - d->held_ms >= HOLD_PAUSE_MS)
			on_new_links(&d->hold_timer);
		else
			uv_timer_start(&d->hold_timer, on_new_links, HOLD_PAUSE_MS, 0);
	}
	/* The first event starts the clock: a storm delays nothing for longer than this. */
	if (d->seen && !uv_is_active((uv_handle_t *)&d->debounce))
		uv_timer_start(&d->debounce, on_debounced, d->debounce_ms, 0);
}

static void on_events(uv_timer_t *timer)
{
	struct daemon *d = timer->data;
	int taken = bh_events_consume(d->events, bh_serve_peer(&d->serve));
	uint64_t next = taken ? EVENTS_BUSY_MS : uv_timer_get_repeat(timer) * 2;

	uv_timer_set_repeat(timer, next < EVENTS_IDLE_MS ? next : EVENTS_IDLE_MS);
	uv_timer_again(timer);
}

static void on_edges(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	bh_edges_pass(d->edges, bh_serve_peer(&d->serve));
	bh_serve_status(&d->serve);
}

static void on_find(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	if (bh_endpoints_waiting(&d->endpoints) || bh_now_ms() - d->found_ms >= FIND_MS)
		look_for_pods(d);
	else if (bh_hold_waiting(&d->hold))
		bh_hold_look(&d->hold);
}

static void on_sweep(uv_idle_t *idle)
{
	struct daemon *d = idle->data;

	if (bh_flows_step(d->flows))
		return;
	uv_idle_stop(idle);
	bh_pressure_check(&d->serve.sources);
}

static void on_check(uv_timer_t *timer)
{
	struct daemon *d = timer->data;

	bh_attach_check(d->attach);
	bh_leaving_check(&d->leaving);
	bh_redirects_look(&d->redirects);
	bh_flows_begin(d->flows);
	uv_idle_start(&d->sweeping, on_sweep);
	bh_serve_status(&d->serve);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static int take_run_dir(struct daemon *d, struct bh_why *why)
{
	char path[PATH_MAX + 32];
	pid_t holder = 0;
	int err;

	if (mkdir(d->options.run_dir, 0755) < 0 && errno != EEXIST)
		return bh_fail(
			why, -errno, "%s: cannot be made: %s", d->options.run_dir, strerror(errno));
	if (!realpath(d->options.run_dir, d->run_dir))
		return bh_fail(why, -errno, "%s: %s", d->options.run_dir, strerror(errno));
	snprintf(path, sizeof(path), "%s/dataplane.pid", d->run_dir);
	err = bh_pidfile_take(path, &d->pidfile, &holder);
	if (err == -EALREADY)
		return bh_fail(why, err, "%s: a dataplane runs there already, process %d",
			d->run_dir, (int)holder);
	return err < 0 ? bh_fail(why, err, "%s: %s", path, strerror(-err)) : 0;
}

static int open_kernel(struct daemon *d, struct bh_why *why)
{
	int err = bh_object_open(d->run_dir, d->options.sizes, &d->object, why);

	if (err < 0)
		return err;
	if (d->object->resized[0])
		bh_problems_add(&d->problems, BH_SOURCE_OBJECT, "map-size", "maps",
			"a map keeps its size while it is pinned: %s; it changes after `down`",
			d->object->resized);
	err = bh_attach_new(d->object, d->options.attach, d->options.xdp_generic, &d->problems,
		&d->attach, why);
	if (!err)
		err = bh_redirects_open(&d->redirects, &d->problems, why);
	if (!err)
		err = bh_discovery_new(&d->discovery, why);
	if (!err)
		err = bh_discovery_listen(&d->netlink, why);
	if (err < 0)
		return err;
	bh_attach_refresh(d->attach);
	bh_redirects_look(&d->redirects);
	if (d->options.uplink)
		bh_attach_uplink(d->attach, d->options.uplink);
	return 0;
}

static int open_reports(struct daemon *d, struct bh_why *why)
{
	struct bh_times now;
	int err = bh_times_now(d->object, &now);

	if (!err)
		err = bh_reports_new((uint64_t)d->options.flow_active_s * now.hz, now.jiffies,
			!d->object->fresh, &d->reports);
	if (err < 0)
		return bh_fail(why, err, "records of flows that last: %s", strerror(-err));
	bh_events_set_reports(d->events, d->reports);
	bh_flows_set_reports(d->flows, d->reports);
	return 0;
}

static int open_modules(struct daemon *d, struct bh_why *why)
{
	int err = bh_tables_open(&d->tables, d->object, why);

	if (err < 0)
		return err;
	d->tables_open = true;
	err = bh_endpoints_open(
		&d->endpoints, d->object, &d->tables, d->attach, d->discovery, &d->problems, why);
	if (err < 0)
		return err;
	d->endpoints_open = true;
	err = bh_hold_open(&d->hold, &d->options.hold, &d->endpoints, why);
	if (err < 0)
		return err;
	d->hold_open = true;
	err = bh_leaving_open(
		&d->leaving, &d->tables, d->attach, &d->problems, d->options.uplink != NULL, why);
	if (err < 0)
		return err;
	d->leaving_open = true;
	err = bh_events_new(d->object, &d->endpoints, &d->events, why);
	if (!err)
		err = bh_flows_new(d->object, &d->tables, d->events, &d->flows, why);
	if (!err)
		err = bh_edges_new(d->object, d->flows, &d->edges, why);
	if (!err && d->options.flow_active_s)
		err = open_reports(d, why);
	if (!err)
		bh_events_set_hello(d->events, bh_edges_take_hello, d->edges);
	return err;
}

/* Runs in the thread that has kept its privileges: the socket becomes the controller's. */
static int listen_on_socket(void *arg)
{
	struct daemon *d = arg;
	char path[PATH_MAX + 32];

	snprintf(path, sizeof(path), "%s/dataplane.sock", d->run_dir);
	return bh_wire_listen(path, d->options.user, &d->wire);
}

/* nng starts its threads with its first socket: here, where they inherit what is left. */
static void start_nng(void)
{
	nng_socket socket;

	if (nng_pair0_open(&socket) == 0)
		nng_close(socket);
}

static int drop_and_listen(struct daemon *d, struct bh_why *why)
{
	struct bh_privileged kept;
	int listened, err = bh_privileges_keep(&kept);

	if (err < 0)
		return bh_fail(why, err, "starting a thread: %s", strerror(-err));
	err = bh_privileges_drop(why);
	if (!err)
		start_nng();
	listened = bh_privileges_use(&kept, err ? NULL : listen_on_socket, d);
	if (!err && listened < 0)
		err = bh_fail(
			why, listened, "%s/dataplane.sock: %s", d->run_dir, strerror(-listened));
	return err;
}

static void start_serving(struct daemon *d)
{
	struct bh_status_sources sources = {
		.object = d->object,
		.tables = &d->tables,
		.attach = d->attach,
		.discovery = d->discovery,
		.endpoints = &d->endpoints,
		.hold = &d->hold,
		.leaving = &d->leaving,
		.events = d->events,
		.flows = d->flows,
		.edges = d->edges,
		.problems = &d->problems,
	};

	bh_serve_init(&d->serve, &sources, d->events, d->wire);
	d->serving = true;
	bh_hold_look(&d->hold);
	bh_endpoints_reconcile(&d->endpoints); /* the node's own addresses, for the first status */
}

static void timer_start(struct daemon *d, uv_timer_t *timer, uv_timer_cb callback, uint64_t ms)
{
	uv_timer_init(&d->loop, timer);
	timer->data = d;
	if (callback)
		uv_timer_start(timer, callback, ms, ms);
}

static void poll_start(struct daemon *d, uv_poll_t *poll, int fd, uv_poll_cb callback)
{
	uv_poll_init(&d->loop, poll, fd);
	poll->data = d;
	uv_poll_start(poll, UV_READABLE, callback);
}

static void signal_start(struct daemon *d, uv_signal_t *handle, int number)
{
	uv_signal_init(&d->loop, handle);
	handle->data = d;
	uv_signal_start(handle, on_signal, number);
}

static void run(struct daemon *d)
{
	signal_start(d, &d->sigterm, SIGTERM);
	signal_start(d, &d->sigint, SIGINT);
	poll_start(d, &d->wire_poll, bh_wire_fd(d->wire), on_wire);
	poll_start(d, &d->netlink_poll, d->netlink, on_netlink);
	timer_start(d, &d->debounce, NULL, 0);
	timer_start(d, &d->hold_timer, NULL, 0);
	timer_start(d, &d->events_timer, on_events, EVENTS_BUSY_MS);
	timer_start(d, &d->edges_timer, on_edges, EDGES_MS);
	timer_start(d, &d->find_timer, on_find, FIND_WAITING_MS);
	timer_start(d, &d->check_timer, on_check, CHECK_MS);
	uv_idle_init(&d->loop, &d->sweeping);
	d->sweeping.data = d;
	bh_info("ready: %s, %s maps, attaching by %s", d->run_dir,
		d->object->fresh ? "new" : "pinned", bh_attach_kind(d->attach));
	uv_run(&d->loop, UV_RUN_DEFAULT);
}

/* ---- Closing -------------------------------------------------------------------------------- */

static void close_handle(uv_handle_t *handle, void *arg)
{
	uv_close(handle, NULL);
}

static void close_loop(struct daemon *d)
{
	uv_walk(&d->loop, close_handle, NULL);
	uv_run(&d->loop, UV_RUN_DEFAULT);
	uv_loop_close(&d->loop);
}

static void daemon_close(struct daemon *d)
{
	if (d->serving)
		bh_serve_fini(&d->serve);
	bh_wire_free(d->wire);
	bh_edges_free(d->edges);
	bh_flows_free(d->flows);
	bh_events_free(d->events);
	bh_reports_free(d->reports);
	if (d->leaving_open)
		bh_leaving_close(&d->leaving);
	if (d->hold_open)
		bh_hold_close(&d->hold);
	if (d->endpoints_open)
		bh_endpoints_close(&d->endpoints);
	if (d->tables_open)
		bh_tables_close(&d->tables);
	bh_discovery_free(d->discovery);
	bh_redirects_close(&d->redirects);
	bh_attach_free(d->attach);
	bh_object_free(d->object);
	if (d->netlink >= 0)
		close(d->netlink);
	if (d->pidfile >= 0)
		close(d->pidfile);
}

static int run_daemon(struct daemon *d, struct bh_why *why)
{
	int err = take_run_dir(d, why);

	if (!err)
		err = open_kernel(d, why);
	if (!err)
		err = open_modules(d, why);
	if (!err)
		err = drop_and_listen(d, why);
	if (err < 0)
		return err;
	if (uv_loop_init(&d->loop) < 0)
		return bh_fail(why, -ENOMEM, "the event loop cannot be made");
	start_serving(d);
	run(d);
	close_loop(d);
	return 0;
}

/* ---- Down ----------------------------------------------------------------------------------- */

static int take_down(const char *run_dir, struct bh_why *why)
{
	char path[PATH_MAX];
	pid_t holder;
	int err;

	snprintf(path, sizeof(path), "%s/dataplane.pid", run_dir);
	if (bh_pidfile_holder(path, &holder) == 0)
		return bh_fail(why, -EBUSY, "%s: the dataplane runs (process %d): end it first",
			run_dir, (int)holder);
	err = bh_ownership_down(run_dir, why);
	if (!err) {
		unlink(path);
		snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir);
		unlink(path);
	}
	return err;
}

int main(int argc, char **argv)
{
	struct daemon *d = calloc(1, sizeof(*d));
	struct bh_why why = {};
	int err;

	if (!d)
		return EXIT_FAILURE;
	d->pidfile = d->netlink = -1;
	d->debounce_ms = DEBOUNCE_MS;
	bh_options_parse(argc, argv, &d->options);
	bh_log_open("bulkhead-dataplane", d->options.log_level);
	signal(SIGPIPE, SIG_IGN);
	umask(022);
	if (geteuid() != 0)
		err = bh_fail(&why, -EPERM, "it needs root: BPF, network interfaces, namespaces");
	else if (d->options.down)
		err = take_down(d->options.run_dir, &why);
	else
		err = run_daemon(d, &why);
	if (err < 0)
		bh_error("%s", why.text[0] ? why.text : strerror(-err));
	daemon_close(d);
	free(d);
	return err < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
