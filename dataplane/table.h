/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_TABLE_H
#define BULKHEAD_DATAPLANE_TABLE_H

/*
 * A hash table of fixed-size keys and values, compared and copied as bytes. Open addressing in one
 * block of memory: a hundred thousand addresses cost a few megabytes and no pointer chasing. Hashes
 * are seeded per process, because the keys come from somebody else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bh_table {
	size_t key_size;
	size_t value_size;
	size_t value_offset;
	size_t stride;
	size_t n;
	size_t capacity; /* a power of two, or 0 before the first key */
	uint8_t *cells;
};

/* An empty table; allocates nothing. Values are aligned to 8 bytes. */
void bh_table_init(struct bh_table *table, size_t key_size, size_t value_size);

/* Frees the memory; what values point to is the caller's. The table is empty and usable again. */
void bh_table_clear(struct bh_table *table);

/* The value of `key`, or NULL. Valid until the next put or remove. */
void *bh_table_get(const struct bh_table *table, const void *key);

/* The value of `key`, zeroed if the key is new (*ret_new, may be NULL); NULL without memory. */
void *bh_table_put(struct bh_table *table, const void *key, bool *ret_new);

/* True if `key` was there. */
bool bh_table_remove(struct bh_table *table, const void *key);

/*
 * Walks the table: start with *cursor = 0, until it returns false. The table may not change
 * meanwhile, the values may.
 */
bool bh_table_next(
	const struct bh_table *table, size_t *cursor, const void **ret_key, void **ret_value);

#endif
