/* SPDX-License-Identifier: Apache-2.0 */

/* A pod speaks for itself only: addresses, MACs, ARP, neighbour discovery, DHCP. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

#define PROGRAM ISOLATED_BOTH(7)

struct row {
	const char *name;
	int reason;
	struct frame (*make)(void);
};

/* fe80::ff:fe00:1: what web's veth gives itself. */
static struct party web_link_local(void)
{
	struct party p = web;

	memcpy(p.ip6, "\xfe\x80\0\0\0\0\0\0\0\0\0\xff\xfe\0\0\1", 16);
	return p;
}

static struct party wearing(const struct party *address, const struct party *mac)
{
	struct party p = *address;

	memcpy(p.mac, mac->mac, 6);
	return p;
}

static const struct party nobody = {.mac = {2, 0, 0, 0, 0, 1}};
static const struct party all_nodes = {
	.mac = {0x33, 0x33, 0, 0, 0, 1}, .ip4 = {224, 0, 0, 1}, .ip6 = {0xff, 2, [15] = 1}};

/* ---- IP and MAC ---- */

static struct frame own_address(void)
{
	return udp(4, &web, 1, &remote, 2);
}

static struct frame anothers_ipv4(void)
{
	struct party p = wearing(&db, &web);

	return udp(4, &p, 1, &remote, 2);
}

static struct frame anothers_ipv6(void)
{
	struct party p = wearing(&db, &web);

	return udp(6, &p, 1, &remote, 2);
}

static struct frame nobodys_ipv4(void)
{
	return udp(4, &nobody, 1, &remote, 2);
}

static struct frame nobodys_ipv6(void)
{
	return udp(6, &nobody, 1, &remote, 2);
}

static struct frame nodes_ipv4(void)
{
	struct party p = wearing(&node, &web);

	return tcp(4, &p, 1, &db, 2, SYN);
}

static struct frame loopback(void)
{
	struct party p = web;

	memcpy(p.ip4, "\x7f\0\0\1", 4);
	return udp(4, &p, 1, &remote, 2);
}

static struct frame multicast_source(void)
{
	struct party p = web;

	memcpy(p.ip4, "\xe0\0\0\1", 4);
	return udp(4, &p, 1, &remote, 2);
}

static struct frame anothers_mac(void)
{
	struct party p = wearing(&web, &db);

	return udp(4, &p, 1, &remote, 2);
}

static struct frame anothers_mac_below_arp(void)
{
	return arp(&db, 2, web.mac, web.ip4, db.ip4);
}

/* ---- ARP ---- */

static struct frame asks(void)
{
	return arp(&web, 1, web.mac, web.ip4, db.ip4);
}

static struct frame answers(void)
{
	return arp(&web, 2, web.mac, web.ip4, db.ip4);
}

static struct frame announces_itself(void)
{
	return arp(&web, 1, web.mac, web.ip4, web.ip4);
}

static struct frame probes(void)
{
	return arp(&web, 1, web.mac, nobody.ip4, web.ip4);
}

static struct frame answers_for_another(void)
{
	return arp(&web, 2, web.mac, db.ip4, third.ip4);
}

static struct frame announces_another(void)
{
	return arp(&web, 1, web.mac, db.ip4, db.ip4);
}

static struct frame answers_with_anothers_mac(void)
{
	return arp(&web, 2, db.mac, web.ip4, db.ip4);
}

static struct frame answers_for_nobody(void)
{
	return arp(&web, 2, web.mac, nobody.ip4, db.ip4);
}

/* ---- Neighbour discovery ---- */

static struct frame solicits(void)
{
	return neighbour(&web, &db, 135, db.ip6, 1, web.mac);
}

static struct frame solicits_from_link_local(void)
{
	struct party p = web_link_local();

	return neighbour(&p, &db, 135, db.ip6, 1, web.mac);
}

static struct frame detects_its_duplicate(void)
{
	return neighbour(&nobody, &all_nodes, 135, web.ip6, 0, NULL);
}

static struct frame detects_its_link_local_duplicate(void)
{
	struct party p = web_link_local();

	return neighbour(&nobody, &all_nodes, 135, p.ip6, 0, NULL);
}

static struct frame detects_anothers_duplicate(void)
{
	return neighbour(&nobody, &all_nodes, 135, db.ip6, 0, NULL);
}

