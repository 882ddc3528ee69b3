/* SPDX-License-Identifier: Apache-2.0 */

/* The same decision before there is an skb: on a pod, and on the uplink. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

static void xdp_and_tc_share_the_flow(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct frame syn_ack = tcp(4, &db, 80, &web, 40000, SYN | ACK);
	struct frame ack = tcp(4, &web, 40000, &db, 80, ACK);

	allow(PROGRAM, BH_EGRESS, db.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(xdp_from_pod(&web, &syn), POLICY);
	expect(to_pod(&db, &syn), NOT_ISOLATED);
	expect_known(from_pod(&db, &syn_ack));
	expect_known(to_pod(&web, &syn_ack));
	expect_known(xdp_from_pod(&web, &ack));
	assert_int_equal(flow_of(&ack, NULL), SETTLED);
	expect_known(from_pod(&web, &ack));
}

static void policy_is_the_same_through_xdp(void **state)
{
	struct frame frames[] = {
		tcp(4, &web, 40000, &remote, 80, SYN),
		tcp(4, &web, 40000, &remote, 81, SYN),
		tcp(6, &web, 40000, &remote, 80, SYN),
		tcp(4, &web, 40000, &world, 443, SYN),
		udp(4, &web, 5000, &remote, 80),
		sctp(6, &web, 5000, &remote, 80),
		echo(4, &web, &remote, 8, 1),
		echo(6, &web, &remote, 0, 2),
		tcp(4, &web, 80, &remote, 40000, SYN | ACK),
		tcp(4, &db, 80, &remote, 40000, SYN),
		arp(&web, 2, web.mac, db.ip4, remote.ip4),
		dhcp_client(4, &web, db.mac),
		neighbour(&web, &db, 136, third.ip6, 2, web.mac),
	};

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	deny(PROGRAM, BH_EGRESS, remote.class, 6, 81, 81, 2);
	allow(PROGRAM, BH_EGRESS, BH_CLASS_ANY, 6, 443, 443, 3);
	enforce(&web, PROGRAM);
	for (size_t i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		struct outcome by_tc = from_pod(&web, &frames[i]), by_xdp;

		empty_flows();
		by_xdp = xdp_from_pod(&web, &frames[i]);
		empty_flows();
		assert_int_equal(by_tc.reason, by_xdp.reason);
		assert_int_equal(by_tc.passed, by_xdp.passed);
		assert_int_equal(by_tc.edges, by_xdp.edges);
	}
}

/* ---- The uplink ---- */

static void expect_untouched(struct outcome outcome)
{
	expect_known(outcome); /* passed, and counted under no reason */
	assert_int_equal(outcome.edges, 0);
	assert_int_equal(outcome.n_events, 0);
}

static void only_port_80_from_remote(void)
{
	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
}

static void uplink_passes_what_is_for_nobody_here(void **state)
{
	struct frame node_bound = tcp(4, &remote, 40000, &node, 22, SYN);
	struct frame world_bound = tcp(6, &remote, 40000, &world, 22, SYN);

	enforce(&web, PROGRAM);
	expect_untouched(uplink(&node_bound));
	expect_untouched(uplink(&world_bound));
}

static void uplink_passes_what_it_cannot_read(void **state)
{
	struct frame broken = tcp(4, &remote, 40000, &web, 80, SYN | FIN);
	struct frame strange = tcp(4, &remote, 40000, &web, 80, SYN);
	struct frame piece = udp(4, &remote, 5000, &web, 53);
	struct frame who = arp(&remote, 1, remote.mac, remote.ip4, node.ip4);

	enforce(&web, PROGRAM);
	frame_set16(&strange, L2, 12, 0x8847);
	frame_fragment(&piece, 1, 0, 1);
	expect_untouched(uplink(&broken));
	expect_untouched(uplink(&strange));
	expect_untouched(uplink(&piece));
	expect_untouched(uplink(&who));
}

static void uplink_drops_what_the_pods_ingress_denies(void **state)
{
	struct frame syn = tcp(4, &remote, 40000, &web, 22, SYN);
	struct outcome outcome;

	only_port_80_from_remote();
	outcome = uplink(&syn);
	expect(outcome, ISOLATED);
	assert_int_equal(outcome.edges, 1);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].hook, BH_HOOK_UPLINK);
	assert_int_equal(outcome.event[0].local, web.workload);
	assert_int_equal(outcome.event[0].ifindex, web.ifindex);
}

static void uplink_drops_ipv6_and_datagrams_too(void **state)
{
	struct frame syn = tcp(6, &remote, 40000, &web, 22, SYN);
	struct frame datagram = udp(4, &remote, 40000, &web, 53);

	only_port_80_from_remote();
	expect(uplink(&syn), ISOLATED);
	expect(uplink(&datagram), ISOLATED);
}

