/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_FLOW_H
#define BULKHEAD_BPF_FLOW_H

/*
 * Connection tracking. One entry per connection and host; what a packet costs is one lookup here.
 *
 * An entry is born half-open and settles when both ends have spoken (TCP: with the handshake's
 * third packet), so no flood can push out what was ever established (lib/table.h). Everything a
 * later packet of the flow needs is in the entry: per leg the verdict, under which epoch it was
 * reached, and the edge that counts it.
 *
 * The families share this code; `family` is a constant wherever it is a parameter.
 */

#include "lib/away.h"
#include "lib/edge.h"
#include "lib/event.h"
#include "lib/judge.h"
#include "lib/leg.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/record.h"
#include "lib/table.h"
#include "lib/trip.h"
#include "lib/work.h"

/* `flow`: that of the packet, before the packet moves it; NULL: there is none. */
static __always_inline __u32 bh_flow_mark_of(const struct bh_packet *p, const struct bh_flow *flow)
{
	if (!bh_is_tcp(p) || !(p->tcp_flags & BH_TCP_RST))
		return BH_MARK_NONE;
	return flow && flow->opener != p->src_side &&
			       (flow->flags & BH_FLOW_REFUSED ||
				       (flow->state == BH_FLOW_NEW &&
					       !(flow->flags & BH_FLOW_MIDSTREAM)))
		       ? BH_MARK_REFUSAL
		       : BH_MARK_RESET;
}

/*
 * A SYN begins a new connection, unless it repeats the one that is being opened. In the reply
 * direction, or over a finished connection, it must not live off the old verdict.
 *
 * Of the other protocols, a pod's packet begins a flow where the only one so far was refused here:
 * it cannot be the answer to what the pod never got. (NTP, IKE and tunnels have one port at both
 * ends; else whoever was refused could keep the pod from asking.)
 */
static __always_inline bool bh_flow_begins_anew(
	const struct bh_packet *p, const struct bh_flow *flow)
{
	const struct bh_leg *leg = &flow->leg[bh_pod_side(p)];

	if (bh_is_tcp(p))
		return bh_is_syn(p) &&
		       !(flow->state <= BH_FLOW_SYN_RECV && flow->opener == p->src_side &&
			       !(flow->flags & BH_FLOW_MIDSTREAM));
	return bh_packet_from_pod(p) && flow->state == BH_FLOW_NEW && flow->opener != p->src_side &&
	       leg->epoch && !BH_REASON_PASSES(leg->reason);
}

/*
 * A leg that has no verdict in force: the second hook of a new flow, another epoch, or a leg that
 * is denied and stays so. Returns the reason.
 */
static __always_inline int bh_flow_judge_leg(struct bh_work *work, struct bh_flow *flow)
{
	const struct bh_packet *p = &work->packet;
	struct bh_judgement *j = &work->judgement;
	const __u32 side = bh_pod_side(p);
	struct bh_leg *leg = &flow->leg[side];
	const struct bh_leg *other = &flow->leg[side ^ 1];
	const bool midstream = flow->flags & BH_FLOW_MIDSTREAM;
	const bool first = !leg->epoch;
	const bool refused_so_far = first || !BH_REASON_PASSES(leg->reason);
	const bool nodes = !first && leg->reason == BH_REASON_NODE && flow->opener != side;
	__u32 ask, edge;
	__u8 openers;

	if (midstream)
		ask = p->known_opener ?: BH_ASK_SOURCE | BH_ASK_DESTINATION;
	else
		ask = flow->opener == p->src_side ? BH_ASK_SOURCE : BH_ASK_DESTINATION;
	bh_judge(ask, BH_REASON_NONE);
	/* What the node opened stays the node's; an answer does not show who asked. */
	if (nodes && !j->refused) {
		bh_recall_not(j);
		j->reason = j->pending = BH_REASON_NODE;
		j->remote = BH_WORKLOAD_NODE;
	}
	openers = bh_openers_by_side(p, j->openers);
	/* Both ends must be able to believe in the same opener. */
	if (midstream && other->epoch && BH_REASON_PASSES(j->reason) && !j->refused &&
		!(openers & bh_flow_openers(flow, side ^ 1)) && j->reason != BH_REASON_OPEN) {
		bh_recall_not(j);
		j->reason = BH_REASON_ISOLATED;
	}
	if (!first)
		bh_count(BH_COUNTER_REJUDGED, 1);
	edge = bh_record_edge();
	/* Counted once as what it met first, and once more when it is let through after all. */
	bh_record(edge, (first && !j->refused) || (refused_so_far && BH_REASON_PASSES(j->reason)),
		bh_flow_mark_of(p, flow));
	if (!j->refused && j->slot && p->hook != BH_HOOK_UPLINK && bh_leg_may_store(p, leg))
		bh_leg_store(flow, side, j, edge, openers);
	return j->reason;
}

