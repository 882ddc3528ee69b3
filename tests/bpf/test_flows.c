/* SPDX-License-Identifier: Apache-2.0 */

/* The life of a flow: what it costs to open one, what keeps it, what ends it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

/* web may connect to db's port 80; db and everybody else may begin nothing. */
static void only_web_to_db_port_80(void)
{
	allow(PROGRAM, BH_EGRESS, db.class, 6, 80, 80, 1);
	allow(PROGRAM, BH_INGRESS, web.class, 6, 80, 80, 2);
	enforce(&web, PROGRAM);
	enforce(&db, PROGRAM);
}

static struct bh_flow flow_state(const struct frame *f, enum where where, enum bh_flow_state state)
{
	struct bh_flow flow;

	assert_int_equal(flow_of(f, &flow), where);
	assert_int_equal(flow.state, state);
	return flow;
}

static void syn_waits_in_the_half_open_table(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	only_web_to_db_port_80();
	expect(between(&web, &db, &syn), POLICY);
	flow_state(&syn, HALF_OPEN, BH_FLOW_NEW);
}

static void promotes_only_with_the_third_packet(int family)
{
	struct frame syn = tcp(family, &web, 40000, &db, 80, SYN);
	struct frame syn_ack = tcp(family, &db, 80, &web, 40000, SYN | ACK);
	struct frame ack = tcp(family, &web, 40000, &db, 80, ACK);

	only_web_to_db_port_80();
	between(&web, &db, &syn);
	expect_known(between(&db, &web, &syn_ack));
	flow_state(&syn, HALF_OPEN, BH_FLOW_SYN_RECV);
	expect_known(between(&web, &db, &ack));
	flow_state(&syn, SETTLED, BH_FLOW_ESTABLISHED);
	assert_int_equal(flow_count(family, HALF_OPEN), 0);
}

static void promotes_ipv4_only_with_the_third_packet(void **state)
{
	promotes_only_with_the_third_packet(4);
}

static void promotes_ipv6_only_with_the_third_packet(void **state)
{
	promotes_only_with_the_third_packet(6);
}

static void data_in_the_opening_direction_does_not_promote(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct frame ack = tcp(4, &web, 40000, &db, 80, ACK | PSH);

	only_web_to_db_port_80();
	between(&web, &db, &syn);
	for (int i = 0; i < 3; i++)
		assert_true(between(&web, &db, &ack).passed);
	assert_int_equal(flow_of(&syn, NULL), HALF_OPEN);
}

static void finds_one_entry_from_both_ends(void **state)
{
	struct frame answer = tcp(4, &db, 80, &web, 40000, ACK);
	struct bh_flow flow;

	only_web_to_db_port_80();
	handshake(4, &web, 40000, &db, 80);
	assert_int_equal(flow_of(&answer, &flow), SETTLED);
	assert_int_equal(flow_count(4, SETTLED), 1);
	assert_int_equal(flow.opener, 0); /* 10.1.0.1 is the lower end */
	assert_int_equal(flow.leg[0].slot, web.slot);
	assert_int_equal(flow.leg[1].slot, db.slot);
}

static void knows_the_opener_when_it_is_the_higher_end(void **state)
{
	struct frame syn = tcp(4, &db, 40000, &web, 80, SYN);
	struct bh_flow flow;

	assert_true(between(&db, &web, &syn).passed);
	flow_of(&syn, &flow);
	assert_int_equal(flow.opener, 1);
}

static void repeated_syn_is_the_same_flow(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct outcome again;

	only_web_to_db_port_80();
	between(&web, &db, &syn);
	again = from_pod(&web, &syn);
	expect_known(again);
	assert_int_equal(again.n_events, 0);
}

static void syn_repeated_after_the_answer_is_the_same_flow(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);
	struct frame syn_ack = tcp(4, &db, 80, &web, 40000, SYN | ACK);
	struct outcome again;

	only_web_to_db_port_80();
	between(&web, &db, &syn);
	between(&db, &web, &syn_ack);
	again = from_pod(&web, &syn);
	expect_known(again);
	assert_int_equal(again.n_events, 0);
	flow_state(&syn, HALF_OPEN, BH_FLOW_SYN_RECV);
}

