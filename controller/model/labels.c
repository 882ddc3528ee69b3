/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/model/labels.h"

#include "controller/model/memory.h"

/* Followed by the items and then by the key: every key and value in order, each with its zero. */
struct interned {
	struct bh_labels public;
	size_t references;
	size_t key_size;
	const char *key;
	struct bh_label items[];
};

const char *bh_labels_get(const struct bh_labels *labels, const char *key)
{
	size_t low = 0, high = labels->n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(key, labels->items[middle].key);

		if (!order)
			return labels->items[middle].value;
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

/* Insertion keeps the given order among equal keys, and label sets are short. */
static size_t sort_items(struct bh_label *items, size_t n)
{
	size_t kept = 0;

	for (size_t i = 1; i < n; i++) {
		struct bh_label item = items[i];
		size_t at = i;

		for (; at > 0 && strcmp(items[at - 1].key, item.key) > 0; at--)
			items[at] = items[at - 1];
		items[at] = item;
	}
	for (size_t i = 0; i < n; i++) {
		if (i + 1 == n || strcmp(items[i].key, items[i + 1].key))
			items[kept++] = items[i];
	}
	return kept;
}

const struct bh_labels *bh_label_store_get(
	struct bh_label_store *store, const struct bh_labels *labels)
{
	size_t n = labels ? labels->n : 0, key_size = 0;
	struct interned *set = bh_xcalloc(1, sizeof(*set) + n * sizeof(set->items[0]));

	if (n)
		memcpy(set->items, labels->items, n * sizeof(set->items[0]));
	n = sort_items(set->items, n);
	for (size_t i = 0; i < n; i++)
		key_size += strlen(set->items[i].key) + strlen(set->items[i].value) + 2;
	char *key = bh_xcalloc(1, key_size), *at = key;

	for (size_t i = 0; i < n; i++) {
		struct bh_label *item = &set->items[i];
		const char *from[] = {item->key, item->value};

		item->key = at;
		at = stpcpy(at, from[0]) + 1;
		item->value = at;
		at = stpcpy(at, from[1]) + 1;
	}
	struct interned *known = bh_table_get(&store->sets, key, key_size);

	if (known) {
		free(key);
		free(set);
		known->references++;
		return &known->public;
	}
	set->public = (struct bh_labels){++store->last_id, n, set->items};
	set->references = 1;
	set->key_size = key_size;
	set->key = key;
	bh_table_put(&store->sets, key, key_size, set);
	return &set->public;
}

void bh_label_store_put(struct bh_label_store *store, const struct bh_labels *labels)
{
	struct interned *set = (struct interned *)labels; /* its first member */

	if (--set->references)
		return;
	bh_table_remove(&store->sets, set->key, set->key_size);
	free((char *)set->key);
	free(set);
}

size_t bh_label_store_size(const struct bh_labels *labels)
{
	const struct interned *set = (const struct interned *)labels;

	return sizeof(*set) + labels->n * sizeof(set->items[0]) + set->key_size;
}

void bh_label_store_clear(struct bh_label_store *store)
{
	bh_table_clear(&store->sets);
}
