/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_DESIRED_H
#define BULKHEAD_COMPILE_DESIRED_H

/*
 * What the compiler wants the data plane to hold, in the controller's own types. The compiler fills
 * it, the wire turns it (or the difference between two of them) into Updates, the CLI explains it.
 *
 * Every array is sorted by its key, so two of them are compared in one pass. A `struct bh_desired`
 * is immutable once the compiler has returned it, and reference counted. What two of one compiler
 * have in common they share: the long arrays piece by piece (run.h), the others as a whole, and
 * then the pointers to them are the same.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/compile/run.h"
#include "controller/model/types.h"

/* Key: ip. */
struct bh_desired_address {
	struct bh_ip ip;
	uint32_t class;
	uint32_t workload;
	bool service; /* a service's: rewritten into a backend's on the way */
};

/* Key: ip, bits. */
struct bh_desired_block {
	struct bh_ip ip; /* bits beyond the prefix are zero */
	uint8_t bits;
	uint32_t class;
	uint32_t workload;
};

struct bh_desired_rule {
	uint8_t protocol; /* 0: any */
	bool deny;
	bool defer;       /* egress to a service whose backends differ: judged after the rewrite */
	uint16_t port_lo; /* host order, inclusive */
	uint16_t port_hi;
	uint32_t rule;
};

/* Key: egress, class. Ranges of one protocol are sorted and do not overlap. */
struct bh_desired_entry {
	bool egress;
	uint32_t class;
	size_t n_rules;
	const struct bh_desired_rule *rules;
};

/* Key: number. Shared by every endpoint with the same content. */
struct bh_desired_program {
	uint32_t number; /* with the isolation bits, see abi.h */
	size_t n_entries;
	const struct bh_desired_entry *entries;
};

/* Key: uid. */
struct bh_desired_endpoint {
	const char *uid;
	const char *namespace;
	const char *name;
	size_t n_ips;
	const struct bh_ip *ips;
	uint32_t workload;
	uint32_t active; /* program numbers */
	uint32_t pending;
	bool xdp; /* annotation bulkhead.io/hook: xdp */
	enum bh_mode mode;
	bool quarantined;
	bool ingress_isolated; /* by any NetworkPolicy, dry-run ones included */
	bool egress_isolated;
	size_t n_policies; /* "name", of the pod's own namespace, that select it; sorted */
	const char *const *policies;
	size_t n_cluster_policies; /* names of ClusterNetworkPolicies, in the order of asking */
	const char *const *cluster_policies;
};

/* Key: number. What a rule number means to people. */
struct bh_desired_rule_name {
	uint32_t number;
	const char *namespace; /* of the policy; "": a ClusterNetworkPolicy */
	const char *policy;
	bool egress;
	int index;        /* of the rule in the policy's ingress or egress list, from 0 */
	const char *text; /* one line: "shop/web ingress[0]: from pods app=front, TCP 80" */
};

/* Key: number. What a workload number means to people. */
struct bh_desired_workload {
	uint32_t number;
	const char *namespace; /* "" for cluster-wide things */
	const char *kind; /* Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod, Service, Node,
			     World */
	const char *name;
};

/* Something the operator has to know or mend. Sorted by object, then code. */
struct bh_desired_problem {
	const char *code;   /* stable word: "invalid-policy", "unknown-mode", … */
	const char *object; /* "NetworkPolicy shop/web" */
	const char *text;   /* the cause, what is in force meanwhile, what to do */
};

/* A pod of this node that has no address of its own (yet). */
struct bh_desired_addressless {
	const char *uid;
	const char *namespace;
	const char *name;
	const char *detail; /* why, in words */
	enum bh_mode mode;
	bool quarantined;
};

struct bh_desired {
	uint64_t revision;       /* of the inputs it was compiled from */
	bool unknown_open;       /* no pod of this node is enforced */
	bool hold;               /* the node's mode is enforce: so is a pod nobody knows yet */
	struct bh_run addresses; /* struct bh_desired_address */
	size_t n_blocks;
	const struct bh_desired_block *blocks;
	size_t n_programs;
	const struct bh_desired_program *programs;
	size_t n_endpoints;
	const struct bh_desired_endpoint *endpoints;
	/* Pods of this node without an address of their own: nothing to enforce on, only to be
	 * shown. */
	size_t n_addressless;
	const struct bh_desired_addressless *addressless;
	size_t n_rule_names;
	const struct bh_desired_rule_name *rule_names;
	struct bh_run workloads; /* struct bh_desired_workload */
	size_t n_problems;
	const struct bh_desired_problem *problems;
};

extern const struct bh_run_kind bh_desired_addresses;
extern const struct bh_run_kind bh_desired_workloads;

/* The one there, and on to the next; NULL at the end. */
static inline const struct bh_desired_address *bh_desired_next_address(
	const struct bh_desired *desired, struct bh_run_at *at)
{
	const struct bh_desired_address *here = bh_run_here(&desired->addresses, sizeof(*here), at);

	if (here)
		bh_run_step(&desired->addresses, at);
	return here;
}

static inline const struct bh_desired_workload *bh_desired_next_workload(
	const struct bh_desired *desired, struct bh_run_at *at)
{
	const struct bh_desired_workload *here =
		bh_run_here(&desired->workloads, sizeof(*here), at);

	if (here)
		bh_run_step(&desired->workloads, at);
	return here;
}

/* The same for those alone that `before` may not have. Both positions begin at zero. */
const struct bh_desired_workload *bh_desired_next_new_workload(const struct bh_desired *desired,
	struct bh_run_at *at, const struct bh_desired *before, struct bh_run_at *at_before);

/* True if both lists say the same by the same rules. */
bool bh_desired_same_rules(
	const struct bh_desired_rule *a, size_t n_a, const struct bh_desired_rule *b, size_t n_b);

struct bh_desired *bh_desired_ref(struct bh_desired *desired);
void bh_desired_unref(struct bh_desired *desired);

#endif
