/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_JUDGE_H
#define BULKHEAD_BPF_JUDGE_H

/*
 * The decision about a packet whose flow has none in force: who is the pod, is it telling the
 * truth, who is the peer, and what do the active and the pending program say.
 */

#include "lib/endpoint.h"
#include "lib/identity.h"
#include "lib/maps.h"
#include "lib/packet.h"
#include "lib/policy.h"
#include "lib/recall.h"
#include "lib/work.h"

/*
 * What is not policy's business: NONE leaves it to the policy, a pass or a drop settles it
 * wherever the pod is enforced.
 */
static __always_inline int bh_built_in_from_pod(
	const struct bh_packet *p, const struct bh_endpoint *endpoint)
{
	if (!bh_endpoint_mac(endpoint, p->smac))
		return BH_REASON_SPOOFED_MAC;
	switch (p->kind) {
	case BH_KIND_ARP:
		if (bh_endpoint_claim(endpoint, p))
			return BH_REASON_NEIGHBOUR;
		return bh_endpoint_nameless(endpoint, p) ? BH_REASON_NO_ENDPOINT
							 : BH_REASON_SPOOFED_ARP;
	case BH_KIND_NEIGHBOUR:
		if (bh_endpoint_claim(endpoint, p))
			return BH_REASON_NEIGHBOUR;
		return bh_endpoint_nameless(endpoint, p) ? BH_REASON_NO_ENDPOINT
							 : BH_REASON_SPOOFED_ND;
	case BH_KIND_ROUTER:
		return BH_REASON_ROUTER_ADVERT;
	case BH_KIND_LISTENER:
		if (p->tcp_flags == 130)
			return BH_REASON_ICMP_TYPE;
		return bh_unspecified(p->src) || bh_endpoint_on_link(endpoint, p, p->src)
			       ? BH_REASON_MULTICAST_LISTENER
			       : BH_REASON_SPOOFED_IP;
	case BH_KIND_DHCP_CLIENT:
		if (p->flags & BH_PACKET_CLAIM_MAC && !bh_endpoint_mac(endpoint, p->claim_mac))
			return BH_REASON_ROGUE_DHCP;
		return bh_unspecified(p->src) || bh_endpoint_on_link(endpoint, p, p->src)
			       ? BH_REASON_DHCP
			       : BH_REASON_SPOOFED_IP;
	case BH_KIND_DHCP_SERVER:
		return BH_REASON_ROGUE_DHCP;
	}
	if (bh_endpoint_owns(endpoint, p->family, p->src))
		return BH_REASON_NONE;
	return bh_endpoint_nameless(endpoint, p) ? BH_REASON_NO_ENDPOINT : BH_REASON_SPOOFED_IP;
}

static __always_inline int bh_built_in_to_pod(const struct bh_packet *p, __u32 ask)
{
	const bool host = p->flags & BH_PACKET_FROM_HOST;

	switch (p->kind) {
	case BH_KIND_ARP:
	case BH_KIND_NEIGHBOUR:
		return BH_REASON_NEIGHBOUR;
	case BH_KIND_ROUTER:
		return p->tcp_flags == 134 || host ? BH_REASON_NEIGHBOUR : BH_REASON_ICMP_TYPE;
	case BH_KIND_LISTENER:
		return BH_REASON_MULTICAST_LISTENER;
	case BH_KIND_DHCP_SERVER:
		return BH_REASON_DHCP;
	case BH_KIND_ICMP_ERROR:
		return host ? BH_REASON_NODE : BH_REASON_NONE;
	}
	/* The node's answer in a flow the pod opened is still the pod's egress. */
	return host && ask != BH_ASK_DESTINATION ? BH_REASON_NODE : BH_REASON_NONE;
}

/* The opener the flow is recorded with; a guess by the lower port where both are possible. */
static __always_inline bool bh_judge_source_opened(
	const struct bh_packet *p, __u32 ask, __u32 openers)
{
	if (ask != (BH_ASK_SOURCE | BH_ASK_DESTINATION))
		return ask != BH_ASK_DESTINATION;
	if (openers == BH_ASK_SOURCE || openers == BH_ASK_DESTINATION)
		return openers == BH_ASK_SOURCE;
	return bpf_ntohs(p->dport) <= bpf_ntohs(p->sport);
}

