/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* A cell: 8 bytes that hold the hash (0 = free cell), the key, the value. */
#define KEY_OFFSET sizeof(uint64_t)
#define CAPACITY_MIN 16

static uint64_t seed;

static uint64_t mix(uint64_t a, uint64_t b)
{
	__uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_of(const void *key, size_t size)
{
	const uint8_t *at = key;
	uint64_t hash = seed ^ size;

	for (; size > 0;) {
		size_t n = size < 8 ? size : 8;
		uint64_t word = 0;

		memcpy(&word, at, n);
		hash = mix(hash ^ word, seed + n);
		at += n;
		size -= n;
	}
	return hash | 1; /* never that of a free cell; the position comes from the high bits */
}

static uint8_t *cell_at(const struct bh_table *table, size_t i)
{
	return table->cells + (i & (table->capacity - 1)) * table->stride;
}

static uint64_t cell_hash(const uint8_t *cell)
{
	uint64_t hash;

	memcpy(&hash, cell, sizeof(hash));
	return hash;
}

static size_t home_of(uint64_t hash)
{
	return (size_t)(hash >> 20);
}

void bh_table_init(struct bh_table *table, size_t key_size, size_t value_size)
{
	while (!seed) {
		if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
			seed = (uintptr_t)table;
	}
	*table = (struct bh_table){
		.key_size = key_size,
		.value_size = value_size,
		.value_offset = (KEY_OFFSET + key_size + 7) & ~(size_t)7,
	};
	table->stride = (table->value_offset + value_size + 7) & ~(size_t)7;
}

void bh_table_clear(struct bh_table *table)
{
	free(table->cells);
	table->cells = NULL;
	table->n = 0;
	table->capacity = 0;
}

/* The cell of `key`, or the free one where it belongs. */
static uint8_t *find(const struct bh_table *table, const void *key, uint64_t hash)
{
	for (size_t i = home_of(hash);; i++) {
		uint8_t *cell = cell_at(table, i);
		uint64_t other = cell_hash(cell);

		if (!other || (other == hash && !memcmp(cell + KEY_OFFSET, key, table->key_size)))
			return cell;
	}
}

static bool grow(struct bh_table *table)
{
	struct bh_table larger = *table;

	larger.capacity = table->capacity ? table->capacity * 2 : CAPACITY_MIN;
	larger.cells = calloc(larger.capacity, larger.stride);
	if (!larger.cells)
		return false;
	for (size_t i = 0; i < table->capacity; i++) {
		const uint8_t *cell = cell_at(table, i);

		if (cell_hash(cell))
			memcpy(find(&larger, cell + KEY_OFFSET, cell_hash(cell)), cell,
				table->stride);
	}
	free(table->cells);
	*table = larger;
	return true;
}

void *bh_table_get(const struct bh_table *table, const void *key)
{
	uint8_t *cell;

	if (!table->n)
		return NULL;
	cell = find(table, key, hash_of(key, table->key_size));
	return cell_hash(cell) ? cell + table->value_offset : NULL;
}

void *bh_table_put(struct bh_table *table, const void *key, bool *ret_new)
{
	uint64_t hash = hash_of(key, table->key_size);
	uint8_t *cell;

	/* At most two thirds full: probes stay short. */
	if (table->n * 3 >= table->capacity * 2 && !grow(table))
		return NULL;
	cell = find(table, key, hash);
	if (ret_new)
		*ret_new = !cell_hash(cell);
	if (!cell_hash(cell)) {
		memcpy(cell, &hash, sizeof(hash));
		memcpy(cell + KEY_OFFSET, key, table->key_size);
		memset(cell + table->value_offset, 0, table->value_size);
		table->n++;
	}
	return cell + table->value_offset;
}

bool bh_table_remove(struct bh_table *table, const void *key)
{
	size_t mask = table->capacity - 1;
	size_t hole;
	uint8_t *cell;

	if (!table->n)
		return false;
	cell = find(table, key, hash_of(key, table->key_size));
	if (!cell_hash(cell))
		return false;
	/* Close the gap: pull back every following cell that may live where the hole is. */
	hole = (size_t)(cell - table->cells) / table->stride;
	for (size_t i = (hole + 1) & mask; cell_hash(cell_at(table, i)); i = (i + 1) & mask) {
		size_t home = home_of(cell_hash(cell_at(table, i))) & mask;

		if (((i - home) & mask) < ((i - hole) & mask))
			continue;
		memcpy(cell_at(table, hole), cell_at(table, i), table->stride);
		hole = i;
	}
	memset(cell_at(table, hole), 0, table->stride);
	table->n--;
	return true;
}

bool bh_table_next(
	const struct bh_table *table, size_t *cursor, const void **ret_key, void **ret_value)
{
	while (*cursor < table->capacity) {
		uint8_t *cell = table->cells + (*cursor)++ * table->stride;

		if (!cell_hash(cell))
			continue;
		*ret_key = cell + KEY_OFFSET;
		*ret_value = cell + table->value_offset;
		return true;
	}
	return false;
}
