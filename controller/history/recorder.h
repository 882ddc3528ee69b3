/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_RECORDER_H
#define BULKHEAD_HISTORY_RECORDER_H

/*
 * The caller's half of history: what has come in since the last hand-over, in tables whose size is
 * bounded by what is counted and not by how long nobody takes it.
 */

#include "controller/history/batch.h"

struct bh_recorder;

struct bh_recorder *bh_recorder_new(void);
void bh_recorder_free(struct bh_recorder *recorder);

/* What the database knows, at the start; before anything is recorded. */
void bh_recorder_load(struct bh_recorder *recorder, const struct bh_batch *known);

/* Times are the caller's: CLOCK_REALTIME and CLOCK_MONOTONIC of this moment. */
void bh_recorder_edges(struct bh_recorder *recorder, const Bulkhead__Wire__EdgeBatch *batch,
	uint64_t real_ns, uint64_t mono_ns);
void bh_recorder_flows(struct bh_recorder *recorder, const struct bh_flow_log *log, uint64_t *next);
/* The kernel's own count of lost records, cumulative. What was there at first is not new. */
void bh_recorder_losses(struct bh_recorder *recorder, uint64_t total);
/* True if there were new ones. `before`: a compilation that was given already, or NULL. */
bool bh_recorder_names(struct bh_recorder *recorder, const struct bh_desired *desired,
	const struct bh_desired *before);

/* Everything new since the last one; empty if there is nothing. Free with bh_batch_free(). */
struct bh_batch *bh_recorder_take(struct bh_recorder *recorder, uint64_t real_ns);

/* The database was begun anew: names and counters are handed over once more. */
void bh_recorder_repeat(struct bh_recorder *recorder);

/* Rows that were given up: nobody took them, and there was no room for more. */
uint64_t bh_recorder_dropped(const struct bh_recorder *recorder);

#endif
