/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_NETPOL_H
#define BULKHEAD_COMPILE_NETPOL_H

/*
 * One NetworkPolicy (networking.k8s.io/v1), read strictly. A policy that is not understood
 * completely isolates the pods it selects and allows nothing: read wider than its author meant it
 * would be a hole, ignored it would be a bigger one.
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

/* Either an address block, or pods by the labels of their namespace and their own. */
struct bh_netpol_peer {
	bool is_block;
	struct bh_block block;
	struct bh_selector namespaces; /* of the policy's own: kubernetes.io/metadata.name=… */
	struct bh_selector pods;
	const char *key; /* canonical: the same for every peer that means the same */
	uint32_t atom;   /* its place among the atoms of the compilation under way */
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
	uint32_t named; /* its place among the port names of the compilation under way */
};

struct bh_netpol_rule {
	size_t n_peers; /* 0: anyone */
	struct bh_netpol_peer *peers;
	size_t n_ports; /* 0: everything, protocols without ports too */
	struct bh_netpol_port *ports;
	uint32_t number;  /* of the compilation under way */
	const char *text; /* "shop/web ingress[0]: from pods app=front, TCP 80" */
};

struct bh_netpol {
	const char *namespace;
	const char *name;
	uint64_t serial; /* of the object it was read from */
	enum bh_mode mode;
	const char *bad_mode;        /* the annotation as written, if it is none of ours */
	struct bh_selector subjects; /* pods of its namespace */
	bool isolates[2];            /* by enum bh_direction */
	size_t n_rules[2];
	struct bh_netpol_rule *rules[2];
	const char *fault; /* not NULL: invalid, no rules. "spec.ingress[0].ports[1].endPort: …" */
	struct bh_arena arena; /* all of the above */
	bool used;             /* for whoever keeps a cache */
	bool selects;          /* a pod of the compilation under way */
};

/* Never NULL; free with bh_netpol_free(). */
struct bh_netpol *bh_netpol_parse(const struct bh_network_policy *object);
void bh_netpol_free(struct bh_netpol *policy);

/* By namespace, then name, then serial. */
int bh_netpol_compare(const struct bh_netpol *a, const struct bh_netpol *b);

int bh_prefix_compare(const struct bh_prefix *a, const struct bh_prefix *b);
/* "10.0.0.0/8" */
const char *bh_prefix_format(const struct bh_prefix *prefix, char text[BH_PREFIX_TEXT_MAX]);

/* "TCP", "UDP", "SCTP", "ICMP", …; NULL for one that has no name here. */
const char *bh_protocol_name(uint8_t protocol);

#endif
