/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/compile/registry.h"

#include "controller/model/memory.h"

struct entry {
	uint32_t number;
	uint64_t used; /* age when it was last asked for */
	size_t size;
	char content[];
};

/* FNV-1a, 64 bits (G. Fowler, L. C. Noll, K.-P. Vo): the same in every process, on every machine.
 */
static uint64_t fnv1a(const void *content, size_t size)
{
	const uint8_t *bytes = content;
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3;
	return hash;
}

uint32_t bh_registry_number(struct bh_registry *registry, const void *content, size_t size)
{
	struct entry *entry = bh_table_get(&registry->contents, content, size);

	if (entry) {
		entry->used = registry->age;
		return entry->number;
	}
	uint64_t hash = fnv1a(content, size), span = (uint64_t)registry->high - registry->low + 1;

	entry = bh_xcalloc(1, sizeof(*entry) + size);
	entry->used = registry->age;
	entry->size = size;
	if (size)
		memcpy(entry->content, content, size);
	entry->number = registry->low + (uint32_t)((hash ^ hash >> 32) % span);
	while (bh_table_get(&registry->numbers, &entry->number, sizeof(entry->number)))
		entry->number = entry->number == registry->high ? registry->low : entry->number + 1;
	bh_table_put(&registry->contents, entry->content, size, entry);
	bh_table_put(&registry->numbers, &entry->number, sizeof(entry->number), entry);
	return entry->number;
}

void bh_registry_turn(struct bh_registry *registry)
{
	struct entry **old = NULL, *entry;
	size_t n = 0, capacity = 0;

	registry->age++;
	if (registry->age % BH_REGISTRY_AGE)
		return;
	for (size_t at = 0; (entry = bh_table_next(&registry->contents, &at));) {
		if (registry->age - entry->used <= BH_REGISTRY_AGE)
			continue;
		bh_xgrow(old, n, capacity);
		old[n++] = entry;
	}
	for (size_t i = 0; i < n; i++) {
		bh_table_remove(&registry->contents, old[i]->content, old[i]->size);
		bh_table_remove(&registry->numbers, &old[i]->number, sizeof(old[i]->number));
		free(old[i]);
	}
	free(old);
}

void bh_registry_clear(struct bh_registry *registry)
{
	struct entry *entry;

	for (size_t at = 0; (entry = bh_table_next(&registry->contents, &at));)
		free(entry);
	bh_table_clear(&registry->contents);
	bh_table_clear(&registry->numbers);
}
