/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_FRAGMENT_H
#define BULKHEAD_BPF_FRAGMENT_H

/*
 * Fragments after the first have no ports. The first one, once it was passed, leaves them here,
 * for its own interface and hook only, so nobody can vouch for another's datagram. A later fragment
 * that comes before its first is judged by the rules that need no port, or dropped.
 */

#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/work.h"

#define BH_FRAGMENT_LIFETIME 30 /* seconds, as Linux keeps an incomplete datagram */

static __always_inline void bh_fragment_key_of(
	const struct bh_packet *p, struct bh_fragment_key *key)
{
	memcpy(key->src, p->src, 16);
	memcpy(key->dst, p->dst, 16);
	key->id = p->fragment_id;
	key->ifindex = p->ifindex;
	key->protocol = p->fragment_protocol;
	key->hook = p->hook;
	key->family = p->family;
	key->pad = 0;
}

/* Gives a later fragment its ports, or marks it as one whose ports are unknown. */
__noinline int bh_fragment_find(void)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();
	struct bh_fragment_key key;
	struct bh_fragment *first;
	struct bh_packet *p;

	if (!work)
		return 0;
	p = &work->packet;
	bh_fragment_key_of(p, &key);
	first = bpf_map_lookup_elem(&bh_fragments, &key);
	if (!first || !config ||
		(__u32)bpf_jiffies64() - first->seen > config->hz * BH_FRAGMENT_LIFETIME) {
		p->flags |= BH_PACKET_STATELESS;
		return 0;
	}
	p->sport = first->sport;
	p->dport = first->dport;
	p->protocol = first->protocol;
	if (p->protocol == BH_PROTO_TCP || p->protocol == BH_PROTO_UDP ||
		p->protocol == BH_PROTO_SCTP)
		p->flags |= BH_PACKET_PORTS;
	/* Neither opens nor ends anything. */
	p->tcp_flags = p->protocol == BH_PROTO_TCP ? BH_TCP_ACK : 0;
	return 0;
}

/* Remembers a first fragment that passes. */
__noinline int bh_fragment_remember(void)
{
	struct bh_work *work = bh_work_get();
	struct bh_fragment first = {.seen = bpf_jiffies64()};
	struct bh_fragment_key key;

	if (!work)
		return 0;
	first.sport = work->packet.sport;
	first.dport = work->packet.dport;
	first.protocol = work->packet.protocol;
	bh_fragment_key_of(&work->packet, &key);
	return bpf_map_update_elem(&bh_fragments, &key, &first, BPF_ANY);
}

#endif
