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
