/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_FLOWS_JUDGED_H
#define BULKHEAD_FLOWS_JUDGED_H

/*
 * Since when the pods of a workload are judged as they are now: a verdict that was given before may
 * be another today, and who shows it has to say so. Known is what changed under this controller.
 */

#include "controller/compile/desired.h"

struct bh_judged;

struct bh_judged *bh_judged_new(void);
void bh_judged_free(struct bh_judged *judged);

/*
 * Takes in, at `now_ns` since 1970, what a compilation made of the one before it (NULL: there was
 * none). Pods that came meanwhile are no change: of them there are no older verdicts.
 */
void bh_judged_learn(struct bh_judged *judged, const struct bh_desired *desired,
	const struct bh_desired *before, uint64_t now_ns);

/* When a program of its pods was last another; 0: never, as far as is known. */
uint64_t bh_judged_since(const struct bh_judged *judged, uint32_t workload);

#endif
