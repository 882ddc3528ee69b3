/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_SKB_H
#define BULKHEAD_BPF_SKB_H

/* What the TC programs have in common: parsing an skb, and the mark on it (BH_TAG). */

#include <linux/pkt_cls.h>

#include "lib/edge.h"
#include "lib/endpoint.h"
#include "lib/parse.h"
#include "lib/work.h"

/* Headers longer than this are cut short for us, and dropped. */
#define BH_PULL_MAX 256

__noinline int bh_skb_parse_icmp(struct __sk_buff *skb)
{
	struct bh_work *work = bh_work_get();

	return work ? bh_parse_icmp(
			      &work->packet, (void *)(long)skb->data, (void *)(long)skb->data_end)
		    : BH_REASON_INTERNAL;
}

/* `l3`: the device has no link layer, and the packet begins with its IP header. */
__noinline int bh_skb_parse_ip(struct __sk_buff *skb, __u32 l3)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct bh_work *work = bh_work_get();

	if (!work)
		return BH_REASON_INTERNAL;
	if (l3) {
		work->packet.flags = 0;
		work->packet.kind = BH_KIND_FLOW;
		return bh_parse_network(&work->packet, data, data, end, skb->len, skb->protocol);
	}
	return bh_parse(&work->packet, data, end, skb->len, skb->vlan_present ? 1 : 0);
}

static __always_inline int bh_skb_parse_once(struct __sk_buff *skb, const bool l3)
{
	int reason = bh_skb_parse_ip(skb, l3);

	return bh_unlikely(reason == BH_PARSE_ICMP) ? bh_skb_parse_icmp(skb) : reason;
}

static __always_inline int bh_skb_parse(struct __sk_buff *skb, const bool l3)
{
	int reason = bh_skb_parse_once(skb, l3);

	/* The header may be in a page: pull it in and read again. */
	if (bh_unlikely(reason == BH_REASON_TRUNCATED) &&
		!bpf_skb_pull_data(skb, skb->len < BH_PULL_MAX ? skb->len : BH_PULL_MAX))
		reason = bh_skb_parse_once(skb, l3);
	return reason;
}

/* Is it marked at all: has the hook of a pod here seen it? */
static __always_inline bool bh_skb_is_marked(const struct __sk_buff *skb)
{
	const __u32 tag = skb->tc_index & BH_TAG_MASK;

	return tag == BH_TAG || tag == BH_TAG_VOUCHED;
}

/* Who it is marked to come from; 0: nobody that matters any more. */
static __always_inline __u32 bh_skb_tag(const struct __sk_buff *skb)
{
	return (skb->tc_index & BH_TAG_MASK) == BH_TAG ? skb->tc_index & ~BH_TAG_MASK : 0;
}

static __always_inline void bh_skb_mark(struct __sk_buff *skb, __u32 slot)
{
	skb->tc_index = BH_TAG | slot;
}

/* The packet in hand is on its way to the pod it is vouched for to. */
static __always_inline void bh_skb_vouch(struct __sk_buff *skb, struct bh_work *work)
{
	work->voucher.length = skb->len;
	skb->tc_index = BH_TAG_VOUCHED | work->voucher.slot;
}

/*
 * At the receiver's hook: is it vouched for? From the sender's hook a packet comes here at once, on
 * the same processor, or it comes with a mark and no voucher, and is judged like any other; as is
 * one whose destination has been rewritten on the way to another pod, and one that was cut up.
 */
static __always_inline bool bh_skb_vouched(const struct __sk_buff *skb, struct bh_work *work)
{
	const struct bh_voucher *voucher = &work->voucher;
	const __u32 slot = voucher->slot;
	const struct bh_endpoint *endpoint;

	if (!slot || skb->tc_index != (BH_TAG_VOUCHED | slot))
		return false;
	work->voucher.slot = 0;
	endpoint = bh_endpoint_at(slot);
	if (!endpoint || endpoint->ifindex != skb->ifindex || !skb->ingress_ifindex ||
		voucher->length != skb->len)
		return false;
	bh_edge_count_vouched(voucher, bpf_jiffies64());
	return true;
}

#endif
