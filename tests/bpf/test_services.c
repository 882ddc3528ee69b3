/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Services: a pod's packet to a service's address is let through where its backends differ, and its
 * egress is asked about the one it got, after the rewrite: at a local backend's veth, or where the
 * packet leaves the node. The rewrite itself is done by hand here: what goes in at one hook is not
 * what goes in at the next.
 *
 * web is the client, db and remote are backends, third is nobody's. The service's port is 80, the
 * backends' is 8080.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_EGRESS(7)
#define OTHER ISOLATED_EGRESS(8)

static const struct party service = {.name = "service",
	.mac = {2, 0, 0, 0, 0, 0xfe},
	.ip4 = {10, 96, 0, 1},
	.ip6 = {0xfd, 0, 0, 0x96, [15] = 1},
	.class = 400,
	.workload = 40};

/* web may reach the given class at port 8080, and the service as far as its backends allow. */
static void defers(uint32_t class)
{
	identify_service(&service);
	defer(PROGRAM, service.class, 6, 80, 80);
	defer(PROGRAM, service.class, 17, 80, 80);
	if (class) {
		allow(PROGRAM, BH_EGRESS, class, 6, 8080, 8080, 1);
		allow(PROGRAM, BH_EGRESS, class, 17, 8080, 8080, 1);
	}
	enforce(&web, PROGRAM);
}

static uint32_t tag_of(const struct party *pod)
{
	return BH_TAG | pod->slot;
}

static struct frame request(int family, const struct party *from, const struct party *to, int flags)
{
	return tcp(family, from, 40000, to, 8080, flags);
}

static struct frame answer(int family, const struct party *from, const struct party *to, int flags)
{
	return tcp(family, from, 8080, to, 40000, flags);
}

static void expect_dropped_by_egress(struct outcome outcome, int hook, int reason)
{
	assert_false(outcome.passed);
	assert_int_equal(outcome.reason, reason);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_DENIED);
	assert_int_equal(outcome.event[0].hook, hook);
	assert_int_equal(outcome.event[0].direction, BH_EGRESS);
	assert_int_equal(outcome.event[0].slot, web.slot);
	assert_int_equal(outcome.event[0].ifindex, web.ifindex);
	assert_int_equal(outcome.event[0].local, web.workload);
}

/* The flow is known at both ends: its edges count it, and nobody is asked. */
static void expect_settled(struct outcome outcome, unsigned legs)
{
	assert_true(outcome.passed);
	assert_int_equal(outcome.counted, 0);
	assert_int_equal(outcome.edges, legs);
	assert_int_equal(outcome.n_events, 0);
}

/* Handshake of the rewritten flow at a local backend's veth; `worn`: whose address it wears. */
static void open_at(int family, const struct party *worn, const struct party *backend)
{
	struct frame syn = request(family, worn, backend, SYN);
	struct frame syn_ack = answer(family, backend, worn, SYN | ACK);
	struct frame ack = request(family, worn, backend, ACK);

	assert_true(marked_to_pod(backend, &syn, tag_of(&web)).passed);
	assert_true(from_pod(backend, &syn_ack).passed);
	assert_true(marked_to_pod(backend, &ack, tag_of(&web)).passed);
	assert_int_equal(flow_of(&ack, NULL), SETTLED);
}

/* … and where it leaves the node, towards remote. */
static void open_leaving(int family, const struct party *worn)
{
	struct frame syn = request(family, worn, &remote, SYN);
	struct frame syn_ack = answer(family, &remote, worn, SYN | ACK);
	struct frame ack = request(family, worn, &remote, ACK);

	assert_true(leaving_marked(&syn, tag_of(&web)).passed);
	assert_true(arriving(&syn_ack).passed);
	assert_true(leaving_marked(&ack, tag_of(&web)).passed);
	assert_int_equal(flow_of(&ack, NULL), SETTLED);
}

/* ---- At the client's own hook ---------------------------------------------------------------- */

static void lets_through_and_marks_what_it_defers(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame f = tcp(family, &web, 40000, &service, 80, SYN);
		uint32_t mark;

		bed_reset(NULL);
		defers(db.class);
		expect(marked_from_pod(&web, &f, 0, &mark), SERVICE);
		assert_int_equal(mark, tag_of(&web));
		/* Every packet, not only the first. */
		expect_known(marked_from_pod(&web, &f, 0, &mark));
		assert_int_equal(mark, tag_of(&web));
	}
}

