/* SPDX-License-Identifier: Apache-2.0 */

/* What a sender's hook has found out for the receiver's, both being of this node: how far it goes.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_INGRESS(5)

/* web may connect to db's port 80, and is connected. */
static struct frame connected(int family)
{
	allow(PROGRAM, BH_INGRESS, web.class, 6, 80, 80, 1);
	enforce(&db, PROGRAM);
	handshake(family, &web, 40000, &db, 80);
	return tcp(family, &web, 40000, &db, 80, ACK | PSH);
}

static uint32_t vouched_for(const struct party *pod)
{
	return BH_TAG_VOUCHED | pod->slot;
}

static void packet_of_a_known_flow_is_counted_at_both_ends(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame data = connected(family);
		struct outcome outcome;
		struct bh_flow flow;
		uint32_t mark;

		outcome = marked_from_pod(&web, &data, 0, &mark);
		expect_known(outcome);
		assert_int_equal(outcome.edges, 1);
		assert_int_equal(mark, vouched_for(&db));
		outcome = marked_to_pod(&db, &data, mark);
		expect_known(outcome);
		assert_int_equal(outcome.edges, 1);
		flow_of(&data, &flow);
		assert_int_equal(flow.packets[0] + flow.packets[1], 4);
		/* The voucher is used up: judged by itself, to the same end. */
		outcome = marked_to_pod(&db, &data, mark);
		expect_known(outcome);
		assert_int_equal(outcome.edges, 1);
	}
}

static void answers_are_vouched_for_as_well(void **state)
{
	struct frame back = tcp(4, &db, 80, &web, 40000, ACK | PSH);
	uint32_t mark;

	connected(4);
	expect_known(marked_from_pod(&db, &back, 0, &mark));
	assert_int_equal(mark, vouched_for(&web));
	expect_known(marked_to_pod(&web, &back, mark));
}

/* The receiver's part is a hook's own only where it is judged: of a handshake's first packet. */
static void a_handshake_is_after_its_first(void **state)
{
	struct frame syn = tcp_headers(4, &web, 40000, &db, 80, SYN);
	struct frame syn_ack = tcp_headers(4, &db, 80, &web, 40000, SYN | ACK);
	struct frame ack = tcp_headers(4, &web, 40000, &db, 80, ACK);
	struct bh_flow flow;
	uint32_t mark;

	expect(marked_from_pod(&web, &syn, 0, &mark), NOT_ISOLATED);
	assert_int_equal(mark, BH_TAG);
	expect(marked_to_pod(&db, &syn, mark), NOT_ISOLATED);
	expect_known(marked_from_pod(&db, &syn_ack, 0, &mark));
	assert_int_equal(mark, vouched_for(&web));
	expect_known(marked_to_pod(&web, &syn_ack, mark));
	expect_known(marked_from_pod(&web, &ack, 0, &mark));
	assert_int_equal(mark, vouched_for(&db));
	expect_known(marked_to_pod(&db, &ack, mark));
	assert_int_equal(flow_of(&ack, &flow), SETTLED);
	assert_int_equal(flow.packets[0] + flow.packets[1], 3);
}

static void a_reset_is_told_to_both(void **state)
{
	struct frame rst = tcp_headers(4, &web, 40000, &db, 80, RST);
	uint32_t mark;

	connected(4);
	expect_known(marked_from_pod(&web, &rst, 0, &mark));
	assert_int_equal(mark, BH_TAG);
}

static void datagrams_are_once_the_receiver_has_judged_one(void **state)
{
	struct frame f = udp(4, &web, 40000, &db, 514);
	uint32_t mark;

	expect(marked_from_pod(&web, &f, 0, &mark), NOT_ISOLATED);
	assert_int_equal(mark, BH_TAG);
	expect_known(marked_from_pod(&web, &f, 0, &mark));
	assert_int_equal(mark, BH_TAG);
	expect(marked_to_pod(&db, &f, mark), NOT_ISOLATED);
	expect_known(marked_from_pod(&web, &f, 0, &mark));
	assert_int_equal(mark, vouched_for(&db));
	assert_int_equal(marked_to_pod(&db, &f, mark).edges, 1);
}

static void only_the_receiver_it_was_made_for_believes_it(void **state)
{
	struct frame data = connected(4), other = tcp(4, &web, 40000, &third, 80, ACK | PSH);
	uint32_t mark;

	enforce(&third, BH_PROGRAM_HELD);
	expect_known(marked_from_pod(&web, &data, 0, &mark));
	assert_false(marked_to_pod(&third, &other, mark).passed);
	assert_false(marked_to_pod(&third, &other, vouched_for(&third)).passed);
}

