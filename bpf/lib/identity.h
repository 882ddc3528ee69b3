/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_IDENTITY_H
#define BULKHEAD_BPF_IDENTITY_H

/*
 * Address → who it is. Exact addresses first; the trie answers for everything else, and is not
 * asked while no policy names an address block.
 */

#include "lib/maps.h"
#include "lib/packet.h"

static __always_inline const struct bh_identity *bh_identity4(
	const struct bh_config *config, const void *address)
{
	__be32 exact = bh_load32(address);
	struct bh_prefix4 prefix = {.bits = 32, .addr = exact};
	const struct bh_identity *found = bpf_map_lookup_elem(&bh_addr4, &exact);

	if (!found && config->flags & BH_CONFIG_TRIE4)
		found = bpf_map_lookup_elem(&bh_trie4, &prefix);
	return found;
}

static __always_inline const struct bh_identity *bh_identity6(
	const struct bh_config *config, const void *address)
{
	const struct bh_identity *found;
	struct bh_prefix6 prefix = {.bits = 128};

	memcpy(prefix.addr, address, 16);
	found = bpf_map_lookup_elem(&bh_addr6, prefix.addr);
	if (!found && config->flags & BH_CONFIG_TRIE6)
		found = bpf_map_lookup_elem(&bh_trie6, &prefix);
	return found;
}

/* Only an exact address is a pod's; NULL: nobody's. */
static __always_inline const struct bh_identity *bh_identity_exact(__u8 family, const void *address)
{
	struct bh_address6 exact6;
	__be32 exact4;

	if (family == 4) {
		exact4 = bh_load32(address);
		return bpf_map_lookup_elem(&bh_addr4, &exact4);
	}
	memcpy(exact6.addr, address, 16);
	return bpf_map_lookup_elem(&bh_addr6, &exact6);
}

/* NULL: BH_CLASS_NONE, BH_WORKLOAD_WORLD. `address`: 16 bytes that can be read. */
static __always_inline const struct bh_identity *bh_identity_find(
	const struct bh_config *config, __u8 family, const void *address)
{
	return family == 4 ? bh_identity4(config, address) : bh_identity6(config, address);
}

#endif
