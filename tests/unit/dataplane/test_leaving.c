/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Devices that leave the node: which they are, when they carry programs, and that they never carry
 * them in the place of a pod's. One pod, at a veth that is a port of br0; uplink0 is a veth that
 * leads elsewhere.
 */

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "dataplane/clsact.h"
#include "dataplane/links.h"
#include "dataplane/rtnl.h"
#include "dataplane/serve.h"
#include "proto/log.h"
#include "tests/unit/dataplane/fixture.h"

#define PLAIN (BH_PROGRAM_EGRESS_ISOLATED | 101)
#define DEFERS (BH_PROGRAM_EGRESS_ISOLATED | 102)

static struct node {
	struct bh_problems problems;
	struct bh_object *object;
	struct bh_attach *attach;
	struct bh_discovery *discovery;
	struct bh_tables tables;
	struct bh_endpoints endpoints;
	struct bh_leaving leaving;
	struct bh_events *events;
	struct bh_flows *flows;
	struct bh_edges *edges;
	struct bh_wire *wire;
	struct bh_serve serve;
} node;

static pid_t pod, elsewhere;
static enum bh_attach_mode mode;
static bool uplink;
static uint64_t revision;

static void open_node(void)
{
	struct bh_why why = {};
	char path[128];
	int err;

	memset(&node, 0, sizeof(node));
	node.object = object_open();
	snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir());
	err = bh_attach_new(node.object, mode, false, &node.problems, &node.attach, &why);
	err = err ? err : bh_discovery_new(&node.discovery, &why);
	if (!err)
		bh_attach_refresh(node.attach);
	err = err ? err : bh_tables_open(&node.tables, node.object, &why);
	err = err ? err
		  : bh_endpoints_open(&node.endpoints, node.object, &node.tables, node.attach,
			    node.discovery, &node.problems, &why);
	err = err ? err
		  : bh_leaving_open(
			    &node.leaving, &node.tables, node.attach, &node.problems, uplink, &why);
	err = err ? err : bh_events_new(node.object, &node.endpoints, &node.events, &why);
	err = err ? err : bh_flows_new(node.object, &node.tables, node.events, &node.flows, &why);
	err = err ? err : bh_edges_new(node.object, node.flows, &node.edges, &why);
	err = err ? err : bh_wire_listen(path, 0, &node.wire);
	if (err < 0)
		fail_msg("%s (%d)", why.text, err);
	bh_serve_init(&node.serve,
		&(struct bh_status_sources){
			.object = node.object,
			.tables = &node.tables,
			.attach = node.attach,
			.discovery = node.discovery,
			.endpoints = &node.endpoints,
			.leaving = &node.leaving,
			.flows = node.flows,
			.edges = node.edges,
			.problems = &node.problems,
		},
		node.events, node.wire);
}

static void close_node(void)
{
	char path[128];

	bh_serve_fini(&node.serve);
	bh_wire_free(node.wire);
	bh_edges_free(node.edges);
	bh_flows_free(node.flows);
	bh_events_free(node.events);
	bh_leaving_close(&node.leaving);
	bh_endpoints_close(&node.endpoints);
	bh_tables_close(&node.tables);
	bh_discovery_free(node.discovery);
	bh_attach_free(node.attach);
	bh_object_free(node.object);
	snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir());
	unlink(path);
}

static int open_all(enum bh_attach_mode wanted)
{
	mode = wanted;
	uplink = false;
	revision = 0;
	pod = pod_start();
	elsewhere = pod_start();
	sh("ip link add br0 type bridge && ip link set br0 up");
	pod_wire(pod, "host0", "10.1.0.1/24");
	pod_wire(elsewhere, "uplink0", "192.0.2.1/24");
	sh("ip link set host0 master br0");
	open_node();
	return 0;
}

static int open_tcx(void **state)
{
	return bh_links_probe_tcx() == 1 ? open_all(BH_ATTACH_TCX) : -1;
}

static int open_clsact(void **state)
{
	return open_all(BH_ATTACH_CLSACT);
}

static int close_all(void **state)
{
	close_node();
	take_down();
	sh("for i in host0 uplink0 br0 later0; do ip link del $i 2>/dev/null; done; true");
	pod_end(pod);
	pod_end(elsewhere);
	return 0;
}

/* The pod under a program that defers or not; the service is there in any case. */
static struct update *update_of(uint32_t number)
{
	struct update *update = update_new(++revision, true);
	Bulkhead__Wire__ProgramEntry *entry = add_entry(add_program(update, number), true, 5);

	add_rule(entry, 6, 80, 80, 0);
	entry->rules[0]->defer = number == DEFERS;
	add_address(update, "10.1.0.1", 6, 60);
	add_address(update, "10.96.0.1", 5, 50);
	update->wire.addresses[1]->service = true;
	add_endpoint(update, "pod", "10.1.0.1", number);
	return update;
}

static void apply(uint32_t number)
{
	struct bh_change *change = change_of(update_of(number));
	struct bh_why why = {};

	if (bh_serve_apply(&node.serve, change, &why) < 0)
		fail_msg("%s", why.text);
	bh_change_free(change);
}