static struct frame solicits_for_another(void)
{
	struct party p = wearing(&db, &web);

	return neighbour(&p, &third, 135, third.ip6, 1, web.mac);
}

static struct frame solicits_with_anothers_mac(void)
{
	return neighbour(&web, &db, 135, db.ip6, 1, db.mac);
}

static struct frame solicits_with_the_gateways_link_local(void)
{
	struct party p = web;

	memcpy(p.ip6, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	return neighbour(&p, &db, 135, db.ip6, 1, web.mac);
}

static struct frame advertises(void)
{
	return neighbour(&web, &db, 136, web.ip6, 2, web.mac);
}

static struct frame advertises_another(void)
{
	return neighbour(&web, &db, 136, third.ip6, 2, web.mac);
}

static struct frame advertises_with_anothers_mac(void)
{
	return neighbour(&web, &db, 136, web.ip6, 2, third.mac);
}

static struct frame advertises_from_nobody(void)
{
	return neighbour(&nobody, &all_nodes, 136, web.ip6, 2, web.mac);
}

static struct frame advertises_nothing(void)
{
	return neighbour(&web, &all_nodes, 136, nobody.ip6, 2, web.mac);
}

static struct frame two_link_layer_options(void)
{
	struct frame f = neighbour(&web, &db, 136, web.ip6, 2, web.mac);

	frame_hex(&f, "0201 020000000002");
	return f;
}

static struct frame two_kinds_of_link_layer_options(void)
{
	struct frame f = neighbour(&web, &db, 136, web.ip6, 1, web.mac);

	frame_hex(&f, "0201 020000000002");
	return f;
}

static struct frame long_link_layer_option(void)
{
	struct frame f = neighbour(&web, &db, 136, web.ip6, 0, NULL);

	frame_hex(&f, "0202 020000000001 0000000000000000");
	return f;
}

static struct frame nine_options(void)
{
	struct frame f = neighbour(&web, &db, 136, web.ip6, 0, NULL);

	for (int i = 0; i < 9; i++)
		frame_hex(&f, "0e01 000000000000");
	return f;
}

static struct frame solicits_routers(void)
{
	struct party p = web_link_local();

	return neighbour(&p, &all_nodes, 133, NULL, 1, web.mac);
}

static struct frame solicits_routers_from_nobody(void)
{
	return neighbour(&nobody, &all_nodes, 133, NULL, 0, NULL);
}

static struct frame advertises_a_router(void)
{
	struct party p = web_link_local();
	struct frame f = neighbour(&p, &all_nodes, 134, NULL, 0, NULL);

	frame_zeros(&f, 8);
	return f;
}

static struct frame redirects(void)
{
	struct party p = web_link_local();

	return neighbour(&p, &db, 137, web.ip6, 0, NULL);
}

/* ---- Listener reports ---- */

static struct frame listener(const struct party *from, uint8_t type, uint8_t hop_limit)
{
	struct frame f = ip(6, from, &all_nodes);

	frame_set8(&f, L3, 7, hop_limit);
	frame_extension(&f, 0, "05020000 0100");
	frame_icmp(&f, type, 0, 0);
	frame_zeros(&f, 20);
	return f;
}

static struct frame reports_a_group(void)
{
	struct party p = web_link_local();

	return listener(&p, 143, 1);
}

static struct frame reports_a_group_from_nobody(void)
{
	return listener(&nobody, 143, 1);
}

static struct frame reports_a_group_for_another(void)
{
	struct party p = wearing(&db, &web);

	return listener(&p, 131, 1);
}

static struct frame reports_a_group_from_afar(void)
{
	return listener(&web, 143, 64);
}

static struct frame queries_listeners(void)
{
	struct party p = web_link_local();

	return listener(&p, 130, 1);
}

/* ---- DHCP ---- */

static struct frame asks_dhcp(void)
{
	return dhcp_client(4, &nobody, web.mac);
}

static struct frame renews_dhcp(void)
{
	return dhcp_client(4, &web, web.mac);
}

static struct frame asks_dhcp_for_another(void)
{
	return dhcp_client(4, &nobody, db.mac);
}

static struct frame asks_dhcp_from_anothers_address(void)
{
	struct party p = wearing(&db, &web);

	return dhcp_client(4, &p, web.mac);
}

static struct frame asks_dhcpv6(void)
{
	struct party p = web_link_local();

