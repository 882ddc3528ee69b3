/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "controller/api/common.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

static json_t *coded_error(const char *code, const char *format, va_list arguments)
{
	_cleanup_free_ char *text = NULL;
	json_t *error;

	if (vasprintf(&text, format, arguments) < 0)
		abort();
	error = bh_control_error("%s", text);
	json_object_set_new(error, "code", json_string(code));
	return error;
}

json_t *bh_api_missing(const char *format, ...)
{
	va_list arguments;
	json_t *error;

	va_start(arguments, format);
	error = coded_error("not-found", format, arguments);
	va_end(arguments);
	return error;
}

json_t *bh_api_forbidden(const char *format, ...)
{
	va_list arguments;
	json_t *error;

	va_start(arguments, format);
	error = coded_error("forbidden", format, arguments);
	va_end(arguments);
	return error;
}

json_t *bh_api_busy(const char *format, ...)
{
	va_list arguments;
	json_t *error;

	va_start(arguments, format);
	error = coded_error("busy", format, arguments);
	va_end(arguments);
	return error;
}

bool bh_api_knows(const struct bh_model *model, const struct bh_sight *sight, const char *namespace)
{
	return bh_sight_sees(sight, namespace) && bh_model_namespace_labels(model, namespace);
}

void bh_api_set_known(json_t *answer, const struct bh_model *model, const struct bh_sight *sight,
	const char *namespace)
{
	if (namespace)
		json_object_set_new(
			answer, "known", json_boolean(bh_api_knows(model, sight, namespace)));
}

/* ---- Arguments ------------------------------------------------------------------------------- */

json_t *bh_api_string(const json_t *request, const char *name, const char **ret_value)
{
	const json_t *value = json_object_get(request, name);

	*ret_value = NULL;
	if (!value || json_is_null(value))
		return NULL;
	if (!json_is_string(value))
		return bh_control_error("'%s' is not a string", name);
	*ret_value = json_string_value(value);
	return NULL;
}

json_t *bh_api_needed(const json_t *request, const char *name, const char **ret_value)
{
	json_t *error = bh_api_string(request, name, ret_value);

	return error || *ret_value ? error : bh_control_error("'%s' is missing", name);
}

json_t *bh_api_number(const json_t *request, const char *name, uint64_t max, uint64_t *ret_value)
{
	const json_t *value = json_object_get(request, name);

	if (!value || json_is_null(value))
		return NULL;
	if (!json_is_integer(value) || json_integer_value(value) < 0 ||
		(uint64_t)json_integer_value(value) > max)
		return bh_control_error("'%s' is not a whole number from 0 to %" PRIu64, name, max);
	*ret_value = (uint64_t)json_integer_value(value);
	return NULL;
}

json_t *bh_api_flag(const json_t *request, const char *name, bool *ret_value)
{
	const json_t *value = json_object_get(request, name);

	if (!value || json_is_null(value))
		return NULL;
	if (!json_is_boolean(value))
		return bh_control_error("'%s' is neither true nor false", name);
	*ret_value = json_is_true(value);
	return NULL;
}

json_t *bh_api_protocol(const json_t *request, uint8_t *ret_protocol, bool *ret_found)
{
	const char *text;
	json_t *error = bh_api_string(request, "protocol", &text);
	int number;

	*ret_found = false;
	if (error || !text)
		return error;
	number = bh_protocol_number(text);
	if (number < 0)
		return bh_control_error("'%s' is no protocol: tcp, udp, sctp, icmp, icmpv6, igmp, "
					"or a number up to 255",
			text);
	*ret_protocol = (uint8_t)number;
	*ret_found = true;
	return NULL;
}

