/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_SLOTS_H
#define BULKHEAD_DATAPLANE_SLOTS_H

/* Slots of bh_endpoints: which are in force, what they hold, who they are taken over by. */

#include "dataplane/endpoints.h"

/* At a start: slots that an interface points to are orphans, the others are cleared. 0 or -errno.
 */
int bh_slots_find(struct bh_endpoints *endpoints);

/* A free slot, or 0. Round and round, so that a slot rests before somebody else gets it. */
uint32_t bh_slot_take(struct bh_endpoints *endpoints);

/* The pod's addresses, which were `from`'s (0: nobody's), are `to`'s now (0: nobody's). */
void bh_slot_set_locals(struct bh_endpoints *endpoints, const struct bh_endpoint *endpoint,
	uint32_t from, uint32_t to);

/* What a slot holds for this pod at this place, epochs excepted. */
struct bh_endpoint bh_slot_content(const struct bh_pod *pod, const struct bh_place *place);

/* Everything but programs and epochs. */
bool bh_slot_same_pod(const struct bh_endpoint *a, const struct bh_endpoint *b);

/* The slot of an earlier process with just this pod's addresses, if its interface is there; else 0.
 */
uint32_t bh_slot_find_orphan(const struct bh_endpoints *endpoints, const struct bh_pod *pod);

#endif
