/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_REPLAY_COPY_H
#define BULKHEAD_REPLAY_COPY_H

/* Parts of one model put into another, which bh_replay_world_new() makes for a candidate. */

#include "controller/model/model.h"

/* With the node's own addresses. */
void bh_replay_copy_nodes(struct bh_model *to, const struct bh_model *from);
void bh_replay_copy_services(struct bh_model *to, const struct bh_model *from);

#endif
