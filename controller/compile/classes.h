/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_CLASSES_H
#define BULKHEAD_COMPILE_CLASSES_H

/*
 * Atoms and classes. An atom is something a rule can ask of a peer: to be a pod some selectors
 * match, or a node, to have an address in some block, to call some port number by some name. The
 * class of an address is the set of atoms it matches; two peers of one class cannot be told apart
 * by any policy of this node.
 */

#include "controller/compile/blocks.h"
#include "controller/compile/registry.h"

struct bh_class;

struct bh_class_list {
	size_t n;
	size_t capacity;
	struct bh_class **items;
};

struct bh_atom {
	const struct bh_netpol_peer *peer; /* the first one seen; peer->key is the atom's name */
	struct bh_class_list classes;      /* those that hold it */
};

/* A port by name, as egress rules use them. */
struct bh_port_name {
	const char *name;
	uint8_t protocol;
	struct bh_class_list classes; /* those that have a port of that name */
};

struct bh_class_port {
	uint32_t named; /* index into the names */
	uint16_t port;
};

struct bh_class {
	uint32_t number;
	size_t n_atoms;
	const uint32_t *atoms; /* sorted */
	size_t n_ports;
	const struct bh_class_port *ports; /* sorted */
	uint64_t visited;                  /* for whoever collects classes */
	size_t references;                 /* addresses and blocks that are of it */
	bool counted;                      /* there were some when the step under way began … */
	bool touched;                      /* … and it has changed how many */
};

/* What is remembered from one compilation to the next; all zero at first. */
struct bh_class_cache {
	struct bh_table signatures; /* (labels, namespace labels) → atoms */
	char *atoms;                /* the atoms they speak of */
	size_t atoms_size;
	uint64_t age;
};

struct bh_classes {
	struct bh_arena *arena; /* of the compilation */
	struct bh_class_cache *cache;
	struct bh_registry *registry;
	size_t n_atoms;
	struct bh_atom *atoms; /* sorted by key */
	size_t n_pod_atoms;
	uint32_t *pod_atoms; /* those that are about pods */
	size_t n_node_atoms;
	uint32_t *node_atoms; /* … about nodes */
	size_t n_names;
	struct bh_port_name *names; /* sorted */
	struct bh_blocks blocks;
	struct bh_table by_content;
	struct bh_table by_number;
};

/*
 * Collects the atoms of these policies and writes into their peers and ports where those stand.
 * bh_classes_clear() when done.
 */
void bh_classes_begin(struct bh_classes *classes, struct bh_arena *arena,
	struct bh_class_cache *cache, struct bh_registry *registry,
	struct bh_netpol *const *policies, size_t n_policies);
void bh_classes_clear(struct bh_classes *classes);

/*
 * Other policies instead, if they ask for the same atoms and names: then all classes stay what they
 * are. False, and nothing is changed, if they do not.
 */
bool bh_classes_adopt(
	struct bh_classes *classes, struct bh_netpol *const *policies, size_t n_policies);

/*
 * The class of a pod's address, of a node's (of these labels, NULL if it is no Node object's), and
 * of a block. NULL is BH_CLASS_NONE. Numbers are given in the order of asking.
 */
const struct bh_class *bh_class_of_pod(struct bh_classes *classes, const struct bh_ip *ip,
	const struct bh_pod *pod, const struct bh_labels *namespace_labels);
const struct bh_class *bh_class_of_node(
	struct bh_classes *classes, const struct bh_ip *ip, const struct bh_labels *node_labels);
const struct bh_class *bh_class_of_block(
	struct bh_classes *classes, const struct bh_blocks_node *block);

void bh_class_cache_clear(struct bh_class_cache *cache);

#endif
