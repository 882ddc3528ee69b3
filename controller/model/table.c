/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/table.h"

#include <stdbool.h>
#include <sys/auxv.h>

#include "controller/model/memory.h"

struct bh_table_slot {
	uint64_t hash;
	const void *key;
	size_t size;
	void *value; /* NULL: free */
};

#define ROTATE(x, by) (((x) << (by)) | ((x) >> (64 - (by))))

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = ROTATE(v[1], 13) ^ v[0];
	v[3] = ROTATE(v[3], 16) ^ v[2];
	v[0] = ROTATE(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = ROTATE(v[1], 17) ^ v[2];
	v[3] = ROTATE(v[3], 21) ^ v[0];
	v[2] = ROTATE(v[2], 32);
}

static uint64_t hash_bytes(const void *key, size_t size)
{
	static uint64_t secret[2];
	static bool seeded;

	if (!seeded) {
		/* Sixteen random bytes the kernel gives every process: no I/O, no failure. */
		const void *random = (const void *)getauxval(AT_RANDOM);

		if (random)
			memcpy(secret, random, sizeof(secret));
		seeded = true;
	}
	uint64_t v[4] = {secret[0] ^ 0x736f6d6570736575, secret[1] ^ 0x646f72616e646f6d,
		secret[0] ^ 0x6c7967656e657261, secret[1] ^ 0x7465646279746573};
	const uint8_t *at = key;
	size_t left = size;
	uint64_t word;

	for (; left >= 8; at += 8, left -= 8) {
		memcpy(&word, at, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	word = (uint64_t)size << 56;
	if (left)
		memcpy(&word, at, left);
	v[3] ^= word;
	sip_round(v);
	v[0] ^= word;
	v[2] ^= 0xff;
	sip_round(v);
	sip_round(v);
	sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* The slot that holds the key, or the free one where it would go. The table has a free slot. */
static struct bh_table_slot *probe(
	const struct bh_table *table, uint64_t hash, const void *key, size_t size)
{
	for (size_t at = hash & (table->capacity - 1);; at = (at + 1) & (table->capacity - 1)) {
		struct bh_table_slot *slot = &table->slots[at];

		if (!slot->value ||
			(slot->hash == hash && slot->size == size && !memcmp(slot->key, key, size)))
			return slot;
	}
}

static void grow(struct bh_table *table)
{
	struct bh_table old = *table;

	table->capacity = old.capacity ? old.capacity * 2 : 16;
	table->slots = bh_xcalloc(table->capacity, sizeof(*table->slots));
	for (size_t i = 0; i < old.capacity; i++) {
		const struct bh_table_slot *slot = &old.slots[i];

		if (slot->value)
			*probe(table, slot->hash, slot->key, slot->size) = *slot;
	}
	free(old.slots);
}

void *bh_table_get(const struct bh_table *table, const void *key, size_t size)
{
	return table->n ? probe(table, hash_bytes(key, size), key, size)->value : NULL;
}

void *bh_table_put(struct bh_table *table, const void *key, size_t size, void *value)
{
	uint64_t hash = hash_bytes(key, size);

	if ((table->n + 1) * 4 > table->capacity * 3)
		grow(table);
	struct bh_table_slot *slot = probe(table, hash, key, size);
	void *before = slot->value;

	*slot = (struct bh_table_slot){hash, key, size, value};
	table->n += !before;
	return before;
}

void *bh_table_remove(struct bh_table *table, const void *key, size_t size)
{
	if (!table->n)
		return NULL;
	struct bh_table_slot *slot = probe(table, hash_bytes(key, size), key, size);
	void *value = slot->value;

	if (!value)
		return NULL;
	/* Close the hole: move back what was pushed past it, so that no probe ends early. */
	size_t mask = table->capacity - 1, hole = (size_t)(slot - table->slots);

	for (size_t at = (hole + 1) & mask; table->slots[at].value; at = (at + 1) & mask) {
		size_t home = table->slots[at].hash & mask;

		if (((at - home) & mask) >= ((at - hole) & mask)) {
			table->slots[hole] = table->slots[at];
			hole = at;
		}
	}
	table->slots[hole].value = NULL;
	table->n--;
	return value;
}

void *bh_table_next(const struct bh_table *table, size_t *position)
{
	while (*position < table->capacity) {
		void *value = table->slots[(*position)++].value;

		if (value)
			return value;
	}
	return NULL;
}

void bh_table_copy(struct bh_table *to, const struct bh_table *from)
{
	*to = *from;
	if (!from->capacity)
		return;
	to->slots = bh_xreallocarray(NULL, from->capacity, sizeof(*to->slots));
	memcpy(to->slots, from->slots, from->capacity * sizeof(*to->slots));
}

void bh_table_clear(struct bh_table *table)
{
	free(table->slots);
	*table = (struct bh_table){0};
}
