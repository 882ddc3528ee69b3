/* SPDX-License-Identifier: Apache-2.0 */

/* Changes against real maps: what is in force afterwards, and what a packet may meet on the way. */

#include <bpf/bpf.h>
#include <pthread.h>

#include "dataplane/tables.h"
#include "dataplane/walk.h"
#include "tests/unit/dataplane/fixture.h"

#define IN BH_PROGRAM_INGRESS_ISOLATED
#define P1 (IN | 101)
#define P2 (IN | 102)
#define P3 (IN | 103)

static struct bh_object *object;
static struct bh_tables tables;

static int open_all(void **state)
{
	struct bh_why why = {};

	object = object_open();
	return bh_tables_open(&tables, object, &why);
}

static int close_all(void **state)
{
	bh_tables_close(&tables);
	bh_object_free(object);
	take_down();
	return 0;
}

static void put_endpoint(uint32_t slot, uint32_t program)
{
	struct bh_endpoint endpoint = {
		.programs = bh_programs_pack(program, program),
		.epoch = bh_object_new_epoch(object),
		.ifindex = slot,
	};

	bh_object_fill_endpoint(object, slot, &endpoint);
}

/* Applies an update that must be taken; switches[i] is the program of slot i + 1. */
static void apply(struct update *update, size_t n, const uint32_t *programs)
{
	struct bh_change *change = change_of(update);
	struct bh_switch switches[8] = {};
	struct bh_plan *plan = NULL;
	struct bh_why why = {};

	for (size_t i = 0; i < n; i++)
		switches[i] = (struct bh_switch){.slot = (uint32_t)i + 1,
			.programs = bh_programs_pack(programs[i], programs[i])};
	if (bh_tables_plan(&tables, change, switches, n, &plan, &why) < 0 ||
		bh_tables_apply(&tables, plan, &why) < 0 ||
		bh_tables_finish(&tables, plan, &why) < 0)
		fail_msg("%s", why.text);
	bh_plan_free(plan);
	bh_change_free(change);
}

static size_t count(enum bh_map map, size_t key_size, size_t value_size)
{
	struct bh_walk walk;
	size_t n = 0;

	assert_int_equal(bh_walk_begin(&walk, object->map[map], key_size, value_size, 64), 0);
	while (bh_walk_step(&walk) > 0)
		n += walk.n;
	bh_walk_end(&walk);
	return n;
}

static size_t policies(void)
{
	return count(BH_MAP_bh_policies, sizeof(struct bh_policy_key), sizeof(struct bh_policy));
}

static uint32_t class_in_map(const char *ip)
{
	struct bh_identity identity = {.class = UINT32_MAX};
	struct bh_prefix4 prefix = {.bits = 32, .addr = ip4(ip)};

	if (bpf_map_lookup_elem(object->map[BH_MAP_bh_addr4], &prefix.addr, &identity) < 0)
		bpf_map_lookup_elem(object->map[BH_MAP_bh_trie4], &prefix, &identity);
	return identity.class;
}

/* ---- What is in force afterwards ------------------------------------------------------------ */

static void writes_addresses_blocks_and_programs(void **state)
{
	struct update *update = update_new(1, true);

	add_address(update, "10.0.0.1", 5, 50);
	add_address(update, "2001:db8::1", 6, 60);
	add_block(update, "10.0.0.0", 8, 7);
	add_simple_program(update, P1, 5, 1);
	apply(update, 0, NULL);
	assert_int_equal(class_in_map("10.0.0.1"), 5);
	assert_int_equal(class_in_map("10.200.0.1"), 7);
	assert_int_equal(policies(), 1);
	assert_int_equal(
		object->config->flags & (BH_CONFIG_TRIE4 | BH_CONFIG_TRIE6), BH_CONFIG_TRIE4);
}

static void a_full_update_removes_what_it_does_not_name(void **state)
{
	writes_addresses_blocks_and_programs(state);
	apply(update_new(2, true), 0, NULL);
	assert_int_equal(class_in_map("10.0.0.1"), UINT32_MAX);
	assert_int_equal(class_in_map("10.200.0.1"), UINT32_MAX);
	assert_int_equal(policies(), 0);
	assert_int_equal(object->config->flags & BH_CONFIG_TRIE4, 0);
	assert_int_equal(tables.world.n_entries, 0);
}

