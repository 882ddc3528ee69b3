/* SPDX-License-Identifier: Apache-2.0 */

/* Records of flows that last: whose turn it is, and that their differences add up to everything. */

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "dataplane/reports.h"

#define PERIOD 6000u
#define ROUND 1000u
#define START 1000000u

static struct bh_reports *reports;

static int open_reports(void **state)
{
	return bh_reports_new(PERIOD, START, false, &reports);
}

static int close_reports(void **state)
{
	bh_reports_free(reports);
	return 0;
}

static struct bh_event event_of(uint8_t family, uint16_t port, uint64_t started, uint64_t packets)
{
	return (struct bh_event){
		.family = family,
		.protocol = 6,
		.src = {10, 0, 0, 9},
		.dst = {10, 0, 0, 2},
		.sport = htons(port),
		.dport = htons(80),
		.started = started,
		.packets = {packets, 2 * packets},
		.octets = {100 * packets, 300 * packets},
	};
}

static union bh_flow_key flow_of(const struct bh_event *event, struct bh_flow *ret_flow)
{
	struct bh_end opener = {.port = event->sport}, responder = {.port = event->dport};
	union bh_flow_key key;
	uint8_t side;

	memcpy(opener.ip, event->src, 16);
	memcpy(responder.ip, event->dst, 16);
	side = bh_flow_key_make(event->family, event->protocol, &opener, &responder, &key);
	*ret_flow = (struct bh_flow){.started = event->started, .opener = side};
	for (int i = 0; i < 2; i++) {
		ret_flow->packets[side ^ i] = (uint32_t)event->packets[i];
		ret_flow->octets[side ^ i] = event->octets[i];
	}
	return key;
}

static bool is_due(const struct bh_event *event)
{
	struct bh_flow flow;
	union bh_flow_key key = flow_of(event, &flow);

	return bh_reports_due(reports, event->family, &key, &flow);
}

/* One round that meets this flow only. Returns true if it was told, and then what had been. */
static bool round_at(uint64_t jiffies, const struct bh_event *event, struct bh_told *ret_before)
{
	bool due;

	bh_reports_begin(reports, jiffies);
	due = is_due(event);
	if (due)
		bh_reports_tell(reports, event, false, jiffies, ret_before);
	bh_reports_end(reports);
	return due;
}

static void each_period_has_one_record_from_the_second_on(void **state)
{
	for (uint16_t port = 1000; port < 1100; port++) {
		unsigned first = 0, told = 0;
		struct bh_told before;

		close_reports(NULL);
		open_reports(NULL);
		for (unsigned i = 1; i <= 60; i++) {
			struct bh_event event = event_of(4, port, START, i);

			if (!round_at(START + i * ROUND, &event, &before))
				continue;
			told++;
			first = first ? first : i;
		}
		assert_in_range(first, PERIOD / ROUND, 2 * PERIOD / ROUND);
		assert_int_equal(told, (60 - first) / (PERIOD / ROUND) + 1);
	}
}

static void flows_that_began_together_are_told_apart(void **state)
{
	unsigned most = 0, all = 0;

	for (unsigned i = 1; i < 12; i++) {
		unsigned due = 0;

		bh_reports_begin(reports, START + i * ROUND);
		for (uint16_t port = 10000; port < 20000; port++) {
			struct bh_event event = event_of(4, port, START, 1);

			due += is_due(&event);
		}
		bh_reports_end(reports);
		most = due > most ? due : most;
		all += due;
	}
	assert_int_equal(all, 10000);
	assert_in_range(most, 10000 / 6, 10000 / 4);
}

static void differences_add_up_to_everything(void **state)
{
	static const uint8_t families[] = {4, 6};

	for (int f = 0; f < 2; f++) {
		uint64_t packets = 0, octets = 0, last = 0;
		struct bh_told before = {};
		struct bh_event event;

		close_reports(NULL);
		open_reports(NULL);
		for (unsigned i = 1; i <= 40; i++) {
			event = event_of(families[f], 1000, START, 7 * i);
			if (!round_at(START + i * ROUND, &event, &before))
				continue;
			assert_int_equal(before.jiffies, last);
			last = START + i * ROUND;
			packets += event.packets[0] - before.packets[0];
			octets += event.octets[1] - before.octets[1];
			assert_int_equal(packets, event.packets[0]);
		}
		assert_int_equal(bh_reports_count(reports), 1);
		event = event_of(families[f], 1000, START, 1000);
		bh_reports_tell(reports, &event, true, START + 41 * ROUND, &before);
		assert_int_equal(before.jiffies, last);
		assert_int_equal(packets + event.packets[0] - before.packets[0], 1000);
		assert_int_equal(octets + event.octets[1] - before.octets[1], 300000);
		assert_int_equal(bh_reports_count(reports), 0);
	}
}

