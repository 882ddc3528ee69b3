/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_HOLD_H
#define BULKHEAD_DATAPLANE_HOLD_H

/*
 * No gap at pod start. A veth that comes to this node with its other end in another namespace is
 * most likely a pod's, and the orchestrator tells of it later than it can speak. While the node's
 * mode is enforce it is held: an endpoint of its own, isolated in both directions and without a
 * rule, so that it has what every pod gets without a policy that allows anything (ARP, neighbour
 * discovery, DHCP, the node itself) and nothing else. The pod's own endpoint takes its place with
 * one write. In the other modes nothing is held, since nothing is dropped in them.
 *
 * Who is held may speak for the addresses its interface had in the first second: they are the CNI
 * plugin's, because no container of the pod runs before the plugin is done. Addresses of the node
 * and of known pods are never among them.
 *
 * Not held: what was there before holding began for the first time (and, when the mode becomes
 * enforce, what has been there for longer than the timeout), what the operator excludes by name,
 * the uplink, and what a default route leads out of, whenever it comes to be one of these. An
 * exemption lasts as long as the interface, across restarts of this process.
 *
 * After the timeout an interface stays held and is named as a problem: it is nobody's pod, or the
 * orchestrator's word does not arrive.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/endpoints.h"

#define BH_HOLD_EXCLUDES_MAX 16
#define BH_HELD_MAX 512 /* more are named as a problem and stay as they are */

struct bh_hold_options {
	bool on;
	uint64_t timeout_ms;
	const char *excludes[BH_HOLD_EXCLUDES_MAX]; /* fnmatch, on the interface's or its bridge's
						       name */
	size_t n_excludes;
	const char *uplink; /* or NULL */
};

/* An interface that is nobody's, held or only watched (slot 0). */
struct bh_held {
	struct bh_place place;
	struct bh_peer_addresses addresses;
	uint32_t slot;
	uint64_t since_ms;
	uint64_t routes_ms; /* when it was last asked whether a default route leads out of it */
	bool overdue;
};

struct bh_hold {
	const struct bh_hold_options *options;
	struct bh_endpoints *endpoints;
	struct bh_held *list;
	size_t n;
	struct bh_table exempt;  /* ifindex → 1 */
	uint64_t total;          /* held since the start */
	uint64_t version;        /* moves when the list changes */
	uint64_t seen_endpoints; /* versions at the last look */
	uint32_t seen_flags;
};

/* `options` and `endpoints` must outlive it. Reads back what an earlier process held. 0 or -errno.
 */
int bh_hold_open(struct bh_hold *hold, const struct bh_hold_options *options,
	struct bh_endpoints *endpoints, struct bh_why *why);
void bh_hold_close(struct bh_hold *hold);

/*
 * Looks who is there, and holds, exempts, lets go. One dump of this namespace's links; the other
 * namespaces are only asked about interfaces that are new. To be called when links change.
 */
void bh_hold_look(struct bh_hold *hold);

/* Looks if pods, or the mode, have changed since the last look. */
void bh_hold_follow(struct bh_hold *hold);

/* True while somebody is held or watched, and time alone may change something. */
bool bh_hold_waiting(const struct bh_hold *hold);

#endif
