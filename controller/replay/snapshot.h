/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_SNAPSHOT_H
#define BULKHEAD_REPLAY_SNAPSHOT_H

/* A model as it is now, to be asked by another thread while the model goes on changing. */

#include "controller/model/model.h"

/*
 * Copies all objects, modes, quarantines and the node's addresses; not what the CNI plugin has
 * announced, which the pods' addresses say already. The specs of policies are shared: they are
 * referenced, which jansson counts atomically, and never changed. Free with bh_model_free().
 */
struct bh_model *bh_replay_snapshot(const struct bh_model *model);

/* The parts that bh_replay_world_new() copies too. */
void bh_replay_copy_nodes(struct bh_model *to, const struct bh_model *from);
void bh_replay_copy_services(struct bh_model *to, const struct bh_model *from);
/* Modes and quarantines set by command; the node's mode too. */
void bh_replay_copy_overrides(struct bh_model *to, const struct bh_model *from);

#endif
