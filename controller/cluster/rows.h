/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_ROWS_H
#define BULKHEAD_CLUSTER_ROWS_H

/* Labels of metrics made into rows of edges, added up where they are the same. */

#include <jansson.h>

#include "controller/cluster/answer.h"
#include "controller/model/table.h"

struct bh_cluster_rows {
	struct bh_arena *arena;
	struct bh_table parties; /* "NAMESPACE/KIND/NAME" → party */
	struct bh_table numbers; /* number → party */
	struct bh_table edges;   /* key → edge */
	size_t strange;          /* series whose labels make no sense */
	size_t others;           /* rows of what nodes add up as "other" */
};

/*
 * The row for these labels, made if it is not there, and *ret_server: they are of what the server
 * sent (`from`). NULL if they make no sense, which is counted.
 */
struct bh_history_edge *bh_cluster_row(
	struct bh_cluster_rows *rows, const json_t *labels, bool *ret_server);

/* What is spoken, by the labels app and encrypted, where there are such. */
struct bh_talk bh_cluster_row_talk(const json_t *labels);

/* Puts the rows in which anything was counted, and the parties, into the answer. */
void bh_cluster_rows_finish(struct bh_cluster_rows *rows, struct bh_cluster_answer *answer);
void bh_cluster_rows_clear(struct bh_cluster_rows *rows);

#endif
