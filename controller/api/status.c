/* SPDX-License-Identifier: Apache-2.0 */

/* How it stands: revisions, endpoints, problems; and whether everything asked for is in force. */

#include <inttypes.h>
#include <string.h>

#include "controller/access/tokens.h"
#include "controller/api/alerts.h"
#include "controller/api/common.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

/* An update normally takes milliseconds. */
#define SLOW_UPDATE_MS 10000

/* ---- Endpoints ------------------------------------------------------------------------------- */

static const char *state_word(Bulkhead__Wire__EndpointState state)
{
	switch (state) {
	case BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED:
		return "attached";
	case BULKHEAD__WIRE__ENDPOINT_STATE__STATE_UNSUPPORTED:
		return "unsupported";
	case BULKHEAD__WIRE__ENDPOINT_STATE__STATE_FAILED:
		return "failed";
	default:
		return "waiting";
	}
}

const char *bh_api_endpoint_state(const struct bh_api *api, const char *uid,
	const Bulkhead__Wire__EndpointStatus **ret_status)
{
	const Bulkhead__Wire__EndpointStatus *status = bh_link_endpoint(api->link, uid);

	*ret_status = status;
	return status ? state_word(status->state) : "waiting";
}

static json_t *count_states(const struct bh_api *api, const struct bh_sight *sight)
{
	const struct bh_desired *desired = api->desired;
	const Bulkhead__Wire__EndpointStatus *status;
	json_int_t addressless = 0;
	json_t *counts;

	for (size_t i = 0; i < desired->n_addressless; i++)
		addressless += bh_sight_sees(sight, desired->addressless[i].namespace);
	counts = json_pack("{s:i, s:i, s:i, s:i, s:I}", "attached", 0, "waiting", 0, "unsupported",
		0, "failed", 0, "no-address", addressless);
	for (size_t i = 0; i < desired->n_endpoints; i++) {
		const char *state = bh_api_endpoint_state(api, desired->endpoints[i].uid, &status);
		json_t *count = json_object_get(counts, state);

		if (!bh_sight_sees(sight, desired->endpoints[i].namespace))
			continue;
		json_integer_set(count, json_integer_value(count) + 1);
	}
	return counts;
}

static json_t *count_modes(const struct bh_api *api, const struct bh_sight *sight)
{
	int counts[BH_MODE_ENFORCE + 1] = {0};
	int quarantined = 0;

	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		if (!bh_sight_sees(sight, api->desired->endpoints[i].namespace))
			continue;
		counts[api->desired->endpoints[i].mode]++;
		quarantined += api->desired->endpoints[i].quarantined;
	}
	return json_pack("{s:i, s:i, s:i, s:i}", "observe", counts[BH_MODE_OBSERVE], "dry-run",
		counts[BH_MODE_DRY_RUN], "enforce", counts[BH_MODE_ENFORCE], "quarantined",
		quarantined);
}

/* How many of this node's pods, of all pods and of the policies the asker may see. */
static void count_objects(const struct bh_api *api, const struct bh_sight *sight, json_t *answer)
{
	const struct bh_network_policy *policy;
	const struct bh_pod *pod;
	json_int_t endpoints = 0;
	json_int_t policies = 0;
	json_int_t pods = 0;

	for (size_t i = 0; i < api->desired->n_endpoints; i++)
		endpoints += bh_sight_sees(sight, api->desired->endpoints[i].namespace);
	for (size_t at = 0; (pod = bh_model_next_pod(api->model, &at));)
		pods += bh_sight_sees(sight, pod->namespace);
	/* The cluster's policies are in no namespace, and not shown to who is bound to some. */
	for (size_t at = 0; (policy = bh_model_next_policy(api->model, &at));)
		policies +=
			!sight || (*policy->namespace && bh_sight_sees(sight, policy->namespace));
	json_object_set_new(answer, "endpoints", json_integer(endpoints));
	json_object_set_new(answer, "policies", json_integer(policies));
	json_object_set_new(answer, "pods", json_integer(pods));
}

