/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_NETPOL_H
#define BULKHEAD_COMPILE_NETPOL_H

/*
 * One policy as the compiler knows it: a NetworkPolicy (networking.k8s.io/v1, read by netpol.c), or
 * a ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2, read by cnp.c). Both are read
 * strictly. A NetworkPolicy that is not understood completely isolates the pods it selects and
 * allows nothing: read wider than its author meant it would be a hole, ignored it would be a bigger
 * one. (cnp.h says what becomes of the other kind.)
 */

#include "controller/compile/selector.h"
#include "bulkhead/abi.h"

/* An ipBlock. Addresses are masked; excepts lie strictly inside, sorted, distinct. */
struct bh_prefix {
	struct bh_ip ip;
	uint8_t bits;
};

struct bh_block {
	struct bh_prefix cidr;
	size_t n_excepts;
	struct bh_prefix *excepts;
};

enum bh_peer_kind {
	BH_PEER_PODS,  /* by the labels of their namespace and their own */
	BH_PEER_BLOCK, /* addresses */
	BH_PEER_NODES, /* the addresses of nodes, by the nodes' labels */
};

struct bh_netpol_peer {
	enum bh_peer_kind kind;
	struct bh_block block;
	struct bh_selector namespaces; /* of the policy's own: kubernetes.io/metadata.name=… */
	struct bh_selector pods;       /* or nodes */
	const char *key;               /* canonical: the same for every peer that means the same */
	uint32_t atom;                 /* its place among the atoms of the compilation under way */
};

enum bh_port_kind {
	BH_PORT_RANGE,
	BH_PORT_NAMED,
};

struct bh_netpol_port {
	enum bh_port_kind kind;
	uint8_t protocol;
	uint16_t lo; /* a range; 0–65535 when no port was given */
	uint16_t hi;
	const char *name;
	bool any_protocol; /* one of three, one for each protocol, that were written as one */
	uint32_t named;    /* its place among the port names of the compilation under way */
};

/* Of a NetworkPolicy every rule accepts. */
enum bh_action {
	BH_ACTION_ACCEPT,
	BH_ACTION_DENY,
	BH_ACTION_PASS, /* nobody else of this tier is asked */
};

struct bh_netpol_rule {
	enum bh_action action;
	bool never;     /* matches nothing, whatever follows */
	size_t n_peers; /* 0: anyone */
	struct bh_netpol_peer *peers;
	size_t n_ports; /* 0: everything, protocols without ports too */
	struct bh_netpol_port *ports;
	uint32_t number;  /* of the compilation under way */
	const char *text; /* "shop/web ingress[0]: from pods app=front, TCP 80" */
};

/* In the order of asking. */
enum bh_tier {
	BH_TIER_ADMIN,
	BH_TIER_NETPOL,
	BH_TIER_BASELINE,
};

/* Something in a policy that is not in force as written. */
struct bh_netpol_note {
	const char *code; /* of the problem */
	const char *text; /* "spec.egress[0].to[1].networks[0]: …; the rule …" */
};

struct bh_netpol {
	enum bh_tier tier;
	int priority; /* of a ClusterNetworkPolicy; -1: not understood, before all others */
	const char *namespace; /* "": a ClusterNetworkPolicy */
	const char *name;
	uint64_t serial; /* of the object it was read from */
	enum bh_mode mode;
	const char *bad_mode; /* the annotation as written, if it is none of ours */
	struct bh_selector subject_namespaces; /* of a ClusterNetworkPolicy */
	struct bh_selector subjects;           /* pods of its namespace, or of these */
	bool selects_nobody;                   /* who its subjects are is not understood */
	bool isolates[2]; /* by enum bh_direction; a ClusterNetworkPolicy never does */
	size_t n_rules[2];
	struct bh_netpol_rule *rules[2];
	const char *fault; /* not NULL: invalid, no rules. "spec.ingress[0].ports[1].endPort: …" */
	size_t n_notes;    /* of a ClusterNetworkPolicy */
	struct bh_netpol_note *notes;
	struct bh_arena arena;        /* all of the above */
	bool used;                    /* for whoever keeps a cache */
	bool selects;                 /* a pod of the compilation under way */
	const struct bh_netpol *tied; /* … one that another of its tier and priority selects too */
};

/* Never NULL; free with bh_netpol_free(). */
struct bh_netpol *bh_netpol_parse(const struct bh_network_policy *object);
void bh_netpol_free(struct bh_netpol *policy);

/*
 * By namespace, so that ClusterNetworkPolicies come first; these by tier and priority; then by name
 * and serial.
 */
int bh_netpol_compare(const struct bh_netpol *a, const struct bh_netpol *b);

/* Is the pod, whose namespace has these labels, one of the policy's subjects? */
bool bh_netpol_selects(const struct bh_netpol *policy, const struct bh_pod *pod,
	const struct bh_labels *namespace_labels);

/* Do its rules of that direction have effect? */
static inline bool bh_netpol_speaks(const struct bh_netpol *policy, enum bh_direction direction)
{
	return policy->tier == BH_TIER_NETPOL ? policy->isolates[direction]
					      : policy->n_rules[direction] > 0;
}

int bh_prefix_compare(const struct bh_prefix *a, const struct bh_prefix *b);
/* "10.0.0.0/8" */
const char *bh_prefix_format(const struct bh_prefix *prefix, char text[BH_PREFIX_TEXT_MAX]);

/* "TCP", "UDP", "SCTP", "ICMP", …; NULL for one that has no name here. */
const char *bh_protocol_name(uint8_t protocol);

#endif
