/* SPDX-License-Identifier: Apache-2.0 */

/* Everything here but bh_trial_new() and free_trial() is run on a thread. */

#include <string.h>

#include "controller/api/candidates.h"
#include "controller/api/common.h"
#include "controller/api/trial.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/replay/backends.h"
#include "controller/replay/diff.h"
#include "controller/replay/suggest.h"
#include "proto/cleanup.h"

/* ---- What was seen --------------------------------------------------------------------------- */

/* The edges of a window, with the names they had. */
struct seen {
	const struct bh_trial *trial;
	struct bh_replay_edges edges;
	struct bh_arena arena;
	struct bh_table workloads; /* number → bh_desired_workload */
};

static const struct bh_desired_workload *name_workload(void *data, uint32_t number)
{
	struct seen *seen = data;
	struct bh_desired_workload *workload =
		bh_table_get(&seen->workloads, &number, sizeof(number));
	const struct bh_workload_name *name;

	if (workload)
		return workload;
	name = bh_names_workload(seen->trial->excerpt.api.names, number);
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

/* What has an end in one of the namespaces is what their token sees. */
static bool is_inside(const struct bh_sight *sight, const struct bh_desired_workload *end)
{
	return !sight || (*end->namespace && bh_sight_sees(sight, end->namespace));
}

static void drop_unseen(struct bh_replay_edges *edges, const struct bh_sight *sight)
{
	size_t n = 0;

	for (size_t i = 0; i < edges->n; i++) {
		const struct bh_replay_edge *edge = &edges->edges[i];

		if (is_inside(sight, edge->client) || is_inside(sight, edge->server))
			edges->edges[n++] = *edge;
	}
	edges->n = n;
}

static void look(struct seen *seen, const struct bh_trial *trial)
{
	const struct bh_history_answer *answer = trial->answer;
	_cleanup_free_ struct bh_replay_outside *outside = NULL;
	size_t n = list_outside(answer, &outside);

	seen->trial = trial;
	bh_replay_edges_make(
		&seen->edges, answer->n_edges, answer->edges, n, outside, name_workload, seen);
	drop_unseen(&seen->edges, trial->sight);
	bh_replay_edges_resolve(&seen->edges, trial->excerpt.api.model);
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

static void add_window(json_t *answer, const struct bh_trial *trial)
{
	json_object_set(answer, "window", trial->window);
	json_object_set_new(answer, "recordsLost", json_integer((json_int_t)trial->answer->lost));
}

/* ---- policy-diff ----------------------------------------------------------------------------- */

/* The worlds to compare. */
struct worlds {
	struct bh_replay_world *before;
	struct bh_replay_world *after;
	struct bh_replay_world *in_force; /* after, with modes and quarantines as they are */
};

/* What of a foreign namespace may be told: that it is one. */
static struct bh_desired_workload shown(
	const struct bh_sight *sight, const struct bh_desired_workload *end)
{
	if (bh_sight_sees(sight, end->namespace))
		return *end;
	return (struct bh_desired_workload){0, end->namespace, "Namespace", end->namespace};
}

/* Why it is so is told to whoever may see the end that decided. */
static json_t *verdict_object(const struct bh_replay_verdict *verdict,
	const struct bh_replay_edge *edge, const struct bh_sight *sight)
{
	const struct bh_desired_workload *end = verdict->egress ? edge->client : edge->server;
	json_t *object = json_object();

	bh_json_set_text(object, "verdict", verdict->denied ? "denied" : "allowed");
	bh_json_set_text(object, "end", verdict->egress ? "egress" : "ingress");
	bh_json_set_text(object, "text", bh_sight_sees(sight, end->namespace) ? verdict->text : "");
	return object;
}

/* The modes of that end's pods, the weakest first. */
static json_t *modes_object(struct bh_replay_standing standing)
{
	json_t *modes = json_array();

	for (int mode = BH_MODE_OBSERVE; mode <= BH_MODE_ENFORCE; mode++) {
		if (standing.modes & 1u << mode)
			json_array_append_new(modes, json_string(bh_mode_name((enum bh_mode)mode)));
	}
	return modes;
}

/* One line: what becomes of it with the modes as they are. */
static const char *effect_text(const struct bh_replay_difference *item,
	const struct bh_replay_verdict *in_force, struct bh_replay_standing standing)
{
	bool denied = item->change == BH_REPLAY_NEWLY_DENIED;

	if (in_force->denied && standing.quarantined)
		return "dropped: a pod of it is in quarantine";
	if (in_force->denied)
		return denied ? "would be dropped at once"
			      : "still dropped: another policy or mode is in force";
	if (!denied)
		return "would pass";
	if (!(standing.modes & 1u << BH_MODE_ENFORCE))
		return standing.modes & 1u << BH_MODE_DRY_RUN
			       ? "would be denied; its pods are in dry-run: nothing is dropped yet"
			       : "would be denied; its pods are in observe: nothing is dropped yet";
	if (standing.modes & (1u << BH_MODE_OBSERVE | 1u << BH_MODE_DRY_RUN))
		return "would be denied; of its pods only others are enforced: nothing is "
		       "dropped yet";
	return "would be denied; the policy is in dry-run or observe: nothing is dropped yet";
}

static void add_effect(json_t *object, const struct worlds *worlds,
	const struct bh_replay_difference *item, const struct bh_sight *sight)
{
	struct bh_replay_verdict in_force = bh_replay_judge(worlds->in_force, item->edge);
	const struct bh_replay_verdict *decides =
		item->after.denied && !in_force.denied ? &item->after : &in_force;
	const struct bh_desired_workload *end =
		decides->egress ? item->edge->client : item->edge->server;
	struct bh_replay_standing standing =
		bh_replay_stands(worlds->in_force, item->edge, decides->egress);
	bool told = bh_sight_sees(sight, end->namespace);

	json_object_set_new(object, "dropped", json_boolean(in_force.denied));
	json_object_set_new(object, "modes", told ? modes_object(standing) : json_array());
	json_object_set_new(object, "quarantined", json_boolean(told && standing.quarantined));
	bh_json_set_text(object, "effect", told ? effect_text(item, &in_force, standing) : "");
}

/*
 * What is told of each edge, by its text: edges that look the same to their asker are one. Objects
 * of a change are in the order of the first.
 */
struct telling {
	const struct bh_sight *sight;
	struct bh_arena arena;
	struct bh_table known; /* text → struct told */
	json_int_t counts[BH_REPLAY_CHANGES];
	struct told *first;
	struct told **last;
};

struct told {
	struct bh_replay_edge edge; /* of all of them */
	struct bh_desired_workload ends[2];
	json_t *object; /* what else is told; NULL: nothing changes, and it is only counted */
	struct told *next;
};

static void add_up(struct bh_replay_edge *to, const struct bh_replay_edge *from)
{
	for (int i = 0; i < 2; i++) {
		to->packets[i] += from->packets[i];
		to->octets[i] += from->octets[i];
	}
	to->flows += from->flows;
	to->denied |= from->denied;
	to->would_deny |= from->would_deny;
	if (from->first_ns < to->first_ns)
		to->first_ns = from->first_ns;
	if (from->last_ns > to->last_ns)
		to->last_ns = from->last_ns;
}

/* Takes `more` (may be NULL). */
static void tell(struct telling *telling, const struct bh_replay_edge *edge,
	enum bh_replay_change_of change, json_t *more)
{
	struct bh_desired_workload ends[2] = {
		shown(telling->sight, edge->client), shown(telling->sight, edge->server)};
	_cleanup_free_ char *dump = more ? json_dumps(more, JSON_COMPACT) : NULL;
	const char *text = bh_arena_printf(&telling->arena, "%s\n%s\n%s\n%s\n%s\n%s\n%u/%u/%d/%s",
		ends[0].namespace, ends[0].kind, ends[0].name, ends[1].namespace, ends[1].kind,
		ends[1].name, edge->protocol, edge->port, change, dump ? dump : "");
	struct told *told = bh_table_get(&telling->known, text, strlen(text));

	if (told) {
		add_up(&told->edge, edge);
		json_decref(more);
		return;
	}
	told = bh_arena_new(&telling->arena, struct told);
	told->edge = *edge;
	memcpy(told->ends, ends, sizeof(ends));
	told->edge.client = &told->ends[0];
	told->edge.server = &told->ends[1];
	told->object = more;
	bh_table_put(&telling->known, text, strlen(text), told);
	telling->counts[change]++;
	if (more) {
		*telling->last = told;
		telling->last = &told->next;
	}
}

static json_t *finish(struct telling *telling)
{
	json_t *list = json_array();

	for (struct told *told = telling->first; told; told = told->next) {
		json_t *object = edge_object(&told->edge);

		json_object_update(object, told->object);
		json_decref(told->object);
		json_array_append_new(list, object);
	}
	bh_table_clear(&telling->known);
	bh_arena_clear(&telling->arena);
	return list;
}

static json_t *change_object(const struct bh_replay_difference *item, const struct worlds *worlds,
	const struct bh_sight *sight)
{
	json_t *object = json_object();

	bh_json_set_text(object, "change",
		item->change == BH_REPLAY_NEWLY_DENIED ? "newly-denied" : "newly-allowed");
	json_object_set_new(object, "before", verdict_object(&item->before, item->edge, sight));
	json_object_set_new(object, "after", verdict_object(&item->after, item->edge, sight));
	add_effect(object, worlds, item, sight);
	return object;
}

static json_t *tell_diff(const struct bh_trial *trial, const struct bh_replay_edges *edges,
	const struct bh_replay_diff *diff, const struct worlds *worlds)
{
	struct telling telling = {.sight = trial->sight};
	size_t at = 0;

	telling.last = &telling.first;
	for (size_t i = 0; i < edges->n; i++) {
		const struct bh_replay_difference *item = &diff->items[at];
		json_t *more = NULL;

		if (at < diff->n && item->edge == &edges->edges[i]) {
			more = change_object(item, worlds, trial->sight);
			at++;
		}
		tell(&telling, &edges->edges[i], diff->changes[i], more);
	}
	return json_pack("{s:b, s:o, s:I, s:I, s:I, s:I}", "ok", 1, "edges", finish(&telling),
		"newlyDenied", telling.counts[BH_REPLAY_NEWLY_DENIED], "newlyAllowed",
		telling.counts[BH_REPLAY_NEWLY_ALLOWED], "unchanged",
		telling.counts[BH_REPLAY_SAME], "gone", telling.counts[BH_REPLAY_GONE]);
}

/* What is wrong with a candidate, or NULL. */
static json_t *find_fault(
	const struct bh_replay_world *world, const struct bh_candidates *candidates)
{
	for (size_t i = 0; i < candidates->n; i++) {
		const struct bh_replay_change *change = &candidates->changes[i];
		const char *fault = bh_replay_fault(world, change->namespace, change->name);

		if (fault)
			return bh_control_error("%s %s%s%s: %s",
				*change->namespace ? "NetworkPolicy" : "ClusterNetworkPolicy",
				change->namespace, *change->namespace ? "/" : "", change->name,
				fault);
	}
	return NULL;
}

static json_t *compare_worlds(
	const struct bh_trial *trial, struct seen *seen, const struct bh_candidates *candidates)
{
	struct worlds worlds = {.after = bh_replay_world_new(trial->excerpt.api.model, &seen->edges,
					candidates->n, candidates->changes)};
	struct bh_replay_diff diff;
	json_t *answer = find_fault(worlds.after, candidates);

	if (!answer) {
		worlds.before =
			bh_replay_world_new(trial->excerpt.api.model, &seen->edges, 0, NULL);
		worlds.in_force = bh_replay_world_in_force(
			trial->excerpt.api.model, &seen->edges, candidates->n, candidates->changes);
		bh_replay_diff(&seen->edges, worlds.before, worlds.after, &diff);
		answer = tell_diff(trial, &seen->edges, &diff, &worlds);
		add_window(answer, trial);
		bh_replay_diff_clear(&diff);
	}
	bh_replay_world_free(worlds.before);
	bh_replay_world_free(worlds.after);
	bh_replay_world_free(worlds.in_force);
	return answer;
}

static json_t *run_diff(const struct bh_trial *trial)
{
	struct bh_candidates candidates = {0};
	struct seen seen = {0};
	json_t *answer = bh_candidates_read(
		&candidates, trial->excerpt.api.model, trial->request, trial->sight);

	if (!answer) {
		look(&seen, trial);
		answer = compare_worlds(trial, &seen, &candidates);
		json_object_set(answer, "skipped", candidates.skipped);
		forget(&seen);
	}
	bh_candidates_clear(&candidates);
	return answer;
}

/* ---- policy-suggest -------------------------------------------------------------------------- */

static bool is_decided(void *data, const char *id, const char *word)
{
	const struct bh_trial *trial = data;
	const char *said = json_string_value(json_object_get(trial->decisions, id));

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

static json_t *run_suggest(struct bh_trial *trial)
{
	struct bh_suggest_query query = {.model = trial->excerpt.api.model,
		.approved = is_approved,
		.rejected = is_rejected,
		.data = trial};
	struct bh_suggestion *suggestion;
	struct seen seen = {0};
	json_t *answer = bh_api_string(trial->request, "namespace", &query.namespace);

	if (answer)
		return answer;
	look(&seen, trial);
	query.edges = &seen.edges;
	suggestion = bh_suggest(&query);
	answer = suggestion_object(suggestion);
	bh_suggestion_free(suggestion);
	add_window(answer, trial);
	if (!json_array_size(json_object_get(answer, "policies")))
		bh_api_set_known(answer, trial->excerpt.api.model, trial->sight, query.namespace);
	forget(&seen);
	return answer;
}

/* ---- The task -------------------------------------------------------------------------------- */

static void run(struct bh_task *task)
{
	struct bh_trial *trial = (struct bh_trial *)task;

	bh_excerpt_enter(&trial->excerpt);
	task->result = trial->suggest ? run_suggest(trial) : run_diff(trial);
	bh_excerpt_leave(&trial->excerpt);
}

static void free_trial(struct bh_task *task)
{
	struct bh_trial *trial = (struct bh_trial *)task;

	bh_history_release(trial->history, trial->ticket);
	bh_excerpt_release(&trial->excerpt);
	json_decref(trial->request);
	json_decref(trial->decisions);
	json_decref(trial->window);
	json_decref(task->result);
	bh_sight_free(trial->sight);
	free(trial);
}

struct bh_trial *bh_trial_new(const struct bh_api *api, struct bh_control_call *call,
	const struct bh_history_answer *answer)
{
	struct bh_trial *trial = bh_xcalloc(1, sizeof(*trial));

	trial->task = (struct bh_task){.run = run, .free = free_trial};
	trial->history = api->history;
	trial->ticket = call->tickets[0];
	call->tickets[0] = 0;
	trial->answer = answer;
	bh_excerpt_take(&trial->excerpt, api, BH_EXCERPT_PODS);
	trial->request = json_deep_copy(call->request);
	trial->decisions = json_deep_copy(api->decisions);
	trial->sight = bh_sight_copy(call->sight);
	return trial;
}
