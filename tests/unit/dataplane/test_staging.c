/* SPDX-License-Identifier: Apache-2.0 */

/* What an update may say, one rule of the wire at a time, and programs in the kernel's form. */

#include "tests/unit/dataplane/fixture.h"

#define IN BH_PROGRAM_INGRESS_ISOLATED

/* One wrong thing in an otherwise good update, and what the refusal must name. */
struct wrong {
	const char *name;
	void (*make)(struct update *update);
	const char *says;
};

static void short_address(struct update *u)
{
	add_address(u, "10.0.0.1", 5, 0);
	u->wire.addresses[0]->ip.len = 3;
}

static void transient_class(struct update *u)
{
	add_address(u, "10.0.0.1", BH_CLASS_TRANSIENT, 0);
}

static void any_as_address_class(struct update *u)
{
	add_address(u, "10.0.0.1", BH_CLASS_ANY, 0);
}

static void address_twice(struct update *u)
{
	add_address(u, "10.0.0.1", 5, 0);
	add_address(u, "10.0.0.1", 6, 0);
}

static void removal_in_full(struct update *u)
{
	remove_address(u, "10.0.0.1");
}

static void block_too_long(struct update *u)
{
	add_block(u, "10.0.0.0", 33, 5);
}

static void block_host_bits(struct update *u)
{
	add_block(u, "10.0.0.128", 24, 5);
}

static void block_host_bits6(struct update *u)
{
	add_block(u, "2001:db8::1", 64, 5);
}

static void builtin_program(struct update *u)
{
	add_program(u, BH_PROGRAM_NONE);
}

static void entry_not_isolated(struct update *u)
{
	add_entry(add_program(u, IN | 7), true, 5);
}

static void entry_twice(struct update *u)
{
	Bulkhead__Wire__Program *program = add_program(u, IN | 7);

	add_entry(program, false, 5);
	add_entry(program, false, 5);
}

static void protocol_too_big(struct update *u)
{
	add_rule(add_entry(add_program(u, IN | 7), false, 5), 256, 0, 65535, 1);
}

static void ports_backwards(struct update *u)
{
	add_rule(add_entry(add_program(u, IN | 7), false, 5), 6, 90, 80, 1);
}

static void port_too_big(struct update *u)
{
	add_rule(add_entry(add_program(u, IN | 7), false, 5), 6, 80, 65536, 1);
}

static void ports_without_protocol(struct update *u)
{
	add_rule(add_entry(add_program(u, IN | 7), false, 5), 0, 80, 80, 1);
}

static void ranges_overlap(struct update *u)
{
	Bulkhead__Wire__ProgramEntry *entry = add_entry(add_program(u, IN | 7), false, 5);

	add_rule(entry, 6, 80, 90, 1);
	add_rule(entry, 6, 90, 100, 2);
}

static void deferred_ingress(struct update *u)
{
	Bulkhead__Wire__ProgramEntry *entry = add_entry(add_program(u, IN | 7), false, 5);

	add_rule(entry, 6, 80, 80, 0);
	entry->rules[0]->defer = true;
}

static void deferred_denial(struct update *u)
{
	Bulkhead__Wire__ProgramEntry *entry =
		add_entry(add_program(u, BH_PROGRAM_EGRESS_ISOLATED | 7), true, 5);

	add_rule(entry, 6, 80, 80, 0);
	entry->rules[0]->defer = entry->rules[0]->deny = true;
}

static void endpoint_without_address(struct update *u)
{
	add_endpoint(u, "a", NULL, BH_PROGRAM_NONE);
}

static void endpoint_without_uid(struct update *u)
{
	add_endpoint(u, "", "10.0.0.1", BH_PROGRAM_NONE);
}

static void endpoint_with_newline(struct update *u)
{
	add_endpoint(u, "a\nb", "10.0.0.1", BH_PROGRAM_NONE);
}

