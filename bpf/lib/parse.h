/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_PARSE_H
#define BULKHEAD_BPF_PARSE_H

/*
 * From bytes to struct bh_packet. Every function returns BH_REASON_NONE when it understood what it
 * read, or the reason to drop. BH_REASON_TRUNCATED means that a header lies beyond `end`: the
 * caller pulls more of the packet in and asks again, and drops only when there is no more.
 *
 * Nothing is inferred: a length that disagrees with another, a header that is not known, a
 * chain longer than its bound is a drop. Sources: RFC 791, 8200 (headers), 1858 and 3128 (tiny
 * fragments), 5095 (routing header 0), 6980 (fragmented ND), 7112 (whole chain in the first
 * fragment).
 */

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "lib/packet.h"
#include "lib/parse_icmp.h"
#include "lib/work.h"

/* Not a reason: it is ICMP, at l4_offset; bh_parse_icmp() goes on. */
#define BH_PARSE_ICMP 255

#define BH_VLAN_MAX 2
#define BH_EXTENSIONS_MAX 8

struct bh_vlan {
	__be16 tci;
	__be16 proto;
};

struct bh_arp {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
};

static __always_inline int bh_parse_arp(struct bh_packet *p, void *at, void *end)
{
	struct bh_arp *arp = at;

	if ((void *)(arp + 1) > end)
		return BH_REASON_TRUNCATED;
	if (arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(ETH_P_IP) ||
		arp->hardware_length != 6 || arp->protocol_length != 4)
		return BH_REASON_ARP_MALFORMED;
	if (arp->operation == bpf_htons(1))
		p->flags |= BH_PACKET_CLAIM_SOLICIT;
	else if (arp->operation != bpf_htons(2))
		return BH_REASON_ARP_MALFORMED;
	p->kind = BH_KIND_ARP;
	memcpy(p->claim, arp->sender_ip, 4);
	memcpy(p->src, arp->sender_ip, 4);
	memcpy(p->dst, arp->target_ip, 4);
	memcpy(p->claim_mac, arp->sender_mac, 6);
	p->flags |= BH_PACKET_CLAIM_MAC;
	return BH_REASON_NONE;
}

/* What netfilter's connection tracking takes for a possible set of flags; PSH goes with any. */
static __always_inline bool bh_tcp_flags_possible(__u8 flags)
{
	const __u64 possible = 1ull << BH_TCP_SYN | 1ull << (BH_TCP_SYN | BH_TCP_URG) |
			       1ull << (BH_TCP_SYN | BH_TCP_ACK) | 1ull << BH_TCP_RST |
			       1ull << (BH_TCP_RST | BH_TCP_ACK) |
			       1ull << (BH_TCP_FIN | BH_TCP_ACK) |
			       1ull << (BH_TCP_FIN | BH_TCP_ACK | BH_TCP_URG) | 1ull << BH_TCP_ACK |
			       1ull << (BH_TCP_ACK | BH_TCP_URG);

	return possible >> (flags & 0x37) & 1;
}

static __always_inline int bh_parse_tcp(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct tcphdr *tcp = at;
	__u32 header;

	if ((void *)(tcp + 1) > end)
		return BH_REASON_TRUNCATED;
	header = tcp->doff * 4;
	if (header < sizeof(*tcp) || header > length)
		return BH_REASON_L4_HEADER;
	p->tcp_flags = ((__u8 *)tcp)[13];
	if (!bh_tcp_flags_possible(p->tcp_flags))
		return BH_REASON_TCP_FLAGS;
	p->sport = tcp->source;
	p->dport = tcp->dest;
	p->sequence = bpf_ntohl(tcp->seq);
	p->flags |= BH_PACKET_PORTS;
	p->header_octets += header;
	return BH_REASON_NONE;
}

#define BH_BOOTP_CLIENT_MAC (sizeof(struct udphdr) + 28)

/*
 * DHCP is only what a client shouts and what a server answers; a unicast to a server is a flow like
 * any other (else UDP from port 68 to 67 would be a way around every policy).
 */
