/* SPDX-License-Identifier: Apache-2.0 */

/* The pending program is asked and recorded, and decides nothing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

#define PENDING ISOLATED_BOTH(8)

/* web: nothing enforced; it would be allowed remote's port 80 only. */
static void dry_run(void)
{
	allow(PENDING, BH_EGRESS, remote.class, 6, 80, 80, 1);
	use(&web, BH_PROGRAM_OPEN, PENDING);
}

static void expect_would_deny(struct outcome outcome, int pending, uint32_t rule)
{
	assert_true(outcome.passed);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_WOULD_DENY);
	assert_int_equal(outcome.event[0].pending, pending);
	assert_int_equal(outcome.event[0].pending_rule, rule);
}

static void passes_and_records_what_it_would_deny(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 22, SYN);
	struct outcome outcome;

	dry_run();
	outcome = from_pod(&web, &f);
	expect(outcome, OPEN);
	expect_would_deny(outcome, BH_REASON_ISOLATED, BH_RULE_NONE);
}

static void names_the_rule_that_would_deny(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 23, SYN);

	deny(PENDING, BH_EGRESS, remote.class, 6, 23, 23, 9);
	dry_run();
	expect_would_deny(from_pod(&web, &f), BH_REASON_POLICY_DENY, 9);
}

static void says_nothing_of_what_it_would_allow(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 80, SYN);
	struct outcome outcome;

	dry_run();
	outcome = from_pod(&web, &f);
	expect(outcome, OPEN);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_NEW);
	assert_int_equal(outcome.event[0].pending, BH_REASON_POLICY);
	assert_int_equal(outcome.event[0].pending_rule, 1);
}

static void asks_once_per_flow(void **state)
{
	struct frame f = udp(4, &web, 5000, &remote, 53);
	struct outcome again;

	dry_run();
	from_pod(&web, &f);
	again = from_pod(&web, &f);
	expect_known(again);
	assert_int_equal(again.n_events, 0);
}

static void edge_carries_both_verdicts(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 22, SYN);
	const struct bh_edge_key key = {.local = web.workload,
		.remote = remote.workload,
		.port = 22,
		.protocol = 6,
		.direction = BH_EGRESS,
		.verdict = BH_REASON_OPEN,
		.pending = BH_REASON_ISOLATED,
		.family = 4};
	struct bh_edge edge;

	dry_run();
	from_pod(&web, &f);
	assert_true(edge_find(&key, &edge, NULL));
	assert_int_equal(edge.packets[0], 1);
}

static void ingress_is_recorded_at_the_receiver(void **state)
{
	struct frame f = tcp(4, &web, 40000, &db, 22, SYN);

	use(&db, BH_PROGRAM_OPEN, PENDING);
	expect(from_pod(&web, &f), NOT_ISOLATED);
	expect_would_deny(to_pod(&db, &f), BH_REASON_ISOLATED, BH_RULE_NONE);
}

static void flows_that_would_be_denied_live(void **state)
{
	use(&web, BH_PROGRAM_OPEN, PENDING);
	use(&db, BH_PROGRAM_OPEN, PENDING);
	handshake(4, &web, 40000, &db, 22);
}

static void unparsable_frames_pass_and_are_recorded(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 80, SYN | FIN);
	struct outcome outcome;

	dry_run();
	outcome = from_pod(&web, &f);
	expect(outcome, OPEN);
	expect_would_deny(outcome, BH_REASON_TCP_FLAGS, BH_RULE_NONE);
}

static void forged_frames_pass_and_are_recorded(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 80, SYN);

	memcpy(f.data + 6, db.mac, 6);
	dry_run();
	expect_would_deny(from_pod(&web, &f), BH_REASON_SPOOFED_MAC, BH_RULE_NONE);
}

