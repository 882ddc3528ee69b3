/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/hold.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/walk.h"
#include "proto/cleanup.h"
#include "proto/log.h"

/* For so long the addresses of a new interface are its plugin's and not its containers'. */
#define SETTLE_MS 1000
/* How often one that has been held for longer is asked for a way out of the node. */
#define ROUTES_MS 1000

static struct bh_object *object_of(const struct bh_hold *hold)
{
	return hold->endpoints->object;
}

static bool is_holding(const struct bh_hold *hold)
{
	return hold->options->on && object_of(hold)->config->flags & BH_CONFIG_HOLD;
}

/* ---- Exemptions ----------------------------------------------------------------------------- */

static int read_exemptions(struct bh_hold *hold)
{
	struct bh_walk walk;
	int n, err = bh_walk_begin(&walk, object_of(hold)->map[BH_MAP_bh_ifaces], sizeof(uint32_t),
		       sizeof(struct bh_iface), 512);

	if (err < 0)
		return err;
	while (!err && (n = bh_walk_step(&walk)) != 0) {
		if (n < 0)
			err = n;
		for (uint32_t i = 0; i < walk.n && !err; i++) {
			const struct bh_iface *iface = bh_walk_value(&walk, i);

			if (!iface->slot && iface->flags & BH_IFACE_EXEMPT &&
				!bh_table_put(&hold->exempt, bh_walk_key(&walk, i), NULL))
				err = -ENOMEM;
		}
	}
	bh_walk_end(&walk);
	return err;
}

static void exempt(struct bh_hold *hold, uint32_t ifindex)
{
	struct bh_iface iface = {.flags = BH_IFACE_EXEMPT};

	if (bh_table_put(&hold->exempt, &ifindex, NULL))
		bpf_map_update_elem(
			object_of(hold)->map[BH_MAP_bh_ifaces], &ifindex, &iface, BPF_NOEXIST);
}

/* Of an interface that is gone, or a pod's by now: its entry in the map is the pod's then. */
static void unexempt(struct bh_hold *hold, uint32_t ifindex)
{
	if (!bh_table_get(&hold->endpoints->claimed, &ifindex))
		bpf_map_delete_elem(object_of(hold)->map[BH_MAP_bh_ifaces], &ifindex);
	bh_table_remove(&hold->exempt, &ifindex);
}

/* ---- Who is to be held ---------------------------------------------------------------------- */

static bool matches(const struct bh_hold *hold, const char *name)
{
	for (size_t i = 0; i < hold->options->n_excludes; i++) {
		if (fnmatch(hold->options->excludes[i], name, 0) == 0)
			return true;
	}
	return false;
}

static bool is_excluded_by_name(const struct bh_hold *hold, const struct bh_stranger *stranger)
{
	const char *uplink = hold->options->uplink;
	char master[IFNAMSIZ];

	return matches(hold, stranger->place.name) ||
	       (uplink && !strcmp(uplink, stranger->place.name)) ||
	       (stranger->master && if_indextoname(stranger->master, master) &&
		       matches(hold, master));
}

/*
 * A name, a bridge, a route: whoever sets an interface up gives it one after the other, and as
 * slowly as it likes. All of them are the node's own doing, so they count whenever they come. The
 * routes, which may be many, are asked at every look while it is young, then now and then.
 */
static bool is_excluded(
	const struct bh_hold *hold, const struct bh_stranger *stranger, struct bh_held *held)
{
	uint64_t now = bh_now_ms();

	if (is_excluded_by_name(hold, stranger))
		return true;
	if (held && now - held->since_ms > SETTLE_MS && now - held->routes_ms < ROUTES_MS)
		return false;
	if (held)
		held->routes_ms = now;
	return bh_discovery_is_way_out(hold->endpoints->discovery, stranger->place.ifindex);
}

static struct bh_held *find_held(struct bh_hold *hold, uint32_t ifindex)
{
	for (size_t i = 0; i < hold->n; i++) {
		if (hold->list[i].place.ifindex == ifindex)
			return &hold->list[i];
	}
	return NULL;
}

/* The same pair of ends; the MAC is only known once it has been asked for. */
static bool same_pair(const struct bh_place *a, const struct bh_place *b)
{
	return a->ifindex == b->ifindex && a->peer == b->peer && a->nsid == b->nsid;
}