static void endpoint_twice(struct update *u)
{
	add_endpoint(u, "a", "10.0.0.1", BH_PROGRAM_NONE);
	add_endpoint(u, "a", "10.0.0.2", BH_PROGRAM_NONE);
}

static void three_addresses(struct update *u)
{
	Bulkhead__Wire__Endpoint *endpoint = add_endpoint(u, "a", "10.0.0.1", BH_PROGRAM_NONE);

	UPDATE_PUSH(endpoint->ips, endpoint->n_ips, ip_bytes("10.0.0.2"));
	UPDATE_PUSH(endpoint->ips, endpoint->n_ips, ip_bytes("10.0.0.3"));
}

static void unknown_hook(struct update *u)
{
	add_endpoint(u, "a", "10.0.0.1", BH_PROGRAM_NONE)->hook = 9;
}

static void part_without_first(struct update *u)
{
	u->wire.part = 1;
}

static const struct wrong wrongs[] = {
	{"refuses_an_address_of_three_bytes", short_address, "3 bytes"},
	{"refuses_a_transient_class", transient_class, "10.0.0.1: class 0x70000000"},
	{"refuses_any_as_an_address_class", any_as_address_class, "0x7fffffff"},
	{"refuses_an_address_named_twice", address_twice, "10.0.0.1 is named twice"},
	{"refuses_removals_in_a_full_update", removal_in_full, "may not list removals"},
	{"refuses_a_prefix_longer_than_the_address", block_too_long, "10.0.0.0/33"},
	{"refuses_host_bits_in_a_block", block_host_bits, "10.0.0.128/24 has bits"},
	{"refuses_host_bits_in_an_ipv6_block", block_host_bits6, "2001:db8::1/64 has bits"},
	{"refuses_a_builtin_program", builtin_program, "program 1 is built in"},
	{"refuses_entries_where_the_number_does_not_isolate", entry_not_isolated,
		"program 0x40000007 has egress entries"},
	{"refuses_a_class_named_twice", entry_twice, "names the ingress of class 0x5 twice"},
	{"refuses_a_protocol_above_255", protocol_too_big, "protocol 256"},
	{"refuses_ports_that_run_backwards", ports_backwards, "ports 90-80"},
	{"refuses_a_port_above_65535", port_too_big, "ports 80-65536"},
	{"refuses_ports_without_a_protocol", ports_without_protocol, "without a protocol"},
	{"refuses_ranges_that_overlap", ranges_overlap, "80-90 and 90-100 of protocol 6 overlap"},
	{"refuses_to_defer_what_comes_in", deferred_ingress, "only egress can be"},
	{"refuses_what_is_both_denied_and_deferred", deferred_denial, "both denied and deferred"},
	{"refuses_an_endpoint_without_address", endpoint_without_address, "has no address"},
	{"refuses_an_endpoint_without_uid", endpoint_without_uid, "uid of 0 bytes"},
	{"refuses_control_characters_in_a_uid", endpoint_with_newline, "control character"},
	{"refuses_an_endpoint_named_twice", endpoint_twice, "endpoint a is named twice"},
	{"refuses_three_addresses_of_a_family", three_addresses, "more than 2 IPv4"},
	{"refuses_an_unknown_hook", unknown_hook, "unknown hook 9"},
	{"refuses_a_part_without_the_first", part_without_first, "without part 0"},
};
#define WRONGS (sizeof(wrongs) / sizeof(wrongs[0]))

static void refuses(void **state)
{
	const struct wrong *wrong = *state;
	struct update *update = update_new(1, true);
	struct bh_staging staging = {};
	struct bh_change *change = NULL;
	struct bh_why why = {};

	wrong->make(update);
	assert_true(stage_part(&staging, update, &change, &why) < 0);
	if (!strstr(why.text, wrong->says))
		fail_msg("'%s' does not say '%s'", why.text, wrong->says);
	assert_null(staging.change);
}

