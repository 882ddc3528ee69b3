/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_WORLD_H
#define BULKHEAD_TOPOLOGY_WORLD_H

/*
 * Who can be an end of a conversation: workloads (or pods), each with the id that people and
 * scripts know it by, and what is known of its pods. One is made for each question.
 */

#include <stdbool.h>
#include <stdint.h>

#include "controller/model/model.h"

struct bh_party {
	uint32_t number;
	const char *id; /* "NAMESPACE/KIND/NAME", "KIND/NAME", "pod:NAMESPACE/NAME", "ns:NAME" */
	const char *namespace; /* "" for what is in none */
	const char *kind;
	const char *name;
	bool is_pod;       /* and not a workload */
	bool is_namespace; /* all of a namespace that may not be looked into */
	/* Of its pods on this node. */
	uint32_t pods;
	uint32_t modes[BH_MODE_ENFORCE + 1];
	uint32_t quarantined;
	/* Distinct label sets of its pods, those of other nodes included. The model's. */
	size_t n_labels;
	size_t capacity;
	const struct bh_labels **labels;
};

struct bh_world;

struct bh_world *bh_world_new(void);
void bh_world_free(struct bh_world *world);

/* Adds a workload; what is there already stays as it is. Texts are copied. */
struct bh_party *bh_world_add(struct bh_world *world, uint32_t number, const char *namespace,
	const char *kind, const char *name);
/* The same for a pod: numbers of pods and workloads must not meet in one world. */
struct bh_party *bh_world_add_pod(struct bh_world *world, uint32_t number, const char *namespace,
	const char *kind, const char *name);

/* The party of that number; one that nobody named is called unknown-NUMBER. */
struct bh_party *bh_world_party(struct bh_world *world, uint32_t number);
/* The party of that number, or NULL. */
struct bh_party *bh_world_find(const struct bh_world *world, uint32_t number);
/* What stands for a whole namespace; made when first asked for. */
struct bh_party *bh_world_namespace(struct bh_world *world, const char *name);

/* Remembers the label set; the same one twice counts once. */
void bh_party_add_labels(struct bh_party *party, const struct bh_labels *labels);

/* All but those that stand for namespaces; *position begins at 0. NULL at the end. */
const struct bh_party *bh_world_next(const struct bh_world *world, size_t *position);

#endif
