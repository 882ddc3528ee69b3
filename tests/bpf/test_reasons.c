/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Every reason of include/bulkhead/reasons.h, and a packet that comes to it. Two have none: NONE is
 * what no packet leaves with, and INTERNAL means that an array map did not have its element. A new
 * reason without a row here fails the last test.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

struct row {
	int reason;
	struct outcome (*reach)(void);
};

static struct outcome syn_to(const struct party *to, uint16_t port)
{
	struct frame f = tcp(4, &web, 40000, to, port, SYN);

	return from_pod(&web, &f);
}

/* A SYN of web's with one byte of the frame changed. */
static struct outcome changed(enum frame_layer layer, size_t offset, uint8_t value)
{
	struct frame f = tcp(4, &web, 40000, &remote, 80, SYN);

	frame_set8(&f, layer, offset, value);
	return from_pod(&web, &f);
}

static struct outcome policy(void)
{
	allow(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	return syn_to(&remote, 80);
}

static struct outcome not_isolated(void)
{
	return syn_to(&remote, 80);
}

static struct outcome open_pod(void)
{
	enforce(&web, BH_PROGRAM_OPEN);
	return syn_to(&remote, 80);
}

static const struct party a_service = {.name = "service",
	.mac = {2, 0, 0, 0, 0, 0xfe},
	.ip4 = {10, 96, 0, 1},
	.ip6 = {0xfd, 0, 0, 0x96, [15] = 1},
	.class = 400,
	.workload = 40};

static struct outcome to_a_service(void)
{
	identify_service(&a_service);
	defer(PROGRAM, a_service.class, 6, 80, 80);
	enforce(&web, PROGRAM);
	return syn_to(&a_service, 80);
}

/* It knows itself twice: as the one that sent it, and as the one that gets it. */
static struct outcome to_itself(void)
{
	struct frame f = tcp(4, &node, 40000, &web, 8080, SYN);
	struct outcome outcome;

	enforce(&web, PROGRAM);
	outcome = marked_to_pod(&web, &f, BH_TAG | web.slot);
	outcome.counted /= 2;
	return outcome;
}

static struct outcome from_the_node(void)
{
	struct frame f = tcp(4, &node, 40000, &web, 80, SYN);

	return from_node(&web, &f);
}

static struct outcome neighbour_asked(void)
{
	struct frame f = arp(&web, 1, web.mac, web.ip4, db.ip4);

	return from_pod(&web, &f);
}

static struct outcome dhcp(void)
{
	struct frame f = dhcp_client(4, &web, web.mac);

	return from_pod(&web, &f);
}

static struct frame listener_report(void)
{
	struct frame f = ip(6, &web, &db);

	frame_set8(&f, L3, 7, 1);
	frame_icmp(&f, 143, 0, 0);
	return f;
}

static struct outcome listener(void)
{
	struct frame f = listener_report();

	return from_pod(&web, &f);
}

static struct outcome about_a_flow(void)
{
	struct frame question = udp(4, &web, 5000, &remote, 53);
	struct frame error = icmp_error(&world, &web, &question, 28);

	from_pod(&web, &question);
	return to_pod(&web, &error);
}

static struct outcome isolated(void)
{
	enforce(&web, PROGRAM);
	return syn_to(&remote, 80);
}

static struct outcome policy_deny(void)
{
	deny(PROGRAM, BH_EGRESS, remote.class, 6, 80, 80, 1);
	enforce(&web, PROGRAM);
	return syn_to(&remote, 80);
}

static struct outcome no_endpoint(void)
{
	forget_interface(&web);
	return syn_to(&remote, 80);
}

static struct outcome spoofed_ip(void)
{
	return changed(L3, 15, 99);
}

static struct outcome spoofed_mac(void)
{
	return changed(L2, 11, 99);
}

static struct outcome spoofed_arp(void)
{
	struct frame f = arp(&web, 2, web.mac, db.ip4, remote.ip4);

	return from_pod(&web, &f);
}

static struct outcome spoofed_nd(void)
{
	struct frame f = neighbour(&web, &db, 136, third.ip6, 2, web.mac);

