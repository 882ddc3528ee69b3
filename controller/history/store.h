/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_STORE_H
#define BULKHEAD_HISTORY_STORE_H

/*
 * One database of history: a file (SQLite, write-ahead log), or the same in memory while there is
 * no disk. Used by one thread.
 *
 * Counts lie in three tables by span: 15 seconds, 5 minutes, an hour. What comes in is written to
 * the finest; a span of the next table is summed up once it is over (with a minute's grace), and
 * what comes later still is added to every table that has its time already. So each table holds
 * exact sums of all that lies before its mark, and a window is read from the coarsest table that
 * fits, with finer ones at its ends.
 *
 * Errors are -errno: -ENOSPC, -EBADMSG (the file is damaged), -EACCES, -EIO, …; whatever
 * fails changes nothing.
 */

#include "controller/history/batch.h"

struct bh_store;

struct bh_store_config {
	const char *path; /* NULL: in memory */
	uint64_t max_bytes;
	uint32_t keep_days;
};

/* Returns 0 and *ret_store, or -errno and *ret_text: one line to free(). -EPROTO: made by a newer
 * version. */
int bh_store_open(
	const struct bh_store_config *config, struct bh_store **ret_store, char **ret_text);
void bh_store_close(struct bh_store *store);

/* In one transaction. */
int bh_store_write(struct bh_store *store, const struct bh_batch *batch);

/*
 * Adds everything that `from` holds, in one transaction. `overlaps`: it was begun without knowing
 * what of the kernel's counters this one has recorded, so that much is in both, and added once.
 */
int bh_store_merge(struct bh_store *store, struct bh_store *from, bool overlaps);

/* Sums up what is over, forgets what is too old or too much. `now_s` is since 1970. */
int bh_store_tidy(struct bh_store *store, uint64_t now_s);

/* Why the last call failed, in SQLite's words. */
const char *bh_store_error(const struct bh_store *store);

/* What a store knows besides counts: names, counters, the generation. In `ret_batch`'s arena. */
int bh_store_load(struct bh_store *store, struct bh_batch *ret_batch);

struct bh_store_state {
	uint64_t since_ns[BH_HISTORY_LEVELS]; /* the first that was seen; 0: nothing */
	uint64_t bytes;
	uint64_t edges;
};
int bh_store_state(struct bh_store *store, struct bh_store_state *ret_state);

/* ---- Reading --------------------------------------------------------------------------------- */

/* An answer being put together, from one store or from two. */
struct bh_gather;

struct bh_gather *bh_gather_new(const struct bh_history_question *question);
/* Adds what the store has. */
int bh_gather_from(struct bh_gather *gather, struct bh_store *store);
/* Ends it: the answer lives as long as the gather. */
const struct bh_history_answer *bh_gather_finish(
	struct bh_gather *gather, int error, const char *text);
void bh_gather_free(struct bh_gather *gather);

#endif
