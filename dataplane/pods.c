/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The list of pods as an update wants it: merged, checked against itself and against what else will
 * be in force, and at the first update after a start matched with the slots that are in force
 * already. Nothing here changes what decides a packet.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/endpoints.h"
#include "dataplane/locate.h"
#include "dataplane/slots.h"

static int compare_pods(const void *a, const void *b)
{
	const struct bh_pod *x = a, *y = b;

	return strcmp(x->wanted.uid, y->wanted.uid);
}

struct bh_pod *bh_pods_find(struct bh_pod *pods, size_t n, const char *uid)
{
	struct bh_pod key = {.wanted.uid = (char *)uid};

	return n ? bsearch(&key, pods, n, sizeof(key), compare_pods) : NULL;
}

void bh_pods_free(struct bh_pods *next)
{
	for (size_t i = 0; i < next->n; i++)
		bh_wanted_fini(&next->pods[i].wanted);
	free(next->pods);
	*next = (struct bh_pods){};
}

/* The pod as it was, with what is wanted now. */
static struct bh_pod pod_after(struct bh_endpoints *endpoints, struct bh_wanted *wanted)
{
	const struct bh_pod *now = bh_pods_find(endpoints->pods, endpoints->n_pods, wanted->uid);
	struct bh_pod pod = {.state = BULKHEAD__WIRE__ENDPOINT_STATE__STATE_WAITING};

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

/*
 * Is one of the slots in force this pod's? Its addresses say so, and that the host's end of its
 * interface is still there; what the pod has done at its own end meanwhile must not set it free.
 * What has changed is seen when the pod is settled.
 */
static void claim_orphan(struct bh_endpoints *endpoints, struct bh_pod *pod)
{
	uint32_t slot = bh_slot_find_orphan(endpoints, pod);
	const struct bh_endpoint *endpoint = &endpoints->object->endpoints[slot];
	struct bh_location location;

	if (!slot)
		return;
	bh_locate(endpoints, pod, &location);
	if (location.found && location.place.ifindex == endpoint->ifindex)
		pod->place = location.place;
	else
		pod->place = (struct bh_place){.ifindex = endpoint->ifindex, .nsid = -1};
	memcpy(pod->place.mac, endpoint->mac, sizeof(pod->place.mac));
	if (!if_indextoname(endpoint->ifindex, pod->place.name))
		pod->place.name[0] = '\0';
	pod->slot = slot;
	endpoints->orphan[slot] = false;
	endpoints->n_orphans--;
	bh_slot_set_locals(endpoints, endpoint, 0, slot);
	free(endpoints->slot_uid[slot]);
	endpoints->slot_uid[slot] = strdup(pod->wanted.uid);
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

int bh_pods_stage(struct bh_endpoints *endpoints, struct bh_change *change,
	struct bh_pods *ret_next, struct bh_why *why)
{
	struct bh_pods next = {};
	int err = merge(endpoints, change, &next);

	if (!err)
		err = check_pods(endpoints, change, &next, why);
	if (!err && change->full && endpoints->n_orphans)
		err = claim_orphans(endpoints, &next, why);
	if (err < 0) {
		bh_pods_discard(endpoints, &next);
		return err;
	}
	*ret_next = next;
	return 0;
}

void bh_pods_discard(struct bh_endpoints *endpoints, struct bh_pods *next)
{
	struct bh_pods now = {endpoints->pods, endpoints->n_pods};

	/* A slot that was claimed for a pod which does not come is nobody's again. */
	for (size_t i = 0; i < next->n; i++) {
		const struct bh_pod *pod = &next->pods[i];
		const struct bh_pod *known = bh_pods_find(now.pods, now.n, pod->wanted.uid);

		if (!pod->slot || (known && known->slot == pod->slot))
			continue;
		endpoints->orphan[pod->slot] = true;
		endpoints->n_orphans++;
	}
	bh_pods_free(next);
	/* Without memory the next scan finds less, and a later one the rest. */
	(void)bh_endpoints_want(endpoints, &now);
}

int bh_pods_switches(const struct bh_pods *next, struct bh_switch **ret_switches, size_t *ret_n)
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
