/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_ABI_H
#define BULKHEAD_ABI_H

/*
 * What the BPF programs and the dataplane daemon share: keys, values and records, byte for byte.
 *
 * Integers are in host order unless their type says otherwise (__be16, __be32). Padding is
 * explicit and zero. A change of any layout or meaning below takes a new BH_ABI: maps are pinned
 * in a folder that carries the number, so an old map is never read with a new layout. (libbpf
 * reuses a pinned map whose sizes agree, whatever the bytes mean.)
 */

#include <linux/types.h>

#include "bulkhead/reasons.h"
#include "bulkhead/talk.h"

#define BH_ABI 5

/* ---- Names ---------------------------------------------------------------------------------- */

/*
 * A program number names compiled policy by its content: 30 bits of name, and two bits that say in
 * which directions the pod is isolated, so a direction without policy costs no lookup.
 */
#define BH_PROGRAM_OPEN 0u /* observe, dry-run: everything passes, even what cannot be parsed */
#define BH_PROGRAM_NONE 1u /* enforced, but no policy selects the pod: built-in checks only */
#define BH_PROGRAM_INGRESS_ISOLATED (1u << 30)
#define BH_PROGRAM_EGRESS_ISOLATED (1u << 31)
/* Isolated both ways and without an entry: what an interface is held by until its pod is known. */
#define BH_PROGRAM_HELD (2u | BH_PROGRAM_INGRESS_ISOLATED | BH_PROGRAM_EGRESS_ISOLATED)

/* Peers that no selector and no address block in use matches. */
#define BH_CLASS_NONE 0u
/* The entry of a program for every class it does not name. Never an address's class. */
#define BH_CLASS_ANY 0x7fffffffu
/* Classes from here up are the dataplane's own, alive only while a change is being applied. */
#define BH_CLASS_TRANSIENT 0x70000000u

#define BH_WORKLOAD_WORLD 0u /* an address nobody named */
#define BH_WORKLOAD_NODE 1u  /* this node itself */
#define BH_WORKLOAD_HELD 2u  /* a pod of this node that nobody knows yet */

#define BH_RULE_NONE 0u

/* The pod's point of view: ingress is towards the pod, whichever hook it is seen at. */
enum bh_direction {
	BH_INGRESS = 0,
	BH_EGRESS = 1,
};

enum bh_hook {
	BH_HOOK_FROM_POD = 0, /* host veth ingress, TC or XDP */
	BH_HOOK_TO_POD = 1,   /* host veth egress, TC */
	BH_HOOK_UPLINK = 2,   /* XDP on the node's uplink: towards a pod, before an skb exists */
	BH_HOOK_LEAVING = 3,  /* egress of a device that leaves the node: what a pod here sent */
	BH_HOOK_ARRIVING = 4, /* its ingress: the answers */
};

/*
 * A packet on its way through the node, in skb->tc_index: BH_TAG, and in the low bits the slot of
 * the pod that sends it to a service's address, or 0: judged as it is. Nothing else of a packet
 * survives routing, bridging and address translation, and says who sent it.
 */
#define BH_TAG 0xb000u
#define BH_TAG_MASK 0xf000u
/* … of a packet whose sender's hook has found out all that the receiver's would: its slot. */
#define BH_TAG_VOUCHED 0xa000u

/* ---- Configuration: one element, memory-mapped by the dataplane --------------------------- */

#define BH_CONFIG_TRIE4 (1u << 0) /* address blocks are in use for IPv4 */
#define BH_CONFIG_TRIE6 (1u << 1) /* … and for IPv6 */
#define BH_CONFIG_UNKNOWN_OPEN \
	(1u << 2) /* an interface without endpoint passes (nothing enforced) */
