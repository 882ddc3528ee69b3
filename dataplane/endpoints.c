/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/endpoints.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/locate.h"
#include "dataplane/slots.h"
#include "proto/cleanup.h"

#define WAITING BULKHEAD__WIRE__ENDPOINT_STATE__STATE_WAITING
#define ATTACHED BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED
#define FAILED BULKHEAD__WIRE__ENDPOINT_STATE__STATE_FAILED

const struct bh_pod *bh_endpoints_of_slot(const struct bh_endpoints *endpoints, uint32_t slot)
{
	const char *uid = bh_endpoints_uid(endpoints, slot);
	const struct bh_pod *pod =
		*uid ? bh_pods_find(endpoints->pods, endpoints->n_pods, uid) : NULL;

	return pod && pod->slot == slot ? pod : NULL;
}

int bh_endpoints_open(struct bh_endpoints *endpoints, struct bh_object *object,
	struct bh_tables *tables, struct bh_attach *attach, struct bh_discovery *discovery,
	struct bh_problems *problems, struct bh_why *why)
{
	int err;

	*endpoints = (struct bh_endpoints){
		.object = object,
		.tables = tables,
		.attach = attach,
		.discovery = discovery,
		.problems = problems,
	};
	bh_table_init(&endpoints->want4, 4, 1);
	bh_table_init(&endpoints->want6, 16, 1);
	bh_table_init(&endpoints->claimed, sizeof(uint32_t), sizeof(uint32_t));
	err = bh_slots_find(endpoints);
	return err < 0 ? bh_fail(why, err, "reading back the endpoints: %s", strerror(-err)) : 0;
}

void bh_endpoints_close(struct bh_endpoints *endpoints)
{
	struct bh_pods pods = {endpoints->pods, endpoints->n_pods};

	bh_pods_free(&pods);
	for (uint32_t slot = 0; slot < BH_ENDPOINTS_MAX; slot++)
		free(endpoints->slot_uid[slot]);
	bh_table_clear(&endpoints->want4);
	bh_table_clear(&endpoints->want6);
	bh_table_clear(&endpoints->claimed);
}

/* ---- Coming and going ----------------------------------------------------------------------- */

static void say(struct bh_endpoints *endpoints, struct bh_pod *pod,
	Bulkhead__Wire__EndpointState state, const char *detail)
{
	if (pod->state == state && !strcmp(pod->detail, detail))
		return;
	pod->state = state;
	snprintf(pod->detail, sizeof(pod->detail), "%.*s", (int)sizeof(pod->detail) - 1, detail);
	endpoints->version++;
}

void bh_endpoints_release(struct bh_endpoints *endpoints, uint32_t slot)
{
	struct bh_endpoint endpoint = endpoints->object->endpoints[slot];
	const uint32_t *owner = bh_table_get(&endpoints->claimed, &endpoint.ifindex);

	if (owner && *owner == slot) {
		bh_attach_release(endpoints->attach, endpoint.ifindex);
		bpf_map_delete_elem(endpoints->object->map[BH_MAP_bh_ifaces], &endpoint.ifindex);
		bh_table_remove(&endpoints->claimed, &endpoint.ifindex);
	}
	bh_slot_set_locals(endpoints, &endpoint, slot, 0);
	bh_object_clear_endpoint(endpoints->object, slot);
	if (endpoints->orphan[slot]) {
		endpoints->orphan[slot] = false;
		endpoints->n_orphans--;
	}
}

static void release_pod(struct bh_endpoints *endpoints, struct bh_pod *pod)
{
	if (pod->slot)
		bh_endpoints_release(endpoints, pod->slot);
	pod->slot = 0;
	pod->hooked = false;
	pod->hook[0] = '\0';
}

int bh_endpoints_point(
	struct bh_endpoints *endpoints, struct bh_endpoint *endpoint, uint32_t *ret_slot)
{
	uint32_t slot = bh_slot_take(endpoints), before;
	struct bh_iface iface = {.slot = slot};
	struct bh_endpoint *held;
	uint32_t *claim;
	int err;

	if (!slot)
		return -ENOSPC;
	claim = bh_table_put(&endpoints->claimed, &endpoint->ifindex, NULL);
	if (!claim)
		return -ENOMEM;
	before = *claim;
	held = &endpoints->object->endpoints[before];
	if (!before || !bh_endpoint_is_held(held))
		held = NULL;
	/* The same pair of interfaces all the time: what the node opened meanwhile lives on. */
	if (held && !endpoint->born && !memcmp(held->mac, endpoint->mac, sizeof(held->mac)))
		endpoint->born = held->born;
	endpoint->epoch = bh_object_new_epoch(endpoints->object);
	if (!endpoint->born)
		endpoint->born = endpoint->epoch;
	bh_object_fill_endpoint(endpoints->object, slot, endpoint);
	err = bpf_map_update_elem(
		endpoints->object->map[BH_MAP_bh_ifaces], &endpoint->ifindex, &iface, BPF_ANY);
	if (err < 0) {
		bh_object_clear_endpoint(endpoints->object, slot);
		if (!before)
			bh_table_remove(&endpoints->claimed, &endpoint->ifindex);
		return err;
	}
	*claim = slot;
	/* Whoever is only held has not shown yet that its addresses are its own. */
	if (endpoint->workload != BH_WORKLOAD_HELD)
		bh_slot_set_locals(endpoints, endpoint, 0, slot);
	if (held)
		bh_endpoints_release(endpoints, before);
	*ret_slot = slot;
	return 0;
}

