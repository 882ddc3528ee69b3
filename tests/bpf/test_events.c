/* SPDX-License-Identifier: Apache-2.0 */

/* The event stream: what it says, what it keeps quiet, and that it counts what it loses. */

#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

static uint64_t written(enum bh_event_type type)
{
	return counter(BH_COUNTER_EVENTS + type);
}

static uint64_t suppressed(enum bh_event_type type)
{
	return counter(BH_COUNTER_EVENTS_SUPPRESSED + type);
}

static uint64_t lost(enum bh_event_type type)
{
	return counter(BH_COUNTER_EVENTS_LOST + type);
}

static void new_flow_is_told_in_full(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct outcome outcome;
	struct bh_event *e = &outcome.event[0];

	allow(PROGRAM, BH_EGRESS, db.class, 6, 80, 80, 33);
	enforce(&web, PROGRAM);
	outcome = from_pod(&web, &syn);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(e->type, BH_EVENT_NEW);
	assert_int_equal(e->reason, BH_REASON_POLICY);
	assert_int_equal(e->pending, BH_REASON_POLICY);
	assert_int_equal(e->hook, BH_HOOK_FROM_POD);
	assert_int_equal(e->family, 4);
	assert_int_equal(e->protocol, 6);
	assert_int_equal(e->direction, BH_EGRESS);
	assert_int_equal(e->tcp_flags, SYN);
	assert_int_equal(e->ifindex, web.ifindex);
	assert_int_equal(e->slot, web.slot);
	assert_int_equal(e->local, web.workload);
	assert_int_equal(e->remote, db.workload);
	assert_int_equal(e->class, db.class);
	assert_int_equal(e->rule, 33);
	assert_memory_equal(e->src, web.ip4, 4);
	assert_memory_equal(e->dst, db.ip4, 4);
	assert_int_equal(e->sport, htobe16(40000));
	assert_int_equal(e->dport, htobe16(80));
	assert_int_equal(e->ethertype, 0x0800);
	assert_int_equal(e->packets[0], 1);
	assert_int_equal(e->octets[0], frame_octets(&syn));
}

static void new_flow_is_told_once(void **state)
{
	handshake(4, &web, 40000, &db, 80);
	assert_int_equal(written(BH_EVENT_NEW), 1);
}

static void new_flow_from_elsewhere_is_told_by_the_receiver(void **state)
{
	struct frame syn = tcp(6, &remote, 40000, &web, 80, SYN);
	struct outcome outcome = to_pod(&web, &syn);

	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].direction, BH_INGRESS);
	assert_memory_equal(outcome.event[0].src, remote.ip6, 16);
	assert_memory_equal(outcome.event[0].dst, web.ip6, 16);
}

static void closed_flow_is_told_with_its_sums(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct frame rst = tcp(4, &db, 80, &web, 40000, RST | ACK);
	struct outcome outcome;
	struct bh_event *e = &outcome.event[0];

	handshake(4, &web, 40000, &db, 80);
	for (int i = 0; i < 8; i++)
		between(&web, &db, &data);
	outcome = from_pod(&db, &rst);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(e->type, BH_EVENT_CLOSED);
	/* The opener first, whoever sent the last packet. */
	assert_memory_equal(e->src, web.ip4, 4);
	assert_int_equal(e->sport, htobe16(40000));
	assert_int_equal(e->packets[0], 10);
	assert_int_equal(e->packets[1], 2);
	assert_int_equal(e->octets[0], 10 * frame_octets(&data));
	assert_int_equal(e->octets[1], 2 * frame_octets(&rst));
	assert_int_equal(e->local, web.workload);
	assert_int_equal(e->remote, db.workload);
	assert_int_equal(e->direction, BH_EGRESS);
	assert_int_equal(e->ifindex, web.ifindex);
	assert_true(e->started > 0);
}

static void closed_flow_is_told_once(void **state)
{
	struct frame rst = tcp(4, &db, 80, &web, 40000, RST | ACK);

	handshake(4, &web, 40000, &db, 80);
	for (int i = 0; i < 3; i++)
		between(&db, &web, &rst);
	assert_int_equal(written(BH_EVENT_CLOSED), 1);
}