static __always_inline int bh_parse_dhcp(struct bh_packet *p, void *at, void *end, __u32 length)
{
	const bool v4 = p->family == 4;
	const __be16 client = v4 ? bpf_htons(68) : bpf_htons(546);
	const __be16 server = v4 ? bpf_htons(67) : bpf_htons(547);

	if (p->sport == server && p->dport == client) {
		p->kind = BH_KIND_DHCP_SERVER;
		return BH_REASON_NONE;
	}
	if (bh_likely(p->sport != client || p->dport != server))
		return BH_REASON_NONE;
	if (v4) {
		if (bh_load32(p->dst) != 0xffffffff)
			return BH_REASON_NONE;
		if (length < BH_BOOTP_CLIENT_MAC + 6)
			return BH_REASON_L4_HEADER;
		if (at + BH_BOOTP_CLIENT_MAC + 6 > end)
			return BH_REASON_TRUNCATED;
		memcpy(p->claim_mac, at + BH_BOOTP_CLIENT_MAC, 6);
		p->flags |= BH_PACKET_CLAIM_MAC;
	} else {
		const __u32 *dst = (const __u32 *)p->dst; /* ff02::1:2 */

		if (dst[0] != bpf_htonl(0xff020000) || dst[1] || dst[2] ||
			dst[3] != bpf_htonl(0x00010002))
			return BH_REASON_NONE;
	}
	p->kind = BH_KIND_DHCP_CLIENT;
	return BH_REASON_NONE;
}

static __always_inline int bh_parse_udp(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct udphdr *udp = at;
	__u32 said;

	if ((void *)(udp + 1) > end)
		return BH_REASON_TRUNCATED;
	said = bpf_ntohs(udp->len);
	/* A first fragment says the length of the whole datagram. */
	if (said < sizeof(*udp) || (said > length && !(p->flags & BH_PACKET_FIRST_FRAGMENT)))
		return BH_REASON_L4_HEADER;
	p->sport = udp->source;
	p->dport = udp->dest;
	p->flags |= BH_PACKET_PORTS;
	p->header_octets += sizeof(*udp);
	return bh_parse_dhcp(p, at, end, length);
}

static __always_inline int bh_parse_sctp(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct udphdr *ports = at; /* SCTP's common header begins with the ports, too */

	if (at + 12 > end)
		return BH_REASON_TRUNCATED;
	p->sport = ports->source;
	p->dport = ports->dest;
	p->flags |= BH_PACKET_PORTS;
	p->header_octets += 12;
	return BH_REASON_NONE;
}

/* The least a header of the protocol takes; 0 where there are no ports to read. */
static __always_inline __u32 bh_l4_minimum(const struct bh_packet *p)
{
	switch (p->protocol) {
	case BH_PROTO_TCP:
		return sizeof(struct tcphdr);
	case BH_PROTO_UDP:
		return sizeof(struct udphdr);
	case BH_PROTO_SCTP:
		return 12;
	case BH_PROTO_ICMP:
		return p->family == 4 ? sizeof(struct bh_icmp) : 0;
	case BH_PROTO_ICMP6:
		return p->family == 6 ? sizeof(struct bh_icmp) : 0;
	}
	return 0;
}

/* `length`: octets of the transport header and what follows, as the IP header says. */
static __always_inline int bh_parse_l4(
	struct bh_packet *p, void *data, void *at, void *end, __u32 length)
{
	__u32 minimum = bh_l4_minimum(p);

	if (p->flags & BH_PACKET_LATER_FRAGMENT) {
		if (!length)
			return BH_REASON_IP_HEADER;
		return BH_REASON_NONE;
	}
	if (length < minimum)
		return p->flags & BH_PACKET_FIRST_FRAGMENT ? BH_REASON_FRAGMENT_TINY
							   : BH_REASON_L4_HEADER;
	switch (p->protocol) {
	case BH_PROTO_TCP:
		return bh_parse_tcp(p, at, end, length);
	case BH_PROTO_UDP:
		return bh_parse_udp(p, at, end, length);
	case BH_PROTO_SCTP:
		return bh_parse_sctp(p, at, end, length);
	}
	if (!minimum)
		return BH_REASON_NONE;
	p->l4_offset = at - data;
	p->l4_length = length;
	return BH_PARSE_ICMP;
}

/*
 * Walks the IPv4 options in hand. Source routing would let a packet for an allowed peer go on to
 * another. They are read from a copy, at masked offsets: in the packet itself every step would
 * be a new range to the verifier, and the walk alone exceeds what it will look at.
 */