static void a_delta_changes_only_what_it_names(void **state)
{
	struct update *update = update_new(2, false);

	writes_addresses_blocks_and_programs(state);
	add_address(update, "10.0.0.2", 5, 51);
	remove_block(update, "10.0.0.0", 8);
	apply(update, 0, NULL);
	assert_int_equal(class_in_map("10.0.0.1"), 5);
	assert_int_equal(class_in_map("10.0.0.2"), 5);
	assert_int_equal(class_in_map("10.200.0.1"), UINT32_MAX);
	assert_int_equal(policies(), 1);
}

static void spilled_entries_come_and_go_whole(void **state)
{
	struct update *update = update_new(1, true);
	Bulkhead__Wire__ProgramEntry *entry = add_entry(add_program(update, P1), false, 5);

	for (uint32_t i = 0; i < 20; i++)
		add_rule(entry, 6, i * 10 + 1, i * 10 + 1, i);
	apply(update, 0, NULL);
	assert_int_equal(
		count(BH_MAP_bh_spills, sizeof(struct bh_spill_key), sizeof(struct bh_spill)), 20);
	apply(update_new(2, true), 0, NULL);
	assert_int_equal(
		count(BH_MAP_bh_spills, sizeof(struct bh_spill_key), sizeof(struct bh_spill)), 0);
}

static void the_same_again_moves_no_epoch(void **state)
{
	const uint32_t programs[] = {P1};
	uint64_t epoch;

	put_endpoint(1, P1);
	for (int i = 0; i < 2; i++) {
		struct update *update = update_new(1, true);

		add_address(update, "10.0.0.1", 5, 50);
		add_block(update, "10.0.0.0", 8, 7);
		add_simple_program(update, P1, 5, 1);
		epoch = object->endpoints[1].epoch;
		apply(update, 1, programs);
	}
	assert_int_equal(object->endpoints[1].epoch, epoch);
}

static void any_class_change_moves_every_epoch(void **state)
{
	uint64_t before[2];
	struct update *update = update_new(1, true);

	put_endpoint(1, BH_PROGRAM_OPEN);
	put_endpoint(2, BH_PROGRAM_NONE);
	before[0] = object->endpoints[1].epoch;
	before[1] = object->endpoints[2].epoch;
	add_address(update, "10.0.0.1", 5, 50);
	apply(update, 2, (const uint32_t[]){BH_PROGRAM_OPEN, BH_PROGRAM_NONE});
	assert_true(object->endpoints[1].epoch > before[0]);
	assert_true(object->endpoints[2].epoch > before[1]);
	assert_true(object->endpoints[1].epoch != object->endpoints[2].epoch);
}

/* Flows remember whether their packets are to be marked. */
static void an_address_that_becomes_a_service_moves_every_epoch(void **state)
{
	const uint32_t ip = ip4("10.96.0.1");
	struct bh_identity identity;
	uint64_t epoch = 0;

	put_endpoint(1, BH_PROGRAM_NONE);
	for (int i = 0; i < 4; i++) {
		struct update *update = update_new(1, true);

		add_address(update, "10.96.0.1", 5, 50);
		update->wire.addresses[0]->service = i == 1 || i == 2;
		apply(update, 1, (const uint32_t[]){BH_PROGRAM_NONE});
		assert_int_equal(
			bpf_map_lookup_elem(object->map[BH_MAP_bh_addr4], &ip, &identity), 0);
		assert_int_equal(identity.flags, i == 1 || i == 2 ? BH_IDENTITY_SERVICE : 0);
		/* 0, 1 and 3 change something; 2 does not. */
		if (i == 2)
			assert_int_equal(object->endpoints[1].epoch, epoch);
		else
			assert_true(object->endpoints[1].epoch > epoch);
		epoch = object->endpoints[1].epoch;
	}
}

/* Killed between the last address and the epochs: what is compared shows no difference any more. */
static void the_update_after_one_cut_short_moves_every_epoch(void **state)
{
	const uint32_t programs[] = {P1};
	uint64_t epoch = 0;

	put_endpoint(1, P1);
	for (int i = 0; i < 3; i++) {
		struct update *update = update_new(1, true);

		add_address(update, "10.0.0.1", 5, 50);
		add_simple_program(update, P1, 5, 1);
		if (i == 1)
			bh_object_set_flags(object, BH_CONFIG_UPDATING, 0);
		apply(update, 1, programs);
		if (i == 1)
			assert_true(object->endpoints[1].epoch > epoch);
		if (i == 2)
			assert_int_equal(object->endpoints[1].epoch, epoch);
		epoch = object->endpoints[1].epoch;
	}
}

