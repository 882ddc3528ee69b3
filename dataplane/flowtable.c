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

static size_t ways_bytes(uint8_t family, uint32_t n_sets)
{
	return (size_t)n_sets * BH_FLOW_WAYS * entry_size(family);
}

int bh_flow_table_open(
	struct bh_flow_table *ret_table, uint8_t family, int ways_fd, int sets_fd, uint32_t n_sets)
{
	const void *ways, *sets;
	int err;

	sets = mmap(NULL, sets_bytes(n_sets), PROT_READ, MAP_SHARED, sets_fd, 0);
	if (sets == MAP_FAILED)
		return -errno;
	ways = mmap(NULL, ways_bytes(family, n_sets), PROT_READ, MAP_SHARED, ways_fd, 0);
	if (ways == MAP_FAILED) {
		err = -errno;
		munmap((void *)sets, sets_bytes(n_sets));
		return err;
	}
	*ret_table = (struct bh_flow_table){
		.family = family, .n_sets = n_sets, .sets = sets, .ways = ways};
	return 0;
}

void bh_flow_table_close(struct bh_flow_table *table)
{
	if (!table->sets)
		return;
	munmap((void *)table->sets, sets_bytes(table->n_sets));
	munmap((void *)table->ways, ways_bytes(table->family, table->n_sets));
	*table = (struct bh_flow_table){};
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

bool bh_flow_table_read(const struct bh_flow_table *table, uint32_t at, union bh_flow_key *ret_key,
	struct bh_flow *ret_flow, bool *ret_settled)
{
	const struct bh_flow_set *set = &table->sets[at / BH_FLOW_WAYS];
	const uint8_t *entry = table->ways + at * entry_size(table->family);
	const size_t key_size = table->family == 4 ? sizeof(ret_key->v4) : sizeof(ret_key->v6);
	const size_t flow_at = table->family == 4 ? offsetof(struct bh_flow4, flow)
						  : offsetof(struct bh_flow6, flow);
	union bh_flow_key again;

	if (!__atomic_load_n(&set->tag[at % BH_FLOW_WAYS], __ATOMIC_ACQUIRE))
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
