/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */

/* The programs of devices that leave the node, as marked_tc.bpf.c has those of a veth. */

#include "bulkhead_leaving.bpf.c"

#define MARKED(name_, call_)               \
	SEC("tc")                          \
	int name_(struct __sk_buff *skb)   \
	{                                  \
		int action;                \
                                           \
		skb->tc_index = skb->mark; \
		action = call_;            \
		skb->mark = skb->tc_index; \
		return action;             \
	}

MARKED(bh_marked_leaving, bh_leave(skb, false))
MARKED(bh_marked_arriving, bh_arrive(skb, false))
MARKED(bh_marked_leaving_l3, bh_leave(skb, true))
MARKED(bh_marked_arriving_l3, bh_arrive(skb, true))
