/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_REGISTRY_H
#define BULKHEAD_COMPILE_REGISTRY_H

/*
 * Numbers that are names of content: the FNV-1a hash of the content, folded into a range. Where two
 * contents meet, the later one takes the next free number; the registry remembers which, so a
 * number keeps its meaning for as long as anybody uses it and BH_REGISTRY_AGE compilations after.
 */

#include <stddef.h>
#include <stdint.h>

#include "controller/model/table.h"

#define BH_REGISTRY_AGE 256

struct bh_registry {
	uint32_t low; /* the range, inclusive */
	uint32_t high;
	uint64_t age; /* compilations so far */
	struct bh_table contents;
	struct bh_table numbers;
};

uint32_t bh_registry_number(struct bh_registry *registry, const void *content, size_t size);

/* One more compilation: forgets what has not been asked for in a long time. */
void bh_registry_turn(struct bh_registry *registry);
void bh_registry_clear(struct bh_registry *registry);

#endif