/* ---- Holding -------------------------------------------------------------------------------- */

static bool is_taken(const struct bh_hold *hold, uint8_t family, const void *ip)
{
	const struct bh_tables *tables = hold->endpoints->tables;
	const struct bh_host_address *own;
	size_t n = bh_discovery_host_addresses(hold->endpoints->discovery, &own);

	for (size_t i = 0; i < n; i++) {
		if (own[i].family == family && !memcmp(own[i].ip, ip, family == 4 ? 4 : 16))
			return true;
	}
	return bh_table_get(family == 4 ? &tables->local4 : &tables->local6, ip) != NULL;
}

static struct bh_endpoint endpoint_of(const struct bh_hold *hold, const struct bh_held *held)
{
	struct bh_endpoint endpoint = {
		.programs = bh_programs_pack(BH_PROGRAM_HELD, BH_PROGRAM_HELD),
		.ifindex = held->place.ifindex,
		.workload = BH_WORKLOAD_HELD,
	};

	memcpy(endpoint.mac, held->place.mac, sizeof(endpoint.mac));
	for (uint8_t i = 0; i < held->addresses.n4; i++) {
		if (!is_taken(hold, 4, held->addresses.ip4[i]))
			memcpy(&endpoint.addr4[endpoint.n_addr4++], held->addresses.ip4[i], 4);
	}
	for (uint8_t i = 0; i < held->addresses.n6; i++) {
		if (!is_taken(hold, 6, held->addresses.ip6[i]))
			memcpy(endpoint.addr6[endpoint.n_addr6++], held->addresses.ip6[i], 16);
	}
	return endpoint;
}

/* Slot, interface map, programs: as for a pod. A new slot too where only the addresses are new. */
static int put_in_force(struct bh_hold *hold, struct bh_held *held, struct bh_why *why)
{
	struct bh_endpoint endpoint = endpoint_of(hold, held);
	char hook[BH_HOOK_TEXT];
	bool attach = !held->slot;
	int err = bh_endpoints_point(hold->endpoints, &endpoint, &held->slot);

	if (err < 0)
		return bh_fail(why, err, "no endpoint slot: %s", strerror(-err));
	if (!attach)
		return 0;
	err = bh_attach_interface(
		hold->endpoints->attach, held->place.ifindex, held->place.name, false, hook, why);
	if (err < 0) {
		bh_endpoints_release(hold->endpoints, held->slot);
		held->slot = 0;
	}
	return err;
}

/* Not if the slot has gone over to somebody else meanwhile. */
static void let_go(struct bh_hold *hold, struct bh_held *held)
{
	const struct bh_endpoint *endpoint = &object_of(hold)->endpoints[held->slot];

	if (held->slot && bh_endpoint_is_held(endpoint) && endpoint->ifindex == held->place.ifindex)
		bh_endpoints_release(hold->endpoints, held->slot);
	held->slot = 0;
}

static void remove_at(struct bh_hold *hold, size_t i)
{
	hold->list[i] = hold->list[--hold->n];
	hold->version++;
}

/* What an earlier process held goes on being held: its slot is ours. */
static void adopt(struct bh_hold *hold, struct bh_held *held)
{
	struct bh_endpoints *endpoints = hold->endpoints;
	const uint32_t *slot = bh_table_get(&endpoints->claimed, &held->place.ifindex);
	char hook[BH_HOOK_TEXT];
	struct bh_why why;

	if (!slot || !endpoints->orphan[*slot])
		return;
	endpoints->orphan[*slot] = false;
	endpoints->n_orphans--;
	held->slot = *slot;
	/* They hang there already; this makes them known to the checks. */
	if (bh_attach_interface(endpoints->attach, held->place.ifindex, held->place.name, false,
		    hook, &why) < 0)
		let_go(hold, held);
}

static struct bh_held *add(struct bh_hold *hold, const struct bh_stranger *stranger)
{
	struct bh_held *list;

