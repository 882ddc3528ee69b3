/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The devices that leave the node: its uplinks, overlays, everything that is no pod's. What a pod
 * of this node sent to a service passes here with the address of a backend elsewhere, and its
 * egress policy is asked about that one; the answers pass here before that address is put back.
 * Attached while a program in force defers to this (BH_RULE_DEFER).
 *
 * What the node itself sends is none of this, nor what a pod's own hook has settled: one look at
 * the mark. Devices that carry one another (a VLAN and what it is on, a bond, a tunnel) see a
 * packet again; the first of them settles it.
 */

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "lib/kernel.h"
#include "lib/look.h"
#include "lib/packet.h"
#include "lib/skb.h"
#include "lib/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int bh_pass_device(struct __sk_buff *skb, const int hook, const bool l3)
{
	const bool outward = hook == BH_HOOK_LEAVING;
	struct bh_work *work = bh_work_get();
	struct bh_packet *p;
	int reason;

	if (!work)
		return TC_ACT_SHOT;
	p = &work->packet;
	bh_packet_begin(p, skb->ifindex, hook, skb->gso_segs ?: 1);
	p->outward = outward;
	reason = bh_skb_parse(skb, l3);
	if (outward)
		bh_packet_marked(p, bh_skb_tag(skb));
	reason = bh_verdict_passing(work, reason, outward);
	bh_look(skb, p, l3);
	bh_skb_mark(skb, 0);
	return BH_REASON_PASSES(reason) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

static __always_inline int bh_leave(struct __sk_buff *skb, const bool l3)
{
	if (bh_skb_is_marked(skb) ? !bh_skb_tag(skb) : !skb->ingress_ifindex)
		return TC_ACT_UNSPEC;
	return bh_pass_device(skb, BH_HOOK_LEAVING, l3);
}

static __always_inline int bh_arrive(struct __sk_buff *skb, const bool l3)
{
	/* Another mark than that can only be somebody's invention here. */
	if (bh_skb_is_marked(skb) && !bh_skb_tag(skb))
		return TC_ACT_UNSPEC;
	return bh_pass_device(skb, BH_HOOK_ARRIVING, l3);
}

SEC("tc")
int bh_leaving(struct __sk_buff *skb)
{
	return bh_leave(skb, false);
}

SEC("tc")
int bh_arriving(struct __sk_buff *skb)
{
	return bh_arrive(skb, false);
}

/* On a device without a link layer: a tunnel of IP in IP, WireGuard, tun. */
SEC("tc")
int bh_leaving_l3(struct __sk_buff *skb)
{
	return bh_leave(skb, true);
}

SEC("tc")
int bh_arriving_l3(struct __sk_buff *skb)
{
	return bh_arrive(skb, true);
}
