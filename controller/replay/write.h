/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_WRITE_H
#define BULKHEAD_REPLAY_WRITE_H

/*
 * A suggested NetworkPolicy, as JSON and as YAML with comments. Rules of the same peer become one
 * with all its ports, peers with the same ports become one rule. Names and labels are strangers'
 * texts: in YAML they stand in double quotes, as JSON writes them, and in comments without anything
 * that could end a line.
 */

#include "controller/replay/labels.h"
#include "controller/replay/suggest.h"

struct bh_writer;

struct bh_writer *bh_writer_new(
	const struct bh_desired_workload *subject, const struct bh_replay_labels *labels);

/*
 * One conversation: its other end is `peers`, an array of NetworkPolicyPeer. `edge` is `seen`, or
 * one of its backends.
 */
void bh_writer_add(struct bh_writer *writer, bool egress, json_t *peers,
	const struct bh_replay_edge *edge, const struct bh_suggest_edge *seen);

/* Frees the writer. */
void bh_writer_finish(
	struct bh_writer *writer, struct bh_arena *arena, struct bh_suggest_policy *ret_policy);

/* {"matchLabels": …}; {} without labels. */
json_t *bh_write_selector(const struct bh_replay_labels *labels);

/* An end that is no pod, as an array of ipBlock peers. */
json_t *bh_write_blocks(const struct bh_model *model, const struct bh_replay_edge *edge,
	const struct bh_desired_workload *end);

#endif
