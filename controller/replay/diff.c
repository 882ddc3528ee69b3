/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/diff.h"

#include "controller/model/memory.h"

void bh_replay_diff(const struct bh_replay_edges *edges, const struct bh_replay_world *before,
	const struct bh_replay_world *after, struct bh_replay_diff *ret_diff)
{
	struct bh_replay_diff diff = {0};
	size_t capacity = 0;

	for (size_t i = 0; i < edges->n; i++) {
		struct bh_replay_difference item = {
			.edge = &edges->edges[i],
			.before = bh_replay_judge(before, &edges->edges[i]),
			.after = bh_replay_judge(after, &edges->edges[i]),
		};

		if (!item.before.judged && !item.after.judged) {
			diff.n_unknown++;
			continue;
		}
		if (item.before.denied == item.after.denied) {
			diff.n_same++;
			continue;
		}
		if (item.after.denied)
			diff.n_denied++;
		else
			diff.n_allowed++;
		bh_xgrow(diff.items, diff.n, capacity);
		diff.items[diff.n++] = item;
	}
	*ret_diff = diff;
}
