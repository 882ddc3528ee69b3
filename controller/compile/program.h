/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_PROGRAM_H
#define BULKHEAD_COMPILE_PROGRAM_H

/* Programs: for one pod, direction and class of peer, everything a set of policies allows. */

#include "controller/compile/classes.h"
#include "controller/compile/desired.h"
#include "controller/compile/ranges.h"
#include "controller/compile/services.h"

struct bh_programs {
	struct bh_arena *scratch; /* where programs are, and what they are made of */
	struct bh_classes *classes;
	struct bh_services *services;
	struct bh_registry *registry;
	struct bh_table by_key;    /* policies and ports → struct bh_made */
	struct bh_table by_number; /* values are struct bh_desired_program */
	struct bh_ranges ranges;
	uint64_t visit;
};

/*
 * The number of the program that does for `pod` what these policies say. Policies are sorted; all
 * of them select the pod. BH_PROGRAM_NONE if none of them says anything.
 */
uint32_t bh_program_compile(struct bh_programs *programs, const struct bh_pod *pod,
	const struct bh_netpol *const *policies, size_t n_policies);

/* The program of a pod that is cut off: isolated both ways, nothing allowed. */
uint32_t bh_program_cut_off(struct bh_programs *programs);

/* One that was made; NULL: it was not, as those that have no entries by definition. */
const struct bh_desired_program *bh_programs_find(
	const struct bh_programs *programs, uint32_t number);

/*
 * Some classes came or went, and some services' classes. Programs that ask about such a class are
 * forgotten, to be made anew; of the others only what they say to services is put right. True if
 * any is another one now. `come` are classes of services, `gone` their numbers (any value).
 */
bool bh_programs_follow(struct bh_programs *programs, struct bh_class *const *changed,
	size_t n_changed, struct bh_services *come, const struct bh_table *gone);

/* All programs are to be made anew. */
void bh_programs_forget(struct bh_programs *programs);
void bh_programs_clear(struct bh_programs *programs);

#endif
