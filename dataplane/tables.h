/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_TABLES_H
#define BULKHEAD_DATAPLANE_TABLES_H

/*
 * Writing a plan into the kernel's maps, in the order that keeps every packet in one world:
 *
 *   1  programs nobody has yet are written, unseen
 *   2  programs in force learn the transient classes; addresses move there   (only if both change)
 *   3  endpoints are switched: one store each, then their epoch
 *   4  addresses move to their classes, and transient classes are forgotten; then, if any
 *      address has another class or workload, every epoch moves
 *      … here the caller removes endpoints and attaches new ones …
 *   5  programs that nobody names any more go
 *
 * Between steps that could be told apart by one packet (it has read the program before a step and
 * reads the address after it) a grace period passes. A write that fails half-way leaves the tables
 * `dirty`: what is in force is then read back, and only a full update is taken. A flag in the
 * pinned configuration says that an update is under way: the one after an update that failed or
 * died with the process moves every epoch, because what it finds written may not have moved them.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/object.h"
#include "dataplane/plan.h"
#include "dataplane/world.h"

struct bh_tables {
	struct bh_object *object;
	struct bh_world world;
	struct bh_table local4; /* addresses of attached endpoints → slot */
	struct bh_table local6;
	uint32_t next_transient;
	bool dirty;
};

/* Reads back what is in force; `object` must outlive the tables. Returns 0 or -errno. */
int bh_tables_open(struct bh_tables *tables, struct bh_object *object, struct bh_why *why);
void bh_tables_close(struct bh_tables *tables);

/* After a failed write: reads back, so that the next full update is compared with the truth. */
int bh_tables_recover(struct bh_tables *tables, struct bh_why *why);

int bh_tables_plan(struct bh_tables *tables, struct bh_change *change,
	const struct bh_switch *switches, size_t n_switches, struct bh_plan **ret_plan,
	struct bh_why *why);

/* Steps 1 to 4, and 5. After an error the tables are dirty. */
int bh_tables_apply(struct bh_tables *tables, struct bh_plan *plan, struct bh_why *why);
int bh_tables_finish(struct bh_tables *tables, struct bh_plan *plan, struct bh_why *why);

/*
 * An address of an endpoint in force (`slot`), or of none any more (0): its entry says so at once,
 * and in every later write. Returns 0 or -errno.
 */
int bh_tables_set_local(struct bh_tables *tables, uint8_t family, const void *ip, uint32_t slot);

/*
 * Waits until no packet is under way that has read what was there before: an RCU grace period, some
 * milliseconds.
 */
void bh_tables_grace(void);

#endif
