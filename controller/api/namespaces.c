/* SPDX-License-Identifier: Apache-2.0 */

/* How the namespaces stand, and what enforcing one would do. */

#include <string.h>

#include "controller/api/view.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

/* Conversations of a readiness that are told one by one. */
#define WOULD_DENY_MAX 200

struct summary {
	const char *name;
	uint64_t pods;
	uint64_t pods_here;
	uint64_t modes[BH_MODE_ENFORCE + 1];
	uint64_t quarantined;
	uint64_t policies;
	uint64_t conversations;
	uint64_t denied;
	uint64_t would_deny;
};

struct summaries {
	struct bh_table by_name;
	size_t n;
	size_t capacity;
	struct summary **items;
	struct bh_arena arena;
	const struct bh_sight *sight;
};

/* NULL for what is in no namespace, or in one that the asker may not see. */
static struct summary *summary_of(struct summaries *all, const char *name)
{
	struct summary *summary;

	if (!*name || !bh_sight_sees(all->sight, name))
		return NULL;
	summary = bh_table_get(&all->by_name, name, strlen(name) + 1);
	if (summary)
		return summary;
	summary = bh_arena_new(&all->arena, struct summary);
	summary->name = bh_arena_strdup(&all->arena, name);
	bh_table_put(&all->by_name, summary->name, strlen(name) + 1, summary);
	bh_xgrow(all->items, all->n, all->capacity);
	all->items[all->n++] = summary;
	return summary;
}

static void summaries_cleanup(struct summaries *all)
{
	bh_table_clear(&all->by_name);
	bh_arena_clear(&all->arena);
	free(all->items);
}

/* What the objects say. */
static void count_objects(const struct bh_api *api, struct summaries *all)
{
	const struct bh_network_policy *policy;
	const struct bh_namespace *namespace;
	const struct bh_pod *pod;
	struct summary *summary;

	for (size_t at = 0; (namespace = bh_model_next_namespace(api->model, &at));)
		summary_of(all, namespace->name);
	for (size_t at = 0; (pod = bh_model_next_pod(api->model, &at));) {
		summary = summary_of(all, pod->namespace);
		if (summary && !pod->finished)
			summary->pods++;
	}
	for (size_t at = 0; (policy = bh_model_next_policy(api->model, &at));) {
		summary = summary_of(all, policy->namespace);
		if (summary)
			summary->policies++;
	}
	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];

		summary = summary_of(all, endpoint->namespace);
		if (!summary)
			continue;
		summary->pods_here++;
		summary->modes[endpoint->mode]++;
		summary->quarantined += endpoint->quarantined;
	}
}

static void count_conversations(const struct bh_conversations *conversations, struct summaries *all)
{
	for (size_t i = 0; i < conversations->n; i++) {
		const struct bh_conversation *conversation = &conversations->items[i];
		struct summary *ends[2] = {
			summary_of(all, conversation->client->namespace),
			summary_of(all, conversation->server->namespace),
		};

		for (int end = 0; end < 2; end++) {
			if (!ends[end] || (end && ends[0] == ends[1]))
				continue;
			ends[end]->conversations++;
			ends[end]->denied += conversation->state == BH_STATE_DENIED;
			ends[end]->would_deny += conversation->state == BH_STATE_WOULD_DENY;
		}
	}
}

/* The mode that a pod follows if nothing nearer says otherwise, and who said so. */
static enum bh_mode namespace_mode(
	const struct bh_api *api, const char *name, const char **ret_source)
{
	enum bh_mode mode = bh_model_mode(api->model, BH_SCOPE_NAMESPACE, name, NULL);
	const struct bh_namespace *namespace = bh_model_namespace(api->model, name);

	*ret_source = "command";
	if (mode != BH_MODE_UNSET)
		return mode;
	*ret_source = "annotation";
	mode = namespace ? bh_mode_parse(namespace->mode) : BH_MODE_UNSET;
	if (mode != BH_MODE_UNSET)
		return mode;
	*ret_source = "node";
	return bh_model_node_mode(api->model);
}

static json_t *summary_object(const struct bh_api *api, const struct summary *summary)
{
	const char *source;
	enum bh_mode mode = namespace_mode(api, summary->name, &source);
	json_t *object = json_object();
	json_t *modes = json_object();

	for (int i = BH_MODE_OBSERVE; i <= BH_MODE_ENFORCE; i++) {
		if (summary->modes[i])
			json_object_set_new(modes, bh_mode_name((enum bh_mode)i),
				json_integer((json_int_t)summary->modes[i]));
	}
	bh_json_set_text(object, "name", summary->name);
	bh_json_set_text(object, "mode", bh_mode_name(mode));
	bh_json_set_text(object, "modeSource", source);
	json_object_set_new(object, "pods", json_integer((json_int_t)summary->pods));
	json_object_set_new(object, "podsHere", json_integer((json_int_t)summary->pods_here));
	json_object_set_new(object, "modes", modes);
	json_object_set_new(object, "quarantined", json_integer((json_int_t)summary->quarantined));
	json_object_set_new(object, "policies", json_integer((json_int_t)summary->policies));
	json_object_set_new(
		object, "conversations", json_integer((json_int_t)summary->conversations));
	json_object_set_new(object, "denied", json_integer((json_int_t)summary->denied));
	json_object_set_new(object, "wouldDeny", json_integer((json_int_t)summary->would_deny));
	return object;
}

static int compare_summaries(const void *a, const void *b)
{
	const struct summary *x = *(struct summary *const *)a;
	const struct summary *y = *(struct summary *const *)b;

	return strcmp(x->name, y->name);
}