	return dhcp_client(6, &p, web.mac);
}

static struct frame asks_dhcpv6_from_anothers_address(void)
{
	struct party p = wearing(&db, &web);

	return dhcp_client(6, &p, web.mac);
}

static struct frame answers_dhcp(void)
{
	return udp(4, &web, 67, &db, 68);
}

static struct frame answers_dhcpv6(void)
{
	return udp(6, &web, 547, &db, 546);
}

static struct frame cut_dhcp(void)
{
	struct frame f = dhcp_client(4, &nobody, web.mac);

	frame_set16(&f, L3, 2, 20 + 8 + 30);
	frame_set16(&f, L4, 4, 8 + 30);
	return f;
}

#define R(name) BH_REASON_##name

/* What web sends, enforced and allowed nothing: the policy must not be what stops any of it. */
static const struct row from_web[] = {
	{"judges what comes from the own address", R(ISOLATED), own_address},
	{"drops another pod's IPv4 address", R(SPOOFED_IP), anothers_ipv4},
	{"drops another pod's IPv6 address", R(SPOOFED_IP), anothers_ipv6},
	{"drops 0.0.0.0", R(SPOOFED_IP), nobodys_ipv4},
	{"drops ::", R(SPOOFED_IP), nobodys_ipv6},
	{"drops the node's address", R(SPOOFED_IP), nodes_ipv4},
	{"drops loopback addresses", R(SPOOFED_IP), loopback},
	{"drops a multicast source", R(SPOOFED_IP), multicast_source},
	{"drops another's MAC", R(SPOOFED_MAC), anothers_mac},
	{"drops another's MAC below ARP", R(SPOOFED_MAC), anothers_mac_below_arp},

	{"passes an ARP request", R(NEIGHBOUR), asks},
	{"passes an ARP answer", R(NEIGHBOUR), answers},
	{"passes an announcement of itself", R(NEIGHBOUR), announces_itself},
	{"passes an ARP probe", R(NEIGHBOUR), probes},
	{"drops an ARP answer for another", R(SPOOFED_ARP), answers_for_another},
	{"drops a gratuitous ARP for another", R(SPOOFED_ARP), announces_another},
	{"drops an ARP answer with another's MAC", R(SPOOFED_ARP), answers_with_anothers_mac},
	{"drops an ARP answer for 0.0.0.0", R(SPOOFED_ARP), answers_for_nobody},

	{"passes a solicitation", R(NEIGHBOUR), solicits},
	{"passes a solicitation from its link-local address", R(NEIGHBOUR),
		solicits_from_link_local},
	{"passes duplicate detection", R(NEIGHBOUR), detects_its_duplicate},
	{"passes duplicate detection of its link-local address", R(NEIGHBOUR),
		detects_its_link_local_duplicate},
	{"drops duplicate detection of another's address", R(SPOOFED_ND),
		detects_anothers_duplicate},
	{"drops a solicitation from another's address", R(SPOOFED_ND), solicits_for_another},
	{"drops a solicitation with another's MAC", R(SPOOFED_ND), solicits_with_anothers_mac},
	{"drops a solicitation from the gateway's link-local address", R(SPOOFED_ND),
		solicits_with_the_gateways_link_local},
	{"passes an advertisement of itself", R(NEIGHBOUR), advertises},
	{"drops an advertisement of another", R(SPOOFED_ND), advertises_another},
	{"drops an advertisement with another's MAC", R(SPOOFED_ND), advertises_with_anothers_mac},
	{"drops an advertisement from ::", R(SPOOFED_ND), advertises_from_nobody},
	{"drops an advertisement of ::", R(SPOOFED_ND), advertises_nothing},
	{"drops two link-layer options", R(ND_MALFORMED), two_link_layer_options},
	{"drops two kinds of link-layer options", R(ND_MALFORMED), two_kinds_of_link_layer_options},
	{"drops a link-layer option of 16 bytes", R(ND_MALFORMED), long_link_layer_option},
	{"drops nine options", R(ND_MALFORMED), nine_options},
	{"passes a router solicitation", R(NEIGHBOUR), solicits_routers},
	{"passes a router solicitation from ::", R(NEIGHBOUR), solicits_routers_from_nobody},
	{"drops a router advertisement", R(ROUTER_ADVERT), advertises_a_router},
	{"drops a redirect", R(ROUTER_ADVERT), redirects},

	{"passes a listener report", R(MULTICAST_LISTENER), reports_a_group},
	{"passes a listener report from ::", R(MULTICAST_LISTENER), reports_a_group_from_nobody},
	{"drops a listener report from another's address", R(SPOOFED_IP),
		reports_a_group_for_another},
	{"drops a listener report from beyond the link", R(ND_MALFORMED),
		reports_a_group_from_afar},
	{"drops a listener query", R(ICMP_TYPE), queries_listeners},

	{"passes a DHCP request", R(DHCP), asks_dhcp},
	{"passes a DHCP request from the own address", R(DHCP), renews_dhcp},
	{"drops a DHCP request for another", R(ROGUE_DHCP), asks_dhcp_for_another},
	{"drops a DHCP request from another's address", R(SPOOFED_IP),
		asks_dhcp_from_anothers_address},
	{"passes a DHCPv6 request", R(DHCP), asks_dhcpv6},
	{"drops a DHCPv6 request from another's address", R(SPOOFED_IP),
		asks_dhcpv6_from_anothers_address},
	{"drops a DHCP answer", R(ROGUE_DHCP), answers_dhcp},
	{"drops a DHCPv6 answer", R(ROGUE_DHCP), answers_dhcpv6},
	{"drops a DHCP request without its client", R(L4_HEADER), cut_dhcp},
};
#define N_ROWS (sizeof(from_web) / sizeof(*from_web))

static void row_from_web(void **state)
{
	const struct row *row = *state;
	struct frame f = row->make();

	bed_reset(NULL);
	enforce(&web, PROGRAM);
	expect_outcome(__FILE__, __LINE__, from_pod(&web, &f), row->reason);
}

/* ---- By themselves ---- */

static void nobody_is_accused_before_its_addresses_are_known(void **state)
{
	const struct party link_local = web_link_local();
	struct frame announces = arp(&web, 1, web.mac, web.ip4, web.ip4);
	struct frame detects = detects_its_duplicate();
	struct frame solicits_own = neighbour(&link_local, &db, 135, db.ip6, 1, web.mac);
	struct frame sends4 = udp(4, &web, 1, &remote, 2), sends6 = udp(6, &web, 1, &remote, 2);
	struct frame forged = arp(&web, 1, db.mac, web.ip4, web.ip4);
	struct outcome outcome;

	hold_nameless(&web);
	/* Dropped, as before; and its announcements are no conversation that anybody began. */
	outcome = from_pod(&web, &announces);
	expect(outcome, NO_ENDPOINT);
	assert_int_equal(outcome.n_events, 0);
	outcome = from_pod(&web, &detects);
	expect(outcome, NO_ENDPOINT);
	assert_int_equal(outcome.n_events, 0);
	outcome = from_pod(&web, &sends4);
	expect(outcome, NO_ENDPOINT);
	assert_int_equal(outcome.n_events, 1);
	expect(from_pod(&web, &sends6), NO_ENDPOINT);
	/* What can be checked is: its MAC is known, and with it its link-local address. */
	expect(from_pod(&web, &solicits_own), NEIGHBOUR);
	expect(from_pod(&web, &forged), SPOOFED_ARP);
	frame_set(&forged, L2, 6, db.mac, 6);
	expect(from_pod(&web, &forged), SPOOFED_MAC);
}

static void unicast_to_a_dhcp_server_is_no_exception(void **state)
{
	struct frame f4 = udp(4, &web, 68, &remote, 67), f6 = udp(6, &web, 546, &remote, 547);

	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f4), ISOLATED);
	expect(from_pod(&web, &f6), ISOLATED);
}

