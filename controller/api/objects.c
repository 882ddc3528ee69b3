/* SPDX-License-Identifier: Apache-2.0 */

/* The pods of this node, the policies, and what they would say to a connection. */

#include <string.h>

#include "controller/api/common.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

/* ---- pods ------------------------------------------------------------------------------------ */

static json_t *pod_labels(const struct bh_api *api, const char *uid)
{
	const struct bh_pod *pod = bh_model_pod(api->model, uid);
	json_t *labels = json_object();

	for (size_t i = 0; pod && i < pod->labels->n; i++)
		bh_json_set_text(labels, pod->labels->items[i].key, pod->labels->items[i].value);
	return labels;
}

static json_t *pod_object(const struct bh_api *api, const struct bh_desired_endpoint *endpoint)
{
	const Bulkhead__Wire__EndpointStatus *status;
	const char *state = bh_api_endpoint_state(api, endpoint->uid, &status);
	json_t *pod = json_object();
	json_t *ips = json_array();
	json_t *policies = json_array();
	json_t *cluster = json_array();

	for (size_t i = 0; i < endpoint->n_ips; i++)
		json_array_append_new(ips, bh_json_ip(&endpoint->ips[i]));
	for (size_t i = 0; i < endpoint->n_policies; i++)
		json_array_append_new(policies, bh_json_text(endpoint->policies[i]));
	for (size_t i = 0; i < endpoint->n_cluster_policies; i++)
		json_array_append_new(cluster, bh_json_text(endpoint->cluster_policies[i]));
	bh_json_set_text(pod, "namespace", endpoint->namespace);
	bh_json_set_text(pod, "name", endpoint->name);
	bh_json_set_text(pod, "uid", endpoint->uid);
	json_object_set_new(pod, "ips", ips);
	bh_json_set_text(pod, "interface", status ? status->interface : "");
	json_object_set_new(pod, "ifindex", json_integer(status ? status->ifindex : 0));
	bh_json_set_text(pod, "hook", status ? status->hook : "");
	bh_json_set_text(pod, "mode", bh_mode_name(endpoint->mode));
	bh_json_set_text(pod, "state", state);
	bh_json_set_text(pod, "detail", status ? status->detail : "");
	json_object_set_new(pod, "quarantined", json_boolean(endpoint->quarantined));
	json_object_set_new(pod, "ingressIsolated", json_boolean(endpoint->ingress_isolated));
	json_object_set_new(pod, "egressIsolated", json_boolean(endpoint->egress_isolated));
	json_object_set_new(pod, "policies", policies);
	json_object_set_new(pod, "clusterPolicies", cluster);
	json_object_set_new(pod, "workload", bh_json_workload(api, endpoint->workload));
	json_object_set_new(pod, "labels", pod_labels(api, endpoint->uid));
	return pod;
}

static json_t *addressless_object(
	const struct bh_api *api, const struct bh_desired_addressless *pod)
{
	json_t *object = json_object();

	bh_json_set_text(object, "namespace", pod->namespace);
	bh_json_set_text(object, "name", pod->name);
	bh_json_set_text(object, "uid", pod->uid);
	json_object_set_new(object, "ips", json_array());
	bh_json_set_text(object, "interface", "");
	json_object_set_new(object, "ifindex", json_integer(0));
	bh_json_set_text(object, "hook", "");
	bh_json_set_text(object, "mode", bh_mode_name(pod->mode));
	bh_json_set_text(object, "state", "no-address");
	bh_json_set_text(object, "detail", pod->detail);
	json_object_set_new(object, "quarantined", json_boolean(pod->quarantined));
	json_object_set_new(object, "ingressIsolated", json_false());
	json_object_set_new(object, "egressIsolated", json_false());
	json_object_set_new(object, "policies", json_array());
	json_object_set_new(object, "clusterPolicies", json_array());
	json_object_set_new(object, "workload", json_null());
	json_object_set_new(object, "labels", pod_labels(api, pod->uid));
	return object;
}

static const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

