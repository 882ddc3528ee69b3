/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_COMPILE_TIERS_H
#define BULKHEAD_COMPILE_TIERS_H

/*
 * Which rules a connection meets on its way through the tiers, asked of the policies as they were
 * read. A compiled program knows only how it ends; who handed it on (Pass) is for people.
 */

#include "controller/compile/netpol.h"

/* A connection as one pod sees it. */
struct bh_meeting {
	enum bh_direction direction;
	const struct bh_pod *own;
	struct bh_ip peer;
	const struct bh_pod *peer_pod; /* that has the address; NULL */
	const struct bh_labels *peer_namespace_labels;
	const struct bh_labels *node_labels; /* of the node that has the address; NULL */
	uint8_t protocol;
	uint16_t port;
	bool has_ports;
};

/* The first rule of the policies' rules of that tier, in order, that is about it; or NULL. */
const struct bh_netpol_rule *bh_tier_first(const struct bh_netpol *const *policies,
	size_t n_policies, enum bh_tier tier, const struct bh_meeting *meeting);

#endif
