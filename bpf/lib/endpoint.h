/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef BULKHEAD_BPF_ENDPOINT_H
#define BULKHEAD_BPF_ENDPOINT_H

/* The pod behind an interface, and whether what it says of itself is true. */

#include "lib/identity.h"
#include "lib/maps.h"
#include "lib/packet.h"

static __always_inline const struct bh_endpoint *bh_endpoint_at(__u32 slot)
{
	return bpf_map_lookup_elem(&bh_endpoints, &slot);
}

/* 0: the interface is no pod's. */
static __always_inline __u32 bh_endpoint_slot(const struct bh_packet *p)
{
	const struct bh_iface *iface = bpf_map_lookup_elem(&bh_ifaces, &p->ifindex);

	return iface ? iface->slot : 0;
}

static __always_inline bool bh_endpoint_mac(const struct bh_endpoint *endpoint, const void *mac)
{
	return bh_equal6(endpoint->mac, mac);
}

static __always_inline bool bh_endpoint_owns4(
	const struct bh_endpoint *endpoint, const void *address)
{
	__be32 a = bh_load32(address);

	return (endpoint->n_addr4 > 0 && endpoint->addr4[0] == a) ||
	       (endpoint->n_addr4 > 1 && endpoint->addr4[1] == a);
}

static __always_inline bool bh_endpoint_owns6(
	const struct bh_endpoint *endpoint, const void *address)
{
	return (endpoint->n_addr6 > 0 && bh_equal16(endpoint->addr6[0], address)) ||
	       (endpoint->n_addr6 > 1 && bh_equal16(endpoint->addr6[1], address));
}

static __always_inline bool bh_endpoint_owns(
	const struct bh_endpoint *endpoint, __u8 family, const void *address)
{
	return family == 4 ? bh_endpoint_owns4(endpoint, address)
			   : bh_endpoint_owns6(endpoint, address);
}

/*
 * The link-local address a veth gives itself (RFC 4291, modified EUI-64 of its MAC). No other is
 * believed: a pod could take the gateway's.
 */
static __always_inline bool bh_endpoint_link_local(
	const struct bh_endpoint *endpoint, const __u8 *a)
{
	const __u8 *mac = endpoint->mac;
	const __u32 *words = (const __u32 *)a;

	return words[0] == bpf_htonl(0xfe800000) && !words[1] && a[8] == (mac[0] ^ 2) &&
	       a[9] == mac[1] && a[10] == mac[2] && a[11] == 0xff && a[12] == 0xfe &&
	       a[13] == mac[3] && a[14] == mac[4] && a[15] == mac[5];
}

static __always_inline bool bh_unspecified(const __u8 *address)
{
	const __u32 *words = (const __u32 *)address;

	return !words[0] && !words[1] && !words[2] && !words[3];
}

/* An address a pod may speak for on its link. */
static __always_inline bool bh_endpoint_on_link(
	const struct bh_endpoint *endpoint, const struct bh_packet *p, const __u8 *address)
{
	if (p->family != 6)
		return bh_endpoint_owns4(endpoint, address);
	return bh_endpoint_owns6(endpoint, address) || bh_endpoint_link_local(endpoint, address);
}

/*
 * Held, and not even its addresses are known yet: what it says of them is neither true nor false.
 * It is dropped all the same, but nobody is accused of forging it. Its MAC is known.
 */
static __always_inline bool bh_endpoint_nameless(
	const struct bh_endpoint *endpoint, const struct bh_packet *p)
{
	if (endpoint->workload != BH_WORKLOAD_HELD ||
		(p->family == 6 ? endpoint->n_addr6 : endpoint->n_addr4))
		return false;
	return !(p->flags & BH_PACKET_CLAIM_MAC) || bh_endpoint_mac(endpoint, p->claim_mac);
}

/* ARP or neighbour discovery from a pod: does it speak for itself only? */
static __always_inline bool bh_endpoint_claim(
	const struct bh_endpoint *endpoint, const struct bh_packet *p)
{
	const bool asks = p->flags & BH_PACKET_CLAIM_SOLICIT;

	if (p->flags & BH_PACKET_CLAIM_MAC && !bh_endpoint_mac(endpoint, p->claim_mac))
		return false;
	if (!bh_endpoint_on_link(endpoint, p, p->src) && !(asks && bh_unspecified(p->src)))
		return false;
	return bh_endpoint_on_link(endpoint, p, p->claim) || (asks && bh_unspecified(p->claim));
}

#endif
