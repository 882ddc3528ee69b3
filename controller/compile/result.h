/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_RESULT_H
#define BULKHEAD_COMPILE_RESULT_H

/* What is behind a `struct bh_desired`: the count of its references and the memory of everything in
 * it. */

#include "controller/compile/desired.h"
#include "controller/model/arena.h"

struct bh_result {
	struct bh_desired public; /* first: the one is the other's address */
	size_t references;
	struct bh_arena arena;
};

/* Empty, with one reference. */
struct bh_result *bh_result_new(void);

#endif
