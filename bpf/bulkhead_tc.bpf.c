/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The two hooks of a pod's veth on the host: its ingress is what the pod sends, its egress what the
 * pod gets. Read from top to bottom as a packet's life:
 *
 *   parse     bytes → struct bh_packet, or why not                         lib/parse.h
 *   flow      a known flow's verdict costs one lookup                      lib/flow.h
 *   judge     who is the pod, who the peer, what do its programs say       lib/judge.h
 *   record    the leg, the edge, the event                                 lib/flow.h, edge.h,
 * event.h out       on to the next program, or dropped
 *
 * Passing is TC_ACT_UNSPEC: TC_ACT_OK would skip every program behind this one.
 */

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "lib/kernel.h"
#include "lib/packet.h"
#include "lib/parse.h"
#include "lib/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Headers longer than this are cut short for us, and dropped. */
#define BH_PULL_MAX 256

__noinline int bh_tc_parse_icmp(struct __sk_buff *skb)
{
	struct bh_work *work = bh_work_get();

	return work ? bh_parse_icmp(
			      &work->packet, (void *)(long)skb->data, (void *)(long)skb->data_end)
		    : BH_REASON_INTERNAL;
}

__noinline int bh_tc_parse_ip(struct __sk_buff *skb)
{
	struct bh_work *work = bh_work_get();

	return work ? bh_parse(&work->packet, (void *)(long)skb->data, (void *)(long)skb->data_end,
			      skb->len, skb->vlan_present ? 1 : 0)
		    : BH_REASON_INTERNAL;
}

static __always_inline int bh_tc_parse_once(struct __sk_buff *skb)
{
	int reason = bh_tc_parse_ip(skb);

	return bh_unlikely(reason == BH_PARSE_ICMP) ? bh_tc_parse_icmp(skb) : reason;
}

static __always_inline int bh_tc_parse(struct __sk_buff *skb)
{
	int reason = bh_tc_parse_once(skb);

	/* The header may be in a page: pull it in and read again. */
	if (bh_unlikely(reason == BH_REASON_TRUNCATED) &&
		!bpf_skb_pull_data(skb, skb->len < BH_PULL_MAX ? skb->len : BH_PULL_MAX))
		reason = bh_tc_parse_once(skb);
	return reason;
}

static __always_inline int bh_tc(struct __sk_buff *skb, const int hook)
{
	struct bh_work *work = bh_work_get();
	struct bh_packet *p;
	int reason;

	if (!work)
		return TC_ACT_SHOT;
	p = &work->packet;
	bh_packet_begin(p, skb->ifindex, hook, skb->gso_segs ?: 1);
	reason = bh_tc_parse(skb);
	/* At the egress of a veth only what the host itself sends came in nowhere. */
	if (hook == BH_HOOK_TO_POD && !skb->ingress_ifindex)
		p->flags |= BH_PACKET_FROM_HOST;
	reason = bh_verdict(p, reason);
	return BH_REASON_PASSES(reason) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("tc")
int bh_from_pod(struct __sk_buff *skb)
{
	return bh_tc(skb, BH_HOOK_FROM_POD);
}

SEC("tc")
int bh_to_pod(struct __sk_buff *skb)
{
	return bh_tc(skb, BH_HOOK_TO_POD);
}

/* Test-run by the dataplane, to learn what jiffies mean. */
SEC("tc")
int bh_clock_read(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct bh_clock *clock = bpf_map_lookup_elem(&bh_clock, &zero);

	if (!clock)
		return 1;
	clock->jiffies = bpf_jiffies64();
	clock->monotonic = bpf_ktime_get_ns();
	return 0;
}