static void gathers_parts_until_the_last(void **state)
{
	struct bh_staging staging = {};
	struct bh_change *change = NULL;
	struct bh_why why = {};
	struct update *first = update_new(3, true), *second = update_new(3, true);

	add_address(first, "10.0.0.1", 5, 1);
	first->wire.last = false;
	add_address(second, "2001:db8::1", 6, 2);
	second->wire.part = 1;
	second->wire.unknown_open = true;
	assert_int_equal(stage_part(&staging, first, &change, &why), 0);
	assert_int_equal(stage_part(&staging, second, &change, &why), 1);
	assert_int_equal(change->addr4.n, 1);
	assert_int_equal(change->addr6.n, 1);
	assert_true(change->unknown_open);
	bh_change_free(change);
}

static void puts_a_program_together_from_two_parts(void **state)
{
	struct bh_staging staging = {};
	struct bh_change *change = NULL;
	struct bh_why why = {};
	struct update *first = update_new(3, true), *second = update_new(3, true);
	uint32_t number = IN | 7;

	add_simple_program(first, number, 9, 1);
	first->wire.last = false;
	add_simple_program(second, number, 5, 2);
	second->wire.part = 1;
	assert_int_equal(stage_part(&staging, first, &change, &why), 0);
	assert_int_equal(stage_part(&staging, second, &change, &why), 1);
	struct bh_program *program =
		*(struct bh_program **)bh_table_get(&change->programs, &number);

	assert_int_equal(program->n_entries, 2);
	assert_int_equal(bh_program_find(program, 5)->policy.rules[0].rule, 2);
	assert_int_equal(bh_program_find(program, 9)->policy.rules[0].rule, 1);
	bh_change_free(change);
}

static void passes_over_the_rest_of_a_refused_update(void **state)
{
	struct bh_staging staging = {};
	struct bh_change *change = NULL;
	struct bh_why why = {};
	struct update *first = update_new(3, true), *second = update_new(3, true);

	add_block(first, "10.0.0.1", 8, 5);
	first->wire.last = false;
	second->wire.part = 1;
	assert_true(stage_part(&staging, first, &change, &why) < 0);
	assert_int_equal(stage_part(&staging, second, &change, &why), 0);
	assert_int_equal(stage_part(&staging, update_new(4, true), &change, &why), 1);
	bh_change_free(change);
}

/* ---- Programs ------------------------------------------------------------------------------- */

static struct bh_entry entry_of(Bulkhead__Wire__ProgramEntry *wire)
{
	struct bh_entry entry;
	struct bh_why why = {};

	if (bh_entry_from_wire(wire, &entry, &why) < 0)
		fail_msg("%s", why.text);
	return entry;
}

static void keeps_six_ranges_inline_protocol_zero_last(void **state)
{
	struct update *update = update_new(1, true);
	Bulkhead__Wire__ProgramEntry *wire = add_entry(add_program(update, IN | 7), false, 5);

	add_rule(wire, 0, 0, 65535, 9);
	add_rule(wire, 17, 53, 53, 2);
	add_rule(wire, 6, 443, 443, 1);
	add_rule(wire, 6, 80, 80, 0);
	struct bh_entry entry = entry_of(wire);

	assert_int_equal(entry.policy.n_rules, 4);
	assert_int_equal(entry.policy.flags, 0);
	assert_int_equal(entry.policy.rules[0].port_lo, 80);
	assert_int_equal(entry.policy.rules[1].port_lo, 443);
	assert_int_equal(entry.policy.rules[2].protocol, 17);
	assert_int_equal(entry.policy.rules[3].protocol, 0);
	bh_entry_fini(&entry);
	update_free(update);
}

static void notes_the_protocols_of_which_a_port_is_denied(void **state)
{
	struct update *update = update_new(1, true);
	Bulkhead__Wire__ProgramEntry *wire = add_entry(add_program(update, IN | 7), false, 5);

	add_rule(wire, 0, 0, 65535, 9);
	add_rule(wire, 6, 80, 80, 1);
	add_rule(wire, 17, 53, 53, 2);
	wire->rules[0]->deny = wire->rules[2]->deny = true;
	struct bh_entry entry = entry_of(wire);

	assert_int_equal(entry.policy.flags, BH_POLICY_DENIES_UDP);
	bh_entry_fini(&entry);
	update_free(update);
}

