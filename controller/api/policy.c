/* SPDX-License-Identifier: Apache-2.0 */

/* What policies would do to what was seen, and policies made of what was seen. */

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "controller/api/view.h"
#include "controller/compile/reader.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/replay/backends.h"
#include "controller/replay/diff.h"
#include "controller/replay/suggest.h"
#include "controller/settings.h"
#include "controller/source/object.h"
#include "controller/source/yaml.h"
#include "proto/cleanup.h"

/* Files in one request, and decisions that are remembered. */
#define MANIFESTS_MAX 256
#define DECISIONS_MAX 10000
/* How far back is looked where nobody says it. */
#define SEEN_NS (7 * 86400 * 1000000000ull)

/* ---- What was seen --------------------------------------------------------------------------- */

/* The edges of a window, with the names they had. */
struct seen {
	struct bh_replay_edges edges;
	struct bh_arena arena;
	struct bh_table workloads; /* number → bh_desired_workload */
	const struct bh_api *api;
	json_t *window;
	uint64_t lost; /* records: addresses outside may be missing */
};

static const struct bh_desired_workload *name_workload(void *data, uint32_t number)
{
	struct seen *seen = data;
	struct bh_desired_workload *workload =
		bh_table_get(&seen->workloads, &number, sizeof(number));
	const struct bh_workload_name *name;

	if (workload)
		return workload;
	name = bh_names_workload(seen->api->names, number);
	workload = bh_arena_new(&seen->arena, struct bh_desired_workload);
	workload->number = number;
	workload->namespace = name ? name->namespace : "";
	workload->kind = name ? name->kind : "Unknown";
	workload->name = name ? name->name : bh_arena_printf(&seen->arena, "unknown-%08x", number);
	bh_table_put(&seen->workloads, &workload->number, sizeof(workload->number), workload);
	return workload;
}

/* "203.0.113.7/32" of an end that is no pod. */
static bool read_block(const char *namespace, const char *text, struct bh_prefix *ret_block)
{
	char address[BH_PREFIX_TEXT_MAX];
	char *slash;

	if (*namespace || strlen(text) >= sizeof(address))
		return false;
	strcpy(address, text);
	slash = strchr(address, '/');
	if (!slash)
		return false;
	*slash = '\0';
	ret_block->bits = (uint8_t)strtoul(slash + 1, NULL, 10);
	return bh_ip_parse(address, &ret_block->ip) == 0;
}

static size_t list_outside(
	const struct bh_history_answer *answer, struct bh_replay_outside **ret_outside)
{
	struct bh_replay_outside *list = bh_xcalloc(answer->n_pods, sizeof(*list));
	size_t n = 0;

	for (size_t i = 0; i < answer->n_pods; i++) {
		const struct bh_history_pod *pod = &answer->pods[i];
		struct bh_replay_outside *outside = &list[n];

		if (!read_block(pod->server_namespace, pod->server_pod, &outside->block) &&
			!read_block(pod->client_namespace, pod->client_pod, &outside->block))
			continue;
		outside->client = pod->client;
		outside->server = pod->server;
		outside->protocol = pod->protocol;
		outside->port = pod->port;
		n++;
	}
	*ret_outside = list;
	return n;
}

/* False: be called again. True: *ret_error is the answer, or `seen` is there. */
static bool look(
	struct bh_api *api, struct bh_control_call *call, struct seen *seen, json_t **ret_error)
{
	struct bh_history_question question = {.subject = BH_HISTORY_BOTH};
	struct bh_window window;
	_cleanup_free_ struct bh_replay_outside *outside = NULL;
	const struct bh_history_answer *answer;
	size_t n;

	*ret_error = call->sight ? bh_api_forbidden("what policies do to everybody needs a token "
						    "that is not bound to namespaces")
				 : bh_view_window(call->request, "from", "to", &window);
	if (*ret_error)
		return true;
	question.from_ns = window.from_ns;
	question.to_ns = window.open ? 0 : window.to_ns;
	if (!window.given)
		question.from_ns = window.to_ns - SEEN_NS;
	if (!bh_api_history(api, call, 0, &question, &answer, ret_error))
		return false;
	if (*ret_error)
		return true;
	window.from_ns = answer->from_ns;
	window.to_ns = answer->to_ns;
	window.history = answer;
	seen->api = api;
	n = list_outside(answer, &outside);
	bh_replay_edges_make(
		&seen->edges, answer->n_edges, answer->edges, n, outside, name_workload, seen);
	bh_replay_edges_resolve(&seen->edges, api->model);
	seen->window = bh_json_window(&window);
	seen->lost = answer->lost;
	return true;
}

