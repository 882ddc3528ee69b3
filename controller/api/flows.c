/* SPDX-License-Identifier: Apache-2.0 */

/* What was seen, one by one: the last flow records. */

#include <stdio.h>
#include <string.h>

#include "bulkhead/abi.h"
#include "controller/api/view.h"
#include "controller/flows/reasons.h"
#include "controller/model/memory.h"
#include "controller/topology/conversation.h"
#include "proto/cleanup.h"

/* Records in one answer; who wants more asks again. */
#define FLOWS_LIMIT 2000
#define FOLLOW_MAX_MS 10000

/* ---- flows ----------------------------------------------------------------------------------- */

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

static json_t *delta_object(const struct bh_flow_record *record)
{
	const struct bh_flow_delta delta = bh_flow_delta(record);

	return json_pack("{s:o, s:o, s:o}", "since", bh_json_time(delta.since_ns), "packets",
		bh_json_both_ways(delta.packets), "bytes", bh_json_both_ways(delta.octets));
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
	bh_json_set_text(object, "type", bh_flow_type_word(record));
	bh_json_set_text(object, "verdict", bh_flow_verdict_word(record->verdict));
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
	json_object_set_new(object, "delta", delta_object(record));
	bh_json_set_text(object, "app", bh_app_word(record->talk.app));
	bh_json_set_text(object, "encrypted", bh_encrypted_word(record->talk.encrypted));
	bh_json_set_text(object, "tlsVersion", bh_tls_word(record->talk.tls_version));
	json_object_set_new(object, "roundTrip",
		record->talk.round_trip_us ? json_integer(record->talk.round_trip_us)
					   : json_null());
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
	for (int i = BH_FLOW_ALLOWED; verdict && i <= BH_FLOW_DENIED; i++) {
		if (strcmp(verdict, bh_flow_verdict_word((enum bh_flow_verdict)i)) == 0) {
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