/* ---- Problems -------------------------------------------------------------------------------- */

static void add_problem(json_t *problems, const char *source, const char *code, const char *object,
	const char *text)
{
	json_t *problem = json_object();

	bh_json_set_text(problem, "source", source);
	bh_json_set_text(problem, "code", code);
	bh_json_set_text(problem, "object", object);
	bh_json_set_text(problem, "text", text);
	json_array_append_new(problems, problem);
}

static void link_problems(const struct bh_api *api, json_t *problems)
{
	struct bh_link_state state;

	bh_link_state(api->link, &state);
	if (state.incompatible)
		add_problem(problems, "controller", "dataplane-incompatible", state.program,
			state.incompatible);
	else if (!state.connected)
		add_problem(problems, "controller", "dataplane-disconnected", "bulkhead-dataplane",
			"the controller is not connected to it: the kernel goes on enforcing what "
			"it was last told; see why the daemon is not running");
	/* Of the API server its source says how far it is. */
	if (state.holding && !api->kube)
		add_problem(problems, "controller", "held-back", "bulkhead-controller",
			"not every manifest could be read since its start: the kernel goes on "
			"enforcing what it was told before, and nothing new is put in force until "
			"those that are broken are mended or taken away");
	if (state.refused) {
		_cleanup_free_ char *object =
			bh_xasprintf("revision %" PRIu64, state.refused_revision);
		_cleanup_free_ char *text =
			bh_xasprintf("%s; what was in force before stays in force", state.refused);

		add_problem(problems, "dataplane", "update-refused", object, text);
	}
}

/* What nobody else says: a pod that is open because nothing could be attached to it. */
static void endpoint_problems(const struct bh_api *api, json_t *problems)
{
	const Bulkhead__Wire__EndpointStatus *status;

	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];
		const char *state = bh_api_endpoint_state(api, endpoint->uid, &status);
		_cleanup_free_ char *object = NULL;
		_cleanup_free_ char *code = NULL;
		_cleanup_free_ char *text = NULL;

		if (!status || strcmp(state, "attached") == 0 || strcmp(state, "waiting") == 0)
			continue;
		object = bh_xasprintf("Pod %s/%s", endpoint->namespace, endpoint->name);
		code = bh_xasprintf("endpoint-%s", state);
		text = bh_xasprintf("no policy is enforced on it: %s",
			status->detail[0] ? status->detail : "the data plane does not say why");
		add_problem(problems, "dataplane", code, object, text);
	}
}

static void history_problems(const struct bh_api *api, json_t *problems)
{
	struct bh_history_status status;

	bh_history_status(api->history, &status);
	for (size_t i = 0; i < status.n_problems; i++)
		add_problem(problems, "history", status.problems[i].code, status.problems[i].object,
			status.problems[i].text);
	if (status.dropped) {
		_cleanup_free_ char *text = bh_xasprintf(
			"%" PRIu64 " counts could not be taken in since the start: there is more "
			"to count than is kept in memory until the disk takes it",
			status.dropped);

		add_problem(problems, "history", "history-incomplete", status.path, text);
	}
}

static void source_problems(const struct bh_api *api, json_t *problems)
{
	const struct bh_source_problem *list;
	struct bh_manifests_status manifests;
	struct bh_kube_status kube;
	size_t n;

	if (api->kube) {
		bh_kube_status(api->kube, &kube);
		list = kube.problems;
		n = kube.n_problems;
	} else {
		bh_manifests_status(api->manifests, &manifests);
		list = manifests.problems;
		n = manifests.n_problems;
	}
	for (size_t i = 0; i < n; i++)
		add_problem(problems, api->kube ? "kube" : "manifests", list[i].code,
			list[i].object, list[i].text);
}