static void without_the_senders_hook_a_mark_is_worth_nothing(void **state)
{
	struct frame denied = tcp(4, &web, 40001, &db, 81, SYN);
	struct frame data = tcp(4, &web, 40000, &db, 80, ACK | PSH);

	connected(4);
	move_epoch(&db); /* what came last is not vouched for */
	expect_known(from_pod(&web, &data));
	assert_false(marked_to_pod(&db, &denied, vouched_for(&db)).passed);
}

static void the_next_packet_of_any_pod_ends_it(void **state)
{
	struct frame data = connected(4), denied = tcp(4, &third, 40001, &db, 81, SYN);
	uint32_t mark, next;

	expect_known(marked_from_pod(&web, &data, 0, &mark));
	assert_true(marked_from_pod(&third, &denied, mark, &next).passed);
	assert_int_equal(next, BH_TAG);
	expect(marked_to_pod(&db, &denied, mark), ISOLATED);
}

static void another_length_is_another_packet(void **state)
{
	struct frame data = connected(4), denied = tcp(4, &web, 40001, &db, 81, SYN);
	uint32_t mark;

	frame_zeros(&denied, 1);
	expect_known(marked_from_pod(&web, &data, 0, &mark));
	assert_false(marked_to_pod(&db, &denied, mark).passed);
}

static void what_is_to_be_judged_again_is_not_vouched_for(void **state)
{
	struct frame data = connected(4);
	uint32_t mark;

	move_epoch(&db);
	expect_known(marked_from_pod(&web, &data, 0, &mark));
	assert_int_equal(mark, BH_TAG);
	expect(marked_to_pod(&db, &data, mark), POLICY);
	expect_known(marked_from_pod(&web, &data, 0, &mark));
	assert_int_equal(mark, vouched_for(&db));
}

static void what_the_receiver_refuses_is_not_vouched_for(void **state)
{
	struct frame data = connected(4);
	uint32_t mark;

	enforce(&db, BH_PROGRAM_HELD);
	expect(to_pod(&db, &data), ISOLATED);
	expect_known(marked_from_pod(&web, &data, 0, &mark));
	assert_int_equal(mark, BH_TAG);
	expect(marked_to_pod(&db, &data, mark), ISOLATED);
}

static void forged_frames_are_not_vouched_for(void **state)
{
	struct frame data = connected(4);
	uint32_t mark;

	memcpy(data.data + 6, third.mac, 6);
	marked_from_pod(&web, &data, 0, &mark);
	assert_int_equal(mark, BH_TAG);
}

static void how_a_connection_ends_is_seen_by_both(void **state)
{
	struct frame fin = tcp_headers(4, &web, 40000, &db, 80, FIN | ACK);
	struct frame fin_back = tcp_headers(4, &db, 80, &web, 40000, FIN | ACK);
	struct frame last = tcp_headers(4, &web, 40000, &db, 80, ACK);
	struct outcome outcome;
	uint32_t mark;

	connected(4);
	marked_from_pod(&web, &fin, 0, &mark);
	expect_known(marked_to_pod(&db, &fin, mark));
	marked_from_pod(&db, &fin_back, 0, &mark);
	expect_known(marked_to_pod(&web, &fin_back, mark));
	outcome = marked_from_pod(&web, &last, 0, &mark);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_CLOSED);
	assert_int_equal(mark, BH_TAG);
	expect_known(marked_to_pod(&db, &last, mark));
	assert_int_equal(flow_of(&last, NULL), NOWHERE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(packet_of_a_known_flow_is_counted_at_both_ends),
		bed_test(answers_are_vouched_for_as_well),
		bed_test(a_handshake_is_after_its_first),
		bed_test(a_reset_is_told_to_both),
		bed_test(datagrams_are_once_the_receiver_has_judged_one),
		bed_test(only_the_receiver_it_was_made_for_believes_it),
		bed_test(without_the_senders_hook_a_mark_is_worth_nothing),
		bed_test(the_next_packet_of_any_pod_ends_it),
		bed_test(another_length_is_another_packet),
		bed_test(what_is_to_be_judged_again_is_not_vouched_for),
		bed_test(what_the_receiver_refuses_is_not_vouched_for),
		bed_test(forged_frames_are_not_vouched_for),
		bed_test(how_a_connection_ends_is_seen_by_both),
	};

	bed_sizes.marked = true;
	return cmocka_run_group_tests_name("vouched", tests, bed_setup, bed_teardown);
}