static __always_inline void bh_flow_close(struct bh_flow *flow)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();

	flow->state = BH_FLOW_CLOSED;
	if (flow->flags & BH_FLOW_CLOSE_SENT || !work || !config ||
		config->flags & BH_CONFIG_NO_NEW_EVENTS)
		return;
	flow->flags |= BH_FLOW_CLOSE_SENT;
	memcpy(&work->flow, flow, sizeof(*flow));
	bh_event_closed();
}

/* How a connection ends that was there: FIN from either end, and its acknowledgement. */
static __always_inline void bh_flow_wind_up(const struct bh_packet *p, struct bh_flow *flow)
{
	if (p->tcp_flags & BH_TCP_FIN) {
		flow->flags |= p->src_side & 1 ? BH_FLOW_FIN1 : BH_FLOW_FIN0;
		if (flow->state < BH_FLOW_CLOSING)
			flow->state = BH_FLOW_CLOSING;
	} else if (flow->state == BH_FLOW_CLOSING &&
		   (flow->flags & (BH_FLOW_FIN0 | BH_FLOW_FIN1)) == (BH_FLOW_FIN0 | BH_FLOW_FIN1)) {
		/* Both have said FIN, and this one only acknowledges. */
		bh_flow_close(flow);
	}
}

/*
 * Both ends have said all there was, and no hook of the node is still to see this packet. Its entry
 * is given back now, not when it times out: the next connection takes it, and finds it in the
 * processor's cache. What a late repetition of the end finds is said at bh_flow_keeps().
 */
static __always_inline bool bh_flow_over(const struct bh_packet *p, const struct bh_flow *flow)
{
	const struct bh_leg *other = &flow->leg[bh_pod_side(p) ^ 1];

	return flow->state == BH_FLOW_CLOSED &&
	       (flow->flags & (BH_FLOW_FIN0 | BH_FLOW_FIN1)) == (BH_FLOW_FIN0 | BH_FLOW_FIN1) &&
	       (p->hook != BH_HOOK_FROM_POD || !other->epoch || other->flags & BH_LEG_AWAY);
}

/* Advances the state by one packet; returns true when both ends are now known to be there. */
static __always_inline bool bh_flow_advance(const struct bh_packet *p, struct bh_flow *flow)
{
	const __u32 side = p->src_side & 1;

	if (!bh_is_tcp(p)) {
		if (flow->state != BH_FLOW_NEW || flow->opener == side)
			return false;
		flow->state = BH_FLOW_REPLIED;
		return true;
	}
	if (p->tcp_flags & BH_TCP_RST) {
		if (bh_flow_mark_of(p, flow) == BH_MARK_REFUSAL)
			flow->flags |= BH_FLOW_REFUSED;
		bh_flow_close(flow);
		return false;
	}
	if (p->tcp_flags & BH_TCP_FIN || flow->state >= BH_FLOW_CLOSING) {
		bh_flow_wind_up(p, flow);
		return false;
	}
	switch (flow->state) {
	case BH_FLOW_NEW:
		if (flow->flags & BH_FLOW_MIDSTREAM) {
			if (!bh_flow_packets(flow, side ^ 1))
				return false;
			flow->state = BH_FLOW_ESTABLISHED;
			return true;
		}
		if (flow->opener != side && p->tcp_flags & BH_TCP_SYN)
			flow->state = BH_FLOW_SYN_RECV;
		return false;
	case BH_FLOW_SYN_RECV:
		if (flow->opener != side || p->tcp_flags & BH_TCP_SYN)
			return false;
		flow->state = BH_FLOW_ESTABLISHED;
		return true;
	}
	return false;
}

