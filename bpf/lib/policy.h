/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_POLICY_H
#define BULKHEAD_BPF_POLICY_H

/*
 * What a program says to (direction, class, protocol, port). One hash lookup; a second for
 * classes that no rule singles out; a third, a trie, for lists of ports too long to be inline.
 */

#include "lib/maps.h"
#include "lib/packet.h"

struct bh_question {
	__u32 program;
	__u32 class_dir; /* as in struct bh_policy_key */
	__u16 port;      /* host order */
	__u8 protocol;
	bool ports; /* the protocol has ports and they are known */
};

/* Reason and rule in one scalar: what a global function can return. */
static __always_inline __u64 bh_answer(__u32 reason, __u32 rule)
{
	return (__u64)reason << 32 | rule;
}

static __always_inline __u32 bh_answer_reason(__u64 answer)
{
	return answer >> 32 & 0xff;
}

/* A range without a rule says what becomes of a packet that no rule decides. */
static __always_inline __u64 bh_answer_by(__u32 rule, __u32 flags)
{
	if (flags & BH_RULE_DENY)
		return bh_answer(rule ? BH_REASON_POLICY_DENY : BH_REASON_ISOLATED, rule);
	if (flags & BH_RULE_DEFER)
		return bh_answer(BH_REASON_SERVICE, rule);
	return bh_answer(rule ? BH_REASON_POLICY : BH_REASON_NOT_ISOLATED, rule);
}

/* 0: no range has the port. */
static __always_inline __u64 bh_policy_spilled(const struct bh_question *q)
{
	struct bh_spill_key key = {
		.bits = q->ports ? BH_SPILL_BITS_FULL : BH_SPILL_BITS_BASE,
		.program = bpf_htonl(q->program),
		.class_dir = bpf_htonl(q->class_dir),
		.protocol = q->protocol,
		.port = {q->port >> 8, q->port & 0xff},
	};
	const struct bh_spill *found = bpf_map_lookup_elem(&bh_spills, &key);

	return found ? bh_answer_by(found->rule, found->flags) : 0;
}

static __always_inline bool bh_rule_matches(const struct bh_rule *rule, const struct bh_question *q)
{
	if (rule->protocol != q->protocol)
		return false;
	if (q->ports)
		return rule->port_lo <= q->port && q->port <= rule->port_hi;
	return rule->port_lo == 0 && rule->port_hi == 65535;
}

static __always_inline const struct bh_policy *bh_policy_entry(struct bh_question *q)
{
	struct bh_policy_key key = {.program = q->program, .class_dir = q->class_dir};
	const struct bh_policy *policy = bpf_map_lookup_elem(&bh_policies, &key);

	if (policy)
		return policy;
	key.class_dir = BH_CLASS_ANY | (q->class_dir & BH_POLICY_EGRESS);
	q->class_dir = key.class_dir;
	return bpf_map_lookup_elem(&bh_policies, &key);
}

/* `what`: protocol << 16 | destination port, and BH_ASK_PORTS where that is one. Returns
 * bh_answer(). */
#define BH_ASK_PORTS (1u << 24)

__noinline __u64 bh_policy_ask(__u32 program, __u32 class_dir, __u32 what)
{
	struct bh_question q = {
		.program = program,
		.class_dir = class_dir,
		.port = what & 0xffff,
		.protocol = what >> 16 & 0xff,
		.ports = what & BH_ASK_PORTS,
	};
	const struct bh_rule *any = NULL;
	const struct bh_policy *policy;
	__u64 answer;

	if (program == BH_PROGRAM_OPEN)
		return bh_answer(BH_REASON_OPEN, BH_RULE_NONE);
	if (!(program & (class_dir & BH_POLICY_EGRESS ? BH_PROGRAM_EGRESS_ISOLATED
						      : BH_PROGRAM_INGRESS_ISOLATED)))
		return bh_answer(BH_REASON_NOT_ISOLATED, BH_RULE_NONE);
	policy = bh_policy_entry(&q);
	if (!policy)
		return bh_answer(BH_REASON_ISOLATED, BH_RULE_NONE);
	if (policy->flags & BH_POLICY_SPILLED) {
		answer = bh_policy_spilled(&q);
		if (answer)
			return answer;
	}
#pragma unroll
	for (int i = 0; i < BH_RULES_INLINE; i++) {
		const struct bh_rule *rule = &policy->rules[i];

		if (i >= policy->n_rules)
			break;
		if (!rule->protocol)
			any = any ? any : rule;
		else if (bh_rule_matches(rule, &q))
			return bh_answer_by(rule->rule, rule->flags);
	}
	if (!any || (!q.ports && !(any->flags & BH_RULE_DENY) &&
			    policy->flags & bh_policy_denies(q.protocol)))
		return bh_answer(BH_REASON_ISOLATED, BH_RULE_NONE);
	return bh_answer_by(any->rule, any->flags);
}

#endif
