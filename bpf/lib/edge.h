/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_EDGE_H
#define BULKHEAD_BPF_EDGE_H

/*
 * Who talks to whom, counted exactly. A key is looked up when a flow is judged; the flow's leg
 * keeps the slot, and its packets pay one per-CPU increment. Slots come from a stack that the
 * dataplane fills; when none is left, slot 0 counts, and totals stay exact.
 */

#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/work.h"

struct bh_edge_rules {
	__u32 rule;
	__u32 pending_rule;
};

static __always_inline bool bh_edge_has_ports(const struct bh_edge_key *key)
{
	return key->port && (key->protocol == BH_PROTO_TCP || key->protocol == BH_PROTO_UDP ||
				    key->protocol == BH_PROTO_SCTP);
}

static __always_inline void bh_edge_rules_set(
	struct bh_edge_ref *ref, const struct bh_edge_rules *rules)
{
	if (ref->rule != rules->rule)
		ref->rule = rules->rule;
	if (ref->pending_rule != rules->pending_rule)
		ref->pending_rule = rules->pending_rule;
}

static __always_inline __u32 bh_edge_create(
	const struct bh_edge_key *key, const struct bh_edge_rules *rules)
{
	struct bh_edge_ref fresh = {.rule = rules->rule, .pending_rule = rules->pending_rule};
	struct bh_edge_ref *ref;
	__u32 slot;

	if (bpf_map_pop_elem(&bh_edge_free, &slot))
		return BH_EDGE_OVERFLOW;
	fresh.slot = slot;
	if (!bpf_map_update_elem(&bh_edge_index, key, &fresh, BPF_NOEXIST))
		return slot;
	/* Another CPU was first, or the index is full. */
	bpf_map_push_elem(&bh_edge_free, &slot, BPF_ANY);
	ref = bpf_map_lookup_elem(&bh_edge_index, key);
	return ref ? ref->slot : BH_EDGE_OVERFLOW;
}

/*
 * The pair's entry without a port, which counts how many ports have edges of their own.
 * Returns true while one more may.
 */
static __always_inline bool bh_edge_port_take(const struct bh_edge_key *pair)
{
	struct bh_edge_ref fresh = {.ports = 1};
	struct bh_edge_ref *ref = bpf_map_lookup_elem(&bh_edge_index, pair);

	if (!ref)
		return !bpf_map_update_elem(&bh_edge_index, pair, &fresh, BPF_NOEXIST);
	if (ref->ports >= BH_EDGE_PORTS_MAX)
		return false;
	__sync_fetch_and_add(&ref->ports, 1);
	return true;
}

/* The port got no edge after all. */
static __always_inline void bh_edge_port_give_back(const struct bh_edge_key *pair)
{
	struct bh_edge_ref *ref = bpf_map_lookup_elem(&bh_edge_index, pair);

	if (ref)
		__sync_fetch_and_add(&ref->ports, -1);
}

/* The pair's own slot, given when the first port beyond the bound needs it. */
static __always_inline __u32 bh_edge_pair_slot(
	const struct bh_edge_key *pair, const struct bh_edge_rules *rules)
{
	struct bh_edge_ref *ref = bpf_map_lookup_elem(&bh_edge_index, pair);
	struct bh_edge_ref with_slot;
	__u32 slot;

	if (!ref)
		return BH_EDGE_OVERFLOW;
	bh_edge_rules_set(ref, rules);
	if (ref->slot)
		return ref->slot;
	if (bpf_map_pop_elem(&bh_edge_free, &slot))
		return BH_EDGE_OVERFLOW;
	with_slot = *ref;
	with_slot.slot = slot;
	/* Two CPUs at once: the later one's slot stays, the dataplane finds the other on its
	 * rounds. */
	if (bpf_map_update_elem(&bh_edge_index, pair, &with_slot, BPF_EXIST))
		bpf_map_push_elem(&bh_edge_free, &slot, BPF_ANY);
	return slot;
}