static void denies_new_syn_in_reply_direction_of_established_flow(void **state)
{
	struct frame back = tcp(4, &db, 80, &web, 40000, SYN);

	only_web_to_db_port_80();
	handshake(4, &web, 40000, &db, 80);
	expect(from_pod(&db, &back), ISOLATED);
	flow_state(&back, SETTLED, BH_FLOW_ESTABLISHED);
}

static void close_by_both(int family)
{
	struct frame fin = tcp(family, &web, 40000, &db, 80, FIN | ACK);
	struct frame fin_back = tcp(family, &db, 80, &web, 40000, FIN | ACK);
	struct frame last = tcp(family, &web, 40000, &db, 80, ACK);

	handshake(family, &web, 40000, &db, 80);
	expect_known(between(&web, &db, &fin));
	flow_state(&fin, SETTLED, BH_FLOW_CLOSING);
	expect_known(between(&db, &web, &fin_back));
	flow_state(&fin, SETTLED, BH_FLOW_CLOSING);
	expect_known(from_pod(&web, &last));
	flow_state(&fin, SETTLED, BH_FLOW_CLOSED);
	/* The last hook that needs the entry gives it back. */
	expect_known(to_pod(&db, &last));
	assert_int_equal(flow_of(&fin, NULL), NOWHERE);
}

static void closes_when_both_have_said_fin(void **state)
{
	only_web_to_db_port_80();
	close_by_both(4);
}

static void denies_new_syn_from_finished_flow(void **state)
{
	struct frame back = tcp(4, &db, 80, &web, 40000, SYN);

	only_web_to_db_port_80();
	close_by_both(4);
	expect(from_pod(&db, &back), ISOLATED);
}

static void denies_new_syn_from_finished_ipv6_flow(void **state)
{
	struct frame back = tcp(6, &db, 80, &web, 40000, SYN);

	only_web_to_db_port_80();
	close_by_both(6);
	expect(from_pod(&db, &back), ISOLATED);
}

static void ports_of_a_finished_flow_are_used_again(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	only_web_to_db_port_80();
	close_by_both(4);
	expect(between(&web, &db, &syn), POLICY);
	flow_state(&syn, HALF_OPEN, BH_FLOW_NEW);
	assert_int_equal(flow_count(4, SETTLED), 0);
	handshake(4, &web, 40000, &db, 80);
}

/* The last acknowledgement was lost, say. */
static void repeated_end_of_a_finished_flow_begins_none(void **state)
{
	struct frame fin_back = tcp_headers(4, &db, 80, &web, 40000, FIN | ACK);
	struct frame last = tcp_headers(4, &web, 40000, &db, 80, ACK);
	struct outcome outcome;

	only_web_to_db_port_80();
	close_by_both(4);
	outcome = between(&db, &web, &fin_back);
	expect(outcome, POLICY);
	assert_int_equal(outcome.n_events, 0);
	outcome = between(&web, &db, &last);
	expect(outcome, POLICY);
	assert_int_equal(outcome.n_events, 0);
	assert_int_equal(flow_of(&last, NULL), NOWHERE);
	assert_int_equal(counter(BH_COUNTER_MIDSTREAM), 0);
}

static void finished_flow_with_the_world_is_gone_at_its_only_hook(void **state)
{
	struct frame fin = tcp(4, &web, 40000, &remote, 80, FIN | ACK);
	struct frame fin_back = tcp(4, &remote, 80, &web, 40000, FIN | ACK);
	struct frame last = tcp_headers(4, &web, 40000, &remote, 80, ACK);

	handshake(4, &web, 40000, &remote, 80);
	expect_known(from_pod(&web, &fin));
	expect_known(to_pod(&web, &fin_back));
	expect_known(from_pod(&web, &last));
	assert_int_equal(flow_of(&last, NULL), NOWHERE);
}

static void reset_closes_at_once(void **state)
{
	struct frame rst = tcp(4, &db, 80, &web, 40000, RST | ACK);

	only_web_to_db_port_80();
	handshake(4, &web, 40000, &db, 80);
	expect_known(between(&db, &web, &rst));
	flow_state(&rst, SETTLED, BH_FLOW_CLOSED);
}

