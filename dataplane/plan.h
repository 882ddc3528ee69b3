/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_PLAN_H
#define BULKHEAD_DATAPLANE_PLAN_H

/*
 * What has to be done to get from what is in force to what is wanted, so that no packet meets a
 * world that is half one and half the other. Pure: looks at the world, the change and the
 * endpoints, writes nothing.
 *
 * An endpoint is switched to another program by one store; an address gets another class by one
 * write. The two cannot be done at once, and a program knows nothing of classes that came after it.
 * So where both change, an address goes from its old class to its new one through a *transient*
 * class, one for each pair of old and new: programs in force give it the entry of the old class,
 * the new programs that of the new. Then the endpoints can be switched one after the other, and
 * whichever program a packet meets, it gets the verdict of before or of after.
 *
 * A class that is new to everybody and that only one old class moves into (a class was split, the
 * common case) serves as its own transient: one write less per address.
 *
 * A program that is in force already for one endpoint and newly given to another would have to mean
 * both. The newcomer gets a copy under an *alias* number until the addresses have arrived.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/staging.h"
#include "dataplane/world.h"

/* An address or block whose entry changes. */
struct bh_move {
	uint8_t family;
	bool block;
	bool had;       /* there is an entry before */
	bool stays;     /* there is one afterwards */
	bool reclassed; /* the class that its addresses have changes */
	bool renamed;   /* their workload does */
	uint8_t bits;   /* blocks */
	uint8_t ip[16];
	struct bh_identity
		before; /* what its addresses are: without an entry, what contains them */
	struct bh_identity after;
	uint32_t transient; /* 0 = moves at once */
};

/* An entry that lives only while the change is applied. */
struct bh_temp {
	uint32_t program;
	struct bh_entry entry;
};

/* An endpoint in force, and what its programs shall be. */
struct bh_switch {
	uint32_t slot;
	uint64_t programs;
	uint64_t meanwhile; /* the same, or with aliases; filled by the plan */
};

struct bh_plan {
	struct bh_change *change; /* the caller's */
	bool identities_change;   /* some address has another class, workload or flag: all epochs
				     move */
	bool transients;

	struct bh_move *moves; /* exact addresses first, then blocks, the longest first */
	size_t n_moves;
	struct bh_temp *temps;
	size_t n_temps;
	struct bh_program *
		*written; /* new, or changed while nobody has them in force; the change's */
	size_t n_written;
	struct bh_program **rewritten; /* changed in force: only a repair after a crash does that */
	size_t n_rewritten;
	struct bh_program **aliases; /* the plan's */
	size_t n_aliases;
	uint32_t *removed; /* programs to remove at the end */
	size_t n_removed;
	struct bh_switch *switches; /* only those that change */
	size_t n_switches;
};

/*
 * Plans `change`. `switches`: every endpoint that stays, with the programs it shall have; those in
 * force are read from object->endpoints. `next_transient` is moved on. Returns 0 and *ret_plan
 * (bh_plan_free()), -ENOSPC with a sentence when a map is too small, -ENOMEM.
 */
int bh_plan_make(const struct bh_world *world, struct bh_change *change,
	const struct bh_object *object, const struct bh_switch *switches, size_t n_switches,
	uint32_t *next_transient, struct bh_plan **ret_plan, struct bh_why *why);
void bh_plan_free(struct bh_plan *plan);

/* Will this program number mean something once the change is in force? */
bool bh_plan_knows_program(
	const struct bh_world *world, const struct bh_change *change, uint32_t number);

/* Will this exact address have an entry? */
bool bh_plan_knows_address(const struct bh_world *world, const struct bh_change *change,
	uint8_t family, const void *ip);

/* Grows a list before one more element goes in at `n`. Returns NULL without memory. */
void *bh_list_grow(void *list, size_t n, size_t size);

#endif
