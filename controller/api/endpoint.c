/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the CNI plugin asks while a pod's sandbox is being made: it says which addresses the pod has
 * got, and is answered when the pod's policy is in the kernel. And, at the end, that they are gone.
 */

#include <inttypes.h>
#include <string.h>

#include "controller/api/common.h"
#include "controller/model/memory.h"
#include "proto/cleanup.h"

#define WAIT_DEFAULT_MS 10000
#define WAIT_MAX_MS 120000
#define IPS_MAX 16

/* Which pod a request is about. Everything belongs to the request. */
struct asked {
	const char *namespace;
	const char *name;
	const char *uid; /* NULL: not said */
	size_t n_ips;
	struct bh_ip ips[IPS_MAX];
};

static json_t *read_ips(const json_t *request, struct asked *ret_asked)
{
	const json_t *ips = json_object_get(request, "ips"), *ip;
	size_t i;

	if (ips && (!json_is_array(ips) || json_array_size(ips) > IPS_MAX))
		return bh_control_error("'ips' is a list of at most %d addresses", IPS_MAX);
	json_array_foreach(ips, i, ip)
	{
		const char *text = json_string_value(ip);

		if (!text || bh_ip_parse(text, &ret_asked->ips[ret_asked->n_ips]) < 0)
			return bh_control_error("'%.64s' is no address", text ? text : "?");
		ret_asked->n_ips++;
	}
	return NULL;
}

static json_t *read_asked(const json_t *request, struct asked *ret_asked)
{
	json_t *error = bh_api_string(request, "namespace", &ret_asked->namespace);

	error = error ?: bh_api_string(request, "name", &ret_asked->name);
	error = error ?: bh_api_string(request, "uid", &ret_asked->uid);
	error = error ?: read_ips(request, ret_asked);
	if (error)
		return error;
	if (!ret_asked->namespace || !*ret_asked->namespace || !ret_asked->name ||
		!*ret_asked->name)
		return bh_control_error("the request names no pod: 'namespace' and 'name'");
	if (ret_asked->uid && !*ret_asked->uid)
		ret_asked->uid = NULL;
	return NULL;
}

static const struct bh_pod *find_pod(const struct bh_api *api, const struct asked *asked)
{
	const struct bh_pod *pod =
		asked->uid ? bh_model_pod(api->model, asked->uid)
			   : bh_model_pod_by_name(api->model, asked->namespace, asked->name);

	return pod && !strcmp(pod->namespace, asked->namespace) && !strcmp(pod->name, asked->name)
		       ? pod
		       : NULL;
}

static const struct bh_desired_endpoint *find_endpoint(
	const struct bh_api *api, const struct bh_pod *pod)
{
	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		if (!strcmp(api->desired->endpoints[i].uid, pod->uid))
			return &api->desired->endpoints[i];
	}
	return NULL;
}

static bool has_ip(const struct bh_desired_endpoint *endpoint, const struct bh_ip *ip)
{
	for (size_t i = 0; i < endpoint->n_ips; i++) {
		if (!bh_ip_compare(&endpoint->ips[i], ip))
			return true;
	}
	return false;
}

/*
 * What is missing before the pod's policy is in force, in words (free()); NULL: nothing is. `memo`:
 * the revision that named the pod first, which is the one that has to be in force; 0 before.
 * *ret_final: waiting is no use.
 */
static char *missing(struct bh_api *api, const struct asked *asked, uint64_t *memo, bool *ret_final)
{
	const struct bh_pod *pod = find_pod(api, asked);
	const struct bh_desired_endpoint *endpoint;
	const Bulkhead__Wire__EndpointStatus *status;
	const char *state;

	*ret_final = false;
	if (!pod)
		return bh_xstrdup("the orchestrator has not told of it yet");
	if (pod->host_network || pod->finished ||
		(pod->node_name && strcmp(pod->node_name, bh_model_node_name(api->model)) != 0)) {
		*ret_final = true;
		return bh_xasprintf("it is %s", pod->host_network ? "on the host's network"
						: pod->finished   ? "finished"
								  : "another node's");
	}
	endpoint = find_endpoint(api, pod);
	for (size_t i = 0; endpoint && i < asked->n_ips; i++) {
		char text[BH_IP_TEXT_MAX];

		if (!has_ip(endpoint, &asked->ips[i]))
			return bh_xasprintf(
				"%s is not (only) its address", bh_ip_format(&asked->ips[i], text));
	}
	if (!endpoint)
		return bh_xstrdup("it has no address yet");
	if (!*memo)
		*memo = api->desired->revision;
	if (bh_link_applied(api->link) < *memo)
		return bh_xasprintf("revision %" PRIu64 " is not in force yet (now: %" PRIu64 ")",
			*memo, bh_link_applied(api->link));
	state = bh_api_endpoint_state(api, pod->uid, &status);
	if (strcmp(state, "attached") == 0)
		return NULL;
	*ret_final = strcmp(state, "unsupported") == 0;
	return bh_xasprintf("its interface is %s: %s", state,
		status && status->detail[0] ? status->detail : "not found yet");
}

json_t *bh_api_endpoint_ready(struct bh_api *api, struct bh_control_call *call)
{
	struct asked asked = {0};
	uint64_t timeout = WAIT_DEFAULT_MS;
	bool announce = true, final;
	_cleanup_free_ char *why = NULL;
	json_t *error = read_asked(call->request, &asked);

	error = error ?: bh_api_number(call->request, "timeout", WAIT_MAX_MS, &timeout);
	error = error ?: bh_api_flag(call->request, "announce", &announce);
	if (error)
		return error;
	if (call->first) {
		call->deadline = call->arrived + timeout;
		if (announce && asked.n_ips &&
			!bh_model_announce(api->model, asked.namespace, asked.name, asked.uid,
				asked.n_ips, asked.ips))
			return bh_control_error(
				"too many pods that nobody knows have been announced");
		api->model_changed(api->data);
	}
	why = missing(api, &asked, &call->memo, &final);
	if (!why)
		return json_pack("{s:b, s:I}", "ok", 1, "revision", (json_int_t)call->memo);
	if (!final && !call->expired && timeout)
		return NULL;
	return bh_control_error("pod %s/%s: %s", asked.namespace, asked.name, why);
}

json_t *bh_api_endpoint_gone(struct bh_api *api, struct bh_control_call *call)
{
	struct asked asked = {0};
	json_t *error = read_asked(call->request, &asked);
	bool known;

	if (error)
		return error;
	known = bh_model_forget_announced(
		api->model, asked.namespace, asked.name, asked.uid, asked.n_ips, asked.ips);
	if (known)
		api->model_changed(api->data);
	return json_pack("{s:b, s:b}", "ok", 1, "known", known);
}
