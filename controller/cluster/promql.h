/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_CLUSTER_PROMQL_H
#define BULKHEAD_CLUSTER_PROMQL_H

/*
 * What is asked of Prometheus, in its query language. Only what Prometheus 2.26, Thanos, Mimir and
 * VictoriaMetrics have in common is used, and never increase() or rate(): they extrapolate, and do
 * not see the first value of a series that begins.
 *
 * All questions are asked for the end of the window. A target is who was scraped: (job, instance).
 */

#include <stddef.h>
#include <stdint.h>

struct bh_cluster_window {
	uint64_t from_s; /* seconds since 1970 */
	uint64_t to_s;
};

/* A counter's value at the beginning is looked for in so much time before it. */
#define BH_CLUSTER_BEFORE_S 600

struct bh_cluster_target {
	const char *job;
	const char *instance;
};

enum bh_cluster_subject {
	/* Of targets, as a vector. */
	BH_CLUSTER_NODES, /* that were heard in the window, with their `node` */
	BH_CLUSTER_KNOWN, /* … before it */
	BH_CLUSTER_FRESH, /* … at its end: when */
	BH_CLUSTER_SEEN,  /* when they were last heard, to two seconds, or of more than ten minutes
			   * ago to a 240th of the window */
	BH_CLUSTER_DOWN,  /* those that do not answer at its end */
	BH_CLUSTER_FIRST, /* when the first that they have counted was */
	BH_CLUSTER_RESET, /* those that have begun anew */
	/* Of one target: its counters' samples, as a matrix. */
	BH_CLUSTER_SAMPLES,
	/* Of edges: what was added in the window, as a vector. */
	BH_CLUSTER_FLOWS,
	BH_CLUSTER_PACKETS,
	BH_CLUSTER_OCTETS,
	BH_CLUSTER_RESETS,
	BH_CLUSTER_REFUSALS,
	BH_CLUSTER_LAST, /* when the latest was, and what is spoken */
	/* Of one edge: its counters at the end of each span, as a matrix. */
	BH_CLUSTER_SERIES,
	BH_CLUSTER_SUBJECTS,
};

/*
 * The expression, to free(). `matchers`: "cluster=\"eu\",", or "". `targets`: whose samples are
 * wanted, or who is left out of edges.
 */
char *bh_cluster_promql(enum bh_cluster_subject subject, const struct bh_cluster_window *window,
	const char *matchers, size_t n_targets, const struct bh_cluster_target *targets);

/* As bh_cluster_promql(BH_CLUSTER_SERIES), of the edge that `edge` matches. */
char *bh_cluster_promql_series(const struct bh_cluster_window *window, const char *matchers,
	const char *edge, uint64_t step_s);

/* An end of an edge as metrics name it. */
struct bh_cluster_end {
	const char *namespace;
	const char *kind;
	const char *name;
};

/* Matchers of one edge, to free(). `protocol` is the word. */
char *bh_cluster_edge_matchers(const struct bh_cluster_end *client,
	const struct bh_cluster_end *server, const char *protocol, uint16_t port);

/*
 * "cluster=eu,job=bulkhead" as matchers; to free(). NULL: it is no such list, or begins with what
 * is no label's name.
 */
char *bh_cluster_matchers(const char *list);

#endif
