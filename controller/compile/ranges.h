/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_RANGES_H
#define BULKHEAD_COMPILE_RANGES_H

/*
 * Port ranges of many rules, flattened into the list the kernel asks: per protocol sorted,
 * disjoint, each piece with the rule that decides it.
 *
 * Rules come tier by tier. Of a tier's rules the first added decides a port, and what one tier has
 * decided no later one changes; where the decision is Pass, the tier has decided nothing. In the
 * tier of NetworkPolicies, which all allow and have no order, a rule for everything goes before
 * others: then one range says it all.
 *
 * Only a range 0–65535 speaks for fragments and for packets whose ports are unknown, and protocol 0
 * (everything) speaks for all that its protocol does not list. So a protocol on all of whose ports
 * the same is done gets one such range, named by the rule that decides most of them.
 */

#include "controller/compile/desired.h"
#include "controller/compile/netpol.h"
#include "controller/model/arena.h"

struct bh_range {
	uint16_t lo;
	uint16_t hi;
	uint32_t rule;
	enum bh_action action;
	size_t order; /* of adding */
};

struct bh_range_list {
	size_t n;
	size_t capacity;
	struct bh_range *items;
};

/* TCP, UDP, SCTP, and everything that is none of them. */
#define BH_RANGE_SPACES 4

/* All zero is an empty one. Reuse it: bh_ranges_reset() keeps the memory. */
struct bh_ranges {
	size_t added;                                    /* for `order` */
	struct bh_range_list under_way[BH_RANGE_SPACES]; /* of the tier, by protocol */
	struct bh_range_list everything;                 /* … of any protocol */
	struct bh_range_list settled[BH_RANGE_SPACES];   /* sorted, disjoint, no Pass */
	struct bh_range_list sorted;                     /* for the time of a call */
	struct bh_range_list pieces;
	size_t n_heap;
	size_t heap_capacity;
	const struct bh_range **heap;
};

/* `protocol` is TCP, UDP, SCTP, or 0: everything, and then the range is 0–65535. */
void bh_ranges_add(struct bh_ranges *ranges, uint8_t protocol, uint16_t lo, uint16_t hi,
	uint32_t rule, enum bh_action action);

/* What was added since the last call is one tier. */
void bh_ranges_settle(struct bh_ranges *ranges, enum bh_tier tier);

/* What all tiers have settled. The result is in the arena. Returns how many there are. */
size_t bh_ranges_flatten(
	struct bh_ranges *ranges, struct bh_arena *arena, const struct bh_desired_rule **ret_rules);

void bh_ranges_reset(struct bh_ranges *ranges);
void bh_ranges_clear(struct bh_ranges *ranges);

#endif