static void broadcast_from_another_port_is_no_dhcp(void **state)
{
	struct frame f = dhcp_client(4, &web, web.mac);

	frame_set16(&f, L4, 0, 6868);
	enforce(&web, PROGRAM);
	expect(from_pod(&web, &f), ISOLATED);
}

static void answers_reach_the_pod(void **state)
{
	struct frame who = arp(&node, 1, node.mac, node.ip4, web.ip4);
	struct frame solicit = neighbour(&node, &web, 135, web.ip6, 1, node.mac);
	struct frame router = neighbour(&node, &all_nodes, 134, NULL, 1, node.mac);
	struct frame offer = udp(4, &node, 67, &web, 68);

	enforce(&web, PROGRAM);
	expect(to_pod(&web, &who), NEIGHBOUR);
	expect(to_pod(&web, &solicit), NEIGHBOUR);
	expect(to_pod(&web, &router), NEIGHBOUR);
	expect(to_pod(&web, &offer), DHCP);
}

static void redirect_reaches_no_pod(void **state)
{
	struct frame f = neighbour(&remote, &web, 137, web.ip6, 0, NULL);

	expect(to_pod(&web, &f), ICMP_TYPE);
}

static void second_address_is_the_pods_too(void **state)
{
	struct party other = web;
	struct frame f4, f6;

	memcpy(other.ip4, "\x0a\1\0\x64", 4);
	other.ip6[15] = 0x64;
	add_address(&web, &other);
	f4 = udp(4, &other, 1, &remote, 2);
	f6 = udp(6, &other, 1, &remote, 2);
	expect(from_pod(&web, &f4), NOT_ISOLATED);
	expect(from_pod(&web, &f6), NOT_ISOLATED);
}