/* The slot of the edge in hand, made if there is none yet. */
__noinline __u32 bh_edge_slot(__u32 rule, __u32 pending_rule)
{
	struct bh_edge_rules rules = {.rule = rule, .pending_rule = pending_rule};
	struct bh_work *work = bh_work_get();
	struct bh_edge_key pair, *key;
	struct bh_edge_ref *ref;
	__u32 slot;

	if (!work)
		return BH_EDGE_OVERFLOW;
	key = &work->edge;
	ref = bpf_map_lookup_elem(&bh_edge_index, key);
	if (ref && ref->slot) {
		bh_edge_rules_set(ref, &rules);
		return ref->slot;
	}
	if (bh_edge_has_ports(key)) {
		pair = *key;
		pair.port = 0;
		if (!bh_edge_port_take(&pair)) {
			slot = bh_edge_pair_slot(&pair, &rules);
		} else {
			slot = bh_edge_create(key, &rules);
			if (slot == BH_EDGE_OVERFLOW)
				bh_edge_port_give_back(&pair);
		}
	} else {
		/* A segment whose ports are unknown may find the pair's entry already there. */
		slot = ref ? bh_edge_pair_slot(key, &rules) : bh_edge_create(key, &rules);
	}
	if (slot == BH_EDGE_OVERFLOW)
		bh_count(BH_COUNTER_EDGE_OVERFLOW, 1);
	return slot;
}

/* What a packet is to its edge, beside octets. */
enum bh_mark {
	BH_MARK_NONE = 0,
	BH_MARK_RESET = 1,
	BH_MARK_REFUSAL = 2,
};

/* `outward`: the edge's pod has sent the packet. */
static __always_inline void bh_edge_count(
	__u32 slot, const struct bh_packet *p, bool outward, __u64 now, __u32 flows, __u32 mark)
{
	struct bh_edge *edge = bpf_map_lookup_elem(&bh_edges, &slot);

	if (!edge)
		return;
	if (outward) {
		edge->packets[0] += p->packets;
		edge->octets[0] += p->octets;
	} else {
		edge->packets[1] += p->packets;
		edge->octets[1] += p->octets;
	}
	edge->last = now;
	if (bh_unlikely(!edge->first))
		edge->first = now;
	if (bh_unlikely(flows))
		edge->flows += flows;
	if (bh_unlikely(mark == BH_MARK_RESET))
		edge->resets++;
	else if (bh_unlikely(mark == BH_MARK_REFUSAL))
		edge->refusals++;
}

/* A packet to the edge's pod, in a flow that is there: as bh_edge_count() does. */
static __always_inline void bh_edge_count_vouched(const struct bh_voucher *voucher, __u64 now)
{
	struct bh_edge *edge = bpf_map_lookup_elem(&bh_edges, &voucher->edge);

	if (!edge)
		return;
	edge->packets[1] += voucher->packets;
	edge->octets[1] += voucher->octets;
	edge->last = now;
}

/* A refusal that is no packet of the edge: an ICMP error. */
static __always_inline void bh_edge_refused(__u32 slot)
{
	struct bh_edge *edge = bpf_map_lookup_elem(&bh_edges, &slot);

	if (edge)
		edge->refusals++;
}

/* A handshake's round-trip. The overflow's edge is nobody's: nothing is said of it. */
static __always_inline void bh_edge_trip(__u32 slot, __u32 microseconds)
{
	const struct bh_config *config = bh_config_get();
	__u32 now = bpf_jiffies64();
	struct bh_edge *edge;

	edge = slot == BH_EDGE_OVERFLOW ? NULL : bpf_map_lookup_elem(&bh_edges, &slot);
	if (!edge || !config)
		return;
	if (!edge->trips || now - edge->trip_since >= BH_TRIP_SPAN * config->hz ||
		microseconds < edge->trip_min) {
		if (!edge->trips || now - edge->trip_since >= BH_TRIP_SPAN * config->hz)
			edge->trip_since = now;
		edge->trip_min = microseconds;
	}
	edge->trips++;
	edge->trip_sum += microseconds;
}

/* `talk`: as a leg has it; `tls`: as a flow has it. */
static __always_inline void bh_edge_talk(__u32 slot, __u32 talk, __u32 tls)
{
	struct bh_edge *edge;

	edge = slot == BH_EDGE_OVERFLOW ? NULL : bpf_map_lookup_elem(&bh_edges, &slot);
	if (!edge)
		return;
	edge->app = talk & BH_TALK_APP_MASK;
	edge->encrypted = talk >> BH_TALK_ENCRYPTED_SHIFT & 3;
	edge->tls = tls ? 0x0300 + tls - 1 : 0;
	edge->talked = bpf_jiffies64();
}

#endif