	return from_pod(&web, &f);
}

static struct outcome router_advert(void)
{
	struct frame f = neighbour(&web, &db, 134, NULL, 0, NULL);

	return from_pod(&web, &f);
}

static struct outcome rogue_dhcp(void)
{
	struct frame f = udp(4, &web, 67, &db, 68);

	return from_pod(&web, &f);
}

static struct outcome truncated(void)
{
	struct frame f = arp(&web, 1, web.mac, web.ip4, db.ip4);

	f.length -= 1;
	return from_pod(&web, &f);
}

static struct outcome ethertype(void)
{
	return changed(L2, 12, 0x88);
}

static struct outcome vlan_depth(void)
{
	struct frame f;

	frame_ethernet(&f, &web, &db);
	for (int i = 0; i < 3; i++)
		frame_vlan(&f, 0x8100);
	frame_ip(&f, 4, &web, &db);
	frame_tcp(&f, 1, 2, SYN);
	return from_pod(&web, &f);
}

static struct outcome ip_header(void)
{
	return changed(L3, 0, 0x44);
}

static struct outcome extension_headers(void)
{
	struct frame f = ip(6, &web, &db);

	frame_extension(&f, 43, "0001");
	frame_tcp(&f, 1, 2, SYN);
	return from_pod(&web, &f);
}

static struct outcome l4_header(void)
{
	return changed(L4, 12, 0x40);
}

static struct outcome tcp_flags(void)
{
	return changed(L4, 13, SYN | FIN);
}

static struct outcome fragment_tiny(void)
{
	struct frame f = ip(4, &web, &db);

	frame_fragment(&f, 1, 0, 1);
	frame_protocol(&f, 6);
	frame_zeros(&f, 8);
	return from_pod(&web, &f);
}

static struct outcome fragment_no_first(void)
{
	struct frame f = ip(4, &web, &db);

	frame_fragment(&f, 1, 1480, 0);
	frame_protocol(&f, 17);
	frame_zeros(&f, 8);
	enforce(&web, PROGRAM);
	return from_pod(&web, &f);
}

static struct outcome arp_malformed(void)
{
	struct frame f = arp(&web, 9, web.mac, web.ip4, db.ip4);

	return from_pod(&web, &f);
}

static struct outcome nd_malformed(void)
{
	struct frame f = listener_report();

	frame_set8(&f, L3, 7, 64);
	return from_pod(&web, &f);
}

static struct outcome icmp_type(void)
{
	struct frame f = echo(4, &web, &db, 5, 1);

	return from_pod(&web, &f);
}

static struct outcome icmp_no_flow(void)
{
	struct frame f = echo(4, &web, &db, 0, 1);

