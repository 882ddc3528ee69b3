/* SPDX-License-Identifier: Apache-2.0 */

/* Datagrams in pieces, in any order, and the tricks played with them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

#define ID 4711

/* The first piece of a UDP datagram: its header and 16 bytes. */
static struct frame first(
	int family, const struct party *from, const struct party *to, uint16_t dport, uint32_t id)
{
	struct frame f = ip(family, from, to);

	frame_fragment(&f, id, 0, 1);
	frame_udp(&f, 5000, dport);
	frame_zeros(&f, 16);
	frame_set16(&f, L4, 4, 1000); /* of the whole datagram */
	return f;
}

static struct frame piece(int family, const struct party *from, const struct party *to,
	uint8_t protocol, uint32_t id, uint16_t offset)
{
	struct frame f = ip(family, from, to);

	frame_fragment(&f, id, offset, 0);
	frame_protocol(&f, protocol);
	frame_zeros(&f, 24);
	return f;
}

static struct frame later(int family, const struct party *from, const struct party *to)
{
	return piece(family, from, to, 17, ID, 24);
}

static void only_dns(void)
{
	allow(PROGRAM, BH_EGRESS, db.class, 17, 53, 53, 1);
	allow(PROGRAM, BH_INGRESS, web.class, 17, 53, 53, 2);
	enforce(&web, PROGRAM);
	enforce(&db, PROGRAM);
}

static void later_pieces_follow_their_first(int family)
{
	struct frame f = first(family, &web, &db, 53, ID), l = later(family, &web, &db);

	only_dns();
	expect(between(&web, &db, &f), POLICY);
	for (int i = 0; i < 3; i++)
		assert_true(between(&web, &db, &l).passed);
}

static void later_ipv4_pieces_follow_their_first(void **state)
{
	later_pieces_follow_their_first(4);
}

static void later_ipv6_pieces_follow_their_first(void **state)
{
	later_pieces_follow_their_first(6);
}

static void later_pieces_count_in_the_flow(void **state)
{
	struct frame f = first(4, &web, &db, 53, ID), l = later(4, &web, &db);
	struct bh_flow flow;

	only_dns();
	between(&web, &db, &f);
	between(&web, &db, &l);
	flow_of(&f, &flow);
	assert_int_equal(flow.packets[0], 2);
	assert_int_equal(flow.octets[0], frame_octets(&f) + frame_octets(&l));
}

static void later_piece_before_its_first_is_dropped(void **state)
{
	struct frame l = later(4, &web, &db), l6 = later(6, &web, &db);

	only_dns();
	expect(from_pod(&web, &l), FRAGMENT_NO_FIRST);
	expect(from_pod(&web, &l6), FRAGMENT_NO_FIRST);
}

static void later_piece_before_its_first_passes_a_rule_for_every_port(void **state)
{
	struct frame l = later(4, &web, &db);

	allow(PROGRAM, BH_EGRESS, db.class, 17, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &l), POLICY);
	assert_int_equal(flow_count(4, HALF_OPEN), 0);
}

static void later_piece_before_its_first_passes_a_rule_for_everything(void **state)
{
	struct frame l = later(6, &web, &db);

	allow(PROGRAM, BH_EGRESS, BH_CLASS_ANY, 0, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &l), POLICY);
}

static void later_piece_before_its_first_passes_where_nothing_isolates(void **state)
{
	struct frame u = later(4, &web, &db), e = piece(4, &web, &db, 1, ID, 1480);
	struct frame e6 = piece(6, &web, &db, 58, ID, 1448);

	expect(from_pod(&web, &u), NOT_ISOLATED);
	expect(from_pod(&web, &e), NOT_ISOLATED);
	expect(from_pod(&web, &e6), NOT_ISOLATED);
}

/* It might be for the port that is denied. */
static void later_piece_before_its_first_passes_not_where_a_port_is_denied(void **state)
{
	struct frame l = later(4, &web, &db), other = piece(4, &web, &db, 6, ID + 1, 24);

	allow(PROGRAM, BH_EGRESS, db.class, 0, 0, 65535, 1);
	deny(PROGRAM, BH_EGRESS, db.class, 17, 53, 53, 2);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &l), FRAGMENT_NO_FIRST);
	assert_true(from_pod(&web, &other).passed);
}

