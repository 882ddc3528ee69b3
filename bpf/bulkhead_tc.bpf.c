/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The two hooks of a pod's veth on the host: its ingress is what the pod sends, its egress what the
 * pod gets. Read from top to bottom as a packet's life:
 *
 *   parse     bytes → struct bh_packet, or why not                         lib/parse.h
 *   flow      a known flow's verdict costs one lookup                      lib/flow.h
 *   judge     who is the pod, who the peer, what do its programs say       lib/judge.h
 *   record    counters, the edge, the event                                lib/record.h
 *   look      what is spoken, in a flow's first packets                    lib/look.h
 *   out       on to the next program, or dropped
 *
 * Passing is TC_ACT_UNSPEC: TC_ACT_OK would skip every program behind this one.
 */

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "lib/kernel.h"
#include "lib/look.h"
#include "lib/packet.h"
#include "lib/skb.h"
#include "lib/verdict.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int bh_tc(struct __sk_buff *skb, const int hook)
{
	struct bh_work *work = bh_work_get();
	struct bh_packet *p;
	int reason;

	if (!work)
		return TC_ACT_SHOT;
	if (hook == BH_HOOK_FROM_POD)
		work->voucher.slot = 0;
	else if (bh_skb_vouched(skb, work))
		return TC_ACT_UNSPEC;
	p = &work->packet;
	bh_packet_begin(p, skb->ifindex, hook, skb->gso_segs ?: 1);
	reason = bh_skb_parse(skb, false);
	if (hook == BH_HOOK_TO_POD) {
		/* At the egress of a veth only what the host itself sends came in nowhere. */
		if (!skb->ingress_ifindex)
			p->flags |= BH_PACKET_FROM_HOST;
		else
			bh_packet_marked(p, bh_skb_tag(skb));
	}
	reason = bh_verdict(work, reason);
	bh_look(skb, p, false);
	/* Always: the pod could have marked it, too. */
	if (hook == BH_HOOK_FROM_POD) {
		if (work->voucher.slot)
			bh_skb_vouch(skb, work);
		else
			bh_skb_mark(skb, p->tag);
	}
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

/* Test-run by the dataplane with a struct bh_flow_request. Returns enum bh_flow_done. */
SEC("tc")
int bh_flow_command(struct __sk_buff *skb)
{
	const struct bh_flow_request *request = (void *)(long)skb->data;

	if ((void *)(request + 1) > (void *)(long)skb->data_end)
		return BH_FLOW_NOT_UNDERSTOOD;
	if (request->op != BH_FLOW_OP_PUT && request->op != BH_FLOW_OP_END)
		return BH_FLOW_NOT_UNDERSTOOD;
	if (request->family == 4)
		return bh_flow_op4(skb);
	return request->family == 6 ? bh_flow_op6(skb) : BH_FLOW_NOT_UNDERSTOOD;
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
