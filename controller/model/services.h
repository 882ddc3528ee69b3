/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_SERVICES_H
#define BULKHEAD_MODEL_SERVICES_H

/* Services and slices as the model keeps them. */

#include "controller/model/model.h"
#include "controller/model/pack.h"

/* Packs everything but the selector, which is interned. */
void bh_service_pack(struct bh_pack *pack, const struct bh_service *in, struct bh_service *out);
/* `selector` is the interned one of `b`. */
bool bh_service_same(
	const struct bh_service *a, const struct bh_service *b, const struct bh_labels *selector);

void bh_slice_pack(struct bh_pack *pack, const struct bh_slice *in, struct bh_slice *out);
bool bh_slice_same(const struct bh_slice *a, const struct bh_slice *b);

#endif
