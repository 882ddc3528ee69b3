/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_EVENT_H
#define BULKHEAD_BPF_EVENT_H

/*
 * The event stream: what began, ended, was denied, would be denied. It may lose records, and counts
 * every one it loses; no number of the graph comes from it. Nobody is woken (a wake-up costs as
 * much as a hundred packets): the dataplane looks in often enough.
 */

#include "lib/judge.h"
#include "lib/maps.h"
#include "lib/packet.h"

static __always_inline __u32 bh_mix(__u32 hash, __u32 word)
{
	hash ^= word;
	hash *= 0x9e3779b1;
	return hash ^ hash >> 15;
}

/* The tuple without the opener's port: one hammering client is one tuple. */
static __always_inline __u32 bh_event_hash(const struct bh_packet *p, __u32 reason)
{
	const __u32 *src = (const __u32 *)p->src, *dst = (const __u32 *)p->dst;
	__u32 hash = bh_mix(p->ifindex, src[0]);

	hash = bh_mix(hash, dst[0]);
	hash = bh_mix(hash, (__u32)p->dport << 16 | reason << 8 | p->protocol);
	if (p->family == 6) {
#pragma unroll
		for (int i = 1; i < 4; i++)
			hash = bh_mix(bh_mix(hash, src[i]), dst[i]);
	}
	return bh_mix(hash, p->hook);
}

/*
 * Token bucket of denials per tuple. Returns false where the event is to be kept quiet; else
 * *ret_suppressed is how many were, since the last. A bucket whose tuple changed begins full:
 * two tuples that share one are reported too often, never too seldom.
 */
static __always_inline bool bh_event_allowed(
	const struct bh_packet *p, __u32 type, __u32 reason, __u32 *ret_suppressed)
{
	const struct bh_config *config = bh_config_get();
	__u32 hash = bh_event_hash(p, reason), index = hash % BH_BUCKETS;
	struct bh_bucket *bucket = bpf_map_lookup_elem(&bh_buckets, &index);
	__u32 now = bpf_jiffies64(), elapsed;

	*ret_suppressed = 0;
	if (!config || !bucket || !config->hz)
		return true;
	if (bucket->tag != hash) {
		bucket->tag = hash;
		bucket->tokens = config->deny_burst;
		bucket->stamp = now;
		bucket->suppressed = 0;
	}
	elapsed = now - bucket->stamp;
	if (elapsed >= config->hz) {
		__u64 more = (__u64)(elapsed / config->hz) * config->deny_rate + bucket->tokens;

		bucket->tokens = more < config->deny_burst ? more : config->deny_burst;
		bucket->stamp = now;
	}
	if (!bucket->tokens) {
		bucket->suppressed++;
		bh_count(BH_COUNTER_EVENTS_SUPPRESSED + type, 1);
		return false;
	}
	bucket->tokens--;
	*ret_suppressed = bucket->suppressed;
	bucket->suppressed = 0;
	return true;
}

/* A record with everything that the packet says; NULL (and counted) when the ring is full. */
static __always_inline struct bh_event *bh_event_begin(
	struct bh_packet *p, __u32 type, bool source_first)
{
	struct bh_event *e = bpf_ringbuf_reserve(&bh_events, sizeof(*e), 0);

	if (!e) {
		bh_count(BH_COUNTER_EVENTS_LOST + type, 1);
		return NULL;
	}
	bh_count(BH_COUNTER_EVENTS + type, 1);
	memset(e, 0, sizeof(*e));
	e->time = bh_packet_clock(p);
	e->type = type;
	e->hook = p->hook;
	e->family = p->family;
	e->protocol = p->protocol;
	e->tcp_flags = p->tcp_flags;
	e->ifindex = p->ifindex;
	e->ethertype = p->ethertype;
	if (source_first) {
		memcpy(e->src, p->src, 16);
		memcpy(e->dst, p->dst, 16);
		e->sport = p->sport;
		e->dport = p->dport;
	} else {
		memcpy(e->src, p->dst, 16);
		memcpy(e->dst, p->src, 16);
		e->sport = p->dport;
		e->dport = p->sport;
	}
	return e;
}

