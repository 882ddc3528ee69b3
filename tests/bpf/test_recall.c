/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What was judged a moment ago is recalled for the next flow like it: that it is, and that nothing
 * is recalled that would be judged otherwise now. Each flow here has a port of its own at the
 * opener's end.
 */

#include <bpf/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(5)

static uint16_t next_port;

static struct frame opening(int family, const struct party *from, const struct party *to)
{
	return tcp(family, from, 20000 + next_port++, to, 80, SYN);
}

static struct outcome opens(int family, const struct party *from, const struct party *to)
{
	struct frame f = opening(family, from, to);

	return from_pod(from, &f);
}

/* Empties the table of the program's answers behind everybody's back. */
static void forget_policy(uint32_t class)
{
	const struct bh_policy_key key = {
		.program = PROGRAM, .class_dir = class | BH_POLICY_EGRESS};

	assert_int_equal(bpf_map_delete_elem(bed_map("bh_policies"), &key), 0);
}

static void web_may_reach(const struct party *peer)
{
	allow(PROGRAM, BH_EGRESS, peer->class, 6, 80, 80, 7);
	enforce(&web, PROGRAM);
}

/* ---- It is ---- */

static void the_next_flow_asks_no_policy(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		bed_reset(NULL);
		web_may_reach(&remote);
		expect(opens(family, &web, &remote), POLICY);
		forget_policy(remote.class);
		expect(opens(family, &web, &remote), POLICY);
		/* … until something has changed. */
		configure_anew();
		expect(opens(family, &web, &remote), ISOLATED);
	}
}

static void the_next_refusal_asks_no_policy(void **state)
{
	const struct bh_policy_key key = {
		.program = PROGRAM, .class_dir = remote.class | BH_POLICY_EGRESS};
	const struct bh_policy policy = {
		.n_rules = 1, .rules = {{.protocol = 6, .port_lo = 80, .port_hi = 80, .rule = 7}}};

	enforce(&web, PROGRAM);
	expect(opens(4, &web, &remote), ISOLATED);
	assert_int_equal(bpf_map_update_elem(bed_map("bh_policies"), &key, &policy, 0), 0);
	expect(opens(4, &web, &remote), ISOLATED);
	configure_anew();
	expect(opens(4, &web, &remote), POLICY);
}

static void every_one_is_counted_and_told(void **state)
{
	struct bh_edge_key key = {.local = web.workload,
		.remote = remote.workload,
		.port = 80,
		.protocol = 6,
		.direction = BH_EGRESS,
		.verdict = BH_REASON_POLICY,
		.pending = BH_REASON_POLICY,
		.family = 4};
	struct bh_edge edge;
	struct bh_edge_ref ref;

	web_may_reach(&remote);
	for (int i = 0; i < 5; i++) {
		struct outcome outcome = opens(4, &web, &remote);

		expect(outcome, POLICY);
		assert_int_equal(outcome.n_events, 1);
		assert_int_equal(outcome.event[0].type, BH_EVENT_NEW);
		assert_int_equal(outcome.event[0].rule, 7);
		assert_int_equal(outcome.event[0].class, remote.class);
		assert_int_equal(outcome.event[0].remote, remote.workload);
	}
	assert_true(edge_find(&key, &edge, &ref));
	assert_int_equal(edge.flows, 5);
	assert_int_equal(edge.packets[0], 5);
	assert_int_equal(flow_count(4, HALF_OPEN), 5);
}

static void every_refusal_is_counted_and_told(void **state)
{
	enforce(&web, PROGRAM);
	for (int i = 0; i < 5; i++) {
		struct outcome outcome = opens(4, &web, &remote);

		expect(outcome, ISOLATED);
		assert_int_equal(outcome.n_events, 1);
		assert_int_equal(outcome.event[0].type, BH_EVENT_DENIED);
	}
	assert_int_equal(flow_count(4, HALF_OPEN), 0);
}

static void what_a_dry_run_would_deny_is_told_each_time(void **state)
{
	use(&web, BH_PROGRAM_OPEN, PROGRAM);
	for (int i = 0; i < 3; i++) {
		struct outcome outcome = opens(4, &web, &remote);

		expect(outcome, OPEN);
		assert_int_equal(outcome.event[0].type, BH_EVENT_WOULD_DENY);
		assert_int_equal(outcome.event[0].pending, BH_REASON_ISOLATED);
	}
}

static void packets_to_a_service_are_marked_each_time(void **state)
{
	const struct party service = {.name = "service",
		.ip4 = {10, 96, 0, 1},
		.ip6 = {0xfd, 0x96, [15] = 1},
		.class = 77,
		.workload = 78};

	identify_service(&service);
	for (int i = 0; i < 3; i++) {
		struct frame f = opening(4, &web, &service);
		uint32_t mark;

		expect(marked_from_pod(&web, &f, 0, &mark), NOT_ISOLATED);
		assert_int_equal(mark, BH_TAG | web.slot);
	}
}

/* ---- It is not ---- */

static void another_epoch_is_judged_anew(void **state)
{
	web_may_reach(&remote);
	expect(opens(4, &web, &remote), POLICY);
	forget_policy(remote.class);
	move_epoch(&web);
	expect(opens(4, &web, &remote), ISOLATED);
}

