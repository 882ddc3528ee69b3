/* SPDX-License-Identifier: Apache-2.0 */

/* Floods: what never answers must not push out what was ever established. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

#define VICTIMS 100

static void establish_victims(int family)
{
	for (int i = 0; i < VICTIMS; i++) {
		const uint16_t port = 1000 + i;
		struct frame syn = tcp(family, &web, port, &db, 80, SYN);
		struct frame syn_ack = tcp(family, &db, 80, &web, port, SYN | ACK);
		struct frame ack = tcp(family, &web, port, &db, 80, ACK);

		assert_true(fire_from_pod(&web, &syn) && fire_to_pod(&db, &syn));
		assert_true(fire_from_pod(&db, &syn_ack) && fire_to_pod(&web, &syn_ack));
		assert_true(fire_from_pod(&web, &ack) && fire_to_pod(&db, &ack));
	}
	assert_int_equal(flow_count(family, SETTLED), VICTIMS);
}

/* Four times as many openings as the table holds flows. */
static void flood(int family, uint8_t protocol, uint8_t flags)
{
	for (uint32_t i = 0; i < 4 * bed_sizes.flows; i++) {
		const uint16_t port = 10000 + i;
		struct frame f = protocol == 6 ? tcp(family, &third, port, &remote, 80, flags)
					       : udp(family, &third, port, &remote, 53);

		fire_from_pod(&third, &f);
	}
}

static void every_victim_is_there(int family)
{
	assert_int_equal(flow_count(family, SETTLED), VICTIMS);
	for (int i = 0; i < VICTIMS; i++) {
		struct frame ack = tcp(family, &web, 1000 + i, &db, 80, ACK);

		assert_int_equal(flow_of(&ack, NULL), SETTLED);
	}
}

static void syn_flood_evicts_no_established_flow(void **state)
{
	establish_victims(4);
	flood(4, 6, SYN);
	every_victim_is_there(4);
}

static void syn_flood_evicts_no_established_ipv6_flow(void **state)
{
	establish_victims(6);
	flood(6, 6, SYN);
	every_victim_is_there(6);
}

static void ack_flood_evicts_no_established_flow(void **state)
{
	establish_victims(4);
	flood(4, 6, ACK);
	every_victim_is_there(4);
}

static void datagram_flood_evicts_no_established_flow(void **state)
{
	establish_victims(4);
	flood(4, 17, 0);
	every_victim_is_there(4);
}

static void flood_settles_nothing(void **state)
{
	flood(4, 6, SYN);
	assert_int_equal(flow_count(4, SETTLED), 0);
	assert_true(flow_count(4, HALF_OPEN) > bed_sizes.flows / 2);
}

/* What is over makes room before what is not. */
static void the_expired_make_room_first(void **state)
{
	struct frame waiting = tcp(4, &web, 40000, &db, 80, SYN);

	flood(4, 6, SYN);
	for (uint32_t i = 0; i < 4 * bed_sizes.flows; i++) {
		struct frame f = tcp(4, &third, 10000 + i, &remote, 80, SYN);

		if (flow_of(&f, NULL) == HALF_OPEN)
			flow_age(&f, 61);
	}
	fire_from_pod(&web, &waiting);
	/* Two more for each set: all of them find something that is over. */
	for (uint32_t i = 0; i < bed_sizes.flows / 8; i++) {
		struct frame f = tcp(4, &third, 30000 + i, &remote, 80, SYN);

		fire_from_pod(&third, &f);
	}
	assert_int_equal(flow_of(&waiting, NULL), HALF_OPEN);
}

/* Of more connections than there is room for, those stay that are in use. */
static void the_settled_make_room_for_the_settled(void **state)
{
	const uint32_t n = 2 * bed_sizes.flows;

	handshake(4, &web, 1, &db, 80);
	for (uint32_t i = 0; i < n; i++) {
		struct frame used = tcp(4, &web, 1, &db, 80, ACK);

		flow_age(&used, 1);
		handshake(4, &third, 10000 + i, &db, 80);
		fire_from_pod(&web, &used);
	}
	assert_true(flow_count(4, SETTLED) <= bed_sizes.flows / BH_FLOW_WAYS * BH_FLOW_SETTLED_MAX);
	assert_true(flow_count(4, SETTLED) > bed_sizes.flows / 2);
	assert_int_equal(counter(BH_COUNTER_FLOW_EVICTED), n + 1 - flow_count(4, SETTLED));
	assert_int_equal(counter(BH_COUNTER_FLOW_INSERT_FAILED), 0);
}

static struct frame acknowledgement(uint32_t i)
{
	return tcp(4, &third, 10000 + i, &db, 80, ACK);
}

/* Many share sets and places, and some of them tags: each is found by its own packets. */
static void each_flow_of_a_crowded_table_is_its_own(void **state)
{
	const uint32_t n = bed_sizes.flows / 2;

	for (uint32_t i = 0; i < n; i++)
		handshake(4, &third, 10000 + i, &db, 80);
	for (uint32_t i = 0; i < n; i++) {
		struct frame ack = acknowledgement(i);
		struct bh_flow before, after;

		if (flow_of(&ack, &before) != SETTLED)
			continue;
		fire_from_pod(&third, &ack);
		flow_of(&ack, &after);
		assert_int_equal(after.packets[0] + after.packets[1],
			before.packets[0] + before.packets[1] + 1);
	}
}

static void handshake_works_behind_a_flood(void **state)
{
	flood(4, 6, SYN);
	handshake(4, &web, 40000, &db, 80);
}

static void flood_of_finished_openings_evicts_nothing(void **state)
{
	establish_victims(4);
	for (uint32_t i = 0; i < 4 * bed_sizes.flows; i++) {
		struct frame syn = tcp(4, &third, 10000 + i, &remote, 80, SYN);
		struct frame rst = tcp(4, &remote, 80, &third, 10000 + i, RST | ACK);

		fire_from_pod(&third, &syn);
		fire_to_pod(&third, &rst);
	}
	every_victim_is_there(4);
}

static void denied_flood_leaves_no_entry(void **state)
{
	enforce(&third, PROGRAM);
	flood(4, 6, SYN);
	assert_int_equal(flow_count(4, HALF_OPEN), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(syn_flood_evicts_no_established_flow),
		bed_test(syn_flood_evicts_no_established_ipv6_flow),
		bed_test(ack_flood_evicts_no_established_flow),
		bed_test(datagram_flood_evicts_no_established_flow),
		bed_test(flood_settles_nothing),
		bed_test(the_expired_make_room_first),
		bed_test(the_settled_make_room_for_the_settled),
		bed_test(each_flow_of_a_crowded_table_is_its_own),
		bed_test(handshake_works_behind_a_flood),
		bed_test(flood_of_finished_openings_evicts_nothing),
		bed_test(denied_flood_leaves_no_entry),
	};

	bed_sizes.flows = 1024;
	return cmocka_run_group_tests_name("half-open flows", tests, bed_setup, bed_teardown);
}
