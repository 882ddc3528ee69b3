/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_REASONS_H
#define BULKHEAD_REASONS_H

/*
 * Why a packet passed or was dropped. One list: the BPF programs count by these numbers, the
 * events carry them, and the command line prints their sentences. A number, once released,
 * keeps its meaning; new reasons take new numbers.
 *
 * BH_REASON(name, number, kind, word, sentence)
 *   kind   PASS or DROP
 *   word   what scripts see (JSON, metrics); lower case, dashes
 */
#define BH_REASONS(X)                                                                            \
	/* Nothing has been decided. Never the reason of a packet that left a program. */        \
	X(NONE, 0, DROP, "none", "no verdict was reached")                                       \
	/* Passes. */                                                                            \
	X(POLICY, 1, PASS, "policy", "a policy rule allows it")                                  \
	X(NOT_ISOLATED, 2, PASS, "not-isolated", "no policy isolates the pod in this direction") \
	X(OPEN, 3, PASS, "open", "the pod is not enforced (observe or dry-run)")                 \
	X(NODE, 4, PASS, "node", "the node itself may always reach its pods")                    \
	X(NEIGHBOUR, 5, PASS, "neighbour",                                                       \
		"ARP or neighbour discovery with the pod's own addresses")                       \
	X(DHCP, 6, PASS, "dhcp", "DHCP between the pod and its server")                          \
	X(MULTICAST_LISTENER, 7, PASS, "multicast-listener", "a multicast listener report")      \
	X(ICMP_ERROR, 8, PASS, "icmp-error", "an ICMP error about a flow that is allowed")       \
	X(NOT_LOCAL, 9, PASS, "not-local", "not for a pod of this node")                         \
	X(SERVICE, 10, PASS, "service",                                                          \
		"the backends of the service differ: judged again where its address is "         \
		"rewritten")                                                                     \
	X(SELF, 11, PASS, "self", "a pod may always reach itself")                               \
	/* Drops by policy. */                                                                   \
	X(ISOLATED, 32, DROP, "isolated", "the pod is isolated and no rule allows it")           \
	X(POLICY_DENY, 33, DROP, "policy-deny", "a policy rule denies it")                       \
	X(NO_ENDPOINT, 34, DROP, "no-endpoint", "the interface belongs to no known pod")         \
	/* Drops of what did not come from the pod it claims. */                                 \
	X(SPOOFED_IP, 48, DROP, "spoofed-ip", "the source address is not the pod's")             \
	X(SPOOFED_MAC, 49, DROP, "spoofed-mac", "the source MAC is not the pod's")               \
	X(SPOOFED_ARP, 50, DROP, "spoofed-arp",                                                  \
		"ARP speaks for an address or MAC that is not the pod's")                        \
	X(SPOOFED_ND, 51, DROP, "spoofed-nd",                                                    \
		"neighbour discovery speaks for an address or MAC that is not the pod's")        \
	X(ROUTER_ADVERT, 52, DROP, "router-advert",                                              \
		"router advertisements and redirects from pods are refused")                     \
	X(ROGUE_DHCP, 53, DROP, "rogue-dhcp", "a pod may not answer DHCP, nor ask for another")  \
	/* Drops of what cannot be understood. */                                                \
	X(TRUNCATED, 64, DROP, "truncated", "a header is cut short")                             \
	X(ETHERTYPE, 65, DROP, "ethertype", "unknown ethertype")                                 \
	X(VLAN_DEPTH, 66, DROP, "vlan-depth", "more than two VLAN tags")                         \
	X(IP_HEADER, 67, DROP, "ip-header", "bad IP version, header length or total length")     \
	X(EXTENSION_HEADERS, 68, DROP, "extension-headers",                                      \
		"too many or forbidden IPv6 extension headers")                                  \
	X(L4_HEADER, 69, DROP, "l4-header", "bad transport header")                              \
	X(TCP_FLAGS, 70, DROP, "tcp-flags", "impossible TCP flags")                              \
	X(FRAGMENT_TINY, 71, DROP, "fragment-tiny",                                              \
		"a first fragment without its transport header")                                 \
	X(FRAGMENT_NO_FIRST, 72, DROP, "fragment-no-first",                                      \
		"a fragment whose first was not seen, and no rule allows every port")            \
	X(ARP_MALFORMED, 73, DROP, "arp-malformed", "malformed or unknown ARP")                  \
	X(ND_MALFORMED, 74, DROP, "nd-malformed",                                                \
		"malformed neighbour discovery or hop limit not 255")                            \
	X(ICMP_TYPE, 75, DROP, "icmp-type", "an ICMP type that is not passed")                   \
	/* Drops of what belongs to nothing. */                                                  \
	X(ICMP_NO_FLOW, 80, DROP, "icmp-no-flow", "an ICMP error or reply about no known flow")  \
	X(TABLE_FULL, 81, DROP, "table-full", "the flow table could not take a new flow")        \
	X(INTERNAL, 82, DROP, "internal", "a map the programs rely on did not answer")

enum bh_reason {
#define BH_REASON_ENUM(name, number, kind, word, sentence) BH_REASON_##name = number,
	BH_REASONS(BH_REASON_ENUM)
#undef BH_REASON_ENUM
};

/* One more than the highest reason, rounded up: the size of the per-reason counters. */
#define BH_REASON_MAX 96

#define BH_REASON_FIRST_DROP 32

/* True if a packet with this reason goes on. Reads its argument twice. */
#define BH_REASON_PASSES(reason) ((reason) != BH_REASON_NONE && (reason) < BH_REASON_FIRST_DROP)

#endif