/*
 * A new slot for the pod at this place. `heir`: it is the same pod as the one of its old slot (only
 * its labels or addresses have changed), so its flows remain its own.
 */
static int fill_slot(
	struct bh_endpoints *endpoints, struct bh_pod *pod, bool heir, const struct bh_place *place)
{
	struct bh_endpoint endpoint = bh_slot_content(pod, place);
	uint32_t slot, before = pod->slot;
	int err;

	endpoint.born = heir ? endpoints->object->endpoints[before].born : 0;
	err = bh_endpoints_point(endpoints, &endpoint, &slot);
	if (err < 0)
		return err;
	free(endpoints->slot_uid[slot]);
	endpoints->slot_uid[slot] = strdup(pod->wanted.uid);
	pod->slot = slot;
	pod->place = *place;
	if (before)
		bh_endpoints_release(endpoints, before);
	return 0;
}

/* Slot, interface map, addresses, then programs. */
static void bring_up(struct bh_endpoints *endpoints, struct bh_pod *pod, const char *detail)
{
	struct bh_why why = {};
	int err = bh_attach_interface(endpoints->attach, pod->place.ifindex, pod->place.name,
		pod->wanted.xdp, pod->hook, &why);

	if (!err) {
		pod->hooked = true;
		say(endpoints, pod, ATTACHED, detail);
		endpoints->version++;
		return;
	}
	release_pod(endpoints, pod);
	if (err == -ENODEV)
		say(endpoints, pod, WAITING,
			"its interface went away while programs were attached");
	else
		say(endpoints, pod, FAILED, why.text[0] ? why.text : strerror(-err));
}

/* ---- One pod against what was found --------------------------------------------------------- */

/* The pod is at `place`: is it in force there, as it shall be? */
static void settle(struct bh_endpoints *endpoints, struct bh_pod *pod, const struct bh_place *place,
	const char *detail)
{
	struct bh_endpoint wanted = bh_slot_content(pod, place);
	bool heir = pod->slot && bh_place_equal(&pod->place, place);
	const struct bh_endpoint *now = &endpoints->object->endpoints[pod->slot];
	int err = 0;

	if (!pod->slot || !heir || !bh_slot_same_pod(now, &wanted)) {
		err = fill_slot(endpoints, pod, heir, place);
		pod->hooked = pod->hooked && heir;
	}
	if (err < 0) {
		char text[128];

		snprintf(text, sizeof(text), "no endpoint slot: %s", strerror(-err));
		say(endpoints, pod, FAILED, text);
		return;
	}
	memmove(pod->place.name, place->name, sizeof(pod->place.name)); /* may be the same */
	if (!pod->hooked)
		bring_up(endpoints, pod, detail);
	else
		say(endpoints, pod, ATTACHED, detail);
}

/* Another pod in force whose MAC this is, or NULL. */
static const struct bh_pod *mac_owner(
	const struct bh_endpoints *endpoints, const struct bh_pod *pod, const uint8_t *mac)
{
	for (size_t i = 0; i < endpoints->n_pods; i++) {
		const struct bh_pod *other = &endpoints->pods[i];

		if (other != pod && other->slot && !memcmp(other->place.mac, mac, 6))
			return other;
	}
	return NULL;
}

/*
 * A pod may change its MAC, but not to another's: on a bridge it would be sent the other's
 * frames. It keeps the one it had, and what it sends under the other is dropped as forged.
 */
static void refuse_taken_mac(
	struct bh_endpoints *endpoints, const struct bh_pod *pod, struct bh_location *location)
{
	const struct bh_pod *owner = NULL;

	if (memcmp(location->place.mac, pod->place.mac, sizeof(pod->place.mac)) != 0)
		owner = mac_owner(endpoints, pod, location->place.mac);
	if (!owner)
		return;
	memcpy(location->place.mac, pod->place.mac, sizeof(pod->place.mac));
	/* The detail is told to whoever may see this pod, who may not know of the other one. */
	snprintf(location->detail, sizeof(location->detail),
		"%s has taken another pod's MAC; what it sends under it is dropped",
		location->place.name);
	bh_problems_add(endpoints->problems, BH_SOURCE_ENDPOINTS, "mac-taken", pod->wanted.name,
		"%s: %s has taken the MAC of %s; what it sends under it is dropped",
		pod->wanted.name, location->place.name, owner->wanted.name);
}

