/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPLAIN_H
#define BULKHEAD_EXPLAIN_H

/*
 * Why would this connection pass, or not? The answer walks the compiled programs and address
 * tables exactly as the kernel does, so it is what the kernel does, and adds the names.
 */

#include "controller/compile/compile.h"

struct bh_explain_query {
	const char *src;  /* "namespace/pod", an address, or "node" */
	const char *dst;  /* … or "svc/namespace/service" */
	uint8_t protocol; /* IP protocol number */
	uint16_t port;    /* 0 where the protocol has none */
};

/* What one program says. */
struct bh_explain_verdict {
	bool allowed;
	const char *reason; /* the word of enum bh_reason: "policy", "isolated", "not-isolated",
			       "open", "service", … */
	uint32_t rule;      /* BH_RULE_NONE if none decided */
	const char *text;   /* one line for people: the rule that decides, or why none does */
	size_t n_passes;    /* rules that handed it on to the next tier, in order: their texts */
	const char *passes[2];
};

/* One pod's point of view: the source's egress, the destination's ingress. */
struct bh_explain_side {
	bool egress;
	bool judged;         /* false: this end is not a pod, nobody is asked */
	const char *subject; /* "namespace/pod", the address, "node" */
	const char *node;    /* where the pod runs; "" if not known */
	bool here; /* … on this node: this kernel decides. Otherwise: its node would, in this node's
		      modes */
	const char *mode; /* the pod's */
	bool quarantined;
	bool isolated;     /* in this direction, by any policy, dry-run ones included */
	size_t n_policies; /* those that isolate it in this direction: "namespace/name" */
	const char *const *policies;
	size_t n_cluster_policies; /* with rules in this direction, in the order of asking */
	const char *const *cluster_policies;
	uint32_t peer_class;
	const char *peer_address; /* the address of the other end that was looked up */
	struct bh_explain_verdict active;
	struct bh_explain_verdict pending;
};

/* What a connection to a service may become. */
struct bh_explain_backend {
	const char *name;    /* "shop/db-0 (10.0.0.2)" */
	const char *address; /* "10.0.0.2" */
	uint16_t port;
	bool allowed;
	bool pending_allowed;
	struct bh_explain_side sides[2]; /* as below */
};

/* Named ones; every node of another backend's pod is a compilation of its own. */
#define BH_EXPLAIN_BACKENDS_MAX 16

struct bh_explanation {
	const char *src; /* as understood: "shop/web-1 (10.0.0.1)" */
	const char *dst;
	uint8_t protocol;
	uint16_t port;
	bool allowed;                    /* both ends' active programs let it pass */
	bool pending_allowed;            /* both ends' pending programs would */
	struct bh_explain_side sides[2]; /* [0] egress of src, [1] ingress of dst */
	/*
	 * Where dst is a service with this port: what is behind it. It is allowed then if each of
	 * those listed is, and depends on the backend if only some are.
	 */
	bool service;
	bool depends;
	bool pending_depends;
	size_t n_backends_all;
	size_t n_backends; /* listed: the first of them */
	const struct bh_explain_backend *backends;
};

/*
 * Answers one query. Returns 0 and *ret_explanation (bh_explanation_free()), or -ENOENT or -EINVAL
 * and *ret_error, one line for the operator, to free().
 */
int bh_explain(struct bh_compiler *compiler, const struct bh_model *model,
	const struct bh_explain_query *query, struct bh_explanation **ret_explanation,
	char **ret_error);
void bh_explanation_free(struct bh_explanation *explanation);

#endif
