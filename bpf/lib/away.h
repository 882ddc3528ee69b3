/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_AWAY_H
#define BULKHEAD_BPF_AWAY_H

/*
 * A pod's part where it is not the one whose hook this is.
 *
 * A pod's packet to a service's address passes its own hook before that address is rewritten into a
 * backend's. There the rewritten packet belongs to another flow, and the pod's egress is asked
 * about that one where it comes by next: at the veth of a local backend, or at the device it leaves
 * the node by. What is done there is what the pod's own hook would have done, had it seen the
 * packet so: judge, count, keep the leg; only that the leg is marked as one judged away
 * (BH_LEG_AWAY) and that the later hooks of that flow look after it. The answers meet it in the
 * other direction: they stop, too, when it is not in force any more.
 *
 * Who sent the packet is told by its mark (BH_TAG), which survives translation of its source
 * address. Where somebody on the way has wiped that off, its source address tells.
 *
 * `away` puts such a pod in question: everything in flow.h and judge.h is then about it.
 */

#include "lib/endpoint.h"
#include "lib/identity.h"
#include "lib/packet.h"
#include "lib/work.h"

static __always_inline void bh_away_begin(struct bh_packet *p, __u32 slot, bool outward)
{
	const struct bh_endpoint *endpoint = bh_endpoint_at(slot);
	const __u32 ifindex = endpoint ? endpoint->ifindex : 0;

	/* Through a service back to itself. */
	p->peer = ifindex == p->ifindex ? slot : 0;
	p->away = slot;
	p->outward = outward;
	p->ifindex = ifindex;
}

/* Back to the pod, or the device, whose hook this is. */
static __always_inline void bh_away_end(struct bh_packet *p, __u32 ifindex, bool outward)
{
	p->peer = 0;
	p->away = 0;
	p->outward = outward;
	p->ifindex = ifindex;
}

/* The pod of this node whose address the packet in hand comes from, or 0. */
__noinline __u32 bh_away_by_address(void)
{
	struct bh_work *work = bh_work_get();
	const struct bh_identity *identity;
	const struct bh_endpoint *endpoint;

	if (!work)
		return 0;
	identity = bh_identity_exact(work->packet.family, work->packet.src);
	endpoint = identity ? bh_endpoint_at(identity->slot) : NULL;
	/* Who only wears the address of the pod it is sent to is not that pod. */
	return identity && endpoint && endpoint->ifindex != work->packet.ifindex ? identity->slot
										 : 0;
}

/*
 * The pod of this node that sent a packet, if its own hook has not seen it in this flow (NULL:
 * there is none); 0: nobody's part is to be done.
 */
static __always_inline __u32 bh_away_sender(const struct bh_packet *p, const struct bh_flow *flow)
{
	const struct bh_leg *leg = flow ? &flow->leg[p->src_side & 1] : NULL;

	if (p->flags & BH_PACKET_FROM_HOST)
		return 0;
	if (leg && leg->epoch && !(leg->flags & BH_LEG_AWAY) && (!p->tag || p->tag == leg->slot))
		return 0;
	if (p->tag)
		return p->tag;
	if (leg && leg->flags & BH_LEG_AWAY)
		return leg->slot;
	/* An answer's sender has its part under the name it answers with. */
	if (flow && flow->opener != p->src_side && !(flow->flags & BH_FLOW_MIDSTREAM))
		return 0;
	/* These leave nothing behind by which its own hook could be seen to have passed them. */
	if (!flow && (p->flags & BH_PACKET_STATELESS || bh_is_tcp_afterthought(p)))
		return 0;
	return bh_away_by_address();
}

/*
 * The other end's leg, judged away: does it let this very packet pass? A packet that does not wear
 * its pod's address must be marked as its.
 */
static __always_inline bool bh_away_in_force(const struct bh_packet *p, const struct bh_leg *leg)
{
	const struct bh_endpoint *endpoint = bh_endpoint_at(leg->slot);

	return endpoint && leg->flags & BH_LEG_AWAY &&
	       leg->epoch == BH_READ_ONCE(endpoint->epoch) && BH_REASON_PASSES(leg->reason) &&
	       (bh_packet_from_pod(p) || p->tag == leg->slot ||
		       (!p->tag && !(leg->flags & BH_LEG_MASKED)));
}

/* Translated to an address that is not its pod's, by a packet that is not marked as that pod's. */
static __always_inline bool bh_away_of_another(
	const struct bh_packet *p, const struct bh_flow *flow)
{
	const struct bh_leg *leg = &flow->leg[p->src_side & 1];

	return p->hook == BH_HOOK_TO_POD && leg->flags & BH_LEG_MASKED && leg->slot != p->tag;
}

#endif