static void fin_from_both_is_told_as_closed(void **state)
{
	struct frame a = tcp(4, &web, 40000, &db, 80, FIN | ACK);
	struct frame b = tcp(4, &db, 80, &web, 40000, FIN | ACK);
	struct frame last = tcp(4, &web, 40000, &db, 80, ACK);

	handshake(4, &web, 40000, &db, 80);
	between(&web, &db, &a);
	between(&db, &web, &b);
	assert_int_equal(written(BH_EVENT_CLOSED), 0);
	between(&web, &db, &last);
	assert_int_equal(written(BH_EVENT_CLOSED), 1);
}

static void new_and_closed_are_silent_where_nobody_asks(void **state)
{
	struct frame rst = tcp(4, &db, 80, &web, 40000, RST | ACK);
	struct frame denied = tcp(4, &third, 40000, &db, 80, SYN);

	bed_config.flags |= BH_CONFIG_NO_NEW_EVENTS;
	configure();
	handshake(4, &web, 40000, &db, 80);
	between(&db, &web, &rst);
	assert_int_equal(written(BH_EVENT_NEW), 0);
	assert_int_equal(written(BH_EVENT_CLOSED), 0);
	enforce(&third, PROGRAM);
	assert_int_equal(from_pod(&third, &denied).n_events, 1);
}

static void denial_is_told_as_the_packet_was_on_the_wire(void **state)
{
	struct frame f = udp(6, &remote, 5000, &web, 53);
	struct outcome outcome;
	struct bh_event *e = &outcome.event[0];

	enforce(&web, PROGRAM);
	outcome = to_pod(&web, &f);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(e->type, BH_EVENT_DENIED);
	assert_int_equal(e->reason, BH_REASON_ISOLATED);
	assert_int_equal(e->hook, BH_HOOK_TO_POD);
	assert_int_equal(e->family, 6);
	assert_int_equal(e->direction, BH_INGRESS);
	assert_memory_equal(e->src, remote.ip6, 16);
	assert_memory_equal(e->dst, web.ip6, 16);
	assert_int_equal(e->dport, htobe16(53));
	assert_int_equal(e->packets[0], 1);
}

static void unparsable_frame_is_told_without_addresses(void **state)
{
	static const uint8_t zeros[16];
	struct frame f;
	struct outcome outcome;

	frame_ethernet(&f, &web, &db);
	frame_zeros(&f, 46);
	frame_set16(&f, L2, 12, 0x88cc);
	outcome = from_pod(&web, &f);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].family, 0);
	assert_int_equal(outcome.event[0].ethertype, 0x88cc);
	assert_memory_equal(outcome.event[0].src, zeros, 16);
}

/* ---- The bucket ---- */

static void denials_of_a_tuple_are_told_up_to_the_burst(void **state)
{
	struct frame f = tcp(4, &web, 40000, &db, 80, SYN);

	enforce(&web, PROGRAM);
	for (int i = 0; i < 250; i++)
		fire_from_pod(&web, &f);
	assert_int_equal(ring_drain(), bed_config.deny_burst);
	assert_int_equal(written(BH_EVENT_DENIED), bed_config.deny_burst);
	assert_int_equal(suppressed(BH_EVENT_DENIED), 250 - bed_config.deny_burst);
}

static void next_denial_says_how_many_were_kept_quiet(void **state)
{
	struct frame f = tcp(4, &web, 40000, &db, 80, SYN);
	struct outcome outcome;

	enforce(&web, PROGRAM);
	for (int i = 0; i < 250; i++)
		fire_from_pod(&web, &f);
	ring_drain();
	buckets_age(2);
	outcome = from_pod(&web, &f);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].suppressed, 250 - bed_config.deny_burst);
	outcome = from_pod(&web, &f);
	assert_int_equal(outcome.event[0].suppressed, 0);
}

static void bucket_fills_by_its_rate(void **state)
{
	struct frame f = tcp(4, &web, 40000, &db, 80, SYN);

	enforce(&web, PROGRAM);
	for (int i = 0; i < 200; i++)
		fire_from_pod(&web, &f);
	ring_drain();
	buckets_age(3);
	for (int i = 0; i < 200; i++)
		fire_from_pod(&web, &f);
	assert_int_equal(ring_drain(), 3 * bed_config.deny_rate);
}

static void bucket_holds_no_more_than_the_burst(void **state)
{
	struct frame f = tcp(4, &web, 40000, &db, 80, SYN);

	enforce(&web, PROGRAM);
	fire_from_pod(&web, &f);
	ring_drain();
	buckets_age(10000);
	for (int i = 0; i < 400; i++)
		fire_from_pod(&web, &f);
	assert_int_equal(ring_drain(), bed_config.deny_burst);
}

