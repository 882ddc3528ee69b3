/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_H
#define BULKHEAD_CLUSTER_H

/*
 * The cluster as a controller shows it: surveys of windows, each made once for whoever asks for it
 * within some seconds, so that many readers cost the Prometheus no more than one.
 */

#include <argp.h>

#include "controller/cluster/fetch.h"

/* Surveys under way, or kept, at once. */
#define BH_CLUSTER_SURVEYS 6
/* What is younger is answered again. */
#define BH_CLUSTER_KEEP_MS 10000

/* The options of the command line; a child parser whose input is a struct bh_cluster_source. */
extern const struct argp bh_cluster_argp;
/* What holds where nothing is said. */
extern const struct bh_cluster_source bh_cluster_defaults;

struct bh_cluster;

/* `source` is borrowed; NULL if it has no URL. `changed` is called when a survey is done. */
struct bh_cluster *bh_cluster_new(uv_loop_t *loop, const struct bh_cluster_source *source,
	void (*changed)(void *data), void *data);
/* Before the loop's handles are closed. */
void bh_cluster_free(struct bh_cluster *cluster);

/*
 * Asks for a window. `open`: it ends now, and may have been asked for some seconds ago. `edge`: as
 * of bh_cluster_fetch_begin(). Returns a ticket, to be released; 0: others ask for too many other
 * ones.
 */
uint64_t bh_cluster_ask(struct bh_cluster *cluster, const struct bh_cluster_window *window,
	const char *edge, bool open);
/* The window that is answered: an open one may have been asked for before. */
const struct bh_cluster_window *bh_cluster_window(
	const struct bh_cluster *cluster, uint64_t ticket);
/* NULL: not yet. Lives until the ticket is released. */
const struct bh_cluster_answer *bh_cluster_answer(
	const struct bh_cluster *cluster, uint64_t ticket);
void bh_cluster_release(struct bh_cluster *cluster, uint64_t ticket);

#endif