static void marks_every_packet_of_an_established_flow(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &service, 80, SYN);
	struct frame syn_ack = tcp(4, &service, 80, &web, 40000, SYN | ACK);
	struct frame ack = tcp(4, &web, 40000, &service, 80, ACK);
	uint32_t mark;

	defers(db.class);
	from_pod(&web, &syn);
	expect_known(to_pod(&web, &syn_ack));
	from_pod(&web, &ack);
	assert_int_equal(flow_of(&ack, NULL), SETTLED);
	expect_known(marked_from_pod(&web, &ack, 0, &mark));
	assert_int_equal(mark, tag_of(&web));
	expect_known(to_pod(&web, &syn_ack));
}

static void marks_a_service_whatever_allows_it(void **state)
{
	struct frame f = tcp(4, &web, 40000, &service, 80, SYN);
	uint32_t mark;

	identify_service(&service);
	expect(marked_from_pod(&web, &f, 0, &mark), NOT_ISOLATED);
	assert_int_equal(mark, tag_of(&web));
	bed_reset(NULL);
	identify_service(&service);
	allow(PROGRAM, BH_EGRESS, service.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	expect(marked_from_pod(&web, &f, 0, &mark), POLICY);
	assert_int_equal(mark, tag_of(&web));
}

static void wipes_the_mark_a_pod_gave_itself(void **state)
{
	struct frame f = tcp(4, &web, 40000, &remote, 80, SYN);
	uint32_t mark;

	marked_from_pod(&web, &f, tag_of(&db), &mark);
	assert_int_equal(mark, BH_TAG);
	expect_known(marked_from_pod(&web, &f, tag_of(&db), &mark));
	assert_int_equal(mark, BH_TAG);
}

static void other_ports_of_a_service_are_denied(void **state)
{
	struct frame f = tcp(4, &web, 40000, &service, 81, SYN);

	defers(db.class);
	expect(from_pod(&web, &f), ISOLATED);
}

static void defers_from_a_spilled_list(void **state)
{
	struct frame f = tcp(4, &web, 40000, &service, 80, SYN);

	identify_service(&service);
	spill(PROGRAM, BH_EGRESS, service.class, 6, 80, 16, 0, BH_RULE_DEFER);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), SERVICE);
}

static void defers_to_a_service_only(void **state)
{
	struct frame out = tcp(4, &web, 40000, &remote, 80, SYN);
	struct frame in = tcp(4, &remote, 40000, &web, 80, SYN);
	const struct bh_rule rule = {
		.protocol = 6, .flags = BH_RULE_DEFER, .port_lo = 80, .port_hi = 80};
	const struct bh_policy_key key = {.program = ISOLATED_BOTH(9), .class_dir = remote.class};
	const struct bh_policy policy = {.n_rules = 1, .rules = {rule}};
	const uint32_t program = ISOLATED_BOTH(9);

	defer(program, remote.class, 6, 80, 80);
	assert_int_equal(bpf_map_update_elem(bed_map("bh_policies"), &key, &policy, 0), 0);
	enforce(&web, program);
	expect(from_pod(&web, &out), ISOLATED);
	expect(to_pod(&web, &in), ISOLATED);
}

/* ---- At a local backend ---------------------------------------------------------------------- */

static void allowed_backend_gets_it(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame data = request(family, &web, &db, ACK | PSH);
		struct frame back = answer(family, &db, &web, ACK);

		bed_reset(NULL);
		defers(db.class);
		open_at(family, &web, &db);
		expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
		expect_settled(from_pod(&db, &back), 2);
		/* Somebody behind us has wiped the mark. */
		expect_settled(to_pod(&db, &data), 2);
	}
}

static void another_backend_does_not(void **state)
{
	struct frame syn = request(4, &web, &third, SYN), syn6 = request(6, &web, &third, SYN);
	struct outcome outcome;

	defers(db.class);
	outcome = marked_to_pod(&third, &syn, tag_of(&web));
	expect(outcome, ISOLATED);
	expect_dropped_by_egress(outcome, BH_HOOK_TO_POD, BH_REASON_ISOLATED);
	assert_int_equal(outcome.event[0].remote, third.workload);
	assert_int_equal(flow_of(&syn, NULL), NOWHERE);
	expect(marked_to_pod(&third, &syn6, tag_of(&web)), ISOLATED);
}

