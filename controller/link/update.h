/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_LINK_UPDATE_H
#define BULKHEAD_LINK_UPDATE_H

/*
 * From what is in force to what is wanted: the Updates that lead there, cut into parts that fit a
 * message. Both sides are sorted, so the difference is one pass over each kind of thing.
 */

#include "bulkhead.pb-c.h"
#include "controller/compile/desired.h"

/*
 * Takes one part, which is gone after the call. Anything but 0 ends the building and becomes its
 * result.
 */
typedef int bh_update_sink(void *data, const Bulkhead__Wire__Update *part);

/*
 * Emits the parts of the update that turns `base` into `wanted`, or of the full one if `base` is
 * NULL; at least one part, the last one marked so. Returns 0, or what the sink returned.
 */
int bh_update_emit(const struct bh_desired *base, const struct bh_desired *wanted,
	bh_update_sink *sink, void *data);

#endif