static void half_closed_flow_still_carries_the_other_way(void **state)
{
	struct frame fin = tcp(4, &web, 40000, &db, 80, FIN | ACK);
	struct frame data = tcp(4, &db, 80, &web, 40000, ACK | PSH);

	only_web_to_db_port_80();
	handshake(4, &web, 40000, &db, 80);
	between(&web, &db, &fin);
	for (int i = 0; i < 5; i++)
		expect_known(between(&db, &web, &data));
	flow_state(&data, SETTLED, BH_FLOW_CLOSING);
}

/* ---- UDP and the others ---- */

static void udp_answer_promotes(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);
	struct frame answer = udp(4, &remote, 53, &web, 5000);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &question), POLICY);
	flow_state(&question, HALF_OPEN, BH_FLOW_NEW);
	expect_known(to_pod(&web, &answer));
	flow_state(&question, SETTLED, BH_FLOW_REPLIED);
}

static void udp_without_question_is_no_answer(void **state)
{
	struct frame answer = udp(4, &remote, 53, &web, 5000);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	expect(to_pod(&web, &answer), ISOLATED);
	assert_int_equal(flow_count(4, HALF_OPEN), 0);
}

static void echo_reply_needs_its_request(void **state)
{
	struct frame request = echo(4, &web, &remote, 8, 77);
	struct frame reply = echo(4, &remote, &web, 0, 77), other = echo(4, &remote, &web, 0, 78);

	allow(PROGRAM, BH_EGRESS, remote.class, 1, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &request), POLICY);
	expect_known(to_pod(&web, &reply));
	expect(to_pod(&web, &other), ICMP_NO_FLOW);
}

static void protocol_without_ports_is_a_flow(void **state)
{
	struct frame gre = ip(4, &web, &remote), back = ip(4, &remote, &web);

	frame_protocol(&gre, 47);
	frame_zeros(&gre, 20);
	frame_protocol(&back, 47);
	frame_zeros(&back, 20);
	allow(PROGRAM, BH_EGRESS, remote.class, 47, 0, 65535, 1);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &gre), POLICY);
	expect_known(to_pod(&web, &back));
	flow_state(&gre, SETTLED, BH_FLOW_REPLIED);
}

/* What the other end begins and this pod refuses must not turn this pod's own question into an
 * answer: NTP, IKE and tunnels have the same port at both ends. */
static void refused_datagram_does_not_block_the_own_question(void **state)
{
	struct frame in = udp(4, &web, 123, &db, 123), out = udp(4, &db, 123, &web, 123);

	allow(PROGRAM, BH_EGRESS, web.class, 17, 123, 123, 1);
	enforce(&db, PROGRAM);
	expect(between(&web, &db, &in), ISOLATED);
	expect(from_pod(&db, &out), POLICY);
	expect(to_pod(&web, &out), NOT_ISOLATED);
	expect_known(between(&web, &db, &in)); /* now it is the answer */
}

/* ---- Time ---- */

static void flow_outlives_its_timeout_less_one_second(void **state)
{
	struct frame ack = tcp(4, &web, 40000, &db, 80, ACK);

	only_web_to_db_port_80();
	handshake(4, &web, 40000, &db, 80);
	flow_age(&ack, bed_config.timeout[BH_FLOW_ESTABLISHED] / BED_HZ - 1);
	expect_known(from_pod(&web, &ack));
}

/* Per state: an answer that only the flow allows is refused once the flow has timed out. */
static void answer_after(const struct frame *opening, int n, enum bh_flow_state wanted)
{
	struct frame answer = udp(4, &remote, 53, &web, 5000);
	struct bh_flow flow;

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	from_pod(&web, opening);
	for (int i = 0; i < n; i++)
		to_pod(&web, &answer);
	flow_of(&answer, &flow);
	assert_int_equal(flow.state, wanted);
	flow_age(&answer, bed_config.timeout[wanted] / BED_HZ + 1);
	expect(to_pod(&web, &answer), ISOLATED);
}

static void unanswered_flow_times_out(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);

	answer_after(&question, 0, BH_FLOW_NEW);
}

static void answered_flow_times_out(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);

	answer_after(&question, 1, BH_FLOW_REPLIED);
}

static void closed_flow_times_out(void **state)
{
	struct frame rst = tcp(4, &web, 40000, &remote, 80, RST), late;

	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	handshake(4, &web, 40000, &remote, 80);
	from_pod(&web, &rst);
	flow_age(&rst, bed_config.timeout[BH_FLOW_CLOSED] / BED_HZ + 1);
	/* Without a flow it is judged as a midstream segment, and counted as such. */
	late = tcp(4, &remote, 80, &web, 40000, ACK);
	expect(to_pod(&web, &late), POLICY);
}

