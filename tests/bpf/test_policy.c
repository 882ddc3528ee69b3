/* SPDX-License-Identifier: Apache-2.0 */

/* What a compiled program says to a protocol, a port and a class. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

static struct outcome ask_tcp(uint16_t port)
{
	struct frame f = tcp(4, &web, 40000, &remote, port, SYN);

	empty_flows();
	return from_pod(&web, &f);
}

static struct outcome ask_udp(uint16_t port)
{
	struct frame f = udp(4, &web, 40000, &remote, port);

	empty_flows();
	return from_pod(&web, &f);
}

static struct outcome ask_protocol(int family, uint8_t protocol)
{
	struct frame f = ip(family, &web, &remote);

	frame_protocol(&f, protocol);
	frame_zeros(&f, 20);
	empty_flows();
	return from_pod(&web, &f);
}

static void range_has_both_its_ends(void **state)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 1000, 2000, 1);
	enforce(&web, PROGRAM);
	expect(ask_tcp(999), ISOLATED);
	expect(ask_tcp(1000), POLICY);
	expect(ask_tcp(1500), POLICY);
	expect(ask_tcp(2000), POLICY);
	expect(ask_tcp(2001), ISOLATED);
}

static void six_inline_ranges_are_all_read(void **state)
{
	for (uint16_t i = 0; i < BH_RULES_INLINE; i++)
		allow(PROGRAM, BH_EGRESS, remote.class, 6, 100 * i + 1, 100 * i + 1, 10 + i);
	enforce(&web, PROGRAM);
	for (uint16_t i = 0; i < BH_RULES_INLINE; i++) {
		struct outcome outcome = ask_tcp(100 * i + 1);

		expect(outcome, POLICY);
		assert_int_equal(outcome.event[0].rule, 10 + i);
		expect(ask_tcp(100 * i + 2), ISOLATED);
	}
}

static void protocol_of_the_range_counts(void **state)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 53, 53, 1);
	enforce(&web, PROGRAM);
	expect(ask_tcp(53), POLICY);
	expect(ask_udp(53), ISOLATED);
}

static void destination_port_decides_and_not_the_source_port(void **state)
{
	struct frame f = tcp(4, &web, 80, &remote, 40000, SYN);

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), ISOLATED);
}

static void sctp_has_ports_too(void **state)
{
	struct frame yes = sctp(4, &web, 1, &remote, 3868), no = sctp(4, &web, 1, &remote, 3869);

	allow(PROGRAM, BH_EGRESS, remote.class, 132, 3868, 3868, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &yes), POLICY);
	expect(from_pod(&web, &no), ISOLATED);
}

static void directions_are_separate(void **state)
{
	struct frame in = tcp(4, &remote, 40000, &web, 80, SYN);

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(ask_tcp(80), POLICY);
	expect(to_pod(&web, &in), ISOLATED);
}

static void direction_without_isolation_is_open(void **state)
{
	struct frame in = tcp(4, &remote, 40000, &web, 80, SYN);

	enforce(&web, ISOLATED_INGRESS(9));
	expect(ask_tcp(80), NOT_ISOLATED);
	expect(to_pod(&web, &in), ISOLATED);
	enforce(&web, ISOLATED_EGRESS(9));
	expect(ask_tcp(80), ISOLATED);
	expect(to_pod(&web, &in), NOT_ISOLATED);
}

static void programs_are_separate(void **state)
{
	allow(ISOLATED_BOTH(8), BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(ask_tcp(80), ISOLATED);
}

static void any_answers_for_classes_not_listed(void **state)
{
	allow(PROGRAM, BH_EGRESS, BH_CLASS_ANY, 6, 443, 443, 1);
	enforce(&web, PROGRAM);
	expect(ask_tcp(443), POLICY);
	expect(ask_tcp(80), ISOLATED);
}

/* A listed class has everything that applies to it; ANY is not asked behind it. */
static void any_does_not_answer_for_a_listed_class(void **state)
{
	allow(PROGRAM, BH_EGRESS, BH_CLASS_ANY, 6, 443, 443, 1);
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 2);
	enforce(&web, PROGRAM);
	expect(ask_tcp(80), POLICY);
	expect(ask_tcp(443), ISOLATED);
}

