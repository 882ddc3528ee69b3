/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_DIFF_H
#define BULKHEAD_TOPOLOGY_DIFF_H

/* What two windows do not have in common. */

#include "controller/topology/filter.h"

struct bh_diff_pair {
	const struct bh_conversation *before; /* NULL: new */
	const struct bh_conversation *after;  /* NULL: vanished */
};

struct bh_diff {
	size_t n_new;
	size_t n_vanished;
	size_t n_changed; /* seen in both, in another state */
	size_t n_same;
	size_t n; /* new, vanished and changed ones, by conversation */
	struct bh_diff_pair *pairs;
};

/*
 * Compares; what the filter takes in neither window is not looked at. Conversations are the same if
 * their ends are called so, and are borrowed. free() pairs.
 */
void bh_diff_make(const struct bh_conversations *before, const struct bh_conversations *after,
	const struct bh_filter *filter, bh_filter_text *text, void *text_data,
	struct bh_diff *ret_diff);

#endif