static void forget(struct seen *seen)
{
	bh_replay_edges_clear(&seen->edges);
	bh_table_clear(&seen->workloads);
	bh_arena_clear(&seen->arena);
}

static json_t *workload_object(const struct bh_desired_workload *workload)
{
	json_t *object = json_object();

	bh_json_set_text(object, "namespace", workload->namespace);
	bh_json_set_text(object, "kind", workload->kind);
	bh_json_set_text(object, "name", workload->name);
	return object;
}

static json_t *edge_object(const struct bh_replay_edge *edge)
{
	json_t *object = json_object();
	char id[BH_REPLAY_ID_MAX];

	bh_replay_edge_id(edge, id);
	json_object_set_new(object, "id", json_string(id));
	json_object_set_new(object, "client", workload_object(edge->client));
	json_object_set_new(object, "server", workload_object(edge->server));
	json_object_set_new(object, "protocol", bh_json_protocol(edge->protocol));
	json_object_set_new(object, "port", json_integer(edge->port));
	json_object_set_new(object, "flows", json_integer((json_int_t)edge->flows));
	bh_json_set_text(object, "verdict", edge->denied ? "denied" : "allowed");
	bh_json_set_text(
		object, "pending", edge->denied || edge->would_deny ? "denied" : "allowed");
	json_object_set_new(object, "packets", bh_json_both_ways(edge->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(edge->octets));
	json_object_set_new(object, "first", bh_json_time(edge->first_ns));
	json_object_set_new(object, "last", bh_json_time(edge->last_ns));
	return object;
}

/* ---- Candidates ------------------------------------------------------------------------------ */

struct candidates {
	struct bh_arena arena;
	struct bh_object_list objects;
	json_t *documents; /* holds the specs */
	size_t n;
	size_t capacity;
	struct bh_replay_change *changes;
};

static void drop_candidates(struct candidates *candidates)
{
	bh_object_list_clear(&candidates->objects);
	bh_arena_clear(&candidates->arena);
	json_decref(candidates->documents);
	free(candidates->changes);
}

/* The last one of a name counts, as it would when applied. */
static void add_change(
	struct candidates *candidates, const char *namespace, const char *name, json_t *spec)
{
	for (size_t i = 0; i < candidates->n; i++) {
		struct bh_replay_change *change = &candidates->changes[i];

		if (!strcmp(change->namespace, namespace) && !strcmp(change->name, name)) {
			change->spec = spec;
			return;
		}
	}
	bh_xgrow(candidates->changes, candidates->n, candidates->capacity);
	candidates->changes[candidates->n++] = (struct bh_replay_change){namespace, name, spec};
}

static json_t *read_manifest(struct candidates *candidates, const json_t *manifest)
{
	const char *name = json_string_value(json_object_get(manifest, "name"));
	const json_t *text = json_object_get(manifest, "text");
	struct bh_text_error at = {0};
	size_t before = candidates->objects.n, policies = 0;
	json_t *documents;

	if (!name || !json_is_string(text))
		return bh_control_error("'manifests' is no list of names and texts");
	documents = bh_yaml_parse(json_string_value(text), json_string_length(text), &at);
	if (!documents)
		return bh_control_error("%s: line %zu: %s", name, at.line, at.text);
	json_array_append_new(candidates->documents, documents);
	for (size_t i = 0; i < json_array_size(documents); i++) {
		struct bh_fault fault = {0};

		if (!bh_object_decode(json_array_get(documents, i), &candidates->arena, &fault,
			    &candidates->objects))
			return bh_control_error("%s: %s", name, fault.text);
	}
	if (candidates->objects.n_foreign)
		return bh_control_error("%s: %s", name, candidates->objects.foreign[0].text);
	for (size_t i = before; i < candidates->objects.n; i++) {
		const struct bh_object *object = &candidates->objects.items[i];

		if (object->kind != BH_OBJECT_POLICY && object->kind != BH_OBJECT_CLUSTER_POLICY)
			continue;
		/* Without a spec it is invalid, and not a removal. */
		if (!object->policy.spec)
			return bh_control_error("%s: %s has no spec", name, object->name);
		add_change(candidates, object->policy.namespace, object->policy.name,
			object->policy.spec);
		policies++;
	}
	if (!policies)
		return bh_control_error(
			"%s: there is no NetworkPolicy or ClusterNetworkPolicy in it", name);
	return NULL;
}

/* "NetworkPolicy/shop/web" or "ClusterNetworkPolicy/base". */
static json_t *read_removal(
	struct candidates *candidates, const struct bh_model *model, const json_t *removal)
{
	static const char of_namespace[] = "NetworkPolicy/", of_cluster[] = "ClusterNetworkPolicy/";
	const char *text = json_string_value(removal), *namespace = "", *name;
	char *slash;

	if (!text)
		return bh_control_error("'delete' is no list of names");
	if (!strncasecmp(text, of_cluster, strlen(of_cluster))) {
		name = bh_arena_strdup(&candidates->arena, text + strlen(of_cluster));
	} else {
		namespace = bh_arena_strdup(&candidates->arena,
			text + (strncasecmp(text, of_namespace, strlen(of_namespace))
					       ? 0
					       : strlen(of_namespace)));
		slash = strchr(namespace, '/');
		if (!slash || slash == namespace)
			return bh_control_error("'%s' names no policy: write "
						"NetworkPolicy/namespace/name or "
						"ClusterNetworkPolicy/name",
				text);
		*slash = '\0';
		name = slash + 1;
	}
	if (!*name || strchr(name, '/') || !bh_replay_has_policy(model, namespace, name))
		return bh_control_error("there is no policy %s", text);
	add_change(candidates, namespace, name, NULL);
	return NULL;
}

static json_t *read_candidates(
	const struct bh_api *api, const json_t *request, struct candidates *candidates)
{
	const json_t *manifests = json_object_get(request, "manifests");
	const json_t *removals = json_object_get(request, "delete");
	json_t *error = NULL;
	const json_t *item;
	size_t i;

	candidates->documents = json_array();
	if (json_array_size(manifests) + json_array_size(removals) > MANIFESTS_MAX)
		return bh_control_error("more than %d files and removals", MANIFESTS_MAX);
	json_array_foreach(manifests, i, item)
	{
		error = read_manifest(candidates, item);
		if (error)
			return error;
	}
	json_array_foreach(removals, i, item)
	{
		error = read_removal(candidates, api->model, item);
		if (error)
			return error;
	}
	if (!candidates->n)
		return bh_control_error("there is no policy to try: name a file, or --delete");
	return NULL;
}

/* ---- policy-diff ----------------------------------------------------------------------------- */

static json_t *verdict_object(const struct bh_replay_verdict *verdict)
{
	json_t *object = json_object();

	bh_json_set_text(object, "verdict", verdict->denied ? "denied" : "allowed");
	bh_json_set_text(object, "end", verdict->egress ? "egress" : "ingress");
	bh_json_set_text(object, "text", verdict->text);
	return object;
}

static json_t *diff_object(const struct bh_replay_diff *diff)
{
	json_t *list = json_array();

	for (size_t i = 0; i < diff->n; i++) {
		json_t *object = edge_object(diff->items[i].edge);

		bh_json_set_text(object, "change",
			diff->items[i].after.denied ? "newly-denied" : "newly-allowed");
		json_object_set_new(object, "before", verdict_object(&diff->items[i].before));
		json_object_set_new(object, "after", verdict_object(&diff->items[i].after));
		json_array_append_new(list, object);
	}
	return json_pack("{s:b, s:o, s:I, s:I, s:I, s:I}", "ok", 1, "edges", list, "newlyDenied",
		(json_int_t)diff->n_denied, "newlyAllowed", (json_int_t)diff->n_allowed,
		"unchanged", (json_int_t)diff->n_same, "gone", (json_int_t)diff->n_unknown);
}

static json_t *compare_worlds(
	const struct bh_api *api, struct seen *seen, const struct candidates *candidates)
{
	struct bh_replay_world *before = bh_replay_world_new(api->model, &seen->edges, 0, NULL);
	struct bh_replay_world *after =
		bh_replay_world_new(api->model, &seen->edges, candidates->n, candidates->changes);
	struct bh_replay_diff diff = {0};
	json_t *answer = NULL;

	for (size_t i = 0; !answer && i < candidates->n; i++) {
		const struct bh_replay_change *change = &candidates->changes[i];
		const char *fault = bh_replay_fault(after, change->namespace, change->name);

		if (fault)
			answer = bh_control_error("%s %s%s%s: %s",
				*change->namespace ? "NetworkPolicy" : "ClusterNetworkPolicy",
				change->namespace, *change->namespace ? "/" : "", change->name,
				fault);
	}
	if (!answer) {
		bh_replay_diff(&seen->edges, before, after, &diff);
		answer = diff_object(&diff);
		json_object_set(answer, "window", seen->window);
		json_object_set_new(answer, "recordsLost", json_integer((json_int_t)seen->lost));
	}
	free(diff.items);
	bh_replay_world_free(before);
	bh_replay_world_free(after);
	return answer;
}

json_t *bh_api_policy_diff(struct bh_api *api, struct bh_control_call *call)
{
	struct candidates candidates = {0};
	struct seen seen = {0};
	json_t *answer = NULL;

	if (!look(api, call, &seen, &answer))
		return NULL;
	if (!answer)
		answer = read_candidates(api, call->request, &candidates);
	if (!answer)
		answer = compare_worlds(api, &seen, &candidates);
	drop_candidates(&candidates);
	json_decref(seen.window);
	forget(&seen);
	return answer;
}

/* ---- policy-suggest -------------------------------------------------------------------------- */

static bool is_decided(void *data, const char *id, const char *word)
{
	const struct bh_api *api = data;
	const char *said = json_string_value(json_object_get(api->decisions, id));

	return said && !strcmp(said, word);
}

static bool is_approved(void *data, const char *id)
{
	return is_decided(data, id, "approved");
}

static bool is_rejected(void *data, const char *id)
{
	return is_decided(data, id, "rejected");
}

static bool is_id(const char *text)
{
	return text && strlen(text) == BH_REPLAY_ID_MAX - 1 &&
	       strspn(text, "0123456789abcdef") == BH_REPLAY_ID_MAX - 1;
}

/* Takes "approve" and "reject" into a copy of what was said before. */
static json_t *take_decisions(const json_t *request, json_t *decisions, bool *ret_any)
{
	static const struct {
		const char *member;
		const char *word; /* NULL: forgotten */
	} kinds[] = {{"approve", "approved"}, {"reject", "rejected"}, {"undecide", NULL}};

	*ret_any = false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const json_t *list = json_object_get(request, kinds[i].member);
		const json_t *item;
		size_t j;

		json_array_foreach(list, j, item)
		{
			const char *id = json_string_value(item);

			if (!is_id(id))
				return bh_control_error("'%.64s' is no id of a suggestion: eight "
							"hexadecimal digits",
					id ? id : "");
			*ret_any = true;
			if (kinds[i].word)
				json_object_set_new(decisions, id, json_string(kinds[i].word));
			else
				json_object_del(decisions, id);
		}
	}
	if (json_object_size(decisions) > DECISIONS_MAX)
		return bh_control_error("more than %d decisions are remembered", DECISIONS_MAX);
	return NULL;
}