#define BH_CONFIG_NO_NEW_EVENTS (1u << 3) /* no event for new and closed flows */
/* The dataplane's own notes, kept here across its restarts: */
#define BH_CONFIG_HOLD (1u << 4)         /* the mode is one in which new interfaces are held */
#define BH_CONFIG_HOLD_STARTED (1u << 5) /* what was there before holding began has been noted */
#define BH_CONFIG_UPDATING (1u << 6)     /* an update is under way */

struct bh_config {
	__u32 abi;
	__u32 flags;
	__u32 hz; /* jiffies per second, measured at start */
	/* Moves after every change of what a judgement is made of that moves no epoch. */
	__u32 generation;
	__u64 epoch; /* the last epoch given to any endpoint; only ever grows */
	/* Idle time after which a flow counts as gone, in jiffies, by enum bh_flow_state. */
	__u32 timeout[8];
	/* Token bucket of denial events per tuple: tokens a second, and the most that pile up. */
	__u32 deny_rate;
	__u32 deny_burst;
	/* Of the flow tables: what makes its places nobody's guess, and the number of ways, less
	 * one. */
	__u64 flow_seed;
	__u32 flow_mask4;
	__u32 flow_mask6;
};

/* ---- Endpoints --------------------------------------------------------------------------------
 */

#define BH_ENDPOINTS_MAX 4096
#define BH_ENDPOINT_ADDRS 2 /* per address family */

/*
 * One pod interface. An array element, memory-mapped by the dataplane: `programs` and `epoch` are
 * each one aligned 64-bit store; everything else is written before the interface map points here
 * and not changed after. Slot 0 is never used.
 */
struct bh_endpoint {
	__u64 programs; /* active in the low, pending in the high 32 bits */
	__u64 epoch;    /* legs judged under another epoch are judged again; 0 = slot not in use */
	__u32 ifindex;
	__u8 mac[6]; /* the pod end's, checked on every frame from the pod */
	__u8 n_addr4;
	__u8 n_addr6;
	__u32 workload;
	__u32 flags;
	__be32 addr4[BH_ENDPOINT_ADDRS];
	__u8 addr6[BH_ENDPOINT_ADDRS][16];
	__u64 born; /* the first epoch of this endpoint: a leg with an older one is of another pod
		     */
	__u8 reserved[40];
};
_Static_assert(sizeof(struct bh_endpoint) == 128, "endpoint layout");

/* Of struct bh_iface: slot 0, and the interface is not to be held. */
#define BH_IFACE_EXEMPT (1u << 0)

/* Interface map: ifindex → where its endpoint is. */
struct bh_iface {
	__u32 slot;
	__u32 flags;
};

/* ---- Identity -----------------------------------------------------------------------------------
 */

/* Of struct bh_identity: a service's address, which something on the way rewrites (kube-proxy). */
#define BH_IDENTITY_SERVICE (1u << 0)

/* Value of the address maps: exact hashes (key __be32 or 16 bytes) and longest-prefix tries. */
struct bh_identity {
	__u32 class;
	__u32 workload;
	__u32 slot; /* endpoint of this node that owns the address, or 0 */
	__u32 flags;
};
_Static_assert(sizeof(struct bh_identity) == 16, "identity layout");

struct bh_prefix4 {
	__u32 bits;
	__be32 addr;
};

struct bh_prefix6 {
	__u32 bits;
	__u8 addr[16];
};

/* ---- Policy -------------------------------------------------------------------------------------
 */

#define BH_POLICY_EGRESS (1u << 31)

/* (program, direction, peer class). */
struct bh_policy_key {
	__u32 program;
	__u32 class_dir; /* class, and BH_POLICY_EGRESS for the egress direction */
};

#define BH_RULE_DENY (1u << 0)
/* Egress to a service whose backends differ: let through, and judged after the rewrite. */
#define BH_RULE_DEFER (1u << 1)

/*
 * A range of destination ports of one protocol. `protocol` 0 is every IP protocol, with or without
 * ports, and then the range is 0–65535. A protocol without ports, and a packet whose ports
 * are unknown, meets only ranges that are 0–65535.
 */
