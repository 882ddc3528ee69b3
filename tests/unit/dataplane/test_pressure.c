/* SPDX-License-Identifier: Apache-2.0 */

/* How large maps are made, how full they are, and who is told before there is no more room. */

#include <bpf/bpf.h>

#include "dataplane/pressure.h"
#include "dataplane/sizes.h"
#include "proto/log.h"
#include "tests/unit/dataplane/fixture.h"

#define GIB (1024ull * 1024 * 1024)

/* ---- Sizes ---- */

static void tables_of_flows_follow_the_nodes_memory(void **state)
{
	static const struct {
		uint64_t memory;
		uint32_t flows;
		uint32_t ring;
	} nodes[] = {
		{GIB / 2, 32768, 1 << 20}, {GIB - 1, 32768, 1 << 20}, {GIB, 65536, 2 << 20},
		{2 * GIB - GIB / 16, 131072, 4 << 20}, /* what is left of 2 GiB */
		{8 * GIB, 131072, 4 << 20}, {16 * GIB - GIB / 2, 262144, 8 << 20}, /* … and of 16 */
		{256 * GIB, 262144, 8 << 20}, {0, 131072, 4 << 20}, /* nobody knows */
	};

	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		assert_int_equal(
			bh_sizes_default(BH_MAP_bh_flows4, nodes[i].memory), nodes[i].flows);
		assert_int_equal(
			bh_sizes_default(BH_MAP_bh_events, nodes[i].memory), nodes[i].ring);
	}
}

static void what_a_policy_needs_is_the_same_on_every_node(void **state)
{
	static const enum bh_map maps[] = {BH_MAP_bh_policies, BH_MAP_bh_spills, BH_MAP_bh_addr4,
		BH_MAP_bh_trie6, BH_MAP_bh_edges, BH_MAP_bh_endpoints};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		assert_int_equal(bh_sizes_default(maps[i], GIB / 2), 0);
}

/* ---- Words ---- */

static void the_warning_says_what_happens_and_what_to_do(void **state)
{
	const struct bh_pressure flows = {BH_MAP_bh_flows4, 900, 1000};
	const struct bh_pressure ring = {BH_MAP_bh_events, 4000, 4096};
	const struct bh_pressure pods = {BH_MAP_bh_endpoints, 4000, 4096};
	char text[384];

	bh_pressure_text(&flows, text, sizeof(text));
	assert_string_equal(text,
		"bh_flows4 is more than 50 % full (1000 entries); some of the flows not used for "
		"longest are forgotten, and judged anew: give it more room with --map-size "
		"bh_flows4=2000, after `down`");
	bh_pressure_text(&ring, text, sizeof(text));
	assert_non_null(strstr(text, "4096 bytes"));
	bh_pressure_text(&pods, text, sizeof(text));
	assert_non_null(strstr(text, "its size is fixed"));
	assert_null(strstr(text, "--map-size"));
}

/* ---- Maps ---- */

static struct bh_problems problems;
static struct bh_object *object;
static struct bh_attach *attach;
static struct bh_discovery *discovery;
static struct bh_tables tables;
static struct bh_endpoints endpoints;
static struct bh_events *events;
static struct bh_flows *flows;
static struct bh_edges *edges;

static int open_all(void **state)
{
	struct bh_why why = {};
	int err;

	memset(&problems, 0, sizeof(problems));
	object = object_open();
	err = bh_attach_new(object, BH_ATTACH_AUTO, false, &problems, &attach, &why);
	err = err ? err : bh_discovery_new(&discovery, &why);
	err = err ? err : bh_tables_open(&tables, object, &why);
	err = err ? err
		  : bh_endpoints_open(
			    &endpoints, object, &tables, attach, discovery, &problems, &why);
	err = err ? err : bh_events_new(object, &endpoints, &events, &why);
	err = err ? err : bh_flows_new(object, &tables, events, &flows, &why);
	err = err ? err : bh_edges_new(object, flows, &edges, &why);
	if (err < 0)
		fail_msg("%s (%d)", why.text, err);
	return 0;
}

static int close_all(void **state)
{
	bh_edges_free(edges);
	bh_flows_free(flows);
	bh_events_free(events);
	bh_endpoints_close(&endpoints);
	bh_tables_close(&tables);
	bh_discovery_free(discovery);
	bh_attach_free(attach);
	bh_object_free(object);
	take_down();
	return 0;
}

