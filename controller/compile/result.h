/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_RESULT_H
#define BULKHEAD_COMPILE_RESULT_H

/*
 * What is behind a `struct bh_desired`: the count of its references, and the memory of everything
 * in it, in parts that it may share with those before and after it.
 */

#include "controller/compile/desired.h"
#include "controller/model/arena.h"

struct bh_part {
	size_t references;
	struct bh_arena arena;
};

enum bh_part_kind {
	BH_PART_POLICY, /* blocks, names of rules */
	BH_PART_LOCAL,  /* endpoints, those without an address, programs */
	BH_PART_PROBLEMS,
	BH_PARTS,
};

struct bh_result {
	struct bh_desired public; /* first: the one is the other's address */
	size_t references;
	struct bh_part *parts[BH_PARTS];
};

/* Empty, with one reference, and new parts. */
struct bh_result *bh_result_new(void);

/* With everything that `last` has. */
struct bh_result *bh_result_like(const struct bh_desired *last);

/* A new part in the place of a shared one. */
struct bh_arena *bh_result_renew(struct bh_result *result, enum bh_part_kind kind);

static inline struct bh_arena *bh_result_arena(struct bh_result *result, enum bh_part_kind kind)
{
	return &result->parts[kind]->arena;
}

#endif
