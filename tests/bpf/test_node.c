/* SPDX-License-Identifier: Apache-2.0 */

/* The node reaches its pods always; what only wears its address does not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

static void node_reaches_an_isolated_pod(void **state)
{
	struct frame t = tcp(4, &node, 40000, &web, 80, SYN), u = udp(6, &node, 1, &web, 2);
	struct frame e = echo(4, &node, &web, 8, 1);

	enforce(&web, PROGRAM);
	expect(from_node(&web, &t), NODE);
	expect(from_node(&web, &u), NODE);
	expect(from_node(&web, &e), NODE);
}

static void pods_answer_to_the_node_passes(void **state)
{
	struct frame syn = tcp(4, &node, 40000, &web, 80, SYN);
	struct frame syn_ack = tcp(4, &web, 80, &node, 40000, SYN | ACK);
	struct frame ack = tcp(4, &node, 40000, &web, 80, ACK);

	enforce(&web, PROGRAM);
	from_node(&web, &syn);
	expect_known(from_pod(&web, &syn_ack));
	expect_known(from_node(&web, &ack));
	assert_int_equal(flow_of(&ack, NULL), SETTLED);
}

static void forwarded_packet_with_the_nodes_address_is_not_the_node(void **state)
{
	struct frame f = tcp(4, &node, 40000, &web, 80, SYN), f6 = tcp(6, &node, 1, &web, 80, SYN);

	enforce(&web, PROGRAM);
	expect(to_pod(&web, &f), ISOLATED);
	expect(to_pod(&web, &f6), ISOLATED);
}

static void forwarded_packet_in_the_nodes_flow_is_not_the_node(void **state)
{
	struct frame data = tcp(4, &node, 40000, &web, 80, ACK | PSH);
	struct frame answer = tcp(4, &web, 80, &node, 40000, ACK);

	enforce(&web, PROGRAM);
	handshake(4, &node, 40000, &web, 80);
	expect(to_pod(&web, &data), ISOLATED);
	/* And spoils nothing. */
	expect_known(from_node(&web, &data));
	expect_known(from_pod(&web, &answer));
}

static void nodes_flow_survives_an_epoch_at_the_nodes_packet(void **state)
{
	struct frame data = tcp(4, &node, 40000, &web, 80, ACK | PSH);

	enforce(&web, PROGRAM);
	handshake(4, &node, 40000, &web, 80);
	enforce(&web, ISOLATED_BOTH(8));
	expect(from_node(&web, &data), NODE);
	expect_known(from_node(&web, &data));
}

static void nodes_flow_survives_an_epoch_at_the_pods_answer(void **state)
{
	struct frame answer = tcp(4, &web, 80, &node, 40000, ACK | PSH);

	enforce(&web, PROGRAM);
	handshake(4, &node, 40000, &web, 80);
	enforce(&web, ISOLATED_BOTH(8));
	expect(from_pod(&web, &answer), NODE);
	expect_known(from_pod(&web, &answer));
}

static void nodes_datagram_survives_an_epoch(void **state)
{
	struct frame question = udp(4, &node, 5000, &web, 53),
		     answer = udp(4, &web, 53, &node, 5000);

	enforce(&web, PROGRAM);
	from_node(&web, &question);
	move_epoch(&web);
	expect(from_pod(&web, &answer), NODE);
}

static void new_pod_may_not_answer_the_node_for_the_dead_one(void **state)
{
	struct frame question = udp(4, &node, 5000, &web, 53),
		     answer = udp(4, &web, 53, &node, 5000);

	enforce(&web, PROGRAM);
	from_node(&web, &question);
	reborn(&web);
	expect(from_pod(&web, &answer), ISOLATED);
}

static void pod_reaches_the_node_by_its_policy_only(void **state)
{
	struct frame denied = tcp(4, &web, 40000, &node, 10250, SYN);
	struct frame allowed = tcp(4, &web, 40000, &node, 6443, SYN);

	allow(PROGRAM, BH_EGRESS, node.class, 6, 6443, 6443, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &denied), ISOLATED);
	expect(from_pod(&web, &allowed), POLICY);
}

static void withdrawn_egress_to_the_node_is_cut(void **state)
{
	struct frame data = tcp(4, &web, 40000, &node, 6443, ACK | PSH);
	struct frame answer = tcp(4, &node, 6443, &web, 40000, ACK | PSH);
	struct frame syn = tcp(4, &web, 40000, &node, 6443, SYN);
	struct frame syn_ack = tcp(4, &node, 6443, &web, 40000, SYN | ACK);

	allow(PROGRAM, BH_EGRESS, node.class, 6, 6443, 6443, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &syn), POLICY);
	expect_known(from_node(&web, &syn_ack));
	expect_known(from_pod(&web, &data));
	expect_known(from_node(&web, &answer));
	enforce(&web, ISOLATED_BOTH(8));
	expect(from_node(&web, &answer), ISOLATED);
	expect(from_pod(&web, &data), ISOLATED);
	expect(from_node(&web, &answer), ISOLATED);
}

static void edge_names_the_node(void **state)
{
	struct frame f = tcp(4, &node, 40000, &web, 80, SYN);
	const struct bh_edge_key key = {.local = web.workload,
		.remote = BH_WORKLOAD_NODE,
		.port = 80,
		.protocol = 6,
		.direction = BH_INGRESS,
		.verdict = BH_REASON_NODE,
		.pending = BH_REASON_NODE,
		.family = 4};
	struct bh_edge edge;

	/* Whatever address it comes from: an address of a node is not always known as one. */
	no_identity(&node);
	from_node(&web, &f);
	assert_true(edge_find(&key, &edge, NULL));
	assert_int_equal(edge.packets[1], 1);
}

static void segment_of_a_flow_the_node_has_lost_passes(void **state)
{
	struct frame data = tcp(4, &node, 40000, &web, 80, ACK | PSH);

	enforce(&web, PROGRAM);
	expect(from_node(&web, &data), NODE);
}

static void broken_packet_from_the_node_is_still_broken(void **state)
{
	struct frame f = tcp(4, &node, 40000, &web, 80, SYN | FIN);

	expect(from_node(&web, &f), TCP_FLAGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(node_reaches_an_isolated_pod),
		bed_test(pods_answer_to_the_node_passes),
		bed_test(forwarded_packet_with_the_nodes_address_is_not_the_node),
		bed_test(forwarded_packet_in_the_nodes_flow_is_not_the_node),
		bed_test(nodes_flow_survives_an_epoch_at_the_nodes_packet),
		bed_test(nodes_flow_survives_an_epoch_at_the_pods_answer),
		bed_test(nodes_datagram_survives_an_epoch),
		bed_test(new_pod_may_not_answer_the_node_for_the_dead_one),
		bed_test(pod_reaches_the_node_by_its_policy_only),
		bed_test(withdrawn_egress_to_the_node_is_cut),
		bed_test(edge_names_the_node),
		bed_test(segment_of_a_flow_the_node_has_lost_passes),
		bed_test(broken_packet_from_the_node_is_still_broken),
	};

	return cmocka_run_group_tests_name("node", tests, bed_setup, bed_teardown);
}