	return from_pod(&web, &f);
}

static struct outcome table_full(void)
{
	flows_refuse();
	return syn_to(&remote, 80);
}

#define ROW(name, how)                \
	{                             \
		BH_REASON_##name, how \
	}

static const struct row rows[] = {
	ROW(POLICY, policy),
	ROW(NOT_ISOLATED, not_isolated),
	ROW(OPEN, open_pod),
	ROW(NODE, from_the_node),
	ROW(NEIGHBOUR, neighbour_asked),
	ROW(DHCP, dhcp),
	ROW(MULTICAST_LISTENER, listener),
	ROW(ICMP_ERROR, about_a_flow),
	ROW(ISOLATED, isolated),
	ROW(POLICY_DENY, policy_deny),
	ROW(NO_ENDPOINT, no_endpoint),
	ROW(SPOOFED_IP, spoofed_ip),
	ROW(SPOOFED_MAC, spoofed_mac),
	ROW(SPOOFED_ARP, spoofed_arp),
	ROW(SPOOFED_ND, spoofed_nd),
	ROW(ROUTER_ADVERT, router_advert),
	ROW(ROGUE_DHCP, rogue_dhcp),
	ROW(TRUNCATED, truncated),
	ROW(ETHERTYPE, ethertype),
	ROW(VLAN_DEPTH, vlan_depth),
	ROW(IP_HEADER, ip_header),
	ROW(EXTENSION_HEADERS, extension_headers),
	ROW(L4_HEADER, l4_header),
	ROW(TCP_FLAGS, tcp_flags),
	ROW(FRAGMENT_TINY, fragment_tiny),
	ROW(FRAGMENT_NO_FIRST, fragment_no_first),
	ROW(ARP_MALFORMED, arp_malformed),
	ROW(ND_MALFORMED, nd_malformed),
	ROW(ICMP_TYPE, icmp_type),
	ROW(ICMP_NO_FLOW, icmp_no_flow),
	ROW(TABLE_FULL, table_full),
	ROW(SERVICE, to_a_service),
	ROW(SELF, to_itself),
};
#define N_ROWS (sizeof(rows) / sizeof(*rows))

static void reaches_its_reason(void **state)
{
	const struct row *row = *state;
	struct outcome outcome;

	bed_reset(NULL);
	outcome = row->reach();
	expect_outcome(__FILE__, __LINE__, outcome, row->reason);
	/* Each denied packet is told, with its reason. */
	if (!BH_REASON_PASSES(row->reason)) {
		assert_int_equal(outcome.n_events, 1);
		assert_int_equal(outcome.event[0].type, BH_EVENT_DENIED);
		assert_int_equal(outcome.event[0].reason, row->reason);
	}
}

static bool has_a_row(int reason)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		if (rows[i].reason == reason)
			return true;
	}
	/* The uplink says NOT_LOCAL without a word: its packets are counted where they go. */
	return reason == BH_REASON_NONE || reason == BH_REASON_INTERNAL ||
	       reason == BH_REASON_NOT_LOCAL;
}

static void every_reason_has_a_packet(void **state)
{
#define CHECK(name, number, kind, word, sentence) \
	if (!has_a_row(number))                   \
		fail_msg("no packet comes to " #name);
	BH_REASONS(CHECK)
#undef CHECK
}

static void kinds_agree_with_the_numbers(void **state)
{
	enum { PASS, DROP };

#define CHECK(name, number, kind, word, sentence) \
	assert_true((number) < BH_REASON_MAX);    \
	assert_int_equal(BH_REASON_PASSES(number), (kind) == PASS);
	BH_REASONS(CHECK)
#undef CHECK
}

static void words_and_numbers_are_unique(void **state)
{
	static const struct {
		int number;
		const char *word;
	} all[] = {
#define ONE(name, number, kind, word, sentence) {number, word},
		BH_REASONS(ONE)
#undef ONE
	};
	const size_t n = sizeof(all) / sizeof(*all);

	for (size_t i = 0; i < n; i++) {
		assert_int_equal(
			strspn(all[i].word, "abcdefghijklmnopqrstuvwxyz4-"), strlen(all[i].word));
		for (size_t j = 0; j < i; j++) {
			assert_int_not_equal(all[i].number, all[j].number);
			assert_string_not_equal(all[i].word, all[j].word);
		}
	}
}

/* The table is full, and nothing is enforced: then nothing is dropped. */
static void open_pod_passes_with_a_full_table(void **state)
{
	enforce(&web, BH_PROGRAM_OPEN);
	expect(table_full(), OPEN);
	assert_true(counter(BH_COUNTER_FLOW_INSERT_FAILED) > 0);
}

int main(void)
{
	static struct CMUnitTest tests[N_ROWS + 4];
	size_t n = 0;

	bed_sizes.marked = true;
	for (; n < N_ROWS; n++)
		tests[n] = (struct CMUnitTest){.name = reason_word(rows[n].reason),
			.test_func = reaches_its_reason,
			.initial_state = (void *)&rows[n]};
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_reason_has_a_packet);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(kinds_agree_with_the_numbers);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(words_and_numbers_are_unique);
	tests[n++] = (struct CMUnitTest)bed_test(open_pod_passes_with_a_full_table);
	return _cmocka_run_group_tests("reasons", tests, n, bed_setup, bed_teardown);
}
