/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/topology/fold.h"
#include "proto/cleanup.h"

void bh_aggregate_add(struct bh_aggregate *to, const struct bh_conversation *conversation)
{
	const struct bh_aggregate one = {
		.conversations = 1,
		.denied = conversation->state == BH_STATE_DENIED,
		.would_deny = conversation->state == BH_STATE_WOULD_DENY,
		.flows = conversation->counts.flows,
		.flows_denied = conversation->flows_denied,
		.flows_would_deny = conversation->flows_would_deny,
		.packets_denied = conversation->packets_denied,
		.packets = {conversation->counts.packets[0], conversation->counts.packets[1]},
		.octets = {conversation->counts.octets[0], conversation->counts.octets[1]},
		.last_ns = conversation->counts.last_ns,
	};

	bh_aggregate_merge(to, &one);
}

void bh_aggregate_merge(struct bh_aggregate *to, const struct bh_aggregate *from)
{
	to->conversations += from->conversations;
	to->denied += from->denied;
	to->would_deny += from->would_deny;
	to->flows += from->flows;
	to->flows_denied += from->flows_denied;
	to->flows_would_deny += from->flows_would_deny;
	to->packets_denied += from->packets_denied;
	for (int i = 0; i < 2; i++) {
		to->packets[i] += from->packets[i];
		to->octets[i] += from->octets[i];
	}
	if (from->last_ns > to->last_ns)
		to->last_ns = from->last_ns;
}

const char *bh_node_type_word(enum bh_node_type type)
{
	static const char *const words[] = {
		[BH_NODE_NAMESPACE] = "namespace",
		[BH_NODE_WORKLOAD] = "workload",
		[BH_NODE_POD] = "pod",
		[BH_NODE_LABEL] = "label",
		[BH_NODE_REST] = "rest",
	};

	return words[type];
}

char *bh_graph_edge_id(const struct bh_graph_edge *edge)
{
	return bh_xasprintf(
		"%s > %s %s", edge->source->id, edge->target->id, bh_state_word(edge->state));
}

/* ---- Grouping -------------------------------------------------------------------------------- */

static bool is_expanded(const struct bh_graph_query *query, const char *namespace)
{
	for (size_t i = 0; i < query->n_expanded; i++) {
		if (strcmp(query->expanded[i], namespace) == 0)
			return true;
	}
	return false;
}

/* True if the party lies open in the frame of its namespace. */
static bool is_framed(const struct bh_party *party, const struct bh_graph_query *query)
{
	return *party->namespace && !party->is_namespace && query->group != BH_GROUP_LABEL &&
	       (query->group != BH_GROUP_NAMESPACE || is_expanded(query, party->namespace));
}

/* The label's value where all its pods that have it agree; NULL: none has it. */
static const char *label_of(const struct bh_party *party, const char *key)
{
	const char *least = NULL;

	for (size_t i = 0; i < party->n_labels; i++) {
		const char *value = bh_labels_get(party->labels[i], key);

		if (value && (!least || strcmp(value, least) < 0))
			least = value;
	}
	return least;
}

/* What a party is shown as when there is room. */
struct naming {
	enum bh_node_type type;
	char *id;
	const char *name;
};

static struct naming naming_of(const struct bh_party *party, const struct bh_graph_query *query)
{
	enum bh_node_type alone = party->is_namespace ? BH_NODE_NAMESPACE
				  : party->is_pod     ? BH_NODE_POD
						      : BH_NODE_WORKLOAD;
	const char *value;

	if (query->group == BH_GROUP_LABEL && *party->namespace && !party->is_namespace) {
		value = label_of(party, query->label);
		return (struct naming){BH_NODE_LABEL,
			bh_xasprintf(
				"label:%s%s%s", query->label, value ? "=" : "", value ? value : ""),
			value ? value : ""};
	}
	if (query->group == BH_GROUP_NAMESPACE && *party->namespace && !is_framed(party, query))
		return (struct naming){BH_NODE_NAMESPACE, bh_xasprintf("ns:%s", party->namespace),
			party->namespace};
	return (struct naming){alone, bh_xstrdup(party->id), party->name};
}

char *bh_graph_node_id(const struct bh_party *party, const struct bh_graph_query *query)
{
	return naming_of(party, query).id;
}

/* A point with what its node will say; the first member, so that it is one. */
struct member {
	const struct bh_party *party;
	uint32_t point;
};

