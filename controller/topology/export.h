/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_TOPOLOGY_EXPORT_H
#define BULKHEAD_TOPOLOGY_EXPORT_H

/*
 * The graph as files. Names and labels were chosen by strangers: each format has its own way of
 * writing a text so that it stays a text, and nothing else is used here.
 */

#include "controller/topology/graph.h"
#include "controller/topology/text.h"

/*
 * One line for each conversation that the filter takes, under a heading (RFC 4180). A cell that a
 * spreadsheet would take for a formula begins with an apostrophe.
 */
void bh_export_csv(struct bh_text *to, const struct bh_conversations *conversations,
	const struct bh_filter *filter, bh_filter_text *text, void *text_data);
/* For Graphviz: namespaces are clusters. */
void bh_export_dot(struct bh_text *to, const struct bh_graph *graph);
/* http://graphml.graphdrawing.org/ */
void bh_export_graphml(struct bh_text *to, const struct bh_graph *graph);
/* A drawing: clients to the left of their servers as far as that goes. */
void bh_export_svg(struct bh_text *to, const struct bh_graph *graph);

/* The text of an element or attribute; what XML cannot hold becomes U+FFFD. */
void bh_export_xml(struct bh_text *to, const char *text);

/* What people read on a node and beside an edge, into `label`. */
#define BH_EXPORT_LABEL_MAX 320
const char *bh_export_node_label(const struct bh_graph_node *node, char label[BH_EXPORT_LABEL_MAX]);
const char *bh_export_edge_label(const struct bh_graph_edge *edge, char label[BH_EXPORT_LABEL_MAX]);
/* "#c0392b" */
const char *bh_export_colour(enum bh_state state);

/* RFC 3339 in UTC with microseconds into `text`; "" for 0. */
#define BH_EXPORT_TIME_MAX 48
const char *bh_export_time(uint64_t ns, char text[BH_EXPORT_TIME_MAX]);

#endif
