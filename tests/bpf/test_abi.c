/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A pinned map is found again by the ABI's number, and nothing else says what its bytes mean: so a
 * layout must not change while the number stays. Every field's place is hashed here; whoever
 * changes one takes a new BH_ABI and adds its hash.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bulkhead/abi.h"
#include "bulkhead/maps.h"

static const struct {
	uint32_t abi;
	uint64_t hash;
} known[] = {
	{1, 0x24a34898b717cf30},
	{2, 0xdcd2731c8da98b5c},
	{3, 0xe27c37d2508ceb0c},
	{4, 0x0e507a419a8e5d23},
	{5, 0x75fde605c12e7b3d},
};

/* One line per field: "name offset size". */
struct field {
	const char *name;
	size_t offset;
	size_t size;
};

#define TYPE(type)                            \
	{                                     \
#type, 0, sizeof(struct type) \
	}
#define FIELD(type, field)                                      \
	{                                                       \
#type "." #field, offsetof(struct type, field), \
			sizeof(((struct type *)NULL)->field)    \
	}
#define NUMBER(name)           \
	{                      \
#name, name, 0 \
	}

static const struct field fields[] = {
	TYPE(bh_config),
	FIELD(bh_config, abi),
	FIELD(bh_config, flags),
	FIELD(bh_config, hz),
	FIELD(bh_config, generation),
	FIELD(bh_config, epoch),
	FIELD(bh_config, timeout),
	FIELD(bh_config, deny_rate),
	FIELD(bh_config, deny_burst),
	FIELD(bh_config, flow_seed),
	FIELD(bh_config, flow_mask4),
	FIELD(bh_config, flow_mask6),
	TYPE(bh_endpoint),
	FIELD(bh_endpoint, programs),
	FIELD(bh_endpoint, epoch),
	FIELD(bh_endpoint, ifindex),
	FIELD(bh_endpoint, mac),
	FIELD(bh_endpoint, n_addr4),
	FIELD(bh_endpoint, n_addr6),
	FIELD(bh_endpoint, workload),
	FIELD(bh_endpoint, flags),
	FIELD(bh_endpoint, addr4),
	FIELD(bh_endpoint, addr6),
	FIELD(bh_endpoint, born),
	TYPE(bh_iface),
	FIELD(bh_iface, slot),
	FIELD(bh_iface, flags),
	TYPE(bh_identity),
	FIELD(bh_identity, class),
	FIELD(bh_identity, workload),
	FIELD(bh_identity, slot),
	TYPE(bh_prefix4),
	FIELD(bh_prefix4, bits),
	FIELD(bh_prefix4, addr),
	TYPE(bh_prefix6),
	FIELD(bh_prefix6, bits),
	FIELD(bh_prefix6, addr),
	TYPE(bh_policy_key),
	FIELD(bh_policy_key, program),
	FIELD(bh_policy_key, class_dir),
	TYPE(bh_rule),
	FIELD(bh_rule, protocol),
	FIELD(bh_rule, flags),
	FIELD(bh_rule, port_lo),
	FIELD(bh_rule, port_hi),
	FIELD(bh_rule, rule),
	TYPE(bh_policy),
	FIELD(bh_policy, n_rules),
	FIELD(bh_policy, flags),
	FIELD(bh_policy, rules),
	TYPE(bh_spill_key),
	FIELD(bh_spill_key, bits),
	FIELD(bh_spill_key, program),
	FIELD(bh_spill_key, class_dir),
	FIELD(bh_spill_key, protocol),
	FIELD(bh_spill_key, port),
	TYPE(bh_spill),
	FIELD(bh_spill, rule),
	FIELD(bh_spill, flags),
	TYPE(bh_flow_key4),
	FIELD(bh_flow_key4, addr),
	FIELD(bh_flow_key4, port),
	FIELD(bh_flow_key4, protocol),
	FIELD(bh_flow_key4, used),
	TYPE(bh_flow_key6),
	FIELD(bh_flow_key6, addr),
	FIELD(bh_flow_key6, port),
	FIELD(bh_flow_key6, protocol),
	FIELD(bh_flow_key6, used),
	TYPE(bh_leg),
	FIELD(bh_leg, epoch),
	FIELD(bh_leg, edge),
	FIELD(bh_leg, slot),
	FIELD(bh_leg, reason),
	FIELD(bh_leg, flags),
	TYPE(bh_flow),
	FIELD(bh_flow, leg),
	FIELD(bh_flow, seen),
	FIELD(bh_flow, state),
	FIELD(bh_flow, opener),
	FIELD(bh_flow, flags),
	FIELD(bh_flow, talk),
	FIELD(bh_flow, octets),
	FIELD(bh_flow, packets),
	FIELD(bh_flow, packets_high),
	FIELD(bh_flow, rule),
	FIELD(bh_flow, pending_rule),
	FIELD(bh_flow, started),
	FIELD(bh_flow, start),
	FIELD(bh_flow, trip),
	FIELD(bh_flow, pending),
	FIELD(bh_flow, looks),
	TYPE(bh_flow4),
	FIELD(bh_flow4, key),
	FIELD(bh_flow4, flow),
	TYPE(bh_flow6),
	FIELD(bh_flow6, key),
	FIELD(bh_flow6, flow),
	TYPE(bh_flow_set),
	FIELD(bh_flow_set, tag),
	FIELD(bh_flow_set, least),
	FIELD(bh_flow_set, settled),
	TYPE(bh_flow_request),
	FIELD(bh_flow_request, op),
	FIELD(bh_flow_request, family),
	FIELD(bh_flow_request, at),
	FIELD(bh_flow_request, key),
	FIELD(bh_flow_request, flow),
	TYPE(bh_fragment_key),
	FIELD(bh_fragment_key, src),
	FIELD(bh_fragment_key, dst),
	FIELD(bh_fragment_key, id),
	FIELD(bh_fragment_key, ifindex),
	FIELD(bh_fragment_key, protocol),
	FIELD(bh_fragment_key, hook),
	FIELD(bh_fragment_key, family),
	TYPE(bh_fragment),
	FIELD(bh_fragment, sport),
	FIELD(bh_fragment, dport),
	FIELD(bh_fragment, seen),
	FIELD(bh_fragment, protocol),
	TYPE(bh_edge_key),
	FIELD(bh_edge_key, local),
	FIELD(bh_edge_key, remote),
	FIELD(bh_edge_key, port),
	FIELD(bh_edge_key, protocol),
	FIELD(bh_edge_key, direction),
	FIELD(bh_edge_key, verdict),
	FIELD(bh_edge_key, pending),
	FIELD(bh_edge_key, flags),
	FIELD(bh_edge_key, family),
	TYPE(bh_edge_ref),
	FIELD(bh_edge_ref, slot),
	FIELD(bh_edge_ref, rule),
	FIELD(bh_edge_ref, pending_rule),
	FIELD(bh_edge_ref, ports),
	TYPE(bh_edge),
	FIELD(bh_edge, packets),
	FIELD(bh_edge, octets),
	FIELD(bh_edge, flows),
	FIELD(bh_edge, resets),
	FIELD(bh_edge, first),
	FIELD(bh_edge, last),
	FIELD(bh_edge, refusals),
	FIELD(bh_edge, trips),
	FIELD(bh_edge, trip_sum),
	FIELD(bh_edge, trip_min),
	FIELD(bh_edge, trip_since),
	FIELD(bh_edge, talked),
	FIELD(bh_edge, app),
	FIELD(bh_edge, encrypted),
	FIELD(bh_edge, tls),
	TYPE(bh_hello),
	FIELD(bh_hello, type),
	FIELD(bh_hello, length),
	FIELD(bh_hello, edge),
	FIELD(bh_hello, data),
	TYPE(bh_event),
	FIELD(bh_event, time),
	FIELD(bh_event, type),
	FIELD(bh_event, reason),
	FIELD(bh_event, pending),
	FIELD(bh_event, hook),
	FIELD(bh_event, family),
	FIELD(bh_event, protocol),
	FIELD(bh_event, direction),
	FIELD(bh_event, tcp_flags),
	FIELD(bh_event, ifindex),
	FIELD(bh_event, slot),
	FIELD(bh_event, talk),
	FIELD(bh_event, tls),
	FIELD(bh_event, local),
	FIELD(bh_event, remote),
	FIELD(bh_event, class),
	FIELD(bh_event, rule),
	FIELD(bh_event, pending_rule),
	FIELD(bh_event, suppressed),
	FIELD(bh_event, trip_us),
	FIELD(bh_event, src),
	FIELD(bh_event, dst),
	FIELD(bh_event, sport),
	FIELD(bh_event, dport),
	FIELD(bh_event, ethertype),
	FIELD(bh_event, flags),
	FIELD(bh_event, packets),
	FIELD(bh_event, octets),
	FIELD(bh_event, started),
	TYPE(bh_clock),
	FIELD(bh_clock, jiffies),
	FIELD(bh_clock, monotonic),
	TYPE(bh_bucket),
	FIELD(bh_bucket, tag),
	FIELD(bh_bucket, stamp),
	FIELD(bh_bucket, tokens),
	FIELD(bh_bucket, suppressed),

	/* Numbers that are stored in maps. */
	NUMBER(BH_PROGRAM_OPEN),
	NUMBER(BH_PROGRAM_NONE),
	NUMBER(BH_PROGRAM_INGRESS_ISOLATED),
	NUMBER(BH_PROGRAM_EGRESS_ISOLATED),
	NUMBER(BH_CLASS_NONE),
	NUMBER(BH_CLASS_ANY),
	NUMBER(BH_CLASS_TRANSIENT),
	NUMBER(BH_POLICY_EGRESS),
	NUMBER(BH_POLICY_SPILLED),
	NUMBER(BH_RULE_DENY),
	NUMBER(BH_RULES_INLINE),
	NUMBER(BH_SPILL_BITS_BASE),
	NUMBER(BH_SPILL_BITS_FULL),
	NUMBER(BH_CONFIG_TRIE4),
	NUMBER(BH_CONFIG_TRIE6),
	NUMBER(BH_CONFIG_UNKNOWN_OPEN),
	NUMBER(BH_CONFIG_NO_NEW_EVENTS),
	NUMBER(BH_FLOW_NEW),
	NUMBER(BH_FLOW_SYN_RECV),
	NUMBER(BH_FLOW_ESTABLISHED),
	NUMBER(BH_FLOW_REPLIED),
	NUMBER(BH_FLOW_CLOSING),
	NUMBER(BH_FLOW_CLOSED),
	NUMBER(BH_FLOW_MIDSTREAM),
	NUMBER(BH_FLOW_FIN0),
	NUMBER(BH_FLOW_FIN1),
	NUMBER(BH_FLOW_CLOSE_SENT),
	NUMBER(BH_FLOW_SEEDED),
	NUMBER(BH_TRIP_DONE),
	NUMBER(BH_EDGE_PEER_LOCAL),
	NUMBER(BH_EDGE_PORTS_MAX),
	NUMBER(BH_EDGE_OVERFLOW),
	NUMBER(BH_HOOK_FROM_POD),
	NUMBER(BH_HOOK_TO_POD),
	NUMBER(BH_HOOK_UPLINK),
	NUMBER(BH_EVENT_NEW),
	NUMBER(BH_EVENT_CLOSED),
	NUMBER(BH_EVENT_DENIED),
	NUMBER(BH_EVENT_WOULD_DENY),
	NUMBER(BH_EVENT_HELLO),
	NUMBER(BH_COUNTER_EVENTS_LOST),
	NUMBER(BH_COUNTER_EVENTS_SUPPRESSED),
	NUMBER(BH_COUNTER_EVENTS),
	NUMBER(BH_COUNTER_EDGE_OVERFLOW),
	NUMBER(BH_COUNTER_FLOW_INSERT_FAILED),
	NUMBER(BH_COUNTER_MIDSTREAM),
	NUMBER(BH_COUNTER_REJUDGED),
	NUMBER(BH_COUNTERS),
	NUMBER(BH_BUCKETS),
};

