/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_RECORD_H
#define BULKHEAD_BPF_RECORD_H

/* What becomes known of a judgement: counters, the edge, events. */

#include "lib/edge.h"
#include "lib/event.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/recall.h"
#include "lib/work.h"

static __always_inline void bh_edge_key_of(
	const struct bh_packet *p, const struct bh_judgement *j, struct bh_edge_key *key)
{
	const bool source_opened = (j->direction == BH_EGRESS) == bh_packet_from_pod(p);

	key->local = j->local;
	key->remote = j->remote;
	key->port = p->flags & BH_PACKET_PORTS ? bpf_ntohs(source_opened ? p->dport : p->sport) : 0;
	key->protocol = p->protocol;
	key->direction = j->direction;
	key->verdict = j->reason;
	key->pending = j->pending;
	key->flags = j->peer_local ? BH_EDGE_PEER_LOCAL : 0;
	key->family = p->family;
}

/* On the uplink a packet that passes is counted at the pod's own hook. */
static __always_inline bool bh_counted_elsewhere(const struct bh_work *work)
{
	return work->packet.hook == BH_HOOK_UPLINK && BH_REASON_PASSES(work->judgement.reason);
}

static __always_inline bool bh_has_edge(const struct bh_work *work)
{
	return work->judgement.slot && work->packet.family && work->packet.kind == BH_KIND_FLOW;
}

/* The slot of the edge that the judgement in hand counts on. */
__noinline __u32 bh_record_edge(void)
{
	struct bh_work *work = bh_work_get();
	__u32 slot;

	if (!work || !bh_has_edge(work) || bh_counted_elsewhere(work))
		return BH_EDGE_OVERFLOW;
	if (work->judgement.edge)
		return work->judgement.edge;
	bh_edge_key_of(&work->packet, &work->judgement, &work->edge);
	slot = bh_edge_slot(work->judgement.rule, work->judgement.pending_rule);
	if (work->judgement.recall && slot != BH_EDGE_OVERFLOW)
		bh_recall_keep(slot);
	return slot;
}

/*
 * Counters, the edge at `slot`, and events, for the judgement in hand. `begins`: so does its flow.
 * `mark`: enum bh_mark.
 */
__noinline int bh_record(__u32 slot, __u32 begins, __u32 mark)
{
	struct bh_work *work = bh_work_get();
	const struct bh_judgement *j;
	const struct bh_packet *p;

	if (!work || bh_counted_elsewhere(work))
		return 0;
	p = &work->packet;
	j = &work->judgement;
	bh_count(j->reason, p->packets);
	if (bh_has_edge(work))
		bh_edge_count(
			slot, p, bh_packet_from_pod(p), bpf_jiffies64(), begins ? 1 : 0, mark);
	if (!BH_REASON_PASSES(j->reason))
		bh_event_judged(BH_EVENT_DENIED);
	else if (!BH_REASON_PASSES(j->pending))
		bh_event_judged(BH_EVENT_WOULD_DENY);
	return 0;
}

#endif