static void export_problems(const struct bh_api *api, json_t *problems)
{
	const struct bh_export_account *accounts[BH_EXPORTS_MAX];
	size_t n = api->exports ? bh_exports_accounts(api->exports, accounts) : 0;

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *object =
			bh_xasprintf("%s %s", accounts[i]->name, accounts[i]->target);
		_cleanup_free_ char *text = NULL;

		if (!accounts[i]->failing_since_ns)
			continue;
		text = bh_xasprintf("%s; it is tried again until it goes, and what does not fit "
				    "into the queue meanwhile is lost and counted",
			accounts[i]->error);
		add_problem(problems, "export", "export-failing", object, text);
	}
}

json_t *bh_api_problems(const struct bh_api *api)
{
	json_t *problems = json_array();
	struct bh_link_state state;

	if (api->settings_error < 0) {
		_cleanup_free_ char *text = bh_xasprintf(
			"what was set by command is in force and not on disk: %s; a restart of the "
			"controller takes it back. It is tried again every half minute",
			strerror(-api->settings_error));

		add_problem(problems, "controller", "settings-not-kept", "settings.json", text);
	}
	if (api->http_problem)
		add_problem(problems, "controller", "http-unusable", "--http", api->http_problem);
	for (size_t i = 0; i < api->n_notices; i++)
		add_problem(problems, "controller", api->notices[i].code, api->notices[i].object,
			api->notices[i].text);
	source_problems(api, problems);
	history_problems(api, problems);
	for (size_t i = 0; i < api->desired->n_problems; i++)
		add_problem(problems, "policy", api->desired->problems[i].code,
			api->desired->problems[i].object, api->desired->problems[i].text);
	link_problems(api, problems);
	bh_link_state(api->link, &state);
	for (size_t i = 0; state.status && i < state.status->n_problems; i++) {
		const Bulkhead__Wire__Problem *problem = state.status->problems[i];

		add_problem(problems, "dataplane", problem->code, problem->object, problem->text);
	}
	endpoint_problems(api, problems);
	export_problems(api, problems);
	if (api->alerts_problem)
		add_problem(problems, "controller", "alerts-not-kept", "alerts.json",
			api->alerts_problem);
	return problems;
}

/* ---- Fresh? ---------------------------------------------------------------------------------- */

/* The data plane answers within milliseconds, unless it is just applying a large update. */
#define FRESH_MS 1000

bool bh_api_fresh(struct bh_api *api, struct bh_control_call *call)
{
	struct bh_link_state state;

	if (call->elsewhere)
		return true;
	if (call->first) {
		call->memo = bh_link_refresh(api->link);
		call->deadline = call->arrived + FRESH_MS;
	}
	bh_link_state(api->link, &state);
	return call->memo == 0 || call->expired || !state.connected ||
	       bh_link_refreshed(api->link) >= call->memo;
}

/* ---- In force? ------------------------------------------------------------------------------- */

/* Why nothing is told to the data plane yet; NULL if it is. */
static char *missing_source(const struct bh_api *api)
{
	struct bh_kube_status status;

	if (!api->kube || bh_kube_synced(api->kube))
		return NULL;
	bh_kube_status(api->kube, &status);
	return *status.detail
		       ? bh_xasprintf("the API server %s has not been read to the end yet: %s",
				 status.server, status.detail)
		       : bh_xasprintf("the API server %s has not been read to the end yet",
				 status.server);
}

bool bh_api_refreshed(const struct bh_api *api, uint64_t ticket, char **ret_missing)
{
	struct bh_kube_status status;

	if (!api->kube || (bh_kube_refreshed(api->kube, ticket) &&
				  api->desired->revision == bh_model_revision(api->model)))
		return true;
	*ret_missing = missing_source(api);
	if (*ret_missing)
		return false;
	bh_kube_status(api->kube, &status);
	*ret_missing = bh_xasprintf("the API server %s has not been read anew since the call%s%s",
		status.server, *status.detail ? ": " : "", status.detail);
	return false;
}

