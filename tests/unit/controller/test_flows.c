/* SPDX-License-Identifier: Apache-2.0 */

/* Flow history and edges: naming, bounds, filters, and the two ends of a conversation. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/reasons.h"
#include "controller/compile/compile.h"
#include "controller/flows/edges.h"
#include "controller/flows/log.h"
#include "controller/flows/names.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"

/* ---- Names ----------------------------------------------------------------------------------- */

struct world {
	struct bh_model *model;
	struct bh_compiler *compiler;
	struct bh_names *names;
};

static void put_pod(
	struct bh_model *model, const char *uid, const char *name, uint8_t last, int64_t created)
{
	struct bh_ip ip = {.family = 4, .ip = {10, 0, 0, last}};
	struct bh_pod pod = {.uid = uid,
		.namespace = "shop",
		.name = name,
		.node_name = "here",
		.created = created,
		.n_ips = 1,
		.ips = &ip};

	bh_model_put_pod(model, &pod);
}

static void learn(struct world *world)
{
	struct bh_desired *desired = bh_compile(world->compiler, world->model);

	bh_names_learn(world->names, desired, NULL);
	bh_desired_unref(desired);
}

static int setup(void **state)
{
	struct world *world = bh_xcalloc(1, sizeof(*world));

	world->model = bh_model_new("here", BH_MODE_ENFORCE);
	world->compiler = bh_compiler_new();
	world->names = bh_names_new(world->model);
	put_pod(world->model, "uid-web", "web", 1, 1);
	put_pod(world->model, "uid-db", "db", 2, 1);
	learn(world);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	bh_names_free(world->names);
	bh_compiler_free(world->compiler);
	bh_model_free(world->model);
	free(world);
	return 0;
}

static uint32_t workload_of(struct world *world, const char *uid)
{
	struct bh_desired *desired = bh_compile(world->compiler, world->model);
	uint32_t number = 0;

	for (size_t i = 0; i < desired->n_endpoints; i++) {
		if (strcmp(desired->endpoints[i].uid, uid) == 0)
			number = desired->endpoints[i].workload;
	}
	bh_desired_unref(desired);
	return number;
}

static void names_outlive_what_they_name(void **state)
{
	struct world *world = *state;
	uint32_t db = workload_of(world, "uid-db");

	bh_model_remove(world->model, "uid-db");
	learn(world);
	assert_non_null(bh_names_workload(world->names, db));
	assert_string_equal(bh_names_workload(world->names, db)->name, "db");
	assert_string_equal(bh_names_endpoint(world->names, "uid-db")->name, "db");
	assert_null(bh_names_workload(world->names, 0xabcdef));
	assert_null(bh_names_endpoint(world->names, "uid"));
}

static void address_means_the_newest_pod_that_has_it(void **state)
{
	struct world *world = *state;
	struct bh_ip ip = {.family = 4, .ip = {10, 0, 0, 2}};

	assert_string_equal(bh_names_address(world->names, &ip)->name, "db");
	put_pod(world->model, "uid-newer", "newer", 2, 2);
	assert_string_equal(bh_names_address(world->names, &ip)->name, "newer");
	bh_model_remove(world->model, "uid-newer");
	bh_model_remove(world->model, "uid-db");
	assert_null(bh_names_address(world->names, &ip));
}

/* ---- The log --------------------------------------------------------------------------------- */

static Bulkhead__Wire__Flow flow_between(
	uint8_t *src, uint8_t *dst, const char *uid, bool egress, uint32_t reason)
{
	Bulkhead__Wire__Flow flow = BULKHEAD__WIRE__FLOW__INIT;

	flow.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW;
	flow.uid = (char *)uid;
	flow.egress = egress;
	flow.reason = reason;
	flow.pending = reason;
	flow.src.data = src;
	flow.src.len = 4;
	flow.dst.data = dst;
	flow.dst.len = 4;
	flow.sport = 40000;
	flow.dport = 5432;
	flow.protocol = 6;
	return flow;
}