/* What a program says when the given end is the one that opened the flow. */
static __always_inline __u64 bh_judge_opener(
	const struct bh_packet *p, __u32 program, __u32 class, bool service, bool source)
{
	const bool egress = bh_packet_from_pod(p) == source;
	__u32 what = bpf_ntohs(source ? p->dport : p->sport) | (__u32)p->protocol << 16;
	__u64 answer;

	if (p->flags & BH_PACKET_PORTS)
		what |= BH_ASK_PORTS;
	answer = bh_policy_ask(program, class | (egress ? BH_POLICY_EGRESS : 0), what);
	/* Put off until the address is rewritten: only where it will be, and only once. */
	if (bh_answer_reason(answer) == BH_REASON_SERVICE && (p->away || !egress || !service))
		answer = bh_answer(BH_REASON_ISOLATED, BH_RULE_NONE);
	return answer;
}

/*
 * One program's verdict, as bh_answer(), with the BH_ASK_* of the openers with whom it passes
 * above the reason.
 */
#define BH_ANSWER_OPENERS 48

__noinline __u64 bh_judge_program(__u32 program, __u32 ask)
{
	struct bh_work *work = bh_work_get();
	__u64 answer = bh_answer(BH_REASON_ISOLATED, BH_RULE_NONE), other;
	const struct bh_packet *p;
	__u64 openers = 0;

	if (!work)
		return bh_answer(BH_REASON_INTERNAL, BH_RULE_NONE);
	p = &work->packet;
	if (ask & BH_ASK_SOURCE) {
		answer = bh_judge_opener(
			p, program, work->judgement.class, work->judgement.service, true);
		openers = BH_REASON_PASSES(bh_answer_reason(answer)) ? BH_ASK_SOURCE : 0;
	}
	if (ask & BH_ASK_DESTINATION) {
		other = bh_judge_opener(
			p, program, work->judgement.class, work->judgement.service, false);
		if (BH_REASON_PASSES(bh_answer_reason(other)))
			openers |= BH_ASK_DESTINATION;
		/* The answer is that of the opener the flow will be recorded with. */
		if (!bh_judge_source_opened(p, ask, openers))
			answer = other;
	}
	if (bh_answer_reason(answer) == BH_REASON_ISOLATED && p->flags & BH_PACKET_LATER_FRAGMENT &&
		p->flags & BH_PACKET_STATELESS)
		answer = bh_answer(BH_REASON_FRAGMENT_NO_FIRST, BH_RULE_NONE);
	return answer | openers << BH_ANSWER_OPENERS;
}

/* The other end's address: a pod of this node is known by its own, whatever the packet wears. */
static __always_inline const void *bh_judge_peer_address(const struct bh_packet *p)
{
	const struct bh_endpoint *endpoint = p->peer ? bh_endpoint_at(p->peer) : NULL;

	if (endpoint && p->family == 4 && endpoint->n_addr4)
		return &endpoint->addr4[0];
	if (endpoint && p->family == 6 && endpoint->n_addr6)
		return endpoint->addr6[0];
	return bh_packet_from_pod(p) ? p->dst : p->src;
}

static __always_inline void bh_judge_peer(
	const struct bh_config *config, const struct bh_packet *p, struct bh_judgement *j)
{
	const struct bh_identity *peer = NULL;

	if (p->family && p->kind == BH_KIND_FLOW)
		peer = bh_identity_find(config, p->family, bh_judge_peer_address(p));
	if (peer) {
		j->class = peer->class;
		j->remote = peer->workload;
		j->peer_local = peer->slot != 0;
		j->service = peer->flags & BH_IDENTITY_SERVICE;
	}
	if (p->flags & BH_PACKET_FROM_HOST)
		j->remote = BH_WORKLOAD_NODE;
}

/* What is not policy's business for the pod in question; NONE leaves it to the policy. */
static __always_inline int bh_judge_built_in(const struct bh_packet *p,
	const struct bh_endpoint *endpoint, const struct bh_judgement *j, __u32 ask)
{
	int settled = BH_REASON_NONE;

	/* Elsewhere its own hook has looked at what it says of itself. */
	if (!p->away)
		settled = bh_packet_from_pod(p) ? bh_built_in_from_pod(p, endpoint)
						: bh_built_in_to_pod(p, ask);
	if (!settled && p->peer && p->peer == j->slot)
		return BH_REASON_SELF;
	return settled;
}

