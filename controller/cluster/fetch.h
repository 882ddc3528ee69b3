/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_FETCH_H
#define BULKHEAD_CLUSTER_FETCH_H

/*
 * Carries a survey's questions to whatever speaks Prometheus' query API, by POST, one after the
 * other, on a libuv loop. Answers are taken apart in a thread, so that a long one keeps nobody
 * waiting.
 */

#include <uv.h>

#include "controller/cluster/answer.h"

struct bh_cluster_source {
	const char *url; /* below which there is api/v1/query */
	/* Files, read for every survey; NULL: none. */
	const char *token;     /* sent as a bearer */
	const char *login;     /* USER:PASSWORD */
	const char *ca;        /* PEM: certificates that are trusted instead of the system's */
	const char *tenant;    /* X-Scope-OrgID, as Mimir wants it; NULL: none */
	const char *match;     /* NAME=VALUE,... that the series must have; NULL: nothing */
	size_t answer_max;     /* bytes of one answer */
	unsigned int total_ms; /* for all of it */
};

/* The URL in "prometheus=URL", or NULL. */
const char *bh_cluster_url(const char *text);

/* What is wrong with the source as it was given, one line to free(), or NULL. */
char *bh_cluster_source_check(const struct bh_cluster_source *source);

/* "https://prometheus.example:9090", what may be shown of the URL: free() it. */
char *bh_cluster_origin(const struct bh_cluster_source *source);

struct bh_cluster_fetch;

/*
 * Begins. `edge` (NULL: the graph is asked for): matchers of the one that is asked for over time.
 * `source` is borrowed. `done` is called once, from the loop, and gets the answer; the
 * fetch is gone then. Returns NULL if libcurl cannot be had.
 */
struct bh_cluster_fetch *bh_cluster_fetch_begin(uv_loop_t *loop,
	const struct bh_cluster_source *source, const struct bh_cluster_window *window,
	const char *edge, void (*done)(void *data, struct bh_cluster_answer *answer), void *data);

/* Ends it without `done`. */
void bh_cluster_fetch_cancel(struct bh_cluster_fetch *fetch);

#endif