	if (hold->n == BH_HELD_MAX) {
		bh_problems_add(hold->endpoints->problems, BH_SOURCE_HOLD, "hold-full", "hold",
			"%d interfaces without a known pod are held already; %s is not, and "
			"nothing is enforced on it",
			BH_HELD_MAX, stranger->place.name);
		return NULL;
	}
	list = realloc(hold->list, (hold->n + 1) * sizeof(*list));
	if (!list)
		return NULL;
	hold->list = list;
	list[hold->n] = (struct bh_held){.place = stranger->place, .since_ms = bh_now_ms()};
	hold->version++;
	return &list[hold->n++];
}

/* ---- One interface -------------------------------------------------------------------------- */

static void name_failure(struct bh_hold *hold, const struct bh_held *held, const char *cause)
{
	bh_problems_add(hold->endpoints->problems, BH_SOURCE_HOLD, "hold-failed", held->place.name,
		"%s is no known pod's and cannot be held: %s; nothing is enforced on it",
		held->place.name, cause);
}

/* Holds it, if it is not; brings its addresses up to date while they may still be the plugin's. */
static void hold_it(struct bh_hold *hold, struct bh_held *held, uint64_t now)
{
	struct bh_peer_addresses addresses;
	struct bh_place before = held->place;
	struct bh_why why = {};
	bool new = !held->slot;
	int err;

	if (!new &&now - held->since_ms > SETTLE_MS && (held->addresses.n4 || held->addresses.n6))
		return;
	err = bh_discovery_ask_peer(hold->endpoints->discovery, &held->place, &addresses);
	if (err == -ENODEV)
		return; /* it is only coming, or going: an event will tell */
	if (err < 0) {
		name_failure(hold, held, strerror(-err));
		return;
	}
	if (!new && !memcmp(&addresses, &held->addresses, sizeof(addresses)) &&
		bh_place_equal(&before, &held->place))
		return;
	held->addresses = addresses;
	err = put_in_force(hold, held, &why);
	if (err < 0 && err != -ENODEV) {
		name_failure(hold, held, why.text);
		return;
	}
	hold->version++;
	if (new && held->slot) {
		hold->total++;
		bh_info("%s is held until its pod is known", held->place.name);
	}
}

static void name_overdue(struct bh_hold *hold, struct bh_held *held, uint64_t now)
{
	char ip[BH_IP_TEXT] = "no address";

	if (now - held->since_ms < hold->options->timeout_ms)
		return;
	if (held->addresses.n4)
		bh_ip_text(4, held->addresses.ip4[0], ip);
	else if (held->addresses.n6)
		bh_ip_text(6, held->addresses.ip6[0], ip);
	if (!held->overdue)
		hold->version++;
	held->overdue = true;
	bh_problems_add(hold->endpoints->problems, BH_SOURCE_HOLD, "held", held->place.name,
		"%s (%s) looks like a pod's interface and is no known pod's: it stays cut off. See "
		"whether the orchestrator's pods arrive (bulkhead status), or exclude what is no "
		"pod with --hold-exclude",
		held->place.name, ip);
}

static void look_at(struct bh_hold *hold, const struct bh_stranger *stranger, bool first_time)
{
	const struct bh_endpoints *endpoints = hold->endpoints;
	uint32_t ifindex = stranger->place.ifindex;
	const uint32_t *slot = bh_table_get(&endpoints->claimed, &ifindex);
	struct bh_held *held = find_held(hold, ifindex);
	uint64_t now = bh_now_ms();

	if (slot && !bh_endpoint_is_held(&endpoints->object->endpoints[*slot]))
		return; /* a pod's */
	if (!held && bh_table_get(&hold->exempt, &ifindex))
		return;
	if ((!held && first_time) || is_excluded(hold, stranger, held)) {
		if (held) {
			let_go(hold, held);
			remove_at(hold, (size_t)(held - hold->list));
		}
		exempt(hold, ifindex);
		return;
	}
	if (!held && !(held = add(hold, stranger)))
		return;
	memcpy(held->place.name, stranger->place.name, sizeof(held->place.name));
	if (!held->slot)
		adopt(hold, held);
	if (is_holding(hold)) {
		hold_it(hold, held, now);
		name_overdue(hold, held, now);
	} else if (now - held->since_ms >= hold->options->timeout_ms) {
		/* It has been there in a mode that drops nothing: a later one leaves it alone. */
		let_go(hold, held);
		exempt(hold, ifindex);
		remove_at(hold, (size_t)(held - hold->list));
	} else {
		let_go(hold, held);
	}
}

