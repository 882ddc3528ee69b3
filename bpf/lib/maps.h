/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_MAPS_H
#define BULKHEAD_BPF_MAPS_H

/*
 * Every map of a node. The dataplane may resize those marked so in bulkhead/maps.h before it loads
 * the programs, and pins them all; nothing here pins itself (see BH_ABI for why).
 */

#include "lib/kernel.h"

#define BH_MAP_DEF(name_, type_, key_, value_, entries_, flags_) \
	struct {                                                 \
		__uint(type, type_);                             \
		__uint(max_entries, entries_);                   \
		__uint(map_flags, flags_);                       \
		__type(key, key_);                               \
		__type(value, value_);                           \
	} name_ SEC(".maps")

struct bh_address6 {
	__u8 addr[16];
};

BH_MAP_DEF(bh_config, BPF_MAP_TYPE_ARRAY, __u32, struct bh_config, 1, BPF_F_MMAPABLE);
BH_MAP_DEF(bh_endpoints, BPF_MAP_TYPE_ARRAY, __u32, struct bh_endpoint, BH_ENDPOINTS_MAX,
	BPF_F_MMAPABLE);
BH_MAP_DEF(bh_ifaces, BPF_MAP_TYPE_HASH, __u32, struct bh_iface, BH_ENDPOINTS_MAX, 0);

/* Written by the dataplane only, so nothing is lost by allocating elements when they come. */
BH_MAP_DEF(bh_addr4, BPF_MAP_TYPE_HASH, __be32, struct bh_identity, 131072, BPF_F_NO_PREALLOC);
BH_MAP_DEF(bh_addr6, BPF_MAP_TYPE_HASH, struct bh_address6, struct bh_identity, 131072,
	BPF_F_NO_PREALLOC);
BH_MAP_DEF(bh_trie4, BPF_MAP_TYPE_LPM_TRIE, struct bh_prefix4, struct bh_identity, 16384,
	BPF_F_NO_PREALLOC);
BH_MAP_DEF(bh_trie6, BPF_MAP_TYPE_LPM_TRIE, struct bh_prefix6, struct bh_identity, 16384,
	BPF_F_NO_PREALLOC);
BH_MAP_DEF(bh_policies, BPF_MAP_TYPE_HASH, struct bh_policy_key, struct bh_policy, 131072,
	BPF_F_NO_PREALLOC);
BH_MAP_DEF(bh_spills, BPF_MAP_TYPE_LPM_TRIE, struct bh_spill_key, struct bh_spill, 65536,
	BPF_F_NO_PREALLOC);

/* The dataplane reads them where they are. */
BH_MAP_DEF(bh_flows4, BPF_MAP_TYPE_ARRAY, __u32, struct bh_flow_ways4, 8192, BPF_F_MMAPABLE);
BH_MAP_DEF(bh_flows6, BPF_MAP_TYPE_ARRAY, __u32, struct bh_flow_ways6, 2048, BPF_F_MMAPABLE);
BH_MAP_DEF(bh_sets4, BPF_MAP_TYPE_ARRAY, __u32, struct bh_flow_set, 8192, BPF_F_MMAPABLE);
BH_MAP_DEF(bh_sets6, BPF_MAP_TYPE_ARRAY, __u32, struct bh_flow_set, 2048, BPF_F_MMAPABLE);

/* By themselves: what has a lock in it cannot be mapped. Each its own cache line. */
struct bh_flow_lock {
	struct bpf_spin_lock lock;
	__u8 pad[60];
};
BH_MAP_DEF(bh_locks, BPF_MAP_TYPE_ARRAY, __u32, struct bh_flow_lock, BH_FLOW_LOCKS, 0);
BH_MAP_DEF(
	bh_fragments, BPF_MAP_TYPE_LRU_HASH, struct bh_fragment_key, struct bh_fragment, 4096, 0);

BH_MAP_DEF(bh_edge_index, BPF_MAP_TYPE_HASH, struct bh_edge_key, struct bh_edge_ref, 8192, 0);
BH_MAP_DEF(bh_edges, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct bh_edge, 8192, 0);

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 8192);
	__uint(value_size, sizeof(__u32));
} bh_edge_free SEC(".maps");

BH_MAP_DEF(bh_counters, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, __u64, BH_COUNTERS, 0);
BH_MAP_DEF(bh_buckets, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct bh_bucket, BH_BUCKETS, 0);
BH_MAP_DEF(bh_clock, BPF_MAP_TYPE_ARRAY, __u32, struct bh_clock, 1, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4 * 1024 * 1024);
} bh_events SEC(".maps");

static __always_inline const struct bh_config *bh_config_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&bh_config, &zero);
}

static __always_inline void bh_count(__u32 counter, __u64 n)
{
	__u64 *value = bpf_map_lookup_elem(&bh_counters, &counter);

	if (value)
		*value += n;
}

#endif
