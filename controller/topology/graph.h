/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_GRAPH_H
#define BULKHEAD_TOPOLOGY_GRAPH_H

/*
 * The graph that is shown: conversations that pass a filter, their ends grouped, and folded until a
 * view holds no more than its reader can take in. What is folded is in what it is folded into:
 * every sum over all nodes and edges is the sum over the conversations, at any limit.
 */

#include "controller/model/arena.h"
#include "controller/topology/filter.h"

enum bh_group {
	BH_GROUP_NAMESPACE, /* but those that are expanded */
	BH_GROUP_WORKLOAD,  /* or pod, if the parties are pods */
	BH_GROUP_LABEL,
};

#define BH_GRAPH_LIMIT_MIN 10
#define BH_GRAPH_LIMIT_MAX 1000
#define BH_GRAPH_LIMIT_DEFAULT 300
#define BH_GRAPH_TOP 8
#define BH_GRAPH_EXPAND_MAX 64

struct bh_graph_query {
	enum bh_group group;
	const char *label; /* key, of BH_GROUP_LABEL */
	size_t n_expanded;
	const char *expanded[BH_GRAPH_EXPAND_MAX];
	size_t limit; /* nodes and edges together */
	const struct bh_filter *filter;
	const struct bh_sight *sight; /* for parties that never spoke */
	bh_filter_text *text;
	void *text_data;
};

struct bh_aggregate {
	uint64_t conversations;
	uint64_t denied; /* conversations in this state */
	uint64_t would_deny;
	uint64_t flows;
	uint64_t flows_denied;
	uint64_t flows_would_deny;
	uint64_t packets_denied;
	uint64_t packets[2];
	uint64_t octets[2];
	uint64_t last_ns;
};
void bh_aggregate_add(struct bh_aggregate *to, const struct bh_conversation *conversation);
void bh_aggregate_merge(struct bh_aggregate *to, const struct bh_aggregate *from);

enum bh_node_type {
	BH_NODE_NAMESPACE,
	BH_NODE_WORKLOAD,
	BH_NODE_POD,
	BH_NODE_LABEL,
	BH_NODE_REST,
};
const char *bh_node_type_word(enum bh_node_type type);

struct bh_graph_node {
	const char *id;
	enum bh_node_type type;
	const char *parent; /* the frame's id, NULL: none */
	bool open;          /* a frame: the namespace's workloads are nodes of their own */
	const char *namespace;
	const char *kind;
	const char *name;
	uint32_t members; /* parties */
	uint32_t pods;
	uint32_t modes[BH_MODE_ENFORCE + 1];
	uint32_t quarantined;
	struct bh_aggregate inside;
};

struct bh_graph_edge {
	const struct bh_graph_node *source;
	const struct bh_graph_node *target;
	enum bh_state state;
	uint8_t app;       /* of all of them; unknown if they differ */
	uint8_t encrypted; /* yes if all are, no if one is not, else unknown */
	struct bh_aggregate sum;
	size_t n_top; /* those that moved most bytes */
	const struct bh_conversation *top[BH_GRAPH_TOP];
};

struct bh_graph {
	struct bh_arena arena;
	size_t n_nodes; /* by id */
	struct bh_graph_node *nodes;
	size_t n_edges; /* by source's id, target's id, state */
	struct bh_graph_edge *edges;
	size_t matched_parties;
	size_t matched_conversations;
	size_t of_conversations;
	size_t folded_nodes;
	size_t folded_namespaces;
};

/*
 * Draws it. Borrows the conversations, and the texts of the parties of `world`; its parties with
 * pods here are nodes even if they never spoke. bh_graph_clear() frees the result.
 */
void bh_graph_make(const struct bh_world *world, const struct bh_conversations *conversations,
	const struct bh_graph_query *query, struct bh_graph *ret_graph);
void bh_graph_clear(struct bh_graph *graph);

/* The id of the edge: free() it. */
char *bh_graph_edge_id(const struct bh_graph_edge *edge);

/* The id of the node a party belongs to if nothing is folded; free() it. */
char *bh_graph_node_id(const struct bh_party *party, const struct bh_graph_query *query);

#endif
