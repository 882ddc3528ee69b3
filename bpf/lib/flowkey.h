/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_FLOWKEY_H
#define BULKHEAD_BPF_FLOWKEY_H

/* The sorted five-tuple that both hooks and both directions of a connection find. */

#include "lib/kernel.h"
#include "lib/packet.h"
#include "lib/work.h"

/*
 * Keys are made in registers and stored by the word. What is stored in pieces and read as a word
 * right after makes the processor wait until the pieces have got to its cache.
 */
static __always_inline __u64 bh_flow_key_ports(__be16 first, __be16 second, __u8 protocol)
{
	union {
		struct {
			__be16 port[2];
			__u8 protocol;
			__u8 used;
			__u8 pad[2];
		};
		__u64 word;
	} ports;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	ports.word = first | (__u64)second << 16 | (__u64)protocol << 32 | 1ull << 40;
#else
	ports.port[0] = first;
	ports.port[1] = second;
	ports.protocol = protocol;
	ports.used = 1;
	ports.pad[0] = ports.pad[1] = 0;
#endif
	return ports.word;
}

/* Two words of memory as one, the first first. */
static __always_inline __u64 bh_word_of(__u32 first, __u32 second)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return first | (__u64)second << 32;
#else
	return (__u64)first << 32 | second;
#endif
}

/* Fills the sorted key of a packet from src:sport to dst:dport; returns the side of src. */
static __always_inline __u32 bh_flow_key4_fill(struct bh_flow_key4 *key, const void *src,
	const void *dst, __be16 sport, __be16 dport, __u8 protocol)
{
	__u64 *words = (__u64 *)key;
	__be32 s = bh_load32(src), d = bh_load32(dst);
	__u32 side = bpf_ntohl(s) > bpf_ntohl(d) || (s == d && bpf_ntohs(sport) > bpf_ntohs(dport));

	words[0] = bh_word_of(side ? d : s, side ? s : d);
	words[1] = bh_flow_key_ports(side ? dport : sport, side ? sport : dport, protocol);
	return side;
}

static __always_inline int bh_compare16(const void *a, const void *b)
{
	const __u32 *x = a, *y = b;

#pragma unroll
	for (int i = 0; i < 4; i++) {
		if (x[i] != y[i])
			return bpf_ntohl(x[i]) > bpf_ntohl(y[i]) ? 1 : -1;
	}
	return 0;
}

static __always_inline __u32 bh_flow_key6_fill(struct bh_flow_key6 *key, const void *src,
	const void *dst, __be16 sport, __be16 dport, __u8 protocol)
{
	int order = bh_compare16(src, dst);
	__u32 side = order > 0 || (!order && bpf_ntohs(sport) > bpf_ntohs(dport));
	const __u64 *low = side ? dst : src, *high = side ? src : dst;
	__u64 *words = (__u64 *)key;

	words[0] = low[0];
	words[1] = low[1];
	words[2] = high[0];
	words[3] = high[1];
	words[4] = bh_flow_key_ports(side ? dport : sport, side ? sport : dport, protocol);
	return side;
}

static __always_inline void bh_flow_key_fill(
	struct bh_packet *p, union bh_flow_key *key, const int family)
{
	if (family == 4)
		p->src_side = bh_flow_key4_fill(
			&key->v4, p->src, p->dst, p->sport, p->dport, p->protocol);
	else
		p->src_side = bh_flow_key6_fill(
			&key->v6, p->src, p->dst, p->sport, p->dport, p->protocol);
}

#endif
