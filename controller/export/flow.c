/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/export/flow.h"

static struct bh_export_end end_of(
	const struct bh_model *model, const struct bh_names *names, const struct bh_flow_end *flow)
{
	const struct bh_pod *pod =
		*flow->pod ? bh_model_pod_by_name(model, flow->namespace, flow->pod) : NULL;

	return (struct bh_export_end){
		.flow = flow,
		.workload = flow->known ? bh_names_workload(names, flow->workload) : NULL,
		.labels = pod ? pod->labels : NULL,
	};
}

struct bh_export_flow bh_export_flow(const struct bh_model *model, const struct bh_names *names,
	const struct bh_flow_record *record)
{
	return (struct bh_export_flow){
		.record = record,
		.node = bh_model_node_name(model),
		.source = end_of(model, names, &record->src),
		.destination = end_of(model, names, &record->dst),
		.rule = bh_names_rule(names, record->rule),
		.pending_rule = bh_names_rule(names, record->pending_rule),
	};
}

const char *bh_export_type_word(const struct bh_flow_record *record)
{
	switch (record->type) {
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_NEW:
		return "new";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_CLOSED:
		return "closed";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_ACTIVE:
		return "active";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_DENIED:
		return "denied";
	case BULKHEAD__WIRE__FLOW_TYPE__FLOW_WOULD_DENY:
		return "would-deny";
	}
	return "unknown";
}

const char *bh_export_verdict_word(const struct bh_flow_record *record)
{
	static const char *const words[] = {
		[BH_FLOW_ALLOWED] = "allowed",
		[BH_FLOW_WOULD_DENY] = "would-deny",
		[BH_FLOW_DENIED] = "denied",
	};

	return words[record->verdict];
}