__noinline int bh_parse_options4(__u32 length)
{
	struct bh_work *work = bh_work_get();
	__u32 at = 0;

	if (!work)
		return BH_REASON_INTERNAL;
	for (int i = 0; i < BH_OPTIONS_MAX; i++) {
		__u8 type, size;

		if (at >= length)
			return BH_REASON_NONE;
		at &= sizeof(work->options) - 1;
		type = work->options[at];
		if (type == 0)
			return BH_REASON_NONE;
		if (type == 1) {
			at++;
			continue;
		}
		size = work->options[(at + 1) & (sizeof(work->options) - 1)];
		if (type == 131 || type == 137 || size < 2 || at + size > length)
			return BH_REASON_IP_HEADER;
		at += size;
	}
	return BH_REASON_NONE;
}

static __always_inline int bh_parse_options(void *options, void *end, __u32 length)
{
	struct bh_work *work = bh_work_get();

	if (!work)
		return BH_REASON_INTERNAL;
#pragma unroll
	for (__u32 word = 0; word < BH_OPTIONS_MAX / 4; word++) {
		__u32 *from = options + word * 4;

		if (word * 4 >= length)
			break;
		if ((void *)(from + 1) > end)
			return BH_REASON_TRUNCATED;
		((__u32 *)work->options)[word] = *from;
	}
	return bh_parse_options4(length);
}

static __always_inline int bh_parse_ip4(
	struct bh_packet *p, void *data, void *at, void *end, __u32 length)
{
	struct iphdr *ip = at;
	__u64 header;
	__u32 total, offset;
	void *l4 = ip + 1;

	if ((void *)(ip + 1) > end)
		return BH_REASON_TRUNCATED;
	header = ip->ihl * 4;
	total = bpf_ntohs(ip->tot_len);
	if (!total && p->packets > 1)
		total = length; /* BIG TCP: a segment train longer than the field can say */
	if (ip->version != 4 || header < sizeof(*ip) || total < header || total > length)
		return BH_REASON_IP_HEADER;
	p->family = 4;
	p->protocol = ip->protocol;
	p->octets = total;
	p->header_octets = header;
	*(__be32 *)p->src = ip->saddr;
	*(__be32 *)p->dst = ip->daddr;
	if (bh_unlikely(header > sizeof(*ip))) {
		int reason = bh_parse_options(ip + 1, end, header - sizeof(*ip));

		if (reason)
			return reason;
		/* Linux 5.10 loses the bounds in the comparisons above; this states them again. */
		asm volatile("%0 &= 0x3c" : "+r"(header));
		l4 = at + header;
	}
	if (bh_unlikely(ip->frag_off & bpf_htons(0x3fff))) {
		offset = (bpf_ntohs(ip->frag_off) & 0x1fff) * 8;
		if (offset + total - header > 65535)
			return BH_REASON_IP_HEADER;
		p->fragment_id = ip->id;
		p->fragment_protocol = ip->protocol;
		p->flags |= offset ? BH_PACKET_LATER_FRAGMENT : BH_PACKET_FIRST_FRAGMENT;
		/* RFC 3128, 1858: no honest stack cuts inside the transport header. */
		if (offset && offset < bh_l4_minimum(p))
			return BH_REASON_FRAGMENT_TINY;
	}
	return bh_parse_l4(p, data, l4, end, total - header);
}

struct bh_extension {
	__u8 next;
	__u8 length; /* in units of 8 octets, the first not counted */
	__u8 type;   /* routing header: type, segments left */
	__u8 segments;
	__be32 id; /* fragment header: identification */
};

static __always_inline bool bh_is_extension(__u8 next)
{
	return next == 0 || next == 43 || next == 44 || next == 60;
}

static __always_inline int bh_parse_ip6(
	struct bh_packet *p, void *data, void *at, void *end, __u32 length)
{
	struct ipv6hdr *ip = at;
	__u32 left;
	__u8 next;