/* What runs on a side of an interface: what is ours, or BH_PROG_COUNT. */
static enum bh_program_kind runs_on(const char *interface, bool egress)
{
	uint32_t ifindex = if_nametoindex(interface);
	struct nl_sock *sock = NULL;
	struct bh_filter filter = {.program = BH_PROG_COUNT};
	uint32_t ids[8] = {}, id = 0;

	if (mode == BH_ATTACH_TCX) {
		if (bh_links_tcx_chain(ifindex, egress ? BH_LINK_EGRESS : BH_LINK_INGRESS, ids, 8) >
			0)
			id = ids[0];
	} else {
		assert_int_equal(bh_rtnl_open(&sock), 0);
		if (bh_clsact_find(sock, node.object->pins.handle, ifindex, egress, &filter))
			id = filter.prog_id;
		bh_rtnl_close(sock);
	}
	for (int kind = 0; id && kind < BH_PROG_COUNT; kind++) {
		if (node.object->programs.id[kind] == id)
			return (enum bh_program_kind)kind;
	}
	return BH_PROG_COUNT;
}

static void assert_leaves(const char *interface, bool leaves)
{
	assert_int_equal(runs_on(interface, true), leaves ? BH_PROG_LEAVING : BH_PROG_COUNT);
	assert_int_equal(runs_on(interface, false), leaves ? BH_PROG_ARRIVING : BH_PROG_COUNT);
}

static void assert_pods(const char *interface)
{
	assert_int_equal(runs_on(interface, true), BH_PROG_TO_POD);
	assert_int_equal(runs_on(interface, false), BH_PROG_FROM_POD);
}

static void nothing_hangs_there_while_nothing_defers(void **state)
{
	apply(PLAIN);
	assert_pods("host0");
	assert_leaves("uplink0", false);
	/* Nor is anything loaded for it. */
	assert_int_equal(node.object->programs.fd[BH_PROG_LEAVING], -1);
}

static void every_device_but_pods_and_their_bridge(void **state)
{
	apply(DEFERS);
	assert_leaves("uplink0", true);
	assert_pods("host0");
	assert_leaves("br0", false);
	assert_leaves("lo", false);
	assert_int_equal(node.problems.n, 0);
}

static void attached_before_the_endpoints_switch_and_detached_after(void **state)
{
	struct bh_change *change;
	struct bh_why why = {};

	apply(PLAIN);
	change = change_of(update_of(DEFERS));
	assert_int_equal(bh_leaving_prepare(&node.leaving, change, &why), 0);
	assert_leaves("uplink0", true);
	bh_change_free(change);
	/* It never came to that: back to what is in force. */
	bh_leaving_settle(&node.leaving);
	assert_leaves("uplink0", false);
	apply(DEFERS);
	assert_leaves("uplink0", true);
	apply(PLAIN);
	assert_leaves("uplink0", false);
	assert_pods("host0");
}

static void devices_come_and_go(void **state)
{
	apply(DEFERS);
	sh("ip link add later0 type bridge");
	bh_leaving_look(&node.leaving);
	assert_leaves("later0", true);
	sh("ip link set host0 master later0");
	bh_leaving_look(&node.leaving);
	assert_leaves("later0", false);
	assert_leaves("br0", true);
	sh("ip link del later0");
	bh_leaving_look(&node.leaving);
	assert_int_equal(node.problems.n, 0);
}

static void one_that_becomes_a_pods_is_the_pods(void **state)
{
	struct update *update;
	struct bh_change *change;
	struct bh_why why = {};

	apply(DEFERS);
	update = update_of(DEFERS);
	add_address(update, "192.0.2.1", 6, 61);
	add_endpoint(update, "second", "192.0.2.1", DEFERS);
	change = change_of(update);
	assert_int_equal(bh_serve_apply(&node.serve, change, &why), 0);
	bh_change_free(change);
	assert_pods("uplink0");
	apply(DEFERS);
	assert_leaves("uplink0", true);
}

static void what_somebody_removes_is_put_back(void **state)
{
	apply(DEFERS);
	if (mode == BH_ATTACH_TCX)
		bh_link_drop(node.object, if_nametoindex("uplink0"), BH_LINK_EGRESS);
	else
		sh("tc filter del dev uplink0 egress");
	assert_int_equal(runs_on("uplink0", true), BH_PROG_COUNT);
	bh_attach_check(node.attach);
	assert_leaves("uplink0", true);
	assert_string_equal(node.problems.list[0].code, "repaired");
}

static const struct bh_problem *problem_about(const char *code, const char *object)
{
	for (size_t i = 0; i < node.problems.n; i++) {
		if (!strcmp(node.problems.list[i].code, code) &&
			!strcmp(node.problems.list[i].object, object))
			return &node.problems.list[i];
	}
	return NULL;
}

