/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/endpoints.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/locate.h"
#include "dataplane/walk.h"
#include "proto/cleanup.h"

#define WAITING BULKHEAD__WIRE__ENDPOINT_STATE__STATE_WAITING
#define ATTACHED BULKHEAD__WIRE__ENDPOINT_STATE__STATE_ATTACHED
#define FAILED BULKHEAD__WIRE__ENDPOINT_STATE__STATE_FAILED

static int compare_pods(const void *a, const void *b)
{
	const struct bh_pod *x = a, *y = b;

	return strcmp(x->wanted.uid, y->wanted.uid);
}

static struct bh_pod *find_pod(struct bh_pod *pods, size_t n, const char *uid)
{
	struct bh_pod key = {.wanted.uid = (char *)uid};

	return n ? bsearch(&key, pods, n, sizeof(key), compare_pods) : NULL;
}

const struct bh_pod *bh_endpoints_of_slot(const struct bh_endpoints *endpoints, uint32_t slot)
{
	const char *uid = bh_endpoints_uid(endpoints, slot);
	const struct bh_pod *pod = *uid ? find_pod(endpoints->pods, endpoints->n_pods, uid) : NULL;

	return pod && pod->slot == slot ? pod : NULL;
}

void bh_pods_free(struct bh_pods *next)
{
	for (size_t i = 0; i < next->n; i++)
		bh_wanted_fini(&next->pods[i].wanted);
	free(next->pods);
	*next = (struct bh_pods){};
}

/* ---- Slots in force ------------------------------------------------------------------------- */

static int note_orphan(struct bh_endpoints *endpoints, uint32_t ifindex, uint32_t slot)
{
	uint32_t *place;

	if (!slot || slot >= BH_ENDPOINTS_MAX || !endpoints->object->endpoints[slot].epoch ||
		endpoints->object->endpoints[slot].ifindex != ifindex)
		return 0;
	place = bh_table_put(&endpoints->claimed, &ifindex, NULL);
	if (!place)
		return -ENOMEM;
	*place = slot;
	endpoints->orphan[slot] = true;
	endpoints->n_orphans++;
	return 0;
}

static int find_orphans(struct bh_endpoints *endpoints)
{
	struct bh_walk walk;
	int n, err = bh_walk_begin(&walk, endpoints->object->map[BH_MAP_bh_ifaces],
		       sizeof(uint32_t), sizeof(struct bh_iface), 512);

	if (err < 0)
		return err;
	while (!err && (n = bh_walk_step(&walk)) != 0) {
		if (n < 0)
			err = n;
		for (uint32_t i = 0; i < walk.n && !err; i++) {
			const struct bh_iface *iface = bh_walk_value(&walk, i);

			err = note_orphan(
				endpoints, *(const uint32_t *)bh_walk_key(&walk, i), iface->slot);
		}
	}
	bh_walk_end(&walk);
	/* A slot nobody points to: its start was cut short. */
	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX && !err; slot++) {
		if (endpoints->object->endpoints[slot].epoch && !endpoints->orphan[slot])
			bh_object_clear_endpoint(endpoints->object, slot);
	}
	return err;
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
	err = find_orphans(endpoints);
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

/* Round and round, so that a slot rests before somebody else gets it. 0 = none is free. */
static uint32_t take_slot(struct bh_endpoints *endpoints)
{
	for (uint32_t tries = 1; tries < BH_ENDPOINTS_MAX; tries++) {
		uint32_t slot = 1 + endpoints->next_slot++ % (BH_ENDPOINTS_MAX - 1);

		if (!endpoints->object->endpoints[slot].epoch)
			return slot;
	}
	return 0;
}

static void set_local(
	struct bh_endpoints *endpoints, uint8_t family, const void *ip, uint32_t from, uint32_t to)
{
	const struct bh_table *local =
		family == 4 ? &endpoints->tables->local4 : &endpoints->tables->local6;
	const uint32_t *now = bh_table_get(local, ip);