static void packet_that_passes_the_uplink_is_counted_at_the_pod_only(void **state)
{
	struct frame syn = tcp(4, &remote, 40000, &web, 80, SYN);

	only_port_80_from_remote();
	expect_untouched(uplink(&syn));
	assert_int_equal(flow_of(&syn, NULL), NOWHERE);
	expect(to_pod(&web, &syn), POLICY);
	assert_int_equal(edges_packets(), 1);
	assert_int_equal(counter(BH_REASON_POLICY), 1);
	assert_int_equal(counter(BH_COUNTER_EVENTS + BH_EVENT_NEW), 1);
}

static void established_flow_passes_the_uplink_untouched(void **state)
{
	struct frame data = tcp(4, &remote, 40000, &web, 80, ACK | PSH);
	struct bh_flow before, after;

	only_port_80_from_remote();
	handshake(4, &remote, 40000, &web, 80);
	flow_of(&data, &before);
	expect_untouched(uplink(&data));
	flow_of(&data, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	expect_known(to_pod(&web, &data));
}

static void answer_to_the_pods_question_passes_the_uplink(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);
	struct frame answer = udp(4, &remote, 53, &web, 5000);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	expect(uplink(&answer), ISOLATED);
	from_pod(&web, &question);
	expect_untouched(uplink(&answer));
}

static void withdrawn_ingress_is_cut_at_the_uplink(void **state)
{
	struct frame data = tcp(4, &remote, 40000, &web, 80, ACK | PSH);

	only_port_80_from_remote();
	handshake(4, &remote, 40000, &web, 80);
	enforce(&web, ISOLATED_BOTH(8));
	expect(uplink(&data), ISOLATED);
	expect(to_pod(&web, &data), ISOLATED);
}

static void kept_permission_is_asked_again_at_the_pod_only(void **state)
{
	struct frame data = tcp(4, &remote, 40000, &web, 80, ACK | PSH);

	only_port_80_from_remote();
	handshake(4, &remote, 40000, &web, 80);
	move_epoch(&web);
	expect_untouched(uplink(&data));
	expect(to_pod(&web, &data), POLICY);
}

static void finished_flow_does_not_carry_a_syn_through_the_uplink(void **state)
{
	struct frame rst = tcp(4, &web, 40000, &remote, 443, RST);
	struct frame syn = tcp(4, &remote, 443, &web, 40000, SYN);

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 443, 443, 1);
	enforce(&web, PROGRAM);
	handshake(4, &web, 40000, &remote, 443);
	from_pod(&web, &rst);
	expect(uplink(&syn), ISOLATED);
	assert_int_equal(flow_of(&syn, NULL), SETTLED);
}

static void dry_run_drops_nothing_at_the_uplink(void **state)
{
	struct frame syn = tcp(4, &remote, 40000, &web, 22, SYN);
	struct outcome outcome;

	use(&web, BH_PROGRAM_OPEN, PROGRAM);
	expect_untouched(uplink(&syn));
	outcome = to_pod(&web, &syn);
	expect(outcome, OPEN);
	assert_int_equal(outcome.event[0].type, BH_EVENT_WOULD_DENY);
}

static void nodes_address_opens_nothing_at_the_uplink(void **state)
{
	struct frame syn = tcp(4, &node, 40000, &web, 22, SYN);

	only_port_80_from_remote();
	expect(uplink(&syn), ISOLATED);
}

static void tagged_packet_is_judged_at_the_uplink(void **state)
{
	struct frame f;

	only_port_80_from_remote();
	frame_ethernet(&f, &remote, &web);
	frame_vlan(&f, 0x8100);
	frame_ip(&f, 4, &remote, &web);
	frame_tcp(&f, 40000, 22, SYN);
	expect(uplink(&f), ISOLATED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(xdp_and_tc_share_the_flow),
		bed_test(policy_is_the_same_through_xdp),
		bed_test(uplink_passes_what_is_for_nobody_here),
		bed_test(uplink_passes_what_it_cannot_read),
		bed_test(uplink_drops_what_the_pods_ingress_denies),
		bed_test(uplink_drops_ipv6_and_datagrams_too),
		bed_test(packet_that_passes_the_uplink_is_counted_at_the_pod_only),
		bed_test(established_flow_passes_the_uplink_untouched),
		bed_test(answer_to_the_pods_question_passes_the_uplink),
		bed_test(withdrawn_ingress_is_cut_at_the_uplink),
		bed_test(kept_permission_is_asked_again_at_the_pod_only),
		bed_test(finished_flow_does_not_carry_a_syn_through_the_uplink),
		bed_test(dry_run_drops_nothing_at_the_uplink),
		bed_test(nodes_address_opens_nothing_at_the_uplink),
		bed_test(tagged_packet_is_judged_at_the_uplink),
	};

	bed_sizes.xdp = true;
	return cmocka_run_group_tests_name("XDP", tests, bed_setup, bed_teardown);
}