/* Its process may have died of anything: the configuration is what lasts. */
static void an_update_that_fails_is_known_as_one_cut_short(void **state)
{
	struct update *update = update_new(1, true);
	struct bh_change *change;
	struct bh_plan *plan = NULL;
	struct bh_why why = {};
	int map = object->map[BH_MAP_bh_addr4];

	add_address(update, "10.0.0.1", 5, 50);
	change = change_of(update);
	assert_int_equal(bh_tables_plan(&tables, change, NULL, 0, &plan, &why), 0);
	object->map[BH_MAP_bh_addr4] = -1;
	assert_true(bh_tables_apply(&tables, plan, &why) < 0);
	object->map[BH_MAP_bh_addr4] = map;
	assert_true(tables.dirty);
	assert_true(object->config->flags & BH_CONFIG_UPDATING);
	bh_plan_free(plan);
	bh_change_free(change);
}

static void nothing_judged_before_a_change_is_recalled_after_it(void **state)
{
	uint32_t generation;

	writes_addresses_blocks_and_programs(state);
	generation = object->config->generation;
	apply(update_new(2, false), 0, NULL);
	assert_int_not_equal(object->config->generation, generation);
}

static void a_program_change_moves_only_its_endpoint(void **state)
{
	struct update *update = update_new(1, true);
	uint64_t other;

	put_endpoint(1, BH_PROGRAM_NONE);
	put_endpoint(2, BH_PROGRAM_NONE);
	other = object->endpoints[2].epoch;
	add_simple_program(update, P1, 5, 1);
	apply(update, 2, (const uint32_t[]){P1, BH_PROGRAM_NONE});
	assert_int_equal((uint32_t)object->endpoints[1].programs, P1);
	assert_int_equal(object->endpoints[2].epoch, other);
}

static void refuses_what_does_not_fit_and_changes_nothing(void **state)
{
	struct update *update = update_new(1, true);
	struct bh_change *change;
	struct bh_plan *plan = NULL;
	struct bh_why why = {};

	for (uint32_t i = 0; i < 1100; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 256, i % 256);
		add_address(update, ip, 5, 0);
	}
	change = change_of(update);
	assert_int_equal(bh_tables_plan(&tables, change, NULL, 0, &plan, &why), -ENOSPC);
	assert_non_null(strstr(why.text, "bh_addr4 needs room for 1100 entries"));
	assert_int_equal(class_in_map("10.1.0.0"), UINT32_MAX);
	bh_change_free(change);
}

static void local_addresses_keep_their_slot_through_changes(void **state)
{
	struct update *update = update_new(1, true);
	uint32_t ip = ip4("10.0.0.1"), generation;
	struct bh_identity identity;

	add_address(update, "10.0.0.1", 5, 50);
	apply(update, 0, NULL);
	generation = object->config->generation;
	assert_int_equal(bh_tables_set_local(&tables, 4, &ip, 9), 0);
	assert_int_not_equal(object->config->generation, generation);
	update = update_new(2, true);
	add_address(update, "10.0.0.1", 6, 50);
	apply(update, 0, NULL);
	bpf_map_lookup_elem(object->map[BH_MAP_bh_addr4], &ip, &identity);
	assert_int_equal(identity.class, 6);
	assert_int_equal(identity.slot, 9);
	assert_int_equal(bh_tables_set_local(&tables, 4, &ip, 0), 0);
	bpf_map_lookup_elem(object->map[BH_MAP_bh_addr4], &ip, &identity);
	assert_int_equal(identity.slot, 0);
}

