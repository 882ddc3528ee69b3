/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_LEG_H
#define BULKHEAD_BPF_LEG_H

/* One end of a flow: the verdict that a pod of this node has reached about it. */

#include "lib/edge.h"
#include "lib/endpoint.h"
#include "lib/packet.h"
#include "lib/work.h"

/*
 * The leg here was judged for another pod: one that is gone, or one that this packet only passes
 * by. Its flow is nothing that this pod may live off.
 */
static __always_inline bool bh_leg_of_another(const struct bh_packet *p, const struct bh_leg *leg)
{
	const struct bh_endpoint *endpoint;

	if (!leg->epoch)
		return false;
	endpoint = bh_endpoint_at(leg->slot);
	return !endpoint || endpoint->ifindex != p->ifindex || leg->epoch < endpoint->born;
}

/* The leg, if there is one, is that of the pod in question. */
static __always_inline bool bh_leg_is_here(const struct bh_packet *p, const struct bh_leg *leg)
{
	const struct bh_endpoint *endpoint = leg->epoch ? bh_endpoint_at(leg->slot) : NULL;

	return endpoint && endpoint->ifindex == p->ifindex;
}

/* A forwarded packet in a flow of the node itself, whatever source address it wears. */
static __always_inline bool bh_leg_of_node_only(const struct bh_packet *p, const struct bh_leg *leg)
{
	return leg->reason == BH_REASON_NODE && !bh_packet_from_pod(p) &&
	       !(p->flags & BH_PACKET_FROM_HOST);
}

/* Is the leg's verdict one that lets this very packet pass? */
static __always_inline bool bh_leg_in_force(const struct bh_packet *p, const struct bh_leg *leg)
{
	const struct bh_endpoint *endpoint = bh_endpoint_at(leg->slot);

	return endpoint && endpoint->ifindex == p->ifindex &&
	       leg->epoch == BH_READ_ONCE(endpoint->epoch) && BH_REASON_PASSES(leg->reason) &&
	       !bh_leg_of_node_only(p, leg) &&
	       (!bh_packet_from_pod(p) || bh_endpoint_mac(endpoint, p->smac) || p->away);
}

/* Stores a judgement in the leg. The epoch last: who reads the old one judges again. */
static __always_inline void bh_leg_store(
	struct bh_flow *flow, __u32 side, const struct bh_judgement *j, __u32 edge, __u8 openers)
{
	struct bh_leg *leg = &flow->leg[side & 1];

	leg->reason = j->reason;
	leg->edge = edge;
	leg->slot = j->slot;
	leg->flags = j->leg_flags;
	/* What is known of the conversation is true of the edge that counts it now, too. */
	if (flow->talk)
		bh_edge_talk(edge, flow->talk, flow->tls);
	flow->pending[side & 1] = j->pending;
	flow->openers =
		side & 1 ? (flow->openers & 3) | openers << 2 : (flow->openers & 12) | openers;
	flow->rule[side & 1] = j->rule;
	flow->pending_rule[side & 1] = j->pending_rule;
	*(volatile __u64 *)&leg->epoch = j->epoch;
}

/* What a pod's own hook has judged is its own to judge again. */
static __always_inline bool bh_leg_may_store(const struct bh_packet *p, const struct bh_leg *leg)
{
	return !p->away || !leg->epoch || leg->flags & BH_LEG_AWAY;
}

/* BH_ASK_* are about source and destination, a leg's openers about sides. */
static __always_inline __u8 bh_openers_by_side(const struct bh_packet *p, __u32 openers)
{
	if (!p->src_side)
		return openers;
	return (openers & BH_ASK_SOURCE ? 2 : 0) | (openers & BH_ASK_DESTINATION ? 1 : 0);
}

#endif
