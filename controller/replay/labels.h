/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_LABELS_H
#define BULKHEAD_REPLAY_LABELS_H

/* The labels by which a policy should name a workload. */

#include "controller/compile/desired.h"
#include "controller/model/arena.h"
#include "controller/model/model.h"

struct bh_replay_labels {
	size_t n; /* 0: all its pods have nothing stable in common */
	const struct bh_label *items;
	bool others; /* they select pods of other workloads of the namespace too */
	bool exists; /* the workload has pods at all */
};

/*
 * Those that all pods of the workload have, without what changes from one roll-out or pod to the
 * next; of these the well-known ones (app.kubernetes.io/name, app, k8s-app, …) if they tell the
 * workload from the others of its namespace, else all.
 */
struct bh_replay_labels bh_replay_labels_of(struct bh_arena *arena, const struct bh_model *model,
	const struct bh_desired_workload *workload);

/* True if the labels select any pod of the workload. */
bool bh_replay_labels_select(const struct bh_model *model, const char *namespace,
	const struct bh_replay_labels *labels, const struct bh_desired_workload *workload);

#endif