struct bh_rule {
	__u8 protocol;
	__u8 flags;
	__u16 port_lo; /* host order, inclusive */
	__u16 port_hi;
	__u16 reserved;
	__u32 rule; /* the controller's number for the policy rule, for people; BH_RULE_NONE: it
		       says what becomes of what no rule decides */
};
_Static_assert(sizeof(struct bh_rule) == 12, "rule layout");

#define BH_RULES_INLINE 6

/*
 * The whole answer for one key: the ranges of one entry do not overlap within a protocol, except
 * that protocol 0 is asked last. With BH_POLICY_SPILLED the ranges with ports are in the spill
 * trie instead, and only those of protocol 0 are inline.
 */
#define BH_POLICY_SPILLED (1u << 0)
/*
 * Some port of that protocol is denied: a packet of it whose ports are unknown might be for one of
 * these, so protocol 0 does not let it pass.
 */
#define BH_POLICY_DENIES_TCP (1u << 1)
#define BH_POLICY_DENIES_UDP (1u << 2)
#define BH_POLICY_DENIES_SCTP (1u << 3)

static inline __u16 bh_policy_denies(__u8 protocol)
{
	switch (protocol) {
	case 6:
		return BH_POLICY_DENIES_TCP;
	case 17:
		return BH_POLICY_DENIES_UDP;
	case 132:
		return BH_POLICY_DENIES_SCTP;
	default:
		return 0;
	}
}

struct bh_policy {
	__u16 n_rules;
	__u16 flags; /* BH_POLICY_* */
	__u32 reserved;
	struct bh_rule rules[BH_RULES_INLINE];
};
_Static_assert(sizeof(struct bh_policy) == 80, "policy layout");

/*
 * Spilled ranges: a longest-prefix trie over (program, class and direction, protocol, port), each
 * range cut into aligned prefixes. One lookup however long the list is.
 */
struct bh_spill_key {
	__u32 bits; /* 88 + leading port bits */
	__be32 program;
	__be32 class_dir;
	__u8 protocol;
	__u8 port[2]; /* big-endian */
	__u8 reserved;
};
#define BH_SPILL_BITS_BASE 72 /* program, class_dir, protocol: all of it */
#define BH_SPILL_BITS_FULL 88 /* and the whole port */

struct bh_spill {
	__u32 rule;
	__u32 flags; /* BH_RULE_* */
};

/* ---- Flows
 * ---------------------------------------------------------------------------------------- */

/*
 * One entry per connection and host. The two ends are sorted by (address, port) as bytes, so both
 * directions and both hooks find the same entry: side 0 is the lower end. ICMP echo and its like
 * carry the identifier as both ports; protocols without ports carry zeros.
 */
struct bh_flow_key4 {
	__be32 addr[2];
	__be16 port[2];
	__u8 protocol;
	__u8 used; /* 1; an entry with 0 is free */
	__u8 pad[2];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct bh_flow_key4) == 16, "flow key layout");

struct bh_flow_key6 {
	__u8 addr[2][16];
	__be16 port[2];
	__u8 protocol;
	__u8 used;
	__u8 pad[2];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct bh_flow_key6) == 40, "flow key layout");

union bh_flow_key {
	struct bh_flow_key4 v4;
	struct bh_flow_key6 v6;
};

enum bh_flow_state {
	BH_FLOW_NEW = 0,         /* TCP: SYN seen. Others: no answer yet. Half-open. */
	BH_FLOW_SYN_RECV = 1,    /* TCP: SYN-ACK seen. Half-open. */
	BH_FLOW_ESTABLISHED = 2, /* TCP: the handshake is complete, or taken up in the middle */
	BH_FLOW_REPLIED = 3,     /* others: both ends have spoken */
	BH_FLOW_CLOSING = 4,     /* TCP: one end has sent FIN */
	BH_FLOW_CLOSED = 5,      /* TCP: both have, or one has sent RST */
	BH_FLOW_STATES = 6,
};