static void sweep_and_check(void)
{
	const struct bh_status_sources sources = {.object = object,
		.tables = &tables,
		.endpoints = &endpoints,
		.events = events,
		.flows = flows,
		.edges = edges,
		.problems = &problems};

	bh_flows_begin(flows);
	while (bh_flows_step(flows))
		;
	bh_pressure_check(&sources);
}

static uint64_t entries_of(enum bh_map map)
{
	const struct bh_status_sources sources = {.object = object,
		.tables = &tables,
		.endpoints = &endpoints,
		.events = events,
		.flows = flows,
		.edges = edges,
		.problems = &problems};
	struct bh_pressure pressures[BH_PRESSURES];

	bh_pressure_measure(&sources, pressures);
	for (size_t i = 0; i < BH_PRESSURES; i++) {
		if (pressures[i].map == map) {
			assert_int_equal(pressures[i].max, object->size[map]);
			return pressures[i].entries;
		}
	}
	fail_msg("%s is not measured", bh_map_name(map));
	return 0;
}

static bool is_named(enum bh_map map)
{
	for (size_t i = 0; i < problems.n; i++) {
		if (!strcmp(problems.list[i].code, "map-pressure") &&
			!strcmp(problems.list[i].object, bh_map_name(map)))
			return true;
	}
	return false;
}

static void put_fragments(uint32_t n, uint32_t seconds_ago)
{
	struct bh_clock clock;

	assert_int_equal(bh_object_clock(object, &clock), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct bh_fragment_key key = {.id = i};
		struct bh_fragment first = {
			.seen = (uint32_t)clock.jiffies - seconds_ago * object->config->hz};

		assert_int_equal(
			bpf_map_update_elem(object->map[BH_MAP_bh_fragments], &key, &first, 0), 0);
	}
}

static void put_flows(uint32_t n, uint32_t seconds_ago)
{
	struct bh_clock clock;

	assert_int_equal(bh_object_clock(object, &clock), 0);
	for (uint32_t i = 0; i < n; i++) {
		union bh_flow_key key = {.v6 = {.protocol = 17, .used = 1}};
		struct bh_flow flow = {.state = BH_FLOW_REPLIED,
			.seen = (uint32_t)clock.jiffies - seconds_ago * object->config->hz};

		memcpy(key.v6.addr, &i, sizeof(i));
		flow_put(object, 6, &key, &flow);
	}
}

static void a_nearly_full_table_is_named_and_an_emptied_one_is_not(void **state)
{
	uint32_t n = object->size[BH_MAP_bh_flows6];

	put_flows(n / 4, 1);
	sweep_and_check();
	assert_false(is_named(BH_MAP_bh_flows6));
	assert_int_equal(entries_of(BH_MAP_bh_flows6), n / 4);
	put_flows(n * 5 / 8, 1);
	sweep_and_check();
	assert_true(entries_of(BH_MAP_bh_flows6) * 2 > n);
	assert_true(is_named(BH_MAP_bh_flows6));
	assert_false(is_named(BH_MAP_bh_flows4));
	put_flows(n * 5 / 8, 1000);
	sweep_and_check(); /* ends them, and has counted them */
	sweep_and_check();
	assert_false(is_named(BH_MAP_bh_flows6));
}

/* Nobody takes old fragments out of their table: they are no pressure. */
static void fragments_of_long_ago_do_not_count(void **state)
{
	put_fragments(100, 5);
	sweep_and_check();
	assert_int_equal(entries_of(BH_MAP_bh_fragments), 100);
	put_fragments(100, 31);
	sweep_and_check();
	assert_int_equal(entries_of(BH_MAP_bh_fragments), 0);
}

static void endpoints_in_use_are_counted(void **state)
{
	struct bh_endpoint endpoint = {.ifindex = 7, .epoch = 1};

	assert_int_equal(entries_of(BH_MAP_bh_endpoints), 0);
	bh_object_fill_endpoint(object, 3, &endpoint);
	assert_int_equal(entries_of(BH_MAP_bh_endpoints), 1);
	bh_object_clear_endpoint(object, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_of_flows_follow_the_nodes_memory),
		cmocka_unit_test(what_a_policy_needs_is_the_same_on_every_node),
		cmocka_unit_test(the_warning_says_what_happens_and_what_to_do),
		TEST(a_nearly_full_table_is_named_and_an_emptied_one_is_not),
		TEST(fragments_of_long_ago_do_not_count),
		TEST(endpoints_in_use_are_counted),
	};

	need_root();
	bh_log_open("test_pressure", BH_LOG_ERROR);
	return cmocka_run_group_tests_name("pressure", tests, node_setup, node_teardown);
}
