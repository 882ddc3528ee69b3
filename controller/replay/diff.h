/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_DIFF_H
#define BULKHEAD_REPLAY_DIFF_H

/* What a change of policies would do to what was seen. Pure. */

#include "controller/replay/world.h"

struct bh_replay_difference {
	const struct bh_replay_edge *edge;
	struct bh_replay_verdict before;
	struct bh_replay_verdict after;
};

struct bh_replay_diff {
	size_t n; /* in the order of the edges */
	struct bh_replay_difference *items;
	size_t n_denied;  /* of them: newly denied */
	size_t n_allowed; /* newly allowed */
	size_t n_same;    /* edges whose answer stays */
	size_t n_unknown; /* edges without a pod that still exists: nobody can be asked */
};

/* The edges whose answer is another one in `after`. Free diff->items. */
void bh_replay_diff(const struct bh_replay_edges *edges, const struct bh_replay_world *before,
	const struct bh_replay_world *after, struct bh_replay_diff *ret_diff);

#endif