/* New, denied and would-deny: everything that comes of a judgement. */
__noinline int bh_event_judged(__u32 type)
{
	struct bh_work *work = bh_work_get();
	const struct bh_judgement *j;
	struct bh_packet *p;
	__u32 suppressed = 0;
	struct bh_event *e;
	bool source_first;

	if (!work || type >= BH_EVENT_TYPES)
		return 0;
	p = &work->packet;
	j = &work->judgement;
	source_first = (j->direction == BH_EGRESS) == bh_packet_from_pod(p);

	/* A pod's announcement of itself, before anybody knows it: counted, and no conversation. */
	if (type == BH_EVENT_DENIED && j->reason == BH_REASON_NO_ENDPOINT &&
		j->local == BH_WORKLOAD_HELD && p->kind != BH_KIND_FLOW)
		return 0;
	if (type != BH_EVENT_NEW &&
		!bh_event_allowed(
			p, type, type == BH_EVENT_DENIED ? j->reason : j->pending, &suppressed))
		return 0;
	e = bh_event_begin(p, type, source_first);
	if (!e)
		return 0;
	e->reason = j->reason;
	e->pending = j->pending;
	e->direction = j->direction;
	e->slot = j->slot;
	e->local = j->local;
	e->remote = j->remote;
	e->class = j->class;
	e->rule = j->rule;
	e->pending_rule = j->pending_rule;
	e->suppressed = suppressed;
	if (source_first) {
		e->packets[0] = p->packets;
		e->octets[0] = p->octets;
	} else {
		e->packets[1] = p->packets;
		e->octets[1] = p->octets;
	}
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

/* The address that an end of the flow in hand is known by: a pod of this node, by its own. */
static __always_inline const void *bh_event_end(
	const struct bh_packet *p, const struct bh_leg *leg, __u32 side)
{
	const struct bh_endpoint *endpoint = leg->epoch ? bh_endpoint_at(leg->slot) : NULL;

	if (endpoint && p->family == 4 && endpoint->n_addr4)
		return &endpoint->addr4[0];
	if (endpoint && p->family == 6 && endpoint->n_addr6)
		return endpoint->addr6[0];
	return p->src_side == side ? p->src : p->dst;
}

/*
 * The end of the TCP connection in hand, with what it carried up to and including this packet. As
 * its beginning, it is told from the opener's end, if that is here.
 */
__noinline int bh_event_closed(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();
	const struct bh_endpoint *endpoint;
	const struct bh_identity *peer;
	struct bh_packet *p;
	const struct bh_flow *flow;
	const struct bh_leg *leg;
	__u32 opener, side;
	struct bh_event *e;

	if (!work || !config)
		return 0;
	p = &work->packet;
	flow = &work->flow;
	opener = flow->opener & 1;
	side = flow->leg[opener].epoch ? opener : opener ^ 1;
	leg = &flow->leg[side & 1];
	endpoint = bh_endpoint_at(leg->slot);
	peer = bh_identity_find(
		config, p->family, bh_event_end(p, &flow->leg[(side ^ 1) & 1], side ^ 1));
	e = bh_event_begin(p, BH_EVENT_CLOSED, p->src_side == opener);
	if (!e)
		return 0;
	e->reason = leg->reason;
	e->pending = flow->pending[side & 1];
	e->direction = side == opener ? BH_EGRESS : BH_INGRESS;
	e->ifindex = endpoint ? endpoint->ifindex : p->ifindex;
	e->slot = leg->slot;
	e->local = endpoint ? endpoint->workload : BH_WORKLOAD_WORLD;
	e->remote = peer ? peer->workload : BH_WORKLOAD_WORLD;
	if (leg->reason == BH_REASON_NODE)
		e->remote = BH_WORKLOAD_NODE;
	e->class = peer ? peer->class : BH_CLASS_NONE;
	e->rule = flow->rule[side & 1];
	e->pending_rule = flow->pending_rule[side & 1];
	e->flags = flow->flags & ~BH_FLOW_WATCHED;
	e->talk = flow->talk;
	e->tls = flow->tls;
	e->trip_us = bh_flow_trip_us(flow);
	e->packets[0] = bh_flow_packets(flow, opener);
	e->packets[1] = bh_flow_packets(flow, opener ^ 1);
	e->octets[0] = flow->octets[opener];
	e->octets[1] = flow->octets[opener ^ 1];
	e->started = flow->started;
	bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
	return 0;
}

#endif