static void add(struct bh_flow_log *log, struct bh_names *names, Bulkhead__Wire__Flow *flow)
{
	Bulkhead__Wire__FlowBatch batch = BULKHEAD__WIRE__FLOW_BATCH__INIT;

	batch.n_flows = 1;
	batch.flows = &flow;
	bh_flow_log_add(log, names, &batch);
}

static void names_both_ends_when_a_flow_arrives(void **state)
{
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(100, 1 << 20);
	uint8_t web[4] = {10, 0, 0, 1};
	uint8_t db[4] = {10, 0, 0, 2};
	Bulkhead__Wire__Flow flow = flow_between(web, db, "uid-web", true, BH_REASON_POLICY);
	const struct bh_flow_record *record;

	add(log, world->names, &flow);
	bh_model_remove(world->model, "uid-db");
	record = bh_flow_log_get(log, 1);
	assert_string_equal(record->src.pod, "web");
	assert_string_equal(record->dst.namespace, "shop");
	assert_string_equal(record->dst.pod, "db");
	assert_int_equal(record->verdict, BH_FLOW_ALLOWED);
	bh_flow_log_free(log);
}

static void pod_that_lies_about_its_address_is_named_all_the_same(void **state)
{
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(100, 1 << 20);
	uint8_t forged[4] = {10, 0, 0, 2};
	uint8_t target[4] = {192, 0, 2, 1};
	Bulkhead__Wire__Flow flow =
		flow_between(forged, target, "uid-web", true, BH_REASON_SPOOFED_IP);

	flow.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED;
	add(log, world->names, &flow);
	assert_string_equal(bh_flow_log_get(log, 1)->src.pod, "web");
	assert_string_equal(bh_flow_log_get(log, 1)->dst.pod, "");
	assert_int_equal(bh_flow_log_get(log, 1)->verdict, BH_FLOW_DENIED);
	bh_flow_log_free(log);
}

static void what_nobody_can_speak_is_not_known(void **state)
{
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(100, 1 << 20);
	uint8_t web[4] = {10, 0, 0, 1};
	Bulkhead__Wire__Flow flow = flow_between(web, web, "uid-web", true, BH_REASON_POLICY);
	struct bh_flow_talk talk;

	flow.type = BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED;
	flow.app = BH_APP_REDIS;
	flow.encrypted = BH_ENCRYPTED_YES;
	flow.tls = 0x0303;
	flow.round_trip_us = 250;
	add(log, world->names, &flow);
	talk = bh_flow_log_get(log, 1)->talk;
	assert_int_equal(talk.app, BH_APP_REDIS);
	assert_int_equal(talk.encrypted, BH_ENCRYPTED_YES);
	assert_int_equal(talk.tls_version, 0x0303);
	assert_int_equal(talk.round_trip_us, 250);
	flow.app = BH_APPS + 256;
	flow.encrypted = BH_ENCRYPTED_YES + 1;
	flow.tls = 0x10303;
	add(log, world->names, &flow);
	talk = bh_flow_log_get(log, 2)->talk;
	assert_int_equal(talk.app, BH_APP_UNKNOWN);
	assert_int_equal(talk.encrypted, BH_ENCRYPTED_UNKNOWN);
	assert_int_equal(talk.tls_version, 0);
	bh_flow_log_free(log);
}