/*
 * Counts a packet in its flow. Returns true at the one hook that also moves the flow on: the
 * source's own if it is here, else the destination's. `both`: the source's part is done here, too.
 */
static __always_inline bool bh_flow_account(
	const struct bh_packet *p, struct bh_flow *flow, __u64 now, bool both)
{
	const __u32 side = p->src_side & 1;

	if (flow->seen != (__u32)now)
		flow->seen = now;
	if (!bh_packet_from_pod(p) && flow->leg[side].epoch && !both)
		return false;
	/* Not atomic: see struct bh_flow. Two atomic adds were a fifth of the whole way. */
	flow->octets[side] += p->octets;
	flow->packets[side] += p->packets;
	if (bh_unlikely(flow->packets[side] < p->packets))
		flow->packets_high[side]++;
	return true;
}

/* Is the flow to be watched, from this packet on which begins it? */
static __always_inline bool bh_flow_watchable(const struct bh_packet *p, bool midstream)
{
	return bh_is_tcp(p) ? !midstream
			    : p->protocol == BH_PROTO_UDP && p->flags & BH_PACKET_PORTS;
}

/*
 * A packet of a flow that is watched, at one hook of the node: what its headers say is taken down
 * here, and what has payload is to be looked into.
 */
static __always_inline void bh_flow_watch(struct bh_packet *p, struct bh_flow *flow)
{
	if (bh_likely(!(flow->flags & BH_FLOW_WATCHED)) ||
		p->flags & (BH_PACKET_FIRST_FRAGMENT | BH_PACKET_LATER_FRAGMENT))
		return;
	bh_trip_packet(p, flow);
	p->look = bh_packet_has_payload(p);
}

/*
 * Payload is looked into where the packet is counted in its flow, once; where that hook cannot see
 * it, at the next one.
 */
static __always_inline void bh_flow_watch_late(struct bh_packet *p, const struct bh_flow *flow)
{
	if (!(flow->leg[p->src_side & 1].flags & BH_LEG_BLIND) ||
		!(flow->flags & BH_FLOW_WATCHED) || !bh_packet_has_payload(p))
		return;
	p->look = 1;
}

/* Fills the entry in hand for a flow that was just allowed. */
static __always_inline void bh_flow_template(struct bh_work *work, bool midstream, __u32 edge)
{
	const struct bh_packet *p = &work->packet;
	const struct bh_judgement *j = &work->judgement;
	const bool source_opened = (j->direction == BH_EGRESS) == bh_packet_from_pod(p);
	const __u32 side = p->src_side & 1;
	struct bh_flow *flow = &work->flow;

	memset(flow, 0, sizeof(*flow));
	flow->state = BH_FLOW_NEW;
	flow->opener = source_opened ? side : side ^ 1;
	flow->flags = midstream ? BH_FLOW_MIDSTREAM : 0;
	if (bh_flow_watchable(p, midstream))
		flow->flags |= BH_FLOW_WATCHED;
	flow->started = bpf_jiffies64();
	flow->seen = flow->started;
	flow->packets[side] = p->packets;
	flow->octets[side] = p->octets;
	bh_leg_store(flow, bh_pod_side(p), j, edge, bh_openers_by_side(p, j->openers));
	bh_flow_watch(&work->packet, flow);
}

