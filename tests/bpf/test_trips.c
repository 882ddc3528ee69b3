/* SPDX-License-Identifier: Apache-2.0 */

/* How long the other end takes to answer a handshake, and who refuses one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "tests/lib/send.h"

static struct bh_edge edge_of(const struct party *local, const struct party *other,
	uint8_t protocol, enum bh_direction direction)
{
	const struct bh_edge_key key = {.local = local->workload,
		.remote = other->workload,
		.port = 4000,
		.protocol = protocol,
		.direction = direction,
		.verdict = BH_REASON_NOT_ISOLATED,
		.pending = BH_REASON_NOT_ISOLATED,
		.flags = other->slot ? BH_EDGE_PEER_LOCAL : 0,
		.family = 4};
	struct bh_edge edge;

	if (!edge_find(&key, &edge, NULL))
		fail_msg("no such edge");
	return edge;
}

/* Segments have payload: then they are looked into, and the handshake is part of that. */
static bool with_payload;

static struct frame segment(const struct party *from, uint16_t sport, const struct party *to,
	uint16_t dport, uint8_t flags)
{
	return with_payload ? tcp(4, from, sport, to, dport, flags)
			    : tcp_headers(4, from, sport, to, dport, flags);
}

static void from_client(uint8_t flags)
{
	struct frame f = segment(&web, 40000, &db, 4000, flags);

	assert_true(between(&web, &db, &f).passed);
}

static void from_server(uint8_t flags)
{
	struct frame f = segment(&db, 4000, &web, 40000, flags);

	assert_true(between(&db, &web, &f).passed);
}

/* ---- Handshakes ------------------------------------------------------------------------------ */

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void spin(uint64_t us)
{
	for (uint64_t end = now_us() + us; now_us() < end;)
		;
}

/* The server takes 20 ms to answer, the client 5 ms: each end sees the other's. */
static void round_trip_is_taken_at_both_ends(void **state)
{
	uint64_t began = now_us(), answered, ended;
	struct bh_edge client, server;

	from_client(SYN);
	spin(20000);
	answered = now_us();
	from_server(SYN | ACK);
	spin(5000);
	from_client(ACK);
	ended = now_us();
	client = edge_of(&web, &db, 6, BH_EGRESS);
	server = edge_of(&db, &web, 6, BH_INGRESS);
	assert_int_equal(client.trips, 1);
	assert_in_range(client.trip_sum, 20000, ended - began);
	assert_int_equal(client.trip_min, client.trip_sum);
	assert_int_equal(server.trips, 1);
	assert_in_range(server.trip_sum, 5000, ended - answered + 1);
}

/* That of the opener's end. */
static void flow_that_ends_says_its_round_trip(void **state)
{
	struct frame rst = tcp(4, &db, 4000, &web, 40000, RST | ACK);
	struct outcome outcome;

	from_client(SYN);
	spin(2000);
	from_server(SYN | ACK);
	from_client(ACK);
	outcome = from_pod(&db, &rst);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].trip_us, edge_of(&web, &db, 6, BH_EGRESS).trip_sum);
}

static void flow_whose_round_trip_was_not_taken_says_none(void **state)
{
	struct frame rst = tcp(4, &db, 4000, &web, 40000, RST | ACK);
	struct outcome outcome;

	from_client(SYN);
	from_client(SYN);
	from_server(SYN | ACK);
	from_server(SYN | ACK);
	from_client(ACK);
	outcome = from_pod(&db, &rst);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].trip_us, 0);
}

static void handshake_may_carry_data(void **state)
{
	with_payload = true;
	round_trip_is_taken_at_both_ends(state);
	with_payload = false;
}

static void lowest_round_trip_is_kept(void **state)
{
	struct bh_edge edge;

	for (int i = 0; i < 3; i++) {

		empty_flows();
		from_client(SYN);
		spin(i == 1 ? 1000 : 30000);
		from_server(SYN | ACK);
	}
	edge = edge_of(&web, &db, 6, BH_EGRESS);
	assert_int_equal(edge.trips, 3);
	assert_true(edge.trip_sum >= 61000);
	assert_true(edge.trip_min >= 1000 && edge.trip_min <= edge.trip_sum - 60000);
}

