/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Updates from end to end: staged, planned, written, and pods' interfaces attached, with a real
 * veth for each pod. The wire is a real one too, and nobody listens on it.
 */

#include <bpf/bpf.h>

#include "dataplane/flowkey.h"
#include "dataplane/links.h"
#include "dataplane/seed.h"
#include "dataplane/serve.h"
#include "proto/log.h"
#include "tests/unit/dataplane/fixture.h"

#define P1 (BH_PROGRAM_INGRESS_ISOLATED | 101)

/* Everything the daemon has, but its loop. */
static struct node {
	struct bh_problems problems;
	struct bh_object *object;
	struct bh_attach *attach;
	struct bh_discovery *discovery;
	struct bh_tables tables;
	struct bh_endpoints endpoints;
	struct bh_events *events;
	struct bh_flows *flows;
	struct bh_edges *edges;
	struct bh_wire *wire;
	struct bh_serve serve;
} node;

static pid_t pods[2];

static void open_node(void)
{
	struct bh_why why = {};
	char path[128];
	int err;

	memset(&node, 0, sizeof(node));
	node.object = object_open();
	snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir());
	err = bh_attach_new(node.object, BH_ATTACH_AUTO, false, &node.problems, &node.attach, &why);
	err = err ? err : bh_discovery_new(&node.discovery, &why);
	err = err ? err : bh_tables_open(&node.tables, node.object, &why);
	err = err ? err
		  : bh_endpoints_open(&node.endpoints, node.object, &node.tables, node.attach,
			    node.discovery, &node.problems, &why);
	err = err ? err : bh_events_new(node.object, &node.endpoints, &node.events, &why);
	err = err ? err : bh_flows_new(node.object, &node.tables, node.events, &node.flows, &why);
	err = err ? err : bh_edges_new(node.object, node.flows, &node.edges, &why);
	err = err ? err : bh_wire_listen(path, 0, &node.wire);
	if (err < 0)
		fail_msg("%s (%d)", why.text, err);
	bh_attach_refresh(node.attach);
	bh_serve_init(&node.serve,
		&(struct bh_status_sources){
			.object = node.object,
			.tables = &node.tables,
			.attach = node.attach,
			.discovery = node.discovery,
			.endpoints = &node.endpoints,
			.events = node.events,
			.flows = node.flows,
			.edges = node.edges,
			.problems = &node.problems,
		},
		node.events, node.wire);
}

static void close_node(void)
{
	bh_serve_fini(&node.serve);
	bh_wire_free(node.wire);
	bh_edges_free(node.edges);
	bh_flows_free(node.flows);
	bh_events_free(node.events);
	bh_endpoints_close(&node.endpoints);
	bh_tables_close(&node.tables);
	bh_discovery_free(node.discovery);
	bh_attach_free(node.attach);
	bh_object_free(node.object);
}

static int open_all(void **state)
{
	for (int i = 0; i < 2; i++) {
		char host[16], address[32];

		snprintf(host, sizeof(host), "host%d", i);
		snprintf(address, sizeof(address), "10.1.0.%d/24", i + 1);
		pods[i] = pod_start();
		pod_wire(pods[i], host, address);
	}
	open_node();
	return 0;
}

static int close_all(void **state)
{
	char path[128];

	close_node();
	take_down();
	for (int i = 0; i < 2; i++) {
		char host[16];

		snprintf(host, sizeof(host), "host%d", i);
		if (if_nametoindex(host))
			sh("ip link del %s", host);
		pod_end(pods[i]);
	}
	snprintf(path, sizeof(path), "%s/dataplane.sock", run_dir());
	unlink(path);
	return 0;
}

static int try_apply(struct update *update, struct bh_why *why)
{
	struct bh_change *change = change_of(update);
	int err = bh_serve_apply(&node.serve, change, why);

	if (!err)
		node.serve.applied = change->revision;
	bh_change_free(change);
	return err;
}

