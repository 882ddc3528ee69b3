/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_LOCATE_H
#define BULKHEAD_DATAPLANE_LOCATE_H

/*
 * Which of the interfaces found is a pod's. All its addresses must be on one. A pod may not take
 * another's place by giving itself the other's address: who is in force stays, an interface that
 * is another pod's does not count, and the address thief is named.
 */

#include "dataplane/endpoints.h"

struct bh_location {
	bool found;
	bool conflict; /* it is on several interfaces, or on somebody else's */
	struct bh_place place;
	char detail[256]; /* what is missing or wrong, or "" */
};

/* By the last scan. */
void bh_locate(
	struct bh_endpoints *endpoints, const struct bh_pod *pod, struct bh_location *ret_location);

/* Searches the network namespaces for pods that no scan has found, at most every few seconds. */
void bh_locate_missing(struct bh_endpoints *endpoints);

#endif