static void the_backends_port_is_what_counts(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	defers(db.class);
	expect(marked_to_pod(&db, &syn, tag_of(&web)), ISOLATED);
}

static void a_deny_rule_of_the_backend_is_named(void **state)
{
	struct frame syn = request(4, &web, &third, SYN);
	struct outcome outcome;

	deny(PROGRAM, BH_EGRESS, third.class, 6, 8080, 8080, 9);
	defers(db.class);
	outcome = marked_to_pod(&third, &syn, tag_of(&web));
	expect_dropped_by_egress(outcome, BH_HOOK_TO_POD, BH_REASON_POLICY_DENY);
	assert_int_equal(outcome.event[0].rule, 9);
}

static void a_backend_that_is_a_service_is_not_deferred_twice(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &service, 80, SYN);

	defers(db.class);
	expect_dropped_by_egress(
		leaving_marked(&syn, tag_of(&web)), BH_HOOK_LEAVING, BH_REASON_ISOLATED);
}

static void the_backends_ingress_is_told_apart(void **state)
{
	struct frame syn = request(4, &web, &db, SYN);
	struct outcome outcome;

	defers(db.class);
	enforce(&db, ISOLATED_INGRESS(9));
	outcome = marked_to_pod(&db, &syn, tag_of(&web));
	assert_false(outcome.passed);
	assert_int_equal(outcome.event[outcome.n_events - 1].type, BH_EVENT_DENIED);
	assert_int_equal(outcome.event[outcome.n_events - 1].direction, BH_INGRESS);
	assert_int_equal(outcome.event[outcome.n_events - 1].slot, db.slot);
	assert_int_equal(outcome.event[outcome.n_events - 1].reason, BH_REASON_ISOLATED);
}

static void both_ends_have_their_edge(void **state)
{
	struct bh_edge_key key = {.local = web.workload,
		.remote = db.workload,
		.port = 8080,
		.protocol = 6,
		.direction = BH_EGRESS,
		.verdict = BH_REASON_POLICY,
		.pending = BH_REASON_POLICY,
		.flags = BH_EDGE_PEER_LOCAL,
		.family = 4};
	struct frame back = answer(4, &db, &web, ACK), data = request(4, &web, &db, ACK | PSH);
	struct bh_edge edge;

	defers(db.class);
	open_at(4, &web, &db);
	marked_to_pod(&db, &data, tag_of(&web));
	from_pod(&db, &back);
	assert_true(edge_find(&key, &edge, NULL));
	assert_int_equal(edge.flows, 1);
	assert_int_equal(edge.packets[0], 3);
	assert_int_equal(edge.packets[1], 2);
	key.local = db.workload;
	key.remote = web.workload;
	key.direction = BH_INGRESS;
	key.verdict = key.pending = BH_REASON_NOT_ISOLATED;
	assert_true(edge_find(&key, &edge, NULL));
	assert_int_equal(edge.flows, 1);
	assert_int_equal(edge.packets[0], 2);
	assert_int_equal(edge.packets[1], 3);
}

static void the_flow_is_counted_once_and_begins_once(void **state)
{
	struct frame syn = request(4, &web, &db, SYN), data = request(4, &web, &db, ACK | PSH);
	struct frame back = answer(4, &db, &web, SYN | ACK);
	struct outcome outcome;
	struct bh_flow flow;

	defers(db.class);
	outcome = marked_to_pod(&db, &syn, tag_of(&web));
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_NEW);
	assert_int_equal(outcome.event[0].direction, BH_EGRESS);
	from_pod(&db, &back);
	for (int i = 0; i < 3; i++)
		marked_to_pod(&db, &data, tag_of(&web));
	assert_int_equal(flow_of(&data, &flow), SETTLED);
	assert_int_equal(flow.packets[0] + flow.packets[1], 5);
	assert_int_equal(flow.opener == 0 ? flow.packets[0] : flow.packets[1], 4);
}

static void closing_is_told_once(void **state)
{
	struct frame fin = request(4, &web, &db, FIN | ACK), back = answer(4, &db, &web, FIN | ACK);
	struct frame last = request(4, &web, &db, ACK);
	struct outcome outcome;

	defers(db.class);
	open_at(4, &web, &db);
	assert_int_equal(marked_to_pod(&db, &fin, tag_of(&web)).n_events, 0);
	assert_int_equal(from_pod(&db, &back).n_events, 0);
	outcome = marked_to_pod(&db, &last, tag_of(&web));
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_CLOSED);
	assert_int_equal(outcome.event[0].direction, BH_EGRESS);
	assert_int_equal(outcome.event[0].local, web.workload);
	assert_int_equal(outcome.event[0].remote, db.workload);
}