/* The peer's address is a service's: every packet is marked with the pod's slot (BH_TAG). */
#define BH_LEG_SERVICE (1u << 0)
/*
 * Judged away from the pod's own hook, which saw the packets before their addresses were
 * rewritten: at the backend's veth, or where they leave the node.
 */
#define BH_LEG_AWAY (1u << 1)
/* … and they do not wear the pod's address any more: only their mark says whose they are. */
#define BH_LEG_MASKED (1u << 2)
/* Judged at a hook that sees no payload behind the headers (XDP). */
#define BH_LEG_BLIND (1u << 3)

/* What is known of what is spoken, in one byte: enum bh_app, and enum bh_encrypted above it. */
#define BH_TALK_APP_MASK 0x1fu
#define BH_TALK_ENCRYPTED_SHIFT 5

/* Segments or datagrams with payload that are looked into, of each direction. */
#define BH_LOOKS 4u

/*
 * One end of the flow, a pod of this host, as it was judged; all zero if that end is not here. What
 * a packet needs of it, and nothing else.
 */
struct bh_leg {
	__u64 epoch; /* the endpoint's, when this leg was judged */
	__u32 edge;  /* slot in the edge counters */
	__u16 slot;  /* endpoint */
	__u8 reason; /* enum bh_reason of the verdict in force */
	__u8 flags;  /* BH_LEG_* */
};
_Static_assert(sizeof(struct bh_leg) == 16, "leg layout");

#define BH_FLOW_MIDSTREAM (1u << 0) /* taken up without its beginning: the opener is a guess */
#define BH_FLOW_FIN0 (1u << 1)      /* side 0 has sent FIN */
#define BH_FLOW_FIN1 (1u << 2)
#define BH_FLOW_CLOSE_SENT (1u << 3) /* the closed event has been emitted */
#define BH_FLOW_SEEDED (1u << 4)     /* from the kernel's connection tracking */
#define BH_FLOW_REFUSED (1u << 5)    /* RST was the answer to its SYN */
/* What is spoken is still being found out: its packets are looked into (bpf/lib/look.h). */
#define BH_FLOW_WATCHED (1u << 6)

/*
 * The first 64 bytes are all that a packet of a known flow reads and writes. What else there is to
 * know is read where something begins, ends, or is judged again. With an IPv4 key in front it is
 * two cache lines, which are fetched together.
 *
 * Packets and octets (of layer 3) are counted by the side that sent. They are for the flow's own
 * record only, and not atomic: where two CPUs carry one direction of a flow at the same moment, one
 * of their packets may go uncounted here. The edges count every one.
 */
struct bh_flow {
	struct bh_leg leg[2]; /* by side */
	__u64 octets[2];
	__u32 seen;       /* low bits of jiffies at the last packet */
	__u8 state;       /* enum bh_flow_state */
	__u8 opener;      /* side that opened it */
	__u8 flags;       /* BH_FLOW_* */
	__u8 talk;        /* BH_TALK_* */
	__u32 packets[2]; /* low bits: see bh_flow_packets() */
	/* What a packet of a known flow touches ends here. */
	__u64 started; /* jiffies */
	__u32 rule[2]; /* by leg: the rule that decided */
	__u32 pending_rule[2];
	/* While watched: the sequence number of the first octet each side sends; 0: not known. */
	__u32 start[2];
	/*
	 * TCP handshake, by leg, in microseconds that wrap, times two: when the opener's leg saw
	 * the SYN go, or the server's the SYN-ACK; 0: not yet. With BH_TRIP_DONE there is nothing
	 * to wait for any more, and the rest is the round-trip; 0: it was not taken.
	 */
	__u32 trip[2];
	__u16 packets_high[2];
	__u8 pending[2];  /* by leg: enum bh_reason of the pending program's verdict */
	__u8 looks;       /* how many there were, of side 0 in the low four bits, of side 1 above */
	__u8 openers : 4; /* two bits for each leg, midstream flows: bh_flow_openers() */
	__u8 tls : 4; /* minor version that the server chose, 0x0304 is 4, and one; 0: not known */
};
#define BH_TRIP_DONE 1u
#define BH_TRIP_US(trip) ((trip)&BH_TRIP_DONE ? (trip) >> 1 : 0u)
_Static_assert(sizeof(struct bh_flow) == 112, "flow layout");
_Static_assert(__builtin_offsetof(struct bh_flow, started) == 64, "flow hot line");

