/* SPDX-License-Identifier: Apache-2.0 */

/* A TCP segment of no known flow: after an upgrade, after eviction, or out of thin air. */

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

/* A data segment from `sport` of the first to `dport` of the second. */
static struct frame segment(
	const struct party *from, uint16_t sport, const struct party *to, uint16_t dport)
{
	return tcp(4, from, sport, to, dport, ACK | PSH);
}

static void takes_up_what_the_source_may_have_opened(void **state)
{
	struct frame f = segment(&web, 40000, &remote, 80);
	struct bh_flow flow;

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), POLICY);
	assert_int_equal(flow_of(&f, &flow), HALF_OPEN);
	assert_true(flow.flags & BH_FLOW_MIDSTREAM);
	assert_int_equal(flow.opener, 0);
	assert_int_equal(counter(BH_COUNTER_MIDSTREAM), 1);
}

static void takes_up_what_the_destination_may_have_opened(void **state)
{
	struct frame f = segment(&web, 80, &remote, 40000);
	struct bh_flow flow;

	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), POLICY);
	flow_of(&f, &flow);
	assert_int_equal(flow.opener, 1);
}

static void takes_up_towards_a_pod(void **state)
{
	struct frame in = segment(&remote, 40000, &web, 80);
	struct frame answer = segment(&remote, 443, &web, 50000);

	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 1);
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 443, 443, 2);
	enforce(&web, PROGRAM);
	expect(to_pod(&web, &in), POLICY);
	expect(to_pod(&web, &answer), POLICY);
}

static void denies_what_neither_end_may_have_opened(void **state)
{
	struct frame f = segment(&web, 40000, &remote, 22);

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 2);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), ISOLATED);
	assert_int_equal(flow_of(&f, NULL), NOWHERE);
}

static void syn_ack_is_only_an_answer(void **state)
{
	struct frame answer = tcp(4, &web, 80, &remote, 40000, SYN | ACK);
	struct frame probe = tcp(4, &web, 40000, &remote, 443, SYN | ACK);

	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 1);
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 443, 443, 2);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &answer), POLICY);
	expect(from_pod(&web, &probe), ISOLATED);
}

static void reset_passes_and_leaves_no_flow(void **state)
{
	struct frame allowed = tcp(4, &web, 80, &remote, 40000, RST);
	struct frame denied = tcp(4, &web, 81, &remote, 40000, RST);

	allow(PROGRAM, BH_INGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &allowed), POLICY);
	expect(from_pod(&web, &denied), ISOLATED);
	assert_int_equal(flow_count(4, HALF_OPEN), 0);
}

static void waits_in_the_half_open_table_for_the_other_end(void **state)
{
	struct frame out = segment(&web, 40000, &remote, 80),
		     in = segment(&remote, 80, &web, 40000);

	for (int i = 0; i < 3; i++)
		from_pod(&web, &out);
	assert_int_equal(flow_of(&out, NULL), HALF_OPEN);
	expect_known(to_pod(&web, &in));
	assert_int_equal(flow_of(&out, NULL), SETTLED);
}

static void denies_where_the_ends_believe_in_different_openers(void **state)
{
	const uint32_t webs = ISOLATED_BOTH(8), dbs = ISOLATED_BOTH(9);
	struct frame f = segment(&web, 40000, &db, 50000);

	allow(webs, BH_EGRESS, db.class, 6, 50000, 50000, 1); /* web → db:50000 … */
	allow(dbs, BH_EGRESS, web.class, 6, 40000, 40000, 2); /* … or db → web:40000 */
	enforce(&web, webs);
	enforce(&db, dbs);
	expect(from_pod(&web, &f), POLICY);
	expect(to_pod(&db, &f), ISOLATED);
	expect(to_pod(&db, &f), ISOLATED);
}

static void passes_where_the_ends_agree_on_an_opener(void **state)
{
	const uint32_t webs = ISOLATED_BOTH(8), dbs = ISOLATED_BOTH(9);
	struct frame f = segment(&web, 40000, &db, 50000), back = segment(&db, 50000, &web, 40000);

	allow(webs, BH_EGRESS, db.class, 6, 50000, 50000, 1);
	allow(dbs, BH_INGRESS, web.class, 6, 50000, 50000, 2);
	allow(dbs, BH_EGRESS, web.class, 6, 40000, 40000, 3);
	enforce(&web, webs);
	enforce(&db, dbs);
	expect(between(&web, &db, &f), POLICY);
	expect_known(between(&db, &web, &back));
	assert_int_equal(flow_of(&f, NULL), SETTLED);
}

/* Both hypotheses hold; the lower port is the service, and edge, rule and direction say so. */
static void guesses(uint16_t sport, uint16_t dport, enum bh_direction direction, uint32_t rule)
{
	struct frame f = segment(&web, sport, &remote, dport);
	const struct bh_edge_key key = {.local = web.workload,
		.remote = remote.workload,
		.port = 80,
		.protocol = 6,
		.direction = direction,
		.verdict = BH_REASON_POLICY,
		.pending = BH_REASON_POLICY,
		.family = 4};
	struct bh_edge_ref ref;
	struct outcome outcome;
	struct bh_flow flow;

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 0, 65535, 1);
	allow(PROGRAM, BH_INGRESS, remote.class, 6, 0, 65535, 2);
	enforce(&web, PROGRAM);
	outcome = from_pod(&web, &f);
	expect(outcome, POLICY);
	flow_of(&f, &flow);
	assert_int_equal(flow.opener, direction == BH_EGRESS ? 0 : 1);
	assert_true(edge_find(&key, NULL, &ref));
	assert_int_equal(ref.rule, rule);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].direction, direction);
	assert_int_equal(outcome.event[0].rule, rule);
	assert_int_equal(htobe16(80), outcome.event[0].dport);
}

static void guesses_that_the_lower_port_was_opened_by_the_source(void **state)
{
	guesses(40000, 80, BH_EGRESS, 1);
}

static void guesses_that_the_lower_port_was_opened_by_the_destination(void **state)
{
	guesses(80, 40000, BH_INGRESS, 2);
}

static void syn_ends_the_guessing(void **state)
{
	struct frame f = segment(&web, 40000, &remote, 80);
	struct frame syn = tcp(4, &web, 40000, &remote, 80, SYN);
	struct bh_flow flow;

	from_pod(&web, &f);
	expect(from_pod(&web, &syn), NOT_ISOLATED);
	flow_of(&syn, &flow);
	assert_false(flow.flags & BH_FLOW_MIDSTREAM);
}

static void closing_segment_is_taken_up_too(void **state)
{
	struct frame fin = tcp(4, &web, 40000, &remote, 80, FIN | ACK);

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &fin), POLICY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(takes_up_what_the_source_may_have_opened),
		bed_test(takes_up_what_the_destination_may_have_opened),
		bed_test(takes_up_towards_a_pod),
		bed_test(denies_what_neither_end_may_have_opened),
		bed_test(syn_ack_is_only_an_answer),
		bed_test(reset_passes_and_leaves_no_flow),
		bed_test(waits_in_the_half_open_table_for_the_other_end),
		bed_test(denies_where_the_ends_believe_in_different_openers),
		bed_test(passes_where_the_ends_agree_on_an_opener),
		bed_test(guesses_that_the_lower_port_was_opened_by_the_source),
		bed_test(guesses_that_the_lower_port_was_opened_by_the_destination),
		bed_test(syn_ends_the_guessing),
		bed_test(closing_segment_is_taken_up_too),
	};

	return cmocka_run_group_tests_name("midstream", tests, bed_setup, bed_teardown);
}