static void withdrawn_permission_cuts_both_directions(void **state)
{
	struct frame data = request(4, &web, &db, ACK | PSH), back = answer(4, &db, &web, ACK);

	defers(db.class);
	open_at(4, &web, &db);
	defer(OTHER, service.class, 6, 80, 80);
	enforce(&web, OTHER);
	expect_dropped_by_egress(from_pod(&db, &back), BH_HOOK_FROM_POD, BH_REASON_ISOLATED);
	expect_dropped_by_egress(
		marked_to_pod(&db, &data, tag_of(&web)), BH_HOOK_TO_POD, BH_REASON_ISOLATED);
	assert_false(from_pod(&db, &back).passed);
	/* And granting it again brings the connection back. */
	enforce(&web, PROGRAM);
	assert_true(from_pod(&db, &back).passed);
	expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
}

static void withdrawn_ingress_cuts_it_as_ever(void **state)
{
	struct frame data = request(4, &web, &db, ACK | PSH), back = answer(4, &db, &web, ACK);

	defers(db.class);
	open_at(4, &web, &db);
	enforce(&db, ISOLATED_INGRESS(9));
	assert_false(marked_to_pod(&db, &data, tag_of(&web)).passed);
	assert_false(from_pod(&db, &back).passed);
}

static void an_epoch_costs_an_open_flow_nothing_but_the_question(void **state)
{
	struct frame data = request(4, &web, &db, ACK | PSH), back = answer(4, &db, &web, ACK);

	defers(db.class);
	open_at(4, &web, &db);
	move_epoch(&web);
	assert_true(from_pod(&db, &back).passed);
	expect_settled(from_pod(&db, &back), 2);
	move_epoch(&web);
	move_epoch(&db);
	assert_true(marked_to_pod(&db, &data, tag_of(&web)).passed);
	expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
}

static void datagrams_too(void **state)
{
	struct frame question = udp(4, &web, 5000, &db, 8080);
	struct frame reply = udp(4, &db, 8080, &web, 5000);
	struct frame wrong = udp(4, &web, 5000, &third, 8080);

	defers(db.class);
	assert_true(marked_to_pod(&db, &question, tag_of(&web)).passed);
	assert_true(from_pod(&db, &reply).passed);
	assert_int_equal(flow_of(&reply, NULL), SETTLED);
	expect_settled(marked_to_pod(&db, &question, tag_of(&web)), 2);
	expect_settled(from_pod(&db, &reply), 2);
	expect(marked_to_pod(&third, &wrong, tag_of(&web)), ISOLATED);
	enforce(&web, OTHER);
	expect_dropped_by_egress(from_pod(&db, &reply), BH_HOOK_FROM_POD, BH_REASON_ISOLATED);
	assert_false(marked_to_pod(&db, &question, tag_of(&web)).passed);
}

static void a_segment_without_its_flow_is_taken_up(void **state)
{
	struct frame data = request(4, &web, &db, ACK | PSH), back = answer(4, &db, &web, ACK);
	struct frame wrong = request(4, &web, &third, ACK | PSH);

	defers(db.class);
	assert_true(marked_to_pod(&db, &data, tag_of(&web)).passed);
	assert_true(from_pod(&db, &back).passed);
	expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
	assert_int_equal(flow_of(&data, NULL), SETTLED);
	expect(marked_to_pod(&third, &wrong, tag_of(&web)), ISOLATED);
	/* Its answer comes first. */
	empty_flows();
	assert_true(from_pod(&db, &back).passed);
	assert_true(marked_to_pod(&db, &data, tag_of(&web)).passed);
	expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
	expect_settled(from_pod(&db, &back), 2);
}

static void errors_about_a_rewritten_flow(void **state)
{
	struct frame data = request(4, &web, &db, ACK | PSH), back = answer(4, &db, &web, ACK);
	struct frame about_data = icmp_error(&db, &web, &data, 28);
	struct frame about_back = icmp_error(&web, &db, &back, 28);

	defers(db.class);
	open_at(4, &web, &db);
	expect(from_pod(&db, &about_data), ICMP_ERROR);
	expect(to_pod(&db, &about_back), ICMP_ERROR);
	enforce(&web, OTHER);
	assert_false(marked_to_pod(&db, &data, tag_of(&web)).passed);
	expect(from_pod(&db, &about_data), ICMP_NO_FLOW);
	expect(to_pod(&db, &about_back), ICMP_NO_FLOW);
}

