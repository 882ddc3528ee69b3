/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_BATCH_H
#define BULKHEAD_HISTORY_BATCH_H

/* What the recorder hands to the store: everything new since the batch before. */

#include "controller/flows/names.h"
#include "controller/history/history.h"
#include "controller/model/arena.h"

/* As the kernel keys its counters. No padding: compared as bytes. */
struct bh_counter_key {
	uint32_t local;
	uint32_t remote;
	uint16_t port;
	uint8_t protocol;
	uint8_t egress;
	uint8_t verdict;
	uint8_t pending;
	uint8_t peer_local;
	uint8_t family;
};
_Static_assert(sizeof(struct bh_counter_key) == 16, "compared as bytes");

/*
 * How far a counter of the kernel has been recorded. `first_mono` tells a counter from the one that
 * had its key before: when it began, on CLOCK_MONOTONIC, which no clock change moves.
 */
struct bh_counter {
	struct bh_counter_key key;
	uint64_t packets[2]; /* from the local pod, to it */
	uint64_t octets[2];
	uint64_t flows;
	uint64_t resets;
	uint64_t refusals;
	uint64_t first_mono;
	uint64_t seen_s; /* since 1970, when it last changed */
	bool gone;       /* the kernel has given its slot back; a counter of this key begins at 0 */
};

/* The same counter, further on; not another one that has got its key. */
bool bh_counter_goes_on(const struct bh_counter *before, const struct bh_counter *now);

struct bh_batch {
	uint64_t time_ns;    /* of the hand-over */
	uint64_t generation; /* of the kernel's counters; those of another one are forgotten */
	size_t n_edges;
	struct bh_history_edge *edges;
	size_t n_counters;
	struct bh_counter *counters;
	size_t n_pods;
	struct bh_history_pod *pods;
	uint64_t lost; /* flow records */
	size_t n_workloads;
	struct bh_workload_name *workloads;
	size_t n_rules;
	struct bh_rule_label *rules;
	struct bh_arena arena; /* all of the above */
};

static inline bool bh_batch_is_empty(const struct bh_batch *batch)
{
	return !batch->n_edges && !batch->n_counters && !batch->n_pods && !batch->lost &&
	       !batch->n_workloads && !batch->n_rules;
}

void bh_batch_free(struct bh_batch *batch);

#endif
