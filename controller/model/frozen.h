/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_FROZEN_H
#define BULKHEAD_MODEL_FROZEN_H

/*
 * A model as it is at one moment, for another thread, while the model goes on changing.
 *
 * Stored objects never change, they are replaced. So it is enough to copy the lists of them, which
 * is one memcpy() a kind, and to keep what goes meanwhile until nobody can look at it any more. The
 * other thread makes a model of its own of that, which is most of the work.
 */

#include "controller/model/model.h"

struct bh_frozen;

/* On the model's thread. bh_frozen_release() before the model is freed. */
struct bh_frozen *bh_model_freeze(struct bh_model *model);

/*
 * On any thread, once: a model with all objects, modes, quarantines and addresses of the host, for
 * the caller to bh_model_free(); not with what the CNI plugin has announced, which the pods'
 * addresses say already. `with_pods` false: without pods and slices, which are by far the most. The
 * specs of policies are shared: referenced, which jansson counts atomically, and never changed.
 */
struct bh_model *bh_frozen_model(struct bh_frozen *frozen, bool with_pods);

/* On the model's thread, when no other one looks at it any more. */
void bh_frozen_release(struct bh_frozen *frozen);

#endif
