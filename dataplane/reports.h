/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_REPORTS_H
#define BULKHEAD_DATAPLANE_REPORTS_H

/*
 * Records of flows that last. A flow older than the period has a record of its own once in each,
 * so that a connection of a day is seen before it ends. Each record of a flow, that of its end
 * included, goes with what those before it have told: whoever adds up the differences has counted
 * everything once.
 *
 * When a flow's turn is follows from when it began and from its ports, so that those that began
 * together are not told together, and a round asks its table of nothing but the few whose turn has
 * come. Those that have carried nothing since are left out.
 *
 * What was told is kept here, of at most BH_REPORTS_MAX flows; others are told of at their end
 * only. Flows that were older than the period when this process began have been told of by the one
 * before it, nobody knows how far: the first round takes what they carried so far for told.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/flowkey.h"

#define BH_REPORTS_MAX 65536

struct bh_reports;

/*
 * `period` in jiffies, more than 0; `adopt`: the flow tables have flows of the process before.
 * Free with bh_reports_free(). Returns 0 or -ENOMEM.
 */
int bh_reports_new(uint64_t period, uint64_t jiffies, bool adopt, struct bh_reports **ret_reports);
void bh_reports_free(struct bh_reports *reports);

/* A round through the flow tables begins, or has ended. */
void bh_reports_begin(struct bh_reports *reports, uint64_t jiffies);
void bh_reports_end(struct bh_reports *reports);

/* Is it the flow's turn in this round, and is there something to tell? */
bool bh_reports_due(struct bh_reports *reports, uint8_t family, const union bh_flow_key *key,
	const struct bh_flow *flow);

/* By the opener, by the responder. */
struct bh_told {
	uint64_t jiffies; /* when; 0: nothing was told */
	uint64_t packets[2];
	uint64_t octets[2];
};

/*
 * A record is made of a flow that is still there, or that has ended, with what it has carried by
 * now. *ret_before is what the records before it have told; never more than that.
 */
void bh_reports_tell(struct bh_reports *reports, const struct bh_event *event, bool ended,
	uint64_t jiffies, struct bh_told *ret_before);

/* How many flows there are notes of. */
size_t bh_reports_count(const struct bh_reports *reports);

#endif
