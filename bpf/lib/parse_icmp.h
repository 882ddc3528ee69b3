/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_PARSE_ICMP_H
#define BULKHEAD_BPF_PARSE_ICMP_H

/*
 * ICMP and ICMPv6. Queries and their replies are flows with the identifier as both ports; errors
 * carry the packet they are about and are matched to its flow; neighbour discovery (RFC 4861) and
 * listener reports (RFC 3810) are the link's own business. Every other type is dropped: redirects
 * (a way to steal traffic), router discovery, source quench, node information.
 */

#include <linux/ip.h>
#include <linux/ipv6.h>

#include "lib/packet.h"

struct bh_icmp {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 id;
	__be16 sequence;
};

static __always_inline void bh_parse_icmp_query(struct bh_packet *p, const struct bh_icmp *icmp)
{
	p->sport = icmp->id;
	p->dport = icmp->id;
	p->header_octets += sizeof(*icmp);
}

/* A reply can only belong to a flow that is there. */
static __always_inline bool bh_icmp_is_reply(const struct bh_packet *p)
{
	__u8 type = p->tcp_flags;

	if (p->flags & BH_PACKET_LATER_FRAGMENT)
		return false;
	if (p->protocol == BH_PROTO_ICMP && p->family == 4)
		return type == 0 || type == 14 || type == 16 || type == 18;
	return p->protocol == BH_PROTO_ICMP6 && p->family == 6 && type == 129;
}

/* Ports of the packet an error is about; `length` octets of it are there. */
static __always_inline int bh_parse_about(
	struct bh_packet *p, void *at, void *end, __u32 length, __u8 protocol)
{
	struct bh_icmp *icmp = at;
	__be16 *ports = at;

	p->protocol = protocol;
	p->sport = 0;
	p->dport = 0;
	p->kind = BH_KIND_ICMP_ERROR;
	if (protocol == BH_PROTO_TCP || protocol == BH_PROTO_UDP || protocol == BH_PROTO_SCTP) {
		if (length < 8)
			return BH_REASON_ICMP_NO_FLOW;
		if (at + 8 > end)
			return BH_REASON_TRUNCATED;
		p->sport = ports[0];
		p->dport = ports[1];
	} else if (protocol == (p->family == 4 ? BH_PROTO_ICMP : BH_PROTO_ICMP6)) {
		if (length < 8)
			return BH_REASON_ICMP_NO_FLOW;
		if ((void *)(icmp + 1) > end)
			return BH_REASON_TRUNCATED;
		/* An error about an error does not exist (RFC 1122, 4443). */
		if (p->family == 4 ? icmp->type != 8 && icmp->type != 0
				   : icmp->type != 128 && icmp->type != 129)
			return BH_REASON_ICMP_NO_FLOW;
		p->sport = icmp->id;
		p->dport = icmp->id;
	}
	return BH_REASON_NONE;
}

/* The error goes back to who sent the packet it is about, and to nobody else. */
static __always_inline int bh_parse_error4(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct iphdr *ip = at;
	__u32 header;

	if (length < sizeof(*ip))
		return BH_REASON_ICMP_NO_FLOW;
	if ((void *)(ip + 1) > end)
		return BH_REASON_TRUNCATED;
	header = ip->ihl * 4;
	if (ip->version != 4 || header < sizeof(*ip) || header > length ||
		ip->saddr != *(__be32 *)p->dst || ip->frag_off & bpf_htons(0x1fff))
		return BH_REASON_ICMP_NO_FLOW;
	memset(p->claim, 0, sizeof(p->claim));
	*(__be32 *)p->claim = ip->daddr;
	return bh_parse_about(p, at + header, end, length - header, ip->protocol);
}

static __always_inline int bh_parse_error6(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct ipv6hdr *ip = at;
	__u8 next;

	if (length < sizeof(*ip))
		return BH_REASON_ICMP_NO_FLOW;
	if ((void *)(ip + 1) > end)
		return BH_REASON_TRUNCATED;
	if (ip->version != 6 || !bh_equal16(&ip->saddr, p->dst))
		return BH_REASON_ICMP_NO_FLOW;
	memcpy(p->claim, &ip->daddr, 16);
	next = ip->nexthdr;
	at = ip + 1;
	length -= sizeof(*ip);
	if (next == 44) { /* packet too big, about a fragment: the first one has the ports */
		__u8 *fragment = at;

		if (length < 8)
			return BH_REASON_ICMP_NO_FLOW;
		if (at + 8 > end)
			return BH_REASON_TRUNCATED;
		if (bpf_ntohs(*(__be16 *)(fragment + 2)) & 0xfff8)
			return BH_REASON_ICMP_NO_FLOW;
		next = fragment[0];
		at += 8;
		length -= 8;
	}
	return bh_parse_about(p, at, end, length, next);
}

static __always_inline int bh_parse_icmp4(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct bh_icmp *icmp = at;

	if ((void *)(icmp + 1) > end)
		return BH_REASON_TRUNCATED;
	p->tcp_flags = icmp->type;
	p->code = icmp->code;
	switch (icmp->type) {
	case 0: /* echo reply and echo */
	case 8:
	case 13: /* timestamp and its reply */
	case 14:
		bh_parse_icmp_query(p, icmp);
		return BH_REASON_NONE;
	case 3:  /* destination unreachable */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		if (p->flags & BH_PACKET_FIRST_FRAGMENT)
			return BH_REASON_ICMP_NO_FLOW;
		return bh_parse_error4(p, icmp + 1, end, length - sizeof(*icmp));
	}
	return BH_REASON_ICMP_TYPE;
}

