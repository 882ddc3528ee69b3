/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/replay/diff.h"

#include "controller/model/memory.h"

static enum bh_replay_change_of change_of(
	const struct bh_replay_verdict *before, const struct bh_replay_verdict *after)
{
	if (!before->judged && !after->judged)
		return BH_REPLAY_GONE;
	if (before->denied == after->denied)
		return BH_REPLAY_SAME;
	return after->denied ? BH_REPLAY_NEWLY_DENIED : BH_REPLAY_NEWLY_ALLOWED;
}

void bh_replay_diff(const struct bh_replay_edges *edges, const struct bh_replay_world *before,
	const struct bh_replay_world *after, struct bh_replay_diff *ret_diff)
{
	struct bh_replay_diff diff = {.changes = bh_xcalloc(edges->n, sizeof(*diff.changes))};
	size_t capacity = 0;

	for (size_t i = 0; i < edges->n; i++) {
		struct bh_replay_difference item = {
			.edge = &edges->edges[i],
			.before = bh_replay_judge(before, &edges->edges[i]),
			.after = bh_replay_judge(after, &edges->edges[i]),
		};

		item.change = change_of(&item.before, &item.after);
		diff.changes[i] = (uint8_t)item.change;
		if (item.change == BH_REPLAY_SAME || item.change == BH_REPLAY_GONE)
			continue;
		bh_xgrow(diff.items, diff.n, capacity);
		diff.items[diff.n++] = item;
	}
	*ret_diff = diff;
}

void bh_replay_diff_clear(struct bh_replay_diff *diff)
{
	free(diff->items);
	free(diff->changes);
	*diff = (struct bh_replay_diff){0};
}