/* Packets that `side` has sent. */
static inline __u64 bh_flow_packets(const struct bh_flow *flow, __u32 side)
{
	return (__u64)flow->packets_high[side & 1] << 32 | flow->packets[side & 1];
}

/* Its handshake's round-trip, of the opener's end if that is here; 0: not known. */
static inline __u32 bh_flow_trip_us(const struct bh_flow *flow)
{
	const __u32 trip = BH_TRIP_US(flow->trip[flow->opener & 1]);

	return trip ? trip : BH_TRIP_US(flow->trip[(flow->opener & 1) ^ 1]);
}

/* Whom a leg of a midstream flow allows to have opened it: bit N = side N. */
static inline __u8 bh_flow_openers(const struct bh_flow *flow, __u32 leg)
{
	return flow->openers >> (leg & 1) * 2 & 3;
}

/*
 * The flow tables. A flow's place is a set of BH_FLOW_WAYS entries, found by a keyed hash, and in
 * it the way that the hash names, or any other. What is half-open may take what is free, expired or
 * half-open; of those that both ends have spoken in, `settled`, a set holds BH_FLOW_SETTLED_MAX,
 * the one not used for longest making room for the next: so no flood pushes out what was ever
 * established, and there is always room for what begins.
 *
 * An entry is written under its set's lock, its key last; it is free when its key says so. Whoever
 * reads has no lock, and looks at the key again where it matters.
 */
#define BH_FLOW_WAYS 16u
#define BH_FLOW_SETTLED_MAX 14u
#define BH_FLOW_LOCKS 256u

struct bh_flow4 {
	struct bh_flow_key4 key;
	struct bh_flow flow;
};
_Static_assert(sizeof(struct bh_flow4) == 128, "two lines");

struct bh_flow6 {
	struct bh_flow_key6 key;
	__u8 reserved[24];
	struct bh_flow flow;
	__u8 tail[16];
};
_Static_assert(sizeof(struct bh_flow6) == 192, "three lines");

struct bh_flow_ways4 {
	struct bh_flow4 way[BH_FLOW_WAYS];
};

struct bh_flow_ways6 {
	struct bh_flow6 way[BH_FLOW_WAYS];
};

/* What there is in a set: the one place to look for who is not where the hash says. */
struct bh_flow_set {
	__u8 tag[BH_FLOW_WAYS]; /* some of the hash's bits, never 0; 0: the way is free */
	__u64 least;            /* under the lock: who makes room */
	__u16 settled;          /* by way */
	__u8 reserved[6];
} __attribute__((aligned(8)));
_Static_assert(sizeof(struct bh_flow_set) == 32, "flow set layout");

/* What the dataplane asks of the tables, as a frame that the program bh_flow_command is run with.
 */
enum bh_flow_op {
	BH_FLOW_OP_PUT = 1, /* enters `flow`, settled, unless there is one of that key */
	BH_FLOW_OP_END = 2, /* removes what is at `at` by that key, if it is expired by now */
};

/* … and what it returns. */
enum bh_flow_done {
	BH_FLOW_DONE = 0,
	BH_FLOW_NOT_DONE = 1, /* it is there already; it is not, or goes on */
	BH_FLOW_NOT_UNDERSTOOD = 2,
};

