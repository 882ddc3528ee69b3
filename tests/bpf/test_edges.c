/* SPDX-License-Identifier: Apache-2.0 */

/* Who talks to whom, counted exactly. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

static struct bh_edge_key key_of(const struct party *local, const struct party *other,
	uint8_t protocol, uint16_t port, enum bh_direction direction, uint8_t verdict)
{
	return (struct bh_edge_key){.local = local->workload,
		.remote = other->workload,
		.port = port,
		.protocol = protocol,
		.direction = direction,
		.verdict = verdict,
		.pending = verdict,
		.flags = other->slot ? BH_EDGE_PEER_LOCAL : 0,
		.family = 4};
}

static struct bh_edge edge_at(struct bh_edge_key key)
{
	struct bh_edge edge;

	if (!edge_find(&key, &edge, NULL))
		fail_msg("no such edge");
	return edge;
}

static void both_ends_of_a_local_flow_have_an_edge(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct frame back = tcp(4, &db, 80, &web, 40000, ACK | PSH);
	struct bh_edge opener, server;

	handshake(4, &web, 40000, &db, 80);
	for (int i = 0; i < 10; i++)
		between(&web, &db, &data);
	for (int i = 0; i < 4; i++)
		between(&db, &web, &back);
	opener = edge_at(key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_NOT_ISOLATED));
	server = edge_at(key_of(&db, &web, 6, 80, BH_INGRESS, BH_REASON_NOT_ISOLATED));
	assert_int_equal(opener.packets[0], 2 + 10);
	assert_int_equal(opener.packets[1], 1 + 4);
	assert_int_equal(opener.octets[0], 12 * frame_octets(&data));
	assert_int_equal(opener.octets[1], 5 * frame_octets(&back));
	assert_int_equal(opener.flows, 1);
	assert_int_equal(server.packets[0], opener.packets[1]);
	assert_int_equal(server.packets[1], opener.packets[0]);
	assert_int_equal(server.octets[0], opener.octets[1]);
	assert_int_equal(server.octets[1], opener.octets[0]);
	assert_int_equal(server.flows, 1);
}

static void flow_from_elsewhere_is_ingress(void **state)
{
	struct frame in = tcp(4, &remote, 40000, &web, 80, SYN);
	struct bh_edge edge;

	to_pod(&web, &in);
	edge = edge_at(key_of(&web, &remote, 6, 80, BH_INGRESS, BH_REASON_NOT_ISOLATED));
	assert_int_equal(edge.packets[1], 1);
	assert_int_equal(edge.packets[0], 0);
}

static void many_flows_share_an_edge(void **state)
{
	struct bh_edge edge;

	for (uint16_t port = 30000; port < 30050; port++)
		handshake(4, &web, port, &db, 80);
	edge = edge_at(key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_NOT_ISOLATED));
	assert_int_equal(edge.flows, 50);
	assert_int_equal(edge.packets[0], 100);
	assert_int_equal(edge.packets[1], 50);
}

static void families_have_edges_of_their_own(void **state)
{
	struct bh_edge_key key = key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_NOT_ISOLATED);

	handshake(4, &web, 40000, &db, 80);
	handshake(6, &web, 40000, &db, 80);
	assert_int_equal(edge_at(key).packets[0], 2);
	key.family = 6;
	assert_int_equal(edge_at(key).packets[0], 2);
}

static void protocol_without_ports_has_port_0(void **state)
{
	struct frame e = echo(4, &web, &db, 8, 4242), gre = ip(4, &web, &db);

	frame_protocol(&gre, 47);
	frame_zeros(&gre, 4);
	between(&web, &db, &e);
	between(&web, &db, &gre);
	edge_at(key_of(&web, &db, 1, 0, BH_EGRESS, BH_REASON_NOT_ISOLATED));
	edge_at(key_of(&web, &db, 47, 0, BH_EGRESS, BH_REASON_NOT_ISOLATED));
}

static void train_counts_as_its_segments(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct bh_edge_key key = key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_NOT_ISOLATED);
	struct bh_edge before;

	handshake(4, &web, 40000, &db, 80);
	before = edge_at(key);
	frame_zeros(&data, 2890);
	data.segments = 2;
	from_pod(&web, &data);
	assert_int_equal(edge_at(key).packets[0], before.packets[0] + 2);
	/* 2900 octets of data, and IP and TCP headers twice. */
	assert_int_equal(edge_at(key).octets[0], before.octets[0] + 2900 + 2 * 40);
}

static void denied_packets_count_each(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct bh_edge edge;

	enforce(&web, PROGRAM);
	for (int i = 0; i < 20; i++)
		from_pod(&web, &syn);
	edge = edge_at(key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_ISOLATED));
	assert_int_equal(edge.packets[0], 20);
	assert_int_equal(edge.flows, 0);
	assert_true(edge.first && edge.last);
}

