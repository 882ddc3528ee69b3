/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_H
#define BULKHEAD_COMPILE_H

/*
 * The compiler: from the model to what the data plane shall hold (desired.h). Pure, and a function
 * of the model's content alone: the same objects give the same numbers in any process at any time,
 * except where two contents collide in a hash, and there the first one seen keeps the number.
 *
 * A compiler remembers parsed policies, class signatures and the numbers it gave, so that the
 * next compilation costs what changed plus one pass over the pods.
 */

#include "controller/compile/desired.h"
#include "controller/model/model.h"

struct bh_compiler;

struct bh_compiler *bh_compiler_new(void);
void bh_compiler_free(struct bh_compiler *compiler);

/*
 * Compiles the model as it is now. The result is the caller's: bh_desired_unref(). Never fails:
 * what cannot be understood is a problem in the result, and narrower than written.
 */
struct bh_desired *bh_compile(struct bh_compiler *compiler, const struct bh_model *model);

#endif
