/* SPDX-License-Identifier: Apache-2.0 */

/* What the dataplane asks of the flow tables: to enter a flow, and to end one that is over. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

static struct frame segment(int family)
{
	return tcp(family, &web, 40000, &db, 80, ACK);
}

static struct bh_flow_request asked(const struct frame *f, enum bh_flow_op op)
{
	struct bh_flow_request request = {.op = op, .family = f->family};

	flow_key_of(f, &request.key);
	return request;
}

static int ask(const struct bh_flow_request *request)
{
	return flow_command(request, sizeof(*request));
}

/* … to end it where it is. */
static struct bh_flow_request end_of(const struct frame *f)
{
	struct bh_flow_request request = asked(f, BH_FLOW_OP_END);

	assert_true(flow_at(f) >= 0);
	request.at = (uint32_t)flow_at(f);
	return request;
}

static void a_flow_is_entered_settled_and_once(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame f = segment(family);
		struct bh_flow_request request = asked(&f, BH_FLOW_OP_PUT);
		struct bh_flow flow;

		request.flow.state = BH_FLOW_ESTABLISHED;
		request.flow.rule[1] = 77;
		assert_int_equal(ask(&request), BH_FLOW_DONE);
		assert_int_equal(flow_of(&f, &flow), SETTLED);
		assert_memory_equal(&flow, &request.flow, sizeof(flow));
		request.flow.rule[1] = 78;
		assert_int_equal(ask(&request), BH_FLOW_NOT_DONE);
		flow_of(&f, &flow);
		assert_int_equal(flow.rule[1], 77);
		assert_int_equal(flow_count(family, SETTLED), 1);
	}
}

static void a_flow_is_ended_only_when_it_is_over(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame f = segment(family);
		struct bh_flow_request request;

		handshake(family, &web, 40000, &db, 80);
		request = end_of(&f);
		assert_int_equal(ask(&request), BH_FLOW_NOT_DONE);
		assert_int_equal(flow_of(&f, NULL), SETTLED);
		flow_age(&f, 86401);
		assert_int_equal(ask(&request), BH_FLOW_DONE);
		assert_int_equal(flow_of(&f, NULL), NOWHERE);
		assert_int_equal(flow_count(family, SETTLED), 0);
		assert_int_equal(ask(&request), BH_FLOW_NOT_DONE);
	}
}

/* Between the dataplane's look and its wish, another flow may have got the place. */
static void nobody_is_ended_in_anothers_stead(void **state)
{
	struct frame f = segment(4), other = tcp(4, &web, 40001, &db, 80, ACK);
	struct bh_flow_request request;

	handshake(4, &web, 40000, &db, 80);
	flow_age(&f, 86401);
	request = end_of(&f);
	flow_key_of(&other, &request.key);
	assert_int_equal(ask(&request), BH_FLOW_NOT_DONE);
	assert_int_equal(flow_of(&f, NULL), SETTLED);
}

static void places_that_are_not_there_are_no_matter(void **state)
{
	struct frame f = segment(4);
	struct bh_flow_request request;

	handshake(4, &web, 40000, &db, 80);
	flow_age(&f, 86401);
	request = end_of(&f);
	request.at = bed_sizes.flows;
	assert_int_equal(ask(&request), BH_FLOW_NOT_DONE);
	request.at = UINT32_MAX;
	assert_int_equal(ask(&request), BH_FLOW_NOT_DONE);
	assert_int_equal(flow_of(&f, NULL), SETTLED);
}

static void what_is_not_understood_changes_nothing(void **state)
{
	struct frame f = segment(4);
	struct bh_flow_request request = asked(&f, BH_FLOW_OP_PUT);

	assert_int_equal(flow_command(&request, sizeof(request) - 1), BH_FLOW_NOT_UNDERSTOOD);
	request.family = 5;
	assert_int_equal(ask(&request), BH_FLOW_NOT_UNDERSTOOD);
	request.family = 4;
	request.op = 3;
	assert_int_equal(ask(&request), BH_FLOW_NOT_UNDERSTOOD);
	assert_int_equal(flow_of(&f, NULL), NOWHERE);
}

/* What was entered is found by packets: seeded flows are none without. */
static void an_entered_flow_is_its_packets(void **state)
{
	for (int family = 4; family <= 6; family += 2) {
		struct frame f = segment(family), other = tcp(family, &web, 40001, &db, 80, ACK);
		struct bh_flow_request request = asked(&f, BH_FLOW_OP_PUT);
		struct bh_flow flow;

		handshake(family, &web, 40001, &db, 80);
		flow_of(&other, &flow);
		request.flow.seen = flow.seen;
		request.flow.state = BH_FLOW_ESTABLISHED;
		request.flow.flags = BH_FLOW_SEEDED;
		assert_int_equal(ask(&request), BH_FLOW_DONE);
		fire_from_pod(&web, &f);
		assert_int_equal(flow_count(family, SETTLED), 2);
		assert_int_equal(flow_count(family, HALF_OPEN), 0);
		flow_of(&f, &flow);
		assert_int_equal(flow.packets[0] + flow.packets[1], 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(a_flow_is_entered_settled_and_once),
		bed_test(a_flow_is_ended_only_when_it_is_over),
		bed_test(nobody_is_ended_in_anothers_stead),
		bed_test(places_that_are_not_there_are_no_matter),
		bed_test(what_is_not_understood_changes_nothing),
		bed_test(an_entered_flow_is_its_packets),
	};

	return cmocka_run_group_tests_name("flow tables", tests, bed_setup, bed_teardown);
}