json_t *bh_api_namespaces(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(bh_view_clear) struct bh_view view = {.api = api, .sight = call->sight};
	_cleanup_(summaries_cleanup) struct summaries all = {.sight = call->sight};
	json_t *array = bh_view_window(call->request, "from", "to", &view.window);

	if (array)
		return array;
	if (!bh_view_ask(&view, call, BH_VIEW_WORKLOADS, NULL, &array))
		return NULL;
	if (array)
		return array;
	bh_view_fill(&view, BH_VIEW_WORKLOADS, false);
	count_objects(api, &all);
	count_conversations(&view.conversations, &all);
	qsort(all.items, all.n, sizeof(*all.items), compare_summaries);
	array = json_array();
	for (size_t i = 0; i < all.n; i++)
		json_array_append_new(array, summary_object(api, all.items[i]));
	return json_pack("{s:b, s:o}", "ok", 1, "namespaces", array);
}

/* ---- Readiness ------------------------------------------------------------------------------- */

/* True if an end in the namespace would deny what passes now. */
static bool would_deny_at(const struct bh_conversation *conversation, const char *namespace)
{
	const struct bh_history_edge *ends[2] = {conversation->egress, conversation->ingress};
	const struct bh_party *parties[2] = {conversation->client, conversation->server};

	for (int i = 0; i < 2; i++) {
		if (ends[i] && strcmp(parties[i]->namespace, namespace) == 0 &&
			bh_reason_drops(ends[i]->key.pending) &&
			!bh_reason_drops(ends[i]->key.verdict))
			return true;
	}
	return false;
}

static int compare_flows(const void *a, const void *b)
{
	const struct bh_conversation *x = *(struct bh_conversation *const *)a;
	const struct bh_conversation *y = *(struct bh_conversation *const *)b;

	if (x->flows_would_deny != y->flows_would_deny)
		return x->flows_would_deny > y->flows_would_deny ? -1 : 1;
	return bh_conversation_compare(x, y);
}

/* Edges that nobody could keep: what the kernel's table or ours had no room for. */
static uint64_t lost_edges(const struct bh_api *api)
{
	struct bh_link_state state;
	uint64_t lost = bh_edges_forgotten(api->edges);

	bh_link_state(api->link, &state);
	for (size_t i = 0; state.status && i < state.status->n_losses; i++) {
		if (strcmp(state.status->losses[i]->name, "edge-overflow") == 0)
			lost += state.status->losses[i]->value;
	}
	return lost;
}

static json_t *readiness_object(struct bh_view *view, const struct summary *summary)
{
	_cleanup_free_ const struct bh_conversation **found =
		bh_xcalloc(view->conversations.n, sizeof(*found));
	json_t *object = json_object();
	json_t *would = json_array();
	uint64_t flows = 0;
	uint64_t since = 0;
	const char *source;
	size_t n = 0;

	for (size_t i = 0; i < view->conversations.n; i++) {
		const struct bh_conversation *conversation = &view->conversations.items[i];

		if (strcmp(conversation->client->namespace, summary->name) != 0 &&
			strcmp(conversation->server->namespace, summary->name) != 0)
			continue;
		if (!since || conversation->counts.first_ns < since)
			since = conversation->counts.first_ns;
		if (!would_deny_at(conversation, summary->name))
			continue;
		found[n++] = conversation;
		flows += conversation->flows_would_deny;
	}
	qsort(found, n, sizeof(*found), compare_flows);
	for (size_t i = 0; i < n && i < WOULD_DENY_MAX; i++)
		json_array_append_new(would, bh_view_conversation(view, found[i]));
	bh_json_set_text(object, "namespace", summary->name);
	json_object_set_new(object, "ok", json_true());
	json_object_set_new(object, "window", bh_json_window(&view->window));
	bh_json_set_text(
		object, "mode", bh_mode_name(namespace_mode(view->api, summary->name, &source)));
	json_object_set_new(object, "observedSince", bh_json_time(since));
	json_object_set_new(object, "ready", json_boolean(since && n == 0));
	json_object_set_new(object, "podsHere", json_integer((json_int_t)summary->pods_here));
	json_object_set_new(object, "policies", json_integer((json_int_t)summary->policies));
	json_object_set_new(
		object, "conversations", json_integer((json_int_t)summary->conversations));
	json_object_set_new(object, "wouldDeny", would);
	json_object_set_new(object, "wouldDenyTotal", json_integer((json_int_t)n));
	json_object_set_new(object, "wouldDenyFlows", json_integer((json_int_t)flows));
	json_object_set_new(object, "lost", json_integer((json_int_t)lost_edges(view->api)));
	return object;
}

json_t *bh_api_readiness(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(bh_view_clear) struct bh_view view = {.api = api, .sight = call->sight};
	_cleanup_(summaries_cleanup) struct summaries all = {.sight = call->sight};
	const struct summary *summary;
	const char *name;
	json_t *error = bh_view_window(call->request, "from", "to", &view.window);

	error = error ?: bh_api_needed(call->request, "namespace", &name);
	if (error)
		return error;
	if (!bh_view_ask(&view, call, BH_VIEW_WORKLOADS, NULL, &error))
		return NULL;
	if (error)
		return error;
	bh_view_fill(&view, BH_VIEW_WORKLOADS, false);
	count_objects(api, &all);
	count_conversations(&view.conversations, &all);
	summary = bh_table_get(&all.by_name, name, strlen(name) + 1);
	return summary ? readiness_object(&view, summary)
		       : bh_api_missing("there is no namespace '%.253s'", name);
}