static void would_deny_is_recorded_at_the_backend(void **state)
{
	struct frame out = tcp(4, &web, 40000, &service, 80, SYN);
	struct frame syn = request(4, &web, &third, SYN);
	struct outcome outcome;
	uint32_t mark;

	defers(db.class);
	use(&web, BH_PROGRAM_OPEN, PROGRAM);
	outcome = marked_from_pod(&web, &out, 0, &mark);
	expect(outcome, OPEN);
	assert_int_equal(outcome.event[0].pending, BH_REASON_SERVICE);
	assert_int_equal(mark, tag_of(&web));
	outcome = marked_to_pod(&third, &syn, mark);
	assert_true(outcome.passed);
	assert_int_equal(outcome.event[0].type, BH_EVENT_WOULD_DENY);
	assert_int_equal(outcome.event[0].direction, BH_EGRESS);
	assert_int_equal(outcome.event[0].slot, web.slot);
	assert_int_equal(outcome.event[0].remote, third.workload);
	assert_int_equal(outcome.event[0].pending, BH_REASON_ISOLATED);
}

static void a_flow_its_own_hook_has_seen_is_not_asked_again(void **state)
{
	struct frame f = request(4, &web, &db, SYN);

	enforce(&web, BH_PROGRAM_NONE);
	expect(from_pod(&web, &f), NOT_ISOLATED);
	/* One leg, the receiver's; and it is the only one counted. */
	expect(to_pod(&db, &f), NOT_ISOLATED);
	assert_int_equal(marked_to_pod(&db, &f, BH_TAG).edges, 1);
	assert_int_equal(leaving_marked(&f, 0).edges, 0);
	assert_int_equal(leaving_marked(&f, tag_of(&web)).edges, 0);
}

static void without_a_mark_the_source_address_tells(void **state)
{
	struct frame good = request(4, &web, &db, SYN), bad = request(4, &web, &third, SYN);
	struct frame bad6 = request(6, &web, &third, SYN);

	defers(db.class);
	assert_true(to_pod(&db, &good).passed);
	expect_dropped_by_egress(to_pod(&third, &bad), BH_HOOK_TO_POD, BH_REASON_ISOLATED);
	expect_dropped_by_egress(to_pod(&third, &bad6), BH_HOOK_TO_POD, BH_REASON_ISOLATED);
}

static void a_new_pod_does_not_ride_the_dead_ones_flow(void **state)
{
	struct frame data = request(4, &web, &db, ACK | PSH);

	defers(db.class);
	open_at(4, &web, &db);
	enforce(&web, OTHER);
	reborn(&web);
	expect_dropped_by_egress(
		marked_to_pod(&db, &data, tag_of(&web)), BH_HOOK_TO_POD, BH_REASON_ISOLATED);
}

/* ---- Masquerade ------------------------------------------------------------------------------ */

static void masqueraded_is_judged_as_its_sender(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame data = request(family, &node, &db, ACK | PSH);
		struct frame back = answer(family, &db, &node, ACK);
		struct frame bad = request(family, &node, &third, SYN);

		bed_reset(NULL);
		defers(db.class);
		allow(ISOLATED_BOTH(9), BH_INGRESS, web.class, 6, 8080, 8080, 2);
		enforce(&db, ISOLATED_BOTH(9));
		open_at(family, &node, &db);
		expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
		expect_settled(from_pod(&db, &back), 2);
		expect_dropped_by_egress(marked_to_pod(&third, &bad, tag_of(&web)), BH_HOOK_TO_POD,
			BH_REASON_ISOLATED);
		/* The backend's own epoch: its peer is still web, whatever it answers to. */
		move_epoch(&db);
		assert_true(from_pod(&db, &back).passed);
		expect_settled(marked_to_pod(&db, &data, tag_of(&web)), 2);
	}
}