static void a_restart_reads_back_what_is_in_force(void **state)
{
	const uint32_t programs[] = {P1};
	uint64_t epoch = 0;

	put_endpoint(1, P1);
	for (int start = 0; start < 2; start++) {
		struct update *update = update_new(1, true);
		Bulkhead__Wire__ProgramEntry *entry;

		add_address(update, "10.0.0.1", 5, 50);
		add_address(update, "2001:db8::1", 6, 60);
		add_block(update, "10.0.0.0", 8, 7);
		add_block(update, "2001:db8::", 32, 8);
		entry = add_entry(add_program(update, P1), false, 5);
		for (uint32_t i = 0; i < 9; i++)
			add_rule(entry, 6, i * 100 + 3, i * 100 + 77, i);
		add_rule(entry, 0, 0, 65535, 99);
		apply(update, 1, programs);
		if (start)
			break;
		epoch = object->endpoints[1].epoch;
		bh_tables_close(&tables);
		bh_object_free(object);
		open_all(state);
		assert_false(object->fresh);
	}
	assert_int_equal(object->endpoints[1].epoch, epoch);
	assert_int_equal(object->config->epoch, epoch);
}

static void a_program_left_half_written_is_written_anew(void **state)
{
	struct bh_policy_key stale = {.program = P1, .class_dir = 66};
	struct bh_policy policy = {.n_rules = 1};
	struct update *update = update_new(1, true);

	bpf_map_update_elem(object->map[BH_MAP_bh_policies], &stale, &policy, BPF_ANY);
	assert_int_equal(bh_tables_recover(&tables, NULL), 0);
	add_simple_program(update, P1, 5, 1);
	apply(update, 0, NULL);
	assert_int_equal(policies(), 1);
	assert_true(bpf_map_lookup_elem(object->map[BH_MAP_bh_policies], &stale, &policy) < 0);
}

/* ---- What a packet may meet on the way ------------------------------------------------------ */

/*
 * Two worlds. Classes and programs change together: 10.0.0.1 is of a class that is split, .2 of
 * one that is merged, .3 loses its entry to a block, .4 gains one, 10.9/16 changes as a block.
 * Endpoint 1 goes from P1 to P2, endpoint 2 stays with P3, endpoint 3 goes from P1 to P3, which is
 * in force.
 */
static const struct {
	const char *ip;
	uint32_t rule[3][2]; /* by endpoint: in world 0, in world 1 */
} expected[] = {
	{"10.0.0.1", {{110, 220}, {310, 320}, {110, 320}}},
	{"10.0.0.5", {{110, 230}, {310, 399}, {110, 399}}},
	{"10.0.0.2", {{111, 220}, {399, 320}, {111, 320}}},
	{"10.9.0.3", {{110, 212}, {310, 312}, {110, 312}}},
	{"10.9.0.4", {{111, 220}, {399, 320}, {111, 320}}},
	{"10.9.0.9", {{111, 212}, {399, 312}, {111, 312}}},
	{"10.77.0.1", {{199, 299}, {399, 399}, {199, 399}}},
};
#define EXPECTED (sizeof(expected) / sizeof(expected[0]))

static struct update *world_update(int world)
{
	struct update *update = update_new(1, true);
	Bulkhead__Wire__Program *program;

	add_address(update, "10.0.0.1", world ? 20 : 10, 1);
	add_address(update, "10.0.0.5", world ? 30 : 10, 1);
	add_address(update, "10.0.0.2", world ? 20 : 11, 1);
	if (!world)
		add_address(update, "10.9.0.3", 10, 1);
	if (world)
		add_address(update, "10.9.0.4", 20, 1);
	add_block(update, "10.9.0.0", 16, world ? 12 : 11);
	program = add_program(update, P3);
	add_rule(add_entry(program, false, 10), 6, 0, 65535, 310);
	add_rule(add_entry(program, false, 20), 6, 0, 65535, 320);
	add_rule(add_entry(program, false, 12), 6, 0, 65535, 312);
	add_rule(add_entry(program, false, BH_CLASS_ANY), 6, 0, 65535, 399);
	program = add_program(update, world ? P2 : P1);
	if (world) {
		add_rule(add_entry(program, false, 20), 6, 0, 65535, 220);
		add_rule(add_entry(program, false, 30), 6, 0, 65535, 230);
		add_rule(add_entry(program, false, 12), 6, 0, 65535, 212);
	} else {
		add_rule(add_entry(program, false, 10), 6, 0, 65535, 110);
		add_rule(add_entry(program, false, 11), 6, 0, 65535, 111);
	}
	add_rule(add_entry(program, false, BH_CLASS_ANY), 6, 0, 65535, world ? 299 : 199);
	return update;
}

struct watcher {
	volatile bool stop;
	uint64_t looks;
	char wrong[256];
};