static void any_of_one_direction_is_not_the_others(void **state)
{
	allow(PROGRAM, BH_INGRESS, BH_CLASS_ANY, 6, 443, 443, 1);
	enforce(&web, PROGRAM);
	expect(ask_tcp(443), ISOLATED);
}

static void any_answers_for_the_world(void **state)
{
	struct frame f = tcp(4, &web, 40000, &world, 443, SYN);

	allow(PROGRAM, BH_EGRESS, BH_CLASS_ANY, 6, 443, 443, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), POLICY);
}

static void denying_rule_is_named(void **state)
{
	struct outcome outcome;

	deny(PROGRAM, BH_EGRESS, remote.class, 6, 22, 22, 5);
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 23, 23, 6);
	enforce(&web, PROGRAM);
	outcome = ask_tcp(22);
	expect(outcome, POLICY_DENY);
	assert_int_equal(outcome.event[0].rule, 5);
	expect(ask_tcp(23), POLICY);
}

static void range_without_a_rule_is_what_no_rule_decides(void **state)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 0, 0, 65535, BH_RULE_NONE);
	deny(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, BH_RULE_NONE);
	enforce(&web, PROGRAM);
	expect(ask_tcp(80), ISOLATED);
	expect(ask_tcp(81), NOT_ISOLATED);
}

static void every_protocol_is_asked_last(void **state)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 0, 0, 65535, 1);
	deny(PROGRAM, BH_EGRESS, remote.class, 6, 22, 22, 2);
	enforce(&web, PROGRAM);
	expect(ask_tcp(22), POLICY_DENY);
	expect(ask_tcp(80), POLICY);
	expect(ask_udp(22), POLICY);
	expect(ask_protocol(4, 47), POLICY);
}

static void protocol_without_ports_meets_whole_ranges_only(void **state)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 47, 0, 65535, 1);
	allow(PROGRAM, BH_EGRESS, remote.class, 50, 0, 65534, 2);
	allow(PROGRAM, BH_EGRESS, remote.class, 51, 1, 65535, 3);
	enforce(&web, PROGRAM);
	expect(ask_protocol(4, 47), POLICY);
	expect(ask_protocol(4, 50), ISOLATED);
	expect(ask_protocol(4, 51), ISOLATED);
	expect(ask_protocol(4, 89), ISOLATED);
}

static void tcp_rule_lets_no_other_protocol_through(void **state)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(ask_protocol(4, 47), ISOLATED);
	expect(ask_protocol(6, 50), ISOLATED);
	expect(ask_udp(1), ISOLATED);
}

static void icmp_is_a_protocol_of_its_family(void **state)
{
	struct frame four = echo(4, &web, &remote, 8, 1), six = echo(6, &web, &remote, 8, 1);

	allow(PROGRAM, BH_EGRESS, remote.class, 1, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &four), POLICY);
	expect(from_pod(&web, &six), ISOLATED);
}

/* ---- Long lists ---- */

static void spilled_port_is_found(void **state)
{
	struct outcome outcome;

	for (uint16_t i = 0; i < 40; i++)
		spill(PROGRAM, BH_EGRESS, remote.class, 6, 2 * i, 16, 100 + i, 0);
	enforce(&web, PROGRAM);
	for (uint16_t i = 0; i < 40; i += 13) {
		outcome = ask_tcp(2 * i);
		expect(outcome, POLICY);
		assert_int_equal(outcome.event[0].rule, 100 + i);
		expect(ask_tcp(2 * i + 1), ISOLATED);
	}
	expect(ask_udp(0), ISOLATED);
}

static void spilled_prefix_is_a_range(void **state)
{
	spill(PROGRAM, BH_EGRESS, remote.class, 6, 0x1000, 4, 1, 0);
	enforce(&web, PROGRAM);
	expect(ask_tcp(0x0fff), ISOLATED);
	expect(ask_tcp(0x1000), POLICY);
	expect(ask_tcp(0x1fff), POLICY);
	expect(ask_tcp(0x2000), ISOLATED);
}