static void observe_records_no_denial(void **state)
{
	struct frame good = tcp(4, &web, 40000, &remote, 22, SYN);
	struct frame bad = tcp(4, &web, 40000, &remote, 22, SYN | FIN);
	struct outcome outcome;

	use(&web, BH_PROGRAM_OPEN, BH_PROGRAM_OPEN);
	outcome = from_pod(&web, &good);
	expect(outcome, OPEN);
	assert_int_equal(outcome.event[0].type, BH_EVENT_NEW);
	outcome = from_pod(&web, &bad);
	expect(outcome, OPEN);
	assert_int_equal(outcome.n_events, 0);
}

/* One policy in dry-run beside enforced ones: both programs isolate, one says more. */
static void one_policy_in_dry_run_denies_nothing_yet(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 22, SYN);
	struct frame g = tcp(4, &web, 40000, &remote, 23, SYN);

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 22, 22, 1);
	deny(PENDING, BH_EGRESS, remote.class, 6, 22, 22, 2);
	use(&web, PROGRAM, PENDING);
	expect_would_deny(from_pod(&web, &f), BH_REASON_POLICY_DENY, 2);
	expect(from_pod(&web, &g), ISOLATED);
}

static void pending_permission_opens_nothing(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 80, SYN);
	struct outcome outcome;

	allow(PENDING, BH_EGRESS, remote.class, 6, 80, 80, 1);
	use(&web, PROGRAM, PENDING);
	outcome = from_pod(&web, &f);
	expect(outcome, ISOLATED);
	assert_int_equal(outcome.event[0].type, BH_EVENT_DENIED);
	assert_int_equal(outcome.event[0].pending, BH_REASON_POLICY);
}

/* The same packets, first in dry-run, then enforced: the records must be the drops. */
static void would_deny_is_what_enforce_then_denies(void **state)
{
	struct frame frames[] = {
		tcp(4, &web, 40000, &remote, 80, SYN),
		tcp(4, &web, 40000, &remote, 81, SYN),
		tcp(6, &web, 40000, &remote, 80, SYN),
		tcp(4, &web, 40000, &world, 80, SYN),
		udp(4, &web, 5000, &remote, 80),
		sctp(6, &web, 5000, &remote, 80),
		echo(4, &web, &remote, 8, 1),
		echo(4, &web, &remote, 0, 2),
		tcp(4, &web, 80, &remote, 40000, RST),
		tcp(4, &db, 80, &remote, 40000, SYN),
		arp(&web, 2, web.mac, db.ip4, remote.ip4),
		arp(&web, 2, web.mac, web.ip4, remote.ip4),
		dhcp_client(4, &web, db.mac),
	};
	const size_t n = sizeof(frames) / sizeof(*frames);
	int recorded[sizeof(frames) / sizeof(*frames)];

	dry_run();
	for (size_t i = 0; i < n; i++) {
		struct outcome outcome = from_pod(&web, &frames[i]);

		assert_true(outcome.passed);
		recorded[i] = outcome.n_events && outcome.event[0].type == BH_EVENT_WOULD_DENY
				      ? outcome.event[0].pending
				      : BH_REASON_NONE;
	}
	enforce(&web, PENDING);
	empty_flows();
	for (size_t i = 0; i < n; i++) {
		struct outcome outcome = from_pod(&web, &frames[i]);

		assert_int_equal(outcome.passed ? BH_REASON_NONE : outcome.reason, recorded[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(passes_and_records_what_it_would_deny),
		bed_test(names_the_rule_that_would_deny),
		bed_test(says_nothing_of_what_it_would_allow),
		bed_test(asks_once_per_flow),
		bed_test(edge_carries_both_verdicts),
		bed_test(ingress_is_recorded_at_the_receiver),
		bed_test(flows_that_would_be_denied_live),
		bed_test(unparsable_frames_pass_and_are_recorded),
		bed_test(forged_frames_pass_and_are_recorded),
		bed_test(observe_records_no_denial),
		bed_test(one_policy_in_dry_run_denies_nothing_yet),
		bed_test(pending_permission_opens_nothing),
		bed_test(would_deny_is_what_enforce_then_denies),
	};

	return cmocka_run_group_tests_name("dry-run", tests, bed_setup, bed_teardown);
}