static void apply(struct update *update)
{
	struct bh_why why = {};

	if (try_apply(update, &why) < 0)
		fail_msg("%s", why.text);
}

/* Two pods, both of them under P1. */
static struct update *two_pods(uint64_t revision)
{
	struct update *update = update_new(revision, true);

	add_address(update, "10.1.0.1", 5, 77);
	add_address(update, "10.1.0.2", 6, 77);
	add_simple_program(update, P1, 5, 1);
	add_endpoint(update, "a", "10.1.0.1", P1);
	add_endpoint(update, "b", "10.1.0.2", P1);
	return update;
}

static const struct bh_pod *pod(const char *uid)
{
	for (size_t i = 0; i < node.endpoints.n_pods; i++) {
		if (!strcmp(node.endpoints.pods[i].wanted.uid, uid))
			return &node.endpoints.pods[i];
	}
	fail_msg("no pod %s", uid);
	return NULL;
}

static bool hangs_on(const char *interface)
{
	return bh_link_exists(node.object, if_nametoindex(interface), BH_LINK_EGRESS);
}

static uint32_t slot_in_map(const char *text)
{
	uint32_t ip = ip4(text);
	struct bh_identity identity = {};

	bpf_map_lookup_elem(node.object->map[BH_MAP_bh_addr4], &ip, &identity);
	return identity.slot;
}

static uint32_t slot_of_iface(const char *interface)
{
	uint32_t ifindex = if_nametoindex(interface);
	struct bh_iface iface = {};

	bpf_map_lookup_elem(node.object->map[BH_MAP_bh_ifaces], &ifindex, &iface);
	return iface.slot;
}

/* ---- Coming and going ----------------------------------------------------------------------- */

static void pods_are_attached_when_the_update_is_in_force(void **state)
{
	const struct bh_endpoint *endpoint;

	apply(two_pods(1));
	for (int i = 0; i < 2; i++) {
		const struct bh_pod *p = pod(i ? "b" : "a");

		assert_int_equal(p->state, BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED);
		assert_true(hangs_on(i ? "host1" : "host0"));
		assert_int_equal(slot_of_iface(i ? "host1" : "host0"), p->slot);
		assert_int_equal(slot_in_map(i ? "10.1.0.2" : "10.1.0.1"), p->slot);
		endpoint = &node.object->endpoints[p->slot];
		assert_int_equal((uint32_t)endpoint->programs, P1);
		assert_int_equal(endpoint->born, endpoint->epoch);
	}
	assert_int_not_equal(pod("a")->slot, pod("b")->slot);
}

static void a_removed_pod_leaves_nothing(void **state)
{
	struct update *update = update_new(2, false);

	apply(two_pods(1));
	remove_endpoint(update, "a");
	remove_address(update, "10.1.0.1");
	apply(update);
	assert_false(hangs_on("host0"));
	assert_true(hangs_on("host1"));
	assert_int_equal(slot_of_iface("host0"), 0);
	assert_int_equal(slot_in_map("10.1.0.1"), 0);
}

static void a_pod_without_interface_waits_and_is_attached_when_it_comes(void **state)
{
	sh("ip link del host0");
	apply(two_pods(1));
	assert_int_equal(pod("a")->state, BULKHEAD__WIRE__ENDPOINT_STATE__STATE_WAITING);
	assert_non_null(strstr(pod("a")->detail, "no interface has 10.1.0.1"));
	assert_true(bh_endpoints_waiting(&node.endpoints));
	pod_wire(pods[0], "host0", "10.1.0.1/24");
	bh_endpoints_reconcile(&node.endpoints);
	assert_int_equal(pod("a")->state, BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED);
	assert_true(hangs_on("host0"));
	assert_false(bh_endpoints_waiting(&node.endpoints));
}