static void what_carried_nothing_is_not_told_again(void **state)
{
	struct bh_event event = event_of(4, 1000, START, 5);
	struct bh_told before;
	unsigned told = 0;

	for (unsigned i = 1; i <= 40; i++)
		told += round_at(START + i * ROUND, &event, &before);
	assert_int_equal(told, 1);
	event = event_of(4, 1000, START, 6);
	for (unsigned i = 41; i <= 46; i++)
		told += round_at(START + i * ROUND, &event, &before);
	assert_int_equal(told, 2);
	assert_int_equal(before.packets[0], 5);
}

static void another_flow_with_the_same_ends_begins_at_nothing(void **state)
{
	struct bh_event event = event_of(4, 1000, START, 50);
	struct bh_told before;

	for (unsigned i = 1; i <= 12; i++)
		round_at(START + i * ROUND, &event, &before);
	/* Its end was lost. */
	event = event_of(4, 1000, START + 13 * ROUND, 3);
	bh_reports_tell(reports, &event, true, START + 40 * ROUND, &before);
	assert_int_equal(before.packets[0], 0);
	assert_int_equal(before.jiffies, 0);
}

static void flow_that_is_gone_is_forgotten(void **state)
{
	struct bh_event event = event_of(4, 1000, START, 50);
	struct bh_told before;
	uint64_t jiffies = START;

	for (unsigned i = 1; i <= 12; i++)
		round_at(jiffies += ROUND, &event, &before);
	assert_int_equal(bh_reports_count(reports), 1);
	for (unsigned i = 0; i < 12 * PERIOD / ROUND; i++) {
		bh_reports_begin(reports, jiffies += ROUND);
		bh_reports_end(reports);
	}
	assert_int_equal(bh_reports_count(reports), 0);
}

static void what_the_process_before_may_have_told_is_not_told_twice(void **state)
{
	struct bh_event old = event_of(4, 1000, START - PERIOD, 50);
	struct bh_event young = event_of(4, 1001, START - PERIOD + 1, 50);
	struct bh_event missed = event_of(4, 1002, START - PERIOD, 50);
	struct bh_told before;
	unsigned told = 0;

	close_reports(NULL);
	assert_int_equal(bh_reports_new(PERIOD, START, true, &reports), 0);
	assert_false(round_at(START + ROUND, &old, &before));
	old = event_of(4, 1000, START - PERIOD, 60);
	for (unsigned i = 2; i <= 8; i++)
		told += round_at(START + i * ROUND, &old, &before);
	assert_int_equal(told, 1);
	assert_int_equal(before.packets[0], 50);
	bh_reports_tell(reports, &young, true, START + 9 * ROUND, &before);
	assert_int_equal(before.packets[0], 0);
	bh_reports_tell(reports, &missed, true, START + 9 * ROUND, &before);
	assert_int_equal(before.packets[0], 50);
	assert_int_equal(before.jiffies, START);
}

static void beyond_the_bound_a_flow_is_told_at_its_end_only(void **state)
{
	struct bh_event event;
	struct bh_told before;

	for (unsigned i = 0; i <= BH_REPORTS_MAX; i++) {
		event = event_of(4, (uint16_t)i, START, 1);
		event.src[3] = (uint8_t)(i >> 16);
		bh_reports_tell(reports, &event, false, START + PERIOD, &before);
	}
	assert_int_equal(bh_reports_count(reports), BH_REPORTS_MAX);
	/* The last one was too many: all of it is left for its end. */
	assert_int_equal(before.packets[0], 1);
	bh_reports_begin(reports, START + 2 * PERIOD);
	assert_false(is_due(&event));
	bh_reports_end(reports);
	bh_reports_tell(reports, &event, true, START + 3 * PERIOD, &before);
	assert_int_equal(before.packets[0], 0);
}

static void counts_that_fall_are_no_difference(void **state)
{
	struct bh_event event = event_of(4, 1000, START, 50);
	struct bh_told before;

	bh_reports_tell(reports, &event, false, START + PERIOD, &before);
	event = event_of(4, 1000, START, 49);
	bh_reports_tell(reports, &event, true, START + 2 * PERIOD, &before);
	assert_int_equal(before.packets[0], 49);
	assert_int_equal(before.octets[1], 49 * 300);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_reports, close_reports)
	const struct CMUnitTest tests[] = {
		TEST(each_period_has_one_record_from_the_second_on),
		TEST(flows_that_began_together_are_told_apart),
		TEST(differences_add_up_to_everything),
		TEST(what_carried_nothing_is_not_told_again),
		TEST(another_flow_with_the_same_ends_begins_at_nothing),
		TEST(flow_that_is_gone_is_forgotten),
		TEST(what_the_process_before_may_have_told_is_not_told_twice),
		TEST(beyond_the_bound_a_flow_is_told_at_its_end_only),
		TEST(counts_that_fall_are_no_difference),
	};

	return cmocka_run_group_tests_name("reports", tests, NULL, NULL);
}
