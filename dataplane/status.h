/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_STATUS_H
#define BULKHEAD_DATAPLANE_STATUS_H

/* What the controller is told of the kernel's side: endpoints, problems, counters, map pressure. */

#include <stdint.h>

#include "dataplane/attach.h"
#include "dataplane/discover.h"
#include "dataplane/edges.h"
#include "dataplane/endpoints.h"
#include "dataplane/events.h"
#include "dataplane/flows.h"
#include "dataplane/object.h"
#include "dataplane/hold.h"
#include "dataplane/leaving.h"
#include "dataplane/problems.h"
#include "dataplane/tables.h"
#include "proto/wire.h"

/* Everything that a status is made of. Not owned. */
struct bh_status_sources {
	struct bh_object *object;
	struct bh_tables *tables;
	struct bh_attach *attach;
	struct bh_discovery *discovery;
	struct bh_endpoints *endpoints;
	const struct bh_hold *hold;
	struct bh_leaving *leaving;
	struct bh_events *events;
	struct bh_flows *flows;
	struct bh_edges *edges;
	struct bh_problems *problems;
};

/* Sends one. Returns 0 or -errno of bh_wire_send(). */
int bh_status_send(const struct bh_status_sources *sources, uint64_t applied, struct bh_wire *wire);

#endif
