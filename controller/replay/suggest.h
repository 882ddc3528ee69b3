/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_SUGGEST_H
#define BULKHEAD_REPLAY_SUGGEST_H

/*
 * Least-privilege NetworkPolicies from what was seen: one per workload, with a rule for each set of
 * ports it was spoken to at, or spoke to, and by whom. What looks like no ordinary conversation
 * (was denied, was never answered, a scan), and what a NetworkPolicy cannot say, is left out and
 * listed, for the operator to approve or reject.
 *
 * What was spoken to at a service's address is named by the workloads behind it.
 *
 * Nothing that is in the suggestion is denied by it: each conversation is asked of the compiler
 * under the suggested policies before it is called approved.
 *
 * Pure; the model and the edges are borrowed.
 */

#include "controller/replay/world.h"

enum bh_suggest_fate {
	BH_SUGGEST_INCLUDED,
	BH_SUGGEST_REJECTED,   /* by the operator */
	BH_SUGGEST_DENIED,     /* was denied when last seen */
	BH_SUGGEST_WOULD_DENY, /* … by a policy in dry-run */
	BH_SUGGEST_SCAN,       /* more ports than a conversation has */
	BH_SUGGEST_UNANSWERED, /* TCP without an answer, or refused */
	BH_SUGGEST_UNNAMED,    /* an end without labels to name it by, or of unknown addresses */
	BH_SUGGEST_NO_PORTS,   /* ICMP and the like: only a rule for every port allows them */
	BH_SUGGEST_GONE,       /* no pod of an end exists any more */
	BH_SUGGEST_ELSEWHERE,  /* nothing of it is the namespace's, or policy has no say in it */
	BH_SUGGEST_FATES,
};

/* "denied", "scan", …, and a sentence for people. */
const char *bh_suggest_word(enum bh_suggest_fate fate);
const char *bh_suggest_sentence(enum bh_suggest_fate fate);

struct bh_suggest_edge {
	const struct bh_replay_edge *edge;
	char id[BH_REPLAY_ID_MAX];
	enum bh_suggest_fate fate;
};

struct bh_suggest_policy {
	const char *namespace;
	const char *name;
	json_t *manifest; /* the NetworkPolicy */
	const char *yaml; /* the same with its comments, "---" in front */
};

struct bh_suggestion {
	struct bh_arena arena;
	size_t n_edges; /* as the edges were given */
	struct bh_suggest_edge *edges;
	size_t n_policies; /* by namespace and name */
	struct bh_suggest_policy *policies;
};

struct bh_suggest_query {
	const struct bh_model *model;
	const struct bh_replay_edges *edges;
	const char *namespace; /* NULL: every one */
	/* What the operator said before: ids. Either may be NULL. */
	bool (*approved)(void *data, const char *id);
	bool (*rejected)(void *data, const char *id);
	void *data;
};

struct bh_suggestion *bh_suggest(const struct bh_suggest_query *query);
void bh_suggestion_free(struct bh_suggestion *suggestion);

#endif
