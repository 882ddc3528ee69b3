/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_WORK_H
#define BULKHEAD_BPF_WORK_H

/*
 * The packet in hand and what is found out about it, in per-CPU memory: no two packets are in these
 * programs at once on one CPU. It is what lets the steps below be global functions, which the
 * verifier proves once each and not once per path that leads to them (inlined, they exceed its
 * million instructions), and on Linux 5.10 a global function takes nothing but scalars.
 */

#include "lib/maps.h"
#include "lib/packet.h"

struct bh_judgement {
	__u64 epoch;
	__u32 slot; /* 0: no endpoint, nothing below but the reasons */
	__u32 local;
	__u32 remote;
	__u32 class;
	__u32 rule;
	__u32 pending_rule;
	__u8 reason;
	__u8 pending;
	__u8 direction;  /* enum bh_direction, of the flow, seen from the pod */
	__u8 openers;    /* BH_ASK_*: with whom as opener the active program lets it pass */
	__u8 peer_local; /* the peer is a pod of this node */
	__u8 refused;    /* broken, forged or not for this pod: no flow may come of it, even
			    where it passes */
	__u8 service;    /* the peer's address is a service's */
	__u8 leg_flags;  /* BH_LEG_* */
	__u32 edge;      /* recalled: the slot of its edge; 0: not known */
	__u8 recall;     /* to be kept */
	__u8 reserved[3];
};

/* What a judgement depends on: lib/recall.h. Compared word by word. */
struct bh_recall_key {
	__u64 src[2];
	__u64 dst[2];
	__u64 port; /* of who is asked, with the interface, the protocol and the family */
	__u64 ask;  /* BH_ASK_*, 0: nothing is here; with BH_RECALL_* and the generation */
};
_Static_assert(sizeof(struct bh_recall_key) == 48, "six words");

struct bh_recall {
	struct bh_recall_key key;
	struct bh_judgement judgement;
};

#define BH_RECALL_PLACES 256 /* a power of two */

/*
 * What a packet's first hook leaves for the second, see bh_flow_vouch(): the receiver's slot (0: no
 * packet is vouched for), and what to count for it. It is good for one packet, the very next.
 */
struct bh_voucher {
	__u32 slot;
	__u32 length; /* of the frame */
	__u32 edge;
	__u32 packets;
	__u32 octets;
};

#define BH_OPTIONS_MAX 40
#define BH_PAYLOAD_MAX 256

struct bh_work {
	struct bh_packet packet;
	union bh_flow_key key; /* of the flow */
	__u64 hash;            /* the key's */
	__u32 at;              /* its place: lib/table.h */
	struct bh_voucher voucher;
	struct bh_judgement judgement;
	struct bh_recall_key recall;
	struct bh_edge_key edge;
	struct bh_flow flow; /* an entry to be */
	__u8 options[64];    /* IPv4 options, a power of two to be masked */
	/* The beginning of a payload, zero behind its end; a power of two, too. See lib/talk.h. */
	__u8 payload[BH_PAYLOAD_MAX] __attribute__((aligned(8)));
	struct bh_hello hello; /* an event to be */
};

BH_MAP_DEF(bh_work, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct bh_work, 1, 0);

static __always_inline struct bh_work *bh_work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&bh_work, &zero);
}

#endif