static void masqueraded_ingress_names_the_sender(void **state)
{
	struct frame syn = request(4, &node, &db, SYN);
	struct outcome outcome;

	defers(db.class);
	enforce(&db, ISOLATED_INGRESS(9));
	outcome = marked_to_pod(&db, &syn, tag_of(&web));
	assert_false(outcome.passed);
	assert_int_equal(outcome.event[outcome.n_events - 1].direction, BH_INGRESS);
	assert_int_equal(outcome.event[outcome.n_events - 1].remote, web.workload);
	assert_int_equal(outcome.event[outcome.n_events - 1].class, web.class);
}

static void unmarked_it_is_who_it_says_and_not_the_node(void **state)
{
	struct frame syn = request(4, &node, &db, SYN);

	allow(ISOLATED_INGRESS(9), BH_INGRESS, web.class, 6, 8080, 8080, 2);
	enforce(&db, ISOLATED_INGRESS(9));
	expect(to_pod(&db, &syn), ISOLATED);
	allow(ISOLATED_INGRESS(10), BH_INGRESS, node.class, 6, 8080, 8080, 2);
	enforce(&db, ISOLATED_INGRESS(10));
	expect(to_pod(&db, &syn), POLICY);
}

static void nobody_else_rides_a_masqueraded_flow(void **state)
{
	struct frame data = request(4, &node, &db, ACK | PSH);

	defers(db.class);
	allow(ISOLATED_BOTH(9), BH_INGRESS, web.class, 6, 8080, 8080, 2);
	enforce(&db, ISOLATED_BOTH(9));
	open_at(4, &node, &db);
	expect(to_pod(&db, &data), ISOLATED);
	/* Another pod of this node, whose egress allows it: the backend's ingress does not. */
	assert_false(marked_to_pod(&db, &data, tag_of(&third)).passed);
}

static void a_pod_reaches_itself(void **state)
{
	struct frame syn = request(4, &node, &web, SYN),
		     syn_ack = answer(4, &web, &node, SYN | ACK);
	struct frame ack = request(4, &node, &web, ACK);
	struct outcome outcome;

	defers(db.class);
	enforce(&web, ISOLATED_BOTH(9));
	outcome = marked_to_pod(&web, &syn, tag_of(&web));
	assert_true(outcome.passed);
	assert_int_equal(outcome.reason, BH_REASON_SELF);
	expect_settled(from_pod(&web, &syn_ack), 2);
	assert_true(marked_to_pod(&web, &ack, tag_of(&web)).passed);
	expect_settled(marked_to_pod(&web, &ack, tag_of(&web)), 2);
	/* Its answers keep their verdict over an epoch. */
	move_epoch(&web);
	assert_true(from_pod(&web, &syn_ack).passed);
	/* From outside, in the same clothes. */
	assert_false(to_pod(&web, &ack).passed);
	assert_false(marked_to_pod(&web, &ack, tag_of(&third)).passed);
}

static void its_address_alone_is_not_the_pod_itself(void **state)
{
	struct frame syn = request(4, &web, &web, SYN), own = tcp(4, &web, 8080, &web, 40000, SYN);

	enforce(&web, ISOLATED_BOTH(9));
	expect(to_pod(&web, &syn), ISOLATED);
	assert_true(marked_to_pod(&web, &syn, tag_of(&web)).passed);
	expect(to_pod(&web, &syn), ISOLATED);
	expect(to_pod(&web, &own), ISOLATED);
}

/* ---- Where it leaves the node ---------------------------------------------------------------- */

static void allowed_backend_elsewhere(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame data = request(family, &web, &remote, ACK | PSH);
		struct frame back = answer(family, &remote, &web, ACK);

		bed_reset(NULL);
		defers(remote.class);
		open_leaving(family, &web);
		expect_settled(leaving_marked(&data, tag_of(&web)), 1);
		expect_settled(leaving_marked(&data, 0), 1);
		expect_settled(arriving(&back), 1);
	}
}

static void another_backend_elsewhere(void **state)
{
	struct frame syn = request(4, &web, &remote, SYN),
		     question = udp(6, &web, 1, &remote, 8080);
	struct outcome outcome;

	defers(db.class);
	outcome = leaving_marked(&syn, tag_of(&web));
	expect_dropped_by_egress(outcome, BH_HOOK_LEAVING, BH_REASON_ISOLATED);
	assert_int_equal(outcome.event[0].remote, remote.workload);
	expect_dropped_by_egress(leaving_marked(&syn, 0), BH_HOOK_LEAVING, BH_REASON_ISOLATED);
	expect_dropped_by_egress(
		leaving_marked(&question, tag_of(&web)), BH_HOOK_LEAVING, BH_REASON_ISOLATED);
}