static void what_was_sent_twice_is_not_taken(void **state)
{
	from_client(SYN);
	from_client(SYN);
	from_server(SYN | ACK);
	from_server(SYN | ACK);
	from_client(ACK);
	assert_int_equal(edge_of(&web, &db, 6, BH_EGRESS).trips, 0);
	assert_int_equal(edge_of(&db, &web, 6, BH_INGRESS).trips, 0);
}

static void what_was_sent_twice_with_data_is_not_taken(void **state)
{
	with_payload = true;
	what_was_sent_twice_is_not_taken(state);
	with_payload = false;
}

static void answer_that_comes_twice_is_taken_once(void **state)
{
	from_client(SYN);
	from_server(SYN | ACK);
	from_client(ACK);
	from_server(SYN | ACK);
	assert_int_equal(edge_of(&web, &db, 6, BH_EGRESS).trips, 1);
	assert_int_equal(edge_of(&db, &web, 6, BH_INGRESS).trips, 1);
}

/* ---- Refusals -------------------------------------------------------------------------------- */

static void expect_ends(uint64_t refusals, uint64_t resets)
{
	const struct bh_edge ends[] = {
		edge_of(&web, &db, 6, BH_EGRESS), edge_of(&db, &web, 6, BH_INGRESS)};

	for (int i = 0; i < 2; i++) {
		assert_int_equal(ends[i].refusals, refusals);
		assert_int_equal(ends[i].resets, resets);
	}
}

static void reset_in_answer_to_a_syn_is_a_refusal(void **state)
{
	for (uint64_t i = 1; i <= 3; i++) {
		from_client(SYN);
		from_server(RST | ACK);
		expect_ends(i, 0);
	}
}

static void reset_of_a_connection_is_no_refusal(void **state)
{
	handshake(4, &web, 40000, &db, 4000);
	from_server(RST | ACK);
	expect_ends(0, 1);
}

static void client_that_gives_up_refuses_nothing(void **state)
{
	from_client(SYN);
	from_client(RST);
	expect_ends(0, 1);
}

static void send_error(uint8_t code, bool answered, uint64_t refusals)
{
	struct frame question = ip(4, &web, &remote), answer = ip(4, &remote, &web), error;

	bed_reset(NULL);
	frame_udp(&question, 40000, 4000);
	frame_zeros(&question, 10);
	frame_udp(&answer, 4000, 40000);
	frame_zeros(&answer, 10);
	from_pod(&web, &question);
	if (answered)
		to_pod(&web, &answer);
	error = icmp_error(&remote, &web, &question, 28);
	frame_set8(&error, L4, 1, code);
	expect(to_pod(&web, &error), ICMP_ERROR);
	assert_int_equal(edge_of(&web, &remote, 17, BH_EGRESS).refusals, refusals);
}

static void unreachable_port_is_a_refusal(void **state)
{
	send_error(3, false, 1);
	send_error(1, false, 1);
}

static void unreachable_after_an_answer_is_no_refusal(void **state)
{
	send_error(3, true, 0);
}

static void packet_that_is_too_big_is_no_refusal(void **state)
{
	send_error(4, false, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		bed_test(round_trip_is_taken_at_both_ends),
		bed_test(flow_that_ends_says_its_round_trip),
		bed_test(flow_whose_round_trip_was_not_taken_says_none),
		bed_test(handshake_may_carry_data),
		bed_test(lowest_round_trip_is_kept),
		bed_test(what_was_sent_twice_is_not_taken),
		bed_test(what_was_sent_twice_with_data_is_not_taken),
		bed_test(answer_that_comes_twice_is_taken_once),
		bed_test(reset_in_answer_to_a_syn_is_a_refusal),
		bed_test(reset_of_a_connection_is_no_refusal),
		bed_test(client_that_gives_up_refuses_nothing),
		bed_test(unreachable_port_is_a_refusal),
		bed_test(unreachable_after_an_answer_is_no_refusal),
		bed_test(packet_that_is_too_big_is_no_refusal),
	};

	return cmocka_run_group_tests_name("trips", tests, bed_setup, bed_teardown);
}
