/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_RECALL_H
#define BULKHEAD_BPF_RECALL_H

/*
 * What was judged a moment ago: who opens connection after connection to the same port of the same
 * peer, or is refused there again and again, is answered without asking interfaces, addresses,
 * policy and edges anew. A judgement depends on nothing of a packet but what is compared here, and
 * on nothing else but what moves its endpoint's epoch or bh_config.generation; it is as good for
 * the next flow as it is for the packets of the first.
 *
 * Per CPU, one place for each hash. What is put there was judged after `generation` was read, so
 * nothing is kept that a change was on its way past.
 */

#include "lib/endpoint.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/work.h"

#define BH_RECALL_OUTWARD (1u << 0)
#define BH_RECALL_BLIND (1u << 1)
#define BH_RECALL_HOST (1u << 2)
#define BH_RECALL_PORTS (1u << 3)

BH_MAP_DEF(bh_recalls, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct bh_recall, BH_RECALL_PLACES, 0);

/* `ask`: whom the packet in hand is supposed to be opened by; with both, its ports decide. */
static __always_inline bool bh_recall_may(const struct bh_packet *p, __u32 ask)
{
	return p->kind == BH_KIND_FLOW && p->family && !p->away && !p->peer &&
	       p->hook <= BH_HOOK_TO_POD &&
	       !(p->flags & (BH_PACKET_FIRST_FRAGMENT | BH_PACKET_LATER_FRAGMENT |
				    BH_PACKET_STATELESS)) &&
	       (ask == BH_ASK_SOURCE || ask == BH_ASK_DESTINATION);
}

static __always_inline void bh_recall_key(
	const struct bh_packet *p, __u32 ask, __u32 generation, struct bh_recall_key *ret_key)
{
	const __u64 *src = (const __u64 *)p->src, *dst = (const __u64 *)p->dst;
	const __be16 port = ask == BH_ASK_SOURCE ? p->dport : p->sport;
	const __u32 how = (p->outward ? BH_RECALL_OUTWARD : 0) | (p->blind ? BH_RECALL_BLIND : 0) |
			  (p->flags & BH_PACKET_FROM_HOST ? BH_RECALL_HOST : 0) |
			  (p->flags & BH_PACKET_PORTS ? BH_RECALL_PORTS : 0);

	ret_key->src[0] = src[0];
	ret_key->src[1] = src[1];
	ret_key->dst[0] = dst[0];
	ret_key->dst[1] = dst[1];
	ret_key->port =
		p->ifindex | (__u64)port << 32 | (__u64)p->protocol << 48 | (__u64)p->family << 56;
	ret_key->ask = ask | how << 8 | (__u64)generation << 32;
}

static __always_inline __u32 bh_recall_place(const struct bh_recall_key *key)
{
	const __u64 *words = (const __u64 *)key;
	__u64 hash = (words[0] ^ words[1]) * 0x9e3779b97f4a7c15ull;

	hash = (hash ^ hash >> 32 ^ words[2] ^ words[3]) * 0xbf58476d1ce4e5b9ull;
	hash = (hash ^ hash >> 32 ^ words[4]) * 0x94d049bb133111ebull;
	return hash >> 32 & (BH_RECALL_PLACES - 1);
}

static __always_inline bool bh_recall_is(
	const struct bh_recall_key *there, const struct bh_recall_key *key)
{
	const __u64 *a = (const __u64 *)there, *b = (const __u64 *)key;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5];
}

/*
 * Has the packet in hand been judged before, as far as a judgement goes? Then that is in hand. Else
 * its key is, for bh_recall_keep(). `generation`: as it was before anything else was asked.
 */
__noinline int bh_recall(__u32 ask, __u32 generation)
{
	struct bh_work *work = bh_work_get();
	const struct bh_endpoint *endpoint;
	const struct bh_recall *recall;
	struct bh_packet *p;
	__u32 place;

	if (!work)
		return 0;
	p = &work->packet;
	bh_recall_key(p, ask, generation, &work->recall);
	place = bh_recall_place(&work->recall);
	recall = bpf_map_lookup_elem(&bh_recalls, &place);
	if (!recall || !bh_recall_is(&recall->key, &work->recall))
		return 0;
	endpoint = bh_endpoint_at(recall->judgement.slot);
	if (!endpoint || endpoint->ifindex != p->ifindex ||
		recall->judgement.epoch != BH_READ_ONCE(endpoint->epoch) ||
		(bh_packet_from_pod(p) && !bh_endpoint_mac(endpoint, p->smac)))
		return 0;
	memcpy(&work->judgement, &recall->judgement, sizeof(work->judgement));
	if (recall->judgement.leg_flags & BH_LEG_SERVICE)
		p->tag = recall->judgement.slot;
	return 1;
}

/* Keeps the judgement in hand, with the slot of its edge. */
__noinline int bh_recall_keep(__u32 edge)
{
	struct bh_work *work = bh_work_get();
	struct bh_recall *recall;
	__u32 place;

	if (!work)
		return 0;
	work->judgement.edge = edge;
	place = bh_recall_place(&work->recall);
	recall = bpf_map_lookup_elem(&bh_recalls, &place);
	if (!recall)
		return 0;
	memcpy(&recall->key, &work->recall, sizeof(recall->key));
	memcpy(&recall->judgement, &work->judgement, sizeof(recall->judgement));
	return 0;
}

/* The judgement in hand has become another than it was: it is nothing to keep. */
static __always_inline void bh_recall_not(struct bh_judgement *j)
{
	j->recall = 0;
	j->edge = BH_EDGE_OVERFLOW;
}

#endif