/* By namespace, then name: two lists of pods become one. */
static int compare_pods(const void *a, const void *b)
{
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = strcmp(text_of(x, "namespace"), text_of(y, "namespace"));

	return order ? order : strcmp(text_of(x, "name"), text_of(y, "name"));
}

json_t *bh_api_pods(struct bh_api *api, struct bh_control_call *call)
{
	const struct bh_desired *desired = api->desired;
	size_t n = 0;
	_cleanup_free_ json_t **sorted =
		bh_xcalloc(desired->n_endpoints + desired->n_addressless, sizeof(*sorted));
	json_t *pods;

	if (!bh_api_fresh(api, call))
		return NULL;
	for (size_t i = 0; i < desired->n_endpoints; i++) {
		if (bh_sight_sees(call->sight, desired->endpoints[i].namespace))
			sorted[n++] = pod_object(api, &desired->endpoints[i]);
	}
	for (size_t i = 0; i < desired->n_addressless; i++) {
		if (bh_sight_sees(call->sight, desired->addressless[i].namespace))
			sorted[n++] = addressless_object(api, &desired->addressless[i]);
	}
	if (n)
		qsort(sorted, n, sizeof(*sorted), compare_pods);
	pods = json_array();
	for (size_t i = 0; i < n; i++)
		json_array_append_new(pods, sorted[i]);
	return json_pack("{s:b, s:o}", "ok", 1, "pods", pods);
}

/* ---- policies -------------------------------------------------------------------------------- */

static bool is_cluster_wide(const struct bh_network_policy *policy)
{
	return *policy->namespace == '\0';
}

/* A NetworkPolicy isolates for that direction, a ClusterNetworkPolicy has rules for it. */
static bool speaks(const struct bh_network_policy *policy, bool egress)
{
	if (is_cluster_wide(policy))
		return json_array_size(
			       json_object_get(policy->spec, egress ? "egress" : "ingress")) > 0;
	return bh_api_policy_isolates(policy, egress);
}

static bool is_among(const char *const *names, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static bool selects(
	const struct bh_network_policy *policy, const struct bh_desired_endpoint *endpoint)
{
	if (is_cluster_wide(policy))
		return is_among(
			endpoint->cluster_policies, endpoint->n_cluster_policies, policy->name);
	return strcmp(endpoint->namespace, policy->namespace) == 0 &&
	       is_among(endpoint->policies, endpoint->n_policies, policy->name);
}

/* Names of this node's pods that the policy selects; of any namespace if it is in none. */
static json_t *selected_pods(const struct bh_api *api, const struct bh_network_policy *policy)
{
	json_t *pods = json_array();

	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];
		_cleanup_free_ char *full = NULL;

		if (!selects(policy, endpoint))
			continue;
		full = bh_xasprintf("%s/%s", endpoint->namespace, endpoint->name);
		json_array_append_new(
			pods, bh_json_text(is_cluster_wide(policy) ? full : endpoint->name));
	}
	return pods;
}

static json_t *policy_rules(const struct bh_api *api, const struct bh_network_policy *policy)
{
	json_t *rules = json_array();

	for (size_t i = 0; i < api->desired->n_rule_names; i++) {
		const struct bh_desired_rule_name *rule = &api->desired->rule_names[i];

		if (strcmp(rule->namespace, policy->namespace) == 0 &&
			strcmp(rule->policy, policy->name) == 0)
			json_array_append_new(rules, bh_json_rule(api, rule->number));
	}
	return rules;
}

static json_t *policy_problems(const struct bh_api *api, const struct bh_network_policy *policy)
{
	_cleanup_free_ char *object =
		is_cluster_wide(policy)
			? bh_xasprintf("ClusterNetworkPolicy %s", policy->name)
			: bh_xasprintf("NetworkPolicy %s/%s", policy->namespace, policy->name);
	json_t *problems = json_array();

	for (size_t i = 0; i < api->desired->n_problems; i++) {
		if (strcmp(api->desired->problems[i].object, object) == 0)
			json_array_append_new(
				problems, bh_json_text(api->desired->problems[i].text));
	}
	return problems;
}