	if ((void *)(ip + 1) > end)
		return BH_REASON_TRUNCATED;
	left = bpf_ntohs(ip->payload_len);
	if (!left && p->packets > 1 && length >= sizeof(*ip))
		left = length - sizeof(*ip); /* BIG TCP */
	if (ip->version != 6 || left + sizeof(*ip) > length)
		return BH_REASON_IP_HEADER;
	p->family = 6;
	p->octets = left + sizeof(*ip);
	p->header_octets = sizeof(*ip);
	memcpy(p->src, &ip->saddr, 16);
	memcpy(p->dst, &ip->daddr, 16);
	p->hop_limit = ip->hop_limit;
	next = ip->nexthdr;
	at = ip + 1;
	/*
	 * Destination options, hop by hop, routing and fragment headers are walked. What else
	 * claims to be an extension (AH, ESP, mobility) is the protocol, and meets only rules
	 * without ports.
	 */
	for (int i = 0; i < BH_EXTENSIONS_MAX; i++) {
		struct bh_extension *extension = at;
		__u32 size;

		if (bh_likely(!bh_is_extension(next)))
			break;
		if (left < sizeof(*extension))
			return p->flags & BH_PACKET_FIRST_FRAGMENT ? BH_REASON_FRAGMENT_TINY
								   : BH_REASON_EXTENSION_HEADERS;
		if ((void *)(extension + 1) > end)
			return BH_REASON_TRUNCATED;
		size = next == 44 ? 8 : (extension->length + 1u) * 8;
		if (size > left)
			return p->flags & BH_PACKET_FIRST_FRAGMENT ? BH_REASON_FRAGMENT_TINY
								   : BH_REASON_EXTENSION_HEADERS;
		if (next == 0 && i)
			return BH_REASON_EXTENSION_HEADERS; /* RFC 8200: first or not at all */
		if (next == 43 && (extension->type == 0 || extension->segments))
			return BH_REASON_EXTENSION_HEADERS;
		if (next == 44) {
			__u16 offset = bpf_ntohs(*(__be16 *)&extension->type);

			if (p->flags & (BH_PACKET_FIRST_FRAGMENT | BH_PACKET_LATER_FRAGMENT))
				return BH_REASON_EXTENSION_HEADERS;
			p->fragment_id = extension->id;
			p->fragment_protocol = extension->next;
			if (offset & 0xfff8) {
				p->flags |= BH_PACKET_LATER_FRAGMENT;
				/* Its chain is in the first; what follows here is data. */
				p->protocol = extension->next;
				if ((offset & 0xfff8) < bh_l4_minimum(p))
					return BH_REASON_FRAGMENT_TINY; /* over the header */
				return left > 8 ? BH_REASON_NONE : BH_REASON_IP_HEADER;
			}
			if (offset & 1)
				p->flags |= BH_PACKET_FIRST_FRAGMENT;
		}
		next = extension->next;
		left -= size;
		at += size;
		p->header_octets += size;
	}
	if (bh_is_extension(next))
		return BH_REASON_EXTENSION_HEADERS;
	p->protocol = next;
	return bh_parse_l4(p, data, at, end, left);
}

/* What `proto` says is at `at`, `length` octets of it. */
static __always_inline int bh_parse_network(
	struct bh_packet *p, void *data, void *at, void *end, __u32 length, __be16 proto)
{
	p->ethertype = bpf_ntohs(proto);
	if (bh_likely(proto == bpf_htons(ETH_P_IP)))
		return bh_parse_ip4(p, data, at, end, length);
	if (bh_likely(proto == bpf_htons(ETH_P_IPV6)))
		return bh_parse_ip6(p, data, at, end, length);
	if (proto == bpf_htons(ETH_P_ARP))
		return bh_parse_arp(p, at, end);
	return BH_REASON_ETHERTYPE;
}

/*
 * `length`: of the frame, without a hardware-accelerated tag; `tags`: 1 if there is one;
 * `p->packets` is set already. A later call begins anew.
 */
static __always_inline int bh_parse(
	struct bh_packet *p, void *data, void *end, __u32 length, __u32 tags)
{
	struct ethhdr *ethernet = data;
	void *at = ethernet + 1;
	__be16 proto;
	__u32 left = length - sizeof(*ethernet);

	p->flags = 0;
	p->kind = BH_KIND_FLOW;
	if (at > end)
		return BH_REASON_TRUNCATED;
	memcpy(p->smac, ethernet->h_source, 6);
	proto = ethernet->h_proto;
	for (int i = 0; i < BH_VLAN_MAX + 1; i++) {
		struct bh_vlan *vlan = at;

		if (bh_likely(proto != bpf_htons(ETH_P_8021Q) && proto != bpf_htons(ETH_P_8021AD)))
			break;
		if (++tags > BH_VLAN_MAX)
			return BH_REASON_VLAN_DEPTH;
		if ((void *)(vlan + 1) > end)
			return BH_REASON_TRUNCATED;
		proto = vlan->proto;
		at = vlan + 1;
		left -= sizeof(*vlan);
	}
	return bh_parse_network(p, data, at, end, left, proto);
}

#endif
