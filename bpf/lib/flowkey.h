/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_FLOWKEY_H
#define BULKHEAD_BPF_FLOWKEY_H

/* The sorted five-tuple that both hooks and both directions of a connection find. */

#include "lib/kernel.h"
#include "lib/packet.h"
#include "lib/work.h"

/* Fills the sorted key of a packet from src:sport to dst:dport; returns the side of src. */
static __always_inline __u32 bh_flow_key4_fill(struct bh_flow_key4 *key, const void *src,
	const void *dst, __be16 sport, __be16 dport, __u8 protocol)
{
	__be32 s = bh_load32(src), d = bh_load32(dst);
	__u32 side = bpf_ntohl(s) > bpf_ntohl(d) || (s == d && bpf_ntohs(sport) > bpf_ntohs(dport));

	key->addr[0] = side ? d : s;
	key->addr[1] = side ? s : d;
	key->port[0] = side ? dport : sport;
	key->port[1] = side ? sport : dport;
	key->protocol = protocol;
	key->used = 1;
	memset(key->pad, 0, sizeof(key->pad));
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

	memcpy(key->addr[0], side ? dst : src, 16);
	memcpy(key->addr[1], side ? src : dst, 16);
	key->port[0] = side ? dport : sport;
	key->port[1] = side ? sport : dport;
	key->protocol = protocol;
	key->used = 1;
	memset(key->pad, 0, sizeof(key->pad));
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