static void a_pod_whose_interface_is_made_anew_is_a_new_endpoint(void **state)
{
	uint64_t born;
	uint32_t slot;

	apply(two_pods(1));
	slot = pod("a")->slot;
	born = node.object->endpoints[slot].born;
	sh("ip link del host0");
	pod_wire(pods[0], "host0", "10.1.0.1/24");
	bh_endpoints_reconcile(&node.endpoints);
	assert_int_not_equal(pod("a")->slot, slot);
	assert_true(node.object->endpoints[pod("a")->slot].born > born);
	assert_int_equal(node.object->endpoints[slot].epoch, 0);
	assert_int_equal(slot_in_map("10.1.0.1"), pod("a")->slot);
}

static void another_pod_at_the_same_interface_takes_over_without_a_gap(void **state)
{
	struct update *update = update_new(2, false);
	uint32_t before;

	apply(two_pods(1));
	before = pod("a")->slot;
	remove_endpoint(update, "a");
	add_endpoint(update, "c", "10.1.0.1", P1);
	apply(update);
	assert_true(hangs_on("host0"));
	assert_int_equal(slot_of_iface("host0"), pod("c")->slot);
	assert_int_equal(slot_in_map("10.1.0.1"), pod("c")->slot);
	assert_int_equal(node.object->endpoints[before].epoch, 0);
}

static void a_changed_workload_takes_a_new_slot_and_keeps_its_flows(void **state)
{
	struct update *update = update_new(2, false);
	uint64_t born;
	uint32_t slot;

	apply(two_pods(1));
	slot = pod("a")->slot;
	born = node.object->endpoints[slot].born;
	add_endpoint(update, "a", "10.1.0.1", P1)->workload = 78;
	apply(update);
	assert_int_not_equal(pod("a")->slot, slot);
	assert_int_equal(node.object->endpoints[pod("a")->slot].born, born);
	assert_int_equal(node.object->endpoints[pod("a")->slot].workload, 78);
}

static void an_address_thief_is_named_and_gets_nothing(void **state)
{
	bool named = false;

	apply(two_pods(1));
	sh("nsenter -t %d -n ip address add 10.1.0.1/24 dev eth0", (int)pods[1]);
	bh_endpoints_reconcile(&node.endpoints);
	assert_int_equal(slot_of_iface("host0"), pod("a")->slot);
	assert_int_equal(slot_of_iface("host1"), pod("b")->slot);
	for (size_t i = 0; i < node.problems.n; i++)
		named |= !strcmp(node.problems.list[i].code, "address-conflict");
	assert_true(named);
}

/* What a pod with power over its own namespace may try to get rid of its policy. */
static void still_enforced_after(const char *format)
{
	char command[512];
	uint32_t slot;

	apply(two_pods(1));
	snprintf(command, sizeof(command), format, (int)pods[0], (int)pods[0], (int)pods[0]);
	sh("%s", command);
	for (int i = 0; i < 2; i++)
		bh_endpoints_reconcile(&node.endpoints);
	slot = slot_of_iface("host0");
	assert_int_not_equal(slot, 0);
	assert_int_equal(slot, pod("a")->slot);
	assert_int_equal((uint32_t)node.object->endpoints[slot].programs, P1);
	assert_true(hangs_on("host0"));
}

static void a_pod_that_drops_its_address_stays_enforced(void **state)
{
	still_enforced_after("nsenter -t %d -n ip address flush dev eth0");
	assert_non_null(strstr(pod("a")->detail, "10.1.0.1"));
}

static void a_pod_that_changes_its_mac_and_address_stays_enforced(void **state)
{
	still_enforced_after("nsenter -t %d -n ip link set eth0 address 02:00:00:00:00:09 && "
			     "nsenter -t %d -n ip address flush dev eth0");
}

