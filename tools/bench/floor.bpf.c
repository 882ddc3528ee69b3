/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * What the real programs are measured against: nothing at all, a parse of the five-tuple, and a
 * parse with one lookup in a table like the flows'. And a walker, which gives each run of a
 * repeated test another source port before it hands the packet on.
 */

#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>

#include "lib/kernel.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* As large as the table of flows: same key, same value, same kind. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 131072);
	__type(key, struct bh_flow_key4);
	__type(value, struct bh_flow);
} bench_lru SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} bench_next SEC(".maps");

static __always_inline bool bench_parse(struct __sk_buff *skb, struct bh_flow_key4 *key)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + sizeof(*ethernet);
	struct udphdr *ports = (void *)(ip + 1);

	if ((void *)(ports + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5)
		return false;
	key->addr[0] = ip->saddr;
	key->addr[1] = ip->daddr;
	key->port[0] = ports->source;
	key->port[1] = ports->dest;
	key->protocol = ip->protocol;
	return true;
}

SEC("tc")
int bench_empty(struct __sk_buff *skb)
{
	return TC_ACT_UNSPEC;
}

SEC("tc")
int bench_tuple(struct __sk_buff *skb)
{
	struct bh_flow_key4 key = {0};

	if (!bench_parse(skb, &key))
		return TC_ACT_SHOT;
	/* The compiler must not see that nobody wants it. */
	asm volatile("" : : "r"(&key) : "memory");
	return TC_ACT_UNSPEC;
}

SEC("tc")
int bench_lookup(struct __sk_buff *skb)
{
	struct bh_flow_key4 key = {0};

	if (!bench_parse(skb, &key))
		return TC_ACT_SHOT;
	return bpf_map_lookup_elem(&bench_lru, &key) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

/* And as large as the half-open one. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct bh_flow_key4);
	__type(value, struct bh_flow);
} bench_half SEC(".maps");

SEC("tc")
int bench_insert(struct __sk_buff *skb)
{
	struct bh_flow_key4 key = {0};
	struct bh_flow flow = {0};

	if (!bench_parse(skb, &key))
		return TC_ACT_SHOT;
	return bpf_map_update_elem(&bench_half, &key, &flow, BPF_ANY) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* Flows walked over less one, which is a mask: the bench sets it before each sample. */
__u32 bench_mask = 8191;

/* The number of a flow: fifteen bits in the source port, one in the destination port. */
SEC("tc")
int bench_walk(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *ethernet = data;
	__u32 flow, source, destination;
	__be16 *port;

	if ((void *)(ethernet + 1) > end)
		return TC_ACT_SHOT;
	port = (void *)(ethernet + 1) + (ethernet->h_proto == bpf_htons(ETH_P_IPV6)
							? sizeof(struct ipv6hdr)
							: sizeof(struct iphdr));
	if ((void *)(port + 2) > end)
		return TC_ACT_SHOT;
	source = bpf_ntohs(port[0]);
	destination = bpf_ntohs(port[1]);
	flow = (((source & 0x7fff) | (destination & 1) << 15) + 1) & bench_mask;
	port[0] = bpf_htons(0x8000 | (flow & 0x7fff));
	port[1] = bpf_htons((destination & ~1u) | flow >> 15);
	bpf_tail_call(skb, &bench_next, 0);
	return TC_ACT_SHOT;
}
