/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_BLOCKS_H
#define BULKHEAD_COMPILE_BLOCKS_H

/*
 * Every distinct prefix in use, cidr or except, as a tree of containment, each with all the blocks
 * that match the addresses for which it is the longest. Between one prefix and the next nothing
 * changes, so the longest prefix is the whole answer; one that no block matches any more (an
 * except) is needed as much as the others.
 */

#include "controller/compile/netpol.h"

struct bh_blocks_node {
	struct bh_prefix prefix;
	const struct bh_blocks_node *up; /* the next shorter one that contains it, or NULL */
	size_t n_atoms;
	const uint32_t *atoms; /* sorted */
};

struct bh_blocks {
	size_t n;
	struct bh_blocks_node
		*nodes; /* sorted by address, then length: a parent before its children */
};

/* One block and the atom it stands for. */
struct bh_blocks_input {
	const struct bh_block *block;
	uint32_t atom;
};

/* Everything in the result lives in the arena. Atoms are distinct. */
void bh_blocks_build(struct bh_blocks *blocks, struct bh_arena *arena,
	const struct bh_blocks_input *inputs, size_t n_inputs);

/* The longest prefix that contains the address, or NULL. */
const struct bh_blocks_node *bh_blocks_find(const struct bh_blocks *blocks, const struct bh_ip *ip);

#endif
