/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_FLOWS_H
#define BULKHEAD_DATAPLANE_FLOWS_H

/*
 * The rounds of the flow tables. A round reads both, a slice at a time so that the loop stays
 * quick; what has been idle for longer than its state allows is removed by a program, if it still
 * has been then: after it was read here a flow may have come alive.
 *
 * On the way a round sees which edges have flows. An edge that has been idle for an hour and has
 * none leaves the index; its slot is given out again when two more rounds have found no flow that
 * names it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/events.h"
#include "dataplane/object.h"
#include "dataplane/reports.h"
#include "dataplane/tables.h"

struct bh_flows;

int bh_flows_new(struct bh_object *object, const struct bh_tables *tables, struct bh_events *events,
	struct bh_flows **ret_flows, struct bh_why *why);
void bh_flows_free(struct bh_flows *flows);

/* Flows that last are told of as these say; until then they are not. Must outlive the flows. */
void bh_flows_set_reports(struct bh_flows *flows, struct bh_reports *reports);

/* Begins a round; nothing happens while one is under way. */
void bh_flows_begin(struct bh_flows *flows);

/* One slice. Returns true while the round goes on. */
bool bh_flows_step(struct bh_flows *flows);

/* Finished rounds so far. */
uint64_t bh_flows_rounds(const struct bh_flows *flows);

/* Did any flow name this edge slot, in the last whole round? */
bool bh_flows_use_edge(const struct bh_flows *flows, uint32_t slot);

/* Flows in one of the tables, or fragments that are alive, as of the last whole round. */
uint64_t bh_flows_count(const struct bh_flows *flows, enum bh_map map);

#endif