/* Which beginnings a packet without a flow may belong to. */
static __always_inline __u32 bh_flow_ask(const struct bh_packet *p)
{
	if (!bh_is_tcp(p) || bh_is_syn(p))
		return BH_ASK_SOURCE;
	if (p->tcp_flags & BH_TCP_SYN)
		return BH_ASK_DESTINATION; /* SYN-ACK: who gets it has opened */
	return p->known_opener ?: BH_ASK_SOURCE | BH_ASK_DESTINATION;
}

/*
 * May the packet that was just judged leave a flow behind? Of a connection that has no entry (any
 * more), what carries nothing passes or not by itself.
 */
static __always_inline bool bh_flow_keeps(const struct bh_packet *p, const struct bh_judgement *j)
{
	return BH_REASON_PASSES(j->reason) && !j->refused && j->slot &&
	       !(p->flags & BH_PACKET_STATELESS) && p->hook != BH_HOOK_UPLINK &&
	       !bh_is_tcp_afterthought(p);
}

/* Enters the flow in hand; what it replaces is gone. */
static __always_inline bool bh_flow_insert(struct bh_work *work, const int family)
{
	if (family == 4 ? bh_flow_enter4() : bh_flow_enter6())
		return true;
	bh_count(BH_COUNTER_FLOW_INSERT_FAILED, 1);
	work->packet.look = 0;
	return false;
}

/* The first packet of a flow, or one whose flow is not known any more. Returns the reason. */
static __always_inline int bh_flow_new(struct bh_work *work, const int family)
{
	const struct bh_config *config = bh_config_get();
	const struct bh_packet *p = &work->packet;
	struct bh_judgement *j = &work->judgement;
	const __u32 ask = bh_flow_ask(p);
	const bool midstream = bh_is_tcp(p) && !bh_is_syn(p);
	bool keeps;
	__u32 edge;

	bh_judge(ask, bh_icmp_is_reply(p) ? BH_REASON_ICMP_NO_FLOW : BH_REASON_NONE);
	keeps = bh_flow_keeps(p, j);
	edge = bh_record_edge();
	if (keeps) {
		bh_flow_template(work, midstream, edge);
		keeps = bh_flow_insert(work, family);
		/* Unless nothing may be dropped, no connection passes that cannot be tracked. */
		if (!keeps && j->reason != BH_REASON_OPEN && j->reason != BH_REASON_NODE) {
			j->pending = j->pending == j->reason ? BH_REASON_TABLE_FULL : j->pending;
			j->reason = BH_REASON_TABLE_FULL;
			bh_recall_not(j);
			edge = bh_record_edge();
		}
	}
	bh_record(edge, keeps, bh_flow_mark_of(p, NULL));
	if (!keeps)
		return j->reason;
	if (midstream)
		bh_count(BH_COUNTER_MIDSTREAM, 1);
	if (config && !(config->flags & BH_CONFIG_NO_NEW_EVENTS) && BH_REASON_PASSES(j->pending))
		bh_event_judged(BH_EVENT_NEW);
	return j->reason;
}

/*
 * The flow of the packet in hand, where it was found. NULL also for one that has timed out, that
 * was another pod's, or that the packet begins anew.
 */
static __always_inline struct bh_flow *bh_flow_find(
	const struct bh_config *config, struct bh_work *work, __u64 now, const int family)
{
	struct bh_flow *flow = bh_flow_there(work, family);
	struct bh_packet *p = &work->packet;
	const struct bh_leg *leg;

	if (!flow)
		return NULL;
	leg = &flow->leg[bh_pod_side(p)];
	if (bh_unlikely(bh_flow_expired(config, flow, now) || bh_flow_begins_anew(p, flow) ||
			(!p->away && bh_away_of_another(p, flow))))
		return NULL;
	if (bh_unlikely(bh_leg_of_another(p, leg))) {
		/*
		 * The other end may still have the connection open, and knows who began it: whoever
		 * has the address now cannot pass it off as one that the other end has opened.
		 */
		if (!(flow->flags & BH_FLOW_MIDSTREAM))
			p->known_opener =
				flow->opener == p->src_side ? BH_ASK_SOURCE : BH_ASK_DESTINATION;
		return NULL;
	}
	/* Judged by itself, so that it can neither use the node's flow nor spoil it. */
	if (bh_leg_of_node_only(p, leg)) {
		p->flags |= BH_PACKET_STATELESS;
		return NULL;
	}
	return flow;
}