static void verdict_follows_type_and_pending_reason(void **state)
{
	static const struct {
		Bulkhead__Wire__FlowType type;
		uint32_t reason;
		uint32_t pending;
		enum bh_flow_verdict verdict;
	} cases[] = {
		{BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW, BH_REASON_POLICY, BH_REASON_POLICY,
			BH_FLOW_ALLOWED},
		{BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED, BH_REASON_OPEN, BH_REASON_ISOLATED,
			BH_FLOW_WOULD_DENY},
		{BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE, BH_REASON_OPEN, BH_REASON_ISOLATED,
			BH_FLOW_WOULD_DENY},
		{BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY, BH_REASON_OPEN, BH_REASON_ISOLATED,
			BH_FLOW_WOULD_DENY},
		{BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED, BH_REASON_ISOLATED, BH_REASON_ISOLATED,
			BH_FLOW_DENIED},
		{BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW, 4711, 4711, BH_FLOW_DENIED},
	};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bh_flow_log *log = bh_flow_log_new(4, 1 << 20);
		uint8_t ip[4] = {10, 0, 0, 1};
		Bulkhead__Wire__Flow flow = flow_between(ip, ip, "uid-web", true, cases[i].reason);

		flow.type = cases[i].type;
		flow.pending = cases[i].pending;
		add(log, world->names, &flow);
		assert_int_equal(bh_flow_log_get(log, 1)->verdict, cases[i].verdict);
		bh_flow_log_free(log);
	}
}

static void oldest_records_go_first_and_numbers_have_no_gaps(void **state)
{
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(10, 1 << 20);
	uint8_t ip[4] = {10, 0, 0, 1};
	Bulkhead__Wire__Flow flow = flow_between(ip, ip, "uid-web", true, BH_REASON_POLICY);

	for (unsigned int i = 1; i <= 25; i++) {
		flow.sport = i;
		add(log, world->names, &flow);
	}
	assert_int_equal(bh_flow_log_first(log), 16);
	assert_int_equal(bh_flow_log_next(log), 26);
	assert_null(bh_flow_log_get(log, 15));
	assert_null(bh_flow_log_get(log, 26));
	for (unsigned int i = 16; i <= 25; i++) {
		assert_int_equal(bh_flow_log_get(log, i)->sequence, i);
		assert_int_equal(bh_flow_log_get(log, i)->src.port, i);
	}
	bh_flow_log_free(log);
}

static void bytes_are_bounded_too(void **state)
{
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(100000, 20 * sizeof(struct bh_flow_record));
	uint8_t ip[4] = {10, 0, 0, 1};
	Bulkhead__Wire__Flow flow = flow_between(ip, ip, "uid-web", true, BH_REASON_POLICY);

	for (int i = 0; i < 1000; i++)
		add(log, world->names, &flow);
	assert_true(bh_flow_log_next(log) - bh_flow_log_first(log) <= 20);
	assert_true(bh_flow_log_next(log) - bh_flow_log_first(log) > 5);
	bh_flow_log_free(log);
}

static void nonsense_from_the_wire_is_read_as_absent(void **state)
{
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(10, 1 << 20);
	Bulkhead__Wire__Flow flow = BULKHEAD__WIRE__FLOW__INIT;
	uint8_t five[5] = {1, 2, 3, 4, 5};

	flow.uid = "nobody";
	flow.src.data = five;
	flow.src.len = 5;
	flow.type = 99;
	flow.reason = 0xffffffff;
	flow.sport = 0x12345678;
	flow.protocol = 0xfff;
	add(log, world->names, &flow);
	assert_int_equal(bh_flow_log_get(log, 1)->src.ip.family, 0);
	assert_string_equal(bh_flow_log_get(log, 1)->dst.pod, "");
	assert_string_equal(bh_reason_word(0xffffffff), "unknown");
	bh_flow_log_free(log);
}

