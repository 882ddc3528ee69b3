/* SPDX-License-Identifier: Apache-2.0 */

/*
 * One table of packets and what each must come to. A row takes a sound frame, tells one lie in it
 * (or none), and sends it out of a pod that no policy isolates: whatever is dropped is dropped for
 * what it is. The same table goes through XDP, too: both must read bytes alike.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/send.h"

/* A change of one field, 1 or 2 bytes wide. */
struct lie {
	enum frame_layer layer;
	uint8_t offset;
	uint8_t width; /* 0: none */
	uint16_t value;
};

struct row {
	const char *name;
	int reason;
	struct frame (*make)(void);
	struct lie lie[2];
	uint16_t cut; /* the frame's length, where it is cut short */
};

/* ---- Sound frames ---- */

static struct frame tcp4(void)
{
	return tcp(4, &web, 40000, &world, 80, SYN);
}

static struct frame tcp6(void)
{
	return tcp(6, &web, 40000, &world, 80, SYN);
}

static struct frame udp4(void)
{
	return udp(4, &web, 40000, &world, 53);
}

static struct frame udp6(void)
{
	return udp(6, &web, 40000, &world, 53);
}

static struct frame sctp4(void)
{
	return sctp(4, &web, 40000, &world, 9);
}

static struct frame sctp6(void)
{
	return sctp(6, &web, 40000, &world, 9);
}

static struct frame echo4(void)
{
	return echo(4, &web, &world, 8, 1);
}

static struct frame echo6(void)
{
	return echo(6, &web, &world, 8, 1);
}

static struct frame arp4(void)
{
	return arp(&web, 1, web.mac, web.ip4, db.ip4);
}

static struct frame neighbour6(void)
{
	return neighbour(&web, &db, 135, db.ip6, 1, web.mac);
}

/* `number` as the protocol, and 20 bytes. */
static struct frame bare(int family, uint8_t number)
{
	struct frame f = ip(family, &web, &world);

	frame_protocol(&f, number);
	frame_zeros(&f, 20);
	return f;
}

static struct frame gre4(void)
{
	return bare(4, 47);
}

static struct frame ah6(void)
{
	return bare(6, 51);
}

static struct frame esp6(void)
{
	return bare(6, 50);
}

static struct frame nothing_more6(void)
{
	struct frame f = ip(6, &web, &world);

	frame_protocol(&f, 59);
	return f;
}

static struct frame mobility6(void)
{
	return bare(6, 135);
}

static struct frame icmp_in_ipv6(void)
{
	return bare(6, 1);
}

/* ---- Tags ---- */

static struct frame tagged(unsigned n, uint16_t outer)
{
	struct frame f;

	frame_ethernet(&f, &web, &world);
	for (unsigned i = 0; i < n; i++)
		frame_vlan(&f, i ? 0x8100 : outer);
	frame_ip(&f, 4, &web, &world);
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

static struct frame one_tag(void)
{
	return tagged(1, 0x8100);
}

static struct frame two_tags(void)
{
	return tagged(2, 0x88a8);
}

static struct frame tagged6(void)
{
	struct frame f;

	frame_ethernet(&f, &web, &world);
	frame_vlan(&f, 0x8100);
	frame_ip(&f, 6, &web, &world);
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

static struct frame three_tags(void)
{
	return tagged(3, 0x88a8);
}

static struct frame old_double_tag(void)
{
	return tagged(2, 0x9100);
}

/* ---- IPv4 options ---- */

static struct frame with_options(const char *hex)
{
	struct frame f = ip(4, &web, &world);