static char *missing_update(const struct bh_api *api, uint64_t revision)
{
	struct bh_link_state state;

	bh_link_state(api->link, &state);
	if (state.incompatible)
		return bh_xasprintf("the data plane cannot be used: %s", state.incompatible);
	if (!state.connected)
		return bh_xstrdup("the controller is not connected to the data plane");
	if (state.holding)
		return bh_xstrdup("a manifest cannot be read, and was never good since the "
				  "controller's start: what the kernel enforces is left as it is");
	if (bh_link_applied(api->link) >= revision)
		return state.status ? NULL
				    : bh_xstrdup("the data plane has not said how it stands yet");
	if (state.refused)
		return bh_xasprintf("revision %" PRIu64 " was refused: %s", state.refused_revision,
			state.refused);
	return bh_xasprintf("revision %" PRIu64 " is not in force yet (now: %" PRIu64 ")", revision,
		bh_link_applied(api->link));
}

/* "pod shop/web: no interface has 10.0.0.7 (and 3 more)" */
static char *missing_endpoint(const struct bh_api *api)
{
	const Bulkhead__Wire__EndpointStatus *status;
	const Bulkhead__Wire__EndpointStatus *first_status = NULL;
	const struct bh_desired_endpoint *first = NULL;
	_cleanup_free_ char *more = NULL;
	size_t n = 0;

	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];
		const char *state = bh_api_endpoint_state(api, endpoint->uid, &status);

		if (strcmp(state, "attached") == 0 || strcmp(state, "unsupported") == 0)
			continue;
		if (n++ == 0) {
			first = endpoint;
			first_status = status;
		}
	}
	if (n == 0)
		return NULL;
	more = n > 1 ? bh_xasprintf(" (and %zu more)", n - 1) : bh_xstrdup("");
	return bh_xasprintf("pod %s/%s: %s%s", first->namespace, first->name,
		first_status && first_status->detail[0] ? first_status->detail
							: "no interface found yet",
		more);
}

bool bh_api_in_force(const struct bh_api *api, uint64_t revision, char **ret_missing)
{
	char *missing = missing_source(api);

	if (!missing)
		missing = missing_update(api, revision);

	if (!missing)
		missing = missing_endpoint(api);
	if (!missing)
		return true;
	*ret_missing = missing;
	return false;
}

/* ---- The answer ------------------------------------------------------------------------------ */

static json_t *counters(size_t n, Bulkhead__Wire__Counter **from, bool reasons)
{
	json_t *object = json_object();

	for (size_t i = 0; i < n; i++) {
		if (reasons && from[i]->value == 0)
			continue;
		if (json_object_set_new(
			    object, from[i]->name, json_integer((json_int_t)from[i]->value)) < 0)
			continue; /* a name that is not UTF-8 names no counter of ours */
	}
	return object;
}

/* The sentence of each reason that is counted. */
static json_t *sentences(json_t *drops)
{
	json_t *object = json_object();
	const char *word;
	json_t *value;

	json_object_foreach(drops, word, value)
	{
		const char *sentence = bh_reason_sentence_of(word);

		if (sentence)
			bh_json_set_text(object, word, sentence);
	}
	return object;
}

static json_t *map_pressure(const Bulkhead__Wire__Status *status)
{
	json_t *maps = json_array();

	for (size_t i = 0; i < status->n_maps; i++) {
		json_t *map = json_object();

		bh_json_set_text(map, "map", status->maps[i]->map);
		json_object_set_new(
			map, "entries", json_integer((json_int_t)status->maps[i]->entries));
		json_object_set_new(map, "max", json_integer((json_int_t)status->maps[i]->max));
		json_array_append_new(maps, map);
	}
	return maps;
}