/*
 * Both ends are pods of this node, and the receiver's leg lets the packet pass, too: all that its
 * hook would find out is known here, where the entry is in hand. It counts the packet then, and
 * does nothing else (bh_skb_vouched()). Not where that hook has something of its own to remember: a
 * fragment's ports, a reset, a flow that is over, a service's part.
 */
static __always_inline void bh_flow_vouch(
	struct bh_work *work, const struct bh_flow *flow, const struct bh_leg *other)
{
	const struct bh_packet *p = &work->packet;
	const struct bh_endpoint *endpoint;

	if (p->hook != BH_HOOK_FROM_POD || p->away || p->blind || p->tag || !other->epoch ||
		other->flags || other->reason == BH_REASON_NODE ||
		!BH_REASON_PASSES(other->reason) || flow->state == BH_FLOW_CLOSED ||
		p->flags & (BH_PACKET_FIRST_FRAGMENT | BH_PACKET_LATER_FRAGMENT) ||
		(bh_is_tcp(p) && p->tcp_flags & BH_TCP_RST))
		return;
	endpoint = bh_endpoint_at(other->slot);
	if (!endpoint || other->epoch != BH_READ_ONCE(endpoint->epoch))
		return;
	work->voucher.slot = other->slot;
	work->voucher.edge = other->edge;
	work->voucher.packets = p->packets;
	work->voucher.octets = p->octets;
}

/* Every packet to a service's address takes its sender along. */
static __always_inline void bh_flow_mark(struct bh_packet *p, const struct bh_leg *leg)
{
	if (bh_unlikely(leg->flags & BH_LEG_SERVICE) && bh_packet_from_pod(p))
		p->tag = leg->slot;
}

/*
 * What the quick way below leaves: no flow, a leg without a verdict in force, or a packet that
 * moves the flow's state. The key and the flow's place are in hand. Returns the reason; with
 * p->other set, bh_flow_both() has to go on.
 */
static __always_inline int bh_flow_slow(const int family)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();
	__u64 now = bpf_jiffies64();
	struct bh_flow *flow = NULL;
	const struct bh_leg *other;
	struct bh_packet *p;
	bool moved;
	int reason;

	if (!config || !work)
		return BH_REASON_INTERNAL;
	p = &work->packet;
	if (!(p->flags & BH_PACKET_STATELESS))
		flow = bh_flow_find(config, work, now, family);
	if (p->hook == BH_HOOK_TO_POD && !p->away && !(p->flags & BH_PACKET_SENDER_ASKED)) {
		p->other = bh_away_sender(p, flow);
		if (bh_unlikely(p->other))
			return BH_REASON_NONE;
	}
	if (!flow) {
		/* Answers in a flow that is another pod's by now: its own hook's business. */
		if (p->away && !bh_packet_from_pod(p))
			return BH_REASON_NOT_LOCAL;
		return bh_flow_new(work, family);
	}
	other = &flow->leg[bh_pod_side(p) ^ 1];
	if (bh_unlikely(other->flags & BH_LEG_AWAY) && p->hook == BH_HOOK_FROM_POD && !p->away)
		p->other = p->peer = other->slot;
	if (bh_leg_in_force(p, &flow->leg[bh_pod_side(p)])) {
		reason = flow->leg[bh_pod_side(p)].reason;
		bh_flow_mark(p, &flow->leg[bh_pod_side(p)]);
		if (p->hook != BH_HOOK_UPLINK)
			bh_edge_count(flow->leg[bh_pod_side(p)].edge, p, bh_packet_from_pod(p), now,
				0, bh_flow_mark_of(p, flow));
	} else {
		reason = bh_flow_judge_leg(work, flow);
		/* A forged packet that passes, because nothing is enforced, must not move it. */
		if (work->judgement.refused)
			return reason;
	}
	if (!BH_REASON_PASSES(reason) || p->hook == BH_HOOK_UPLINK ||
		!bh_leg_is_here(p, &flow->leg[bh_pod_side(p)]))
		return reason;
	if (!bh_flow_account(p, flow, now, false)) {
		bh_flow_watch_late(p, flow);
		return reason;
	}
	bh_flow_watch(p, flow);
	moved = bh_flow_advance(p, flow);
	bh_flow_vouch(work, flow, other);
	if (moved && family == 4)
		bh_flow_settle4();
	else if (moved)
		bh_flow_settle6();
	return reason;
}

