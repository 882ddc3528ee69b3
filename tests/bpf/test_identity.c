/* SPDX-License-Identifier: Apache-2.0 */

/* From an address to the class and the workload behind it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

#define CLASS_WIDE 401
#define CLASS_NARROW 402
#define WIDE 41
#define NARROW 42

/* The class and workload a packet from web to `to` is seen to go to. */
static void expect_peer(int family, const struct party *to, uint32_t class, uint32_t workload)
{
	struct frame f = udp(family, &web, 5000, to, 53);
	struct outcome outcome;

	empty_flows();
	outcome = from_pod(&web, &f);
	expect(outcome, NOT_ISOLATED);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].class, class);
	assert_int_equal(outcome.event[0].remote, workload);
}

static void exact_address_has_its_class(void **state)
{
	expect_peer(4, &remote, remote.class, remote.workload);
	expect_peer(6, &remote, remote.class, remote.workload);
}

static void unknown_address_is_the_world(void **state)
{
	expect_peer(4, &world, BH_CLASS_NONE, BH_WORKLOAD_WORLD);
	expect_peer(6, &world, BH_CLASS_NONE, BH_WORKLOAD_WORLD);
}

static void block_answers_for_what_it_contains(void **state)
{
	block(4, world.ip4, 24, CLASS_WIDE, WIDE);
	block(6, world.ip6, 32, CLASS_WIDE, WIDE);
	expect_peer(4, &world, CLASS_WIDE, WIDE);
	expect_peer(6, &world, CLASS_WIDE, WIDE);
}

static void longest_block_wins(void **state)
{
	struct party neighbour_of_world = world;

	block(4, world.ip4, 16, CLASS_WIDE, WIDE);
	block(4, world.ip4, 32, CLASS_NARROW, NARROW);
	block(6, world.ip6, 16, CLASS_WIDE, WIDE);
	block(6, world.ip6, 128, CLASS_NARROW, NARROW);
	neighbour_of_world.ip4[3]++;
	neighbour_of_world.ip6[15]++;
	expect_peer(4, &world, CLASS_NARROW, NARROW);
	expect_peer(6, &world, CLASS_NARROW, NARROW);
	expect_peer(4, &neighbour_of_world, CLASS_WIDE, WIDE);
	expect_peer(6, &neighbour_of_world, CLASS_WIDE, WIDE);
}

static void everything_block_answers_for_the_rest(void **state)
{
	block(4, world.ip4, 0, CLASS_WIDE, WIDE);
	block(6, world.ip6, 0, CLASS_WIDE, WIDE);
	expect_peer(4, &world, CLASS_WIDE, WIDE);
	expect_peer(6, &world, CLASS_WIDE, WIDE);
}

static void exact_address_comes_before_any_block(void **state)
{
	block(4, remote.ip4, 32, CLASS_NARROW, NARROW);
	block(6, remote.ip6, 128, CLASS_NARROW, NARROW);
	expect_peer(4, &remote, remote.class, remote.workload);
	expect_peer(6, &remote, remote.class, remote.workload);
}

static void blocks_are_not_asked_while_none_is_in_use(void **state)
{
	block(4, world.ip4, 24, CLASS_WIDE, WIDE);
	block(6, world.ip6, 24, CLASS_WIDE, WIDE);
	bed_config.flags &= ~BH_CONFIG_TRIE4;
	configure_anew();
	expect_peer(4, &world, BH_CLASS_NONE, BH_WORKLOAD_WORLD);
	expect_peer(6, &world, CLASS_WIDE, WIDE);
	bed_config.flags ^= BH_CONFIG_TRIE4 | BH_CONFIG_TRIE6;
	configure_anew();
	expect_peer(4, &world, CLASS_WIDE, WIDE);
	expect_peer(6, &world, BH_CLASS_NONE, BH_WORKLOAD_WORLD);
}

static void removed_address_falls_back_to_its_block(void **state)
{
	block(4, remote.ip4, 8, CLASS_WIDE, WIDE);
	no_identity(&remote);
	expect_peer(4, &remote, CLASS_WIDE, WIDE);
	expect_peer(6, &remote, BH_CLASS_NONE, BH_WORKLOAD_WORLD);
}

static void families_do_not_mix(void **state)
{
	struct party mixed = world;

	/* An IPv6 address whose first bytes are remote's IPv4 address. */
	memcpy(mixed.ip6, remote.ip4, 4);
	expect_peer(6, &mixed, BH_CLASS_NONE, BH_WORKLOAD_WORLD);
}

static void peer_of_an_incoming_packet_is_its_source(void **state)
{
	struct frame f = udp(4, &remote, 5000, &web, 53);
	struct outcome outcome = to_pod(&web, &f);

	assert_int_equal(outcome.event[0].class, remote.class);
	assert_int_equal(outcome.event[0].remote, remote.workload);
	assert_int_equal(outcome.event[0].local, web.workload);
}

static void changed_workload_names_new_flows(void **state)
{
	identify(&remote, remote.class, 777);
	expect_peer(4, &remote, remote.class, 777);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(exact_address_has_its_class),
		bed_test(unknown_address_is_the_world),
		bed_test(block_answers_for_what_it_contains),
		bed_test(longest_block_wins),
		bed_test(everything_block_answers_for_the_rest),
		bed_test(exact_address_comes_before_any_block),
		bed_test(blocks_are_not_asked_while_none_is_in_use),
		bed_test(removed_address_falls_back_to_its_block),
		bed_test(families_do_not_mix),
		bed_test(peer_of_an_incoming_packet_is_its_source),
		bed_test(changed_workload_names_new_flows),
	};

	return cmocka_run_group_tests_name("identity", tests, bed_setup, bed_teardown);
}