static json_t *policy_object(const struct bh_api *api, const struct bh_network_policy *policy)
{
	json_t *object = json_object();
	json_t *problems = policy_problems(api, policy);

	bh_json_set_text(
		object, "kind", is_cluster_wide(policy) ? "ClusterNetworkPolicy" : "NetworkPolicy");
	bh_json_set_text(object, "namespace", policy->namespace);
	bh_json_set_text(object, "name", policy->name);
	bh_json_set_text(object, "uid", policy->uid);
	if (is_cluster_wide(policy)) {
		const json_t *tier = json_object_get(policy->spec, "tier");
		json_t *priority = json_object_get(policy->spec, "priority");

		bh_json_set_text(
			object, "tier", json_is_string(tier) ? json_string_value(tier) : "");
		json_object_set(
			object, "priority", json_is_integer(priority) ? priority : json_null());
	}
	bh_json_set_text(object, "mode",
		bh_mode_parse(policy->mode) == BH_MODE_UNSET ? "pod" : policy->mode);
	json_object_set_new(object, "ingress", json_boolean(speaks(policy, false)));
	json_object_set_new(object, "egress", json_boolean(speaks(policy, true)));
	json_object_set_new(object, "valid", json_boolean(json_array_size(problems) == 0));
	json_object_set_new(object, "problems", problems);
	json_object_set_new(object, "pods", selected_pods(api, policy));
	json_object_set_new(object, "rules", policy_rules(api, policy));
	return object;
}

static int compare_policies(const void *a, const void *b)
{
	const struct bh_network_policy *x = *(const struct bh_network_policy *const *)a;
	const struct bh_network_policy *y = *(const struct bh_network_policy *const *)b;
	int order = strcmp(x->namespace, y->namespace);

	return order ? order : strcmp(x->name, y->name);
}

json_t *bh_api_policies(struct bh_api *api, struct bh_control_call *call)
{
	size_t n = bh_model_count_policies(api->model);
	_cleanup_free_ const struct bh_network_policy **sorted = bh_xcalloc(n, sizeof(*sorted));
	const struct bh_network_policy *policy;
	json_t *policies = json_array();
	size_t i = 0;

	for (size_t at = 0; i < n && (policy = bh_model_next_policy(api->model, &at));)
		sorted[i++] = policy;
	n = i;
	qsort(sorted, n, sizeof(*sorted), compare_policies);
	for (i = 0; i < n; i++) {
		if (!call->sight || (!is_cluster_wide(sorted[i]) &&
					    bh_sight_sees(call->sight, sorted[i]->namespace)))
			json_array_append_new(policies, policy_object(api, sorted[i]));
	}
	return json_pack("{s:b, s:o}", "ok", 1, "policies", policies);
}

/* ---- explain --------------------------------------------------------------------------------- */

static json_t *verdict_object(const struct bh_api *api, const struct bh_explain_verdict *verdict)
{
	json_t *object = json_object();
	json_t *passes = json_array();

	json_object_set_new(object, "allowed", json_boolean(verdict->allowed));
	bh_json_set_text(object, "reason", verdict->reason);
	json_object_set_new(object, "rule", bh_json_rule(api, verdict->rule));
	bh_json_set_text(object, "text", verdict->text);
	for (size_t i = 0; i < verdict->n_passes; i++)
		json_array_append_new(passes, bh_json_text(verdict->passes[i]));
	json_object_set_new(object, "passedBy", passes);
	return object;
}

