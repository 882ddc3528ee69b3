/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/slots.h"

#include <errno.h>
#include <string.h>

#include "dataplane/walk.h"

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

int bh_slots_find(struct bh_endpoints *endpoints)
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

uint32_t bh_slot_take(struct bh_endpoints *endpoints)
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

void bh_slot_set_locals(struct bh_endpoints *endpoints, const struct bh_endpoint *endpoint,
	uint32_t from, uint32_t to)
{
	for (uint8_t i = 0; i < endpoint->n_addr4 && i < BH_ENDPOINT_ADDRS; i++)
		set_local(endpoints, 4, &endpoint->addr4[i], from, to);
	for (uint8_t i = 0; i < endpoint->n_addr6 && i < BH_ENDPOINT_ADDRS; i++)
		set_local(endpoints, 6, endpoint->addr6[i], from, to);
}

struct bh_endpoint bh_slot_content(const struct bh_pod *pod, const struct bh_place *place)
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

static bool same_addresses(const struct bh_endpoint *a, const struct bh_endpoint *b)
{
	return a->n_addr4 == b->n_addr4 && a->n_addr6 == b->n_addr6 &&
	       !memcmp(a->addr4, b->addr4, sizeof(a->addr4)) &&
	       !memcmp(a->addr6, b->addr6, sizeof(a->addr6));
}

bool bh_slot_same_pod(const struct bh_endpoint *a, const struct bh_endpoint *b)
{
	return a->ifindex == b->ifindex && !memcmp(a->mac, b->mac, sizeof(a->mac)) &&
	       a->workload == b->workload && same_addresses(a, b);
}

uint32_t bh_slot_find_orphan(const struct bh_endpoints *endpoints, const struct bh_pod *pod)
{
	for (uint32_t slot = 1; slot < BH_ENDPOINTS_MAX; slot++) {
		const struct bh_endpoint *endpoint = &endpoints->object->endpoints[slot];
		struct bh_endpoint wanted;

		if (!endpoints->orphan[slot])
			continue;
		wanted = bh_slot_content(pod, &(struct bh_place){});
		if (same_addresses(endpoint, &wanted) &&
			bh_discovery_exists(endpoints->discovery, endpoint->ifindex))
			return slot;
	}
	return 0;
}