	/* An address that has gone over to another endpoint is not taken from it. */
	if (!to && now && *now != from)
		return;
	if (bh_tables_set_local(endpoints->tables, family, ip, to) < 0)
		endpoints->tables->dirty = true;
}

static void set_locals(struct bh_endpoints *endpoints, const struct bh_endpoint *endpoint,
	uint32_t from, uint32_t to)
{
	for (uint8_t i = 0; i < endpoint->n_addr4 && i < BH_ENDPOINT_ADDRS; i++)
		set_local(endpoints, 4, &endpoint->addr4[i], from, to);
	for (uint8_t i = 0; i < endpoint->n_addr6 && i < BH_ENDPOINT_ADDRS; i++)
		set_local(endpoints, 6, endpoint->addr6[i], from, to);
}

static struct bh_endpoint endpoint_of(const struct bh_pod *pod, const struct bh_place *place)
{
	const struct bh_wanted *wanted = &pod->wanted;
	struct bh_endpoint endpoint = {
		.programs = bh_programs_pack(wanted->active, wanted->pending),
		.ifindex = place->ifindex,
		.n_addr4 = wanted->n_addr4,
		.n_addr6 = wanted->n_addr6,
		.workload = wanted->workload,
	};

	memcpy(endpoint.mac, place->mac, sizeof(endpoint.mac));
	memcpy(endpoint.addr4, wanted->addr4, sizeof(endpoint.addr4));
	memcpy(endpoint.addr6, wanted->addr6, sizeof(endpoint.addr6));
	return endpoint;
}

