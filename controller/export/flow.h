/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_FLOW_H
#define BULKHEAD_EXPORT_FLOW_H

/* A flow record as exporters see it: with every number's name. Everything is borrowed. */

#include "controller/flows/log.h"
#include "controller/flows/names.h"
#include "controller/model/model.h"

struct bh_export_end {
	const struct bh_flow_end *flow;
	const struct bh_workload_name *workload; /* NULL: nobody knows its name */
	const struct bh_labels *labels;          /* NULL: no pod, or it is gone */
};

struct bh_export_flow {
	const struct bh_flow_record *record;
	const char *node;
	struct bh_export_end source; /* the opener */
	struct bh_export_end destination;
	const struct bh_rule_label *rule; /* NULL: none decided */
	const struct bh_rule_label *pending_rule;
};

/* Valid until the names or the model change. */
struct bh_export_flow bh_export_flow(const struct bh_model *model, const struct bh_names *names,
	const struct bh_flow_record *record);

#endif
