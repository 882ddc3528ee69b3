/* SPDX-License-Identifier: Apache-2.0 */

/* What the operator orders: modes, quarantines, and to be told when everything is in force. */

#include <string.h>

#include "controller/api/common.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

#define WAIT_MAX_MS (24 * 60 * 60 * 1000ull)
/* An order that is not in force by then is answered all the same, with what is missing. */
#define ORDER_WAIT_MS 10000
#define WARNINGS_MAX 50
/* Longest names that Kubernetes has. */
#define NAMESPACE_MAX 63
#define POD_MAX 253

/*
 * The common end of every order: answers `answer` (which it takes) once the wanted state is in
 * force. NULL while it is not.
 */
static json_t *when_in_force(struct bh_api *api, struct bh_control_call *call, json_t *answer)
{
	_cleanup_free_ char *missing = NULL;

	if (call->first) {
		call->memo = api->desired->revision;
		call->deadline = call->arrived + ORDER_WAIT_MS;
	}
	if (bh_api_in_force(api, call->memo, &missing)) {
		json_object_set_new(answer, "inForce", json_true());
		return answer;
	}
	if (!call->expired) {
		json_decref(answer);
		return NULL;
	}
	json_object_set_new(answer, "inForce", json_false());
	/* Which pod is waited for may not be the asker's to know. */
	bh_json_set_text(answer, "missing",
		call->sight ? "not everything on this node is in force yet" : missing);
	return answer;
}

/* ---- mode ------------------------------------------------------------------------------------ */

/* What an order or a question is about. */
struct target {
	enum bh_scope scope;
	const char *namespace;
	const char *name;
	char *copy; /* holds both for a pod */
};

static void target_cleanup(struct target *target)
{
	free(target->copy);
}

static json_t *read_target(const json_t *request, struct target *ret_target)
{
	const char *namespace;
	const char *pod;
	json_t *error = bh_api_string(request, "namespace", &namespace);

	error = error ?: bh_api_string(request, "pod", &pod);
	if (error)
		return error;
	if (namespace && pod)
		return bh_control_error("name a namespace or a pod, not both");
	if (namespace &&
		(!*namespace || strchr(namespace, '/') || strlen(namespace) > NAMESPACE_MAX))
		return bh_control_error("'%.64s' is no namespace", namespace);
	if (pod && strlen(pod) > NAMESPACE_MAX + 1 + POD_MAX)
		return bh_control_error("'%.64s…' is no pod's name: it is too long", pod);
	if (pod) {
		error = bh_api_pod_name(pod, &ret_target->copy, &ret_target->name);
		ret_target->namespace = ret_target->copy;
		ret_target->scope = BH_SCOPE_POD;
	} else {
		ret_target->namespace = namespace;
		ret_target->scope = namespace ? BH_SCOPE_NAMESPACE : BH_SCOPE_NODE;
	}
	return error;
}

static json_t *override_object(const struct bh_override *override)
{
	json_t *object = json_object();

	bh_json_set_text(object, "scope",
		override->scope == BH_SCOPE_NODE  ? "node"
		: override->scope == BH_SCOPE_POD ? "pod"
						  : "namespace");
	bh_json_set_text(object, "namespace", override->namespace);
	bh_json_set_text(object, "name", override->name);
	bh_json_set_text(object, "mode", bh_mode_name(override->mode));
	json_object_set_new(object, "quarantined", json_boolean(override->quarantined));
	return object;
}

static json_t *overrides(const struct bh_api *api, const struct bh_sight *sight, bool quarantines)
{
	_cleanup_free_ struct bh_override *list = NULL;
	size_t n = bh_model_overrides(api->model, &list);
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++) {
		if (bh_sight_sees(sight, list[i].namespace) &&
			(quarantines ? list[i].quarantined : list[i].mode != BH_MODE_UNSET))
			json_array_append_new(array, override_object(&list[i]));
	}
	return array;
}

/* False for what nobody has heard of (yet): most likely a slip. */
static bool is_known(const struct bh_api *api, const struct target *target)
{
	if (target->scope == BH_SCOPE_NODE)
		return true;
	if (target->scope == BH_SCOPE_POD)
		return bh_model_pod_by_name(api->model, target->namespace, target->name) != NULL;
	return bh_model_namespace_labels(api->model, target->namespace) != NULL;
}

/* True if something was ordered about it before: that can always be taken back. */
static bool is_ordered(const struct bh_api *api, const struct target *target)
{
	_cleanup_free_ struct bh_override *list = NULL;
	size_t n = bh_model_overrides(api->model, &list);

	for (size_t i = 0; i < n; i++) {
		if (list[i].scope == target->scope &&
			strcmp(list[i].namespace, target->namespace) == 0 &&
			(target->scope != BH_SCOPE_POD || strcmp(list[i].name, target->name) == 0))
			return true;
	}
	return false;
}