static void spilled_denial_is_a_denial(void **state)
{
	spill(PROGRAM, BH_EGRESS, remote.class, 6, 0, 0, 1, 0);
	spill(PROGRAM, BH_EGRESS, remote.class, 6, 22, 16, 2, BH_RULE_DENY);
	enforce(&web, PROGRAM);
	expect(ask_tcp(22), POLICY_DENY);
	expect(ask_tcp(23), POLICY);
}

static void spilled_list_of_any_is_found(void **state)
{
	spill(PROGRAM, BH_EGRESS, BH_CLASS_ANY, 6, 8080, 16, 1, 0);
	enforce(&web, PROGRAM);
	expect(ask_tcp(8080), POLICY);
	expect(ask_tcp(8081), ISOLATED);
}

static void spilled_lists_of_others_are_not(void **state)
{
	spill(PROGRAM, BH_EGRESS, remote.class, 6, 80, 16, 1, 0);
	spill(PROGRAM, BH_EGRESS, db.class, 6, 81, 16, 1, 0);
	spill(PROGRAM, BH_INGRESS, remote.class, 6, 82, 16, 1, 0);
	spill(ISOLATED_BOTH(8), BH_EGRESS, remote.class, 6, 83, 16, 1, 0);
	enforce(&web, PROGRAM);
	expect(ask_tcp(80), POLICY);
	for (uint16_t port = 81; port <= 83; port++)
		expect(ask_tcp(port), ISOLATED);
}

static void every_protocol_is_asked_behind_the_spilled_list(void **state)
{
	spill(PROGRAM, BH_EGRESS, remote.class, 6, 22, 16, 1, BH_RULE_DENY);
	allow(PROGRAM, BH_EGRESS, remote.class, 0, 0, 65535, 2);
	enforce(&web, PROGRAM);
	expect(ask_tcp(22), POLICY_DENY);
	expect(ask_tcp(80), POLICY);
	expect(ask_protocol(4, 47), POLICY);
}

static void spilled_protocol_without_ports_needs_the_whole_range(void **state)
{
	spill(PROGRAM, BH_EGRESS, remote.class, 47, 0, 0, 1, 0);
	spill(PROGRAM, BH_EGRESS, remote.class, 50, 0, 1, 1, 0);
	enforce(&web, PROGRAM);
	expect(ask_protocol(4, 47), POLICY);
	expect(ask_protocol(4, 50), ISOLATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(range_has_both_its_ends),
		bed_test(six_inline_ranges_are_all_read),
		bed_test(protocol_of_the_range_counts),
		bed_test(destination_port_decides_and_not_the_source_port),
		bed_test(sctp_has_ports_too),
		bed_test(directions_are_separate),
		bed_test(direction_without_isolation_is_open),
		bed_test(programs_are_separate),
		bed_test(any_answers_for_classes_not_listed),
		bed_test(any_does_not_answer_for_a_listed_class),
		bed_test(any_of_one_direction_is_not_the_others),
		bed_test(any_answers_for_the_world),
		bed_test(denying_rule_is_named),
		bed_test(range_without_a_rule_is_what_no_rule_decides),
		bed_test(every_protocol_is_asked_last),
		bed_test(protocol_without_ports_meets_whole_ranges_only),
		bed_test(tcp_rule_lets_no_other_protocol_through),
		bed_test(icmp_is_a_protocol_of_its_family),
		bed_test(spilled_port_is_found),
		bed_test(spilled_prefix_is_a_range),
		bed_test(spilled_denial_is_a_denial),
		bed_test(spilled_list_of_any_is_found),
		bed_test(spilled_lists_of_others_are_not),
		bed_test(every_protocol_is_asked_behind_the_spilled_list),
		bed_test(spilled_protocol_without_ports_needs_the_whole_range),
	};

	return cmocka_run_group_tests_name("policy", tests, bed_setup, bed_teardown);
}
