/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_VERDICT_H
#define BULKHEAD_BPF_VERDICT_H

/* From a parsed packet, or the reason why it could not be, to the reason of its verdict. */

#include "lib/flow.h"
#include "lib/fragment.h"
#include "lib/judge.h"
#include "lib/packet.h"

/* What is no flow of its own: unparsable, ARP, neighbour discovery, DHCP, ICMP errors. */
__noinline int bh_verdict_exception(__u32 broken)
{
	struct bh_work *work = bh_work_get();
	__u32 refused = BH_EDGE_OVERFLOW;
	const struct bh_packet *p;
	int reason;

	if (!work)
		return BH_REASON_INTERNAL;
	p = &work->packet;
	if (!broken && p->kind == BH_KIND_ICMP_ERROR &&
		!(p->family == 4 ? bh_flow_error_known(p, &refused, 4)
				 : bh_flow_error_known(p, &refused, 6)))
		broken = BH_REASON_ICMP_NO_FLOW;
	reason = bh_judge(BH_ASK_SOURCE, broken);
	bh_record(bh_record_edge(), false, BH_MARK_NONE);
	if (refused != BH_EDGE_OVERFLOW && BH_REASON_PASSES(reason))
		bh_edge_refused(refused);
	return reason;
}

static __always_inline bool bh_is_multicast(const struct bh_packet *p)
{
	if (p->family == 6)
		return p->dst[0] == 0xff;
	return p->dst[0] >> 4 == 14 || bh_load32(p->dst) == 0xffffffff;
}

/*
 * A packet that passes a device of the node's, where no pod is: puts the pod in question that has
 * sent it (outward), or that it is an answer to, if its own hook has not seen the packet as it is
 * here. Returns whether there is one.
 */
static __always_inline int bh_passing(struct bh_work *work, bool outward, const int family)
{
	struct bh_packet *p = &work->packet;
	const struct bh_leg *leg;
	struct bh_flow *flow;
	__u32 slot = 0;

	bh_flow_key_fill(p, &work->key, family);
	flow = bh_flow_seek(work, family);
	if (outward) {
		slot = bh_away_sender(p, flow);
	} else if (flow) {
		leg = &flow->leg[(p->src_side ^ 1) & 1];
		slot = leg->flags & BH_LEG_AWAY ? leg->slot : 0;
	}
	if (slot)
		bh_away_begin(p, slot, outward);
	return slot != 0;
}

__noinline int bh_passing_pod(__u32 outward)
{
	struct bh_work *work = bh_work_get();

	if (!work)
		return 0;
	return work->packet.family == 4 ? bh_passing(work, outward, 4)
					: bh_passing(work, outward, 6);
}

/* As bh_verdict(), for what passes a device where no pod is. */
static __always_inline int bh_verdict_passing(struct bh_work *work, int broken, bool outward)
{
	struct bh_packet *p = &work->packet;
	const __u32 ifindex = p->ifindex;
	int reason;

	/* Whatever is marked has been understood where it was, and is what was meant. */
	if (bh_unlikely(broken || p->kind != BH_KIND_FLOW)) {
		if (!broken || !p->tag)
			return BH_REASON_NOT_LOCAL;
		bh_away_begin(p, p->tag, outward);
		return bh_verdict_exception(broken);
	}
	p->octets += (p->packets - 1) * p->header_octets;
	if (bh_unlikely(p->flags & BH_PACKET_LATER_FRAGMENT))
		bh_fragment_find();
	if (bh_unlikely(bh_is_multicast(p)))
		p->flags |= BH_PACKET_STATELESS;
	if (!bh_passing_pod(outward))
		return BH_REASON_NOT_LOCAL;
	if (p->family == 4)
		reason = bh_flow_verdict(work, 4);
	else
		reason = bh_flow_verdict(work, 6);
	bh_away_end(p, ifindex, outward);
	if (bh_unlikely(p->flags & BH_PACKET_FIRST_FRAGMENT) && BH_REASON_PASSES(reason))
		bh_fragment_remember();
	return reason;
}

static __always_inline int bh_verdict(struct bh_work *work, int broken)
{
	struct bh_packet *p = &work->packet;
	int reason;

	/* Towards a pod, a client's broadcast is a datagram like any other. */
	if (bh_unlikely(p->kind == BH_KIND_DHCP_CLIENT && !bh_packet_from_pod(p)))
		p->kind = BH_KIND_FLOW;
	if (bh_unlikely(broken || p->kind != BH_KIND_FLOW))
		return bh_verdict_exception(broken);
	p->octets += (p->packets - 1) * p->header_octets;
	if (bh_unlikely(p->flags & BH_PACKET_LATER_FRAGMENT))
		bh_fragment_find();
	if (bh_unlikely(bh_is_multicast(p)))
		p->flags |= BH_PACKET_STATELESS;
	if (p->family == 4)
		reason = bh_flow_verdict(work, 4);
	else
		reason = bh_flow_verdict(work, 6);
	if (bh_unlikely(p->flags & BH_PACKET_FIRST_FRAGMENT) && BH_REASON_PASSES(reason))
		bh_fragment_remember();
	return reason;
}

#endif