struct bh_nd_option {
	__u8 type;
	__u8 length; /* in units of 8 octets */
	__u8 mac[6];
};

#define BH_ND_OPTIONS_MAX 8

/* Link-layer address options (1 source, 2 target): one at most, so that all readers agree. */
static __always_inline int bh_parse_nd_options(
	struct bh_packet *p, void *at, void *end, __u32 length)
{
	for (int i = 0; i < BH_ND_OPTIONS_MAX; i++) {
		struct bh_nd_option *option = at;
		__u32 size;

		if (!length)
			return BH_REASON_NONE;
		if (length < sizeof(*option))
			return BH_REASON_ND_MALFORMED;
		if ((void *)(option + 1) > end)
			return BH_REASON_TRUNCATED;
		size = option->length * 8u;
		if (!size || size > length)
			return BH_REASON_ND_MALFORMED;
		if (option->type == 1 || option->type == 2) {
			if (size != 8 || p->flags & BH_PACKET_CLAIM_MAC)
				return BH_REASON_ND_MALFORMED;
			memcpy(p->claim_mac, option->mac, 6);
			p->flags |= BH_PACKET_CLAIM_MAC;
		}
		at += size;
		length -= size;
	}
	return length ? BH_REASON_ND_MALFORMED : BH_REASON_NONE;
}

static __always_inline int bh_parse_nd(struct bh_packet *p, void *at, void *end, __u32 length)
{
	const __u8 type = p->tcp_flags;
	__u32 header = type == 133 ? 8 : 24;
	const __u32 *src = (const __u32 *)p->src;

	if (p->hop_limit != 255 || p->flags & BH_PACKET_FIRST_FRAGMENT || length < header)
		return BH_REASON_ND_MALFORMED;
	if (at + 24 > end && (header == 24 || at + 8 > end))
		return BH_REASON_TRUNCATED;
	p->kind = BH_KIND_NEIGHBOUR;
	if (type == 133 || type == 135)
		p->flags |= BH_PACKET_CLAIM_SOLICIT;
	/*
	 * An advertisement claims its target; so does a solicitation from nobody, which asks
	 * whether the address is free. Any other claims the address it comes from.
	 */
	if (type == 136 || (type == 135 && !src[0] && !src[1] && !src[2] && !src[3])) {
		if (at + 24 > end)
			return BH_REASON_TRUNCATED;
		memcpy(p->claim, at + 8, 16);
	} else {
		memcpy(p->claim, p->src, 16);
	}
	return bh_parse_nd_options(p, at + header, end, length - header);
}

static __always_inline int bh_parse_icmp6(struct bh_packet *p, void *at, void *end, __u32 length)
{
	struct bh_icmp *icmp = at;

	if ((void *)(icmp + 1) > end)
		return BH_REASON_TRUNCATED;
	p->tcp_flags = icmp->type;
	p->code = icmp->code;
	switch (icmp->type) {
	case 128: /* echo and its reply */
	case 129:
		bh_parse_icmp_query(p, icmp);
		return BH_REASON_NONE;
	case 1: /* unreachable, too big, time exceeded, parameter problem */
	case 2:
	case 3:
	case 4:
		if (p->flags & BH_PACKET_FIRST_FRAGMENT)
			return BH_REASON_ICMP_NO_FLOW;
		return bh_parse_error6(p, icmp + 1, end, length - sizeof(*icmp));
	case 130: /* multicast listener query, report, done, report v2: never routed */
	case 131:
	case 132:
	case 143:
		if (p->hop_limit != 1 || p->flags & BH_PACKET_FIRST_FRAGMENT)
			return BH_REASON_ND_MALFORMED;
		p->kind = BH_KIND_LISTENER;
		return BH_REASON_NONE;
	case 133: /* router and neighbour solicitation, neighbour advertisement */
	case 135:
	case 136:
		return bh_parse_nd(p, at, end, length);
	case 134: /* router advertisement, redirect */
	case 137:
		if (p->hop_limit != 255 || p->flags & BH_PACKET_FIRST_FRAGMENT)
			return BH_REASON_ND_MALFORMED;
		p->kind = BH_KIND_ROUTER;
		return BH_REASON_NONE;
	}
	return BH_REASON_ICMP_TYPE;
}

#define BH_ICMP_OFFSET_MAX 0x3fff

/* Goes on where bh_parse() said BH_PARSE_ICMP, with the same `data` and `end`. */
static __always_inline int bh_parse_icmp(struct bh_packet *p, void *data, void *end)
{
	__u64 offset = p->l4_offset;
	__u32 length = p->l4_length;
	void *at;

	if (offset > BH_ICMP_OFFSET_MAX || length < sizeof(struct bh_icmp))
		return BH_REASON_L4_HEADER;
	/* The compiler turns the comparison into one that the verifier learns nothing from. */
	asm volatile("%0 &= %1" : "+r"(offset) : "i"(BH_ICMP_OFFSET_MAX));
	at = data + offset;
	return p->family == 4 ? bh_parse_icmp4(p, at, end, length)
			      : bh_parse_icmp6(p, at, end, length);
}

#endif