struct drawing {
	const struct bh_graph_query *query;
	struct bh_graph *graph;
	struct bh_table members;   /* party → member */
	struct bh_table points_by; /* id → index + 1 */
	size_t n_points;
	size_t capacity;
	struct bh_point *points;
	struct bh_graph_node *drafts; /* by point: what they are alone */
	size_t n_members;
	size_t members_capacity;
	struct member **all;
	/* The conversations that are shown. */
	size_t n_shown;
	const struct bh_conversation **shown;
	size_t n_lines;
	struct bh_line *lines;
};

static uint32_t add_point(struct drawing *drawing, const struct bh_party *party)
{
	struct bh_arena *arena = &drawing->graph->arena;
	struct naming naming = naming_of(party, drawing->query);
	_cleanup_free_ char *id = naming.id;
	void *known = bh_table_get(&drawing->points_by, id, strlen(id) + 1);
	struct bh_point *point;
	struct bh_graph_node *draft;
	bool alone = naming.type == BH_NODE_WORKLOAD || naming.type == BH_NODE_POD;

	if (known)
		return (uint32_t)((uintptr_t)known - 1);
	if (drawing->n_points == drawing->capacity) {
		drawing->capacity = drawing->capacity ? drawing->capacity * 2 : 64;
		drawing->points = bh_xreallocarray(
			drawing->points, drawing->capacity, sizeof(*drawing->points));
		drawing->drafts = bh_xreallocarray(
			drawing->drafts, drawing->capacity, sizeof(*drawing->drafts));
	}
	point = &drawing->points[drawing->n_points];
	draft = &drawing->drafts[drawing->n_points++];
	*point = (struct bh_point){
		.id = bh_arena_strdup(arena, id),
		.frame = is_framed(party, drawing->query)
				 ? bh_arena_printf(arena, "ns:%s", party->namespace)
				 : NULL,
		.namespace = bh_arena_strdup(arena, party->namespace),
		.loops = alone,
	};
	*draft = (struct bh_graph_node){
		.id = point->id,
		.type = naming.type,
		.namespace = naming.type == BH_NODE_LABEL ? "" : point->namespace,
		.kind = alone ? bh_arena_strdup(arena, party->kind) : "",
		.name = bh_arena_strdup(arena, naming.name),
	};
	bh_table_put(&drawing->points_by, point->id, strlen(point->id) + 1,
		(void *)(uintptr_t)drawing->n_points);
	return (uint32_t)(drawing->n_points - 1);
}

static uint32_t point_of(struct drawing *drawing, const struct bh_party *party)
{
	struct member *member = bh_table_get(&drawing->members, &party, sizeof(const void *));

	if (member)
		return member->point;
	member = bh_arena_new(&drawing->graph->arena, struct member);
	member->party = party;
	member->point = add_point(drawing, party);
	bh_table_put(&drawing->members, &member->party, sizeof(const void *), member);
	bh_xgrow(drawing->all, drawing->n_members, drawing->members_capacity);
	drawing->all[drawing->n_members++] = member;
	return member->point;
}

static void collect(struct drawing *drawing, const struct bh_world *world,
	const struct bh_conversations *conversations)
{
	const struct bh_graph_query *query = drawing->query;
	const struct bh_party *party;

	drawing->shown = bh_xcalloc(conversations->n, sizeof(*drawing->shown));
	for (size_t i = 0; i < conversations->n; i++) {
		const struct bh_conversation *conversation = &conversations->items[i];
		uint32_t ends[2];

		if (!bh_filter_takes(query->filter, conversation, query->text, query->text_data))
			continue;
		drawing->shown[drawing->n_shown++] = conversation;
		ends[0] = point_of(drawing, conversation->client);
		ends[1] = point_of(drawing, conversation->server);
		for (int end = 0; end < (ends[0] == ends[1] ? 1 : 2); end++)
			bh_aggregate_add(&drawing->points[ends[end]].touching, conversation);
	}
	drawing->graph->of_conversations = conversations->n;
	drawing->graph->matched_conversations = drawing->n_shown;
	/* Pods of this node are there even if they never spoke. */
	for (size_t at = 0; (party = bh_world_next(world, &at));) {
		if (party->pods > 0 && !bh_filter_asks_conversation(query->filter) &&
			bh_filter_takes_party(query->filter, party) && *party->namespace &&
			bh_sight_sees(query->sight, party->namespace))
			point_of(drawing, party);
	}
	drawing->graph->matched_parties = drawing->n_members;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct bh_line));
}

