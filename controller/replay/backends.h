/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_BACKENDS_H
#define BULKHEAD_REPLAY_BACKENDS_H

/*
 * What was spoken to at a service's address was a backend at its own port, and policy is asked, and
 * made, about that one: a NetworkPolicy cannot name a Service, and its address means nothing once
 * kube-proxy has rewritten it.
 */

#include "controller/model/model.h"
#include "controller/replay/edge.h"

/*
 * Finds the backends of every edge whose server is a Service, as the model has them now. An edge
 * whose service is gone, or has none there any more, keeps none. They live as long as the edges.
 */
void bh_replay_edges_resolve(struct bh_replay_edges *edges, const struct bh_model *model);

/* True if the edge's server is a Service, with or without backends. */
bool bh_replay_is_service(const struct bh_desired_workload *workload);

/*
 * The edge as it went on: [0] itself where the server is no service, else one for each backend.
 * Returns how many there are; *ret_edge is set if `index` is less.
 */
size_t bh_replay_behind(
	const struct bh_replay_edge *edge, size_t index, struct bh_replay_edge *ret_edge);

#endif