/*
 * An order that the asker may not give; an error to answer with, or NULL. Orders are kept for ever
 * and for everybody, and settings have a size: who is bound to namespaces fills them with no names
 * that nothing has.
 */
static json_t *check_sight(
	const struct bh_api *api, const struct bh_sight *sight, const struct target *target)
{
	if (!sight)
		return NULL;
	if (target->scope == BH_SCOPE_NODE || !bh_sight_sees(sight, target->namespace))
		return bh_api_forbidden(
			"the token is bound to namespaces, and this is not about one of them");
	if (target->scope == BH_SCOPE_POD && !is_known(api, target) && !is_ordered(api, target))
		return bh_api_missing("there is no pod %s/%s", target->namespace, target->name);
	return NULL;
}

static json_t *show_modes(
	struct bh_api *api, const struct bh_sight *sight, const struct target *target)
{
	json_t *answer = json_pack("{s:b, s:{s:s, s:s}, s:o}", "ok", 1, "node", "mode",
		bh_mode_name(bh_model_node_mode(api->model)), "source",
		api->mode_by_command ? "command" : "command-line", "overrides",
		overrides(api, sight, false));
	json_t *pods = json_array();

	/* The mode in force of each pod that is asked about. */
	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];
		json_t *pod;

		if (!bh_sight_sees(sight, endpoint->namespace))
			continue;
		if (target->scope != BH_SCOPE_NODE &&
			strcmp(endpoint->namespace, target->namespace) != 0)
			continue;
		if (target->scope == BH_SCOPE_POD && strcmp(endpoint->name, target->name) != 0)
			continue;
		pod = json_object();
		bh_json_set_text(pod, "namespace", endpoint->namespace);
		bh_json_set_text(pod, "name", endpoint->name);
		bh_json_set_text(pod, "mode", bh_mode_name(endpoint->mode));
		json_object_set_new(pod, "quarantined", json_boolean(endpoint->quarantined));
		json_array_append_new(pods, pod);
	}
	json_object_set_new(answer, "pods", pods);
	json_object_set_new(answer, "known", json_boolean(is_known(api, target)));
	return answer;
}

static json_t *set_mode(struct bh_api *api, const struct target *target, enum bh_mode mode)
{
	enum bh_mode before =
		bh_model_mode(api->model, target->scope, target->namespace, target->name);
	int r;

	if (!bh_model_set_mode(api->model, target->scope, target->namespace, target->name, mode))
		return NULL;
	r = api->settings_changed(api->data, false);
	if (r == 0)
		return NULL;
	bh_model_set_mode(api->model, target->scope, target->namespace, target->name, before);
	return bh_control_error(
		"the mode was not changed, because it cannot be kept: writing the settings: %s",
		strerror(-r));
}

json_t *bh_api_mode(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(target_cleanup) struct target target = {0};
	const char *value = NULL;
	enum bh_mode mode;
	json_t *error = read_target(call->request, &target);

	error = error ?: bh_api_string(call->request, "value", &value);
	if (error)
		return error;
	if (!value)
		return show_modes(api, call->sight, &target);
	mode = bh_mode_parse(value);
	if (mode == BH_MODE_UNSET && strcmp(value, "clear") != 0)
		return bh_control_error(
			"'%s' is no mode: observe, dry-run, enforce, or clear", value);
	error = check_sight(api, call->sight, &target);
	if (error)
		return error;
	if (call->first)
		error = set_mode(api, &target, mode);
	if (error)
		return error;
	return when_in_force(api, call, show_modes(api, call->sight, &target));
}

/* ---- quarantine ------------------------------------------------------------------------------ */

json_t *bh_api_quarantine(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_(target_cleanup) struct target target = {0};
	bool release = false;
	json_t *answer;
	json_t *error = read_target(call->request, &target);
	int r = 0;

	error = error ?: bh_api_flag(call->request, "release", &release);
	if (error)
		return error;
	if (target.scope == BH_SCOPE_NAMESPACE)
		return bh_control_error("quarantine is for pods: write namespace/name");
	if (target.scope == BH_SCOPE_NODE)
		return json_pack(
			"{s:b, s:o}", "ok", 1, "quarantined", overrides(api, call->sight, true));

	error = check_sight(api, call->sight, &target);
	if (error)
		return error;
	if (call->first &&
		bh_model_set_quarantine(api->model, target.namespace, target.name, !release))
		/* Whoever cuts a pod off wants it cut off, whatever the disk says. */
		r = api->settings_changed(api->data, !release);
	if (r < 0 && release) {
		bh_model_set_quarantine(api->model, target.namespace, target.name, true);
		return bh_control_error("nothing was changed, because it cannot be kept: writing "
					"the settings: %s",
			strerror(-r));
	}
	answer = json_pack("{s:b, s:o, s:b, s:b}", "ok", 1, "quarantined",
		overrides(api, call->sight, true), "known",
		bh_model_pod_by_name(api->model, target.namespace, target.name) != NULL, "kept",
		api->settings_error == 0);
	return when_in_force(api, call, answer);
}