static void filters_match_either_end(void **state)
{
	static const struct {
		struct bh_flow_filter filter;
		bool matches;
	} cases[] = {
		{{0}, true},
		{{.namespace = "shop"}, true},
		{{.namespace = "sho"}, false},
		{{.pod = "shop/web"}, true},
		{{.pod = "shop/db"}, true},
		{{.pod = "db"}, true},
		{{.pod = "sho/pweb"}, false},
		{{.pod = "/web"}, false},
		{{.by_verdict = true, .verdict = BH_FLOW_ALLOWED}, true},
		{{.by_verdict = true, .verdict = BH_FLOW_DENIED}, false},
		{{.by_protocol = true, .protocol = 6}, true},
		{{.by_protocol = true, .protocol = 17}, false},
		{{.port = 5432}, true},
		{{.port = 40000}, false},
	};
	struct world *world = *state;
	struct bh_flow_log *log = bh_flow_log_new(10, 1 << 20);
	uint8_t web[4] = {10, 0, 0, 1};
	uint8_t db[4] = {10, 0, 0, 2};
	Bulkhead__Wire__Flow flow = flow_between(web, db, "uid-web", true, BH_REASON_POLICY);

	add(log, world->names, &flow);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (bh_flow_matches(bh_flow_log_get(log, 1), &cases[i].filter) != cases[i].matches)
			fail_msg("case %zu", i);
	}
	bh_flow_log_free(log);
}

/* ---- Edges ----------------------------------------------------------------------------------- */

#define WEB 100
#define DB 200

static Bulkhead__Wire__Edge edge_at(
	bool egress, bool peer_local, uint32_t verdict, uint64_t packets)
{
	Bulkhead__Wire__Edge edge = BULKHEAD__WIRE__EDGE__INIT;

	edge.local = egress ? WEB : DB;
	edge.remote = egress ? DB : WEB;
	edge.port = 5432;
	edge.protocol = 6;
	edge.egress = egress;
	edge.peer_local = peer_local;
	edge.verdict = verdict;
	edge.pending = verdict;
	edge.family = 4;
	/* The client sends twice as many as the server, whoever counts them. */
	edge.packets_out = egress ? 2 * packets : packets;
	edge.packets_in = egress ? packets : 2 * packets;
	edge.octets_out = 100 * edge.packets_out;
	edge.octets_in = 100 * edge.packets_in;
	edge.flows = packets;
	edge.first_ns = 1000;
	edge.last_ns = 2000;
	return edge;
}

static void add_edges(
	struct bh_edges *edges, uint64_t generation, size_t n, Bulkhead__Wire__Edge *list)
{
	Bulkhead__Wire__EdgeBatch batch = BULKHEAD__WIRE__EDGE_BATCH__INIT;
	Bulkhead__Wire__Edge *pointers[8];

	for (size_t i = 0; i < n; i++)
		pointers[i] = &list[i];
	batch.generation = generation;
	batch.n_edges = n;
	batch.edges = pointers;
	bh_edges_add(edges, &batch);
}

static void conversation_seen_from_both_ends_counts_once(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge list[] = {
		edge_at(true, true, BH_REASON_NOT_ISOLATED, 10),
		edge_at(false, true, BH_REASON_POLICY, 10),
	};

	add_edges(edges, 1, 2, list);
	assert_int_equal(bh_edges_view(edges, &views), 1);
	assert_int_equal(views[0].client, WEB);
	assert_int_equal(views[0].server, DB);
	assert_int_equal(views[0].packets[0], 20);
	assert_int_equal(views[0].packets[1], 10);
	assert_int_equal(views[0].octets[0], 2000);
	assert_int_equal(views[0].flows, 10);
	assert_int_equal(views[0].egress->verdict, BH_REASON_NOT_ISOLATED);
	assert_int_equal(views[0].ingress->verdict, BH_REASON_POLICY);
	assert_false(views[0].denied);
	free(views);
	bh_edges_free(edges);
}

static void remote_clients_count_at_the_server(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge list[] = {
		edge_at(true, true, BH_REASON_POLICY, 10),
		edge_at(false, true, BH_REASON_POLICY, 10),
		edge_at(false, false, BH_REASON_POLICY, 5),
	};

	add_edges(edges, 1, 3, list);
	assert_int_equal(bh_edges_view(edges, &views), 1);
	assert_int_equal(views[0].packets[0], 30);
	assert_int_equal(views[0].packets[1], 15);
	assert_int_equal(views[0].n_variants, 3);
	free(views);
	bh_edges_free(edges);
}

