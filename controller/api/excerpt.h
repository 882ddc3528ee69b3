/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_EXCERPT_H
#define BULKHEAD_API_EXCERPT_H

/*
 * What of the controller a thread is given to look at: the cluster, what is compiled, names and
 * edges as they were at one moment. Taking it costs the loop a millisecond or two with 10,000 pods
 * and as many edges: lists are copied, and what they list is shared.
 */

#include "controller/api/api.h"
#include "controller/model/frozen.h"

enum bh_excerpt_part {
	BH_EXCERPT_PODS = 1 << 0,  /* the model has pods and slices */
	BH_EXCERPT_EDGES = 1 << 1, /* what the kernel counts */
};

struct bh_excerpt {
	struct bh_api api; /* what is not in the excerpt is NULL */
	unsigned int parts;
	struct bh_desired *desired;
	struct bh_frozen *frozen;
};

/* On the loop's thread. `parts`: of enum bh_excerpt_part, besides the rest. */
void bh_excerpt_take(struct bh_excerpt *excerpt, const struct bh_api *api, unsigned int parts);
/* On the other one: excerpt->api has a model between these two. */
void bh_excerpt_enter(struct bh_excerpt *excerpt);
void bh_excerpt_leave(struct bh_excerpt *excerpt);
/* On the loop's, when the other one is done, or never began. */
void bh_excerpt_release(struct bh_excerpt *excerpt);

#endif