static uint32_t rule_of(uint32_t program, uint32_t class)
{
	struct bh_policy_key key = {.program = program, .class_dir = class};
	struct bh_policy policy;
	int fd = object->map[BH_MAP_bh_policies];

	if (bpf_map_lookup_elem(fd, &key, &policy) == 0)
		return policy.rules[0].rule;
	key.class_dir = BH_CLASS_ANY;
	return bpf_map_lookup_elem(fd, &key, &policy) == 0 ? policy.rules[0].rule : 0;
}

static uint32_t class_or_none(const char *ip)
{
	uint32_t class = class_in_map(ip);

	return class == UINT32_MAX ? BH_CLASS_NONE : class;
}

/*
 * As the programs look: endpoint, then class, then policy. They are protected by RCU while they do
 * so; we are not, so a look during which something moved does not count.
 */
static void look(struct watcher *watcher, uint32_t slot, size_t i)
{
	uint64_t programs = __atomic_load_n(&object->endpoints[slot].programs, __ATOMIC_SEQ_CST);
	uint32_t class = class_or_none(expected[i].ip);
	uint32_t rule = rule_of((uint32_t)programs, class);
	const uint32_t *right = expected[i].rule[slot - 1];

	if (programs != __atomic_load_n(&object->endpoints[slot].programs, __ATOMIC_SEQ_CST) ||
		class != class_or_none(expected[i].ip))
		return;
	watcher->looks++;
	if (rule != right[0] && rule != right[1] && !watcher->wrong[0])
		snprintf(watcher->wrong, sizeof(watcher->wrong),
			"endpoint %u, %s: class 0x%x, program 0x%x: rule %u, not %u or %u", slot,
			expected[i].ip, class, (uint32_t)programs, rule, right[0], right[1]);
}

static void *watch(void *arg)
{
	struct watcher *watcher = arg;

	while (!watcher->stop) {
		for (uint32_t slot = 1; slot <= 3; slot++) {
			for (size_t i = 0; i < EXPECTED; i++)
				look(watcher, slot, i);
		}
	}
	return NULL;
}

static void no_packet_meets_half_a_change(void **state)
{
	const uint32_t programs[2][3] = {{P1, P3, P1}, {P2, P3, P3}};
	struct watcher watcher = {};
	pthread_t thread;

	put_endpoint(1, BH_PROGRAM_NONE);
	put_endpoint(2, BH_PROGRAM_NONE);
	put_endpoint(3, BH_PROGRAM_NONE);
	apply(world_update(0), 3, programs[0]);
	assert_int_equal(pthread_create(&thread, NULL, watch, &watcher), 0);
	for (int round = 1; round <= 40; round++) {
		apply(world_update(round % 2), 3, programs[round % 2]);
		/* Nothing is left of what was only there for the change. */
		assert_int_equal(policies(), round % 2 ? 8 : 7);
		for (uint32_t slot = 1; slot <= 3; slot++)
			assert_int_equal((uint32_t)object->endpoints[slot].programs,
				programs[round % 2][slot - 1]);
	}
	watcher.stop = true;
	pthread_join(thread, NULL);
	if (watcher.wrong[0])
		fail_msg("%s (after %lu looks)", watcher.wrong, (unsigned long)watcher.looks);
	assert_true(watcher.looks > 1000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_all, close_all)
	const struct CMUnitTest tests[] = {
		TEST(writes_addresses_blocks_and_programs),
		TEST(a_full_update_removes_what_it_does_not_name),
		TEST(a_delta_changes_only_what_it_names),
		TEST(spilled_entries_come_and_go_whole),
		TEST(the_same_again_moves_no_epoch),
		TEST(any_class_change_moves_every_epoch),
		TEST(an_address_that_becomes_a_service_moves_every_epoch),
		TEST(the_update_after_one_cut_short_moves_every_epoch),
		TEST(an_update_that_fails_is_known_as_one_cut_short),
		TEST(a_program_change_moves_only_its_endpoint),
		TEST(refuses_what_does_not_fit_and_changes_nothing),
		TEST(local_addresses_keep_their_slot_through_changes),
		TEST(a_restart_reads_back_what_is_in_force),
		TEST(nothing_judged_before_a_change_is_recalled_after_it),
		TEST(a_program_left_half_written_is_written_anew),
		TEST(no_packet_meets_half_a_change),
	};

	need_root();
	return cmocka_run_group_tests_name("tables", tests, node_setup, node_teardown);
}
