/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_STEP_H
#define BULKHEAD_COMPILE_STEP_H

/* A step under way (step.c): shared by the files it is in. */

#include "controller/compile/compilation.h"

/* An object that has changed: as it was, and as it is. NULL: it was or is not there. */
struct bh_step_pod {
	const struct bh_pod *before, *now;
};

struct bh_step_slice {
	const struct bh_slice *before, *now;
};

/* Its pods are as they were, and may be something else to policies. */
struct bh_step_namespace {
	const struct bh_namespace *before, *now;
};

struct bh_step_service {
	const struct bh_service *before, *now;
};

struct bh_step_ips {
	size_t n;
	size_t capacity;
	struct bh_ip *items;
};

struct bh_step {
	struct bh_compilation *compilation;
	struct bh_result *result;
	size_t n_pods, pods_room;
	struct bh_step_pod *pods;
	size_t n_slices, slices_room;
	struct bh_step_slice *slices;
	size_t n_namespaces, namespaces_room;
	struct bh_step_namespace *namespaces;
	size_t n_fronts, fronts_room;
	struct bh_step_service *fronts; /* services themselves */
	struct bh_services claimed;     /* and who had which addresses before they changed */
	struct bh_step_ips ips;         /* that pods, or services, have or had; sorted */
	struct bh_step_ips moved;       /* those of them that are something else than before */
	struct bh_step_ips services;    /* addresses of services that may be, too */
	size_t n_edits, edits_room;
	struct bh_desired_address *edits; /* what addresses are now; class … */
	bool *removed;
	size_t removed_room;
	size_t n_classes, classes_room;
	struct bh_class *
		*classes; /* of which there are more or fewer now; then, that came or went */
	size_t n_service_classes, service_room;
	struct bh_service_class **service_classes; /* of which there are more or fewer now */
	struct bh_services come;                   /* those that came … */
	size_t come_room;
	struct bh_table gone; /* … or went, and such that are both, as the world knows them now */
	bool programs_changed; /* of pods that did not */
	bool policies_changed;
	bool local_changed; /* who is selected by what */
	bool problems_changed;
};

/* step_places.c: lists of addresses; sorting drops repetitions. */
void bh_step_add_ip(struct bh_step_ips *list, const struct bh_ip *ip);
void bh_step_sort_ips(struct bh_step_ips *list);

/* Drops problems that will be said again if they are still so. `ips` NULL: whichever address. */
void bh_step_drop_problems(
	struct bh_step *step, enum bh_problem_about about, const struct bh_step_ips *ips);

/* Who has which addresses as a service; those that changed hands, maybe, are to be looked at. */
void bh_step_claim_services(struct bh_step *step);
/* Who has the addresses of `ips` now, and what does that make them? */
void bh_step_place_ips(struct bh_step *step);
/* What are the services that may have some of them behind them? */
void bh_step_place_services(struct bh_step *step);

#endif