json_t *bh_api_pod_name(const char *text, char **ret_namespace, const char **ret_name)
{
	const char *slash = strchr(text, '/');
	char *copy;

	if (!slash || slash == text || !slash[1] || strchr(slash + 1, '/'))
		return bh_control_error("'%s' does not name a pod: write namespace/name", text);
	copy = bh_xstrdup(text);
	copy[slash - text] = '\0';
	*ret_namespace = copy;
	*ret_name = copy + (slash - text) + 1;
	return NULL;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

json_t *bh_json_workload(const struct bh_api *api, uint32_t number)
{
	const struct bh_workload_name *name = bh_names_workload(api->names, number);
	json_t *object = json_object();
	char unknown[32];

	if (!name)
		snprintf(unknown, sizeof(unknown), "unknown-%08x", number);
	bh_json_set_text(object, "namespace", name ? name->namespace : "");
	bh_json_set_text(object, "kind", name ? name->kind : "Unknown");
	bh_json_set_text(object, "name", name ? name->name : unknown);
	return object;
}

json_t *bh_json_rule(const struct bh_api *api, uint32_t number)
{
	const struct bh_rule_label *label = bh_names_rule(api->names, number);
	json_t *object;

	if (number == 0)
		return json_null();
	object = json_object();
	json_object_set_new(object, "number", json_integer(number));
	if (!label)
		return object;
	bh_json_set_text(object, "namespace", label->namespace);
	bh_json_set_text(object, "policy", label->policy);
	bh_json_set_text(object, "direction", label->egress ? "egress" : "ingress");
	json_object_set_new(object, "index", json_integer(label->index));
	bh_json_set_text(object, "text", label->text);
	return object;
}

json_t *bh_json_ip(const struct bh_ip *ip)
{
	char text[BH_IP_TEXT_MAX];

	return ip->family ? json_string(bh_ip_format(ip, text)) : json_null();
}

/* ---- Why ------------------------------------------------------------------------------------- */

bool bh_api_policy_isolates(const struct bh_network_policy *policy, bool egress)
{
	const json_t *types = json_object_get(policy->spec, "policyTypes");
	const json_t *rules = json_object_get(policy->spec, "egress");
	const json_t *type;
	size_t i;

	/* Kubernetes takes an empty list for none, here and in the sections. */
	if (!types || (json_is_array(types) && json_array_size(types) == 0))
		return !egress || (rules && !(json_is_array(rules) && json_array_size(rules) == 0));
	if (!json_is_array(types))
		return true; /* invalid: isolates in both directions */
	json_array_foreach(types, i, type)
	{
		if (!json_is_string(type) ||
			strcmp(json_string_value(type), egress ? "Egress" : "Ingress") == 0)
			return true;
	}
	return false;
}

static const struct bh_network_policy *find_policy(
	const struct bh_api *api, const char *namespace, const char *name)
{
	const struct bh_network_policy *policy;

	for (size_t at = 0; (policy = bh_model_next_policy(api->model, &at));) {
		if (strcmp(policy->namespace, namespace) == 0 && strcmp(policy->name, name) == 0)
			return policy;
	}
	return NULL;
}

static const struct bh_desired_endpoint *find_endpoint(
	const struct bh_api *api, const char *namespace, const char *pod, uint32_t workload)
{
	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];

		if (pod ? strcmp(endpoint->namespace, namespace) == 0 &&
					strcmp(endpoint->name, pod) == 0
			: endpoint->workload == workload)
			return endpoint;
	}
	return NULL;
}

/* "NetworkPolicy shop/web, shop/base"; NULL if there is none. */
static char *isolating_policies(
	const struct bh_api *api, const struct bh_desired_endpoint *endpoint, bool egress)
{
	char *list = NULL;

	for (size_t i = 0; i < endpoint->n_policies; i++) {
		const char *name = endpoint->policies[i];
		const struct bh_network_policy *policy =
			find_policy(api, endpoint->namespace, name);
		char *longer;

		if (policy && !bh_api_policy_isolates(policy, egress))
			continue;
		longer = bh_xasprintf("%s%s%s/%s", list ? list : "NetworkPolicy ", list ? ", " : "",
			endpoint->namespace, name);
		free(list);
		list = longer;
	}
	return list;
}

json_t *bh_api_decision(const struct bh_api *api, uint32_t reason, uint32_t rule, bool egress,
	const char *namespace, const char *pod, uint32_t workload)
{
	const struct bh_rule_label *label = bh_names_rule(api->names, rule);
	const struct bh_desired_endpoint *endpoint = NULL;
	_cleanup_free_ char *policies = NULL;
	_cleanup_free_ char *text = NULL;

	if (rule != 0 && label)
		return bh_json_text(label->text);
	if (strcmp(bh_reason_word(reason), "isolated") != 0)
		return bh_json_text(bh_reason_sentence(reason));
	endpoint = find_endpoint(api, namespace, pod, workload);
	if (endpoint && endpoint->quarantined)
		return json_string("the pod is in quarantine");
	if (endpoint)
		policies = isolating_policies(api, endpoint, egress);
	if (!policies)
		return bh_json_text(bh_reason_sentence(reason));
	text = bh_xasprintf(
		"isolated by %s (%s), no rule matched", policies, egress ? "egress" : "ingress");
	return bh_json_text(text);
}