static void a_pod_that_takes_anothers_mac_keeps_its_own_and_is_named(void **state)
{
	uint8_t before[6], now[6];
	const uint8_t *others;
	bool named = false;

	apply(two_pods(1));
	memcpy(before, node.object->endpoints[pod("a")->slot].mac, sizeof(before));
	others = node.object->endpoints[pod("b")->slot].mac;
	sh("nsenter -t %d -n ip link set eth0 address %02x:%02x:%02x:%02x:%02x:%02x", (int)pods[0],
		others[0], others[1], others[2], others[3], others[4], others[5]);
	bh_endpoints_reconcile(&node.endpoints);
	memcpy(now, node.object->endpoints[slot_of_iface("host0")].mac, sizeof(now));
	assert_memory_equal(now, before, sizeof(now));
	for (size_t i = 0; i < node.problems.n; i++)
		named |= !strcmp(node.problems.list[i].code, "mac-taken") &&
			 strstr(node.problems.list[i].text, pod("b")->wanted.name);
	assert_true(named);
	/* To whoever may see the one only. */
	assert_non_null(strstr(pod("a")->detail, "another pod's MAC"));
	assert_null(strstr(pod("a")->detail, pod("b")->wanted.name));
}

static void a_pod_that_moves_its_end_to_another_namespace_stays_enforced(void **state)
{
	still_enforced_after("nsenter -t %d -n ip netns add bh-unit-inner && "
			     "nsenter -t %d -n ip link set eth0 netns bh-unit-inner");
	sh("ip netns delete bh-unit-inner");
}

static void a_pod_whose_address_turns_up_elsewhere_stays_where_it_is(void **state)
{
	pid_t other = pod_start();

	still_enforced_after("nsenter -t %d -n ip address flush dev eth0");
	pod_wire(other, "host9", "10.1.0.1/24");
	bh_endpoints_reconcile(&node.endpoints);
	assert_non_null(strstr(pod("a")->detail, "stays enforced"));
	assert_int_equal(slot_of_iface("host0"), pod("a")->slot);
	assert_int_equal(slot_of_iface("host9"), 0);
	/* Only when its own end is gone is it somewhere else. */
	sh("ip link del host0");
	bh_endpoints_reconcile(&node.endpoints);
	assert_int_equal(slot_of_iface("host9"), pod("a")->slot);
	sh("ip link del host9");
	pod_end(other);
}

static void an_address_of_two_unknown_interfaces_is_a_failure_that_names_both(void **state)
{
	struct update *update = update_new(1, true);

	sh("nsenter -t %d -n ip address add 10.1.0.9/24 dev eth0", (int)pods[0]);
	sh("nsenter -t %d -n ip address add 10.1.0.9/24 dev eth0", (int)pods[1]);
	add_address(update, "10.1.0.9", 5, 77);
	add_endpoint(update, "a", "10.1.0.9", BH_PROGRAM_NONE);
	apply(update);
	assert_int_equal(pod("a")->state, BULKHEAD__WIRE__ENDPOINT_STATE__STATE_FAILED);
	assert_non_null(strstr(pod("a")->detail, "host0"));
	assert_non_null(strstr(pod("a")->detail, "host1"));
}

/* ---- Refusals ------------------------------------------------------------------------------- */

static void refuses(struct update *update, int error, const char *says)
{
	struct bh_why why = {};

	assert_int_equal(try_apply(update, &why), error);
	if (!strstr(why.text, says))
		fail_msg("'%s' does not say '%s'", why.text, says);
}

static void refuses_what_contradicts_itself(void **state)
{
	struct update *update;

	apply(two_pods(1));
	update = update_new(2, false);
	add_endpoint(update, "c", "10.1.0.1", P1);
	refuses(update, -EINVAL, "10.1.0.1 belongs to two endpoints");
	update = update_new(2, false);
	add_endpoint(update, "c", "10.1.0.7", P1);
	refuses(update, -EINVAL, "10.1.0.7 is not among the addresses");
	update = update_new(2, false);
	add_endpoint(update, "a", "10.1.0.1", P1 + 1);
	refuses(update, -EINVAL, "program 0x40000066 is not among the programs");
	update = update_new(2, false);
	UPDATE_PUSH(update->wire.removed_programs, update->wire.n_removed_programs, P1);
	refuses(update, -EINVAL, "is not among the programs");
	assert_int_equal(node.endpoints.n_pods, 2);
	assert_int_equal(slot_of_iface("host0"), pod("a")->slot);
}