/* ---- Accounting ---- */

static void counts_each_packet_of_a_local_pair_once(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct frame back = tcp(4, &db, 80, &web, 40000, ACK | PSH);
	struct bh_flow flow;

	only_web_to_db_port_80();
	handshake(4, &web, 40000, &db, 80);
	for (int i = 0; i < 10; i++)
		between(&web, &db, &data);
	for (int i = 0; i < 7; i++)
		between(&db, &web, &back);
	flow_of(&data, &flow);
	assert_int_equal(flow.packets[0], 2 + 10);
	assert_int_equal(flow.packets[1], 1 + 7);
	assert_int_equal(flow.octets[0], 12 * frame_octets(&data));
	assert_int_equal(flow.octets[1], 8 * frame_octets(&back));
}

static void counts_a_train_as_its_segments(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct bh_flow before, flow;

	handshake(4, &web, 40000, &db, 80);
	flow_of(&data, &before);
	frame_zeros(&data, 3000 - 10);
	data.segments = 3;
	expect_known(from_pod(&web, &data));
	flow_of(&data, &flow);
	assert_int_equal(flow.packets[0] - before.packets[0], 3);
	/* Each segment repeats 20 octets of IP and 20 of TCP. */
	assert_int_equal(flow.octets[0] - before.octets[0], 3000 + 3 * 40);
}

/* ---- Whose flow it is ---- */

static void right_tuple_from_the_wrong_interface_is_forged(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);

	handshake(4, &web, 40000, &db, 80);
	memcpy(data.data + 6, third.mac, 6);
	expect(from_pod(&third, &data), SPOOFED_IP);
}

static void right_tuple_with_the_wrong_mac_is_forged(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);

	handshake(4, &web, 40000, &db, 80);
	memcpy(data.data + 6, third.mac, 6);
	expect(from_pod(&web, &data), SPOOFED_MAC);
	flow_state(&data, SETTLED, BH_FLOW_ESTABLISHED);
}

static void forged_packets_do_not_count_in_the_flow(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, RST);
	struct bh_flow before, after;

	handshake(4, &web, 40000, &db, 80);
	enforce(&third, BH_PROGRAM_OPEN);
	flow_of(&data, &before);
	memcpy(data.data + 6, third.mac, 6);
	expect(from_pod(&third, &data), OPEN);
	flow_of(&data, &after);
	assert_memory_equal(&before, &after, sizeof(before));
}

static void forged_syn_from_an_open_pod_removes_no_flow(void **state)
{
	struct frame syn = tcp(4, &web, 40000, &db, 80, SYN);

	handshake(4, &web, 40000, &db, 80);
	enforce(&third, BH_PROGRAM_OPEN);
	memcpy(syn.data + 6, third.mac, 6);
	expect(from_pod(&third, &syn), OPEN);
	flow_state(&syn, SETTLED, BH_FLOW_ESTABLISHED);
}

/* A bridge floods what it has not learned yet. */
static void flooded_packet_at_another_pod_leaves_the_flow_alone(void **state)
{
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);
	struct bh_flow before, after;

	handshake(4, &web, 40000, &db, 80);
	flow_of(&data, &before);
	to_pod(&third, &data);
	flow_of(&data, &after);
	assert_memory_equal(&before.leg, &after.leg, sizeof(before.leg));
	expect_known(to_pod(&db, &data));
}

static void flooded_syn_at_another_pod_makes_no_flow(void **state)
{
	struct frame syn = tcp(4, &remote, 40000, &db, 80, SYN);

	to_pod(&third, &syn);
	assert_int_equal(flow_of(&syn, NULL), NOWHERE);
	expect(to_pod(&db, &syn), NOT_ISOLATED);
}

static void new_pod_does_not_inherit_answers(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);
	struct frame answer = udp(4, &remote, 53, &web, 5000);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	from_pod(&web, &question);
	expect_known(to_pod(&web, &answer));
	reborn(&web);
	expect(to_pod(&web, &answer), ISOLATED);
}