/* ---- wait ------------------------------------------------------------------------------------ */

/* An object of the API server that is not in force as it is there; NULL if all are. */
static char *broken_object(const struct bh_api *api)
{
	struct bh_kube_status status;

	bh_kube_status(api->kube, &status);
	for (size_t i = 0; i < status.n_problems; i++) {
		if (strcmp(status.problems[i].code, "object-invalid") == 0)
			return bh_xstrdup(status.problems[i].text);
	}
	return NULL;
}

/* A manifest that is not in force as it is written; NULL if all are. */
static char *broken_manifest(const struct bh_api *api)
{
	struct bh_manifests_status status;

	bh_manifests_status(api->manifests, &status);
	for (size_t i = 0; i < status.n_problems; i++) {
		if (strcmp(status.problems[i].code, "duplicate-object") != 0 &&
			strcmp(status.problems[i].code, "foreign-policy") != 0)
			return bh_xasprintf(
				"%s: %s", status.problems[i].object, status.problems[i].text);
	}
	return NULL;
}

/*
 * Problems that keep nothing from being in force, but that whoever waits should hear of: the first
 * ones, and how many more `status` has.
 */
static json_t *warnings(const struct bh_api *api)
{
	json_t *problems = bh_api_problems(api);
	json_t *texts = json_array();
	json_t *problem;
	size_t i;

	json_array_foreach(problems, i, problem)
	{
		if (i == WARNINGS_MAX) {
			_cleanup_free_ char *rest =
				bh_xasprintf("and %zu problems more: see 'bulkhead status'",
					json_array_size(problems) - i);

			json_array_append_new(texts, json_string(rest));
			break;
		}
		_cleanup_free_ char *text = bh_xasprintf("%s: %s",
			json_string_value(json_object_get(problem, "object")),
			json_string_value(json_object_get(problem, "text")));

		json_array_append_new(texts, bh_json_text(text));
	}
	json_decref(problems);
	return texts;
}

/*
 * What a call that waits remembers: at first the ticket of the reading it asked for; once the
 * source was read the revision that was wanted then, and whether the data plane had said how it
 * stands.
 */
#define MEMO_READ 1
#define MEMO_STATUS 2
#define MEMO_SHIFT 2

json_t *bh_api_wait(struct bh_api *api, struct bh_control_call *call)
{
	_cleanup_free_ char *missing = NULL;
	_cleanup_free_ char *broken = NULL;
	struct bh_link_state state;
	uint64_t timeout = 30000;
	uint64_t revision;
	json_t *error = bh_api_number(call->request, "timeout", WAIT_MAX_MS, &timeout);

	if (error)
		return error;
	if (call->first) {
		call->memo = api->refresh(api->data) << MEMO_SHIFT;
		call->deadline = call->arrived + timeout;
	}
	if (!(call->memo & MEMO_READ) &&
		!bh_api_refreshed(api, call->memo >> MEMO_SHIFT, &missing)) {
		if (!call->expired && timeout > 0)
			return NULL;
		return bh_control_error("not everything is in force: %s", missing);
	}
	/* The data plane's first status brings the host's addresses, which change what is wanted.
	 */
	if (!(call->memo & MEMO_STATUS)) {
		bh_link_state(api->link, &state);
		call->memo = api->desired->revision << MEMO_SHIFT | MEMO_READ |
			     (state.status ? MEMO_STATUS : 0);
	}
	revision = call->memo >> MEMO_SHIFT;
	if (!bh_api_in_force(api, revision, &missing)) {
		if (!call->expired && timeout > 0)
			return NULL;
		return bh_control_error("not everything is in force: %s", missing);
	}
	broken = api->kube ? broken_object(api) : broken_manifest(api);
	if (broken)
		return bh_control_error("not everything is in force: %s", broken);
	return json_pack("{s:b, s:I, s:o}", "ok", 1, "revision", (json_int_t)revision, "warnings",
		warnings(api));
}
