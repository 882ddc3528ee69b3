/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_OWNERSHIP_H
#define BULKHEAD_DATAPLANE_OWNERSHIP_H

/*
 * What belongs to this instance, and taking it away. A link is ours because it is pinned in our
 * folder. A clsact filter has no such mark, but its program uses our maps, and those have ids: a
 * filter of another instance has the same name and handle, and other maps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "dataplane/pins.h"
#include "dataplane/why.h"

struct nl_sock;

/*
 * Removes every clsact filter in this network namespace whose program uses a map pinned in one of
 * the instance's folders, except on interfaces that `keep` answers true for (NULL: none).
 */
void bh_ownership_remove_filters(struct nl_sock *sock, const struct bh_pins *pins,
	bool (*keep)(uint32_t ifindex, void *arg), void *arg);

/* `--down`: links, filters, pins of the instance of this run directory. Returns 0 or -errno. */
int bh_ownership_down(const char *run_dir, struct bh_why *why);

#endif
