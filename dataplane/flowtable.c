/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/flowtable.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t entry_size(uint8_t family)
{
	return family == 4 ? sizeof(struct bh_flow4) : sizeof(struct bh_flow6);
}

static size_t sets_bytes(uint32_t n_sets)
{
	return (size_t)n_sets * sizeof(struct bh_flow_set);
}

/* Sets whose entries are mapped at once: whole pages of either family. */
#define WINDOW 1024u

static size_t window_bytes(const struct bh_flow_table *table, uint32_t window)
{
	uint32_t left = table->n_sets - window;

	return (size_t)(left < WINDOW ? left : WINDOW) * BH_FLOW_WAYS * entry_size(table->family);
}

int bh_flow_table_open(
	struct bh_flow_table *ret_table, uint8_t family, int ways_fd, int sets_fd, uint32_t n_sets)
{
	const void *sets = mmap(NULL, sets_bytes(n_sets), PROT_READ, MAP_SHARED, sets_fd, 0);

	if (sets == MAP_FAILED)
		return -errno;
	*ret_table = (struct bh_flow_table){
		.family = family, .n_sets = n_sets, .sets = sets, .ways_fd = ways_fd};
	return 0;
}

void bh_flow_table_close(struct bh_flow_table *table)
{
	if (!table->sets)
		return;
	bh_flow_table_rest(table);
	munmap((void *)table->sets, sets_bytes(table->n_sets));
	*table = (struct bh_flow_table){};
}

void bh_flow_table_rest(struct bh_flow_table *table)
{
	if (table->ways)
		munmap((void *)table->ways, window_bytes(table, table->window));
	table->ways = NULL;
}

/* An entry, mapped; NULL if that cannot be. */
static const uint8_t *entry_at(struct bh_flow_table *table, uint32_t at)
{
	const size_t size = entry_size(table->family);
	const uint32_t window = at / BH_FLOW_WAYS / WINDOW * WINDOW;
	void *ways;

	if (!table->ways || table->window != window) {
		bh_flow_table_rest(table);
		ways = mmap(NULL, window_bytes(table, window), PROT_READ, MAP_SHARED,
			table->ways_fd, (off_t)(window * BH_FLOW_WAYS * size));
		if (ways == MAP_FAILED)
			return NULL;
		table->ways = ways;
		table->window = window;
	}
	return table->ways + (at - window * BH_FLOW_WAYS) * size;
}

bool bh_flow_table_is_empty(const struct bh_flow_table *table, uint32_t set)
{
	uint64_t tags[2];

	_Static_assert(sizeof(tags) == sizeof(table->sets[0].tag), "all of them");
	memcpy(tags, table->sets[set].tag, sizeof(tags));
	return !tags[0] && !tags[1];
}

/* What a program may be writing now. */
static void copy(void *target, const volatile uint64_t *source, size_t size)
{
	uint64_t *words = target;

	for (size_t i = 0; i < size / sizeof(*words); i++)
		words[i] = source[i];
}

bool bh_flow_table_read(struct bh_flow_table *table, uint32_t at, union bh_flow_key *ret_key,
	struct bh_flow *ret_flow, bool *ret_settled)
{
	const struct bh_flow_set *set = &table->sets[at / BH_FLOW_WAYS];
	const size_t key_size = table->family == 4 ? sizeof(ret_key->v4) : sizeof(ret_key->v6);
	const size_t flow_at = table->family == 4 ? offsetof(struct bh_flow4, flow)
						  : offsetof(struct bh_flow6, flow);
	union bh_flow_key again;
	const uint8_t *entry;

	if (!__atomic_load_n(&set->tag[at % BH_FLOW_WAYS], __ATOMIC_ACQUIRE))
		return false;
	entry = entry_at(table, at);
	if (!entry)
		return false;
	memset(ret_key, 0, sizeof(*ret_key));
	copy(ret_key, (const volatile uint64_t *)entry, key_size);
	*ret_settled = __atomic_load_n(&set->settled, __ATOMIC_ACQUIRE) >> at % BH_FLOW_WAYS & 1;
	copy(ret_flow, (const volatile uint64_t *)(entry + flow_at), sizeof(*ret_flow));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	copy(&again, (const volatile uint64_t *)entry, key_size);
	return (table->family == 4 ? ret_key->v4.used : ret_key->v6.used) &&
	       !memcmp(ret_key, &again, key_size);
}
