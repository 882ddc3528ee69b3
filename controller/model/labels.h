/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_LABELS_H
#define BULKHEAD_MODEL_LABELS_H

/* The interned label sets of a model: one copy of each distinct set, counted. */

#include "controller/model/model.h"
#include "controller/model/table.h"

struct bh_label_store {
	struct bh_table sets;
	uint64_t last_id;
};

/*
 * The one set equal to `labels` (NULL: the empty one), which may be in any order; of a key given
 * twice the last counts. One reference is the caller's: bh_label_store_put().
 */
const struct bh_labels *bh_label_store_get(
	struct bh_label_store *store, const struct bh_labels *labels);
void bh_label_store_put(struct bh_label_store *store, const struct bh_labels *labels);

/* Bytes that the set takes. */
size_t bh_label_store_size(const struct bh_labels *labels);

/* Every reference must have been given back. */
void bh_label_store_clear(struct bh_label_store *store);

#endif