__noinline int bh_flow_slow4(void)
{
	return bh_flow_slow(4);
}

__noinline int bh_flow_slow6(void)
{
	return bh_flow_slow(6);
}

/*
 * Two pods' parts at one hook: the one whose hook it is, and p->other. What a sender's part drops
 * never gets to the receiver's; so the sender's comes first, and `reason` is only that of a sender
 * whose hook this is. Returns the reason.
 */
static __always_inline int bh_flow_both(int reason, const int family)
{
	struct bh_work *work = bh_work_get();
	struct bh_packet *p;
	__u32 ifindex, slot;
	bool outward;
	int others;

	if (!work)
		return BH_REASON_INTERNAL;
	p = &work->packet;
	ifindex = p->ifindex;
	outward = bh_packet_from_pod(p);
	slot = p->other;
	if (outward && !BH_REASON_PASSES(reason))
		return reason;
	bh_away_begin(p, slot, !outward);
	others = family == 4 ? bh_flow_slow4() : bh_flow_slow6();
	bh_away_end(p, ifindex, outward);
	if (!BH_REASON_PASSES(others))
		return others;
	if (outward)
		return reason;
	p->flags |= BH_PACKET_SENDER_ASKED;
	p->peer = slot;
	return family == 4 ? bh_flow_slow4() : bh_flow_slow6();
}

__noinline int bh_flow_both4(__u32 reason)
{
	return bh_flow_both(reason, 4);
}

__noinline int bh_flow_both6(__u32 reason)
{
	return bh_flow_both(reason, 6);
}

/*
 * Nothing about the flow will change but its counters, and how a connection ends. One way only is a
 * flow, too: who sends more of what nobody has answered changes nothing.
 */
static __always_inline bool bh_flow_settled(const struct bh_packet *p, const struct bh_flow *flow)
{
	if (bh_is_tcp(p))
		return flow->state >= BH_FLOW_ESTABLISHED &&
		       !(p->tcp_flags & (BH_TCP_SYN | BH_TCP_RST));
	return flow->state == BH_FLOW_REPLIED ||
	       (flow->state == BH_FLOW_NEW && flow->opener == p->src_side);
}

/* Of a connection that is settled. */
static __always_inline bool bh_flow_ends(const struct bh_packet *p, const struct bh_flow *flow)
{
	return bh_is_tcp(p) && (flow->state != BH_FLOW_ESTABLISHED || p->tcp_flags & BH_TCP_FIN);
}

/*
 * The packet in hand, which has a flow key: the quick way of a packet of a known flow. Returns the
 * reason.
 */