	frame_options(&f, hex);
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

static struct frame router_alert(void)
{
	return with_options("94040000");
}

static struct frame timestamps(void)
{
	return with_options("4424050000000000 0000000000000000 0000000000000000 0000000000000000"
			    "00000000");
}

static struct frame loose_source_route(void)
{
	return with_options("01 83070a01000209");
}

static struct frame strict_source_route(void)
{
	return with_options("89070a01000209");
}

static struct frame source_route_behind_forty_bytes(void)
{
	return with_options("0101010101010101 0101010101010101 0101010101010101 0101010101010101"
			    "01 83070a01000209");
}

static struct frame source_route_behind_the_end(void)
{
	return with_options("00 83070a01000209");
}

static struct frame option_of_no_length(void)
{
	return with_options("94000000");
}

static struct frame option_beyond_the_header(void)
{
	return with_options("94090000");
}

static struct frame option_cut_at_the_end(void)
{
	return with_options("01010107");
}

/* ---- IPv6 extension headers ---- */

static struct frame chain(const uint8_t *types, size_t n, const char *routing)
{
	struct frame f = ip(6, &web, &world);

	for (size_t i = 0; i < n; i++)
		frame_extension(&f, types[i], types[i] == 43 ? routing : "000000000000");
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

#define CHAIN(routing, ...)                                   \
	({                                                    \
		static const uint8_t types[] = {__VA_ARGS__}; \
		chain(types, sizeof(types), routing);         \
	})

static struct frame hop_by_hop(void)
{
	return CHAIN("", 0);
}

static struct frame hop_by_hop_second(void)
{
	return CHAIN("", 60, 0);
}

static struct frame hop_by_hop_twice(void)
{
	return CHAIN("", 0, 0);
}

static struct frame routing_0(void)
{
	return CHAIN("0000 00000000", 43);
}

static struct frame routing_0_with_segments(void)
{
	return CHAIN("0001 00000000 fd000002000000000000000000000009", 43);
}

static struct frame routing_2_used_up(void)
{
	return CHAIN("0200 00000000 fd000002000000000000000000000009", 43);
}

static struct frame routing_4_with_segments(void)
{
	return CHAIN("0401 00000000 fd000002000000000000000000000009", 43);
}

static struct frame eight_extensions(void)
{
	return CHAIN("", 0, 60, 60, 60, 60, 60, 60, 60);
}

static struct frame nine_extensions(void)
{
	return CHAIN("", 0, 60, 60, 60, 60, 60, 60, 60, 60);
}

static struct frame long_extension(void)
{
	struct frame f = ip(6, &web, &world);
	char hex[2 * 118 + 1];

	memset(hex, '0', sizeof(hex) - 1);
	hex[sizeof(hex) - 1] = 0;
	frame_extension(&f, 60, hex);
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

static struct frame atomic_fragment(void)
{
	struct frame f = ip(6, &web, &world);

	frame_fragment(&f, 9, 0, 0);
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

static struct frame fragment_in_fragment(void)
{
	struct frame f = ip(6, &web, &world);

	frame_fragment(&f, 9, 0, 1);
	frame_fragment(&f, 9, 0, 1);
	frame_tcp(&f, 40000, 80, SYN);
	return f;
}

static struct frame extension_at_the_very_end(void)
{
	struct frame f = ip(6, &web, &world);

	frame_protocol(&f, 60);
	return f;
}

static struct frame extension_longer_than_the_packet(void)
{
	struct frame f = hop_by_hop();

	f.data[f.l3 + 41] = 200;
	return f;
}

/* ---- Others ---- */

static struct frame padded(void)
{
	struct frame f = tcp(4, &web, 40000, &world, 80, SYN);

	memset(f.data + f.length, 0, 20);
	f.length += 20; /* behind what the IP header says */
	return f;
}

static struct frame padded6(void)
{
	struct frame f = tcp(6, &web, 40000, &world, 80, SYN);

	memset(f.data + f.length, 0, 20);
	f.length += 20;
	return f;
}

static struct frame llc(void)
{
	struct frame f;

	frame_ethernet(&f, &web, &world);
	frame_hex(&f, "424203 0000000000");
	frame_set16(&f, L2, 12, 8);
	return f;
}

static struct frame type(uint16_t ethertype)
{
	struct frame f;

