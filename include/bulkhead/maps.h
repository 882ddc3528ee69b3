/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_MAPS_H
#define BULKHEAD_MAPS_H

/*
 * The maps by name, as the BPF objects define them and the dataplane pins them.
 *
 * BH_MAP(name, entries, flags)
 *   entries  default size; sizes marked BH_MAP_SIZED are configuration
 *   BH_MAP_MMAP  the dataplane writes it through a memory mapping
 *   BH_MAP_BY_MEMORY  filled by packets and allocated whole: the default follows the node's memory,
 *                and this is what a node of 2 to 16 GiB has (dataplane/sizes.h)
 *   BH_MAP_SETS  a table of sets of BH_FLOW_WAYS entries; the map's elements are the sets
 */
#define BH_MAP_SIZED 1
#define BH_MAP_MMAP 2
#define BH_MAP_BY_MEMORY 4
#define BH_MAP_SETS 8

#define BH_MAPS(X)                                                                                   \
	X(bh_config, 1, BH_MAP_MMAP)         /* array: struct bh_config */                           \
	X(bh_ifaces, 4096, 0)                /* hash: ifindex → struct bh_iface */                 \
	X(bh_endpoints, 4096, BH_MAP_MMAP)   /* array: struct bh_endpoint */                         \
	X(bh_addr4, 131072, BH_MAP_SIZED)    /* hash: __be32 → struct bh_identity */               \
	X(bh_addr6, 131072, BH_MAP_SIZED)    /* hash: __u8[16] → struct bh_identity */             \
	X(bh_trie4, 16384, BH_MAP_SIZED)     /* lpm: struct bh_prefix4 */                            \
	X(bh_trie6, 16384, BH_MAP_SIZED)     /* lpm: struct bh_prefix6 */                            \
	X(bh_policies, 131072, BH_MAP_SIZED) /* hash: bh_policy_key → bh_policy */                 \
	X(bh_spills, 65536, BH_MAP_SIZED)    /* lpm: bh_spill_key → bh_spill */                    \
	X(bh_flows4, 131072,                                                                         \
		BH_MAP_SIZED | BH_MAP_BY_MEMORY | BH_MAP_SETS) /* flows: struct bh_flow4 */          \
	X(bh_flows6, 32768, BH_MAP_SIZED | BH_MAP_BY_MEMORY | BH_MAP_SETS) /* … struct bh_flow6 */ \
	X(bh_sets4, 8192, 0) /* array: struct bh_flow_set; as many as bh_flows4 has */               \
	X(bh_sets6, 2048, 0)                                                                         \
	X(bh_locks, BH_FLOW_LOCKS, 0)        /* array: spin locks of the sets */                     \
	X(bh_fragments, 4096, BH_MAP_SIZED)  /* lru: bh_fragment_key → bh_fragment */              \
	X(bh_edge_index, 8192, BH_MAP_SIZED) /* hash: bh_edge_key → bh_edge_ref */                 \
	X(bh_edge_free, 8192, BH_MAP_SIZED)  /* stack of free slots, filled by the dataplane */      \
	X(bh_edges, 8192, BH_MAP_SIZED)      /* per-CPU array: struct bh_edge */                     \
	X(bh_counters, 0, 0)                 /* per-CPU array: __u64[BH_COUNTERS] */                 \
	X(bh_buckets, BH_BUCKETS, 0)         /* per-CPU array: struct bh_bucket */                   \
	X(bh_clock, 1, 0)                    /* array: struct bh_clock */                            \
	X(bh_events, 4194304, BH_MAP_SIZED | BH_MAP_BY_MEMORY) /* ring buffer, bytes */

#endif
