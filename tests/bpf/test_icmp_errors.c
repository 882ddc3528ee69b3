/* SPDX-License-Identifier: Apache-2.0 */

/* An ICMP error passes only for a flow that is there and is allowed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

#define WHOLE 28 /* of the packet it is about: the IPv4 header and 8 bytes */
#define WHOLE6 48

/* web → remote:53 is there, and all that web may do. */
static struct frame asked(int family)
{
	struct frame question = udp(family, &web, 5000, &remote, 53);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	from_pod(&web, &question);
	return question;
}

static void error_about_the_pods_flow_passes(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	expect(to_pod(&web, &error), ICMP_ERROR);
}

static void icmpv6_error_about_the_pods_flow_passes(void **state)
{
	struct frame question = asked(6), error = icmp_error(&world, &web, &question, WHOLE6);

	expect(to_pod(&web, &error), ICMP_ERROR);
}

static void every_kind_of_error_passes(void **state)
{
	static const uint8_t types4[] = {3, 11, 12}, types6[] = {1, 2, 3, 4};
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	for (size_t i = 0; i < sizeof(types4); i++) {
		frame_set8(&error, L4, 0, types4[i]);
		expect(to_pod(&web, &error), ICMP_ERROR);
	}
	question = udp(6, &web, 5000, &remote, 53);
	from_pod(&web, &question);
	error = icmp_error(&world, &web, &question, WHOLE6);
	for (size_t i = 0; i < sizeof(types6); i++) {
		frame_set8(&error, L4, 0, types6[i]);
		expect(to_pod(&web, &error), ICMP_ERROR);
	}
}

static void error_about_an_established_connection_passes(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK);
	struct frame error = icmp_error(&world, &web, &data, WHOLE);

	handshake(4, &web, 40000, &db, 80);
	expect(to_pod(&web, &error), ICMP_ERROR);
	assert_int_equal(flow_of(&data, NULL), SETTLED);
}

static void error_about_an_echo_passes(void **state)
{
	struct frame request = echo(4, &web, &remote, 8, 5);
	struct frame error = icmp_error(&world, &web, &request, WHOLE);

	from_pod(&web, &request);
	expect(to_pod(&web, &error), ICMP_ERROR);
}

static void pod_reports_what_it_received(void **state)
{
	struct frame in = udp(4, &remote, 5000, &web, 99);
	struct frame error = icmp_error(&web, &remote, &in, WHOLE);

	allow(PROGRAM, BH_INGRESS, remote.class, 17, 99, 99, 1);
	enforce(&web, PROGRAM);
	expect(to_pod(&web, &in), POLICY);
	expect(from_pod(&web, &error), ICMP_ERROR);
}

static void error_passes_both_hooks_between_pods(void **state)
{
	struct frame in = udp(4, &web, 5000, &db, 99), error = icmp_error(&db, &web, &in, WHOLE);

	expect(between(&web, &db, &in), NOT_ISOLATED);
	expect(between(&db, &web, &error), ICMP_ERROR);
}

static void packet_too_big_about_a_fragment_passes(void **state)
{
	struct frame f = ip(6, &web, &remote), error;

	asked(6);
	frame_fragment(&f, 1, 0, 1);
	frame_udp(&f, 5000, 53);
	frame_zeros(&f, 32);
	error = icmp_error(&world, &web, &f, 40 + 8 + 8);
	frame_set8(&error, L4, 0, 2);
	expect(to_pod(&web, &error), ICMP_ERROR);
}

static void error_neither_counts_nor_moves_the_flow(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);
	struct bh_flow before, after;

	flow_of(&question, &before);
	to_pod(&web, &error);
	flow_of(&question, &after);
	assert_memory_equal(&before, &after, sizeof(before));
}

/* ---- What does not pass ---- */

