/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_SERIES_H
#define BULKHEAD_CLUSTER_SERIES_H

/*
 * One conversation over time: the increments of its counters, put into spans of equal length that
 * begin at multiples of it, so that the same time is the same span in every answer.
 */

#include <jansson.h>

#include "controller/cluster/answer.h"

/* Spans in one answer, and the shortest one. */
#define BH_CLUSTER_POINTS_MAX 360
#define BH_CLUSTER_STEP_MIN_S 15

struct bh_cluster_series {
	uint64_t first_s; /* begin of the first span */
	uint64_t step_s;
	size_t n;
	struct bh_history_point *ends[2]; /* what the servers' ends counted, and the clients' */
	bool client_seen;
};

/* How long a span of such a window is: a number that people count in. */
uint64_t bh_cluster_step(const struct bh_cluster_window *window);

void bh_cluster_series_begin(
	struct bh_cluster_series *series, const struct bh_cluster_window *window);
void bh_cluster_series_clear(struct bh_cluster_series *series);

/* [1700000000.123, "42"]; false if that is no sample, or no count. */
bool bh_cluster_sample(const json_t *sample, double *ret_s, double *ret_value);

/*
 * Takes in one counter's samples of the row `key`. `born`: where it begins after the window did it
 * began at nothing. Returns false if it went down in between: then some of it may be missing.
 */
bool bh_cluster_series_take(struct bh_cluster_series *series, const struct bh_history_key *key,
	const char *metric, bool server, const json_t *samples, bool born);

/* Puts the spans in which anything was counted into the answer, and its window to whole spans. */
void bh_cluster_series_finish(
	const struct bh_cluster_series *series, struct bh_cluster_answer *answer);

#endif