struct bh_flow_request {
	__u8 frame[16]; /* zero: where a frame has its header */
	__u8 op;        /* enum bh_flow_op */
	__u8 family;    /* 4 or 6 */
	__u8 reserved[2];
	__u32 at; /* number of the entry */
	union bh_flow_key key;
	struct bh_flow flow;
};
_Static_assert(sizeof(struct bh_flow_request) == 176, "flow request layout");

/* Datagram whose first fragment was passed: where the others find their ports. */
struct bh_fragment_key {
	__u8 src[16]; /* IPv4 in the first four bytes, the rest zero */
	__u8 dst[16];
	__u32 id; /* as on the wire */
	__u32 ifindex;
	__u8 protocol;
	__u8 hook;
	__u8 family; /* 4 or 6 */
	__u8 pad;
};
_Static_assert(sizeof(struct bh_fragment_key) == 44, "fragment key layout");

struct bh_fragment {
	__be16 sport;
	__be16 dport;
	__u32 seen;    /* jiffies; a datagram lives 30 s at most */
	__u8 protocol; /* behind the IPv6 extension headers, where the key has the fragment header's
			*/
	__u8 pad[3];
};

/* ---- Edges
 * ------------------------------------------------------------------------------------------ */

#define BH_EDGE_PEER_LOCAL \
	(1u << 0) /* the other end is a pod of this node: it has an edge of its own */

/* What the topology is made of. Seen from the local end. */
struct bh_edge_key {
	__u32 local;  /* workload */
	__u32 remote; /* workload */
	__u16 port;   /* the responder's, host order; 0 where there is none */
	__u8 protocol;
	__u8 direction; /* enum bh_direction: ingress = the remote end opened it */
	__u8 verdict;   /* enum bh_reason */
	__u8 pending;   /* enum bh_reason */
	__u8 flags;
	__u8 family; /* 4 or 6 */
};
_Static_assert(sizeof(struct bh_edge_key) == 16, "edge key layout");

/*
 * At most BH_EDGE_PORTS_MAX ports of one pair of workloads have edges of their own, so that a port
 * scan cannot push everybody else off the map; the rest is counted in the pair's edge
 * with port 0. That entry exists from the pair's first port on, to count them, and has slot 0
 * until it is needed itself. Who removes an edge with a port takes one off its `ports`.
 */
#define BH_EDGE_PORTS_MAX 128

struct bh_edge_ref {
	__u32 slot;
	__u32 rule; /* the rule that decided last */
	__u32 pending_rule;
	__u32 ports; /* TCP, UDP, SCTP with port 0: how many ports of the pair have edges */
};

/* Slot 0 counts what no slot was left for: the totals stay exact. */
#define BH_EDGE_OVERFLOW 0u

/* Per-CPU element of the edge counters. [0] from the local pod, [1] to it. */
struct bh_edge {
	__u64 packets[2];
	__u64 octets[2];
	__u64 flows;
	__u64 resets; /* of connections that were there */
	__u64 first;  /* jiffies, 0 = nothing yet */
	__u64 last;
	/* What a packet of an established flow touches ends here. */
	__u64 refusals; /* RST in answer to a SYN; ICMP unreachable where nothing else was */
	__u64 trips;    /* TCP handshakes whose round-trip was taken */
	__u64 trip_sum; /* microseconds */
	__u32 trip_min; /* of those since trip_since: so that it says something of a span of time */
	__u32 trip_since; /* jiffies, low bits */
	__u32 talked;     /* jiffies, low bits, when the following was last found out */
	__u8 app;         /* enum bh_app */
	__u8 encrypted;   /* enum bh_encrypted */
	__u16 tls;        /* as on the wire; 0: not known */
};
/* How long trip_min stays, in seconds. */
#define BH_TRIP_SPAN 15u
_Static_assert(sizeof(struct bh_edge) == 104, "edge layout");

/* ---- Events
 * ------------------------------------------------------------------------------------------ */