static void withdrawn_permission_cuts_both_directions_elsewhere(void **state)
{
	struct frame data = request(4, &web, &remote, ACK | PSH);
	struct frame back = answer(4, &remote, &web, ACK);

	defers(remote.class);
	open_leaving(4, &web);
	enforce(&web, OTHER);
	expect_dropped_by_egress(arriving(&back), BH_HOOK_ARRIVING, BH_REASON_ISOLATED);
	expect_dropped_by_egress(
		leaving_marked(&data, tag_of(&web)), BH_HOOK_LEAVING, BH_REASON_ISOLATED);
	enforce(&web, PROGRAM);
	assert_true(arriving(&back).passed);
	expect_settled(leaving_marked(&data, tag_of(&web)), 1);
}

static void masqueraded_elsewhere(void **state)
{
	struct frame data = request(4, &node, &remote, ACK | PSH);
	struct frame back = answer(4, &remote, &node, ACK);
	struct frame bad = tcp(4, &node, 40000, &remote, 9090, SYN);

	defers(remote.class);
	open_leaving(4, &node);
	expect_settled(leaving_marked(&data, tag_of(&web)), 1);
	expect_settled(arriving(&back), 1);
	expect_dropped_by_egress(
		leaving_marked(&bad, tag_of(&web)), BH_HOOK_LEAVING, BH_REASON_ISOLATED);
	enforce(&web, OTHER);
	expect_dropped_by_egress(arriving(&back), BH_HOOK_ARRIVING, BH_REASON_ISOLATED);
	assert_false(leaving_marked(&data, tag_of(&web)).passed);
}

static void what_no_pod_sent_is_left_alone(void **state)
{
	struct frame f = request(4, &world, &remote, SYN), broken = request(4, &world, &remote, 0);
	struct frame nodes = request(4, &node, &remote, SYN), back = answer(4, &remote, &web, ACK);

	defers(remote.class);
	assert_int_equal(leaving_marked(&f, 0).edges, 0);
	assert_true(leaving_marked(&f, 0).passed);
	assert_true(leaving_marked(&broken, 0).passed);
	assert_true(leaving_from_node(&nodes).passed);
	assert_true(arriving(&back).passed);
	assert_true(arriving(&broken).passed);
	assert_int_equal(flow_count(4, HALF_OPEN) + flow_count(4, SETTLED), 0);
}

static void what_is_marked_and_broken_does_not_leave(void **state)
{
	struct frame f = request(4, &web, &remote, SYN | FIN);

	defers(remote.class);
	expect(leaving_marked(&f, tag_of(&web)), TCP_FLAGS);
}

static void fragments_of_a_datagram_leave_together(void **state)
{
	struct frame first = {0}, later = {0};

	defers(remote.class);
	frame_ethernet(&first, &web, &remote);
	frame_ip(&first, 4, &web, &remote);
	frame_fragment(&first, 7, 0, 1);
	frame_udp(&first, 5000, 8080);
	frame_zeros(&first, 64);
	frame_ethernet(&later, &web, &remote);
	frame_ip(&later, 4, &web, &remote);
	frame_fragment(&later, 7, 72, 0);
	frame_protocol(&later, 17);
	frame_zeros(&later, 64);
	expect(leaving_marked(&later, tag_of(&web)), FRAGMENT_NO_FIRST);
	assert_true(leaving_marked(&first, tag_of(&web)).passed);
	assert_true(leaving_marked(&later, tag_of(&web)).passed);
}

static void would_deny_is_recorded_where_it_leaves(void **state)
{
	struct frame syn = request(4, &web, &remote, SYN);
	struct outcome outcome;

	defers(db.class);
	use(&web, BH_PROGRAM_OPEN, PROGRAM);
	outcome = leaving_marked(&syn, tag_of(&web));
	assert_true(outcome.passed);
	assert_int_equal(outcome.event[0].type, BH_EVENT_WOULD_DENY);
	assert_int_equal(outcome.event[0].hook, BH_HOOK_LEAVING);
	assert_int_equal(outcome.event[0].slot, web.slot);
}

static void a_gone_senders_answers_are_not_its_successors(void **state)
{
	struct frame back = answer(4, &remote, &web, ACK);
	struct bh_flow before, after;

	defers(remote.class);
	open_leaving(4, &web);
	flow_of(&back, &before);
	reborn(&web);
	assert_true(arriving(&back).passed);
	flow_of(&back, &after);
	assert_memory_equal(&before, &after, sizeof(before));
}