static void a_delta_of_another_revision_wants_a_full_update(void **state)
{
	refuses(update_new(2, false), -ESTALE, "send a full update");
	apply(two_pods(1));
	refuses(update_new(7, false), -ESTALE, "changes revision 6, but 1 is in force");
}

/* ---- Restarts ------------------------------------------------------------------------------- */

static void a_restart_keeps_slots_epochs_and_links(void **state)
{
	uint32_t slots[2];
	uint64_t epochs[2];

	apply(two_pods(1));
	for (int i = 0; i < 2; i++) {
		slots[i] = pod(i ? "b" : "a")->slot;
		epochs[i] = node.object->endpoints[slots[i]].epoch;
	}
	close_node();
	assert_true(if_nametoindex("host0") && if_nametoindex("host1"));
	open_node();
	assert_true(hangs_on("host0"));
	assert_int_equal(node.endpoints.n_orphans, 2);
	apply(two_pods(1));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pod(i ? "b" : "a")->slot, slots[i]);
		assert_int_equal(node.object->endpoints[slots[i]].epoch, epochs[i]);
	}
	assert_int_equal(node.endpoints.n_orphans, 0);
}

static void a_pod_that_dropped_its_address_before_a_restart_stays_enforced(void **state)
{
	apply(two_pods(1));
	sh("nsenter -t %d -n ip address flush dev eth0", (int)pods[0]);
	bh_endpoints_reconcile(&node.endpoints);
	close_node();
	open_node();
	apply(two_pods(1));
	assert_true(hangs_on("host0"));
	assert_int_equal(slot_of_iface("host0"), pod("a")->slot);
	assert_int_not_equal(pod("a")->slot, 0);
	bh_endpoints_reconcile(&node.endpoints);
	assert_true(hangs_on("host0"));
}

static void after_a_restart_a_refused_update_takes_nothing_away(void **state)
{
	struct update *update;

	apply(two_pods(1));
	close_node();
	open_node();
	update = two_pods(2);
	add_endpoint(update, "c", "10.1.0.7", P1);
	refuses(update, -EINVAL, "not among the addresses");
	assert_int_equal(node.endpoints.n_orphans, 2);
	assert_true(hangs_on("host0"));
	assert_int_not_equal(slot_of_iface("host0"), 0);
	apply(two_pods(2));
	assert_int_equal(node.endpoints.n_orphans, 0);
}

static void after_a_restart_pods_that_are_gone_are_released(void **state)
{
	struct update *update = update_new(1, true);

	apply(two_pods(1));
	close_node();
	open_node();
	assert_true(hangs_on("host0"));
	add_address(update, "10.1.0.2", 6, 77);
	add_simple_program(update, P1, 5, 1);
	add_endpoint(update, "b", "10.1.0.2", P1);
	apply(update);
	assert_false(hangs_on("host0"));
	assert_int_equal(slot_of_iface("host0"), 0);
	assert_true(hangs_on("host1"));
}

/* ---- Connections that were there before ----------------------------------------------------- */