static json_t *held_object(const Bulkhead__Wire__Held *held)
{
	json_t *object = json_object();
	json_t *ips = json_array();

	for (size_t i = 0; i < held->n_ips; i++) {
		struct bh_ip ip = {.family = held->ips[i].len == 4 ? 4 : 6};

		if (held->ips[i].len != 4 && held->ips[i].len != 16)
			continue;
		memcpy(ip.ip, held->ips[i].data, held->ips[i].len);
		json_array_append_new(ips, bh_json_ip(&ip));
	}
	bh_json_set_text(object, "interface", held->interface);
	json_object_set_new(object, "ifindex", json_integer(held->ifindex));
	json_object_set_new(object, "ips", ips);
	json_object_set_new(object, "seconds", json_real((double)held->ms / 1000));
	json_object_set_new(object, "overdue", json_boolean(held->overdue));
	return object;
}

static json_t *held(const Bulkhead__Wire__Status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->n_held; i++)
		json_array_append_new(array, held_object(status->held[i]));
	return array;
}

static json_t *leaving(const Bulkhead__Wire__Status *status)
{
	json_t *array = json_array();

	for (size_t i = 0; i < status->n_leaving; i++)
		json_array_append_new(array, json_string(status->leaving[i]));
	return array;
}

static json_t *dataplane_state(const struct bh_api *api, uint64_t now)
{
	struct bh_link_state state;
	json_t *object = json_object();

	bh_link_state(api->link, &state);
	json_object_set_new(object, "connected", json_boolean(state.connected));
	bh_json_set_text(object, "program", state.program);
	bh_json_set_text(object, "attach", state.status ? state.status->attach : "");
	bh_json_set_text(object, "kernel", state.status ? state.status->kernel : "");
	json_object_set_new(object, "slow",
		json_boolean(state.waiting_since && now > state.waiting_since + SLOW_UPDATE_MS));
	json_object_set_new(object, "garbage", json_integer((json_int_t)state.garbage));
	return object;
}

static json_t *kube_resources(const struct bh_kube_status *status)
{
	json_t *resources = json_array();

	for (size_t i = 0; i < status->n_resources; i++) {
		const struct bh_kube_resource_status *resource = &status->resources[i];
		json_t *object = json_object();

		bh_json_set_text(object, "name", resource->name);
		bh_json_set_text(object, "state", resource->state);
		bh_json_set_text(object, "detail",
			resource->error  ? resource->error
			: resource->note ? resource->note
					 : "");
		json_object_set_new(
			object, "objects", json_integer((json_int_t)resource->n_objects));
		json_object_set_new(object, "lists", json_integer((json_int_t)resource->lists));
		json_object_set_new(object, "watches", json_integer((json_int_t)resource->watches));
		json_object_set_new(object, "events", json_integer((json_int_t)resource->events));
		json_array_append_new(resources, object);
	}
	return resources;
}

static json_t *kube_source(const struct bh_api *api)
{
	struct bh_kube_status status;
	json_t *source = json_object();

	bh_kube_status(api->kube, &status);
	bh_json_set_text(source, "kind", "kube");
	bh_json_set_text(source, "name", status.server);
	bh_json_set_text(source, "state", status.state);
	json_object_set_new(source, "since", bh_json_time(status.since_ns));
	bh_json_set_text(source, "detail", status.detail);
	json_object_set_new(source, "objects", json_integer((json_int_t)status.n_objects));
	json_object_set_new(source, "problems", json_integer((json_int_t)status.n_problems));
	json_object_set_new(source, "resources", kube_resources(&status));
	return source;
}

static json_t *manifests_source(const struct bh_api *api)
{
	struct bh_manifests_status status;
	json_t *source = json_object();

	bh_manifests_status(api->manifests, &status);
	bh_json_set_text(source, "kind", "manifests");
	bh_json_set_text(source, "path", status.path);
	json_object_set_new(source, "files", json_integer((json_int_t)status.n_files));
	json_object_set_new(source, "objects", json_integer((json_int_t)status.n_objects));
	json_object_set_new(source, "scans", json_integer((json_int_t)status.scans));
	json_object_set_new(source, "problems", json_integer((json_int_t)status.n_problems));
	return source;
}