/* A filter on an interface's ingress that lets everything pass; before or behind clsact's ours. */
static void put_filter(const char *interface, uint32_t priority, int prog)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)if_nametoindex(interface),
		.attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog, .handle = 7, .priority = priority);
	int err = bpf_tc_hook_create(&hook);

	assert_true(!err || err == -EEXIST);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

static void filters_that_may_wipe_the_mark_are_named(void **state)
{
	const struct bpf_insn pass[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int prog = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "stranger", "GPL", pass, 2, NULL);

	assert_true(prog >= 0);
	apply(PLAIN);
	put_filter("host0", 60000, prog);
	put_filter("uplink0", 60000, prog);
	bh_leaving_check(&node.leaving);
	assert_null(problem_about("wipes-marks", "host0 ingress"));
	apply(DEFERS);
	bh_leaving_check(&node.leaving);
	assert_non_null(problem_about("wipes-marks", "host0 ingress"));
	assert_non_null(strstr(problem_about("wipes-marks", "host0 ingress")->text, "stranger"));
	/* Nothing that comes in there has a mark yet. */
	assert_null(problem_about("wipes-marks", "uplink0 ingress"));
	assert_null(problem_about("wipes-marks", "br0 ingress"));
	put_filter("br0", 1, prog);
	sh("tc filter del dev host0 ingress prio 60000");
	bh_leaving_check(&node.leaving);
	assert_non_null(problem_about("wipes-marks", "br0 ingress"));
	assert_null(problem_about("wipes-marks", "host0 ingress"));
	/* What runs before ours is overwritten by it. */
	sh("tc qdisc del dev br0 clsact");
	if (mode == BH_ATTACH_CLSACT)
		put_filter("host0", 1, prog);
	bh_leaving_check(&node.leaving);
	assert_null(problem_about("wipes-marks", "br0 ingress"));
	assert_null(problem_about("wipes-marks", "host0 ingress"));
	close(prog);
}

static void a_restart_takes_them_over_and_leaves_pods_alone(void **state)
{
	uint32_t id;

	apply(DEFERS);
	id = node.object->programs.id[BH_PROG_LEAVING];
	close_node();
	open_node();
	/* Before the controller has said a word. */
	assert_true(node.object->programs.id[BH_PROG_LEAVING] != id);
	assert_leaves("uplink0", true);
	assert_pods("host0");
	assert_leaves("br0", false);
	apply(DEFERS);
	assert_leaves("uplink0", true);
	assert_pods("host0");
	close_node();
	open_node();
	apply(PLAIN);
	assert_leaves("uplink0", false);
}

static void an_uplink_on_xdp_needs_them_for_services(void **state)
{
	close_node();
	uplink = true;
	open_node();
	assert_leaves("uplink0", false);
	apply(PLAIN);
	assert_leaves("uplink0", true);
}

static void down_takes_them_away(void **state)
{
	apply(DEFERS);
	close_node();
	take_down();
	assert_int_equal(system("tc filter show dev uplink0 egress | grep -q bh_"), 256);
	open_node();
	assert_leaves("uplink0", false);
}

static void devices_without_a_link_layer_have_their_own(void **state)
{
	if (system("ip tuntap add dev later0 mode tun 2>/dev/null")) {
		print_message("# a kernel with tun is missing\n");
		skip();
	}
	apply(DEFERS);
	assert_int_equal(runs_on("later0", true), BH_PROG_LEAVING_L3);
	assert_int_equal(runs_on("later0", false), BH_PROG_ARRIVING_L3);
}

int main(void)
{
#define TCX(name) cmocka_unit_test_setup_teardown(name, open_tcx, close_all)
#define CLSACT(name) cmocka_unit_test_setup_teardown(name, open_clsact, close_all)
#define TESTS(HOW)                                                                        \
	HOW(nothing_hangs_there_while_nothing_defers),                                    \
		HOW(every_device_but_pods_and_their_bridge),                              \
		HOW(attached_before_the_endpoints_switch_and_detached_after),             \
		HOW(devices_come_and_go), HOW(one_that_becomes_a_pods_is_the_pods),       \
		HOW(what_somebody_removes_is_put_back),                                   \
		HOW(filters_that_may_wipe_the_mark_are_named),                            \
		HOW(a_restart_takes_them_over_and_leaves_pods_alone),                     \
		HOW(an_uplink_on_xdp_needs_them_for_services), HOW(down_takes_them_away), \
		HOW(devices_without_a_link_layer_have_their_own)
	const struct CMUnitTest with_tcx[] = {TESTS(TCX)};
	const struct CMUnitTest with_clsact[] = {TESTS(CLSACT)};
	int failed = 0;

	need_root();
	bh_log_open("test_leaving", BH_LOG_ERROR);
	if (bh_links_probe_tcx() == 1)
		failed = cmocka_run_group_tests_name(
			"leaving by tcx", with_tcx, node_setup, node_teardown);
	else
		puts("ok 1 - leaving by tcx # SKIP a kernel with TCX (6.6)");
	return failed + cmocka_run_group_tests_name(
				"leaving by clsact", with_clsact, node_setup, node_teardown);
}
