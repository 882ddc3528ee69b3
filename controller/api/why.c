/* SPDX-License-Identifier: Apache-2.0 */

/* Conversations one by one: the list of them, why one is in its state, and how it went over time.
 */

#include <string.h>

#include "controller/api/view.h"
#include "controller/cluster/answer.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/graph.h"
#include "proto/cleanup.h"

#define LIST_LIMIT 1000
#define OFFSET_MAX 1000000

/* ---- List ------------------------------------------------------------------------------------ */

struct listing {
	struct bh_view view;
	const char *client;
	const char *server;
	const char *sort;
	uint64_t offset;
	uint64_t limit;
};

static void listing_cleanup(struct listing *listing)
{
	bh_view_clear(&listing->view);
}

static int order(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int by_name(const void *a, const void *b)
{
	return bh_conversation_compare(
		*(struct bh_conversation *const *)a, *(struct bh_conversation *const *)b);
}

static int by_bytes(const void *a, const void *b)
{
	const struct bh_conversation *x = *(struct bh_conversation *const *)a;
	const struct bh_conversation *y = *(struct bh_conversation *const *)b;
	int found = order(x->counts.octets[0] + x->counts.octets[1],
		y->counts.octets[0] + y->counts.octets[1]);

	return found ? found : bh_conversation_compare(x, y);
}

static int by_flows(const void *a, const void *b)
{
	const struct bh_conversation *x = *(struct bh_conversation *const *)a;
	const struct bh_conversation *y = *(struct bh_conversation *const *)b;
	int found = order(x->counts.flows, y->counts.flows);

	return found ? found : bh_conversation_compare(x, y);
}

static int by_last(const void *a, const void *b)
{
	const struct bh_conversation *x = *(struct bh_conversation *const *)a;
	const struct bh_conversation *y = *(struct bh_conversation *const *)b;
	int found = order(x->counts.last_ns, y->counts.last_ns);

	return found ? found : bh_conversation_compare(x, y);
}

/* The worst state first, and what has more of it. */
static int by_denied(const void *a, const void *b)
{
	const struct bh_conversation *x = *(struct bh_conversation *const *)a;
	const struct bh_conversation *y = *(struct bh_conversation *const *)b;
	int found = order(x->state, y->state);

	if (found == 0)
		found = order(x->packets_denied, y->packets_denied);
	if (found == 0)
		found = order(x->flows_would_deny, y->flows_would_deny);
	return found ? found : bh_conversation_compare(x, y);
}

static const struct {
	const char *name;
	int (*compare)(const void *a, const void *b);
} sorts[] = {
	{"name", by_name},
	{"bytes", by_bytes},
	{"flows", by_flows},
	{"last", by_last},
	{"denied", by_denied},
};

static json_t *read_listing(struct bh_api *api, const struct bh_control_call *call,
	struct listing *listing, int (**ret_compare)(const void *a, const void *b))
{
	const json_t *request = call->request;
	json_t *error = bh_view_window(request, "from", "to", &listing->view.window);

	listing->limit = BH_GRAPH_LIMIT_DEFAULT;
	listing->view.api = api;
	listing->view.sight = call->sight;
	error = error ?: bh_view_filter(request, &listing->view.filter);
	error = error ?: bh_view_scope(request, &listing->view);
	error = error ?: bh_api_string(request, "client", &listing->client);
	error = error ?: bh_api_string(request, "server", &listing->server);
	error = error ?: bh_api_string(request, "sort", &listing->sort);
	error = error ?: bh_api_number(request, "offset", OFFSET_MAX, &listing->offset);
	error = error ?: bh_api_number(request, "limit", LIST_LIMIT, &listing->limit);
	if (error)
		return error;
	*ret_compare = by_name;
	for (size_t i = 0; listing->sort && i < sizeof(sorts) / sizeof(sorts[0]); i++) {
		if (strcmp(sorts[i].name, listing->sort) == 0) {
			*ret_compare = sorts[i].compare;
			return NULL;
		}
	}
	return listing->sort ? bh_control_error("sort: '%.64s' is none of name, bytes, flows, "
						"last, denied",
				       listing->sort)
			     : NULL;
}

static bool has_label(const struct bh_party *party, const char *key, const char *value)
{
	for (size_t i = 0; i < party->n_labels; i++) {
		const char *found = bh_labels_get(party->labels[i], key);

		if (found && (!value || strcmp(found, value) == 0))
			return true;
	}
	return false;
}

/* True if the party is, or is part of, the node of the graph with this id. */
static bool is_part_of(const struct bh_party *party, const char *id)
{
	if (!id || strcmp(party->id, id) == 0)
		return true;
	if (strncmp(id, "ns:", 3) == 0)
		return strcmp(party->namespace, id + 3) == 0;
	if (strncmp(id, "label:", 6) == 0 && *party->namespace) {
		_cleanup_free_ char *key = bh_xstrdup(id + 6);
		char *equals = strchr(key, '=');

		if (!equals)
			return !has_label(party, key, NULL);
		*equals = '\0';
		return has_label(party, key, equals + 1);
	}
	return false;
}

static bool wants_labels(const struct listing *listing)
{
	return listing->view.filter.n_labels ||
	       (listing->client && strncmp(listing->client, "label:", 6) == 0) ||
	       (listing->server && strncmp(listing->server, "label:", 6) == 0);
}

json_t *bh_api_conversations(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(listing_cleanup) struct listing listing = {0};
	_cleanup_free_ const struct bh_conversation **found = NULL;
	int (*compare)(const void *a, const void *b);
	struct bh_view *view = &listing.view;
	json_t *edges = read_listing(api, call, &listing, &compare);
	size_t n = 0;

	if (edges)
		return edges;
	if (!bh_view_ask(view, call, BH_VIEW_WORKLOADS, NULL, &edges))
		return NULL;
	if (edges)
		return edges;
	if (bh_view_elsewhere(
		    view, call, bh_api_conversations, BH_VIEW_WORKLOADS, wants_labels(&listing)))
		return NULL;
	bh_view_fill(view, BH_VIEW_WORKLOADS, wants_labels(&listing));
	found = bh_xcalloc(view->conversations.n, sizeof(*found));
	for (size_t i = 0; i < view->conversations.n; i++) {
		const struct bh_conversation *conversation = &view->conversations.items[i];

		if (is_part_of(conversation->client, listing.client) &&
			is_part_of(conversation->server, listing.server) &&
			bh_filter_takes(&view->filter, conversation, bh_view_text_of, view))
			found[n++] = conversation;
	}
	qsort(found, n, sizeof(*found), compare);
	edges = json_array();
	for (size_t i = listing.offset; i < n && i - listing.offset < listing.limit; i++)
		json_array_append_new(edges, bh_view_conversation(view, found[i]));
	edges = json_pack("{s:b, s:o, s:o, s:I}", "ok", 1, "window", bh_json_window(&view->window),
		"edges", edges, "total", (json_int_t)n);
	bh_view_set_cluster(view, edges);
	return edges;
}

/* ---- Why ------------------------------------------------------------------------------------- */

/*
 * Both ends see the same packets, unless one of them lets none through: by so much the latest that
 * they have seen may differ, as two nodes are not scraped at the same time.
 */
#define OLDER_NS (5 * 60 * 1000000000ull)

static json_t *end_object(struct bh_view *view, const struct bh_history_edge *row, bool hidden)
{
	const struct bh_api *api = view->api;
	const struct bh_history_key *key = &row->key;
	const struct bh_history_counts *counts = &row->counts;
	json_t *object = json_object();

	bh_json_set_text(object, "direction", key->egress ? "egress" : "ingress");
	json_object_set_new(object, "hidden", json_boolean(hidden));
	json_object_set_new(object, "allowed", json_boolean(!bh_reason_drops(key->verdict)));
	json_object_set_new(object, "pendingAllowed", json_boolean(!bh_reason_drops(key->pending)));
	if (hidden)
		return object;
	bh_json_set_text(object, "reason", view->cluster ? "" : bh_reason_word(key->verdict));
	bh_json_set_text(object, "text", bh_view_row_text(view, row, false));
	json_object_set_new(object, "rule", bh_json_rule(api, key->rule));
	bh_json_set_text(
		object, "pendingReason", view->cluster ? "" : bh_reason_word(key->pending));
	bh_json_set_text(object, "pendingText", bh_view_row_text(view, row, true));
	json_object_set_new(object, "pendingRule", bh_json_rule(api, key->pending_rule));
	json_object_set_new(object, "family", json_integer(key->family));
	json_object_set_new(object, "packets", bh_json_both_ways(counts->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(counts->octets));
	json_object_set_new(object, "flows", json_integer((json_int_t)counts->flows));
	json_object_set_new(object, "resets", json_integer((json_int_t)counts->resets));
	json_object_set_new(object, "first", bh_json_time(counts->first_ns));
	json_object_set_new(object, "last", bh_json_time(counts->last_ns));
	return object;
}

/*
 * Why the latest verdict at one end may not be what it would say now; NULL: it is. Metrics do not
 * say when a far node's policies changed.
 */
static const char *stale_word(const struct bh_view *view, const struct bh_history_edge *row,
	const struct bh_history_edge *other)
{
	uint32_t workload = row->key.egress ? row->key.client : row->key.server;

	if (!view->cluster && row->counts.last_ns < bh_judged_since(view->api->judged, workload))
		return "changed";
	if (other && other->counts.last_ns > row->counts.last_ns + OLDER_NS)
		return "older";
	return NULL;
}

static json_t *latest_end(struct bh_view *view, const struct bh_history_edge *row,
	const struct bh_history_edge *other, bool hidden)
{
	json_t *object = row ? end_object(view, row, hidden) : json_null();
	const char *stale = row && !hidden ? stale_word(view, row, other) : NULL;

	if (row && !hidden)
		json_object_set_new(object, "stale", stale ? json_string(stale) : json_null());
	return object;
}

static json_t *why_object(struct bh_view *view, const struct bh_conversation *conversation)
{
	json_t *object = bh_view_conversation(view, conversation);
	json_t *variants = json_array();

	for (size_t i = 0; i < conversation->n_rows; i++) {
		const struct bh_history_edge *row = &conversation->rows[i];

		if (!(row->key.egress ? conversation->client_hidden : conversation->server_hidden))
			json_array_append_new(variants, end_object(view, row, false));
	}
	json_object_set_new(object, "ok", json_true());
	json_object_set_new(object, "window", bh_json_window(&view->window));
	json_object_set_new(object, "egress",
		latest_end(view, conversation->egress, conversation->ingress,
			conversation->client_hidden));
	json_object_set_new(object, "ingress",
		latest_end(view, conversation->ingress, conversation->egress,
			conversation->server_hidden));
	json_object_set_new(object, "variants", variants);
	return object;
}

json_t *bh_api_conversation(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(bh_view_clear) struct bh_view view = {.api = api, .sight = call->sight};
	const struct bh_conversation *conversation;
	const char *id;
	json_t *error = bh_view_window(call->request, "from", "to", &view.window);

	error = error ?: bh_view_scope(call->request, &view);
	error = error ?: bh_api_needed(call->request, "id", &id);
	if (error)
		return error;
	if (!bh_view_ask(&view, call, BH_VIEW_WORKLOADS, NULL, &error))
		return NULL;
	if (error)
		return error;
	bh_view_fill(&view, BH_VIEW_WORKLOADS, false);
	conversation = bh_conversations_find(&view.conversations, id);
	return conversation ? why_object(&view, conversation)
			    : bh_api_missing("there is no conversation '%.64s' in this window", id);
}

/* ---- Over time ------------------------------------------------------------------------------- */

/* As fine as it is kept, unless that were more. */
#define POINTS_MAX 360

/* True if all of it is between the same two: a hidden end may stand for many. */
static bool is_of_two(const struct bh_conversation *conversation)
{
	for (size_t i = 1; i < conversation->n_rows; i++) {
		if (!bh_history_same_conversation(
			    &conversation->rows[0].key, &conversation->rows[i].key))
			return false;
	}
	return true;
}

static json_t *told_series(const char *id, json_t *window, uint64_t step_ns, size_t n,
	const struct bh_history_point *points)
{
	json_t *answer = bh_json_series(id, window, step_ns, n, points);

	json_object_set_new(answer, "ok", json_true());
	return answer;
}

static struct bh_cluster_end end_of(struct bh_view *view, uint32_t number)
{
	const struct bh_party *party = bh_world_party(view->world, number);

	return (struct bh_cluster_end){party->namespace, party->kind, party->name};
}

/* Of all nodes, as their Prometheus has it. NULL: not yet. */
static json_t *cluster_series(struct bh_view *view, struct bh_control_call *call, const char *id,
	const struct bh_conversation *conversation)
{
	const struct bh_cluster_end client = end_of(view, conversation->rows[0].key.client);
	const struct bh_cluster_end server = end_of(view, conversation->rows[0].key.server);
	char protocol[BH_PROTOCOL_TEXT_MAX];
	_cleanup_free_ char *edge = bh_cluster_edge_matchers(&client, &server,
		bh_protocol_word(conversation->protocol, protocol), conversation->port);
	struct bh_window window;
	json_t *error;

	if (strcmp(client.kind, "Other") == 0)
		return bh_api_missing("what nodes add up as Other is no one conversation");
	if (!bh_view_ask_edge(view, call, edge, &window, &error))
		return NULL;
	return error ? error
		     : told_series(id, bh_json_window(&window), window.cluster->step_s * 1000000000,
			       window.cluster->n_points, window.cluster->points);
}

/* Of this node, as its history has it. NULL: not yet. */
static json_t *own_series(struct bh_view *view, struct bh_control_call *call, const char *id,
	const struct bh_conversation *conversation, struct bh_history_question *question)
{
	const struct bh_history_answer *answer;
	struct bh_window window = {.exact = true};
	json_t *error;

	question->client = conversation->rows[0].key.client;
	question->server = conversation->rows[0].key.server;
	question->protocol = conversation->protocol;
	question->port = conversation->port;
	if (!bh_api_history(view->api, call, 1, question, &answer, &error))
		return NULL;
	if (error)
		return error;
	window.from_ns = answer->from_ns;
	window.to_ns = answer->to_ns;
	window.history = answer;
	return told_series(id, bh_json_window(&window), answer->resolution_ns, answer->n_points,
		answer->points);
}

json_t *bh_api_series(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(bh_view_clear) struct bh_view view = {.api = api, .sight = call->sight};
	struct bh_history_question question = {
		.subject = BH_HISTORY_SERIES,
		.max_points = POINTS_MAX,
	};
	const struct bh_conversation *conversation;
	const char *id;
	json_t *error = bh_view_window(call->request, "from", "to", &view.window);

	error = error ?: bh_view_scope(call->request, &view);
	error = error ?: bh_api_needed(call->request, "id", &id);
	if (error)
		return error;
	question.from_ns = view.window.from_ns;
	question.to_ns = view.window.open ? 0 : view.window.to_ns;
	/* What may be seen of it, and that there is such a one, is found as for anybody. */
	view.window.given = true;
	if (!bh_view_ask(&view, call, BH_VIEW_WORKLOADS, NULL, &error))
		return NULL;
	if (error)
		return error;
	bh_view_fill(&view, BH_VIEW_WORKLOADS, false);
	conversation = bh_conversations_find(&view.conversations, id);
	if (!conversation)
		return bh_api_missing("there is no conversation '%.64s' in this window", id);
	if (!is_of_two(conversation))
		return bh_api_missing("who is at the other end may not be told apart");
	return view.cluster ? cluster_series(&view, call, id, conversation)
			    : own_series(&view, call, id, conversation, &question);
}