static void seeds_established_connections_from_conntrack(void **state)
{
	struct bh_end pod_end_ = {.port = htons(40000)}, service = {.port = htons(80)},
		      backend = {.port = htons(8080)};
	uint32_t ips[] = {ip4("10.1.0.1"), ip4("10.96.0.1"), ip4("10.5.0.9")};
	union bh_flow_key key;
	struct bh_flow flow;
	uint8_t opener;

	/* A pod's connection to a service, as it looks before and after kube-proxy. */
	if (system("conntrack -I -p tcp -s 10.1.0.1 -d 10.96.0.1 -r 10.5.0.9 -q 10.1.0.1 --sport "
		   "40000 "
		   "--dport 80 --reply-port-src 8080 --reply-port-dst 40000 --state ESTABLISHED -t "
		   "100 "
		   "-u SEEN_REPLY,ASSURED >/dev/null 2>&1"))
		skip();
	sh("conntrack -I -p tcp -s 10.7.7.7 -d 10.8.8.8 --sport 1 --dport 2 --state ESTABLISHED -t "
	   "100 "
	   "-u SEEN_REPLY,ASSURED >/dev/null 2>&1");
	sh("conntrack -I -p tcp -s 10.1.0.1 -d 10.8.8.8 --sport 1 --dport 2 --state SYN_SENT -t "
	   "100 "
	   ">/dev/null 2>&1");
	apply(two_pods(1));
	memcpy(pod_end_.ip, &ips[0], 4);
	memcpy(service.ip, &ips[1], 4);
	memcpy(backend.ip, &ips[2], 4);
	opener = bh_flow_key_make(4, 6, &pod_end_, &service, &key);
	assert_true(flow_at(node.object, 4, &key, &flow) >= 0);
	assert_int_equal(flow.opener, opener);
	assert_int_equal(flow.state, BH_FLOW_ESTABLISHED);
	assert_int_equal(flow.flags, BH_FLOW_SEEDED);
	assert_int_equal(flow.leg[0].epoch | flow.leg[1].epoch, 0);
	bh_flow_key_make(4, 6, &pod_end_, &backend, &key);
	assert_true(flow_at(node.object, 4, &key, &flow) >= 0);
	/* Neither other people's connections nor half-open ones. */
	while (bh_flows_begin(node.flows), bh_flows_step(node.flows))
		;
	assert_int_equal(bh_flows_count(node.flows, BH_MAP_bh_flows4), 2);
}

/* ---- Flows that end by silence -------------------------------------------------------------- */

static void put_flow(uint32_t port, uint32_t idle_s, uint32_t edge)
{
	struct bh_end a = {.port = htons((uint16_t)port)}, b = {.port = htons(80)};
	uint32_t ips[] = {ip4("10.1.0.1"), ip4("10.1.0.2")};
	struct bh_clock clock;
	struct bh_flow flow = {.state = BH_FLOW_CLOSED, .leg[0] = {.epoch = 1, .edge = edge}};
	union bh_flow_key key;

	memcpy(a.ip, &ips[0], 4);
	memcpy(b.ip, &ips[1], 4);
	assert_int_equal(bh_object_clock(node.object, &clock), 0);
	flow.seen = (uint32_t)clock.jiffies - idle_s * node.object->config->hz;
	flow.opener = bh_flow_key_make(4, 6, &a, &b, &key);
	flow_put(node.object, 4, &key, &flow);
}

static void one_round(void)
{
	bh_flows_begin(node.flows);
	while (bh_flows_step(node.flows))
		;
}

static void a_round_ends_idle_flows_and_leaves_the_others(void **state)
{
	put_flow(1000, 11, 0);
	put_flow(1001, 2, 0);
	one_round();
	one_round();
	assert_int_equal(bh_flows_count(node.flows, BH_MAP_bh_flows4), 1);
}

