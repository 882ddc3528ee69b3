/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_FLOWKEY_H
#define BULKHEAD_DATAPLANE_FLOWKEY_H

/* The key of the flow tables: two ends, sorted by (address, port) as bytes. */

#include <stdint.h>

#include "bulkhead/abi.h"

/* An end as on the wire: 4 or 16 bytes of address, port in network order. */
struct bh_end {
	uint8_t ip[16];
	__be16 port;
};

/* Fills the key for a family (4 or 6) and returns on which side `opener` is. */
uint8_t bh_flow_key_make(uint8_t family, uint8_t protocol, const struct bh_end *opener,
	const struct bh_end *responder, union bh_flow_key *ret_key);

/* One side of a key. */
struct bh_end bh_flow_key_end(uint8_t family, const union bh_flow_key *key, uint8_t side);

#endif