static void server_alone_counts_for_itself(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge edge = edge_at(false, true, BH_REASON_POLICY, 5);

	add_edges(edges, 1, 1, &edge);
	assert_int_equal(bh_edges_view(edges, &views), 1);
	assert_null(views[0].egress);
	assert_int_equal(views[0].packets[0], 10);
	free(views);
	bh_edges_free(edges);
}

static void latest_verdict_at_either_end_stands_for_the_edge(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge list[] = {
		edge_at(true, true, BH_REASON_NOT_ISOLATED, 10),
		edge_at(false, true, BH_REASON_OPEN, 6),
		edge_at(false, true, BH_REASON_ISOLATED, 4),
	};

	list[1].pending = BH_REASON_ISOLATED;
	list[1].last_ns = 2000;
	list[2].last_ns = 3000;
	add_edges(edges, 1, 3, list);
	assert_int_equal(bh_edges_view(edges, &views), 1);
	assert_true(views[0].denied);
	assert_int_equal(views[0].flows_denied, 4);
	assert_int_equal(views[0].packets_denied, 12);
	assert_int_equal(views[0].flows_would_deny, 6);
	assert_int_equal(views[0].ingress->verdict, BH_REASON_ISOLATED);
	free(views);
	/* Allowed again, later. */
	list[1].last_ns = 4000;
	list[1].pending = BH_REASON_POLICY;
	list[1].verdict = BH_REASON_POLICY;
	add_edges(edges, 1, 1, &list[1]);
	bh_edges_view(edges, &views);
	assert_false(views[0].denied);
	free(views);
	bh_edges_free(edges);
}

static void absolute_counts_replace_what_was_known(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge edge = edge_at(true, false, BH_REASON_POLICY, 5);

	add_edges(edges, 1, 1, &edge);
	edge = edge_at(true, false, BH_REASON_POLICY, 7);
	add_edges(edges, 1, 1, &edge);
	add_edges(edges, 1, 1, &edge);
	bh_edges_view(edges, &views);
	assert_int_equal(views[0].flows, 7);
	free(views);
	bh_edges_free(edges);
}

static void edge_that_gave_its_slot_back_goes_on_counting_when_it_returns(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge edge = edge_at(true, false, BH_REASON_POLICY, 5);

	edge.gone = true;
	add_edges(edges, 1, 1, &edge);
	add_edges(edges, 1, 1, &edge); /* said twice */
	edge = edge_at(true, false, BH_REASON_POLICY, 2);
	add_edges(edges, 1, 1, &edge);
	edge = edge_at(true, false, BH_REASON_POLICY, 3);
	add_edges(edges, 1, 1, &edge);
	bh_edges_view(edges, &views);
	assert_int_equal(views[0].flows, 8);
	assert_int_equal(views[0].packets[0], 16);
	free(views);
	bh_edges_free(edges);
}

static void edge_that_wakes_with_its_slot_is_not_added_twice(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge edge = edge_at(true, false, BH_REASON_POLICY, 5);

	edge.gone = true;
	add_edges(edges, 1, 1, &edge);
	edge = edge_at(true, false, BH_REASON_POLICY, 7);
	add_edges(edges, 1, 1, &edge);
	bh_edges_view(edges, &views);
	assert_int_equal(views[0].flows, 7);
	assert_int_equal(views[0].packets[0], 14);
	free(views);
	/* The same numbers of a slot that began later are another count. */
	edge.gone = true;
	add_edges(edges, 1, 1, &edge);
	edge = edge_at(true, false, BH_REASON_POLICY, 9);
	edge.first_ns += 3600000000000;
	add_edges(edges, 1, 1, &edge);
	bh_edges_view(edges, &views);
	assert_int_equal(views[0].flows, 16);
	free(views);
	bh_edges_free(edges);
}

