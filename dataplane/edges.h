/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_EDGES_H
#define BULKHEAD_DATAPLANE_EDGES_H

/*
 * The edge counters into EdgeBatches: every second what has changed, as absolute numbers, so a
 * batch that is lost costs nothing but time. A new controller gets all of them first.
 *
 * Slots come back slowly. An edge leaves the index when it has been idle for BH_EDGE_IDLE_S and no
 * flow names its slot; the slot is zeroed and given out again after two more rounds without such a
 * flow. A flow that names it after all (it was being made while we looked) brings the edge back.
 */

#include <stdint.h>

#include "dataplane/flows.h"
#include "dataplane/object.h"
#include "proto/wire.h"

#define BH_EDGE_IDLE_S 3600

struct bh_edges;

int bh_edges_new(struct bh_object *object, const struct bh_flows *flows,
	struct bh_edges **ret_edges, struct bh_why *why);
void bh_edges_free(struct bh_edges *edges);

/* A controller has come: the next pass sends everything. */
void bh_edges_restart(struct bh_edges *edges);

/* Reads the counters and sends what has changed (`wire` NULL: only keeps house). */
void bh_edges_pass(struct bh_edges *edges, struct bh_wire *wire);

/*
 * The beginning of a ClientHello (`data`: the edges): the latest of each edge goes with its next
 * report. More than BH_EDGE_HELLOS at once are not kept: the edge's next connection brings another.
 */
#define BH_EDGE_HELLOS 1024
void bh_edges_take_hello(void *data, const struct bh_hello *hello);

/* Adds one CPU's counters of an edge to those of others; `span`: BH_TRIP_SPAN in jiffies. */
void bh_edges_add(struct bh_edge *sum, const struct bh_edge *cpu, uint32_t span);

/* Seconds of idleness before an edge goes; for tests. */
void bh_edges_set_idle(struct bh_edges *edges, uint32_t seconds);

/* Edges in the index, as of the last pass. */
size_t bh_edges_count(const struct bh_edges *edges);

#endif