/* The rule that a spilled entry gives a port, as the trie finds it; 0 = none. */
static uint32_t spilled_rule(const struct bh_entry *entry, uint8_t protocol, uint16_t port)
{
	uint32_t rule = 0;
	int best = -1;

	for (uint32_t i = 0; i < entry->n_spills; i++) {
		const struct bh_spill_item *item = &entry->spills[i];
		uint32_t mask = item->bits ? 0xffffu << (16 - item->bits) & 0xffff : 0;

		if (item->protocol != protocol || (port & mask) != item->port || item->bits <= best)
			continue;
		best = item->bits;
		rule = item->rule;
	}
	return rule;
}

static void spills_ranges_as_prefixes_that_cover_exactly_them(void **state)
{
	static const uint16_t ranges[][2] = {
		{1, 1}, {3, 1022}, {1024, 2047}, {3000, 3001}, {4096, 5000}, {65535, 65535}};
	struct update *update = update_new(1, true);
	Bulkhead__Wire__ProgramEntry *wire = add_entry(add_program(update, IN | 7), false, 5);

	for (uint32_t i = 0; i < 6; i++)
		add_rule(wire, 6, ranges[i][0], ranges[i][1], i + 1);
	add_rule(wire, 132, 0, 65535, 50);
	add_rule(wire, 0, 0, 65535, 60);
	struct bh_entry entry = entry_of(wire);

	assert_int_equal(entry.policy.flags, BH_POLICY_SPILLED);
	assert_int_equal(entry.policy.n_rules, 1);
	assert_int_equal(entry.policy.rules[0].rule, 60);
	for (uint32_t port = 0; port <= 65535; port++) {
		uint32_t wanted = 0;

		for (uint32_t i = 0; i < 6; i++) {
			if (port >= ranges[i][0] && port <= ranges[i][1])
				wanted = i + 1;
		}
		assert_int_equal(spilled_rule(&entry, 6, (uint16_t)port), wanted);
		assert_int_equal(spilled_rule(&entry, 132, (uint16_t)port), 50);
	}
	bh_entry_fini(&entry);
	update_free(update);
}

static void defers_inline_and_spilled(void **state)
{
	for (uint32_t n = 1; n <= BH_RULES_INLINE + 1; n += BH_RULES_INLINE) {
		struct update *update = update_new(1, true);
		Bulkhead__Wire__ProgramEntry *wire =
			add_entry(add_program(update, BH_PROGRAM_EGRESS_ISOLATED | 7), true, 5);
		struct bh_program *program = bh_program_new(BH_PROGRAM_EGRESS_ISOLATED | 7);
		struct bh_entry entry;

		for (uint32_t i = 0; i < n; i++)
			add_rule(wire, 6, 80 + 2 * i, 80 + 2 * i, 0);
		entry = entry_of(wire);
		assert_int_equal(bh_program_add(program, &entry), 0);
		assert_false(bh_program_defers(program));
		wire->rules[n - 1]->defer = true;
		entry = entry_of(wire);
		assert_int_equal(bh_program_add(program, &entry), 0);
		assert_true(bh_program_defers(program));
		bh_program_free(program);
		update_free(update);
	}
}

static void knows_which_addresses_are_services(void **state)
{
	struct update *update = update_new(1, true);
	const uint32_t service = ip4("10.96.0.1"), pod = ip4("10.1.0.2");
	const struct bh_staged_identity *identity;
	struct bh_change *change;

	add_address(update, "10.96.0.1", 5, 0);
	update->wire.addresses[0]->service = true;
	add_address(update, "10.1.0.2", 6, 0);
	change = change_of(update);
	identity = bh_table_get(&change->addr4, &service);
	assert_int_equal(identity->flags, BH_IDENTITY_SERVICE);
	identity = bh_table_get(&change->addr4, &pod);
	assert_int_equal(identity->flags, 0);
	bh_change_free(change);
}