/* True if the object ("Pod shop/web", "NetworkPolicy shop/base") is in a namespace of the asker's,
 * or in none: then it is the machinery's. */
static bool is_seen(const struct bh_sight *sight, const char *object)
{
	const char *name = strchr(object, ' ');
	const char *slash = name ? strchr(name, '/') : NULL;
	_cleanup_free_ char *namespace = NULL;

	if (name && !slash && strncmp(object, "Namespace ", 10) == 0)
		return bh_sight_sees(sight, name + 1);
	if (!slash || slash == name + 1)
		return strcmp(object, "bulkhead-dataplane") == 0 ||
		       strcmp(object, "bulkhead-controller") == 0;
	namespace = strndup(name + 1, (size_t)(slash - name - 1));
	return namespace && bh_sight_sees(sight, namespace);
}

/* Texts of problems are about their object, which is the asker's, but for who else has its address.
 */
static void hide_others(json_t *problem)
{
	const char *code = json_string_value(json_object_get(problem, "code"));

	if (strcmp(code, "address-conflict") == 0)
		bh_json_set_text(problem, "text",
			"one of its addresses also belongs to something else, which keeps it; "
			"whoever "
			"sees all namespaces is told to what");
}

/* What whoever is bound to namespaces is not told, taken out of the answer. */
static void narrow(const struct bh_sight *sight, json_t *answer)
{
	static const char *const foreign[] = {"sources", "drops", "dropReasons", "passes", "maps",
		"held", "holds", "missing", "http", "leaving", "history", "exports", "flowRecords"};
	json_t *problems = json_object_get(answer, "problems");
	json_int_t elsewhere = 0;

	for (size_t i = json_array_size(problems); sight && i-- > 0;) {
		const json_t *object = json_object_get(json_array_get(problems, i), "object");

		if (is_seen(sight, json_string_value(object))) {
			hide_others(json_array_get(problems, i));
			continue;
		}
		json_array_remove(problems, i);
		elsewhere++;
	}
	for (size_t i = 0; sight && i < sizeof(foreign) / sizeof(foreign[0]); i++)
		json_object_del(answer, foreign[i]);
	json_object_set_new(answer, "problemsElsewhere", json_integer(elsewhere));
}

/* What became of the records that were to be exported. */
static json_t *export_object(const struct bh_export_account *account)
{
	json_t *object = json_object();
	json_t *lost = json_object();

	for (int i = 0; i < BH_EXPORT_LOSS_KINDS; i++) {
		if (account->lost[i])
			json_object_set_new(lost, bh_export_loss_word((enum bh_export_loss)i),
				json_integer((json_int_t)account->lost[i]));
	}
	bh_json_set_text(object, "name", account->name);
	bh_json_set_text(object, "target", account->target);
	json_object_set_new(object, "emitted", json_integer((json_int_t)account->emitted));
	json_object_set_new(object, "delivered", json_integer((json_int_t)account->delivered));
	json_object_set_new(object, "queued", json_integer((json_int_t)bh_export_queued(account)));
	json_object_set_new(object, "lostTotal", json_integer((json_int_t)bh_export_lost(account)));
	json_object_set_new(object, "lost", lost);
	json_object_set_new(object, "bytes", json_integer((json_int_t)account->octets));
	json_object_set_new(object, "failures", json_integer((json_int_t)account->failures));
	json_object_set_new(object, "begun", json_integer((json_int_t)account->begun));
	bh_json_set_text(object, "error", account->error);
	json_object_set_new(object, "failingSince", bh_json_time(account->failing_since_ns));
	return object;
}

static json_t *export_objects(const struct bh_api *api)
{
	const struct bh_export_account *accounts[BH_EXPORTS_MAX];
	size_t n = api->exports ? bh_exports_accounts(api->exports, accounts) : 0;
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, export_object(accounts[i]));
	return array;
}