static void what_is_spoken_is_of_either_end_and_trips_are_the_clients(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge list[] = {
		edge_at(true, true, BH_REASON_POLICY, 5),
		edge_at(false, true, BH_REASON_POLICY, 5),
	};

	list[0].trips = 2;
	list[0].trip_sum_us = 500;
	list[0].trip_min_us = 200;
	list[0].refusals = 3;
	list[1].app = BH_APP_POSTGRESQL;
	list[1].encrypted = BH_ENCRYPTED_NO;
	list[1].trips = 2;
	list[1].trip_sum_us = 40;
	list[1].trip_min_us = 10;
	list[1].refusals = 3;
	add_edges(edges, 1, 2, list);
	bh_edges_view(edges, &views);
	assert_int_equal(views[0].talk.app, BH_APP_POSTGRESQL);
	assert_int_equal(views[0].talk.encrypted, BH_ENCRYPTED_NO);
	assert_int_equal(views[0].talk.rtt_n, 2);
	assert_int_equal(views[0].talk.rtt_min_us, 200);
	assert_int_equal(views[0].talk.rtt_sum_us, 500);
	assert_int_equal(views[0].refusals, 3);
	free(views);
	bh_edges_free(edges);
}

static void new_generation_begins_anew(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	Bulkhead__Wire__Edge edge = edge_at(true, false, BH_REASON_POLICY, 5);

	add_edges(edges, 1, 1, &edge);
	edge.port = 80;
	add_edges(edges, 2, 1, &edge);
	assert_int_equal(bh_edges_view(edges, &views), 1);
	assert_int_equal(views[0].port, 80);
	free(views);
	bh_edges_free(edges);
}

static void number_of_edges_is_bounded(void **state)
{
	struct bh_edges *edges = bh_edges_new();
	struct bh_edge_view *views;
	size_t n;

	for (unsigned int i = 0; i < BH_EDGES_MAX + 10; i++) {
		Bulkhead__Wire__Edge edge = edge_at(true, false, BH_REASON_POLICY, 1);

		edge.remote = 1000 + i;
		edge.last_ns = 1000 + i;
		add_edges(edges, 1, 1, &edge);
	}
	n = bh_edges_view(edges, &views);
	assert_true(n <= BH_EDGES_MAX);
	assert_int_equal(n + bh_edges_forgotten(edges), BH_EDGES_MAX + 10);
	/* The latest one is still there. */
	assert_int_equal(views[n - 1].server, 1000 + BH_EDGES_MAX + 9);
	free(views);
	bh_edges_free(edges);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_outlive_what_they_name),
		TEST(address_means_the_newest_pod_that_has_it),
		TEST(names_both_ends_when_a_flow_arrives),
		TEST(pod_that_lies_about_its_address_is_named_all_the_same),
		TEST(what_nobody_can_speak_is_not_known),
		TEST(verdict_follows_type_and_pending_reason),
		TEST(oldest_records_go_first_and_numbers_have_no_gaps),
		TEST(bytes_are_bounded_too),
		TEST(nonsense_from_the_wire_is_read_as_absent),
		TEST(filters_match_either_end),
		cmocka_unit_test(conversation_seen_from_both_ends_counts_once),
		cmocka_unit_test(remote_clients_count_at_the_server),
		cmocka_unit_test(server_alone_counts_for_itself),
		cmocka_unit_test(latest_verdict_at_either_end_stands_for_the_edge),
		cmocka_unit_test(absolute_counts_replace_what_was_known),
		cmocka_unit_test(edge_that_gave_its_slot_back_goes_on_counting_when_it_returns),
		cmocka_unit_test(edge_that_wakes_with_its_slot_is_not_added_twice),
		cmocka_unit_test(what_is_spoken_is_of_either_end_and_trips_are_the_clients),
		cmocka_unit_test(new_generation_begins_anew),
		cmocka_unit_test(number_of_edges_is_bounded),
	};

	return cmocka_run_group_tests_name("flows", tests, NULL, NULL);
}
