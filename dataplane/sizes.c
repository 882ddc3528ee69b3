/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/sizes.h"

#include <unistd.h>

#define GIB (1024ull * 1024 * 1024)

/* What packets fill; all powers of two, which the ring must be. */
static uint32_t entries_at_hand(enum bh_map map)
{
	switch (map) {
#define BH_MAP_FILLED_BY_PACKETS(name, entries, flags) \
	case BH_MAP_##name:                            \
		return (flags)&BH_MAP_BY_MEMORY ? (entries) : 0;
		BH_MAPS(BH_MAP_FILLED_BY_PACKETS)
#undef BH_MAP_FILLED_BY_PACKETS
	default:
		return 0;
	}
}

uint32_t bh_sizes_default(enum bh_map map, uint64_t memory)
{
	uint32_t entries = entries_at_hand(map);

	if (!memory)
		return entries;
	if (memory < GIB)
		return entries / 4;
	/* A node of 2 or 16 GiB has somewhat less than that left of it. */
	if (memory < 2 * GIB - GIB / 8)
		return entries / 2;
	return memory < 16 * GIB - GIB ? entries : entries * 2;
}

uint64_t bh_sizes_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (uint64_t)pages * (uint64_t)size : 0;
}