static void error_about_no_flow_is_dropped(void **state)
{
	struct frame never = udp(4, &web, 5001, &remote, 53);
	struct frame error = icmp_error(&world, &web, &never, WHOLE);

	asked(4);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_about_a_denied_packet_is_dropped(void **state)
{
	struct frame denied = udp(4, &web, 5000, &remote, 54);
	struct frame error = icmp_error(&world, &web, &denied, WHOLE);

	asked(4);
	expect(from_pod(&web, &denied), ISOLATED);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_about_the_other_direction_is_dropped(void **state)
{
	struct frame reply = udp(4, &remote, 53, &web, 5000), error;

	/* As if web had to be told about what it received. */
	asked(4);
	error = icmp_error(&world, &web, &reply, WHOLE);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_for_another_than_the_sender_is_dropped(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &db, &question, WHOLE);

	expect(to_pod(&db, &error), ICMP_NO_FLOW);
}

static void cut_error(size_t length)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, length);

	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_without_the_ports_is_dropped(void **state)
{
	cut_error(24);
}

static void error_with_half_an_ip_header_is_dropped(void **state)
{
	cut_error(12);
}

static void error_about_nothing_is_dropped(void **state)
{
	cut_error(0);
}

static void icmpv6_error_without_the_ports_is_dropped(void **state)
{
	struct frame question = asked(6), error = icmp_error(&world, &web, &question, 44);

	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_with_a_lying_inner_header_is_dropped(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	frame_set8(&error, L4, 8, 0x4f);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
	frame_set8(&error, L4, 8, 0x65);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_about_a_later_fragment_is_dropped(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	frame_set16(&error, L4, 8 + 6, 185);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_about_an_error_is_dropped(void **state)
{
	struct frame question = asked(4), inner = icmp_error(&web, &remote, &question, WHOLE);
	struct frame error = icmp_error(&remote, &web, &inner, 56);

	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_about_an_expired_flow_is_dropped(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	flow_age(&question, 3600);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void error_about_a_dead_pods_flow_is_dropped(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	reborn(&web);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void pod_may_not_report_anothers_flow(void **state)
{
	struct frame in = udp(4, &remote, 5000, &web, 99), error;

	to_pod(&web, &in);
	error = icmp_error(&third, &remote, &in, WHOLE);
	expect(from_pod(&third, &error), ICMP_NO_FLOW);
}

static void pod_may_not_invent_an_error(void **state)
{
	struct frame never = udp(4, &db, 5000, &web, 99), error;

	error = icmp_error(&web, &db, &never, WHOLE);
	expect(from_pod(&web, &error), ICMP_NO_FLOW);
}

static void forged_error_is_forged_first(void **state)
{
	struct frame question = asked(4), error = icmp_error(&remote, &web, &question, WHOLE);

	memcpy(error.data + 6, third.mac, 6);
	expect(from_pod(&third, &error), SPOOFED_IP);
}

static void error_in_pieces_is_dropped(void **state)
{
	struct frame question = asked(4), error = icmp_error(&world, &web, &question, WHOLE);

	frame_fragment(&error, 7, 0, 1);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

static void nodes_own_error_passes(void **state)
{
	struct frame never = udp(4, &web, 5001, &remote, 53);
	struct frame error = icmp_error(&node, &web, &never, WHOLE);

	enforce(&web, PROGRAM);
	expect(from_node(&web, &error), NODE);
	expect(to_pod(&web, &error), ICMP_NO_FLOW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(error_about_the_pods_flow_passes),
		bed_test(icmpv6_error_about_the_pods_flow_passes),
		bed_test(every_kind_of_error_passes),
		bed_test(error_about_an_established_connection_passes),
		bed_test(error_about_an_echo_passes),
		bed_test(pod_reports_what_it_received),
		bed_test(error_passes_both_hooks_between_pods),
		bed_test(packet_too_big_about_a_fragment_passes),
		bed_test(error_neither_counts_nor_moves_the_flow),
		bed_test(error_about_no_flow_is_dropped),
		bed_test(error_about_a_denied_packet_is_dropped),
		bed_test(error_about_the_other_direction_is_dropped),
		bed_test(error_for_another_than_the_sender_is_dropped),
		bed_test(error_without_the_ports_is_dropped),
		bed_test(error_with_half_an_ip_header_is_dropped),
		bed_test(error_about_nothing_is_dropped),
		bed_test(icmpv6_error_without_the_ports_is_dropped),
		bed_test(error_with_a_lying_inner_header_is_dropped),
		bed_test(error_about_a_later_fragment_is_dropped),
		bed_test(error_about_an_error_is_dropped),
		bed_test(error_about_an_expired_flow_is_dropped),
		bed_test(error_about_a_dead_pods_flow_is_dropped),
		bed_test(pod_may_not_report_anothers_flow),
		bed_test(pod_may_not_invent_an_error),
		bed_test(forged_error_is_forged_first),
		bed_test(error_in_pieces_is_dropped),
		bed_test(nodes_own_error_passes),
	};

	return cmocka_run_group_tests_name("ICMP errors", tests, bed_setup, bed_teardown);
}
