/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_SEED_H
#define BULKHEAD_DATAPLANE_SEED_H

/*
 * Connections that were there before Bulkhead: the kernel's own connection tracking knows who
 * opened them. They go into the flow table without a verdict: the first packet is judged like that
 * of a new flow, by its true opener, so enforcement starts without breaking what policy allows.
 *
 * A connection that address translation has changed is entered as it looks on both sides of it.
 */

#include <stddef.h>

#include "dataplane/object.h"
#include "dataplane/table.h"
#include "dataplane/why.h"

/*
 * Enters every established TCP connection and every UDP exchange that has seen an answer, if one of
 * its ends is in `want4` or `want6`. Flows that are there already stay as they are. Returns 0 and
 * the number of entries in *ret_n; -EOPNOTSUPP without connection tracking in the kernel; -errno.
 */
int bh_seed(struct bh_object *object, const struct bh_table *want4, const struct bh_table *want6,
	size_t *ret_n, struct bh_why *why);

#endif
