/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_RANGES_H
#define BULKHEAD_COMPILE_RANGES_H

/*
 * Port ranges of many rules, merged into the list the kernel asks: per protocol sorted, disjoint,
 * each piece with the rule that allows it. Where several rules allow a port, the one added first
 * names it.
 *
 * A range that is everything stays whole, 0–65535: only such a range speaks for fragments and for
 * packets whose ports are unknown. Protocol 0 (everything) swallows all others.
 */

#include "controller/compile/desired.h"
#include "controller/model/arena.h"

struct bh_range {
	uint8_t protocol;
	uint16_t lo;
	uint16_t hi;
	uint32_t rule;
	size_t order; /* of adding */
};

/* All zero is an empty one. Reuse it: bh_ranges_reset() keeps the memory. */
struct bh_ranges {
	size_t n;
	size_t capacity;
	struct bh_range *items;
	size_t n_heap;
	size_t heap_capacity;
	const struct bh_range **heap;
};

void bh_ranges_add(
	struct bh_ranges *ranges, uint8_t protocol, uint16_t lo, uint16_t hi, uint32_t rule);

/* Merges what was added. The result is in the arena. Returns how many there are. */
size_t bh_ranges_merge(
	struct bh_ranges *ranges, struct bh_arena *arena, const struct bh_desired_rule **ret_rules);

void bh_ranges_reset(struct bh_ranges *ranges);
void bh_ranges_clear(struct bh_ranges *ranges);

#endif
