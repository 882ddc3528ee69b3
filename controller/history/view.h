/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_VIEW_H
#define BULKHEAD_HISTORY_VIEW_H

#include "controller/flows/edges.h"
#include "controller/history/edge.h"

/*
 * Rows of history as edges, the two ends brought together: what bh_edges_view() makes of the
 * kernel's counters. `rows` are in the order of bh_history_compare(). Returns their number;
 * *ret_views is one block to free() and owns everything it points to.
 */
size_t bh_history_view(
	size_t n, const struct bh_history_edge *rows, struct bh_edge_view **ret_views);

#endif
