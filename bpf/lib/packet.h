/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_PACKET_H
#define BULKHEAD_BPF_PACKET_H

/* What is known of the packet being decided. Filled by the parser, read by everything after it. */

#include "lib/kernel.h"

/* What the parser found, and so who decides. */
enum bh_kind {
	BH_KIND_FLOW = 0,    /* IP, to be judged by flow and policy */
	BH_KIND_ARP,         /* claim: what it says of the sender */
	BH_KIND_NEIGHBOUR,   /* IPv6 neighbour or router solicitation, neighbour advertisement */
	BH_KIND_ROUTER,      /* router advertisement or redirect */
	BH_KIND_LISTENER,    /* multicast listener discovery */
	BH_KIND_DHCP_CLIENT, /* towards a server; claim_mac: the client it speaks for (IPv4) */
	BH_KIND_DHCP_SERVER, /* towards a client */
	BH_KIND_ICMP_ERROR,  /* claim: destination of the packet it is about; ports, protocol: that
				packet's */
};

#define BH_PACKET_PORTS (1u << 0)          /* sport and dport are ports, and known */
#define BH_PACKET_FIRST_FRAGMENT (1u << 1) /* others will follow and need its ports */
#define BH_PACKET_LATER_FRAGMENT (1u << 2)
#define BH_PACKET_FROM_HOST (1u << 3)     /* the node's own, not forwarded */
#define BH_PACKET_STATELESS (1u << 4)     /* judged each time: multicast, ports unknown */
#define BH_PACKET_CLAIM_MAC (1u << 5)     /* claim_mac is set */
#define BH_PACKET_CLAIM_SOLICIT (1u << 6) /* the claim is a question: :: or 0.0.0.0 may ask */
#define BH_PACKET_SENDER_ASKED (1u << 7)  /* lib/away.h: its sender's part is done */

/* Who is supposed to have opened the flow. Both: a TCP segment without a beginning. */
#define BH_ASK_SOURCE (1u << 0)
#define BH_ASK_DESTINATION (1u << 1)

struct bh_packet {
	__u8 src[16] __attribute__((aligned(8))); /* IPv4 in the first four bytes, the rest zero */
	__u8 dst[16];
	__u8 claim[16];
	__u64 clock; /* CLOCK_MONOTONIC, ns; 0: nobody has asked yet: bh_packet_clock() */
	__u32 ifindex;
	__u8 hook;   /* enum bh_hook */
	__u8 family; /* 4, 6; 0 before an IP header was read */
	__u8 protocol;
	__u8 tcp_flags;  /* or the ICMP type */
	__u16 ethertype; /* host order */
	__u8 kind;
	__u8 flags;
	__be16 sport; /* identifiers of ICMP echo; 0 without ports */
	__be16 dport;
	__u32 octets;  /* layer 3, as the wire will carry them */
	__u32 packets; /* segments */
	__u32 fragment_id;
	__u8 fragment_protocol;
	__u8 header_octets; /* layer 3 and 4 headers, repeated in each segment */
	__u8 smac[6];
	__u8 claim_mac[6];
	__u8 src_side; /* of the flow key: 0 = the source is the lower end */
	__u8 hop_limit;
	__u8 known_opener; /* BH_ASK_*: of a flow that another pod has left behind; 0 = not known */
	__u8 outward;      /* the pod in question sends it; else it is the one that gets it */
	__u16 l4_offset;   /* from the frame's beginning, for what is parsed in a second step */
	union {
		__u32 l4_length; /* ICMP: octets of it and what follows */
		__u32 sequence;  /* TCP */
	};
	/* Slots of endpoints, 0 = none. See lib/away.h. */
	__u16 tag;   /* from a pod: to be marked with; else: who it is marked to come from */
	__u16 away;  /* the pod in question, where it is not the one whose hook this is */
	__u16 other; /* whose part is to be done as well */
	__u16 peer;  /* the other end, whatever address it wears */
	__u8 look;   /* to be looked into: lib/look.h */
	__u8 code;   /* ICMP */
	__u8 blind;  /* its payload cannot be looked into at this hook */
	__u8 reserved;
};
_Static_assert(sizeof(struct bh_packet) == 120, "no holes");

static __always_inline void bh_packet_begin(
	struct bh_packet *p, __u32 ifindex, __u8 hook, __u32 packets)
{
	memset(p, 0, sizeof(*p));
	p->ifindex = ifindex;
	p->hook = hook;
	p->packets = packets;
	p->outward = hook == BH_HOOK_FROM_POD;
}

/* One reading for each packet, however many want it. */
static __always_inline __u64 bh_packet_clock(struct bh_packet *p)
{
	if (!p->clock)
		p->clock = bpf_ktime_get_ns();
	return p->clock;
}

/* Does the pod in question send it, or get it? */
static __always_inline bool bh_packet_from_pod(const struct bh_packet *p)
{
	return p->outward;
}

/* `slot`: whose packet to a service it was before its address was rewritten; 0: none. */
static __always_inline void bh_packet_marked(struct bh_packet *p, __u32 slot)
{
	if (bh_likely(!slot))
		return;
	p->tag = slot;
	p->known_opener = BH_ASK_SOURCE; /* a service's address opens nothing */
}

/* The side of the flow key that is the pod in question. */
static __always_inline __u32 bh_pod_side(const struct bh_packet *p)
{
	return (bh_packet_from_pod(p) ? p->src_side : p->src_side ^ 1) & 1;
}

#define BH_TCP_FIN 0x01
#define BH_TCP_SYN 0x02
#define BH_TCP_RST 0x04
#define BH_TCP_PSH 0x08
#define BH_TCP_ACK 0x10
#define BH_TCP_URG 0x20

#define BH_PROTO_ICMP 1
#define BH_PROTO_TCP 6
#define BH_PROTO_UDP 17
#define BH_PROTO_ICMP6 58
#define BH_PROTO_SCTP 132

static __always_inline bool bh_is_tcp(const struct bh_packet *p)
{
	return p->protocol == BH_PROTO_TCP;
}

static __always_inline bool bh_is_syn(const struct bh_packet *p)
{
	return bh_is_tcp(p) && (p->tcp_flags & (BH_TCP_SYN | BH_TCP_ACK)) == BH_TCP_SYN;
}

/* Either of a handshake's first two. */
static __always_inline bool bh_has_syn(const struct bh_packet *p)
{
	return bh_is_tcp(p) && p->tcp_flags & BH_TCP_SYN;
}

/* Is there anything behind the headers? `octets` is that of all segments by now. */
static __always_inline bool bh_packet_has_payload(const struct bh_packet *p)
{
	return p->octets != p->packets * p->header_octets;
}

/* Brings nothing: says that a connection ends, or that something has arrived. */
static __always_inline bool bh_is_tcp_afterthought(const struct bh_packet *p)
{
	return bh_is_tcp(p) && !(p->tcp_flags & BH_TCP_SYN) &&
	       (p->tcp_flags & BH_TCP_RST || !bh_packet_has_payload(p));
}

#endif
