/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/memory.h"
#include "controller/topology/diff.h"

/* The two of one conversation, or one of them alone, in order. */
static struct bh_diff_pair next_pair(const struct bh_conversations *before,
	const struct bh_conversations *after, size_t *i, size_t *j)
{
	int order = *i == before->n ? 1
		    : *j == after->n
			    ? -1
			    : bh_conversation_compare(&before->items[*i], &after->items[*j]);
	struct bh_diff_pair pair = {0};

	if (order <= 0)
		pair.before = &before->items[(*i)++];
	if (order >= 0)
		pair.after = &after->items[(*j)++];
	return pair;
}

void bh_diff_make(const struct bh_conversations *before, const struct bh_conversations *after,
	const struct bh_filter *filter, bh_filter_text *text, void *text_data,
	struct bh_diff *ret_diff)
{
	struct bh_diff diff = {.pairs = bh_xcalloc(before->n + after->n, sizeof(*diff.pairs))};

	for (size_t i = 0, j = 0; i < before->n || j < after->n;) {
		struct bh_diff_pair pair = next_pair(before, after, &i, &j);

		if (!(pair.before && bh_filter_takes(filter, pair.before, text, text_data)) &&
			!(pair.after && bh_filter_takes(filter, pair.after, text, text_data)))
			continue;
		if (pair.before && pair.after && pair.before->state == pair.after->state) {
			diff.n_same++;
			continue;
		}
		diff.n_new += !pair.before;
		diff.n_vanished += !pair.after;
		diff.n_changed += pair.before && pair.after;
		diff.pairs[diff.n++] = pair;
	}
	*ret_diff = diff;
}