static void pod_without_ipv6_owns_no_ipv6_address(void **state)
{
	struct frame f = udp(6, &nobody, 1, &remote, 2), own = udp(6, &web, 1, &remote, 2);

	take_addresses6(&web);
	expect(from_pod(&web, &f), SPOOFED_IP);
	expect(from_pod(&web, &own), SPOOFED_IP);
}

static void forged_packets_are_named_with_the_pod_that_sent_them(void **state)
{
	struct frame f = anothers_ipv4();
	struct outcome outcome = from_pod(&web, &f);

	expect(outcome, SPOOFED_IP);
	assert_int_equal(outcome.n_events, 1);
	assert_int_equal(outcome.event[0].type, BH_EVENT_DENIED);
	assert_int_equal(outcome.event[0].local, web.workload);
	assert_int_equal(outcome.event[0].ifindex, web.ifindex);
	assert_memory_equal(outcome.event[0].src, db.ip4, 4);
}

static void forged_packets_make_no_flow_even_where_they_pass(void **state)
{
	struct frame f = anothers_ipv4();

	enforce(&web, BH_PROGRAM_OPEN);
	expect(from_pod(&web, &f), OPEN);
	assert_int_equal(flow_of(&f, NULL), NOWHERE);
}

static void unknown_interface_is_closed(void **state)
{
	struct frame f = own_address(), a = asks();

	forget_interface(&web);
	expect(from_pod(&web, &f), NO_ENDPOINT);
	expect(from_pod(&web, &a), NO_ENDPOINT);
	expect(to_pod(&web, &f), NO_ENDPOINT);
}

static void unknown_interface_is_open_where_nothing_is_enforced(void **state)
{
	struct frame f = own_address();

	forget_interface(&web);
	bed_config.flags |= BH_CONFIG_UNKNOWN_OPEN;
	configure();
	expect(from_pod(&web, &f), OPEN);
	assert_int_equal(flow_of(&f, NULL), NOWHERE);
}

int main(void)
{
	static struct CMUnitTest tests[N_ROWS] = {{0}};
	const struct CMUnitTest others[] = {
		bed_test(nobody_is_accused_before_its_addresses_are_known),
		bed_test(unicast_to_a_dhcp_server_is_no_exception),
		bed_test(broadcast_from_another_port_is_no_dhcp),
		bed_test(answers_reach_the_pod),
		bed_test(redirect_reaches_no_pod),
		bed_test(second_address_is_the_pods_too),
		bed_test(pod_without_ipv6_owns_no_ipv6_address),
		bed_test(forged_packets_are_named_with_the_pod_that_sent_them),
		bed_test(forged_packets_make_no_flow_even_where_they_pass),
		bed_test(unknown_interface_is_closed),
		bed_test(unknown_interface_is_open_where_nothing_is_enforced),
	};
	int failed;

	for (size_t i = 0; i < N_ROWS; i++)
		tests[i] = (struct CMUnitTest){.name = from_web[i].name,
			.test_func = row_from_web,
			.initial_state = (void *)&from_web[i]};
	failed = cmocka_run_group_tests_name("spoofing, by table", tests, bed_setup, bed_teardown);
	return failed + cmocka_run_group_tests_name("spoofing", others, bed_setup, bed_teardown);
}