/* Everything but programs and epochs. */
static bool same_pod(const struct bh_endpoint *a, const struct bh_endpoint *b)
{
	return a->ifindex == b->ifindex && !memcmp(a->mac, b->mac, sizeof(a->mac)) &&
	       a->workload == b->workload && a->n_addr4 == b->n_addr4 && a->n_addr6 == b->n_addr6 &&
	       !memcmp(a->addr4, b->addr4, sizeof(a->addr4)) &&
	       !memcmp(a->addr6, b->addr6, sizeof(a->addr6));
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

/* Gives a slot up. The interface keeps its programs if another slot has it now. */
static void release_slot(struct bh_endpoints *endpoints, uint32_t slot)
{
	struct bh_endpoint endpoint = endpoints->object->endpoints[slot];
	const uint32_t *owner = bh_table_get(&endpoints->claimed, &endpoint.ifindex);

	if (owner && *owner == slot) {
		bh_attach_release(endpoints->attach, endpoint.ifindex);
		bpf_map_delete_elem(endpoints->object->map[BH_MAP_bh_ifaces], &endpoint.ifindex);
		bh_table_remove(&endpoints->claimed, &endpoint.ifindex);
	}
	set_locals(endpoints, &endpoint, slot, 0);
	bh_object_clear_endpoint(endpoints->object, slot);
	if (endpoints->orphan[slot]) {
		endpoints->orphan[slot] = false;
		endpoints->n_orphans--;
	}
}

static void release_pod(struct bh_endpoints *endpoints, struct bh_pod *pod)
{
	if (pod->slot)
		release_slot(endpoints, pod->slot);
	pod->slot = 0;
	pod->hooked = false;
	pod->hook[0] = '\0';
}

/*
 * A new slot for the pod at this place. `heir`: it is the same pod as the one of its old slot (only
 * its labels or addresses have changed), so its flows remain its own.
 */
static int fill_slot(
	struct bh_endpoints *endpoints, struct bh_pod *pod, bool heir, const struct bh_place *place)
{
	struct bh_endpoint endpoint = endpoint_of(pod, place);
	uint32_t slot = take_slot(endpoints), before = pod->slot;
	struct bh_iface iface = {.slot = slot};
	uint32_t *claim;
	int err;

	if (!slot)
		return -ENOSPC;
	claim = bh_table_put(&endpoints->claimed, &place->ifindex, NULL);
	if (!claim)
		return -ENOMEM;
	endpoint.epoch = bh_object_new_epoch(endpoints->object);
	endpoint.born = heir ? endpoints->object->endpoints[before].born : endpoint.epoch;
	bh_object_fill_endpoint(endpoints->object, slot, &endpoint);
	err = bpf_map_update_elem(
		endpoints->object->map[BH_MAP_bh_ifaces], &place->ifindex, &iface, BPF_ANY);
	if (err < 0) {
		bh_object_clear_endpoint(endpoints->object, slot);
		if (!*claim)
			bh_table_remove(&endpoints->claimed, &place->ifindex);
		return err;
	}
	*claim = slot;
	set_locals(endpoints, &endpoint, 0, slot);
	free(endpoints->slot_uid[slot]);
	endpoints->slot_uid[slot] = strdup(pod->wanted.uid);
	pod->slot = slot;
	pod->place = *place;
	if (before)
		release_slot(endpoints, before);
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
	struct bh_endpoint wanted = endpoint_of(pod, place);
	bool heir = pod->slot && bh_place_equal(&pod->place, place);
	const struct bh_endpoint *now = &endpoints->object->endpoints[pod->slot];
	int err = 0;

	if (!pod->slot || !heir || !same_pod(now, &wanted)) {
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

static void reconcile_pod(struct bh_endpoints *endpoints, struct bh_pod *pod)
{
	struct bh_location location;

	bh_locate(endpoints, pod, &location);
	if (location.found) {
		settle(endpoints, pod, &location.place, location.detail);
		return;
	}
	/* Its interface is there, only the address is not: whoever is behind it stays enforced. */
	if (pod->slot && bh_discovery_has(endpoints->discovery, &pod->place)) {
		settle(endpoints, pod, &pod->place, location.detail);
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

/* ---- Staging -------------------------------------------------------------------------------- */

/* The pod as it was, with what is wanted now. */
static struct bh_pod pod_after(struct bh_endpoints *endpoints, struct bh_wanted *wanted)
{
	const struct bh_pod *now = find_pod(endpoints->pods, endpoints->n_pods, wanted->uid);
	struct bh_pod pod = {.state = WAITING};

	if (now) {
		pod = *now;
		pod.hooked = now->hooked && now->wanted.xdp == wanted->xdp;
		pod.searched = false;
	}
	pod.wanted = *wanted;
	*wanted = (struct bh_wanted){};
	return pod;
}

/* A copy, because the old list must stay whole until the change is in force. */
static int copy_pod(const struct bh_pod *pod, struct bh_pod *ret_pod)
{
	struct bh_pod copy = *pod;

	copy.wanted.uid = strdup(pod->wanted.uid);
	copy.wanted.name = strdup(pod->wanted.name);
	*ret_pod = copy;
	return copy.wanted.uid && copy.wanted.name ? 0 : -ENOMEM;
}

static int merge(struct bh_endpoints *endpoints, struct bh_change *change, struct bh_pods *next)
{
	size_t room = change->n_endpoints + (change->full ? 0 : endpoints->n_pods);
	int err = 0;

	next->pods = calloc(room + 1, sizeof(*next->pods));
	if (!next->pods)
		return -ENOMEM;
	for (size_t i = 0; !change->full && i < endpoints->n_pods && !err; i++) {
		const struct bh_pod *pod = &endpoints->pods[i];

		if (!bh_wanted_find(change->endpoints, change->n_endpoints, pod->wanted.uid))
			err = copy_pod(pod, &next->pods[next->n++]);
	}
	for (size_t i = 0; i < change->n_endpoints && !err; i++) {
		if (!change->endpoints[i].removed)
			next->pods[next->n++] = pod_after(endpoints, &change->endpoints[i]);
	}
	/* Their uids are the pods' now. */
	for (size_t i = 0; i < change->n_endpoints; i++)
		bh_wanted_fini(&change->endpoints[i]);
	change->n_endpoints = 0;
	qsort(next->pods, next->n, sizeof(*next->pods), compare_pods);
	return err;
}

static int check_programs(const struct bh_endpoints *endpoints, const struct bh_change *change,
	const struct bh_pod *pod, struct bh_why *why)
{
	const uint32_t numbers[] = {pod->wanted.active, pod->wanted.pending};

	for (size_t i = 0; i < 2; i++) {
		if (!bh_plan_knows_program(&endpoints->tables->world, change, numbers[i]))
			return bh_fail(why, -EINVAL,
				"endpoint %s: its %s program 0x%x is not among the programs",
				pod->wanted.name, i ? "pending" : "active", numbers[i]);
	}
	return 0;
}

static int claim_address(const struct bh_endpoints *endpoints, const struct bh_change *change,
	const struct bh_pods *next, size_t pod, uint8_t family, const void *ip,
	struct bh_table *owners, struct bh_why *why)
{
	const char *name = next->pods[pod].wanted.name;
	char text[BH_IP_TEXT];
	uint32_t *owner;
	bool new;

	if (!bh_plan_knows_address(&endpoints->tables->world, change, family, ip))
		return bh_fail(why, -EINVAL,
			"endpoint %s: its address %s is not among the addresses", name,
			bh_ip_text(family, ip, text));
	owner = bh_table_put(owners, ip, &new);
	if (!owner)
		return -ENOMEM;
	if (!new)
		return bh_fail(why, -EINVAL, "%s belongs to two endpoints, %s and %s",
			bh_ip_text(family, ip, text), next->pods[*owner].wanted.name, name);
	*owner = (uint32_t)pod;
	return 0;
}

static int check_pods(const struct bh_endpoints *endpoints, const struct bh_change *change,
	const struct bh_pods *next, struct bh_why *why)
{
	struct bh_table owners4, owners6;
	int err = 0;

	if (next->n >= BH_ENDPOINTS_MAX)
		return bh_fail(why, -EINVAL, "%zu endpoints: %d are supported", next->n,
			BH_ENDPOINTS_MAX - 1);
	bh_table_init(&owners4, 4, sizeof(uint32_t));
	bh_table_init(&owners6, 16, sizeof(uint32_t));
	for (size_t i = 0; i < next->n && !err; i++) {
		const struct bh_wanted *wanted = &next->pods[i].wanted;

		err = check_programs(endpoints, change, &next->pods[i], why);
		for (uint8_t j = 0; j < wanted->n_addr4 && !err; j++)
			err = claim_address(
				endpoints, change, next, i, 4, &wanted->addr4[j], &owners4, why);
		for (uint8_t j = 0; j < wanted->n_addr6 && !err; j++)
			err = claim_address(
				endpoints, change, next, i, 6, wanted->addr6[j], &owners6, why);
	}
	bh_table_clear(&owners4);
	bh_table_clear(&owners6);
	return err;
}

int bh_endpoints_want(struct bh_endpoints *endpoints, const struct bh_pods *next)
{
	bh_table_clear(&endpoints->want4);
	bh_table_clear(&endpoints->want6);
	for (size_t i = 0; i < next->n; i++) {
		const struct bh_wanted *wanted = &next->pods[i].wanted;

		for (uint8_t j = 0; j < wanted->n_addr4; j++) {
			if (!bh_table_put(&endpoints->want4, &wanted->addr4[j], NULL))
				return -ENOMEM;
		}
		for (uint8_t j = 0; j < wanted->n_addr6; j++) {
			if (!bh_table_put(&endpoints->want6, wanted->addr6[j], NULL))
				return -ENOMEM;
		}
	}
	return 0;
}

/* Is one of the slots in force this pod's, unchanged, on the interface where it is now? */
static void claim_orphan(struct bh_endpoints *endpoints, struct bh_pod *pod)
{
	struct bh_location location;
	struct bh_endpoint wanted;
	const uint32_t *slot;

	bh_locate(endpoints, pod, &location);
	if (!location.found)
		return;
	slot = bh_table_get(&endpoints->claimed, &location.place.ifindex);
	wanted = endpoint_of(pod, &location.place);
	if (!slot || !endpoints->orphan[*slot] ||
		!same_pod(&endpoints->object->endpoints[*slot], &wanted))
		return;
	pod->slot = *slot;
	pod->place = location.place;
	endpoints->orphan[*slot] = false;
	endpoints->n_orphans--;
	set_locals(endpoints, &wanted, 0, *slot);
	free(endpoints->slot_uid[*slot]);
	endpoints->slot_uid[*slot] = strdup(pod->wanted.uid);
}

static int claim_orphans(
	struct bh_endpoints *endpoints, const struct bh_pods *next, struct bh_why *why)
{
	int err = bh_endpoints_want(endpoints, next);

	if (!err)
		err = bh_discovery_scan(
			endpoints->discovery, &endpoints->want4, &endpoints->want6, why);
	for (size_t i = 0; i < next->n && !err; i++) {
		if (!next->pods[i].slot)
			claim_orphan(endpoints, &next->pods[i]);
	}
	return err;
}

int bh_endpoints_stage(struct bh_endpoints *endpoints, struct bh_change *change,
	struct bh_pods *ret_next, struct bh_why *why)
{
	struct bh_pods next = {};
	int err = merge(endpoints, change, &next);

	if (!err)
		err = check_pods(endpoints, change, &next, why);
	if (!err && change->full && endpoints->n_orphans)
		err = claim_orphans(endpoints, &next, why);
	if (err < 0) {
		bh_endpoints_discard(endpoints, &next);
		return err;
	}
	*ret_next = next;
	return 0;
}

void bh_endpoints_discard(struct bh_endpoints *endpoints, struct bh_pods *next)
{
	struct bh_pods now = {endpoints->pods, endpoints->n_pods};

	/* A slot that was claimed for a pod which does not come is nobody's again. */
	for (size_t i = 0; i < next->n; i++) {
		const struct bh_pod *pod = &next->pods[i];
		const struct bh_pod *known = find_pod(now.pods, now.n, pod->wanted.uid);

		if (!pod->slot || (known && known->slot == pod->slot))
			continue;
		endpoints->orphan[pod->slot] = true;
		endpoints->n_orphans++;
	}
	bh_pods_free(next);
	/* Without memory the next scan finds less, and a later one the rest. */
	(void)bh_endpoints_want(endpoints, &now);
}

int bh_endpoints_switches(
	const struct bh_pods *next, struct bh_switch **ret_switches, size_t *ret_n)
{
	struct bh_switch *switches = calloc(next->n + 1, sizeof(*switches));
	size_t n = 0;

	if (!switches)
		return -ENOMEM;
	for (size_t i = 0; i < next->n; i++) {
		const struct bh_pod *pod = &next->pods[i];

		if (pod->slot)
			switches[n++] = (struct bh_switch){
				.slot = pod->slot,
				.programs =
					bh_programs_pack(pod->wanted.active, pod->wanted.pending),
			};
	}
	*ret_switches = switches;
	*ret_n = n;
	return 0;
}

/* ---- Committing ----------------------------------------------------------------------------- */

/* Is every pod in force as it shall be? Then an update was about other things, and nothing is
 * scanned. */
static bool needs_reconcile(const struct bh_endpoints *endpoints)
{
	for (size_t i = 0; i < endpoints->n_pods; i++) {
		const struct bh_pod *pod = &endpoints->pods[i];
		struct bh_endpoint wanted = endpoint_of(pod, &pod->place);

		if (!pod->slot || !pod->hooked ||
			!same_pod(&endpoints->object->endpoints[pod->slot], &wanted))
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

		if (pod->slot && !find_pod(endpoints->pods, endpoints->n_pods, pod->wanted.uid))
			release_slot(endpoints, pod->slot);
	}
	for (uint32_t slot = 1; full && slot < BH_ENDPOINTS_MAX; slot++) {
		if (endpoints->orphan[slot])
			release_slot(endpoints, slot);
	}
	bh_pods_free(&before);
}