/* Distinct ones; their order means nothing. */
static void draw_lines(struct drawing *drawing)
{
	size_t n = 0;

	drawing->lines = bh_xcalloc(drawing->n_shown, sizeof(*drawing->lines));
	for (size_t i = 0; i < drawing->n_shown; i++) {
		const struct bh_conversation *conversation = drawing->shown[i];

		drawing->lines[i] = (struct bh_line){
			.source = point_of(drawing, conversation->client),
			.target = point_of(drawing, conversation->server),
			.state = conversation->state,
		};
	}
	qsort(drawing->lines, drawing->n_shown, sizeof(*drawing->lines), compare_lines);
	for (size_t i = 0; i < drawing->n_shown; i++) {
		if (i == 0 || compare_lines(&drawing->lines[i - 1], &drawing->lines[i]) != 0)
			drawing->lines[n++] = drawing->lines[i];
	}
	drawing->n_lines = n;
}

/* ---- Nodes ----------------------------------------------------------------------------------- */

struct finished {
	struct bh_table by_id; /* id → node */
	size_t n;
	struct bh_graph_node *nodes;
};

static struct bh_graph_node *add_node(struct finished *to, const struct bh_graph_node *draft)
{
	struct bh_graph_node *node = bh_table_get(&to->by_id, draft->id, strlen(draft->id) + 1);

	if (node)
		return node;
	node = &to->nodes[to->n++];
	*node = *draft;
	bh_table_put(&to->by_id, node->id, strlen(node->id) + 1, node);
	return node;
}

static void add_frame(struct finished *to, const struct bh_point *point)
{
	const struct bh_graph_node frame = {
		.id = point->frame,
		.type = BH_NODE_NAMESPACE,
		.open = true,
		.namespace = point->namespace,
		.kind = "",
		.name = point->namespace,
	};

	add_node(to, &frame);
}

/* The node that the point has become. */
static struct bh_graph_node *settle(
	struct drawing *drawing, struct finished *to, size_t at, const struct bh_place *place)
{
	const struct bh_point *point = &drawing->points[at];
	struct bh_graph_node draft = drawing->drafts[at];

	draft.id = place->id;
	draft.parent = place->frame;
	if (place->rest || place->closed) {
		draft.type = place->rest ? BH_NODE_REST : BH_NODE_NAMESPACE;
		draft.kind = "";
		draft.namespace = place->rest && !place->frame ? "" : point->namespace;
		draft.name = draft.namespace;
	}
	if (place->frame)
		add_frame(to, point);
	return add_node(to, &draft);
}

static void add_member(struct bh_graph_node *node, const struct bh_party *party)
{
	node->members++;
	node->pods += party->pods;
	node->quarantined += party->quarantined;
	for (int mode = 0; mode <= BH_MODE_ENFORCE; mode++)
		node->modes[mode] += party->modes[mode];
}

static int compare_nodes(const void *a, const void *b)
{
	const struct bh_graph_node *x = a;
	const struct bh_graph_node *y = b;

	return strcmp(x->id, y->id);
}

/* Fills the graph's nodes, sorted; *ret_node_of is the node of each point: free() it. */
static void make_nodes(struct drawing *drawing, const struct bh_folding *folding,
	struct bh_graph_node ***ret_node_of)
{
	struct bh_graph *graph = drawing->graph;
	struct finished to = {
		.nodes = bh_xcalloc(2 * drawing->n_points, sizeof(*to.nodes)),
	};
	struct bh_graph_node **node_of =
		bh_xcalloc(drawing->n_points, sizeof(struct bh_graph_node *));

	for (size_t i = 0; i < drawing->n_points; i++)
		settle(drawing, &to, i, &folding->places[i]);
	qsort(to.nodes, to.n, sizeof(*to.nodes), compare_nodes);
	bh_table_clear(&to.by_id);
	for (size_t i = 0; i < to.n; i++)
		bh_table_put(&to.by_id, to.nodes[i].id, strlen(to.nodes[i].id) + 1, &to.nodes[i]);
	for (size_t i = 0; i < drawing->n_points; i++)
		node_of[i] = bh_table_get(
			&to.by_id, folding->places[i].id, strlen(folding->places[i].id) + 1);
	for (size_t i = 0; i < drawing->n_members; i++) {
		struct bh_graph_node *node = node_of[drawing->all[i]->point];

		add_member(node, drawing->all[i]->party);
		if (node->parent)
			add_member(bh_table_get(&to.by_id, node->parent, strlen(node->parent) + 1),
				drawing->all[i]->party);
	}
	bh_table_clear(&to.by_id);
	graph->nodes = to.nodes;
	graph->n_nodes = to.n;
	*ret_node_of = node_of;
}

/* ---- Edges ----------------------------------------------------------------------------------- */

struct strand {
	const struct bh_graph_node *source;
	const struct bh_graph_node *target;
	const struct bh_conversation *conversation;
};

