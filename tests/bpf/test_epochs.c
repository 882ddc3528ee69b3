/* SPDX-License-Identifier: Apache-2.0 */

/* What a change of policy does to the flows that are there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

#define OTHER ISOLATED_BOTH(8) /* allows nothing */

static const struct party *const opener = &web, *const server = &db;
static struct frame data, answer;

/* web → db:80 is allowed at both ends and established. */
static void established(int family)
{
	allow(PROGRAM, BH_EGRESS, db.class, 6, 80, 80, 1);
	allow(PROGRAM, BH_INGRESS, web.class, 6, 80, 80, 2);
	enforce(&web, PROGRAM);
	enforce(&db, PROGRAM);
	handshake(family, opener, 40000, server, 80);
	data = tcp(family, opener, 40000, server, 80, ACK | PSH);
	answer = tcp(family, server, 80, opener, 40000, ACK | PSH);
}

static void withdrawn_egress_cuts_at_the_next_packet(void **state)
{
	established(4);
	enforce(&web, OTHER);
	expect(from_pod(&web, &data), ISOLATED);
}

static void withdrawn_egress_cuts_the_answers_too(void **state)
{
	established(4);
	enforce(&web, OTHER);
	expect_known(from_pod(&db, &answer));
	expect(to_pod(&web, &answer), ISOLATED);
}

static void withdrawn_ingress_cuts_both_ways(void **state)
{
	established(4);
	enforce(&db, OTHER);
	expect_known(from_pod(&web, &data));
	expect(to_pod(&db, &data), ISOLATED);
	expect(from_pod(&db, &answer), ISOLATED);
}

static void withdrawn_ingress_cuts_ipv6(void **state)
{
	established(6);
	enforce(&db, OTHER);
	expect(between(&web, &db, &data), ISOLATED);
}

static void cut_flow_stays_cut(void **state)
{
	established(4);
	enforce(&web, OTHER);
	for (int i = 0; i < 5; i++)
		expect(from_pod(&web, &data), ISOLATED);
}

static void regranted_flow_goes_on_without_a_new_handshake(void **state)
{
	established(4);
	enforce(&web, OTHER);
	expect(from_pod(&web, &data), ISOLATED);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &data), POLICY);
	expect_known(from_pod(&web, &data));
}

static void kept_permission_costs_one_question(void **state)
{
	struct bh_flow before, after;

	established(4);
	flow_of(&data, &before);
	move_epoch(&web);
	move_epoch(&db);
	expect(from_pod(&web, &data), POLICY);
	expect(to_pod(&db, &data), POLICY);
	assert_int_equal(counter(BH_COUNTER_REJUDGED), 2);
	expect_known(between(&web, &db, &data));
	expect_known(between(&db, &web, &answer));
	assert_int_equal(counter(BH_COUNTER_REJUDGED), 2);
	flow_of(&data, &after);
	assert_int_equal(after.packets[0], before.packets[0] + 2);
	assert_int_equal(after.state, BH_FLOW_ESTABLISHED);
}

static void one_pods_epoch_leaves_the_other_leg_alone(void **state)
{
	established(4);
	move_epoch(&db);
	expect_known(from_pod(&web, &data));
	expect(to_pod(&db, &data), POLICY);
}

static void no_event_tells_of_a_flow_that_goes_on(void **state)
{
	struct outcome outcome;

	established(4);
	move_epoch(&web);
	outcome = from_pod(&web, &data);
	assert_int_equal(outcome.n_events, 0);
}

static void changed_class_of_the_peer_cuts(void **state)
{
	established(4);
	identify(&db, 999, db.workload);
	move_epoch(&web);
	expect(from_pod(&web, &data), ISOLATED);
}

static void changed_class_grants(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &remote, 80, SYN);

	established(4);
	expect(from_pod(&web, &syn), ISOLATED);
	identify(&remote, db.class, remote.workload);
	expect(from_pod(&web, &syn), POLICY);
}

static void rule_in_the_flow_is_the_one_in_force(void **state)
{
	struct bh_flow flow;

	established(4);
	allow(OTHER, BH_EGRESS, db.class, 6, 1, 1000, 77);
	enforce(&web, OTHER);
	from_pod(&web, &data);
	flow_of(&data, &flow);
	assert_int_equal(flow.rule[0], 77);
	assert_int_equal(flow.rule[1], 2);
}

static void answered_datagrams_are_cut_too(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);
	struct frame reply = udp(4, &remote, 53, &web, 5000);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	from_pod(&web, &question);
	expect_known(to_pod(&web, &reply));
	enforce(&web, OTHER);
	expect(to_pod(&web, &reply), ISOLATED);
	expect(from_pod(&web, &question), ISOLATED);
}

static void denied_ingress_is_judged_anew_after_a_grant(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	enforce(&db, OTHER);
	expect(between(&web, &db, &syn), ISOLATED);
	allow(PROGRAM, BH_INGRESS, web.class, 6, 80, 80, 2);
	enforce(&db, PROGRAM);
	expect(between(&web, &db, &syn), POLICY);
}

static void slot_without_epoch_is_no_endpoint(void **state)
{
	const struct bh_endpoint none = {.ifindex = web.ifindex};
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	bed_endpoint_store(&web, &none);
	expect(from_pod(&web, &syn), NO_ENDPOINT);
}

static void removed_pod_loses_its_flows(void **state)
{
	const struct bh_endpoint none = {0};

	established(4);
	bed_endpoint_store(&web, &none);
	forget_interface(&web);
	expect(from_pod(&web, &data), NO_ENDPOINT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(withdrawn_egress_cuts_at_the_next_packet),
		bed_test(withdrawn_egress_cuts_the_answers_too),
		bed_test(withdrawn_ingress_cuts_both_ways),
		bed_test(withdrawn_ingress_cuts_ipv6),
		bed_test(cut_flow_stays_cut),
		bed_test(regranted_flow_goes_on_without_a_new_handshake),
		bed_test(kept_permission_costs_one_question),
		bed_test(one_pods_epoch_leaves_the_other_leg_alone),
		bed_test(no_event_tells_of_a_flow_that_goes_on),
		bed_test(changed_class_of_the_peer_cuts),
		bed_test(changed_class_grants),
		bed_test(rule_in_the_flow_is_the_one_in_force),
		bed_test(answered_datagrams_are_cut_too),
		bed_test(denied_ingress_is_judged_anew_after_a_grant),
		bed_test(slot_without_epoch_is_no_endpoint),
		bed_test(removed_pod_loses_its_flows),
	};

	return cmocka_run_group_tests_name("epochs", tests, bed_setup, bed_teardown);
}