static void cuts_the_worst_range_into_thirty_prefixes(void **state)
{
	struct update *update = update_new(1, true);
	Bulkhead__Wire__ProgramEntry *wire = add_entry(add_program(update, IN | 7), false, 5);

	add_rule(wire, 6, 1, 65534, 1);
	for (uint32_t protocol = 100; protocol < 106; protocol++)
		add_rule(wire, protocol, 0, 65535, protocol);
	struct bh_entry entry = entry_of(wire);

	assert_int_equal(entry.n_spills, 30 + 6);
	bh_entry_fini(&entry);
	update_free(update);
}

static void reads_a_spill_back_as_it_was_packed(void **state)
{
	const struct bh_spill_item item = {
		.protocol = 17, .bits = 12, .port = 0x1230, .rule = 7, .flags = BH_RULE_DENY};
	struct bh_spill_item back;
	struct bh_spill_key key;
	struct bh_spill value;
	uint32_t program, class_dir;

	bh_spill_pack(IN | 9, 5 | BH_POLICY_EGRESS, &item, &key, &value);
	assert_int_equal(key.bits, 84);
	bh_spill_unpack(&key, &value, &program, &class_dir, &back);
	assert_int_equal(program, IN | 9);
	assert_int_equal(class_dir, 5 | BH_POLICY_EGRESS);
	assert_memory_equal(&back, &item, sizeof(item));
}

/* ---- The hash table ------------------------------------------------------------------------- */

static void a_table_holds_what_was_put_and_not_removed(void **state)
{
	struct bh_table table;
	size_t cursor = 0, n = 0;
	const void *key;
	void *value;

	bh_table_init(&table, 4, 8);
	for (uint32_t i = 0; i < 20000; i++)
		*(uint64_t *)bh_table_put(&table, &i, NULL) = i * 3;
	for (uint32_t i = 0; i < 20000; i += 2)
		assert_true(bh_table_remove(&table, &i));
	for (uint32_t i = 0; i < 20000; i++) {
		const uint64_t *found = bh_table_get(&table, &i);

		assert_int_equal(found != NULL, i % 2);
		if (found)
			assert_int_equal(*found, i * 3);
	}
	while (bh_table_next(&table, &cursor, &key, &value))
		n++;
	assert_int_equal(n, 10000);
	bh_table_clear(&table);
}

int main(void)
{
	struct CMUnitTest tests[WRONGS + 11] = {};
	size_t n = 0;

	for (; n < WRONGS; n++)
		tests[n] = (struct CMUnitTest){
			.name = wrongs[n].name,
			.test_func = refuses,
			.initial_state = (void *)&wrongs[n],
		};
	const struct CMUnitTest others[] = {
		cmocka_unit_test(gathers_parts_until_the_last),
		cmocka_unit_test(puts_a_program_together_from_two_parts),
		cmocka_unit_test(passes_over_the_rest_of_a_refused_update),
		cmocka_unit_test(keeps_six_ranges_inline_protocol_zero_last),
		cmocka_unit_test(notes_the_protocols_of_which_a_port_is_denied),
		cmocka_unit_test(spills_ranges_as_prefixes_that_cover_exactly_them),
		cmocka_unit_test(cuts_the_worst_range_into_thirty_prefixes),
		cmocka_unit_test(defers_inline_and_spilled),
		cmocka_unit_test(knows_which_addresses_are_services),
		cmocka_unit_test(reads_a_spill_back_as_it_was_packed),
		cmocka_unit_test(a_table_holds_what_was_put_and_not_removed),
	};

	memcpy(tests + n, others, sizeof(others));
	return _cmocka_run_group_tests("staging", tests, n + 11, NULL, NULL);
}