/* Nodes are sorted by id: so are their addresses. The most bytes first. */
static int compare_strands(const void *a, const void *b)
{
	const struct strand *x = a;
	const struct strand *y = b;
	const struct bh_history_counts *m = &x->conversation->counts;
	const struct bh_history_counts *n = &y->conversation->counts;

	if (x->source != y->source)
		return x->source < y->source ? -1 : 1;
	if (x->target != y->target)
		return x->target < y->target ? -1 : 1;
	if (x->conversation->state != y->conversation->state)
		return x->conversation->state < y->conversation->state ? -1 : 1;
	if (m->octets[0] + m->octets[1] != n->octets[0] + n->octets[1])
		return m->octets[0] + m->octets[1] > n->octets[0] + n->octets[1] ? -1 : 1;
	return bh_conversation_compare(x->conversation, y->conversation);
}

static bool is_alone(const struct bh_graph_node *node)
{
	return node->type == BH_NODE_WORKLOAD || node->type == BH_NODE_POD;
}

static void add_strand(struct bh_graph_edge *edge, const struct bh_conversation *conversation)
{
	bool first = edge->sum.conversations == 0;
	const struct bh_talk *talk = &conversation->talk;

	if (first) {
		edge->app = talk->app;
		edge->encrypted = talk->encrypted;
	}
	if (edge->app != talk->app)
		edge->app = BH_APP_UNKNOWN;
	if (talk->encrypted == BH_ENCRYPTED_NO)
		edge->encrypted = BH_ENCRYPTED_NO;
	else if (edge->encrypted != BH_ENCRYPTED_NO && edge->encrypted != talk->encrypted)
		edge->encrypted = BH_ENCRYPTED_UNKNOWN;
	if (edge->n_top < BH_GRAPH_TOP)
		edge->top[edge->n_top++] = conversation;
	bh_aggregate_add(&edge->sum, conversation);
}

static void make_edges(struct drawing *drawing, struct bh_graph_node *const *node_of)
{
	struct bh_graph *graph = drawing->graph;
	_cleanup_free_ struct strand *strands = bh_xcalloc(drawing->n_shown, sizeof(*strands));
	struct bh_graph_edge *edge = NULL;
	size_t n = 0;

	for (size_t i = 0; i < drawing->n_shown; i++) {
		const struct bh_conversation *conversation = drawing->shown[i];
		struct bh_graph_node *source = node_of[point_of(drawing, conversation->client)];
		struct bh_graph_node *target = node_of[point_of(drawing, conversation->server)];

		if (source == target && !is_alone(source))
			bh_aggregate_add(&source->inside, conversation);
		else
			strands[n++] = (struct strand){source, target, conversation};
	}
	qsort(strands, n, sizeof(*strands), compare_strands);
	graph->edges = bh_xcalloc(n, sizeof(*graph->edges));
	for (size_t i = 0; i < n; i++) {
		const struct strand *strand = &strands[i];

		if (!edge || edge->source != strand->source || edge->target != strand->target ||
			edge->state != strand->conversation->state) {
			edge = &graph->edges[graph->n_edges++];
			edge->source = strand->source;
			edge->target = strand->target;
			edge->state = strand->conversation->state;
		}
		add_strand(edge, strand->conversation);
	}
}

void bh_graph_make(const struct bh_world *world, const struct bh_conversations *conversations,
	const struct bh_graph_query *query, struct bh_graph *ret_graph)
{
	struct drawing drawing = {.query = query, .graph = ret_graph};
	_cleanup_free_ struct bh_graph_node **node_of = NULL;
	struct bh_folding folding;

	*ret_graph = (struct bh_graph){0};
	collect(&drawing, world, conversations);
	draw_lines(&drawing);
	bh_fold(&ret_graph->arena, drawing.n_points, drawing.points, drawing.n_lines, drawing.lines,
		query->limit, &folding);
	ret_graph->folded_nodes = folding.folded_points;
	ret_graph->folded_namespaces = folding.folded_frames;
	make_nodes(&drawing, &folding, &node_of);
	make_edges(&drawing, node_of);

	bh_table_clear(&drawing.members);
	bh_table_clear(&drawing.points_by);
	free(folding.places);
	free(drawing.points);
	free(drawing.drafts);
	free(drawing.all);
	free(drawing.shown);
	free(drawing.lines);
}

void bh_graph_clear(struct bh_graph *graph)
{
	free(graph->nodes);
	free(graph->edges);
	bh_arena_clear(&graph->arena);
	*graph = (struct bh_graph){0};
}
