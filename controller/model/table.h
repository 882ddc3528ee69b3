/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_MODEL_TABLE_H
#define BULKHEAD_MODEL_TABLE_H

/*
 * A hash table from bytes to pointers, open addressing. Keys are borrowed: they usually live in the
 * value. All zero is an empty table. Hashing is keyed per process (SipHash-1-3, J.-P. Aumasson and
 * D. J. Bernstein), so that whoever names pods and labels cannot choose who shares a bucket.
 */

#include <stddef.h>
#include <stdint.h>

struct bh_table_slot;

struct bh_table {
	size_t n;
	size_t capacity; /* a power of two, or 0 */
	struct bh_table_slot *slots;
};

/* The value of the key, or NULL. */
void *bh_table_get(const struct bh_table *table, const void *key, size_t size);

/* Sets it, and uses this `key` pointer from here on. Returns the value before, or NULL. `value` is
 * not NULL. */
void *bh_table_put(struct bh_table *table, const void *key, size_t size, void *value);

/* Takes the key out. Returns its value, or NULL. */
void *bh_table_remove(struct bh_table *table, const void *key, size_t size);

/* The next value in no order, NULL at the end. `*position` begins at 0; the table must not change.
 */
void *bh_table_next(const struct bh_table *table, size_t *position);

/* `to`, which is empty, gets the same keys and values. They are borrowed by both. */
void bh_table_copy(struct bh_table *to, const struct bh_table *from);

/* Frees the slots (not the values) and leaves an empty table. */
void bh_table_clear(struct bh_table *table);

#endif
