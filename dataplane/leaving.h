/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_LEAVING_H
#define BULKHEAD_DATAPLANE_LEAVING_H

/*
 * Devices that leave the node: every interface of this namespace that is neither the loopback, nor
 * a pod's, nor a bridge of pods (who passes that is judged at the pods' own veths). Which of them a
 * packet to a service leaves by is the routing's affair, and an overlay's device is one like any
 * other; so all of them carry the programs, as long as there is something to ask there:
 *
 *   a program in force, or about to be, lets a service through that has to be judged again where
 * its address is rewritten (BH_RULE_DEFER): attached before such a program is switched to, detached
 *   after the last one has gone;
 *
 *   or an uplink has the XDP program, which meets answers of rewritten flows and knows these only
 * by what has been seen leaving.
 */

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "dataplane/attach.h"
#include "dataplane/problems.h"
#include "dataplane/tables.h"

struct nl_sock;

struct bh_leaving {
	struct bh_tables *tables;
	struct bh_attach *attach;
	struct bh_problems *problems;
	struct nl_sock *sock;
	bool uplink;      /* an uplink has the XDP program */
	bool wanted;      /* the programs are on every device */
	uint64_t version; /* moves when a device comes or goes */
};

/*
 * Finds out from what is in force whether the devices are to have the programs, and gives or takes
 * them. The other modules must outlive it. Returns 0 or -errno.
 */
int bh_leaving_open(struct bh_leaving *leaving, struct bh_tables *tables, struct bh_attach *attach,
	struct bh_problems *problems, bool uplink, struct bh_why *why);
void bh_leaving_close(struct bh_leaving *leaving);

/*
 * Before `change` is put in force: what it needs is attached everywhere. Returns 0, or -errno with
 * a sentence; then it must not be put in force, because what it defers would never be judged.
 */
int bh_leaving_prepare(
	struct bh_leaving *leaving, const struct bh_change *change, struct bh_why *why);

/* After a change: is it still needed? */
void bh_leaving_settle(struct bh_leaving *leaving);

/* Looks which devices there are: one dump of this namespace's links. */
void bh_leaving_look(struct bh_leaving *leaving);

/*
 * Names filters of others that may wipe the mark by which a masqueraded packet's sender is known
 * there (`wipes-marks`): those behind ours on pods' interfaces, and on bridges of pods. One dump of
 * filters for each.
 */
void bh_leaving_check(struct bh_leaving *leaving);

#endif