/* ---- All of them ---------------------------------------------------------------------------- */

static const struct bh_stranger *find_stranger(
	const struct bh_stranger *list, size_t n, uint32_t ifindex)
{
	for (size_t i = 0; i < n; i++) {
		if (list[i].place.ifindex == ifindex)
			return &list[i];
	}
	return NULL;
}

/* Held interfaces that are gone, another pair by now, or a pod's. */
static void forget(struct bh_hold *hold, const struct bh_stranger *list, size_t n)
{
	for (size_t i = hold->n; i-- > 0;) {
		struct bh_held *held = &hold->list[i];
		const struct bh_stranger *now = find_stranger(list, n, held->place.ifindex);
		const uint32_t *slot =
			bh_table_get(&hold->endpoints->claimed, &held->place.ifindex);

		if (now && same_pair(&now->place, &held->place) &&
			(!held->slot || (slot && *slot == held->slot)) &&
			(held->slot || !slot ||
				bh_endpoint_is_held(&object_of(hold)->endpoints[*slot])))
			continue;
		if (slot && held->slot && *slot != held->slot)
			bh_info("%s was held for %" PRIu64 " ms; its pod is known now",
				held->place.name, bh_now_ms() - held->since_ms);
		else
			let_go(hold, held);
		remove_at(hold, i);
	}
	for (size_t cursor = 0, removed = 1; removed;) {
		const void *key;
		void *value;

		removed = 0;
		cursor = 0;
		while (!removed && bh_table_next(&hold->exempt, &cursor, &key, &value)) {
			uint32_t ifindex = *(const uint32_t *)key;

			if (find_stranger(list, n, ifindex) &&
				!bh_table_get(&hold->endpoints->claimed, &ifindex))
				continue;
			unexempt(hold, ifindex);
			removed = 1;
		}
	}
}

void bh_hold_look(struct bh_hold *hold)
{
	_cleanup_free_ struct bh_stranger *list = NULL;
	bool first_time = !(object_of(hold)->config->flags & BH_CONFIG_HOLD_STARTED);
	size_t n = 0;
	int err;

	if (!hold->options->on)
		return;
	hold->seen_endpoints = hold->endpoints->version;
	hold->seen_flags = object_of(hold)->config->flags;
	err = bh_discovery_strangers(hold->endpoints->discovery, &list, &n);
	if (err < 0) {
		bh_problems_note(hold->endpoints->problems, 30000, "hold-failed", "netlink",
			"new interfaces cannot be listed: %s", strerror(-err));
		return;
	}
	bh_problems_begin(hold->endpoints->problems, BH_SOURCE_HOLD);
	forget(hold, list, n);
	for (size_t i = 0; i < n; i++)
		look_at(hold, &list[i], first_time);
	bh_problems_end(hold->endpoints->problems, BH_SOURCE_HOLD);
	if (first_time)
		bh_object_set_flags(object_of(hold), BH_CONFIG_HOLD_STARTED, 0);
}

void bh_hold_follow(struct bh_hold *hold)
{
	if (hold->seen_endpoints != hold->endpoints->version ||
		hold->seen_flags != object_of(hold)->config->flags)
		bh_hold_look(hold);
}

bool bh_hold_waiting(const struct bh_hold *hold)
{
	return hold->n != 0;
}

int bh_hold_open(struct bh_hold *hold, const struct bh_hold_options *options,
	struct bh_endpoints *endpoints, struct bh_why *why)
{
	int err;

	*hold = (struct bh_hold){.options = options, .endpoints = endpoints};
	bh_table_init(&hold->exempt, sizeof(uint32_t), 1);
	/* Without holding, what is there when it begins again is as old as at the first time. */
	if (!options->on)
		bh_object_set_flags(endpoints->object, 0, BH_CONFIG_HOLD_STARTED);
	err = read_exemptions(hold);
	return err < 0 ? bh_fail(why, err, "reading back which interfaces are not held: %s",
				 strerror(-err))
		       : 0;
}

void bh_hold_close(struct bh_hold *hold)
{
	free(hold->list);
	bh_table_clear(&hold->exempt);
}
