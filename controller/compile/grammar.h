/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_GRAMMAR_H
#define BULKHEAD_COMPILE_GRAMMAR_H

/* What the grammars of NetworkPolicy and ClusterNetworkPolicy have in common. */

#include "controller/compile/netpol.h"

/* The label every namespace has. */
#define BH_NAMESPACE_LABEL "kubernetes.io/metadata.name"

/* Reads "10.0.0.0/8". As in Kubernetes host bits may be set, and are masked away. */
bool bh_grammar_prefix(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	struct bh_prefix *ret_prefix);

/* Reads a port number, 1 to 65535. */
bool bh_grammar_port(struct bh_fault *fault, const struct bh_path *path, const json_t *value,
	uint16_t *ret_port);

/* Is it one a container may give a port? */
bool bh_grammar_is_port_name(const char *name);

/*
 * One line for people: what `head` says, then the rule's peers and ports. Of a pod in
 * `own_namespace` the namespace is not said. It is cut where it would be longer than a line or two.
 */
const char *bh_grammar_rule_text(struct bh_arena *arena, const char *own_namespace,
	const struct bh_netpol_rule *rule, enum bh_direction direction, const char *head, ...)
	__attribute__((format(printf, 5, 6)));

#endif