static void large_echo_passes_in_pieces(void **state)
{
	struct frame f = ip(4, &web, &db), l = piece(4, &web, &db, 1, ID, 32);

	frame_fragment(&f, ID, 0, 1);
	frame_icmp(&f, 8, 0, 7);
	frame_zeros(&f, 24);
	allow(PROGRAM, BH_EGRESS, db.class, 1, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(between(&web, &db, &f), NOT_ISOLATED);
	assert_true(between(&web, &db, &l).passed);
}

static void denied_first_vouches_for_nothing(void **state)
{
	struct frame f = first(4, &web, &db, 22, ID), l = later(4, &web, &db);

	only_dns();
	expect(from_pod(&web, &f), ISOLATED);
	expect(from_pod(&web, &l), FRAGMENT_NO_FIRST);
}

/* What the sender's own hook let through, the receiver's judges by itself. */
static void first_denied_at_the_receiver_vouches_for_nothing_there(void **state)
{
	struct frame f = first(4, &web, &db, 53, ID), l = later(4, &web, &db);

	enforce(&db, PROGRAM);
	expect(between(&web, &db, &f), ISOLATED);
	expect(between(&web, &db, &l), FRAGMENT_NO_FIRST);
}

static void second_first_with_another_port_is_judged_by_itself(void **state)
{
	struct frame good = first(4, &web, &db, 53, ID), evil = first(4, &web, &db, 22, ID);
	struct frame l = later(4, &web, &db);

	only_dns();
	expect(between(&web, &db, &good), POLICY);
	expect(from_pod(&web, &evil), ISOLATED);
	/* And has not taken the datagram over. */
	assert_true(between(&web, &db, &l).passed);
}

static void piece_of_another_datagram_finds_nothing(void **state)
{
	struct frame f = first(4, &web, &db, 53, ID), other = piece(4, &web, &db, 17, ID + 1, 24);
	struct frame protocol = piece(4, &web, &db, 6, ID, 24);

	only_dns();
	from_pod(&web, &f);
	expect(from_pod(&web, &other), FRAGMENT_NO_FIRST);
	expect(from_pod(&web, &protocol), FRAGMENT_NO_FIRST);
}

static void nobody_vouches_for_another_interface(void **state)
{
	struct frame f = first(4, &remote, &web, 53, ID), l = later(4, &remote, &web);

	only_dns();
	allow(PROGRAM, BH_INGRESS, remote.class, 17, 53, 53, 3);
	enforce(&third, PROGRAM);
	expect(to_pod(&web, &f), POLICY);
	expect(to_pod(&third, &l), FRAGMENT_NO_FIRST);
}

static void first_is_forgotten_after_thirty_seconds(void **state)
{
	struct frame f = first(4, &web, &db, 53, ID), l = later(4, &web, &db);

	only_dns();
	from_pod(&web, &f);
	fragments_age(29);
	assert_true(from_pod(&web, &l).passed);
	fragments_age(2);
	expect(from_pod(&web, &l), FRAGMENT_NO_FIRST);
}

static void later_piece_survives_a_change_of_policy_only_if_its_flow_does(void **state)
{
	struct frame f = first(4, &web, &db, 53, ID), l = later(4, &web, &db);

	only_dns();
	from_pod(&web, &f);
	enforce(&web, ISOLATED_BOTH(8));
	assert_false(from_pod(&web, &l).passed);
}

/* ---- Tiny and overlapping ---- */

static struct frame tiny(int family, uint8_t protocol, size_t length)
{
	struct frame f = ip(family, &web, &db);

	frame_fragment(&f, ID, 0, 1);
	frame_protocol(&f, protocol);
	frame_hex(&f, "9c400050");
	frame_zeros(&f, length - 4);
	return f;
}

static void first_piece_without_its_header_is_dropped(void **state)
{
	static const struct {
		uint8_t protocol, length;
	} rows[] = {{6, 8}, {6, 16}, {17, 4}, {132, 8}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct frame f4 = tiny(4, rows[i].protocol, rows[i].length);
		struct frame f6 = tiny(6, rows[i].protocol, rows[i].length);

		expect(from_pod(&web, &f4), FRAGMENT_TINY);
		expect(from_pod(&web, &f6), FRAGMENT_TINY);
	}
}

static void first_piece_without_its_whole_chain_is_dropped(void **state)
{
	struct frame f = ip(6, &web, &db);

	frame_fragment(&f, ID, 0, 1);
	frame_protocol(&f, 60);
	frame_hex(&f, "0604");
	frame_zeros(&f, 6);
	expect(from_pod(&web, &f), FRAGMENT_TINY);
}

static void piece_over_the_tcp_header_is_dropped(void **state)
{
	struct frame over8 = piece(4, &web, &db, 6, ID, 8), over16 = piece(4, &web, &db, 6, ID, 16);
	struct frame behind = piece(4, &web, &db, 6, ID, 24);

	expect(from_pod(&web, &over8), FRAGMENT_TINY);
	expect(from_pod(&web, &over16), FRAGMENT_TINY);
	expect(from_pod(&web, &behind), NOT_ISOLATED);
}

static void piece_over_the_tcp_header_is_dropped_in_ipv6(void **state)
{
	struct frame over8 = piece(6, &web, &db, 6, ID, 8), behind = piece(6, &web, &db, 6, ID, 24);

	expect(from_pod(&web, &over8), FRAGMENT_TINY);
	expect(from_pod(&web, &behind), NOT_ISOLATED);
}

static void empty_piece_is_dropped(void **state)
{
	struct frame f4 = ip(4, &web, &db), f6 = ip(6, &web, &db);

	frame_fragment(&f4, ID, 1480, 0);
	frame_protocol(&f4, 17);
	frame_fragment(&f6, ID, 1480, 0);
	frame_protocol(&f6, 17);
	expect(from_pod(&web, &f4), IP_HEADER);
	expect(from_pod(&web, &f6), IP_HEADER);
}

static void piece_beyond_65535_is_dropped(void **state)
{
	struct frame f = piece(4, &web, &db, 1, ID, 65528);

	expect(from_pod(&web, &f), IP_HEADER);
}

static void ports_are_found_behind_further_extension_headers(void **state)
{
	struct frame f = ip(6, &web, &db), l = piece(6, &web, &db, 60, ID, 32);

	frame_fragment(&f, ID, 0, 1);
	frame_extension(&f, 60, "");
	frame_udp(&f, 5000, 53);
	frame_zeros(&f, 16);
	only_dns();
	expect(between(&web, &db, &f), POLICY);
	assert_true(between(&web, &db, &l).passed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(later_ipv4_pieces_follow_their_first),
		bed_test(later_ipv6_pieces_follow_their_first),
		bed_test(later_pieces_count_in_the_flow),
		bed_test(later_piece_before_its_first_is_dropped),
		bed_test(later_piece_before_its_first_passes_a_rule_for_every_port),
		bed_test(later_piece_before_its_first_passes_a_rule_for_everything),
		bed_test(later_piece_before_its_first_passes_where_nothing_isolates),
		bed_test(later_piece_before_its_first_passes_not_where_a_port_is_denied),
		bed_test(large_echo_passes_in_pieces),
		bed_test(denied_first_vouches_for_nothing),
		bed_test(first_denied_at_the_receiver_vouches_for_nothing_there),
		bed_test(second_first_with_another_port_is_judged_by_itself),
		bed_test(piece_of_another_datagram_finds_nothing),
		bed_test(nobody_vouches_for_another_interface),
		bed_test(first_is_forgotten_after_thirty_seconds),
		bed_test(later_piece_survives_a_change_of_policy_only_if_its_flow_does),
		bed_test(first_piece_without_its_header_is_dropped),
		bed_test(first_piece_without_its_whole_chain_is_dropped),
		bed_test(piece_over_the_tcp_header_is_dropped),
		bed_test(piece_over_the_tcp_header_is_dropped_in_ipv6),
		bed_test(empty_piece_is_dropped),
		bed_test(piece_beyond_65535_is_dropped),
		bed_test(ports_are_found_behind_further_extension_headers),
	};

	return cmocka_run_group_tests_name("fragments", tests, bed_setup, bed_teardown);
}