/* What the leg of this judgement has to be remembered for. */
static __always_inline __u8 bh_judge_leg_flags(
	const struct bh_packet *p, const struct bh_endpoint *endpoint, const struct bh_judgement *j)
{
	const bool out = bh_packet_from_pod(p);

	if (!p->away)
		return (out && j->service ? BH_LEG_SERVICE : 0) | (p->blind ? BH_LEG_BLIND : 0);
	/* Who reaches itself is believed for the mark, whatever the address. */
	return bh_endpoint_owns(endpoint, p->family, out ? p->src : p->dst) && p->peer != j->slot
		       ? BH_LEG_AWAY
		       : BH_LEG_AWAY | BH_LEG_MASKED;
}

/*
 * Judges the packet in hand, supposed to be of a flow opened by `ask`, into the judgement in hand.
 * `broken` is why it could not be parsed or belongs to nothing (NONE: all is well). Returns the
 * reason.
 */
__noinline int bh_judge(__u32 ask, __u32 broken)
{
	const struct bh_config *config = bh_config_get();
	struct bh_work *work = bh_work_get();
	const struct bh_endpoint *endpoint;
	struct bh_packet *p;
	struct bh_judgement *j;
	bool may;
	__u32 active_program, pending_program, settled, generation;
	__u64 programs, active, pending;

	if (!config || !work)
		return BH_REASON_INTERNAL;
	p = &work->packet;
	j = &work->judgement;
	generation = BH_READ_ONCE(config->generation);
	may = !broken && bh_recall_may(p, ask);
	if (may && bh_recall(ask, generation))
		return j->reason;
	memset(j, 0, sizeof(*j));
	j->slot = p->away ? p->away : bh_endpoint_slot(p);
	endpoint = j->slot ? bh_endpoint_at(j->slot) : NULL;
	/* Before anything it stands for: a verdict may be newer than its epoch, never older. */
	j->epoch = endpoint ? BH_READ_ONCE(endpoint->epoch) : 0;
	if (!endpoint || !j->epoch) {
		j->slot = 0;
		j->reason = config->flags & BH_CONFIG_UNKNOWN_OPEN ? BH_REASON_OPEN
								   : BH_REASON_NO_ENDPOINT;
		j->pending = j->reason;
		return j->reason;
	}
	programs = BH_READ_ONCE(endpoint->programs);
	active_program = (__u32)programs;
	pending_program = programs >> 32;
	j->local = endpoint->workload;
	bh_judge_peer(config, p, j);

	settled = broken;
	if (!broken || broken == BH_REASON_ICMP_NO_FLOW) {
		settled = bh_judge_built_in(p, endpoint, j, ask);
		if (!settled)
			settled = broken;
		if (!settled && p->kind == BH_KIND_ICMP_ERROR)
			settled = BH_REASON_ICMP_ERROR;
	}
	if (settled) {
		j->openers = ask;
		j->refused = !BH_REASON_PASSES(settled);
		j->reason =
			j->refused && active_program == BH_PROGRAM_OPEN ? BH_REASON_OPEN : settled;
		j->pending =
			j->refused && pending_program == BH_PROGRAM_OPEN ? BH_REASON_OPEN : settled;
	} else {
		active = bh_judge_program(active_program, ask);
		pending = pending_program == active_program
				  ? active
				  : bh_judge_program(pending_program, ask);
		j->openers = active >> BH_ANSWER_OPENERS & (BH_ASK_SOURCE | BH_ASK_DESTINATION);
		j->reason = bh_answer_reason(active);
		j->rule = active;
		j->pending = bh_answer_reason(pending);
		j->pending_rule = pending;
	}
	/* What a bridge floods past other pods, too. */
	if (!bh_packet_from_pod(p) && !p->away && p->family &&
		!bh_endpoint_on_link(endpoint, p, p->dst))
		j->refused = 1;
	j->leg_flags = bh_judge_leg_flags(p, endpoint, j);
	if (j->leg_flags & BH_LEG_SERVICE)
		p->tag = j->slot;
	j->direction = bh_judge_source_opened(p, ask, j->openers) == bh_packet_from_pod(p)
			       ? BH_EGRESS
			       : BH_INGRESS;
	/* A forged packet says nothing about an honest one. */
	j->recall = may && !j->refused;
	return j->reason;
}

#endif