static void hammering_clients_ports_are_one_tuple(void **state)
{
	enforce(&web, PROGRAM);
	for (uint16_t port = 30000; port < 30300; port++) {
		struct frame f = tcp(4, &web, port, &db, 80, SYN);

		fire_from_pod(&web, &f);
	}
	assert_int_equal(ring_drain(), bed_config.deny_burst);
}

static void another_tuple_has_its_own_bucket(void **state)
{
	struct frame f = tcp(4, &web, 40000, &db, 80, SYN);
	struct frame other = tcp(4, &web, 40000, &db, 81, SYN);

	enforce(&web, PROGRAM);
	for (int i = 0; i < 200; i++)
		fire_from_pod(&web, &f);
	ring_drain();
	assert_int_equal(from_pod(&web, &f).n_events, 0);
	assert_int_equal(from_pod(&web, &other).n_events, 1);
}

static void would_deny_is_bounded_too(void **state)
{
	use(&web, BH_PROGRAM_OPEN, PROGRAM);
	for (uint16_t port = 30000; port < 30200; port++) {
		struct frame f = tcp(4, &web, port, &db, 80, SYN);

		fire_from_pod(&web, &f);
	}
	assert_int_equal(ring_drain(), bed_config.deny_burst);
	assert_int_equal(suppressed(BH_EVENT_WOULD_DENY), 200 - bed_config.deny_burst);
}

/* ---- Losses ---- */

static void losses_are_counted_exactly_when_the_ring_is_full(void **state)
{
	const unsigned sent = 2 * bed_sizes.ring / sizeof(struct bh_event);

	for (unsigned i = 0; i < sent; i++) {
		struct frame f = udp(4, &web, i, &remote, 53);

		assert_true(fire_from_pod(&web, &f));
	}
	assert_int_equal(written(BH_EVENT_NEW) + lost(BH_EVENT_NEW), sent);
	assert_true(lost(BH_EVENT_NEW) > 0);
	assert_int_equal(ring_drain(), written(BH_EVENT_NEW));
	/* And none is lost any more. */
	assert_int_equal(lost(BH_EVENT_NEW), sent - written(BH_EVENT_NEW));
}

static void full_ring_changes_no_verdict_and_no_edge(void **state)
{
	struct frame f = udp(4, &web, 1, &remote, 53), denied = udp(4, &third, 1, &remote, 53);

	losses_are_counted_exactly_when_the_ring_is_full(state);
	for (unsigned i = 0; i < 2 * bed_sizes.ring / sizeof(struct bh_event); i++) {
		struct frame g = udp(6, &web, i, &remote, 53);

		fire_from_pod(&web, &g);
	}
	ring_unread = true;
	enforce(&third, PROGRAM);
	f = udp(4, &web, 64000, &remote, 54);
	expect(from_pod(&web, &f), NOT_ISOLATED);
	expect(from_pod(&third, &denied), ISOLATED);
	ring_unread = false;
	assert_int_equal(lost(BH_EVENT_DENIED), 1);
	ring_drain();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(new_flow_is_told_in_full),
		bed_test(new_flow_is_told_once),
		bed_test(new_flow_from_elsewhere_is_told_by_the_receiver),
		bed_test(closed_flow_is_told_with_its_sums),
		bed_test(closed_flow_is_told_once),
		bed_test(fin_from_both_is_told_as_closed),
		bed_test(new_and_closed_are_silent_where_nobody_asks),
		bed_test(denial_is_told_as_the_packet_was_on_the_wire),
		bed_test(unparsable_frame_is_told_without_addresses),
		bed_test(denials_of_a_tuple_are_told_up_to_the_burst),
		bed_test(next_denial_says_how_many_were_kept_quiet),
		bed_test(bucket_fills_by_its_rate),
		bed_test(bucket_holds_no_more_than_the_burst),
		bed_test(hammering_clients_ports_are_one_tuple),
		bed_test(another_tuple_has_its_own_bucket),
		bed_test(would_deny_is_bounded_too),
		bed_test(losses_are_counted_exactly_when_the_ring_is_full),
		bed_test(full_ring_changes_no_verdict_and_no_edge),
	};

	return cmocka_run_group_tests_name("events", tests, bed_setup, bed_teardown);
}