/*
 * A pod in force keeps its interface as long as the host's end of it is there, whatever happens
 * at the other end: a pod may take its address away, change its MAC or move its end into another
 * namespace, and must not get rid of its policy by that.
 */
static void hold(struct bh_endpoints *endpoints, struct bh_pod *pod, struct bh_location *location)
{
	if (location->found && location->place.ifindex == pod->place.ifindex) {
		refuse_taken_mac(endpoints, pod, location);
		settle(endpoints, pod, &location->place, location->detail);
		return;
	}
	if (location->found) {
		snprintf(location->detail, sizeof(location->detail),
			"its addresses are on %s now; %s stays enforced as its own while it is "
			"there",
			location->place.name, pod->place.name);
		bh_problems_add(endpoints->problems, BH_SOURCE_ENDPOINTS, "address-moved",
			pod->wanted.name, "%s: %s", pod->wanted.name, location->detail);
	}
	settle(endpoints, pod, &pod->place, location->detail);
}

static void reconcile_pod(struct bh_endpoints *endpoints, struct bh_pod *pod)
{
	struct bh_location location;

	bh_locate(endpoints, pod, &location);
	if (pod->slot && bh_discovery_exists(endpoints->discovery, pod->place.ifindex)) {
		hold(endpoints, pod, &location);
		return;
	}
	if (location.found) {
		settle(endpoints, pod, &location.place, location.detail);
		return;
	}
	release_pod(endpoints, pod);
	/* What a search of the namespaces has found out says more. */
	if (location.conflict)
		say(endpoints, pod, FAILED, location.detail);
	else if (!pod->searched || pod->state == FAILED || pod->state == ATTACHED)
		say(endpoints, pod, WAITING, location.detail);
}

void bh_endpoints_reconcile(struct bh_endpoints *endpoints)
{
	struct bh_why why;

	if (bh_discovery_scan(endpoints->discovery, &endpoints->want4, &endpoints->want6, &why) <
		0) {
		bh_problems_note(
			endpoints->problems, 30000, "discovery", "netlink", "%s", why.text);
		return;
	}
	bh_problems_begin(endpoints->problems, BH_SOURCE_ENDPOINTS);
	/* What is in force first: it says which interfaces are taken. */
	for (size_t i = 0; i < endpoints->n_pods; i++) {
		if (endpoints->pods[i].slot)
			reconcile_pod(endpoints, &endpoints->pods[i]);
	}
	for (size_t i = 0; i < endpoints->n_pods; i++) {
		if (!endpoints->pods[i].slot)
			reconcile_pod(endpoints, &endpoints->pods[i]);
	}
	bh_problems_end(endpoints->problems, BH_SOURCE_ENDPOINTS);
	bh_locate_missing(endpoints);
}

bool bh_endpoints_waiting(const struct bh_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n_pods; i++) {
		if (endpoints->pods[i].state != ATTACHED)
			return true;
	}
	return false;
}

const char *bh_endpoints_uid(const struct bh_endpoints *endpoints, uint32_t slot)
{
	const char *uid = slot < BH_ENDPOINTS_MAX ? endpoints->slot_uid[slot] : NULL;

	return uid ? uid : "";
}

/* ---- Committing ----------------------------------------------------------------------------- */

/* Is every pod in force as it shall be? Then an update was about other things, and nothing is
 * scanned. */
static bool needs_reconcile(const struct bh_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n_pods; i++) {
		const struct bh_pod *pod = &endpoints->pods[i];
		struct bh_endpoint wanted = bh_slot_content(pod, &pod->place);

		if (!pod->slot || !pod->hooked ||
			!bh_slot_same_pod(&endpoints->object->endpoints[pod->slot], &wanted))
			return true;
	}
	return false;
}

void bh_endpoints_commit(struct bh_endpoints *endpoints, struct bh_pods *next, bool full)
{
	struct bh_pods before = {endpoints->pods, endpoints->n_pods};

	endpoints->pods = next->pods;
	endpoints->n_pods = next->n;
	*next = (struct bh_pods){};
	endpoints->version++;
	if (bh_endpoints_want(endpoints, &(struct bh_pods){endpoints->pods, endpoints->n_pods}) < 0)
		endpoints->tables->dirty = true;
	/*
	 * The new ones first: where an interface goes over from one pod to another its programs
	 * stay attached. Those who are gone do not count as owners any more.
	 */
	if (needs_reconcile(endpoints))
		bh_endpoints_reconcile(endpoints);
	for (size_t i = 0; i < before.n; i++) {
		struct bh_pod *pod = &before.pods[i];

		if (pod->slot && !bh_pods_find(endpoints->pods, endpoints->n_pods, pod->wanted.uid))
			bh_endpoints_release(endpoints, pod->slot);
	}
	for (uint32_t slot = 1; full && slot < BH_ENDPOINTS_MAX; slot++) {
		if (endpoints->orphan[slot])
			bh_endpoints_release(endpoints, slot);
	}
	bh_pods_free(&before);
}
