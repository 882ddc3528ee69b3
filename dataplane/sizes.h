/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_SIZES_H
#define BULKHEAD_DATAPLANE_SIZES_H

/*
 * How large a map is made where nobody says.
 *
 * The tables that packets fill are allocated whole when they are made, so on a small node they
 * would be most of what we take, and on a large one too small for what goes on there: they follow
 * the node's memory. What the controller fills is allocated as it comes; its size is only a limit,
 * the same everywhere, so that a policy that fits one node fits all of them.
 */

#include <stdint.h>

#include "dataplane/object.h"

/*
 * Entries (of the event ring: bytes) on a node of so many bytes of memory: a quarter of
 * include/bulkhead/maps.h's below 1 GiB, half below 2, twice as many from 16 on. 0: the size is not
 * one that memory decides.
 */
uint32_t bh_sizes_default(enum bh_map map, uint64_t memory);

/* Bytes of memory of this node; 0 where that cannot be told. */
uint64_t bh_sizes_memory(void);

#endif
