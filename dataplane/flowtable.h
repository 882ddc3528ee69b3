/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_FLOWTABLE_H
#define BULKHEAD_DATAPLANE_FLOWTABLE_H

/*
 * The flow tables as the programs keep them (include/bulkhead/abi.h), read where they are. What is
 * to be changed in them is asked of a program, which has the locks: bh_object_flow_op().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bulkhead/abi.h"

struct bh_flow_table {
	uint8_t family; /* 4 or 6 */
	uint32_t n_sets;
	const struct bh_flow_set *sets; /* NULL: not open */
	int ways_fd;                    /* not its own */
	uint32_t window;     /* the first set of the part of the entries that is mapped */
	const uint8_t *ways; /* … and where; NULL: none is */
};

/*
 * Opens the tables of a family: `ways_fd` and `sets_fd` are the maps of its entries and of its
 * sets, n_sets elements each. The sets are mapped for good, of the entries as much as is being
 * read: they are many megabytes, which would count as this process's. Returns 0 or -errno.
 */
int bh_flow_table_open(
	struct bh_flow_table *ret_table, uint8_t family, int ways_fd, int sets_fd, uint32_t n_sets);
void bh_flow_table_close(struct bh_flow_table *table);

/* Entries, free ones included: they are numbered from 0. */
static inline uint32_t bh_flow_table_size(const struct bh_flow_table *table)
{
	return table->n_sets * BH_FLOW_WAYS;
}

/* Is there nothing in the set? */
bool bh_flow_table_is_empty(const struct bh_flow_table *table, uint32_t set);

/*
 * Copies an entry. Returns false where there is none, it became another flow's meanwhile, or it
 * cannot be mapped now. *ret_settled: both ends have spoken in it.
 */
bool bh_flow_table_read(struct bh_flow_table *table, uint32_t at, union bh_flow_key *ret_key,
	struct bh_flow *ret_flow, bool *ret_settled);

/* Nothing is read for a while: no entries stay mapped. */
void bh_flow_table_rest(struct bh_flow_table *table);

#endif