static json_t *decide(struct bh_api *api, const json_t *request)
{
	json_t *decisions = json_copy(api->decisions);
	bool any;
	json_t *error = take_decisions(request, decisions, &any);
	int r = 0;

	if (!error && any)
		r = bh_settings_write_json(api->decisions_path, decisions);
	if (r < 0)
		error = bh_control_error("%s: %s", api->decisions_path, strerror(-r));
	if (error || !any) {
		json_decref(decisions);
		return error;
	}
	json_decref(api->decisions);
	api->decisions = decisions;
	return NULL;
}

static json_t *suggestion_object(const struct bh_suggestion *suggestion)
{
	json_t *policies = json_array(), *included = json_array(), *left = json_array();

	for (size_t i = 0; i < suggestion->n_policies; i++) {
		json_t *policy = json_object();

		json_object_set(policy, "manifest", suggestion->policies[i].manifest);
		bh_json_set_text(policy, "yaml", suggestion->policies[i].yaml);
		json_array_append_new(policies, policy);
	}
	for (size_t i = 0; i < suggestion->n_edges; i++) {
		const struct bh_suggest_edge *edge = &suggestion->edges[i];
		json_t *object;

		if (edge->fate == BH_SUGGEST_ELSEWHERE)
			continue;
		object = edge_object(edge->edge);
		bh_json_set_text(object, "why", bh_suggest_word(edge->fate));
		bh_json_set_text(object, "text", bh_suggest_sentence(edge->fate));
		json_array_append_new(edge->fate == BH_SUGGEST_INCLUDED ? included : left, object);
	}
	return json_pack("{s:b, s:o, s:o, s:o}", "ok", 1, "policies", policies, "included",
		included, "left", left);
}

json_t *bh_api_policy_suggest(struct bh_api *api, struct bh_control_call *call)
{
	struct bh_suggest_query query = {
		.model = api->model, .approved = is_approved, .rejected = is_rejected, .data = api};
	struct bh_suggestion *suggestion;
	struct seen seen = {0};
	json_t *answer = bh_api_string(call->request, "namespace", &query.namespace);

	if (answer)
		return answer;
	if (!look(api, call, &seen, &answer))
		return NULL;
	if (!answer)
		answer = decide(api, call->request);
	if (!answer) {
		query.edges = &seen.edges;
		suggestion = bh_suggest(&query);
		answer = suggestion_object(suggestion);
		bh_suggestion_free(suggestion);
		json_object_set(answer, "window", seen.window);
		json_object_set_new(answer, "recordsLost", json_integer((json_int_t)seen.lost));
	}
	json_decref(seen.window);
	forget(&seen);
	return answer;
}