static void another_peer_at_the_address_is_judged_anew(void **state)
{
	web_may_reach(&remote);
	expect(opens(4, &web, &remote), POLICY);
	identify(&remote, db.class, db.workload);
	expect(opens(4, &web, &remote), ISOLATED);
}

static void another_pod_at_the_interface_is_judged_anew(void **state)
{
	web_may_reach(&remote);
	expect(opens(4, &web, &remote), POLICY);
	forget_policy(remote.class);
	reborn(&web);
	expect(opens(4, &web, &remote), ISOLATED);
}

static void a_held_interface_lets_nothing_pass(void **state)
{
	expect(opens(4, &web, &remote), NOT_ISOLATED);
	forget_interface(&web);
	expect(opens(4, &web, &remote), NO_ENDPOINT);
}

static void another_port_is_judged_by_itself(void **state)
{
	struct frame other = tcp(4, &web, 20000, &remote, 81, SYN);

	web_may_reach(&remote);
	expect(opens(4, &web, &remote), POLICY);
	expect(from_pod(&web, &other), ISOLATED);
}

static void another_protocol_is_judged_by_itself(void **state)
{
	struct frame other = udp(4, &web, 20000, &remote, 80);

	web_may_reach(&remote);
	expect(opens(4, &web, &remote), POLICY);
	expect(from_pod(&web, &other), ISOLATED);
}

static void forged_addresses_are_forged_still(void **state)
{
	struct frame mac = opening(4, &web, &remote), ip = opening(4, &web, &remote);

	expect(opens(4, &web, &remote), NOT_ISOLATED);
	memcpy(mac.data + 6, third.mac, 6);
	expect(from_pod(&web, &mac), SPOOFED_MAC);
	memcpy(ip.data + ip.l3 + 12, third.ip4, 4);
	expect(from_pod(&web, &ip), SPOOFED_IP);
	expect(from_pod(&web, &ip), SPOOFED_IP);
	/* … and from another pod's interface the same frame is that pod's lie. */
	expect(opens(4, &web, &remote), NOT_ISOLATED);
	mac = opening(4, &web, &remote);
	expect(from_pod(&third, &mac), SPOOFED_MAC);
}

/* The node's own packets pass; who only wears its address, forwarded, is asked about. */
static void the_node_is_not_who_is_forwarded(void **state)
{
	struct frame own = opening(4, &node, &db), forwarded = opening(4, &node, &db);

	enforce(&db, PROGRAM);
	expect(from_node(&db, &own), NODE);
	expect(to_pod(&db, &forwarded), ISOLATED);
	own = opening(4, &node, &db);
	expect(from_node(&db, &own), NODE);
}

/* An answer without its question is asked about by who would have opened it. */
static void an_answer_is_not_a_question(void **state)
{
	struct frame question = opening(4, &remote, &web);
	struct frame answer = tcp(4, &web, 80, &remote, 20000 + next_port, SYN | ACK);

	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(to_pod(&web, &question), POLICY);
	expect(opens(4, &web, &remote), ISOLATED);
	expect(from_pod(&web, &answer), POLICY);
	expect(opens(4, &web, &remote), ISOLATED);
}

static void a_retired_edge_is_asked_for_again(void **state)
{
	struct outcome outcome;

	expect(opens(4, &web, &remote), NOT_ISOLATED);
	/* The dataplane's rounds take the edge out of the index, and say so. */
	edges_retire();
	configure_anew();
	outcome = opens(4, &web, &remote);
	expect(outcome, NOT_ISOLATED);
	assert_int_equal(edge_index_count(), 2); /* with its pair's */
}

static void a_full_flow_table_refuses_what_passed_before(void **state)
{
	web_may_reach(&remote);
	expect(opens(4, &web, &remote), POLICY);
	flows_refuse();
	expect(opens(4, &web, &remote), TABLE_FULL);
	expect(opens(4, &web, &remote), TABLE_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(the_next_flow_asks_no_policy),
		bed_test(the_next_refusal_asks_no_policy),
		bed_test(every_one_is_counted_and_told),
		bed_test(every_refusal_is_counted_and_told),
		bed_test(what_a_dry_run_would_deny_is_told_each_time),
		bed_test(packets_to_a_service_are_marked_each_time),
		bed_test(another_epoch_is_judged_anew),
		bed_test(another_peer_at_the_address_is_judged_anew),
		bed_test(another_pod_at_the_interface_is_judged_anew),
		bed_test(a_held_interface_lets_nothing_pass),
		bed_test(another_port_is_judged_by_itself),
		bed_test(another_protocol_is_judged_by_itself),
		bed_test(forged_addresses_are_forged_still),
		bed_test(the_node_is_not_who_is_forwarded),
		bed_test(an_answer_is_not_a_question),
		bed_test(a_retired_edge_is_asked_for_again),
		bed_test(a_full_flow_table_refuses_what_passed_before),
	};

	bed_sizes.marked = true;
	return cmocka_run_group_tests_name("recall", tests, bed_setup, bed_teardown);
}