static void resets_are_counted(void **state)
{
	struct frame rst = tcp(4, &db, 80, &web, 40000, RST | ACK);

	handshake(4, &web, 40000, &db, 80);
	between(&db, &web, &rst);
	assert_int_equal(
		edge_at(key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_NOT_ISOLATED)).resets, 1);
	assert_int_equal(
		edge_at(key_of(&db, &web, 6, 80, BH_INGRESS, BH_REASON_NOT_ISOLATED)).resets, 1);
}

static void flow_moves_to_another_edge_with_its_verdict(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct bh_edge_key before = key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_NOT_ISOLATED);
	struct bh_edge_key after = key_of(&web, &db, 6, 80, BH_EGRESS, BH_REASON_POLICY);

	handshake(4, &web, 40000, &db, 80);
	allow(PROGRAM, BH_EGRESS, db.class, 6, 80, 80, 5);
	enforce(&web, PROGRAM);
	from_pod(&web, &data);
	from_pod(&web, &data);
	assert_int_equal(edge_at(before).packets[0], 2);
	assert_int_equal(edge_at(after).packets[0], 2);
}

static void flow_counts_once_it_is_let_through(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	enforce(&db, PROGRAM);
	between(&web, &db, &syn);
	allow(ISOLATED_BOTH(8), BH_INGRESS, web.class, 6, 80, 80, 5);
	enforce(&db, ISOLATED_BOTH(8));
	between(&web, &db, &syn);
	assert_int_equal(
		edge_at(key_of(&db, &web, 6, 80, BH_INGRESS, BH_REASON_ISOLATED)).flows, 1);
	assert_int_equal(edge_at(key_of(&db, &web, 6, 80, BH_INGRESS, BH_REASON_POLICY)).flows, 1);
}

static void flow_denied_at_the_second_hook_is_counted_there_once(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct frame another = tcp(4, &web, 40001, &db, 80, SYN);
	struct bh_edge edge;

	enforce(&db, PROGRAM);
	for (int i = 0; i < 3; i++)
		between(&web, &db, &syn);
	between(&web, &db, &another);
	edge = edge_at(key_of(&db, &web, 6, 80, BH_INGRESS, BH_REASON_ISOLATED));
	assert_int_equal(edge.packets[1], 4);
	assert_int_equal(edge.flows, 2);
}

/* ---- Limits ---- */

static void ports_of_a_pair_are_bounded(void **state)
{
	struct bh_edge_key key = key_of(&web, &remote, 6, 1, BH_EGRESS, BH_REASON_ISOLATED);
	struct bh_edge edge;
	struct bh_edge_ref ref;

	enforce(&web, PROGRAM);
	for (uint16_t port = 1; port <= BH_EDGE_PORTS_MAX + 50; port++) {
		struct frame syn = tcp(4, &web, 40000, &remote, port, SYN);

		fire_from_pod(&web, &syn);
	}
	key.port = BH_EDGE_PORTS_MAX;
	assert_true(edge_find(&key, NULL, NULL));
	key.port = BH_EDGE_PORTS_MAX + 1;
	assert_false(edge_find(&key, NULL, NULL));
	key.port = 0;
	assert_true(edge_find(&key, &edge, &ref));
	assert_int_equal(ref.ports, BH_EDGE_PORTS_MAX);
	assert_int_not_equal(ref.slot, BH_EDGE_OVERFLOW);
	assert_int_equal(edge.packets[0], 50);
	assert_int_equal(edge_slot_packets(BH_EDGE_OVERFLOW), 0);
}

static void scan_does_not_bound_another_pair(void **state)
{
	struct frame other = tcp(4, &db, 40000, &remote, 9999, SYN);

	ports_of_a_pair_are_bounded(state);
	from_pod(&db, &other);
	edge_at(key_of(&db, &remote, 6, 9999, BH_EGRESS, BH_REASON_NOT_ISOLATED));
}

static void pair_counts_its_ports_before_it_needs_a_slot(void **state)
{
	struct bh_edge_key key = key_of(&web, &remote, 6, 0, BH_EGRESS, BH_REASON_NOT_ISOLATED);
	struct bh_edge_ref ref;

	for (uint16_t port = 1; port <= 3; port++) {
		struct frame syn = tcp(4, &web, 40000, &remote, port, SYN);

		from_pod(&web, &syn);
		from_pod(&web, &syn);
	}
	assert_true(edge_find(&key, NULL, &ref));
	assert_int_equal(ref.ports, 3);
	assert_int_equal(ref.slot, BH_EDGE_OVERFLOW);
}

static void totals_stay_exact_when_no_slot_is_left(void **state)
{
	edge_free_leave(2);
	for (uint16_t port = 1; port <= 5; port++) {
		struct frame syn = tcp(4, &web, 40000, &remote, port, SYN);

		from_pod(&web, &syn);
		expect_known(from_pod(&web, &syn));
	}
	assert_int_equal(edges_packets(), 10);
	assert_int_equal(edge_slot_packets(BH_EDGE_OVERFLOW), 6);
	assert_int_equal(counter(BH_COUNTER_EDGE_OVERFLOW), 3);
}