	frame_ethernet(&f, &web, &world);
	frame_zeros(&f, 46);
	frame_set16(&f, L2, 12, ethertype);
	return f;
}

static struct frame mpls(void)
{
	return type(0x8847);
}

static struct frame pppoe(void)
{
	return type(0x8864);
}

static struct frame macsec(void)
{
	return type(0x88e5);
}

static struct frame lldp(void)
{
	return type(0x88cc);
}

static struct frame own_experiment(void)
{
	return type(0xffff);
}

static struct frame large_echo(void)
{
	struct frame f = echo(4, &web, &world, 8, 1);

	frame_zeros(&f, 1400);
	return f;
}

#define TCP_DOFF L4, 12, 1
#define TCP_FLAGS_AT L4, 13, 1
#define IP4_FIRST L3, 0, 1
#define IP4_TOTAL L3, 2, 2
#define IP6_FIRST L3, 0, 1
#define IP6_LENGTH L3, 4, 2
#define UDP_LENGTH L4, 4, 2
#define ICMP_AT L4, 0, 1

#define OK BH_REASON_NOT_ISOLATED
#define R(name) BH_REASON_##name

/* What a row leaves out is zero. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
static const struct row rows[] = {
	{"passes TCP over IPv4", OK, tcp4},
	{"passes TCP over IPv6", OK, tcp6},
	{"passes UDP over IPv4", OK, udp4},
	{"passes UDP over IPv6", OK, udp6},
	{"passes SCTP over IPv4", OK, sctp4},
	{"passes SCTP over IPv6", OK, sctp6},
	{"passes ICMP echo", OK, echo4},
	{"passes ICMPv6 echo", OK, echo6},
	{"passes ARP", R(NEIGHBOUR), arp4},
	{"passes neighbour discovery", R(NEIGHBOUR), neighbour6},
	{"passes a large echo", OK, large_echo},
	{"judges GRE as a protocol", OK, gre4},
	{"judges AH as a protocol", OK, ah6},
	{"judges ESP as a protocol", OK, esp6},
	{"judges mobility as a protocol", OK, mobility6},
	{"judges no next header as a protocol", OK, nothing_more6},
	{"judges ICMPv4 inside IPv6 as a protocol", OK, icmp_in_ipv6},

	{"passes one VLAN tag", OK, one_tag},
	{"passes two VLAN tags", OK, two_tags},
	{"drops a third VLAN tag", R(VLAN_DEPTH), three_tags},
	{"drops the old double-tag ethertype", R(ETHERTYPE), old_double_tag},
	{"drops a tag cut in the middle", R(TRUNCATED), one_tag, .cut = 16},
	{"drops 802.3 with LLC", R(ETHERTYPE), llc},
	{"drops MPLS", R(ETHERTYPE), mpls},
	{"drops PPPoE", R(ETHERTYPE), pppoe},
	{"drops MACsec", R(ETHERTYPE), macsec},
	{"drops LLDP", R(ETHERTYPE), lldp},
	{"drops an unassigned ethertype", R(ETHERTYPE), own_experiment},

	{"passes padding behind an IPv4 packet", OK, padded},
	{"passes padding behind an IPv6 packet", OK, padded6},
	{"drops IPv4 version 6", R(IP_HEADER), tcp4, {{IP4_FIRST, 0x65}}},
	{"drops IPv4 version 0", R(IP_HEADER), tcp4, {{IP4_FIRST, 0x05}}},
	{"drops an IPv4 header of 16 bytes", R(IP_HEADER), tcp4, {{IP4_FIRST, 0x44}}},
	{"drops an IPv4 header longer than the packet", R(IP_HEADER), tcp4,
		{{IP4_FIRST, 0x4f}, {IP4_TOTAL, 50}}},
	{"drops a total length beyond the frame", R(IP_HEADER), tcp4, {{IP4_TOTAL, 51}}},
	{"drops a total length of 65535", R(IP_HEADER), tcp4, {{IP4_TOTAL, 65535}}},
	{"drops a total length below the header", R(IP_HEADER), tcp4, {{IP4_TOTAL, 19}}},
	{"drops a total length of zero", R(IP_HEADER), tcp4, {{IP4_TOTAL, 0}}},
	{"drops a total length that cuts the TCP header", R(L4_HEADER), tcp4, {{IP4_TOTAL, 39}}},
	{"drops an IPv4 header cut short", R(TRUNCATED), one_tag, .cut = 37},
	{"drops a frame that ends with the ethertype", R(TRUNCATED), one_tag, .cut = 18},
	{"drops IPv4 whose TCP header is cut off", R(IP_HEADER), tcp4, .cut = 44},

	{"passes a router alert option", OK, router_alert},
	{"passes forty bytes of options", OK, timestamps},
	{"drops loose source routing", R(IP_HEADER), loose_source_route},
	{"drops strict source routing", R(IP_HEADER), strict_source_route},
	{"drops source routing at the far end", R(IP_HEADER), source_route_behind_forty_bytes},
	{"ignores what is behind the end of options", OK, source_route_behind_the_end},
	{"drops an option of length 0", R(IP_HEADER), option_of_no_length},
	{"drops an option beyond the header", R(IP_HEADER), option_beyond_the_header},
	{"drops an option without its length", R(IP_HEADER), option_cut_at_the_end},

	{"drops IPv6 version 4", R(IP_HEADER), tcp6, {{IP6_FIRST, 0x40}}},
	{"drops a payload length beyond the frame", R(IP_HEADER), tcp6, {{IP6_LENGTH, 31}}},
	{"drops a payload length of 65535", R(IP_HEADER), tcp6, {{IP6_LENGTH, 65535}}},
	{"drops a payload length that cuts the TCP header", R(L4_HEADER), tcp6, {{IP6_LENGTH, 19}}},
	{"drops a jumbogram without a train", R(L4_HEADER), tcp6, {{IP6_LENGTH, 0}}},
	{"drops an IPv6 header cut short", R(TRUNCATED), tagged6, .cut = 57},
	{"passes a hop-by-hop header", OK, hop_by_hop},
	{"drops hop-by-hop behind another", R(EXTENSION_HEADERS), hop_by_hop_second},
	{"drops hop-by-hop twice", R(EXTENSION_HEADERS), hop_by_hop_twice},
	{"drops routing header type 0", R(EXTENSION_HEADERS), routing_0},
	{"drops routing header type 0 with segments", R(EXTENSION_HEADERS),
		routing_0_with_segments},
	{"passes a routing header with no segments left", OK, routing_2_used_up},
	{"drops a routing header with segments left", R(EXTENSION_HEADERS),
		routing_4_with_segments},
	{"passes eight extension headers", OK, eight_extensions},
	{"drops nine extension headers", R(EXTENSION_HEADERS), nine_extensions},
	{"passes an extension header of 120 bytes", OK, long_extension},
	{"passes an atomic fragment", OK, atomic_fragment},
	{"drops a fragment inside a fragment", R(EXTENSION_HEADERS), fragment_in_fragment},
	{"drops an extension header that is not there", R(EXTENSION_HEADERS),
		extension_at_the_very_end},
	{"drops an extension header longer than the packet", R(EXTENSION_HEADERS),
		extension_longer_than_the_packet},

	{"drops a TCP header of 16 bytes", R(L4_HEADER), tcp4, {{TCP_DOFF, 0x40}}},
	{"drops a TCP header longer than the packet", R(L4_HEADER), tcp4, {{TCP_DOFF, 0xf0}}},
	{"drops a TCP header longer than the IPv6 packet", R(L4_HEADER), tcp6, {{TCP_DOFF, 0x80}}},
	{"drops a NULL scan", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, 0}}},
	{"drops a FIN scan", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, FIN}}},
	{"drops an Xmas scan", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, FIN | PSH | URG}}},
	{"drops SYN and FIN", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, SYN | FIN}}},
	{"drops SYN and RST", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, SYN | RST}}},
	{"drops every flag at once", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, 0xff}}},
	{"drops PSH alone", R(TCP_FLAGS), tcp4, {{TCP_FLAGS_AT, PSH}}},
	{"drops SYN and FIN over IPv6", R(TCP_FLAGS), tcp6, {{TCP_FLAGS_AT, SYN | FIN}}},
	{"passes SYN with ECN", OK, tcp4, {{TCP_FLAGS_AT, SYN | 0xc0}}},

	{"drops a UDP length below its header", R(L4_HEADER), udp4, {{UDP_LENGTH, 7}}},
	{"drops a UDP length of zero", R(L4_HEADER), udp4, {{UDP_LENGTH, 0}}},
	{"drops a UDP length beyond the packet", R(L4_HEADER), udp4, {{UDP_LENGTH, 19}}},
	{"drops a UDP length beyond the IPv6 packet", R(L4_HEADER), udp6, {{UDP_LENGTH, 19}}},
	{"passes a UDP length below the packet's", OK, udp4, {{UDP_LENGTH, 9}}},
	{"drops UDP without its header", R(L4_HEADER), udp4, {{IP4_TOTAL, 27}}},
	{"drops SCTP without its header", R(L4_HEADER), sctp4, {{IP4_TOTAL, 31}}},
	{"drops ICMP without its header", R(L4_HEADER), echo4, {{IP4_TOTAL, 27}}},
	{"drops ICMPv6 without its header", R(L4_HEADER), echo6, {{IP6_LENGTH, 7}}},

	{"drops an ICMP redirect", R(ICMP_TYPE), echo4, {{ICMP_AT, 5}}},
	{"drops source quench", R(ICMP_TYPE), echo4, {{ICMP_AT, 4}}},
	{"drops router discovery", R(ICMP_TYPE), echo4, {{ICMP_AT, 10}}},
	{"drops an address mask request", R(ICMP_TYPE), echo4, {{ICMP_AT, 17}}},
	{"drops an ICMP type nobody knows", R(ICMP_TYPE), echo4, {{ICMP_AT, 200}}},
	{"drops node information", R(ICMP_TYPE), echo6, {{ICMP_AT, 139}}},
	{"drops an ICMPv6 error type nobody knows", R(ICMP_TYPE), echo6, {{ICMP_AT, 100}}},
	{"drops an echo reply nobody asked for", R(ICMP_NO_FLOW), echo4, {{ICMP_AT, 0}}},
	{"drops an ICMPv6 echo reply nobody asked for", R(ICMP_NO_FLOW), echo6, {{ICMP_AT, 129}}},
	{"drops a timestamp reply nobody asked for", R(ICMP_NO_FLOW), echo4, {{ICMP_AT, 14}}},

	{"drops ARP for another medium", R(ARP_MALFORMED), arp4, {{L3, 0, 2, 6}}},
	{"drops ARP for another protocol", R(ARP_MALFORMED), arp4, {{L3, 2, 2, 0x86dd}}},
	{"drops ARP with longer hardware addresses", R(ARP_MALFORMED), arp4, {{L3, 4, 1, 8}}},
	{"drops ARP with longer addresses", R(ARP_MALFORMED), arp4, {{L3, 5, 1, 16}}},
	{"drops reverse ARP", R(ARP_MALFORMED), arp4, {{L3, 6, 2, 3}}},
	{"drops ARP cut short", R(TRUNCATED), arp4, .cut = 41},

	{"drops neighbour discovery from beyond the link", R(ND_MALFORMED), neighbour6,
		{{L3, 7, 1, 64}}},
	{"drops neighbour discovery with an empty option", R(ND_MALFORMED), neighbour6,
		{{L4, 25, 1, 0}}},
	{"drops neighbour discovery with an option too long", R(ND_MALFORMED), neighbour6,
		{{L4, 25, 1, 2}}},
	{"drops neighbour discovery without its target", R(ND_MALFORMED), neighbour6,
		{{IP6_LENGTH, 23}}},
	{"drops neighbour discovery with half an option", R(ND_MALFORMED), neighbour6,
		{{IP6_LENGTH, 28}}},
};
#define N_ROWS (sizeof(rows) / sizeof(*rows))

static struct frame frame_of(const struct row *row)
{
	struct frame f = row->make();

	for (int i = 0; i < 2; i++) {
		const struct lie *lie = &row->lie[i];

		if (lie->width == 1)
			frame_set8(&f, lie->layer, lie->offset, lie->value);
		else if (lie->width == 2)
			frame_set16(&f, lie->layer, lie->offset, lie->value);
	}
	if (row->cut)
		f.length = row->cut;
	return f;
}

static void check(const struct row *row, struct outcome outcome)
{
	if (outcome.reason != row->reason)
		print_error("%s: ", row->name);
	expect_outcome(__FILE__, __LINE__, outcome, row->reason);
	assert_int_equal(outcome.counted, 1);
}

static void row_through_tc(void **state)
{
	const struct row *row = *state;
	struct frame f = frame_of(row);

	bed_reset(NULL);
	check(row, from_pod(&web, &f));
}

static void row_through_xdp(void **state)
{
	const struct row *row = *state;
	struct frame f = frame_of(row);

	bed_reset(NULL);
	check(row, xdp_from_pod(&web, &f));
}

/* Nothing is dropped, and nothing is counted as dropped, where nothing is enforced. */
static void everything_passes_an_open_pod(void **state)
{
	enforce(&web, BH_PROGRAM_OPEN);
	for (size_t i = 0; i < N_ROWS; i++) {
		struct frame f = frame_of(&rows[i]);

		if (!from_pod(&web, &f).passed)
			fail_msg("dropped: %s", rows[i].name);
	}
}

/* Every frame cut at every length. (The kernel test-runs a classifier on no less than a whole IP
 * header; XDP has no such bound.) */
static void no_truncation_passes(void **state)
{
	struct frame (*const makers[])(void) = {tcp4, tcp6, udp4, udp6, sctp4, sctp6, echo4, echo6,
		timestamps, eight_extensions, two_tags, arp4, neighbour6};

	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
		struct frame f = makers[i]();

		for (uint16_t whole = f.length; --f.length >= 14;) {
			if (fire_xdp_from_pod(&web, &f))
				fail_msg(
					"frame %zu of %u bytes passed with %u", i, whole, f.length);
		}
	}
}

/* Every value of every byte of the headers: whatever comes out, it has exactly one reason. */
static void every_byte_value_has_one_reason(void **state)
{
	struct frame (*const makers[])(void) = {
		tcp4, tcp6, echo4, eight_extensions, arp4, neighbour6};

	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++) {
		uint64_t before[BH_COUNTERS], after[BH_COUNTERS], sent = 0, counted = 0;
		const struct frame whole = makers[i]();
		const uint16_t headers = whole.length < 80 ? whole.length : 80;

		counters_read(before);
		for (uint16_t at = 0; at < headers; at++) {
			for (unsigned value = 0; value < 256; value += at < 14 ? 51 : 3) {
				struct frame f = whole;

				f.data[at] = value;
				empty_flows();
				fire_from_pod(&web, &f);
				sent++;
			}
		}
		counters_read(after);
		for (int reason = 0; reason < BH_REASON_MAX; reason++)
			counted += after[reason] - before[reason];
		assert_int_equal(counted, sent);
	}
}

int main(void)
{
	static struct CMUnitTest tests[2 * N_ROWS + 3];
	static char names[N_ROWS][128];
	size_t n = 0;

	bed_sizes.xdp = true;
	for (size_t i = 0; i < N_ROWS; i++) {
		tests[n++] = (struct CMUnitTest){.name = rows[i].name,
			.test_func = row_through_tc,
			.initial_state = (void *)&rows[i]};
		snprintf(names[i], sizeof(names[i]), "XDP: %s", rows[i].name);
		tests[n++] = (struct CMUnitTest){.name = names[i],
			.test_func = row_through_xdp,
			.initial_state = (void *)&rows[i]};
	}
	tests[n++] = (struct CMUnitTest)bed_test(everything_passes_an_open_pod);
	tests[n++] = (struct CMUnitTest)bed_test(no_truncation_passes);
	tests[n++] = (struct CMUnitTest)bed_test(every_byte_value_has_one_reason);
	return _cmocka_run_group_tests("parser", tests, n, bed_setup, bed_teardown);
}
