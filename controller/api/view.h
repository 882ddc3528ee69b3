/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_API_VIEW_H
#define BULKHEAD_API_VIEW_H

/*
 * What a question about who talks to whom is answered from: a window of time, a filter, and the
 * conversations of that window that its asker may see.
 */

#include "controller/api/common.h"
#include "controller/model/arena.h"
#include "controller/model/table.h"
#include "controller/topology/filter.h"

/*
 * With a begin or an end it is answered from history, and becomes whole spans of what is kept of
 * that time; without, from what the kernel counts.
 */
struct bh_window {
	uint64_t from_ns; /* 0: everything known */
	uint64_t to_ns;   /* exclusive */
	bool given;       /* begin or end */
	bool open;        /* it ends now */
	bool exact;
	const char *note; /* why not, or NULL */
	const struct bh_history_answer
		*history; /* of bh_view_ask(), the call's; NULL: the kernel's */
	const struct bh_cluster_answer *cluster; /* the same: it is of all nodes */
};

struct bh_view {
	struct bh_api *api;
	const struct bh_sight *sight;
	struct bh_window window;
	bool cluster; /* all nodes are asked for */
	struct bh_filter filter;
	struct bh_world *world;
	struct bh_world *earlier_world; /* of a cluster, that of another window */
	struct bh_conversations conversations;
	struct bh_arena arena;
	struct bh_table texts; /* what decides → its line, computed once */
};

/* What conversations are between. */
enum bh_view_ends {
	BH_VIEW_WORKLOADS,
	BH_VIEW_PODS, /* from what history has of flow records: not exact. Without a window, all of
			 it */
};

/* Reads `from`, `to`, `last` of a request. Returns an error to answer with, or NULL. */
json_t *bh_view_window(
	const json_t *request, const char *from, const char *to, struct bh_window *ret_window);
/* Reads the conditions of a request into `filter`. */
json_t *bh_view_filter(const json_t *request, struct bh_filter *filter);

/*
 * Reads `scope`, once window and filter are read: "node", or "cluster". Of a cluster there are
 * workloads only, and without a begin the last hour.
 */
json_t *bh_view_scope(const json_t *request, struct bh_view *view);

/*
 * Gets what the view, and `earlier` (NULL: nothing) with the same parties, is made of; over as many
 * turns as it takes: false means return NULL and be called again. True: *ret_error is to be
 * answered, or all is there. Where `earlier` ends when the view's window begins it ends at the same
 * span.
 */
bool bh_view_ask(struct bh_view *view, struct bh_control_call *call, enum bh_view_ends ends,
	struct bh_window *earlier, json_t **ret_error);
/*
 * The same for one edge of a cluster over time, once bh_view_ask() has what the view is made of:
 * `edge` are its matchers (cluster/promql.h). *ret_window has the answer.
 */
bool bh_view_ask_edge(struct bh_view *view, struct bh_control_call *call, const char *edge,
	struct bh_window *ret_window, json_t **ret_error);
/* As bh_api_elsewhere(), once bh_view_ask() has everything; arguments as of bh_view_fill(). */
bool bh_view_elsewhere(const struct bh_view *view, struct bh_control_call *call,
	bh_api_command *command, enum bh_view_ends ends, bool with_labels);
/*
 * Fills the view for its window. `with_labels`: parties know their pods' labels, which costs a walk
 * over all pods. bh_view_clear() frees, also what was never filled.
 */
void bh_view_fill(struct bh_view *view, enum bh_view_ends ends, bool with_labels);
/* What of that is of pods; bh_view_fill() calls it. */
void bh_view_fill_pods(struct bh_view *view);
/* Those of another window, of the same parties: bh_conversations_clear() frees. Once. */
void bh_view_conversations(struct bh_view *view, const struct bh_window *window,
	struct bh_conversations *ret_conversations);
void bh_view_clear(struct bh_view *view);

/* Why a conversation is in its state, one line; "" if only a hidden end decides. The view's. */
const char *bh_view_text(struct bh_view *view, const struct bh_conversation *conversation);
/* The same as a bh_filter_text, with the view as data. */
char *bh_view_text_of(void *data, const struct bh_conversation *conversation);
/* Why a verdict on a workload was reached; workload or pod as the view has it. The view's. */
const char *bh_view_decision(
	struct bh_view *view, uint32_t reason, uint32_t rule, bool egress, uint32_t workload);
/* The same of one end, in force or pending. */
const char *bh_view_row_text(struct bh_view *view, const struct bh_history_edge *row, bool pending);

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *bh_json_window(const struct bh_window *window);
/* Of an answer that is of a cluster: who was asked, and who did not answer. */
void bh_view_set_cluster(const struct bh_view *view, json_t *answer);
json_t *bh_view_conversation(struct bh_view *view, const struct bh_conversation *conversation);

#endif
