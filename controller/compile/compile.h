/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_H
#define BULKHEAD_COMPILE_H

/*
 * The compiler: from the model to what the data plane shall hold (desired.h). Pure, and a function
 * of the model's content alone: the same objects give the same numbers in any process at any time,
 * except where two contents collide in a hash, and there the first one seen keeps the number.
 *
 * A compiler remembers parsed policies, class signatures and the numbers it gave, and its last
 * compilation as a whole. Where only pods, slices, namespaces and policies have changed since, it
 * goes on from that one: such a step costs what changed. Its result is the same as that of
 * compiling everything.
 */

#include "controller/compile/desired.h"
#include "controller/model/model.h"

struct bh_compiler;

/* Why a compilation was not a step from the one before. */
enum bh_compile_cause {
	BH_COMPILE_FIRST,    /* there was none before */
	BH_COMPILE_OTHER,    /* none of what steps are made of */
	BH_COMPILE_MANY,     /* more changes than the model remembers, or of a large part of it */
	BH_COMPILE_POLICIES, /* those that select pods of this node ask for other peers */
	BH_COMPILE_NOWHERE,  /* no pod is on this node, and nobody knows it */
	BH_COMPILE_SLICE,    /* a slice is no service's */
	BH_COMPILE_MODE,     /* a namespace's mode is none of ours */
	BH_COMPILE_TIDY,     /* so many steps were taken that what they left is tidied up */
	BH_COMPILE_CAUSES,
};

struct bh_compile_counts {
	uint64_t steps;
	uint64_t whole[BH_COMPILE_CAUSES]; /* compilations of everything, by why */
};

/* A stable word for it. */
const char *bh_compile_cause_name(enum bh_compile_cause cause);

struct bh_compiler *bh_compiler_new(void);
void bh_compiler_free(struct bh_compiler *compiler);

void bh_compiler_counts(const struct bh_compiler *compiler, struct bh_compile_counts *ret_counts);

/*
 * Compiles the model as it is now. The result is the caller's: bh_desired_unref(). Never fails:
 * what cannot be understood is a problem in the result, and narrower than written.
 */
struct bh_desired *bh_compile(struct bh_compiler *compiler, const struct bh_model *model);

#endif
