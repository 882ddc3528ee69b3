/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_WORLD_H
#define BULKHEAD_REPLAY_WORLD_H

/*
 * The cluster as it is, under policies as they might be, asked about what was seen. The answers
 * come from the real compiler's programs, looked up as the kernel looks them up.
 *
 * What is asked is what the policies say: modes, of whatever level, and quarantines are left out of
 * it, as if everything were enforced; bh_replay_world_in_force() has them in it. Every pod of a
 * workload that was seen is judged as if it were on one node, so both ends answer wherever they
 * run; of pods with the same labels and ports one stands for all.
 *
 * A service is each of its backends: what one of them denies is denied.
 *
 * Pure. The edges and the model are borrowed.
 */

#include "controller/compile/compile.h"
#include "controller/replay/edge.h"

struct bh_replay_world;

/* A policy that is put into the world or taken out of it. */
struct bh_replay_change {
	const char *namespace; /* "": a ClusterNetworkPolicy */
	const char *name;
	const char *mode; /* its own annotation; NULL: none */
	json_t *spec;     /* NULL: taken out. Referenced */
};

struct bh_replay_world *bh_replay_world_new(const struct bh_model *model,
	const struct bh_replay_edges *edges, size_t n_changes,
	const struct bh_replay_change *changes);
/*
 * The same with modes and quarantines as they are: what is denied in it is dropped. The node's
 * mode, and what was set by command, is this node's; other nodes' are not known.
 */
struct bh_replay_world *bh_replay_world_in_force(const struct bh_model *model,
	const struct bh_replay_edges *edges, size_t n_changes,
	const struct bh_replay_change *changes);
void bh_replay_world_free(struct bh_replay_world *world);

/* True if the model has a policy of that name, before any change. */
bool bh_replay_has_policy(const struct bh_model *model, const char *namespace, const char *name);

/* What is wrong with that policy, as the compiler says; NULL: nothing. */
const char *bh_replay_fault(
	const struct bh_replay_world *world, const char *namespace, const char *name);

struct bh_replay_verdict {
	bool judged;      /* false: no pod of either end exists any more, nobody is asked */
	bool allowed;     /* for every pod, address and end */
	bool denied;      /* for some at least */
	bool egress;      /* the end that denies, or else that a rule allows */
	uint32_t rule;    /* that decided there; BH_RULE_NONE */
	const char *text; /* one line: why, valid as long as the world */
};

struct bh_replay_verdict bh_replay_judge(
	const struct bh_replay_world *world, const struct bh_replay_edge *edge);

/* How the pods of one end stand, in a world of bh_replay_world_in_force(). */
struct bh_replay_standing {
	unsigned int modes; /* a bit for each enum bh_mode that one of them is in */
	bool quarantined;   /* some are */
};

struct bh_replay_standing bh_replay_stands(
	const struct bh_replay_world *world, const struct bh_replay_edge *edge, bool egress);

#endif
