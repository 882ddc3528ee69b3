/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_ANSWER_H
#define BULKHEAD_CLUSTER_ANSWER_H

/* What the nodes' metrics say of a window, all nodes together. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "controller/cluster/promql.h"
#include "controller/model/arena.h"
#include "controller/topology/conversation.h"

/* Who was scraped. */
struct bh_cluster_node {
	const char *name; /* "": never heard in the window */
	struct bh_cluster_target target;
	uint64_t last_ns;  /* when it was last heard; 0: not in the window */
	uint64_t first_ns; /* when the first that it has counted was; 0: nothing yet */
	bool heard;
	bool counting; /* `first_ns` is known */
	bool known;    /* before the window */
	bool fresh;    /* at the end of the window it answers */
	bool stale;    /* … it does not, and nobody else of that name does */
	bool reset;    /* a counter of its went down */
	bool left_out; /* of what is asked of all: its counters are added up here, or are twice */
};

struct bh_cluster_party {
	uint32_t number;
	const char *namespace;
	const char *kind;
	const char *name;
};

struct bh_cluster_answer {
	struct bh_arena arena;
	struct bh_cluster_window window;
	char *error;  /* one line; NULL: the rest is there */
	bool unheard; /* the error is that nobody was scraped then: there is nothing to count */
	bool exact;
	size_t n_nodes; /* by name, job, instance */
	struct bh_cluster_node *nodes;
	size_t n_stale;
	size_t n_notes; /* why it is not exact, and what else is to be known: one line each */
	const char **notes;
	size_t n_parties;
	struct bh_cluster_party *parties;
	/*
	 * Rows as bh_conversations_make() takes them. Their reasons only say if they let through:
	 * metrics have neither reasons nor rules.
	 */
	size_t n_edges;
	struct bh_history_edge *edges;
	/* Where one conversation over time was asked for, instead of edges: by time, none empty. */
	uint64_t step_s;
	size_t n_points;
	const struct bh_history_point *points;
};

void bh_cluster_answer_free(struct bh_cluster_answer *answer);

/* A world of the answer's parties. */
struct bh_world *bh_cluster_world(const struct bh_cluster_answer *answer);

/* Which end lets a conversation through and which does not, one line to free(). */
char *bh_cluster_text(void *data, const struct bh_conversation *conversation);

/*
 * {nodes: [{name, lastSample, stale, …}], stale: n, notes: […]}. Without `targets` not who was
 * scraped, nor the notes, which may name that: not everybody is told.
 */
json_t *bh_cluster_object(const struct bh_cluster_answer *answer, bool targets);

/* The notes in one line, to free(); NULL: there are none. */
char *bh_cluster_note(const struct bh_cluster_answer *answer);

#endif