static uint64_t fnv(uint64_t hash, const void *bytes, size_t n)
{
	const uint8_t *at = bytes;

	while (n--)
		hash = (hash ^ *at++) * 0x100000001b3;
	return hash;
}

static uint64_t layout_hash(void)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const uint64_t place[2] = {fields[i].offset, fields[i].size};

		hash = fnv(hash, fields[i].name, strlen(fields[i].name));
		hash = fnv(hash, place, sizeof(place));
	}
	return hash;
}

static void layout_changes_only_with_the_abi_number(void **state)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (known[i].abi != BH_ABI)
			continue;
		if (known[i].hash != layout_hash())
			fail_msg("ABI %d has another layout than it had: 0x%016lx. Take a new "
				 "BH_ABI and add it with this hash.",
				BH_ABI, (unsigned long)layout_hash());
		return;
	}
	fail_msg("ABI %d is not known here: add {%d, 0x%016lx}", BH_ABI, BH_ABI,
		(unsigned long)layout_hash());
}

static void every_shared_type_is_a_multiple_of_four_bytes(void **state)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		if (!strchr(fields[i].name, '.'))
			assert_int_equal(fields[i].size % 4, 0);
	}
}

static void counters_of_reasons_and_events_do_not_overlap(void **state)
{
	assert_true(BH_COUNTER_EVENTS_LOST >= BH_REASON_MAX);
	assert_int_equal(BH_COUNTER_EVENTS_SUPPRESSED - BH_COUNTER_EVENTS_LOST, BH_EVENT_TYPES);
	assert_int_equal(BH_COUNTER_EVENTS - BH_COUNTER_EVENTS_SUPPRESSED, BH_EVENT_TYPES);
	assert_int_equal(BH_COUNTER_EDGE_OVERFLOW - BH_COUNTER_EVENTS, BH_EVENT_TYPES);
}

static void map_names_fit_the_kernel(void **state)
{
	static const char *const names[] = {
#define NAME(name, entries, flags) #name,
		BH_MAPS(NAME)
#undef NAME
	};

	/* Fifteen characters, and no dot in the BPF file system. */
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		assert_true(strlen(names[i]) <= 15);
		assert_null(strchr(names[i], '.'));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout_changes_only_with_the_abi_number),
		cmocka_unit_test(every_shared_type_is_a_multiple_of_four_bytes),
		cmocka_unit_test(counters_of_reasons_and_events_do_not_overlap),
		cmocka_unit_test(map_names_fit_the_kernel),
	};

	return cmocka_run_group_tests_name("ABI", tests, NULL, NULL);
}