static json_t *side_object(const struct bh_api *api, const struct bh_explain_side *side)
{
	json_t *object = json_object();
	json_t *policies = json_array();
	json_t *cluster = json_array();

	bh_json_set_text(object, "direction", side->egress ? "egress" : "ingress");
	bh_json_set_text(object, "subject", side->subject ? side->subject : "");
	json_object_set_new(object, "judged", json_boolean(side->judged));
	if (!side->judged) {
		json_decref(policies);
		json_decref(cluster);
		return object;
	}
	for (size_t i = 0; i < side->n_policies; i++)
		json_array_append_new(policies, bh_json_text(side->policies[i]));
	for (size_t i = 0; i < side->n_cluster_policies; i++)
		json_array_append_new(cluster, bh_json_text(side->cluster_policies[i]));
	bh_json_set_text(object, "node", side->node ? side->node : "");
	json_object_set_new(object, "here", json_boolean(side->here));
	bh_json_set_text(object, "mode", side->mode ? side->mode : "");
	json_object_set_new(object, "quarantined", json_boolean(side->quarantined));
	json_object_set_new(object, "isolated", json_boolean(side->isolated));
	json_object_set_new(object, "policies", policies);
	json_object_set_new(object, "clusterPolicies", cluster);
	bh_json_set_text(object, "peerAddress", side->peer_address ? side->peer_address : "");
	json_object_set_new(object, "peerClass", json_integer(side->peer_class));
	json_object_set_new(object, "active", verdict_object(api, &side->active));
	json_object_set_new(object, "pending", verdict_object(api, &side->pending));
	return object;
}

static json_t *backend_object(const struct bh_api *api, const struct bh_explain_backend *backend)
{
	return json_pack("{s:o, s:s, s:i, s:b, s:b, s:[o, o]}", "name", bh_json_text(backend->name),
		"address", backend->address, "port", (int)backend->port, "allowed",
		backend->allowed, "pendingAllowed", backend->pending_allowed, "sides",
		side_object(api, &backend->sides[0]), side_object(api, &backend->sides[1]));
}

/* What only a service's port has. */
static void add_backends(
	const struct bh_api *api, const struct bh_explanation *explanation, json_t *answer)
{
	json_t *list = json_array();

	for (size_t i = 0; i < explanation->n_backends; i++)
		json_array_append_new(list, backend_object(api, &explanation->backends[i]));
	json_object_set_new(answer, "depends", json_boolean(explanation->depends));
	json_object_set_new(answer, "pendingDepends", json_boolean(explanation->pending_depends));
	json_object_set_new(
		answer, "backendsTotal", json_integer((json_int_t)explanation->n_backends_all));
	json_object_set_new(answer, "backends", list);
}

json_t *bh_api_explain(struct bh_api *api, struct bh_control_call *call)
{
	struct bh_explain_query query = {0};
	struct bh_explanation *explanation;
	_cleanup_free_ char *problem = NULL;
	uint64_t port = 0;
	bool found = false;
	json_t *answer;
	json_t *error = bh_api_string(call->request, "src", &query.src);

	if (call->sight) {
		json_decref(error);
		return bh_api_forbidden("explain needs a token that is not bound to namespaces");
	}
	error = error ?: bh_api_string(call->request, "dst", &query.dst);
	error = error ?: bh_api_number(call->request, "port", 65535, &port);
	error = error ?: bh_api_protocol(call->request, &query.protocol, &found);
	if (error)
		return error;
	if (!query.src || !query.dst || !found)
		return bh_control_error("explain needs 'src', 'dst' and 'protocol'");
	query.port = (uint16_t)port;
	if (bh_explain(api->compiler, api->model, &query, &explanation, &problem) < 0)
		return bh_control_error("%s", problem ? problem : "cannot be explained");

	answer = json_pack("{s:b, s:o, s:o, s:o, s:i, s:b, s:b, s:[o, o]}", "ok", 1, "src",
		bh_json_text(explanation->src), "dst", bh_json_text(explanation->dst), "protocol",
		bh_json_protocol(explanation->protocol), "port", (int)explanation->port, "allowed",
		explanation->allowed, "pendingAllowed", explanation->pending_allowed, "sides",
		side_object(api, &explanation->sides[0]), side_object(api, &explanation->sides[1]));
	if (explanation->service)
		add_backends(api, explanation, answer);
	bh_explanation_free(explanation);
	return answer;
}