/* How often everything was compiled, and why; and how often only what had changed. */
static json_t *compilations(const struct bh_api *api)
{
	struct bh_compile_counts counts;
	json_t *whole = json_object();

	bh_compiler_counts(api->compiler, &counts);
	for (int i = 0; i < BH_COMPILE_CAUSES; i++) {
		if (counts.whole[i])
			json_object_set_new(whole, bh_compile_cause_name((enum bh_compile_cause)i),
				json_integer((json_int_t)counts.whole[i]));
	}
	return json_pack("{s:I, s:o}", "steps", (json_int_t)counts.steps, "whole", whole);
}

json_t *bh_api_status(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_free_ char *missing = NULL;
	uint64_t wanted = api->desired->revision;
	struct bh_link_state state;
	json_t *answer;
	bool ready;

	if (!bh_api_fresh(api, call))
		return NULL;
	ready = bh_api_in_force(api, wanted, &missing);
	answer = json_pack("{s:b, s:{s:I, s:I}, s:s, s:s, s:b, s:o, s:o, s:o, s:o}", "ok", 1,
		"revision", "wanted", (json_int_t)wanted, "applied",
		(json_int_t)bh_link_applied(api->link), "mode",
		bh_mode_name(bh_model_node_mode(api->model)), "modeSource",
		api->mode_by_command ? "command" : "command-line", "ready", ready, "sources",
		json_pack("[o]", api->kube ? kube_source(api) : manifests_source(api)),
		"endpointStates", count_states(api, call->sight), "endpointModes",
		count_modes(api, call->sight), "problems", bh_api_problems(api));
	count_objects(api, call->sight, answer);
	if (missing)
		bh_json_set_text(answer, "missing", missing);
	json_object_set_new(answer, "history", bh_json_history(api));
	bh_json_set_text(answer, "node", bh_model_node_name(api->model));
	bh_json_set_text(answer, "version", BH_VERSION);
	json_object_set_new(answer, "started", bh_json_time(api->started_ns));
	json_object_set_new(answer, "dataplane", dataplane_state(api, call->now));
	json_object_set_new(answer, "compilations", compilations(api));
	json_object_set_new(answer, "flowRecords",
		json_integer((
			json_int_t)(bh_flow_log_next(api->flows) - bh_flow_log_first(api->flows))));

	json_object_set_new(answer, "losses", json_object());
	json_object_set_new(answer, "exports", export_objects(api));
	json_object_set_new(answer, "alerts", bh_json_alert_counts(api, call->sight));
	bh_link_state(api->link, &state);
	if (state.status) {
		json_t *drops = counters(state.status->n_drops, state.status->drops, true);
		json_t *losses = counters(state.status->n_losses, state.status->losses, true);

		json_object_set_new(answer, "dropReasons", sentences(drops));
		json_object_set_new(answer, "drops", drops);
		json_object_set_new(answer, "passes",
			counters(state.status->n_passes, state.status->passes, true));
		json_object_set_new(answer, "losses", losses);
		json_object_set_new(answer, "maps", map_pressure(state.status));
		json_object_set_new(answer, "held", held(state.status));
		json_object_set_new(answer, "leaving", leaving(state.status));
		json_object_set_new(answer, "holds", json_integer((json_int_t)state.status->holds));
		if (bh_flow_log_lost(api->flows))
			json_object_set_new(losses, "events-lost-sending",
				json_integer((json_int_t)bh_flow_log_lost(api->flows)));
		if (bh_edges_forgotten(api->edges))
			json_object_set_new(losses, "edges-forgotten",
				json_integer((json_int_t)bh_edges_forgotten(api->edges)));
	}
	json_object_set_new(answer, "http",
		api->http_url ? json_pack("{s:s, s:s}", "url", api->http_url, "tokenFile",
					bh_tokens_first_path(api->tokens))
			      : json_null());
	narrow(call->sight, answer);
	return answer;
}
