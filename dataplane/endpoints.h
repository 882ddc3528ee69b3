/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BULKHEAD_DATAPLANE_ENDPOINTS_H
#define BULKHEAD_DATAPLANE_ENDPOINTS_H

/*
 * The pods' interfaces of this node: which the controller wants, where each is, and which slot of
 * bh_endpoints decides for it.
 *
 * An endpoint comes into force in this order: its slot is filled, the interface points to the slot,
 * its addresses say so, the programs are attached. It leaves in the opposite one. Anything that
 * a slot may not change while it is in force (addresses, MAC, workload) takes a new slot, and the
 * interface is pointed there with one write.
 *
 * After a start there are slots in force that nobody has claimed yet. They go on enforcing; the
 * first full update claims those that are still the same pod on the same interface, and only then
 * the rest goes.
 */

#include <stdbool.h>
#include <stdint.h>

#include "bulkhead.pb-c.h"
#include "dataplane/attach.h"
#include "dataplane/discover.h"
#include "dataplane/staging.h"
#include "dataplane/tables.h"

struct bh_pod {
	struct bh_wanted wanted;
	Bulkhead__Wire__EndpointState state;
	uint32_t slot;         /* 0 = not in force */
	struct bh_place place; /* while in force */
	bool hooked;           /* the programs hang there as `wanted.xdp` says */
	bool searched;         /* the namespaces have been searched for it */
	char hook[BH_HOOK_TEXT];
	char detail[256];
};

struct bh_endpoints {
	struct bh_object *object;
	struct bh_tables *tables;
	struct bh_attach *attach;
	struct bh_discovery *discovery;
	struct bh_problems *problems;
	struct bh_pod *pods; /* sorted by uid */
	size_t n_pods;
	struct bh_table want4; /* addresses of all pods */
	struct bh_table want6;
	struct bh_table claimed;       /* ifindex → slot: interfaces of pods in force */
	bool orphan[BH_ENDPOINTS_MAX]; /* slots of an earlier process */
	size_t n_orphans;
	char *slot_uid[BH_ENDPOINTS_MAX]; /* who had the slot last: events come later than changes
					   */
	uint32_t next_slot;
	uint64_t searched_ms;
	uint64_t version; /* moves with every change of a state or detail */
};

/* Finds the slots in force. The other modules must outlive this one. Returns 0 or -errno. */
int bh_endpoints_open(struct bh_endpoints *endpoints, struct bh_object *object,
	struct bh_tables *tables, struct bh_attach *attach, struct bh_discovery *discovery,
	struct bh_problems *problems, struct bh_why *why);
void bh_endpoints_close(struct bh_endpoints *endpoints);

/* The pods as they shall be after a change, with what is known of those that stay. */
struct bh_pods {
	struct bh_pod *pods;
	size_t n;
};
void bh_pods_free(struct bh_pods *next);

/* The pod with this uid in a list sorted by uid, or NULL. */
struct bh_pod *bh_pods_find(struct bh_pod *pods, size_t n, const char *uid);

/*
 * Checks the endpoints of a change against each other and against what else will be in force, and
 * in a full update claims the slots of an earlier process. Takes the names and uids from the
 * change. Returns 0 and *ret_next, or -EINVAL with a sentence, -ENOMEM.
 */
int bh_pods_stage(struct bh_endpoints *endpoints, struct bh_change *change,
	struct bh_pods *ret_next, struct bh_why *why);

/* A staged change that was refused: everything is as it was before. Frees `next`. */
void bh_pods_discard(struct bh_endpoints *endpoints, struct bh_pods *next);

/* Programs that the pods in force shall have. The list is the caller's (free()). 0 or -ENOMEM. */
int bh_pods_switches(const struct bh_pods *next, struct bh_switch **ret_switches, size_t *ret_n);

/* Their addresses are looked for from now on. Returns 0 or -ENOMEM. */
int bh_endpoints_want(struct bh_endpoints *endpoints, const struct bh_pods *next);

/* Puts the new pods in the place of the old ones: attaches, replaces, releases. Takes `next` over.
 */
void bh_endpoints_commit(struct bh_endpoints *endpoints, struct bh_pods *next, bool full);

/* Looks for pods and their interfaces again and acts on what has changed. */
void bh_endpoints_reconcile(struct bh_endpoints *endpoints);

/* True while some pod has no interface. */
bool bh_endpoints_waiting(const struct bh_endpoints *endpoints);

/* The pod that has this slot in force, or NULL. */
const struct bh_pod *bh_endpoints_of_slot(const struct bh_endpoints *endpoints, uint32_t slot);

/*
 * Puts an endpoint into a slot of its own and points its interface there with one write; what the
 * interface was held by goes then, and its flows remain the pod's. `epoch` and `born` are set here,
 * `born` only if it is 0. Returns 0 and *ret_slot, -ENOSPC without a free slot, or -errno.
 */
int bh_endpoints_point(
	struct bh_endpoints *endpoints, struct bh_endpoint *endpoint, uint32_t *ret_slot);

/* Gives a slot up. The interface keeps its programs if another slot has it now. */
void bh_endpoints_release(struct bh_endpoints *endpoints, uint32_t slot);

/* Is this what bh_hold holds an interface by? */
static inline bool bh_endpoint_is_held(const struct bh_endpoint *endpoint)
{
	return endpoint->epoch && endpoint->workload == BH_WORKLOAD_HELD;
}

/* The uid of who has or had a slot, or "". */
const char *bh_endpoints_uid(const struct bh_endpoints *endpoints, uint32_t slot);

#endif
