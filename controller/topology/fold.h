/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_FOLD_H
#define BULKHEAD_TOPOLOGY_FOLD_H

/*
 * Level of detail. Points (the nodes that grouping has made) and lines between them come in; which
 * points stay on their own, and which become part of what, comes out.
 *
 * There is an order of importance. As many of the most important points as fit stay; the others of
 * each namespace become one rest. Should even none of them fit, namespaces are closed, and as many
 * as fit stay. How many is found by bisection, and the choice is counted out before it is taken, so
 * the bound holds whatever the lines look like.
 */

#include "controller/topology/graph.h"

struct bh_point {
	const char *id;
	const char *frame;            /* id of the open namespace it lies in, NULL: none */
	const char *namespace;        /* the frame's name */
	bool loops;                   /* what it says to itself is an edge: it is one party */
	struct bh_aggregate touching; /* everything that begins or ends here */
};

struct bh_line {
	uint32_t source; /* indices of points */
	uint32_t target;
	enum bh_state state;
};

/* What a point has become. */
struct bh_place {
	const char *id;
	const char *frame; /* NULL: none */
	bool rest;         /* stands for those that were folded */
	bool closed;       /* is the frame itself, closed */
};

struct bh_folding {
	struct bh_place *places; /* one for each point: free() */
	size_t folded_points;
	size_t folded_frames;
};

/*
 * Texts are made in `arena`. `lines` are distinct. The result holds at most `limit` nodes, frames
 * and edges, if limit ≥ BH_GRAPH_LIMIT_MIN.
 */
void bh_fold(struct bh_arena *arena, size_t n_points, const struct bh_point *points, size_t n_lines,
	const struct bh_line *lines, size_t limit, struct bh_folding *ret_folding);

#endif
