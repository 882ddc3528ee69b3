/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_DIFF_H
#define BULKHEAD_REPLAY_DIFF_H

/* What a change of policies would do to what was seen. Pure. */

#include "controller/replay/world.h"

enum bh_replay_change_of {
	BH_REPLAY_SAME,
	BH_REPLAY_NEWLY_DENIED,
	BH_REPLAY_NEWLY_ALLOWED,
	BH_REPLAY_GONE, /* without a pod that still exists: nobody can be asked */
	BH_REPLAY_CHANGES,
};

struct bh_replay_difference {
	const struct bh_replay_edge *edge;
	enum bh_replay_change_of change; /* newly denied or newly allowed */
	struct bh_replay_verdict before;
	struct bh_replay_verdict after;
};

struct bh_replay_diff {
	size_t n; /* in the order of the edges */
	struct bh_replay_difference *items;
	uint8_t *changes; /* enum bh_replay_change_of, of each edge */
};

/* The edges whose answer is another one in `after`. bh_replay_diff_clear()
 * frees. */
void bh_replay_diff(const struct bh_replay_edges *edges, const struct bh_replay_world *before,
	const struct bh_replay_world *after, struct bh_replay_diff *ret_diff);
void bh_replay_diff_clear(struct bh_replay_diff *diff);

#endif