enum bh_event_type {
	BH_EVENT_NEW = 1,
	BH_EVENT_CLOSED = 2,
	BH_EVENT_DENIED = 3,
	BH_EVENT_WOULD_DENY = 4,
	BH_EVENT_HELLO = 5, /* struct bh_hello */
	BH_EVENT_TYPES = 6,
};

struct bh_event {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u8 type;
	__u8 reason;
	__u8 pending;
	__u8 hook;
	__u8 family; /* 4, 6; 0 when no address was parsed */
	__u8 protocol;
	__u8 direction; /* of the flow, seen from this endpoint */
	__u8 tcp_flags; /* or the ICMP type */
	__u32 ifindex;
	__u16 slot;
	__u8 talk;   /* closed: BH_TALK_* */
	__u8 tls;    /* … as in bh_flow */
	__u32 local; /* workloads */
	__u32 remote;
	__u32 class; /* the peer's */
	__u32 rule;
	__u32 pending_rule;
	union {
		__u32 suppressed; /* denials of this tuple since its last event */
		__u32 trip_us;    /* closed: the handshake's round-trip; 0: not known */
	};
	/* The opener first, the responder second; as on the wire for a packet of no flow. */
	__u8 src[16]; /* IPv4 in the first four bytes */
	__u8 dst[16];
	__be16 sport;
	__be16 dport;
	__u16 ethertype;  /* host order */
	__u16 flags;      /* BH_FLOW_* */
	__u64 packets[2]; /* closed: by the opener, by the responder. Denied: [0] = 1 */
	__u64 octets[2];
	__u64 started; /* jiffies; closed only */
};
_Static_assert(sizeof(struct bh_event) == 128, "event layout");

/* The beginning of what a TLS client says first, ClientHello with its record header. */
#define BH_HELLO_MAX 512
struct bh_hello {
	__u64 time; /* CLOCK_MONOTONIC, ns */
	__u8 type;  /* where bh_event has it */
	__u8 reserved;
	__u16 length; /* of data; the record is cut off behind it */
	__u32 edge;   /* the slot of the edge it belongs to */
	__u8 data[BH_HELLO_MAX];
};
_Static_assert(sizeof(struct bh_hello) == 16 + BH_HELLO_MAX, "hello layout");
_Static_assert(
	__builtin_offsetof(struct bh_hello, type) == __builtin_offsetof(struct bh_event, type),
	"one look tells them apart");

/* ---- Counters (per-CPU array of __u64)
 * ---------------------------------------------------------------- */

/* [0, BH_REASON_MAX): packets by reason, those of known flows excepted (their edges count them). */
enum bh_counter {
	BH_COUNTER_EVENTS_LOST = BH_REASON_MAX, /* + enum bh_event_type: ring full */
	BH_COUNTER_EVENTS_SUPPRESSED =
		BH_COUNTER_EVENTS_LOST + BH_EVENT_TYPES,                   /* by the token bucket */
	BH_COUNTER_EVENTS = BH_COUNTER_EVENTS_SUPPRESSED + BH_EVENT_TYPES, /* written, by type */
	BH_COUNTER_EDGE_OVERFLOW = BH_COUNTER_EVENTS + BH_EVENT_TYPES, /* flows counted in slot 0 */
	BH_COUNTER_FLOW_INSERT_FAILED,
	BH_COUNTER_FLOW_EVICTED, /* settled flows that were not over, for lack of room */
	BH_COUNTER_MIDSTREAM,
	BH_COUNTER_REJUDGED,
	BH_COUNTERS,
};

/* What the program bh_clock leaves in the map bh_clock when it is test-run: how jiffies are read.
 */
struct bh_clock {
	__u64 jiffies;
	__u64 monotonic; /* CLOCK_MONOTONIC, ns */
};

/* Element of the per-CPU token buckets of denial events. */
#define BH_BUCKETS 4096
struct bh_bucket {
	__u32 tag; /* hash of the tuple */
	__u32 stamp;
	__u32 tokens;
	__u32 suppressed;
};

#endif