static void an_idle_edge_gives_its_slot_back_two_rounds_later(void **state)
{
	struct bh_edge_key key = {
		.local = 77, .remote = 78, .port = 80, .protocol = 6, .family = 4, .verdict = 1};
	struct bh_edge_key pair = key;
	struct bh_edge_ref ref = {}, of_pair = {.ports = 1};
	uint32_t slot, generation;

	pair.port = 0;
	assert_int_equal(bpf_map_lookup_and_delete_elem(
				 node.object->map[BH_MAP_bh_edge_free], NULL, &ref.slot),
		0);
	assert_true(ref.slot > 0);
	bpf_map_update_elem(node.object->map[BH_MAP_bh_edge_index], &key, &ref, BPF_ANY);
	bpf_map_update_elem(node.object->map[BH_MAP_bh_edge_index], &pair, &of_pair, BPF_ANY);
	bh_edges_set_idle(node.edges, 0);
	put_flow(1000, 2, ref.slot);
	one_round();
	bh_edges_pass(node.edges, NULL);
	/* A flow names it: it stays, however idle. */
	assert_int_equal(
		bpf_map_lookup_elem(node.object->map[BH_MAP_bh_edge_index], &key, &of_pair), 0);
	put_flow(1000, 20, ref.slot);
	one_round();
	one_round();
	generation = node.object->config->generation;
	bh_edges_pass(node.edges, NULL);
	/* Nobody recalls its slot any more. */
	assert_int_not_equal(node.object->config->generation, generation);
	assert_true(
		bpf_map_lookup_elem(node.object->map[BH_MAP_bh_edge_index], &key, &of_pair) < 0);
	assert_true(
		bpf_map_lookup_elem(node.object->map[BH_MAP_bh_edge_index], &pair, &of_pair) < 0);
	for (int i = 0; i < 3; i++) {
		one_round();
		bh_edges_pass(node.edges, NULL);
	}
	assert_int_equal(
		bpf_map_lookup_and_delete_elem(node.object->map[BH_MAP_bh_edge_free], NULL, &slot),
		0);
	assert_int_equal(slot, ref.slot);
}

static void what_waited_in_the_event_ring_is_remembered_until_the_next_sum(void **state)
{
	struct update *u = two_pods(1);

	apply(u);
	bh_events_consume(node.events, NULL);
	bh_events_sum_up(node.events);
	bh_events_sum_up(node.events);
	assert_int_equal(bh_events_high(node.events), 0);
	sh("nsenter -t %d -n ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev eth0", pods[0]);
	sh("nsenter -t %d -n ping -c 1 -W 1 10.1.0.2 > /dev/null 2>&1 || :", pods[0]);
	bh_events_consume(node.events, NULL);
	assert_true(bh_events_high(node.events) >= sizeof(struct bh_event));
	bh_events_sum_up(node.events);
	assert_true(bh_events_high(node.events) >= sizeof(struct bh_event));
	bh_events_sum_up(node.events);
	assert_int_equal(bh_events_high(node.events), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(pods_are_attached_when_the_update_is_in_force),
		TEST(a_removed_pod_leaves_nothing),
		TEST(a_pod_without_interface_waits_and_is_attached_when_it_comes),
		TEST(a_pod_whose_interface_is_made_anew_is_a_new_endpoint),
		TEST(another_pod_at_the_same_interface_takes_over_without_a_gap),
		TEST(a_changed_workload_takes_a_new_slot_and_keeps_its_flows),
		TEST(an_address_thief_is_named_and_gets_nothing),
		TEST(a_pod_that_drops_its_address_stays_enforced),
		TEST(a_pod_that_changes_its_mac_and_address_stays_enforced),
		TEST(a_pod_that_takes_anothers_mac_keeps_its_own_and_is_named),
		TEST(a_pod_that_moves_its_end_to_another_namespace_stays_enforced),
		TEST(a_pod_whose_address_turns_up_elsewhere_stays_where_it_is),
		TEST(an_address_of_two_unknown_interfaces_is_a_failure_that_names_both),
		TEST(refuses_what_contradicts_itself),
		TEST(a_delta_of_another_revision_wants_a_full_update),
		TEST(a_restart_keeps_slots_epochs_and_links),
		TEST(a_pod_that_dropped_its_address_before_a_restart_stays_enforced),
		TEST(after_a_restart_a_refused_update_takes_nothing_away),
		TEST(after_a_restart_pods_that_are_gone_are_released),
		TEST(seeds_established_connections_from_conntrack),
		TEST(a_round_ends_idle_flows_and_leaves_the_others),
		TEST(an_idle_edge_gives_its_slot_back_two_rounds_later),
		TEST(what_waited_in_the_event_ring_is_remembered_until_the_next_sum),
	};

	need_root();
	bh_log_open("test_serve", BH_LOG_ERROR);
	return cmocka_run_group_tests_name("serve", tests, node_setup, node_teardown);
}