static __always_inline int bh_flow_verdict(struct bh_work *work, const int family)
{
	const struct bh_config *config = bh_config_get();
	__u64 now = bpf_jiffies64();
	struct bh_packet *p = &work->packet;
	const struct bh_leg *leg, *other;
	struct bh_flow *flow;
	bool both = false;
	int reason;

	if (!config)
		return BH_REASON_INTERNAL;
	bh_flow_key_fill(p, &work->key, family);
	flow = bh_flow_lookup(config, work, family);
	if (bh_unlikely(!flow || p->flags & BH_PACKET_STATELESS || !bh_flow_settled(p, flow) ||
			bh_flow_expired(config, flow, now)))
		goto slow;
	leg = &flow->leg[bh_pod_side(p)];
	if (bh_unlikely(!bh_leg_in_force(p, leg)))
		goto slow;
	if (p->hook == BH_HOOK_UPLINK)
		return leg->reason;
	other = &flow->leg[bh_pod_side(p) ^ 1];
	/* One branch for all that is about services. */
	if (bh_unlikely(leg->flags | other->flags | p->tag)) {
		both = (other->flags & BH_LEG_AWAY || p->tag) && !p->away;
		if (both && !bh_away_in_force(p, other))
			goto slow;
		if (both)
			bh_edge_count(other->edge, p, !bh_packet_from_pod(p), now, 0, BH_MARK_NONE);
		bh_flow_mark(p, leg);
		bh_flow_watch_late(p, flow);
	}
	bh_edge_count(leg->edge, p, bh_packet_from_pod(p), now, 0, BH_MARK_NONE);
	reason = leg->reason;
	if (bh_flow_account(p, flow, now, both)) {
		bh_flow_watch(p, flow);
		if (bh_unlikely(bh_flow_ends(p, flow)))
			bh_flow_wind_up(p, flow);
	}
	bh_flow_vouch(work, flow, other);
	if (bh_unlikely(bh_flow_over(p, flow))) {
		if (family == 4)
			bh_flow_leave4();
		else
			bh_flow_leave6();
	}
	return reason;
slow:
	reason = family == 4 ? bh_flow_slow4() : bh_flow_slow6();
	if (bh_unlikely(p->other))
		reason = family == 4 ? bh_flow_both4(reason) : bh_flow_both6(reason);
	return reason;
}

/* Unreachable: host, protocol, port, or forbidden; not a packet that is too big. */
static __always_inline bool bh_icmp_refuses(const struct bh_packet *p)
{
	return p->family == 4 ? p->tcp_flags == 3 && p->code != 4 : p->tcp_flags == 1;
}

/*
 * An ICMP error: is there a flow it can be about, and is the pod here one of its ends? *ret_refused
 * is the edge whose flow it refuses, where nothing had answered before, else BH_EDGE_OVERFLOW.
 */
static __always_inline bool bh_flow_error_known(
	const struct bh_packet *p, __u32 *ret_refused, const int family)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();
	const struct bh_leg *leg, *other;
	struct bh_flow *flow;
	__u32 side;

	if (!config || !work)
		return false;
	/* The packet it is about went from whom the error goes to, to the one claimed. */
	if (family == 4)
		side = bh_flow_key4_fill(
			&work->key.v4, p->dst, p->claim, p->sport, p->dport, p->protocol);
	else
		side = bh_flow_key6_fill(
			&work->key.v6, p->dst, p->claim, p->sport, p->dport, p->protocol);
	flow = bh_flow_seek(work, family);
	if (!flow || bh_flow_expired(config, flow, bpf_jiffies64()))
		return false;
	if (bh_packet_from_pod(p)) {
		if (!bh_equal16(p->claim, p->src))
			return false;
		side ^= 1;
	}
	leg = &flow->leg[side & 1];
	other = &flow->leg[(side & 1) ^ 1];
	/* It goes to whom the packet came from: that one has opened, and waits. */
	if (bh_icmp_refuses(p) && flow->state == BH_FLOW_NEW &&
		!(flow->flags & BH_FLOW_MIDSTREAM) &&
		flow->opener == (bh_packet_from_pod(p) ? side ^ 1 : side))
		*ret_refused = leg->edge;
	return leg->epoch && !bh_leg_of_another(p, leg) && BH_REASON_PASSES(leg->reason) &&
	       (!(other->flags & BH_LEG_AWAY) || BH_REASON_PASSES(other->reason));
}

#endif