static void port_that_got_no_slot_is_not_counted_as_one(void **state)
{
	struct bh_edge_key key = key_of(&web, &remote, 6, 0, BH_EGRESS, BH_REASON_ISOLATED);
	struct frame syn = tcp(4, &web, 40000, &remote, 80, SYN);
	struct bh_edge_ref ref;

	enforce(&web, PROGRAM);
	edge_free_leave(0);
	for (int i = 0; i < 200; i++)
		fire_from_pod(&web, &syn);
	assert_true(edge_find(&key, NULL, &ref));
	assert_int_equal(ref.ports, 0);
	/* So that the port gets its edge as soon as there is room. */
	edge_free_leave(5);
	fire_from_pod(&web, &syn);
	key.port = 80;
	assert_true(edge_find(&key, NULL, NULL));
}

static void slots_are_given_once(void **state)
{
	unsigned before = edge_free_count();
	struct frame syn = tcp(4, &web, 40000, &remote, 80, SYN);

	for (int i = 0; i < 3; i++) {
		empty_flows();
		from_pod(&web, &syn);
	}
	assert_int_equal(edge_free_count(), before - 1);
}

static void segment_without_ports_counts_on_the_pairs_own_edge(void **state)
{
	struct bh_edge_key key = key_of(&web, &remote, 17, 0, BH_EGRESS, BH_REASON_NOT_ISOLATED);
	struct frame with_port = udp(4, &web, 5000, &remote, 53), piece = ip(4, &web, &remote);
	struct bh_edge_ref ref;
	struct bh_edge edge;

	frame_fragment(&piece, 1, 800, 0);
	frame_protocol(&piece, 17);
	frame_zeros(&piece, 100);
	from_pod(&web, &with_port);
	from_pod(&web, &piece);
	assert_true(edge_find(&key, &edge, &ref));
	assert_int_not_equal(ref.slot, BH_EDGE_OVERFLOW);
	assert_int_equal(edge.packets[0], 1);
	assert_int_equal(counter(BH_COUNTER_EDGE_OVERFLOW), 0);
}

static void what_is_no_flow_has_no_edge(void **state)
{
	struct frame a = arp(&web, 1, web.mac, web.ip4, db.ip4);
	struct frame broken = tcp(4, &web, 40000, &remote, 80, SYN | FIN);

	from_pod(&web, &a);
	assert_int_equal(edges_packets(), 0);
	from_pod(&web, &broken);
	assert_int_equal(counter(BH_REASON_TCP_FLAGS), 1);
}

/* Whatever is sent, and whatever becomes of it: every packet is on one edge of each hook it saw. */
static void every_packet_is_counted_once_per_hook(void **state)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, ACK, ACK | PSH, FIN | ACK, RST, ACK};
	const struct party *const pods[] = {&web, &db, &third};
	uint64_t hooks = 0;
	uint32_t seed = 1;

	allow(PROGRAM, BH_INGRESS, web.class, 6, 80, 81, 1);
	allow(PROGRAM, BH_EGRESS, web.class, 6, 80, 80, 2);
	enforce(&db, PROGRAM);
	for (int i = 0; i < 3000; i++) {
		const struct party *from, *to;
		struct frame f;

		seed = seed * 1103515245 + 12345;
		from = pods[(seed >> 8) % 3];
		to = pods[((seed >> 8) % 3 + 1 + (seed >> 12) % 2) % 3];
		f = tcp(seed >> 14 & 1 ? 6 : 4, from,
			seed >> 16 & 1 ? 80 : 40000 + (seed >> 17) % 4, to,
			seed >> 16 & 1 ? 40000 + (seed >> 17) % 4 : 80 + (seed >> 19) % 3,
			flags[(seed >> 21) % sizeof(flags)]);
		hooks++;
		if (!fire_from_pod(from, &f))
			continue;
		hooks++;
		fire_to_pod(to, &f);
		if (i % 500 == 499) {
			move_epoch(&db);
			move_epoch(&web);
		}
	}
	assert_int_equal(edges_packets(), hooks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(both_ends_of_a_local_flow_have_an_edge),
		bed_test(flow_from_elsewhere_is_ingress),
		bed_test(many_flows_share_an_edge),
		bed_test(families_have_edges_of_their_own),
		bed_test(protocol_without_ports_has_port_0),
		bed_test(train_counts_as_its_segments),
		bed_test(denied_packets_count_each),
		bed_test(resets_are_counted),
		bed_test(flow_denied_at_the_second_hook_is_counted_there_once),
		bed_test(flow_moves_to_another_edge_with_its_verdict),
		bed_test(flow_counts_once_it_is_let_through),
		bed_test(ports_of_a_pair_are_bounded),
		bed_test(scan_does_not_bound_another_pair),
		bed_test(pair_counts_its_ports_before_it_needs_a_slot),
		bed_test(totals_stay_exact_when_no_slot_is_left),
		bed_test(port_that_got_no_slot_is_not_counted_as_one),
		bed_test(slots_are_given_once),
		bed_test(segment_without_ports_counts_on_the_pairs_own_edge),
		bed_test(what_is_no_flow_has_no_edge),
		bed_test(every_packet_is_counted_once_per_hook),
	};

	return cmocka_run_group_tests_name("edges", tests, bed_setup, bed_teardown);
}
