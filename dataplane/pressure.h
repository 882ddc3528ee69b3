/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PRESSURE_H
#define BULKHEAD_DATAPLANE_PRESSURE_H

/*
 * How full every map is that can be: what `status` and the metrics show, and what is named as a
 * problem before there is no more room. Maps of one element for each reason, processor or slot are
 * never full, and not here.
 */

#include <stddef.h>
#include <stdint.h>

#include "dataplane/status.h"

/*
 * Percent; a map that is fuller is named. A flow table is made of sets: of one that is half full,
 * one set in fifty has no room for another settled flow.
 */
#define BH_PRESSURE_HIGH 80
#define BH_PRESSURE_HIGH_SETS 50
#define BH_PRESSURES 13

struct bh_pressure {
	enum bh_map map;
	/* Of the tables of flows and fragments: alive as of the last sweep. Of the event ring: the
	 * most bytes that waited in it, between the last two sweeps. */
	uint64_t entries;
	uint64_t max;
};

/* From which percentage on the map is named. */
uint64_t bh_pressure_high(enum bh_map map);

/* Fills the list, in the order of maps.h. */
void bh_pressure_measure(
	const struct bh_status_sources *sources, struct bh_pressure ret_pressures[BH_PRESSURES]);

/* To be called after every sweep of the flows: sums up, and names what is nearly full. */
void bh_pressure_check(const struct bh_status_sources *sources);

/* One line: what is nearly full, what happens when it is, what to do. */
void bh_pressure_text(const struct bh_pressure *pressure, char *ret_text, size_t size);

#endif