/* Without a link layer a test run takes bytes 12 and 13 for the ethertype: part of the source. */
static void devices_without_a_link_layer(void **state)
{
	struct party odd = web;
	struct frame good, bad;

	memcpy(odd.ip4, (const uint8_t[]){8, 0, 0, 1}, 4);
	add_address(&web, &odd);
	identify(&odd, web.class, web.workload);
	defers(remote.class);
	good = request(4, &odd, &remote, SYN);
	bad = tcp(4, &odd, 40000, &remote, 9090, SYN);
	memmove(good.data, good.data + good.l3, good.length -= good.l3);
	memmove(bad.data, bad.data + bad.l3, bad.length -= bad.l3);
	assert_true(leaving_l3(&good, tag_of(&web)).passed);
	expect(leaving_l3(&bad, tag_of(&web)), ISOLATED);
}

/* ---- The uplink's XDP program ---------------------------------------------------------------- */

static void the_uplink_knows_the_answers(void **state)
{
	struct frame back = answer(4, &remote, &web, ACK), data = udp(4, &remote, 8080, &web, 5000);
	struct frame question = udp(4, &web, 5000, &remote, 8080);

	defers(remote.class);
	open_leaving(4, &web);
	assert_true(uplink(&back).passed);
	assert_true(leaving_marked(&question, tag_of(&web)).passed);
	assert_true(uplink(&data).passed);
	enforce(&web, OTHER);
	assert_false(uplink(&back).passed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(lets_through_and_marks_what_it_defers),
		bed_test(marks_every_packet_of_an_established_flow),
		bed_test(marks_a_service_whatever_allows_it),
		bed_test(wipes_the_mark_a_pod_gave_itself),
		bed_test(other_ports_of_a_service_are_denied),
		bed_test(defers_from_a_spilled_list),
		bed_test(defers_to_a_service_only),
		bed_test(allowed_backend_gets_it),
		bed_test(another_backend_does_not),
		bed_test(the_backends_port_is_what_counts),
		bed_test(a_deny_rule_of_the_backend_is_named),
		bed_test(a_backend_that_is_a_service_is_not_deferred_twice),
		bed_test(the_backends_ingress_is_told_apart),
		bed_test(both_ends_have_their_edge),
		bed_test(the_flow_is_counted_once_and_begins_once),
		bed_test(closing_is_told_once),
		bed_test(withdrawn_permission_cuts_both_directions),
		bed_test(withdrawn_ingress_cuts_it_as_ever),
		bed_test(an_epoch_costs_an_open_flow_nothing_but_the_question),
		bed_test(datagrams_too),
		bed_test(a_segment_without_its_flow_is_taken_up),
		bed_test(errors_about_a_rewritten_flow),
		bed_test(would_deny_is_recorded_at_the_backend),
		bed_test(a_flow_its_own_hook_has_seen_is_not_asked_again),
		bed_test(without_a_mark_the_source_address_tells),
		bed_test(a_new_pod_does_not_ride_the_dead_ones_flow),
		bed_test(masqueraded_is_judged_as_its_sender),
		bed_test(masqueraded_ingress_names_the_sender),
		bed_test(unmarked_it_is_who_it_says_and_not_the_node),
		bed_test(nobody_else_rides_a_masqueraded_flow),
		bed_test(a_pod_reaches_itself),
		bed_test(its_address_alone_is_not_the_pod_itself),
		bed_test(allowed_backend_elsewhere),
		bed_test(another_backend_elsewhere),
		bed_test(withdrawn_permission_cuts_both_directions_elsewhere),
		bed_test(masqueraded_elsewhere),
		bed_test(what_no_pod_sent_is_left_alone),
		bed_test(what_is_marked_and_broken_does_not_leave),
		bed_test(fragments_of_a_datagram_leave_together),
		bed_test(would_deny_is_recorded_where_it_leaves),
		bed_test(a_gone_senders_answers_are_not_its_successors),
		bed_test(devices_without_a_link_layer),
		bed_test(the_uplink_knows_the_answers),
	};

	bed_sizes.marked = true;
	bed_sizes.xdp = true;
	return cmocka_run_group_tests_name("services", tests, bed_setup, bed_teardown);
}
