/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_PROGRAM_H
#define BULKHEAD_COMPILE_PROGRAM_H

/* Programs: for one pod, direction and class of peer, everything a set of policies allows. */

#include "controller/compile/classes.h"
#include "controller/compile/desired.h"
#include "controller/compile/ranges.h"
#include "controller/compile/services.h"

struct bh_programs {
	struct bh_arena *out;     /* for what the result holds */
	struct bh_arena *scratch; /* for the time of the compilation */
	struct bh_classes *classes;
	const struct bh_services *services;
	struct bh_registry *registry;
	struct bh_table by_key;    /* policies and ports → made */
	struct bh_table by_number; /* what is in `list` */
	struct bh_ranges ranges;
	uint64_t visit;
	size_t n;
	size_t capacity;
	struct bh_desired_program *list; /* in the order of making */
};

/*
 * The number of the program that does for `pod` what these policies say. Policies are sorted; all
 * of them select the pod. BH_PROGRAM_NONE if none of them says anything.
 */
uint32_t bh_program_compile(struct bh_programs *programs, const struct bh_pod *pod,
	const struct bh_netpol *const *policies, size_t n_policies);

/* The program of a pod that is cut off: isolated both ways, nothing allowed. */
uint32_t bh_program_cut_off(struct bh_programs *programs);

void bh_programs_clear(struct bh_programs *programs);

#endif
