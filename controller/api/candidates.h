/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_CANDIDATES_H
#define BULKHEAD_API_CANDIDATES_H

/* The policies that a request wants tried: `manifests` and `delete`. For a thread: see work.h. */

#include "controller/model/arena.h"
#include "controller/replay/world.h"
#include "controller/source/object.h"
#include "controller/topology/conversation.h"

/* Files and removals in one request, and policies in all of its files. */
#define BH_CANDIDATE_FILES_MAX 256
#define BH_CANDIDATES_MAX 1000

struct bh_candidates {
	struct bh_arena arena;
	struct bh_object_list objects;
	json_t *documents; /* holds the specs */
	json_t *skipped;   /* names of the files that have no policy in them */
	size_t n;
	size_t capacity;
	struct bh_replay_change *changes;
};

/*
 * Reads them. `sight` (NULL: everything) bounds whose policies may be tried. Returns an error to
 * answer with, or NULL; bh_candidates_clear() frees in either case.
 */
json_t *bh_candidates_read(struct bh_candidates *candidates, const struct bh_model *model,
	const json_t *request, const struct bh_sight *sight);
void bh_candidates_clear(struct bh_candidates *candidates);

#endif
