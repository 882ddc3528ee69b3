/* SPDX-License-Identifier: Apache-2.0 */

/* What was seen: flow records one by one, edges, and the graph made of them. */

#include <stdio.h>
#include <string.h>

#include "bulkhead/abi.h"
#include "controller/api/view.h"
#include "controller/history/view.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

/* Records in one answer; who wants more asks again. */
#define FLOWS_LIMIT 2000
#define FOLLOW_MAX_MS 10000

/* ---- flows ----------------------------------------------------------------------------------- */

static const char *const verdict_words[] = {
	[BH_FLOW_ALLOWED] = "allowed",
	[BH_FLOW_WOULD_DENY] = "would-deny",
	[BH_FLOW_DENIED] = "denied",
};

static const char *type_word(uint8_t type)
{
	switch (type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW:
		return "new";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED:
		return "closed";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED:
		return "denied";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY:
		return "would-deny";
	}
	return "unknown";
}

static const char *hook_word(uint8_t hook)
{
	switch (hook) {
	case BH_HOOK_FROM_POD:
		return "from-pod";
	case BH_HOOK_TO_POD:
		return "to-pod";
	case BH_HOOK_UPLINK:
		return "uplink";
	case BH_HOOK_LEAVING:
		return "leaving";
	case BH_HOOK_ARRIVING:
		return "arriving";
	}
	return "unknown";
}

/* The namespace that the end lies in, "" if in none, or if nobody knows. */
static const char *end_namespace(const struct bh_api *api, const struct bh_flow_end *end)
{
	const struct bh_workload_name *name =
		end->known ? bh_names_workload(api->names, end->workload) : NULL;

	return *end->namespace ? end->namespace : name ? name->namespace : "";
}

/* True if the end lies in a namespace that the asker was given. */
static bool is_own_end(
	const struct bh_api *api, const struct bh_sight *sight, const struct bh_flow_end *end)
{
	const char *namespace = end_namespace(api, end);

	return !sight || (*namespace && bh_sight_sees(sight, namespace));
}

/* Of an end in a foreign namespace nothing but the namespace. */
static json_t *hidden_end(const char *namespace)
{
	json_t *workload = json_object();

	bh_json_set_text(workload, "namespace", namespace);
	bh_json_set_text(workload, "kind", "Namespace");
	bh_json_set_text(workload, "name", namespace);
	return json_pack("{s:n, s:i, s:o, s:s, s:o}", "ip", "port", 0, "namespace",
		bh_json_text(namespace), "pod", "", "workload", workload);
}

static json_t *end_object(
	const struct bh_api *api, const struct bh_sight *sight, const struct bh_flow_end *end)
{
	json_t *object;

	if (!bh_sight_sees(sight, end_namespace(api, end)))
		return hidden_end(end_namespace(api, end));
	object = json_object();

	json_object_set_new(object, "ip", bh_json_ip(&end->ip));
	json_object_set_new(object, "port", json_integer(end->port));
	bh_json_set_text(object, "namespace", end->namespace);
	bh_json_set_text(object, "pod", end->pod);
	json_object_set_new(object, "workload",
		end->known ? bh_json_workload(api, end->workload) : json_null());
	return object;
}

