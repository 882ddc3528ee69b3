/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_HISTORY_SCHEMA_H
#define BULKHEAD_HISTORY_SCHEMA_H

struct bh_store;

#define BH_SCHEMA_VERSION 3

/*
 * Makes the tables of `version` in a database that has those of that version or an older one, or
 * none. Returns 0, -EPROTO if they are newer than this program, or another -errno.
 */
int bh_schema_make(struct bh_store *store, unsigned int version);

#endif