static void new_pod_may_ask_itself_what_the_dead_one_asked(void **state)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);
	struct frame answer = udp(4, &remote, 53, &web, 5000);

	allow(PROGRAM, BH_EGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	from_pod(&web, &question);
	to_pod(&web, &answer);
	reborn(&web);
	expect(from_pod(&web, &question), POLICY);
	expect_known(to_pod(&web, &answer));
}

static void new_pod_may_not_answer_for_the_dead_one(void **state)
{
	struct frame question = udp(4, &remote, 5000, &web, 53);
	struct frame answer = udp(4, &web, 53, &remote, 5000);

	allow(PROGRAM, BH_INGRESS, remote.class, 17, 53, 53, 1);
	enforce(&web, PROGRAM);
	to_pod(&web, &question);
	expect_known(from_pod(&web, &answer));
	reborn(&web);
	expect(from_pod(&web, &answer), ISOLATED);
}

static void land_packet_is_judged_like_any_other(void **state)
{
	struct frame land = tcp(4, &web, 80, &web, 80, SYN);

	enforce(&web, PROGRAM);
	expect(from_pod(&web, &land), ISOLATED);
	allow(PROGRAM, BH_EGRESS, web.class, 6, 80, 80, 1);
	expect(from_pod(&web, &land), POLICY);
	expect(to_pod(&web, &land), ISOLATED);
}

static void multicast_makes_no_flow(void **state)
{
	static const struct party group = {
		.mac = {1, 0, 0x5e, 0, 0, 0xfb}, .ip4 = {224, 0, 0, 251}};
	struct frame hello = udp(4, &web, 5353, &group, 5353);

	expect(from_pod(&web, &hello), NOT_ISOLATED);
	expect(from_pod(&web, &hello), NOT_ISOLATED);
	assert_int_equal(flow_of(&hello, NULL), NOWHERE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(syn_waits_in_the_half_open_table),
		bed_test(promotes_ipv4_only_with_the_third_packet),
		bed_test(promotes_ipv6_only_with_the_third_packet),
		bed_test(data_in_the_opening_direction_does_not_promote),
		bed_test(finds_one_entry_from_both_ends),
		bed_test(knows_the_opener_when_it_is_the_higher_end),
		bed_test(repeated_syn_is_the_same_flow),
		bed_test(syn_repeated_after_the_answer_is_the_same_flow),
		bed_test(denies_new_syn_in_reply_direction_of_established_flow),
		bed_test(closes_when_both_have_said_fin),
		bed_test(denies_new_syn_from_finished_flow),
		bed_test(denies_new_syn_from_finished_ipv6_flow),
		bed_test(ports_of_a_finished_flow_are_used_again),
		bed_test(repeated_end_of_a_finished_flow_begins_none),
		bed_test(finished_flow_with_the_world_is_gone_at_its_only_hook),
		bed_test(reset_closes_at_once),
		bed_test(half_closed_flow_still_carries_the_other_way),
		bed_test(udp_answer_promotes),
		bed_test(udp_without_question_is_no_answer),
		bed_test(echo_reply_needs_its_request),
		bed_test(protocol_without_ports_is_a_flow),
		bed_test(refused_datagram_does_not_block_the_own_question),
		bed_test(flow_outlives_its_timeout_less_one_second),
		bed_test(unanswered_flow_times_out),
		bed_test(answered_flow_times_out),
		bed_test(closed_flow_times_out),
		bed_test(counts_each_packet_of_a_local_pair_once),
		bed_test(counts_a_train_as_its_segments),
		bed_test(right_tuple_from_the_wrong_interface_is_forged),
		bed_test(right_tuple_with_the_wrong_mac_is_forged),
		bed_test(forged_packets_do_not_count_in_the_flow),
		bed_test(forged_syn_from_an_open_pod_removes_no_flow),
		bed_test(flooded_packet_at_another_pod_leaves_the_flow_alone),
		bed_test(flooded_syn_at_another_pod_makes_no_flow),
		bed_test(new_pod_does_not_inherit_answers),
		bed_test(new_pod_may_ask_itself_what_the_dead_one_asked),
		bed_test(new_pod_may_not_answer_for_the_dead_one),
		bed_test(land_packet_is_judged_like_any_other),
		bed_test(multicast_makes_no_flow),
	};

	return cmocka_run_group_tests_name("flows", tests, bed_setup, bed_teardown);
}
