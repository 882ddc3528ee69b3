/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_EXPORT_TALLY_H
#define BULKHEAD_EXPORT_TALLY_H

/*
 * Counters that only grow, made of counters that may begin anew: the data plane's when it starts
 * with new maps, an edge's when its slot was given to another and comes back. What a source counts
 * is taken in as the difference to what it said last; less than that is a new beginning.
 *
 * Edges become series of (client, server, protocol, port, end, verdict, pending verdict). There are
 * at most as many as is set; edges that come later are added to a series "other", one for each end
 * and pair of verdicts, and counted. A series stays to the end of the process: going and coming
 * back would be a counter that went down.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "controller/flows/edges.h"

enum bh_tally_verdict {
	BH_TALLY_ALLOWED,
	BH_TALLY_WOULD_DENY,
	BH_TALLY_DENIED,
	BH_TALLY_VERDICTS,
};

struct bh_tally_series {
	bool other;      /* of everybody who has no series: no names */
	uint32_t client; /* workloads */
	uint32_t server;
	uint8_t protocol;
	uint16_t port;
	bool egress; /* seen at the client's end, or else at the server's */
	enum bh_tally_verdict verdict;
	bool pending_denies; /* what if everything pending were enforced */
	/* [0] from the client, [1] from the server */
	uint64_t packets[2];
	uint64_t octets[2];
	uint64_t flows;
	uint64_t resets;
	uint64_t refusals;
	uint64_t handshakes; /* of TCP, and what they took together */
	uint64_t handshakes_us;
	uint64_t last_ns; /* since 1970; 0: nothing yet */
	/* What is spoken by the latest that showed it. No part of what tells series apart: that
	 * would split what is counted when it becomes known. */
	uint8_t app;       /* enum bh_app */
	uint8_t encrypted; /* enum bh_encrypted */
	uint64_t talk_ns;  /* when that was; 0: nothing yet */
};

struct bh_tally;

struct bh_tally *bh_tally_new(size_t max_series);
void bh_tally_free(struct bh_tally *tally);

/* Takes in what the edges say now. To be called before they begin anew, too. */
void bh_tally_take(struct bh_tally *tally, const struct bh_edges *edges);

/* Returns their number; they are the tally's, in the order in which they came. */
size_t bh_tally_series(
	const struct bh_tally *tally, const struct bh_tally_series *const **ret_series);

/* When the first of all that is counted was seen, since 1970; 0: nothing yet. */
uint64_t bh_tally_first(const struct bh_tally *tally);

/* Edges that were added to "other" so far. */
uint64_t bh_tally_folded(const struct bh_tally *tally);

/* Takes in a counter by its name, and returns what it has come to. */
uint64_t bh_tally_count(struct bh_tally *tally, const char *name, uint64_t value);

#endif