static json_t *flow_object(
	const struct bh_api *api, const struct bh_sight *sight, const struct bh_flow_record *record)
{
	const struct bh_flow_end *local = record->egress ? &record->src : &record->dst;
	bool hidden = !bh_sight_sees(sight, end_namespace(api, local));
	bool would = record->verdict == BH_FLOW_WOULD_DENY;
	json_t *object = json_object();

	json_object_set_new(object, "sequence", json_integer((json_int_t)record->sequence));
	json_object_set_new(object, "time", bh_json_time(record->time_ns));
	bh_json_set_text(object, "type", type_word(record->type));
	bh_json_set_text(object, "verdict", verdict_words[record->verdict]);
	bh_json_set_text(object, "reason", hidden ? "" : bh_reason_word(record->reason));
	bh_json_set_text(object, "pendingReason", hidden ? "" : bh_reason_word(record->pending));
	json_object_set_new(object, "text",
		hidden ? json_string("")
		       : bh_api_decision(api, would ? record->pending : record->reason,
				 would ? record->pending_rule : record->rule, record->egress,
				 local->namespace, local->pod, local->workload));
	bh_json_set_text(object, "direction", record->egress ? "egress" : "ingress");
	json_object_set_new(object, "source", end_object(api, sight, &record->src));
	json_object_set_new(object, "destination", end_object(api, sight, &record->dst));
	json_object_set_new(object, "protocol", bh_json_protocol(record->protocol));
	json_object_set_new(object, "rule", hidden ? json_null() : bh_json_rule(api, record->rule));
	json_object_set_new(object, "pendingRule",
		hidden ? json_null() : bh_json_rule(api, record->pending_rule));
	json_object_set_new(object, "hook", json_string(hook_word(record->hook)));
	json_object_set_new(object, "tcpFlags", json_integer(record->tcp_flags));
	json_object_set_new(object, "ethertype", json_integer(record->ethertype));
	json_object_set_new(object, "suppressed", json_integer(record->suppressed));
	json_object_set_new(object, "midstream", json_boolean(record->flags & BH_FLOW_MIDSTREAM));
	json_object_set_new(object, "packets", bh_json_both_ways(record->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(record->octets));
	json_object_set_new(object, "started", bh_json_time(record->started_ns));
	return object;
}

struct flows_request {
	struct bh_flow_filter filter;
	uint64_t since;  /* first sequence number that is wanted */
	uint64_t limit;  /* at most so many */
	bool newest;     /* … the last ones, not the first ones */
	uint64_t follow; /* ms to wait for something to show */
};

static json_t *flows_arguments(const json_t *request, struct flows_request *ret_wanted)
{
	struct flows_request wanted = {.limit = FLOWS_LIMIT};
	struct bh_flow_filter *filter = &wanted.filter;
	const char *verdict = NULL;
	uint64_t port = 0;
	json_t *error = bh_api_string(request, "namespace", &filter->namespace);

	error = error ?: bh_api_string(request, "pod", &filter->pod);
	error = error ?: bh_api_string(request, "verdict", &verdict);
	error = error ?: bh_api_protocol(request, &filter->protocol, &filter->by_protocol);
	error = error ?: bh_api_number(request, "port", 65535, &port);
	error = error ?: bh_api_number(request, "since", INT64_MAX, &wanted.since);
	error = error ?: bh_api_number(request, "limit", FLOWS_LIMIT, &wanted.limit);
	error = error ?: bh_api_number(request, "follow", FOLLOW_MAX_MS, &wanted.follow);
	error = error ?: bh_api_flag(request, "newest", &wanted.newest);
	if (error)
		return error;
	filter->port = (uint16_t)port;
	for (size_t i = 0; verdict && i < sizeof(verdict_words) / sizeof(verdict_words[0]); i++) {
		if (strcmp(verdict, verdict_words[i]) == 0) {
			filter->by_verdict = true;
			filter->verdict = (enum bh_flow_verdict)i;
		}
	}
	if (verdict && !filter->by_verdict)
		return bh_control_error(
			"'%s' is no verdict: allowed, denied or would-deny", verdict);
	*ret_wanted = wanted;
	return NULL;
}

/* True if the record is asked for, and the asker may see it. */
static bool is_wanted(const struct bh_api *api, const struct bh_sight *sight,
	const struct flows_request *wanted, const struct bh_flow_record *record)
{
	if (!is_own_end(api, sight, &record->src) && !is_own_end(api, sight, &record->dst))
		return false;
	/* A name asks for an end; one that may not be seen is not there to be found. */
	if (sight && wanted->filter.pod) {
		struct bh_flow_record seen = *record;

		if (!is_own_end(api, sight, &record->src))
			seen.src.pod = "";
		if (!is_own_end(api, sight, &record->dst))
			seen.dst.pod = "";
		return bh_flow_matches(&seen, &wanted->filter);
	}
	return bh_flow_matches(record, &wanted->filter);
}

/* Where to begin so that at most `limit` records match up to the end. */
static uint64_t newest_from(const struct bh_api *api, const struct bh_sight *sight,
	const struct flows_request *wanted, uint64_t first)
{
	uint64_t at = bh_flow_log_next(api->flows);
	uint64_t n = 0;

	while (at > first) {
		if (is_wanted(api, sight, wanted, bh_flow_log_get(api->flows, at - 1)) &&
			n++ == wanted->limit)
			break;
		at--;
	}
	return at;
}

json_t *bh_api_flows(struct bh_api *api, struct bh_control_call *call)
{
	uint64_t first = bh_flow_log_first(api->flows);
	uint64_t next = bh_flow_log_next(api->flows);
	struct flows_request wanted;
	json_t *error = flows_arguments(call->request, &wanted);
	json_t *answer;
	json_t *flows;
	uint64_t missed;
	uint64_t at;

	if (error)
		return error;
	if (!wanted.follow && !bh_api_fresh(api, call))
		return NULL;
	/* A number from before a restart of the controller lies in the future: begin again. */
	if (wanted.since > next)
		wanted.since = first;
	missed = wanted.since && wanted.since < first ? first - wanted.since : 0;
	at = wanted.since > first ? wanted.since : first;
	if (wanted.newest)
		at = newest_from(api, call->sight, &wanted, at);

	flows = json_array();
	for (; at < next && json_array_size(flows) < wanted.limit; at++) {
		const struct bh_flow_record *record = bh_flow_log_get(api->flows, at);

		if (is_wanted(api, call->sight, &wanted, record))
			json_array_append_new(flows, flow_object(api, call->sight, record));
	}
	if (wanted.follow && json_array_size(flows) == 0 && !call->expired) {
		json_decref(flows);
		call->deadline = call->arrived + wanted.follow;
		return NULL;
	}
	answer = json_pack("{s:b, s:o, s:I, s:b, s:I, s:I}", "ok", 1, "flows", flows, "next",
		(json_int_t)at, "more", at < next, "missed", (json_int_t)missed, "lost",
		(json_int_t)bh_flow_log_lost(api->flows));
	if (!json_array_size(flows))
		bh_api_set_known(answer, api->model, call->sight, wanted.filter.namespace);
	return answer;
}

/* ---- edges ----------------------------------------------------------------------------------- */

static json_t *variant_object(const struct bh_api *api, const struct bh_edge_variant *variant,
	const struct bh_edge_view *edge)
{
	uint32_t local = variant->egress ? edge->client : edge->server;
	json_t *object = json_object();

	bh_json_set_text(object, "direction", variant->egress ? "egress" : "ingress");
	json_object_set_new(object, "family", json_integer(variant->family));
	json_object_set_new(object, "peerLocal", json_boolean(variant->peer_local));
	json_object_set_new(object, "allowed", json_boolean(!bh_reason_drops(variant->verdict)));
	bh_json_set_text(object, "reason", bh_reason_word(variant->verdict));
	json_object_set_new(object, "text",
		bh_api_decision(
			api, variant->verdict, variant->rule, variant->egress, NULL, NULL, local));
	json_object_set_new(object, "rule", bh_json_rule(api, variant->rule));
	json_object_set_new(
		object, "pendingAllowed", json_boolean(!bh_reason_drops(variant->pending)));
	bh_json_set_text(object, "pendingReason", bh_reason_word(variant->pending));
	json_object_set_new(object, "pendingText",
		bh_api_decision(api, variant->pending, variant->pending_rule, variant->egress, NULL,
			NULL, local));
	json_object_set_new(object, "pendingRule", bh_json_rule(api, variant->pending_rule));
	json_object_set_new(object, "packets", bh_json_both_ways(variant->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(variant->octets));
	json_object_set_new(object, "flows", json_integer((json_int_t)variant->flows));
	json_object_set_new(object, "resets", json_integer((json_int_t)variant->resets));
	json_object_set_new(object, "refusals", json_integer((json_int_t)variant->refusals));
	bh_json_add_talk(object, &variant->talk);
	json_object_set_new(object, "first", bh_json_time(variant->first_ns));
	json_object_set_new(object, "last", bh_json_time(variant->last_ns));
	return object;
}

/* The verdict that stands for the edge: the one that denies, else the stricter one's rule. */
static const struct bh_edge_variant *deciding(const struct bh_edge_view *edge, bool pending)
{
	const struct bh_edge_variant *ends[2] = {edge->egress, edge->ingress};
	const struct bh_edge_variant *best = NULL;

	for (int i = 0; i < 2; i++) {
		const struct bh_edge_variant *end = ends[i];

		if (!end)
			continue;
		if (bh_reason_drops(pending ? end->pending : end->verdict))
			return end;
		if (!best || (pending ? end->pending_rule : end->rule))
			best = end;
	}
	return best;
}

/* One line: why it is denied, would be, or is allowed. */
static json_t *edge_text(const struct bh_api *api, const struct bh_edge_view *edge)
{
	bool pending = edge->would_deny && !edge->denied;
	const struct bh_edge_variant *by = deciding(edge, pending);

	if (!by)
		return json_string("");
	/* What would be allowed says more than that nothing is enforced. */
	if (!edge->denied && !edge->would_deny && by->rule == 0 && deciding(edge, true)) {
		pending = true;
		by = deciding(edge, true);
	}
	return bh_api_decision(api, pending ? by->pending : by->verdict,
		pending ? by->pending_rule : by->rule, by->egress, NULL, NULL,
		by->egress ? edge->client : edge->server);
}

static void add_summary(const struct bh_api *api, json_t *object, const struct bh_edge_view *edge)
{
	json_object_set_new(object, "protocol", bh_json_protocol(edge->protocol));
	json_object_set_new(object, "port", json_integer(edge->port));
	bh_json_set_text(object, "verdict", edge->denied ? "denied" : "allowed");
	bh_json_set_text(object, "pending", edge->would_deny ? "denied" : "allowed");
	json_object_set_new(object, "text", edge_text(api, edge));
	json_object_set_new(object, "packets", bh_json_both_ways(edge->packets));
	json_object_set_new(object, "bytes", bh_json_both_ways(edge->octets));
	json_object_set_new(object, "flows", json_integer((json_int_t)edge->flows));
	json_object_set_new(object, "flowsDenied", json_integer((json_int_t)edge->flows_denied));
	json_object_set_new(
		object, "flowsWouldDeny", json_integer((json_int_t)edge->flows_would_deny));
	json_object_set_new(object, "resets", json_integer((json_int_t)edge->resets));
	json_object_set_new(object, "refusals", json_integer((json_int_t)edge->refusals));
	bh_json_add_talk(object, &edge->talk);
	json_object_set_new(object, "first", bh_json_time(edge->first_ns));
	json_object_set_new(object, "last", bh_json_time(edge->last_ns));
}

static json_t *edge_object(const struct bh_api *api, const struct bh_edge_view *edge)
{
	json_t *object = json_object();
	json_t *variants = json_array();

	json_object_set_new(object, "client", bh_json_workload(api, edge->client));
	json_object_set_new(object, "server", bh_json_workload(api, edge->server));
	add_summary(api, object, edge);
	json_object_set_new(object, "egress",
		edge->egress ? variant_object(api, edge->egress, edge) : json_null());
	json_object_set_new(object, "ingress",
		edge->ingress ? variant_object(api, edge->ingress, edge) : json_null());
	for (size_t i = 0; i < edge->n_variants; i++)
		json_array_append_new(variants, variant_object(api, &edge->variants[i], edge));
	json_object_set_new(object, "variants", variants);
	return object;
}

/* True if one end is in the namespace that is asked for. */
static bool in_namespace(
	const struct bh_api *api, const struct bh_edge_view *edge, const char *namespace)
{
	const struct bh_workload_name *ends[2] = {
		bh_names_workload(api->names, edge->client),
		bh_names_workload(api->names, edge->server),
	};

	if (!namespace)
		return true;
	for (int i = 0; i < 2; i++) {
		if (ends[i] && strcmp(ends[i]->namespace, namespace) == 0)
			return true;
	}
	return false;
}

/* What `edges` and `graph` show: all the kernel counts, or a window of history. */
struct shown {
	const char *namespace;
	size_t n;
	struct bh_edge_view *views;
	json_t *window; /* NULL: the kernel's counters */
};

/* False: be called again. True: *ret_error is the answer, or `shown` is there. */
static bool show(
	struct bh_api *api, struct bh_control_call *call, struct shown *shown, json_t **ret_error)
{
	struct bh_view view = {.api = api};
	const struct bh_history_answer *answer;

	*ret_error = bh_api_string(call->request, "namespace", &shown->namespace);
	*ret_error = *ret_error ?: bh_view_window(call->request, "from", "to", &view.window);
	if (*ret_error)
		return true;
	if (!bh_view_ask(&view, call, BH_VIEW_WORKLOADS, NULL, ret_error))
		return false;
	if (*ret_error)
		return true;
	answer = view.window.history;
	if (!answer) {
		shown->n = bh_edges_view(api->edges, &shown->views);
		return true;
	}
	shown->n = bh_history_view(answer->n_edges, answer->edges, &shown->views);
	shown->window = bh_json_window(&view.window);
	return true;
}

json_t *bh_api_edges(struct bh_api *api, struct bh_control_call *call)
{
	struct shown shown = {0};
	json_t *error;
	json_t *edges;
	json_t *answer;

	if (!show(api, call, &shown, &error))
		return NULL;
	if (error)
		return error;
	edges = json_array();
	for (size_t i = 0; i < shown.n; i++) {
		if (in_namespace(api, &shown.views[i], shown.namespace))
			json_array_append_new(edges, edge_object(api, &shown.views[i]));
	}
	free(shown.views);
	answer = json_pack("{s:b, s:o}", "ok", 1, "edges", edges);
	if (!json_array_size(edges))
		bh_api_set_known(answer, api->model, call->sight, shown.namespace);
	if (shown.window)
		json_object_set_new(answer, "window", shown.window);
	return answer;
}

/* ---- graph ----------------------------------------------------------------------------------- */

static void node_id(const struct bh_api *api, uint32_t number, char *ret_id, size_t size)
{
	const struct bh_workload_name *name = bh_names_workload(api->names, number);

	if (!name)
		snprintf(ret_id, size, "unknown-%08x", number);
	else
		snprintf(ret_id, size, "%s%s%s/%s", name->namespace, name->namespace[0] ? "/" : "",
			name->kind, name->name);
}

static void add_node(
	const struct bh_api *api, json_t *nodes, struct bh_table *seen, const uint32_t *number)
{
	char id[640];
	json_t *node;

	if (bh_table_put(seen, number, sizeof(*number), (void *)number))
		return;
	node = bh_json_workload(api, *number);
	node_id(api, *number, id, sizeof(id));
	bh_json_set_text(node, "id", id);
	json_array_append_new(nodes, node);
}

static json_t *link_object(const struct bh_api *api, const struct bh_edge_view *edge)
{
	json_t *object = json_object();
	char id[640];

	node_id(api, edge->client, id, sizeof(id));
	bh_json_set_text(object, "source", id);
	node_id(api, edge->server, id, sizeof(id));
	bh_json_set_text(object, "target", id);
	add_summary(api, object, edge);
	return object;
}

json_t *bh_api_graph(struct bh_api *api, struct bh_control_call *call)
{
	struct shown shown = {0};
	struct bh_table seen = {0};
	json_t *error;
	json_t *nodes;
	json_t *edges;
	json_t *answer;

	if (!show(api, call, &shown, &error))
		return NULL;
	if (error)
		return error;
	nodes = json_array();
	edges = json_array();
	/* Workloads of this node are there even if they never spoke. */
	for (size_t i = 0; i < api->desired->n_endpoints; i++) {
		const struct bh_desired_endpoint *endpoint = &api->desired->endpoints[i];

		if (!shown.namespace || strcmp(endpoint->namespace, shown.namespace) == 0)
			add_node(api, nodes, &seen, &endpoint->workload);
	}
	for (size_t i = 0; i < shown.n; i++) {
		if (!in_namespace(api, &shown.views[i], shown.namespace))
			continue;
		add_node(api, nodes, &seen, &shown.views[i].client);
		add_node(api, nodes, &seen, &shown.views[i].server);
		json_array_append_new(edges, link_object(api, &shown.views[i]));
	}
	bh_table_clear(&seen);
	free(shown.views);
	answer = json_pack("{s:b, s:o, s:o}", "ok", 1, "nodes", nodes, "edges", edges);
	if (!json_array_size(edges))
		bh_api_set_known(answer, api->model, call->sight, shown.namespace);
	if (shown.window)
		json_object_set_new(answer, "window", shown.window);
	return answer;
}
