/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/*
 * The programs of a pod's veth between two others of the packet's life: BPF_PROG_TEST_RUN neither
 * sets nor shows skb->tc_index, but it does both with skb->mark.
 */

#include "bulkhead_tc.bpf.c"

SEC("tc")
int bh_marked_from_pod(struct __sk_buff *skb)
{
	int action;

	skb->tc_index = skb->mark;
	action = bh_tc(skb, BH_HOOK_FROM_POD);
	skb->mark = skb->tc_index;
	return action;
}

SEC("tc")
int bh_marked_to_pod(struct __sk_buff *skb)
{
	int action;

	skb->tc_index = skb->mark;
	action = bh_tc(skb, BH_HOOK_TO_POD);
	skb->mark = skb->tc_index;
	return action;
}
